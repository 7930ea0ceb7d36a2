"""Records of `unixipc top`: a file of JSON lines, one for each moment, and one before the first of each run."""

from __future__ import annotations

import json
import math
import os
import stat
from contextlib import contextmanager
from dataclasses import asdict, fields
from typing import IO, TYPE_CHECKING, Any

from unixipc._closing import Closing
from unixipc.cli.objects import Kind
from unixipc.cli.sampling import Moment, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HEAD = json.dumps({"record": "unixipc top", "version": 1})
"""The line before those of a run."""

_DEFAULTS = {field.name: field.default for field in fields(Sample)}
_LISTS = ("values", "waiting", "waiting_for_zero", "users")
_TEXTS = ("kind", "name", "owner")


class RecordError(ValueError):
    """What is no record, or a broken one; its text says why."""


def line(moment: Moment) -> str:
    """Write a moment as one line of JSON, without what objects do not have."""
    samples = [
        {name: value for name, value in asdict(one).items() if value != _DEFAULTS[name]} for one in moment.samples
    ]
    lacking = {"lacking": moment.lacking} if moment.lacking else {}
    return json.dumps({"time": moment.time, "objects": samples} | lacking)


def parsed(text: str | bytes) -> Moment:
    """Read such a line; RecordError for anything else."""
    try:
        found = json.loads(text)
        lacking = tuple(str(reason) for reason in found.get("lacking", ()))
        return Moment(_time(found["time"]), tuple(_sample(row) for row in found["objects"]), lacking)
    except RecordError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise RecordError(f"it is no moment of a record: {type(error).__name__}") from None


def _time(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return value
    raise RecordError(f"its time is {value!r}")


def _sample(row: dict[str, Any]) -> Sample:
    kept = {
        name: value for name, value in row.items() if name in _DEFAULTS and value is not None
    }  # later versions have more
    for name, value in kept.items():
        wanted = str if name in _TEXTS else int
        if not all(type(one) is wanted for one in (value if name in _LISTS else [value])):
            raise RecordError(f"{name} is {value!r}")
    lists = {name: tuple(kept[name]) for name in _LISTS if name in kept}
    return Sample(**kept | lists | {"kind": Kind(kept["kind"])})


class Recorder(Closing):
    """Appends moments to a file, each by one write: what was written stays, however the program ends.

    A file that has something else in it is left alone: RecordError.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        with self._told():
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            with self._told():
                begun = b"\n" * _check(path) if stat.S_ISREG(os.fstat(self._fd).st_mode) else b""
                self._write(begun + HEAD.encode())
        except BaseException:
            os.close(self._fd)
            raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RecordError(f"{self._path}: {error.strerror}") from None

    def _write(self, data: bytes) -> None:
        left = memoryview(data + b"\n")
        while left:  # a disk that is nearly full takes a part first
            left = left[os.write(self._fd, left) :]

    def add(self, moment: Moment) -> None:
        """Append one."""
        with self._told():
            self._write(line(moment).encode())

    def close(self) -> None:
        """End the record."""
        os.close(self._fd)


def _check(path: str) -> bool:
    """Refuse what is no record, and tell whether its last line is not whole: the disk was full, or the power went."""
    with open(path, "rb") as file:  # noqa: PTH123
        if not file.seek(0, os.SEEK_END):
            return False
        file.seek(0)
        _check_head(file, path)
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def _check_head(file: IO[bytes], path: str) -> None:
    head = file.readline(4 * len(HEAD))
    if not head:
        raise RecordError(f"{path} is empty")
    try:
        found = json.loads(head)
        is_record = found["record"] == "unixipc top"
    except (ValueError, TypeError, KeyError, RecursionError):
        is_record = False
    if not is_record:
        raise RecordError(f"{path} is no record of `unixipc top`")
    if found.get("version") != 1:
        raise RecordError(f"{path} is a record of another version of `unixipc top`")


def read(path: str) -> list[list[Moment]]:
    """Read a record: a list for each run. A line that was not finished is left out; RecordError for other defects."""
    with open(path, "rb") as file:  # noqa: PTH123
        _check_head(file, path)
        return _runs(file, path)


def _runs(lines: Iterable[bytes], path: str) -> list[list[Moment]]:
    runs, broken = list[list[Moment]]([[]]), ""
    for number, text in enumerate(lines, start=2):
        if text.rstrip(b"\n") == HEAD.encode():
            runs.append([])
            broken = ""  # what stands before was not finished
        elif broken:
            raise RecordError(broken)
        else:
            try:
                runs[-1].append(parsed(text))
            except RecordError as error:
                broken = f"line {number} of {path} is broken: {error}"
    if broken and text.endswith(b"\n"):
        raise RecordError(broken)
    if not any(runs):
        raise RecordError(f"{path} has no moments in it")
    return [run for run in runs if run]
