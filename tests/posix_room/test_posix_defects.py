"""unixipc.posix: what crashes posix_ipc, or makes it lose state, is a clear error or the right result here.

Each test makes its attempts in a forked child, so that a crash is a failed test.
"""

from __future__ import annotations

import errno
import gc
import os
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc, posix

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

NAME = f"/unixipc-defect-{os.getpid()}"
FILE = Path(f"/dev/shm/sem.{NAME[1:]}")  # noqa: S108 - where the C library keeps it
PAGE = libc.PAGE_SIZE

FACTORIES: dict[str, Callable[[Any], object]] = {
    "MessageQueue.create": posix.MessageQueue.create,
    "MessageQueue.open": posix.MessageQueue.open,
    "MessageQueue.open_or_create": posix.MessageQueue.open_or_create,
    "Semaphore.create": posix.Semaphore.create,
    "Semaphore.open": posix.Semaphore.open,
    "Semaphore.open_or_create": posix.Semaphore.open_or_create,
    "SharedMemory.create": lambda name: posix.SharedMemory.create(name, PAGE),
    "SharedMemory.open": posix.SharedMemory.open,
    "SharedMemory.open_or_create": lambda name: posix.SharedMemory.open_or_create(name, PAGE),
}
UNLINKS = [libc.mq_unlink, libc.sem_unlink, libc.shm_unlink]


@pytest.fixture
def name() -> Iterator[str]:
    """A name whose objects are removed with the test."""
    yield NAME
    for unlink in UNLINKS:
        with suppress(FileNotFoundError):
            unlink(NAME)


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_name_with_a_nul_opens_nothing_and_least_of_all_another_object(factory: str, name: str, fork: Fork) -> None:
    def child() -> None:
        posix.Semaphore.create(name).close()
        posix.SharedMemory.create(name, PAGE).close()
        with posix.MessageQueue.create(name, max_messages=1, max_size=8):
            with pytest.raises(ValueError, match="contains a NUL"):
                FACTORIES[factory](f"{name}\0and more")
            with pytest.raises(TypeError, match="a name is a str"):
                FACTORIES[factory](f"{name}\0and more".encode())

    fork(child).result()


@pytest.mark.parametrize("factory", FACTORIES)
def test_a_name_that_has_no_encoding_is_a_value_error(factory: str, fork: Fork) -> None:
    def child() -> None:
        with pytest.raises(ValueError, match="surrogates not allowed"):
            FACTORIES[factory]("/\ud800")

    fork(child).result()


def test_a_name_that_is_no_utf_8_is_told_as_it_was_given(fork: Fork) -> None:
    def child() -> None:
        name = os.fsdecode(NAME.encode() + b"\xff\xfe")
        with posix.MessageQueue.create(name, max_messages=1, max_size=8) as queue:
            queue.unlink()
            assert queue.name == name
            assert repr(queue) == f"<MessageQueue {name}>"
        with posix.SharedMemory.create(name, PAGE) as memory:
            memory.unlink()
            assert memory.name == name
        with posix.Semaphore.create(name) as semaphore:
            semaphore.unlink()
            assert semaphore.name == name

    fork(child).result()


def test_what_is_no_message_is_a_type_error(name: str, fork: Fork) -> None:
    def child() -> None:
        with posix.MessageQueue.create(name, max_messages=1, max_size=8) as queue:
            send: Any = queue.send
            for arguments in ((), (123,), (None,), ("text",), ([1],), (b"", "high"), (b"", None), (b"", 0, "soon")):
                with pytest.raises(TypeError):
                    send(*arguments)
            assert queue.status().messages == 0

    fork(child).result()


def test_attributes_cannot_be_deleted_or_set(name: str, fork: Fork) -> None:
    def child() -> None:
        with (
            posix.MessageQueue.create(name, max_messages=1, max_size=8) as queue,
            posix.Semaphore.create(name) as semaphore,
            posix.SharedMemory.create(name, PAGE) as memory,
        ):
            for thing, attribute in (
                (queue, "max_size"),
                (queue, "name"),
                (queue, "closed"),
                (semaphore, "value"),
                (semaphore, "name"),
                (memory, "name"),
                (memory, "address"),
                (memory, "closed"),
            ):
                with pytest.raises(AttributeError):
                    delattr(thing, attribute)
                with pytest.raises(AttributeError):
                    setattr(thing, attribute, 5)

    fork(child).result()


def test_a_notification_outlives_no_queue(name: str, fork: Fork) -> None:
    def child() -> None:
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
        with posix.MessageQueue.create(name, max_messages=1, max_size=8) as sender:
            with posix.MessageQueue.open(name) as receiver:
                receiver.notify(libc.SIGUSR1)
            del receiver
            gc.collect()
            sender.send(b"x")
            assert libc.SIGUSR1 not in libc.sigpending()

    fork(child).result()


@pytest.mark.parametrize("content", [b"", b"x", bytes(libc.SEM_SIZE - 1), b"\xff" * 64])
def test_a_file_that_is_no_semaphore_ends_nobody(content: bytes, name: str, fork: Fork) -> None:
    FILE.write_bytes(content)

    def child() -> None:
        for make in (posix.Semaphore.open, posix.Semaphore.open_or_create):
            with pytest.raises(OSError, match=r"is no semaphore: remove it with sem_unlink\(\)") as caught:
                make(name)
            assert caught.value.errno == errno.EINVAL
        with pytest.raises(FileExistsError):
            posix.Semaphore.create(name)
        libc.sem_unlink(name)
        with posix.Semaphore.create(name) as semaphore:
            semaphore.acquire()

    fork(child).result()


def test_opening_what_exists_never_resizes_or_removes_it(name: str, fork: Fork) -> None:
    def child() -> None:
        with posix.SharedMemory.create(name, PAGE) as memory:
            with pytest.raises(OSError, match="has only"):
                posix.SharedMemory.open_or_create(name, 2 * PAGE)
            with pytest.raises(FileExistsError):
                posix.SharedMemory.create(name, 2 * PAGE)
            for size in (1, PAGE):
                posix.SharedMemory.open_or_create(name, size).close()
            posix.SharedMemory.open(name, readonly=True).close()
            assert os.fstat(memory.fileno()).st_size == PAGE
            memory.unlink()  # it is still there

    fork(child).result()


def test_every_error_has_its_errno_and_its_builtin_class(name: str, fork: Fork) -> None:
    def child() -> None:
        cases: list[tuple[Callable[[], object], type[OSError], int]] = [
            (partial(posix.MessageQueue.open, name), FileNotFoundError, errno.ENOENT),
            (partial(posix.Semaphore.open, name), FileNotFoundError, errno.ENOENT),
            (partial(posix.SharedMemory.open, name), FileNotFoundError, errno.ENOENT),
            (partial(posix.MessageQueue.open, "/" + "x" * 300), OSError, errno.ENAMETOOLONG),
            (partial(posix.MessageQueue.create, name, max_messages=0), OSError, errno.EINVAL),
        ]
        for call, kind, code in cases:
            with pytest.raises(kind) as caught:
                call()
            assert caught.value.errno == code

    fork(child).result()


def test_received_messages_take_no_more_room_than_they_are_long(name: str, fork: Fork) -> None:
    def child() -> None:
        with posix.MessageQueue.create(name, max_messages=1, max_size=8192) as queue:
            for _ in range(100):
                queue.send(b"x")
                text, _ = queue.receive()
                assert sys.getsizeof(text) == sys.getsizeof(b"x")

    fork(child).result()
