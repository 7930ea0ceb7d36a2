"""What the bench measures, as records."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

FLOOR = "the least from Python"
"""A side that is nobody's: functions that make the system call and its result, and look at nothing else."""
FLOOR_OF_POLLING = "polling in C"
"""Another: a C program that looks as often before it sleeps."""


class Kind(StrEnum):
    """How a mechanism is measured."""

    CALL = "call"
    """What is sent is received, in one process: nanoseconds for the pair."""
    ROUND_TRIP = "round trip"
    """There and back between two processes: nanoseconds, the median, and the 99th percentile beside it."""
    THROUGHPUT = "throughput"
    """One way between two processes: nanoseconds per message."""


@dataclass(frozen=True, slots=True, order=True)
class Row:
    """One way to do one job: what is measured in every round."""

    kind: Kind
    mechanism: str
    """What is the same for all sides, as the tour names it: "System V message queue"."""
    side: str
    """Who does it: "unixipc", "unixipc, 64 at once", "C", "sysv_ipc", "multiprocessing.Pipe", ..."""
    size: int
    """Bytes of a message; 0 where nothing is carried."""
    cores: int
    """1 where one processor does all of it, 2 where each process has one for itself."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a row took."""

    row: Row
    values: tuple[float, ...]
    """Nanoseconds, one of each round, in the rounds' order: the same index in another row is its neighbour in time."""
    tails: tuple[float, ...] = ()
    """The 99th percentile of each round, of round trips only."""
