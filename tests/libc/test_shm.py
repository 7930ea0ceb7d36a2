"""unixipc.libc: POSIX shared memory, as shm_overview(7) promises it."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from nobody import become_nobody

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unixipc.testing.plugin import Fork

NAME = f"/unixipc-test-{os.getpid()}"
NEW = libc.O_CREAT | libc.O_EXCL | libc.O_RDWR
PAGE = libc.PAGE_SIZE


@pytest.fixture
def name() -> Iterator[str]:
    """A name whose memory is removed with the test."""
    yield NAME
    with suppress(FileNotFoundError):  # the test may have removed it
        libc.shm_unlink(NAME)


@pytest.fixture
def fd(name: str) -> Iterator[int]:
    fd = libc.shm_open(name, NEW)
    yield fd
    os.close(fd)


def test_what_one_process_writes_another_that_knows_the_name_reads(fd: int, name: str, fork: Fork) -> None:
    os.posix_fallocate(fd, 0, PAGE)
    mapping = libc.mmap(None, PAGE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED, fd)

    def child() -> None:
        inner = libc.shm_open(name.encode(), libc.O_RDWR)
        other = libc.mmap(None, PAGE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED, inner)
        memoryview(other)[:5] = b"hello"

    fork(child).result()
    assert bytes(memoryview(mapping)[:6]) == b"hello\0"
    libc.munmap(mapping)


def test_new_memory_has_no_bytes_and_its_descriptor_is_close_on_exec(fd: int) -> None:
    assert os.fstat(fd).st_size == 0
    assert not os.get_inheritable(fd)


def test_the_umask_is_taken_off_the_mode(name: str) -> None:
    before = os.umask(0o027)
    try:
        fd = libc.shm_open(name, NEW, 0o666)
    finally:
        os.umask(before)
    assert os.fstat(fd).st_mode & 0o777 == 0o640
    os.close(fd)


def test_truncating_is_asked_for(fd: int, name: str) -> None:
    os.posix_fallocate(fd, 0, PAGE)
    os.close(libc.shm_open(name, libc.O_RDWR))
    assert os.fstat(fd).st_size == PAGE
    os.close(libc.shm_open(name, libc.O_RDWR | libc.O_TRUNC))
    assert os.fstat(fd).st_size == 0


def test_what_is_opened_for_reading_is_not_mapped_for_writing(fd: int, name: str) -> None:
    os.posix_fallocate(fd, 0, PAGE)
    reader = libc.shm_open(name, libc.O_RDONLY)
    with pytest.raises(PermissionError, match="MAP_SHARED writes need O_RDWR"):
        libc.mmap(None, PAGE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED, reader)
    os.close(reader)


def test_existing_and_missing_names_say_so(fd: int, name: str) -> None:
    with pytest.raises(FileExistsError, match=rf"shm_open\('{name}'\): .*O_EXCL was given"):
        libc.shm_open(name, NEW)
    libc.shm_unlink(name)
    with pytest.raises(FileNotFoundError, match="no object has this name, and O_CREAT was not given"):
        libc.shm_open(name, libc.O_RDWR)
    with pytest.raises(FileNotFoundError, match="no object has this name"):
        libc.shm_unlink(name)


@pytest.mark.parametrize("wrong", ["", "/", "/a/b"])
def test_a_name_has_one_slash_and_more(wrong: str) -> None:
    with pytest.raises(OSError, match="slash") as caught:
        libc.shm_open(wrong, NEW)
    assert caught.value.errno == errno.EINVAL


def test_a_name_has_at_most_255_bytes_behind_the_slash() -> None:
    longest = "/" + "x" * 255
    os.close(libc.shm_open(longest, NEW))
    libc.shm_unlink(longest)
    with pytest.raises(OSError, match="up to 255 bytes") as caught:
        libc.shm_open(longest + "x", NEW)
    assert caught.value.errno == errno.ENAMETOOLONG


def test_a_name_with_a_nul_names_nothing() -> None:
    for wrong in ("/a\0b", b"/a\0b"):
        with pytest.raises(ValueError, match="contains a NUL"):
            libc.shm_open(wrong, NEW)
        with pytest.raises(ValueError, match="contains a NUL"):
            libc.shm_unlink(wrong)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_is_refused_by_the_mode(fd: int, name: str, fork: Fork) -> None:
    def child() -> None:
        become_nobody()
        with pytest.raises(PermissionError, match="its mode refuses this access"):
            libc.shm_open(name, libc.O_RDONLY)
        with pytest.raises(PermissionError, match="only its owner"):
            libc.shm_unlink(name)

    fork(child).result()
