"""``predict``: a run and inputs in, one answer per input out, in the inputs' order."""

import itertools
from collections.abc import Iterator
from pathlib import Path

from headstart.contracts import Answer, Array, Example, Floats, Outputs, Reading
from headstart.core.errors import UserError
from headstart.core.files import write_bytes
from headstart.core.records import Prediction
from headstart.evaluation import prediction_sets, unlike
from headstart.model.features import stream
from headstart.model.head import seen
from headstart.model.saved import Model, check_classes, load_model, telling
from headstart.specs import PredictSpec
from headstart.verbs.common import allowed, say_engine


def predict(spec: PredictSpec) -> Iterator[Prediction]:
    """Yield a prediction per input; an input that cannot be read gets a reason instead.

    Raises UserError where the run or an input does not exist.
    """
    model = load_model(Path(spec.run), allowed(spec))
    task = model.task
    reading = Reading(task, model.whole, model.frozen.pretrained)
    prediction_sets.check(model.beside.get(prediction_sets.NAME), spec.coverage)
    examples = task.inputs(spec.inputs)
    folder = None if spec.out is None else _Folder(Path(spec.out), spec.run)
    for batch, features_MD, counts_n in stream(reading, examples, model.frozen, spec.engine, say_engine):
        if not len(features_MD):
            for decoded in batch:
                yield Prediction(input=decoded.example.key, prediction=None, scores={}, error=decoded.reason)
            continue
        units = [reading.parts(decoded.example).units for decoded in batch]
        with telling(Path(spec.run)):
            outputs = model.head.outputs(seen(model.head.columns, features_MD), units)
            check_classes(model, outputs)
            answers = task.answers(outputs, [decoded.example for decoded in batch], model.classes)
            beside = _beside(spec, model, outputs, features_MD, counts_n)
        for decoded, answer, (beyond, classes) in zip(batch, answers, beside, strict=True):
            yield Prediction(
                input=decoded.example.key,
                prediction=answer.prediction,
                scores=answer.scores,
                error=None,
                file=None if folder is None else folder.write(decoded.example, answer),
                unlike=beyond,
                set=classes,
            )


def _beside(
    spec: PredictSpec, model: Model, outputs: Outputs, features_MD: Floats, counts_n: Array
) -> list[tuple[float | None, tuple[str, ...] | None]]:
    """Return how far each input is beyond where it is flagged, and its prediction set if asked for."""
    sets, detector = model.beside.get(prediction_sets.NAME), model.beside.get(unlike.NAME)
    beyond: list[float | None] = [None] * len(counts_n)
    classes: list[tuple[str, ...] | None] = [None] * len(counts_n)
    if detector is not None:
        beyond = unlike.scores_of(detector, model.frozen.modality, features_MD, counts_n).tolist()
    chances_nK = model.task.chances(outputs)
    if spec.coverage is not None and sets is not None and chances_nK is not None:
        classes = list(prediction_sets.names(sets, chances_nK, spec.coverage, model.classes))
    return list(zip(beyond, classes, strict=True))


class _Folder:
    """Where answers are written as files, each under its input's name; nothing is overwritten."""

    def __init__(self, folder: Path, run: str) -> None:
        self.folder, self.run = folder, run
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, example: Example, answer: Answer) -> str:
        """Write one answer and return its path."""
        if answer.file is None:
            raise UserError(
                f"--out for {self.run}, whose answers are no files", "no --out", "leave it out, or use --json"
            )
        suffix, content = answer.file()
        stem = example.path.stem
        path = self.folder / f"{stem}{suffix}"
        for number in itertools.count(2):
            if not path.exists():
                break
            path = self.folder / f"{stem}-{number}{suffix}"
        write_bytes(path, content)
        return str(path)
