"""``sources``: which kinds of models each source brings, and what works of them by task and engine."""

from collections.abc import Sequence

from headstart.contracts import Engine, Source, Task
from headstart.core import plugins
from headstart.core.errors import EngineUnavailable
from headstart.core.records import Support
from headstart.specs import SourcesSpec


def sources(spec: SourcesSpec) -> list[Support]:
    """Return what is tested of every source's models, in the sources' order; nothing is looked for."""
    tasks: Sequence[Task] = [plugins.load("task", name) for name in plugins.names("task")]
    engines = {name: _here(name) for name in plugins.names("engine")}
    loaded: Sequence[Source] = [plugins.load("source", name) for name in plugins.names("source")]
    return [
        Support(
            source=source.name,
            family=family.name,
            takes=family.takes,
            tasks={
                task.name: family.lacks.get(task.name, "") for task in tasks if task.takes == family.takes
            },
            engines={name: family.lacks.get(name, here) for name, here in engines.items()},
        )
        for source in loaded
        for family in source.families
    ]


def _here(name: str) -> str:
    """Return why an engine does not run on this machine, empty where it does."""
    engine: Engine = plugins.load("engine", name)
    try:
        engine.version()
    except EngineUnavailable as error:
        return str(error)
    return ""
