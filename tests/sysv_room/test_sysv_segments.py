"""unixipc.sysv.SharedMemory: what it adds to shmget(2) and shmop(2)."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from maps import leave_room
from nobody import NOBODY, as_nobody, needs_root
from sysv_room.helpers import kept, unused_key

from unixipc import libc
from unixipc.sysv import SharedMemory
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

SIZE = 5000


@pytest.fixture
def keep() -> Iterator[Callable[[SharedMemory], SharedMemory]]:
    yield from kept()


@pytest.fixture
def memory(keep: Callable[[SharedMemory], SharedMemory]) -> SharedMemory:
    return keep(SharedMemory.create(SIZE))


def test_new_memory_is_zeros_of_exactly_its_size(memory: SharedMemory) -> None:
    assert bytes(memory) == bytes(SIZE)
    assert (len(memory), memory.readonly, memory.closed) == (SIZE, False, False)
    status = memory.status()
    assert (status.size, status.attachments, status.creator_pid, status.key) == (SIZE, 1, os.getpid(), None)


def test_a_segment_is_found_by_its_key(keep: Callable[[SharedMemory], SharedMemory]) -> None:
    key = unused_key()
    with pytest.raises(FileNotFoundError):
        SharedMemory.open(key)
    made = keep(SharedMemory.create(SIZE, key))
    memoryview(made)[:3] = b"abc"
    with pytest.raises(FileExistsError):
        SharedMemory.create(SIZE, key)
    for found in (SharedMemory.open(key), SharedMemory.open_or_create(key, 100), SharedMemory.from_id(made.id)):
        with found:
            assert (found.id, bytes(found)[:3], len(found)) == (made.id, b"abc", SIZE)
    with pytest.raises(OSError, match="more than the existing object has"):
        SharedMemory.open_or_create(key, SIZE + 1)
    assert made.status().attachments == 1


def test_a_program_that_only_knows_the_key_takes_part(keep: Callable[[SharedMemory], SharedMemory]) -> None:
    key = unused_key()
    memory = keep(SharedMemory.open_or_create(key, SIZE))
    code = (
        "import sys; from unixipc.sysv import SharedMemory\n"
        "with SharedMemory.open(int(sys.argv[1])) as memory, memoryview(memory) as view: view[7:12] = b'hello'"
    )
    subprocess.run([sys.executable, "-c", code, str(key)], check=True, timeout=DEADLINE)
    assert bytes(memory)[5:14] == b"\0\0hello\0\0"


def test_parent_and_child_share_memory(memory: SharedMemory, fork: Fork) -> None:
    def write() -> None:
        memoryview(memory)[-4:] = b"tail"

    fork(write).result()
    assert bytes(memory)[-4:] == b"tail"


def test_closing_detaches_and_leaves_the_segment(memory: SharedMemory) -> None:
    with memory as same:
        assert same is memory
        memoryview(memory)[:5] = b"stays"
    memory.close()
    assert memory.closed
    assert memory.status().attachments == 0
    with pytest.raises(ValueError, match="closed"):
        memoryview(memory)
    with memory.attach() as again:
        assert bytes(again)[:5] == b"stays"
    assert repr(memory) == f"<SharedMemory {memory.id} closed>"


def test_a_view_outlives_closing_and_removal(memory: SharedMemory) -> None:
    view = memoryview(memory)
    memory.close()
    view[:4] = b"view"
    assert bytes(view[:4]) == b"view"
    memory.remove()
    with SharedMemory.from_id(memory.id) as other:
        assert bytes(other)[:4] == b"view"
        assert other.status().removed
    view.release()
    with pytest.raises(OSError, match=r"no (segment|object) has this id"):
        memory.status()


def test_readonly_memory_has_readonly_views(memory: SharedMemory) -> None:
    with memory.attach(readonly=True) as readonly, memoryview(readonly) as view:
        assert readonly.readonly
        assert view.readonly
        memoryview(memory)[:1] = b"!"
        assert view[0] == ord("!")
        with pytest.raises(TypeError):
            view[0] = 0
        with readonly.attach() as again:
            assert again.readonly
    with SharedMemory.from_id(memory.id, readonly=True) as readonly, pytest.raises(BufferError):
        libc.msgrcv_into(0, readonly)


def test_every_attachment_is_detached(memory: SharedMemory) -> None:
    others = [memory.attach() for _ in range(10)]
    assert memory.status().attachments == 11
    assert len({other.address for other in others}) == 10
    for other in others:
        other.close()
    assert memory.status().attachments == 1


def test_what_is_dropped_open_is_warned_of_and_detached(memory: SharedMemory) -> None:
    dropped = memory.attach()
    with pytest.warns(ResourceWarning, match=f"unclosed <SharedMemory {memory.id}>"):
        del dropped
    assert memory.status().attachments == 1


def test_a_cycle_around_memory_is_collected(memory: SharedMemory) -> None:
    other: Any = memory.attach()
    other.itself = other
    other.close()
    del other
    gc.collect()
    assert memory.status().attachments == 1


def test_pickling_attaches_the_segment_by_its_id(memory: SharedMemory) -> None:
    with pickle.loads(pickle.dumps(memory)) as other:
        memoryview(memory)[:1] = b"!"
        assert (other.id, other.readonly, bytes(other)[:1]) == (memory.id, False, b"!")
    with memory.attach(readonly=True) as readonly, pickle.loads(pickle.dumps(readonly)) as other:
        assert other.readonly


def test_memory_that_cannot_be_attached_is_not_left_behind(fork: Fork) -> None:
    def create() -> None:
        leave_room(2**31)
        with pytest.raises(OSError, match="shmat"):
            SharedMemory.create(2**32, flags=libc.SHM_NORESERVE)

    fork(create).result()


@pytest.mark.parametrize("size", [0, -1, 2**64, "1", 1.5])
def test_impossible_sizes_are_refused(size: Any) -> None:
    with pytest.raises((OSError, OverflowError, TypeError)):
        SharedMemory.create(size)


@needs_root
def test_another_user_is_refused_until_he_is_let_in(memory: SharedMemory, fork: Fork) -> None:
    def look(*, readonly: bool) -> bytes:
        with SharedMemory.from_id(memory.id, readonly) as other:
            return bytes(other)[:1]

    for readonly in (True, False):
        with pytest.raises(PermissionError, match="mode refuses"):
            fork(as_nobody, lambda readonly=readonly: look(readonly=readonly)).result()
    with pytest.raises(PermissionError):
        fork(as_nobody, memory.remove).result()
    memory.set_permissions(mode=0o604)
    assert fork(as_nobody, lambda: look(readonly=True)).result() == b"\0"
    with pytest.raises(PermissionError):
        fork(as_nobody, lambda: look(readonly=False)).result()
    memory.set_permissions(uid=NOBODY)
    assert fork(as_nobody, lambda: look(readonly=False)).result() == b"\0"
    fork(as_nobody, memory.remove).result()
    assert memory.status().removed


@pytest.mark.parametrize("name", ["id", "closed", "readonly", "address"])
def test_what_the_kernel_decides_cannot_be_assigned(memory: SharedMemory, name: str) -> None:
    with pytest.raises(AttributeError):
        setattr(memory, name, 0)
    with pytest.raises(AttributeError):
        delattr(memory, name)
