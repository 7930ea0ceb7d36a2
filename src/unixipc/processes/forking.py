"""fork(2), and what happens in the child before and after its function."""

from __future__ import annotations

import os
import pickle
import select
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar

from unixipc import libc
from unixipc.processes.outcome import Failure, Kind, Report

if TYPE_CHECKING:
    from collections.abc import Callable

_Made = TypeVar("_Made")

_ENDING = 0.1
_FLUSH_FAILED = 120  # as the interpreter's own

report: Report | None = None
"""In a forked child, where its outcome goes."""


def start(
    make: Callable[[int, int, Report], _Made],
    function: Callable[..., object],
    args: tuple[object, ...],
    *,
    allow_threads: bool,
) -> _Made:
    """Fork; the child runs the function and ends, the parent gets what `make` makes of its pid, pidfd and report."""
    if not allow_threads and (others := other_threads()):
        raise RuntimeError(
            f"fork() of a process with other threads ({others}): the child would have their locks, but not them, and "
            "could wait for ever; end them before, or say allow_threads=True"
        )
    flush()
    mask = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())  # no handler may raise while the child has no owner
    try:
        parent = libc.pidfd_open(os.getpid())
        try:
            shared = Report()
            try:
                pid = os.fork()
                if pid == 0:
                    _run(parent, shared, mask, function, args)
                return make(pid, _own(pid), shared)
            except BaseException:
                shared.close()
                raise
        finally:
            os.close(parent)
    finally:
        libc.sigprocmask(libc.SIG_SETMASK, mask)


def _own(pid: int) -> int:
    try:
        return libc.pidfd_open(pid)
    except OSError:
        os.kill(pid, libc.SIGKILL)
        os.waitpid(pid, 0)
        raise


def _run(
    parent: int, shared: Report, mask: libc.SignalSet, function: Callable[..., object], args: tuple[object, ...]
) -> NoReturn:
    global report  # noqa: PLW0603 - a process has one
    status = 1
    try:
        libc.prctl(libc.PR_SET_PDEATHSIG, libc.SIGKILL)
        if not _ended(parent):  # before it could take us along
            os.close(parent)
            report = shared
            status = _call(mask, shared, function, args)
            status = status if flush() else status or _FLUSH_FAILED
    except BaseException:  # noqa: BLE001 - nobody else would tell
        traceback.print_exc()
    finally:
        os._exit(status)


def _ended(pidfd: int) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def _call(mask: libc.SignalSet, shared: Report, function: Callable[..., object], args: tuple[object, ...]) -> int:
    """Call the function and report what came of it; give the exit code."""
    me = os.getpid()
    try:
        libc.sigprocmask(libc.SIG_SETMASK, mask)
        kind, content, status = Kind.RETURNED, _pickled(function(*args)), 0
    except BaseException as error:  # noqa: BLE001 - the parent raises it
        ends = isinstance(error, (SystemExit, KeyboardInterrupt))
        kind, content = Kind.ENDED if ends else Kind.RAISED, pickle.dumps(Failure.of(error))
        status = _exit_code(error) if isinstance(error, SystemExit) else 1
        interrupted = isinstance(error, KeyboardInterrupt)
    else:
        interrupted = False
    libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())  # a handler that raises would spoil the report
    if os.getpid() == me:  # and not a child that the function forked and let return
        shared.write(kind, content)
    if interrupted:
        flush()
        libc.sigaction(libc.SIGINT, libc.Sigaction(libc.SIG_DFL))
        libc.kill(os.getpid(), libc.SIGINT)
        libc.sigprocmask(libc.SIG_UNBLOCK, {libc.SIGINT})
        return 128 + libc.SIGINT  # the first process of a container lives on
    return status


def _pickled(value: object) -> bytes:
    try:
        return pickle.dumps(value)
    except Exception as error:
        raise TypeError(
            f"a {type(value).__qualname__} cannot be handed to the parent: {Failure.of(error).text}"
        ) from error


def _exit_code(error: SystemExit) -> int:
    """Do as the interpreter does when SystemExit reaches its end."""
    if error.code is None:
        return 0
    if isinstance(error.code, int):
        return error.code & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def flush() -> bool:
    """Write out what is buffered; tell whether all of it went."""
    done = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):  # closed, or nobody reads it: its writer's business
            done = False
    return done


def other_threads() -> str:
    """Name the other threads of the process, with commas between; the empty string where there are none."""
    tasks = _tasks()
    return ", ".join(_names(tasks)) if len(tasks) > 1 else ""


def _tasks() -> list[str]:
    """List the threads; one that has been joined may take a moment to be gone from the kernel, too."""
    deadline = time.monotonic() + _ENDING
    while len(tasks := os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - quicker, and for each fork
        if threading.active_count() > 1 or time.monotonic() > deadline:
            break
        os.sched_yield()
    return tasks


def _names(tasks: list[str]) -> list[str]:
    named = {str(thread.native_id): thread.name for thread in threading.enumerate()}
    me = str(threading.get_native_id())
    names = []
    for task in tasks:
        if task != me:
            try:
                names.append(named.get(task) or f"{task} {Path(f'/proc/self/task/{task}/comm').read_text().strip()}")
            except OSError:  # it has just ended
                names.append(task)
    return names
