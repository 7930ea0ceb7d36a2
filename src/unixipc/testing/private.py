"""System V objects, POSIX queues and /dev/shm of one's own, for a test or for a whole run."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from unixipc import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHM = "/dev/shm"  # noqa: S108 - where the C library has POSIX shared memory and semaphores
_MQUEUE = "/dev/mqueue"


@dataclass(frozen=True, slots=True)
class PrivateIpc:
    """What a block has of its own."""

    limits: processes.IpcLimits | None
    """Those of its System V objects and POSIX queues; None where it has none of its own."""
    lacking: tuple[str, ...]
    """What it shares with everybody all the same, and why."""


@contextmanager
def private_ipc(*, shm_size: int | None = None, required: bool = True) -> Iterator[PrivateIpc]:
    """Have System V objects, POSIX queues and a /dev/shm of one's own in the block: empty, and gone afterwards.

    It is the calling thread that has them, with the children that it forks in the block. `shm_size` is how many bytes
    /dev/shm has room for. It takes CAP_SYS_ADMIN (PermissionError), and a process with one thread (RuntimeError); if it
    is not `required`, the block runs without what cannot be had. For a whole run, enter it and never leave. A process
    without rights can call `processes.enter_user_namespace` before, for good.
    """
    with ExitStack() as stack:
        limits, lacking = None, []
        try:
            limits = stack.enter_context(processes.ipc_namespace())
        except OSError as error:
            if required:
                raise
            lacking.append(f"System V objects and POSIX queues: {error.strerror}")
        try:
            _mount(stack, shm_size, queues=limits is not None)
        except (OSError, RuntimeError) as error:
            if required:
                raise
            lacking.append(f"{_SHM}: {error.strerror if isinstance(error, OSError) else error}")
        yield PrivateIpc(limits, tuple(lacking))


def _mount(stack: ExitStack, shm_size: int | None, *, queues: bool) -> None:
    with ExitStack() as unless_all_went_well:
        mounts = unless_all_went_well.enter_context(processes.mount_namespace())
        if os.path.isdir(_SHM):  # noqa: PTH112
            mounts.tmpfs(_SHM, shm_size)
        if queues and os.path.ismount(_MQUEUE):  # what is there shows the queues of everybody
            mounts.mqueue(_MQUEUE)
        stack.push(unless_all_went_well.pop_all())
