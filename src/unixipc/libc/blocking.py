"""A stretch with signals blocked, and the mask exactly as before at its end (sigprocmask(2))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unixipc._cpython import Restoring
from unixipc.constants.signals import SIG_BLOCK, SIG_SETMASK
from unixipc.libc.signals import sigprocmask

if TYPE_CHECKING:
    from unixipc.libc.sigsetops import SignalSet

__all__ = ["Restoring", "blocking"]


class blocking(Restoring):  # noqa: N801 - a with-block, as contextlib's are named
    """Block signals in the calling thread; the block gets the mask from before.

    A class, and no generator: it is entered and left for each fork, after which every object that is touched costs.
    """

    __slots__ = ("_before", "_signals")

    def __init__(self, signals: SignalSet) -> None:
        self._signals = signals
        self._before: SignalSet | None = None

    def __enter__(self) -> SignalSet:
        if self._before is not None:
            raise RuntimeError("this blocks signals already: make another for a block within the block")
        before = self._before = sigprocmask(SIG_BLOCK)
        try:
            sigprocmask(SIG_BLOCK, self._signals)
        except BaseException:  # of a handler, which may have raised when the signals were blocked
            self.__exit__()
            raise
        return before

    def _restore(self) -> None:
        if self._before is not None:
            sigprocmask(SIG_SETMASK, self._before)
            self._before = None
