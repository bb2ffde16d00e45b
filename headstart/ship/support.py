"""What works of each source's models, in rows and lines for people."""

from collections.abc import Sequence

from headstart.core.records import Support


def rows(found: Sequence[Support]) -> list[tuple[str, str, str]]:
    """Return source, what its models take and their kinds, those of a source that take the same together."""
    alike: dict[tuple[str, str], list[str]] = {}
    for one in found:
        alike.setdefault((one.source, one.takes), []).append(one.family)
    return [(source, takes, ", ".join(names)) for (source, takes), names in alike.items()]


def remarks(found: Sequence[Support]) -> list[str]:
    """Return the tasks by what they take, the engines, then what fails, each with its reason."""
    tasks = {one.takes: ", ".join(one.tasks) for one in found}
    lines = [f"{takes}: {names}" for takes, names in tasks.items()]
    lines += [f"engines: {', '.join(one.engines)}" for one in found[:1]]
    for one in found:
        failing: dict[str, list[str]] = {}
        for name, why in (*one.tasks.items(), *one.engines.items()):
            if why:
                failing.setdefault(why, []).append(name)
        lines += [f"{one.source} {one.family}, not {' and '.join(n)}: {why}" for why, n in failing.items()]
    return lines
