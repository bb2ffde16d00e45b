"""Memory must stay flat as data grows: peak of ``headstart fit`` on 1,000 ... 60,000 pictures.

Fashion-MNIST as PNG files, fitted at 32 px on an empty store, 400 test pictures throughout. The
peak is that of the largest single process. Printed beside it, for scale: what the labels alone
need (8 bytes each), which no fit can do without, and what the last layer's features would need if
they were held in memory, which they should not be.
Command: ``python -m benchmarks.memory``.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import fashion_mnist, measure

NAME = "memory"
COUNTS = (1_000, 10_000, 60_000)
TEST = 400
IMAGE_SIZE_PX = 32
LABEL_BYTES = 8
FEATURE_BYTES = 1280 * 4
"""One picture's last layer of EfficientNet-Lite0 in float32."""
TOLERANCE = 0.10
"""Growth that counts as flat, as a share of the smallest fit's peak: the allocator's noise."""
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Fit:
    """One fit, in MiB and seconds."""

    train: int
    peak_mib: float
    labels_mib: float
    features_mib: float
    seconds: float


def measure_fit(train: int, cache: Path) -> Fit:
    """Fit a head on ``train`` pictures in a home of its own, and measure the process."""
    # Apart, because a child's peak starts at its parent's, and writing pictures takes memory.
    with ProcessPoolExecutor(1) as apart:
        data = apart.submit(fashion_mnist.prepare, train, TEST, cache).result().resolve()
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        home.mkdir()
        command = measure.fit_command(data, Path(scratch) / "run", IMAGE_SIZE_PX)
        done = measure.run(command, {"HEADSTART_HOME": str(home)})
    return Fit(
        train=train,
        peak_mib=round(done.peak_mib, 1),
        labels_mib=round(train * LABEL_BYTES / MIB, 3),
        features_mib=round(train * FEATURE_BYTES / MIB, 1),
        seconds=round(done.seconds, 1),
    )


def allowed_growth_mib(fits: Sequence[Fit]) -> float:
    """From the smallest to the largest fit: the tolerance and the further labels."""
    return TOLERANCE * fits[0].peak_mib + fits[-1].labels_mib - fits[0].labels_mib


def report(fits: Sequence[Fit]) -> bool:
    """Print the table and the verdict; whether memory stayed flat."""
    header = ["training pictures", "peak MiB", "labels MiB", "features MiB", "seconds"]
    rows = [
        [
            f"{fit.train:,}",
            f"{fit.peak_mib:.0f}",
            f"{fit.labels_mib:.2f}",
            f"{fit.features_mib:.0f}",
            f"{fit.seconds:.1f}",
        ]
        for fit in fits
    ]
    measure.print_table(header, rows)
    growth, allowed = fits[-1].peak_mib - fits[0].peak_mib, allowed_growth_mib(fits)
    passed = growth <= allowed
    verdict = "PASS" if passed else "FAIL"
    print(f"\n{verdict}  growth {growth:.0f} MiB, at most {allowed:.0f} MiB counts as flat")
    return passed


def main() -> int:
    """Run, print, record; 1 if memory grew."""
    parser = argparse.ArgumentParser(description="Peak memory of headstart fit as data grows.")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="training pictures")
    parser.add_argument("--cache", type=Path, default=fashion_mnist.CACHE, help="for the pictures")
    options = parser.parse_args()
    fits = []
    machine = measure.machine()
    try:
        for train in sorted(options.counts):
            fits.append(measure_fit(train, options.cache))
            print(f"{train:,}: {fits[-1].peak_mib:.0f} MiB", file=sys.stderr)
    except measure.BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    passed = report(fits)
    record = {
        "machine": machine,
        "image_size_px": IMAGE_SIZE_PX,
        "test": TEST,
        "fits": [asdict(fit) for fit in fits],
        "allowed_growth_mib": round(allowed_growth_mib(fits), 1),
        "passed": passed,
    }
    # Other counts must not replace the full record.
    full = tuple(sorted(options.counts)) == COUNTS
    measure.write_result(NAME if full else f"{NAME}-partial", record)
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
