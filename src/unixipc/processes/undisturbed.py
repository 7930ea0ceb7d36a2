"""Stretches that no signal handler may enter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.libc.blocking import blocking

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

EVERY = libc.SignalSet.full()


def undisturbed() -> AbstractContextManager[libc.SignalSet]:
    """Block all signals in the calling thread, and give the mask from before, which comes back at the end."""
    return blocking(EVERY)
