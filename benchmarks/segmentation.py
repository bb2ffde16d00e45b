"""What pretraining is worth for masks, or one kind of head against another, or tiles: all else equal.

Emoji pasted on photographs with exact masks (``examples/segmentation/make.py``; no split shares an emoji or a
part of a photograph with another). By default pretrained weights are set against random ones, with the same
head; ``--against`` sets one head against another above the same weights, ``--tiles`` tiles against whole
pictures. The gap in mIoU has a 95% interval over test pictures: both models are scored on the same resamples
(paired bootstrap, 2,000 resamples).
Commands: ``python -m benchmarks.segmentation``, ``... --head fpn --against pixels``,
``... --tiles --width 1024 --most 12``.
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
    parser.add_argument("--base", default="pack:efficientnet-lite0")
    parser.add_argument("--head", default="pixels")
    parser.add_argument("--against", help="another head, in place of random weights")
    parser.add_argument("--tiles", action="store_true", help="tiles, in place of random weights")
    parser.add_argument("--seed", default="0", help="of the pictures")
    parser.add_argument("--width", default="160", help="of the pictures in px")
    parser.add_argument("--most", default="3", help="most emoji a picture")
    given = parser.parse_args()
    record: dict[str, Any] = {"machine": measure.machine(), "asked": vars(given), "models": {}}
    first, second = pair(given)
    counts = {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        maker = measure.ROOT / "examples" / "segmentation" / "make.py"
        made = ("--seed", given.seed, "--width", given.width, "--most", given.most)
        measure.run([sys.executable, str(maker), "--out", str(data), *made])
        for name, options in (first, second):
            run, started = Path(folder) / name, time.perf_counter()
            fitted = fit(str(data), out=str(run), image_size=given.image_size, base=given.base, **options)
            counts[name] = counts_of(run, data, Path(folder) / f"masks-{name}")
            record["models"][name] = {
                "seconds": round(time.perf_counter() - started, 1),
                "split": dict(fitted.split),
                "solver": fitted.objective["solver"],
                "layers": fitted.objective["layers"],
                **{metric: vars_of(one) for metric, one in fitted.metrics.items()},
            }
            record["baselines"] = {
                other: {metric: vars_of(one) for metric, one in metrics.items()}
                for other, metrics in fitted.baselines.items()
            }
    record["miou_gap"] = gap(counts[first[0]], counts[second[0]])
    rows = [
        [name, f"{one['miou']['value']:.3f}", f"{one['pixel_accuracy']['value']:.3f}", f"{one['seconds']}"]
        for name, one in record["models"].items()
    ]
    measure.print_table(["model", "mIoU", "pixel accuracy", "s"], rows)
    print("gap in mIoU: {value:.3f} ({low:.3f}-{high:.3f}) over {n} pictures".format(**record["miou_gap"]))
    default = not (given.against or given.tiles) and given.head == "pixels"
    measure.write_result(NAME if default else f"{NAME}-{first[0]}-{second[0]}", record)
    return 0


def pair(given: argparse.Namespace) -> list[tuple[str, dict[str, Any]]]:
    """Return the two models that are compared: their names, and what differs in how they are fitted."""
    if given.against:
        return [(name, {"head": name}) for name in (given.head, given.against)]
    if given.tiles:
        return [(name, {"head": given.head, "tiles": name == "tiles"}) for name in ("tiles", "whole")]
    return [
        (name, {"head": given.head, "random_init": name == "random"}) for name in ("pretrained", "random")
    ]


def vars_of(metric: Any) -> dict[str, float]:
    """Return a metric as JSON."""
    return {name: getattr(metric, name) for name in ("value", "low", "high", "n")}


if __name__ == "__main__":
    sys.exit(main())
