"""Semaphores with a name, and semaphores in shared memory: sem_overview(7)."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, ClassVar, Self

from unixipc import libc
from unixipc._check import Deadline, failure
from unixipc._closing import Closing
from unixipc._cpython import Fronted, front
from unixipc.posix.objects import PosixObject, check_mode, check_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

_NO_TIME = "the value was 0 all the time"


class _Held:
    """A with-block for one who acquires at its beginning; a generator would take ten times as long."""

    __slots__ = ("_semaphore", "_timeout")

    def __init__(self, semaphore: _Acquirable, timeout: float | None) -> None:
        self._semaphore = semaphore
        self._timeout = timeout

    def __enter__(self) -> None:
        self._semaphore.acquire(timeout=self._timeout)

    def __exit__(self, *raised: object) -> None:
        self._semaphore.release()


class _Acquirable:
    """What is done with a semaphore.

    Waits take a `timeout` in seconds, None for ever and 0 not at all, and go on after signals; TimeoutError when it is
    up. Nobody gives back what a process acquired that was killed.
    """

    __slots__ = ()

    resumes: ClassVar[bool] = True
    """Whether waits go on after signals; where a subclass says False, they end with InterruptedError."""

    _sem: libc.Sem | None

    def _open_sem(self) -> libc.Sem:
        if self._sem is None:
            raise ValueError(f"{self!r} was closed")
        return self._sem

    @property
    def closed(self) -> bool:
        """Whether it was closed here."""
        return self._sem is None

    @front
    def acquire(self, *, timeout: float | None = None) -> None:
        """Take one off the value; waits while it is 0."""
        sem = self._sem or self._open_sem()
        deadline = None if timeout is None else Deadline(timeout)
        while True:
            try:
                if deadline is None or (left := deadline.left()) is None:
                    return libc.sem_wait(sem)
                if left == 0:
                    return libc.sem_trywait(sem)
                return libc.sem_clockwait(sem, libc.CLOCK_MONOTONIC, time.monotonic() + left)
            except (InterruptedError, TimeoutError, BlockingIOError) as error:
                interrupted = isinstance(error, InterruptedError)
                if error.errno is None or (interrupted and not self.resumes):  # without errno, a handler raised it
                    raise
                if not interrupted:
                    raise failure(errno.ETIMEDOUT, "acquire", self, timeout, advice=_NO_TIME) from None

    @front
    def release(self) -> None:
        """Add one to the value, and wake one who waits."""
        libc.sem_post(self._sem or self._open_sem())

    def held(self, *, timeout: float | None = None) -> AbstractContextManager[None]:
        """Acquire for the length of a with-block."""
        return _Held(self, timeout)

    @property
    def value(self) -> int:
        """The value; it may have changed already."""
        return libc.sem_getvalue(self._open_sem())


class Semaphore(_Acquirable, Fronted, PosixObject):
    """A semaphore with a name.

    Waits take a `timeout` in seconds, None for ever and 0 not at all, and go on after signals; TimeoutError when it is
    up. Nobody gives back what a process acquired that was killed; those of `unixipc.sysv` can (SEM_UNDO).
    """

    def __init__(self, name: str, sem: libc.Sem) -> None:
        self._name = name
        self._sem = sem

    @classmethod
    def create(cls, name: str, value: int = 1, *, mode: int = 0o600) -> Self:
        """Make a semaphore; FileExistsError if the name has one."""
        return cls(name, libc.sem_open(check_name(name), libc.O_CREAT | libc.O_EXCL, check_mode(mode), value))

    @classmethod
    def open(cls, name: str) -> Self:
        """Open the semaphore of a name; FileNotFoundError if there is none."""
        return cls(name, libc.sem_open(check_name(name)))

    @classmethod
    def open_or_create(cls, name: str, value: int = 1, *, mode: int = 0o600) -> Self:
        """Open the semaphore of a name, whose value stays as it is, or make it with this value."""
        return cls(name, libc.sem_open(check_name(name), libc.O_CREAT, check_mode(mode), value))

    def close(self) -> None:
        """End the use by this process; twice is fine. The semaphore stays, and a thread that waits goes on waiting."""
        sem, self._sem = self._sem, None
        if sem is not None:
            libc.sem_close(sem)

    def unlink(self) -> None:
        """Remove the name: nobody can open it any more, and the semaphore goes with the last who has it open."""
        libc.sem_unlink(self._name)

    def __reduce__(self) -> tuple[Callable[[str], Self], tuple[str]]:
        return type(self).open, (self._name,)


class UnnamedSemaphore(_Acquirable, Fronted, Closing):
    """A semaphore in memory of ours that processes share: a Mapping, a SharedMemory of either kind.

    It takes `libc.SEM_SIZE` bytes, at an `offset` that is a multiple of `libc.SEM_ALIGNMENT`, and pins the memory until
    it is closed. Waits as in `Semaphore`.
    """

    def __init__(self, sem: libc.Sem) -> None:
        self._sem = sem

    @classmethod
    def create(cls, memory: libc.Mapping | libc.Attachment, value: int = 1, *, offset: int = 0) -> Self:
        """Make a semaphore in memory, whatever is there."""
        sem = libc.Sem(memory, offset)
        libc.sem_init(sem, 1, value)
        return cls(sem)

    @classmethod
    def open(cls, memory: libc.Mapping | libc.Attachment, *, offset: int = 0) -> Self:
        """Use the semaphore that somebody has made there."""
        return cls(libc.Sem(memory, offset))

    def close(self) -> None:
        """Let go of the memory; twice is fine. The semaphore stays in it."""
        self._sem = None

    def destroy(self) -> None:
        """Be done with the semaphore, and close it; who waits in another process goes on doing so (sem_destroy(3)).

        OSError (EBUSY) while a thread of this process waits.
        """
        libc.sem_destroy(self._open_sem())
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {'closed' if self._sem is None else f'at {self._sem.address:#x}'}>"
