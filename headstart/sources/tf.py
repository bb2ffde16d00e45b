"""``tf:FOLDER``: a TensorFlow SavedModel as a frozen trunk that OpenVINO runs, without TensorFlow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from headstart.contracts import Array, Family, Network, Pretrained, Source
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.model.graph import file as graph_file
from headstart.model.graph import inputs as graph_inputs

_EXPECTED = "a SavedModel for pictures or for a text's tokens, of TensorFlow's own operations"
_GRAPH = "saved_model.pb"


@final
class TfSource(Source):
    """SavedModels as TensorFlow and Keras export them. They never train."""

    name = "tf"
    families = (Family(name="SavedModel of pictures", takes="picture", lacks=graph_inputs.LACKS),)

    def names(self) -> Sequence[str]:
        """Return nothing: SavedModels are named by path."""
        return ()

    def present(self) -> Sequence[str]:
        """Return nothing: a folder may lie anywhere."""
        return ()

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a SavedModel, converted once on a machine. Raises UserError where it is unfit."""
        base = f"tf:{name}"
        graph_file.refuse_without_weights(base, weights)
        folder = Path(name).expanduser() if name and "\0" not in name else Path("/nowhere")
        if not (folder / _GRAPH).is_file():
            raise UserError(f"{base} holds no {_GRAPH}", "a folder that TensorFlow saved", "check the path")
        found = graph_file.converted(folder, _files(base, folder), _EXPECTED)
        return graph_inputs.describe(base, folder, found, "tensorflow/graph")

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the graph as it is. Raises UserError for a size that it does not take."""
        return graph_inputs.sized(pretrained)

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return nothing: the graph holds its weights itself."""
        return {}

    def network(self, pretrained: Pretrained) -> Network:
        """Return the graph, which OpenVINO runs."""
        prepare_torch()
        from headstart.model.graph.network import GraphNetwork

        return GraphNetwork(pretrained)

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return nothing: OpenVINO reads the saved graph as it is."""
        return {}


def _files(base: str, folder: Path) -> list[Path]:
    """Return what a SavedModel consists of. Raises UserError where part of it lies elsewhere."""
    files = [folder / _GRAPH, *sorted(one for one in (folder / "variables").glob("*") if one.is_file())]
    homes = (folder.resolve(), (folder / _GRAPH).resolve().parent)
    strange = [one for one in files if not any(one.resolve().is_relative_to(home) for home in homes)]
    if strange:
        raise UserError(f"{strange[0]} leads out of {base}", _EXPECTED, "copy the whole folder")
    return files
