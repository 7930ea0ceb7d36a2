"""unixipc.inventory: Unix sockets in use, their names and their peers."""

from __future__ import annotations

import os
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from unixipc import inventory

if TYPE_CHECKING:
    from pathlib import Path

NAME = f"unixipc-inventory-{os.getpid()}"


def socket_of(end: socket.socket) -> inventory.UnixSocket:
    inode = os.fstat(end.fileno()).st_ino
    (found,) = (one for one in inventory.sockets() if one.inode == inode)
    return found


def test_a_pair_of_sockets_knows_its_ends_and_what_waits_in_them() -> None:
    one, other = socket.socketpair()
    with one, other:
        one.sendall(b"hello")
        first, second = socket_of(one), socket_of(other)
        assert (first.state, first.type, first.name) == (inventory.SocketState.CONNECTED, socket.SOCK_STREAM, None)
        if first.peer is None:
            pytest.skip("the kernel has no CONFIG_UNIX_DIAG")
        assert (first.peer, second.peer) == (second.inode, first.inode)
        assert (second.received, first.uid) == (5, os.geteuid())
        assert inventory.holders(first).known[0].descriptors == (inventory.Descriptor(one.fileno(), "rw"),)
        assert inventory.holders(first) == inventory.look().holders(first)


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
def test_sockets_are_listed_by_path_and_by_abstract_name(tmp_path: Path, kind: socket.SocketKind) -> None:
    path = f"{tmp_path}/@s o"
    with socket.socket(socket.AF_UNIX, kind) as named, socket.socket(socket.AF_UNIX, kind) as abstract:
        named.bind(path)
        abstract.bind(f"\0{NAME}\0more")
        first, second = socket_of(named), socket_of(abstract)
        assert (first.name, first.abstract, first.type, first.peer) == (path, False, kind, None)
        assert (second.name, second.abstract) == (f"{NAME}\0more", True)
        assert first.state == inventory.SocketState.UNCONNECTED


def test_a_relative_path_is_not_taken_for_an_abstract_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as end:
        end.bind("@name")
        found = socket_of(end)
        assert (found.name, found.abstract) == ("@name", False)


def test_a_listening_socket_tells_who_waits_to_be_accepted(tmp_path: Path) -> None:
    path = str(tmp_path / "listens")
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as client:
        listener.bind(path)
        listener.listen(7)
        client.connect(path)
        found = socket_of(listener)
        assert (found.state, found.received, found.sent) == (inventory.SocketState.LISTENING, 1, 7)
        accepted, _ = listener.accept()
        with accepted:
            assert socket_of(client).peer == socket_of(accepted).inode
            assert (socket_of(accepted).name, socket_of(listener).received) == (path, 0)


def test_without_sock_diag_sockets_are_listed_by_proc_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "named")
    with socket.socket(socket.AF_UNIX) as named, socket.socket(socket.AF_UNIX) as abstract:
        named.bind(path)
        abstract.bind(f"\0{NAME}")
        monkeypatch.setattr(sys.modules["unixipc.inventory.sockets"], "_known", lambda: None)
        first, second = socket_of(named), socket_of(abstract)
        assert (first.name, first.abstract, first.peer, first.uid) == (path, False, None, None)
        assert (second.name, second.abstract) == (NAME, True)
