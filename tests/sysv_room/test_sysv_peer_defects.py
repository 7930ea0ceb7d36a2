"""unixipc.sysv where sysv_ipc 1.2.0 crashes, loses state or misleads: each is a clear error here, or works.

Some of them crash it only when repeated, so they are repeated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from sysv_room.helpers import interrupting, kept, unused_key

from unixipc import libc
from unixipc.sysv import MessageQueue, Semaphore, SemaphoreSet, SharedMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

REPEATED = range(50)


@pytest.fixture
def keep() -> Iterator[Callable[[Any], Any]]:
    yield from kept()


def test_a_view_is_valid_after_its_memory_was_detached(keep: Callable[[Any], Any]) -> None:
    for _ in REPEATED:
        memory = keep(SharedMemory.create(4096))
        view = memoryview(memory)
        memory.close()
        memory.remove()
        view[:] = bytes(range(256)) * 16
        assert view[255] == 255
        view.release()


def test_detached_memory_has_no_view(keep: Callable[[Any], Any]) -> None:
    memory = keep(SharedMemory.create(4096))
    memory.close()
    for make in (memoryview, bytes, bytearray):
        with pytest.raises(ValueError, match="closed"):
            make(memory)
    assert len(memory) == 0


def test_a_view_of_readonly_memory_is_readonly(keep: Callable[[Any], Any]) -> None:
    memory = keep(SharedMemory.create(4096))
    with memory.attach(readonly=True) as readonly, memoryview(readonly) as view:
        assert view.readonly
        with pytest.raises(TypeError):
            view[0] = 1


def test_wrong_and_missing_arguments_are_type_errors(keep: Callable[[Any], Any]) -> None:
    queue, memory = keep(MessageQueue.create()), keep(SharedMemory.create(100))
    for _ in REPEATED:
        for arguments, keywords in (((), {}), ((123,), {}), ((None,), {}), ((b"x",), {"some_bytes": b"x"})):
            with pytest.raises(TypeError):
                queue.send(*arguments, **keywords)
        with pytest.raises(TypeError):
            memory.attach(some_bytes=b"x")
    assert queue.status().messages == 0


def test_attributes_cannot_be_deleted(keep: Callable[[Any], Any]) -> None:
    things = keep(Semaphore.create()), keep(SemaphoreSet.create([1])), keep(MessageQueue.create())
    for thing in things:
        for name in ("id", "closed", "value", "values", "last_pid", "number"):
            with pytest.raises(AttributeError):
                delattr(thing, name)


def test_finding_a_semaphore_does_not_reset_it(keep: Callable[[Any], Any]) -> None:
    key = unused_key()
    semaphore = keep(Semaphore.open_or_create(key, 5))
    semaphore.acquire(2)
    assert Semaphore.open_or_create(key, 5).value == 3
    assert SemaphoreSet.open_or_create(key, [7]).values == [3]


@pytest.mark.parametrize("value", [-1, 32768, 2**40, None])
def test_a_bad_initial_value_leaves_no_semaphore_behind(value: Any) -> None:
    key = unused_key()
    with pytest.raises((ValueError, TypeError)):
        Semaphore.create(value, key)
    with pytest.raises(FileNotFoundError):
        Semaphore.open(key)


def test_attaching_twice_detaches_twice(keep: Callable[[Any], Any]) -> None:
    memory = keep(SharedMemory.create(100))
    with memory.attach() as second, memory.attach() as third:
        assert memory.status().attachments == 3
        assert len({memory.address, second.address, third.address}) == 3
    memory.close()
    assert memory.status().attachments == 0


def test_memory_that_is_dropped_is_detached(keep: Callable[[Any], Any]) -> None:
    memory = keep(SharedMemory.create(100))
    for _ in REPEATED:
        with pytest.warns(ResourceWarning, match="unclosed"):
            SharedMemory.from_id(memory.id)
    assert memory.status().attachments == 1


def test_a_key_is_never_cut_to_the_one_that_means_none() -> None:
    for key in (0, 2**32, 2**33):
        for find in (SharedMemory.open, MessageQueue.open, Semaphore.open, SemaphoreSet.open):
            with pytest.raises((ValueError, OverflowError)):
                find(key)


def test_what_is_taken_by_its_id_knows_its_key(keep: Callable[[Any], Any]) -> None:
    key = unused_key()
    memory = keep(SharedMemory.create(100, key))
    with SharedMemory.from_id(memory.id) as taken:
        assert taken.status().key == key


def test_a_larger_set_is_not_taken_for_a_semaphore(keep: Callable[[Any], Any]) -> None:
    key = unused_key()
    keep(SemaphoreSet.create([1, 2], key))
    with pytest.raises(ValueError, match="2 semaphores"):
        Semaphore.open(key)


def test_waits_go_on_after_signals_and_keep_what_their_handlers_raise(keep: Callable[[Any], Any], fork: Fork) -> None:
    semaphore = keep(Semaphore.create(0))

    def waits() -> int:
        def waits_in_vain() -> None:
            with pytest.raises(TimeoutError):
                semaphore.acquire(timeout=0.05)

        return interrupting(waits_in_vain)[1]

    def fails() -> None:
        def handler(signum: int) -> None:
            raise LookupError("the handler's own")

        libc.sigaction(libc.SIGALRM, libc.Sigaction(handler))
        libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0, 0.01))
        semaphore.acquire()

    assert fork(waits).result() > 0
    with pytest.raises(LookupError, match="the handler's own"):
        fork(fails).result()


def test_errors_carry_their_errno(keep: Callable[[Any], Any]) -> None:
    semaphore = keep(Semaphore.create(0))
    semaphore.remove()
    for call in (semaphore.acquire, semaphore.remove, semaphore.status):
        with pytest.raises(OSError, match="sem") as caught:
            call()
        assert caught.value.errno
        assert str(semaphore.id) in str(caught.value)
