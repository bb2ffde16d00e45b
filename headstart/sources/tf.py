"""``tf:FOLDER``: a TensorFlow SavedModel as a frozen trunk that OpenVINO runs, without TensorFlow."""

from pathlib import Path
from typing import final

from headstart.contracts import Family, Pretrained
from headstart.core.errors import UserError
from headstart.model.graph import file as graph_file
from headstart.model.graph import inputs as graph_inputs
from headstart.sources._graph import GraphSource

_EXPECTED = "a SavedModel for pictures or for a text's tokens, of TensorFlow's own operations"
_GRAPH = "saved_model.pb"


@final
class TfSource(GraphSource):
    """SavedModels as TensorFlow and Keras export them. They never train."""

    name = "tf"
    families = (Family(name="SavedModel of pictures", takes="picture", lacks=graph_inputs.LACKS),)

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a SavedModel, converted once on a machine. Raises UserError where it is unfit."""
        base = f"tf:{name}"
        graph_file.refuse_without_weights(base, weights)
        folder = graph_file.named(name)
        if folder is None or not (folder / _GRAPH).is_file():
            raise UserError(f"{base} holds no {_GRAPH}", "a folder that TensorFlow saved", "check the path")
        found = graph_file.converted(folder, _files(base, folder), _EXPECTED)
        return graph_inputs.describe(base, folder, found, "tensorflow/graph")


def _files(base: str, folder: Path) -> list[Path]:
    """Return what a SavedModel consists of. Raises UserError where part of it lies elsewhere."""
    files = [folder / _GRAPH, *sorted(one for one in (folder / "variables").glob("*") if one.is_file())]
    homes = (folder.resolve(), (folder / _GRAPH).resolve().parent)
    strange = [one for one in files if not any(one.resolve().is_relative_to(home) for home in homes)]
    if strange:
        raise UserError(f"{strange[0]} leads out of {base}", _EXPECTED, "copy the whole folder")
    return files
