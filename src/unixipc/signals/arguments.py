"""What all of this room take as their argument."""

from collections.abc import Iterable
from typing import Protocol, TypeAlias

from unixipc import libc

Signals: TypeAlias = int | Iterable[int]
"""One signal, or several."""


class HasPidfd(Protocol):
    """What stands for a process: its `fileno()` is a pidfd, as that of `processes.Child` is."""

    def fileno(self) -> int:
        """Give the pidfd."""


def signal_set(signals: Signals) -> libc.SignalSet:
    """Make the set of one signal or several."""
    return libc.SignalSet(signals if isinstance(signals, Iterable) else (signals,))
