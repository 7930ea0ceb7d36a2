"""What tests of several files use, besides the package's own plugin: `fork`, `gate`, deadlines and the leak check."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from unixipc import _cpython, libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

hypothesis.settings.register_profile("unixipc", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("unixipc")  # a process may stand still for long, at any moment

pytest_plugins = ["unixipc.testing.plugin", "pytester", "cli_room.commands"]


def pytest_configure() -> None:
    """Begin as in a shell of one's own, also in the background, where shells have SIGINT and SIGQUIT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)


@pytest.fixture(params=["front", pytest.param("twin", marks=pytest.mark.slow)])
def way(request: pytest.FixtureRequest) -> Iterator[None]:
    """Run each test with the fronts of hot calls and methods, and with the Python functions behind them."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "twin":
            for name, twin in _cpython.twins.items():
                patch.setattr(libc, name, twin)
            for front, twin in _cpython.method_fronts.items():
                patch.setattr(front.__objclass__, front.__name__, twin)
        yield


class Handle(Protocol):
    def __call__(
        self, signum: int, handler: libc.Handler, mask: Iterable[int] = (), flags: int = 0
    ) -> libc.Sigaction: ...


def install(signum: int, handler: libc.Handler, mask: Iterable[int] = (), flags: int = 0) -> libc.Sigaction:
    """Install a handler for the rest of a child's life."""
    return libc.sigaction(signum, libc.Sigaction(handler, mask, flags))


@pytest.fixture
def handle() -> Iterator[Handle]:
    """Install handlers until the test ends."""
    before: list[tuple[int, libc.Sigaction]] = []

    def handle(signum: int, handler: libc.Handler, mask: Iterable[int] = (), flags: int = 0) -> libc.Sigaction:
        before.append((signum, install(signum, handler, mask, flags)))
        return before[-1][1]

    yield handle
    for signum, action in reversed(before):
        libc.sigaction(signum, action)


@pytest.fixture
def block() -> Iterator[Callable[..., object]]:
    """Block signals for the test, so that they can be waited for."""
    before = libc.sigprocmask(libc.SIG_BLOCK)
    yield lambda *signals: libc.sigprocmask(libc.SIG_BLOCK, signals)
    while left := libc.sigpending() - before:
        with suppress(BlockingIOError):  # sigpending() tells of the signal of a deleted timer, which never comes
            libc.sigtimedwait(left, 0)
    libc.sigprocmask(libc.SIG_SETMASK, before)


class Strike:
    """A signal for this process that no bytecode has looked at when the attribute has been read: all of it is C."""

    _as_parameter_ = 0
    by_sigint = property(partial(ctypes.CDLL(None).kill, os.getpid(), signal.SIGINT))


@pytest.fixture
def strike() -> Strike:
    """Have signals strike where a line of Python that sends one would see it handled."""
    return Strike()


@pytest.fixture
def pipe() -> Iterator[Callable[..., tuple[int, int]]]:
    """Make pipes that are closed when the test ends."""
    ends: list[int] = []

    def make(flags: int = 0) -> tuple[int, int]:
        made = libc.pipe(flags | libc.O_CLOEXEC)
        ends.extend(made)
        return made

    yield make
    for end in ends:
        os.close(end)


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


def count_alone() -> None:
    """Have what the kernel counts for each user, signals and queues, counted for this forked child alone."""
    with suppress(PermissionError):  # then other processes of this user disturb, if there are any
        libc.unshare(libc.CLONE_NEWUSER)
