"""A counter that a signal handler raises and that threads wait for."""

from __future__ import annotations

import os
import select
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from unixipc import libc

if TYPE_CHECKING:
    from unixipc.signals.waiting import Deadline

_FLAGS = os.EFD_CLOEXEC | os.EFD_NONBLOCK | os.EFD_SEMAPHORE


class Wakeup:
    """An eventfd (eventfd(2)): readable while it counts something, and each process's own after a fork."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, _FLAGS)
        self._waiting = 0
        self._lock = threading.Lock()
        self.closed = False
        _alive.add(self)

    def fileno(self) -> int:
        """Give the descriptor."""
        if self.closed:
            raise ValueError("it is closed")
        return self._fd

    def add(self) -> None:
        """Count one more; a signal handler may."""
        os.eventfd_write(self._fd, 1)

    def take(self) -> None:
        """Count one less, if there is any."""
        with suppress(BlockingIOError):
            os.eventfd_read(self._fd)

    def wait(self, deadline: Deadline) -> bool:
        """Wait until it counts something, a signal was handled or it was closed: False when time is up."""
        with self._lock:
            if self.closed:
                return True
            self._waiting += 1
        try:
            return bool(libc.ppoll([(self._fd, select.POLLIN)], deadline.left()))
        except InterruptedError:
            return True
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._waiting -= 1
            if self.closed and not self._waiting:
                os.close(self._fd)

    def close(self) -> None:
        """Close it, once all threads that wait for it know."""
        with self._lock:
            self.closed = True
            if self._waiting:
                self.add()  # all of them see it: nobody takes it off any more
            else:
                os.close(self._fd)

    def _renew(self) -> None:
        if not self.closed:
            fresh = os.eventfd(0, _FLAGS)
            os.dup2(fresh, self._fd, inheritable=False)
            os.close(fresh)
        self._waiting = 0
        self._lock = threading.Lock()


_alive: weakref.WeakSet[Wakeup] = weakref.WeakSet()


def _after_fork() -> None:
    for wakeup in tuple(_alive):
        wakeup._renew()


os.register_at_fork(after_in_child=_after_fork)
