"""Other code in the process: CPython's own tests beside a handler of ours, and the standard library's users of signals.

tests/libc/test_delivery.py has what concerns the delivery itself.
"""

from __future__ import annotations

import asyncio
import faulthandler
import importlib.util
import os
import queue
import select
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from until import until_blocked

from unixipc import libc
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.slow

USR1, CHLD, RT = libc.SIGUSR1, libc.SIGCHLD, libc.SIGRTMIN
BESIDE = Path(__file__).parent / "beside"

# -- CPython's own tests --

PARTS = {"test.test_signal": 3, "test.test_subprocess": 3, "test.test_asyncio.test_unix_events": 1}
"""The modules, and in how many processes each runs: nearly all of their time they sleep."""
UNPESTERED = "test.test_signal.ItimerTest.test_itimer_real"  # it calls pause(), which any signal ends
SIGNAL = libc.SIGRTMIN + 5  # as in beside/holding.py
PERIOD_MS = 3
LIMIT = 600.0


def _environment(name: str) -> dict[str, str]:
    """Give an environment in which the interpreters that test_signal starts hold a handler, too."""
    path = [str(Path(entry).absolute()) for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    if name.startswith("test.test_signal"):
        path.insert(0, str(BESIDE))
    return os.environ | {"PYTHONPATH": os.pathsep.join(path)}


def _lacks(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is None
    except ModuleNotFoundError:
        return True


@pytest.fixture
def in_the_foreground() -> Iterator[None]:
    """Have the terminal's signals, which a shell ignores for what runs in the background, and CPython's tests need."""
    before = {signum: libc.sigaction(signum) for signum in (libc.SIGINT, libc.SIGQUIT)}
    for signum, action in before.items():
        if action.handler == libc.SIG_IGN:
            libc.sigaction(signum, libc.Sigaction(libc.SIG_DFL))
    yield
    for signum, action in before.items():
        libc.sigaction(signum, action)


def test_cpython_s_own_tests_pass_beside_a_handler_of_ours_that_is_called_again_and_again(
    in_the_foreground: None, tmp_path: Path
) -> None:
    """None is left out: on 3.11, 3.12 and 3.13 all of them pass without us."""
    if lacking := [name for name in PARTS if _lacks(name)]:
        pytest.skip(f"this Python comes without its own tests: there is no {', '.join(lacking)}")
    runs = [(name, part, parts) for name, parts in PARTS.items() for part in range(parts)] + [(UNPESTERED, 0, 1)]
    running: dict[int, tuple[subprocess.Popen[bytes], str, Path]] = {}
    poll = select.poll()
    try:
        for name, part, parts in runs:
            story = tmp_path / f"{name}.{part}" / "story"
            story.parent.mkdir()
            left_out = [] if name == UNPESTERED else [UNPESTERED.rpartition(".")[2]]
            with story.open("w") as errors:
                process = subprocess.Popen(
                    [sys.executable, BESIDE, name, str(part), str(parts), *left_out],
                    cwd=story.parent,
                    env=_environment(name),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                )
            pidfd = libc.pidfd_open(process.pid)
            running[pidfd] = process, name, story
            poll.register(pidfd, select.POLLIN)
        for process, _, story in running.values():
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n", story.read_text()
        deadline, value, left = time.monotonic() + LIMIT, 0, set(running)
        while left:
            assert time.monotonic() < deadline, "".join(running[pidfd][2].read_text() for pidfd in left)
            for pidfd in left:
                process, name, _ = running[pidfd]
                if name != UNPESTERED:
                    libc.sigqueue(process.pid, SIGNAL, value)
            value += 1
            for pidfd, _ in poll.poll(PERIOD_MS):
                poll.unregister(pidfd)
                left.remove(pidfd)
    finally:
        for pidfd, (process, _, _) in running.items():
            process.kill()
            process.communicate()
            os.close(pidfd)
    for process, _, story in running.values():
        assert process.returncode == 0, story.read_text()


# -- subprocess --


def _run_file(folder: Path, code: str) -> str:
    """Run code from a file, which multiprocessing can import, and give what it prints."""
    file = folder / "program.py"
    file.write_text(textwrap.dedent(code))
    done = subprocess.run(
        [sys.executable, "-X", "dev", file],
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE,
        env=_environment(""),
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_our_handler_of_sigchld_leaves_subprocess_its_exit_statuses(fork: Fork) -> None:
    def parent() -> None:
        told: list[tuple[int | None, int | None]] = []
        libc.sigaction(
            CHLD, libc.Sigaction(lambda _, info: told.append((info.si_pid, info.si_status)), (), libc.SA_SIGINFO)
        )
        expected = []
        for status in range(20):
            with subprocess.Popen(["/bin/sh", "-c", f"read line; exit {status}"], stdin=subprocess.PIPE) as process:
                process.communicate(b"\n", timeout=DEADLINE)
            assert process.returncode == status
            expected.append((process.pid, status))
        assert told == expected

    fork(parent).result()


def test_a_started_program_has_none_of_our_handlers_and_the_mask_of_its_parent(fork: Fork) -> None:
    def parent() -> dict[str, int]:
        for signum in (USR1, RT):
            libc.sigaction(signum, libc.Sigaction(print, {libc.SIGTERM}))
        libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGHUP})
        done = subprocess.run(["/bin/cat", "/proc/self/status"], check=True, capture_output=True, text=True)
        pairs = [line.split(":") for line in done.stdout.splitlines() if line.startswith("Sig")]
        return {name: int(value, 16) for name, value in pairs if name != "SigQ"}

    status = fork(parent).result()
    assert status["SigCgt"] == 0
    assert libc.SignalSet.from_mask(status["SigBlk"]) == libc.SignalSet({libc.SIGHUP})
    assert not libc.SignalSet.from_mask(status["SigIgn"]) & {USR1, RT}


# -- asyncio --


def test_asyncio_waits_for_its_children_beside_our_handler_of_sigchld(fork: Fork) -> None:
    async def parent() -> list[int]:
        async def run(status: int) -> int:
            process = await asyncio.create_subprocess_exec("/bin/sh", "-c", f"exit {status}")
            return await process.wait()

        infos: list[libc.Siginfo] = []
        libc.sigaction(CHLD, libc.Sigaction(lambda _, info: infos.append(info), (), libc.SA_SIGINFO))
        statuses = await asyncio.wait_for(asyncio.gather(*map(run, range(10))), DEADLINE)
        assert infos
        assert libc.signals_lost() == 0
        return statuses

    assert fork(lambda: asyncio.run(parent())).result() == list(range(10))


def test_asyncio_s_handler_takes_the_place_of_ours_and_ours_that_of_asyncio_s(fork: Fork) -> None:
    async def child() -> None:
        log: list[str] = []
        theirs = asyncio.Event()
        loop = asyncio.get_running_loop()
        ours = libc.Sigaction(lambda _: log.append("ours"), {libc.SIGHUP}, libc.SA_RESTART)
        libc.sigaction(USR1, ours)
        libc.raise_(USR1)
        loop.add_signal_handler(USR1, theirs.set)
        of_asyncio = libc.sigaction(USR1)
        assert isinstance(of_asyncio.handler, libc.NativeHandler)
        libc.raise_(USR1)
        await asyncio.wait_for(theirs.wait(), DEADLINE)
        assert libc.sigaction(USR1, ours) == of_asyncio
        libc.raise_(USR1)
        assert log == ["ours", "ours"]
        theirs.clear()
        libc.sigaction(USR1, of_asyncio)
        libc.raise_(USR1)
        await asyncio.wait_for(theirs.wait(), DEADLINE)
        assert loop.remove_signal_handler(USR1)
        assert libc.sigaction(USR1).handler == libc.SIG_DFL
        assert log == ["ours", "ours"]

    fork(lambda: asyncio.run(child())).result()


def test_an_exception_of_our_handler_is_that_of_the_callback_which_it_interrupted(fork: Fork) -> None:
    async def child() -> None:
        def fail(signum: int) -> None:
            raise ZeroDivisionError

        def failed(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
            failure.set_result(context["exception"])

        loop = asyncio.get_running_loop()
        failure: asyncio.Future[object] = loop.create_future()
        loop.set_exception_handler(failed)
        libc.sigaction(USR1, libc.Sigaction(fail, {libc.SIGHUP}))
        loop.call_soon(libc.raise_, USR1)
        assert isinstance(await asyncio.wait_for(failure, DEADLINE), ZeroDivisionError)
        assert libc.sigprocmask(libc.SIG_BLOCK) == libc.SignalSet()

    fork(lambda: asyncio.run(child())).result()


# -- set_wakeup_fd --


def test_a_wakeup_fd_that_is_full_costs_no_signal(fork: Fork) -> None:
    def child() -> list[int | None]:
        values: list[int | None] = []
        _, write_end = os.pipe2(os.O_NONBLOCK)
        os.write(write_end, bytes(1 << 20))
        signal.set_wakeup_fd(write_end, warn_on_full_buffer=False)
        libc.sigaction(RT, libc.Sigaction(lambda _, info: values.append(info.si_value), (), libc.SA_SIGINFO))
        libc.sigprocmask(libc.SIG_BLOCK, {RT})
        for value in range(100):
            libc.sigqueue(os.getpid(), RT, value)
        libc.sigprocmask(libc.SIG_UNBLOCK, {RT})
        return values

    assert fork(child).result() == list(range(100))


# -- faulthandler --


def test_faulthandler_shows_what_the_handler_is_at(fork: Fork, tmp_path: Path) -> None:
    written = tmp_path / "traceback"

    def child() -> None:
        with written.open("w") as file:
            faulthandler.enable(file)
            faulthandler.dump_traceback_later(DEADLINE, file=file)

            def the_handler(signum: int) -> None:
                faulthandler.dump_traceback(file)

            libc.sigaction(USR1, libc.Sigaction(the_handler))
            libc.raise_(USR1)
            faulthandler.cancel_dump_traceback_later()
            faulthandler.disable()

    fork(child).result()
    story = written.read_text()
    assert story.index("in the_handler") < story.index("in child")


def test_faulthandler_chained_before_our_handler_loses_none_of_its_signals(fork: Fork, tmp_path: Path) -> None:
    written, count = tmp_path / "traceback", 20

    def child() -> None:
        values: list[int | None] = []
        ours = libc.Sigaction(lambda _, info: values.append(info.si_value), {libc.SIGHUP}, libc.SA_SIGINFO)
        libc.sigaction(RT, ours)
        with written.open("w") as file:
            faulthandler.register(RT, file, chain=True)
            for value in range(count):
                libc.sigqueue(os.getpid(), RT, value)
            faulthandler.unregister(RT)
        # It passes the signal on by raise(3), and with that the siginfo is a new one.
        assert values == [None] * count
        assert libc.sigaction(RT) == ours
        assert set(libc.sigprocmask(libc.SIG_BLOCK)) == set()

    fork(child).result()
    assert written.read_text().count("most recent call first") == count


# -- threading --


@pytest.mark.parametrize("waits_for", ["lock", "event", "queue", "thread"])
def test_handlers_run_while_the_main_thread_waits_for_another(
    fork: Fork, gate: Callable[[], Gate], waits_for: str
) -> None:
    ready, handled = gate(), gate()

    def child() -> None:
        lock, event, items = threading.Lock(), threading.Event(), queue.Queue[int]()
        go, go_on = os.pipe()

        def work() -> None:
            libc.sigprocmask(libc.SIG_BLOCK, {USR1})
            os.read(go, 1)
            event.set()
            items.put(1)
            lock.release()

        lock.acquire()
        thread = threading.Thread(target=work)
        thread.start()
        left = 3

        def handler(signum: int) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.write(go_on, b"!")
            handled.open()

        libc.sigaction(USR1, libc.Sigaction(handler))
        ready.open()
        waits: dict[str, Callable[[], object]] = {
            "lock": lock.acquire,
            "event": event.wait,
            "queue": items.get,
            "thread": thread.join,
        }
        waits[waits_for]()
        assert left == 0
        thread.join()

    running = fork(child)
    ready.wait()
    for _ in range(3):
        until_blocked(running)
        libc.kill(running.pid, USR1)
        handled.wait()
    running.result()


# -- multiprocessing --


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works_beside_our_handlers(method: str, tmp_path: Path) -> None:
    """A forked child has our handlers and they work there; another has none."""
    code = f"""
    import multiprocessing, os, warnings
    from unixipc import libc

    def child(numbers):
        before = libc.sigaction(libc.SIGRTMIN).handler != libc.SIG_DFL
        got = []
        libc.sigaction(libc.SIGRTMIN, libc.Sigaction(lambda _, info: got.append(info.si_value), (), libc.SA_SIGINFO))
        for number in numbers:
            libc.sigqueue(os.getpid(), libc.SIGRTMIN, number)
        return before, got, set(libc.sigprocmask(libc.SIG_BLOCK)), libc.signals_lost()

    def wait(ready):
        ready.set()
        libc.pause()

    if __name__ == "__main__":
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads, which a pool has
        told = []
        libc.sigaction(libc.SIGRTMIN, libc.Sigaction(told.append))
        libc.sigaction(libc.SIGCHLD, libc.Sigaction(told.append, {{libc.SIGRTMIN}}))
        context = multiprocessing.get_context({method!r})
        with context.Pool(2) as pool:
            for answer in pool.map(child, [range(5)] * 6, chunksize=1):
                libc.raise_(libc.SIGRTMIN)
                assert answer[1:] == ([0, 1, 2, 3, 4], set(), 0), answer
                assert answer[0] or {method!r} != "fork", answer
            pool.close()
            pool.join()
        ready = context.Event()
        process = context.Process(target=wait, args=(ready,))
        process.start()
        ready.wait()
        process.terminate()
        process.join()
        assert process.exitcode == -libc.SIGTERM
        assert told.count(libc.SIGRTMIN) == 6
        assert libc.SIGCHLD in told or {method!r} == "forkserver"
        print("done")
    """
    assert _run_file(tmp_path, code) == "done\n"
