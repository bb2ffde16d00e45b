"""Folders that Transformers itself wrote: the trunk against Transformers' own numbers, text by text.

The models are the real classes, small and randomly initialised.
"""

import json
import shutil
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.contracts import TextPreprocess
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.model.batches import stacked
from headstart.model.trunk import FrozenModel, find_model
from headstart.tasks.text_classification import TextClassification

torch = prepare_torch()

import tokenizers  # noqa: E402
import transformers  # noqa: E402
from safetensors.torch import load_file, save_file  # noqa: E402

TEXTS = (
    "one",
    "a somewhat longer text, with commas and words",
    "two words",
    "the last of these texts is by far the longest of them all, and goes on and on " * 3,
)
SIZES = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 4, "intermediate_size": 48}
VOCABULARY = 120
KINDS: Mapping[str, Any] = {
    "bert": partial(transformers.BertConfig, **SIZES, max_position_embeddings=40),
    "roberta": partial(transformers.RobertaConfig, **SIZES, max_position_embeddings=42),
    "xlm-roberta": partial(transformers.XLMRobertaConfig, **SIZES, max_position_embeddings=42),
    "mpnet": partial(transformers.MPNetConfig, **SIZES, max_position_embeddings=42),
    "electra": partial(transformers.ElectraConfig, **SIZES, embedding_size=16, max_position_embeddings=40),
    "albert": partial(transformers.AlbertConfig, **SIZES, embedding_size=16, max_position_embeddings=40),
    "distilbert": partial(
        transformers.DistilBertConfig,
        dim=32,
        n_layers=3,
        n_heads=4,
        hidden_dim=48,
        max_position_embeddings=40,
    ),
    "gpt2": partial(transformers.GPT2Config, n_embd=32, n_layer=3, n_head=4, n_positions=40),
}
every_kind = pytest.mark.parametrize("kind", KINDS)
Make = Callable[..., Path]


def tokenizer() -> tokenizers.Tokenizer:
    """Return a small byte-pair tokenizer with special tokens around each text."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, show_progress=False
    )
    made.train_from_iterator(TEXTS, trainer)
    made.post_processor = tokenizers.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


def config(kind: str) -> Any:
    return KINDS[kind](vocab_size=VOCABULARY, pad_token_id=1, bos_token_id=0, eos_token_id=2)


def model_of(kind: str, class_of: Any = transformers.AutoModel) -> Any:
    """Return a model whose every parameter is drawn: fresh biases and norms would hide mistakes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        made = class_of.from_config(config(kind))
        with torch.no_grad():
            for name, parameter in made.named_parameters():
                norm = "orm.weight" in name or "ln_" in name
                parameter.normal_(1.0 if norm else 0.0, 0.1 if norm or parameter.ndim < 2 else 0.2)
    return made.eval()


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Return a function that saves a model of a kind with its tokenizer."""

    def save(kind: str, class_of: Any = transformers.AutoModel) -> Path:
        folder = tmp_path_factory.mktemp(kind)
        model_of(kind, class_of).save_pretrained(folder)
        tokenizer().save(str(folder / "tokenizer.json"))
        return folder

    return save


@pytest.fixture(scope="session")
def folder_of(make: Make) -> Callable[[str], Path]:
    """Return a function that gives each kind's folder, made once; not to be changed."""
    made: dict[str, Path] = {}
    return lambda kind: made.setdefault(kind, make(kind)) if kind not in made else made[kind]


def frozen(folder: Path, max_length: int | None = None) -> FrozenModel:
    return find_model(f"hf:{folder}", "text", {"image_size": None, "max_length": max_length}, None)


def prepared(model: FrozenModel, texts: tuple[str, ...] = TEXTS) -> list[Any]:
    from headstart.contracts import Example

    task = TextClassification()
    examples = [Example(key="", label="", path=Path(), text=text) for text in texts]
    return [task.prepare(one, task.content(one), model.pretrained).inputs for one in examples]


def batch(inputs: list[Any]) -> dict[str, Any]:
    return {name: stacked([one[name] for one in inputs]) for name in inputs[0]}


def slow(folder: Path, how: str, max_length: int = 10**6) -> np.ndarray[Any, Any]:
    """Compute the features with Transformers alone, one text at a time, so without any padding."""
    theirs = transformers.AutoModel.from_pretrained(folder).eval()
    own = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    own.enable_truncation(max_length)
    own.no_padding()  # some folders pad every text to one length
    rows = []
    for text in TEXTS:
        ids = torch.tensor([own.encode(text).ids])
        with torch.inference_mode():
            states = theirs(ids, output_hidden_states=True).hidden_states
        pooled = {"mean": lambda x: x[0].mean(0), "first": lambda x: x[0, 0], "last": lambda x: x[0, -1]}[how]
        rows.append(np.concatenate([pooled(state).numpy() for state in states]))
    return np.stack(rows)


@every_kind
def test_the_longest_text_fits_the_positions(folder_of: Callable[[str], Path], kind: str) -> None:
    model = frozen(folder_of(kind))
    assert max(len(one["input_ids"]) for one in prepared(model)) == 40
    with pytest.raises(UserError, match="at most 40"):
        frozen(folder_of(kind), 41)


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("bert", transformers.AutoModelForMaskedLM),
        ("bert", transformers.AutoModelForSequenceClassification),
        ("roberta", transformers.AutoModelForSequenceClassification),
        ("distilbert", transformers.AutoModelForMaskedLM),
        ("electra", transformers.AutoModelForPreTraining),
        ("mpnet", transformers.AutoModelForMaskedLM),
        ("albert", transformers.AutoModelForMaskedLM),
        ("gpt2", transformers.AutoModelForCausalLM),
    ],
)
def test_a_head_above_is_left_out(make: Make, kind: str, head: Any) -> None:
    folder = make(kind, head)
    model = frozen(folder, 24)
    found = plugins.load("engine", "torch").compile(model.trunk())(batch(prepared(model)))
    np.testing.assert_allclose(found, slow(folder, model.pretrained.preprocess.pooling, 24), atol=1e-4)  # type: ignore[attr-defined]


def test_layer_norms_named_as_in_tensorflow(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    # The published bert-base-uncased calls them gamma and beta.
    folder = shutil.copytree(folder_of("bert"), tmp_path / "old")
    old = {
        "bert."
        + name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): t
        for name, t in load_file(folder / "model.safetensors").items()
    }
    save_file(old, folder / "model.safetensors", {"format": "pt"})
    model, expected = frozen(folder), slow(folder_of("bert"), "mean", 40)
    found = plugins.load("engine", "torch").compile(model.trunk())(batch(prepared(model)))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_weights_in_half_precision_are_computed_with_in_float32(
    folder_of: Callable[[str], Path], tmp_path: Path, half: str
) -> None:
    folder = tmp_path / half
    made = transformers.AutoModel.from_pretrained(folder_of("bert"), dtype=getattr(torch, half))
    made.save_pretrained(folder)
    shutil.copy(folder_of("bert") / "tokenizer.json", folder)
    assert half in (folder / "config.json").read_text()
    model = frozen(folder)
    assert {array.dtype for array in model.state.values()} == {np.dtype("float32")}
    found = plugins.load("engine", "torch").compile(model.trunk())(batch(prepared(model)))
    whole = tmp_path / "whole"
    made.float().save_pretrained(whole)
    shutil.copy(folder / "tokenizer.json", whole)
    np.testing.assert_allclose(found, slow(whole, "mean", 40), atol=1e-4)


@pytest.mark.parametrize(
    ("stated", "pooling"),
    [
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "first"),
        ({"pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}, "mean"),
        ({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False}, "last"),
        ({"pooling_mode": "cls"}, "first"),
        ({"pooling_mode": "mean"}, "mean"),
        ({"pooling_mode": "lasttoken"}, "last"),
    ],
)
def test_the_pooling_of_sentence_transformers_is_honoured(
    folder_of: Callable[[str], Path], tmp_path: Path, stated: dict[str, Any], pooling: str
) -> None:
    folder = shutil.copytree(folder_of("bert"), tmp_path / "model")
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(stated))
    (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": 12}))
    model = frozen(folder)
    assert isinstance(model.pretrained.preprocess, TextPreprocess)
    assert (model.pretrained.preprocess.pooling, model.pretrained.preprocess.max_length) == (pooling, 12)
    found = plugins.load("engine", "torch").compile(model.trunk())(batch(prepared(model)))
    np.testing.assert_allclose(found, slow(folder, pooling, 12), atol=1e-4)


def test_gpt2_is_pooled_at_its_last_real_token(folder_of: Callable[[str], Path]) -> None:
    model = frozen(folder_of("gpt2"))
    run = plugins.load("engine", "torch").compile(model.trunk())
    short = batch(prepared(model)[:3])
    spare = 40 - short["input_ids"].shape[1]
    padded = {name: np.pad(array, ((0, 0), (0, spare))) for name, array in short.items()}
    assert spare > 0
    np.testing.assert_allclose(run(padded), slow(folder_of("gpt2"), "last", 40)[:3], atol=1e-4)


def test_the_tokenizers_own_limit_is_taken(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("bert"), tmp_path / "model")
    for limit, length in ((20, 20), (int(1e30), 40), (512, 40)):
        (folder / "tokenizer_config.json").write_text(json.dumps({"model_max_length": limit}))
        assert frozen(folder).pretrained.preprocess.max_length == length  # type: ignore[attr-defined]


def test_the_licence_of_the_model_card_is_told(folder_of: Callable[[str], Path], tmp_path: Path) -> None:
    folder = shutil.copytree(folder_of("bert"), tmp_path / "model")
    assert frozen(folder).pretrained.licence == "not stated"
    (folder / "README.md").write_text("---\nlanguage: en\nlicense: mit\n---\n# A model\n")
    assert frozen(folder).pretrained.licence == "mit"


@pytest.mark.parametrize("file", ["tokenizer.json", "model.safetensors", "config.json"])
def test_a_missing_file_is_told(folder_of: Callable[[str], Path], tmp_path: Path, file: str) -> None:
    folder = shutil.copytree(folder_of("bert"), tmp_path / "model")
    (folder / file).unlink()
    with pytest.raises(UserError, match=file) as told:
        frozen(folder)
    assert "\n" not in str(told.value)


def test_of_an_encoder_decoder_texts_are_read_by_its_encoder(family_folder: Callable[[str], Path]) -> None:
    folder = family_folder("t5")
    model = frozen(folder, 24)
    assert model.pretrained.writes == "above"
    inputs = prepared(model)
    found = plugins.load("engine", "torch").compile(model.trunk())(batch(inputs))
    theirs = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval().get_encoder()
    for one, features_D in zip(inputs, found, strict=True):
        with torch.inference_mode():
            said = theirs(torch.tensor(one["input_ids"])[None], output_hidden_states=True)
        states = (*said.hidden_states[:-1], said.last_hidden_state)
        expected_D = np.concatenate([state[0].mean(0).numpy() for state in states])
        np.testing.assert_allclose(features_D, expected_D, atol=1e-4)


@pytest.mark.parametrize("content", ["", "[]", "{"])
def test_a_broken_config_is_told(folder_of: Callable[[str], Path], tmp_path: Path, content: str) -> None:
    folder = shutil.copytree(folder_of("bert"), tmp_path / "model")
    (folder / "config.json").write_text(content)
    with pytest.raises(UserError, match=r"config\.json"):
        frozen(folder)


def test_a_kind_that_transformers_does_not_know_is_told(
    folder_of: Callable[[str], Path], tmp_path: Path
) -> None:
    folder = shutil.copytree(folder_of("bert"), tmp_path / "model")
    about = json.loads((folder / "config.json").read_text())
    # Code from a repository is named here; it must not run.
    about |= {"model_type": "own_bert", "auto_map": {"AutoModel": "modeling.OwnModel"}}
    (folder / "config.json").write_text(json.dumps(about))
    (folder / "modeling.py").write_text("raise SystemExit('ran')")
    with pytest.raises(UserError, match="own_bert"):
        _ = frozen(folder).module


@pytest.mark.parametrize("name", ["no/such-model-anywhere-here", "not a name", "./no-such-folder"])
def test_a_model_that_is_not_here_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UserError) as told:
        find_model(f"hf:{name}", "text", {"image_size": None, "max_length": None}, None)
    assert "\n" not in str(told.value)


def test_minilm_gives_the_sentence_vectors_of_its_authors_library() -> None:
    model = find_model("pack:minilm-l6", "text", {"image_size": None, "max_length": None}, None)
    folder = model.pretrained.weights.parent
    run = plugins.load("engine", "torch").compile(model.trunk())
    found = run(batch(prepared(model)))[:, model.columns()[-1].start :]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, not ours
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError:  # not a dependency: Transformers' own numbers then
            expected = slow(folder, "mean", 256)[:, -found.shape[1] :]
        else:
            theirs = SentenceTransformer(str(folder), device="cpu")
            unnormalised = SentenceTransformer(modules=[theirs[0], theirs[1]], device="cpu")
            expected = unnormalised.encode(list(TEXTS), show_progress_bar=False)
    np.testing.assert_allclose(found, expected, atol=1e-4)
