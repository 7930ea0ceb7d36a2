"""The kernel's limits of IPC, and how much of each is used."""

from __future__ import annotations

import os
import re
import resource
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.inventory.posix import QueueStatus, posix_queues
from unixipc.inventory.sysv import message_queues, segments, semaphore_sets

if TYPE_CHECKING:
    from collections.abc import Iterator


_SHM = "/dev/shm"  # noqa: S108 - where the C library has POSIX shared memory and semaphores


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit under its name in sysctl(8) or getrlimit(2); of what bounds each object, `used` is the largest there is.

    `used` is None where the kernel does not tell, or not this process; `maximum` is None where there is no limit.
    """

    name: str
    used: int | None
    maximum: int | None
    unit: str
    what: str


def limits() -> tuple[Limit, ...]:
    """List the limits of the present IPC namespace, this process and its user, as far as the kernel has them."""
    found = list[Limit]()
    for family in (
        _of_segments,
        _of_message_queues,
        _of_semaphores,
        _of_posix_queues,
        _of_memory,
        _of_files,
        _of_process,
    ):
        with suppress(OSError):  # a kernel without this family
            found.extend(family())
    return tuple(found)


def _of_segments() -> Iterator[Limit]:
    bounds, now = libc.shmctl(0, libc.IPC_INFO)[1], libc.shmctl(0, libc.SHM_INFO)[1]
    largest = max((segment.size for segment in segments()), default=0)
    yield Limit("kernel.shmmni", now.used_ids, bounds.shmmni, "segments", "System V segments")
    yield Limit("kernel.shmall", now.shm_tot, _bounded(bounds.shmall), "pages", "all System V segments together")
    yield Limit("kernel.shmmax", largest, _bounded(bounds.shmmax), "bytes", "each System V segment")


def _of_message_queues() -> Iterator[Limit]:
    bounds, now = libc.msgctl(0, libc.IPC_INFO)[1], libc.msgctl(0, libc.MSG_INFO)[1]
    fullest = max((queue.bytes for queue in message_queues()), default=0)
    yield Limit("kernel.msgmni", now.msgpool, bounds.msgmni, "queues", "System V message queues")
    yield Limit("kernel.msgmnb", fullest, bounds.msgmnb, "bytes", "the messages of each new System V queue")
    yield Limit("kernel.msgmax", None, bounds.msgmax, "bytes", "each System V message")


def _of_semaphores() -> Iterator[Limit]:
    bounds, now = libc.semctl(0, 0, libc.IPC_INFO)[1], libc.semctl(0, 0, libc.SEM_INFO)[1]
    largest = max((found.semaphores for found in semaphore_sets()), default=0)
    yield Limit("kernel.sem (SEMMSL)", largest, bounds.semmsl, "semaphores", "each System V semaphore set")
    yield Limit("kernel.sem (SEMMNS)", now.semaem, bounds.semmns, "semaphores", "all System V semaphore sets together")
    yield Limit("kernel.sem (SEMOPM)", None, bounds.semopm, "operations", "each call of semop(2)")
    yield Limit("kernel.sem (SEMMNI)", now.semusz, bounds.semmni, "sets", "System V semaphore sets")


def _of_posix_queues() -> Iterator[Limit]:
    maxima = {name: _number(f"fs/mqueue/{name}") for name in ("queues_max", "msg_max", "msgsize_max")}
    count, known, reserved = None, list[QueueStatus](), None
    with suppress(PermissionError):
        queues = posix_queues()
        count, known = len(queues), [queue.status for queue in queues if queue.status is not None]
        own = [queue.status for queue in queues if queue.uid == os.getuid()]
        if None not in own:
            reserved = sum(status.max_messages * status.max_size for status in own if status is not None)
    longest = None if count is None else max((status.max_messages for status in known), default=0)
    widest = None if count is None else max((status.max_size for status in known), default=0)
    yield Limit("fs.mqueue.queues_max", count, maxima["queues_max"], "queues", "POSIX message queues")
    yield Limit("fs.mqueue.msg_max", longest, maxima["msg_max"], "messages", "each POSIX message queue")
    yield Limit("fs.mqueue.msgsize_max", widest, maxima["msgsize_max"], "bytes", "each message of POSIX queues")
    queued = _resource(resource.RLIMIT_MSGQUEUE)
    yield Limit("RLIMIT_MSGQUEUE", reserved, queued, "bytes", "the POSIX queues of this user, if they were full")


def _of_memory() -> Iterator[Limit]:
    shm = os.statvfs(_SHM)
    room = shm.f_blocks * shm.f_frsize
    yield Limit(_SHM, room - shm.f_bfree * shm.f_frsize, room or None, "bytes", "POSIX shared memory and semaphores")


def _of_files() -> Iterator[Limit]:
    allocated, free, most = map(int, Path("/proc/sys/fs/file-nr").read_text().split())
    yield Limit("fs.file-max", allocated - free, _bounded(most), "files", "what all processes have open")
    yield Limit("fs.pipe-max-size", None, _number("fs/pipe-max-size"), "bytes", "a pipe made larger without privilege")
    for name in ("pipe-user-pages-soft", "pipe-user-pages-hard"):
        yield Limit(f"fs.{name}", None, _number(f"fs/{name}") or None, "pages", "the pipes of each user")
    yield Limit(
        "net.unix.max_dgram_qlen", None, _number("net/unix/max_dgram_qlen"), "datagrams", "each Unix socket's wait"
    )


def _of_process() -> Iterator[Limit]:
    status = Path("/proc/self/status").read_text(errors="replace")
    signals, locked = (
        re.search(r"^SigQ:\t(\d+)", status, re.MULTILINE),
        re.search(r"^VmLck:\s+(\d+)", status, re.MULTILINE),
    )
    files = len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - less the one that lists them
    queued = _resource(resource.RLIMIT_SIGPENDING)
    yield Limit("RLIMIT_SIGPENDING", _found(signals), queued, "signals", "the queued signals and timers of this user")
    kept = None if locked is None else int(locked[1]) * 1024
    yield Limit("RLIMIT_MEMLOCK", kept, _resource(resource.RLIMIT_MEMLOCK), "bytes", "what this process has locked")
    yield Limit("RLIMIT_NOFILE", files, _resource(resource.RLIMIT_NOFILE), "descriptors", "this process")


def _bounded(number: int) -> int | None:
    """Take what nothing can reach for no limit: the kernel's defaults are ULONG_MAX - (1 << 24), and often LONG_MAX."""
    return None if number >= sys.maxsize else number


def _number(path: str) -> int:
    return int(Path("/proc/sys", path).read_text())


def _resource(name: int) -> int | None:
    soft, _ = resource.getrlimit(name)
    return None if soft == resource.RLIM_INFINITY else soft


def _found(match: re.Match[str] | None) -> int | None:
    return None if match is None else int(match[1])
