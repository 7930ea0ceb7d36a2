"""timer_create(2) and setitimer(2).

A timer of POSIX is known by the kernel's number, which a signal of it bears as si_timerid. It belongs to its process: a
forked child has none of its parent's.
"""

from __future__ import annotations

import errno
import math
from dataclasses import dataclass
from decimal import Decimal
from operator import index
from typing import TYPE_CHECKING, Self

from unixipc._check import check
from unixipc._native import ffi, lib
from unixipc.constants.timers import SIGEV_NONE, SIGEV_SIGNAL, SIGEV_THREAD, SigevNotify
from unixipc.libc.arguments import int_argument, size_argument
from unixipc.libc.sigsetops import check_signal

if TYPE_CHECKING:
    from unixipc._native import _Itimerspec, _Sigevent

_BILLION = 1_000_000_000
_TIMER = {errno.EINVAL: "this process has no such timer: was it deleted, or made before a fork?"}
_ITIMER = {errno.EINVAL: "which is one of ITIMER_*"}
_CREATING = {
    errno.EAGAIN: "too many signals are queued or kept for timers: see RLIMIT_SIGPENDING in getrlimit(2)",
    errno.EINVAL: "there is no such clock, or no such thread in this process, or sigev_notify is none of SIGEV_*",
    errno.ENOTSUP: "no timer can go by this clock",
    errno.EPERM: "a timer that wakes the system needs CAP_WAKE_ALARM",
}


def _seconds(value: float, name: str) -> float:
    """Read a number of seconds, once: one that the kernel's time_t can hold."""
    number = math.ldexp(value, 0)  # float() would read a text
    if not 0 <= number < math.inf:
        raise ValueError(f"{name} is {number}: it must be a number of seconds, 0 or more")
    if number >= 2**63:
        raise OverflowError(f"{name} is {number} seconds: the kernel counts fewer than 2**63")
    return number


@dataclass(frozen=True, slots=True)
class Itimerspec:
    """When a timer expires, in seconds: every `it_interval` after the first time, in `it_value` (timer_settime(2)).

    An `it_value` of 0 disarms it, and an `it_interval` of 0 lets it expire once. Fractions are rounded up to what the
    kernel counts in: nanoseconds, with setitimer(2) microseconds.
    """

    it_interval: float
    it_value: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "it_interval", _seconds(self.it_interval, "it_interval"))
        object.__setattr__(self, "it_value", _seconds(self.it_value, "it_value"))

    @classmethod
    def _read(cls, spec: _Itimerspec) -> Self:
        interval = spec.interval_sec * _BILLION + spec.interval_nsec
        return cls(interval / _BILLION, (spec.value_sec * _BILLION + spec.value_nsec) / _BILLION)

    def _for_c(self) -> _Itimerspec:
        return ffi.new("struct uipc_itimerspec *", (*_timespec(self.it_interval), *_timespec(self.it_value)))


def _timespec(seconds: float) -> tuple[int, int]:
    """Seconds and nanoseconds of the number as it is written: 1.1 is that, and not what is left of it in binary."""
    return divmod(math.ceil(Decimal(repr(seconds)) * _BILLION), _BILLION)


@dataclass(frozen=True, slots=True)
class Sigevent:
    """What happens when a timer expires, or with `mq_notify` when a message comes (sigevent(3type)).

    `sigev_value` is the C int `sival_int` that comes as si_value; `pointer` sets the address `sival_ptr` instead. There
    is no SIGEV_THREAD (ValueError): the C library does that by itself, with threads that call C functions.
    """

    sigev_notify: int = SIGEV_SIGNAL
    sigev_signo: int = 0
    sigev_value: int = 0
    sigev_notify_thread_id: int = 0
    pointer: int | None = None

    def __post_init__(self) -> None:
        notify = index(self.sigev_notify)
        if notify == SIGEV_THREAD:
            raise ValueError(
                "SIGEV_THREAD is not the kernel's: the C library would start threads of its own that call a C function;"
                " take SIGEV_SIGNAL or SIGEV_THREAD_ID, and sigwaitinfo() in a thread of yours"
            )
        object.__setattr__(self, "sigev_notify", SigevNotify(notify))
        for name in ("sigev_signo", "sigev_value", "sigev_notify_thread_id"):
            object.__setattr__(self, name, int_argument(getattr(self, name), name))
        if self.pointer is not None:
            object.__setattr__(self, "pointer", size_argument(self.pointer, "pointer"))

    def _for_c(self, call: str) -> _Sigevent:
        if self.sigev_notify != SIGEV_NONE:
            check_signal(self.sigev_signo, call)
        return ffi.new(
            "struct uipc_sigevent *",
            (
                self.sigev_notify,
                self.sigev_signo,
                self.pointer is not None,
                self.sigev_value,
                self.pointer or 0,
                self.sigev_notify_thread_id,
            ),
        )


def _check_spec(new_value: Itimerspec) -> _Itimerspec:
    if not isinstance(new_value, Itimerspec):
        raise TypeError(f"new_value is an Itimerspec, not {new_value!r}")
    return new_value._for_c()


def setitimer(which: int, new_value: Itimerspec) -> Itimerspec:
    """Set an interval timer, and return what was left of it (setitimer(2)).

    ITIMER_REAL is also the timer of `alarm`.
    """
    new, old = _check_spec(new_value), ffi.new("struct uipc_itimerspec *")
    check(lib.uipc_setitimer(index(which), new, old), "setitimer", which, advice=_ITIMER)
    return Itimerspec._read(old)


def getitimer(which: int) -> Itimerspec:
    """Tell what is left of an interval timer (getitimer(2))."""
    value = ffi.new("struct uipc_itimerspec *")
    check(lib.uipc_getitimer(index(which), value), "getitimer", which, advice=_ITIMER)
    return Itimerspec._read(value)


def timer_create(clockid: int, sevp: Sigevent | None = None) -> int:
    """Make a timer, disarmed, and return its number (timer_create(2)).

    Without `sevp` it sends SIGALRM with its number as the value.
    """
    if sevp is not None and not isinstance(sevp, Sigevent):
        raise TypeError(f"sevp is a Sigevent, not {sevp!r}")
    event = ffi.NULL if sevp is None else sevp._for_c("timer_create")
    timerid = ffi.new("int *")
    check(lib.uipc_timer_create(index(clockid), event, timerid), "timer_create", clockid, advice=_CREATING)
    return timerid[0]


def timer_settime(timerid: int, flags: int, new_value: Itimerspec) -> Itimerspec:
    """Arm or disarm a timer, and return what was left of it (timer_settime(2)).

    With TIMER_ABSTIME `it_value` is a time of the timer's clock, such as `time.clock_gettime` tells.
    """
    new, old = _check_spec(new_value), ffi.new("struct uipc_itimerspec *")
    check(lib.uipc_timer_settime(index(timerid), index(flags), new, old), "timer_settime", timerid, advice=_TIMER)
    return Itimerspec._read(old)


def timer_gettime(timerid: int) -> Itimerspec:
    """Tell what is left of a timer (timer_gettime(2))."""
    value = ffi.new("struct uipc_itimerspec *")
    check(lib.uipc_timer_gettime(index(timerid), value), "timer_gettime", timerid, advice=_TIMER)
    return Itimerspec._read(value)


def timer_getoverrun(timerid: int) -> int:
    """Tell how often a timer expired again before its last signal was delivered (timer_getoverrun(2))."""
    return check(lib.uipc_timer_getoverrun(index(timerid)), "timer_getoverrun", timerid, advice=_TIMER)


def timer_delete(timerid: int) -> None:
    """Delete a timer (timer_delete(2)).

    A signal of it that is pending may still come. Newer kernels drop it instead, as they do when a timer is set anew,
    though `sigpending` goes on telling of it: do not `sigwait` for what was seen there.
    """
    check(lib.uipc_timer_delete(index(timerid)), "timer_delete", timerid, advice=_TIMER)
