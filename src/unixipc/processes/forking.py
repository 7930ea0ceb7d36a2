"""fork(2), and what happens in the child before and after its function."""

from __future__ import annotations

import errno
import os
import select
import sys
import threading
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, Protocol, TypeVar

from unixipc import libc
from unixipc._check import failure, moments
from unixipc.processes.outcome import Kind, Outcome, Report
from unixipc.processes.undisturbed import EVERY, undisturbed

if TYPE_CHECKING:
    from collections.abc import Callable


class _Closable(Protocol):
    def close(self) -> None: ...


_Made = TypeVar("_Made", bound=_Closable)

_TASKS = "/proc/self/task"
_ALONE = 3  # links: "..", ".", and a directory for each thread
_FLUSH_FAILED = 120  # as the interpreter's own
_ADVICE = {
    errno.EAGAIN: "no more processes: see RLIMIT_NPROC in getrlimit(2), and pids.max of the cgroup",
    errno.ENOMEM: "no memory, or the first process of this PID namespace has ended",
}


@dataclass(frozen=True, slots=True)
class Origin:
    """What a forked child knows of where it comes from."""

    pid: int
    """Its own: in a child that it forks with os.fork, this is another's origin."""
    parent: int
    report: Report


_origin: Origin | None = None


def origin() -> Origin | None:
    """Tell where this process comes from; None where `start` did not fork it."""
    return _origin if _origin is not None and _origin.pid == os.getpid() else None


def start(
    make: Callable[[int, int, Report], _Made],
    function: Callable[..., object],
    args: tuple[object, ...],
    *,
    allow_threads: bool,
) -> _Made:
    """Fork; the child runs the function and ends, the parent gets what `make` makes of its pid, pidfd and report.

    The pidfd is -1 where the child has ended already and nobody can wait for it.
    """
    if not allow_threads and (others := other_threads()):
        raise RuntimeError(
            f"fork() of a process with other threads ({others}): the child would have their locks, but not them, and "
            "could wait for ever; end them before, or say allow_threads=True"
        )
    flush()
    made = None
    try:
        with undisturbed() as mask:  # no handler may raise while the child has no owner
            made = _start(make, function, args, mask, allow_threads=allow_threads)
    except BaseException:
        if made is not None:  # a handler has raised now, and the caller will never see the child
            made.close()
        raise
    return made


def _start(
    make: Callable[[int, int, Report], _Made],
    function: Callable[..., object],
    args: tuple[object, ...],
    mask: libc.SignalSet,
    *,
    allow_threads: bool,
) -> _Made:
    me = os.getpid()
    parent = libc.pidfd_open(me)
    report = None
    try:
        report = Report()
        pid = _fork(allow_threads=allow_threads)
        if pid == 0:
            _run(me, parent, report, mask, function, args)
    except BaseException:
        if report is not None:
            report.close()
        raise
    finally:
        os.close(parent)  # that leaves room for the child's
    pidfd = -1
    try:
        with suppress(ProcessLookupError):  # SIGCHLD is ignored
            pidfd = libc.pidfd_open(pid)
        return make(pid, pidfd, report)
    except BaseException:
        report.close()
        _abandon(pid, pidfd)
        raise


def _fork(*, allow_threads: bool) -> int:
    try:
        if not allow_threads:
            return os.fork()
        with warnings.catch_warnings():  # Python 3.12 and later warn of threads
            warnings.simplefilter("ignore", DeprecationWarning)
            return os.fork()
    except OSError as error:
        raise failure(error.errno or 0, "fork", advice=_ADVICE.get(error.errno or 0)) from None


def _abandon(pid: int, pidfd: int) -> None:
    if pidfd >= 0:
        os.close(pidfd)
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, libc.SIGKILL)
        os.waitpid(pid, 0)


def _run(
    parent: int,
    parent_pidfd: int,
    report: Report,
    mask: libc.SignalSet,
    function: Callable[..., object],
    args: tuple[object, ...],
) -> NoReturn:
    global _origin  # noqa: PLW0603 - a process has one
    status = 1
    try:
        libc.prctl(libc.PR_SET_PDEATHSIG, libc.SIGKILL)
        # It may have ended before it could take us along. From another PID namespace its number is 0, dead or alive:
        # its pidfd tells.
        if (os.getppid() or _living(parent_pidfd, parent)) == parent:
            os.close(parent_pidfd)
            _origin = Origin(os.getpid(), parent, report)
            status = _call(mask, _origin, function, args)
            if not flush():
                status = status or _FLUSH_FAILED
    except BaseException:  # noqa: BLE001 - nobody else would tell
        traceback.print_exc()
    finally:
        os._exit(status)


def _living(pidfd: int, pid: int) -> int | None:
    """Give the pid of a process that has not ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return None if poll.poll(0) else pid


def _call(mask: libc.SignalSet, here: Origin, function: Callable[..., object], args: tuple[object, ...]) -> int:
    """Call the function and report what came of it; give the exit code."""
    try:
        try:
            libc.sigprocmask(libc.SIG_SETMASK, mask)
            outcome = Outcome.returned(function(*args))
        except BaseException as error:  # noqa: BLE001 - the parent raises it
            outcome = Outcome.raised(error)
    except BaseException as error:  # noqa: BLE001 - of a handler, while that was written down
        outcome = Outcome.raised(error)
    libc.sigprocmask(libc.SIG_BLOCK, EVERY)  # or a handler that raises could spoil the report
    if os.getpid() == here.pid:  # and not a child that the function has forked and let return
        here.report.write(outcome)
    if outcome.kind is Kind.INTERRUPTED:
        flush()
        _die_of_sigint()
    return outcome.exit_code


def _die_of_sigint() -> None:
    """End as the interpreter does by a KeyboardInterrupt; the first process of a PID namespace lives on."""
    libc.sigaction(libc.SIGINT, libc.Sigaction(libc.SIG_DFL))
    libc.kill(os.getpid(), libc.SIGINT)
    libc.sigprocmask(libc.SIG_UNBLOCK, {libc.SIGINT})


def flush() -> bool:
    """Flush the standard streams, so that nothing is written twice or never; False where one cannot be."""
    done = True
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception:  # noqa: BLE001 - nobody reads it, or a handler interrupts just this: its writer's business
            done = False
    return done


def other_threads() -> str:
    """Name the other threads of the process, with commas between; the empty string where there are none."""
    if os.stat(_TASKS).st_nlink == _ALONE:  # noqa: PTH116 - quicker, and for each fork
        return ""
    tasks = _tasks()
    return ", ".join(_names(tasks)) if len(tasks) > 1 else ""


def _tasks() -> list[str]:
    """List the threads; one that has been joined may take a moment to be gone from the kernel, too."""
    tasks: list[str] = []
    for _ in moments():
        tasks = os.listdir(_TASKS)  # noqa: PTH208 - their names
        if len(tasks) == 1 or threading.active_count() > 1:
            break
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
