"""The package's own source as syntax trees: what the house rules are checked on."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "headstart"


@cache
def modules() -> dict[str, Path]:
    """Return every module of headstart by its dotted name."""
    return {_dotted(file): file for file in sorted(PACKAGE.rglob("*.py"))}


@cache
def parse(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), str(file))


def imports(name: str) -> Iterator[tuple[str, int]]:
    """Yield (dotted module, line) of every import of headstart in a module, wherever it stands.

    ``from headstart.x import y`` is the module ``headstart.x.y`` where there is one, else ``headstart.x``.
    """
    file = modules()[name]
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "headstart":
                    yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(name, file, node)
            if base.split(".")[0] != "headstart":
                continue
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield inner if inner in modules() else base, node.lineno


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _absolute(name: str, file: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = name.split(".") if file.name == "__init__.py" else name.split(".")[:-1]
    kept = package[: len(package) - node.level + 1]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _dotted(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
