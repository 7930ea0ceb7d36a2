"""pipe(7) and fifo(7)."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.cli.exchange import ROUNDS, SIZE, Exchange, Side, expect, median_time, messages, store
from unixipc.cli.tour import Family

if TYPE_CHECKING:
    from collections.abc import Callable

family = Family()

_MESSAGES = f"{ROUNDS} x {SIZE} bytes each way"


def _side(writes: int, reads: int) -> Side:
    def send(data: bytes) -> None:
        expect(libc.write(writes, data), len(data), "bytes written")

    return Side(send, lambda: libc.read(reads, SIZE))


@family.mechanism("pipe", calls="pipe read write", travels=_MESSAGES)
def pipe(exchange: Exchange) -> float:
    """Use one pipe for each direction."""
    there, back = exchange.pipe(), exchange.pipe()
    exchange.object = str(Path(f"/proc/self/fd/{there[0]}").readlink())
    return exchange.ping_pong(lambda: _side(there[1], back[0]), lambda: _side(back[1], there[0]))


def _fifos(exchange: Exchange, make: Callable[[Path], None]) -> float:
    there, back = exchange.path("ping"), exchange.path("pong")
    make(there)
    make(back)
    exchange.object = str(there)

    def ping() -> Side:
        return _side(libc.open(there, os.O_WRONLY), libc.open(back, os.O_RDONLY))

    return exchange.ping_pong(ping, partial(_pong, there, back))


def _pong(there: Path, back: Path) -> Side:
    reads = libc.open(there, os.O_RDONLY)
    return _side(libc.open(back, os.O_WRONLY), reads)


@family.mechanism("FIFO", calls="mkfifo open read write", travels=_MESSAGES, unrelated=True)
def fifo(exchange: Exchange) -> float:
    """Connect children that open the FIFOs by their names."""
    return _fifos(exchange, lambda path: libc.mkfifo(path, 0o600))


@family.mechanism("FIFO by mknod", calls="mknod open read write", travels=_MESSAGES)
def fifo_by_mknod(exchange: Exchange) -> float:
    """Make the FIFOs by the more general call."""
    return _fifos(exchange, lambda path: libc.mknod(path, libc.S_IFIFO | 0o600))


@family.mechanism("tee and vmsplice", calls="pipe tee vmsplice read", travels=f"{ROUNDS} pages, to two readers")
def tee(exchange: Exchange) -> float:
    """Show a page in one pipe, without a copy, and copy what the pipe shows into another."""
    shown, copied = exchange.pipe(), exchange.pipe()
    exchange.object = str(Path(f"/proc/self/fd/{shown[0]}").readlink())

    def shows() -> float:
        flags = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS
        page = libc.mmap(None, libc.PAGE_SIZE, libc.PROT_READ | libc.PROT_WRITE, flags)
        texts = messages("page", libc.PAGE_SIZE)

        def show(number: int) -> None:
            store(page, 0, texts[number])
            expect(libc.vmsplice(shown[1], page), libc.PAGE_SIZE, "bytes shown")
            expect(libc.tee(shown[0], copied[1], libc.PAGE_SIZE), libc.PAGE_SIZE, "bytes copied")
            for reads in (shown[0], copied[0]):
                expect(libc.read(reads, libc.PAGE_SIZE), texts[number], f"page {number}")

        return median_time(show)

    child = exchange.fork(shows)
    exchange.finish(child)
    return child.result()
