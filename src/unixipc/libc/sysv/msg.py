"""msgget(2), msgop(2) and msgctl(2)."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from itertools import accumulate
from operator import index
from typing import TYPE_CHECKING, Literal, overload

from unixipc._check import Advice, check, failure, restarting, timespec
from unixipc._cpython import front
from unixipc._native import ffi, lib
from unixipc.constants.sysv import (
    IPC_INFO,
    IPC_NOWAIT,
    IPC_RMID,
    IPC_SET,
    IPC_STAT,
    MSG_COPY,
    MSG_INFO,
    MSG_STAT,
    MSG_STAT_ANY,
    IpcCommand,
    MsgCommand,
)
from unixipc.libc.arguments import bytes_argument, int_argument
from unixipc.libc.sysv.ipc import GETTING, USING, IpcPerm, key_argument, read_perm, write_perm

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer

    from unixipc._native import _CBytes, _CTime

_SENDING = USING | {
    errno.EAGAIN: "the queue is full (msg_qbytes), and IPC_NOWAIT was given",
    errno.EINVAL: "no queue has this id, the type is below 1, or the text is longer than kernel.msgmax",
    errno.ETIMEDOUT: "the queue is full (msg_qbytes)",
}
_RECEIVING = USING | {
    errno.E2BIG: "the message is longer than msgsz, and stays: MSG_NOERROR cuts it",
    errno.EINVAL: "no queue has this id, or MSG_COPY was given without IPC_NOWAIT or with MSG_EXCEPT",
    errno.ENOMSG: "no such message is there, and IPC_NOWAIT was given",
    errno.ETIMEDOUT: "no such message came",
    errno.ENOSYS: "MSG_COPY needs a kernel with CONFIG_CHECKPOINT_RESTORE",
}


_WAITING = {
    errno.EAGAIN: "no timer can end the wait: too many signals are queued or kept for timers (RLIMIT_SIGPENDING),"
    " every real-time signal is handled, or 256 threads wait already",
    errno.EINVAL: "no queue has this id, or an argument or the timeout is out of bounds",
}
_AT_ONCE, _ROOM = 1024, 256 << 10


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


def _left(timeout: float | None) -> _CTime | None:
    return ffi.NULL if timeout is None else ffi.new("int64_t[2]", timespec(timeout))


def _why(advice: dict[int, str], timeout: float | None, msgflg: int) -> Advice:
    return advice if timeout is None or msgflg & IPC_NOWAIT else advice | _WAITING


@front
def msgsnd(msqid: int, mtype: int, mtext: Buffer, msgflg: int = 0, *, timeout: float | None = None) -> None:
    """Send a message of a type above 0 (msgsnd(2)); InterruptedError by any handler, SA_RESTART or not.

    The kernel knows no timeout; ours is in seconds, and TimeoutError tells that it is up. A timer with a signal of its
    own ends the wait, on whichever thread: docs/delivery.md tells how.
    """
    with bytes_argument(mtext) as text:
        sizes, left = [len(text)], _left(timeout)
        result = restarting(lib.uipc_msgsnd, index(msqid), [index(mtype)], sizes, text, 1, index(msgflg), left)
    check(result, "msgsnd", msqid, mtype, f"{sizes[0]} bytes", advice=_why(_SENDING, timeout, msgflg))


@front
def msgsnd_many(
    msqid: int, messages: Iterable[tuple[int, Buffer]], msgflg: int = 0, *, timeout: float | None = None
) -> int:
    """Send messages, pairs of type and text, in one step into C, and return how many went.

    What stops it, an error, a signal or the timeout, is raised if it stops the first of them.
    """
    pairs = [(index(mtype), memoryview(mtext).tobytes()) for mtype, mtext in messages]
    sizes = [len(mtext) for _, mtext in pairs]
    arrays = ffi.new("int64_t[]", [mtype for mtype, _ in pairs]), ffi.new("size_t[]", sizes)
    texts = b"".join([mtext for _, mtext in pairs])
    result = restarting(lib.uipc_msgsnd, index(msqid), *arrays, texts, len(pairs), index(msgflg), _left(timeout))
    return check(result, "msgsnd", msqid, f"{len(pairs)} messages", advice=_why(_SENDING, timeout, msgflg))


@front
def msgrcv(
    msqid: int, msgsz: int, msgtyp: int = 0, msgflg: int = 0, *, timeout: float | None = None
) -> tuple[int, bytes]:
    """Receive a message of at most `msgsz` bytes, and return its type and text (msgrcv(2)).

    `msgtyp`: 0 the first message; above 0 the first of this type, with MSG_EXCEPT of any other; below 0 the first of
    the lowest type up to its absolute value; with MSG_COPY and IPC_NOWAIT a copy of the message at this position.
    InterruptedError by any handler, SA_RESTART or not. The timeout is as that of `msgsnd`.
    """
    text = ffi.new("unsigned char[]", index(msgsz))
    mtype, size = _receive(msqid, text, len(text), msgtyp, msgflg, timeout)
    return mtype, bytes(ffi.buffer(text, size))


def msgrcv_into(
    msqid: int, buffer: Buffer, msgtyp: int = 0, msgflg: int = 0, *, timeout: float | None = None
) -> tuple[int, int]:
    """Receive a message into a writable buffer, and return its type and length; else as `msgrcv`."""
    with bytes_argument(buffer, writable=True) as text:
        return _receive(msqid, text, len(text), msgtyp, msgflg, timeout)


def _receive(msqid: int, text: _CBytes, msgsz: int, msgtyp: int, msgflg: int, timeout: float | None) -> tuple[int, int]:
    mtype, size = ffi.new("int64_t[]", 1), ffi.new("size_t[]", 1)
    how = msgsz, index(msgtyp), index(msgflg), _left(timeout)
    result = restarting(lib.uipc_msgrcv, index(msqid), mtype, size, text, msgsz, 1, *how)
    check(result, "msgrcv", msqid, msgsz, msgtyp, advice=_why(_RECEIVING, timeout, msgflg))
    return mtype[0], size[0]


@front
def msgrcv_many(
    msqid: int, msgsz: int, count: int, msgtyp: int = 0, msgflg: int = 0, *, timeout: float | None = None
) -> list[tuple[int, bytes]]:
    """Wait for a message of at most `msgsz` bytes and take all that are there with it, in one step into C.

    They are at most `count`, and at most 1,024 or about 256 KiB at a time; else as `msgrcv`.
    """
    msgsz, count, msgflg = index(msgsz), min(index(count), _AT_ONCE), index(msgflg)
    if msgflg & MSG_COPY:
        raise failure(errno.EINVAL, "msgrcv", msqid, msgsz, msgtyp, advice="MSG_COPY copies one message")
    room = max(msgsz, min(count * msgsz, _ROOM))
    mtypes, sizes, texts = ffi.new("int64_t[]", count), ffi.new("size_t[]", count), ffi.new("unsigned char[]", room)
    how = msgsz, index(msgtyp), msgflg, _left(timeout)
    result = restarting(lib.uipc_msgrcv, index(msqid), mtypes, sizes, texts, room, count, *how)
    received = check(result, "msgrcv", msqid, msgsz, msgtyp, advice=_why(_RECEIVING, timeout, msgflg))
    stops = list(accumulate(sizes[i] for i in range(received)))
    data = bytes(ffi.buffer(texts, stops[-1])) if stops else b""
    return [(mtypes[i], data[stop - sizes[i] : stop]) for i, stop in enumerate(stops)]


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
        ds.qbytes = int_argument(buf.msg_qbytes, "msg_qbytes")  # of more, the kernel would take the low half
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
