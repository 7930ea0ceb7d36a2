"""What signals cost: `python -m bench.signals`.

Both sides of a row run in the same process, on one processor, and take turns every few milliseconds, so that whatever
disturbs the machine disturbs them alike; what counts is the median of the ratios of neighbours.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from unixipc import libc, processes

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCE = Path(__file__).parent / "c" / "signals.c"
ROUNDS = 200
TURNS = 2_000
SIGNAL = libc.SIGRTMIN
WANTED = libc.SignalSet({SIGNAL})


def queue_and_wait(pid: int, turns: int) -> None:
    """Queue a signal to a process and take one, so many times; when it is this process, it is the same one."""
    queue, wait, signum, wanted = libc.sigqueue, libc.sigwaitinfo, SIGNAL, WANTED
    for i in range(turns):
        queue(pid, signum, i)
        wait(wanted)


def wait_and_queue(pid: int, turns: int) -> None:
    """Take a signal and send its value back, so many times."""
    queue, wait, signum, wanted = libc.sigqueue, libc.sigwaitinfo, SIGNAL, WANTED
    for _ in range(turns):
        queue(pid, signum, wait(wanted).si_value)  # type: ignore[arg-type]


def _compiled(folder: str) -> ctypes.CDLL:
    gcc = shutil.which("gcc")
    if gcc is None:
        raise SystemExit("there is no gcc to compile the C side with")
    library = Path(folder) / "signals.so"
    flags = ["-std=c11", "-O2", "-D_GNU_SOURCE", "-shared", "-fPIC"]
    subprocess.run([gcc, *flags, "-o", library, SOURCE], check=True)
    return ctypes.CDLL(str(library))


def _nanoseconds(run: Callable[[int, int], object], pid: int) -> float:
    start = time.perf_counter_ns()
    run(pid, TURNS)
    return (time.perf_counter_ns() - start) / TURNS


def alone(run: Callable[[int, int], object]) -> float:
    """Time one turn within one process."""
    return _nanoseconds(run, os.getpid())


def volley(ask: Callable[[int, int], object], answer: Callable[[int, int], object]) -> float:
    """Time one turn between two processes."""
    with processes.fork(answer, os.getpid(), TURNS) as answering:
        spent = _nanoseconds(ask, answering.pid)
        answering.result()
    return spent


def _send_to_self(kill: Callable[[int, int], None]) -> float:
    def run(pid: int, turns: int) -> None:
        for _ in range(turns):
            kill(pid, SIGNAL)

    libc.sigprocmask(libc.SIG_UNBLOCK, WANTED)
    spent = _nanoseconds(run, os.getpid())
    libc.sigprocmask(libc.SIG_BLOCK, WANTED)
    return spent


def delivery() -> float:
    """Send a signal to this process, whose Python handler gets the siginfo."""

    def handler(signum: int, info: libc.Siginfo) -> None:
        pass

    libc.sigaction(SIGNAL, libc.Sigaction(handler, flags=libc.SA_SIGINFO))
    return _send_to_self(libc.kill)


def delivery_in_stdlib() -> float:
    """Do the same with `signal.signal`, whose handler gets the frame."""

    def handler(signum: int, frame: object) -> None:
        pass

    signal.signal(SIGNAL, handler)
    return _send_to_self(os.kill)


def main() -> None:
    """Run all rows, and print their ratios."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    libc.sigprocmask(libc.SIG_BLOCK, WANTED)
    with tempfile.TemporaryDirectory() as folder:
        c = _compiled(folder)
    rows: dict[str, tuple[Callable[[], float], Callable[[], float]]] = {
        "delivery to a handler with siginfo, against signal.signal": (delivery, delivery_in_stdlib),
        "sigqueue + sigwaitinfo in one process, against C": (
            lambda: alone(queue_and_wait),
            lambda: alone(c.queue_and_wait),
        ),
        "sigqueue / sigwaitinfo between two processes, against C": (
            lambda: volley(queue_and_wait, wait_and_queue),
            lambda: volley(c.queue_and_wait, c.wait_and_queue),
        ),
    }
    for name, (ours, theirs) in rows.items():
        times = [(ours(), theirs()) for _ in range(ROUNDS)]
        ratios = [mine / other for mine, other in times]
        low, *_, high = quantiles(ratios, n=10)
        mine, other = (median(side) / 1000 for side in zip(*times, strict=True))
        print(f"{name:58} {median(ratios):5.2f} ({low:.2f} to {high:.2f})   {mine:5.2f} us and {other:5.2f} us")


if __name__ == "__main__":
    main()
