"""What was measured: as ratios with their spread, as a file that pyperf reads, and beside what was measured before."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import metadata
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, TypeAlias

import pyperf

from bench.records import FLOOR, FLOOR_OF_POLLING, Kind, Measured, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

OURS = "unixipc"
C = "C"
PEERS = ("sysv_ipc", "posix_ipc", "pyzmq", "faster-fifo")
LEAST = 1.05
"""A smaller change than this is none, however sure it is."""

_NANOSECONDS = 1e9  # of a second, which pyperf counts in
_TAIL = ", 99th percentile"
_FIELDS = "kind", "mechanism", "side", "size", "cores"
_NOT_OF_THE_MACHINE = {*_FIELDS, "name", "unit"}

Job: TypeAlias = tuple[Kind, str, int, int]
"""What sides are compared in: kind, mechanism, size and cores."""


class UnreadableError(Exception):
    """A file has no results of this bench: the text says which file, and why."""


def job(row: Row) -> Job:
    """Say what the row does, whoever does it."""
    return row.kind, row.mechanism, row.size, row.cores


def is_ours(side: str) -> bool:
    """Tell whether the side is this package, in one of its ways: "unixipc, 64 at once" is, too."""
    return side == OURS or side.startswith(f"{OURS}, ")


def is_c(side: str) -> bool:
    """Tell whether the side is the C program, in one of its ways."""
    return side == C or side.startswith(f"{C}, ")


def is_floor(side: str) -> bool:
    """Tell whether this side is nobody's, and only shows what could be reached."""
    return side.startswith(FLOOR) or side == FLOOR_OF_POLLING


def _is_a_batch(side: str) -> bool:
    return side.endswith((" at once", " in a row"))


@dataclass(frozen=True, slots=True)
class Spread:
    """The median over the rounds, and between which numbers eight in ten of them lie."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> Spread:
        """Take it of one number for each round."""
        if len(numbers) == 1:
            return cls(numbers[0], numbers[0], numbers[0])
        low, *_, high = quantiles(numbers, n=10, method="inclusive")
        return cls(median(numbers), low, high)

    def __str__(self) -> str:
        return f"{digits(self.median)} ({self.range})"

    @property
    def range(self) -> str:
        """The two ends, as a text."""
        return f"{digits(self.low)} to {digits(self.high)}"


def digits(number: float) -> str:
    """Write a ratio with as many digits as it deserves."""
    return f"{number:.2f}" if number < 10 else f"{number:.1f}" if number < 100 else f"{number:,.0f}"


def ratio(mine: Measured, other: Measured) -> Spread:
    """Divide what two rows took in the same rounds."""
    return Spread.of([a / b for a, b in zip(mine.values, other.values, strict=True)])


@dataclass(frozen=True)
class Results:
    """All that one run has measured, in its order, and where."""

    measured: tuple[Measured, ...]
    machine: Mapping[str, str | int | float]
    """What pyperf knows of machine and interpreter, and how the bench was called ("arguments")."""

    @cached_property
    def _rows(self) -> dict[Row, Measured]:
        return {each.row: each for each in self.measured}

    @cached_property
    def _jobs(self) -> dict[Job, list[Row]]:
        jobs: dict[Job, list[Row]] = {}
        for each in self.measured:
            jobs.setdefault(job(each.row), []).append(each.row)
        return jobs

    def __getitem__(self, row: Row) -> Measured:
        return self._rows[row]

    def find(self, where: Job, side: str) -> Measured | None:
        """Give what a side took for a job; None if it was not measured."""
        return next((self._rows[row] for row in self._jobs.get(where, ()) if row.side == side), None)

    def rivals(self, row: Row) -> list[Measured]:
        """Give what others than this package took for the same job.

        What goes "64 at once" is held against what goes "64 in a row", where there is any.
        """
        others = [other for other in self._jobs[job(row)] if not is_ours(other.side) and not is_floor(other.side)]
        alike = [other for other in others if _is_a_batch(other.side) == _is_a_batch(row.side)]
        return [self._rows[other] for other in alike or others]

    def ratio(self, row: Row, against: str) -> Spread | None:
        """Give the ratio of a row to another side; None if one of them was not measured."""
        mine, other = self._rows.get(row), self.find(job(row), against)
        return None if mine is None or other is None else ratio(mine, other)

    def to_c(self, row: Row) -> Spread | None:
        """Give the ratio of a row to C; None if it is C, or C was not measured."""
        in_c = next((rival for rival in self.rivals(row) if is_c(rival.row.side)), None)
        return None if in_c is None or is_c(row.side) else ratio(self[row], in_c)

    def save(self, path: Path) -> None:
        """Write a file that `load` reads, and `python -m pyperf`; one that is there is replaced."""
        benchmarks = []
        for each in self.measured:
            fields = {field: getattr(each.row, field) for field in _FIELDS}
            benchmarks.append(self._benchmark(_name(each.row), fields, each.values))
            if each.tails:
                benchmarks.append(self._benchmark(_name(each.row) + _TAIL, fields, each.tails))
        pyperf.BenchmarkSuite(benchmarks).dump(str(path), replace=True)

    def _benchmark(self, name: str, fields: Mapping[str, Any], values: Sequence[float]) -> Any:
        about = {**self.machine, **fields, "name": name, "unit": "second"}
        seconds = [value / _NANOSECONDS for value in values]
        return pyperf.Benchmark([pyperf.Run(seconds, metadata=about, collect_metadata=False)])

    @classmethod
    def load(cls, path: Path) -> Results:
        """Read what `save` has written; UnreadableError where it has not."""
        try:
            suite = pyperf.BenchmarkSuite.load(str(path))
            values = {bench.get_name(): _nanoseconds(bench) for bench in suite}
            rows = {
                name: Row(Kind(about["kind"]), *(about[field] for field in _FIELDS[1:]))
                for name, about in ((bench.get_name(), bench.get_metadata()) for bench in suite)
                if not name.endswith(_TAIL)
            }
        except OSError as error:
            raise UnreadableError(f"{path}: {error.strerror}") from error
        except KeyError as error:
            raise UnreadableError(f"{path} has no results of this bench: {error} is missing") from error
        except (AttributeError, TypeError, ValueError) as error:
            raise UnreadableError(f"{path} has no results of this bench: {error}") from error
        measured = (Measured(row, values[name], values.get(name + _TAIL, ())) for name, row in rows.items())
        return cls(tuple(measured), {k: v for k, v in suite.get_metadata().items() if k not in _NOT_OF_THE_MACHINE})


def _name(row: Row) -> str:
    """Make a name for pyperf's own tables, which no two rows share."""
    return f"{row.kind}, {row.mechanism}, {row.side}, {row.size} bytes, {row.cores} cores"


def _nanoseconds(benchmark: Any) -> tuple[float, ...]:
    return tuple(value * _NANOSECONDS for value in benchmark.get_values())


def machine(arguments: str) -> dict[str, str | int | float]:
    """Ask pyperf what it knows of this machine and interpreter, and note the peers and the bench's own arguments."""
    known: dict[str, str | int | float] = pyperf.Run([1.0]).get_metadata()
    return {**known, "peers": ", ".join(_versions()), "arguments": arguments or "none"}


def _versions() -> Iterator[str]:
    for name in (OURS, *PEERS):
        try:
            yield f"{name} {metadata.version(name)}"
        except metadata.PackageNotFoundError:
            yield f"{name} absent"


@dataclass(frozen=True, slots=True)
class Change:
    """What became of a row: its ratio to C in two runs, or where there is no C, its nanoseconds."""

    row: Row
    old: Spread
    new: Spread
    to_c: bool

    @property
    def ratio(self) -> float:
        """How many times as much it is now."""
        return self.new.median / self.old.median

    @property
    def slower(self) -> bool:
        """Whether it takes more time, surely: the spreads do not touch."""
        return self.new.low > self.old.high and self.ratio >= LEAST

    @property
    def faster(self) -> bool:
        """Whether it takes less time, surely."""
        return self.new.high < self.old.low and self.ratio <= 1 / LEAST


def compare(old: Results, new: Results) -> list[Change]:
    """Set the rows that both runs have side by side, but for those of C, which are the measure."""
    return list(_changes(old, new))


def _changes(old: Results, new: Results) -> Iterator[Change]:
    for now in new.measured:
        before = old.find(job(now.row), now.row.side)
        if before is None or is_c(now.row.side):
            continue
        was, is_now = old.to_c(now.row), new.to_c(now.row)
        if was is not None and is_now is not None:
            yield Change(now.row, was, is_now, to_c=True)
        else:
            yield Change(now.row, Spread.of(before.values), Spread.of(now.values), to_c=False)
