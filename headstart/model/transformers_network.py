"""Models of Transformers in torch, cut below their last layer, and their weights by today's names."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, final

from headstart.contracts import Array, Network, Pretrained
from headstart.core.errors import UserError
from headstart.core.frameworks import prepare_torch
from headstart.model import shards

if TYPE_CHECKING:
    from torch import Tensor

LEFT_OUT = ("model_type", "dtype", "torch_dtype")
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
    the output layer above what has been read.
    """

    def __init__(self, config: Mapping[str, Any], writes: str = "") -> None:
        module = _built(config, writes)
        if not writes and getattr(module, "pooler", None) is not None:
            module.pooler = None  # it sits above every block, and many checkpoints lack it
        self.module = module
        parts = {"": lambda: module, "above": module.get_encoder, "on": lambda: module.base_model}
        self._reader: Any = parts[writes]()
        layers = self._reader.config.num_hidden_layers
        self.blocks = ("embeddings", *(f"layer.{index}" for index in range(layers)))

    def outputs(self, *inputs: "Tensor") -> "Sequence[Tensor]":
        """Return every block's states [N, T, C] for token ids and mask [N, T]."""
        input_ids_NT, attention_mask_NT = inputs
        found = self._reader(
            input_ids=input_ids_NT,
            attention_mask=attention_mask_NT,
            output_hidden_states=True,
            use_cache=False,  # nothing is written here, and a block that runs twice would find itself in it
        )
        # The last block's are those a decoder reads: behind the encoder's final norm, where it has one.
        return (*found.hidden_states[:-1], found.last_hidden_state)


def _built(config: Mapping[str, Any], writes: str) -> Any:
    prepare_torch()
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM, AutoModelForSeq2SeqLM

    kinds: dict[str, Any] = {"": AutoModel, "above": AutoModelForSeq2SeqLM, "on": AutoModelForCausalLM}
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

    Raises UserError where a model that writes lacks some.
    """
    torch = prepare_torch()
    with torch.device("meta"):  # names alone: nothing is allocated or drawn
        module: Any = TextNetwork(pretrained.config, pretrained.writes).module
    saved = shards.load(pretrained.weights)
    if pretrained.writes:
        return _whole_state(module, saved, pretrained)
    prefix, wanted = f"{module.base_model_prefix}.", set(module.state_dict())
    state: dict[str, Array] = {}
    for saved_name, tensor in saved.items():
        name = saved_name if saved_name in wanted else _present_name(saved_name.removeprefix(prefix))
        if name in wanted:
            state[name] = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    return state


def _whole_state(module: Any, saved: "Mapping[str, Tensor]", pretrained: Pretrained) -> dict[str, Array]:
    """Return all weights of a model that writes, shared ones under each of their names.

    Transformers itself knows what they were called in older checkpoints, and which of them are shared.
    """
    torch = prepare_torch()
    with torch.random.fork_rng(devices=[]), silent():
        loaded, told = type(module).from_pretrained(
            None, config=module.config, state_dict=dict(saved), dtype=torch.float32, output_loading_info=True
        )
    lost = sorted(told["missing_keys"])
    if lost:
        raise UserError(
            f"{pretrained.weights} lacks {lost[0]} ({len(lost)} weights)",
            "all weights of the architecture in config.json",
            "check that both belong together",
        )
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
