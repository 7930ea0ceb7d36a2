"""Pipes, FIFOs, and eventfd(2)."""

from __future__ import annotations

import fcntl
import os
import struct
from functools import partial
from select import PIPE_BUF
from typing import TYPE_CHECKING

from bench.channels import libraries
from bench.channels.loops import C, ChannelInC
from bench.channels.mechanism import ANY, NOTHING, Functions, Mechanism, Side, whole
from unixipc import pipes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.channels.loops import Channel
    from bench.channels.workshop import Workshop

_USUAL = 2**16  # bytes: what a pipe has room for, unless told otherwise


def mechanisms() -> Iterator[Mechanism]:
    """Give them; a pipe has room for a message at least."""
    yield Mechanism("pipe", ANY, (*_sides(_pipe, _pipe_of_os), *libraries.of_pipes()))
    yield Mechanism("FIFO", ANY, _sides(_fifo, _fifo_of_os))
    yield Mechanism("eventfd", NOTHING, (Side("C", _eventfd_in_c, C), Side("os", _eventfd, message=_one)))


def _sides(
    make: Callable[[Workshop], pipes.Pipe], make_by_os: Callable[[Workshop], tuple[int, int]]
) -> tuple[Side, ...]:
    def ends(shop: Workshop, size: int) -> pipes.Pipe:
        made = shop.keep(make(shop))
        made.writer.capacity = max(_USUAL, size)
        return made

    def ours(shop: Workshop, size: int) -> Channel:
        reader, writer = ends(shop, size)
        return Functions(writer.write, partial(reader.read if size <= PIPE_BUF else reader.read_exactly, size))

    def in_c(shop: Workshop, size: int) -> Channel:
        reads, writes = (end.fileno() for end in ends(shop, size))
        return ChannelInC(shop, "written", size, writes, reads)

    def by_os(shop: Workshop, size: int) -> Channel:
        reads, writes = (shop.keep_descriptor(end) for end in make_by_os(shop))
        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, max(_USUAL, size))
        return Functions(
            partial(os.write, writes), partial(os.read if size <= PIPE_BUF else partial(whole, os.read), reads, size)
        )

    return Side("unixipc", ours), Side("C", in_c, C), Side("os", by_os)


def _pipe(shop: Workshop) -> pipes.Pipe:
    return pipes.pipe()


def _pipe_of_os(shop: Workshop) -> tuple[int, int]:
    return os.pipe()


def _fifo(shop: Workshop) -> pipes.Pipe:
    return shop.keep(pipes.Fifo.create(shop.path())).ends()


def _fifo_of_os(shop: Workshop) -> tuple[int, int]:
    path = shop.path()
    os.mkfifo(path)
    reads = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    writes = os.open(path, os.O_WRONLY)
    os.set_blocking(reads, True)
    return reads, writes


def _one(size: int) -> int:
    """Give what is added to the counter of an eventfd, and taken off."""
    return 1


def _new_eventfd(shop: Workshop) -> int:
    return shop.keep_descriptor(os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_CLOEXEC))


def _eventfd(shop: Workshop, size: int) -> Channel:
    fd = _new_eventfd(shop)
    return Functions(partial(os.eventfd_write, fd), partial(os.eventfd_read, fd))


def _eventfd_in_c(shop: Workshop, size: int) -> Channel:
    one = struct.pack("=Q", _one(size))
    fd = _new_eventfd(shop)
    return ChannelInC(shop, "written", len(one), fd, fd, text=one)
