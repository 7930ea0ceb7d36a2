"""Signals as a stream that several parts of a program can subscribe to."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from unixipc import libc
from unixipc._check import Deadline, failure
from unixipc._closing import Closing
from unixipc.signals.arguments import signal_set
from unixipc.signals.handling import EVERY, blocked
from unixipc.signals.wakeup import Wakeup

if TYPE_CHECKING:
    from unixipc.signals.arguments import Signals


@dataclass
class _Subscription:
    """What a signal was before its first receiver, and who receives it."""

    previous: libc.Sigaction
    was_blocked: bool
    receivers: list[Receiver] = field(default_factory=list)


_subscriptions: dict[int, _Subscription] = {}


def _deliver(signum: int, info: libc.Siginfo) -> None:
    if subscription := _subscriptions.get(signum):
        for receiver in subscription.receivers:
            receiver._put(info)


_ACTION = libc.Sigaction(_deliver, EVERY, libc.SA_SIGINFO | libc.SA_RESTART)


class _ClosedError(ValueError):
    def __init__(self) -> None:
        super().__init__("the receiver is closed")


def _check_thread() -> None:
    if threading.get_ident() != threading.main_thread().ident:
        raise ValueError("a receiver is made and closed on the main thread only")


class Receiver(Closing):
    """A subscription to signals: an iterator of their `Siginfo`, which loses none and may be read by any thread.

    It is made and closed on the main thread. Several can hold the same signal, and each gets all of them. The signals
    are unblocked in the main thread. At the end of its with-block, or at `close`, all is as it was before: actions and
    mask come back when the last receiver of a signal goes, and what that one has not read is sent once more, for the
    action from before. `fileno()` is readable while something is there, for `select` and event loops.

    Start other threads within `blocked(signals)`, also those that read: of what the kernel gives to them, all beyond a
    thousand at a time is lost (`libc.signals_lost`), and the order.
    """

    def __init__(self, signals: Signals) -> None:
        _check_thread()
        self.signals = signal_set(signals)
        self._queue: deque[libc.Siginfo] = deque()
        self._unread = Wakeup(self._queue.clear)  # in a child: what is still to be read is its parent's
        try:
            self._subscribe()
        except BaseException:
            self.close()
            raise

    def _subscribe(self) -> None:
        with blocked() as before:
            for signum in self.signals:
                if signum not in _subscriptions:
                    _subscriptions[signum] = _Subscription(libc.sigaction(signum, _ACTION), signum in before)
                _subscriptions[signum].receivers.append(self)
        libc.sigprocmask(libc.SIG_UNBLOCK, self.signals)

    def _unsubscribe(self) -> None:
        mine = {signum for signum in self.signals & _subscriptions.keys() if self in _subscriptions[signum].receivers}
        last = {signum for signum in mine if _subscriptions[signum].receivers == [self]}
        libc.sigprocmask(libc.SIG_BLOCK, {signum for signum in last if _subscriptions[signum].was_blocked})
        with blocked():
            for signum in last:
                libc.sigaction(signum, _subscriptions[signum].previous)
                del _subscriptions[signum]
            for signum in mine - last:
                _subscriptions[signum].receivers.remove(self)

    def _send_again(self) -> None:
        """Send what nobody has read to the action from before: all of it, whatever handlers raise.

        One by one, for a standard signal merges with one that still waits.
        """
        raised: list[BaseException] = []
        with suppress(IndexError):
            while True:  # other threads may still be reading
                info = self._queue.popleft()
                try:
                    if info.si_signo not in _subscriptions:
                        libc.rt_sigqueueinfo(os.getpid(), info.si_signo, info)
                except BaseException as error:  # noqa: BLE001 - raised below
                    raised.append(error)
        if len(raised) > 1:
            raise BaseExceptionGroup("signals that nobody had read", raised)
        if raised:
            raise raised[0]

    def _put(self, info: libc.Siginfo) -> None:
        self._unread.own()
        self._queue.append(info)
        self._unread.set()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._unread.closed

    def receive(self, timeout: float | None = None) -> libc.Siginfo:
        """Take the oldest signal, within so many seconds; 0 only looks. TimeoutError when none came."""
        deadline = Deadline(timeout)
        while not self.closed:
            if info := self._take():
                return info
            if not self._unread.wait(deadline):
                advice = "none of them came in time"
                raise failure(errno.ETIMEDOUT, "receive", self.signals, timeout, advice=advice)
        raise _ClosedError

    def _take(self) -> libc.Siginfo | None:
        last = len(self._queue) <= 1
        if last:
            self._unread.clear()
        try:
            return self._queue.popleft()
        except IndexError:
            return None
        finally:
            if last and self._queue:  # another one has come
                self._unread.set()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> libc.Siginfo:
        """Wait for a signal; the iteration ends when somebody closes the receiver."""
        try:
            return self.receive()
        except _ClosedError:
            raise StopIteration from None

    def fileno(self) -> int:
        """Give a descriptor that is readable while something is there; only `receive` may read it."""
        if self.closed:
            raise _ClosedError
        return self._unread.fileno()

    def close(self) -> None:
        """End the subscription; twice is fine. Threads that wait for a signal end their iteration."""
        if not self.closed:
            _check_thread()
            try:
                self._unsubscribe()
            except BaseException:  # of a handler, which may have raised as soon as the function was entered
                self._unsubscribe()
                raise
            finally:
                self._unread.close()
                self._send_again()

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"{len(self._queue)} unread"
        return f"<Receiver of {self.signals}, {state}>"


def receiver(signals: Signals) -> Receiver:
    """Subscribe to one signal or several (see `Receiver`).

    with receiver({SIGHUP, SIGUSR1}) as received:
        for info in received:
            ...
    """
    return Receiver(signals)
