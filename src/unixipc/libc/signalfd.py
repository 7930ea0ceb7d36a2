"""signalfd(2): signals read from a descriptor."""

import errno
from collections.abc import Iterable
from operator import index

from unixipc._check import check
from unixipc._native import lib
from unixipc.constants.signals import SFD_CLOEXEC, SfdFlag
from unixipc.libc.sigsetops import SignalSet

SIGNALFD_SIGINFO_SIZE = lib.UIPC_SIGINFO_SIZE
"""How many bytes each signal is that is read."""

_OPENING = {
    errno.EBADF: "no such descriptor is open; -1 makes one",
    errno.EINVAL: "the descriptor is not of signalfd(), or a flag is none of SFD_*",
}


def signalfd(fd: int, mask: Iterable[int], flags: int = SFD_CLOEXEC) -> int:
    """Make a descriptor to read the signals of the mask from, with `fd` -1, or change that of another (signalfd(2)).

    The signals must be blocked. What is read is for `Siginfo.from_signalfd`. Without flags it is
    close-on-exec, as all of Python's descriptors are; flags are otherwise as given.
    """
    signals, flags = SignalSet(mask), SfdFlag(index(flags))
    return check(lib.uipc_signalfd(index(fd), signals.mask, flags), "signalfd", fd, signals, advice=_OPENING)
