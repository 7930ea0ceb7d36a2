"""A forked child as its parent sees it."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
import warnings
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, TypeVarTuple, cast

from unixipc import libc
from unixipc._check import Deadline
from unixipc._closing import Closing
from unixipc.processes.forking import start
from unixipc.processes.outcome import result_of
from unixipc.processes.status import ExitStatus, Usage
from unixipc.processes.undisturbed import undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.processes.outcome import Outcome, Report

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")

_children: weakref.WeakSet[Child[Any]] = weakref.WeakSet()


class _Descriptor:
    """A descriptor that is open as long as somebody refers to it, such as a thread that waits for it."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def __del__(self) -> None:
        os.close(self.fd)


class Child(Closing, Generic[_T]):
    """A child made by `fork`, owned by the process that made it. Leaving its with-block kills and reaps it.

    Any thread may use it. In a process that is forked later it can do nothing to the child (ChildProcessError), and
    leaving its block or dropping it does nothing.
    """

    def __init__(self, pid: int, pidfd: int, report: Report) -> None:
        self.pid = pid
        self.pidfd = pidfd
        """Refers to this child and to no other, ever; readable once it has ended. -1 when it has been reaped."""
        self.status: ExitStatus | None = None
        """How it ended, with what it used; None until it was waited for."""
        self._descriptor = _Descriptor(pidfd) if pidfd >= 0 else None
        self._report = report
        self._outcome: Outcome | None = None
        self._owner = os.getpid()
        self._owned = True
        self._reaping = threading.RLock()
        _children.add(self)
        if self._descriptor is None:
            self._read_report()

    @classmethod
    def start(cls, function: Callable[[*_Arguments], _T], /, *args: *_Arguments, allow_threads: bool = False) -> Self:
        """Fork a child, as `fork` does; for classes that are made of this one."""
        return start(cls, function, args, allow_threads=allow_threads)

    def __repr__(self) -> str:
        running = f"running, process {self._owner}'s" if not self._owned else "running" if self._descriptor else None
        return f"<{type(self).__name__} {self.pid}, {self.status or running or 'has ended'}>"

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that killed it; None until it was waited for."""
        return None if self.status is None else self.status.returncode

    def fileno(self) -> int:
        """Give the pidfd, for `select` and `signals.send`; ValueError once the child was reaped."""
        if self.pidfd < 0:
            raise ValueError(f"child {self.pid} was reaped already" if self._owned else self._stranger())
        return self.pidfd

    def wait(self, timeout: float | None = None) -> ExitStatus:
        """Wait for the end of the child within so many seconds, and tell how it ended; TimeoutError if it does not.

        ChildProcessError where the kernel does not tell: somebody else waited for it, SIGCHLD is ignored, or it is not
        this process's.
        """
        deadline = Deadline(timeout)
        while self.status is None:
            if not self._ends(deadline):
                raise TimeoutError(errno.ETIMEDOUT, f"child {self.pid} has not ended within {timeout} seconds")
            self._reap()
        return self.status

    def _stranger(self) -> str:
        return f"child {self.pid} is process {self._owner}'s: process {os.getpid()} can neither wait for it nor end it"

    def _held(self) -> _Descriptor:
        """Give the pidfd, which stays open meanwhile though another thread should reap the child."""
        held = self._descriptor
        if held is not None:
            return held
        text = f"child {self.pid} has ended, and how is not known: somebody else waited for it, or SIGCHLD is ignored"
        raise ChildProcessError(errno.ECHILD, text if self._owned else self._stranger())

    def _ends(self, deadline: Deadline) -> bool:
        try:
            held = self._held()
        except ChildProcessError:
            if self.status is None:
                raise
            return True  # another thread has just waited for it
        try:
            while True:
                with suppress(InterruptedError):
                    if not libc.ppoll([(held.fd, select.POLLIN)], deadline.left()):
                        return False
                    with suppress(ChildProcessError):  # `_reap` finds out
                        os.waitid(os.P_PIDFD, held.fd, os.WEXITED | os.WNOWAIT)  # a tracer has it first
                    return True
        finally:
            del held  # or the traceback of an exception would keep it open

    def _reap(self) -> None:
        """Take the status of the ended child: all of it, or, when a handler raises before, nothing."""
        with undisturbed(), self._reaping:
            if self._descriptor is None:
                return  # another thread has done it
            with suppress(ChildProcessError):  # `_held` tells
                if os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                    return
                pid, status, usage = os.wait4(self.pid, 0)  # the number is still the child's
                self.status = ExitStatus(pid, status, Usage.of(usage))
            self.pidfd = -1
            self._descriptor = None
            self._read_report()

    def _read_report(self) -> None:
        try:
            self._outcome = self._report.read()
        finally:
            self._report.close()

    def result(self, timeout: float | None = None) -> _T:
        """Wait for the child, and return what its function returned or raise what it raised, with its traceback.

        ChildProcessError when it ended in another way, and for an exception that does not pickle.
        """
        try:
            self.wait(timeout)
        except ChildProcessError:
            if self._outcome is None:
                raise
        return cast("_T", result_of(self.pid, self.status, self._outcome))

    def kill(self, signum: int = libc.SIGKILL) -> None:
        """Send the child a signal; nothing happens when it has ended."""
        if not self._owned:
            self._held()
        held = self._descriptor
        if held is not None:
            with suppress(ProcessLookupError):
                libc.pidfd_send_signal(held.fd, signum)

    def stop(self) -> ExitStatus:
        """Stop the child (SIGSTOP), and return when it is stopped, or has ended before it could."""
        self.kill(libc.SIGSTOP)
        return self.wait_stopped()

    def wait_stopped(self) -> ExitStatus:
        """Wait until the child is stopped, by itself or by others, or has ended; the kernel has no timeout for it."""
        held = self._descriptor
        if held is not None:
            try:
                change = os.waitid(os.P_PIDFD, held.fd, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            except ChildProcessError:
                change = None  # `wait` tells
            finally:
                del held
            if change is not None and change.si_code == libc.CLD_STOPPED:
                return ExitStatus.of_stop(self.pid, change.si_status)
        return self.wait()

    def resume(self) -> None:
        """Have the stopped child go on (SIGCONT); it does when this returns."""
        self.kill(libc.SIGCONT)

    def close(self) -> None:
        """Kill the child if it still runs, and reap it."""
        if self._descriptor is None:
            return
        try:
            self._end()
        except BaseException:  # of a handler, before it could do no more harm
            self._end()
            raise

    def _end(self) -> None:
        with undisturbed():
            while (held := self._descriptor) is not None:
                with suppress(ProcessLookupError):
                    libc.pidfd_send_signal(held.fd, libc.SIGKILL)
                del held
                with suppress(ChildProcessError):
                    self._ends(Deadline(None))
                self._reap()

    def __del__(self) -> None:
        if getattr(self, "_descriptor", None) is not None:
            try:
                warnings.warn(f"{self!r} was never waited for", ResourceWarning, source=self, stacklevel=1)
            finally:  # the warning may be an error
                if not sys.is_finalizing():  # else the kernel kills it now, and its status could not be made
                    self.close()

    def _disown(self) -> None:
        self._owned = False
        self._descriptor = None
        self.pidfd = -1
        self._report.close()


def living() -> list[Child[Any]]:
    """Give this process's children that were not waited for yet."""
    return [child for child in tuple(_children) if child.pidfd >= 0]


def _leave() -> None:
    """In a forked child: its siblings, and what they report, are none of its business."""
    for child in tuple(_children):
        child._disown()  # noqa: SLF001 - of this file
    _children.clear()


os.register_at_fork(after_in_child=_leave)
