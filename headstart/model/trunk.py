"""Trunks: a pretrained model below the freeze line, named by what it computes, built only when needed."""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from headstart.contracts import (
    Allowed,
    Array,
    Column,
    Frozen,
    Inputs,
    Modality,
    Network,
    Pretrained,
    Source,
    Trunk,
)
from headstart.core import plugins, tensor_file
from headstart.core.errors import MachineError, UserError
from headstart.core.files import atomic_file, digest_bytes, digest_file, digest_json, home, write_bytes
from headstart.core.foreign import reason_of
from headstart.core.frameworks import prepare_torch
from headstart.core.memory import give_back
from headstart.core.offline import nothing_fetched
from headstart.model.graph.export import export

if TYPE_CHECKING:
    from torch import nn

NOTHING = Allowed()
"""What is allowed where nobody said anything: no foreign code runs, and models may be fetched."""
_FORMAT = 1  # raised when the same weights would give other features


@dataclass(frozen=True, kw_only=True)
class FrozenModel(Frozen):
    """A pretrained model as a trunk: knows its key at once, imports torch only when it must run.

    ``random_seed`` starts the same architecture from random weights instead, as a control.
    ``saved`` is a safetensors file that holds the weights already; ``moved`` are weights that were
    trained since, by name.
    """

    source: Source
    pretrained: Pretrained
    random_seed: int | None = None
    saved: Path | None = None
    moved: Mapping[str, Array] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Name the function that the trunk computes: weights, preprocessing, taps, precision."""
        return digest_json(
            {
                "format": _FORMAT,
                "weights": self.pretrained.weights_digest,
                "random": self.random_seed,
                "architecture": self.pretrained.architecture,
                "config": self.pretrained.config,
                "preprocess": asdict(self.pretrained.preprocess),
                "precision": self.pretrained.precision,
            }
        )

    @cached_property
    def state(self) -> Mapping[str, Array]:
        """The weights under the architecture's names; random where ``random_seed`` says so."""
        if self.saved is not None:
            return {**tensor_file.load_arrays(self.saved), **self.moved}
        if self.random_seed is None:
            return {**self._converted(), **self.moved}
        network = self._built(self.random_seed)
        drawn = {name: tensor.numpy() for name, tensor in network.module.state_dict().items()}
        return {**drawn, **self.moved}

    def trained(self, moved: Mapping[str, Array]) -> "FrozenModel":
        """Return the model with some of its weights trained: another function, so under another key."""
        if not moved:
            return self
        parts = [name.encode() + np.ascontiguousarray(moved[name]).tobytes() for name in sorted(moved)]
        digest = digest_bytes(self.pretrained.weights_digest.encode(), *parts)
        return replace(self, pretrained=replace(self.pretrained, weights_digest=digest), moved=dict(moved))

    def _built(self, seed: int) -> Network:
        """Build the architecture; the user's own random state stays as it is."""
        torch = prepare_torch()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                return self.source.network(self.pretrained)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                if self.saved is None:
                    raise
                raise UserError(  # nobody but the run itself has described it
                    f"the architecture in the run of {self.pretrained.base!r:.80} cannot be built "
                    f"({reason_of(error)})",
                    "a run folder that headstart fit has written",
                    "get the run again from whoever made it",
                ) from error

    def _converted(self) -> Mapping[str, Array]:
        """Return the source's weights, converted to safetensors once per machine, named by their own hash."""
        one = self.pretrained
        name = digest_json([_FORMAT, one.weights_digest, one.architecture, one.config, one.writes])
        folder = home() / "weights" / name
        for path in folder.glob("*.safetensors"):
            if digest_file(path) == path.stem:
                return dict(tensor_file.load_arrays(path))
            path.unlink(missing_ok=True)  # damaged: convert anew
        torch = prepare_torch()
        with torch.random.fork_rng(devices=[]):  # libraries draw weights before they load the right ones
            read = self.source.state(self.pretrained)
        # ``ascontiguousarray`` would give a single number an axis.
        state = {
            key: array if array.flags.c_contiguous else np.ascontiguousarray(array)
            for key, array in read.items()
        }
        content = save(state)
        write_bytes(folder / f"{digest_bytes(content)}.safetensors", content)
        return state

    def network(self) -> Network:
        """Build the architecture with the model's weights. Raises MachineError where they don't fit."""
        torch = prepare_torch()
        network = self._built(0)
        state = {name: torch.from_numpy(array.copy()) for name, array in self.state.items()}
        unfit = network.module.load_state_dict(state, strict=False)
        names = [*unfit.unexpected_keys, *unfit.missing_keys]
        if names:
            what = (
                f"{self.pretrained.base} and {self.pretrained.architecture} differ in {', '.join(names[:3])}"
            )
            raise MachineError(f"{what} ({len(names)} tensors); the weights belong to another architecture.")
        network.module.eval()
        return network

    @cached_property
    def module(self) -> "nn.Module":
        """The trunk in torch, in evaluation mode."""
        return self.new_trunk()

    def new_trunk(self) -> "nn.Module":
        """Build the trunk in torch, in evaluation mode."""
        network = self.network()
        taps = self.modality.taps(self.pretrained.preprocess, network)
        return self.modality.trunk(self.pretrained.preprocess, network, taps).eval()

    def forget(self) -> None:
        """Let go of the weights and of the trunk: they are read and built again when asked for."""
        for name in ("state", "module"):
            self.__dict__.pop(name, None)
        give_back()

    def columns(self) -> list[Column]:
        """Return the layout of a row of features."""
        torch = prepare_torch()
        module: Any = self.module
        sample = [torch.from_numpy(array) for array in self._sample.values()]
        with torch.inference_mode():
            parts = module.parts(*sample)
        return self.modality.columns(
            {tap.name: tuple(part.shape[1:]) for tap, part in zip(module.taps, parts, strict=True)}
        )

    @property
    def modality(self) -> Modality:
        """What kind of input the model takes."""
        found: Modality = plugins.load("modality", self.pretrained.preprocess.modality)
        return found

    @property
    def _sample(self) -> Inputs:
        return self.modality.sample(self.pretrained.preprocess)

    def trunk(self) -> Trunk:
        """Return the trunk as engines take it."""
        return Trunk(
            key=self.key,
            inputs=tuple(self._sample),
            module=lambda: self.module,
            graph=self.graph,
            precision=self.pretrained.precision,
        )

    def graph(self) -> Path:
        """Return the trunk as an ONNX file, written once per machine. Raises EngineUnavailable."""
        path = home() / "graphs" / f"{self.key}.onnx"
        if not path.exists():
            with atomic_file(path) as file:
                export(self.module, self._sample, self.modality.varying_axes(), file)
        return path


def source_of(name: str, allowed: Allowed = NOTHING) -> Source:
    """Return the source called ``name``, told what is allowed. Raises UserError where there is none."""
    source: Source = plugins.load("source", name)
    return source if allowed == NOTHING else type(source)(allowed)


def find(base: str, weights: bool = True, allowed: Allowed = NOTHING) -> tuple[Source, Pretrained]:
    """Find a model, SOURCE:NAME, with its weights or without. Raises UserError where it is not here."""
    kind, colon, rest = base.partition(":")
    if not colon:
        raise UserError(f"--base is {base!r}", "SOURCE:NAME", "write for instance pack:efficientnet-lite0")
    source = source_of(kind, allowed)
    with nothing_fetched() if allowed.offline else nullcontext():
        return source, source.find(rest, weights)


def find_model(
    base: str,
    name: str,
    sizes: Mapping[str, int | None],
    random_seed: int | None,
    allowed: Allowed = NOTHING,
) -> FrozenModel:
    """Find a pretrained model, and take it as ``as_taken`` does. Raises UserError where it is not here."""
    return as_taken(find(base, random_seed is None, allowed), name, sizes, random_seed)


def as_taken(
    model: tuple[Source, Pretrained],
    name: str,
    sizes: Mapping[str, int | None],
    random_seed: int | None,
    precision: str = "float32",
) -> FrozenModel:
    """Let the modality called ``name`` apply the user's sizes to a model that was found.

    Raises UserError where the model takes another kind of input.
    """
    source, found = model
    modality: Modality = plugins.load("modality", name)
    if found.preprocess.modality != modality.takes:
        raise UserError(
            f"{found.base} is a {found.preprocess.modality} model",
            f"a {modality.takes} model, as the task needs",
            "choose another --base, or leave it out",
        )
    pretrained = source.sized(replace(found, preprocess=modality.adapt(found.preprocess, sizes)))
    pretrained = replace(pretrained, precision=precision)
    return FrozenModel(source=source, pretrained=pretrained, random_seed=random_seed)
