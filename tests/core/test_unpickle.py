"""A pickle is a program: none of these runs, none of them corrupts memory, and plain arrays still load."""

import pickle
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from headstart.core.errors import UserError
from headstart.core.unpickle import load_arrays

ROOT = Path(__file__).resolve().parents[2]


def text(value: str) -> bytes:
    """Push a string."""
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def named(module: str, name: str) -> bytes:
    """Push what protocol 4 finds by module and (perhaps dotted) name."""
    return text(module) + text(name) + b"\x93"


def called(function: bytes, *arguments: bytes) -> bytes:
    """Push the result of a call."""
    return function + b"(" + b"".join(arguments) + b"tR"


def program(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


def old(module: str, name: str) -> bytes:
    """Push what protocols 0 to 3 find."""
    return f"c{module}\n{name}\n".encode()


Make = Callable[[Path], bytes]
"""From the marker file that must not appear to a pickle that makes it."""


def touch(marker: Path) -> bytes:
    return text(f"touch {marker}")


def write(marker: Path) -> bytes:
    return text(f"open({str(marker)!r}, 'w').close()")


RUN: dict[str, Make] = {
    "os.system": lambda m: old("os", "system") + b"(" + touch(m) + b"tR.",
    "posix.system": lambda m: old("posix", "system") + b"(" + touch(m) + b"tR.",
    "os.system, protocol 4": lambda m: program(called(named("os", "system"), touch(m))),
    "os.system as an instance": lambda m: b"(" + touch(m) + b"ios\nsystem\n.",
    "os.system as an object": lambda m: b"(" + old("os", "system") + touch(m) + b"o.",
    "os.popen": lambda m: program(called(named("os", "popen"), touch(m)) + text("read") + b"\x86"),
    "eval": lambda m: old("builtins", "eval") + b"(" + write(m) + b"tR.",
    "exec": lambda m: program(called(named("builtins", "exec"), write(m))),
    "Python 2's eval": lambda m: old("__builtin__", "eval") + b"(" + write(m) + b"tR.",
    "open": lambda m: program(called(named("builtins", "open"), text(str(m)), text("w"))),
    "io.open": lambda m: program(called(named("io", "open"), text(str(m)), text("w"))),
    "pathlib": lambda m: program(
        called(named("pathlib", "Path.touch"), called(named("pathlib", "Path"), text(str(m))))
    ),
    "subprocess": lambda m: program(called(named("subprocess", "getoutput"), touch(m))),
    "getattr of an imported module": lambda m: program(
        called(
            called(
                named("builtins", "getattr"),
                called(named("builtins", "__import__"), text("os")),
                text("system"),
            ),
            touch(m),
        )
    ),
    "functools.partial": lambda m: program(
        called(called(named("functools", "partial"), named("os", "system"), touch(m)), b"")
    ),
    "operator.methodcaller": lambda m: program(
        called(
            called(named("operator", "methodcaller"), text("system"), touch(m)),
            called(named("importlib", "import_module"), text("os")),
        )
    ),
    # As what goes before: the statement itself would run a million times.
    "timeit": lambda m: program(called(named("timeit", "timeit"), text("pass"), write(m))),
    "codeop": lambda m: program(
        called(named("builtins", "exec"), called(named("codeop", "compile_command"), write(m)))
    ),
    "numpy, a dotted walk to os": lambda m: program(
        called(named("numpy", "ctypeslib._ctypeslib.os.system"), touch(m))
    ),
    "numpy.core.multiarray, a dotted walk": lambda m: program(
        called(
            named("numpy._core.multiarray", "overrides.functools.partial"), named("os", "system"), touch(m)
        )
        + b"(tR"
    ),
    "numpy, its own loader": lambda m: program(called(named("numpy", "save"), text(f"{m}.npy"), b"K\x01")),
    "an array's own methods": lambda m: program(
        called(
            named("numpy", "ndarray.tofile"),
            called(named("numpy", "ndarray"), b"(K\x01t"),
            text(str(m)),
        )
    ),
    "numpy.memmap": lambda m: program(
        called(named("numpy", "memmap"), text(str(m)), text("u1"), text("w+"), b"K\x00", b"K\x08")
    ),
    "numpy.testing": lambda m: program(called(named("numpy.testing", "rundocs.__globals__"), write(m))),
    "dict items set on a called object": lambda m: program(
        b"}" + text("a") + called(named("os", "system"), touch(m)) + b"s"
    ),
    "inside a list, after an array": lambda m: program(b"]" + called(named("os", "system"), touch(m)) + b"a"),
    "under a memo": lambda m: program(named("os", "system") + b"\x94" + touch(m) + b"\x85R"),
    "copyreg": lambda m: program(
        called(
            named("copyreg", "_reconstructor"), named("builtins", "object"), named("builtins", "object"), b"N"
        )
        + b"0"
        + called(named("os", "system"), touch(m))
    ),
}

REFUSED: dict[str, bytes] = {
    "another encoding": program(called(named("_codecs", "encode"), text("x"), text("rot13"))),
    "decoding": program(called(named("_codecs", "decode"), text("x"), text("unicode_escape"))),
    "encoding by a dotted name": program(named("_codecs", "encode.__class__")),
    "numpy.load": program(called(named("numpy", "load"), text("x"))),
    "numpy.fromfile": program(called(named("numpy", "fromfile"), text("/etc/passwd"))),
    "numpy.fromstring": program(named("numpy", "fromstring")),
    "numpy.void": program(named("numpy", "void")),
    "numpy.dtype.type": program(named("numpy", "dtype.type")),
    "numpy's globals": program(named("numpy", "__builtins__")),
    "a class's base": program(named("numpy", "ndarray.__base__.__subclasses__")),
    "unpickler itself": program(named("headstart.core.unpickle", "load_arrays")),
    "an extension code": b"\x80\x02\x82\x01.",
    "a persistent id": b"P1\n.",
    "cut short": pickle.dumps(np.arange(9))[:-4],
    "nothing": b"",
    "no pickle": b"PK\x03\x04 something else",
    "a protocol to come": b"\x80\x7f.",
    "a huge string": b"\x80\x04B\xff\xff\xff\x7f",
    "a huge frame": b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\x7fN.",
}

_ARRAY = named("numpy", "ndarray")
_KIND = named("numpy", "dtype")
_POINTERS = b"C\x10" + b"A" * 16
_EMPTY = called(named("numpy._core.multiarray", "_reconstruct"), _ARRAY, b"(K\x00t", b"C\x01b")

CONFUSED: dict[str, bytes] = {
    # Each of these makes NumPy take the pickle's bytes for pointers to objects, or for lengths.
    "objects out of a buffer": program(
        called(_ARRAY, b"(K\x02t", called(_KIND, text("O")), _POINTERS)
    ),
    "a field of objects that the flags deny": program(
        _EMPTY
        + b"(K\x01(K\x02t"
        + called(_KIND, text("V8"), b"\x89", b"\x88")
        + b"(K\x03" + text("|") + b"N(" + text("a") + b"t}" + text("a")
        + b"(" + called(_KIND, text("O")) + b"K\x00ts" + b"K\x08K\x01K\x00tb"
        + b"\x89" + _POINTERS + b"tb"
    ),
    "an item of negative length": program(
        _EMPTY
        + b"(K\x01(K\x02t"
        + called(_KIND, text("S4"), b"\x89", b"\x88")
        + b"(K\x03" + text("|") + b"NNNJ\xf8\xff\xff\xffK\x01K\x00tb"
        + b"\x89" + _POINTERS + b"tb"
    ),
    "objects": program(called(_KIND, text("O"))),
    "memory that is not there": program(called(_ARRAY, b"(\x8a\x06\xff\xff\xff\xff\xff\x7ft")),
}  # fmt: skip


def loads_with_pickle(content: bytes) -> None:
    try:
        pickle.loads(content)
    except Exception as error:
        print(f"stock pickle: {error!r}")


@pytest.mark.parametrize("name", RUN)
def test_nothing_that_is_named_runs(name: str, tmp_path: Path) -> None:
    marker = tmp_path / "ran"
    path = tmp_path / "poison.pkl"
    path.write_bytes(RUN[name](marker))
    with pytest.raises(UserError, match="is not a pickle of arrays alone") as told:
        load_arrays(path)
    assert str(path) in str(told.value)
    assert sorted(tmp_path.iterdir()) == [path]


def test_the_poisons_are_poisonous(tmp_path: Path) -> None:
    """With Python's own unpickler nearly all of them run: the test above proves something."""
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.core.test_unpickle import RUN, loads_with_pickle\n"
        "for place, make in enumerate(RUN.values()):\n"
        "    loads_with_pickle(make(Path(sys.argv[1]) / str(place)))\n"
    )
    subprocess.run([sys.executable, "-W", "ignore", "-c", code, tmp_path], cwd=ROOT, check=True, timeout=60)
    assert len(list(tmp_path.iterdir())) >= 20


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.timeout(20)
def test_what_is_no_array_is_one_sentence(name: str, tmp_path: Path) -> None:
    path = tmp_path / "refused.pkl"
    path.write_bytes(REFUSED[name])
    with pytest.raises(UserError, match=r"refused\.pkl"):
        load_arrays(path)


UNDER_O = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
from headstart.core.errors import UserError
from headstart.core.unpickle import load_arrays
from tests.core.test_unpickle import CONFUSED, REFUSED, RUN
if __debug__:
    sys.exit("not run with -O")
folder, kept = Path(sys.argv[1]), []
marker, path = folder / "ran", folder / "poison.pkl"
import codecs, encodings.latin_1
loud = []
def listen(event, arguments):
    if event.split(".")[0] in ("os", "subprocess", "exec", "compile", "ctypes", "import", "socket"):
        loud.append((event, arguments))
sys.addaudithook(listen)
run = [(name, make(marker)) for name, make in RUN.items()]
for name, content in [*run, *REFUSED.items(), *CONFUSED.items()]:
    path.write_bytes(content)
    loud.clear()
    try:
        found = load_arrays(path)
    except UserError:
        if loud:
            sys.exit(f"{name}: {loud}")
    else:
        sys.exit(f"{name}: loaded")
    if marker.exists():
        sys.exit(f"{name}: ran")
"""


def test_the_same_without_assertions(tmp_path: Path) -> None:
    words = [sys.executable, "-O", "-c", UNDER_O, str(tmp_path)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-500:]


@pytest.mark.parametrize("name", CONFUSED)
def test_bytes_are_never_taken_for_pointers(name: str, tmp_path: Path) -> None:
    path = tmp_path / "confused.pkl"
    path.write_bytes(CONFUSED[name])
    code = (
        "import sys\nfrom pathlib import Path\nfrom headstart.core.errors import UserError\n"
        "from headstart.core.unpickle import load_arrays\n"
        "try:\n    found = load_arrays(Path(sys.argv[1]))\nexcept UserError:\n    print('refused')\n"
        "else:\n    print(repr(found))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, path], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (0, "refused\n"), done.stderr[-300:]


@pytest.mark.parametrize(
    "content", [b"\x80\x04Nr\xff\xff\xff\x7f.", b"\x80\x04" + b"]" * 10**5 + b"a" * 99_999 + b"."]
)
@pytest.mark.timeout(20)
def test_a_huge_memo_and_a_bottomless_list_are_survived(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.pkl"
    path.write_bytes(content)
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom headstart.core.errors import UserError\n"
        "from headstart.core.unpickle import load_arrays\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        "try:\n    load_arrays(Path(sys.argv[1]))\nexcept UserError:\n    pass\n"
    )
    subprocess.run([sys.executable, "-c", code, path], cwd=ROOT, check=True)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    "array",
    [
        *(np.arange(12).reshape(3, 4).astype(kind) for kind in ("u1", "i8", "<f4", ">f4", "f8", "?", "c8")),
        *(np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(10)[::2]),
        *(np.array(["a", "bcd"]), np.array([b"a", b"bcd"]), np.float32([[[1]]]), np.array(3.5)),
    ],
    ids=lambda array: f"{array.dtype.str}{array.shape}",
)
def test_real_arrays_load(array: Any, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps({"a": [array, (1, 2.5, None, True, "text", b"bytes")]}, protocol))
    found = load_arrays(path)
    (inner,) = [found[key] for key in found]
    assert np.asarray(inner[0]).dtype.newbyteorder("=") == array.dtype.newbyteorder("=")
    np.testing.assert_array_equal(inner[0], array)
    assert inner[1][:4] == (1, 2.5, None, True)


def test_an_array_may_be_used_twice(tmp_path: Path) -> None:
    array = np.arange(4)
    path = tmp_path / "arrays.pkl"
    path.write_bytes(pickle.dumps([array, array, array.dtype.str]))
    first, second, _ = load_arrays(path)
    np.testing.assert_array_equal(first, second)


def test_pickles_of_python_2_load(tmp_path: Path) -> None:
    """As CIFAR-10 was written: protocol 2, byte strings, numpy.core."""
    raw = np.arange(6, dtype=np.uint8)
    content = (
        b"\x80\x02}q\x01(U\x04dataq\x02cnumpy.core.multiarray\n_reconstruct\nq\x03cnumpy\nndarray\nq\x04K\x00\x85"
        b"U\x01b\x87Rq\x05(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x06U\x02u1K\x00K\x01\x87Rq\x07(K\x03U\x01|NNNJ\xff\xff"
        b"\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x06"
        + raw.tobytes()
        + b"tbU\x06labelsq\x08]q\x09(K\x01K\x02eu."
    )
    path = tmp_path / "batch"
    path.write_bytes(content)
    found = load_arrays(path)
    np.testing.assert_array_equal(found[b"data"], raw.reshape(2, 3))
    assert found[b"labels"] == [1, 2]
