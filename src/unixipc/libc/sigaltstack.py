"""sigaltstack(2): where the handlers that were installed with SA_ONSTACK run. The C part of Python handlers is one."""

import errno
from dataclasses import dataclass
from operator import index
from threading import local

from unixipc import _cpython
from unixipc._check import check_made
from unixipc._cpython import Memory
from unixipc._native import lib
from unixipc.constants.signals import SS_DISABLE, SsFlag
from unixipc.libc.arguments import size_argument

SIGSTKSZ = lib.uipc_sigstksz()
"""How much a stack has at least (sysconf(3)): several may be needed where handlers interrupt each other."""

_SETTING = {
    errno.EINVAL: "ss_flags is one of SS_ONSTACK and SS_DISABLE, or neither, and SS_AUTODISARM",
    errno.ENOMEM: f"a stack has at least SIGSTKSZ bytes, {SIGSTKSZ} on this machine",
    errno.EPERM: "the thread is running on the stack that this would change",
}


@dataclass(frozen=True, slots=True)
class Stack:
    """A stack for signal handlers: `stack_t` (sigaltstack(2)).

    `ss_sp` is a Mapping, whose length is `ss_size`, or None where there is no stack. What other code put in place is
    reported by its address, and can be put back exactly, on the same thread.
    """

    ss_sp: Memory | int | None = None
    ss_flags: int = SsFlag(0)
    ss_size: int = 0

    def __post_init__(self) -> None:
        flags = index(self.ss_flags)
        if not 0 <= flags < 2**32:
            raise OverflowError(f"ss_flags are {flags}: they must fit a C int")
        object.__setattr__(self, "ss_flags", SsFlag(flags))
        size = size_argument(self.ss_size, "ss_size")
        if isinstance(self.ss_sp, Memory):
            if size not in (0, len(self.ss_sp)):
                raise ValueError(f"ss_size is {size}, but {self.ss_sp!r} is used in whole")
            size = len(self.ss_sp)
        elif self.ss_sp is not None:
            object.__setattr__(self, "ss_sp", size_argument(self.ss_sp, "ss_sp"))
        object.__setattr__(self, "ss_size", size)


class _Seen(local):
    """The stacks of other code that this thread was told of: only these can be put back."""

    def __init__(self) -> None:
        self.stacks: set[tuple[int, int]] = set()


_seen = _Seen()


def sigaltstack(ss: Stack | None = None) -> Stack:
    """Put a stack in place for the calling thread, and return the one before, whoever put that there (sigaltstack(2)).

    It is a Mapping (TypeError otherwise), private and anonymous (ValueError), that nothing else uses: no view shows it,
    and no other thread has it for a stack (BufferError). While it is in place it stays mapped, whatever is done with
    the object, and cannot be shown, moved, protected or advised on (BufferError). When a thread ends with its stack in
    place, this goes on. A new thread has none.
    """
    if ss is None:
        answer = _cpython.sigaltstack()
    elif isinstance(ss, Stack):
        answer = _cpython.sigaltstack(*_for_c(ss))
    else:
        raise TypeError(f"ss is a Stack, not {ss!r}")
    memory, address, size, flags = check_made(answer, "sigaltstack", *([] if ss is None else [ss]), advice=_SETTING)
    if memory is not None:
        return Stack(memory, flags)
    if not address:
        return Stack(None, flags)
    _seen.stacks.add((address, size))
    return Stack(address, flags, size)


def _for_c(ss: Stack) -> tuple[Memory | None, int, int, int]:
    if ss.ss_sp is None or ss.ss_flags & SS_DISABLE:
        return None, 0, 0, ss.ss_flags
    if isinstance(ss.ss_sp, Memory):
        return ss.ss_sp, 0, 0, ss.ss_flags
    if (ss.ss_sp, ss.ss_size) not in _seen.stacks:
        raise ValueError(f"{ss}: no stack of other code on this thread is this one, and a stack of ours is a Mapping")
    return None, ss.ss_sp, ss.ss_size, ss.ss_flags
