"""Headers of safetensors files: what the library writes is read, what it should refuse is refused."""

import json
import tempfile
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file, save, save_file

from headstart.core.errors import UserError
from headstart.core.files import digest_file
from headstart.core.tensor_file import load_arrays, shapes, write

F32 = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def put(path: Path, header: object, data: bytes = b"\0" * 8, length: int | None = None) -> Path:
    content = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes((len(content) if length is None else length).to_bytes(8, "little") + content + data)
    return path


def test_what_is_written_is_what_the_library_reads(tmp_path: Path) -> None:
    arrays: dict[str, Any] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not in the order of its bytes
        "ü": np.array(7, dtype=np.int64),
        "none": np.empty((0, 4), np.float16),
        **{str(kind): np.arange(3).astype(kind) for kind in (bool, "u1", "i2", "u4", "f8")},
    }
    with (tmp_path / "t.safetensors").open("wb") as file:
        digest = write(file, arrays)
    assert digest == digest_file(tmp_path / "t.safetensors")
    for found in (load_file(tmp_path / "t.safetensors"), load_arrays(tmp_path / "t.safetensors")):
        assert set(found) == set(arrays)
        for name, array in arrays.items():
            assert found[name].dtype == array.dtype
            np.testing.assert_array_equal(found[name], array)


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    tensors = {
        "a": np.zeros((2, 3), np.float32),
        "b": np.zeros((), np.float16),
        "c": np.zeros((0, 4), np.int64),
        "d": np.zeros(5, np.bool_),
    }
    save_file(tensors, tmp_path / "m.safetensors", metadata={"format": "pt"})
    assert shapes(tmp_path / "m.safetensors") == {name: one.shape for name, one in tensors.items()}


def entry(**changes: Any) -> dict[str, Any]:
    return {**F32, **changes}


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (b'{"a":' + json.dumps(F32).encode() + b',"a":' + json.dumps(F32).encode() + b"}", "a name twice"),
        ({"a": F32, "b": F32}, "tensor 'b' at byte 0, where 8 comes next"),
        ({"a": entry(shape=[1], data_offsets=[4, 8])}, "at byte 4, where 0 comes next"),
        ({"a": entry(shape=[1], data_offsets=[0, 4])}, "8 bytes of data, where its header tells of 4"),
        ({"a": entry(shape=[4], data_offsets=[0, 16])}, "8 bytes of data, where its header tells of 16"),
        ({"a": entry(shape=[3])}, "do not agree"),
        ({"a": entry(shape=[-2, -1])}, "do not agree"),
        ({"a": entry(shape=[2.0])}, "do not agree"),
        ({"a": entry(shape=[True, 2])}, "do not agree"),
        ({"a": entry(dtype="F33")}, "do not agree"),
        ({"a": entry(dtype=["F32"])}, "do not agree"),
        ({"a": entry(data_offsets=[0, 8, 9])}, "do not agree"),
        ({"a": entry(data_offsets=[1 << 70, (1 << 70) + 8])}, "do not agree"),
        ({"a": 5}, "do not agree"),
        ([F32], "no object"),
        (b"\xff{}", "no JSON"),
        (b"{" * 100_000, "no JSON"),
        (b'{"a":' * 99_000, "no JSON"),
        (b'{"a":' * 101_000, "more parts than its tensors need"),
    ],
)
def test_a_header_that_cannot_be_trusted_is_refused(tmp_path: Path, header: object, message: str) -> None:
    file = put(tmp_path / "m.safetensors", header)
    with pytest.raises(UserError, match=message) as error:
        shapes(file)
    assert "\n" not in str(error.value)


def test_lengths_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "m.safetensors"
    for content in (b"", b"\1\0\0", b"\xff" * 64, (9).to_bytes(8, "little") + b"{}"):
        file.write_bytes(content)
        with pytest.raises(UserError, match="no header's length"):
            shapes(file)
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    with pytest.raises(UserError, match="no header's length"):
        shapes(file)
    with pytest.raises(UserError, match=r"cannot be read \(no such file"):
        shapes(tmp_path / "absent")
    with pytest.raises(UserError, match="cannot be read"):
        shapes(tmp_path)


def test_a_large_header_costs_little(tmp_path: Path) -> None:
    many = put(tmp_path / "many", b'{"a":' + b'"dtype",' * 700_000)
    large = put(tmp_path / "large", b"{" + b" " * (47 << 20), b"")
    started = time.perf_counter()
    tracemalloc.start()
    for file in (many, large):
        with pytest.raises(UserError, match="more than"):
            shapes(file)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.perf_counter() - started < 1
    assert peak < 50 << 20


WHOLE = save({"weight": np.arange(6, dtype=np.float32), "bias": np.ones(3, np.float16)})


@given(st.integers(0, len(WHOLE) - 1))
def test_every_truncation_is_refused(length: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "m.safetensors"
        file.write_bytes(WHOLE[:length])
        with pytest.raises(UserError):
            shapes(file)


@given(st.integers(0, len(WHOLE) - 1), st.integers(0, 255))
def test_any_byte_may_be_anything(place: int, value: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "m.safetensors"
        file.write_bytes(WHOLE[:place] + bytes([value]) + WHOLE[place + 1 :])
        with suppress(UserError):
            shapes(file)
