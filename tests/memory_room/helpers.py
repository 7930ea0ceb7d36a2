"""What the tests of several files use: bytes of memory, what the kernel says of them, and another user."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unixipc import libc, processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork

PAGE = libc.PAGE_SIZE
READ, WRITE = libc.PROT_READ, libc.PROT_WRITE


def put(memory: libc.Mapping, data: bytes, place: int = 0) -> None:
    with memoryview(memory) as view:
        view[place : place + len(data)] = data


def get(memory: libc.Mapping, length: int, place: int = 0) -> bytes:
    with memoryview(memory) as view:
        return bytes(view[place : place + length])


def locked_memory() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmLck:"):
            return int(line.split()[1]) * 1024
    return 0


def on_small_disk(fork: Fork, folder: Path, function: Callable[[], None]) -> None:
    """Call a function in a child for which the folder is a file system with room for 16 pages."""

    def child() -> bool:
        with ExitStack() as stack:
            try:
                mounts = stack.enter_context(processes.mount_namespace())
            except PermissionError:
                return False
            mounts.tmpfs(folder, size=16 * PAGE)
            function()
        return True

    if not fork(child).result():
        pytest.skip("no private mount namespace can be made here (CAP_SYS_ADMIN)")
