"""Fixtures for tests that fork, and the check that each test leaves the process and the system as it found them."""

from __future__ import annotations

import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar, TypeVarTuple

import pytest

from unixipc import libc, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CLONE_NEWIPC, CLONE_NEWNS = 0x08000000, 0x00020000  # in os from 3.12 on
MS_REC, MS_PRIVATE = 1 << 14, 1 << 18

Arguments = TypeVarTuple("Arguments")
T = TypeVar("T")

DEADLINE = 30.0

TIMERS = Path("/proc/self/timers")  # where the kernel has CONFIG_CHECKPOINT_RESTORE
POKES = {libc.SIGURG, libc.SIGRTMAX}  # what the timer of the delivery itself sends


def pytest_configure() -> None:
    """Begin as in a shell of one's own, also in the background, where shells have SIGINT and SIGQUIT ignored.

    IPC objects and /dev/shm are our own where we may: what others make is then not taken for a leak.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    c = ctypes.CDLL(None)
    c.unshare(CLONE_NEWIPC)
    if c.unshare(CLONE_NEWNS) == 0 and c.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) == 0:
        c.mount(b"tmpfs", b"/dev/shm", b"tmpfs", 0, None)


def _open_descriptors() -> dict[str, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = str(entry.readlink())
        except FileNotFoundError:  # the descriptor that listed the folder
            continue
    return found


def _sysv_ids(kind: str) -> set[str]:
    """The ids of this user's objects: other users' come and go as they like."""
    head, *rows = [line.split() for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()]
    rows = [row for row in rows if row[head.index("uid")] == str(os.geteuid())]
    return {f"{kind} id {row[1]} (key {row[0]})" for row in rows}


def _names(folder: str) -> set[str]:
    path = Path(folder)
    return {str(entry) for entry in path.iterdir()} if path.is_dir() else set()


def _dispositions() -> dict[str, libc.Sigaction]:
    catchable = libc.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}
    return {f"disposition of signal {int(signum)}": libc.sigaction(signum) for signum in catchable}


def _children() -> set[str]:
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has been joined is gone a moment later
            found |= {f"child {pid}" for pid in (task / "children").read_text().split()}
    return found


def _state() -> dict[str, object]:
    state: dict[str, object] = {
        "mask": libc.sigprocmask(libc.SIG_BLOCK),
        "wakeup fd": signal.set_wakeup_fd(-1),
        "alarm": signal.getitimer(signal.ITIMER_REAL)[0] > 0,
        "umask": os.umask(0o22),
        "signal stack": libc.sigaltstack(),
    }
    os.umask(state["umask"])  # type: ignore[arg-type]
    state |= _dispositions()
    state |= {f"descriptor {number} ({target})": True for number, target in _open_descriptors().items()}
    things = _children() | _names("/dev/shm") | _names("/dev/mqueue")  # noqa: S108 - looked at only
    for kind in ("shm", "msg", "sem"):
        things |= _sysv_ids(kind)
    things |= {f"thread {thread.name}" for thread in threading.enumerate()}
    if TIMERS.exists():
        timers = re.findall(r"^ID: (\d+)\nsignal: (\d+)/", TIMERS.read_text(), re.MULTILINE)
        things |= {f"timer {number}" for number, signum in timers if int(signum) not in POKES}
    return state | dict.fromkeys(things, True)


@pytest.fixture(autouse=True)
def leaves_nothing_behind() -> Iterator[None]:
    before = _state()
    yield
    after = _state()
    changed = [
        f"{thing}: {before.get(thing, 'absent')} became {after.get(thing, 'absent')}"
        for thing in sorted(before.keys() | after.keys())
        if before.get(thing) != after.get(thing)
    ]
    assert not changed, "the test left behind:\n" + "\n".join(changed)


class Fork(Protocol):
    def __call__(
        self, function: Callable[[*Arguments], T], /, *args: *Arguments, allow_threads: bool = False
    ) -> processes.Child[T]: ...


@pytest.fixture
def fork(leaves_nothing_behind: None) -> Iterator[Fork]:
    """Fork children that are killed and reaped with the test, and must end in time: `child.result(DEADLINE)`."""
    with ExitStack() as children:

        def start(
            function: Callable[[*Arguments], T], /, *args: *Arguments, allow_threads: bool = False
        ) -> processes.Child[T]:
            return children.enter_context(processes.fork(function, *args, allow_threads=allow_threads))

        yield start


class Gate:
    """A handshake between forked processes: whoever waits goes on when another has opened, and never without."""

    def __init__(self) -> None:
        self._waits, self._opens = os.pipe()

    def open(self) -> None:
        """Let one `wait` through."""
        os.write(self._opens, b"!")

    def wait(self) -> None:
        """Take one `open`, within the deadline."""
        if not select.select([self._waits], [], [], DEADLINE)[0]:
            raise TimeoutError(f"nobody opened the gate within {DEADLINE} seconds")
        os.read(self._waits, 1)

    def close(self) -> None:
        """Close both ends."""
        os.close(self._waits)
        os.close(self._opens)


@pytest.fixture
def gate(leaves_nothing_behind: None) -> Iterator[Callable[[], Gate]]:
    """Make gates, to be made before the fork."""
    gates: list[Gate] = []

    def make() -> Gate:
        gates.append(Gate())
        return gates[-1]

    yield make
    for made in gates:
        made.close()


@pytest.fixture
def block(leaves_nothing_behind: None) -> Iterator[Callable[..., object]]:
    """Block signals for the test, so that they can be waited for."""
    before = libc.sigprocmask(libc.SIG_BLOCK)
    yield lambda *signals: libc.sigprocmask(libc.SIG_BLOCK, signals)
    while left := libc.sigpending() - before:
        with suppress(BlockingIOError):  # sigpending() tells of the signal of a deleted timer, which never comes
            libc.sigtimedwait(left, 0)
    libc.sigprocmask(libc.SIG_SETMASK, before)


def sleeps(pid: int) -> bool:
    """Whether the kernel has put the process to sleep, as it does in a blocking call."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


@pytest.fixture(scope="session")
def c_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile tests/libc/c/library.c as a shared library."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("there is no gcc to compile the C library with")
    source, library = Path(__file__).parent / "libc" / "c" / "library.c", tmp_path_factory.mktemp("library") / "own.so"
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run([gcc, *flags, "-o", library, source], check=True)
    return library
