"""IPC objects in the words of the command line, where each kind has one that is easy to type."""

from __future__ import annotations

import math
import pwd
import re
import time
from dataclasses import asdict
from enum import IntEnum, IntFlag, StrEnum
from typing import TYPE_CHECKING

from unixipc.inventory import (
    Fifo,
    MemoryFile,
    MessageQueue,
    PosixObject,
    PosixQueue,
    Segment,
    SemaphoreSet,
    SocketState,
    UnixSocket,
)

if TYPE_CHECKING:
    from unixipc.inventory import Holders, Thing, Verdict

_TIMES = ("ctime", "mtime", "atime", "dtime", "stime", "rtime", "otime")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


class Kind(StrEnum):
    """What `--kind` takes."""

    SYSV_SHM = "sysv-shm"
    SYSV_MSG = "sysv-msg"
    SYSV_SEM = "sysv-sem"
    POSIX_SHM = "posix-shm"
    POSIX_MQ = "posix-mq"
    POSIX_SEM = "posix-sem"
    MEMFD = "memfd"
    FIFO = "fifo"
    SOCKET = "socket"


_KINDS: dict[type, Kind] = {
    Segment: Kind.SYSV_SHM,
    MessageQueue: Kind.SYSV_MSG,
    SemaphoreSet: Kind.SYSV_SEM,
    PosixQueue: Kind.POSIX_MQ,
    MemoryFile: Kind.MEMFD,
    Fifo: Kind.FIFO,
    UnixSocket: Kind.SOCKET,
}


def kind_of(thing: Thing) -> Kind:
    """Tell the kind of a thing."""
    if type(thing) is PosixObject:
        return Kind.POSIX_SEM if thing.kind == "semaphore" else Kind.POSIX_SHM
    return _KINDS[type(thing)]


def label(thing: Thing) -> str:
    """Give what it is called by: an id, a name or a path; an abstract name begins with @."""
    match thing:
        case Segment() | MessageQueue() | SemaphoreSet():
            return str(thing.id)
        case Fifo():
            return thing.path
        case UnixSocket():
            return f"@{thing.name}" if thing.abstract else thing.name or ""
    return thing.name


def key(thing: Thing) -> str:
    """Give the key of a System V object, as ipcs(1) does; IPC_PRIVATE, which opens none, is nothing."""
    match thing:
        case Segment() | MessageQueue() | SemaphoreSet():
            return f"0x{thing.key & 0xFFFFFFFF:08x}" if thing.key else ""
    return ""


def owner(thing: Thing) -> str:
    """Name its owner, or give the number of one without a name; nothing, where it is not known."""
    return "" if thing.uid is None else user(thing.uid)


def user(uid: int) -> str:
    """Name a user, or give the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def size(thing: Thing) -> int | None:
    """Tell the bytes of memory that it has, or of the messages in it."""
    match thing:
        case MessageQueue():
            return thing.bytes
        case Segment() | PosixObject() | MemoryFile():
            return thing.size
        case UnixSocket() if thing.state is not SocketState.LISTENING:
            return thing.received
    return None


def content(thing: Thing) -> str:
    """Say in few words what is in it or with it."""
    words: list[str] = []
    match thing:
        case Segment():
            words = [attachments(thing), "removed" * thing.removed, "locked" * thing.locked]
        case MessageQueue():
            words = [counted(thing.messages, "message")]
        case PosixQueue() if thing.status is not None:
            words = [f"{thing.status.messages} of {counted(thing.status.max_messages, 'message')}"]
        case SemaphoreSet():
            words = [counted(thing.semaphores, "semaphore")]
        case MemoryFile() if thing.seals:
            words = ["sealed"]
        case UnixSocket():
            words = [thing.state]
    return ", ".join(filter(None, words))


def attachments(segment: Segment) -> str:
    """Count them; nothing for none."""
    return counted(segment.attached, "attachment") if segment.attached else ""


def counted(number: int, what: str) -> str:
    """Say how many there are of something."""
    return f"{number} {what}{'s' * (number != 1)}"


def age(thing: Thing) -> int | None:
    """Tell how many seconds ago it was made, changed or used last, as far as the kernel takes note of that."""
    used = last_use(thing)
    return None if used is None else max(0, int(time.time()) - used)


def last_use(thing: Thing) -> int | None:
    """Tell when that was, in seconds since the epoch."""
    return max((moment for field in _TIMES if (moment := getattr(thing, field, None))), default=None)


def held_by(holders: Holders) -> str:
    """Name its holders, and say where there may be more."""
    names = ", ".join(f"{holder.name or '?'} ({holder.pid})" for holder in holders.known)
    return names if holders.complete else f"{names}, …?".removeprefix(", ")


def document(thing: Thing, holders: Holders, verdict: Verdict) -> dict[str, object]:
    """Make the object for JSON: the fields of the record, and what is known besides."""
    fields = {name: _plain(name, value) for name, value in asdict(thing).items()}
    known = {
        "owner": owner(thing) or None,
        "age": age(thing),
        "orphaned": verdict.orphaned,
        "why": verdict.why,
        "holders": [{"pid": holder.pid, "name": holder.name, "how": holder.how} for holder in holders.known],
        "holders_complete": holders.complete,
    }
    return {"kind": kind_of(thing)} | {name: value for name, value in fields.items() if name != "kind"} | known


def _plain(name: str, value: object) -> object:
    if name == "mode" and isinstance(value, int):
        return f"{value:04o}"
    if isinstance(value, IntFlag):
        return [flag.name for flag in value]
    return value.name if isinstance(value, IntEnum) else value


def duration(text: str) -> float:
    """Read seconds, or so many minutes, hours or days: 90, 5m, 2h, 3d; ValueError for anything else."""
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text)
    if found is None:
        raise ValueError(f"{text!r} is no time: give seconds, or 5m, 2h, 3d")
    return float(found[1]) * _UNITS[found[2]]


def in_words(seconds: int | None) -> str:
    """Say a time in its largest unit: 45s, 5m, 2h, 3d."""
    if seconds is None:
        return ""
    unit, length = next((unit, length) for unit, length in reversed(_UNITS.items()) if seconds >= length or length == 1)
    return f"{math.floor(seconds / length)}{unit}"
