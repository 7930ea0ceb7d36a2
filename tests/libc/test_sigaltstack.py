"""libc.sigaltstack: handlers run on a Mapping, which stays where it is for as long as they may."""

from __future__ import annotations

import ctypes
import errno
import gc
import itertools
import os
import subprocess
import sys
import threading
import warnings
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from maps import SANITIZED, access, free_place

from unixipc import libc
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

PAGE = libc.PAGE_SIZE
BOTH = libc.PROT_READ | libc.PROT_WRITE
PRIVATE = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS
SIZE = 16 * PAGE
ROOMY = 1 << 20  # enough for the interpreter itself

unsanitized = pytest.mark.skipif(
    SANITIZED,
    reason="the address sanitizer handles SIGSEGV itself, and unmaps the signal stack of a thread that ends",
)

HANDLER: Callable[[Callable[[int], None]], Any] = ctypes.CFUNCTYPE(None, ctypes.c_int)


class StackT(ctypes.Structure):
    """The stack_t of C."""

    _fields_ = (("sp", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


class Others:
    """A stack that other code puts in place, without our knowledge."""

    def __init__(self) -> None:
        self.size = 4 * libc.SIGSTKSZ
        self.memory = ctypes.create_string_buffer(self.size)
        self.address = ctypes.addressof(self.memory)
        self.before = StackT()
        assert self.call(ctypes.byref(StackT(self.address, 0, self.size)), ctypes.byref(self.before)) == 0

    call = ctypes.CDLL(None).sigaltstack

    def put_back(self) -> None:
        assert self.call(ctypes.byref(self.before), None) == 0


KEPT: list[object] = []


@pytest.fixture
def memory() -> Iterator[libc.Mapping]:
    """Map memory for a stack, and see that nothing uses it any more at the end."""
    made = libc.mmap(free_place(), SIZE, BOTH, PRIVATE)
    yield made
    with memoryview(made):
        pass
    libc.munmap(made)


@pytest.fixture
def stack(memory: libc.Mapping) -> Iterator[libc.Mapping]:
    """Have handlers of this thread run on the memory."""
    before = libc.sigaltstack(libc.Stack(memory))
    yield memory
    libc.sigaltstack(before)


def _in_thread(function: Callable[[], object]) -> None:
    """Run a function in another thread, and raise what it raises."""
    raised: list[BaseException] = []

    def work() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)

    worker = threading.Thread(target=work)
    worker.start()
    worker.join(DEADLINE)
    assert not worker.is_alive()
    if raised:
        raise raised[0]


def _catch(signum: int = libc.SIGUSR1) -> list[int]:
    """Catch a signal for the rest of a child's life."""
    caught: list[int] = []
    libc.sigaction(signum, libc.Sigaction(caught.append))
    return caught


def _handle_natively(handler: Callable[[int], None], flags: int) -> None:
    """Have SIGUSR1 run Python code where the kernel calls it: on the signal stack, with SA_ONSTACK."""
    native = HANDLER(handler)
    KEPT.append(native)
    address = ctypes.cast(native, ctypes.c_void_p).value
    assert address is not None
    libc.sigaction(libc.SIGUSR1, libc.Sigaction(libc.NativeHandler(address), flags=flags))


def _traces(memory: libc.Mapping) -> bool:
    with memoryview(memory) as view:
        return any(view)


# -- handlers run on it --


def test_the_c_part_of_a_python_handler_runs_on_the_stack(fork: Fork, memory: libc.Mapping) -> None:
    def child() -> tuple[bool, bool, list[int]]:
        caught = _catch()
        libc.raise_(libc.SIGUSR1)
        without = _traces(memory)
        before = libc.sigaltstack(libc.Stack(memory))
        libc.raise_(libc.SIGUSR1)
        libc.sigaltstack(before)
        return without, _traces(memory), caught

    assert fork(child).result() == (False, True, [libc.SIGUSR1] * 2)


def test_a_stack_of_sigstksz_is_enough_for_a_python_handler(fork: Fork) -> None:
    def child() -> list[int]:
        size = -(-libc.SIGSTKSZ // PAGE) * PAGE
        place = libc.mmap(free_place(), PAGE + size, libc.PROT_NONE, PRIVATE)
        libc.munmap(place, offset=PAGE)  # what is left is a guard
        above = libc.mmap(place.address + PAGE, size, BOTH, PRIVATE | libc.MAP_FIXED)
        libc.sigaltstack(libc.Stack(above))
        caught = _catch()
        for _ in range(100):
            libc.raise_(libc.SIGUSR1)
        return caught

    assert fork(child).result() == [libc.SIGUSR1] * 100


def test_a_native_handler_runs_on_it_with_sa_onstack_only(fork: Fork) -> None:
    def child() -> list[tuple[bool, bool]]:
        memory = libc.mmap(free_place(), ROOMY, BOTH, PRIVATE)
        seen: list[tuple[bool, bool]] = []

        def handler(_: int) -> None:
            now = libc.sigaltstack()
            seen.append((now.ss_sp is memory, bool(now.ss_flags & libc.SS_ONSTACK)))

        libc.sigaltstack(libc.Stack(memory))
        for flags in (0, libc.SA_ONSTACK):
            _handle_natively(handler, flags)
            libc.raise_(libc.SIGUSR1)
        return seen

    assert fork(child).result() == [(True, False), (True, True)]


def test_no_handler_can_change_the_stack_that_it_runs_on(fork: Fork) -> None:
    def child() -> list[str]:
        memory, other = (libc.mmap(free_place(), ROOMY, BOTH, PRIVATE) for _ in range(2))
        texts: list[str] = []

        def handler(_: int) -> None:
            for ss in (libc.Stack(other), libc.Stack(ss_flags=libc.SS_DISABLE)):
                with pytest.raises(PermissionError) as caught:
                    libc.sigaltstack(ss)
                texts.append(str(caught.value))

        libc.sigaltstack(libc.Stack(memory))
        _handle_natively(handler, libc.SA_ONSTACK)
        libc.raise_(libc.SIGUSR1)
        assert libc.sigaltstack().ss_sp is memory
        libc.munmap(other)  # which is nobody's stack
        assert access(other.address) is None
        return texts

    texts = fork(child).result()
    assert len(texts) == 2
    assert all("the thread is running on the stack that this would change" in text for text in texts)


def test_with_autodisarm_a_handler_can_put_another_in_place_and_the_first_comes_back(fork: Fork) -> None:
    def child() -> tuple[int, bool, bool]:
        memory, other = (libc.mmap(free_place(), ROOMY, BOTH, PRIVATE) for _ in range(2))
        flags: list[int] = []

        def handler(_: int) -> None:
            flags.append(libc.sigaltstack(libc.Stack(other)).ss_flags)

        libc.sigaltstack(libc.Stack(memory, libc.SS_AUTODISARM))
        assert libc.sigaltstack().ss_flags == libc.SS_AUTODISARM
        _handle_natively(handler, libc.SA_ONSTACK)
        libc.raise_(libc.SIGUSR1)
        now = libc.sigaltstack()
        libc.munmap(memory)
        libc.raise_(libc.SIGUSR1)
        return flags[0], now.ss_sp == memory.address, access(memory.address) is not None

    assert fork(child).result() == (libc.SS_DISABLE, True, True)


# -- what is in place --


def test_the_stack_before_is_returned_and_can_be_put_back(memory: libc.Mapping) -> None:
    before = libc.sigaltstack()
    other = libc.mmap(free_place(), SIZE, BOTH, PRIVATE)
    assert libc.sigaltstack(libc.Stack(memory)) == before
    assert libc.sigaltstack() == libc.Stack(memory, 0, SIZE)
    replaced = libc.sigaltstack(libc.Stack(other))
    assert replaced.ss_sp is memory
    assert libc.sigaltstack(replaced).ss_sp is other
    assert libc.sigaltstack(before).ss_sp is memory
    assert libc.sigaltstack() == before
    libc.munmap(other)


def test_a_stack_can_be_taken_away(memory: libc.Mapping) -> None:
    before = libc.sigaltstack(libc.Stack(memory))
    assert libc.sigaltstack(libc.Stack(ss_flags=libc.SS_DISABLE)).ss_sp is memory
    none = libc.sigaltstack()
    assert none == libc.Stack(None, libc.SS_DISABLE, 0)
    libc.sigaltstack(libc.Stack(memory))
    assert libc.sigaltstack(libc.Stack(memory, libc.SS_DISABLE)).ss_sp is memory
    assert libc.sigaltstack(before) == none


def test_the_same_stack_can_be_put_in_place_again(stack: libc.Mapping) -> None:
    for flags in (0, libc.SS_ONSTACK, libc.SS_AUTODISARM, 0):
        assert libc.sigaltstack(libc.Stack(stack, flags)).ss_sp is stack


def test_other_code_s_stack_is_reported_and_put_back_exactly(fork: Fork) -> None:
    def child() -> None:
        others = Others()
        theirs = libc.sigaltstack()
        assert theirs == libc.Stack(others.address, 0, others.size)
        memory = libc.mmap(free_place(), SIZE, BOTH, PRIVATE)
        assert libc.sigaltstack(libc.Stack(memory)) == theirs
        assert libc.sigaltstack(theirs).ss_sp is memory
        now = StackT()
        assert others.call(None, ctypes.byref(now)) == 0
        assert (now.sp, now.flags, now.size) == (others.address, 0, others.size)
        caught = _catch()
        libc.raise_(libc.SIGUSR1)
        assert caught == [libc.SIGUSR1]
        assert any(others.memory.raw)
        libc.munmap(memory)
        assert access(memory.address) is None

    fork(child).result()


@unsanitized
def test_faulthandler_s_stack_comes_back() -> None:
    code = (
        "import faulthandler; faulthandler.enable()\n"
        "from unixipc import libc\n"
        "before = libc.sigaltstack(); assert isinstance(before.ss_sp, int), before\n"
        "memory = libc.mmap(None, 1 << 16, 3, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS)\n"
        "assert libc.sigaltstack(libc.Stack(memory)) == before\n"
        "assert libc.sigaltstack(before).ss_sp is memory\n"
        "assert libc.sigaltstack() == before\n"
        "libc.munmap(memory)\n"
        "libc.raise_(libc.SIGSEGV)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == -libc.SIGSEGV
    assert "Fatal Python error: Segmentation fault" in done.stderr


def test_a_stack_that_other_code_displaced_stays_for_it_to_put_back(fork: Fork) -> None:
    def child() -> None:
        memory, other = (libc.mmap(free_place(), SIZE, BOTH, PRIVATE) for _ in range(2))
        libc.sigaltstack(libc.Stack(memory))
        others = Others()
        with pytest.raises(BufferError, match="memory that signal handlers run on"):
            libc.sigaltstack(libc.Stack(memory))
        libc.munmap(memory)
        libc.sigaltstack(libc.Stack(ss_flags=libc.SS_DISABLE))
        libc.sigaltstack(libc.Stack(other))
        others.put_back()
        caught = _catch()
        libc.raise_(libc.SIGUSR1)
        assert caught == [libc.SIGUSR1]
        assert libc.sigaltstack().ss_sp == memory.address

    fork(child).result()


# -- it stays --


def test_a_stack_in_place_outlives_its_object(fork: Fork) -> None:
    def child() -> None:
        memory = libc.mmap(free_place(), SIZE, BOTH, PRIVATE)
        address = memory.address
        before = libc.sigaltstack(libc.Stack(memory))
        libc.munmap(memory)
        del memory
        gc.collect()
        assert access(address) is not None
        caught = _catch()
        libc.raise_(libc.SIGUSR1)
        assert caught == [libc.SIGUSR1]
        closed = libc.sigaltstack(before)
        assert isinstance(closed.ss_sp, libc.Mapping)
        assert closed.ss_sp.closed
        assert access(address) is None
        with pytest.raises(ValueError, match="this mapping is closed"):
            libc.sigaltstack(closed)

    fork(child).result()


def test_a_stack_that_was_dropped_open_is_complained_about_when_it_is_replaced() -> None:
    memory = libc.mmap(free_place(), SIZE, BOTH, PRIVATE)
    before = libc.sigaltstack(libc.Stack(memory))
    address = memory.address
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        del memory
        gc.collect()
    with pytest.warns(ResourceWarning, match="unclosed <Mapping"):
        libc.sigaltstack(before)
    assert access(address) is None


CHANGES: dict[str, Callable[[libc.Mapping], object]] = {
    "memoryview": memoryview,
    "munmap a part": lambda memory: libc.munmap(memory, offset=PAGE),
    "mprotect": lambda memory: libc.mprotect(memory, libc.PROT_READ),
    "mprotect a part": lambda memory: libc.mprotect(memory, libc.PROT_NONE, length=PAGE),
    "mremap": lambda memory: libc.mremap(memory, 2 * SIZE, libc.MREMAP_MAYMOVE),
    "mremap smaller": lambda memory: libc.mremap(memory, PAGE),
    "mmap over it": lambda memory: libc.mmap(memory, SIZE, BOTH, PRIVATE | libc.MAP_FIXED),
    **{
        f"madvise {advice.name}": partial(lambda advice, memory: libc.madvise(memory, advice), advice)
        for advice in (libc.MADV_DONTNEED, libc.MADV_FREE, libc.MADV_DONTFORK, libc.MADV_WIPEONFORK, libc.MADV_REMOVE)
    },
}


@pytest.mark.parametrize("name", CHANGES)
def test_nothing_can_be_done_to_a_stack_in_place(name: str, stack: libc.Mapping) -> None:
    with pytest.raises(BufferError, match="memory that signal handlers run on: sigaltstack"):
        CHANGES[name](stack)


def test_what_does_no_harm_can_be_done_to_a_stack_in_place(stack: libc.Mapping) -> None:
    libc.mprotect(stack, BOTH)
    assert len(libc.mincore(stack)) == SIZE // PAGE
    libc.mlock(stack, length=PAGE)
    libc.munlock(stack)


# -- what is no stack --


def test_a_stack_that_is_too_small_is_enomem_and_says_how_much_it_takes() -> None:
    assert os.sysconf("SC_MINSIGSTKSZ") < libc.SIGSTKSZ
    for size in (1, 2048, os.sysconf("SC_MINSIGSTKSZ"), libc.SIGSTKSZ - 1):
        memory = libc.mmap(free_place(), size, BOTH, PRIVATE)
        with pytest.raises(OSError, match=f"at least SIGSTKSZ bytes, {libc.SIGSTKSZ}") as caught:
            libc.sigaltstack(libc.Stack(memory))
        assert caught.value.errno == errno.ENOMEM
        libc.munmap(memory)
        assert access(memory.address) is None


UNFIT: dict[str, Callable[[], libc.Mapping]] = {
    "read-only": lambda: libc.mmap(free_place(), SIZE, libc.PROT_READ, PRIVATE),
    "without access": lambda: libc.mmap(free_place(), SIZE, libc.PROT_NONE, PRIVATE),
    "shared with children": lambda: libc.mmap(free_place(), SIZE, BOTH, libc.MAP_SHARED | libc.MAP_ANONYMOUS),
}


def _of_a_file(flags: int) -> libc.Mapping:
    fd = os.memfd_create("stack")
    try:
        os.ftruncate(fd, SIZE)
        return libc.mmap(None, SIZE, BOTH, flags, fd)
    finally:
        os.close(fd)


def _after(change: Callable[[libc.Mapping], object]) -> libc.Mapping:
    memory = libc.mmap(free_place(), SIZE, BOTH, PRIVATE)
    change(memory)
    return memory


UNFIT |= {
    "of a file": lambda: _of_a_file(libc.MAP_SHARED),
    "of a file, private": lambda: _of_a_file(libc.MAP_PRIVATE),
    "protected": lambda: _after(lambda memory: libc.mprotect(memory, libc.PROT_READ)),
    "protected in part": lambda: _after(lambda memory: libc.mprotect(memory, libc.PROT_READ, length=PAGE)),
    "kept from children": lambda: _after(lambda memory: libc.madvise(memory, libc.MADV_DONTFORK)),
}


@pytest.mark.parametrize("name", UNFIT)
def test_memory_that_may_fail_a_handler_is_refused(name: str) -> None:
    before = libc.sigaltstack()
    memory = UNFIT[name]()
    with pytest.raises(ValueError, match="private, anonymous, of normal pages, readable, writable"):
        libc.sigaltstack(libc.Stack(memory))
    assert libc.sigaltstack() == before
    libc.munmap(memory)
    assert access(memory.address) is None


def test_a_segment_is_no_stack() -> None:
    segment = libc.shmget(libc.IPC_PRIVATE, SIZE, libc.IPC_CREAT | 0o600)
    attachment = libc.shmat(segment)
    libc.shmctl(segment, libc.IPC_RMID)
    with pytest.raises(ValueError, match="private, anonymous"):
        libc.sigaltstack(libc.Stack(attachment))
    libc.shmdt(attachment)


def test_memory_that_a_view_shows_is_no_stack(memory: libc.Mapping) -> None:
    view = memoryview(memory)
    with pytest.raises(BufferError, match=r"cannot run signal handlers on memory that 1 view\(s\) still show"):
        libc.sigaltstack(libc.Stack(memory))
    view.release()


def test_a_closed_mapping_is_no_stack() -> None:
    memory = libc.mmap(free_place(), SIZE, BOTH, PRIVATE)
    libc.munmap(memory)
    with pytest.raises(ValueError, match="this mapping is closed"):
        libc.sigaltstack(libc.Stack(memory))


ADDRESSES = (0, 1, PAGE, 0xDEAD_0000, 2**47 - PAGE, 2**63, 2**64 - PAGE)


@pytest.mark.parametrize(("address", "size"), list(itertools.product(ADDRESSES, (0, SIZE, 2**63, 2**64 - 1))))
def test_an_address_that_nobody_reported_is_refused(address: int, size: int) -> None:
    before = libc.sigaltstack()
    with pytest.raises(ValueError, match="a stack of ours is a Mapping"):
        libc.sigaltstack(libc.Stack(address, 0, size))
    assert libc.sigaltstack() == before


def test_the_address_of_a_mapping_does_not_do_instead_of_it(stack: libc.Mapping) -> None:
    libc.sigaltstack()
    with pytest.raises(ValueError, match="a stack of ours is a Mapping"):
        libc.sigaltstack(libc.Stack(stack.address, 0, SIZE))


class Chameleon(int):
    """An address that equals every other."""

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return self.alike

    alike = 0


def test_an_address_that_lies_about_itself_is_refused(fork: Fork) -> None:
    def child() -> None:
        others = Others()
        seen = libc.sigaltstack()
        assert seen.ss_sp == others.address
        liar = Chameleon(0xDEAD_0000)
        liar.alike = hash(seen.ss_sp)
        with pytest.raises(ValueError, match="a stack of ours is a Mapping"):
            libc.sigaltstack(libc.Stack(liar, 0, seen.ss_size))

    fork(child).result()


class Impostor:
    """Says that it is memory."""

    __class__ = libc.Mapping  # type: ignore[assignment]

    def __len__(self) -> int:
        return SIZE


def test_only_memory_is_memory() -> None:
    impostor: Any = Impostor()
    with pytest.raises(TypeError, match="it is no memory of ours"):
        libc.sigaltstack(libc.Stack(impostor))
    wrongs: list[Any] = [1.5, "x", b"x" * SIZE, bytearray(SIZE), object()]
    for wrong in wrongs:
        with pytest.raises(TypeError):
            libc.Stack(wrong)
        with pytest.raises(TypeError, match="ss is a Stack"):
            libc.sigaltstack(wrong)


@pytest.mark.parametrize("flags", [3, 4, 8, 2**30, 2**32 - 1])
def test_flags_that_do_not_exist_are_einval(flags: int, memory: libc.Mapping) -> None:
    with pytest.raises(OSError, match="ss_flags is one of") as caught:
        libc.sigaltstack(libc.Stack(memory, flags))
    assert caught.value.errno == errno.EINVAL


def test_members_of_a_stack_fit_c(memory: libc.Mapping) -> None:
    for flags in (-1, 2**32, 2**64):
        with pytest.raises(OverflowError, match="ss_flags"):
            libc.Stack(None, flags)
    for number in (-1, 2**64):
        with pytest.raises(OverflowError, match="ss_sp is"):
            libc.Stack(number)
        with pytest.raises(OverflowError, match="ss_size is"):
            libc.Stack(None, 0, number)
    with pytest.raises(ValueError, match="is used in whole"):
        libc.Stack(memory, 0, PAGE)
    assert libc.Stack(memory).ss_size == SIZE


# -- threads and children --


def test_each_thread_has_a_stack_of_its_own(stack: libc.Mapping) -> None:
    def work() -> None:
        before = libc.sigaltstack()
        assert before.ss_sp is not stack
        with pytest.raises(BufferError, match="memory that signal handlers run on"):
            libc.sigaltstack(libc.Stack(stack))
        other = libc.mmap(free_place(), SIZE, BOTH, PRIVATE)
        libc.sigaltstack(libc.Stack(other))
        assert libc.sigaltstack(before).ss_sp is other
        libc.munmap(other)

    _in_thread(work)
    assert libc.sigaltstack().ss_sp is stack


def test_other_code_s_stack_on_one_thread_is_refused_on_another(fork: Fork) -> None:
    def child() -> None:
        others = Others()
        seen = libc.sigaltstack()

        def work() -> None:
            with pytest.raises(ValueError, match="no stack of other code on this thread"):
                libc.sigaltstack(seen)

        _in_thread(work)
        libc.sigaltstack(seen)
        others.put_back()

    fork(child).result()


@unsanitized
def test_a_thread_that_ends_with_its_stack_in_place_leaves_it_mapped(fork: Fork) -> None:
    def child() -> None:
        memory = libc.mmap(free_place(), SIZE, BOTH, PRIVATE)
        _in_thread(partial(libc.sigaltstack, libc.Stack(memory)))
        libc.munmap(memory)
        address = memory.address
        del memory
        gc.collect()
        assert access(address) is not None

    fork(child).result()


def test_a_forked_child_goes_on_with_its_stack(stack: libc.Mapping, fork: Fork) -> None:
    def child() -> None:
        now = libc.sigaltstack()
        assert now.ss_sp is stack
        caught = _catch()
        libc.raise_(libc.SIGUSR1)
        assert caught == [libc.SIGUSR1]
        libc.sigaltstack(libc.Stack(ss_flags=libc.SS_DISABLE))
        assert _traces(stack)
        libc.munmap(stack)

    fork(child).result()
    assert libc.sigaltstack().ss_sp is stack


def test_an_interpreter_ends_in_peace_with_a_stack_in_place() -> None:
    code = (
        "import faulthandler\n"
        "from unixipc import libc\n"
        "memory = libc.mmap(None, 1 << 16, 3, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS)\n"
        "libc.sigaltstack(libc.Stack(memory))\n"
        "libc.sigaction(libc.SIGTERM, libc.Sigaction(print))\n"
        "import atexit; atexit.register(libc.raise_, libc.SIGTERM)\n"
        "del memory\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "15\n", "")


def test_stacks_come_and_go_a_thousand_times(memory: libc.Mapping) -> None:
    before = libc.sigaltstack()
    for _ in range(1000):
        libc.sigaltstack(libc.Stack(memory))
        libc.sigaltstack(before)
    assert sys.getrefcount(memory) < 10
