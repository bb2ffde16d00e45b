"""Children that read what is not trusted are forked here: importing torch for each took most of its time."""

import pytest


@pytest.fixture(autouse=True)
def _children(warm_children: None) -> None:
    """In every test of this folder."""
