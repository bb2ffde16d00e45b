"""A text encoder in a folder as Transformers writes it: described without a framework, then built."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

from headstart.contracts import Array, Network, Pretrained, TextPreprocess
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes, digest_file
from headstart.core.frameworks import prepare_torch
from headstart.model import shards

if TYPE_CHECKING:
    from torch import Tensor

_DECODERS = frozenset({"gpt2", "gpt_neo", "gptj", "opt", "llama", "qwen2", "mistral"})
_ENCODER_DECODERS = frozenset({"t5", "mt5", "bart", "mbart", "pegasus", "marian", "m2m_100", "led"})
_OFFSET_POSITIONS = frozenset(
    {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "roberta-prelayernorm", "longformer"}
)
_POOLINGS = {"cls": "first", "mean": "mean", "lasttoken": "last"}  # Sentence-Transformers' names and ours
_LONGEST = 512
_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "vocab.txt", "spiece.model", "sentencepiece.bpe.model"),
    *("source.spm", "target.spm", "target_vocab.json", "generation_config.json"),
)


def describe(base: str, folder: Path, licence: str, revision: str) -> Pretrained:
    """Describe the text model in a folder. Raises UserError where a file is missing."""
    config = _json(folder / "config.json")
    kind = str(config.get("model_type"))
    above = kind in _ENCODER_DECODERS or bool(config.get("is_encoder_decoder"))
    weights = shards.weights_in(folder)
    named = _TOKENIZER_FILES if above else ("tokenizer.json",)
    assets = {name: folder / name for name in named if (folder / name).is_file()}
    for file in (weights, *(() if assets else [folder / named[0]])):
        if not file.is_file():
            raise UserError(
                f"{folder} has no {file.name}",
                "a text model as Transformers saves it, with its tokenizer",
                "load model and tokenizer with Transformers and save_pretrained both there",
            )
    shards.check(weights)
    digests = [digest_file(path) for path in assets.values()]
    preprocess = TextPreprocess(
        tokenizer="" if above else "tokenizer.json",
        tokenizer_digest=digests[0] if len(digests) == 1 else digest_bytes(*map(str.encode, digests)),
        max_length=_max_length(folder, config),
        longest=_positions(config),
        pooling=_pooling(folder, kind),
    )
    return Pretrained(
        base=base,
        architecture=f"transformers/{kind}",
        licence=licence,
        revision=revision,
        weights=weights,
        weights_digest=digest_bytes(
            shards.digest(weights).encode(), json.dumps(config, sort_keys=True).encode()
        ),
        preprocess=preprocess,
        writes="above" if above else "on" if kind in _DECODERS else "",
        config=config,
        assets=assets,
    )


def licence_of(folder: Path) -> str:
    """Return the licence that the model card states."""
    card = folder / "README.md"
    stated = (
        re.search(r"^license:\s*(\S+)", card.read_text(errors="replace"), re.MULTILINE)
        if card.is_file()
        else None
    )
    return stated.group(1) if stated else "not stated"


@final
class EncoderNetwork(Network):
    """A Transformers model's encoder: its blocks are the embeddings and the layers.

    ``module`` is the whole model where a decoder is above the encoder.
    """

    def __init__(self, config: Mapping[str, Any], writes: str = "") -> None:
        prepare_torch()
        from transformers import AutoConfig, AutoModel, AutoModelForSeq2SeqLM

        # untyped in Transformers
        build: Any = AutoModelForSeq2SeqLM.from_config if writes == "above" else AutoModel.from_config
        # Half precision is for whoever trains with it: what is left out here is float32.
        left_out = ("model_type", "dtype", "torch_dtype")
        known = {name: value for name, value in config.items() if name not in left_out}
        try:
            described = AutoConfig.for_model(config["model_type"], **known)
            # Eager attention exports to every engine; no code from a repository is ever run.
            model = build(described, attn_implementation="eager", trust_remote_code=False)
        except ValueError as error:
            reason = str(error).splitlines()[0][:100]
            raise UserError(
                f"Transformers cannot build {config['model_type']!r} ({reason})",
                "a text encoder that it knows without code from a repository",
                "choose another --base",
            ) from error
        if getattr(model, "pooler", None) is not None:
            model.pooler = None  # it sits above every block, and many checkpoints lack it
        self.module = model
        self._encoder: Any = model.get_encoder() if writes == "above" else model
        layers = self._encoder.config.num_hidden_layers
        self.blocks = ("embeddings", *(f"layer.{index}" for index in range(layers)))

    def outputs(self, *inputs: "Tensor") -> "Sequence[Tensor]":
        """Return every block's states [N, T, C] for token ids and mask [N, T]."""
        input_ids_NT, attention_mask_NT = inputs
        found = self._encoder(
            input_ids=input_ids_NT, attention_mask=attention_mask_NT, output_hidden_states=True
        )
        # The last block's are those a decoder reads: behind the encoder's final norm, where it has one.
        return (*found.hidden_states[:-1], found.last_hidden_state)


def encoder_state(pretrained: Pretrained) -> dict[str, Array]:
    """Return the encoder's weights in float32 under its own names, whatever head they were saved with."""
    torch = prepare_torch()
    if pretrained.writes == "above":
        return _whole_state(pretrained)
    with torch.device("meta"):  # names alone: nothing is allocated or drawn
        module: Any = EncoderNetwork(pretrained.config).module
    prefix, wanted = f"{module.base_model_prefix}.", set(module.state_dict())
    state: dict[str, Array] = {}
    for saved_name, tensor in shards.load(pretrained.weights).items():
        name = saved_name if saved_name in wanted else _present_name(saved_name.removeprefix(prefix))
        if name in wanted:
            state[name] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return state


def _whole_state(pretrained: Pretrained) -> dict[str, Array]:
    """Return all weights of an encoder-decoder in float32, shared ones under each of their names."""
    module = EncoderNetwork(pretrained.config, pretrained.writes).module.float()
    saved = {name: tensor.float() for name, tensor in shards.load(pretrained.weights).items()}
    unfit = module.load_state_dict(saved, strict=False)
    own = dict(module.named_parameters(remove_duplicate=False))
    given = {own[name].data_ptr() for name in saved if name in own}
    # Positions that are computed, not learnt, are often not saved.
    lost = [
        n for n in unfit.missing_keys if n in own and own[n].requires_grad and own[n].data_ptr() not in given
    ]
    if lost:
        raise UserError(
            f"{pretrained.weights} lacks {lost[0]} ({len(lost)} weights)",
            "all weights of the architecture in config.json",
            "check that both belong together",
        )
    return {name: tensor.detach().numpy() for name, tensor in module.state_dict().items()}


def _present_name(name: str) -> str:
    """Return a weight's name of today: BERT's own checkpoints have TensorFlow's for LayerNorm."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name


def _pooling(folder: Path, kind: str) -> str:
    """Return how the model's own sentence vectors are made: the mean unless it says otherwise."""
    own = folder / "1_Pooling" / "config.json"
    if own.is_file():
        stated = _json(own)
        modes = stated.get("pooling_mode") or [
            mode
            for mode, key in (("cls", "cls_token"), ("mean", "mean_tokens"), ("lasttoken", "lasttoken"))
            if stated.get(f"pooling_mode_{key}")
        ]
        listed = [modes] if isinstance(modes, str) else modes
        return next((_POOLINGS[mode] for mode in listed if mode in _POOLINGS), "mean")
    return "last" if kind in _DECODERS else "mean"


def _positions(config: Mapping[str, Any]) -> int:
    positions = int(config.get("max_position_embeddings") or config.get("n_positions") or _LONGEST)
    if config.get("model_type") in _OFFSET_POSITIONS:  # they count from behind the padding id on
        padding = config.get("pad_token_id")
        return positions - 1 - (1 if padding is None else int(padding))
    return positions


def _max_length(folder: Path, config: Mapping[str, Any]) -> int:
    """Return how many tokens the model was trained on at a time, 512 where it does not say."""
    stated = None
    for name, key in (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
    ):
        file = folder / name
        stated = stated or (_json(file).get(key) if file.is_file() else None)
    # A tokenizer without a limit states 10 to the 30.
    return int(min(stated or _LONGEST, _LONGEST, _positions(config)))


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} cannot be read", "a model folder that Transformers saved", "check the folder"
        ) from error
    if not isinstance(content, dict):
        raise UserError(
            f"{path} holds no JSON object", "a model folder that Transformers saved", "check the folder"
        )
    return content
