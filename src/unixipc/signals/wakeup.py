"""What a signal handler sets and threads wait for."""

from __future__ import annotations

import os
import select
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.signals.handling import blocked

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc._check import Deadline

_FLAGS = os.EFD_CLOEXEC | os.EFD_NONBLOCK


class Wakeup:
    """An eventfd (eventfd(2)): readable once it is set and until it is cleared, and each process's own after a fork.

    `renewed` is called in a child when it has got its own, which is not set.
    """

    def __init__(self, renewed: Callable[[], object]) -> None:
        self._fd = os.eventfd(0, _FLAGS)
        self._renewed = renewed
        self._owner = os.getpid()
        self._waiting = 0
        self._lock = threading.RLock()  # a signal handler may come while its thread holds it
        self.closed = False
        _alive.add(self)

    def fileno(self) -> int:
        """Give the descriptor."""
        if self.closed:
            raise ValueError("it is closed")
        return self._fd

    def set(self) -> None:
        """Make it readable; a signal handler may."""
        self.own()
        with self._lock:
            if not self.closed:
                os.eventfd_write(self._fd, 1)

    def clear(self) -> None:
        """Make it unreadable."""
        with self._lock:
            if not self.closed:
                try:
                    os.eventfd_read(self._fd)
                except BlockingIOError as error:
                    if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                        raise  # a signal handler has raised it

    def wait(self, deadline: Deadline) -> bool:
        """Wait until it is set, a signal was handled or it was closed: False when time is up."""
        entered = False
        try:
            with self._lock:
                if self.closed:
                    return True
                self._waiting += 1
                entered = True
            return bool(libc.ppoll([(self._fd, select.POLLIN)], deadline.left()))
        except InterruptedError:
            return True
        finally:
            if entered:
                self._leave()

    def _leave(self) -> None:
        with self._lock:
            self._waiting -= 1
            if self.closed and not self._waiting:
                os.close(self._fd)

    def close(self) -> None:
        """Close it, once all threads that wait for it know."""
        with self._lock:
            if not self.closed:
                self.closed = True  # first: a handler may raise when the descriptor is gone
                if self._waiting:
                    os.eventfd_write(self._fd, 1)
                else:
                    os.close(self._fd)

    def __del__(self) -> None:
        with suppress(AttributeError):  # it was never quite made
            self.close()

    def own(self) -> None:
        """Get a child of fork its own; a signal that comes before the hook below must not set the parent's."""
        if self._owner != os.getpid():
            with blocked():
                self._renew()

    def _renew(self) -> None:
        if self.closed and self._waiting:  # by threads of the parent
            os.close(self._fd)
        self._waiting = 0
        self._lock = threading.RLock()
        if not self.closed:
            fresh = os.eventfd(0, _FLAGS)
            os.dup2(fresh, self._fd, inheritable=False)
            os.close(fresh)
        self._owner = os.getpid()
        self._renewed()


_alive: weakref.WeakSet[Wakeup] = weakref.WeakSet()


def _after_fork() -> None:
    for wakeup in tuple(_alive):
        wakeup.own()


os.register_at_fork(after_in_child=_after_fork)
