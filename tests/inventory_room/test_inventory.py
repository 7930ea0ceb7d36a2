"""unixipc.inventory: which objects exist, by whom, and who holds them."""

from __future__ import annotations

import ctypes
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unixipc import inventory, libc, processes, testing

if TYPE_CHECKING:
    from unixipc.testing.plugin import Fork

C = ctypes.CDLL(None, use_errno=True)
NAME = f"/unixipc-inventory-{os.getpid()}"


def test_a_segment_is_listed_as_the_kernel_has_it() -> None:
    made = libc.shmget(0x1234, 100, 0o1640)
    try:
        (found,) = (thing for thing in inventory.segments() if thing.id == made)
        stat = libc.shmctl(made, libc.IPC_STAT)
        assert (found.key, found.mode, found.size, found.ctime) == (0x1234, 0o640, 100, stat.shm_ctime)
        assert (found.uid, found.gid, found.cuid, found.cgid) == (
            os.geteuid(),
            os.getegid(),
            os.geteuid(),
            os.getegid(),
        )
        assert (found.creator, found.attached, inventory.holders(found).pids) == (os.getpid(), 0, ())
        attached = libc.shmat(made)
        (found,) = (thing for thing in inventory.segments() if thing.id == made)
        assert (found.attached, found.last_user, inventory.holders(found).pids) == (1, os.getpid(), (os.getpid(),))
        libc.shmdt(attached)
    finally:
        libc.shmctl(made, libc.IPC_RMID)
    assert made not in {thing.id for thing in inventory.segments()}


def test_a_negative_key_is_listed_as_the_call_takes_it() -> None:
    made = libc.msgget(-5, 0o1600)
    try:
        assert made in {thing.id for thing in inventory.message_queues() if thing.key == -5}
    finally:
        libc.msgctl(made, libc.IPC_RMID)


def test_message_queues_and_semaphore_sets_are_listed() -> None:
    queue, semaphores = libc.msgget(libc.IPC_PRIVATE, 0o1600), C.semget(libc.IPC_PRIVATE, 3, 0o1600)
    try:
        libc.msgsnd(queue, 1, b"four")
        (found,) = (thing for thing in inventory.message_queues() if thing.id == queue)
        assert (found.messages, found.bytes, found.last_sender, found.last_receiver) == (1, 4, os.getpid(), 0)
        assert 3 in {thing.semaphores for thing in inventory.semaphore_sets() if thing.id == semaphores}
    finally:
        libc.msgctl(queue, libc.IPC_RMID)
        C.semctl(semaphores, 0, libc.IPC_RMID)


def test_a_posix_queue_is_listed_with_who_holds_it(fork: Fork) -> None:
    try:
        before = inventory.queue_names()
    except PermissionError as error:
        pytest.skip(str(error))
    fd = C.mq_open(NAME.encode(), os.O_CREAT | os.O_RDWR, 0o600, None)
    try:
        child = fork(signal.pause)
        assert C.mq_send(fd, b"abc", 3, 0) == 0
        assert inventory.queue_names() - before == {NAME}
        (found,) = (thing for thing in inventory.posix_queues() if thing.name == NAME)
        assert (found.kind, found.mode, found.uid, found.size) == ("message queue", 0o600, os.geteuid(), 3)
        assert set(inventory.holders(found).pids) == {os.getpid(), child.pid}
    finally:
        os.close(fd)
        C.mq_unlink(NAME.encode())
    assert inventory.queue_names() == before


def test_the_queues_of_another_namespace_are_not_listed(fork: Fork) -> None:
    def child() -> bool:
        try:
            with processes.ipc_namespace():
                fd = C.mq_open(NAME.encode(), os.O_CREAT | os.O_RDWR, 0o600, None)
                os.close(fd)
                assert inventory.queue_names() == {NAME}
        except PermissionError:
            return False
        return NAME in inventory.queue_names()

    assert not fork(child).result()


def test_shared_memory_and_semaphores_are_told_apart() -> None:
    before = inventory.memory_names()
    memory = C.shm_open(NAME.encode(), os.O_CREAT | os.O_RDWR, 0o600)
    os.ftruncate(memory, 100)
    C.sem_open.restype = ctypes.c_void_p
    semaphore = C.sem_open(NAME.encode(), os.O_CREAT, 0o600, 1)
    try:
        assert inventory.memory_names() - before == {NAME, f"/sem.{NAME[1:]}"}
        found = {thing.kind: thing for thing in inventory.posix_memory() if thing.name == NAME}
        assert set(found) == {"shared memory", "semaphore"}
        assert found["shared memory"].size == 100
        assert {thing.path for thing in found.values()} == inventory.memory_names() - before
        assert inventory.holders(found["semaphore"]).pids == (os.getpid(),), "mapped, with no descriptor left"
    finally:
        C.sem_close(ctypes.c_void_p(semaphore))
        C.sem_unlink(NAME.encode())
        os.close(memory)
        C.shm_unlink(NAME.encode())
    assert inventory.memory_names() == before


def test_a_folder_in_dev_shm_is_listed_as_well() -> None:
    folder = Path("/dev/shm" + NAME)  # noqa: S108
    folder.mkdir()
    try:
        assert {thing.kind for thing in inventory.posix_memory() if thing.name == NAME} == {"shared memory"}
    finally:
        folder.rmdir()


def test_the_segment_of_another_ipc_namespace_is_not_taken_for_ours(fork: Fork) -> None:
    def attach_there() -> bool:
        with processes.ipc_namespace():
            theirs = libc.shmget(libc.IPC_PRIVATE, 100, 0o600)
            attached = libc.shmat(theirs)
            (found,) = inventory.segments()
            alone = inventory.holders(found).pids == (os.getpid(),)
            testing.parent().tell(str(theirs))
            testing.parent().says("looked")
            libc.shmdt(attached)
            libc.shmctl(theirs, libc.IPC_RMID)
        return alone

    if os.geteuid():
        pytest.skip("namespaces of one's own need CAP_SYS_ADMIN")
    child = fork(attach_there)
    theirs = int(child.hear())
    made = libc.shmget(libc.IPC_PRIVATE, 100, 0o600)
    try:
        (ours,) = (thing for thing in inventory.segments() if thing.id == made)
        assert inventory.holders(replace(ours, id=theirs)).pids == ()
    finally:
        libc.shmctl(made, libc.IPC_RMID)
        child.tell("looked")
    assert child.result()
