"""Writes ``pairs.jsonl``: what SciPy's and NumPy's functions do, at length, and in one line.

A docstring's first line is the summary of the paragraphs that follow it, up to the first section. Both
packages are BSD-3-Clause, which allows redistribution with the notice in ``LICENSE.txt`` beside this file.
Command: ``python examples/docstrings/make.py`` (takes what is installed).
"""

import importlib
import inspect
import json
import re
import warnings
from collections.abc import Iterator
from pathlib import Path

MODULES = (
    *("numpy", "numpy.linalg", "numpy.fft", "numpy.random", "numpy.ma", "numpy.polynomial.polynomial"),
    *("scipy.cluster.hierarchy", "scipy.cluster.vq", "scipy.fft", "scipy.integrate", "scipy.interpolate"),
    *("scipy.io", "scipy.linalg", "scipy.ndimage", "scipy.optimize", "scipy.signal", "scipy.sparse"),
    *("scipy.sparse.csgraph", "scipy.sparse.linalg", "scipy.spatial", "scipy.spatial.distance"),
    *("scipy.special", "scipy.stats", "scipy.stats.mstats", "scipy.stats.qmc"),
)
LEAST_WORDS, MOST_BYTES = 15, 280_000


def pairs() -> Iterator[tuple[str, str, str]]:
    """Yield (name, description, summary) of every function and class with a description of some length."""
    seen: set[str] = set()
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in sorted(getattr(module, "__all__", dir(module))):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                doc = inspect.getdoc(getattr(module, name, None)) or ""
            body = re.split(r"\n\S[^\n]*\n[-=]{3,}\n", doc)[0]
            body = re.split(r"\n(?:\.\. |>>> |    )", body)[0]
            paragraphs = [" ".join(one.split()) for one in body.split("\n\n") if one.strip()]
            paragraphs = [one for one in paragraphs if not re.match(r"[\w.]+\(.*\)$", one)]
            if len(paragraphs) < 2:
                continue
            text = re.sub(r":\w+:|`|\*\*?", "", "\n\n".join(paragraphs[1:]))
            summary = re.sub(r":\w+:|`", "", paragraphs[0])
            # The same text in several modules would be in several splits.
            if len(text.split()) >= LEAST_WORDS and text not in seen:
                seen.add(text)
                yield f"{module_name}.{name}", text, summary


def main() -> None:
    """Write the file."""
    target, size = Path(__file__).with_name("pairs.jsonl"), 0
    with target.open("w") as file:
        for name, text, summary in pairs():
            line = json.dumps({"name": name, "description": text, "summary": summary}) + "\n"
            size += len(line)
            if size > MOST_BYTES:
                break
            file.write(line)


if __name__ == "__main__":
    main()
