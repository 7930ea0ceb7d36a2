"""unixipc.processes: what a fork survives, and what it leaves when it fails."""

import io
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

import pytest
from until import state

from unixipc import libc, processes
from unixipc.testing import DEADLINE, Gate
from unixipc.testing.plugin import Fork


def descriptors() -> dict[str, str]:
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[entry.name] = os.readlink(entry)  # noqa: PTH115
        except FileNotFoundError:
            continue
    return found


def forked(function: Callable[[], object]) -> None:
    """Run a test in a child of its own, where it can do what would harm the others."""
    with processes.fork(function) as child:
        child.result()


# -- a fork that fails --


@pytest.mark.parametrize("free", range(4))
def test_a_fork_without_descriptors_fails_and_leaves_nothing_or_works(free: int) -> None:
    def child() -> bool:
        highest = max(map(int, descriptors())) + 1
        taken = [os.open("/dev/null", os.O_RDONLY) for _ in range(highest)]
        highest = max(taken) + 1 + free
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest, hard))
        works = False
        with suppress(OSError), processes.fork(lambda: 5) as made:
            works = made.result() == 5
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        for fd in taken:
            os.close(fd)
        with pytest.raises(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        return works

    before = descriptors().keys()
    with processes.fork(child) as made:
        assert made.result() is (free >= 2)
    assert descriptors().keys() == before


def test_a_fork_without_processes_left_says_which_limits_there_are() -> None:
    def child() -> None:
        os.setresuid(54321, 54321, 54321)
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
        before = descriptors().keys()
        with pytest.raises(BlockingIOError, match="RLIMIT_NPROC"):
            processes.fork(lambda: None)
        assert descriptors().keys() == before

    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    forked(child)


class HandlerError(Exception):
    pass


def raising(*_: object) -> NoReturn:
    raise HandlerError


@pytest.fixture
def handler() -> Iterator[None]:
    before = libc.sigaction(libc.SIGUSR1, libc.Sigaction(raising))
    yield
    libc.sigaction(libc.SIGUSR1, before)


def test_a_handler_that_raises_during_the_fork_leaves_no_child(handler: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def fork() -> int:
        pid = real()
        if pid:
            os.kill(os.getpid(), libc.SIGUSR1)  # is blocked until the child has its owner
        return pid

    real = os.fork
    monkeypatch.setattr(os, "fork", fork)
    before = descriptors().keys()
    with pytest.raises(HandlerError):
        processes.fork(libc.pause)  # and no ResourceWarning, which would be an error
    assert descriptors().keys() == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_handler_that_raises_while_a_child_is_closed_leaves_none(handler: None, gate: Callable[[], Gate]) -> None:
    go = gate()
    for number in range(100):
        child = processes.fork(libc.pause)
        sender = processes.fork(_send_later, go, os.getpid(), number)
        try:  # one for all: the handler may run anywhere, but only once
            go.open()
            child.close()
            sender.wait()
        except HandlerError:
            child.close()
        left = child.pidfd
        sender.wait()
        assert left == -1


def _send_later(go: Gate, pid: int, number: int) -> None:
    go.wait()
    for _ in range(number * 900):
        pass
    os.kill(pid, libc.SIGUSR1)


def test_a_handler_may_fork(fork: Fork) -> None:
    def child() -> list[int]:
        results: list[int] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: results.append(processes.fork(os.getpid).result())))
        for _ in range(5):
            libc.raise_(libc.SIGUSR1)
        return results

    assert len(set(fork(child).result())) == 5


def test_children_of_children_hand_their_results_up(fork: Fork) -> None:
    def level(number: int) -> list[int]:
        if number == 0:
            return [os.getpid()]
        with processes.fork(level, number - 1) as child:
            return [os.getpid(), *child.result()]

    assert len(set(fork(level, 6).result())) == 7


@pytest.mark.slow
def test_many_forks_leave_no_descriptor(fork: Fork) -> None:
    before = descriptors()
    for number in range(300):
        assert processes.fork(lambda number=number: number).result() == number  # type: ignore[misc]
    assert descriptors().keys() == before.keys()


# -- threads --


def test_a_thread_forbids_the_fork_and_is_named() -> None:
    done = threading.Event()
    thread = threading.Thread(target=done.wait, name="the-other-one")
    thread.start()
    try:
        with pytest.raises(RuntimeError, match=r"the-other-one.*allow_threads=True"):
            processes.fork(lambda: None)
        with processes.fork(lambda: 5, allow_threads=True) as child:  # no DeprecationWarning, which would be an error
            assert child.result() == 5
    finally:
        done.set()
        thread.join()


def test_a_child_has_the_filters_of_warnings_of_its_parent(fork: Fork) -> None:
    assert fork(lambda: list(warnings.filters), allow_threads=True).result() == list(warnings.filters)


def test_threads_that_wait_for_the_same_child_all_learn_how_it_ended(gate: Callable[[], Gate]) -> None:
    go = gate()
    statuses: list[processes.ExitStatus] = []
    with processes.fork(go.wait) as child:
        threads = [threading.Thread(target=lambda: statuses.append(child.wait())) for _ in range(8)]
        for thread in threads:
            thread.start()
        go.open()
        statuses.append(child.wait())
        for thread in threads:
            thread.join()
    assert len(statuses) == 9
    assert len(set(map(id, statuses))) == 1


@pytest.mark.parametrize("wait", [processes.Child.wait, processes.Child.wait_stopped, processes.Child.result])
def test_who_waits_learns_how_it_ended_though_another_thread_has_just_reaped_it(
    monkeypatch: pytest.MonkeyPatch, wait: Callable[[processes.Child[int]], object]
) -> None:
    real = processes.Child._held

    def another_was_quicker(child: processes.Child[int]) -> object:
        libc.ppoll([(child.pidfd, select.POLLIN)], DEADLINE)
        child._reap()
        return real(child)

    with processes.fork(int) as child:
        monkeypatch.setattr(processes.Child, "_held", another_was_quicker)
        assert wait(child) in (child.status, 0)
        assert child.status is not None


# -- streams --


@pytest.mark.parametrize(
    "stream",
    [None, io.StringIO, "closed", "broken"],
    ids=["none", "a string", "closed", "broken"],
)
def test_any_standard_stream_will_do(stream: object, monkeypatch: pytest.MonkeyPatch, fork: Fork) -> None:
    reads, writes = os.pipe()
    made: io.TextIOBase | None = None
    if stream is io.StringIO:
        made = io.StringIO()
    elif stream == "closed":
        made = io.StringIO()
        made.close()
    elif stream == "broken":
        os.close(reads)
        made = open(writes, "w", closefd=False)  # noqa: SIM115
        made.write("never arrives")
    monkeypatch.setattr(sys, "stdout", made)
    monkeypatch.setattr(sys, "stderr", made)
    child = fork(lambda: 5)
    status = child.wait()
    monkeypatch.undo()
    assert child.result() == 5
    assert status.exit_code == (120 if stream == "broken" else 0)
    if stream == "broken":
        with pytest.raises(BrokenPipeError):
            made.close()  # type: ignore[union-attr]
    else:
        os.close(reads)
    os.close(writes)


def test_what_a_child_prints_is_written_once(capfd: pytest.CaptureFixture[str]) -> None:
    print("parent", end=" ")
    forked(lambda: print("child", end=" "))
    assert capfd.readouterr().out == "parent child "


# -- outcomes --


class NeedsMoreError(Exception):
    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code


class DoublesError(Exception):
    def __init__(self, text: str) -> None:
        super().__init__(f"[{text}]")


class EvilError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def __reduce__(self) -> NoReturn:
        raise SystemExit(5)


class NoteHaterError(Exception):
    def add_note(self, note: str) -> NoReturn:
        raise RuntimeError(note)


def fail(error: BaseException) -> NoReturn:
    raise error


def test_an_exception_whose_init_wants_more_comes_back_as_it_is(fork: Fork) -> None:
    with pytest.raises(NeedsMoreError, match="5: a reason") as caught:
        fork(fail, NeedsMoreError(5, reason="a reason")).result()
    assert caught.value.code == 5


def test_an_exception_comes_back_with_the_text_that_it_had(fork: Fork) -> None:
    with pytest.raises(DoublesError) as caught:
        fork(fail, DoublesError("once")).result()
    assert str(caught.value) == "[once]"


def test_an_exception_that_does_all_wrong_comes_back_with_its_traceback(fork: Fork) -> None:
    with pytest.raises(EvilError) as caught:
        fork(fail, EvilError()).result()
    assert "in fail" in caught.value.__notes__[0]


def test_an_exception_that_takes_no_notes_comes_back(fork: Fork) -> None:
    with pytest.raises(NoteHaterError):
        fork(fail, NoteHaterError()).result()


@pytest.mark.parametrize(
    "error",
    [
        OSError(2, "text", "name"),
        UnicodeDecodeError("utf-8", b"x", 0, 1, "why"),
        KeyError(5),
        ExceptionGroup("several", [ValueError(1)]),
        StopIteration(4),
        AttributeError("a", name="n", obj=3),
    ],
)
def test_builtin_exceptions_come_back_equal(fork: Fork, error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        fork(fail, error).result()
    assert str(caught.value) == str(error)
    assert str(caught.value.args) == str(error.args)


class Bomb:
    """What unpickles only in the process that made it, if there."""

    def __init__(self, error: type[BaseException]) -> None:
        self.error = error

    def __reduce__(self) -> tuple[object, ...]:
        return _explode, (self.error,)


def _explode(error: type[BaseException]) -> NoReturn:
    raise error("boom")


@pytest.mark.parametrize("error", [ValueError, SystemExit, GeneratorExit, RecursionError])
def test_a_result_that_does_not_unpickle_is_a_child_process_error(fork: Fork, error: type[BaseException]) -> None:
    with pytest.raises(ChildProcessError, match=r"does not unpickle.*boom"):
        fork(Bomb, error).result()


def test_a_result_that_does_not_pickle_is_named(fork: Fork) -> None:
    with pytest.raises(TypeError, match=r"a function, cannot be handed"):
        fork(lambda: lambda: 5).result()


def test_a_recursive_result_comes_back(fork: Fork) -> None:
    def recursive() -> list[object]:
        made: list[object] = []
        made.append(made)
        return made

    result = fork(recursive).result()
    assert result[0] is result


def test_a_result_too_deep_is_an_error(fork: Fork) -> None:
    def deep() -> list[object]:
        made: list[object] = []
        for _ in range(100_000):
            made = [made]
        return made

    with pytest.raises((TypeError, ChildProcessError), match="RecursionError"):
        fork(deep).result()


def test_a_result_of_100_mb_comes_back_though_nobody_waits_for_it(fork: Fork) -> None:
    child = fork(lambda: bytes(100_000_000))
    assert select.select([child], [], [], DEADLINE)[0]
    assert len(child.result(0)) == 100_000_000


def test_a_result_comes_back_beyond_the_limit_of_file_sizes(fork: Fork) -> None:
    def child() -> bytes:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        return bytes(10_000)

    assert fork(child).result() == bytes(10_000)


def test_a_result_never_goes_to_another_file(fork: Fork, tmp_path: Path) -> None:
    def child() -> int:
        for number, target in descriptors().items():
            if "memfd" in target:
                os.close(int(number))
        for number in map(str, range(10)):
            os.open(tmp_path / number, os.O_RDWR | os.O_CREAT)
        return 5

    with pytest.raises(ChildProcessError, match="before its function returned"):
        fork(child).result()
    assert all(not path.read_bytes() for path in tmp_path.iterdir())


def test_a_child_that_the_function_forks_does_not_report(fork: Fork) -> None:
    def child() -> str:
        pid = os.fork()
        if pid == 0:
            return "grandchild"
        os.waitpid(pid, 0)
        return "child"

    assert fork(child).result() == "child"


def test_a_result_comes_when_the_child_has_ended_though_a_grandchild_runs(fork: Fork, gate: Callable[[], Gate]) -> None:
    def child() -> int:
        pid = os.fork()
        if pid == 0:
            go.wait()
            os._exit(0)
        return pid

    go = gate()
    with processes.subreaper() as orphans:
        pid = fork(child).result()
        assert orphans.pids() == {pid}
        go.open()
        (status,) = orphans.reap(DEADLINE)
        assert status.success


# -- exits --


@pytest.mark.parametrize(
    ("code", "exit_code"), [(None, 0), (0, 0), (3, 3), (256, 0), (-1, 255), (True, 1), (2**40, 255), ("text", 1)]
)
def test_sys_exit_ends_the_child_as_it_ends_a_program(
    fork: Fork, code: object, exit_code: int, capfd: pytest.CaptureFixture[str]
) -> None:
    child = fork(sys.exit, code)  # type: ignore[arg-type]
    assert child.wait().exit_code == exit_code
    with pytest.raises(ChildProcessError, match=rf"exited with status {exit_code}.*SystemExit"):
        child.result()
    assert capfd.readouterr().err == ("text\n" if code == "text" else "")


def test_a_keyboard_interrupt_ends_the_child_by_sigint(fork: Fork) -> None:
    child = fork(fail, KeyboardInterrupt())
    assert child.wait().signal == libc.SIGINT
    with pytest.raises(ChildProcessError, match="was killed by SIGINT") as caught:
        child.result()
    assert "in fail" in caught.value.__notes__[0]


# -- children that somebody else waits for --


def test_a_child_that_was_waited_for_elsewhere_is_a_clear_error_and_still_hands_its_result_back(fork: Fork) -> None:
    child = fork(lambda: 5)
    os.waitpid(child.pid, 0)
    with pytest.raises(ChildProcessError, match="somebody else waited for it"):
        child.wait()
    assert child.result() == 5
    child.kill()
    child.close()
    assert child.status is None


@pytest.mark.slow
def test_sigchld_ignored_costs_the_status_only() -> None:
    def child() -> list[int]:
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        results = []
        for number in range(200):
            with processes.fork(lambda number=number: number) as made:  # type: ignore[misc]
                if number % 2:
                    time.sleep(0)
                results.append(made.result())
                with pytest.raises(ChildProcessError, match="SIGCHLD is ignored"):
                    made.wait(DEADLINE)
        with processes.fork(libc.pause):
            pass
        return results

    with processes.fork(child) as made:
        assert made.result() == list(range(200))


def test_a_child_that_is_gone_when_the_fork_returns_still_hands_its_result_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def child() -> int:
        def late(pid: int) -> int:
            if pid != os.getpid():
                with suppress(ChildProcessError):
                    os.waitpid(pid, 0)
            return real(pid)

        real = libc.pidfd_open
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        monkeypatch.setattr(libc, "pidfd_open", late)
        return processes.fork(lambda: 5).result()

    with processes.fork(child) as made:
        assert made.result() == 5


def test_in_another_process_a_child_can_be_neither_harmed_nor_waited_for(fork: Fork) -> None:
    def stranger() -> list[str]:
        said = []
        for call in (sibling.wait, sibling.result, sibling.kill, sibling.stop, sibling.resume, sibling.fileno):
            with pytest.raises((ChildProcessError, ValueError)) as caught:
                call()
            said.append(str(caught.value))
        sibling.close()
        with sibling:
            pass
        return said

    sibling = fork(libc.pause)
    assert all(f"is process {os.getpid()}'s" in said for said in fork(stranger).result())
    with pytest.raises(TimeoutError):
        sibling.wait(0)


def test_a_child_has_no_descriptor_of_its_siblings() -> None:
    before = descriptors()
    with ExitStack() as siblings:
        for _ in range(5):
            siblings.enter_context(processes.fork(libc.pause))
        assert len(descriptors()) == len(before) + 2 * 5
        with processes.fork(descriptors) as child:
            mine = set(child.result().values())
    assert not [target for target in mine if "pidfd" in target]
    assert len([target for target in mine if "memfd" in target]) == 1


# -- stopping --


def test_stop_returns_when_the_child_is_stopped_and_resume_when_it_goes_on(fork: Fork) -> None:
    child = fork(libc.pause)
    for _ in range(3):
        for _ in range(2):
            status = child.stop()
            assert (status.stopped, status.stop_signal, str(status)) == (True, libc.SIGSTOP, "was stopped by SIGSTOP")
            assert state(child.pid) == "T"
        assert child.status is None
        child.resume()
        assert state(child.pid) != "T"


def test_a_child_that_stops_itself_is_waited_for(fork: Fork) -> None:
    def stop() -> int:
        libc.raise_(libc.SIGSTOP)
        return 5

    made = fork(stop)
    assert made.wait_stopped().stop_signal == libc.SIGSTOP
    assert made.wait_stopped().stop_signal == libc.SIGSTOP
    made.resume()
    assert made.result() == 5
    assert made.wait_stopped() == made.stop() == made.status


def test_a_stopped_child_is_closed_at_once() -> None:
    with processes.fork(libc.pause) as child:
        child.stop()
    assert child.returncode == -libc.SIGKILL


# -- the end of the parent --


def test_no_child_survives_the_end_of_its_parent_whenever_that_is(fork: Fork) -> None:
    def parent(number: int) -> None:
        def kill_parent() -> None:
            os.kill(me, libc.SIGKILL)
            libc.pause()

        me = os.getpid()

        if number % 2 == 0:  # before the child is set up
            os.register_at_fork(after_in_child=lambda: os.kill(os.getppid(), libc.SIGKILL))
        with processes.fork(kill_parent):
            libc.pause()

    with processes.subreaper() as orphans:
        for number in range(40):
            assert fork(parent, number).wait().signal == libc.SIGKILL
            for status in orphans.reap(DEADLINE):
                assert status.signal == libc.SIGKILL or status.exit_code == 1


@pytest.mark.parametrize("delay", range(20))
def test_a_parent_killed_at_any_moment_leaves_none(fork: Fork, gate: Callable[[], Gate], delay: int) -> None:
    def parent() -> None:
        ready.open()
        children = []
        while True:
            children.append(processes.fork(libc.pause))

    ready = gate()
    with processes.subreaper() as orphans:
        made = fork(parent)
        ready.wait()
        for _ in range(delay * 2000):
            pass
        made.kill()
        made.wait(DEADLINE)
        assert all(status.signal == libc.SIGKILL or status.exit_code == 1 for status in orphans.reap(DEADLINE))


def test_a_program_may_end_while_its_children_run() -> None:
    code = "from unixipc import libc, processes; children = [processes.fork(libc.pause) for _ in range(3)]"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=DEADLINE)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_a_child_in_a_pid_namespace_of_its_own_works_and_ends_with_its_parent(fork: Fork) -> None:
    def parent() -> None:
        libc.unshare(libc.CLONE_NEWPID)
        with processes.fork(lambda: (os.getpid(), os.getppid(), processes.fork(os.getpid).result())) as first:
            libc.write(writes, repr(first.result()).encode())
        libc.pause()

    def orphan() -> None:
        def is_up() -> None:
            libc.write(tells, b"!")
            libc.pause()

        libc.unshare(libc.CLONE_NEWPID)
        hears, tells = os.pipe()
        with processes.fork(is_up) as child:
            os.read(hears, 1)  # one whose parent ends before that exits by itself
            libc.write(writes, str(child.pid).encode())
            libc.pause()

    reads, writes = os.pipe()
    try:
        made = fork(parent)
        ready = select.select([reads, made.fileno()], [], [], DEADLINE)[0]
        if reads not in ready:
            with suppress(PermissionError):
                made.result()
            pytest.skip("a PID namespace of one's own needs CAP_SYS_ADMIN")
        assert os.read(reads, 100) == b"(1, 0, 2)"
        with processes.subreaper() as orphans:
            made = fork(orphan)
            pid = int(os.read(reads, 100))
            made.kill()
            made.wait(DEADLINE)
            assert [(status.pid, status.signal) for status in orphans.reap(DEADLINE)] == [(pid, libc.SIGKILL)]
    finally:
        os.close(reads)
        os.close(writes)


@pytest.mark.parametrize("signum", ["SIGTERM", None, 1.5])
def test_what_is_no_number_is_no_signal(fork: Fork, signum: object) -> None:
    with pytest.raises(TypeError):
        fork(libc.pause).kill(signum)  # type: ignore[arg-type]


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_a_timeout_is_none_or_a_number_from_0_up(fork: Fork, timeout: float) -> None:
    with pytest.raises(ValueError, match="a timeout is None or a number"):
        fork(libc.pause).wait(timeout)


def test_a_child_that_does_not_return_from_writing_its_last_words_has_returned_its_result(fork: Fork) -> None:
    def child() -> int:
        os.set_blocking(writes, True)
        sys.stdout = open(writes, "w", closefd=False)  # noqa: SIM115
        sys.stdout.write("x" * 5)
        return 5

    reads, writes = os.pipe()
    try:
        os.set_blocking(writes, False)
        with suppress(BlockingIOError):
            while os.write(writes, bytes(4096)):
                pass
        made = fork(child)
        while made._report.read() is None:
            assert not select.select([made], [], [], 0)[0]
        with pytest.raises(TimeoutError):
            made.result(0)
        made.kill()
        assert made.result() == 5
    finally:
        os.close(reads)
        os.close(writes)


# -- statuses --


@pytest.mark.slow
def test_each_exit_code_comes_back(fork: Fork) -> None:
    for code in range(256):
        with processes.fork(os._exit, code) as child:
            status = child.wait()
        assert (status.exited, status.exit_code, status.returncode, status.success) == (True, code, code, code == 0)
        assert (status.killed, status.signal, str(status)) == (False, None, f"exited with status {code}")


def test_each_signal_that_kills_comes_back(fork: Fork) -> None:
    def die(signum: int) -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        if signum not in {libc.SIGKILL, libc.SIGSTOP}:
            libc.sigaction(signum, libc.Sigaction(libc.SIG_DFL))
        libc.raise_(signum)
        os._exit(0)

    spared = {
        libc.SIGCHLD,
        libc.SIGURG,
        libc.SIGWINCH,
        libc.SIGCONT,
        libc.SIGSTOP,
        libc.SIGTSTP,
        libc.SIGTTIN,
        libc.SIGTTOU,
    }
    for signum in libc.SignalSet.full() - spared:
        with processes.fork(die, signum) as child:
            status = child.wait()
        assert (status.killed, status.signal, status.returncode, status.exit_code) == (True, signum, -signum, None)
        assert str(status).startswith(f"was killed by {libc.signal_name(signum)} (")
        assert pickle.loads(pickle.dumps(status)) == status


def test_the_usage_is_the_child_s(fork: Fork) -> None:
    def work() -> None:
        while time.process_time() < 0.05:
            pass
        bytearray(50_000_000)[::4096] = b"x" * len(range(0, 50_000_000, 4096))

    usage = fork(work).wait().usage
    assert usage is not None
    assert usage.user_time + usage.system_time > 0.04
    assert usage.max_rss > 50_000_000
    assert usage.minor_faults > 1000
