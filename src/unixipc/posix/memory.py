"""Shared memory with a name: shm_overview(7)."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from operator import index
from typing import TYPE_CHECKING, Self

from unixipc import libc
from unixipc._check import failure
from unixipc._closing import Holding
from unixipc.posix.objects import PosixObject, check_mode, check_name

if TYPE_CHECKING:
    from collections.abc import Callable

_NEW = libc.O_CREAT | libc.O_EXCL | libc.O_RDWR
_BOTH = libc.PROT_READ | libc.PROT_WRITE


class SharedMemory(libc.Mapping, PosixObject):
    """Shared memory with a name, mapped: `memory[a:b]` and `memoryview(memory)` are its bytes, zeros at first.

    With `readonly` it is opened for reading, and so are its views. A view pins the memory: after `close` it is still
    valid, and the pages go with the last one. All of it is reserved when it is made, so that none is missing later.
    """

    _fd: int

    @classmethod
    def create(cls, name: str, size: int, *, mode: int = 0o600) -> Self:
        """Make memory of so many bytes; FileExistsError if the name has some.

        OSError (ENOSPC) where /dev/shm has no room for it, and nothing is left behind.
        """
        size = _check_size(size)
        fd = libc.shm_open(check_name(name), _NEW, check_mode(mode))
        try:
            _reserve(fd, name, size)
            return cls._map(name, fd, size, readonly=False)
        except BaseException:
            os.close(fd)
            with suppress(FileNotFoundError):  # somebody has been faster
                libc.shm_unlink(name)
            raise

    @classmethod
    def open(cls, name: str, *, readonly: bool = False) -> Self:
        """Map the memory of a name; FileNotFoundError if there is none, or whoever makes it has not given it a size."""
        fd = libc.shm_open(check_name(name), libc.O_RDONLY if readonly else libc.O_RDWR)
        try:
            return cls._map(name, fd, _size(fd, name), readonly=readonly)
        except BaseException:
            os.close(fd)
            raise

    @classmethod
    def open_or_create(cls, name: str, size: int, *, mode: int = 0o600) -> Self:
        """Map the memory of a name, which has at least this size (OSError otherwise), or make it with this size."""
        size = _check_size(size)
        while True:
            try:
                return cls.create(name, size, mode=mode)
            except FileExistsError:
                pass
            try:
                fd = libc.shm_open(name, libc.O_RDWR)
            except FileNotFoundError:  # it was unlinked just now
                continue
            try:
                return cls._join(name, fd, size)
            except BaseException:
                os.close(fd)
                raise

    @classmethod
    def _join(cls, name: str, fd: int, size: int) -> Self:
        if os.fstat(fd).st_size == 0:  # whoever makes it is not done, or never was: either may reserve it
            _reserve(fd, name, size)
        present = os.fstat(fd).st_size
        if present < size:
            advice = f"it exists, and has only {present} bytes: open() and resize() it"
            raise failure(errno.EINVAL, "open_or_create", repr(name), size, advice=advice)
        return cls._map(name, fd, present, readonly=False)

    @classmethod
    def _map(cls, name: str, fd: int, size: int, *, readonly: bool) -> Self:
        made = libc.mmap(None, size, libc.PROT_READ if readonly else _BOTH, libc.MAP_SHARED, fd, kind=cls)
        made._fd, made._name = fd, name
        return made

    def fileno(self) -> int:
        """Return the descriptor, for `os.fstat`, `os.fchmod` and the like."""
        if self.closed:
            self._refuse()
        return self._fd

    def resize(self, size: int) -> None:
        """Make the memory longer, or show what somebody else has added to it; no view may be held (BufferError).

        Never shorter (ValueError): who has the rest mapped would be killed by touching it.
        """
        size, fd = _check_size(size), self.fileno()
        if size < len(self):
            raise ValueError(f"{self!r} has {len(self)} bytes, and cannot get shorter: others may use them")
        libc.mremap(self, len(self))  # is a view held?
        if os.fstat(fd).st_size < size:
            _reserve(fd, self._name, size)
        libc.mremap(self, size, libc.MREMAP_MAYMOVE)

    def close(self) -> None:
        """Unmap the memory; twice is fine. What views still show stays, and so does the memory."""
        if not self.closed:
            libc.munmap(self)
            os.close(self._fd)

    def unlink(self) -> None:
        """Remove the name: nobody can open it any more, and the memory goes with its last mapping and descriptor."""
        libc.shm_unlink(self._name)

    @classmethod
    def _open_again(cls, name: str, readonly: bool) -> Self:  # noqa: FBT001 - pickles have no keywords
        return cls.open(name, readonly=readonly)

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[str, bool]]:
        return type(self)._open_again, (self._name, self.readonly)

    __repr__ = PosixObject.__repr__
    __del__ = Holding.__del__


def _check_size(size: int) -> int:
    number = index(size)
    if number < 1:
        raise ValueError(f"the size is {number}: shared memory has at least one byte")
    return number


def _size(fd: int, name: str) -> int:
    size = os.fstat(fd).st_size
    if size == 0:
        advice = "it has no bytes: whoever makes it is not done, or never was"
        raise failure(errno.ENOENT, "open", repr(name), advice=advice)
    return size


def _reserve(fd: int, name: str, size: int) -> None:
    try:
        os.posix_fallocate(fd, 0, size)
    except OSError as error:
        advice = "the file system of /dev/shm has no room for it" if error.errno == errno.ENOSPC else None
        raise failure(error.errno or 0, "posix_fallocate", repr(name), size, advice=advice) from None
