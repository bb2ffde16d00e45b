"""Tiles cover a picture, overlap, and read and decode it once."""

import io
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from headstart.data import tiles
from headstart.data.mask import upright_size
from headstart.data.picture import decode


@given(length=st.integers(1, 3000), side=st.integers(32, 512))
def test_spans_cover_an_axis_and_overlap_by_a_quarter(length: int, side: int) -> None:
    spans = tiles.spans(length, side)
    assert (spans[0][0], spans[-1][1]) == (0, length)
    if len(spans) == 1:
        assert length <= side * 1.25
    for (begin, end), (following, _) in itertools.pairwise(spans):
        assert end - begin == side
        assert begin < following
        assert end - following >= side // 4
    # One tile fewer would not do.
    assert len(spans) == 1 or (len(spans) - 1) * (side - side // 4) + side // 4 < length


def test_boxes_go_row_by_row() -> None:
    assert tiles.boxes(100, 60, 64) == [(0, 0, 64, 60), (36, 0, 100, 60)]
    assert tiles.boxes(80, 80, 64) == [(0, 0, 80, 80)]
    assert tiles.boxes(60, 100, 64) == [(0, 0, 60, 64), (0, 36, 60, 100)]


def test_a_picture_is_read_and_decoded_once_for_all_its_tiles() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (60, 100, 3)).astype(np.uint8)
    done = []

    def read() -> bytes:
        done.append("read")
        return b"content"

    def opened(content: bytes) -> tiles.Opened:
        done.append(content.decode())
        return Image.fromarray(pixels), ("noted",)

    whole = tiles.Whole(read, opened)
    assert done == []
    both = [tiles.Tile(box, whole) for box in tiles.boxes(100, 60, 64)]
    assert len({one.content() for one in both}) == 2
    assert done == ["read"]
    for one in both:
        image, notes = one.opened()
        left, top, right, bottom = one.box
        np.testing.assert_array_equal(np.asarray(image), pixels[top:bottom, left:right])
        assert notes == ("noted",)
    assert done == ["read", "content"]


def test_tiles_of_other_content_are_other_tiles() -> None:
    box = (0, 0, 8, 8)
    first, second = (
        tiles.Tile(box, tiles.Whole(lambda name=name: name, lambda content: (Image.new("RGB", (8, 8)), ())))
        for name in (b"a", b"b")
    )
    assert first.content() != second.content()


@pytest.mark.parametrize("kind", ["TIFF", "JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("turn", [1, 3, 6, 8])
def test_the_size_told_without_decoding_is_that_of_the_decoded_picture(
    kind: str, turn: int, tmp_path: Path
) -> None:
    image, buffer = Image.new("RGB", (30, 20)), io.BytesIO()
    exif = image.getexif()
    exif[0x112] = turn
    image.save(buffer, kind, exif=exif)
    (tmp_path / "picture").write_bytes(buffer.getvalue())
    assert upright_size(tmp_path / "picture")[0] == decode(buffer.getvalue())[0].size
