"""What the kernel tells of the threads of a process that does not get on (proc(5))."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from unixipc import signals
from unixipc.libc import SignalSet

_STATES = {
    "R": "running",
    "S": "asleep",
    "D": "asleep, and not to be woken",
    "T": "stopped by a signal",
    "t": "stopped by a debugger",
    "Z": "ended",
    "I": "idle",
}


@dataclass(frozen=True, slots=True)
class ThreadEvidence:
    """What one thread was doing. What the kernel does not tell is empty, or None."""

    tid: int
    name: str
    state: str
    """As proc(5) has it: R, S, D, T, ..."""
    wchan: str
    """Where in the kernel it sleeps."""
    system_call: int | None
    """The number of the system call that it is in."""
    blocked: SignalSet

    def __str__(self) -> str:
        text = f"thread {self.tid} ({self.name}) was {_STATES.get(self.state, self.state)}"
        if self.system_call is not None:
            text += f", in the system call {self.system_call}"
        if self.wchan:
            text += f", in {self.wchan}"
        return text


def look_at(pid: int) -> tuple[tuple[ThreadEvidence, ...], SignalSet]:
    """Look what the threads of a process do, and which signals it ignores; nothing where it has ended."""
    try:
        state = signals.state(pid)
    except OSError:
        return (), SignalSet()
    return tuple(
        ThreadEvidence(
            thread.tid,
            thread.name,
            _read(pid, thread.tid, "stat").rpartition(")")[2][1:2],
            _read(pid, thread.tid, "wchan").strip("0"),
            _system_call(_read(pid, thread.tid, "syscall")),
            thread.blocked,
        )
        for thread in state.threads
    ), state.ignored


def _read(pid: int, tid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/task/{tid}/{name}").read_text(errors="replace").strip()
    except OSError:
        return ""


def _system_call(text: str) -> int | None:
    number = text.partition(" ")[0]
    return int(number) if number.isdecimal() else None
