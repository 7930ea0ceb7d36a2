"""Waits for signals, with timeouts; they go on after signals that are none of theirs (PEP 475)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc._check import Deadline, failure
from unixipc.signals.arguments import signal_set

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unixipc.signals.arguments import Signals

_UNBLOCKABLE = {libc.SIGKILL, libc.SIGSTOP}


def wait(signals: Signals, timeout: float | None = None) -> libc.Siginfo:
    """Accept one of the signals, within so many seconds (sigwaitinfo(2)); 0 only looks.

    They must be blocked in the calling thread, or they could end the process before: ValueError otherwise, so wait
    within `with blocked(signals):`. TimeoutError when none came. Handlers of other signals run meanwhile.
    """
    wanted = signal_set(signals)
    deadline = Deadline(timeout)
    if unblocked := wanted - libc.sigprocmask(libc.SIG_BLOCK) - _UNBLOCKABLE:
        raise ValueError(f"wait() needs its signals blocked, which {unblocked} are not: use it within blocked()")
    while True:
        left = deadline.left()
        try:
            return libc.sigwaitinfo(wanted) if left is None else libc.sigtimedwait(wanted, left)
        except InterruptedError:
            continue
        except BlockingIOError:
            raise failure(errno.ETIMEDOUT, "wait", wanted, timeout, advice="none of them came in time") from None


def suspend(mask: Iterable[int] | None = None, timeout: float | None = None) -> None:
    """Wait until a handler has run, with these signals blocked meanwhile instead of the present ones (sigsuspend(2)).

    A signal that was blocked before cannot slip by, and what it changed is seen before this waits:

        with blocked(SIGUSR1) as before:
            while not arrived:
                suspend(before)

    TimeoutError when no handler ran within so many seconds.
    """
    deadline = Deadline(timeout)
    try:
        libc.ppoll((), deadline.left(), mask)
    except InterruptedError:
        return
    raise failure(errno.ETIMEDOUT, "suspend", mask, timeout, advice="no handler ran in time")
