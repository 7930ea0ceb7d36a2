"""How much is in each object at a moment, and what has changed since the one before."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from unixipc.cli import objects
from unixipc.cli.objects import Kind
from unixipc.inventory import (
    MemoryFile,
    MessageQueue,
    PosixObject,
    PosixQueue,
    Segment,
    SemaphoreSet,
    SocketState,
    SysvObject,
    UnixSocket,
    look,
    message_queues,
    posix_memory,
    posix_queues,
    segments,
    semaphore_sets,
    semaphore_states,
    semaphore_value,
    sockets,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

    from unixipc.inventory import Thing

_LISTS: dict[Callable[[], Iterable[Thing]], set[Kind]] = {
    segments: {Kind.SYSV_SHM},
    message_queues: {Kind.SYSV_MSG},
    semaphore_sets: {Kind.SYSV_SEM},
    posix_memory: {Kind.POSIX_SHM, Kind.POSIX_SEM},
    posix_queues: {Kind.POSIX_MQ},
    sockets: {Kind.SOCKET},
}
"""What can be listed without a look at every process."""

USUAL = frozenset(Kind) - {Kind.MEMFD, Kind.FIFO, Kind.SOCKET}
"""What outlives its users, and is watched if nothing else is asked for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One object at one moment; what is None it does not have, or it may not be read. Lists have a semaphore each."""

    kind: Kind
    name: str
    inode: int | None = None
    """What tells it from another of the same name; the ids of System V are not used twice soon."""
    owner: str = ""
    depth: int | None = None
    """The messages in a queue, or the connections that wait for a socket to accept them."""
    max_depth: int | None = None
    bytes: int | None = None
    """Of memory its size, else of what waits to be received."""
    max_bytes: int | None = None
    attached: int | None = None
    values: tuple[int, ...] | None = None
    waiting: tuple[int, ...] | None = None
    """How many wait for each semaphore to grow."""
    waiting_for_zero: tuple[int, ...] | None = None
    used: int | None = None
    """When it was made, changed or used last, in seconds since the epoch."""
    users: tuple[int, ...] = ()
    """The processes that used it last."""

    @property
    def identity(self) -> tuple[object, ...]:
        """What no other object has."""
        return self.kind, self.name, self.inode

    @property
    def level(self) -> int | None:
        """The one number whose change is the rate: of messages, values, attachments or bytes."""
        if self.values is not None:
            return sum(self.values)
        return next((number for number in (self.depth, self.attached, self.bytes) if number is not None), None)

    @property
    def waiters(self) -> int:
        """How many wait for its semaphores."""
        return sum(self.waiting or ()) + sum(self.waiting_for_zero or ())


@dataclass(frozen=True, slots=True)
class Moment:
    """All objects at one time, in seconds since the epoch, and what could not be listed, and why."""

    time: float
    samples: tuple[Sample, ...]
    lacking: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """An object, what has become of it since the moment before, and whether anything has."""

    sample: Sample
    rate: float | None
    active: bool


def take(kinds: AbstractSet[Kind]) -> Moment:
    """Look at the objects of these kinds now; at every process only for those kinds that cannot be found otherwise."""
    now, lacking = time.time(), list[str]()
    found: list[Thing] = []
    if {Kind.MEMFD, Kind.FIFO} & kinds:
        census = look()
        found.extend(census)
        lacking.extend(census.lacking if Kind.POSIX_MQ in kinds else ())
    else:
        for listed, theirs in _LISTS.items():
            if theirs & kinds:
                try:
                    found.extend(listed())
                except PermissionError as error:
                    lacking.append(str(error))
    return Moment(now, tuple(_sample(thing) for thing in found if objects.kind_of(thing) in kinds), tuple(lacking))


def changes(before: Moment | None, now: Moment) -> list[Change]:
    """Compare two moments: first what is active, by its rate, then what is waited for, then what was used last."""
    if before is None:
        found = [Change(sample, None, active=False) for sample in now.samples]
    else:
        old = {sample.identity: sample for sample in before.samples}
        found = [_change(old.get(sample.identity), sample, now.time - before.time) for sample in now.samples]
    return sorted(found, key=_order)


def _change(before: Sample | None, now: Sample, seconds: float) -> Change:
    rate = None
    if before is not None and before.level is not None and now.level is not None and seconds > 0:  # no clock set back
        rate = (now.level - before.level) / seconds
    return Change(now, rate, active=now != before)


def _order(change: Change) -> tuple[object, ...]:
    sample = change.sample
    return not change.active, -abs(change.rate or 0), -sample.waiters, -(sample.used or 0), sample.kind, sample.name


def _sample(thing: Thing) -> Sample:
    inode = None if isinstance(thing, SysvObject) else thing.inode
    sample = Sample(
        objects.kind_of(thing), objects.label(thing), inode, objects.owner(thing), used=objects.last_use(thing)
    )
    match thing:
        case Segment():
            sample = replace(sample, bytes=thing.size, attached=thing.attached, users=_pids(thing.last_user))
        case MessageQueue():
            users = _pids(thing.last_sender, thing.last_receiver)
            sample = replace(sample, depth=thing.messages, bytes=thing.bytes, max_bytes=thing.max_bytes, users=users)
        case SemaphoreSet():
            sample = _with_states(sample, thing.id)
        case PosixQueue() if thing.status is not None:
            inside = thing.status
            sample = replace(sample, depth=inside.messages, max_depth=inside.max_messages, bytes=inside.bytes)
        case PosixObject() if sample.kind is Kind.POSIX_SEM:
            value = semaphore_value(thing.name)
            sample = replace(sample, values=None if value is None else (value,))
        case PosixObject() | MemoryFile():
            sample = replace(sample, bytes=thing.size)
        case UnixSocket() if thing.state is SocketState.LISTENING:
            sample = replace(sample, depth=thing.received, max_depth=thing.sent)
        case UnixSocket():
            sample = replace(sample, bytes=thing.received)
    return sample


def _with_states(sample: Sample, semid: int) -> Sample:
    states = semaphore_states(semid)
    if states is None:
        return sample
    return replace(
        sample,
        values=tuple(state.value for state in states),
        waiting=tuple(state.waiting for state in states),
        waiting_for_zero=tuple(state.waiting_for_zero for state in states),
        users=_pids(*(state.last_pid for state in states)),
    )


def _pids(*pids: int) -> tuple[int, ...]:
    return tuple(dict.fromkeys(pid for pid in pids if pid))
