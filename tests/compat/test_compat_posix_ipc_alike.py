"""unixipc.compat.posix_ipc: what posix_ipc does with the same arguments, it does too."""

from __future__ import annotations

import copy
import errno
import inspect
import os
import pickle
import threading
from contextlib import suppress
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import posix_ipc as theirs
import pytest

from unixipc import libc, posix
from unixipc.compat import posix_ipc as ours
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


pytestmark = pytest.mark.skipif(
    theirs.VERSION != ours.VERSION, reason=f"the drop-in is for posix_ipc {ours.VERSION}, and here is {theirs.VERSION}"
)

NAME = f"/unixipc-compat-{os.getpid()}"
LONG = "/" + "x" * 255
KINDS = ("Semaphore", "SharedMemory", "MessageQueue")
UNLINKS = ("unlink_semaphore", "unlink_shared_memory", "unlink_message_queue")
ERRORS = ("SignalError", "PermissionsError", "ExistentialError", "BusyError", "Error")
SMALL = {"max_messages": 2, "max_message_size": 16}


@pytest.fixture(autouse=True)
def clean() -> Iterator[None]:
    """Remove what the test has made by name, and let the threads end that it has begun."""
    before = set(threading.enumerate())
    yield
    for unlink in (libc.sem_unlink, libc.shm_unlink, libc.mq_unlink):
        for name in (NAME, LONG):
            with suppress(OSError):
                unlink(name)
    for thread in set(threading.enumerate()) - before:
        thread.join(DEADLINE)


def dispose(thing: Any) -> None:
    (thing.close_fd if hasattr(thing, "close_fd") else thing.close)()


def put(thing: Any, name: str, value: object) -> object:
    thing.__setattr__(name, value)
    return None


# -- the same names --


def test_everything_public_is_there_and_nothing_else() -> None:
    assert sorted(ours.__all__) == sorted(name for name in dir(theirs) if not name.startswith("_"))
    for name in ("__version__", "__author__", "__copyright__", "__license__"):
        assert isinstance(getattr(ours, name), str)


@pytest.mark.parametrize("name", [name for name in dir(theirs) if name.isupper() and not name.endswith("_DEFAULT")])
def test_constants_have_the_same_values_and_types(name: str) -> None:
    assert getattr(ours, name) == getattr(theirs, name)
    assert type(getattr(ours, name)) is type(getattr(theirs, name))


def test_the_default_limits_are_those_of_this_machine() -> None:
    assert posix.default_limit("msg") == ours.QUEUE_MESSAGES_MAX_DEFAULT
    assert posix.default_limit("msgsize") == ours.QUEUE_MESSAGE_SIZE_MAX_DEFAULT


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_of_a_class_is_there(kind: str) -> None:
    assert set(dir(getattr(theirs, kind))) <= set(dir(getattr(ours, kind)))
    added = {name for name in dir(getattr(ours, kind)) if not name.startswith("_")} - set(dir(getattr(theirs, kind)))
    assert added == set()


def test_arguments_have_the_documented_names_order_and_defaults() -> None:
    def arguments(function: Callable[..., object]) -> list[tuple[str, object]]:
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
        assert all(p.kind is not inspect.Parameter.KEYWORD_ONLY for p in parameters)
        return [(p.name, p.default) for p in parameters]

    empty = inspect.Parameter.empty
    start = [("name", empty), ("flags", 0), ("mode", 0o600)]
    limits = [("max_messages", ours.QUEUE_MESSAGES_MAX_DEFAULT)]
    limits += [("max_message_size", ours.QUEUE_MESSAGE_SIZE_MAX_DEFAULT)]
    assert arguments(ours.Semaphore) == [*start, ("initial_value", 0)]
    assert arguments(ours.SharedMemory) == [*start, ("size", 0), ("read_only", False)]
    assert arguments(ours.MessageQueue) == [*start, *limits, ("read", True), ("write", True)]
    assert arguments(ours.Semaphore.acquire) == [("timeout", None)]
    assert arguments(ours.MessageQueue.send) == [("message", empty), ("timeout", None), ("priority", 0)]
    assert arguments(ours.MessageQueue.receive) == [("timeout", None)]
    assert arguments(ours.MessageQueue.request_notification) == [("notification", None)]


# -- the same outcomes --


def outcome(use: Callable[[Any], object], module: Any) -> object:
    """What it returns, or the name of the error; of those that are the same for both, the most specific."""
    try:
        return use(module)
    except Exception as error:  # noqa: BLE001 - that is the question
        for name in ERRORS:
            if isinstance(error, getattr(module, name)):
                return name
        kinds = (TypeError, ValueError, OverflowError, AttributeError, MemoryError, OSError)
        return next((kind.__name__ for kind in kinds if isinstance(error, kind)), type(error).__name__)


def same(use: Callable[[Any], object]) -> object:
    """Check that both modules come to the same, and return it."""
    expected = outcome(use, theirs)
    assert outcome(use, ours) == expected
    return expected


def shown(module: Any, kind: str, *args: Any, **kwargs: Any) -> object:
    """Make or open an object, tell all about it, and be done with it; a name that was made up is as good as another."""
    thing = getattr(module, kind)(*args, **kwargs)
    fields = ("mode", "size", "value", "max_messages", "max_message_size", "current_messages", "block")
    about = {field: getattr(thing, field) for field in fields if hasattr(thing, field)}
    texts = [text.replace(thing.name, "NAME") for text in (str(thing), repr(thing))]
    with suppress(module.ExistentialError):
        thing.unlink()
    dispose(thing)
    return about, texts, type(thing.name), thing.name[0], thing.name if args[0] is not None else thing.name.islower()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("flags", ["0", "O_CREAT", "O_EXCL", "O_CREX"])
@pytest.mark.parametrize("exists", [False, True], ids=["missing", "existing"])
@pytest.mark.parametrize(
    "name",
    [NAME, NAME.encode(), None, NAME[1:], "", "/", "/a/b", "//x", LONG, LONG + "x", 5, Path(NAME), bytearray(b"/x")],
    ids=[
        "plain",
        "bytes",
        "None",
        "slashless",
        "empty",
        "slash",
        "two-slashes",
        "double-slash",
        "longest",
        "too-long",
        "int",
        "Path",
        "bytearray",
    ],
)
def test_opening_by_flags_and_name(kind: str, flags: str, exists: bool, name: Any) -> None:
    def use(module: Any) -> object:
        keep = getattr(theirs, kind)(NAME, theirs.O_CREAT) if exists else None
        try:
            return shown(module, kind, name, 0 if flags == "0" else getattr(module, flags))
        finally:
            if keep is not None:
                dispose(keep)
                with suppress(theirs.ExistentialError):
                    keep.unlink()

    same(use)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Semaphore", {"initial_value": 7, "mode": 0o640}),
        ("Semaphore", {"initial_value": 2**31}),
        ("Semaphore", {"initial_value": -1}),
        ("Semaphore", {"initial_value": "1"}),
        ("Semaphore", {"mode": 1.5}),
        ("Semaphore", {"flags": "0"}),
        ("Semaphore", {"value": 1}),
        ("SharedMemory", {"size": 4097, "mode": 0o777}),
        ("SharedMemory", {"size": -1}),
        ("SharedMemory", {"size": 2**63}),
        ("SharedMemory", {"size": 1.5}),
        ("SharedMemory", {"size": 1, "read_only": True}),
        ("SharedMemory", {"read_only": True}),
        ("MessageQueue", {"max_messages": 3, "max_message_size": 5, "read": 0, "write": "yes"}),
        ("MessageQueue", {"max_messages": 3, "max_message_size": 5, "write": None}),
        ("MessageQueue", {"read": False, "write": False}),
        ("MessageQueue", {"max_messages": 0}),
        ("MessageQueue", {"max_messages": -1}),
        ("MessageQueue", {"max_message_size": 0}),
        ("MessageQueue", {"max_messages": 2**63}),
        ("MessageQueue", {"max_messages": "10"}),
        ("MessageQueue", {"flags": theirs.O_CREX | theirs.O_NONBLOCK}),
        ("MessageQueue", {"flags": theirs.O_CREX | theirs.O_WRONLY}),
    ],
    ids=str,
)
def test_making_with_settings(kind: str, settings: dict[str, Any]) -> None:
    same(lambda module: shown(module, kind, **{"name": NAME, "flags": module.O_CREX, **settings}))


def test_what_exists_keeps_its_value_and_limits_and_memory_gets_the_size_asked_for() -> None:
    for module in (theirs, ours):
        made = module.Semaphore(NAME, module.O_CREX, initial_value=3)
        found = module.Semaphore(NAME, module.O_CREAT, initial_value=9)
        assert found.value == 3
        made.unlink()
        made.close()
        found.close()
        queue = module.MessageQueue(NAME, module.O_CREX, **SMALL)
        again = module.MessageQueue(NAME, module.O_CREAT, max_messages=1, max_message_size=1)
        assert (again.max_messages, again.max_message_size) == (2, 16)
        again.close()
        queue.close()
        queue.unlink()
        memory = module.SharedMemory(NAME, module.O_CREX, size=100)
        for size in (5000, 10):
            module.SharedMemory(NAME, size=size).close_fd()
            assert memory.size == size
        module.SharedMemory(NAME, module.O_TRUNC).close_fd()
        assert memory.size == 0
        memory.close_fd()
        memory.unlink()


@pytest.mark.parametrize("unlink", UNLINKS)
@pytest.mark.parametrize(
    "arguments",
    [(NAME,), (NAME.encode(),), (None,), (5,), (), ("/", 1), ("",), ("/",), ("/a/b",), (LONG,), (LONG + "x",)],
)
def test_unlinking_what_is_not_there(unlink: str, arguments: tuple[Any, ...]) -> None:
    same(lambda module: getattr(module, unlink)(*arguments))


@pytest.mark.parametrize("unlink", UNLINKS)
def test_unlinking_takes_no_keyword(unlink: str) -> None:
    assert same(lambda module: getattr(module, unlink)(name=NAME)) == "TypeError"


@pytest.mark.parametrize("call", ["acquire", "send", "receive"])
@pytest.mark.parametrize(
    "timeout", [0, 0.0, False, 0.01, -1, -0.5, "1", b"1", Decimal(1), Fraction(1), [1], 1j], ids=repr
)
def test_timeouts(call: str, timeout: Any) -> None:
    def use(module: Any) -> object:
        if call == "acquire":
            semaphore = module.Semaphore(NAME, module.O_CREX)
            try:
                return semaphore.acquire(timeout)
            finally:
                semaphore.unlink()
                semaphore.close()
        queue = module.MessageQueue(NAME, module.O_CREX, max_messages=1, max_message_size=8)
        try:
            if call == "receive":
                return queue.receive(timeout)
            queue.send("full")
            return queue.send("x", timeout)
        finally:
            queue.close()
            queue.unlink()

    same(use)


MESSAGES: list[tuple[str, Callable[[Any], object]]] = [
    ("str", lambda queue: (queue.send("ä\0b"), queue.receive())),
    ("bytes", lambda queue: (queue.send(b"\xff\0", 0, 5), queue.receive(0))),
    ("empty", lambda queue: (queue.send(""), queue.receive())),
    ("buffer", lambda queue: (queue.send(memoryview(bytearray(b"abcd")).cast("H")), queue.receive())),
    ("keywords", lambda queue: (queue.send(message=b"x", timeout=None, priority=1), queue.receive(timeout=1))),
    ("order", lambda queue: (queue.send("a", 0, 1), queue.send("b", 0, 2), queue.receive(), queue.receive())),
    ("full length", lambda queue: queue.send(b"x" * 16)),
    ("too long", lambda queue: queue.send(b"x" * 17)),
    ("priority 32767", lambda queue: (queue.send("x", 0, 32767), queue.receive())),
    ("priority 32768", lambda queue: queue.send("x", 0, 32768)),
    ("priority -1", lambda queue: queue.send("x", 0, -1)),
    ("priority str", lambda queue: queue.send("x", 0, "1")),
    ("full", lambda queue: [queue.send("x", 0) for _ in range(3)]),
    ("nonblocking empty", lambda queue: (put(queue, "block", False), queue.block, queue.receive(9))),
    ("nonblocking for ever", lambda queue: (put(queue, "block", 0), queue.receive())),
    ("blocking again", lambda queue: (put(queue, "block", 0), put(queue, "block", "yes"), queue.block)),
    ("number", lambda queue: (queue.send("x"), queue.send("y"), queue.current_messages)),
    ("descriptor", lambda queue: (queue.mqd == queue.fileno(), queue.mqd >= 0)),
    ("no notification", lambda queue: (queue.request_notification(), queue.request_notification(None))),
    ("bad signal", lambda queue: queue.request_notification(65)),
    ("negative signal", lambda queue: queue.request_notification(notification=-1)),
    ("callable alone", lambda queue: queue.request_notification(print)),
    ("list", lambda queue: queue.request_notification([print, 1])),
    ("one", lambda queue: queue.request_notification((print,))),
    ("three", lambda queue: queue.request_notification((print, 1, 2))),
    ("not callable", lambda queue: queue.request_notification((1, print))),
    ("float signal", lambda queue: queue.request_notification(1.0)),
    ("closed: again", lambda queue: (queue.close(), queue.close())),
    ("closed: send", lambda queue: (queue.close(), queue.send("x"))),
    ("closed: receive", lambda queue: (queue.close(), queue.receive(0))),
    ("closed: number", lambda queue: (queue.close(), queue.current_messages)),
    ("closed: block", lambda queue: (queue.close(), queue.block)),
    ("closed: set block", lambda queue: (queue.close(), put(queue, "block", True))),
    ("closed: no notification", lambda queue: (queue.close(), queue.request_notification())),
    ("closed: the rest", lambda queue: (queue.close(), queue.mqd, queue.fileno(), queue.max_messages, str(queue))),
    ("set name", lambda queue: put(queue, "name", "x")),
    ("set mqd", lambda queue: put(queue, "mqd", 5)),
    ("set limit", lambda queue: put(queue, "max_messages", 5)),
    ("new attribute", lambda queue: put(queue, "own", 5)),
    ("no with-block", lambda queue: queue.__enter__()),
]  # fmt: skip


@pytest.mark.parametrize("use", [use for _, use in MESSAGES], ids=[name for name, _ in MESSAGES])
def test_what_is_done_with_a_queue(use: Callable[[Any], object]) -> None:
    def at_one(module: Any) -> object:
        queue = module.MessageQueue(NAME, module.O_CREX, **SMALL)
        try:
            return use(queue)
        finally:
            with suppress(module.ExistentialError):
                queue.close()
            queue.unlink()

    same(at_one)


@pytest.mark.parametrize("side", ["read", "write"])
def test_a_queue_is_used_only_as_it_was_opened(side: str) -> None:
    def use(module: Any) -> object:
        queue = module.MessageQueue(NAME, module.O_CREX, **SMALL, **{side: False})
        try:
            return outcome(lambda _: queue.send("x"), module), outcome(lambda _: queue.receive(0), module)
        finally:
            queue.close()
            queue.unlink()

    assert same(use) == (("PermissionsError", "BusyError") if side == "write" else (None, "PermissionsError"))


SEMAPHORES: list[tuple[str, Callable[[Any], object]]] = [
    ("count", lambda semaphore: (semaphore.release(), semaphore.value, semaphore.acquire(), semaphore.value)),
    ("keyword", lambda semaphore: (semaphore.release(), semaphore.acquire(timeout=5))),
    ("too many", lambda semaphore: semaphore.release(5)),
    ("closed: acquire", lambda semaphore: (semaphore.close(), semaphore.acquire(0))),
    ("closed: release", lambda semaphore: (semaphore.close(), semaphore.release())),
    ("closed: value", lambda semaphore: (semaphore.close(), semaphore.value)),
    ("closed: again", lambda semaphore: (semaphore.close(), semaphore.close())),
    ("closed: the rest", lambda semaphore: (semaphore.close(), semaphore.mode, str(semaphore), repr(semaphore))),
    ("unlinked", lambda semaphore: (semaphore.unlink(), semaphore.release(), semaphore.value)),
    ("set value", lambda semaphore: put(semaphore, "value", 5)),
    ("del value", lambda semaphore: delattr(semaphore, "value")),
    ("new attribute", lambda semaphore: put(semaphore, "own", 5)),
]  # fmt: skip


@pytest.mark.parametrize("use", [use for _, use in SEMAPHORES], ids=[name for name, _ in SEMAPHORES])
def test_what_is_done_with_a_semaphore(use: Callable[[Any], object]) -> None:
    def at_one(module: Any) -> object:
        semaphore = module.Semaphore(NAME, module.O_CREX)
        try:
            return use(semaphore)
        finally:
            with suppress(module.ExistentialError):
                semaphore.close()
            with suppress(module.ExistentialError):
                module.unlink_semaphore(NAME)

    same(at_one)


def test_a_with_block_of_a_semaphore_acquires_and_releases_and_lets_exceptions_through() -> None:
    for module in (theirs, ours):
        semaphore = module.Semaphore(NAME, module.O_CREX, initial_value=1)

        def fail(semaphore: Any = semaphore) -> None:
            with semaphore as entered:
                assert (entered is semaphore, semaphore.value) == (True, 0)
                raise KeyError

        with pytest.raises(KeyError):
            fail()
        assert semaphore.value == 1
        semaphore.unlink()
        semaphore.close()


def test_one_more_than_the_greatest_value_is_eoverflow() -> None:
    for module in (theirs, ours):
        semaphore = module.Semaphore(NAME, module.O_CREX, initial_value=module.SEMAPHORE_VALUE_MAX)
        with pytest.raises(OSError, match="too large") as caught:
            semaphore.release()
        assert caught.value.errno == errno.EOVERFLOW
        assert not isinstance(caught.value, module.Error)
        semaphore.unlink()
        semaphore.close()


def test_what_is_done_with_memory() -> None:
    def use(module: Any) -> object:
        def change(name: str) -> object:
            return outcome(lambda _: put(memory, name, 5), module)

        memory = module.SharedMemory(NAME, module.O_CREX, size=10)
        fd = memory.fd
        found = [memory.size, memory.fileno() == fd, os.get_inheritable(fd)]
        found += map(change, ("fd", "size", "own"))
        found += [memory.close_fd(), memory.close_fd(), memory.fd, memory.fileno()]
        found += [outcome(lambda _: memory.size, module), outcome(lambda _: memory.__enter__(), module)]
        found += [memory.unlink(), outcome(lambda _: memory.unlink(), module), repr(memory)]
        memory = module.SharedMemory(NAME, module.O_CREX)
        os.close(memory.fd)
        found += [outcome(lambda _: memory.close_fd(), module), outcome(lambda _: memory.size, module)]
        memory.unlink()
        return found

    same(use)


@pytest.mark.parametrize("kind", KINDS)
def test_objects_can_be_subclassed_but_not_pickled_copied_or_given_attributes(kind: str) -> None:
    for module in (theirs, ours):
        cls = getattr(module, kind)
        derived = type("Derived", (cls,), {})
        thing = derived(NAME, module.O_CREX)
        thing.own = 5
        thing.unlink()
        dispose(thing)
        thing = cls(NAME, module.O_CREX)
        for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError, match="pickle"):
                attempt(thing)
        thing.unlink()
        dispose(thing)
