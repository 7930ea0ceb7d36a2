"""The rows that a plan asks for, measured in rounds, in which the sides of one job are neighbours in time."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from bench.channels import mechanisms, workshop
from bench.records import Kind, Measured, Row
from bench.stints import Stint, describe, forked, here, processors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bench.channels import Mechanism, Side
    from bench.stints import Taken


@dataclass(frozen=True)
class Plan:
    """What is measured, and how long."""

    rounds: int
    milliseconds: float
    """Of each row in each round, about."""
    sizes: tuple[int, ...]
    """Bytes of a message, where there is one that may be so long."""
    cores: tuple[int, ...]
    """Processors for the two processes; as many as there are, at most."""
    only: str = ""
    """A text in the names of the mechanisms that are measured."""


QUICK = Plan(rounds=5, milliseconds=5, sizes=(64, 65536), cores=(1, 2))
FULL = Plan(rounds=7, milliseconds=40, sizes=(1, 64, 1024, 8192, 65536, 1048576), cores=(1, 2))


class Call(NamedTuple):
    """A row that carries nothing between processes: `run` does it so many times."""

    mechanism: str
    side: str
    size: int
    run: Callable[[int], object]


@dataclass(slots=True)
class _Job:
    """A row, how it is measured, and what it took in the rounds so far."""

    row: Row
    take: Callable[[Stint], Taken]
    stint: Stint
    taken: list[Taken] = field(default_factory=list)
    failed: bool = False

    def do(self) -> None:
        self.taken.append(taken := self.take(self.stint))
        self.stint = replace(self.stint, turns=taken.turns)

    def measured(self) -> Measured:
        tails = (taken.tail for taken in self.taken)
        return Measured(
            self.row,
            tuple(taken.nanoseconds for taken in self.taken),
            tuple(tail for tail in tails if tail is not None),
        )


def measure(
    plan: Plan,
    calls: Sequence[Call],
    progress: Callable[[int, int, str], None],
    failed: Callable[[Row, Exception], None] | None = None,
) -> list[Measured]:
    """Measure these calls and all mechanisms, and tell before each row how many are done, of how many, and what it is.

    A row that fails, or hangs, is told to `failed`, and left out; without that it ends it, by an error that names the
    row. All that was made is removed.
    """
    every = (*_of_calls(plan, calls), *_of_mechanisms(plan))
    jobs = [job for job in every if plan.only.lower() in job.row.mechanism.lower()]
    groups: dict[object, list[_Job]] = {}
    for job in jobs:
        row = job.row
        groups.setdefault((row.kind, row.mechanism, row.size, row.cores), []).append(job)
    done, of, what = 0, plan.rounds * len(jobs), ""
    chance = random.Random()  # noqa: S311 - an order, and no secret
    for _ in range(plan.rounds):
        for group in chance.sample(list(groups.values()), len(groups)):
            for job in chance.sample(group, len(group)):
                progress(done, of, what := describe(job.row))
                if not job.failed:
                    _do(job, failed)
                done += 1
    progress(done, of, what)
    return [job.measured() for job in jobs if not job.failed]


def _do(job: _Job, failed: Callable[[Row, Exception], None] | None) -> None:
    try:
        job.do()
    except Exception as error:
        if failed is None:
            raise
        job.failed = True
        failed(job.row, error)


def _of_calls(plan: Plan, calls: Sequence[Call]) -> Iterator[_Job]:
    for call in calls:
        row = Row(Kind.CALL, call.mechanism, call.side, call.size, 1)
        yield _Job(row, partial(here, row, call.run), Stint(plan.milliseconds * 1e6))


def _of_mechanisms(plan: Plan) -> Iterator[_Job]:
    with workshop():
        known = list(mechanisms())
    most = len(processors())
    for mechanism in known:
        for kind in Kind:
            for size in _sizes(plan, mechanism):
                for cores in (1,) if kind is Kind.CALL else [cores for cores in plan.cores if cores <= most]:
                    for side in mechanism.sides:
                        if side.carries(kind, size):
                            row = Row(kind, mechanism.name, side.name, size, cores)
                            yield _Job(row, partial(forked, row, side), _stint(plan, kind, side, size))


def _sizes(plan: Plan, mechanism: Mechanism) -> list[int]:
    return [0] if 0 in mechanism.sizes else [size for size in plan.sizes if size in mechanism.sizes]


def _stint(plan: Plan, kind: Kind, side: Side, size: int) -> Stint:
    step = 1 if kind is Kind.ROUND_TRIP else side.loops.step
    most = min(Stint(0).most, side.most // max(size, 1))
    return Stint(plan.milliseconds * 1e6, 0, step, most, each=kind is Kind.ROUND_TRIP)
