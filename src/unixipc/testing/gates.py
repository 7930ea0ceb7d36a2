"""What forked processes wait for together, made before the fork: gates and barriers."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import warnings
from array import array
from contextlib import contextmanager, suppress
from operator import index
from pathlib import Path
from struct import Struct
from threading import BrokenBarrierError
from typing import TYPE_CHECKING

from unixipc._check import Deadline
from unixipc._closing import Closing
from unixipc.testing.children import DEADLINE
from unixipc.testing.handshakes import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEAD = Struct("=QII")  # the round, the length of the reason, and how many have come
_MOST = 1 << 16
_LONGEST_POLL = 1e6  # seconds: epoll_wait(2) counts milliseconds in an int


class _Shared(Closing):
    """What has descriptors that children inherit: a with-block closes them, as `close` does."""

    _fds: tuple[int, ...] = ()
    _owner = 0

    def _own(self, *fds: int) -> None:
        self._fds, self._owner = fds, os.getpid()

    def close(self) -> None:
        """Close it in this process; twice is fine."""
        fds, self._fds = self._fds, ()
        for fd in fds:
            os.close(fd)

    def _open(self) -> tuple[int, ...]:
        if not self._fds:
            raise ValueError(f"the {type(self).__name__.lower()} is closed")
        return self._fds

    def __del__(self) -> None:
        if self._fds and self._owner == os.getpid():
            warnings.warn(f"{self!r} was never closed", ResourceWarning, source=self, stacklevel=1)
        self.close()


class Gate(_Shared):
    """A handshake between forked processes: whoever waits goes on when another has opened, and never without.

    Each `open` lets one `wait` through, whichever comes first.
    """

    def __init__(self) -> None:
        self._own(os.eventfd(0, os.EFD_SEMAPHORE | os.EFD_NONBLOCK | os.EFD_CLOEXEC))

    def fileno(self) -> int:
        """Give a descriptor that is readable while the gate is open, for `select`."""
        return self._open()[0]

    def open(self, count: int = 1) -> None:
        """Let so many waits through."""
        number = index(count)
        if not 0 <= number < 2**32:
            raise ValueError(f"a gate lets 0 to {2**32 - 1} waits through at a time, not {number}")
        os.eventfd_write(self._open()[0], number)

    def wait(self, timeout: float | None = DEADLINE) -> None:
        """Wait until the gate is open for one more; TimeoutError after so many seconds."""
        deadline = Deadline(timeout)
        (fd,) = self._open()
        while True:
            with suppress(BlockingIOError):
                os.eventfd_read(fd)
                return
            if not wait_for(deadline, [fd]) and deadline.left() == 0:
                raise TimeoutError(errno.ETIMEDOUT, f"nobody opened the gate within {timeout} seconds")


class Barrier(_Shared):
    """A place where so many forked processes, or threads, wait until all have come: again and again.

    A wait that ends before that, by its timeout or by the exception of a signal handler, breaks the barrier for good,
    and so does a process that ended while it waited: whoever waits or comes later gets BrokenBarrierError.
    """

    # The state lies in a file in memory, behind a lock that goes with its process. Each that waits has an epoll of its
    # own, which every write to one eventfd wakes (EPOLLET): nobody can take what another one waits for.

    def __init__(self, parties: int) -> None:
        self.parties = index(parties)
        if not 1 <= self.parties <= _MOST:
            raise ValueError(f"a barrier is for 1 to {_MOST} parties, not {self.parties}")
        self._own(os.memfd_create("unixipc barrier"), os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))
        with self._state() as state:
            state.set(0, b"", [])

    def wait(self, timeout: float | None = DEADLINE) -> int:
        """Wait until all have come, and tell as which of them this one came: from 0 up; TimeoutError after so long."""
        deadline = Deadline(timeout)
        _, bell = self._open()
        with select.epoll() as ears:
            ears.register(bell, select.EPOLLIN | select.EPOLLET)
            round_ = None
            try:
                round_, place = self._come()
                while not self._is_through(round_, deadline, timeout):
                    left = deadline.left()
                    ears.poll(None if left is None else min(left, _LONGEST_POLL))
            except BaseException as error:
                self._break(round_, f"process {os.getpid()} went away: {type(error).__name__}")
                raise
            return place

    def _come(self) -> tuple[int, int]:
        with self._state() as state:
            round_, why, pids = state.get()
            if why:
                raise BrokenBarrierError(why)
            place = len(pids)
            pids.append(os.getpid())
            ended = [] if len(pids) < self.parties else [pid for pid in pids if _has_ended(pid)]
            if ended:
                why = f"process {ended[0]} ended while it waited at the barrier"
            elif len(pids) == self.parties:
                round_, pids = round_ + 1, []
            state.set(round_, why.encode(), pids)
            if why or not pids:
                self._ring()
            if why:
                raise BrokenBarrierError(why)
            return round_ if pids else round_ - 1, place

    def _is_through(self, mine: int, deadline: Deadline, timeout: float | None) -> bool:
        with self._state() as state:
            round_, why, pids = state.get()
            if round_ != mine:
                return True
            if why:
                raise BrokenBarrierError(why)
            if deadline.left() != 0:
                return False
        came = ", ".join(f"{pid} (which has ended)" if _has_ended(pid) else str(pid) for pid in pids)
        text = f"{len(pids)} of {self.parties} parties came to the barrier within {timeout} seconds: processes {came}"
        raise TimeoutError(errno.ETIMEDOUT, text)

    def _break(self, mine: int | None, why: str) -> None:
        with self._state() as state:
            round_, broken, pids = state.get()
            if mine in (None, round_) and not broken:
                state.set(round_, why.encode(), pids)
                self._ring()

    def _ring(self) -> None:
        os.eventfd_write(self._open()[1], 1)

    @contextmanager
    def _state(self) -> Iterator[_State]:
        """Lock the state, by a description of its file that no other process or thread has."""
        file = os.open(f"/proc/self/fd/{self._open()[0]}", os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield _State(file)
        finally:
            os.close(file)


class _State:
    """What a barrier knows: the number of the round, why it is broken, and who has come."""

    def __init__(self, file: int) -> None:
        self._file = file

    def get(self) -> tuple[int, str, list[int]]:
        content = os.pread(self._file, os.fstat(self._file).st_size, 0)
        round_, length, count = _HEAD.unpack_from(content)
        pids = array("i", content[_HEAD.size : _HEAD.size + 4 * count])
        return round_, content[len(content) - length :].decode(), list(pids)

    def set(self, round_: int, why: bytes, pids: list[int]) -> None:
        content = _HEAD.pack(round_, len(why), len(pids)) + array("i", pids).tobytes() + why
        os.ftruncate(self._file, len(content))
        os.pwrite(self._file, content, 0)


def _has_ended(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in ("Z", "X")
