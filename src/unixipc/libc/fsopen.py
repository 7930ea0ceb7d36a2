"""fsopen(2), fsconfig(2) and fsmount(2): mounts that lie nowhere but at a descriptor, and go with it."""

from __future__ import annotations

import errno
from operator import index

from unixipc._check import check
from unixipc._native import ffi, lib
from unixipc.constants.fsopen import FsconfigCommand, FsmountFlag, FsopenFlag, MountAttribute
from unixipc.libc.arguments import int_argument, path_argument, unsigned_argument

_NEWER = {errno.ENOSYS: "it needs Linux 5.2"}
_RIGHTS = _NEWER | {errno.EPERM: "it needs CAP_SYS_ADMIN in the user namespace of the mount namespace"}
_OPENING = _RIGHTS | {errno.ENODEV: "the kernel knows no file system of this name"}
_CONFIGURING = _NEWER | {errno.EINVAL: "the file system knows no such parameter, or the command goes with others"}


def fsopen(fsname: str, flags: int = 0) -> int:
    """Begin to make a file system of a type, and return a descriptor to configure it by (fsopen(2))."""
    flags = FsopenFlag(unsigned_argument(flags, "flags"))
    return check(lib.uipc_fsopen(path_argument(fsname), flags), "fsopen", repr(fsname), flags, advice=_OPENING)


def fsconfig(fd: int, cmd: int, key: str | None = None, value: str | None = None, aux: int = 0) -> None:
    """Set a parameter of the file system that is being made, or make it: FSCONFIG_CMD_CREATE (fsconfig(2)).

    FSCONFIG_SET_BINARY is not offered: no file system takes it.
    """
    cmd = FsconfigCommand(index(cmd))
    fd, aux = int_argument(fd, "fd"), int_argument(aux, "aux")
    key_text, value_text = (ffi.NULL if text is None else path_argument(text) for text in (key, value))
    result = lib.uipc_fsconfig(fd, cmd, key_text, value_text, aux)
    check(result, "fsconfig", fd, cmd, *[] if key is None else [repr(key)], advice=_CONFIGURING)


def fsmount(fs_fd: int, flags: int = 0, attr_flags: int = 0) -> int:
    """Mount the file system that was made, at no place, and return a descriptor of its root (fsmount(2)).

    It is unmounted when the descriptor and all that was opened from it are closed.
    """
    flags, attr_flags = (
        FsmountFlag(unsigned_argument(flags, "flags")),
        MountAttribute(unsigned_argument(attr_flags, "attr_flags")),
    )
    result = lib.uipc_fsmount(int_argument(fs_fd, "fs_fd"), flags, attr_flags)
    return check(result, "fsmount", fs_fd, flags, attr_flags, advice=_RIGHTS)
