"""Where a Keras model can be cut into blocks: at tensors that everything behind them depends on alone."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headstart.model.keras.config import Config

WORKING = (
    *("Conv", "SeparableConv", "DepthwiseConv", "Dense", "EinsumDense", "Attention", "MultiHeadAttention"),
    *("MaxPooling", "AveragePooling", "AdaptiveAveragePooling", "AdaptiveMaxPooling", "Global", "Flatten"),
    *("Functional", "Sequential", "Model", "UpSampling"),
)
"""The beginnings of the kinds of operations that make new features."""
_PADDING = "ZeroPadding"


@dataclass(frozen=True, slots=True)
class Operation:
    """A layer or operation of a model, with those whose outputs it takes, and whether it is used once."""

    name: str
    kind: str
    takes: tuple[str, ...]
    once: bool


def operations(config: Config) -> list[Operation]:
    """Return a model's operations, each after those it takes, up to the one that gives its output.

    Raises ValueError where it has several inputs or outputs.
    """
    inner = config["config"]
    if config["class_name"] == "Sequential":
        layers = inner["layers"]
        names = [layer["config"]["name"] for layer in layers]
        before: list[tuple[str, ...]] = [(), *((name,) for name in names[:-1])]
        return [
            Operation(name, layer["class_name"], takes, True)
            for name, layer, takes in zip(names, layers, before, strict=True)
        ]
    (last,) = _ends(inner["output_layers"])
    (_first,) = _ends(inner["input_layers"])
    listed = {layer["name"]: layer for layer in inner["layers"]}
    taken = {name: tuple(_histories(layer["inbound_nodes"])) for name, layer in listed.items()}
    ordered: dict[str, Operation] = {}
    waiting = [last]
    while waiting:
        name = waiting[-1]
        missing = [one for one in taken[name] if one not in ordered]
        if missing and name not in ordered:
            waiting += missing
            continue
        waiting.pop()
        once = len(listed[name]["inbound_nodes"]) <= 1
        ordered.setdefault(name, Operation(name, listed[name]["class_name"], taken[name], once))
    return list(ordered.values())


def _ends(said: Any) -> list[str]:
    """Return the names of a model's inputs or outputs: one is written without brackets around it."""
    if isinstance(said, Mapping):
        return [name for one in said.values() for name in _ends(one)]
    return [said[0]] if said and isinstance(said[0], str) else [name for one in said for name in _ends(one)]


def _histories(part: Any) -> Iterator[str]:
    """Yield the names of the operations whose outputs a node takes, as Keras 3 or older files write it."""
    if isinstance(part, Mapping):
        history = part.get("keras_history")
        if history:
            yield history[0]
        else:
            for value in part.values():
                yield from _histories(value)
    elif isinstance(part, list):
        if len(part) == 4 and isinstance(part[0], str) and isinstance(part[1], int):
            yield part[0]
        else:
            for value in part:
                yield from _histories(value)


def cuts(operations: Sequence[Operation]) -> list[str]:
    """Return the names of the operations that end blocks, in order, the model's last one at the end.

    A block ends where the next convolution, pooling or branch begins, not inside a depthwise separable
    convolution. Blocks that each hand on all of what they got, as in DenseNet, are one.
    """
    users: dict[str, list[Operation]] = {one.name: [] for one in operations}
    place = {one.name: index for index, one in enumerate(operations)}
    for one in operations:
        for name in set(one.takes):
            users[name].append(one)
    found: list[str] = []
    reach, grown = 0, False
    worked = separable = False
    for index, one in enumerate(operations):
        worked = worked or one.kind.startswith(WORKING)
        alone, used = reach <= index and one.once, users[one.name]
        reach = max([reach, *(place[user.name] for user in used)])
        if not alone:
            continue
        if one.kind == "DepthwiseConv2D":
            separable = True
        elif one.kind.startswith(WORKING):
            separable = False
        begins = len(used) > 1 or any(user.kind.startswith((*WORKING, _PADDING)) for user in used)
        if index < len(operations) - 1 and (
            not worked or separable or not begins or one.kind.startswith(_PADDING)
        ):
            continue
        grows = one.kind == "Concatenate" and bool(found) and found[-1] in one.takes
        if grows and grown:
            found.pop()
        found.append(one.name)
        grown, worked = grows, False
    return found
