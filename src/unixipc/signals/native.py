"""Handlers in machine code: loaded from a library, or ready-made and installed for the length of a with-block."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from unixipc.constants.dl import PF_X, PT_LOAD, RTLD_NODELETE, RTLD_NOW
from unixipc.constants.signals import SA_SIGINFO, SIG_BLOCK, SIG_SETMASK
from unixipc.libc.delivery import Sigaction, sigaction
from unixipc.libc.dl import dl_iterate_phdr, dlclose, dlopen, dlsym
from unixipc.libc.handlers import CountHandler, ExitHandler, FlagHandler, NativeHandler, RecordHandler
from unixipc.libc.signals import sigprocmask
from unixipc.libc.sigsetops import SignalSet

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from unixipc.libc.arguments import Path
    from unixipc.libc.delivery import Handler


def load_handler(library: Path | None, symbol: str | bytes) -> NativeHandler:
    """Take a handler by its name from a library, or with None from the program and what it shares.

    The library is never unloaded again. What it calls `symbol` must be a function that may run as a signal handler
    (signal-safety(7)); that it is code is checked (ValueError), more cannot be.
    """
    loaded = dlopen(library, RTLD_NOW | RTLD_NODELETE)
    try:
        address = dlsym(loaded, symbol)
    finally:
        dlclose(loaded)
    if not _is_code(address):
        raise ValueError(f"{symbol!r} of {library!r} is no function, but at {address:#x}")
    return NativeHandler(address)


def _is_code(address: int) -> bool:
    return any(
        0 <= address - loaded.dlpi_addr - segment.p_vaddr < segment.p_memsz
        for loaded in dl_iterate_phdr()
        for segment in loaded.dlpi_phdr
        if segment.p_type == PT_LOAD and segment.p_flags & PF_X
    )


@contextmanager
def counting(signals: int | Iterable[int], *, mask: Iterable[int] = (), flags: int = 0) -> Iterator[CountHandler]:
    """Count the deliveries of signals, of several together, on whichever thread and in all children forked later."""
    counter = CountHandler()
    with _handling(signals, counter, mask=mask, flags=flags):
        yield counter


@contextmanager
def flagging(signals: int | Iterable[int], *, mask: Iterable[int] = (), flags: int = 0) -> Iterator[FlagHandler]:
    """Note which of the signals came last: `if flag: ...` in a loop, `flag.clear()` to wait for the next."""
    flag = FlagHandler()
    with _handling(signals, flag, mask=mask, flags=flags):
        yield flag


@contextmanager
def recording(
    signals: int | Iterable[int], fd: int, *, mask: Iterable[int] = (), flags: int = 0
) -> Iterator[RecordHandler]:
    """Write the siginfo_t of each delivery to a descriptor, which must stay open: `Siginfo(os.read(end, 128))`."""
    recorder = RecordHandler(fd)
    with _handling(signals, recorder, mask=mask, flags=flags | SA_SIGINFO):
        yield recorder


@contextmanager
def exiting(
    signals: int | Iterable[int], status: int, *, mask: Iterable[int] = (), flags: int = 0
) -> Iterator[ExitHandler]:
    """Have a signal end the process at once with a status, by _exit(2): also a fault, and also within a long C call."""
    end = ExitHandler(status)
    with _handling(signals, end, mask=mask, flags=flags):
        yield end


# STAND-IN for signals.handling.handling, to be replaced by it.
@contextmanager
def _handling(
    signals: int | Iterable[int], handler: Handler, *, mask: Iterable[int] = (), flags: int = 0
) -> Iterator[None]:
    wanted = SignalSet((signals,) if isinstance(signals, int) else signals)
    action = Sigaction(handler, mask, flags)
    with ExitStack() as before:
        blocked = sigprocmask(SIG_BLOCK, SignalSet.full())
        try:
            for signum in wanted:
                before.callback(sigaction, signum, sigaction(signum, action))
        finally:
            sigprocmask(SIG_SETMASK, blocked)
        yield
