"""A model that exists but suits the task badly: adapted, saying so, or refused with the reason."""

import json
import logging
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from headstart.core.frameworks import prepare_torch
from tests.model import families, picture_families
from tests.verbs.conftest import Call, copy_pictures
from tests.verbs.test_masks import scenes

torch = prepare_torch()

import timm  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = ("--epochs", "1", "--target-length", "8", "--beams", "1")
OTHER_SHAPE = "encoder.layer.1.attention.self.query.weight"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """A little of every kind of data."""
    root = tmp_path_factory.mktemp("data")
    copy_pictures(root / "pictures", ("animals", "vehicles"), 6)
    for file in (root / "pictures").rglob("*.png"):
        grey = root / "grey" / file.relative_to(root / "pictures")
        grey.parent.mkdir(parents=True, exist_ok=True)
        Image.open(file).convert("RGBA").convert("L").save(grey)
    scenes(root / "masks")
    rows = [{"text": one["description"], "label": "ab"[n % 2]} for n, one in enumerate(families.PAIRS[:12])]
    lines = (families.ROOT / "examples" / "translation" / "pairs.jsonl").read_text().splitlines()[200:212]
    pairs = [{name: json.loads(line)[name] for name in ("en", "fr")} for line in lines]
    for name, content in {"texts": rows, "pairs": pairs, "summaries": families.PAIRS[:12]}.items():
        (root / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content))
    return {one.stem: one for one in root.iterdir()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives a sound small model, made once; not to be changed."""
    root = tmp_path_factory.mktemp("models")

    def make(kind: str) -> Path:
        if not (root / kind).exists():
            if kind in picture_families.KINDS:
                picture_families.save(kind, root / kind)
            else:
                (scratch := root / f"{kind}-scratch").mkdir()
                families.save(kind, root / kind, scratch)
        return root / kind

    return make


def reworded(folder: Path, **said: Any) -> None:
    """Change what ``config.json`` says; None takes it away."""
    config = json.loads((folder / "config.json").read_text()) | said
    kept = {name: value for name, value in config.items() if value is not None}
    (folder / "config.json").write_text(json.dumps(kept))


def reweighed(folder: Path, change: Callable[[str, Any], Any]) -> None:
    """Change the weights, name by name; None takes one away."""
    file = folder / "model.safetensors"
    found = {name: change(name, one) for name, one in load_file(file).items()}
    save_file({name: one for name, one in found.items() if one is not None}, file, {"format": "pt"})


def _detector(folder: Path) -> None:
    shutil.rmtree(folder)
    sizes = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    config = transformers.YolosConfig(**sizes, image_size=[64, 64], num_detection_tokens=5)
    transformers.YolosForObjectDetection(config).save_pretrained(folder)
    transformers.YolosImageProcessor().save_pretrained(folder)


def _detector_alone(folder: Path) -> None:
    _detector(folder)
    (folder / "preprocessor_config.json").unlink()


def _two_towers(folder: Path) -> None:
    reworded(folder, model_type="clip", text_config={}, vision_config={})
    (folder / "preprocessor_config.json").write_text("{}")


def _one_channel(folder: Path) -> None:
    reworded(folder, num_channels=1)


def _one_channel_timm(folder: Path) -> None:
    shutil.rmtree(folder)
    timm.models.save_for_hf(timm.create_model("test_resnet", in_chans=1), folder, safe_serialization=True)
    config = json.loads((folder / "config.json").read_text())
    config["pretrained_cfg"] |= {"input_size": [3, 64, 64], "mean": [0.5] * 3, "std": [0.5] * 3}
    (folder / "config.json").write_text(json.dumps(config))


def _few_words(folder: Path) -> None:
    reworded(folder, vocab_size=50)
    reweighed(folder, lambda name, one: one[:50].clone() if "word_embeddings" in name else one)


def _without_a_layer(folder: Path) -> None:
    reweighed(folder, lambda name, one: None if ".1." in name else one)


def _foreign(folder: Path) -> None:
    save_file({"own.weight": torch.ones(3)}, folder / "model.safetensors")


def _of_another_shape(folder: Path) -> None:
    reweighed(folder, lambda name, one: one[:, :16].clone() if name.endswith(OTHER_SHAPE) else one)


def _narrow(folder: Path) -> None:
    reweighed(folder, lambda name, one: one[:16].clone() if name.endswith("fc1.weight") else one)


def _quantized(folder: Path) -> None:
    reworded(folder, quantization_config={"quant_method": "bitsandbytes", "load_in_8bit": True})


def _an_adapter(folder: Path) -> None:
    (folder / "config.json").unlink()
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "a/b"}')


def _of_another_framework(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "tf_model.h5")


def _a_harmful_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")


def _unknown_module(folder: Path) -> None:
    kinds = ("sentence_transformers.models.Transformer", "sentence_transformers.models.LSTM")
    (folder / "modules.json").write_text(json.dumps([{"path": "", "type": kind} for kind in kinds]))


def _without(*names: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return change


def _as_it_is(folder: Path) -> None:
    """Change nothing: the model is sound, and the task another."""


REFUSED: Mapping[str, tuple[str, Callable[[Path], None], str, tuple[str, ...], str]] = {
    "a detector for translation": ("vit", _detector, "pairs", (), "type 'yolos' (YolosForObjectDetection)"),
    "a detector for pictures": ("vit", _detector, "pictures", (), "type 'yolos' (YolosForObjectDetection)"),
    "a detector without its processor": ("vit", _detector_alone, "pairs", (), "'yolos', has no tokenizer"),
    "a decoder-only model for masks": ("gpt2", _as_it_is, "masks", (), "is a text model; expected a"),
    "a causal model for pictures": ("gpt2", _as_it_is, "pictures", (), "is a text model; expected a"),
    "a translator for masks": ("marian", _as_it_is, "masks", (), "is a text model; expected a"),
    "a picture model for texts": ("vit", _as_it_is, "texts", (), "is a picture model; expected a"),
    "a mask model for translation": ("segformer", _as_it_is, "pairs", (), "is a picture model; expected a"),
    "two towers": ("bert", _two_towers, "texts", (), "is a model of type 'clip'"),
    "one channel": ("vit", _one_channel, "pictures", (), "takes pictures of 1 channels"),
    "one channel said to be three": ("timm", _one_channel_timm, "pictures", (), "pictures of 1 channels"),
    "a size that cuts patches": ("vit", _as_it_is, "pictures", ("--image-size", "100"), "patches are 16 px"),
    "a length beyond the positions": ("bert", _as_it_is, "texts", ("--max-length", "99"), "at most 64"),
    "more words than rows": ("bert", _few_words, "texts", (), "but the model embeds 50"),
    "missing weights": ("bert", _without_a_layer, "texts", (), "lacks encoder.layer.1"),
    "missing weights of a picture model": ("vit", _without_a_layer, "pictures", (), "lack"),
    "weights of something else": ("bert", _foreign, "texts", (), "lacks embeddings"),
    "weights of another shape": ("bert", _of_another_shape, "texts", (), "of shape 32 x 16, not 32 x 32"),
    "a narrow layer of a writer": ("bart", _narrow, "summaries", QUICK, "of shape 16 x 32, not 48 x 32"),
    "a configuration of another width": (
        "vit", lambda folder: reworded(folder, hidden_size=64), "pictures", (), "do not fit its config.json",
    ),
    "quantized weights": ("bert", _quantized, "texts", (), "holds weights quantized by bitsandbytes"),
    "an adapter": ("bert", _an_adapter, "texts", (), "is an adapter (LORA) of a/b"),
    "weights of another framework": ("bert", _of_another_framework, "texts", (), "only tf_model.h5"),
    "a harmful pickle": ("bert", _a_harmful_pickle, "texts", (), "cannot be read as weights"),
    "no model_type": ("bert", lambda folder: reworded(folder, model_type=None), "texts", (), "no model_type"),
    "no tokenizer": (
        "bert", _without("tokenizer.json", "tokenizer_config.json"), "texts", (), "has no tokenizer.json",
    ),
    "no processor": ("vit", _without("preprocessor_config.json"), "pictures", (), "preprocessor_config.json"),
    "a module that nobody knows": ("bert", _unknown_module, "texts", (), "with a module 'LSTM'"),
}  # fmt: skip


def model(whole: Callable[[str], Path], kind: str, folder: Path, change: Callable[[Path], None]) -> str:
    """Return a copy of a sound model after a change, as ``--base`` names it."""
    shutil.copytree(whole("vit" if kind == "timm" else kind), folder)
    change(folder)
    return f"{'timm' if kind == 'timm' else 'hf'}:{folder}"


def task_of(name: str) -> tuple[str, ...]:
    return ("--task", "text-classification") if name == "texts" else ()


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_the_reason(
    case: str, whole: Callable[[str], Path], data: Mapping[str, Path], tmp_path: Path, call: Call
) -> None:
    kind, change, name, options, telling = REFUSED[case]
    base = model(whole, kind, tmp_path / "model", change)
    words = (data[name], "--base", base, "--engine", "torch", "--out", tmp_path / "run")
    done = call("fit", *words, *task_of(name), *options)
    assert done.code == 2
    assert telling in done.complaint
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def _half(folder: Path) -> None:
    reweighed(folder, lambda name, one: one.bfloat16())
    reworded(folder, dtype="bfloat16")


def _in_shards(folder: Path) -> None:
    own = transformers.AutoModel.from_pretrained(folder)
    (folder / "model.safetensors").unlink()
    own.save_pretrained(folder, max_shard_size="20KB")
    assert (folder / "model.safetensors.index.json").is_file()


def _as_a_pickle(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()


def _without_pad(folder: Path) -> None:
    said = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps({**said, "pad_token": None}))


def _older_tokenizer(folder: Path) -> None:
    known = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in sorted(known, key=known.get)))
    (folder / "tokenizer.json").unlink()


def _with_extras(folder: Path) -> None:
    file = folder / "model.safetensors"
    save_file({**load_file(file), "own.thing": torch.ones(3)}, file, {"format": "pt"})


def _marked(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xef\xbb\xbf" + (folder / "config.json").read_bytes())


ADAPTED: Mapping[str, tuple[str, Callable[[Path], None], str, tuple[str, ...], str]] = {
    "an encoder without a decoder": ("bert", _as_it_is, "pairs", QUICK, "a new decoder is trained above"),
    "three channels for grey pictures": ("vit", _as_it_is, "grey", (), "grey shown in three equal channels"),
    "another size than the positions'": (
        "vit", _as_it_is, "pictures", ("--image-size", "96"), "its positions are interpolated for 96 px",
    ),
    "no licence": ("bert", _as_it_is, "texts", (), "licence not stated"),
    "a causal model for classes": ("gpt2", _as_it_is, "texts", (), "licence not stated"),
    "a causal model for translation": ("gpt2", _as_it_is, "pairs", QUICK, "licence not stated"),
    "a plain picture model for masks": ("vit", _as_it_is, "masks", (), "licence not stated"),
    "a mask model for classes": ("segformer", _as_it_is, "pictures", (), "licence not stated"),
}  # fmt: skip


@pytest.mark.parametrize("case", ADAPTED)
def test_adapted_saying_so(
    case: str,
    whole: Callable[[str], Path],
    data: Mapping[str, Path],
    tmp_path: Path,
    call: Call,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    kind, change, name, options, told = ADAPTED[case]
    base = model(whole, kind, tmp_path / "model", change)
    words = (data[name], "--base", base, "--engine", "torch", "--out", tmp_path / "run")
    done = call("fit", *words, *task_of(name), *options)
    assert done.code == 0, done.err
    assert told in " ".join((caplog.text + done.out).split())


SAME: Mapping[str, tuple[str, Callable[[Path], None]]] = {
    "half precision": ("bert", _half),
    "half precision of a picture model": ("vit", _half),
    "several files": ("bert", _in_shards),
    "several files of a picture model": ("swin", _in_shards),
    "a pickle alone": ("bert", _as_a_pickle),
    "a tokenizer without a pad token": ("bert", _without_pad),
    "an older tokenizer": ("bert", _older_tokenizer),
    "weights that nobody asked for": ("bert", _with_extras),
    "a byte order mark": ("bert", _marked),
}


@pytest.mark.parametrize("case", SAME)
def test_what_is_only_kept_otherwise_gives_the_same_features(
    case: str, whole: Callable[[str], Path], tmp_path: Path
) -> None:
    from headstart.contracts import Task
    from headstart.core import plugins
    from headstart.model.trunk import find_model

    kind, change = SAME[case]
    takes = "picture" if kind in picture_families.KINDS else "text"
    task: Task = plugins.load(
        "task", {"picture": "image-classification", "text": "text-classification"}[takes]
    )
    inputs = tmp_path / {"picture": "input.png", "text": "input.txt"}[takes]
    if takes == "picture":
        pixels = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(inputs)
    else:
        inputs.write_text(families.TEXTS[0])
    (example,) = task.inputs([str(inputs)])
    rows = []
    for base in (f"hf:{whole(kind)}", model(whole, kind, tmp_path / "model", change)):
        frozen = find_model(base, takes, {"image_size": None, "max_length": None}, None)
        prepared = task.prepare(example, task.content(example), frozen.pretrained).inputs
        run = plugins.load("engine", "torch").compile(frozen.trunk())
        rows.append(run({name: np.array(array[None]) for name, array in prepared.items()}))
    tolerance = 0.05 if "half" in case else 1e-6
    assert np.abs(rows[0] - rows[1]).max() <= tolerance * np.abs(rows[0]).max()
