"""Headers, archives and pictures that attack: each refused, soon, in little memory."""

from pathlib import Path

import pytest

from tests.safety import attacks


@pytest.mark.parametrize(
    ("suite", "least", "seconds", "mib"),
    [("headers", 60, 1.0, 50.0), ("archives", 45, 1.0, 50.0), ("pictures", 30, 10.0, 400.0)],
)
def test_all_are_refused(suite: str, least: int, seconds: float, mib: float, tmp_path: Path) -> None:
    told = attacks.run(f"tests.safety.{suite}:attacks", tmp_path)
    assert len(told) >= least
    assert not [one for one in told if not one.outcome.startswith("refused: ")]
    assert not [one for one in told if one.loud]
    assert not [one for one in told if one.mib > mib]
    assert not [one for one in told if one.seconds > seconds]
