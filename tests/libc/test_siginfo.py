"""libc.Siginfo: siginfo_t decoded by si_code, from the kernel's own signals."""

from __future__ import annotations

import copy
import errno
import fcntl
import itertools
import os
import pickle
import resource
import select
import signal
import struct
import time
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from unixipc.testing.plugin import Fork

SENDER = {"si_pid", "si_uid"}
CHILD = SENDER | {"si_status", "si_utime", "si_stime"}
VALUE = {"si_value", "si_int", "si_ptr"}
TIMER = VALUE | {"si_timerid", "si_overrun"}
POLL = {"si_band", "si_fd"}
FAULT = {"si_addr"}
SYSCALL = {"si_call_addr", "si_syscall", "si_arch"}
MEMBERS = CHILD | TIMER | POLL | FAULT | SYSCALL | {"si_addr_lsb", "si_lower", "si_upper", "si_pkey"}


def _written(info: libc.Siginfo) -> set[str]:
    return {member for member in MEMBERS if getattr(info, member) is not None}


def _made(signum: int, code: int, layout: str = "", *members: object) -> libc.Siginfo:
    """Build the 128 bytes as the kernel does on 64-bit machines, `members` from the union's begin at byte 16."""
    return libc.Siginfo(struct.pack(f"@iii4x{layout}", signum, 0, code, *members).ljust(128, b"\0"))


def _next(signum: int) -> libc.Siginfo:
    return libc.sigtimedwait({signum}, DEADLINE)


def test_kill_is_si_user_with_its_sender(block: Callable[..., object]) -> None:
    block(libc.SIGUSR1)
    libc.kill(os.getpid(), libc.SIGUSR1)
    info = _next(libc.SIGUSR1)
    assert (info.si_signo, info.si_errno, info.si_code) == (libc.SIGUSR1, 0, libc.SI_USER)
    assert (info.si_pid, info.si_uid) == (os.getpid(), os.getuid())
    assert _written(info) == SENDER


def test_kill_of_another_process_bears_that_process(block: Callable[..., object], fork: Fork) -> None:
    block(libc.SIGUSR1)
    child = fork(libc.kill, os.getpid(), libc.SIGUSR1)
    info = _next(libc.SIGUSR1)
    assert (info.si_code, info.si_pid, info.si_uid) == (libc.SI_USER, child.pid, os.getuid())
    child.result()


@pytest.mark.parametrize("signum", [libc.SIGUSR1, libc.SIGRTMIN, libc.SIGCHLD, libc.SIGSEGV, libc.SIGIO, libc.SIGSYS])
def test_raise_is_si_tkill_whatever_the_signal(block: Callable[..., object], signum: int) -> None:
    block(signum)
    libc.raise_(signum)
    info = _next(signum)
    assert (info.si_code, info.si_pid, info.si_uid) == (libc.SI_TKILL, os.getpid(), os.getuid())
    assert _written(info) == SENDER


@pytest.mark.parametrize("value", [0, 77, -1, 2**31 - 1, -(2**31)])
def test_sigqueue_is_si_queue_with_its_int(block: Callable[..., object], value: int) -> None:
    block(libc.SIGRTMIN)
    libc.sigqueue(os.getpid(), libc.SIGRTMIN, value)
    info = _next(libc.SIGRTMIN)
    assert (info.si_code, info.si_value, info.si_int) == (libc.SI_QUEUE, value, value)
    assert (info.si_pid, info.si_uid) == (os.getpid(), os.getuid())
    assert _written(info) == SENDER | VALUE


@pytest.mark.parametrize("pointer", [0, 1, 0x1234_5678_9ABC_DEF0, 2**64 - 1])
def test_sigqueue_carries_a_whole_pointer(block: Callable[..., object], pointer: int) -> None:
    block(libc.SIGUSR2)
    libc.sigqueue(os.getpid(), libc.SIGUSR2, pointer=pointer)
    info = _next(libc.SIGUSR2)
    assert (info.si_code, info.si_ptr) == (libc.SI_QUEUE, pointer)
    assert info.si_int == struct.unpack("@i", struct.pack("@Q", pointer)[:4])[0]


def test_an_exit_is_cld_exited_with_the_status(block: Callable[..., object], fork: Fork) -> None:
    block(libc.SIGCHLD)
    child = fork(os._exit, 42)
    info = _next(libc.SIGCHLD)
    assert (info.si_code, info.si_pid, info.si_status) == (libc.CLD_EXITED, child.pid, 42)
    assert info.si_uid == os.getuid()
    assert _written(info) == CHILD
    assert child.wait().exit_code == 42


def test_processor_time_of_a_child_comes_along(block: Callable[..., object], fork: Fork) -> None:
    def work(seconds: float) -> None:
        while time.process_time() < seconds:
            pass

    block(libc.SIGCHLD)
    told = 0
    for seconds in (0.2, 0.8, 3.2):  # the kernel takes samples of it, which may all miss a child that works for short
        if not told:
            fork(work, seconds)
            info = _next(libc.SIGCHLD)
            assert info.si_utime is not None
            assert info.si_stime is not None
            told = info.si_utime + info.si_stime
    assert told > 0


def test_a_death_by_signal_is_cld_killed_with_the_signal(block: Callable[..., object], fork: Fork) -> None:
    block(libc.SIGCHLD)
    child = fork(libc.pause)
    child.kill(libc.SIGTERM)
    info = _next(libc.SIGCHLD)
    assert (info.si_code, info.si_pid, info.si_status) == (libc.CLD_KILLED, child.pid, libc.SIGTERM)
    assert _written(info) == CHILD


def test_a_core_dump_is_told_as_the_kernel_tells_waitid(
    block: Callable[..., object], fork: Fork, tmp_path: Path
) -> None:
    def dump() -> None:
        os.chdir(tmp_path)
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
        libc.raise_(libc.SIGQUIT)

    block(libc.SIGCHLD)
    child = fork(dump)
    info = _next(libc.SIGCHLD)
    ended = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    assert (info.si_code, info.si_status) == (ended.si_code, libc.SIGQUIT)
    assert info.si_code == (libc.CLD_DUMPED if child.wait().core_dumped else libc.CLD_KILLED)


def test_stop_and_continue_are_told(block: Callable[..., object], fork: Fork) -> None:
    block(libc.SIGCHLD)
    child = fork(libc.pause)
    child.kill(libc.SIGSTOP)
    stopped = _next(libc.SIGCHLD)
    child.kill(libc.SIGCONT)
    continued = _next(libc.SIGCHLD)
    assert (stopped.si_code, stopped.si_pid, stopped.si_status) == (libc.CLD_STOPPED, child.pid, libc.SIGSTOP)
    assert (continued.si_code, continued.si_pid, continued.si_status) == (libc.CLD_CONTINUED, child.pid, libc.SIGCONT)
    assert _written(stopped) == _written(continued) == CHILD


def test_a_timer_of_the_kernel_has_no_sender(block: Callable[..., object]) -> None:
    block(libc.SIGALRM)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    info = _next(libc.SIGALRM)
    assert (info.si_signo, info.si_code) == (libc.SIGALRM, libc.SI_KERNEL)
    assert _written(info) == set()


@pytest.fixture
def asynchronous_pipe() -> Iterator[Callable[[int], tuple[int, int]]]:
    """Make a pipe whose read end sends this process the signal when there is something to read (fcntl(2))."""
    read_end, write_end = os.pipe()

    def make(signum: int) -> tuple[int, int]:
        fcntl.fcntl(read_end, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(read_end, fcntl.F_SETSIG, signum)
        fcntl.fcntl(read_end, fcntl.F_SETFL, fcntl.fcntl(read_end, fcntl.F_GETFL) | os.O_ASYNC)
        return read_end, write_end

    yield make
    os.close(read_end)
    os.close(write_end)


def test_sigio_tells_descriptor_and_events(
    block: Callable[..., object], asynchronous_pipe: Callable[[int], tuple[int, int]]
) -> None:
    block(libc.SIGIO)
    read_end, write_end = asynchronous_pipe(libc.SIGIO)
    os.write(write_end, b"!")
    info = _next(libc.SIGIO)
    assert (info.si_code, info.si_fd, info.si_band) == (libc.POLL_IN, read_end, select.POLLIN | select.POLLRDNORM)
    assert _written(info) == POLL


def test_a_real_time_signal_in_place_of_sigio_tells_descriptor_and_events(
    block: Callable[..., object], asynchronous_pipe: Callable[[int], tuple[int, int]]
) -> None:
    block(libc.SIGRTMIN)
    read_end, write_end = asynchronous_pipe(libc.SIGRTMIN)
    os.write(write_end, b"!")
    info = _next(libc.SIGRTMIN)
    assert (info.si_code, info.si_fd, info.si_band) == (libc.POLL_IN, read_end, select.POLLIN | select.POLLRDNORM)
    assert isinstance(info.si_code, libc.PollCode)
    assert _written(info) == POLL


def test_a_signal_with_si_codes_of_its_own_in_place_of_sigio_is_si_sigio(
    block: Callable[..., object], asynchronous_pipe: Callable[[int], tuple[int, int]]
) -> None:
    block(libc.SIGCHLD)
    read_end, write_end = asynchronous_pipe(libc.SIGCHLD)
    os.write(write_end, b"!")
    info = _next(libc.SIGCHLD)
    assert (info.si_code, info.si_fd, info.si_band) == (libc.SI_SIGIO, read_end, select.POLLIN | select.POLLRDNORM)
    assert _written(info) == POLL


@pytest.mark.parametrize(
    ("signum", "code"),
    [
        (libc.SIGSEGV, libc.SEGV_MAPERR),
        (libc.SIGSEGV, libc.SEGV_ACCERR),
        (libc.SIGBUS, libc.BUS_ADRERR),
        (libc.SIGFPE, libc.FPE_INTDIV),
        (libc.SIGILL, libc.ILL_ILLOPC),
        (libc.SIGTRAP, libc.TRAP_BRKPT),
    ],
)
def test_a_fault_tells_its_address(signum: int, code: int) -> None:
    info = _made(signum, code, "Q", 0xDEAD_BEEF_0000)
    assert (info.si_code, info.si_addr) == (code, 0xDEAD_BEEF_0000)
    assert _written(info) == FAULT


@pytest.mark.parametrize("code", [libc.BUS_MCEERR_AR, libc.BUS_MCEERR_AO])
def test_a_memory_error_tells_its_least_significant_bit(code: int) -> None:
    info = _made(libc.SIGBUS, code, "Qh", 0x7000, 12)
    assert (info.si_addr, info.si_addr_lsb) == (0x7000, 12)
    assert _written(info) == FAULT | {"si_addr_lsb"}


def test_a_bound_violation_tells_the_bounds() -> None:
    info = _made(libc.SIGSEGV, libc.SEGV_BNDERR, "Q8xQQ", 0x5000, 0x1000, 0x2000)
    assert (info.si_addr, info.si_lower, info.si_upper) == (0x5000, 0x1000, 0x2000)
    assert _written(info) == FAULT | {"si_lower", "si_upper"}


def test_a_protection_key_violation_tells_the_key() -> None:
    info = _made(libc.SIGSEGV, libc.SEGV_PKUERR, "Q8xI", 0x5000, 3)
    assert (info.si_addr, info.si_pkey) == (0x5000, 3)
    assert _written(info) == FAULT | {"si_pkey"}


def test_sigsys_tells_the_call() -> None:
    info = _made(libc.SIGSYS, 1, "QiI", 0x401000, 39, 0xC000003E)
    assert (info.si_code, info.si_call_addr, info.si_syscall, info.si_arch) == (1, 0x401000, 39, 0xC000003E)
    assert _written(info) == SYSCALL


def test_a_posix_timer_tells_timer_overrun_and_value() -> None:
    info = _made(libc.SIGALRM, libc.SI_TIMER, "iiQ", 5, 1000, 77)
    assert (info.si_timerid, info.si_overrun, info.si_value, info.si_ptr) == (5, 1000, 77, 77)
    assert _written(info) == TIMER


@pytest.mark.parametrize("code", [libc.SI_MESGQ, libc.SI_ASYNCIO, libc.SI_QUEUE, -1000])
def test_notifications_tell_sender_and_value(code: int) -> None:
    info = _made(libc.SIGRTMAX, code, "iIQ", 1234, 1000, 2**64 - 2)
    assert (info.si_code, info.si_pid, info.si_uid, info.si_value) == (code, 1234, 1000, -2)
    assert _written(info) == SENDER | VALUE


@pytest.mark.parametrize(
    ("signum", "code", "enumeration"),
    [
        (libc.SIGUSR1, libc.SI_USER, libc.SiCode),
        (libc.SIGSEGV, libc.SI_KERNEL, libc.SiCode),
        (libc.SIGSEGV, libc.SEGV_MAPERR, libc.SegvCode),
        (libc.SIGBUS, libc.BUS_ADRALN, libc.BusCode),
        (libc.SIGFPE, libc.FPE_INTDIV, libc.FpeCode),
        (libc.SIGILL, libc.ILL_ILLOPC, libc.IllCode),
        (libc.SIGTRAP, libc.TRAP_BRKPT, libc.TrapCode),
        (libc.SIGCHLD, libc.CLD_EXITED, libc.CldCode),
        (libc.SIGIO, libc.POLL_IN, libc.PollCode),
        (libc.SIGSEGV, 100, int),
        (libc.SIGUSR1, -1000, int),
    ],
)
def test_si_code_is_named_in_the_terms_of_its_signal(signum: int, code: int, enumeration: type[int]) -> None:
    assert _made(signum, code).si_code == code
    assert type(_made(signum, code).si_code) is enumeration


def test_any_bytes_decode_without_harm() -> None:
    for signum, code in itertools.product((-1, 0, *range(66), 2**31 - 1), (*range(-70, 140), -(2**31), 2**31 - 1)):
        info = libc.Siginfo(struct.pack("@iii", signum, -1, code) + b"\xff" * 116)
        assert (info.si_signo, info.si_code, info.si_errno) == (signum, code, -1)
        assert repr(info).startswith("Siginfo(si_signo=")


def test_raw_is_the_128_bytes_of_the_kernel(block: Callable[..., object]) -> None:
    block(libc.SIGRTMIN)
    libc.sigqueue(os.getpid(), libc.SIGRTMIN, 77)
    raw = _next(libc.SIGRTMIN).raw
    assert type(raw) is bytes
    assert len(raw) == 128
    assert struct.unpack_from("@iii4xiIi", raw) == (libc.SIGRTMIN, 0, libc.SI_QUEUE, os.getpid(), os.getuid(), 77)


@pytest.mark.parametrize("size", [0, 127, 129])
def test_other_than_128_bytes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="a siginfo_t is 128 bytes"):
        libc.Siginfo(bytes(size))


@pytest.mark.parametrize("wrong", [None, 128, "x" * 128])
def test_what_is_not_bytes_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        libc.Siginfo(wrong)


def test_two_are_equal_when_their_bytes_are() -> None:
    one, same, other = (_made(libc.SIGUSR1, libc.SI_USER, "iI", pid, 0) for pid in (1, 1, 2))
    assert one == same
    assert hash(one) == hash(same)
    assert one != other
    assert one != one.raw
    assert len({one, same, other}) == 2


def test_a_siginfo_survives_copying_pickling_and_the_way_from_a_child(fork: Fork) -> None:
    info = _made(libc.SIGRTMIN, libc.SI_QUEUE, "iIQ", 1, 2, 3)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        assert pickle.loads(pickle.dumps(info, protocol)) == info
    assert copy.copy(info) == copy.deepcopy(info) == info
    assert fork(lambda: info).result() == info


def test_repr_names_what_applies_and_nothing_else() -> None:
    queued = _made(libc.SIGRTMIN + 3, libc.SI_QUEUE, "iIQ", 1, 2, 3)
    assert repr(queued) == ("Siginfo(si_signo=SIGRTMIN+3, si_code=SI_QUEUE, si_pid=1, si_uid=2, si_value=3, si_ptr=3)")
    exited = _made(libc.SIGCHLD, libc.CLD_EXITED, "iIi4xqq", 1, 2, 3, 4, 5)
    assert repr(exited) == (
        "Siginfo(si_signo=SIGCHLD, si_code=CLD_EXITED, si_pid=1, si_uid=2, si_status=3, si_utime=4, si_stime=5)"
    )
    assert repr(_made(libc.SIGALRM, libc.SI_KERNEL)) == "Siginfo(si_signo=SIGALRM, si_code=SI_KERNEL)"
    assert repr(_made(99, 100, "q", 0)).startswith("Siginfo(si_signo=99, si_code=100")


def test_members_cannot_be_set() -> None:
    info = _made(libc.SIGUSR1, libc.SI_USER, "iI", 1, 2)
    for member in ("si_signo", "si_code", "si_pid", "si_value"):
        with pytest.raises(AttributeError):
            setattr(info, member, 7)


def test_si_errno_is_kept() -> None:
    assert libc.Siginfo(struct.pack("@iii", 10, errno.EIO, 0).ljust(128, b"\0")).si_errno == errno.EIO


def test_a_siginfo_that_somebody_keeps_never_changes(block: Callable[..., object]) -> None:
    """The last one is used again, but only where nobody else has it."""
    block(libc.SIGRTMIN)
    kept = {}
    for value in range(50):
        libc.sigqueue(os.getpid(), libc.SIGRTMIN, value)
        info = libc.sigwaitinfo(libc.SignalSet({libc.SIGRTMIN}))
        if value % 3:
            kept[info] = value
    assert [info.si_value for info in kept] == list(kept.values())
    assert all(kept[libc.Siginfo(info.raw)] == value for info, value in kept.items())


def test_one_whose_end_waits_for_another_signal_is_not_mixed_up_with_it(block: Callable[..., object]) -> None:
    """A class of somebody's own has a `__del__`, which runs while the next one is being made."""
    block(libc.SIGRTMIN)
    inner: list[libc.Siginfo] = []
    wanted = libc.SignalSet({libc.SIGRTMIN})

    class Dying(libc.Siginfo):
        __slots__ = ()

        def __del__(self) -> None:
            inner.append(libc.sigwaitinfo(wanted))

    for value in range(3):
        libc.sigqueue(os.getpid(), libc.SIGRTMIN, value)
    first = libc.sigwaitinfo(wanted)
    first.__class__ = Dying
    del first
    outer = libc.sigwaitinfo(wanted)
    assert (outer.si_value, [info.si_value for info in inner]) == (1, [2])
