"""Which decoder a head that writes has, and what it starts from."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from headstart.contracts import Array, Column, Frozen, TextPreprocess, Training
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.data.tokens import own_tokenizer, whole_tokenizer_of
from headstart.fitting.writing import Targets
from headstart.model import generation, vocabulary
from headstart.model.decoders import Decoder
from headstart.model.rows import width_of
from headstart.model.transformers.folder import longest_target
from headstart.model.vocabulary import Own, Subwords, Vocabulary

if TYPE_CHECKING:
    from headstart.model.encoder_decoder import EncoderDecoder

OWN_TOKENS = 8_000
"""A new decoder's own vocabulary: a softmax over all of a tokenizer's 30,000 would take most of the time."""
LAYERS, HEAD_WIDTH, LONGEST = 2, 64, 512


def choose_vocabulary(training: Training, kind: str, used_n: Array) -> Vocabulary:
    """Return what the decoder writes with: the model's own, or for a new decoder what covers the targets."""
    pretrained = training.frozen.pretrained
    if kind == "own":
        return Own(own_tokenizer(pretrained))
    targets = [training.rows.examples[index].target or "" for index in used_n]
    if pretrained.writes == "above":  # its tokenizer does more than a decoder of another kind can follow
        return vocabulary.learn(targets, OWN_TOKENS)
    tokenizer = whole_tokenizer_of(pretrained)
    share, cased = vocabulary.coverage(tokenizer, targets)
    own = vocabulary.of_encoder(tokenizer, cased)
    if own is not None and share >= vocabulary.COVERED:
        return own
    if kind == "new":
        return vocabulary.learn(targets, OWN_TOKENS)
    raise UserError(
        f"--decoder {kind}, whose tokens give back {share:.0%} of the targets",
        f"{vocabulary.COVERED:.0%} or more, for the decoder's words are the encoder's",
        "give --decoder new, which learns a vocabulary of its own",
    )


def start(
    training: Training,
    encoder: Any,
    columns: Sequence[Column],
    kind: str,
    written: tuple[Vocabulary, Targets],
) -> Decoder:
    """Return the decoder above an encoder, which is Transformers' module, as it is before training."""
    prepare_torch()
    from headstart.model.encoder_decoder import warm_started

    if kind == "own":
        return own_decoder(training.frozen, encoder)
    words = cast(Subwords, written[0])
    if kind == "new":
        return _pointer(training, encoder, columns, (words, written[1]))
    return warm_started(encoder, ends_of(words), kind == "shared", training.spec.seed)


def target_length(training: Training, kind: str) -> int:
    """Return how many tokens of a target are read at most. Raises UserError where positions allow fewer."""
    pretrained, wanted = training.frozen.pretrained, training.spec.target_length
    encoder = cast(TextPreprocess, pretrained.preprocess).longest
    allowed = {"own": longest_target(pretrained), "new": wanted or LONGEST}.get(kind, encoder)
    return _length(training, allowed)


def length_to_go_on(training: Training, facts: Mapping[str, Any]) -> int:
    """Return how many tokens of a target are read at most above a decoder that is described by ``facts``.

    Raises UserError where its positions allow fewer than are wanted.
    """
    allowed = facts.get("longest", cast(TextPreprocess, training.frozen.pretrained.preprocess).longest)
    return _length(training, allowed)


def _length(training: Training, allowed: int) -> int:
    wanted = training.spec.target_length
    if wanted is not None and wanted > allowed:
        raise UserError(
            f"--target-length {wanted}", f"at most {allowed}, the decoder's positions", "give a smaller one"
        )
    return wanted or min(LONGEST, allowed)


def own_decoder(frozen: Frozen, module: Any) -> "EncoderDecoder":
    """Return the decoder that a pretrained model has, which writes in the preprocess's target language."""
    prepare_torch()
    from headstart.model.encoder_decoder import EncoderDecoder

    generation.restore(module, frozen.pretrained)
    if cast(TextPreprocess, frozen.pretrained.preprocess).languages:
        generation.begin_with_language(module, own_tokenizer(frozen.pretrained))
    return EncoderDecoder(module, held=True)


def ends_of(words: Subwords) -> Mapping[str, int]:
    """Return the ids that fill up, begin and end a text, by what they do."""
    return {"pad": words.pad, "start": words.start, "end": words.end}


def _pointer(
    training: Training, encoder: Any, columns: Sequence[Column], written: tuple[Subwords, Targets]
) -> Decoder:
    """Return a small decoder that can point, its embeddings the encoder's where it writes with its tokens."""
    words, targets = written
    torch = prepare_torch()
    from headstart.model.pointer import Pointer, PointerDecoder, Shape

    own_U, width = _commonest(targets, words.start), width_of(columns)
    known_VC = encoder.get_input_embeddings().weight.detach()
    shape = Shape(
        width=width,
        layers=LAYERS,
        heads=next(count for count in range(max(1, width // HEAD_WIDTH), 0, -1) if width % count == 0),
        inner=4 * width,
        longest=targets.most,
        tokens=int(words.tokenizer.get_vocab_size()),
        read=known_VC.shape[0],
        embedded=known_VC.shape[1],
        own=len(own_U),
        points=not words.learnt,
        **ends_of(words),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(training.spec.seed)
        module = PointerDecoder(shape)
    module.own(torch.from_numpy(own_U))
    if not words.learnt and known_VC.shape[1] == width:
        with torch.no_grad():
            module.decoder.embed_tokens.weight.copy_(known_VC[torch.from_numpy(own_U)])
    return Pointer(module, known_VC)


def _commonest(targets: Targets, start: int) -> Array:
    """Return the targets' commonest tokens, behind a first place that stands for all others.

    That place is the start's, which is never written, while what fills up may be what ends a text too.
    """
    counts = Counter(token for ids in targets.ids.values() for token in ids if token != start)
    return np.array([start, *(token for token, _ in counts.most_common(OWN_TOKENS))], dtype=np.int64)
