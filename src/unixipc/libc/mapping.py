"""mmap(2) and what is done to mappings.

Where the man pages have an address and a length, the calls take the object that owns the memory; `offset` and `length`
name a part of it. Nothing here can touch memory that unixipc does not own.
"""

from __future__ import annotations

import errno
import os
import stat
from operator import index
from typing import TypeVar, overload

from unixipc import _cpython
from unixipc._check import check, check_made, failure
from unixipc._cpython import Memory
from unixipc._native import lib
from unixipc.constants.mapping import (
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_HUGE_MASK,
    MAP_HUGE_SHIFT,
    MAP_HUGETLB,
    MREMAP_FIXED,
    MS_SYNC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    Madvice,
    MapFlag,
    MclFlag,
    MlockFlag,
    Prot,
)
from unixipc.libc.arguments import int_argument, size_argument, unsigned_argument

PAGE_SIZE = lib.uipc_page_size()

_UNALIGNED = {errno.EINVAL: "offset must be a multiple of PAGE_SIZE"}
_TAKEN = {errno.EEXIST: "something is mapped there already; give the object that owns it as addr to replace it"}
_MAPPING = _TAKEN | {
    errno.EACCES: "the descriptor was not opened for what prot asks; MAP_SHARED writes need O_RDWR",
    errno.EINVAL: "give a length above 0, an offset that is a multiple of PAGE_SIZE, and MAP_SHARED or MAP_PRIVATE",
    errno.ENODEV: "this kind of file cannot be mapped",
    errno.ENOMEM: "out of memory, of huge pages, or of mappings (vm.max_map_count, RLIMIT_AS)",
    errno.EAGAIN: "too much memory is locked: see RLIMIT_MEMLOCK in getrlimit(2)",
}
_MOVING = {
    errno.EFAULT: "the mapping is not what it was made as: part of it has gone or differs",
    errno.EINVAL: "give a size above 0; MREMAP_DONTUNMAP needs MREMAP_MAYMOVE, and the size that the mapping has",
    errno.ENOMEM: "there is no room behind it: MREMAP_MAYMOVE lets it move",
}
_ADVISING = {
    errno.EINVAL: "this kind of memory does not take it, or offset is no multiple of PAGE_SIZE",
    errno.EPERM: "this advice needs CAP_SYS_ADMIN",
}
_LOCKING = dict.fromkeys(
    (errno.ENOMEM, errno.EPERM, errno.EAGAIN), "too much memory is locked: see RLIMIT_MEMLOCK in getrlimit(2)"
)
_LOCKING_ALL = _LOCKING | {errno.EINVAL: "give MCL_CURRENT or MCL_FUTURE, or both; MCL_ONFAULT only beside them"}
_LOCKING2 = _LOCKING | {errno.EINVAL: "the only flag is MLOCK_ONFAULT"}


class Mapping(Memory):
    """What `mmap` maps. `memoryview(mapping)` shows its bytes, read-only where the memory is.

    A view pins the memory: `munmap` closes the mapping, and the pages go with the last view of it. Of a mapping that
    cannot be read (PROT_NONE) there are no views: BufferError.
    """

    __slots__ = ()


_M = TypeVar("_M", bound=Mapping)


def _pages(length: int) -> int:
    return -(-length // PAGE_SIZE) * PAGE_SIZE


def _check_memory(memory: Memory, call: str, kind: type[Memory] = Memory) -> None:
    if not isinstance(memory, kind):
        raise TypeError(f"{call}() takes a {kind.__name__}, not {memory!r}")


def _check_file(fd: int, length: int, offset: int) -> None:
    """Refuse what would raise SIGBUS at the first touch: pages behind the end of the file."""
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and offset + length > _pages(status.st_size):
        raise ValueError(
            f"mmap({fd}): bytes {offset} to {offset + length} lie behind the end of the file,"
            f" which has {status.st_size}: make it longer first (ftruncate, posix_fallocate)"
        )


def _huge_page_size(flags: int) -> int:
    chosen = flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK
    if chosen:
        return 1 << chosen
    with open("/proc/meminfo") as lines:  # noqa: PTH123 - a line of it
        sizes = (int(line.split()[1]) * 1024 for line in lines if line.startswith("Hugepagesize:"))
        return next(sizes, 1)  # without one, the kernel itself will refuse


@overload
def mmap(addr: int | Memory | None, length: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> Mapping: ...
@overload
def mmap(
    addr: int | Memory | None, length: int, prot: int, flags: int, fd: int = -1, offset: int = 0, *, kind: type[_M]
) -> _M: ...
def mmap(
    addr: int | Memory | None,
    length: int,
    prot: int,
    flags: int,
    fd: int = -1,
    offset: int = 0,
    *,
    kind: type[Mapping] = Mapping,
) -> Mapping:
    """Map a file or anonymous memory (mmap(2)).

    `addr` is None, a hint, or with MAP_FIXED the place. A fixed place must be free (FileExistsError otherwise), for
    what lies there may be the interpreter's own; to replace a mapping of one's own, give that object as `addr`: it is
    closed, and what it had beyond `length` is unmapped. Pages behind the end of a file are refused (ValueError), since
    touching them would end the process; so would a file that somebody makes shorter while a view is held. `kind` is a
    class of one's own that the result gets.
    """
    if not issubclass(kind, Mapping):
        raise TypeError(f"kind must be a subclass of Mapping, not {kind!r}")
    length, offset = size_argument(length, "length"), index(offset)
    prot, flags, fd = index(prot), unsigned_argument(flags, "flags"), index(fd)
    if not flags & MAP_ANONYMOUS:
        _check_file(fd, length, offset)
    if flags & MAP_HUGETLB and length % _huge_page_size(flags):
        raise failure(errno.EINVAL, "mmap", length, advice="the length must be a multiple of the huge page's size")
    if isinstance(addr, Memory):
        target, place = addr, 0
    else:
        target, place = None, 0 if addr is None else size_argument(addr, "addr")
    if flags & MAP_FIXED and target is None:
        if not place:
            raise failure(
                errno.EINVAL, "mmap", place, length, advice="MAP_FIXED needs an address, and not that of NULL"
            )
        flags = flags & ~MAP_FIXED | MAP_FIXED_NOREPLACE
    size = flags & MAP_HUGE_MASK << MAP_HUGE_SHIFT if flags & MAP_HUGETLB else 0
    subject = addr, length, Prot(prot), MapFlag(flags - size), fd, offset
    made = _cpython.mmap(kind, target, place, length, prot, flags, fd, offset)
    return check_made(made, "mmap", *subject, advice=_MAPPING)


def munmap(mapping: Mapping, *, offset: int = 0, length: int | None = None) -> None:
    """Unmap a mapping (munmap(2)), or the pages at either of its ends.

    The whole: it is closed, and its pages stay for as long as a view shows them. A part: no view may be held
    (BufferError). Closed already: ValueError.
    """
    _check_memory(mapping, "munmap", Mapping)
    check(mapping._unmap(offset, length), "munmap", mapping, offset, length, advice=_UNALIGNED)


def mprotect(memory: Memory, prot: int, *, offset: int = 0, length: int | None = None) -> None:
    """Set what may be done to memory (mprotect(2)).

    Views forbid to take away what they allow: BufferError. A view needs all of the memory: while a part cannot be read
    there is none, while a part cannot be written they are read-only.
    """
    _check_memory(memory, "mprotect")
    prot = index(prot)
    if prot & (PROT_GROWSDOWN | PROT_GROWSUP):
        raise failure(errno.EINVAL, "mprotect", memory, Prot(prot), advice="the stack is not ours to protect")
    check(memory._protect(offset, length, prot), "mprotect", memory, Prot(prot), advice=_UNALIGNED)


def msync(memory: Memory, flags: int = MS_SYNC, *, offset: int = 0, length: int | None = None) -> None:
    """Write changed pages back to their file (msync(2))."""
    _check_memory(memory, "msync")
    check(memory._sync(offset, length, flags), "msync", memory, offset, length, advice=_UNALIGNED)


def mremap(mapping: Mapping, new_size: int, flags: int = 0, new_address: int | None = None) -> Mapping:
    """Make a mapping longer or shorter, or move it (mremap(2)); return it, or with MREMAP_DONTUNMAP the new one.

    No view may be held (BufferError). With MREMAP_FIXED the place at `new_address` must be free (FileExistsError).
    While pages lie behind the end of a file there can be no view of the mapping: BufferError.
    """
    _check_memory(mapping, "mremap", Mapping)
    new_size, flags = size_argument(new_size, "new_size"), index(flags)
    if flags & MREMAP_FIXED and not new_address:
        raise failure(errno.EINVAL, "mremap", mapping, new_size, advice="MREMAP_FIXED needs a new_address")
    place = 0 if new_address is None else size_argument(new_address, "new_address")
    moved = _cpython.mremap(Mapping, mapping, new_size, flags, place)
    return check_made(moved, "mremap", mapping, new_size, advice=_MOVING)


def madvise(memory: Memory, advice: int, *, offset: int = 0, length: int | None = None) -> None:
    """Tell the kernel how memory will be used (madvise(2)): an advice that the headers of the build define.

    MADV_HWPOISON and MADV_GUARD_INSTALL take all access away, so no view may be held (BufferError). What MADV_DONTFORK
    keeps from a child is closed there; a view that the child inherits shows nothing and must not be used.
    """
    _check_memory(memory, "madvise")
    advice = index(advice)
    if advice not in list(Madvice) or advice >= 2**31:
        raise failure(errno.EINVAL, "madvise", memory, advice, advice="the headers of the build have no such advice")
    check(memory._advise(offset, length, advice), "madvise", memory, Madvice(advice), advice=_ADVISING)


def mlock(memory: Memory, *, offset: int = 0, length: int | None = None) -> None:
    """Keep memory from being swapped out (mlock(2))."""
    _check_memory(memory, "mlock")
    check(memory._lock(offset, length, True), "mlock", memory, advice=_LOCKING)


def mlock2(memory: Memory, flags: int, *, offset: int = 0, length: int | None = None) -> None:
    """Keep memory from being swapped out; with MLOCK_ONFAULT each page from its first touch on (mlock2(2))."""
    _check_memory(memory, "mlock2")
    flags = int_argument(flags, "flags")
    check(memory._lock2(offset, length, flags), "mlock2", memory, MlockFlag(flags), advice=_LOCKING2)


def munlock(memory: Memory, *, offset: int = 0, length: int | None = None) -> None:
    """Let memory be swapped out again (munlock(2))."""
    _check_memory(memory, "munlock")
    check(memory._lock(offset, length, False), "munlock", memory)


def mlockall(flags: int) -> None:
    """Keep all memory of the process from being swapped out, what it has or what it will have (mlockall(2)).

    A forked child starts with nothing locked. With MCL_FUTURE, what goes beyond RLIMIT_MEMLOCK cannot be had: to map it
    is an OSError, a Python object that needs it a MemoryError.
    """
    flags = int_argument(flags, "flags")
    check(lib.uipc_mlockall(flags), "mlockall", MclFlag(flags), advice=_LOCKING_ALL)


def munlockall() -> None:
    """Let all memory of the process be swapped out again (mlockall(2))."""
    check(lib.uipc_munlockall(), "munlockall")


def mincore(memory: Memory, *, offset: int = 0, length: int | None = None) -> bytes:
    """Tell which pages are in memory now: a byte for each, whose lowest bit says so (mincore(2))."""
    _check_memory(memory, "mincore")
    return check_made(memory._residency(offset, length), "mincore", memory, offset, length, advice=_UNALIGNED)
