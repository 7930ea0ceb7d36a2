"""unixipc.testing: what is told of children that come to a bad end, and of those that come to none."""

from __future__ import annotations

import ctypes
import faulthandler
import mmap
import os
import pickle
import resource
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import pytest
from until import state, until

from unixipc import libc, testing
from unixipc._check import Deadline
from unixipc.testing import DEADLINE
from unixipc.testing.recorder import RECORDED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORT = 0.1
USR1, USR2, SEGV, BUS, FPE, ABRT = libc.SIGUSR1, libc.SIGUSR2, libc.SIGSEGV, libc.SIGBUS, libc.SIGFPE, libc.SIGABRT


@contextmanager
def late(function: Callable[[], object], at: str = "S") -> Iterator[testing.Child[object]]:
    """Have a child whose deadline comes soon after it has come to what it hangs in, which is a state of its process."""

    def arrives() -> object:
        testing.parent().tell("there")
        return function()

    with testing.fork(arrives) as child:
        child.says("there")
        until(lambda: state(child.pid) == at)
        child._seconds, child._time = SHORT, Deadline(SHORT)
        yield child


def crash_of(function: Callable[[], object]) -> testing.CrashReport:
    with testing.fork(function) as child:
        return crash_told_by(child)


def lateness_of(function: Callable[[], object], at: str = "S") -> testing.CrashReport:
    with late(function, at) as child:
        return crash_told_by(child)


def crash_told_by(child: testing.Child[object]) -> testing.CrashReport:
    with pytest.raises((testing.CrashError, testing.DeadlineError)) as raised:
        child.result()
    assert isinstance(raised.value, testing.CrashError | testing.DeadlineError)
    assert child.crash == raised.value.report
    assert str(raised.value) == str(child.crash)
    return raised.value.report


def reads_null() -> None:
    ctypes.string_at(0x10)


def reads_behind_the_end_of_a_file() -> None:
    fd = os.memfd_create("short")
    os.ftruncate(fd, mmap.PAGESIZE)
    with mmap.mmap(fd, mmap.PAGESIZE) as view:
        os.ftruncate(fd, 0)
        view[0]


def divides_by_zero() -> None:
    vars(faulthandler)["_sigfpe"]()


def overflows_its_stack() -> None:
    vars(faulthandler)["_stack_overflow"]()


def aborts() -> None:
    os.abort()


@pytest.mark.parametrize(
    ("function", "signum", "code", "told"),
    [
        (reads_null, SEGV, libc.SEGV_MAPERR, "SIGSEGV (SEGV_MAPERR) at the address 0x10: nothing is mapped there"),
        (reads_behind_the_end_of_a_file, BUS, libc.BUS_ADRERR, "SIGBUS (BUS_ADRERR) at the address 0x"),
        (divides_by_zero, FPE, libc.FPE_INTDIV, "an integer was divided by zero"),
        (overflows_its_stack, SEGV, libc.SEGV_MAPERR, "SIGSEGV (SEGV_MAPERR)"),
        (aborts, ABRT, libc.SI_TKILL, "SIGABRT (SI_TKILL), sent by itself"),
    ],
)
def test_a_crash_tells_its_signal_its_siginfo_and_the_python_stack(
    function: Callable[[], None], signum: int, code: int, told: str
) -> None:
    report = crash_of(function)
    assert report.signal == signum
    assert report.status is not None
    assert report.tid == report.pid == report.status.pid
    assert report.info is not None
    assert report.info.si_code == code
    text = str(report)
    assert text.startswith(f"child {report.pid} was killed by {libc.Signal(signum).name} (")
    assert told in text
    assert f"in {function.__name__}" in report.stack
    assert report.stack in text


def test_the_stack_ends_where_the_child_began() -> None:
    stack = crash_of(reads_null).stack
    assert "in reads_null" in stack.splitlines()[-1]
    assert "pytest" not in stack
    assert "Extension modules" not in stack


def test_a_fault_sent_by_somebody_names_the_sender() -> None:
    def is_hit() -> NoReturn:
        testing.parent().tell("ready")
        while True:
            signal.pause()

    with testing.fork(is_hit) as child:
        child.says("ready")

        def hits() -> None:
            os.kill(child.pid, SEGV)
            testing.parent().says("done")

        with testing.fork(hits) as killer, pytest.raises(testing.CrashError) as raised:
            child.result()
        killer.kill()
    info = raised.value.report.info
    assert info is not None
    assert (info.si_code, info.si_pid, info.si_uid) == (libc.SI_USER, killer.pid, os.getuid())
    assert f"SIGSEGV (SI_USER), sent by process {killer.pid}" in str(raised.value)
    assert "in is_hit" in raised.value.report.stack


def test_a_signal_of_its_parent_is_not_mysterious() -> None:
    with testing.fork(signal.pause) as child:
        child.kill(libc.SIGTERM)
        with pytest.raises(testing.CrashError, match="its parent had sent it"):
            child.result()


def test_sigkill_from_outside_says_who_could_have_sent_it() -> None:
    text = str(crash_of(lambda: os.kill(os.getpid(), libc.SIGKILL)))
    assert "was killed by SIGKILL (Killed) before its function returned" in text
    assert "from outside, or by the kernel where memory ran out" in text


def test_a_signal_that_nobody_handled_is_named_with_its_meaning() -> None:
    assert "nobody handled it: User-defined signal 1" in str(crash_of(lambda: os.kill(os.getpid(), USR1)))


@pytest.mark.parametrize("signum", [libc.SIGSYS, libc.SIGTRAP], ids=lambda signum: signum.name)
def test_signals_that_faulthandler_leaves_out_have_a_stack_as_well(signum: libc.Signal) -> None:
    def is_hit() -> None:
        os.kill(os.getpid(), signum)

    report = crash_of(is_hit)
    assert report.signal == signum
    assert report.info is not None
    assert report.info.si_pid == report.pid
    assert "in is_hit" in report.stack


def test_an_exit_in_the_middle_tells_its_status() -> None:
    report = crash_of(lambda: os._exit(3))
    assert str(report) == f"child {report.pid} exited with status 3 before its function returned"


def test_a_crash_on_another_thread_names_the_thread_and_shows_all_stacks() -> None:
    def starts_a_thread() -> None:
        thread = threading.Thread(target=reads_null)
        thread.start()
        thread.join()

    report = crash_of(starts_a_thread)
    assert report.tid != report.pid
    assert f"on thread {report.tid}" in str(report)
    assert "in reads_null" in report.stack
    assert "in starts_a_thread" in report.stack


def test_a_crash_in_a_grandchild_is_told_and_not_taken_for_the_child_s_own() -> None:
    def forks() -> None:
        pid = os.fork()
        if not pid:
            reads_null()
        os.waitpid(pid, 0)
        os._exit(4)

    report = crash_of(forks)
    assert (report.info, report.stack) == (None, "")
    (strike,) = report.descendants
    assert strike.info.si_addr == 0x10
    assert f"process {strike.pid}, which it forked, was struck by SIGSEGV" in str(report)
    assert "exited with status 4" in str(report)


def test_a_child_that_outlives_the_crash_of_a_grandchild_is_fine() -> None:
    def forks() -> int:
        pid = os.fork()
        if not pid:
            reads_null()
        return os.waitpid(pid, 0)[1]

    with testing.fork(forks) as child:
        assert os.WTERMSIG(child.result()) == SEGV
    assert child.crash is None


def test_a_child_of_a_child_reports_to_its_own_parent() -> None:
    def forks() -> str:
        return str(crash_of(reads_null).info)

    with testing.fork(forks) as child:
        assert "si_addr=16" in child.result()


def test_a_child_that_closes_all_descriptors_is_reported_without_siginfo_and_writes_into_no_file() -> None:
    other = os.memfd_create("other")

    def closes() -> None:
        os.dup2(other, 300)
        os.closerange(3, 300)
        for _ in range(100):
            os.dup(300)
        reads_null()

    report = crash_of(closes)
    assert (report.signal, report.info, report.stack) == (SEGV, None, "")
    assert "closed the descriptor" in str(report)
    assert os.fstat(other).st_size == 0
    os.close(other)


def test_a_crash_with_the_signal_blocked_kills_and_says_that_more_is_not_known() -> None:
    def blocks() -> None:
        libc.sigprocmask(libc.SIG_SETMASK, libc.SignalSet.full())
        reads_null()

    report = crash_of(blocks)
    assert (report.signal, report.info) == (SEGV, None)
    assert "it blocked or handled the signal" in str(report)


def test_what_the_child_had_said_unheard_is_told() -> None:
    def says() -> None:
        for number in range(7):
            testing.parent().tell(f"word {number}")
        os._exit(1)

    report = crash_of(says)
    assert report.words == tuple(f"word {number}" for number in range(7))
    assert "it had said, unheard: 'word 0', 'word 1'" in str(report)
    assert "word 6" not in str(report)


def test_a_report_and_its_errors_pickle() -> None:
    report = crash_of(reads_null)
    for error in (testing.CrashError(report), testing.DeadlineError(report)):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.report, str(again)) == (type(error), report, str(error))


def test_what_is_handled_or_ignored_already_is_left_alone() -> None:
    def child() -> None:
        def compare() -> tuple[bool, bool, bool]:
            found = [libc.sigaction(signum).handler for signum in (libc.SIGSYS, ABRT, FPE)]
            return found[0] == libc.SIG_IGN, found[1] == counter, isinstance(found[2], libc.CrashHandler)

        faulthandler.disable()
        counter = libc.CountHandler()
        for signum, handler in ((libc.SIGSYS, libc.SIG_IGN), (ABRT, counter), (FPE, libc.SIG_DFL)):
            libc.sigaction(signum, libc.Sigaction(handler))
        with testing.fork(compare) as inner:
            assert inner.result() == (True, True, True)

    with testing.fork(child) as outer:
        outer.result()


OTHERS = libc.SignalSet.full() - RECORDED - {libc.SIGKILL, libc.SIGSTOP}


def test_the_child_has_the_mask_and_the_dispositions_of_its_parent() -> None:
    def looks() -> tuple[libc.SignalSet, bool]:
        return libc.sigprocmask(libc.SIG_BLOCK), {n: repr(libc.sigaction(n)) for n in OTHERS} == before

    before = {signum: repr(libc.sigaction(signum)) for signum in OTHERS}
    mask = libc.sigprocmask(libc.SIG_BLOCK, {USR2})
    try:
        with testing.fork(looks) as child:
            assert child.result() == (mask | {USR2}, True)
    finally:
        libc.sigprocmask(libc.SIG_SETMASK, mask)


def test_a_stack_for_handlers_that_the_parent_has_is_the_child_s_as_well() -> None:
    def child() -> None:
        access, kind = libc.PROT_READ | libc.PROT_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS
        stack = libc.Stack(libc.mmap(None, 1 << 16, access, kind))
        libc.sigaltstack(stack)
        with testing.fork(lambda: libc.sigaltstack() == stack) as inner:
            assert inner.result()

    with testing.fork(child) as outer:
        outer.result()


# -- deadlines --


def deadlocks() -> None:
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


def test_a_deadlock_is_ended_at_its_deadline_and_shows_where_it_was() -> None:
    report = lateness_of(deadlocks)
    assert report.deadline == SHORT
    assert "in deadlocks" in report.stack
    text = str(report)
    assert text.startswith(f"child {report.pid} did not end within {SHORT:g} seconds")
    assert f"thread {report.pid} (" in text
    assert "was asleep" in text


def test_the_deadline_ends_each_kind_of_waiting() -> None:
    waits: list[Callable[[testing.Child[object]], object]] = [
        lambda child: child.wait(),
        lambda child: child.result(),
        lambda child: child.wait(),
        lambda child: child.says("ready"),
        lambda child: child.hear(),
    ]
    for wait in waits:
        with late(deadlocks) as child:
            with pytest.raises(testing.DeadlineError, match="in deadlocks"):
                wait(child)
            with pytest.raises(testing.DeadlineError, match="in deadlocks"):
                child.wait()
            assert child.status is not None


def test_a_timeout_before_the_deadline_leaves_the_child_alone() -> None:
    def waits() -> str:
        testing.parent().says("go")
        return "done"

    with testing.fork(waits) as child:
        for wait in (child.wait, child.result, child.hear):
            with pytest.raises(TimeoutError) as raised:
                wait(0)
            assert not isinstance(raised.value, testing.DeadlineError)
        child.tell("go")
        assert child.result() == "done"


def test_a_child_that_blocks_all_signals_is_ended_and_the_missing_stack_explained() -> None:
    def blocks() -> None:
        libc.sigprocmask(libc.SIG_SETMASK, libc.SignalSet.full())
        deadlocks()

    report = lateness_of(blocks)
    assert report.stack == ""
    assert "its Python stack cannot be had: it blocks SIGABRT" in str(report)
    assert all(thread.state == "S" for thread in report.threads)


def test_a_child_that_is_stopped_at_its_deadline_is_said_to_be_and_shows_its_stack() -> None:
    def stops() -> None:
        os.kill(os.getpid(), libc.SIGSTOP)

    report = lateness_of(stops, "T")
    assert "was stopped by a signal" in str(report)
    assert "in stops" in report.stack


def test_a_child_that_handles_sigabrt_is_killed_all_the_same() -> None:
    def handles() -> None:
        libc.sigaction(ABRT, libc.Sigaction(libc.SIG_IGN))
        deadlocks()

    report = lateness_of(handles)
    assert report.signal == libc.SIGKILL
    assert "it handles or ignores SIGABRT" in str(report)


def test_a_deadline_leaves_no_core_file_where_crashes_do(tmp_path: object) -> None:
    def child() -> testing.CrashReport:
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        os.chdir(str(tmp_path))
        return lateness_of(deadlocks)

    with testing.fork(child) as outer:
        report = outer.result()
    assert report.status is not None
    assert not report.status.core_dumped


def test_deadlines_that_are_none_are_refused() -> None:
    for wrong in (-1, float("nan")):
        with pytest.raises(ValueError, match="a timeout is None or a number"):
            testing.fork(os.getpid, deadline=wrong)


def test_without_a_deadline_a_child_may_take_its_time() -> None:
    with testing.fork(os.getpid, deadline=None) as child:
        assert child.result() == child.pid


# -- what nobody asked for --


def test_a_bad_end_that_nobody_asked_for_is_overlooked_and_any_other_not() -> None:
    def fails() -> object:
        raise KeyError("it failed")

    def ended(function: Callable[[], object]) -> testing.Child[object]:
        child = testing.fork(function)
        libc.ppoll([(child.pidfd, 1)], DEADLINE)
        return child

    with ended(reads_null) as child:
        assert isinstance(child.overlooked(), testing.CrashError)
    with ended(fails) as child:
        assert isinstance(child.overlooked(), KeyError)
    with ended(os.getpid) as child:
        assert child.overlooked() is None
    with ended(reads_null) as child:
        child.wait()
        assert child.overlooked() is None
    with testing.fork(signal.pause) as running:
        assert running.overlooked() is None
        running.close()
        assert running.overlooked() is None
