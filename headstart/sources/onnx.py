"""``onnx:FILE``: an ONNX graph, or a folder with one, as a frozen trunk that OpenVINO runs.

`onnx:./resnet.onnx`, `onnx:./all-MiniLM-L6-v2` with its `onnx/model.onnx`.
"""

from pathlib import Path
from typing import final

from headstart.contracts import Family, Pretrained
from headstart.core.errors import UserError
from headstart.model.graph import file as graph_file
from headstart.model.graph import inputs as graph_inputs
from headstart.sources._graph import GraphSource

_EXPECTED = "an ONNX file for pictures or for a text's tokens"
_INSIDE = ("model.onnx", "onnx/model.onnx")


@final
class OnnxSource(GraphSource):
    """Graphs as every framework exports them. They never train."""

    name = "onnx"
    families = (Family(name="graph of pictures", takes="picture", lacks=graph_inputs.LACKS),)

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a graph, converted for OpenVINO once on a machine. Raises UserError where it is unfit."""
        base = f"onnx:{name}"
        graph_file.refuse_without_weights(base, weights)
        file = _file(base, name)
        found = graph_file.converted(file, (file, *graph_file.beside(file, _EXPECTED)), _EXPECTED)
        return graph_inputs.describe(base, _around(file), found, "onnx/graph")


def _file(base: str, name: str) -> Path:
    """Return the graph that a name means. Raises UserError where there is none."""
    path = graph_file.named(name)
    files = [] if path is None else [path, *(path / inside for inside in _INSIDE)]
    found = next((one for one in files if one.is_file()), None)
    if found is None:
        raise UserError(f"{base} is no file", f"{_EXPECTED}, or a folder with model.onnx", "check the path")
    return found


def _around(file: Path) -> Path:
    """Return the folder with what belongs to a graph: its own, or the one above with a tokenizer."""
    above = file.parent.parent
    here = (file.parent / "config.json").is_file() or not (above / "tokenizer.json").is_file()
    return file.parent if here else above
