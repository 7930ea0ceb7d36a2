"""unixipc.libc: several System V messages in one call, and messages into memory of one's own."""

from __future__ import annotations

import ctypes
import errno
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from until import until_blocked

from unixipc import _cpython, libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing import Gate
    from unixipc.testing.plugin import Fork

SHORT = 0.02


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


MESSAGES = [(3, b"three"), (1, b""), (2, b"x" * 2000), (3, b"again")]


def test_many_messages_go_and_come_in_order(queue: int) -> None:
    assert libc.msgsnd_many(queue, MESSAGES) == 4
    assert libc.msgrcv_many(queue, 2000, 10) == MESSAGES


def test_many_are_at_most_so_many_of_the_wanted_type(queue: int) -> None:
    libc.msgsnd_many(queue, iter(MESSAGES))
    assert libc.msgrcv_many(queue, 2000, 10, 3) == [MESSAGES[0], MESSAGES[3]]
    assert libc.msgrcv_many(queue, 2000, 1, -9) == [MESSAGES[1]]
    assert libc.msgrcv_many(queue, 2000, 0) == []
    assert libc.msgrcv_many(queue, 2000, 5) == [MESSAGES[2]]


def test_no_message_of_many_is_too_long_for_the_room_that_is_left(queue: int) -> None:
    libc.msgsnd_many(queue, [(number, bytes(1000)) for number in range(1, 11)])
    got = libc.msgrcv_many(queue, 200_000, 10)
    while len(got) < 10:
        got += libc.msgrcv_many(queue, 200_000, 10)
    assert got == [(number, bytes(1000)) for number in range(1, 11)]


def test_a_message_too_long_stops_many_and_is_an_error_as_the_first(queue: int) -> None:
    libc.msgsnd_many(queue, [(1, b"1"), (1, b"12345"), (1, b"2")])
    assert libc.msgrcv_many(queue, 4, 10) == [(1, b"1")]
    with pytest.raises(OSError, match="MSG_NOERROR", check=lambda error: error.errno == errno.E2BIG):
        libc.msgrcv_many(queue, 4, 10)
    assert libc.msgrcv_many(queue, 4, 10, 0, libc.MSG_NOERROR) == [(1, b"1234"), (1, b"2")]


def test_how_many_went_before_the_queue_was_full_or_one_was_wrong(queue: int) -> None:
    libc.msgctl(queue, libc.IPC_SET, replace(libc.msgctl(queue, libc.IPC_STAT), msg_qbytes=10))
    assert libc.msgsnd_many(queue, [(1, b"1234")] * 5, timeout=SHORT) == 2
    assert libc.msgsnd_many(queue, [(1, b"1"), (1, b"1"), (1, b"1")], libc.IPC_NOWAIT) == 2
    with pytest.raises(BlockingIOError):
        libc.msgsnd_many(queue, [(1, b"1")], libc.IPC_NOWAIT)
    libc.msgrcv_many(queue, 10, 10)
    assert libc.msgsnd_many(queue, [(1, b"1"), (0, b"no type")]) == 1
    with pytest.raises(OSError, match="below 1"):
        libc.msgsnd_many(queue, [(0, b"no type")])
    assert libc.msgsnd_many(queue, []) == 0


@pytest.mark.parametrize(
    ("messages", "error"),
    [(None, TypeError), ([1], TypeError), ([(1,)], ValueError), ([(1, 5)], TypeError), ([("1", b"")], TypeError)],
    ids=repr,
)
def test_what_are_no_messages_is_refused(queue: int, messages: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        libc.msgsnd_many(queue, messages)
    assert libc.msgctl(queue, libc.IPC_STAT).msg_qnum == 0


def test_impossible_sizes_and_counts_are_refused(queue: int) -> None:
    libc.msgsnd(queue, 1, b"stays")
    for size, count in ((-1, 1), (1, -1), (2**70, 1), (-(2**70), 1)):
        with pytest.raises((ValueError, OverflowError, MemoryError)):
            libc.msgrcv_many(queue, size, count)
    with pytest.raises(OSError, match="MSG_COPY"):
        libc.msgrcv_many(queue, 10, 2, 0, libc.MSG_COPY | libc.IPC_NOWAIT)
    assert libc.msgrcv_many(queue, 10, 2**70) == [(1, b"stays")]


def test_a_message_is_received_into_one_s_own_memory(queue: int) -> None:
    memory = bytearray(b"0123456789")
    libc.msgsnd(queue, 4, b"abc")
    with memoryview(memory) as view:
        assert libc.msgrcv_into(queue, view[5:]) == (4, 3)
    assert memory == b"01234abc89"
    memory.append(0)  # nobody holds it any more


def test_a_message_longer_than_the_memory_stays_or_is_cut(queue: int) -> None:
    memory = bytearray(2)
    libc.msgsnd(queue, 4, b"abc")
    with pytest.raises(OSError, match="MSG_NOERROR", check=lambda error: error.errno == errno.E2BIG):
        libc.msgrcv_into(queue, memory)
    assert libc.msgrcv_into(queue, memory, 0, libc.MSG_NOERROR) == (4, 2)
    assert memory == b"ab"


def test_memory_that_must_not_be_written_is_refused(queue: int) -> None:
    libc.msgsnd(queue, 4, b"abc")
    for memory in (b"constant", memoryview(b"constant"), memoryview(bytearray(10))[::2]):
        with pytest.raises(BufferError):
            libc.msgrcv_into(queue, memory)
    for nothing in (None, 5, "text"):
        with pytest.raises(TypeError):
            libc.msgrcv_into(queue, nothing)  # type: ignore[arg-type]
    assert libc.msgctl(queue, libc.IPC_STAT).msg_qnum == 1


def test_a_ctypes_structure_is_filled(queue: int) -> None:
    class Pair(ctypes.Structure):
        _fields_ = (("first", ctypes.c_int), ("second", ctypes.c_int))

    pair = Pair()
    libc.msgsnd(queue, 1, Pair(1, 2))
    assert libc.msgrcv_into(queue, pair) == (1, ctypes.sizeof(Pair))
    assert (pair.first, pair.second) == (1, 2)


@pytest.mark.parametrize("call", ["msgsnd_many", "msgrcv_many"])
@pytest.mark.parametrize("ending", ["removal", "signal"])
def test_many_are_told_how_their_wait_ended(
    queue: int, fork: Fork, gate: Callable[[], Gate], call: str, ending: str
) -> None:
    ready = gate()
    libc.msgctl(queue, libc.IPC_SET, replace(libc.msgctl(queue, libc.IPC_STAT), msg_qbytes=1))
    libc.msgsnd(queue, 1, b"x")

    def wait() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None, flags=libc.SA_RESTART))
        ready.open()
        if call == "msgsnd_many":
            libc.msgsnd_many(queue, [(2, b"never")])
        else:
            libc.msgrcv_many(queue, 100, 5, 2)

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    if ending == "removal":
        libc.msgctl(queue, libc.IPC_RMID)
    else:
        child.kill(libc.SIGUSR1)
    expected = libc.IdentifierRemovedError if ending == "removal" else InterruptedError
    with pytest.raises(expected, match=call.removesuffix("_many")):
        child.result()
