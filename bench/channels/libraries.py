"""Peers that carry objects, by pickles and threads of their own: sides of the mechanism that is beneath them."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
from multiprocessing import heap, resource_tracker
from multiprocessing.shared_memory import SharedMemory
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from bench.channels.mechanism import Functions, Side, peer
from bench.channels.ring import SLOTS, Ring, views
from unixipc import libc

if TYPE_CHECKING:
    from bench.channels.loops import Channel
    from bench.channels.workshop import Workshop

_FORKING = multiprocessing.get_context("fork")  # whose locks need no process to watch over them

_AROUND = 2**12  # bytes that are beside a message, for sure: the head of a pickle, a length
_PIPE = 2**20  # what a pipe may have room for (fs.pipe-max-size)
_USUAL = 2**16


def of_pipes() -> tuple[Side, ...]:
    """Give those that have a pipe beneath; the feeder thread of a Queue takes what has no room in it."""
    room = _PIPE - 2 * _AROUND
    return (
        Side("multiprocessing.Pipe, bytes", _pipe_of_bytes, room=room),
        Side("multiprocessing.Pipe", _pipe, room=room),
        Side("multiprocessing.SimpleQueue", _simple_queue, room=room),
        Side("multiprocessing.Queue", _queue),
    )


def of_streams() -> tuple[Side, ...]:
    """Give those that have Unix stream sockets beneath."""
    return (Side("pyzmq", Zmq),) if peer("zmq") else ()


def of_memory() -> tuple[Side, ...]:
    """Give those that have shared memory and POSIX semaphores beneath."""
    side = Side("multiprocessing", _shared_memory)
    return (side, Side("faster-fifo", _faster_fifo)) if peer("faster_fifo") else (side,)


def _enlarge(fd: int, size: int) -> None:
    fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, min(_PIPE, max(_USUAL, size + 2 * _AROUND)))


def _pipe_ends(shop: Workshop, size: int) -> tuple[Any, Any]:
    receives, sends = (shop.keep(end) for end in _FORKING.Pipe(duplex=False))
    _enlarge(sends.fileno(), size)
    return sends, receives


def _pipe_of_bytes(shop: Workshop, size: int) -> Channel:
    sends, receives = _pipe_ends(shop, size)
    return Functions(sends.send_bytes, receives.recv_bytes)


def _pipe(shop: Workshop, size: int) -> Channel:
    sends, receives = _pipe_ends(shop, size)
    return Functions(sends.send, receives.recv)


def _simple_queue(shop: Workshop, size: int) -> Channel:
    queue: Any = shop.keep(_FORKING.SimpleQueue())
    _enlarge(queue._writer.fileno(), size)  # noqa: SLF001 - or one process could not send before it receives
    return Functions(queue.put, queue.get)


def _queue(shop: Workshop, size: int) -> Channel:
    queue: Any = shop.keep(_FORKING.Queue())
    shop.callback(queue._writer.close)  # noqa: SLF001 - close() does so only after a put()
    return Functions(queue.put, queue.get)


class Zmq:
    """A pair of sockets, each with an I/O thread of its process."""

    def __init__(self, shop: Workshop, size: int) -> None:
        self._address = f"ipc://{shop.path()}"

    def enter(self, sender: int, receiver: int) -> None:
        """Make the sockets, which no child inherits."""
        zmq = peer("zmq")
        context = zmq.Context()
        if sender == os.getpid():
            sends = context.socket(zmq.PAIR)
            sends.bind(self._address)
            self.send = sends.send
        if receiver == os.getpid():
            receives = context.socket(zmq.PAIR)
            receives.connect(self._address)
            self.receive = receives.recv


def _shared_memory(shop: Workshop, size: int) -> Channel:
    name = shop.name()
    with patch.object(resource_tracker, "register"):  # which would start a process that stays
        memory: Any = SharedMemory(name, create=True, size=SLOTS * size)
    shop.callback(libc.shm_unlink, name)
    shop.callback(memory.close)
    free, full = _FORKING.Semaphore(SLOTS), _FORKING.Semaphore(0)
    return Ring(free, full, *views(shop, memory.buf, size))


def _faster_fifo(shop: Workshop, size: int) -> Channel:
    shop.enter_context(patch.object(heap.BufferWrapper, "_heap", heap.Heap()))  # the usual one would keep its memory
    queue = peer("faster_fifo").Queue(max_size_bytes=SLOTS * (size + _AROUND))
    return Functions(queue.put, queue.get)
