"""Namespaces of one's own: System V objects, POSIX queues and their limits, mounts such as /dev/shm (namespaces(7))."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.processes.forking import other_threads

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Limit:
    """A number under /proc/sys, which shows each process those of its own namespace."""

    def __init__(self, path: str, place: int = 0) -> None:
        self._path = Path("/proc/sys") / path
        self._place = place

    def __get__(self, limits: IpcLimits | None, owner: type[IpcLimits]) -> int:
        return int(self._path.read_text().split()[self._place])

    def __set__(self, limits: IpcLimits, value: int) -> None:
        numbers = self._path.read_text().split()
        numbers[self._place] = str(value)
        self._path.write_text(" ".join(numbers))


class IpcLimits:
    """The limits of the present IPC namespace, read and set under /proc/sys (proc_sys_kernel(5), mq_overview(7))."""

    __slots__ = ()

    shmmax = _Limit("kernel/shmmax")
    shmall = _Limit("kernel/shmall")
    shmmni = _Limit("kernel/shmmni")
    msgmax = _Limit("kernel/msgmax")
    msgmnb = _Limit("kernel/msgmnb")
    msgmni = _Limit("kernel/msgmni")
    semmsl = _Limit("kernel/sem", 0)
    semmns = _Limit("kernel/sem", 1)
    semopm = _Limit("kernel/sem", 2)
    semmni = _Limit("kernel/sem", 3)
    queues_max = _Limit("fs/mqueue/queues_max")
    msg_max = _Limit("fs/mqueue/msg_max")
    msg_default = _Limit("fs/mqueue/msg_default")
    msgsize_max = _Limit("fs/mqueue/msgsize_max")
    msgsize_default = _Limit("fs/mqueue/msgsize_default")


class Mounts:
    """What to mount in a mount namespace of one's own; it goes with the namespace."""

    def tmpfs(self, path: str | os.PathLike[str], size: int | None = None) -> None:
        """Mount an empty file system in memory, with room for so many bytes, as /dev/shm is one (tmpfs(5))."""
        options = "mode=1777" if size is None else f"mode=1777,size={size}"
        libc.mount("tmpfs", path, "tmpfs", libc.MS_NOSUID | libc.MS_NODEV, options)

    def mqueue(self, path: str | os.PathLike[str]) -> None:
        """Mount the POSIX message queues of the present IPC namespace as files (mq_overview(7))."""
        libc.mount("mqueue", path, "mqueue", libc.MS_NOSUID | libc.MS_NODEV | libc.MS_NOEXEC)


@contextmanager
def ipc_namespace() -> Iterator[IpcLimits]:
    """Have System V objects, POSIX message queues and their limits of one's own in the block (ipc_namespaces(7)).

    They go with the last process that has them: nothing can be left behind. It is the calling thread that has them,
    with the children that it forks in the block. Both entering and leaving undo its semaphore operations (SEM_UNDO).
    PermissionError without CAP_SYS_ADMIN, which `enter_user_namespace` gives.
    """
    with _own("ipc", libc.CLONE_NEWIPC):
        yield IpcLimits()


@contextmanager
def mount_namespace() -> Iterator[Mounts]:
    """Have mounts of one's own in the block, of which nobody else sees anything (mount_namespaces(7)).

    Afterwards the root and the working directory are those of before. RuntimeError in a process with several threads,
    which share them; PermissionError without CAP_SYS_ADMIN, which `enter_user_namespace` gives.
    """
    if others := other_threads():
        raise RuntimeError(f"mount_namespace() in a process with other threads ({others}), which share its directories")
    with ExitStack() as stack:
        root, folder = (os.open(path, os.O_PATH | os.O_DIRECTORY) for path in ("/", "."))
        stack.callback(os.close, root)
        stack.callback(os.close, folder)
        stack.callback(_return_to, root, folder)
        stack.enter_context(_own("mnt", libc.CLONE_NEWNS))
        libc.mount("none", "/", "none", libc.MS_REC | libc.MS_PRIVATE)
        yield Mounts()


def enter_user_namespace(uid: int = 0, gid: int = 0) -> Mounts:
    """Enter a user namespace of one's own, in which this process has all capabilities (user_namespaces(7)).

    With it come an IPC and a mount namespace that belong to it: a process without rights has then objects, limits and
    mounts of its own, and can make `ipc_namespace` and `mount_namespace`. The present effective user and group are
    called `uid` and `gid` in it; there are no others. There is no way back: it is for a forked child, and for a process
    with one thread. One that has changed its user must execute a program before, or /proc refuses (PermissionError).
    """
    inner_and_outer = {"uid_map": (uid, os.geteuid()), "gid_map": (gid, os.getegid())}
    libc.unshare(libc.CLONE_NEWUSER | libc.CLONE_NEWIPC | libc.CLONE_NEWNS)
    Path("/proc/self/setgroups").write_text("deny")  # or only a privileged process could map its group
    for name, (inner, outer) in inner_and_outer.items():
        Path(f"/proc/self/{name}").write_text(f"{inner} {outer} 1")
    libc.mount("none", "/", "none", libc.MS_REC | libc.MS_PRIVATE)
    return Mounts()


@contextmanager
def _own(name: str, flag: int) -> Iterator[None]:
    before = os.open(f"/proc/thread-self/ns/{name}", os.O_RDONLY)
    try:
        libc.unshare(flag)
        try:
            yield
        finally:
            libc.setns(before, flag)
    finally:
        os.close(before)


def _return_to(root: int, folder: int) -> None:
    """Undo what setns(2) does to a process that enters a mount namespace: it puts it at its root."""
    if not os.path.samestat(os.stat(root), os.stat("/")):  # noqa: PTH116 - of a descriptor
        os.fchdir(root)
        os.chroot(".")
    os.fchdir(folder)
