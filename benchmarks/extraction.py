"""Extraction: pictures a second from files to stored features, beside the engines' own rates.

The engines' rates are taken on tensors already in memory; the roof is what this machine's float32
matrix product would allow for the trunk's multiplications.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.fashion_mnist import prepare
from benchmarks.measure import machine, print_table, write_result
from headstart.contracts import Example, Inputs, Reading, Task
from headstart.core import plugins
from headstart.core.errors import EngineUnavailable
from headstart.core.frameworks import prepare_torch
from headstart.core.store import Store
from headstart.data import dataset
from headstart.model.batches import BATCH
from headstart.model.fastest import fastest
from headstart.model.features import extract
from headstart.model.trunk import FrozenModel, find_model

TARGET = 0.75
_BATCHES = 12


def main() -> int:
    """Measure, print, record; return 0 where the target is met."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="pack:efficientnet-lite0")
    parser.add_argument("--image-size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        os.environ["HEADSTART_HOME"] = home
        sizes = {"image_size": options.image_size, "max_length": None}
        model = find_model(options.base, "picture", sizes, None)
        examples = _examples()
        batch = _batch(examples, model)
        engines = {name: _median(options.repeats, run) for name, run in _engine_runs(model, batch).items()}
        fastest(model.trunk(), batch)  # measured once per machine and model: not part of the rate
        whole = _median(options.repeats, lambda: _files_to_store(examples, model))
    best = max(engines, key=lambda one: engines[one])
    roof = _roof(model, batch)
    return _report(options.base, engines, best, whole, roof)


def _report(base: str, engines: dict[str, float], best: str, whole: float, roof: float) -> int:
    rows = [
        (f"{name}, tensors in memory", f"{rate:.1f}", f"{rate / engines[best]:.2f}")
        for name, rate in engines.items()
    ]
    rows.append(("files to stored features", f"{whole:.1f}", f"{whole / engines[best]:.2f}"))
    rows.append(("roof by matrix product", f"{roof:.1f}", f"{roof / engines[best]:.2f}"))
    print_table(("extraction, " + base, "pictures/s", "ratio to best engine"), rows)
    passed = whole >= TARGET * engines[best]
    print(
        f"\n{'PASS' if passed else 'FAIL'}: {whole / engines[best]:.2f} of the best engine, target {TARGET}"
    )
    record = {"machine": machine(), "base": base, "engines": engines, "files_to_store": whole, "roof": roof}
    write_result("extraction", {**record, "ratio": whole / engines[best], "target": TARGET, "passed": passed})
    return 0 if passed else 1


def _examples() -> list[Example]:
    listing = dataset.read(prepare(400, 400), ("class-folders",))
    return [example for examples in listing.splits.values() for example in examples]


def _batch(examples: list[Example], model: FrozenModel) -> Inputs:
    task: Task = plugins.load("task", "image-classification")
    prepared = [task.prepare(one, task.content(one), model.pretrained) for one in examples[:BATCH]]
    return {"pixels": np.stack([one.inputs["pixels"] for one in prepared])}


def _engine_runs(model: FrozenModel, batch: Inputs) -> dict[str, Callable[[], int]]:
    runs: dict[str, Callable[[], int]] = {}
    for name in plugins.names("engine"):
        try:
            compiled = plugins.load("engine", name).compile(model.trunk())
        except EngineUnavailable as error:
            print(f"{name} left out: {error}", file=sys.stderr)
            continue
        compiled(batch)
        runs[name] = lambda compiled=compiled: sum(len(compiled(batch)) for _ in range(_BATCHES))
    return runs


def _files_to_store(examples: list[Example], model: FrozenModel) -> int:
    task: Task = plugins.load("task", "image-classification")
    with tempfile.TemporaryDirectory() as folder:
        features = extract(
            Reading(task, whole=False, pretrained=model.pretrained),
            examples,
            model,
            Store(Path(folder), 10**12),
        )
        features.table.close()
    return len(examples)


def _median(repeats: int, run: Callable[[], int]) -> float:
    rates = []
    for _ in range(repeats):
        start = time.perf_counter()
        count = run()
        rates.append(count / (time.perf_counter() - start))
    return round(statistics.median(rates), 1)


def _roof(model: FrozenModel, batch: Inputs) -> float:
    torch = prepare_torch()
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        model.module(torch.from_numpy(batch["pixels"][:1]))
    a = torch.randn(2048, 2048)
    best_s = min(_timed(lambda: a @ a) for _ in range(8))
    return round(2 * 2048**3 / best_s / counter.get_total_flops(), 1)


def _timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
