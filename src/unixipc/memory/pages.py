"""The sizes of pages, huge ones too, and of what is made of them."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from operator import index
from pathlib import Path

from unixipc import libc
from unixipc._check import failure

NO_HUGE_PAGE = "not so many huge pages are free: the administrator reserves them by vm.nr_hugepages"

_FILLING = {
    errno.ENOSPC: "its file system has no room for it",
    errno.EBADF: "the descriptor is for reading only",
    errno.EOPNOTSUPP: "its file system cannot reserve anything",
}
_SIZES = Path("/sys/kernel/mm/hugepages")


def check_size(size: int) -> int:
    """Refuse what is no size of memory."""
    number = index(size)
    if number < 1:
        raise ValueError(f"the size is {number}: memory has at least one byte")
    return number


def check_multiple(page: int, **numbers: int) -> None:
    """Refuse places and sizes that are not of whole pages."""
    for name, number in numbers.items():
        if number % page:
            raise ValueError(f"the {name} is {number}: it must be a multiple of {page}, the size of its pages")


def huge_page(wanted: bool | int, call: str) -> int:  # noqa: FBT001 - it says which size, or only that there is one
    """Give the size of the huge pages wanted, True being the system's default; 0 for normal pages.

    OSError where the kernel has none of that size.
    """
    number = index(wanted)
    if not number:
        return 0
    sizes = sorted(int(path.name[len("hugepages-") : -len("kB")]) * 1024 for path in _SIZES.glob("hugepages-*kB"))
    if number == 1:
        number = _meminfo("Hugepagesize") or number
    if number not in sizes:
        known = f"of {', '.join(map(str, sizes))} bytes" if sizes else "of no size"
        raise failure(errno.EINVAL, call, f"huge pages of {number} bytes", advice=f"this kernel has some {known}")
    return number


def huge_flags(page: int) -> int:
    """Tell a size to mmap(2) and memfd_create(2), which take it in the same bits."""
    return (page.bit_length() - 1) << libc.MAP_HUGE_SHIFT


def page_of(fd: int) -> int:
    """Tell how large the pages are that a file is made of: only those of files in huge pages differ."""
    return max(libc.PAGE_SIZE, os.fstatvfs(fd).f_bsize) if _lies_in_memory(fd) else libc.PAGE_SIZE


def fill_holes(fd: int, size: int, offset: int = 0) -> None:
    """Have the pages of a file made, which it gets longer for if need be (posix_fallocate(3)).

    Of memory the kernel would give what it has, page by page, and then end a process: ask before.
    """
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        return
    page, missing = page_of(fd), size - 512 * status.st_blocks
    if missing > 0 and _lies_in_memory(fd) and page == libc.PAGE_SIZE:
        free = _meminfo("MemAvailable", "SwapFree")
        if missing > free:
            raise failure(
                errno.ENOMEM, "posix_fallocate", fd, offset, size, advice=f"only {free} bytes of memory are free"
            )
    try:
        os.posix_fallocate(fd, offset, size)
    except OSError as error:
        code = error.errno or 0
        advice = NO_HUGE_PAGE if code == errno.ENOSPC and page > libc.PAGE_SIZE else _FILLING.get(code)
        raise failure(code, "posix_fallocate", fd, offset, size, advice=advice) from None


def _lies_in_memory(fd: int) -> bool:
    try:
        fcntl.fcntl(fd, libc.F_GET_SEALS)
    except OSError:
        return False
    return True


def _meminfo(*names: str) -> int:
    """Add up numbers of bytes that the kernel tells (proc_meminfo(5))."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return sum(int(words[1]) * 1024 for words in lines if words[0].rstrip(":") in names)
