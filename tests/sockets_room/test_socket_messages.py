"""unixipc.sockets: descriptors and credentials that travel with messages."""

from __future__ import annotations

import array
import errno
import os
import resource
import select
import socket
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nobody import NOBODY, needs_root

from unixipc import libc, processes, sockets
from unixipc.sockets import Credentials, Message, UnixSocket
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from unixipc.testing.plugin import Fork

STREAM, DGRAM, SEQPACKET = socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET
MOST = 253


@pytest.fixture(params=[STREAM, DGRAM, SEQPACKET], ids=["stream", "dgram", "seqpacket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[UnixSocket, UnixSocket]]:
    one, other = sockets.pair(request.param)
    with one, other:
        yield one, other


@pytest.fixture
def file() -> Iterator[int]:
    """A descriptor to pass, whose inode tells it from others."""
    fd = os.memfd_create("passed")
    yield fd
    os.close(fd)


def fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def same(one: int, other: int) -> bool:
    return os.path.sameopenfile(one, other)


def me() -> Credentials:
    return Credentials(os.getpid(), os.getuid(), os.getgid())


# -- descriptors --


def test_descriptors_arrive_in_order_close_on_exec_and_stay_open_here(ends: tuple[UnixSocket, UnixSocket]) -> None:
    one, other = ends
    sent = [os.memfd_create(str(number)) for number in range(5)]
    assert one.send_message(b"five", descriptors=sent) == 4
    with other.receive_message(10, max_descriptors=5) as message:
        assert message.data == b"five"
        assert all(same(ours, theirs) for ours, theirs in zip(sent, message.descriptors, strict=True))
        assert not any(os.get_inheritable(fd) for fd in message.descriptors)
        assert not set(sent) & set(message.descriptors)
        received = message.descriptors
    assert message.descriptors == ()
    assert not any(map(is_open, received))
    for fd in sent:
        os.close(fd)


def test_descriptors_of_every_kind_work_in_another_process(fork: Fork, tmp_path: Any) -> None:
    one, other = sockets.pair(SEQPACKET)
    reads, writes = os.pipe()
    event = os.eventfd(0)
    memory = os.memfd_create("memory")
    ours, theirs = sockets.pair()
    (tmp_path / "file").write_text("content")
    folder, pidfd = os.open(tmp_path, os.O_PATH), libc.pidfd_open(os.getpid())
    epoll = select.epoll()
    epoll.register(reads, select.EPOLLIN)
    passed = [reads, writes, event, memory, folder, pidfd]

    def use() -> None:
        with other.receive_message(10, max_descriptors=8) as message:
            into, out, counter, pages, directory, process, ears, made = message.descriptors
            os.write(out, b"through the pipe")
            with select.epoll.fromfd(message.detach(ears)) as polled:
                assert polled.poll(DEADLINE)
            assert os.read(into, 99) == b"through the pipe"
            os.eventfd_write(counter, 7)
            os.pwrite(pages, b"shared", 0)
            file = os.open("file", os.O_RDONLY, dir_fd=directory)
            assert os.read(file, 99) == b"content"
            libc.pidfd_send_signal(process, 0)
            with UnixSocket(fileno=message.detach(made)) as taken:
                taken.send(b"through the socket")

    child = fork(use)
    with one, other, ours, theirs, epoll:
        one.send_message(b"use them", descriptors=[*passed, epoll, theirs])
        child.result()
        assert (os.eventfd_read(event), os.pread(memory, 99, 0)) == (7, b"shared")
        assert ours.recv(99) == b"through the socket"
    for fd in passed:
        os.close(fd)


class Temporary:
    """A file that is closed as soon as nobody has it."""

    def __init__(self) -> None:
        self._fd = os.memfd_create("temporary")

    def fileno(self) -> int:
        return self._fd

    def __del__(self) -> None:
        os.close(self._fd)


def test_what_has_a_fileno_is_passed_and_lives_until_it_is_sent(ends: tuple[UnixSocket, UnixSocket]) -> None:
    one, other = ends
    one.send_message(b"x", descriptors=(Temporary() for _ in range(2)))
    with other.receive_message(1, max_descriptors=2) as message:
        assert [os.fstat(fd).st_size for fd in message.descriptors] == [0, 0]


def test_a_message_closes_what_nobody_took_over_and_nothing_twice(file: int) -> None:
    one, other = sockets.pair()
    with one, other:
        one.send_message(b"x", descriptors=[file, file])
        with other.receive_message(1, max_descriptors=2) as message:
            taken, left = message.descriptors
            assert message.detach(taken) == taken
            with pytest.raises(ValueError, match=f"{taken} is no descriptor of .* or was handed over already"):
                message.detach(taken)
            with pytest.raises(ValueError, match="is no descriptor"):
                message.detach(file)
        again = os.dup(file)
        assert again == left, "the number is free again"
        message.close()
        assert same(taken, file)
        assert same(again, file)
        os.close(taken)
        os.close(again)


def test_a_message_that_is_dropped_closes_its_descriptors_with_a_warning(file: int) -> None:
    one, other = sockets.pair()
    with one, other:
        before = fds()
        one.send_message(b"x", descriptors=[file])
        with pytest.warns(ResourceWarning, match=r"unclosed <Message 1 bytes; descriptors \d+>"):
            other.receive_message(1, max_descriptors=1)
        assert fds() == before


@pytest.mark.parametrize("wanted", [0, 1, 2, 3])
@pytest.mark.parametrize("extra", [1, 2, 7, 100])
def test_too_many_descriptors_are_an_error_and_none_leaks(
    ends: tuple[UnixSocket, UnixSocket], file: int, wanted: int, extra: int
) -> None:
    one, other = ends
    before = fds()
    one.send_message(b"many", descriptors=[file] * (wanted + extra))
    one.send_message(b"none")
    with pytest.raises(OSError, match="more descriptors came than max_descriptors; all were closed") as raised:
        other.receive_message(4, max_descriptors=wanted)
    assert raised.value.errno == errno.EMSGSIZE
    assert fds() == before
    assert other.receive_message(4).data == b"none"


def test_fewer_descriptors_than_wanted_are_no_error(ends: tuple[UnixSocket, UnixSocket], file: int) -> None:
    one, other = ends
    for count in (0, 1, 3):
        one.send_message(b"x", descriptors=[file] * count)
        with other.receive_message(1, max_descriptors=2**60) as message:
            assert len(message.descriptors) == count


def test_a_process_without_room_for_them_gets_an_error_and_none_leaks(fork: Fork, file: int) -> None:
    one, other = sockets.pair(SEQPACKET)

    def receive() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (1000, 1000))
        held = []
        with suppress(OSError):
            while True:
                held.append(os.dup(file))
        for room in range(3):
            with pytest.raises(OSError, match="this process may open no more descriptors") as raised:
                other.receive_message(1, max_descriptors=100)
            assert raised.value.errno == errno.EMFILE
            assert other.receive_message(1).data == b"n"
            opened = [os.dup(file) for _ in range(room)]  # what came was closed
            with pytest.raises(OSError, match="Too many open files"):
                os.dup(file)
            for fd in (*opened, held.pop()):
                os.close(fd)

    with one, other:
        for _ in range(3):
            one.send_message(b"x", descriptors=[file] * 100)
            one.send_message(b"n")
        fork(receive).result()


def test_a_message_carries_no_more_than_253(ends: tuple[UnixSocket, UnixSocket], file: int) -> None:
    one, other = ends
    before = fds()
    one.send_message(b"x", descriptors=[file] * MOST)
    with other.receive_message(1, max_descriptors=MOST) as message:
        assert len(message.descriptors) == MOST
    for count in (MOST + 1, 10_000):
        with pytest.raises(OSError, match="a message carries at most 253 descriptors") as raised:
            one.send_message(b"x", descriptors=[file] * count)
        assert raised.value.errno == errno.EINVAL
    assert fds() == before


@needs_root
def test_descriptors_that_nobody_receives_count_for_their_sender(fork: Fork, file: int) -> None:
    one, other = sockets.pair(STREAM)

    def send() -> tuple[int | None, str] | None:
        os.setuid(NOBODY)
        resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
        for _ in range(10):  # other processes of the user count, too: it may be the first
            try:
                one.send_message(b"x", descriptors=[file] * 50)
            except OSError as error:
                return error.errno, str(error)
        return None

    with one, other:
        refused = fork(send).result()
    assert refused is not None
    assert refused[0] == errno.ETOOMANYREFS
    assert "too many descriptors are on their way in sockets: see RLIMIT_NOFILE" in refused[1]


def test_descriptors_that_were_never_received_are_closed_with_the_socket() -> None:
    one, other = sockets.pair()
    reads, writes = os.pipe()
    with other:
        with one:
            one.send_message(b"x", descriptors=[writes])
        os.close(writes)
        os.set_blocking(reads, False)
        with pytest.raises(BlockingIOError):
            os.read(reads, 1)
    assert os.read(reads, 1) == b""
    os.close(reads)


def test_plain_recv_drops_them(ends: tuple[UnixSocket, UnixSocket], file: int) -> None:
    one, other = ends
    before = fds()
    one.send_message(b"x", descriptors=[file])
    assert other.recv(1) == b"x"
    assert fds() == before


def test_a_stream_takes_descriptors_only_beside_data(file: int) -> None:
    one, other = sockets.pair(STREAM)
    with one, other:
        with pytest.raises(ValueError, match="only beside at least one byte"):
            one.send_message(b"", descriptors=[file])
        with pytest.raises(ValueError, match="only beside at least one byte"):
            one.send_message(b"", credentials=me())
        assert one.send_message(b"") == 0


@pytest.mark.parametrize("kind", [DGRAM, SEQPACKET])
def test_records_take_descriptors_also_without_data(kind: int, file: int) -> None:
    one, other = sockets.pair(kind)
    with one, other:
        one.send_message(b"", descriptors=[file])
        with other.receive_message(0, max_descriptors=1) as message:
            assert (message.data, len(message.descriptors)) == (b"", 1)


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_all_of_a_long_message_goes_over_a_stream(fork: Fork, file: int, timeout: float | None) -> None:
    one, other = sockets.pair(STREAM)
    data = os.urandom(3_000_000)

    def receive() -> bool:
        one.close()
        with other.receive_message(1000, max_descriptors=1) as message:
            assert len(message.descriptors) == 1
            received = bytearray(message.data)
        while more := other.receive_message(1 << 16).data:
            received += more
        return received == data

    with other:
        child = fork(receive)
        with one:
            one.settimeout(timeout)
            assert one.send_message(array.array("H", data), descriptors=[file]) == len(data)
        assert child.result()


def test_a_stream_that_does_not_block_tells_how_much_went(file: int) -> None:
    one, other = sockets.pair(STREAM)
    with one, other:
        one.setblocking(False)
        sent = one.send_message(bytes(10_000_000), descriptors=[file])
        assert 0 < sent < 10_000_000
        with pytest.raises(BlockingIOError):
            one.send_message(b"x")
        with other.receive_message(1, max_descriptors=1) as message:
            assert len(message.descriptors) == 1


# -- credentials --


def test_a_message_tells_who_sent_it(ends: tuple[UnixSocket, UnixSocket], fork: Fork) -> None:
    one, other = ends
    assert not other.wants_credentials
    other.wants_credentials = True
    assert other.wants_credentials
    one.send_message(b"mine")
    child = fork(lambda: one.send_message(b"child"))
    child.result()
    assert [other.receive_message(5).credentials for _ in range(2)] == [
        me(),
        Credentials(child.pid, os.getuid(), os.getgid()),
    ]
    other.wants_credentials = False
    one.send_message(b"x")
    assert other.receive_message(1).credentials is None


def test_the_first_message_tells_it_also_if_it_comes_before_it_is_accepted() -> None:
    name = sockets.abstract(f"unixipc-early-{os.getpid()}")
    with sockets.listen(name) as listener:
        listener.wants_credentials = True
        with sockets.connect(name) as made:
            made.send(b"early")
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.wants_credentials
                assert accepted.receive_message(9).credentials == me()


def test_what_was_sent_before_they_were_wanted_tells_of_nobody() -> None:
    one, other = sockets.pair()
    with one, other:
        one.send(b"x")
        other.wants_credentials = True
        assert other.receive_message(9).credentials == Credentials(0, NOBODY, NOBODY)


def test_credentials_of_one_s_own_may_be_sent(ends: tuple[UnixSocket, UnixSocket]) -> None:
    one, other = ends
    other.wants_credentials = True
    one.send_message(b"x", credentials=me())
    assert other.receive_message(1).credentials == me()


@needs_root
def test_root_may_send_others_credentials(ends: tuple[UnixSocket, UnixSocket]) -> None:
    one, other = ends
    other.wants_credentials = True
    one.send_message(b"x", credentials=Credentials(1, 12, 34))
    assert other.receive_message(1).credentials == Credentials(1, 12, 34)
    with pytest.raises(ProcessLookupError, match="no process has the pid of the credentials"):
        one.send_message(b"x", credentials=Credentials(2**31 - 1, 0, 0))


@needs_root
@pytest.mark.parametrize("forged", ["pid", "uid", "gid"])
def test_forged_credentials_are_refused(ends: tuple[UnixSocket, UnixSocket], fork: Fork, forged: str) -> None:
    one, other = ends
    other.wants_credentials = True

    def forge() -> None:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        pid, uid, gid = os.getpid(), NOBODY, NOBODY
        credentials = {
            "pid": Credentials(1, uid, gid),
            "uid": Credentials(pid, 0, gid),
            "gid": Credentials(pid, uid, 0),
        }
        with pytest.raises(PermissionError, match="credentials of others need CAP_SYS_ADMIN for the pid"):
            one.send_message(b"forged", credentials=credentials[forged])
        one.send_message(b"true")

    child = fork(forge)
    child.result()
    message = other.receive_message(9)
    assert (message.data, message.credentials) == (b"true", Credentials(child.pid, NOBODY, NOBODY))


@needs_root
def test_a_sender_outside_the_pid_namespace_has_pid_0() -> None:
    one, other = sockets.pair(SEQPACKET)
    other.wants_credentials = True

    def receive() -> tuple[Credentials | None, Credentials]:
        return other.receive_message(9).credentials, other.peer_credentials()

    def enter() -> tuple[Credentials | None, Credentials]:
        libc.unshare(libc.CLONE_NEWPID)
        with processes.fork(receive) as inside:
            return inside.result(DEADLINE)

    with one, other:
        one.send(b"from outside")
        with processes.fork(enter) as child:
            expected = Credentials(0, os.getuid(), os.getgid())
            assert child.result(DEADLINE) == (expected, expected)


# -- pidfds --


def with_pidfds(made: UnixSocket) -> None:
    try:
        made.wants_pidfds = True
    except OSError as error:
        if error.errno == errno.ENOPROTOOPT:
            pytest.skip("SO_PASSPIDFD needs Linux 6.5")
        raise


def pid_of(pidfd: int) -> int:
    with open(f"/proc/self/fdinfo/{pidfd}") as file:  # noqa: PTH123 - short
        (line,) = (line for line in file if line.startswith("Pid:"))
    return int(line.split()[1])


def test_a_message_has_a_pidfd_of_who_sent_it(ends: tuple[UnixSocket, UnixSocket], fork: Fork) -> None:
    one, other = ends
    with_pidfds(other)
    assert other.wants_pidfds

    def send() -> None:
        one.send_message(b"x")
        libc.pause()

    child = fork(send)
    with other.receive_message(1) as message:
        assert message.pidfd is not None
        assert (pid_of(message.pidfd), message.descriptors) == (child.pid, ())
        assert not os.get_inheritable(message.pidfd)
        libc.pidfd_send_signal(message.pidfd, libc.SIGKILL)
        assert child.wait().signal == libc.SIGKILL
        pidfd = message.pidfd
    assert not is_open(pidfd)


def test_all_that_can_come_beside_the_data_comes_together(ends: tuple[UnixSocket, UnixSocket], file: int) -> None:
    one, other = ends
    with_pidfds(other)
    other.wants_credentials = True
    for count in (0, 1, 2, MOST):
        one.send_message(b"x", descriptors=[file] * count)
        with other.receive_message(1, max_descriptors=count) as message:
            assert (len(message.descriptors), message.credentials) == (count, me())
            assert message.pidfd is not None
            assert pid_of(message.pidfd) == os.getpid()


def test_descriptors_that_nobody_wants_do_not_hide_the_pidfd(ends: tuple[UnixSocket, UnixSocket], file: int) -> None:
    one, other = ends
    with_pidfds(other)
    before = fds()
    for count in (1, 5, 6, 7, 8, 9, 10, 11, 12, MOST):
        one.send_message(b"x", descriptors=[file] * count)
        with pytest.raises(OSError, match="more descriptors came"):
            other.receive_message(1)
        assert fds() == before


def test_a_sender_that_is_gone_has_a_pidfd_or_none(fork: Fork) -> None:
    one, other = sockets.pair(SEQPACKET)
    with one, other:
        with_pidfds(other)
        fork(one.send_message, b"x").result()
        with other.receive_message(1) as message:
            assert message.data == b"x"
            if message.pidfd is not None:
                assert pid_of(message.pidfd) == -1


# -- ends --


@pytest.mark.parametrize("kind", [STREAM, SEQPACKET])
def test_a_peer_that_was_killed_ends_the_stream_and_refuses_more(fork: Fork, kind: int) -> None:
    one, other = sockets.pair(kind)

    def hold() -> None:
        one.close()
        ready.open()
        libc.pause()

    with one, Gate() as ready:
        with other:
            child = fork(hold)
        ready.wait()
        child.kill(libc.SIGKILL)
        child.wait()
        assert one.receive_message(9).data == b""
        with pytest.raises(BrokenPipeError, match="the other end is closed, or takes no more"):
            one.send_message(b"x")


def test_a_peer_that_was_killed_with_unread_data_resets_the_stream(fork: Fork) -> None:
    one, other = sockets.pair(STREAM)
    with one:
        with other:
            one.send(b"never read")
        with pytest.raises(ConnectionResetError, match="receive_message"):
            one.receive_message(9)


def test_a_broken_stream_raises_also_where_sigpipe_would_kill(fork: Fork) -> None:
    one, other = sockets.pair(STREAM)

    def send() -> None:
        libc.sigaction(libc.SIGPIPE, libc.Sigaction(libc.SIG_DFL))
        with pytest.raises(BrokenPipeError):
            one.send_message(b"x")

    with one:
        other.close()
        fork(send).result()


def test_what_is_not_connected_says_so(file: int) -> None:
    with UnixSocket(type=DGRAM) as datagrams:
        with pytest.raises(OSError, match="not connected"):
            datagrams.send_message(b"x")
        with pytest.raises(FileNotFoundError):
            datagrams.send_message(b"x", to="nowhere")
        with pytest.raises(ConnectionRefusedError, match="nobody receives there"):
            datagrams.send_message(b"x", to=sockets.abstract("nobody has this name"))
    with UnixSocket() as stream:
        with pytest.raises(OSError, match="receive_message"):
            stream.receive_message(1)
        with pytest.raises(OSError, match="the socket is not connected"):
            stream.send_message(b"x")


def test_a_record_longer_than_the_buffer_says_so() -> None:
    one, other = sockets.pair(SEQPACKET)
    with one, other, pytest.raises(OSError, match=r"Message too long: .*SO_SNDBUF"):
        one.send_message(bytes(10_000_000))


def test_a_closed_socket_says_so(file: int) -> None:
    one, other = sockets.pair()
    one.close()
    other.close()
    uses: list[Callable[[], object]] = [
        lambda: one.send_message(b"x", descriptors=[file]),
        lambda: one.receive_message(1),
        one.peer_credentials,
        one.peer_groups,
        one.peer_pidfd,
        one.unlink,
        lambda: one.wants_credentials,
        lambda: one.wants_pidfds,
    ]
    for use in uses:
        with pytest.raises(OSError, match="Bad file descriptor"):
            use()


# -- bad input --


class Evil:
    def __init__(self, made: UnixSocket | None = None) -> None:
        self.made = made

    def __index__(self) -> int:
        if self.made is None:
            raise ZeroDivisionError("evil")
        self.made.close()
        return 0


@pytest.mark.parametrize(
    ("descriptors", "kind"),
    [
        ([-1], OSError),
        ([-(2**31)], OSError),
        ([2**31 - 1], OSError),
        ([2**31], OverflowError),
        ([-(2**80)], OverflowError),
        (["0"], TypeError),
        ([1.0], TypeError),
        ([None], TypeError),
        (5, TypeError),
        ([Evil()], ZeroDivisionError),
    ],
)
def test_bad_descriptors_are_refused(ends: tuple[UnixSocket, UnixSocket], descriptors: Any, kind: type) -> None:
    one, other = ends
    with pytest.raises(kind):
        one.send_message(b"x", descriptors=descriptors)
    other.setblocking(False)
    with pytest.raises(BlockingIOError):
        other.receive_message(1)


@pytest.mark.parametrize(
    ("credentials", "kind"),
    [
        (Credentials(2**31, 0, 0), OverflowError),
        (Credentials(1, -1, 0), OverflowError),
        (Credentials(1, 0, 2**32), OverflowError),
        (Credentials("1", 0, 0), TypeError),  # type: ignore[arg-type]
        (Credentials(-1, 0, 0), OSError),
        (Credentials(0, 0, 0), OSError),
        ((1, 0, 0), TypeError),
        (b"ucred", TypeError),
    ],
)
def test_bad_credentials_are_refused(ends: tuple[UnixSocket, UnixSocket], credentials: Any, kind: type) -> None:
    one, _ = ends
    with pytest.raises(kind):
        one.send_message(b"x", credentials=credentials)


def test_bad_data_and_sizes_are_refused(ends: tuple[UnixSocket, UnixSocket]) -> None:
    one, other = ends
    for data in ("text", None, 5, [b"x"]):
        with pytest.raises(TypeError):
            one.send_message(data)  # type: ignore[arg-type]
    with pytest.raises((TypeError, BufferError)):
        one.send_message(memoryview(b"abcd")[::2])
    one.send_message(b"x")
    for size, kind in [(-1, ValueError), (2**80, OverflowError), ("1", TypeError), (1.0, TypeError)]:
        with pytest.raises(kind):
            other.receive_message(size)  # type: ignore[arg-type]
    with pytest.raises((MemoryError, OverflowError)):
        other.receive_message(2**62)
    for most, kind in [(-1, ValueError), (-(2**80), ValueError), ("1", TypeError), (1.5, TypeError)]:
        with pytest.raises(kind):
            other.receive_message(1, max_descriptors=most)  # type: ignore[arg-type]
    for to in ("", "a\0b", "x" * 108, 5, "\ud800"):
        with pytest.raises((ValueError, OSError, TypeError)):
            one.send_message(b"x", to=to)  # type: ignore[arg-type]
    assert other.receive_message(1).data == b"x"


def test_a_socket_that_its_argument_closes_is_an_error() -> None:
    one, other = sockets.pair()
    with other:
        with pytest.raises(OSError, match="Bad file descriptor"):
            one.send_message(b"x", descriptors=[Evil(one)])  # type: ignore[list-item]
        with pytest.raises(OSError, match="Bad file descriptor"):
            other.receive_message(1, max_descriptors=Evil(other))  # type: ignore[arg-type]


# -- a model --

KINDS = st.sampled_from([STREAM, DGRAM, SEQPACKET])
MESSAGES = st.lists(
    st.tuples(st.binary(min_size=1, max_size=300), st.lists(st.integers(0, 3), max_size=5), st.booleans()), max_size=20
)


def placed(messages: Iterable[tuple[bytes, list[int]]]) -> list[tuple[int, int]]:
    """Tell between which bytes of a stream descriptors came."""
    places, place = [], 0
    for data, which in messages:
        if which:
            places.append((place, place + len(data)))
        place += len(data)
    return places


@settings(max_examples=80)
@given(KINDS, MESSAGES, st.integers(1, 400))
def test_messages_and_descriptors_keep_their_order(
    kind: int, sent: list[tuple[bytes, list[int], bool]], size: int
) -> None:
    before = fds()
    files = [os.memfd_create(str(number)) for number in range(4)]
    numbers = {os.fstat(fd).st_ino: number for number, fd in enumerate(files)}
    one, other = sockets.pair(kind)
    with other:
        other.wants_credentials = True
        with one:
            for data, which, names_itself in sent:
                credentials = me() if names_itself else None
                one.send_message(data, descriptors=[files[number] for number in which], credentials=credentials)
        received: list[tuple[bytes, list[int]]] = []
        for _ in range(len(sent) if kind == DGRAM else 10_000):
            with other.receive_message(size, max_descriptors=5) as message:
                if not message.data:
                    break
                assert message.credentials == me()
                which = [numbers[os.fstat(fd).st_ino] for fd in message.descriptors]
                received.append((message.data, which))
    if kind == STREAM:
        assert b"".join(data for data, _ in received) == b"".join(data for data, _, _ in sent)
        assert [which for _, which in received if which] == [which for _, which, _ in sent if which]
        came, went = placed(received), placed((data, which) for data, which, _ in sent)
        for (first, after), (start, _) in zip(came, went, strict=True):
            assert first <= start < after, "they come with the first byte that they were sent with"
    else:
        assert received == [(data[:size], which) for data, which, _ in sent]
    for fd in files:
        os.close(fd)
    assert fds() == before


def test_a_message_made_by_hand_owns_what_it_is_given() -> None:
    fd = os.memfd_create("made")
    with Message(b"x", [fd], pidfd=libc.pidfd_open(os.getpid())) as message:
        assert repr(message) == f"<Message 1 bytes; descriptors {fd}; pidfd {message.pidfd}>"
    message.close()
    assert not is_open(fd)
