"""What several kinds of heads ask of the user's options."""

from headstart.contracts import Training
from headstart.core.errors import UserError
from headstart.specs import FitSpec, flag


def refuse_tiles(spec: FitSpec) -> None:
    """Raise UserError where a model is to train below the head on pieces of pictures."""
    if spec.tiles:
        raise UserError(
            f"--tiles with --strategy {spec.strategy}",
            "whole pictures, where the model below the head trains too",
            "leave one of them out",
        )


def refuse_mask_options(spec: FitSpec, what: str) -> None:
    """Raise UserError where the user asks for a loss of masks of a head that learns something else."""
    given = [flag(name) for name in ("loss", "class_weights") if getattr(spec, name) is not None]
    if given:
        raise UserError(f"{given[0]} for {what}", "a head that learns masks", "leave it out")


def refuse_begun(training: Training) -> None:
    """Raise UserError where a head that is solved is to begin with another: it has one minimum."""
    if training.begun is not None:
        raise UserError(
            f"{training.frozen.pretrained.base} for a head that is solved: where it begins changes nothing",
            "the model alone, or a head or a --strategy that goes by steps",
            "leave the head out of --base, or add --strategy full where this kind of head can be stepped",
        )
