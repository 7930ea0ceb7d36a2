"""What a child has about it in case it crashes: a file in memory, to which its last handlers write."""

from __future__ import annotations

import faulthandler
import os
import re
import threading
from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Mapping

# What faulthandler.enable() looks after, and what it does not.
_ENABLED = libc.SignalSet({libc.SIGSEGV, libc.SIGBUS, libc.SIGFPE, libc.SIGILL, libc.SIGABRT})
_REGISTERED = (libc.SIGSYS, libc.SIGTRAP)
RECORDED = _ENABLED | libc.SignalSet(_REGISTERED)
"""The signals that tell of a crash: what they say is recorded, with the Python stack."""

_STACK = 16 * libc.SIGSTKSZ
_BEGIN = re.compile(r'  File ".*/unixipc/testing/children\.py", line \d+ in _begin')
_OF_NO_USE = ("Fatal Python error: ", "Extension modules: ")
_THREAD = re.compile(r"(Current t|T)hread 0x")


@dataclass(frozen=True, slots=True)
class Recording:
    """What was recorded of processes that crashed: what struck them, and their Python stacks, by their pids."""

    strikes: tuple[libc.CrashRecord, ...]
    stacks: Mapping[int, str]

    def last(self, pid: int, signum: int | None) -> libc.CrashRecord | None:
        """Give the last strike of a signal at a process."""
        found = [strike for strike in self.strikes if (strike.pid, strike.info.si_signo) == (pid, signum)]
        return found[-1] if found else None


class Recorder:
    """A file in memory for the last words of a child and of what it forks; to be made just before the fork.

    What can be known beforehand is: in a child each page of memory that is touched first costs as much as many calls.
    """

    def __init__(self) -> None:
        self._fd = os.memfd_create("unixipc crash")
        self._handler = libc.CrashHandler(self._fd)
        self._enabled = faulthandler.is_enabled()
        self._unhandled = libc.CrashHandler.unhandled(RECORDED, _faulthandlers() if self._enabled else None)
        has_stack = self._enabled and threading.current_thread() is threading.main_thread()  # faulthandler's own
        self._stack = None if has_stack else libc.sigaltstack()

    def install(self) -> None:
        """Record the crashes of this process from now on (called in the child).

        Signals that somebody handles already, or ignores, are left alone, and so is a stack for handlers.
        """
        if self._enabled:
            faulthandler.enable(self._fd)
        else:
            before = {signum: libc.sigaction(signum) for signum in _ENABLED - self._unhandled}
            faulthandler.enable(self._fd)
            for signum, action in before.items():
                libc.sigaction(signum, action)  # faulthandler.enable() has no regard for others
        for signum in _REGISTERED:
            if signum in self._unhandled:
                faulthandler.register(signum, self._fd, chain=True)
        if self._stack is not None:
            _set_stack(self._stack)
        self._handler.watch(self._unhandled)

    def read(self) -> Recording:
        """Tell what was recorded until now."""
        strikes, stacks = [], dict[int, str]()
        content = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        for part in libc.CrashRecord.split(content):
            if isinstance(part, libc.CrashRecord):
                strikes.append(part)
            elif strikes:
                pid, text = strikes[-1].pid, _readable(part.decode(errors="backslashreplace"))
                stacks[pid] = f"{stacks[pid]}\n{text}" if pid in stacks else text
        return Recording(tuple(strikes), stacks)

    def close(self) -> None:
        """Close the descriptor; twice is fine."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)


@cache
def _faulthandlers() -> libc.NativeHandler | None:
    """Tell the handler of faulthandler, which is enabled: what most of its signals have. It never changes."""
    usual, _ = Counter(libc.sigaction(signum).handler for signum in _ENABLED).most_common(1)[0]
    return usual if isinstance(usual, libc.NativeHandler) else None


def _set_stack(before: libc.Stack) -> None:
    """Have a stack for the handlers of this thread, whose own may overflow; faulthandler makes one, once."""
    if before.ss_flags & libc.SS_DISABLE:
        if libc.sigaltstack().ss_flags & libc.SS_DISABLE:
            access, kind = libc.PROT_READ | libc.PROT_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_NORESERVE
            libc.sigaltstack(libc.Stack(libc.mmap(None, _STACK, access, kind)))
    else:
        libc.sigaltstack(before)


def _readable(text: str) -> str:
    """Leave out of what faulthandler wrote whatever was there before the fork."""
    lines = list[str]()
    skipping = False
    for line in text.splitlines():
        if _THREAD.match(line):
            skipping = False
        elif _BEGIN.fullmatch(line):
            skipping = True
        if not skipping and not line.startswith(_OF_NO_USE):
            lines.append(line)
    return "\n".join(lines).strip()
