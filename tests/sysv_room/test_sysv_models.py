"""unixipc.sysv: queues and semaphores against plain models of what svipc(7) promises."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sysv_room.helpers import messages

from unixipc.sysv import MessageQueue, SemaphoreSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sysv_room.helpers import R

pytestmark = pytest.mark.usefixtures("way")

SEMVMX = 32767
TYPES = st.integers(1, 5)
SENDS = st.tuples(st.just("send"), TYPES, st.binary(max_size=3000))
RECEIVES = st.tuples(
    st.sampled_from(["receive", "receive_into", "receive_many"]),
    st.sampled_from(["first", "mtype", "up_to", "other_than"]),
    TYPES,
)


@contextmanager
def removed(thing: R) -> Iterator[R]:
    try:
        yield thing
    finally:
        thing.remove()


def chosen(model: list[tuple[int, bytes]], how: str, wanted: int) -> tuple[int, bytes] | None:
    """Find what msgrcv(2) takes next."""
    found = [
        (mtype, text)
        for mtype, text in model
        if how == "first"
        or (how == "mtype" and mtype == wanted)
        or (how == "up_to" and mtype <= wanted)
        or (how == "other_than" and mtype != wanted)
    ]
    if not found:
        return None
    return min(found, key=lambda message: message[0]) if how == "up_to" else found[0]


def receive(queue: MessageQueue, call: str, selection: dict[str, int]) -> tuple[int, bytes]:
    if call == "receive_into":
        memory = bytearray(3000)
        mtype, length = queue.receive_into(memory, **selection, timeout=0)  # type: ignore[arg-type]
        return mtype, bytes(memory[:length])
    if call == "receive_many":
        (message,) = queue.receive_many(1, **selection, timeout=0)
        return message
    return queue.receive(**selection, timeout=0)  # type: ignore[arg-type]


@settings(max_examples=60)
@given(st.lists(SENDS | RECEIVES, max_size=40))
def test_messages_come_in_the_order_that_selection_promises(steps: list[tuple[str, object, object]]) -> None:
    model: list[tuple[int, bytes]] = []
    with removed(MessageQueue.create(max_bytes=10_000)) as queue:
        for call, *rest in steps:
            if call == "send":
                mtype, text = rest
                assert isinstance(mtype, int)
                assert isinstance(text, bytes)
                held = sum(len(known) for _, known in model)
                if held + len(text) > 10_000:
                    with pytest.raises(TimeoutError):
                        queue.send(text, mtype, 0)
                else:
                    queue.send(text, mtype, 0)
                    model.append((mtype, text))
                continue
            how, wanted = rest
            assert isinstance(how, str)
            assert isinstance(wanted, int)
            selection = {} if how == "first" else {how: wanted}
            expected = chosen(model, how, wanted)
            if expected is None:
                with pytest.raises(TimeoutError):
                    receive(queue, call, selection)
            else:
                assert receive(queue, call, selection) == expected
                model.remove(expected)
        assert messages(queue) == model


@settings(max_examples=60)
@given(st.lists(st.tuples(TYPES, st.binary(max_size=2000)), max_size=60), st.integers(1, 20), st.integers(1, 3000))
def test_batches_are_the_same_messages_in_the_same_order(
    batch: list[tuple[int, bytes]], at_once: int, max_bytes: int
) -> None:
    with removed(MessageQueue.create(max_bytes=max_bytes + 2000)) as queue:
        received: list[tuple[int, bytes]] = []
        rest = list(batch)
        while rest:
            sent = queue.send_many(rest, timeout=0)
            assert sent >= 1
            rest = rest[sent:]
            while queue.status().messages:
                received += queue.receive_many(at_once, timeout=0)
        assert received == batch


def applied(values: list[int], operations: list[tuple[int, int]]) -> list[int] | type[Exception]:
    """Say what semop(2) makes of the values, or how it fails."""
    result = list(values)
    for number, change in operations:
        if (change == 0 and result[number] != 0) or result[number] + change < 0:
            return TimeoutError
        if result[number] + change > SEMVMX:
            return OSError
        result[number] += change
    return result


CHANGES = st.integers(-3, 3) | st.sampled_from([-SEMVMX, SEMVMX, SEMVMX - 1])
OPERATIONS = st.lists(st.tuples(st.integers(0, 3), CHANGES), min_size=1, max_size=5)


@settings(max_examples=100)
@given(st.lists(st.integers(0, 3) | st.just(SEMVMX), min_size=4, max_size=4), st.lists(OPERATIONS, max_size=20))
def test_values_are_what_the_operations_make_of_them(start: list[int], steps: list[list[tuple[int, int]]]) -> None:
    values = start
    with removed(SemaphoreSet.create(start)) as semaphores:
        for operations in steps:
            expected = applied(values, operations)
            if isinstance(expected, list):
                semaphores.operate(*operations, timeout=0)
                values = expected
            else:
                with pytest.raises(expected):
                    semaphores.operate(*operations, timeout=0)
            assert semaphores.values == values
