"""Weights files that do harm where they are loaded: programs, bombs and lies, in every form torch reads."""

import io
import pickle
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from headstart.core.frameworks import prepare_torch
from headstart.model import weights
from tests.core.test_unpickle import RUN, called, named, old, text
from tests.safety.attacks import Attack

MARKER = "ran"
_MAGIC = 0x1950A86A20F9469CFC6C
_TWO = b"\x80\x02"


def zipped(body: bytes, more: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive as torch.save makes it, around the pickle ``body``."""
    buffer = io.BytesIO()
    members = {
        "data.pkl": body,
        "byteorder": b"little",
        "version": b"3\n",
        "data/0": bytes(64),
        **(more or {}),
    }
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(f"m/{name}", content)
    return buffer.getvalue()


def legacy(body: bytes) -> bytes:
    """Return a file as torch.save made it before 1.6, around the pickle ``body``."""
    about = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    return b"".join(pickle.dumps(one, 2) for one in (_MAGIC, 1001, about)) + body + pickle.dumps([], 2)


def storage(count: int = 16, key: str = "0", kind: str = "FloatStorage", device: str = "cpu") -> bytes:
    """Push a storage of ``count`` numbers by torch's persistent id."""
    number = b"\x8a\x08" + struct.pack("<q", count)
    return (
        b"(" + text("storage") + old("torch", kind) + text(key) + text(device) + number + b"tQ"
    )  # fmt: skip


def integers(*values: int) -> bytes:
    """Push a tuple."""
    return b"(" + b"".join(b"\x8a\x08" + struct.pack("<q", value) for value in values) + b"t"


def tensor(stored: bytes, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> bytes:
    """Push a tensor."""
    place = b"\x8a\x08" + struct.pack("<q", offset)
    none = old("collections", "OrderedDict") + b")R"
    rebuild = old("torch._utils", "_rebuild_tensor_v2")
    return rebuild + b"(" + stored + place + integers(*shape) + integers(*strides) + b"\x89" + none + b"tR"


def named_tensor(body: bytes) -> bytes:
    """Return a pickle of one tensor by name."""
    return _TWO + b"}" + text("w") + body + b"s."


GOOD = named_tensor(tensor(storage(), 0, (4,), (1,)))
"""A pickle of one honest tensor."""


def _tar(body: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in ("sys_info", "pickle", "storages", "tensors"):
            entry = tarfile.TarInfo(name)
            entry.size = len(body)
            archive.addfile(entry, io.BytesIO(body))
    return buffer.getvalue()


def _object_array(marker: Path, packed: bool) -> bytes:
    class Runs:
        def __reduce__(self) -> Any:
            import os

            return os.system, (f"touch {marker}",)

    buffer, array = io.BytesIO(), np.array([Runs()], dtype=object)
    if packed:
        np.savez(buffer, a=array)
    else:
        np.save(buffer, array, allow_pickle=True)
    return buffer.getvalue()


def _collisions(count: int) -> bytes:
    """Return a pickle of a dictionary whose keys share one hash."""
    prime = (1 << 61) - 1
    items = b"".join(
        b"\x8a" + bytes([len(one)]) + one + b"N"
        for one in ((prime * place).to_bytes(12, "little") for place in range(1, count))
    )
    return _TWO + b"}(" + items + b"u."


def _laughs(levels: int) -> bytes:
    """Return a pickle of a list of lists ..., each twice: a few bytes a level, 2 to the ``levels`` leaves."""
    return _TWO + b"]q\x00" + b"](h\x00h\x00eq\x00" * levels + b"."


def programs(marker: Path) -> dict[str, bytes]:
    """Return the programs of the tests of ``core.unpickle``, and those that only torch can run."""
    found = {name: make(marker) for name, make in RUN.items()}
    touch, run = text(f"touch {marker}"), old("os", "system")
    own = {
        "torch's bytes loader": called(
            old("torch.storage", "_load_from_bytes"), b"B" + struct.pack("<I", 9) + b"cos\nabort\n"
        ),
        "rebuilt by os.system": called(
            old("torch._tensor", "_rebuild_from_type_v2"),
            run,
            old("torch", "Tensor"),
            b"(" + touch + b"t",
            b"N",
        ),
        "torch.hub": called(old("torch.hub", "load"), text("a/b"), text("c")),
        "torch.load": called(old("torch", "load"), text(str(marker))),
        "torch.save": called(old("torch", "save"), b"K\x01", text(str(marker))),
        "torch.jit": called(old("torch.jit", "load"), text(str(marker))),
        "torch.ops": called(old("torch", "ops.load_library"), text(str(marker))),
        "a library of torch": called(old("torch._dynamo.utils", "sys.modules.__class__"), b""),
        "torch's compiler": called(old("torch.utils.cpp_extension", "load_inline"), text("a"), text("b")),
        "torch's distributed": called(old("torch.distributed.rpc", "init_rpc"), text("a")),
        "numpy of torch": called(old("torch", "serialization.os.system"), touch),
        "a device of numpy": called(
            old("torch._utils", "_rebuild_device_tensor_from_numpy"), run, b"N", b"N"
        ),
        "a parameter that is os.system": old("torch.nn.parameter", "Parameter") + b"(" + run + b"t\x81",
        "state for a class": old("torch", "Tensor") + b"}" + text("__setstate__") + run + b"sb",
        "state for a function": old("torch._utils", "_rebuild_tensor") + b"}" + text("x") + run + b"sb",
        "a namespace's methods": old("argparse", "Namespace")
        + b")R}"
        + text("__class__")
        + run
        + b"sb"
        + b"0"
        + called(run, touch),
        "argparse beside Namespace": called(old("argparse", "FileType"), text("w"))
        + text(str(marker))
        + b"\x85R",
        "argparse, a dotted walk": called(named("argparse", "_os.system"), touch),
        "new with keywords": old("subprocess", "Popen") + b"(" + touch + b"t}" + text("shell") + b"\x88s\x92",
        "extension code": b"\x82\x01",
        "an object by INST": b"(" + touch + b"ios\nsystem\n",
        "an object by OBJ": b"(" + run + touch + b"o",
        "a persistent id that is a program": called(run, touch) + b"Q",
        "codecs": called(old("_codecs", "encode"), called(run, touch), text("latin1")),
    }
    return found | {
        name: (_TWO if b"\x93" not in body else b"\x80\x04") + body + b"." for name, body in own.items()
    }


def bombs() -> dict[str, bytes]:
    """Return pickles that ask for memory or time, and tensors that lie, to be put into an archive."""
    big, plain = 1 << 40, storage()
    counted = b"\x8a\x08" + struct.pack("<q", 20 << 30)
    sparse = old("torch._utils", "_rebuild_sparse_tensor")
    return {
        "a view of 16 GB of one number": named_tensor(tensor(plain, 0, (4 << 30,), (0,))),
        "a view of many axes": named_tensor(tensor(plain, 0, (1 << 15, 1 << 15, 1 << 10), (0, 0, 0))),
        "longer than its storage": named_tensor(tensor(plain, 0, (1 << 12,), (1,))),
        "much longer than its storage": named_tensor(tensor(plain, 0, (1 << 33,), (1,))),
        "an offset behind its storage": named_tensor(tensor(plain, 1 << 20, (4,), (1,))),
        "an offset before its storage": named_tensor(tensor(plain, -4, (4,), (1,))),
        "strides behind its storage": named_tensor(tensor(plain, 0, (2, 2), (1 << 20, 1))),
        "negative strides": named_tensor(tensor(plain, 8, (4,), (-1,))),
        "a negative shape": named_tensor(tensor(plain, 0, (-4,), (1,))),
        "a shape whose product overflows": named_tensor(tensor(plain, 0, (1 << 32, 1 << 32), (1, 1))),
        "strides whose product overflows": named_tensor(tensor(plain, 0, (4, 4), (1 << 62, 1 << 62))),
        "a storage that says too much": named_tensor(tensor(storage(1 << 20), 0, (1 << 20,), (1,))),
        "a storage that says 4 TB": named_tensor(tensor(storage(big), 0, (big,), (1,))),
        "a storage that says less than none": named_tensor(tensor(storage(-1), 0, (4,), (1,))),
        "a storage outside the archive": named_tensor(tensor(storage(key="../../0"), 0, (4,), (1,))),
        "a storage that is not there": named_tensor(tensor(storage(key="7"), 0, (4,), (1,))),
        "a storage on a device that is not here": named_tensor(
            tensor(storage(device="cuda:99"), 0, (1 << 20,), (1,))
        ),
        "a tensor without content": named_tensor(
            called(
                old("torch._utils", "_rebuild_meta_tensor_no_storage"),
                *(old("torch", "float32"), integers(4), integers(1), b"\x89"),
            )
        ),
        "a sparse tensor that points outside": named_tensor(
            called(
                sparse,
                called(old("torch.serialization", "_get_layout"), text("torch.sparse_coo")),
                b"("
                + tensor(storage(2, kind="LongStorage"), 0, (1, 2), (2, 1))
                + tensor(plain, 0, (2,), (1,))
                + integers(-5)
                + b"t",
            )
        ),
        "a bytearray of 20 GB": _TWO + called(old("builtins", "bytearray"), counted) + b".",
        "a hundred bytearrays": _TWO
        + b"]("
        + called(old("builtins", "bytearray"), b"J" + struct.pack("<i", 1 << 28)) * 100
        + b"e.",
        "text that is unpacked": _TWO + called(old("_codecs", "encode"), text("x"), text("zlib")) + b".",
        "a memo at two billion": _TWO + b"Nr\xff\xff\xff\x7f.",
        "a hundred thousand lists in each other": _TWO + b"]" * 10**5 + b"a" * 99_999 + b".",
        "two to the thirtieth lists": _laughs(30),
        "keys of one hash": _collisions(60_000),
        "a string of two gigabytes": _TWO + b"T\xff\xff\xff\x7f",
        "a text of four gigabytes": _TWO + b"X\xff\xff\xff\xff",
        "a number of two gigabytes": _TWO + b"\x8b\xff\xff\xff\x7f",
        "cut short": GOOD[:-9],
        "protocol 0": pickle.dumps({"a": 1}, 0),
        "protocol 5": pickle.dumps({"a": bytearray(9)}, 5),
        "protocol 127": b"\x80\x7f}.",
    }


def forms(marker: Path) -> dict[str, bytes]:
    """Return whole files in forms that no weights have."""
    run = RUN["os.system"](marker)
    good = zipped(GOOD)
    return {
        "a tar of 2017": _tar(run),
        "a plain pickle": _TWO + run,
        "a plain pickle of protocol 0": run,
        "a NumPy array of objects": _object_array(marker, packed=False),
        "NumPy arrays of objects in a ZIP": _object_array(marker, packed=True),
        "TorchScript": zipped(_TWO + run, {"code/__torch__.py": b"import os", "constants.pkl": _TWO + b")."}),
        "the first number is a program": _TWO + run + legacy(_TWO + b"}."),
        "the list of storages is a program": legacy(_TWO + b"}.").removesuffix(pickle.dumps([], 2))
        + _TWO
        + run,
        "data.pkl in two folders": zipped(_TWO + run).replace(b"m/version", b"n/version"),
        "data.pkl twice": zipped(_TWO + run, {"data/1": b""}).replace(b"m/data/1", b"m/data.p"),
        "packed": zipped(
            named_tensor(tensor(storage(1 << 20), 0, (1 << 20,), (1,))), {"data/0": bytes(4 << 20)}, 8
        ),
        "behind a picture": b"\x89PNG" + good,
        "with a comment": good[:-2] + b"\x04\0abcd",
        "a shell script": b"#!/bin/sh\ntouch " + str(marker).encode(),
        "nothing": b"",
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(64),
        "GZIP": b"\x1f\x8b" + bytes(64),
    }


def files(marker: Path) -> dict[str, bytes]:
    """Return all of them by name."""
    found = forms(marker)
    for name, body in programs(marker).items():
        inner = body[2 if body.startswith(b"\x80") else 0 : -1]
        found[f"{name}, in an archive"] = zipped(body)
        found[f"{name}, as of old"] = legacy(body)
        found[f"{name}, beside a tensor"] = zipped(GOOD[:-1] + text("x") + inner + b"s.")
    return found | {f"{name}, in an archive": zipped(body) for name, body in bombs().items()}


def attacks(folder: Path) -> dict[str, Attack]:
    """Return what reads each of them as the child process does."""
    return {name: _reading(folder, content) for name, content in files(folder / MARKER).items()}


def _reading(folder: Path, content: bytes) -> Attack:
    def read() -> Any:
        path = folder / "weights.bin"
        path.write_bytes(content)
        weights.refuse_form(path)
        return weights._convert(str(path), str(folder / "out.safetensors"))

    return read


def stock(folder: Path) -> dict[str, Attack]:
    """Return what reads the programs as they were read before ``weights_only``, each with its own marker."""
    waiting = ("torch.hub", "torch's distributed", "torch's compiler")
    names = [name for name in programs(folder) if name not in waiting]
    prepared = [(name, programs(folder / f"{MARKER}-{place}")[name]) for place, name in enumerate(names)]
    return {name: _by_torch(folder, zipped(body)) for name, body in prepared}


def _by_torch(folder: Path, content: bytes) -> Attack:
    def read() -> Any:
        (folder / "weights.bin").write_bytes(content)
        return prepare_torch().load(folder / "weights.bin", weights_only=False)

    return read


def warm(folder: Path) -> None:
    """Import what reading and writing tensors imports."""
    import argparse  # noqa: F401
    import codecs

    import safetensors.torch

    codecs.lookup("zlib")  # torch lets text be encoded by any codec of Python's own
    weights._CPU_SECONDS = 2  # so that nobody has to wait for what is only stopped by its time

    torch = prepare_torch()
    torch.set_num_threads(1)
    for old_form in (False, True):
        torch.save({"w": torch.zeros(3)}, folder / "warm.bin", _use_new_zipfile_serialization=not old_form)
        safetensors.torch.save(torch.load(folder / "warm.bin", weights_only=True))
    (folder / "warm.bin").unlink()
