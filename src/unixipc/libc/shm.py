"""shm_overview(7): POSIX shared memory."""

from __future__ import annotations

import errno
from operator import index

from unixipc._check import check
from unixipc._native import lib
from unixipc.libc.arguments import path_argument

_OPENING = {
    errno.EACCES: "it exists, and its mode refuses this access",
    errno.EEXIST: "it exists, and O_EXCL was given",
    errno.EINVAL: "a name is a slash and up to 255 bytes without another slash",
    errno.ENAMETOOLONG: "a name is a slash and up to 255 bytes",
    errno.ENOENT: "no object has this name, and O_CREAT was not given",
}
_UNLINKING = _OPENING | {
    errno.EACCES: "only its owner or a privileged process may remove it",
    errno.EPERM: "only its owner or a privileged process may remove it",
    errno.ENOENT: "no object has this name",
}


def shm_open(name: str | bytes, oflag: int, mode: int = 0o600) -> int:
    """Open shared memory, made if `oflag` says so, and return a descriptor for `mmap` (shm_open(3)).

    It is close-on-exec. What was made has no bytes yet: `os.posix_fallocate` gives it some, so that there are none
    whose first touch could end the process, as with `os.ftruncate` where /dev/shm is full. The umask is taken off the
    mode.
    """
    return check(
        lib.uipc_shm_open(path_argument(name), index(oflag), index(mode)), "shm_open", repr(name), advice=_OPENING
    )


def shm_unlink(name: str | bytes) -> None:
    """Remove the name of shared memory, which goes with its last descriptor and mapping (shm_unlink(3))."""
    check(lib.uipc_shm_unlink(path_argument(name)), "shm_unlink", repr(name), advice=_UNLINKING)
