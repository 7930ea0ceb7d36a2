"""unixipc.inventory: what processes that are gone left behind."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from unixipc import inventory, libc, processes, testing
from unixipc.inventory import Orphaned, scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork

T = TypeVar("T")


def alone(fork: Fork, function: Callable[[], T]) -> T:
    """Run something where no process is hidden or out of reach: in namespaces of its own, of pids, too."""

    def first() -> T:
        libc.mount("proc", "/proc", "proc", 0)
        with testing.fork(function) as child:  # which does not stay the init of the namespace
            return child.result()

    def outside() -> T:
        with testing.private_ipc(), processes.mount_namespace():
            libc.unshare(libc.CLONE_NEWPID)
            with testing.fork(first) as child:
                return child.result()

    if os.geteuid():
        pytest.skip("namespaces of one's own need CAP_SYS_ADMIN")
    return fork(outside).result()


def make_one_of_each() -> dict[str, object]:
    segment, queue = libc.shmget(0, 100, 0o600), libc.msgget(0, 0o600)
    semaphores = libc.semget(0, 2, 0o600)
    libc.msgsnd(queue, 1, b"left")
    libc.semop(semaphores, [(1, 1)])
    os.close(libc.shm_open("/left", libc.O_CREAT | libc.O_RDWR, 0o600))
    libc.mq_close(libc.mq_open("/left", libc.O_CREAT | libc.O_RDWR, 0o600, libc.MqAttr(mq_maxmsg=1, mq_msgsize=1)))
    return {"shared memory segment": segment, "message queue": queue, "semaphore set": semaphores}


def verdicts() -> list[tuple[str, Orphaned]]:
    census = inventory.look()
    left = (
        thing for thing in census if not isinstance(thing, inventory.MemoryFile | inventory.Fifo | inventory.UnixSocket)
    )
    return [(thing.kind, census.verdict(thing).orphaned) for thing in left]


def test_what_a_killed_process_made_is_orphaned_and_what_it_only_may_have_made_is_likely(fork: Fork) -> None:
    def look() -> list[tuple[str, Orphaned]]:
        def make() -> None:
            make_one_of_each()
            testing.parent().tell("made")
            signal.pause()

        with testing.fork(make) as child:
            child.says("made")
            assert {orphaned for kind, orphaned in verdicts() if kind == "shared memory segment"} == {Orphaned.NO}
            child.kill(signal.SIGKILL)
            child.wait()
        census = inventory.look()
        assert census.unseen == ()
        assert census.orphans() == census.segments
        assert len(census.orphans(likely=True)) == 5
        return verdicts()

    assert alone(fork, look) == [
        ("shared memory segment", Orphaned.YES),
        ("message queue", Orphaned.LIKELY),
        ("semaphore set", Orphaned.LIKELY),
        ("shared memory", Orphaned.LIKELY),
        ("message queue", Orphaned.LIKELY),
    ]


def test_what_a_zombie_made_is_orphaned_as_well(fork: Fork) -> None:
    def look() -> tuple[Orphaned, str]:
        pid = os.fork()
        if pid == 0:
            libc.shmget(0, 100, 0o600)
            os._exit(0)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        (segment,) = inventory.segments()
        verdict = inventory.look().verdict(segment)
        os.waitpid(pid, 0)
        assert str(pid) in verdict.why
        return verdict.orphaned, "zombie"

    assert alone(fork, look) == (Orphaned.YES, "zombie")


def test_what_is_in_use_is_no_orphan_though_its_maker_is_gone(fork: Fork) -> None:
    def look() -> set[Orphaned]:
        with testing.fork(make_one_of_each) as child:
            made = child.result()
        kept = libc.shmat(int(str(made["shared memory segment"])))
        memory = libc.shm_open("/left", libc.O_RDWR)
        queue = libc.mq_open("/left", libc.O_RDWR)
        libc.msgsnd(int(str(made["message queue"])), 1, b"more")
        libc.semop(int(str(made["semaphore set"])), [(0, 1)])
        found = {orphaned for _, orphaned in verdicts()}
        libc.shmdt(kept)
        os.close(memory)
        libc.mq_close(queue)
        return found

    assert alone(fork, look) == {Orphaned.NO}


def test_what_nobody_has_used_is_unknown(fork: Fork) -> None:
    def look() -> list[tuple[str, Orphaned]]:
        libc.msgget(0, 0o600)
        libc.semget(0, 2, 0o600)
        return verdicts()

    assert alone(fork, look) == [("message queue", Orphaned.UNKNOWN), ("semaphore set", Orphaned.UNKNOWN)]


def test_a_queue_that_somebody_waits_for_is_in_use_though_nobody_who_used_it_is_there(fork: Fork) -> None:
    if not Path("/proc/self/syscall").exists():
        pytest.skip("the kernel has no /proc/PID/syscall")

    def look() -> list[tuple[str, Orphaned]]:
        with testing.fork(make_one_of_each) as child:
            made = child.result()
        with testing.fork(libc.msgrcv, int(str(made["message queue"])), 10, 7) as waiting:
            (queue,) = inventory.message_queues()
            while not inventory.holders(queue).known:
                assert Path(f"/proc/{waiting.pid}").exists()
            found = verdicts()[1:2]
            waiting.kill(signal.SIGKILL)
            return found

    assert alone(fork, look) == [("message queue", Orphaned.NO)]


def test_names_are_unknown_where_a_process_cannot_be_looked_at(fork: Fork) -> None:
    def look() -> set[Orphaned]:
        make_one_of_each()

        def as_another() -> set[Orphaned]:
            os.setresuid(65534, 65534, 65534)
            census = inventory.look()
            return {census.verdict(thing).orphaned for thing in census.posix_memory}

        with testing.fork(as_another) as child:
            return child.result()

    assert alone(fork, look) == {Orphaned.UNKNOWN}


@pytest.mark.parametrize("hidepid", [1, 2])
def test_a_process_that_proc_hides_is_told_as_unseen(fork: Fork, hidepid: int) -> None:
    def look() -> tuple[int, ...]:
        libc.mount("proc", "/proc", "proc", 0, f"hidepid={hidepid}")

        def as_another() -> tuple[int, ...]:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            return inventory.look().unseen

        with testing.fork(as_another) as child:
            return child.result()

    assert alone(fork, look)[0] == 1


def test_a_queue_that_a_process_of_another_pid_namespace_used_is_unknown(fork: Fork) -> None:
    def look() -> tuple[Orphaned, str]:
        queue = libc.msgget(0, 0o600)
        libc.msgsnd(queue, 1, b"mine")

        def inside() -> tuple[Orphaned, str]:
            libc.mount("proc", "/proc", "proc", 0)
            (found,) = inventory.message_queues()
            assert (found.last_sender, found.messages) == (0, 1)
            verdict = inventory.look().verdict(found)
            return verdict.orphaned, verdict.why

        with processes.mount_namespace():
            libc.unshare(libc.CLONE_NEWPID)
            with testing.fork(inside) as child:
                return child.result()

    orphaned, why = alone(fork, look)
    assert orphaned == Orphaned.UNKNOWN
    assert "pid namespace" in why


def test_what_is_no_thing_or_no_pid_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="not of 'segment'"):
        inventory.holders("segment")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        inventory.shared_mappings(["1"])  # type: ignore[list-item]
    assert inventory.shared_mappings([-1, 0, 2**70]) == ()


def test_a_process_that_has_ended_holds_nothing_and_does_not_live(fork: Fork) -> None:
    child = fork(os.getpid)
    pid = child.result()
    assert list(scan.look_at([pid], files=())) == []
    assert not scan.lives(pid)
    assert scan.lives(os.getpid())
    assert inventory.shared_mappings([pid, os.getpid()]) == ()
