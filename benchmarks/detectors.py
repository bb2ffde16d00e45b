"""Which detector tells drawings of another style: fitted on Noto's emoji, asked about the same in Fluent's.

    python -m benchmarks.detectors [--seeds 8]

Prints, for each detector, the mean over seeds (each draws another split) of the share flagged among held-out
Noto emoji, the share flagged among Fluent's, and the AUROC.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np

import headstart
from headstart.evaluation.unlike import DETECTORS

EMOJI = Path(__file__).resolve().parents[1] / "examples" / "emoji"
MEASURED = ("ood_rate", "ood_rate_against", "ood_auroc")


def main() -> None:
    """Fit, look, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=8)
    seeds = parser.parse_args().seeds
    print("detector      flagged: Noto  Fluent   AUROC (standard error)")
    for detector in DETECTORS:
        found = np.array([_measured(detector, seed) for seed in range(seeds)])
        usual, other, auroc = found.mean(axis=0)
        error = found[:, 2].std(ddof=1) / np.sqrt(seeds) if seeds > 1 else float("nan")
        print(f"{detector:<13} {usual:13.3f} {other:7.3f} {auroc:7.3f} ({error:.3f})", flush=True)


def _measured(detector: str, seed: int) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        run = str(Path(folder) / "run")
        headstart.fit(str(EMOJI / "noto"), out=run, detector=detector, seed=seed, layers="last", l2=1e-4)
        found = headstart.evaluate(run, str(EMOJI / "noto"), against=str(EMOJI / "fluent"))
        return [found.metrics[name].value for name in MEASURED]


if __name__ == "__main__":
    main()
