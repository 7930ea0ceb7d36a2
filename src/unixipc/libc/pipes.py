"""pipe(7) and fifo(7)."""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import ExitStack
from operator import index
from typing import TYPE_CHECKING, cast, overload

from unixipc._check import Advice, check, failure, restarting, timespec
from unixipc._cpython import front
from unixipc._native import ffi, lib
from unixipc.constants.pipes import O_CLOEXEC, SPLICE_F_GIFT, PipeFlag, SpliceFlag
from unixipc.libc.arguments import Path, bytes_argument, path_argument, size_argument, unsigned_argument

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import SupportsIndex

    from typing_extensions import Buffer, TypeIs

    from unixipc._native import _CBytes, _CTime

_NOT_READY = {errno.EAGAIN: "the descriptor is O_NONBLOCK and not ready"}
_WAITING = {
    errno.EAGAIN: "the descriptor is O_NONBLOCK and not ready; or no timer can end the wait: too many signals are"
    " queued or kept for timers (RLIMIT_SIGPENDING), every real-time signal is handled, or 256 threads wait already",
}
_OPENING = {
    errno.ENXIO: "nobody has it open for reading, and O_NONBLOCK was given",
    errno.ETIMEDOUT: "nobody opened the other side",
}
_SPLICING = {
    errno.EAGAIN: "SPLICE_F_NONBLOCK was given and a pipe is empty or full",
    errno.EINVAL: "both must be pipes, and not the same",
}
_MAPPING = {
    errno.EAGAIN: "SPLICE_F_NONBLOCK was given and the pipe is empty or full",
    errno.EBADF: "the descriptor is not that of a pipe",
    errno.EINVAL: "at most 1,024 buffers are taken",
}


def pipe(flags: int = O_CLOEXEC) -> tuple[int, int]:
    """Make a pipe and return its ends, `(read, write)` (pipe(2)).

    Without flags both ends are close-on-exec, as all of Python's descriptors are; flags are otherwise as given.
    """
    flags = PipeFlag(index(flags))
    ends = ffi.new("int *"), ffi.new("int *")
    check(lib.uipc_pipe(flags, *ends), "pipe", flags)
    return ends[0][0], ends[1][0]


def _left(timeout: float | None) -> _CTime | None:
    return ffi.NULL if timeout is None else ffi.new("int64_t[2]", timespec(timeout))


def _why(timeout: float | None) -> Advice:
    return _NOT_READY if timeout is None else _WAITING


def mkfifo(pathname: Path, mode: int) -> None:
    """Make a FIFO (mkfifo(3)); the umask is taken off the mode."""
    check(lib.uipc_mkfifo(path_argument(pathname), index(mode)), "mkfifo", repr(pathname))


def mknod(pathname: Path, mode: int, dev: int = 0) -> None:
    """Make a FIFO, a device, a socket or an empty file: `mode` is permissions and one of S_IF* (mknod(2))."""
    advice = {errno.EPERM: "only root makes devices (CAP_MKNOD)"}
    check(lib.uipc_mknod(path_argument(pathname), index(mode), index(dev)), "mknod", repr(pathname), advice=advice)


def open(pathname: Path, flags: int, mode: int = 0o600, *, timeout: float | None = None) -> int:  # noqa: A001 - its name
    """Open a file and return its descriptor, which is close-on-exec (open(2)).

    A FIFO waits until somebody opens its other side. The kernel knows no timeout for that; ours is in seconds, and
    TimeoutError tells that it is up. InterruptedError when a handler without SA_RESTART interrupted it.
    """
    path, flags = path_argument(pathname), index(flags) | O_CLOEXEC
    result = restarting(lib.uipc_open, path, flags, index(mode), _left(timeout))
    advice = _OPENING if timeout is None else _OPENING | {errno.EAGAIN: _WAITING[errno.EAGAIN]}
    return check(result, "open", repr(pathname), advice=advice)


@overload
def read(fd: int, count: int, *, timeout: float | None = None) -> bytes: ...
@overload
def read(fd: int, count: Buffer, *, timeout: float | None = None) -> int: ...
@front
def read(fd: int, count: int | Buffer, *, timeout: float | None = None) -> bytes | int:
    """Read at most `count` bytes; none at the end (read(2)). Or fill a writable buffer, and return how many came.

    InterruptedError when a handler without SA_RESTART interrupted it, BlockingIOError when the descriptor would block.
    With SA_RESTART it goes on, also on a socket with a timeout (SO_RCVTIMEO), which then begins anew. The kernel knows
    no timeout for other files; ours is in seconds, on whichever file, and TimeoutError tells that it is up.
    """
    fd, left = index(fd), _left(timeout)

    def fill(buffer: _CBytes) -> int:
        length = restarting(lib.uipc_read, fd, buffer, len(buffer), left)
        return check(length, "read", fd, advice=_why(timeout))

    if not _is_number(count) and _is_buffer(count):
        with bytes_argument(count, writable=True) as into:
            return fill(into)
    new = ffi.new("unsigned char[]", index(count))
    length = fill(new)
    return bytes(ffi.buffer(new, length))


@front
def write(fd: int, data: Buffer, *, timeout: float | None = None) -> int:
    """Write bytes and return how many went (write(2)).

    InterruptedError when a handler without SA_RESTART interrupted it before the first, BlockingIOError when the
    descriptor would block. The kernel knows no timeout; ours is in seconds: what went until then counts, and without a
    first byte it is TimeoutError.
    """
    left = _left(timeout)
    with bytes_argument(data) as buffer:
        result = restarting(lib.uipc_write, index(fd), buffer, len(buffer), left)
    return check(result, "write", fd, advice=_why(timeout))


def tee(fd_in: int, fd_out: int, len: int, flags: int = 0) -> int:  # noqa: A002 - its man-page name
    """Copy at most `len` bytes from one pipe to another, and leave them there; return how many went (tee(2)).

    0 at the end, when no bytes are left and nobody can write more. As `read` when a handler interrupted it.
    """
    flags = SpliceFlag(unsigned_argument(flags, "flags"))
    result = restarting(lib.uipc_tee, index(fd_in), index(fd_out), size_argument(len, "len"), flags)
    return check(result, "tee", fd_in, fd_out, len, advice=_SPLICING)


def vmsplice(fd: int, iov: Buffer | Iterable[Buffer], flags: int = 0) -> int:
    """Have a pipe show memory, one buffer or several, without a copy; return how many bytes went (vmsplice(2)).

    The reader gets the memory as it is when he reads: it must stay, and stay unchanged, until he has. What lies at its
    address later is what he would read otherwise, and no object of Python can be held for him. Through the end for
    reading, buffers are filled: they must be writable. SPLICE_F_GIFT is refused (EINVAL): a page that is given away
    must not hold anything else. As `read` when a handler interrupted it.
    """
    fd, flags = index(fd), SpliceFlag(unsigned_argument(flags, "flags"))
    if flags & SPLICE_F_GIFT:
        raise failure(errno.EINVAL, "vmsplice", fd, flags, advice="memory of Python's is not ours to give away")
    with ExitStack() as stack:
        writable, parts = _only_reads(fd), [iov] if _is_buffer(iov) else iov
        memory = [stack.enter_context(bytes_argument(part, writable=writable)) for part in parts]
        vector = ffi.new("struct uipc_iovec[]", [(part, len(part)) for part in memory])
        result = restarting(lib.uipc_vmsplice, fd, vector, len(vector), flags)
    return check(result, "vmsplice", fd, f"{len(vector)} buffers", flags, advice=_MAPPING)


def _is_number(value: object) -> TypeIs[SupportsIndex]:
    """Whether it is an integer; those of numpy are read-only buffers besides, and its arrays have `__index__` too."""
    if not hasattr(value, "__index__"):
        return False
    try:
        with memoryview(cast("Buffer", value)) as view:
            return view.readonly
    except TypeError:
        return True


def _is_buffer(value: object) -> TypeIs[Buffer]:
    try:
        memoryview(cast("Buffer", value)).release()
    except TypeError:
        return False
    return True


def _only_reads(fd: int) -> bool:
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
    except OSError as error:
        raise failure(error.errno or 0, "vmsplice", fd) from None
