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
_ENDS = (0.025, 0.975)


def train(training: Training, learner: Learner, sets: Sets) -> Trained:
    """Train as the user's strategy says. Raises UserError for what can't be asked together."""
    spec = training.spec
    if spec.strategy == "auto":
        _refuse_begun(training)
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
    first = None
    if training.begun is None and strategy.head_first and learner.stands:
        first = _head(training, learner, sets)
    with opened(training, (learner, sets["last"], first.head if first else training.begun), strategy) as one:
        trained = tuned(one)
    if first is None or trained.moved:
        return trained
    told = {"epochs": trained.objective["epochs"], "strategy": "head"}
    best = _on_all(first, training, learner, sets)
    return replace(best, objective={**told, **best.objective})


def _refuse_begun(training: Training) -> None:
    """Raise UserError where a climb is to begin with a head that was not trained on these examples."""
    if training.begun is not None:
        raise UserError(
            f"--strategy auto from {training.frozen.pretrained.base}, which climbs from a head of its own",
            "one strategy to go on by: full, last-1, lora ...",
            "choose one, or leave the head out of --base",
        )


def _head(training: Training, learner: Learner, sets: Sets) -> Trained:
    """Train a head to begin with, on the first fold: what that holds out chooses the epoch that follows."""
    fold = training.folds[0]
    return learner.train(replace(_plain(training), indices_n=fold[0], folds=[fold]), sets)


def _on_all(head: Trained, training: Training, learner: Learner, sets: Sets) -> Trained:
    """Solve a head that is all there is on all the examples; one that is stepped holds some out anyway."""
    return head if "epochs" in head.objective else learner.train(_plain(training), sets)


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
    """Try one strategy after another; keep one only where held-out examples say that it is better.

    By paired bootstrap over them: better where the interval of the difference is below 0.
    """
    spec = training.spec
    if not learner.stands:
        raise UserError(
            "--strategy auto for a head that trains the whole model", "lora or full", "choose one"
        )
    ends_s = time.monotonic() + (math.inf if spec.budget is None else parse_seconds(spec.budget))
    kept, blocks = _tried(_within(training, ends_s, 3), learner, sets, "head")
    told = [{**_measured(kept)[0], "why": "the start"}]
    names = [f"last-{blocks // 3}", "head-then-full"] if blocks >= 3 else ["head-then-full"]
    for place, name in enumerate(names):
        if ends_s - time.monotonic() < max(_WORTH_S, kept.seconds / 4):
            told.append({"strategy": name, "why": "not tried: no time left"})
            continue
        rung, _ = _tried(_within(training, ends_s, len(names) - place), learner, sets, name)
        row, drawn = _measured(rung)
        least, most = np.quantile(drawn @ (rung.losses_n - kept.losses_n) / (drawn @ rung.weights_n), _ENDS)
        better = "better" if most < 0 else "not better"
        told.append({**row, "why": f"{better} than {kept.strategy.name}: {least:+.3f} to {most:+.3f}"})
        log.info("%s: held-out loss %.4f, %s", name, row["log_loss"], told[-1]["why"])
        kept = rung if most < 0 else kept
    stays = kept.strategy.moves == "nothing"
    best = _on_all(kept.trained, training, learner, sets) if stays else kept.trained
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


def _within(training: Training, ends_s: float, rungs: int) -> Training:
    """Return a training with its share of the time that is left for some rungs."""
    left_s = ends_s - time.monotonic()
    share = None if math.isinf(left_s) else f"{max(left_s, 1e-3) / rungs:.6f}"
    return replace(training, spec=replace(training.spec, budget=share))


def _measured(rung: _Rung) -> tuple[dict[str, Any], Array]:
    """Return what is told of a rung, and how often each held-out example is drawn in each resample [R, n]."""
    count = len(rung.losses_n)
    drawn_Rn = np.random.default_rng(0).multinomial(count, np.full(count, 1 / count), _RESAMPLES)
    low, high = np.quantile(drawn_Rn @ rung.losses_n / (drawn_Rn @ rung.weights_n), _ENDS)
    row = {
        "strategy": rung.strategy.name,
        "log_loss": float(rung.losses_n.sum() / rung.weights_n.sum()),
        "low": float(low),
        "high": float(high),
        "seconds": round(rung.seconds, 1),
        "parameters": rung.trained.objective["parameters"],
    }
    return row, drawn_Rn
