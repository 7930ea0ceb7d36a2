"""Forked children with a deadline, whose bad ends are told in full."""

from __future__ import annotations

import errno
import os
import resource
import weakref
from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, TypeVarTuple

from unixipc import libc, processes
from unixipc._check import Deadline
from unixipc.testing.crashes import CrashError, CrashReport, DeadlineError, shortened
from unixipc.testing.evidence import threads_of
from unixipc.testing.handshakes import HandshakeError, Line, set_parent, wait_for
from unixipc.testing.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.processes import ExitStatus

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")

DEADLINE = 30.0
"""How many seconds a child has, unless it is given others."""

_ENDING = 5.0  # seconds in which a child must write its stack and end

_children: weakref.WeakSet[Child[Any]] = weakref.WeakSet()


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
    mask = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())  # no handler may raise before all have an owner
    try:
        equipment = _Equipment()
        try:
            child: Child[_T] = Child.start(_begin, equipment, mask, function, *args, allow_threads=allow_threads)
        except BaseException:
            equipment.close()
            raise
        child._equip(equipment, deadline, time)  # noqa: SLF001 - of this file
        return child
    finally:
        libc.sigprocmask(libc.SIG_SETMASK, mask)


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
        _children.add(self)

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
            try:
                super().wait(deadline.left())
            except TimeoutError:
                if self.pidfd >= 0 and deadline.left() == 0:
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
        return super().result(timeout)

    def says(self, word: str, timeout: float | None = None) -> None:
        """Wait until the child has said a word: `testing.parent().tell(word)`.

        HandshakeError where it says another one, or nothing more. Where it raised instead, this is raised; CrashError
        where it came to a bad end.
        """
        expected = shortened(word)
        heard = self._hear(expected, timeout)
        if heard != word:
            raise HandshakeError(f"child {self.pid} was to say {expected}, but it said {shortened(heard)}")

    def hear(self, timeout: float | None = None) -> str:
        """Wait for the next word of the child, whichever it is."""
        return self._hear("a word", timeout)

    def tell(self, word: str, timeout: float | None = None) -> None:
        """Tell the child a word, which waits there until it is asked for: `testing.parent().says(word)`."""
        deadline, is_last = self._until(timeout)
        while True:
            line = self._line("speak to")
            if line is None:
                self._ended_without(f"could be told {shortened(word)}")
            try:
                if line.send(word):
                    return
            except ConnectionError:
                self._lost_line()
                continue
            if not wait_for(deadline, [self.pidfd], [line.fileno()]) and deadline.left() == 0:
                text = f"child {self.pid} has not taken {shortened(word)} within {timeout} seconds"
                self._late(text, is_last=is_last)

    def _hear(self, expected: str, timeout: float | None) -> str:
        deadline, is_last = self._until(timeout)
        while True:
            line = None if self._words else self._line("listen to")
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
        ready = wait_for(deadline, [line.fileno(), self.pidfd])
        if ready == {self.pidfd}:
            self._reap()
        elif not ready and deadline.left() == 0:
            self._late(f"child {self.pid} has not said {expected} within {timeout} seconds", is_last=is_last)

    def _line(self, what: str) -> Line | None:
        """Give the line to the child, None where that was reaped."""
        if self.pidfd < 0:
            return None
        self._own(what)
        return None if self._equipment is None else self._equipment.line

    def _lost_line(self) -> None:
        """Take note of the end of the line: that of the child, or it lives on without."""
        if not self._has_ended(_ENDING):
            raise HandshakeError(
                f"child {self.pid} has closed the line to its parent: it closed all descriptors, or executed a program"
            )
        self._reap()

    def _ended_without(self, what: str) -> NoReturn:
        self.result()
        raise HandshakeError(f"child {self.pid} came to its end before it {what}")

    def _until(self, timeout: float | None) -> tuple[Deadline, bool]:
        """Give the time to wait, and whether it ends with that of the child."""
        left = self._time.left()
        if timeout is not None and (left is None or timeout < left):
            return Deadline(timeout), False
        return self._time, True

    def _late(self, text: str, *, is_last: bool) -> None:
        """Time is up: for this wait, or for the child, which is ended with its stack taken."""
        if not is_last:
            raise TimeoutError(errno.ETIMEDOUT, text)
        threads = threads_of(self.pid)
        with suppress(OSError):  # the stack is all that is wanted of it
            resource.prlimit(self.pid, resource.RLIMIT_CORE, (0, resource.RLIM_INFINITY))
        self.kill(libc.SIGABRT)
        self.kill(libc.SIGCONT)
        if any(libc.SIGABRT not in thread.blocked for thread in threads):
            self._has_ended(_ENDING)
        if not self._has_ended(0):
            self.kill()
            if not self._has_ended(_ENDING):
                raise TimeoutError(errno.ETIMEDOUT, f"child {self.pid} does not end, not even by SIGKILL")
        self._reap()
        if self.crash is not None and self.crash.signal in (None, libc.SIGABRT, libc.SIGKILL):
            self.crash = replace(self.crash, deadline=self._seconds, threads=threads)
            raise DeadlineError(self.crash)

    def _reap(self) -> None:
        mask = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())
        try:
            with self._reaping:
                super()._reap()
                equipment, self._equipment = self._equipment, None
                if equipment is not None:
                    self._words += equipment.line.rest()
                    if self._outcome is None:
                        self.crash = self._report_crash(equipment.recorder)
                    equipment.close()
        finally:
            libc.sigprocmask(libc.SIG_SETMASK, mask)

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
        if self._asked or self._owner != os.getpid() or (self.pidfd >= 0 and not self._has_ended(0)):
            return None
        try:
            self.result()
        except BaseException as error:  # noqa: BLE001 - the child's
            return None if self.crash is not None and self.crash.sent else error
        return None


def _leave() -> None:
    """In a forked child: what its siblings say is none of its business, and it must not keep their lines open."""
    for child in list(_children):
        if child._equipment is not None:  # noqa: SLF001 - of this file
            child._equipment.close()  # noqa: SLF001 - the same


os.register_at_fork(after_in_child=_leave)
