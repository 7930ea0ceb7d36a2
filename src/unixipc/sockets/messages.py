"""Messages of Unix sockets, with what travels beside the data: SCM_RIGHTS, SCM_CREDENTIALS and SCM_PIDFD of unix(7)."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from operator import index
from typing import TYPE_CHECKING, Self

from unixipc._closing import Holding

if TYPE_CHECKING:
    from collections.abc import Iterable

_UCRED = struct.Struct("=iII")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who a process is, as the kernel vouches for it.

    The pid is 0 for a process outside this one's pid namespace, and an id without a place in this user namespace is
    65534 (`/proc/sys/kernel/overflowuid`).
    """

    pid: int
    uid: int
    gid: int

    def pack(self) -> bytes:
        """Encode them as struct ucred."""
        numbers = index(self.pid), index(self.uid), index(self.gid)
        try:
            return _UCRED.pack(*numbers)
        except struct.error:
            raise OverflowError(f"{self}: the pid must fit a C int, the ids a C unsigned int") from None

    @classmethod
    def unpack(cls, ucred: bytes) -> Self:
        """Decode struct ucred."""
        return cls(*_UCRED.unpack(ucred))


class Message(Holding):
    """What came with one `receive_message`.

    The descriptors are close-on-exec, and belong to the message: they are closed at the end of its with-block, or by
    `close`, but for those that `detach` has handed over. `truncated` tells that the datagram or record was longer than
    the size that was asked for, and that the rest is lost. At the end of a stream the data is empty.

    The credentials and the pidfd are there when the socket wants them. A pidfd is still None if the kernel (before
    Linux 6.16) could make none, because the sender had ended and been waited for.
    """

    __slots__ = ("_owned", "address", "credentials", "data", "descriptors", "pidfd", "truncated")

    def __init__(
        self,
        data: bytes,
        descriptors: Iterable[int] = (),
        credentials: Credentials | None = None,
        pidfd: int | None = None,
        address: str | bytes | None = None,
        *,
        truncated: bool = False,
    ) -> None:
        self.data = data
        self.descriptors = tuple(descriptors)
        self.credentials = credentials
        self.pidfd = pidfd
        self.address = address
        self.truncated = truncated
        self._owned = set(self.descriptors if pidfd is None else (*self.descriptors, pidfd))

    def detach(self, fd: int) -> int:
        """Hand a descriptor of the message over to the caller, who closes it from now on."""
        if fd not in self._owned:
            raise ValueError(f"{fd!r} is no descriptor of {self!r}, or was handed over already")
        self._owned.remove(fd)
        return fd

    @property
    def closed(self) -> bool:
        """Whether it has no descriptor to close."""
        return not self._owned

    def close(self) -> None:
        """Close the descriptors that nobody has taken over, and forget all of them; twice is fine."""
        self.descriptors, self.pidfd = (), None
        while self._owned:
            os.close(self._owned.pop())

    def __repr__(self) -> str:
        shown = [f"{len(self.data)} bytes"]
        if self.descriptors:
            shown.append(f"descriptors {', '.join(map(str, self.descriptors))}")
        if self.pidfd is not None:
            shown.append(f"pidfd {self.pidfd}")
        return f"<Message {'; '.join(shown)}>"
