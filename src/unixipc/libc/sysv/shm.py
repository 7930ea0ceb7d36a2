"""shmget(2), shmop(2) and shmctl(2)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from operator import index
from typing import Literal, TypeAlias, TypeVar, overload

from unixipc import _cpython
from unixipc._check import check, check_made, failure
from unixipc._cpython import Memory
from unixipc._native import ffi, lib
from unixipc.constants.sysv import (
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    SHM_INFO,
    SHM_LOCK,
    SHM_REMAP,
    SHM_STAT,
    SHM_STAT_ANY,
    SHM_UNLOCK,
    IpcCommand,
    ShmCommand,
)
from unixipc.libc.arguments import size_argument
from unixipc.libc.sysv.ipc import GETTING, USING, IpcPerm, key_argument, read_perm, write_perm

_ATTACHING = USING | {
    errno.EINVAL: "no segment has this id, or the address is taken, or no multiple of SHMLBA (see SHM_RND)",
}


@dataclass(frozen=True, slots=True)
class ShmidDs:
    """A segment as shmctl(2) shows it: `struct shmid_ds`. Times are seconds since the epoch, 0 for never."""

    shm_perm: IpcPerm
    shm_segsz: int
    shm_atime: int
    shm_dtime: int
    shm_ctime: int
    shm_cpid: int
    shm_lpid: int
    shm_nattch: int


@dataclass(frozen=True, slots=True)
class Shminfo:
    """Limits on segments: `struct shminfo` (shmctl(2), IPC_INFO). Sizes are bytes, shmall is pages."""

    shmmax: int
    shmmin: int
    shmmni: int
    shmseg: int
    shmall: int


@dataclass(frozen=True, slots=True)
class ShmInfo:
    """What all segments use: `struct shm_info` (shmctl(2), SHM_INFO). All but used_ids are pages."""

    used_ids: int
    shm_tot: int
    shm_rss: int
    shm_swp: int


class Attachment(Memory):
    """A segment attached by `shmat`. `memoryview(attachment)` shows its bytes, read-only with SHM_RDONLY.

    A view pins the memory: `shmdt` closes the attachment, and the kernel's goes with the last view of it.
    """

    __slots__ = ()


def shmget(key: int, size: int, shmflg: int) -> int:
    """Get the id of a segment, made if `shmflg` says so; its low 9 bits are the mode (shmget(2)).

    A key is a C int; what C writes as 0xDEADBEEF is taken too.
    """
    return check(
        lib.uipc_shmget(key_argument(key, "shmget"), size_argument(size, "size"), index(shmflg)),
        "shmget",
        hex(key),
        size,
        advice=GETTING,
    )


_A = TypeVar("_A", bound=Attachment)


@overload
def shmat(shmid: int, shmaddr: int | Memory | None = None, shmflg: int = 0) -> Attachment: ...
@overload
def shmat(shmid: int, shmaddr: int | Memory | None = None, shmflg: int = 0, *, kind: type[_A]) -> _A: ...
def shmat(
    shmid: int, shmaddr: int | Memory | None = None, shmflg: int = 0, *, kind: type[Attachment] = Attachment
) -> Attachment:
    """Attach a segment (shmat(2)).

    `shmaddr` is None or the address to attach at. SHM_REMAP wants the object whose memory is replaced there: it is
    closed, and what it had beyond the segment is unmapped. `kind` is a class of one's own that the result gets.
    """
    if not issubclass(kind, Attachment):
        raise TypeError(f"kind must be a subclass of Attachment, not {kind!r}")
    if isinstance(shmaddr, Memory):
        target, hint = shmaddr, 0
    else:
        target, hint = None, 0 if shmaddr is None else size_argument(shmaddr, "shmaddr")
    if target is None and shmflg & SHM_REMAP:
        advice = "SHM_REMAP replaces memory of your own only: give the Mapping or Attachment as shmaddr"
        raise failure(errno.EINVAL, "shmat", shmid, advice=advice)
    made = _cpython.shmat(kind, target, shmid, hint, shmflg)
    return check_made(made, "shmat", shmid, advice=_ATTACHING)


def shmdt(attachment: Attachment) -> None:
    """Detach a segment (shmdt(2)); what a view still shows stays until that is released. Done already: ValueError."""
    if not isinstance(attachment, Attachment):
        raise TypeError(f"shmdt() takes an Attachment, not {attachment!r}")
    check(attachment._close(), "shmdt", attachment)


def _shmid_ds(shmid: int, cmd: int) -> tuple[int, ShmidDs]:
    ds = ffi.new("struct uipc_shmid_ds *")
    result = check(lib.uipc_shmctl_stat(shmid, cmd, ds), "shmctl", shmid, cmd, advice=USING)
    times = ds.atime, ds.dtime, ds.ctime
    return result, ShmidDs(read_perm(ds.perm), ds.segsz, *times, ds.cpid, ds.lpid, ds.nattch)


_ShmAct: TypeAlias = Literal[IpcCommand.IPC_RMID, ShmCommand.SHM_LOCK, ShmCommand.SHM_UNLOCK]


@overload
def shmctl(shmid: int, cmd: Literal[IpcCommand.IPC_STAT]) -> ShmidDs: ...
@overload
def shmctl(shmid: int, cmd: Literal[IpcCommand.IPC_SET], buf: ShmidDs) -> None: ...
@overload
def shmctl(shmid: int, cmd: _ShmAct) -> None: ...
@overload
def shmctl(shmid: int, cmd: Literal[IpcCommand.IPC_INFO]) -> tuple[int, Shminfo]: ...
@overload
def shmctl(shmid: int, cmd: Literal[ShmCommand.SHM_INFO]) -> tuple[int, ShmInfo]: ...
@overload
def shmctl(shmid: int, cmd: Literal[ShmCommand.SHM_STAT, ShmCommand.SHM_STAT_ANY]) -> tuple[int, ShmidDs]: ...
def shmctl(shmid: int, cmd: int, buf: ShmidDs | None = None) -> object:
    """Examine, change or remove a segment (shmctl(2)).

    IPC_STAT returns the ShmidDs; IPC_SET takes one as `buf`, and IPC_RMID, SHM_LOCK and SHM_UNLOCK return None.
    SHM_STAT and SHM_STAT_ANY take an index of the kernel's array for `shmid`, and return the id with the ShmidDs.
    IPC_INFO and SHM_INFO ignore `shmid`, and return the highest used index with a Shminfo or ShmInfo.
    """
    shmid, cmd = index(shmid), index(cmd)
    if cmd == IPC_STAT:
        return _shmid_ds(shmid, cmd)[1]
    if cmd in (SHM_STAT, SHM_STAT_ANY):
        return _shmid_ds(shmid, cmd)
    if cmd == IPC_SET:
        if not isinstance(buf, ShmidDs):
            raise TypeError(f"shmctl(IPC_SET) takes a ShmidDs, not {buf!r}")
        ds = ffi.new("struct uipc_shmid_ds *")
        write_perm(ds.perm, buf.shm_perm)
        check(lib.uipc_shmctl_set(shmid, ds), "shmctl", shmid, cmd, advice=USING)
        return None
    if cmd == IPC_INFO:
        limits = ffi.new("struct uipc_shminfo *")
        highest = check(lib.uipc_shmctl_limits(limits), "shmctl", shmid, cmd)
        return highest, Shminfo(limits.shmmax, limits.shmmin, limits.shmmni, limits.shmseg, limits.shmall)
    if cmd == SHM_INFO:
        usage = ffi.new("struct uipc_shm_info *")
        highest = check(lib.uipc_shmctl_usage(usage), "shmctl", shmid, cmd)
        return highest, ShmInfo(usage.used_ids, usage.tot, usage.rss, usage.swp)
    if cmd not in (IPC_RMID, SHM_LOCK, SHM_UNLOCK):
        raise failure(errno.EINVAL, "shmctl", shmid, cmd, advice="no such command")
    check(lib.uipc_shmctl(shmid, cmd), "shmctl", shmid, cmd, advice=USING)
    return None
