"""How weights are stepped: the optimizer, its rate over time, when to stop and what to keep."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from headstart.core.errors import UserError
from headstart.specs import FitSpec, flag

if TYPE_CHECKING:
    from torch import nn, optim

SCHEDULES: Mapping[str, Callable[[float], float]] = {
    "constant": lambda share: 1.0,
    "linear": lambda share: 1.0 - share,
    "cosine": lambda share: 0.5 * (1.0 + math.cos(math.pi * share)),
}
GRADIENT_OPTIONS = (
    *("optimizer", "epochs", "batch_size", "learning_rate", "schedule", "warmup", "weight_decay"),
    *("clip", "accumulate", "label_smoothing", "patience", "average", "budget"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How weights are stepped; ``warmup`` is in steps, ``seconds`` is the time for all of it.

    A step sees ``batch_size`` examples in ``accumulate`` parts. Training stops after ``patience`` epochs
    without a better one; the ``average`` best epochs' weights are averaged where that is better yet. In
    ``bfloat16`` losses are computed with rounded numbers; weights and their steps stay in float32.
    """

    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    schedule: str = "constant"
    warmup: int = 0
    weight_decay: float = 0.0
    clip: float | None = None
    epochs: int = 20
    batch_size: int = 32
    accumulate: int = 1
    label_smoothing: float = 0.0
    patience: int | None = None
    average: int = 1
    seconds: float = math.inf
    precision: str = "float32"
    seed: int = 0

    @staticmethod
    def from_spec(spec: FitSpec, **defaults: Any) -> "Recipe":
        """Return what the user asked for, and a head's own ``defaults`` where nothing was asked."""
        asked = {name: getattr(spec, name) for name in GRADIENT_OPTIONS if name != "budget"}
        given = {name: value for name, value in asked.items() if value is not None}
        seconds = math.inf if spec.budget is None else parse_seconds(spec.budget)
        optimizer = given.get("optimizer", defaults.get("optimizer", "adamw"))
        rate = {"learning_rate": 1e-2} if optimizer == "sgd" else {}
        own = {"seconds": seconds, "precision": spec.precision, "seed": spec.seed}
        return Recipe(**{**defaults, **rate, **given, **own})

    def rate(self, step: int, share: float) -> float:
        """Return the learning rate of a step, counted from 0, when ``share`` of the training is over.

        Inverse square root as Vaswani et al. (arXiv 1706.03762, eq. 3), scaled to peak at ``learning_rate``.
        """
        begun = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        if self.schedule == "inverse-sqrt":
            after = max(self.warmup, 1)
            return self.learning_rate * begun * math.sqrt(after / max(step + 1, after))
        return self.learning_rate * begun * SCHEDULES[self.schedule](min(share, 1.0))

    def build(self, module: "nn.Module", scales: Mapping[str, float]) -> "optim.Optimizer":
        """Return the optimizer of what trains in a module; weight decay spares norms and biases.

        ``scales`` are factors of the learning rate by weight, 1 where none is given.
        """
        from torch import optim

        named: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, one in module.named_parameters():
            if one.requires_grad:
                named.setdefault((scales.get(name, 1.0), one.ndim > 1), []).append(one)
        groups = [
            {"params": found, "scale": scale, "weight_decay": self.weight_decay if decays else 0.0}
            for (scale, decays), found in named.items()
        ]
        kinds: dict[str, tuple[Any, dict[str, Any]]] = {
            # Fused: one pass over the weights instead of a dozen.
            "adamw": (optim.AdamW, {"fused": True}),
            "adam": (optim.Adam, {"fused": True}),
            "rmsprop": (optim.RMSprop, {}),
            "sgd": (optim.SGD, {"momentum": 0.9, "fused": True}),
        }
        kind, more = kinds[self.optimizer]
        return kind(groups, lr=self.learning_rate, **more)  # type: ignore[no-any-return]

    def describe(self) -> str:
        """Return the recipe in words."""
        most = "" if self.patience is None and self.seconds == math.inf else "at most "
        words = [f"{self.optimizer}, {most}{self.epochs} epochs, batches of {self.batch_size}"]
        words.append(f"learning rate {self.learning_rate:g} ({self.schedule})")
        if self.warmup:
            words.append(f"{self.warmup} steps of warm-up")
        if self.label_smoothing:
            words.append(f"labels smoothed by {self.label_smoothing:g}")
        kept = "the best epoch" if self.average == 1 else f"the mean of up to {self.average} best epochs"
        return ", ".join([*words, f"{kept} on validation data kept"])


def refuse_gradient_options(spec: FitSpec, why: str, remedy: str) -> None:
    """Raise UserError where the user asks for steps of a head that is solved."""
    asked = (*GRADIENT_OPTIONS, "penalty", "alpha")
    given = [flag(name) for name in asked if getattr(spec, name) is not None]
    if given and spec.strategy == "head":  # else they are for the steps that follow
        raise UserError(
            f"{given[0]} {why}", "no such option, because that head is solved, not stepped", remedy
        )


def parse_seconds(text: str) -> float:
    """Return the seconds that ``90``, ``90s``, ``10m`` or ``2h`` name. Raises UserError."""
    units = {"s": 1.0, "m": 60.0, "h": 3600.0}
    number, unit = (text[:-1], text[-1]) if text[-1:] in units else (text, "s")
    try:
        seconds = float(number) * units[unit]
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise UserError(f"--budget {text}", "a time such as 90s, 10m or 2h", "give one")
    return seconds
