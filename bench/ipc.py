"""What messages and semaphores cost: `python -m bench.ipc`.

Both sides of a row run in the same process, on one processor, and take turns every few milliseconds, so that whatever
disturbs the machine disturbs them alike; what counts is the median of the ratios of neighbours.
"""

from __future__ import annotations

import ctypes
import gc
import multiprocessing
import os
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import posix_ipc
import sysv_ipc

from unixipc import libc, posix, sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SOURCE = Path(__file__).parent / "c" / "ipc.c"
NAME = f"/unixipc-bench-{os.getpid()}"
ROUNDS = 1_000
TURNS = 64 * 4
TEXT = bytes(64)
BATCH = 64
MOST = Path("/proc/sys/fs/mqueue/msg_max")

Run: TypeAlias = "Callable[[int], object]"


class Row(NamedTuple):
    """What is compared, and the ratio that it may have at most."""

    name: str
    bar: float
    ours: Run
    theirs: Run


def messages(queue: Any, batch: int = 1) -> Run:
    """Send so many messages, and receive them, so many times."""
    each = range(batch)

    def run(turns: int) -> None:
        for _ in range(turns // batch):
            for _ in each:
                queue.send(TEXT)
            for _ in each:
                queue.receive()

    return run


def at_once(queue: Any, pairs: list[tuple[object, object]]) -> Run:
    """Do as many messages in one call each."""

    def run(turns: int) -> None:
        for _ in range(turns // len(pairs)):
            queue.send_many(pairs)
            queue.receive_many(len(pairs))

    return run


def pairs(semaphore: Any) -> Run:
    """Take a semaphore that is free and give it back, so many times."""

    def run(turns: int) -> None:
        for _ in range(turns):
            semaphore.acquire()
            semaphore.release()

    return run


def _compiled(folder: str) -> ctypes.CDLL:
    gcc = shutil.which("gcc")
    if gcc is None:
        raise SystemExit("there is no gcc to compile the C side with")
    library = Path(folder) / "ipc.so"
    flags = ["-std=c11", "-O2", "-D_GNU_SOURCE", "-shared", "-fPIC"]
    subprocess.run([gcc, *flags, "-o", library, SOURCE, "-lrt", "-pthread"], check=True)
    return ctypes.CDLL(str(library))


def _namespace() -> None:
    """Go where nobody else's objects are, and a queue may hold a batch; only root can."""
    with suppress(PermissionError):
        libc.unshare(libc.CLONE_NEWIPC)
        MOST.write_text(str(BATCH))


def _system_v(c: ctypes.CDLL, stack: ExitStack) -> Iterator[Row]:
    queue, semaphore = sysv.MessageQueue.create(), sysv.Semaphore.create(1)
    theirs = sysv_ipc.MessageQueue(None, sysv_ipc.IPC_CREX)
    lock = sysv_ipc.Semaphore(None, sysv_ipc.IPC_CREX, initial_value=1)
    for made in (queue, semaphore, theirs, lock):
        stack.callback(made.remove)

    def c_messages(batch: int) -> Run:
        return lambda turns: c.sysv_messages(queue.id, len(TEXT), batch, turns // batch)

    yield Row("sysv message, against C", 1.25, messages(queue), c_messages(1))
    yield Row("sysv message, against sysv_ipc", 1, messages(queue), messages(theirs))
    many = at_once(queue, [(1, TEXT)] * BATCH)
    yield Row(f"sysv messages, {BATCH} at once, against C", 1.05, many, c_messages(BATCH))
    yield Row(f"sysv messages, {BATCH} at once, against sysv_ipc", 1 / 1.3, many, messages(theirs, BATCH))
    yield Row("sysv semaphore, against C", 1.15, pairs(semaphore), lambda turns: c.sysv_semaphore(semaphore.id, turns))
    yield Row("sysv semaphore, against sysv_ipc", 1, pairs(semaphore), pairs(lock))


def _posix(c: ctypes.CDLL, stack: ExitStack) -> Iterator[Row]:
    batch = min(BATCH, int(MOST.read_text()))
    limits = {"max_messages": batch, "max_size": len(TEXT)}
    queue, semaphore = posix.MessageQueue.create(NAME, **limits), posix.Semaphore.create(NAME, 1)
    theirs = posix_ipc.MessageQueue(f"{NAME}-p", posix_ipc.O_CREX, max_messages=batch, max_message_size=len(TEXT))
    lock = posix_ipc.Semaphore(f"{NAME}-p", posix_ipc.O_CREX, initial_value=1)
    for made in (queue, semaphore, theirs, lock):
        stack.callback(made.close)
        stack.callback(made.unlink)

    def c_messages(batch: int) -> Run:
        return lambda turns: c.posix_messages(queue.fileno(), len(TEXT), batch, turns // batch)

    yield Row("posix message, against C", 1.25, messages(queue), c_messages(1))
    yield Row("posix message, against posix_ipc", 1, messages(queue), messages(theirs))
    many = at_once(queue, [(TEXT, 0)] * batch)
    yield Row(f"posix messages, {batch} at once, against C", 1.05, many, c_messages(batch))
    yield Row(f"posix messages, {batch} at once, against posix_ipc", 1 / 1.3, many, messages(theirs, batch))
    yield Row("posix semaphore, against multiprocessing.Lock", 1, pairs(semaphore), pairs(multiprocessing.Lock()))
    yield Row("posix semaphore, against posix_ipc", 1, pairs(semaphore), pairs(lock))


def _nanoseconds(run: Run) -> float:
    start = time.perf_counter_ns()
    run(TURNS)
    return (time.perf_counter_ns() - start) / TURNS


def main() -> None:
    """Run all rows, and print their ratios."""
    _namespace()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    with ExitStack() as stack:
        c = _compiled(stack.enter_context(tempfile.TemporaryDirectory()))
        gc.disable()
        for row in (*_system_v(c, stack), *_posix(c, stack)):
            times = [(_nanoseconds(row.ours), _nanoseconds(row.theirs)) for _ in range(ROUNDS)]
            ratios = [mine / other for mine, other in times]
            low, *_, high = quantiles(ratios, n=10)
            mine, other = (median(side) for side in zip(*times, strict=True))
            above = "" if median(ratios) <= row.bar else "above "
            said = f"{median(ratios):5.2f} ({low:.2f} to {high:.2f})   {mine:5.0f} ns and {other:5.0f} ns"
            print(f"{row.name:50} {said}   {above}{row.bar:.2f}")


if __name__ == "__main__":
    main()
