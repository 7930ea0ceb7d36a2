"""Who holds an object, and how."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unixipc.inventory.scan import Descriptor, Mapping


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has an object open or mapped, or waits for it: `waiting` has the threads that do."""

    pid: int
    name: str
    """The name of its command, as in ps(1)."""
    descriptors: tuple[Descriptor, ...] = ()
    mappings: tuple[Mapping, ...] = ()
    waiting: tuple[int, ...] = ()

    @property
    def how(self) -> str:
        """Say it in words, such as `open as fd 3, mapped`."""
        words = []
        if self.descriptors:
            words.append(f"open as fd {', '.join(str(descriptor.number) for descriptor in self.descriptors)}")
        if self.mappings:
            words.append("attached" if self.mappings[0].attached else "mapped")
        if self.waiting:
            words.append("waiting")
        return ", ".join(words)


@dataclass(frozen=True, slots=True)
class Holders:
    """The processes that are known to hold an object; unless `complete`, there may be others."""

    known: tuple[Holder, ...]
    complete: bool

    @property
    def pids(self) -> tuple[int, ...]:
        """The numbers of those that are known."""
        return tuple(holder.pid for holder in self.known)
