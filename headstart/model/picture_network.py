"""A picture model of another library as a network: its blocks are found by running it once.

Shape letters: N pictures, C channels, H W a map's sides, T tokens.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, final

from headstart.contracts import Network, PicturePreprocess, Pretrained
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import Tensor, nn

Run = Callable[[Any, Any], "Sequence[tuple[str, Any]]"]
"""Given the module and normalised pixels: every block's name and output, in order."""

_REFUSALS = (
    *(RuntimeError, ValueError, TypeError, AssertionError, NotImplementedError),
    *(AttributeError, LookupError),
)


@final
class PictureNetwork(Network):
    """Blocks give maps [N, C, H, W]; the last may give a vector [N, C], the model's own summary of a picture.

    What is neither, or only repeats another block, is left out. ``run`` must not refer to the module
    but by its argument, so that copies run themselves. Raises UserError where the model cannot be run
    at ``size`` px or has no maps.
    """

    def __init__(self, base: str, module: "nn.Module", run: Run, size: int) -> None:
        torch = prepare_torch()
        self.module, self._run = module, run
        was_training = module.training
        pixels_NCHW = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
        try:
            with torch.inference_mode():
                found = run(module.eval(), pixels_NCHW)
        except _REFUSALS as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0][:160]
            raise UserError(
                f"{base} cannot be run at {size} px ({reason})",
                "a picture model, at a size that it takes",
                "give another --image-size or --base",
            ) from error
        finally:
            module.train(was_training)
        shapes = _distinct(found)
        if 4 not in shapes.values():
            raise UserError(
                f"{base} gives no maps",
                "a picture model that keeps where things are",
                "choose another --base",
            )
        self.blocks = tuple(shapes)

    def outputs(self, *inputs: "Tensor") -> "list[Tensor]":
        """Return every block's output for normalised pixels [N, 3, H, W]."""
        found = dict(self._run(self.module, inputs[0]))
        return [found[name] for name in self.blocks]


def size_of(pretrained: Pretrained) -> int:
    """Return the side of a model's pictures in px."""
    return pretrained.preprocess.size if isinstance(pretrained.preprocess, PicturePreprocess) else 0


def refuse_cut_patches(pretrained: Pretrained, patch: int) -> None:
    """Raise UserError where the side of a model's pictures is no multiple of its patches' in px."""
    size = size_of(pretrained)
    if size % patch:
        raise UserError(
            f"--image-size {size} for {pretrained.base}, whose patches are {patch} px",
            f"a multiple of {patch}",
            f"give {size // patch * patch or patch}",
        )


def as_map(x: Any, side: int) -> "Tensor | None":
    """Return states [N, T, C], tokens of the whole picture first left out, or [N, H, W, C] as a map.

    None where they are no map of that side.
    """
    if x.ndim == 3 and x.shape[1] >= side * side:
        return x[:, x.shape[1] - side * side :].transpose(1, 2).reshape(x.shape[0], x.shape[2], side, side)  # type: ignore[no-any-return]
    if x.ndim == 4 and x.shape[2] == x.shape[3] == side:
        return x  # type: ignore[no-any-return]
    if x.ndim == 4 and x.shape[1] == x.shape[2] == side:
        return x.permute(0, 3, 1, 2)  # type: ignore[no-any-return]
    return None


def _distinct(found: "Sequence[tuple[str, Any]]") -> dict[str, int]:
    """Return the blocks to keep with their number of axes: the model's last words may repeat its last map."""
    maps = [(name, x) for name, x in found if x.ndim == 4 and x.shape[2] == x.shape[3]]
    vectors = [(name, x) for name, x in found if x.ndim == 2]
    if len(maps) > 1 and _equal(maps[-1][1], maps[-2][1]):
        maps.pop()
    kept = {name: 4 for name, _ in maps}
    last_NC = maps[-1][1].mean((2, 3)) if maps else None
    return {**kept, **{name: 2 for name, x in vectors if last_NC is None or not _equal(x, last_NC)}}


def _equal(one: Any, other: Any) -> bool:
    return one.shape == other.shape and bool((one - other).abs().max() <= 1e-5 * other.abs().max())
