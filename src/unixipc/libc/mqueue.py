"""mq_overview(7): POSIX message queues. A queue descriptor is a file descriptor, also for `ppoll` and `select`."""

from __future__ import annotations

import errno
import os
import resource
from dataclasses import dataclass
from itertools import accumulate
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING, overload

from unixipc._check import check, failure, restarting, timespec
from unixipc._cpython import front
from unixipc._native import ffi, lib
from unixipc.constants.posix import O_CREAT
from unixipc.libc.arguments import bytes_argument, path_argument, unsigned_argument
from unixipc.libc.timers import Sigevent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

    from unixipc._native import _CBytes, _CInt, _CTime, _MqAttr

_NAMES = "a name is a slash and up to 255 bytes without another slash"
_LIMITS = Path("/proc/sys/fs/mqueue")
_AT_ONCE, _ROOM = 1024, 256 << 10
_OPENING = {
    errno.EACCES: "it exists, and its mode refuses this access; or the name has a second slash",
    errno.EEXIST: "it exists, and O_EXCL was given",
    errno.ENAMETOOLONG: _NAMES,
    errno.ENFILE: "the system has no descriptor left",
    errno.ENOENT: "no queue has this name, and O_CREAT was not given",
    errno.ENOSPC: "the system has as many queues as it may: fs.mqueue.queues_max",
}
_UNLINKING = {
    errno.EACCES: "only its owner or a privileged process may remove it",
    errno.EINVAL: _NAMES,
    errno.ENAMETOOLONG: _NAMES,
    errno.ENOENT: "no queue has this name",
    errno.EPERM: "only its owner or a privileged process may remove it",
}
_USING = {errno.EBADF: "it is no descriptor of an open queue, or was not opened for this"}
_SENDING = _USING | {
    errno.EAGAIN: "the queue is full, and O_NONBLOCK",
    errno.EINVAL: "the priority must be below MQ_PRIO_MAX, and a time 0 or later",
    errno.EMSGSIZE: "the message is longer than the queue's mq_msgsize",
    errno.ETIMEDOUT: "the queue was full until then",
}
_RECEIVING = _USING | {
    errno.EAGAIN: "the queue is empty, and O_NONBLOCK",
    errno.EINVAL: "a time must be 0 or later",
    errno.EMSGSIZE: "there must be room for the queue's mq_msgsize, however short the message",
    errno.ETIMEDOUT: "the queue was empty until then",
}
_NOTIFYING = _USING | {
    errno.EBUSY: "a process is registered already",
    errno.EINVAL: "a queue notifies by SIGEV_SIGNAL or SIGEV_NONE",
}


@dataclass(frozen=True, slots=True)
class MqAttr:
    """A queue's limits, flags (0 or O_NONBLOCK), and the number of messages in it: `struct mq_attr` (mq_getattr(3)).

    `mq_open` looks at mq_maxmsg and mq_msgsize, in bytes; `mq_setattr` at mq_flags.
    """

    mq_flags: int = 0
    mq_maxmsg: int = 0
    mq_msgsize: int = 0
    mq_curmsgs: int = 0

    def _for_c(self) -> _MqAttr:
        numbers = self.mq_flags, self.mq_maxmsg, self.mq_msgsize, self.mq_curmsgs
        return ffi.new("struct uipc_mq_attr *", tuple(map(index, numbers)))


def _attr(attr: _MqAttr) -> MqAttr:
    return MqAttr(attr.flags, attr.maxmsg, attr.msgsize, attr.curmsgs)


def _check_attr(attr: MqAttr, name: str) -> _MqAttr:
    if not isinstance(attr, MqAttr):
        raise TypeError(f"{name} is an MqAttr, not {attr!r}")
    return attr._for_c()


def _refusal(code: int, name: bytes, oflag: int, attr: MqAttr | None) -> str | None:
    """Tell which of its several causes an errno of mq_open(3) has here."""
    if code == errno.EMFILE:
        try:
            os.close(os.open("/", os.O_PATH | os.O_CLOEXEC))
        except OSError:
            return "the process has no descriptor left: RLIMIT_NOFILE"
        limit = resource.getrlimit(resource.RLIMIT_MSGQUEUE)[0]
        return f"the queues of this user would take more than the {limit} bytes of RLIMIT_MSGQUEUE: make smaller ones"
    if name in (b"", b"/") or name[:1] != b"/":
        return _NAMES
    if oflag & O_CREAT and attr is not None and code in (errno.EINVAL, errno.ENOMEM, errno.EOVERFLOW):
        limits = (
            f"fs.mqueue.{limit} is {(_LIMITS / limit).read_text().strip()}" for limit in ("msg_max", "msgsize_max")
        )
        return f"mq_maxmsg and mq_msgsize must be above 0 and within the limits: {', '.join(limits)}"
    return _OPENING.get(code)


def _received(
    msg: int | Buffer, receive: Callable[[_CBytes, int], int], prio: _CInt, call: str, *subject: object
) -> tuple[bytes | int, int]:
    """Receive into new memory, or into the buffer of the caller."""
    if isinstance(msg, int):
        buffer = ffi.new("unsigned char[]", msg)
        length = check(receive(buffer, msg), call, *subject, advice=_RECEIVING)
        return bytes(ffi.buffer(buffer, length)), prio[0]
    with bytes_argument(msg, writable=True) as into:
        length = receive(into, len(into))
    return check(length, call, *subject, advice=_RECEIVING), prio[0]


def mq_open(name: str | bytes, oflag: int, mode: int = 0o600, attr: MqAttr | None = None) -> int:
    """Open a queue, made if `oflag` says so, and return its descriptor (mq_open(3)).

    Without `attr` a new one has the limits fs.mqueue.msg_default and fs.mqueue.msgsize_default. It is close-on-exec.
    The umask is taken off the mode.
    """
    wanted = ffi.NULL if attr is None else _check_attr(attr, "attr")
    path, oflag = path_argument(name), index(oflag)
    result = lib.uipc_mq_open(path, oflag, index(mode), wanted)
    if result < 0:
        raise failure(-result, "mq_open", repr(name), advice=_refusal(-result, path, oflag, attr))
    return result


def mq_close(mqdes: int) -> None:
    """Close a queue (mq_close(3)); what `mq_notify` registered with this descriptor is withdrawn."""
    check(lib.uipc_mq_close(index(mqdes)), "mq_close", mqdes, advice=_USING)


def mq_unlink(name: str | bytes) -> None:
    """Remove the name of a queue, which goes with its last descriptor (mq_unlink(3))."""
    check(lib.uipc_mq_unlink(path_argument(name)), "mq_unlink", repr(name), advice=_UNLINKING)


@front
def mq_send(mqdes: int, msg: Buffer, msg_prio: int = 0) -> None:
    """Send a message (mq_send(3)); the queue gives out the highest priority first, and then the oldest message."""
    with bytes_argument(msg) as text:
        size = len(text)
        result = restarting(lib.uipc_mq_send, index(mqdes), text, size, index(msg_prio))
    check(result, "mq_send", mqdes, f"{size} bytes", msg_prio, advice=_SENDING)


@front
def mq_timedsend(mqdes: int, msg: Buffer, msg_prio: int, abs_timeout: float) -> None:
    """Send a message until a time of CLOCK_REALTIME (mq_timedsend(3)); TimeoutError when that has passed."""
    until = timespec(abs_timeout)
    with bytes_argument(msg) as text:
        size = len(text)
        result = restarting(lib.uipc_mq_timedsend, index(mqdes), text, size, index(msg_prio), *until)
    check(result, "mq_timedsend", mqdes, f"{size} bytes", msg_prio, abs_timeout, advice=_SENDING)


@overload
def mq_receive(mqdes: int, msg: int) -> tuple[bytes, int]: ...
@overload
def mq_receive(mqdes: int, msg: Buffer) -> tuple[int, int]: ...
@front
def mq_receive(mqdes: int, msg: int | Buffer) -> tuple[bytes | int, int]:
    """Receive the oldest message of the highest priority, and return it with that (mq_receive(3)).

    `msg` is its greatest length; or a writable buffer that it is written into, and its length is returned. Either must
    not be less than the queue's mq_msgsize.
    """
    mqdes = index(mqdes)
    prio = ffi.new("unsigned int *")

    def receive(buffer: _CBytes, size: int) -> int:
        return restarting(lib.uipc_mq_receive, mqdes, buffer, size, prio)

    return _received(msg, receive, prio, "mq_receive", mqdes)


@overload
def mq_timedreceive(mqdes: int, msg: int, abs_timeout: float) -> tuple[bytes, int]: ...
@overload
def mq_timedreceive(mqdes: int, msg: Buffer, abs_timeout: float) -> tuple[int, int]: ...
@front
def mq_timedreceive(mqdes: int, msg: int | Buffer, abs_timeout: float) -> tuple[bytes | int, int]:
    """Receive a message as `mq_receive` does, until a time of CLOCK_REALTIME (mq_timedreceive(3)).

    TimeoutError when that has passed, and 0 is long ago.
    """
    mqdes, until = index(mqdes), timespec(abs_timeout)
    prio = ffi.new("unsigned int *")

    def receive(buffer: _CBytes, size: int) -> int:
        return restarting(lib.uipc_mq_timedreceive, mqdes, buffer, size, prio, *until)

    return _received(msg, receive, prio, "mq_timedreceive", mqdes, abs_timeout)


def _until(abs_timeout: float | None) -> _CTime | None:
    return ffi.NULL if abs_timeout is None else ffi.new("int64_t[2]", timespec(abs_timeout))


@front
def mq_send_many(mqdes: int, messages: Iterable[tuple[Buffer, int]], abs_timeout: float | None = None) -> int:
    """Send messages, pairs of text and priority, in one step into C, and return how many went.

    What stops it, an error, a signal or the time, is raised if it stops the first of them. The time is as that of
    `mq_timedsend`, and None for ever.
    """
    pairs = [(memoryview(msg).tobytes(), unsigned_argument(prio, "msg_prio")) for msg, prio in messages]
    sizes, texts = [len(msg) for msg, _ in pairs], b"".join([msg for msg, _ in pairs])
    arrays = ffi.new("int64_t[]", [prio for _, prio in pairs]), ffi.new("size_t[]", sizes)
    until = _until(abs_timeout)
    result = restarting(lib.uipc_mq_send_many, index(mqdes), *arrays, texts, len(pairs), until)
    return check(result, "mq_send", mqdes, f"{len(pairs)} messages", advice=_SENDING)


@front
def mq_receive_many(mqdes: int, msgsize: int, count: int, abs_timeout: float | None = None) -> list[tuple[bytes, int]]:
    """Wait for a message of at most `msgsize` bytes and take all that are there with it, in one step into C.

    They are at most `count`, and at most 1,024 or about 256 KiB at a time; each comes with its priority. `msgsize` must
    not be less than the queue's mq_msgsize. The time is as that of `mq_timedreceive`, and None for ever.
    """
    msgsize, count = index(msgsize), min(index(count), _AT_ONCE)
    room = max(msgsize, min(count * msgsize, _ROOM))
    prios, sizes, texts = ffi.new("int64_t[]", count), ffi.new("size_t[]", count), ffi.new("unsigned char[]", room)
    until = _until(abs_timeout)
    result = restarting(lib.uipc_mq_receive_many, index(mqdes), prios, sizes, texts, room, count, msgsize, until)
    received = check(result, "mq_receive", mqdes, advice=_RECEIVING)
    stops = list(accumulate(sizes[i] for i in range(received)))
    data = bytes(ffi.buffer(texts, stops[-1])) if stops else b""
    return [(data[stop - sizes[i] : stop], prios[i]) for i, stop in enumerate(stops)]


def mq_getattr(mqdes: int) -> MqAttr:
    """Tell the limits, flags and number of messages of a queue (mq_getattr(3))."""
    attr = ffi.new("struct uipc_mq_attr *")
    check(lib.uipc_mq_getattr(index(mqdes), attr), "mq_getattr", mqdes, advice=_USING)
    return _attr(attr)


def mq_setattr(mqdes: int, newattr: MqAttr) -> MqAttr:
    """Set or clear O_NONBLOCK of the open queue, which forked processes share; return what was (mq_setattr(3))."""
    new, old = _check_attr(newattr, "newattr"), ffi.new("struct uipc_mq_attr *")
    advice = _USING | {errno.EINVAL: "the only flag of a queue is O_NONBLOCK"}
    check(lib.uipc_mq_setattr(index(mqdes), new, old), "mq_setattr", mqdes, newattr, advice=advice)
    return _attr(old)


def mq_notify(mqdes: int, sevp: Sigevent | None = None) -> None:
    """Have this process told once when a message comes to the empty queue, or with None no more (mq_notify(3)).

    The signal has the si_code SI_MESGQ, and tells who sent the message. It is not sent while a process waits in
    `mq_receive`, which then gets the message.
    """
    if sevp is not None and not isinstance(sevp, Sigevent):
        raise TypeError(f"sevp is a Sigevent, not {sevp!r}")
    event = ffi.NULL if sevp is None else sevp._for_c("mq_notify")
    check(lib.uipc_mq_notify(index(mqdes), event), "mq_notify", mqdes, advice=_NOTIFYING)


def mq_notify_fd(mqdes: int) -> int:
    """Have a descriptor of its own told once when a message comes to the empty queue, and return it (mq_notify(2)).

    It is what the C library waits at for SIGEV_THREAD. It becomes readable, and a read of NOTIFY_COOKIE_LEN bytes ends
    with NOTIFY_WOKENUP; or with NOTIFY_REMOVED, if the registration was withdrawn. It is close-on-exec.
    """
    return check(lib.uipc_mq_notify_fd(index(mqdes)), "mq_notify_fd", mqdes, advice=_NOTIFYING)
