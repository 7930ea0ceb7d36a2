"""The one way from a result of the shim to a Python value or exception, and the one measure of a timeout."""

import errno
import itertools
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import ParamSpec, TypeAlias, TypeVar

from unixipc._cpython import dispatch, use
from unixipc._native import lib

_P = ParamSpec("_P")
_T = TypeVar("_T")

Advice: TypeAlias = Mapping[int, str]
"""What to do about an errno."""

NO_ADVICE: Advice = MappingProxyType({})

_INTERRUPTED = -lib.ERESTART
_ENDING, _TURNS = 0.1, 50
_FOR_EVER = 1e9  # seconds: the kernel would take no more than some hundred times as many


class OwnerDiedError(OSError):
    """The process that held the lock has died (EOWNERDEAD): the lock is yours now, its data may be half-written."""


class NotRecoverableError(OSError):
    """A lock was given up after its owner's death without being made consistent (ENOTRECOVERABLE)."""


class IdentifierRemovedError(OSError):
    """Somebody removed the System V object while the call used it or waited for it (EIDRM)."""


_CLASSES = {
    errno.EOWNERDEAD: OwnerDiedError,
    errno.ENOTRECOVERABLE: NotRecoverableError,
    errno.EIDRM: IdentifierRemovedError,
}


def failure(code: int, call: str, *subject: object, advice: str | None = None) -> OSError:
    """Make the exception for an errno: its text names the call, its subject, and what to do where that is known."""
    arguments = ", ".join(str(getattr(part, "name", None) or part) for part in subject)
    text = f"{call}({arguments}): {os.strerror(code)}"
    if advice:
        text = f"{text}: {advice}"
    return _CLASSES.get(code, OSError)(code, text)


use("failure", failure)


def check(result: int, call: str, *subject: object, advice: Advice = NO_ADVICE) -> int:
    """Give back what the shim returned, or raise; `advice` holds what to do about an errno of this call."""
    if result < 0:
        raise failure(-result, call, *subject, advice=advice.get(-result))
    return result


def check_made(answer: _T | int, call: str, *subject: object, advice: Advice = NO_ADVICE) -> _T:
    """Give back the object that a call made, or raise for the -errno that it answered instead."""
    if isinstance(answer, int):
        raise failure(-answer, call, *subject, advice=advice.get(-answer))
    return answer


def restarting(function: Callable[_P, int], *args: _P.args, **kwargs: _P.kwargs) -> int:
    """Call into the shim until it answers: it asks to be called again when handlers must run first (shim.h)."""
    while (result := function(*args, **kwargs)) == _INTERRUPTED:
        dispatch()
    return result


def timespec(seconds: float) -> tuple[int, int]:
    """Seconds as the kernel's seconds and nanoseconds, rounded up: a wait never ends before its time."""
    if math.isnan(seconds):
        raise ValueError("a timeout must be a number of seconds, not NaN")
    whole = math.floor(seconds)
    nanoseconds = math.ceil((seconds - whole) * 1_000_000_000)
    return (whole + 1, 0) if nanoseconds == 1_000_000_000 else (whole, nanoseconds)


def moments() -> Iterator[None]:
    """Give way to a joined thread that is not gone from the kernel yet: for 0.1 s, and until all have had turns."""
    end = time.monotonic() + _ENDING
    for turn in itertools.count():
        if turn >= _TURNS and time.monotonic() > end:
            return
        yield
        os.sched_yield()


class Deadline:
    """What is left of a timeout, on the monotonic clock; of None, None."""

    def __init__(self, timeout: float | None) -> None:
        if timeout is not None and not timeout >= 0:
            raise ValueError(f"a timeout is None or a number of seconds from 0 up, not {timeout}")
        self._end = None if timeout is None or timeout > _FOR_EVER else time.monotonic() + timeout

    def left(self) -> float | None:
        """Tell how many seconds are left, at least 0."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())
