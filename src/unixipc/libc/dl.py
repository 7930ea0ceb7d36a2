"""dlopen(3): libraries, their symbols, and where they are mapped."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING

from unixipc import _cpython
from unixipc._check import failure
from unixipc.constants.dl import RTLD_LAZY, RTLD_NOW, DlopenFlag, SegmentFlag, SegmentType
from unixipc.libc.arguments import path_argument, size_argument

if TYPE_CHECKING:
    from unixipc._cpython import Library
    from unixipc.libc.arguments import Path

_FLAGS = sum(flag for flag in DlopenFlag if flag < 2**31)
_NOT_LOADED = "it is not loaded, and RTLD_NOLOAD does not load it"


@dataclass(frozen=True, slots=True)
class DlInfo:
    """What lies at an address (dladdr(3)): `Dl_info`. The symbol is None where the library names none near it."""

    dli_fname: str
    dli_fbase: int
    dli_sname: str | None
    dli_saddr: int | None


@dataclass(frozen=True, slots=True)
class Phdr:
    """A segment of a loaded object: `ElfW(Phdr)` (elf(5)). It lies at `dlpi_addr + p_vaddr` of the object."""

    p_type: int
    p_flags: SegmentFlag
    p_offset: int
    p_vaddr: int
    p_paddr: int
    p_filesz: int
    p_memsz: int
    p_align: int


@dataclass(frozen=True, slots=True)
class DlPhdrInfo:
    """A loaded object: `struct dl_phdr_info` (dl_iterate_phdr(3)). The program itself has the name ''.

    `dlpi_adds` and `dlpi_subs` count what was ever loaded and unloaded; `dlpi_tls_data` is 0 where the thread has none.
    """

    dlpi_addr: int
    dlpi_name: str
    dlpi_phdr: tuple[Phdr, ...]
    dlpi_adds: int
    dlpi_subs: int
    dlpi_tls_modid: int
    dlpi_tls_data: int


def _complaint(answer: tuple[int, str | None], call: str, *subject: object) -> OSError:
    """Make the exception for a failure of the loader, whose own words tell more than the errno."""
    code, said = answer
    return failure(-code, call, *subject, advice=said or _NOT_LOADED)


def _symbol(name: str | bytes, what: str) -> bytes:
    encoded = name.encode() if isinstance(name, str) else bytes(memoryview(name))
    if b"\0" in encoded:
        raise ValueError(f"the {what} {name!r} contains a NUL")
    return encoded


def dlopen(filename: Path | None, flags: int) -> Library:
    """Load a library, or with None name the program and what it shares (dlopen(3)).

    A path that leads nowhere is FileNotFoundError, all else that the loader refuses OSError (ELIBACC); its text is that
    of dlerror(3). A library that is dropped without `dlclose` stays loaded. A file that is no sound library can
    bring down the process, as can any code in one.
    """
    encoded = None if filename is None else path_argument(filename)
    subject = None if encoded is None else os.fsdecode(encoded)
    flags = index(flags)
    # glibc has flags of its own besides these, and a library loaded with one may be left half-made.
    if flags & ~_FLAGS or not flags & (RTLD_LAZY | RTLD_NOW):
        raise failure(errno.EINVAL, "dlopen", subject, flags, advice="give RTLD_LAZY or RTLD_NOW, and RTLD_* flags")
    answer = _cpython.dlopen(encoded, flags)
    if isinstance(answer, tuple):
        raise _complaint(answer, "dlopen", subject, DlopenFlag(flags))
    return answer


def dlsym(handle: Library, name: str | bytes) -> int:
    """Find the address of a symbol (dlsym(3)), which may be 0; OSError (ELIBACC) where there is no such symbol.

    RTLD_DEFAULT as the handle looks where the program itself would. A closed library is a ValueError.
    """
    answer = _cpython.dlsym(handle, _symbol(name, "symbol"), None)
    if isinstance(answer, tuple):
        raise _complaint(answer, "dlsym", handle, name)
    return answer


def dlvsym(handle: Library, name: str | bytes, version: str | bytes) -> int:
    """Find the address of one version of a symbol (dlvsym(3)), as `dlsym` does."""
    answer = _cpython.dlsym(handle, _symbol(name, "symbol"), _symbol(version, "version"))
    if isinstance(answer, tuple):
        raise _complaint(answer, "dlvsym", handle, name, version)
    return answer


def dlclose(handle: Library) -> None:
    """Give a library back (dlclose(3)), which may unload it: no address in it may be in use any more.

    Done already: ValueError. RTLD_NODELETE keeps the library for good.
    """
    answer = _cpython.dlclose(handle)
    if answer is not None:
        raise _complaint(answer, "dlclose", handle)


def dladdr(address: int) -> DlInfo | None:
    """Tell which library, and which of its symbols, lies at an address (dladdr(3)); None where none does."""
    found = _cpython.dladdr(size_argument(address, "address"))
    return None if found is None else DlInfo(*found)


def _phdr(p_type: int, p_flags: int, *rest: int) -> Phdr:
    known = SegmentType(p_type) if p_type in SegmentType._value2member_map_ else p_type
    return Phdr(known, SegmentFlag(p_flags), *rest)


def dl_iterate_phdr() -> list[DlPhdrInfo]:
    """List what is loaded, each object with its segments, as it was at one moment (dl_iterate_phdr(3))."""
    return [
        DlPhdrInfo(addr, name, tuple(_phdr(*phdr) for phdr in phdrs), *rest)
        for addr, name, phdrs, *rest in _cpython.dl_iterate_phdr()
    ]
