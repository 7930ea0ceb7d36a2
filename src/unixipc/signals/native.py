"""Handlers in machine code: loaded from a library, or ready-made and installed for the length of a with-block."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.signals.handling import handling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from unixipc.libc.arguments import Path
    from unixipc.signals.arguments import Signals


def load_handler(library: Path | None, symbol: str | bytes) -> libc.NativeHandler:
    """Take a handler by its name from a library, or with None from the program and what it shares.

    The library is never unloaded again. What it calls `symbol` must be a function that may run as a signal handler
    (signal-safety(7)); that it is code is checked (ValueError), more cannot be.
    """
    loaded = libc.dlopen(library, libc.RTLD_NOW | libc.RTLD_NODELETE)
    try:
        address = libc.dlsym(loaded, symbol)
    finally:
        libc.dlclose(loaded)
    if not _is_code(address):
        raise ValueError(f"{symbol!r} of {library!r} is no function, but at {address:#x}")
    return libc.NativeHandler(address)


def _is_code(address: int) -> bool:
    return any(
        0 <= address - loaded.dlpi_addr - segment.p_vaddr < segment.p_memsz
        for loaded in libc.dl_iterate_phdr()
        for segment in loaded.dlpi_phdr
        if segment.p_type == libc.PT_LOAD and segment.p_flags & libc.PF_X
    )


@contextmanager
def counting(
    signals: Signals, *, mask: Iterable[int] = (), flags: int = libc.SA_RESTART
) -> Iterator[libc.CountHandler]:
    """Count the deliveries of signals, of several together, on whichever thread and in all children forked later."""
    counter = libc.CountHandler()
    with handling(signals, counter, mask=mask, flags=flags):
        yield counter


@contextmanager
def flagging(signals: Signals, *, mask: Iterable[int] = (), flags: int = libc.SA_RESTART) -> Iterator[libc.FlagHandler]:
    """Note which of the signals came last: `if flag: ...` in a loop, `flag.clear()` to wait for the next."""
    flag = libc.FlagHandler()
    with handling(signals, flag, mask=mask, flags=flags):
        yield flag


@contextmanager
def recording(
    signals: Signals, fd: int, *, mask: Iterable[int] = (), flags: int = libc.SA_RESTART
) -> Iterator[libc.RecordHandler]:
    """Write the siginfo_t of each delivery to a descriptor, which must stay open: `Siginfo(os.read(end, 128))`."""
    recorder = libc.RecordHandler(fd)
    with handling(signals, recorder, mask=mask, flags=flags | libc.SA_SIGINFO):
        yield recorder


@contextmanager
def exiting(
    signals: Signals, status: int, *, mask: Iterable[int] = (), flags: int = libc.SA_RESTART
) -> Iterator[libc.ExitHandler]:
    """Have a signal end the process at once with a status, by _exit(2): also a fault, and also within a long C call."""
    end = libc.ExitHandler(status)
    with handling(signals, end, mask=mask, flags=flags):
        yield end
