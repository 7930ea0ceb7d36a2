"""mmap(2) and what is done to mappings.

Where the man pages have an address and a length, the calls take the object that owns the memory; `offset` and `length`
name a part of it. Nothing here can touch memory that unixipc does not own.
"""

from __future__ import annotations

import errno
import operator
import os
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from unixipc._check import check, failure
from unixipc._cpython import Memory, adopt
from unixipc._native import ffi, lib
from unixipc.constants.mapping import (
    MADV_DOFORK,
    MADV_DONTFORK,
    MADV_GUARD_INSTALL,
    MADV_GUARD_REMOVE,
    MADV_HWPOISON,
    MAP_ANONYMOUS,
    MAP_FIXED,
    MAP_FIXED_NOREPLACE,
    MAP_HUGE_MASK,
    MAP_HUGE_SHIFT,
    MAP_HUGETLB,
    MAP_LOCKED,
    MAP_NORESERVE,
    MAP_POPULATE,
    MAP_PRIVATE,
    MAP_TYPE,
    MREMAP_DONTUNMAP,
    MREMAP_FIXED,
    MS_SYNC,
    PROT_GROWSDOWN,
    PROT_GROWSUP,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    Madvice,
    MapFlag,
    Prot,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_LOCKING = dict.fromkeys(
    (errno.ENOMEM, errno.EPERM, errno.EAGAIN), "too much memory is locked: see RLIMIT_MEMLOCK in getrlimit(2)"
)


class Mapping(Memory):
    """What `mmap` maps. `memoryview(mapping)` shows its bytes, read-only where the memory is.

    A view pins the memory: `munmap` closes the mapping, and the pages go with the last view of it. Of a mapping that
    cannot be read (PROT_NONE) there are no views: BufferError.
    """

    __slots__ = ()


def _pages(length: int) -> int:
    return -(-length // PAGE_SIZE) * PAGE_SIZE


def _part(memory: Memory, offset: int, length: int | None) -> tuple[int, int]:
    if not isinstance(memory, Memory):
        raise TypeError(f"a Mapping or an Attachment is needed, not {memory!r}")
    offset = operator.index(offset)
    stop = len(memory) if length is None else offset + operator.index(length)
    if not 0 <= offset <= stop <= _pages(len(memory)):
        raise ValueError(f"bytes {offset} to {stop} are not within {memory!r}")
    return offset, stop


@contextmanager
def _pinned(memory: Memory, offset: int, length: int | None) -> Iterator[tuple[int, int]]:
    """Keep the memory mapped during a call on it, and give the address and the length of the part."""
    start, stop = _part(memory, offset, length)
    memory._pin()
    try:
        yield memory.address + start, stop - start
    finally:
        memory._unpin()


@contextmanager
def replaced(memory: Memory, length: int) -> Iterator[int]:
    """Give up a memory object, so that what is mapped in the block takes its place; a view of it forbids that.

    It stays closed when the block fails: by then the kernel may have unmapped it.
    """
    if not isinstance(memory, Memory):
        raise TypeError(f"an address or the Mapping or Attachment to replace is needed, not {memory!r}")
    place, rest = _pages(length), _pages(len(memory)) - _pages(length)
    if rest < 0:
        raise ValueError(f"{length} bytes do not fit in the place of {memory!r}")
    memory._surrender()
    yield memory.address
    if rest:
        check(lib.uipc_munmap(memory.address + place, rest), "munmap", hex(memory.address + place), rest)


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
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Hugepagesize:"))


def mmap(addr: int | Memory | None, length: int, prot: int, flags: int, fd: int = -1, offset: int = 0) -> Mapping:
    """Map a file or anonymous memory (mmap(2)).

    `addr` is None, a hint, or with MAP_FIXED the place. A fixed place must be free (FileExistsError otherwise), for
    what lies there may be the interpreter's own; to replace a mapping of one's own, give that object as `addr`: it is
    closed, and what it had beyond `length` is unmapped. Pages behind the end of a file are refused (ValueError), since
    touching them would end the process; so would a file that somebody makes shorter while a view is held.
    """
    length, prot, flags, fd = map(operator.index, (length, prot, flags, fd))
    if not flags & MAP_ANONYMOUS:
        _check_file(fd, length, operator.index(offset))
    if flags & MAP_HUGETLB and length % _huge_page_size(flags):
        raise failure(errno.EINVAL, "mmap", length, advice="the length must be a multiple of the huge page's size")
    if isinstance(addr, Memory):
        trial = flags & ~(MAP_FIXED | MAP_FIXED_NOREPLACE | MAP_POPULATE | MAP_LOCKED)
        munmap(_mmap(0, length, prot, trial, fd, offset))  # what is refused must not cost the old mapping
        with replaced(addr, length) as place:
            return _mmap(place, length, prot, flags | MAP_FIXED, fd, offset)
    place = 0 if addr is None else operator.index(addr)
    if flags & MAP_FIXED and not place:
        raise failure(errno.EINVAL, "mmap", place, length, advice="MAP_FIXED needs an address, and not that of NULL")
    if flags & MAP_FIXED:
        flags = flags & ~MAP_FIXED | MAP_FIXED_NOREPLACE
    return _mmap(place, length, prot, flags, fd, offset)


def _mmap(addr: int, length: int, prot: int, flags: int, fd: int, offset: int) -> Mapping:
    address = ffi.new("uint64_t *")
    result = lib.uipc_mmap(addr, length, prot, flags, fd, offset, address)
    check(result, "mmap", hex(addr), length, Prot(prot), MapFlag(flags), fd, offset, advice=_MAPPING)
    huge = bool(flags & MAP_HUGETLB)
    sure = bool(flags & MAP_ANONYMOUS) and flags & MAP_TYPE == MAP_PRIVATE and not huge
    return adopt(Mapping, False, address[0], length, bool(prot & PROT_READ), bool(prot & PROT_WRITE), sure, huge)


def munmap(mapping: Mapping, *, offset: int = 0, length: int | None = None) -> None:
    """Unmap a mapping (munmap(2)), or the pages at either of its ends.

    The whole: it is closed, and its pages stay for as long as a view shows them. A part: no view may be held
    (BufferError). Closed already: ValueError.
    """
    if not isinstance(mapping, Mapping):
        raise TypeError(f"munmap() takes a Mapping, not {mapping!r}")
    start, stop = _part(mapping, offset, length)
    stop = _pages(stop)
    if start == 0 and stop >= len(mapping):
        check(mapping._close(), "munmap", mapping)
    elif start == 0 or stop >= len(mapping):
        check(mapping._trim(start, stop), "munmap", mapping, offset, length, advice=_UNALIGNED)
    else:
        raise ValueError("a mapping can lose pages at its ends, not in its middle")


def mprotect(memory: Memory, prot: int, *, offset: int = 0, length: int | None = None) -> None:
    """Set what may be done to memory (mprotect(2)).

    Views forbid to take away what they allow: BufferError. A view needs all of the memory: while a part cannot be read
    there is none, while a part cannot be written they are read-only.
    """
    if prot & (PROT_GROWSDOWN | PROT_GROWSUP):
        raise failure(errno.EINVAL, "mprotect", memory, Prot(prot), advice="the stack is not ours to protect")
    start, stop = _part(memory, offset, length)
    if start < stop:
        check(memory._protect(start, stop, prot), "mprotect", memory, Prot(prot), advice=_UNALIGNED)


def msync(memory: Memory, flags: int = MS_SYNC, *, offset: int = 0, length: int | None = None) -> None:
    """Write changed pages back to their file (msync(2))."""
    with _pinned(memory, offset, length) as part:
        check(lib.uipc_msync(*part, flags), "msync", memory)


def mremap(mapping: Mapping, new_size: int, flags: int = 0, new_address: int | None = None) -> Mapping:
    """Make a mapping longer or shorter, or move it (mremap(2)); return it, or with MREMAP_DONTUNMAP the new one.

    No view may be held (BufferError). With MREMAP_FIXED the place at `new_address` must be free (FileExistsError).
    While pages lie behind the end of a file there can be no view of the mapping: BufferError.
    """
    if not isinstance(mapping, Mapping):
        raise TypeError(f"mremap() takes a Mapping, not {mapping!r}")
    new_size = operator.index(new_size)
    if not flags & MREMAP_FIXED:
        return _mremap(mapping, new_size, flags, 0)
    if not new_address:
        raise failure(errno.EINVAL, "mremap", mapping, new_size, advice="MREMAP_FIXED needs a new_address")
    place = mmap(new_address, new_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED)
    with replaced(place, new_size):
        return _mremap(mapping, new_size, flags, new_address)


def _mremap(mapping: Mapping, new_size: int, flags: int, new_address: int) -> Mapping:
    if not flags & MREMAP_DONTUNMAP:
        check(mapping._remap(new_size, flags, new_address), "mremap", mapping, new_size, advice=_MOVING)
        return mapping
    moved = ffi.new("uint64_t *")
    with _pinned(mapping, 0, None) as (address, length):
        result = lib.uipc_mremap(address, length, new_size, flags, new_address, moved)
        check(result, "mremap", mapping, new_size, advice=_MOVING)
    copy = adopt(Mapping, False, moved[0], new_size, True, True, False, False)
    copy._inherit(mapping)
    return copy


def madvise(memory: Memory, advice: int, *, offset: int = 0, length: int | None = None) -> None:
    """Tell the kernel how memory will be used (madvise(2)): an advice that the headers of the build define.

    MADV_HWPOISON and MADV_GUARD_INSTALL take all access away, so no view may be held (BufferError). What MADV_DONTFORK
    keeps from a child is closed there; a view that the child inherits shows nothing and must not be used.
    """
    start, stop = _part(memory, offset, length)
    try:
        known = Madvice(advice)
    except ValueError:
        raise failure(errno.EINVAL, "madvise", memory, advice, advice="no such advice is known") from None
    fatal, whole = known in (MADV_HWPOISON, MADV_GUARD_INSTALL), (start, stop) == (0, len(memory))
    if fatal:
        memory._refuse_views()
    with _pinned(memory, start, stop - start) as part:
        check(lib.uipc_madvise(*part, known), "madvise", memory, known)
        if fatal:
            memory._poison(True)
        elif known == MADV_GUARD_REMOVE and whole:
            memory._poison(False)
        elif known == MADV_DONTFORK:
            memory._keep_from_fork(True)
        elif known == MADV_DOFORK and whole:
            memory._keep_from_fork(False)


def mlock(memory: Memory, *, offset: int = 0, length: int | None = None) -> None:
    """Keep memory from being swapped out (mlock(2))."""
    with _pinned(memory, offset, length) as part:
        check(lib.uipc_mlock(*part), "mlock", memory, advice=_LOCKING)


def munlock(memory: Memory, *, offset: int = 0, length: int | None = None) -> None:
    """Let memory be swapped out again (munlock(2))."""
    with _pinned(memory, offset, length) as part:
        check(lib.uipc_munlock(*part), "munlock", memory)


def mincore(memory: Memory, *, offset: int = 0, length: int | None = None) -> bytes:
    """Tell which pages are in memory now: a byte for each, whose lowest bit says so (mincore(2))."""
    with _pinned(memory, offset, length) as (address, size):
        pages = ffi.new("unsigned char[]", _pages(size) // PAGE_SIZE)
        check(lib.uipc_mincore(address, size, pages), "mincore", memory)
    return bytes(ffi.buffer(pages))
