"""A small model of every kind of every source, with what its own library says of real inputs.

A source joins the suite by its ``families`` and an entry here for each.
"""

import os
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from functools import cache, partial
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import headstart
from headstart.api import own
from headstart.contracts import TextPreprocess
from headstart.core import plugins
from headstart.core.frameworks import prepare_torch
from headstart.model.trunk import FrozenModel
from tests.model import families, picture_families
from tests.sources import keras_models
from tests.sources.graphs import FREE, SAVED_MODEL, Residual, classifier, write_graph
from tests.sources.hub_repository import clone, small_network
from tests.verbs.conftest import copy_pictures

torch = prepare_torch()

import timm  # noqa: E402
import torchvision  # noqa: E402
import transformers as t  # noqa: E402
from safetensors.torch import save_file  # noqa: E402
from timm.data import create_transform, resolve_data_config  # noqa: E402

Features = Mapping[str, NDArray[Any]]
"""What a library says of inputs: an array [N, D] by the name of the column that has to equal it."""


@dataclass(frozen=True)
class Kind:
    """How a model is made, giving the name its source finds it by, and what its own library says of files.

    ``is_code`` says that its code has to be trusted, by what stands before the last colon of its name.
    Where another test compares with the library, ``original`` is left out: engines are then held to torch.
    """

    make: Callable[[Path], str]
    original: Callable[[str, FrozenModel, Sequence[Path]], Features] | None = None
    image_size: int | None = None
    is_code: bool = False


@cache
def made(source: str, family: str) -> str:
    """Return the name of a family's small model, which is made once."""
    folder = Path(os.environ["HEADSTART_HOME"]) / "families" / source / family.replace(" ", "-")
    folder.mkdir(parents=True)
    with redirect_stderr(StringIO()), torch.random.fork_rng(devices=[]):  # progress bars
        torch.manual_seed(11)
        return KINDS[source, family].make(folder)


def _text(kind: str, folder: Path) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        families.save(kind, folder, Path(scratch))
    return str(folder)


def _texts_of(files: Sequence[Path]) -> list[str]:
    return [file.read_text() for file in files]


def _longest(model: FrozenModel) -> int:
    preprocess = model.pretrained.preprocess
    assert isinstance(preprocess, TextPreprocess)
    return preprocess.max_length


def _encoded(folder: str, model: FrozenModel, files: Sequence[Path], how: str, reads: str = "") -> Features:
    """Return every layer's states of each text alone, so without padding, pooled; by Transformers."""
    tokenizer = t.AutoTokenizer.from_pretrained(folder)
    kind = getattr(t, reads) if reads else t.AutoModel
    own = kind.from_pretrained(folder).eval()
    reader = own.get_encoder() if own.config.is_encoder_decoder or reads else own
    pooled = {"mean": lambda x: x[0].mean(0), "last": lambda x: x[0, -1]}[how]
    longest = _longest(model)
    rows: list[list[Any]] = []
    for text in _texts_of(files):
        ids = tokenizer(text, truncation=True, max_length=longest, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            said = reader(input_ids=ids, output_hidden_states=True)
        rows.append([pooled(one) for one in (*said.hidden_states[:-1], said.last_hidden_state)])
    names = [f"{how}/{block}" for block in ("embeddings", *(f"layer.{n}" for n in range(len(rows[0]) - 1)))]
    return {name: torch.stack([row[place] for row in rows]).numpy() for place, name in enumerate(names)}


def _encoder(kind: str, how: str = "mean", reads: str = "") -> Kind:
    return Kind(partial(_text, kind), partial(_encoded, how=how, reads=reads))


def _t5_encoder(folder: Path) -> str:
    _text("t5", folder)
    own = t.T5EncoderModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    own.save_pretrained(folder)
    return str(folder)


def _sentences(folder: Path) -> str:
    """Save a model as Sentence-Transformers does: two ways of pooling, a dense layer, length 1."""
    _text("bert", folder)
    write = partial(_write_json, folder)
    names = ("Transformer", "Pooling", "Dense", "Normalize")
    paths = ("", "1_Pooling", "2_Dense", "3_Normalize")
    kinds = [
        {"path": path, "type": f"sentence_transformers.models.{name}"}
        for path, name in zip(paths, names, strict=True)
    ]
    write("modules.json", [{"idx": place, "name": str(place), **one} for place, one in enumerate(kinds)])
    width = {"word_embedding_dimension": 32}
    write(
        "1_Pooling/config.json", {**width, "pooling_mode_mean_tokens": True, "pooling_mode_max_tokens": True}
    )
    about = {"in_features": 64, "out_features": 24, "bias": True}
    write("2_Dense/config.json", {**about, "activation_function": "torch.nn.modules.activation.Tanh"})
    dense = torch.nn.Linear(64, 24)
    save_file(
        {f"linear.{name}": one.detach() for name, one in dense.named_parameters()},
        folder / "2_Dense" / "model.safetensors",
    )
    return str(folder)


def _write_json(folder: Path, name: str, content: Any) -> None:
    import json

    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def _sentence_vectors(folder: str, model: FrozenModel, files: Sequence[Path]) -> Features:
    """Return what the modules say, one after the other; Sentence-Transformers' own word in another test."""
    from safetensors.torch import load_file

    tokenizer, own = t.AutoTokenizer.from_pretrained(folder), t.AutoModel.from_pretrained(folder).eval()
    dense = load_file(Path(folder) / "2_Dense" / "model.safetensors")
    rows = []
    for text in _texts_of(files):
        with torch.inference_mode():
            ids = tokenizer(text, truncation=True, max_length=_longest(model), return_tensors="pt")
            states_TC = own(**ids).last_hidden_state[0]
        both = torch.cat([states_TC.amax(0), states_TC.mean(0)])
        rows.append(torch.tanh(dense["linear.weight"] @ both + dense["linear.bias"]))
    mean = _encoded(folder, model, files, "mean")
    return {**mean, "mean/vector": torch.stack(rows).numpy()}


def _picture(kind: str, folder: Path) -> str:
    return str(picture_families.save(kind, folder))


def _opened(files: Sequence[Path]) -> list[Image.Image]:
    return [Image.open(file).convert("RGB") for file in files]


def _seen(folder: str, model: FrozenModel, files: Sequence[Path]) -> Features:
    """Return averages of the hidden states of a picture model of Transformers, from the files on."""
    kind = next(iter(t.AutoConfig.from_pretrained(folder).architectures))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        own = getattr(t, kind).from_pretrained(folder).eval()
    processor = t.AutoImageProcessor.from_pretrained(folder, backend="pil")
    pixels = processor(images=_opened(files), return_tensors="pt")["pixel_values"]
    with torch.inference_mode():
        if kind == "UperNetForSemanticSegmentation":
            states = own.backbone(pixels).feature_maps
        elif kind == "Mask2FormerForUniversalSegmentation":
            states = own.model(pixels, output_hidden_states=True).encoder_hidden_states
        else:
            found = own.base_model(pixels, output_hidden_states=True)
            states = found.get("reshaped_hidden_states") or found.hidden_states
    side = pixels.shape[-1] // 16
    maps = [x.mean((2, 3)) if x.ndim == 4 else x[:, -side * side :].mean(1) for x in states]
    return {f"mean/states.{place}": one.numpy() for place, one in enumerate(maps)}


def _wrapped(folder: Path) -> str:
    cfg = {**timm.get_pretrained_cfg("test_resnet").to_dict(), "input_size": [3, 64, 64]}
    own = t.TimmWrapperModel(t.TimmWrapperConfig(architecture="test_resnet", pretrained_cfg=cfg))
    own.save_pretrained(folder)
    return str(folder)


def _timm(name: str, folder: Path) -> str:
    timm.models.save_for_hf(timm.create_model(name), folder, safe_serialization=True)
    return str(folder)


def _by_timm(own: Any, pixels: Any) -> Features:
    with torch.inference_mode():
        _, maps = own.forward_intermediates(pixels)
    return {
        f"mean/{info['module']}": one.mean((2, 3)).numpy()
        for info, one in zip(own.feature_info, maps, strict=True)
    }


def _of_timm(folder: str, model: FrozenModel, files: Sequence[Path]) -> Features:
    own = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    transform = create_transform(**resolve_data_config(model=own))
    return _by_timm(own, torch.stack([transform(picture) for picture in _opened(files)]))


def _of_wrapper(folder: str, model: FrozenModel, files: Sequence[Path]) -> Features:
    processor = t.AutoImageProcessor.from_pretrained(folder)
    pixels = processor(images=_opened(files), return_tensors="pt")["pixel_values"]
    return _by_timm(t.TimmWrapperModel.from_pretrained(folder).eval().timm_model, pixels)


def _torchvision(name: str, folder: Path) -> str:
    of = torchvision.models.segmentation if name.startswith("deeplab") else torchvision.models
    options = {"weights_backbone": None} if name.startswith("deeplab") else {}
    save_file(of.__dict__[name](weights=None, **options).state_dict(), folder / "weights.safetensors")
    return f"{name}@{folder / 'weights.safetensors'}"


def _of_torchvision(name: str, model: FrozenModel, files: Sequence[Path], layer: str) -> Features:
    """Return the average of what one layer of torchvision's own model gives."""
    plain = name.partition("@")[0]
    own = torchvision.models.get_model(plain, weights=None, **model.pretrained.config).eval()
    own.load_state_dict({key: torch.from_numpy(one.copy()) for key, one in model.state.items()})
    segments = {"resize_size": 128} if plain.startswith("deeplab") else {}
    transform = torchvision.models.get_model_weights(plain).DEFAULT.transforms(**segments)
    whole = [transform(picture) for picture in _opened(files)]
    cut = [torchvision.transforms.functional.center_crop(one, min(one.shape[1:])) for one in whole]
    pixels = torch.stack(cut)  # what segments takes pictures whole: here the middle of them
    kept: list[Any] = []
    own.get_submodule(layer).register_forward_hook(lambda _, given, out: kept.append(out.mean((2, 3))))
    with torch.inference_mode():
        own(pixels)
    return {f"mean/{layer}": kept[0].numpy()}


def _lite(name: str, model: FrozenModel, files: Sequence[Path]) -> Features:
    """Return what timm's own model of the same name says with these weights."""
    own = timm.create_model(f"tf_{name.replace('-', '_')}").eval()
    own.load_state_dict({key: torch.from_numpy(one.copy()) for key, one in model.state.items()})
    transform = create_transform(
        input_size=(3, 224, 224), interpolation="bicubic", mean=(0.5,) * 3, std=(0.5,) * 3, crop_pct=224 / 256
    )
    with torch.inference_mode():
        last = own.forward_features(torch.stack([transform(picture) for picture in _opened(files)]))
    return {"mean/head": last.mean((2, 3)).numpy()}


def _squared(side: int, whole: int, mean: Sequence[float], files: Sequence[Path]) -> Any:
    """Return pictures as Caffe's models take them: resized, their middle, BGR, less the mean."""
    from torchvision.transforms import functional

    resized = [functional.resize(one, whole) for one in _opened(files)]
    cut = [functional.center_crop(one, [side, side]) for one in resized]
    bgr = np.stack([np.asarray(one)[:, :, ::-1] for one in cut]).astype(np.float32) - np.float32(mean)
    return torch.from_numpy(bgr).permute(0, 3, 1, 2)


def _caffe(
    name: str,
    model: FrozenModel,
    files: Sequence[Path],
    layer: str,
    sides: tuple[int, int],
    mean: Sequence[float],
) -> Features:
    """Return the average of what a layer of torchvision's architecture gives with these weights."""
    plain = model.pretrained.architecture.partition("/")[2]
    own = torchvision.models.get_model(plain, weights=None).eval()
    state = {key: torch.from_numpy(one.copy()) for key, one in model.state.items()}
    own.load_state_dict(state, strict=False)
    with torch.inference_mode():
        number = int(layer.partition(".")[2])
        last = own.features[: number + 1](_squared(*sides, mean, files))
    return {f"mean/{layer}": last.mean((2, 3)).numpy()}


def _minilm(name: str, model: FrozenModel, files: Sequence[Path]) -> Features:
    folder = str(model.pretrained.weights.parent)
    last = _encoded(folder, model, files, "mean")
    return {"mean/layer.5": last["mean/layer.5"]}


def _graph(folder: Path) -> str:
    """Write a graph of an eighth of its pictures' size."""
    *below, _ = classifier()
    down = torch.nn.Sequential(torch.nn.Conv2d(12, 16, 3, 2, 1), torch.nn.ReLU())
    top = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(16, 5))
    sample = {"pixels": np.random.default_rng(0).normal(size=(2, 3, 32, 32)).astype(np.float32)}
    module = torch.nn.Sequential(*below, down, Residual(16), top).eval()
    return str(write_graph(module, folder / "model.onnx", sample, {"pixels": FREE, "features": {0: "n"}}))


def _run(folder: Path) -> str:
    """Fit a run whose trunk moved."""
    pictures = copy_pictures(folder / "pictures", ("animals", "vehicles"), 6)
    base, run = f"hf:{_picture('resnet', folder / 'model')}", folder / "run"
    headstart.fit(str(pictures), base=base, out=str(run), strategy="full", epochs=1, engine="torch")
    return str(run)


_BY_TEXT = {
    "BERT": "bert", "RoBERTa": "roberta", "XLM-RoBERTa": "xlm-roberta", "DistilBERT": "distilbert",
    "ELECTRA": "electra", "MPNet": "mpnet", "ALBERT": "albert", "T5": "t5", "mT5": "mt5", "BART": "bart",
    "Pegasus": "pegasus", "LED": "led", "Marian": "marian", "mBART": "mbart", "mBART-50": "mbart50",
    "M2M100": "m2m_100", "NLLB": "nllb", "BERT2BERT": "bert2bert",
}  # fmt: skip
_SEQ2SEQ = (*families.CONFIGS,)
_CONTINUES = {"GPT-2": "gpt2", "LLaMA": "llama", "OPT": "opt"}
_BY_PICTURE = {
    "ViT": "vit", "DeiT": "deit", "BEiT": "beit", "DINOv2": "dinov2", "CLIP vision": "clip_vision_model",
    "DINOv2 with registers": "dinov2_with_registers", "SigLIP vision": "siglip_vision_model", "Swin": "swin",
    "Swin v2": "swinv2", "ConvNeXt": "convnext", "ResNet": "resnet", "MobileViT": "mobilevit",
    "SegFormer": "segformer", "UperNet": "upernet", "DPT": "dpt", "Mask2Former": "mask2former",
    "Data2Vec": "data2vec-vision", "ConvNeXt v2": "convnextv2", "RegNet": "regnet", "BiT": "bit",
    "PVT v2": "pvt_v2", "PoolFormer": "poolformer", "MobileNet v2": "mobilenet_v2",
}  # fmt: skip
_LAYERS = {
    "ResNet": ("resnet18", "layer4.1"), "MobileNet": ("mobilenet_v3_small", "features.12"),
    "SqueezeNet": ("squeezenet1_1", "features.12"),
    "DeepLabV3": ("deeplabv3_mobilenet_v3_large", "backbone.16"),
}  # fmt: skip


def _application(at: Path) -> str:
    """MobileNetV2 of Keras, with its weights in a file."""
    weights = keras_models.save(keras_models.made("MobileNetV2"), at / "own.weights.h5")
    return f"MobileNetV2@{weights}"


KINDS: Mapping[tuple[str, str], Kind] = {
    **{
        ("hf", name): _encoder(kind, reads="AutoModelForSeq2SeqLM" if kind in _SEQ2SEQ else "")
        for name, kind in _BY_TEXT.items()
    },
    **{("hf", name): _encoder(kind, "last") for name, kind in _CONTINUES.items()},
    ("hf", "T5 encoder"): Kind(_t5_encoder, partial(_encoded, how="mean", reads="T5EncoderModel")),
    ("hf", "Sentence-Transformers"): Kind(_sentences, _sentence_vectors),
    **{("hf", name): Kind(partial(_picture, kind), _seen) for name, kind in _BY_PICTURE.items()},
    ("hf", "timm wrapper"): Kind(_wrapped, _of_wrapper),
    ("timm", "convolutional"): Kind(partial(_timm, "test_resnet"), _of_timm),
    ("timm", "transformer"): Kind(partial(_timm, "test_vit"), _of_timm),
    **{
        ("torchvision", name): Kind(
            partial(_torchvision, net),
            partial(_of_torchvision, layer=layer),
            128 if net.startswith("deeplab") else None,
        )
        for name, (net, layer) in _LAYERS.items()
    },
    ("pack", "EfficientNet-Lite"): Kind(lambda _: "efficientnet-lite0", _lite),
    ("pack", "SqueezeNet"): Kind(
        lambda _: "squeezenet1_1",
        partial(_caffe, layer="features.12", sides=(227, 227), mean=(104, 117, 124)),
    ),
    ("pack", "VGG16"): Kind(
        lambda _: "vgg16-hed",
        partial(_caffe, layer="features.29", sides=(112, 128), mean=(104.00699, 116.66877, 122.67892)),
        112,
    ),
    ("pack", "MiniLM"): Kind(lambda _: "minilm-l6", _minilm),
    ("keras", "application"): Kind(_application, image_size=64),
    ("onnx", "graph of pictures"): Kind(_graph, image_size=64),
    ("tf", "SavedModel of pictures"): Kind(lambda _: str(SAVED_MODEL)),
    ("run", "of a picture model"): Kind(_run),
    ("hub", "module of a clone"): Kind(lambda at: f"{clone(at / 'clone')}:small_cnn", is_code=True),
    ("own", "module of one's own"): Kind(lambda _: own("parity", small_network).partition(":")[2]),
}


def everything() -> list[tuple[str, str]]:
    """Return every declared kind of every source."""
    sources = {name: plugins.load("source", name) for name in plugins.names("source")}
    return [(name, family.name) for name, source in sources.items() for family in source.families]
