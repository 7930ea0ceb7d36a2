"""Python handlers against C handlers: each scenario runs as a program of tests/libc/c, too, and must tell the same.

Scenarios run in a child of their own and say words; so do the programs.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import select
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import replace
from fcntl import F_GETPIPE_SZ, fcntl
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, cast

import pytest
from conftest import install
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from until import state, until, until_blocked

from unixipc import libc
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

SOURCES = Path(__file__).parent / "c"
INTERESTING = (libc.SIGHUP, libc.SIGUSR1, libc.SIGUSR2, libc.SIGTERM)

Told: TypeAlias = "tuple[list[str], int | None]"
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
            status = child.wait()
            if not status.killed:
                child.result()
        finally:
            os.close(write_end)
            told = _words(read_end)
            os.close(read_end)
        return told, status.returncode

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
    """Run a scenario and the program of its name, with the same arguments, and give what both tell.

    Where several signals would kill, `any_death` says that it does not matter which of them does it.
    """

    def compare(scenario: Callable[..., None], *arguments: str, any_death: bool = False) -> Told:
        name = scenario.__name__.removeprefix("_")
        done = subprocess.run(
            [program(name), *arguments], stdout=subprocess.PIPE, env={}, check=False, timeout=DEADLINE
        )
        c = done.stdout.decode().split(), done.returncode
        ours = tells(scenario, *arguments)
        assert ours == c or (any_death and ours[0] == c[0] and (ours[1] or 0) < 0 > c[1])
        return c

    return compare


def _install_siginfo(
    signum: int, handler: Callable[[int, libc.Siginfo], object], mask: tuple[int, ...] = (), flags: int = 0
) -> None:
    install(signum, handler, mask, flags | libc.SA_SIGINFO)


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


def _queued(say: Say, mask: str, sent: str) -> None:
    six = (libc.SIGHUP, libc.SIGUSR1, libc.SIGUSR2, libc.SIGRTMIN, libc.SIGRTMIN + 1, libc.SIGRTMIN + 2)

    def handler(signum: int, info: libc.Siginfo) -> None:
        say("enter", six.index(signum))
        if info.si_code == libc.SI_QUEUE:
            assert info.si_value is not None
            say("value", info.si_value)
        say("leave", six.index(signum))

    for signum in six:
        _install_siginfo(signum, handler, six if mask == "full" else ())
    libc.sigprocmask(libc.SIG_BLOCK, six)
    for place, letter in enumerate(sent):
        if letter.isdigit():
            libc.sigqueue(os.getpid(), six[int(letter)], place)
        else:
            libc.raise_(six["abcdef".index(letter)])
    libc.sigprocmask(libc.SIG_UNBLOCK, six)
    say("end")


def test_a_full_queue_empties_lowest_number_first_and_each_number_in_its_order(as_in_c: Callable[..., Told]) -> None:
    words, _ = as_in_c(_queued, "full", "543210345012")
    # A standard signal waits once, with the value of the first.
    values = [5, 4, 3, 2, 6, 1, 7, 0, 8]
    assert [word for word in words if word.startswith("value")] == [f"value:{value}" for value in values]


@given(mask=st.sampled_from(["empty", "full"]), sent=st.text("012345abcdef", max_size=40))
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_standard_and_real_time_signals_come_in_the_order_of_c(
    as_in_c: Callable[..., Told], mask: str, sent: str
) -> None:
    as_in_c(_queued, mask, sent)


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
    install(signum, handler, (), libc.SA_RESETHAND | (libc.SA_NODEFER if flag == "nodefer" else 0))
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


def _mask(say: Say, flags: str, masked: str, how: str) -> None:
    def handler(signum: int, *info: libc.Siginfo) -> None:
        for one in info:
            say("code", one.si_code == libc.SI_TKILL)
        _say_mask(say, "inside")
        if how == "changing":
            libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGTERM})
            libc.sigprocmask(libc.SIG_UNBLOCK, {libc.SIGHUP})
            libc.sigprocmask(libc.SIG_UNBLOCK, {signum})
            _say_mask(say, "changed")

    libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGHUP})
    _say_mask(say, "before")
    for _ in range(2):
        install(libc.SIGUSR1, handler, (libc.SIGUSR1 if masked == "own" else libc.SIGUSR2,), int(flags))
        libc.raise_(libc.SIGUSR1)
        _say_mask(say, "after")
        say("default", libc.sigaction(libc.SIGUSR1).handler == libc.SIG_DFL)


def _combinations(*flags: libc.SaFlag) -> list[libc.SaFlag]:
    """Give every set of the flags."""
    sets = [libc.SaFlag(0)]
    for flag in flags:
        sets += [chosen | flag for chosen in sets]
    return sets


@pytest.mark.parametrize(
    "flags",
    _combinations(libc.SA_NODEFER, libc.SA_RESETHAND, libc.SA_SIGINFO, libc.SA_RESTART, libc.SA_ONSTACK),
    ids=lambda flags: flags.name or "none",
)
@pytest.mark.parametrize("masked", ["own", "another"])
@pytest.mark.parametrize("how", ["alone", "changing"])
def test_masks_inside_and_after_a_handler_are_those_of_c(
    as_in_c: Callable[..., Told], flags: libc.SaFlag, masked: str, how: str
) -> None:
    words, _ = as_in_c(_mask, str(int(flags)), masked, how)
    assert [word for word in words if word.startswith(("before", "after"))] == ["before:1", "after:1", "after:1"]
    own = "" if flags & libc.SA_NODEFER and masked == "another" else ":10"
    assert words.count(f"inside:1{own}" if masked == "own" else f"inside:1{own}:12") == 2


def _sigsuspend(say: Say, which: str) -> None:
    def handler(signum: int) -> None:
        say("enter", signum)
        _say_mask(say, "inside")
        say("leave", signum)

    install(libc.SIGUSR1, handler, (libc.SIGHUP,))
    install(libc.SIGUSR2, handler)
    install(libc.SIGRTMIN, handler)
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


def _forking(say: Say, flag: str, where: str) -> None:
    forked = 0

    def other(signum: int) -> None:
        say("enter", signum)
        _say_mask(say, "inside")

    def handler(signum: int) -> None:
        nonlocal forked
        say("enter", signum)
        if forked:
            return
        forked = 1
        libc.raise_(libc.SIGUSR2)
        _say_mask(say, "before")
        pid = os.fork()
        if pid:
            say("ended", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
        say("parent" if pid else "child")
        _say_mask(say, "after")
        say("pending", libc.SIGUSR2 in libc.sigpending())
        libc.raise_(signum)
        libc.raise_(libc.SIGUSR2)
        say("leave", signum)
        if pid == 0:
            forked = 2

    def outer(signum: int) -> None:
        say("enter", signum)
        libc.raise_(libc.SIGUSR1)
        _say_mask(say, "returned")
        say("leave", signum)

    install(libc.SIGUSR1, handler, (libc.SIGUSR2,), libc.SA_NODEFER if flag == "nodefer" else 0)
    install(libc.SIGUSR2, other)
    install(libc.SIGTERM, outer, (libc.SIGHUP,))
    if where == "raise":
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGHUP})
        libc.raise_(libc.SIGUSR1)
    elif where == "nested":
        libc.raise_(libc.SIGTERM)
    else:
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
        libc.raise_(libc.SIGUSR1)
        libc.sigsuspend({libc.SIGTERM})
    _say_mask(say, "end")
    libc.raise_(libc.SIGUSR2)
    if forked == 2:
        os._exit(7)


@pytest.mark.parametrize("flag", ["defer", "nodefer"])
@pytest.mark.parametrize("where", ["raise", "sigsuspend", "nested"])
def test_after_a_fork_in_a_handler_child_and_parent_go_on_as_in_c(
    as_in_c: Callable[..., Told], flag: str, where: str
) -> None:
    words, _ = as_in_c(_forking, flag, where)
    assert "ended:7" in words
    ends = [word for word in words if word.startswith("end:") or word == "end"]
    assert ends == [{"raise": "end:1", "sigsuspend": "end:10", "nested": "end"}[where]] * 2
    assert [word for word in words if word.startswith("pending")] == ["pending:0", "pending:1"]


def _children(say: Say, flag: str, *folder: str) -> None:
    child, caught = 0, False

    def handler(signum: int, info: libc.Siginfo) -> None:
        nonlocal caught
        say("code", info.si_code)
        say("status", info.si_status or 0)
        say("ours", info.si_pid == child)
        caught = True

    def await_handler() -> None:
        nonlocal caught
        caught = False
        while not caught:
            libc.sigsuspend(())

    def reap() -> None:
        try:
            say("reaped", os.WCOREDUMP(os.waitpid(child, 0)[1]))
        except ChildProcessError as error:
            say("nobody", error.errno or 0)

    def start(signum: int) -> None:
        nonlocal child
        child = os.fork()
        if child == 0:
            libc.prctl(libc.PR_SET_PDEATHSIG, libc.SIGKILL)
            if signum == 0:
                os._exit(7)
            libc.raise_(signum)
            while True:
                libc.pause()

    def change(signum: int, options: int) -> None:
        if signum != libc.SIGSTOP:
            libc.kill(child, signum)
        if flag != "nocldstop":
            await_handler()
        say("changed", cast("os.waitid_result", os.waitid(os.P_PID, child, options)).si_code)

    if folder:
        resource.setrlimit(resource.RLIMIT_CORE, (65536, 65536))
        os.chdir(*folder)
    install(libc.SIGQUIT, libc.SIG_DFL)
    libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGCHLD})
    flags = {"none": 0, "nocldstop": libc.SA_NOCLDSTOP, "nocldwait": libc.SA_NOCLDWAIT}
    _install_siginfo(libc.SIGCHLD, handler, (), flags[flag])
    for signum in (0, libc.SIGTERM, libc.SIGQUIT) if folder else (0, libc.SIGTERM):
        start(signum)
        await_handler()
        reap()
    start(libc.SIGSTOP)
    change(libc.SIGSTOP, os.WSTOPPED)
    change(libc.SIGCONT, os.WCONTINUED)
    libc.kill(child, libc.SIGKILL)
    await_handler()
    reap()


@pytest.mark.parametrize("flag", ["none", "nocldstop", "nocldwait"])
@pytest.mark.parametrize("dumps", [False, True], ids=["no core", "core"])
def test_sigchld_tells_of_children_what_it_tells_in_c(
    as_in_c: Callable[..., Told], flag: str, dumps: bool, tmp_path: Path
) -> None:
    pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
    if dumps and re.search(r"[|/]", pattern):
        pytest.skip(f"core files do not go to the working folder: kernel.core_pattern is {pattern!r}")
    if dumps and 0 <= resource.getrlimit(resource.RLIMIT_CORE)[1] < 65536:
        pytest.skip("no core file can be made: RLIMIT_CORE is too low")
    words, _ = as_in_c(_children, flag, *[str(tmp_path)] * dumps)
    told = [tuple(int(word.split(":")[1]) for word in words[i : i + 2]) for i in _places("code", words)]
    assert told == [
        (libc.CLD_EXITED, 7),
        (libc.CLD_KILLED, libc.SIGTERM),
        *[(libc.CLD_DUMPED, libc.SIGQUIT)] * dumps,
        *[(libc.CLD_STOPPED, libc.SIGSTOP), (libc.CLD_CONTINUED, libc.SIGCONT)] * (flag != "nocldstop"),
        (libc.CLD_KILLED, libc.SIGKILL),
    ]
    assert words.count("ours:1") == len(told)
    assert words.count(f"nobody:{errno.ECHILD}") == (3 + dumps if flag == "nocldwait" else 0)
    assert words.count("reaped:1") == (dumps and flag != "nocldwait")


def _places(name: str, words: list[str]) -> list[int]:
    return [i for i, word in enumerate(words) if word.split(":")[0] == name]


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
            install(four[i], handler, mask, flags)

    def take_one() -> None:
        if pending := libc.sigpending():
            say("took", libc.sigwaitinfo(pending).si_signo - libc.SIGRTMIN)

    def suspend() -> None:
        if libc.sigpending():
            libc.sigsuspend(())
            say("suspended", blocked())

    def ignore_the_first() -> None:
        install(four[0], libc.SIG_IGN)
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
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_handlers_do_happens_as_in_c(
    as_in_c: Callable[..., Told], masks: list[int], nodefer: int, resethand: int, queued: str, script: str
) -> None:
    as_in_c(_script, *map(str, [*masks, nodefer, resethand]), queued, script, any_death=True)


def _interrupted(say: Say, name: str, source: str, progress: str, *flags: str) -> None:
    def handler(signum: int) -> None:
        say("handled", signum - libc.SIGRTMIN)
        os.write(int(progress), b"!")

    calls: dict[str, Callable[[], object]] = {
        "read": lambda: len(libc.read(int(source), 1)),
        "write": lambda: libc.write(int(source), b"x"),
        "msgrcv": lambda: len(libc.msgrcv(int(source), 8)[1]),
        "msgsnd": lambda: libc.msgsnd(int(source), 1, b"message\0"),
        "sigtimedwait": lambda: libc.sigtimedwait({libc.SIGUSR1}, 1000),
        "sigwaitinfo": lambda: libc.sigwaitinfo({libc.SIGUSR1}),
    }
    for i, flag in enumerate(flags):
        install(libc.SIGRTMIN + i, handler, (), libc.SA_RESTART if flag == "restart" else 0)
    libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
    os.write(int(progress), b"!")
    try:
        say("returned", cast("int | None", calls[name]()) or 0)
    except InterruptedError as error:
        say("error", error.errno or 0)


def _take(progress: int) -> None:
    assert select.select([progress], [], [], DEADLINE)[0], f"no progress within {DEADLINE} seconds"
    os.read(progress, 1)


def _interrupt(pid: int, progress: int, signals: int) -> None:
    """Send the signals, in one go, to a process that is about to make a call that blocks."""
    _take(progress)
    until_blocked(pid)
    if signals > 1:
        libc.kill(pid, libc.SIGSTOP)
        until(lambda: state(pid) == "T")
    for i in reversed(range(signals)):
        libc.sigqueue(pid, libc.SIGRTMIN + i)
    libc.kill(pid, libc.SIGCONT)
    for _ in range(signals):
        _take(progress)


@contextmanager
def _a_pipe(name: str) -> Iterator[tuple[int, Callable[[], object]]]:
    """Give the end that a read or a write blocks on, and what lets it go on."""
    read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if name == "read":
            os.set_blocking(read_end, True)
            yield read_end, lambda: os.write(write_end, b"x")
        else:
            os.write(write_end, bytes(fcntl(write_end, F_GETPIPE_SZ)))
            os.set_blocking(write_end, True)
            yield write_end, lambda: os.read(read_end, libc.PAGE_SIZE)
    finally:
        os.close(read_end)
        os.close(write_end)


@contextmanager
def _a_queue(name: str) -> Iterator[tuple[int, Callable[[], object]]]:
    """Give the queue that a msgrcv or a msgsnd blocks on, and what lets it go on."""
    queue = libc.msgget(libc.IPC_PRIVATE, libc.IPC_CREAT | 0o600)
    try:
        if name == "msgrcv":
            yield queue, lambda: libc.msgsnd(queue, 1, b"message\0")
        else:
            libc.msgctl(queue, libc.IPC_SET, replace(libc.msgctl(queue, libc.IPC_STAT), msg_qbytes=8))
            libc.msgsnd(queue, 1, b"message\0")
            yield queue, lambda: libc.msgrcv(queue, 8)
    finally:
        libc.msgctl(queue, libc.IPC_RMID)


@contextmanager
def _nothing(name: str) -> Iterator[tuple[int, Callable[[], object]]]:
    """Give nothing: no one lets it go on."""
    yield -1, int


MAKERS = {
    "read": _a_pipe,
    "write": _a_pipe,
    "msgrcv": _a_queue,
    "msgsnd": _a_queue,
    "sigtimedwait": _nothing,
    "sigwaitinfo": _nothing,
}
RESTARTABLE = {"read", "write"}  # by signal(7)


@pytest.mark.parametrize(
    "flags", [["none"], ["restart"], ["restart", "none"], ["none", "restart"], ["restart", "restart"]], ids="-".join
)
@pytest.mark.parametrize("name", MAKERS)
def test_a_call_is_interrupted_or_goes_on_as_in_c(
    program: Callable[[str], Path], fork: Fork, name: str, flags: list[str]
) -> None:
    # The signal that ends the call decides, which is the lowest number; its handler starts first and ends last.
    goes_on = name in RESTARTABLE and flags[0] == "restart"
    expected = [f"handled:{i}" for i in reversed(range(len(flags)))] + ["returned:1" if goes_on else "error:4"]
    for language in ("c", "python"):
        progress, says_progress = os.pipe()
        words, says = os.pipe()
        try:
            with MAKERS[name](name) as (source, release):
                arguments = [name, str(source), str(says_progress), *flags]
                if language == "c":
                    inherited = (says_progress, source) if name in RESTARTABLE else (says_progress,)
                    with subprocess.Popen(
                        [program("interrupted"), *arguments], stdout=says, env={}, pass_fds=inherited
                    ) as running:
                        try:
                            _interrupt(running.pid, progress, len(flags))
                            release()
                            assert running.wait(DEADLINE) == 0
                        finally:
                            running.kill()
                else:
                    child = fork(partial(_interrupted, _sayer(says), *arguments))
                    _interrupt(child.pid, progress, len(flags))
                    release()
                    child.result()
            assert os.read(words, 4096).decode().split() == expected, language
        finally:
            for fd in (progress, says_progress, words, says):
                os.close(fd)
