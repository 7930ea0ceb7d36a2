"""A file of signals (signalfd(2))."""

from __future__ import annotations

import errno
import os
import select
import threading
from typing import TYPE_CHECKING, Self

from unixipc import libc
from unixipc._check import Deadline, failure, moments
from unixipc._closing import Holding
from unixipc.signals.arguments import signal_set
from unixipc.signals.state import state

if TYPE_CHECKING:
    from unixipc.signals.arguments import Signals

_RECORD = libc.SIGNALFD_SIGINFO_SIZE
_AT_ONCE = 512


class SignalFile(Holding):
    """A file from which signals are received in the order of their numbers, each with its siginfo.

    They must be blocked in every thread of the process, since a thread that does not block them would take them away
    (ValueError, which names it): block them with `signals.blocked` first, before other threads start. They stay pending
    until somebody receives them: none is lost while nobody reads. What was sent to one thread (tgkill(2)) only that
    thread receives.

    It is an iterator that never ends, and by its `fileno` it goes into `select`, `selectors` and event loops. A forked
    child that inherits it reads the child's own signals from it. Leaving its with-block closes it.
    """

    def __init__(self, signals: Signals) -> None:
        self._signals = _blocked_everywhere(signals)
        self._fd = libc.signalfd(-1, self._signals, libc.SFD_CLOEXEC | libc.SFD_NONBLOCK)

    def __repr__(self) -> str:
        state = "closed" if self._fd < 0 else f"{self._fd} of {self._signals!r}"
        return f"<SignalFile {state}>"

    @property
    def signals(self) -> libc.SignalSet:
        """The signals that it receives."""
        return self._signals

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._fd < 0

    def fileno(self) -> int:
        """Return the descriptor, which is readable while a signal waits, and never blocks."""
        if self._fd < 0:
            raise ValueError("this file of signals is closed")
        return self._fd

    def update(self, signals: Signals) -> None:
        """Receive these signals from now on, and no others."""
        chosen = _blocked_everywhere(signals)
        libc.signalfd(self.fileno(), chosen)
        self._signals = chosen

    def read(self, n: int) -> list[libc.Siginfo]:
        """Receive the signals that wait, at most so many; none when none does."""
        if n < 1:
            raise ValueError(f"at least one signal can be read, not {n}")
        received: list[libc.Siginfo] = []
        while len(received) < n:
            asked = min(n - len(received), _AT_ONCE)
            records = self._read(asked)
            received += records
            if len(records) < asked:
                break
        return received

    def receive(self, timeout: float | None = None) -> libc.Siginfo:
        """Receive the next signal, within so many seconds; 0 only looks. TimeoutError when none came."""
        deadline = Deadline(timeout)
        while not (records := self._read(1)):
            try:
                ready = libc.ppoll([(self.fileno(), select.POLLIN)], deadline.left())
            except InterruptedError:
                continue
            if not ready:
                advice = "none of them came in time"
                raise failure(errno.ETIMEDOUT, "receive", self._signals, timeout, advice=advice)
        return records[0]

    def _read(self, count: int) -> list[libc.Siginfo]:
        try:
            data = os.read(self.fileno(), count * _RECORD)
        except BlockingIOError:
            return []
        return [libc.Siginfo.from_signalfd(data[at : at + _RECORD]) for at in range(0, len(data), _RECORD)]

    def close(self) -> None:
        """Close the descriptor; twice is fine. Signals that wait stay pending."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> libc.Siginfo:
        return self.receive()


def _blocked_everywhere(signals: Signals) -> libc.SignalSet:
    """Give back a set of signals that no thread of the process takes away from a file of them, or say which do."""
    chosen = signal_set(signals)
    if never := chosen & {libc.SIGKILL, libc.SIGSTOP}:
        raise ValueError(f"nothing can receive {never!r}: the kernel lets nobody block them")
    takers: dict[int, libc.SignalSet] = {}
    for _ in moments():
        takers = _takers(chosen)
        if not takers:
            return chosen
        if takers.keys() & {thread.native_id for thread in threading.enumerate()}:
            break
    threads = ", ".join(f"{tid} ({signals!r})" for tid, signals in sorted(takers.items()))
    raise ValueError(
        f"these threads do not block the signals and would take them away: {threads};"
        " block them first, before other threads start"
    )


def _takers(signals: libc.SignalSet) -> dict[int, libc.SignalSet]:
    """Tell which threads do not block which of the signals."""
    masks = {thread.tid: thread.blocked for thread in state().threads}
    masks[threading.get_native_id()] = libc.sigprocmask(libc.SIG_BLOCK)  # without what the delivery holds back
    return {tid: signals - mask for tid, mask in masks.items() if signals - mask}
