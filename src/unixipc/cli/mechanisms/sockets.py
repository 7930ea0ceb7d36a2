"""socket(7): unix(7), and for comparison tcp(7) and udp(7)."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from unixipc import libc, sockets
from unixipc.cli.exchange import ROUNDS, SIZE, Exchange, Side, expect
from unixipc.cli.tour import Family

family = Family()

_MESSAGES = f"{ROUNDS} x {SIZE} bytes each way"
_LOOPBACK = ("127.0.0.1", 0)


def _side(made: socket.socket) -> Side:
    def send(data: bytes) -> None:
        expect(made.send(data), len(data), "bytes sent")

    return Side(send, lambda: made.recv(SIZE, socket.MSG_WAITALL), made.close)


def _pair(exchange: Exchange, kind: int) -> tuple[sockets.UnixSocket, sockets.UnixSocket]:
    one, other = sockets.pair(kind)
    exchange.defer(one.close)
    exchange.defer(other.close)
    ends = [Path(f"/proc/self/fd/{made.fileno()}").readlink() for made in (one, other)]
    exchange.object = " ".join(map(str, ends))
    return one, other


def _ping_pong_over(exchange: Exchange, kind: int) -> float:
    one, other = _pair(exchange, kind)
    return exchange.ping_pong(lambda: _side(one), lambda: _side(other))


@family.mechanism("Unix stream pair", calls="socketpair send recv", travels=_MESSAGES)
def unix_stream_pair(exchange: Exchange) -> float:
    """Use a stream that both children inherit."""
    return _ping_pong_over(exchange, socket.SOCK_STREAM)


@family.mechanism("Unix datagram pair", calls="socketpair send recv", travels=_MESSAGES)
def unix_datagram_pair(exchange: Exchange) -> float:
    """Send datagrams, which keep their boundaries."""
    return _ping_pong_over(exchange, socket.SOCK_DGRAM)


@family.mechanism("Unix seqpacket pair", calls="socketpair send recv", travels=_MESSAGES)
def unix_seqpacket_pair(exchange: Exchange) -> float:
    """Send records, which keep their boundaries and have an end."""
    return _ping_pong_over(exchange, socket.SOCK_SEQPACKET)


def _through(exchange: Exchange, address: sockets.Address, kind: int) -> float:
    listener = sockets.listen(address, kind)
    exchange.defer(listener.close)
    return exchange.ping_pong(
        lambda: _side(sockets.connect(address, kind)),
        lambda: _side(listener.accept()[0]),
    )


@family.mechanism("Unix stream", calls="socket bind listen connect accept send recv", travels=_MESSAGES)
def unix_stream(exchange: Exchange) -> float:
    """Connect by the path of a socket."""
    path = exchange.path("socket")
    exchange.object = str(path)
    return _through(exchange, path, socket.SOCK_STREAM)


@family.mechanism("Unix abstract name", calls="socket bind listen connect accept send recv", travels=_MESSAGES)
def unix_abstract_name(exchange: Exchange) -> float:
    """Connect by a name that has no file."""
    name = f"unixipc-tour-{os.getpid()}"
    exchange.object = f"@{name}"
    return _through(exchange, sockets.abstract(name), socket.SOCK_SEQPACKET)


@family.mechanism(
    "descriptor passing",
    calls="socketpair sendmsg recvmsg pipe write read",
    travels=f"{ROUNDS} x {SIZE} bytes there, with a pipe for those back",
)
def descriptor_passing(exchange: Exchange) -> float:
    """Send the end of a pipe with each question; the answer comes through it."""
    one, other = _pair(exchange, socket.SOCK_SEQPACKET)

    def ping() -> Side:
        pipes = []

        def send(data: bytes) -> None:
            reads, writes = libc.pipe()
            one.send_message(data, descriptors=[writes])
            os.close(writes)
            pipes.append(reads)

        def receive() -> bytes:
            reads = pipes.pop()
            data = libc.read(reads, SIZE)
            os.close(reads)
            return data

        return Side(send, receive)

    def pong() -> Side:
        questions: list[sockets.Message] = []

        def receive() -> bytes:
            questions.append(other.receive_message(SIZE, max_descriptors=1))
            return questions[0].data

        def send(data: bytes) -> None:
            with questions.pop() as question:
                libc.write(question.descriptors[0], data)

        return Side(send, receive)

    return exchange.ping_pong(ping, pong)


@family.mechanism(
    "credentials",
    calls="socketpair setsockopt sendmsg recvmsg",
    travels=f"{ROUNDS} x {SIZE} bytes and a pid each way",
)
def credentials(exchange: Exchange) -> float:
    """Have the kernel vouch for the pid that each message names."""
    one, other = _pair(exchange, socket.SOCK_SEQPACKET)
    one.wants_credentials = other.wants_credentials = True

    def side(made: sockets.UnixSocket) -> Side:
        def send(data: bytes) -> None:
            made.send_message(b"%d %s" % (os.getpid(), data))

        def receive() -> bytes:
            message = made.receive_message(2 * SIZE)
            pid, _, data = message.data.partition(b" ")
            expect(message.credentials, sockets.Credentials(int(pid), os.getuid(), os.getgid()), "credentials")
            return data

        return Side(send, receive)

    return exchange.ping_pong(lambda: side(one), lambda: side(other))


def _internet(exchange: Exchange, kind: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, kind)
    exchange.defer(made.close)
    made.bind(_LOOPBACK)
    return made


def _named(made: socket.socket) -> str:
    host, port = made.getsockname()
    return f"{host}:{port}"


@family.mechanism("TCP", calls="socket bind listen connect accept send recv", travels=_MESSAGES)
def tcp(exchange: Exchange) -> float:
    """Connect through the Internet's protocols, over the loopback."""
    listener = _internet(exchange, socket.SOCK_STREAM)
    listener.listen()
    exchange.object = _named(listener)

    def ping() -> Side:
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.connect(listener.getsockname())
        return _side(made)

    return exchange.ping_pong(ping, lambda: _side(listener.accept()[0]))


@family.mechanism("UDP", calls="socket bind sendto recvfrom", travels=_MESSAGES)
def udp(exchange: Exchange) -> float:
    """Send datagrams from one port of the loopback to another."""
    one, other = _internet(exchange, socket.SOCK_DGRAM), _internet(exchange, socket.SOCK_DGRAM)
    exchange.object = f"{_named(one)} {_named(other)}"

    def side(mine: socket.socket, theirs: socket.socket) -> Side:
        address = theirs.getsockname()

        def receive() -> bytes:
            data, sender = mine.recvfrom(SIZE)
            expect(sender, address, "sender")
            return data

        return Side(lambda data: mine.sendto(data, address), receive)

    return exchange.ping_pong(lambda: side(one, other), lambda: side(other, one))
