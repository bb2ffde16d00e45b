"""One direction only: a module imports lower ranks and its own siblings, and nothing goes in circles."""

import ast

import pytest

from tests.house.tree import imports, modules, parse

RANKS = {
    "core": 0,
    "specs": 1,
    "catalogue": 1,
    "contracts": 2,
    "maths": 2,
    "model": 3,
    "data": 3,  # below the tasks, which decode with it
    "fitting": 4,
    "fingerprints": 4,
    "checks": 4,
    "auditing": 5,
    "evaluation": 4,
    "scoring": 5,
    "ship": 5,
    "tasks": 5,
    "sources": 5,
    "engines": 5,
    "estimators": 5,
    "modalities": 5,
    "learners": 5,
    "penalties": 5,
    "verbs": 6,
    "api": 7,
    "terminal": 7,
    "cli": 8,
    "__main__": 9,
    "": 9,  # headstart/__init__.py
}
FINDS_BY_NAME = {"headstart.core.plugins", "headstart.core.unpickle"}


def owner(module: str) -> str:
    """Return the package or module right below ``headstart`` that a dotted name belongs to."""
    return module.partition(".")[2].partition(".")[0]


def test_every_package_and_module_has_a_rank() -> None:
    assert {owner(name) for name in modules()} <= set(RANKS)


@pytest.mark.parametrize("name", sorted(modules()))
def test_imports_point_down(name: str) -> None:
    mine = owner(name)
    wrong = [
        f"{name}:{line} (rank {RANKS[mine]}) imports {target} (rank {RANKS[owner(target)]})"
        for target, line in imports(name)
        if owner(target) != mine and RANKS[owner(target)] >= RANKS[mine]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_module_is_part_of_an_import_cycle() -> None:
    edges = {name: {target for target, _ in imports(name)} & set(modules()) for name in modules()}
    done: set[str] = set()

    def walk(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path[path.index(name) :], name))
        if name not in done:
            for target in sorted(edges[name]):
                walk(target, (*path, name))
            done.add(name)

    for name in sorted(edges):
        walk(name, ())


def test_the_walk_sees_imports_inside_functions_and_under_type_checking() -> None:
    # Without these the two tests above would prove little.
    assert (
        next(target for target, _ in imports("headstart.api") if target == "headstart.verbs.fit"),
        next(target for target, _ in imports("headstart.api") if target == "headstart.core.records"),
    ) == ("headstart.verbs.fit", "headstart.core.records")


@pytest.mark.parametrize("name", sorted(set(modules()) - FINDS_BY_NAME))
def test_no_module_is_imported_past_the_walk(name: str) -> None:
    called = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(parse(modules()[name]))
        if isinstance(node, ast.Attribute | ast.Name)
    }
    assert not called & {"import_module", "__import__"}
