"""A signal that lands between the interpreter's last look and a call that blocks: window.c is such a call."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from until import until_blocked

from unixipc import libc
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

SOURCE = Path(__file__).parent / "c" / "window.c"
CALLS = ("signalled_before_read", "signalled_before_poll")
PATIENCE = 0.01
LONGER_THAN_PATIENCE = 0.1


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("there is no gcc to compile window.c with")
    library = tmp_path_factory.mktemp("window") / "window.so"
    subprocess.run([gcc, "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-o", library, SOURCE], check=True)
    return ctypes.CDLL(str(library))


@pytest.fixture
def empty_pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("flags", [0, libc.SA_RESTART], ids=["", "SA_RESTART"])
def test_a_signal_in_the_window_ends_the_call_and_is_handled(
    fork: Fork, window: ctypes.CDLL, empty_pipe: tuple[int, int], call: str, flags: int
) -> None:
    handled: list[int] = []

    def child() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handled.append, flags=flags))
        for round_ in range(1, 4):
            assert window[call](libc.SIGUSR1, empty_pipe[0]) == -errno.EINTR
            assert handled == [libc.SIGUSR1] * round_
        assert not libc.sigprocmask(libc.SIG_BLOCK)

    fork(child).result()


def test_a_signal_in_the_window_ends_the_call_also_where_its_handler_wants_all_signals_blocked(
    fork: Fork, window: ctypes.CDLL, empty_pipe: tuple[int, int]
) -> None:
    """What ends the call must not be blocked until that handler runs."""
    handled: list[int] = []

    def child() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handled.append, mask=libc.SignalSet.full()))
        for round_ in range(1, 4):
            assert window.signalled_before_read(libc.SIGUSR1, empty_pipe[0]) == -errno.EINTR
            assert handled == [libc.SIGUSR1] * round_
        assert not libc.sigprocmask(libc.SIG_BLOCK)

    fork(child).result(DEADLINE)


def test_a_signal_of_another_thread_before_the_call_ends_it_and_is_handled(
    fork: Fork, window: ctypes.CDLL, empty_pipe: tuple[int, int]
) -> None:
    handled: list[int] = []

    def child() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handled.append))
        window.start_sleeper()
        for round_ in range(1, 4):
            result = window.sleeper_signalled_before_read(libc.SIGUSR1, empty_pipe[0])
            assert result == -errno.EINTR
            assert handled == [libc.SIGUSR1] * round_
        window.stop_sleeper()

    fork(child).result()


def test_a_signal_of_a_thread_without_the_interpreter_is_handled_while_python_is_busy(
    fork: Fork, window: ctypes.CDLL
) -> None:
    """CPython's handler, on another thread, makes the main thread overlook even what it was told of before."""
    handled: list[int] = []

    def child() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handled.append))
        tid = window.start_sleeper()
        for _ in range(20):
            handled.clear()
            libc.tgkill(os.getpid(), tid, libc.SIGUSR1)
            deadline = time.monotonic() + DEADLINE / 2
            while not handled and time.monotonic() < deadline:
                pass
            assert handled == [libc.SIGUSR1]
        window.stop_sleeper()

    fork(child).result()


def test_the_same_in_a_child_of_one_that_was_woken_so(
    fork: Fork, window: ctypes.CDLL, empty_pipe: tuple[int, int]
) -> None:
    handled: list[int] = []

    def child() -> int:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handled.append))
        assert window.signalled_before_read(libc.SIGUSR1, empty_pipe[0]) == -errno.EINTR
        pid = os.fork()
        if pid == 0:
            os._exit(window.signalled_before_read(libc.SIGUSR1, empty_pipe[0]) == -errno.EINTR and len(handled) == 2)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert fork(child).result() == 1


def test_who_wants_the_signal_that_wakes_for_himself_gets_it(
    fork: Fork, window: ctypes.CDLL, empty_pipe: tuple[int, int]
) -> None:
    handled: list[int] = []

    def child() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handled.append))
        assert window.signalled_before_read(libc.SIGUSR1, empty_pipe[0]) == -errno.EINTR
        for taken in (libc.SIGURG, libc.SIGRTMAX, libc.SIGRTMAX - 1):
            libc.sigaction(taken, libc.Sigaction(handled.append))
            handled.clear()
            assert window.signalled_before_read(libc.SIGUSR1, empty_pipe[0]) == -errno.EINTR
            libc.raise_(taken)
            assert handled == [libc.SIGUSR1, taken]

    fork(child).result()


def test_where_the_main_thread_blocks_the_signal_that_wakes_it_is_never_left_pending(fork: Fork) -> None:
    def child() -> libc.SignalSet:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))
        libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full() - {libc.SIGUSR1})
        libc.raise_(libc.SIGUSR1)
        time.sleep(LONGER_THAN_PATIENCE)  # time itself is what must do nothing here
        return libc.sigpending()

    assert not fork(child).result()


WAITS: dict[str, tuple[Callable[[], object], int, object]] = {
    "sigsuspend": (lambda: libc.sigsuspend({libc.SIGRTMIN}), libc.SIGUSR2, None),
    "pause": (libc.pause, libc.SIGUSR2, None),
    "sigwaitinfo": (lambda: libc.sigwaitinfo(libc.SignalSet.full()).si_signo, libc.SIGRTMIN, libc.SIGRTMIN),
    "sigtimedwait": (lambda: libc.sigtimedwait({libc.SIGRTMIN}, DEADLINE).si_signo, libc.SIGRTMIN, libc.SIGRTMIN),
}
"""Each wait, the signal that ends it, and its result."""


@pytest.mark.parametrize("wait", WAITS)
def test_looking_again_ends_no_wait_for_signals(fork: Fork, gate: Callable[[], Gate], wait: str) -> None:
    waits = gate()
    call, ending, expected = WAITS[wait]

    def child() -> object:
        handled: list[int] = []
        blocked = libc.SignalSet.full() if wait == "sigwaitinfo" else {libc.SIGRTMIN}
        for signum in (libc.SIGUSR1, libc.SIGUSR2):
            libc.sigaction(signum, libc.Sigaction(handled.append))
        libc.raise_(libc.SIGUSR1)
        libc.sigprocmask(libc.SIG_SETMASK, blocked)
        waits.open()
        return call(), handled

    waiting = fork(child)
    waits.wait()
    time.sleep(LONGER_THAN_PATIENCE)  # not for the child: for the look to come
    until_blocked(waiting)
    libc.kill(waiting.pid, ending)
    handled = [libc.SIGUSR1] if ending == libc.SIGRTMIN else [libc.SIGUSR1, ending]
    assert waiting.result() == (expected, handled)


READS: dict[str, Callable[[int], object]] = {
    "ours": lambda fd: libc.read(fd, 1),
    "os.read": lambda fd: os.read(fd, 1),
    "C": lambda fd: b"!" if ctypes.CDLL(None).read(fd, ctypes.create_string_buffer(1), 1) == 1 else None,
}


@pytest.mark.parametrize("read", READS)
def test_looking_again_ends_no_read(
    fork: Fork, gate: Callable[[], Gate], empty_pipe: tuple[int, int], read: str
) -> None:
    waits = gate()

    def child() -> object:
        handled: list[float] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: handled.append(time.monotonic())))
        raised = -1.0
        while not handled or handled[-1] - raised > PATIENCE:  # else the look finds it, and pokes
            raised = time.monotonic()
            libc.raise_(libc.SIGUSR1)
        waits.open()
        return READS[read](empty_pipe[0])

    reading = fork(child)
    waits.wait()
    time.sleep(LONGER_THAN_PATIENCE)  # not for the child: for the look to come
    os.write(empty_pipe[1], b"!")
    assert reading.result() == b"!"


def test_a_poke_before_it_does_not_make_a_signal_restart_the_call(
    fork: Fork, gate: Callable[[], Gate], empty_pipe: tuple[int, int]
) -> None:
    reads = gate()

    def child() -> list[int]:
        handled: list[int] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handled.append))
        libc.raise_(libc.SIGUSR1)
        reads.open()
        with pytest.raises(InterruptedError):
            libc.read(empty_pipe[0], 1)
        return handled

    reading = fork(child)
    reads.wait()
    time.sleep(LONGER_THAN_PATIENCE)  # not for the child: for the look to come
    until_blocked(reading)
    libc.kill(reading.pid, libc.SIGUSR1)
    assert reading.result() == [libc.SIGUSR1] * 2


@pytest.mark.parametrize("signum", [libc.SIGURG, libc.SIGRTMAX])
def test_other_code_that_sets_the_default_again_is_not_killed_by_the_poke(fork: Fork, signum: int) -> None:
    def child() -> str:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))
        libc.raise_(libc.SIGUSR1)
        signal.signal(signum, signal.SIG_DFL)
        time.sleep(LONGER_THAN_PATIENCE)  # time itself is what must do nothing here
        return "alive"

    assert fork(child).result() == "alive"


def test_a_poke_that_is_under_way_is_not_left_pending_by_who_blocks_it(fork: Fork) -> None:
    def child() -> tuple[libc.SignalSet, list[int]]:
        handled: list[int] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handled.append))
        for _ in range(3):
            libc.raise_(libc.SIGUSR1)
            before = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())
            time.sleep(LONGER_THAN_PATIENCE)  # the same
            pending = libc.sigpending()
            libc.sigprocmask(libc.SIG_SETMASK, before)
            if pending:
                break
        return pending, handled

    assert fork(child).result() == (libc.SignalSet(), [libc.SIGUSR1] * 3)


def test_once_unblocked_the_poke_works_again(fork: Fork, window: ctypes.CDLL, empty_pipe: tuple[int, int]) -> None:
    handled: list[int] = []

    def child() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handled.append))
        for round_ in range(1, 4):
            assert window.signalled_before_read(libc.SIGUSR1, empty_pipe[0]) == -errno.EINTR
            before = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())
            libc.sigprocmask(libc.SIG_SETMASK, before)
            assert handled == [libc.SIGUSR1] * round_

    fork(child).result()


def test_a_real_time_signal_that_wakes_nobody_has_its_default_action(fork: Fork) -> None:
    def child() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))
        libc.raise_(libc.SIGUSR1)
        libc.raise_(libc.SIGRTMAX)

    assert fork(child).wait().returncode == -libc.SIGRTMAX


def test_a_signal_that_comes_just_after_a_look_is_looked_for_again(
    fork: Fork, window: ctypes.CDLL, empty_pipe: tuple[int, int]
) -> None:
    """At that moment no clock that lags may take the look for one that is still to come."""

    def child() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))
        for round_ in range(50):
            libc.raise_(libc.SIGUSR1)
            time.sleep(0.0095 + 0.0001 * round_)  # not for anybody: for the look to have come
            assert window.signalled_before_read(libc.SIGUSR1, empty_pipe[0]) == -errno.EINTR

    fork(child).result()
