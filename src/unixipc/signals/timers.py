"""Timers of a process that send signals (timer_create(2))."""

from __future__ import annotations

import os

from unixipc import libc
from unixipc._closing import Holding

_SOON = 1e-9  # the kernel takes 0 for "never"


class Timer(Holding):
    """A timer that sends a signal when its time has come, once or again and again.

    The signal has the si_code SI_TIMER, the timer's `id` as si_timerid, the `value` as si_value, and in si_overrun how
    often the timer expired again before it was delivered: of each timer one signal waits at a time. It goes to the
    process, or with `thread` to that thread of it (`threading.get_native_id`). A timer whose `signum` is None notifies
    nobody, and can be asked what remains.

    Leaving its with-block deletes it. A forked child does not have it: there all but `close` raises ValueError.
    """

    def __init__(
        self,
        signum: int | None = libc.SIGALRM,
        value: int = 0,
        *,
        thread: int | None = None,
        clock: int = libc.CLOCK_MONOTONIC,
    ) -> None:
        if signum is None:
            event = libc.Sigevent(libc.SIGEV_NONE)
        elif thread is None:
            event = libc.Sigevent(libc.SIGEV_SIGNAL, signum, value)
        else:
            event = libc.Sigevent(libc.SIGEV_THREAD_ID, signum, value, thread)
        self._owner = os.getpid()
        self._id: int | None = libc.timer_create(clock, event)

    def __repr__(self) -> str:
        state = "closed" if self._id is None else f"{self._id} of process {self._owner}"
        return f"<Timer {state}>"

    @property
    def id(self) -> int:
        """The kernel's number of the timer, which its signals bear as si_timerid."""
        if self._id is None:
            raise ValueError("this timer is closed")
        if self._owner != os.getpid():
            raise ValueError(f"this timer is one of process {self._owner}: fork() gives a child none of them")
        return self._id

    def start(self, after: float, every: float = 0, *, absolute: bool = False) -> None:
        """Have it expire in so many seconds, 0 for at once, and then every so many, 0 for never again.

        With `absolute`, `after` is a time of the timer's clock (`time.clock_gettime`); one that has passed is at once.
        A timer that runs starts anew.
        """
        flags = libc.TIMER_ABSTIME if absolute else 0
        libc.timer_settime(self.id, flags, libc.Itimerspec(every, after or _SOON))

    def stop(self) -> None:
        """Keep it from expiring; a signal of it that is pending may still come, or be dropped (newer kernels)."""
        libc.timer_settime(self.id, 0, libc.Itimerspec(0, 0))

    @property
    def remaining(self) -> float:
        """The seconds until it expires next; 0 when it is stopped, or has expired for the last time."""
        return libc.timer_gettime(self.id).it_value

    @property
    def interval(self) -> float:
        """The seconds after which it expires again and again; 0 for a timer that expires once."""
        return libc.timer_gettime(self.id).it_interval

    @property
    def overrun(self) -> int:
        """How often it expired again before its last signal was delivered, as that signal's si_overrun said."""
        return libc.timer_getoverrun(self.id)

    @property
    def closed(self) -> bool:
        """Whether it was closed, or stayed behind in the parent."""
        return self._id is None or self._owner != os.getpid()

    def close(self) -> None:
        """Delete the timer; twice is fine, and in a forked child there is nothing to delete."""
        timerid, self._id = self._id, None
        if timerid is not None and self._owner == os.getpid():
            libc.timer_delete(timerid)
