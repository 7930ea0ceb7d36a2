"""unixipc.posix: message queues as objects."""

from __future__ import annotations

import copy
import errno
import gc
import os
import pickle
import resource
import selectors
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING

import posix_ipc
import pytest
from conftest import count_alone
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from nobody import become_nobody
from until import until_blocked

from unixipc import libc, posix
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc import processes
    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

NAME = f"/unixipc-queue-{os.getpid()}"
ROOM, SIZE = 3, 32
NEWS = libc.SIGRTMIN


@pytest.fixture
def name() -> Iterator[str]:
    """A name whose queue is removed with the test."""
    yield NAME
    with suppress(FileNotFoundError):  # the test may have removed it
        libc.mq_unlink(NAME)


@pytest.fixture
def queue(name: str) -> Iterator[posix.MessageQueue]:
    with posix.MessageQueue.create(name, max_messages=ROOM, max_size=SIZE) as queue:
        yield queue


def fill(queue: posix.MessageQueue) -> None:
    for _ in range(ROOM):
        queue.send(b"filler")


# -- life --


def test_a_queue_is_what_it_was_made_as(queue: posix.MessageQueue, name: str) -> None:
    assert queue.status() == posix.QueueStatus(0, ROOM, SIZE, os.getuid(), os.getgid(), 0o600)
    assert (queue.name, queue.max_size, queue.closed, repr(queue)) == (name, SIZE, False, f"<MessageQueue {name}>")


def test_limits_that_are_not_given_are_the_system_s(name: str) -> None:
    defaults = [int(Path(f"/proc/sys/fs/mqueue/{limit}_default").read_text()) for limit in ("msg", "msgsize")]
    for given in ({}, {"max_messages": 1}, {"max_size": 1}):
        with posix.MessageQueue.create(name, **given) as queue:
            status = queue.status()
            queue.unlink()
        wanted = [given.get("max_messages", defaults[0]), given.get("max_size", defaults[1])]
        assert [status.max_messages, status.max_size] == wanted


def test_create_makes_a_new_one_open_finds_it_and_open_or_create_does_either(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no queue has this name"):
        posix.MessageQueue.open(name)
    with posix.MessageQueue.open_or_create(name, max_messages=1, max_size=8) as made:
        with pytest.raises(FileExistsError, match=name):
            posix.MessageQueue.create(name)
        made.send(b"hello")
        with posix.MessageQueue.open(name) as opened:
            assert opened.receive(0) == (b"hello", 0)
        with posix.MessageQueue.open_or_create(name, max_messages=2, max_size=16) as again:
            assert again.status().max_messages == 1


def test_a_with_block_closes_and_never_unlinks(name: str) -> None:
    with posix.MessageQueue.create(name, max_messages=1, max_size=8) as queue:
        queue.send(b"stays")
    assert (queue.closed, repr(queue)) == (True, f"<MessageQueue {name} closed>")
    queue.close()
    with posix.MessageQueue.open(name) as again:
        assert again.receive(0) == (b"stays", 0)
    queue.unlink()
    with pytest.raises(FileNotFoundError, match="no queue has this name"):
        queue.unlink()


def test_a_closed_queue_says_so(name: str) -> None:
    queue = posix.MessageQueue.create(name, max_messages=1, max_size=8)
    queue.close()
    uses: list[Callable[[], object]] = [
        queue.fileno,
        queue.status,
        lambda: queue.send(b""),
        lambda: queue.send(b"", timeout=0),
        queue.receive,
        lambda: queue.receive(0),
        lambda: queue.receive_into(bytearray(8)),
        lambda: queue.receive_many(1),
        lambda: queue.send_many([(b"", 0)]),
        lambda: queue.notify(None),
        lambda: queue.notify_call(print),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=f"<MessageQueue {name} closed> was closed"):
            use()


def test_a_queue_that_is_dropped_open_is_closed_with_a_warning(name: str) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    with pytest.warns(ResourceWarning, match=f"unclosed <MessageQueue {name}>"):
        posix.MessageQueue.create(name, max_messages=1, max_size=8)
    gc.collect()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208


@pytest.mark.parametrize("wrong", ["", "/", "jobs", "/a/b", "//jobs", "/.", "/..", "/a\0b", "/\ud800"])
def test_a_name_is_a_slash_and_more(wrong: str) -> None:
    for make in (posix.MessageQueue.create, posix.MessageQueue.open, posix.MessageQueue.open_or_create):
        with pytest.raises(ValueError, match=r"such as '/jobs', and not|contains a NUL|surrogates not allowed"):
            make(wrong)


@pytest.mark.parametrize("wrong", [None, b"/jobs", 5, Path("/jobs")])
def test_a_name_is_a_str(wrong: str) -> None:
    with pytest.raises(TypeError, match="a name is a str"):
        posix.MessageQueue.open(wrong)


def test_a_mode_is_permissions(name: str) -> None:
    for mode in (-1, 0o1000, libc.O_CREAT << 12):
        with pytest.raises(ValueError, match="it must be permissions"):
            posix.MessageQueue.create(name, mode=mode)


def test_limits_that_cannot_be_name_those_of_the_system(name: str) -> None:
    for limits in ({"max_messages": 0}, {"max_size": -1}, {"max_messages": 10**6, "max_size": 10**6}):
        with pytest.raises(OSError, match=r"fs\.mqueue\.msg_max is \d+"):
            posix.MessageQueue.create(name, **limits)


def test_too_many_queues_name_their_limit(fork: Fork, name: str) -> None:
    def child() -> None:
        count_alone()
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (1000, 1000))
        with pytest.raises(OSError, match="the 1000 bytes of RLIMIT_MSGQUEUE: make smaller ones") as caught:
            posix.MessageQueue.create(name, max_messages=10, max_size=100)
        assert caught.value.errno == errno.EMFILE
        posix.MessageQueue.create(name, max_messages=1, max_size=100).close()

    fork(child).result()


def test_a_queue_can_be_opened_for_one_direction(queue: posix.MessageQueue, name: str) -> None:
    with posix.MessageQueue.open(name, write=False) as reader, posix.MessageQueue.open(name, read=False) as writer:
        writer.send(b"one way")
        with pytest.raises(OSError, match="was not opened for this"):
            writer.receive(0)
        with pytest.raises(OSError, match="was not opened for this"):
            reader.send(b"", timeout=0)
        assert reader.receive() == (b"one way", 0)
    with pytest.raises(ValueError, match="to read, to write"):
        posix.MessageQueue.open(name, read=False, write=False)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_is_refused(queue: posix.MessageQueue, name: str, fork: Fork) -> None:
    def child() -> None:
        become_nobody()
        for make in (posix.MessageQueue.open, posix.MessageQueue.open_or_create):
            with pytest.raises(PermissionError, match="its mode refuses this access"):
                make(name)
        with pytest.raises(PermissionError, match="only its owner"):
            queue.unlink()
        queue.send(b"what was inherited works")

    fork(child).result()
    assert queue.receive(0) == (b"what was inherited works", 0)


def test_a_queue_that_was_unlinked_works_for_who_has_it(queue: posix.MessageQueue, name: str, fork: Fork) -> None:
    child = fork(lambda: queue.receive(DEADLINE))
    queue.unlink()
    with posix.MessageQueue.create(name, max_messages=1, max_size=8) as other:
        queue.send(b"old")
        assert child.result() == (b"old", 0)
        assert other.status().messages == 0


def test_a_pickled_queue_is_opened_by_its_name_for_the_same(queue: posix.MessageQueue, name: str) -> None:
    with posix.MessageQueue.open(name, read=False) as writer:
        for original in (queue, writer):
            with pickle.loads(pickle.dumps(original)) as again:
                assert (again.name, again.fileno() == original.fileno()) == (name, False)
                again.send(b"hello")
                assert queue.receive(0) == (b"hello", 0)
        with copy.copy(writer) as again, pytest.raises(OSError, match="was not opened for this"):
            again.receive(0)


# -- messages --


def test_messages_come_by_priority_and_then_by_age(queue: posix.MessageQueue) -> None:
    assert queue.send_many([(b"low", 0), (bytearray(b"first"), 9), (memoryview(b"second"), 9)]) == 3
    assert queue.receive_many(10) == [(b"first", 9), (b"second", 9), (b"low", 0)]


def test_receive_many_takes_what_is_there_and_no_more_than_asked(queue: posix.MessageQueue) -> None:
    fill(queue)
    assert len(queue.receive_many(2)) == 2
    assert len(queue.receive_many(2, timeout=0)) == 1
    with pytest.raises(TimeoutError, match="it was empty all the time"):
        queue.receive_many(2, timeout=0.01)
    with pytest.raises(ValueError, match="at least one"):
        queue.receive_many(0)


def test_send_many_tells_how_many_went_in_the_time(queue: posix.MessageQueue) -> None:
    assert queue.send_many([(b"x", 0)] * 5, timeout=0.01) == ROOM
    with pytest.raises(TimeoutError, match="it was full all the time"):
        queue.send_many([(b"x", 0)], timeout=0)
    queue.receive_many(ROOM)
    with pytest.raises(OSError, match="longer than the queue's mq_msgsize") as caught:
        queue.send_many([(b"x", 0), (bytes(SIZE + 1), 0)])
    assert caught.value.__notes__ == ["1 messages went before this one"]


def test_a_message_is_received_into_a_buffer(queue: posix.MessageQueue) -> None:
    room = bytearray(SIZE)
    queue.send(b"hello", 3)
    assert queue.receive_into(room) == (5, 3)
    queue.send(b"world", 2)
    assert queue.receive_into(room, timeout=0) == (5, 2)
    assert room[:6] == b"world\0"
    queue.send(b"x")
    with pytest.raises(OSError, match="room for the queue's mq_msgsize"):
        queue.receive_into(bytearray(SIZE - 1))


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan")])
def test_a_timeout_is_not_negative(queue: posix.MessageQueue, timeout: float) -> None:
    for use in (
        queue.receive,
        lambda timeout: queue.send(b"", 0, timeout),
        lambda timeout: queue.send_many([], timeout),
    ):
        with pytest.raises(ValueError, match="a timeout is None or a number of seconds"):
            use(timeout)
    assert queue.status().messages == 0


@pytest.mark.parametrize("timeout", [None, DEADLINE, 1e10, float("inf")])
def test_a_wait_ends_with_the_message(
    queue: posix.MessageQueue, fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    ready = gate()

    def receive() -> tuple[bytes, int]:
        ready.open()
        return queue.receive(timeout)

    child = fork(receive)
    ready.wait()
    until_blocked(child)
    queue.send(b"hello", 4)
    assert child.result() == (b"hello", 4)


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_wait_for_room_ends_with_it(
    queue: posix.MessageQueue, fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    ready = gate()
    fill(queue)

    def send() -> None:
        ready.open()
        queue.send(b"sent at last", 1, timeout)

    child = fork(send)
    ready.wait()
    until_blocked(child)
    queue.receive()
    child.result()
    assert queue.receive() == (b"sent at last", 1)


@pytest.mark.parametrize("flags", [0, libc.SA_RESTART])
@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_wait_goes_on_after_a_signal(
    queue: posix.MessageQueue, fork: Fork, gate: Callable[[], Gate], timeout: float | None, flags: int
) -> None:
    ready, handled = gate(), gate()

    def receive() -> tuple[bytes, int]:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: handled.open(), flags=flags))
        ready.open()
        return queue.receive(timeout)

    child = fork(receive)
    ready.wait()
    for _ in range(3):
        until_blocked(child)
        child.kill(libc.SIGUSR1)
        handled.wait()
    queue.send(b"hello")
    assert child.result() == (b"hello", 0)


@pytest.mark.parametrize("timeout", [None, DEADLINE])
@pytest.mark.parametrize("kind", [ZeroDivisionError, TimeoutError, InterruptedError, BlockingIOError])
def test_what_the_handler_raises_comes_out_of_the_wait(
    queue: posix.MessageQueue, fork: Fork, gate: Callable[[], Gate], timeout: float | None, kind: type[Exception]
) -> None:
    ready = gate()

    def fail(signum: int) -> None:
        raise kind("raised by the handler")

    def receive() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(fail, flags=libc.SA_RESTART))
        ready.open()
        queue.receive(timeout)

    child = fork(receive)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    with pytest.raises(kind, match="raised by the handler"):
        child.result()


def test_many_processes_take_every_message_once(queue: posix.MessageQueue, fork: Fork) -> None:
    def receive() -> list[int]:
        received = []
        while (number := int(queue.receive(DEADLINE)[0])) >= 0:
            received.append(number)
        return received

    children = [fork(receive) for _ in range(3)]
    for number in range(300):
        queue.send(str(number).encode(), 1)
    for _ in children:
        queue.send(b"-1", 0)
    assert sorted(number for child in children for number in child.result()) == list(range(300))


def test_a_queue_goes_into_a_selector(queue: posix.MessageQueue) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(queue, selectors.EVENT_READ)
        assert selector.select(0) == []
        queue.send(b"x")
        assert [key.fileobj for key, _ in selector.select(DEADLINE)] == [queue]


def test_a_message_is_told_once_and_by_whom(
    queue: posix.MessageQueue, fork: Fork, block: Callable[..., object]
) -> None:
    block(NEWS)
    queue.notify(NEWS, 42)
    child = fork(lambda: queue.send_many([(b"news", 0), (b"more", 0)]))
    info = libc.sigtimedwait({NEWS}, DEADLINE)
    assert (info.si_code, info.si_value, info.si_pid) == (libc.SI_MESGQ, 42, child.pid)
    child.result()
    queue.receive_many(2)
    queue.notify(NEWS)
    with pytest.raises(OSError, match="a process is registered already"):
        queue.notify(NEWS)
    queue.notify(None)
    queue.send(b"nobody is told")
    assert NEWS not in libc.sigpending()


# -- calls --


@pytest.fixture
def threads() -> Iterator[None]:
    """Let the threads end that a test has begun, and that are on their way to it."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE)


def test_a_message_to_the_empty_queue_calls_a_function_once_in_a_thread_of_its_own(
    queue: posix.MessageQueue, threads: None
) -> None:
    called: SimpleQueue[tuple[object, ...]] = SimpleQueue()

    def call(*arguments: object) -> None:
        mask = libc.sigprocmask(libc.SIG_BLOCK)
        called.put((threading.current_thread() is threading.main_thread(), mask, *arguments))

    mask = libc.sigprocmask(libc.SIG_BLOCK)
    queue.notify_call(call, "news", 42)
    assert libc.sigprocmask(libc.SIG_BLOCK) == mask
    with pytest.raises(OSError, match="a process is registered already"):
        queue.notify_call(call)
    queue.send(b"news")
    blocked = libc.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}
    assert called.get(timeout=DEADLINE) == (False, blocked, "news", 42)
    queue.receive()
    queue.send(b"told already")
    assert called.empty()


def test_the_function_can_ask_for_the_next_call(queue: posix.MessageQueue, threads: None) -> None:
    received: SimpleQueue[bytes] = SimpleQueue()

    def call() -> None:
        queue.notify_call(call)
        received.put(queue.receive(0)[0])

    queue.notify_call(call)
    for number in range(100):
        queue.send(str(number).encode())
        assert received.get(timeout=DEADLINE) == str(number).encode()
    queue.notify(None)


@pytest.mark.parametrize(
    "withdraw", [lambda queue: queue.notify(None), posix.MessageQueue.close], ids=["None", "close"]
)
def test_a_call_that_was_withdrawn_is_never_made_and_its_thread_ends(
    name: str, withdraw: Callable[[posix.MessageQueue], None]
) -> None:
    called: list[bool] = []
    before = set(threading.enumerate())
    with posix.MessageQueue.create(name, max_messages=1, max_size=8) as sender:
        receiver = posix.MessageQueue.open(name)
        receiver.notify_call(called.append, True)
        (thread,) = set(threading.enumerate()) - before
        withdraw(receiver)
        thread.join(DEADLINE)
        assert not thread.is_alive()
        sender.send(b"x")
        receiver.close()
    assert called == []


def test_where_no_thread_can_be_begun_nothing_is_registered(
    queue: posix.MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", fail)
    with pytest.raises(RuntimeError, match="can't start"):
        queue.notify_call(print)
    told = libc.mq_notify_fd(queue.fileno())  # nobody else is registered
    os.close(told)


def test_the_limits_of_a_queue_for_which_none_were_asked_are_those_that_it_can_have(
    ipc_namespace: processes.IpcLimits,
) -> None:
    Path("/proc/sys/fs/mqueue/msg_max").write_text("5")
    assert posix.default_limit("msg") == 5
    with posix.MessageQueue.create(NAME) as queue:
        queue.unlink()
        assert queue.status().max_messages == 5
        assert queue.max_size == posix.default_limit("msgsize")


# -- signals that end a wait --


class Interrupted(posix.MessageQueue):
    resumes = False


@pytest.mark.parametrize("call", ["send", "receive"])
@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_wait_ends_with_a_signal_where_a_subclass_says_so(
    name: str, fork: Fork, gate: Callable[[], Gate], timeout: float | None, call: str
) -> None:
    ready = gate()

    def child() -> int | None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))
        with Interrupted.create(name, max_messages=1, max_size=8) as queue:
            if call == "send":
                queue.send(b"full")
            ready.open()
            with pytest.raises(InterruptedError) as caught:
                queue.send(b"x", 0, timeout) if call == "send" else queue.receive(timeout)
        return caught.value.errno

    waiting = fork(child)
    ready.wait()
    until_blocked(waiting)
    waiting.kill(libc.SIGUSR1)
    assert waiting.result() == errno.EINTR


# -- a model --


class QueueMachine(RuleBasedStateMachine):
    """A queue is a list that is kept sorted, with an end."""

    def __init__(self) -> None:
        super().__init__()
        self.queue = posix.MessageQueue.open_or_create(NAME, max_messages=ROOM, max_size=SIZE)
        self.queue.unlink()
        self.model: list[tuple[bytes, int]] = []

    @rule(text=st.binary(max_size=SIZE), priority=st.integers(0, libc.MQ_PRIO_MAX - 1) | st.integers(0, 2))
    def send(self, text: bytes, priority: int) -> None:
        if len(self.model) == ROOM:
            with pytest.raises(TimeoutError):
                self.queue.send(text, priority, timeout=0)
        else:
            self.queue.send(text, priority)
            self.model.append((text, priority))
            self.model.sort(key=lambda message: -message[1])  # stable: the oldest first

    @rule(messages=st.lists(st.tuples(st.binary(max_size=SIZE), st.integers(0, 3)), max_size=ROOM + 1))
    def send_many(self, messages: list[tuple[bytes, int]]) -> None:
        going = messages[: ROOM - len(self.model)]
        if messages and not going:
            with pytest.raises(TimeoutError):
                self.queue.send_many(messages, timeout=0)
        else:
            assert self.queue.send_many(messages, timeout=0) == len(going)
        self.model += going
        self.model.sort(key=lambda message: -message[1])

    @precondition(lambda self: not self.model)
    @rule()
    def receive_nothing(self) -> None:
        with pytest.raises(TimeoutError):
            self.queue.receive(0)

    @precondition(lambda self: self.model)
    @rule(into=st.booleans())
    def receive(self, into: bool) -> None:
        text, priority = self.model.pop(0)
        if into:
            room = bytearray(SIZE)
            assert self.queue.receive_into(room) == (len(text), priority)
            assert room[: len(text)] == text
        else:
            assert self.queue.receive() == (text, priority)

    @precondition(lambda self: self.model)
    @rule(count=st.integers(1, ROOM + 1))
    def receive_many(self, count: int) -> None:
        assert self.queue.receive_many(count) == self.model[:count]
        del self.model[:count]

    @invariant()
    def counts(self) -> None:
        assert self.queue.status().messages == len(self.model)

    def teardown(self) -> None:
        self.queue.close()


def test_a_queue_behaves_as_a_sorted_list(name: str) -> None:
    run_state_machine_as_test(QueueMachine, settings=settings(max_examples=60))


# -- with others --

STRANGER = """
import sys
from unixipc import posix
with posix.MessageQueue.open(sys.argv[1]) as queue:
    text, priority = queue.receive(30)
    queue.send(text.upper(), priority + 1)
"""


def test_a_process_that_only_knows_the_name_takes_part(queue: posix.MessageQueue, name: str) -> None:
    queue.send(b"hello", 6)
    subprocess.run([sys.executable, "-c", STRANGER, name], check=True, timeout=DEADLINE)
    assert queue.receive(0) == (b"HELLO", 7)


def test_posix_ipc_and_ours_use_each_other_s_queues(name: str) -> None:
    theirs = posix_ipc.MessageQueue(name, posix_ipc.O_CREX, max_messages=2, max_message_size=SIZE)
    with posix.MessageQueue.open(name) as ours:
        theirs.send(b"from them", priority=5)
        assert ours.receive(0) == (b"from them", 5)
        ours.send(b"from us", 7)
        assert theirs.receive(0) == (b"from us", 7)
        assert (theirs.max_messages, theirs.max_message_size) == (ours.status().max_messages, ours.max_size)
        theirs.close()
        ours.unlink()
    with pytest.raises(posix_ipc.ExistentialError):
        posix_ipc.MessageQueue(name)
    with posix.MessageQueue.create(name, max_messages=1, max_size=8) as ours:
        theirs = posix_ipc.MessageQueue(name)
        ours.send(b"again")
        assert theirs.receive(0) == (b"again", 0)
        theirs.close()
    posix_ipc.unlink_message_queue(name)
    with pytest.raises(FileNotFoundError):
        posix.MessageQueue.open(name)


C_SOURCE = """
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
int main(int argc, char **argv) {
    char text[64];
    unsigned priority;
    struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = sizeof text};
    mqd_t in = mq_open(argv[1], O_RDONLY), out = mq_open(argv[2], O_CREAT | O_EXCL | O_WRONLY, 0600, &attr);
    ssize_t length = in < 0 || out < 0 || argc != 3 ? -1 : mq_receive(in, text, sizeof text, &priority);
    if (length < 0) { perror("C"); return 1; }
    return mq_send(out, text, (size_t)length, priority + 1) || mq_unlink(argv[1]);
}
"""


def test_a_c_program_and_ours_use_each_other_s_queues(queue: posix.MessageQueue, name: str, tmp_path: Path) -> None:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("there is no gcc to compile the C program with")
    (tmp_path / "partner.c").write_text(C_SOURCE)
    subprocess.run([gcc, "-o", tmp_path / "partner", tmp_path / "partner.c", "-lrt"], check=True)
    queue.send(b"to C", 8)
    subprocess.run([tmp_path / "partner", name, f"{name}-back"], check=True, timeout=DEADLINE)
    with posix.MessageQueue.open(f"{name}-back") as back:
        back.unlink()
        assert back.receive(0) == (b"to C", 9)
    with pytest.raises(FileNotFoundError):
        queue.unlink()
