"""Slots that take turns: shared memory as a channel, whoever's memory and semaphores they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

    from bench.channels.workshop import Workshop

SLOTS = 8


class Ring:
    """A channel over memory that is written and read by the number of a slot, and semaphores of any library."""

    def __init__(self, free: Any, full: Any, put: Callable[[int, bytes], object], get: Callable[[int], bytes]) -> None:
        self._free, self._full = free, full
        self._put, self._get = put, get
        self._sent = self._received = 0

    def send(self, message: bytes, /) -> None:
        """Wait for a free slot, and fill it."""
        self._free.acquire()
        self._put(self._sent, message)
        self._sent = (self._sent + 1) % SLOTS
        self._full.release()

    def receive(self) -> bytes:
        """Wait for a full slot, and copy what is in it."""
        self._full.acquire()
        message = self._get(self._received)
        self._received = (self._received + 1) % SLOTS
        self._free.release()
        return message


def views(shop: Workshop, memory: Buffer, size: int) -> tuple[Callable[[int, bytes], object], Callable[[int], bytes]]:
    """Make the functions that fill and read slots by views of memory."""
    with memoryview(memory) as view:
        slots = [shop.enter_context(view[number * size : (number + 1) * size]) for number in range(SLOTS)]

    def put(number: int, message: bytes) -> None:
        slots[number][:] = message

    return put, lambda number: slots[number].tobytes()
