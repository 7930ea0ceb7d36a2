"""Forked children with a deadline, whose bad ends are told in full."""

from __future__ import annotations

import errno
import os
import resource
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn, TypeVar, TypeVarTuple

from unixipc import libc, processes
from unixipc._check import Deadline
from unixipc.processes.undisturbed import undisturbed
from unixipc.testing.crashes import CrashError, CrashReport, DeadlineError, shortened
from unixipc.testing.evidence import look_at
from unixipc.testing.handshakes import HandshakeError, Line, quoted, set_parent, wait_for
from unixipc.testing.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.processes import ExitStatus

__tracebackhide__ = True  # pytest shows the test that asked, not how it is found out here

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")


def _deadline(told: str) -> float:
    with suppress(ValueError):
        if (seconds := float(told)) > 0:
            return seconds
    raise ValueError(f"UNIXIPC_DEADLINE in the environment is a number of seconds, not {told!r}")


DEADLINE = _deadline(os.environ.get("UNIXIPC_DEADLINE") or "30")
"""How many seconds a child has, unless it is given others: 30, or what UNIXIPC_DEADLINE says on a slow machine."""

_ENDING = DEADLINE / 10  # seconds in which a child must write its stack and end


class _Equipment:
    """What parent and child have in common."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.line, self.childs = Line.pair()

    def close(self) -> None:
        self.recorder.close()
        self.line.close()
        self.childs.close()


def fork(
    function: Callable[[*_Arguments], _T],
    /,
    *args: *_Arguments,
    deadline: float | None = DEADLINE,
    allow_threads: bool = False,
) -> Child[_T]:
    """Run a function in a forked child that must end within so many seconds, as `processes.fork` does.

    In the child `testing.parent()` gives its parent, to speak to; and a crash is recorded, with its Python stack.
    """
    time = Deadline(deadline)
    child: Child[_T] | None = None
    try:
        with undisturbed() as mask:  # no handler may raise before all that is made has an owner
            equipment = _Equipment()
            try:
                child = Child.start(_begin, equipment, mask, function, *args, allow_threads=allow_threads)
            except BaseException:
                equipment.close()
                raise
            child._equip(equipment, deadline, time)  # noqa: SLF001 - of this file
    except BaseException:
        if child is not None:  # a handler has raised now, and the caller will never see the child
            child.close()
        raise
    return child


def _begin(
    equipment: _Equipment, mask: libc.SignalSet, function: Callable[[*_Arguments], _T], *args: *_Arguments
) -> _T:
    equipment.line.close()
    set_parent(equipment.childs)
    equipment.recorder.install()
    libc.sigprocmask(libc.SIG_SETMASK, mask)
    return function(*args)


class Child(processes.Child[_T]):
    """A child made by `testing.fork`. What waits for it waits until its deadline at most, and then ends it.

    At the deadline the child's Python stack is taken, it is killed and reaped, and DeadlineError tells what it did. A
    timeout that is over before that is a plain TimeoutError, and the child goes on.
    """

    _equipment: _Equipment | None = None
    _seconds: float | None = None
    _time = Deadline(None)
    _asked = False

    crash: CrashReport | None = None
    """How it came to a bad end; None as long as it was not waited for, and where its function came to an end."""

    def _equip(self, equipment: _Equipment, seconds: float | None, time: Deadline) -> None:
        equipment.childs.close()
        self._equipment, self._seconds, self._time = equipment, seconds, time
        self._words = deque[str]()
        self._sent = set[int]()
        if self._descriptor is None:  # it has ended already, where SIGCHLD is ignored
            self._collect()

    def kill(self, signum: int = libc.SIGKILL) -> None:
        """Send the child a signal; nothing happens when it was reaped already."""
        super().kill(signum)
        if self._equipment is not None:
            self._sent.add(signum)

    def wait(self, timeout: float | None = None) -> ExitStatus:
        """Wait for the end of the child, and tell how it ended: until its deadline, which is a DeadlineError."""
        self._asked = True
        deadline, is_last = self._until(timeout)
        while self.status is None:
            with suppress(TimeoutError):
                super().wait(deadline.left())
            if self._descriptor is not None and deadline.left() == 0:
                self._late(f"child {self.pid} has not ended within {timeout} seconds", is_last=is_last)
        if self.crash is not None and self.crash.deadline is not None:
            raise DeadlineError(self.crash)
        return self.status

    def result(self, timeout: float | None = None) -> _T:
        """Wait for the child, and return what its function returned or raise what it raised, with its traceback.

        CrashError when it ended in another way.
        """
        try:
            self.wait(timeout)
        except ChildProcessError:
            if self._outcome is None:
                raise
        if self.crash is not None:
            raise CrashError(self.crash)
        try:
            return super().result(timeout)
        except BaseException as error:  # noqa: BLE001 - goes on
            raise error.with_traceback(None) from error.__cause__  # the child's own traceback is a note of it

    def says(self, word: str, timeout: float | None = None) -> None:
        """Wait until the child has said a word: `testing.parent().tell(word)`.

        HandshakeError where it says another one, or nothing more. Where it raised instead, this is raised; CrashError
        where it came to a bad end.
        """
        expected = quoted(word)
        heard = self._hear(expected, timeout)
        if heard != word:
            raise HandshakeError(f"child {self.pid} was to say {expected}, but it said {shortened(heard)}")

    def hear(self, timeout: float | None = None) -> str:
        """Wait for the next word of the child, whichever it is."""
        return self._hear("a word", timeout)

    def tell(self, word: str, timeout: float | None = None) -> None:
        """Tell the child a word, which waits there until it is asked for: `testing.parent().says(word)`."""
        (deadline, is_last), told = self._until(timeout), quoted(word)
        while True:
            line = self._line()
            if line is None:
                self._ended_without(f"could be told {told}")
            try:
                if line.send(word):
                    return
            except ConnectionError:
                self._lost_line()
                continue
            if not wait_for(deadline, [self._held().fd], [line.fileno()]) and deadline.left() == 0:
                text = f"child {self.pid} has not taken {told} within {timeout} seconds"
                self._late(text, is_last=is_last)

    def _hear(self, expected: str, timeout: float | None) -> str:
        deadline, is_last = self._until(timeout)
        while True:
            line = None if self._words else self._line()
            if self._words:
                return self._words.popleft()
            if line is None:
                self._ended_without(f"had said {expected}")
            try:
                word = line.receive()
            except BlockingIOError:
                self._await_word(line, deadline, expected, timeout, is_last=is_last)
            else:
                if word is not None:
                    return word
                self._lost_line()

    def _await_word(
        self, line: Line, deadline: Deadline, expected: str, timeout: float | None, *, is_last: bool
    ) -> None:
        pidfd = self._held().fd
        ready = wait_for(deadline, [line.fileno(), pidfd])
        if ready == {pidfd}:
            self._reap()
        elif not ready and deadline.left() == 0:
            self._late(f"child {self.pid} has not said {expected} within {timeout} seconds", is_last=is_last)

    def _line(self) -> Line | None:
        """Give the line to the child, None where that was reaped."""
        if not self._owned:
            self._held()
        return None if self._equipment is None else self._equipment.line

    def _lost_line(self) -> None:
        """Take note of the end of the line: that of the child, or it lives on without."""
        if not self._ends(Deadline(_ENDING)):
            raise HandshakeError(
                f"child {self.pid} has closed the line to its parent: it closed all descriptors, or executed a program"
            )
        self._reap()

    def _ended_without(self, what: str) -> NoReturn:
        self.result()
        raise HandshakeError(f"child {self.pid} came to its end before it {what}")

    def _until(self, timeout: float | None) -> tuple[Deadline, bool]:
        """Give the time to wait, and whether it ends with that of the child."""
        own, left = Deadline(timeout), self._time.left()
        if timeout is not None and (left is None or timeout < left):
            return own, False
        return self._time, True

    def _late(self, text: str, *, is_last: bool) -> None:
        """Time is up: for this wait, or for the child, which is ended with its stack taken."""
        if not is_last:
            raise TimeoutError(errno.ETIMEDOUT, text)
        threads, ignored = look_at(self.pid)
        with suppress(OSError):  # the stack is all that is wanted of it
            _, hard = resource.prlimit(self.pid, resource.RLIMIT_CORE)
            resource.prlimit(self.pid, resource.RLIMIT_CORE, (0, hard))
        self.kill(libc.SIGABRT)
        self.kill(libc.SIGCONT)
        if libc.SIGABRT not in ignored and any(libc.SIGABRT not in thread.blocked for thread in threads):
            self._ends(Deadline(_ENDING))
        if not self._ends(Deadline(0)):
            self.kill()
            if not self._ends(Deadline(_ENDING)):
                raise TimeoutError(errno.ETIMEDOUT, f"child {self.pid} does not end, not even by SIGKILL")
        self._reap()
        if self.crash is not None and self.crash.signal in (None, libc.SIGABRT, libc.SIGKILL):
            self.crash = replace(self.crash, deadline=self._seconds, threads=threads)
            raise DeadlineError(self.crash)

    def _read_report(self) -> None:
        super()._read_report()
        self._collect()

    def _collect(self) -> None:
        """Take what is left of the child that has ended."""
        equipment, self._equipment = self._equipment, None
        if equipment is not None:
            try:
                self._words += equipment.line.rest()
                if self._outcome is None:
                    self.crash = self._report_crash(equipment.recorder)
            finally:
                equipment.close()

    def _disown(self) -> None:
        super()._disown()
        if self._equipment is not None:  # what siblings say is none of our business, and their lines must have an end
            self._equipment.close()

    def _end(self) -> None:
        if self._equipment is not None:
            self._sent.add(libc.SIGKILL)
        super()._end()

    def _report_crash(self, recorder: Recorder) -> CrashReport:
        recording = recorder.read()
        report = CrashReport(
            self.pid,
            self.status,
            stack=recording.stacks.get(self.pid, ""),
            descendants=tuple(strike for strike in recording.strikes if strike.pid != self.pid),
            words=tuple(self._words),
        )
        last = recording.last(self.pid, report.signal)
        if last is not None:
            report = replace(report, info=last.info, tid=last.tid)
        return replace(report, sent=report.signal in self._sent and (last is None or last.info.si_pid == os.getpid()))

    def overlooked(self) -> BaseException | None:
        """Give what `result` would raise, where the child has ended by itself and nobody has asked how."""
        if self._asked or not self._owned or (self._descriptor is not None and not self._ends(Deadline(0))):
            return None
        try:
            self.result()
        except BaseException as error:  # noqa: BLE001 - the child's
            return None if self.crash is not None and self.crash.sent else error
        return None
