"""signals.SignalFile: every signal once, in time, and only where no thread can take it away."""

from __future__ import annotations

import gc
import math
import os
import select
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from until import until_blocked

from unixipc import libc
from unixipc.signals import SignalFile, Timer
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork

FIRST, SECOND = libc.SIGRTMIN, libc.SIGRTMIN + 1
SOON = 0.001


def _values(infos: list[libc.Siginfo]) -> list[int | None]:
    return [info.si_value for info in infos]


# -- receiving --


def test_each_queued_signal_is_received_in_order_with_its_value(block: Callable[..., object]) -> None:
    block(FIRST, SECOND)
    with SignalFile([FIRST, SECOND]) as file:
        for value in range(3):
            libc.sigqueue(os.getpid(), SECOND, value)
            libc.sigqueue(os.getpid(), FIRST, value)
        infos = [file.receive(DEADLINE) for _ in range(6)]
    assert [(info.si_signo, info.si_value) for info in infos] == [(n, v) for n in (FIRST, SECOND) for v in range(3)]
    assert all(type(info) is libc.Siginfo for info in infos)


def test_read_takes_what_is_there_and_no_more_than_it_should(
    block: Callable[..., object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unixipc.signals.signalfile._AT_ONCE", 4)
    block(FIRST)
    with SignalFile([FIRST]) as file:
        assert file.read(10) == []
        for value in range(30):
            libc.sigqueue(os.getpid(), FIRST, value)
        assert _values(file.read(1)) == [0]
        assert _values(file.read(3)) == [1, 2, 3]
        assert _values(file.read(10)) == list(range(4, 14))
        assert _values(file.read(10**12)) == list(range(14, 30))
        assert file.read(1) == []


def test_iterating_gives_one_signal_after_the_other(block: Callable[..., object]) -> None:
    block(FIRST, SECOND)
    with SignalFile([FIRST, SECOND]) as file:
        for value in range(5):
            libc.sigqueue(os.getpid(), FIRST, value)
        libc.sigqueue(os.getpid(), SECOND)
        values = []
        for info in file:
            if info.si_signo == SECOND:
                break
            values.append(info.si_value)
    assert values == list(range(5))


def test_signals_that_nobody_received_stay_pending(block: Callable[..., object]) -> None:
    block(FIRST)
    with SignalFile([FIRST]):
        libc.sigqueue(os.getpid(), FIRST, 7)
    assert libc.sigtimedwait({FIRST}, 0).si_value == 7


def test_receive_waits_for_another_process(fork: Fork, gate: Callable[[], Gate], block: Callable[..., object]) -> None:
    block(FIRST)
    ready = gate()

    def child() -> tuple[int | None, int | None]:
        with SignalFile([FIRST]) as file:
            ready.open()
            info = file.receive()
            return info.si_value, info.si_pid

    receiving = fork(child)
    ready.wait()
    until_blocked(receiving)
    libc.sigqueue(receiving.pid, FIRST, 7)
    assert receiving.result() == (7, os.getpid())


def test_no_signal_in_time_is_a_timeout_that_names_the_signals(block: Callable[..., object]) -> None:
    block(FIRST)
    with SignalFile([FIRST]) as file:
        for timeout in (0, SOON):
            with pytest.raises(
                TimeoutError, match=rf"receive\(SignalSet\({{SIGRTMIN}}\), {timeout}\): .*none of them came"
            ):
                file.receive(timeout)


def test_handlers_run_while_it_waits_and_the_deadline_stays(fork: Fork) -> None:
    def child() -> int:
        handled: list[int] = []
        libc.sigprocmask(libc.SIG_BLOCK, {FIRST})
        libc.sigaction(SECOND, libc.Sigaction(handled.append))
        with SignalFile([FIRST]) as file, Timer(SECOND) as timer:
            timer.start(SOON, SOON)
            while len(handled) <= 3:  # if they lengthened the time, the first would never be up
                with pytest.raises(TimeoutError):
                    file.receive(0.1)
        return len(handled)

    assert fork(child).result() > 3


def test_a_handler_that_raises_ends_the_wait_and_loses_nothing(fork: Fork) -> None:
    def child() -> int | None:
        libc.sigprocmask(libc.SIG_BLOCK, {FIRST})
        libc.sigaction(SECOND, libc.Sigaction(lambda _: 1 // 0))

        def start_and_receive() -> None:
            timer.start(0.01)  # it may be up before the call below begins
            file.receive()

        with SignalFile([FIRST]) as file, Timer(SECOND) as timer:
            with pytest.raises(ZeroDivisionError):
                start_and_receive()
            libc.sigqueue(os.getpid(), FIRST, 7)
            return file.receive(0).si_value

    assert fork(child).result() == 7


@pytest.mark.parametrize("timeout", [-1, -0.001, -math.inf, math.nan])
def test_what_is_no_timeout_is_a_value_error(timeout: float, block: Callable[..., object]) -> None:
    block(FIRST)
    with SignalFile([FIRST]) as file, pytest.raises(ValueError, match="a number of seconds from 0 up"):
        file.receive(timeout)


@pytest.mark.parametrize("timeout", [math.inf, 1e300, 2**70])
def test_a_very_long_timeout_waits(timeout: float, block: Callable[..., object]) -> None:
    block(FIRST)
    with SignalFile([FIRST]) as file, Timer(FIRST) as timer:
        timer.start(SOON)
        assert file.receive(timeout).si_timerid == timer.id


@pytest.mark.parametrize("n", [0, -1, -(10**9)])
def test_less_than_one_signal_cannot_be_read(n: int, block: Callable[..., object]) -> None:
    block(FIRST)
    with SignalFile([FIRST]) as file, pytest.raises(ValueError, match="at least one signal"):
        file.read(n)


def test_a_signal_that_the_kernel_drops_with_its_timer_is_waited_for_no_longer(block: Callable[..., object]) -> None:
    block(FIRST)
    with SignalFile([FIRST]) as file:
        with Timer(FIRST) as timer:
            timer.start(0)
            assert select.select([file], [], [], DEADLINE)[0]
        file.read(1)  # it comes, or as on newer kernels, it does not
        with pytest.raises(TimeoutError):
            file.receive(SOON)


# -- as a file --


def test_it_is_readable_while_a_signal_waits(block: Callable[..., object]) -> None:
    block(FIRST)
    with SignalFile([FIRST]) as file:
        assert not select.select([file], [], [], 0)[0]
        libc.sigqueue(os.getpid(), FIRST)
        assert select.select([file], [], [], 0)[0] == [file]
        file.receive(0)
        assert not select.select([file], [], [], 0)[0]


def test_it_is_close_on_exec_and_never_blocks(block: Callable[..., object]) -> None:
    block(FIRST)
    with SignalFile([FIRST]) as file:
        assert (os.get_inheritable(file.fileno()), os.get_blocking(file.fileno())) == (False, False)
        command = [sys.executable, "-c", f"import os; os.fstat({file.fileno()})"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, close_fds=False)
        assert "Bad file descriptor" in done.stderr


def test_update_changes_what_it_receives(block: Callable[..., object]) -> None:
    block(FIRST, SECOND)
    with SignalFile([FIRST]) as file:
        number = file.fileno()
        file.update(signum for signum in (SECOND,))
        assert (file.fileno(), list(file.signals)) == (number, [SECOND])
        libc.sigqueue(os.getpid(), FIRST, 1)
        libc.sigqueue(os.getpid(), SECOND, 2)
        assert _values(file.read(10)) == [2]
        with pytest.raises(ValueError, match="do not block the signals"):
            file.update({libc.SIGUSR2})
        assert list(file.signals) == [SECOND]


def test_a_closed_file_says_so_and_closes_twice(block: Callable[..., object]) -> None:
    block(FIRST)
    file = SignalFile([FIRST])
    number = file.fileno()
    assert (file.closed, repr(file)) == (False, f"<SignalFile {number} of SignalSet({{SIGRTMIN}})>")
    file.close()
    file.close()
    assert (file.closed, repr(file)) == (True, "<SignalFile closed>")
    for use in (file.fileno, file.receive, lambda: file.read(1), lambda: next(file), lambda: file.update([FIRST])):
        with pytest.raises(ValueError, match="this file of signals is closed"):
            use()
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_a_file_that_was_dropped_open_is_closed_with_a_warning(block: Callable[..., object]) -> None:
    block(FIRST)
    file = SignalFile([FIRST])
    number = file.fileno()
    with pytest.warns(ResourceWarning, match=f"unclosed <SignalFile {number} of"):
        del file
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(number)


def test_a_forked_child_reads_its_own_signals(fork: Fork, block: Callable[..., object]) -> None:
    block(FIRST)
    with SignalFile([FIRST]) as file:
        libc.sigqueue(os.getpid(), FIRST, 1)

        def child() -> list[int | None]:
            libc.sigqueue(os.getpid(), FIRST, 2)
            return _values(file.read(10))

        assert fork(child).result() == [2]
        assert _values(file.read(10)) == [1]


# -- only where nobody takes the signals away --


def test_signals_that_are_not_blocked_are_refused_with_the_thread(block: Callable[..., object]) -> None:
    block(FIRST)
    here = threading.get_native_id()
    with pytest.raises(ValueError, match=rf"do not block the signals .*: {here} \(SignalSet\({{SIGUSR1}}\)\);"):
        SignalFile([FIRST, libc.SIGUSR1])


def test_a_thread_that_does_not_block_them_is_named(block: Callable[..., object]) -> None:
    started, end = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        end.wait(DEADLINE)

    worker = threading.Thread(target=work)
    worker.start()
    started.wait(DEADLINE)
    block(FIRST, SECOND)
    try:
        with pytest.raises(ValueError, match=rf": {worker.native_id} \(SignalSet\({{SIGRTMIN, SIGRTMIN\+1}}\)\);"):
            SignalFile([FIRST, SECOND])
    finally:
        end.set()
        worker.join(DEADLINE)


def test_a_thread_that_was_joined_is_not_in_the_way(block: Callable[..., object]) -> None:
    workers = [threading.Thread(target=time.sleep, args=(SOON,)) for _ in range(10)]
    for worker in workers:
        worker.start()
    block(FIRST)
    for worker in workers:
        worker.join(DEADLINE)
    SignalFile([FIRST]).close()


def test_a_thread_that_blocks_them_can_receive_them(block: Callable[..., object]) -> None:
    block(FIRST)
    received: list[libc.Siginfo] = []
    with SignalFile([FIRST]) as file:
        worker = threading.Thread(target=lambda: received.extend(file.receive(DEADLINE) for _ in range(2)))
        worker.start()
        libc.sigqueue(os.getpid(), FIRST, 1)
        assert worker.native_id is not None
        libc.rt_tgsigqueueinfo(os.getpid(), worker.native_id, FIRST, libc.Siginfo.queued(FIRST, 2))
        worker.join(DEADLINE)
    assert sorted(_values(received), key=str) == [1, 2]


@pytest.mark.parametrize("signum", [libc.SIGKILL, libc.SIGSTOP])
def test_what_nobody_can_block_is_refused(signum: libc.Signal, block: Callable[..., object]) -> None:
    block(FIRST)
    with pytest.raises(ValueError, match=rf"nothing can receive SignalSet\({{{signum.name}}}\)"):
        SignalFile([FIRST, signum])


def test_what_the_delivery_to_a_handler_holds_back_does_not_count_as_blocked(fork: Fork) -> None:
    def child() -> None:
        libc.sigaction(FIRST, libc.Sigaction(lambda _: None))
        libc.sigaction(SECOND, libc.Sigaction(tries))
        libc.raise_(SECOND)

    def tries(_: int) -> None:
        with pytest.raises(ValueError, match="do not block the signals"):
            SignalFile([FIRST])

    fork(child).result()


def test_wrong_signals_make_no_file() -> None:
    untyped: Any = SignalFile
    for wrong, error in [(None, TypeError), (5.0, TypeError), (["x"], TypeError), ([0], OSError), ([32], OSError)]:
        with pytest.raises(error):
            untyped(wrong)
    gc.collect()


def test_a_file_of_no_signals_receives_none() -> None:
    with SignalFile([]) as file:
        assert file.read(1) == []
