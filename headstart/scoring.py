"""One look at held-out examples: the model and its baselines scored alike, with intervals."""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from headstart.contracts import Array, Outputs, Task
from headstart.core.files import digest_bytes
from headstart.core.records import Evaluation, Note
from headstart.core.tallies import Tallies, unit_digests, unit_numbers
from headstart.evaluation import slices
from headstart.model.features import Features
from headstart.model.saved import Model

_CHUNK_BYTES = 64 << 20


def evaluate(
    task: Task, model: Model, features: Features, indices_n: Array, look: tuple[str, int]
) -> tuple[Evaluation, Tallies]:
    """Score the model and its baselines on some of the examples; ``look`` is the split and its count.

    Returns what was found, and what each example added to it.

    Outputs are made and compared with the truth in pieces, so that memory stays flat.
    """
    head = model.head

    def compared(outputs: Callable[[Array], Outputs]) -> Array:
        parts = [
            task.compare(outputs(piece), [features.examples[index] for index in piece], model.classes)
            for piece in _pieces(features, indices_n)
        ]
        return np.concatenate(parts)

    baselines = {baseline.name: baseline for baseline in task.baselines}

    def says(piece: Array) -> Outputs:
        return head.outputs(features.read(features.places(piece), head.columns), features.units(piece))

    compared_nM = compared(says)
    examples = [features.examples[index] for index in indices_n]
    units_n = unit_numbers([example.group for example in examples])
    tallies = Tallies(
        task=task.name,
        kind=model.kind,
        classes=model.classes,
        statistics_NM=task.statistics(compared_nM, model.classes),
        inputs=unit_digests([features.digests[index] for index in indices_n]),
        truths=unit_digests([bytes.fromhex(digest_bytes(one.target_bytes())) for one in examples]),
        units_N=units_n,
    )
    shown = task.sections(compared_nM, model.classes, examples, lambda places: says(indices_n[places]))
    evaluation = Evaluation(
        split=look[0],
        metrics=task.score(compared_nM, model.classes, units_n),
        baselines={
            name: task.score(
                compared(partial(baselines[name].outputs, learnt, features)), model.classes, units_n
            )
            for name, learnt in model.baselines.items()
        },
        looks=look[1],
        dropped=tuple(features.dropped),
        notes=count_notes(features.noted),
        sections=(*shown, slices.section(task, tallies, examples)),
    )
    return evaluation, tallies


def _pieces(features: Features, indices_n: Array) -> list[Array]:
    """Cut examples into pieces whose rows of features are few, or those of one example."""
    most = max(1, _CHUNK_BYTES // (4 * features.columns[-1].stop))
    sums_n = np.cumsum(features.starts_N1[indices_n + 1] - features.starts_N1[indices_n])
    pieces, begin = list[Array](), 0
    while begin < len(indices_n):
        before = int(sums_n[begin - 1]) if begin else 0
        end = max(begin + 1, int(np.searchsorted(sums_n, before + most, side="right")))
        pieces.append(indices_n[begin:end])
        begin = end
    return pieces


def count_notes(noted: Sequence[tuple[str, str]]) -> tuple[Note, ...]:
    """Gather (what, example) pairs into one note a kind, with a few examples each."""
    kinds: dict[str, list[str]] = {}
    for what, key in noted:
        kinds.setdefault(what, []).append(key)
    return tuple(
        Note(what=what, count=len(keys), examples=tuple(keys[:3])) for what, keys in sorted(kinds.items())
    )
