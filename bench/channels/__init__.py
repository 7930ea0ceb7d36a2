"""Whatever carries messages is a channel: a module for each family of them, with its peers and its side in C."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.channels import files, memory, pipes, queues, signals, sockets
from bench.channels.loops import Channel as Channel
from bench.channels.mechanism import Mechanism as Mechanism
from bench.channels.mechanism import Side as Side
from bench.channels.mechanism import peer as peer
from bench.channels.workshop import Workshop as Workshop
from bench.channels.workshop import workshop as workshop

if TYPE_CHECKING:
    from collections.abc import Iterator

_PEERS = {"sysv_ipc": "sysv_ipc", "posix_ipc": "posix_ipc", "zmq": "pyzmq", "faster_fifo": "faster-fifo"}


def mechanisms() -> Iterator[Mechanism]:
    """Give all, in the order of the tour; within a `workshop`, whose limits say how long messages may be."""
    for family in (signals, queues, memory, files, pipes, sockets):
        yield from family.mechanisms()


def absent() -> list[str]:
    """Name the libraries that are not installed, and whose sides are left out."""
    return [name for module, name in _PEERS.items() if peer(module) is None]
