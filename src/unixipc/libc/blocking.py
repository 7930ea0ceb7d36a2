"""A stretch with signals blocked, and the mask exactly as before at its end (sigprocmask(2))."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from unixipc.constants.signals import SIG_BLOCK, SIG_SETMASK
from unixipc.libc.signals import sigprocmask

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unixipc.libc.sigsetops import SignalSet


@contextmanager
def blocking(signals: SignalSet) -> Iterator[SignalSet]:
    """Block signals in the calling thread, and give the mask from before."""
    before = sigprocmask(SIG_BLOCK)
    try:
        sigprocmask(SIG_BLOCK, signals)  # here a handler may still raise
        yield before
    finally:
        try:
            sigprocmask(SIG_SETMASK, before)
        except BaseException:  # of a handler, which may have raised as soon as the function was entered
            sigprocmask(SIG_SETMASK, before)
            raise
