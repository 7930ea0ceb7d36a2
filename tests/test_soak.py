"""bench.soak: nothing grows, and what does is named."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from unixipc.testing import DEADLINE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
LEAKS = """
import ctypes, itertools, os, sys
from bench import soak
from unixipc import libc

kept, numbers = [], itertools.count()

def a_child(chance):  # and wait for its end: as long as it lives, it shares our pages
    os.waitid(os.P_PID, os.fork() or os._exit(0), os.WEXITED | os.WNOWAIT)

soak.KINDS[:] = [
    soak.Kind("no leak", lambda chance: bytes(4096)),
    soak.Kind("a descriptor", lambda chance: os.dup(0)),
    soak.Kind("a queue", lambda chance: libc.msgget(libc.IPC_PRIVATE, 0o600)),
    soak.Kind("a timer", lambda chance: libc.timer_create(libc.CLOCK_MONOTONIC)),
    soak.Kind("a child", a_child, share=10),
    soak.Kind("a page", lambda chance: kept.append(libc.mmap(None, 4096, 3, libc.MAP_SHARED | libc.MAP_ANONYMOUS))),
    soak.Kind("an object", lambda chance: kept.append([chance])),
    soak.Kind("a block", lambda chance: ctypes.CDLL(None).malloc(4000)),
    soak.Kind("a signal", lambda chance: libc.sigprocmask(libc.SIG_BLOCK, {next(numbers) // 8 + 36}), share=10),
]
status = soak.main()
for pid in soak.Path("/proc/self/task", str(os.getpid()), "children").read_text().split():
    os.waitpid(int(pid), 0)
sys.exit(status)
"""


def soak(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=DEADLINE)


def test_nothing_grows_where_objects_of_every_kind_are_made_and_removed() -> None:
    done = soak("-m", "bench.soak", "--cycles", "1200", "--rounds", "4")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    rows = done.stdout.splitlines()[1:]
    assert len(rows) > 20
    assert rows[-1].startswith("all together")


def test_what_leaks_is_named_with_what_it_leaks() -> None:
    done = soak("-c", LEAKS, "--cycles", "9000", "--rounds", "4")
    assert done.returncode == 1, done.stderr
    named = dict(line.split(": ") for line in done.stderr.splitlines())
    leaks = {
        "a descriptor": "descriptors",
        "a queue": "objects",
        "a timer": "objects",
        "a child": "objects",
        "a page": "mappings",
        "an object": "blocks",
        "a block": "heap",
        "a signal": "signals",
    }
    assert named.keys() == leaks.keys() | {"all together"}
    for name, column in leaks.items():
        assert re.search(rf"\b{column} \+[1-9]", named[name]), (name, named[name])
        assert column in named["all together"]
