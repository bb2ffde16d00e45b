"""What an ONNX file may hold, operations of the standard, and which files hold its weights; a child looks."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from headstart.core.child import limit_memory

_DOMAINS = frozenset({"", "ai.onnx", "com.microsoft"})
_SPARE_BYTES, _TIMES_SIZE = 1 << 30, 4


def main() -> None:
    """Print the names of the files beside the one named first that hold its weights, as JSON.

    Ends with the reason for operations of somebody's own.
    """
    import onnx

    file = Path(sys.argv[1])
    limit_memory(_SPARE_BYTES + _TIMES_SIZE * file.stat().st_size)
    model = onnx.load(str(file), load_external_data=False)
    known = _DOMAINS | {function.domain for function in model.functions}
    beside: set[str] = set()
    for graph in _graphs((model.graph, *model.functions)):
        for node in graph.node:
            if node.domain not in known:
                raise SystemExit(f"it has an operation that is not ONNX's: {node.domain}.{node.op_type}")
        beside.update(_places(graph))
    sys.stdout.write(json.dumps(sorted(beside)))


def _graphs(begin: tuple[Any, ...]) -> Iterator[Any]:
    """Yield graphs and functions with all that is nested in them."""
    for graph in begin:
        yield graph
        for node in graph.node:
            yield from _graphs((*(one.g for one in node.attribute if one.HasField("g")),))
            yield from _graphs(tuple(inner for one in node.attribute for inner in one.graphs))


def _places(graph: Any) -> Iterator[str]:
    """Yield where a graph's own tensors are said to lie outside the file."""
    attributes = [one for node in graph.node for one in node.attribute]
    tensors = [one.t for one in attributes if one.HasField("t")]
    tensors += [tensor for one in attributes for tensor in one.tensors]
    sparse = [one.sparse_tensor for one in attributes if one.HasField("sparse_tensor")]
    sparse += [inner for one in attributes for inner in one.sparse_tensors]
    if graph.DESCRIPTOR.name == "GraphProto":
        tensors += graph.initializer
        sparse += graph.sparse_initializer
    tensors += [part for one in sparse for part in (one.values, one.indices)]
    for tensor in tensors:
        yield from (one.value for one in tensor.external_data if one.key == "location")
