"""What each scored example adds to the metrics, as a run keeps it: ``examples.safetensors``.

Metrics are functions of sums over examples, so the rows that are summed are enough to resample, to cut
into slices and to compare runs, without any model. Rows are sparse: eight numbers an example for classes.

Shape letters: N examples, M statistics, B sums.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save
from scipy import sparse

from headstart.core import tensor_file
from headstart.core.errors import MachineError, UserError
from headstart.core.files import write_bytes
from headstart.core.records import Metric

FILE = "examples.safetensors"

_FORMAT = 2
"""Raised whenever a task's statistics change: sums of another kind would be read as if they were these."""

Array = NDArray[Any]
Statistics: TypeAlias = Any
"""Per-example statistics [N, M]: a float64 array or a scipy.sparse CSR array (scipy has no types)."""
Measure = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""A metric from the sums: float64 [B, M] to [B]; nan where it is undefined."""


def _as_they_are(metrics: Mapping[str, Metric], sums_1M: Array) -> dict[str, Metric]:
    return dict(metrics)


@dataclass(frozen=True, kw_only=True, slots=True)
class Measures:
    """A task's metrics as functions of sums, the leading one first.

    ``shares`` names those that are shares of examples and says of how many; ``reflected`` those that
    noise itself raises (``maths.intervals``); ``lower`` those of which less is better. ``settle`` keeps
    intervals within what is possible, given the sums.
    """

    values: Mapping[str, Measure]
    shares: Mapping[str, Measure] = field(default_factory=dict)
    reflected: frozenset[str] = frozenset()
    lower: frozenset[str] = frozenset()
    settle: Callable[[Mapping[str, Metric], Array], dict[str, Metric]] = _as_they_are


@dataclass(frozen=True, kw_only=True, slots=True)
class Tallies:
    """The statistics of the examples that were scored, and what they are of.

    ``inputs`` are SHA-256 digests of the examples' contents and ``truths`` of what is right of them, uint8
    [N, 32]; ``units_N`` numbers what is resampled as one: examples of a group share a number.
    """

    task: str
    kind: str
    classes: tuple[str, ...]
    statistics_NM: Statistics
    inputs: Array
    truths: Array
    units_N: Array

    def __len__(self) -> int:
        """Return how many examples there are."""
        return len(self.units_N)

    def of(self, places: Array) -> "Tallies":
        """Return some of the examples, in that order."""
        return Tallies(
            task=self.task,
            kind=self.kind,
            classes=self.classes,
            statistics_NM=self.statistics_NM[places],
            inputs=self.inputs[places],
            truths=self.truths[places],
            units_N=self.units_N[places],
        )

    def save(self, folder: Path) -> None:
        """Write the file into a run's folder."""
        rows = sparse.csr_array(self.statistics_NM)
        tensors = {
            "data": rows.data.astype(np.float64),
            "indices": rows.indices.astype(np.int64),
            "indptr": rows.indptr.astype(np.int64),
            "inputs": np.ascontiguousarray(self.inputs),
            "truths": np.ascontiguousarray(self.truths),
            "units": self.units_N.astype(np.int64),
        }
        about = {
            "format": _FORMAT,
            "task": self.task,
            "kind": self.kind,
            "classes": self.classes,
            "width": rows.shape[1],
        }
        write_bytes(folder / FILE, save(tensors, {"about": json.dumps(about)}))


def load_tallies(run: Path) -> Tallies:
    """Read a run's file. Raises UserError where the run has none, MachineError where it is damaged."""
    path = run / FILE
    if not path.is_file():
        raise _of_another_version(f"{run} holds no {FILE}")
    try:
        about = json.loads(tensor_file.about(path)["about"])
        read = tensor_file.load_arrays(path)
        shape = (len(read["units"]), int(about["width"]))
        rows = sparse.csr_array((read["data"], read["indices"], read["indptr"]), shape)
        rows.check_format()
    except (UserError, RecursionError, KeyError, TypeError, ValueError) as error:
        raise MachineError(f"{path} is damaged: {error}.") from error
    if about.get("format") != _FORMAT:
        raise _of_another_version(f"{path} is in the form of another version")
    return Tallies(
        task=about["task"],
        kind=about["kind"],
        classes=tuple(about["classes"]),
        statistics_NM=rows,
        inputs=read["inputs"],
        truths=read["truths"],
        units_N=read["units"],
    )


def _of_another_version(found: str) -> UserError:
    return UserError(
        found,
        "a run of this version of headstart",
        "give --data, so that the runs are scored on it now, or fit the model again",
    )


def unit_numbers(groups: Sequence[str | None]) -> Array:
    """Number what is resampled as one, int64 [N]: a group each, and each example that is in none."""
    numbers: dict[str, int] = {}
    found = np.arange(len(groups))
    for place, group in enumerate(groups):
        if group is not None:
            found[place] = numbers.setdefault(group, place)
    return np.asarray(np.unique(found, return_inverse=True)[1], dtype=np.int64)


def unit_digests(names: Sequence[bytes]) -> Array:
    """Return digests side by side, uint8 [N, 32]."""
    return np.frombuffer(b"".join(names), dtype=np.uint8).reshape(len(names), 32)
