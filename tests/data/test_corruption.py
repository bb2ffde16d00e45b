"""Spoilt inputs: what each spoiling does, that it repeats, and that every task has some."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from headstart.contracts import Example, Task
from headstart.core import plugins
from headstart.data.corruption import PICTURES, TEXTS
from headstart.maths.intervals import Array

RANDOM = np.random.default_rng(0)
IMAGE = Image.fromarray(np.kron(RANDOM.integers(0, 256, (8, 12, 3)), np.ones((9, 9, 1))).astype(np.uint8))


def levels(how: str, seed: int = 1) -> Array:
    spoilt = PICTURES[how](IMAGE, np.random.default_rng(seed))
    assert (spoilt.mode, spoilt.size) == ("RGB", IMAGE.size)
    return np.asarray(spoilt, np.float64)


def test_pictures_are_spoilt_as_their_names_say() -> None:
    clean = np.asarray(IMAGE, np.float64)
    noise = levels("noise")
    inside = (clean > 100) & (clean < 155)  # nothing is clipped here
    assert (noise - clean)[inside].std() == pytest.approx(0.18 * 255, rel=0.1)
    assert np.abs(np.diff(levels("blur"), axis=1)).max() < np.abs(np.diff(clean, axis=1)).max()
    assert levels("contrast").std(axis=(0, 1)) == pytest.approx(0.2 * clean.std(axis=(0, 1)), rel=0.05)
    assert levels("contrast").mean() == pytest.approx(clean.mean(), abs=1)
    assert levels("brightness").max(axis=2).mean() > clean.max(axis=2).mean() + 20
    assert 1 < np.abs(levels("jpeg") - clean).mean() < 40
    assert len(np.unique(levels("pixelate").reshape(-1, 3), axis=0)) <= (8 * 9 * 0.4 + 1) * (12 * 9 * 0.4 + 1)
    for how in PICTURES:
        assert (levels(how) == levels(how)).all()
    assert (levels("noise", 1) != levels("noise", 2)).any()


def test_texts_are_spoilt_as_their_names_say() -> None:
    text = "the quick brown fox jumps over the lazy dog " * 40
    spoilt = TEXTS["typos"](text, np.random.default_rng(0))
    assert spoilt == TEXTS["typos"](text, np.random.default_rng(0))
    words = zip(text.split(), spoilt.split(), strict=True)  # spaces are left alone
    wrong = np.mean([one != other for one, other in words])
    assert 0.08 < wrong < 0.3
    assert TEXTS["truncation"]("one two three four five", np.random.default_rng(0)) == "one two"
    assert TEXTS["truncation"]("one", np.random.default_rng(0)) == "one"
    assert TEXTS["typos"]("", np.random.default_rng(0)) == ""


@pytest.mark.parametrize("name", plugins.names("task"))
def test_every_task_spoils_its_inputs_and_leaves_truth_and_original_alone(name: str, tmp_path: Path) -> None:
    task: Task = plugins.load("task", name)
    IMAGE.save(tmp_path / "one.png")
    before = (tmp_path / "one.png").read_bytes()
    text = None if task.takes == "picture" else "a few words that are worth the reading " * 9
    example = Example("one", "a", tmp_path / "one.png", text=text, target="b")
    folder = tmp_path / "spoilt"
    folder.mkdir()
    assert task.corruptions
    for how in task.corruptions:
        spoilt = task.corrupted(example, how, 7, folder)
        assert task.content(spoilt) != task.content(example)
        assert (spoilt.key, spoilt.label, spoilt.target) == ("one", "a", "b")
        assert task.content(task.corrupted(example, how, 7, folder)) == task.content(spoilt)
    assert (tmp_path / "one.png").read_bytes() == before
