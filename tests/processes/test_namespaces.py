"""processes.namespaces: objects, limits and mounts that nobody else has."""

from __future__ import annotations

import errno
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from nobody import NOBODY

from unixipc import libc, processes
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from unixipc.testing.plugin import Fork

SHM = Path("/dev/shm")  # noqa: S108 - our own


@pytest.fixture
def allowed(fork: Fork) -> Fork:
    """Fork, where namespaces can be made: in the present user namespace or in one of the child's own."""

    def probe() -> None:
        with processes.ipc_namespace(), processes.mount_namespace():
            pass

    try:
        fork(probe).result()
    except PermissionError as error:
        pytest.skip(str(error))
    return fork


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _ipc() -> str:
    return str(Path("/proc/thread-self/ns/ipc").readlink())


def test_objects_made_in_an_ipc_namespace_are_not_seen_outside_nor_left_behind(allowed: Fork) -> None:
    def child() -> tuple[int, bool, bool]:
        before = _ipc()
        with processes.ipc_namespace():
            inside = _ipc() != before
            queue = libc.msgget(0x1234, libc.IPC_CREAT | 0o600)
        try:
            libc.msgget(0x1234, 0)
        except FileNotFoundError:
            return queue, inside, _ipc() == before
        return queue, inside, False

    assert allowed(child).result()[1:] == (True, True)


def test_namespaces_nest_and_are_left_when_the_block_raises(allowed: Fork) -> None:
    def child() -> list[bool]:
        before = _ipc()
        found = []
        with processes.ipc_namespace():
            outer = _ipc()
            with suppress(ZeroDivisionError), processes.ipc_namespace():
                found.append(_ipc() not in (before, outer))
                print(1 // 0)
            found.append(_ipc() == outer)
        return [*found, _ipc() == before]

    assert allowed(child).result() == [True, True, True]


def test_limits_are_the_namespace_s_own(allowed: Fork) -> None:
    def child() -> tuple[int, int, int, int, bool]:
        with processes.ipc_namespace() as outer:
            before = outer.semmsl
            with processes.ipc_namespace() as limits:
                limits.msgmnb = 1000
                limits.semmsl = before + 1
                limits.msg_max = 7
                queue = libc.msgget(libc.IPC_PRIVATE, 0o600)
                found = libc.msgctl(queue, libc.IPC_STAT).msg_qbytes, limits.semmsl - before, limits.msg_max
            return *found, outer.semmsl - before, outer.msgmnb != 1000

    assert allowed(child).result() == (1000, 1, 7, 0, True)


def test_every_limit_reads_as_a_number() -> None:
    limits = processes.IpcLimits()
    names = [name for name in vars(processes.IpcLimits) if not name.startswith("_")]
    assert len(names) == 15
    assert all(getattr(limits, name) > 0 for name in names)


def test_a_thread_s_namespace_is_its_own(allowed: Fork) -> None:
    def child() -> tuple[bool, bool]:
        inside: list[str] = []

        def work() -> None:
            with processes.ipc_namespace():
                inside.append(_ipc())

        before = _ipc()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(DEADLINE)
        return inside[0] != before, _ipc() == before

    assert allowed(child).result() == (True, True)


def test_a_full_tmpfs_of_one_s_own_refuses_what_does_not_fit(allowed: Fork) -> None:
    def child() -> tuple[int | None, bool, bool]:
        here = Path.cwd()
        with processes.mount_namespace() as mounts:
            mounts.tmpfs(SHM, size=2 * libc.PAGE_SIZE)
            shm = SHM / "large"
            fd = os.open(shm, os.O_CREAT | os.O_RDWR)
            try:
                os.posix_fallocate(fd, 0, 3 * libc.PAGE_SIZE)
                refused = None
            except OSError as error:
                refused = error.errno
            os.close(fd)
        return refused, shm.exists(), Path.cwd() == here

    assert allowed(child).result() == (errno.ENOSPC, False, True)


def test_the_working_directory_comes_back_also_when_the_block_changes_it_and_raises(
    allowed: Fork, tmp_path: Path
) -> None:
    def child() -> Path:
        os.chdir(tmp_path)
        with suppress(ZeroDivisionError), processes.mount_namespace():
            os.chdir("/")
            print(1 // 0)
        return Path.cwd()

    assert allowed(child).result() == tmp_path


def test_the_root_comes_back_too(allowed: Fork, tmp_path: Path) -> None:
    def child() -> list[str]:
        (tmp_path / "proc").mkdir()
        (tmp_path / "within").touch()
        libc.unshare(libc.CLONE_NEWNS)
        libc.mount("none", "/", "none", libc.MS_REC | libc.MS_PRIVATE)
        libc.mount(tmp_path, tmp_path, "none", libc.MS_BIND)
        libc.mount("/proc", tmp_path / "proc", "none", libc.MS_BIND | libc.MS_REC)
        os.chroot(tmp_path)
        os.chdir("/")
        with processes.mount_namespace():
            inside = _names(Path("/"))
        return [*inside, *_names(Path("/"))]

    assert allowed(child).result() == ["proc", "within"] * 2


def test_queues_are_files_where_they_are_mounted(allowed: Fork, tmp_path: Path) -> None:
    def child() -> tuple[list[str], list[str]]:
        with processes.ipc_namespace(), processes.mount_namespace() as mounts:
            mounts.mqueue(tmp_path)
            (tmp_path / "news").touch()
            inside = _names(tmp_path)
        return inside, _names(tmp_path)

    assert allowed(child).result() == (["news"], [])


def test_a_mount_namespace_is_not_for_a_process_with_threads(allowed: Fork) -> None:
    def child() -> str:
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait, name="worker 7")
        thread.start()
        try:
            with processes.mount_namespace():
                return "entered"
        except RuntimeError as error:
            return str(error)
        finally:
            stop.set()
            thread.join()

    assert "worker 7" in allowed(child).result()


def test_a_user_namespace_gives_a_process_without_rights_those_for_the_others(fork: Fork) -> None:
    def child() -> tuple[int, int, str]:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        libc.unshare(libc.CLONE_NEWIPC)
        return 0, 0, ""

    if os.geteuid() == 0:
        with pytest.raises(PermissionError, match=r"unshare\(CLONE_NEWIPC\).*CAP_SYS_ADMIN"):
            fork(child).result()

    def enters() -> tuple[int, int, bool, list[str]]:
        processes.enter_user_namespace(uid=5, gid=6)
        outer = _ipc()
        with processes.ipc_namespace() as limits, processes.mount_namespace() as mounts:
            mounts.tmpfs(SHM)
            limits.msgmnb += 1
            inside = _ipc()
        return os.getuid(), os.getgid(), inside != outer == _ipc(), _names(SHM)

    try:
        entered = fork(enters).result()
    except OSError as error:
        pytest.skip(f"no user namespaces: {error}")
    assert entered == (5, 6, True, _names(SHM))


def test_nonsense_is_refused() -> None:
    with pytest.raises(OverflowError):
        libc.unshare(1 << 40)
    with pytest.raises(OSError, match="Invalid"):
        libc.unshare(0x2000)
    with pytest.raises(OSError, match="Bad file descriptor"):
        libc.setns(-1)
    with pytest.raises(ValueError, match="NUL"):
        libc.mount("none", "/\0", "none")
    with pytest.raises(OSError, match="No such file"):
        libc.umount2("/not there")


def test_a_process_with_threads_cannot_enter_a_user_namespace(fork: Fork) -> None:
    def child() -> None:
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        try:
            processes.enter_user_namespace()
        finally:
            stop.set()
            thread.join()

    with pytest.raises(OSError, match="one thread"):
        fork(child).result()
