"""unixipc.inventory: a populated machine, against ipcs(1), the calls and /proc."""

from __future__ import annotations

import grp
import os
import pwd
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest

from unixipc import inventory, libc, testing
from unixipc.inventory import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from unixipc.testing.plugin import Fork

T = TypeVar("T")
SEGMENTS, QUEUES, SETS, MEMORY, SEMAPHORES, POSIX_QUEUES = 25, 20, 20, 15, 10, 10


def populate() -> None:
    """Make 100 objects, no two alike, in namespaces of one's own."""
    populate_sysv()
    for number in range(MEMORY):
        fd = libc.shm_open(f"/memory {number}", libc.O_CREAT | libc.O_RDWR, 0o600)
        os.ftruncate(fd, number * 1000)
        os.close(fd)
    for number in range(SEMAPHORES):
        libc.sem_close(libc.sem_open(f"/semaphore{number}", libc.O_CREAT, 0o600, number))
    for number in range(POSIX_QUEUES):
        limits = libc.MqAttr(mq_maxmsg=1 + number % 8, mq_msgsize=10 + number)
        fd = libc.mq_open(f"/queue{number}", libc.O_CREAT | libc.O_RDWR, 0o600, limits)
        if number % 2:
            libc.mq_send(fd, b"y" * number)
        libc.mq_close(fd)


def populate_sysv() -> None:
    for number in range(SEGMENTS):
        made = libc.shmget(number and 0x5000 + number, 100 + 5000 * number, libc.IPC_CREAT | 0o400 | number)
        if number % 3 == 1:
            attached = libc.shmat(made)
            if number % 2:
                libc.shmctl(made, libc.IPC_RMID)  # it stays while it is attached
                _KEPT.append(attached)
            else:
                libc.shmdt(attached)
        if number == 2:
            libc.shmctl(made, libc.SHM_LOCK)
    for number in range(QUEUES):
        made = libc.msgget(-number, libc.IPC_CREAT | 0o600 | number)
        for size in range(number % 4):
            libc.msgsnd(made, 1, b"x" * (size + number))
        if number % 4 == 3:
            libc.msgrcv(made, 100)
    for number in range(SETS):
        made = libc.semget(number and 0x7000 + number, number + 1, libc.IPC_CREAT | 0o600 | number)
        if number % 2:
            libc.semop(made, [(number, 1)])


_KEPT: list[object] = []


@pytest.fixture
def populated(fork: Fork) -> Callable[[Callable[[], T]], T]:
    """Run something in a process that has 100 objects, and nothing else, in namespaces of its own."""
    if os.geteuid():
        pytest.skip("namespaces of one's own need CAP_SYS_ADMIN")

    def inside(function: Callable[[], T]) -> T:
        with testing.private_ipc():
            populate()
            try:
                return function()
            finally:
                for attached in _KEPT:
                    libc.shmdt(attached)  # type: ignore[arg-type]

    return lambda function: fork(inside, function).result()


def ipcs(*options: str) -> dict[str, list[list[str]]]:
    """Take the lines of ipcs(1), by the headings of their tables."""
    program = shutil.which("ipcs")
    if program is None:
        pytest.skip("ipcs(1) is not installed")
    run = subprocess.run([program, *options], capture_output=True, text=True, check=True, env={"LC_ALL": "C", "TZ": ""})
    tables, title = dict[str, list[list[str]]](), ""
    for line in run.stdout.splitlines():
        if line.startswith("------"):
            title = line.strip("- ").split()[0]
            tables[title] = []
        elif line.strip():
            tables[title].append(line.split())
    return {title: sorted(lines[1:]) for title, lines in tables.items()}


def user(uid: int) -> str:
    return pwd.getpwuid(uid).pw_name


def group(gid: int) -> str:
    return grp.getgrgid(gid).gr_name


def key(thing: inventory.SysvObject) -> str:
    return f"{thing.key & 0xFFFFFFFF:#010x}"


def when(seconds: int, form: str = "%b %e %H:%M:%S") -> list[str]:
    return time.strftime(form, time.gmtime(seconds)).split() if seconds else ["Not", "set"]


def rows(*lines: Sequence[object]) -> list[list[str]]:
    return sorted([str(part) for part in line if part != ""] for line in lines)


def status(segment: inventory.Segment) -> tuple[str, ...]:
    return tuple(word for word, is_so in (("dest", segment.removed), ("locked", segment.locked)) if is_so)


def test_all_fields_of_ipcs_are_listed(populated: Callable[[Callable[[], object]], object]) -> None:
    def look() -> None:
        found = inventory.look()
        assert (len(found.segments), len(found.message_queues), len(found.semaphore_sets)) == (SEGMENTS, QUEUES, SETS)
        tables = ipcs("-a")
        assert tables["Shared"] == rows(
            *((key(s), s.id, user(s.uid), f"{s.mode:o}", s.size, s.attached, *status(s)) for s in found.segments)
        )
        assert tables["Message"] == rows(
            *((key(q), q.id, user(q.uid), f"{q.mode:o}", q.bytes, q.messages) for q in found.message_queues)
        )
        assert tables["Semaphore"] == rows(
            *((key(s), s.id, user(s.uid), f"{s.mode:o}", s.semaphores) for s in found.semaphore_sets)
        )

    populated(look)


def test_the_processes_of_ipcs_are_listed(populated: Callable[[Callable[[], object]], object]) -> None:
    def look() -> None:
        found, tables = inventory.look(), ipcs("-p")
        assert tables["Shared"] == rows(*((s.id, user(s.uid), s.creator, s.last_user) for s in found.segments))
        assert tables["Message"] == rows(
            *((q.id, user(q.uid), q.last_sender, q.last_receiver) for q in found.message_queues)
        )
        assert {s.creator for s in found.segments} == {os.getpid()}

    populated(look)


def test_the_times_of_ipcs_are_listed(populated: Callable[[Callable[[], object]], object]) -> None:
    def look() -> None:
        found, tables = inventory.look(), ipcs("-t")
        assert tables["Shared"] == rows(
            *((s.id, user(s.uid), *when(s.atime), *when(s.dtime), *when(s.ctime)) for s in found.segments)
        )
        assert tables["Message"] == rows(
            *((q.id, user(q.uid), *when(q.stime), *when(q.rtime), *when(q.ctime)) for q in found.message_queues)
        )
        long = "%a %b %e %H:%M:%S %Y"
        assert tables["Semaphore"] == rows(
            *((s.id, user(s.uid), *when(s.otime, long), *when(s.ctime, long)) for s in found.semaphore_sets)
        )

    populated(look)


def test_the_owners_and_creators_of_ipcs_are_listed(populated: Callable[[Callable[[], object]], object]) -> None:
    def look() -> None:
        found, tables = inventory.look(), ipcs("-c")
        for title, things in (
            ("Shared", found.segments),
            ("Message", found.message_queues),
            ("Semaphore", found.semaphore_sets),
        ):
            assert tables[title] == rows(
                *((t.id, f"{t.mode:o}", user(t.cuid), group(t.cgid), user(t.uid), group(t.gid)) for t in things)
            )

    populated(look)


def test_all_fields_are_those_of_the_calls(populated: Callable[[Callable[[], object]], object]) -> None:
    def look() -> None:
        for s in inventory.segments():
            shm = libc.shmctl(s.id, libc.IPC_STAT)
            assert (s.size, s.attached, s.creator, s.last_user) == (
                shm.shm_segsz,
                shm.shm_nattch,
                shm.shm_cpid,
                shm.shm_lpid,
            )
            assert (s.atime, s.dtime, s.ctime) == (shm.shm_atime, shm.shm_dtime, shm.shm_ctime)
            bits = (libc.SHM_DEST if s.removed else 0) | (libc.SHM_LOCKED if s.locked else 0)
            assert s.mode | bits == shm.shm_perm.mode
        for q in inventory.message_queues():
            msq = libc.msgctl(q.id, libc.IPC_STAT)
            assert (q.messages, q.bytes, q.max_bytes) == (msq.msg_qnum, msq.msg_cbytes, msq.msg_qbytes)
            assert (q.stime, q.rtime, q.ctime) == (msq.msg_stime, msq.msg_rtime, msq.msg_ctime)
            assert (q.last_sender, q.last_receiver) == (msq.msg_lspid, msq.msg_lrpid)
        for f in inventory.semaphore_sets():
            sem = libc.semctl(f.id, 0, libc.IPC_STAT)
            assert (f.semaphores, f.otime, f.ctime, f.key) == (
                sem.sem_nsems,
                sem.sem_otime,
                sem.sem_ctime,
                sem.sem_perm.key,
            )

    populated(look)


def test_posix_objects_are_listed_as_they_were_made(populated: Callable[[Callable[[], object]], object]) -> None:
    def look() -> None:
        found = inventory.look()
        assert found.lacking == ()
        named = {(thing.kind, thing.name): thing.size for thing in found.posix_memory}
        expected: dict[tuple[str, str], int | None] = {
            ("shared memory", f"/memory {number}"): number * 1000 for number in range(MEMORY)
        }
        size = Path("/dev/shm/sem.semaphore0").stat().st_size  # noqa: S108
        expected |= {("semaphore", f"/semaphore{number}"): size for number in range(SEMAPHORES)}
        assert named == expected
        told = {queue.name: queue.status for queue in found.posix_queues}
        assert told == {
            f"/queue{n}": inventory.QueueStatus(n % 2, n if n % 2 else 0, 1 + n % 8, 10 + n, None)
            for n in range(POSIX_QUEUES)
        }
        assert {thing.mode for thing in (*found.posix_memory, *found.posix_queues)} == {0o600}

    populated(look)


def test_the_limits_count_what_there_is(populated: Callable[[Callable[[], object]], object]) -> None:
    def look() -> None:
        limits = {limit.name: limit for limit in inventory.limits()}
        used = {name: limit.used for name, limit in limits.items()}
        assert (used["kernel.shmmni"], used["kernel.msgmni"]) == (SEGMENTS, QUEUES)
        assert used["kernel.shmmax"] == 100 + 5000 * (SEGMENTS - 1)
        assert used["kernel.shmall"] == sum(-(-segment.size // libc.PAGE_SIZE) for segment in inventory.segments())
        assert used["kernel.msgmnb"] == max(queue.bytes for queue in inventory.message_queues())
        assert (used["kernel.sem (SEMMNI)"], used["kernel.sem (SEMMSL)"]) == (SETS, SETS)
        assert used["kernel.sem (SEMMNS)"] == sum(range(1, SETS + 1))
        assert (used["fs.mqueue.queues_max"], used["fs.mqueue.msg_max"]) == (POSIX_QUEUES, 8)
        assert used["RLIMIT_MSGQUEUE"] == sum((1 + n % 8) * (10 + n) for n in range(POSIX_QUEUES))
        for name in ("kernel.shmmni", "kernel.shmmax", "kernel.shmall", "kernel.msgmni", "kernel.msgmax"):
            told = int(Path("/proc/sys", name.replace(".", "/")).read_text())
            assert limits[name].maximum == (told if told < sys.maxsize else None)
        four = tuple(limits[f"kernel.sem ({name})"].maximum for name in ("SEMMSL", "SEMMNS", "SEMOPM", "SEMMNI"))
        assert four == tuple(map(int, Path("/proc/sys/kernel/sem").read_text().split()))

    populated(look)


def test_a_semaphore_tells_its_value_its_last_process_and_who_waits(fork: Fork) -> None:
    made = libc.semget(libc.IPC_PRIVATE, 2, 0o600)
    try:
        libc.semop(made, [(1, 3)])
        child = fork(libc.semop, made, [(0, -1)])
        while not libc.semctl(made, 0, libc.GETNCNT):
            assert child.pid in scan.pids()
        first, second = inventory.semaphore_states(made) or ()
        assert (first.value, first.waiting, first.waiting_for_zero) == (0, 1, 0)
        assert second == inventory.SemaphoreState(3, 0, 0, os.getpid())
        child.kill(signal.SIGKILL)
    finally:
        libc.semctl(made, 0, libc.IPC_RMID)
    assert inventory.semaphore_states(made) is None


def test_a_posix_semaphore_tells_its_value_and_what_is_none_has_none(fork: Fork) -> None:
    libc.sem_close(libc.sem_open("/told", libc.O_CREAT | libc.O_EXCL, 0o600, 7))
    Path("/dev/shm/sem.none").write_bytes(b"x")  # noqa: S108
    try:
        assert inventory.semaphore_value("/told") == 7
        assert inventory.semaphore_value("/none") is None
        assert inventory.semaphore_value("/gone") is None

        def as_another() -> int | None:
            os.setresuid(65534, 65534, 65534)
            return inventory.semaphore_value("/told")

        if os.geteuid() == 0:
            assert fork(as_another).result() is None
    finally:
        libc.sem_unlink("/told")
        libc.sem_unlink("/none")


def test_every_limit_has_a_name_of_sysctl_or_getrlimit() -> None:
    for limit in inventory.limits():
        name = limit.name.partition(" ")[0]
        if name.startswith("RLIMIT_"):
            assert hasattr(resource, name)
        elif not name.startswith("/"):
            assert Path("/proc/sys", name.replace(".", "/")).exists()
        assert limit.used is None or limit.used >= 0
