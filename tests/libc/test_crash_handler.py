"""libc.handlers: CrashHandler, which records what kills a process and lets it happen."""

from __future__ import annotations

import ctypes
import errno
import faulthandler
import mmap
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from unixipc import libc
from unixipc._native import lib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

SANITIZED = "libasan" in os.environ.get("LD_PRELOAD", "")
FATAL = (libc.SIGSEGV, libc.SIGBUS, libc.SIGFPE, libc.SIGILL, libc.SIGABRT, libc.SIGSYS, libc.SIGTRAP)


@pytest.fixture
def file() -> Iterator[int]:
    """Make a file in memory that children write to as well."""
    made = os.memfd_create("crashes")
    yield made
    os.close(made)


def install(fd: int, *signals: int) -> libc.CrashHandler:
    handler = libc.CrashHandler(fd)
    for signum in signals or FATAL:
        libc.sigaction(signum, libc.Sigaction(handler, (), libc.SA_SIGINFO | libc.SA_ONSTACK))
    return handler


def parts(fd: int) -> list[libc.CrashRecord | bytes]:
    return libc.CrashRecord.split(os.pread(fd, 1 << 20, 0))


def only(fd: int) -> libc.CrashRecord:
    (record,) = parts(fd)
    assert isinstance(record, libc.CrashRecord)
    return record


def ends(fork: Fork, function: Callable[[], object]) -> tuple[int, int]:
    """Run a child without a handler on any fatal signal; return its pid and how it ended."""

    def bare() -> None:
        faulthandler.disable()
        for signum in FATAL:
            libc.sigaction(signum, libc.Sigaction(libc.SIG_DFL))
        function()

    child = fork(bare)
    child.wait()
    assert child.returncode is not None
    return child.pid, child.returncode


def reads_null() -> None:
    ctypes.string_at(0x10)


def reads_behind_the_end_of_a_file() -> None:
    fd = os.memfd_create("short")
    os.ftruncate(fd, mmap.PAGESIZE)
    with mmap.mmap(fd, mmap.PAGESIZE) as view:
        os.ftruncate(fd, 0)
        view[0]


@pytest.mark.skipif(SANITIZED, reason="the sanitizer looks at faults itself")
@pytest.mark.parametrize(
    ("fault", "signum", "code"),
    [
        (reads_null, libc.SIGSEGV, libc.SEGV_MAPERR),
        (reads_behind_the_end_of_a_file, libc.SIGBUS, libc.BUS_ADRERR),
    ],
)
def test_a_fault_is_recorded_and_kills_as_without_the_handler(
    fork: Fork, file: int, fault: Callable[[], None], signum: libc.Signal, code: int
) -> None:
    def child() -> None:
        install(file)
        fault()

    pid, returncode = ends(fork, child)
    record = only(file)
    assert returncode == -signum
    assert (record.pid, record.tid, record.info.si_signo, record.info.si_code) == (pid, pid, signum, code)
    if fault is reads_null:
        assert record.info.si_addr == 0x10


@pytest.mark.parametrize("signum", FATAL, ids=lambda signum: signum.name)
def test_a_signal_that_was_sent_is_recorded_with_its_sender_and_kills(
    fork: Fork, file: int, signum: libc.Signal
) -> None:
    def child() -> None:
        install(file)
        libc.sigqueue(os.getpid(), signum, 42)
        libc.pause()

    pid, returncode = ends(fork, child)
    info = only(file).info
    assert returncode == -signum
    assert (info.si_signo, info.si_code, info.si_pid, info.si_value) == (signum, libc.SI_QUEUE, pid, 42)


def test_abort_is_recorded_and_kills(fork: Fork, file: int) -> None:
    def child() -> None:
        install(file)
        libc.abort()

    pid, returncode = ends(fork, child)
    assert returncode == -libc.SIGABRT
    assert (only(file).info.si_signo, only(file).info.si_pid) == (libc.SIGABRT, pid)


def test_what_was_there_before_meets_the_same_siginfo(fork: Fork, file: int) -> None:
    records, writes = libc.pipe(libc.O_CLOEXEC)

    def child() -> tuple[int, libc.Siginfo, bool]:
        recorder = libc.RecordHandler(writes)
        before = libc.Sigaction(recorder, {libc.SIGHUP}, libc.SA_SIGINFO | libc.SA_RESTART)
        libc.sigaction(libc.SIGSYS, before)
        install(file, libc.SIGSYS)
        libc.sigqueue(os.getpid(), libc.SIGSYS, 42)
        return os.getpid(), libc.Siginfo(os.read(records, 128)), libc.sigaction(libc.SIGSYS) == before

    pid, info, is_back = fork(child).result()
    assert is_back
    assert (info.si_pid, info.si_value) == (pid, 42)
    assert only(file).info == info
    os.close(records)
    os.close(writes)


def test_what_was_ignored_stays_ignored(fork: Fork, file: int) -> None:
    def child() -> libc.Handler:
        libc.sigaction(libc.SIGSYS, libc.Sigaction(libc.SIG_IGN))
        install(file, libc.SIGSYS)
        libc.raise_(libc.SIGSYS)
        return libc.sigaction(libc.SIGSYS).handler

    assert fork(child).result() == libc.SIG_IGN
    assert only(file).info.si_signo == libc.SIGSYS


def test_a_second_one_puts_back_what_the_first_one_displaced(fork: Fork, file: int) -> None:
    def child() -> None:
        install(file)
        install(file)
        libc.raise_(libc.SIGABRT)

    assert ends(fork, child)[1] == -libc.SIGABRT
    assert only(file).info.si_signo == libc.SIGABRT


@pytest.mark.skipif(SANITIZED, reason="the sanitizer looks at faults itself")
def test_faulthandler_writes_its_text_behind_the_record(fork: Fork, file: int) -> None:
    def child() -> None:
        faulthandler.enable(file, all_threads=True)
        install(file)
        reads_null()

    assert ends(fork, child)[1] == -libc.SIGSEGV
    record, text = parts(file)
    assert isinstance(record, libc.CrashRecord)
    assert record.info.si_code == libc.SEGV_MAPERR
    assert isinstance(text, bytes)
    assert text.startswith(b"Fatal Python error: Segmentation fault")
    assert b"in reads_null" in text


@pytest.mark.skipif(SANITIZED, reason="the sanitizer looks at faults itself")
def test_an_overflow_of_the_stack_is_recorded_on_the_alternate_one(fork: Fork, file: int) -> None:
    def child() -> None:
        faulthandler.enable(file)  # which puts a stack in place
        install(file)
        vars(faulthandler)["_stack_overflow"]()

    assert ends(fork, child)[1] == -libc.SIGSEGV
    record, *text = parts(file)
    assert isinstance(record, libc.CrashRecord)
    assert record.info.si_signo == libc.SIGSEGV
    assert text


@pytest.mark.skipif(SANITIZED, reason="the sanitizer looks at faults itself")
def test_a_fault_on_another_thread_names_that_thread(fork: Fork, file: int) -> None:
    def child() -> None:
        install(file)
        thread = threading.Thread(target=reads_null)
        thread.start()
        thread.join()

    pid, returncode = ends(fork, child)
    record = only(file)
    assert returncode == -libc.SIGSEGV
    assert record.pid == pid
    assert record.tid != pid


def test_a_grandchild_that_crashes_is_recorded_under_its_own_pid(fork: Fork, file: int) -> None:
    def child() -> int:
        install(file, libc.SIGSYS)
        grandchild = os.fork()
        if not grandchild:
            libc.raise_(libc.SIGSYS)
        os.waitpid(grandchild, 0)
        return grandchild

    grandchild = fork(child).result()
    assert only(file).pid == grandchild


def test_a_descriptor_that_means_another_file_by_then_is_not_written_to(fork: Fork, file: int) -> None:
    other = os.memfd_create("other")

    def child() -> None:
        faulthandler.enable(file)
        install(file)
        os.dup2(other, file)
        libc.raise_(libc.SIGABRT)

    assert ends(fork, child)[1] == -libc.SIGABRT
    assert not parts(file)
    assert not parts(other)
    os.close(other)


@pytest.mark.parametrize("close", [os.close, lambda fd: os.closerange(3, fd + 1)], ids=["close", "closerange"])
def test_with_its_descriptor_closed_the_signal_kills_all_the_same(
    fork: Fork, file: int, close: Callable[[int], None]
) -> None:
    def child() -> None:
        install(file)
        close(file)
        libc.raise_(libc.SIGABRT)

    assert ends(fork, child)[1] == -libc.SIGABRT
    assert not parts(file)


def test_what_could_not_be_written_is_counted(fork: Fork) -> None:
    reads, writes = libc.pipe(libc.O_CLOEXEC)

    def child() -> int:
        libc.sigaction(libc.SIGCHLD, libc.Sigaction(libc.SIG_DFL))
        handler = install(writes, libc.SIGCHLD)  # whose default is to be ignored
        os.close(writes)
        libc.raise_(libc.SIGCHLD)
        return handler.lost

    assert fork(child).result() == 1
    os.close(reads)
    os.close(writes)


@pytest.mark.parametrize("blocked", [set(), {libc.SIGSYS}], ids=["not", "blocked"])
def test_errno_and_the_mask_are_left_alone(fork: Fork, file: int, blocked: set[int]) -> None:
    def child() -> tuple[int, libc.SignalSet]:
        raise_ = ctypes.CDLL(None, use_errno=True)["raise"]
        libc.sigaction(libc.SIGCHLD, libc.Sigaction(libc.SIG_IGN))
        install(file, libc.SIGCHLD)
        libc.sigprocmask(libc.SIG_SETMASK, blocked)
        ctypes.set_errno(errno.EXDEV)
        raise_(libc.SIGCHLD)
        return ctypes.get_errno(), libc.sigprocmask(libc.SIG_BLOCK)

    assert fork(child).result() == (errno.EXDEV, libc.SignalSet(blocked))


def test_it_is_not_installed_where_it_could_not_put_back_what_was_there(fork: Fork, file: int) -> None:
    def child() -> None:
        with pytest.raises(OSError, match="a CrashHandler needs SA_SIGINFO") as refused:
            libc.sigaction(libc.SIGABRT, libc.Sigaction(libc.CrashHandler(file)))
        assert refused.value.errno == errno.EINVAL
        for put in (libc.signal, signal.signal):
            put(libc.SIGABRT, lambda *_: None)
            before = libc.sigaction(libc.SIGABRT)
            with pytest.raises(OSError, match="cannot put a Python handler back"):
                install(file, libc.SIGABRT)
            assert libc.sigaction(libc.SIGABRT) == before

    fork(child).result()


def test_it_is_reported_as_it_was_given_and_put_back(fork: Fork, file: int) -> None:
    def child() -> None:
        handler = install(file, libc.SIGABRT)
        action = libc.sigaction(libc.SIGABRT)
        assert action == libc.Sigaction(handler, (), libc.SA_SIGINFO | libc.SA_ONSTACK)
        assert repr(handler) == f"CrashHandler(fd={file}, lost=0)"
        libc.sigaction(libc.SIGABRT, libc.Sigaction(libc.SIG_DFL))
        libc.sigaction(libc.SIGABRT, action)
        assert libc.sigaction(libc.SIGABRT) == action

    fork(child).result()


def test_the_bare_address_lets_the_signal_have_its_default(fork: Fork) -> None:
    def child() -> None:
        bare = libc.NativeHandler(lib.uipc_handler(lib.UIPC_ON_CRASH))
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(bare, (), libc.SA_SIGINFO))
        libc.raise_(libc.SIGUSR1)

    assert ends(fork, child)[1] == -libc.SIGUSR1


@pytest.mark.parametrize("fd", [-1, 2**20])
def test_a_descriptor_that_is_not_open_is_refused(fd: int) -> None:
    with pytest.raises(OSError, match=rf"CrashHandler\({fd}\): Bad file descriptor"):
        libc.CrashHandler(fd)


def test_records_are_found_among_any_text() -> None:
    mark = lib.uipc_crash_mark().to_bytes(8, sys.byteorder)
    info = libc.Siginfo.queued(libc.SIGABRT, 7)
    record = mark + (12).to_bytes(4, sys.byteorder) + (13).to_bytes(4, sys.byteorder) + info.raw
    expected = libc.CrashRecord(12, 13, info)
    split = libc.CrashRecord.split
    assert split(b"") == []
    assert split(b"text") == [b"text"]
    assert split(record) == [expected]
    assert split(b"one" + record + b"two" + record + record) == [b"one", expected, b"two", expected, expected]
    assert split(b"cut off" + record[:-1]) == [b"cut off" + record[:-1]]
