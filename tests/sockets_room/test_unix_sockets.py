"""unixipc.sockets: Unix sockets that are made, found by their names, and used as any socket is."""

from __future__ import annotations

import asyncio
import errno
import os
import selectors
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from nobody import NOBODY
from until import until_blocked

from unixipc import libc, sockets
from unixipc.sockets import UnixSocket, making
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork

STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET
ABSTRACT = sockets.abstract(f"unixipc-{os.getpid()}")


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A path short enough for a socket, whatever the temporary folder is called."""
    monkeypatch.chdir(tmp_path)
    return "socket"


def leave_behind(fork: Fork, path: str, kind: int = STREAM) -> None:
    """Leave the file of a socket whose process was killed."""

    def serve() -> None:
        made = sockets.bind(path, DGRAM) if kind == DGRAM else sockets.listen(path, kind)
        ready.open()
        with made:
            libc.pause()

    with Gate() as ready:
        child = fork(serve)
        ready.wait()
        child.kill(libc.SIGKILL)
        child.wait()


# -- pairs --


@pytest.mark.parametrize("kind", [STREAM, DGRAM, SEQPACKET])
def test_a_pair_connects_two_processes_both_ways(fork: Fork, kind: int) -> None:
    ours, theirs = sockets.pair(kind)

    def answer() -> None:
        ours.close()
        theirs.sendall(theirs.recv(100).upper())

    with ours, theirs:
        child = fork(answer)
        ours.sendall(b"hello")
        assert ours.recv(100) == b"HELLO"
        child.result()
        assert {type(ours), type(theirs)} == {UnixSocket}
        assert not ours.get_inheritable()


@pytest.mark.parametrize("kind", [DGRAM, SEQPACKET])
def test_messages_keep_their_boundaries_also_when_they_are_empty(kind: int) -> None:
    one, other = sockets.pair(kind)
    with one, other:
        for data in (b"first", b"", b"x" * 10_000, b"last"):
            one.send(data)
        received = [other.receive_message(20_000) for _ in range(4)]
        assert [(len(message.data), message.truncated) for message in received] == [
            (5, False),
            (0, False),
            (10_000, False),
            (4, False),
        ]


@pytest.mark.parametrize("kind", [DGRAM, SEQPACKET])
def test_what_did_not_fit_is_lost_and_told(kind: int) -> None:
    one, other = sockets.pair(kind)
    with one, other:
        one.send(b"too long")
        one.send(b"next")
        message = other.receive_message(3)
        assert (message.data, message.truncated) == (b"too", True)
        assert other.receive_message(10).data == b"next"


# -- names --


@pytest.mark.parametrize("kind", [STREAM, SEQPACKET])
@pytest.mark.parametrize("name", ["path", "abstract"])
def test_who_knows_the_name_connects(fork: Fork, path: str, kind: int, name: str) -> None:
    address = path if name == "path" else ABSTRACT

    def ask() -> bytes:
        with sockets.connect(address, kind) as made:
            assert made.getpeername() == address
            made.send(b"hello")
            return made.recv(10)

    with sockets.listen(address, kind) as listener:
        child = fork(ask)
        accepted, _ = listener.accept()
        with accepted:
            assert (type(accepted), accepted.type) == (UnixSocket, kind)
            accepted.send(accepted.recv(10).upper())
        assert child.result() == b"HELLO"
        if name == "path":
            listener.unlink()
    assert not Path(path).exists()


@pytest.mark.parametrize("kind", [Path, str, os.fsencode])
def test_a_path_may_be_of_any_type(path: str, kind: Callable[[str], Any]) -> None:
    with sockets.bind(kind(path)) as receiver, sockets.connect(kind(path), DGRAM) as sender:
        sender.send(b"hello")
        assert receiver.recv(10) == b"hello"
        receiver.unlink()


def test_datagrams_tell_the_address_of_their_sender(path: str) -> None:
    with sockets.bind(ABSTRACT) as one, sockets.bind(path) as other, UnixSocket(type=DGRAM) as nameless:
        one.send_message(b"from one", to=path)
        other.send_message(b"from the other", to=ABSTRACT)
        nameless.send_message(b"from somebody", to=ABSTRACT)
        assert (other.receive_message(99).address, one.receive_message(99).address) == (ABSTRACT, path)
        assert one.receive_message(99).address is None
        other.unlink()


def test_the_kernel_chooses_a_name_for_none() -> None:
    with sockets.listen(None) as one, sockets.listen(None) as other:
        assert one.getsockname() != other.getsockname()
        with sockets.connect(one.getsockname()) as connected:
            assert connected.getpeername() == one.getsockname()


def test_a_process_that_only_knows_an_abstract_name_takes_part() -> None:
    code = """
import sys
from unixipc import sockets
with sockets.connect(sockets.abstract(sys.argv[1]), 5) as made:
    with made.receive_message(100, max_descriptors=1) as message:
        with open(message.detach(message.descriptors[0]), "w") as file:
            file.write(message.data.decode().upper())
    made.send(b"done")
"""
    reads, writes = os.pipe()
    with sockets.listen(ABSTRACT, SEQPACKET) as listener:
        command = [sys.executable, "-c", code, os.fsdecode(ABSTRACT[1:])]
        with subprocess.Popen(command) as stranger:
            accepted, _ = listener.accept()
            with accepted:
                accepted.send_message(b"hello", descriptors=[writes])
                os.close(writes)
                assert accepted.recv(10) == b"done"
            assert stranger.wait(DEADLINE) == 0
    assert os.read(reads, 100) == b"HELLO"
    os.close(reads)


@pytest.mark.parametrize(
    ("mode", "umask", "expected"), [(0o600, 0o022, 0o600), (0o666, 0o022, 0o644), (0o777, 0, 0o777), (0, 0, 0)]
)
def test_the_file_has_the_mode_asked_for_less_the_umask(path: str, mode: int, umask: int, expected: int) -> None:
    before = os.umask(umask)
    try:
        with sockets.listen(path, mode=mode) as listener:
            assert stat.S_IMODE(Path(path).stat().st_mode) == expected
            listener.unlink()
    finally:
        os.umask(before)


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize("kind", [STREAM, DGRAM, SEQPACKET])
def test_another_user_is_refused_by_the_mode(fork: Fork, path: str, tmp_path: Path, kind: int) -> None:
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)

    def try_it() -> None:
        os.setuid(NOBODY)
        sockets.connect(path, kind)

    with sockets.bind(path) if kind == DGRAM else sockets.listen(path, kind) as made:
        with pytest.raises(PermissionError, match=f"connect.'{path}'.*refuses this user"):
            fork(try_it).result()
        Path(path).chmod(0o666)
        fork(try_it).result()
        made.unlink()


# -- names that are taken, or nobody's --


@pytest.mark.parametrize("replace_stale", [False, True])
def test_a_name_in_use_is_never_taken_away(path: str, replace_stale: bool) -> None:
    with sockets.listen(path, backlog=0) as listener:
        waiting = [sockets.connect(path)]
        for kind in (STREAM, SEQPACKET):
            with pytest.raises(OSError, match=f"listen.'{path}'.: Address already in use: .*replace_stale") as raised:
                sockets.listen(path, kind, replace_stale=replace_stale)
            assert raised.value.errno == errno.EADDRINUSE
        accepted, _ = listener.accept()
        accepted.close()
        for made in waiting:
            made.close()
        listener.unlink()


@pytest.mark.parametrize("replace_stale", [False, True])
def test_an_abstract_name_in_use_says_so(replace_stale: bool) -> None:
    with (
        sockets.listen(ABSTRACT),
        pytest.raises(OSError, match="Address already in use: a socket has this name already"),
    ):
        sockets.listen(ABSTRACT, replace_stale=replace_stale)


def make_file(path: Path) -> None:
    path.write_text("precious")


def make_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("make", [make_file, make_link, Path.mkdir, os.mkfifo])
def test_what_is_no_socket_is_never_removed(path: str, make: Callable[[Path], object]) -> None:
    make(Path(path))
    with pytest.raises(OSError, match="Address already in use"):
        sockets.listen(path, replace_stale=True)
    assert os.path.lexists(path)


@pytest.mark.parametrize("kind", [STREAM, DGRAM, SEQPACKET])
def test_what_a_killed_process_left_is_replaced_when_that_is_asked_for(fork: Fork, path: str, kind: int) -> None:
    make = sockets.bind if kind == DGRAM else sockets.listen
    leave_behind(fork, path, kind)
    with pytest.raises(ConnectionRefusedError, match="nobody listens there"):
        sockets.connect(path, kind)
    with pytest.raises(OSError, match="unlink it, or have it replaced by replace_stale=True"):
        make(path, kind)
    with make(path, kind, replace_stale=True) as made, sockets.connect(path, kind):
        made.unlink()


def test_replacing_needs_nothing_to_replace(path: str) -> None:
    with sockets.listen(path, replace_stale=True) as listener:
        listener.unlink()


def test_of_many_who_replace_it_at_once_one_gets_the_name(fork: Fork, path: str) -> None:
    def serve() -> bool:
        start.wait()
        try:
            made = sockets.listen(path, replace_stale=True)
        except OSError as error:
            tried.open()
            return error.errno != errno.EADDRINUSE
        with made:
            tried.open()
            done.wait()
        return True

    for _ in range(10):
        leave_behind(fork, path)
        with Gate() as start, Gate() as tried, Gate() as done:
            children = [fork(serve) for _ in range(4)]
            start.open(4)
            for _ in children:
                tried.wait()
            sockets.connect(path).close()
            done.open(4)
            assert sum(child.result() for child in children) == 1
        Path(path).unlink()


def test_who_has_bound_but_not_yet_listened_is_not_taken_for_dead(fork: Fork, path: str) -> None:
    def serve_slowly() -> None:
        class Slow(UnixSocket):
            def listen(self, *args: Any) -> None:
                bound.open()
                go_on.wait()
                super().listen(*args)

        with patch.object(making, "UnixSocket", Slow), sockets.listen(path, replace_stale=True):
            listening.open()
            done.wait()

    def replace() -> None:
        ready.open()
        with sockets.listen(path, replace_stale=True):
            pass

    leave_behind(fork, path)
    with Gate() as bound, Gate() as go_on, Gate() as ready, Gate() as listening, Gate() as done:
        first = fork(serve_slowly)
        bound.wait()
        second = fork(replace)
        ready.wait()
        until_blocked(second)  # by the lock of the folder
        go_on.open()
        listening.wait()
        with pytest.raises(OSError, match="Address already in use"):
            second.result()
        sockets.connect(path).close()
        done.open()
        first.result()


def test_unlinking_removes_the_file_and_who_is_connected_goes_on(path: str) -> None:
    with sockets.listen(path) as listener, sockets.connect(path) as ours:
        listener.unlink()
        accepted, _ = listener.accept()
        with accepted:
            ours.send(b"still here")
            assert accepted.recv(99) == b"still here"
        with pytest.raises(FileNotFoundError):
            listener.unlink()
    for address in (ABSTRACT, None):
        with sockets.listen(address) as listener, pytest.raises(ValueError, match="no file to remove"):
            listener.unlink()


def test_a_with_block_closes_and_does_not_unlink(path: str) -> None:
    with sockets.listen(path) as listener:
        pass
    assert (listener.fileno(), Path(path).is_socket()) == (-1, True)
    listener.close()


# -- connecting --


def test_what_is_not_there_says_so(path: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"connect.'{path}'.: .*: no socket has this name"):
        sockets.connect(path)
    with pytest.raises(ConnectionRefusedError, match="no socket has this name, or it does not listen"):
        sockets.connect(ABSTRACT)
    with pytest.raises(FileNotFoundError, match="there is no such folder"):
        sockets.listen("nowhere/socket")
    with pytest.raises(FileNotFoundError):
        sockets.listen("nowhere/socket", replace_stale=True)
    with sockets.listen(path) as listener:
        with pytest.raises(OSError, match="the socket there is of another kind"):
            sockets.connect(path, DGRAM)
        listener.unlink()


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_full_backlog_is_waited_for_no_longer_than_asked(timeout: float) -> None:
    with sockets.listen(ABSTRACT, backlog=0), sockets.connect(ABSTRACT, timeout=timeout) as first:
        with pytest.raises(TimeoutError, match="the listener's backlog was full all the time"):
            sockets.connect(ABSTRACT, timeout=timeout)
        assert first.gettimeout() is None
        assert not any(first.getsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, 16))


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_wait_for_room_in_the_backlog_goes_on_after_a_signal(fork: Fork, timeout: float | None) -> None:
    """The standard library's connect takes the interrupted call for a success, and leaves the socket unconnected."""

    def connect() -> bytes:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: handled.open()))
        ready.open()
        with sockets.connect(ABSTRACT, timeout=timeout) as made:
            return made.recv(10)

    with Gate() as ready, Gate() as handled, sockets.listen(ABSTRACT, backlog=0) as listener:
        with sockets.connect(ABSTRACT):
            child = fork(connect)
            ready.wait()
            for _ in range(3):
                until_blocked(child)
                child.kill(libc.SIGUSR1)
                handled.wait()
            listener.accept()[0].close()
        accepted, _ = listener.accept()
        with accepted:
            accepted.send(b"welcome")
        assert child.result() == b"welcome"


def test_what_a_handler_raises_comes_out_of_connect(fork: Fork) -> None:
    def fail(signum: int) -> None:
        raise ZeroDivisionError("raised by the handler")

    def connect() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(fail))
        ready.open()
        sockets.connect(ABSTRACT)

    with Gate() as ready, sockets.listen(ABSTRACT, backlog=0), sockets.connect(ABSTRACT):
        child = fork(connect)
        ready.wait()
        until_blocked(child)
        child.kill(libc.SIGUSR1)
        with pytest.raises(ZeroDivisionError, match="raised by the handler"):
            child.result()


def test_sockets_that_are_made_take_the_default_timeout() -> None:
    socket.setdefaulttimeout(7)
    try:
        with sockets.listen(ABSTRACT) as listener, sockets.connect(ABSTRACT) as made:
            accepted, _ = listener.accept()
            one, other = sockets.pair()
            with accepted, one, other:
                found = [each.gettimeout() for each in (listener, made, accepted, one, other)]
    finally:
        socket.setdefaulttimeout(None)
    assert found == [7] * 5


# -- as any socket --


def test_a_timeout_of_the_socket_holds() -> None:
    one, other = sockets.pair(SEQPACKET)
    with one, other, sockets.listen(ABSTRACT) as listener:
        for made in (one, listener):
            made.settimeout(0.01)
        with pytest.raises(TimeoutError):
            one.receive_message(10)
        with pytest.raises(TimeoutError):
            listener.accept()
        one.settimeout(0)
        with pytest.raises(BlockingIOError):
            one.receive_message(10)


def test_selectors_work_with_it() -> None:
    one, other = sockets.pair()
    with one, other, selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ)
        assert selector.select(0) == []
        other.send_message(b"x")
        assert [key.fileobj for key, _ in selector.select(DEADLINE)] == [one]


def test_asyncio_works_with_it() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(10)).upper())
        writer.close()
        await writer.wait_closed()

    async def run() -> bytes:
        async with await asyncio.start_unix_server(answer, sock=sockets.listen(ABSTRACT)):
            reader, writer = await asyncio.open_unix_connection(sock=sockets.connect(ABSTRACT))
            writer.write(b"hello")
            answered = await reader.read(10)
            writer.close()
            await writer.wait_closed()
            return answered

    assert asyncio.run(run()) == b"HELLO"


def test_copies_of_a_unix_socket_are_unix_sockets() -> None:
    one, other = sockets.pair()
    with one, other, one.dup() as copied, UnixSocket(fileno=os.dup(other.fileno())) as adopted:
        assert {type(copied), type(adopted)} == {UnixSocket}
        copied.send(b"x")
        assert adopted.recv(1) == b"x"


def test_a_unix_socket_is_one_of_the_family() -> None:
    with UnixSocket() as made:
        assert (made.family, made.type) == (socket.AF_UNIX, STREAM)
    with pytest.raises(ValueError, match="of the family AF_UNIX"):
        UnixSocket(socket.AF_INET)
    with socket.socket(socket.AF_INET) as other:
        with pytest.raises(ValueError, match="of the family AF_UNIX"):
            UnixSocket(fileno=other.fileno())
        with pytest.raises(ValueError, match="of the family AF_UNIX"):
            UnixSocket.adopt(other)
        assert os.fstat(other.fileno()), "it was not closed"


def test_a_socket_that_is_dropped_open_is_closed_with_a_warning() -> None:
    with pytest.warns(ResourceWarning, match="unclosed <unixipc.sockets.*UnixSocket"):
        UnixSocket()


# -- bad input --


@pytest.mark.parametrize("make", [sockets.listen, sockets.bind, sockets.connect])
@pytest.mark.parametrize(
    ("address", "kind", "text"),
    [
        ("", ValueError, "an address is a path"),
        (b"", ValueError, "an address is a path"),
        ("a\0b", ValueError, "contains a NUL"),
        (b"a\0", ValueError, "contains a NUL"),
        ("\ud800", ValueError, "surrogates not allowed"),
        ("x" * 108, OSError, "has at most 107 bytes, and this one has 108: a path from the working directory"),
        ("ä" * 54, OSError, "this one has 108"),
        ("x" * 100_000, OSError, "File name too long"),
        (b"\0" + b"x" * 108, OSError, "has at most 107 bytes, and this one has 108$"),
        (5, TypeError, "not int"),
        (["path"], TypeError, "not list"),
    ],
    ids=range(11),
)
def test_a_bad_address_is_refused(
    make: Callable[[Any], object], address: Any, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text):
        make(address)


def test_names_of_the_greatest_length_work(path: str) -> None:
    longest = f"{os.getpid()}".ljust(107, "x")
    for name in (longest, sockets.abstract(longest), sockets.abstract(b"\0a\0" * 33 + b"%08d" % os.getpid())):
        with sockets.listen(name) as listener, sockets.connect(name) as made:
            assert made.getpeername() == name
            if isinstance(name, str):
                listener.unlink()


@pytest.mark.parametrize("name", [None, 5, ["x"], Path("x")])
def test_an_abstract_name_is_text_or_bytes(name: Any) -> None:
    with pytest.raises(TypeError, match="a name is a str or bytes"):
        sockets.abstract(name)


def test_an_abstract_name_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one byte"):
        sockets.abstract("")
    with pytest.raises(OSError, match="File name too long"):
        sockets.abstract("x" * 108)
    with pytest.raises(UnicodeEncodeError):
        sockets.abstract("\ud800")


@pytest.mark.parametrize(
    "make", [sockets.pair, lambda k: sockets.connect("x", k), lambda k: sockets.bind("x", k)], ids=range(3)
)
def test_a_bad_kind_is_refused(make: Callable[[Any], object]) -> None:
    for kind in (0, -1, 3, 99, 2**70, STREAM | socket.SOCK_NONBLOCK):
        with pytest.raises(ValueError, match="the kind is"):
            make(kind)
    for wrong in ("1", None, 1.0):
        with pytest.raises(TypeError):
            make(wrong)


def test_bad_arguments_are_refused_and_leave_nothing(path: str) -> None:
    with pytest.raises(ValueError, match="a socket for datagrams does not listen: bind"):
        sockets.listen(path, DGRAM)
    for mode in (-1, 0o1000, 2**70):
        with pytest.raises(ValueError, match="it must be permissions"):
            sockets.listen(path, mode=mode)
    for timeout in (-1, float("nan")):
        with pytest.raises(ValueError, match="a timeout is"):
            sockets.connect(path, timeout=timeout)
    with pytest.raises(TypeError):
        sockets.connect(path, timeout="1")  # type: ignore[arg-type]
    for address in (ABSTRACT, path):
        with pytest.raises(OverflowError):
            sockets.listen(address, backlog=2**70)
        with pytest.raises(TypeError):
            sockets.listen(address, backlog="1")  # type: ignore[arg-type]
    with sockets.listen(ABSTRACT, backlog=-5):
        sockets.connect(ABSTRACT, timeout=float("inf")).close()
    assert not Path(path).exists()
