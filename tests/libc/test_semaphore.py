"""unixipc.libc: POSIX semaphores, as sem_overview(7) promises them."""

from __future__ import annotations

import errno
import os
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from maps import is_shared
from nobody import become_nobody
from until import until_blocked, until_waiting_at

from unixipc import _cpython, libc
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

NAME = f"/unixipc-test-{os.getpid()}"
FILE = Path(f"/dev/shm/sem.{NAME[1:]}")  # noqa: S108 - where the C library keeps it
NEW = libc.O_CREAT | libc.O_EXCL
PAGE = libc.PAGE_SIZE
LONG_AGO = 0
CALLS = ["sem_wait", "sem_timedwait", "sem_clockwait"]


@pytest.fixture(autouse=True, params=["front", "twin"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with the fronts of the hot calls, and with the Python functions behind them."""
    if request.param == "twin":
        for name in ("sem_wait", "sem_trywait", "sem_post"):
            monkeypatch.setattr(libc, name, _cpython.twins[name])


@pytest.fixture
def name() -> Iterator[str]:
    """A name whose semaphore is removed with the test."""
    yield NAME
    with suppress(FileNotFoundError):  # the test may have removed it
        libc.sem_unlink(NAME)


@pytest.fixture
def named(name: str) -> Iterator[libc.Sem]:
    sem = libc.sem_open(name, NEW, 0o600, 0)
    yield sem
    if not sem.closed:
        libc.sem_close(sem)


@pytest.fixture
def memory() -> Iterator[libc.Mapping]:
    """Memory that forked processes share."""
    mapping = libc.mmap(None, PAGE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED | libc.MAP_ANONYMOUS)
    yield mapping
    if not mapping.closed:
        libc.munmap(mapping)


@pytest.fixture
def unnamed(memory: libc.Mapping) -> libc.Sem:
    sem = libc.Sem(memory, 64)
    libc.sem_init(sem, 1, 0)
    return sem


@pytest.fixture(params=["named", "unnamed"])
def sem(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def block(sem: libc.Sem, call: str) -> None:
    """Wait in a call."""
    if call == "sem_wait":
        libc.sem_wait(sem)
    elif call == "sem_timedwait":
        libc.sem_timedwait(sem, time.time() + DEADLINE)
    else:
        libc.sem_clockwait(sem, libc.CLOCK_MONOTONIC, time.monotonic() + DEADLINE)


@contextmanager
def waiting(sem: libc.Sem) -> Iterator[None]:
    """Have a thread wait for the semaphore, which must be posted within the block."""

    thread = threading.Thread(target=libc.sem_wait, args=(sem,), daemon=True)
    thread.start()
    until_waiting_at(thread, hex(sem.address))
    yield
    thread.join(DEADLINE)
    assert not thread.is_alive()


@contextmanager
def refused(code: int, text: str) -> Iterator[None]:
    with pytest.raises(OSError, match=text, check=lambda error: error.errno == code):
        yield


# -- sem_open(3), sem_unlink(3) --


def test_a_new_semaphore_has_the_value_asked_for(name: str) -> None:
    for value in (0, 5, libc.SEM_VALUE_MAX):
        sem = libc.sem_open(name, NEW, 0o600, value)
        assert libc.sem_getvalue(sem) == value
        libc.sem_close(sem)
        libc.sem_unlink(name)


def test_the_name_is_the_same_semaphore_for_another_process(named: libc.Sem, name: str, fork: Fork) -> None:
    def child() -> None:
        sem = libc.sem_open(name.encode())
        libc.sem_post(sem)
        libc.sem_close(sem)

    fork(child).result()
    libc.sem_trywait(named)


def test_the_value_and_mode_of_a_semaphore_that_exists_stay(named: libc.Sem, name: str) -> None:
    other = libc.sem_open(name, libc.O_CREAT, 0o666, 7)
    assert libc.sem_getvalue(other) == 0
    assert FILE.stat().st_mode & 0o777 == 0o600
    libc.sem_close(other)


def test_a_semaphore_stays_open_until_each_of_its_opens_is_closed(named: libc.Sem, name: str) -> None:
    other = libc.sem_open(name)
    assert other.address == named.address
    libc.sem_close(other)
    libc.sem_post(named)
    assert libc.sem_getvalue(named) == 1
    libc.sem_close(named)
    assert not is_shared(other.address)


def test_exclusive_means_that_there_was_none(named: libc.Sem, name: str) -> None:
    with pytest.raises(FileExistsError, match=rf"sem_open\('{name}'\): .*O_EXCL was given"):
        libc.sem_open(name, NEW, 0o600, 1)


def test_a_semaphore_that_is_not_there_is_not_made_without_o_creat(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no semaphore has this name, and O_CREAT was not given"):
        libc.sem_open(name)


def test_the_umask_is_taken_off_the_mode(name: str) -> None:
    before = os.umask(0o027)
    try:
        sem = libc.sem_open(name, NEW, 0o666)
    finally:
        os.umask(before)
    assert FILE.stat().st_mode & 0o777 == 0o640
    libc.sem_close(sem)


def test_a_value_has_a_maximum(name: str) -> None:
    with refused(errno.EINVAL, f"a value is at most SEM_VALUE_MAX, {libc.SEM_VALUE_MAX}"):
        libc.sem_open(name, NEW, 0o600, libc.SEM_VALUE_MAX + 1)
    for value in (-1, 2**32):
        with pytest.raises(OverflowError, match="value is"):
            libc.sem_open(name, NEW, 0o600, value)


@pytest.mark.parametrize("wrong", ["", "/", "/a/b", "a/b"])
def test_a_name_has_one_slash_at_most_and_more(wrong: str) -> None:
    for call in (libc.sem_open, libc.sem_unlink):
        with pytest.raises(OSError, match=r"slash|no semaphore has this name"):
            call(wrong)


@pytest.mark.parametrize("length", [252, 300, 5000])
def test_a_name_has_at_most_251_bytes_behind_the_slash(length: int) -> None:
    longest = "/" + "x" * 251
    libc.sem_close(libc.sem_open(longest, NEW))
    libc.sem_unlink(longest)
    for call in (libc.sem_open, libc.sem_unlink):
        with pytest.raises(OSError, match=r"up to 251 bytes|no semaphore has this name"):
            call("/" + "x" * length)


def test_a_flag_that_open_would_take_is_refused(named: libc.Sem, name: str) -> None:
    """The C library hands them on: O_TRUNC would take the memory away from everybody who uses the semaphore."""
    for flag in (libc.O_TRUNC, libc.O_RDWR, os.O_PATH, libc.O_NONBLOCK):
        with refused(errno.EINVAL, "no flags but O_CREAT and O_EXCL"):
            libc.sem_open(name, flag | libc.O_CREAT)
    libc.sem_post(named)


@pytest.mark.parametrize("content", [b"", b"x", bytes(31), b"\xff" * 32, b"text" * 1000])
def test_a_file_that_is_no_semaphore_is_refused(content: bytes, name: str) -> None:
    FILE.write_bytes(content)
    for oflag in (0, libc.O_CREAT):
        with refused(errno.EINVAL, rf"file sem\.{name[1:]} of /dev/shm is no semaphore: remove it with sem_unlink"):
            libc.sem_open(name, oflag)
    assert "sem." not in Path("/proc/self/maps").read_text()
    libc.sem_unlink(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_is_refused_by_the_mode(named: libc.Sem, name: str, fork: Fork) -> None:
    def child() -> None:
        become_nobody()
        with pytest.raises(PermissionError, match="its mode does not let this process"):
            libc.sem_open(name)
        with pytest.raises(PermissionError, match="only its owner"):
            libc.sem_unlink(name)

    fork(child).result()


def test_a_semaphore_without_a_name_works_until_it_is_closed(named: libc.Sem, name: str) -> None:
    libc.sem_unlink(name)
    libc.sem_post(named)
    libc.sem_wait(named)
    with pytest.raises(FileNotFoundError, match="no semaphore has this name"):
        libc.sem_unlink(name)


def test_a_name_with_a_nul_names_nothing() -> None:
    for call in (libc.sem_open, libc.sem_unlink):
        for wrong in ("/a\0b", b"/a\0b"):
            with pytest.raises(ValueError, match="contains a NUL"):
                call(wrong)


# -- sem_close(3) --


def test_a_closed_semaphore_says_so(named: libc.Sem) -> None:
    libc.sem_close(named)
    assert (named.closed, repr(named)) == (True, "<Sem closed>")
    uses: list[Callable[[libc.Sem], object]] = [
        libc.sem_close,
        libc.sem_wait,
        libc.sem_trywait,
        libc.sem_post,
        libc.sem_getvalue,
        lambda sem: libc.sem_timedwait(sem, 0),
        lambda sem: libc.sem_clockwait(sem, libc.CLOCK_MONOTONIC, 0),
    ]
    for use in uses:
        with pytest.raises(ValueError, match="this semaphore is closed"):
            use(named)


def test_a_semaphore_that_is_dropped_open_is_closed_with_a_warning(name: str) -> None:
    with pytest.warns(ResourceWarning, match=r"unclosed <Sem at 0x"):
        libc.sem_open(name, NEW)
    assert "sem." not in Path("/proc/self/maps").read_text()


def test_closing_leaves_a_thread_that_waits_its_memory(named: libc.Sem, name: str) -> None:
    other = libc.sem_open(name)
    with waiting(named):
        libc.sem_close(named)
        libc.sem_close(other)
        assert is_shared(named.address)
        third = libc.sem_open(name)
        libc.sem_post(third)
        libc.sem_close(third)
    assert not is_shared(named.address)


# -- sem_init(3), sem_destroy(3) --


def test_a_semaphore_in_memory_is_one_for_every_process_that_has_it(memory: libc.Mapping, fork: Fork) -> None:
    there, back = libc.Sem(memory, 0), libc.Sem(memory, PAGE - libc.SEM_SIZE)
    for sem in (there, back):
        libc.sem_init(sem, 1, 0)

    def child() -> None:
        libc.sem_wait(there)
        libc.sem_post(libc.Sem(memory, PAGE - libc.SEM_SIZE))

    answering = fork(child)
    libc.sem_post(there)
    libc.sem_wait(back)
    answering.result()


def test_an_attached_segment_holds_a_semaphore_too() -> None:
    shmid = libc.shmget(libc.IPC_PRIVATE, PAGE, libc.IPC_CREAT | 0o600)
    attachment = libc.shmat(shmid)
    libc.shmctl(shmid, libc.IPC_RMID)
    sem = libc.Sem(attachment)
    libc.sem_init(sem, 1, 2)
    libc.sem_wait(sem)
    assert libc.sem_getvalue(sem) == 1
    libc.shmdt(attachment)
    libc.sem_post(sem)
    assert libc.sem_getvalue(sem) == 2


def test_a_semaphore_pins_its_memory(unnamed: libc.Sem, memory: libc.Mapping) -> None:
    for change in (
        lambda: libc.mprotect(memory, libc.PROT_READ),
        lambda: libc.mremap(memory, 2 * PAGE, libc.MREMAP_MAYMOVE),
        lambda: libc.madvise(memory, libc.MADV_HWPOISON),
    ):
        with pytest.raises(BufferError, match="release them first"):
            change()
    libc.munmap(memory)
    libc.sem_post(unnamed)
    libc.sem_wait(unnamed)
    assert is_shared(unnamed.address)
    libc.sem_destroy(unnamed)
    assert not is_shared(unnamed.address)


def test_a_place_that_is_dropped_pins_nothing(memory: libc.Mapping) -> None:
    libc.sem_init(libc.Sem(memory), 1, 3)
    assert libc.sem_getvalue(libc.Sem(memory)) == 3
    libc.mprotect(memory, libc.PROT_READ)


@pytest.mark.parametrize("offset", [-8, -1, PAGE, PAGE - libc.SEM_SIZE + 8, 2**62, -(2**62)])
def test_a_place_outside_the_memory_is_refused(memory: libc.Mapping, offset: int) -> None:
    with pytest.raises(ValueError, match=f"a semaphore has {libc.SEM_SIZE} bytes, which {PAGE} .* from {offset} on"):
        libc.Sem(memory, offset)


def test_a_place_that_is_not_aligned_is_refused(memory: libc.Mapping) -> None:
    for offset in range(1, libc.SEM_ALIGNMENT):
        with pytest.raises(ValueError, match=f"must be a multiple of {libc.SEM_ALIGNMENT}, which {offset} is not"):
            libc.Sem(memory, offset)


def test_memory_that_is_too_small_is_refused(memory: libc.Mapping) -> None:
    shmid = libc.shmget(libc.IPC_PRIVATE, libc.SEM_SIZE - 1, libc.IPC_CREAT | 0o600)
    attachment = libc.shmat(shmid)
    libc.shmctl(shmid, libc.IPC_RMID)
    with pytest.raises(ValueError, match=f"{libc.SEM_SIZE - 1} bytes of memory do not have"):
        libc.Sem(attachment)
    libc.shmdt(attachment)


def test_memory_that_cannot_be_written_is_refused(memory: libc.Mapping) -> None:
    libc.mprotect(memory, libc.PROT_READ)
    with pytest.raises(BufferError):
        libc.Sem(memory)
    libc.mprotect(memory, libc.PROT_NONE)
    with pytest.raises(BufferError, match="cannot be read"):
        libc.Sem(memory)


def test_memory_of_others_is_refused() -> None:
    for wrong in (bytearray(100), memoryview(bytearray(100)), None, 5):
        with pytest.raises(TypeError):
            libc.Sem(wrong)  # type: ignore[arg-type]


def test_what_somebody_wrote_over_a_semaphore_ends_nobody(unnamed: libc.Sem, memory: libc.Mapping, fork: Fork) -> None:
    def child() -> None:
        memoryview(memory)[:] = b"\xff" * PAGE
        uses: list[Callable[[], object]] = [
            lambda: libc.sem_wait(unnamed),
            lambda: libc.sem_trywait(unnamed),
            lambda: libc.sem_timedwait(unnamed, 0),
            lambda: libc.sem_clockwait(unnamed, libc.CLOCK_MONOTONIC, 0),
            lambda: libc.sem_post(unnamed),
            lambda: libc.sem_getvalue(unnamed),
        ]
        for use in uses:
            with refused(errno.EINVAL, "what lies there is no semaphore"):
                use()
        libc.sem_init(unnamed, 1, 1)
        libc.sem_wait(unnamed)

    fork(child).result()


def test_a_semaphore_goes_with_its_memory_out_of_a_child_that_has_none(
    unnamed: libc.Sem, memory: libc.Mapping, fork: Fork
) -> None:
    libc.madvise(memory, libc.MADV_DONTFORK)

    def child() -> None:
        for use in (libc.sem_post, libc.sem_wait, libc.sem_getvalue, libc.sem_destroy):
            with pytest.raises(ValueError, match="did not come along in fork"):
                use(unnamed)

    fork(child).result()
    libc.sem_post(unnamed)


def test_a_semaphore_that_a_thread_waits_for_is_not_destroyed(unnamed: libc.Sem) -> None:
    with waiting(unnamed):
        with refused(errno.EBUSY, "a thread of this process waits for it"):
            libc.sem_destroy(unnamed)
        libc.sem_post(unnamed)
    libc.sem_destroy(unnamed)
    with pytest.raises(ValueError, match="this semaphore is closed"):
        libc.sem_post(unnamed)


def test_named_and_unnamed_ones_end_each_in_its_way(named: libc.Sem, unnamed: libc.Sem) -> None:
    with pytest.raises(ValueError, match="has a name: sem_close"):
        libc.sem_destroy(named)
    with pytest.raises(ValueError, match="has a name, and was made by sem_open"):
        libc.sem_init(named, 1, 0)
    with pytest.raises(ValueError, match="has no name: sem_destroy"):
        libc.sem_close(unnamed)


# -- sem_wait(3), sem_post(3) --


def test_the_value_counts(sem: libc.Sem) -> None:
    for _ in range(3):
        libc.sem_post(sem)
    assert libc.sem_getvalue(sem) == 3
    libc.sem_wait(sem)
    libc.sem_trywait(sem)
    libc.sem_timedwait(sem, LONG_AGO)
    assert libc.sem_getvalue(sem) == 0
    with pytest.raises(BlockingIOError, match=r"sem_trywait\(<Sem at 0x\w+>\): .*the value is 0"):
        libc.sem_trywait(sem)


def test_the_value_has_an_end(memory: libc.Mapping) -> None:
    sem = libc.Sem(memory)
    libc.sem_init(sem, 1, libc.SEM_VALUE_MAX)
    with refused(errno.EOVERFLOW, "the value is SEM_VALUE_MAX already"):
        libc.sem_post(sem)
    with refused(errno.EINVAL, "at most SEM_VALUE_MAX"):
        libc.sem_init(sem, 1, libc.SEM_VALUE_MAX + 1)


@pytest.mark.parametrize("clock", [libc.CLOCK_REALTIME, libc.CLOCK_MONOTONIC])
def test_a_wait_ends_at_its_time_and_not_before(sem: libc.Sem, clock: int) -> None:
    for ahead in (-1e6, 0.01):
        when = time.clock_gettime(clock) + ahead
        with pytest.raises(TimeoutError, match="the value was 0 until then"):
            libc.sem_clockwait(sem, clock, when)
        assert time.clock_gettime(clock) >= when
    when = time.time() + 0.01
    with pytest.raises(TimeoutError, match="the value was 0 until then"):
        libc.sem_timedwait(sem, when)
    assert time.time() >= when


def test_a_clock_that_nobody_waits_by_is_einval(sem: libc.Sem) -> None:
    for clock in (libc.CLOCK_BOOTTIME, libc.CLOCK_PROCESS_CPUTIME_ID, -1, 99):
        with refused(errno.EINVAL, "CLOCK_REALTIME or CLOCK_MONOTONIC"):
            libc.sem_clockwait(sem, clock, 0)


@pytest.mark.parametrize("call", CALLS)
def test_a_wait_ends_when_somebody_posts(sem: libc.Sem, call: str, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def wait() -> None:
        ready.open()
        block(sem, call)

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    assert libc.sem_getvalue(sem) == 0
    libc.sem_post(sem)
    child.result()


@pytest.mark.parametrize("call", CALLS)
def test_a_handler_without_sa_restart_interrupts_the_wait_once_it_has_run(
    sem: libc.Sem, call: str, fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready = gate()

    def wait() -> list[str]:
        story: list[str] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: story.append("handler")))
        ready.open()
        with pytest.raises(InterruptedError, match=call) as caught:
            block(sem, call)
        assert caught.value.errno == errno.EINTR
        return [*story, "interrupted"]

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == ["handler", "interrupted"]


@pytest.mark.parametrize("call", CALLS)
def test_with_sa_restart_the_wait_goes_on_after_the_handlers(
    sem: libc.Sem, call: str, fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready, handled = gate(), gate()

    def wait() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: handled.open(), flags=libc.SA_RESTART))
        ready.open()
        block(sem, call)

    child = fork(wait)
    ready.wait()
    for _ in range(3):
        until_blocked(child)
        child.kill(libc.SIGUSR1)
        handled.wait()
    until_blocked(child)
    libc.sem_post(sem)
    child.result()


def test_an_ignored_stop_and_a_dead_waiter_take_nothing(sem: libc.Sem, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def wait() -> None:
        ready.open()
        libc.sem_wait(sem)

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    child.kill()
    child.wait()
    libc.sem_post(sem)
    libc.sem_trywait(sem)


def test_a_place_looks_like_what_it_is(named: libc.Sem, unnamed: libc.Sem) -> None:
    for sem in (named, unnamed):
        assert repr(sem) == f"<Sem at {sem.address:#x}>"
        assert not sem.closed
    with pytest.raises(TypeError, match=r"sem_post\(\) takes a Sem, not 5"):
        libc.sem_post(5)  # type: ignore[arg-type]
