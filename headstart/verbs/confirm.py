"""The first few candidates settled by training them for real, on what is not the test split."""

import logging
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from headstart.contracts import Training
from headstart.core.records import Metric
from headstart.core.store import Store
from headstart.data.split import Dataset, folds_of
from headstart.model.features import extract
from headstart.model.saved import Model
from headstart.scoring import Look, evaluate
from headstart.verbs.candidates import Candidate
from headstart.verbs.common import say_engine

_CROSS_VALIDATION_EXAMPLES = 1000

log = logging.getLogger(__name__)


def confirm(left_s: float, first: Sequence[Candidate], data: Dataset) -> tuple[str, dict[str, Metric]]:
    """Train candidates one after another until time is spent, one at least; return what each reached.

    Each is trained on the train split and scored on the validation split, or on a fifth of train where there
    is none; the test split stays unseen. Its metric's name comes first.
    """
    found, name = dict[str, Metric](), ""
    for place, one in enumerate(first):
        if place and left_s <= 0:
            log.info("the budget is spent: %d of %d confirmed", place, len(first))
            break
        started = time.perf_counter()
        metrics = _metrics(one, data, left_s / (len(first) - place))
        left_s -= time.perf_counter() - started
        name, found[one.spec.base or ""] = next(iter(metrics.items()))
        log.info("%s: %s %.3f after training", one.spec.base, name, found[one.spec.base or ""].value)
    return name, found


def _metrics(one: Candidate, data: Dataset, seconds: float) -> dict[str, Metric]:
    """Train one candidate and score it, in so many seconds of gradient steps where its head is stepped."""
    timed = one.learner.stepped and seconds < math.inf
    asked = replace(one.spec, budget=f"{max(seconds, 1.0):.1f}s") if timed else one.spec
    everything = (*data.train, *data.val)
    features = extract(one.reading, everything, one.model, Store.default(), None, say_engine)
    with features.table, tempfile.TemporaryDirectory() as folder:
        held = {example.key for example in data.val}
        is_held_N = np.array([example.key in held for example in features.examples], dtype=bool)
        train_n, held_n = np.flatnonzero(~is_held_N), np.flatnonzero(is_held_N)
        if not len(held_n):
            train_n, held_n = folds_of(features.examples, asked.seed)[0]
        folds = folds_of([features.examples[index] for index in map(int, train_n)], asked.seed)
        folds = folds if len(train_n) <= _CROSS_VALIDATION_EXAMPLES else folds[:1]
        training = Training(
            spec=asked,
            reading=one.reading,
            frozen=one.model,
            rows=features,
            classes=data.classes,
            indices_n=train_n,
            folds=[(train_n[fit], train_n[validate]) for fit, validate in folds],
            checkpoints=Path(folder),
        )
        trained = one.learner.train(training, one.model.modality.layer_sets(features.columns))
        model = Model(
            task=one.reading.task,
            kind=data.kind,
            learner=one.learner.name,
            classes=data.classes,
            frozen=one.model.trained(trained.moved),
            head=trained.head,
            baselines={},
        )
        if trained.moved:  # the trunk is another function now
            features = extract(
                one.reading, features.examples, model.frozen, Store.default(), None, say_engine
            )
        with features.table:
            look = Look(split="val", count=0)
            return dict(evaluate(one.reading.task, model, features, held_n, look)[0].metrics)
