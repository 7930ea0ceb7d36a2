"""Names of mmap(2), mprotect(2), msync(2), mremap(2), madvise(2) and mlock(2), and the seals of memfd_create(2)."""

from enum import IntEnum, IntFlag
from typing import Final

from unixipc import _native


class Prot(IntFlag):
    """What may be done to the pages (mmap(2), mprotect(2))."""

    PROT_NONE = _native.lib.PROT_NONE
    PROT_READ = _native.lib.PROT_READ
    PROT_WRITE = _native.lib.PROT_WRITE
    PROT_EXEC = _native.lib.PROT_EXEC
    PROT_SEM = _native.lib.PROT_SEM
    PROT_GROWSDOWN = _native.lib.PROT_GROWSDOWN
    PROT_GROWSUP = _native.lib.PROT_GROWSUP


class MapFlag(IntFlag):
    """What is mapped, and how (mmap(2))."""

    MAP_FILE = _native.lib.MAP_FILE
    MAP_SHARED = _native.lib.MAP_SHARED
    MAP_PRIVATE = _native.lib.MAP_PRIVATE
    MAP_SHARED_VALIDATE = _native.lib.MAP_SHARED_VALIDATE
    MAP_FIXED = _native.lib.MAP_FIXED
    MAP_ANONYMOUS = _native.lib.MAP_ANONYMOUS
    MAP_ANON = _native.lib.MAP_ANON
    MAP_32BIT = _native.lib.MAP_32BIT
    MAP_GROWSDOWN = _native.lib.MAP_GROWSDOWN
    MAP_DENYWRITE = _native.lib.MAP_DENYWRITE
    MAP_EXECUTABLE = _native.lib.MAP_EXECUTABLE
    MAP_LOCKED = _native.lib.MAP_LOCKED
    MAP_NORESERVE = _native.lib.MAP_NORESERVE
    MAP_POPULATE = _native.lib.MAP_POPULATE
    MAP_NONBLOCK = _native.lib.MAP_NONBLOCK
    MAP_STACK = _native.lib.MAP_STACK
    MAP_HUGETLB = _native.lib.MAP_HUGETLB
    MAP_SYNC = _native.lib.MAP_SYNC
    MAP_FIXED_NOREPLACE = _native.lib.MAP_FIXED_NOREPLACE
    MAP_UNINITIALIZED = _native.lib.MAP_UNINITIALIZED
    MAP_DROPPABLE = _native.lib.MAP_DROPPABLE


class HugePage(IntEnum):
    """How large the huge pages are, beside MAP_HUGETLB: a number in the upper bits of the flags (mmap(2))."""

    MAP_HUGE_16KB = _native.lib.MAP_HUGE_16KB
    MAP_HUGE_64KB = _native.lib.MAP_HUGE_64KB
    MAP_HUGE_512KB = _native.lib.MAP_HUGE_512KB
    MAP_HUGE_1MB = _native.lib.MAP_HUGE_1MB
    MAP_HUGE_2MB = _native.lib.MAP_HUGE_2MB
    MAP_HUGE_8MB = _native.lib.MAP_HUGE_8MB
    MAP_HUGE_16MB = _native.lib.MAP_HUGE_16MB
    MAP_HUGE_32MB = _native.lib.MAP_HUGE_32MB
    MAP_HUGE_256MB = _native.lib.MAP_HUGE_256MB
    MAP_HUGE_512MB = _native.lib.MAP_HUGE_512MB
    MAP_HUGE_1GB = _native.lib.MAP_HUGE_1GB
    MAP_HUGE_2GB = _native.lib.MAP_HUGE_2GB
    MAP_HUGE_16GB = _native.lib.MAP_HUGE_16GB


class MsFlag(IntFlag):
    """How a mapping is written back (msync(2))."""

    MS_ASYNC = _native.lib.MS_ASYNC
    MS_INVALIDATE = _native.lib.MS_INVALIDATE
    MS_SYNC = _native.lib.MS_SYNC


class MremapFlag(IntFlag):
    """How a mapping may move (mremap(2))."""

    MREMAP_MAYMOVE = _native.lib.MREMAP_MAYMOVE
    MREMAP_FIXED = _native.lib.MREMAP_FIXED
    MREMAP_DONTUNMAP = _native.lib.MREMAP_DONTUNMAP


class Madvice(IntEnum):
    """What is advised about pages (madvise(2))."""

    MADV_NORMAL = _native.lib.MADV_NORMAL
    MADV_RANDOM = _native.lib.MADV_RANDOM
    MADV_SEQUENTIAL = _native.lib.MADV_SEQUENTIAL
    MADV_WILLNEED = _native.lib.MADV_WILLNEED
    MADV_DONTNEED = _native.lib.MADV_DONTNEED
    MADV_FREE = _native.lib.MADV_FREE
    MADV_REMOVE = _native.lib.MADV_REMOVE
    MADV_DONTFORK = _native.lib.MADV_DONTFORK
    MADV_DOFORK = _native.lib.MADV_DOFORK
    MADV_HWPOISON = _native.lib.MADV_HWPOISON
    MADV_SOFT_OFFLINE = _native.lib.MADV_SOFT_OFFLINE
    MADV_MERGEABLE = _native.lib.MADV_MERGEABLE
    MADV_UNMERGEABLE = _native.lib.MADV_UNMERGEABLE
    MADV_HUGEPAGE = _native.lib.MADV_HUGEPAGE
    MADV_NOHUGEPAGE = _native.lib.MADV_NOHUGEPAGE
    MADV_COLLAPSE = _native.lib.MADV_COLLAPSE
    MADV_DONTDUMP = _native.lib.MADV_DONTDUMP
    MADV_DODUMP = _native.lib.MADV_DODUMP
    MADV_WIPEONFORK = _native.lib.MADV_WIPEONFORK
    MADV_KEEPONFORK = _native.lib.MADV_KEEPONFORK
    MADV_COLD = _native.lib.MADV_COLD
    MADV_PAGEOUT = _native.lib.MADV_PAGEOUT
    MADV_POPULATE_READ = _native.lib.MADV_POPULATE_READ
    MADV_POPULATE_WRITE = _native.lib.MADV_POPULATE_WRITE
    MADV_DONTNEED_LOCKED = _native.lib.MADV_DONTNEED_LOCKED
    MADV_GUARD_INSTALL = _native.lib.MADV_GUARD_INSTALL
    MADV_GUARD_REMOVE = _native.lib.MADV_GUARD_REMOVE


class MlockFlag(IntFlag):
    """How memory is locked (mlock2(2))."""

    MLOCK_ONFAULT = _native.lib.MLOCK_ONFAULT


class MclFlag(IntFlag):
    """What of a process is locked (mlockall(2))."""

    MCL_CURRENT = _native.lib.MCL_CURRENT
    MCL_FUTURE = _native.lib.MCL_FUTURE
    MCL_ONFAULT = _native.lib.MCL_ONFAULT


class Seal(IntFlag):
    """What nobody can do to a file in memory any more (F_ADD_SEALS in fcntl(2))."""

    F_SEAL_SEAL = _native.lib.F_SEAL_SEAL
    F_SEAL_SHRINK = _native.lib.F_SEAL_SHRINK
    F_SEAL_GROW = _native.lib.F_SEAL_GROW
    F_SEAL_WRITE = _native.lib.F_SEAL_WRITE
    F_SEAL_FUTURE_WRITE = _native.lib.F_SEAL_FUTURE_WRITE
    F_SEAL_EXEC = _native.lib.F_SEAL_EXEC


PROT_NONE: Final = Prot.PROT_NONE
PROT_READ: Final = Prot.PROT_READ
PROT_WRITE: Final = Prot.PROT_WRITE
PROT_EXEC: Final = Prot.PROT_EXEC
PROT_SEM: Final = Prot.PROT_SEM
PROT_GROWSDOWN: Final = Prot.PROT_GROWSDOWN
PROT_GROWSUP: Final = Prot.PROT_GROWSUP
MAP_FILE: Final = MapFlag.MAP_FILE
MAP_SHARED: Final = MapFlag.MAP_SHARED
MAP_PRIVATE: Final = MapFlag.MAP_PRIVATE
MAP_SHARED_VALIDATE: Final = MapFlag.MAP_SHARED_VALIDATE
MAP_FIXED: Final = MapFlag.MAP_FIXED
MAP_ANONYMOUS: Final = MapFlag.MAP_ANONYMOUS
MAP_ANON: Final = MapFlag.MAP_ANON
MAP_32BIT: Final = MapFlag.MAP_32BIT
MAP_GROWSDOWN: Final = MapFlag.MAP_GROWSDOWN
MAP_DENYWRITE: Final = MapFlag.MAP_DENYWRITE
MAP_EXECUTABLE: Final = MapFlag.MAP_EXECUTABLE
MAP_LOCKED: Final = MapFlag.MAP_LOCKED
MAP_NORESERVE: Final = MapFlag.MAP_NORESERVE
MAP_POPULATE: Final = MapFlag.MAP_POPULATE
MAP_NONBLOCK: Final = MapFlag.MAP_NONBLOCK
MAP_STACK: Final = MapFlag.MAP_STACK
MAP_HUGETLB: Final = MapFlag.MAP_HUGETLB
MAP_SYNC: Final = MapFlag.MAP_SYNC
MAP_FIXED_NOREPLACE: Final = MapFlag.MAP_FIXED_NOREPLACE
MAP_UNINITIALIZED: Final = MapFlag.MAP_UNINITIALIZED
MAP_DROPPABLE: Final = MapFlag.MAP_DROPPABLE
MAP_HUGE_16KB: Final = HugePage.MAP_HUGE_16KB
MAP_HUGE_64KB: Final = HugePage.MAP_HUGE_64KB
MAP_HUGE_512KB: Final = HugePage.MAP_HUGE_512KB
MAP_HUGE_1MB: Final = HugePage.MAP_HUGE_1MB
MAP_HUGE_2MB: Final = HugePage.MAP_HUGE_2MB
MAP_HUGE_8MB: Final = HugePage.MAP_HUGE_8MB
MAP_HUGE_16MB: Final = HugePage.MAP_HUGE_16MB
MAP_HUGE_32MB: Final = HugePage.MAP_HUGE_32MB
MAP_HUGE_256MB: Final = HugePage.MAP_HUGE_256MB
MAP_HUGE_512MB: Final = HugePage.MAP_HUGE_512MB
MAP_HUGE_1GB: Final = HugePage.MAP_HUGE_1GB
MAP_HUGE_2GB: Final = HugePage.MAP_HUGE_2GB
MAP_HUGE_16GB: Final = HugePage.MAP_HUGE_16GB
MS_ASYNC: Final = MsFlag.MS_ASYNC
MS_INVALIDATE: Final = MsFlag.MS_INVALIDATE
MS_SYNC: Final = MsFlag.MS_SYNC
MREMAP_MAYMOVE: Final = MremapFlag.MREMAP_MAYMOVE
MREMAP_FIXED: Final = MremapFlag.MREMAP_FIXED
MREMAP_DONTUNMAP: Final = MremapFlag.MREMAP_DONTUNMAP
MADV_NORMAL: Final = Madvice.MADV_NORMAL
MADV_RANDOM: Final = Madvice.MADV_RANDOM
MADV_SEQUENTIAL: Final = Madvice.MADV_SEQUENTIAL
MADV_WILLNEED: Final = Madvice.MADV_WILLNEED
MADV_DONTNEED: Final = Madvice.MADV_DONTNEED
MADV_FREE: Final = Madvice.MADV_FREE
MADV_REMOVE: Final = Madvice.MADV_REMOVE
MADV_DONTFORK: Final = Madvice.MADV_DONTFORK
MADV_DOFORK: Final = Madvice.MADV_DOFORK
MADV_HWPOISON: Final = Madvice.MADV_HWPOISON
MADV_SOFT_OFFLINE: Final = Madvice.MADV_SOFT_OFFLINE
MADV_MERGEABLE: Final = Madvice.MADV_MERGEABLE
MADV_UNMERGEABLE: Final = Madvice.MADV_UNMERGEABLE
MADV_HUGEPAGE: Final = Madvice.MADV_HUGEPAGE
MADV_NOHUGEPAGE: Final = Madvice.MADV_NOHUGEPAGE
MADV_COLLAPSE: Final = Madvice.MADV_COLLAPSE
MADV_DONTDUMP: Final = Madvice.MADV_DONTDUMP
MADV_DODUMP: Final = Madvice.MADV_DODUMP
MADV_WIPEONFORK: Final = Madvice.MADV_WIPEONFORK
MADV_KEEPONFORK: Final = Madvice.MADV_KEEPONFORK
MADV_COLD: Final = Madvice.MADV_COLD
MADV_PAGEOUT: Final = Madvice.MADV_PAGEOUT
MADV_POPULATE_READ: Final = Madvice.MADV_POPULATE_READ
MADV_POPULATE_WRITE: Final = Madvice.MADV_POPULATE_WRITE
MADV_DONTNEED_LOCKED: Final = Madvice.MADV_DONTNEED_LOCKED
MADV_GUARD_INSTALL: Final = Madvice.MADV_GUARD_INSTALL
MADV_GUARD_REMOVE: Final = Madvice.MADV_GUARD_REMOVE
MLOCK_ONFAULT: Final = MlockFlag.MLOCK_ONFAULT
MCL_CURRENT: Final = MclFlag.MCL_CURRENT
MCL_FUTURE: Final = MclFlag.MCL_FUTURE
MCL_ONFAULT: Final = MclFlag.MCL_ONFAULT
F_SEAL_SEAL: Final = Seal.F_SEAL_SEAL
F_SEAL_SHRINK: Final = Seal.F_SEAL_SHRINK
F_SEAL_GROW: Final = Seal.F_SEAL_GROW
F_SEAL_WRITE: Final = Seal.F_SEAL_WRITE
F_SEAL_FUTURE_WRITE: Final = Seal.F_SEAL_FUTURE_WRITE
F_SEAL_EXEC: Final = Seal.F_SEAL_EXEC
MAP_TYPE: Final = _native.lib.MAP_TYPE
MAP_HUGE_SHIFT: Final = _native.lib.MAP_HUGE_SHIFT
MAP_HUGE_MASK: Final = _native.lib.MAP_HUGE_MASK
F_ADD_SEALS: Final = _native.lib.F_ADD_SEALS
F_GET_SEALS: Final = _native.lib.F_GET_SEALS
