"""Decoder-only models against Transformers itself: losses, what is written and what is saved."""

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart
from headstart.contracts import Example, Head, Kept, TextPreprocess
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.fitting.writing import Targets, cross_entropies
from headstart.model.decoders import Writing
from headstart.model.trunk import FrozenModel, find_model
from headstart.model.writer import WriterHead
from tests.model.families import CONTINUERS, LONGEST, PAIRS, pages, source_of

torch = prepare_torch()

import transformers  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

Folder = Callable[[str], Path]
TEXTS = [pair["description"] for pair in PAIRS[:4]]
SUMMARIES = [pair["summary"] for pair in PAIRS[:4]]
LENGTH, TARGET = 40, 16
GREEDY = Writing(beams=1, most=12, no_repeat=0)
BEAMS = Writing(beams=3, most=12, no_repeat=2, length_penalty=0.7)
every_kind = pytest.mark.parametrize("kind", CONTINUERS)


@cache
def frozen(folder: Path) -> FrozenModel:
    sizes = {"image_size": None, "max_length": LENGTH, "target_length": TARGET}
    return find_model(f"hf:{folder}", "text-tokens", sizes, None)


@cache
def theirs(folder: Path) -> tuple[Any, Any]:
    """Return model and tokenizer as Transformers reads them."""
    model = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    return model, transformers.AutoTokenizer.from_pretrained(folder)


def head_of(folder: Path, writing: Writing) -> WriterHead:
    """Return the head that the untrained model is."""
    facts = {"writing": {name: getattr(writing, name) for name in Writing.__slots__}}
    kept = Kept(tensors={}, facts=facts, frozen=frozen(folder))
    head: Head = plugins.load("learner", "continuer").restore((), kept)
    assert isinstance(head, WriterHead)
    return head


def prompt(folder: Path, text: str) -> list[int]:
    """Return a document as the issue says: its tokens, then the one that ends a text."""
    model, tokenizer = theirs(folder)
    ids = list(tokenizer(text, truncation=True, max_length=LENGTH)["input_ids"])
    end = model.config.eos_token_id
    return ids if ids[-1] == end else [*ids, end]


@every_kind
def test_the_store_holds_the_tokens_alone(family_folder: Folder, kind: str) -> None:
    folder = family_folder(kind)
    source, tokenizer = source_of(frozen(folder), TEXTS), theirs(folder)[1]
    for text, ids_S, mask_S in zip(TEXTS, source.ids_NS, source.mask_NS, strict=True):
        expected = tokenizer(text, truncation=True, max_length=LENGTH)["input_ids"]
        assert ids_S[mask_S.bool()].tolist() == expected
    for engine in plugins.names("engine"):
        run = plugins.load("engine", engine).compile(frozen(folder).trunk())
        inputs = {"input_ids": np.arange(24).reshape(2, 12), "attention_mask": np.ones((2, 12), np.int64)}
        np.testing.assert_array_equal(run(inputs)[:, :, 0], inputs["input_ids"])


@every_kind
def test_the_loss_is_the_models_own_on_the_target_alone(family_folder: Folder, kind: str) -> None:
    folder = family_folder(kind)
    model, tokenizer = theirs(folder)
    end = model.config.eos_token_id
    head = head_of(folder, GREEDY)
    ids = {place: head.vocabulary.encode(text, TARGET)[0] for place, text in enumerate(SUMMARIES)}
    losses, count = 0.0, 0
    for place, text in enumerate(TEXTS):
        said = tokenizer(SUMMARIES[place], add_special_tokens=False)["input_ids"][: TARGET - 1]
        assert ids[place] == [*said, end]
        before = prompt(folder, text)
        labels = torch.tensor([[-100] * len(before) + ids[place]])
        with torch.inference_mode():
            loss = model(input_ids=torch.tensor([before + ids[place]]), labels=labels).loss
        losses, count = losses + float(loss) * len(ids[place]), count + len(ids[place])
    with torch.inference_mode():
        source, targets = source_of(frozen(folder), TEXTS), Targets(ids, TARGET, 0)
        loss, weight = (
            one.sum() for one in cross_entropies(head.decoder, source, targets, np.arange(4), 0.0)
        )
    assert weight == count
    assert float(loss) == pytest.approx(losses, rel=1e-4)


@pytest.mark.parametrize("writing", [GREEDY, BEAMS], ids=["greedy", "beams"])
@every_kind
def test_what_is_written_is_what_the_model_generates(
    family_folder: Folder, kind: str, writing: Writing
) -> None:
    folder = family_folder(kind)
    model, tokenizer = theirs(folder)
    head, expected = head_of(folder, writing), []
    for text in TEXTS:  # one at a time, so without any padding
        ids = torch.tensor([prompt(folder, text)])
        asked = {**writing.options(), "pad_token_id": model.config.eos_token_id}
        found = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **asked)
        expected.append(tokenizer.decode(found[0, ids.shape[1] :], skip_special_tokens=True).strip())
    units = [(Example(key="", label="", path=Path(), text=text),) for text in TEXTS]
    together = [one.text for one in head.outputs(pages(frozen(folder), TEXTS), units)]
    alone = [head.outputs(pages(frozen(folder), [one[0].text or ""]), [one])[0].text for one in units]
    assert together == expected
    assert alone == expected
    assert len(set(together)) > 1


QUICK: Mapping[str, Any] = {
    "task": "summarization", "epochs": 1, "batch_size": 4, "engine": "torch", "max_length": LENGTH,
    "target_length": TARGET, "learning_rate": 0.003,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dozen pairs."""
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    file.write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS[:24]))
    return file


@every_kind
def test_a_run_is_a_model_of_transformers_that_writes_the_same(
    family_folder: Folder, kind: str, data: Path, tmp_path: Path
) -> None:
    folder, run = family_folder(kind), tmp_path / "run"
    fitted = headstart.fit(str(data), out=str(run), base=f"hf:{folder}", **QUICK)
    before, after = theirs(folder)[0], transformers.AutoModelForCausalLM.from_pretrained(run / "model")
    assert fitted.objective["parameters"] == sum(one.numel() for one in before.parameters())
    changed = {
        name: not torch.equal(one, other)
        for (name, one), other in zip(before.named_parameters(), after.parameters(), strict=True)
    }
    assert all(changed.values())
    noted = {note.what: note.count for note in fitted.notes}
    assert noted[f"cut to {LENGTH} tokens"] > 0
    tokenizer = transformers.AutoTokenizer.from_pretrained(run / "model")
    texts = [pair["description"] for pair in PAIRS[24:28]]
    files = [tmp_path / f"{place}.txt" for place in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)
    said = [one.prediction for one in headstart.predict(str(run), [str(file) for file in files])]
    for text, found in zip(texts, said, strict=True):
        ids = list(tokenizer(text, truncation=True)["input_ids"])
        ids += [] if ids[-1] == after.config.eos_token_id else [after.config.eos_token_id]
        written = after.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long)
        )
        assert found == tokenizer.decode(written[0, len(ids) :], skip_special_tokens=True).strip()


def test_room_is_kept_for_the_target(family_folder: Folder) -> None:
    folder = family_folder("gpt2")

    def longest(**sizes: int | None) -> int:
        model = find_model(
            f"hf:{folder}", "text-tokens", {"image_size": None, "max_length": None, **sizes}, None
        )
        assert isinstance(model.pretrained.preprocess, TextPreprocess)
        return model.pretrained.preprocess.max_length

    assert longest() == LONGEST - LONGEST // 4 - 1
    assert longest(target_length=10) == LONGEST - 11
    assert longest(max_length=20, target_length=10) == 20
    with pytest.raises(UserError, match="at most 63 together"):
        longest(max_length=54, target_length=10)


@pytest.mark.parametrize(
    ("kind", "options", "told"),
    [
        ("bert", {"head": "continuer"}, "decoder-only"),
        ("gpt2", {"decoder": "warm"}, "--decoder warm"),
        ("gpt2", {"head": "writer", "decoder": "shared"}, "writes by itself"),
        ("t5", {"head": "continuer"}, "decoder-only"),
    ],
)
def test_what_does_not_fit_is_told(
    family_folder: Folder, data: Path, tmp_path: Path, kind: str, options: dict[str, Any], told: str
) -> None:
    asked = {**QUICK, "base": f"hf:{family_folder(kind)}", **options}
    with pytest.raises(UserError, match=told) as error:
        headstart.fit(str(data), out=str(tmp_path / "run"), **asked)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()
