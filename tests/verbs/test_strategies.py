"""Strategies, penalties and options below the freeze line, from data to a run."""

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.core.records import Fitted
from headstart.fitting import climbing, tuning
from headstart.fitting.loop import minimise
from headstart.fitting.recipe import Recipe
from headstart.fitting.tuning import Tuning
from tests.ever_better import ever_better
from tests.model.families import PAIRS
from tests.verbs.test_masks import scenes

torch = prepare_torch()
pytestmark = pytest.mark.usefixtures("one_thread")
Fit = Callable[..., Fitted]
LITE = "pack:efficientnet-lite0"


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("data") / "t.jsonl"
    rows = [
        {"text": pair["description"], "label": "array" if "array" in pair["description"] else "other"}
        for pair in PAIRS
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def fit(table: Path, family_folder: Callable[[str], Path], tmp_path: Path) -> Fit:
    def run(**options: Any) -> Fitted:
        asked = {"base": f"hf:{family_folder('bert')}", "engine": "torch", "epochs": 1, "max_length": 24}
        return headstart.fit(str(table), out=str(tmp_path / f"run{len(options)}"), **{**asked, **options})

    return run


def moved(fitted: Fitted) -> Mapping[str, float]:
    return {one["block"]: one["moved"] for one in fitted.objective["blocks"]}


@ever_better()
def test_only_the_last_blocks_move(fit: Fit) -> None:
    found = moved(fit(strategy="last-1"))
    assert list(found) == ["embeddings", "layer.0", "layer.1"]
    assert [name for name, far in found.items() if far > 0] == ["layer.1"]


@ever_better()
def test_lower_blocks_move_less_where_rates_decay(fit: Fit) -> None:
    found = moved(fit(strategy="head-then-full", layer_decay=0.1))
    assert found["embeddings"] < found["layer.0"] < found["layer.1"]


@pytest.fixture
def minimised(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Return what is minimised below the line, as it is before the first step, with two of its losses."""
    found = list[Any]()

    def spied(objective: Any, *rest: Any) -> Any:
        objective.module.eval()
        losses = [objective.validate()["log_loss"]]
        weights = list(objective.above.module.parameters())
        for factor in (3.0, 1 / 3.0):
            with torch.no_grad():
                for one in weights:
                    one.mul_(factor)
            losses.append(objective.validate()["log_loss"])
        found.append((objective, losses))
        return minimise(objective, *rest)

    monkeypatch.setattr(tuning, "minimise", spied)
    return found


def test_epochs_are_compared_as_they_will_be_calibrated(fit: Fit, minimised: list[Any]) -> None:
    """Logits that are too large by a factor are divided in the end: they make no epoch worse."""
    fit(strategy="head-then-full")
    ((_, (before, louder, after)),) = minimised
    assert louder == pytest.approx(before, rel=0.05)
    assert after == pytest.approx(before, rel=1e-4)


@pytest.mark.parametrize(
    ("asked", "rate"),
    [
        ({"strategy": "last-1"}, 5e-5),
        ({"strategy": "lora"}, 2e-4),
        ({"strategy": "last-1", "learning_rate": 3e-3}, 3e-3),
    ],
)
def test_steps_are_as_large_as_the_strategy_bears(
    asked: dict[str, Any], rate: float, fit: Fit, minimised: list[Any]
) -> None:
    fit(**asked)
    assert minimised[0][0].recipe.learning_rate == rate


@pytest.mark.parametrize(
    ("strategy", "blocks"),
    [("head-then-full", 3), ("last-1", 1), ("lora", 2), ("full", 0)],
)
def test_delta_minds_what_a_trained_head_would_miss(
    strategy: str, blocks: int, fit: Fit, minimised: list[Any]
) -> None:
    fit(strategy=strategy, penalty="delta")
    found = minimised[0][0].penalised.attention
    assert len(found) == blocks  # of lora, those that adapters are below or in; of a random head, none
    for shares_C in found.values():
        assert float(shares_C.mean()) == pytest.approx(1)
        assert float(shares_C.max()) > 1.2


@pytest.mark.parametrize(
    ("asked", "factors"),
    [
        ({"strategy": "full"}, {10.0}),
        ({"strategy": "full", "learning_rate": 1e-4}, set()),  # that is the rate of all
        ({"strategy": "head-then-full"}, set()),
    ],
    ids=["new head", "rate given", "head begun"],
)
def test_a_head_that_begins_at_random_learns_faster(
    asked: dict[str, Any], factors: set[float], fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, seen = Recipe.build, dict[str, float]()

    def spied(recipe: Recipe, module: Any, scales: Mapping[str, float]) -> Any:
        seen.update(scales)
        assert set(seen) <= {name for name, _ in module.named_parameters()}
        return build(recipe, module, scales)

    monkeypatch.setattr(Recipe, "build", spied)
    told = fit(**asked).objective["solver"]
    assert {name.partition(".")[0] for name in seen} <= {"1"}  # what is above the trunk
    assert set(seen.values()) == factors
    assert ("what is new learns ten times as fast" in told) == bool(factors)


@ever_better()
def test_a_penalty_holds_the_weights_where_they_started(fit: Fit) -> None:
    free = fit(strategy="head-then-full", learning_rate=1e-3, epochs=2)
    held = fit(strategy="head-then-full", learning_rate=1e-3, epochs=2, penalty="l2-sp", alpha=1e3)
    assert max(moved(held).values()) < 0.5 * max(moved(free).values())
    assert (held.objective["penalty"], held.objective["alpha"]) == ("l2-sp", 1e3)
    assert "+ α R(θ)" in held.objective["formula"]


@pytest.mark.parametrize("penalty", ["l1", "l2", "delta", "bss"])
@pytest.mark.parametrize("strategy", ["last-1", "lora"])
@ever_better()
def test_penalties_go_with_any_strategy(fit: Fit, penalty: str, strategy: str) -> None:
    fitted = fit(strategy=strategy, penalty=penalty, accumulate=2)
    assert fitted.objective["penalty"] == penalty
    assert fitted.objective["epochs"][-1]["loss"] > 0


def test_a_start_that_is_kept_is_solved_on_all_examples(fit: Fit, monkeypatch: pytest.MonkeyPatch) -> None:
    """What held-out examples were for is over once no epoch is better than the head that left them out."""
    worse = itertools.count()
    monkeypatch.setattr(Tuning, "validate", lambda _: {"log_loss": float(next(worse))})
    kept, plain = fit(strategy="head-then-full", seed=1), fit(epochs=None, strategy="head", seed=1)
    assert kept.strategy == "head"
    assert [one["epoch"] for one in kept.objective["epochs"]] == [0, 1]
    assert kept.objective["examples"] == plain.objective["examples"]
    assert {name: one.value for name, one in kept.metrics.items()} == {
        name: one.value for name, one in plain.metrics.items()
    }
    assert "blocks" not in kept.objective


def test_auto_says_what_it_tried_and_keeps_what_helps(fit: Fit) -> None:
    fitted = fit(strategy="auto", learning_rate=1e-3)
    rows = fitted.objective["climb"]
    assert [row["strategy"] for row in rows] == ["head", "last-1", "head-then-full"]
    assert all(row["low"] <= row["log_loss"] <= row["high"] for row in rows)
    kept = ["head", *(row["strategy"] for row in rows[1:] if row["why"].startswith("better"))][-1]
    assert fitted.strategy == kept
    assert rows[0]["parameters"] < rows[1]["parameters"] < rows[2]["parameters"]


@pytest.mark.parametrize(
    ("losses", "kept"),
    [
        ((1.0, 0.9, 0.8), "head-then-full"),  # each surely better than the one before
        ((1.0, 0.9, 0.9001), "last-1"),  # no better than what was kept
        ((1.0, 1.1, 0.9), "head-then-full"),  # a rung that harms ends nothing
        ((1.0, 1.1, 1.2), "head"),
        ((1.0, "noisy", "noisy"), "head"),  # lower on average, by chance
    ],
)
def test_auto_keeps_what_is_surely_better(
    fit: Fit, monkeypatch: pytest.MonkeyPatch, losses: tuple[Any, ...], kept: str
) -> None:
    noise = np.random.default_rng(0).normal(size=40)
    waiting, tried = list(losses), climbing._tried

    def told(*asked: Any) -> tuple[Any, int]:
        rung, blocks = tried(*asked)
        loss = waiting.pop(0)
        each = 1.0 - 0.01 + 5 * (noise - noise.mean()) if loss == "noisy" else loss + 0.01 * noise
        return replace(rung, losses_n=each, weights_n=np.ones(40)), blocks

    monkeypatch.setattr(climbing, "_tried", told)
    fitted = fit(strategy="auto")
    assert fitted.strategy == kept
    assert ("blocks" in fitted.objective) == (kept != "head")


def test_auto_stops_where_time_is_up(fit: Fit) -> None:
    fitted = fit(strategy="auto", budget="0.001s")
    assert fitted.strategy == "head"
    assert [row["why"] for row in fitted.objective["climb"][1:]] == ["not tried: no time left"] * 2


def test_pictures_are_augmented_and_mixed(tmp_path: Path, minimised: list[Any]) -> None:
    data = Path("examples/emoji/noto").resolve()
    fitted = headstart.fit(
        str(data), out=str(tmp_path / "run"), base=LITE, image_size=32, strategy="last-1", epochs=1,
        engine="torch", augment="standard", mixup=0.2, cutmix=1.0, recompute=True, batch_size=64,
    )  # fmt: skip
    assert fitted.metrics["accuracy"].value > fitted.baselines["majority"]["accuracy"].value
    assert minimised[0][0].recipe.learning_rate == 2e-4  # batch normalisation bears larger steps


def test_masks_are_augmented_with_their_pictures(tmp_path: Path) -> None:
    fitted = headstart.fit(
        str(scenes(tmp_path / "masks", 12)), out=str(tmp_path / "run"), base=LITE, image_size=64, head="fpn",
        task="segmentation", strategy="head-then-full", epochs=1, engine="torch", augment="crop",
    )  # fmt: skip
    assert fitted.metrics["miou"].value > 0
    with pytest.raises(UserError, match="--mixup or --cutmix; expected pictures of one class each"):
        headstart.fit(
            str(tmp_path / "masks"), out=str(tmp_path / "mixed"), base=LITE, image_size=64, head="fpn",
            task="segmentation", strategy="full", epochs=1, engine="torch", cutmix=1.0,
        )  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strategy": "last-9"}, "last-9 of a model with 3 blocks; expected at most last-3"),
        ({"strategy": "lorra"}, "--strategy lorra; .*did you mean 'lora'"),
        ({"strategy": "full", "penalty": "l3"}, "no penalty is called 'l3'"),
        ({"strategy": "full", "penalty": "l2-sp", "random_init": True}, "pretrained weights to measure from"),
        ({"strategy": "full", "alpha": 0.1}, "--alpha without --penalty"),
        ({"strategy": "full", "augment": "flip"}, "--augment for texts"),
        ({"strategy": "full", "mixup": 0.2}, "--mixup or --cutmix; expected pictures of one class each"),
        ({"epochs": None, "augment": "flip"}, "--augment with --strategy head"),
        ({"epochs": None, "penalty": "l2"}, "--penalty without --head-hidden"),
        ({"head_hidden": 8, "penalty": "delta"}, "--penalty delta for a head alone"),
    ],
)
def test_what_can_not_be_asked(fit: Fit, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        fit(**options)


def test_a_rate_that_diverges_is_told_and_leaves_no_run(fit: Fit, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the loss diverged at step"):
        fit(strategy="full", learning_rate=1e30, clip=1e30)
    assert not list(tmp_path.glob("run*/run.json"))
