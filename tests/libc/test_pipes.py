"""unixipc.libc: pipe(7), fifo(7), and read(2) and write(2) on them, which tell of the signals that interrupt them."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import stat
import threading
from array import array
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from nobody import become_nobody
from until import until_blocked

from unixipc import libc
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

T = TypeVar("T")

CAPACITY = 65536

RESTART = pytest.mark.parametrize("flags", [0, libc.SA_RESTART], ids=["plain", "SA_RESTART"])


class Pipe:
    """Both ends of a pipe, and whether they are open."""

    def __init__(self, flags: int = libc.O_CLOEXEC) -> None:
        self.ends = dict(zip(("read", "write"), libc.pipe(flags), strict=True))

    @property
    def reader(self) -> int:
        return self.ends["read"]

    @property
    def writer(self) -> int:
        return self.ends["write"]

    def close(self, *ends: str) -> None:
        for end in ends or tuple(self.ends):
            os.close(self.ends.pop(end))

    def fill(self) -> None:
        """Leave no room for another byte."""
        fcntl.fcntl(self.writer, fcntl.F_SETPIPE_SZ, CAPACITY)
        os.set_blocking(self.writer, False)
        try:
            while True:
                os.write(self.writer, bytes(4096))
        except BlockingIOError:
            os.set_blocking(self.writer, True)


@pytest.fixture
def pipe() -> Iterator[Callable[..., Pipe]]:
    """Make pipes whose ends are closed with the test."""
    made: list[Pipe] = []

    def make(flags: int = libc.O_CLOEXEC) -> Pipe:
        made.append(Pipe(flags))
        return made[-1]

    yield make
    for one in made:
        one.close()


@contextmanager
def refused(code: int) -> Iterator[None]:
    """The block raises OSError with this errno, and with a text that says more than the errno does."""
    with pytest.raises(OSError, check=lambda error: error.errno == code) as caught:
        yield
    assert "(" in str(caught.value)


# -- pipe(2) --


def test_what_goes_into_a_pipe_comes_out_in_order(pipe: Callable[..., Pipe]) -> None:
    ends = pipe()
    assert libc.write(ends.writer, b"first ") == 6
    assert libc.write(ends.writer, b"second") == 6
    assert libc.read(ends.reader, 5) == b"first"
    assert libc.read(ends.reader, 100) == b" second"


def test_a_pipe_is_close_on_exec_unless_told_otherwise(pipe: Callable[..., Pipe]) -> None:
    default, plain = pipe(), pipe(0)
    assert [os.get_inheritable(end) for end in (default.reader, default.writer)] == [False, False]
    assert [os.get_inheritable(end) for end in (plain.reader, plain.writer)] == [True, True]


def test_a_nonblocking_pipe_is_so_at_both_ends(pipe: Callable[..., Pipe]) -> None:
    default, nonblocking = pipe(), pipe(libc.O_NONBLOCK)
    assert [os.get_blocking(end) for end in (default.reader, default.writer)] == [True, True]
    assert [os.get_blocking(end) for end in (nonblocking.reader, nonblocking.writer)] == [False, False]
    assert os.get_inheritable(nonblocking.reader)  # flags are as given
    assert not os.get_inheritable(pipe(libc.O_NONBLOCK | libc.O_CLOEXEC).reader)


@pytest.fixture
def packets(pipe: Callable[..., Pipe]) -> Pipe:
    try:
        return pipe(libc.O_DIRECT | libc.O_CLOEXEC)
    except OSError as error:
        pytest.skip(f"packet mode needs Linux 3.4: {error}")


def test_a_packet_pipe_keeps_writes_apart(packets: Pipe) -> None:
    for text in (b"one", b"two", b"three"):
        libc.write(packets.writer, text)
    assert [libc.read(packets.reader, 100) for _ in range(3)] == [b"one", b"two", b"three"]


def test_a_packet_pipe_drops_what_was_not_read_of_a_packet(packets: Pipe) -> None:
    libc.write(packets.writer, b"long packet")
    libc.write(packets.writer, b"next")
    assert [libc.read(packets.reader, 4) for _ in range(2)] == [b"long", b"next"]


def test_flags_that_are_none_of_a_pipe_s_are_refused() -> None:
    for flags in (os.O_APPEND, 1, -1):
        with refused(errno.EINVAL):
            libc.pipe(flags)


def test_without_descriptors_there_is_no_pipe(fork: Fork) -> None:
    def try_it() -> None:
        limit = max(int(entry.name) for entry in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        while True:
            libc.pipe()

    with pytest.raises(OSError, match="pipe", check=lambda error: error.errno == errno.EMFILE):
        fork(try_it).result()


# -- mkfifo(3), mknod(2) --


@pytest.fixture
def umask() -> Iterator[int]:
    before = os.umask(0o027)
    yield 0o027
    os.umask(before)


def test_mkfifo_makes_a_fifo_less_the_umask(tmp_path: Path, umask: int) -> None:
    libc.mkfifo(tmp_path / "fifo", 0o666)
    assert (tmp_path / "fifo").stat().st_mode == stat.S_IFIFO | 0o640


@pytest.mark.parametrize("kind", ["S_IFIFO", "S_IFREG", "S_IFSOCK"])
def test_mknod_makes_the_kind_that_was_asked_for(tmp_path: Path, umask: int, kind: str) -> None:
    libc.mknod(tmp_path / "node", libc.FileType[kind] | 0o666)
    assert (tmp_path / "node").stat().st_mode == libc.FileType[kind] | 0o640


def test_mknod_without_a_kind_makes_a_file(tmp_path: Path) -> None:
    libc.mknod(tmp_path / "node", 0o600)
    assert (tmp_path / "node").stat().st_mode == stat.S_IFREG | 0o600


@pytest.mark.parametrize(("kind", "number"), [("S_IFCHR", (1, 3)), ("S_IFBLK", (7, 200))])
def test_root_makes_devices(tmp_path: Path, kind: str, number: tuple[int, int]) -> None:
    try:
        libc.mknod(tmp_path / "device", libc.FileType[kind] | 0o600, os.makedev(*number))
    except PermissionError as error:
        pytest.skip(str(error))
    status = (tmp_path / "device").stat()
    assert stat.S_IFMT(status.st_mode) == libc.FileType[kind]
    assert (os.major(status.st_rdev), os.minor(status.st_rdev)) == number


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_only_root_makes_devices(tmp_path: Path, fork: Fork) -> None:
    folder = os.open(tmp_path, os.O_PATH)  # its parents let nobody else through
    tmp_path.chmod(0o777)

    def make() -> None:
        os.fchdir(folder)
        become_nobody()
        libc.mkfifo("fifo", 0o600)
        libc.mknod("device", libc.S_IFCHR | 0o600, os.makedev(1, 3))

    try:
        with pytest.raises(PermissionError, match="CAP_MKNOD"):
            fork(make).result()
    finally:
        os.close(folder)
    assert [entry.name for entry in tmp_path.iterdir()] == ["fifo"]


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    libc.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(FileExistsError, match=r"mkfifo\(.*fifo"):
        libc.mkfifo(tmp_path / "fifo", 0o600)
    with pytest.raises(FileExistsError, match=r"mknod\(.*fifo"):
        libc.mknod(tmp_path / "fifo", libc.S_IFIFO | 0o600)


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing/fifo"):
        libc.mkfifo(tmp_path / "missing" / "fifo", 0o600)
    with pytest.raises(FileNotFoundError, match="missing/fifo"):
        libc.mknod(tmp_path / "missing" / "fifo", libc.S_IFIFO)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match="file/fifo"):
        libc.mkfifo(tmp_path / "file" / "fifo", 0o600)


def test_a_path_is_a_str_bytes_or_pathlike(tmp_path: Path) -> None:
    names: list[str | bytes | Path] = [str(tmp_path / "str"), os.fsencode(tmp_path / "bytes"), tmp_path / "path"]
    for name in [*names, os.fsencode(tmp_path) + b"/\xff", f"{tmp_path}/\udcfe"]:
        libc.mkfifo(name, 0o600)
    made = {os.fsencode(entry.name) for entry in tmp_path.iterdir()}
    assert made == {b"str", b"bytes", b"path", b"\xff", b"\xfe"}


def test_a_kind_that_is_none_is_refused(tmp_path: Path) -> None:
    with refused(errno.EINVAL):
        libc.mknod(tmp_path / "node", stat.S_IFLNK | 0o600)
    with refused(errno.EPERM):
        libc.mknod(tmp_path / "node", stat.S_IFDIR | 0o700)


# -- read(2), write(2) --


def test_read_gives_what_is_there_and_no_more(pipe: Callable[..., Pipe]) -> None:
    ends = pipe()
    libc.write(ends.writer, b"0123456789")
    assert libc.read(ends.reader, 0) == b""
    assert libc.read(ends.reader, 4) == b"0123"
    assert libc.read(ends.reader, 1_000_000) == b"456789"


def test_numpy_s_integers_are_a_count_and_its_arrays_are_filled(pipe: Callable[..., Pipe], fork: Fork) -> None:
    def child() -> tuple[bytes, int, list[int]]:
        numpy = pytest.importorskip("numpy")  # not in this process: it starts threads
        numbers = numpy.zeros(1, "u1")
        return libc.read(ends.reader, numpy.int64(1)), libc.read(ends.reader, numbers), numbers.tolist()

    ends = pipe()
    libc.write(ends.writer, b"\7\x08")
    assert fork(child).result() == (b"\7", 1, [8])


def test_a_pipe_ends_when_its_last_writer_closes(pipe: Callable[..., Pipe]) -> None:
    ends = pipe()
    libc.write(ends.writer, b"last words")
    ends.close("write")
    assert libc.read(ends.reader, 100) == b"last words"
    assert libc.read(ends.reader, 100) == b""


def test_a_pipe_without_a_reader_is_broken(pipe: Callable[..., Pipe]) -> None:
    ends = pipe()
    ends.close("read")
    with pytest.raises(BrokenPipeError, match="write") as caught:
        libc.write(ends.writer, b"nobody reads this")
    assert caught.value.errno == errno.EPIPE


def test_an_empty_nonblocking_pipe_would_block(pipe: Callable[..., Pipe]) -> None:
    ends = pipe(libc.O_NONBLOCK | libc.O_CLOEXEC)
    with pytest.raises(BlockingIOError, match="O_NONBLOCK"):
        libc.read(ends.reader, 1)
    libc.write(ends.writer, b"x")
    assert libc.read(ends.reader, 100) == b"x"


def test_a_full_nonblocking_pipe_takes_what_it_can_and_then_would_block(pipe: Callable[..., Pipe]) -> None:
    ends = pipe(libc.O_NONBLOCK | libc.O_CLOEXEC)
    fcntl.fcntl(ends.writer, fcntl.F_SETPIPE_SZ, CAPACITY)
    assert libc.write(ends.writer, bytes(2 * CAPACITY)) == CAPACITY
    with pytest.raises(BlockingIOError, match="O_NONBLOCK"):
        libc.write(ends.writer, b"x")
    assert libc.read(ends.reader, 2 * CAPACITY) == bytes(CAPACITY)


def test_any_contiguous_buffer_can_be_written(pipe: Callable[..., Pipe]) -> None:
    ends = pipe()
    mapping = libc.mmap(None, 10, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_ANONYMOUS | libc.MAP_PRIVATE)
    try:
        for data in (
            bytearray(b"bytearray"),
            memoryview(b"a slice of it")[2:7],
            mapping,
            memoryview(b"12345678").cast("I"),
        ):
            assert libc.write(ends.writer, data) == len(bytes(data))
            assert libc.read(ends.reader, 100) == bytes(data)
    finally:
        libc.munmap(mapping)
    assert libc.write(ends.writer, b"") == 0


def test_a_buffer_that_was_written_is_free_again(pipe: Callable[..., Pipe]) -> None:
    ends, data = pipe(), bytearray(b"grows")
    libc.write(ends.writer, data)
    data += b" on"  # a buffer that is lent cannot be resized


def test_the_wrong_end_is_refused(pipe: Callable[..., Pipe]) -> None:
    ends = pipe()
    with refused(errno.EBADF):
        libc.read(ends.writer, 1)
    with refused(errno.EBADF):
        libc.write(ends.reader, b"x")


def test_read_and_write_go_with_any_descriptor(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert libc.write(fd, b"a file") == 6
        os.lseek(fd, 0, os.SEEK_SET)
        assert libc.read(fd, 100) == b"a file"
        with pytest.raises(IsADirectoryError, match="read"):
            libc.read(folder, 1)
    finally:
        os.close(fd)
        os.close(folder)


# -- between processes --


def test_a_blocked_reader_gets_what_is_written(pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate]) -> None:
    ends, ready = pipe(), gate()

    def read() -> bytes:
        ready.open()
        return libc.read(ends.reader, 100)

    child = fork(read)
    ready.wait()
    until_blocked(child)
    libc.write(ends.writer, b"for you")
    assert child.result() == b"for you"


def test_a_blocked_writer_goes_on_when_there_is_room(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate]
) -> None:
    ends, ready = pipe(), gate()
    ends.fill()

    def write() -> int:
        ready.open()
        return libc.write(ends.writer, b"at last")

    child = fork(write)
    ready.wait()
    until_blocked(child)
    taken = 0
    while taken < CAPACITY:
        taken += len(libc.read(ends.reader, CAPACITY - taken))
    assert child.result() == 7
    assert libc.read(ends.reader, 100) == b"at last"


def test_writes_of_several_processes_do_not_mix(pipe: Callable[..., Pipe], fork: Fork) -> None:
    """pipe(7): up to PIPE_BUF bytes go in whole."""
    ends = pipe()

    def write(letter: bytes) -> None:
        for _ in range(100):
            assert libc.write(ends.writer, letter * 1000) == 1000

    letters = (b"a", b"b", b"c")
    children = [fork(write, letter) for letter in letters]
    ends.close("write")
    received = b"".join(iter(lambda: libc.read(ends.reader, CAPACITY), b""))
    for child in children:
        child.result()
    pieces = [received[start : start + 1000] for start in range(0, len(received), 1000)]
    assert sorted(pieces) == [letter * 1000 for letter in letters for _ in range(100)]


def test_data_goes_through_a_fifo_between_forked_processes(
    tmp_path: Path, fork: Fork, gate: Callable[[], Gate]
) -> None:
    name, opened = tmp_path / "fifo", gate()
    libc.mkfifo(name, 0o600)
    sent = bytes(range(256)) * 4096

    def send() -> int:
        fd = os.open(name, os.O_WRONLY)
        opened.open()
        rest = memoryview(sent)
        calls = 0
        while rest:
            rest = rest[libc.write(fd, rest) :]
            calls += 1
        return calls

    reader = os.open(name, os.O_RDONLY | os.O_NONBLOCK)  # this does not wait for the writer
    try:
        child = fork(send)
        opened.wait()
        os.set_blocking(reader, True)
        received = b"".join(iter(lambda: libc.read(reader, 10_000), b""))
    finally:
        os.close(reader)
    assert child.result() >= 1
    assert received == sent


def test_opening_a_fifo_waits_for_the_other_side(tmp_path: Path, fork: Fork, gate: Callable[[], Gate]) -> None:
    name, ready = tmp_path / "fifo", gate()
    libc.mknod(name, libc.S_IFIFO | 0o600)

    def read() -> bytes:
        ready.open()
        fd = os.open(name, os.O_RDONLY)
        return libc.read(fd, 100)

    child = fork(read)
    ready.wait()
    until_blocked(child)
    writer = os.open(name, os.O_WRONLY)
    try:
        libc.write(writer, b"met")
        assert child.result() == b"met"
    finally:
        os.close(writer)


# -- timeouts, which the kernel does not have --


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_read_or_write_that_runs_out_of_time_says_so(pipe: Callable[..., Pipe], timeout: float) -> None:
    ends = pipe()
    with pytest.raises(TimeoutError, match=r"read\("):
        libc.read(ends.reader, 1, timeout=timeout)
    assert libc.write(ends.writer, bytes(2 * CAPACITY), timeout=timeout) == CAPACITY
    with pytest.raises(TimeoutError, match=r"write\("):
        libc.write(ends.writer, b"x", timeout=timeout)
    assert libc.read(ends.reader, 2 * CAPACITY, timeout=timeout) == bytes(CAPACITY)


def test_a_timeout_ends_calls_on_any_thread_with_every_signal_blocked(pipe: Callable[..., Pipe]) -> None:
    ends, ended = pipe(), []

    def wait() -> None:
        libc.pthread_sigmask(libc.SIG_SETMASK, libc.SignalSet.full())
        with pytest.raises(TimeoutError):
            libc.read(ends.reader, 1, timeout=0.01)
        ended.append(libc.sigpending())

    threads = [threading.Thread(target=wait) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended == [libc.SignalSet()] * 4


@RESTART
def test_a_handler_within_a_timeout_is_told_of_or_the_wait_goes_on(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate], flags: int
) -> None:
    ends, ready = pipe(), gate()

    def read() -> bytes:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: libc.write(ends.writer, b"handled"), flags=flags))
        ready.open()
        if not flags:
            with pytest.raises(InterruptedError):
                libc.read(ends.reader, 100, timeout=DEADLINE)
        return libc.read(ends.reader, 100, timeout=DEADLINE)

    child = fork(read)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == b"handled"


def test_data_that_come_in_time_are_read(pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate]) -> None:
    ends, ready = pipe(), gate()

    def read() -> bytes:
        ready.open()
        return libc.read(ends.reader, 100, timeout=DEADLINE)

    child = fork(read)
    ready.wait()
    until_blocked(child)
    libc.write(ends.writer, b"in time")
    assert child.result() == b"in time"


def test_opening_a_fifo_runs_out_of_time_without_a_partner(tmp_path: Path) -> None:
    libc.mkfifo(tmp_path / "fifo", 0o600)
    for flags in (os.O_RDONLY, os.O_WRONLY):
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutError, match=r"open\(.*fifo.*nobody opened the other side"):
                libc.open(tmp_path / "fifo", flags, timeout=timeout)
    with refused(errno.ENXIO):
        libc.open(tmp_path / "fifo", os.O_WRONLY | os.O_NONBLOCK)
    with refused(errno.EINVAL):
        libc.open(tmp_path / "fifo", os.O_RDONLY, timeout=-1)
    made = libc.open(tmp_path / "file", os.O_CREAT | os.O_RDWR, 0o640, timeout=0)
    assert (os.get_inheritable(made), os.fstat(made).st_mode & 0o777) == (False, 0o640)
    os.close(made)


# -- tee(2), vmsplice(2) --


def test_tee_copies_what_stays(pipe: Callable[..., Pipe]) -> None:
    source, target = pipe(), pipe()
    libc.write(source.writer, b"copied")
    assert libc.tee(source.reader, target.writer, 4) == 4
    assert libc.read(target.reader, 100) == b"copi"
    assert libc.read(source.reader, 100) == b"copied"
    with pytest.raises(BlockingIOError, match="SPLICE_F_NONBLOCK"):
        libc.tee(source.reader, target.writer, 4, libc.SPLICE_F_NONBLOCK)
    with refused(errno.EINVAL):
        libc.tee(source.reader, source.writer, 4)
    with refused(errno.EBADF):
        libc.tee(source.writer, target.writer, 4)
    for wrong in ((-1, 0), (2**64, 0), (4, -1), (4, 2**32)):
        with pytest.raises(OverflowError):
            libc.tee(source.reader, target.writer, *wrong)
    source.close("write")
    assert libc.tee(source.reader, target.writer, 4) == 0


def test_vmsplice_takes_one_buffer_or_several_and_fills_them_at_the_other_end(pipe: Callable[..., Pipe]) -> None:
    ends = pipe()
    sent = b"one", bytearray(b"two"), memoryview(b"three")
    assert libc.vmsplice(ends.writer, sent) == 11
    assert libc.read(ends.reader, 100) == b"onetwothree"
    numbers = array("i", [1, 2])  # held until it is read, or something else lies there
    assert libc.vmsplice(ends.writer, numbers) == 8
    assert libc.read(ends.reader, 100) == numbers.tobytes()
    libc.write(ends.writer, b"123456")
    into = [bytearray(4), bytearray(4)]
    assert libc.vmsplice(ends.reader, into) == 6
    assert b"".join(into) == b"123456\0\0"
    assert libc.vmsplice(ends.writer, []) == 0


def test_vmsplice_writes_into_no_memory_that_cannot_be_written(pipe: Callable[..., Pipe]) -> None:
    ends, constant = pipe(), b"constant"
    libc.write(ends.writer, b"changed!")
    with pytest.raises(BufferError):
        libc.vmsplice(ends.reader, constant)
    assert constant == b"constant"
    with refused(errno.EINVAL):
        libc.vmsplice(ends.writer, b"x", libc.SPLICE_F_GIFT)
    with refused(errno.EINVAL):
        libc.vmsplice(ends.writer, [b"x"] * 1025)
    for wrong in (None, 5, "text", [None]):
        with pytest.raises(TypeError):
            libc.vmsplice(ends.writer, wrong)  # type: ignore[arg-type]
    file = os.open("/dev/null", os.O_RDWR)
    with refused(errno.EBADF):
        libc.vmsplice(file, b"x")
    os.close(file)
    with refused(errno.EBADF):
        libc.vmsplice(file, b"x")


@pytest.mark.parametrize("call", ["tee", "vmsplice"])
@RESTART
def test_signals_interrupt_tee_and_vmsplice_as_they_do_read(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate], call: str, flags: int
) -> None:
    ends, other, ready = pipe(), pipe(), gate()

    def wait() -> int:
        def use() -> int:
            if call == "tee":
                return libc.tee(ends.reader, other.writer, 100)
            return libc.vmsplice(ends.reader, bytearray(100))

        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: libc.write(ends.writer, b"handled"), flags=flags))
        ready.open()
        if not flags:
            with pytest.raises(InterruptedError, match=call):
                use()
        return use()

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == 7


# -- signals: signal(7) --


def test_a_handler_without_sa_restart_interrupts_a_read_once_it_has_run(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate]
) -> None:
    ends, ready = pipe(), gate()

    def read() -> bytes:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: libc.write(ends.writer, b"handled")))
        ready.open()
        with pytest.raises(InterruptedError, match=r"read\(") as caught:
            libc.read(ends.reader, 100)
        assert caught.value.errno == errno.EINTR
        return libc.read(ends.reader, 100)

    child = fork(read)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == b"handled"


def test_with_sa_restart_a_read_goes_on_after_the_handler(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate]
) -> None:
    ends, ready = pipe(), gate()

    def read() -> bytes:
        action = libc.Sigaction(lambda _: libc.write(ends.writer, b"handled"), flags=libc.SA_RESTART)
        libc.sigaction(libc.SIGUSR1, action)
        ready.open()
        return libc.read(ends.reader, 100)

    child = fork(read)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == b"handled"


def test_with_sa_restart_a_read_goes_on_after_any_number_of_handlers(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate]
) -> None:
    ends, ready, handled = pipe(), gate(), gate()

    def read() -> tuple[int, bytes]:
        count = 0

        def handler(signum: int) -> None:
            nonlocal count
            count += 1
            handled.open()

        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handler, flags=libc.SA_RESTART))
        ready.open()
        data = libc.read(ends.reader, 100)
        return count, data

    child = fork(read)
    ready.wait()
    for _ in range(5):
        until_blocked(child)
        child.kill(libc.SIGUSR1)
        handled.wait()
    until_blocked(child)
    libc.write(ends.writer, b"data")
    assert child.result() == (5, b"data")


def test_a_handler_without_sa_restart_interrupts_a_write_once_it_has_run(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate]
) -> None:
    ends, ready = pipe(), gate()
    ends.fill()

    def write() -> list[str]:
        story: list[str] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: story.append("handler")))
        ready.open()
        with pytest.raises(InterruptedError, match=r"write\("):
            libc.write(ends.writer, b"never written")
        return story

    child = fork(write)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == ["handler"]
    os.set_blocking(ends.reader, False)
    assert libc.read(ends.reader, 2 * CAPACITY) == bytes(CAPACITY)


def test_with_sa_restart_a_write_goes_on_after_the_handler(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate]
) -> None:
    ends, ready = pipe(), gate()
    ends.fill()

    def write() -> int:
        action = libc.Sigaction(lambda _: libc.read(ends.reader, CAPACITY), flags=libc.SA_RESTART)  # it makes room
        libc.sigaction(libc.SIGUSR1, action)
        ready.open()
        return libc.write(ends.writer, b"written")

    child = fork(write)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == 7
    assert libc.read(ends.reader, 100) == b"written"


@RESTART
def test_a_write_that_was_interrupted_half_way_tells_how_far_it_came(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate], flags: int
) -> None:
    ends, ready = pipe(), gate()
    fcntl.fcntl(ends.writer, fcntl.F_SETPIPE_SZ, CAPACITY)

    def write() -> tuple[int, list[str]]:
        story: list[str] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: story.append("handler"), flags=flags))
        ready.open()
        count = libc.write(ends.writer, b"x" * 3 * CAPACITY)
        return count, story

    child = fork(write)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == (CAPACITY, ["handler"])
    assert libc.read(ends.reader, 2 * CAPACITY) == b"x" * CAPACITY


@RESTART
@pytest.mark.parametrize("call", ["read", "write"])
def test_what_the_handler_raises_comes_out_of_the_call(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate], call: str, flags: int
) -> None:
    ends, ready = pipe(), gate()
    if call == "write":
        ends.fill()

    def fail(signum: int) -> None:
        raise ZeroDivisionError("raised by the handler")

    def wait() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(fail, flags=flags))
        ready.open()
        if call == "read":
            libc.read(ends.reader, 1)
        else:
            libc.write(ends.writer, b"x")

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    with pytest.raises(ZeroDivisionError, match="raised by the handler"):
        child.result()


def test_an_ignored_signal_does_not_interrupt_a_read(
    pipe: Callable[..., Pipe], fork: Fork, gate: Callable[[], Gate]
) -> None:
    ends, ready = pipe(), gate()

    def read() -> bytes:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(libc.SIG_IGN))
        ready.open()
        return libc.read(ends.reader, 100)

    child = fork(read)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    libc.write(ends.writer, b"undisturbed")
    assert child.result() == b"undisturbed"


def test_sigpipe_comes_with_a_broken_pipe(fork: Fork) -> None:
    def write() -> list[int]:
        story: list[int] = []
        libc.sigaction(libc.SIGPIPE, libc.Sigaction(story.append))
        ends = Pipe()
        ends.close("read")
        with pytest.raises(BrokenPipeError):
            libc.write(ends.writer, b"x")
        return story

    assert fork(write).result() == [libc.SIGPIPE]


def test_a_writer_with_the_default_sigpipe_ends(fork: Fork) -> None:
    def write() -> None:
        libc.sigaction(libc.SIGPIPE, libc.Sigaction(libc.SIG_DFL))
        ends = Pipe()
        ends.close("read")
        libc.write(ends.writer, b"x")

    assert fork(write).wait().returncode == -libc.SIGPIPE
