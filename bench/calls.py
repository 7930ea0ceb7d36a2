"""What carries no messages: calls within one process, each beside its C program and its peers."""

from __future__ import annotations

import ctypes
import mmap
import multiprocessing
import os
import signal
import threading
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import posix_ipc
import sysv_ipc

from bench.bars import (
    KILL,
    POSIX_READ,
    POSIX_SEMAPHORE,
    POSIX_WRITE,
    SYSV_READ,
    SYSV_SEMAPHORE,
    SYSV_WRITE,
)
from bench.compiling import compiled
from bench.measuring import Call
from bench.results import OURS, C
from unixipc import libc, posix, signals, sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HANDLER = "signal to a Python handler"
SLICE = f"{OURS}, slice of a view"

_SIZES = 64, 4096, 65536, 1 << 20
_HANDLED = libc.SIGRTMAX, libc.SIGRTMAX - 1, libc.SIGRTMAX - 2

Run: TypeAlias = "Callable[[int], object]"


@contextmanager
def calls() -> Iterator[list[Call]]:
    """Make what the rows need, and remove it at the end of the block."""
    c = compiled("calls")
    with ExitStack() as stack:
        families = (_kill, _semaphores, _sysv_memory, _posix_memory, _handlers)
        yield [call for family in families for call in family(c, stack)]


def _kill(c: ctypes.CDLL, stack: ExitStack) -> Iterator[Call]:
    yield Call(KILL, OURS, 0, _sending(libc.kill, 0))
    yield Call(KILL, C, 0, lambda turns: c.send_nothing(os.getpid(), turns))
    yield Call(KILL, "os.kill", 0, _sending(os.kill, 0))


def _sending(kill: Callable[[int, int], None], signum: int) -> Run:
    def run(turns: int) -> None:
        pid = os.getpid()
        for _ in range(turns):
            kill(pid, signum)

    return run


def _semaphores(c: ctypes.CDLL, stack: ExitStack) -> Iterator[Call]:
    ours = sysv.Semaphore.create(1)
    stack.callback(ours.remove)
    yield Call(SYSV_SEMAPHORE, OURS, 0, _pairs(ours))
    yield Call(SYSV_SEMAPHORE, C, 0, lambda turns: c.sysv_semaphore(ours.id, turns))
    theirs = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX, initial_value=1)
    stack.callback(theirs.remove)
    yield Call(SYSV_SEMAPHORE, "sysv_ipc", 0, _pairs(theirs))

    name = f"/unixipc-bench-{os.getpid()}"
    named = stack.enter_context(closing(posix.Semaphore.create(name, 1)))
    stack.callback(named.unlink)
    yield Call(POSIX_SEMAPHORE, OURS, 0, _pairs(named))
    yield Call(POSIX_SEMAPHORE, C, 0, c.posix_semaphore)
    peer = stack.enter_context(closing(posix_ipc.Semaphore(name)))
    yield Call(POSIX_SEMAPHORE, "posix_ipc", 0, _pairs(peer))
    yield Call(POSIX_SEMAPHORE, "multiprocessing.Lock", 0, _pairs(multiprocessing.Lock()))
    yield Call(POSIX_SEMAPHORE, "threading.Lock", 0, _pairs(threading.Lock()))


def _pairs(semaphore: Any) -> Run:
    def run(turns: int) -> None:
        for _ in range(turns):
            semaphore.acquire()
            semaphore.release()

    return run


def _sysv_memory(c: ctypes.CDLL, stack: ExitStack) -> Iterator[Call]:
    ours = stack.enter_context(closing(sysv.SharedMemory.create(_SIZES[-1])))
    stack.callback(ours.remove)
    theirs = sysv_ipc.attach(ours.id)
    stack.callback(theirs.detach)
    for size in _SIZES:
        text = b"x" * size  # of pages of its own: zeros would all be read from one
        yield from _views(SYSV_READ, SYSV_WRITE, ours, text, c)
        yield Call(SYSV_READ, "sysv_ipc", size, _repeated(theirs.read, size))
        yield Call(SYSV_WRITE, "sysv_ipc", size, _repeated(theirs.write, text))


def _posix_memory(c: ctypes.CDLL, stack: ExitStack) -> Iterator[Call]:
    ours = stack.enter_context(closing(posix.SharedMemory.create(f"/unixipc-bench-{os.getpid()}", _SIZES[-1])))
    stack.callback(ours.unlink)
    theirs = stack.enter_context(closing(mmap.mmap(ours.fileno(), _SIZES[-1])))
    for size in _SIZES:
        text = b"x" * size
        yield from _views(POSIX_READ, POSIX_WRITE, ours, text, c)
        yield Call(POSIX_READ, "mmap", size, _slices_read(theirs, size))
        yield Call(POSIX_WRITE, "mmap", size, _slices_written(theirs, text))


def _views(
    read: str, write: str, memory: sysv.SharedMemory | posix.SharedMemory, text: bytes, c: ctypes.CDLL
) -> Iterator[Call]:
    """Read bytes from memory and write them there: by a view of their place, by slices of a larger view, and in C.

    A program that knows where its messages lie keeps a view of each place; with an `mmap` it cannot.
    """
    whole, size = memoryview(memory), len(text)
    place = whole[:size]
    yield Call(read, OURS, size, _repeated(place.tobytes))
    yield Call(write, OURS, size, _slices_written(place, text))
    yield Call(read, SLICE, size, _slices_read_as_bytes(whole, size))
    yield Call(write, SLICE, size, _slices_written(whole, text))
    there, length = ctypes.c_void_p(memory.address), ctypes.c_size_t(size)
    here = ctypes.create_string_buffer(text, size)
    yield Call(read, C, size, lambda turns: c.copy(here, there, length, turns))
    yield Call(write, C, size, lambda turns: c.copy(there, here, length, turns))


def _repeated(call: Callable[..., object], *arguments: object) -> Run:
    def run(turns: int) -> None:
        for _ in range(turns):
            call(*arguments)

    return run


def _slices_read(memory: mmap.mmap, size: int) -> Run:
    def run(turns: int) -> None:
        for _ in range(turns):
            memory[:size]

    return run


def _slices_read_as_bytes(view: memoryview, size: int) -> Run:
    def run(turns: int) -> None:
        for _ in range(turns):
            view[:size].tobytes()

    return run


def _slices_written(memory: memoryview | mmap.mmap, text: bytes) -> Run:
    size = len(text)

    def run(turns: int) -> None:
        for _ in range(turns):
            memory[:size] = text

    return run


def _handlers(c: ctypes.CDLL, stack: ExitStack) -> Iterator[Call]:
    """Send signals that a handler gets at once: ours and C's with the siginfo, the standard library's without."""
    ours, in_c, stdlib = _HANDLED

    def with_siginfo(signum: int, info: libc.Siginfo) -> None:
        pass

    def without(signum: int, frame: object) -> None:
        pass

    stack.enter_context(signals.handling(ours, with_siginfo))
    yield Call(HANDLER, OURS, 0, _sending(libc.kill, ours))
    stack.enter_context(signals.handling(in_c, libc.SIG_DFL))  # C puts its own there, and this puts back what was
    c.install(in_c)
    yield Call(HANDLER, C, 0, lambda turns: c.send_to_handler(os.getpid(), in_c, turns))
    stack.callback(signal.signal, stdlib, signal.signal(stdlib, without))
    yield Call(HANDLER, "signal.signal", 0, _sending(os.kill, stdlib))
