"""Forked children that hand back what their function returned, and outlive neither their parent nor a with-block."""

from __future__ import annotations

import os
import pickle
import select
import sys
import threading
import time
import traceback
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NoReturn, ParamSpec, Self, TypeVar, cast

from unixipc.constants.processes import PR_SET_PDEATHSIG
from unixipc.constants.signals import SIG_BLOCK, SIG_SETMASK, SIGKILL, signal_name
from unixipc.libc.processes import prctl
from unixipc.libc.signals import pidfd_open, pidfd_send_signal, sigprocmask
from unixipc.libc.sigsetops import SignalSet

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

_P = ParamSpec("_P")
_T = TypeVar("_T")

_CHUNK = 65536
_ENDING = 0.1


def fork(function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Child[_T]:
    """Run a function in a forked child (fork(2)).

    The child is killed when the parent ends (PR_SET_PDEATHSIG), and leaves by `os._exit`: no cleanup of the parent's
    runs in it. What the function returns or raises must pickle to come back. A process with several threads is not
    forked (RuntimeError): the child would have their locks, but not them.
    """
    threads = _threads()
    if threads > 1:
        raise RuntimeError(f"fork() of a process with {threads} threads: the child could wait for their locks for ever")
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    parent = os.getpid()
    mask = sigprocmask(SIG_BLOCK, SignalSet.full())  # no handler may raise while the child has no owner
    try:
        results, report = os.pipe()
        try:
            pid = os.fork()
            if pid == 0:
                _run(parent, report, mask, function, *args, **kwargs)
            return Child(pid, _own(pid), results)
        except BaseException:
            os.close(results)
            raise
        finally:
            os.close(report)
    finally:
        sigprocmask(SIG_SETMASK, mask)


def _own(pid: int) -> int:
    try:
        return pidfd_open(pid)
    except OSError:
        os.kill(pid, SIGKILL)
        os.waitpid(pid, 0)
        raise


def _run(
    parent: int, report: int, mask: SignalSet, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs
) -> NoReturn:
    status = 1
    try:
        prctl(PR_SET_PDEATHSIG, SIGKILL)
        if os.getppid() == parent:  # it has not died before it could take us along
            outcome = _call(mask, function, *args, **kwargs)
            status = 0 if outcome[0] else 1
            _write(report, pickle.dumps(outcome))
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(status)


def _call(mask: SignalSet, function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> tuple[bool, object, str]:
    try:
        sigprocmask(SIG_SETMASK, mask)
        result = function(*args, **kwargs)
        pickle.dumps(result)
    except BaseException as error:  # noqa: BLE001 - the parent raises it
        story = traceback.format_exc()
        try:
            pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
        except Exception:  # noqa: BLE001 - whatever its __reduce__ does, the story goes across
            return False, ChildProcessError(f"{type(error).__name__}: {error}"), story
        return False, error, story
    return True, result, ""


def _threads() -> int:
    """Count the threads; one that has been joined may take a moment to be gone from the kernel, too."""
    deadline = time.monotonic() + _ENDING
    while (count := len(list(Path("/proc/self/task").iterdir()))) > 1:
        if threading.active_count() > 1 or time.monotonic() > deadline:
            break
        os.sched_yield()
    return count


def _write(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


class Child(Generic[_T]):
    """A child made by `fork`, owned by the process that made it. Leaving its with-block kills and reaps it."""

    def __init__(self, pid: int, pidfd: int, results: int) -> None:
        os.set_blocking(results, False)
        self.pid = pid
        self.pidfd = pidfd
        """Refers to this child and to no other, ever; readable once it has ended. Closed when it is reaped."""
        self.returncode: int | None = None
        """The exit status, or minus the signal that killed it; None until `wait` has returned."""
        self._results = results
        self._report = bytearray()
        self._owner = os.getpid()

    def __repr__(self) -> str:
        state = "running" if self.returncode is None else f"returncode {self.returncode}"
        return f"<Child {self.pid}, {state}>"

    def fileno(self) -> int:
        """Give the pidfd, for `select` and `signals.send`; ValueError once the child was reaped."""
        if self.returncode is not None:
            raise ValueError(f"child {self.pid} was reaped already")
        return self.pidfd

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end of the child, and return its `returncode`; TimeoutError after so many seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        poll.register(self._results, select.POLLIN)
        while self.returncode is None:
            left = None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000
            ready = {fd for fd, _ in poll.poll(left)}
            if not ready:
                raise TimeoutError(f"child {self.pid} has not ended within {timeout} seconds")
            if self._results in ready and not self._receive():
                poll.unregister(self._results)
            if self.pidfd in ready:
                self._reap()
        return self.returncode

    def _receive(self) -> bytes:
        try:
            chunk = os.read(self._results, _CHUNK)
        except BlockingIOError:
            return b""
        self._report += chunk
        return chunk

    def _reap(self) -> None:
        ended = os.waitid(os.P_PIDFD, self.pidfd, os.WEXITED)
        if ended is None:
            raise ChildProcessError(f"child {self.pid} was reaped by somebody else")
        self.returncode = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        while self._receive():
            pass
        os.close(self._results)
        os.close(self.pidfd)

    def result(self, timeout: float | None = None) -> _T:
        """Wait for the child, and return what its function returned or raise what it raised, with its traceback.

        ChildProcessError when it ended in another way.
        """
        returncode = self.wait(timeout)
        if not self._report:
            how = f"was killed by {signal_name(-returncode)}" if returncode < 0 else f"exited with status {returncode}"
            raise ChildProcessError(f"child {self.pid} {how} before its function returned")
        returned, value, story = pickle.loads(self._report)  # noqa: S301 - written by our own child
        if returned:
            return cast("_T", value)
        value.add_note(f"In child {self.pid}:\n{story}")
        raise value

    def kill(self, signum: int = SIGKILL) -> None:
        """Send the child a signal; nothing happens when it was reaped already."""
        if self.returncode is None:
            pidfd_send_signal(self.pidfd, signum)

    def close(self) -> None:
        """Kill the child if it still runs, and reap it."""
        if self.returncode is None and self._owner == os.getpid():
            self.kill()
            self.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, story: TracebackType | None
    ) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "returncode", 0) is None and self._owner == os.getpid():
            warnings.warn(f"{self!r} was never waited for", ResourceWarning, source=self, stacklevel=1)
            self.close()
