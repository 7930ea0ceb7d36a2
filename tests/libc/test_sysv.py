"""unixipc.libc: System V shared memory and message queues, as svipc(7), shmop(2) and msgop(2) promise them."""

from __future__ import annotations

import errno
import os
import resource
import secrets
from array import array
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import pytest
from maps import access, free_place, is_shared
from nobody import NOBODY, as_nobody, needs_root
from until import until_blocked

from unixipc import _cpython, libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from typing_extensions import Buffer

    from unixipc.testing import Gate
    from unixipc.testing.plugin import Fork

T = TypeVar("T")


class Shmat(Protocol):
    def __call__(
        self, shmid: int, shmaddr: int | libc.Mapping | libc.Attachment | None = ..., shmflg: int = ...
    ) -> libc.Attachment: ...


PAGE = libc.PAGE_SIZE
SIZE = 2 * PAGE + 100


@pytest.fixture(autouse=True, params=["front", "twin"])
def side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with the fronts of the hot calls, and with the Python functions behind them."""
    if request.param == "twin":
        for name, twin in _cpython.twins.items():
            monkeypatch.setattr(libc, name, twin)


@pytest.fixture
def queue() -> Iterator[int]:
    msqid = libc.msgget(libc.IPC_PRIVATE, 0o600 | libc.IPC_CREAT)
    yield msqid
    with suppress(OSError):  # the test may have removed it
        libc.msgctl(msqid, libc.IPC_RMID)


@pytest.fixture
def segment() -> Iterator[int]:
    shmid = libc.shmget(libc.IPC_PRIVATE, SIZE, 0o600 | libc.IPC_CREAT)
    yield shmid
    with suppress(OSError):  # the test may have removed it
        libc.shmctl(shmid, libc.IPC_RMID)


@pytest.fixture
def shmat(segment: int) -> Iterator[Shmat]:
    """Attach segments that are detached with the test."""
    made: list[libc.Attachment] = []

    def attach(
        shmid: int, shmaddr: int | libc.Mapping | libc.Attachment | None = None, shmflg: int = 0
    ) -> libc.Attachment:
        made.append(libc.shmat(shmid, shmaddr, shmflg))
        return made[-1]

    yield attach
    for attachment in made:
        if not attachment.closed:
            libc.shmdt(attachment)


@pytest.fixture
def attachment(segment: int, shmat: Shmat) -> libc.Attachment:
    return shmat(segment)


@pytest.fixture
def anonymous() -> Iterator[Callable[[int], libc.Mapping]]:
    """Map anonymous memory that begins with b"mine", and is unmapped with the test."""
    made: list[libc.Mapping] = []

    def make(length: int) -> libc.Mapping:
        flags = libc.MAP_ANONYMOUS | libc.MAP_PRIVATE
        made.append(libc.mmap(free_place(), length, libc.PROT_READ | libc.PROT_WRITE, flags))
        memoryview(made[-1])[:4] = b"mine"
        return made[-1]

    yield make
    for mapping in made:
        if not mapping.closed:
            libc.munmap(mapping)


@contextmanager
def refused(code: int) -> Iterator[None]:
    """The block raises OSError with this errno, and with a text that says more than the errno does."""
    with pytest.raises(OSError, check=lambda error: error.errno == code) as caught:
        yield
    assert "(" in str(caught.value)


def table(kind: str, number: int) -> dict[str, int]:
    """The row of an object in /proc/sysvipc; the mode is octal there."""
    head, *rows = [line.split() for line in Path(f"/proc/sysvipc/{kind}").read_text().splitlines()]
    (row,) = (dict(zip(head, row, strict=True)) for row in rows if row[1] == str(number))
    return {name: int(value, 8 if name == "perms" else 10) for name, value in row.items()}


def limit(name: str) -> int:
    return int(Path(f"/proc/sys/kernel/{name}").read_text())


def unused_key() -> int:
    return secrets.randbits(30) + 2**30


def attached(shmid: int) -> int:
    return libc.shmctl(shmid, libc.IPC_STAT).shm_nattch


# -- ftok(3) --


def test_ftok_makes_a_key_of_inode_device_and_project(tmp_path: Path) -> None:
    status = tmp_path.stat()
    key = (0x41 << 24) | (status.st_dev & 0xFF) << 16 | status.st_ino & 0xFFFF
    assert libc.ftok(tmp_path, 0x41) == libc.ftok(str(tmp_path), 0x41) == libc.ftok(os.fsencode(tmp_path), 0x41) == key


def test_ftok_takes_the_low_8_bits_of_the_project(tmp_path: Path) -> None:
    assert libc.ftok(tmp_path, 0x101) == libc.ftok(tmp_path, 1) != libc.ftok(tmp_path, 2)


def test_a_negative_key_of_ftok_is_a_key(tmp_path: Path) -> None:
    key = libc.ftok(tmp_path, 0xFF)
    assert key < 0
    msqid = libc.msgget(key, 0o600 | libc.IPC_CREAT)
    try:
        assert libc.msgget(key & 0xFFFFFFFF, 0) == msqid
    finally:
        libc.msgctl(msqid, libc.IPC_RMID)


def test_ftok_of_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="missing"):
        libc.ftok(tmp_path / "missing", 1)


# -- shmget(2), msgget(2) --


def test_shmget_finds_the_segment_of_a_key() -> None:
    key = unused_key()
    shmid = libc.shmget(key, SIZE, 0o640 | libc.IPC_CREAT | libc.IPC_EXCL)
    try:
        assert libc.shmget(key, 0, 0) == libc.shmget(key, SIZE, 0o600 | libc.IPC_CREAT) == shmid
        ds = libc.shmctl(shmid, libc.IPC_STAT)
        assert (ds.shm_perm.key, ds.shm_perm.mode, ds.shm_segsz) == (key, 0o640, SIZE)
    finally:
        libc.shmctl(shmid, libc.IPC_RMID)


def test_msgget_finds_the_queue_of_a_key() -> None:
    key = unused_key()
    msqid = libc.msgget(key, 0o640 | libc.IPC_CREAT | libc.IPC_EXCL)
    try:
        assert libc.msgget(key, 0) == libc.msgget(key, 0o600 | libc.IPC_CREAT) == msqid
        assert libc.msgctl(msqid, libc.IPC_STAT).msg_perm.mode == 0o640
    finally:
        libc.msgctl(msqid, libc.IPC_RMID)


def test_an_exclusive_key_is_given_once() -> None:
    key = unused_key()
    flags = 0o600 | libc.IPC_CREAT | libc.IPC_EXCL
    shmid, msqid = libc.shmget(key, SIZE, flags), libc.msgget(key, flags)
    try:
        with pytest.raises(FileExistsError, match=rf"shmget\({key:#x}, {SIZE}\).*IPC_EXCL"):
            libc.shmget(key, SIZE, flags)
        with pytest.raises(FileExistsError, match=rf"msgget\({key:#x}\).*IPC_EXCL"):
            libc.msgget(key, flags)
    finally:
        libc.shmctl(shmid, libc.IPC_RMID)
        libc.msgctl(msqid, libc.IPC_RMID)


def test_an_unknown_key_without_ipc_creat_is_not_found() -> None:
    key = unused_key()
    with pytest.raises(FileNotFoundError, match="IPC_CREAT"):
        libc.shmget(key, SIZE, 0)
    with pytest.raises(FileNotFoundError, match="IPC_CREAT"):
        libc.msgget(key, 0)


def test_a_private_key_makes_a_new_object_every_time(queue: int, segment: int) -> None:
    msqid = libc.msgget(libc.IPC_PRIVATE, 0o600)
    shmid = libc.shmget(libc.IPC_PRIVATE, 1, 0o600)
    libc.msgctl(msqid, libc.IPC_RMID)
    libc.shmctl(shmid, libc.IPC_RMID)
    assert (msqid, shmid) != (queue, segment)


def test_more_than_the_segment_has_is_refused() -> None:
    key = unused_key()
    shmid = libc.shmget(key, SIZE, 0o600 | libc.IPC_CREAT)
    try:
        with refused(errno.EINVAL):
            libc.shmget(key, SIZE + 1, 0)
    finally:
        libc.shmctl(shmid, libc.IPC_RMID)


def test_a_segment_of_no_bytes_is_refused() -> None:
    with refused(errno.EINVAL):
        libc.shmget(libc.IPC_PRIVATE, 0, 0o600)


def test_a_segment_without_reserve_holds_data(shmat: Shmat) -> None:
    shmid = libc.shmget(libc.IPC_PRIVATE, SIZE, 0o600 | libc.SHM_NORESERVE)
    try:
        memory = shmat(shmid)
        memoryview(memory)[:4] = b"data"
        assert bytes(memory)[:5] == b"data\0"
        libc.shmdt(memory)
    finally:
        libc.shmctl(shmid, libc.IPC_RMID)


def _huge_pages(count: str) -> int:
    return int(Path("/sys/kernel/mm/hugepages/hugepages-2048kB", count).read_text())


huge_pages = pytest.mark.skipif(
    not Path("/sys/kernel/mm/hugepages/hugepages-2048kB").exists(), reason="the kernel has no huge pages of 2 MB"
)


@huge_pages
def test_a_segment_of_huge_pages_holds_data(shmat: Shmat) -> None:
    if _huge_pages("free_hugepages") < 1:
        pytest.skip("no huge page of 2 MB is free (vm.nr_hugepages)")
    try:
        shmid = libc.shmget(libc.IPC_PRIVATE, 2 << 20, 0o600 | libc.SHM_HUGETLB | libc.SHM_HUGE_2MB)
    except OSError as error:  # others may have taken it
        pytest.skip(str(error))
    try:
        memory = shmat(shmid)
        memoryview(memory)[-4:] = b"data"
        assert (len(memory), bytes(memory)[-4:]) == (2 << 20, b"data")
        libc.shmdt(memory)
    finally:
        libc.shmctl(shmid, libc.IPC_RMID)


@huge_pages
def test_huge_pages_that_the_system_lacks_are_an_oserror() -> None:
    if any(_huge_pages(count) for count in ("nr_hugepages", "nr_overcommit_hugepages")):
        pytest.skip("the system has huge pages of 2 MB")
    with pytest.raises(OSError, match="shmget", check=lambda error: error.errno in (errno.ENOMEM, errno.EPERM)):
        libc.shmget(libc.IPC_PRIVATE, 2 << 20, 0o600 | libc.SHM_HUGETLB | libc.SHM_HUGE_2MB)


@huge_pages
def test_huge_pages_without_reserve_can_be_attached(shmat: Shmat) -> None:
    try:
        shmid = libc.shmget(libc.IPC_PRIVATE, 2 << 20, 0o600 | libc.SHM_HUGETLB | libc.SHM_NORESERVE)
    except OSError as error:
        pytest.skip(str(error))
    try:
        memory = shmat(shmid)
        assert memory.address % (2 << 20) == 0
        libc.shmdt(memory)
        assert attached(shmid) == 0
    finally:
        libc.shmctl(shmid, libc.IPC_RMID)


# -- shmat(2), shmdt(2) --


def test_a_new_segment_is_zeros_of_exactly_its_size(attachment: libc.Attachment) -> None:
    assert bytes(attachment) == bytes(SIZE)
    assert (len(attachment), attachment.readonly, attachment.readable, attachment.closed) == (SIZE, False, True, False)


def test_two_attachments_show_the_same_bytes(segment: int, attachment: libc.Attachment, shmat: Shmat) -> None:
    other = shmat(segment)
    try:
        assert other.address != attachment.address
        memoryview(attachment)[PAGE : PAGE + 5] = b"bytes"
        assert bytes(memoryview(other)[PAGE : PAGE + 5]) == b"bytes"
        assert attached(segment) == 2
    finally:
        libc.shmdt(other)


def test_parent_and_child_exchange_data_over_a_segment(
    segment: int, attachment: libc.Attachment, fork: Fork, gate: Callable[[], Gate]
) -> None:
    asked, answered = gate(), gate()

    def serve() -> None:
        memory = libc.shmat(segment)  # its own, besides the inherited one
        with memoryview(memory) as view:
            for _ in range(3):
                asked.wait()
                view[100:200] = bytes(view[:100])[::-1]
                answered.open()
        libc.shmdt(memory)

    child = fork(serve)
    with memoryview(attachment) as view:
        for turn in range(3):
            question = bytes((turn + number) % 256 for number in range(100))
            view[:100] = question
            asked.open()
            answered.wait()
            assert bytes(view[100:200]) == question[::-1]
    child.result()


def test_a_forked_child_inherits_the_attachment(segment: int, attachment: libc.Attachment, fork: Fork) -> None:
    def write() -> int:
        memoryview(attachment)[:5] = b"child"
        return attached(segment)

    assert fork(write).result() == 2
    assert bytes(attachment)[:5] == b"child"
    assert attached(segment) == 1


def test_a_child_that_detaches_leaves_the_parent_attached(
    segment: int, attachment: libc.Attachment, fork: Fork
) -> None:
    def detach() -> bool:
        libc.shmdt(attachment)
        return attachment.closed

    assert fork(detach).result()
    assert (attachment.closed, attached(segment)) == (False, 1)


def test_a_read_only_attachment_gives_read_only_views(segment: int, shmat: Shmat) -> None:
    memory = shmat(segment, None, libc.SHM_RDONLY)
    try:
        assert memory.readonly
        assert access(memory.address) == "r--s"
        with memoryview(memory) as view:
            assert view.readonly
            with pytest.raises(TypeError, match="read-only"):
                view[0] = 1
    finally:
        libc.shmdt(memory)


def test_a_read_only_attachment_cannot_be_made_writable(segment: int, shmat: Shmat) -> None:
    memory = shmat(segment, None, libc.SHM_RDONLY)
    with pytest.raises(PermissionError, match="mprotect"):
        libc.mprotect(memory, libc.PROT_READ | libc.PROT_WRITE)
    assert (memory.readonly, access(memory.address)) == (True, "r--s")


def test_an_executable_attachment_may_be_executed(segment: int, shmat: Shmat) -> None:
    libc.shmctl(segment, libc.IPC_SET, _with_mode(libc.shmctl(segment, libc.IPC_STAT), 0o700))
    try:
        memory = shmat(segment, None, libc.SHM_EXEC)
    except PermissionError as error:
        pytest.skip(f"the system refuses executable segments: {error}")
    try:
        assert access(memory.address) == "rwxs"
    finally:
        libc.shmdt(memory)


def test_shmat_takes_the_address_that_is_asked_for(segment: int, shmat: Shmat) -> None:
    place = free_place()
    memory = shmat(segment, place)
    try:
        assert memory.address == place
        memoryview(memory)[:2] = b"ok"
    finally:
        libc.shmdt(memory)
    assert access(place) is None


def test_shm_rnd_rounds_the_address_down(segment: int, shmat: Shmat) -> None:
    place = free_place()
    memory = shmat(segment, place + 123, libc.SHM_RND)
    try:
        assert memory.address == place
    finally:
        libc.shmdt(memory)


def test_an_address_that_is_not_rounded_needs_shm_rnd(segment: int, shmat: Shmat) -> None:
    with refused(errno.EINVAL):
        shmat(segment, free_place() + 123)


def test_a_taken_address_is_refused_and_its_memory_left_alone(
    segment: int, attachment: libc.Attachment, shmat: Shmat
) -> None:
    memoryview(attachment)[:4] = b"mine"
    with refused(errno.EINVAL):
        shmat(segment, attachment.address)
    assert bytes(attachment)[:4] == b"mine"
    assert attached(segment) == 1


def test_shmat_of_no_segment_says_so(segment: int, shmat: Shmat) -> None:
    libc.shmctl(segment, libc.IPC_RMID)
    with refused(errno.EINVAL):
        shmat(segment)
    with refused(errno.EINVAL):
        shmat(-1)


def test_shmdt_detaches_and_closes(segment: int, shmat: Shmat) -> None:
    memory = shmat(segment)
    address = memory.address
    libc.shmdt(memory)
    assert (memory.closed, len(memory), attached(segment), is_shared(address)) == (True, 0, 0, False)
    with pytest.raises(ValueError, match="closed"):
        memoryview(memory)
    with pytest.raises(ValueError, match="closed"):
        libc.shmdt(memory)


def test_a_view_pins_a_detached_segment(segment: int, shmat: Shmat) -> None:
    memory = shmat(segment)
    first, second = memoryview(memory), memoryview(memory)[PAGE:]
    first[:5] = b"still"
    libc.shmdt(memory)
    assert (memory.closed, attached(segment)) == (True, 1)
    assert bytes(first[:5]) == b"still"
    first.release()
    second[:4] = b"here"
    assert attached(segment) == 1
    second.release()
    assert (attached(segment), is_shared(memory.address)) == (0, False)


def test_a_dropped_attachment_is_detached_with_a_warning(segment: int) -> None:
    memory = libc.shmat(segment)
    assert attached(segment) == 1
    with pytest.warns(ResourceWarning, match="unclosed <Attachment"):
        del memory
    assert attached(segment) == 0


def test_shmdt_takes_attachments_only(segment: int) -> None:
    mapping = libc.mmap(None, PAGE, libc.PROT_READ, libc.MAP_ANONYMOUS | libc.MAP_PRIVATE)
    try:
        with pytest.raises(TypeError, match="Attachment"):
            libc.shmdt(mapping)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="Attachment"):
            libc.shmdt(mapping.address)  # type: ignore[arg-type]
    finally:
        libc.munmap(mapping)


def test_munmap_and_mremap_refuse_an_attachment(attachment: libc.Attachment) -> None:
    with pytest.raises(TypeError, match="Mapping"):
        libc.munmap(attachment)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="Mapping"):
        libc.mremap(attachment, PAGE)  # type: ignore[arg-type]


# -- SHM_REMAP --


@pytest.mark.parametrize("flags", [0, libc.SHM_REMAP, libc.SHM_REMAP | libc.SHM_RND])
def test_shm_remap_replaces_a_mapping_of_one_s_own(
    segment: int, attachment: libc.Attachment, flags: int, shmat: Shmat, anonymous: Callable[[int], libc.Mapping]
) -> None:
    memoryview(attachment)[:4] = b"data"
    mapping = anonymous(3 * PAGE)
    memory = shmat(segment, mapping, flags)
    try:
        assert (memory.address, len(memory), mapping.closed) == (mapping.address, SIZE, True)
        assert bytes(memory)[:4] == b"data"
    finally:
        libc.shmdt(memory)
    assert not is_shared(memory.address)


def test_shm_remap_unmaps_what_the_mapping_had_beyond_the_segment(
    segment: int, shmat: Shmat, anonymous: Callable[[int], libc.Mapping]
) -> None:
    mapping = anonymous(8 * PAGE)
    memory = shmat(segment, mapping, libc.SHM_REMAP)
    try:
        assert access(memory.address + 2 * PAGE) == "rw-s"
        assert access(memory.address + 3 * PAGE) is None
        assert access(memory.address + 7 * PAGE) is None
    finally:
        libc.shmdt(memory)


def test_shm_remap_replaces_an_attachment_of_one_s_own(segment: int, shmat: Shmat) -> None:
    other = libc.shmget(libc.IPC_PRIVATE, SIZE, 0o600)
    try:
        first = shmat(other)
        memory = shmat(segment, first, libc.SHM_REMAP | libc.SHM_RDONLY)
        assert (first.closed, memory.address, memory.readonly) == (True, first.address, True)
        assert (attached(other), attached(segment)) == (0, 1)
        libc.shmdt(memory)
        assert attached(segment) == 0
    finally:
        libc.shmctl(other, libc.IPC_RMID)


def test_mmap_replaces_an_attachment_of_one_s_own(segment: int, shmat: Shmat) -> None:
    memory = shmat(segment)
    mapping = libc.mmap(memory, PAGE, libc.PROT_READ, libc.MAP_ANONYMOUS | libc.MAP_PRIVATE)
    try:
        assert (memory.closed, mapping.address, attached(segment)) == (True, memory.address, 0)
        assert not is_shared(mapping.address + PAGE)
    finally:
        libc.munmap(mapping)


def test_shm_remap_of_an_address_is_refused(segment: int, attachment: libc.Attachment, shmat: Shmat) -> None:
    memoryview(attachment)[:4] = b"mine"
    with pytest.raises(OSError, match=r"SHM_REMAP.*give the Mapping or Attachment") as caught:
        shmat(segment, attachment.address, libc.SHM_REMAP)
    assert caught.value.errno == errno.EINVAL
    with refused(errno.EINVAL):
        shmat(segment, None, libc.SHM_REMAP)
    assert bytes(attachment)[:4] == b"mine"


def test_shm_remap_under_a_view_is_refused(
    segment: int, shmat: Shmat, anonymous: Callable[[int], libc.Mapping]
) -> None:
    mapping = anonymous(3 * PAGE)
    with memoryview(mapping) as view:
        with pytest.raises(BufferError, match="release"):
            shmat(segment, mapping, libc.SHM_REMAP)
        assert bytes(view[:4]) == b"mine"
    libc.munmap(mapping)
    assert attached(segment) == 0


def test_shm_remap_of_something_closed_is_refused(
    segment: int, shmat: Shmat, anonymous: Callable[[int], libc.Mapping]
) -> None:
    mapping = anonymous(3 * PAGE)
    libc.munmap(mapping)
    with pytest.raises(ValueError, match=r"closed|fit"):
        shmat(segment, mapping, libc.SHM_REMAP)
    assert attached(segment) == 0


def test_a_segment_that_does_not_fit_the_mapping_is_refused(
    segment: int, shmat: Shmat, anonymous: Callable[[int], libc.Mapping]
) -> None:
    mapping = anonymous(2 * PAGE)
    with pytest.raises(ValueError, match="do not fit"):
        shmat(segment, mapping, libc.SHM_REMAP)
    assert bytes(mapping)[:4] == b"mine"
    libc.munmap(mapping)


@needs_root
def test_a_shm_remap_that_is_refused_costs_nothing(segment: int, fork: Fork) -> None:
    def try_it() -> bytes:
        mapping = libc.mmap(None, 3 * PAGE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_ANONYMOUS | libc.MAP_PRIVATE)
        memoryview(mapping)[:4] = b"mine"
        with pytest.raises(PermissionError):
            libc.shmat(segment, mapping, libc.SHM_REMAP)
        return bytes(mapping)[:4]

    libc.shmctl(segment, libc.IPC_SET, _with_mode(libc.shmctl(segment, libc.IPC_STAT), 0o604))
    assert fork(as_nobody, try_it).result() == b"mine"


# -- shmctl(2) --


def _with_mode(ds: libc.ShmidDs, mode: int) -> libc.ShmidDs:
    return replace(ds, shm_perm=replace(ds.shm_perm, mode=mode))


def test_ipc_stat_of_a_segment_says_what_proc_says(segment: int, attachment: libc.Attachment, fork: Fork) -> None:
    child = fork(lambda: libc.shmdt(libc.shmat(segment)))
    child.result()
    ds = libc.shmctl(segment, libc.IPC_STAT)
    row = table("shm", segment)
    perm = ds.shm_perm
    assert (perm.key, perm.mode, perm.uid, perm.gid) == (row["key"], row["perms"], row["uid"], row["gid"])
    assert (perm.cuid, perm.cgid) == (row["cuid"], row["cgid"]) == (os.geteuid(), os.getegid())
    assert (ds.shm_segsz, ds.shm_nattch) == (row["size"], row["nattch"]) == (SIZE, 1)
    assert (ds.shm_cpid, ds.shm_lpid) == (row["cpid"], row["lpid"]) == (os.getpid(), child.pid)
    assert (ds.shm_atime, ds.shm_dtime, ds.shm_ctime) == (row["atime"], row["dtime"], row["ctime"])
    assert 0 not in (ds.shm_atime, ds.shm_dtime, ds.shm_ctime)


def test_the_times_of_an_untouched_segment_are_zero(segment: int) -> None:
    ds = libc.shmctl(segment, libc.IPC_STAT)
    assert (ds.shm_atime, ds.shm_dtime, ds.shm_lpid, ds.shm_nattch) == (0, 0, 0, 0)
    assert ds.shm_ctime > 0


def test_ipc_set_changes_the_permissions_of_a_segment_and_nothing_else(segment: int) -> None:
    before = libc.shmctl(segment, libc.IPC_STAT)
    wanted = replace(before, shm_perm=replace(before.shm_perm, mode=0o7640, key=1, cuid=1, cgid=1), shm_segsz=1)
    libc.shmctl(segment, libc.IPC_SET, wanted)
    after = libc.shmctl(segment, libc.IPC_STAT)
    assert after == replace(_with_mode(before, 0o640), shm_ctime=after.shm_ctime)


@needs_root
def test_ipc_set_gives_a_segment_to_another_user(segment: int, fork: Fork) -> None:
    ds = libc.shmctl(segment, libc.IPC_STAT)
    libc.shmctl(segment, libc.IPC_SET, replace(ds, shm_perm=replace(ds.shm_perm, uid=NOBODY, gid=NOBODY - 1)))
    perm = libc.shmctl(segment, libc.IPC_STAT).shm_perm
    assert (perm.uid, perm.gid, perm.cuid, perm.cgid) == (NOBODY, NOBODY - 1, 0, os.getegid())
    assert fork(as_nobody, lambda: len(libc.shmat(segment))).result() == SIZE


def test_a_user_that_is_none_is_refused(segment: int, queue: int) -> None:
    ds = libc.shmctl(segment, libc.IPC_STAT)
    with refused(errno.EINVAL):
        libc.shmctl(segment, libc.IPC_SET, replace(ds, shm_perm=replace(ds.shm_perm, uid=2**32 - 1)))
    md = libc.msgctl(queue, libc.IPC_STAT)
    with refused(errno.EINVAL):
        libc.msgctl(queue, libc.IPC_SET, replace(md, msg_perm=replace(md.msg_perm, gid=2**32 - 1)))


def test_a_removed_segment_lives_until_the_last_detaches(segment: int, shmat: Shmat) -> None:
    memory = shmat(segment)
    libc.shmctl(segment, libc.IPC_RMID)
    assert libc.shmctl(segment, libc.IPC_STAT).shm_perm.mode == 0o600 | libc.SHM_DEST
    memoryview(memory)[:5] = b"alive"
    again = shmat(segment)
    assert bytes(again)[:5] == b"alive"
    libc.shmdt(memory)
    libc.shmdt(again)
    with refused(errno.EINVAL):
        libc.shmctl(segment, libc.IPC_STAT)


def test_a_view_keeps_a_removed_segment_alive(segment: int, shmat: Shmat) -> None:
    memory = shmat(segment)
    view = memoryview(memory)
    libc.shmdt(memory)
    libc.shmctl(segment, libc.IPC_RMID)
    view[:5] = b"alive"
    assert bytes(view[:5]) == b"alive"
    view.release()
    with refused(errno.EINVAL):
        libc.shmctl(segment, libc.IPC_STAT)


def test_a_segment_removed_twice_is_an_error(segment: int) -> None:
    libc.shmctl(segment, libc.IPC_RMID)
    with refused(errno.EINVAL):
        libc.shmctl(segment, libc.IPC_RMID)


def test_shm_lock_shows_in_the_mode_until_shm_unlock(segment: int) -> None:
    try:
        libc.shmctl(segment, libc.SHM_LOCK)
    except OSError as error:
        pytest.skip(f"locking needs CAP_IPC_LOCK or RLIMIT_MEMLOCK: {error}")
    assert libc.shmctl(segment, libc.IPC_STAT).shm_perm.mode == 0o600 | libc.SHM_LOCKED
    libc.shmctl(segment, libc.SHM_UNLOCK)
    assert libc.shmctl(segment, libc.IPC_STAT).shm_perm.mode == 0o600


@needs_root
def test_shm_lock_without_a_limit_for_it_is_refused(fork: Fork) -> None:
    def lock() -> None:
        resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
        shmid = libc.shmget(libc.IPC_PRIVATE, SIZE, 0o600)
        try:
            libc.shmctl(shmid, libc.SHM_LOCK)
        finally:
            libc.shmctl(shmid, libc.IPC_RMID)

    with pytest.raises(PermissionError, match="shmctl"):
        fork(as_nobody, lock).result()


def test_ipc_info_of_segments_says_the_limits(segment: int) -> None:
    highest, info = libc.shmctl(0, libc.IPC_INFO)
    assert isinstance(info, libc.Shminfo)
    assert highest >= 0
    assert (info.shmmax, info.shmall, info.shmmni) == (limit("shmmax"), limit("shmall"), limit("shmmni"))
    assert (info.shmmin, info.shmseg) == (1, info.shmmni)


def test_shm_info_counts_segments_and_pages(segment: int, attachment: libc.Attachment) -> None:
    memoryview(attachment)[:] = b"x" * SIZE
    highest, usage = libc.shmctl(0, libc.SHM_INFO)
    assert isinstance(usage, libc.ShmInfo)
    assert highest >= 0
    assert usage.used_ids >= 1
    assert usage.shm_tot >= 3
    assert usage.shm_rss + usage.shm_swp >= 3


def shm_index(shmid: int) -> int:
    """Where the kernel's array has the segment."""
    highest, _ = libc.shmctl(0, libc.SHM_INFO)
    for index in range(highest + 1):
        with suppress(OSError):  # nothing is there
            if libc.shmctl(index, libc.SHM_STAT_ANY)[0] == shmid:
                return index
    raise LookupError(shmid)


def test_shm_stat_finds_a_segment_by_its_index(segment: int) -> None:
    index = shm_index(segment)
    ds = libc.shmctl(segment, libc.IPC_STAT)
    assert libc.shmctl(index, libc.SHM_STAT) == (segment, ds)
    assert libc.shmctl(index, libc.SHM_STAT_ANY) == (segment, ds)


def test_an_index_beyond_the_array_is_refused(segment: int, queue: int) -> None:
    for command in (libc.SHM_STAT, libc.SHM_STAT_ANY):
        with refused(errno.EINVAL):
            libc.shmctl(2**31 - 1, command)
    for also in (libc.MSG_STAT, libc.MSG_STAT_ANY):
        with refused(errno.EINVAL):
            libc.msgctl(2**31 - 1, also)


@needs_root
def test_shm_stat_any_needs_no_permission_where_shm_stat_does(segment: int, fork: Fork) -> None:
    index = shm_index(segment)
    assert fork(as_nobody, lambda: libc.shmctl(index, libc.SHM_STAT_ANY)[0]).result() == segment
    with pytest.raises(PermissionError, match="shmctl"):
        fork(as_nobody, lambda: libc.shmctl(index, libc.SHM_STAT)).result()


def test_a_command_that_is_none_is_refused(segment: int, queue: int) -> None:
    for command in (-1, 99, 2**31 - 1):
        with refused(errno.EINVAL):
            libc.shmctl(segment, command)  # type: ignore[call-overload]
        with refused(errno.EINVAL):
            libc.msgctl(queue, command)  # type: ignore[call-overload]


def test_ipc_set_needs_the_record_of_its_own_kind(segment: int, queue: int) -> None:
    with pytest.raises(TypeError, match="ShmidDs"):
        libc.shmctl(segment, libc.IPC_SET)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="MsqidDs"):
        libc.msgctl(queue, libc.IPC_SET)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="ShmidDs"):
        libc.shmctl(segment, libc.IPC_SET, libc.msgctl(queue, libc.IPC_STAT))  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="MsqidDs"):
        libc.msgctl(queue, libc.IPC_SET, libc.shmctl(segment, libc.IPC_STAT))  # type: ignore[call-overload]


# -- other users --


@needs_root
def test_another_user_is_refused_what_the_mode_of_a_segment_refuses(segment: int, fork: Fork) -> None:
    ds = libc.shmctl(segment, libc.IPC_STAT)

    def try_everything() -> None:
        with pytest.raises(PermissionError, match=r"shmat\(.*mode"):
            libc.shmat(segment)
        with pytest.raises(PermissionError, match=r"shmat\(.*mode"):
            libc.shmat(segment, None, libc.SHM_RDONLY)
        with pytest.raises(PermissionError, match=r"shmctl\(.*mode"):
            libc.shmctl(segment, libc.IPC_STAT)
        with pytest.raises(PermissionError, match=r"shmctl\(.*owner"):
            libc.shmctl(segment, libc.IPC_SET, ds)
        with pytest.raises(PermissionError, match=r"shmctl\(.*owner"):
            libc.shmctl(segment, libc.SHM_UNLOCK)
        with pytest.raises(PermissionError, match=r"shmctl\(.*owner"):
            libc.shmctl(segment, libc.IPC_RMID)

    fork(as_nobody, try_everything).result()
    assert libc.shmctl(segment, libc.IPC_STAT) == ds


@needs_root
def test_another_user_may_read_a_segment_whose_mode_says_so(
    segment: int, attachment: libc.Attachment, fork: Fork
) -> None:
    memoryview(attachment)[:4] = b"open"

    def read() -> bytes:
        with pytest.raises(PermissionError):
            libc.shmat(segment)
        return bytes(libc.shmat(segment, None, libc.SHM_RDONLY))[:4]

    libc.shmctl(segment, libc.IPC_SET, _with_mode(libc.shmctl(segment, libc.IPC_STAT), 0o604))
    assert fork(as_nobody, read).result() == b"open"


@needs_root
def test_another_user_is_refused_what_the_mode_of_a_queue_refuses(queue: int, fork: Fork) -> None:
    libc.msgsnd(queue, 1, b"secret")
    ds = libc.msgctl(queue, libc.IPC_STAT)

    def try_everything() -> None:
        with pytest.raises(PermissionError, match=r"msgsnd\(.*mode"):
            libc.msgsnd(queue, 1, b"")
        with pytest.raises(PermissionError, match=r"msgrcv\(.*mode"):
            libc.msgrcv(queue, 10)
        with pytest.raises(PermissionError, match=r"msgctl\(.*mode"):
            libc.msgctl(queue, libc.IPC_STAT)
        with pytest.raises(PermissionError, match=r"msgctl\(.*owner"):
            libc.msgctl(queue, libc.IPC_SET, ds)
        with pytest.raises(PermissionError, match=r"msgctl\(.*owner"):
            libc.msgctl(queue, libc.IPC_RMID)

    fork(as_nobody, try_everything).result()
    assert libc.msgrcv(queue, 10) == (1, b"secret")


@needs_root
def test_another_user_may_send_where_the_mode_says_so(queue: int, fork: Fork) -> None:
    ds = libc.msgctl(queue, libc.IPC_STAT)
    libc.msgctl(queue, libc.IPC_SET, replace(ds, msg_perm=replace(ds.msg_perm, mode=0o602)))

    def send() -> None:
        libc.msgsnd(queue, 5, b"for you")
        with pytest.raises(PermissionError):
            libc.msgrcv(queue, 10)

    fork(as_nobody, send).result()
    assert libc.msgrcv(queue, 10) == (5, b"for you")


@needs_root
def test_another_user_cannot_get_what_the_mode_refuses(fork: Fork) -> None:
    key = unused_key()
    shmid, msqid = libc.shmget(key, SIZE, 0o600 | libc.IPC_CREAT), libc.msgget(key, 0o600 | libc.IPC_CREAT)

    def get() -> None:
        with pytest.raises(PermissionError, match=r"shmget\(.*mode"):
            libc.shmget(key, SIZE, 0o600)
        with pytest.raises(PermissionError, match=r"msgget\(.*mode"):
            libc.msgget(key, 0o600)

    try:
        fork(as_nobody, get).result()
    finally:
        libc.shmctl(shmid, libc.IPC_RMID)
        libc.msgctl(msqid, libc.IPC_RMID)


# -- msgsnd(2), msgrcv(2): which message --

MIXED = [(3, b"a"), (1, b"b"), (2, b"c"), (3, b"d"), (1, b"e")]


@pytest.fixture
def mixed(queue: int) -> int:
    for mtype, text in MIXED:
        libc.msgsnd(queue, mtype, text)
    return queue


def drain(msqid: int, msgtyp: int = 0, msgflg: int = 0) -> list[tuple[int, bytes]]:
    """Receive without waiting until there is no such message."""
    received = []
    while True:
        try:
            received.append(libc.msgrcv(msqid, 100, msgtyp, msgflg | libc.IPC_NOWAIT))
        except OSError as error:
            if error.errno != errno.ENOMSG:
                raise
            return received


def test_type_0_takes_the_messages_as_they_were_sent(mixed: int) -> None:
    assert drain(mixed) == MIXED


def test_a_positive_type_takes_the_first_of_this_type(mixed: int) -> None:
    assert drain(mixed, 3) == [(3, b"a"), (3, b"d")]
    assert drain(mixed, 4) == []
    assert drain(mixed) == [(1, b"b"), (2, b"c"), (1, b"e")]


def test_a_negative_type_takes_the_lowest_types_first(mixed: int) -> None:
    assert drain(mixed, -2) == [(1, b"b"), (1, b"e"), (2, b"c")]
    assert drain(mixed, -100) == [(3, b"a"), (3, b"d")]


def test_the_most_negative_type_takes_any_message(queue: int) -> None:
    libc.msgsnd(queue, 2**63 - 1, b"highest")
    libc.msgsnd(queue, 1, b"lowest")
    assert drain(queue, -(2**63)) == [(1, b"lowest"), (2**63 - 1, b"highest")]


def test_msg_except_takes_the_first_of_another_type(mixed: int) -> None:
    assert drain(mixed, 3, libc.MSG_EXCEPT) == [(1, b"b"), (2, b"c"), (1, b"e")]
    assert drain(mixed) == [(3, b"a"), (3, b"d")]


@pytest.fixture
def copies(mixed: int) -> int:
    try:
        libc.msgrcv(mixed, 100, 0, libc.MSG_COPY | libc.IPC_NOWAIT)
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
        pytest.skip("MSG_COPY needs a kernel with CONFIG_CHECKPOINT_RESTORE")
    return mixed


def test_msg_copy_shows_the_message_at_a_position_and_leaves_it(copies: int) -> None:
    flags = libc.MSG_COPY | libc.IPC_NOWAIT
    assert [libc.msgrcv(copies, 100, position, flags) for position in (4, 0, 3, 1, 2)] == [
        MIXED[position] for position in (4, 0, 3, 1, 2)
    ]
    assert libc.msgctl(copies, libc.IPC_STAT).msg_qnum == len(MIXED)
    assert drain(copies) == MIXED


def test_msg_copy_behind_the_last_message_finds_none(copies: int) -> None:
    with refused(errno.ENOMSG):
        libc.msgrcv(copies, 100, len(MIXED), libc.MSG_COPY | libc.IPC_NOWAIT)


def test_msg_copy_goes_with_ipc_nowait_and_without_msg_except(copies: int) -> None:
    with refused(errno.EINVAL):
        libc.msgrcv(copies, 100, 0, libc.MSG_COPY)
    with refused(errno.EINVAL):
        libc.msgrcv(copies, 100, 0, libc.MSG_COPY | libc.MSG_EXCEPT | libc.IPC_NOWAIT)


def test_msg_copy_of_too_long_a_message_is_an_error_or_cut(copies: int) -> None:
    libc.msgsnd(copies, 9, b"longer than that")
    last = len(MIXED)
    with pytest.raises(OSError, match="msgrcv"):
        libc.msgrcv(copies, 4, last, libc.MSG_COPY | libc.IPC_NOWAIT)
    assert libc.msgrcv(copies, 100, last, libc.MSG_COPY | libc.IPC_NOWAIT) == (9, b"longer than that")


# -- msgsnd(2), msgrcv(2): texts --


@pytest.mark.parametrize("size", [0, 1, 1023, 1024, 1025, 4040, 4096, 8192])
def test_a_text_of_any_size_arrives_whole(queue: int, size: int) -> None:
    if size > limit("msgmax"):
        pytest.skip(f"kernel.msgmax is {limit('msgmax')}")
    text = secrets.token_bytes(size)
    libc.msgsnd(queue, 1, text)
    assert libc.msgrcv(queue, size) == (1, text)


def test_any_contiguous_buffer_is_a_text(queue: int, attachment: libc.Attachment) -> None:
    numbers = array("i", range(5))
    memoryview(attachment)[:3] = b"shm"
    texts: list[tuple[Buffer, bytes]] = [
        (bytearray(b"bytearray"), b"bytearray"),
        (memoryview(b"a slice of it")[2:7], b"slice"),
        (memoryview(numbers), numbers.tobytes()),
        (memoryview(attachment)[:3], b"shm"),
        (b"\0with\0zeros\0", b"\0with\0zeros\0"),
    ]
    for given, expected in texts:
        libc.msgsnd(queue, 1, given)
        assert libc.msgrcv(queue, 100) == (1, expected)
    del texts, given
    numbers.append(5)  # nobody holds the buffer any more


def test_a_text_longer_than_msgmax_is_refused(queue: int) -> None:
    with pytest.raises(OSError, match=r"kernel\.msgmax", check=lambda error: error.errno == errno.EINVAL):
        libc.msgsnd(queue, 1, bytes(limit("msgmax") + 1))


@pytest.mark.parametrize("mtype", [0, -1, -(2**63)])
def test_a_type_below_1_is_refused(queue: int, mtype: int) -> None:
    with pytest.raises(OSError, match="below 1", check=lambda error: error.errno == errno.EINVAL):
        libc.msgsnd(queue, mtype, b"")
    assert libc.msgctl(queue, libc.IPC_STAT).msg_qnum == 0


@pytest.mark.parametrize("mtype", [1, 2**31, 2**63 - 1])
def test_a_type_is_a_c_long(queue: int, mtype: int) -> None:
    libc.msgsnd(queue, mtype, b"x")
    assert libc.msgrcv(queue, 1, mtype) == (mtype, b"x")


def test_a_message_too_long_stays_in_the_queue(queue: int) -> None:
    libc.msgsnd(queue, 1, b"0123456789")
    with pytest.raises(OSError, match="MSG_NOERROR", check=lambda error: error.errno == errno.E2BIG):
        libc.msgrcv(queue, 9)
    assert libc.msgrcv(queue, 10) == (1, b"0123456789")


def test_msg_noerror_cuts_a_message_and_drops_the_rest(queue: int) -> None:
    libc.msgsnd(queue, 1, b"0123456789")
    assert libc.msgrcv(queue, 4, 0, libc.MSG_NOERROR) == (1, b"0123")
    assert libc.msgctl(queue, libc.IPC_STAT).msg_qnum == 0


def test_room_for_more_than_any_message_is_no_error(queue: int) -> None:
    libc.msgsnd(queue, 1, b"short")
    assert libc.msgrcv(queue, 1_000_000) == (1, b"short")


def test_an_empty_queue_with_ipc_nowait_has_no_message(queue: int) -> None:
    with pytest.raises(OSError, match="no such message", check=lambda error: error.errno == errno.ENOMSG):
        libc.msgrcv(queue, 10, 0, libc.IPC_NOWAIT)


def test_a_full_queue_with_ipc_nowait_would_block(queue: int) -> None:
    fill(queue)
    with pytest.raises(BlockingIOError, match="msg_qbytes"):
        libc.msgsnd(queue, 2, b"one more", libc.IPC_NOWAIT)
    libc.msgrcv(queue, 100)
    libc.msgsnd(queue, 2, b"one more", libc.IPC_NOWAIT)
    assert drain(queue, 2) == [(2, b"one more")]


def fill(msqid: int) -> None:
    """Make the queue small, and fill it with one message."""
    libc.msgctl(msqid, libc.IPC_SET, replace(libc.msgctl(msqid, libc.IPC_STAT), msg_qbytes=100))
    libc.msgsnd(msqid, 1, bytes(100))


@pytest.mark.parametrize("flags", [0, libc.IPC_NOWAIT])
def test_a_removed_queue_is_no_queue(queue: int, flags: int) -> None:
    libc.msgctl(queue, libc.IPC_RMID)
    with refused(errno.EINVAL):
        libc.msgsnd(queue, 1, b"", flags)
    with refused(errno.EINVAL):
        libc.msgrcv(queue, 1, 0, flags)
    with refused(errno.EINVAL):
        libc.msgctl(queue, libc.IPC_STAT)
    with refused(errno.EINVAL):
        libc.msgctl(queue, libc.IPC_RMID)


# -- msgsnd(2), msgrcv(2): waiting --


def test_a_blocked_receiver_gets_the_message(queue: int, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def receive() -> tuple[int, bytes]:
        ready.open()
        return libc.msgrcv(queue, 100)

    child = fork(receive)
    ready.wait()
    until_blocked(child)
    libc.msgsnd(queue, 7, b"here it is")
    assert child.result() == (7, b"here it is")


@pytest.mark.parametrize(("msgtyp", "flags"), [(4, 0), (-4, 0), (9, libc.MSG_EXCEPT)])
def test_a_blocked_receiver_is_woken_by_the_type_it_wants_only(
    queue: int, fork: Fork, gate: Callable[[], Gate], msgtyp: int, flags: int
) -> None:
    ready = gate()

    def receive() -> tuple[int, bytes]:
        ready.open()
        return libc.msgrcv(queue, 100, msgtyp, flags)

    child = fork(receive)
    ready.wait()
    until_blocked(child)
    libc.msgsnd(queue, 9, b"not this")
    libc.msgsnd(queue, 4, b"this")
    assert child.result() == (4, b"this")
    assert drain(queue) == [(9, b"not this")]


def test_a_blocked_sender_goes_on_when_there_is_room(queue: int, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()
    fill(queue)

    def send() -> None:
        ready.open()
        libc.msgsnd(queue, 2, b"waited")

    child = fork(send)
    ready.wait()
    until_blocked(child)
    assert libc.msgrcv(queue, 100) == (1, bytes(100))
    child.result()
    assert libc.msgrcv(queue, 100) == (2, b"waited")


def block(msqid: int, call: str) -> None:
    """Wait in one of the two calls, on a queue that is full of messages of type 1, or empty."""
    if call == "msgsnd":
        libc.msgsnd(msqid, 2, b"never sent")
    else:
        libc.msgrcv(msqid, 100, 2)


@pytest.mark.parametrize("call", ["msgrcv", "msgsnd"])
def test_removal_while_waiting_is_told(queue: int, fork: Fork, gate: Callable[[], Gate], call: str) -> None:
    ready = gate()
    if call == "msgsnd":
        fill(queue)

    def wait() -> None:
        ready.open()
        block(queue, call)

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    libc.msgctl(queue, libc.IPC_RMID)
    with pytest.raises(libc.IdentifierRemovedError, match=call) as caught:
        child.result()
    assert caught.value.errno == errno.EIDRM


@pytest.mark.parametrize("flags", [0, libc.SA_RESTART], ids=["plain", "SA_RESTART"])
@pytest.mark.parametrize("call", ["msgrcv", "msgsnd"])
def test_a_handler_interrupts_the_wait_once_it_has_run(
    queue: int, fork: Fork, gate: Callable[[], Gate], call: str, flags: int
) -> None:
    """signal(7): SA_RESTART does not restart the System V calls."""
    ready = gate()
    if call == "msgsnd":
        fill(queue)

    def wait() -> list[str]:
        story: list[str] = []

        def handler(signum: int) -> None:
            story.append("handler")

        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handler, flags=flags))
        ready.open()
        with pytest.raises(InterruptedError, match=call) as caught:
            block(queue, call)
        assert caught.value.errno == errno.EINTR
        return [*story, "interrupted"]

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == ["handler", "interrupted"]
    assert drain(queue, 2) == []


@pytest.mark.parametrize("call", ["msgrcv", "msgsnd"])
def test_what_the_handler_raises_comes_out_of_the_wait(
    queue: int, fork: Fork, gate: Callable[[], Gate], call: str
) -> None:
    ready = gate()
    if call == "msgsnd":
        fill(queue)

    def fail(signum: int) -> None:
        raise ZeroDivisionError("raised by the handler")

    def wait() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(fail, flags=libc.SA_RESTART))
        ready.open()
        block(queue, call)

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    with pytest.raises(ZeroDivisionError, match="raised by the handler"):
        child.result()


def test_an_ignored_signal_does_not_interrupt_the_wait(queue: int, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def receive() -> tuple[int, bytes]:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(libc.SIG_IGN))
        ready.open()
        return libc.msgrcv(queue, 100)

    child = fork(receive)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    libc.msgsnd(queue, 1, b"undisturbed")
    assert child.result() == (1, b"undisturbed")


def test_many_processes_share_a_queue_without_loss(queue: int, fork: Fork) -> None:
    def send(number: int) -> None:
        for count in range(200):
            libc.msgsnd(queue, number, f"{number}:{count}".encode())

    senders = [fork(send, number) for number in (1, 2, 3)]
    received = [libc.msgrcv(queue, 100) for _ in range(600)]
    for sender in senders:
        sender.result()
    for number in (1, 2, 3):
        texts = [text for mtype, text in received if mtype == number]
        assert texts == [f"{number}:{count}".encode() for count in range(200)]


# -- msgctl(2) --


def test_ipc_stat_of_a_queue_says_what_proc_says(queue: int, fork: Fork) -> None:
    libc.msgsnd(queue, 1, b"taken")
    libc.msgsnd(queue, 1, b"left behind")
    child = fork(libc.msgrcv, queue, 100)
    child.result()
    ds = libc.msgctl(queue, libc.IPC_STAT)
    row = table("msg", queue)
    perm = ds.msg_perm
    assert (perm.key, perm.mode, perm.uid, perm.gid) == (row["key"], row["perms"], row["uid"], row["gid"])
    assert (perm.cuid, perm.cgid) == (row["cuid"], row["cgid"]) == (os.geteuid(), os.getegid())
    assert (ds.msg_cbytes, ds.msg_qnum) == (row["cbytes"], row["qnum"]) == (len(b"left behind"), 1)
    assert (ds.msg_lspid, ds.msg_lrpid) == (row["lspid"], row["lrpid"]) == (os.getpid(), child.pid)
    assert (ds.msg_stime, ds.msg_rtime, ds.msg_ctime) == (row["stime"], row["rtime"], row["ctime"])
    assert 0 not in (ds.msg_stime, ds.msg_rtime, ds.msg_ctime)
    assert ds.msg_qbytes == limit("msgmnb")


def test_the_times_of_an_untouched_queue_are_zero(queue: int) -> None:
    ds = libc.msgctl(queue, libc.IPC_STAT)
    assert (ds.msg_stime, ds.msg_rtime, ds.msg_lspid, ds.msg_lrpid, ds.msg_qnum) == (0, 0, 0, 0, 0)
    assert ds.msg_ctime > 0


def test_ipc_set_changes_mode_and_size_of_a_queue_and_nothing_else(queue: int) -> None:
    before = libc.msgctl(queue, libc.IPC_STAT)
    wanted = replace(before, msg_perm=replace(before.msg_perm, mode=0o7644, key=1, cuid=1, cgid=1), msg_qbytes=1234)
    libc.msgctl(queue, libc.IPC_SET, replace(wanted, msg_qnum=99, msg_cbytes=99))
    after = libc.msgctl(queue, libc.IPC_STAT)
    changed = replace(before, msg_perm=replace(before.msg_perm, mode=0o644), msg_qbytes=1234)
    assert after == replace(changed, msg_ctime=after.msg_ctime)


@needs_root
def test_ipc_set_gives_a_queue_to_another_user(queue: int, fork: Fork) -> None:
    ds = libc.msgctl(queue, libc.IPC_STAT)
    libc.msgctl(queue, libc.IPC_SET, replace(ds, msg_perm=replace(ds.msg_perm, uid=NOBODY, gid=NOBODY - 1)))
    perm = libc.msgctl(queue, libc.IPC_STAT).msg_perm
    assert (perm.uid, perm.gid, perm.cuid, perm.cgid) == (NOBODY, NOBODY - 1, 0, os.getegid())
    fork(as_nobody, lambda: libc.msgsnd(queue, 1, b"mine now")).result()
    assert libc.msgrcv(queue, 100) == (1, b"mine now")


@needs_root
def test_more_bytes_than_msgmnb_need_a_privilege(fork: Fork) -> None:
    def enlarge() -> None:
        msqid = libc.msgget(libc.IPC_PRIVATE, 0o600)
        try:
            ds = libc.msgctl(msqid, libc.IPC_STAT)
            libc.msgctl(msqid, libc.IPC_SET, replace(ds, msg_qbytes=limit("msgmnb") + 1))
        finally:
            libc.msgctl(msqid, libc.IPC_RMID)

    with pytest.raises(PermissionError, match="msgctl"):
        fork(as_nobody, enlarge).result()


def test_a_privileged_process_makes_a_queue_larger_than_msgmnb(queue: int) -> None:
    size = limit("msgmnb") + 1
    try:
        libc.msgctl(queue, libc.IPC_SET, replace(libc.msgctl(queue, libc.IPC_STAT), msg_qbytes=size))
    except PermissionError:
        pytest.skip("raising msg_qbytes above kernel.msgmnb needs CAP_SYS_RESOURCE")
    assert libc.msgctl(queue, libc.IPC_STAT).msg_qbytes == size


def test_a_larger_queue_wakes_a_blocked_sender(queue: int, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()
    fill(queue)

    def send() -> None:
        ready.open()
        libc.msgsnd(queue, 2, b"waited")

    child = fork(send)
    ready.wait()
    until_blocked(child)
    libc.msgctl(queue, libc.IPC_SET, replace(libc.msgctl(queue, libc.IPC_STAT), msg_qbytes=200))
    child.result()
    assert drain(queue, 2) == [(2, b"waited")]


def test_ipc_info_of_queues_says_the_limits(queue: int) -> None:
    highest, info = libc.msgctl(0, libc.IPC_INFO)
    assert isinstance(info, libc.Msginfo)
    assert highest >= 0
    assert (info.msgmax, info.msgmnb, info.msgmni) == (limit("msgmax"), limit("msgmnb"), limit("msgmni"))


def test_msg_info_counts_queues_messages_and_bytes(mixed: int) -> None:
    highest, usage = libc.msgctl(0, libc.MSG_INFO)
    assert highest >= 0
    assert usage.msgpool >= 1
    assert usage.msgmap >= len(MIXED)
    assert usage.msgtql >= sum(len(text) for _, text in MIXED)


def msg_index(msqid: int) -> int:
    """Where the kernel's array has the queue."""
    highest, _ = libc.msgctl(0, libc.MSG_INFO)
    for index in range(highest + 1):
        with suppress(OSError):  # nothing is there
            if libc.msgctl(index, libc.MSG_STAT_ANY)[0] == msqid:
                return index
    raise LookupError(msqid)


def test_msg_stat_finds_a_queue_by_its_index(queue: int) -> None:
    index = msg_index(queue)
    ds = libc.msgctl(queue, libc.IPC_STAT)
    assert libc.msgctl(index, libc.MSG_STAT) == (queue, ds)
    assert libc.msgctl(index, libc.MSG_STAT_ANY) == (queue, ds)


@needs_root
def test_msg_stat_any_needs_no_permission_where_msg_stat_does(queue: int, fork: Fork) -> None:
    index = msg_index(queue)
    assert fork(as_nobody, lambda: libc.msgctl(index, libc.MSG_STAT_ANY)[0]).result() == queue
    with pytest.raises(PermissionError, match="msgctl"):
        fork(as_nobody, lambda: libc.msgctl(index, libc.MSG_STAT)).result()


def test_an_error_names_the_call_its_subject_and_what_to_do(queue: int) -> None:
    libc.msgsnd(queue, 1, b"0123456789")
    with pytest.raises(OSError, match="MSG_NOERROR") as caught:
        libc.msgrcv(queue, 9, 1)
    expected = f"msgrcv({queue}, 9, 1): Argument list too long: the message is longer than msgsz"
    assert caught.value.strerror is not None
    assert caught.value.strerror.startswith(expected)
