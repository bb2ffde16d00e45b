"""Where a frozen graph may be cut: the tensors that everything flows through, as OpenVINO shows the graph.

A tensor is such a cut where no other one is still needed: every path from the input to the output goes
through it (it is an articulation point of the data flow). In a residual network those are its blocks' ends.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_HEAVY = frozenset(
    {"Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul", "LSTMSequence", "GRUSequence"}
)
_FLOATS = ("f32", "f16", "bf16")
_PASSING = frozenset({"Convert", "Transpose", "Pad"})
_MOST_SCALED = 20.0


@dataclass(frozen=True, slots=True)
class Cut:
    """An output of the graph's that can be a block: a ``map``, ``tokens`` or a ``vector``.

    ``depth`` counts the convolutions and matrix products that come before it.
    """

    output: Any
    kind: str
    depth: int


def cuts(model: Any, start: str) -> list[Cut]:
    """Return the cuts of an OpenVINO model in order, of those as deep as each other the last of its kind.

    What flows is what depends on the values of the input named ``start``, not on its shape alone.
    """
    flowing, last_use = _flow(model, start)
    found: dict[tuple[int, str], Cut] = {}
    live: dict[tuple[str, int], int] = {}
    depth = 0
    for place, node in enumerate(flowing):
        depth += node.get_type_name() in _HEAVY
        live = {key: until for key, until in live.items() if until > place}
        for output in node.outputs():
            key = (node.get_friendly_name(), output.get_index())
            if last_use.get(key, -1) > place:
                live[key] = last_use[key]
        mine = [one for one in node.outputs() if (node.get_friendly_name(), one.get_index()) in live]
        if place == len(flowing) - 1:  # the output itself, which nothing uses
            mine, live = node.outputs(), {("", 0): 0}
        if len(live) == len(mine) == 1 and depth and node.get_type_name() != "Pad":
            kind = _kind(mine[0])
            if kind:
                found[depth, kind] = Cut(mine[0], kind, depth)
    return list(found.values())


def _flow(model: Any, start: str) -> tuple[list[Any], Mapping[tuple[str, int], int]]:
    """Return what depends on the input's values, in order, and the last place where each output is used."""
    begin = model.input(start).get_node().get_friendly_name()
    flowing, names, last_use = list[Any](), {begin}, dict[tuple[str, int], int]()
    for node in model.get_ordered_ops():
        sources = [one.get_source_output() for one in node.inputs()]
        own = [one for one in sources if one.get_node().get_friendly_name() in names]
        if node.get_type_name() in ("ShapeOf", "Result") or not (own or node.get_friendly_name() == begin):
            continue
        for one in own:
            last_use[one.get_node().get_friendly_name(), one.get_index()] = len(flowing)
        names.add(node.get_friendly_name())
        flowing.append(node)
    return flowing, last_use


def _kind(output: Any) -> str:
    """Return what a tensor is by its axes; empty where it can be no block."""
    shape = output.get_partial_shape()
    if output.get_element_type().get_type_name() not in _FLOATS or shape.rank.is_dynamic:
        return ""
    axes = [one.get_length() if one.is_static else None for one in shape]
    if len(axes) == 2 and (axes[1] or 0) > 1:
        return "vector"
    if len(axes) == 3 and (axes[2] or 0) > 1:
        return "tokens"
    if len(axes) == 4 and (axes[1] or axes[3]):
        return "vector" if axes[2] == 1 and 1 in (axes[1], axes[3]) else "map"
    return ""


def reads(model: Any, start: str) -> str:
    """Return which numbers a picture graph expects: ``pixels`` 0 to 255, ``unit`` 0 to 1, or empty: not told.

    Told is by what the graph does itself before its first layer: that is meant to bring numbers around 0, or
    at least to make them small.
    """
    import numpy as np

    output = model.input(start)
    if output.get_element_type().get_type_name() == "u8":
        return "pixels"
    ends_22 = np.array([[0.0, 255.0], [0.0, 1.0]])
    steps = list(_before_the_first_layer(output))
    for operation, constant in steps:
        ends_22 = operation(ends_22, constant)
    if not steps:
        return ""
    aside_2 = np.abs(ends_22.mean(axis=1)) / np.maximum(np.abs(np.ptp(ends_22, axis=1)), 1e-12)
    if np.isclose(*aside_2):  # scaled and not moved
        return "pixels" if np.abs(ends_22[0]).max() <= _MOST_SCALED else "unit"
    return "pixels" if aside_2[0] < aside_2[1] else "unit"


def _before_the_first_layer(output: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the arithmetic with constants that an input goes through at first."""
    import numpy as np

    known = {"Multiply": np.multiply, "Add": np.add, "Subtract": np.subtract, "Divide": np.divide}
    while True:
        consumers = [one.get_node() for one in output.get_target_inputs()]
        computing = [one for one in consumers if one.get_type_name() != "ShapeOf"]
        if len(computing) != 1:
            return
        node = computing[0]
        name = node.get_type_name()
        if name in known:
            constant = _constant(node)
            if constant is None or constant.ndim > 4:
                return
            yield known[name], constant.reshape(-1)[:1].astype(np.float64)
        elif name not in _PASSING:
            return
        output = node.output(0)


def _constant(node: Any) -> Any:
    """Return what a node's second input always is, None where that varies."""
    source = node.input_value(1).get_node()
    while source.get_type_name() == "Convert":
        source = source.input_value(0).get_node()
    return source.get_data() if source.get_type_name() == "Constant" else None


def above_the_features(found: Sequence[Cut]) -> Sequence[Cut]:
    """Return the cuts without the last layer of a classifier: a vector computed from another vector."""
    deepest = found[-1].depth if found else 0
    below = [one for one in found if one.depth < deepest]
    last = [one for one in found if one.depth == deepest]
    is_classifier = all(one.kind == "vector" for one in last) and any(one.kind == "vector" for one in below)
    return below if is_classifier else found
