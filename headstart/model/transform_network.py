"""A fitted transformer in scikit-learn's sense as a trunk: pictures laid flat in, its vector out, no weights.

It is a function of NumPy arrays, so torch alone runs it, and nothing below the head can train.
"""

from typing import TYPE_CHECKING, Any, final

import numpy as np

from headstart.contracts import Network
from headstart.core.errors import UserError
from headstart.core.foreign import foreign, reason_of
from headstart.core.frameworks import prepare_torch

if TYPE_CHECKING:
    from torch import Tensor


def transform_network(base: str, transformer: Any, size: int) -> Network:
    """Return a transformer of rows [N, H * W * 3] as a network.

    Raises UserError where it has no ``transform``, or that fails at ``size`` px or gives no rows of numbers.
    """
    network = _Transformed(transformer)
    torch = prepare_torch()

    def refusal(error: BaseException) -> UserError:
        return UserError(
            f"{base} cannot transform pictures of {size} px ({reason_of(error)})",
            f"a torch.nn.Module, or a fitted transformer of {size * size * 3:,} numbers a row",
            "fit it on rows of that length, or give its size",
        )

    with foreign(refusal):
        found = network.outputs(torch.zeros(2, 3, size, size))[0]
    if found.ndim != 2 or len(found) != 2:
        raise UserError(
            f"{base} gives {tuple(found.shape)} for 2 rows", "a row for each", "mend its transform"
        )
    return network


@final
class _Transformed(Network):
    """One block: the transformer's rows."""

    def __init__(self, transformer: Any) -> None:
        self.module, self.blocks, self._transformer = prepare_torch().nn.Module(), ("transform",), transformer

    def outputs(self, *inputs: "Tensor") -> "list[Tensor]":
        """Return the rows [N, C] for pixels [N, 3, H, W], laid flat by row, column and channel."""
        torch = prepare_torch()
        rows_ND = inputs[0].permute(0, 2, 3, 1).flatten(1).cpu().numpy()
        found = self._transformer.transform(rows_ND)
        dense = found if isinstance(found, np.ndarray) else found.toarray()
        return [torch.from_numpy(np.asarray(dense, dtype=np.float32)).to(inputs[0].device)]
