"""Mappings: mmap(2) and what is done to them."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager
from operator import index
from typing import TYPE_CHECKING, Literal, Protocol, Self, TypeAlias

from unixipc import libc
from unixipc._check import check, failure
from unixipc._closing import Closing
from unixipc.memory.pages import NO_HUGE_PAGE, check_multiple, check_size, fill_holes, huge_flags, huge_page, page_of

if TYPE_CHECKING:
    from collections.abc import Iterator


class _HasFileno(Protocol):
    def fileno(self) -> int: ...


Access: TypeAlias = Literal["read", "write", "copy"]
"""What is done to a file: it is read; it is written; or what is written stays in a copy of this process's own."""

File: TypeAlias = int | str | bytes | os.PathLike[str] | os.PathLike[bytes] | _HasFileno
"""A descriptor, a path, or an object with a descriptor."""

_BOTH = libc.PROT_READ | libc.PROT_WRITE
_ACCESS = {
    "read": (libc.PROT_READ, libc.MAP_SHARED),
    "write": (_BOTH, libc.MAP_SHARED),
    "copy": (_BOTH, libc.MAP_PRIVATE),
}


class Mapping(libc.Mapping, Closing):
    """Memory of the kernel's, mapped: `mapping[a:b]` and `memoryview(mapping)` are its bytes, read-only where it is.

    A view pins the memory: after `close` it is still valid, and the pages go with the last one. As long as there is one
    nothing is done that would make it crash: BufferError. What is not closed by its end is a ResourceWarning.

    A `part` is a slice of bytes that begins at a multiple of PAGE_SIZE, and means every page that it touches; None is
    the whole. What lies outside is a ValueError, and not cut off as of a list.
    """

    _source: _Source | None = None

    @classmethod
    def anonymous(
        cls,
        size: int,
        *,
        shared: bool = True,
        huge: bool | int = False,
        guarded: bool = False,
        populate: bool = False,
    ) -> Self:
        """Map zeros that children share, or of which each has a copy of its own when it writes.

        `huge` asks for huge pages, of the default size or of so many bytes: OSError if the machine has none free.
        `guarded` memory lies between two pages that nobody can touch, so that whoever runs over its end is stopped by
        SIGSEGV; the end is that of the last page. With `populate` the pages are there at once.
        """
        size, page = check_size(size), huge_page(huge, "mmap")
        flags = libc.MAP_ANONYMOUS | (libc.MAP_SHARED if shared else libc.MAP_PRIVATE)
        if populate:
            flags |= libc.MAP_POPULATE
        if page:
            return cls._huge(size, page, flags, guarded)
        if not guarded:
            return libc.mmap(None, size, _BOTH, flags, kind=cls)
        made = libc.mmap(None, _pages(size) + 2 * libc.PAGE_SIZE, _BOTH, flags, kind=cls)
        try:
            check(made._guard(size), "mprotect", made)
        except BaseException:
            made.close()
            raise
        return made

    @classmethod
    def _huge(cls, size: int, page: int, flags: int, guarded: bool) -> Self:  # noqa: FBT001 - of this class
        if guarded:
            raise ValueError("memory of huge pages cannot be guarded")
        check_multiple(page, size=size)
        try:
            return libc.mmap(None, size, _BOTH, flags | libc.MAP_HUGETLB | huge_flags(page), kind=cls)
        except OSError as error:
            if error.errno != errno.ENOMEM:
                raise
            raise failure(errno.ENOMEM, "mmap", f"{size} bytes in huge pages", advice=NO_HUGE_PAGE) from None

    @classmethod
    def of(
        cls, file: File, size: int | None = None, *, offset: int = 0, access: Access = "read", reserve: bool = True
    ) -> Self:
        """Map a file, or the part of it that begins at `offset`, a multiple of PAGE_SIZE; it may be closed afterwards.

        What is asked for must be there: a mapping makes no file longer (ValueError). To be written its holes are filled
        (posix_fallocate(3)), so that a full file system is an OSError here and not a SIGBUS later; `reserve=False`
        leaves them. Nobody may make the file shorter as long as it is mapped, since touching what is missing ends the
        process; a seal of a `MemoryFile` forbids it. The mapping keeps a descriptor of its own, which `resize` needs.
        """
        if access not in _ACCESS:
            raise ValueError(f"the access is 'read', 'write' or 'copy', and not {access!r}")
        size, offset = None if size is None else check_size(size), index(offset)
        if offset < 0:
            raise ValueError(f"the offset is {offset}: a file begins at 0")
        with _descriptor(file, access) as fd:
            source = _Source(fd, offset, reserved=reserve and access == "write")
        size = source.check(size)
        made = cls._map(source, size, access)
        made._source = source
        try:
            source.reserve(size)
        except BaseException:
            made.close()
            raise
        return made

    @classmethod
    def _map(cls, source: _Source, size: int, access: Access) -> Self:
        prot, flags = _ACCESS[access]
        try:
            return libc.mmap(None, size, prot, flags | source.flags, source.fd, source.offset, kind=cls)
        except OSError as error:
            subject = source.fd, size
            if error.errno == errno.ENOMEM and source.flags:
                raise failure(errno.ENOMEM, "mmap", *subject, advice=NO_HUGE_PAGE) from None
            if error.errno != errno.EPERM:
                raise
            if access == "write":
                advice = "it is sealed against writing: access 'read', or 'copy'"
                raise failure(errno.EPERM, "mmap", *subject, advice=advice) from None
        # Before Linux 6.7 a file that is sealed against writing cannot be shared at all. Nor does it change.
        return libc.mmap(None, size, prot, libc.MAP_PRIVATE | source.flags, source.fd, source.offset, kind=cls)

    def protect(self, prot: int, part: slice | None = None) -> None:
        """Set what may be done to memory: PROT_READ, PROT_WRITE, PROT_EXEC, or PROT_NONE of them (mprotect(2)).

        Views forbid to take away what they allow: BufferError. There are none of memory of which a part cannot be read,
        and they are read-only where a part cannot be written.
        """
        offset, length = self._place(part)
        libc.mprotect(self, prot, offset=offset, length=length)

    def advise(self, advice: int, part: slice | None = None) -> None:
        """Tell the kernel how memory will be used, by MADV_SEQUENTIAL and its like (madvise(2))."""
        offset, length = self._place(part)
        libc.madvise(self, advice, offset=offset, length=length)

    def lock(self, part: slice | None = None, *, on_fault: bool = False) -> None:
        """Keep memory from being swapped out; `on_fault` means each page from its first use on (mlock(2)).

        OSError beyond what RLIMIT_MEMLOCK allows. A forked child has nothing locked.
        """
        offset, length = self._place(part)
        if on_fault:
            libc.mlock2(self, libc.MLOCK_ONFAULT, offset=offset, length=length)
        else:
            libc.mlock(self, offset=offset, length=length)

    def unlock(self, part: slice | None = None) -> None:
        """Let memory be swapped out again; locks do not count (munlock(2))."""
        offset, length = self._place(part)
        libc.munlock(self, offset=offset, length=length)

    def flush(self, part: slice | None = None, *, wait: bool = True) -> None:
        """Write what was changed to the disk, and wait until it is there (msync(2)).

        It needs no `flush` to be seen by those who map or read the file.
        """
        offset, length = self._place(part)
        libc.msync(self, libc.MS_SYNC if wait else libc.MS_ASYNC, offset=offset, length=length)

    def resident(self, part: slice | None = None) -> list[bool]:
        """Tell of each page whether it is in memory now (mincore(2))."""
        offset, length = self._place(part)
        return [bool(page & 1) for page in libc.mincore(self, offset=offset, length=length)]

    def resize(self, size: int) -> None:
        """Show more or less, at another address if need be (mremap(2)); no view may be held (BufferError).

        It changes no file: what is to be shown must be there (ValueError), so make the file longer first. Shared
        anonymous memory has no more than it was made with; guarded memory, and that of huge pages, keeps its size.
        """
        size, before = check_size(size), len(self)
        if size > before:
            libc.mremap(self, before)  # is a view held?
            if self._source is not None:
                self._source.check(size)
                self._source.reserve(size)
        libc.mremap(self, size, libc.MREMAP_MAYMOVE)
        if size > before and self.readable:
            try:
                memoryview(self).release()
            except BufferError:
                libc.mremap(self, before)
                raise ValueError(
                    f"{self!r} cannot grow to {size} bytes: what is shared and anonymous has no more"
                ) from None

    def close(self) -> None:
        """Unmap the memory; twice is fine. What views still show stays."""
        if not self.closed:
            libc.munmap(self)
            self._source = None

    def _place(self, part: slice | None) -> tuple[int, int | None]:
        """Say where a part begins and how long it is, None for all of the rest."""
        if part is None:
            return 0, None
        if not isinstance(part, slice):
            raise TypeError(f"a part is a slice of bytes, such as slice(0, 4096), and not {part!r}")
        if part.step is not None:
            raise ValueError(f"a part has no step: {part!r}")
        start, stop = (None if end is None else index(end) for end in (part.start, part.stop))
        size = len(self)  # only now: asking for numbers can run any code
        if self.closed:
            return 0, None  # libc tells
        start = 0 if start is None else start + size if start < 0 else start
        stop = size if stop is None else stop + size if stop < 0 else stop
        if not 0 <= start <= stop <= _pages(size):
            raise ValueError(f"{part!r} is not within the {size} bytes of {self!r}")
        if start % libc.PAGE_SIZE:
            raise ValueError(f"{part!r} begins at byte {start}, which is no multiple of {libc.PAGE_SIZE} (PAGE_SIZE)")
        return start, stop - start


def _pages(size: int) -> int:
    return -(-size // libc.PAGE_SIZE) * libc.PAGE_SIZE


@contextmanager
def _descriptor(file: File, access: Access) -> Iterator[int]:
    if isinstance(file, str | bytes | os.PathLike):
        # O_NONBLOCK: a FIFO cannot be mapped, and must not be waited for
        mode = os.O_RDWR if access == "write" else os.O_RDONLY
        fd = os.open(file, mode | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            yield fd
        finally:
            os.close(fd)
    elif isinstance(file, int):
        yield file
    elif hasattr(file, "fileno"):
        yield index(file.fileno())
    else:
        raise TypeError(f"a file is a path, a descriptor, or an object with one, and not {file!r}")


class _Source:
    """The file behind a mapping, which has to know how long it is when it grows; `flags` are those of its pages."""

    def __init__(self, fd: int, offset: int, *, reserved: bool) -> None:
        self.fd, self.offset = os.dup(fd), offset
        self._page, self._reserved = page_of(fd), reserved
        self.flags = libc.MAP_HUGETLB | huge_flags(self._page) if self._page > libc.PAGE_SIZE else 0

    def check(self, size: int | None) -> int:
        """Refuse what the file does not have, and say how much is meant: None is all of it."""
        check_multiple(self._page, offset=self.offset)
        status = os.fstat(self.fd)
        if not stat.S_ISREG(status.st_mode):
            if size is None:
                raise ValueError("this is no regular file: say how many bytes of it to map")
            return size
        rest = status.st_size - self.offset
        if rest < (1 if size is None else size):
            wanted = "no byte" if size is None else f"no {size} bytes"
            raise ValueError(
                f"the file has {status.st_size} bytes, and {wanted} from {self.offset} on:"
                " make it longer first (os.posix_fallocate, MemoryFile.resize)"
            )
        size = rest if size is None else size
        if self.flags:
            check_multiple(self._page, size=size)
        return size

    def reserve(self, size: int) -> None:
        """Fill the holes that are mapped to be written."""
        if self._reserved:
            fill_holes(self.fd, size, self.offset)

    def __del__(self) -> None:
        if hasattr(self, "fd"):
            os.close(self.fd)
