"""Near duplicates that a pretrained model sees and a hash does not: cuts, mirrored cuts, edited texts.

The model's features say which few pairs are worth a look; reading both inputs again says which are alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from headstart.auditing.alike import Alike
from headstart.contracts import Allowed, Array, Contents, Example, Fingerprint, Reading, Survey
from headstart.core import plugins
from headstart.core.errors import BadExample
from headstart.core.store import Store
from headstart.maths.outstanding import outstanding
from headstart.maths.whitening import whitening
from headstart.model.fastest import Choice
from headstart.model.features import Features, extract
from headstart.model.trunk import FrozenModel, find_model

_LEAST, _SAMPLE, _BLOCK = 3, 2_048, 1_024


def closer(survey: Survey, asked: tuple[str | None, Allowed], say: Callable[[Choice], None]) -> Contents:
    """Return what reading has shown, and what is alike by a model's features, on either side of pairs.

    ``asked`` is the model, None for the task's own, and what is allowed to have it.
    """
    task, read = survey.task, survey.read
    base, allowed = asked
    sizes = dict.fromkeys(("image_size", "max_length", "target_length", "tiles"))
    model = find_model(base or task.default_base, task.takes, sizes, None, allowed)
    unusable = {*read.unreadable, *read.empty}
    usable = [place for place in range(len(survey.examples)) if place not in unusable]
    near = Alike(len(survey.examples), read.twins)
    near.join_all(read.near)
    inputs = {place: survey.examples[place] for place in near.standing(usable)}
    _join(survey, model, inputs, near, say)
    sides = Alike(len(survey.examples), read.sides)
    targets = {
        place: replace(one, text=one.target, target=None, title=None)
        for place in sides.standing(usable)
        if (one := survey.examples[place]).target
    }
    _join(survey, model, targets, sides, say)
    found = sides.clusters()
    there = {place for cluster in found for place in cluster.places}
    exact = [cluster for cluster in read.sides if cluster.places[0] not in there]
    return replace(read, near=near.clusters(), sides=[*exact, *found])


def _join(
    survey: Survey,
    model: FrozenModel,
    inputs: Mapping[int, Example],
    alike: Alike,
    say: Callable[[Choice], None],
) -> None:
    """Join what stands out by its features and is alike when looked at."""
    if len(inputs) < _LEAST:
        return
    fingerprint: Fingerprint = plugins.load("fingerprint", survey.task.takes)
    reading = Reading(survey.task, True, model.pretrained)
    features = extract(reading, list(inputs.values()), model, Store.default(), None, say)
    with features.table:
        place_of = {id(one): place for place, one in inputs.items()}
        places = [place_of[id(one)] for one in features.examples]
        directions_NR = _directions(features, model)
    for one, other in outstanding(directions_NR):
        a, b = places[one], places[other]
        if alike.know(a, b):
            continue
        try:
            likeness = fingerprint.closely(survey.task, inputs[a], inputs[b])
        except BadExample:  # the file went away since its features were computed
            continue
        if likeness:
            alike.join(a, b, likeness)


def _directions(features: Features, model: FrozenModel) -> Array:
    """Return the last layer's features whitened, as many directions as a sample tells of, float32 [N, R]."""
    if not features.examples:
        return np.empty((0, 1), np.float32)
    columns = model.modality.layer_sets(features.columns)["last"]
    count = len(features.examples)
    sample = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(int))
    white = whitening(features.read(sample, columns))
    parts = []
    for start in range(0, count, _BLOCK):
        z_mR = white.apply(features.read(np.arange(start, min(start + _BLOCK, count)), columns))
        z_mR /= np.maximum(np.linalg.norm(z_mR, axis=1, keepdims=True), 1e-12)
        parts.append(z_mR.astype(np.float32))
    return np.concatenate(parts)
