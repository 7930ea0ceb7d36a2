"""What all objects of System V have in common: keys, modes and owners, ids, and how they are waited for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import index
from typing import TYPE_CHECKING, NoReturn, TypeVar

from unixipc import libc
from unixipc._check import Deadline
from unixipc._closing import Closing

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

CREATE = libc.IPC_CREAT | libc.IPC_EXCL


@dataclass(frozen=True, slots=True)
class Status:
    """What is known of any object. Times are seconds since the epoch, None for never; the key is None without one."""

    id: int
    key: int | None
    uid: int
    gid: int
    creator_uid: int
    creator_gid: int
    mode: int
    change_time: int | None


def permissions(perm: libc.IpcPerm) -> tuple[int | None, int, int, int, int, int]:
    """Give the fields of Status from the key to the mode."""
    return perm.key or None, perm.uid, perm.gid, perm.cuid, perm.cgid, perm.mode & 0o777


class SysvObject(Closing):
    """An object of svipc(7), known to this process by its id."""

    __slots__ = ()

    _id: int

    @property
    def id(self) -> int:
        """What the kernel calls the object: any process may use it by this number."""
        return self._id

    @property
    def closed(self) -> bool:
        """Whether it was closed here; it can still be examined, changed and removed."""
        raise NotImplementedError

    def close(self) -> None:
        """End the use of the object by this process; twice is fine. The object itself stays."""
        raise NotImplementedError

    def status(self) -> Status:
        """Ask the kernel for all that it knows of the object."""
        raise NotImplementedError

    def _perm(self) -> libc.IpcPerm:
        raise NotImplementedError

    def _set_perm(self, perm: libc.IpcPerm) -> None:
        raise NotImplementedError

    def set_permissions(self, *, mode: int | None = None, uid: int | None = None, gid: int | None = None) -> None:
        """Change who may use the object, and whose it is; what is None stays.

        PermissionError for all but its owner, its creator and root.
        """
        perm = self._perm()
        perm = perm if mode is None else replace(perm, mode=check_mode(mode))
        perm = perm if uid is None else replace(perm, uid=uid)
        self._set_perm(perm if gid is None else replace(perm, gid=gid))

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._id}{' closed' if self.closed else ''}>"


def refuse(closed: object) -> NoReturn:
    """Say that the object was closed."""
    raise ValueError(f"{closed!r} was closed")


def check_key(key: int) -> int:
    """Refuse the number that means no key."""
    number = index(key)
    if number in (0, 2**32):
        raise ValueError("0 is IPC_PRIVATE, the key of no object: create() with None as the key makes one without")
    return number


def new_key(key: int | None) -> int:
    """Read the key of an object to be made: None for none."""
    return libc.IPC_PRIVATE if key is None else check_key(key)


def check_mode(mode: int) -> int:
    """Refuse what is more than permissions: for the kernel, flags begin there."""
    number = index(mode)
    if not 0 <= number <= 0o777:
        raise ValueError(f"the mode is {number:#o}: it must be permissions, from 0 to 0o777")
    return number


def going_on(call: Callable[[float | None], _T], timeout: float | None) -> _T:
    """Make a call with the time that is left, again after every signal (PEP 475)."""
    deadline = Deadline(timeout)
    while True:
        try:
            return call(deadline.left())
        except InterruptedError as error:
            if error.errno is None:  # a handler raised it
                raise
