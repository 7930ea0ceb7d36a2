"""processes.ExitStatus and Usage: every way in which a process can end or stop, in numbers and in words."""

import os
import resource
import signal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from unixipc import libc, processes
from unixipc.testing import DEADLINE
from unixipc.testing.plugin import Fork

SIGNALS = [*range(1, 32), *range(libc.SIGRTMIN, libc.SIGRTMAX + 1)]
STOPPING = [libc.SIGSTOP, libc.SIGTSTP, libc.SIGTTIN, libc.SIGTTOU]
DUMPED = 0x80


@pytest.mark.parametrize("code", range(256))
def test_each_exit_code_is_told(code: int) -> None:
    status = processes.ExitStatus(1, code << 8)
    assert (status.exited, status.exit_code, status.returncode, status.success) == (True, code, code, code == 0)
    assert (status.killed, status.signal, status.core_dumped, status.stopped, status.continued) == (
        False,
        None,
        False,
        False,
        False,
    )
    assert str(status) == f"exited with status {code}"


@pytest.mark.parametrize("dumped", [False, True])
@pytest.mark.parametrize("signum", SIGNALS)
def test_each_signal_that_kills_is_told_by_its_name(signum: int, dumped: bool) -> None:
    status = processes.ExitStatus(1, signum | DUMPED * dumped)
    assert (status.killed, status.signal, status.returncode, status.core_dumped) == (True, signum, -signum, dumped)
    assert (status.exited, status.exit_code, status.success, status.stopped) == (False, None, False, False)
    described = signal.strsignal(signum)
    name = libc.signal_name(signum)
    assert str(status) == f"was killed by {name} ({described}){', core dumped' * dumped}"


@pytest.mark.parametrize("signum", SIGNALS)
def test_each_signal_that_stops_is_told_by_its_name(signum: int) -> None:
    status = processes.ExitStatus.of_stop(1, signum)
    assert (status.stopped, status.stop_signal, status.ended, status.returncode) == (True, signum, False, None)
    assert (status.exited, status.killed, status.signal, status.continued) == (False, False, None, False)
    assert str(status) == f"was stopped by {libc.signal_name(signum)}"


def test_a_continued_process_is_told() -> None:
    status = processes.ExitStatus(1, 0xFFFF)
    assert (status.continued, status.stopped, status.ended, status.returncode) == (True, False, False, None)
    assert str(status) == "was continued"


@given(some.integers(0, 0xFFFF))
def test_a_status_is_one_thing_only_and_says_so_whatever_the_number(number: int) -> None:
    status = processes.ExitStatus(1, number)
    assert str(status).isprintable()
    kinds = [status.exited, status.killed, status.stopped, status.continued]
    assert sum(kinds) <= 1
    assert status.ended == (status.exited or status.killed) == (status.returncode is not None)
    assert (status.exit_code is not None, status.signal is not None) == (status.exited, status.killed)


@pytest.mark.parametrize("code", [0, 1, 127, 128, 255])
def test_a_child_exits_with_the_code_that_its_status_tells(fork: Fork, code: int) -> None:
    status = fork(os._exit, code).wait()
    assert (status.exit_code, status.wait_status) == (code, code << 8)


@pytest.mark.parametrize("signum", [libc.SIGTERM, libc.SIGKILL, libc.SIGUSR2, libc.SIGRTMIN, libc.SIGRTMAX])
def test_a_child_is_killed_by_the_signal_that_its_status_tells(fork: Fork, signum: int) -> None:
    child = fork(libc.pause)
    child.kill(signum)
    assert child.wait().signal == signum
    assert child.returncode == -signum


@pytest.mark.parametrize("signum", STOPPING)
def test_a_child_that_stops_itself_is_told_with_its_signal(fork: Fork, signum: int) -> None:
    def stops() -> None:
        os.setpgid(0, os.getppid())  # not an orphaned group: its members do not stop from a terminal's signals
        libc.raise_(signum)

    try:
        os.setpgid(0, 0)
    except PermissionError:
        pytest.skip("the test's process leads a session")
    child = fork(stops)
    status = child.wait_stopped()
    assert (status.pid, status.stop_signal) == (child.pid, signum)
    assert child.status is None
    child.resume()
    assert child.wait().success


def test_usage_is_in_seconds_and_bytes(fork: Fork) -> None:
    def works() -> resource.struct_rusage:
        content = bytearray(os.urandom(1)) * 50_000_000
        while resource.getrusage(resource.RUSAGE_SELF).ru_utime < 0.05:
            content.count(b"x")
        return resource.getrusage(resource.RUSAGE_SELF)

    child = fork(works)
    own = child.result()
    assert child.status is not None
    usage = child.status.usage
    assert usage is not None
    assert 0.05 <= usage.user_time < DEADLINE
    assert 0 <= usage.system_time < DEADLINE
    assert 50_000_000 <= own.ru_maxrss * 1024 <= usage.max_rss < 10_000_000_000
    assert usage.minor_faults >= own.ru_minflt > 0
    assert usage.major_faults >= 0
    assert usage.voluntary_switches + usage.involuntary_switches >= 0


def test_a_status_is_a_value() -> None:
    first, second = processes.ExitStatus(5, 0), processes.ExitStatus(5, 0)
    assert first == second
    assert len({first, second}) == 1
    with pytest.raises(AttributeError):
        first.wait_status = 1  # type: ignore[misc]
