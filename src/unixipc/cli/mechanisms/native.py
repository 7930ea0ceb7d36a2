"""Handlers in machine code, and where processes have their libraries."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from unixipc import libc
from unixipc.cli.exchange import ROUNDS, Exchange, expect, median_time
from unixipc.cli.mechanisms.signals import DONE, NEWS, READY, queue, sender_of
from unixipc.cli.tour import Family

family = Family()

_QUEUED = 100
_FEW_ROUNDS = 20
_RECORD = 128
_SYMBOL = "labs"


def _ready() -> libc.Siginfo:
    while True:
        try:
            return libc.sigwaitinfo({READY})
        except InterruptedError:  # by the native handler
            continue


@family.mechanism(
    "native handler that counts",
    calls="sigaction sigprocmask sigqueue sigwaitinfo",
    travels=f"{_FEW_ROUNDS} x {_QUEUED} signals, counted",
)
def native_handler_that_counts(exchange: Exchange) -> float:
    """Count signals in the C handler, in memory that the sender reads."""
    counter = libc.CountHandler()

    def counts() -> None:
        libc.sigaction(NEWS, libc.Sigaction(counter, flags=libc.SA_RESTART))
        libc.sigprocmask(libc.SIG_UNBLOCK, {NEWS})
        for _ in range(_FEW_ROUNDS):
            queue(sender_of(_ready()), DONE)

    counting = exchange.fork(counts)
    exchange.object = f"pid {counting.pid}"

    def sends() -> float:
        def send(_: int) -> None:
            for number in range(_QUEUED):
                queue(counting.pid, NEWS, number)
            queue(counting.pid, READY)
            expect(sender_of(libc.sigwaitinfo({DONE})), counting.pid, "who answered")
            expect(counter.take(), _QUEUED, "count")

        return median_time(send, _FEW_ROUNDS)

    sending = exchange.fork(sends)
    exchange.finish(sending, counting)
    return sending.result()


@family.mechanism(
    "native handler that records",
    calls="sigaction sigprocmask sigqueue sigwaitinfo read pipe",
    travels=f"{ROUNDS} siginfo records",
)
def native_handler_that_records(exchange: Exchange) -> float:
    """Have the C handler write each siginfo to a pipe, from which the sender reads it."""
    reads, writes = exchange.pipe()
    recorder = libc.RecordHandler(writes)

    def records() -> None:
        libc.sigaction(NEWS, libc.Sigaction(recorder, flags=libc.SA_SIGINFO))
        libc.sigprocmask(libc.SIG_UNBLOCK, {NEWS})
        _ready()

    recording = exchange.fork(records)
    exchange.object = f"pid {recording.pid}"

    def sends() -> tuple[int, float]:
        def send(number: int) -> None:
            queue(recording.pid, NEWS, number)
            info = libc.Siginfo(libc.read(reads, _RECORD))
            expect((info.si_signo, info.si_value), (NEWS, number), "si_signo and si_value")
            senders.add(sender_of(info))

        senders: set[int] = set()
        seconds = median_time(send)
        queue(recording.pid, READY)
        (sender,) = senders
        return sender, seconds

    sending = exchange.fork(sends)
    exchange.finish(sending, recording)
    sender, seconds = sending.result()
    expect(sender, sending.pid, "sender")
    expect(recorder.lost, 0, "lost records")
    return seconds


def where() -> tuple[str, int, int]:
    """Tell the file of the C library, where this process has it, and how far from there its code of a function is."""
    info = libc.dladdr(libc.dlsym(libc.RTLD_DEFAULT, _SYMBOL))
    if info is None:
        raise LookupError(f"{_SYMBOL} is in no library")
    library = libc.dlopen(info.dli_fname, libc.RTLD_NOW | libc.RTLD_NOLOAD)
    address = libc.dlsym(library, _SYMBOL)
    libc.dlclose(library)
    (base,) = (
        loaded.dlpi_addr
        for loaded in libc.dl_iterate_phdr()
        for segment in loaded.dlpi_phdr
        if segment.p_type == libc.PT_LOAD and 0 <= address - loaded.dlpi_addr - segment.p_vaddr < segment.p_memsz
    )
    expect(base, info.dli_fbase, "where the library is, by dladdr and dl_iterate_phdr")
    return info.dli_fname, base, address - base


@family.mechanism(
    "where a library is mapped",
    calls="dlopen dlsym dlclose dladdr dl_iterate_phdr",
    travels="the addresses of 2 processes",
)
def where_a_library_is_mapped(exchange: Exchange) -> float:
    """Find the C library where the parent has it in a forked process, and wherever it is in an executed one."""
    start, told = time.perf_counter(), exchange.path("told")
    forked, executed = exchange.fork(where), exchange.execute(partial(_tell_where, told))
    exchange.finish(forked, executed)
    seconds = time.perf_counter() - start
    fname, base, distance = where()
    expect(forked.result(), (fname, base, distance), "the library in a forked process")
    other, elsewhere, same = told.read_text().splitlines()
    expect((other, int(same)), (fname, distance), "the library in an executed process, and the way to its function")
    exchange.object = f"{Path(fname).name}: {base:#x}, executed {int(elsewhere):#x}"
    return seconds


def _tell_where(told: Path) -> None:
    told.write_text("\n".join(map(str, where())))
