"""What became of a process: wait(2), with its macros in words."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unixipc.constants.signals import Signal, signal_name

if TYPE_CHECKING:
    import resource

_KIBIBYTE = 1024
_STOPPED = 0x7F


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and the children that it waited for have used (getrusage(2)). Times are seconds, sizes bytes."""

    user_time: float
    system_time: float
    max_rss: int
    minor_faults: int
    major_faults: int
    voluntary_switches: int
    involuntary_switches: int

    @classmethod
    def of(cls, usage: resource.struct_rusage) -> Usage:
        """Take it from what `os.wait4` and `resource.getrusage` return."""
        return cls(
            usage.ru_utime,
            usage.ru_stime,
            usage.ru_maxrss * _KIBIBYTE,
            usage.ru_minflt,
            usage.ru_majflt,
            usage.ru_nvcsw,
            usage.ru_nivcsw,
        )


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """What a wait reported of a process: it ended, was stopped, or goes on (wait(2)). Its text tells it in words.

    `ExitStatus(*os.waitpid(pid, options))` tells it of any child.
    """

    pid: int
    wait_status: int
    """The number as the kernel gives it, for `os.WIFEXITED` and its like."""
    usage: Usage | None = None
    """None where the process has not ended."""

    @classmethod
    def of_stop(cls, pid: int, signum: int) -> ExitStatus:
        """Make the status of a process that this signal has stopped."""
        return cls(pid, signum << 8 | _STOPPED)

    @property
    def exited(self) -> bool:
        """Whether it ended by itself (WIFEXITED)."""
        return os.WIFEXITED(self.wait_status)

    @property
    def exit_code(self) -> int | None:
        """What it exited with, if it did (WEXITSTATUS)."""
        return os.WEXITSTATUS(self.wait_status) if self.exited else None

    @property
    def killed(self) -> bool:
        """Whether a signal ended it (WIFSIGNALED)."""
        return os.WIFSIGNALED(self.wait_status)

    @property
    def signal(self) -> int | None:
        """The signal that ended it, if one did (WTERMSIG)."""
        return _member(os.WTERMSIG(self.wait_status)) if self.killed else None

    @property
    def core_dumped(self) -> bool:
        """Whether it left a core dump (WCOREDUMP)."""
        return self.killed and os.WCOREDUMP(self.wait_status)

    @property
    def stopped(self) -> bool:
        """Whether it is stopped (WIFSTOPPED)."""
        return os.WIFSTOPPED(self.wait_status)

    @property
    def stop_signal(self) -> int | None:
        """The signal that stopped it, if one did (WSTOPSIG)."""
        return _member(os.WSTOPSIG(self.wait_status)) if self.stopped else None

    @property
    def continued(self) -> bool:
        """Whether it goes on after a stop (WIFCONTINUED)."""
        return os.WIFCONTINUED(self.wait_status)

    @property
    def ended(self) -> bool:
        """Whether it is no more: it exited or was killed."""
        return self.exited or self.killed

    @property
    def success(self) -> bool:
        """Whether it exited with 0."""
        return self.exit_code == 0

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that ended it, as in `subprocess`; None where it has not ended."""
        return os.waitstatus_to_exitcode(self.wait_status) if self.ended else None

    def __str__(self) -> str:
        if self.exited:
            return f"exited with status {self.exit_code}"
        if self.killed:
            return f"was killed by {_described(os.WTERMSIG(self.wait_status))}{', core dumped' * self.core_dumped}"
        if self.stopped:
            return f"was stopped by {signal_name(os.WSTOPSIG(self.wait_status))}"
        return "was continued"


def _member(signum: int) -> int:
    try:
        return Signal(signum)
    except ValueError:
        return signum


def _described(signum: int) -> str:
    text = signal.strsignal(signum) if signum < signal.NSIG else None
    return f"{signal_name(signum)} ({text})" if text else signal_name(signum)
