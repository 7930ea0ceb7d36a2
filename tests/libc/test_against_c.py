"""Python handlers against C handlers: each scenario runs as a program of tests/libc/c, too, and must tell the same.

Scenarios run in a child of their own and say words; so do the programs.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import time
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias

import pytest
from conftest import DEADLINE, Fork, sleeps
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Callable

SOURCES = Path(__file__).parent / "c"
INTERESTING = (libc.SIGHUP, libc.SIGUSR1, libc.SIGUSR2, libc.SIGTERM)

Told: TypeAlias = "tuple[list[str], int]"
"""The words, and the exit status or minus the signal that ended it."""


class Say(Protocol):
    def __call__(self, word: str, *numbers: int) -> None: ...


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Compile the programs as they are asked for."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("there is no gcc to compile the C programs with")
    folder = tmp_path_factory.mktemp("programs")

    @cache
    def compiled(name: str) -> Path:
        warnings = ["-Wall", "-Wextra", "-Werror"]
        source, binary = SOURCES / f"{name}.c", folder / name
        subprocess.run([gcc, "-std=c11", "-D_GNU_SOURCE", *warnings, "-o", binary, source], check=True)
        return binary

    return compiled


@pytest.fixture
def tells(fork: Fork) -> Callable[..., Told]:
    """Run a scenario in a child."""

    def run(scenario: Callable[..., None], *arguments: str) -> Told:
        read_end, write_end = os.pipe()
        try:
            child = fork(scenario, _sayer(write_end), *arguments)
            returncode = child.wait(DEADLINE)
            if returncode > 0:
                child.result(DEADLINE)
        finally:
            os.close(write_end)
            told = _words(read_end)
            os.close(read_end)
        return told, returncode

    return run


def _words(fd: int) -> list[str]:
    told = b""
    while chunk := os.read(fd, 65536):
        told += chunk
    return told.decode().split()


def _sayer(fd: int) -> Say:
    def say(word: str, *numbers: int) -> None:
        os.write(fd, (":".join([word, *map(str, map(int, numbers))]) + "\n").encode())

    return say


@pytest.fixture
def as_in_c(program: Callable[[str], Path], tells: Callable[..., Told]) -> Callable[..., Told]:
    """Run a scenario and the program of its name, with the same arguments, and give what both tell."""

    def compare(scenario: Callable[..., None], *arguments: str) -> Told:
        name = scenario.__name__.removeprefix("_")
        done = subprocess.run(
            [program(name), *arguments], stdout=subprocess.PIPE, env={}, check=False, timeout=DEADLINE
        )
        c = done.stdout.decode().split(), done.returncode
        assert tells(scenario, *arguments) == c
        return c

    return compare


def _install(signum: int, handler: libc.Handler, mask: tuple[int, ...] = (), flags: int = 0) -> None:
    libc.sigaction(signum, libc.Sigaction(handler, mask, flags))


def _install_siginfo(
    signum: int, handler: Callable[[int, libc.Siginfo], object], mask: tuple[int, ...] = (), flags: int = 0
) -> None:
    _install(signum, handler, mask, flags | libc.SA_SIGINFO)


def _say_mask(say: Say, word: str) -> None:
    mask = libc.sigprocmask(libc.SIG_BLOCK)
    say(word, *(signum for signum in INTERESTING if signum in mask))


def _order(say: Say, mask: str, times: str) -> None:
    def handler(signum: int, info: libc.Siginfo) -> None:
        assert info.si_value is not None
        say("enter", 10 * (signum - libc.SIGRTMIN) + info.si_value)
        say("leave", 10 * (signum - libc.SIGRTMIN) + info.si_value)

    five = tuple(libc.SIGRTMIN + i for i in range(5))
    for signum in five:
        _install_siginfo(signum, handler, five if mask == "full" else ())
    libc.sigprocmask(libc.SIG_BLOCK, five)
    for n in range(int(times)):
        for signum in reversed(five):
            libc.sigqueue(os.getpid(), signum, n)
    libc.sigprocmask(libc.SIG_UNBLOCK, five)
    say("end")


def test_without_sa_mask_signals_delivered_in_one_go_nest_as_in_c(as_in_c: Callable[..., Told]) -> None:
    words, _ = as_in_c(_order, "empty", "1")
    assert words == [f"{way}:{n}0" if n else f"{way}:0" for n in (4, 3, 2, 1, 0) for way in ("enter", "leave")] + [
        "end"
    ]


def test_with_a_full_sa_mask_they_run_one_after_the_other_as_in_c(as_in_c: Callable[..., Told]) -> None:
    words, _ = as_in_c(_order, "full", "1")
    assert words == [f"{way}:{n}0" if n else f"{way}:0" for n in (0, 1, 2, 3, 4) for way in ("enter", "leave")] + [
        "end"
    ]


@pytest.mark.parametrize("mask", ["empty", "full"])
@pytest.mark.parametrize("times", ["2", "9"])
def test_queues_of_several_signals_empty_in_the_order_of_c(as_in_c: Callable[..., Told], mask: str, times: str) -> None:
    words, _ = as_in_c(_order, mask, times)
    assert len(words) == 10 * int(times) + 1


def _nodefer(say: Say, flag: str, how: str) -> None:
    def handler(signum: int, info: libc.Siginfo) -> None:
        value = info.si_value
        assert value is not None
        say("enter", value)
        if how == "within" and value < 3:
            libc.sigqueue(os.getpid(), signum, value + 1)
            say("sent", value + 1)
        say("leave", value)

    own = {libc.SIGRTMIN}
    _install_siginfo(libc.SIGRTMIN, handler, (), libc.SA_NODEFER if flag == "nodefer" else 0)
    libc.sigprocmask(libc.SIG_BLOCK, own)
    for value in range(1 if how == "within" else 5):
        libc.sigqueue(os.getpid(), libc.SIGRTMIN, value)
    libc.sigprocmask(libc.SIG_UNBLOCK, own)
    say("end")


def test_sa_nodefer_nests_as_in_c(as_in_c: Callable[..., Told]) -> None:
    words, _ = as_in_c(_nodefer, "nodefer", "within")
    assert words[:5] == ["enter:0", "enter:1", "enter:2", "enter:3", "leave:3"]
    words, _ = as_in_c(_nodefer, "nodefer", "queued")
    assert words[:2] == ["enter:4", "leave:4"]


def test_without_sa_nodefer_a_signal_waits_for_its_own_handler_as_in_c(as_in_c: Callable[..., Told]) -> None:
    words, _ = as_in_c(_nodefer, "defer", "within")
    assert words[:4] == ["enter:0", "sent:1", "leave:0", "enter:1"]
    words, _ = as_in_c(_nodefer, "defer", "queued")
    assert words[:3] == ["enter:0", "leave:0", "enter:1"]


def _resethand(say: Say, flag: str, number: str) -> None:
    def handler(signum: int) -> None:
        say("enter", signum)
        say("default", libc.sigaction(signum).handler == libc.SIG_DFL)
        libc.raise_(signum)
        say("pending", signum in libc.sigpending())
        say("leave", signum)

    signum = int(number)
    _install(signum, handler, (), libc.SA_RESETHAND | (libc.SA_NODEFER if flag == "nodefer" else 0))
    libc.raise_(signum)
    say("survived")
    libc.raise_(signum)
    say("end")


def test_sa_resethand_gives_the_second_instance_to_the_default_as_in_c(as_in_c: Callable[..., Told]) -> None:
    words, returncode = as_in_c(_resethand, "defer", str(int(libc.SIGUSR1)))
    assert words == ["enter:10", "default:1", "pending:1", "leave:10"]
    assert returncode == -libc.SIGUSR1
    words, returncode = as_in_c(_resethand, "nodefer", str(int(libc.SIGUSR1)))
    assert words == ["enter:10", "default:1"]
    assert returncode == -libc.SIGUSR1


@pytest.mark.parametrize("flag", ["defer", "nodefer"])
def test_sa_resethand_falls_back_to_ignoring_where_that_is_the_default_as_in_c(
    as_in_c: Callable[..., Told], flag: str
) -> None:
    words, returncode = as_in_c(_resethand, flag, str(int(libc.SIGCHLD)))
    assert words.count("enter:17") == 1
    assert words[-1] == "end"
    assert returncode == 0


def _mask(say: Say, flag: str, how: str) -> None:
    def handler(signum: int) -> None:
        _say_mask(say, "inside")
        if how == "changing":
            libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGTERM})
            libc.sigprocmask(libc.SIG_UNBLOCK, {libc.SIGHUP})
            libc.sigprocmask(libc.SIG_UNBLOCK, {signum})
            _say_mask(say, "changed")

    _install(libc.SIGUSR1, handler, (libc.SIGUSR2,), libc.SA_NODEFER if flag == "nodefer" else 0)
    libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGHUP})
    _say_mask(say, "before")
    for _ in range(2):
        libc.raise_(libc.SIGUSR1)
        _say_mask(say, "after")


@pytest.mark.parametrize("flag", ["defer", "nodefer"])
@pytest.mark.parametrize("how", ["alone", "changing"])
def test_masks_inside_and_after_a_handler_are_those_of_c(as_in_c: Callable[..., Told], flag: str, how: str) -> None:
    words, _ = as_in_c(_mask, flag, how)
    assert words[0] == words[-1].replace("after", "before") == "before:1"


def _sigsuspend(say: Say, which: str) -> None:
    def handler(signum: int) -> None:
        say("enter", signum)
        _say_mask(say, "inside")
        say("leave", signum)

    _install(libc.SIGUSR1, handler, (libc.SIGHUP,))
    _install(libc.SIGUSR2, handler)
    _install(libc.SIGRTMIN, handler)
    libc.sigprocmask(libc.SIG_SETMASK, {libc.SIGHUP, libc.SIGUSR1, libc.SIGUSR2, libc.SIGRTMIN})
    if which == "one":
        libc.raise_(libc.SIGUSR1)
    elif which == "two":
        libc.raise_(libc.SIGUSR2)
        libc.raise_(libc.SIGUSR1)
    else:
        libc.sigqueue(os.getpid(), libc.SIGRTMIN, 0)
        libc.sigqueue(os.getpid(), libc.SIGRTMIN, 1)
    libc.sigsuspend({libc.SIGTERM})
    _say_mask(say, "after")
    say("pending", libc.SIGRTMIN in libc.sigpending())


@pytest.mark.parametrize("which", ["one", "two", "twice"])
def test_sigsuspend_runs_handlers_under_the_masks_of_c(as_in_c: Callable[..., Told], which: str) -> None:
    words, _ = as_in_c(_sigsuspend, which)
    assert "after:1:10:12" in words


def _script(say: Say, *arguments: str) -> None:
    *numbers, queued, letters = arguments
    masks, nodefer, resethand = [int(number) for number in numbers[:4]], int(numbers[4]), int(numbers[5])
    script = iter(letters)
    four = [libc.SIGRTMIN + i for i in range(4)]

    def bits(signals: libc.SignalSet) -> int:
        return sum(1 << i for i in range(4) if four[i] in signals)

    def blocked() -> int:
        return bits(libc.sigprocmask(libc.SIG_BLOCK))

    def install_all() -> None:
        for i in range(4):
            mask = tuple(four[other] for other in range(4) if masks[i] >> other & 1)
            flags = libc.SA_NODEFER * (nodefer >> i & 1) | libc.SA_RESETHAND * (resethand >> i & 1)
            _install(four[i], handler, mask, flags)

    def take_one() -> None:
        if pending := libc.sigpending():
            say("took", libc.sigwaitinfo(pending).si_signo - libc.SIGRTMIN)

    def suspend() -> None:
        if libc.sigpending():
            libc.sigsuspend(())
            say("suspended", blocked())

    def ignore_the_first() -> None:
        _install(four[0], libc.SIG_IGN)
        say("pending", bits(libc.sigpending()))
        install_all()

    steps: dict[str, Callable[[], object]] = {
        "u": lambda: libc.sigprocmask(libc.SIG_UNBLOCK, four),
        "b": lambda: libc.sigprocmask(libc.SIG_BLOCK, four),
        "p": lambda: say("pending", bits(libc.sigpending())),
        "w": take_one,
        "s": suspend,
        "i": ignore_the_first,
        "r": install_all,
        ".": lambda: None,
    }

    def step() -> None:
        letter = next(script, ".")
        if letter in steps:
            steps[letter]()
        else:
            libc.sigqueue(os.getpid(), four[int(letter)])

    def handler(signum: int) -> None:
        say("enter", signum - libc.SIGRTMIN)
        say("mask", blocked())
        step()
        say("middle", blocked())
        step()
        say("leave", signum - libc.SIGRTMIN)

    install_all()
    libc.sigprocmask(libc.SIG_BLOCK, four)
    for letter in queued:
        libc.sigqueue(os.getpid(), four[int(letter)])
    libc.sigprocmask(libc.SIG_UNBLOCK, four)
    say("end", blocked())


@given(
    masks=st.lists(st.integers(0, 15), min_size=4, max_size=4),
    nodefer=st.integers(0, 15),
    resethand=st.sampled_from([0, 0, 0, 1, 5, 15]),
    queued=st.text("0123", max_size=8),
    script=st.text("0123ubpwsir.", max_size=20),
)
@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_handlers_do_happens_as_in_c(
    as_in_c: Callable[..., Told], masks: list[int], nodefer: int, resethand: int, queued: str, script: str
) -> None:
    as_in_c(_script, *map(str, [*masks, nodefer, resethand]), queued, script)


def _restart(say: Say, progress: str, source: str, *flags: str) -> None:
    def handler(signum: int) -> None:
        say("handled", signum - libc.SIGRTMIN)
        os.write(int(progress), b"!")

    for i, flag in enumerate(flags):
        _install(libc.SIGRTMIN + i, handler, (), libc.SA_RESTART if flag == "restart" else 0)
    os.write(int(progress), b"!")
    try:
        say("read", *libc.read(int(source), 1))
    except InterruptedError as error:
        say("error", error.errno or 0)


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"it has not come to that within {DEADLINE} seconds")
        os.sched_yield()


def _is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


def _take(progress: int) -> None:
    assert select.select([progress], [], [], DEADLINE)[0], f"no progress within {DEADLINE} seconds"
    os.read(progress, 1)


def _interrupt(pid: int, progress: int, source: int, signals: int) -> None:
    """Send the signals, in one go, to a process that is about to read from a pipe; then give it a byte to read."""
    _take(progress)
    _until(lambda: sleeps(pid))
    if signals > 1:
        libc.kill(pid, libc.SIGSTOP)
        _until(lambda: _is_stopped(pid))
    for i in reversed(range(signals)):
        libc.sigqueue(pid, libc.SIGRTMIN + i)
    libc.kill(pid, libc.SIGCONT)
    for _ in range(signals):
        _take(progress)
    os.write(source, b"x")


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (["none"], ["handled:0", "error:4"]),
        (["restart"], ["handled:0", "read:120"]),
        # The signal that ends the call decides, which is the lowest number; its handler starts first and ends last.
        (["restart", "none"], ["handled:1", "handled:0", "read:120"]),
        (["none", "restart"], ["handled:1", "handled:0", "error:4"]),
        (["restart", "restart"], ["handled:1", "handled:0", "read:120"]),
    ],
    ids="-".join,
)
def test_read_is_interrupted_or_goes_on_as_in_c(
    program: Callable[[str], Path], fork: Fork, flags: list[str], expected: list[str]
) -> None:
    for language in ("c", "python"):
        progress, says_progress = os.pipe()
        source, gives = os.pipe()
        words, says = os.pipe()
        try:
            arguments = [str(says_progress), str(source), *flags]
            if language == "c":
                with subprocess.Popen(
                    [program("restart"), *arguments], stdout=says, env={}, pass_fds=(says_progress, source)
                ) as running:
                    _interrupt(running.pid, progress, gives, len(flags))
                    assert running.wait(DEADLINE) == 0
            else:
                child = fork(_restart, _sayer(says), *arguments)
                _interrupt(child.pid, progress, gives, len(flags))
                child.result(DEADLINE)
            assert os.read(words, 4096).decode().split() == expected, language
        finally:
            for fd in (progress, says_progress, source, gives, words, says):
                os.close(fd)
