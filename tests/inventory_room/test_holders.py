"""unixipc.inventory: which processes hold an object, and how."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from until import state, until

from unixipc import inventory, libc, testing
from unixipc.inventory import scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unixipc.testing.plugin import Fork

NAME = f"/unixipc-holders-{os.getpid()}"


def held(thing: inventory.Thing, pid: int) -> inventory.Holder:
    """Tell how one process holds a thing, found by itself and in the census alike."""
    (alone,) = (one for one in inventory.holders(thing).known if one.pid == pid)
    (among_all,) = (one for one in inventory.look().holders(thing).known if one.pid == pid)
    assert alone == among_all
    return alone


@contextmanager
def mapped(fd: int, length: int) -> Iterator[None]:
    """Map a file, without a further descriptor for it."""
    mapping = libc.mmap(None, length, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED, fd)
    try:
        yield
    finally:
        libc.munmap(mapping)


def wait_there() -> None:
    testing.parent().tell("ready")
    signal.pause()


@pytest.fixture
def memfd() -> Iterator[int]:
    fd = os.memfd_create("a name", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    yield fd
    os.close(fd)


def file_of(fd: int) -> inventory.MemoryFile:
    (found,) = (file for file in inventory.look().memory_files if file.inode == os.fstat(fd).st_ino)
    return found


def test_a_segment_is_held_by_those_that_have_it_attached(fork: Fork) -> None:
    made = libc.shmget(libc.IPC_PRIVATE, 5000, 0o600)
    attached = libc.shmat(made)
    try:
        child = fork(wait_there)
        child.says("ready")
        (segment,) = (thing for thing in inventory.segments() if thing.id == made)
        found = inventory.holders(segment)
        assert (found.pids, found.complete) == (tuple(sorted((os.getpid(), child.pid))), True)
        ours, theirs = held(segment, os.getpid()), held(segment, child.pid)
        assert (ours.how, theirs.how) == ("attached", "attached")
        (mapping,) = theirs.mappings
        assert (mapping.end - mapping.start, mapping.permissions, mapping.shared) == (2 * libc.PAGE_SIZE, "rw-s", True)
        assert theirs.name == Path(f"/proc/{child.pid}/comm").read_text().strip()
        child.kill(signal.SIGKILL)
    finally:
        libc.shmdt(attached)
        libc.shmctl(made, libc.IPC_RMID)


def test_a_segment_that_more_have_attached_than_are_found_is_not_complete() -> None:
    made = libc.shmget(libc.IPC_PRIVATE, 100, 0o600)
    try:
        (segment,) = (thing for thing in inventory.segments() if thing.id == made)
        assert inventory.holders(segment) == inventory.Holders((), complete=True)
        attached = libc.shmat(made)
        (segment,) = (thing for thing in inventory.segments() if thing.id == made)
        libc.shmdt(attached)
        assert inventory.holders(segment) == inventory.Holders((), complete=False)
    finally:
        libc.shmctl(made, libc.IPC_RMID)


def test_a_memfd_is_not_taken_for_the_segment_with_its_number(memfd: int) -> None:
    os.ftruncate(memfd, 100)
    made = libc.shmget(libc.IPC_PRIVATE, 100, 0o600)
    try:
        (segment,) = (thing for thing in inventory.segments() if thing.id == made)
        with mapped(memfd, 100):
            assert inventory.holders(replace(segment, id=os.fstat(memfd).st_ino)).known == ()
    finally:
        libc.shmctl(made, libc.IPC_RMID)


def test_who_waits_for_a_queue_or_a_set_is_found(fork: Fork) -> None:
    if not Path("/proc/self/syscall").exists():
        pytest.skip("the kernel has no /proc/PID/syscall")
    queue, semaphores = libc.msgget(libc.IPC_PRIVATE, 0o600), libc.semget(libc.IPC_PRIVATE, 1, 0o600)
    try:
        receiver, changer = fork(libc.msgrcv, queue, 10), fork(libc.semop, semaphores, [(0, -1)])
        (found,) = (thing for thing in inventory.message_queues() if thing.id == queue)
        (other,) = (thing for thing in inventory.semaphore_sets() if thing.id == semaphores)
        until(lambda: inventory.holders(found).known)
        until(lambda: inventory.holders(other).known)
        census = inventory.look()
        assert [(h.pid, h.waiting, h.how) for h in census.holders(found).known] == [
            (receiver.pid, (receiver.pid,), "waiting")
        ]
        assert census.holders(other).pids == (changer.pid,)
        assert {census.verdict(found).orphaned, census.verdict(other).orphaned} == {inventory.Orphaned.NO}
        receiver.kill(signal.SIGKILL)
        changer.kill(signal.SIGKILL)
    finally:
        libc.msgctl(queue, libc.IPC_RMID)
        libc.semctl(semaphores, 0, libc.IPC_RMID)


def test_a_memory_file_is_found_with_its_seals_and_where_it_is_open_and_mapped(memfd: int, fork: Fork) -> None:
    os.ftruncate(memfd, 5000)
    with mapped(memfd, 5000):
        fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        child = fork(wait_there)
        child.says("ready")
        file = file_of(memfd)
        assert (file.name, file.size, file.uid, file.mode) == ("a name", 5000, os.geteuid(), 0o777)
        assert file.seals == libc.F_SEAL_SHRINK
        for pid in (os.getpid(), child.pid):
            holder = held(file, pid)
            assert holder.descriptors == (inventory.Descriptor(memfd, "rw"),)
            assert holder.how == f"open as fd {memfd}, mapped"
        child.kill(signal.SIGKILL)


def test_a_memory_file_that_is_only_mapped_is_found() -> None:
    fd = os.memfd_create("closed")
    os.ftruncate(fd, 100)
    with mapped(fd, 100):
        inode = os.fstat(fd).st_ino
        os.close(fd)
        (found,) = (one for one in inventory.look().memory_files if one.inode == inode)
        assert (found.name, found.size) == ("closed", None if os.geteuid() else 100)
        assert held(found, os.getpid()).how == "mapped"


def test_a_fifo_is_found_with_who_reads_and_who_writes(tmp_path: Path, fork: Fork) -> None:
    path = tmp_path / "a fifo"
    os.mkfifo(path, 0o640)
    assert str(path) not in {fifo.path for fifo in inventory.look().fifos}, "nobody has it open"
    end = os.open(path, os.O_RDWR)
    try:

        def writer() -> None:
            fd = os.open(path, os.O_WRONLY)
            testing.parent().tell(str(fd))
            signal.pause()

        child = fork(writer)
        theirs = int(child.hear())
        (fifo,) = (one for one in inventory.look().fifos if one.path == str(path))
        assert (fifo.mode & 0o600, fifo.uid, fifo.inode) == (0o600, os.geteuid(), path.stat().st_ino)
        assert held(fifo, os.getpid()).descriptors == (inventory.Descriptor(end, "rw"),)
        assert inventory.Descriptor(theirs, "w") in held(fifo, child.pid).descriptors
        child.kill(signal.SIGKILL)
    finally:
        os.close(end)


def test_posix_memory_is_held_by_descriptor_and_by_mapping() -> None:
    fd = libc.shm_open(NAME, libc.O_CREAT | libc.O_RDWR, 0o600)
    try:
        os.ftruncate(fd, 100)
        (thing,) = (one for one in inventory.posix_memory() if one.name == NAME)
        assert held(thing, os.getpid()).how == f"open as fd {fd}"
        with mapped(fd, 100):
            assert held(thing, os.getpid()).how == f"open as fd {fd}, mapped"
    finally:
        os.close(fd)
        libc.shm_unlink(NAME)
    assert inventory.holders(thing).known == ()


def test_a_queue_tells_its_limits_and_whom_it_notifies(fork: Fork) -> None:
    fd = libc.mq_open(NAME, libc.O_CREAT | libc.O_RDWR, 0o600, libc.MqAttr(mq_maxmsg=3, mq_msgsize=20))
    try:
        try:
            (quiet,) = (one for one in inventory.posix_queues() if one.name == NAME)
        except PermissionError as error:
            pytest.skip(str(error))
        assert quiet.status == inventory.QueueStatus(0, 0, 3, 20, None)
        libc.mq_notify(fd, libc.Sigevent(libc.SIGEV_SIGNAL, libc.SIGUSR1))
        (found,) = (one for one in inventory.posix_queues() if one.name == NAME)
        assert found.status is not None
        assert found.status.notifies == inventory.Notification(os.getpid(), libc.SIGEV_SIGNAL, libc.SIGUSR1)
        libc.mq_notify(fd, None)
        libc.mq_send(fd, b"12345")
        (found,) = (one for one in inventory.posix_queues() if one.name == NAME)
        assert (found.size, found.status) == (5, inventory.QueueStatus(1, 5, 3, 20, None))
        assert held(found, os.getpid()).descriptors == (inventory.Descriptor(fd, "rw"),)
    finally:
        libc.mq_close(fd)
        libc.mq_unlink(NAME)


def test_as_another_user_what_may_not_be_seen_is_told_and_no_error(fork: Fork) -> None:
    if os.geteuid():
        pytest.skip("only root can become another user")
    segment = libc.shmget(libc.IPC_PRIVATE, 100, 0o600)
    attached = libc.shmat(segment)
    queue = libc.msgget(libc.IPC_PRIVATE, 0o600)
    libc.msgsnd(queue, 1, b"secret")
    semaphores = libc.semget(libc.IPC_PRIVATE, 1, 0o600)
    shared = libc.shm_open(NAME, libc.O_CREAT | libc.O_RDWR, 0o600)
    root = os.getpid()

    def look() -> None:
        os.setgroups([])
        os.setresgid(65534, 65534, 65534)
        os.setresuid(65534, 65534, 65534)
        census = inventory.look()
        assert root in census.unseen
        assert os.getpid() not in census.unseen
        (seen,) = (thing for thing in census.segments if thing.id == segment)
        assert seen.attached == 2
        assert census.holders(seen).pids == (os.getpid(),)
        assert not census.holders(seen).complete
        (messages,) = (thing for thing in census.message_queues if thing.id == queue)
        assert (messages.messages, messages.bytes, messages.max_bytes) == (1, 6, 16384)
        assert census.verdict(messages).orphaned == inventory.Orphaned.NO
        (values,) = (thing for thing in census.semaphore_sets if thing.id == semaphores)
        assert inventory.semaphore_states(values.id) is None
        assert census.verdict(values).orphaned == inventory.Orphaned.UNKNOWN
        (named,) = (thing for thing in census.posix_memory if thing.name == NAME)
        assert not census.holders(named).complete
        (lacking,) = census.lacking
        assert "CAP_SYS_ADMIN" in lacking
        inventory.limits()
        inventory.shared_mappings()

    try:
        fork(look).result()
    finally:
        libc.shmdt(attached)
        libc.shmctl(segment, libc.IPC_RMID)
        libc.msgctl(queue, libc.IPC_RMID)
        libc.semctl(semaphores, 0, libc.IPC_RMID)
        os.close(shared)
        libc.shm_unlink(NAME)


def test_root_sees_what_a_process_of_another_user_holds(memfd: int, fork: Fork) -> None:
    if os.geteuid():
        pytest.skip("only root can become another user")

    def other() -> None:
        os.setresuid(65534, 65534, 65534)
        wait_there()

    child = fork(other)
    child.says("ready")
    assert held(file_of(memfd), child.pid).descriptors == (inventory.Descriptor(memfd, "rw"),)
    child.kill(signal.SIGKILL)


def test_a_process_whose_first_thread_has_ended_is_still_found(memfd: int) -> None:
    program = (
        "import ctypes, signal, sys, threading\n"
        "threading.Thread(target=lambda: (print('ready', flush=True), sys.stdin.read())).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)\n"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", program], stdin=pipe, stdout=pipe, pass_fds=[memfd]) as process:
        assert process.stdout is not None
        process.stdout.readline()
        until(lambda: state(process.pid) == "Z")
        assert held(file_of(memfd), process.pid).descriptors == (inventory.Descriptor(memfd, "rw"),)
        process.kill()


def test_a_descriptor_that_is_closed_during_the_look_is_left_out(memfd: int, monkeypatch: pytest.MonkeyPatch) -> None:
    thing = file_of(memfd)
    seen = scan._access

    def closed(path: str) -> str:
        if path.endswith(f"/{os.getpid()}/fd/{memfd}"):
            raise FileNotFoundError(path)
        return seen(path)

    monkeypatch.setattr(scan, "_access", closed)
    monkeypatch.setattr(scan, "pids", lambda: [os.getpid()])
    assert thing not in inventory.look().memory_files
    assert inventory.holders(thing).known == ()


def test_a_process_that_ends_during_the_look_is_left_out(fork: Fork, monkeypatch: pytest.MonkeyPatch) -> None:
    child, real = fork(wait_there), os.readlink
    child.says("ready")

    def ended(path: str) -> str:
        if path == f"/proc/{child.pid}/ns/ipc":
            child.close()
            raise PermissionError(path)  # as the kernel says then
        return real(path)

    monkeypatch.setattr(os, "readlink", ended)
    assert list(scan.look_at([child.pid], files=())) == []


def test_processes_and_objects_that_go_during_the_look_are_no_error(fork: Fork) -> None:
    def come_and_go() -> None:
        testing.parent().tell("ready")
        while True:
            if not (pid := os.fork()):
                fd = os.memfd_create("short")
                one, other = socket.socketpair()
                one.close()
                other.close()
                os.close(fd)
                os._exit(0)
            shared = libc.shm_open(NAME, libc.O_CREAT | libc.O_RDWR, 0o600)
            queue = libc.mq_open(NAME, libc.O_CREAT | libc.O_RDWR, 0o600, libc.MqAttr(mq_maxmsg=1, mq_msgsize=1))
            segment, messages = libc.shmget(0, 1, 0o600), libc.msgget(0, 0o600)
            attached = libc.shmat(segment)
            libc.shmdt(attached)
            libc.shmctl(segment, libc.IPC_RMID)
            libc.msgctl(messages, libc.IPC_RMID)
            libc.mq_close(queue)
            os.close(shared)
            libc.shm_unlink(NAME)
            libc.mq_unlink(NAME)
            os.waitpid(pid, 0)

    def look() -> None:
        with testing.private_ipc(), testing.fork(come_and_go) as child:
            child.says("ready")
            for _ in range(8):
                census = inventory.look()
                for thing in census:
                    census.holders(thing)
                    census.verdict(thing)
                inventory.shared_mappings()
                inventory.limits()
            child.kill(signal.SIGKILL)
            assert child.wait().signal == signal.SIGKILL, "it came and went all the time"

    if os.geteuid():
        pytest.skip("namespaces of one's own need CAP_SYS_ADMIN")
    fork(look).result()
