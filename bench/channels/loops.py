"""The loops of the three measurements, over any channel: in Python, in batches, and in C."""

from __future__ import annotations

import ctypes
import os
import time
from array import array
from typing import TYPE_CHECKING, Any, Protocol

from bench.channels.workshop import BATCH
from bench.compiling import compiled

if TYPE_CHECKING:
    from bench.channels.workshop import Workshop


class Channel(Protocol):
    """Whatever carries messages. It is made before there are two processes, and each of them has it.

    One with a method `enter` has it called in each process before anything else, with the pids of who sends and who
    receives; in one process they are the same.
    """

    def send(self, message: Any, /) -> object:
        """Send a message; waits while there is no room."""

    def receive(self) -> object:
        """Wait for a message, and give its bytes, or what has them."""


class Loops(Protocol):
    """What a process does with channels, so many turns of it: a multiple of `step`."""

    step: int

    def call(self, channel: Any, message: Any, turns: int) -> None:
        """Send a message and receive it."""

    def ask(self, there: Any, back: Any, message: Any, turns: int) -> array[int]:
        """Send a message and wait for an answer: the moments are one more than the turns, in nanoseconds."""

    def answer(self, there: Any, back: Any, message: Any, turns: int) -> None:
        """Wait for a message, and send one back."""

    def produce(self, channel: Any, message: Any, turns: int) -> None:
        """Send messages."""

    def consume(self, channel: Any, turns: int) -> None:
        """Receive messages."""


class InPython:
    """One message after the other."""

    step = 1

    def call(self, channel: Any, message: Any, turns: int) -> None:
        """Send a message and receive it."""
        send, receive = channel.send, channel.receive
        for _ in range(turns):
            send(message)
            receive()

    def ask(self, there: Any, back: Any, message: Any, turns: int) -> array[int]:
        """Send a message and wait for an answer."""
        send, receive, now = there.send, back.receive, time.perf_counter_ns
        moments = array("q", bytes(8 * (turns + 1)))
        moments[0] = now()
        for i in range(1, turns + 1):
            send(message)
            receive()
            moments[i] = now()
        return moments

    def answer(self, there: Any, back: Any, message: Any, turns: int) -> None:
        """Wait for a message, and send one back."""
        receive, send = there.receive, back.send
        for _ in range(turns):
            receive()
            send(message)

    def produce(self, channel: Any, message: Any, turns: int) -> None:
        """Send messages."""
        send = channel.send
        for _ in range(turns):
            send(message)

    def consume(self, channel: Any, turns: int) -> None:
        """Receive messages."""
        receive = channel.receive
        for _ in range(turns):
            receive()


class InARow(InPython):
    """A batch of messages is sent, one by one, before they are received: beside those that go at once."""

    step = BATCH

    def call(self, channel: Any, message: Any, turns: int) -> None:
        """Send a batch and receive it."""
        for _ in range(turns // BATCH):
            self.produce(channel, message, BATCH)
            self.consume(channel, BATCH)


class AtOnce(InPython):
    """A batch of messages goes by one call, `send_many`, and as many come by one as are there, `receive_many`."""

    step = BATCH

    def call(self, channel: Any, message: Any, turns: int) -> None:
        """Send a batch and receive it."""
        send_many, receive_many = channel.send_many, channel.receive_many
        batch = [message] * BATCH
        for _ in range(turns // BATCH):
            send_many(batch)
            receive_many(BATCH)

    def produce(self, channel: Any, message: Any, turns: int) -> None:
        """Send batches."""
        batch = [message] * BATCH
        for _ in range(turns // BATCH):
            channel.send_many(batch)

    def consume(self, channel: Any, turns: int) -> None:
        """Receive messages, whole batches or parts of them."""
        missing = turns
        while missing:
            missing -= len(channel.receive_many(min(missing, BATCH)))


class ChannelInC:
    """A channel of bench/c, made by the function of a name, over the kernel objects of another.

    It can be used from Python, too: then it is slow, and shows what the loops carry.
    """

    def __init__(self, shop: Workshop, maker: str, size: int, *objects: object, text: bytes = b"") -> None:
        self._c = _compiled()
        make = self._c[maker]
        make.restype = ctypes.c_void_p
        self._as_parameter_ = ctypes.c_void_p(make(ctypes.c_size_t(size), *objects))
        shop.callback(self._c.channel_free, self._as_parameter_)
        text_of = self._c["channel_text"]
        text_of.restype = ctypes.c_void_p
        self._text, self._size = text_of(self), size
        ctypes.memmove(self._text, text, len(text))

    def enter(self, sender: int, receiver: int) -> None:
        """Learn who sends and who receives."""
        _check(self._c.channel_enter(self, sender, receiver))

    def send(self, message: bytes, /) -> None:
        """Send a message of the channel's size."""
        ctypes.memmove(self._text, message, self._size)
        _check(self._c.send_all(self, 1))

    def receive(self) -> bytes:
        """Receive a message."""
        _check(self._c.receive_all(self, 1))
        return ctypes.string_at(self._text, self._size)


class InC:
    """The loops of bench/c/loops.c; the message is what the channel's text is."""

    def __init__(self, step: int = 1) -> None:
        self.step = step

    def call(self, channel: ChannelInC, message: object, turns: int) -> None:
        """Send as many messages as a step has, and receive them."""
        _check(_compiled().send_and_receive(channel, self.step, turns))

    def ask(self, there: ChannelInC, back: ChannelInC, message: object, turns: int) -> array[int]:
        """Send a message and wait for an answer."""
        moments = array("q", bytes(8 * (turns + 1)))
        _check(_compiled().ask(there, back, turns, ctypes.c_void_p(moments.buffer_info()[0])))
        return moments

    def answer(self, there: ChannelInC, back: ChannelInC, message: object, turns: int) -> None:
        """Wait for a message, and send one back."""
        _check(_compiled().answer(there, back, turns))

    def produce(self, channel: ChannelInC, message: object, turns: int) -> None:
        """Send messages."""
        _check(_compiled().send_all(channel, turns))

    def consume(self, channel: ChannelInC, turns: int) -> None:
        """Receive messages."""
        _check(_compiled().receive_all(channel, turns))


def _compiled() -> ctypes.CDLL:
    return compiled("channels")


def _check(result: int) -> None:
    if result < 0:
        raise OSError(-result, f"the C side: {os.strerror(-result)}")


PYTHON: Loops = InPython()
C: Loops = InC()
