"""semget(2), semop(2) and semctl(2)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias, overload

from unixipc._check import check, failure, restarting, timespec
from unixipc._cpython import front
from unixipc._native import ffi, lib
from unixipc.constants.sysv import (
    GETALL,
    GETNCNT,
    GETPID,
    GETVAL,
    GETZCNT,
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SEM_INFO,
    SEM_STAT,
    SEM_STAT_ANY,
    SETALL,
    SETVAL,
    IpcCommand,
    SemCommand,
)
from unixipc.libc.sysv.ipc import GETTING, USING, IpcPerm, key_argument, read_perm, write_perm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unixipc._native import _Sembufs

_RANGE = {errno.ERANGE: "a value, or what undo would add to it, would be below 0 or above 32767 (SEMVMX)"}
_OPERATING = (
    USING
    | _RANGE
    | {
        errno.E2BIG: "too many operations at once: the third number of kernel.sem is the limit",
        errno.EAGAIN: "not all operations can be done now",
        errno.EFBIG: "the set has no semaphore of this number",
        errno.EINVAL: "no set has this id, or there is no operation, or the timeout is negative",
        errno.ENOSPC: "too many processes have something to undo",
    }
)
_CONTROLLING = (
    USING
    | _RANGE
    | {
        errno.EINVAL: "no set has this id, or it has no semaphore of this number",
    }
)
_ALL = _CONTROLLING | {
    errno.EACCES: "the set's mode refuses to read it, or to change it",
    errno.EINVAL: "no set has this id, or it has another number of semaphores",
}


class Sembuf(NamedTuple):
    """An operation on one semaphore of a set: `struct sembuf` (semop(2))."""

    sem_num: int
    sem_op: int
    sem_flg: int = 0


Sops: TypeAlias = "Iterable[tuple[int, int] | tuple[int, int, int]]"


@dataclass(frozen=True, slots=True)
class SemidDs:
    """A set as semctl(2) shows it: `struct semid_ds`. Times are seconds since the epoch, 0 for never."""

    sem_perm: IpcPerm
    sem_otime: int
    sem_ctime: int
    sem_nsems: int


@dataclass(frozen=True, slots=True)
class Seminfo:
    """Limits of semaphores, or with SEM_INFO what all sets use: `struct seminfo` (semctl(2)).

    With SEM_INFO semusz counts sets, and semaem semaphores.
    """

    semmap: int
    semmni: int
    semmns: int
    semmnu: int
    semmsl: int
    semopm: int
    semume: int
    semusz: int
    semvmx: int
    semaem: int


def semget(key: int, nsems: int, semflg: int) -> int:
    """Get the id of a set of `nsems` semaphores, made if `semflg` says so; its low 9 bits are the mode (semget(2)).

    Linux begins with all values 0 and, until the first semop, sem_otime 0. An existing set may be larger than asked.
    """
    result = lib.uipc_semget(key_argument(key, "semget"), index(nsems), index(semflg))
    return check(result, "semget", hex(key), nsems, advice=GETTING)


def _sops(sops: Sops) -> tuple[_Sembufs, list[tuple[int, int, int]]]:
    given = [(op.sem_num, op.sem_op, op.sem_flg) for op in (Sembuf(*map(index, sop)) for sop in sops)]
    return ffi.new("struct uipc_sembuf[]", given), given


@front
def semop(semid: int, sops: Sops) -> None:
    """Do operations on semaphores of a set, all at once or none (semop(2)).

    Each is a `Sembuf`, or a tuple like it: number, operation and maybe flags (SEM_UNDO, IPC_NOWAIT). BlockingIOError
    with IPC_NOWAIT; InterruptedError by any handler, SA_RESTART or not.
    """
    array, given = _sops(sops)
    check(restarting(lib.uipc_semop, index(semid), array, len(given)), "semop", semid, given, advice=_OPERATING)


def semtimedop(semid: int, sops: Sops, timeout: float) -> None:
    """Do as `semop`, within so many seconds: BlockingIOError (EAGAIN) when the time ran out (semtimedop(2))."""
    array, given = _sops(sops)
    left = ffi.new("int64_t[2]", timespec(timeout))
    result = restarting(lib.uipc_semtimedop, index(semid), array, len(given), left)
    check(result, "semtimedop", semid, given, timeout, advice=_OPERATING)


def _semid_ds(semid: int, cmd: int) -> tuple[int, SemidDs]:
    ds = ffi.new("struct uipc_semid_ds *")
    result = check(lib.uipc_semctl_stat(semid, cmd, ds), "semctl", semid, cmd, advice=USING)
    return result, SemidDs(read_perm(ds.perm), ds.otime, ds.ctime, ds.nsems)


_SemGet: TypeAlias = Literal[SemCommand.GETVAL, SemCommand.GETPID, SemCommand.GETNCNT, SemCommand.GETZCNT]


@overload
def semctl(semid: int, semnum: int, cmd: _SemGet) -> int: ...
@overload
def semctl(semid: int, semnum: int, cmd: Literal[SemCommand.SETVAL], arg: int) -> None: ...
@overload
def semctl(semid: int, semnum: int, cmd: Literal[SemCommand.GETALL]) -> list[int]: ...
@overload
def semctl(semid: int, semnum: int, cmd: Literal[SemCommand.SETALL], arg: Iterable[int]) -> None: ...
@overload
def semctl(semid: int, semnum: int, cmd: Literal[IpcCommand.IPC_STAT]) -> SemidDs: ...
@overload
def semctl(semid: int, semnum: int, cmd: Literal[IpcCommand.IPC_SET], arg: SemidDs) -> None: ...
@overload
def semctl(semid: int, semnum: int, cmd: Literal[IpcCommand.IPC_RMID]) -> None: ...
@overload
def semctl(semid: int, semnum: int, cmd: Literal[IpcCommand.IPC_INFO, SemCommand.SEM_INFO]) -> tuple[int, Seminfo]: ...
@overload
def semctl(
    semid: int, semnum: int, cmd: Literal[SemCommand.SEM_STAT, SemCommand.SEM_STAT_ANY]
) -> tuple[int, SemidDs]: ...
def semctl(semid: int, semnum: int, cmd: int, arg: object = None) -> object:
    """Examine, change or remove a semaphore or a set (semctl(2)).

    GETVAL, GETPID, GETNCNT and GETZCNT return a number, and GETALL the list of all values; SETVAL takes a value and
    SETALL as many as the set has, which must be readable. IPC_STAT returns the SemidDs; IPC_SET takes one, and IPC_RMID
    returns None. SEM_STAT and SEM_STAT_ANY take an index of the kernel's array for `semid`, and return the id with the
    SemidDs. IPC_INFO and SEM_INFO ignore `semid`, and return the highest used index with a Seminfo. Only the first
    four and SETVAL look at `semnum`.
    """
    semid, semnum, cmd = index(semid), index(semnum), index(cmd)
    if cmd in (GETVAL, GETPID, GETNCNT, GETZCNT):
        return check(lib.uipc_semctl(semid, semnum, cmd, 0), "semctl", semid, semnum, cmd, advice=_CONTROLLING)
    if cmd == GETALL:
        nsems = _semid_ds(semid, IPC_STAT)[1].sem_nsems
        array = ffi.new("unsigned short[]", nsems)
        check(lib.uipc_semctl_all(semid, cmd, array, nsems), "semctl", semid, semnum, cmd, advice=_ALL)
        return list(array)
    if cmd == IPC_STAT:
        return _semid_ds(semid, cmd)[1]
    if cmd in (SEM_STAT, SEM_STAT_ANY):
        return _semid_ds(semid, cmd)
    if cmd in (IPC_INFO, SEM_INFO):
        i = ffi.new("struct uipc_seminfo *")
        highest = check(lib.uipc_semctl_info(cmd, i), "semctl", semid, semnum, cmd)
        limits = i.semmap, i.semmni, i.semmns, i.semmnu, i.semmsl, i.semopm, i.semume, i.semusz, i.semvmx, i.semaem
        return highest, Seminfo(*limits)
    _semctl_change(semid, semnum, cmd, arg)
    return None


def _semctl_change(semid: int, semnum: int, cmd: int, arg: object) -> None:
    if cmd == SETVAL:
        value = index(arg)  # type: ignore[arg-type]  # what is no number, it refuses
        check(lib.uipc_semctl(semid, semnum, cmd, value), "semctl", semid, semnum, cmd, value, advice=_CONTROLLING)
    elif cmd == SETALL:
        values = [index(value) for value in arg]  # type: ignore[attr-defined]  # the same
        array = ffi.new("unsigned short[]", values)
        check(lib.uipc_semctl_all(semid, cmd, array, len(values)), "semctl", semid, semnum, cmd, values, advice=_ALL)
    elif cmd == IPC_SET:
        if not isinstance(arg, SemidDs):
            raise TypeError(f"semctl(IPC_SET) takes a SemidDs, not {arg!r}")
        ds = ffi.new("struct uipc_semid_ds *")
        write_perm(ds.perm, arg.sem_perm)
        check(lib.uipc_semctl_set(semid, ds), "semctl", semid, semnum, cmd, advice=USING)
    elif cmd == IPC_RMID:
        check(lib.uipc_semctl(semid, semnum, cmd, 0), "semctl", semid, semnum, cmd, advice=USING)
    else:
        raise failure(errno.EINVAL, "semctl", semid, semnum, cmd, advice="no such command")
