"""signals.shutdown: ends as the parent of the process sees them."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from unixipc import libc, processes, signals
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork

HUP, INT, USR1, TERM, CHLD = libc.SIGHUP, libc.SIGINT, libc.SIGUSR1, libc.SIGTERM, libc.SIGCHLD
RT = libc.SIGRTMIN
CLONE_NEWPID = 0x20000000  # in os from 3.12 on


def _mask() -> libc.SignalSet:
    return libc.sigprocmask(libc.SIG_BLOCK)


def _no_core() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run(program: str, *, signum: int | None = None) -> tuple[int, str, str]:
    """Run a program in an interpreter of its own, and send it a signal once it has printed its first line."""
    head = "import os, sys\nfrom unixipc import libc, signals\n"
    with subprocess.Popen(
        [sys.executable, "-c", head + program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        first = ""
        if signum is not None:
            assert process.stdout is not None
            first = process.stdout.readline()
            process.send_signal(signum)
        out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, first + out, err


# -- stopping --


def test_a_stop_is_false_until_a_signal_comes_and_tells_which() -> None:
    with signals.stopping() as stop:
        info = stop.info
        assert info is None
        assert not stop.wait(0)
        assert not select.select([stop], [], [], 0)[0]
        libc.raise_(TERM)
        assert stop.wait()
        assert stop.wait(0)
        assert stop.info is not None
        assert (stop.info.si_signo, stop.info.si_pid) == (TERM, os.getpid())
        assert select.select([stop], [], [], 0)[0]
    assert stop
    assert stop.wait()


def test_the_first_of_several_signals_is_the_one_that_it_tells() -> None:
    with signals.stopping([TERM, HUP, RT]) as stop:
        libc.raise_(HUP)
        libc.raise_(TERM)
        assert stop.info is not None
        assert stop.info.si_signo == HUP


def test_a_wait_for_it_ends_at_the_signal(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def child(timeout: float | None) -> bool:
        with signals.stopping(TERM) as stop:
            ready.open()
            return stop.wait(timeout)

    for timeout in (None, DEADLINE):
        stopping = fork(child, timeout)
        ready.wait()
        signals.send(stopping, TERM)
        assert stopping.result() is True


def test_threads_that_wait_are_told(fork: Fork) -> None:
    def child() -> list[bool]:
        told: list[bool] = []
        with signals.stopping(USR1) as stop:
            threads = [threading.Thread(target=lambda: told.append(stop.wait(DEADLINE))) for _ in range(4)]
            for thread in threads:
                thread.start()
            libc.kill(os.getpid(), USR1)
            for thread in threads:
                thread.join(DEADLINE)
        return told

    assert fork(child).result() == [True] * 4


def test_threads_that_still_wait_when_the_block_ends_are_let_go(fork: Fork) -> None:
    def child() -> list[bool]:
        told: list[bool] = []
        with signals.stopping(USR1) as stop:
            threads = [threading.Thread(target=lambda: told.append(stop.wait())) for _ in range(3)]
            for thread in threads:
                thread.start()
        for thread in threads:
            thread.join()
        return told

    assert fork(child).result() == [False] * 3


@pytest.mark.parametrize(
    ("timeout", "error"),
    [(-1, ValueError), (float("nan"), ValueError), ("1", TypeError)],
)
def test_a_wrong_timeout_is_refused(timeout: Any, error: type[Exception]) -> None:
    with signals.stopping() as stop, pytest.raises(error):
        stop.wait(timeout)


def test_a_second_signal_of_the_kind_ends_the_process(fork: Fork) -> None:
    def child() -> str:
        with signals.stopping() as stop:
            libc.raise_(TERM)
            assert stop
            libc.raise_(INT)
            libc.raise_(TERM)
        return "alive"

    assert fork(child).wait().returncode == -TERM


def test_at_the_end_of_the_block_all_is_back() -> None:
    with signals.handling({TERM, INT, HUP}, lambda *_: None):
        before = {signum: libc.sigaction(signum) for signum in (TERM, INT, HUP)}, _mask()
        for signum in (None, TERM):
            with signals.stopping():
                if signum is not None:
                    libc.raise_(signum)
            assert ({signum: libc.sigaction(signum) for signum in (TERM, INT, HUP)}, _mask()) == before
        with pytest.raises(ZeroDivisionError), signals.stopping():
            raise ZeroDivisionError
        assert ({signum: libc.sigaction(signum) for signum in (TERM, INT, HUP)}, _mask()) == before


def test_after_the_block_it_has_no_descriptor() -> None:
    with signals.stopping() as stop:
        pass
    with pytest.raises(ValueError, match="closed"):
        stop.fileno()
    assert not stop.wait(0)


def test_an_impossible_signal_leaves_nothing_behind() -> None:
    before = libc.sigaction(TERM)
    with pytest.raises(OSError, match="Invalid argument"), signals.stopping({TERM, libc.SIGKILL}):
        pytest.fail("the block was entered")
    assert libc.sigaction(TERM) == before


def test_nested_stops_are_independent() -> None:
    with signals.stopping(TERM) as outer:
        with signals.stopping(TERM) as inner:
            libc.raise_(TERM)
        assert inner
        assert not outer
        libc.raise_(TERM)
        assert outer


@pytest.mark.parametrize("stopped", [True, False])
def test_a_child_has_a_stop_of_its_own(fork: Fork, stopped: bool) -> None:
    with signals.stopping([TERM, HUP]) as stop:
        if stopped:
            libc.raise_(TERM)

        def child() -> tuple[bool, bool, bool]:
            before = bool(stop), bool(select.select([stop], [], [], 0)[0])
            assert before == (stopped, stopped)
            libc.raise_(HUP)
            return *before, stop.wait(0)

        assert fork(child).result() == (stopped, stopped, True)
        assert bool(stop) == bool(select.select([stop], [], [], 0)[0]) == stopped


def test_where_other_code_put_the_handler_back_it_stops_all_the_same() -> None:
    with signals.stopping(TERM) as stop:
        saved = signal.getsignal(signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, saved)
        libc.raise_(TERM)
        assert stop
        assert stop.wait()


# -- terminating --


def test_the_signal_is_raised_as_terminated_with_its_siginfo() -> None:
    with pytest.raises(signals.Terminated) as caught, signals.terminating():
        libc.raise_(HUP)
    assert caught.value.info.si_signo == HUP
    assert caught.value.code == 128 + HUP
    assert isinstance(caught.value, SystemExit)


@pytest.mark.parametrize("signum", [TERM, HUP])
def test_the_program_cleans_up_and_exits_with_128_and_the_number(signum: int) -> None:
    program = """
import atexit, time
atexit.register(print, "atexit")
with signals.terminating():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("finally")
"""
    assert _run(program, signum=signum) == (128 + signum, "ready\nfinally\natexit\n", "")


def test_caught_and_given_to_die_of_it_ends_by_the_signal_itself() -> None:
    program = """
import time
try:
    with signals.terminating():
        print("ready", flush=True)
        time.sleep(60)
except signals.Terminated as end:
    print("cleaned up", flush=True)
    signals.die_of(end.info.si_signo)
"""
    assert _run(program, signum=TERM) == (-TERM, "ready\ncleaned up\n", "")


def test_the_same_signal_while_it_cleans_up_ends_it(fork: Fork) -> None:
    def child() -> NoReturn:
        with signals.terminating():
            try:
                libc.raise_(TERM)
            finally:
                libc.raise_(TERM)
        os._exit(0)

    assert fork(child).wait().returncode == -TERM


def test_after_the_block_the_signal_has_its_action_from_before() -> None:
    log: list[int] = []
    with signals.handling(TERM, log.append, flags=0):
        with pytest.raises(signals.Terminated), signals.terminating():
            libc.raise_(TERM)
        libc.raise_(TERM)
    assert log == [TERM]


def test_it_is_raised_in_the_main_thread_while_others_work(fork: Fork) -> None:
    def child() -> bool:
        done = threading.Event()
        thread = threading.Thread(target=done.wait)
        thread.start()
        try:
            with signals.terminating():
                signals.send(os.getpid(), TERM, thread=thread.native_id)
                time.sleep(DEADLINE)
        except signals.Terminated:
            return threading.current_thread() is threading.main_thread()
        finally:
            done.set()
            thread.join(DEADLINE)
        return False

    assert fork(child).result()


# -- trap --


def test_the_action_runs_and_the_program_dies_of_the_signal() -> None:
    for signum in (TERM, HUP, INT):
        program = """
import time
signals.trap(lambda: print("last words"))
os.write(1, b"ready\\n")  # not by print(): the signal could come while that still holds the stream
time.sleep(60)
"""
        assert _run(program, signum=signum) == (-signum, "ready\nlast words\n", "")


def test_an_action_that_raises_is_shown_and_the_program_dies_of_the_signal() -> None:
    program = """
def fail():
    print("began")
    raise ZeroDivisionError("in the action")
signals.trap(fail, libc.SIGTERM)
libc.raise_(libc.SIGTERM)
print("alive")
"""
    returncode, out, err = _run(program)
    assert (returncode, out) == (-TERM, "began\n")
    assert err.rstrip().endswith("ZeroDivisionError: in the action")


def test_without_streams_it_dies_all_the_same() -> None:
    program = """
sys.stdout.close()
sys.stderr = None
signals.trap(lambda: 1 / 0, libc.SIGTERM)
libc.raise_(libc.SIGTERM)
os._exit(0)
"""
    assert _run(program)[0] == -TERM


def test_the_action_runs_once_with_all_signals_blocked(fork: Fork, gate: Callable[[], Gate]) -> None:
    ran = gate()

    def child() -> None:
        def action() -> None:
            libc.raise_(TERM)
            libc.raise_(HUP)
            if _mask() == signals.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}:
                ran.open()

        signals.trap(action)
        libc.raise_(TERM)

    assert fork(child).wait().returncode == -TERM
    ran.wait()
    assert not select.select([ran], [], [], 0)[0]


def test_a_child_of_the_program_dies_without_the_action(fork: Fork, gate: Callable[[], Gate]) -> None:
    ran = gate()

    def program() -> int | None:
        signals.trap(ran.open)
        with processes.fork(libc.raise_, TERM) as child:
            return child.wait().returncode

    assert fork(program).result() == -TERM
    assert not select.select([ran], [], [], 0)[0]


def test_the_signal_may_come_on_another_thread(fork: Fork, gate: Callable[[], Gate]) -> None:
    ran = gate()

    def child() -> None:
        signals.trap(ran.open)
        thread = threading.Thread(target=time.sleep, args=(DEADLINE,), daemon=True)
        thread.start()
        signals.send(os.getpid(), TERM, thread=thread.native_id)
        time.sleep(DEADLINE)

    assert fork(child).wait().returncode == -TERM
    ran.wait()


def test_trap_refuses_what_cannot_be_trapped_and_changes_nothing_before(fork: Fork) -> None:
    def child() -> None:
        before = _mask()
        for wrong in (0, 65, libc.SIGKILL, libc.SIGSEGV):
            with pytest.raises(OSError, match="Invalid argument"):
                signals.trap(print, wrong)
        assert _mask() == before

    fork(child).result()


# -- die_of --

DEADLY = [HUP, INT, TERM, USR1, libc.SIGKILL, libc.SIGALRM, libc.SIGPIPE, RT, libc.SIGRTMAX]
DUMPING = [libc.SIGABRT, libc.SIGSEGV, libc.SIGBUS, libc.SIGFPE, libc.SIGILL, libc.SIGQUIT, libc.SIGTRAP, libc.SIGSYS]


@pytest.mark.parametrize("signum", [*DEADLY, *DUMPING])
@pytest.mark.parametrize("action", ["default", "handled", "ignored", "blocked"])
def test_the_process_dies_of_the_signal_whatever_was_done_about_it(fork: Fork, signum: int, action: str) -> None:
    def child() -> str:
        _no_core()
        import faulthandler

        faulthandler.disable()
        libc.sigaction(CHLD, libc.Sigaction(lambda _: None))
        libc.raise_(CHLD)  # what wakes the main thread is ready then
        if signum != libc.SIGKILL and action == "ignored":
            libc.signal(signum, libc.SIG_IGN)
        if signum != libc.SIGKILL and action == "handled" and signum not in DUMPING[1:5]:
            libc.sigaction(signum, libc.Sigaction(lambda _: None, {TERM}, libc.SA_NODEFER))
        if action == "blocked":
            libc.sigprocmask(libc.SIG_BLOCK, {signum})
        signals.die_of(signum)
        return "alive"

    assert fork(child).wait().returncode == -signum


@pytest.mark.parametrize("signum", [CHLD, libc.SIGURG, libc.SIGWINCH, libc.SIGCONT])
def test_it_returns_where_the_default_is_to_do_nothing_and_all_is_as_before(signum: int) -> None:
    log: list[int] = []
    with signals.blocked(USR1):
        before = libc.sigaction(signum), _mask()
        signals.die_of(signum)
        assert (libc.sigaction(signum), _mask()) == before
    with signals.handling(signum, log.append, flags=0):
        before = libc.sigaction(signum), _mask()
        signals.die_of(signum)
        assert (libc.sigaction(signum), _mask()) == before
    assert not log


@pytest.mark.parametrize("signum", [libc.SIGSTOP, libc.SIGTSTP])
def test_it_stops_the_process_and_returns_when_that_goes_on(fork: Fork, signum: int) -> None:
    def child() -> bool:
        os.setpgid(0, 0)  # the kernel stops nobody by SIGTSTP in a group whose parents are all gone, as CI's may be
        before = _mask()
        signals.die_of(signum)
        return _mask() == before

    stopped = fork(child)
    status = os.waitid(os.P_PID, stopped.pid, os.WSTOPPED | os.WNOWAIT)
    assert status is not None
    assert (status.si_code, status.si_status) == (os.CLD_STOPPED, signum)
    signals.send(stopped, libc.SIGCONT)
    assert stopped.result()


@pytest.mark.parametrize("wrong", [0, -1, 32, 65, 2**70])
def test_die_of_refuses_what_is_no_signal_and_leaves_the_mask_alone(wrong: int) -> None:
    before = _mask()
    with pytest.raises(OSError, match="Invalid argument"):
        signals.die_of(wrong)
    assert _mask() == before


@pytest.mark.parametrize("wrong", [None, "TERM", 1.5])
def test_die_of_refuses_what_is_no_number_and_leaves_the_mask_alone(wrong: Any) -> None:
    before = _mask()
    with pytest.raises(TypeError):
        signals.die_of(wrong)
    assert _mask() == before


def test_it_dies_in_a_handler_too(fork: Fork) -> None:
    def child() -> None:
        with signals.handling(TERM, lambda signum, _: signals.die_of(signum)):
            libc.raise_(TERM)

    assert fork(child).wait().returncode == -TERM


def test_the_first_process_of_a_container_exits_with_the_status_of_a_shell(fork: Fork) -> None:
    def ends() -> int | None:
        if ctypes.CDLL(None).unshare(CLONE_NEWPID) != 0:
            return None
        pid = os.fork()
        if pid == 0:
            signals.trap(lambda: None, TERM)
            libc.raise_(TERM)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    ended = fork(ends).result()
    if ended is None:
        pytest.skip("the kernel does not let us make a PID namespace (CAP_SYS_ADMIN)")
    assert ended == 128 + TERM
