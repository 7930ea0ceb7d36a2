"""What the kernel tells of this process's memory, and a place that nobody else takes.

Where something was unmapped, malloc, the interpreter or a sanitizer may have mapped memory of their own a moment later:
a test that looks there afterwards maps at a `free_place()`, or shares the memory, which none of them does.
"""

from __future__ import annotations

import resource
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator


class Span(NamedTuple):
    """A line of /proc/self/maps."""

    start: int
    stop: int
    access: str
    file: str


SANITIZED = "libasan" in Path("/proc/self/maps").read_text()


def spans() -> Iterator[Span]:
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, access, _, _, _, *file = line.split(maxsplit=5)
        start, stop = (int(end, 16) for end in span.split("-"))
        yield Span(start, stop, access, "".join(file))


def span_at(address: int) -> Span | None:
    return next((span for span in spans() if span.start <= address < span.stop), None)


def access(address: int) -> str | None:
    """How the memory at an address may be used (`rw-p`), None where nothing is mapped."""
    span = span_at(address)
    return span and span.access


def is_shared(address: int) -> bool:
    """Whether memory that can be shared with other processes is mapped at an address."""
    return (access(address) or "").endswith("s")


def is_locked(address: int) -> bool:
    """Whether what is mapped at an address is locked in memory."""
    found = span_at(address)
    assert found is not None
    _, _, rest = Path("/proc/self/smaps").read_text().partition(f"{found.start:x}-{found.stop:x} ")
    flags = next(line for line in rest.splitlines() if line.startswith("VmFlags:"))
    return "lo" in flags.split()


def leave_room(size: int) -> None:
    """Let this process map so many bytes more, and not another: in a forked child only. A sanitizer has mapped much."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + size
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def free_place() -> int:
    """An address far from where the kernel puts anything by itself."""
    taken = list(spans())
    return next(
        place
        for place in range(0x1000_0000_0000, 0x2000_0000_0000, 1 << 32)
        if not any(span.start < place + (1 << 24) and place - (1 << 24) < span.stop for span in taken)
    )
