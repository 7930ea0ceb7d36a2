"""What only its holders know: memfds and FIFOs, found by the processes that have them open or mapped."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from unixipc import libc
from unixipc.inventory.scan import MEMFD

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unixipc.inventory.scan import Mapping, Place, Process


@dataclass(frozen=True, slots=True)
class MemoryFile:
    """A file in memory without a name in any folder (memfd_create(2)); its `name` is only what it was called.

    What is None could not be looked at: seals where the file may not be opened, and all but the place of one that is
    mapped, but no longer open, without CAP_SYS_ADMIN or CAP_CHECKPOINT_RESTORE.
    """

    kind: ClassVar[str] = "memory file"

    name: str
    mode: int | None
    uid: int | None
    gid: int | None
    size: int | None
    mtime: int | None
    """When it was written by a call, in seconds since the epoch."""
    seals: libc.Seal | None
    device: int
    inode: int


@dataclass(frozen=True, slots=True)
class Fifo:
    """A FIFO that somebody has open (fifo(7)); its path is as the first of its holders sees it."""

    kind: ClassVar[str] = "FIFO"

    path: str
    mode: int
    uid: int
    gid: int
    mtime: int
    """When it was written last, in seconds since the epoch."""
    device: int
    inode: int


def memory_files(processes: Iterable[Process]) -> tuple[MemoryFile, ...]:
    """Find the memfds that processes have open or mapped."""
    found = dict[tuple[int, int], MemoryFile]()
    for process in processes:
        for place, file in process.files.items():
            if file.path.startswith(MEMFD) and (place not in found or found[place].seals is None):
                link = f"/proc/{process.pid}/fd/{file.descriptors[0].number}"
                found[place] = _memory_file(file.path, place, file.status, _seals(link, place))
    for process in processes:
        for mapping in process.mappings:
            place = mapping.device, mapping.inode
            if mapping.path.startswith(MEMFD) and (place not in found or found[place].size is None):
                link = _map_file(process.pid, mapping)
                found[place] = _memory_file(mapping.path, place, _status(link, place), _seals(link, place))
    return tuple(found.values())


def _memory_file(path: str, place: Place, status: os.stat_result | None, seals: libc.Seal | None) -> MemoryFile:
    name = path.removeprefix(MEMFD).removesuffix(" (deleted)")
    if status is None:
        return MemoryFile(name, None, None, None, None, None, seals, *place)
    owner = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
    return MemoryFile(name, *owner, status.st_size, int(status.st_mtime), seals, *place)


def _map_file(pid: int, mapping: Mapping) -> str:
    return f"/proc/{pid}/map_files/{mapping.start:x}-{mapping.end:x}"


def _status(link: str, place: Place) -> os.stat_result | None:
    with suppress(OSError):
        status = os.stat(link)  # noqa: PTH116
        if (status.st_dev, status.st_ino) == place:
            return status
    return None


def _seals(link: str, place: Place) -> libc.Seal | None:
    """Read the seals; what is behind the link by then is opened only if it is still the same file."""
    with suppress(OSError):
        same = os.open(link, os.O_PATH | os.O_CLOEXEC)
        try:
            itself = f"/proc/self/fd/{same}"
            if _status(itself, place) is not None:
                fd = os.open(itself, os.O_RDONLY | os.O_CLOEXEC)
                try:
                    return libc.Seal(fcntl.fcntl(fd, fcntl.F_GET_SEALS))
                finally:
                    os.close(fd)
        finally:
            os.close(same)
    return None


def fifos(processes: Iterable[Process]) -> tuple[Fifo, ...]:
    """Find the FIFOs that processes have open."""
    found = dict[tuple[int, int], Fifo]()
    for process in processes:
        for place, file in process.files.items():
            status = file.status
            if stat.S_ISFIFO(status.st_mode) and place not in found:
                owner = stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid
                found[place] = Fifo(file.path, *owner, int(status.st_mtime), *place)
    return tuple(found.values())
