"""The IPC objects that exist: System V objects, POSIX message queues, and what lies in /dev/shm; whoever made them.

What exists is what the present IPC and mount namespaces have.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import contextmanager, suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Self, TypeVar

from unixipc import libc
from unixipc._check import failure

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SHM = "/dev/shm"  # noqa: S108 - where the C library has POSIX shared memory and semaphores
_MQUEUE = "/dev/mqueue"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NOT_MOUNTED = "it needs CAP_SYS_ADMIN, or /dev/mqueue to be mounted: mount -t mqueue none /dev/mqueue"
_ANONYMOUS = "00:01"  # the device that the kernel names for System V segments


@dataclass(frozen=True, slots=True)
class SysvObject:
    """What all System V objects have: an id, a key, and owners; `uid` is the owner, `cuid` who made it (svipc(7))."""

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
    """When it was made or changed, in seconds since the epoch."""

    @classmethod
    def _of(cls, row: dict[str, str]) -> Self:
        """Make it of a line of /proc/sysvipc, by the names of its columns."""
        columns = {"mode": "perms"} | cls.columns
        texts = {field.name: row[columns.get(field.name, field.name)] for field in fields(cls)}
        return cls(**{name: int(text, 8 if name == "mode" else 10) for name, text in texts.items()})


@dataclass(frozen=True, slots=True)
class Segment(SysvObject):
    """A System V shared memory segment."""

    kind: ClassVar[str] = "shared memory segment"
    columns: ClassVar[dict[str, str]] = {"id": "shmid", "creator": "cpid", "last_user": "lpid", "attached": "nattch"}

    size: int
    attached: int
    creator: int
    """The process that made it."""
    last_user: int
    """The process that attached or detached it last; 0 for none."""


@dataclass(frozen=True, slots=True)
class MessageQueue(SysvObject):
    """A System V message queue."""

    kind: ClassVar[str] = "message queue"
    columns: ClassVar[dict[str, str]] = {
        "id": "msqid",
        "bytes": "cbytes",
        "messages": "qnum",
        "last_sender": "lspid",
        "last_receiver": "lrpid",
    }

    messages: int
    bytes: int
    last_sender: int
    """The process that sent last; 0 for none."""
    last_receiver: int
    """The process that received last; 0 for none."""


@dataclass(frozen=True, slots=True)
class SemaphoreSet(SysvObject):
    """A System V semaphore set."""

    kind: ClassVar[str] = "semaphore set"
    columns: ClassVar[dict[str, str]] = {"id": "semid", "semaphores": "nsems"}

    semaphores: int


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
    device: int
    inode: int

    @property
    def path(self) -> str:
        """Its name as the file system has it: that of a semaphore begins with `/sem.`."""
        return f"/sem.{self.name[1:]}" if self.kind == "semaphore" else self.name


_Object = TypeVar("_Object", bound=SysvObject)
_Fd = TypeVar("_Fd", int, int | None)


def _listed(name: str, kind: type[_Object]) -> tuple[_Object, ...]:
    try:
        head, *lines = Path(f"/proc/sysvipc/{name}").read_text().splitlines()
    except FileNotFoundError:
        return ()  # a kernel without CONFIG_SYSVIPC has none
    names = head.split()
    return tuple(kind._of(dict(zip(names, line.split(), strict=True))) for line in lines)  # noqa: SLF001 - of this file


def segments() -> tuple[Segment, ...]:
    """List the System V shared memory segments, of all users."""
    return _listed("shm", Segment)


def message_queues() -> tuple[MessageQueue, ...]:
    """List the System V message queues, of all users."""
    return _listed("msg", MessageQueue)


def semaphore_sets() -> tuple[SemaphoreSet, ...]:
    """List the System V semaphore sets, of all users."""
    return _listed("sem", SemaphoreSet)


def posix_memory() -> tuple[PosixObject, ...]:
    """List what lies in /dev/shm: POSIX shared memory and semaphores, and whatever else was put there."""
    with _memory_folder() as folder:
        return () if folder is None else _described(folder, _memory)


def memory_names() -> frozenset[str]:
    """List the names in /dev/shm alone, each a `PosixObject.path`, which costs less."""
    with _memory_folder() as folder:
        return frozenset() if folder is None else frozenset(f"/{name}" for name in os.listdir(folder))  # noqa: PTH208


def posix_queues() -> tuple[PosixObject, ...]:
    """List the POSIX message queues of all users, whether /dev/mqueue is mounted or not.

    PermissionError where that needs CAP_SYS_ADMIN.
    """
    with _queue_folder() as folder:
        return () if folder is None else _described(folder, _queue)


def queue_names() -> frozenset[str]:
    """List the names of the POSIX message queues alone, which costs less; errors as of `posix_queues`."""
    with _queue_folder() as folder:
        return frozenset() if folder is None else frozenset(f"/{name}" for name in os.listdir(folder))  # noqa: PTH208


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


def _described(folder: int, describe: Callable[[int, str, os.stat_result], PosixObject]) -> tuple[PosixObject, ...]:
    found = []
    for name in os.listdir(folder):
        with suppress(FileNotFoundError):  # removed meanwhile
            found.append(describe(folder, name, os.stat(name, dir_fd=folder, follow_symlinks=False)))
    return tuple(found)


def _memory(_folder: int, name: str, status: os.stat_result) -> PosixObject:
    is_semaphore = name.startswith("sem.") and stat.S_ISREG(status.st_mode)
    shown = name.removeprefix("sem.") if is_semaphore else name
    return _named("semaphore" if is_semaphore else "shared memory", shown, status, status.st_size)


def _queue(folder: int, name: str, status: os.stat_result) -> PosixObject:
    size = None
    with suppress(PermissionError), _closing(os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)) as fd:
        told = dict(part.split(":") for part in os.read(fd, status.st_size).decode().split() if ":" in part)
        size = int(told["QSIZE"])
    return _named("message queue", name, status, size)


def _named(kind: str, name: str, status: os.stat_result, size: int | None) -> PosixObject:
    mode = stat.S_IMODE(status.st_mode)
    return PosixObject(kind, f"/{name}", mode, status.st_uid, status.st_gid, size, status.st_dev, status.st_ino)


def holders(thing: PosixObject | Segment) -> tuple[int, ...]:
    """List the processes that have an object open or mapped, as far as this process may look.

    A process that has moved to another IPC namespace with a segment attached is not found.
    """
    return tuple(pid for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if _holds(pid, thing))  # noqa: PTH208


def _holds(pid: int, thing: PosixObject | Segment) -> bool:
    folder = f"/proc/{pid}"
    if isinstance(thing, Segment):
        if not _shares_ipc(folder):  # another namespace's segment can have the same number
            return False
        device, inode = _ANONYMOUS, thing.id
    else:
        device, inode = f"{os.major(thing.device):02x}:{os.minor(thing.device):02x}", thing.inode
        with suppress(OSError):
            for fd in os.listdir(f"{folder}/fd"):  # noqa: PTH208
                with suppress(OSError):
                    status = os.stat(f"{folder}/fd/{fd}")  # noqa: PTH116
                    if (status.st_dev, status.st_ino) == (thing.device, thing.inode):
                        return True
    with suppress(OSError), Path(folder, "maps").open(errors="replace") as maps:
        return any(line.split(None, 5)[3:5] == [device, str(inode)] for line in maps)
    return False


def _shares_ipc(folder: str) -> bool:
    try:
        return os.readlink(f"{folder}/ns/ipc") == os.readlink("/proc/self/ns/ipc")  # noqa: PTH115 - for each process
    except OSError:
        return False
