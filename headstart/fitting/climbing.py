"""From a strategy to a trained model; ``auto`` climbs from the cheapest strategy as far as it helps."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from headstart.contracts import Array, Column, Learner, Trained, Training
from headstart.core.errors import UserError
from headstart.fitting import strategies
from headstart.fitting.recipe import parse_seconds
from headstart.fitting.strategies import Strategy
from headstart.fitting.tuning import opened, tuned
from headstart.specs import flag

log = logging.getLogger(__name__)

Sets = Mapping[str, Sequence[Column]]
_BELOW = ("layer_decay", "recompute", "augment", "mixup", "cutmix")
_RESAMPLES = 2_000
_WORTH_S = 2.0


def train(training: Training, learner: Learner, sets: Sets) -> Trained:
    """Train as the user's strategy says. Raises UserError for what can't be asked together."""
    spec = training.spec
    if spec.strategy == "auto":
        return _climb(training, learner, sets)
    strategy = strategies.parse(spec.strategy)
    if strategy.moves == "nothing":
        given = [flag(name) for name in _BELOW if getattr(spec, name)]
        if given:
            raise UserError(
                f"{given[0]} with --strategy head",
                "a strategy that trains below the head, whose features are not computed once",
                "add --strategy head-then-full",
            )
        return learner.train(training, sets)
    first = _head(training, learner, sets).head if strategy.head_first and learner.stands else None
    with opened(training, (learner, sets["last"], first), strategy) as objective:
        return tuned(objective)


def _head(training: Training, learner: Learner, sets: Sets) -> Trained:
    """Train a head to begin with, on the first fold: what that holds out chooses the epoch that follows."""
    fold = training.folds[0]
    return learner.train(replace(_plain(training), indices_n=fold[0], folds=[fold]), sets)


def _plain(training: Training) -> Training:
    """Return a training without the penalty, which is of what trains below the head."""
    return replace(training, spec=replace(training.spec, penalty=None, alpha=None))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rung:
    """A strategy that was tried; the loss of each held-out example after it, and how much each teaches."""

    strategy: Strategy
    trained: Trained
    losses_n: Array
    weights_n: Array
    seconds: float


def _climb(training: Training, learner: Learner, sets: Sets) -> Trained:
    """Try one strategy after another; keep one only where held-out examples say that it is better."""
    spec = training.spec
    if not learner.stands:
        raise UserError(
            "--strategy auto for a head that trains the whole model", "lora or full", "choose one"
        )
    ends_s = time.monotonic() + (math.inf if spec.budget is None else parse_seconds(spec.budget))
    waiting, told = ["head"], list[dict[str, Any]]()
    kept: _Rung | None = None
    while waiting:
        name, left_s = waiting.pop(0), ends_s - time.monotonic()
        if kept is not None and left_s < max(_WORTH_S, kept.seconds / 4):
            told.append({"strategy": name, "why": "not tried: no time left"})
            continue
        share = None if math.isinf(left_s) else f"{left_s / (1 + len(waiting)):.3f}"
        asked = replace(training, spec=replace(spec, budget=share))
        rung, blocks = _tried(asked, learner, sets, name)
        if kept is None:
            waiting = [f"last-{blocks // 3}", "head-then-full"] if blocks >= 3 else ["head-then-full"]
        row, better = _compared(rung, kept)
        told.append(row)
        log.info("%s: held-out loss %.4f, %s", name, row["log_loss"], row["why"])
        kept = rung if better or kept is None else kept
    assert kept is not None
    stays = kept.strategy.moves == "nothing"
    best = learner.train(_plain(training), sets) if stays else kept.trained
    return replace(best, objective={**best.objective, "climb": told, "strategy": kept.strategy.name})


def _tried(training: Training, learner: Learner, sets: Sets, name: str) -> tuple[_Rung, int]:
    """Train by a strategy; return the rung, and how many blocks the model has."""
    begun_s = time.monotonic()
    strategy, head = strategies.parse(name), _head(training, learner, sets)
    with opened(training, (learner, sets["last"], head.head), strategy) as objective:
        trained = head if strategy.moves == "nothing" else tuned(objective)
        losses_n, weights_n = objective.held_out_losses()
        rung = _Rung(
            strategy=strategy,
            trained=trained,
            losses_n=losses_n,
            weights_n=weights_n,
            seconds=time.monotonic() - begun_s,
        )
        return rung, len(objective.blocks)


def _compared(rung: _Rung, kept: _Rung | None) -> tuple[dict[str, Any], bool]:
    """Return what is told of a rung, and whether it is better than the one that was kept.

    By paired bootstrap over held-out examples: better where the interval of the difference is below 0.
    """
    drawn = np.random.default_rng(0).multinomial(
        len(rung.losses_n), np.full(len(rung.losses_n), 1 / len(rung.losses_n)), _RESAMPLES
    )
    weights_R = drawn @ rung.weights_n
    low, high = np.quantile(drawn @ rung.losses_n / weights_R, (0.025, 0.975))
    row = {
        "strategy": rung.strategy.name,
        "log_loss": float(rung.losses_n.sum() / rung.weights_n.sum()),
        "low": float(low),
        "high": float(high),
        "seconds": round(rung.seconds, 1),
        "parameters": rung.trained.objective["parameters"],
    }
    if kept is None:
        return {**row, "why": "the start"}, True
    less = drawn @ (rung.losses_n - kept.losses_n) / weights_R
    least, most = (float(one) for one in np.quantile(less, (0.025, 0.975)))
    better = most < 0
    words = f"{'better' if better else 'not better'} than {kept.strategy.name}: {least:+.3f} to {most:+.3f}"
    return {**row, "why": words}, better
