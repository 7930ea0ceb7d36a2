"""What the tests of the room `sysv` share."""

from __future__ import annotations

import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol, TypeVar

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc import sysv
    from unixipc.testing import Gate

T = TypeVar("T")


class Removable(Protocol):
    def close(self) -> None: ...
    def remove(self) -> None: ...


R = TypeVar("R", bound=Removable)


def kept() -> Iterator[Callable[[R], R]]:
    """Close and remove objects with the test: the body of a fixture."""
    made: list[Removable] = []

    def keep(thing: R) -> R:
        made.append(thing)
        return thing

    yield keep
    for thing in made:
        thing.close()
        with suppress(OSError):  # the test may have removed it
            thing.remove()


def unused_key() -> int:
    return secrets.randbits(30) + 2**30


def messages(queue: sysv.MessageQueue) -> list[tuple[int, bytes]]:
    """Look at all messages of a queue."""
    found: list[tuple[int, bytes]] = []
    while (message := queue.peek(len(found))) is not None:
        found.append(message)
    return found


def interrupting(function: Callable[[], T], handled: Gate | None = None) -> tuple[T, int]:
    """Call a function while signals keep arriving, and return its result and how many handlers ran.

    Each opens the gate `handled`.
    """
    count = 0

    def handler(signum: int) -> None:
        nonlocal count
        count += 1
        if handled is not None:
            handled.open()

    libc.sigaction(libc.SIGALRM, libc.Sigaction(handler))
    libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0.001, 0.001))
    try:
        return function(), count
    finally:
        libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0, 0))
