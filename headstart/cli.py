"""The command line: arguments in, one call, rendering out. No logic, and no framework imported for help."""

import argparse
import logging
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import MISSING, Field, replace
from typing import Any, NoReturn

from headstart import specs
from headstart.core.errors import HeadstartError, machine_error
from headstart.core.version import VERSION

VERBS = {
    "audit": specs.AuditSpec,
    "choose": specs.ChooseSpec,
    "fit": specs.FitSpec,
    "evaluate": specs.EvaluateSpec,
    "compare": specs.CompareSpec,
    "predict": specs.PredictSpec,
    "sources": specs.SourcesSpec,
    "cache": specs.CacheSpec,
}
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code: 0 done, 1 failed, 2 the user's mistake, 130 interrupted."""
    _speak()
    again = ""
    try:
        given = vars(_parser().parse_args(arguments))
        verb, as_json = given.pop("verb"), given.pop("json")
        spec = VERBS[verb](**given)
        again = shlex.join(specs.command(verb, replace(spec, resume=True) if "resume" in given else spec))
        from headstart import terminal

        return int(getattr(terminal, verb)(spec, as_json))
    except HeadstartError as error:
        print(f"headstart: {error}", file=sys.stderr)
        return error.exit_code
    except OSError as error:
        if isinstance(error, BrokenPipeError):  # whoever read our output has gone; nobody is left to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        print(f"headstart: {machine_error(error, 'Using the machine')}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        go_on = f"; go on with: {again}" if again else ""
        print(f"headstart: interrupted; what was computed is kept{go_on}", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headstart",
        description="From a pretrained model and your own data to a fine-tuned, honestly evaluated model.",
        epilog="headstart VERB --help tells what a verb takes. First steps: headstart fit PICTURES --out RUN",
    )
    parser.add_argument("--version", action="version", version=f"headstart {VERSION}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, spec in VERBS.items():
        summary = (spec.__doc__ or "").strip()
        taken = [field.name.upper() for field in specs.options(spec) if field.metadata.get("positional")]
        # Said with every mistake: forty options would hide the one that is wrong.
        usage = " ".join(["headstart", name, *taken, "[OPTION ...]"])
        one = verbs.add_parser(name, help=summary, description=summary, usage=usage)
        for field in specs.options(spec):
            _add(one, field)
        one.add_argument("--json", action="store_true", help="print JSON on standard output, for programs")
    return parser


def _add(parser: argparse.ArgumentParser, field: "Field[Any]") -> None:
    """Declare one field of a spec as an argument."""
    limits: dict[str, Any] = {}
    if "choices" in field.metadata:
        limits["choices"] = field.metadata["choices"]
    if field.metadata.get("positional"):
        count = "+" if field.metadata.get("many") else None
        parser.add_argument(field.name, metavar=field.name.upper(), help=field.metadata["help"], nargs=count)
    elif field.type is bool:
        parser.add_argument(specs.flag(field.name), action="store_true", help=field.metadata["help"])
    else:
        default = "" if field.default in (None, MISSING) else f" (default: {field.default})"
        kind = specs.value_type(field)
        limits |= {} if "choices" in limits else {"metavar": kind.__name__.upper()}
        parser.add_argument(
            specs.flag(field.name),
            type=kind,
            default=field.default,
            help=field.metadata["help"] + default,
            **limits,
        )


def _speak() -> None:
    """Send messages to standard error, and let SIGTERM stop us as Ctrl-C does."""
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    for noisy in ("timm", "openvino", "torch", "onnxruntime", "PIL"):
        logging.getLogger(noisy).setLevel(logging.ERROR)

    def stop(number: int, frame: object) -> NoReturn:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)


if __name__ == "__main__":
    sys.exit(main())
