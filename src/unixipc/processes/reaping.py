"""Who outlives whom: children that end with their parent, and orphans that a grandparent adopts."""

from __future__ import annotations

import errno
import os
import select
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc._check import Deadline
from unixipc.processes.child import living
from unixipc.processes.status import ExitStatus, Usage
from unixipc.processes.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator


def die_with_parent(parent: int, signum: int = libc.SIGKILL) -> None:
    """Have the kernel send this process a signal when its parent ends (PR_SET_PDEATHSIG), or do so now if it has ended.

    `parent` is what `os.getpid()` gave in the parent, before it forked. Children of `fork` do it by themselves; it is
    needed again after a change of user or group, by which the kernel drops it. To the kernel, the parent is the thread
    that forked.
    """
    libc.prctl(libc.PR_SET_PDEATHSIG, signum)
    if os.getppid() not in (parent, 0):  # 0: a parent outside of this PID namespace
        libc.kill(os.getpid(), signum)


class Orphans:
    """The descendants of this process whose own parents have ended since the block began: they are its children now.

    A child that was not made by `fork`, but by `os.fork` or `subprocess`, looks the same: make none in the block.
    """

    def __init__(self) -> None:
        self._before = _children()
        self._ended: list[ExitStatus] = []

    def pids(self) -> set[int]:
        """Tell which there are, zombies included."""
        return _children() - self._before - {child.pid for child in living()}

    def kill(self, signum: int = libc.SIGKILL) -> None:
        """Send each a signal."""
        for pid in self.pids():
            with suppress(ProcessLookupError):
                libc.kill(pid, signum)

    def reap(self, timeout: float | None = None) -> list[ExitStatus]:
        """Wait until there are none, those included that they leave behind, and tell how they ended.

        TimeoutError when some still run after so many seconds; those that have ended are reaped. What was reaped before
        that, or before a signal handler raised, the next call tells.
        """
        deadline = Deadline(timeout)
        while pids := self.pids():
            late, reaped = deadline.left() == 0, False
            for pid in pids:
                reaped |= self._reap(pid)
            if not reaped and late:
                text = f"process {min(pids)} has been adopted, and has not ended within {timeout} seconds"
                raise TimeoutError(errno.ETIMEDOUT, text)
            if not reaped:
                _await(min(pids), deadline)
        ended, self._ended = self._ended, []
        return ended

    def _reap(self, pid: int) -> bool:
        """Take the status of an orphan, if it has ended and nobody else has it."""
        with undisturbed(), suppress(ChildProcessError):  # no handler may raise while the status is nobody's
            found, status, usage = os.wait4(pid, os.WNOHANG)
            if found:
                self._ended.append(ExitStatus(pid, status, Usage.of(usage)))
                return True
        return False


@contextmanager
def subreaper() -> Iterator[Orphans]:
    """Adopt, within the block, descendants whose parents end (PR_SET_CHILD_SUBREAPER); else the first process does.

    What was adopted stays a child of this process afterwards: `kill` and `reap` it.
    """
    before = libc.prctl(libc.PR_GET_CHILD_SUBREAPER)
    libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield Orphans()
    finally:
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, before)


def _await(pid: int, deadline: Deadline) -> None:
    try:
        pidfd = libc.pidfd_open(pid)
    except ProcessLookupError:  # somebody else has waited for it
        return
    try:
        with suppress(InterruptedError):
            libc.ppoll([(pidfd, select.POLLIN)], deadline.left())
    finally:
        os.close(pidfd)


def _children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found
