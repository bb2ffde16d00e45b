"""Models of Transformers in torch, cut below their last layer, and their weights by today's names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from headstart.contracts import Array, Network, Pretrained
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.model import shards
from headstart.model.transformers.folder import ENCODERS_ALONE
from headstart.model.transformers.sentence_folder import SENTENCE, VECTOR

if TYPE_CHECKING:
    from torch import Tensor

    from headstart.model.transformers.sentence_vector import SentenceVector

LEFT_OUT = ("model_type", "dtype", "torch_dtype", SENTENCE)
"""What is left out of a configuration: half precision is for whoever trains with it, here is float32."""
_CODE = (
    *(
        "auto_map",
        "trust_remote_code",
        "custom_generate",
        "quantization_config",
        "use_kernels",
        "_name_or_path",
    ),
    *("attn_implementation", "_attn_implementation", "_attn_implementation_internal"),
    *("experts_implementation", "_experts_implementation", "_experts_implementation_internal"),
    *("use_pretrained_backbone", "backbone"),
)
"""What in a configuration may name code or weights on a hub, wherever in it that stands."""


@final
class TextNetwork(Network):
    """A Transformers model whose blocks are the embeddings and the layers that read a text.

    ``module`` is the encoder, or the whole model where it ``writes``: with the decoder above its encoder, or
    the output layer above what has been read. A model of Sentence-Transformers may have a block above them,
    a text's own vector [N, C]. Raises UserError for a model that Transformers does not know, or that is none
    of texts.
    """

    def __init__(self, config: Mapping[str, Any], writes: str = "") -> None:
        module = _built(config, writes)
        if not writes and getattr(module, "pooler", None) is not None:
            module.pooler = None  # it sits above every block, and many checkpoints lack it
        self.module = module
        self._reader: Any = _reader(module, config, writes)
        layers = self._reader.config.num_hidden_layers
        self.blocks = ("embeddings", *(f"layer.{index}" for index in range(layers)))
        self._vector = _vector(config)
        if self._vector is not None:
            module.add_module(SENTENCE, self._vector)
            self.blocks = (*self.blocks, VECTOR)

    def outputs(self, *inputs: "Tensor") -> "Sequence[Tensor]":
        """Return every block's states [N, T, C] for token ids and mask [N, T], the text's own vector last."""
        input_ids_NT, attention_mask_NT = inputs
        found = self._reader(
            input_ids=input_ids_NT,
            attention_mask=attention_mask_NT,
            output_hidden_states=True,
            use_cache=False,  # nothing is written here, and a block that runs twice would find itself in it
        )
        # The last block's are those a decoder reads: behind the encoder's final norm, where it has one.
        last_NTC = found.last_hidden_state
        above = () if self._vector is None else (self._vector(last_NTC, attention_mask_NT),)
        return (*found.hidden_states[:-1], last_NTC, *above)


def _vector(config: Mapping[str, Any]) -> "SentenceVector | None":
    if SENTENCE not in config:
        return None
    from headstart.model.transformers.sentence_vector import SentenceVector

    return SentenceVector(config[SENTENCE])


def _reader(module: Any, config: Mapping[str, Any], writes: str) -> Any:
    """Return the part of a model that reads. Raises UserError where it has none with layers."""
    encodes = writes == "above" or (not writes and config["model_type"] in ENCODERS_ALONE)
    part = module.get_encoder() if encodes else module.base_model if writes else module
    if "num_hidden_layers" not in {*vars(part.config), *part.config.attribute_map}:
        raise UserError(
            f"a model of type {config['model_type']!r} ({type(module).__name__})",
            "one stack of layers that reads texts",
            "choose another --base",
        )
    return part


def _built(config: Mapping[str, Any], writes: str) -> Any:
    prepare_torch()
    from transformers import (
        AutoConfig,
        AutoModel,
        AutoModelForCausalLM,
        AutoModelForSeq2SeqLM,
        AutoModelForTextEncoding,
    )

    alone = AutoModelForTextEncoding if config["model_type"] in ENCODERS_ALONE else AutoModel
    kinds: dict[str, Any] = {"": alone, "above": AutoModelForSeq2SeqLM, "on": AutoModelForCausalLM}
    known = known_of(config)
    try:
        described = AutoConfig.for_model(config["model_type"], **known)
        # Eager attention exports to every engine; no code from a repository is ever run.
        return kinds[writes].from_config(described, attn_implementation="eager", trust_remote_code=False)
    except ValueError as error:
        reason = str(error).splitlines()[0][:100]
        raise UserError(
            f"Transformers cannot build {config['model_type']!r} ({reason})",
            "a text model that it knows without code from a repository",
            "choose another --base",
        ) from error


def known_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a configuration says of a model and those in it: no precision, code or other weights."""
    return {name: _without(value) for name, value in config.items() if name not in (*LEFT_OUT, *_CODE)}


def _without(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without(one) for name, one in value.items() if name not in (*LEFT_OUT[1:], *_CODE)}


def state_of(pretrained: Pretrained) -> dict[str, Array]:
    """Return a model's weights in float32 under its own names; of an encoder whatever head it was saved with.

    Raises UserError where some are missing or have another shape than the configuration says.
    """
    torch = prepare_torch()
    with torch.device("meta"):  # names and shapes alone: nothing is allocated or drawn
        module: Any = TextNetwork(pretrained.config, pretrained.writes).module
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    saved = shards.load(pretrained.weights)
    if pretrained.writes or pretrained.config["model_type"] in ENCODERS_ALONE:
        state = _whole_state(module, saved, pretrained)
    else:
        state = _renamed(saved, set(wanted), f"{module.base_model_prefix}.")
    state |= _above(pretrained)
    lost = [name for name in wanted if name not in state]
    _refuse(pretrained, lost, {name: state[name].shape for name in wanted.keys() - set(lost)}, wanted)
    return state


def _renamed(saved: "Mapping[str, Tensor]", wanted: set[str], prefix: str) -> dict[str, Array]:
    """Return what an encoder has of the saved weights: heads are left out."""
    state: dict[str, Array] = {}
    for saved_name, tensor in saved.items():
        name = saved_name if saved_name in wanted else _present_name(saved_name.removeprefix(prefix))
        if name in wanted:
            state[name] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return state


def _above(pretrained: Pretrained) -> dict[str, Array]:
    """Return the weights of the dense layers that make a text's own vector, by their place."""
    described = pretrained.config.get(SENTENCE, {"dense": ()})
    files = [pretrained.assets[f"dense-{place}.safetensors"] for place in range(len(described["dense"]))]
    return {
        f"{SENTENCE}.layers.{place}.{name.rpartition('.')[2]}": tensor.float().numpy()
        for place, file in enumerate(files)
        for name, tensor in shards.load(file).items()
    }


def _refuse(
    pretrained: Pretrained,
    lost: "Sequence[str]",
    found: Mapping[str, tuple[int, ...]],
    wanted: Mapping[str, tuple[int, ...]],
) -> None:
    """Raise UserError where weights are missing, or have other shapes than are wanted."""
    other = sorted(name for name, shape in found.items() if shape != wanted[name])
    if not lost and not other:
        return
    what = f"lacks {lost[0]} ({len(lost)} weights)" if lost else ""
    if other:
        name = other[0]
        what = f"has {name} of shape {_shown(found[name])}, not {_shown(wanted[name])} ({len(other)} weights)"
    raise UserError(
        f"{pretrained.weights} {what}",
        f"all weights of the {pretrained.architecture} in config.json",
        "check that both belong together",
    )


def _shown(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))


def _whole_state(module: Any, saved: "Mapping[str, Tensor]", pretrained: Pretrained) -> dict[str, Array]:
    """Return all weights of a model, shared ones under each of their names.

    Transformers itself knows what they were called in older checkpoints, and which of them are shared.
    """
    torch = prepare_torch()
    with torch.random.fork_rng(devices=[]), silent():
        loaded, told = type(module).from_pretrained(
            None, config=module.config, state_dict=dict(saved), dtype=torch.float32, output_loading_info=True,
            ignore_mismatched_sizes=True,
        )  # fmt: skip
    other = {name: (tuple(found), tuple(expected)) for name, found, expected in told["mismatched_keys"]}
    found, wanted = ({name: pair[place] for name, pair in other.items()} for place in (0, 1))
    _refuse(pretrained, sorted(told["missing_keys"] - other.keys()), found, wanted)
    return {name: tensor.detach().numpy() for name, tensor in loaded.state_dict().items()}


@contextmanager
def silent() -> Iterator[None]:
    """Let Transformers neither draw progress bars nor report what it did; it tells us by return value."""
    import logging as levels

    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(levels.CRITICAL)
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


def _present_name(name: str) -> str:
    """Return a weight's name of today: BERT's own checkpoints have TensorFlow's for LayerNorm."""
    for old, new in ((".gamma", ".weight"), (".beta", ".bias")):
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
