"""Does ``choose`` pick the model that ``fit`` does best with? Six data sets, six bases, every pair fitted.

For each data set: ``choose`` on ``--examples`` training examples, then ``fit`` with each base, all in
caches of their own that are cold at the start. Regret@k is the best test accuracy that any base reaches,
less the best among the first k that are named; weighted tau (Vigna 2015) compares whole rankings. Beside
the forecast stand the static prior (the ranking by source accuracy, the same for all data) and each
estimator alone. Forecasts are also made with weights that were fitted on the other data sets alone (``left
out``); the shipped ones were set beforehand. Command: ``python -m benchmarks.choose``; ``--again`` only
evaluates what is recorded.
"""

import argparse
import itertools
import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import weightedtau

import headstart
from benchmarks import choosing_data, measure
from headstart.data.split import FOLDS
from headstart.maths.forecast import ANCHOR, PRIOR, WEIGHTS, forecasts

NAME = "choose"
PACKS = ("efficientnet-lite0", "efficientnet-lite1", "efficientnet-lite2", "squeezenet1_1", "vgg16-hed")
TUNED = "lite0 tuned on digits"
TARGET_REGRET, TARGET_TIME = 0.01, 0.2
STEPS = (0.0, 0.5, 1.0)

Pairs = Mapping[str, Any]
"""Of one data set: bases, estimates by name, accuracies reached, seconds."""


def measured(name: str, folder: Path, tuned: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Choose among all bases for one data set, then fit every one; return all figures."""
    data = folder / name
    choosing_data.DATA[name](data, given.train, given.test)
    named = {**{f"pack:{one}": one for one in PACKS}, f"timm:{tuned}": TUNED}
    os.environ["HEADSTART_HOME"] = str(folder / "home-choose")
    started = time.perf_counter()
    chosen = headstart.choose(
        str(data), bases=",".join(named), examples=given.examples, image_size=given.image_size
    )
    choose_s = time.perf_counter() - started
    os.environ["HEADSTART_HOME"] = str(folder / "home-fit")
    reached, seconds = {}, {}
    for base, short in named.items():
        started = time.perf_counter()
        run = headstart.fit(
            str(data), out=str(folder / f"{name}-{short}"), base=base, image_size=given.image_size
        )
        reached[short] = vars_of(run.metrics["accuracy"])
        seconds[short] = round(time.perf_counter() - started, 1)
    ranked = {named[one.base]: one for one in chosen.ranking}
    bases = [short for short in named.values() if short in ranked]
    estimates = {key: [ranked[one].estimates[key] for one in bases] for key in chosen.ranking[0].estimates}
    return {
        "examples": chosen.examples,
        "growth": round(run.split["train"] / (chosen.examples * (1 - 1 / FOLDS)), 3),
        "bases": bases,
        "estimates": {**estimates, PRIOR: [ranked[one].source_score for one in bases]},
        "milliseconds": [ranked[one].milliseconds for one in bases],
        "accuracy": [reached[one] for one in bases],
        "choose_s": round(choose_s, 1),
        "fit_s": [seconds[one] for one in bases],
    }


def vars_of(metric: Any) -> dict[str, float]:
    """Return a metric as JSON."""
    return {name: getattr(metric, name) for name in ("value", "low", "high", "n")}


def scored(scores: Sequence[float | None], one: Pairs) -> dict[str, float]:
    """Return regret@1, regret@3 and weighted tau of a ranking; a missing score counts as average."""
    known = [score for score in scores if score is not None]
    filled = np.array([np.mean(known) if score is None else score for score in scores])
    reached = np.array([accuracy["value"] for accuracy in one["accuracy"]])
    order = np.argsort(-filled, kind="stable")
    regrets = {f"regret@{k}": float(reached.max() - reached[order[:k]].max()) for k in (1, 3)}
    return {**regrets, "tau": float(weightedtau(filled, reached).statistic)}


def forecast_of(one: Pairs, weights: Mapping[str, float]) -> list[float]:
    """Return each base's forecast with some weights."""
    return [found.value for found in forecasts(one["estimates"], one["examples"], one["growth"], weights)]


def fitted_weights(sets: Sequence[Pairs]) -> dict[str, float]:
    """Return the weights, out of a coarse grid, with the least squared error of the forecast.

    Errors are taken less their mean over the bases of a data set: what a small sample costs all bases alike
    does not move the ranking.
    """
    names = [name for name in sets[0]["estimates"] if name != ANCHOR]
    best, least = {ANCHOR: 1.0}, np.inf
    for others in itertools.product(STEPS, repeat=len(names)):
        weights = {ANCHOR: 1.0, **dict(zip(names, others, strict=True))}
        error = np.mean([np.var(_errors(one, weights)) for one in sets])
        if error < least - 1e-9:
            best, least = weights, error
    return best


def _errors(one: Pairs, weights: Mapping[str, float]) -> np.ndarray:
    return np.array([accuracy["value"] for accuracy in one["accuracy"]]) - forecast_of(one, weights)


def fitted_gain(sets: Sequence[Pairs]) -> float:
    """Return the power by which what is missing to 1 shrank from the forecast's examples to fit's."""
    grid = np.arange(0.0, 1.01, 0.05)

    def error(gain: float) -> float:
        off = []
        for one in sets:
            at_first = [f.value for f in forecasts(one["estimates"], one["examples"])]
            reached = np.array([accuracy["value"] for accuracy in one["accuracy"]])
            off.append(reached - (1 - (1 - np.array(at_first)) * one["growth"] ** -gain))
        return float(np.mean(np.concatenate(off) ** 2))

    return round(float(min(grid, key=error)), 2)


def spread_of(sets: Sequence[Pairs]) -> float:
    """Return how far forecasts lay off beyond what counting so many examples explains, on both sides."""
    beyond = []
    for one in sets:
        found = forecasts(one["estimates"], one["examples"], one["growth"])
        for f, a in zip(found, one["accuracy"], strict=True):
            beyond.append(
                (a["value"] - f.value) ** 2 - f.value * (1 - f.value) * (1 / one["examples"] + 1 / a["n"])
            )
    return round(float(np.sqrt(max(np.mean(beyond), 0.0))), 4)


def evaluated(sets: Mapping[str, Pairs]) -> dict[str, Any]:
    """Return what every way to rank reaches on average, how far forecasts lay off, and the times."""
    ways: dict[str, list[dict[str, float]]] = {}
    left_out, covered, off = [], [], []
    for name, one in sets.items():
        others = fitted_weights([other for key, other in sets.items() if key != name] or [one])
        left_out.append({name: others})
        rankings = {
            key: scores for key, scores in one["estimates"].items() if any(s is not None for s in scores)
        }
        rankings |= {"forecast": forecast_of(one, WEIGHTS), "forecast, left out": forecast_of(one, others)}
        for way, scores in rankings.items():
            ways.setdefault(way, []).append(scored(scores, one))
        found = forecasts(one["estimates"], one["examples"], one["growth"])
        covered += [f.low <= a["value"] <= f.high for f, a in zip(found, one["accuracy"], strict=True)]
        off += [a["value"] - f.value for f, a in zip(found, one["accuracy"], strict=True)]
    means = {
        way: {key: round(float(np.mean([one[key] for one in rows])), 4) for key in rows[0]}
        for way, rows in ways.items()
    }
    choose_s = sum(one["choose_s"] for one in sets.values())
    fit_s = sum(sum(one["fit_s"]) for one in sets.values())
    return {
        "ways": means,
        "coverage_of_95%_intervals": round(float(np.mean(covered)), 3),
        "reached_less_forecast": {"mean": round(float(np.mean(off)), 4), "sd": round(float(np.std(off)), 4)},
        "weights_fitted_on_all": fitted_weights(list(sets.values())),
        "weights_left_out": left_out,
        "gain_fitted_on_all": fitted_gain(list(sets.values())),
        "spread": spread_of(list(sets.values())),
        "choose_s": round(choose_s, 1),
        "fit_all_s": round(fit_s, 1),
        "share_of_time": round(choose_s / fit_s, 3),
    }


def told(record: Mapping[str, Any]) -> int:
    """Print the figures; return 0 where every target is reached, else 1."""
    ways = record["evaluated"]["ways"]
    rows = [
        [way, *(f"{one[key]:.4f}" for key in ("regret@1", "regret@3", "tau"))] for way, one in ways.items()
    ]
    measure.print_table(["ranked by", "regret@1", "regret@3", "weighted tau"], rows)
    others = [one["regret@1"] for way, one in ways.items() if not way.startswith("forecast")]
    regret, share = ways["forecast"]["regret@1"], record["evaluated"]["share_of_time"]
    print(f"choose took {share:.2f} of the time of fitting all bases")
    passed = {
        f"mean regret@1 {regret:.4f} <= {TARGET_REGRET}": regret <= TARGET_REGRET,
        f"regret@1 below the best single one's, {min(others):.4f}": regret < min(others),
        f"time {share:.2f} < {TARGET_TIME}": share < TARGET_TIME,
    }
    for what, reached in passed.items():
        print("PASS" if reached else "FAIL", what)
    return 0 if all(passed.values()) else 1


def main() -> int:
    """Measure every pair, evaluate, print and record."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--train", type=int, default=450)
    parser.add_argument("--test", type=int, default=450)
    parser.add_argument("--examples", type=int, default=150)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--only", default=",".join(choosing_data.DATA))
    parser.add_argument("--again", action="store_true", help="only evaluate what is recorded")
    given = parser.parse_args()
    path = measure.RESULTS / f"{NAME}.json"
    if given.again:
        record = json.loads(path.read_text())
    else:
        record = {"machine": measure.machine(), "asked": vars(given), "sets": {}}
        with tempfile.TemporaryDirectory() as folder:
            where = Path(folder)
            os.environ["HEADSTART_HOME"] = str(where / "home-tuned")
            choosing_data.pretraining(where / "pretraining")
            how = {"strategy": "head-then-full", "epochs": 2, "image_size": given.image_size}
            headstart.fit(str(where / "pretraining"), out=str(where / "tuned"), **how)
            for name in given.only.split(","):
                record["sets"][name] = measured(name, where, where / "tuned" / "model", given)
                print(name, json.dumps(record["sets"][name]), flush=True)
                measure.write_result(NAME, record)  # what is measured is kept, whatever comes
    record["evaluated"] = evaluated(record["sets"])
    measure.write_result(NAME, record)
    return told(record)


if __name__ == "__main__":
    sys.exit(main())
