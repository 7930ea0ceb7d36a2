"""unixipc.posix: shared memory as an object."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import posix_ipc
import pytest
from maps import leave_room
from nobody import become_nobody

from unixipc import libc, posix, processes
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

NAME = f"/unixipc-memory-{os.getpid()}"
PAGE = libc.PAGE_SIZE
SIZE = 2 * PAGE + 100


@pytest.fixture
def name() -> Iterator[str]:
    """A name whose memory is removed with the test."""
    yield NAME
    with suppress(FileNotFoundError):  # the test may have removed it
        libc.shm_unlink(NAME)


@pytest.fixture
def memory(name: str) -> Iterator[posix.SharedMemory]:
    with posix.SharedMemory.create(name, SIZE) as memory:
        yield memory


def write(memory: posix.SharedMemory, text: bytes, place: int = 0) -> None:
    with memoryview(memory) as view:
        view[place : place + len(text)] = text


def read(memory: posix.SharedMemory, length: int, place: int = 0) -> bytes:
    with memoryview(memory) as view:
        return bytes(view[place : place + length])


# -- life --


def test_new_memory_is_zeros_of_the_size_asked_for(memory: posix.SharedMemory, name: str) -> None:
    assert bytes(memory) == bytes(SIZE)
    assert (memory.name, len(memory), memory.readonly, memory.closed) == (name, SIZE, False, False)
    assert repr(memory) == f"<SharedMemory {name}>"
    status = os.fstat(memory.fileno())
    assert (status.st_size, status.st_mode & 0o777) == (SIZE, 0o600)
    assert status.st_blocks * 512 >= SIZE  # reserved


def test_create_makes_a_new_one_open_finds_it_and_open_or_create_does_either(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no object has this name"):
        posix.SharedMemory.open(name)
    with posix.SharedMemory.open_or_create(name, SIZE) as made:
        with pytest.raises(FileExistsError, match=name):
            posix.SharedMemory.create(name, SIZE)
        write(made, b"hello")
        with posix.SharedMemory.open(name) as opened, posix.SharedMemory.open_or_create(name, 10) as again:
            assert len(opened) == len(again) == SIZE
            assert read(opened, 5) == read(again, 5) == b"hello"


def test_a_with_block_closes_and_never_unlinks(name: str) -> None:
    with posix.SharedMemory.create(name, SIZE) as memory:
        write(memory, b"stays")
    assert (memory.closed, len(memory), repr(memory)) == (True, 0, f"<SharedMemory {name} closed>")
    memory.close()
    with posix.SharedMemory.open(name) as again:
        assert read(again, 5) == b"stays"
    memory.unlink()
    with pytest.raises(FileNotFoundError, match="no object has this name"):
        memory.unlink()


def test_closed_memory_says_so(memory: posix.SharedMemory) -> None:
    memory.close()
    uses: list[Callable[[], object]] = [
        memory.fileno,
        lambda: memory.resize(10 * PAGE),
        lambda: memoryview(memory),
        lambda: libc.mlock(memory),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="closed"):
            use()


def test_memory_that_is_dropped_open_is_closed_with_one_warning(name: str) -> None:
    with pytest.warns(ResourceWarning) as caught:
        posix.SharedMemory.create(name, SIZE)
    assert [str(warning.message) for warning in caught] == [f"unclosed <SharedMemory {name}>"]
    assert name not in Path("/proc/self/maps").read_text()


def test_a_view_stays_valid_after_close_and_unlink(memory: posix.SharedMemory, name: str) -> None:
    view = memoryview(memory)
    view[:5] = b"hello"
    memory.close()
    memory.unlink()
    assert bytes(view[:5]) == b"hello"
    assert name in Path("/proc/self/maps").read_text()
    view.release()
    assert name not in Path("/proc/self/maps").read_text()


def test_what_is_opened_for_reading_cannot_be_written(memory: posix.SharedMemory, name: str) -> None:
    with posix.SharedMemory.open(name, readonly=True) as reader:
        write(memory, b"news")
        assert read(reader, 4) == b"news"
        assert reader.readonly
        with pytest.raises(TypeError, match="read-only"):
            memoryview(reader)[0] = 1
        with pytest.raises(PermissionError, match="mprotect"):
            libc.mprotect(reader, libc.PROT_READ | libc.PROT_WRITE)


def test_pickled_memory_is_opened_by_its_name_for_the_same(memory: posix.SharedMemory, name: str) -> None:
    write(memory, b"hello")
    with posix.SharedMemory.open(name, readonly=True) as reader:
        for original in (memory, reader):
            with pickle.loads(pickle.dumps(original)) as again:
                assert (again.name, again.readonly, read(again, 5)) == (name, original.readonly, b"hello")


@pytest.mark.parametrize("wrong", ["", "/", "jobs", "/a/b", "//jobs", "/.", "/..", "/a\0b", "/\ud800"])
def test_a_name_is_a_slash_and_more(wrong: str) -> None:
    makes: list[Callable[[], object]] = [
        lambda: posix.SharedMemory.create(wrong, SIZE),
        lambda: posix.SharedMemory.open(wrong),
        lambda: posix.SharedMemory.open_or_create(wrong, SIZE),
    ]
    for make in makes:
        with pytest.raises(ValueError, match=r"such as '/jobs', and not|contains a NUL|surrogates not allowed"):
            make()


@pytest.mark.parametrize("size", [0, -1])
def test_a_size_is_above_0(name: str, size: int) -> None:
    for make in (posix.SharedMemory.create, posix.SharedMemory.open_or_create):
        with pytest.raises(ValueError, match="at least one byte"):
            make(name, size)


@pytest.mark.parametrize("size", [2**62, 2**63, 2**100])
def test_a_size_that_nobody_has_leaves_nothing_behind(name: str, size: int) -> None:
    for make in (posix.SharedMemory.create, posix.SharedMemory.open_or_create):
        with pytest.raises((OSError, OverflowError)):
            make(name, size)
        with pytest.raises(FileNotFoundError):
            posix.SharedMemory.open(name)


def test_a_size_that_cannot_be_mapped_leaves_nothing_behind(name: str, fork: Fork) -> None:
    def child() -> None:
        leave_room(2**27)
        with pytest.raises(OSError, match="RLIMIT_AS") as caught:
            posix.SharedMemory.create(name, 2**28)
        assert caught.value.errno == errno.ENOMEM
        with pytest.raises(FileNotFoundError):
            posix.SharedMemory.open(name)

    fork(child).result()


# -- a full /dev/shm --


def with_small_shm(function: Callable[[], None]) -> bool:
    """Call a function where /dev/shm has room for 16 pages; False where it cannot be had."""
    with ExitStack() as stack:
        try:
            mounts = stack.enter_context(processes.mount_namespace())
        except PermissionError:
            return False
        mounts.tmpfs("/dev/shm", size=16 * PAGE)  # noqa: S108 - our own
        function()
    return True


def _in_small_shm(fork: Fork, function: Callable[[], None]) -> None:
    if not fork(with_small_shm, function).result():
        pytest.skip("no private mount namespace can be made here (CAP_SYS_ADMIN)")


def test_a_full_dev_shm_is_an_error_at_creation_and_leaves_nothing_behind(name: str, fork: Fork) -> None:
    def child() -> None:
        for make in (posix.SharedMemory.create, posix.SharedMemory.open_or_create):
            with pytest.raises(OSError, match="has no room for it") as caught:
                make(name, 100 * PAGE)
            assert caught.value.errno == errno.ENOSPC
            assert os.listdir("/dev/shm") == []  # noqa: PTH208, S108 - names are enough
        with posix.SharedMemory.create(name, 10 * PAGE) as memory:
            write(memory, bytes(10 * PAGE))

    _in_small_shm(fork, child)


def test_a_full_dev_shm_is_an_error_of_resize_and_leaves_the_memory_as_it_was(name: str, fork: Fork) -> None:
    def child() -> None:
        with posix.SharedMemory.create(name, 10 * PAGE) as memory:
            write(memory, b"stays")
            with pytest.raises(OSError, match="has no room for it"):
                memory.resize(100 * PAGE)
            assert (len(memory), os.fstat(memory.fileno()).st_size) == (10 * PAGE, 10 * PAGE)
            assert read(memory, 5) == b"stays"
            memory.resize(12 * PAGE)
            write(memory, b"x", 12 * PAGE - 1)

    _in_small_shm(fork, child)


def test_a_full_dev_shm_makes_no_semaphore(name: str, fork: Fork) -> None:
    def child() -> None:
        with posix.SharedMemory.create(name, 16 * PAGE):
            with pytest.raises(OSError, match="sem_open") as caught:
                posix.Semaphore.create(name)
            assert caught.value.errno == errno.ENOSPC

    _in_small_shm(fork, child)


# -- resizing --


def test_memory_gets_longer_and_keeps_what_it_holds(memory: posix.SharedMemory) -> None:
    write(memory, b"hello")
    memory.resize(10 * PAGE)
    assert (len(memory), os.fstat(memory.fileno()).st_size) == (10 * PAGE, 10 * PAGE)
    assert read(memory, 6) == b"hello\0"
    write(memory, b"!", 10 * PAGE - 1)


def test_memory_never_gets_shorter(memory: posix.SharedMemory) -> None:
    with pytest.raises(ValueError, match=f"has {SIZE} bytes, and cannot get shorter"):
        memory.resize(SIZE - 1)
    memory.resize(SIZE)
    assert len(memory) == SIZE


def test_memory_that_somebody_shows_is_not_resized_at_all(memory: posix.SharedMemory) -> None:
    view = memoryview(memory)
    with pytest.raises(BufferError, match="release them first"):
        memory.resize(10 * PAGE)
    assert os.fstat(memory.fileno()).st_size == len(view) == SIZE


def test_what_another_process_added_is_there_after_resizing(memory: posix.SharedMemory, name: str, fork: Fork) -> None:
    def child() -> None:
        with posix.SharedMemory.open(name) as inner:
            inner.resize(4 * PAGE)
            write(inner, b"more", 3 * PAGE)

    reader = posix.SharedMemory.open(name, readonly=True)
    fork(child).result()
    for here in (memory, reader):
        here.resize(4 * PAGE)
        assert read(here, 4, 3 * PAGE) == b"more"
    with pytest.raises(OSError, match="posix_fallocate"):
        reader.resize(5 * PAGE)
    reader.close()


# -- several processes --


def test_memory_that_is_too_short_is_left_alone(memory: posix.SharedMemory, name: str) -> None:
    write(memory, b"theirs")
    with pytest.raises(OSError, match=rf"it exists, and has only {SIZE} bytes: open\(\) and resize\(\) it"):
        posix.SharedMemory.open_or_create(name, SIZE + 1)
    assert (len(memory), read(memory, 6)) == (SIZE, b"theirs")
    with posix.SharedMemory.open(name) as again:
        assert len(again) == SIZE


def test_memory_that_nobody_gave_a_size_is_not_there_yet(name: str) -> None:
    os.close(libc.shm_open(name, libc.O_CREAT | libc.O_EXCL | libc.O_RDWR))
    with pytest.raises(FileNotFoundError, match="it has no bytes: whoever makes it is not done, or never was"):
        posix.SharedMemory.open(name)
    with posix.SharedMemory.open_or_create(name, SIZE) as memory:
        assert len(memory) == SIZE


@pytest.mark.slow
def test_racing_processes_make_one_memory(name: str, fork: Fork, gate: Callable[[], Gate]) -> None:
    go = gate()

    def join(number: int) -> int:
        go.wait()
        with posix.SharedMemory.open_or_create(name, SIZE) as memory:
            write(memory, bytes([number]), number)
            return os.fstat(memory.fileno()).st_ino

    for _ in range(20):
        children = [fork(join, number) for number in range(1, 4)]
        for _ in children:
            go.open()
        assert len({child.result() for child in children}) == 1
        with posix.SharedMemory.open(name) as memory:
            assert read(memory, 4) == b"\0\1\2\3"
            memory.unlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_is_refused(memory: posix.SharedMemory, name: str, fork: Fork) -> None:
    def child() -> None:
        become_nobody()
        for readonly in (True, False):
            with pytest.raises(PermissionError, match="its mode refuses this access"):
                posix.SharedMemory.open(name, readonly=readonly)
        with pytest.raises(PermissionError, match="its mode refuses this access"):
            posix.SharedMemory.open_or_create(name, SIZE)
        with pytest.raises(PermissionError, match="only its owner"):
            memory.unlink()
        write(memory, b"what was inherited works")

    fork(child).result()
    assert read(memory, 24) == b"what was inherited works"


def test_memory_that_was_unlinked_stays_for_who_has_it(memory: posix.SharedMemory, name: str, fork: Fork) -> None:
    memory.unlink()
    with posix.SharedMemory.create(name, PAGE) as other:
        fork(write, memory, b"old").result()
        assert (read(memory, 3), read(other, 3)) == (b"old", b"\0\0\0")


# -- with others --

STRANGER = """
import sys
from unixipc import posix
with posix.SharedMemory.open(sys.argv[1]) as memory, memoryview(memory) as view:
    view[:5] = bytes(view[:5]).upper()
"""


def test_a_process_that_only_knows_the_name_takes_part(memory: posix.SharedMemory, name: str) -> None:
    write(memory, b"hello")
    subprocess.run([sys.executable, "-c", STRANGER, name], check=True, timeout=DEADLINE)
    assert read(memory, 5) == b"HELLO"


def test_posix_ipc_and_ours_use_each_other_s_memory(name: str) -> None:
    theirs = posix_ipc.SharedMemory(name, posix_ipc.O_CREX, size=SIZE)
    with posix.SharedMemory.open(name) as ours:
        assert len(ours) == theirs.size == SIZE
        os.pwrite(theirs.fd, b"from them", 0)
        assert read(ours, 9) == b"from them"
        write(ours, b"from us")
        assert os.pread(theirs.fd, 7, 0) == b"from us"
        theirs.close_fd()
        ours.unlink()
    with pytest.raises(posix_ipc.ExistentialError):
        posix_ipc.SharedMemory(name)
    with posix.SharedMemory.create(name, PAGE):
        theirs = posix_ipc.SharedMemory(name)
        assert theirs.size == PAGE
        theirs.close_fd()
        posix_ipc.unlink_shared_memory(name)
    with pytest.raises(FileNotFoundError):
        posix.SharedMemory.open(name)


C_SOURCE = """
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
int main(int argc, char **argv) {
    int in = shm_open(argv[1], O_RDWR, 0), out = shm_open(argv[2], O_CREAT | O_EXCL | O_RDWR, 0600);
    if (argc != 3 || in < 0 || out < 0 || ftruncate(out, 5)) { perror("C"); return 1; }
    char *there = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, in, 0);
    char *back = mmap(NULL, 5, PROT_READ | PROT_WRITE, MAP_SHARED, out, 0);
    if (there == MAP_FAILED || back == MAP_FAILED) { perror("C"); return 1; }
    memcpy(back, there, 5);
    memcpy(there, "taken", 5);
    return shm_unlink(argv[1]);
}
"""


def test_a_c_program_and_ours_use_each_other_s_memory(memory: posix.SharedMemory, name: str, tmp_path: Path) -> None:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("there is no gcc to compile the C program with")
    (tmp_path / "partner.c").write_text(C_SOURCE)
    subprocess.run([gcc, "-o", tmp_path / "partner", tmp_path / "partner.c", "-lrt"], check=True)
    write(memory, b"given")
    subprocess.run([tmp_path / "partner", name, f"{name}-back"], check=True, timeout=DEADLINE)
    assert read(memory, 5) == b"taken"
    with posix.SharedMemory.open(f"{name}-back") as back:
        back.unlink()
        assert (len(back), read(back, 5)) == (5, b"given")
    with pytest.raises(FileNotFoundError):
        memory.unlink()
