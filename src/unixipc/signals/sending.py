"""Signals to processes, their threads and groups."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from unixipc import libc

if TYPE_CHECKING:
    from unixipc.signals.arguments import HasPidfd


def _pid(target: int) -> int:
    pid = operator.index(target)
    if pid <= 0:
        raise ValueError(f"{pid} is no process; for a group there is send_to_group()")
    return pid


def send(target: int | HasPidfd, signum: int, *, thread: int | None = None) -> None:
    """Send a signal to a process, or to one thread of it by its thread id (kill(2), tgkill(2), pidfd_send_signal(2)).

    The process is a pid, or something with a pidfd, which cannot mean another process as a pid can that is used again.
    Unlike kill, 0 and negative numbers are a ValueError.
    """
    if not isinstance(target, int):
        if thread is not None:
            raise ValueError("a thread is named with the pid of its process, not with a pidfd")
        libc.pidfd_send_signal(target.fileno(), signum)
    elif thread is None:
        libc.kill(_pid(target), signum)
    else:
        libc.tgkill(_pid(target), thread, signum)


def send_to_group(pgid: int, signum: int) -> None:
    """Send a signal to all processes of a group (killpg(3)); a group that is not positive is a ValueError."""
    libc.killpg(_pid(pgid), signum)


def queue(
    target: int | HasPidfd, signum: int, value: int = 0, *, pointer: int | None = None, thread: int | None = None
) -> None:
    """Queue a signal with a value, a C int, to a process or one thread of it (sigqueue(3), rt_tgsigqueueinfo(2)).

    `pointer` sends an address instead. The target is as in `send`. BlockingIOError when the receiver's user has too
    many signals queued (RLIMIT_SIGPENDING); nothing is sent then.
    """
    if not isinstance(target, int):
        if thread is not None:
            raise ValueError("a thread is named with the pid of its process, not with a pidfd")
        libc.pidfd_send_signal(target.fileno(), signum, libc.Siginfo.queued(signum, value, pointer=pointer))
    elif thread is None:
        libc.sigqueue(_pid(target), signum, value, pointer=pointer)
    else:
        info = libc.Siginfo.queued(signum, value, pointer=pointer)
        libc.rt_tgsigqueueinfo(_pid(target), thread, signum, info)
