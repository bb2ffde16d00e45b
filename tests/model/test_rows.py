"""Pages of tokens: what goes in comes out, whatever the lengths."""

import numpy as np
import pytest

from headstart.model import rows


@pytest.mark.parametrize("lengths", [(1,), (16, 16), (15, 17, 16), (1, 200, 33)])
def test_texts_come_back_from_their_pages(lengths: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    states = [random.normal(size=(length, 3)).astype(np.float32) for length in lengths]
    ids = [random.integers(0, 250_000, length) for length in lengths]
    ids[0][0] = 0  # a token like any other
    pages = [rows.paged(one, own) for one, own in zip(states, ids, strict=True)]
    columns = rows.page_columns("layer.5", 3)
    assert [len(one) for one in pages] == [-(-length // rows.PAGE) for length in lengths]
    assert {one.shape[1] for one in pages} == {columns[-1].stop}
    assert rows.width_of(columns) == 3
    ids_NT, states_NTC, real_NT = rows.unpaged(np.concatenate(pages))
    assert real_NT.sum(axis=1).tolist() == list(lengths)
    for place, length in enumerate(lengths):
        assert np.array_equal(ids_NT[place, :length], ids[place])
        assert np.array_equal(states_NTC[place, :length], states[place])
        assert not states_NTC[place, length:].any()
        assert not ids_NT[place, length:].any()
