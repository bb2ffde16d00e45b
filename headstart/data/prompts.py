"""What a model is told beside the text: a prefix that says what is wanted, and languages by its own codes.

T5 wants ``summarize: `` or ``translate English to French: `` before the text, as its configuration says;
multilingual Marian ``>>fra<< ``; mBART (``fr_XX``), NLLB (``fra_Latn``) and M2M100 (``fr``) have tokens for
languages, which their tokenizers set.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headstart.contracts import Pretrained, TextPreprocess
from headstart.core.errors import UserError
from headstart.data.languages import fits, parse
from headstart.data.tokens import own_tokenizer

_MARKED = re.compile(r">>(.+)<<|__(.+)__|(.+)")
_SHOWN = 12


def prompted(
    pretrained: Pretrained, task: str, prefix: str | None, languages: Sequence[str] = ()
) -> Pretrained:
    """Return a model that is told what to do with each text: the user's prefix, or else what it learnt.

    A model was told ``task``, with both of the ``languages`` where there are two. Raises UserError where it
    does not know a language, and where it takes no text.
    """
    texts = pretrained.preprocess
    if not isinstance(texts, TextPreprocess):
        if prefix is not None:
            expected = "a model that takes texts"
            raise UserError(f"--prefix for {pretrained.base}", expected, "leave it out")
        return pretrained
    both = tuple(languages) if all(languages) else ()
    learnt = pretrained.config.get("task_specific_params") or {}
    name = "_".join([task, both[0], "to", both[1]]) if both else task
    # What an encoder is told with every text does not depend on the task; what a writer is told does.
    told = learnt.get(name, {}).get("prefix") or ("" if pretrained.writes else texts.prefix)
    begin = str(told) if prefix is None else prefix
    known = _known(pretrained) if both and pretrained.writes == "above" else {}
    if not known:
        return replace(pretrained, preprocess=replace(texts, prefix=begin))
    target = _own(pretrained, known, both[1])
    if target.startswith(">>"):  # of the source Marian is told nothing
        return replace(pretrained, preprocess=replace(texts, prefix=f"{target} {begin}"))
    between = (_own(pretrained, known, both[0]), target)
    return replace(pretrained, preprocess=replace(texts, prefix=begin, languages=between))


def _known(pretrained: Pretrained) -> dict[str, str]:
    """Return the languages that a model has tokens for: its codes for them, by ours."""
    tokenizer: Any = own_tokenizer(pretrained)
    size = int(pretrained.config.get("vocab_size", 0))
    tokens = [
        *tokenizer.all_special_tokens,
        *(token for token in tokenizer.get_vocab() if token.startswith(">>")),
        # M2M100's stand behind the vocabulary, and in no list.
        *(token for token in tokenizer.convert_ids_to_tokens(range(tokenizer.vocab_size, size)) if token),
    ]
    found: dict[str, str] = {}
    for token in tokens:
        marked, underlined, plain = _MARKED.fullmatch(token).groups()  # type: ignore[union-attr]
        code = parse(marked or underlined or plain)
        if code is not None:
            found[code] = underlined or token
    return found


def _own(pretrained: Pretrained, known: Mapping[str, str], language: str) -> str:
    """Return a model's own code for a language. Raises UserError where it has none, or several."""
    fitting = [language] if language in known else [code for code in known if fits(code, language)]
    if len(fitting) == 1:
        return known[fitting[0]]
    some = ", ".join(sorted(fitting or known)[:_SHOWN]) + (", ..." if len(fitting or known) > _SHOWN else "")
    what = f"{len(fitting)} kinds of {language}" if fitting else f"no {language}"
    raise UserError(f"{pretrained.base} has {what}", f"one of {some}", "name another one, or another --base")
