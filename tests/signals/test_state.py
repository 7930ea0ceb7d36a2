"""unixipc.signals.state: real processes in known states, and those that end under the reader's eyes."""

from __future__ import annotations

import ctypes
import importlib
import os
import resource
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import count_alone, install
from nobody import become_nobody

from unixipc import libc, signals

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing import Gate
    from unixipc.testing.plugin import Fork

HUP, USR1, USR2, TERM, RT = libc.SIGHUP, libc.SIGUSR1, libc.SIGUSR2, libc.SIGTERM, libc.SIGRTMIN

STATE = importlib.import_module("unixipc.signals.state")  # the function has its name


# -- processes in known states --


def test_a_process_is_seen_as_it_has_set_itself_up(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready, done = gate(), gate()

    def child() -> None:
        count_alone()
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (1234, resource.getrlimit(resource.RLIMIT_SIGPENDING)[1]))
        for signum in range(1, libc.SIGRTMAX + 1):
            if signum in libc.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}:
                install(signum, libc.SIG_DFL)
        install(USR1, libc.SIG_IGN)
        install(USR2, print)
        install(RT + 1, libc.SIG_IGN)
        signal.signal(RT + 2, print)
        libc.sigprocmask(libc.SIG_SETMASK, {HUP, TERM, RT})
        ready.open()
        done.wait()

    running = fork(child)
    ready.wait()
    libc.kill(running.pid, HUP)
    libc.tgkill(running.pid, running.pid, TERM)
    for value in range(5):
        libc.sigqueue(running.pid, RT, value)
    found = signals.state(running.pid)
    assert (found.pid, found.name) == (running.pid, signals.state().name)
    assert found.ignored == libc.SignalSet({USR1, RT + 1})
    assert found.caught == libc.SignalSet({USR2, RT + 2})
    assert found.pending == libc.SignalSet({HUP, RT})
    assert found.queued >= 7
    assert found.queue_limit == 1234
    (main,) = found.threads
    assert (main.tid, main.name) == (running.pid, found.name)
    assert main.pending == libc.SignalSet({TERM})
    assert main.blocked == libc.SignalSet({HUP, TERM, RT})
    done.open()
    running.result()


def test_the_calling_process_needs_no_number() -> None:
    before = libc.sigprocmask(libc.SIG_BLOCK, {USR1, USR2, RT})
    libc.kill(os.getpid(), USR1)
    libc.raise_(USR2)
    found = signals.state()
    assert found.pid == os.getpid()
    assert USR1 in found.pending
    assert found.threads[0].tid == threading.get_native_id()
    assert USR2 in found.threads[0].pending
    assert found.threads[0].blocked == before | {USR1, USR2, RT}
    for of_process in (found, signals.state(os.getpid())):
        assert of_process.pending | of_process.threads[0].pending == libc.sigpending()
    libc.sigwait({USR1})
    libc.sigwait({USR2})
    assert not signals.state().pending
    libc.sigprocmask(libc.SIG_SETMASK, before)


def test_no_limit_is_none(fork: Fork) -> None:
    def child() -> int | None:
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        return signals.state().queue_limit

    try:
        assert fork(child).result() is None
    except ValueError as error:
        pytest.skip(f"RLIMIT_SIGPENDING cannot be raised (CAP_SYS_RESOURCE): {error}")


def test_no_limit_is_none_also_where_nobody_may_raise_it(monkeypatch: pytest.MonkeyPatch) -> None:
    fields = STATE._fields
    unlimited = {"SigQ": f"0/{resource.RLIM_INFINITY % 2**64}"}  # as the kernel prints it
    monkeypatch.setattr(STATE, "_fields", lambda *arguments: fields(*arguments) | unlimited)
    assert signals.state().queue_limit is None


def test_each_thread_has_its_own_name_mask_and_pending_signals(fork: Fork, gate: Callable[[], Gate]) -> None:
    told, done = os.pipe(), gate()

    def child() -> None:
        def work() -> None:
            libc.sigprocmask(libc.SIG_SETMASK, {USR1, USR2})
            Path("/proc/thread-self/comm").write_bytes(b"worker")
            os.write(told[1], str(threading.get_native_id()).encode())
            done.wait()

        libc.sigprocmask(libc.SIG_SETMASK, {USR1, TERM})
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    running = fork(child)
    worker = int(os.read(told[0], 100))
    libc.tgkill(running.pid, worker, USR2)
    libc.tgkill(running.pid, running.pid, TERM)
    libc.kill(running.pid, USR1)
    found = signals.state(running.pid)
    assert found.pending == libc.SignalSet({USR1})
    assert found.threads == (
        signals.ThreadState(running.pid, found.name, libc.SignalSet({TERM}), libc.SignalSet({USR1, TERM})),
        signals.ThreadState(worker, "worker", libc.SignalSet({USR2}), libc.SignalSet({USR1, USR2})),
    )
    for end in told:
        os.close(end)


NAMES = [
    "two words",
    "(sd-pam) R 1",
    "a\nSigBlk:\tff",
    r"back\slash\n",
    "\\",
    "\n",
    "\udcff\udcfe",
    "é",
    "\t:",
    "\r\v\x1c\x85",
]


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_any_name_is_read_as_it_is(fork: Fork, gate: Callable[[], Gate], name: str) -> None:
    ready, done = gate(), gate()

    def child() -> None:
        Path("/proc/self/comm").write_bytes(os.fsencode(name))
        libc.sigprocmask(libc.SIG_SETMASK, {USR1})
        ready.open()
        done.wait()

    running = fork(child)
    ready.wait()
    found = signals.state(running.pid)
    assert found.name == found.threads[0].name == name
    assert found.threads[0].blocked == libc.SignalSet({USR1})


def test_a_zombie_has_a_state_until_it_is_waited_for(fork: Fork) -> None:
    child = fork(lambda: os._exit(0))
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    found = signals.state(child.pid)
    assert found.pid == child.pid
    assert [thread.tid for thread in found.threads] == [child.pid]
    child.wait()
    with pytest.raises(ProcessLookupError):
        signals.state(child.pid)


def test_a_kernel_thread_ignores_everything() -> None:
    status = Path("/proc/2/status")
    if not status.exists() or "kthreadd" not in status.read_text():
        pytest.skip("no kernel threads are to be seen here (a pid namespace)")
    found = signals.state(2)
    assert found.name == "kthreadd"
    assert found.ignored == libc.SignalSet.full()
    assert found.caught == libc.SignalSet()


# -- processes and threads that end meanwhile --


def test_a_process_that_ends_while_it_is_read_is_no_more(fork: Fork, monkeypatch: pytest.MonkeyPatch) -> None:
    child = fork(libc.pause)
    listed = STATE._listed

    def late(*arguments: Any) -> list[str]:
        found: list[str] = listed(*arguments)
        child.close()
        return found

    monkeypatch.setattr(STATE, "_listed", late)
    with pytest.raises(ProcessLookupError, match=rf"state\({child.pid}\): No such process: there is no such process"):
        signals.state(child.pid)


def test_a_thread_that_ends_while_its_process_is_read_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = signals.state()
    listed = STATE._listed
    monkeypatch.setattr(STATE, "_listed", lambda *arguments: [*listed(*arguments), str(2**22 + 1)])
    assert [thread.tid for thread in signals.state().threads] == [thread.tid for thread in whole.threads]


def test_threads_that_come_and_go_do_no_harm(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def child() -> None:
        ready.open()
        while True:
            threads = [threading.Thread(target=int) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

    running = fork(child)
    ready.wait()
    for _ in range(500):
        found = signals.state(running.pid)
        assert found.threads[0].tid == running.pid
    assert running.returncode is None


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
def test_processes_that_end_by_themselves_have_a_state_or_are_no_more(fork: Fork) -> None:
    def parent() -> int:
        install(libc.SIGCHLD, libc.SIG_IGN)  # the kernel reaps them
        gone = 0
        for _ in range(200):
            pid = os.fork()
            if pid == 0:
                os._exit(0)
            try:
                while True:
                    assert signals.state(pid).pid == pid
            except ProcessLookupError:
                gone += 1
        return gone

    assert fork(parent).result() == 200


# -- what is refused --


@pytest.mark.parametrize("pid", [0, -1, -(2**31), -(10**30)])
def test_no_process_has_a_number_below_1(pid: int) -> None:
    with pytest.raises(ValueError, match="processes are numbered from 1"):
        signals.state(pid)


@pytest.mark.parametrize("pid", [2**31, 2**63, 10**30])
def test_a_number_that_c_cannot_hold_is_an_overflow(pid: int) -> None:
    with pytest.raises(OverflowError, match="does not fit a C int"):
        signals.state(pid)


def test_what_is_no_number_is_a_type_error() -> None:
    wrong: Any
    for wrong in ("1", "self", b"1", 1.0, [1]):
        with pytest.raises(TypeError):
            signals.state(wrong)


def test_a_number_that_no_process_has_is_esrch() -> None:
    with pytest.raises(ProcessLookupError, match=rf"state\({2**31 - 1}\): No such process"):
        signals.state(2**31 - 1)


def test_the_number_of_a_thread_is_no_process_and_the_error_tells_whose_it_is() -> None:
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert thread.native_id is not None
        with pytest.raises(ProcessLookupError, match=rf"it is a thread of process {os.getpid()}"):
            signals.state(thread.native_id)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize(("hidepid", "expected"), [("1", PermissionError), ("2", ProcessLookupError)])
def test_a_process_that_proc_hides_is_refused_and_the_error_says_why(
    fork: Fork, hidepid: str, expected: type[OSError]
) -> None:
    other = os.getpid()

    def look() -> str:
        c = ctypes.CDLL(None, use_errno=True)
        new_mounts, private = 0x20000, 1 << 18 | 1 << 14
        if (
            c.unshare(new_mounts) < 0
            or c.mount(b"none", b"/", None, private, None) < 0
            or c.mount(b"proc", b"/proc", b"proc", 0, b"hidepid=" + hidepid.encode()) < 0
        ):
            return f"no /proc can be mounted: {os.strerror(ctypes.get_errno())}"
        become_nobody()
        with pytest.raises(expected, match="hidepid"):
            signals.state(other)
        assert signals.state().pid == os.getpid()
        return ""

    if os.geteuid() != 0:
        pytest.skip("only root (CAP_SYS_ADMIN) can mount a /proc")
    if why := fork(look).result():
        pytest.skip(why)
