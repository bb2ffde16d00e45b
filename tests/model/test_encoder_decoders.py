"""Families of encoder-decoders against Transformers itself: states, losses, what is written and saved."""

import json
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart
from headstart.contracts import Engine, Example, Frozen
from headstart.core import plugins
from headstart.core.errors import EngineUnavailable, UserError
from headstart.core.frameworks import prepare_torch
from headstart.data import tokens
from headstart.fitting import decoders
from headstart.fitting.writing import Targets, cross_entropies
from headstart.model.batches import stacked
from headstart.model.decoders import Decoder, Writing
from headstart.model.trunk import FrozenModel, find_model
from headstart.model.vocabulary import Own
from headstart.model.writer import WriterHead
from tests.model.families import CONFIGS, PAIRS, ROOT, pages, source_of

torch = prepare_torch()

import transformers  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

Folder = Callable[[str], Path]
TEXTS = [pair["description"] for pair in PAIRS[:4]]
SUMMARIES = [pair["summary"] for pair in PAIRS[:4]]
LENGTH = 48
GREEDY = Writing(beams=1, most=12, no_repeat=0)
BEAMS = Writing(beams=3, most=12, no_repeat=2, length_penalty=0.7)
LANGUAGES = {
    "m2m_100": ("fr", "en"),
    "nllb": ("fra_Latn", "eng_Latn"),
    "mbart": ("fr_XX", "en_XX"),
    "mbart50": ("fr_XX", "en_XX"),
    "marian": (),
}
COMPUTED_POSITIONS = ("pegasus", "marian")
every_family = pytest.mark.parametrize("kind", CONFIGS)


@cache
def frozen(folder: Path, max_length: int = LENGTH) -> FrozenModel:
    sizes = {"image_size": None, "max_length": max_length}
    return find_model(f"hf:{folder}", "text-states", sizes, None)


@cache
def theirs(folder: Path) -> tuple[Any, Any]:
    """Return model and tokenizer as Transformers reads them."""
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def encoded(tokenizer: Any, texts: list[str]) -> Any:
    return tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")


def decoder_of(model: Frozen) -> Decoder:
    return decoders.own_decoder(model, model.network().module)


def same_rows(found: Any, expected: Any, pad: int) -> bool:
    """Say whether two batches of token ids are the same, padding at the end apart."""
    longest = max(found.shape[1], expected.shape[1])
    filled = [
        torch.nn.functional.pad(one, (0, longest - one.shape[1]), value=pad) for one in (found, expected)
    ]
    return bool(torch.equal(*filled))


@pytest.mark.parametrize("engine", plugins.names("engine"))
@every_family
def test_states_are_those_of_the_models_encoder(family_folder: Folder, kind: str, engine: str) -> None:
    folder = family_folder(kind)
    model, (their_model, tokenizer) = frozen(folder), theirs(folder)
    inputs = [tokens.encode(text, model.pretrained).inputs for text in TEXTS]
    batch = encoded(tokenizer, TEXTS)
    with torch.inference_mode():
        reads = {name: batch[name] for name in ("input_ids", "attention_mask")}
        expected = their_model.get_encoder()(**reads).last_hidden_state.numpy()
    runtime: Engine = plugins.load("engine", engine)
    if kind == "led" and engine != "torch":  # it reads in windows
        with pytest.raises(EngineUnavailable, match="differs by the input's size"):
            runtime.compile(model.trunk())
        return
    run = runtime.compile(model.trunk())
    found = run({name: stacked([one[name] for one in inputs]) for name in inputs[0]})
    real = batch["attention_mask"].numpy().astype(bool)
    np.testing.assert_allclose(found[real], expected[real], atol=2e-4)
    for one, states_TC in zip(inputs, found, strict=True):
        alone = run({name: array[None] for name, array in one.items()})[0]
        np.testing.assert_allclose(alone, states_TC[: len(alone)], atol=1e-4)


@every_family
def test_the_loss_is_the_models_own(family_folder: Folder, kind: str) -> None:
    folder = family_folder(kind)
    model, (their_model, tokenizer) = frozen(folder), theirs(folder)
    words = Own(tokens.own_tokenizer(model.pretrained))
    ids = {place: words.encode(text, 16)[0] for place, text in enumerate(SUMMARIES)}
    labels = tokenizer(text_target=SUMMARIES, padding=True, truncation=True, max_length=16)["input_ids"]
    labels = torch.tensor(labels)
    labels[labels == tokenizer.pad_token_id] = -100
    assert [row[row != -100].tolist() for row in labels] == list(ids.values())
    source, decoder, places = source_of(model, TEXTS), decoder_of(model), np.arange(len(TEXTS))
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # theirs, of EncoderDecoderModel
        said = their_model(**{**encoded(tokenizer, TEXTS), "labels": labels})
        loss, weight = (
            one.sum() for one in cross_entropies(decoder, source, Targets(ids, 16, 0), places, 0.0)
        )
        smooth, _ = (one.sum() for one in cross_entropies(decoder, source, Targets(ids, 16, 0), places, 0.1))
    assert weight == float((labels != -100).sum())
    assert float(loss) / weight == pytest.approx(float(said.loss), rel=1e-4)
    slow = 0.0
    for logits_TV, label_T in zip(said.logits, labels, strict=True):
        for logits_V, label in zip(logits_TV, label_T.tolist(), strict=True):
            if label != -100:
                log_p = torch.log_softmax(logits_V, dim=0)
                slow -= 0.9 * float(log_p[label]) + 0.1 * float(log_p.mean())
    assert float(smooth) == pytest.approx(slow, rel=1e-4)


@pytest.mark.parametrize("writing", [GREEDY, BEAMS], ids=["greedy", "beams"])
@every_family
def test_what_is_written_is_what_the_model_generates(
    family_folder: Folder, kind: str, writing: Writing
) -> None:
    folder = family_folder(kind)
    model, (their_model, tokenizer) = frozen(folder), theirs(folder)
    decoder, pad = decoder_of(model), tokenizer.pad_token_id
    reads = encoded(tokenizer, TEXTS)
    reads.pop("token_type_ids", None)
    expected = their_model.generate(**reads, **writing.options())
    assert same_rows(decoder.write(source_of(model, TEXTS), writing), expected, pad)
    assert same_rows(decoder.write(source_of(model, TEXTS[:1]), writing), expected[:1], pad)
    head = WriterHead(columns=(), decoder=decoder, vocabulary=Own(tokenizer), writing=writing)
    units = [(Example(key="", label="", path=Path(), text=text),) for text in TEXTS]
    said = [one.text for one in head.outputs(pages(model, TEXTS), units)]
    assert said == [text.strip() for text in tokenizer.batch_decode(expected, skip_special_tokens=True)]
    assert len(set(said)) > 1


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dozen pairs."""
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    file.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS[:24]))
    return file


QUICK: Mapping[str, Any] = {
    "task": "summarization", "epochs": 1, "batch_size": 4, "engine": "torch", "max_length": LENGTH,
    "target_length": 16, "learning_rate": 0.01,
}  # fmt: skip


@every_family
def test_a_run_is_a_model_of_transformers_that_writes_the_same(
    family_folder: Folder, kind: str, data: Path, tmp_path: Path
) -> None:
    folder, run = family_folder(kind), tmp_path / "run"
    fitted = headstart.fit(str(data), out=str(run), base=f"hf:{folder}", **QUICK)
    assert fitted.objective["decoder"] == "own"
    their_model, tokenizer = theirs(run / "model")
    texts = [pair["description"] for pair in PAIRS[24:29]]
    files = [tmp_path / f"{place}.txt" for place in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    said = [one.prediction for one in headstart.predict(str(run), [str(file) for file in files])]
    batch = tokenizer(texts, padding=True, truncation=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    written = tokenizer.batch_decode(their_model.generate(**batch), skip_special_tokens=True)
    assert said == [text.strip() for text in written]
    before, after = theirs(folder)[0], their_model
    for one, other in zip(before.get_encoder().parameters(), after.get_encoder().parameters(), strict=True):
        assert torch.equal(one, other)
    below = {id(one) for one in before.get_encoder().parameters()}
    pairs = zip(before.named_parameters(), after.parameters(), strict=True)
    moved = {
        name: not torch.equal(one, other)
        for (name, one), other in pairs
        if id(one) not in below and not (kind in COMPUTED_POSITIONS and "positions" in name)
    }
    assert moved
    assert not [name for name, changed in moved.items() if not changed]


@pytest.mark.parametrize("kind", ["m2m_100", "nllb", "mbart", "mbart50", "marian"])
def test_a_translators_run_goes_between_its_languages_in_transformers_too(
    family_folder: Folder, kind: str, tmp_path: Path
) -> None:
    lines = (ROOT / "examples" / "translation" / "pairs.jsonl").read_text().splitlines()
    rows = [{name: json.loads(line)[name] for name in ("en", "fr")} for line in lines[200:240]]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = {**QUICK, "task": "translation", "source_language": "fr", "target_language": "en"}
    if kind == "marian":  # its only targets are French and German
        asked |= {"source_language": "en", "target_language": "fr"}
    run = tmp_path / "run"
    fitted = headstart.fit(
        str(tmp_path / "pairs.jsonl"), out=str(run), base=f"hf:{family_folder(kind)}", **asked
    )
    assert fitted.model["preprocess"]["languages"] == list(LANGUAGES[kind])
    texts = [row[asked["source_language"]] for row in rows[:5]]
    (tmp_path / "texts.txt").write_text("".join(f"{text}\n" for text in texts))
    said = [one.prediction for one in headstart.predict(str(run), [str(tmp_path / "texts.txt")])]
    model, tokenizer = theirs(run / "model")
    begin = fitted.model["preprocess"]["prefix"]
    batch = tokenizer([begin + text for text in texts], padding=True, truncation=True, return_tensors="pt")
    written = tokenizer.batch_decode(model.generate(**batch), skip_special_tokens=True)
    assert said == [text.strip() for text in written]


def test_a_target_longer_than_the_decoders_positions_is_told(
    family_folder: Folder, data: Path, tmp_path: Path
) -> None:
    asked = {**QUICK, "base": f"hf:{family_folder('led')}", "target_length": 33}
    with pytest.raises(UserError, match="--target-length 33; expected at most 32"):
        headstart.fit(str(data), out=str(tmp_path / "run"), **asked)
