"""What a fork costs, and that it leaves nothing: `python -m bench.forking [ROUNDS]`.

The sides take turns, so that whatever disturbs the machine disturbs them alike. The first is `os.fork` and
`os.waitpid` and nothing else; of the others the table shows what they take beyond it. A process with much memory forks
more slowly, on all sides alike: MEGABYTES are written to before, as a test session would have. And `faulthandler` is
enabled, as pytest does.
"""

from __future__ import annotations

import faulthandler
import os
import sys
import time
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from unixipc import processes, testing

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 500
MEGABYTES = 50


def nothing() -> None:
    """Do what the child of every side does."""


def bare() -> None:
    """Fork and reap, as little as there can be."""
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


def with_result() -> None:
    """Fork a child that hands its result back."""
    with processes.fork(nothing) as child:
        child.result()


def with_witness() -> None:
    """Fork a child as the pytest fixture does: with a deadline, handshakes, and a report should it crash."""
    with testing.fork(nothing) as child:
        child.result()


def _milliseconds(run: Callable[[], None]) -> float:
    start = time.perf_counter_ns()
    run()
    return (time.perf_counter_ns() - start) / 1e6


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _children() -> int:
    return len(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def main() -> None:
    """Run all sides, and print what each costs and what all of them have left."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with_witness()  # what is made once
    descriptors = _descriptors()
    faulthandler.enable()
    memory = bytearray(os.urandom(1)) * (MEGABYTES * 2**20)
    sides = {"os.fork + os.waitpid": bare, "processes.fork": with_result, "testing.fork, the fixture": with_witness}
    rounds = [[_milliseconds(run) for run in sides.values()] for _ in range(count)]
    del memory
    for i, name in enumerate(sides):
        low, *_, high = quantiles((row[i] - row[0] for row in rounds), n=10)
        whole, beyond = median(row[i] for row in rounds), median(row[i] - row[0] for row in rounds)
        print(f"{name:26} {whole:6.3f} ms, {beyond:6.3f} ms beyond the first ({low:.3f} to {high:.3f})")
    left = f"{_children()} children and {_descriptors() - descriptors} descriptors"
    print(f"{count * len(sides)} forks have left {left}")


if __name__ == "__main__":
    main()
