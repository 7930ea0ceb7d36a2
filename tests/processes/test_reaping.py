"""processes.subreaper and die_with_parent: orphans that are adopted, and children that end with their parents."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from nobody import NOBODY

from unixipc import libc, processes
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork


def abandon(levels: int = 1, code: int = 0) -> int:
    """Make an orphan, which waits for a signal, and lines of orphans of orphans where there are more levels."""
    pid = os.fork()
    if pid:
        return pid
    libc.alarm(60)  # it ends also when its test fails
    if levels > 1:
        abandon(levels - 1, code)
    libc.pause()
    os._exit(code)


@contextmanager
def pidfd_of(pid: int) -> Iterator[int]:
    pidfd = libc.pidfd_open(pid)
    try:
        yield pidfd
    finally:
        os.close(pidfd)


def ends(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], DEADLINE)[0])


# -- subreaper --


def test_orphans_are_adopted_killed_and_reaped(fork: Fork) -> None:
    with processes.subreaper() as orphans:
        assert orphans.pids() == set()
        made = {fork(abandon).result() for _ in range(3)}
        assert orphans.pids() == made
        orphans.kill(libc.SIGUSR1)
        ended = orphans.reap(DEADLINE)
    assert {status.pid for status in ended} == made
    assert {status.signal for status in ended} == {libc.SIGUSR1}
    assert all(status.usage is not None for status in ended)
    assert orphans.pids() == set()


def test_orphans_of_orphans_are_reaped_too(fork: Fork) -> None:
    def first() -> int:
        pid = os.fork()
        if pid == 0:
            libc.alarm(60)
            abandon()
            ready.open()
            libc.pause()
        ready.wait()
        return pid

    ready = Gate()
    with processes.subreaper() as orphans:
        child = fork(first).result()
        assert orphans.pids() == {child}
        orphans.kill()
        with pidfd_of(child) as pidfd:
            assert ends(pidfd)
        (grandchild,) = orphans.pids() - {child}
        orphans.kill()
        assert {status.pid for status in orphans.reap(DEADLINE)} == {child, grandchild}
    ready.close()


def test_children_that_somebody_has_are_left_alone(fork: Fork) -> None:
    before = fork(libc.pause)
    foreign = os.fork()
    if foreign == 0:
        libc.pause()
        os._exit(0)
    try:
        with processes.subreaper() as orphans:
            during = fork(libc.pause)
            orphan = fork(abandon).result()
            assert orphans.pids() == {orphan}
            orphans.kill()
            assert [status.pid for status in orphans.reap(DEADLINE)] == [orphan]
        for child in (before, during):
            with pytest.raises(TimeoutError):
                child.wait(0)
        assert os.waitpid(foreign, os.WNOHANG) == (0, 0)
    finally:
        os.kill(foreign, libc.SIGKILL)
        os.waitpid(foreign, 0)


def test_reaping_stops_at_the_deadline_and_goes_on_later(fork: Fork) -> None:
    with processes.subreaper() as orphans:
        orphan = fork(abandon).result()
        with pytest.raises(TimeoutError, match=f"process {orphan} has been adopted, and has not ended"):
            orphans.reap(0)
        assert orphans.pids() == {orphan}
        orphans.kill()
        assert len(orphans.reap(DEADLINE)) == 1
    assert orphans.reap(0) == []


def test_one_that_runs_does_not_keep_those_that_ended_from_being_reaped(fork: Fork) -> None:
    with processes.subreaper() as orphans:
        running = fork(abandon).result()
        ended = [fork(abandon).result() for _ in range(4)]
        for pid in ended:
            with pidfd_of(pid) as pidfd:
                libc.kill(pid, libc.SIGKILL)
                assert ends(pidfd)
        with pytest.raises(TimeoutError, match=str(running)):
            orphans.reap(0)
        assert orphans.pids() == {running}
        orphans.kill()
        orphans.reap(DEADLINE)


def test_blocks_nest_and_the_setting_comes_back_also_when_they_raise() -> None:
    assert libc.prctl(libc.PR_GET_CHILD_SUBREAPER) == 0
    with processes.subreaper():
        with pytest.raises(ZeroDivisionError), processes.subreaper():
            print(1 // 0)
        assert libc.prctl(libc.PR_GET_CHILD_SUBREAPER) == 1
    assert libc.prctl(libc.PR_GET_CHILD_SUBREAPER) == 0


def test_an_orphan_that_somebody_else_waits_for_is_no_error(fork: Fork) -> None:
    with processes.subreaper() as orphans:
        orphan = fork(abandon).result()
        orphans.kill()
        os.waitpid(orphan, 0)
        assert orphans.reap(DEADLINE) == []


def test_an_orphan_that_is_waited_for_between_the_look_and_the_wait_is_no_error(
    fork: Fork, monkeypatch: pytest.MonkeyPatch
) -> None:
    with processes.subreaper() as orphans:
        orphan = fork(abandon).result()
        orphans.kill()
        real = orphans.pids

        def takes_it() -> set[int]:
            found = real()
            for pid in found:
                os.waitpid(pid, 0)
            return found

        monkeypatch.setattr(orphans, "pids", takes_it)
        assert orphans.reap(DEADLINE) == []
        assert orphan not in real()


def test_a_long_timeout_is_no_error(fork: Fork) -> None:
    with processes.subreaper() as orphans:
        fork(abandon).result()
        orphans.kill()
        assert len(orphans.reap(1e8)) == 1


def test_a_handler_that_raises_while_orphans_are_reaped_costs_none(fork: Fork) -> None:
    def child() -> int:
        def handler(signum: int) -> None:
            raise ZeroDivisionError

        with processes.subreaper() as orphans:
            with processes.fork(abandon) as parent:
                orphan = parent.result()
            libc.sigaction(libc.SIGCHLD, libc.Sigaction(handler))
            try:
                orphans.kill()
                ended = orphans.reap(DEADLINE)
            except ZeroDivisionError:
                libc.sigaction(libc.SIGCHLD, libc.Sigaction(libc.SIG_DFL))
                ended = orphans.reap(DEADLINE)
            return [status.pid for status in ended] == [orphan]

    assert fork(child).result()


def test_what_is_reaped_as_a_handler_raises_the_next_call_tells(fork: Fork) -> None:
    real = os.wait4

    def once_it_has_ended(pid: int, options: int) -> object:  # and so SIGCHLD waits for all signals to be let in again
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        return real(pid, options)

    def fail(_: int) -> None:
        raise ZeroDivisionError

    def child() -> bool:
        with processes.subreaper() as orphans:
            with processes.fork(abandon) as parent:
                orphan = parent.result()
            libc.kill(orphan, libc.SIGKILL)
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(os, "wait4", once_it_has_ended)
                libc.sigaction(libc.SIGCHLD, libc.Sigaction(fail))
                with pytest.raises(ZeroDivisionError):
                    orphans.reap(DEADLINE)
            libc.sigaction(libc.SIGCHLD, libc.Sigaction(libc.SIG_DFL))
            return [status.pid for status in orphans.reap(DEADLINE)] == [orphan] and not orphans.reap()

    assert fork(child).result()


# -- die_with_parent --


def test_a_child_made_by_os_fork_ends_with_its_parent(fork: Fork, gate: Callable[[], Gate]) -> None:
    def parent() -> None:
        me = os.getpid()
        pid = os.fork()
        if pid == 0:
            processes.die_with_parent(me)
            ready.open()
            libc.pause()
        os.write(writes, str(pid).encode())
        libc.pause()

    ready = gate()
    reads, writes = os.pipe()
    try:
        middle = fork(parent)
        with pidfd_of(int(os.read(reads, 20))) as pidfd:
            ready.wait()
            middle.kill()
            assert ends(pidfd)
    finally:
        os.close(reads)
        os.close(writes)


def test_a_child_whose_parent_has_ended_already_ends_at_once(fork: Fork) -> None:
    def child() -> None:
        processes.die_with_parent(os.getppid() + 1, libc.SIGUSR1)

    assert fork(child).wait().signal == libc.SIGUSR1


def test_a_child_that_changed_its_user_ends_with_its_parent_when_it_asks_again(
    fork: Fork, gate: Callable[[], Gate]
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can change its user")

    def parent() -> None:
        def child() -> None:
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            assert libc.prctl(libc.PR_GET_PDEATHSIG) == 0
            processes.die_with_parent(me)
            ready.open()
            libc.pause()

        me = os.getpid()
        with processes.fork(child) as made:
            os.write(writes, str(made.pid).encode())
            libc.pause()

    ready = gate()
    reads, writes = os.pipe()
    try:
        middle = fork(parent)
        with pidfd_of(int(os.read(reads, 20))) as pidfd:
            ready.wait()
            middle.kill()
            assert ends(pidfd)
    finally:
        os.close(reads)
        os.close(writes)


# -- what the wait itself needs --


def test_a_status_is_not_lost_where_no_descriptor_is_free() -> None:
    code = (
        "import os, resource; from unixipc import processes\n"
        "child = processes.fork(os._exit, 7)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))\n"
        "assert child.wait(30).exit_code == 7\n"
    )
    without = code.replace("import os, resource;", "import os, sys;").replace(
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))", "sys.path.clear(); sys.meta_path.clear()"
    )
    for program in (code, without):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
