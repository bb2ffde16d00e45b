"""The head that gives every pixel a class by a light decoder: a feature pyramid on cached maps."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, final

import numpy as np

from headstart.contracts import Array, Column, Head, Kept, Units
from headstart.core.frameworks import prepare_torch
from headstart.model.maps import PartLogits, by_picture, unpacked


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class FpnHead(Head):
    """Answers with logits on a grid that is finer than the finest map."""

    columns: tuple[Column, ...]
    module: Any

    def outputs(self, seen_mD: Array, units: Units) -> list[PartLogits]:
        """Return each picture's logits, float32.

        Units go through the decoder one at a time: each gets the same answer in any batch, to the bit.
        """
        torch = prepare_torch()
        maps = [torch.from_numpy(np.ascontiguousarray(one)) for one in unpacked(self.columns, seen_mD)]
        shape = self.module.shape
        said_mKGG = np.empty((len(seen_mD), shape.classes, shape.side, shape.side), dtype=np.float32)
        with torch.inference_mode():
            for place, said_KGG in enumerate(said_mKGG):
                said_KGG[:] = self.module([one[place : place + 1] for one in maps])[0].numpy()
        return by_picture(said_mKGG, units)

    def parameters(self) -> int:
        """Return how many weights were trained."""
        return sum(one.numel() for one in self.module.parameters())

    def tensors(self) -> dict[str, Array]:
        """Return the weights by name, and how the maps are scaled."""
        return {name: tensor.numpy().copy() for name, tensor in self.module.state_dict().items()}

    def facts(self) -> dict[str, Any]:
        """Return the decoder's shape."""
        return {"shape": asdict(self.module.shape)}

    def files(self) -> dict[str, Any]:
        """Return nothing: no other library has this head."""
        return {}

    @staticmethod
    def restore(columns: Sequence[Column], kept: Kept) -> "FpnHead":
        """Rebuild a head from what was kept of it."""
        torch = prepare_torch()
        from headstart.model.pyramid import Pyramid, Shape

        described = kept.facts["shape"]
        lists = {name: tuple(described[name]) for name in ("channels", "sides")}
        with torch.random.fork_rng(devices=[]):  # what is drawn is overwritten
            module = Pyramid(Shape(**{**described, **lists}))
        module.load_state_dict({name: torch.from_numpy(one.copy()) for name, one in kept.tensors.items()})
        return FpnHead(columns=tuple(columns), module=module.eval())
