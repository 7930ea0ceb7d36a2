"""Words between a forked child and its parent: each waits until the other has come to a certain point."""

from __future__ import annotations

import errno
import os
import select
import socket
from contextlib import suppress

from unixipc._check import Deadline
from unixipc.testing.crashes import shortened

LONGEST = 1 << 16
"""How many bytes of UTF-8 a word may have."""

_BEGIN = b"="  # so that an empty word is no end of file
_LONGEST_POLL = 1e6  # seconds: poll(2) counts milliseconds in an int


class HandshakeError(AssertionError):
    """A process said something else than was expected, or ended, or closed the line, without having said it."""


class Line:
    """One end of a line between two processes: words arrive whole, in their order, and none is lost."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        end.settimeout(0)

    @classmethod
    def pair(cls) -> tuple[Line, Line]:
        """Make both ends."""
        here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(here), cls(there)

    def fileno(self) -> int:
        """Give the descriptor."""
        return self._end.fileno()

    def send(self, word: str) -> bool:
        """Send a word; False where there is no room for it now. ConnectionError where nobody hears."""
        data = _encoded(word)
        try:
            self._end.send(data, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return False
        return True

    def receive(self) -> str | None:
        """Take the next word, or None at the end of the line; BlockingIOError where none has come."""
        try:
            data = self._end.recv(LONGEST + len(_BEGIN))
        except ConnectionResetError:  # the other end was closed with words of ours in it
            return None
        return data[len(_BEGIN) :].decode("utf-8", "surrogatepass") if data else None

    def rest(self) -> list[str]:
        """Take all words that have come."""
        words = []
        with suppress(BlockingIOError, ValueError):
            while self._end.fileno() >= 0 and (word := self.receive()) is not None:
                words.append(word)
        return words

    def close(self) -> None:
        """Close this end; twice is fine."""
        self._end.close()


def wait_for(deadline: Deadline, reading: list[int], writing: list[int] = []) -> set[int]:  # noqa: B006 - only read
    """Wait until one of the descriptors is ready; those that are."""
    poll = select.poll()
    for fd in reading:
        poll.register(fd, select.POLLIN)
    for fd in writing:
        poll.register(fd, select.POLLOUT)
    left = deadline.left()
    return {fd for fd, _ in poll.poll(None if left is None else min(left, _LONGEST_POLL) * 1000)}


def _encoded(word: str) -> bytes:
    if not isinstance(word, str):
        raise TypeError(f"a word is a str, not {word!r}")
    data = word.encode("utf-8", "surrogatepass")
    if len(data) > LONGEST:
        raise ValueError(f"a word has at most {LONGEST} bytes, not {len(data)}: {shortened(word)}")
    return _BEGIN + data


def quoted(word: str) -> str:
    """Quote what is to be said, once it is sure that it is a word."""
    _encoded(word)
    return shortened(word)


class Parent:
    """The parent of a child of `testing.fork`. Without a timeout a wait has none: the parent watches the deadline."""

    def __init__(self, line: Line) -> None:
        self.pid = os.getppid()
        self._line = line

    def __repr__(self) -> str:
        return f"<Parent {self.pid}>"

    def tell(self, word: str, timeout: float | None = None) -> None:
        """Tell the parent a word, which waits there until it is asked for: `child.says(word)`."""
        deadline, told = Deadline(timeout), quoted(word)
        try:
            while not self._line.send(word):
                self._wait(deadline, f"taken {told}", timeout, writing=True)
        except ConnectionError as error:
            raise HandshakeError(f"the parent cannot be told {told}: it has closed the line") from error

    def says(self, word: str, timeout: float | None = None) -> None:
        """Wait until the parent has said a word: `child.tell(word)`. HandshakeError where it says another one."""
        expected = quoted(word)
        heard = self.hear(timeout)
        if heard != word:
            raise HandshakeError(f"the parent was to say {expected}, but it said {shortened(heard)}")

    def hear(self, timeout: float | None = None) -> str:
        """Wait for the next word of the parent, whichever it is."""
        deadline = Deadline(timeout)
        while True:
            try:
                word = self._line.receive()
            except BlockingIOError:
                self._wait(deadline, "said a word", timeout)
            else:
                if word is None:
                    raise HandshakeError("the parent will say nothing more: it has closed the line")
                return word

    def _wait(self, deadline: Deadline, what: str, timeout: float | None, *, writing: bool = False) -> None:
        left = deadline.left()
        line = [self._line.fileno()]
        if not wait_for(deadline, *([[], line] if writing else [line])) and left == 0:
            raise TimeoutError(errno.ETIMEDOUT, f"the parent has not {what} within {timeout} seconds")


class _Place:
    """Where a child finds its parent."""

    parent: Parent | None = None
    pid = 0


def set_parent(line: Line) -> None:
    """Note who the parent is (called in a child of `testing.fork`)."""
    _Place.parent, _Place.pid = Parent(line), os.getpid()


def parent() -> Parent:
    """Give the parent of this process, which `testing.fork` made; RuntimeError in any other."""
    if _Place.parent is None or _Place.pid != os.getpid():
        raise RuntimeError(f"process {os.getpid()} is no child of testing.fork(): it has nobody to speak to")
    return _Place.parent
