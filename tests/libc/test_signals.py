"""libc.signals: sending, masks and waits, between real processes."""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import inspect
import operator
import os
import pickle
import resource
import select
import signal
import struct
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from nobody import NOBODY
from until import until_blocked, until_gone

from unixipc import _cpython, libc, processes
from unixipc._native import ffi, lib
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork

INTERESTING = {libc.SIGHUP, libc.SIGUSR1, libc.SIGUSR2, libc.SIGTERM, libc.SIGRTMIN, libc.SIGRTMIN + 1}


@pytest.fixture(autouse=True, params=["front", "twin"])
def side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with the fronts of the hot calls, and with the Python functions behind them."""
    if request.param == "twin":
        for name, twin in _cpython.twins.items():
            monkeypatch.setattr(libc, name, twin)


@pytest.fixture
def reaped(fork: Fork) -> int:
    """Give the number of a process that is no more."""
    child = fork(int)
    child.result()
    return child.pid


@pytest.fixture
def as_nobody(fork: Fork) -> Callable[[Callable[[], None]], None]:
    """Run a function in a child that is another user and in a process group of its own."""
    if os.geteuid() != 0:
        pytest.skip("only root (CAP_SETUID) can become another user")

    def run(function: Callable[[], None]) -> None:
        def start() -> bool:
            os.setpgid(0, 0)
            try:
                os.setuid(NOBODY)
            except OSError:
                return False
            function()
            return True

        if not fork(start).result():
            pytest.skip(f"the kernel does not let us become user {NOBODY} (CAP_SETUID)")

    return run


def _run_in_thread(function: Callable[[], object]) -> None:
    """Run a function in another thread, and wait until the kernel has let go of that, too: joining is not enough."""
    thread = threading.Thread(target=function)
    thread.start()
    until_gone(thread)


def _handle(signum: int, handler: libc.Handler, mask: set[int] | None = None, flags: int = 0) -> None:
    """Install a handler for the rest of a child's life."""
    libc.sigaction(signum, libc.Sigaction(handler, mask or (), flags))


def _mask() -> set[int]:
    return set(libc.sigprocmask(libc.SIG_BLOCK)) & INTERESTING


def _received(signum: int) -> libc.Siginfo:
    return libc.sigtimedwait({signum}, DEADLINE)


# -- sending --


def test_kill_reaches_another_process(fork: Fork) -> None:
    child = fork(libc.pause)
    libc.kill(child.pid, libc.SIGTERM)
    assert child.wait().returncode == -libc.SIGTERM


def test_signal_0_only_checks(fork: Fork) -> None:
    child = fork(libc.pause)
    libc.kill(child.pid, 0)
    libc.tgkill(child.pid, child.pid, 0)
    libc.sigqueue(child.pid, 0)
    libc.pidfd_send_signal(child.pidfd, 0)
    libc.kill(child.pid, libc.SIGTERM)
    assert child.wait().returncode == -libc.SIGTERM


def test_kill_of_0_reaches_the_caller_s_own_group(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def group() -> None:
        os.setpgid(0, 0)
        with processes.fork(libc.pause) as member:
            ready.open()
            libc.pause()
            member.wait(DEADLINE)

    child = fork(group)
    ready.wait()
    libc.kill(-child.pid, libc.SIGUSR1)
    assert child.wait().returncode == -libc.SIGUSR1

    def lonely() -> None:
        os.setpgid(0, 0)
        libc.kill(0, libc.SIGUSR2)

    assert fork(lonely).wait().returncode == -libc.SIGUSR2


def test_killpg_reaches_every_member_of_the_group(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def leader() -> list[int]:
        os.setpgid(0, 0)
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
        with processes.fork(libc.sigwait, {libc.SIGUSR1}) as one, processes.fork(libc.sigwait, {libc.SIGUSR1}) as two:
            ready.open()
            return [libc.sigwait({libc.SIGUSR1}), one.result(), two.result()]

    child = fork(leader)
    ready.wait()
    libc.killpg(child.pid, libc.SIGUSR1)
    assert child.result() == [libc.SIGUSR1] * 3


def test_tgkill_reaches_the_one_thread(block: Callable[..., object]) -> None:
    found: list[tuple[int, bool]] = []

    def work() -> None:
        libc.tgkill(os.getpid(), threading.get_native_id(), libc.SIGUSR1)
        pending_here = libc.SIGUSR1 in libc.sigpending()
        found.append((_received(libc.SIGUSR1).si_code, pending_here))

    block(libc.SIGUSR1)
    _run_in_thread(work)
    assert found == [(libc.SI_TKILL, True)]
    libc.tgkill(os.getpid(), threading.get_native_id(), libc.SIGUSR1)
    assert _received(libc.SIGUSR1).si_pid == os.getpid()


def test_raise_signals_the_calling_thread(block: Callable[..., object]) -> None:
    block(libc.SIGUSR1)
    left: list[libc.SignalSet] = []

    def work() -> None:
        libc.raise_(libc.SIGUSR1)
        left.append(libc.sigpending())
        _received(libc.SIGUSR1)

    _run_in_thread(work)
    assert libc.SIGUSR1 in left[0]
    assert libc.SIGUSR1 not in libc.sigpending()


def test_queued_signals_come_lowest_number_first_and_each_in_its_order(block: Callable[..., object]) -> None:
    low, high = libc.SIGRTMIN, libc.SIGRTMIN + 1
    block(low, high)
    for value in range(5):
        libc.sigqueue(os.getpid(), high, value)
        libc.sigqueue(os.getpid(), low, value)
    came = [libc.sigwaitinfo({low, high}) for _ in range(10)]
    assert [(info.si_signo, info.si_value) for info in came] == [(n, value) for n in (low, high) for value in range(5)]


def test_a_standard_signal_waits_once_however_often_it_was_sent(block: Callable[..., object]) -> None:
    block(libc.SIGUSR1)
    for value in range(3):
        libc.sigqueue(os.getpid(), libc.SIGUSR1, value)
    assert _received(libc.SIGUSR1).si_value == 0
    with pytest.raises(BlockingIOError):
        libc.sigtimedwait({libc.SIGUSR1}, 0)


@pytest.mark.parametrize("value", [2**31, -(2**31) - 1, 2**64, 10**30])
def test_a_value_that_no_c_int_holds_is_an_overflow(value: int) -> None:
    with pytest.raises(OverflowError, match=r"does not fit a C int; pass an address as pointer="):
        libc.sigqueue(os.getpid(), 0, value)


@pytest.mark.parametrize("pointer", [-1, 2**64, 10**30])
def test_a_pointer_that_is_no_address_is_an_overflow(pointer: int) -> None:
    with pytest.raises(OverflowError):
        libc.sigqueue(os.getpid(), 0, pointer=pointer)


@pytest.mark.parametrize("wrong", [1.5, "1", None])
def test_a_value_that_is_no_integer_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        libc.sigqueue(os.getpid(), 0, wrong)


def test_a_full_queue_is_eagain_and_says_which_limit(fork: Fork) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGRTMIN, libc.SIGUSR1})
        for queue in (
            partial(libc.sigqueue, os.getpid(), libc.SIGRTMIN, 1),
            partial(libc.sigqueue, os.getpid(), libc.SIGRTMIN, pointer=1),
        ):
            with pytest.raises(BlockingIOError, match="RLIMIT_SIGPENDING") as caught:
                queue()
            assert caught.value.errno == errno.EAGAIN
        assert not libc.sigpending()
        libc.kill(os.getpid(), libc.SIGRTMIN)  # what the kernel makes without memory is not refused
        assert _received(libc.SIGRTMIN).si_signo == libc.SIGRTMIN

    fork(fill).result()


def test_a_process_that_is_no_more_is_esrch(reaped: int) -> None:
    for call in (
        partial(libc.kill, reaped, 0),
        partial(libc.killpg, reaped, 0),
        partial(libc.tgkill, reaped, reaped, 0),
        partial(libc.sigqueue, reaped, 0),
        partial(libc.sigqueue, reaped, 0, pointer=1),
        partial(libc.pidfd_open, reaped),
    ):
        with pytest.raises(ProcessLookupError, match=rf"\({reaped}[,)].*there is no such process, group or thread"):
            call()


def test_a_pidfd_of_a_process_that_is_no_more_is_esrch(fork: Fork) -> None:
    child = fork(int)
    pidfd = libc.pidfd_open(child.pid)
    try:
        child.result()
        with pytest.raises(ProcessLookupError):
            libc.pidfd_send_signal(pidfd, 0)
    finally:
        os.close(pidfd)


def test_a_thread_of_another_process_is_esrch(fork: Fork) -> None:
    child = fork(libc.pause)
    with pytest.raises(ProcessLookupError):
        libc.tgkill(os.getpid(), child.pid, 0)


def test_another_user_s_process_is_eperm(as_nobody: Callable[[Callable[[], None]], None]) -> None:
    target, group = os.getpid(), os.getpgid(0)
    pidfd = libc.pidfd_open(target)

    def send() -> None:
        for call in (
            partial(libc.kill, target, 0),
            partial(libc.killpg, group, 0),
            partial(libc.tgkill, target, target, 0),
            partial(libc.sigqueue, target, 0),
            partial(libc.pidfd_send_signal, pidfd, 0),
        ):
            with pytest.raises(PermissionError, match="CAP_KILL is needed"):
                call()

    try:
        as_nobody(send)
    finally:
        os.close(pidfd)


@pytest.mark.parametrize("signum", [65, -1, 2**31 - 1])
def test_a_number_that_is_no_signal_cannot_be_sent(fork: Fork, signum: int) -> None:
    child = fork(libc.pause)
    for call in (
        partial(libc.kill, child.pid, signum),
        partial(libc.killpg, os.getpgid(0), signum),
        partial(libc.tgkill, child.pid, child.pid, signum),
        partial(libc.raise_, signum),
        partial(libc.sigqueue, child.pid, signum),
        partial(libc.pidfd_send_signal, child.pidfd, signum),
    ):
        with pytest.raises(OSError, match="Invalid argument") as caught:
            call()
        assert caught.value.errno == errno.EINVAL
    assert child.returncode is None


@pytest.mark.parametrize("signum", [0, 32, 33])
def test_raise_takes_signals_of_a_program_only(signum: int) -> None:
    with pytest.raises(OSError, match=rf"raise\({signum}\): Invalid argument"):
        libc.raise_(signum)


def test_a_target_that_names_none_is_einval() -> None:
    for call in (
        partial(libc.killpg, -1, 0),
        partial(libc.tgkill, 0, 1, 0),
        partial(libc.tgkill, 1, -1, 0),
        partial(libc.pidfd_open, 0),
        partial(libc.pidfd_open, -1),
        partial(libc.pidfd_open, os.getpid(), 0x7FFF_FFFF),
    ):
        with pytest.raises(OSError, match="Invalid argument"):
            call()


def test_arguments_that_c_cannot_hold_are_python_s_errors() -> None:
    for call in (libc.kill, libc.killpg, libc.sigqueue, libc.pidfd_send_signal):
        with pytest.raises(OverflowError):
            call(2**31, 0)
        with pytest.raises(OverflowError):
            call(1, 2**31)
    calls: list[Callable[[Any, Any], object]] = [libc.kill, libc.killpg, libc.sigqueue, libc.pidfd_send_signal]
    for strict in calls:
        with pytest.raises(TypeError):
            strict("1", 0)
        with pytest.raises(TypeError):
            strict(1, None)


def test_an_error_names_the_call_and_its_arguments(reaped: int) -> None:
    with pytest.raises(ProcessLookupError) as caught:
        libc.kill(reaped, 0)
    assert str(caught.value) == (
        f"[Errno 3] kill({reaped}, 0): No such process: there is no such process, group or thread"
    )


# -- pidfds --


def test_a_pidfd_becomes_readable_when_the_process_ends(fork: Fork) -> None:
    child = fork(libc.pause)
    pidfd = libc.pidfd_open(child.pid)
    try:
        assert not os.get_inheritable(pidfd)
        assert not select.select([pidfd], [], [], 0)[0]
        libc.pidfd_send_signal(pidfd, libc.SIGTERM)
        assert select.select([pidfd], [], [], DEADLINE)[0]
        assert child.wait().returncode == -libc.SIGTERM
    finally:
        os.close(pidfd)


def _queued_by_hand(signum: int, code: int, value: int) -> libc.Siginfo:
    return libc.Siginfo(struct.pack("@iii4xiIi", signum, 0, code, 1234, 5678, value).ljust(128, b"\0"))


def test_a_siginfo_of_one_s_own_arrives_as_it_was_sent(block: Callable[..., object]) -> None:
    block(libc.SIGRTMIN)
    pidfd = libc.pidfd_open(os.getpid())
    try:
        for code in (libc.SI_QUEUE, libc.SI_USER, libc.SI_MESGQ):
            sent = _queued_by_hand(libc.SIGRTMIN, code, 77)
            libc.pidfd_send_signal(pidfd, libc.SIGRTMIN, sent)
            assert _received(libc.SIGRTMIN) == sent
    finally:
        os.close(pidfd)


def test_a_siginfo_of_one_s_own_goes_to_another_process_when_it_pretends_nothing(
    fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready = gate()

    def receive() -> libc.Siginfo:
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGRTMIN})
        ready.open()
        return _received(libc.SIGRTMIN)

    child = fork(receive)
    ready.wait()
    for pretence in (libc.SI_USER, libc.SI_TKILL, libc.SI_KERNEL):
        with pytest.raises(PermissionError):
            libc.pidfd_send_signal(child.pidfd, libc.SIGRTMIN, _queued_by_hand(libc.SIGRTMIN, pretence, 1))
    sent = _queued_by_hand(libc.SIGRTMIN, libc.SI_QUEUE, 77)
    libc.pidfd_send_signal(child.pidfd, libc.SIGRTMIN, sent)
    assert child.result() == sent


def test_pidfd_send_signal_refuses_what_does_not_fit(fork: Fork) -> None:
    child = fork(libc.pause)
    with pytest.raises(OSError, match="Invalid argument"):  # the siginfo is about another signal
        libc.pidfd_send_signal(child.pidfd, libc.SIGTERM, _queued_by_hand(libc.SIGUSR1, libc.SI_QUEUE, 0))
    with pytest.raises(OSError, match="Invalid argument"):
        libc.pidfd_send_signal(child.pidfd, libc.SIGTERM, None, 0x7FFF_FFFF)
    read_end, write_end = os.pipe()
    try:
        with pytest.raises(OSError, match="Bad file descriptor") as caught:
            libc.pidfd_send_signal(read_end, 0)
        assert caught.value.errno == errno.EBADF
    finally:
        os.close(read_end)
        os.close(write_end)
    with pytest.raises(OSError, match="Bad file descriptor"):
        libc.pidfd_send_signal(-1, 0)


# -- masks --


@pytest.mark.parametrize("change", [libc.sigprocmask, libc.pthread_sigmask], ids=["process", "thread"])
def test_the_mask_is_changed_as_said_and_the_one_before_returned(
    block: Callable[..., object], change: Callable[..., libc.SignalSet]
) -> None:
    block()
    before = libc.sigprocmask(libc.SIG_BLOCK)
    assert change(libc.SIG_BLOCK, {libc.SIGUSR1, libc.SIGRTMIN}) == before
    assert change(libc.SIG_UNBLOCK, [libc.SIGUSR1]) == before | {libc.SIGUSR1, libc.SIGRTMIN}
    assert change(libc.SIG_SETMASK, (libc.SIGUSR2,)) == before | {libc.SIGRTMIN}
    assert change(libc.SIG_SETMASK, before) == libc.SignalSet({libc.SIGUSR2})
    assert change(libc.SIG_BLOCK) == change(libc.SIG_SETMASK) == before


def test_kill_and_stop_are_never_blocked(block: Callable[..., object]) -> None:
    before = libc.sigprocmask(libc.SIG_SETMASK, libc.SignalSet.full())
    blocked = libc.sigprocmask(libc.SIG_SETMASK, before)
    assert blocked == libc.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}


def test_our_mask_is_the_standard_library_s(block: Callable[..., object]) -> None:
    block(libc.SIGUSR1, libc.SIGRTMAX)
    assert set(signal.pthread_sigmask(signal.SIG_BLOCK, ())) == set(libc.sigprocmask(libc.SIG_BLOCK))


def test_each_thread_has_its_own_mask_and_starts_with_its_maker_s(block: Callable[..., object]) -> None:
    block(libc.SIGUSR1)
    masks: list[set[int]] = []

    def work() -> None:
        masks.append(_mask())
        libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGUSR2})
        masks.append(_mask())

    _run_in_thread(work)
    assert masks == [{libc.SIGUSR1}, {libc.SIGUSR2}]
    assert _mask() == {libc.SIGUSR1}


def test_a_wrong_change_is_refused_and_changes_nothing() -> None:
    before = libc.sigprocmask(libc.SIG_BLOCK)
    for how in (-1, 3, 99):
        with pytest.raises(OSError, match=rf"sigprocmask\({how}\): Invalid argument"):
            libc.sigprocmask(how, {libc.SIGUSR1})
    for reserved in (0, 32, 33, 65):
        with pytest.raises(OSError, match="Invalid argument"):
            libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1, reserved})
    wrong: Any
    for wrong in ("how", None, 1.5):
        with pytest.raises(TypeError):
            libc.sigprocmask(wrong, {libc.SIGUSR1})
    for wrong in (libc.SIGUSR1, ["SIGUSR1"], [None]):
        with pytest.raises(TypeError):
            libc.sigprocmask(libc.SIG_BLOCK, wrong)
    assert libc.sigprocmask(libc.SIG_BLOCK) == before


def test_sigpending_shows_what_waits_for_the_thread_and_for_its_process(block: Callable[..., object]) -> None:
    block(libc.SIGUSR1, libc.SIGUSR2, libc.SIGRTMIN)
    assert libc.sigpending() == libc.SignalSet()
    libc.kill(os.getpid(), libc.SIGUSR1)
    libc.raise_(libc.SIGRTMIN)
    assert libc.sigpending() == libc.SignalSet({libc.SIGUSR1, libc.SIGRTMIN})
    elsewhere: list[libc.SignalSet] = []
    _run_in_thread(lambda: elsewhere.append(libc.sigpending()))
    assert elsewhere == [libc.SignalSet({libc.SIGUSR1})]


def test_a_child_has_its_parent_s_mask_and_nothing_pending(block: Callable[..., object], fork: Fork) -> None:
    block(libc.SIGUSR1)
    libc.raise_(libc.SIGUSR1)
    libc.kill(os.getpid(), libc.SIGUSR1)
    assert fork(lambda: (_mask(), set(libc.sigpending()))).result() == ({libc.SIGUSR1}, set())


# -- waits --


def test_sigwait_returns_the_number(block: Callable[..., object], fork: Fork) -> None:
    block(libc.SIGRTMIN + 3)
    child = fork(libc.kill, os.getpid(), libc.SIGRTMIN + 3)
    assert libc.sigwait({libc.SIGUSR1, libc.SIGRTMIN + 3}) == libc.SIGRTMIN + 3
    child.result()


def test_sigwait_goes_on_after_handlers(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready, handled = gate(), gate()

    def wait() -> int:
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
        _handle(libc.SIGUSR2, lambda _: handled.open())
        ready.open()
        return libc.sigwait({libc.SIGUSR1})

    child = fork(wait)
    ready.wait()
    for _ in range(3):
        until_blocked(child.pid)
        libc.kill(child.pid, libc.SIGUSR2)
        handled.wait()
    libc.kill(child.pid, libc.SIGUSR1)
    assert child.result() == libc.SIGUSR1


@pytest.mark.parametrize("flags", [0, libc.SA_RESTART])
@pytest.mark.parametrize("wait", [libc.sigwaitinfo, lambda signals: libc.sigtimedwait(signals, DEADLINE)])
def test_another_signal_s_handler_ends_the_wait(
    fork: Fork, gate: Callable[[], Gate], wait: Callable[[set[int]], object], flags: int
) -> None:
    ready = gate()

    def interrupted() -> list[object]:
        log: list[object] = []
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
        _handle(libc.SIGUSR2, log.append, flags=flags)
        ready.open()
        try:
            wait({libc.SIGUSR1})
        except InterruptedError as error:
            log.append(error.errno)
        return log

    child = fork(interrupted)
    ready.wait()
    until_blocked(child.pid)
    libc.kill(child.pid, libc.SIGUSR2)
    assert child.result() == [libc.SIGUSR2, errno.EINTR]


def test_a_handler_s_exception_comes_out_of_the_wait(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def fail(signum: int) -> None:
        raise ZeroDivisionError

    def wait() -> None:
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
        _handle(libc.SIGUSR2, fail)
        ready.open()
        libc.sigwait({libc.SIGUSR1})

    child = fork(wait)
    ready.wait()
    until_blocked(child.pid)
    libc.kill(child.pid, libc.SIGUSR2)
    with pytest.raises(ZeroDivisionError):
        child.result()


def test_ctrl_c_ends_every_wait(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def wait(call: Callable[[], object]) -> str:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ready.open()
        try:
            call()
        except KeyboardInterrupt:
            return "interrupted"
        return "returned"

    for call in (
        partial(libc.sigwait, {libc.SIGUSR1}),
        partial(libc.sigwaitinfo, {libc.SIGUSR1}),
        partial(libc.sigtimedwait, {libc.SIGUSR1}, DEADLINE),
        partial(libc.sigsuspend, set[int]()),
        libc.pause,
    ):
        child = fork(wait, call)
        ready.wait()
        until_blocked(child.pid)
        libc.kill(child.pid, libc.SIGINT)
        assert child.result() == "interrupted"


@pytest.mark.parametrize("timeout", [0, 0.001, 1e-12])
def test_sigtimedwait_in_vain_is_eagain(block: Callable[..., object], timeout: float) -> None:
    block(libc.SIGUSR1)
    with pytest.raises(
        BlockingIOError, match=r"sigtimedwait\(SignalSet\({SIGUSR1}\), .*no signal of the set"
    ) as caught:
        libc.sigtimedwait({libc.SIGUSR1}, timeout)
    assert caught.value.errno == errno.EAGAIN


def test_sigtimedwait_of_0_takes_what_waits(block: Callable[..., object]) -> None:
    block(libc.SIGRTMIN)
    libc.sigqueue(os.getpid(), libc.SIGRTMIN, 5)
    assert libc.sigtimedwait({libc.SIGRTMIN}, 0).si_value == 5


def test_a_wrong_timeout_is_refused(block: Callable[..., object]) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        libc.sigtimedwait({libc.SIGUSR1}, -1)
    with pytest.raises(ValueError, match="not NaN"):
        libc.sigtimedwait({libc.SIGUSR1}, float("nan"))
    with pytest.raises(OverflowError):
        libc.sigtimedwait({libc.SIGUSR1}, 1e30)


@pytest.mark.parametrize("wait", [libc.sigwait, libc.sigwaitinfo, lambda signals: libc.sigtimedwait(signals, 0)])
def test_no_wait_takes_a_set_with_what_is_no_signal(wait: Callable[[set[int]], object]) -> None:
    for number in (0, 32, 33, 65):
        with pytest.raises(OSError, match="Invalid argument"):
            wait({number})


def test_sigsuspend_runs_the_handler_under_the_temporary_mask_and_before_it_returns(fork: Fork) -> None:
    def suspend() -> list[object]:
        log: list[object] = []
        _handle(libc.SIGUSR1, lambda _: log.append(_mask()), mask={libc.SIGUSR2})
        libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGHUP, libc.SIGUSR1})
        libc.raise_(libc.SIGUSR1)
        assert libc.sigsuspend({libc.SIGTERM}) is None  # type: ignore[func-returns-value]
        log.append("back")
        log.append(_mask())
        return log

    inside = {libc.SIGTERM, libc.SIGUSR1, libc.SIGUSR2}
    assert fork(suspend).result() == [inside, "back", {libc.SIGHUP, libc.SIGUSR1}]


def test_sigsuspend_waits_for_a_signal_that_comes_later(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def suspend() -> list[object]:
        log: list[object] = []
        libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGUSR1})
        _handle(libc.SIGUSR1, log.append)
        ready.open()
        libc.sigsuspend(())
        return [*log, _mask()]

    child = fork(suspend)
    ready.wait()
    until_blocked(child.pid)
    libc.kill(child.pid, libc.SIGUSR1)
    assert child.result() == [libc.SIGUSR1, {libc.SIGUSR1}]


def test_sigsuspend_does_not_wake_for_what_its_mask_blocks(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def suspend() -> list[object]:
        log: list[object] = []
        libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGUSR1, libc.SIGUSR2})
        _handle(libc.SIGUSR1, log.append)
        _handle(libc.SIGUSR2, log.append)
        libc.raise_(libc.SIGUSR1)
        ready.open()
        libc.sigsuspend({libc.SIGUSR1})
        log.append(set(libc.sigpending()))
        return log

    child = fork(suspend)
    ready.wait()
    until_blocked(child.pid)
    libc.kill(child.pid, libc.SIGUSR2)
    assert child.result() == [libc.SIGUSR2, {libc.SIGUSR1}]


def test_sigsuspend_runs_a_handler_of_the_standard_library_s_too(fork: Fork) -> None:
    def suspend() -> list[object]:
        log: list[object] = []
        signal.signal(signal.SIGUSR1, lambda signum, _: log.append(signum))
        libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGUSR1})
        libc.raise_(libc.SIGUSR1)
        libc.sigsuspend(())
        return [*log, _mask()]

    assert fork(suspend).result() == [libc.SIGUSR1, {libc.SIGUSR1}]


def test_a_handler_s_exception_leaves_sigsuspend_with_the_old_mask(fork: Fork) -> None:
    def fail(signum: int) -> None:
        raise ZeroDivisionError

    def suspend() -> set[int]:
        _handle(libc.SIGUSR1, fail)
        libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGUSR1, libc.SIGHUP})
        libc.raise_(libc.SIGUSR1)
        with pytest.raises(ZeroDivisionError):
            libc.sigsuspend({libc.SIGTERM})
        return _mask()

    assert fork(suspend).result() == {libc.SIGUSR1, libc.SIGHUP}


def test_sigsuspend_inside_a_handler_waits_for_the_next(fork: Fork) -> None:
    def suspend() -> list[object]:
        log: list[object] = []

        def outer(signum: int) -> None:
            log.append(("outer", _mask()))
            libc.sigsuspend({libc.SIGHUP})
            log.append(("outer again", _mask()))

        _handle(libc.SIGUSR1, outer, mask={libc.SIGUSR2})
        _handle(libc.SIGUSR2, lambda _: log.append(("inner", _mask())))
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1, libc.SIGUSR2})
        libc.raise_(libc.SIGUSR1)
        libc.raise_(libc.SIGUSR2)
        libc.sigprocmask(libc.SIG_UNBLOCK, {libc.SIGUSR1, libc.SIGUSR2})
        return [*log, _mask()]

    both = {libc.SIGUSR1, libc.SIGUSR2}
    assert fork(suspend).result() == [
        # SIGUSR2 is let through by no one but sigsuspend: sa_mask blocks it
        ("outer", both),
        ("inner", {libc.SIGHUP, libc.SIGUSR2}),
        ("outer again", both),
        set(),
    ]


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
def test_no_signal_slips_by_between_the_check_and_sigsuspend(fork: Fork, gate: Callable[[], Gate]) -> None:
    rounds, go = 10_000, gate()

    def send(target: int) -> None:
        for _ in range(rounds):
            go.wait()
            libc.kill(target, libc.SIGUSR1)

    def race() -> int:
        caught = 0

        def count(signum: int) -> None:
            nonlocal caught
            caught += 1

        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
        _handle(libc.SIGUSR1, count)
        with processes.fork(send, os.getpid()) as sender:
            for expected in range(1, rounds + 1):
                go.open()
                while caught < expected:
                    libc.sigsuspend(())
            sender.result()
        return caught

    assert fork(race).result() == rounds


def test_sigsuspend_refuses_what_is_no_signal() -> None:
    for number in (0, 32, 33, 65):
        with pytest.raises(OSError, match="Invalid argument"):
            libc.sigsuspend({number})


def test_pause_returns_after_the_handler(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def wait() -> list[object]:
        log: list[object] = []
        _handle(libc.SIGUSR1, lambda _: log.append(_mask()), mask={libc.SIGHUP})
        ready.open()
        libc.pause()
        return [*log, _mask()]

    child = fork(wait)
    ready.wait()
    until_blocked(child.pid)
    libc.kill(child.pid, libc.SIGUSR1)
    assert child.result() == [{libc.SIGUSR1, libc.SIGHUP}, set()]


@pytest.mark.parametrize("call", [partial(libc.sigsuspend, [libc.SIGTERM]), libc.pause])
def test_waits_on_another_thread_end_by_its_own_signals(fork: Fork, call: Callable[[], None]) -> None:
    """The signal comes to the thread, and its handler runs on the main one."""

    def wait() -> list[object]:
        log: list[object] = []
        masks: list[object] = []

        def work() -> None:
            libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGTERM})
            call()
            masks.append(_mask())

        _handle(libc.SIGUSR1, lambda _: log.append(threading.current_thread() is threading.main_thread()))
        thread = threading.Thread(target=work)
        thread.start()
        deadline = time.monotonic() + DEADLINE
        while thread.is_alive() and time.monotonic() < deadline:
            assert thread.native_id is not None
            try:
                libc.tgkill(os.getpid(), thread.native_id, libc.SIGUSR1)
            except ProcessLookupError:
                break
        thread.join(DEADLINE)
        return [*masks, all(log), bool(log), _mask()]

    assert fork(wait).result() == [{libc.SIGTERM}, True, True, set()]


def test_a_wait_on_another_thread_leaves_the_main_thread_s_signals_alone(fork: Fork) -> None:
    """One call into C keeps the interpreter from looking while a signal is recorded on either thread."""

    def wait() -> tuple[set[int], list[object]]:
        log: list[object] = []
        masks: list[set[int]] = []
        returned = Gate()

        def work() -> None:
            libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGTERM})
            lib.uipc_pause()
            mask = ffi.new("uint64_t *")
            lib.uipc_sigprocmask(libc.SIG_BLOCK, ffi.NULL, mask)
            masks.append(set(libc.SignalSet.from_mask(mask[0])) & INTERESTING)
            returned.open()

        _handle(libc.SIGUSR1, lambda signum: log.append((signum, _mask())))
        signal.signal(signal.SIGUSR2, lambda *_: None)
        thread = threading.Thread(target=work)
        thread.start()
        assert thread.native_id is not None
        record = partial(lib.uipc_tgkill, os.getpid(), threading.get_native_id(), libc.SIGUSR1)
        interrupt = partial(lib.uipc_tgkill, os.getpid(), thread.native_id, libc.SIGUSR2)
        look = partial(select.select, [returned], [], [], 0.01)
        steps: list[Callable[[], object]] = [record]
        for _ in range(1000):
            steps += [interrupt, look]
        list(map(operator.call, steps))
        thread.join(DEADLINE)
        return masks[0], log

    assert fork(wait).result() == ({libc.SIGTERM}, [(libc.SIGUSR1, {libc.SIGUSR1})])


# -- alarm and abort --


def test_alarm_sends_sigalrm_and_tells_what_was_left(block: Callable[..., object]) -> None:
    block(libc.SIGALRM)
    assert libc.alarm(1000) == 0
    assert 900 <= libc.alarm(1) <= 1000
    assert _received(libc.SIGALRM).si_code == libc.SI_KERNEL
    assert libc.alarm(1000) == 0
    assert 900 <= libc.alarm(0) <= 1000


@pytest.mark.parametrize("seconds", [-1, 2**32])
def test_alarm_takes_what_an_unsigned_int_holds(seconds: int) -> None:
    with pytest.raises(OverflowError):
        libc.alarm(seconds)


def _die_quietly() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    faulthandler.disable()


def test_abort_ends_the_process_with_sigabrt(fork: Fork) -> None:
    def end() -> None:
        _die_quietly()
        libc.abort()

    child = fork(end)
    assert child.wait().returncode == -libc.SIGABRT


@pytest.mark.parametrize("ignored", [True, False])
def test_abort_minds_neither_blocking_nor_ignoring(fork: Fork, ignored: bool) -> None:
    def end() -> None:
        _die_quietly()
        if ignored:
            _handle(libc.SIGABRT, libc.SIG_IGN)
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGABRT})
        libc.abort()

    assert fork(end).wait().returncode == -libc.SIGABRT


def test_abort_runs_the_handler_once_and_ends_all_the_same(fork: Fork, gate: Callable[[], Gate]) -> None:
    handled = gate()

    def end() -> None:
        _die_quietly()
        _handle(libc.SIGABRT, lambda _: handled.open())
        libc.abort()

    assert fork(end).wait().returncode == -libc.SIGABRT
    handled.wait()
    assert not select.select([handled], [], [], 0)[0]


def test_abort_by_a_c_library_ends_with_sigabrt_though_there_is_a_python_handler(fork: Fork) -> None:
    def end() -> None:
        _die_quietly()
        _handle(libc.SIGABRT, lambda _: None)
        ctypes.CDLL(None).abort()

    assert fork(end).wait().returncode == -libc.SIGABRT


def test_a_handler_that_raises_prevents_abort(fork: Fork) -> None:
    def refuse(signum: int) -> None:
        raise ZeroDivisionError

    def survive() -> str:
        _die_quietly()
        _handle(libc.SIGABRT, refuse)
        with pytest.raises(ZeroDivisionError):
            libc.abort()
        return "alive"

    assert fork(survive).result() == "alive"


def test_real_time_signals_have_the_c_library_s_numbers() -> None:
    c = ctypes.CDLL(None)
    assert (c.__libc_current_sigrtmin(), c.__libc_current_sigrtmax()) == (libc.SIGRTMIN, libc.SIGRTMAX)


@pytest.mark.parametrize("name", _cpython.twins)
def test_a_front_looks_like_its_twin(name: str) -> None:
    twin = _cpython.twins[name]
    front = getattr(sys.modules[twin.__module__], name)
    plain = [parameter.replace(annotation=parameter.empty) for parameter in inspect.signature(twin).parameters.values()]
    assert list(inspect.signature(front).parameters.values()) == plain
    assert (front.__name__, front.__module__, inspect.getdoc(front)) == (name, twin.__module__, inspect.getdoc(twin))
    assert pickle.loads(pickle.dumps(front)) is front


def test_a_child_of_fork_queues_under_its_own_pid(fork: Fork, block: Callable[..., object]) -> None:
    block(libc.SIGRTMIN)
    libc.sigqueue(os.getpid(), libc.SIGRTMIN)
    assert libc.sigwaitinfo({libc.SIGRTMIN}).si_pid == os.getpid()

    def child() -> None:
        libc.sigqueue(os.getppid(), libc.SIGRTMIN)

    made = fork(child)
    assert libc.sigwaitinfo({libc.SIGRTMIN}).si_pid == made.pid
    made.result()
