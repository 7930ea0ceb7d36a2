"""svipc(7): shared memory segments and message queues."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Literal, TypeAlias, overload

from unixipc import _cpython
from unixipc._check import check, check_made, failure, restarting
from unixipc._cpython import Memory
from unixipc._native import ffi, lib
from unixipc.constants.sysv import (
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MSG_INFO,
    MSG_STAT,
    MSG_STAT_ANY,
    SHM_INFO,
    SHM_LOCK,
    SHM_REMAP,
    SHM_STAT,
    SHM_STAT_ANY,
    SHM_UNLOCK,
    IpcCommand,
    MsgCommand,
    ShmCommand,
)
from unixipc.libc.arguments import Path, bytes_argument, path_argument, size_argument

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from unixipc._native import _IpcPerm

_GETTING = {
    errno.EACCES: "it exists, and its mode refuses this access",
    errno.EEXIST: "it exists, and IPC_EXCL was given",
    errno.EINVAL: "the size is out of bounds (kernel.shmmax), or more than the existing segment has",
    errno.ENOENT: "no object has this key, and IPC_CREAT was not given",
    errno.ENOSPC: "the system has as many as it may (kernel.shmmni, kernel.shmall, kernel.msgmni)",
    errno.EPERM: "huge pages need CAP_IPC_LOCK or the group vm.hugetlb_shm_group",
}
_USING = {
    errno.EACCES: "the object's mode refuses this access",
    errno.EPERM: "only the owner, the creator or a privileged process may do this",
    errno.EINVAL: "no object has this id, or an argument is out of bounds",
}
_ATTACHING = _USING | {
    errno.EINVAL: "no segment has this id, or the address is taken, or no multiple of SHMLBA (see SHM_RND)",
}
_SENDING = _USING | {
    errno.EAGAIN: "the queue is full (msg_qbytes), and IPC_NOWAIT was given",
    errno.EINVAL: "no queue has this id, the type is below 1, or the text is longer than kernel.msgmax",
}
_RECEIVING = _USING | {
    errno.E2BIG: "the message is longer than msgsz, and stays: MSG_NOERROR cuts it",
    errno.EINVAL: "no queue has this id, or MSG_COPY was given without IPC_NOWAIT or with MSG_EXCEPT",
    errno.ENOMSG: "no such message is there, and IPC_NOWAIT was given",
    errno.ENOSYS: "MSG_COPY needs a kernel with CONFIG_CHECKPOINT_RESTORE",
}


@dataclass(frozen=True, slots=True)
class IpcPerm:
    """Who owns a System V object and who may use it: `struct ipc_perm` (svipc(7)).

    IPC_SET looks at uid, gid and the permissions of mode. In the mode of a segment SHM_DEST and SHM_LOCKED may show.
    """

    key: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int
    seq: int


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


@dataclass(frozen=True, slots=True)
class MsqidDs:
    """A queue as msgctl(2) shows it: `struct msqid_ds`. Times are seconds since the epoch, 0 for never."""

    msg_perm: IpcPerm
    msg_stime: int
    msg_rtime: int
    msg_ctime: int
    msg_cbytes: int
    msg_qnum: int
    msg_qbytes: int
    msg_lspid: int
    msg_lrpid: int


@dataclass(frozen=True, slots=True)
class Msginfo:
    """Limits of queues, or with MSG_INFO what all queues use: `struct msginfo` (msgctl(2)).

    With MSG_INFO msgpool counts queues, msgmap messages and msgtql their bytes.
    """

    msgpool: int
    msgmap: int
    msgmax: int
    msgmnb: int
    msgmni: int
    msgssz: int
    msgtql: int
    msgseg: int


class Attachment(Memory):
    """A segment attached by `shmat`. `memoryview(attachment)` shows its bytes, read-only with SHM_RDONLY.

    A view pins the memory: `shmdt` closes the attachment, and the kernel's goes with the last view of it.
    """

    __slots__ = ()


def _key(key: int, call: str) -> int:
    number = index(key)
    if not -(2**31) <= number < 2**32:
        raise OverflowError(f"{call}({key}): a key has 32 bits")
    return number if number < 2**31 else number - 2**32


def _perm(perm: _IpcPerm) -> IpcPerm:
    return IpcPerm(perm.key, perm.uid, perm.gid, perm.cuid, perm.cgid, perm.mode, perm.seq)


def _set_perm(out: _IpcPerm, perm: IpcPerm) -> None:
    if not isinstance(perm, IpcPerm):
        raise TypeError(f"IPC_SET takes a record whose permissions are an IpcPerm, not {perm!r}")
    out.uid, out.gid, out.mode = index(perm.uid), index(perm.gid), index(perm.mode) & 0o777


def ftok(pathname: Path, proj_id: int) -> int:
    """Make a key of an existing file and the low 8 bits of `proj_id` (ftok(3)).

    Only the low bits of the file's device and inode number are in it: two files can have the same key.
    """
    key = ffi.new("int *")
    check(lib.uipc_ftok(path_argument(pathname), index(proj_id), key), "ftok", repr(pathname), proj_id)
    return key[0]


def shmget(key: int, size: int, shmflg: int) -> int:
    """Get the id of a segment, made if `shmflg` says so; its low 9 bits are the mode (shmget(2)).

    A key is a C int; what C writes as 0xDEADBEEF is taken too.
    """
    return check(
        lib.uipc_shmget(_key(key, "shmget"), size_argument(size, "size"), index(shmflg)),
        "shmget",
        hex(key),
        size,
        advice=_GETTING,
    )


def shmat(shmid: int, shmaddr: int | Memory | None = None, shmflg: int = 0) -> Attachment:
    """Attach a segment (shmat(2)).

    `shmaddr` is None or the address to attach at. SHM_REMAP wants the object whose memory is replaced there: it is
    closed, and what it had beyond the segment is unmapped.
    """
    if isinstance(shmaddr, Memory):
        target, hint = shmaddr, 0
    else:
        target, hint = None, 0 if shmaddr is None else size_argument(shmaddr, "shmaddr")
    if target is None and shmflg & SHM_REMAP:
        advice = "SHM_REMAP replaces memory of your own only: give the Mapping or Attachment as shmaddr"
        raise failure(errno.EINVAL, "shmat", shmid, advice=advice)
    made = _cpython.shmat(Attachment, target, shmid, hint, shmflg)
    return check_made(made, "shmat", shmid, advice=_ATTACHING)


def shmdt(attachment: Attachment) -> None:
    """Detach a segment (shmdt(2)); what a view still shows stays until that is released. Done already: ValueError."""
    if not isinstance(attachment, Attachment):
        raise TypeError(f"shmdt() takes an Attachment, not {attachment!r}")
    check(attachment._close(), "shmdt", attachment)


def _shmid_ds(shmid: int, cmd: int) -> tuple[int, ShmidDs]:
    ds = ffi.new("struct uipc_shmid_ds *")
    result = check(lib.uipc_shmctl_stat(shmid, cmd, ds), "shmctl", shmid, cmd, advice=_USING)
    times = ds.atime, ds.dtime, ds.ctime
    return result, ShmidDs(_perm(ds.perm), ds.segsz, *times, ds.cpid, ds.lpid, ds.nattch)


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
        _set_perm(ds.perm, buf.shm_perm)
        check(lib.uipc_shmctl_set(shmid, ds), "shmctl", shmid, cmd, advice=_USING)
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
    check(lib.uipc_shmctl(shmid, cmd), "shmctl", shmid, cmd, advice=_USING)
    return None


def msgget(key: int, msgflg: int) -> int:
    """Get the id of a message queue, made if `msgflg` says so; its low 9 bits are the mode (msgget(2))."""
    return check(lib.uipc_msgget(_key(key, "msgget"), index(msgflg)), "msgget", hex(key), advice=_GETTING)


def msgsnd(msqid: int, mtype: int, mtext: Buffer, msgflg: int = 0) -> None:
    """Send a message of a type above 0 (msgsnd(2)); InterruptedError by any handler, SA_RESTART or not."""
    with bytes_argument(mtext) as text:
        size = len(text)
        result = restarting(lib.uipc_msgsnd, index(msqid), index(mtype), text, size, index(msgflg))
    check(result, "msgsnd", msqid, mtype, f"{size} bytes", advice=_SENDING)


def msgrcv(msqid: int, msgsz: int, msgtyp: int = 0, msgflg: int = 0) -> tuple[int, bytes]:
    """Receive a message of at most `msgsz` bytes, and return its type and text (msgrcv(2)).

    `msgtyp`: 0 the first message; above 0 the first of this type, with MSG_EXCEPT of any other; below 0 the first of
    the lowest type up to its absolute value; with MSG_COPY and IPC_NOWAIT a copy of the message at this position.
    InterruptedError by any handler, SA_RESTART or not.
    """
    msgsz = index(msgsz)
    mtype, text = ffi.new("int64_t *"), ffi.new("unsigned char[]", msgsz)
    result = restarting(lib.uipc_msgrcv, index(msqid), mtype, text, msgsz, index(msgtyp), index(msgflg))
    length = check(result, "msgrcv", msqid, msgsz, msgtyp, advice=_RECEIVING)
    return mtype[0], bytes(ffi.buffer(text, length))


def _msqid_ds(msqid: int, cmd: int) -> tuple[int, MsqidDs]:
    ds = ffi.new("struct uipc_msqid_ds *")
    result = check(lib.uipc_msgctl_stat(msqid, cmd, ds), "msgctl", msqid, cmd, advice=_USING)
    times, sizes = (ds.stime, ds.rtime, ds.ctime), (ds.cbytes, ds.qnum, ds.qbytes)
    return result, MsqidDs(_perm(ds.perm), *times, *sizes, ds.lspid, ds.lrpid)


@overload
def msgctl(msqid: int, cmd: Literal[IpcCommand.IPC_STAT]) -> MsqidDs: ...
@overload
def msgctl(msqid: int, cmd: Literal[IpcCommand.IPC_SET], buf: MsqidDs) -> None: ...
@overload
def msgctl(msqid: int, cmd: Literal[IpcCommand.IPC_RMID]) -> None: ...
@overload
def msgctl(msqid: int, cmd: Literal[IpcCommand.IPC_INFO, MsgCommand.MSG_INFO]) -> tuple[int, Msginfo]: ...
@overload
def msgctl(msqid: int, cmd: Literal[MsgCommand.MSG_STAT, MsgCommand.MSG_STAT_ANY]) -> tuple[int, MsqidDs]: ...
def msgctl(msqid: int, cmd: int, buf: MsqidDs | None = None) -> object:
    """Examine, change or remove a message queue (msgctl(2)).

    IPC_STAT returns the MsqidDs; IPC_SET takes one as `buf`, and IPC_RMID returns None. MSG_STAT and MSG_STAT_ANY take
    an index of the kernel's array for `msqid`, and return the id with the MsqidDs. IPC_INFO and MSG_INFO ignore
    `msqid`, and return the highest used index with a Msginfo.
    """
    msqid, cmd = index(msqid), index(cmd)
    if cmd == IPC_STAT:
        return _msqid_ds(msqid, cmd)[1]
    if cmd in (MSG_STAT, MSG_STAT_ANY):
        return _msqid_ds(msqid, cmd)
    if cmd == IPC_SET:
        if not isinstance(buf, MsqidDs):
            raise TypeError(f"msgctl(IPC_SET) takes a MsqidDs, not {buf!r}")
        ds = ffi.new("struct uipc_msqid_ds *")
        _set_perm(ds.perm, buf.msg_perm)
        ds.qbytes = index(buf.msg_qbytes)
        check(lib.uipc_msgctl_set(msqid, ds), "msgctl", msqid, cmd, advice=_USING)
        return None
    if cmd in (IPC_INFO, MSG_INFO):
        i = ffi.new("struct uipc_msginfo *")
        highest = check(lib.uipc_msgctl_info(cmd, i), "msgctl", msqid, cmd)
        info = i.msgpool, i.msgmap, i.msgmax, i.msgmnb, i.msgmni, i.msgssz, i.msgtql, i.msgseg
        return highest, Msginfo(*info)
    if cmd != IPC_RMID:
        raise failure(errno.EINVAL, "msgctl", msqid, cmd, advice="no such command")
    check(lib.uipc_msgctl(msqid, cmd), "msgctl", msqid, cmd, advice=_USING)
    return None
