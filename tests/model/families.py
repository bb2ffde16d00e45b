"""Small random models of the real classes with small real tokenizers, saved as the libraries save them.

Nothing is downloaded: tokenizers are trained on the docstrings in ``examples``, weights are drawn.
"""

import contextlib
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from headstart.contracts import Array, Example, Reading
from headstart.core.frameworks import prepare_torch
from headstart.model.decoders import Source
from headstart.model.features import stream
from headstart.model.rows import unpaged
from headstart.model.trunk import FrozenModel
from headstart.model.writer import as_source
from headstart.tasks.summarization import Summarization

torch = prepare_torch()

import sentencepiece  # noqa: E402
import tokenizers  # noqa: E402
import transformers  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]
PAIRS: list[dict[str, str]] = [
    json.loads(line)
    for line in (ROOT / "examples" / "docstrings" / "pairs.jsonl").read_text().splitlines()[:60]
]
TEXTS = [pair["description"] for pair in PAIRS]
LONGEST = 64
_PIECES = 200
_NAMED = {
    "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4, "decoder_attention_heads": 4,
    "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "d_model": 32, "max_position_embeddings": LONGEST,
}  # fmt: skip
_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4, "n_positions": LONGEST}
_BERT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48,
    "max_position_embeddings": LONGEST,
}  # fmt: skip


def pieces(folder: Path, name: str, kind: str = "unigram", **ids: int) -> Path:
    """Train a SentencePiece model."""
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS), model_prefix=str(folder / name), vocab_size=_PIECES, model_type=kind,
        minloglevel=2, hard_vocab_limit=False, **ids,
    )  # fmt: skip
    return folder / f"{name}.model"


def converted(class_of: Any, folder: Path, ids: Mapping[str, int], kind: str = "unigram", **more: Any) -> Any:
    """Return a tokenizer that Transformers makes of a SentencePiece model."""
    trained = pieces(folder, "trained", kind, **ids)
    shutil.copy(trained, folder / class_of.vocab_files_names["vocab_file"])
    return class_of.from_pretrained(folder, **more)


def _byte_pairs(folder: Path) -> Any:
    trained = tokenizers.ByteLevelBPETokenizer()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trained.train_from_iterator(TEXTS, vocab_size=300, special_tokens=special, show_progress=False)
    trained.save_model(str(folder))
    return transformers.RobertaTokenizer.from_pretrained(folder)


def _endless(folder: Path) -> Any:
    """Return words as GPT-2 has them: nothing is set around a text."""
    trained = tokenizers.ByteLevelBPETokenizer()
    trained.train_from_iterator(TEXTS, vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False)
    trained.save_model(str(folder))
    return transformers.GPT2Tokenizer.from_pretrained(folder)


def _words(folder: Path) -> Any:
    # Not trained: the trainer's pieces of words differ from run to run.
    found = re.findall(r"[a-z]+|[^a-z\s]", " ".join(TEXTS).lower())
    counted = sorted(Counter(found).items(), key=lambda one: (-one[1], one[0]))
    letters = sorted(set("".join(found)))
    special = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
    known = dict.fromkeys([*special, *letters, *(f"##{one}" for one in letters)])
    known |= dict.fromkeys(word for word, _ in counted[:_PIECES])
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in known))
    return transformers.BertTokenizer.from_pretrained(folder)


def _marked_words(folder: Path) -> Any:
    """Return the same words with MPNet's marks, which are those of RoBERTa."""
    _words(folder)
    marks = {"[PAD]": "<pad>", "[UNK]": "[UNK]", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
    known = (folder / "vocab.txt").read_text().splitlines()
    (folder / "vocab.txt").write_text("".join(f"{marks.get(word, word)}\n" for word in known))
    return transformers.MPNetTokenizer.from_pretrained(folder)


def _marian_words(folder: Path) -> Any:
    source, target = pieces(folder, "source"), pieces(folder, "target", "bpe")
    files = [shutil.copy(file, file.with_suffix(".spm")) for file in (source, target)]
    known = dict.fromkeys(("</s>", "<unk>", ">>fra<<", ">>deu<<"))
    for file in (source, target):
        model = sentencepiece.SentencePieceProcessor(model_file=str(file))
        known |= dict.fromkeys(model.id_to_piece(number) for number in range(model.vocab_size()))
    named = {piece: number for number, piece in enumerate([*known, "<pad>"])}
    (folder / "vocab.json").write_text(json.dumps(named))
    return transformers.MarianTokenizer(*map(str, files), str(folder / "vocab.json"))


def _m2m_words(folder: Path) -> Any:
    trained = pieces(folder, "trained")
    model = sentencepiece.SentencePieceProcessor(model_file=str(trained))
    known = dict.fromkeys(("<s>", "<pad>", "</s>", "<unk>"))
    known |= dict.fromkeys(model.id_to_piece(number) for number in range(model.vocab_size()))
    (folder / "vocab.json").write_text(json.dumps({piece: number for number, piece in enumerate(known)}))
    return transformers.M2M100Tokenizer(
        str(folder / "vocab.json"), str(trained), src_lang="en", tgt_lang="fr"
    )


_T5_IDS = {"pad_id": 0, "eos_id": 1, "unk_id": 2, "bos_id": -1}
_MADE = {"dropout": 0.1, "attention_dropout": 0.1}


def _bert2bert(vocab_size: int, tokenizer: Any) -> Any:
    encoder = transformers.BertConfig(vocab_size=vocab_size, **_BERT)
    writing = {"is_decoder": True, "add_cross_attention": True}
    decoder = transformers.BertConfig(vocab_size=vocab_size, **_BERT, **writing)
    made = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    made.decoder_start_token_id, made.eos_token_id = tokenizer.cls_token_id, tokenizer.sep_token_id
    made.pad_token_id = tokenizer.pad_token_id
    return made


def _plain(class_of: Any, **more: Any) -> Callable[[int, Any], Any]:
    return lambda vocab_size, tokenizer: class_of(vocab_size=vocab_size, **more)


TOKENIZERS: Mapping[str, Callable[[Path], Any]] = {
    "t5": lambda at: converted(transformers.T5Tokenizer, at, _T5_IDS, extra_ids=4),
    "mt5": lambda at: converted(transformers.T5Tokenizer, at, _T5_IDS, extra_ids=0),
    "bart": _byte_pairs,
    "pegasus": lambda at: converted(transformers.PegasusTokenizer, at, _T5_IDS, offset=3),
    "led": _byte_pairs,
    "marian": _marian_words,
    "mbart": lambda at: converted(transformers.MBartTokenizer, at, {}, src_lang="en_XX", tgt_lang="fr_XX"),
    "mbart50": lambda at: converted(
        transformers.MBart50Tokenizer, at, {}, src_lang="en_XX", tgt_lang="fr_XX"
    ),
    "m2m_100": _m2m_words,
    "nllb": lambda at: converted(
        transformers.NllbTokenizer, at, {}, "bpe", src_lang="eng_Latn", tgt_lang="fra_Latn",
        additional_special_tokens=["eng_Latn", "fra_Latn", "deu_Latn"],
    ),
    "bert2bert": _words,
}  # fmt: skip
CONFIGS: Mapping[str, Callable[[int, Any], Any]] = {
    "t5": _plain(transformers.T5Config, **_T5, decoder_start_token_id=0),
    "mt5": _plain(
        transformers.MT5Config, **_T5, decoder_start_token_id=0, feed_forward_proj="gated-gelu",
        tie_word_embeddings=False,
    ),
    "bart": _plain(transformers.BartConfig, **_NAMED),
    "pegasus": _plain(
        transformers.PegasusConfig, **_NAMED, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
        forced_eos_token_id=1, scale_embedding=True,
    ),
    "led": _plain(
        transformers.LEDConfig, **{**_NAMED, "max_encoder_position_embeddings": LONGEST,
        "max_decoder_position_embeddings": 32}, attention_window=8,
    ),
    "marian": lambda vocab_size, tokenizer: transformers.MarianConfig(
        vocab_size=vocab_size, **_NAMED, pad_token_id=vocab_size - 1, eos_token_id=0,
        decoder_start_token_id=vocab_size - 1, forced_eos_token_id=0, scale_embedding=True,
    ),
    "mbart": _plain(transformers.MBartConfig, **_NAMED, scale_embedding=True),
    "mbart50": _plain(transformers.MBartConfig, **_NAMED, decoder_start_token_id=2),
    "m2m_100": _plain(transformers.M2M100Config, **_NAMED),
    "nllb": _plain(transformers.M2M100Config, **_NAMED),
    "bert2bert": _bert2bert,
}  # fmt: skip


_LLAMA = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 48, "max_position_embeddings": LONGEST,
}  # fmt: skip
_ENDS = {"bos_token_id": 0, "pad_token_id": 1, "eos_token_id": 2}
CONTINUERS: Mapping[str, Callable[[int, Any], Any]] = {
    "gpt2": _plain(
        transformers.GPT2Config, n_embd=32, n_layer=2, n_head=4, n_positions=LONGEST, bos_token_id=0,
        eos_token_id=0,
    ),
    "llama": _plain(transformers.LlamaConfig, **_LLAMA, **_ENDS),
    "opt": _plain(
        transformers.OPTConfig, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, ffn_dim=48,
        max_position_embeddings=LONGEST, word_embed_proj_dim=16, bos_token_id=0, eos_token_id=0,
        pad_token_id=1,
    ),
}  # fmt: skip
ENCODERS: Mapping[str, Callable[[int, Any], Any]] = {
    "bert": _plain(transformers.BertConfig, **_BERT),
    "roberta": _plain(
        transformers.RobertaConfig, **{**_BERT, "max_position_embeddings": LONGEST + 2}, **_ENDS
    ),
    "electra": _plain(transformers.ElectraConfig, **_BERT, embedding_size=16),
    "xlm-roberta": _plain(
        transformers.XLMRobertaConfig, **{**_BERT, "max_position_embeddings": LONGEST + 2}, **_ENDS
    ),
    "mpnet": _plain(
        transformers.MPNetConfig, **{**_BERT, "max_position_embeddings": LONGEST + 2}, bos_token_id=2,
        pad_token_id=0, eos_token_id=3,
    ),
    "albert": _plain(transformers.AlbertConfig, **_BERT, embedding_size=16),
    "distilbert": _plain(
        transformers.DistilBertConfig, dim=32, n_layers=2, n_heads=4, hidden_dim=48,
        max_position_embeddings=LONGEST,
    ),
}  # fmt: skip
_OTHERS: Mapping[str, Callable[[Path], Any]] = {
    **dict.fromkeys(("gpt2", "opt"), _endless),
    **dict.fromkeys(("llama", "roberta"), _byte_pairs),
    **dict.fromkeys(("bert", "electra", "distilbert", "albert"), _words),
    "mpnet": _marked_words,
    "xlm-roberta": lambda at: converted(transformers.XLMRobertaTokenizer, at, {}),
}


def draw(module: Any, seed: int = 5) -> None:
    """Draw every weight: fresh biases and norms would hide mistakes, and small weights say one word only."""
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        for name, parameter in module.named_parameters():
            norm = name.endswith("weight") and parameter.ndim == 1
            parameter.normal_(1.0 if norm else 0.0, 0.1 if norm or parameter.ndim < 2 else 0.4)


def save(kind: str, folder: Path, scratch: Path) -> None:
    """Save a model of a family with its tokenizer into a folder."""
    tokenizer = {**TOKENIZERS, **_OTHERS}[kind](scratch)
    words = len(tokenizer)
    if kind == "m2m_100":
        words += 100 + tokenizer.num_madeup_words  # its languages come behind the vocabulary, uncounted
    described = {**CONFIGS, **CONTINUERS, **ENCODERS}[kind](words, tokenizer)
    class_of: Any = transformers.AutoModel if kind in ENCODERS else transformers.AutoModelForSeq2SeqLM
    model = (transformers.AutoModelForCausalLM if kind in CONTINUERS else class_of).from_config(described)
    draw(model)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def pages(model: FrozenModel, texts: Sequence[str]) -> Array:
    """Return the rows of features of texts, as the store holds them."""
    examples = [Example(key=text, label="", path=Path(), text=text) for text in texts]
    reading = Reading(Summarization(), True, model.pretrained)
    return np.concatenate(
        [rows for _, rows, _ in stream(reading, examples, model, "torch", lambda choice: None)]
    )


def source_of(model: FrozenModel, texts: Sequence[str]) -> Source:
    """Return what a trunk says of texts, by way of their rows of features."""
    ids_NS, states_NSC, real_NS = unpaged(pages(model, texts))
    return as_source(states_NSC, real_NS, ids_NS)
