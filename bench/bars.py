"""The ratios that are wanted: what the package has promised to be at most, against C and against its peers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.records import FLOOR, FLOOR_OF_POLLING, Kind, Row
from bench.results import OURS, Spread, is_c

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.results import Results

SYSV_SEMAPHORE, POSIX_SEMAPHORE = "System V semaphore", "POSIX semaphore"
SYSV_READ, SYSV_WRITE = "System V shared memory, read", "System V shared memory, write"
POSIX_READ, POSIX_WRITE = "POSIX shared memory, read", "POSIX shared memory, write"
KILL = "kill"

BATCH = f"{OURS}, 64 at once"
POLLING = f"{OURS}, polling"
VIEW = f"{OURS}, view of the place"

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Bar:
    """The most that the median ratio of a side to another may be."""

    kind: Kind
    mechanism: str
    side: str
    against: str
    size: int
    cores: int
    most: float

    @property
    def row(self) -> Row:
        """The row that has to be so fast."""
        return Row(self.kind, self.mechanism, self.side, self.size, self.cores)


def _calls(mechanism: str, size: int, most: dict[str, float], side: str = OURS) -> Iterator[Bar]:
    for against, figure in most.items():
        yield Bar(Kind.CALL, mechanism, side, against, size, 1, figure)


def _round_trips(mechanism: str, cores: int, most: dict[str, float], side: str = OURS) -> Iterator[Bar]:
    for against, figure in most.items():
        yield Bar(Kind.ROUND_TRIP, mechanism, side, against, 64, cores, figure)


def _of_queues(mechanism: str, library: str) -> Iterator[Bar]:
    yield from _calls(mechanism, 64, {"C": 1.25, library: 1})
    yield from _calls(mechanism, 64, {"C, 64 in a row": 1.05, f"{library}, 64 in a row": 1 / 1.3}, BATCH)
    yield from _round_trips(mechanism, 1, {"C": 1.18, library: 1})
    yield from _round_trips(mechanism, 2, {"C": 0.2}, POLLING)
    yield from _round_trips(mechanism, 1, {"C": 1.3}, POLLING)


BARS = (
    *_of_queues("System V message queue", "sysv_ipc"),
    *_of_queues("POSIX message queue", "posix_ipc"),
    *_calls(SYSV_SEMAPHORE, 0, {"C": 1.15, "sysv_ipc": 1}),
    *_calls(POSIX_SEMAPHORE, 0, {"multiprocessing.Lock": 1, "posix_ipc": 1}),
    *_calls(KILL, 0, {"C": 1.10, "os.kill": 1}),
    *_calls("sigqueue and sigwaitinfo", 0, {"C": 1.15}),
    *_calls("pipe", 64, {"os": 1}),
    *_calls(SYSV_READ, 64, {"sysv_ipc": 0.3}),
    *_calls(SYSV_WRITE, 64, {"sysv_ipc": 0.3}),
    *(
        bar
        for call in (POSIX_READ, POSIX_WRITE)
        for side in (OURS, VIEW)
        for size in (64, 65536, _MIB)
        for bar in _calls(call, size, {"mmap": 1}, side)
    ),
    *_calls(POSIX_WRITE, _MIB, {"C": 1 / 0.9}),  # nine tenths of memcpy's rate
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a bar has come to; no ratio where one of the two was not measured."""

    bar: Bar
    ratio: Spread | None
    least: Spread | None
    """The same of the least from Python, or of polling in C: what no extension goes below, on this machine."""

    @property
    def met(self) -> bool | None:
        """Whether it is met; None if nobody knows."""
        return None if self.ratio is None else self.ratio.median <= self.bar.most

    @property
    def beyond_reach(self) -> bool:
        """Whether nothing that is called from Python could meet it here."""
        return self.least is not None and self.least.median > self.bar.most


def judge(results: Results) -> list[Judgement]:
    """Hold what was measured against the bars of its mechanisms."""
    measured = {each.row.mechanism for each in results.measured}
    return [
        Judgement(bar, results.ratio(bar.row, bar.against), _least(results, bar))
        for bar in BARS
        if bar.mechanism in measured
    ]


def _least(results: Results, bar: Bar) -> Spread | None:
    """Give the ratio of the least from Python to C, or of polling in C."""
    if not is_c(bar.against):
        return None
    side = FLOOR_OF_POLLING if bar.side == POLLING else bar.side.replace(OURS, FLOOR)
    return results.ratio(replace(bar.row, side=side), bar.against)
