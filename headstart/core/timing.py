"""Seconds by stage, kept for the record and appended to the run's log as they pass."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headstart.core.errors import machine_error


class Stages:
    """Times named stages and writes each to ``log.jsonl`` when it ends."""

    def __init__(self, log: Path) -> None:
        self._log, self._start = log, time.perf_counter()
        self._seconds: dict[str, float] = {}

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Time one stage."""
        start = time.perf_counter()
        yield
        self._seconds[stage] = round(time.perf_counter() - start, 3)
        line = {
            "at_s": round(time.perf_counter() - self._start, 3),
            "stage": stage,
            "seconds": self._seconds[stage],
        }
        text = json.dumps(line) + "\n"
        try:
            with self._log.open("a") as file:
                file.write(text)
        except OSError as error:
            error.filename = str(self._log)
            raise machine_error(error, "Writing", len(text)) from error

    def seconds(self) -> dict[str, float]:
        """Return seconds by stage, and ``total`` since the beginning."""
        return {**self._seconds, "total": round(time.perf_counter() - self._start, 3)}
