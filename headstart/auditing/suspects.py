"""Labels that are probably wrong, by a head on frozen features that has not seen the example it judges."""

import logging
from collections import Counter
from collections.abc import Callable, Mapping

import numpy as np

from headstart.contracts import Allowed, Array, Example, Learner, Reading, Survey, Suspect
from headstart.core import plugins
from headstart.core.store import Store
from headstart.data.labels import places
from headstart.data.split import folds_of
from headstart.fitting import probe
from headstart.fitting.probe import Problem, View
from headstart.maths import confident, softmax
from headstart.model.fastest import Choice
from headstart.model.features import Features, extract
from headstart.model.trunk import find_model

log = logging.getLogger(__name__)

_LEAST_OF_CLASS = 5


def suspects(
    survey: Survey, asked: tuple[str | None, Allowed], seed: int, say: Callable[[Choice], None]
) -> list[Suspect] | None:
    """Judge each label by 5-fold cross-validation of the convex head, as ``fit`` solves it.

    ``asked`` is the model, None for the task's own, and what is allowed to have it.

    The features stay in the store, where ``fit`` with the same model finds them. Returns None, and says why,
    where the examples have no single label each, or too few of them.
    """
    own, task = _judged(survey), survey.task
    if not own:
        return None
    base, allowed = asked
    learner: Learner = plugins.load("learner", task.learners[0])
    kinds = [name for name in learner.modalities if plugins.load("modality", name).takes == task.takes]
    sizes = dict.fromkeys(("image_size", "max_length", "target_length", "tiles"))
    model = find_model(base or task.default_base, kinds[0], sizes, None, allowed)
    reading = Reading(task, learner.whole, model.pretrained)
    features = extract(reading, list(own.values()), model, Store.default(), None, say)
    with features.table:
        place_of = {id(one): place for place, one in own.items()}
        judged = [place_of[id(one)] for one in features.examples]
        classes = sorted({one.label for one in features.examples})
        sets = model.modality.layer_sets(features.columns)
        views = {name: View.of_columns(features, columns) for name, columns in sets.items() if columns}
        probabilities_NK = _out_of_sample(features, classes, views, seed)
        labels_N = places(features.examples, classes)
    found = confident.suspected(probabilities_NK, labels_N)
    return [
        Suspect(
            judged[place],
            classes[likely],
            float(probabilities_NK[place, labels_N[place]]),
            float(probabilities_NK[place, likely]),
        )
        for place, likely in zip(*found, strict=True)
    ]


def _judged(survey: Survey) -> dict[int, Example]:
    """Return the readable examples of classes that have enough; none, saying why, where there are none."""
    own = {place: survey.examples[place] for place in survey.own() if place not in survey.read.unreadable}
    if any(one.truth is not None or not one.label for one in own.values()):
        log.info("Labels are not judged: they are no single one for each example.")
        return {}
    counts = Counter(one.label for one in own.values())
    judged = {place: one for place, one in own.items() if counts[one.label] >= _LEAST_OF_CLASS}
    if len({one.label for one in judged.values()}) < 2:
        log.info("Labels are not judged: fewer than two classes have %d examples.", _LEAST_OF_CLASS)
        return {}
    return judged


def _out_of_sample(features: Features, classes: list[str], views: Mapping[str, View], seed: int) -> Array:
    """Return each example's probabilities [N, K] by a head that was solved on the other folds."""
    problem = Problem(targets=places(features.examples, classes), num_classes=len(classes))
    folds = folds_of(features.examples, seed)
    few = [probe.subsample(folds[0], seed)]
    best = probe.select(problem, views, few, probe.L2_GRID)[0]
    view = views[best.layers]
    factor = probe.settle(problem, view, few, best.l2).factor
    logits_NK = np.zeros((len(features.examples), len(classes)))
    for fit, held_out in folds:
        layer = probe.solve(problem, view, fit, best.l2).times(factor)
        for part in view.pieces(held_out):
            logits_NK[part] = layer.logits(view.read(part))
    return softmax.probabilities(logits_NK)
