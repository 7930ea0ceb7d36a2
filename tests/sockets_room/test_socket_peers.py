"""unixipc.sockets: who is at the other end."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
from nobody import needs_root

from unixipc import libc, sockets
from unixipc.sockets import Credentials, UnixSocket
from unixipc.testing import Gate

if TYPE_CHECKING:
    from unixipc.testing.plugin import Fork

ABSTRACT = sockets.abstract(f"unixipc-peers-{os.getpid()}")


def peer_pidfd(made: UnixSocket) -> int:
    try:
        return made.peer_pidfd()
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            pytest.skip("SO_PEERPIDFD needs Linux 6.5")
        raise


def test_both_ends_of_a_pair_are_who_made_it(fork: Fork) -> None:
    one, other = sockets.pair()
    maker = Credentials(os.getpid(), os.getuid(), os.getgid())
    with one, other:
        assert fork(lambda: (one.peer_credentials(), other.peer_credentials())).result() == (maker, maker)


def test_each_end_of_a_connection_knows_the_other(fork: Fork) -> None:
    def connect() -> Credentials:
        with sockets.connect(ABSTRACT) as made:
            made.recv(1)
            return made.peer_credentials()

    with sockets.listen(ABSTRACT) as listener:
        child = fork(connect)
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.peer_credentials() == Credentials(child.pid, os.getuid(), os.getgid())
        assert child.result() == Credentials(os.getpid(), os.getuid(), os.getgid())


@needs_root
def test_the_ids_are_those_of_the_moment_of_connecting(fork: Fork) -> None:
    def connect() -> None:
        os.setgroups([11, 22, 33])
        os.setegid(55)
        os.seteuid(44)
        with sockets.connect(ABSTRACT) as made:
            os.seteuid(0)
            os.setgroups([])
            made.send(b"x")
            made.recv(1)

    with sockets.listen(ABSTRACT) as listener:
        child = fork(connect)
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(1)
            assert accepted.peer_credentials() == Credentials(child.pid, 44, 55)
            assert accepted.peer_groups() == [11, 22, 33]
        child.result()


@needs_root
def test_groups_from_none_to_the_most_that_can_be_told(fork: Fork) -> None:
    def connect() -> None:
        for count in (0, 1, 256, 257):
            os.setgroups(range(count))
            sockets.connect(ABSTRACT).close()

    with sockets.listen(ABSTRACT) as listener:
        child = fork(connect)
        for count in (0, 1, 256):
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.peer_groups() == list(range(count))
        accepted, _ = listener.accept()
        with accepted, pytest.raises(OSError, match="more than 256 groups") as raised:
            accepted.peer_groups()
        assert raised.value.errno == errno.ERANGE
        child.result()


def test_a_pidfd_of_the_peer_refers_to_it(fork: Fork) -> None:
    def connect() -> None:
        with sockets.connect(ABSTRACT):
            libc.pause()

    with sockets.listen(ABSTRACT) as listener:
        child = fork(connect)
        accepted, _ = listener.accept()
        with accepted:
            pidfd = peer_pidfd(accepted)
            assert not os.get_inheritable(pidfd)
            libc.pidfd_send_signal(pidfd, libc.SIGKILL)
            assert child.wait().signal == libc.SIGKILL
            with pytest.raises(ProcessLookupError):
                libc.pidfd_send_signal(pidfd, 0)
            os.close(pidfd)
            assert accepted.peer_credentials().pid == child.pid, "the pid alone says nothing of its end"


def test_a_socket_without_a_peer_says_so(fork: Fork) -> None:
    with UnixSocket() as stream, sockets.bind(None) as datagrams:
        for made in (stream, datagrams):
            with pytest.raises(OSError, match="the socket is not connected, and was not made by pair") as raised:
                made.peer_credentials()
            assert raised.value.errno == errno.ENOTCONN
            for use in (made.peer_groups, made.peer_pidfd):
                with pytest.raises(OSError, match=r"is not connected|needs Linux 6\.5"):
                    use()


def test_who_inherited_the_socket_is_not_the_peer_but_the_sender(fork: Fork) -> None:
    with sockets.listen(ABSTRACT) as listener, sockets.connect(ABSTRACT) as made, Gate() as gate:
        accepted, _ = listener.accept()
        with accepted:
            accepted.wants_credentials = True

            def send() -> None:
                made.send_message(b"from the child")
                gate.wait()

            child = fork(send)
            message = accepted.receive_message(99)
            assert message.credentials is not None
            assert (accepted.peer_credentials().pid, message.credentials.pid) == (os.getpid(), child.pid)
            gate.open()
            child.result()
