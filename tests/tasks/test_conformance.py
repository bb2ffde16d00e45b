"""What every task must declare: names of plug-ins that are there, and words for people."""

import pytest

from headstart.contracts import Task
from headstart.core import plugins


@pytest.mark.parametrize("name", plugins.names("task"))
def test_a_task_declares_all_that_others_ask_of_it(name: str) -> None:
    task: Task = plugins.load("task", name)
    assert task.name == name
    assert set(task.layouts) <= set(plugins.names("layout"))
    for learner in task.learners:
        modalities = [plugins.load("modality", one) for one in plugins.load("learner", learner).modalities]
        assert task.takes in [modality.takes for modality in modalities]
    assert all(words.endswith("s") for words in (task.unit, task.row))
    kind, _, base = task.default_base.partition(":")
    assert base in plugins.load("source", kind).names()
    names = [baseline.name for baseline in task.baselines]
    assert len(names) == len(set(names)) > 0
