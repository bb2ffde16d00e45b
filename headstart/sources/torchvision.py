"""``torchvision:NAME``: convolutional networks of torchvision, their weights from torch's cache or a file.

`torchvision:resnet18`, `torchvision:deeplabv3_resnet50`, `torchvision:resnet18@./weights.pth`.
"""

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, final

from headstart.catalogue import CATALOGUE
from headstart.contracts import Array, Family, Network, PicturePreprocess, Pretrained, Source
from headstart.core import tensor_file
from headstart.core.errors import UserError
from headstart.core.files import digest_file, digest_json
from headstart.core.frameworks import prepare_torch
from headstart.core.plugins import nearest
from headstart.core.remembered import remembered
from headstart.model.architectures import chain
from headstart.model.picture_processor import per_channel
from headstart.model.weights import as_safetensors
from headstart.sources import _hub

_FAMILIES = (
    *("alexnet", "convnext", "deeplabv3", "efficientnet", "fcn", "lraspp", "mobilenet", "resnet"),
    *("resnext", "squeezenet", "vgg", "wide_resnet"),
)


@final
class TorchvisionSource(Source):
    """Chains of convolutions as torchvision names them; of segmentation models the decoder too."""

    name = "torchvision"
    families = tuple(
        Family(name=name, takes="picture") for name in ("ResNet", "MobileNet", "SqueezeNet", "DeepLabV3")
    )

    def names(self) -> Sequence[str]:
        """Return nothing: torchvision's list is torchvision's to give."""
        return ()

    def present(self) -> Sequence[str]:
        """Return the catalogue's models of torchvision whose weights torch's cache holds."""
        folder = _hub.torch_cache()
        known = [base.partition(":")[2] for base in CATALOGUE if base.startswith(f"{self.name}:")]
        return [name for name in known if any(folder.glob(f"{name}-*.pth"))]

    def find(self, name: str, weights: bool = True) -> Pretrained:
        """Describe a model by its name, or NAME@FILE. Raises UserError where its weights are not here."""
        base, plain = f"torchvision:{name}", name.partition("@")[0]
        known = _known(plain)
        file, said = _file(base, name, known["versions"], weights)
        readable = None if file is None else as_safetensors(file)
        options = _options(known, None if readable is None else tensor_file.shapes(readable))
        return Pretrained(
            base=base,
            architecture=f"torchvision/{plain}",
            licence="not stated",
            revision="random" if file is None else file.name,
            weights=readable or Path(),
            weights_digest=digest_json([None if file is None else digest_file(file), options]),
            preprocess=PicturePreprocess(
                size=said["size"],
                crop=said["crop"],
                interpolation=said["interpolation"],
                order="RGB",
                scale=1 / 255,
                mean=per_channel(said["mean"]),
                std=per_channel(said["std"]),
            ),
            config=options,
        )

    def sized(self, pretrained: Pretrained) -> Pretrained:
        """Return the model as it is: convolutions take any size."""
        return pretrained

    def state(self, pretrained: Pretrained) -> dict[str, Array]:
        """Return the weights as torchvision loads them. Raises UserError where they are of another model."""
        torch = prepare_torch()
        module = self.network(pretrained).module
        tensors = {
            name: torch.from_numpy(array)
            for name, array in tensor_file.load_arrays(pretrained.weights).items()
        }
        try:
            module.load_state_dict(tensors)
        except RuntimeError as error:
            raise UserError(
                f"the weights of {pretrained.base} do not fit ({' '.join(str(error).split())[:200]})",
                f"those of {pretrained.architecture}",
                "check name and file",
            ) from error
        return {name: tensor.numpy() for name, tensor in module.state_dict().items()}

    def network(self, pretrained: Pretrained) -> Network:
        """Build the architecture."""
        return chain(pretrained.architecture, **pretrained.config)

    def own_files(self, pretrained: Pretrained) -> Mapping[str, Any]:
        """Return nothing: torchvision loads a state dict into the model that its user has built."""
        return {}


def _file(
    base: str, name: str, versions: Sequence[Mapping[str, Any]], weights: bool
) -> tuple[Path | None, Mapping[str, Any]]:
    """Return the named file, else the one in torch's cache, with how its pictures are prepared.

    A file that is none of torchvision's own is taken to be made as its default weights were; None where no
    weights are wanted.
    """
    _, at, path = name.partition("@")
    if at:
        file = Path(path).expanduser()
        if not file.is_file():
            raise UserError(f"{path!r} is no file", "NAME@FILE with a weights file", "check the path")
        own = [one for one in versions if Path(one["address"]).name == file.name]
        return file, (own or versions)[0]
    if not weights:
        return None, versions[0]
    for one in versions:
        cached = _hub.in_torch_cache(one["address"])
        if cached is not None:
            return cached, one
    raise UserError(
        f"the weights of {base} are not in torch's cache",
        f"{Path(versions[0]['address']).name} there, or NAME@FILE",
        "let torchvision download them where there is internet, or add --random-init",
    )


def _options(known: Mapping[str, Any], named: Mapping[str, tuple[int, ...]] | None) -> dict[str, Any]:
    """Return what torchvision's builder is told: how many classes, and what a segmenter consists of."""
    segments = known["segments"]
    if named is None:
        return {"weights_backbone": None} if segments else {"num_classes": 1000}
    options: dict[str, Any] = {"num_classes": named.get(f"{known['classifier']}.bias", (1000,))[0]}
    if segments:
        options["weights_backbone"] = None
    if segments and any(name.startswith("aux_classifier.") for name in named):
        options["aux_loss"] = True
    return options


def _known(name: str) -> dict[str, Any]:
    """Return what torchvision says of a name: preprocessing, its last layer, and where its weights lie."""

    def learn() -> dict[str, Any]:
        torch = prepare_torch()
        from torchvision import models

        of = models.segmentation if _segments(name) else models
        listed = [one for one in models.list_models(module=of) if one.startswith(_FAMILIES)]
        if name not in listed:
            raise UserError(
                f"no chain of torchvision's is called {name!r}",
                "for instance resnet18",
                nearest(name, listed),
            )
        with torch.device("meta"):
            options = {"weights_backbone": None} if _segments(name) else {}
            model = models.get_model(name, weights=None, **options)
        biases = [one.removesuffix(".bias") for one in model.state_dict() if one.endswith(".bias")]
        kinds = models.get_model_weights(name)
        return {
            "segments": _segments(name),
            "classifier": [one for one in biases if not one.startswith("aux")][-1],
            "versions": [_version(one) for one in (kinds.DEFAULT, *kinds)],
        }

    return remembered("torchvision", importlib.metadata.version("torchvision"), name, learn)


def _version(one: Any) -> dict[str, Any]:
    """Return where weights lie and how their pictures are prepared; what segments takes them whole."""
    how = one.transforms()
    resized = how.resize_size[0]
    size = how.crop_size[0] if "crop_size" in vars(how) else resized
    return {
        "address": one.url,
        "size": size,
        "crop": size / resized,
        "interpolation": how.interpolation.value,
        "mean": list(how.mean),
        "std": list(how.std),
    }


def _segments(name: str) -> bool:
    return name.startswith(("deeplabv3", "fcn", "lraspp"))
