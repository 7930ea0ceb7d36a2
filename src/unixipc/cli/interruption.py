"""Ctrl-C at the places where stopping is safe, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from unixipc import libc

if TYPE_CHECKING:
    from types import TracebackType

STOPPING = (libc.SIGHUP, libc.SIGINT, libc.SIGTERM)


class Interrupted(Exception):  # noqa: N818 - a request, not an error
    """Somebody asked to stop: `signum` says by which signal."""

    def __init__(self, signum: int) -> None:
        super().__init__(f"interrupted by {libc.Signal(signum).name}")
        self.signum = signum


class Interruption:
    """Keeps SIGHUP, SIGINT and SIGTERM pending for the length of a with-block; `check` and `wait` accept them.

    Nothing can thus strike between making an object and noting that it must be removed. The mask is inherited: a forked
    child leaves the terminal's Ctrl-C to its parent from its first instruction on. A signal that was ignored before, as
    `nohup` does, stays ignored.
    """

    def __enter__(self) -> Self:
        self._asked: int | None = None
        self._stopping = {signum for signum in STOPPING if libc.sigaction(signum).handler != libc.SIG_IGN}
        # Where SIGCHLD is ignored, the kernel reaps the children itself, and nobody learns how they ended.
        self._action = libc.sigaction(libc.SIGCHLD, libc.Sigaction(libc.SIG_DFL))
        self._mask = libc.sigprocmask(libc.SIG_BLOCK, self._stopping | {libc.SIGCHLD})
        return self

    def check(self) -> None:
        """Raise Interrupted if somebody has asked to stop, now or before."""
        self._accept(self._stopping, 0)
        if self._asked is not None:
            raise Interrupted(self._asked)

    def wait(self, timeout: float) -> None:
        """Sleep until a child has ended, somebody asks to stop (Interrupted), or the time is over.

        It can return early. No moment is missed: a signal that came before the call ends it at once.
        """
        self._accept(self._stopping | {libc.SIGCHLD}, timeout)
        self.check()

    def _accept(self, signals: set[libc.Signal], timeout: float) -> bool:
        try:
            signum = libc.sigtimedwait(signals, timeout).si_signo
        except (BlockingIOError, InterruptedError):
            return False
        if signum in self._stopping:
            self._asked = signum
        return True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, story: TracebackType | None
    ) -> None:
        while self._accept(self._stopping, 0):
            pass  # the second Ctrl-C of an impatient user asks for what has been done
        libc.sigaction(libc.SIGCHLD, self._action)
        libc.sigprocmask(libc.SIG_SETMASK, self._mask)
