"""unixipc.libc: System V semaphores, as svipc(7), semop(2) and semctl(2) promise them."""

from __future__ import annotations

import errno
import os
import secrets
import time
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
from nobody import NOBODY, as_nobody, needs_root
from until import until_blocked

from unixipc import _cpython, libc
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

T = TypeVar("T")

SEMVMX = 32767
START = [1, 0, 5]


@pytest.fixture(autouse=True, params=["front", "twin"])
def side(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test with the fronts of the hot calls, and with the Python functions behind them."""
    if request.param == "twin":
        for name, twin in _cpython.twins.items():
            monkeypatch.setattr(libc, name, twin)


@pytest.fixture
def semid() -> Iterator[int]:
    semid = libc.semget(libc.IPC_PRIVATE, len(START), 0o600 | libc.IPC_CREAT)
    libc.semctl(semid, 0, libc.SETALL, START)
    yield semid
    with suppress(OSError):  # the test may have removed it
        libc.semctl(semid, 0, libc.IPC_RMID)


@contextmanager
def refused(code: int, text: str = "sem") -> Iterator[None]:
    """The block raises OSError with this errno, and with a text that says more than the errno does."""
    with pytest.raises(OSError, match=text, check=lambda error: error.errno == code) as caught:
        yield
    assert ": " in str(caught.value)


def values(semid: int) -> list[int]:
    return libc.semctl(semid, 0, libc.GETALL)


def row(semid: int) -> dict[str, int]:
    head, *rows = [line.split() for line in Path("/proc/sysvipc/sem").read_text().splitlines()]
    (found,) = (dict(zip(head, row, strict=True)) for row in rows if row[1] == str(semid))
    return {name: int(value, 8 if name == "perms" else 10) for name, value in found.items()}


def limits() -> list[int]:
    return [int(number) for number in Path("/proc/sys/kernel/sem").read_text().split()]


def unused_key() -> int:
    return secrets.randbits(30) + 2**30


# -- semget(2) --


def test_semget_finds_the_set_of_a_key() -> None:
    key = unused_key()
    semid = libc.semget(key, 3, 0o640 | libc.IPC_CREAT | libc.IPC_EXCL)
    try:
        assert libc.semget(key, 0, 0) == libc.semget(key, 2, 0) == libc.semget(key, 3, 0o600 | libc.IPC_CREAT) == semid
        ds = libc.semctl(semid, 0, libc.IPC_STAT)
        assert (ds.sem_perm.key, ds.sem_perm.mode, ds.sem_nsems) == (key, 0o640, 3)
        with refused(errno.EINVAL, "semget"):
            libc.semget(key, 4, 0)
        with pytest.raises(FileExistsError, match=rf"semget\({key:#x}, 3\).*IPC_EXCL"):
            libc.semget(key, 3, 0o600 | libc.IPC_CREAT | libc.IPC_EXCL)
    finally:
        libc.semctl(semid, 0, libc.IPC_RMID)


def test_an_unknown_key_without_ipc_creat_is_not_found() -> None:
    with pytest.raises(FileNotFoundError, match="IPC_CREAT"):
        libc.semget(unused_key(), 1, 0)


def test_a_set_has_at_least_one_semaphore_and_at_most_what_the_kernel_allows() -> None:
    for nsems in (0, -1, limits()[0] + 1):
        with refused(errno.EINVAL, "kernel.sem"):
            libc.semget(libc.IPC_PRIVATE, nsems, 0o600)


def test_a_new_set_has_zeros_and_was_never_operated_on() -> None:
    semid = libc.semget(libc.IPC_PRIVATE, 4, 0o600)
    try:
        assert values(semid) == [0, 0, 0, 0]
        ds = libc.semctl(semid, 0, libc.IPC_STAT)
        assert ds.sem_otime == 0
        assert ds.sem_ctime > 0
        assert libc.semctl(semid, 0, libc.GETPID) == 0
    finally:
        libc.semctl(semid, 0, libc.IPC_RMID)


# -- semop(2): what an operation does --


def test_operations_add_and_take_away(semid: int) -> None:
    libc.semop(semid, [(0, -1), (1, 4), libc.Sembuf(2, -2)])
    assert values(semid) == [0, 4, 3]


def test_operations_are_done_all_or_none(semid: int) -> None:
    with pytest.raises(BlockingIOError, match="not all operations"):
        libc.semop(semid, [(2, 7), (0, -1), (1, -1, libc.IPC_NOWAIT)])
    assert values(semid) == START


def test_operations_on_one_semaphore_are_done_in_order(semid: int) -> None:
    libc.semop(semid, [(1, 2), (1, -2), (1, 0), (1, 3)])
    assert values(semid) == [1, 3, 5]
    with pytest.raises(BlockingIOError):
        libc.semop(semid, [(1, -4, libc.IPC_NOWAIT), (1, 4)])


def test_zero_waits_for_zero(semid: int) -> None:
    libc.semop(semid, [(1, 0)])
    with pytest.raises(BlockingIOError):
        libc.semop(semid, [(0, 0, libc.IPC_NOWAIT)])


def test_operations_come_from_any_iterable(semid: int) -> None:
    libc.semop(semid, ((number, 1) for number in range(3)))
    assert values(semid) == [2, 1, 6]


@pytest.mark.parametrize(
    ("sops", "code"),
    [
        ([], errno.EINVAL),
        ([(3, 1)], errno.EFBIG),
        ([(65535, 1)], errno.EFBIG),
        ([(0, SEMVMX)], errno.ERANGE),
        ([(0, -1, libc.IPC_NOWAIT), (1, -1, libc.IPC_NOWAIT)], errno.EAGAIN),
    ],
)
def test_what_cannot_be_done_says_why(semid: int, sops: list[tuple[int, int]], code: int) -> None:
    with refused(code, "semop"):
        libc.semop(semid, sops)
    with refused(code, "semtimedop"):
        libc.semtimedop(semid, sops, 0.001)
    assert values(semid) == START


def test_more_operations_than_semopm_are_refused(semid: int) -> None:
    most = limits()[2]
    libc.semop(semid, [(1, 1)] * most)
    assert values(semid)[1] == most
    with refused(errno.E2BIG, "kernel.sem"):
        libc.semop(semid, [(1, 1)] * (most + 1))


def test_a_removed_set_is_no_set(semid: int) -> None:
    libc.semctl(semid, 0, libc.IPC_RMID)
    with refused(errno.EINVAL):
        libc.semop(semid, [(0, 1)])
    with refused(errno.EINVAL):
        libc.semtimedop(semid, [(0, 1)], 1)
    for cmd in (libc.GETVAL, libc.GETALL, libc.IPC_STAT, libc.IPC_RMID):
        with refused(errno.EINVAL):
            libc.semctl(semid, 0, cmd)


# -- semop(2): waiting --


def acquire(semid: int, timeout: float | None, *more: tuple[int, int]) -> None:
    """Wait in one of the two calls."""
    if timeout is None:
        libc.semop(semid, [(1, -1), *more])
    else:
        libc.semtimedop(semid, [(1, -1), *more], timeout)


@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_blocked_operation_goes_on_when_it_can(
    semid: int, fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    ready = gate()

    def wait() -> None:
        ready.open()
        acquire(semid, timeout, (2, -5), (1, -1))

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    assert libc.semctl(semid, 1, libc.GETNCNT) == 1
    libc.semop(semid, [(1, 1)])
    assert values(semid) == [1, 1, 5]
    libc.semop(semid, [(1, 1)])
    child.result()
    assert values(semid) == [1, 0, 0]


def test_who_waits_for_zero_is_counted_and_woken(semid: int, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def wait() -> None:
        ready.open()
        libc.semop(semid, [(0, 0)])

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    assert (libc.semctl(semid, 0, libc.GETZCNT), libc.semctl(semid, 0, libc.GETNCNT)) == (1, 0)
    libc.semop(semid, [(0, -1)])
    child.result()
    assert libc.semctl(semid, 0, libc.GETZCNT) == 0


def test_semtimedop_ends_when_the_time_has_run_out(semid: int) -> None:
    start = time.monotonic()
    with pytest.raises(BlockingIOError, match="semtimedop"):
        libc.semtimedop(semid, [(1, -1)], 0.02)
    assert time.monotonic() - start >= 0.02


@pytest.mark.parametrize("timeout", [0, 0.0, 1e-12])
def test_semtimedop_of_no_time_looks_once(semid: int, timeout: float) -> None:
    with pytest.raises(BlockingIOError):
        libc.semtimedop(semid, [(1, -1)], timeout)
    libc.semtimedop(semid, [(0, -1)], timeout)


@pytest.mark.parametrize(
    ("timeout", "error"), [(-1, OSError), (float("nan"), ValueError), (float("inf"), OverflowError)]
)
def test_an_impossible_timeout_is_refused(semid: int, timeout: float, error: type[Exception]) -> None:
    with pytest.raises(error):
        libc.semtimedop(semid, [(1, -1)], timeout)


def test_removal_while_waiting_is_told(semid: int, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def wait() -> None:
        ready.open()
        libc.semop(semid, [(1, -1)])

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    libc.semctl(semid, 0, libc.IPC_RMID)
    with pytest.raises(libc.IdentifierRemovedError, match="semop"):
        child.result()


@pytest.mark.parametrize("flags", [0, libc.SA_RESTART], ids=["plain", "SA_RESTART"])
@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_a_handler_interrupts_the_wait_once_it_has_run(
    semid: int, fork: Fork, gate: Callable[[], Gate], timeout: float | None, flags: int
) -> None:
    """signal(7): SA_RESTART does not restart the System V calls."""
    ready = gate()

    def wait() -> list[str]:
        story: list[str] = []

        def handler(signum: int) -> None:
            story.append("handler")

        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handler, flags=flags))
        ready.open()
        with pytest.raises(InterruptedError, match="sem"):
            acquire(semid, timeout)
        return [*story, "interrupted"]

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == ["handler", "interrupted"]
    assert values(semid) == START


def test_many_processes_add_up(semid: int, fork: Fork) -> None:
    def count() -> None:
        for _ in range(200):
            libc.semop(semid, [(0, -1)])
            libc.semctl(semid, 1, libc.SETVAL, libc.semctl(semid, 1, libc.GETVAL) + 1)
            libc.semop(semid, [(0, 1)])

    for child in [fork(count) for _ in range(4)]:
        child.result()
    assert values(semid) == [1, 800, 5]


# -- SEM_UNDO --


def test_undo_gives_back_what_a_process_had_when_it_ended(semid: int, fork: Fork) -> None:
    def take() -> list[int]:
        libc.semop(semid, [(0, -1, libc.SEM_UNDO), (2, -3, libc.SEM_UNDO), (1, 2, libc.SEM_UNDO)])
        libc.semop(semid, [(2, -1)])
        return values(semid)

    assert fork(take).result() == [0, 2, 1]
    assert values(semid) == [1, 0, 4]


def test_undo_of_a_killed_process_wakes_who_waits(semid: int, fork: Fork, gate: Callable[[], Gate]) -> None:
    taken, ready = gate(), gate()

    def take() -> None:
        libc.semop(semid, [(0, -1, libc.SEM_UNDO)])
        taken.open()
        libc.pause()

    def wait() -> None:
        ready.open()
        libc.semop(semid, [(0, -1)])

    owner = fork(take)
    taken.wait()
    waiter = fork(wait)
    ready.wait()
    until_blocked(waiter)
    owner.kill(libc.SIGKILL)
    waiter.result()
    assert values(semid) == [0, 0, 5]


def test_a_value_that_is_set_is_not_undone(semid: int, fork: Fork) -> None:
    def take() -> None:
        libc.semop(semid, [(2, -3, libc.SEM_UNDO)])
        libc.semctl(semid, 2, libc.SETVAL, 9)

    fork(take).result()
    assert values(semid) == [1, 0, 9]


# -- semctl(2) --


def test_setval_and_setall_set_values(semid: int) -> None:
    libc.semctl(semid, 1, libc.SETVAL, SEMVMX)
    assert libc.semctl(semid, 1, libc.GETVAL) == SEMVMX
    libc.semctl(semid, 0, libc.SETALL, iter((3, 2, 1)))
    assert values(semid) == [3, 2, 1]


def test_a_value_set_wakes_who_waits(semid: int, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def wait() -> None:
        ready.open()
        libc.semop(semid, [(1, -2)])

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    libc.semctl(semid, 1, libc.SETVAL, 3)
    child.result()
    assert values(semid) == [1, 1, 5]


@pytest.mark.parametrize("value", [-1, SEMVMX + 1, 2**31 - 1])
def test_a_value_out_of_range_is_refused(semid: int, value: int) -> None:
    with refused(errno.ERANGE, "SEMVMX"):
        libc.semctl(semid, 0, libc.SETVAL, value)
    assert values(semid) == START


def test_setall_takes_exactly_as_many_values_as_there_are(semid: int) -> None:
    for wrong in ([], [1], [1, 2], [1, 2, 3, 4], [0] * 100_000):
        with refused(errno.EINVAL, "another number of semaphores"):
            libc.semctl(semid, 0, libc.SETALL, wrong)
    with refused(errno.ERANGE):
        libc.semctl(semid, 0, libc.SETALL, [1, SEMVMX + 1, 3])
    assert values(semid) == START


@pytest.mark.parametrize("semnum", [-1, 3, 2**31 - 1])
def test_a_number_beyond_the_set_is_refused(semid: int, semnum: int) -> None:
    for cmd in (libc.GETVAL, libc.GETPID, libc.GETNCNT, libc.GETZCNT):
        with refused(errno.EINVAL):
            libc.semctl(semid, semnum, cmd)
    with refused(errno.EINVAL):
        libc.semctl(semid, semnum, libc.SETVAL, 1)


def test_getpid_names_who_operated_last(semid: int, fork: Fork) -> None:
    child = fork(libc.semop, semid, [(0, -1)])
    child.result()
    assert libc.semctl(semid, 0, libc.GETPID) == child.pid


def test_ipc_stat_says_what_proc_says(semid: int) -> None:
    libc.semop(semid, [(0, -1)])
    ds = libc.semctl(semid, 0, libc.IPC_STAT)
    found = row(semid)
    perm = ds.sem_perm
    assert (perm.key, perm.mode, perm.uid, perm.gid) == (found["key"], found["perms"], found["uid"], found["gid"])
    assert (perm.cuid, perm.cgid) == (found["cuid"], found["cgid"]) == (os.geteuid(), os.getegid())
    assert (ds.sem_nsems, ds.sem_otime, ds.sem_ctime) == (found["nsems"], found["otime"], found["ctime"])
    assert 0 not in (ds.sem_otime, ds.sem_ctime)


def test_ipc_set_changes_the_mode_and_nothing_else(semid: int) -> None:
    before = libc.semctl(semid, 0, libc.IPC_STAT)
    wanted = replace(before, sem_perm=replace(before.sem_perm, mode=0o7644, key=1, cuid=1, cgid=1), sem_nsems=99)
    libc.semctl(semid, 0, libc.IPC_SET, wanted)
    after = libc.semctl(semid, 0, libc.IPC_STAT)
    assert after == replace(before, sem_perm=replace(before.sem_perm, mode=0o644), sem_ctime=after.sem_ctime)


@needs_root
def test_another_user_is_refused_until_the_set_is_given_to_him(semid: int, fork: Fork) -> None:
    for cmd in (libc.GETVAL, libc.GETALL, libc.IPC_STAT, libc.IPC_RMID):
        with pytest.raises(PermissionError, match="semctl"):
            fork(as_nobody, lambda cmd=cmd: libc.semctl(semid, 0, cmd)).result()
    with pytest.raises(PermissionError, match="semop"):
        fork(as_nobody, lambda: libc.semop(semid, [(0, 1)])).result()
    ds = libc.semctl(semid, 0, libc.IPC_STAT)
    libc.semctl(semid, 0, libc.IPC_SET, replace(ds, sem_perm=replace(ds.sem_perm, uid=NOBODY, gid=NOBODY)))
    fork(as_nobody, lambda: libc.semop(semid, [(0, 1)])).result()
    assert values(semid) == [2, 0, 5]


@needs_root
def test_setall_of_a_set_that_may_only_be_changed_says_that_it_must_be_readable(semid: int, fork: Fork) -> None:
    ds = libc.semctl(semid, 0, libc.IPC_STAT)
    libc.semctl(semid, 0, libc.IPC_SET, replace(ds, sem_perm=replace(ds.sem_perm, mode=0o602)))
    fork(as_nobody, lambda: libc.semop(semid, [(0, 1)])).result()
    with pytest.raises(PermissionError, match="mode refuses to read it"):
        fork(as_nobody, lambda: libc.semctl(semid, 0, libc.SETALL, [1, 1, 1])).result()


def test_ipc_info_says_the_limits_and_sem_info_what_is_used(semid: int) -> None:
    highest, info = libc.semctl(0, 0, libc.IPC_INFO)
    assert highest >= 0
    assert [info.semmsl, info.semmns, info.semopm, info.semmni] == limits()
    assert info.semvmx == SEMVMX
    _, usage = libc.semctl(0, 0, libc.SEM_INFO)
    assert usage.semusz >= 1
    assert usage.semaem >= len(START)


def sem_index(semid: int) -> int:
    """Where the kernel's array has the set."""
    highest, _ = libc.semctl(0, 0, libc.SEM_INFO)
    for index in range(highest + 1):
        with suppress(OSError):  # nothing is there
            if libc.semctl(index, 0, libc.SEM_STAT_ANY)[0] == semid:
                return index
    raise LookupError(semid)


def test_sem_stat_finds_a_set_by_its_index(semid: int) -> None:
    index = sem_index(semid)
    ds = libc.semctl(semid, 0, libc.IPC_STAT)
    assert libc.semctl(index, 0, libc.SEM_STAT) == libc.semctl(index, 0, libc.SEM_STAT_ANY) == (semid, ds)


@needs_root
def test_sem_stat_any_needs_no_permission_where_sem_stat_does(semid: int, fork: Fork) -> None:
    index = sem_index(semid)
    assert fork(as_nobody, lambda: libc.semctl(index, 0, libc.SEM_STAT_ANY)[0]).result() == semid
    with pytest.raises(PermissionError, match="semctl"):
        fork(as_nobody, lambda: libc.semctl(index, 0, libc.SEM_STAT)).result()


def test_an_error_names_the_call_its_subject_and_what_to_do(semid: int) -> None:
    with pytest.raises(BlockingIOError) as caught:
        libc.semop(semid, [(1, -1, libc.IPC_NOWAIT)])
    expected = f"semop({semid}, [(1, -1, 2048)]): Resource temporarily unavailable: not all"
    assert caught.value.strerror is not None
    assert caught.value.strerror.startswith(expected)


# -- wrong arguments --


class Evil:
    def __init__(self, semid: int) -> None:
        self.semid = semid

    def __index__(self) -> int:
        with suppress(OSError):
            libc.semctl(self.semid, 0, libc.IPC_RMID)
        return 1


@pytest.mark.parametrize(
    ("sops", "error"),
    [
        (None, TypeError),
        (1, TypeError),
        ([1], TypeError),
        ([()], TypeError),
        ([(0,)], TypeError),
        ([(0, 1, 0, 0)], TypeError),
        ([(0, "1")], TypeError),
        ([(0, 1.0)], TypeError),
        ([(-1, 1)], OverflowError),
        ([(65536, 1)], OverflowError),
        ([(0, 32768)], OverflowError),
        ([(0, -32769)], OverflowError),
        ([(0, 1, 65536)], OverflowError),
        ([(2**70, 1)], OverflowError),
    ],
)
def test_what_are_no_operations_is_refused(semid: int, sops: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        libc.semop(semid, sops)
    with pytest.raises(error):
        libc.semtimedop(semid, sops, 1)
    assert values(semid) == START


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0, libc.SETVAL, None), TypeError),
        ((0, libc.SETVAL, 1.5), TypeError),
        ((0, libc.SETVAL, 2**31), OverflowError),
        ((0, libc.SETALL, 5), TypeError),
        ((0, libc.SETALL, "123"), TypeError),
        ((0, libc.SETALL, [1, 65536, 1]), OverflowError),
        ((0, libc.SETALL, [1, -1, 1]), OverflowError),
        ((0, libc.IPC_SET, None), TypeError),
        ((0, libc.IPC_SET, (1, 2)), TypeError),
        ((0, 99), OSError),
        ((0, 2**62), OSError),
        ((2**31, libc.GETVAL), OverflowError),
        (("0", libc.GETVAL), TypeError),
    ],
    ids=repr,
)
def test_what_semctl_cannot_do_is_refused(semid: int, arguments: tuple[Any, ...], error: type[Exception]) -> None:
    semctl: Any = libc.semctl
    with pytest.raises(error):
        semctl(semid, *arguments)
    assert values(semid) == START


def test_what_is_no_id_or_key_is_refused() -> None:
    semctl: Any = libc.semctl
    semget: Any = libc.semget
    for semid, error in (("1", TypeError), (1.0, TypeError), (2**31, OverflowError), (-1, OSError)):
        with pytest.raises(error):
            semctl(semid, 0, libc.GETVAL)
        with pytest.raises(error):
            semctl(semid, 0, libc.SETALL, [1])
    for arguments in ((2**32, 1, 0), (1, 2**31, 0), (1, 1, 2**31)):
        with pytest.raises(OverflowError):
            semget(*arguments)
    with pytest.raises(TypeError):
        semget("1", 1, 0)


def test_a_set_that_its_own_arguments_remove_is_no_set(semid: int) -> None:
    with refused(errno.EINVAL):
        libc.semop(semid, [(Evil(semid), 1)])  # type: ignore[list-item]
    with refused(errno.EINVAL):
        libc.semctl(semid, 0, libc.SETALL, [Evil(semid), 1, 1])  # type: ignore[call-overload]
