"""Trunks: a pretrained model below the freeze line, named by what it computes, built only when needed."""

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from headstart.contracts import Array, Pretrained, Source, Trunk
from headstart.core.errors import EngineUnavailable, MachineError
from headstart.core.files import atomic_file, digest_json, home, write_bytes
from headstart.core.frameworks import prepare_torch
from headstart.model.taps import Column, columns, plan

if TYPE_CHECKING:
    from headstart.model.pooling import PooledBlocks

_FORMAT = 1  # raised when the same weights would give other features


@dataclass(frozen=True, kw_only=True)
class FrozenModel:
    """A pretrained model as a trunk: knows its key at once, imports torch only when it must run.

    ``random_seed`` starts the same architecture from random weights instead, as a control.
    ``saved`` is a safetensors file that holds the weights already.
    """

    source: Source
    pretrained: Pretrained
    random_seed: int | None = None
    saved: Path | None = None

    @cached_property
    def key(self) -> str:
        """Name the function that the trunk computes: weights, preprocessing, taps, precision."""
        return digest_json(
            {
                "format": _FORMAT,
                "weights": self.pretrained.weights_digest,
                "random": self.random_seed,
                "architecture": self.pretrained.architecture,
                "preprocess": asdict(self.pretrained.preprocess),
                "precision": "float32",
            }
        )

    @cached_property
    def state(self) -> Mapping[str, Array]:
        """The weights under the architecture's names; random where ``random_seed`` says so."""
        if self.saved is not None:
            return dict(load_file(self.saved))
        if self.random_seed is None:
            return self._converted()
        torch = prepare_torch()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.random_seed)
            model, _ = self.source.blocks(self.pretrained.architecture)
        return {name: tensor.numpy() for name, tensor in model.state_dict().items()}

    def _converted(self) -> Mapping[str, Array]:
        """Return the source's weights, converted to safetensors once per machine."""
        name = digest_json([_FORMAT, self.pretrained.weights_digest, self.pretrained.architecture])
        path = home() / "weights" / f"{name}.safetensors"
        try:
            return dict(load_file(path))
        except (OSError, SafetensorError):  # not there, or damaged: convert
            state = {
                key: np.ascontiguousarray(array) for key, array in self.source.state(self.pretrained).items()
            }
            write_bytes(path, save(state))
            return state

    @cached_property
    def module(self) -> "PooledBlocks":
        """The trunk in torch, in evaluation mode."""
        torch = prepare_torch()
        from headstart.model.pooling import PooledBlocks

        with torch.random.fork_rng(devices=[]):  # building draws weights; the user's generator stays as it is
            model, blocks = self.source.blocks(self.pretrained.architecture)
        state = {name: torch.from_numpy(array.copy()) for name, array in self.state.items()}
        unknown = model.load_state_dict(state, strict=False)
        needed = {name for _, block in blocks for name in _full_names(model, block)}
        unfit = [*unknown.unexpected_keys, *(needed & set(unknown.missing_keys))]
        if unfit:
            what = f"{self.pretrained.base} and {self.pretrained.architecture} differ in {', '.join(sorted(unfit)[:3])}"
            raise MachineError(f"{what} ({len(unfit)} tensors); the weights belong to another architecture.")
        return PooledBlocks(self.pretrained.preprocess, blocks, plan([name for name, _ in blocks])).eval()

    def columns(self) -> list[Column]:
        """Return the layout of a row of features."""
        from headstart.model.pooling import tap_widths

        module = self.module
        return columns(module.taps, tap_widths(module, self.pretrained.preprocess.size))

    def trunk(self) -> Trunk:
        """Return the trunk as engines take it."""
        size = self.pretrained.preprocess.size
        return Trunk(key=self.key, input_shape=(size, size, 3), module=lambda: self.module, graph=self.graph)

    def graph(self) -> Path:
        """Return the trunk as an ONNX file, written once per machine. Raises EngineUnavailable."""
        path = home() / "graphs" / f"{self.key}.onnx"
        if not path.exists():
            torch = prepare_torch()
            example = torch.zeros((2, *self.trunk().input_shape), dtype=torch.uint8)
            axes = {"pixels": {0: "n"}, "features": {0: "n"}}
            with atomic_file(path) as file, warnings.catch_warnings():
                # The TorchScript exporter is deprecated, and twenty times as fast as its successor.
                warnings.simplefilter("ignore")
                try:
                    torch.onnx.export(
                        self.module, (example,), file, input_names=["pixels"], output_names=["features"],
                        dynamic_axes=axes, dynamo=False,
                    )  # fmt: skip
                except (RuntimeError, TypeError, torch.onnx.OnnxExporterError) as error:
                    raise EngineUnavailable(f"no ONNX graph: {str(error).splitlines()[0]}") from error
        return path


def _full_names(model: Any, block: Any) -> set[str]:
    ids = {id(tensor) for tensor in block.state_dict(keep_vars=True).values()}
    return {name for name, tensor in model.state_dict(keep_vars=True).items() if id(tensor) in ids}


def resized(pretrained: Pretrained, image_size: int | None) -> Pretrained:
    """Return the same model for pictures of another size in px; its crop fraction stays."""
    if image_size is None:
        return pretrained
    return replace(pretrained, preprocess=replace(pretrained.preprocess, size=image_size))
