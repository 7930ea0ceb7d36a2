"""sem_overview(7): POSIX semaphores, named ones and those in shared memory."""

from __future__ import annotations

import errno
import os
from typing import Self

from unixipc import _cpython
from unixipc._check import check, check_made, restarting, timespec
from unixipc._cpython import Memory, Semaphore, front
from unixipc._native import lib
from unixipc.constants.posix import O_CREAT, O_EXCL, SEM_VALUE_MAX
from unixipc.constants.timers import CLOCK_MONOTONIC, CLOCK_REALTIME
from unixipc.libc.arguments import int_argument, path_argument, unsigned_argument

SEM_SIZE = lib.uipc_sem_size()
SEM_ALIGNMENT = lib.uipc_sem_alignment()

_LONGEST = 251  # NAME_MAX, less the beginning of the file's name
_NAMES = f"a name is a slash and up to {_LONGEST} bytes without another slash"
_OPENING = {
    errno.EACCES: "it exists, and its mode does not let this process read and write it",
    errno.EEXIST: "it exists, and O_EXCL was given",
    errno.ENAMETOOLONG: _NAMES,
    errno.ENOENT: "no semaphore has this name, and O_CREAT was not given",
}
_UNLINKING = {
    errno.EACCES: "only its owner or a privileged process may remove it",
    errno.EINVAL: _NAMES,
    errno.ENAMETOOLONG: _NAMES,
    errno.ENOENT: "no semaphore has this name",
    errno.EPERM: "only its owner or a privileged process may remove it",
}
_USING = {errno.EINVAL: "what lies there is no semaphore, or no longer: sem_init() makes one"}
_WAITING = _USING | {
    errno.EAGAIN: "the value is 0",
    errno.ENOSYS: "it needs glibc 2.30",
    errno.ETIMEDOUT: "the value was 0 until then",
}
_POSTING = _USING | {errno.EOVERFLOW: "the value is SEM_VALUE_MAX already"}


class Sem(Semaphore):
    """A semaphore: what `sem_open` opens, or as `Sem(memory, offset)` the place of an unnamed one in memory of ours.

    That is C's `(sem_t *)`: `sem_init` makes a semaphore there, unless one is there already. It pins the memory as a
    view does. The place must have SEM_SIZE bytes and be a multiple of SEM_ALIGNMENT: ValueError.
    """

    __slots__ = ()

    def __new__(cls, memory: Memory, offset: int = 0) -> Self:  # noqa: D102 - the class says it
        return _cpython.sem_at(cls, memory, offset)


def _check_sem(sem: Sem, call: str) -> Sem:
    if not isinstance(sem, Sem):
        raise TypeError(f"{call}() takes a Sem, not {sem!r}")
    return sem


def _why_invalid(name: bytes, oflag: int, value: int) -> str:
    """Tell which of the several causes of EINVAL sem_open(3) has here."""
    bare = name.lstrip(b"/")
    if not bare or b"/" in bare or len(bare) > _LONGEST:
        return _NAMES
    if oflag & ~int(O_CREAT | O_EXCL):
        return "it takes no flags but O_CREAT and O_EXCL"
    if oflag & O_CREAT and value > SEM_VALUE_MAX:
        return f"a value is at most SEM_VALUE_MAX, {SEM_VALUE_MAX}"
    return f"the file sem.{os.fsdecode(bare)} of /dev/shm is no semaphore: remove it with sem_unlink()"


def sem_open(name: str | bytes, oflag: int = 0, mode: int = 0o600, value: int = 0) -> Sem:
    """Open a named semaphore, made with this value if `oflag` says so (sem_open(3)).

    What is no semaphore, though it has the name of one (a file /dev/shm/sem.NAME that is too short, or whose bytes make
    no sense), is refused. The umask is taken off the mode.
    """
    path, oflag = path_argument(name), int_argument(oflag, "oflag")
    mode, value = unsigned_argument(mode, "mode"), unsigned_argument(value, "value")
    made = _cpython.sem_open(Sem, path, oflag, mode, value)
    advice = _OPENING | {errno.EINVAL: _why_invalid(path, oflag, value)}
    return check_made(made, "sem_open", repr(name), advice=advice)


def sem_close(sem: Sem) -> None:
    """Close a named semaphore (sem_close(3)); threads that wait for it go on waiting. Closed already: ValueError."""
    check(_check_sem(sem, "sem_close")._close(), "sem_close", sem)


def sem_unlink(name: str | bytes) -> None:
    """Remove the name of a semaphore, which goes with the last process that has it open (sem_unlink(3))."""
    check(lib.uipc_sem_unlink(path_argument(name)), "sem_unlink", repr(name), advice=_UNLINKING)


def sem_init(sem: Sem, pshared: int, value: int) -> None:
    """Make an unnamed semaphore at the place that `sem` names (sem_init(3)).

    With `pshared` 0 only threads of this process can wait for it.
    """
    advice = {errno.EINVAL: "the value is at most SEM_VALUE_MAX"}
    result = _check_sem(sem, "sem_init")._init(int_argument(pshared, "pshared"), unsigned_argument(value, "value"))
    check(result, "sem_init", sem, pshared, value, advice=advice)


def sem_destroy(sem: Sem) -> None:
    """Be done with an unnamed semaphore, and let go of its memory (sem_destroy(3)).

    OSError (EBUSY) while threads wait for this `sem`. Other processes that wait go on doing so: the C library does not
    look for them, and leaves the semaphore as it is.
    """
    advice = {errno.EBUSY: "a thread of this process waits for it"}
    check(_check_sem(sem, "sem_destroy")._destroy(), "sem_destroy", sem, advice=advice)


@front
def sem_wait(sem: Sem) -> None:
    """Take one off the value, when it is above 0 (sem_wait(3))."""
    check(restarting(_check_sem(sem, "sem_wait")._wait), "sem_wait", sem, advice=_WAITING)


@front
def sem_trywait(sem: Sem) -> None:
    """Take one off the value if it is above 0; BlockingIOError otherwise (sem_trywait(3))."""
    check(_check_sem(sem, "sem_trywait")._trywait(), "sem_trywait", sem, advice=_WAITING)


def sem_timedwait(sem: Sem, abs_timeout: float) -> None:
    """Wait as `sem_wait` does until a time of CLOCK_REALTIME (sem_timedwait(3)); TimeoutError when that has passed."""
    result = restarting(_check_sem(sem, "sem_timedwait")._timedwait, *timespec(abs_timeout))
    check(result, "sem_timedwait", sem, abs_timeout, advice=_WAITING)


def sem_clockwait(sem: Sem, clockid: int, abs_timeout: float) -> None:
    """Wait as `sem_wait` does until a time of CLOCK_REALTIME or CLOCK_MONOTONIC (sem_clockwait(3)).

    TimeoutError when that has passed.
    """
    clock = int_argument(clockid, "clockid")
    result = restarting(_check_sem(sem, "sem_clockwait")._timedwait, *timespec(abs_timeout), clock)
    advice = _WAITING
    if clock not in (CLOCK_REALTIME, CLOCK_MONOTONIC):
        advice = _WAITING | {errno.EINVAL: "the clock must be CLOCK_REALTIME or CLOCK_MONOTONIC"}
    check(result, "sem_clockwait", sem, clockid, abs_timeout, advice=advice)


@front
def sem_post(sem: Sem) -> None:
    """Add one to the value, and wake one who waits (sem_post(3))."""
    check(_check_sem(sem, "sem_post")._post(), "sem_post", sem, advice=_POSTING)


def sem_getvalue(sem: Sem) -> int:
    """Tell the value, 0 while somebody waits (sem_getvalue(3)); it may have changed already."""
    result, value = _check_sem(sem, "sem_getvalue")._getvalue()
    check(result, "sem_getvalue", sem, advice=_USING)
    return value
