"""A file that one process appends to and the other reads, which looks again and again for more."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from bench.channels.loops import C, ChannelInC
from bench.channels.mechanism import ANY, Functions, Mechanism, Side, whole
from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.channels.loops import Channel
    from bench.channels.workshop import Workshop

_Write: TypeAlias = "Callable[[int, bytes], int]"
_Read: TypeAlias = "Callable[[int, int], bytes]"

_MOST = 2**25  # bytes of a file, several times: they take room on the disk, and in memory
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC


def mechanisms() -> Iterator[Mechanism]:
    """Give them: a file as the kernel buffers it, and one that is on the disk when `send` returns."""
    yield Mechanism("file, through the kernel's buffer", ANY, _sides(synced=False))
    yield Mechanism("file, to the disk", ANY, _sides(synced=True))


def place(shop: Workshop) -> tuple[int, int]:
    """Make a file, and give a descriptor that appends to it and one that reads it."""
    path = shop.path()
    writes = shop.keep_descriptor(os.open(path, _APPEND, 0o600))
    return writes, shop.keep_descriptor(os.open(path, os.O_RDONLY | os.O_CLOEXEC))


def log(descriptors: tuple[int, int], write: _Write, read: _Read, size: int, *, synced: bool = False) -> Channel:
    """Make a channel of the two."""
    writes, reads = descriptors

    def send(message: bytes) -> None:
        write(writes, message)
        os.fdatasync(writes)

    return Functions(send if synced else partial(write, writes), partial(whole, read, reads, size))


def _sides(*, synced: bool) -> tuple[Side, ...]:
    def ours(shop: Workshop, size: int) -> Channel:
        return log(place(shop), libc.write, libc.read, size, synced=synced)

    def in_c(shop: Workshop, size: int) -> Channel:
        return ChannelInC(shop, "synced" if synced else "written", size, *place(shop))

    def theirs(shop: Workshop, size: int) -> Channel:
        return log(place(shop), os.write, os.read, size, synced=synced)

    return Side("unixipc", ours, most=_MOST), Side("C", in_c, C, most=_MOST), Side("os", theirs, most=_MOST)
