"""signals.Timer: it sends what it says, stops when told, and is gone with its block and in children."""

from __future__ import annotations

import gc
import math
import os
import threading
import time
import warnings
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc, processes
from unixipc.signals import Timer
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork

SOON = 0.001
LATER = 0.03
FIRST, SECOND = libc.SIGRTMIN, libc.SIGRTMIN + 1


def _next(*signals: int) -> libc.Siginfo:
    return libc.sigtimedwait(signals, DEADLINE)


def test_a_timer_sends_its_signal_with_its_number_and_value(block: Callable[..., object]) -> None:
    block(FIRST)
    with Timer(FIRST, -7) as timer:
        timer.start(SOON)
        info = _next(FIRST)
        assert (info.si_code, info.si_timerid, info.si_value) == (libc.SI_TIMER, timer.id, -7)
        assert (timer.remaining, timer.interval, timer.overrun) == (0, 0, 0)


def test_a_timer_is_sigalrm_unless_told_otherwise(block: Callable[..., object]) -> None:
    block(libc.SIGALRM)
    with Timer() as timer:
        timer.start(SOON)
        assert _next(libc.SIGALRM).si_value == 0


def test_a_timer_that_repeats_goes_on(block: Callable[..., object]) -> None:
    block(FIRST)
    with Timer(FIRST) as timer:
        timer.start(0, SOON)
        assert timer.interval == SOON
        for _ in range(5):
            _next(FIRST)
        timer.stop()
        assert (timer.remaining, timer.interval) == (0, 0)


def test_0_is_at_once_and_not_never(block: Callable[..., object]) -> None:
    block(FIRST)
    with Timer(FIRST) as timer:
        for absolute in (False, True):
            for after in (0, 0.0, -0.0):
                timer.start(after, absolute=absolute)
                _next(FIRST)


def test_a_stopped_timer_never_fires(block: Callable[..., object]) -> None:
    block(FIRST, SECOND)
    with Timer(FIRST) as stopped, Timer(SECOND) as later:
        stopped.start(LATER, SOON)
        assert 0 < stopped.remaining <= LATER
        stopped.stop()
        stopped.stop()
        later.start(2 * LATER)
        assert _next(FIRST, SECOND).si_signo == SECOND
        assert FIRST not in libc.sigpending()


def test_a_closed_timer_never_fires(block: Callable[..., object]) -> None:
    block(FIRST, SECOND)
    with Timer(SECOND) as later:
        with Timer(FIRST) as closed:
            closed.start(LATER)
        later.start(2 * LATER)
        assert _next(FIRST, SECOND).si_signo == SECOND


def test_a_timer_that_runs_starts_anew(block: Callable[..., object]) -> None:
    block(FIRST)
    with Timer(FIRST) as timer:
        timer.start(1000, 1000)
        assert 900 < timer.remaining <= 1000
        timer.start(SOON)
        _next(FIRST)
        assert timer.interval == 0


def test_expiries_that_nobody_took_are_counted(block: Callable[..., object]) -> None:
    block(FIRST, SECOND)
    with Timer(FIRST) as ticking, Timer(SECOND) as later:
        ticking.start(SOON, SOON)
        later.start(LATER)
        _next(SECOND)
        info = _next(FIRST)
        assert info.si_overrun is not None
        assert info.si_overrun > 0
        assert ticking.overrun == info.si_overrun


def test_an_absolute_time_is_one_of_the_timer_s_clock(block: Callable[..., object]) -> None:
    block(FIRST)
    with Timer(FIRST, clock=libc.CLOCK_REALTIME) as timer:
        when = time.time() + LATER
        timer.start(when, absolute=True)
        _next(FIRST)
        assert time.time() >= when - 1e-6  # a float has no more digits
        timer.start(when, absolute=True)
        _next(FIRST)


def test_a_timer_of_a_thread_signals_that_thread(block: Callable[..., object]) -> None:
    block(FIRST)
    received: list[int] = []
    ready, looked = threading.Event(), threading.Event()

    def work() -> None:
        with Timer(FIRST, thread=threading.get_native_id()) as timer:
            timer.start(SOON)
            while FIRST not in libc.sigpending():
                time.sleep(SOON)
            ready.set()
            looked.wait(DEADLINE)
            received.append(_next(FIRST).si_signo)

    worker = threading.Thread(target=work)
    worker.start()
    ready.wait(DEADLINE)
    pending_here = FIRST in libc.sigpending()
    looked.set()
    worker.join(DEADLINE)
    assert (received, pending_here) == ([FIRST], False)


def test_a_timer_that_notifies_nobody_tells_what_remains() -> None:
    with Timer(None) as timer:
        timer.start(1000, 10)
        assert 900 < timer.remaining <= 1000
        assert timer.interval == 10


def test_a_closed_timer_says_so_and_closes_twice() -> None:
    timer = Timer(FIRST)
    assert repr(timer) == f"<Timer {timer.id} of process {os.getpid()}>"
    number = timer.id
    timer.close()
    timer.close()
    assert repr(timer) == "<Timer closed>"
    for use in _uses(timer):
        with pytest.raises(ValueError, match="this timer is closed"):
            use()
    with pytest.raises(OSError, match="no such timer"):
        libc.timer_gettime(number)


def _uses(timer: Timer) -> list[Callable[[], object]]:
    return [
        lambda: timer.id,
        lambda: timer.start(1),
        timer.stop,
        lambda: timer.remaining,
        lambda: timer.interval,
        lambda: timer.overrun,
    ]


def test_the_block_deletes_the_timer_also_when_it_raises() -> None:
    def fails() -> None:
        with Timer(FIRST) as timer:
            numbers.append(timer.id)
            raise ZeroDivisionError

    numbers: list[int] = []
    with pytest.raises(ZeroDivisionError):
        fails()
    with pytest.raises(OSError, match="no such timer"):
        libc.timer_gettime(numbers[0])


def test_a_timer_that_was_dropped_open_is_deleted_with_a_warning() -> None:
    timer = Timer(FIRST)
    number = timer.id
    with pytest.warns(ResourceWarning, match=f"unclosed <Timer {number} of process {os.getpid()}>"):
        del timer
    with pytest.raises(OSError, match="no such timer"):
        libc.timer_gettime(number)


def test_a_forked_child_has_no_timer_and_never_touches_one_of_its_own(fork: Fork) -> None:
    def child() -> None:
        timer, dropped = Timer(None), [Timer(None)]
        with timer, dropped[0]:
            timer.start(1000, 20)
            processes.fork(grandchild, timer, dropped).result()
            assert timer.interval == 20

    def grandchild(timer: Timer, dropped: list[Timer]) -> None:
        own = Timer(None)
        assert repr(own).split()[1] == repr(timer).split()[1], "each process counts its timers anew"
        own.start(1000, 10)
        for use in _uses(timer):
            with pytest.raises(ValueError, match=rf"is one of process {os.getppid()}: fork\(\) gives a child none"):
                use()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            dropped.clear()
            gc.collect()
            timer.close()
            timer.close()
        assert own.interval == 10
        own.close()

    fork(child).result()


@pytest.mark.parametrize("after", [-1, -1e-9, math.nan, math.inf])
def test_what_is_no_time_is_a_value_error(after: float) -> None:
    with Timer(None) as timer:
        with pytest.raises(ValueError, match="must be a number of seconds"):
            timer.start(after)
        with pytest.raises(ValueError, match="must be a number of seconds"):
            timer.start(1, after)
        assert timer.remaining == 0


def test_wrong_arguments_make_no_timer() -> None:
    untyped: Any = Timer
    for arguments, error in [
        (("x",), TypeError),
        ((1.5,), TypeError),
        ((0,), OSError),
        ((32,), OSError),
        ((65,), OSError),
        ((FIRST, 2**31), OverflowError),
        ((FIRST, "x"), TypeError),
    ]:
        with pytest.raises(error):
            untyped(*arguments)
    for keywords in ({"thread": -1}, {"thread": 1}, {"clock": 99}, {"clock": libc.CLOCK_MONOTONIC_RAW}):
        with pytest.raises(OSError, match="timer_create"):
            untyped(FIRST, **keywords)
    gc.collect()
