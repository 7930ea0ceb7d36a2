"""Signals, which carry no message. A channel of them begins with whoever receives: it is a process."""

from __future__ import annotations

import os
import signal
import time
from array import array
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.channels.least import called, has_header
from bench.channels.loops import C, ChannelInC, InPython
from bench.channels.mechanism import NOTHING, Mechanism, Side
from bench.records import FLOOR, Kind
from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.channels.loops import Channel
    from bench.channels.workshop import Workshop

_SIGNAL, _QUEUED = libc.SIGUSR1, libc.SIGRTMIN
_KINDS = frozenset({Kind.CALL, Kind.ROUND_TRIP})  # who sends many at a time would lose them, or be refused


def mechanisms() -> Iterator[Mechanism]:
    """Give them; the message is the signal."""
    kill = (
        _waited("unixipc", libc.kill, libc.sigwaitinfo, libc.SignalSet({_SIGNAL}), _SIGNAL),
        _in_c("sent_signal", _SIGNAL),
        *_least("kill", _SIGNAL),
        _waited("signal.sigwaitinfo", os.kill, signal.sigwaitinfo, {_SIGNAL}, _SIGNAL),
        _waited("signal.sigwait", os.kill, signal.sigwait, {_SIGNAL}, _SIGNAL),
    )
    yield Mechanism("kill and sigwaitinfo", NOTHING, kill)
    queue = (
        _waited("unixipc", libc.sigqueue, libc.sigwaitinfo, libc.SignalSet({_QUEUED}), _QUEUED),
        _in_c("queued_signal", _QUEUED),
        *_least("sigqueue", _QUEUED),
    )
    yield Mechanism("sigqueue and sigwaitinfo", NOTHING, queue)
    handler = (
        _side("unixipc", Handled),
        _in_c("handled_signal", _SIGNAL),
        _side("signal.signal", HandledByStdlib),
    )
    yield Mechanism("kill to a handler", NOTHING, handler)


class Waiting:
    """A signal that is blocked, and waited for."""

    def __init__(
        self, kill: Callable[[int, int], object], wait: Callable[[Any], object], wanted: object, signum: int
    ) -> None:
        self.kill, self.wait, self.wanted = kill, wait, wanted
        self._signum = signum

    def enter(self, sender: int, receiver: int) -> None:
        """Block the signal."""
        libc.sigprocmask(libc.SIG_BLOCK, {self._signum})
        self.receiver = receiver

    def send(self, signum: int) -> object:
        """Send the signal."""
        return self.kill(self.receiver, signum)

    def receive(self) -> object:
        """Wait for it."""
        return self.wait(self.wanted)


class Waits(InPython):
    """The calls themselves, as a program makes them: one in between would take a third as long as they do."""

    def call(self, channel: Waiting, message: int, turns: int) -> None:
        """Send a signal and take it."""
        kill, receiver, wait, wanted = channel.kill, channel.receiver, channel.wait, channel.wanted
        for _ in range(turns):
            kill(receiver, message)
            wait(wanted)

    def ask(self, there: Waiting, back: Waiting, message: int, turns: int) -> array[int]:
        """Send a signal and wait for an answer."""
        kill, receiver, wait, wanted, now = there.kill, there.receiver, back.wait, back.wanted, time.perf_counter_ns
        moments = array("q", bytes(8 * (turns + 1)))
        moments[0] = now()
        for i in range(1, turns + 1):
            kill(receiver, message)
            wait(wanted)
            moments[i] = now()
        return moments

    def answer(self, there: Waiting, back: Waiting, message: int, turns: int) -> None:
        """Wait for a signal, and send one back."""
        wait, wanted, kill, receiver = there.wait, there.wanted, back.kill, back.receiver
        for _ in range(turns):
            wait(wanted)
            kill(receiver, message)


_WAITS = Waits()


def _waited(
    name: str, kill: Callable[[int, int], object], wait: Callable[[Any], object], wanted: object, signum: int
) -> Side:
    return Side(name, lambda shop, size: Waiting(kill, wait, wanted, signum), _WAITS, _KINDS, message=lambda _: signum)


def _least(name: str, signum: int) -> list[Side]:
    def make(shop: Workshop, size: int) -> Channel:
        kill, wait = called(name)
        return Waiting(kill, wait, signum, signum)

    return [Side(FLOOR, make, _WAITS, _KINDS, message=lambda _: signum)] if has_header() else []


def _side(name: str, make: Callable[[], Channel]) -> Side:
    return Side(name, lambda shop, size: make(), kinds=_KINDS, message=lambda size: _SIGNAL)


def _in_c(maker: str, signum: int) -> Side:
    def make(shop: Workshop, size: int) -> Channel:
        return ChannelInC(shop, maker, size, signum)

    return Side("C", make, C, kinds=_KINDS)


class Handled:
    """A signal with a handler. It is blocked but in `receive`; in one process it is not, and handled already."""

    _arrived = False

    def enter(self, sender: int, receiver: int) -> None:
        """Install the handler, in whoever receives."""
        self.send: Callable[[Any], object] = partial(libc.kill, receiver)
        if receiver == os.getpid():
            libc.sigaction(_SIGNAL, libc.Sigaction(self._handle, flags=libc.SA_SIGINFO))
            mask = libc.sigprocmask(libc.SIG_UNBLOCK if sender == receiver else libc.SIG_BLOCK, {_SIGNAL})
            self._mask = mask - {_SIGNAL}

    def _handle(self, signum: int, info: libc.Siginfo) -> None:
        self._arrived = True

    def receive(self) -> None:
        """Wait until the handler has run."""
        while not self._arrived:
            libc.sigsuspend(self._mask)
        self._arrived = False


class HandledByStdlib:
    """The same with `signal.signal`: as there is no sigsuspend(2), the wait is for the byte in a pipe."""

    _arrived = False

    def enter(self, sender: int, receiver: int) -> None:
        """Install the handler in whoever receives, and the pipe."""
        self.send: Callable[[Any], object] = partial(os.kill, receiver)
        if receiver == os.getpid():
            signal.signal(_SIGNAL, self._handle)
            if sender != receiver:
                self._reads, writes = os.pipe()
                os.set_blocking(writes, False)
                signal.set_wakeup_fd(writes)

    def _handle(self, signum: int, frame: object) -> None:
        self._arrived = True

    def receive(self) -> None:
        """Wait until the handler has run."""
        while not self._arrived:
            os.read(self._reads, 1)
        self._arrived = False
