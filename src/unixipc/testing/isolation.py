"""IPC objects of one's own: nobody else's disturb a test, and nothing that it leaves behind outlives it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from unixipc import processes

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def private_ipc() -> Iterator[processes.IpcLimits]:
    """Have System V objects, POSIX queues, their limits and an empty /dev/shm of one's own in the block.

    PermissionError where that is not allowed, RuntimeError in a process with several threads.
    """
    with processes.ipc_namespace() as limits, processes.mount_namespace() as mounts:
        mounts.tmpfs("/dev/shm")  # noqa: S108 - our own
        yield limits
