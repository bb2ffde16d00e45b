"""What several kinds of heads ask of the user's options."""

from headstart.contracts import Training
from headstart.core.errors import UserError
from headstart.specs import FitSpec, flag


def no_strategy(spec: FitSpec, what: str) -> UserError:
    """Return what to say of a head that is not trained together with the model below it."""
    return UserError(
        f"--strategy {spec.strategy} for {what}", "--strategy head, or another --head", "choose one"
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
