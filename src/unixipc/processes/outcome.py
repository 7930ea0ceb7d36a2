"""What a child hands back to its parent: a value, an exception, or the last words of a child that ended on purpose.

It is written to memory that both share, and read when the child has ended: it may be of any size, nobody waits for
anybody, and what a killed child had not finished is seen to be unfinished.
"""

from __future__ import annotations

import os
import pickle
import traceback
from dataclasses import dataclass
from enum import Enum
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unixipc.processes.status import ExitStatus

_HEAD = Struct("=QB")  # the length of what follows, and its kind


class Kind(Enum):
    """How the function in the child came to its end."""

    RETURNED = 1
    RAISED = 2
    ENDED = 3
    """By sys.exit() or KeyboardInterrupt, which end a process."""
    EXECUTED = 4


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception on its way to the parent: pickled, where it can be, and as text in any case."""

    pickled: bytes | None
    text: str
    story: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Take down an exception with its traceback; nothing that its class does wrong is an error here."""
        try:
            pickled = pickle.dumps(error)
        except Exception:  # noqa: BLE001 - whatever its __reduce__ does
            pickled = None
        try:
            text = f"{type(error).__name__}: {error}"
        except Exception:  # noqa: BLE001 - whatever its __str__ does
            text = type(error).__name__
        try:
            story = "".join(traceback.format_exception(error))
        except Exception:  # noqa: BLE001 - the same
            story = "".join(traceback.format_tb(error.__traceback__)) + text
        return cls(pickled, text, story)

    def error(self) -> BaseException:
        """Make the exception again, or, where it does not pickle, a ChildProcessError with its text."""
        if self.pickled is not None:
            try:
                error = pickle.loads(self.pickled)  # noqa: S301 - our own child's
            except Exception:  # noqa: BLE001 - whatever its __init__ wants
                error = None
            if isinstance(error, BaseException):
                return error
        return ChildProcessError(self.text)


class Report:
    """The memory that a child's outcome is written to."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("unixipc child")

    def write(self, kind: Kind, content: bytes) -> None:
        """Put this outcome in the place of any before (called in the child)."""
        rest, offset = memoryview(content), _HEAD.size
        os.ftruncate(self.fd, 0)
        while rest:
            written = os.pwrite(self.fd, rest, offset)
            rest, offset = rest[written:], offset + written
        os.pwrite(self.fd, _HEAD.pack(len(content), kind.value), 0)

    def clear(self) -> None:
        """Take the outcome back."""
        os.ftruncate(self.fd, 0)

    def read(self) -> tuple[Kind, bytes] | None:
        """Give the outcome; None when there is none, or only a part (called in the parent, after the end)."""
        size = os.fstat(self.fd).st_size
        if size < _HEAD.size:
            return None
        length, kind = _HEAD.unpack(os.pread(self.fd, _HEAD.size, 0))
        content = bytearray()
        while len(content) < length and (chunk := os.pread(self.fd, length - len(content), _HEAD.size + len(content))):
            content += chunk
        return (Kind(kind), bytes(content)) if length == len(content) and kind else None

    def close(self) -> None:
        """Close the descriptor; twice is fine."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def result_of(pid: int, status: ExitStatus | None, outcome: tuple[Kind, bytes] | None) -> object:
    """Give what a child returned or raise what it raised, with its traceback as a note; else ChildProcessError."""
    kind, content = outcome or (None, b"")
    if kind is Kind.RETURNED:
        try:
            return pickle.loads(content)  # noqa: S301 - our own child's
        except Exception as error:
            raise _ended(pid, f"returned what does not unpickle: {Failure.of(error).text}") from error
    if kind is Kind.EXECUTED:
        raise _ended(pid, f"executed {content.decode()!r}, which {status or 'has ended'}")
    if kind is None:
        raise _ended(pid, f"{status or 'has ended'} before its function returned")
    failure: Failure = pickle.loads(content)  # noqa: S301 - our own child's
    raised = failure.error() if kind is Kind.RAISED else _ended(pid, f"{status or 'has ended'}: {failure.text}")
    raised.add_note(f"In child {pid}:\n{failure.story}")
    raise raised


def _ended(pid: int, how: str) -> ChildProcessError:
    return ChildProcessError(f"child {pid} {how}")
