"""Signals to processes, their threads and groups."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

from unixipc import libc

if TYPE_CHECKING:
    from unixipc.signals.arguments import HasPidfd


def _pid(target: Any) -> int:
    pid = operator.index(target)
    if pid <= 0:
        raise ValueError(f"{pid} is no process; for a group there is send_to_group()")
    return pid


def _pidfd(target: int | HasPidfd, thread: int | None) -> int | None:
    """Give the pidfd of a target; None where it is a pid."""
    if hasattr(target, "__index__"):
        return None
    if not hasattr(target, "fileno"):
        raise TypeError(f"a process is a pid, or an object with a pidfd, not {target!r}")
    if thread is not None:
        raise ValueError("a thread is named with the pid of its process, not with a pidfd")
    return operator.index(target.fileno())


def send(target: int | HasPidfd, signum: int, *, thread: int | None = None) -> None:
    """Send a signal to a process, or to one thread of it by its thread id (kill(2), tgkill(2), pidfd_send_signal(2)).

    The process is a pid, or something with a pidfd, which cannot mean another process as a pid can that is used again.
    Unlike kill, 0 and negative numbers are a ValueError.
    """
    pidfd = _pidfd(target, thread)
    if pidfd is not None:
        libc.pidfd_send_signal(pidfd, signum)
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
    pidfd = _pidfd(target, thread)
    if pidfd is not None:
        libc.pidfd_send_signal(pidfd, signum, libc.Siginfo.queued(signum, value, pointer=pointer))
    elif thread is None:
        libc.sigqueue(_pid(target), signum, value, pointer=pointer)
    else:
        info = libc.Siginfo.queued(signum, value, pointer=pointer)
        libc.rt_tgsigqueueinfo(_pid(target), thread, signum, info)
