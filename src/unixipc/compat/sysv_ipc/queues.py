"""Message queues as sysv_ipc has them."""

from __future__ import annotations

import errno
from dataclasses import replace
from operator import index
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.compat.sysv_ipc.errors import USING, translated, translating
from unixipc.compat.sysv_ipc.objects import IPC_CREX, IpcObject, ReadOnly, Writable, bytes_of, find
from unixipc.libc.arguments import int_argument

if TYPE_CHECKING:
    from typing_extensions import Buffer

_SENDING = USING | {errno.EINVAL: OSError}  # which a message that is too long has in common with a removed queue
_LONGEST = 2**31 - 1  # bytes: kernel.msgmax is an int


class MessageQueue(IpcObject):
    """A queue of messages, each with a type above 0."""

    __slots__ = ("_max_message_size",)

    last_send_time = ReadOnly[int]("_status.msg_stime", "When a message was sent; 0 for never.")
    last_receive_time = ReadOnly[int]("_status.msg_rtime", "When a message was received; 0 for never.")
    last_change_time = ReadOnly[int]("_status.msg_ctime", "When it was made, or got its attributes.")
    last_send_pid = ReadOnly[int]("_status.msg_lspid", "The process that sent last.")
    last_receive_pid = ReadOnly[int]("_status.msg_lrpid", "The process that received last.")
    current_messages = ReadOnly[int]("_status.msg_qnum", "How many messages it holds.")
    max_size = Writable("_status.msg_qbytes", "How many bytes it may hold.")

    def __init__(self, key: int | None, flags: int = 0, mode: int = 0o600, max_message_size: int = 2048) -> None:
        flags, mode = int_argument(flags, "flags") & IPC_CREX, int_argument(mode, "mode") & 0o777
        size = index(max_message_size)
        if not 0 <= size < 2**63:
            raise ValueError(f"The message length must be from 0 to {2**63 - 1}")
        with translating():
            self._key, self._id = find(key, flags, lambda key: libc.msgget(key, flags | mode))
        self._max_message_size = min(size, _LONGEST)

    def send(self, message: str | Buffer, block: bool = True, type: int = 1) -> None:
        """Send a message; where the queue is full, wait or, without `block`, raise BusyError."""
        mtype = int_argument(type, "type")
        if mtype <= 0:
            raise ValueError("The type must be > 0")
        text = bytes_of(message)
        if len(text) > self._max_message_size:
            raise ValueError(f"The message length exceeds queue's max_message_size ({self._max_message_size})")
        try:
            libc.msgsnd(self._id, mtype, text, 0 if block else libc.IPC_NOWAIT)
        except OSError as error:
            raise translated(error, _SENDING) from None

    def receive(self, block: bool = True, type: int = 0) -> tuple[bytes, int]:
        """Receive a message and its type; where there is none, wait or, without `block`, raise BusyError.

        With a `type` above 0 it is the first of this type, below 0 the first of the lowest type up to its amount.
        """
        msgtyp = int_argument(type, "type")
        try:
            mtype, text = libc.msgrcv(self._id, self._max_message_size, msgtyp, 0 if block else libc.IPC_NOWAIT)
        except OSError as error:
            raise translated(error) from None
        return text, mtype

    def remove(self) -> None:
        """Remove the queue from the system, with its messages."""
        remove_message_queue(self._id)

    @property
    def _status(self) -> libc.MsqidDs:
        with translating():
            return libc.msgctl(self._id, libc.IPC_STAT)

    @property
    def _perm(self) -> libc.IpcPerm:
        return self._status.msg_perm

    def _set(self, name: str, value: int) -> None:
        ds = self._status
        if name == "max_size":
            ds = replace(ds, msg_qbytes=value)
        else:
            ds = replace(ds, msg_perm=replace(ds.msg_perm, **{name: value}))
        libc.msgctl(self._id, libc.IPC_SET, ds)


def remove_message_queue(id: int, /) -> None:
    """Remove the message queue of an id from the system."""
    with translating():
        libc.msgctl(int_argument(id, "id"), libc.IPC_RMID)
