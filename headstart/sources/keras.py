"""``keras:NAME-or-file``: Keras Applications, and models that Keras has saved, through Keras 3 on torch.

`keras:VGG16` has its weights from Keras' cache, `keras:VGG16@weights.h5` from a file; `keras:model.keras` or
`keras:model.h5` is a whole saved model. The classifier is cut off.
"""

import importlib.metadata
import os
import re
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, final

from headstart.contracts import Array, Family, Network, PicturePreprocess, Pretrained, Source
from headstart.core import tensor_file
from headstart.core.errors import UserError
from headstart.core.files import digest_file, digest_json, home, write_json
from headstart.core.plugins import nearest
from headstart.core.remembered import remembered
from headstart.model.keras import child as keras_child
from headstart.model.keras.config import CONFIG
from headstart.model.picture_network import size_of
from headstart.sources import _download

_SIZES: Mapping[str, int] = {
    **dict.fromkeys(
        ("ConvNeXtTiny", "ConvNeXtSmall", "ConvNeXtBase", "ConvNeXtLarge", "ConvNeXtXLarge"), 224
    ),
    **dict.fromkeys(("DenseNet121", "DenseNet169", "DenseNet201"), 224),
    **dict.fromkeys(("MobileNet", "MobileNetV2", "MobileNetV3Large", "MobileNetV3Small"), 224),
    **dict.fromkeys(("ResNet50", "ResNet101", "ResNet152"), 224),
    **dict.fromkeys(("ResNet50V2", "ResNet101V2", "ResNet152V2"), 224),
    **dict.fromkeys(("VGG16", "VGG19"), 224),
    **dict.fromkeys(("InceptionResNetV2", "InceptionV3", "Xception"), 299),
    **{"EfficientNetB0": 224, "EfficientNetB1": 240, "EfficientNetB2": 260, "EfficientNetB3": 300},
    **{"EfficientNetB4": 380, "EfficientNetB5": 456, "EfficientNetB6": 528, "EfficientNetB7": 600},
    **{"EfficientNetV2B0": 224, "EfficientNetV2B1": 240, "EfficientNetV2B2": 260, "EfficientNetV2B3": 300},
    **{"EfficientNetV2S": 384, "EfficientNetV2M": 480, "EfficientNetV2L": 480},
}
"""The side in px that each application was trained for. NASNet is left out: Keras has it not on torch."""
_LICENCES = {
    **{"CC-BY-4.0": r"VGG\d+", "MIT": r"ResNet\d+|Xception", "BSD": r"ResNet\d+V2"},
    **{"BSD-3-Clause": r"DenseNet\d+", "Apache-2.0": r"Inception\w+|MobileNet(V2)?"},
}
"""Of the weights that Keras publishes, as its documentation said application by application while it did.

docs/templates/applications.md in github.com/keras-team/keras before version 2.4. Of those that came later
(EfficientNet, EfficientNetV2, MobileNetV3, ConvNeXt) nothing is said.
"""
_INSTEAD = "give the weights as keras:NAME@FILE, or add --random-init"
_IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
_HALF = (0.5, 0.5, 0.5)
_PREPARED: Sequence[Mapping[str, Any]] = (
    {"order": "RGB", "scale": 1.0, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},  # the model does it
    {"order": "BGR", "scale": 1.0, "mean": (103.939, 116.779, 123.68), "std": (1.0, 1.0, 1.0)},  # caffe
    {"order": "RGB", "scale": 1 / 255, "mean": _HALF, "std": _HALF},  # tf
    {"order": "RGB", "scale": 1 / 255, "mean": _IMAGENET[0], "std": _IMAGENET[1]},  # torch
    {"order": "RGB", "scale": 1 / 255, "mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)},  # 0 to 1
)
"""What ``preprocess_input`` does in each of its modes."""


@final
class KerasSource(Source):
    """Models of Keras that look at pictures."""

    name = "keras"
    families = (Family(name="application", takes="picture"),)

    def names(self) -> Sequence[str]:
        """Return nothing: the list of applications is Keras' to give."""
        return ()

    def present(self) -> Sequence[str]:
        """Return the applications whose weights Keras' cache holds, where Keras is installed."""
        if find_spec("keras") is None:
            return ()
        held = [_plain(file.name.removeprefix("weights_")) for file in _cache().glob("*no*top*.h5")]
        known = sorted(_SIZES, key=len, reverse=True)
        return sorted(
            {next((one for one in known if name.startswith(_plain(one))), "") for name in held} - {""}
        )

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe an application, NAME or NAME@FILE, or a saved model.

        Raises UserError where it is not here.
        """
        base, (plain, at, path) = f"keras:{name}", name.partition("@")
        if not at and Path(name).suffix in (".keras", ".h5", ".hdf5"):
            return _saved(base, _file(base, name), weights)
        if plain not in _SIZES:
            raise UserError(
                f"no application of Keras is called {plain!r}",
                "for instance keras:VGG16, keras:VGG16@weights.h5 or keras:model.keras",
                nearest(plain, _SIZES),
            )
        if at or not weights:
            return _application(base, plain, _file(base, path) if at else None, "not stated")
        published = _told(base, plain, None)["published"]
        folder = _cache()
        here = ", ".join(self.present()) or "nothing"
        file = _download.fetched(base, folder, published, f"{_INSTEAD} (here of Keras: {here})")
        said = (one for one, names in _LICENCES.items() if re.fullmatch(names, plain))
        licence = next(said, "not stated")
        return _application(base, plain, file, licence)

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the model as it is. Raises UserError where its dense layers are for another size."""
        made_for, size = pretrained.config["made_for"], size_of(pretrained)
        if made_for and size != made_for:
            raise UserError(
                f"--image-size {size} for {pretrained.base}, whose layers are made for {made_for} px",
                f"{made_for} px",
                "leave --image-size out",
            )
        return pretrained

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the weights as LAYER/VARIABLE."""
        return tensor_file.load_arrays(pretrained.weights)

    def network(self, pretrained: Pretrained) -> Network:
        """Build the architecture with random weights."""
        from headstart.model.keras import network as keras_network

        return keras_network.network(pretrained)

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return nothing more: Keras' description is among the model's assets."""
        return {}


def _application(base: str, name: str, file: Path | None, licence: str) -> Pretrained:
    found = _told(base, name, file)
    size = _SIZES[name]
    return _described(base, f"keras/{name}", found, (file, licence), {"size": size, "crop": 0.875})


def _saved(base: str, file: Path, weights: bool) -> Pretrained:
    """Describe a saved model; pictures are resized as Keras' own loader of folders does, by both sides."""
    found = _told(base, None, file, weights)
    how = {"size": found["size"], "crop": 1.0, "squash": True}
    return _described(base, f"keras/{_plain(file.stem)}", found, (file, "not stated"), how)


def _told(base: str, name: str | None, file: Path | None, weights: bool = True) -> dict[str, Any]:
    """Return what Keras says of a model, learnt once on a machine, with the place of its weights."""
    target = None if file is None or not weights else home() / "weights" / f"{_key(name, file)}.safetensors"

    def learn() -> dict[str, Any]:
        given = {"name": name, "file": None if file is None else str(file)}
        return keras_child.run(base, **given, target=None if target is None else str(target))

    version = _version()
    found = remembered("keras", version, _key(name, file) if file else str(name), learn)
    if target is not None and not target.is_file():
        learn()
    config = home() / "keras" / f"{digest_json(found['config'])}.json"
    if not config.is_file():
        write_json(config, found["config"])
    return {**found, "assets": {CONFIG: config}, "weights": target}


def _key(name: str | None, file: Path) -> str:
    return digest_json(["keras 1", name, digest_file(file)])


def _described(
    base: str,
    architecture: str,
    found: Mapping[str, Any],
    origin: tuple[Path | None, str],
    how: Mapping[str, Any],
) -> Pretrained:
    file, licence = origin
    digest = None if file is None else digest_file(file)
    return Pretrained(
        base=base,
        architecture=architecture,
        licence=licence,
        revision="random" if file is None else file.name,
        weights=found["weights"] or Path(),
        weights_digest=digest_json([digest, digest_json(found["config"])]),
        preprocess=PicturePreprocess(**how, interpolation="bilinear", **_prepared(base, found["prepared"])),
        adapted=tuple(found["adapted"]),
        config={"made_for": found["made_for"]},
        assets=found["assets"],
    )


def _prepared(base: str, seen: Sequence[Sequence[float]]) -> Mapping[str, Any]:
    """Return which preparation turns black, red, green and blue into what was ``seen``."""
    colours = ((0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255))

    def apart(how: Mapping[str, Any]) -> float:
        made = [one[::-1] if how["order"] == "BGR" else one for one in colours]
        far = (
            abs((value * how["scale"] - mean) / std - own)
            for one, other in zip(made, seen, strict=True)
            for value, mean, std, own in zip(one, how["mean"], how["std"], other, strict=True)
        )
        return float(max(far))

    best = min(_PREPARED, key=apart)
    if apart(best) > 1e-3:
        raise UserError(
            f"how {base} prepares pictures cannot be made out",
            "a mode of Keras' own",
            "choose another --base",
        )
    return best


def _file(base: str, path: str) -> Path:
    file = Path(path).expanduser()
    if "\0" in path or not file.is_file():
        raise UserError(f"{path!r} of {base!r} is no file", "a file that Keras has saved", "check the path")
    return file


def _version() -> str:
    try:
        return importlib.metadata.version("keras")
    except importlib.metadata.PackageNotFoundError as error:
        raise UserError("Keras is not installed", "keras and h5py", "run: pip install keras h5py") from error


def _cache() -> Path:
    """Return the folder that Keras downloads weights into."""
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser() / "models"


def _plain(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum())
