"""sysv_ipc 1.2.0, for programs that were written for it: change the import, and nothing else.

Names, arguments and semantics are those of its documentation, and docs/compat.md tells where its code had others.
`unixipc.sysv` has the same objects for new programs.
"""

from __future__ import annotations

import warnings

from unixipc import libc
from unixipc.compat.sysv_ipc.errors import (
    BusyError,
    Error,
    ExistentialError,
    InternalError,
    NotAttachedError,
    PermissionsError,
)
from unixipc.compat.sysv_ipc.memory import SharedMemory, attach, remove_shared_memory
from unixipc.compat.sysv_ipc.objects import IPC_CREAT, IPC_CREX, IPC_EXCL, KEY_MAX, KEY_MIN
from unixipc.compat.sysv_ipc.queues import MessageQueue, remove_message_queue
from unixipc.compat.sysv_ipc.semaphores import SEMAPHORE_VALUE_MAX, Semaphore, remove_semaphore
from unixipc.libc import IPC_PRIVATE, PAGE_SIZE
from unixipc.libc.arguments import int_argument

__all__ = [
    "IPC_CREAT",
    "IPC_CREX",
    "IPC_EXCL",
    "IPC_PRIVATE",
    "KEY_MAX",
    "KEY_MIN",
    "PAGE_SIZE",
    "SEMAPHORE_TIMEOUT_SUPPORTED",
    "SEMAPHORE_VALUE_MAX",
    "SHM_HUGETLB",
    "SHM_NORESERVE",
    "SHM_RDONLY",
    "SHM_REMAP",
    "SHM_RND",
    "VERSION",
    "BusyError",
    "Error",
    "ExistentialError",
    "InternalError",
    "MessageQueue",
    "NotAttachedError",
    "PermissionsError",
    "Semaphore",
    "SharedMemory",
    "attach",
    "ftok",
    "remove_message_queue",
    "remove_semaphore",
    "remove_shared_memory",
]

VERSION = "1.2.0"  # of the interface
__version__ = VERSION
__author__ = "The unixipc developers"
__copyright__ = "Copyright (c) 2026 The unixipc developers"
__license__ = "MIT"

SEMAPHORE_TIMEOUT_SUPPORTED = True
SHM_HUGETLB = int(libc.SHM_HUGETLB)
SHM_NORESERVE = int(libc.SHM_NORESERVE)
SHM_RDONLY = int(libc.SHM_RDONLY)
SHM_REMAP = int(libc.SHM_REMAP)
SHM_RND = int(libc.SHM_RND)


def ftok(path: str, id: int, silence_warning: bool = False) -> int:
    """Make a key of an existing file and the low 8 bits of `id`; warns, since two files can have the same key."""
    if not silence_warning:
        warnings.warn("Use of ftok() is not recommended; see sysv_ipc documentation", Warning, stacklevel=2)
    return libc.ftok(path, int_argument(id, "id"))
