"""What the three families of svipc(7) share: keys and permissions."""

from __future__ import annotations

import errno
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING

from unixipc._check import check
from unixipc._native import ffi, lib
from unixipc.libc.arguments import Path, path_argument

if TYPE_CHECKING:
    from unixipc._native import _IpcPerm

GETTING = {
    errno.EACCES: "it exists, and its mode refuses this access",
    errno.EEXIST: "it exists, and IPC_EXCL was given",
    errno.EINVAL: "the size is out of bounds (kernel.shmmax, kernel.sem), or more than the existing object has",
    errno.ENOENT: "no object has this key, and IPC_CREAT was not given",
    errno.ENOSPC: "the system has as many as it may (kernel.shmmni, kernel.shmall, kernel.msgmni, kernel.sem)",
    errno.EPERM: "huge pages need CAP_IPC_LOCK or the group vm.hugetlb_shm_group",
}
USING = {
    errno.EACCES: "the object's mode refuses this access",
    errno.EPERM: "only the owner, the creator or a privileged process may do this",
    errno.EINVAL: "no object has this id, or an argument is out of bounds",
}


@dataclass(frozen=True, slots=True)
class IpcPerm:
    """Who owns a System V object and who may use it: `struct ipc_perm` (svipc(7)).

    IPC_SET looks at uid, gid and the permissions of mode. In the mode of a segment SHM_DEST and SHM_LOCKED may show.
    """

    key: int
    uid: int
    gid: int
    cuid: int
    cgid: int
    mode: int
    seq: int


def ftok(pathname: Path, proj_id: int) -> int:
    """Make a key of an existing file and the low 8 bits of `proj_id` (ftok(3)).

    Only the low bits of the file's device and inode number are in it: two files can have the same key.
    """
    key = ffi.new("int *")
    check(lib.uipc_ftok(path_argument(pathname), index(proj_id), key), "ftok", repr(pathname), proj_id)
    return key[0]


def key_argument(key: int, call: str) -> int:
    """Read a key, once: a C int, or what C would make one of."""
    number = index(key)
    if not -(2**31) <= number < 2**32:
        raise OverflowError(f"{call}({key}): a key has 32 bits")
    return number if number < 2**31 else number - 2**32


def read_perm(perm: _IpcPerm) -> IpcPerm:
    """Make the record of what C gave out."""
    return IpcPerm(perm.key, perm.uid, perm.gid, perm.cuid, perm.cgid, perm.mode, perm.seq)


def write_perm(out: _IpcPerm, perm: IpcPerm) -> None:
    """Give C what IPC_SET looks at."""
    if not isinstance(perm, IpcPerm):
        raise TypeError(f"IPC_SET takes a record whose permissions are an IpcPerm, not {perm!r}")
    out.uid, out.gid, out.mode = index(perm.uid), index(perm.gid), index(perm.mode) & 0o777
