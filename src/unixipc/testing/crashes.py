"""What is told of a child that came to a bad end."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unixipc import libc, signals
from unixipc.testing.recorder import RECORDED

if TYPE_CHECKING:
    from unixipc.processes import ExitStatus
    from unixipc.testing.evidence import ThreadEvidence

_CAUSES: dict[int, dict[int, str]] = {
    libc.SIGSEGV: {
        libc.SEGV_MAPERR: "nothing is mapped there",
        libc.SEGV_ACCERR: "the memory there does not allow it",
        libc.SEGV_PKUERR: "a protection key does not allow it",
    },
    libc.SIGBUS: {
        libc.BUS_ADRALN: "the address is not aligned",
        libc.BUS_ADRERR: "the mapped file ends before it, or no room was left for it",
        libc.BUS_OBJERR: "the hardware failed there",
    },
    libc.SIGFPE: {
        libc.FPE_INTDIV: "an integer was divided by zero",
        libc.FPE_FLTDIV: "a floating-point number was divided by zero",
    },
}
_NOT_TOLD = "it blocked or handled the signal, closed the descriptor for it, or had no stack left for its handler"
_LONG = 200
_WORDS = 5


@dataclass(frozen=True, slots=True)
class CrashReport:
    """How a child ended that should not have ended so; its text tells all of it."""

    pid: int
    status: ExitStatus | None
    """None where somebody else waited for it."""
    info: libc.Siginfo | None = None
    """What the signal that ended it said, where that could be recorded."""
    tid: int | None = None
    """The thread that this signal struck."""
    stack: str = ""
    """The Python stack of each of its threads at that moment, the latest call first."""
    descendants: tuple[libc.CrashRecord, ...] = ()
    """What struck processes that it had forked itself."""
    sent: bool = False
    """Whether its parent had sent it that signal."""
    words: tuple[str, ...] = ()
    """What it had said and nobody had asked for."""
    deadline: float | None = None
    """How many seconds it had, where it had to be ended."""
    threads: tuple[ThreadEvidence, ...] = ()
    """What its threads did at its deadline."""

    @property
    def signal(self) -> int | None:
        """The signal that ended it, if one did."""
        return None if self.status is None else self.status.signal

    def __str__(self) -> str:
        if self.deadline is None:
            lines = [f"child {self.pid} {self.status or 'has ended, how is not known,'} before its function returned"]
            lines += self._causes()
        else:
            lines = [f"child {self.pid} did not end within {self.deadline:g} seconds"]
            lines += [f"  {thread}" for thread in self.threads]
        lines += [
            f"  process {strike.pid}, which it forked, was struck by {cause(strike.info, strike.pid)}"
            for strike in self.descendants
        ]
        if self.words:
            rest = ", ..." if len(self.words) > _WORDS else ""
            lines.append(f"  it had said, unheard: {', '.join(map(shortened, self.words[:_WORDS]))}{rest}")
        if self.stack:
            lines += ["", "Its Python stack:", self.stack]
        elif self.deadline is not None:
            lines.append(f"  its Python stack cannot be had: {self._why_no_stack()}")
        return "\n".join(lines)

    def _causes(self) -> list[str]:
        signum = self.signal
        if signum is None:
            return []
        if self.sent:
            return ["  its parent had sent it"]
        if self.info is not None:
            struck = "" if self.tid == self.pid else f", on thread {self.tid}"
            return [f"  {cause(self.info, self.pid)}{struck}"]
        if signum == libc.SIGKILL:
            return ["  it was sent from outside, or by the kernel where memory ran out"]
        if signum in RECORDED:
            return [f"  more is not known: {_NOT_TOLD}"]
        return [f"  nobody handled it: {signals.describe(signum).description}"]

    def _why_no_stack(self) -> str:
        if self.threads and all(libc.SIGABRT in thread.blocked for thread in self.threads):
            return "it blocks SIGABRT"
        return "it handles or ignores SIGABRT, has executed another program, or has closed the descriptor for it"


class CrashError(ChildProcessError):
    """A child came to a bad end: `report` tells how."""

    def __init__(self, report: CrashReport) -> None:
        super().__init__(str(report))
        self.report = report

    def __reduce__(self) -> tuple[type[CrashError], tuple[CrashReport]]:
        return type(self), (self.report,)


class DeadlineError(TimeoutError):
    """A child did not end in time, and was ended: `report` tells what it was doing."""

    def __init__(self, report: CrashReport) -> None:
        super().__init__(errno.ETIMEDOUT, str(report))
        self.report = report

    def __str__(self) -> str:
        return str(self.report)

    def __reduce__(self) -> tuple[type[DeadlineError], tuple[CrashReport]]:
        return type(self), (self.report,)


def cause(info: libc.Siginfo, pid: int) -> str:
    """Tell in words where the signal that struck this process came from."""
    name, code = signals.name(info.si_signo), getattr(info.si_code, "name", info.si_code)
    if info.si_syscall is not None:
        return f"{name}: the system call {info.si_syscall} was refused"
    if info.si_addr is not None:
        why = _CAUSES.get(info.si_signo, {}).get(info.si_code)
        return f"{name} ({code}) at the address {info.si_addr:#x}" + (f": {why}" if why else "")
    if info.si_pid is not None:
        return f"{name} ({code}), sent by {_who(info.si_pid, pid)}"
    if info.si_code == libc.SI_KERNEL:
        return f"{name} ({code}): the address is none that a program can have, or the instruction was not allowed"
    return f"{name} ({code})"


def _who(sender: int, pid: int) -> str:
    if sender == pid:
        return "itself"
    if sender == os.getpid():
        return f"its parent, process {sender}"
    if sender == 0:
        return "a process that it cannot see"
    try:
        return f"process {sender} ({Path(f'/proc/{sender}/comm').read_text().strip()})"
    except OSError:
        return f"process {sender}"


def shortened(word: str) -> str:
    """Quote a word; of a long one the beginning, and its length."""
    return repr(word) if len(word) <= _LONG else f"{word[:_LONG]!r}... ({len(word)} characters)"
