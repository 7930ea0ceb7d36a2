"""msgget(2), msgop(2) and msgctl(2)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Literal, overload

from unixipc._check import check, failure, restarting
from unixipc._native import ffi, lib
from unixipc.constants.sysv import (
    IPC_INFO,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MSG_INFO,
    MSG_STAT,
    MSG_STAT_ANY,
    IpcCommand,
    MsgCommand,
)
from unixipc.libc.arguments import bytes_argument
from unixipc.libc.sysv.ipc import GETTING, USING, IpcPerm, key_argument, read_perm, write_perm

if TYPE_CHECKING:
    from typing_extensions import Buffer

_SENDING = USING | {
    errno.EAGAIN: "the queue is full (msg_qbytes), and IPC_NOWAIT was given",
    errno.EINVAL: "no queue has this id, the type is below 1, or the text is longer than kernel.msgmax",
}
_RECEIVING = USING | {
    errno.E2BIG: "the message is longer than msgsz, and stays: MSG_NOERROR cuts it",
    errno.EINVAL: "no queue has this id, or MSG_COPY was given without IPC_NOWAIT or with MSG_EXCEPT",
    errno.ENOMSG: "no such message is there, and IPC_NOWAIT was given",
    errno.ENOSYS: "MSG_COPY needs a kernel with CONFIG_CHECKPOINT_RESTORE",
}


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


def msgget(key: int, msgflg: int) -> int:
    """Get the id of a message queue, made if `msgflg` says so; its low 9 bits are the mode (msgget(2))."""
    return check(lib.uipc_msgget(key_argument(key, "msgget"), index(msgflg)), "msgget", hex(key), advice=GETTING)


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
    result = check(lib.uipc_msgctl_stat(msqid, cmd, ds), "msgctl", msqid, cmd, advice=USING)
    times, sizes = (ds.stime, ds.rtime, ds.ctime), (ds.cbytes, ds.qnum, ds.qbytes)
    return result, MsqidDs(read_perm(ds.perm), *times, *sizes, ds.lspid, ds.lrpid)


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
        write_perm(ds.perm, buf.msg_perm)
        ds.qbytes = index(buf.msg_qbytes)
        check(lib.uipc_msgctl_set(msqid, ds), "msgctl", msqid, cmd, advice=USING)
        return None
    if cmd in (IPC_INFO, MSG_INFO):
        i = ffi.new("struct uipc_msginfo *")
        highest = check(lib.uipc_msgctl_info(cmd, i), "msgctl", msqid, cmd)
        info = i.msgpool, i.msgmap, i.msgmax, i.msgmnb, i.msgmni, i.msgssz, i.msgtql, i.msgseg
        return highest, Msginfo(*info)
    if cmd != IPC_RMID:
        raise failure(errno.EINVAL, "msgctl", msqid, cmd, advice="no such command")
    check(lib.uipc_msgctl(msqid, cmd), "msgctl", msqid, cmd, advice=USING)
    return None
