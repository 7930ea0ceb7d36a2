"""signals.sending: to processes by pid and by pidfd, to threads and groups, with and without a value."""

from __future__ import annotations

import errno
import os
import resource
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc, processes, signals
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

USR1, TERM, RT = libc.SIGUSR1, libc.SIGTERM, libc.SIGRTMIN
INT_MAX, INT_MIN = 2**31 - 1, -(2**31)


@pytest.fixture
def waiting() -> Iterator[None]:
    """Block the signals of these tests, so that they can be waited for."""
    with signals.blocked({USR1, RT}):
        yield
        while left := libc.sigpending() & {USR1, RT}:
            libc.sigwait(left)


@pytest.fixture
def reaped(fork: Fork) -> processes.Child[int]:
    child = fork(int)
    child.result()
    return child


class Pidfd:
    def __init__(self, fd: object) -> None:
        self.fd = fd

    def fileno(self) -> Any:
        return self.fd


def test_a_signal_goes_to_a_pid_and_to_a_child(fork: Fork) -> None:
    for by_pid in (True, False):
        child = fork(libc.pause)
        signals.send(child.pid if by_pid else child, 0)
        signals.send(child.pid if by_pid else child, TERM)
        assert child.wait().returncode == -TERM


def test_any_object_with_a_pidfd_is_a_target(waiting: None) -> None:
    pidfd = libc.pidfd_open(os.getpid())
    try:
        signals.send(Pidfd(pidfd), USR1)
        signals.queue(Pidfd(pidfd), RT, 5)
    finally:
        os.close(pidfd)
    assert signals.wait(USR1, DEADLINE).si_pid == os.getpid()
    assert signals.wait(RT, DEADLINE).si_value == 5


def test_a_thread_is_signalled_by_its_id(waiting: None) -> None:
    found: list[tuple[int, int | None]] = []

    def work() -> None:
        here = threading.get_native_id()
        signals.send(os.getpid(), USR1, thread=here)
        signals.queue(os.getpid(), RT, 8, thread=here)
        for signum in (USR1, RT):
            info = signals.wait(signum, DEADLINE)
            found.append((info.si_code, info.si_value))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(DEADLINE)
    assert found == [(libc.SI_TKILL, None), (libc.SI_QUEUE, 8)]


def test_a_thread_of_another_thread_gets_it_and_nobody_else(waiting: None) -> None:
    ready, done = threading.Event(), threading.Event()
    pending: list[libc.SignalSet] = []

    def work() -> None:
        ready.set()
        done.wait(DEADLINE)
        pending.append(libc.sigpending())
        for signum in (USR1, RT):
            signals.wait(signum, DEADLINE)

    thread = threading.Thread(target=work)
    thread.start()
    assert ready.wait(DEADLINE)
    signals.send(os.getpid(), USR1, thread=thread.native_id)
    signals.queue(os.getpid(), RT, thread=thread.native_id)
    here = libc.sigpending()
    done.set()
    thread.join(DEADLINE)
    assert (here & {USR1, RT}, pending) == (libc.SignalSet(), [libc.SignalSet({USR1, RT})])


@pytest.mark.parametrize("value", [0, 1, -1, INT_MAX, INT_MIN, True])
@pytest.mark.parametrize("target", ["pid", "pidfd", "thread"])
def test_a_value_arrives_whole(waiting: None, fork: Fork, target: str, value: int) -> None:
    def send() -> None:
        parent = os.getppid()
        if target == "pidfd":
            pidfd = libc.pidfd_open(parent)
            signals.queue(Pidfd(pidfd), RT, value)
            os.close(pidfd)
        else:
            signals.queue(parent, RT, value, thread=parent if target == "thread" else None)

    child = fork(send)
    info = signals.wait(RT, DEADLINE)
    assert (info.si_code, info.si_value, info.si_pid, info.si_uid) == (libc.SI_QUEUE, value, child.pid, os.getuid())
    child.result()


@pytest.mark.parametrize("pointer", [0, 1, 2**63, 2**64 - 1])
@pytest.mark.parametrize("thread", [False, True])
def test_an_address_arrives_whole(waiting: None, pointer: int, thread: bool) -> None:
    signals.queue(os.getpid(), RT, pointer=pointer, thread=threading.get_native_id() if thread else None)
    assert signals.wait(RT, DEADLINE).si_ptr == pointer
    pidfd = libc.pidfd_open(os.getpid())
    try:
        signals.queue(Pidfd(pidfd), RT, pointer=pointer)
    finally:
        os.close(pidfd)
    assert signals.wait(RT, DEADLINE).si_ptr == pointer


@pytest.mark.parametrize("target", ["pid", "pidfd", "thread"])
@pytest.mark.parametrize("wrong", [INT_MAX + 1, INT_MIN - 1, 2**64, -(2**200)])
def test_a_value_that_no_c_int_holds_is_an_overflow_and_nothing_is_sent(
    waiting: None, fork: Fork, target: str, wrong: int
) -> None:
    with processes.fork(libc.pause) as child, pytest.raises(OverflowError):
        signals.queue(
            child if target == "pidfd" else child.pid, TERM, wrong, thread=child.pid if target == "thread" else None
        )
    assert child.returncode == -libc.SIGKILL  # of the with-block's


@pytest.mark.parametrize("wrong", [-1, 2**64, 10**30])
@pytest.mark.parametrize("thread", [False, True])
def test_what_is_no_address_is_an_overflow(wrong: int, thread: bool) -> None:
    with pytest.raises(OverflowError):
        signals.queue(os.getpid(), USR1, pointer=wrong, thread=threading.get_native_id() if thread else None)


@pytest.mark.parametrize("wrong", [1.5, "1", None, object()])
def test_a_value_that_is_no_number_is_a_type_error(fork: Fork, wrong: Any) -> None:
    child = fork(libc.pause)
    for target, thread in ((child.pid, None), (child, None), (child.pid, child.pid)):
        with pytest.raises(TypeError):
            signals.queue(target, USR1, wrong, thread=thread)
    signals.send(child, 0)


@pytest.mark.parametrize("wrong", [0, -1, -(2**31), -(2**80), False])
def test_a_pid_that_is_not_positive_is_a_value_error(wrong: int) -> None:
    calls: list[Callable[[], object]] = [
        lambda: signals.send(wrong, 0),
        lambda: signals.send(wrong, 0, thread=1),
        lambda: signals.queue(wrong, 0),
        lambda: signals.queue(wrong, USR1, thread=1),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=rf"{int(wrong)} is no process; for a group there is send_to_group"):
            call()


@pytest.mark.parametrize("wrong", [2**31, 2**64])
def test_a_pid_that_c_cannot_hold_is_an_overflow(wrong: int) -> None:
    calls: list[Callable[[], object]] = [
        lambda: signals.send(wrong, 0),
        lambda: signals.send(os.getpid(), 0, thread=wrong),
        lambda: signals.queue(wrong, 0),
        lambda: signals.queue(os.getpid(), USR1, thread=wrong),
        lambda: signals.send_to_group(wrong, 0),
        lambda: signals.send(os.getpid(), wrong),
        lambda: signals.send_to_group(os.getpgid(0), wrong),
    ]
    for call in calls:
        with pytest.raises(OverflowError):
            call()


@pytest.mark.parametrize("wrong", [None, 1.0, "1", object(), [1]])
def test_a_target_that_is_neither_number_nor_has_a_pidfd_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a process is a pid, or an object with a pidfd"):
        signals.send(wrong, 0)
    with pytest.raises(TypeError, match="a process is a pid, or an object with a pidfd"):
        signals.queue(wrong, USR1)
    with pytest.raises(TypeError):
        signals.send_to_group(wrong, 0)


@pytest.mark.parametrize("wrong", ["3", None, 1.5])
def test_a_pidfd_that_is_no_number_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        signals.send(Pidfd(wrong), 0)
    with pytest.raises(TypeError):
        signals.queue(Pidfd(wrong), USR1)


def test_a_pidfd_that_is_none_is_ebadf() -> None:
    read_end, write_end = os.pipe()
    try:
        for fd in (-1, read_end, 2**31 - 1):
            calls: list[Callable[[], object]] = [
                partial(signals.send, Pidfd(fd), 0),
                partial(signals.queue, Pidfd(fd), USR1),
            ]
            for call in calls:
                with pytest.raises(OSError, match="Bad file descriptor") as caught:
                    call()
                assert caught.value.errno == errno.EBADF
    finally:
        os.close(read_end)
        os.close(write_end)


def test_a_number_may_be_any_object_that_is_one(waiting: None) -> None:
    class Index:
        def __init__(self, number: int) -> None:
            self.number = number

        def __index__(self) -> int:
            return int(self.number)

    pid: Any = Index(os.getpid())
    signals.send(pid, Index(USR1))  # type: ignore[arg-type]
    assert signals.wait(USR1, DEADLINE).si_pid == os.getpid()
    signals.queue(pid, RT, Index(6))  # type: ignore[arg-type]
    assert signals.wait(RT, DEADLINE).si_value == 6


def test_a_reaped_child_is_a_value_error(reaped: processes.Child[int]) -> None:
    calls: list[Callable[[], object]] = [lambda: signals.send(reaped, 0), lambda: signals.queue(reaped, USR1)]
    for call in calls:
        with pytest.raises(ValueError, match="was reaped already"):
            call()


def test_a_process_that_is_no_more_is_esrch(reaped: processes.Child[int]) -> None:
    calls: list[Callable[[], object]] = [
        lambda: signals.send(reaped.pid, 0),
        lambda: signals.send(reaped.pid, 0, thread=reaped.pid),
        lambda: signals.send(os.getpid(), 0, thread=reaped.pid),
        lambda: signals.queue(reaped.pid, USR1),
        lambda: signals.queue(reaped.pid, USR1, thread=reaped.pid),
        lambda: signals.send_to_group(reaped.pid, 0),
    ]
    for call in calls:
        with pytest.raises(ProcessLookupError, match="there is no such process, group or thread"):
            call()


def test_a_thread_goes_with_a_pid_only(fork: Fork) -> None:
    child = fork(libc.pause)
    calls: list[Callable[[], object]] = [
        lambda: signals.send(child, TERM, thread=child.pid),
        lambda: signals.queue(child, TERM, thread=child.pid),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not with a pidfd"):
            call()
    signals.send(child, 0)


@pytest.mark.parametrize("wrong", [-1, 32, 33, 65])
def test_a_number_that_is_no_signal_is_einval(fork: Fork, wrong: int) -> None:
    child = fork(libc.pause)
    calls: list[Callable[[], object]] = [
        lambda: signals.send(child, wrong),
        lambda: signals.send(child.pid, wrong),
        lambda: signals.send(child.pid, wrong, thread=child.pid),
        lambda: signals.queue(child, wrong),
        lambda: signals.queue(child.pid, wrong),
        lambda: signals.queue(child.pid, wrong, thread=child.pid),
        lambda: signals.send_to_group(os.getpgid(0), wrong),
    ]
    for call in calls:
        with pytest.raises(OSError, match="Invalid argument") as caught:
            call()
        assert caught.value.errno == errno.EINVAL
    signals.send(child, 0)


def test_a_group_gets_a_signal_each(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def leader() -> list[int]:
        os.setpgid(0, 0)
        with signals.blocked({USR1}), processes.fork(lambda: signals.wait(USR1, DEADLINE).si_signo) as member:
            ready.open()
            return [signals.wait(USR1, DEADLINE).si_signo, member.result()]

    child = fork(leader)
    ready.wait()
    signals.send_to_group(child.pid, USR1)
    assert child.result() == [USR1, USR1]


@pytest.mark.parametrize("wrong", [0, -1, -(2**40)])
def test_a_group_that_is_not_positive_is_a_value_error(wrong: int) -> None:
    with pytest.raises(ValueError, match="is no"):
        signals.send_to_group(wrong, 0)


@pytest.mark.parametrize("target", ["pid", "pidfd", "thread"])
def test_a_full_queue_is_blocking_io_error_and_nothing_is_sent(fork: Fork, target: str) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
        pidfd = libc.pidfd_open(os.getpid())
        receiver = Pidfd(pidfd) if target == "pidfd" else os.getpid()
        with signals.blocked():
            with pytest.raises(BlockingIOError) as caught:
                signals.queue(receiver, RT, 1, thread=os.getpid() if target == "thread" else None)
            assert caught.value.errno == errno.EAGAIN
            assert not libc.sigpending()

    fork(fill).result()
