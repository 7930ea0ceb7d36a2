"""unixipc.compat.sysv_ipc: it answers as sysv_ipc 1.2.0 does, but where that crashes or breaks its own word."""

from __future__ import annotations

import array
import copy
import errno
import gc
import math
import os
import pickle
import threading
import warnings
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from maps import free_place
from nobody import as_nobody, needs_root
from sysv_room.helpers import unused_key
from until import until_blocked

from unixipc import libc, sysv
from unixipc.compat import sysv_ipc as ours
from unixipc.compat.sysv_ipc import IPC_CREAT, IPC_CREX, IPC_EXCL, MessageQueue, Semaphore, SharedMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from unixipc.testing import Gate
    from unixipc.testing.plugin import Fork

REPEATED = range(50)  # some of it crashes the peer only then


@pytest.fixture
def peer() -> Any:
    return pytest.importorskip("sysv_ipc", reason="the package sysv_ipc is not installed")


@pytest.fixture
def keep() -> Iterator[Callable[[Any], Any]]:
    """Remove an object with the test, ours or the peer's."""
    made: list[Any] = []

    def keep(thing: Any) -> Any:
        made.append(thing)
        return thing

    yield keep
    for thing in made:
        if hasattr(thing, "attached"):
            while thing.attached:
                thing.detach()
        with suppress(Exception):  # the test may have removed it, and the peer's errors are its own
            thing.remove()


@pytest.fixture
def semaphore(keep: Callable[[Any], Any]) -> Semaphore:
    made: Semaphore = keep(Semaphore(None, IPC_CREX, initial_value=1))
    return made


@pytest.fixture
def memory(keep: Callable[[Any], Any]) -> SharedMemory:
    made: SharedMemory = keep(SharedMemory(None, IPC_CREX, size=5000))
    return made


@pytest.fixture
def queue(keep: Callable[[Any], Any]) -> MessageQueue:
    made: MessageQueue = keep(MessageQueue(None, IPC_CREX))
    return made


# -- the same answers --

ANSWERS = {
    "Semaphore": """
        Semaphore()  |  Semaphore(None)  |  Semaphore('a')  |  Semaphore(1.5)  |  Semaphore(K, IPC_EXCL)
        Semaphore(None, IPC_CREAT)  |  Semaphore(K, 1.0)  |  Semaphore(K, 2**40)  |  Semaphore(K, IPC_CREX, 'x')
        Semaphore(K, IPC_CREX, 0o600, 'x')  |  Semaphore(K, IPC_CREX, 0o600, 2**40)  |  Semaphore(K)
        Semaphore(2**63)  |  Semaphore(-2**63-1)  |  Semaphore(0xDEADBEEF, IPC_CREX).key
        Semaphore(0xDEADBEEF).remove()  |  Semaphore(-5, IPC_CREX).key  |  Semaphore(-5).remove()
        it.acquire('a')  |  it.acquire(-1)  |  it.acquire(-0.5)  |  it.acquire(2**63)  |  it.acquire(None, 0)
        it.acquire(None, 2**15)  |  it.acquire(None, 'x')  |  it.acquire(None, 1.0)  |  it.acquire(bogus=1)
        it.release(0)  |  it.release(2**15)  |  it.release(-2**15-1)  |  it.release(1, 2)  |  it.release(32767)
        it.release(-3)  |  it.value  |  it.acquire(delta=-3)  |  it.value  |  it.P()  |  it.V()  |  it.value
        it.Z(-1)  |  it.Z('a')  |  setattr(it, 'value', 'x')  |  setattr(it, 'value', -1)  |  it.key
        setattr(it, 'value', 32768)  |  setattr(it, 'value', None)  |  setattr(it, 'value', True)  |  it.value
        setattr(it, 'mode', 'x')  |  setattr(it, 'uid', None)  |  setattr(it, 'gid', 1.0)  |  setattr(it, 'foo', 1)
        it.foo  |  setattr(it, 'block', '')  |  it.block  |  it.Z()  |  setattr(it, 'block', [1])  |  it.block
        setattr(it, 'undo', 1)  |  it.undo  |  setattr(it, 'undo', 0)  |  it.undo  |  it.mode
        setattr(it, 'mode', 0o1640)  |  it.mode  |  repr(it)  |  str(it)[:10]  |  bool(it)  |  len(it)
        it.__exit__()  |  it.value  |  it.__enter__() is it  |  it.value  |  it.waiting_for_zero  |  it.o_time > 0
        it.waiting_for_nonzero  |  it.last_pid == os.getpid()  |  it.cuid  |  it.cgid
        remove_semaphore()  |  remove_semaphore('x')  |  remove_semaphore(id=3)  |  remove_semaphore(2**40)
        remove_semaphore(99999999)  |  remove_semaphore(-1)  |  it.remove(1)  |  it.remove()  |  it.remove()
        it.acquire()  |  it.release()  |  it.Z()  |  it.value  |  it.uid  |  it.last_pid  |  it.o_time
        setattr(it, 'uid', 0)  |  setattr(it, 'value', 0)
    """,
    "SharedMemory": """
        SharedMemory()  |  SharedMemory(None)  |  SharedMemory('a')  |  SharedMemory(K, IPC_EXCL)  |  SharedMemory(K)
        SharedMemory(K, IPC_CREX, 0o600, -1)  |  SharedMemory(K, IPC_CREX, 0o600, 'x')  |  SharedMemory(K, IPC_CREAT)
        SharedMemory(K, IPC_CREX, 0o600, 9, 'x')  |  SharedMemory(K, IPC_CREX, 0o600, 9, b'')
        SharedMemory(K, IPC_CREX, 0o600, 9, 65)  |  SharedMemory(K, 0, 0o600, 100)  |  SharedMemory(IPC_PRIVATE)
        SharedMemory(None, IPC_CREX, 0o600, 2**64 - 1)  |  SharedMemory(it.key, 0, 0o600, 5001)
        SharedMemory(it.key, IPC_CREX, 0o600, 5000)  |  SharedMemory(it.key, 0, 0o600, 5000).detach()
        it.size  |  it.read() == b' ' * 5000  |  it.read(-1)  |  it.read(5, 5000)  |  it.read(5, 4999)
        it.read(5, -1)  |  it.read('x')  |  it.read(1.0)  |  it.read(5, 1.0)  |  it.write('é')  |  it.read(2)
        it.write(b'')  |  it.write(b'', 5000)  |  it.write(b'', 5001)  |  it.write(b'x', 5000)  |  it.write(b'x', 4999)
        it.write(bytearray(b'abc'))  |  it.write(array.array('i', [1, 2]))  |  it.read(8)  |  it.write(s=b'q')
        it.read(byte_count=1, offset=0)  |  it.write(b'x', offset=1)  |  it.write(b'x', '1')  |  it.write(b'x', -1)
        it.attached
        it.number_attached  |  it.address > 0  |  repr(it)  |  str(it)[:10]  |  it.foo  |  setattr(it, 'foo', 1)
        setattr(it, 'uid', 'x')  |  setattr(it, 'gid', 1.5)  |  setattr(it, 'mode', None)  |  setattr(it, 'mode', 0o640)
        it.mode  |  it.creator_pid == it.last_pid  |  it.detach()  |  it.attached  |  it.address  |  it.detach()
        it.read()  |  it.write(b'x')  |  it.number_attached  |  it.attach(12345)
        it.attach('x')  |  it.attach(1.0)  |  it.attach(None, 'x')  |  it.attach(flags=SHM_RDONLY)  |  it.write(b'x')
        it.write(b'x' * 5001)  |  it.detach()  |  it.attach(address=None)  |  it.write(b'zzz')  |  it.remove()
        it.read(3)  |  it.mode  |  it.size  |  SharedMemory(it.key)  |  it.detach()  |  it.size  |  it.uid
        it.remove()  |  it.attach()  |  attach(it.id)  |  attach()  |  attach('x')  |  attach(99999999)  |  attach(-1)
        remove_shared_memory(99999999)
    """,
    "MessageQueue": """
        MessageQueue()  |  MessageQueue(None)  |  MessageQueue('a')  |  MessageQueue(K, IPC_EXCL)  |  MessageQueue(K)
        MessageQueue(K, IPC_CREX, 0o600, -1)  |  MessageQueue(K, IPC_CREX, 0o600, 2**63)
        MessageQueue(K, IPC_CREX, 0o600, 'x')  |  MessageQueue(it.key, IPC_CREX)  |  it.send('é')  |  it.receive()
        it.send(b'x', True, 0)  |  it.send(b'x', True, -1)  |  it.send(b'x', True, 2**31)  |  it.send(b'x', True, 'a')
        it.send(b'x', True, 1.5)  |  it.send(b'x' * 2049)  |  it.send(b'')  |  it.receive()  |  it.receive(False)
        it.receive(0, 5)  |  it.receive(False, 2**31)  |  it.receive(False, -2**31)  |  it.receive(False, 'x')
        it.send(array.array('h', [1, 2]))  |  it.receive()  |  it.send(b'x', [], 3)  |  it.receive('', -5)
        it.send(b'long', type=9)  |  MessageQueue(it.key, max_message_size=3).receive()  |  it.current_messages
        it.receive(block=True, type=9)  |  it.max_size  |  setattr(it, 'max_size', 'x')
        setattr(it, 'max_size', 1000)  |  it.max_size  |  it.send(b'x' * 1000)  |  it.send(b'x', False)
        it.receive()[1]  |  it.last_send_time > 0  |  it.last_send_pid == it.last_receive_pid
        it.last_receive_time > 0  |  setattr(it, 'mode', 0o666)  |  it.mode
        repr(it)  |  str(it)[:10]  |  it.foo  |  it.cuid  |  it.uid  |  remove_message_queue(99999999)  |  it.remove()
        it.remove()  |  it.send(b'x')  |  it.receive()  |  it.receive(False)  |  it.max_size  |  it.mode
        setattr(it, 'max_size', 5)  |  ftok('/', 1.5, True)  |  ftok('/', 1, True) == ftok('/', 257, True)
        ftok('/\\0', 1, True)  |  ftok('/nope/nope', 1, True)  |  ftok(None, 1, True)  |  ftok('/', 1)
    """,
}


def answer(expression: str, names: dict[str, Any]) -> object:
    """Evaluate it, and say what came of it; of an error, the class that the peer's documentation has for it."""
    try:
        value = eval(expression, names)  # noqa: S307
    except Exception as error:  # noqa: BLE001
        public = {*vars(ours), "AttributeError", "BufferError", "MemoryError", "OSError", "OverflowError", "TypeError"}
        public |= {"UnicodeEncodeError", "ValueError", "Warning"}
        public -= {"MissingError", "RemovedError", "SignalError", "TakenError", "TimedOutError", "WouldBlockError"}
        return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in public)
    return value if isinstance(value, int | str | bytes | tuple | None) else type(value).__name__


@pytest.mark.filterwarnings("ignore:Use of ftok")
@pytest.mark.parametrize("kind", ANSWERS)
def test_it_answers_as_the_peer_does(kind: str, peer: Any, keep: Callable[[Any], Any], fork: Fork) -> None:
    expressions = [part.strip() for line in ANSWERS[kind].strip().splitlines() for part in line.split("  |  ")]
    key, free = unused_key(), unused_key()
    more = {"SharedMemory": {"size": 5000}, "Semaphore": {"initial_value": 1}}.get(kind, {})

    def answers(module: Any) -> list[tuple[str, object]]:
        it = keep(getattr(module, kind)(key, IPC_CREX, **more))
        names = {**vars(module), "it": it, "K": free, "os": os, "array": array}
        return [(each, answer(each, names)) for each in expressions]

    assert answers(ours) == fork(answers, peer).result()


def test_it_has_the_peer_s_names_and_values(peer: Any) -> None:
    assert set(ours.__all__) == {name for name in vars(peer) if not name.startswith("_")}
    honest = {"KEY_MIN": -(2**31), "KEY_MAX": 2**32 - 1, "SEMAPHORE_TIMEOUT_SUPPORTED": True}
    for name in ours.__all__:
        value, theirs = getattr(ours, name), getattr(peer, name)
        if not callable(value):
            assert type(value) is type(theirs), name
            assert value == honest.get(name, theirs), name
    for kind in ("Semaphore", "SharedMemory", "MessageQueue"):
        theirs = {name for name in dir(getattr(peer, kind)) if not name.startswith("_")}
        assert {name for name in dir(getattr(ours, kind)) if not name.startswith("_")} == theirs
    assert ours.__version__ == ours.VERSION == peer.VERSION


def test_attributes_that_cannot_be_set_say_so_as_the_peer_does(peer: Any, keep: Callable[[Any], Any]) -> None:
    for kind in ("Semaphore", "SharedMemory", "MessageQueue"):
        thing, theirs = (keep(getattr(module, kind)(None, IPC_CREX)) for module in (ours, peer))
        for name in [name for name in dir(theirs) if not name.startswith("_") and not callable(getattr(theirs, name))]:
            try:
                setattr(theirs, name, getattr(theirs, name))
            except AttributeError as error:
                said = str(error).replace("'sysv_ipc.", f"'{type(thing).__module__}.")
                with pytest.raises(AttributeError) as caught:
                    setattr(thing, name, getattr(thing, name))
                assert str(caught.value) == said
            else:
                setattr(thing, name, getattr(thing, name))


def test_handles_are_as_light_as_the_peer_s(semaphore: Semaphore, memory: SharedMemory, queue: MessageQueue) -> None:
    for thing in (semaphore, memory, queue):
        assert not hasattr(thing, "__dict__")
        for refused in (pickle.dumps, copy.copy, weakref.ref):
            with pytest.raises(TypeError):
                refused(thing)


def test_a_subclass_has_a_constructor_of_its_own(keep: Callable[[Any], Any]) -> None:
    class Named(SharedMemory):
        def __init__(self, name: str) -> None:
            super().__init__(None, IPC_CREX, init_character=b"\0")
            self.name = name

    named = keep(Named("board"))
    named.write("chalk")
    assert (named.name, named.read(6)) == ("board", b"chalk\0")


# -- the peer and we, each way --


def test_the_peer_and_we_use_each_other_s_semaphores(peer: Any, keep: Callable[[Any], Any]) -> None:
    for maker, other in ((ours, peer), (peer, ours)):
        made = keep(maker.Semaphore(unused_key(), IPC_CREX, initial_value=2))
        found = other.Semaphore(made.key)
        with made:
            found.acquire()
            assert made.value == found.value == 0
            found.block = False
            with pytest.raises(other.BusyError):
                found.acquire()
            found.release()
        assert (found.id, found.value, found.uid, found.mode) == (made.id, 2, made.uid, made.mode)
        other.remove_semaphore(made.id)
        with pytest.raises(maker.ExistentialError):
            made.acquire()


def test_the_peer_and_we_use_each_other_s_segments(peer: Any, keep: Callable[[Any], Any]) -> None:
    for maker, other in ((ours, peer), (peer, ours)):
        made = keep(maker.SharedMemory(unused_key(), IPC_CREX, size=5000, init_character=b"."))
        found, third = keep(other.SharedMemory(made.key)), keep(other.attach(made.id))
        assert found.read() == b"." * 5000
        found.write(b"theirs", 10)
        memoryview(made)[100:104] = b"ours"
        assert made.read(6, 10) == b"theirs"
        assert bytes(found)[100:104] == third.read(4, 100) == b"ours"
        assert made.number_attached == found.number_attached == 3
        other.remove_shared_memory(made.id)
        with pytest.raises(maker.ExistentialError):
            maker.SharedMemory(made.key)
        assert third.read(4, 100) == b"ours"


def test_the_peer_and_we_use_each_other_s_queues(peer: Any, keep: Callable[[Any], Any]) -> None:
    for maker, other in ((ours, peer), (peer, ours)):
        made = keep(maker.MessageQueue(unused_key(), IPC_CREX))
        found = other.MessageQueue(made.key)
        for mtype in (3, 1, 2):
            made.send(f"of type {mtype}", type=mtype)
        assert found.receive() == (b"of type 3", 3)
        assert found.receive(type=-2) == (b"of type 1", 1)
        assert (found.current_messages, found.last_send_pid) == (1, os.getpid())
        other.remove_message_queue(made.id)
        with pytest.raises(maker.ExistentialError):
            made.receive()


def test_the_room_takes_what_the_drop_in_makes(semaphore: Semaphore, memory: SharedMemory, queue: MessageQueue) -> None:
    assert sysv.Semaphore.from_id(semaphore.id).value == 1
    with sysv.SharedMemory.open(memory.key) as opened:
        assert bytes(opened) == memory.read()
    queue.send("both")
    assert sysv.MessageQueue.open(queue.key).receive(timeout=0) == (1, b"both")


# -- where the peer crashes --


def test_a_view_outlives_the_attachment(keep: Callable[[Any], Any]) -> None:
    for _ in REPEATED:
        memory = keep(SharedMemory(None, IPC_CREX))
        view = memoryview(memory)
        memory.detach()
        assert not memory.attached
        assert memory.number_attached == 1
        view[:] = bytes(range(256)) * 16
        assert view[255] == 255
        view.release()
        assert memory.number_attached == 0
        memory.remove()


def test_a_detached_segment_has_no_view(memory: SharedMemory) -> None:
    memory.detach()
    for make in (memoryview, bytes, bytearray):
        with pytest.raises(ours.NotAttachedError, match="attach"):
            make(memory)


def test_a_view_of_a_readonly_attachment_is_readonly(memory: SharedMemory) -> None:
    memory.detach()
    memory.attach(flags=ours.SHM_RDONLY)
    with memoryview(memory) as view:
        assert view.readonly
        with pytest.raises(TypeError):
            view[0] = 1
    with pytest.raises(OSError, match="read-only"):
        memory.write(b"x")


def test_write_takes_the_keyword_of_the_documentation(memory: SharedMemory) -> None:
    memory.write(some_bytes=b"x")
    memory.write(offset=1, some_bytes="yz")
    assert memory.read(4) == b"xyz "
    write: Callable[..., object] = memory.write
    for arguments, keywords in (((), {}), ((None,), {}), ((5,), {}), ((b"x",), {"some_bytes": b"y"}), ((), {"t": b""})):
        with pytest.raises(TypeError):
            write(*arguments, **keywords)
    with pytest.raises(BufferError):
        memory.write(memoryview(b"abcdef")[::2])


def test_wrong_and_missing_messages_are_type_errors(queue: MessageQueue) -> None:
    send: Callable[..., object] = queue.send
    wrong: tuple[tuple[object, ...], ...] = (), (123,), (None,), (b"x", True, "x"), (b"x", True, 1, 1)
    for _ in REPEATED:
        for arguments in wrong:
            with pytest.raises(TypeError):
                send(*arguments)
        with pytest.raises(TypeError):
            send(some_bytes=b"x")
        with pytest.raises(UnicodeEncodeError):
            send("\ud800")
        with pytest.raises(BufferError):
            send(memoryview(b"abcdef")[::2])
    assert queue.current_messages == 0


def test_attributes_cannot_be_deleted(semaphore: Semaphore, memory: SharedMemory, queue: MessageQueue) -> None:
    for thing in (semaphore, memory, queue):
        names = [name for name in dir(thing) if not name.startswith("_") and not callable(getattr(thing, name))]
        for name in names:
            with pytest.raises(AttributeError):
                delattr(thing, name)
        assert {"id", "key", "uid", "mode"} <= set(names)
    assert semaphore.block
    assert not semaphore.undo


def test_what_arguments_do_while_they_are_read_harms_nobody(memory: SharedMemory) -> None:
    class Detaching:
        def __index__(self) -> int:
            memory.detach()
            return 1

    assert memory.read(4, Detaching()) == b"    "  # type: ignore[arg-type]
    memory.attach()
    memory.write(b"x", Detaching())  # type: ignore[arg-type]
    memory.attach()
    assert memory.read(3) == b" x "


def test_an_object_that_was_never_made_can_do_nothing() -> None:
    for kind in (Semaphore, SharedMemory, MessageQueue):
        thing: Any = kind.__new__(kind)
        for use in (repr, str, memoryview, lambda thing: thing.remove(), lambda thing: thing.uid):
            with pytest.raises((AttributeError, TypeError)):
                use(thing)


def test_threads_that_detach_and_read_at_once_get_errors_at_most(memory: SharedMemory) -> None:
    def attach_and_detach() -> None:
        for _ in range(2000):
            memory.detach()
            memory.attach()

    other = threading.Thread(target=attach_and_detach)
    other.start()
    while other.is_alive():
        with suppress(ours.NotAttachedError):
            assert memory.read(10, 4990) == b" " * 10
    other.join()
    assert memory.number_attached == 1


# -- where the peer loses state --


def test_finding_a_semaphore_does_not_reset_it(semaphore: Semaphore) -> None:
    semaphore.value = 3
    assert Semaphore(semaphore.key, IPC_CREAT, initial_value=9).value == 3
    assert Semaphore(semaphore.key, initial_value=9).value == 3


def test_a_semaphore_that_is_new_has_its_value_at_once(keep: Callable[[Any], Any]) -> None:
    made = keep(Semaphore(unused_key(), IPC_CREAT, initial_value=5))
    assert (made.value, made.o_time) == (5, 0)
    assert keep(Semaphore(unused_key(), IPC_CREX, 0o400, 5)).value == 0  # which it may not write


@pytest.mark.parametrize("value", [-1, 32768])
def test_a_bad_initial_value_leaves_no_semaphore_behind(value: int) -> None:
    key = unused_key()
    for flags in (IPC_CREAT, IPC_CREX):
        with pytest.raises(ValueError, match="between 0 and SEMVMX"):
            Semaphore(key, flags, initial_value=value)
        with pytest.raises(ours.ExistentialError):
            Semaphore(key)


def test_what_is_attached_twice_is_detached_twice(memory: SharedMemory) -> None:
    first = memory.address
    memory.attach(flags=ours.SHM_RDONLY)
    assert memory.number_attached == 2
    assert memory.address != first
    memory.detach()
    assert (memory.number_attached, memory.address, memory.attached) == (1, first, True)
    memory.write(b"writable again")
    memory.detach()
    assert (memory.number_attached, memory.address, memory.attached) == (0, 0, False)
    with pytest.raises(ours.NotAttachedError):
        memory.detach()


def test_who_fails_to_attach_it_again_still_has_it(memory: SharedMemory) -> None:
    for arguments, kind in ((("x",), TypeError), ((12345,), ValueError), ((2**70,), OverflowError)):
        with pytest.raises(kind):
            memory.attach(*arguments)
    assert (memory.number_attached, memory.attached, memory.read(1)) == (1, True, b" ")


def test_what_nobody_holds_is_detached_without_a_word(memory: SharedMemory) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        SharedMemory(memory.key).write(b"x")
        ours.attach(memory.id).read(1)
        gc.collect()
    assert memory.number_attached == 1


def test_a_segment_of_an_id_has_no_key(memory: SharedMemory) -> None:
    other = ours.attach(memory.id)
    assert (other.key, other.id, str(other)) == (-1, memory.id, f"Key=-1, id={memory.id}")
    other.detach()


@pytest.mark.parametrize("kind", [Semaphore, SharedMemory, MessageQueue])
@pytest.mark.parametrize("key", [2**32, 2**40, -(2**31) - 1, 2**63 - 1])
def test_a_key_of_more_than_32_bits_does_not_become_another(kind: Any, key: int) -> None:
    with pytest.raises(ValueError, match="KEY_MIN"):
        kind(key, IPC_CREX)


def test_to_release_never_acquires(semaphore: Semaphore) -> None:
    """The peer makes -32768 its own amount in a C short."""
    with pytest.raises(ValueError, match="SEMVMX"):
        semaphore.release(-32768)
    assert semaphore.value == 1


def test_memory_that_is_not_ours_is_not_replaced(memory: SharedMemory) -> None:
    other = libc.mmap(None, 8192, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS)
    for flags in (ours.SHM_REMAP, ours.SHM_REMAP | ours.SHM_RND):
        with pytest.raises(ValueError, match="SHM_REMAP"):
            memory.attach(other.address, flags)
    libc.munmap(other)
    assert memory.number_attached == 1


def test_a_segment_is_attached_where_it_is_wanted(memory: SharedMemory) -> None:
    address = free_place()
    memory.attach(address + 5, ours.SHM_RND)
    assert memory.address == address
    memory.write(b"there")


def test_a_large_segment_is_filled(keep: Callable[[Any], Any]) -> None:
    memory = keep(SharedMemory(None, IPC_CREX, size=3 * 2**20 + 5, init_character=b"7"))
    assert memory.read() == b"7" * (3 * 2**20 + 5)


def test_a_segment_that_cannot_be_attached_is_not_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise MemoryError

    key = unused_key()
    monkeypatch.setattr(libc, "shmat", refuse)
    with pytest.raises(MemoryError):
        SharedMemory(key, IPC_CREX)
    monkeypatch.undo()
    with pytest.raises(ours.ExistentialError):
        SharedMemory(key)


# -- waits --


def test_timeouts_work(semaphore: Semaphore) -> None:
    semaphore.acquire(0.01)
    for call in (semaphore.acquire, semaphore.P):
        with pytest.raises(ours.BusyError) as caught:
            call(timeout=0.01)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.errno == errno.ETIMEDOUT
        with pytest.raises(ours.BusyError) as caught:
            call(0)
        assert isinstance(caught.value, BlockingIOError)
    semaphore.Z(0.01)
    semaphore.release()
    with pytest.raises(ours.BusyError):
        semaphore.Z(0.01)


def test_without_block_no_timeout_is_waited_for(semaphore: Semaphore) -> None:
    semaphore.block = False
    semaphore.acquire()
    for timeout in (None, 0, 1000, math.inf):
        with pytest.raises(ours.BusyError) as caught:
            semaphore.acquire(timeout)
        assert isinstance(caught.value, BlockingIOError)


@pytest.mark.parametrize("timeout", [math.inf, 1e300, 2**62])
def test_the_longest_timeouts_wait(timeout: float, semaphore: Semaphore, fork: Fork, gate: Callable[[], Gate]) -> None:
    semaphore.acquire()
    ready = gate()

    def wait() -> int:
        ready.open()
        semaphore.acquire(timeout)
        return semaphore.value

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    assert semaphore.waiting_for_nonzero == 1
    semaphore.release()
    assert child.result() == 0


@pytest.mark.parametrize("timeout", [math.nan, -1, -0.1, "1", b"one", 2**63, [1]])
def test_what_is_no_time_is_a_type_error(timeout: Any, semaphore: Semaphore) -> None:
    for call in (semaphore.acquire, semaphore.P, semaphore.Z):
        with pytest.raises(TypeError, match="non-negative"):
            call(timeout)


def test_a_signal_ends_each_wait_with_an_error_of_its_own(
    semaphore: Semaphore, queue: MessageQueue, fork: Fork, gate: Callable[[], Gate]
) -> None:
    semaphore.acquire()
    semaphore.Z()
    waits: list[Callable[[], object]] = [semaphore.acquire, lambda: semaphore.acquire(100), queue.receive]

    def wait(call: Callable[[], object], ready: Gate) -> tuple[type, int, int]:
        ran: list[int] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(ran.append))
        ready.open()
        try:
            call()
        except InterruptedError as error:
            return type(error).__mro__[1], error.errno or 0, len(ran)
        raise AssertionError("it went on")

    for call in waits:
        ready = gate()
        child = fork(wait, call, ready)
        ready.wait()
        until_blocked(child)
        os.kill(child.pid, libc.SIGUSR1)
        assert child.result() == (ours.Error, errno.EINTR, 1)


def test_what_a_handler_raises_is_raised(semaphore: Semaphore, fork: Fork, gate: Callable[[], Gate]) -> None:
    semaphore.acquire()
    ready = gate()

    def wait() -> str:
        def handler(signum: int) -> None:
            raise LookupError("the handler's own")

        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handler))
        ready.open()
        with pytest.raises(LookupError) as caught:
            semaphore.acquire()
        return str(caught.value)

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    os.kill(child.pid, libc.SIGUSR1)
    assert child.result() == "the handler's own"


def test_what_is_removed_during_a_wait_does_not_exist(
    semaphore: Semaphore, queue: MessageQueue, fork: Fork, gate: Callable[[], Gate]
) -> None:
    semaphore.acquire()

    def wait(call: Callable[[], object], ready: Gate) -> int:
        ready.open()
        with pytest.raises(ours.ExistentialError) as caught:
            call()
        return caught.value.errno or 0

    for thing, call in ((semaphore, semaphore.acquire), (queue, queue.receive)):
        ready = gate()
        child = fork(wait, call, ready)
        ready.wait()
        until_blocked(child)
        thing.remove()
        assert child.result() == errno.EIDRM


def test_what_was_done_with_undo_is_undone(semaphore: Semaphore, fork: Fork) -> None:
    def hold() -> int:
        semaphore.undo = True
        semaphore.acquire()
        return semaphore.value

    assert fork(hold).result() == 0
    assert semaphore.value == 1


# -- errors --


def test_errors_are_those_of_the_builtin_kind_too(
    semaphore: Semaphore, memory: SharedMemory, queue: MessageQueue
) -> None:
    cases: list[tuple[Callable[[], object], type[OSError], type[OSError], int]] = [
        (lambda: Semaphore(unused_key()), ours.ExistentialError, FileNotFoundError, errno.ENOENT),
        (lambda: SharedMemory(unused_key()), ours.ExistentialError, FileNotFoundError, errno.ENOENT),
        (lambda: MessageQueue(unused_key()), ours.ExistentialError, FileNotFoundError, errno.ENOENT),
        (lambda: Semaphore(semaphore.key, IPC_CREX), ours.ExistentialError, FileExistsError, errno.EEXIST),
        (lambda: SharedMemory(memory.key, IPC_CREX), ours.ExistentialError, FileExistsError, errno.EEXIST),
        (lambda: MessageQueue(queue.key, IPC_CREX), ours.ExistentialError, FileExistsError, errno.EEXIST),
        (lambda: ours.remove_semaphore(-1), ours.ExistentialError, OSError, errno.EINVAL),
        (lambda: queue.receive(block=False), ours.BusyError, BlockingIOError, errno.ENOMSG),
        (memory.detach, ours.NotAttachedError, OSError, errno.EINVAL),
    ]
    memory.detach()
    for call, kind, builtin, code in cases:
        with pytest.raises(kind) as caught:
            call()
        assert isinstance(caught.value, builtin)
        assert isinstance(caught.value, ours.Error)
        assert caught.value.errno == code
        assert str(caught.value)
        again = pickle.loads(pickle.dumps(caught.value))
        assert (type(again), again.args) == (type(caught.value), caught.value.args)
    assert issubclass(ours.InternalError, ours.Error)
    assert issubclass(ours.PermissionsError, PermissionError)


@needs_root
def test_another_user_is_refused(semaphore: Semaphore, memory: SharedMemory, queue: MessageQueue, fork: Fork) -> None:
    def try_all() -> list[tuple[bool, int]]:
        def change(thing: Any) -> None:
            thing.mode = 0o666

        refused = []
        for call in (
            lambda: Semaphore(semaphore.key),
            lambda: SharedMemory(memory.key),
            lambda: MessageQueue(queue.key),
            semaphore.acquire,
            lambda: queue.send(b"x"),
            queue.receive,
            memory.attach,
            semaphore.remove,
            memory.remove,
            queue.remove,
            lambda: semaphore.uid,
            lambda: change(memory),
            lambda: change(queue),
            lambda: change(semaphore),
        ):
            try:
                call()
            except ours.PermissionsError as error:
                refused.append((isinstance(error, PermissionError), error.errno or 0))
        return refused

    refused = fork(as_nobody, try_all).result()
    assert len(refused) == 14
    assert {code for _, code in refused} == {errno.EACCES, errno.EPERM}
    assert all(builtin for builtin, _ in refused)


def test_ftok_warns_where_it_is_called(tmp_path: Path) -> None:
    with pytest.warns(Warning, match="not recommended") as caught:
        key = ours.ftok(str(tmp_path), 7)
    assert caught[0].filename == __file__
    assert caught[0].category is Warning
    assert key == sysv.ftok(tmp_path, 7) == ours.ftok(str(tmp_path), 7, silence_warning=True)


def test_excl_alone_is_refused() -> None:
    for kind in (Semaphore, SharedMemory, MessageQueue):
        with pytest.raises(ValueError, match="combined with IPC_CREAT"):
            kind(unused_key(), IPC_EXCL)
        with pytest.raises(ValueError, match="only be None"):
            kind(None, IPC_CREAT)
