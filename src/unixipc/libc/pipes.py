"""pipe(7) and fifo(7)."""

from __future__ import annotations

import errno
from operator import index
from typing import TYPE_CHECKING

from unixipc._check import check, restarting
from unixipc._native import ffi, lib
from unixipc.constants.pipes import O_CLOEXEC, PipeFlag
from unixipc.libc.arguments import Path, bytes_argument, path_argument

if TYPE_CHECKING:
    from typing_extensions import Buffer

_NOT_READY = {errno.EAGAIN: "the descriptor is O_NONBLOCK and not ready"}


def pipe(flags: int = O_CLOEXEC) -> tuple[int, int]:
    """Make a pipe and return its ends, `(read, write)` (pipe(2)).

    Without flags both ends are close-on-exec, as all of Python's descriptors are; flags are otherwise as given.
    """
    flags = PipeFlag(index(flags))
    ends = ffi.new("int *"), ffi.new("int *")
    check(lib.uipc_pipe(flags, *ends), "pipe", flags)
    return ends[0][0], ends[1][0]


def mkfifo(pathname: Path, mode: int) -> None:
    """Make a FIFO (mkfifo(3)); the umask is taken off the mode."""
    check(lib.uipc_mkfifo(path_argument(pathname), index(mode)), "mkfifo", repr(pathname))


def mknod(pathname: Path, mode: int, dev: int = 0) -> None:
    """Make a FIFO, a device, a socket or an empty file: `mode` is permissions and one of S_IF* (mknod(2))."""
    advice = {errno.EPERM: "only root makes devices (CAP_MKNOD)"}
    check(lib.uipc_mknod(path_argument(pathname), index(mode), index(dev)), "mknod", repr(pathname), advice=advice)


def read(fd: int, count: int) -> bytes:
    """Read at most `count` bytes; none at the end (read(2)).

    InterruptedError when a handler without SA_RESTART interrupted it, BlockingIOError when the descriptor would block.
    With SA_RESTART it goes on, also on a socket with a timeout (SO_RCVTIMEO), which then begins anew.
    """
    count = index(count)
    buffer = ffi.new("unsigned char[]", count)
    length = check(restarting(lib.uipc_read, index(fd), buffer, count), "read", fd, advice=_NOT_READY)
    return bytes(ffi.buffer(buffer, length))


def write(fd: int, data: Buffer) -> int:
    """Write bytes and return how many went (write(2)).

    InterruptedError when a handler without SA_RESTART interrupted it before the first, BlockingIOError when the
    descriptor would block.
    """
    with bytes_argument(data) as buffer:
        result = restarting(lib.uipc_write, index(fd), buffer, len(buffer))
    return check(result, "write", fd, advice=_NOT_READY)
