"""The ends of pipes: pipe(7)."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import stat
import sys
import termios
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, NoReturn, Protocol, Self, TypeAlias, TypeVar

from unixipc import libc
from unixipc._check import Deadline, failure
from unixipc._closing import Closing, Holding
from unixipc._cpython import Fronted, front

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from typing_extensions import Buffer

_PIPE_BUF = select.PIPE_BUF
_SMALL = 1 << 16  # what is allocated without a question of how much a pipe can hold
_LIMIT = Path("/proc/sys/fs/pipe-max-size")
_EMPTY, _FULL = "nothing came", "there was no room"
_SPLICING = {errno.EINVAL: "one of them must be a pipe, they must not be the same, and a file not be O_APPEND"}

_T = TypeVar("_T")


class HasFileno(Protocol):
    """What has a descriptor: an end of a pipe, a file, a socket."""

    def fileno(self) -> int:
        """Give the descriptor."""


Descriptor: TypeAlias = int | HasFileno


class IncompleteReadError(EOFError):
    """The pipe ended before all had come that was to be read; `partial` has what did."""

    def __init__(self, text: str, partial: bytes) -> None:
        super().__init__(text)
        self.partial = partial

    def __reduce__(self) -> tuple[type[Self], tuple[str, bytes]]:
        return type(self), (str(self), self.partial)


class _End(Fronted, Holding):
    """A descriptor of one end, that is closed by a with-block, and with a warning when it is dropped open."""

    _wrong_access = os.O_ACCMODE
    _role = "end"

    def __init__(self, fd: int, *, packets: bool = False) -> None:
        self._fd = -1
        fd = index(fd)
        if not stat.S_ISFIFO(os.fstat(fd).st_mode):
            raise ValueError(f"descriptor {fd} is not that of a pipe or a FIFO")
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        if flags & os.O_ACCMODE == self._wrong_access:
            raise ValueError(f"descriptor {fd} is the other end: it is not open for {self._role}")
        self._packets = packets or bool(flags & libc.O_DIRECT)
        self._fd = fd

    def fileno(self) -> int:
        """Return the descriptor, for `select`, `subprocess` and the like."""
        if self._fd < 0:
            raise ValueError(f"{self!r} was closed")
        return self._fd

    def close(self) -> None:
        """Close this end in this process; twice is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
        return self._fd < 0

    @property
    def packets(self) -> bool:
        """Whether it is in packet mode: each write comes out as it went in."""
        return self._packets

    @property
    def available(self) -> int:
        """How many bytes are in the pipe (FIONREAD)."""
        count = fcntl.ioctl(self.fileno(), termios.FIONREAD, bytes(4))
        return int.from_bytes(count, sys.byteorder)

    @property
    def capacity(self) -> int:
        """How many bytes it can hold; set, it is at least what was asked for (F_SETPIPE_SZ)."""
        return fcntl.fcntl(self.fileno(), fcntl.F_GETPIPE_SZ)

    @capacity.setter
    def capacity(self, size: int) -> None:
        fd, size = self.fileno(), index(size)
        if size < 1:
            raise ValueError(f"the capacity is {size}: a pipe has room for at least one page")
        if size >= 2**31:
            raise OverflowError(f"the capacity is {size}: it must fit a C int")
        try:
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, size)
        except OSError as error:
            code = error.errno or 0
            raise failure(code, "F_SETPIPE_SZ", self, size, advice=_capacity_advice(code)) from None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._fd < 0 else self._fd}>"


def _capacity_advice(code: int) -> str | None:
    if code == errno.EBUSY:
        return "what is in the pipe needs more than that"
    if code in (errno.EPERM, errno.EINVAL):
        limit = _LIMIT.read_text().strip()
        return f"/proc/sys/fs/pipe-max-size is {limit}, and pipe-user-pages-soft and -hard limit what a user has"
    return None


class Reader(_End):
    """The end of a pipe that is read. `Reader(fd)` takes over a descriptor, which does not tell of packet mode.

    Waits take a `timeout` in seconds, None for ever and 0 not at all, and go on after signals; TimeoutError when it is
    up. The end comes when every writer has closed, in every process. As an iterator it gives the packets, or without
    packet mode pieces of any size, until then.
    """

    _wrong_access = os.O_WRONLY
    _role = "reading"

    @front
    def read(self, size: int = _SMALL, timeout: float | None = None) -> bytes:
        """Read what is there, at most `size` bytes; waits while there is nothing. b'' is the end.

        In packet mode it is one packet, and a `size` below PIPE_BUF is refused (ValueError): the rest would be lost.
        """
        size = self._check_size(size)
        if size > _SMALL:
            size = min(size, max(self.capacity, _SMALL))

        def read(left: float | None) -> bytes:
            fd = self.fileno()
            return os.read(fd, size) if left is None else libc.read(fd, size, timeout=left)

        return waiting(read, self, "read", timeout, _EMPTY, (self, select.POLLIN))

    def read_into(self, buffer: Buffer, timeout: float | None = None) -> int:
        """Read as `read` does, into a writable buffer, and return how many bytes came."""
        with memoryview(buffer) as view:
            self._check_size(view.nbytes)

        def read(left: float | None) -> int:
            fd = self.fileno()
            return os.readv(fd, [buffer]) if left is None else libc.read(fd, buffer, timeout=left)

        return waiting(read, self, "read_into", timeout, _EMPTY, (self, select.POLLIN))

    def read_exactly(self, size: int, timeout: float | None = None) -> bytes:
        """Read so many bytes, which may come one by one.

        IncompleteReadError, an EOFError, when the end comes before; it and TimeoutError have what did come as
        `partial`. Packets are refused (ValueError): they are read one by one.
        """
        size, deadline, received = self._check_size(size), Deadline(timeout), bytearray()
        if self._packets:
            raise ValueError(f"{self!r} is in packet mode: read() gives packets as they were written")
        while len(received) < size:
            try:
                piece = self.read(size - len(received), deadline.left())
            except TimeoutError as error:
                if error.errno is None:
                    raise
                text = f"{len(received)} of {size} bytes came"
                late = failure(errno.ETIMEDOUT, "read_exactly", self, size, timeout, advice=text)
                late.partial = bytes(received)  # type: ignore[attr-defined]  # in addition
                raise late from None
            if not piece:
                raise IncompleteReadError(f"{self!r} ended: {len(received)} of {size} bytes came", bytes(received))
            received += piece
        return bytes(received)

    def splice(self, target: Descriptor, count: int, timeout: float | None = None) -> int:
        """Move at most `count` bytes into a file, a socket or a pipe, without a copy (splice(2)); 0 is the end.

        The timeout is this pipe's, and that of a pipe at the other side: a socket waits as it always does.
        """
        return _splice(self, target, self, count, timeout)

    def tee(self, target: Descriptor, count: int, timeout: float | None = None) -> int:
        """Copy at most `count` bytes into another pipe, and leave them here, too (tee(2)); 0 is the end."""
        count = index(count)

        def tee() -> int:
            return libc.tee(self.fileno(), _fileno(target), count, libc.SPLICE_F_NONBLOCK)

        return _when_ready(tee, self, target, self, "tee", timeout)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.read, b"")

    def _check_size(self, size: int) -> int:
        size = index(size)
        if size < 0:
            raise ValueError(f"the size is {size}: it must not be below 0")
        if self._packets and size < _PIPE_BUF:
            raise ValueError(f"a packet may have {_PIPE_BUF} bytes, and what is behind {size} would be lost")
        return size


class Writer(_End):
    """The end of a pipe that is written. `Writer(fd)` takes over a descriptor.

    Waits take a `timeout` in seconds, None for ever and 0 not at all, and go on after signals; TimeoutError when it is
    up. Up to PIPE_BUF bytes, 4,096, go in whole, whoever else writes.
    """

    _wrong_access = os.O_RDONLY
    _role = "writing"

    @front
    def write(self, data: Buffer, timeout: float | None = None) -> None:
        """Write all of it; waits while there is no room.

        BrokenPipeError when nobody reads any more, TimeoutError when the time is up: both say how much has gone, and
        have it as `characters_written`. A process that has restored the default action of SIGPIPE, which Python
        ignores, ends instead. In packet mode it is one packet, of 1 to PIPE_BUF bytes (ValueError).
        """
        deadline = Deadline(timeout)
        with memoryview(data) as view, view.cast("B") as rest:
            self._check_packet(len(rest))
            written, _ = 0, self.fileno()  # which refuses a closed end, also for no bytes

            def write(left: float | None) -> int:
                fd = self.fileno()
                with rest[written:] as part:
                    return os.write(fd, part) if left is None else libc.write(fd, part, timeout=left)

            while written < len(rest):
                try:
                    written += waiting(write, self, "write", deadline.left(), _FULL, (self, select.POLLOUT))
                except (BrokenPipeError, TimeoutError) as error:
                    self._tell(error, written, len(rest), timeout)

    def splice(self, source: Descriptor, count: int, timeout: float | None = None) -> int:
        """Move at most `count` bytes here from a file, a socket or a pipe, without a copy (splice(2)); 0 is its end.

        The timeout is this pipe's, and that of a pipe at the other side: a socket waits as it always does.
        """
        return _splice(source, self, self, count, timeout)

    def vmsplice(self, memory: libc.Mapping | libc.Attachment, timeout: float | None = None) -> int:
        """Have the reader see memory, without a copy, and return how many of its bytes went (vmsplice(2)).

        He sees it as it is when he reads, so leave it unchanged until he has. It may be closed: the pages stay. Other
        buffers are refused (TypeError), for where they lay is soon something else.
        """
        if not isinstance(memory, libc.Mapping | libc.Attachment):
            raise TypeError(f"vmsplice() takes mapped memory, not {memory!r}; write() copies anything")

        def vmsplice() -> int:
            return libc.vmsplice(self.fileno(), memory, libc.SPLICE_F_NONBLOCK)

        return _when_ready(vmsplice, None, self, self, "vmsplice", timeout)

    def _check_packet(self, size: int) -> None:
        if self._packets and not 1 <= size <= _PIPE_BUF:
            raise ValueError(f"a packet has 1 to {_PIPE_BUF} bytes, not {size}")

    def _tell(self, error: OSError, written: int, size: int, timeout: float | None) -> NoReturn:
        if error.errno is None:  # a handler raised it
            raise error
        code = error.errno
        why = "nobody reads any more" if code == errno.EPIPE else _FULL
        subject = (self,) if code == errno.EPIPE else (self, timeout)
        told = failure(code, "write", *subject, advice=f"{why}; {written} of {size} bytes went")
        told.characters_written = written  # type: ignore[attr-defined]  # typeshed has it of BlockingIOError alone
        raise told from None


class Pipe(NamedTuple):
    """Both ends of a pipe; a with-block closes what is still open of them."""

    reader: Reader
    writer: Writer

    def close(self) -> None:
        """Close both ends in this process; twice is fine."""
        try:
            self.reader.close()
        finally:
            self.writer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, story: TracebackType | None
    ) -> None:
        self.close()


class Duplex(Closing):
    """One end of two crossed pipes: what is written here is read at the other, and the other way round.

    A with-block closes both directions; `writer.close()` ends one.
    """

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self.reader = reader
        self.writer = writer
        self.read = reader.read
        self.read_into = reader.read_into
        self.read_exactly = reader.read_exactly
        self.write = writer.write

    @property
    def closed(self) -> bool:
        """Whether both directions were closed here."""
        return self.reader.closed and self.writer.closed

    def close(self) -> None:
        """Close both directions in this process; twice is fine."""
        Pipe(self.reader, self.writer).close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.reader!r} {self.writer!r}>"


def pipe(*, packets: bool = False, capacity: int | None = None) -> Pipe:
    """Make a pipe, a pair of its ends, or a with-block that closes both (pipe(2)).

    With `packets`, what one `write` wrote one `read` reads (O_DIRECT). A forked child has both ends, too: the end of
    the pipe comes when the writer is closed in all who have it.
    """
    ends = libc.pipe(libc.O_CLOEXEC | libc.O_DIRECT if packets else libc.O_CLOEXEC)
    made = Pipe(Reader(ends[0], packets=packets), Writer(ends[1]))
    if capacity is not None:
        try:
            made.writer.capacity = capacity
        except BaseException:
            made.close()
            raise
    return made


def duplex(*, packets: bool = False, capacity: int | None = None) -> tuple[Duplex, Duplex]:
    """Make two crossed pipes, and return their two ends, one for each partner."""
    there = pipe(packets=packets, capacity=capacity)
    try:
        back = pipe(packets=packets, capacity=capacity)
    except BaseException:
        there.close()
        raise
    return Duplex(back.reader, there.writer), Duplex(there.reader, back.writer)


def _fileno(end: Descriptor) -> int:
    """Ask anew before each call: who waited may find his end closed, and the number to be another file's."""
    return end if isinstance(end, int) else end.fileno()


def _splice(source: Descriptor, target: Descriptor, end: _End, count: int, timeout: float | None) -> int:
    count = index(count)

    def splice() -> int:
        fds = _fileno(source), _fileno(target)
        try:
            return os.splice(*fds, count, flags=libc.SPLICE_F_NONBLOCK)
        except (InterruptedError, BlockingIOError):
            raise
        except OSError as error:
            if error.errno is None:
                raise
            raise failure(error.errno, "splice", *fds, count, advice=_SPLICING.get(error.errno)) from None

    return _when_ready(splice, source, target, end, "splice", timeout)


def waiting(
    call: Callable[[float | None], _T],
    end: object,
    name: str,
    timeout: float | None,
    why: str,
    ready: tuple[HasFileno, int] | None = None,
) -> _T:
    """Make a call again after signals (PEP 475), with the time that is left.

    `ready` is what to poll for where somebody has made the descriptor O_NONBLOCK.
    """
    deadline = Deadline(timeout)
    while True:
        try:
            return call(deadline.left())
        except (InterruptedError, TimeoutError, BlockingIOError) as error:
            if error.errno is None:  # a handler raised it
                raise
            if isinstance(error, TimeoutError):
                raise failure(errno.ETIMEDOUT, name, end, timeout, advice=why) from None
            if isinstance(error, BlockingIOError):
                if ready is None or os.get_blocking(ready[0].fileno()):  # no timer can end the wait
                    raise
                _poll(*ready, deadline, end, name, timeout)


def _when_ready(
    call: Callable[[], int],
    source: Descriptor | None,
    target: Descriptor,
    end: _End,
    name: str,
    timeout: float | None,
) -> int:
    """Make a call that does not wait, as soon as it may succeed."""
    deadline = Deadline(timeout)
    while True:
        try:
            return call()
        except InterruptedError as error:
            if error.errno is None:
                raise
            continue
        except BlockingIOError as error:
            if error.errno is None:
                raise
        if source is not None:
            _poll(source, select.POLLIN, deadline, end, name, timeout)
        _poll(target, select.POLLOUT, deadline, end, name, timeout)


def _poll(thing: Descriptor, event: int, deadline: Deadline, end: object, name: str, timeout: float | None) -> None:
    while True:
        try:
            if libc.ppoll([(_fileno(thing), event)], deadline.left()):
                return
        except InterruptedError as error:
            if error.errno is None:
                raise
        else:
            raise failure(errno.ETIMEDOUT, name, end, timeout, advice=_EMPTY if event == select.POLLIN else _FULL)
