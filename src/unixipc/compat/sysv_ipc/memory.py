"""Shared memory as sysv_ipc has it: attached by the constructor, read and written, or shown by a view."""

from __future__ import annotations

import errno
from dataclasses import replace
from operator import index
from typing import TYPE_CHECKING, Self

from unixipc import libc
from unixipc.compat.sysv_ipc.errors import USING, NotAttachedError, translating
from unixipc.compat.sysv_ipc.objects import IPC_CREX, IpcObject, ReadOnly, bytes_of, find
from unixipc.libc.arguments import int_argument

if TYPE_CHECKING:
    from typing_extensions import Buffer

_GETTING = USING | {errno.EINVAL: ValueError}  # the size, the address or a flag
_FILLED_AT_ONCE = 2**20  # bytes


class _Attachment(libc.Attachment):
    """One that can be dropped without a warning."""

    __slots__ = ()

    def __del__(self) -> None: ...


def _one_byte(character: object) -> bytes:
    if not isinstance(character, bytes | bytearray) or len(character) != 1:
        raise TypeError("init_character must be a byte string of length 1")
    return bytes(character)


class SharedMemory(libc.Exporter, IpcObject):
    """A segment of shared memory. `memoryview(memory)` shows its bytes, read-only where it is attached so."""

    __slots__ = ("_attachments",)

    _attachments: list[tuple[_Attachment, memoryview]]  # the last of them is used

    size = ReadOnly[int]("_status.shm_segsz", "How many bytes it has.")
    address = ReadOnly[int]("_address", "Where it is attached; 0 where it is not.")
    attached = ReadOnly[bool]("_attached", "Whether this object has it attached.")
    last_attach_time = ReadOnly[int]("_status.shm_atime", "When a process attached it; 0 for never.")
    last_detach_time = ReadOnly[int]("_status.shm_dtime", "When a process detached it; 0 for never.")
    last_change_time = ReadOnly[int]("_status.shm_ctime", "When it was made, or got its uid, gid and mode.")
    creator_pid = ReadOnly[int]("_status.shm_cpid", "The process that made it.")
    last_pid = ReadOnly[int]("_status.shm_lpid", "The process that attached or detached it last.")
    number_attached = ReadOnly[int]("_status.shm_nattch", "How many times it is attached, by all processes.")

    def __init__(
        self,
        key: int | None,
        flags: int = 0,
        mode: int = 0o600,
        size: int = 0,
        init_character: bytes | bytearray = b" ",
    ) -> None:
        flags, mode = int_argument(flags, "flags") & ~0o777, int_argument(mode, "mode") & 0o777
        size, is_new, writable = index(size), flags & IPC_CREX == IPC_CREX, bool(mode & 0o200)
        character = _one_byte(init_character)
        if size < 0:
            raise ValueError("The size is invalid")
        size = libc.PAGE_SIZE if is_new and size == 0 else size
        with translating(_GETTING):
            self._key, self._id = find(key, flags, lambda key: libc.shmget(key, size, flags | mode))
        self._attachments = []
        try:
            self._attach(None, 0 if writable else libc.SHM_RDONLY)
            if is_new and writable:
                self._fill(character)
        except BaseException:
            self._attachments = []
            if is_new:
                libc.shmctl(self._id, libc.IPC_RMID)
            raise

    @classmethod
    def _of_id(cls, id: int, address: int | None, flags: int) -> Self:
        made = cls.__new__(cls)
        made._key, made._id, made._attachments = -1, int_argument(id, "id"), []
        made._attach(address, flags)
        return made

    def _attach(self, address: int | None, flags: int) -> None:
        if not isinstance(address, int | None):
            raise TypeError(f"the address must be an integer or None, not {address!r}")
        with translating(_GETTING):
            attachment = libc.shmat(self._id, address, int_argument(flags, "flags"), kind=_Attachment)
        self._attachments.append((attachment, memoryview(attachment)))

    def _fill(self, character: bytes) -> None:
        view = self._current()[1]
        some = character * min(len(view), _FILLED_AT_ONCE)
        for start in range(0, len(view), len(some)):
            part = view[start : start + len(some)]
            part[:] = some[: len(part)]

    def _current(self) -> tuple[_Attachment, memoryview]:
        try:
            return self._attachments[-1]
        except IndexError:
            raise self._not_attached() from None

    def _not_attached(self) -> NotAttachedError:
        return NotAttachedError(errno.EINVAL, f"{self!r} is not attached: attach() it first")

    def attach(self, address: int | None = None, flags: int = 0) -> None:
        """Attach it once more, at an address or anywhere; for each time, it has to be detached."""
        self._attach(address, flags)

    def detach(self) -> None:
        """Detach it. Views that are still held stay valid, and keep it attached for the kernel."""
        try:
            attachment = self._attachments.pop()[0]
        except IndexError:
            raise self._not_attached() from None
        libc.shmdt(attachment)

    def read(self, byte_count: int = 0, offset: int = 0) -> bytes:
        """Read so many bytes, or as many as there are, from `offset` on; 0 stands for all."""
        view, count, start = self._current()[1], index(byte_count), index(offset)
        if not 0 <= start < len(view):
            raise ValueError("The offset must be less than the segment size")
        if count < 0:
            raise ValueError("The byte_count cannot be negative")
        return view[start : start + count if count else None].tobytes()

    def write(self, s: str | Buffer | None = None, offset: int = 0, *, some_bytes: str | Buffer | None = None) -> None:
        """Write bytes from `offset` on: `s`, which the peer's documentation calls `some_bytes`."""
        given = s if some_bytes is None else some_bytes
        if given is None or (s is not None and some_bytes is not None):
            raise TypeError("write() takes the bytes once, as s or as some_bytes")
        data, view, start = bytes_of(given), self._current()[1], index(offset)
        if view.readonly:
            raise PermissionError(errno.EACCES, f"{self!r} is attached read-only")
        if not 0 <= start <= len(view) - len(data):
            raise ValueError("Attempt to write past end of memory segment")
        view[start : start + len(data)] = data

    def remove(self) -> None:
        """Remove it from the system: nobody finds it any more, and it goes with its last attachment."""
        remove_shared_memory(self._id)

    @property
    def _exported(self) -> _Attachment:
        return self._current()[0]

    @property
    def _attached(self) -> bool:
        return bool(self._attachments)

    @property
    def _address(self) -> int:
        return self._current()[0].address if self._attachments else 0

    @property
    def _status(self) -> libc.ShmidDs:
        with translating():
            return libc.shmctl(self._id, libc.IPC_STAT)

    @property
    def _perm(self) -> libc.IpcPerm:
        return self._status.shm_perm

    def _set(self, name: str, value: int) -> None:
        ds = self._status
        libc.shmctl(self._id, libc.IPC_SET, replace(ds, shm_perm=replace(ds.shm_perm, **{name: value})))


def attach(id: int, address: int | None = None, flags: int = 0) -> SharedMemory:
    """Attach the segment of an id; it has -1 for its key."""
    return SharedMemory._of_id(id, address, flags)


def remove_shared_memory(id: int, /) -> None:
    """Remove the segment of an id from the system."""
    with translating():
        libc.shmctl(int_argument(id, "id"), libc.IPC_RMID)
