"""A stretch with signals blocked, and the mask exactly as before at its end (sigprocmask(2))."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unixipc.constants.signals import SIG_BLOCK, SIG_SETMASK
from unixipc.libc.signals import sigprocmask

if TYPE_CHECKING:
    from types import TracebackType

    from unixipc.libc.sigsetops import SignalSet


class blocking:  # noqa: N801 - a with-block, as contextlib's are named
    """Block signals in the calling thread; the block gets the mask from before.

    A class, and no generator: it is entered and left for each fork, after which every object that is touched costs.
    """

    __slots__ = ("_before", "_signals")

    def __init__(self, signals: SignalSet) -> None:
        self._signals = signals

    def __enter__(self) -> SignalSet:
        before = self._before = sigprocmask(SIG_BLOCK)
        try:
            sigprocmask(SIG_BLOCK, self._signals)
        except BaseException:  # of a handler, which may have raised when the signals were blocked
            self._restore()
            raise
        return before

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, story: TracebackType | None
    ) -> None:
        self._restore()

    def _restore(self) -> None:
        try:
            sigprocmask(SIG_SETMASK, self._before)
        except BaseException:  # of a handler, which may have raised before the mask was changed
            sigprocmask(SIG_SETMASK, self._before)
            raise
