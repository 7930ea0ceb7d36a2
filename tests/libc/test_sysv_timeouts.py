"""unixipc.libc: timeouts of System V messages, which the kernel does not have."""

from __future__ import annotations

import errno
import os
import resource
import select
import signal
import threading
import time
import warnings
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from until import until_blocked, until_thread_blocked

from unixipc import libc
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

SHORT = 0.02


@pytest.fixture
def queue() -> Iterator[int]:
    msqid = libc.msgget(libc.IPC_PRIVATE, 0o600 | libc.IPC_CREAT)
    yield msqid
    with suppress(OSError):  # the test may have removed it
        libc.msgctl(msqid, libc.IPC_RMID)


def fill(msqid: int) -> None:
    """Make the queue small, and fill it with one message."""
    libc.msgctl(msqid, libc.IPC_SET, replace(libc.msgctl(msqid, libc.IPC_STAT), msg_qbytes=100))
    libc.msgsnd(msqid, 1, bytes(100))


def wait(msqid: int, call: str, timeout: float) -> None:
    """Wait in one of the calls, on a queue that is full of messages of type 1, or empty."""
    if call == "msgsnd":
        libc.msgsnd(msqid, 2, b"in time", timeout=timeout)
    elif call == "msgsnd_many":
        libc.msgsnd_many(msqid, [(2, b"in time")], timeout=timeout)
    elif call == "msgrcv_many":
        libc.msgrcv_many(msqid, 100, 5, 2, timeout=timeout)
    elif call == "msgrcv_into":
        libc.msgrcv_into(msqid, bytearray(100), 2, timeout=timeout)
    else:
        libc.msgrcv(msqid, 100, 2, timeout=timeout)


CALLS = ["msgrcv", "msgrcv_into", "msgrcv_many", "msgsnd", "msgsnd_many"]


def times_out(msqid: int, call: str = "msgrcv", timeout: float = SHORT) -> None:
    """Wait in vain, and not too short."""
    start = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        wait(msqid, call, timeout)
    assert time.monotonic() - start >= timeout
    assert caught.value.errno == errno.ETIMEDOUT


# -- timeouts --


@pytest.mark.parametrize("call", CALLS)
def test_a_wait_ends_when_its_time_is_up(queue: int, call: str) -> None:
    fill(queue)
    for _ in range(3):
        times_out(queue, call)
    assert libc.msgctl(queue, libc.IPC_STAT).msg_qnum == 1


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("timeout", [0, 0.0])
def test_no_time_looks_once(queue: int, call: str, timeout: float) -> None:
    fill(queue)
    times_out(queue, call, timeout)
    libc.msgrcv(queue, 100, timeout=timeout)
    libc.msgsnd(queue, 2, b"there", timeout=timeout)
    assert libc.msgrcv(queue, 100, timeout=timeout) == (2, b"there")


@pytest.mark.parametrize("timeout", [10.0**power for power in range(-9, -3)])
def test_an_alarm_before_the_call_has_begun_ends_it_too(queue: int, timeout: float) -> None:
    for _ in range(200):
        times_out(queue, timeout=timeout)


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("timeout", [DEADLINE, 1e9, 1e18])
def test_what_comes_in_time_is_taken(
    queue: int, fork: Fork, gate: Callable[[], Gate], call: str, timeout: float
) -> None:
    ready = gate()
    fill(queue)

    def waits() -> None:
        ready.open()
        wait(queue, call, timeout)

    child = fork(waits)
    ready.wait()
    until_blocked(child)
    libc.msgrcv(queue, 100)
    if call.startswith("msgrcv"):
        libc.msgsnd(queue, 2, b"in time")
    child.result()
    assert libc.msgctl(queue, libc.IPC_STAT).msg_qnum == int(call.startswith("msgsnd"))


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    ("timeout", "error"), [(-1, OSError), (-1e-9, OSError), (float("nan"), ValueError), (float("inf"), OverflowError)]
)
def test_an_impossible_timeout_is_refused(queue: int, call: str, timeout: float, error: type[Exception]) -> None:
    fill(queue)
    with pytest.raises(error):
        wait(queue, call, timeout)


def test_with_ipc_nowait_no_time_passes(queue: int) -> None:
    with pytest.raises(OSError, match="IPC_NOWAIT", check=lambda error: error.errno == errno.ENOMSG):
        libc.msgrcv(queue, 100, 0, libc.IPC_NOWAIT, timeout=DEADLINE)
    fill(queue)
    with pytest.raises(BlockingIOError, match="IPC_NOWAIT"):
        libc.msgsnd(queue, 1, b"x", libc.IPC_NOWAIT, timeout=DEADLINE)


def test_a_timeout_says_what_was_waited_for(queue: int) -> None:
    with pytest.raises(TimeoutError) as caught:
        libc.msgrcv(queue, 100, 3, timeout=0)
    assert caught.value.strerror == f"msgrcv({queue}, 100, 3): Connection timed out: no such message came"


@pytest.mark.parametrize("call", ["msgrcv", "msgsnd"])
def test_removal_while_waiting_is_told(queue: int, fork: Fork, gate: Callable[[], Gate], call: str) -> None:
    ready = gate()
    fill(queue)

    def waits() -> None:
        ready.open()
        wait(queue, call, DEADLINE)

    child = fork(waits)
    ready.wait()
    until_blocked(child)
    libc.msgctl(queue, libc.IPC_RMID)
    with pytest.raises(libc.IdentifierRemovedError, match=call):
        child.result()


# -- threads --


def in_threads(*functions: Callable[[], object]) -> None:
    """Run functions at once, each in a thread, and raise what one raised."""
    raised: list[BaseException] = []

    def run(function: Callable[[], object]) -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - whatever it was
            raised.append(error)

    threads = [threading.Thread(target=run, args=(function,)) for function in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def test_threads_wait_each_for_its_own_time(queue: int) -> None:
    def waits(timeout: float) -> Callable[[], None]:
        def repeatedly() -> None:
            for _ in range(20):
                times_out(queue, timeout=timeout)

        return repeatedly

    in_threads(*(waits(0.001 * number) for number in range(8)))


def test_a_message_goes_to_one_of_the_threads_and_the_others_time_out(queue: int) -> None:
    received, late, sent = [], [], threading.Event()

    def receives() -> None:
        while True:
            was_sent = sent.is_set()
            try:
                received.append(libc.msgrcv(queue, 100, timeout=0.2))
            except TimeoutError as error:
                if not was_sent:
                    continue
                late.append(error)
            return

    def sends() -> None:
        libc.msgsnd(queue, 7, b"for one")
        sent.set()

    in_threads(*[receives] * 4, sends)
    assert received == [(7, b"for one")]
    assert len(late) == 3


def test_more_threads_than_there_are_alarms_are_refused_or_time_out(queue: int) -> None:
    refused = []

    def waits() -> None:
        try:
            times_out(queue, timeout=0.5)
        except BlockingIOError as error:
            refused.append(str(error))

    in_threads(*[waits] * 270)
    assert all("256 threads" in text for text in refused)
    times_out(queue)


def test_another_thread_s_call_is_not_interrupted(queue: int) -> None:
    """A signal without SA_RESTART that it got would make `read` an InterruptedError."""
    ends = os.pipe()

    def waits() -> None:
        for _ in range(50):
            times_out(queue, timeout=0.001)
        os.write(ends[1], b"done")

    in_threads(lambda: libc.read(ends[0], 10), waits)
    for end in ends:
        os.close(end)


def test_the_main_thread_s_call_is_not_interrupted(queue: int, fork: Fork) -> None:
    def main() -> bytes:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))  # the delivery is at work
        ends = os.pipe()

        def waits() -> None:
            for _ in range(50):
                times_out(queue, timeout=0.001)
            os.write(ends[1], b"done")

        thread = threading.Thread(target=waits)
        thread.start()
        got = libc.read(ends[0], 10)
        thread.join()
        return got

    assert fork(main).result() == b"done"


def test_a_child_forked_while_another_thread_waits_has_timeouts_of_its_own(queue: int) -> None:
    thread = threading.Thread(target=libc.msgrcv, args=(queue, 100), kwargs={"timeout": DEADLINE})
    thread.start()
    until_thread_blocked(thread.native_id)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads
        pid = os.fork()
    if pid == 0:
        with suppress(BaseException):
            times_out(queue)
            os._exit(42)
        os._exit(1)
    pidfd = libc.pidfd_open(pid)
    ended = bool(select.select([pidfd], [], [], DEADLINE)[0])
    os.close(pidfd)
    if not ended:
        libc.kill(pid, libc.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 42
    libc.msgsnd(queue, 1, b"")
    thread.join()


# -- signals --


@pytest.mark.parametrize("flags", [0, libc.SA_RESTART], ids=["plain", "SA_RESTART"])
@pytest.mark.parametrize("call", CALLS)
def test_a_handler_interrupts_the_wait_once_it_has_run(
    queue: int, fork: Fork, gate: Callable[[], Gate], call: str, flags: int
) -> None:
    ready = gate()
    fill(queue)

    def waits() -> list[str]:
        story: list[str] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: story.append("handler"), flags=flags))
        ready.open()
        with pytest.raises(InterruptedError, match="msg"):
            wait(queue, call, DEADLINE)
        return story

    child = fork(waits)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == ["handler"]


def test_what_the_handler_raises_comes_out_of_the_wait(queue: int, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def waits() -> None:
        ready.open()
        with pytest.raises(KeyboardInterrupt):
            wait(queue, "msgrcv", DEADLINE)

    child = fork(waits)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGINT)
    child.result()


def test_a_flood_of_signals_does_not_keep_a_wait_from_ending(queue: int, fork: Fork) -> None:
    def waits() -> int:
        count = 0

        def handler(signum: int) -> None:
            nonlocal count
            count += 1

        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handler))
        end = time.monotonic() + 0.2
        interval = 0.0003
        libc.sigaction(libc.SIGALRM, libc.Sigaction(handler))
        signal.setitimer(signal.ITIMER_REAL, interval, interval)
        while True:
            try:
                wait(queue, "msgrcv", max(0.0, end - time.monotonic()))
            except InterruptedError:
                continue
            except TimeoutError:
                signal.setitimer(signal.ITIMER_REAL, 0)
                return count

    assert fork(waits).result() > 0


def blocks_everything(msqid: int, *, main: bool) -> libc.SignalSet:
    """Time out, in a thread that blocks all signals, and return what it blocks afterwards."""
    masks = []

    def waits() -> None:
        libc.sigprocmask(libc.SIG_SETMASK, libc.SignalSet.full())
        times_out(msqid)
        times_out(msqid)
        masks.append(libc.sigprocmask(libc.SIG_BLOCK))
        assert not libc.sigpending()

    if main:
        waits()
    else:
        in_threads(waits)
    return masks[0]


@pytest.mark.parametrize("main", [True, False])
@pytest.mark.parametrize("delivery", [True, False])
def test_a_thread_that_blocks_every_signal_times_out_and_goes_on_to_block_them(
    queue: int, fork: Fork, main: bool, delivery: bool
) -> None:
    def waits() -> libc.SignalSet:
        if delivery:
            libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))
        return blocks_everything(queue, main=main)

    expected = libc.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}
    assert fork(waits).result() == expected


def test_signals_that_are_pending_stay_so(queue: int, fork: Fork) -> None:
    def waits() -> libc.SignalSet:
        libc.sigprocmask(libc.SIG_SETMASK, libc.SignalSet.full())
        libc.kill(os.getpid(), libc.SIGURG)
        libc.sigqueue(os.getpid(), libc.SIGRTMAX, 5)
        times_out(queue)
        return libc.sigpending()

    assert fork(waits).result() == libc.SignalSet([libc.SIGURG, libc.SIGRTMAX])


@pytest.mark.parametrize("main", [True, False])
@pytest.mark.parametrize("delivery", [True, False])
def test_signals_that_come_during_the_wait_are_pending_afterwards_in_order_with_their_values(
    queue: int, fork: Fork, gate: Callable[[], Gate], main: bool, delivery: bool
) -> None:
    """The thread lets SIGURG through, and SIGRTMAX when that came, and so on: all are sent on."""
    ready, all_sent = gate(), gate()
    numbers = [libc.SIGURG, *range(libc.SIGRTMAX, libc.SIGRTMAX - 10, -1)]

    def waits() -> list[tuple[int, int | None]]:
        libc.sigprocmask(libc.SIG_SETMASK, libc.SignalSet.full())  # before there is another thread
        if delivery:
            libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))
        ready.open()

        def in_time() -> None:
            is_last = False
            while not is_last:
                is_last = bool(select.select([all_sent], [], [], 0)[0])
                with suppress(InterruptedError, TimeoutError):
                    wait(queue, "msgrcv", 0.1)

        if main:
            in_time()
        else:
            in_threads(in_time)
        found = []
        while libc.sigpending():
            info = libc.sigwaitinfo(libc.SignalSet.full())
            found.append((info.si_signo, info.si_value))
        return found

    child = fork(waits)
    ready.wait()
    until_blocked(child)
    sent = []
    for number in numbers:
        for value in range(1 if number == libc.SIGURG else 3):
            libc.sigqueue(child.pid, number, value)
            sent.append((number, value))
    all_sent.open()
    assert sorted(child.result()) == sorted(sent)


@pytest.mark.parametrize("install", ["libc", "signal"])
def test_a_handler_of_the_signal_that_would_be_taken_is_never_called(queue: int, fork: Fork, install: str) -> None:
    def waits() -> list[int]:
        calls: list[int] = []
        times_out(queue)
        for number in (libc.SIGURG, libc.SIGRTMAX):
            if install == "libc":
                libc.sigaction(number, libc.Sigaction(calls.append))
            else:
                signal.signal(number, lambda signum, _: calls.append(signum))
        times_out(queue)
        in_threads(lambda: times_out(queue))
        return calls

    assert fork(waits).result() == []


def test_a_signal_that_is_taken_is_told_as_not_handled_and_can_be_had_back(queue: int, fork: Fork) -> None:
    def waits() -> list[int]:
        times_out(queue)
        assert libc.sigaction(libc.SIGURG).handler is libc.SIG_DFL
        calls: list[int] = []
        libc.sigaction(libc.SIGURG, libc.Sigaction(calls.append))
        libc.raise_(libc.SIGURG)
        return calls

    assert fork(waits).result() == [libc.SIGURG]


def test_a_handler_may_itself_wait_with_a_timeout(queue: int, fork: Fork) -> None:
    def waits() -> list[int]:
        calls: list[int] = []

        def handler(signum: int) -> None:
            times_out(queue)
            calls.append(signum)

        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handler, mask=libc.SignalSet.full()))
        libc.raise_(libc.SIGUSR1)
        return calls

    assert fork(waits).result() == [libc.SIGUSR1]


def test_where_every_signal_is_handled_nothing_is_left_to_tell_the_time(queue: int, fork: Fork) -> None:
    def waits() -> None:
        for number in (libc.SIGURG, *range(libc.SIGRTMIN, libc.SIGRTMAX + 1)):
            libc.sigaction(number, libc.Sigaction(libc.SIG_IGN))
        with pytest.raises(BlockingIOError, match="every real-time signal is handled"):
            libc.msgrcv(queue, 100, timeout=SHORT)
        times_out(queue, timeout=0)

    fork(waits).result()


def test_where_no_timer_can_be_made_the_limit_is_named(queue: int, fork: Fork) -> None:
    def waits() -> None:
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
        with pytest.raises(BlockingIOError, match="RLIMIT_SIGPENDING"):
            libc.msgrcv(queue, 100, timeout=SHORT)
        assert not libc.sigprocmask(libc.SIG_BLOCK)

    fork(waits).result()


def test_no_timer_is_left(queue: int) -> None:
    timers = Path("/proc/self/timers")
    if not timers.exists():
        pytest.skip("/proc/self/timers needs CONFIG_CHECKPOINT_RESTORE")
    before = timers.read_text().count("ID:")
    in_threads(*[lambda: times_out(queue)] * 5)
    times_out(queue)
    assert timers.read_text().count("ID:") == before
