"""unixipc.sysv.Semaphore and SemaphoreSet: what they add to semget(2) and semop(2)."""

from __future__ import annotations

import errno
import os
import pickle
import random
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from nobody import NOBODY, as_nobody, needs_root
from sysv_room.helpers import interrupting, kept, unused_key
from until import until_blocked

from unixipc import libc
from unixipc.sysv import Semaphore, SemaphoreSet
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

SHORT = 0.02
SEMVMX = 32767


@pytest.fixture
def keep() -> Iterator[Callable[[Any], Any]]:
    yield from kept()


@pytest.fixture
def semaphore(keep: Callable[[Semaphore], Semaphore]) -> Semaphore:
    return keep(Semaphore.create(2))


@pytest.fixture
def semaphores(keep: Callable[[SemaphoreSet], SemaphoreSet]) -> SemaphoreSet:
    return keep(SemaphoreSet.create([1, 0, 5]))


# -- making, finding, removing --


def test_a_semaphore_is_found_by_its_key(keep: Callable[[Semaphore], Semaphore]) -> None:
    key = unused_key()
    with pytest.raises(FileNotFoundError):
        Semaphore.open(key)
    made = keep(Semaphore.create(3, key))
    with pytest.raises(FileExistsError):
        Semaphore.create(3, key)
    assert Semaphore.open(key).id == Semaphore.open_or_create(key, 7).id == Semaphore.from_id(made.id).id == made.id
    assert made.value == 3
    assert made.status().key == key


def test_a_set_is_found_by_its_key(keep: Callable[[SemaphoreSet], SemaphoreSet]) -> None:
    key = unused_key()
    made = keep(SemaphoreSet.open_or_create(key, (value for value in (1, 2, 3))))
    for found in (made, SemaphoreSet.open(key), SemaphoreSet.open_or_create(key, [9, 9, 9])):
        assert found.values == [1, 2, 3]
    assert len(SemaphoreSet.from_id(made.id)) == len(SemaphoreSet.open(key)) == 3


def test_a_set_of_another_size_is_told_from_the_one_wanted(keep: Callable[[SemaphoreSet], SemaphoreSet]) -> None:
    key = unused_key()
    keep(SemaphoreSet.create([1, 2], key))
    for values in ([1], [1, 2, 3]):
        with pytest.raises(OSError, match="has 2 semaphores"):
            SemaphoreSet.open_or_create(key, values)
    with pytest.raises(OSError, match="has 2 semaphores"):
        Semaphore.open_or_create(key)
    with pytest.raises(ValueError, match="2 semaphores: SemaphoreSet takes it"):
        Semaphore.open(key)


def test_a_program_that_only_knows_the_key_takes_part(keep: Callable[[Semaphore], Semaphore]) -> None:
    key = unused_key()
    semaphore = keep(Semaphore.create(0, key))
    code = "import sys; from unixipc.sysv import Semaphore; Semaphore.open(int(sys.argv[1])).release(3)"
    subprocess.run([sys.executable, "-c", code, str(key)], check=True, timeout=DEADLINE)
    semaphore.acquire(3, timeout=0)


@pytest.mark.parametrize("value", [-1, SEMVMX + 1, 2**40, 1.5, "1", None])
def test_a_wrong_value_is_refused_and_leaves_nothing_behind(value: Any) -> None:
    key = unused_key()
    with pytest.raises((ValueError, TypeError)):
        Semaphore.create(value, key)
    with pytest.raises((ValueError, TypeError)):
        SemaphoreSet.open_or_create(key, [1, value])
    with pytest.raises(FileNotFoundError):
        Semaphore.open(key)


def test_a_set_that_cannot_get_its_values_is_not_left_behind(fork: Fork) -> None:
    key = unused_key()

    def create() -> None:
        with pytest.raises(PermissionError):
            Semaphore.create(1, key, mode=0o000)

    def create_as_nobody() -> None:
        as_nobody(create)

    fork(create_as_nobody if os.geteuid() == 0 else create).result()
    with pytest.raises(FileNotFoundError):
        Semaphore.open(key)


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(OSError, match=r"kernel\.sem"):
        SemaphoreSet.create([])


def test_the_block_closes_and_leaves_it_in_the_system(semaphore: Semaphore, semaphores: SemaphoreSet) -> None:
    with semaphore, semaphores:
        semaphore.acquire()
    semaphore.close()
    assert semaphore.closed
    for use in (semaphore.acquire, semaphore.release, semaphore.wait_for_zero):
        with pytest.raises(ValueError, match="was closed"):
            use()
    with pytest.raises(ValueError, match="was closed"):
        semaphores.operate((0, 1))
    assert semaphore.value == 1
    assert semaphores.values == [1, 0, 5]


def test_removal_is_told_to_who_waits_and_who_comes(semaphore: Semaphore, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def wait() -> None:
        ready.open()
        semaphore.acquire(3, timeout=DEADLINE)

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    semaphore.remove()
    with pytest.raises(libc.IdentifierRemovedError):
        child.result()
    for call in (semaphore.acquire, semaphore.status, semaphore.remove):
        with pytest.raises(OSError, match=r"no (set|object) has this id"):
            call()


def test_pickling_keeps_the_id(semaphore: Semaphore, semaphores: SemaphoreSet) -> None:
    pickle.loads(pickle.dumps(semaphore)).acquire()
    assert semaphore.value == 1
    assert len(pickle.loads(pickle.dumps(semaphores))) == 3
    assert repr(semaphore) == f"<Semaphore {semaphore.id}>"
    assert repr(semaphores[2]) == f"<SetMember {semaphores.id}[2]>"


# -- the race of making a set and giving it its values --


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for whoever makes a set as long as he may stand still."""
    monkeypatch.setattr("unixipc.sysv.semaphores._PATIENCE", DEADLINE)


@pytest.mark.slow
def test_many_processes_make_one_set_with_its_values_once(
    fork: Fork, gate: Callable[[], Gate], keep: Callable[[Any], Any], patience: None
) -> None:
    for _ in range(20):
        key = unused_key()
        start = [gate() for _ in range(6)]

        def begin(number: int, key: int = key, start: list[Gate] = start) -> list[int]:
            start[number].wait()
            with SemaphoreSet.open_or_create(key, [3, 0, 4]) as found:
                seen = found.values
                found.operate((0, -1), (1, 1), timeout=0) if number < 3 else found.operate((1, 1))
                return seen

        children = [fork(begin, number) for number in range(6)]
        for opens in start:
            opens.open()
        seen = [child.result() for child in children]
        found = keep(SemaphoreSet.open(key))
        assert found.values == [0, 6, 4]
        assert all(values[2] == 4 for values in seen)


def test_an_opener_waits_until_the_set_has_its_values(fork: Fork, gate: Callable[[], Gate], patience: None) -> None:
    key = unused_key()
    semid = libc.semget(key, 1, libc.IPC_CREAT | libc.IPC_EXCL | 0o600)
    ready = gate()

    def find(factory: Callable[[int], Semaphore]) -> int:
        ready.open()
        return factory(key).value

    children = [fork(find, factory) for factory in (Semaphore.open, Semaphore.open_or_create)]
    try:
        for child in children:
            ready.wait()
            until_blocked(child)
        libc.semctl(semid, 0, libc.SETVAL, 7)
        assert [child.result() for child in children] == [7, 7]
    finally:
        libc.semctl(semid, 0, libc.IPC_RMID)


def test_a_set_that_never_got_its_values_is_told_and_can_still_be_opened() -> None:
    key = unused_key()
    semid = libc.semget(key, 1, libc.IPC_CREAT | libc.IPC_EXCL | 0o600)
    try:
        with pytest.raises(TimeoutError, match="never gave it its values"):
            Semaphore.open_or_create(key, 1)
        assert Semaphore.open_or_create(key, 0).value == 0
        semaphore = Semaphore.open(key)
        semaphore.release()
        assert Semaphore.open_or_create(key, 1).id == semid
    finally:
        libc.semctl(semid, 0, libc.IPC_RMID)


def test_c_programs_that_wait_for_sem_otime_see_it(
    semaphore: Semaphore, semaphores: SemaphoreSet, keep: Callable[[Any], Any]
) -> None:
    for made in (semaphore, semaphores, keep(Semaphore.create(0)), keep(Semaphore.create(SEMVMX))):
        assert made.status().operation_time is not None


# -- one semaphore --


def test_acquire_and_release_count(semaphore: Semaphore) -> None:
    semaphore.acquire()
    semaphore.release(5)
    semaphore.acquire(6)
    assert semaphore.value == 0
    with pytest.raises(TimeoutError):
        semaphore.acquire(timeout=0)
    with pytest.raises(TimeoutError, match="could not be done in time"):
        semaphore.acquire(timeout=SHORT)


@pytest.mark.parametrize("count", [0, -1, SEMVMX + 1, 2**40, 1.5, "1"])
def test_impossible_counts_are_refused(semaphore: Semaphore, count: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        semaphore.acquire(count, timeout=0)
    with pytest.raises((ValueError, TypeError)):
        semaphore.release(count)
    assert semaphore.value == 2


@pytest.mark.parametrize("timeout", [-1, float("nan"), -1e-9])
def test_an_impossible_timeout_is_refused(semaphore: Semaphore, timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        semaphore.acquire(timeout=timeout)
    assert semaphore.value == 2


def test_more_than_the_maximum_is_an_error(semaphore: Semaphore) -> None:
    with pytest.raises(OSError, match="32767", check=lambda error: error.errno == errno.ERANGE):
        semaphore.release(SEMVMX)
    assert semaphore.value == 2


def test_a_value_is_set_and_read(semaphore: Semaphore) -> None:
    semaphore.value = 9
    assert semaphore.value == 9
    for value in (-1, SEMVMX + 1):
        with pytest.raises(ValueError, match="from 0 to 32767"):
            semaphore.value = value
    with pytest.raises(AttributeError):
        del semaphore.value
    with pytest.raises(AttributeError):
        semaphore.last_pid = 1  # type: ignore[misc]


def test_a_block_holds_and_gives_back(semaphore: Semaphore) -> None:
    with semaphore.held(2):
        assert semaphore.value == 0
        with pytest.raises(TimeoutError), semaphore.held(timeout=0):
            raise AssertionError("it was held twice")
    assert semaphore.value == 2
    with pytest.raises(ZeroDivisionError), semaphore.held():
        raise ZeroDivisionError
    with semaphore.held(), semaphore:
        assert semaphore.value == 1
    assert semaphore.closed
    assert semaphore.value == 2


@pytest.mark.parametrize(("undo", "left"), [(True, 2), (False, 1)])
def test_what_a_killed_process_held_comes_back_with_undo(
    semaphore: Semaphore, fork: Fork, gate: Callable[[], Gate], *, undo: bool, left: int
) -> None:
    ready = gate()

    def hold() -> None:
        with semaphore.held(undo=undo):
            ready.open()
            libc.pause()

    child = fork(hold)
    ready.wait()
    child.kill(libc.SIGKILL)
    with pytest.raises(Exception, match="SIGKILL"):
        child.result()
    assert semaphore.value == left


def test_who_waits_is_counted(semaphore: Semaphore, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def wait(function: Callable[[], None]) -> None:
        ready.open()
        function()

    acquiring = fork(wait, lambda: semaphore.acquire(3))
    ready.wait()
    until_blocked(acquiring)
    zero = fork(wait, semaphore.wait_for_zero)
    ready.wait()
    until_blocked(zero)
    assert (semaphore.waiting_to_acquire, semaphore.waiting_for_zero) == (1, 1)
    semaphore.release()
    for child in (acquiring, zero):
        child.result()
    assert semaphore.last_pid in (acquiring.pid, zero.pid)
    with pytest.raises(TimeoutError):
        semaphore.acquire(timeout=0)


def test_waiting_for_zero_ends_in_time(semaphore: Semaphore) -> None:
    with pytest.raises(TimeoutError):
        semaphore.wait_for_zero(SHORT)
    semaphore.acquire(2)
    semaphore.wait_for_zero(0)


@pytest.mark.parametrize("timeout", [None, float("inf"), DEADLINE])
def test_a_wait_goes_on_after_signals(
    semaphore: Semaphore, fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    ready, handled = gate(), gate()

    def wait() -> int:
        ready.open()
        return interrupting(lambda: semaphore.acquire(3, timeout=timeout), handled)[1]

    child = fork(wait)
    ready.wait()
    handled.wait()
    until_blocked(child)
    for _ in range(10):
        handled.wait()
    semaphore.release()
    assert child.result() > 0


def test_a_timeout_is_kept_among_signals(semaphore: Semaphore, fork: Fork) -> None:
    def wait() -> tuple[bool, int]:
        def times_out() -> bool:
            start = time.monotonic()
            with pytest.raises(TimeoutError):
                semaphore.acquire(3, timeout=0.1)
            return time.monotonic() - start >= 0.1

        return interrupting(times_out)

    in_time, handlers = fork(wait).result()
    assert in_time
    assert handlers > 0


def test_threads_exclude_each_other(keep: Callable[[Semaphore], Semaphore]) -> None:
    mutex = keep(Semaphore.create())
    inside, most = 0, 0

    def work() -> None:
        nonlocal inside, most
        for _ in range(200):
            with mutex.held():
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, mutex.value) == (1, 1)


# -- sets --


def test_a_set_is_a_sequence_of_semaphores(semaphores: SemaphoreSet) -> None:
    assert [member.value for member in semaphores] == semaphores.values == [1, 0, 5]
    assert (semaphores[-1].value, semaphores[2].number, len(semaphores)) == (5, 2, 3)
    semaphores[1].release(2)
    semaphores[0].acquire()
    assert semaphores.values == [0, 2, 5]
    for number in (3, -4, 2**40):
        with pytest.raises(IndexError):
            semaphores[number]


def test_operations_are_done_all_or_none(semaphores: SemaphoreSet) -> None:
    semaphores.operate((0, -1), (1, 3), (2, -5))
    assert semaphores.values == [0, 3, 0]
    for timeout in (0, SHORT):
        with pytest.raises(TimeoutError):
            semaphores.operate((1, -3), (0, -1), timeout=timeout)
    semaphores.operate((0, 0), (1, -1))
    assert semaphores.values == [0, 2, 0]


def test_all_values_are_set_at_once(semaphores: SemaphoreSet) -> None:
    semaphores.values = [7, 8, 9]
    assert semaphores.values == [7, 8, 9]
    with pytest.raises(OSError, match="another number"):
        semaphores.values = [1]
    with pytest.raises(ValueError, match="from 0 to 32767"):
        semaphores.values = [1, -1, 1]
    assert semaphores.values == [7, 8, 9]


IMPOSSIBLE = [
    ([], OSError),
    ([(3, 1)], OSError),
    ([(-1, 1)], OverflowError),
    ([(0, 40000)], OverflowError),
    ([1], TypeError),
    ([("0", 1)], TypeError),
]


@pytest.mark.parametrize(("operations", "error"), IMPOSSIBLE)
def test_impossible_operations_are_refused(
    semaphores: SemaphoreSet, operations: list[Any], error: type[Exception]
) -> None:
    with pytest.raises(error):
        semaphores.operate(*operations)
    assert semaphores.values == [1, 0, 5]


@pytest.mark.parametrize("seed", range(5))
def test_a_process_killed_amid_a_thousand_operations_leaves_the_values_as_they_were(
    seed: int, fork: Fork, gate: Callable[[], Gate], keep: Callable[[SemaphoreSet], SemaphoreSet]
) -> None:
    chance = random.Random(seed)  # noqa: S311 - to be repeatable
    start = [chance.randrange(100) for _ in range(8)]
    semaphores = keep(SemaphoreSet.create(start))
    moment = chance.randrange(100, 1000)
    ready = gate()

    def operate() -> None:
        done = 0
        while True:
            numbers = chance.sample(range(8), chance.randrange(1, 5))
            operations = [(number, chance.choice([-3, -2, -1, 1, 2, 3])) for number in numbers]
            try:
                semaphores.operate(*operations, undo=True, timeout=0)
            except TimeoutError:
                continue
            done += 1
            if done == moment:
                ready.open()

    child = fork(operate)
    ready.wait()
    child.kill(libc.SIGKILL)
    with pytest.raises(Exception, match="SIGKILL"):
        child.result()
    assert semaphores.values == start


@needs_root
def test_another_user_is_refused_until_he_is_let_in(semaphore: Semaphore, fork: Fork) -> None:
    refused = (lambda: semaphore.acquire(timeout=0), semaphore.release, semaphore.status, semaphore.remove)
    for call in refused:
        with pytest.raises(PermissionError):
            fork(as_nobody, call).result()
    semaphore.set_permissions(uid=NOBODY)
    fork(as_nobody, semaphore.acquire).result()
    assert semaphore.value == 1
