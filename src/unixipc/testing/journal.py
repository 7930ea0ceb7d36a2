"""Records that a child writes as it goes, for its parent to read when the child has ended, however it ended."""

from __future__ import annotations

import io
import os
import pickle
from typing import TYPE_CHECKING, Any

from unixipc._closing import Closing

if TYPE_CHECKING:
    from collections.abc import Iterator


class Journal(Closing):
    """A file in memory that outlives its writer: nothing has to be read while the child runs, or else it would wait.

    Records are tuples of plain data (numbers, texts, lists, tuples, dictionaries). What else they hold goes as text.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("journal")
        self._identity = self._look()

    def _look(self) -> tuple[int, int]:
        status = os.fstat(self._fd)
        return status.st_dev, status.st_ino

    def write(self, *record: object) -> None:
        """Append a record; ValueError where somebody has closed the descriptor, which may be another file's by now."""
        try:
            lost = self._look() != self._identity
        except OSError:
            lost = True
        if lost:
            raise ValueError("the test has closed a descriptor that it did not open: its results went through it")
        memory = io.BytesIO()
        _PlainPickler(memory).dump(record)
        rest = memory.getbuffer()
        while rest:
            rest = rest[os.write(self._fd, rest) :]

    def read(self) -> Iterator[tuple[Any, ...]]:
        """Give the records from the first on; one that was being written when the writer died is none."""
        with os.fdopen(os.dup(self._fd), "rb") as file:
            file.seek(0)
            while True:
                try:
                    yield pickle.load(file)  # noqa: S301 - plain data only
                except (EOFError, pickle.UnpicklingError):
                    return

    def close(self) -> None:
        """Forget the records."""
        os.close(self._fd)


class _PlainPickler(pickle.Pickler):
    def reducer_override(self, thing: object) -> Any:
        if thing is str:
            return NotImplemented
        try:
            return str, (str(thing),)
        except Exception:  # noqa: BLE001 - somebody else's __str__
            return str, (object.__repr__(thing),)
