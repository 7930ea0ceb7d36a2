"""signals.waiting: waits that go on after signals of others, and end in time."""

from __future__ import annotations

import errno
import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest
from until import until_blocked

from unixipc import libc, processes, signals
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork

HUP, USR1, USR2, TERM, ALRM, RT = (
    libc.SIGHUP,
    libc.SIGUSR1,
    libc.SIGUSR2,
    libc.SIGTERM,
    libc.SIGALRM,
    libc.SIGRTMIN,
)
WRONG_TIMEOUTS = [
    (-1, ValueError),
    (-1e-9, ValueError),
    (float("nan"), ValueError),
    (float("-inf"), ValueError),
    ("1", TypeError),
    ([], TypeError),
]


def _mask() -> libc.SignalSet:
    return libc.sigprocmask(libc.SIG_BLOCK)


def _join(thread: threading.Thread) -> None:
    thread.join(DEADLINE)
    assert not thread.is_alive()


# -- wait --


def test_wait_gives_the_siginfo(fork: Fork) -> None:
    with signals.blocked({USR1, RT}):
        child = fork(signals.queue, os.getpid(), RT, 7)
        info = signals.wait({USR1, RT})
        assert (info.si_signo, info.si_value, info.si_pid) == (RT, 7, child.pid)
        child.result()


def test_wait_takes_one_signal_or_several_and_what_is_there_at_once() -> None:
    with signals.blocked({USR1, RT}):
        for value in range(3):
            signals.queue(os.getpid(), RT, value)
        assert [signals.wait(RT, timeout).si_value for timeout in (0, None, DEADLINE)] == [0, 1, 2]
        libc.raise_(USR1)
        assert signals.wait([RT, USR1], 0).si_signo == USR1


@pytest.mark.parametrize("timeout", [0, 0.0, 1e-12, 0.01])
def test_wait_in_vain_is_timeout_error(timeout: float) -> None:
    with signals.blocked(USR1), pytest.raises(TimeoutError, match=r"wait\(SignalSet\({SIGUSR1}\), .*in time") as caught:
        signals.wait(USR1, timeout)
    assert caught.value.errno == errno.ETIMEDOUT
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(("timeout", "error"), WRONG_TIMEOUTS)
def test_wait_refuses_a_wrong_timeout(timeout: Any, error: type[Exception]) -> None:
    with signals.blocked(USR1), pytest.raises(error):
        signals.wait(USR1, timeout)


@pytest.mark.parametrize("timeout", [float("inf"), 1e30, 10**400])
def test_a_timeout_that_the_kernel_cannot_hold_waits_for_ever(timeout: float) -> None:
    with (
        signals.handling(ALRM, lambda *_: libc.raise_(USR1)),
        signals.receiver(USR2) as received,
        signals.blocked(USR1),
    ):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        assert signals.wait(USR1, timeout).si_signo == USR1
        with signals.blocked(ALRM):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            signals.suspend({USR1}, timeout)
        assert signals.wait(USR1, 0).si_signo == USR1
        libc.raise_(USR2)
        assert received.receive(timeout).si_signo == USR2


@pytest.mark.parametrize("wrong", [None, "SIGUSR1", 1.5, [None], object()])
def test_wait_refuses_what_is_no_number(wrong: Any) -> None:
    with pytest.raises(TypeError):
        signals.wait(wrong, 0)


@pytest.mark.parametrize("wrong", [0, -1, 32, 33, 65, 2**70, [0]])
def test_wait_refuses_what_is_no_signal(wrong: Any) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        signals.wait(wrong, 0)


def test_wait_refuses_what_is_not_blocked_and_says_which() -> None:
    with (
        signals.blocked(USR1),
        pytest.raises(ValueError, match=r"SignalSet\({SIGUSR2, SIGRTMIN}\).*within blocked\(\)"),
    ):
        signals.wait({USR1, USR2, RT})


def test_wait_takes_all_signals_though_two_cannot_be_blocked() -> None:
    with signals.blocked():
        libc.raise_(USR1)
        assert signals.wait(signals.SignalSet.full(), DEADLINE).si_signo == USR1


def test_wait_for_nothing_only_waits() -> None:
    with pytest.raises(TimeoutError):
        signals.wait((), 0.01)


def test_wait_runs_the_handlers_of_other_signals_and_goes_on(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready, handled = gate(), gate()

    def child(timeout: float | None) -> int:
        with signals.handling(USR2, lambda *_: handled.open()), signals.blocked(USR1):
            ready.open()
            return signals.wait(USR1, timeout).si_signo

    for timeout in (None, DEADLINE):
        waiting = fork(child, timeout)
        ready.wait()
        for _ in range(3):
            until_blocked(waiting.pid)
            signals.send(waiting, USR2)
            handled.wait()
        signals.send(waiting, USR1)
        assert waiting.result() == USR1


@pytest.mark.parametrize("wait", ["wait", "receive", "stop"])
def test_other_signals_do_not_lengthen_the_time(wait: str) -> None:
    """They come all the time; if each began the time anew, it would never be up."""
    count = 0

    def tick(*_: object) -> None:
        nonlocal count
        count += 1

    def wait_in_vain() -> None:
        if wait == "wait":
            with pytest.raises(TimeoutError):
                signals.wait(USR1, 0.1)
        elif wait == "receive":
            with signals.receiver(USR2) as received, pytest.raises(TimeoutError):
                received.receive(0.1)
        else:
            with signals.stopping(TERM) as stop:
                assert not stop.wait(0.1)

    with signals.handling(ALRM, tick), signals.blocked(USR1):
        signal.setitimer(signal.ITIMER_REAL, 0.005, 0.005)
        try:
            while count <= 1:  # a process that stood still for as long has seen but one
                wait_in_vain()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)


def interrupted_soon(wait: Callable[[], object]) -> None:
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    wait()


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, ValueError])
def test_what_a_handler_raises_comes_out_of_the_wait(error: type[BaseException]) -> None:
    def fail(*_: object) -> None:
        raise error("mine")

    with signals.handling(ALRM, fail), signals.blocked(USR1):
        before = _mask()
        for wait in (lambda: signals.wait(USR1, DEADLINE), lambda: signals.suspend((), DEADLINE)):
            with pytest.raises(error, match="mine"):
                interrupted_soon(wait)
            assert _mask() == before


def test_wait_on_another_thread_gets_what_the_process_gets(fork: Fork) -> None:
    found: list[libc.Siginfo] = []
    with signals.blocked(RT):
        thread = threading.Thread(target=lambda: found.append(signals.wait(RT, DEADLINE)))
        thread.start()
        signals.queue(os.getpid(), RT, 3)
        _join(thread)
    assert [info.si_value for info in found] == [3]


def test_wait_minds_the_calling_thread_s_mask_only() -> None:
    found: list[object] = []

    def work() -> None:
        libc.sigprocmask(libc.SIG_UNBLOCK, {USR1})
        try:
            signals.wait(USR1, 0)
        except ValueError:
            found.append("refused")

    with signals.blocked(USR1):
        thread = threading.Thread(target=work)
        thread.start()
        _join(thread)
    assert found == ["refused"]


# -- suspend --


def test_the_handler_runs_under_the_temporary_mask_and_the_old_one_is_back() -> None:
    log: list[libc.SignalSet] = []
    with signals.handling(USR1, lambda *_: log.append(_mask()), mask={USR2}), signals.blocked({HUP, USR1}):
        before = _mask()
        libc.raise_(USR1)
        signals.suspend({TERM}, DEADLINE)
        assert log == [signals.SignalSet({TERM, USR1, USR2})]
        assert _mask() == before


def test_without_a_mask_the_present_one_stays() -> None:
    log: list[libc.SignalSet] = []
    with signals.handling(ALRM, lambda *_: log.append(_mask())), signals.blocked({HUP}):
        before = _mask()
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)  # again and again, for one may come before it waits
        try:
            signals.suspend()
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        assert set(log) == {before | {ALRM}}
        assert _mask() == before


def test_suspend_does_not_end_by_what_its_mask_blocks() -> None:
    with signals.handling({USR1, USR2}, lambda *_: None), signals.blocked({USR1, USR2}):
        libc.raise_(USR1)
        with pytest.raises(TimeoutError):
            signals.suspend({USR1}, 0.02)
        assert USR1 in libc.sigpending()
        signals.suspend({USR2}, DEADLINE)


def test_suspend_does_not_end_by_what_is_ignored() -> None:
    with signals.handling(ALRM, libc.SIG_IGN):
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        with pytest.raises(TimeoutError):
            signals.suspend((), 0.05)
        signal.setitimer(signal.ITIMER_REAL, 0)


@pytest.mark.parametrize("timeout", [0, 0.0, 0.01])
def test_suspend_in_vain_is_timeout_error_with_the_old_mask(timeout: float) -> None:
    with signals.blocked({USR1}):
        before = _mask()
        with pytest.raises(TimeoutError, match=r"suspend\(.*no handler ran in time") as caught:
            signals.suspend((), timeout)
        assert caught.value.errno == errno.ETIMEDOUT
        assert _mask() == before


def test_a_timeout_of_0_lets_what_is_pending_through() -> None:
    log: list[int] = []
    with signals.handling(USR1, log.append, flags=0), signals.blocked(USR1):
        libc.raise_(USR1)
        signals.suspend((), 0)
        assert log == [USR1]


@pytest.mark.parametrize(("timeout", "error"), WRONG_TIMEOUTS)
def test_suspend_refuses_a_wrong_timeout(timeout: Any, error: type[Exception]) -> None:
    before = _mask()
    with pytest.raises(error):
        signals.suspend((), timeout)
    assert _mask() == before


@pytest.mark.parametrize(
    ("mask", "error"), [(USR1, TypeError), ("x", TypeError), ([None], TypeError), ({0}, OSError), ({65}, OSError)]
)
def test_suspend_refuses_a_wrong_mask(mask: Any, error: type[Exception]) -> None:
    before = _mask()
    with pytest.raises(error):
        signals.suspend(mask, 0)
    assert _mask() == before


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_no_signal_slips_by_between_the_check_and_suspend(
    fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    rounds, go = 4000, gate()

    def send(target: int) -> None:
        for _ in range(rounds):
            go.wait()
            signals.send(target, USR1)

    def child() -> int:
        caught = 0

        def count(*_: object) -> None:
            nonlocal caught
            caught += 1

        with (
            signals.handling(USR1, count),
            signals.blocked(USR1) as before,
            processes.fork(send, os.getpid()) as sender,
        ):
            for expected in range(1, rounds + 1):
                go.open()
                while caught < expected:
                    signals.suspend(before, timeout)
            sender.result()
        return caught

    assert fork(child).result() == rounds


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
def test_the_same_where_wait_takes_the_signal(fork: Fork, gate: Callable[[], Gate]) -> None:
    rounds, go = 4000, gate()

    def send(target: int) -> None:
        for value in range(rounds):
            go.wait()
            signals.queue(target, RT, value)

    def child() -> list[int | None]:
        values = []
        with signals.blocked(RT), processes.fork(send, os.getpid()) as sender:
            for _ in range(rounds):
                go.open()
                values.append(signals.wait(RT, DEADLINE).si_value)
            sender.result()
        return values

    assert fork(child).result() == list(range(rounds))


def test_suspend_within_a_handler_waits_for_the_next() -> None:
    log: list[str] = []

    def outer(*_: object) -> None:
        libc.raise_(USR2)
        signals.suspend((), DEADLINE)
        log.append("outer")

    with (
        signals.handling(USR2, lambda *_: log.append("inner")),
        signals.handling(USR1, outer, mask={USR2}),
    ):
        libc.raise_(USR1)
    assert log == ["inner", "outer"]


def test_suspend_on_another_thread_ends_by_a_signal_to_it() -> None:
    ended = threading.Event()
    masks: list[libc.SignalSet] = []

    def work() -> None:
        libc.sigprocmask(libc.SIG_SETMASK, {USR1, USR2})
        signals.suspend({USR2}, DEADLINE)
        masks.append(_mask())
        ended.set()

    log: list[bool] = []
    here = threading.main_thread()
    with signals.handling(USR1, lambda *_: log.append(threading.current_thread() is here)):
        with signals.blocked(USR1):
            thread = threading.Thread(target=work)
            thread.start()
        signals.send(os.getpid(), USR1, thread=thread.native_id)
        assert ended.wait(DEADLINE)
        _join(thread)
    assert (masks, log) == ([signals.SignalSet({USR1, USR2})], [True])
