"""Where the objects of a row are made, and from where all of them are removed."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

from unixipc import processes

if TYPE_CHECKING:
    from collections.abc import Iterator

BATCH = 64
"""Messages that are sent at once, where they are, and that a POSIX queue has room for, where that is allowed."""

_NUMBERS = count()  # of this process: a workshop may be within another
_DISK = "/var/tmp"  # noqa: S108 - /tmp is often in memory, and this never
_ENDINGS = "close", "remove", "unlink"  # the last first

_T = TypeVar("_T")


class Workshop(ExitStack):
    """What is kept here is closed and removed at the end of the block."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        """On a disk, and empty at first."""

    def name(self) -> str:
        """Give a name that no object has, and no file of the folder."""
        return f"/unixipc-bench-{os.getpid()}-{next(_NUMBERS)}"

    def path(self) -> Path:
        """Give a path in the folder that nothing has."""
        return self.folder / self.name()[1:]

    def keep(self, made: _T) -> _T:
        """Remove an object at the end, and close it, as far as it has methods for that."""
        owner: Any = made
        for ending in _ENDINGS:
            if hasattr(owner, ending):
                self.callback(getattr(owner, ending))
        return made

    def keep_descriptor(self, fd: int) -> int:
        """Close a descriptor at the end."""
        self.callback(os.close, fd)
        return fd


@contextmanager
def workshop() -> Iterator[Workshop]:
    """Have a folder, and for those who may an IPC namespace whose queues have room for a batch."""
    with ExitStack() as stack:
        with suppress(PermissionError):
            limits = stack.enter_context(processes.ipc_namespace())
            limits.msg_max = BATCH
        folder = stack.enter_context(TemporaryDirectory(prefix=f"unixipc-bench-{os.getpid()}-", dir=_DISK))
        yield stack.enter_context(Workshop(Path(folder)))
