"""One look at every process: what it has open and mapped, and what it waits for (proc(5))."""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

Place: TypeAlias = tuple[int, int]
"""The device and the inode, by which a file is known whatever its name."""

MEMFD = "/memfd:"
_SEGMENT = re.compile(r"/SYSV[0-9a-f]{8}( \(deleted\))?")
_SOCKET = re.compile(r"socket:\[(\d+)\]")
_ENDED = (FileNotFoundError, ProcessLookupError)
_WAITS = {
    libc.SYS_msgsnd: "message queue",
    libc.SYS_msgrcv: "message queue",
    libc.SYS_semop: "semaphore set",
    libc.SYS_semtimedop: "semaphore set",
}
_NUMBERED = max(_WAITS) < 2**31
"""Whether these calls have numbers of their own on this machine."""


@dataclass(frozen=True, slots=True)
class Descriptor:
    """An open descriptor; `access` is `r`, `w`, `rw`, or nothing for what was opened by O_PATH."""

    number: int
    access: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """A part of a file in the memory of a process: from `start` to before `end`, a line of /proc/PID/maps."""

    start: int
    end: int
    permissions: str
    """As the kernel shows them: `rwxs`, with `-` for what is not allowed, and `p` where writes stay private."""
    offset: int
    device: int
    inode: int
    path: str

    @property
    def shared(self) -> bool:
        """Whether what is written there is seen by others."""
        return self.permissions[3] == "s"

    @property
    def attached(self) -> bool:
        """Whether it is a System V segment; its id is the inode then."""
        return _SEGMENT.fullmatch(self.path) is not None


@dataclass(slots=True)
class OpenFile:
    """A file as a process has it open."""

    path: str
    status: os.stat_result
    descriptors: list[Descriptor] = field(default_factory=list)


@dataclass(slots=True)
class Process:
    """What was seen of one process."""

    pid: int
    name: str
    namespace: str = ""
    """The IPC namespace that its System V ids belong to."""
    files: dict[Place, OpenFile] = field(default_factory=dict)
    sockets: dict[int, list[Descriptor]] = field(default_factory=dict)
    mappings: list[Mapping] = field(default_factory=list)
    waits: list[tuple[str, int, int]] = field(default_factory=list)
    """The kind and the id of what a thread waits for, and the thread."""
    seen: bool = True
    """Whether its descriptors and memory could be looked at."""
    waits_seen: bool = True


def pids() -> list[int]:
    """List all processes that /proc shows."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())  # noqa: PTH208 - quicker


def own_namespace() -> str:
    """Name the IPC namespace of the calling thread."""
    return os.readlink("/proc/thread-self/ns/ipc")  # noqa: PTH115


def look_at(processes: Iterable[int], *, files: Container[Place] | None, waits: bool = False) -> Iterator[Process]:
    """Look at processes: of their files at those wanted, memfds, FIFOs and sockets, or with None at no descriptor.

    What has ended holds nothing and is left out, as is what ends meanwhile.
    """
    waits_shown = _NUMBERED and os.path.exists("/proc/self/syscall")  # noqa: PTH110
    for pid in processes:
        with suppress(*_ENDED):
            process, folder = _identify(pid)
            if folder is None:
                continue
            try:
                process.namespace = own_namespace() if pid == os.getpid() else os.readlink(f"{folder}/ns/ipc")  # noqa: PTH115
                if files is not None:
                    _see_descriptors(process, folder, files)
                process.mappings = _mappings(folder)
            except PermissionError:
                if not lives(pid):
                    continue
                process.seen = False
            if waits:
                try:
                    process.waits_seen = waits_shown
                    process.waits = _waits(pid)
                except PermissionError:
                    process.waits_seen = False
            yield process


def _identify(pid: int) -> tuple[Process, str | None]:
    """Tell the command, and where in /proc its memory and descriptors are shown; None where it has none."""
    try:
        text = os.fsdecode(Path(f"/proc/{pid}/stat").read_bytes())
    except PermissionError:  # /proc is mounted with hidepid
        return Process(pid, "", seen=False), f"/proc/{pid}"
    name, _, rest = text.partition("(")[2].rpartition(")")
    fields = rest.split()
    threads, memory = int(fields[17]), int(fields[20])
    if memory:
        return Process(pid, name), f"/proc/{pid}"
    if threads == 1:  # a zombie, or a thread of the kernel
        return Process(pid, name), None
    others = (tid for tid in os.listdir(f"/proc/{pid}/task") if tid != str(pid))  # noqa: PTH208
    return Process(pid, name), next((f"/proc/{pid}/task/{tid}" for tid in others), None)  # its first thread has ended


def _see_descriptors(process: Process, folder: str, wanted: Container[Place]) -> None:
    for number in os.listdir(f"{folder}/fd"):  # noqa: PTH208
        path = f"{folder}/fd/{number}"
        with suppress(OSError):  # closed meanwhile, or on a file system that shows it to its owner only
            target, descriptor = os.readlink(path), Descriptor(int(number), _access(path))  # noqa: PTH115
            if found := _SOCKET.fullmatch(target):
                process.sockets.setdefault(int(found[1]), []).append(descriptor)
            elif target.startswith("/"):
                status = os.stat(path)  # noqa: PTH116
                place = status.st_dev, status.st_ino
                if place in wanted or target.startswith(MEMFD) or stat.S_ISFIFO(status.st_mode):
                    process.files.setdefault(place, OpenFile(target, status)).descriptors.append(descriptor)


def _access(path: str) -> str:
    mode = os.lstat(path).st_mode
    return ("r" if mode & stat.S_IRUSR else "") + ("w" if mode & stat.S_IWUSR else "")


def _mappings(folder: str) -> list[Mapping]:
    found = []
    for line in Path(folder, "maps").read_bytes().split(b"\n"):
        parts = line.split(None, 5)
        if len(parts) == 6 and parts[5].startswith(b"/"):  # of a file: the inode of a segment may be 0
            extent, permissions, offset, device, inode, path = map(os.fsdecode, parts)
            start, end = (int(address, 16) for address in extent.split("-"))
            major, minor = (int(number, 16) for number in device.split(":"))
            place = os.makedev(major, minor), int(inode)
            found.append(Mapping(start, end, permissions, int(offset, 16), *place, path.replace("\\012", "\n")))
    return found


def _waits(pid: int) -> list[tuple[str, int, int]]:
    found = []
    for tid in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
        with suppress(*_ENDED):
            call = Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split()
            if len(call) > 2 and (kind := _WAITS.get(int(call[0]))):
                found.append((kind, int(call[1], 16) & 0x7FFFFFFF, int(tid)))
    return found


def lives(pid: int) -> bool:
    """Whether a process has not ended; one that nobody has waited for yet has."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    try:
        return _identify(pid)[1] is not None
    except _ENDED:
        return not Path("/proc/1").exists()  # /proc hides it
