"""The ratios that are wanted: what the package has promised to be at most, against C and against its peers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.records import Kind, Row
from bench.results import C, OURS, Spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.results import Results

SYSV_MESSAGES, POSIX_MESSAGES = "System V message queue", "POSIX message queue"
SYSV_SEMAPHORE, POSIX_SEMAPHORE = "System V semaphore", "POSIX semaphore"
SYSV_READ, SYSV_WRITE = "System V shared memory, read", "System V shared memory, write"
POSIX_READ, POSIX_WRITE = "POSIX shared memory, read", "POSIX shared memory, write"
KILL, SIGQUEUE, PIPE = "kill", "sigqueue and sigwaitinfo", "pipe"

BATCH = f"{OURS}, 64 at once"
POLLING = f"{OURS}, polling"

_MIB = 1 << 20
_OF_A_RATE = 1 / 1.3  # of the time is 1.3 times the rate
_MEMCPY = 1 / 0.9


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


def _calls(mechanism: str, size: int, /, side: str = OURS, **most: float) -> Iterator[Bar]:
    for against, figure in most.items():
        yield Bar(Kind.CALL, mechanism, side, against, size, 1, figure)


def _round_trips(mechanism: str, cores: int, /, side: str = OURS, **most: float) -> Iterator[Bar]:
    for against, figure in most.items():
        yield Bar(Kind.ROUND_TRIP, mechanism, side, against, 64, cores, figure)


BARS = (
    *_calls(SYSV_MESSAGES, 64, C=1.25, sysv_ipc=1.0),
    *_calls(POSIX_MESSAGES, 64, C=1.25, posix_ipc=1.0),
    *_calls(SYSV_SEMAPHORE, 0, C=1.15, sysv_ipc=1.0),
    *_calls(KILL, 0, C=1.10, **{"os.kill": 1.0}),
    *_calls(SIGQUEUE, 0, C=1.15),
    *_calls(PIPE, 64, os=1.0),
    *_calls(POSIX_SEMAPHORE, 0, **{"multiprocessing.Lock": 1.0}, posix_ipc=1.0),
    *_calls(SYSV_READ, 64, sysv_ipc=0.3),
    *_calls(SYSV_WRITE, 64, sysv_ipc=0.3),
    *(bar for size in (64, 65536, _MIB) for bar in _calls(POSIX_READ, size, mmap=1.0)),
    *(bar for size in (64, 65536, _MIB) for bar in _calls(POSIX_WRITE, size, mmap=1.0)),
    *_calls(POSIX_WRITE, _MIB, C=_MEMCPY),
    *_calls(SYSV_MESSAGES, 64, BATCH, C=1.05, sysv_ipc=_OF_A_RATE),
    *_calls(POSIX_MESSAGES, 64, BATCH, C=1.05, posix_ipc=_OF_A_RATE),
    *_round_trips(SYSV_MESSAGES, 1, C=1.18, sysv_ipc=1.0),
    *_round_trips(POSIX_MESSAGES, 1, C=1.18, posix_ipc=1.0),
    *(
        bar
        for mechanism in (SYSV_MESSAGES, POSIX_MESSAGES)
        for cores, most in ((2, 0.2), (1, 1.3))
        for bar in _round_trips(mechanism, cores, POLLING, C=most)
    ),
)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a bar has come to; no ratio where one of the two was not measured."""

    bar: Bar
    ratio: Spread | None

    @property
    def met(self) -> bool | None:
        """Whether it is met; None if nobody knows."""
        return None if self.ratio is None else self.ratio.median <= self.bar.most


def judge(results: Results) -> list[Judgement]:
    """Hold what was measured against all bars."""
    return [Judgement(bar, results.to(bar.row, bar.against)) for bar in BARS]
