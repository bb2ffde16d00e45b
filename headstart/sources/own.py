"""``own:NAME``: a ``torch.nn.Module`` of yours, or a transformer with ``transform``, named from Python.

`headstart.api.own` gives it the name, in the process that fits and in each that predicts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from safetensors.numpy import load_file, save

from headstart.contracts import Array, Network, PicturePreprocess, Pretrained, Source
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes, home, write_bytes
from headstart.core.frameworks import prepare_torch
from headstart.model.any_pictures import any_network
from headstart.model.picture_network import size_of
from headstart.model.transform_network import transform_network
from headstart.sources import _stated

if TYPE_CHECKING:
    from torch import nn

_CLOSE = 1e-3


@dataclass(frozen=True, slots=True)
class _Named:
    """What makes the model, and how it takes pictures."""

    make: Callable[[], Any]
    preprocess: PicturePreprocess
    adapted: Sequence[str]


@final
class OwnSource(Source):
    """Models that the calling program has made itself."""

    name = "own"
    _known: ClassVar[dict[str, _Named]] = {}

    @classmethod
    def add(cls, name: str, make: Callable[[], Any], preprocess: Mapping[str, Any] | None) -> str:
        """Let ``own:NAME`` mean what ``make`` makes, and return that base."""
        stated, adapted = _stated.preprocess(f"own:{name}", preprocess, {})
        cls._known[name] = _Named(make, stated, adapted)
        return f"own:{name}"

    def names(self) -> Sequence[str]:
        """Return nothing: what is named belongs to this process alone."""
        return ()

    def present(self) -> Sequence[str]:
        """Return what this process has named."""
        return tuple(self._known)

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a model by making and running it once. Raises UserError where nothing has that name."""
        if not weights:
            raise UserError(
                f"--random-init of own:{name}", "a model that draws its weights itself", "leave it out"
            )
        base, named = f"own:{name}", self._of(name)
        network = _made(base, named, named.preprocess.size)
        state = network.module.state_dict()
        content = save({key: np.array(one.detach().numpy(), order="C") for key, one in state.items()})
        digest = digest_bytes(content)
        kept = home() / "weights" / "own" / f"{digest}.safetensors"
        write_bytes(kept, content)
        answers = _answers(network, named.preprocess.size)
        return Pretrained(
            base=base,
            architecture=f"own/{name}",
            licence="your own",
            revision=digest[:12],
            weights=kept,
            weights_digest=digest_bytes(digest.encode(), np.array(answers).tobytes()),
            preprocess=named.preprocess,
            adapted=tuple(named.adapted),
            trains=any(one.requires_grad for one in network.module.parameters()),
            config={"answers": answers, "asked_at_px": named.preprocess.size},
        )

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the model as it is: whether it runs at a size shows when it is run."""
        return pretrained

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the weights that the model was made with."""
        return dict(load_file(pretrained.weights))

    def network(self, pretrained: Pretrained) -> Network:
        """Make the model again. Raises UserError where it now computes something else."""
        base, config = pretrained.base, pretrained.config
        named = self._of(base.partition(":")[2])
        now = _answers(_made(base, named, config["asked_at_px"]), config["asked_at_px"])
        before = config["answers"]
        if len(now) != len(before) or not np.allclose(now, before, rtol=_CLOSE, atol=_CLOSE):
            raise UserError(
                f"{base} is now a model that computes something else than when it was described",
                "the same function with the same weights",
                "give another model another name, and fit anew",
            )
        return _made(base, named, size_of(pretrained))

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return nothing: your own code loads the weights."""
        return {}

    def _of(self, name: str) -> _Named:
        if name not in self._known:
            raise UserError(
                f"this process knows no own:{name}",
                "a model that it was given",
                f"call headstart.api.own({name!r}, ...) before, in Python",
            )
        return self._known[name]


def _made(base: str, named: _Named, size: int) -> Network:
    """Make a model, what it draws the same each time; its random state is nobody else's."""
    torch = prepare_torch()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        made = named.make()
    if isinstance(made, torch.nn.Module):
        module: nn.Module = made.float().eval()
        return any_network(base, module, size)
    return transform_network(base, made, size)


def _answers(network: Network, size: int) -> list[float]:
    """Return each block's mean magnitude for one drawn picture."""
    torch = prepare_torch()
    pixels_NCHW = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return [float(output.abs().mean()) for output in network.outputs(pixels_NCHW)]
