"""Small pictures on disk, for the tests of readers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

Save = Callable[..., Path]


@pytest.fixture
def save() -> Save:
    """Return a function that writes one small picture under each of the paths."""

    def write(root: Path, *paths: str) -> Path:
        for number, path in enumerate(paths):
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 6), (number % 256, 0, 0)).save(file, "PNG")
        return root

    return write
