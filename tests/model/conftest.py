"""Children that read what is not trusted are forked, not started: importing torch for each took most of it."""

import pytest


@pytest.fixture(autouse=True)
def _children(warm_children: None) -> None:
    """In every test of this folder."""
