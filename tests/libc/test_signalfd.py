"""libc.signalfd, and that Siginfo.from_signalfd gives what sigwaitinfo gives for the same signal."""

from __future__ import annotations

import errno
import fcntl
import itertools
import os
import select
import struct
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc, testing
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

SIZE = libc.SIGNALFD_SIGINFO_SIZE
RT = libc.SIGRTMIN + 1
MEMBERS = [name for name in vars(libc.Siginfo) if name.startswith("si_")]
NOT_IN_A_FILE = {"si_lower", "si_upper", "si_pkey"}


@contextmanager
def _signalfd(*signals: int) -> Iterator[int]:
    fd = libc.signalfd(-1, signals)
    try:
        yield fd
    finally:
        os.close(fd)


def _read(fd: int) -> libc.Siginfo:
    assert select.select([fd], [], [], DEADLINE)[0], "no signal came"
    return libc.Siginfo.from_signalfd(os.read(fd, SIZE))


def _both_ways(signum: int, cause: Callable[[], object]) -> tuple[libc.Siginfo, libc.Siginfo]:
    """What sigwaitinfo and the descriptor tell of two signals with the same cause."""
    cause()
    waited = libc.sigtimedwait({signum}, DEADLINE)
    with _signalfd(signum) as fd:
        cause()
        return waited, _read(fd)


def _without(info: libc.Siginfo, *places: int) -> bytes:
    """Give the bytes of a siginfo_t less what two events cannot have in common: ints at these places."""
    raw = bytearray(info.raw)
    for place in places:
        raw[place : place + 4] = bytes(4)
    return bytes(raw)


PID, OVERRUN, UTIME, STIME = 16, 20, 32, 40  # where 64-bit machines have them


# -- the same as sigwaitinfo --

HERE = os.getpid
CAUSES: dict[str, tuple[int, Callable[[], object]]] = {
    "kill": (libc.SIGUSR1, lambda: libc.kill(HERE(), libc.SIGUSR1)),
    "kill of a real-time signal": (RT, lambda: libc.kill(HERE(), RT)),
    "kill of a fault": (libc.SIGSEGV, lambda: libc.kill(HERE(), libc.SIGSEGV)),
    "sigqueue": (RT, lambda: libc.sigqueue(HERE(), RT, 77)),
    "sigqueue of a negative int": (RT, lambda: libc.sigqueue(HERE(), RT, -77)),
    "sigqueue of a standard signal": (libc.SIGCHLD, lambda: libc.sigqueue(HERE(), libc.SIGCHLD, 2**31 - 1)),
    "sigqueue of a pointer": (RT, lambda: libc.sigqueue(HERE(), RT, pointer=0x1234_5678_9ABC_DEF0)),
    "sigqueue of the last pointer": (RT, lambda: libc.sigqueue(HERE(), RT, pointer=2**64 - 1)),
    "tgkill": (libc.SIGUSR2, lambda: libc.tgkill(HERE(), threading.get_native_id(), libc.SIGUSR2)),
    "tgkill of SIGCHLD": (libc.SIGCHLD, lambda: libc.raise_(libc.SIGCHLD)),
    "interval timer": (libc.SIGALRM, lambda: libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0, 0.001))),
}


@pytest.mark.parametrize("name", CAUSES)
def test_a_signal_read_from_a_file_is_the_one_that_sigwaitinfo_gives(name: str, block: Callable[..., object]) -> None:
    signum, cause = CAUSES[name]
    block(signum)
    waited, read = _both_ways(signum, cause)
    assert read == waited, (read, waited)


ENDS: dict[str, tuple[int, Callable[[], object]]] = {
    "exited": (libc.CLD_EXITED, partial(os._exit, 42)),
    "killed": (libc.CLD_KILLED, partial(libc.raise_, libc.SIGKILL)),
    "stopped": (libc.CLD_STOPPED, partial(libc.raise_, libc.SIGSTOP)),
}


@pytest.mark.parametrize("name", ENDS)
def test_news_of_a_child_are_the_same(name: str, block: Callable[..., object], fork: Fork) -> None:
    code, end = ENDS[name]
    block(libc.SIGCHLD)
    children: list[testing.Child[object]] = []
    waited, read = _both_ways(libc.SIGCHLD, lambda: children.append(fork(end)))
    assert [waited.si_pid, read.si_pid] == [child.pid for child in children]
    assert read.si_code == code
    changing = (PID, UTIME, UTIME + 4, STIME, STIME + 4)
    assert _without(read, *changing) == _without(waited, *changing)
    for child in children:
        child.kill()
        assert child.wait().ended


def test_the_processor_time_of_a_child_is_the_same(block: Callable[..., object], fork: Fork) -> None:
    """The kernel takes it by samples, all of which may miss a child that does not work long: os.times() is exact."""

    def work(seconds: float) -> None:
        while sum(os.times()[:2]) < seconds:
            pass

    def time_of(info: libc.Siginfo) -> int:
        assert info.si_utime is not None
        assert info.si_stime is not None
        return info.si_utime + info.si_stime

    block(libc.SIGCHLD)
    times: list[int] = []
    for seconds in (0.2, 0.8, 3.2):
        if not times or 0 in times:
            times = [time_of(info) for info in _both_ways(libc.SIGCHLD, partial(fork, work, seconds))]
    assert 0 not in times


@pytest.mark.parametrize("value", [{"sigev_value": -7}, {"pointer": 2**63 + 1}], ids=["int", "pointer"])
def test_a_timer_is_the_same_with_its_overrun(value: dict[str, int], block: Callable[..., object]) -> None:
    block(RT, libc.SIGALRM)
    timer = libc.timer_create(libc.CLOCK_MONOTONIC, libc.Sigevent(libc.SIGEV_SIGNAL, RT, **value))

    def expires_often() -> None:
        libc.timer_settime(timer, 0, libc.Itimerspec(0.001, 0.001))
        libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0, 0.02))
        libc.sigtimedwait({libc.SIGALRM}, DEADLINE)
        libc.timer_settime(timer, 0, libc.Itimerspec(0, 60))
        libc.timer_settime(timer, 0, libc.Itimerspec(0.001, 0.001))
        libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0, 0.02))
        libc.sigtimedwait({libc.SIGALRM}, DEADLINE)

    try:
        expires_often()
        waited = libc.sigtimedwait({RT}, DEADLINE)
        with _signalfd(RT) as fd:
            expires_often()
            read = _read(fd)
            assert read.si_overrun == libc.timer_getoverrun(timer)
        assert read.si_timerid == timer
        assert read.si_overrun > 0
        assert waited.si_overrun is not None
        assert waited.si_overrun > 0
        assert _without(read, OVERRUN) == _without(waited, OVERRUN)
    finally:
        libc.timer_delete(timer)


@pytest.mark.parametrize("signum", [libc.SIGIO, RT, libc.SIGCHLD])
def test_news_of_a_descriptor_are_the_same(signum: int, block: Callable[..., object]) -> None:
    block(signum)
    read_end, write_end = libc.pipe()
    try:
        fcntl.fcntl(read_end, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(read_end, fcntl.F_SETSIG, signum)
        fcntl.fcntl(read_end, fcntl.F_SETFL, fcntl.fcntl(read_end, fcntl.F_GETFL) | os.O_ASYNC)
        waited, read = _both_ways(signum, lambda: os.write(write_end, b"!"))
        assert read == waited
        assert read.si_fd == read_end
    finally:
        os.close(read_end)
        os.close(write_end)


FAULTS = (libc.SIGSEGV, libc.SIGBUS, libc.SIGILL, libc.SIGFPE, libc.SIGTRAP, libc.SIGSYS)
CODES = [*itertools.product((*FAULTS, libc.SIGCHLD, libc.SIGIO, RT), (1, 2)), (libc.SIGSEGV, libc.SEGV_BNDERR)]
CODES += [(libc.SIGSEGV, libc.SEGV_PKUERR), (libc.SIGBUS, libc.BUS_MCEERR_AR), (libc.SIGBUS, libc.BUS_MCEERR_AO)]
CODES += itertools.product((libc.SIGUSR1, RT), (libc.SI_USER, libc.SI_KERNEL, *range(-10, 0), -1000))


@pytest.mark.parametrize(("signum", "code"), CODES, ids=str)
def test_what_a_process_makes_up_for_itself_is_the_same(signum: int, code: int, block: Callable[..., object]) -> None:
    block(signum)
    union = bytes([1, 2, 3, 4, 0, 0, 0, 0, *range(9, 33)])  # poll(2) events have 32 bits
    made_up = libc.Siginfo((struct.pack("@iii4x", signum, 0, code) + union).ljust(128, b"\0"))
    waited, read = _both_ways(signum, lambda: libc.rt_sigqueueinfo(os.getpid(), signum, made_up))
    for member in MEMBERS:
        assert member in NOT_IN_A_FILE or getattr(read, member) == getattr(waited, member), member
    assert {getattr(read, member) for member in NOT_IN_A_FILE} <= {None, 0}


# -- the descriptor --


def test_signals_come_one_record_each_lowest_number_first(block: Callable[..., object]) -> None:
    block(RT, RT + 1)
    with _signalfd(RT, RT + 1) as fd:
        for value in range(3):
            libc.sigqueue(os.getpid(), RT + 1, value)
            libc.sigqueue(os.getpid(), RT, value)
        data = libc.read(fd, 10 * SIZE)
    infos = [libc.Siginfo.from_signalfd(data[at : at + SIZE]) for at in range(0, len(data), SIZE)]
    assert [(info.si_signo, info.si_value) for info in infos] == [(n, v) for n in (RT, RT + 1) for v in range(3)]


def test_a_file_leaves_other_signals_alone(block: Callable[..., object]) -> None:
    block(RT, RT + 1)
    with _signalfd(RT) as fd:
        libc.sigqueue(os.getpid(), RT + 1)
        assert not select.select([fd], [], [], 0)[0]
        assert libc.signalfd(fd, {RT + 1}) == fd
        assert _read(fd).si_signo == RT + 1


def test_it_is_close_on_exec_unless_flags_say_otherwise(block: Callable[..., object]) -> None:
    block(RT)
    with _signalfd(RT) as fd:
        assert (os.get_inheritable(fd), os.get_blocking(fd)) == (False, True)
    fd = libc.signalfd(-1, {RT}, libc.SFD_NONBLOCK)
    try:
        assert (os.get_inheritable(fd), os.get_blocking(fd)) == (True, False)
        with pytest.raises(BlockingIOError):
            libc.read(fd, SIZE)
    finally:
        os.close(fd)


def test_reading_is_interrupted_by_a_handler_without_sa_restart(fork: Fork) -> None:
    def child() -> None:
        libc.sigprocmask(libc.SIG_BLOCK, {RT})
        libc.sigaction(libc.SIGALRM, libc.Sigaction(lambda _: None))
        fd = libc.signalfd(-1, {RT})
        libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0.01, 0.01))
        with pytest.raises(InterruptedError):
            libc.read(fd, SIZE)

    fork(child).result()


def test_a_descriptor_of_something_else_is_refused() -> None:
    read_end, write_end = libc.pipe()
    try:
        with pytest.raises(OSError, match=r"the descriptor is not of signalfd\(\)") as caught:
            libc.signalfd(read_end, {RT})
        assert caught.value.errno == errno.EINVAL
    finally:
        os.close(read_end)
        os.close(write_end)
    with pytest.raises(OSError, match="no such descriptor is open") as caught:
        libc.signalfd(read_end, {RT})
    assert caught.value.errno == errno.EBADF


def test_flags_that_do_not_exist_are_einval() -> None:
    for flags in (1, -1, 2**20):
        with pytest.raises(OSError, match=r"a flag is none of SFD_\*") as caught:
            libc.signalfd(-1, {RT}, flags)
        assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("size", [0, 127, 129])
def test_other_than_one_record_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"a struct signalfd_siginfo is 128 bytes, not {size}"):
        libc.Siginfo.from_signalfd(bytes(size))


@pytest.mark.parametrize("wrong", [None, 128, "x" * 128])
def test_what_is_not_bytes_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        libc.Siginfo.from_signalfd(wrong)


def test_any_bytes_make_a_siginfo() -> None:
    for signum, code in itertools.product((-1, 0, *range(66), 2**31 - 1), (*range(-70, 140, 7), -(2**31), 2**31 - 1)):
        info = libc.Siginfo.from_signalfd(struct.pack("@iii", signum, -1, code) + b"\xff" * 116)
        assert (info.si_signo, info.si_code, info.si_errno) == (signum, code, -1)
        assert repr(info).startswith("Siginfo(si_signo=")


def test_a_subclass_makes_its_own(block: Callable[..., object]) -> None:
    class Mine(libc.Siginfo):
        __slots__ = ()

    assert type(Mine.from_signalfd(bytearray(128))) is Mine
    assert type(Mine.queued(RT)) is Mine
