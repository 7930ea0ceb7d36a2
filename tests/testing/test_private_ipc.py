"""unixipc.testing: System V objects, POSIX queues and /dev/shm of one's own."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

import pytest

from unixipc import inventory, libc, processes, testing

SHM = Path("/dev/shm")  # noqa: S108
PR_SET_DUMPABLE = 4
C = ctypes.CDLL(None, use_errno=True)


@pytest.fixture(autouse=True)
def may() -> None:
    try:
        with processes.ipc_namespace(), processes.mount_namespace():
            pass
    except OSError as error:
        pytest.skip(f"no namespaces of one's own: {error}")


def ids() -> set[int]:
    return {thing.id for things in (inventory.segments(), inventory.message_queues()) for thing in things}


def test_what_is_made_in_the_block_is_nobody_else_s_and_goes_with_it() -> None:
    def child() -> None:
        shared = SHM / f"shared-{os.getpid()}"
        shared.touch()
        before = ids(), inventory.memory_names(), inventory.queue_names()
        with testing.private_ipc() as mine:
            assert mine.lacking == ()
            assert not any((ids(), inventory.memory_names(), inventory.queue_names()))
            libc.shmget(libc.IPC_PRIVATE, 1, 0o600)
            libc.msgget(libc.IPC_PRIVATE, 0o600)
            os.close(C.mq_open(b"/queue", os.O_CREAT | os.O_RDWR, 0o600, None))
            (SHM / "mine").touch()
            assert inventory.memory_names() == {"/mine"}
            assert inventory.queue_names() == {"/queue"}
            with testing.fork(inventory.memory_names) as inner:
                assert inner.result() == {"/mine"}
        assert (ids(), inventory.memory_names(), inventory.queue_names()) == before
        shared.unlink()

    with testing.fork(child) as started:
        started.result()


def test_its_limits_and_its_size_are_its_own() -> None:
    def child() -> None:
        before = processes.IpcLimits().msgmni
        with testing.private_ipc(shm_size=1 << 16) as mine:
            assert mine.limits is not None
            mine.limits.msgmni = 1
            libc.msgget(libc.IPC_PRIVATE, 0o600)
            with pytest.raises(OSError, match=r"kernel\.msgmni"):
                libc.msgget(libc.IPC_PRIVATE, 0o600)
            with pytest.raises(OSError, match="No space left"):
                (SHM / "large").write_bytes(bytes(1 << 17))
        assert processes.IpcLimits().msgmni == before

    with testing.fork(child) as started:
        started.result()


def test_an_exception_of_the_block_leaves_it_all_the_same() -> None:
    def child() -> None:
        before = [Path(f"/proc/self/ns/{name}").readlink() for name in ("ipc", "mnt")]
        with pytest.raises(KeyError):
            _fails()
        assert [Path(f"/proc/self/ns/{name}").readlink() for name in ("ipc", "mnt")] == before

    with testing.fork(child) as started:
        started.result()


def _fails() -> None:
    with testing.private_ipc():
        raise KeyError


def test_without_rights_it_says_what_is_lacking() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take its rights away")

    def child() -> tuple[str, ...]:
        os.setuid(12345)
        with pytest.raises(PermissionError, match="CAP_SYS_ADMIN"), testing.private_ipc():
            pass
        with testing.private_ipc(required=False) as mine:
            assert mine.limits is None
            return mine.lacking

    with testing.fork(child) as started:
        objects, memory = started.result()
    assert objects.startswith("System V objects and POSIX queues: ")
    assert memory.startswith(f"{SHM}: ")
    assert all("CAP_SYS_ADMIN" in text for text in (objects, memory))


def test_with_other_threads_the_mounts_stay_shared_and_it_says_so() -> None:
    def child() -> None:
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        before = Path("/proc/thread-self/ns/ipc").readlink()
        with pytest.raises(RuntimeError, match="other threads"), testing.private_ipc():
            pass
        assert Path("/proc/thread-self/ns/ipc").readlink() == before
        with testing.private_ipc(required=False) as mine:
            assert mine.limits is not None
            assert "other threads" in mine.lacking[0]
        stop.set()
        thread.join()

    with testing.fork(child) as started:
        started.result()


def test_a_process_without_rights_gets_them_in_a_user_namespace() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take its rights away")

    def child() -> set[str] | frozenset[str]:
        os.setgid(12345)
        os.setuid(12345)
        assert C.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0  # who changes its user may not write below /proc/self
        try:
            processes.enter_user_namespace()
        except OSError as error:
            return {f"skip: {error}"}
        with testing.private_ipc():
            (SHM / "mine").touch()
            return inventory.memory_names()

    with testing.fork(child) as started:
        found = started.result()
    if any(text.startswith("skip: ") for text in found):
        pytest.skip(str(found))
    assert found == {"/mine"}
