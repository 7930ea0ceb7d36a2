"""What one row does in one round: in this process, in a forked one, or in two that are pinned to their processors."""

from __future__ import annotations

import gc
import os
import select
import signal
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing import Pipe
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

from bench.channels import workshop
from bench.records import Kind
from unixipc import libc, processes, signals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection

    from bench.channels import Side
    from bench.records import Row

DEADLINE = 30.0
"""Seconds that a row has in a round, with all that belongs to it."""

STOPPING = libc.SignalSet({libc.SIGINT, libc.SIGTERM})
"""Those come while a row is waited for, and at no other moment: what is made is removed then."""

_WARM = 16  # turns
_ENOUGH = 16  # a part of the time that tells how long the whole would take
_TRIES = 3


class Taken(NamedTuple):
    """What a row took in one round, and in how many turns."""

    turns: int
    nanoseconds: float
    tail: float | None = None
    """The 99th percentile, of round trips only."""


@dataclass(frozen=True, slots=True)
class Stint:
    """How long a row is to run: for about that time, in so many turns if that is known already."""

    nanoseconds: float
    turns: int = 0
    step: int = 1
    """What the turns are a multiple of."""
    most: int = 2**24
    each: bool = False
    """Whether the moments of all turns are told, so that the median counts and not the mean."""

    def taken(self, run: Callable[[int], Sequence[int]]) -> Taken:
        """Warm up, find out the turns, and do them: `run` gives the moments of its beginning, turns, and end."""
        run(self._allowed(min(self.turns or _WARM, _WARM)))
        turns = self.turns or self._found(run)
        moments = run(turns)
        if not self.each:
            return Taken(turns, (moments[1] - moments[0]) / turns)
        spent = sorted(after - before for before, after in pairwise(moments))
        return Taken(turns, median(spent), spent[len(spent) * 99 // 100])

    def _found(self, run: Callable[[int], Sequence[int]]) -> int:
        """Find out how many turns take so long where nobody disturbs them: the quickest of a few tries tells."""
        turns = self._allowed(1)
        while True:
            spent = min(moments[-1] - moments[0] for moments in (run(turns) for _ in range(_TRIES)))
            more = self._allowed(4 * turns)
            if spent * _ENOUGH >= self.nanoseconds or turns == more:
                return self._allowed(int(turns * self.nanoseconds / max(spent, 1)))
            turns = more

    def _allowed(self, turns: int) -> int:
        return max(min(turns, self.most) // self.step, 1) * self.step


def processors() -> list[int]:
    """Tell which this process may use."""
    return sorted(os.sched_getaffinity(0))


def here(row: Row, run: Callable[[int], object], stint: Stint) -> Taken:
    """Measure a call within this process, which is on one processor meanwhile; TimeoutError as below."""
    allowed, collects = os.sched_getaffinity(0), gc.isenabled()
    with _named(row), signals.handling(libc.SIGALRM, _late):
        signal.setitimer(signal.ITIMER_REAL, DEADLINE)
        try:
            _settle(min(allowed))
            return stint.taken(lambda turns: _timed(run, turns))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            os.sched_setaffinity(0, allowed)
            if collects:
                gc.enable()


def forked(row: Row, side: Side, stint: Stint) -> Taken:
    """Measure a channel, in one process or between two; TimeoutError names a row that hangs.

    Threads of this process, of numpy for example, are allowed: no child touches what is theirs.
    """
    with _named(row), signals.blocked(STOPPING) as before:
        return _forked(row, side, stint, before)  # whose objects are gone while no handler can raise


def _forked(row: Row, side: Side, stint: Stint, before: libc.SignalSet) -> Taken:
    with workshop() as shop:
        there = side.open(shop, row.size)
        if row.kind is Kind.CALL:
            with processes.fork(_alone, there, row, side, stint, allow_threads=True) as child:
                _wait([child], before)
                return child.result()
        back = side.open(shop, row.size) if row.kind is Kind.ROUND_TRIP else None
        line = Pipe()
        for end in line:
            shop.keep(end)
        with (
            processes.fork(_follow, line, there, back, row, side, allow_threads=True) as follower,
            processes.fork(_lead, line, follower.pid, there, back, row, side, stint, allow_threads=True) as leader,
        ):
            for end in line:
                end.close()
            if leader not in _wait([leader, follower], before):  # then the follower has failed, or it ends just now
                follower.result()
            try:
                return leader.result(DEADLINE)
            except (EOFError, ConnectionError):
                follower.result(DEADLINE)  # which tells why it left
                raise


def _wait(children: list[processes.Child[Any]], mask: libc.SignalSet) -> list[processes.Child[Any]]:
    """Wait until one of them has ended, under a mask that lets those signals in that stop the bench."""
    deadline = time.monotonic() + DEADLINE
    while True:
        with suppress(InterruptedError):  # by a handler that has raised nothing
            left = max(deadline - time.monotonic(), 0)
            ended = dict(libc.ppoll([(child.fileno(), select.POLLIN) for child in children], left, mask))
            if not ended:
                _late()
            return [child for child in children if child.fileno() in ended]


def _late(*_: object) -> NoReturn:
    raise TimeoutError(f"not done within {DEADLINE:.0f} seconds")


@contextmanager
def _named(row: Row) -> Iterator[None]:
    """Say in a note of which row an error is."""
    try:
        yield
    except Exception as error:
        error.add_note(f"in the row {describe(row)}")
        raise


def describe(row: Row) -> str:
    """Say which row it is, for those who wait."""
    cores = "" if row.kind is Kind.CALL else f", {row.cores} core{'s' if row.cores > 1 else ''}"
    return f"{row.kind}, {row.mechanism}, {row.side}, {row.size} bytes{cores}"


# -- in the children --


def _settle(processor: int) -> None:
    os.sched_setaffinity(0, {processor})
    gc.disable()


def _enter(channel: Any, sender: int, receiver: int) -> None:
    if hasattr(channel, "enter"):
        channel.enter(sender, receiver)


def _timed(run: Callable[[int], object], turns: int) -> tuple[int, int]:
    start = time.perf_counter_ns()
    run(turns)
    return start, time.perf_counter_ns()


def _alone(channel: Any, row: Row, side: Side, stint: Stint) -> Taken:
    _settle(processors()[0])
    _enter(channel, os.getpid(), os.getpid())
    message = side.message(row.size)
    return stint.taken(lambda turns: _timed(lambda turns: side.loops.call(channel, message, turns), turns))


def _follow(line: tuple[Connection, Connection], there: Any, back: Any, row: Row, side: Side) -> None:
    """Do as many turns as the leader says, again and again, until it leaves."""
    told, leaders = line
    leaders.close()
    _settle(processors()[row.cores - 1])
    leader, message = told.recv(), side.message(row.size)
    _enter(there, leader, os.getpid())
    if back is not None:
        _enter(back, os.getpid(), leader)
    told.send("entered")
    with suppress(EOFError):
        while True:
            turns = told.recv()
            told.send("ready")
            if back is None:
                side.loops.consume(there, turns)
            else:
                side.loops.answer(there, back, message, turns)
            told.send("done")


def _lead(
    line: tuple[Connection, Connection], follower: int, there: Any, back: Any, row: Row, side: Side, stint: Stint
) -> Taken:
    followers, tell = line
    followers.close()
    _settle(processors()[0])
    tell.send(os.getpid())
    message = side.message(row.size)
    _enter(there, os.getpid(), follower)
    if back is not None:
        _enter(back, follower, os.getpid())
    tell.recv()

    def run(turns: int) -> Sequence[int]:
        tell.send(turns)
        tell.recv()
        if back is not None:
            moments = side.loops.ask(there, back, message, turns)
            tell.recv()
            return moments
        start = time.perf_counter_ns()
        side.loops.produce(there, message, turns)
        tell.recv()
        return start, time.perf_counter_ns()

    return stint.taken(run)
