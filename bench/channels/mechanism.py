"""What the families of channels are made of: mechanisms, and their sides."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bench.channels.loops import PYTHON, Channel, Loops
from bench.channels.workshop import BATCH
from bench.records import Kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.channels.workshop import Workshop

ANY = range(1, 2**20 + 1)
"""Bytes of a message where it does not matter how long it is: up to what is measured."""
NOTHING = range(1)
"""Those of what carries no message."""

NAME_OF_BATCH = f"{BATCH} at once"
NAME_OF_ROW = f"{BATCH} in a row"


def text(size: int) -> bytes:
    """Make a message, of pages of its own: zeros would all be read from one."""
    return b"x" * size


@dataclass(frozen=True, slots=True)
class Functions:
    """A channel that is nothing but functions: those for batches may be missing."""

    send: Callable[[Any], object]
    receive: Callable[[], object]
    send_many: Callable[[list[Any]], object] | None = None
    receive_many: Callable[[int], object] | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """Who carries the messages of a mechanism, and how: ours, C, or a peer."""

    name: str
    open: Callable[[Workshop, int], Channel]
    """Make a channel for messages of so many bytes, of what the shop keeps."""
    loops: Loops = PYTHON
    kinds: frozenset[Kind] = frozenset(Kind)
    room: int = 2**63
    """The bytes that can be sent before any is received, which is what a CALL does."""
    most: int = 2**63
    """The bytes that are sent between two looks at the clock, at most."""
    message: Callable[[int], Any] = text
    """What is given to `send` for a message of so many bytes."""

    def carries(self, kind: Kind, size: int) -> bool:
        """Whether it is measured so, with messages of this size."""
        return kind in self.kinds and (kind is not Kind.CALL or size * self.loops.step <= self.room)


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A mechanism, and who carries messages by it."""

    name: str
    sizes: range
    """The bytes that a message may have; only 0 where there is none."""
    sides: tuple[Side, ...]
    """Ours first, then C, then the peers; those whose library is not installed are left out."""


@cache
def peer(module: str) -> Any:
    """Import the library of a peer; None if it is not installed."""
    try:
        return import_module(module)
    except ImportError:
        return None


def whole(read: Callable[[int, int], bytes], fd: int, size: int) -> bytes:
    """Read a message that may come in parts; at the end of a file more is to come."""
    got = read(fd, size)
    while len(got) < size:
        if not got:
            os.sched_yield()
        got += read(fd, size - len(got))
    return got
