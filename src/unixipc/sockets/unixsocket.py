"""A Unix socket: unix(7)."""

from __future__ import annotations

import errno
import os
import socket
from array import array
from operator import index
from typing import TYPE_CHECKING, Any, Protocol, Self

from unixipc import libc
from unixipc._check import failure
from unixipc.sockets.addresses import Address, check_address, explained, is_abstract
from unixipc.sockets.messages import Credentials, Message

if TYPE_CHECKING:
    from collections.abc import Iterable

    from typing_extensions import Buffer


class HasFileno(Protocol):
    """A file, a socket, or whatever else has a descriptor."""

    def fileno(self) -> int:
        """Return the descriptor."""


_INT = array("i").itemsize
_UCRED = 3 * _INT
_UNKNOWN = 2**32 - 1
_MOST_DESCRIPTORS = 253  # SCM_MAX_FD of unix(7), which no header tells
_MOST_GROUPS = 256  # socket.getsockopt gives no more than 1,024 bytes
_NO_SIGNAL, _CLOSE_ON_EXEC = int(socket.MSG_NOSIGNAL), int(socket.MSG_CMSG_CLOEXEC)
_TRUNCATED, _INCOMPLETE = int(socket.MSG_TRUNC), int(socket.MSG_CTRUNC)
_BESIDE = socket.CMSG_SPACE(_UCRED) + socket.CMSG_SPACE(_INT)

_TOO_OLD = "the kernel is too old for it: it needs Linux 6.5"
_PASSING = {errno.ENOPROTOOPT: _TOO_OLD}
_NO_PEER = "the socket is not connected, and was not made by pair()"
_SENDING = {
    errno.EBADF: "the socket, or one of the descriptors, is closed",
    errno.ECONNREFUSED: "nobody receives there any more",
    errno.EDESTADDRREQ: "the socket is not connected: say to whom, by to=",
    errno.EINVAL: "a message carries at most 253 descriptors, and no ids that this user namespace does not know",
    errno.EMSGSIZE: "it is longer than the socket's buffer takes (SO_SNDBUF), which nobody can split",
    errno.ENOTCONN: "the socket is not connected",
    errno.EPERM: "credentials of others need CAP_SYS_ADMIN for the pid, CAP_SETUID and CAP_SETGID for the ids",
    errno.EPIPE: "the other end is closed, or takes no more",
    errno.ESRCH: "no process has the pid of the credentials",
    errno.ETOOMANYREFS: "too many descriptors are on their way in sockets: see RLIMIT_NOFILE in getrlimit(2)",
}
_RECEIVING = {errno.ENOTCONN: "the socket is not connected"}
_TOO_MANY = "more descriptors came than max_descriptors; all were closed, and the message is lost"
_NO_ROOM = "this process may open no more descriptors (RLIMIT_NOFILE); all were closed, and the message is lost"


class UnixSocket(socket.socket):
    """A `socket.socket` of the family AF_UNIX that also passes descriptors and credentials, and knows its peer.

    `UnixSocket(fileno=fd)` takes over a descriptor, and closes it. Timeouts are the socket's own (`settimeout`).
    """

    __slots__ = ()

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:  # noqa: A002 - as in socket.socket
        if fileno is None and family == -1:
            family = socket.AF_UNIX
        super().__init__(family, type, proto, fileno)
        if self.family != socket.AF_UNIX:
            if fileno is None:
                self.close()
            else:
                self.detach()
            raise ValueError(f"a UnixSocket is of the family AF_UNIX, not {self.family!r}")

    @classmethod
    def adopt(cls, other: socket.socket) -> Self:
        """Take over a Unix socket of the standard library, with its descriptor and its timeout."""
        if other.family != socket.AF_UNIX:
            raise ValueError(f"a UnixSocket is of the family AF_UNIX, not {other.family!r}")
        timeout = other.gettimeout()
        made = cls(other.family, other.type, other.proto, other.detach())
        made.settimeout(timeout)
        return made

    def accept(self) -> tuple[Self, Any]:
        """Accept a connection, and return its socket and the address of the other end, which mostly has none."""
        made, address = super().accept()
        return self.adopt(made), address

    def unlink(self) -> None:
        """Remove the file of the socket's name: nobody can connect any more; who is connected goes on.

        A name that is a relative path is looked up from the working directory of now.
        """
        name = os.fsencode(self.getsockname())
        if not name or is_abstract(name):
            raise ValueError(f"{self!r} is not bound to a path: there is no file to remove")
        os.unlink(name)  # noqa: PTH108 - a path of bytes

    # -- messages --

    def send_message(
        self,
        data: Buffer,
        *,
        descriptors: Iterable[int | HasFileno] = (),
        credentials: Credentials | None = None,
        to: Address | None = None,
    ) -> int:
        """Send a message with descriptors, which stay open here, and return how many bytes of the data went.

        All go, but on a stream that does not block: whatever of them went first took the descriptors along. A stream
        takes them, and credentials, only beside at least one byte (ValueError). `to` is the address of a datagram.

        Credentials that are not one's own need privileges (PermissionError). Where none are given, the kernel tells the
        true ones to a receiver that wants them.
        """
        things = list(descriptors)  # which keeps them alive
        fds = array("i", [_descriptor(thing) for thing in things])
        beside: list[tuple[int, int, Buffer]] = []
        if fds:
            beside.append((socket.SOL_SOCKET, socket.SCM_RIGHTS, fds))
        if credentials is not None:
            beside.append((socket.SOL_SOCKET, socket.SCM_CREDENTIALS, _pack(credentials)))
        target = None if to is None else check_address(to, "send_message")
        with memoryview(data) as given, given.cast("B") as view:
            if beside and not view and self.type == socket.SOCK_STREAM:
                raise ValueError("a stream carries descriptors and credentials only beside at least one byte of data")
            try:
                sent = self.sendmsg([view], beside, _NO_SIGNAL, target)
                if sent < len(view) and self.gettimeout() != 0:  # a stream, and a signal or the timeout cut it short
                    self.sendall(view[sent:], _NO_SIGNAL)
                    sent = len(view)
            except OSError as error:
                raise explained(error, "send_message", self.fileno(), advice=_SENDING) from None
        return sent

    def receive_message(self, size: int, *, max_descriptors: int = 0) -> Message:
        """Receive a message of at most `size` bytes, and at most so many descriptors; no more than 253 ever come.

        Should more descriptors come, also when none are expected, all of them are closed and the message is lost:
        OSError (EMSGSIZE). The same holds if this process may open no more (EMFILE). To ignore what comes beside the
        data, use `recv`.
        """
        most = index(max_descriptors)
        if most < 0:
            raise ValueError(f"max_descriptors is {most}: it must be at least 0")
        # With room for one descriptor too many, to tell too many from a kernel that could not open them.
        room = _BESIDE + socket.CMSG_SPACE(_INT * (min(most, _MOST_DESCRIPTORS) + 1))
        try:
            data, beside, flags, address = self.recvmsg(index(size), room, _CLOSE_ON_EXEC)
        except OSError as error:
            raise explained(error, "receive_message", self.fileno(), advice=_RECEIVING) from None
        fds, credentials, pidfd = _unpack(beside)
        opened = pidfd if pidfd is not None and pidfd >= 0 else None
        message = Message(data, fds, credentials, opened, address or None, truncated=flags & _TRUNCATED != 0)
        if len(fds) > most:
            message.close()
            raise failure(errno.EMSGSIZE, "receive_message", self.fileno(), advice=_TOO_MANY)
        if flags & _INCOMPLETE or pidfd in (-errno.EMFILE, -errno.ENFILE):
            message.close()
            raise failure(errno.EMFILE, "receive_message", self.fileno(), advice=_NO_ROOM)
        return message

    @property
    def wants_credentials(self) -> bool:
        """Whether messages come with the credentials of their senders (SO_PASSCRED).

        Set it before anything is sent: for what was sent before, the pid is 0 and the ids are 65534. Connections that a
        listening socket accepts begin with its setting. A socket that wants them and has no name gets an abstract one
        when it connects.
        """
        return self.getsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED) != 0

    @wants_credentials.setter
    def wants_credentials(self, wanted: bool) -> None:
        self.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, bool(wanted))

    @property
    def wants_pidfds(self) -> bool:
        """Whether messages come with pidfds of their senders (SO_PASSPIDFD, from Linux 6.5 on); otherwise as above."""
        try:
            return self.getsockopt(socket.SOL_SOCKET, libc.SO_PASSPIDFD) != 0
        except OSError as error:
            raise explained(error, "SO_PASSPIDFD", self.fileno(), advice=_PASSING) from None

    @wants_pidfds.setter
    def wants_pidfds(self, wanted: bool) -> None:
        try:
            self.setsockopt(socket.SOL_SOCKET, libc.SO_PASSPIDFD, bool(wanted))
        except OSError as error:
            raise explained(error, "SO_PASSPIDFD", self.fileno(), advice=_PASSING) from None

    # -- the peer --

    def peer_credentials(self) -> Credentials:
        """Tell who the other end was when it connected, called listen(2), or made the pair (SO_PEERCRED).

        It need not be who holds the socket now: descriptors are inherited and passed on. `wants_credentials` tells who
        sent a message.
        """
        try:
            ucred = self.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED)
        except OSError as error:
            raise explained(error, "peer_credentials", self.fileno()) from None
        credentials = Credentials.unpack(ucred)
        if credentials.uid == _UNKNOWN:
            raise failure(errno.ENOTCONN, "peer_credentials", self.fileno(), advice=_NO_PEER)
        return credentials

    def peer_groups(self) -> list[int]:
        """Tell the supplementary groups that the other end had then (SO_PEERGROUPS)."""
        too_many = f"the other end has more than {_MOST_GROUPS} groups, which socket.getsockopt cannot give"
        advice = {errno.ERANGE: too_many, errno.ENODATA: _NO_PEER}
        try:
            groups = self.getsockopt(socket.SOL_SOCKET, libc.SO_PEERGROUPS, _MOST_GROUPS * _INT)
        except OSError as error:
            raise explained(error, "peer_groups", self.fileno(), advice=advice) from None
        return array("I", groups).tolist()

    def peer_pidfd(self) -> int:
        """Open a pidfd of the process that was the other end then (SO_PEERPIDFD); the caller closes it.

        Unlike the pid it never comes to mean another process. It needs Linux 6.5, and before 6.16 a process that was
        not yet waited for.
        """
        gone = "the process has ended and was waited for"
        advice = {errno.ENOPROTOOPT: _TOO_OLD, errno.ENODATA: _NO_PEER, errno.ESRCH: gone, errno.EINVAL: gone}
        try:
            return self.getsockopt(socket.SOL_SOCKET, libc.SO_PEERPIDFD)
        except OSError as error:
            raise explained(error, "peer_pidfd", self.fileno(), advice=advice) from None


def _descriptor(thing: int | HasFileno) -> int:
    return thing.fileno() if hasattr(thing, "fileno") else index(thing)


def _pack(credentials: Credentials) -> bytes:
    if not isinstance(credentials, Credentials):
        raise TypeError(f"credentials are Credentials, not {credentials!r}")
    return credentials.pack()


def _unpack(beside: Iterable[tuple[int, int, bytes]]) -> tuple[array[int], Credentials | None, int | None]:
    """Find descriptors, credentials and a pidfd (or the -errno in its place) in control messages."""
    fds, credentials, pidfd = array("i"), None, None
    for level, kind, content in beside:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(content[: len(content) // _INT * _INT])
        elif (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS) and len(content) == _UCRED:
            credentials = Credentials.unpack(content)
        elif (level, kind) == (socket.SOL_SOCKET, libc.SCM_PIDFD) and len(content) == _INT:
            (pidfd,) = array("i", content)
    return fds, credentials, pidfd
