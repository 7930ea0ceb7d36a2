"""libc.timers: the interval timers of a process, and the timers of POSIX by the kernel's own numbers."""

from __future__ import annotations

import errno
import math
import re
import resource
import threading
import time
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

SOON = 0.001
LATER = 0.03
DISARMED = libc.Itimerspec(0, 0)
FIRST, SECOND = libc.SIGRTMIN, libc.SIGRTMIN + 1

SIGNALS = {libc.ITIMER_REAL: libc.SIGALRM, libc.ITIMER_VIRTUAL: libc.SIGVTALRM, libc.ITIMER_PROF: libc.SIGPROF}


@pytest.fixture
def itimers() -> Iterator[None]:
    """Disarm the interval timers at the end."""
    yield
    for which in SIGNALS:
        libc.setitimer(which, DISARMED)


@pytest.fixture
def create() -> Iterator[Callable[..., int]]:
    """Make timers that are deleted with the test."""
    made: list[int] = []

    def make(signum: int | None = FIRST, value: int = 0, clock: int = libc.CLOCK_MONOTONIC, **more: int) -> int:
        event = libc.Sigevent(libc.SIGEV_NONE) if signum is None else libc.Sigevent(0, signum, value, **more)
        made.append(libc.timer_create(clock, event))
        return made[-1]

    yield make
    for timer in made:
        with suppress(OSError):
            libc.timer_delete(timer)


def _arm(timer: int, after: float, every: float = 0, flags: int = 0) -> libc.Itimerspec:
    return libc.timer_settime(timer, flags, libc.Itimerspec(every, after))


def _next(*signals: int) -> libc.Siginfo:
    return libc.sigtimedwait(signals, DEADLINE)


def _burn_until(signum: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while signum not in libc.sigpending():
        assert time.monotonic() < deadline
        sum(range(10_000))


# -- setitimer --


@pytest.mark.parametrize(("which", "signum"), SIGNALS.items())
def test_each_interval_timer_sends_its_signal(
    which: int, signum: int, block: Callable[..., object], itimers: None
) -> None:
    block(signum)
    libc.setitimer(which, libc.Itimerspec(0, SOON))
    _burn_until(signum)
    info = _next(signum)
    assert (info.si_signo, info.si_code) == (signum, libc.SI_KERNEL)
    assert libc.getitimer(which) == DISARMED


def test_an_interval_timer_goes_on_with_its_interval(block: Callable[..., object], itimers: None) -> None:
    block(libc.SIGALRM)
    libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(SOON, SOON))
    for _ in range(3):
        _next(libc.SIGALRM)


def test_setitimer_returns_what_was_left(itimers: None) -> None:
    assert libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(7, 1000)) == DISARMED
    old = libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0, 2000))
    assert old.it_interval == 7
    assert 900 < old.it_value <= 1000
    assert 1900 < libc.getitimer(libc.ITIMER_REAL).it_value <= 2000
    assert libc.alarm(0) in range(1900, 2001)
    assert libc.getitimer(libc.ITIMER_REAL) == DISARMED


def test_an_interval_timer_that_does_not_exist_is_einval() -> None:
    for which in (-1, 3, 2**31 - 1):
        for call in (partial(libc.getitimer, which), partial(libc.setitimer, which, DISARMED)):
            with pytest.raises(OSError, match=r"which is one of ITIMER_\*") as caught:
                call()
            assert caught.value.errno == errno.EINVAL


# -- times --


@pytest.mark.parametrize("seconds", [5e-324, 1e-12, 1e-9, 1e-7, 9.99e-7])
def test_a_time_that_is_not_0_never_disarms(
    seconds: float, block: Callable[..., object], create: Callable[..., int], itimers: None
) -> None:
    block(libc.SIGALRM, FIRST)
    libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0, seconds))
    _next(libc.SIGALRM)
    _arm(create(), seconds)
    _next(FIRST)


@pytest.mark.parametrize(
    ("seconds", "nanoseconds", "microseconds"),
    [
        (1.1, 1.1, 1.1),
        (4.35, 4.35, 4.35),
        (0.123456789, 0.123456789, 0.123457),
        (1e-10, 1e-9, 1e-6),
        (0.9999999, 0.9999999, 1.0),
        (0.9999999999, 1.0, 1.0),
        (12345678.000001, 12345678.000001, 12345678.000001),
        (3, 3.0, 3.0),
        (Fraction(1, 4), 0.25, 0.25),
        (Decimal("0.5"), 0.5, 0.5),
        (True, 1.0, 1.0),
    ],
)
def test_a_fraction_is_rounded_up_to_what_the_kernel_counts_and_no_further(
    seconds: Any, nanoseconds: float, microseconds: float, create: Callable[..., int], itimers: None
) -> None:
    spec = libc.Itimerspec(seconds, 1000)
    timer = create(None)
    libc.timer_settime(timer, 0, spec)
    assert libc.timer_gettime(timer).it_interval == nanoseconds
    libc.setitimer(libc.ITIMER_REAL, spec)
    assert libc.getitimer(libc.ITIMER_REAL).it_interval == microseconds


@pytest.mark.parametrize("seconds", [2**31, 2**40, 9e18])
def test_very_long_times_are_taken(seconds: float, create: Callable[..., int], itimers: None) -> None:
    timer = create(None)
    _arm(timer, seconds, seconds)
    assert libc.timer_gettime(timer).it_value > 2**30
    libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0, seconds))
    assert libc.getitimer(libc.ITIMER_REAL).it_value > 2**30


@pytest.mark.parametrize("wrong", [-1, -1e-9, -0.5, math.nan, math.inf, -math.inf])
def test_what_is_no_number_of_seconds_is_a_value_error(wrong: float) -> None:
    for member in ("it_interval", "it_value"):
        members = {"it_interval": 1.0, "it_value": 1.0} | {member: wrong}
        with pytest.raises(ValueError, match=f"{member} is .*: it must be a number of seconds, 0 or more"):
            libc.Itimerspec(**members)


@pytest.mark.parametrize("wrong", [2**63, 1e30, 10**400])
def test_what_the_kernel_cannot_count_is_an_overflow(wrong: float) -> None:
    with pytest.raises(OverflowError):
        libc.Itimerspec(0, wrong)


@pytest.mark.parametrize("wrong", [None, "1", b"2", (1, 2), 1j, object()])
def test_what_is_no_number_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        libc.Itimerspec(wrong, 0)


@pytest.mark.parametrize("wrong", [None, 1, (0, 1), "2"])
def test_only_an_itimerspec_sets_a_timer(wrong: Any, create: Callable[..., int]) -> None:
    timer = create()
    with pytest.raises(TypeError, match="new_value is an Itimerspec"):
        libc.timer_settime(timer, 0, wrong)
    with pytest.raises(TypeError, match="new_value is an Itimerspec"):
        libc.setitimer(libc.ITIMER_REAL, wrong)


# -- timers of POSIX --


def test_a_timer_s_signal_bears_its_number_and_its_value(
    block: Callable[..., object], create: Callable[..., int]
) -> None:
    block(FIRST)
    timers = {create(FIRST, value): value for value in (7, -7, 2**31 - 1, -(2**31))}
    for timer, value in timers.items():
        _arm(timer, SOON)
        info = _next(FIRST)
        assert (info.si_code, info.si_timerid, info.si_value, info.si_overrun) == (libc.SI_TIMER, timer, value, 0)
        assert libc.timer_gettime(timer) == DISARMED


@pytest.mark.parametrize("pointer", [0, 0x1234_5678_9ABC_DEF0, 2**64 - 1])
def test_a_timer_s_signal_can_bear_a_pointer(
    pointer: int, block: Callable[..., object], create: Callable[..., int]
) -> None:
    block(FIRST)
    _arm(create(FIRST, pointer=pointer), SOON)
    assert _next(FIRST).si_ptr == pointer


def test_without_an_event_it_is_sigalrm_with_the_number_as_its_value(block: Callable[..., object]) -> None:
    block(libc.SIGALRM)
    timer = libc.timer_create(libc.CLOCK_MONOTONIC)
    try:
        _arm(timer, SOON)
        info = _next(libc.SIGALRM)
        assert (info.si_timerid, info.si_value) == (timer, timer)
    finally:
        libc.timer_delete(timer)


def test_a_python_handler_gets_the_timer_s_siginfo(fork: Fork) -> None:
    def child() -> tuple[bool, int | None]:
        infos: list[libc.Siginfo] = []
        libc.sigaction(FIRST, libc.Sigaction(lambda _, info: infos.append(info), flags=libc.SA_SIGINFO))
        libc.sigprocmask(libc.SIG_BLOCK, {FIRST})
        timer = libc.timer_create(libc.CLOCK_MONOTONIC, libc.Sigevent(libc.SIGEV_SIGNAL, FIRST, 77))
        _arm(timer, SOON)
        libc.sigsuspend(())
        return infos[0].si_timerid == timer, infos[0].si_value

    assert fork(child).result() == (True, 77)


def test_an_expiry_that_finds_the_signal_still_waiting_is_an_overrun(
    block: Callable[..., object], create: Callable[..., int]
) -> None:
    block(FIRST, SECOND)
    ticking, later = create(FIRST), create(SECOND)
    _arm(ticking, SOON, SOON)
    _arm(later, LATER)
    _next(SECOND)
    info = _next(FIRST)
    assert info.si_overrun is not None
    assert info.si_overrun >= LATER / SOON / 2
    assert libc.timer_getoverrun(ticking) == info.si_overrun
    assert libc.timer_getoverrun(later) == 0


def test_a_disarmed_timer_never_fires(block: Callable[..., object], create: Callable[..., int]) -> None:
    block(FIRST, SECOND)
    first, second = create(FIRST), create(SECOND)
    _arm(first, LATER)
    while (old := libc.timer_settime(first, 0, DISARMED)).it_value == 0:  # this process has stood still for so long
        _next(FIRST)
        _arm(first, LATER)
    assert 0 < old.it_value <= LATER
    _arm(second, 2 * LATER)
    assert _next(FIRST, SECOND).si_signo == SECOND
    assert FIRST not in libc.sigpending()


def test_a_deleted_timer_never_fires(block: Callable[..., object], create: Callable[..., int]) -> None:
    block(FIRST, SECOND)
    first, second = create(FIRST), create(SECOND)
    _arm(first, LATER)
    libc.timer_delete(first)
    _arm(second, 2 * LATER)
    assert _next(FIRST, SECOND).si_signo == SECOND


def test_a_timer_that_notifies_nobody_counts_down(block: Callable[..., object], create: Callable[..., int]) -> None:
    block(SECOND)
    silent, later = create(None), create(SECOND)
    assert _arm(silent, 1000, 5) == DISARMED
    left = libc.timer_gettime(silent)
    assert left.it_interval == 5
    assert 900 < left.it_value <= 1000
    _arm(silent, SOON)
    _arm(later, LATER)
    _next(SECOND)
    assert libc.timer_gettime(silent) == DISARMED


def test_a_timer_of_a_thread_signals_that_thread(block: Callable[..., object]) -> None:
    block(FIRST)
    received: list[libc.Siginfo] = []
    pending: list[bool] = []

    def work() -> None:
        thread = threading.get_native_id()
        timer = libc.timer_create(libc.CLOCK_MONOTONIC, libc.Sigevent(libc.SIGEV_THREAD_ID, FIRST, 5, thread))
        _arm(timer, SOON)
        received.append(_next(FIRST))
        _arm(timer, SOON)
        _burn_until(FIRST)
        ready.set()
        looked.wait(DEADLINE)
        _next(FIRST)
        libc.timer_delete(timer)

    ready, looked = threading.Event(), threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    ready.wait(DEADLINE)
    pending.append(FIRST in libc.sigpending())
    looked.set()
    worker.join(DEADLINE)
    assert [info.si_value for info in received] == [5]
    assert pending == [False]


def test_a_thread_of_another_process_gets_no_timer(fork: Fork) -> None:
    child = fork(libc.pause)
    with pytest.raises(OSError, match="no such thread in this process") as caught:
        libc.timer_create(libc.CLOCK_MONOTONIC, libc.Sigevent(libc.SIGEV_THREAD_ID, FIRST, 0, child.pid))
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("clock", [libc.CLOCK_REALTIME, libc.CLOCK_MONOTONIC, libc.CLOCK_BOOTTIME, libc.CLOCK_TAI])
def test_an_absolute_time_is_one_of_the_timer_s_clock(
    clock: int, block: Callable[..., object], create: Callable[..., int]
) -> None:
    block(FIRST)
    timer = create(FIRST, clock=clock)
    when = time.clock_gettime(clock) + LATER
    _arm(timer, when, flags=libc.TIMER_ABSTIME)
    _next(FIRST)
    assert time.clock_gettime(clock) >= when - 1e-6  # a float has no more digits
    _arm(timer, 1, flags=libc.TIMER_ABSTIME)  # long gone
    _next(FIRST)


@pytest.mark.parametrize("clock", [libc.CLOCK_PROCESS_CPUTIME_ID, libc.CLOCK_THREAD_CPUTIME_ID])
def test_a_timer_can_go_by_processor_time(clock: int, block: Callable[..., object], create: Callable[..., int]) -> None:
    block(FIRST)
    timer = create(FIRST, clock=clock)
    _arm(timer, SOON)
    _burn_until(FIRST)
    assert _next(FIRST).si_timerid == timer


@pytest.mark.parametrize("clock", libc.Clock)
def test_every_clock_has_timers_or_says_why_not(clock: libc.Clock) -> None:
    refusal = None
    try:
        libc.timer_delete(libc.timer_create(clock))
    except OSError as error:
        refusal = error
    assert refusal is None or refusal.errno in {errno.ENOTSUP, errno.EPERM, errno.EINVAL}
    assert refusal is None or re.search(
        f"{clock.name}.*(no timer can go by|CAP_WAKE_ALARM|no such clock)", str(refusal)
    )


@pytest.mark.parametrize("clock", [17, 99, -(2**31), 2**31 - 1])
def test_a_clock_that_does_not_exist_is_einval(clock: int) -> None:
    with pytest.raises(OSError, match="there is no such clock") as caught:
        libc.timer_create(clock)
    assert caught.value.errno == errno.EINVAL


USES: dict[str, Callable[[int], object]] = {
    "timer_settime": lambda timer: libc.timer_settime(timer, 0, libc.Itimerspec(0, 1)),
    "timer_gettime": libc.timer_gettime,
    "timer_getoverrun": libc.timer_getoverrun,
    "timer_delete": libc.timer_delete,
}


@pytest.mark.parametrize("use", USES)
def test_a_number_that_is_no_timer_is_einval_and_never_followed(use: str, create: Callable[..., int]) -> None:
    deleted = create()
    libc.timer_delete(deleted)
    for number in (deleted, -1, -(2**31), 0x7FFF_0000, 2**31 - 1):
        with pytest.raises(OSError, match=rf"{use}\({number}\): .*this process has no such timer") as caught:
            USES[use](number)
        assert caught.value.errno == errno.EINVAL
    for number in (2**31, 2**63, 2**64 - 1, id(object()), 2**100):
        with pytest.raises(OverflowError):
            USES[use](number)


@pytest.mark.parametrize("use", USES)
def test_a_forked_child_has_none_of_its_parent_s_timers(use: str, create: Callable[..., int], fork: Fork) -> None:
    timer = create()

    def child() -> None:
        with pytest.raises(OSError, match="made before a fork"):
            USES[use](timer)

    fork(child).result()
    libc.timer_gettime(timer)


def test_too_many_timers_are_eagain_and_say_which_limit(fork: Fork) -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
        with pytest.raises(BlockingIOError, match="RLIMIT_SIGPENDING"):
            libc.timer_create(libc.CLOCK_MONOTONIC)

    fork(child).result()


# -- events --


def test_sigev_thread_is_refused_and_says_why() -> None:
    with pytest.raises(ValueError, match=r"threads of its own that call a C function; take SIGEV_SIGNAL"):
        libc.Sigevent(libc.SIGEV_THREAD, FIRST)


@pytest.mark.parametrize("signum", [-1, 0, 32, 33, 65, 2**31 - 1])
@pytest.mark.parametrize("notify", [libc.SIGEV_SIGNAL, libc.SIGEV_THREAD_ID])
def test_a_timer_sends_only_signals_of_a_program(notify: int, signum: int) -> None:
    event = libc.Sigevent(notify, signum, 0, threading.get_native_id())
    with pytest.raises(OSError, match=r"timer_create\(") as caught:
        libc.timer_create(libc.CLOCK_MONOTONIC, event)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("member", ["sigev_signo", "sigev_value", "sigev_notify_thread_id"])
def test_members_of_an_event_fit_a_c_int(member: str) -> None:
    for number in (2**31, -(2**31) - 1, 2**64):
        with pytest.raises(OverflowError, match=f"{member} is {number}: it must fit a C int"):
            libc.Sigevent(**{member: number})
    for wrong in (None, 1.5, "1"):
        with pytest.raises(TypeError):
            libc.Sigevent(**{member: wrong})  # type: ignore[arg-type]


def test_a_pointer_fits_a_pointer_and_a_notification_exists() -> None:
    for number in (-1, 2**64):
        with pytest.raises(OverflowError, match="pointer is"):
            libc.Sigevent(pointer=number)
    for number in (3, 5, -1, 2**40):
        with pytest.raises(ValueError, match="is not a valid SigevNotify"):
            libc.Sigevent(number)


@pytest.mark.parametrize("wrong", [0, "x", (0, 10), object()])
def test_only_a_sigevent_is_an_event(wrong: Any) -> None:
    with pytest.raises(TypeError, match="sevp is a Sigevent"):
        libc.timer_create(libc.CLOCK_MONOTONIC, wrong)


def test_a_process_can_have_many_timers(block: Callable[..., object], create: Callable[..., int]) -> None:
    block(FIRST)
    timers = [create(FIRST, value) for value in range(50)]
    assert len(set(timers)) == 50
    for timer in timers:
        _arm(timer, SOON)
    infos = [_next(FIRST) for _ in timers]
    assert {(info.si_timerid, info.si_value) for info in infos} == {(timer, i) for i, timer in enumerate(timers)}
    assert {info.si_pid for info in infos} == {None}
