"""Clean ends: what a daemon does with SIGTERM, in a line."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from unixipc import libc
from unixipc._check import Deadline
from unixipc.signals.arguments import signal_set
from unixipc.signals.handling import EVERY, Handling, blocked
from unixipc.signals.knowledge import DefaultAction, describe
from unixipc.signals.wakeup import Wakeup

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.signals.arguments import Signals

_ONCE = libc.SA_SIGINFO | libc.SA_RESTART | libc.SA_RESETHAND


class Terminated(SystemExit):
    """A signal asked the program to end; unless caught, it exits with 128 + the signal's number, as a shell has it."""

    def __init__(self, info: libc.Siginfo) -> None:
        super().__init__(128 + info.si_signo)
        self.info = info


class Stop:
    """Whether a signal has asked to stop: false until then. `info` is that signal's, None until then."""

    def __init__(self) -> None:
        self.info: libc.Siginfo | None = None
        self._wakeup = Wakeup(self._renewed)

    def __bool__(self) -> bool:
        return self.info is not None

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is true, at most so many seconds or to the end of the block, and tell whether it is.

        Any thread may.
        """
        deadline = Deadline(timeout)
        while not self and not self._wakeup.closed and self._wakeup.wait(deadline):
            pass
        return bool(self)

    def fileno(self) -> int:
        """Give a descriptor that is readable from then on, for `select` and event loops."""
        return self._wakeup.fileno()

    def _set(self, _: int, info: libc.Siginfo) -> None:
        self.info = self.info or info
        self._wakeup.set()

    def _renewed(self) -> None:
        if self:
            self._wakeup.set()


class _Stopping(Handling[Stop]):
    """A block with a Stop, whose waiters go on at its end."""

    def __init__(self, signals: Signals) -> None:
        super().__init__(signals, libc.Sigaction(self._set, flags=_ONCE), lambda _: self._stop)

    def _recreate_cm(self) -> Self:
        return type(self)(self._signals)

    def __enter__(self) -> Stop:
        self._refuse_nesting()
        self._stop = Stop()
        return super().__enter__()

    def _set(self, signum: int, info: libc.Siginfo) -> None:
        self._stop._set(signum, info)

    def _restore(self) -> None:
        super()._restore()
        self._stop._wakeup.close()


def stopping(signals: Signals = (libc.SIGTERM, libc.SIGINT)) -> Handling[Stop]:
    """Note signals instead of ending by them.

        with stopping() as stop:
            while not stop.wait(1):
                ...

    The same signal a second time has its default action, so that a program that does not stop can be ended.
    """
    return _Stopping(signals)


def terminating(signals: Signals = (libc.SIGTERM, libc.SIGHUP)) -> Handling[None]:
    """Raise `Terminated` in the main thread at the first of the signals, so that `finally` and atexit do their work.

    The same signal a second time has its default action. To end as the signal would have ended the program, which the
    parent can tell from an exit, catch `Terminated` and call `die_of`.
    """

    def terminate(_: int, info: libc.Siginfo) -> None:
        raise Terminated(info)

    return Handling(signals, libc.Sigaction(terminate, flags=_ONCE), lambda _: None)


def trap(action: Callable[[], object], signals: Signals = (libc.SIGTERM, libc.SIGHUP, libc.SIGINT)) -> None:
    """Run an action before the program dies of one of the signals, as `trap` in a shell; not in its children.

    It stays for the rest of the program. The action runs at most once, with all signals blocked; what it raises is
    shown, and what it printed is flushed.
    """
    owner = os.getpid()
    pending = [action]

    def last_words(signum: int, _: libc.Siginfo) -> None:
        try:
            if pending and os.getpid() == owner:
                pending.pop()()
        except BaseException:  # noqa: BLE001 - nobody is left to catch it
            sys.excepthook(*sys.exc_info())
        finally:
            for stream in (sys.stdout, sys.stderr):
                with suppress(Exception):  # none, closed, or just being written to
                    stream.flush()
            die_of(signum)

    act = libc.Sigaction(last_words, EVERY, libc.SA_SIGINFO)
    with blocked():
        for signum in signal_set(signals):
            libc.sigaction(signum, act)


def die_of(signum: int) -> None:
    """Let a signal have its default action on this process, so that its parent sees what it died of.

    It returns where that action is to do nothing, or after the process was stopped and continued. No signal ends the
    first process of a PID namespace, such as that of a container: it exits with 128 + the number instead.
    """
    with blocked():
        previous = libc.sigaction(signum)
        try:
            if previous.handler != libc.SIG_DFL:
                libc.sigaction(signum, libc.Sigaction(libc.SIG_DFL))
            libc.raise_(signum)
            libc.sigprocmask(libc.SIG_SETMASK, EVERY - {signum})
            libc.sigprocmask(libc.SIG_SETMASK, EVERY)
        finally:
            if previous.handler != libc.SIG_DFL:
                libc.sigaction(signum, previous)
    if os.getpid() == 1 and describe(signum).default_action in {DefaultAction.TERM, DefaultAction.CORE}:
        os._exit(128 + signum)
