"""libc.handlers: handlers in machine code that come ready-made, between real processes and threads."""

from __future__ import annotations

import copy
import ctypes
import errno
import gc
import os
import pickle
import select
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import install
from until import until, until_blocked, until_gone

from unixipc import libc
from unixipc._native import lib
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from conftest import Handle

    from unixipc.testing.plugin import Fork


HUP, USR1, USR2, TERM = libc.SIGHUP, libc.SIGUSR1, libc.SIGUSR2, libc.SIGTERM
NEWS, READY, DONE = libc.SIGRTMIN, libc.SIGRTMIN + 1, libc.SIGRTMIN + 2
PAGE = libc.PAGE_SIZE
BOTH = libc.PROT_READ | libc.PROT_WRITE
SHARED = libc.MAP_SHARED | libc.MAP_ANONYMOUS
PRIVATE = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS
RECORD = 128

untyped: Any = libc


@pytest.fixture
def mapping() -> Iterator[libc.Mapping]:
    """Map a page that is shared with children."""
    memory = libc.mmap(None, PAGE, BOTH, SHARED)
    yield memory
    if not memory.closed:
        libc.munmap(memory)


def _queue(pid: int, signum: int, value: int) -> None:
    """Queue a signal, as soon as there is room for it."""
    while True:
        try:
            libc.sigqueue(pid, signum, value)
        except BlockingIOError:
            os.sched_yield()
        else:
            return


def _flood(pid: int, count: int) -> None:
    for number in range(count):
        _queue(pid, NEWS, number)


def _signals(pid: int, kind: str) -> libc.SignalSet:
    """What the kernel says of a process: the signals that it blocks (SigBlk), that wait for it (ShdPnd)."""
    (line,) = (line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(kind))
    return libc.SignalSet.from_mask(int(line.split()[1], 16))


# -- counting --


def test_each_delivery_counts(handle: Handle) -> None:
    counter = libc.CountHandler()
    handle(USR1, counter)
    assert counter.value == 0
    for _ in range(3):
        libc.raise_(USR1)
    assert counter.value == 3
    assert counter.take() == 3
    assert (counter.value, counter.take()) == (0, 0)


def test_one_counter_counts_several_signals_together(handle: Handle) -> None:
    counter, other = libc.CountHandler(), libc.CountHandler()
    for signum in (USR1, USR2):
        handle(signum, counter)
    handle(HUP, other)
    for signum in (USR1, USR2, HUP, USR1):
        libc.raise_(signum)
    assert (counter.value, other.value) == (3, 1)


def test_none_of_20_000_queued_signals_is_lost(fork: Fork, gate: Callable[[], Gate]) -> None:
    counter, ready = libc.CountHandler(), gate()

    def counts() -> int:
        install(NEWS, counter)
        libc.sigprocmask(libc.SIG_BLOCK, {DONE})
        ready.open()
        libc.sigwait({DONE})
        return counter.value

    counting = fork(counts)
    ready.wait()
    fork(_flood, counting.pid, 20_000).result()
    libc.kill(counting.pid, DONE)
    assert counting.result() == 20_000
    assert counter.value == 20_000, "the page is shared with the child"


def test_what_is_taken_while_signals_come_is_each_of_them_once(fork: Fork, handle: Handle) -> None:
    counter, count = libc.CountHandler(), 10_000
    handle(NEWS, counter)
    child = fork(_flood, os.getpid(), count)
    taken, deadline = 0, time.monotonic() + DEADLINE
    while taken < count and time.monotonic() < deadline:
        taken += counter.take()
    child.result()
    assert (taken, counter.value) == (count, 0)


def test_a_child_inherits_the_handler_and_counts_into_the_same(fork: Fork, handle: Handle) -> None:
    counter = libc.CountHandler()
    handle(USR1, counter)

    def child() -> int:
        for _ in range(100):
            libc.raise_(USR1)
        return counter.value

    libc.raise_(USR1)
    children = [fork(child) for _ in range(3)]
    assert max(child.result() for child in children) == 301
    assert counter.value == 301


def test_counters_that_parent_and_child_make_after_the_fork_are_two(fork: Fork) -> None:
    libc.CountHandler()  # out of a page that both have then

    def child() -> int:
        mine = [libc.CountHandler() for _ in range(100)]
        for counter in mine:
            install(USR1, counter)
            libc.raise_(USR1)
        return sum(counter.value for counter in mine)

    started = fork(child)
    mine = [libc.CountHandler() for _ in range(100)]
    assert started.result() == 100
    assert [counter.value for counter in mine] == [0] * 100
    assert len({counter.argument for counter in mine}) == 100


def test_a_counter_can_lie_anywhere_in_a_mapping(handle: Handle, mapping: libc.Mapping) -> None:
    first, last = libc.CountHandler(mapping), libc.CountHandler(mapping, PAGE - 8)
    handle(USR1, first)
    handle(USR2, last)
    for signum in (USR1, USR2, USR2):
        libc.raise_(signum)
    with memoryview(mapping) as view:
        assert int.from_bytes(view[:8], sys.byteorder) == first.value == 1
        assert int.from_bytes(view[-8:], sys.byteorder) == last.value == 2
        assert not any(view[8:-8])


def test_a_counter_in_a_segment_is_read_by_whoever_attaches_it(fork: Fork, gate: Callable[[], Gate]) -> None:
    shmid = libc.shmget(libc.IPC_PRIVATE, PAGE, 0o600)
    ready = gate()

    def counts() -> None:
        counter = libc.CountHandler(libc.shmat(shmid), 8)
        install(USR1, counter)
        libc.sigprocmask(libc.SIG_BLOCK, {DONE})
        ready.open()
        libc.sigwait({DONE})

    try:
        child = fork(counts)
        ready.wait()
        attachment = libc.shmat(shmid)
        with memoryview(attachment) as view:
            for expected in range(1, 6):
                libc.kill(child.pid, USR1)
                until(lambda expected=expected: int.from_bytes(view[8:16], sys.byteorder) == expected)  # type: ignore[misc]
        libc.kill(child.pid, DONE)
        child.result()
        libc.shmdt(attachment)
    finally:
        libc.shmctl(shmid, libc.IPC_RMID)


def test_a_counter_goes_on_behind_2_to_the_64(handle: Handle, mapping: libc.Mapping) -> None:
    with memoryview(mapping) as view:
        view[:8] = b"\xff" * 8
    counter = libc.CountHandler(mapping)
    handle(USR1, counter)
    assert counter.value == 2**64 - 1
    libc.raise_(USR1)
    assert counter.take() == 0


# -- flags --


def test_a_flag_is_the_number_of_the_last_signal(handle: Handle) -> None:
    flag = libc.FlagHandler()
    for signum in (USR1, USR2):
        handle(signum, flag)
    assert not flag
    assert (flag.value, flag.clear()) == (0, 0)
    for signum in (USR1, USR2):
        libc.raise_(signum)
        assert flag
        assert flag.value == signum
    assert flag.clear() == USR2
    assert not flag


def test_a_flag_that_a_child_sets_is_seen_by_its_parent(fork: Fork) -> None:
    flag = libc.FlagHandler()

    def child() -> None:
        install(TERM, flag)
        libc.raise_(TERM)

    fork(child).result()
    assert flag.value == TERM


# -- recording --


def _records(reader: int, count: int) -> list[libc.Siginfo]:
    records = []
    for _ in range(count):
        assert select.select([reader], [], [], DEADLINE)[0], "no record came in time"
        record = os.read(reader, RECORD)
        assert len(record) == RECORD
        records.append(libc.Siginfo(record))
    return records


def test_a_record_is_the_siginfo_of_the_delivery(
    fork: Fork, handle: Handle, pipe: Callable[..., tuple[int, int]]
) -> None:
    reader, writer = pipe(libc.O_NONBLOCK)
    recorder = libc.RecordHandler(writer)
    handle(NEWS, recorder, flags=libc.SA_SIGINFO)
    values = [7, -1, 2**31 - 1]

    def sends() -> None:
        for value in values:
            libc.sigqueue(os.getppid(), NEWS, value)

    child = fork(sends)
    child.result()
    records = _records(reader, 3)
    assert [info.si_value for info in records] == values
    assert {(info.si_signo, info.si_code, info.si_pid) for info in records} == {(NEWS, libc.SI_QUEUE, child.pid)}
    assert recorder.lost == 0


def test_records_of_several_senders_arrive_whole_and_all(
    fork: Fork, gate: Callable[[], Gate], pipe: Callable[..., tuple[int, int]]
) -> None:
    (reader, writer), ready, count, senders = pipe(), gate(), 2000, 3

    def records() -> int:
        recorder = libc.RecordHandler(writer)
        install(NEWS, recorder, flags=libc.SA_SIGINFO)
        libc.sigprocmask(libc.SIG_BLOCK, {DONE})
        ready.open()
        libc.sigwait({DONE})
        return recorder.lost

    recording = fork(records)
    ready.wait()
    sending = [fork(_flood, recording.pid, count) for _ in range(senders)]
    infos = _records(reader, count * senders)
    for child in sending:
        child.result()
        values = [info.si_value for info in infos if info.si_pid == child.pid]
        assert sorted(value for value in values if value is not None) == list(range(count))
    libc.kill(recording.pid, DONE)
    assert recording.result() == 0


def test_what_a_full_pipe_does_not_take_is_counted(handle: Handle, pipe: Callable[..., tuple[int, int]]) -> None:
    reader, writer = pipe(libc.O_NONBLOCK)
    recorder = libc.RecordHandler(writer)
    handle(USR1, recorder, flags=libc.SA_SIGINFO)
    sent = 0
    while recorder.lost < 5:
        libc.raise_(USR1)
        sent += 1
    _records(reader, sent - 5)
    with pytest.raises(BlockingIOError):
        os.read(reader, RECORD)
    libc.raise_(USR1)
    assert _records(reader, 1)[0].si_pid == os.getpid()
    assert recorder.lost == 5


def test_what_a_closed_descriptor_does_not_take_is_counted(
    handle: Handle, pipe: Callable[..., tuple[int, int]]
) -> None:
    reader, writer = pipe()
    closed = os.dup(writer)
    os.close(closed)
    recorder = libc.RecordHandler(closed)
    handle(USR1, recorder, flags=libc.SA_SIGINFO)
    libc.raise_(USR1)
    assert recorder.lost == 1
    read_only = libc.RecordHandler(reader)
    handle(USR1, read_only, flags=libc.SA_SIGINFO)
    libc.raise_(USR1)
    assert (recorder.lost, read_only.lost) == (1, 1)


def test_a_record_that_fails_leaves_errno_alone(handle: Handle) -> None:
    c = ctypes.CDLL(None, use_errno=True)
    recorder = libc.RecordHandler(2**31 - 1)
    handle(USR1, recorder, flags=libc.SA_SIGINFO)
    ctypes.set_errno(errno.EXDEV)
    assert getattr(c, "raise")(int(USR1)) == 0
    assert (recorder.lost, ctypes.get_errno()) == (1, errno.EXDEV)


def test_a_recorder_without_sa_siginfo_is_refused(handle: Handle, pipe: Callable[..., tuple[int, int]]) -> None:
    before = libc.sigaction(USR1)
    with pytest.raises(OSError, match="a RecordHandler needs SA_SIGINFO") as caught:
        handle(USR1, libc.RecordHandler(pipe()[1]), flags=libc.SA_RESTART)
    assert caught.value.errno == errno.EINVAL
    assert libc.sigaction(USR1) == before


# -- exiting --


@pytest.mark.parametrize("status", [0, 3, 255])
def test_a_signal_can_end_the_process_with_a_status(fork: Fork, status: int) -> None:
    def child() -> None:
        install(TERM, libc.ExitHandler(status))
        libc.raise_(TERM)

    assert fork(child).wait().returncode == status


def test_it_ends_a_long_call_of_c_at_once(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def child() -> None:
        install(TERM, libc.ExitHandler(7))
        ready.open()
        sum(range(10**15))

    started = fork(child)
    ready.wait()
    libc.kill(started.pid, TERM)
    assert started.wait().returncode == 7


def test_a_real_fault_can_end_the_process_with_a_status(fork: Fork) -> None:
    def child() -> None:
        install(libc.SIGSEGV, libc.ExitHandler(3))
        ctypes.string_at(0)

    assert fork(child).wait().returncode == 3


def test_a_fault_sent_by_hand_counts_and_the_process_goes_on(fork: Fork) -> None:
    def child() -> int:
        counter = libc.CountHandler()
        for signum in (libc.SIGSEGV, libc.SIGBUS, libc.SIGFPE, libc.SIGILL):
            install(signum, counter)
            libc.kill(os.getpid(), signum)
        return counter.value

    assert fork(child).result() == 4


# -- as sigaction(2) reports it, and putting it back --


def _one_of_each() -> list[libc.NativeHandler]:
    return [libc.CountHandler(), libc.FlagHandler(), libc.RecordHandler(2**31 - 1), libc.ExitHandler(5)]


def test_a_handler_is_reported_as_it_was_given_and_put_back_exactly(handle: Handle) -> None:
    flags = libc.SA_SIGINFO | libc.SA_RESTART | libc.SA_NODEFER | libc.SA_ONSTACK
    handle(USR1, libc.SIG_IGN)
    previous = libc.sigaction(USR1)
    for handler in [*_one_of_each(), *_one_of_each()]:
        given = libc.Sigaction(handler, {USR2, NEWS}, flags)
        assert libc.sigaction(USR1, given) == previous
        assert libc.sigaction(USR1).handler == handler
        others: list[libc.Handler] = [*_one_of_each(), print, libc.SIG_DFL]
        for other in others:
            assert libc.sigaction(USR1, libc.Sigaction(other, (), libc.SA_SIGINFO)) == given
            assert libc.sigaction(USR1, given).handler == other
        previous = libc.sigaction(USR1)
        assert previous == given


def test_each_signal_has_its_own_argument(handle: Handle) -> None:
    counters = {signum: libc.CountHandler() for signum in (USR1, USR2, HUP, NEWS)}
    for signum, counter in counters.items():
        handle(signum, counter)
    for signum, counter in counters.items():
        libc.raise_(signum)
        assert libc.sigaction(signum).handler is counter
    assert [counter.value for counter in counters.values()] == [1] * 4


def test_what_was_replaced_counts_no_more_and_what_was_put_back_goes_on(handle: Handle) -> None:
    first, second = libc.CountHandler(), libc.CountHandler()
    handle(USR1, first)
    libc.raise_(USR1)
    before = handle(USR1, second)
    libc.raise_(USR1)
    libc.raise_(USR1)
    libc.sigaction(USR1, before)
    libc.raise_(USR1)
    assert (first.value, second.value) == (2, 2)


def test_a_handler_whose_object_is_gone_goes_on_and_is_still_reported(handle: Handle) -> None:
    handle(USR1, libc.CountHandler())
    gc.collect()
    libc.raise_(USR1)
    handler = libc.sigaction(USR1).handler
    assert isinstance(handler, libc.CountHandler)
    assert handler.value == 1


def test_the_bare_address_of_a_ready_handler_does_nothing(handle: Handle) -> None:
    counter = libc.CountHandler()
    handle(USR1, counter)
    for handler in (*_one_of_each()[:3], counter):
        bare = libc.NativeHandler(handler.address)
        handle(USR1, bare, flags=libc.SA_SIGINFO)
        libc.raise_(USR1)
        assert libc.sigaction(USR1).handler == bare
    assert counter.value == 0


def test_handlers_are_equal_that_do_the_same_to_the_same(mapping: libc.Mapping) -> None:
    assert libc.CountHandler(mapping, 8) == libc.CountHandler(mapping, 8)
    assert hash(libc.CountHandler(mapping, 8)) == hash(libc.CountHandler(mapping, 8))
    assert libc.CountHandler(mapping, 8) != libc.CountHandler(mapping, 16)
    assert untyped.CountHandler(mapping, 8) != libc.FlagHandler(mapping, 8)
    assert libc.CountHandler() != libc.CountHandler()
    assert libc.ExitHandler(3) == libc.ExitHandler(3) != libc.ExitHandler(4)
    gc.collect()


def test_handlers_say_what_they_are_and_cannot_be_changed() -> None:
    counter, flag, recorder, end = _one_of_each()
    assert repr(counter) == "CountHandler(value=0)"
    assert repr(flag) == "FlagHandler(value=0)"
    assert repr(recorder) == "RecordHandler(fd=2147483647, lost=0)"
    assert repr(end) == "ExitHandler(status=5)"
    for handler in (counter, flag, recorder, end):
        for name in ("address", "argument", "python", "_memory"):
            with pytest.raises((AttributeError, TypeError)):
                setattr(handler, name, 5)
    assert copy.copy(counter) == counter
    assert pickle.loads(pickle.dumps(end)) == end
    for handler in (counter, flag, recorder):
        with pytest.raises(TypeError, match="cannot pickle"):
            pickle.dumps(handler)


def test_a_native_handler_says_where_it_is() -> None:
    library = libc.dlopen("libm.so.6", libc.RTLD_NOW)
    address = libc.dlsym(library, "cbrt")
    info = libc.dladdr(address)
    assert info is not None
    assert repr(libc.NativeHandler(address)) == f"NativeHandler({address:#x}: {info.dli_sname} in {info.dli_fname})"
    assert repr(libc.NativeHandler(address + 1)) == f"NativeHandler({address + 1:#x}: in {info.dli_fname})"
    assert repr(libc.NativeHandler(5)) == "NativeHandler(0x5)"
    libc.dlclose(library)


# -- flags and masks, as C has them --


def test_sa_restart_decides_whether_a_read_goes_on(
    fork: Fork, gate: Callable[[], Gate], pipe: Callable[..., tuple[int, int]]
) -> None:
    counter, ready = libc.CountHandler(), gate()
    read_end, write_end = pipe()

    def read(flags: int) -> object:
        install(USR1, counter, flags=flags)
        ready.open()
        try:
            return libc.read(read_end, 1)
        except InterruptedError as error:
            return error.errno

    def interrupted(flags: int) -> object:
        child = fork(read, flags)
        ready.wait()
        until_blocked(child)
        libc.kill(child.pid, USR1)
        if flags:
            until(counter.take)
            until_blocked(child)
            os.write(write_end, b"!")
        return child.result()

    assert interrupted(0) == errno.EINTR
    assert counter.take() == 1
    assert interrupted(libc.SA_RESTART) == b"!"


def test_a_native_handler_ends_sigsuspend_and_pause(fork: Fork) -> None:
    def child() -> int:
        counter = libc.CountHandler()
        libc.sigprocmask(libc.SIG_BLOCK, {USR1})
        install(USR1, counter)
        for wait in (libc.pause, lambda: libc.sigsuspend(())):
            libc.raise_(USR1)
            if wait is libc.pause:
                libc.sigprocmask(libc.SIG_UNBLOCK, {USR1})  # delivered here
                libc.sigprocmask(libc.SIG_BLOCK, {USR1})
                continue
            wait()
        return counter.value

    assert fork(child).result() == 2


def test_with_sa_resethand_only_the_first_counts(fork: Fork) -> None:
    counter = libc.CountHandler()

    def child() -> None:
        install(USR1, counter, flags=libc.SA_RESETHAND)
        libc.raise_(USR1)
        assert libc.sigaction(USR1).handler is libc.SIG_DFL
        libc.raise_(USR1)

    assert fork(child).wait().returncode == -USR1
    assert counter.value == 1


@pytest.mark.parametrize("flags", [0, libc.SA_NODEFER], ids=["deferred", "SA_NODEFER"])
def test_while_the_handler_runs_its_mask_holds_and_its_signal_unless_sa_nodefer(
    fork: Fork, gate: Callable[[], Gate], pipe: Callable[..., tuple[int, int]], flags: int
) -> None:
    (reader, writer), ready = pipe(), gate()
    size = 0
    os.set_blocking(writer, False)
    while select.select([], [writer], [], 0)[1]:
        size += os.write(writer, bytes(4096))
    os.set_blocking(writer, True)

    def child() -> int:
        recorder = libc.RecordHandler(writer)
        install(USR1, recorder, {HUP, NEWS}, libc.SA_SIGINFO | flags)
        libc.sigprocmask(libc.SIG_BLOCK, {TERM, DONE})
        ready.open()
        libc.raise_(USR1)  # its handler waits for room
        libc.sigwait({DONE})
        return recorder.lost

    started = fork(child)
    ready.wait()
    within = {HUP, NEWS, TERM, DONE} | ({USR1} if not flags else set())
    until(lambda: set(_signals(started.pid, "SigBlk")) == within)
    until_blocked(started)
    libc.kill(started.pid, USR1)
    if flags:  # it runs on top of the first, so its record is written before that
        until(lambda: USR1 not in _signals(started.pid, "ShdPnd"))
    libc.kill(started.pid, DONE)
    while size > 0:
        size -= len(os.read(reader, min(4096, size)))
    assert [info.si_code for info in _records(reader, 2)] == (
        [libc.SI_USER, libc.SI_TKILL] if flags else [libc.SI_TKILL, libc.SI_USER]
    )
    assert started.result() == 0


class StackT(ctypes.Structure):
    """sigaltstack(2)."""

    _fields_ = (("ss_sp", ctypes.c_void_p), ("ss_flags", ctypes.c_int), ("ss_size", ctypes.c_size_t))


@pytest.mark.parametrize("flags", [0, libc.SA_ONSTACK], ids=["not", "SA_ONSTACK"])
def test_with_sa_onstack_the_handler_runs_on_the_alternate_stack(fork: Fork, flags: int) -> None:
    def child() -> tuple[int, bool]:
        stack = libc.mmap(None, 64 * PAGE, BOTH, PRIVATE)
        given = StackT(stack.address, 0, len(stack))
        assert ctypes.CDLL(None).sigaltstack(ctypes.byref(given), None) == 0
        counter = libc.CountHandler()
        install(USR1, counter, flags=flags)
        libc.raise_(USR1)
        return counter.value, any(bytes(stack))

    assert fork(child).result() == (1, bool(flags))


# -- threads --


@pytest.fixture
def busy() -> Iterator[Callable[[int], list[threading.Thread]]]:
    """Start threads that take signals, while the main thread blocks NEWS."""
    stop, threads = threading.Event(), list[threading.Thread]()

    def start(count: int) -> list[threading.Thread]:
        for _ in range(count):
            threads.append(threading.Thread(target=stop.wait, args=(DEADLINE,)))
            threads[-1].start()
        libc.sigprocmask(libc.SIG_BLOCK, {NEWS})
        return threads

    yield start
    stop.set()
    until_gone(*threads)
    libc.sigprocmask(libc.SIG_UNBLOCK, {NEWS})


def _tell_threads(threads: Iterable[threading.Thread], count: int) -> None:
    for _ in range(count):
        for thread in threads:
            assert thread.native_id is not None
            while True:
                try:
                    libc.tgkill(os.getpid(), thread.native_id, NEWS)
                except BlockingIOError:
                    os.sched_yield()
                else:
                    break


def test_deliveries_on_all_threads_count(handle: Handle, busy: Callable[[int], list[threading.Thread]]) -> None:
    counter = libc.CountHandler()
    handle(NEWS, counter)
    _tell_threads(busy(3), 2000)
    until(lambda: counter.value == 6000)


def test_a_handler_runs_on_the_thread_that_got_the_signal(
    handle: Handle, busy: Callable[[int], list[threading.Thread]], pipe: Callable[..., tuple[int, int]]
) -> None:
    (thread,) = busy(1)
    reader, writer = pipe()
    handle(NEWS, libc.RecordHandler(writer), flags=libc.SA_SIGINFO)
    os.set_blocking(writer, False)
    libc.kill(os.getpid(), NEWS)
    assert thread.is_alive()
    assert _records(reader, 1)[0].si_code == libc.SI_USER  # while it is blocked here


def test_no_delivery_is_lost_while_handlers_take_each_other_s_place(
    fork: Fork, handle: Handle, gate: Callable[[], Gate]
) -> None:
    count, ready = 20_000, gate()
    counters = [libc.CountHandler() for _ in range(3)]
    handle(NEWS, counters[0])

    def child() -> None:
        ready.wait()
        _flood(os.getppid(), count)

    sending = fork(child)
    stop = threading.Event()
    threads = [threading.Thread(target=stop.wait, args=(DEADLINE,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    libc.sigprocmask(libc.SIG_BLOCK, {NEWS})
    ready.open()
    number, deadline = 0, time.monotonic() + DEADLINE
    while sum(counter.value for counter in counters) < count and time.monotonic() < deadline:
        number += 1
        install(NEWS, counters[number % len(counters)])
    stop.set()
    until_gone(*threads)
    libc.sigprocmask(libc.SIG_UNBLOCK, {NEWS})
    sending.result()
    assert sum(counter.value for counter in counters) == count


def test_handlers_of_all_kinds_take_each_other_s_place_and_none_sees_another_s_argument(
    fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready = gate()

    def changes() -> tuple[bool, set[int]]:
        reader, writer = libc.pipe(libc.O_NONBLOCK)
        counter, flag, recorder = libc.CountHandler(), libc.FlagHandler(), libc.RecordHandler(writer)
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait, args=(DEADLINE,))
        thread.start()
        libc.sigprocmask(libc.SIG_BLOCK, {USR1})
        install(USR1, counter)
        ready.open()
        until(lambda: counter.value)
        numbers: set[int] = set()
        rounds, deadline = 0, time.monotonic() + DEADLINE / 2
        while rounds < 1000 or (USR1 not in numbers and time.monotonic() < deadline):
            rounds += 1
            for handler in (counter, flag, recorder):
                install(USR1, handler, flags=libc.SA_SIGINFO)
                numbers.add(flag.value)
            if select.select([reader], [], [], 0)[0]:  # not all: they may come as fast as they are read
                (info,) = _records(reader, 1)
                numbers.add(info.si_signo)
        stop.set()
        thread.join(DEADLINE)
        return counter.value > 0, numbers

    def floods(pid: int) -> None:
        with suppress(ProcessLookupError):  # it has ended, and was waited for
            while True:
                libc.kill(pid, USR1)  # of which only one is ever queued: the queue's limit is everybody's

    changing = fork(changes)
    ready.wait()
    flooding = fork(floods, changing.pid)
    assert changing.result() == (True, {0, int(USR1)})
    flooding.close()


def test_native_handlers_are_changed_on_the_main_thread_only() -> None:
    raised: list[BaseException] = []

    def work() -> None:
        try:
            install(USR1, libc.CountHandler())
        except ValueError as error:
            raised.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    until_gone(thread)
    assert "main thread only" in str(raised)


# -- memory --


def test_memory_that_a_handler_counts_in_stays_when_it_is_unmapped(handle: Handle) -> None:
    memory = libc.mmap(None, PAGE, BOTH, SHARED)
    counter = libc.CountHandler(memory, 16)
    handle(USR1, counter)
    libc.munmap(memory)
    assert memory.closed
    libc.raise_(USR1)
    assert counter.value == 1
    del memory, counter
    gc.collect()
    libc.raise_(USR1)
    handler = libc.sigaction(USR1).handler
    assert isinstance(handler, libc.CountHandler)
    assert handler.value == 2


def test_memory_of_a_handler_that_was_replaced_stays_as_well(fork: Fork) -> None:
    def child() -> int:
        memory = libc.mmap(None, PAGE, BOTH, SHARED)
        address = memory.address
        install(USR1, libc.CountHandler(memory))
        install(USR1, libc.SIG_DFL)
        libc.munmap(memory)
        del memory
        gc.collect()
        return ctypes.c_uint64.from_address(address).value

    assert fork(child).result() == 0


def test_memory_of_a_handler_that_was_never_installed_goes_with_it() -> None:
    memory = libc.mmap(None, PAGE, BOTH, PRIVATE)
    counter = libc.CountHandler(memory)
    with pytest.raises(BufferError, match="view"):
        libc.mremap(memory, 2 * PAGE, libc.MREMAP_MAYMOVE)
    del counter
    libc.mremap(memory, 2 * PAGE, libc.MREMAP_MAYMOVE)
    libc.munmap(memory)


def test_no_access_is_taken_from_memory_that_a_handler_counts_in(fork: Fork) -> None:
    def child() -> int:
        memory = libc.mmap(None, 2 * PAGE, BOTH, SHARED)
        install(USR1, libc.CountHandler(memory))
        for refused in (
            lambda: libc.mprotect(memory, libc.PROT_READ),
            lambda: libc.mremap(memory, PAGE, 0),
            lambda: libc.munmap(memory, length=PAGE),
            lambda: libc.madvise(memory, libc.MADV_DONTFORK),
            lambda: libc.mmap(memory, PAGE, BOTH, PRIVATE),
        ):
            with pytest.raises(BufferError, match="signal handlers"):
                refused()
        libc.raise_(USR1)
        return libc.CountHandler(memory).value

    assert fork(child).result() == 1


def test_memory_that_a_child_would_not_have_is_refused() -> None:
    memory = libc.mmap(None, PAGE, BOTH, PRIVATE)
    libc.madvise(memory, libc.MADV_DONTFORK)
    before = libc.sigaction(USR1)
    counter = libc.CountHandler(memory)
    with pytest.raises(ValueError, match="MADV_DONTFORK"):
        install(USR1, counter)
    assert libc.sigaction(USR1) == before
    del counter
    libc.madvise(memory, libc.MADV_DOFORK)
    libc.munmap(memory)


@pytest.mark.parametrize("make", [libc.CountHandler, libc.FlagHandler])
def test_memory_that_cannot_hold_a_counter_is_refused(make: Callable[..., object], mapping: libc.Mapping) -> None:
    for offset in (-8, 1, 4, PAGE - 4, PAGE, 2**63, 2**64, -(2**64)):
        with pytest.raises(ValueError, match="offset is"):
            make(mapping, offset)
    for wrong in (5, b"12345678", bytearray(8), memoryview(mapping), object()):
        with pytest.raises(TypeError, match="a Mapping or an Attachment"):
            make(wrong)
    for no_number in (None, "0", 0.0):
        with pytest.raises(TypeError):
            make(mapping, no_number)
    libc.mprotect(mapping, libc.PROT_READ)
    with pytest.raises(ValueError, match="read-only"):
        make(mapping)
    libc.mprotect(mapping, libc.PROT_NONE)
    with pytest.raises(BufferError):
        make(mapping)
    libc.munmap(mapping)
    with pytest.raises(ValueError, match="closed"):
        make(mapping)


def test_an_offset_that_unmaps_the_memory_gives_no_counter_in_it(mapping: libc.Mapping) -> None:
    class Treacherous:
        def __index__(self) -> int:
            libc.munmap(mapping)
            return 8

    with pytest.raises(ValueError, match="closed"):
        untyped.CountHandler(mapping, Treacherous())


@pytest.mark.parametrize("status", [-1, 256, 2**31, 2**64])
def test_a_status_that_no_process_ends_with_is_refused(status: int) -> None:
    with pytest.raises(ValueError, match="status is"):
        libc.ExitHandler(status)


def test_a_descriptor_that_cannot_be_one_is_refused() -> None:
    with pytest.raises(OSError, match=r"RecordHandler\(-1\): Bad file descriptor"):
        libc.RecordHandler(-1)
    with pytest.raises(OverflowError):
        libc.RecordHandler(2**31)


# -- the process as a whole --


def test_a_program_ends_in_peace_while_its_handlers_are_at_work(fork: Fork) -> None:
    code = """
import os, gc
from unixipc import libc
memory = libc.mmap(None, libc.PAGE_SIZE, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED | libc.MAP_ANONYMOUS)
libc.sigaction(libc.SIGUSR2, libc.Sigaction(libc.CountHandler(memory)))
libc.sigaction(libc.SIGUSR1, libc.Sigaction(libc.FlagHandler()))
unused = libc.CountHandler()
print("ready", flush=True)
input()
"""
    command = [sys.executable, "-W", "error", "-c", code]
    ends = subprocess.PIPE
    started = subprocess.Popen(command, stdin=ends, stdout=ends, stderr=ends)

    def floods() -> None:
        with suppress(ProcessLookupError):  # it has ended, and was waited for
            while True:
                libc.kill(started.pid, USR2)
                libc.kill(started.pid, USR1)

    with started:
        assert started.stdout is not None
        assert started.stdout.readline() == b"ready\n"
        flooding = fork(floods)
        _, errors = started.communicate(b"\n", timeout=DEADLINE)
        flooding.close()
    assert errors == b""
    assert started.returncode in (0, -USR2, -USR1)  # the interpreter's own end sets all signals to SIG_DFL


def test_the_shim_knows_no_other_kinds() -> None:
    assert [lib.uipc_handler(kind) for kind in (-1, lib.UIPC_HANDLERS, 2**31 - 1)] == [0, 0, 0]
    for signum in (-1, 0, 65, 2**31 - 1):
        assert lib.uipc_handler_argument(signum, lib.uipc_handler(lib.UIPC_ON_COUNT)) == 0


def test_a_handler_that_other_code_saved_and_put_back_by_the_signal_module_counts_on(fork: Fork) -> None:
    def child() -> None:
        counter = libc.CountHandler()
        install(USR1, counter, {HUP}, libc.SA_RESTART)
        for counted in (1, 2, 3):
            saved = signal.getsignal(USR1)
            signal.signal(USR1, lambda *_: None)
            signal.signal(USR1, saved)
            assert libc.sigaction(USR1) == libc.Sigaction(counter, {HUP}, libc.SA_RESTART)
            libc.raise_(USR1)
            assert counter.value == counted
        libc.raise_(USR1)
        assert counter.value == 4

    fork(child).result()


def test_an_offset_is_asked_for_once() -> None:
    class Changing:
        def __init__(self) -> None:
            self.answers = iter([8, 2**40])

        def __index__(self) -> int:
            return next(self.answers)

    memory = libc.mmap(None, PAGE, BOTH, SHARED)
    handler: Any = libc.CountHandler(memory, Changing())  # type: ignore[arg-type]
    assert handler.argument == memory.address + 8
    del handler
    libc.munmap(memory)
