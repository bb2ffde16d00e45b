"""The model card: ``README.md`` in a run's model folder, with the header that the Hugging Face hub reads.

Mitchell et al., "Model Cards for Model Reporting" (arXiv 1810.03993).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from headstart.core.files import write_bytes
from headstart.core.run import read_run


def write_card(run: Path) -> Path:
    """Write ``run/model/README.md`` from ``run.json``; return its path.

    Raises UserError where ``run`` is no run, MachineError where the machine refuses.
    """
    path = run / "model" / "README.md"
    write_bytes(path, card(read_run(run)).encode(errors="backslashreplace"))
    return path


def card(fitted: Mapping[str, Any]) -> str:
    """Return the card for ``Fitted`` as JSON: base, licence, data, figures with intervals, how to load."""
    model, run = fitted["model"], Path(fitted["run"]).name
    reported, sizes = fitted["split"]["reported"], fitted["split"]
    lines = [
        *_header(fitted),
        f"# {run}",
        "",
        f"A model for {fitted['task']}, fitted with headstart.",
        "",
        f"- Base: `{fitted['base']}` ({model['architecture']}), revision `{model['revision']}`,"
        f" weights SHA-256 `{model['weights_sha256']}`{', random weights' if model['random_init'] else ''}",
        f"- Licence of the base: {model['licence']}. It holds for this model too where it has its weights.",
        *(f"- Adapted: {one}" for one in model["adapted"]),
        f"- Trained: {fitted['strategy']}; {model['parameters_trained']:,} weights of the head",
        f"- Data: {sizes['train']:,} examples to train, {sizes['test']:,} to report on ({reported}),"
        f" {sizes['made']}; digest `{fitted['data_digest']}`",
        "",
        *_figures(fitted),
        "",
        "```sh",
        f"headstart predict {run} INPUT",
        "```",
        "",
        "Weights are safetensors; nothing here is pickled. What a head adds is in `head.safetensors`.",
    ]
    return "\n".join(lines) + "\n"


def _header(fitted: Mapping[str, Any]) -> list[str]:
    """Return the card's YAML, values in JSON's form, which YAML takes."""
    kind, _, name = str(fitted["base"]).partition(":")
    licence = str(fitted["model"]["licence"])
    said = {
        "license": None if licence == "not stated" else licence.lower(),
        "base_model": name if kind == "hf" and name.count("/") == 1 and not Path(name).exists() else None,
        "library_name": "headstart",
        "tags": [fitted["task"]],
    }
    return ["---", *(f"{key}: {json.dumps(one)}" for key, one in said.items() if one is not None), "---", ""]


def _figures(fitted: Mapping[str, Any]) -> list[str]:
    """Return the metrics with their intervals beside the baselines, as a table."""
    others = fitted["baselines"]
    heads = ["metric", "value", "95% interval", *others]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for name, one in fitted["metrics"].items():
        missing = one["low"] is None or one["high"] is None
        interval = "cannot be computed" if missing else f"{one['low']:.3f} - {one['high']:.3f}"
        beside = [f"{them[name]['value']:.3f}" if name in them else "–" for them in others.values()]
        cells = [name, f"{one['value']:.3f}", interval, *beside]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
