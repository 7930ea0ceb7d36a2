"""The fronts of hot methods in `sysv`, `posix` and `pipes`: they do what the Python methods do, whatever they get."""

from __future__ import annotations

import copy
import gc
import inspect
import os
import pickle
import threading
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from until import until_blocked, until_thread_blocked

from unixipc import _cpython, libc, pipes, posix, sysv
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

NAME = f"/unixipc-hot-{os.getpid()}"
SIZE = 32
KINDS = ["sysv queue", "posix queue", "sysv semaphore", "sysv set", "posix semaphore", "posix in memory"]

NAMES = [f"{twin.__module__}.{front.__qualname__}" for front, twin in _cpython.method_fronts.items()]

ways = pytest.mark.usefixtures("way")


@pytest.fixture
def make() -> Iterator[Callable[[str], Any]]:
    """Make an object of a kind, which goes with the test."""
    undo: list[Callable[[], None]] = []

    def sysv_object(made: sysv.MessageQueue | sysv.Semaphore | sysv.SemaphoreSet) -> Any:
        msqid = made.id
        if isinstance(made, sysv.MessageQueue):
            undo.append(lambda: libc.msgctl(msqid, libc.IPC_RMID))
        else:
            undo.append(lambda: libc.semctl(msqid, 0, libc.IPC_RMID))
        return made

    def posix_object(made: posix.MessageQueue | posix.Semaphore) -> Any:
        fd, sem = getattr(made, "_fd", None), getattr(made, "_sem", None)

        def close() -> None:
            made._fd, made._sem = fd, sem  # type: ignore[union-attr]  # whatever the test did to them
            made.close()

        undo.extend((made.unlink, close))
        return made

    def make(kind: str) -> Any:
        if kind == "sysv queue":
            return sysv_object(sysv.MessageQueue.create())
        if kind == "sysv semaphore":
            return sysv_object(sysv.Semaphore.create(1))
        if kind == "sysv set":
            return sysv_object(sysv.SemaphoreSet.create([1, 1]))
        if kind == "posix queue":
            return posix_object(posix.MessageQueue.create(NAME, max_messages=3, max_size=SIZE))
        if kind == "posix semaphore":
            return posix_object(posix.Semaphore.create(NAME, 1))
        memory = libc.mmap(None, libc.PAGE_SIZE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED | libc.MAP_ANONYMOUS)
        undo.append(lambda: libc.munmap(memory))
        return posix.UnnamedSemaphore.create(memory, 1)

    yield make
    for step in reversed(undo):
        with suppress(OSError):  # the test may have removed it
            step()


def uses(thing: Any) -> list[Callable[..., Any]]:
    """Give the hot methods, each with what makes it return at once."""
    if isinstance(thing, sysv.SemaphoreSet):
        return [lambda *more: thing.operate((0, -1), *more), lambda *more: thing.operate((0, 1), (1, 1), *more)]
    if isinstance(thing, (sysv.MessageQueue, posix.MessageQueue)):
        return [
            lambda *more: thing.send(b"text", *more),
            thing.receive,
            lambda *more: (thing.send(b"text"), thing.receive_many(3, *more)),
        ]
    return [thing.acquire, thing.release]


# -- what a front looks like --


@pytest.mark.parametrize(("front", "twin"), _cpython.method_fronts.items(), ids=NAMES)
def test_a_front_looks_like_its_twin(front: Any, twin: Any) -> None:
    owner = front.__objclass__
    assert vars(owner)[twin.__name__] is front
    assert twin.__module__ == owner.__module__
    assert twin.__qualname__.split(".")[0] in [cls.__name__ for cls in owner.__mro__]
    assert front.__qualname__ == f"{owner.__qualname__}.{twin.__name__}"
    assert pickle.loads(pickle.dumps(front)) is front
    itself, *parameters = inspect.signature(front).parameters.values()
    _, *wanted = inspect.signature(twin).parameters.values()
    assert itself.name == "self"
    assert parameters == [parameter.replace(annotation=parameter.empty) for parameter in wanted]
    assert (front.__name__, inspect.getdoc(front)) == (twin.__name__, inspect.getdoc(twin))


def test_every_twin_has_a_front_in_each_class_that_has_it() -> None:
    hot: list[Any] = [
        sysv.MessageQueue.send,
        sysv.MessageQueue.receive,
        sysv.MessageQueue.receive_many,
        sysv.SetMember.acquire,
        sysv.SetMember.release,
        sysv.SemaphoreSet.operate,
        posix.MessageQueue.send,
        posix.MessageQueue.receive,
        posix.MessageQueue.receive_many,
        posix.Semaphore.acquire,
        posix.Semaphore.release,
        posix.UnnamedSemaphore.acquire,
        posix.UnnamedSemaphore.release,
        pipes.Reader.read,
        pipes.Writer.write,
    ]
    assert set(_cpython.method_fronts) == set(hot)


def test_a_subclass_inherits_fronts_and_its_other_bases_are_told_of_it() -> None:
    told: list[tuple[type, object]] = []

    class Listening:
        def __init_subclass__(cls, **said: object) -> None:
            told.append((cls, said))

    class Queue(posix.MessageQueue, Listening, topic="any"):
        pass

    assert told == [(Queue, {"topic": "any"})]
    assert "send" not in vars(Queue)
    assert Queue.send is posix.MessageQueue.send
    with pytest.raises(TypeError, match="takes no keyword arguments"):
        type("Wrong", (posix.MessageQueue,), {}, topic="any")


def test_only_what_has_a_front_gets_one() -> None:
    for twin in (lambda: None, KINDS.sort, test_only_what_has_a_front_gets_one, sysv.MessageQueue.close):
        with pytest.raises(ValueError, match="has no front"):
            _cpython.front(twin)
    for wrong in (None, 5, "send"):
        with pytest.raises(AttributeError):
            _cpython.front(wrong)  # type: ignore[type-var]


# -- whatever the object is --


@ways
@pytest.mark.parametrize("kind", KINDS)
def test_an_object_that_was_not_initialised_has_no_attributes_to_use(make: Callable[[str], Any], kind: str) -> None:
    cls: Any = type(make(kind))
    for empty in (cls.__new__(cls), object.__new__(cls)):
        for use in uses(empty):
            with pytest.raises(AttributeError, match=r"_closed|_id|_fd|_sem|_size"):
                use()


@ways
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [None, "text", 2**70, -(2**70), -1, 1.5, b"", object(), ..., "deleted"], ids=repr)
def test_attributes_of_any_value_are_refused_or_go_on(
    make: Callable[[str], Any], fork: Fork, kind: str, value: object
) -> None:
    """Whatever Python makes of such an object is right; each use could go on at once."""
    thing = make(kind)
    id_or_fd = getattr(thing, "_id", getattr(thing, "_fd", -1))

    def prepare() -> None:
        with suppress(OSError):
            while kind == "sysv queue":
                libc.msgrcv(id_or_fd, 100, 0, libc.IPC_NOWAIT)
            while kind == "posix queue":
                libc.mq_timedreceive(id_or_fd, SIZE, 0)
        if kind == "sysv queue":
            libc.msgsnd(id_or_fd, 1, b"text")
        elif kind == "posix queue":
            libc.mq_send(id_or_fd, b"text")

    def child() -> None:
        for use in uses(thing)[1:] * 100 * (not kind.endswith("queue")):
            use()  # so that many can be taken
        for name in ("_id", "_closed", "_size", "_number", "_fd", "_sem"):
            had, before = hasattr(thing, name), getattr(thing, name, None)
            if value != "deleted":
                setattr(thing, name, value)
            elif had:
                delattr(thing, name)
            for use in uses(thing):
                for more in ((), (0, 0, 0, 0), (None,)):
                    prepare()
                    with suppress(
                        AttributeError, BufferError, TypeError, ValueError, OverflowError, MemoryError, OSError
                    ):
                        use(*more)
            if had:
                setattr(thing, name, before)

    fork(child).result()


@ways
def test_a_method_of_another_kind_of_object_is_refused(make: Callable[[str], Any]) -> None:
    ours, theirs = make("sysv queue"), make("posix queue")
    wrong: list[tuple[Any, object]] = [
        (sysv.MessageQueue.send, theirs),
        (posix.MessageQueue.send, ours),
        (posix.MessageQueue.send, None),
        (posix.MessageQueue.send, object()),
    ]
    for function, thing in wrong:
        with pytest.raises((TypeError, AttributeError)):
            function(thing, b"text")
    for function, _ in (*wrong, (posix.Semaphore.acquire, None)):
        with pytest.raises(TypeError):
            function()
    assert (ours.status().messages, theirs.status().messages) == (0, 0)


@ways
@pytest.mark.parametrize("kind", KINDS)
def test_a_subclass_overrides_a_method_and_asks_for_the_one_below(make: Callable[[str], Any], kind: str) -> None:
    thing = make(kind)
    asked: list[str] = []

    class Telling(type(thing)):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            if name in ("send", "receive", "receive_many", "acquire", "release", "operate"):
                asked.append(name)
            return super().__getattribute__(name)

        def release(self) -> None:
            asked.append("overridden")
            super().release()

    thing.__class__ = Telling
    for use in uses(thing):
        use()
    assert len(asked) >= 2
    assert ("overridden" in asked) == ("release" in asked)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_have_weak_references_attributes_and_cycles(make: Callable[[str], Any], kind: str) -> None:
    thing = make(kind)
    thing.remark = "any"
    assert weakref.ref(thing)() is thing
    cls: Any = type(thing)
    gone = weakref.ref(cycle := cls.__new__(cls))
    cycle._size = [cycle]
    del cycle
    gc.collect()
    assert gone() is None


def test_what_is_copied_or_pickled_has_all_that_it_had(make: Callable[[str], Any]) -> None:
    member = make("sysv set")[1]
    member.remark = "any"
    for again in (
        copy.copy(member),
        copy.deepcopy(member),
        pickle.loads(pickle.dumps(member)),
        *(pickle.loads(pickle.dumps(member, protocol)) for protocol in range(pickle.HIGHEST_PROTOCOL)),
    ):
        assert (again.value, again.number, again.remark) == (1, 1, "any")
        again.acquire()
        again.release()
    unnamed = make("posix in memory")
    same = copy.copy(unnamed)
    same.acquire()
    assert unnamed.value == 0


# -- whatever the arguments are --


class Closing:
    """A number that closes an object when it is asked for, and is then one of any size."""

    def __init__(self, thing: Any, number: int) -> None:
        self.thing = thing
        self.number = number

    def __index__(self) -> int:
        self.thing.close()
        return self.number


@ways
@pytest.mark.parametrize("number", [1, 0, -1, 2**70, -(2**70), 2**31, 32768])
def test_a_number_that_closes_the_object_meanwhile_does_no_harm(make: Callable[[str], Any], number: int) -> None:
    attempts: list[tuple[str, Callable[[Any, Any], object]]] = [
        ("sysv queue", lambda thing, evil: thing.send(b"text", evil)),
        ("sysv queue", lambda thing, evil: thing.receive(evil, timeout=0)),
        ("sysv semaphore", lambda thing, evil: thing.release(evil)),
        ("sysv semaphore", lambda thing, evil: thing.acquire(evil, timeout=0)),
        ("sysv set", lambda thing, evil: thing.operate((evil, 1))),
        ("sysv set", lambda thing, evil: thing.operate((0, evil), timeout=0)),
    ]
    for kind, attempt in attempts:
        thing = make(kind)
        with suppress(ValueError, OverflowError, OSError):
            attempt(thing, Closing(thing, number))
        assert thing.closed
    queue = make("posix queue")
    copies = [posix.MessageQueue.open(NAME) for _ in range(2)]
    for thing, attempt in zip(
        copies,
        (lambda thing, evil: thing.send(b"", evil), lambda thing, evil: thing.send_many([(b"", evil)])),
        strict=True,
    ):
        with pytest.raises((OSError, OverflowError)):
            attempt(thing, Closing(thing, number))
        assert thing.closed
    assert queue.status().messages == 0


@ways
@pytest.mark.parametrize("wrong", [None, 5, "text", 1.5, [b"x"], memoryview(bytes(8))[::2], object()], ids=repr)
def test_what_is_no_text_is_refused(make: Callable[[str], Any], wrong: object) -> None:
    for kind in ("sysv queue", "posix queue"):
        queue = make(kind)
        for _ in range(20):
            with pytest.raises((TypeError, BufferError)):
                queue.send(wrong)
        assert queue.status().messages == 0


@ways
@pytest.mark.parametrize("kind", KINDS)
def test_arguments_that_there_are_not_are_named(make: Callable[[str], Any], kind: str) -> None:
    for use in uses(thing := make(kind)):
        with pytest.raises((TypeError, ValueError)):
            use("a", "b", "c", "d", "e", "f", "g", "h")
    for name in ("send", "receive", "receive_many", "acquire", "release", "operate"):
        if hasattr(thing, name):
            with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
                getattr(thing, name)(nothing=1)


@ways
def test_operations_that_are_none_change_nothing(make: Callable[[str], Any]) -> None:
    semaphores = make("sysv set")
    for wrong in ((), ((0,),), ((0, 1, 0),), (5,), ((0, "1"),), ((2, 1),), ((-1, 1),), ((0, 2**70),), ((0, 40000),)):
        with pytest.raises((TypeError, ValueError, OverflowError, OSError)):
            semaphores.operate(*wrong)
    with pytest.raises(OSError, match="too many operations"):
        semaphores.operate(*[(0, 1)] * 600)
    semaphores.operate(*[(0, 1)] * 20, [1, 1], timeout=None)
    assert semaphores.values == [21, 2]


def test_memory_cannot_be_resized_while_a_message_is_received_into_it(
    make: Callable[[str], Any],
) -> None:
    for kind in ("sysv queue", "posix queue"):
        queue, memory, ended = make(kind), bytearray(SIZE), threading.Event()

        def receive(queue: Any = queue, memory: bytearray = memory, ended: threading.Event = ended) -> None:
            queue.receive_into(memory)
            ended.set()

        thread = threading.Thread(target=receive)
        thread.start()
        waits = False
        while not waits:
            try:
                memory.append(0)
                memory.pop()
            except BufferError:
                waits = True
        queue.send(b"text")
        assert ended.wait(DEADLINE)
        thread.join()
        memory.append(0)
        assert memory[:4] == b"text"


@ways
@pytest.mark.parametrize("count", [0, -1, 2**70, -(2**70), None, "5", 1.5, Closing])
def test_so_many_messages_cannot_be_received(make: Callable[[str], Any], count: Any) -> None:
    for kind in ("sysv queue", "posix queue"):
        queue = make(kind)
        queue.send(b"text")
        if count == 2**70:
            assert len(queue.receive_many(count)) == 1
        else:
            with pytest.raises((TypeError, ValueError)):
                queue.receive_many(Closing(queue, 1) if count is Closing else count)
            assert queue.status().messages == 1


# -- while it waits --


@ways
@pytest.mark.parametrize("kind", ["sysv queue", "posix queue"])
def test_a_receiver_that_had_to_wait_still_takes_what_is_there_and_does_not_wait_where_it_must_not(
    make: Callable[[str], Any], fork: Fork, kind: str
) -> None:
    """After a wait the front does not look first for a while, but where the call must not wait."""
    queue = make(kind)

    def send() -> None:
        os.sched_yield()
        queue.send(b"text")

    for round_ in range(3):
        child = fork(send)
        assert b"text" in queue.receive()
        child.result()
        for _ in range(round_ * 4):
            queue.send(b"text")
            assert b"text" in queue.receive()
        with pytest.raises(OSError, match=r"timed out|No message"):
            queue.receive(timeout=0)
        send()
        assert len(queue.receive_many(3)) == 1


# -- while it waits --


@ways
def test_a_wait_survives_that_another_thread_takes_the_object_s_attributes_and_closes_it(
    make: Callable[[str], Any], fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready, go, done = gate(), gate(), gate()
    queue = make("sysv queue")

    def receive() -> None:
        def change() -> None:
            go.wait()
            queue._id, queue._size = int("1234567"), int("7654321")
            queue.close()
            done.open()

        thread = threading.Thread(target=change)
        thread.start()
        ready.open()
        try:
            queue.receive()
        finally:
            thread.join()

    child = fork(receive)
    ready.wait()
    until_thread_blocked(child.pid)  # and not before the other thread has let it
    go.open()
    done.wait()
    queue.remove()
    with pytest.raises(libc.IdentifierRemovedError, match=f"msgrcv.{queue.id}, 8192, 0"):
        child.result()


@ways
def test_who_waits_for_a_semaphore_that_is_removed_is_told(make: Callable[[str], Any], fork: Fork) -> None:
    for wait in (lambda s: s.operate((0, -2)), lambda s: [s[0].acquire() for _ in range(2)]):
        semaphores = make("sysv set")
        child = fork(wait, semaphores)
        while not semaphores[0].waiting_to_acquire:
            os.sched_yield()
        semaphores.remove()
        with pytest.raises(libc.IdentifierRemovedError, match="semop"):
            child.result()


@ways
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [InterruptedError, BlockingIOError, TimeoutError, KeyError])
def test_what_a_handler_raises_comes_out_of_the_wait(
    make: Callable[[str], Any], fork: Fork, gate: Callable[[], Gate], kind: str, error: type[Exception]
) -> None:
    ready, thing = gate(), make(kind)

    def fail(signum: int) -> None:
        raise error("raised by the handler")

    def wait() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(fail))
        if kind == "sysv set":
            ready.open()
            thing.operate((0, -2))
        elif kind.endswith("queue"):
            ready.open()
            thing.receive()
        else:
            thing.acquire()
            ready.open()
            thing.acquire()

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    with pytest.raises(error, match="raised by the handler"):
        child.result()
