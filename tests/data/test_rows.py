"""Lines of a table are those that the standard library sees, whatever system wrote them."""

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.data.rows import read_rows


@settings(deadline=None, max_examples=60)
@given(st.text(alphabet='ab,\r\n"\x0b\u2028 ', max_size=40))
def test_a_table_has_the_rows_that_a_text_file_has(
    tmp_path_factory: pytest.TempPathFactory, tail: str
) -> None:
    text = "x,y\n" + tail.replace('"', "")
    with io.StringIO(text, newline="") as lines:
        expected = [row for row in csv.reader(lines, strict=True) if row]
    if any(len(row) != 2 for row in expected):
        return
    file = tmp_path_factory.mktemp("table") / "t.csv"
    file.write_bytes(text.encode())
    assert [list(cells) for _, cells in read_rows(file).rows] == expected[1:]


def test_quoted_cells_keep_their_line_ends(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'x,y\r\n"a\r\nb","c\rd"\re,"f\n\ng"\n')
    rows = list(read_rows(tmp_path / "t.csv").rows)
    assert rows == [(2, ["a\r\nb", "c\rd"]), (3, ["e", "f\n\ng"])]


def test_rows_are_not_held_beside_the_text(tmp_path: Path) -> None:
    for suffix, line in ((".csv", "{n},some words of a text\n"), (".jsonl", '{{"x": {n}, "y": "words"}}\n')):
        file = tmp_path / f"t{suffix}"
        file.write_text(
            ("x,y\n" if suffix == ".csv" else "") + "".join(line.format(n=n) for n in range(20_000))
        )
        tracemalloc.start()
        assert sum(1 for _ in read_rows(file).rows) == 20_000
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2.2 * file.stat().st_size + 300_000  # the bytes, and the text made of them
