"""Handlers and masks for the length of a with-block."""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from unixipc import libc
from unixipc.libc.blocking import Restoring, blocking
from unixipc.signals.arguments import signal_set

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from unixipc.signals.arguments import Signals

EVERY = libc.SignalSet.full()

_T = TypeVar("_T")


class blocked(blocking, ContextDecorator):  # noqa: N801 - a with-block, as contextlib's are named
    """Block signals, all of them unless told, in the calling thread (sigprocmask(2)).

    The block gets the mask from before it, which comes back exactly at its end; what arrived meanwhile is handled then.
    """

    def __init__(self, signals: Signals = EVERY) -> None:
        super().__init__(signal_set(signals))

    def _recreate_cm(self) -> Self:
        return type(self)(self._signals)


class Handling(Restoring, ContextDecorator, Generic[_T]):
    """An action for the length of a with-block, which gets what `gift` makes of the signals' actions from before."""

    def __init__(
        self, signals: Signals, act: libc.Sigaction, gift: Callable[[Mapping[int, libc.Sigaction]], _T]
    ) -> None:
        self._signals = signal_set(signals)
        self._act = act
        self._gift = gift
        self._previous: dict[int, libc.Sigaction] = {}

    def _recreate_cm(self) -> Self:
        return type(self)(self._signals, self._act, self._gift)

    def __enter__(self) -> _T:
        self._refuse_nesting()
        try:
            with blocked():
                for signum in self._signals:
                    self._previous[signum] = libc.sigaction(signum)
                    libc.sigaction(signum, self._act)
            return self._gift(self._previous)
        except BaseException:
            self.__exit__()
            raise

    def _refuse_nesting(self) -> None:
        if self._previous:
            raise RuntimeError("this handles its signals already: make another for a block within the block")

    def _restore(self) -> None:
        with blocked():
            for signum in tuple(self._previous):
                libc.sigaction(signum, self._previous[signum])
                del self._previous[signum]


def handling(
    signals: Signals,
    handler: libc.Handler,
    *,
    mask: Iterable[int] = (),
    flags: int = libc.SA_SIGINFO | libc.SA_RESTART,
) -> Handling[Mapping[int, libc.Sigaction]]:
    """Handle one signal or several, all from one moment on (sigaction(2)); main thread only.

    The handler is a callable, which gets the signal and its `Siginfo` (only the signal without SA_SIGINFO in `flags`),
    a native handler, SIG_DFL or SIG_IGN; `mask` is blocked while it runs. The block gets the actions from before it, by
    signal. They come back exactly at its end, whoever had installed them, or when one signal cannot be handled.
    """
    return Handling(signals, libc.Sigaction(handler, mask, flags), dict)
