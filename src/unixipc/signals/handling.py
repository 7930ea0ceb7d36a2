"""Handlers and masks for the length of a with-block."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.libc.blocking import blocking
from unixipc.signals.arguments import signal_set

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from unixipc.signals.arguments import Signals

EVERY = libc.SignalSet.full()


@contextmanager
def blocked(signals: Signals = EVERY) -> Iterator[libc.SignalSet]:
    """Block signals, all of them unless told, in the calling thread (sigprocmask(2)).

    The block gets the mask from before it, which comes back exactly at its end; what arrived meanwhile is handled then.
    """
    with blocking(signal_set(signals)) as before:
        yield before


@contextmanager
def handling(
    signals: Signals,
    handler: libc.Handler,
    *,
    mask: Iterable[int] = (),
    flags: int = libc.SA_SIGINFO | libc.SA_RESTART,
) -> Iterator[Mapping[int, libc.Sigaction]]:
    """Handle one signal or several, all from one moment on (sigaction(2)); main thread only.

    The handler is a callable, which gets the signal and its `Siginfo` (only the signal without SA_SIGINFO in `flags`),
    a native handler, SIG_DFL or SIG_IGN; `mask` is blocked while it runs. The block gets the actions from before it, by
    signal. They come back exactly at its end, whoever had installed them, or when one signal cannot be handled.
    """
    act = libc.Sigaction(handler, mask, flags)
    previous: dict[int, libc.Sigaction] = {}
    try:
        with blocked():
            for signum in signal_set(signals):
                previous[signum] = libc.sigaction(signum, act)
        yield dict(previous)
    finally:
        try:
            _put_back(previous)
        except BaseException:  # as above
            _put_back(previous)
            raise


def _put_back(actions: dict[int, libc.Sigaction]) -> None:
    with blocked():
        for signum in tuple(actions):
            libc.sigaction(signum, actions[signum])
            del actions[signum]
