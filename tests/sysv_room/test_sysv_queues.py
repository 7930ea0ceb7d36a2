"""unixipc.sysv.MessageQueue: what it adds to msgget(2) and msgop(2)."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from nobody import NOBODY, as_nobody, needs_root
from sysv_room.helpers import interrupting, kept, messages, unused_key
from until import until_blocked

from unixipc import libc, sysv
from unixipc.sysv import MessageQueue
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

SHORT = 0.02
MIXED = [(3, b"three"), (1, b"one"), (5, b"five"), (1, b"uno"), (2, b"two")]


@pytest.fixture
def keep() -> Iterator[Callable[[MessageQueue], MessageQueue]]:
    yield from kept()


@pytest.fixture
def queue(keep: Callable[[MessageQueue], MessageQueue]) -> MessageQueue:
    return keep(MessageQueue.create())


@pytest.fixture
def mixed(queue: MessageQueue) -> MessageQueue:
    assert queue.send_many(MIXED) == 5
    return queue


# -- making, finding, removing --


def test_a_queue_is_found_by_its_key_until_it_is_removed(keep: Callable[[MessageQueue], MessageQueue]) -> None:
    key = unused_key()
    with pytest.raises(FileNotFoundError):
        MessageQueue.open(key)
    made = keep(MessageQueue.create(key))
    with pytest.raises(FileExistsError):
        MessageQueue.create(key)
    assert MessageQueue.open(key).id == MessageQueue.open_or_create(key).id == MessageQueue.from_id(made.id).id
    assert made.status().key == key
    made.remove()
    with pytest.raises(FileNotFoundError):
        MessageQueue.open(key)
    assert keep(MessageQueue.open_or_create(key)).id != made.id


def test_a_queue_without_a_key_is_shared_by_its_id(queue: MessageQueue) -> None:
    queue.send(b"by id")
    assert queue.status().key is None
    assert MessageQueue.from_id(queue.id).receive() == (1, b"by id")


def test_a_program_that_only_knows_the_key_takes_part(keep: Callable[[MessageQueue], MessageQueue]) -> None:
    queue = keep(MessageQueue.create(unused_key()))
    queue.send(b"question", 2)
    code = (
        "import sys; from unixipc.sysv import MessageQueue; queue = MessageQueue.open(int(sys.argv[1]));"
        "queue.send(queue.receive(2)[1].upper(), 3)"
    )
    subprocess.run([sys.executable, "-c", code, str(queue.status().key)], check=True, timeout=DEADLINE)
    assert queue.receive(3, timeout=0) == (3, b"QUESTION")


@pytest.mark.parametrize("key", [0, 2**32, 2**33, -(2**31) - 1, "1", 1.0])
def test_what_is_no_key_is_refused(key: Any) -> None:
    for factory in (MessageQueue.create, MessageQueue.open, MessageQueue.open_or_create):
        with pytest.raises((ValueError, OverflowError, TypeError)):
            factory(key)


def test_a_key_is_what_c_writes(keep: Callable[[MessageQueue], MessageQueue]) -> None:
    queue = keep(MessageQueue.create(0xDEADBEEF))
    assert MessageQueue.open(0xDEADBEEF - 2**32).id == queue.id


def test_a_key_is_made_of_a_file(keep: Callable[[MessageQueue], MessageQueue], tmp_path: os.PathLike[str]) -> None:
    assert keep(MessageQueue.create(sysv.ftok(tmp_path, 7))).id == MessageQueue.open(sysv.ftok(tmp_path, 7)).id


@pytest.mark.parametrize("mode", [-1, 0o1000, 0o2600, 0o10600])
def test_a_mode_that_would_be_flags_is_refused(queue: MessageQueue, mode: int) -> None:
    with pytest.raises(ValueError, match="permissions"):
        MessageQueue.create(mode=mode)
    with pytest.raises(ValueError, match="permissions"):
        queue.set_permissions(mode=mode)


def test_the_block_closes_the_queue_and_leaves_it_in_the_system(queue: MessageQueue) -> None:
    with queue as same:
        assert same is queue
        queue.send(b"stays")
    assert queue.closed
    queue.close()
    for use in (
        lambda: queue.send(b""),
        queue.receive,
        lambda: queue.receive_into(bytearray(1)),
        lambda: queue.receive_many(1),
        lambda: queue.send_many([]),
        queue.peek,
    ):
        with pytest.raises(ValueError, match=f"<MessageQueue {queue.id} closed> was closed"):
            use()
    assert queue.status().messages == 1


def test_a_limit_that_is_refused_leaves_no_queue_behind(fork: Fork) -> None:
    def create() -> None:
        with pytest.raises(PermissionError, match="msgctl"):
            MessageQueue.create(max_bytes=2**30)

    if os.geteuid() == 0:
        fork(as_nobody, create).result()
    else:
        create()
    for impossible in (2**31, 2**40, -(2**31) - 1):
        with pytest.raises(OverflowError, match="msg_qbytes"):
            MessageQueue.create(max_bytes=impossible)


def test_a_removed_queue_tells_who_waits_and_who_comes(
    queue: MessageQueue, fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready = gate()

    def receive() -> tuple[int, bytes]:
        ready.open()
        return queue.receive(timeout=DEADLINE)

    child = fork(receive)
    ready.wait()
    until_blocked(child)
    queue.remove()
    with pytest.raises(libc.IdentifierRemovedError):
        child.result()
    for call in (queue.receive, queue.status, queue.remove):
        with pytest.raises(OSError, match=r"no (queue|object) has this id"):
            call()


def test_pickling_keeps_the_id(queue: MessageQueue) -> None:
    queue.send(b"pickled")
    assert pickle.loads(pickle.dumps(queue)).receive() == (1, b"pickled")
    assert repr(queue) == f"<MessageQueue {queue.id}>"


# -- status and permissions --


def test_the_status_tells_what_happened(queue: MessageQueue, fork: Fork) -> None:
    before = queue.status()
    assert (before.messages, before.bytes, before.mode) == (0, 0, 0o600)
    assert (before.sender_pid, before.send_time, before.receive_time) == (None, None, None)
    assert (before.uid, before.creator_uid, before.gid) == (os.geteuid(), os.geteuid(), os.getegid())
    child = fork(queue.send, b"12345")
    child.result()
    status = queue.status()
    assert (status.messages, status.bytes, status.sender_pid, status.receiver_pid) == (1, 5, child.pid, None)
    assert status.send_time is not None
    queue.receive()
    assert queue.status().receiver_pid == os.getpid()


@needs_root
def test_another_user_is_refused_until_he_is_let_in(queue: MessageQueue, fork: Fork) -> None:
    for call in (lambda: queue.send(b""), queue.receive, queue.status, queue.remove):
        with pytest.raises(PermissionError):
            fork(as_nobody, call).result()
    with pytest.raises(PermissionError):
        fork(as_nobody, lambda: queue.set_permissions(mode=0o666)).result()
    queue.set_permissions(mode=0o622)
    fork(as_nobody, lambda: queue.send(b"let in")).result()
    with pytest.raises(PermissionError):
        fork(as_nobody, queue.receive).result()
    queue.set_permissions(uid=NOBODY, gid=NOBODY, mode=0o600)
    assert fork(as_nobody, queue.receive).result() == (1, b"let in")
    status = queue.status()
    assert (status.uid, status.gid, status.creator_uid, status.mode) == (NOBODY, NOBODY, 0, 0o600)


def test_a_smaller_queue_holds_less(keep: Callable[[MessageQueue], MessageQueue]) -> None:
    queue = keep(MessageQueue.create(max_bytes=10))
    queue.send(b"0123456789")
    with pytest.raises(TimeoutError):
        queue.send(b"x", timeout=0)
    queue.set_max_bytes(11)
    queue.send(b"x", timeout=0)
    assert queue.status().max_bytes == 11


# -- selection --


def test_without_a_selection_the_first_message_comes(mixed: MessageQueue) -> None:
    assert [mixed.receive() for _ in MIXED] == MIXED


def test_a_type_selects_the_first_of_it(mixed: MessageQueue) -> None:
    assert [mixed.receive(1), mixed.receive(1), mixed.receive(5)] == [(1, b"one"), (1, b"uno"), (5, b"five")]


def test_up_to_takes_the_lowest_type_first(mixed: MessageQueue) -> None:
    assert [mixed.receive(up_to=9)[1] for _ in MIXED] == [b"one", b"uno", b"two", b"three", b"five"]


def test_other_than_leaves_a_type(mixed: MessageQueue) -> None:
    assert mixed.receive(other_than=3) == (1, b"one")


def test_what_is_not_there_is_not_taken(mixed: MessageQueue) -> None:
    with pytest.raises(TimeoutError):
        mixed.receive(4, timeout=0)
    mixed.receive_many(5, 1)
    with pytest.raises(TimeoutError):
        mixed.receive(up_to=1, timeout=SHORT)
    assert mixed.status().messages == 3


@pytest.mark.parametrize("selection", [{"mtype": 0}, {"mtype": -3}, {"up_to": 0}, {"other_than": 0}])
def test_types_are_above_0(mixed: MessageQueue, selection: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        mixed.receive(**selection)  # type: ignore[arg-type]


def test_only_one_selection_is_taken(mixed: MessageQueue) -> None:
    with pytest.raises(ValueError, match="at most one"):
        mixed.receive(1, up_to=3)


def test_a_message_is_looked_at_and_stays(mixed: MessageQueue) -> None:
    assert messages(mixed) == MIXED
    assert mixed.peek(4) == (2, b"two")
    assert mixed.peek(5) is None
    assert mixed.status().messages == 5
    with pytest.raises(ValueError, match="position"):
        mixed.peek(-1)


# -- sizes --


def test_a_message_of_any_size_comes_whole(keep: Callable[[MessageQueue], MessageQueue], fork: Fork) -> None:
    most = libc.msgctl(0, libc.IPC_INFO)[1].msgmax
    queue = keep(MessageQueue.create())
    for size in (0, 1, 1024, 1025, min(most, 8192)):
        text = os.urandom(size)
        queue.send(text)
        assert queue.receive() == (1, text)


def test_messages_larger_than_usual_come_whole_too(queue: MessageQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    """kernel.msgmax is 8,192 nearly everywhere, and only root can change it."""
    monkeypatch.setattr(queue, "_size", 16)
    queue.send_many([(1, bytes(100)), (2, bytes(3000)), (3, b"small")])
    assert queue.peek(1) == (2, bytes(3000))
    monkeypatch.setattr(queue, "_size", 16)
    assert queue.receive_many(2) == [(1, bytes(100))]
    assert queue.receive(timeout=DEADLINE) == (2, bytes(3000))
    assert queue.receive_many(2) == [(3, b"small")]


def test_a_longer_message_than_wanted_stays_or_is_cut(queue: MessageQueue) -> None:
    queue.send(b"0123456789")
    with pytest.raises(OSError, match="longer", check=lambda error: error.errno == errno.E2BIG):
        queue.receive(max_size=4)
    assert queue.status().messages == 1
    assert queue.receive(max_size=4, truncate=True) == (1, b"0123")
    with pytest.raises(ValueError, match="max_size"):
        queue.receive(truncate=True)


def test_a_message_goes_into_memory_of_one_s_own(queue: MessageQueue) -> None:
    memory = bytearray(5)
    queue.send_many([(2, b"abc"), (3, b"0123456789")])
    assert queue.receive_into(memory, up_to=2) == (2, 3)
    assert memory == b"abc\0\0"
    with pytest.raises(OSError, match="longer"):
        queue.receive_into(memory)
    assert queue.receive_into(memory, truncate=True) == (3, 5)
    with pytest.raises(TimeoutError):
        queue.receive_into(memory, timeout=SHORT)


@pytest.mark.parametrize("text", [None, 5, "text", [1]])
def test_what_is_no_text_is_refused(queue: MessageQueue, text: Any) -> None:
    for _ in range(100):
        with pytest.raises(TypeError):
            queue.send(text)
        with pytest.raises(TypeError):
            queue.send_many([(1, text)])
    assert queue.status().messages == 0


# -- many --


def test_many_messages_fit_through_a_small_queue(keep: Callable[[MessageQueue], MessageQueue], fork: Fork) -> None:
    queue = keep(MessageQueue.create(max_bytes=100))
    texts = [(1 + number % 7, str(number).encode()) for number in range(1000)]
    child = fork(queue.send_many, texts)
    received: list[tuple[int, bytes]] = []
    while len(received) < len(texts):
        received += queue.receive_many(50, timeout=DEADLINE)
    assert received == texts
    assert child.result() == 1000


def test_so_many_went_before_time_was_up(keep: Callable[[MessageQueue], MessageQueue]) -> None:
    queue = keep(MessageQueue.create(max_bytes=10))
    assert queue.send_many([(1, b"12345")] * 5, timeout=SHORT) == 2
    with pytest.raises(TimeoutError):
        queue.send_many([(1, b"12345")], timeout=0)


def test_so_many_went_before_the_error(queue: MessageQueue) -> None:
    with pytest.raises(OSError, match="below 1") as caught:
        queue.send_many([(1, b"1"), (2, b"2"), (0, b"0"), (3, b"3")])
    assert caught.value.__notes__ == ["2 messages went before this one"]
    assert queue.receive_many(10) == [(1, b"1"), (2, b"2")]


def test_at_least_one_is_wanted(queue: MessageQueue) -> None:
    for count in (0, -1):
        with pytest.raises(ValueError, match="at least one"):
            queue.receive_many(count)
    with pytest.raises(TimeoutError):
        queue.receive_many(5, timeout=SHORT)
    assert queue.send_many([]) == 0


# -- waiting --


def test_a_wait_ends_in_time(queue: MessageQueue) -> None:
    for timeout in (0, SHORT):
        start = time.monotonic()
        with pytest.raises(TimeoutError, match=r"msgrcv\(\d+, 8192, 7\)"):
            queue.receive(7, timeout=timeout)
        assert time.monotonic() - start >= timeout


@pytest.mark.parametrize("timeout", [-1, -1e-9, float("nan")])
def test_an_impossible_timeout_is_refused(queue: MessageQueue, timeout: float) -> None:
    for call in (lambda: queue.receive(timeout=timeout), lambda: queue.send(b"", 1, timeout)):
        with pytest.raises(ValueError, match="timeout"):
            call()
    assert queue.status().messages == 0


@pytest.mark.parametrize("timeout", [None, float("inf"), DEADLINE])
def test_a_wait_goes_on_after_signals(
    queue: MessageQueue, fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    ready, handled = gate(), gate()

    def receive() -> tuple[tuple[int, bytes], int]:
        ready.open()
        return interrupting(lambda: queue.receive(timeout=timeout), handled)

    child = fork(receive)
    ready.wait()
    handled.wait()
    until_blocked(child)
    for _ in range(10):
        handled.wait()
    queue.send(b"after signals")
    message, handlers = child.result()
    assert message == (1, b"after signals")
    assert handlers > 0


def test_a_timeout_is_kept_among_signals(queue: MessageQueue, fork: Fork) -> None:
    def receive() -> tuple[bool, int]:
        def times_out() -> bool:
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                queue.receive(timeout=0.1)
            return time.monotonic() - start >= 0.1

        return interrupting(times_out)

    in_time, handlers = fork(receive).result()
    assert in_time
    assert handlers > 0


def test_what_a_handler_raises_comes_out_as_it_is(queue: MessageQueue, fork: Fork) -> None:
    def receive() -> None:
        def fail(signum: int) -> None:
            raise ZeroDivisionError("raised by the handler")

        libc.sigaction(libc.SIGALRM, libc.Sigaction(fail))
        libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0.02, 0.02))
        try:
            queue.receive()
        except ZeroDivisionError as error:
            libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0, 0))
            assert error.__context__ is None or isinstance(error.__context__, InterruptedError)  # noqa: PT017
            raise

    with pytest.raises(ZeroDivisionError):
        fork(receive).result()
