"""Signals as a stream that several parts of a program can subscribe to."""

from __future__ import annotations

import errno
import os
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from unixipc import libc
from unixipc._check import failure
from unixipc.signals.arguments import signal_set
from unixipc.signals.handling import EVERY, blocked
from unixipc.signals.waiting import Deadline
from unixipc.signals.wakeup import Wakeup

if TYPE_CHECKING:
    from types import TracebackType

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


class Receiver:
    """A subscription to signals: an iterator of their `Siginfo`, which loses none and may be read by any thread.

    It is made and closed on the main thread. Several can hold the same signal, and each gets all of them. The signals
    are unblocked in the main thread. At the end of its with-block, or at `close`, all is as it was before: actions and
    mask come back when the last receiver of a signal goes, and what that one has not read is sent once more, for the
    action from before. `fileno()` is readable while something is there, for `select` and event loops.
    """

    def __init__(self, signals: Signals) -> None:
        self.signals = signal_set(signals)
        self._queue: deque[libc.Siginfo] = deque()
        self._unread = Wakeup()  # counts what is in the queue
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
        before = libc.sigprocmask(libc.SIG_BLOCK, EVERY)
        reblocked = set()
        try:
            last = {signum for signum in mine if _subscriptions[signum].receivers == [self]}
            for signum in last:
                libc.sigaction(signum, _subscriptions[signum].previous)
                if _subscriptions.pop(signum).was_blocked:
                    reblocked.add(signum)
            for signum in mine - last:
                _subscriptions[signum].receivers.remove(self)
            for info in self._queue:
                if info.si_signo in last:
                    libc.rt_sigqueueinfo(os.getpid(), info.si_signo, info)
        finally:
            libc.sigprocmask(libc.SIG_SETMASK, before | reblocked)

    def _put(self, info: libc.Siginfo) -> None:
        self._queue.append(info)
        self._unread.add()

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._unread.closed

    def receive(self, timeout: float | None = None) -> libc.Siginfo:
        """Take the oldest signal, within so many seconds; 0 only looks. TimeoutError when none came."""
        deadline = Deadline(timeout)
        while True:
            if self.closed:
                raise ValueError("the receiver is closed")
            try:
                info = self._queue.popleft()
            except IndexError:
                if not self._unread.wait(deadline):
                    advice = "none of them came in time"
                    raise failure(errno.ETIMEDOUT, "receive", self.signals, timeout, advice=advice) from None
            else:
                self._unread.take()
                return info

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> libc.Siginfo:
        """Wait for a signal; the iteration ends when somebody closes the receiver."""
        try:
            return self.receive()
        except ValueError:
            raise StopIteration from None

    def fileno(self) -> int:
        """Give a descriptor that is readable while something is there; only `receive` may read it."""
        if self.closed:
            raise ValueError("the receiver is closed")
        return self._unread.fileno()

    def close(self) -> None:
        """End the subscription; twice is fine. Threads that wait for a signal end their iteration."""
        if not self.closed:
            self._unsubscribe()
            self._unread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

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


def _after_fork() -> None:
    """Forget what is still to be read: it is the parent's."""
    for subscription in _subscriptions.values():
        for one in subscription.receivers:
            one._queue.clear()


os.register_at_fork(after_in_child=_after_fork)
