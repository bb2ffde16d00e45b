"""What every check must do: say what it needs, and say nothing of nothing."""

import numpy as np
import pytest

from headstart.contracts import Check, Contents, Fingerprint, Listing, Survey
from headstart.core import plugins


def empty(name: str) -> Survey:
    contents = Contents(
        unreadable={},
        noted={},
        empty={},
        sizes_N=np.zeros(0),
        forms=[],
        named_N=np.zeros(0),
        twins=[],
        near=[],
    )
    listing = Listing(layout="none", splits={}, classes=())
    return Survey(
        task=plugins.load("task", name), listing=listing, examples=[], roles=[], cells=lambda: iter(()),
        contents=contents, suspects=[],
    )  # fmt: skip


@pytest.mark.parametrize("name", plugins.names("check"))
def test_a_check_declares_what_it_needs_and_is_silent_without_data(name: str) -> None:
    check: Check = plugins.load("check", name)
    assert check.name == name
    assert check.needs in ("listing", "contents", "model")
    assert not check.quick or check.needs == "listing"
    for task in plugins.names("task"):
        assert list(check.findings(empty(task))) == []


@pytest.mark.parametrize("name", plugins.names("task"))
def test_every_kind_of_input_has_a_fingerprint(name: str) -> None:
    task = plugins.load("task", name)
    fingerprint: Fingerprint = plugins.load("fingerprint", task.takes)
    assert fingerprint.name == task.takes
