"""Message queues: msgget(2), msgop(2)."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, replace
from operator import index
from typing import TYPE_CHECKING, Protocol, Self, TypeVar

from unixipc import libc
from unixipc._check import Deadline
from unixipc._cpython import front
from unixipc._polling import Polling
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
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

_T = TypeVar("_T")
_T_co = TypeVar("_T_co", covariant=True)

_USUAL_SIZE = 8192  # bytes: kernel.msgmax, where nobody changed it


class _Receive(Protocol[_T_co]):
    def __call__(self, msqid: int, size: int, msgtyp: int, flags: int, /, *, timeout: float | None) -> _T_co: ...


@dataclass(frozen=True, slots=True)
class QueueStatus(Status):
    """What is known of a queue: how many messages and bytes it holds and may hold, and who used it last."""

    messages: int
    bytes: int
    max_bytes: int
    send_time: int | None
    receive_time: int | None
    sender_pid: int | None
    receiver_pid: int | None


class MessageQueue(Polling, SysvObject):
    """A queue of messages, each with a type above 0, which receivers can select by; first in, first out otherwise.

    Of the selections at most one is given: `mtype` wants the first message of this type, `up_to` the first of the
    lowest type that is not above it, so that types serve as priorities, `other_than` the first of any other type. Waits
    take a `timeout` in seconds, None for ever and 0 not at all, and go on after signals; TimeoutError when it is up.
    """

    def __init__(self, msqid: int) -> None:
        self._id = index(msqid)
        self._closed = False
        self._size = _USUAL_SIZE

    @classmethod
    def create(cls, key: int | None = None, *, mode: int = 0o600, max_bytes: int | None = None) -> Self:
        """Make a queue; FileExistsError if the key has one. `max_bytes` as in `set_max_bytes`."""
        made = cls(libc.msgget(new_key(key), CREATE | check_mode(mode)))
        if max_bytes is not None:
            try:
                made.set_max_bytes(max_bytes)
            except BaseException:
                made.remove()
                raise
        return made

    @classmethod
    def open(cls, key: int) -> Self:
        """Find the queue of a key; FileNotFoundError if there is none."""
        return cls(libc.msgget(check_key(key), 0))

    @classmethod
    def open_or_create(cls, key: int, *, mode: int = 0o600) -> Self:
        """Find the queue of a key, or make it."""
        return cls(libc.msgget(check_key(key), libc.IPC_CREAT | check_mode(mode)))

    @classmethod
    def from_id(cls, id: int) -> Self:  # noqa: A002 - its name
        """Take the queue of an id."""
        return cls(id)

    @property
    def closed(self) -> bool:
        """Whether it was closed here; it can still be examined, changed and removed."""
        return self._closed

    def close(self) -> None:
        """End the use of the queue by this process; twice is fine. The queue and its messages stay."""
        self._closed = True

    def remove(self) -> None:
        """Remove the queue with its messages: who waits for it gets IdentifierRemovedError."""
        libc.msgctl(self._id, libc.IPC_RMID)

    @front
    def send(self, text: Buffer, mtype: int = 1, timeout: float | None = None) -> None:
        """Send a message; waits while the queue is full."""
        if self._closed:
            refuse(self)
        going_on(lambda left: libc.msgsnd(self._id, mtype, text, timeout=left), timeout)

    def send_many(self, messages: Iterable[tuple[int, Buffer]], timeout: float | None = None) -> int:
        """Send messages, pairs of type and text, in one step into C, and return how many went: all, if there was time.

        TimeoutError if there was no time for the first. Another error says in a note how many went before it.
        """
        if self._closed:
            refuse(self)
        pairs, sent, deadline = list(messages), 0, None if timeout is None else Deadline(timeout)
        while sent < len(pairs):
            rest, left = pairs[sent:] if sent > 0 else pairs, None if deadline is None else deadline.left()
            try:
                sent += libc.msgsnd_many(self._id, rest, timeout=left)
            except InterruptedError as error:
                if error.errno is None:  # a handler raised it
                    raise
            except OSError as error:
                if sent > 0 and error.errno == errno.ETIMEDOUT:
                    break
                error.add_note(f"{sent} messages went before this one")
                raise
        return sent

    @front
    def receive(
        self,
        mtype: int | None = None,
        *,
        up_to: int | None = None,
        other_than: int | None = None,
        max_size: int | None = None,
        truncate: bool = False,
        timeout: float | None = None,
    ) -> tuple[int, bytes]:
        """Receive a message, and return its type and text; waits while there is none of the selection.

        With `max_size` a longer message is an OSError (E2BIG), and stays, or with `truncate` is cut to that size.
        """
        if self._closed:
            refuse(self)
        msgtyp, flags = (0, 0) if mtype is up_to is other_than is None else _selection(mtype, up_to, other_than)
        if max_size is None:
            if truncate:
                raise ValueError("truncate=True needs a max_size to cut at")
            return self._of_any_size(libc.msgrcv, msgtyp, flags, timeout)
        flags |= libc.MSG_NOERROR if truncate else 0

        def receive(more: int, left: float | None) -> tuple[int, bytes]:
            return libc.msgrcv(self._id, max_size, msgtyp, flags | more, timeout=left)

        return going_on(lambda left: self._polled(receive, left), timeout)

    def receive_into(
        self,
        buffer: Buffer,
        mtype: int | None = None,
        *,
        up_to: int | None = None,
        other_than: int | None = None,
        truncate: bool = False,
        timeout: float | None = None,
    ) -> tuple[int, int]:
        """Receive a message into a writable buffer, and return its type and length.

        One that is longer is an OSError (E2BIG), and stays, or with `truncate` is cut.
        """
        if self._closed:
            refuse(self)
        msgtyp, flags = _selection(mtype, up_to, other_than)
        flags |= libc.MSG_NOERROR if truncate else 0

        def receive(more: int, left: float | None) -> tuple[int, int]:
            return libc.msgrcv_into(self._id, buffer, msgtyp, flags | more, timeout=left)

        return going_on(lambda left: self._polled(receive, left), timeout)

    @front
    def receive_many(
        self,
        count: int,
        mtype: int | None = None,
        *,
        up_to: int | None = None,
        other_than: int | None = None,
        timeout: float | None = None,
    ) -> list[tuple[int, bytes]]:
        """Wait for a message, and receive it with those that are there already, in one step into C.

        They are at most `count`, which is above 0, and at most 1,024 or about 256 KiB at a time.
        """
        if self._closed:
            refuse(self)
        if count < 1:
            raise ValueError(f"at least one message can be received, not {count}")
        msgtyp, flags = _selection(mtype, up_to, other_than)

        return self._of_any_size(
            lambda msqid, size, msgtyp, flags, *, timeout: libc.msgrcv_many(
                msqid, size, count, msgtyp, flags, timeout=timeout
            ),
            msgtyp,
            flags,
            timeout,
        )

    def peek(self, position: int = 0) -> tuple[int, bytes] | None:
        """Look at the message at a position in the queue, which stays; None if there are not so many.

        OSError (ENOSYS) where the kernel was built without CONFIG_CHECKPOINT_RESTORE.
        """
        if self._closed:
            refuse(self)
        if position < 0:
            raise ValueError(f"the position is {position}: the first is 0")
        flags = libc.MSG_COPY | libc.IPC_NOWAIT
        try:
            return self._of_any_size(libc.msgrcv, position, flags, 0)
        except OSError as error:
            if error.errno != errno.ENOMSG:
                raise
            return None

    def _of_any_size(self, receive: _Receive[_T], msgtyp: int, flags: int, timeout: float | None) -> _T:
        """Ask for more, and remember that, as long as the message does not fit; it stays meanwhile."""
        deadline = Deadline(timeout)
        while True:
            size = self._size
            try:
                return self._polled(
                    lambda more, left, size=size: receive(self._id, size, msgtyp, flags | more, timeout=left),  # type: ignore[misc]
                    deadline.left(),
                )
            except InterruptedError as error:
                if error.errno is None:  # a handler raised it
                    raise
            except OSError as error:
                if error.errno != errno.E2BIG:
                    raise
                self._size = max(self._size, 4 * size)

    def _polled(self, receive: Callable[[int, float | None], _T], left: float | None) -> _T:
        """Receive, with more flags and within so many seconds, after as many looks as `polls` says."""
        for _ in range(0 if left == 0 else self.polls):
            try:
                return receive(libc.IPC_NOWAIT, None)
            except OSError as error:
                if error.errno != errno.ENOMSG:
                    raise
            os.sched_yield()
        return receive(0, left)

    def set_max_bytes(self, max_bytes: int) -> None:
        """Change how many bytes the queue may hold; more than kernel.msgmnb needs a privilege (CAP_SYS_RESOURCE)."""
        ds = libc.msgctl(self._id, libc.IPC_STAT)
        libc.msgctl(self._id, libc.IPC_SET, replace(ds, msg_qbytes=index(max_bytes)))

    def status(self) -> QueueStatus:
        """Ask the kernel for all that it knows of the queue."""
        ds = libc.msgctl(self._id, libc.IPC_STAT)
        known = self._id, *permissions(ds.msg_perm), ds.msg_ctime or None
        sizes = ds.msg_qnum, ds.msg_cbytes, ds.msg_qbytes
        times = ds.msg_stime or None, ds.msg_rtime or None
        return QueueStatus(*known, *sizes, *times, ds.msg_lspid or None, ds.msg_lrpid or None)

    def _perm(self) -> libc.IpcPerm:
        return libc.msgctl(self._id, libc.IPC_STAT).msg_perm

    def _set_perm(self, perm: libc.IpcPerm) -> None:
        ds = libc.msgctl(self._id, libc.IPC_STAT)
        libc.msgctl(self._id, libc.IPC_SET, replace(ds, msg_perm=perm))

    def __reduce__(self) -> tuple[Callable[[int], Self], tuple[int]]:
        return type(self).from_id, (self._id,)


def _selection(mtype: int | None, up_to: int | None, other_than: int | None) -> tuple[int, int]:
    """Say what is wanted as msgrcv(2) does: msgtyp and flags."""
    given = [number for number in (mtype, up_to, other_than) if number is not None]
    if not given:
        return 0, 0
    if len(given) > 1:
        raise ValueError("at most one of mtype, up_to and other_than can be given")
    number = index(given[0])
    if number < 1:
        raise ValueError(f"types are above 0, and {number} is not")
    if up_to is not None:
        return -number, 0
    return number, 0 if other_than is None else libc.MSG_EXCEPT
