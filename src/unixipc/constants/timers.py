"""Names of timer_create(2) and setitimer(2)."""

from enum import IntEnum, IntFlag
from typing import Final

from unixipc import _native


class Clock(IntEnum):
    """A clock that a timer can go by (clock_getres(2)); the kernel has no timers for some of them."""

    CLOCK_REALTIME = _native.lib.CLOCK_REALTIME
    CLOCK_MONOTONIC = _native.lib.CLOCK_MONOTONIC
    CLOCK_PROCESS_CPUTIME_ID = _native.lib.CLOCK_PROCESS_CPUTIME_ID
    CLOCK_THREAD_CPUTIME_ID = _native.lib.CLOCK_THREAD_CPUTIME_ID
    CLOCK_MONOTONIC_RAW = _native.lib.CLOCK_MONOTONIC_RAW
    CLOCK_REALTIME_COARSE = _native.lib.CLOCK_REALTIME_COARSE
    CLOCK_MONOTONIC_COARSE = _native.lib.CLOCK_MONOTONIC_COARSE
    CLOCK_BOOTTIME = _native.lib.CLOCK_BOOTTIME
    CLOCK_REALTIME_ALARM = _native.lib.CLOCK_REALTIME_ALARM
    CLOCK_BOOTTIME_ALARM = _native.lib.CLOCK_BOOTTIME_ALARM
    CLOCK_TAI = _native.lib.CLOCK_TAI


class TimerFlag(IntFlag):
    """How the time of a timer is meant (timer_settime(2))."""

    TIMER_ABSTIME = _native.lib.TIMER_ABSTIME


class Itimer(IntEnum):
    """An interval timer of the process: SIGALRM, SIGVTALRM or SIGPROF (setitimer(2))."""

    ITIMER_REAL = _native.lib.ITIMER_REAL
    ITIMER_VIRTUAL = _native.lib.ITIMER_VIRTUAL
    ITIMER_PROF = _native.lib.ITIMER_PROF


class SigevNotify(IntEnum):
    """What the expiry of a timer does (sigevent(3type))."""

    SIGEV_SIGNAL = _native.lib.SIGEV_SIGNAL
    SIGEV_NONE = _native.lib.SIGEV_NONE
    SIGEV_THREAD = _native.lib.SIGEV_THREAD
    SIGEV_THREAD_ID = _native.lib.SIGEV_THREAD_ID


CLOCK_REALTIME: Final = Clock.CLOCK_REALTIME
CLOCK_MONOTONIC: Final = Clock.CLOCK_MONOTONIC
CLOCK_PROCESS_CPUTIME_ID: Final = Clock.CLOCK_PROCESS_CPUTIME_ID
CLOCK_THREAD_CPUTIME_ID: Final = Clock.CLOCK_THREAD_CPUTIME_ID
CLOCK_MONOTONIC_RAW: Final = Clock.CLOCK_MONOTONIC_RAW
CLOCK_REALTIME_COARSE: Final = Clock.CLOCK_REALTIME_COARSE
CLOCK_MONOTONIC_COARSE: Final = Clock.CLOCK_MONOTONIC_COARSE
CLOCK_BOOTTIME: Final = Clock.CLOCK_BOOTTIME
CLOCK_REALTIME_ALARM: Final = Clock.CLOCK_REALTIME_ALARM
CLOCK_BOOTTIME_ALARM: Final = Clock.CLOCK_BOOTTIME_ALARM
CLOCK_TAI: Final = Clock.CLOCK_TAI
TIMER_ABSTIME: Final = TimerFlag.TIMER_ABSTIME
ITIMER_REAL: Final = Itimer.ITIMER_REAL
ITIMER_VIRTUAL: Final = Itimer.ITIMER_VIRTUAL
ITIMER_PROF: Final = Itimer.ITIMER_PROF
SIGEV_SIGNAL: Final = SigevNotify.SIGEV_SIGNAL
SIGEV_NONE: Final = SigevNotify.SIGEV_NONE
SIGEV_THREAD: Final = SigevNotify.SIGEV_THREAD
SIGEV_THREAD_ID: Final = SigevNotify.SIGEV_THREAD_ID
