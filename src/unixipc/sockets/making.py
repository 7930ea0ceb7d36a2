"""Unix sockets that are ready for use: unix(7)."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
from contextlib import contextmanager, nullcontext, suppress
from operator import index
from pathlib import Path
from typing import TYPE_CHECKING

from unixipc._check import Deadline, timespec
from unixipc.sockets.addresses import Address, check_address, explained, is_abstract
from unixipc.sockets.unixsocket import UnixSocket

if TYPE_CHECKING:
    from collections.abc import Iterator

_LEAST = 1e-6  # seconds: 0 would mean for ever
_STREAM, _DGRAM, _SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET

_CONNECTING = {
    errno.EACCES: "the mode of the socket's file, or of a folder, refuses this user",
    errno.ECONNREFUSED: "nobody listens there, or not any more",
    errno.ENOENT: "no socket has this name",
    errno.EPROTOTYPE: "the socket there is of another kind",
    errno.ETIMEDOUT: "the listener's backlog was full all the time",
}
_CONNECTING_ABSTRACT = _CONNECTING | {errno.ECONNREFUSED: "no socket has this name, or it does not listen"}
_BINDING = {
    errno.EADDRINUSE: "there is a file already; if it is a socket that its process has left behind, unlink it,"
    " or have it replaced by replace_stale=True",
    errno.ENOENT: "there is no such folder",
}
_BINDING_ABSTRACT = {errno.EADDRINUSE: "a socket has this name already"}


def pair(kind: int = _STREAM) -> tuple[UnixSocket, UnixSocket]:
    """Make two sockets that are connected to each other: a stream, datagrams (SOCK_DGRAM) or records (SOCK_SEQPACKET).

    Datagrams between them are neither lost nor out of order; SOCK_SEQPACKET also has an end, as a stream has.
    """
    one, other = socket.socketpair(socket.AF_UNIX, _check_kind(kind))
    return UnixSocket.adopt(one), UnixSocket.adopt(other)


def listen(
    address: Address | None,
    kind: int = _STREAM,
    *,
    mode: int = 0o600,
    backlog: int | None = None,
    replace_stale: bool = False,
) -> UnixSocket:
    """Bind a socket to a name and listen there; OSError (EADDRINUSE) if the name is taken.

    The file has the mode asked for, less the umask; to connect one must be allowed to write. It stays until somebody
    unlinks it. With `replace_stale` a file is removed that is a socket where nobody listens, which is what a process
    that was killed leaves behind. Two who do so at once do not harm each other: the folder is locked (flock(2))
    meanwhile. The address None has the kernel choose a free abstract name; `getsockname` tells it.
    """
    if _check_kind(kind) == _DGRAM:
        raise ValueError("a socket for datagrams does not listen: bind() it")
    return _bind("listen", address, kind, mode, replace_stale=replace_stale, listens=True, backlog=backlog)


def bind(address: Address | None, kind: int = _DGRAM, *, mode: int = 0o600, replace_stale: bool = False) -> UnixSocket:
    """Bind a socket to a name, as `listen` does: mostly one for datagrams, which needs no more to receive them."""
    return _bind("bind", address, _check_kind(kind), mode, replace_stale=replace_stale)


def connect(address: Address, kind: int = _STREAM, *, timeout: float | None = None) -> UnixSocket:
    """Connect a socket to the name of one that listens, or that receives datagrams.

    It waits while the listener's backlog is full, for `timeout` seconds at most; TimeoutError when it still is. What
    is connected blocks until it is told otherwise (`settimeout`).
    """
    target, deadline = check_address(address, "connect"), Deadline(timeout)
    advice = _CONNECTING_ABSTRACT if is_abstract(target) else _CONNECTING
    made = UnixSocket(type=_check_kind(kind))
    try:
        _connect(made, target, deadline)
    except BaseException as error:
        made.close()
        if isinstance(error, OSError):
            raise explained(error, "connect", repr(address), advice=advice) from None
        raise
    return made


def _connect(made: UnixSocket, target: bytes, deadline: Deadline) -> None:
    """Connect in time, by the kernel's own timeout: a socket that does not block is refused by a full backlog."""
    usual = made.gettimeout()
    made.settimeout(None)
    while not _is_connected(made):
        if (left := deadline.left()) is not None:
            _set_send_timeout(made, max(left, _LEAST))
        try:
            made.connect(target)  # it takes an interrupted call for a success
        except BlockingIOError:
            if deadline.left() == 0:
                raise OSError(errno.ETIMEDOUT, "") from None
    _set_send_timeout(made, 0)
    made.settimeout(usual)


def _is_connected(made: UnixSocket) -> bool:
    try:
        made.getpeername()
    except OSError as error:
        if error.errno == errno.ENOTCONN:
            return False
        raise
    return True


def _set_send_timeout(made: UnixSocket, seconds: float) -> None:
    whole, nanoseconds = timespec(seconds)
    timeval = struct.pack("ll", whole, nanoseconds // 1000)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeval)


def _check_kind(kind: int) -> int:
    number = index(kind)
    if number not in (_STREAM, _DGRAM, _SEQPACKET):
        raise ValueError(f"the kind is {kind!r}: it must be SOCK_STREAM, SOCK_DGRAM or SOCK_SEQPACKET")
    return number


def _bind(
    call: str,
    address: Address | None,
    kind: int,
    mode: int,
    *,
    replace_stale: bool,
    listens: bool = False,
    backlog: int | None = None,
) -> UnixSocket:
    mode = index(mode)
    if not 0 <= mode <= 0o777:
        raise ValueError(f"the mode is {mode:#o}: it must be permissions, from 0 to 0o777")
    name = b"" if address is None else check_address(address, call)
    has_file = bool(name) and not is_abstract(name)
    replaces = replace_stale and has_file
    advice = _BINDING if has_file else _BINDING_ABSTRACT
    made = UnixSocket(type=kind)
    try:
        with _locked(name) if replaces else nullcontext():
            if has_file:
                os.fchmod(made.fileno(), mode)  # which the file will have from its first moment on
            if replaces and _is_stale(name, kind):
                with suppress(FileNotFoundError):
                    os.unlink(name)  # noqa: PTH108 - a path of bytes
            made.bind(name)
            try:
                if listens:
                    made.listen(*(() if backlog is None else (index(backlog),)))
            except BaseException:
                if has_file:
                    made.unlink()
                raise
    except BaseException as error:
        made.close()
        if isinstance(error, OSError):
            raise explained(error, call, repr(address), advice=advice) from None
        raise
    return made


@contextmanager
def _locked(name: bytes) -> Iterator[None]:
    """Keep others out who would replace a file of the same folder."""
    folder = os.open(Path(os.fsdecode(name)).parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _is_stale(name: bytes, kind: int) -> bool:
    """Whether the name is that of a socket which nobody has any more."""
    try:
        if not stat.S_ISSOCK(os.lstat(name).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.settimeout(0)
        try:
            probe.connect(name)
        except ConnectionRefusedError:
            return True
        except OSError:  # its backlog is full, it is of another kind, or not for us: it is alive
            return False
    return False
