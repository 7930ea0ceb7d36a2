"""What carries no messages: calls within one process, each beside its C program and its peers."""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import os
import threading
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from bench.bars import (
    KILL,
    POSIX_READ,
    POSIX_SEMAPHORE,
    POSIX_WRITE,
    SYSV_READ,
    SYSV_SEMAPHORE,
    SYSV_WRITE,
    VIEW,
)
from bench.channels import Workshop, peer, workshop
from bench.channels.least import called, has_header
from bench.compiling import compiled
from bench.measuring import Call
from bench.records import FLOOR
from bench.results import OURS, C
from bench.stints import STOPPING
from unixipc import libc, posix, signals, sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_SIZES = 64, 4096, 65536, 1 << 20

Run: TypeAlias = "Callable[[int], object]"
_Shared: TypeAlias = sysv.SharedMemory | posix.SharedMemory
_Memory: TypeAlias = _Shared | mmap.mmap


@contextmanager
def calls() -> Iterator[list[Call]]:
    """Make what the rows need, and remove it at the end of the block."""
    c = compiled("calls")
    with workshop() as shop:
        with signals.blocked(STOPPING):
            families = (_kill, _sysv_semaphore, _posix_semaphore, _sysv_memory, _posix_memory)
            made = [call for family in families for call in family(c, shop)]
        yield made


def _kill(c: ctypes.CDLL, shop: Workshop) -> Iterator[Call]:
    yield Call(KILL, OURS, 0, _sending(libc.kill, 0))
    yield Call(KILL, C, 0, lambda turns: c.send_nothing(os.getpid(), turns))
    if has_header():
        yield Call(KILL, FLOOR, 0, _sending(called("kill")[0], 0))
    yield Call(KILL, "os.kill", 0, _sending(os.kill, 0))


def _sending(kill: Callable[[int, int], None], signum: int) -> Run:
    def run(turns: int) -> None:
        pid = os.getpid()
        for _ in range(turns):
            kill(pid, signum)

    return run


def _sysv_semaphore(c: ctypes.CDLL, shop: Workshop) -> Iterator[Call]:
    ours = shop.keep(sysv.Semaphore.create(1))
    yield Call(SYSV_SEMAPHORE, OURS, 0, _pairs(ours))
    yield Call(SYSV_SEMAPHORE, C, 0, lambda turns: c.sysv_semaphore(ours.id, turns))
    if has_header():
        yield Call(SYSV_SEMAPHORE, FLOOR, 0, _pairs(_Functions(*called("semaphore", ours.id))))
    if library := peer("sysv_ipc"):
        theirs = shop.keep(library.Semaphore(None, library.IPC_CREX, initial_value=1))
        yield Call(SYSV_SEMAPHORE, "sysv_ipc", 0, _pairs(theirs))


def _posix_semaphore(c: ctypes.CDLL, shop: Workshop) -> Iterator[Call]:
    yield Call(POSIX_SEMAPHORE, OURS, 0, _pairs(shop.keep(posix.Semaphore.create(shop.name(), 1))))
    yield Call(POSIX_SEMAPHORE, C, 0, c.posix_semaphore)
    if library := peer("posix_ipc"):
        theirs = shop.keep(library.Semaphore(shop.name(), library.O_CREX, initial_value=1))
        yield Call(POSIX_SEMAPHORE, "posix_ipc", 0, _pairs(theirs))
    yield Call(POSIX_SEMAPHORE, "multiprocessing.Lock", 0, _pairs(multiprocessing.get_context("fork").Lock()))
    yield Call(POSIX_SEMAPHORE, "threading.Lock", 0, _pairs(threading.Lock()))


@dataclass(frozen=True, slots=True)
class _Functions:
    acquire: Callable[[], object]
    release: Callable[[], object]


def _pairs(semaphore: Any) -> Run:
    def run(turns: int) -> None:
        for _ in range(turns):
            semaphore.acquire()
            semaphore.release()

    return run


def _sysv_memory(c: ctypes.CDLL, shop: Workshop) -> Iterator[Call]:
    ours, library = shop.keep(sysv.SharedMemory.create(_SIZES[-1])), peer("sysv_ipc")
    theirs = library and library.attach(ours.id)
    if theirs:
        shop.callback(theirs.detach)
    for size in _SIZES:
        text = b"x" * size  # of pages of its own: zeros would all be read from one
        yield from _views(SYSV_READ, SYSV_WRITE, ours, text, c)
        if theirs:
            yield Call(SYSV_READ, "sysv_ipc", size, _repeated(theirs.read, size))
            yield Call(SYSV_WRITE, "sysv_ipc", size, _repeated(theirs.write, text))


def _posix_memory(c: ctypes.CDLL, shop: Workshop) -> Iterator[Call]:
    ours = shop.keep(posix.SharedMemory.create(shop.name(), _SIZES[-1]))
    theirs = shop.enter_context(closing(mmap.mmap(ours.fileno(), _SIZES[-1])))
    for size in _SIZES:
        text = b"x" * size
        yield from _views(POSIX_READ, POSIX_WRITE, ours, text, c)
        yield Call(POSIX_READ, "mmap", size, _slices_read(theirs, size))
        yield Call(POSIX_WRITE, "mmap", size, _slices_written(theirs, text))


def _views(read: str, write: str, memory: _Shared, text: bytes, c: ctypes.CDLL) -> Iterator[Call]:
    """Read bytes from memory and write them there: by slices, as of an `mmap`, by a view of their place, and in C.

    A program that knows where its messages lie keeps a view of each place; with an `mmap` it cannot.
    """
    size = len(text)
    place = memoryview(memory)[:size]
    yield Call(read, OURS, size, _slices_read(memory, size))
    yield Call(write, OURS, size, _slices_written(memory, text))
    yield Call(read, VIEW, size, _repeated(place.tobytes))
    yield Call(write, VIEW, size, _slices_written(place, text))
    there, length = ctypes.c_void_p(memory.address), ctypes.c_size_t(size)
    here = ctypes.create_string_buffer(text, size)
    yield Call(read, C, size, lambda turns: c.copy(here, there, length, turns))
    yield Call(write, C, size, lambda turns: c.copy(there, here, length, turns))


def _repeated(call: Callable[..., object], *arguments: object) -> Run:
    def run(turns: int) -> None:
        for _ in range(turns):
            call(*arguments)

    return run


def _slices_read(memory: _Memory, size: int) -> Run:
    def run(turns: int) -> None:
        for _ in range(turns):
            memory[:size]

    return run


def _slices_written(memory: _Memory | memoryview, text: bytes) -> Run:
    size = len(text)

    def run(turns: int) -> None:
        for _ in range(turns):
            memory[:size] = text

    return run
