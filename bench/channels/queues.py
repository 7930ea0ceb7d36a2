"""Message queues of System V and of POSIX."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bench.channels.least import called, has_header
from bench.channels.loops import AtOnce, C, ChannelInC, InARow, InC
from bench.channels.mechanism import NAME_OF_BATCH, NAME_OF_ROW, Functions, Mechanism, Side, peer, text
from bench.channels.workshop import BATCH
from bench.records import FLOOR, FLOOR_OF_POLLING, Kind
from unixipc import posix, processes, sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.channels.loops import Channel
    from bench.channels.workshop import Workshop

_CALL = frozenset({Kind.CALL})
_BATCHES = frozenset({Kind.CALL, Kind.THROUGHPUT})
_BETWEEN_TWO = frozenset({Kind.ROUND_TRIP, Kind.THROUGHPUT})
_LEAST = frozenset({Kind.CALL, Kind.ROUND_TRIP})
_POLLS = 50
_POSIX_BYTES = 2**17  # of the 800 KiB that a user may have in all queues (RLIMIT_MSGQUEUE), whoever else has some


def mechanisms() -> Iterator[Mechanism]:
    """Give them with what the limits of the present IPC namespace allow."""
    limits = processes.IpcLimits()
    in_c = _system_v_in_c, _system_v_polled_in_c
    sides = _sides("system_v", _system_v, lambda size: (1, text(size)), *in_c, "sysv_ipc", _sysv_ipc, limits.msgmnb)
    yield Mechanism("System V message queue", range(1, limits.msgmax + 1), sides)
    room = _POSIX_BYTES if limits.msg_max >= BATCH else 0  # for a batch; that for one message is there always
    in_c = _posix_in_c, _posix_polled_in_c
    sides = _sides("posix", _posix, lambda size: (text(size), 0), *in_c, "posix_ipc", _posix_ipc, room)
    yield Mechanism("POSIX message queue", range(1, limits.msgsize_max + 1), sides)


def _sides(
    name: str,
    ours: Callable[[Workshop, int], sysv.MessageQueue | posix.MessageQueue],
    pair: Callable[[int], object],
    in_c: Callable[[Workshop, int], Channel],
    polled_in_c: Callable[[Workshop, int], Channel],
    library: str,
    theirs: Callable[[Workshop, int], Channel],
    room: int,
) -> tuple[Side, ...]:
    """Give the sides, of which the queue itself is the channel, but for C; and batches beside rows of messages."""
    sides = (
        Side("unixipc", ours),
        Side(f"unixipc, {NAME_OF_BATCH}", ours, AtOnce(), _BATCHES, room, message=pair),
        Side("unixipc, polling", _polling(ours), kinds=_BETWEEN_TWO),
        Side("C", in_c, C),
        Side(f"C, {NAME_OF_ROW}", in_c, InC(BATCH), _CALL, room),
        Side(FLOOR_OF_POLLING, polled_in_c, C, frozenset({Kind.ROUND_TRIP})),
        *(_least(_called(name, ours), pair, room) if has_header() else []),
    )
    if peer(library) is None:
        return sides
    return (*sides, Side(library, theirs), Side(f"{library}, {NAME_OF_ROW}", theirs, InARow(), _CALL, room))


def _least(made: Callable[[Workshop, int], Channel], pair: Callable[[int], object], room: int) -> tuple[Side, Side]:
    return (
        Side(FLOOR, made, kinds=_LEAST),
        Side(f"{FLOOR}, {NAME_OF_BATCH}", made, AtOnce(), _CALL, room, message=pair),
    )


def _called(
    name: str, ours: Callable[[Workshop, int], sysv.MessageQueue | posix.MessageQueue]
) -> Callable[[Workshop, int], Channel]:
    """Give the least that calls from Python can cost."""

    def made(shop: Workshop, size: int) -> Channel:
        queue = ours(shop, size)
        return Functions(*called(name, queue.id if isinstance(queue, sysv.MessageQueue) else queue.fileno()))

    return made


def _polling(
    ours: Callable[[Workshop, int], sysv.MessageQueue | posix.MessageQueue],
) -> Callable[[Workshop, int], Channel]:
    def made(shop: Workshop, size: int) -> Channel:
        queue = ours(shop, size)
        queue.polls = _POLLS
        return queue

    return made


def _system_v(shop: Workshop, size: int) -> sysv.MessageQueue:
    return shop.keep(sysv.MessageQueue.create())


def _system_v_in_c(shop: Workshop, size: int) -> Channel:
    return ChannelInC(shop, "system_v_queue", size, _system_v(shop, size).id)


def _system_v_polled_in_c(shop: Workshop, size: int) -> Channel:
    return ChannelInC(shop, "system_v_polled_queue", size, _system_v(shop, size).id)


def _sysv_ipc(shop: Workshop, size: int) -> Any:
    library = peer("sysv_ipc")
    return shop.keep(library.MessageQueue(None, library.IPC_CREX, max_message_size=max(size, 2048)))  # its default


def _depth(size: int) -> int:
    return min(BATCH, processes.IpcLimits().msg_max, _POSIX_BYTES // size)


def _posix(shop: Workshop, size: int) -> posix.MessageQueue:
    return shop.keep(posix.MessageQueue.create(shop.name(), max_messages=_depth(size), max_size=size))


def _posix_in_c(shop: Workshop, size: int) -> Channel:
    return ChannelInC(shop, "posix_queue", size, _posix(shop, size).fileno())


def _posix_polled_in_c(shop: Workshop, size: int) -> Channel:
    return ChannelInC(shop, "posix_polled_queue", size, _posix(shop, size).fileno())


def _posix_ipc(shop: Workshop, size: int) -> Any:
    library, limits = peer("posix_ipc"), {"max_messages": _depth(size), "max_message_size": size}
    return shop.keep(library.MessageQueue(shop.name(), library.O_CREX, **limits))
