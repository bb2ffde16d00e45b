"""What all tests share: a headstart home of their own, so that nobody's feature store is touched."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headstart.core.frameworks import prepare_torch
from tests.warm_children import Children

# Read when torch is loaded, which nothing above does. Threads that spin while they wait made two processes
# on two cores four times slower, measured: a test run beside another job, or a test with a child of its own.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
    # Workers beside each other share the cores: more threads than those only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // int(workers))))


@pytest.fixture(scope="session", autouse=True)
def headstart_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Point ``HEADSTART_HOME`` at a folder of this session, which shares weights and features."""
    home = tmp_path_factory.mktemp("home")
    before = os.environ.get("HEADSTART_HOME")
    os.environ["HEADSTART_HOME"] = str(home)
    yield home
    if before is None:
        del os.environ["HEADSTART_HOME"]
    else:
        os.environ["HEADSTART_HOME"] = before


@pytest.fixture(scope="session")
def family_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function that gives a small random model of a family, made once; not to be changed."""
    from tests.model import families

    made: dict[str, Path] = {}

    def folder(kind: str) -> Path:
        if kind not in made:
            made[kind] = tmp_path_factory.mktemp(kind)
            families.save(kind, made[kind], tmp_path_factory.mktemp(f"{kind}-scratch"))
        return made[kind]

    return folder


@pytest.fixture(scope="session")
def children(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Children]:
    """The process of this session that others are forked from."""
    made = Children(tmp_path_factory.mktemp("children"))
    yield made
    made.end()


@pytest.fixture
def warm_children(children: Children, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fork the product's children instead of starting them: each would import for seconds."""
    monkeypatch.setattr("headstart.core.child.subprocess", children)


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread: with models of a few thousand weights threads only wait for each other."""
    torch = prepare_torch()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
