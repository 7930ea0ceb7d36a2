"""unixipc.posix: semaphores as objects, with a name and in shared memory."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import posix_ipc
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from nobody import become_nobody
from until import until_blocked, until_waiting_at

from unixipc import libc, posix
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

NAME = f"/unixipc-semaphore-{os.getpid()}"
PAGE = libc.PAGE_SIZE


@pytest.fixture
def name() -> Iterator[str]:
    """A name whose semaphore is removed with the test."""
    yield NAME
    with suppress(FileNotFoundError):  # the test may have removed it
        libc.sem_unlink(NAME)


@pytest.fixture
def memory() -> Iterator[libc.Mapping]:
    """Memory that forked processes share."""
    mapping = libc.mmap(None, PAGE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED | libc.MAP_ANONYMOUS)
    yield mapping
    if not mapping.closed:
        libc.munmap(mapping)


@pytest.fixture
def named(name: str) -> Iterator[posix.Semaphore]:
    with posix.Semaphore.create(name, 0) as semaphore:
        yield semaphore


@pytest.fixture
def unnamed(memory: libc.Mapping) -> Iterator[posix.UnnamedSemaphore]:
    with posix.UnnamedSemaphore.create(memory, 0, offset=PAGE - libc.SEM_SIZE) as semaphore:
        yield semaphore


@pytest.fixture(params=["named", "unnamed"])
def semaphore(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


# -- life --


def test_a_new_semaphore_is_free_once_unless_it_is_told_otherwise(name: str) -> None:
    with posix.Semaphore.create(name) as semaphore:
        assert (semaphore.value, semaphore.name, semaphore.closed) == (1, name, False)
        assert repr(semaphore) == f"<Semaphore {name}>"


def test_create_makes_a_new_one_open_finds_it_and_open_or_create_does_either(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no semaphore has this name"):
        posix.Semaphore.open(name)
    with posix.Semaphore.open_or_create(name, 5) as made:
        with pytest.raises(FileExistsError, match=name):
            posix.Semaphore.create(name, 1)
        made.acquire()
        with posix.Semaphore.open(name) as opened, posix.Semaphore.open_or_create(name, 7) as again:
            assert (made.value, opened.value, again.value) == (4, 4, 4)


def test_racing_processes_make_one_semaphore(name: str, fork: Fork, gate: Callable[[], Gate]) -> None:
    go = gate()

    def join() -> None:
        go.wait()
        with posix.Semaphore.open_or_create(name, 3) as semaphore:
            semaphore.acquire(timeout=0)

    children = [fork(join) for _ in range(3)]
    for _ in children:
        go.open()
    for child in children:
        child.result()
    with posix.Semaphore.open(name) as semaphore:
        assert semaphore.value == 0


def test_a_with_block_closes_and_never_unlinks(name: str) -> None:
    with posix.Semaphore.create(name, 2) as semaphore:
        semaphore.acquire()
    assert (semaphore.closed, repr(semaphore)) == (True, f"<Semaphore {name} closed>")
    semaphore.close()
    with posix.Semaphore.open(name) as again:
        assert again.value == 1
    semaphore.unlink()
    with pytest.raises(FileNotFoundError, match="no semaphore has this name"):
        semaphore.unlink()


def test_a_closed_semaphore_says_so(semaphore: posix.Semaphore | posix.UnnamedSemaphore) -> None:
    semaphore.close()
    semaphore.close()
    uses: list[Callable[[], object]] = [
        semaphore.acquire,
        lambda: semaphore.acquire(timeout=0),
        semaphore.release,
        lambda: semaphore.value,
        lambda: semaphore.held().__enter__(),
    ]
    for use in uses:
        with pytest.raises(ValueError, match=r"<(Unnamed)?Semaphore .*closed> was closed"):
            use()


def test_a_semaphore_that_is_dropped_open_is_closed_with_one_warning(name: str) -> None:
    with pytest.warns(ResourceWarning) as caught:
        posix.Semaphore.create(name)
    assert [str(warning.message) for warning in caught] == [f"unclosed <Semaphore {name}>"]
    assert "sem." not in Path("/proc/self/maps").read_text()


@pytest.mark.parametrize("wrong", ["", "/", "jobs", "/a/b", "//jobs", "/.", "/..", "/a\0b", "/\ud800"])
def test_a_name_is_a_slash_and_more(wrong: str) -> None:
    for make in (posix.Semaphore.create, posix.Semaphore.open, posix.Semaphore.open_or_create):
        with pytest.raises(ValueError, match=r"such as '/jobs', and not|contains a NUL|surrogates not allowed"):
            make(wrong)


def test_a_value_that_cannot_be_makes_nothing(name: str, memory: libc.Mapping) -> None:
    for value, error in ((-1, OverflowError), (2**32, OverflowError), (libc.SEM_VALUE_MAX + 1, OSError)):
        with pytest.raises(error, match="value is"):
            posix.Semaphore.create(name, value)
        with pytest.raises(error, match="value is"):
            posix.UnnamedSemaphore.create(memory, value)
    with pytest.raises(FileNotFoundError):
        posix.Semaphore.open(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_is_refused(named: posix.Semaphore, name: str, fork: Fork) -> None:
    def child() -> None:
        become_nobody()
        for make in (posix.Semaphore.open, posix.Semaphore.open_or_create):
            with pytest.raises(PermissionError, match="its mode does not let this process"):
                make(name)
        with pytest.raises(PermissionError, match="only its owner"):
            named.unlink()
        named.release()

    fork(child).result()
    named.acquire(timeout=0)


def test_a_semaphore_that_was_unlinked_works_for_who_has_it(named: posix.Semaphore, name: str, fork: Fork) -> None:
    child = fork(lambda: named.acquire(timeout=DEADLINE))
    named.unlink()
    with posix.Semaphore.create(name, 0) as other:
        named.release()
        child.result()
        assert other.value == 0


def test_a_pickled_semaphore_is_opened_by_its_name_and_one_in_memory_is_not_pickled(
    named: posix.Semaphore, unnamed: posix.UnnamedSemaphore
) -> None:
    with pickle.loads(pickle.dumps(named)) as again:
        again.release()
    assert named.value == 1
    with pytest.raises(TypeError, match="cannot pickle 'Sem' object"):
        pickle.dumps(unnamed)


# -- in memory --


def test_a_semaphore_in_memory_is_found_by_its_place(memory: libc.Mapping, fork: Fork) -> None:
    with posix.UnnamedSemaphore.create(memory, 0) as there, posix.UnnamedSemaphore.create(memory, 0, offset=64) as back:

        def child() -> None:
            with posix.UnnamedSemaphore.open(memory) as inner, posix.UnnamedSemaphore.open(memory, offset=64) as outer:
                inner.acquire()
                outer.release()

        answering = fork(child)
        there.release()
        back.acquire(timeout=DEADLINE)
        answering.result()


def test_shared_memory_of_either_kind_holds_semaphores(name: str) -> None:
    shmid = libc.shmget(libc.IPC_PRIVATE, PAGE, libc.IPC_CREAT | 0o600)
    attachment = libc.shmat(shmid)
    libc.shmctl(shmid, libc.IPC_RMID)
    with posix.SharedMemory.create(name, PAGE) as memory:
        memory.unlink()
        for place in (memory, attachment):
            with posix.UnnamedSemaphore.create(place, 1, offset=128) as semaphore:
                semaphore.acquire(timeout=0)
                with posix.UnnamedSemaphore.open(place, offset=128) as same:
                    same.release()
                assert semaphore.value == 1
    libc.shmdt(attachment)


def test_a_semaphore_pins_its_memory_until_it_is_closed(unnamed: posix.UnnamedSemaphore, memory: libc.Mapping) -> None:
    with pytest.raises(BufferError, match="release them first"):
        libc.mprotect(memory, libc.PROT_READ)
    unnamed.close()
    libc.mprotect(memory, libc.PROT_READ)


def test_a_semaphore_outlives_the_mapping_that_it_is_in(unnamed: posix.UnnamedSemaphore, memory: libc.Mapping) -> None:
    libc.munmap(memory)
    unnamed.release()
    unnamed.acquire(timeout=0)
    unnamed.destroy()
    assert unnamed.closed


def test_who_destroys_a_semaphore_must_not_let_a_thread_wait(unnamed: posix.UnnamedSemaphore) -> None:
    waiting = threading.Thread(target=unnamed.acquire, daemon=True)
    waiting.start()
    until_waiting_at(waiting, repr(unnamed).split()[-1].rstrip(">"))
    with pytest.raises(OSError, match="a thread of this process waits") as caught:
        unnamed.destroy()
    assert caught.value.errno == errno.EBUSY
    unnamed.release()
    waiting.join(DEADLINE)
    unnamed.destroy()


@pytest.mark.parametrize("offset", [-8, 1, 4, PAGE, PAGE - 8])
def test_a_place_that_cannot_be_is_refused(memory: libc.Mapping, offset: int) -> None:
    for make in (posix.UnnamedSemaphore.create, posix.UnnamedSemaphore.open):
        with pytest.raises(ValueError, match="a semaphore"):
            make(memory, offset=offset)


# -- use --


def test_held_acquires_for_a_block_and_gives_back_after_an_exception(semaphore: posix.Semaphore) -> None:
    semaphore.release()

    def fail() -> None:
        with semaphore.held():
            assert semaphore.value == 0
            with pytest.raises(TimeoutError), semaphore.held(timeout=0):
                pass
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert semaphore.value == 1


@pytest.mark.parametrize("timeout", [0, 0.01, 0.0])
def test_a_wait_that_is_too_long_is_a_timeout_error(semaphore: posix.Semaphore, timeout: float) -> None:
    before = time.monotonic()
    with pytest.raises(TimeoutError, match=r"acquire\(.*the value was 0 all the time") as caught:
        semaphore.acquire(timeout=timeout)
    assert time.monotonic() - before >= timeout
    assert caught.value.errno == errno.ETIMEDOUT


@pytest.mark.parametrize("timeout", [-1, -0.001, float("nan")])
def test_a_timeout_is_not_negative(semaphore: posix.Semaphore, timeout: float) -> None:
    semaphore.release()
    with pytest.raises(ValueError, match="a timeout is None or a number of seconds"):
        semaphore.acquire(timeout=timeout)
    assert semaphore.value == 1


@pytest.mark.parametrize("timeout", [None, DEADLINE, 1e10, float("inf")])
def test_a_wait_goes_on_after_signals_and_ends_with_the_release(
    semaphore: posix.Semaphore, fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    ready, handled = gate(), gate()

    def acquire() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: handled.open()))
        ready.open()
        semaphore.acquire(timeout=timeout)

    child = fork(acquire)
    ready.wait()
    for _ in range(3):
        until_blocked(child)
        child.kill(libc.SIGUSR1)
        handled.wait()
    until_blocked(child)
    semaphore.release()
    child.result()


@pytest.mark.parametrize("kind", [ZeroDivisionError, TimeoutError, InterruptedError, BlockingIOError])
def test_what_the_handler_raises_comes_out_of_the_wait(
    semaphore: posix.Semaphore, fork: Fork, gate: Callable[[], Gate], kind: type[Exception]
) -> None:
    ready = gate()

    def fail(signum: int) -> None:
        raise kind("raised by the handler")

    def acquire() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(fail, flags=libc.SA_RESTART))
        ready.open()
        semaphore.acquire(timeout=DEADLINE)

    child = fork(acquire)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    with pytest.raises(kind, match="raised by the handler"):
        child.result()


class Interrupted(posix.Semaphore):
    resumes = False


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_wait_ends_with_a_signal_where_a_subclass_says_so(
    name: str, fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    ready = gate()

    def acquire() -> int | None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))
        with Interrupted.create(name, 0) as interrupted:
            ready.open()
            with pytest.raises(InterruptedError) as caught:
                interrupted.acquire(timeout=timeout)
        return caught.value.errno

    child = fork(acquire)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == errno.EINTR


def test_a_semaphore_of_one_keeps_a_counter_right(memory: libc.Mapping, fork: Fork) -> None:
    with posix.UnnamedSemaphore.create(memory, 1, offset=64) as lock:

        def count() -> None:
            numbers = memoryview(memory)[:8].cast("Q")
            for _ in range(2000):
                with lock.held():
                    numbers[0] = numbers[0] + 1

        children = [fork(count) for _ in range(3)]
        for child in children:
            child.result()
    assert memoryview(memory)[:8].cast("Q")[0] == 6000


# -- a model --


class SemaphoreMachine(RuleBasedStateMachine):
    """A semaphore, seen through several opens and a place in memory, is a count."""

    def __init__(self) -> None:
        super().__init__()
        self.mapping = libc.mmap(None, PAGE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED | libc.MAP_ANONYMOUS)
        self.handles: list[posix.Semaphore] = [posix.Semaphore.open_or_create(NAME, 2)]
        self.places = [posix.UnnamedSemaphore.create(self.mapping, 2)]
        self.count = 2

    @rule(which=st.integers(0, 10))
    def release(self, which: int) -> None:
        self.handles[which % len(self.handles)].release()
        self.places[which % len(self.places)].release()
        self.count += 1

    @rule(which=st.integers(0, 10), timeout=st.sampled_from([0, DEADLINE, None]))
    def acquire(self, which: int, timeout: float | None) -> None:
        for group in (self.handles, self.places):
            semaphore = group[which % len(group)]
            if self.count > 0:
                semaphore.acquire(timeout=timeout)
            else:
                with pytest.raises(TimeoutError):
                    semaphore.acquire(timeout=0)
        self.count -= self.count > 0

    @rule()
    def open(self) -> None:
        self.handles.append(posix.Semaphore.open(NAME))
        self.places.append(posix.UnnamedSemaphore.open(self.mapping))

    @precondition(lambda self: len(self.handles) > 1)
    @rule(which=st.integers(0, 10))
    def close(self, which: int) -> None:
        self.handles.pop(which % len(self.handles)).close()
        self.places.pop(which % len(self.places)).close()

    @invariant()
    def counts(self) -> None:
        assert {handle.value for handle in self.handles} == {place.value for place in self.places} == {self.count}

    def teardown(self) -> None:
        self.handles[0].unlink()
        while self.handles:
            self.close(0)
        libc.munmap(self.mapping)


def test_a_semaphore_behaves_as_a_count(name: str) -> None:
    run_state_machine_as_test(SemaphoreMachine, settings=settings(max_examples=60))


# -- with others --

STRANGER = """
import sys
from unixipc import posix
with posix.Semaphore.open(sys.argv[1]) as semaphore:
    semaphore.acquire(timeout=30)
    semaphore.release()
    semaphore.release()
"""


def test_a_process_that_only_knows_the_name_takes_part(named: posix.Semaphore, name: str) -> None:
    named.release()
    subprocess.run([sys.executable, "-c", STRANGER, name], check=True, timeout=DEADLINE)
    assert named.value == 2


def test_posix_ipc_and_ours_use_each_other_s_semaphores(name: str) -> None:
    theirs = posix_ipc.Semaphore(name, posix_ipc.O_CREX, initial_value=1)
    with posix.Semaphore.open(name) as ours:
        ours.acquire(timeout=0)
        assert theirs.value == 0
        theirs.release()
        ours.acquire(timeout=0)
        ours.release()
        theirs.acquire(0)
        theirs.close()
        ours.unlink()
    with pytest.raises(posix_ipc.ExistentialError):
        posix_ipc.Semaphore(name)
    with posix.Semaphore.create(name, 3):
        theirs = posix_ipc.Semaphore(name)
        assert theirs.value == 3
        theirs.close()
    posix_ipc.unlink_semaphore(name)
    with pytest.raises(FileNotFoundError):
        posix.Semaphore.open(name)


C_SOURCE = """
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/mman.h>
int main(int argc, char **argv) {
    sem_t *mine = sem_open(argv[2], O_CREAT | O_EXCL, 0600, 4), *theirs = sem_open(argv[1], 0);
    int fd = shm_open(argv[1], O_RDWR, 0);
    char *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (argc != 3 || mine == SEM_FAILED || theirs == SEM_FAILED || memory == MAP_FAILED) { perror("C"); return 1; }
    return sem_wait(theirs) || sem_post((sem_t *)(memory + 128)) || sem_init((sem_t *)(memory + 256), 1, 9) ||
           sem_unlink(argv[1]);
}
"""


def test_a_c_program_and_ours_use_each_other_s_semaphores(named: posix.Semaphore, name: str, tmp_path: Path) -> None:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("there is no gcc to compile the C program with")
    (tmp_path / "partner.c").write_text(C_SOURCE)
    subprocess.run([gcc, "-o", tmp_path / "partner", tmp_path / "partner.c", "-lrt", "-pthread"], check=True)
    with posix.SharedMemory.create(name, PAGE) as memory, posix.UnnamedSemaphore.create(memory, 0, offset=128) as ours:
        named.release()
        subprocess.run([tmp_path / "partner", name, f"{name}-back"], check=True, timeout=DEADLINE)
        memory.unlink()
        assert (named.value, ours.value) == (0, 1)
        with posix.UnnamedSemaphore.open(memory, offset=256) as theirs:
            assert theirs.value == 9
    with posix.Semaphore.open(f"{name}-back") as back:
        back.unlink()
        assert back.value == 4
    with pytest.raises(FileNotFoundError):
        named.unlink()
