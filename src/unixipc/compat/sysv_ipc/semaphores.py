"""Semaphores as sysv_ipc has them: of a set, the only one or the first."""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import replace
from operator import index
from typing import Self

from unixipc import libc
from unixipc.compat.sysv_ipc.errors import OUT_OF_RANGE, TimedOutError, translated, translating
from unixipc.compat.sysv_ipc.objects import IPC_CREX, IpcObject, ReadOnly, find, is_long
from unixipc.libc.arguments import int_argument

SEMAPHORE_VALUE_MAX = 32767  # SEMVMX
_FOR_EVER = 1e9  # seconds: more than the kernel takes is none of its business


def _create(key: int, mode: int, value: int) -> int:
    semid = libc.semget(key, 1, IPC_CREX | mode)
    if mode & 0o200:
        try:
            libc.semctl(semid, 0, libc.SETVAL, value)
        except BaseException:
            libc.semctl(semid, 0, libc.IPC_RMID)
            raise
    return semid


def _get(key: int, flags: int, mode: int, value: int) -> int:
    """Get the id of a semaphore; a new one gets its value, and no other."""
    if flags == IPC_CREX:
        return _create(key, mode, value)
    if flags == 0:
        return libc.semget(key, 1, mode)
    while True:
        with suppress(FileExistsError):
            return _create(key, mode, value)
        with suppress(FileNotFoundError):  # it was removed just now
            return libc.semget(key, 1, mode)


def _check_timeout(timeout: object) -> float | None:
    if timeout is None:
        return None
    if not (is_long(timeout) or isinstance(timeout, float)) or not timeout >= 0:
        raise TypeError("The timeout must be None or a non-negative number")
    return timeout if timeout < _FOR_EVER else None


def _check_delta(delta: int) -> int:
    number = index(delta)
    if not -(2**15) <= number < 2**15:
        raise OverflowError(f"delta is {number}: it must fit a C short")
    if number == 0:
        raise ValueError("The delta must be non-zero")
    return abs(number)


class Semaphore(IpcObject):
    """A semaphore. A with-block acquires and releases it."""

    __slots__ = ("_flags",)

    last_pid = ReadOnly[int]("_last_pid", "The process that operated on it last.")
    waiting_for_nonzero = ReadOnly[int]("_waiting_for_nonzero", "How many wait in acquire().")
    waiting_for_zero = ReadOnly[int]("_waiting_for_zero", "How many wait in Z().")
    o_time = ReadOnly[int]("_status.sem_otime", "When it was last operated on; 0 for never.")

    def __init__(self, key: int | None, flags: int = 0, mode: int = 0o600, initial_value: int = 0) -> None:
        flags, mode = int_argument(flags, "flags") & IPC_CREX, int_argument(mode, "mode") & 0o777
        value = int_argument(initial_value, "initial_value")
        with translating():
            self._key, self._id = find(key, flags, lambda key: _get(key, flags, mode, value))
        self._flags = 0

    def _operate(self, change: int, timeout: float | None) -> None:
        sops, left = ((0, change, self._flags),), _check_timeout(timeout)
        try:
            if left is None:
                libc.semop(self._id, sops)
            else:
                libc.semtimedop(self._id, sops, left)
        except OSError as error:
            if left and self.block and error.errno == errno.EAGAIN:
                raise TimedOutError(errno.ETIMEDOUT, f"{self!r} was busy for {timeout} s") from None
            raise translated(error) from None

    def acquire(self, timeout: float | None = None, delta: int = 1) -> None:
        """Take the amount of `delta` from the value; waits while it is less, for `timeout` seconds at most."""
        self._operate(-_check_delta(delta), timeout)

    def release(self, delta: int = 1) -> None:
        """Add the amount of `delta` to the value."""
        amount = _check_delta(delta)
        if amount > SEMAPHORE_VALUE_MAX:
            raise ValueError(OUT_OF_RANGE)
        self._operate(amount, None)

    P = acquire
    V = release

    def Z(self, timeout: float | None = None) -> None:
        """Wait until the value is 0, for `timeout` seconds at most."""
        self._operate(0, timeout)

    def remove(self) -> None:
        """Remove the semaphore from the system."""
        remove_semaphore(self._id)

    def __enter__(self) -> Self:
        self._operate(-1, None)
        return self

    def __exit__(self, *_: object) -> None:
        self._operate(1, None)

    @property
    def value(self) -> int:
        """The value."""
        with translating():
            return libc.semctl(self._id, 0, libc.GETVAL)

    @value.setter
    def value(self, value: int) -> None:
        if not isinstance(value, int):
            raise TypeError("Attribute 'value' must be an integer")
        if not 0 <= value <= SEMAPHORE_VALUE_MAX:
            raise ValueError(OUT_OF_RANGE)
        with translating():
            libc.semctl(self._id, 0, libc.SETVAL, value)

    @property
    def block(self) -> bool:
        """Whether it is waited for at all; where it is not, timeouts mean nothing."""
        return not self._flags & libc.IPC_NOWAIT

    @block.setter
    def block(self, block: object) -> None:
        self._flags = self._flags & libc.SEM_UNDO | (0 if block else libc.IPC_NOWAIT)

    @property
    def undo(self) -> bool:
        """Whether the kernel takes back what this process does to the value, when it ends."""
        return bool(self._flags & libc.SEM_UNDO)

    @undo.setter
    def undo(self, undo: object) -> None:
        self._flags = self._flags & libc.IPC_NOWAIT | (libc.SEM_UNDO if undo else 0)

    @property
    def _last_pid(self) -> int:
        with translating():
            return libc.semctl(self._id, 0, libc.GETPID)

    @property
    def _waiting_for_nonzero(self) -> int:
        with translating():
            return libc.semctl(self._id, 0, libc.GETNCNT)

    @property
    def _waiting_for_zero(self) -> int:
        with translating():
            return libc.semctl(self._id, 0, libc.GETZCNT)

    @property
    def _status(self) -> libc.SemidDs:
        with translating():
            return libc.semctl(self._id, 0, libc.IPC_STAT)

    @property
    def _perm(self) -> libc.IpcPerm:
        return self._status.sem_perm

    def _set(self, name: str, value: int) -> None:
        ds = self._status
        libc.semctl(self._id, 0, libc.IPC_SET, replace(ds, sem_perm=replace(ds.sem_perm, **{name: value})))


def remove_semaphore(id: int, /) -> None:
    """Remove the semaphore of an id from the system."""
    with translating():
        libc.semctl(int_argument(id, "id"), 0, libc.IPC_RMID)
