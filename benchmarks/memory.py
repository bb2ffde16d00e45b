"""Memory must stay flat as data grows: peak of ``fit`` and of ``evaluate`` on 1,000 ... 60,000 pictures.

Fashion-MNIST as PNG files, fitted at 32 px on an empty store, 400 test pictures throughout. The
peak is that of the largest single process. Printed beside it, for scale: what the labels alone
need (8 bytes each), which no fit can do without, and what the last layer's features would need if
they were held in memory, which they should not be. ``evaluate`` scores a run that was fitted on the fewest
pictures; what it must keep of each is its name and what it adds to the metrics, so an example has its
bytes, counted from where the buffers of fixed size are full. Other kinds of data, invented, are scored by
``--what texts``, ``masks``, ``documents`` and ``sentences``, in numbers of their own.
Command: ``python -m benchmarks.memory``; ``--what evaluate`` for the second part alone.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks import fashion_mnist, measure
from benchmarks.memory_data import FIT, KINDS

NAME = "memory"
COUNTS = (1_000, 10_000, 60_000)
INVENTED = {
    "texts": (1_000, 10_000, 40_000),
    "masks": (1_000, 4_000, 12_000),
    "documents": (1_000, 4_000, 12_000),
    "sentences": (1_000, 4_000, 12_000),
}
TEST = 400
IMAGE_SIZE_PX = 32
LABEL_BYTES = 8
FEATURE_BYTES = 1280 * 4
"""One picture's last layer of EfficientNet-Lite0 in float32."""
TOLERANCE = 0.10
"""Growth that counts as flat, as a share of the smallest fit's peak: the allocator's noise."""
MOST_BYTES = 2_000
"""By which the memory of ``evaluate`` may grow an example, from the second count on."""
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


@dataclass(frozen=True, kw_only=True)
class Look:
    """One evaluation, in MiB and seconds."""

    examples: int
    peak_mib: float
    seconds: float


def measure_looks(counts: Sequence[int], cache: Path) -> list[Look]:
    """Evaluate one run on so many pictures, in processes of their own."""
    looks = []
    with tempfile.TemporaryDirectory() as scratch:
        run, home = Path(scratch) / "run", {"HEADSTART_HOME": scratch}
        for count in counts:
            with ProcessPoolExecutor(1) as apart:
                data = apart.submit(fashion_mnist.prepare, count, TEST, cache).result().resolve()
            if not run.exists():
                measure.run(measure.fit_command(data, run, IMAGE_SIZE_PX), home)
            command = [measure.headstart_command(), "evaluate", str(run), str(data), "--split", "train"]
            done = measure.run([*command, "--json"], home)
            peak, seconds = round(done.peak_mib, 1), round(done.seconds, 1)
            looks.append(Look(examples=count, peak_mib=peak, seconds=seconds))
            print(f"evaluate, {count:,}: {peak:.0f} MiB", file=sys.stderr)
    return looks


def measure_invented(kind: str, counts: Sequence[int]) -> list[Look]:
    """Fit a run on a few examples, and evaluate it on so many others, in processes of their own."""
    looks, made = [], KINDS[kind]
    with tempfile.TemporaryDirectory() as scratch:
        run, home = Path(scratch) / "run", {"HEADSTART_HOME": scratch}
        data = made.write(Path(scratch) / "fit", 0, FIT)
        command = [measure.headstart_command(), "fit", str(data), "--out", str(run), *made.options]
        measure.run([*command, "--json"], home)
        for count in counts:
            with ProcessPoolExecutor(1) as apart:
                written = apart.submit(made.write, Path(scratch) / str(count), FIT, count)
                data = written.result().resolve()
            command = [measure.headstart_command(), "evaluate", str(run), str(data), "--json"]
            done = measure.run(command, home)
            peak, seconds = round(done.peak_mib, 1), round(done.seconds, 1)
            looks.append(Look(examples=count, peak_mib=peak, seconds=seconds))
            print(f"{kind}, {count:,}: {peak:.0f} MiB", file=sys.stderr)
    return looks


def bytes_an_example(looks: Sequence[Look]) -> float:
    """Return the growth of the peak from the second count, or the only one, to the last."""
    first, last = looks[min(1, len(looks) - 1)], looks[-1]
    return (last.peak_mib - first.peak_mib) * MIB / max(last.examples - first.examples, 1)


def report_looks(looks: Sequence[Look], what: str = "pictures") -> bool:
    """Print the table and the verdict; whether memory stayed flat."""
    rows = [[f"{one.examples:,}", f"{one.peak_mib:.0f}", f"{one.seconds:.1f}"] for one in looks]
    measure.print_table([f"{what} evaluated", "peak MiB", "seconds"], rows)
    passed = bytes_an_example(looks) <= MOST_BYTES
    growth = f"growth {bytes_an_example(looks):,.0f} bytes an example, at most {MOST_BYTES:,}"
    print(f"\n{'PASS' if passed else 'FAIL'}  {growth}")
    return passed


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


def record_fits(counts: Sequence[int], cache: Path) -> bool:
    """Fit, print, record; whether memory stayed flat."""
    machine, fits = measure.machine(), []
    for train in counts:
        fits.append(measure_fit(train, cache))
        print(f"{train:,}: {fits[-1].peak_mib:.0f} MiB", file=sys.stderr)
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
    measure.write_result(NAME if tuple(counts) == COUNTS else f"{NAME}-partial", record)
    return passed


def record_looks(what: str, counts: Sequence[int] | None, cache: Path) -> bool:
    """Evaluate, print, record; whether memory stayed flat."""
    usual, machine = INVENTED.get(what, COUNTS), measure.machine()
    counts = counts or usual
    looks = measure_invented(what, counts) if what in INVENTED else measure_looks(counts, cache)
    passed = report_looks(looks, what if what in INVENTED else "pictures")
    record = {
        "machine": machine,
        **({} if what in INVENTED else {"image_size_px": IMAGE_SIZE_PX}),
        "looks": [asdict(look) for look in looks],
        "bytes_an_example": round(bytes_an_example(looks)),
        "allowed_bytes_an_example": MOST_BYTES,
        "passed": passed,
    }
    name = f"{NAME}-{what}"
    measure.write_result(name if tuple(counts) == usual else f"{name}-partial", record)
    return passed


def _part(what: str, counts: Sequence[int] | None, cache: Path) -> bool:
    return record_fits(counts or COUNTS, cache) if what == "fit" else record_looks(what, counts, cache)


def main() -> int:
    """Run, print, record; 1 if memory grew."""
    pictures = ("fit", "evaluate")
    parser = argparse.ArgumentParser(description="Peak memory of headstart as data grows.")
    parser.add_argument("--what", nargs="+", choices=(*pictures, *INVENTED), default=pictures)
    parser.add_argument("--counts", type=int, nargs="+", help="examples, in place of the usual numbers")
    parser.add_argument("--cache", type=Path, default=fashion_mnist.CACHE, help="for the pictures")
    options = parser.parse_args()
    try:
        passed = [_part(what, sorted(options.counts or ()), options.cache) for what in options.what]
    except measure.BenchmarkError as error:
        print(error, file=sys.stderr)
        return 2
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
