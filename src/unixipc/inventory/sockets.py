"""Unix sockets of the network namespace: /proc/net/unix, and what sock_diag(7) knows besides."""

from __future__ import annotations

import os
import re
import socket
import struct
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Iterator

_LINE = re.compile(r"[0-9a-f]+: [0-9A-F]{8} [0-9A-F]{8} ([0-9A-F]{8}) ([0-9A-F]{4}) ([0-9A-F]{2}) +(\d+)(?: (.*))?")
_LISTENS = 0x10000  # the only flag that the kernel shows (__SO_ACCEPTCON)
_CONNECTED = 3  # SS_CONNECTED, in proc_pid_net(5)
_ROOM = 1 << 16
_HEADER = struct.Struct("=IHHII")  # struct nlmsghdr
_REQUEST = struct.Struct("=BBHIIIII")  # struct unix_diag_req
_ANSWER = struct.Struct("=BBBxIII")  # struct unix_diag_msg
_ATTRIBUTE = struct.Struct("=HH")  # struct nlattr
_WANTED = libc.UDIAG_SHOW_NAME | libc.UDIAG_SHOW_PEER | libc.UDIAG_SHOW_RQLEN | libc.UDIAG_SHOW_UID


class SocketState(StrEnum):
    """What a Unix socket does."""

    LISTENING = "listening"
    CONNECTED = "connected"
    UNCONNECTED = "unconnected"


@dataclass(frozen=True, slots=True)
class UnixSocket:
    """A Unix socket in use (unix(7)); what is None the kernel does not tell, or does not have."""

    kind: ClassVar[str] = "Unix socket"

    inode: int
    type: socket.SocketKind
    state: SocketState
    name: str | None
    """Its path, as it was bound, or its abstract name; what connects without a name has none."""
    abstract: bool
    peer: int | None
    """The inode of the socket that it is connected with."""
    uid: int | None
    received: int | None
    """Bytes that wait to be received; connections, if it listens."""
    sent: int | None
    """Bytes that its peer has not received yet; if it listens, how many connections may wait."""


@dataclass(slots=True)
class _Known:
    """What sock_diag(7) tells of one socket."""

    name: bytes = b""
    peer: int | None = None
    uid: int | None = None
    received: int | None = None
    sent: int | None = None


def sockets() -> tuple[UnixSocket, ...]:
    """List the Unix sockets of the present network namespace, but those that nobody has accepted yet."""
    try:
        lines = os.fsdecode(Path("/proc/thread-self/net/unix").read_bytes()).split("\n")
    except FileNotFoundError:
        return ()  # a kernel without CONFIG_UNIX has none
    known = _known()
    found = (_socket(line, known) for line in map(_LINE.fullmatch, lines) if line)
    return tuple(one for one in found if one is not None)


def _socket(line: re.Match[str], known: dict[int, _Known] | None) -> UnixSocket | None:
    flags, kind, connected, number, shown = line.groups()
    inode = int(number)
    if not inode or (known is not None and inode not in known):  # nobody's yet, or closed meanwhile
        return None
    told = _Known(os.fsencode(shown or "")) if known is None else known[inode]
    abstract = told.name.startswith(b"@" if known is None else b"\0")  # the file shows NULs as @
    name = told.name[1:] if abstract else told.name.removesuffix(b"\0")
    state = SocketState.CONNECTED if int(connected, 16) == _CONNECTED else SocketState.UNCONNECTED
    return UnixSocket(
        inode=inode,
        type=socket.SocketKind(int(kind, 16)),
        state=SocketState.LISTENING if int(flags, 16) & _LISTENS else state,
        name=os.fsdecode(name) if told.name else None,
        abstract=abstract,
        peer=told.peer,
        uid=told.uid,
        received=told.received,
        sent=told.sent,
    )


def _known() -> dict[int, _Known] | None:
    """Ask for all sockets; None where the kernel does not answer (CONFIG_UNIX_DIAG), or may not be asked."""
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, libc.NETLINK_SOCK_DIAG) as kernel:
            states, show = 0xFFFFFFFF, _WANTED & 0xFFFFFFFF  # without what the build's headers lacked
            request = _REQUEST.pack(socket.AF_UNIX, 0, 0, states, 0, show, 0, 0)
            flags = libc.NLM_F_REQUEST | libc.NLM_F_DUMP
            kernel.sendall(_HEADER.pack(_HEADER.size + len(request), libc.SOCK_DIAG_BY_FAMILY, flags, 1, 0) + request)
            return dict(_answers(kernel))
    except OSError:
        return None


def _answers(kernel: socket.socket) -> Iterator[tuple[int, _Known]]:
    while True:
        datagram = kernel.recv(_ROOM)
        while datagram:
            length, kind, *_ = _HEADER.unpack_from(datagram)
            if kind == libc.NLMSG_DONE:
                return
            if kind == libc.NLMSG_ERROR:
                raise OSError(-struct.unpack_from("=i", datagram, _HEADER.size)[0], "sock_diag")
            yield _answer(datagram[_HEADER.size : length])
            datagram = datagram[_aligned(length) :]


def _answer(message: bytes) -> tuple[int, _Known]:
    *_, inode, _, _ = _ANSWER.unpack_from(message)
    known, rest = _Known(), message[_ANSWER.size :]
    while rest:
        length, kind = _ATTRIBUTE.unpack_from(rest)
        value, rest = rest[_ATTRIBUTE.size : length], rest[_aligned(length) :]
        match kind:
            case libc.UNIX_DIAG_NAME:
                known.name = value
            case libc.UNIX_DIAG_PEER:
                known.peer = struct.unpack("=I", value)[0] or None
            case libc.UNIX_DIAG_RQLEN:
                known.received, known.sent = struct.unpack("=II", value)
            case libc.UNIX_DIAG_UID:
                known.uid = struct.unpack("=I", value)[0]
    return inode, known


def _aligned(length: int) -> int:
    return (length + 3) & ~3
