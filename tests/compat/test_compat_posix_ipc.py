"""unixipc.compat.posix_ipc: what is documented, also where posix_ipc crashes, loses state or does something else.

What could end the interpreter is tried in a forked child. What both do alike is in test_compat_posix_ipc_alike.py.
"""

from __future__ import annotations

import errno
import gc
import mmap
import os
import resource
import selectors
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, cast

import posix_ipc as theirs
import pytest
from nobody import NOBODY, needs_root
from until import until_blocked

from unixipc import libc
from unixipc.compat import posix_ipc as ours
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

NAME = f"/unixipc-compat-{os.getpid()}"
FILE = Path(f"/dev/shm/sem.{NAME[1:]}")  # noqa: S108 - where the C library keeps it
KINDS: dict[str, Callable[..., Any]] = {
    "Semaphore": ours.Semaphore,
    "SharedMemory": ours.SharedMemory,
    "MessageQueue": ours.MessageQueue,
}
UNLINKS = [ours.unlink_semaphore, ours.unlink_shared_memory, ours.unlink_message_queue]
NEWS = int(signal.SIGRTMIN)
NO_NAME = r"contains a NUL|surrogates not allowed"


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Remove what the test has made by name, and let the threads end that it has begun."""
    before = set(threading.enumerate())
    yield
    for unlink in (libc.sem_unlink, libc.shm_unlink, libc.mq_unlink):
        with suppress(OSError):
            unlink(NAME)
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE)


@pytest.fixture
def queue() -> Iterator[ours.MessageQueue]:
    made = ours.MessageQueue(NAME, ours.O_CREX, max_messages=2, max_message_size=16)
    yield made
    with suppress(ours.ExistentialError):  # the test may have closed it
        made.close()


@pytest.fixture
def semaphore() -> Iterator[ours.Semaphore]:
    made = ours.Semaphore(NAME, ours.O_CREX)
    yield made
    with suppress(ours.ExistentialError):
        made.close()


def opened_with(make: Callable[..., Any]) -> None:
    """Make an object, and be done with it."""
    thing = make(NAME, ours.O_CREX)
    (thing.close_fd if isinstance(thing, ours.SharedMemory) else thing.close)()
    thing.unlink()


# -- what ends the interpreter with posix_ipc --


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "name",
    [f"{NAME}\0", f"{NAME}\0more", f"{NAME}\0".encode(), "\0", "/\ud800"],
    ids=["end", "middle", "bytes", "only", "surrogate"],
)
def test_a_name_with_a_nul_or_without_an_encoding_opens_nothing(kind: str, name: str | bytes, fork: Fork) -> None:
    def child() -> None:
        for flags in (0, ours.O_CREAT, ours.O_CREX):
            with pytest.raises(ValueError, match=NO_NAME):
                KINDS[kind](name, flags)

    ours.Semaphore(NAME, ours.O_CREX).close()
    ours.SharedMemory(NAME, ours.O_CREX).close_fd()
    ours.MessageQueue(NAME, ours.O_CREX).close()
    fork(child).result()
    for unlink in UNLINKS:
        if isinstance(name, str):
            with pytest.raises(ValueError, match=NO_NAME):
                unlink(name)
        unlink(NAME)  # it is still there


def test_a_message_that_is_none_is_a_type_error(queue: ours.MessageQueue, fork: Fork) -> None:
    def child() -> None:
        send: Any = queue.send
        for _ in range(100):
            for arguments in ((), (123,), (None,), ([1],), (object(),), ("x", "soon"), ("x", None, None)):
                with pytest.raises(TypeError):
                    send(*arguments)
        with pytest.raises(ValueError, match="surrogates not allowed"):
            send("\ud800")
        with pytest.raises(BufferError):
            send(memoryview(b"abcdef")[::2])
        assert queue.current_messages == 0

    fork(child).result()


def test_attributes_cannot_be_deleted(queue: ours.MessageQueue, semaphore: ours.Semaphore, fork: Fork) -> None:
    def child() -> None:
        memory = ours.SharedMemory(NAME, ours.O_CREX)
        for thing in (queue, semaphore, memory):
            for name in dir(thing):
                if not name.startswith("_"):
                    with pytest.raises(AttributeError):
                        delattr(thing, name)
        memory.close_fd()
        assert queue.block

    fork(child).result()


def test_a_notification_outlives_the_queue_object_that_asked_for_it(fork: Fork) -> None:
    def child() -> str:
        called: SimpleQueue[str] = SimpleQueue()
        queue = ours.MessageQueue(NAME, ours.O_CREX)
        queue.request_notification((called.put, "called"))
        descriptor = queue.mqd
        del queue
        gc.collect()
        libc.mq_send(descriptor, b"x")
        return called.get(timeout=DEADLINE)

    assert fork(child, allow_threads=True).result() == "called"


@pytest.mark.parametrize("content", [b"", b"x", bytes(libc.SEM_SIZE - 1), b"\xff" * 64])
def test_a_file_that_is_no_semaphore_is_not_opened(content: bytes, fork: Fork) -> None:
    FILE.write_bytes(content)

    def child() -> None:
        for flags in (0, ours.O_CREAT):
            with pytest.raises(ValueError, match=r"is no semaphore: remove it with sem_unlink\(\)"):
                ours.Semaphore(NAME, flags)
        with pytest.raises(ours.ExistentialError):
            ours.Semaphore(NAME, ours.O_CREX)
        ours.unlink_semaphore(NAME)
        with ours.Semaphore(NAME, ours.O_CREX, initial_value=1) as semaphore:
            pass
        semaphore.close()

    fork(child).result()


def test_objects_that_were_never_opened_can_do_nothing(fork: Fork) -> None:
    class Lazy(ours.SharedMemory):
        def __init__(self) -> None:
            pass

    def child() -> None:
        things: list[Any] = [cls.__new__(cls) for cls in (ours.Semaphore, ours.SharedMemory, ours.MessageQueue)]
        for thing in [*things, Lazy()]:
            for name in dir(thing):
                if not name.startswith("__") and name not in {"_open", "_open_memory"}:
                    with suppress(AttributeError, TypeError):
                        getattr(thing, name)()
        os.fstat(0)  # it was not closed

    fork(child).result()


@pytest.mark.parametrize("evil", [ZeroDivisionError, KeyboardInterrupt, SystemExit], ids=lambda kind: kind.__name__)
def test_what_arguments_raise_comes_out(evil: type[BaseException], semaphore: ours.Semaphore) -> None:
    class Evil:
        def __index__(self) -> int:
            raise evil

        __bool__ = __float__ = __index__

    for make in KINDS.values():
        for arguments in ((Evil(),), (ours.O_CREX, Evil()), (ours.O_CREX, 0o600, Evil())):
            with pytest.raises(evil):
                make(f"{NAME}-evil", *arguments)
    with pytest.raises(TypeError):
        semaphore.acquire(cast("Any", Evil()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("number", [-1, 2**31, 2**32, 2**63, 2**64, -(2**63), 10**30])
def test_numbers_that_c_cannot_hold_are_errors(kind: str, number: int, fork: Fork) -> None:
    def child() -> None:
        for settings in ({"flags": number}, {"mode": number}, {"max_messages": number}, {"size": number}):
            with suppress(ValueError, OverflowError, OSError, TypeError):
                opened_with(lambda name, flags, settings=settings: KINDS[kind](name, **{"flags": flags, **settings}))

    fork(child).result()


# -- what posix_ipc loses --


def grows_too_far(flags: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    with pytest.raises(ValueError, match="File too large"):
        ours.SharedMemory(NAME, flags, size=1001)


def test_opening_the_memory_of_somebody_else_never_removes_it(fork: Fork) -> None:
    owner = ours.SharedMemory(NAME, ours.O_CREX, size=100)
    for flags in (0, ours.O_CREAT):
        with pytest.raises(ValueError, match="cannot be given a size"):
            ours.SharedMemory(NAME, flags, size=10, read_only=True)
    fork(grows_too_far, 0).result()
    fork(grows_too_far, ours.O_CREAT).result()
    assert owner.size == 100
    ours.SharedMemory(NAME).close_fd()
    owner.close_fd()


@pytest.mark.parametrize("flags", [ours.O_CREAT, ours.O_CREX])
def test_memory_that_cannot_have_its_size_is_not_left_behind(flags: int, fork: Fork) -> None:
    fork(grows_too_far, flags).result()
    with pytest.raises(ours.ExistentialError):
        ours.SharedMemory(NAME)


def test_a_name_that_is_no_utf_8_is_told_as_the_file_system_does() -> None:
    name = NAME.encode() + b"\xff\xfe"
    for make in KINDS.values():
        thing = make(name, ours.O_CREX)
        assert (thing.name, str(thing)) == (os.fsdecode(name), os.fsdecode(name))
        thing.unlink()
        (thing.close_fd if isinstance(thing, ours.SharedMemory) else thing.close)()


def test_a_closed_semaphore_can_still_be_unlinked(semaphore: ours.Semaphore) -> None:
    semaphore.close()
    semaphore.unlink()
    with pytest.raises(ours.ExistentialError):
        ours.Semaphore(NAME)


@pytest.mark.parametrize("value", [2**32, 2**32 + 5, -(2**32), 2**64])
def test_an_initial_value_is_not_taken_for_another(value: int) -> None:
    with pytest.raises(ValueError, match="a value is at most SEM_VALUE_MAX"):
        ours.Semaphore(NAME, ours.O_CREX, initial_value=value)


def test_received_messages_take_no_more_room_than_they_are_long(queue: ours.MessageQueue) -> None:
    big = ours.MessageQueue(None, ours.O_CREX)
    big.unlink()
    big.send("x")
    assert sys.getsizeof(big.receive()[0]) == sys.getsizeof(b"x")
    big.close()


@pytest.mark.parametrize("timeout", [float("inf"), 1e300, 2**63, 10**400])
def test_a_timeout_without_end_waits(
    timeout: float, semaphore: ours.Semaphore, queue: ours.MessageQueue, fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready = gate()

    def child() -> tuple[bytes, int]:
        ready.open()
        semaphore.acquire(timeout)
        ready.open()
        return queue.receive(timeout)

    waiting = fork(child)
    ready.wait()
    until_blocked(waiting)
    semaphore.release()
    ready.wait()
    until_blocked(waiting)
    queue.send("x", timeout)
    assert waiting.result() == (b"x", 0)


def test_nan_is_no_timeout(semaphore: ours.Semaphore, queue: ours.MessageQueue) -> None:
    waits: list[Callable[[float], object]] = [semaphore.acquire, queue.receive, lambda nan: queue.send("", nan)]
    for wait in waits:
        with pytest.raises(TypeError, match="None or a non-negative number"):
            wait(float("nan"))


def test_waits_are_measured_by_a_clock_that_nobody_sets(
    semaphore: ours.Semaphore, queue: ours.MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: pytest.fail("the wall clock was asked"))
    for wait in (semaphore.acquire, queue.receive):
        before = time.monotonic()
        with pytest.raises(ours.BusyError):
            wait(0.05)
        assert time.monotonic() - before >= 0.05


# -- errors --


def test_errors_are_those_of_posix_ipc_and_of_the_system() -> None:
    for cls in (ours.SignalError, ours.PermissionsError, ours.ExistentialError, ours.BusyError):
        assert issubclass(cls, ours.Error)
    assert issubclass(ours.Error, OSError)
    assert issubclass(ours.SignalError, InterruptedError)
    assert issubclass(ours.PermissionsError, PermissionError)


def test_each_error_has_the_errno_and_is_of_the_builtin_class(
    queue: ours.MessageQueue, semaphore: ours.Semaphore
) -> None:
    reader = ours.MessageQueue(NAME, write=False)
    idle = ours.MessageQueue(NAME, ours.O_NONBLOCK)
    closed = ours.MessageQueue(NAME)
    closed.close()
    cases: list[tuple[Callable[[], object], type[ours.Error], type[OSError], int]] = [
        (lambda: ours.Semaphore("/none"), ours.ExistentialError, FileNotFoundError, errno.ENOENT),
        (lambda: ours.SharedMemory("/none"), ours.ExistentialError, FileNotFoundError, errno.ENOENT),
        (lambda: ours.MessageQueue("/none"), ours.ExistentialError, FileNotFoundError, errno.ENOENT),
        (lambda: ours.unlink_message_queue("/none"), ours.ExistentialError, FileNotFoundError, errno.ENOENT),
        (lambda: ours.Semaphore(NAME, ours.O_CREX), ours.ExistentialError, FileExistsError, errno.EEXIST),
        (lambda: ours.MessageQueue(NAME, ours.O_CREX), ours.ExistentialError, FileExistsError, errno.EEXIST),
        (lambda: semaphore.acquire(0), ours.BusyError, TimeoutError, errno.ETIMEDOUT),
        (lambda: semaphore.acquire(0.001), ours.BusyError, TimeoutError, errno.ETIMEDOUT),
        (lambda: queue.receive(0), ours.BusyError, TimeoutError, errno.ETIMEDOUT),
        (idle.receive, ours.BusyError, BlockingIOError, errno.EAGAIN),
        (lambda: reader.send("x"), ours.PermissionsError, PermissionError, errno.EACCES),
        (closed.receive, ours.ExistentialError, OSError, errno.EBADF),
        (lambda: closed.request_notification(NEWS), ours.ExistentialError, OSError, errno.EBADF),
    ]
    for use, cls, builtin, code in cases:
        with pytest.raises(cls) as caught:
            use()
        assert isinstance(caught.value, builtin)
        assert caught.value.errno == code
        assert str(caught.value).startswith(f"[Errno {code}] ")
    reader.close()
    idle.close()


@needs_root
@pytest.mark.parametrize("kind", KINDS)
def test_somebody_else_is_refused(kind: str, fork: Fork) -> None:
    thing = KINDS[kind](NAME, ours.O_CREX)

    def child() -> None:
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        for refused in (lambda: KINDS[kind](NAME), thing.unlink):
            with pytest.raises(ours.PermissionsError) as caught:
                refused()
            assert isinstance(caught.value, PermissionError)
            assert caught.value.errno == errno.EACCES

    fork(child).result()
    (thing.close_fd if isinstance(thing, ours.SharedMemory) else thing.close)()


def test_the_limit_of_a_user_s_queues_is_named(fork: Fork) -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (1000, 1000))
        with pytest.raises(OSError, match="RLIMIT_MSGQUEUE") as caught:
            ours.MessageQueue(NAME, ours.O_CREX)
        assert caught.value.errno == errno.EMFILE
        assert not isinstance(caught.value, ours.Error)

    fork(child).result()


# -- signals --


@pytest.mark.parametrize("timeout", [None, DEADLINE])
@pytest.mark.parametrize("call", ["acquire", "send", "receive"])
@pytest.mark.parametrize("raised", [None, KeyboardInterrupt, ZeroDivisionError, InterruptedError])
def test_a_signal_ends_a_wait_with_signal_error_or_with_what_its_handler_raises(
    call: str,
    timeout: float | None,
    raised: type[BaseException] | None,
    semaphore: ours.Semaphore,
    queue: ours.MessageQueue,
    fork: Fork,
    gate: Callable[[], Gate],
) -> None:
    ready = gate()
    waits: dict[str, Callable[[], object]] = {
        "acquire": lambda: semaphore.acquire(timeout),
        "send": lambda: queue.send("x", timeout),
        "receive": lambda: queue.receive(timeout),
    }
    handled: list[int] = []

    def handle(signum: int, frame: object) -> None:
        handled.append(signum)
        if raised is not None:
            raise raised("raised by the handler")

    def child() -> tuple[list[int], str, bool]:
        signal.signal(signal.SIGUSR1, handle)
        ready.open()
        with pytest.raises(BaseException) as caught:  # noqa: PT011 - its class is the question
            waits[call]()
        return handled, type(caught.value).__name__, isinstance(caught.value, ours.SignalError)

    if call == "send":
        queue.send("full")
        queue.send("full")
    waiting = fork(child)
    ready.wait()
    until_blocked(waiting)
    waiting.kill(signal.SIGUSR1)
    expected = "SignalError" if raised is None else raised.__name__
    assert waiting.result() == ([signal.SIGUSR1], expected, raised is None)


# -- notification --


def test_a_signal_tells_of_a_message_and_of_who_sent_it(
    queue: ours.MessageQueue, fork: Fork, block: Callable[..., object]
) -> None:
    block(NEWS)
    queue.request_notification(signal.SIGUSR2)
    queue.request_notification(NEWS)  # instead
    child = fork(queue.send, "news")
    info = signal.sigtimedwait([NEWS], DEADLINE)
    assert info is not None
    assert (info.si_code, info.si_pid) == (libc.SI_MESGQ, child.pid)
    child.result()
    queue.receive()
    queue.send("told already")
    assert NEWS not in signal.sigpending()


def test_a_call_takes_the_place_of_a_signal_and_none_that_of_either(
    queue: ours.MessageQueue, block: Callable[..., object]
) -> None:
    block(NEWS)
    called: SimpleQueue[tuple[str, int | None]] = SimpleQueue()

    def call(text: str) -> None:
        called.put((text, threading.current_thread().native_id))

    queue.request_notification(NEWS)
    queue.request_notification((call, "first"))
    queue.request_notification((call, "second"))
    queue.send("x")
    text, thread = called.get(timeout=DEADLINE)
    assert text == "second"
    assert thread != threading.get_native_id()
    queue.receive()
    queue.request_notification((call, "third"))
    queue.request_notification()
    queue.send("x")
    queue.receive()
    queue.request_notification((call, "fourth"))
    queue.request_notification(NEWS)
    queue.send("x")
    assert signal.sigtimedwait([NEWS], DEADLINE) is not None
    assert called.empty()


def test_one_process_is_told_and_others_are_busy(queue: ours.MessageQueue, fork: Fork) -> None:
    def child() -> list[int | None]:
        codes = []
        for notification in (NEWS, (print, "never")):
            with pytest.raises(ours.BusyError) as caught:
                queue.request_notification(notification)
            codes.append(caught.value.errno)
        queue.request_notification(None)  # not that of the parent
        with pytest.raises(ours.BusyError):
            queue.request_notification(NEWS)
        return codes

    queue.request_notification(signal.SIGUSR2)
    assert fork(child).result() == [errno.EBUSY, errno.EBUSY]
    queue.request_notification()


def test_what_a_call_raises_goes_where_threads_have_it(
    queue: ours.MessageQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: SimpleQueue[object] = SimpleQueue()
    monkeypatch.setattr(threading, "excepthook", lambda raised: told.put(raised.exc_type))

    def fail(parameter: object) -> None:
        raise ZeroDivisionError

    queue.request_notification((fail, None))
    queue.send("x")
    assert told.get(timeout=DEADLINE) is ZeroDivisionError


# -- lives --


def test_nothing_is_closed_or_unlinked_by_itself() -> None:
    memory_fd = ours.SharedMemory(NAME, ours.O_CREX, size=8).fd
    mqd = ours.MessageQueue(NAME, ours.O_CREX).mqd
    ours.Semaphore(NAME, ours.O_CREX, initial_value=5)
    gc.collect()
    with mmap.mmap(memory_fd, 8) as mapped:
        mapped[:2] = b"ok"
    libc.mq_send(mqd, b"ok")
    assert ours.Semaphore(NAME).value == 5
    libc.mq_close(mqd)
    os.close(memory_fd)


def test_a_forked_child_uses_what_it_inherits_and_shares_block(queue: ours.MessageQueue, fork: Fork) -> None:
    semaphore = ours.Semaphore(NAME, ours.O_CREX)
    memory = ours.SharedMemory(NAME, ours.O_CREX, size=8)

    def child() -> None:
        queue.send("from the child")
        queue.block = False
        os.pwrite(memory.fd, b"written", 0)
        semaphore.release()
        for thing in (queue, semaphore):
            thing.close()
        memory.close_fd()

    fork(child).result()
    semaphore.acquire(0)
    assert queue.receive() == (b"from the child", 0)
    assert not queue.block
    assert os.pread(memory.fd, 7, 0) == b"written"
    semaphore.close()
    memory.close_fd()


def test_a_queue_goes_into_a_selector(queue: ours.MessageQueue) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(queue, selectors.EVENT_READ)
        assert selector.select(0) == []
        queue.send("x")
        assert [key.fileobj for key, _ in selector.select(DEADLINE)] == [queue]


def test_names_that_are_made_up_are_not_taken() -> None:
    made = [ours.SharedMemory(None, ours.O_CREX) for _ in range(100)]
    assert len({memory.name for memory in made}) == 100
    for memory in made:
        assert memory.name[0] == "/"
        assert 5 <= len(memory.name[1:]) <= 12
        assert set(memory.name[1:]) <= set("abcdefghijklmnopqrstuvwxyz")
        memory.close_fd()
        memory.unlink()


# -- with posix_ipc, both ways --


@pytest.mark.parametrize(("first", "second"), [(theirs, ours), (ours, theirs)], ids=["theirs makes", "ours makes"])
def test_what_one_makes_the_other_uses_and_removes(first: Any, second: Any, fork: Fork) -> None:
    semaphore = first.Semaphore(NAME, first.O_CREX)
    memory = first.SharedMemory(NAME, first.O_CREX, size=4096)
    queue = first.MessageQueue(NAME, first.O_CREX, max_messages=2, max_message_size=64)

    def partner() -> None:
        there = second.Semaphore(NAME)
        there.acquire(DEADLINE)
        shared = second.SharedMemory(NAME)
        assert shared.size == 4096
        with mmap.mmap(shared.fd, shared.size) as mapped:
            assert mapped[:5] == b"hello"
            mapped[:5] = b"HELLO"
        messages = second.MessageQueue(NAME)
        assert (messages.max_messages, messages.max_message_size) == (2, 64)
        assert messages.receive(DEADLINE) == (b"question", 7)
        messages.send("answer", DEADLINE, 9)
        messages.close()
        shared.close_fd()
        there.release()
        for unlink in ("unlink_semaphore", "unlink_shared_memory", "unlink_message_queue"):
            getattr(second, unlink)(NAME)

    child = fork(partner)
    with mmap.mmap(memory.fd, memory.size) as mapped:
        mapped[:5] = b"hello"
        queue.send("question", DEADLINE, 7)
        semaphore.release()
        child.result()
        assert mapped[:5] == b"HELLO"
    assert queue.receive(0) == (b"answer", 9)
    semaphore.acquire(0)
    for kind in ("Semaphore", "SharedMemory", "MessageQueue"):
        with pytest.raises(first.ExistentialError):
            getattr(first, kind)(NAME)
    semaphore.close()
    memory.close_fd()
    queue.close()
