"""A forked child as its parent sees it."""

from __future__ import annotations

import errno
import os
import select
import threading
import warnings
import weakref
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, TypeVarTuple, cast

from unixipc import libc
from unixipc._check import Deadline
from unixipc.processes.forking import start
from unixipc.processes.outcome import result_of
from unixipc.processes.status import ExitStatus, Usage

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from unixipc.processes.outcome import Kind, Report

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")

_LONGEST_POLL = 1e6  # seconds: poll(2) counts milliseconds in an int

_children: weakref.WeakSet[Child[Any]] = weakref.WeakSet()


class Child(Generic[_T]):
    """A child made by `fork`, owned by the process that made it. Leaving its with-block kills and reaps it."""

    def __init__(self, pid: int, pidfd: int, report: Report) -> None:
        self.pid = pid
        self.pidfd = pidfd
        """Refers to this child and to no other, ever; readable once it has ended. Closed when it is reaped."""
        self.status: ExitStatus | None = None
        """How it ended, with what it used; None until it was waited for."""
        self._report = report
        self._outcome: tuple[Kind, bytes] | None = None
        self._owner = os.getpid()
        self._reaping = threading.RLock()
        _children.add(self)

    @classmethod
    def start(cls, function: Callable[[*_Arguments], _T], /, *args: *_Arguments, allow_threads: bool = False) -> Self:
        """Fork a child, as `fork` does; for classes that are made of this one."""
        return start(cls, function, args, allow_threads=allow_threads)

    def __repr__(self) -> str:
        state = self.status or ("running" if self.pidfd >= 0 else "has ended")
        return f"<{type(self).__name__} {self.pid}, {state}>"

    @property
    def returncode(self) -> int | None:
        """The exit code, or minus the signal that killed it; None until it was waited for."""
        return None if self.status is None else self.status.returncode

    def fileno(self) -> int:
        """Give the pidfd, for `select` and `signals.send`; ValueError once the child was reaped."""
        if self.pidfd < 0:
            raise ValueError(f"child {self.pid} was reaped already")
        return self.pidfd

    def wait(self, timeout: float | None = None) -> ExitStatus:
        """Wait for the end of the child within so many seconds, and tell how it ended; TimeoutError if it does not.

        ChildProcessError where the kernel does not tell: somebody else waited for it, SIGCHLD is ignored, or it is not
        this process's.
        """
        deadline = Deadline(timeout)
        while self.status is None:
            self._own("wait for")
            left = deadline.left()
            if self._has_ended(left):
                self._reap()
            elif left == 0:
                text = f"child {self.pid} has not ended within {timeout} seconds"
                raise TimeoutError(errno.ETIMEDOUT, text)
        return self.status

    def _own(self, what: str) -> None:
        if self._owner != os.getpid():
            raise ChildProcessError(
                errno.ECHILD, f"process {os.getpid()} cannot {what} child {self.pid}: it is process {self._owner}'s"
            )
        if self.pidfd < 0:
            raise ChildProcessError(
                errno.ECHILD,
                f"child {self.pid} has ended, and how is not known: somebody else waited for it, or SIGCHLD is ignored",
            )

    def _has_ended(self, timeout: float | None) -> bool:
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(None if timeout is None else min(timeout, _LONGEST_POLL) * 1000))

    def _reap(self) -> None:
        """Take the status of the ended child: all of it, or, when a handler raises before, nothing."""
        mask = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())
        try:
            with self._reaping:
                if self.pidfd < 0:
                    return  # by another thread
                try:
                    os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                    pid, status, usage = os.wait4(self.pid, os.WNOHANG)
                    self.status = ExitStatus(pid, status, Usage.of(usage))
                except ChildProcessError:
                    pass  # `_own` says it
                self._outcome = self._report.read()
                self._report.close()
                os.close(self.pidfd)
                self.pidfd = -1
        finally:
            libc.sigprocmask(libc.SIG_SETMASK, mask)

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
        """Send the child a signal; nothing happens when it was reaped already."""
        if self.pidfd >= 0:
            libc.pidfd_send_signal(self.pidfd, signum)

    def stop(self) -> ExitStatus:
        """Stop the child (SIGSTOP), and return when it has stopped, or has ended before it could."""
        self.kill(libc.SIGSTOP)
        return self.wait_stopped()

    def wait_stopped(self) -> ExitStatus:
        """Wait until the child is stopped, by itself or by others, or has ended; the kernel has no timeout for it."""
        if self.status is None:
            self._own("wait for")
            change = os.waitid(os.P_PIDFD, self.pidfd, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
            if change is not None and change.si_code == libc.CLD_STOPPED:
                return ExitStatus.of_stop(self.pid, change.si_status)
        return self.wait()

    def resume(self) -> None:
        """Have the stopped child go on (SIGCONT)."""
        self.kill(libc.SIGCONT)

    def close(self) -> None:
        """Kill the child if it still runs, and reap it."""
        if self._owner != os.getpid():
            return
        mask = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())  # a handler that raises would leave a zombie
        try:
            if self.pidfd >= 0:
                self.kill()
                self._has_ended(None)
                self._reap()
        finally:
            libc.sigprocmask(libc.SIG_SETMASK, mask)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, story: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "pidfd", -1) >= 0 and self._owner == os.getpid():
            warnings.warn(f"{self!r} was never waited for", ResourceWarning, source=self, stacklevel=1)
            self.close()


def living() -> list[Child[Any]]:
    """Give this process's children that were not waited for yet."""
    return [child for child in list(_children) if child.pidfd >= 0 and child._owner == os.getpid()]  # noqa: SLF001


def _leave() -> None:
    """In a forked child: what its siblings report is none of its business, and may be large."""
    for child in list(_children):
        child._report.close()  # noqa: SLF001 - of this file


os.register_at_fork(after_in_child=_leave)
