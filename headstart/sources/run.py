"""``run:FOLDER``: the model below a finished run's head, with the weights that the run has moved.

With ``run:FOLDER:head`` training goes on from its head too, for the same classes. Architecture,
preprocessing and licence are those that the run began with, whose source builds it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, final

from headstart.contracts import Array, Family, Modality, Network, Preprocess, Pretrained, Source
from headstart.core import plugins, tensor_file
from headstart.core.errors import UserError
from headstart.core.run import read_run
from headstart.model.saved import load_trunk
from headstart.model.trunk import source_of

_HEAD = ":head"


@final
class RunSource(Source):
    """Models that headstart has fitted. A new head is put on them; a decoder of their own is theirs."""

    name = "run"
    families = (Family(name="of a picture model", takes="picture"),)

    def names(self) -> Sequence[str]:
        """Return nothing: runs are named by path."""
        return ()

    def present(self) -> Sequence[str]:
        """Return nothing: a run may lie anywhere."""
        return ()

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a run's model. Raises UserError for no finished run, MachineError for a damaged one."""
        plain = name.removesuffix(_HEAD)
        if not plain or "\0" in plain:
            raise UserError(f"run:{name!r} names no folder", "run:FOLDER", "name a run that fit has written")
        run, with_head = Path(plain).expanduser(), plain != name
        if with_head and not weights:
            raise UserError(
                f"--random-init of run:{name}", "a trained head above its own model", f"write run:{plain}"
            )
        read_run(run)  # written last, so what has it is finished
        trunk, digest = load_trunk(run, self.allowed)
        kept = trunk.pretrained
        drawn = (f"{kept.base} began with random weights",) if trunk.random_seed is not None else ()
        return replace(
            kept,
            base=f"run:{name}",
            adapted=(*kept.adapted, *(one for one in drawn if one not in kept.adapted)),
            lineage=(kept.base, *kept.lineage),
            revision=digest[:16],
            weights_digest=digest,
            preprocess=_as_taken(kept.preprocess),
            head_of=run if with_head else None,
        )

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the model fit for another size than the run's, as the source of its architecture does it."""
        source, origin = self._origin(pretrained)
        found = source.sized(origin)
        return replace(found, base=pretrained.base, lineage=pretrained.lineage)

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the run's weights; where the size has changed, fitted to that by their source."""
        source, origin = self._origin(pretrained)
        run = pretrained.weights.parent.parent
        if load_trunk(run, self.allowed)[0].pretrained.config == pretrained.config:
            return tensor_file.load_arrays(pretrained.weights)
        return source.state(origin)

    def network(self, pretrained: Pretrained) -> Network:
        """Build the architecture."""
        source, origin = self._origin(pretrained)
        return source.network(origin)

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return the files of the library that has the architecture."""
        source, origin = self._origin(pretrained)
        return source.own_files(origin)

    def _origin(self, pretrained: Pretrained) -> tuple[Source, Pretrained]:
        """Return the source that the first of all runs took the model from, and the model as it knows it."""
        base = pretrained.lineage[-1]
        source = source_of(base.partition(":")[0], self.allowed)
        return source, replace(pretrained, base=base, lineage=())


def _as_taken(preprocess: Preprocess) -> Preprocess:
    """Return the preprocessing as sources describe it, before a task has asked for features of its kind."""
    modality: Modality = plugins.load("modality", preprocess.modality)
    return replace(preprocess, modality=modality.takes)
