"""rt_sigqueueinfo, rt_tgsigqueueinfo and pidfds: a siginfo of one's own, and whom it reaches."""

from __future__ import annotations

import errno
import os
import resource
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc
from unixipc._native import ffi, lib
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork

RT = libc.SIGRTMIN + 1


def _next(signum: int = RT) -> libc.Siginfo:
    return libc.sigtimedwait({signum}, DEADLINE)


# -- making one --


@pytest.mark.parametrize("value", [0, 77, -1, 2**31 - 1, -(2**31)])
def test_a_made_siginfo_is_what_sigqueue_makes(value: int, block: Callable[..., object]) -> None:
    block(RT)
    libc.sigqueue(os.getpid(), RT, value)
    assert libc.Siginfo.queued(RT, value) == _next()


@pytest.mark.parametrize("pointer", [0, 1, 2**64 - 1])
def test_a_made_siginfo_holds_a_pointer(pointer: int, block: Callable[..., object]) -> None:
    block(RT)
    libc.sigqueue(os.getpid(), RT, pointer=pointer)
    assert libc.Siginfo.queued(RT, pointer=pointer) == _next()


@pytest.mark.parametrize("code", [libc.SI_MESGQ, libc.SI_ASYNCIO, libc.SI_ASYNCNL, -100, -(2**31)])
def test_a_made_siginfo_has_the_code_that_was_asked_for(code: int) -> None:
    info = libc.Siginfo.queued(RT, 5, code=code)
    assert (info.si_code, info.si_value, info.si_pid, info.si_uid) == (code, 5, os.getpid(), os.getuid())


@pytest.mark.parametrize("code", [libc.SI_USER, libc.SI_KERNEL, 1, libc.SI_TKILL, libc.SI_TIMER, libc.SI_SIGIO])
def test_a_code_without_room_for_sender_and_value_is_refused(code: int) -> None:
    with pytest.raises(ValueError, match=f"a siginfo with the si_code {int(code)} holds no sender and value"):
        libc.Siginfo.queued(RT, code=code)


def test_a_made_siginfo_takes_numbers_of_c_only() -> None:
    for signum in (0, 32, 65, -1):
        with pytest.raises(OSError, match=r"Siginfo.queued\("):
            libc.Siginfo.queued(signum)
    for number in (2**31, -(2**31) - 1):
        with pytest.raises(OverflowError, match=f"value is {number}"):
            libc.Siginfo.queued(RT, number)
        with pytest.raises(OverflowError, match=f"code is {number}"):
            libc.Siginfo.queued(RT, code=number)
    with pytest.raises(OverflowError, match="pointer is -1"):
        libc.Siginfo.queued(RT, pointer=-1)
    with pytest.raises(TypeError):
        libc.Siginfo.queued(RT, 1.5)  # type: ignore[arg-type]


# -- sending it --


def test_a_siginfo_arrives_at_another_process_as_it_was_sent(fork: Fork, block: Callable[..., object]) -> None:
    block(RT)
    child = fork(_next)
    info = libc.Siginfo.queued(RT, -7, code=libc.SI_MESGQ)
    libc.rt_sigqueueinfo(child.pid, RT, info)
    assert child.result() == info


def test_the_sender_in_a_siginfo_is_what_its_maker_says(fork: Fork, block: Callable[..., object]) -> None:
    block(RT)
    child = fork(_next)
    libc.rt_sigqueueinfo(child.pid, RT, libc.Siginfo(struct.pack("@iii4xiIq", RT, 0, -1, 1, 2, 3).ljust(128, b"\0")))
    info = child.result()
    assert (info.si_pid, info.si_uid, info.si_value) == (1, 2, 3)


def test_the_kernel_writes_the_number_of_the_signal(block: Callable[..., object]) -> None:
    block(RT)
    libc.rt_sigqueueinfo(os.getpid(), RT, libc.Siginfo.queued(libc.SIGUSR1, 5))
    assert _next() == libc.Siginfo.queued(RT, 5)


def test_a_siginfo_reaches_the_one_thread(block: Callable[..., object]) -> None:
    block(RT)
    found: list[tuple[libc.Siginfo, bool]] = []
    started, sent = threading.Event(), threading.Event()

    def work() -> None:
        started.set()
        sent.wait(DEADLINE)
        found.append((_next(), RT in libc.sigpending()))

    worker = threading.Thread(target=work)
    worker.start()
    started.wait(DEADLINE)
    assert worker.native_id is not None
    libc.rt_tgsigqueueinfo(os.getpid(), worker.native_id, RT, libc.Siginfo.queued(RT, 5))
    pending_here = RT in libc.sigpending()
    sent.set()
    worker.join(DEADLINE)
    assert found == [(libc.Siginfo.queued(RT, 5), False)]
    assert not pending_here


SENDS: dict[str, Callable[[int, int, libc.Siginfo], object]] = {
    "rt_sigqueueinfo": libc.rt_sigqueueinfo,
    "rt_tgsigqueueinfo": lambda pid, signum, info: libc.rt_tgsigqueueinfo(pid, pid, signum, info),
}


@pytest.mark.parametrize("name", SENDS)
@pytest.mark.parametrize("code", [libc.SI_USER, libc.SI_KERNEL, 1, libc.SI_TKILL])
def test_no_other_process_takes_the_kernel_s_own_codes(name: str, code: int, fork: Fork) -> None:
    child = fork(libc.pause)
    info = libc.Siginfo(struct.pack("@iii", RT, 0, code).ljust(128, b"\0"))
    with pytest.raises(PermissionError, match="si_code is SI_TKILL or not below 0"):
        SENDS[name](child.pid, RT, info)
    SENDS[name](os.getpid(), 0, info)


@pytest.mark.parametrize("name", SENDS)
def test_a_process_that_is_no_more_is_esrch(name: str, fork: Fork) -> None:
    child = fork(int)
    child.result()
    with pytest.raises(ProcessLookupError, match=rf"{name}\({child.pid}, .*there is no such process"):
        SENDS[name](child.pid, RT, libc.Siginfo.queued(RT))


@pytest.mark.parametrize("name", SENDS)
@pytest.mark.parametrize("signum", [32, 33, 65, -1, 2**31 - 1])
def test_a_number_that_is_no_signal_cannot_be_sent(name: str, signum: int) -> None:
    with pytest.raises(OSError, match="no signal has this number") as caught:
        SENDS[name](os.getpid(), signum, libc.Siginfo.queued(RT))
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("name", SENDS)
def test_a_full_queue_is_eagain_and_says_which_limit(name: str, fork: Fork) -> None:
    def child() -> None:
        libc.sigprocmask(libc.SIG_BLOCK, {RT})
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
        with pytest.raises(BlockingIOError, match="RLIMIT_SIGPENDING"):
            SENDS[name](os.getpid(), RT, libc.Siginfo.queued(RT))

    fork(child).result()


class Liar(libc.Siginfo):
    """Says that it has no bytes."""

    __slots__ = ()
    raw = b""


def test_only_a_siginfo_is_sent_and_with_its_own_bytes(block: Callable[..., object]) -> None:
    wrongs: list[Any] = [5, b"x" * 128, object()]
    for wrong in wrongs:
        for send in (*SENDS.values(), libc.pidfd_send_signal):
            with pytest.raises(TypeError, match="info is a Siginfo"):
                send(os.getpid(), 0, wrong)
    block(RT)
    libc.rt_sigqueueinfo(os.getpid(), RT, Liar(libc.Siginfo.queued(RT, 5).raw))
    assert _next().si_value == 5


# -- pidfds of threads, and scopes --


def _knows(flags: int) -> bool:
    fd = libc.pidfd_open(os.getpid())
    try:
        return lib.uipc_pidfd_send_signal(fd, 0, ffi.NULL, flags) != -errno.EINVAL
    finally:
        os.close(fd)


needs_scopes = pytest.mark.skipif(
    not _knows(libc.PIDFD_SIGNAL_THREAD), reason="the kernel has no scopes of pidfds (Linux 6.9)"
)


@needs_scopes
def test_a_pidfd_of_a_thread_signals_that_thread(block: Callable[..., object]) -> None:
    block(RT)
    found: list[bool] = []

    def work() -> None:
        fd = libc.pidfd_open(threading.get_native_id(), libc.PIDFD_THREAD | libc.PIDFD_NONBLOCK)
        assert not os.get_blocking(fd)
        libc.pidfd_send_signal(fd, RT)
        ready.set()
        looked.wait(DEADLINE)
        found.append(_next().si_signo == RT)
        libc.pidfd_send_signal(fd, RT, None, libc.PIDFD_SIGNAL_THREAD_GROUP)
        os.close(fd)

    ready, looked = threading.Event(), threading.Event()
    worker = threading.Thread(target=work)
    worker.start()
    ready.wait(DEADLINE)
    pending_here = RT in libc.sigpending()
    looked.set()
    worker.join(DEADLINE)
    assert (found, pending_here) == ([True], False)
    assert _next().si_signo == RT, "the scope of the group does not reach the process"


@needs_scopes
def test_a_pidfd_can_reach_the_process_group(fork: Fork) -> None:
    def leader() -> int:
        os.setpgid(0, 0)
        libc.sigprocmask(libc.SIG_BLOCK, {RT})
        fd = libc.pidfd_open(os.getpid())
        libc.pidfd_send_signal(fd, RT, libc.Siginfo.queued(RT, 5), libc.PIDFD_SIGNAL_PROCESS_GROUP)
        return _next().si_value or 0

    assert fork(leader).result() == 5


def test_a_scope_that_the_kernel_does_not_take_is_einval_and_says_from_when_on() -> None:
    fd = libc.pidfd_open(os.getpid())
    try:
        for flags in (8, 2**30, libc.PIDFD_SIGNAL_THREAD | libc.PIDFD_SIGNAL_PROCESS_GROUP):
            with pytest.raises(OSError, match=r"the scopes need Linux 6\.9") as caught:
                libc.pidfd_send_signal(fd, 0, None, flags)
            assert caught.value.errno == errno.EINVAL
    finally:
        os.close(fd)


def test_a_thread_needs_pidfd_thread_and_the_error_says_so() -> None:
    errors: list[str] = []

    def work() -> None:
        with pytest.raises(OSError, match="pidfd_open") as caught:
            libc.pidfd_open(threading.get_native_id())
        errors.append(str(caught.value))

    worker = threading.Thread(target=work)
    worker.start()
    worker.join(DEADLINE)
    assert "needs PIDFD_THREAD, and that Linux 6.9" in errors[0]
    for flags in (1, 2**20):
        with pytest.raises(OSError, match="the kernel know the flags"):
            libc.pidfd_open(os.getpid(), flags)
