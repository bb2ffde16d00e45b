"""The feature store loses nothing, returns nothing wrong, and breaks no reader."""

import hashlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
import pytest

from headstart.core.errors import MachineError, UserError
from headstart.core.segment import DigestIndex, Floats, Ints, pack_digests
from headstart.core.store import Store
from headstart.core.table import Table

ROOT = Path(__file__).resolve().parents[2]
KEY = "0123456789abcdef"
COLUMNS = (("early", 0, 24), ("late", 24, 64))
WIDTH = 64


def digest(number: int) -> bytes:
    return hashlib.sha256(str(number).encode()).digest()


def features(numbers: list[int], width: int = WIDTH) -> Floats:
    """Rows that follow from their digests, so that any wrong byte shows."""
    rows = [np.random.default_rng(number).standard_normal(width, dtype=np.float32) for number in numbers]
    return np.stack(rows) if rows else np.empty((0, width), dtype=np.float32)


def append(table: Table, numbers: list[int]) -> None:
    table.append([digest(number) for number in numbers], features(numbers))


def present(table: Table, numbers: list[int]) -> list[int]:
    """Return which of the numbers are found, after checking that those are right to the bit."""
    rows = table.find([digest(number) for number in numbers])
    found = [number for number, row in zip(numbers, rows, strict=True) if row >= 0]
    np.testing.assert_array_equal(table.read(rows[rows >= 0]), features(found))
    return found


def segments(table: Table) -> list[Path]:
    return sorted(table.folder.glob("*.seg"))


PRELUDE = """
import hashlib, os, sys
from pathlib import Path
import numpy as np
from headstart.core.errors import MachineError
from headstart.core.store import Store
from tests.core.test_store import COLUMNS, KEY, append, digest, features, present
store = Store(Path(sys.argv[1]), 10**12)
"""


def child(code: str, root: Path) -> subprocess.Popen[str]:
    """Start another process on the same store."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PRELUDE + code, str(root)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def output_of(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    return output


@contextmanager
def holding(root: Path, key: str) -> Iterator[None]:
    """Have another process hold a table open meanwhile."""
    process = child(f"table = store.table({key!r})\nprint('open', flush=True)\nsys.stdin.read()", root)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    yield
    output_of(process)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "features", cap_bytes=10**9)


@pytest.fixture
def table(store: Store) -> Iterator[Table]:
    with store.create(KEY, COLUMNS, {"base": "pack:tiny", "size": 224}) as table:
        yield table


def reopened(store: Store) -> Table:
    table = store.table(KEY)
    assert table is not None
    return table


class TestTable:
    def test_round_trip_through_a_second_opening(self, store: Store, table: Table) -> None:
        for first in (0, 100, 200):
            append(table, list(range(first, first + 100)))
        assert present(table, list(range(300))) == list(range(300))
        with reopened(store) as again:
            assert (again.columns, again.width, again.about) == (COLUMNS, WIDTH, table.about)
            assert present(again, list(range(299, -1, -1))) == list(range(299, -1, -1))
            assert again.repairs == []

    def test_absent_and_duplicate_digests(self, store: Store, table: Table) -> None:
        append(table, [1, 2, 2])
        append(table, [2, 3])
        found = table.find([digest(n) for n in (3, 9, 2, 2, 1)])
        assert (found >= 0).tolist() == [True, False, True, True, True]
        assert found[2] == found[3]
        with reopened(store) as again:
            assert present(again, [3, 9, 2, 2, 1]) == [3, 2, 2, 1]
            assert again.find([]).shape == (0,)

    def test_row_numbers_stay_valid_as_the_table_grows(self, table: Table) -> None:
        append(table, [1, 2, 3])
        rows = table.find([digest(2)])
        for number in range(10, 40):
            append(table, [number])
        np.testing.assert_array_equal(table.read(rows), features([2]))

    def test_refresh_takes_in_what_others_appended(self, store: Store, table: Table) -> None:
        append(table, [4])
        with reopened(store) as other:
            append(other, [5])
        assert present(table, [4, 5]) == [4]
        table.refresh()
        assert present(table, [4, 5]) == [4, 5]

    @pytest.mark.parametrize(
        "columns",
        [
            None,
            slice(24, 64),
            slice(None),
            slice(0, 60, 7),
            slice(5, 5),
            np.array([63, 0, 7, 7, -1]),
            np.arange(3, 9),
            np.array([], dtype=np.int64),
        ],
        ids=repr,
    )
    def test_columns_are_those_of_numpy(self, table: Table, columns: slice | Ints | None) -> None:
        numbers = list(range(200))
        append(table, numbers[:120])
        append(table, numbers[120:])
        rows = table.find([digest(number) for number in numbers])
        order = np.random.default_rng(0).integers(0, 200, 500)
        wanted = slice(None) if columns is None else columns
        expected = features(numbers)[order][:, wanted]
        np.testing.assert_array_equal(table.read(rows[order], columns), expected)
        out = np.full(expected.shape, np.nan, dtype=np.float32)
        assert table.read(rows[order], columns, out) is out
        np.testing.assert_array_equal(out, expected)

    def test_picked_columns_of_more_rows_than_one_block(
        self, table: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("headstart.core.table._SCRATCH_BYTES", 7 * 4 * WIDTH)
        append(table, list(range(50)))
        rows = table.find([digest(number) for number in range(50)])
        np.testing.assert_array_equal(
            table.read(rows, np.array([63, 0])), features(list(range(50)))[:, [63, 0]]
        )

    def test_notes_come_back_with_their_rows(self, store: Store, table: Table) -> None:
        notes = [(), ("cut to 512 tokens", "größer"), ()]
        table.append([digest(n) for n in (1, 2, 3)], features([1, 2, 3]), notes)
        append(table, [4])
        with reopened(store) as again:
            assert again.notes(again.find([digest(n) for n in (4, 2, 1)])) == [(), notes[1], ()]

    def test_digests_that_end_in_zeros_differ(self, table: Table) -> None:
        digests = [bytes(32), b"\1" + bytes(31), bytes(31) + b"\1", b"\xff" * 32]
        table.append(digests, features([0, 1, 2, 3]))
        np.testing.assert_array_equal(table.read(table.find(digests[::-1])), features([3, 2, 1, 0]))

    def test_wrong_calls_are_refused(self, table: Table) -> None:
        bad = features([1, 2, 3])
        bad[1, 5] = np.inf
        with pytest.raises(ValueError, match="row 1 has a feature that is not finite"):
            table.append([digest(n) for n in (1, 2, 3)], bad)
        with pytest.raises(ValueError, match="31 bytes"):
            table.append([bytes(31)], features([1]))
        with pytest.raises(ValueError, match="expected float32"):
            table.append([digest(1)], features([1, 2]))
        with pytest.raises(ValueError, match="1 notes for 2 rows"):
            table.append([digest(1), digest(2)], features([1, 2]), [()])
        assert segments(table) == []
        append(table, [1])
        with pytest.raises(IndexError, match="not given out"):
            table.read(np.array([0]))
        rows = table.find([digest(1), digest(2)])
        with pytest.raises(IndexError):
            table.read(rows)
        with pytest.raises(IndexError):
            table.read(rows[:1], np.array([WIDTH]))
        with pytest.raises(ValueError, match="C-contiguous"):
            table.read(rows[:1], out=np.empty((1, WIDTH), dtype=np.float64))  # type: ignore[arg-type]

    def test_a_closed_table_refuses(self, table: Table) -> None:
        table.close()
        table.close()
        with pytest.raises(ValueError, match="closed"):
            table.find([digest(1)])

    def test_index_equals_a_dictionary(self) -> None:
        generator, index, truth = np.random.default_rng(3), DigestIndex(), dict[bytes, int]()
        for start in range(0, 3000, 100):
            batch = [digest(int(number)) for number in generator.integers(0, 2000, 100)]
            index.add(pack_digests(batch), np.arange(start, start + 100))
            for row, one in enumerate(batch, start):
                truth.setdefault(one, row)
        asked = [digest(number) for number in range(2500)]
        assert index.find(pack_digests(asked)).tolist() == [truth.get(one, -1) for one in asked]


class TestStore:
    def test_create_is_idempotent_and_columns_are_fixed(self, store: Store, table: Table) -> None:
        append(table, [1])
        with store.create(KEY, COLUMNS, {"base": "other"}) as again:
            assert again.about == {"base": "pack:tiny", "size": 224}
            assert present(again, [1]) == [1]
        with pytest.raises(ValueError, match="has columns"):
            store.create(KEY, [("early", 0, 64)], {})

    def test_absent_tables_and_wrong_keys(self, store: Store) -> None:
        assert store.table(KEY) is None
        assert not store.root.exists()
        for key in ("../../etc", "ABCDEF0123", "ab"):
            with pytest.raises(ValueError, match="hexadecimal"):
                store.table(key)

    def test_default_follows_the_environment(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HEADSTART_HOME", str(tmp_path))
        monkeypatch.delenv("HEADSTART_CACHE_GB", raising=False)
        assert (Store.default().root, Store.default().cap_bytes) == (tmp_path / "features", 20 * 10**9)
        monkeypatch.setenv("HEADSTART_CACHE_GB", "0.5")
        assert Store.default().cap_bytes == 5 * 10**8
        for wrong in ("lots", "-1", "nan", "inf", ""):
            monkeypatch.setenv("HEADSTART_CACHE_GB", wrong)
            with pytest.raises(UserError, match="number of gigabytes"):
                Store.default()

    def test_usage_and_least_recently_used_first(self, store: Store) -> None:
        keys = [f"{number:016x}" for number in range(3)]
        for age, key in zip((300, 100, 200), keys, strict=True):
            with store.create(key, COLUMNS, {"n": key}) as table:
                append(table, list(range(100)))
            then = time.time() - age
            os.utime(table.folder / "lock", (then, then))
        usage = store.usage()
        assert [table.key for table in usage] == [keys[0], keys[2], keys[1]]
        assert [table.rows for table in usage] == [100, 100, 100]
        assert usage[0].about == {"n": keys[0]}
        assert usage[0].bytes == sum(path.stat().st_size for path in (store.root / keys[0]).iterdir())
        assert abs(usage[2].last_used - (time.time() - 100)) < 5
        assert store.prune(usage[1].bytes + usage[2].bytes) == usage[:1]
        assert store.enforce_cap() == []
        with store.create(keys[2], COLUMNS, {}):
            pass
        assert [table.key for table in store.prune(usage[1].bytes)] == [keys[1]]
        assert store.prune(0)[0].key == keys[2]
        assert list(store.root.iterdir()) == []

    def test_prune_skips_a_table_in_use(self, store: Store) -> None:
        for key in ("a" * 16, "b" * 16):
            with store.create(key, COLUMNS, {}) as table:
                append(table, [1, 2])
        with holding(store.root, "a" * 16):
            assert [table.key for table in store.prune(0)] == ["b" * 16]
            assert (store.root / ("a" * 16)).is_dir()
        assert [table.key for table in store.prune(0)] == ["a" * 16]

    def test_a_table_pruned_while_it_is_being_opened_is_made_again(
        self, store: Store, table: Table, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        table.close()

        def pruned_by_another(lock: IO[bytes]) -> bool:
            monkeypatch.undo()
            assert len(store.prune(0)) == 1
            return False

        monkeypatch.setattr("headstart.core.store._try_exclusive", pruned_by_another)
        with store.create(KEY, COLUMNS, {}) as again:
            append(again, [1])
            assert store.prune(0) == []
            assert present(again, [1]) == [1]

    def test_pruning_races_with_opening(self, store: Store) -> None:
        loop = """
for number in range(60):
    with store.create(KEY, COLUMNS, {}) as table:
        append(table, [number])
        assert present(table, [number]) == [number]
"""
        pruner = "for _ in range(600): store.prune(0)\n"
        processes = [child(code, store.root) for code in (loop, loop, pruner)]
        for process in processes:
            output_of(process)


class TestManyProcesses:
    def test_two_writers_lose_nothing(self, store: Store, table: Table) -> None:
        loop = """
table = store.create(KEY, COLUMNS, {})
for number in range(FIRST, FIRST + 400, 4):
    append(table, list(range(number, number + 4)))
    table.refresh()
table.close()
"""
        for process in [child(loop.replace("FIRST", str(first)), store.root) for first in (0, 200)]:
            output_of(process)
        table.refresh()
        assert present(table, list(range(601))) == list(range(600))
        assert (len(segments(table)), table.repairs) == (200, [])

    def test_kill_9_at_random_instants_loses_nothing_acknowledged(self, store: Store) -> None:
        script = """
import random, signal, time
random.seed(0)
def write(first, pipe):
    table = store.create(KEY, [("a", 0, 4096)], {})
    for number in range(first, first + 10**6, 16):
        numbers = list(range(number, number + 16))
        rows = np.repeat(np.array(numbers, np.float32)[:, None], 4096, axis=1)
        table.append([digest(one) for one in numbers], rows)
        os.write(pipe, b"%d\\n" % number)
acknowledged, leftovers = [], 0
for trial in range(30):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        write(trial * 10**6, writer)
    os.close(writer)
    time.sleep(random.uniform(0.001, 0.06))
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as pipe:
        acknowledged += [int(line) + k for line in pipe.read().split() for k in range(16)]
    leftovers += len(list((store.root / KEY).glob(".partial-*")))
    with store.create(KEY, [("a", 0, 4096)], {}) as table:
        rows = table.find([digest(number) for number in acknowledged])
        assert (rows >= 0).all() and not table.repairs, (rows, table.repairs)
        read = table.read(rows)
        assert (read == np.array(acknowledged, np.float32)[:, None]).all()
        assert not list(table.folder.glob(".partial-*"))
print(len(acknowledged), leftovers)
"""
        acknowledged, leftovers = map(int, output_of(child(script, store.root)).split())
        assert acknowledged > 100
        assert leftovers > 0, "no kill met a write: the test shows nothing"

    def test_leftovers_go_and_live_writers_stay(self, store: Store, table: Table) -> None:
        fresh, old = table.folder / ".partial-fresh", table.folder / ".partial-old"
        for path in (fresh, old):
            path.write_bytes(b"half")
        os.utime(old, (1, 1))
        live = child(
            """
import fcntl
file = open(store.root / KEY / ".partial-live", "wb")
fcntl.flock(file, fcntl.LOCK_EX)
os.utime(file.fileno(), (1, 1))
print("open", flush=True)
sys.stdin.read()
file.close()
""",
            store.root,
        )
        assert live.stdout is not None
        assert live.stdout.readline() == "open\n"
        reopened(store).close()
        assert sorted(path.name for path in table.folder.glob(".partial-*")) == [
            ".partial-fresh",
            ".partial-live",
        ]
        output_of(live)
        table.close()
        reopened(store).close()
        assert list(table.folder.glob(".partial-*")) == []


class TestDamage:
    """Damage of any kind makes rows absent, never wrong, and is said."""

    def damaged(self, store: Store, change: Callable[[bytes], bytes], numbers: list[int]) -> list[str]:
        """Apply ``change`` to the first segment; assert that its rows are absent and mended by appending."""
        with reopened(store) as table:
            (victim,) = (path for path in segments(table) if path.name != self.other)
        content = victim.read_bytes()
        victim.write_bytes(change(content))
        with reopened(store) as table:
            rest = present(table, [*numbers, 1000, 1001])
            repairs = list(table.repairs)
            if repairs:
                assert rest == [1000, 1001]
                assert not victim.exists()
                append(table, numbers)
                assert present(table, numbers) == numbers
                segments_now = [path for path in segments(table) if path.name != self.other]
                segments_now[0].unlink()
            else:
                assert rest == [*numbers, 1000, 1001]
        victim.write_bytes(content)
        return repairs

    @pytest.fixture
    def numbers(self, store: Store) -> list[int]:
        numbers = list(range(20))
        with store.create(KEY, COLUMNS, {}) as table:
            append(table, [1000, 1001])
            self.other = segments(table)[0].name
            table.append([digest(n) for n in numbers], features(numbers), [("scaled",)] + [()] * 19)
        return numbers

    def test_every_kind_of_truncation(self, store: Store, numbers: list[int]) -> None:
        with reopened(store) as table:
            size = max(path.stat().st_size for path in segments(table))
        lengths = {*range(0, 30), *range(30, size, 97), size - 1, size - 4, size - 4 * WIDTH}
        for length in sorted(lengths):
            repairs = self.damaged(store, lambda content, length=length: content[:length], numbers)
            assert len(repairs) == 1, length
        for extra in (1, 4, 4 * WIDTH):
            assert self.damaged(store, lambda content, extra=extra: content + bytes(extra), numbers)

    def test_bit_flips(self, store: Store, numbers: list[int]) -> None:
        generator = np.random.default_rng(0)

        def flip(content: bytes) -> bytes:
            # Half of the flips in the first tenth, where the header is.
            reach = len(content) if generator.random() < 0.5 else len(content) // 10
            changed = bytearray(content)
            changed[generator.integers(reach)] ^= 1 << int(generator.integers(8))
            return bytes(changed)

        for trial in range(200):
            assert len(self.damaged(store, flip, numbers)) == 1, trial

    def test_rows_swapped_between_segments_of_one_size(self, store: Store, numbers: list[int]) -> None:
        def shift(content: bytes) -> bytes:
            return content[: -4 * WIDTH * 2] + content[-4 * WIDTH :] + content[-4 * WIDTH * 2 : -4 * WIDTH]

        assert self.damaged(store, shift, numbers)

    def test_a_second_copy_is_found_where_the_first_is_damaged(self, store: Store, table: Table) -> None:
        append(table, [1, 2])
        append(table, [2, 3])
        table.close()
        for path in segments(table):
            content = path.read_bytes()
            path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
            with reopened(store) as again:
                kept = present(again, [1, 2, 3])
                assert len(again.repairs) == 1
            assert kept in ([1, 2], [2, 3])
            path.write_bytes(content)

    def test_a_file_that_shrinks_in_use_is_an_error_not_a_signal(self, table: Table) -> None:
        append(table, [1, 2, 3])
        rows = table.find([digest(n) for n in (1, 2, 3)])
        os.truncate(segments(table)[0], 300)
        with pytest.raises(MachineError, match="changed while it was in use"):
            table.read(rows)

    def test_a_damaged_description_is_written_anew(self, store: Store, table: Table) -> None:
        append(table, [1])
        path = table.folder / "table.json"
        table.close()
        text = path.read_text()
        for wrong in ("", "{", "[]", "null", re.sub(r"\b24\b", "23", text), text.replace("224", "225")):
            path.write_text(wrong)
            assert store.table(KEY) is None
            with store.create(KEY, COLUMNS, {"base": "pack:tiny", "size": 224}) as again:
                assert "table.json: it was damaged" in again.repairs[0]
                assert present(again, [1]) == [1]
            assert path.read_text() == text


class TestRefusals:
    def test_full_disk(self, store: Store, table: Table) -> None:
        append(table, [1, 2])
        script = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
with store.table(KEY) as table:
    try:
        append(table, list(range(100, 300)))
    except MachineError as error:
        print(error)
    assert present(table, [1, 2, 100]) == [1, 2]
    append(table, [3])
    assert present(table, [1, 2, 3]) == [1, 2, 3]
"""
        said = output_of(child(script, store.root))
        assert re.search(rf"{KEY}/[0-9a-f]+\.seg' failed: file too large \([\d,]+ bytes needed\)", said), said
        assert sorted({path.suffix for path in table.folder.iterdir()}) == ["", ".json", ".seg"]
        with reopened(store) as again:
            assert (present(again, [1, 2, 3, 100]), again.repairs) == ([1, 2, 3], [])

    def test_a_root_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(MachineError, match="Opening the feature table"):
            Store(tmp_path / "file" / "features", 0).create(KEY, COLUMNS, {})

    @pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
    def test_no_permission(self, store: Store, table: Table) -> None:
        table.folder.chmod(0o500)
        with pytest.raises(MachineError, match="permission denied"):
            append(table, [1])
        table.folder.chmod(0o700)


def test_memory_stays_flat_while_streaming(store: Store) -> None:
    script = """
import resource
count = COUNT
with store.create(f"{count:016x}", [("a", 0, 4096)], {}) as table:
    block = np.random.default_rng(0).standard_normal((512, 4096), dtype=np.float32)
    for number in range(count):
        table.append([digest(number * 512 + k) for k in range(512)], block + number)
    for number in range(count):
        rows = table.find([digest(number * 512 + k) for k in range(512)])
        assert (table.read(rows) == block + number).all()
        assert (table.read(rows, np.arange(0, 4096, 5)) == (block + number)[:, ::5]).all()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    peaks_kib = []
    for megabytes in (64, 512):
        peaks_kib.append(int(output_of(child(script.replace("COUNT", str(megabytes // 8)), store.root))))
        store.prune(0)
    assert peaks_kib[1] - peaks_kib[0] < 40 * 1024, peaks_kib


def test_importing_costs_no_framework() -> None:
    code = (
        "import sys, headstart.core.store; print([m for m in ('torch', 'scipy', 'PIL') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert said == "[]\n"
