"""Stretches that no signal handler may enter."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = libc.SignalSet.full()


@contextmanager
def undisturbed() -> Iterator[libc.SignalSet]:
    """Block all signals in the calling thread, and give the mask from before, which comes back at the end."""
    before = libc.sigprocmask(libc.SIG_BLOCK)
    try:
        libc.sigprocmask(libc.SIG_BLOCK, EVERY)  # here a handler may still raise
        yield before
    finally:
        try:
            libc.sigprocmask(libc.SIG_SETMASK, before)
        except BaseException:  # of a handler, which may have raised as soon as the function was entered
            libc.sigprocmask(libc.SIG_SETMASK, before)
            raise
