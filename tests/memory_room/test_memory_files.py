"""unixipc.memory: files that lie in memory, and their seals."""

from __future__ import annotations

import copy
import errno
import os
import pickle
import re
import resource
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from maps import is_shared, leave_room
from memory_room.helpers import PAGE, get, put
from nobody import become_nobody

from unixipc import libc
from unixipc.memory import Mapping, MemoryFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

SIZE = 2 * PAGE + 100
ALL = libc.F_SEAL_SEAL | libc.F_SEAL_SHRINK | libc.F_SEAL_GROW | libc.F_SEAL_WRITE


@pytest.fixture
def file() -> Iterator[MemoryFile]:
    with MemoryFile.create(SIZE) as file:
        yield file


def write(file: MemoryFile, data: bytes, place: int = 0) -> None:
    with file.map(access="write") as mapping:
        put(mapping, data, place)


# -- life --


def test_a_new_file_is_zeros_of_the_size_asked_for_and_reserved(file: MemoryFile) -> None:
    with file.map() as mapping:
        assert bytes(mapping) == bytes(SIZE)
    assert (file.size, file.seals, file.closed) == (SIZE, libc.Seal(0), False)
    assert repr(file) == f"<MemoryFile at descriptor {file.fileno()}>"
    assert os.fstat(file.fileno()).st_blocks * 512 >= SIZE


def test_its_name_is_for_those_who_look() -> None:
    with MemoryFile.create(PAGE, name="frames") as file, file.map() as mapping:
        assert str(Path(f"/proc/self/fd/{file.fileno()}").readlink()) == "/memfd:frames (deleted)"
        assert "/memfd:frames" in Path("/proc/self/maps").read_text()
        assert len(mapping) == PAGE


def test_no_program_that_is_executed_inherits_it(file: MemoryFile) -> None:
    taken = os.dup(file.fileno())
    os.set_inheritable(taken, True)
    with MemoryFile.from_fd(taken) as other:
        assert [os.get_inheritable(held.fileno()) for held in (file, other)] == [False, False]


def test_what_is_mapped_outlives_the_file(file: MemoryFile) -> None:
    with file.map(access="write") as mapping:
        file.close()
        put(mapping, b"goes on")
        assert get(mapping, 7) == b"goes on"


def test_a_part_is_mapped_and_every_mapping_shows_the_same(file: MemoryFile) -> None:
    with file.map(10, offset=PAGE, access="write") as part, file.map() as whole, file.map(access="copy") as own:
        put(part, b"0123456789")
        assert get(whole, 12, PAGE - 1) == b"\x000123456789\0"
        put(own, b"mine", PAGE)
        assert get(whole, 4, PAGE) == b"0123"
        assert os.pread(file.fileno(), 10, PAGE) == b"0123456789"


def test_closing_twice_is_fine_and_a_closed_file_says_so(file: MemoryFile) -> None:
    file.close()
    file.close()
    assert (file.closed, repr(file)) == (True, "<MemoryFile closed>")
    uses: list[Callable[[], object]] = [
        file.fileno,
        file.map,
        lambda: file.size,
        lambda: file.seals,
        lambda: file.seal(libc.F_SEAL_GROW),
        lambda: file.resize(PAGE),
        lambda: Mapping.of(file),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="this file is closed"):
            use()


def test_a_file_that_is_dropped_open_is_closed_with_one_warning() -> None:
    file = MemoryFile.create(PAGE)
    fd, text = file.fileno(), repr(file)
    with pytest.warns(ResourceWarning) as caught:
        del file
    assert [str(warning.message) for warning in caught] == [f"unclosed {text}"]
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_file_cannot_be_copied_or_pickled(file: MemoryFile) -> None:
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="send its descriptor"):
            duplicate(file)


# -- from process to process --


def test_a_child_that_inherits_it_uses_it(file: MemoryFile, fork: Fork) -> None:
    fork(write, file, b"from the child", PAGE).result()
    with file.map() as mapping:
        assert get(mapping, 14, PAGE) == b"from the child"


def test_a_descriptor_that_came_over_a_socket_is_adopted(fork: Fork) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def child() -> None:
        with MemoryFile.create(SIZE) as file:
            write(file, b"from the child", PAGE)
            file.seal(ALL)
            socket.send_fds(theirs, [b"a file"], [file.fileno()])

    with ours, theirs:
        sender = fork(child)
        _, descriptors, _, _ = socket.recv_fds(ours, 100, 1)
        sender.result()
    with MemoryFile.from_fd(*descriptors) as file:
        assert (file.size, file.seals) == (SIZE, ALL)
        with file.map() as mapping:
            assert get(mapping, 14, PAGE) == b"from the child"


UNRELATED = """
import sys
from memory_room.helpers import get, put
from unixipc.memory import Mapping

with Mapping.of(sys.argv[1], access="write") as mapping:
    assert get(mapping, 4) == b"ping"
    put(mapping, b"pong")
"""


def test_an_unrelated_program_finds_it_under_proc(file: MemoryFile) -> None:
    write(file, b"ping")
    path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
    search = os.pathsep.join(entry or "." for entry in sys.path)
    subprocess.run([sys.executable, "-c", UNRELATED, path], check=True, env={**os.environ, "PYTHONPATH": search})
    with file.map() as mapping:
        assert get(mapping, 4) == b"pong"


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_does_not(file: MemoryFile, fork: Fork) -> None:
    path = f"/proc/{os.getpid()}/fd/{file.fileno()}"

    def child() -> None:
        become_nobody()
        for way in ("read", "write", "copy"):
            with pytest.raises(PermissionError, match=path):
                Mapping.of(path, access=way)

    fork(child).result()


def test_what_is_no_file_in_memory_stays_its_owner_s(tmp_path: Path) -> None:
    here, there = os.pipe()
    for fd in (here, there):
        with pytest.raises(OSError, match=r"F_GET_SEALS.*Mapping.of maps any") as caught:
            MemoryFile.from_fd(fd)
        assert caught.value.errno == errno.EINVAL
        os.close(fd)
    with pytest.raises(OSError, match="F_GET_SEALS"):
        MemoryFile.from_fd(there)


# -- seals --


def test_what_is_sealed_against_writing_is_not_written_any_more(file: MemoryFile) -> None:
    write(file, b"for ever")
    file.seal(libc.F_SEAL_WRITE)
    with pytest.raises(PermissionError, match="sealed against writing"):
        file.map(access="write")
    with pytest.raises(PermissionError):
        os.pwrite(file.fileno(), b"x", 0)
    with file.map() as reader, file.map(access="copy") as own:
        put(own, b"but")
        assert get(reader, 8) == b"for ever"
        with pytest.raises(TypeError, match="read-only"):
            memoryview(reader)[0] = 1


def test_it_is_not_sealed_while_somebody_can_write(file: MemoryFile, fork: Fork) -> None:
    mapping = file.map(access="write")
    with pytest.raises(OSError, match="close its writable mappings") as caught:
        file.seal(libc.F_SEAL_WRITE)
    assert caught.value.errno == errno.EBUSY
    view = memoryview(mapping)
    mapping.close()
    with pytest.raises(OSError, match="and release their views"):
        file.seal(libc.F_SEAL_WRITE)
    view.release()

    def child() -> None:
        with file.map(access="write"), pytest.raises(OSError, match="in other processes"):
            file.seal(libc.F_SEAL_WRITE)

    fork(child).result()
    file.seal(libc.F_SEAL_WRITE)
    assert file.seals == libc.F_SEAL_WRITE


def test_a_seal_against_future_writers_leaves_those_of_today(file: MemoryFile) -> None:
    with file.map(access="write") as mapping:
        try:
            file.seal(libc.F_SEAL_FUTURE_WRITE)
        except (OSError, OverflowError) as error:
            pytest.skip(f"F_SEAL_FUTURE_WRITE needs Linux 5.1: {error}")
        with pytest.raises(PermissionError, match="sealed against writing"):
            file.map(access="write")
        with file.map() as reader:
            put(mapping, b"news")
            assert get(reader, 4) == b"news"


def test_what_is_sealed_keeps_its_size(file: MemoryFile) -> None:
    file.seal(libc.F_SEAL_SHRINK)
    with pytest.raises(PermissionError):
        os.ftruncate(file.fileno(), 1)
    file.resize(SIZE + PAGE)
    file.seal(libc.F_SEAL_GROW)
    with pytest.raises(PermissionError, match="sealed against growing"):
        file.resize(SIZE + 2 * PAGE)
    file.resize(SIZE + PAGE)
    assert file.seals == libc.F_SEAL_SHRINK | libc.F_SEAL_GROW


def test_after_the_last_seal_there_are_no_more(file: MemoryFile) -> None:
    file.seal(libc.F_SEAL_SEAL)
    with pytest.raises(PermissionError, match="F_SEAL_SEAL"):
        file.seal(libc.F_SEAL_GROW)


def test_a_file_that_is_not_sealable_says_so() -> None:
    with MemoryFile.create(PAGE, sealable=False) as file:
        assert file.seals == libc.F_SEAL_SEAL
        with pytest.raises(PermissionError, match="without sealable=True"):
            file.seal(libc.F_SEAL_WRITE)


def test_whoever_gets_it_for_reading_only_can_neither_write_nor_seal(file: MemoryFile) -> None:
    fd = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
    with MemoryFile.from_fd(fd) as reader, reader.map() as mapping:
        with pytest.raises(PermissionError, match="O_RDWR"):
            reader.map(access="write")
        with pytest.raises(PermissionError, match="for reading only"):
            reader.seal(libc.F_SEAL_GROW)
        with pytest.raises(OSError, match="for reading only"):
            reader.resize(10 * PAGE)
        write(file, b"hello")
        assert get(mapping, 5) == b"hello"


@pytest.mark.parametrize("seals", [1 << 20, 1 << 31])
def test_a_seal_that_there_is_not_is_refused(file: MemoryFile, seals: int) -> None:
    with pytest.raises(OSError, match="this kernel has no such seal") as caught:
        file.seal(seals)
    assert caught.value.errno == errno.EINVAL


# -- size --


def test_it_gets_longer_and_its_mappings_show_that_once_they_are_resized(file: MemoryFile) -> None:
    with file.map(access="write") as mapping:
        put(mapping, b"first")
        file.resize(10 * PAGE)
        assert (file.size, len(mapping)) == (10 * PAGE, SIZE)
        mapping.resize(10 * PAGE)
        put(mapping, b"last", 10 * PAGE - 4)
        assert get(mapping, 6) == b"first\0"
        with pytest.raises(ValueError, match="make it longer first"):
            mapping.resize(11 * PAGE)
    assert os.fstat(file.fileno()).st_blocks * 512 == 10 * PAGE


def test_it_never_gets_shorter(file: MemoryFile) -> None:
    with pytest.raises(ValueError, match=f"has {SIZE} bytes, and cannot get shorter"):
        file.resize(SIZE - 1)
    assert file.size == SIZE


def test_more_than_the_machine_has_is_an_error_and_nobody_is_killed(file: MemoryFile) -> None:
    for size in (2**45, 2**62):
        with pytest.raises(OSError, match="of memory are free") as caught:
            MemoryFile.create(size)
        assert caught.value.errno == errno.ENOMEM
        with pytest.raises(OSError, match="of memory are free"):
            file.resize(size)
    assert file.size == SIZE


def test_a_file_that_is_only_said_to_be_large_is_not_filled_beyond_the_memory_there_is() -> None:
    fd = os.memfd_create("sparse")
    os.ftruncate(fd, 2**45)
    with MemoryFile.from_fd(fd) as file:
        with pytest.raises(OSError, match="of memory are free"):
            file.map(access="write")
        with file.map(PAGE, offset=2**44, access="write") as mapping:
            put(mapping, b"x")
        assert os.fstat(fd).st_blocks * 512 == PAGE


def test_a_limit_of_file_sizes_is_an_error_that_leaves_nothing_behind(fork: Fork) -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (PAGE, PAGE))
        with pytest.raises(OSError, match="posix_fallocate") as caught:
            MemoryFile.create(2 * PAGE)
        assert caught.value.errno == errno.EFBIG

    fork(child).result()


def test_memory_that_cannot_be_mapped_leaves_the_file_as_it_was(file: MemoryFile, fork: Fork) -> None:
    def child() -> None:
        fd = os.memfd_create("sparse")
        os.ftruncate(fd, 2**33)
        leave_room(2**32)
        with MemoryFile.from_fd(fd) as sparse:
            with pytest.raises(OSError, match="RLIMIT_AS"):
                sparse.map(access="write")
            assert os.fstat(fd).st_blocks == 0

    fork(child).result()


def test_huge_pages_are_had_or_the_error_says_what_to_do() -> None:
    try:
        file = MemoryFile.create(2**22, huge=2**21)
    except OSError as error:
        if not re.search(r"vm.nr_hugepages|this kernel has some", str(error)):
            raise
        pytest.skip(str(error))
    with file, file.map(access="write") as mapping, file.map(offset=2**21) as part:
        put(mapping, b"huge", 2**21)
        assert get(part, 4) == b"huge"
        for size, offset in ((PAGE, 0), (2**21, PAGE)):
            with pytest.raises(ValueError, match="must be a multiple"):
                file.map(size, offset=offset)
        with pytest.raises(ValueError, match="must be a multiple"):
            file.resize(2**22 + PAGE)


# -- bad input --


@pytest.mark.parametrize("size", [0, -1, -(2**64)])
def test_a_size_is_above_0(file: MemoryFile, size: int) -> None:
    for make in (MemoryFile.create, file.resize, file.map):
        with pytest.raises(ValueError, match="at least one byte"):
            make(size)


@pytest.mark.parametrize("size", [2**63, 2**64, 2**100])
def test_a_size_that_nobody_has_is_refused(file: MemoryFile, size: int) -> None:
    for make in (MemoryFile.create, file.resize, file.map):
        with pytest.raises((OSError, ValueError, OverflowError)):
            make(size)
    assert file.size == SIZE


@pytest.mark.parametrize("wrong", [None, "one", 1.0, b"1", [], object()])
def test_what_is_no_number_is_a_typeerror(file: MemoryFile, wrong: Any) -> None:
    for use in (MemoryFile, MemoryFile.create, MemoryFile.from_fd, file.seal, file.resize):
        with pytest.raises(TypeError):
            use(wrong)
    with pytest.raises(TypeError):
        file.map(offset=wrong)


@pytest.mark.parametrize("number", [-1, -(2**31), 2**31 - 1, 2**31, 2**64])
def test_a_number_that_is_no_descriptor_is_an_error(number: int) -> None:
    with pytest.raises((OSError, OverflowError, ValueError)):
        MemoryFile.from_fd(number)


@pytest.mark.parametrize("seals", [-1, 2**32, 2**64])
def test_seals_that_c_cannot_hold_are_an_overflowerror(file: MemoryFile, seals: int) -> None:
    with pytest.raises(OverflowError, match="must fit"):
        file.seal(seals)


def test_a_name_has_its_limits() -> None:
    with pytest.raises(OSError, match="at most 249 bytes"):
        MemoryFile.create(PAGE, name="x" * 250)
    for name in ("a\0b", "\ud800"):
        with pytest.raises(ValueError, match=r"null|surrogates"):
            MemoryFile.create(PAGE, name=name)
    with pytest.raises(TypeError):
        MemoryFile.create(PAGE, name=None)  # type: ignore[arg-type]


def test_a_thousand_files_leave_no_descriptor_and_no_mapping() -> None:
    for number in range(1000):
        with MemoryFile.create(PAGE) as file, file.map(access="write") as mapping:
            address = mapping.address
            if number % 100 == 0:
                file.seal(libc.F_SEAL_GROW)
    assert not is_shared(address)
