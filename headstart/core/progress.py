"""Progress on standard error: a bar with rate and time left for whatever takes over two seconds."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_QUIET_S = 2.0
_LINE_EVERY_S = 10.0


@contextmanager
def progress(total: int, label: str, unit: str) -> Iterator[Callable[[int], None]]:
    """Yield a function that is told how many more are done; told 0, it starts its clock anew.

    A terminal gets a bar that rewrites itself; a log file gets a line every ten seconds.
    """
    state = {"done": 0.0, "shown": 0.0, "start": time.monotonic(), "before": 0.0}
    terminal = sys.stderr.isatty()

    def line() -> str:
        elapsed_s = time.monotonic() - state["start"]
        rate = (state["done"] - state["before"]) / elapsed_s if elapsed_s else 0.0
        return f"{label} {_bar(int(state['done']), total, rate, unit)}"

    def advance(count: int) -> None:
        if count == 0:
            state["start"], state["before"], state["shown"] = time.monotonic(), state["done"], 0.0
        state["done"] += count
        elapsed_s = time.monotonic() - state["start"]
        pause_s = 0.1 if terminal else _LINE_EVERY_S
        if elapsed_s > _QUIET_S and elapsed_s - state["shown"] >= pause_s:
            state["shown"] = elapsed_s
            _show(line(), terminal)

    yield advance
    if terminal and state["shown"]:
        _show(f"{line()}\n", terminal)


def _bar(done: int, total: int, rate: float, unit: str) -> str:
    share = done / total if total else 1.0
    left_s = (total - done) / rate if rate else 0.0
    filled = min(round(24 * share), 24)
    bar = "━" * filled + "╌" * (24 - filled)
    return f"{bar} {done:,}/{total:,} {unit} · {rate:,.1f}/s · {left_s:,.0f} s left"


def _show(line: str, terminal: bool) -> None:
    sys.stderr.write(f"\r\x1b[K{line}" if terminal else f"{line}\n")
    sys.stderr.flush()
