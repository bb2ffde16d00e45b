"""What several verbs write down alike."""

import importlib.metadata
import logging
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.contracts import Allowed, Array
from headstart.core import plugins
from headstart.core.errors import UserError
from headstart.core.files import digest_bytes
from headstart.data import dataset
from headstart.model.fastest import Choice
from headstart.model.features import Features
from headstart.specs import AuditSpec, ChooseSpec, CompareSpec, EvaluateSpec, FitSpec, PredictSpec

log = logging.getLogger(__name__)

_OFFLINE, _TRUE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"), ("1", "ON", "YES", "TRUE")
_LIBRARIES = (
    "headstart",
    "numpy",
    "scipy",
    "torch",
    "timm",
    "torchvision",
    "openvino",
    "onnxruntime",
    "pillow",
)


def allowed(
    spec: FitSpec | AuditSpec | ChooseSpec | EvaluateSpec | CompareSpec | PredictSpec,
) -> Allowed:
    """Return what a call allows; the variables that send Hugging Face's libraries offline hold for all."""
    trusted = frozenset(one.strip() for one in (spec.trust or "").split(",") if one.strip())
    offline = any(os.environ.get(name, "").upper() in _TRUE for name in _OFFLINE)
    return Allowed(trusted=trusted, offline=spec.offline or offline)


def say_engine(choice: Choice) -> None:
    """Tell which engine was chosen and why."""
    rates = ", ".join(
        f"{name} {rate:,.0f}/s"
        for name, rate in sorted(choice.examples_per_s.items(), key=lambda one: -one[1])
    )
    how = "remembered" if choice.remembered else "measured here" if rates else "as asked"
    log.info("engine: %s (%s%s)", choice.name, how, f": {rates}" if rates else "")
    for name, reason in choice.left_out.items():
        log.info("engine %s left out: %s", name, reason)


def engine_record(features: Features, unit: str) -> dict[str, Any]:
    """Return which engine ran the trunk and at which rate; nothing ran where the store had everything."""
    choice = features.choice
    record: dict[str, Any] = {
        "unit": f"{unit}/s",
        "computed": features.computed,
        "from_store": len(features.rows_M) - features.computed,
    }
    if choice is None:
        return {"name": "none", "why": "every feature was in the store already", "rates": {}, **record}
    why = "the fastest here that reproduces torch's output" if choice.examples_per_s else "asked for by name"
    return {
        "name": choice.name,
        "why": why,
        "rates": dict(choice.examples_per_s),
        "left_out": dict(choice.left_out),
        **record,
    }


def data_digest(features: Features, indices_n: Array) -> str:
    """Return a digest of some examples' contents and labels, whatever their order and names."""
    lines = sorted(features.digests[index] + features.examples[index].target_bytes() for index in indices_n)
    return digest_bytes(*lines)


def split_record(features: Features, roles: Mapping[str, Array]) -> dict[str, Any]:
    """Return which example plays which role, with its content's digest."""
    return {
        role: [
            {"key": features.examples[index].key, "sha256": features.digests[index].hex()}
            for index in indices
        ]
        for role, indices in roles.items()
    }


def versions() -> dict[str, str]:
    """Return the versions that a result may depend on."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in _LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def guess_task(path: Path) -> str:
    """Return the one task whose layouts recognise the data. Raises UserError where that is not certain."""
    dataset.check_path(path)
    able = [
        task for task in plugins.names("task") if dataset.layout_of(path, plugins.load("task", task).layouts)
    ]
    if len(able) > 1:
        raise UserError(
            f"{path} fits {' and '.join(able)}", "data that is certain to be of one task", "give --task"
        )
    return able[0] if able else plugins.names("task")[0]  # whose reader then says what is missing
