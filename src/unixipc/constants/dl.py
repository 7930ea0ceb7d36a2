"""Names of dlopen(3) and of the program headers that dl_iterate_phdr(3) tells (elf(5))."""

from enum import IntEnum, IntFlag
from typing import Final

from unixipc import _native


class DlopenFlag(IntFlag):
    """How a library is loaded, and what it shares with others (dlopen(3))."""

    RTLD_LAZY = _native.lib.RTLD_LAZY
    RTLD_NOW = _native.lib.RTLD_NOW
    RTLD_GLOBAL = _native.lib.RTLD_GLOBAL
    RTLD_LOCAL = _native.lib.RTLD_LOCAL
    RTLD_NODELETE = _native.lib.RTLD_NODELETE
    RTLD_NOLOAD = _native.lib.RTLD_NOLOAD
    RTLD_DEEPBIND = _native.lib.RTLD_DEEPBIND


class SegmentType(IntEnum):
    """What a segment holds: p_type (elf(5)). Processors and systems have more."""

    PT_NULL = _native.lib.PT_NULL
    PT_LOAD = _native.lib.PT_LOAD
    PT_DYNAMIC = _native.lib.PT_DYNAMIC
    PT_INTERP = _native.lib.PT_INTERP
    PT_NOTE = _native.lib.PT_NOTE
    PT_SHLIB = _native.lib.PT_SHLIB
    PT_PHDR = _native.lib.PT_PHDR
    PT_TLS = _native.lib.PT_TLS
    PT_GNU_EH_FRAME = _native.lib.PT_GNU_EH_FRAME
    PT_GNU_STACK = _native.lib.PT_GNU_STACK
    PT_GNU_RELRO = _native.lib.PT_GNU_RELRO
    PT_GNU_PROPERTY = _native.lib.PT_GNU_PROPERTY


class SegmentFlag(IntFlag):
    """What may be done to a segment: p_flags (elf(5))."""

    PF_X = _native.lib.PF_X
    PF_W = _native.lib.PF_W
    PF_R = _native.lib.PF_R


RTLD_LAZY: Final = DlopenFlag.RTLD_LAZY
RTLD_NOW: Final = DlopenFlag.RTLD_NOW
RTLD_GLOBAL: Final = DlopenFlag.RTLD_GLOBAL
RTLD_LOCAL: Final = DlopenFlag.RTLD_LOCAL
RTLD_NODELETE: Final = DlopenFlag.RTLD_NODELETE
RTLD_NOLOAD: Final = DlopenFlag.RTLD_NOLOAD
RTLD_DEEPBIND: Final = DlopenFlag.RTLD_DEEPBIND
PT_NULL: Final = SegmentType.PT_NULL
PT_LOAD: Final = SegmentType.PT_LOAD
PT_DYNAMIC: Final = SegmentType.PT_DYNAMIC
PT_INTERP: Final = SegmentType.PT_INTERP
PT_NOTE: Final = SegmentType.PT_NOTE
PT_SHLIB: Final = SegmentType.PT_SHLIB
PT_PHDR: Final = SegmentType.PT_PHDR
PT_TLS: Final = SegmentType.PT_TLS
PT_GNU_EH_FRAME: Final = SegmentType.PT_GNU_EH_FRAME
PT_GNU_STACK: Final = SegmentType.PT_GNU_STACK
PT_GNU_RELRO: Final = SegmentType.PT_GNU_RELRO
PT_GNU_PROPERTY: Final = SegmentType.PT_GNU_PROPERTY
PF_X: Final = SegmentFlag.PF_X
PF_W: Final = SegmentFlag.PF_W
PF_R: Final = SegmentFlag.PF_R
