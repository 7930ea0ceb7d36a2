"""Unix sockets: pairs of them."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING

from bench.channels import libraries
from bench.channels.loops import C, ChannelInC
from bench.channels.mechanism import ANY, Functions, Mechanism, Side
from unixipc import sockets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.channels.loops import Channel
    from bench.channels.workshop import Workshop

_ROOM = 2**16  # bytes that the usual send buffer (net.core.wmem_default) takes for sure
_PACKETS = range(1, _ROOM + 1)


def mechanisms() -> Iterator[Mechanism]:
    """Give them; a packet goes in whole, and so is no longer than the buffer."""
    yield Mechanism("Unix stream socket", ANY, (*_sides(socket.SOCK_STREAM), *libraries.of_streams()))
    yield Mechanism("Unix datagram socket", _PACKETS, _sides(socket.SOCK_DGRAM))
    yield Mechanism("Unix seqpacket socket", _PACKETS, _sides(socket.SOCK_SEQPACKET))


def _sides(kind: int) -> tuple[Side, ...]:
    def channel(sends: socket.socket, receives: socket.socket, size: int) -> Channel:
        if kind == socket.SOCK_STREAM:
            return Functions(sends.sendall, partial(receives.recv, size, socket.MSG_WAITALL))
        return Functions(sends.send, partial(receives.recv, size))

    def ours(shop: Workshop, size: int) -> Channel:
        sends, receives = (shop.enter_context(end) for end in sockets.pair(kind))
        return channel(sends, receives, size)

    def in_c(shop: Workshop, size: int) -> Channel:
        sends, receives = (shop.enter_context(end) for end in sockets.pair(kind))
        return ChannelInC(shop, "socket_pair", size, sends.fileno(), receives.fileno())

    def theirs(shop: Workshop, size: int) -> Channel:
        sends, receives = (shop.enter_context(end) for end in socket.socketpair(socket.AF_UNIX, kind))
        return channel(sends, receives, size)

    return Side("unixipc", ours, room=_ROOM), Side("C", in_c, C, room=_ROOM), Side("socket", theirs, room=_ROOM)
