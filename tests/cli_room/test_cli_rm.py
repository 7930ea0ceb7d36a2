"""unixipc rm: what was left behind goes, what is in use stays, and what is asked for goes when it may."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from unixipc import inventory, libc, posix, processes, testing
from unixipc.cli import removing
from unixipc.cli.objects import Kind, kind_of, label
from unixipc.testing import parent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cli_room.commands import Command, Invoke

    from unixipc.testing.plugin import Fork

CREATE = libc.IPC_CREAT | libc.IPC_EXCL | 0o600


def present() -> set[tuple[Kind, str]]:
    """List what there is of objects that can be removed."""
    found = inventory.look()
    return {(kind, label(thing)) for thing in found if (kind := kind_of(thing)) in removing._LISTS}


@pytest.fixture
def swept(ipc_namespace: processes.IpcLimits) -> Iterator[None]:
    """Have objects of one's own, and let none of them outlive the test."""
    yield
    for name in inventory.memory_names():
        with suppress(OSError):
            os.unlink(f"/dev/shm{name}")  # noqa: S108, PTH108


def make(tag: str) -> list[tuple[Kind, str]]:
    """Make one object of each kind, and use it."""
    segment = libc.shmget(libc.IPC_PRIVATE, 4096, CREATE)
    queue = libc.msgget(libc.IPC_PRIVATE, CREATE)
    libc.msgsnd(queue, 1, b"hello")
    semaphores = libc.semget(libc.IPC_PRIVATE, 2, CREATE)
    libc.semop(semaphores, [libc.Sembuf(0, 1)])
    posix.SharedMemory.create(f"/memory {tag}", 4096).close()
    posix.Semaphore.create(f"/semaphore {tag}", 1).close()
    posix.MessageQueue.create(f"/queue {tag}", max_messages=2, max_size=64).close()
    return [
        (Kind.SYSV_SHM, str(segment)), (Kind.SYSV_MSG, str(queue)), (Kind.SYSV_SEM, str(semaphores)),
        (Kind.POSIX_SHM, f"/memory {tag}"), (Kind.POSIX_SEM, f"/semaphore {tag}"), (Kind.POSIX_MQ, f"/queue {tag}"),
    ]  # fmt: skip


def make_and_be_killed(tag: str) -> None:
    parent().tell("|".join(text for _, text in make(tag)))
    libc.pause()


def make_and_hold() -> None:
    """Make one object of each kind, and keep each open or attached, until the parent has seen enough."""
    made = make("held")
    with (
        posix.SharedMemory.open("/memory held"),
        posix.Semaphore.open("/semaphore held"),
        posix.MessageQueue.open("/queue held"),
    ):
        segment = libc.shmat(int(made[0][1]))
        parent().tell("|".join(text for _, text in made))
        parent().says("enough")
        libc.shmdt(segment)


KINDS = [Kind.SYSV_SHM, Kind.SYSV_MSG, Kind.SYSV_SEM, Kind.POSIX_SHM, Kind.POSIX_SEM, Kind.POSIX_MQ]


def said(words: str) -> set[tuple[Kind, str]]:
    return set(zip(KINDS, words.split("|"), strict=True))


def alone(test: Callable[[], None]) -> None:
    """Run a test in a pid namespace, where every process is its own and may be looked at: else nothing is certain."""

    def begin() -> None:
        with processes.mount_namespace():
            libc.mount("proc", "/proc", "proc")
            test()

    try:
        libc.unshare(libc.CLONE_NEWPID)
    except PermissionError as error:
        pytest.skip(f"a pid namespace: {error}")
    testing.fork(begin).result()


def test_orphans_of_killed_processes_go_and_nothing_that_is_in_use(unixipc: Command, fork: Fork, swept: None) -> None:
    def test() -> None:
        killed = [testing.fork(make_and_be_killed, f"of {i}") for i in range(3)]
        left = set[tuple[Kind, str]]().union(*(said(child.hear()) for child in killed))
        holder = testing.fork(make_and_hold)
        held = said(holder.hear())
        held.add(
            (Kind.SYSV_SHM, str(libc.shmget(libc.IPC_PRIVATE, 4096, CREATE)))
        )  # nobody has it, but its maker lives
        for child in killed:
            child.kill()
            child.wait()
        assert present() == left | held

        certain = {(kind, text) for kind, text in left if kind is Kind.SYSV_SHM}
        tried = unixipc("rm", "--orphans", "--likely", "--dry-run")
        assert (tried.returncode, tried.stderr) == (0, "")
        assert set(tried.stdout.splitlines()) == {f"would remove {kind} {text}" for kind, text in left}
        assert present() == left | held

        done = unixipc("rm", "--orphans")
        assert (done.returncode, done.stderr) == (0, "")
        assert set(done.stdout.splitlines()) == {f"removed {kind} {text}" for kind, text in certain}
        assert present() == (left - certain) | held

        done = unixipc("rm", "--orphans", "--likely")
        assert (done.returncode, done.stderr) == (0, "")
        assert present() == held

        again = unixipc("rm", "--orphans", "--likely")
        assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
        holder.tell("enough")
        holder.result()

    fork(alone, test).result()


def test_orphans_of_one_kind_leave_the_others(unixipc: Command, fork: Fork, swept: None) -> None:
    def test() -> None:
        left = set(testing.fork(make, "left").result())
        assert unixipc("rm", "--orphans", "--likely", "posix-shm").returncode == 0
        assert left - present() == {(Kind.POSIX_SHM, "/memory left")}

    fork(alone, test).result()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_what_somebody_may_hold_who_may_not_be_looked_at_stays(
    fork: Fork, swept: None, capfd: pytest.CaptureFixture[str]
) -> None:
    left = set(fork(make, "left").result())

    def remove_as_nobody() -> None:
        os.setuid(65534)
        removing.rm(Kind.POSIX_SHM, orphans=True, likely=True)

    fork(remove_as_nobody).result()
    assert re.fullmatch(
        r"unixipc rm: processes that may not be looked at: \d+; what they may hold stays\n", capfd.readouterr().err
    )
    assert present() == left


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_is_removed_by_its_kind_and_its_id_or_name(unixipc: Command, swept: None, kind: Kind) -> None:
    made = dict(make("named"))
    before = present()
    done = unixipc("rm", kind, made[kind])
    assert (done.returncode, done.stdout, done.stderr) == (0, f"removed {kind} {made[kind]}\n", "")
    assert before - present() == {(kind, made[kind])}


def test_a_key_and_a_name_without_its_slash_do_as_well(unixipc: Command, swept: None) -> None:
    made = dict(make("x"))
    queues = [libc.msgget(0x5EA, CREATE), libc.msgget(-2, CREATE)]
    before = present()
    assert unixipc("rm", "sysv-msg", "0x5ea", "0xFFFFFFFE").returncode == 0
    assert unixipc("rm", "posix-mq", made[Kind.POSIX_MQ][1:]).returncode == 0
    gone = {(Kind.SYSV_MSG, str(queue)) for queue in queues} | {(Kind.POSIX_MQ, made[Kind.POSIX_MQ])}
    assert before - present() == gone


def test_the_key_of_private_objects_means_none_of_them(unixipc: Command, swept: None) -> None:
    made = make("private")
    done = unixipc("rm", "sysv-shm", "0x0")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "unixipc rm: sysv-shm 0x0 was not found\n")
    assert present() == set(made)


@pytest.mark.parametrize(("typed", "goes"), [("y\n", True), ("n\n", False), ("", False)])
def test_what_is_in_use_is_asked_about(unixipc: Command, fork: Fork, swept: None, typed: str, goes: bool) -> None:
    holder = fork(make_and_hold)
    held = said(holder.hear())
    name = (Kind.POSIX_MQ, "/queue held")
    done = unixipc("rm", *name, typed=typed)
    question = rf"posix-mq /queue held is in use: .*\({holder.pid}\)(, …\?)?; remove it\? \[y/N\] "
    assert re.match(question, done.stderr)
    assert done.stdout == "removed posix-mq /queue held\n" * goes
    assert ("not removed" in done.stderr, done.returncode) == (not goes, 1 - goes)
    assert (name in present()) == (not goes)
    segment = next(one for one in held if one[0] is Kind.SYSV_SHM)
    tried = unixipc("rm", "--dry-run", *segment)
    assert re.fullmatch(rf"would remove sysv-shm \d+, which is in use: .*\({holder.pid}\).*\n", tried.stdout)
    assert unixipc("rm", "--yes", *segment).returncode == 0
    holder.tell("enough")
    holder.result()
    assert segment not in present()


def test_what_is_not_there_is_an_error_and_the_rest_goes(unixipc: Command, swept: None) -> None:
    made = dict(make("x"))
    done = unixipc("rm", "sysv-sem", "99999", made[Kind.SYSV_SEM], "/name")
    assert done.returncode == 1
    assert done.stderr == "unixipc rm: sysv-sem 99999 was not found\nunixipc rm: sysv-sem /name was not found\n"
    assert done.stdout == f"removed sysv-sem {made[Kind.SYSV_SEM]}\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("kind", KINDS)
def test_missing_rights_are_told(fork: Fork, swept: None, capfd: pytest.CaptureFixture[str], kind: Kind) -> None:
    made = dict(make("mine"))
    census = inventory.look()
    (thing,) = (one for one in census if (kind_of(one), label(one)) == (kind, made[kind]))

    def remove_as_nobody() -> bool:
        removing._LISTS[kind] = lambda: [thing]
        os.setuid(65534)
        return removing._remove(census, thing, dry_run=False, yes=False)

    assert fork(remove_as_nobody).result() is False
    assert re.fullmatch(
        rf"unixipc rm: {kind} {made[kind]}: .*(Operation not permitted|Permission denied).*\n", capfd.readouterr().err
    )
    assert (kind, made[kind]) in present()


def test_what_was_made_anew_meanwhile_stays(swept: None, capfd: pytest.CaptureFixture[str]) -> None:
    posix.SharedMemory.create("/again", 1).close()
    census = inventory.look()
    (thing,) = census.posix_memory
    libc.shm_unlink("/again")
    posix.SharedMemory.create("/again", 1).close()
    assert not removing._remove(census, thing, dry_run=False, yes=True)
    assert capfd.readouterr().err == "unixipc rm: posix-shm /again is gone\n"
    assert present() == {(Kind.POSIX_SHM, "/again")}


def test_a_segment_that_was_attached_meanwhile_stays(swept: None, capfd: pytest.CaptureFixture[str]) -> None:
    segment = libc.shmget(libc.IPC_PRIVATE, 1, CREATE)
    census = inventory.look()
    (thing,) = census.segments
    address = libc.shmat(segment)
    assert not removing._remove(census, thing, dry_run=False, yes=False)
    assert "was attached meanwhile: not removed" in capfd.readouterr().err
    libc.shmdt(address)
    assert present() == {(Kind.SYSV_SHM, str(segment))}


@pytest.mark.parametrize(
    "arguments",
    [[], ["sysv-shm"], ["memfd", "x"], ["other", "1"], ["--orphans", "sysv-shm", "1"], ["--likely", "sysv-shm", "1"]],
)
def test_what_makes_no_sense_is_an_error_of_usage(invoke: Invoke, arguments: list[str]) -> None:
    done = invoke("rm", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
