"""Names of pipe(2), mknod(2) and splice(2)."""

from enum import IntEnum, IntFlag
from typing import Final

from unixipc import _native


class PipeFlag(IntFlag):
    """How both ends of a pipe behave (pipe(2))."""

    O_CLOEXEC = _native.lib.O_CLOEXEC
    O_NONBLOCK = _native.lib.O_NONBLOCK
    O_DIRECT = _native.lib.O_DIRECT


class FileType(IntEnum):
    """What kind of node to make (mknod(2))."""

    S_IFREG = _native.lib.S_IFREG
    S_IFCHR = _native.lib.S_IFCHR
    S_IFBLK = _native.lib.S_IFBLK
    S_IFIFO = _native.lib.S_IFIFO
    S_IFSOCK = _native.lib.S_IFSOCK


class SpliceFlag(IntFlag):
    """How data move between pipes, files and memory (splice(2), tee(2), vmsplice(2))."""

    SPLICE_F_MOVE = _native.lib.SPLICE_F_MOVE
    SPLICE_F_NONBLOCK = _native.lib.SPLICE_F_NONBLOCK
    SPLICE_F_MORE = _native.lib.SPLICE_F_MORE
    SPLICE_F_GIFT = _native.lib.SPLICE_F_GIFT


O_CLOEXEC: Final = PipeFlag.O_CLOEXEC
O_NONBLOCK: Final = PipeFlag.O_NONBLOCK
O_DIRECT: Final = PipeFlag.O_DIRECT
S_IFREG: Final = FileType.S_IFREG
S_IFCHR: Final = FileType.S_IFCHR
S_IFBLK: Final = FileType.S_IFBLK
S_IFIFO: Final = FileType.S_IFIFO
S_IFSOCK: Final = FileType.S_IFSOCK
SPLICE_F_MOVE: Final = SpliceFlag.SPLICE_F_MOVE
SPLICE_F_NONBLOCK: Final = SpliceFlag.SPLICE_F_NONBLOCK
SPLICE_F_MORE: Final = SpliceFlag.SPLICE_F_MORE
SPLICE_F_GIFT: Final = SpliceFlag.SPLICE_F_GIFT
