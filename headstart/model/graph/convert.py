"""Turning an ONNX file or a SavedModel into a trunk of OpenVINO's own format; run in a child process.

What OpenVINO cannot read, such as operations of the user's own, is refused: no code but OpenVINO's runs.
A conversion is believed only where its outputs are the original's on random inputs, one by one and together.

Shape letters: N examples, H height, W width, C channels, T tokens.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from headstart.core.child import limit_memory
from headstart.model.graph.blocks import Cut, above_the_features, cuts, reads

GRAPH, WEIGHTS = "graph.xml", "graph.bin"
TEXT_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_CLOSE = 1e-4
_MOST_BLOCKS = 24
_SPARE_BYTES, _TIMES_SIZE = 4 << 30, 8
_SIZE, _OTHERS, _TOKENS = 224, (96, 128), 8
TYPES = {"f32": np.float32, "f16": np.float16, "u8": np.uint8, "i32": np.int32, "i64": np.int64}
_VARIES = -1

Array = NDArray[Any]  # as in the contracts, which take longer to import than a child has to live


@dataclass(frozen=True, kw_only=True, slots=True)
class _Way:
    """A way to feed a graph: whether batches pass through it, whether its pictures may have other sizes."""

    batched: bool
    flexible: bool


_WAYS = (
    _Way(batched=True, flexible=True),
    _Way(batched=True, flexible=False),
    _Way(batched=False, flexible=False),
)


def main() -> None:
    """Convert what is named first into the folder named second; print what it is as JSON."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    files = [source] if source.is_file() else [one for one in source.rglob("*") if one.is_file()]
    limit_memory(_SPARE_BYTES + _TIMES_SIZE * sum(one.stat().st_size for one in files))
    try:
        sys.stdout.write(json.dumps(_converted(source, target)))
    except RuntimeError as error:
        raise SystemExit(f"OpenVINO says: {_reason(error)}") from error


def check() -> None:
    """Make the converted graph in the folder named first ready, as whoever predicts with it is about to."""
    folder = Path(sys.argv[1])
    limit_memory(_SPARE_BYTES + _TIMES_SIZE * (folder / WEIGHTS).stat().st_size)
    try:
        compiled(core().read_model(folder / GRAPH))
    except RuntimeError as error:
        raise SystemExit(_reason(error)) from error


def core() -> Any:
    """Return OpenVINO, which reads files instead of mapping them: one that shrinks would end the process."""
    import openvino

    found = openvino.Core()
    found.set_property({"ENABLE_MMAP": False})
    return found


def compiled(model: Any) -> Any:
    """Return a model ready to run on the CPU in float32."""
    # By default the CPU plug-in would round to bfloat16 where the hardware has it.
    hints = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    return core().compile_model(model, "CPU", hints)


def _converted(source: Path, target: Path) -> dict[str, Any]:
    """Write a graph with its blocks as outputs, and return what is to be known of it."""
    import openvino

    model = core().read_model(source)
    facts = _inputs(model)
    drawn = _drawn(model, facts)
    way, fed = _believed(model, facts, drawn)
    if facts["kind"] == "text" and not way.flexible:
        raise SystemExit("it takes texts of one length alone")
    every = cuts(fed, facts["start"])
    found = _kept(above_the_features(every), facts["kind"])
    if not found:
        raise SystemExit("nothing in it can be features: no tensor that everything flows through")
    outputs = _run(compiled(_with_outputs(fed, found)), facts, drawn, way.batched)
    places = _told_apart(found, outputs)
    trunk = _with_outputs(fed, [found[place] for place in places])
    openvino.save_model(trunk, target / GRAPH, compress_to_fp16=False)
    return {
        **facts,
        "batched": way.batched,
        "flexible": way.flexible,
        "reads": reads(model, facts["start"]) if facts["kind"] == "picture" else "",
        "blocks": [_block(found[place], outputs[place], facts) for place in places],
        "classifier": len(every) > len(above_the_features(every)),
    }


def _inputs(model: Any) -> dict[str, Any]:
    """Return what a graph takes: one picture, or a text's tokens."""
    if not model.inputs:
        raise SystemExit("it has no inputs")
    names = [one.get_any_name() for one in model.inputs]
    plain = {name: name.partition(":")[0].removeprefix("serving_default_") for name in names}
    types = {one.get_any_name(): one.get_element_type().get_type_name() for one in model.inputs}
    shape = model.inputs[0].get_partial_shape()
    batch = (_lengths(shape)[0] or 1) if shape.rank.is_static and len(shape) else 1
    fed = {"inputs": plain, "types": types, "batch": batch}
    if set(types.values()) <= TYPES.keys():
        if "input_ids" in plain.values() and set(plain.values()) <= set(TEXT_INPUTS):
            start = next(name for name in names if plain[name] == "input_ids")
            return {"kind": "text", "start": start, **fed}
        if len(names) == 1 and shape.rank.is_static and len(shape) == 4:
            return {"kind": "picture", "start": names[0], **fed, **_picture(shape)}
    listed = ", ".join(
        f"{name} {one.get_partial_shape()}" for name, one in zip(names, model.inputs, strict=True)
    )
    raise SystemExit(f"its inputs are {listed}: neither one picture nor a text's tokens")


def _picture(shape: Any) -> dict[str, Any]:
    """Return how a picture lies in the graph's input, and the side in px that it must have, if any."""
    axes = _lengths(shape)
    last = axes[3] in (1, 3) and axes[1] not in (1, 3)
    channels, sides = (axes[3], axes[1:3]) if last else (axes[1], axes[2:])
    if channels not in (None, 1, 3):
        raise SystemExit(f"it takes pictures of {channels} channels")
    if None not in sides and sides[0] != sides[1]:
        raise SystemExit(f"it takes pictures of {sides[1]} x {sides[0]} px")
    size = next((one for one in sides if one is not None), None)
    return {"channels_last": last, "channels": channels or 3, "size": size}


def _lengths(shape: Any) -> list[int | None]:
    return [one.get_length() if one.is_static else None for one in shape]


def _drawn(model: Any, facts: Mapping[str, Any], size: int | None = None) -> dict[str, Array]:
    """Return two random inputs as the graph takes them."""
    random = np.random.default_rng(0)
    if facts["kind"] == "text":
        lengths = [_lengths(one.get_partial_shape())[1] for one in model.inputs]
        tokens = next((one for one in lengths if one is not None), _TOKENS)
        ids_NT = random.integers(5, 25, (2, tokens))
        of = {"input_ids": ids_NT, "attention_mask": np.ones_like(ids_NT)}
        plain = facts["inputs"]
        return {name: of.get(plain[name], np.zeros_like(ids_NT)).astype(np.int64) for name in plain}
    side, channels = size or facts["size"] or _SIZE, facts["channels"]
    shape = (2, side, side, channels) if facts["channels_last"] else (2, channels, side, side)
    largest = 255.0 if facts["types"][facts["start"]] == "u8" else 1.0
    return {facts["start"]: random.uniform(0, largest, shape)}


def _believed(model: Any, facts: Mapping[str, Any], drawn: Mapping[str, Array]) -> tuple[_Way, Any]:
    """Return the freest way in which the graph gives what it gives as it is, and the graph made for it."""
    expected = _run(compiled(model.clone()), facts, drawn, batched=False)
    for way in _WAYS:
        fed = model.clone()
        try:
            if way.batched:
                fed.reshape({one.get_any_name(): _shape(one, facts, way) for one in fed.inputs})
            ready = compiled(fed.clone())
            found = _run(ready, facts, drawn, way.batched)
            if way.flexible and facts["kind"] == "picture":
                other = _drawn(model, facts, next(one for one in _OTHERS if one != facts["size"]))
                if any(len(one) != 2 for one in _run(ready, facts, other, way.batched)):
                    continue  # what does not fit has become more examples
        except RuntimeError:
            continue
        if all(_close(one, other) for one, other in zip(found, expected, strict=True)):
            return way, fed
    raise SystemExit("it does not give the same twice")


def _shape(given: Any, facts: Mapping[str, Any], way: _Way) -> Any:
    """Return the shape to give an input: every batch, and where the way is flexible every size."""
    import openvino

    axes = [_VARIES if one is None else one for one in _lengths(given.get_partial_shape())]
    axes[0] = _VARIES
    if way.flexible:
        varying = (1,) if facts["kind"] == "text" else (1, 2) if facts["channels_last"] else (2, 3)
        for axis in varying:
            axes[axis] = _VARIES
    return openvino.PartialShape(axes)


def _with_outputs(fed: Any, found: Sequence[Cut]) -> Any:
    """Return the part of a graph that its blocks take, with them as its outputs."""
    import openvino

    return openvino.Model([one.output for one in found], fed.get_parameters(), "trunk").clone()


def _run(ready: Any, facts: Mapping[str, Any], drawn: Mapping[str, Array], batched: bool) -> list[Array]:
    """Return a compiled graph's outputs for a batch, all of it at once or one example after another."""
    request = ready.create_infer_request()

    def outputs(part: list[int]) -> list[Array]:
        fed = {
            name: np.ascontiguousarray(array[part].astype(TYPES[facts["types"][name]]))
            for name, array in drawn.items()
        }
        return [np.array(one) for one in request.infer(fed).to_tuple()]

    if batched:
        return outputs([0, 1])
    each = [outputs([place] * facts["batch"]) for place in range(2)]
    return [np.concatenate([one[:1] for one in parts]) for parts in zip(*each, strict=True)]


def _close(one: Array, other: Array) -> bool:
    """Say whether two outputs are the same, up to a share of the largest number."""
    if one.shape != other.shape:
        return False
    largest = float(np.abs(other).max(initial=0.0))
    return bool(np.abs(one - other).max(initial=0.0) <= _CLOSE * max(largest, 1e-12))


def _kept(found: Sequence[Cut], kind: str) -> list[Cut]:
    """Return the blocks to keep: of a text's those with a state for each token, and not more than enough."""
    fit = [one for one in found if kind == "picture" or one.kind == "tokens"]
    if len(fit) <= _MOST_BLOCKS:
        return fit
    places = np.linspace(len(fit) - 1, 0, _MOST_BLOCKS).round().astype(int)[::-1]
    return [fit[place] for place in places]


def _told_apart(found: Sequence[Cut], outputs: Sequence[Array]) -> list[int]:
    """Return the places of the blocks without vectors that are the map before them, or its mean."""
    kept: list[int] = []
    for place, (one, array) in enumerate(zip(found, outputs, strict=True)):
        before = outputs[kept[-1]] if kept and found[kept[-1]].kind == "map" else None
        if before is not None and one.kind == "vector":
            vector = array.reshape(len(array), -1)
            means = (before.mean((1, 2)), before.mean((2, 3)))
            if vector.size == before.size or any(_close(vector, mean) for mean in means):
                continue
        kept.append(place)
    return kept


def _block(one: Cut, array: Array, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a block gives: its kind, and whether a map's channels come last."""
    axes = _lengths(one.output.get_partial_shape())
    last = one.kind == "map" and array.shape[1] == array.shape[2] != array.shape[3]
    if one.kind == "map" and (axes[1] is None) != (axes[3] is None):  # only channels never vary
        last = axes[3] is not None
    return {"kind": one.kind, "channels_last": last}


def _reason(error: RuntimeError) -> str:
    """Return what an error of OpenVINO's says, without where in its code."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if not line.startswith(("Exception from", "Check '"))]
    # What it advises is for those who write its extensions.
    return " ".join(told or lines).partition(" To facilitate")[0][:180]
