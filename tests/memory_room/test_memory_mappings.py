"""unixipc.memory: mappings of anonymous memory and of files."""

from __future__ import annotations

import copy
import ctypes
import errno
import importlib.util
import os
import pickle
import re
import resource
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from maps import SANITIZED, access, is_shared
from memory_room.helpers import PAGE, READ, WRITE, get, locked_memory, on_small_disk, put
from nobody import become_nobody, needs_root

from unixipc import libc
from unixipc.memory import Mapping
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

SIZE = 3 * PAGE + 100
CONTENT = b"".join(bytes([number]) * PAGE for number in range(1, 4)) + bytes(range(100))
needs_mlock = pytest.mark.skipif(SANITIZED, reason="the address sanitizer makes mlock(2) do nothing")
needs_sigsegv = pytest.mark.skipif(SANITIZED, reason="the address sanitizer handles SIGSEGV itself")


@pytest.fixture
def private() -> Iterator[Mapping]:
    """Four pages of private anonymous memory."""
    with Mapping.anonymous(4 * PAGE, shared=False) as mapping:
        with suppress(OSError):  # a kernel without huge pages
            mapping.advise(libc.MADV_NOHUGEPAGE)
        yield mapping


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of three pages and 100 bytes."""
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    return path


# -- anonymous memory --


def test_new_memory_is_zeros_of_the_size_asked_for() -> None:
    with Mapping.anonymous(SIZE) as mapping:
        assert bytes(mapping) == bytes(SIZE)
        assert (len(mapping), mapping.readonly, mapping.closed) == (SIZE, False, False)
        assert repr(mapping) == f"<Mapping {SIZE} bytes at {mapping.address:#x}>"


def test_shared_memory_is_the_child_s_too(fork: Fork) -> None:
    with Mapping.anonymous(SIZE) as mapping:
        fork(put, mapping, b"from the child", 2 * PAGE).result()
        assert get(mapping, 14, 2 * PAGE) == b"from the child"


def test_memory_that_is_not_shared_is_copied_for_the_child(private: Mapping, fork: Fork) -> None:
    def child() -> bytes:
        put(private, b"child", 1)
        return get(private, 6)

    put(private, b"parent")
    assert fork(child).result() == b"pchild"
    assert get(private, 6) == b"parent"


def test_populated_memory_is_there_at_once() -> None:
    with Mapping.anonymous(4 * PAGE, shared=False, populate=True) as mapping:
        assert mapping.resident() == [True] * 4


def test_a_with_block_closes_and_closing_twice_is_fine() -> None:
    with Mapping.anonymous(PAGE) as mapping:
        address = mapping.address
        assert access(address) == "rw-s"
    assert (mapping.closed, len(mapping), repr(mapping)) == (True, 0, "<Mapping closed>")
    assert not is_shared(address)
    mapping.close()


USES: dict[str, Callable[[Mapping], object]] = {
    "protect": lambda mapping: mapping.protect(READ),
    "protect a part": lambda mapping: mapping.protect(READ, slice(PAGE)),
    "advise": lambda mapping: mapping.advise(libc.MADV_DONTNEED, slice(-PAGE, None)),
    "lock": lambda mapping: mapping.lock(),
    "lock on fault": lambda mapping: mapping.lock(on_fault=True),
    "unlock": lambda mapping: mapping.unlock(),
    "flush": lambda mapping: mapping.flush(),
    "resident": lambda mapping: mapping.resident(),
    "resize": lambda mapping: mapping.resize(2 * PAGE),
    "view": memoryview,
}


@pytest.mark.parametrize("use", USES)
def test_a_closed_mapping_says_so(use: str) -> None:
    mapping = Mapping.anonymous(PAGE)
    mapping.close()
    with pytest.raises(ValueError, match="this mapping is closed"):
        USES[use](mapping)


def test_a_mapping_that_is_dropped_open_is_unmapped_with_one_warning() -> None:
    mapping = Mapping.anonymous(PAGE)
    address, text = mapping.address, repr(mapping)
    with pytest.warns(ResourceWarning) as caught:
        del mapping
    assert [str(warning.message) for warning in caught] == [f"unclosed {text}"]
    del caught  # a warning knows its source
    assert not is_shared(address)


def test_a_view_stays_valid_after_close() -> None:
    mapping = Mapping.anonymous(PAGE)
    address, view = mapping.address, memoryview(mapping)
    mapping.close()
    view[:5] = b"still"
    assert bytes(view[:5]) == b"still"
    view.release()
    assert not is_shared(address)


def test_a_mapping_cannot_be_made_copied_or_pickled_behind_mmap_s_back(private: Mapping) -> None:
    made: Any = Mapping
    for refused in (made, lambda: made.__new__(made), lambda: made(5), lambda: object.__new__(made)):
        with pytest.raises(TypeError):
            refused()
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError):
            duplicate(private)


# -- guard pages --


def beyond(mapping: Mapping, distance: int) -> None:
    ctypes.memset(mapping.address + distance, 1, 1)


@needs_sigsegv
@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize(("size", "distance"), [(2 * PAGE, 2 * PAGE), (100, PAGE), (PAGE, -1), (SIZE, 5 * PAGE - 1)])
def test_who_runs_over_an_end_of_guarded_memory_dies(fork: Fork, *, shared: bool, size: int, distance: int) -> None:
    with Mapping.anonymous(size, shared=shared, guarded=True) as mapping:
        fork(beyond, mapping, size - 1).result()
        child = fork(beyond, mapping, distance)
        assert child.wait().signal == libc.SIGSEGV
        assert child.crash is not None
        put(mapping, b"x" * size)


def test_guarded_memory_is_gone_with_its_guards() -> None:
    with Mapping.anonymous(PAGE, guarded=True) as mapping:
        ends = mapping.address - 1, mapping.address + PAGE
        assert [access(end) for end in ends] == ["---s", "---s"]
    assert [is_shared(end) for end in ends] == [False, False]


def test_a_view_that_outlives_guarded_memory_is_still_guarded() -> None:
    mapping = Mapping.anonymous(PAGE, guarded=True)
    ends = mapping.address - 1, mapping.address + PAGE
    view = memoryview(mapping)
    mapping.close()
    assert [access(end) for end in ends] == ["---s", "---s"]
    view.release()
    assert [is_shared(end) for end in ends] == [False, False]


def test_guarded_memory_keeps_its_place_and_size() -> None:
    with Mapping.anonymous(2 * PAGE, guarded=True) as mapping:
        put(mapping, b"stays")
        attempts: list[Callable[[], object]] = [
            lambda: mapping.resize(PAGE),
            lambda: mapping.resize(3 * PAGE),
            lambda: libc.mremap(mapping, 2 * PAGE, libc.MREMAP_MAYMOVE | libc.MREMAP_DONTUNMAP),
            lambda: libc.munmap(mapping, offset=PAGE),
            lambda: libc.munmap(mapping, length=PAGE),
            lambda: libc.mmap(mapping, PAGE, READ, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS | libc.MAP_FIXED),
        ]
        for attempt in attempts:
            with pytest.raises(ValueError, match="between guard pages"):
                attempt()
        assert (len(mapping), get(mapping, 5)) == (2 * PAGE, b"stays")
        mapping.protect(libc.PROT_NONE)
        mapping.protect(READ | WRITE)
        assert [access(mapping.address + place) for place in (-1, 0, 2 * PAGE)] == ["---s", "rw-s", "---s"]


def test_a_guard_is_made_of_what_lies_between_two_pages_only(private: Mapping) -> None:
    for size in (0, -1, 1, PAGE, 3 * PAGE, 2**62):
        with pytest.raises(ValueError, match="do not fill"):
            private._guard(size)
    with memoryview(private), pytest.raises(BufferError, match="guard"):
        private._guard(2 * PAGE)
    with pytest.raises(OverflowError):
        private._guard(2**64)
    private._guard(2 * PAGE)
    with pytest.raises(ValueError, match="between guard pages"):
        private._guard(PAGE)


def test_signal_handlers_run_on_guarded_memory(fork: Fork) -> None:
    def child() -> int:
        with Mapping.anonymous(4 * libc.SIGSTKSZ, shared=False, guarded=True) as stack:
            libc.sigaltstack(libc.Stack(stack))
            counter = libc.CountHandler()
            libc.sigaction(libc.SIGUSR1, libc.Sigaction(counter, flags=libc.SA_ONSTACK))
            libc.raise_(libc.SIGUSR1)
            libc.sigaction(libc.SIGUSR1, libc.Sigaction(libc.SIG_DFL))
            libc.sigaltstack(libc.Stack(ss_flags=libc.SS_DISABLE))
            return counter.value

    assert fork(child).result() == 1


def test_threads_that_make_and_close_guarded_memory_touch_nobody_else_s() -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for _ in range(200):
                with (
                    Mapping.anonymous(PAGE, guarded=True, shared=False) as guarded,
                    Mapping.anonymous(2 * PAGE, shared=False) as plain,
                ):
                    put(guarded, bytes([number]) * PAGE)
                    put(plain, bytes([number]) * 2 * PAGE)
                    assert bytes(guarded) == bytes([number]) * PAGE
                    assert bytes(plain) == bytes([number]) * 2 * PAGE
        except BaseException as error:  # noqa: BLE001 - the test raises it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert failures == []


# -- huge pages --


def test_huge_pages_are_had_or_the_error_says_what_to_do() -> None:
    try:
        mapping = Mapping.anonymous(2**21, huge=2**21)
    except OSError as error:
        if not re.search(r"vm.nr_hugepages|this kernel has some", str(error)):
            raise
        pytest.skip(str(error))
    with mapping:
        put(mapping, b"huge", 2**21 - 4)
        assert get(mapping, 4, 2**21 - 4) == b"huge"


def test_huge_pages_of_a_size_that_there_is_not_are_refused() -> None:
    with pytest.raises(OSError, match=r"huge pages of 12345 bytes.*this kernel has some of") as caught:
        Mapping.anonymous(12345, huge=12345)
    assert caught.value.errno == errno.EINVAL


def test_memory_of_huge_pages_has_whole_ones_and_no_guards() -> None:
    if not list(Path("/sys/kernel/mm/hugepages").glob("*")):
        pytest.skip("this kernel has no huge pages")
    with pytest.raises(ValueError, match="must be a multiple of"):
        Mapping.anonymous(PAGE, huge=True)
    with pytest.raises(ValueError, match="cannot be guarded"):
        Mapping.anonymous(2**21, huge=True, guarded=True)


# -- files --


def test_a_file_is_mapped_by_its_path_its_descriptor_or_an_object_that_has_one(path: Path) -> None:
    with path.open("rb") as file:
        for given in (path, str(path), os.fsencode(path), file, file.fileno()):
            with Mapping.of(given) as mapping:
                assert bytes(mapping) == CONTENT
                assert mapping.readonly


def test_a_mapping_needs_its_file_no_more(path: Path) -> None:
    with path.open("r+b") as file:
        mapping = Mapping.of(file, access="write")
    path.unlink()
    with mapping:
        put(mapping, b"goes on")
        assert get(mapping, 7) == b"goes on"


def test_a_mapping_of_a_file_that_is_dropped_open_holds_it_no_more(path: Path) -> None:
    held = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.warns(ResourceWarning, match="unclosed"):
        Mapping.of(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == held
    assert str(path) not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize(
    ("size", "offset", "expected"),
    [
        (None, 2 * PAGE, CONTENT[2 * PAGE :]),
        (10, 0, CONTENT[:10]),
        (PAGE + 1, PAGE, CONTENT[PAGE : 2 * PAGE + 1]),
        (100, 3 * PAGE, CONTENT[3 * PAGE :]),
    ],
)
def test_a_part_of_a_file_is_mapped(path: Path, size: int | None, offset: int, expected: bytes) -> None:
    with Mapping.of(path, size, offset=offset) as mapping:
        assert bytes(mapping) == expected


def test_what_is_written_is_seen_in_the_file_and_by_another_process(path: Path, fork: Fork) -> None:
    def child() -> None:
        with Mapping.of(path, access="write", offset=PAGE) as other:
            put(other, b"theirs", 10)

    with Mapping.of(path, access="write") as mapping, Mapping.of(path) as reader:
        put(mapping, b"ours", PAGE)
        fork(child).result()
        expected = b"ours" + bytes([2]) * 6 + b"theirs"
        assert get(mapping, 16, PAGE) == get(reader, 16, PAGE) == path.read_bytes()[PAGE : PAGE + 16] == expected


def test_what_is_written_to_a_copy_stays_there(path: Path) -> None:
    path.chmod(0o400)
    with Mapping.of(path, access="copy") as mapping, Mapping.of(path) as reader:
        put(mapping, b"mine")
        assert get(mapping, 5) == b"mine\1"
        assert bytes(reader) == path.read_bytes() == CONTENT


def test_what_is_mapped_to_be_read_is_never_written(path: Path) -> None:
    with Mapping.of(path) as mapping:
        with pytest.raises(TypeError, match="read-only"):
            memoryview(mapping)[0] = 1
        with pytest.raises(PermissionError, match="mprotect"):
            mapping.protect(READ | WRITE)
    with path.open("rb") as file, pytest.raises(PermissionError, match="O_RDWR"):
        Mapping.of(file, access="write")


@pytest.mark.parametrize(
    ("size", "offset"), [(SIZE + 1, 0), (4 * PAGE, 0), (PAGE, 3 * PAGE), (None, 4 * PAGE), (1, 2**62)]
)
def test_what_a_file_does_not_have_is_not_mapped(path: Path, size: int | None, offset: int) -> None:
    for way in ("read", "write", "copy"):
        with pytest.raises(ValueError, match=f"the file has {SIZE} bytes, .*make it longer first"):
            Mapping.of(path, size, offset=offset, access=way)
    assert path.read_bytes() == CONTENT


def test_an_empty_file_is_not_mapped(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match="has 0 bytes"):
        Mapping.of(tmp_path / "empty")


def test_what_is_no_regular_file_is_mapped_or_says_why_not(tmp_path: Path) -> None:
    with Mapping.of("/dev/zero", PAGE, access="write") as zeros:
        put(zeros, b"x")
    with pytest.raises(ValueError, match="say how many bytes"):
        Mapping.of("/dev/zero")
    os.mkfifo(tmp_path / "fifo")
    for thing in (tmp_path, tmp_path / "fifo", "/dev/null"):
        with pytest.raises(OSError, match="cannot be mapped") as caught:
            Mapping.of(thing, PAGE)
        assert caught.value.errno == errno.ENODEV
    with pytest.raises(FileNotFoundError, match="nothing"):
        Mapping.of(tmp_path / "nothing")


def test_the_holes_of_a_file_are_filled_before_it_is_written_unless_one_says_so(tmp_path: Path) -> None:
    path = tmp_path / "holes"
    path.touch()
    os.truncate(path, 64 * PAGE)
    if path.stat().st_blocks:
        pytest.skip("the file system of the temporary folder has no holes")
    for way, reserve in (("read", True), ("copy", True), ("write", False)):
        with Mapping.of(path, access=way, reserve=reserve):  # type: ignore[arg-type]
            assert path.stat().st_blocks == 0
    with Mapping.of(path, 8 * PAGE, offset=8 * PAGE, access="write"):
        assert path.stat().st_blocks * 512 == 8 * PAGE
    with Mapping.of(path, access="write"):
        assert path.stat().st_blocks * 512 >= 64 * PAGE
    assert path.stat().st_size == 64 * PAGE


def test_a_full_file_system_is_an_error_when_a_file_is_mapped(tmp_path: Path, fork: Fork) -> None:
    def child() -> None:
        path = tmp_path / "holes"
        path.touch()
        os.truncate(path, 100 * PAGE)
        with pytest.raises(OSError, match="has no room for it") as caught:
            Mapping.of(path, access="write")
        assert caught.value.errno == errno.ENOSPC
        with Mapping.of(path, 10 * PAGE, access="write") as mapping:
            put(mapping, b"x" * 10 * PAGE)
            with pytest.raises(OSError, match="has no room for it"):
                mapping.resize(100 * PAGE)
            assert bytes(mapping) == b"x" * 10 * PAGE
            mapping.resize(15 * PAGE)
            put(mapping, b"x" * 15 * PAGE)

    on_small_disk(fork, tmp_path, child)


@needs_root
def test_another_user_is_refused(path: Path, fork: Fork) -> None:
    def child() -> None:
        os.chdir(path.parent)  # whose own parents nobody else may enter
        become_nobody()
        for way in ("read", "write", "copy"):
            with pytest.raises(PermissionError, match="file"):
                Mapping.of("file", access=way)

    path.chmod(0o600)
    fork(child).result()


# -- parts --


@pytest.mark.parametrize(
    ("part", "pages"),
    [
        (None, [0, 1, 2, 3]),
        (slice(None), [0, 1, 2, 3]),
        (slice(PAGE, None), [1, 2, 3]),
        (slice(2 * PAGE), [0, 1]),
        (slice(PAGE, PAGE + 1), [1]),
        (slice(-PAGE, None), [3]),
        (slice(-3 * PAGE, -PAGE), [1, 2]),
        (slice(PAGE, PAGE), []),
        (slice(4 * PAGE, None), []),
    ],
)
def test_a_part_is_a_slice_of_bytes(private: Mapping, part: slice | None, pages: list[int]) -> None:
    put(private, b"x" * 4 * PAGE)
    assert private.resident(part) == [True] * len(pages)
    private.advise(libc.MADV_DONTNEED, part)
    assert bytes(private) == b"".join((b"\0" if page in pages else b"x") * PAGE for page in range(4))


@pytest.mark.parametrize(
    ("part", "complaint"),
    [
        (slice(1, None), "no multiple of"),
        (slice(-1, None), "no multiple of"),
        (slice(0, PAGE, 1), "has no step"),
        (slice(0, PAGE, -1), "has no step"),
        (slice(0, 4 * PAGE + 1), "is not within"),
        (slice(5 * PAGE, None), "is not within"),
        (slice(-5 * PAGE, None), "is not within"),
        (slice(2 * PAGE, PAGE), "is not within"),
        (slice(0, 2**100), "is not within"),
        (slice(-(2**100), None), "is not within"),
    ],
)
def test_a_part_that_is_none_is_a_valueerror_that_says_so(private: Mapping, part: slice, complaint: str) -> None:
    uses: list[Callable[[], object]] = [
        lambda: private.protect(READ, part),
        lambda: private.advise(libc.MADV_DONTNEED, part),
        lambda: private.lock(part),
        lambda: private.lock(part, on_fault=True),
        lambda: private.unlock(part),
        lambda: private.flush(part),
        lambda: private.resident(part),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=complaint):
            use()


def test_a_part_of_an_uneven_mapping_reaches_to_the_end_of_its_last_page(path: Path) -> None:
    with Mapping.of(path) as mapping:
        assert len(mapping.resident(slice(4 * PAGE))) == len(mapping.resident()) == 4


# -- protection, advice, locks --


def test_a_part_that_must_not_be_written_makes_views_read_only(private: Mapping) -> None:
    private.protect(READ, slice(PAGE, 2 * PAGE))
    assert [access(private.address + page * PAGE) for page in range(4)] == ["rw-p", "r--p", "rw-p", "rw-p"]
    with memoryview(private) as view:
        assert view.readonly
    private.protect(READ | WRITE)
    put(private, b"x" * 4 * PAGE)


def test_memory_of_which_a_part_cannot_be_read_has_no_views(private: Mapping) -> None:
    put(private, b"kept", 3 * PAGE)
    private.protect(libc.PROT_NONE, slice(-PAGE, None))
    with pytest.raises(BufferError, match="cannot be read"):
        memoryview(private)
    private.protect(READ)
    assert get(private, 4, 3 * PAGE) == b"kept"


def test_a_view_forbids_to_take_away_what_it_shows(private: Mapping) -> None:
    with memoryview(private) as view:
        for prot in (libc.PROT_NONE, READ):
            with pytest.raises(BufferError, match="release them first"):
                private.protect(prot, slice(PAGE))
        view[0] = 1


def test_an_advice_that_nobody_knows_is_refused(private: Mapping) -> None:
    for advice in (-1, 12345, 2**31, 2**64):
        with pytest.raises(OSError, match="no such advice"):
            private.advise(advice)


@needs_mlock
def test_what_is_locked_is_locked_until_it_is_unlocked(private: Mapping) -> None:
    before = locked_memory()
    try:
        private.lock(slice(2 * PAGE))
    except OSError as error:
        pytest.skip(str(error))
    assert locked_memory() == before + 2 * PAGE
    assert private.resident() == [True, True, False, False]
    private.lock(slice(2 * PAGE, None), on_fault=True)
    assert locked_memory() == before + 4 * PAGE
    assert private.resident() == [True, True, False, False]
    private.unlock(slice(PAGE, -PAGE))
    assert locked_memory() == before + 2 * PAGE
    private.unlock()
    assert locked_memory() == before


@needs_mlock
@needs_root
def test_locking_more_than_the_limit_says_which_limit(private: Mapping, fork: Fork) -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (PAGE, PAGE))
        become_nobody()
        for on_fault in (False, True):
            with pytest.raises(OSError, match="RLIMIT_MEMLOCK"):
                private.lock(on_fault=on_fault)

    fork(child).result()


def test_what_is_flushed_is_in_the_file(path: Path) -> None:
    with Mapping.of(path, access="write") as mapping:
        put(mapping, b"flushed", PAGE)
        mapping.flush(slice(PAGE, 2 * PAGE))
        mapping.flush(wait=False)
        assert path.read_bytes()[PAGE : PAGE + 7] == b"flushed"


def test_pages_are_resident_once_they_were_written(private: Mapping) -> None:
    assert private.resident() == [False] * 4
    put(private, b"x", 2 * PAGE)
    assert private.resident() == [False, False, True, False]
    private.advise(libc.MADV_DONTNEED, slice(2 * PAGE, None))
    assert private.resident() == [False] * 4


# -- resizing --


def test_memory_grows_and_shrinks_and_keeps_what_it_holds(private: Mapping) -> None:
    put(private, b"first")
    put(private, b"last", 4 * PAGE - 4)
    private.resize(1000 * PAGE)
    assert (len(private), get(private, 5), get(private, 5, 4 * PAGE - 4)) == (1000 * PAGE, b"first", b"last\0")
    put(private, b"x", 1000 * PAGE - 1)
    private.resize(10)
    assert bytes(private) == b"first" + bytes(5)
    private.resize(4 * PAGE)
    assert bytes(private) == b"first" + bytes(4 * PAGE - 5)


def test_memory_that_somebody_shows_is_not_resized(private: Mapping) -> None:
    with memoryview(private):
        for size in (PAGE, 4 * PAGE, 8 * PAGE):
            with pytest.raises(BufferError, match="release them first"):
                private.resize(size)
    assert len(private) == 4 * PAGE


def test_shared_anonymous_memory_cannot_grow_and_stays_as_it_was() -> None:
    with Mapping.anonymous(2 * PAGE) as mapping:
        put(mapping, b"stays")
        with pytest.raises(ValueError, match="cannot grow to"):
            mapping.resize(3 * PAGE)
        assert (len(mapping), get(mapping, 5)) == (2 * PAGE, b"stays")
        mapping.resize(PAGE)
        mapping.resize(2 * PAGE)
        put(mapping, b"x", 2 * PAGE - 1)


@pytest.mark.parametrize("way", ["read", "write", "copy"])
def test_a_mapping_shows_what_was_added_to_its_file_once_it_is_resized(path: Path, way: Any) -> None:
    with Mapping.of(path, access=way) as mapping:
        for size in (SIZE + 1, 8 * PAGE):
            with pytest.raises(ValueError, match="make it longer first"):
                mapping.resize(size)
        assert bytes(mapping) == path.read_bytes() == CONTENT
        with path.open("ab") as file:
            file.write(b"x" * 5 * PAGE)
        mapping.resize(8 * PAGE)
        assert bytes(mapping) == CONTENT + b"x" * (8 * PAGE - SIZE)


def test_a_protected_mapping_is_resized_when_it_can_be_read(private: Mapping) -> None:
    private.protect(libc.PROT_NONE)
    private.resize(6 * PAGE)
    with pytest.raises(BufferError, match="cannot be read"):
        memoryview(private)
    private.protect(READ | WRITE)
    put(private, b"x" * 6 * PAGE)


# -- buffers --


def test_a_view_is_cast_to_numbers_in_place() -> None:
    with Mapping.anonymous(PAGE) as mapping:
        with memoryview(mapping) as view, view.cast("d") as numbers:
            numbers[3] = 1.5
        with memoryview(mapping) as view, view.cast("d", (PAGE // 32, 4)) as table:
            assert table[0, 3] == 1.5


NUMPY = """
import sys, numpy
from memory_room.helpers import PAGE, get
from maps import is_shared
from unixipc.memory import Mapping

with Mapping.anonymous(PAGE) as mapping:
    numbers = numpy.frombuffer(mapping, dtype="<i4")
    numbers[2] = 7
    assert get(mapping, 12) == bytes(8) + b"\\7\\0\\0\\0"
    try:
        mapping.resize(2 * PAGE)
    except BufferError:
        print("pinned")
address = mapping.address
numbers[1] = 5
assert list(numbers[:4]) == [0, 5, 7, 0]
del numbers
assert not is_shared(address)
with Mapping.of(sys.argv[1]) as reader:
    assert not numpy.frombuffer(reader, dtype="u1").flags.writeable
"""


def test_an_array_of_numpy_is_the_memory_itself_and_pins_it(path: Path) -> None:
    if importlib.util.find_spec("numpy") is None:
        pytest.skip("numpy is not installed")
    # A program of its own: numpy starts threads, after which no test could fork.
    search = os.pathsep.join(entry or "." for entry in sys.path)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", NUMPY, path],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": search},
    )
    assert (done.stdout, done.stderr) == ("pinned\n", "")


# -- bad input --


class Evil:
    """A number whose reading closes the mapping that it is asked for."""

    def __init__(self, mapping: Mapping, number: int) -> None:
        self._mapping, self._number = mapping, number

    def __index__(self) -> int:
        self._mapping.close()
        return self._number


def test_a_number_that_closes_the_mapping_does_no_harm() -> None:
    uses: list[Callable[[Mapping, Any], object]] = [
        lambda mapping, evil: mapping.protect(evil),
        lambda mapping, evil: mapping.protect(READ, slice(evil, None)),
        lambda mapping, evil: mapping.advise(evil),
        lambda mapping, evil: mapping.resident(slice(0, evil)),
        lambda mapping, evil: mapping.flush(slice(evil, evil)),
        lambda mapping, evil: mapping.resize(evil),
        lambda mapping, evil: mapping._guard(evil),
    ]
    for use in uses:
        mapping = Mapping.anonymous(4 * PAGE)
        with pytest.raises(ValueError, match="closed"):
            use(mapping, Evil(mapping, 0 if use is not uses[5] else PAGE))


@pytest.mark.parametrize("size", [0, -1, -(2**64)])
def test_a_size_is_above_0(private: Mapping, path: Path, size: int) -> None:
    for make in (Mapping.anonymous, private.resize, lambda size: Mapping.of(path, size)):
        with pytest.raises(ValueError, match="at least one byte"):
            make(size)


@pytest.mark.parametrize("size", [2**47, 2**62, 2**63, 2**64 - 1, 2**64, 2**100])
def test_a_size_that_nobody_has_is_refused(private: Mapping, path: Path, size: int) -> None:
    for guarded in (False, True):
        with pytest.raises((OSError, OverflowError)):
            Mapping.anonymous(size, guarded=guarded)
    with pytest.raises((OSError, OverflowError)):
        private.resize(size)
    for way in ("read", "write", "copy"):
        with pytest.raises((ValueError, OSError, OverflowError)):
            Mapping.of(path, size, access=way)
        with pytest.raises((ValueError, OSError, OverflowError)):
            Mapping.of("/dev/zero", size, access=way)
    assert len(private) == 4 * PAGE


@pytest.mark.parametrize("wrong", [None, "one", 1.0, b"1", [], object()])
def test_what_is_no_number_is_a_typeerror(private: Mapping, path: Path, wrong: Any) -> None:
    uses: list[Callable[[], object]] = [
        lambda: Mapping.anonymous(wrong),
        lambda: Mapping.anonymous(PAGE, huge=wrong),
        lambda: Mapping.of(path, offset=wrong),
        lambda: private.protect(wrong),
        lambda: private.advise(wrong),
        lambda: private.resize(wrong),
    ]
    if wrong is not None:
        uses += [
            lambda: Mapping.of(path, wrong),
            lambda: private.lock(wrong),
            lambda: private.flush(slice(wrong, None)),
        ]
    for use in uses:
        with pytest.raises(TypeError):
            use()


@pytest.mark.parametrize("wrong", [None, 1.0, [], object(), slice(0)])
def test_what_is_no_file_is_a_typeerror(wrong: Any) -> None:
    with pytest.raises(TypeError, match="a file is a path"):
        Mapping.of(wrong)


@pytest.mark.parametrize("wrong", [-1, 2**30, 2**31, 2**64, "", "a\0b", b"\0", "/nowhere/at/all", "x" * 5000])
def test_a_file_that_there_is_not_is_an_error(wrong: Any) -> None:
    with pytest.raises((OSError, OverflowError, ValueError)):
        Mapping.of(wrong)


@pytest.mark.parametrize("offset", [-1, -PAGE, -(2**64), 1, PAGE + 1])
def test_a_file_is_mapped_from_a_multiple_of_the_page_s_size_on(path: Path, offset: int) -> None:
    with pytest.raises(ValueError, match=r"a file begins at 0|must be a multiple"):
        Mapping.of(path, 1, offset=offset)


@pytest.mark.parametrize("wrong", ["", "rw", "READ", None, 1])
def test_an_access_has_one_of_three_names(path: Path, wrong: Any) -> None:
    with pytest.raises(ValueError, match="'read', 'write' or 'copy'"):
        Mapping.of(path, access=wrong)


@pytest.mark.parametrize("huge", [-1, 3, PAGE, 2**20, 2**40, 2**63, 2**100])
def test_huge_pages_that_there_are_not_are_an_error(huge: int) -> None:
    with pytest.raises(OSError, match="this kernel has some"):
        Mapping.anonymous(2**21, huge=huge)
