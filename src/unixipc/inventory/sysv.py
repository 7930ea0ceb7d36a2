"""System V objects, as /proc/sysvipc and the calls have them: proc_sysvipc(5), svipc(7)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self

from unixipc import libc


@dataclass(frozen=True, slots=True)
class SysvObject:
    """What all System V objects have: an id, a key, and owners; `uid` is the owner, `cuid` who made it (svipc(7)).

    Times are seconds since the epoch, 0 for never. A process is 0 for none, and for one that the caller's pid namespace
    does not have.
    """

    kind: ClassVar[str]
    columns: ClassVar[dict[str, str]]

    id: int
    key: int
    mode: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    ctime: int
    """When it was made or changed."""

    @classmethod
    def _of(cls, row: dict[str, Any]) -> Self:
        """Make it of a line of /proc/sysvipc, by the names of its columns."""
        return cls(**{field.name: row[cls.columns.get(field.name, field.name)] for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class Segment(SysvObject):
    """A System V shared memory segment."""

    kind: ClassVar[str] = "shared memory segment"
    columns: ClassVar[dict[str, str]] = {
        "id": "shmid",
        "creator": "cpid",
        "last_user": "lpid",
        "attached": "nattch",
        "resident": "rss",
        "swapped": "swap",
    }

    size: int
    attached: int
    creator: int
    """The process that made it."""
    last_user: int
    """The process that attached or detached it last; 0 for none."""
    atime: int
    """When it was attached last."""
    dtime: int
    """When it was detached last."""
    resident: int
    """Bytes of it that are in memory."""
    swapped: int
    """Bytes of it that are swapped out."""
    removed: bool
    """Whether it goes with its last attachment (IPC_RMID; `dest` in ipcs(1))."""
    locked: bool
    """Whether it stays in memory (SHM_LOCK)."""


@dataclass(frozen=True, slots=True)
class MessageQueue(SysvObject):
    """A System V message queue."""

    kind: ClassVar[str] = "message queue"
    columns: ClassVar[dict[str, str]] = {
        "id": "msqid",
        "bytes": "cbytes",
        "max_bytes": "qbytes",
        "messages": "qnum",
        "last_sender": "lspid",
        "last_receiver": "lrpid",
    }

    messages: int
    bytes: int
    max_bytes: int | None
    """How many bytes it may hold; None where this process may not know, or it was removed meanwhile."""
    last_sender: int
    """The process that sent last; 0 for none."""
    last_receiver: int
    """The process that received last; 0 for none."""
    stime: int
    """When a message was sent last."""
    rtime: int
    """When a message was received last."""


@dataclass(frozen=True, slots=True)
class SemaphoreSet(SysvObject):
    """A System V semaphore set."""

    kind: ClassVar[str] = "semaphore set"
    columns: ClassVar[dict[str, str]] = {"id": "semid", "semaphores": "nsems"}

    semaphores: int
    otime: int
    """When an operation was done last."""


@dataclass(frozen=True, slots=True)
class SemaphoreState:
    """One semaphore of a set: its value, how many wait for more and for zero, and the process that changed it last."""

    value: int
    waiting: int
    waiting_for_zero: int
    last_pid: int


def segments() -> tuple[Segment, ...]:
    """List the System V shared memory segments, of all users."""
    return tuple(Segment._of(row) for row in _rows("shm"))  # noqa: SLF001 - of this file


def message_queues() -> tuple[MessageQueue, ...]:
    """List the System V message queues, of all users."""
    rows = _rows("msg")
    maxima = _maxima([row["msqid"] for row in rows])
    return tuple(MessageQueue._of(row | {"qbytes": maxima.get(row["msqid"])}) for row in rows)  # noqa: SLF001


def semaphore_sets() -> tuple[SemaphoreSet, ...]:
    """List the System V semaphore sets, of all users."""
    return tuple(SemaphoreSet._of(row) for row in _rows("sem"))  # noqa: SLF001


def semaphore_states(semid: int) -> tuple[SemaphoreState, ...] | None:
    """Read the semaphores of a set, one after the other; None where the set is gone, or may not be read."""
    try:
        count = libc.semctl(semid, 0, libc.IPC_STAT).sem_nsems
        return tuple(_semaphore(semid, number) for number in range(count))
    except OSError:
        return None


def _semaphore(semid: int, number: int) -> SemaphoreState:
    return SemaphoreState(
        libc.semctl(semid, number, libc.GETVAL),
        libc.semctl(semid, number, libc.GETNCNT),
        libc.semctl(semid, number, libc.GETZCNT),
        libc.semctl(semid, number, libc.GETPID),
    )


def _rows(name: str) -> list[dict[str, Any]]:
    try:
        head, *lines = Path(f"/proc/sysvipc/{name}").read_text().splitlines()
    except FileNotFoundError:
        return []  # a kernel without CONFIG_SYSVIPC has none
    names = head.split()
    return [_row(dict(zip(names, line.split(), strict=True))) for line in lines]


def _row(texts: dict[str, str]) -> dict[str, Any]:
    permissions = int(texts.pop("perms"), 8)
    bits = {"removed": bool(permissions & libc.SHM_DEST), "locked": bool(permissions & libc.SHM_LOCKED)}
    return {name: int(text) for name, text in texts.items()} | {"mode": permissions & 0o777} | bits


def _maxima(queues: list[int]) -> dict[int, int]:
    """Tell how many bytes queues may hold, which is not in /proc."""
    found, refused = dict[int, int](), False
    for number in queues:
        try:
            found[number] = libc.msgctl(number, libc.IPC_STAT).msg_qbytes
        except PermissionError:
            refused = True
        except OSError:  # removed meanwhile
            continue
    if refused:
        highest, _ = libc.msgctl(0, libc.MSG_INFO)
        for place in range(highest + 1):
            try:
                number, status = libc.msgctl(place, libc.MSG_STAT_ANY)
            except OSError:  # no queue has this place, or the kernel is older than Linux 4.17
                continue
            found[number] = status.msg_qbytes
    return found
