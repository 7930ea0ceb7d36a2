"""Named POSIX objects: what lies in /dev/shm, and message queues (shm_overview(7), sem_overview(7), mq_overview(7))."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from unixipc import libc
from unixipc._check import failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHM = "/dev/shm"  # noqa: S108 - where the C library has POSIX shared memory and semaphores
_MQUEUE = "/dev/mqueue"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_MOUNTED = "it needs CAP_SYS_ADMIN, or /dev/mqueue to be mounted: mount -t mqueue none /dev/mqueue"


@dataclass(frozen=True, slots=True)
class PosixObject:
    """A named POSIX object: shared memory or a semaphore in /dev/shm, or a message queue."""

    kind: str
    name: str
    """As it is opened: with a slash before it."""
    mode: int
    uid: int
    gid: int
    size: int | None
    """Of memory its bytes; of a queue those of the messages in it, None where this may not be read."""
    mtime: int
    """When it was written by a call, or a message was sent or received, in seconds since the epoch."""
    device: int
    inode: int

    @property
    def path(self) -> str:
        """Its name as the file system has it: that of a semaphore begins with `/sem.`."""
        return f"/sem.{self.name[1:]}" if self.kind == "semaphore" else self.name


@dataclass(frozen=True, slots=True)
class Notification:
    """Whom a queue tells when a message comes to it (mq_notify(3)): `method` is SIGEV_SIGNAL, _THREAD or _NONE.

    `pid` is 0 for a process that the caller's pid namespace does not have; `signum` is that of SIGEV_SIGNAL.
    """

    pid: int
    method: int
    signum: int | None


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What a POSIX message queue holds and may hold: messages, and their bytes."""

    messages: int
    bytes: int
    max_messages: int
    max_size: int
    """The bytes of the longest message that it takes."""
    notifies: Notification | None


@dataclass(frozen=True, slots=True)
class PosixQueue(PosixObject):
    """A POSIX message queue; `status` is None where this process may not read it."""

    status: QueueStatus | None


_Fd = TypeVar("_Fd", int, int | None)
_Posix = TypeVar("_Posix", bound=PosixObject)


def posix_memory() -> tuple[PosixObject, ...]:
    """List what lies in /dev/shm: POSIX shared memory and semaphores, and whatever else was put there."""
    with _memory_folder() as folder:
        return () if folder is None else _described(folder, _memory)


def memory_names() -> frozenset[str]:
    """List the names in /dev/shm alone, each a `PosixObject.path`, which costs less."""
    with _memory_folder() as folder:
        return frozenset() if folder is None else frozenset(f"/{name}" for name in os.listdir(folder))  # noqa: PTH208


def posix_queues() -> tuple[PosixQueue, ...]:
    """List the POSIX message queues of all users, whether /dev/mqueue is mounted or not.

    PermissionError where that needs CAP_SYS_ADMIN.
    """
    with _queue_folder() as folder:
        return () if folder is None else _described(folder, _queue)


def queue_names() -> frozenset[str]:
    """List the names of the POSIX message queues alone, which costs less; errors as of `posix_queues`."""
    with _queue_folder() as folder:
        return frozenset() if folder is None else frozenset(f"/{name}" for name in os.listdir(folder))  # noqa: PTH208


def semaphore_value(name: str) -> int | None:
    """Read the value of a named semaphore; None where it is gone, is none, or may not be read and written."""
    try:
        semaphore = libc.sem_open(name)
    except (OSError, ValueError):
        return None
    try:
        return libc.sem_getvalue(semaphore)
    finally:
        libc.sem_close(semaphore)


@contextmanager
def _memory_folder() -> Iterator[int | None]:
    with _closing(os.open(_SHM, _FOLDER) if os.path.isdir(_SHM) else None) as folder:  # noqa: PTH112 - quicker
        yield folder


@contextmanager
def _queue_folder() -> Iterator[int | None]:
    """Open the folder in which the kernel shows the queues: at a mount of our own, which nobody else sees.

    What is mounted at /dev/mqueue could be that of another IPC namespace.
    """
    folder = None
    try:
        with _closing(libc.fsopen("mqueue", libc.FSOPEN_CLOEXEC)) as made:
            libc.fsconfig(made, libc.FSCONFIG_CMD_CREATE)
            with _closing(libc.fsmount(made, libc.FSMOUNT_CLOEXEC)) as mount:
                folder = os.open(".", _FOLDER, dir_fd=mount)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSYS, errno.ENODEV):
            raise
        if os.path.ismount(_MQUEUE):
            folder = os.open(_MQUEUE, _FOLDER)
        elif error.errno != errno.ENODEV:  # a kernel without CONFIG_POSIX_MQUEUE has none
            raise failure(error.errno, "posix_queues", advice=_NOT_MOUNTED) from error
    with _closing(folder) as opened:
        yield opened


@contextmanager
def _closing(fd: _Fd) -> Iterator[_Fd]:
    try:
        yield fd
    finally:
        if fd is not None:
            os.close(fd)


def _described(folder: int, describe: Callable[[int, str, os.stat_result], _Posix]) -> tuple[_Posix, ...]:
    found = []
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):  # removed meanwhile
            found.append(describe(folder, name, os.stat(name, dir_fd=folder, follow_symlinks=False)))
    return tuple(found)


def _memory(_folder: int, name: str, status: os.stat_result) -> PosixObject:
    is_semaphore = name.startswith("sem.") and stat.S_ISREG(status.st_mode)
    shown = name.removeprefix("sem.") if is_semaphore else name
    return PosixObject("semaphore" if is_semaphore else "shared memory", *_common(shown, status, status.st_size))


def _queue(folder: int, name: str, status: os.stat_result) -> PosixQueue:
    inside = None
    with suppress(PermissionError), _closing(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)) as fd:
        inside = _queue_status(fd, os.read(fd, status.st_size).decode())
    return PosixQueue("message queue", *_common(name, status, None if inside is None else inside.bytes), inside)


def _queue_status(fd: int, text: str) -> QueueStatus:
    told = {name: int(number) for name, number in re.findall(r"(\w+): *(\d+)", text)}
    limits = libc.mq_getattr(fd)
    notifies = None
    if told["NOTIFY_PID"] or told["NOTIFY"] or told["SIGNO"]:
        notifies = Notification(told["NOTIFY_PID"], told["NOTIFY"], told["SIGNO"] or None)
    return QueueStatus(limits.mq_curmsgs, told["QSIZE"], limits.mq_maxmsg, limits.mq_msgsize, notifies)


def _common(
    name: str, status: os.stat_result, size: int | None
) -> tuple[str, int, int, int, int | None, int, int, int]:
    owners = status.st_uid, status.st_gid
    return f"/{name}", stat.S_IMODE(status.st_mode), *owners, size, int(status.st_mtime), status.st_dev, status.st_ino
