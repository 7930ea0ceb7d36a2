"""What the kernel keeps of signals for a process and each of its threads: proc_pid_status(5)."""

import errno
import os
import re
from dataclasses import dataclass
from operator import index
from pathlib import Path

from unixipc._check import failure
from unixipc.libc.sigsetops import SignalSet

_GONE = {errno.ENOENT, errno.ESRCH}
_HIDDEN = "/proc is mounted with hidepid, and the process runs as another user: see proc(5)"
_READING = {
    errno.ESRCH: "there is no such process, or /proc hides it (hidepid, see proc(5))",
    errno.EACCES: _HIDDEN,
    errno.EPERM: _HIDDEN,
    errno.ENOENT: "/proc is not mounted",
}
_NO_LIMIT = 2**64 - 1  # RLIM_INFINITY as the kernel prints it


@dataclass(frozen=True, slots=True)
class ThreadState:
    """A thread's own part: what it blocks, and what waits for it alone. `tid` is as in `threading.get_native_id`."""

    tid: int
    name: str
    pending: SignalSet
    blocked: SignalSet


@dataclass(frozen=True, slots=True)
class SignalState:
    """What the process does with signals, what waits for it as a whole, and its threads, the main one first.

    `queued` counts what waits for all processes of its real user together, which is what `queue_limit` (its
    RLIMIT_SIGPENDING; None: there is none) is held against.
    """

    pid: int
    name: str
    ignored: SignalSet
    caught: SignalSet
    pending: SignalSet
    queued: int
    queue_limit: int | None
    threads: tuple[ThreadState, ...]


def state(pid: int | None = None) -> SignalState:
    """Look up the signals of a process, or of the calling one; anybody may (proc_pid_status(5)).

    The parts are read one after the other: while the process runs, they need not be of the same moment. A thread that
    ends meanwhile is left out; a process that ends, or never was, is a ProcessLookupError. One that ended but was not
    waited for (a zombie) still has a state.
    """
    process = "self" if pid is None else str(_check_pid(pid))
    try:
        fields, threads = _read(process)
    except OSError as error:
        code = errno.ESRCH if error.errno in _GONE and Path("/proc/self").exists() else error.errno or 0
        raise failure(code, "state", process, advice=_READING.get(code)) from error
    if process not in {"self", fields["Tgid"]}:
        raise failure(errno.ESRCH, "state", process, advice=f"it is a thread of process {fields['Tgid']}")
    queued, limit = map(int, fields["SigQ"].split("/"))
    return SignalState(
        pid=int(fields["Tgid"]),
        name=_name(fields),
        ignored=_set(fields["SigIgn"]),
        caught=_set(fields["SigCgt"]),
        pending=_set(fields["ShdPnd"]),
        queued=queued,
        queue_limit=None if limit == _NO_LIMIT else limit,
        threads=threads,
    )


def _check_pid(pid: int) -> int:
    number = index(pid)
    if number >= 2**31:
        raise OverflowError(f"the process {number} does not fit a C int")
    if number < 1:
        raise ValueError(f"state({number}): processes are numbered from 1; without an argument it is the calling one")
    return number


def _read(process: str) -> tuple[dict[str, str], tuple[ThreadState, ...]]:
    """Read all that belongs to one process: its open folder means no other, though the number be used anew."""
    folder = os.open(f"/proc/{process}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        threads = [_thread(folder, tid) for tid in _listed(folder, "task")]
        # Read last: a process that is still there has lost only those threads that ended.
        return _fields(folder, "status"), tuple(thread for thread in threads if thread is not None)
    finally:
        os.close(folder)


def _listed(folder: int, name: str) -> list[str]:
    inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    try:
        return os.listdir(inner)  # noqa: PTH208 - a descriptor
    finally:
        os.close(inner)


def _thread(folder: int, tid: str) -> ThreadState | None:
    try:
        fields = _fields(folder, f"task/{tid}/status")
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise
    return ThreadState(int(tid), _name(fields), _set(fields["SigPnd"]), _set(fields["SigBlk"]))


def _fields(folder: int, name: str) -> dict[str, str]:
    with open(name, "rb", opener=lambda path, flags: os.open(path, flags, dir_fd=folder)) as file:
        lines = [os.fsdecode(line).partition(":\t") for line in file.read().split(b"\n")]
    return {field: value for field, _, value in lines}


def _name(fields: dict[str, str]) -> str:
    """Undo what the kernel does to newlines and backslashes."""
    return re.sub(r"\\(.)", lambda escaped: "\n" if escaped[1] == "n" else escaped[1], fields["Name"])


def _set(mask: str) -> SignalSet:
    return SignalSet.from_mask(int(mask, 16))
