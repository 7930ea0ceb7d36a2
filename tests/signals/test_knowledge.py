"""unixipc.signals.knowledge: held against the kernel, the shell and the standard library."""

from __future__ import annotations

import errno
import os
import re
import resource
import shutil
import signal
import subprocess
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc, signals
from unixipc.signals import DefaultAction

if TYPE_CHECKING:
    from unixipc.testing.plugin import Fork

CORE_LIMIT = 65536
EVERY = signals.descriptions()

# -- what the kernel does --


def _meet(signum: int, core_limit: int, folder: Path) -> None:
    """Leave a signal at its default, and send it to oneself."""
    os.setpgid(0, 0)  # its parent is in another group of the session: otherwise no signal of a terminal would stop it
    os.chdir(folder)
    resource.setrlimit(resource.RLIMIT_CORE, (core_limit, core_limit))
    if signum not in {libc.SIGKILL, libc.SIGSTOP}:
        libc.sigaction(signum, libc.Sigaction(libc.SIG_DFL))
    libc.raise_(signum)


def _why_no_core_file() -> str | None:
    if re.search(r"[|/]", pattern := Path("/proc/sys/kernel/core_pattern").read_text().strip()):
        return f"core files do not go to the working folder: kernel.core_pattern is {pattern!r}"
    if 0 <= resource.getrlimit(resource.RLIMIT_CORE)[1] < CORE_LIMIT:
        return "no core file can be made: RLIMIT_CORE is too low"
    return None


@pytest.mark.parametrize("described", EVERY, ids=lambda d: d.name)
def test_the_default_action_is_the_kernel_s(fork: Fork, described: signals.Description, tmp_path: Path) -> None:
    dumps = described.default_action == DefaultAction.CORE
    if dumps and (why := _why_no_core_file()):
        pytest.skip(why)
    child = fork(_meet, described.number, CORE_LIMIT if dumps else 1, tmp_path)
    change = os.waitid(os.P_PID, child.pid, os.WEXITED | os.WSTOPPED | os.WNOWAIT)
    assert change is not None
    assert (change.si_code, change.si_status) == {
        DefaultAction.TERM: (libc.CLD_KILLED, described.number),
        DefaultAction.CORE: (libc.CLD_DUMPED, described.number),
        DefaultAction.STOP: (libc.CLD_STOPPED, described.number),
        DefaultAction.IGN: (libc.CLD_EXITED, 0),
        DefaultAction.CONT: (libc.CLD_EXITED, 0),
    }[described.default_action]
    child.kill()
    assert child.wait().ended


@pytest.mark.parametrize("described", [d for d in EVERY if d.number != libc.SIGKILL], ids=lambda d: d.name)
def test_a_stopped_process_goes_on_by_what_continues_and_by_nothing_else(
    fork: Fork, described: signals.Description, tmp_path: Path
) -> None:
    child = fork(_meet, libc.SIGSTOP, 1, tmp_path)
    os.waitid(os.P_PID, child.pid, os.WSTOPPED)
    child.kill(described.number)
    continues = described.default_action == DefaultAction.CONT
    # What goes on may have ended already, or be about to: then neither is to be seen for a moment.
    patience = 0 if continues else os.WNOHANG
    change = os.waitid(os.P_PID, child.pid, os.WCONTINUED | os.WEXITED | os.WNOWAIT | patience)
    assert (change is not None) == continues


# -- names and numbers --


def test_every_signal_that_a_program_may_use_is_described_once() -> None:
    assert [described.number for described in EVERY] == list(libc.SignalSet.full())
    names = [name for described in EVERY for name in (described.name, *described.aliases)]
    assert len(set(names)) == len(names)
    assert all(described.description for described in EVERY)
    for described in EVERY:
        assert signals.describe(described.number) is described
        assert signals.name(described.number) == described.name


def test_names_are_those_of_kill_l() -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("there is no bash to ask")
    told = subprocess.run([bash, "-c", "kill -l"], capture_output=True, text=True, check=True).stdout
    listed = {int(number): name for number, name in re.findall(r"(\d+)\) (\S+)", told)}
    assert listed.keys() == {described.number for described in EVERY}
    for described in EVERY:
        assert listed[described.number] in {described.name, *described.aliases}
        assert signals.number(listed[described.number]) == described.number


def test_names_and_numbers_are_those_of_the_standard_library() -> None:
    for name, member in signal.Signals.__members__.items():
        assert signals.number(name) == member
    for described in EVERY:
        told = signal.strsignal(described.number)
        assert told is not None
        if described.number >= libc.SIGRTMIN:
            assert told == described.description


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("SIGTERM", libc.SIGTERM),
        ("TERM", libc.SIGTERM),
        ("term", libc.SIGTERM),
        ("sigTerm", libc.SIGTERM),
        ("15", libc.SIGTERM),
        ("IOT", libc.SIGABRT),
        ("SIGCLD", libc.SIGCHLD),
        ("SIGPOLL", libc.SIGIO),
        ("SIGRTMIN", libc.SIGRTMIN),
        ("RTMAX", libc.SIGRTMAX),
        ("SIGRTMIN+3", libc.SIGRTMIN + 3),
        ("rtmin+3", libc.SIGRTMIN + 3),
        ("SIGRTMAX-1", libc.SIGRTMAX - 1),
        ("RTMIN+0", libc.SIGRTMIN),
        ("RTMAX-0", libc.SIGRTMAX),
        (f"RTMIN+{libc.SIGRTMAX - libc.SIGRTMIN}", libc.SIGRTMAX),
        (f"RTMAX-{libc.SIGRTMAX - libc.SIGRTMIN}", libc.SIGRTMIN),
        (str(libc.SIGRTMAX), libc.SIGRTMAX),
    ],
)
def test_a_signal_is_found_under_each_of_its_names(name: str, number: int) -> None:
    assert signals.number(name) == number


def test_numbers_print_their_names_where_they_have_one() -> None:
    assert isinstance(signals.number("15"), libc.Signal)
    assert isinstance(signals.describe(15).number, libc.Signal)
    assert type(signals.number("SIGRTMIN+3")) is int


@pytest.mark.parametrize(
    "name",
    [
        *("", "SIG", "SIGNOTHING", "SIG15", "SIGSIGTERM", " 15", "TERM ", "TERM\0"),
        *("0", "32", "33", "65", "-15", "+15", "015", "1_5", "9" * 5000),
        *("RTMIN-1", "RTMAX+1", "RTMIN+31", "RTMIN+", "RTMIN + 1", "RTMIN+03"),
        *(
            "\N{LATIN SMALL LETTER LONG S}IGTERM",
            "SIGTER\N{FULLWIDTH LATIN SMALL LETTER M}",
            "1\N{FULLWIDTH DIGIT FIVE}",
        ),
    ],
)
def test_what_names_no_signal_is_a_value_error_that_tells_what_does(name: str) -> None:
    with pytest.raises(ValueError, match=r"no signal is called .* give a name, SIGTERM or TERM; SIGRTMIN\+n"):
        signals.number(name)


@pytest.mark.parametrize(
    ("name", "meant"), [("TREM", "SIGTERM"), ("SIGUSER1", "SIGUSR1"), ("hupp", "SIGHUP"), ("rtmin3", "SIGRTMIN+3")]
)
def test_a_slip_of_the_pen_is_answered_with_the_name_that_was_meant(name: str, meant: str) -> None:
    with pytest.raises(ValueError, match=rf"no signal is called {name!r} \(did you mean {re.escape(meant)}\?\)"):
        signals.number(name)


@pytest.mark.parametrize("signum", [0, -1, 32, 33, 65, 2**31, 10**30])
def test_a_number_that_is_no_signal_is_einval(signum: int) -> None:
    for call in (signals.name, signals.describe):
        with pytest.raises(OSError, match=rf"{call.__name__}\({signum}\): Invalid argument: ") as caught:
            call(signum)
        assert caught.value.errno == errno.EINVAL


def test_a_wrong_type_is_a_type_error() -> None:
    wrong: Any
    for wrong in (15, b"TERM", None, libc.SIGTERM):
        with pytest.raises(TypeError, match="the name of a signal is a str"):
            signals.number(wrong)
    for wrong in ("SIGTERM", 15.0, None):
        for call in (signals.name, signals.describe):
            with pytest.raises(TypeError):
                call(wrong)


def test_a_description_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        signals.describe(libc.SIGTERM).name = "SIGKILL"  # type: ignore[misc]


def test_default_actions_are_written_as_in_signal_7() -> None:
    assert str(signals.describe(libc.SIGQUIT).default_action) == "Core"
