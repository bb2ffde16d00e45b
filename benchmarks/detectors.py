"""Which detector tells inputs that are unlike what a model was fitted on.

Fitted on one kind of examples and asked about another: emoji drawn in another style (at the model's own size
and small), clothes against emoji, mails against postings. Of each detector the share flagged among held-out
examples of the first kind, which is to be near 0.05, the share among the others, and the AUROC; means over
seeds, each of which draws another split.
Command: ``python -m benchmarks.detectors``.
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import headstart
from benchmarks import fashion_mnist, measure, newsgroups
from headstart.evaluation.unlike import DEFAULT, DETECTORS

NAME = "detectors"
EXAMPLES = measure.ROOT / "examples"
NOTO, FLUENT = EXAMPLES / "emoji/noto", EXAMPLES / "emoji/fluent"
MEASURED = ("ood_rate", "ood_rate_against", "ood_auroc")


def cases() -> Mapping[str, tuple[Path, Path, Mapping[str, Any]]]:
    """Return what is fitted on, what is asked about, and options."""
    return {
        "Noto's emoji, Fluent's": (NOTO, FLUENT, {}),
        "the same at 64 px": (NOTO, FLUENT, {"image_size": 64}),
        "clothes, emoji": (fashion_mnist.prepare(400, 400), FLUENT, {"image_size": 64}),
        "mails, postings": (
            EXAMPLES / "mail/mails.csv",
            newsgroups.prepare(200, 300) / "test.csv",
            {"max_length": 64},
        ),
    }


def measured(data: Path, against: Path, options: Mapping[str, Any], seed: int) -> list[float]:
    """Return the two shares that are flagged, and the AUROC."""
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        headstart.fit(str(data), out=run, seed=seed, layers="last", l2=1e-4, **options)
        found = headstart.evaluate(run, str(data), against=str(against))
    return [found.metrics[name].value for name in MEASURED]


def main() -> int:
    """Fit, look, print, record; 1 where the default is not the best on average."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seeds", type=int, default=5)
    seeds = parser.parse_args().seeds
    record: dict[str, dict[str, dict[str, float]]] = {}
    for case, (data, against, options) in cases().items():
        for detector in DETECTORS:
            given = {**options, "detector": detector}
            found = np.array([measured(data, against, given, seed) for seed in range(seeds)])
            error = float(found[:, 2].std(ddof=1) / np.sqrt(seeds)) if seeds > 1 else float("nan")
            told = dict(zip(MEASURED, found.mean(axis=0).round(4).tolist(), strict=True))
            record.setdefault(case, {})[detector] = {**told, "standard_error": round(error, 4)}
            print(case, detector, record[case][detector], flush=True)
    rows = [
        [case, detector, *(f"{one[name]:.3f}" for name in (*MEASURED, "standard_error"))]
        for case, by_detector in record.items()
        for detector, one in by_detector.items()
    ]
    measure.print_table(["", "detector", "flagged", "of the others", "AUROC", "its error"], rows)
    means = {
        detector: np.mean([by_detector[detector]["ood_auroc"] for by_detector in record.values()])
        for detector in DETECTORS
    }
    best = max(means, key=lambda detector: means[detector])
    print(
        "PASS" if best == DEFAULT else "FAIL", {name: round(float(mean), 4) for name, mean in means.items()}
    )
    measure.write_result(NAME, {"machine": measure.machine(), "seeds": seeds, "cases": record})
    return 0 if best == DEFAULT else 1


if __name__ == "__main__":
    sys.exit(main())
