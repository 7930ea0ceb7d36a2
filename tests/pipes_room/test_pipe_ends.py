"""unixipc.pipes: the ends of pipes, one-way and two-way."""

from __future__ import annotations

import errno
import os
import pickle
import select
import socket
import threading
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from until import until_blocked, until_thread_blocked

from unixipc import libc, pipes
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

PAGE = libc.PAGE_SIZE
SHORT = 0.01
PIPE_BUF = select.PIPE_BUF


@pytest.fixture
def ends() -> Iterator[pipes.Pipe]:
    with pipes.pipe() as ends:
        yield ends


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough


# -- life --


def test_a_pipe_is_a_pair_whose_with_block_closes_both() -> None:
    with pipes.pipe() as (reader, writer):
        assert (reader.closed, writer.closed, reader.packets) == (False, False, False)
        assert [os.get_inheritable(end.fileno()) for end in (reader, writer)] == [False, False]
        reader.close()
    assert (reader.closed, writer.closed, repr(reader)) == (True, True, "<Reader closed>")
    writer.close()


def test_a_closed_end_says_so(ends: pipes.Pipe) -> None:
    reader, writer = ends
    ends.close()
    uses: list[Callable[[], object]] = [
        reader.fileno,
        reader.read,
        lambda: reader.read(1, 0),
        lambda: reader.read_into(bytearray(1)),
        lambda: reader.read_exactly(1),
        lambda: reader.splice(1, 1),
        lambda: reader.tee(writer, 1),
        lambda: reader.available,
        lambda: list(reader),
        lambda: writer.write(b"x"),
        lambda: writer.write(b"x", 0),
        lambda: writer.splice(0, 1),
        lambda: writer.capacity,
        lambda: setattr(writer, "capacity", PAGE),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="closed> was closed"):
            use()


@pytest.mark.parametrize("call", [pipes.Reader.splice, pipes.Reader.tee])
def test_who_waits_on_an_end_that_is_closed_does_not_take_from_the_file_that_gets_its_number(
    ends: pipes.Pipe, call: Callable[[pipes.Reader, pipes.Writer, int], int]
) -> None:
    raised: list[BaseException] = []

    def wait(target: pipes.Writer) -> None:
        try:
            call(ends.reader, target, 100)
        except ValueError as error:
            raised.append(error)

    number = ends.reader.fileno()
    with pipes.pipe() as others, pipes.pipe() as target:
        thread = threading.Thread(target=wait, args=(target.writer,))
        thread.start()
        until_thread_blocked(thread.native_id)
        others.writer.write(b"not for him")
        ends.reader.close()
        os.dup2(others.reader.fileno(), number)
        ends.writer.close()  # which wakes him
        thread.join(DEADLINE)
        os.close(number)
        assert others.reader.read(timeout=0) == b"not for him"
        assert "was closed" in str(raised[0])


def test_an_end_that_is_dropped_open_is_closed_with_a_warning() -> None:
    before = open_descriptors()
    with pytest.warns(ResourceWarning, match=r"unclosed <(Reader|Writer) \d+>") as warned:
        pipes.pipe()
    assert (len(warned), open_descriptors()) == (2, before)


def test_an_end_takes_over_a_descriptor_of_its_own_kind_alone(tmp_path: Path) -> None:
    read_end, write_end = os.pipe()
    for wrong in (lambda: pipes.Reader(write_end), lambda: pipes.Writer(read_end)):
        with pytest.raises(ValueError, match="is the other end"):
            wrong()
    with pipes.Reader(read_end) as reader, pipes.Writer(write_end) as writer:
        writer.write(b"taken over")
        assert reader.read() == b"taken over"
    file = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    with pytest.raises(ValueError, match="not that of a pipe"):
        pipes.Reader(file)
    os.close(file)
    with pytest.raises(OSError, match="Bad file descriptor"):
        pipes.Reader(file)


def test_many_pipes_leave_no_descriptor_behind() -> None:
    before = open_descriptors()
    for _ in range(1000):
        with pipes.pipe(capacity=PAGE) as (reader, writer):
            writer.write(b"x")
            assert reader.read() == b"x"
        here, there = pipes.duplex()
        with here, there:
            here.write(b"x")
    assert open_descriptors() == before


def test_a_pipe_that_cannot_be_made_as_asked_leaves_nothing_behind() -> None:
    before = open_descriptors()
    for make in (pipes.pipe, pipes.duplex):
        with pytest.raises(ValueError, match="the capacity is 0"):
            make(capacity=0)
    assert open_descriptors() == before


# -- reading and writing --


def test_what_is_written_is_read_and_then_comes_the_end(ends: pipes.Pipe) -> None:
    reader, writer = ends
    writer.write(b"hello, ")
    writer.write(memoryview(b"world").cast("B"))
    assert reader.available == writer.available == 12
    assert (reader.read(5), reader.read(0), reader.read()) == (b"hello", b"", b", world")
    buffer = bytearray(4)
    writer.write(b"ab")
    assert (reader.read_into(buffer), bytes(buffer)) == (2, b"ab\0\0")
    writer.write(b"cd")
    assert (reader.read_into(buffer, DEADLINE), bytes(buffer)) == (2, b"cd\0\0")
    writer.close()
    assert (reader.read(), reader.read(5, 0), list(reader)) == (b"", b"", [])


def test_a_read_asks_for_no_more_memory_than_a_pipe_can_fill(ends: pipes.Pipe) -> None:
    ends.writer.write(b"little")
    assert ends.reader.read(2**62) == b"little"
    ends.writer.write(b"little")
    assert ends.reader.read(2**62, 0) == b"little"


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_all_of_a_large_write_goes_through(fork: Fork, timeout: float | None) -> None:
    data = os.urandom(1 << 20)
    with pipes.pipe() as (reader, writer):

        def write() -> None:
            reader.close()
            writer.write(data, timeout)

        child = fork(write)
        writer.close()
        assert b"".join(reader) == data
        child.result()


def test_read_exactly_waits_for_all(ends: pipes.Pipe, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def read() -> bytes:
        ready.open()
        return ends.reader.read_exactly(6, DEADLINE)

    child = fork(read)
    ready.wait()
    for piece in (b"a", b"bc", b"def"):
        until_blocked(child)
        ends.writer.write(piece)
    assert child.result() == b"abcdef"


def test_read_exactly_gives_what_came_before_the_end_or_the_timeout(ends: pipes.Pipe) -> None:
    ends.writer.write(b"abc")
    with pytest.raises(TimeoutError, match="3 of 5 bytes came") as late:
        ends.reader.read_exactly(5, SHORT)
    assert cast("Any", late.value).partial == b"abc"
    ends.writer.write(b"de")
    ends.writer.close()
    with pytest.raises(pipes.IncompleteReadError, match="2 of 5 bytes came") as early:
        ends.reader.read_exactly(5)
    assert isinstance(early.value, EOFError)
    again = pickle.loads(pickle.dumps(early.value))
    assert (early.value.partial, again.partial, str(again)) == (b"de", b"de", str(early.value))


@pytest.mark.parametrize("timeout", [0, SHORT])
def test_a_timeout_ends_a_wait(ends: pipes.Pipe, timeout: float) -> None:
    reader, writer = ends
    reads: list[Callable[[], object]] = [
        lambda: reader.read(5, timeout),
        lambda: reader.read_into(bytearray(5), timeout),
        lambda: reader.read_exactly(5, timeout),
        lambda: reader.tee(writer, 5, timeout),
    ]
    with pipes.pipe() as other:
        reads[3] = lambda: reader.tee(other.writer, 5, timeout)
        reads.append(lambda: reader.splice(other.writer, 5, timeout))
        for read in reads:
            with pytest.raises(TimeoutError, match=r"nothing came|0 of 5 bytes came") as late:
                read()
            assert late.value.errno == errno.ETIMEDOUT


@pytest.mark.parametrize("timeout", [0, SHORT])
def test_a_write_that_runs_out_of_time_says_how_much_went(ends: pipes.Pipe, timeout: float) -> None:
    with pytest.raises(TimeoutError, match=r"there was no room; \d+ of 1000000 bytes went") as late:
        ends.writer.write(bytes(1_000_000), timeout)
    assert cast("Any", late.value).characters_written == ends.reader.available == ends.reader.capacity
    with pytest.raises(TimeoutError, match="0 of 1 bytes went"):
        ends.writer.write(b"x", timeout)


def test_a_write_without_a_reader_says_how_much_went(ends: pipes.Pipe, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()
    size = 2 * ends.writer.capacity

    def write() -> tuple[str, int]:
        ends.reader.close()
        ready.open()
        with pytest.raises(BrokenPipeError) as broken:
            ends.writer.write(bytes(size))
        return str(broken.value), cast("Any", broken.value).characters_written

    child = fork(write)
    ready.wait()
    until_blocked(child)
    ends.reader.close()
    text, written = child.result()
    assert 0 < written < size
    assert f"nobody reads any more; {written} of {size} bytes went" in text
    with pytest.raises(BrokenPipeError, match="0 of 1 bytes went"):
        ends.writer.write(b"x", 0)


def test_a_process_that_has_restored_sigpipe_ends_by_it(fork: Fork) -> None:
    def write() -> None:
        libc.sigaction(libc.SIGPIPE, libc.Sigaction(libc.SIG_DFL))
        with pipes.pipe() as (reader, writer):
            reader.close()
            writer.write(b"x")

    assert fork(write).wait().signal == libc.SIGPIPE


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_waits_go_on_after_a_signal(
    ends: pipes.Pipe, fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    ready, handled = gate(), gate()

    def read() -> list[bytes]:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: handled.open()))
        ready.open()
        with pipes.pipe() as other:
            received = [ends.reader.read(10, timeout)]
            assert ends.reader.tee(other.writer, 10, timeout) == 6
            return [*received, other.reader.read(), ends.reader.read()]

    child = fork(read)
    ready.wait()
    for data in (b"first", b"second"):
        until_blocked(child)
        child.kill(libc.SIGUSR1)
        handled.wait()
        until_blocked(child)
        ends.writer.write(data)
    assert child.result() == [b"first", b"second", b"second"]


@pytest.mark.parametrize("error", [TimeoutError, InterruptedError, BlockingIOError])
def test_what_a_handler_raises_comes_out(
    ends: pipes.Pipe, fork: Fork, gate: Callable[[], Gate], error: type[OSError]
) -> None:
    ready = gate()

    def fails(signum: int) -> None:
        raise error("of the handler")

    def read() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(fails))
        ready.open()
        ends.reader.read_exactly(10, DEADLINE)

    child = fork(read)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    with pytest.raises(error, match=r"^of the handler"):
        child.result()


def test_a_descriptor_that_somebody_made_nonblocking_is_waited_for(
    ends: pipes.Pipe, fork: Fork, gate: Callable[[], Gate]
) -> None:
    os.set_blocking(ends.reader.fileno(), False)
    ready = gate()

    def read() -> list[bytes]:
        ready.open()
        return [ends.reader.read(), ends.reader.read(10, DEADLINE)]

    child = fork(read)
    ready.wait()
    for data in (b"first", b"second"):
        until_blocked(child)
        ends.writer.write(data)
    assert child.result() == [b"first", b"second"]
    with pytest.raises(TimeoutError):
        ends.reader.read(10, SHORT)


def test_no_timeout_makes_a_descriptor_nonblocking(ends: pipes.Pipe) -> None:
    with pytest.raises(TimeoutError):
        ends.reader.read(1, SHORT)
    with pytest.raises(TimeoutError):
        ends.writer.write(bytes(1_000_000), SHORT)
    assert [os.get_blocking(end.fileno()) for end in ends] == [True, True]


# -- capacity --


def test_the_capacity_is_at_least_what_was_asked_for(ends: pipes.Pipe) -> None:
    with pipes.pipe(capacity=PAGE + 1) as (reader, writer):
        assert reader.capacity == writer.capacity >= PAGE + 1
        writer.capacity = 4 * PAGE
        writer.write(bytes(4 * PAGE), 0)
        with pytest.raises(OSError, match="what is in the pipe needs more than that") as busy:
            reader.capacity = PAGE
        assert busy.value.errno == errno.EBUSY
    for wrong, error in ((0, ValueError), (-1, ValueError), (2**31, OverflowError), (2**70, OverflowError)):
        with pytest.raises(error, match="the capacity is"):
            ends.writer.capacity = wrong
    with pytest.raises(TypeError):
        ends.writer.capacity = cast("int", "1")


@pytest.mark.skipif(os.geteuid() != 0, reason="giving up privileges needs root")
def test_the_limit_of_the_capacity_is_named(ends: pipes.Pipe, fork: Fork) -> None:
    def child() -> None:
        os.setgroups([])
        os.setuid(65534)
        with pytest.raises(PermissionError, match=r"/proc/sys/fs/pipe-max-size is \d+"):
            ends.writer.capacity = 2**30

    fork(child).result()


# -- packets --


def test_packets_come_out_as_they_went_in() -> None:
    with pipes.pipe(packets=True) as (reader, writer):
        packets = [b"one", b"x" * PIPE_BUF, b"three"]
        for packet in packets:
            writer.write(packet, DEADLINE)
        assert reader.packets
        assert writer.packets
        assert reader.read(timeout=0) == b"one"
        writer.close()
        assert list(reader) == packets[1:]


def test_what_would_lose_or_split_a_packet_is_refused() -> None:
    with pipes.pipe(packets=True) as (reader, writer):
        writer.write(b"whole")
        refused: list[Callable[[], object]] = [
            lambda: reader.read(PIPE_BUF - 1),
            lambda: reader.read_into(bytearray(PIPE_BUF - 1)),
            lambda: reader.read_exactly(PIPE_BUF),
            lambda: writer.write(b""),
            lambda: writer.write(bytes(PIPE_BUF + 1)),
        ]
        for use in refused:
            with pytest.raises(ValueError, match="packet"):
                use()
        assert reader.read() == b"whole"


# -- splice, tee and vmsplice --


def test_splice_moves_between_pipes_files_and_sockets(ends: pipes.Pipe, tmp_path: Path) -> None:
    reader, writer = ends
    (tmp_path / "from").write_bytes(b"0123456789")
    with (tmp_path / "from").open("rb") as source, (tmp_path / "to").open("wb") as target:
        assert writer.splice(source, 6) == 6
        assert reader.splice(target, 100) == 6
        assert (writer.splice(source.fileno(), 100), writer.splice(source, 100)) == (4, 0)
    assert (tmp_path / "to").read_bytes() == b"012345"
    here, there = socket.socketpair()
    with here, there:
        assert reader.splice(here, 100, DEADLINE) == 4
        assert there.recv(100) == b"6789"
    writer.close()
    with (tmp_path / "to").open("wb") as target:
        assert reader.splice(target, 100) == 0


def test_tee_copies_and_leaves_everything_there(ends: pipes.Pipe) -> None:
    with pipes.pipe(capacity=PAGE) as other:
        ends.writer.write(b"both")
        assert ends.reader.tee(other.writer, 3) == 3
        assert (ends.reader.read(), other.reader.read()) == (b"both", b"bot")
        ends.writer.write(b"both")
        other.writer.write(bytes(PAGE))
        with pytest.raises(TimeoutError, match="there was no room"):
            ends.reader.tee(other.writer, 3, SHORT)
        other.reader.read()
        ends.writer.close()
        ends.reader.read()
        assert ends.reader.tee(other.writer, 3, 0) == 0


def test_splice_and_tee_say_what_is_wrong(ends: pipes.Pipe, tmp_path: Path) -> None:
    with (tmp_path / "file").open("ab") as file, pipes.pipe() as other:
        ends.writer.write(b"stays")
        uses: list[Callable[[], int]] = [
            lambda: ends.reader.splice(ends.writer, 5, SHORT),
            lambda: ends.reader.splice(file, 5),
            lambda: ends.reader.tee(ends.writer, 5),
        ]
        for use in uses:
            with pytest.raises(OSError, match="must") as wrong:
                use()
            assert wrong.value.errno == errno.EINVAL
        for count in (-1, 2**70):
            with pytest.raises((ValueError, OverflowError)):
                ends.reader.splice(other.writer, count)
            with pytest.raises(OverflowError):
                ends.reader.tee(other.writer, count)
    assert ends.reader.read() == b"stays"


def test_vmsplice_shows_memory_that_may_be_unmapped_meanwhile(ends: pipes.Pipe) -> None:
    flags = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS
    memory = libc.mmap(None, 2 * PAGE, libc.PROT_READ | libc.PROT_WRITE, flags)
    with memoryview(memory) as view:
        view[:] = bytes(range(256)) * (2 * PAGE // 256)
    assert ends.writer.vmsplice(memory) == 2 * PAGE
    libc.munmap(memory)
    assert ends.reader.read_exactly(2 * PAGE) == bytes(range(256)) * (2 * PAGE // 256)
    for wrong in (b"bytes", bytearray(5), None):
        with pytest.raises(TypeError, match="takes mapped memory"):
            ends.writer.vmsplice(cast("libc.Mapping", wrong))


# -- two ways --


def test_what_one_side_writes_the_other_reads(fork: Fork) -> None:
    here, there = pipes.duplex(packets=True)
    with here, there:

        def answer() -> None:
            here.close()
            for packet in iter(there.read, b""):
                there.write(packet.upper(), DEADLINE)

        child = fork(answer)
        there.close()
        assert there.closed
        for word in (b"one", b"two"):
            here.write(word)
            assert here.read(timeout=DEADLINE) == word.upper()
        here.writer.close()
        assert not here.closed
        assert here.read() == b""
        child.result()


# -- bad input --


@pytest.mark.parametrize("wrong", [None, "x", 1.5, -1, 2**70, object(), [1], b"read-only"])
def test_bad_input_is_an_exception_and_moves_nothing(ends: pipes.Pipe, wrong: Any) -> None:
    ends.writer.write(b"stays")
    with pipes.pipe() as other:
        uses: list[Callable[[], object]] = [
            lambda: ends.reader.read_into(wrong),
            lambda: ends.writer.write(cast("bytes", None if wrong == b"read-only" else wrong)),
            lambda: ends.reader.tee(wrong, 5),
            lambda: ends.reader.tee(other.writer, wrong),
            lambda: ends.reader.splice(wrong, 5),
            lambda: ends.reader.splice(other.writer, wrong),
            lambda: ends.writer.vmsplice(wrong),
            lambda: pipes.Reader(wrong),
            lambda: pipes.pipe(capacity=cast("int", "x" if wrong is None else wrong)),
        ]
        if wrong != 2**70:
            uses.append(lambda: ends.reader.read(wrong))
        if wrong not in (None, 1.5, 2**70):
            uses.append(lambda: ends.reader.read(5, wrong))
        for use in uses:
            with pytest.raises((TypeError, ValueError, OverflowError, BufferError, OSError, AttributeError)):
                use()
    assert ends.reader.read() == b"stays"


def test_a_timeout_below_0_or_not_a_number_is_refused(ends: pipes.Pipe) -> None:
    for wrong in (-1, float("nan")):
        for wait in (lambda: ends.reader.read(5, wrong), lambda: ends.writer.write(b"x", wrong)):  # noqa: B023
            with pytest.raises(ValueError, match="a timeout is None or"):
                wait()


# -- a model --


class Model(RuleBasedStateMachine):
    """Two pipes, held against two strings of bytes."""

    def __init__(self) -> None:
        super().__init__()
        # What tee and splice bring takes a page of the pipe for each piece: of 256 there is one for all that can come.
        self.pipes = pipes.pipe(capacity=256 * libc.PAGE_SIZE), pipes.pipe(capacity=256 * libc.PAGE_SIZE)
        self.models = [b"", b""]

    def teardown(self) -> None:
        for each in self.pipes:
            each.close()

    @rule(which=st.integers(0, 1), data=st.binary(max_size=100), timeout=st.sampled_from([None, 0, DEADLINE]))
    def write(self, which: int, data: bytes, timeout: float | None) -> None:
        self.pipes[which].writer.write(data, timeout)
        self.models[which] += data

    @precondition(lambda self: any(self.models))
    @rule(which=st.integers(0, 1), size=st.integers(0, 150), timeout=st.sampled_from([None, 0, DEADLINE]))
    def read(self, which: int, size: int, timeout: float | None) -> None:
        if self.models[which]:
            assert self.pipes[which].reader.read(size, timeout) == self.models[which][:size]
            self.models[which] = self.models[which][size:]

    @rule(which=st.integers(0, 1))
    def read_nothing(self, which: int) -> None:
        if not self.models[which]:
            with pytest.raises(TimeoutError):
                self.pipes[which].reader.read(1, 0)

    @rule(source=st.integers(0, 1), count=st.integers(1, 150))
    def tee(self, source: int, count: int) -> None:
        if self.models[source]:
            went = self.pipes[source].reader.tee(self.pipes[1 - source].writer, count, 0)
            assert 1 <= went <= count
            self.models[1 - source] += self.models[source][:went]

    @rule(source=st.integers(0, 1), count=st.integers(1, 150))
    def splice(self, source: int, count: int) -> None:
        if self.models[source]:
            went = self.pipes[source].reader.splice(self.pipes[1 - source].writer, count, 0)
            assert 1 <= went <= count
            self.models[1 - source] += self.models[source][:went]
            self.models[source] = self.models[source][went:]

    @invariant()
    def nothing_is_lost(self) -> None:
        assert [each.reader.available for each in self.pipes] == [len(model) for model in self.models]


def test_a_pipe_holds_what_a_string_of_bytes_would() -> None:
    run_state_machine_as_test(Model, settings=settings(max_examples=60, stateful_step_count=12))


def test_a_broken_pipe_sends_one_signal(fork: Fork) -> None:
    def child() -> int:
        count = libc.CountHandler()
        libc.sigaction(libc.SIGPIPE, libc.Sigaction(count))
        with pipes.pipe() as (reader, writer):
            reader.close()
            with pytest.raises(BrokenPipeError, match="nobody reads any more; 0 of 4 bytes went") as caught:
                writer.write(b"text")
        assert getattr(caught.value, "characters_written", None) == 0
        return count.value

    assert fork(child).result() == 1


@pytest.mark.parametrize("size", [0, 1, 4095, 4096, 4097, 8192, 65535, 65536])
def test_what_is_read_is_as_long_as_what_came(ends: pipes.Pipe, size: int) -> None:
    reader, writer = ends
    for length in {1, min(size, 1) + 1, max(size - 1, 1), max(size, 1)}:
        text = os.urandom(length)
        writer.write(text)
        got = reader.read(size)
        assert got == text[:size]
        assert got + reader.read_exactly(length - len(got)) == text
