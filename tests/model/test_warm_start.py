"""Encoders made into encoder-decoders (BERT2BERT, RoBERTa-shared) against Transformers' own such models."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import headstart
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.fitting.writing import Targets, cross_entropies
from headstart.model.decoders import Writing
from headstart.model.saved import load_model
from headstart.model.trunk import FrozenModel, find_model
from headstart.model.writer import WriterHead
from tests.model.families import PAIRS, source_of

torch = prepare_torch()

import transformers  # noqa: E402

from headstart.model.encoder_decoder import EncoderDecoder, warm_started, with_weights  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

Folder = Callable[[str], Path]
TEXTS = [pair["description"] for pair in PAIRS[:4]]
LENGTH = 48
BASES = ("bert", "roberta", "pack:minilm-l6")
WRITING = Writing(beams=3, most=10, no_repeat=2)
every_base = pytest.mark.parametrize("base", BASES)


def name_of(base: str, family_folder: Folder) -> str:
    return base if ":" in base else f"hf:{family_folder(base)}"


def frozen(base: str) -> FrozenModel:
    return find_model(base, "text-states", {"image_size": None, "max_length": LENGTH}, None)


def ends_of(base: FrozenModel) -> dict[str, int]:
    config = base.pretrained.config
    bert = config["model_type"] == "bert"
    return {"pad": config["pad_token_id"], "start": 2 if bert else 0, "end": 3 if bert else 2}


def started(base: FrozenModel, shared: bool, seed: int = 0) -> EncoderDecoder:
    module: Any = base.network().module
    return warm_started(module, ends_of(base), shared, seed)


@every_base
def test_the_decoder_starts_with_the_encoders_weights(family_folder: Folder, base: str) -> None:
    model = frozen(name_of(base, family_folder))
    before = torch.get_rng_state()
    one, same, other = (started(model, shared=False, seed=seed).module for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    encoder = dict(one.encoder.named_parameters())
    decoder = dict(one.decoder.base_model.named_parameters())
    assert encoder.keys() < decoder.keys()
    for name, parameter in encoder.items():
        assert torch.equal(decoder[name], parameter)
        assert decoder[name] is not parameter
    new = [name for name in decoder if name not in encoder]
    assert new
    assert all("crossattention" in name for name in new)
    drawn = [name for name in new if name.endswith("query.weight")]
    for name in drawn:
        assert torch.equal(decoder[name], same.decoder.base_model.get_parameter(name))
        assert not torch.equal(decoder[name], other.decoder.base_model.get_parameter(name))
    words = one.decoder.get_input_embeddings().weight
    assert one.decoder.get_output_embeddings().weight is words
    assert words.requires_grad
    assert not any(parameter.requires_grad for parameter in encoder.values())


@every_base
def test_shared_layers_are_the_encoders_own_and_frozen(family_folder: Folder, base: str) -> None:
    model = frozen(name_of(base, family_folder))
    decoder = started(model, shared=True)
    encoder = dict(decoder.module.encoder.named_parameters())
    for name, parameter in decoder.module.decoder.base_model.named_parameters():
        assert (parameter is encoder.get(name)) == (name in encoder)
        assert parameter.requires_grad == ("crossattention" in name)
    assert (
        decoder.module.decoder.get_output_embeddings().weight is encoder["embeddings.word_embeddings.weight"]
    )
    kept = sum(array.size for array in decoder.tensors().values())
    assert kept == sum(one.numel() for one in decoder.module.parameters() if one.requires_grad)
    whole = sum(array.size for array in started(model, shared=False).tensors().values())
    assert kept < whole


@pytest.mark.parametrize("shared", [False, True], ids=["warm", "shared"])
@every_base
def test_loss_and_text_are_those_of_transformers(family_folder: Folder, base: str, shared: bool) -> None:
    model = frozen(name_of(base, family_folder))
    decoder = started(model, shared)
    with torch.no_grad():
        for parameter in decoder.module.parameters():  # as if trained
            if parameter.requires_grad:
                parameter.add_(
                    0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(3))
                )
    restored = with_weights(started(model, shared, seed=9), decoder.tensors())
    folder, ends = model.pretrained.weights.parent, ends_of(model)
    theirs = transformers.EncoderDecoderModel.from_encoder_decoder_pretrained(folder, folder).eval()
    theirs.decoder.load_state_dict(decoder.module.decoder.state_dict())
    theirs.config.pad_token_id, theirs.config.decoder_start_token_id = ends["pad"], ends["start"]
    source = source_of(model, TEXTS)
    ids = {place: [7, 9, 11 + place, 8 + 2 * place, ends["end"]][place % 2 :] for place in range(len(TEXTS))}
    decoder_inputs = [[ends["start"], *one[:-1]] for one in ids.values()]
    with torch.inference_mode():
        loss, weight = (
            one.sum()
            for one in cross_entropies(restored, source, Targets(ids, 8, 0), np.arange(len(TEXTS)), 0.0)
        )
        total = 0.0
        for place, one in enumerate(decoder_inputs):
            row = slice(0, int(source.mask_NS[place].sum()))
            said = theirs(
                input_ids=source.ids_NS[place : place + 1, row], decoder_input_ids=torch.tensor([one])
            )
            total += float(
                torch.nn.functional.cross_entropy(said.logits[0], torch.tensor(ids[place])) * len(one)
            )
    assert weight == sum(map(len, ids.values()))
    assert float(loss) == pytest.approx(total, rel=1e-4)
    found = restored.write(source, WRITING)
    asked = {"pad_token_id": ends["pad"], "eos_token_id": ends["end"], **WRITING.options()}
    expected = theirs.generate(
        input_ids=source.ids_NS,
        attention_mask=source.mask_NS,
        decoder_start_token_id=ends["start"],
        **asked,
    )
    assert found.tolist() == expected.tolist()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dozen pairs of common words: a small tokenizer knows them all."""
    file = tmp_path_factory.mktemp("pairs") / "pairs.jsonl"
    words = ["the value", "the array", "a string", "the same", "of the array", "is a string", "the type"]
    rows = [
        {"description": f"{one} of the {other}. return {other}.", "summary": f"return {one}"}
        for one in words
        for other in words[:4]
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.mark.parametrize(("kind", "decoder"), [("bert", "warm"), ("roberta", "shared")])
def test_a_run_keeps_what_the_encoder_does_not_hold(
    family_folder: Folder, kind: str, decoder: str, data: Path, tmp_path: Path
) -> None:
    run, folder = tmp_path / "run", family_folder(kind)
    fitted = headstart.fit(
        str(data), out=str(run), base=f"hf:{folder}", task="summarization", head="writer", decoder=decoder,
        epochs=1, batch_size=4, engine="torch", max_length=LENGTH, target_length=16,
    )  # fmt: skip
    assert fitted.objective["decoder"] == decoder
    before, after = (transformers.AutoModel.from_pretrained(one) for one in (folder, run / "model"))
    for (name, one), other in zip(before.named_parameters(), after.parameters(), strict=True):
        assert torch.equal(one, other) or name.startswith("pooler")
    head = load_model(run).head
    assert isinstance(head, WriterHead)
    assert isinstance(head.decoder, EncoderDecoder)
    again = load_model(run).head
    assert isinstance(again, WriterHead)
    assert head.tensors().keys() == again.tensors().keys()
    said = [one.prediction for one in headstart.predict(str(run), [str(data)])]
    assert len(said) == 28
    assert said == [one.prediction for one in headstart.predict(str(run), [str(data)])]


def test_an_encoder_without_a_decoder_of_its_layers_is_told(
    family_folder: Folder, data: Path, tmp_path: Path
) -> None:
    asked = {"task": "summarization", "head": "writer", "decoder": "warm", "engine": "torch"}
    base = f"hf:{family_folder('distilbert')}"
    with pytest.raises(UserError, match="no decoder of distilbert's layers"):
        headstart.fit(str(data), out=str(tmp_path / "run"), base=base, **asked)


@pytest.mark.parametrize("kind", ["t5", "marian", "bert2bert", "electra", "distilbert", "gpt2", "opt"])
def test_a_new_decoder_stands_above_any_model_that_reads(
    family_folder: Folder, kind: str, data: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    fitted = headstart.fit(
        str(data), out=str(run), base=f"hf:{family_folder(kind)}", task="summarization", head="writer",
        decoder="new", epochs=1, batch_size=4, engine="torch", max_length=32, target_length=16,
    )  # fmt: skip
    assert fitted.objective["decoder"] == "new"
    said = [one.prediction for one in headstart.predict(str(run), [str(data)])]
    assert len(said) == 28
    assert all(one is not None for one in said)
