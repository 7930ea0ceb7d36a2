"""Semaphores and sets of them: semget(2), semop(2)."""

from __future__ import annotations

import errno
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from operator import index
from typing import TYPE_CHECKING, Self

from unixipc import libc
from unixipc._check import Deadline, failure
from unixipc._cpython import Fronted, front
from unixipc.sysv.objects import (
    CREATE,
    Status,
    SysvObject,
    check_key,
    check_mode,
    going_on,
    new_key,
    permissions,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MAXIMUM = 32767  # SEMVMX
_PATIENCE = 1.0  # seconds that whoever makes a set has to give it its values
_LOOK = 0.001  # seconds between two looks at whether he has

_NO_TIME = "it could not be done in time"


@dataclass(frozen=True, slots=True)
class SetStatus(Status):
    """What is known of a set: how many semaphores it has, and when they were last operated on."""

    count: int
    operation_time: int | None


def _operate(semid: int, operations: Iterable[tuple[int, int]], *, undo: bool, timeout: float | None) -> None:
    flags = (libc.SEM_UNDO if undo else 0) | (libc.IPC_NOWAIT if timeout == 0 else 0)
    sops = [(number, change, flags) for number, change in operations]

    def operate(left: float | None) -> None:
        if left is None or flags & libc.IPC_NOWAIT:
            libc.semop(semid, sops)
        else:
            libc.semtimedop(semid, sops, left)

    try:
        going_on(operate, timeout)
    except BlockingIOError as error:
        if error.errno is None:  # a handler raised it
            raise
        raise failure(errno.ETIMEDOUT, "semtimedop", semid, sops, timeout, advice=_NO_TIME) from None


def _check_value(value: int) -> int:
    number = index(value)
    if not 0 <= number <= _MAXIMUM:
        raise ValueError(f"the value of a semaphore is from 0 to {_MAXIMUM}, not {number}")
    return number


def _check_count(count: int) -> int:
    number = index(count)
    if not 1 <= number <= _MAXIMUM:
        raise ValueError(f"a semaphore is acquired or released 1 to {_MAXIMUM} times, not {number}")
    return number


class SetMember(Fronted):
    """One semaphore of a set.

    With `undo` the kernel takes an operation back when the process ends, however it ends (SEM_UNDO). Waits take a
    `timeout` in seconds, None for ever and 0 not at all, and go on after signals; TimeoutError when it is up.
    """

    def __init__(self, semid: int, number: int) -> None:
        self._id = index(semid)
        self._closed = False
        self._number = index(number)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id}[{self._number}]>"

    @property
    def number(self) -> int:
        """Its place in the set."""
        return self._number

    def _change(self, change: int, undo: bool, timeout: float | None) -> None:  # noqa: FBT001
        if self._closed:
            refuse(self)
        _operate(self._id, [(self._number, change)], undo=undo, timeout=timeout)

    @front
    def acquire(self, count: int = 1, *, undo: bool = False, timeout: float | None = None) -> None:
        """Take `count` from the value; waits while it is less."""
        self._change(-_check_count(count), undo, timeout)

    @front
    def release(self, count: int = 1, *, undo: bool = False) -> None:
        """Add `count` to the value; OSError (ERANGE) where that would be more than 32,767."""
        self._change(_check_count(count), undo, None)

    def wait_for_zero(self, timeout: float | None = None) -> None:
        """Wait until the value is 0."""
        self._change(0, False, timeout)  # noqa: FBT003

    @contextmanager
    def held(self, count: int = 1, *, undo: bool = True, timeout: float | None = None) -> Iterator[None]:
        """Acquire for the length of a with-block, and by default give back also what a killed process held."""
        self.acquire(count, undo=undo, timeout=timeout)
        try:
            yield
        finally:  # also when it was closed meanwhile
            _operate(self._id, [(self._number, count)], undo=undo, timeout=None)

    @property
    def value(self) -> int:
        """The value; setting it wakes who waits for it, and forgets what any process would undo."""
        return libc.semctl(self._id, self._number, libc.GETVAL)

    @value.setter
    def value(self, value: int) -> None:
        libc.semctl(self._id, self._number, libc.SETVAL, _check_value(value))

    @property
    def last_pid(self) -> int | None:
        """The process that operated on it last; None if none did."""
        return libc.semctl(self._id, self._number, libc.GETPID) or None

    @property
    def waiting_to_acquire(self) -> int:
        """How many wait for the value to increase."""
        return libc.semctl(self._id, self._number, libc.GETNCNT)

    @property
    def waiting_for_zero(self) -> int:
        """How many wait for the value to be 0."""
        return libc.semctl(self._id, self._number, libc.GETZCNT)


class _SemaphoreObject(Fronted, SysvObject):
    """What a set and a semaphore of its own have in common."""

    _closed: bool

    @property
    def closed(self) -> bool:
        """Whether it was closed here; it can still be examined, changed and removed."""
        return self._closed

    def close(self) -> None:
        """End the use by this process; twice is fine. It stays, with its values, and what was acquired stays so."""
        self._closed = True

    def remove(self) -> None:
        """Remove it from the system: who waits for it gets IdentifierRemovedError."""
        libc.semctl(self._id, 0, libc.IPC_RMID)

    def status(self) -> SetStatus:
        """Ask the kernel for all that it knows of the set."""
        ds = libc.semctl(self._id, 0, libc.IPC_STAT)
        known = self._id, *permissions(ds.sem_perm), ds.sem_ctime or None
        return SetStatus(*known, ds.sem_nsems, ds.sem_otime or None)

    def _perm(self) -> libc.IpcPerm:
        return libc.semctl(self._id, 0, libc.IPC_STAT).sem_perm

    def _set_perm(self, perm: libc.IpcPerm) -> None:
        ds = libc.semctl(self._id, 0, libc.IPC_STAT)
        libc.semctl(self._id, 0, libc.IPC_SET, replace(ds, sem_perm=perm))


class Semaphore(SetMember, _SemaphoreObject):
    """A semaphore of its own: a set of one.

    `open` and `open_or_create` wait until whoever makes it has given it its value (`SemaphoreSet`).
    """

    def __init__(self, semid: int) -> None:
        super().__init__(semid, 0)

    __repr__ = SysvObject.__repr__

    @classmethod
    def create(cls, value: int = 1, key: int | None = None, *, mode: int = 0o600) -> Self:
        """Make a semaphore; FileExistsError if the key has one."""
        return cls(_create([value], new_key(key), mode))

    @classmethod
    def open(cls, key: int) -> Self:
        """Find the semaphore of a key; FileNotFoundError if there is none, ValueError if there is a larger set."""
        return cls.from_id(_open(key))

    @classmethod
    def open_or_create(cls, key: int, value: int = 1, *, mode: int = 0o600) -> Self:
        """Find the semaphore of a key, whose value stays as it is, or make it with this value."""
        return cls(_open_or_create([value], key, mode))

    @classmethod
    def from_id(cls, id: int) -> Self:  # noqa: A002 - its name
        """Take the semaphore of an id."""
        count = libc.semctl(id, 0, libc.IPC_STAT).sem_nsems
        if count != 1:
            raise ValueError(f"the set {id} has {count} semaphores: SemaphoreSet takes it")
        return cls(id)

    def __reduce__(self) -> tuple[Callable[[int], Self], tuple[int]]:
        return type(self).from_id, (self._id,)


class SemaphoreSet(_SemaphoreObject):
    """A set of semaphores: `semaphores[number]` is one of them, and `operate` changes several in one step.

    Who makes a set gives it its values in a second step. `open` and `open_or_create` wait for that: until the set was
    operated on (sem_otime) or has a value above 0, or there was a second of time for it.
    """

    def __init__(self, semid: int, count: int) -> None:
        self._id = index(semid)
        self._count = count
        self._closed = False

    @classmethod
    def create(cls, values: Iterable[int], key: int | None = None, *, mode: int = 0o600) -> Self:
        """Make a set with a semaphore for each of the values; FileExistsError if the key has one."""
        values = list(values)
        return cls(_create(values, new_key(key), mode), len(values))

    @classmethod
    def open(cls, key: int) -> Self:
        """Find the set of a key; FileNotFoundError if there is none."""
        return cls.from_id(_open(key))

    @classmethod
    def open_or_create(cls, key: int, values: Iterable[int], *, mode: int = 0o600) -> Self:
        """Find the set of a key, whose values stay as they are, or make it with these values.

        A set with another number of semaphores is an OSError (EINVAL), and one that never got its values a
        TimeoutError.
        """
        values = list(values)
        return cls(_open_or_create(values, key, mode), len(values))

    @classmethod
    def from_id(cls, id: int) -> Self:  # noqa: A002 - its name
        """Take the set of an id."""
        return cls(id, libc.semctl(id, 0, libc.IPC_STAT).sem_nsems)

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> SetMember:
        place = index(number)
        place += self._count if place < 0 else 0
        if not 0 <= place < self._count:
            raise IndexError(f"{self!r} has {self._count} semaphores, and none of number {number}")
        return SetMember(self._id, place)

    def __iter__(self) -> Iterator[SetMember]:
        return (SetMember(self._id, number) for number in range(self._count))

    @front
    def operate(self, *operations: tuple[int, int], undo: bool = False, timeout: float | None = None) -> None:
        """Do operations, pairs of a semaphore's number and what to add to it, all in one step or none.

        What would make a value negative waits, and so does adding 0 until the value is 0. Operations on the same
        semaphore are done in their order.
        """
        if self._closed:
            refuse(self)
        _operate(self._id, operations, undo=undo, timeout=timeout)

    @property
    def values(self) -> list[int]:
        """All values at one moment; setting them wakes who waits, and forgets what any process would undo."""
        return libc.semctl(self._id, 0, libc.GETALL)

    @values.setter
    def values(self, values: Iterable[int]) -> None:
        libc.semctl(self._id, 0, libc.SETALL, [_check_value(value) for value in values])

    def __reduce__(self) -> tuple[Callable[[int], Self], tuple[int]]:
        return type(self).from_id, (self._id,)


# -- the beginning of a set: semget(2) makes it, and only then can it get its values --


def _create(values: list[int], key: int, mode: int) -> int:
    values = [_check_value(value) for value in values]
    semid = libc.semget(key, len(values), CREATE | check_mode(mode))
    try:
        _initialise(semid, values)
    except BaseException:
        libc.semctl(semid, 0, libc.IPC_RMID)
        raise
    return semid


def _initialise(semid: int, values: list[int]) -> None:
    """Give a new set its values, and then sem_otime, by an operation that changes nothing."""
    libc.semctl(semid, 0, libc.SETALL, values)
    nothing = [(0, -1), (0, 1)] if values[0] > 0 else [(0, 0)]
    with suppress(BlockingIOError):  # somebody has been faster, and operated on it
        libc.semop(semid, [(number, change, libc.IPC_NOWAIT) for number, change in nothing])


def _has_its_values(semid: int) -> bool:
    """Wait until the set has its values, or should have had them long since."""
    deadline = Deadline(_PATIENCE)
    while True:
        ds = libc.semctl(semid, 0, libc.IPC_STAT)
        if ds.sem_otime != 0 or any(libc.semctl(semid, 0, libc.GETALL)):
            return True
        if deadline.left() == 0 or time.time() - ds.sem_ctime > _PATIENCE + 1:
            return False
        time.sleep(_LOOK)


def _open(key: int) -> int:
    semid = libc.semget(check_key(key), 0, 0)
    _has_its_values(semid)
    return semid


def _open_or_create(values: list[int], key: int, mode: int) -> int:
    key = check_key(key)
    while True:
        with suppress(FileExistsError):
            return _create(values, key, mode)
        with suppress(FileNotFoundError):  # it was removed just now
            return _join(values, key)


def _join(values: list[int], key: int) -> int:
    semid = libc.semget(key, 0, 0)
    try:
        has_values = _has_its_values(semid)
        count = libc.semctl(semid, 0, libc.IPC_STAT).sem_nsems
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.EIDRM):
            raise FileNotFoundError(errno.ENOENT, f"the set {semid} was removed") from error
        raise
    if count != len(values):
        advice = f"the set of this key has {count} semaphores"
        raise failure(errno.EINVAL, "semget", hex(key), len(values), advice=advice)
    if not has_values and any(values):
        advice = "who made the set never gave it its values: remove() it, or take it as it is by open()"
        raise failure(errno.ETIMEDOUT, "semget", hex(key), len(values), advice=advice)
    return semid
