"""Queues whose receivers look for a message before they sleep."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from until import until_blocked

from unixipc import libc, posix, signals, sysv
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

Queue: TypeAlias = "sysv.MessageQueue | posix.MessageQueue"


@pytest.fixture(params=["sysv", "posix"])
def queues(request: pytest.FixtureRequest) -> Iterator[tuple[Queue, Queue]]:
    made: list[Queue] = []
    for number in range(2):
        if request.param == "sysv":
            made.append(sysv.MessageQueue.create())
        else:
            name = f"/unixipc-polling-{os.getpid()}-{number}"
            made.append(posix.MessageQueue.create(name, max_messages=4, max_size=64))
    for queue in made:
        queue.polls = 50
    yield made[0], made[1]
    for queue in made:
        queue.close()
        if isinstance(queue, sysv.MessageQueue):
            queue.remove()
        else:
            queue.unlink()


def text_of(received: tuple[Any, ...]) -> bytes:
    return next(part for part in received if isinstance(part, bytes))


def receives(queue: Queue) -> list[Callable[..., bytes]]:
    def into(timeout: float | None = None) -> bytes:
        buffer = bytearray(64)
        first, second = queue.receive_into(buffer, timeout=timeout)
        return bytes(buffer[: second if isinstance(queue, sysv.MessageQueue) else first])

    return [
        lambda timeout=None: text_of(queue.receive(timeout=timeout)),
        into,
        lambda timeout=None: text_of(queue.receive_many(5, timeout=timeout)[0]),
    ]


def test_a_conversation_goes_on_as_it_would_without(queues: tuple[Queue, Queue], fork: Fork) -> None:
    there, back = queues

    def answers() -> None:
        while text := text_of(there.receive()):
            back.send(text[::-1])

    child = fork(answers)
    for number in range(500):
        there.send(b"%d." % number)
        for receive in receives(back)[number % 3 :][:1]:
            assert receive() == (b"%d." % number)[::-1]
    there.send(b"")
    child.result()


def test_who_finds_nothing_sleeps_until_something_comes(queues: tuple[Queue, Queue], fork: Fork) -> None:
    for number in range(3):
        child = fork(lambda number=number: receives(queues[0])[number]())  # type: ignore[misc]
        until_blocked(child)
        queues[0].send(b"late")
        assert child.result() == b"late"


@pytest.mark.parametrize("timeout", [0, 0.01])
def test_a_timeout_holds_all_the_same(queues: tuple[Queue, Queue], timeout: float) -> None:
    for receive in receives(queues[0]):
        with pytest.raises(TimeoutError):
            receive(timeout)
        queues[0].send(b"there")
        assert receive(timeout) == b"there"


def test_a_handler_runs_and_the_wait_goes_on(queues: tuple[Queue, Queue], fork: Fork) -> None:
    def waits() -> tuple[list[int], bytes]:
        log = list[int]()
        with signals.handling(libc.SIGUSR1, lambda signum, _: log.append(signum)):
            return log, text_of(queues[0].receive())

    child = fork(waits)
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    until_blocked(child)
    queues[0].send(b"after")
    assert child.result() == ([libc.SIGUSR1], b"after")


def test_a_message_longer_than_the_usual_ones_is_received_whole(fork: Fork) -> None:
    queue = sysv.MessageQueue.create()
    try:
        queue.polls = 3
        queue._size = 4
        queue.send(b"x" * 1000)
        assert queue.receive() == (1, b"x" * 1000)
    finally:
        queue.remove()


def test_the_end_of_a_queue_ends_a_wait(fork: Fork) -> None:
    queue = sysv.MessageQueue.create()
    queue.polls = 10
    child = fork(queue.receive)
    until_blocked(child)
    queue.remove()
    with pytest.raises(OSError, match="Identifier removed"):
        child.result()


def test_it_is_off_at_first_and_bounded(queues: tuple[Queue, Queue]) -> None:
    queue = queues[0]
    assert queue.polls == 50
    queue.polls = 0
    assert queue.polls == 0
    for wrong in (-1, 1001, 2**70):
        with pytest.raises(ValueError, match="looks 0 to 1000 times"):
            queue.polls = wrong
    for no_number in (None, 1.5, "1"):
        with pytest.raises(TypeError):
            queue.polls = no_number  # type: ignore[assignment]
    assert queue.polls == 0
    made = sysv.MessageQueue.create()
    assert made.polls == 0
    made.remove()


@pytest.mark.parametrize("number", [0, 1, 2])
def test_ctrl_c_ends_the_wait(queues: tuple[Queue, Queue], fork: Fork, number: int) -> None:
    def waits() -> bool:
        try:
            receives(queues[0])[number](DEADLINE)
        except KeyboardInterrupt:
            return True
        return False

    child = fork(waits)
    until_blocked(child)
    child.kill(libc.SIGINT)
    assert child.result()
