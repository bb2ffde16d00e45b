"""``predict``: a run and inputs in, one answer per input out, in the inputs' order."""

from collections.abc import Iterator
from pathlib import Path

from headstart.contracts import Task
from headstart.core import plugins
from headstart.core.records import Prediction
from headstart.model.features import stream
from headstart.model.head import seen
from headstart.model.saved import load_model
from headstart.specs import PredictSpec
from headstart.verbs.common import say_engine


def predict(spec: PredictSpec) -> Iterator[Prediction]:
    """Yield a prediction per input; an input that cannot be read gets a reason instead.

    Raises UserError where the run or an input does not exist.
    """
    model = load_model(Path(spec.run))
    task: Task = plugins.load("task", model.task)
    examples = task.inputs(spec.inputs)
    for batch, features_MD in stream(task, examples, model.frozen, spec.engine, say_engine):
        if not len(features_MD):
            for decoded in batch:
                yield Prediction(input=decoded.example.key, prediction=None, scores={}, error=decoded.reason)
            continue
        units = [task.parts(decoded.example).units for decoded in batch]
        outputs = model.head.outputs(seen(model.head.columns, features_MD), units)
        answers = task.answers(outputs, model.classes)
        for decoded, (prediction, scores) in zip(batch, answers, strict=True):
            yield Prediction(input=decoded.example.key, prediction=prediction, scores=scores, error=None)
