"""sigaction(2), with Python handlers that get what it promises; docs/delivery.md tells how."""

import errno
import operator
import signal as stdlib_signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from unixipc import _cpython
from unixipc._check import check, failure
from unixipc._native import ffi, lib
from unixipc.constants.signals import SA_NODEFER, SA_RESETHAND, SA_RESTART, Disposition, SaFlag, Signal
from unixipc.libc.handlers import NativeHandler, argument_of, handler_at
from unixipc.libc.siginfo import Siginfo
from unixipc.libc.sigsetops import SignalSet, check_signal

_FAULTS = {Signal.SIGSEGV, Signal.SIGBUS, Signal.SIGFPE, Signal.SIGILL}
_UNCATCHABLE = {Signal.SIGKILL, Signal.SIGSTOP}


Handler: TypeAlias = Disposition | Callable[[int], object] | Callable[[int, Siginfo], object] | NativeHandler


@dataclass(frozen=True, slots=True)
class Sigaction:
    """What a process does when a signal arrives (sigaction(2)).

    A callable handler is called as `handler(signum)`, with SA_SIGINFO as `handler(signum, info)`, on the main thread.
    `mask` takes any iterable of signals.
    """

    handler: Handler
    mask: Iterable[int] = SignalSet()
    flags: int = SaFlag(0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "mask", SignalSet(self.mask))
        flags = operator.index(self.flags)
        if not 0 <= flags < 2**32:
            raise OverflowError(f"flags are {flags}: they must fit a C int")
        object.__setattr__(self, "flags", SaFlag(flags))


def _current(signum: int) -> Sigaction:
    action = ffi.new("struct uipc_action *")
    check(lib.uipc_sigaction_get(signum, action), "sigaction", signum)
    recorded = stdlib_signal.getsignal(signum)
    handler: Handler
    # Other code may have put our dispatcher back by `signal.signal`, and with it CPython's C handler in place of ours.
    displaced = action.cpythons and recorded is _cpython.dispatch
    if action.ours or displaced:
        check(lib.uipc_sigaction_ours(signum, action), "sigaction", signum)
    if (action.ours or displaced) and signum in _cpython.handlers:
        handler = _cpython.handlers[signum]
    elif action.handler in (Disposition.SIG_DFL, Disposition.SIG_IGN):
        handler = Disposition(action.handler)
    elif (ready := handler_at(signum, action.handler)) is not None:
        handler = ready
    else:
        python = recorded if callable(recorded) and recorded is not _cpython.dispatch else None
        handler = NativeHandler(action.handler, python)
    return Sigaction(handler, SignalSet.from_mask(action.mask), action.flags)


def _check_handler(signum: int, handler: object) -> Handler:
    if isinstance(handler, NativeHandler):
        return handler
    if isinstance(handler, int) and handler in (Disposition.SIG_DFL, Disposition.SIG_IGN):
        return Disposition(handler)
    if not callable(handler):
        raise TypeError(f"a handler is SIG_DFL, SIG_IGN, a callable or a NativeHandler, not {handler!r}")
    if signum in _FAULTS:
        raise failure(
            errno.EINVAL,
            "sigaction",
            signum,
            advice="no Python code can run on a fault; give SIG_DFL, SIG_IGN or a NativeHandler",
        )
    return handler


def _install(signum: int, act: Sigaction, previous: Handler) -> None:
    handler = _check_handler(signum, act.handler)
    # What signal.signal() gets must not be SIG_DFL or SIG_IGN even for a moment, or the kernel drops pending signals.
    recorded: object = _cpython.dispatch
    python, address, argument = None, 0, 0
    if isinstance(handler, Disposition):
        recorded, address = stdlib_signal.Handlers(handler), int(handler)
    elif isinstance(handler, NativeHandler):
        recorded, address = handler.python or recorded, handler.address
        argument = argument_of(handler, signum, act.flags, previous)
        # Where it is recorded already, signal.signal() would only put CPython's C handler in place for a moment, which
        # would swallow what another thread gets then.
        recorded = None if recorded is stdlib_signal.getsignal(signum) else recorded
    else:
        python = handler
    mask, flags = SignalSet(act.mask).mask, int(act.flags)
    check(_cpython.sigaction(signum, recorded, python, address, argument, mask, flags), "sigaction", signum)


def sigaction(signum: int, act: Sigaction | None = None) -> Sigaction:
    """Examine and change what a signal does; return what it did before, whoever installed that (sigaction(2)).

    A change is for the main thread alone (ValueError elsewhere), as with `signal.signal`. No callable can handle
    SIGSEGV, SIGBUS, SIGFPE or SIGILL: OSError (EINVAL), as for a number that is no signal.
    """
    signum = check_signal(signum, "sigaction")
    previous = _current(signum)
    if act is None:
        return previous
    if not isinstance(act, Sigaction):
        raise TypeError(f"act is a Sigaction, not {act!r}")
    if signum in _UNCATCHABLE:
        raise failure(errno.EINVAL, "sigaction", signum, advice="this signal cannot be caught or ignored")
    if threading.get_ident() != threading.main_thread().ident:
        raise ValueError("sigaction() changes handlers on the main thread only")
    _install(signum, act, previous.handler)
    return previous


def signal(signum: int, handler: Handler) -> Handler:
    """Set a handler with BSD semantics, and return the one before it (signal(2)): SA_RESTART, and nothing else."""
    return sigaction(signum, Sigaction(handler, (), SA_RESTART)).handler


def bsd_signal(signum: int, handler: Handler) -> Handler:
    """Set a handler that stays, and whose signal restarts interrupted calls, as `signal` does (bsd_signal(3))."""
    return signal(signum, handler)


def sysv_signal(signum: int, handler: Handler) -> Handler:
    """Set a handler for one signal only, which another one can interrupt (sysv_signal(3)).

    It is SA_RESETHAND with SA_NODEFER: from the delivery on the signal has its default action.
    """
    return sigaction(signum, Sigaction(handler, (), SA_RESETHAND | SA_NODEFER)).handler


def signals_lost() -> int:
    """Count the deliveries for which there was no room: on threads other than the main one, a thousand at a time."""
    return lib.uipc_signals_lost()
