"""Files that lie in memory and have no name: memfd_create(2)."""

from __future__ import annotations

import errno
import fcntl
import os
from operator import index
from typing import NoReturn, Self

from unixipc import libc
from unixipc._check import failure
from unixipc._closing import Holding
from unixipc.libc.arguments import unsigned_argument
from unixipc.memory.mappings import Access, Mapping
from unixipc.memory.pages import check_multiple, check_size, fill_holes, huge_flags, huge_page, page_of

_SEALING = {
    errno.EBUSY: "somebody can write to it: close its writable mappings and release their views, here and in other"
    " processes; F_SEAL_FUTURE_WRITE leaves them",
    errno.EPERM: "it was made without sealable=True, or sealed by F_SEAL_SEAL, or its descriptor is for reading only",
    errno.EINVAL: "this kernel has no such seal",
}


class MemoryFile(Holding):
    """A file in memory, which lives as long as somebody has a descriptor or a mapping of it.

    Its descriptor goes to other processes by fork, or over a socket (`socket.send_fds`), and `from_fd` takes it there.
    By its seals they know what nobody can do to it any more, whoever they got it from. All of it is reserved when it is
    made, so that none is missing later. What is not closed by its end is a ResourceWarning.
    """

    def __init__(self, fd: int) -> None:
        self._fd = index(fd)

    @classmethod
    def create(cls, size: int, *, name: str = "unixipc", sealable: bool = True, huge: bool | int = False) -> Self:
        """Make a file of so many zeros; OSError (ENOMEM, ENOSPC) where there is no room for them.

        The `name` is for those who read /proc/PID/maps, and no two need differ. `huge` asks for huge pages, of the
        default size or of so many bytes.
        """
        size, page = check_size(size), huge_page(huge, "memfd_create")
        flags = os.MFD_CLOEXEC
        if sealable:
            flags |= os.MFD_ALLOW_SEALING
        if page:
            check_multiple(page, size=size)
            flags |= os.MFD_HUGETLB | huge_flags(page)
        try:
            made = cls(os.memfd_create(name, flags))
        except OSError as error:
            advice = "the name has at most 249 bytes" if error.errno == errno.EINVAL else None
            raise failure(error.errno or 0, "memfd_create", repr(name), advice=advice) from None
        try:
            fill_holes(made._fd, size)
        except BaseException:
            made.close()
            raise
        return made

    @classmethod
    def from_fd(cls, fd: int) -> Self:
        """Take over a descriptor, which belongs to the object from now on; no program that is executed inherits it.

        Of what is no file in memory: OSError, and the descriptor stays the caller's.
        """
        number = index(fd)
        try:
            fcntl.fcntl(number, libc.F_GET_SEALS)
        except OSError as error:
            advice = "this is no file in memory; Mapping.of maps any" if error.errno == errno.EINVAL else None
            raise failure(error.errno or 0, "fcntl", number, "F_GET_SEALS", advice=advice) from None
        os.set_inheritable(number, False)  # noqa: FBT003 - it has no keyword
        return cls(number)

    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
        return self._fd < 0

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return os.fstat(self.fileno()).st_size

    @property
    def seals(self) -> libc.Seal:
        """What nobody can do to it any more."""
        return libc.Seal(fcntl.fcntl(self.fileno(), libc.F_GET_SEALS))

    def fileno(self) -> int:
        """Return the descriptor."""
        if self._fd < 0:
            self._refuse()
        return self._fd

    def map(self, size: int | None = None, *, offset: int = 0, access: Access = "read") -> Mapping:
        """Map it, or the part of it that begins at `offset`, as `Mapping.of` does; the mapping outlives `close`."""
        return Mapping.of(self.fileno(), size, offset=offset, access=access)

    def resize(self, size: int) -> None:
        """Make it longer, and reserve that too; what is mapped shows the new part when it is resized itself.

        Never shorter (ValueError): who has the rest mapped would be killed by touching it.
        """
        size, fd = check_size(size), self.fileno()
        present = self.size
        if size < present:
            raise ValueError(f"{self!r} has {present} bytes, and cannot get shorter: others may use them")
        if (page := page_of(fd)) > libc.PAGE_SIZE:
            check_multiple(page, size=size)
        if size > present and libc.F_SEAL_GROW in self.seals:
            raise failure(errno.EPERM, "resize", self, size, advice="it is sealed against growing (F_SEAL_GROW)")
        fill_holes(fd, size)

    def seal(self, seals: int) -> None:
        """Forbid for ever and everybody what these say: F_SEAL_SHRINK, F_SEAL_GROW, F_SEAL_WRITE... (fcntl(2)).

        OSError (EBUSY) for F_SEAL_WRITE as long as somebody has it mapped to be written.
        """
        fd, wanted = self.fileno(), unsigned_argument(seals, "seals")
        try:
            fcntl.fcntl(fd, libc.F_ADD_SEALS, wanted)
        except OSError as error:
            code = error.errno or 0
            raise failure(code, "fcntl", self, "F_ADD_SEALS", libc.Seal(wanted), advice=_SEALING.get(code)) from None

    def close(self) -> None:
        """Close the descriptor; twice is fine. What is mapped stays, and so does what others have."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _refuse(self) -> NoReturn:
        raise ValueError("this file is closed")

    def __repr__(self) -> str:
        state = "closed" if self._fd < 0 else f"at descriptor {self._fd}"
        return f"<{type(self).__name__} {state}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a file in memory has no name that a copy could find it by: send its descriptor")
