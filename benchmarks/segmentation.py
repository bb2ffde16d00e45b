"""What pretraining is worth for masks: pretrained against random weights, all else equal.

Emoji pasted on photographs with exact masks (``examples/segmentation/make.py``; no split shares an emoji or a
part of a photograph with another), EfficientNet-Lite0, the same linear head on the same maps, chosen
in the same way. The gap in mIoU has a 95% interval over test pictures: both models are scored on the
same resamples (paired bootstrap, 2,000 resamples).
Command: ``python -m benchmarks.segmentation``.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import measure
from headstart import fit, predict
from headstart.data.mask import Coding, Mask
from headstart.maths import intervals, segmentation

NAME = "segmentation"
RESAMPLES = 2000


def counts_of(run: Path, data: Path, out: Path) -> np.ndarray:
    """Count test pixels by truth and prediction for each picture, [N, K, K], from the masks it writes."""
    classes = tuple((data / "classes.txt").read_text().split())
    coding = Coding(names=dict(enumerate(classes)))
    counts = []
    for told in predict(str(run), [str(data / "images" / "test")], out=str(out)):
        if told.file is None:
            raise measure.BenchmarkError(f"{told.input}: {told.error}")
        truth = Mask(data / "masks" / "test" / f"{Path(told.input).stem}.png", coding).places(classes)
        counts.append(segmentation.confusion(truth, np.asarray(Image.open(told.file)), len(classes)))
    return np.array(counts)


def gap(first_NKK: np.ndarray, second_NKK: np.ndarray) -> dict[str, float]:
    """Return the first's mIoU less the second's, with its interval over pictures."""
    both = np.concatenate([segmentation.sums(first_NKK), segmentation.sums(second_NKK)], axis=1)

    def difference(sums_BM: np.ndarray) -> np.ndarray:
        halves = (np.nanmean(segmentation.iou(half), axis=1) for half in np.split(sums_BM, 2, axis=1))
        first, second = halves
        return np.asarray(first - second)

    found = intervals.bootstrap(both, {"gap": difference}, resamples=RESAMPLES)["gap"]
    return {"value": found.value, "low": found.low or np.nan, "high": found.high or np.nan, "n": found.n}


def main() -> int:
    """Run both, print the table, write the result."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--image-size", type=int, default=224)
    given = parser.parse_args()
    record: dict[str, Any] = {"machine": measure.machine(), "image_size_px": given.image_size, "models": {}}
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        maker = measure.ROOT / "examples" / "segmentation" / "make.py"
        measure.run([sys.executable, str(maker), "--out", str(data)])
        for name in ("pretrained", "random"):
            run, started = Path(folder) / name, time.perf_counter()
            fitted = fit(str(data), out=str(run), image_size=given.image_size, random_init=name == "random")
            counts[name] = counts_of(run, data, Path(folder) / f"masks-{name}")
            record["models"][name] = {
                "seconds": round(time.perf_counter() - started, 1),
                "split": dict(fitted.split),
                "lambda": fitted.objective["lambda"],
                "layers": fitted.objective["layers"],
                **{metric: vars_of(one) for metric, one in fitted.metrics.items()},
            }
            record["baselines"] = {
                other: {metric: vars_of(one) for metric, one in metrics.items()}
                for other, metrics in fitted.baselines.items()
            }
    record["miou_gap"] = gap(counts["pretrained"], counts["random"])
    rows = [
        [name, f"{one['miou']['value']:.3f}", f"{one['pixel_accuracy']['value']:.3f}", f"{one['seconds']}"]
        for name, one in record["models"].items()
    ]
    measure.print_table(["weights", "mIoU", "pixel accuracy", "s"], rows)
    print("gap in mIoU: {value:.3f} ({low:.3f}-{high:.3f}) over {n} pictures".format(**record["miou_gap"]))
    measure.write_result(NAME, record)
    return 0


def vars_of(metric: Any) -> dict[str, float]:
    """Return a metric as JSON."""
    return {name: getattr(metric, name) for name in ("value", "low", "high", "n")}


if __name__ == "__main__":
    sys.exit(main())
