"""Pictures laid over each other: cuts found where they lie, other pictures not."""

import numpy as np
import pytest
from PIL import Image

from headstart.maths import alignment


def smooth(seed: int, side: int = 128) -> Image.Image:
    cells = np.random.default_rng(seed).integers(0, 256, (7, 7), dtype=np.uint8)
    return Image.fromarray(cells).resize((side, side), Image.Resampling.BICUBIC)


def small(image: Image.Image) -> np.ndarray:
    return np.asarray(image.resize((alignment.SIDE, alignment.SIDE), Image.Resampling.BILINEAR), np.float64)


@pytest.mark.parametrize("box", [(0, 0, 115, 115), (10, 4, 124, 118), (18, 18, 128, 128), (6, 20, 110, 124)])
def test_a_cut_is_found_from_either_side(box: tuple[int, int, int, int]) -> None:
    for seed in range(6):
        whole, cut = small(smooth(seed)), small(smooth(seed).crop(box))
        lighter = cut * 0.7 + 40
        for one, other in ((whole, cut), (cut, whole), (whole, lighter)):
            value, moved = alignment.aligned(one, other)
            assert value > 0.95
            assert moved


def test_two_cuts_of_one_picture_meet() -> None:
    for seed in range(6):
        image = smooth(seed)
        value, moved = alignment.aligned(
            small(image.crop((0, 0, 118, 118))), small(image.crop((10, 10, 128, 128)))
        )
        assert value > 0.95
        assert moved


def test_a_picture_is_where_it_is_and_no_other() -> None:
    greys = [small(smooth(seed)) for seed in range(12)]
    for place, one in enumerate(greys):
        assert alignment.aligned(one, one * 0.8 + 10) == (pytest.approx(1.0), False)
        assert alignment.aligned(one, one[:, ::-1])[0] == 0.0
        assert all(alignment.aligned(one, other)[0] == 0.0 for other in greys[place + 1 :])


def test_a_detail_makes_another_picture_and_one_level_is_like_none() -> None:
    whole = small(smooth(1))
    changed = small(smooth(1).crop((8, 8, 120, 120)))
    changed[24:40, 24:40] = 255 - changed[24:40, 24:40]
    assert alignment.aligned(whole, changed)[0] == 0.0
    flat = np.full((64, 64), 128.0)
    assert alignment.aligned(flat, flat)[0] == 0.0
    assert alignment.aligned(flat, whole)[0] == 0.0


def test_half_a_picture_is_another() -> None:
    assert alignment.aligned(small(smooth(2)), small(smooth(2).crop((0, 0, 70, 70))))[0] == 0.0
