"""unixipc.processes: the forked children that the other tests rely on."""

import errno
import os
import select

import pytest

from unixipc import libc, processes
from unixipc.testing import DEADLINE
from unixipc.testing.plugin import Fork


def test_result_hands_back_what_the_function_returned(fork: Fork) -> None:
    assert fork(lambda: {"pid": os.getpid()}).result()["pid"] != os.getpid()


def test_a_result_larger_than_a_pipe_comes_back(fork: Fork) -> None:
    assert fork(lambda: b"x" * 1_000_000).result() == b"x" * 1_000_000


def test_an_exception_comes_back_with_the_child_s_traceback(fork: Fork) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        fork(lambda: 1 // 0).result()
    assert "1 // 0" in caught.value.__notes__[0]


def test_an_exception_that_does_not_pickle_comes_back_as_text(fork: Fork) -> None:
    class LocalError(Exception):
        pass

    def fail() -> None:
        raise LocalError("cannot travel")

    with pytest.raises(ChildProcessError, match="LocalError: cannot travel"):
        fork(fail).result()


def test_a_killed_child_is_reported_with_its_signal(fork: Fork) -> None:
    child = fork(libc.pause)
    child.kill(libc.SIGUSR1)
    with pytest.raises(ChildProcessError, match="killed by SIGUSR1"):
        child.result()
    assert child.returncode == -libc.SIGUSR1


def test_waiting_stops_at_the_deadline(fork: Fork) -> None:
    with pytest.raises(TimeoutError, match="has not ended within 0 seconds"):
        fork(libc.pause).wait(0)


def test_leaving_the_block_kills_the_child() -> None:
    with processes.fork(libc.pause) as child:
        pass
    assert child.returncode == -libc.SIGKILL


def test_a_child_that_is_dropped_is_reaped_with_a_warning() -> None:
    with pytest.warns(ResourceWarning, match="never waited for"):
        processes.fork(libc.pause)


def test_a_child_dies_with_its_parent(fork: Fork) -> None:
    def parent() -> int:
        child = processes.fork(libc.pause)
        os.write(write_end, str(child.pid).encode())
        libc.pause()
        return 0

    read_end, write_end = os.pipe()
    middle = fork(parent)
    pidfd = libc.pidfd_open(int(os.read(read_end, 100)))
    try:
        middle.kill()
        assert select.select([pidfd], [], [], DEADLINE)[0] == [pidfd]
    finally:
        for fd in (read_end, write_end, pidfd):
            os.close(fd)


def test_a_fork_that_fails_half_way_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    real = libc.pidfd_open

    def refuse(pid: int) -> int:
        if pid == os.getpid():
            return real(pid)
        raise OSError(errno.ENOSYS, "no pidfd_open here")

    monkeypatch.setattr(libc, "pidfd_open", refuse)
    with pytest.raises(OSError, match="no pidfd_open here"):
        processes.fork(libc.pause)


def test_a_child_starts_with_the_mask_of_its_parent(fork: Fork) -> None:
    before = libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
    try:
        assert fork(libc.sigprocmask, libc.SIG_BLOCK).result() == before | {libc.SIGUSR1}
    finally:
        libc.sigprocmask(libc.SIG_SETMASK, before)
