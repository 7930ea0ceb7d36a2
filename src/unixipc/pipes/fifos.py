"""Pipes that processes find by their path: fifo(7)."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from operator import index
from typing import Self, TypeAlias

from unixipc import libc
from unixipc._check import failure
from unixipc._closing import Holding
from unixipc.pipes.ends import Pipe, Reader, Writer, waiting

Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]

_NOBODY = "nobody opened the other side"


class Fifo(Holding):
    """A pipe with a path in the file system, which stays until somebody unlinks it.

    It refers to the FIFO that it was opened as, whatever becomes of the path (O_PATH), and is neither end of it:
    `reader` and `writer` open one. A with-block closes it, not the ends, and never unlinks.
    """

    _fd = -1

    def __init__(self, path: Path, fd: int) -> None:
        status = os.fstat(fd)
        if not stat.S_ISFIFO(status.st_mode):
            raise failure(errno.EINVAL, "open", repr(path), advice="it is no FIFO")
        self._path = path
        self._file = status.st_dev, status.st_ino
        self._fd = fd

    @classmethod
    def create(cls, path: Path, mode: int = 0o600) -> Self:
        """Make a FIFO; FileExistsError if the path is taken. The umask is taken off the mode."""
        number = index(mode)
        if not 0 <= number <= 0o777:
            raise ValueError(f"the mode is {number:#o}: it must be permissions, from 0 to 0o777")
        libc.mkfifo(path, number)
        try:
            return cls.open(path)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(path)  # noqa: PTH108 - the path may be bytes
            raise

    @classmethod
    def open(cls, path: Path) -> Self:
        """Refer to the FIFO of a path; FileNotFoundError if there is none, OSError (EINVAL) if it is something else.

        Its mode is looked at when an end is opened.
        """
        fd = libc.open(path, os.O_PATH)
        try:
            return cls(path, fd)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def open_or_create(cls, path: Path, mode: int = 0o600) -> Self:
        """Refer to the FIFO of a path, which stays as it is, or make it."""
        while True:
            try:
                return cls.create(path, mode)
            except FileExistsError:
                with suppress(FileNotFoundError):  # it was unlinked just now
                    return cls.open(path)

    @property
    def path(self) -> Path:
        """The path that it was made or opened by."""
        return self._path

    @property
    def closed(self) -> bool:
        """Whether it was closed here; its path can still be unlinked."""
        return self._fd < 0

    def reader(self, timeout: float | None = None) -> Reader:
        """Open the end that is read; waits until somebody opens the other, for so many seconds (TimeoutError)."""
        return Reader(self._open(os.O_RDONLY, "reader", timeout))

    def writer(self, timeout: float | None = None) -> Writer:
        """Open the end that is written; waits until somebody opens the other, for so many seconds (TimeoutError)."""
        return Writer(self._open(os.O_WRONLY, "writer", timeout))

    def ends(self) -> Pipe:
        """Open both ends here, without a wait: a reader whose writers come and go has no end while he has one himself.

        Between processes the reader meets no end of the pipe until this writer is closed, too.
        """
        fd = self._open(os.O_RDONLY | libc.O_NONBLOCK, "ends", None)
        try:
            writer = self.writer()
            os.set_blocking(fd, True)
            return Pipe(Reader(fd), writer)
        except BaseException:
            os.close(fd)
            raise

    def unlink(self) -> None:
        """Remove the path, and nothing else that has taken it since: who has the FIFO open goes on.

        FileNotFoundError if the FIFO does not have this path any more.
        """
        status = os.lstat(self._path)
        if (status.st_dev, status.st_ino) != self._file:
            raise failure(errno.ENOENT, "unlink", repr(self._path), advice="it is another file by now, or a link")
        os.unlink(self._path)  # noqa: PTH108 - the path may be bytes

    def close(self) -> None:
        """Let go of the FIFO; twice is fine. Its ends stay open, and it stays in the file system."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _open(self, flags: int, call: str, timeout: float | None) -> int:
        def open_end(left: float | None) -> int:
            if self._fd < 0:  # perhaps since a signal interrupted the wait
                raise ValueError(f"{self!r} was closed")
            return libc.open(f"/proc/self/fd/{self._fd}", flags, timeout=left)

        try:
            return waiting(open_end, self, call, timeout, _NOBODY)
        except PermissionError as error:
            if error.errno is None:  # a handler raised it
                raise
            raise failure(error.errno, call, repr(self._path), advice="its mode refuses this access") from None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path!r}{' closed' if self.closed else ''}>"
