"""Until something is so, which is looked at again and again, for `DEADLINE` seconds at most."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable

SYS_FUTEX = {"x86_64": "202", "aarch64": "98"}.get(platform.machine())


class HasPid(Protocol):
    @property
    def pid(self) -> int: ...


def until(condition: Callable[[], object], what: str = "it has not come to that") -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < deadline, f"{what} within {DEADLINE:g} seconds"
        os.sched_yield()


def state(pid: int) -> str:
    """Give the letter of proc_pid_stat(5) for what a process or thread does."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def sleeps(pid: int) -> bool:
    """Whether the kernel has put the process or thread to sleep, as it does in a blocking call."""
    return state(pid) == "S"


def until_blocked(child: HasPid | int) -> None:
    """Return once a child that has just opened its gate sleeps in the call that follows."""
    pid = child if isinstance(child, int) else child.pid
    until(lambda: sleeps(pid), f"process {pid} has not gone to sleep")


def until_thread_blocked(tid: int | None) -> None:
    """Return once a thread sleeps in a call, and not for the interpreter's lock, which is a futex."""
    assert tid is not None
    call = Path(f"/proc/{tid}/syscall")

    def is_blocked() -> bool:
        there = call.read_text()
        return there.split()[0] not in ("running", "-1", SYS_FUTEX) and sleeps(tid) and call.read_text() == there

    until(is_blocked, f"thread {tid} has not gone to sleep")


def until_waiting_at(thread: threading.Thread, address: str) -> None:
    """Return once a thread sleeps in a call that was given this address, of a futex for one."""
    call = Path(f"/proc/self/task/{thread.native_id}/syscall")
    until(lambda: address in call.read_text().split(), "the thread has not waited")


def until_gone(*threads: threading.Thread) -> None:
    """Return once the kernel has let go of threads, too: joining is not enough."""
    for thread in threads:
        thread.join(DEADLINE)
        until(lambda task=thread.native_id: not Path(f"/proc/self/task/{task}").exists())  # type: ignore[misc]
