"""Handlers in machine code: loaded from a library, or ready-made and installed for the length of a with-block."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from unixipc import libc
from unixipc.signals.handling import Handling

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unixipc.libc.arguments import Path
    from unixipc.signals.arguments import Signals

_H = TypeVar("_H", bound=libc.NativeHandler)


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


def counting(
    signals: Signals, *, mask: Iterable[int] = (), flags: int = libc.SA_RESTART
) -> Handling[libc.CountHandler]:
    """Count the deliveries of signals, of several together, on whichever thread and in all children forked later."""
    return _installed(libc.CountHandler(), signals, mask, flags)


def flagging(signals: Signals, *, mask: Iterable[int] = (), flags: int = libc.SA_RESTART) -> Handling[libc.FlagHandler]:
    """Note which of the signals came last: `if flag: ...` in a loop, `flag.clear()` to wait for the next."""
    return _installed(libc.FlagHandler(), signals, mask, flags)


def recording(
    signals: Signals, fd: int, *, mask: Iterable[int] = (), flags: int = libc.SA_RESTART
) -> Handling[libc.RecordHandler]:
    """Write the siginfo_t of each delivery to a descriptor, which must stay open: `Siginfo(os.read(end, 128))`."""
    return _installed(libc.RecordHandler(fd), signals, mask, flags | libc.SA_SIGINFO)


def exiting(
    signals: Signals, status: int, *, mask: Iterable[int] = (), flags: int = libc.SA_RESTART
) -> Handling[libc.ExitHandler]:
    """Have a signal end the process at once with a status, by _exit(2): also a fault, and also within a long C call."""
    return _installed(libc.ExitHandler(status), signals, mask, flags)


def _installed(handler: _H, signals: Signals, mask: Iterable[int], flags: int) -> Handling[_H]:
    return Handling(signals, libc.Sigaction(handler, mask, flags), lambda _: handler)
