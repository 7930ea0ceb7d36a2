"""What a child hands back to its parent: a value, an exception, or the last words of a child that ended on purpose.

It is written to memory that both share, and read when the child has ended: it may be of any size, nobody waits for
anybody, and what a killed child had not finished is seen to be unfinished.
"""

from __future__ import annotations

import errno
import os
import pickle
import re
import resource
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass
from enum import IntEnum
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unixipc.processes.status import ExitStatus

_HEAD = Struct("=QB")  # the length of what follows, and its kind
_NONE = pickle.dumps(None)  # what most functions return: pickle need not be touched in the child, where that costs
_UNPICKLING = (Exception, SystemExit, GeneratorExit)  # what a class may raise, and no signal handler does


class Kind(IntEnum):
    """How the function in the child came to its end."""

    RETURNED = 1
    RAISED = 2
    EXITED = 3
    """By sys.exit()."""
    INTERRUPTED = 4
    """By a KeyboardInterrupt that nobody caught."""
    EXECUTED = 5
    """The child has become another program."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception on its way to the parent: in pickled forms, the best first, and as text in any case."""

    pickles: tuple[bytes, ...]
    text: str
    story: str

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Take down an exception with its traceback; nothing that its class does wrong is an error here."""
        pickles = []
        for form in (error, _Parts(type(error), error.args, vars(error))):
            with suppress(BaseException):
                pickles.append(pickle.dumps(form))
        text = _text(error)
        try:
            story = "".join(traceback.format_exception(error))
        except BaseException:  # noqa: BLE001 - whatever its __str__ does
            story = "".join(traceback.format_tb(error.__traceback__)) + text
        return cls(tuple(pickles), text, story)

    def error(self) -> BaseException:
        """Make the exception again, or, where it does not pickle, a ChildProcessError with its text."""
        made = [error for content in self.pickles if (error := _unpickled(content)) is not None]
        faithful = [error for error in made if _comparable(_text(error)) == _comparable(self.text)]
        return next(iter(faithful or made), None) or ChildProcessError(self.text)


@dataclass(frozen=True, slots=True)
class _Parts:
    """An exception that its __init__ would not make again: most that take other arguments than they pass on."""

    kind: type[BaseException]
    args: tuple[object, ...]
    state: dict[str, object]

    def error(self) -> BaseException:
        error = self.kind.__new__(self.kind, *self.args)
        error.args = self.args
        vars(error).update(self.state)
        return error


def _unpickled(content: bytes) -> BaseException | None:
    try:
        made = pickle.loads(content)  # noqa: S301 - our own child's
        error = made.error() if isinstance(made, _Parts) else made
    except _UNPICKLING:  # whatever its __init__ wants
        return None
    return error if isinstance(error, BaseException) else None


def _text(error: BaseException) -> str:
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException:  # noqa: BLE001 - whatever its __str__ does
        return name
    return f"{name}: {text}" if text else name


def _comparable(text: str) -> str:
    return re.sub("0x[0-9a-f]+", "", text)  # an address in a repr, which is another one in each process


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the function came to its end, what belongs to that, and what the child is to exit with."""

    kind: Kind
    content: bytes
    exit_code: int = 0

    @classmethod
    def returned(cls, value: object) -> Outcome:
        """Take down a value; what does not pickle is a TypeError."""
        try:
            return cls(Kind.RETURNED, _NONE if value is None else pickle.dumps(value))
        except Exception as error:
            text = f"the child's result, a {type(value).__qualname__}, cannot be handed to its parent: {_text(error)}"
            raise TypeError(text) from error

    @classmethod
    def raised(cls, error: BaseException) -> Outcome:
        """Take down what the function has raised, without the frame that called it."""
        if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
            error.__traceback__ = error.__traceback__.tb_next
        content = pickle.dumps(Failure.of(error))
        if isinstance(error, SystemExit):
            return cls(Kind.EXITED, content, _exit_code(error.code))
        if isinstance(error, KeyboardInterrupt):
            return cls(Kind.INTERRUPTED, content, 130)  # as a shell has it
        return cls(Kind.RAISED, content, 1)


def _exit_code(code: object) -> int:
    """Do as the interpreter does when SystemExit reaches its end."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF if -(2**31) <= code < 2**31 else 0xFF
    if sys.stderr is not None:
        with suppress(Exception):
            print(code, file=sys.stderr)
    return 1


class Report:
    """The memory that a child's outcome is written to."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("unixipc child")
        self._file = self._identity()

    def _identity(self) -> tuple[int, int]:
        found = os.fstat(self.fd)
        return found.st_dev, found.st_ino

    def write(self, outcome: Outcome) -> None:
        """Put this outcome in the place of any before (called in the child); OSError where that cannot be."""
        self.clear()
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        if soft != hard:  # the function may have lowered it
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        try:
            head, content = _HEAD.pack(len(outcome.content), outcome.kind), memoryview(outcome.content)
            written = os.pwritev(self.fd, (head, content), 0)  # what is missing of it is seen by the length in its head
            while written < len(head) + len(content):
                written += os.pwrite(self.fd, content[written - len(head) :], written)
        finally:
            if soft != hard:
                resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    def clear(self) -> None:
        """Take the outcome back."""
        if self._identity() != self._file:
            raise OSError(errno.EBADF, "the descriptor was closed that the child's outcome goes to")
        os.ftruncate(self.fd, 0)

    def read(self) -> Outcome | None:
        """Give the outcome; None when there is none, or only a part (called in the parent, after the end)."""
        head = os.pread(self.fd, _HEAD.size, 0)
        if len(head) < _HEAD.size:
            return None
        length, kind = _HEAD.unpack(head)
        parts: list[bytes] = []
        offset, end = _HEAD.size, _HEAD.size + length
        while offset < end and (part := os.pread(self.fd, end - offset, offset)):
            parts.append(part)
            offset += len(part)
        return Outcome(Kind(kind), b"".join(parts)) if kind and offset == end else None

    def close(self) -> None:
        """Close the descriptor; twice is fine."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def result_of(pid: int, status: ExitStatus | None, outcome: Outcome | None) -> object:
    """Give what a child returned or raise what it raised, with its traceback as a note; else ChildProcessError."""
    if outcome is not None and outcome.kind is Kind.RETURNED:
        try:
            return pickle.loads(outcome.content)  # noqa: S301 - our own child's
        except _UNPICKLING as error:
            raise ChildProcessError(f"child {pid} returned what does not unpickle: {_text(error)}") from error
    ended = str(status or "has ended")
    if outcome is None:
        raise ChildProcessError(f"child {pid} {ended} before its function returned")
    if outcome.kind is Kind.EXECUTED:
        raise ChildProcessError(f"child {pid} executed {outcome.content.decode()}, which {ended}")
    failure: Failure = pickle.loads(outcome.content)  # noqa: S301 - the same
    if outcome.kind is Kind.RAISED:
        raised = failure.error()
    else:
        raised = ChildProcessError(f"child {pid} {ended}: {failure.text}")
    with suppress(Exception):  # whatever its class does
        raised.add_note(f"In child {pid}:\n{failure.story}")
    raise raised
