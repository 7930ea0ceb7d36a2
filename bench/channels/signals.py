"""Signals, which carry no message. A channel of them begins with whoever receives: it is a process."""

from __future__ import annotations

import os
import signal
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.channels.loops import C, ChannelInC
from bench.channels.mechanism import NOTHING, Mechanism, Side
from bench.records import Kind
from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from collections.abc import Set as AbstractSet

    from bench.channels.loops import Channel
    from bench.channels.workshop import Workshop

_SIGNAL, _QUEUED = libc.SIGUSR1, libc.SIGRTMIN
_KINDS = frozenset({Kind.CALL, Kind.ROUND_TRIP})  # who sends many at a time would lose them, or be refused


def mechanisms() -> Iterator[Mechanism]:
    """Give them; the message is the last argument of the call that sends."""
    kill = (
        _side("unixipc", lambda: Waiting(libc.kill, (), libc.sigwaitinfo, libc.SignalSet({_SIGNAL}))),
        _in_c("sent_signal", _SIGNAL),
        _side("signal.sigwaitinfo", lambda: Waiting(os.kill, (), signal.sigwaitinfo, {_SIGNAL})),
        _side("signal.sigwait", lambda: Waiting(os.kill, (), signal.sigwait, {_SIGNAL})),
    )
    yield Mechanism("kill and sigwaitinfo", NOTHING, kill)
    wanted = libc.SignalSet({_QUEUED})
    queue = (
        _side("unixipc", lambda: Waiting(libc.sigqueue, (_QUEUED,), libc.sigwaitinfo, wanted), message=0),
        _in_c("queued_signal", _QUEUED),
    )
    yield Mechanism("sigqueue and sigwaitinfo", NOTHING, queue)
    handler = (
        _side("unixipc", Handled),
        _in_c("handled_signal", _SIGNAL),
        _side("signal.signal", HandledByStdlib),
    )
    yield Mechanism("kill to a handler", NOTHING, handler)


def _side(name: str, make: Callable[[], Channel], message: int = _SIGNAL) -> Side:
    return Side(name, lambda shop, size: make(), kinds=_KINDS, message=lambda size: message)


def _in_c(maker: str, signum: int) -> Side:
    def make(shop: Workshop, size: int) -> Channel:
        return ChannelInC(shop, maker, size, signum)

    return Side("C", make, C, kinds=_KINDS)


class Waiting:
    """A signal that is blocked, and waited for."""

    def __init__(
        self,
        call: Callable[..., object],
        arguments: tuple[int, ...],
        wait: Callable[[Any], object],
        wanted: AbstractSet[int],
    ) -> None:
        self._call, self._arguments = call, arguments
        self._wanted = wanted
        self.receive = partial(wait, wanted)

    def enter(self, sender: int, receiver: int) -> None:
        """Block the signal."""
        libc.sigprocmask(libc.SIG_BLOCK, self._wanted)
        self.send: Callable[[Any], object] = partial(self._call, receiver, *self._arguments)


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
