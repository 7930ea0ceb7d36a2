"""unixipc.libc: mmap(2) and what is done to mappings."""

from __future__ import annotations

import copy
import ctypes
import errno
import gc
import mmap as stdlib_mmap
import os
import pickle
import resource
import socket
import struct
import sys
import threading
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from hypothesis import given
from hypothesis import strategies as st
from maps import SANITIZED, access, free_place, is_locked, is_shared, spans
from nobody import become_nobody

from unixipc import libc
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from unixipc.testing.plugin import Fork

PAGE = libc.PAGE_SIZE
needs_mlock = pytest.mark.skipif(SANITIZED, reason="the address sanitizer makes mlock(2) do nothing")
READ, WRITE, NONE = libc.PROT_READ, libc.PROT_WRITE, libc.PROT_NONE
BOTH = READ | WRITE
PRIVATE = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS
SHARED = libc.MAP_SHARED | libc.MAP_ANONYMOUS
ABSENT = 1 << 62  # what the headers of the build do not define has a value from here on


class Mmap(Protocol):
    def __call__(
        self,
        length: int = ...,
        prot: int = ...,
        flags: int = ...,
        fd: int = ...,
        offset: int = ...,
        *,
        at: int | libc.Mapping | libc.Attachment | None = ...,
    ) -> libc.Mapping: ...


@pytest.fixture
def mmap() -> Iterator[Mmap]:
    """Map memory, anonymous unless told, that is unmapped with the test."""
    made: list[libc.Mapping] = []

    def make(
        length: int = PAGE,
        prot: int = BOTH,
        flags: int = PRIVATE,
        fd: int = -1,
        offset: int = 0,
        *,
        at: int | libc.Mapping | libc.Attachment | None = None,
    ) -> libc.Mapping:
        made.append(libc.mmap(free_place() if at is None else at, length, prot, flags, fd, offset))
        return made[-1]

    yield make
    for mapping in made:
        if not mapping.closed:
            libc.munmap(mapping)


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    """A file of four pages, each full of its own number."""
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"".join(bytes([number]) * PAGE for number in range(4)))
    yield fd
    os.close(fd)


@contextmanager
def refused(code: int) -> Iterator[None]:
    """The block raises OSError with this errno, and with a text that says more than the errno does."""
    with pytest.raises(OSError, check=lambda error: error.errno == code) as caught:
        yield
    assert "(" in str(caught.value)


def number_at(mapping: libc.Mapping, index: int = 0) -> int:
    with memoryview(mapping) as view:
        return view[index]


def put(mapping: libc.Mapping, data: bytes, offset: int = 0) -> None:
    with memoryview(mapping) as view:
        view[offset : offset + len(data)] = data


def get(mapping: libc.Mapping, length: int, offset: int = 0) -> bytes:
    with memoryview(mapping) as view:
        return bytes(view[offset : offset + length])


def without_privileges() -> None:
    """Give up root's right to lock as much as it likes: in a forked child only."""
    if os.geteuid() == 0:
        become_nobody()


# -- mmap(2): anonymous memory --


@pytest.mark.parametrize("flags", [PRIVATE, SHARED], ids=["private", "shared"])
def test_anonymous_memory_is_zeros_that_can_be_written(mmap: Mmap, flags: int) -> None:
    mapping = mmap(3 * PAGE, BOTH, flags)
    assert bytes(mapping) == bytes(3 * PAGE)
    put(mapping, b"written", PAGE)
    assert get(mapping, 8, PAGE) == b"written\0"
    assert access(mapping.address) == ("rw-p" if flags & libc.MAP_PRIVATE else "rw-s")
    assert (mapping.closed, mapping.readable, mapping.readonly, len(mapping)) == (False, True, False, 3 * PAGE)


@pytest.mark.parametrize("length", [1, 100, PAGE - 1, PAGE + 1])
def test_a_mapping_has_exactly_the_length_that_was_asked_for(mmap: Mmap, length: int) -> None:
    mapping = mmap(length)
    with memoryview(mapping) as view:
        assert (len(mapping), view.nbytes, view.format, view.itemsize, view.ndim) == (length, length, "B", 1, 1)
        view[length - 1] = 1
        with pytest.raises(IndexError):
            view[length] = 1
    libc.munmap(mapping)
    assert access(mapping.address) is None


def test_any_code_that_takes_buffers_can_use_a_mapping(mmap: Mmap) -> None:
    mapping = mmap()
    struct.pack_into("<IQ", mapping, 8, 1, 2**40)
    assert struct.unpack_from("<IQ", mapping, 8) == (1, 2**40)
    with memoryview(mapping) as view, view.cast("Q") as numbers:
        numbers[100] = 2**63
    assert get(mapping, 8, 800) == struct.pack("=Q", 2**63)


def test_a_mapping_says_what_it_is(mmap: Mmap) -> None:
    writable, readable, neither = mmap(), mmap(PAGE, READ), mmap(PAGE, NONE)
    assert repr(writable) == f"<Mapping {PAGE} bytes at {writable.address:#x}>"
    assert repr(readable) == f"<Mapping {PAGE} bytes at {readable.address:#x}, read-only>"
    assert repr(neither) == f"<Mapping {PAGE} bytes at {neither.address:#x}, inaccessible>"
    libc.munmap(neither)
    assert repr(neither) == "<Mapping closed>"


@pytest.mark.parametrize("flags", [libc.MAP_ANONYMOUS, libc.MAP_ANONYMOUS | libc.MAP_NORESERVE])
def test_a_mapping_is_either_shared_or_private(flags: int) -> None:
    with pytest.raises(OSError, match="MAP_SHARED or MAP_PRIVATE", check=lambda error: error.errno == errno.EINVAL):
        libc.mmap(None, PAGE, BOTH, flags)


def test_a_mapping_of_no_bytes_is_refused() -> None:
    with pytest.raises(OSError, match="length above 0", check=lambda error: error.errno == errno.EINVAL):
        libc.mmap(None, 0, BOTH, PRIVATE)


def test_more_memory_than_there_are_addresses_is_refused() -> None:
    with pytest.raises(OSError, match="out of memory", check=lambda error: error.errno == errno.ENOMEM):
        libc.mmap(None, 1 << 62, BOTH, PRIVATE | libc.MAP_NORESERVE)


# -- mmap(2): protections --


def test_a_read_only_mapping_gives_read_only_views(mmap: Mmap) -> None:
    mapping = mmap(PAGE, READ)
    assert mapping.readonly
    with memoryview(mapping) as view:
        assert view.readonly
        with pytest.raises(TypeError, match="read-only"):
            view[0] = 1


@pytest.mark.parametrize("prot", [NONE, WRITE, libc.PROT_EXEC], ids=["PROT_NONE", "PROT_WRITE", "PROT_EXEC"])
def test_memory_that_cannot_be_read_has_no_views(mmap: Mmap, prot: int) -> None:
    mapping = mmap(PAGE, prot)
    assert not mapping.readable
    with pytest.raises(BufferError, match="cannot be read"):
        memoryview(mapping)


def test_executable_memory_may_be_executed(mmap: Mmap) -> None:
    try:
        mapping = mmap(PAGE, BOTH | libc.PROT_EXEC)
    except PermissionError as error:
        pytest.skip(f"the system refuses executable memory: {error}")
    assert access(mapping.address) == "rwxp"


# -- mmap(2): files --


def test_a_shared_mapping_writes_the_file(mmap: Mmap, file: int) -> None:
    mapping = mmap(4 * PAGE, BOTH, libc.MAP_SHARED, file)
    assert get(mapping, 2, PAGE - 1) == b"\0\1"
    put(mapping, b"changed", PAGE)
    libc.msync(mapping)
    assert os.pread(file, 7, PAGE) == b"changed"
    os.pwrite(file, b"from outside", 2 * PAGE)
    assert get(mapping, 12, 2 * PAGE) == b"from outside"


def test_a_private_mapping_leaves_the_file_alone(mmap: Mmap, file: int) -> None:
    mapping = mmap(PAGE, BOTH, libc.MAP_PRIVATE, file, PAGE)
    put(mapping, b"changed")
    assert get(mapping, 8) == b"changed\1"
    assert os.pread(file, 7, PAGE) == bytes([1]) * 7


def test_offset_is_where_the_mapping_begins_in_the_file(mmap: Mmap, file: int) -> None:
    assert [number_at(mmap(PAGE, READ, libc.MAP_SHARED, file, number * PAGE)) for number in range(4)] == [0, 1, 2, 3]


def test_two_mappings_of_a_file_show_the_same_bytes(mmap: Mmap, file: int) -> None:
    first, second = (mmap(PAGE, BOTH, libc.MAP_SHARED, file) for _ in range(2))
    put(first, b"both")
    assert get(second, 4) == b"both"


def test_a_mapping_outlives_the_descriptor(mmap: Mmap, tmp_path: Path) -> None:
    fd = os.open(tmp_path / "file", os.O_RDWR | os.O_CREAT)
    os.ftruncate(fd, PAGE)
    mapping = mmap(PAGE, BOTH, libc.MAP_SHARED, fd)
    os.close(fd)
    put(mapping, b"kept")
    assert (tmp_path / "file").read_bytes()[:4] == b"kept"


def test_an_unaligned_offset_is_refused(file: int) -> None:
    with pytest.raises(OSError, match="multiple of PAGE_SIZE", check=lambda error: error.errno == errno.EINVAL):
        libc.mmap(None, PAGE, READ, libc.MAP_SHARED, file, 100)


def test_a_file_opened_for_reading_cannot_be_written_through_memory(mmap: Mmap, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x" * PAGE)
    fd = os.open(tmp_path / "file", os.O_RDONLY)
    try:
        with pytest.raises(PermissionError, match="O_RDWR"):
            libc.mmap(None, PAGE, BOTH, libc.MAP_SHARED, fd)
        mapping = mmap(PAGE, READ, libc.MAP_SHARED, fd)
        with pytest.raises(PermissionError, match="mprotect"):
            libc.mprotect(mapping, BOTH)
        private = mmap(PAGE, BOTH, libc.MAP_PRIVATE, fd)
    finally:
        os.close(fd)
    assert (mapping.readonly, private.readonly) == (True, False)
    put(private, b"y")
    assert get(mapping, 1) == b"x"


def test_what_is_no_file_cannot_be_mapped() -> None:
    ends = libc.pipe()
    try:
        with pytest.raises(OSError, match="cannot be mapped", check=lambda error: error.errno == errno.ENODEV):
            libc.mmap(None, PAGE, READ, libc.MAP_SHARED, ends[0])
    finally:
        for fd in ends:
            os.close(fd)
    with pytest.raises(OSError, match=r".", check=lambda error: error.errno == errno.EBADF):
        libc.mmap(None, PAGE, READ, libc.MAP_SHARED, ends[0])


def test_dev_zero_is_memory(mmap: Mmap) -> None:
    try:
        fd = os.open("/dev/zero", os.O_RDWR)
    except OSError as error:
        pytest.skip(str(error))
    try:
        mapping = mmap(PAGE, BOTH, libc.MAP_SHARED, fd)
    finally:
        os.close(fd)
    put(mapping, b"zero no more")
    assert get(mapping, 13) == b"zero no more\0"


# -- mmap(2): behind the end of a file --


@pytest.mark.parametrize("kind", [libc.MAP_SHARED, libc.MAP_PRIVATE], ids=["shared", "private"])
@pytest.mark.parametrize(("length", "offset"), [(4 * PAGE + 1, 0), (PAGE, 4 * PAGE), (2 * PAGE, 3 * PAGE), (1, 2**40)])
def test_pages_behind_the_end_of_a_file_are_refused(file: int, length: int, offset: int, kind: int) -> None:
    with pytest.raises(ValueError, match="behind the end of the file"):
        libc.mmap(None, length, READ, kind, file, offset)


def test_an_empty_file_has_no_pages(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    fd = os.open(tmp_path / "empty", os.O_RDWR)
    try:
        with pytest.raises(ValueError, match="ftruncate"):
            libc.mmap(None, 1, READ, libc.MAP_SHARED, fd)
    finally:
        os.close(fd)


def test_the_rest_of_a_file_s_last_page_is_zeros(mmap: Mmap, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"short")
    fd = os.open(tmp_path / "short", os.O_RDWR)
    try:
        mapping = mmap(PAGE, BOTH, libc.MAP_SHARED, fd)
    finally:
        os.close(fd)
    assert bytes(mapping) == b"short".ljust(PAGE, b"\0")
    put(mapping, b"beyond", 5)
    assert (tmp_path / "short").read_bytes() == b"short"


def test_a_file_made_shorter_gives_no_views(mmap: Mmap, file: int) -> None:
    mapping = mmap(4 * PAGE, BOTH, libc.MAP_SHARED, file)
    os.ftruncate(file, PAGE)
    with pytest.raises(BufferError, match="behind the end of its file"):
        memoryview(mapping)
    os.ftruncate(file, 4 * PAGE)
    assert get(mapping, 2, PAGE - 1) == b"\0\0"


def test_a_negative_offset_is_refused(file: int) -> None:
    for offset in (-PAGE, -4 * PAGE, -(2**63)):
        with refused(errno.EOVERFLOW):
            libc.mmap(None, PAGE, READ, libc.MAP_SHARED, file, offset)


# -- mmap(2): where --


def test_a_hint_is_taken_where_it_is_free(mmap: Mmap) -> None:
    place = free_place()
    assert mmap(at=place).address == place


def test_a_hint_that_is_taken_goes_elsewhere(mmap: Mmap) -> None:
    first = mmap()
    put(first, b"mine")
    assert mmap(at=first.address).address != first.address
    assert get(first, 4) == b"mine"


@pytest.mark.parametrize("flag", [libc.MAP_FIXED, libc.MAP_FIXED_NOREPLACE, libc.MAP_FIXED | libc.MAP_FIXED_NOREPLACE])
def test_a_fixed_place_is_taken_where_it_is_free(mmap: Mmap, flag: int) -> None:
    place = free_place()
    assert mmap(2 * PAGE, BOTH, PRIVATE | flag, at=place).address == place


@pytest.mark.parametrize("flag", [libc.MAP_FIXED, libc.MAP_FIXED_NOREPLACE, libc.MAP_FIXED | libc.MAP_FIXED_NOREPLACE])
def test_a_fixed_place_that_is_taken_is_refused_and_left_alone(mmap: Mmap, flag: int) -> None:
    first = mmap(2 * PAGE)
    put(first, b"mine", PAGE)
    for place in (first.address, first.address + PAGE, first.address - PAGE):
        with pytest.raises(FileExistsError, match="give the object that owns it"):
            libc.mmap(place, 2 * PAGE, BOTH, PRIVATE | flag)
    assert get(first, 4, PAGE) == b"mine"


def test_the_interpreter_s_own_memory_cannot_be_replaced() -> None:
    with stdlib_mmap.mmap(-1, PAGE) as theirs:  # for what else has no name may be gone before it is tried
        held = ctypes.c_char.from_buffer(theirs)
        for start in [ctypes.addressof(held), *(span.start for span in spans() if span.file)]:
            with pytest.raises(OSError, match="mmap"):  # the vsyscall page is beyond all user addresses: ENOMEM
                libc.mmap(start, PAGE, NONE, PRIVATE | libc.MAP_FIXED)
        del held


def test_a_fixed_place_is_a_multiple_of_the_page_size() -> None:
    with refused(errno.EINVAL):
        libc.mmap(free_place() + 1, PAGE, BOTH, PRIVATE | libc.MAP_FIXED)


@pytest.mark.parametrize("addr", [None, 0])
def test_a_fixed_place_has_an_address(addr: int | None) -> None:
    with refused(errno.EINVAL):
        libc.mmap(addr, PAGE, BOTH, PRIVATE | libc.MAP_FIXED)


# -- mmap(2): in place of a mapping of one's own --


@pytest.mark.parametrize("flag", [0, libc.MAP_FIXED])
def test_a_mapping_of_one_s_own_is_replaced(mmap: Mmap, file: int, flag: int) -> None:
    first = mmap(3 * PAGE)
    second = mmap(3 * PAGE, READ, libc.MAP_SHARED | flag, file, PAGE, at=first)
    assert (first.closed, second.address, second.readonly) == (True, first.address, True)
    assert [number_at(second, number * PAGE) for number in range(3)] == [1, 2, 3]
    with pytest.raises(ValueError, match="closed"):
        memoryview(first)


def test_what_a_replaced_mapping_had_beyond_is_unmapped(mmap: Mmap) -> None:
    first = mmap(4 * PAGE)
    second = mmap(PAGE + 1, READ, PRIVATE, at=first)
    assert [access(second.address + number * PAGE) for number in range(4)] == ["r--p", "r--p", None, None]


def test_a_mapping_is_not_replaced_by_a_longer_one(mmap: Mmap) -> None:
    first = mmap(2 * PAGE)
    put(first, b"mine")
    with pytest.raises(ValueError, match="do not fit"):
        libc.mmap(first, 2 * PAGE + 1, BOTH, PRIVATE)
    assert get(first, 4) == b"mine"


def test_a_mapping_is_not_replaced_under_a_view(mmap: Mmap) -> None:
    first = mmap()
    with memoryview(first) as view:
        view[:4] = b"mine"
        with pytest.raises(BufferError, match="release"):
            libc.mmap(first, PAGE, BOTH, PRIVATE)
        assert bytes(view[:4]) == b"mine"
    assert not first.closed


def test_a_closed_mapping_is_not_replaced(mmap: Mmap) -> None:
    first = mmap()
    libc.munmap(first)
    with pytest.raises(ValueError, match="closed"):
        libc.mmap(first, PAGE, BOTH, PRIVATE)


@pytest.mark.parametrize(
    ("length", "flags", "offset"),
    [(PAGE, libc.MAP_SHARED, 1), (PAGE, libc.MAP_ANONYMOUS, 0), (0, PRIVATE, 0)],
    ids=["offset", "flags", "length"],
)
def test_a_replacement_that_is_refused_costs_nothing(
    mmap: Mmap, file: int, length: int, flags: int, offset: int
) -> None:
    first = mmap(2 * PAGE)
    put(first, b"mine")
    with refused(errno.EINVAL):
        libc.mmap(first, length, READ, flags, file, offset)
    assert get(first, 4) == b"mine"


def test_a_replacement_that_the_file_refuses_costs_nothing(mmap: Mmap, fork: Fork) -> None:
    """A socket says no only after the kernel has cleared the place."""

    def try_it() -> bytes:
        first = libc.mmap(None, 2 * PAGE, BOTH, PRIVATE)
        put(first, b"mine")
        with socket.socket(socket.AF_UNIX) as sock, pytest.raises(OSError, match="mmap"):
            libc.mmap(first, PAGE, READ, libc.MAP_SHARED, sock.fileno())
        return get(first, 4)

    assert fork(try_it).result() == b"mine"


def test_a_replacement_that_cannot_be_locked_leaves_no_memory_without_an_owner(fork: Fork) -> None:
    def try_it() -> tuple[bool, bool]:
        first = libc.mmap(free_place(), 4 * PAGE, BOTH, PRIVATE)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (PAGE, PAGE))
        without_privileges()
        with refused(errno.EAGAIN):
            libc.mmap(first, 4 * PAGE, BOTH, PRIVATE | libc.MAP_LOCKED)
        return first.closed, access(first.address) is None

    closed, gone = fork(try_it).result()
    assert closed == gone


# -- mmap(2): flags --


def resident(mapping: libc.Mapping) -> list[int]:
    return [page & 1 for page in libc.mincore(mapping)]


def test_map_populate_brings_the_pages(mmap: Mmap) -> None:
    assert resident(mmap(4 * PAGE, BOTH, PRIVATE | libc.MAP_POPULATE)) == [1, 1, 1, 1]


def locked_memory() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmLck:"))


def test_map_locked_locks_the_pages(mmap: Mmap) -> None:
    before = locked_memory()
    try:
        mapping = mmap(2 * PAGE, BOTH, PRIVATE | libc.MAP_LOCKED)
    except (PermissionError, BlockingIOError) as error:
        pytest.skip(str(error))
    assert locked_memory() == before + 2 * PAGE
    libc.munmap(mapping)
    assert locked_memory() == before


@pytest.mark.parametrize("name", ["MAP_NORESERVE", "MAP_STACK", "MAP_GROWSDOWN", "MAP_NONBLOCK", "MAP_DENYWRITE"])
def test_a_flag_that_says_how_makes_memory_like_any_other(mmap: Mmap, name: str) -> None:
    mapping = mmap(2 * PAGE, BOTH, PRIVATE | libc.MapFlag[name])
    put(mapping, b"x", 2 * PAGE - 1)
    assert get(mapping, 2, 2 * PAGE - 2) == b"\0x"


def test_map_32bit_gives_a_low_address(mmap: Mmap) -> None:
    if os.uname().machine != "x86_64":
        pytest.skip("MAP_32BIT is of x86-64")
    assert mmap(PAGE, BOTH, PRIVATE | libc.MAP_32BIT).address < 2**32


def test_map_shared_validate_refuses_what_the_file_cannot(file: int) -> None:
    with refused(errno.EOPNOTSUPP):
        libc.mmap(None, PAGE, READ, libc.MAP_SHARED_VALIDATE | libc.MAP_SYNC, file)


def test_droppable_memory_is_memory(mmap: Mmap) -> None:
    if libc.MAP_DROPPABLE >= ABSENT:
        pytest.skip("the headers of the build lack MAP_DROPPABLE")
    try:
        mapping = mmap(PAGE, BOTH, libc.MAP_ANONYMOUS | libc.MAP_DROPPABLE)
    except OSError as error:
        pytest.skip(f"the kernel lacks MAP_DROPPABLE: {error}")
    put(mapping, b"x")


HUGE = Path("/sys/kernel/mm/hugepages/hugepages-2048kB")


def _huge(length: int, flags: int = 0) -> libc.Mapping:
    if not HUGE.exists():
        pytest.skip("the kernel has no huge pages of 2 MB")
    return libc.mmap(None, length, BOTH, PRIVATE | libc.MAP_HUGETLB | libc.MAP_HUGE_2MB | flags)


def test_huge_pages_hold_data() -> None:
    try:
        mapping = _huge(2 << 20)
    except OSError as error:
        pytest.skip(f"no huge page of 2 MB is free (vm.nr_hugepages): {error}")
    put(mapping, b"x", (2 << 20) - 1)
    assert get(mapping, 1, (2 << 20) - 1) == b"x"
    libc.munmap(mapping)


def test_huge_pages_are_mapped_whole() -> None:
    with refused(errno.EINVAL):
        _huge(PAGE)


def test_huge_pages_that_are_not_there_are_no_crash(fork: Fork) -> None:
    def touch() -> str:
        mapping = libc.mmap(None, 2 << 20, BOTH, PRIVATE | libc.MAP_HUGETLB | libc.MAP_HUGE_2MB | libc.MAP_NORESERVE)
        try:
            put(mapping, b"x")
        except BufferError:
            return "refused"
        return "written"

    if not HUGE.exists():
        pytest.skip("the kernel has no huge pages of 2 MB")
    most = sum(int((HUGE / name).read_text()) for name in ("nr_hugepages", "nr_overcommit_hugepages"))
    assert fork(touch).result() in (("refused", "written") if most else ("refused",))  # others may have them


# -- subscripts --

NUMBERS = st.integers(-3 * PAGE, 3 * PAGE)
SLICES = st.slices(2 * PAGE) | st.builds(slice, NUMBERS, NUMBERS, st.none() | NUMBERS)
STEPS = st.tuples(NUMBERS, st.none() | st.integers(-1, 256)) | st.tuples(SLICES, st.none() | st.binary(max_size=40))


def _used(thing: Any, key: Any, value: Any) -> object:
    """Get what is there where the value is None, and else set it; an exception is told by its type."""
    try:
        if value is None:
            return bytes(thing[key]) if isinstance(key, slice) else thing[key]
        thing[key] = value if isinstance(value, int) else value[: len(thing[key])].ljust(len(thing[key]), b"x")
    except (IndexError, ValueError) as error:
        return type(error)
    return None


@given(st.lists(STEPS, max_size=20), st.binary(max_size=40))
def test_subscripts_do_what_those_of_a_bytearray_do(steps: list[tuple[Any, Any]], start: bytes) -> None:
    model = bytearray((start + bytes(range(251))) * PAGE)[: 2 * PAGE]
    mapping = libc.mmap(None, len(model), BOTH, PRIVATE)
    mapping[:] = model
    for key, value in steps:
        assert _used(mapping, key, value) == _used(model, key, value)
        assert mapping[:] == bytes(memoryview(mapping)) == model
    libc.munmap(mapping)


@pytest.mark.parametrize("size", [0, 1, 3, 5, PAGE, PAGE + 1])
def test_what_does_not_fill_a_slice_changes_nothing(mmap: Mmap, size: int) -> None:
    mapping = mmap()
    for part in (slice(0, 4), slice(4, 0, -1), slice(None, None, PAGE // 4)):
        with pytest.raises(ValueError, match=f"{size} bytes do not fit into a slice of 4"):
            mapping[part] = b"x" * size
    assert not any(memoryview(mapping))


def test_any_buffer_fills_a_slice_also_one_of_the_same_memory(mmap: Mmap) -> None:
    mapping = mmap()
    mapping[:8] = struct.pack("q", 0x0102030405060708)
    mapping[8:12] = bytearray(b"abcd")
    mapping[12:16] = memoryview(b"0a1b2c3d")[1:5]
    assert mapping[8:16] == b"abcda1b2"
    with memoryview(mapping) as view:
        mapping[1:9] = view[:8]
        assert mapping[1:9] == struct.pack("q", 0x0102030405060708)
        mapping[16:0:-2] = view[1:9]
        assert mapping[2:17:2] == struct.pack("q", 0x0102030405060708)[::-1]
    with pytest.raises((BufferError, ValueError)):
        mapping[:4] = memoryview(b"0a1b2c3d")[::2]


@pytest.mark.parametrize("key", [None, "0", 0.0, (0, 1), [0], b"", slice("a"), slice(None, None, 0), 2**70, -(2**70)])
def test_what_is_no_subscript_is_refused(mmap: Mmap, key: Any) -> None:
    mapping = mmap()
    for use in (lambda: mapping[key], lambda: mapping.__setitem__(key, 0), lambda: mapping.__setitem__(key, b"")):
        with pytest.raises((TypeError, ValueError, IndexError)):
            use()


@pytest.mark.parametrize("value", [None, "a", 1.5, b"b", -1, 256, 2**70, [1]])
def test_what_is_no_byte_is_refused(mmap: Mmap, value: Any) -> None:
    mapping = mmap()
    with pytest.raises((TypeError, ValueError)):
        mapping[0] = value
    with pytest.raises(TypeError, match="deleted"):
        del mapping[0]  # type: ignore[attr-defined]
    assert mapping[0] == 0


@pytest.mark.parametrize(
    ("forbid", "error"),
    [
        (lambda mapping: libc.mprotect(mapping, NONE), BufferError),
        (lambda mapping: libc.mprotect(mapping, NONE, offset=PAGE), BufferError),
        (libc.munmap, ValueError),
    ],
    ids=["mprotect", "mprotect of a part", "munmap"],
)
def test_memory_that_may_not_be_touched_has_no_subscripts(
    mmap: Mmap, forbid: Callable[[libc.Mapping], object], error: type[Exception]
) -> None:
    mapping = mmap(2 * PAGE, BOTH, SHARED)
    mapping[0] = 5
    forbid(mapping)
    uses: list[Callable[[], object]] = [
        lambda: mapping[0],
        lambda: mapping[:1],
        lambda: mapping.__setitem__(0, 1),
        lambda: mapping.__setitem__(slice(1), b"a"),
    ]
    for use in uses:
        with pytest.raises(error):
            use()


def test_read_only_memory_is_not_written_by_subscripts(mmap: Mmap) -> None:
    mapping = mmap()
    mapping[0] = 5
    libc.mprotect(mapping, READ)
    with pytest.raises(TypeError, match="this memory is read-only"):
        mapping[0] = 1
    with pytest.raises(TypeError, match="this memory is read-only"):
        mapping[:1] = b"a"
    assert mapping[:2] == b"\5\0"


def test_a_file_that_is_too_short_has_no_subscripts(mmap: Mmap, file: int) -> None:
    mapping = mmap(4 * PAGE, BOTH, libc.MAP_SHARED, file)
    os.ftruncate(file, PAGE)
    for key in (0, slice(None), 4 * PAGE - 1):
        with pytest.raises(BufferError, match="behind the end of its file"):
            _ = mapping[key]
    os.ftruncate(file, 4 * PAGE)
    assert mapping[PAGE - 1 : PAGE + 1] == b"\0\0"


def test_a_subscript_follows_the_memory_when_it_is_resized(mmap: Mmap) -> None:
    mapping = mmap(2 * PAGE, BOTH, SHARED)
    mapping[-1] = 7
    same = libc.mremap(mapping, PAGE)
    assert same is mapping
    with pytest.raises(IndexError, match=f"this memory has {PAGE}"):
        _ = mapping[PAGE]
    assert mapping[PAGE - 2 :] == b"\0\0"


class _Unmapping:
    """A number, or a buffer, that unmaps memory when it is asked for."""

    def __init__(self, mapping: libc.Mapping) -> None:
        self.mapping = mapping

    def __index__(self) -> int:
        libc.munmap(self.mapping)
        return 0

    def __buffer__(self, flags: int) -> memoryview:
        libc.munmap(self.mapping)
        return memoryview(b"a")


def test_a_key_or_value_that_unmaps_the_memory_meanwhile_does_no_harm(mmap: Mmap) -> None:
    uses: list[Callable[[Any, Any], object]] = [
        lambda mapping, evil: mapping[evil],
        lambda mapping, evil: mapping[evil:],
        lambda mapping, evil: mapping.__setitem__(evil, 1),
        lambda mapping, evil: mapping.__setitem__(0, evil),
        lambda mapping, evil: mapping.__setitem__(slice(evil, 1), b"a"),
        *([lambda mapping, evil: mapping.__setitem__(slice(1), evil)] if sys.version_info >= (3, 12) else []),
    ]
    for use in uses:
        mapping = mmap()
        with pytest.raises(ValueError, match="this mapping is closed"):
            use(mapping, _Unmapping(mapping))


# -- mappings and fork(2) --


def test_a_shared_mapping_is_shared_with_a_forked_child(mmap: Mmap, fork: Fork, gate: Callable[[], Gate]) -> None:
    mapping = mmap(PAGE, BOTH, SHARED)
    asked, answered = gate(), gate()

    def answer() -> None:
        asked.wait()
        put(mapping, get(mapping, 8)[::-1], 100)
        answered.open()

    child = fork(answer)
    put(mapping, b"question")
    asked.open()
    answered.wait()
    assert get(mapping, 8, 100) == b"noitseuq"
    child.result()


def test_a_private_mapping_is_copied_on_write_in_a_child(mmap: Mmap, fork: Fork, gate: Callable[[], Gate]) -> None:
    mapping = mmap()
    put(mapping, b"before")
    changed = gate()

    def change() -> bytes:
        put(mapping, b"child's")
        changed.wait()
        return get(mapping, 7)

    child = fork(change)
    put(mapping, b"parent's")
    changed.open()
    assert child.result() == b"child's"
    assert get(mapping, 8) == b"parent's"


def test_a_child_that_unmaps_leaves_the_parent_s_mapping(mmap: Mmap, fork: Fork) -> None:
    mapping = mmap(PAGE, BOTH, SHARED)
    view = memoryview(mapping)

    def unmap() -> bool:
        view.release()
        libc.munmap(mapping)
        return access(mapping.address) is None

    assert fork(unmap).result()
    view[:5] = b"alive"
    view.release()


def test_a_view_that_a_child_inherits_shows_the_memory(mmap: Mmap, fork: Fork) -> None:
    mapping = mmap(PAGE, BOTH, SHARED)
    with memoryview(mapping) as view:

        def write() -> None:
            view[:5] = b"child"

        fork(write).result()
        assert bytes(view[:5]) == b"child"


# -- munmap(2) --


def test_munmap_unmaps_and_closes(mmap: Mmap) -> None:
    mapping = mmap(2 * PAGE)
    libc.munmap(mapping)
    assert (mapping.closed, len(mapping)) == (True, 0)
    assert access(mapping.address) is access(mapping.address + PAGE) is None
    with pytest.raises(ValueError, match="closed"):
        memoryview(mapping)
    with pytest.raises(ValueError, match="closed"):
        libc.munmap(mapping)


def test_a_view_keeps_unmapped_memory_until_it_is_released(mmap: Mmap) -> None:
    mapping = mmap(2 * PAGE)
    first, second = memoryview(mapping), memoryview(mapping)
    libc.munmap(mapping)
    assert mapping.closed
    first[:5] = b"still"
    first.release()
    assert bytes(second[:5]) == b"still"
    assert access(mapping.address) == access(mapping.address + PAGE) == "rw-p"
    second.release()
    assert access(mapping.address) is access(mapping.address + PAGE) is None


def test_a_slice_of_a_view_keeps_unmapped_memory(mmap: Mmap) -> None:
    mapping = mmap(2 * PAGE)
    part = memoryview(mapping)[PAGE : PAGE + 10]
    libc.munmap(mapping)
    part[0] = 7
    assert part[0] == 7
    part.release()
    assert access(mapping.address) is None


def test_a_view_keeps_a_mapping_that_nobody_else_holds() -> None:
    mapping = libc.mmap(free_place(), PAGE, BOTH, PRIVATE)
    address, view = mapping.address, memoryview(mapping)
    libc.munmap(mapping)
    del mapping
    view[:4] = b"here"
    assert bytes(view[:4]) == b"here"
    del view
    assert access(address) is None


@pytest.mark.parametrize(
    ("offset", "length", "left"),
    [
        (0, PAGE, [1, 2, 3]),
        (0, 3 * PAGE, [3]),
        (0, 100, [1, 2, 3]),
        (0, PAGE + 1, [2, 3]),
        (PAGE, None, [0]),
        (3 * PAGE, None, [0, 1, 2]),
        (3 * PAGE, PAGE, [0, 1, 2]),
        (3 * PAGE, 1, [0, 1, 2]),
    ],
)
def test_munmap_takes_pages_off_either_end(
    mmap: Mmap, file: int, offset: int, length: int | None, left: list[int], fork: Fork
) -> None:
    def unmap() -> list[int]:
        mapping = libc.mmap(None, 4 * PAGE, BOTH, libc.MAP_SHARED, file)
        base = mapping.address
        libc.munmap(mapping, offset=offset, length=length)
        assert [number for number in range(4) if is_shared(base + number * PAGE)] == left
        assert mapping.address == base + left[0] * PAGE
        return [number_at(mapping, index) for index in range(0, len(mapping), PAGE)]

    assert fork(unmap).result() == left


def test_all_of_a_mapping_by_offset_and_length_closes_it(mmap: Mmap) -> None:
    for length in (100, PAGE):  # the kernel unmaps whole pages
        mapping = mmap(100)
        libc.munmap(mapping, offset=0, length=length)
        assert mapping.closed


def test_munmap_takes_no_pages_from_the_middle(mmap: Mmap) -> None:
    mapping = mmap(3 * PAGE)
    with pytest.raises(ValueError, match="middle"):
        libc.munmap(mapping, offset=PAGE, length=PAGE)
    put(mapping, b"whole", PAGE)


def test_munmap_takes_whole_pages_off_the_end(mmap: Mmap) -> None:
    mapping = mmap(2 * PAGE)
    for offset in (1, PAGE + 1, 2 * PAGE - 1):
        with pytest.raises(OSError, match="multiple of PAGE_SIZE", check=lambda error: error.errno == errno.EINVAL):
            libc.munmap(mapping, offset=offset)
    assert len(bytes(mapping)) == 2 * PAGE


def test_part_of_a_mapping_stays_under_a_view(mmap: Mmap) -> None:
    mapping = mmap(3 * PAGE)
    with memoryview(mapping) as view:
        for offset, length in ((0, PAGE), (PAGE, None)):
            with pytest.raises(BufferError, match="release"):
                libc.munmap(mapping, offset=offset, length=length)
        view[3 * PAGE - 1] = 1
    assert len(mapping) == 3 * PAGE


def test_munmap_of_no_bytes_is_refused(mmap: Mmap) -> None:
    mapping = mmap()
    with refused(errno.EINVAL):
        libc.munmap(mapping, length=0)
    put(mapping, b"there")


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, -1), (PAGE, -1), (0, 2 * PAGE + 1), (2 * PAGE + 1, None)])
def test_a_part_lies_within_the_memory(mmap: Mmap, offset: int, length: int | None) -> None:
    mapping = mmap(2 * PAGE)
    calls: list[Callable[..., object]] = [
        libc.munmap,
        libc.msync,
        libc.mlock,
        libc.munlock,
        libc.mincore,
        lambda memory, **part: libc.mprotect(memory, BOTH, **part),
        lambda memory, **part: libc.madvise(memory, libc.MADV_NORMAL, **part),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="not within"):
            call(mapping, offset=offset, length=length)


# -- mprotect(2) --


def test_mprotect_takes_the_right_to_write(mmap: Mmap) -> None:
    mapping = mmap()
    libc.mprotect(mapping, READ)
    assert (mapping.readonly, access(mapping.address)) == (True, "r--p")
    with memoryview(mapping) as view:
        assert view.readonly


def test_mprotect_takes_and_gives_all_rights(mmap: Mmap) -> None:
    mapping = mmap()
    put(mapping, b"kept")
    libc.mprotect(mapping, NONE)
    assert (mapping.readable, access(mapping.address)) == (False, "---p")
    with pytest.raises(BufferError, match="mprotect"):
        memoryview(mapping)
    libc.mprotect(mapping, BOTH)
    assert get(mapping, 4) == b"kept"


@pytest.mark.parametrize("prot", [NONE, READ, WRITE], ids=["PROT_NONE", "PROT_READ", "PROT_WRITE"])
@pytest.mark.parametrize(("offset", "length"), [(0, None), (PAGE, PAGE)])
def test_mprotect_takes_nothing_that_a_view_allows(mmap: Mmap, prot: int, offset: int, length: int | None) -> None:
    mapping = mmap(2 * PAGE)
    with memoryview(mapping) as view:
        with pytest.raises(BufferError, match="release"):
            libc.mprotect(mapping, prot, offset=offset, length=length)
        view[PAGE] = 1
        assert view[PAGE] == 1
    libc.mprotect(mapping, prot, offset=offset, length=length)


def test_mprotect_gives_rights_while_a_view_is_held(mmap: Mmap) -> None:
    mapping = mmap(PAGE, READ)
    with memoryview(mapping) as before:
        libc.mprotect(mapping, BOTH)
        with memoryview(mapping) as after:
            assert (before.readonly, after.readonly) == (True, False)
            after[0] = 9
        assert before[0] == 9
        with pytest.raises(BufferError, match="release"):
            libc.mprotect(mapping, READ)


def test_a_part_that_cannot_be_written_makes_views_read_only(mmap: Mmap) -> None:
    mapping = mmap(3 * PAGE)
    libc.mprotect(mapping, READ, offset=PAGE, length=PAGE)
    assert [access(mapping.address + number * PAGE) for number in range(3)] == ["rw-p", "r--p", "rw-p"]
    with memoryview(mapping) as view:
        assert view.readonly
    libc.mprotect(mapping, BOTH)
    put(mapping, b"x", PAGE)


def test_a_part_that_cannot_be_read_forbids_views(mmap: Mmap) -> None:
    mapping = mmap(3 * PAGE)
    libc.mprotect(mapping, NONE, offset=2 * PAGE)
    with pytest.raises(BufferError, match="part of it"):
        memoryview(mapping)
    libc.mprotect(mapping, BOTH, offset=2 * PAGE)  # that this was the only such part, nobody remembers
    with pytest.raises(BufferError, match="part of it"):
        memoryview(mapping)
    libc.mprotect(mapping, BOTH)
    put(mapping, b"x", 2 * PAGE)


def test_mprotect_of_no_bytes_changes_nothing(mmap: Mmap) -> None:
    mapping = mmap()
    with memoryview(mapping) as view:
        libc.mprotect(mapping, NONE, length=0)
        libc.mprotect(mapping, NONE, offset=PAGE)
        view[0] = 1
    assert mapping.readable


def test_mprotect_begins_at_a_page(mmap: Mmap) -> None:
    mapping = mmap(2 * PAGE)
    with pytest.raises(OSError, match="multiple of PAGE_SIZE", check=lambda error: error.errno == errno.EINVAL):
        libc.mprotect(mapping, READ, offset=1, length=PAGE)
    put(mapping, b"x")


def test_mprotect_to_the_bounds_of_a_stack_does_not_reach_beyond_the_mapping(mmap: Mmap, fork: Fork) -> None:
    def try_it() -> int:
        place, flags = free_place(), PRIVATE | libc.MAP_GROWSDOWN | libc.MAP_FIXED
        below = libc.mmap(place, PAGE, BOTH, flags)
        above = libc.mmap(place + PAGE, PAGE, BOTH, flags)
        with memoryview(below) as view:
            with suppress(OSError):
                libc.mprotect(above, READ | libc.PROT_GROWSDOWN)
            view[0] = 5
            return view[0]

    assert fork(try_it).result() == 5


# -- msync(2) --


@pytest.mark.parametrize("flags", [libc.MS_SYNC, libc.MS_ASYNC, libc.MS_SYNC | libc.MS_INVALIDATE, 0])
def test_msync_writes_to_the_file(mmap: Mmap, file: int, flags: int, tmp_path: Path) -> None:
    mapping = mmap(4 * PAGE, BOTH, libc.MAP_SHARED, file)
    put(mapping, b"synced", 2 * PAGE)
    libc.msync(mapping, flags)
    assert (tmp_path / "file").read_bytes()[2 * PAGE : 2 * PAGE + 6] == b"synced"


def test_msync_writes_a_part(mmap: Mmap, file: int) -> None:
    mapping = mmap(4 * PAGE, BOTH, libc.MAP_SHARED, file)
    with memoryview(mapping) as view:
        view[PAGE : PAGE + 4] = b"part"
        libc.msync(mapping, libc.MS_SYNC, offset=PAGE, length=4)
    assert os.pread(file, 4, PAGE) == b"part"


def test_msync_either_waits_or_does_not(mmap: Mmap, file: int) -> None:
    mapping = mmap(PAGE, BOTH, libc.MAP_SHARED, file)
    with refused(errno.EINVAL):
        libc.msync(mapping, libc.MS_SYNC | libc.MS_ASYNC)
    with refused(errno.EINVAL):
        libc.msync(mapping, libc.MS_SYNC, offset=1, length=1)


@needs_mlock
def test_locked_pages_are_not_invalidated(mmap: Mmap, file: int) -> None:
    mapping = mmap(PAGE, BOTH, libc.MAP_SHARED, file)
    lock(mapping)
    with refused(errno.EBUSY):
        libc.msync(mapping, libc.MS_SYNC | libc.MS_INVALIDATE)


# -- mremap(2) --


def test_mremap_makes_a_mapping_longer(mmap: Mmap) -> None:
    mapping = mmap(PAGE)
    put(mapping, b"kept", PAGE - 4)
    assert libc.mremap(mapping, 3 * PAGE, libc.MREMAP_MAYMOVE) is mapping
    assert len(mapping) == 3 * PAGE
    assert get(mapping, 8, PAGE - 4) == b"kept\0\0\0\0"
    put(mapping, b"x", 3 * PAGE - 1)


def test_mremap_makes_a_mapping_shorter(mmap: Mmap) -> None:
    mapping = mmap(3 * PAGE)
    put(mapping, b"kept")
    address = mapping.address
    assert libc.mremap(mapping, PAGE + 1) is mapping
    assert (mapping.address, len(mapping), get(mapping, 4)) == (address, PAGE + 1, b"kept")
    assert [access(address + number * PAGE) for number in range(3)] == ["rw-p", "rw-p", None]


def test_a_mapping_without_room_moves_only_where_it_may(mmap: Mmap) -> None:
    place = free_place()
    mapping, neighbour = (mmap(PAGE, BOTH, PRIVATE | libc.MAP_FIXED, at=place + number * PAGE) for number in range(2))
    put(mapping, b"moves")
    put(neighbour, b"stays")
    with pytest.raises(OSError, match="MREMAP_MAYMOVE", check=lambda error: error.errno == errno.ENOMEM):
        libc.mremap(mapping, 2 * PAGE)
    assert (mapping.address, get(mapping, 5)) == (place, b"moves")
    libc.mremap(mapping, 2 * PAGE, libc.MREMAP_MAYMOVE)
    assert mapping.address != place
    assert (get(mapping, 5), get(neighbour, 5), access(place)) == (b"moves", b"stays", None)


def test_mremap_fixed_moves_to_a_free_place(mmap: Mmap) -> None:
    mapping = mmap(2 * PAGE)
    put(mapping, b"moved", PAGE)
    before, place = mapping.address, free_place()
    assert libc.mremap(mapping, 2 * PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_FIXED, place) is mapping
    assert (mapping.address, get(mapping, 5, PAGE), access(before)) == (place, b"moved", None)


@pytest.mark.parametrize("size", [1, 3])
def test_mremap_fixed_moves_and_resizes_at_once(mmap: Mmap, size: int) -> None:
    mapping = mmap(2 * PAGE)
    put(mapping, b"moved")
    place = free_place()
    libc.mremap(mapping, size * PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_FIXED, place)
    assert (mapping.address, len(mapping), get(mapping, 5)) == (place, size * PAGE, b"moved")
    assert [access(place + number * PAGE) for number in range(size + 1)] == ["rw-p"] * size + [None]


def test_mremap_fixed_refuses_a_taken_place(mmap: Mmap) -> None:
    mapping, taken = mmap(2 * PAGE), mmap(2 * PAGE)
    put(mapping, b"mine")
    put(taken, b"theirs")
    for place in (taken.address, taken.address + PAGE, mapping.address, mapping.address + PAGE):
        with pytest.raises(FileExistsError, match=r"mmap|mremap"):
            libc.mremap(mapping, 2 * PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_FIXED, place)
    assert (get(mapping, 4), get(taken, 6)) == (b"mine", b"theirs")


def test_mremap_fixed_needs_a_place(mmap: Mmap) -> None:
    mapping = mmap()
    with pytest.raises(OSError, match="new_address", check=lambda error: error.errno == errno.EINVAL):
        libc.mremap(mapping, PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_FIXED)
    with refused(errno.EINVAL):
        libc.mremap(mapping, PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_FIXED, free_place() + 1)
    put(mapping, b"there")


def test_a_move_that_a_view_forbids_leaves_the_new_place_free(mmap: Mmap) -> None:
    mapping, place = mmap(), free_place()
    with memoryview(mapping), pytest.raises(BufferError, match="release"):
        libc.mremap(mapping, PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_FIXED, place)
    assert access(place) is None


def test_a_move_that_the_kernel_refuses_leaves_the_new_place_free(mmap: Mmap) -> None:
    mapping, place = mmap(), free_place()
    with refused(errno.EINVAL):
        libc.mremap(mapping, PAGE, libc.MREMAP_FIXED, place)
    put(mapping, b"there")
    assert access(place) is None


def test_a_move_of_what_differs_in_its_parts_is_harmless(mmap: Mmap, fork: Fork) -> None:
    def try_it() -> int:
        mapping = libc.mmap(None, 3 * PAGE, BOTH, PRIVATE)
        libc.mprotect(mapping, READ, length=PAGE)
        with suppress(OSError):
            libc.mremap(mapping, 2 * PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_FIXED, free_place())
        return sum(bytes(mapping))

    assert fork(try_it).result() == 0


def dontunmap(mapping: libc.Mapping, flags: int = 0, place: int | None = None) -> libc.Mapping:
    try:
        return libc.mremap(mapping, len(mapping), libc.MREMAP_MAYMOVE | libc.MREMAP_DONTUNMAP | flags, place)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        pytest.skip("MREMAP_DONTUNMAP needs Linux 5.7")


@pytest.mark.parametrize("fixed", [False, True])
def test_mremap_dontunmap_leaves_an_empty_mapping_behind(mmap: Mmap, fixed: bool) -> None:
    mapping = mmap(2 * PAGE)
    put(mapping, b"moved", PAGE)
    address, place = mapping.address, free_place() if fixed else None
    moved = dontunmap(mapping, libc.MREMAP_FIXED if fixed else 0, place)
    try:
        assert moved is not mapping
        assert (mapping.address, mapping.closed, len(moved)) == (address, False, 2 * PAGE)
        assert (get(moved, 5, PAGE), get(mapping, 5, PAGE)) == (b"moved", bytes(5))
        assert place in (None, moved.address)
        put(mapping, b"again", PAGE)
        assert get(moved, 5, PAGE) == b"moved"
    finally:
        libc.munmap(moved)


def test_mremap_dontunmap_keeps_the_protection(mmap: Mmap) -> None:
    for prot in (READ, NONE):
        mapping = mmap(PAGE, prot)
        moved = dontunmap(mapping)
        assert (moved.readable, moved.readonly) == (mapping.readable, mapping.readonly)
        libc.munmap(moved)


def test_mremap_dontunmap_keeps_from_children_what_was_kept(mmap: Mmap, fork: Fork) -> None:
    mapping = mmap()
    libc.madvise(mapping, libc.MADV_DONTFORK)
    moved = dontunmap(mapping)

    def look() -> None:
        with pytest.raises(ValueError, match="MADV_DONTFORK"):
            _ = mapping[0]
        with pytest.raises(ValueError, match="MADV_DONTFORK"):
            memoryview(moved)

    try:
        fork(look).result()
    finally:
        libc.munmap(moved)


def test_mremap_dontunmap_keeps_the_size(mmap: Mmap) -> None:
    mapping = mmap()
    with refused(errno.EINVAL):
        libc.mremap(mapping, 2 * PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_DONTUNMAP)
    with refused(errno.EINVAL):
        libc.mremap(mapping, PAGE, libc.MREMAP_DONTUNMAP)
    put(mapping, b"there")


@pytest.mark.parametrize(
    ("size", "flags"),
    [(2, libc.MREMAP_MAYMOVE), (2, 0), (1, 0), (1, libc.MREMAP_MAYMOVE | libc.MREMAP_DONTUNMAP)],
    ids=["grow", "grow in place", "same size", "MREMAP_DONTUNMAP"],
)
def test_nothing_moves_under_a_view(mmap: Mmap, size: int, flags: int) -> None:
    mapping = mmap()
    with memoryview(mapping) as view:
        view[:4] = b"here"
        moved = None
        try:
            with pytest.raises(BufferError, match="release"):
                moved = libc.mremap(mapping, size * PAGE, flags)
            assert bytes(view[:4]) == b"here"
        finally:
            if moved is not None:
                libc.munmap(moved)


def test_mremap_to_no_bytes_is_refused(mmap: Mmap) -> None:
    mapping = mmap()
    with refused(errno.EINVAL):
        libc.mremap(mapping, 0, libc.MREMAP_MAYMOVE)
    put(mapping, b"there")


def test_a_closed_mapping_does_not_move(mmap: Mmap) -> None:
    mapping = mmap()
    libc.munmap(mapping)
    for flags in (0, libc.MREMAP_MAYMOVE, libc.MREMAP_MAYMOVE | libc.MREMAP_DONTUNMAP):
        with pytest.raises(ValueError, match="closed"):
            libc.mremap(mapping, PAGE, flags)


def test_a_read_only_mapping_stays_read_only_where_it_goes(mmap: Mmap) -> None:
    mapping = mmap(PAGE, READ)
    libc.mremap(mapping, 2 * PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_FIXED, free_place())
    assert (mapping.readonly, access(mapping.address)) == (True, "r--p")


def test_a_mapping_grows_into_its_file(mmap: Mmap, file: int) -> None:
    mapping = mmap(PAGE, BOTH, libc.MAP_SHARED, file, PAGE)
    libc.mremap(mapping, 3 * PAGE, libc.MREMAP_MAYMOVE)
    assert [number_at(mapping, number * PAGE) for number in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("prot", [BOTH, READ, WRITE, NONE], ids=["rw", "r", "w", "none"])
@pytest.mark.parametrize("kind", ["shared", "private", "anonymous"])
def test_a_mapping_that_grew_behind_the_end_of_its_file_gives_no_views(
    fork: Fork, file: int, kind: str, prot: int, fixed: bool
) -> None:
    def grow() -> str:
        if kind == "anonymous":
            mapping = libc.mmap(None, 4 * PAGE, prot, SHARED)
        else:
            mapping = libc.mmap(None, 4 * PAGE, prot, libc.MapFlag[f"MAP_{kind.upper()}"], file)
        flags, place = libc.MREMAP_MAYMOVE, None
        if fixed:
            flags, place = flags | libc.MREMAP_FIXED, free_place()
        try:
            libc.mremap(mapping, 6 * PAGE, flags, place)
        except ValueError:
            assert len(mapping) == 4 * PAGE
        libc.mprotect(mapping, READ)
        with suppress(BufferError):
            return f"readable: {sum(bytes(mapping)) // PAGE}"
        libc.mremap(mapping, 4 * PAGE)
        assert sum(bytes(mapping)) == (0 if kind == "anonymous" else 6 * PAGE)
        if kind == "shared":
            libc.mremap(mapping, 6 * PAGE, libc.MREMAP_MAYMOVE)
            with pytest.raises(BufferError, match="behind the end"):
                memoryview(mapping)
            os.ftruncate(file, 6 * PAGE)
            assert len(bytes(mapping)) == 6 * PAGE
        return "refused"

    assert fork(grow).result() in ("refused", "readable: 6" if kind != "anonymous" else "readable: 0")


# -- madvise(2) --

HARMLESS = [advice for advice in libc.Madvice if advice.name not in ("MADV_HWPOISON", "MADV_SOFT_OFFLINE")]


@pytest.mark.parametrize("kind", ["private", "shared", "file"])
@pytest.mark.parametrize("advice", HARMLESS, ids=lambda advice: str(advice.name))
def test_an_advice_is_taken_or_refused_cleanly(fork: Fork, file: int, advice: libc.Madvice, kind: str) -> None:
    if advice >= ABSENT:
        pytest.skip(f"the headers of the build lack {advice.name}")

    def follow() -> str:
        if kind == "file":
            mapping = libc.mmap(None, 4 * PAGE, BOTH, libc.MAP_SHARED, file)
        else:
            mapping = libc.mmap(None, 4 * PAGE, BOTH, PRIVATE if kind == "private" else SHARED)
        put(mapping, b"advised", PAGE)
        before = bytes(mapping)
        try:
            libc.madvise(mapping, advice)
        except OSError as error:
            refusal = str(error)
        else:
            refusal = ""
        if refusal:
            assert str(advice.name) in refusal
            assert bytes(mapping) == before
            return refusal
        if mapping.readable:
            assert len(bytes(mapping)) == 4 * PAGE
            put(mapping, b"written", 3 * PAGE)
        libc.munmap(mapping)
        return "taken"

    outcome = fork(follow).result()
    always = ("MADV_NORMAL", "MADV_RANDOM", "MADV_SEQUENTIAL", "MADV_DONTNEED", "MADV_DONTFORK", "MADV_DOFORK")
    assert outcome == "taken" or advice.name not in always


def test_garbage_that_takes_a_view_while_a_mapping_is_replaced_cannot_crash(mmap: Mmap, fork: Fork) -> None:
    class Own(libc.Mapping):
        """One that the collector knows, so that it may run while such an object is made."""

    class Garbage:
        def __init__(self, mapping: libc.Mapping, views: list[memoryview]) -> None:
            self.mapping, self.views, self.itself = mapping, views, self

        def __del__(self) -> None:
            with suppress(ValueError, BufferError):
                self.views.append(memoryview(self.mapping))

    def replace(allocations: int) -> None:
        old, views = mmap(2 * PAGE), list[memoryview]()
        gc.collect()
        gc.disable()
        Garbage(old, views)
        gc.set_threshold(allocations)
        gc.enable()
        with suppress(BufferError):
            libc.munmap(libc.mmap(old, PAGE, BOTH, PRIVATE, kind=Own))
        gc.disable()
        for view in views:
            view[-1] = 1
            view.release()

    def child() -> None:
        gc.freeze()  # each collection would look at all that pytest has
        for allocations in range(1, 60):
            replace(allocations)

    fork(child).result()


@pytest.mark.parametrize("offset", [101, libc.PAGE_SIZE])
def test_a_part_behind_the_end_is_refused_as_no_byte(mmap: Mmap, offset: int) -> None:
    mapping = mmap(100)
    for call in (libc.munmap, libc.mincore, libc.mlock, libc.msync):
        with pytest.raises(ValueError, match=f"^0 bytes from {offset} on are not within the 100 of this memory"):
            call(mapping, offset=offset)


def test_the_largest_of_all_huge_pages_can_be_asked_for() -> None:
    flags = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_HUGETLB | libc.MAP_HUGE_16GB
    with suppress(OSError):
        libc.munmap(libc.mmap(None, 16 << 30, libc.PROT_READ, flags))


@pytest.mark.parametrize("flags", [-1, 2**32, 2**64])
def test_flags_that_c_cannot_hold_are_refused(flags: int) -> None:
    with pytest.raises(OverflowError):
        libc.mmap(None, libc.PAGE_SIZE, libc.PROT_READ, flags)


@pytest.mark.parametrize("advice", [-1, 5, 99, 2**31 - 1])
def test_an_advice_that_is_none_is_refused(mmap: Mmap, advice: int) -> None:
    mapping = mmap()
    with pytest.raises(OSError, match="no such advice", check=lambda error: error.errno == errno.EINVAL):
        libc.madvise(mapping, advice)


@pytest.mark.parametrize("advice", [advice for advice in libc.Madvice if advice >= ABSENT], ids=lambda one: one.name)
def test_an_advice_that_the_build_does_not_know_is_refused_and_changes_nothing(
    mmap: Mmap, advice: libc.Madvice
) -> None:
    mapping = mmap()
    put(mapping, b"there")
    with pytest.raises((OSError, OverflowError), match=r"."):
        libc.madvise(mapping, advice)
    assert get(mapping, 5) == b"there"


def test_madv_dontneed_empties_private_memory_under_a_view(mmap: Mmap) -> None:
    mapping = mmap(2 * PAGE)
    with memoryview(mapping) as view:
        view[0] = view[PAGE] = 1
        libc.madvise(mapping, libc.MADV_DONTNEED, offset=PAGE)
        assert (view[0], view[PAGE]) == (1, 0)


def test_madv_remove_punches_a_hole_into_shared_memory(mmap: Mmap) -> None:
    mapping = mmap(2 * PAGE, BOTH, SHARED)
    put(mapping, b"one")
    put(mapping, b"two", PAGE)
    libc.madvise(mapping, libc.MADV_REMOVE, offset=PAGE, length=PAGE)
    assert (get(mapping, 3), get(mapping, 3, PAGE)) == (b"one", bytes(3))


@pytest.mark.parametrize("advice", [libc.MADV_POPULATE_READ, libc.MADV_POPULATE_WRITE])
def test_madv_populate_brings_the_pages(mmap: Mmap, advice: int) -> None:
    mapping = mmap(4 * PAGE)
    with suppress(OSError):
        libc.madvise(mapping, libc.MADV_NOHUGEPAGE)
    try:
        libc.madvise(mapping, advice, offset=PAGE, length=2 * PAGE)
    except OSError as error:
        pytest.skip(f"MADV_POPULATE_* needs Linux 5.14: {error}")
    assert resident(mapping)[1:3] == [1, 1]


def test_madv_dontfork_keeps_memory_from_a_child(mmap: Mmap, fork: Fork) -> None:
    mapping = mmap()
    put(mapping, b"parent's")
    libc.madvise(mapping, libc.MADV_DONTFORK)

    def look() -> str | None:
        for use in (memoryview, libc.mlock, libc.mincore, lambda memory: libc.mprotect(memory, READ)):
            with pytest.raises(ValueError, match="MADV_DONTFORK"):
                use(mapping)
        assert access(mapping.address) is None
        other = libc.mmap(mapping.address, PAGE, BOTH, PRIVATE | libc.MAP_FIXED)
        with suppress(ValueError):
            libc.munmap(mapping)  # what lies there now is not its own
        return access(other.address)

    assert fork(look).result() == "rw-p"
    assert get(mapping, 8) == b"parent's"


def test_madv_dofork_gives_memory_to_a_child_again(mmap: Mmap, fork: Fork) -> None:
    mapping = mmap()
    put(mapping, b"shown")
    libc.madvise(mapping, libc.MADV_DONTFORK)
    libc.madvise(mapping, libc.MADV_DOFORK)
    assert fork(get, mapping, 5).result() == b"shown"


def test_a_part_kept_from_a_child_keeps_all_of_the_memory_from_it(mmap: Mmap, fork: Fork) -> None:
    mapping = mmap(3 * PAGE)
    libc.madvise(mapping, libc.MADV_DONTFORK)
    libc.madvise(mapping, libc.MADV_DOFORK, length=PAGE)

    def look() -> None:
        with pytest.raises(ValueError, match="MADV_DONTFORK"):
            memoryview(mapping)

    fork(look).result()
    put(mapping, b"the parent has it", PAGE)


def test_madv_wipeonfork_gives_a_child_zeros(mmap: Mmap, fork: Fork) -> None:
    mapping = mmap()
    put(mapping, b"secret")
    libc.madvise(mapping, libc.MADV_WIPEONFORK)
    assert fork(get, mapping, 6).result() == bytes(6)
    libc.madvise(mapping, libc.MADV_KEEPONFORK)
    assert fork(get, mapping, 6).result() == b"secret"


def test_guard_pages_forbid_views_until_they_are_removed(fork: Fork) -> None:
    if libc.MADV_GUARD_INSTALL >= ABSENT:
        pytest.skip("the headers of the build lack MADV_GUARD_INSTALL")

    def guard() -> str:
        mapping = libc.mmap(None, 3 * PAGE, BOTH, PRIVATE)
        with memoryview(mapping), pytest.raises(BufferError, match="release"):
            libc.madvise(mapping, libc.MADV_GUARD_INSTALL, length=PAGE)
        with pytest.raises(OSError, match="madvise"):
            libc.madvise(mapping, libc.MADV_GUARD_INSTALL, offset=1, length=PAGE)
        put(mapping, b"still there")
        try:
            libc.madvise(mapping, libc.MADV_GUARD_INSTALL, length=PAGE)
        except OSError as error:
            return str(error)
        with pytest.raises(BufferError, match="cannot be read"):
            memoryview(mapping)
        libc.madvise(mapping, libc.MADV_GUARD_REMOVE)
        put(mapping, b"x")
        return ""

    if error := fork(guard).result():
        pytest.skip(f"guard pages need Linux 6.13: {error}")


# -- mlock(2), munlock(2), mincore(2) --


def lock(mapping: libc.Mapping, **part: int) -> None:
    try:
        libc.mlock(mapping, **part)
    except OSError as error:
        pytest.skip(str(error))


@needs_mlock
def test_mlock_locks_until_munlock(mmap: Mmap) -> None:
    mapping, before = mmap(4 * PAGE), locked_memory()
    lock(mapping)
    assert locked_memory() == before + 4 * PAGE
    libc.munlock(mapping, offset=PAGE, length=PAGE)
    assert locked_memory() == before + 3 * PAGE
    libc.munlock(mapping)
    assert locked_memory() == before


@needs_mlock
def test_mlock_locks_the_pages_that_a_part_lies_in(mmap: Mmap) -> None:
    mapping, before = mmap(4 * PAGE), locked_memory()
    lock(mapping, offset=PAGE + 1, length=PAGE)
    assert locked_memory() == before + 2 * PAGE
    assert resident(mapping)[1:3] == [1, 1]


@needs_mlock
def test_a_lock_goes_with_the_memory(mmap: Mmap) -> None:
    mapping, before = mmap(4 * PAGE), locked_memory()
    lock(mapping)
    view = memoryview(mapping)
    libc.munmap(mapping)
    assert locked_memory() == before + 4 * PAGE
    view.release()
    assert locked_memory() == before


@needs_mlock
@pytest.mark.parametrize(("pages", "code"), [(0, errno.EPERM), (1, errno.ENOMEM)])
def test_locking_more_than_the_limit_is_refused(fork: Fork, pages: int, code: int) -> None:
    def try_it() -> None:
        mapping = libc.mmap(free_place(), 4 * PAGE, BOTH, PRIVATE)
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (pages * PAGE, pages * PAGE))
        without_privileges()
        with refused(errno.EAGAIN if pages else errno.EPERM):
            libc.mmap(None, 4 * PAGE, BOTH, PRIVATE | libc.MAP_LOCKED)
        libc.mlock(mapping)

    with pytest.raises(OSError, match="RLIMIT_MEMLOCK", check=lambda error: error.errno == code):
        fork(try_it).result()


@needs_mlock
def test_mlock2_on_fault_locks_a_page_when_it_is_touched(mmap: Mmap) -> None:
    mapping, before = mmap(4 * PAGE), locked_memory()
    try:
        libc.mlock2(mapping, libc.MLOCK_ONFAULT, offset=PAGE)
    except OSError as error:
        pytest.skip(str(error))
    assert locked_memory() == before + 3 * PAGE
    assert resident(mapping) == [0, 0, 0, 0]
    put(mapping, b"x", 2 * PAGE)
    assert resident(mapping)[2] == 1
    libc.munlock(mapping)
    assert locked_memory() == before


@needs_mlock
def test_mlock2_without_flags_is_mlock(mmap: Mmap) -> None:
    mapping = mmap(4 * PAGE)
    try:
        libc.mlock2(mapping, 0)
    except OSError as error:
        pytest.skip(str(error))
    assert resident(mapping) == [1, 1, 1, 1]


def test_mlock2_refuses_what_is_no_flag_of_its(mmap: Mmap) -> None:
    mapping = mmap()
    with pytest.raises(OSError, match="the only flag is MLOCK_ONFAULT") as caught:
        libc.mlock2(mapping, 2)
    assert caught.value.errno == errno.EINVAL
    for flags in (-(2**31) - 1, 2**31, 2**64):
        with pytest.raises(OverflowError):
            libc.mlock2(mapping, flags)
    with pytest.raises(TypeError):
        libc.mlock2(mapping, "1")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes a Memory"):
        libc.mlock2(bytearray(PAGE), 0)  # type: ignore[arg-type]


@needs_mlock
def test_mlockall_locks_what_there_will_be_until_munlockall(fork: Fork) -> None:
    def child() -> str:
        try:
            libc.mlockall(libc.MCL_FUTURE | libc.MCL_ONFAULT)
        except OSError as error:
            return str(error)
        mapping = libc.mmap(free_place(), 4 * PAGE, BOTH, PRIVATE)
        assert is_locked(mapping.address)
        assert resident(mapping) == [0, 0, 0, 0]
        libc.munlockall()
        assert not is_locked(mapping.address)
        libc.munmap(mapping)
        return ""

    if refusal := fork(child).result():
        pytest.skip(refusal)


@needs_mlock
def test_mlockall_locks_what_there_is(fork: Fork) -> None:
    def child() -> str:
        mapping = libc.mmap(None, 4 * PAGE, BOTH, PRIVATE)
        try:
            libc.mlockall(libc.MCL_CURRENT)
        except OSError as error:
            return str(error)
        assert resident(mapping) == [1, 1, 1, 1]
        libc.munlockall()
        libc.munmap(mapping)
        return ""

    if refusal := fork(child).result():
        pytest.skip(refusal)


@needs_mlock
def test_locking_everything_beyond_the_limit_is_refused(fork: Fork) -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (PAGE, PAGE))
        without_privileges()
        libc.mlockall(libc.MCL_CURRENT)

    with pytest.raises(OSError, match=r"mlockall.*RLIMIT_MEMLOCK"):
        fork(child).result()


@needs_mlock
@pytest.mark.parametrize("flags", [0, libc.MCL_ONFAULT, 64, -1])
def test_mlockall_refuses_flags_that_lock_nothing(flags: int) -> None:
    with pytest.raises(OSError, match="give MCL_CURRENT or MCL_FUTURE") as caught:
        libc.mlockall(flags)
    assert caught.value.errno == errno.EINVAL


def test_mincore_tells_which_pages_are_in_memory(mmap: Mmap) -> None:
    mapping = mmap(4 * PAGE)
    with suppress(OSError):  # a kernel without huge pages
        libc.madvise(mapping, libc.MADV_NOHUGEPAGE)
    assert resident(mapping) == [0, 0, 0, 0]
    put(mapping, b"x", 2 * PAGE)
    assert resident(mapping) == [0, 0, 1, 0]
    assert [page & 1 for page in libc.mincore(mapping, offset=2 * PAGE)] == [1, 0]
    assert [page & 1 for page in libc.mincore(mapping, offset=PAGE, length=PAGE + 1)] == [0, 1]
    assert libc.mincore(mapping, length=0) == b""


def test_mincore_begins_at_a_page(mmap: Mmap) -> None:
    with refused(errno.EINVAL):
        libc.mincore(mmap(), offset=1, length=1)


def test_what_was_unmapped_cannot_be_used(mmap: Mmap) -> None:
    mapping = mmap()
    with memoryview(mapping):  # its pages are still there, and nobody's
        libc.munmap(mapping)
        calls: list[Callable[[libc.Mapping], object]] = [
            libc.msync,
            libc.mlock,
            libc.munlock,
            libc.mincore,
            lambda memory: libc.madvise(memory, libc.MADV_DONTNEED),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="closed"):
                call(mapping)
        assert access(mapping.address) == "rw-p"


def test_mprotect_of_what_was_unmapped_is_refused(mmap: Mmap) -> None:
    mapping = mmap()
    libc.munmap(mapping)
    with pytest.raises(ValueError, match="closed"):
        libc.mprotect(mapping, READ)


# -- the life of the object --


def test_a_dropped_mapping_is_unmapped_with_a_warning() -> None:
    mapping = libc.mmap(free_place(), PAGE, BOTH, PRIVATE)
    address = mapping.address
    with pytest.warns(ResourceWarning, match=f"unclosed <Mapping {PAGE} bytes at {address:#x}>"):
        del mapping
    assert access(address) is None


def test_a_view_keeps_a_dropped_mapping(mmap: Mmap) -> None:
    mapping = libc.mmap(free_place(), PAGE, BOTH, PRIVATE)
    address, view = mapping.address, memoryview(mapping)
    del mapping
    view[0] = 1
    with pytest.warns(ResourceWarning, match="unclosed"):
        del view
    assert access(address) is None


def test_a_closed_mapping_is_dropped_in_silence() -> None:
    mapping = libc.mmap(None, PAGE, BOTH, PRIVATE)
    libc.munmap(mapping)
    del mapping  # a warning would be an error


def test_a_child_drops_what_did_not_come_along_in_silence(mmap: Mmap, fork: Fork) -> None:
    box = [libc.mmap(free_place(), PAGE, BOTH, PRIVATE)]
    address = box[0].address
    libc.madvise(box[0], libc.MADV_DONTFORK)

    def drop() -> str | None:
        other = libc.mmap(address, PAGE, BOTH, PRIVATE | libc.MAP_FIXED)
        box.clear()
        return access(other.address)

    assert fork(drop).result() == "rw-p"
    libc.munmap(box.pop())


@pytest.mark.parametrize("cls", [libc.Mapping, libc.Attachment])
def test_mappings_are_made_by_mmap_only(cls: type[Any]) -> None:
    class Child(cls):  # type: ignore[misc]
        pass

    class Determined(cls):  # type: ignore[misc]
        def __new__(cls) -> Any:
            return object.__new__(cls)

    made: Any = cls
    for make in (cls, Child, Determined, lambda: made.__new__(cls), lambda: object.__new__(cls), lambda: made(5)):
        with pytest.raises(TypeError, match=r"."):
            make()


def test_a_mapping_cannot_be_copied_or_pickled(mmap: Mmap) -> None:
    mapping = mmap()
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match=r"."):
            duplicate(mapping)


def test_a_mapping_s_attributes_cannot_be_set(mmap: Mmap) -> None:
    mapping: Any = mmap()
    for name in ("address", "closed", "readable", "readonly", "anything"):
        with pytest.raises(AttributeError):
            setattr(mapping, name, 0)


def test_a_mapping_of_ours_is_none_of_the_standard_library(mmap: Mmap) -> None:
    theirs = stdlib_mmap.mmap(-1, PAGE)
    try:
        with pytest.raises(TypeError, match="Mapping"):
            libc.munmap(theirs)  # type: ignore[arg-type]
    finally:
        theirs.close()


# -- threads and handlers --


def test_threads_release_views_of_an_unmapped_mapping(mmap: Mmap) -> None:
    mapping = mmap(PAGE, BOTH, PRIVATE)
    count = 8
    ready, unmapped = threading.Barrier(count + 1), threading.Event()
    failures: list[BaseException] = []

    def hold(number: int) -> None:
        try:
            views = [memoryview(mapping) for _ in range(200)]
            ready.wait(DEADLINE)
            unmapped.wait(DEADLINE)
            for view in views:
                view[number] = number + 1
                view.release()
        except BaseException as error:  # noqa: BLE001 - the test raises it
            failures.append(error)

    threads = [threading.Thread(target=hold, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    ready.wait(DEADLINE)
    last = memoryview(mapping)
    libc.munmap(mapping)
    unmapped.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert failures == []
    assert bytes(last[:count]) == bytes(range(1, count + 1))
    last.release()
    assert access(mapping.address) is None


def test_threads_that_use_a_mapping_meet_its_end_as_valueerror(mmap: Mmap) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            mapping = mmap(4 * PAGE, BOTH, SHARED)
            started = threading.Barrier(4)
            ends: list[str] = []

            def use(memory: libc.Mapping, started: threading.Barrier, ends: list[str]) -> None:
                started.wait(DEADLINE)
                try:
                    while True:
                        libc.msync(memory)
                        libc.madvise(memory, libc.MADV_DONTNEED, offset=PAGE)
                        with memoryview(memory) as view:
                            view[0] = 1
                except ValueError as error:
                    ends.append(str(error))

            threads = [threading.Thread(target=use, args=(mapping, started, ends)) for _ in range(3)]
            for thread in threads:
                thread.start()
            started.wait(DEADLINE)
            libc.munmap(mapping)
            for thread in threads:
                thread.join(DEADLINE)
            assert len(ends) == 3
            assert access(mapping.address) is None
    finally:
        sys.setswitchinterval(interval)


INTERRUPTED: dict[str, Callable[[libc.Mapping, int], object]] = {
    "madvise": lambda mapping, _: libc.madvise(mapping, libc.MADV_DONTNEED),
    "mprotect": lambda mapping, _: libc.mprotect(mapping, NONE),
    "munmap": lambda mapping, _: libc.munmap(mapping),
    "munmap a part": lambda mapping, _: libc.munmap(mapping, offset=2 * PAGE),
    "mmap": lambda mapping, _: libc.mmap(mapping, 3 * PAGE, READ, PRIVATE),
    "mremap": lambda mapping, _: libc.mremap(mapping, 5 * PAGE, libc.MREMAP_MAYMOVE),
    "mremap and leave": lambda mapping, _: libc.mremap(mapping, 4 * PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_DONTUNMAP),
    "shmat": lambda mapping, shmid: libc.shmat(shmid, mapping, libc.SHM_REMAP),
}


@pytest.mark.parametrize("name", INTERRUPTED)
def test_a_handler_that_gives_up_part_of_a_mapping_during_a_call_endangers_nobody_else(name: str, fork: Fork) -> None:
    """A signal handler, or another thread, can run wherever Python code is called; each such moment is tried."""

    def at_moment(number: int, shmid: int) -> bool:
        mapping = libc.mmap(None, 4 * PAGE, BOTH, PRIVATE)
        calls, others = 0, []

        def interrupt(frame: FrameType, event: str, argument: object) -> None:
            nonlocal calls
            if event != "call":
                return
            calls += 1
            if calls != number:
                return
            sys.setprofile(None)
            with suppress(ValueError, BufferError):  # it is gone, or in use: fine
                libc.munmap(mapping, offset=PAGE)
                end = mapping.address + len(mapping)
                others.append(libc.mmap(end, 3 * PAGE, BOTH, PRIVATE | libc.MAP_FIXED))
                with memoryview(others[0]) as view:
                    view[:] = b"x" * len(view)

        with suppress(ValueError, BufferError, OSError):
            sys.setprofile(interrupt)
            try:
                INTERRUPTED[name](mapping, shmid)
            finally:
                sys.setprofile(None)
        for other in others:
            found = {access(other.address + page * PAGE) for page in range(3)}
            assert found == {"rw-p"}, f"at call {number} the neighbour became {found}"
            assert bytes(other) == b"x" * 3 * PAGE, f"at call {number} the neighbour was emptied"
        return calls >= number

    def at_every_moment() -> int:
        shmid = libc.shmget(libc.IPC_PRIVATE, 3 * PAGE, 0o600)
        try:
            number = 1
            while at_moment(number, shmid):
                number += 1
        finally:
            libc.shmctl(shmid, libc.IPC_RMID)
        return number

    assert fork(at_every_moment).result() > 1


@pytest.mark.parametrize("said", [libc.Mapping, libc.Attachment])
def test_an_object_that_only_says_it_is_memory_is_refused(said: type) -> None:
    class Impostor:
        __class__ = said

    impostor: Any = Impostor()
    fixed = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_FIXED
    with pytest.raises(TypeError):
        libc.mmap(impostor, PAGE, libc.PROT_READ, fixed)
    with pytest.raises(TypeError):
        libc.mremap(impostor, PAGE, libc.MREMAP_MAYMOVE)
    with pytest.raises(TypeError):
        libc.shmat(0, impostor, libc.SHM_REMAP)
