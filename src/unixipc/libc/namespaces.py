"""namespaces(7), and mount(2) as far as a mount namespace of one's own needs it."""

from __future__ import annotations

import errno
from operator import index

from unixipc._check import check
from unixipc._native import lib
from unixipc.constants.namespaces import CloneFlag, MountFlag, UmountFlag
from unixipc.libc.arguments import Path, path_argument, unsigned_argument

_RIGHTS = "it needs CAP_SYS_ADMIN, which a process has in a user namespace of its own (CLONE_NEWUSER)"
_UNSHARE = {
    errno.EPERM: f"{_RIGHTS}; for CLONE_NEWUSER itself, the root directory must not be a chroot's",
    errno.EINVAL: "the kernel may not know the flag; and CLONE_NEWUSER needs a process with one thread",
    errno.ENOSPC: "too many namespaces: user.max_user_namespaces and its like, or 32 within one another",
}
_SETNS = {
    errno.EPERM: "it needs CAP_SYS_ADMIN in both namespaces",
    errno.EINVAL: "not a namespace of this type; a user or mount namespace is for a process with one thread",
}
_MOUNT = {errno.EPERM: "it needs CAP_SYS_ADMIN in the user namespace of the mount namespace"}


def unshare(flags: int) -> None:
    """Have something for oneself from now on (unshare(2)): `CLONE_NEWIPC`, `CLONE_NEWNS`, ...

    It is the calling thread that does. CLONE_NEWIPC also undoes its System V semaphore operations (SEM_UNDO).
    """
    flags = CloneFlag(unsigned_argument(flags, "flags"))
    check(lib.uipc_unshare(flags), "unshare", flags, advice=_UNSHARE)


def setns(fd: int, nstype: int = 0) -> None:
    """Enter a namespace (setns(2)): a descriptor of /proc/PID/ns/NAME, or a pidfd with the types as CLONE_NEW*."""
    flags = CloneFlag(unsigned_argument(nstype, "nstype"))
    check(lib.uipc_setns(index(fd), flags), "setns", fd, flags, advice=_SETNS)


def mount(source: Path, target: Path, filesystemtype: str, mountflags: int = 0, data: str = "") -> None:
    """Mount a file system, or change a mount (mount(2)); `data` are the file system's options, as of `mount -o`."""
    flags = MountFlag(unsigned_argument(mountflags, "mountflags"))
    check(
        lib.uipc_mount(
            path_argument(source), path_argument(target), path_argument(filesystemtype), flags, path_argument(data)
        ),
        "mount",
        repr(source),
        repr(target),
        filesystemtype,
        flags,
        advice=_MOUNT,
    )


def umount2(target: Path, flags: int = 0) -> None:
    """Unmount (umount2(2)); EBUSY while anybody uses it, unless with MNT_DETACH."""
    flags = UmountFlag(unsigned_argument(flags, "flags"))
    check(lib.uipc_umount2(path_argument(target), flags), "umount2", repr(target), flags, advice=_MOUNT)
