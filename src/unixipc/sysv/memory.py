"""Shared memory segments: shmget(2), shmop(2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import index
from typing import TYPE_CHECKING, Self

from unixipc import libc
from unixipc._closing import Holding
from unixipc.sysv.objects import CREATE, Status, SysvObject, check_key, check_mode, new_key, permissions

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class SegmentStatus(Status):
    """What is known of a segment: its bytes, how often it is attached, and by which processes.

    One that was removed lives until its last attachment goes.
    """

    size: int
    attachments: int
    creator_pid: int
    last_pid: int | None
    attach_time: int | None
    detach_time: int | None
    removed: bool
    locked: bool


class SharedMemory(libc.Attachment, SysvObject, Holding):
    """A shared memory segment, attached: `memory[a:b]` and `memoryview(memory)` are its bytes, zeros at first.

    With `readonly` it is attached for reading, and so are its views. A view pins the memory: after `close` it is still
    valid, and the kernel's attachment goes with the last one. What is not closed by its end is a ResourceWarning.
    `flags` of what is made may be SHM_HUGETLB, SHM_NORESERVE and the like (shmget(2)).
    """

    @classmethod
    def create(
        cls, size: int, key: int | None = None, *, mode: int = 0o600, readonly: bool = False, flags: int = 0
    ) -> Self:
        """Make a segment; FileExistsError if the key has one."""
        shmid = libc.shmget(new_key(key), size, CREATE | check_mode(mode) | flags)
        return cls._attach(shmid, readonly, lambda: libc.shmctl(shmid, libc.IPC_RMID))

    @classmethod
    def open(cls, key: int, *, readonly: bool = False) -> Self:
        """Attach the segment of a key; FileNotFoundError if there is none."""
        return cls._attach(libc.shmget(check_key(key), 0, 0), readonly)

    @classmethod
    def open_or_create(cls, key: int, size: int, *, mode: int = 0o600, readonly: bool = False, flags: int = 0) -> Self:
        """Attach the segment of a key, which has at least this size (OSError otherwise), or make it with this size."""
        shmid = libc.shmget(check_key(key), size, libc.IPC_CREAT | check_mode(mode) | flags)
        return cls._attach(shmid, readonly)

    @classmethod
    def from_id(cls, id: int, readonly: bool = False) -> Self:  # noqa: A002, FBT001, FBT002 - its name; pickles have no keywords
        """Attach the segment of an id."""
        return cls._attach(index(id), readonly)

    @classmethod
    def _attach(cls, shmid: int, readonly: bool, undo: Callable[[], None] = lambda: None) -> Self:  # noqa: FBT001
        try:
            made = libc.shmat(shmid, None, libc.SHM_RDONLY if readonly else 0, kind=cls)
        except BaseException:
            undo()
            raise
        made._id = shmid
        return made

    def attach(self, *, readonly: bool | None = None) -> Self:
        """Attach the segment once more, at another address; `readonly` None: as this one."""
        return self._attach(self._id, self.readonly if readonly is None else readonly)

    def close(self) -> None:
        """Detach the segment; twice is fine. What views still show stays, and so does the segment."""
        if not self.closed:
            libc.shmdt(self)

    def remove(self) -> None:
        """Remove the segment from the system: nobody can find it any more, and it goes with its last attachment."""
        libc.shmctl(self._id, libc.IPC_RMID)

    def status(self) -> SegmentStatus:
        """Ask the kernel for all that it knows of the segment."""
        ds = libc.shmctl(self._id, libc.IPC_STAT)
        known = self._id, *permissions(ds.shm_perm), ds.shm_ctime or None
        times = ds.shm_atime or None, ds.shm_dtime or None
        state = bool(ds.shm_perm.mode & libc.SHM_DEST), bool(ds.shm_perm.mode & libc.SHM_LOCKED)
        return SegmentStatus(*known, ds.shm_segsz, ds.shm_nattch, ds.shm_cpid, ds.shm_lpid or None, *times, *state)

    def _perm(self) -> libc.IpcPerm:
        return libc.shmctl(self._id, libc.IPC_STAT).shm_perm

    def _set_perm(self, perm: libc.IpcPerm) -> None:
        ds = libc.shmctl(self._id, libc.IPC_STAT)
        libc.shmctl(self._id, libc.IPC_SET, replace(ds, shm_perm=perm))

    __repr__ = SysvObject.__repr__
    __del__ = Holding.__del__

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[int, bool]]:
        return type(self).from_id, (self._id, self.readonly)
