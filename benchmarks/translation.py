"""Debian's sentences from English into French: quality against time, from scratch and warm-started.

The sentences of package descriptions that are in both languages, families of packages in one split. The
arms: ``scratch`` trains encoder and decoder from random weights; ``warm`` trains a new decoder above the
frozen pretrained encoder; ``warm-full`` goes on from there and trains both. Each has the times of
``--budgets`` for its gradient steps, each time in a run of its own, so that every schedule ends in time. The
curves are drawn to ``results/translation.svg``. Command: ``python -m benchmarks.translation``;
``--train 1000 --test 200 --budgets 10s`` is a small run.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import debian_descriptions, debian_sentences, measure

NAME = "translation"
ARMS = {
    "scratch": ("--random-init", "--strategy", "full"),
    "warm": (),
    "warm-full": ("--strategy", "head-then-full"),
}
SIZE, MARGIN = (640, 360), 56
COLOURS = ("#4c6ef5", "#e8590c", "#2b8a3e")


def run(arm: str, budget: str, data: Path, folder: Path, home: Path) -> dict[str, Any]:
    """One run's figures."""
    out = folder / f"{arm}-{budget}"
    words = ["fit", str(data), "--out", str(out), *ARMS[arm], "--budget", budget, "--json"]
    done = measure.run([sys.executable, "-m", "headstart", *words], {"HEADSTART_HOME": str(home)})
    record = json.loads((out / "run.json").read_text())
    kept = ("metrics", "baselines", "split", "seconds", "objective", "data_digest")
    return {"arm": arm, "budget": budget, "wall_s": round(done.seconds, 1)} | {n: record[n] for n in kept}


def to_model_s(one: dict[str, Any]) -> float:
    """Seconds from data to model: without evaluation."""
    return float(one["seconds"]["total"] - one["seconds"]["evaluate"])


def report(runs: list[dict[str, Any]]) -> None:
    """Print the figures and what copying the source gets."""
    rows = [
        ["copy", "", *(f"{runs[0]['baselines']['copy'][name]['value']:.1f}" for name in ("bleu", "chrf"))]
    ]
    for one in runs:
        figures = (one["metrics"][name] for name in ("bleu", "chrf"))
        shown = (f"{figure['value']:.1f} ({figure['low']:.1f}-{figure['high']:.1f})" for figure in figures)
        rows.append([one["arm"], f"{to_model_s(one):.0f}", *shown])
    measure.print_table(["", "seconds to the model", "BLEU", "chrF"], rows)


def draw(runs: list[dict[str, Any]]) -> str:
    """BLEU against seconds, a line an arm with its intervals, as SVG."""
    (width, height), right = SIZE, max(to_model_s(one) for one in runs) * 1.05
    top = max(one["metrics"]["bleu"]["high"] for one in runs) * 1.1

    def place(seconds: float, figure: float) -> tuple[float, float]:
        x = MARGIN + seconds / right * (width - 2 * MARGIN)
        return round(x, 1), round(height - MARGIN - figure / top * (height - 2 * MARGIN), 1)

    (left_x, low_y), (right_x, top_y) = place(0, 0), place(right, top)
    parts = [f'<path d="M{left_x} {top_y}V{low_y}H{right_x}" fill="none" stroke="#495057"/>']
    for tick in range(0, int(top) + 1, max(1, int(top / 5))):
        x, y = place(0, tick)
        parts.append(f'<text x="{x - 8}" y="{y + 4}" text-anchor="end">{tick}</text>')
    for tick in range(0, int(right) + 1, 100):
        x, y = place(tick, 0)
        parts.append(f'<text x="{x}" y="{y + 16}" text-anchor="middle">{tick} s</text>')
    for arm, colour in zip(ARMS, COLOURS, strict=True):
        mine = [one for one in runs if one["arm"] == arm]  # by budget
        points = [place(to_model_s(one), one["metrics"]["bleu"]["value"]) for one in mine]
        line = " ".join(f"{x},{y}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for one, (x, y) in zip(mine, points, strict=True):
            ends = [place(0, one["metrics"]["bleu"][end])[1] for end in ("low", "high")]
            parts.append(f'<path d="M{x} {ends[0]}V{ends[1]}" stroke="{colour}"/>')
            parts.append(f'<circle cx="{x}" cy="{y}" r="3.5" fill="{colour}"/>')
        if points:
            x, y = points[-1]
            parts.append(f'<text x="{x - 8}" y="{y - 8}" text-anchor="end" fill="{colour}">{arm}</text>')
    title = "BLEU on Debian's sentences, English to French, against seconds from data to model"
    parts.append(f'<text x="{MARGIN}" y="24">{title}</text>')
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12"><rect width="{width}" height="{height}" fill="#fff"/>\n{body}\n</svg>\n'
    )


def main() -> int:
    """Fetch, run, print, draw, record."""
    parser = argparse.ArgumentParser(description="Translation of Debian's sentences.")
    parser.add_argument("--train", type=int, default=20_000)
    parser.add_argument("--test", type=int, default=1_000)
    parser.add_argument("--budgets", default="1m,4m", help="times for gradient steps, by commas")
    parser.add_argument("--only", choices=ARMS, help="run one arm")
    options = parser.parse_args()
    try:
        pairs = debian_descriptions.CACHE / f"sentences-{options.train}-{options.test}"
        data = debian_sentences.prepare(options.train, options.test, pairs)
        machine = measure.machine()
        with tempfile.TemporaryDirectory() as scratch:
            folder, home = Path(scratch), Path(scratch) / "home"
            runs = [
                run(arm, budget, data, folder, home)
                for arm in ([options.only] if options.only else ARMS)
                for budget in options.budgets.split(",")
            ]
    except measure.BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    report(runs)
    name = f"{NAME}-only-{options.only}" if options.only else NAME
    measure.write_result(name, {"machine": machine, "runs": runs})
    (measure.RESULTS / f"{name}.svg").write_text(draw(runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
