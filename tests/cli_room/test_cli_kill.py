"""unixipc kill: signals by name and number, with values, with SIGKILL behind them; and the list of them."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from unixipc import libc
from unixipc.cli import killing
from unixipc.testing import DEADLINE, parent

if TYPE_CHECKING:
    from cli_room.commands import Command, Invoke

    from unixipc.testing.plugin import Fork

RT = libc.SIGRTMIN + 3
NOBODY = 2**22 + 1  # more than pid_max can be


def receive() -> tuple[int, int, int, int | None]:
    """Wait for a signal, and tell of it what its siginfo has."""
    libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())
    parent().tell("ready")
    info = libc.sigwaitinfo(libc.SignalSet.full())
    return info.si_signo, info.si_code, info.si_uid or 0, info.si_value


def ignore() -> None:
    libc.sigaction(libc.SIGTERM, libc.Sigaction(libc.SIG_IGN))
    parent().tell("ready")
    while True:
        signal.pause()


@pytest.mark.parametrize(
    ("arguments", "signum"),
    [
        ([], libc.SIGTERM),
        (["-s", "USR1"], libc.SIGUSR1),
        (["--signal", "SIGUSR1"], libc.SIGUSR1),
        (["-s", "10"], libc.SIGUSR1),
        (["-s", "rtmin+3"], RT),
        (["-RTMIN+3"], RT),
        (["-HUP"], libc.SIGHUP),
        (["-1"], libc.SIGHUP),
        (["-SIGHUP"], libc.SIGHUP),
    ],
)
def test_a_signal_is_named_in_every_way(unixipc: Command, fork: Fork, arguments: list[str], signum: int) -> None:
    child = fork(receive)
    child.says("ready")
    done = unixipc("kill", *arguments, child.pid)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert child.result() == (signum, libc.SI_USER, os.getuid(), None)


@pytest.mark.parametrize("value", [42, 0, -1, 2**31 - 1, -(2**31)])
def test_a_value_arrives_in_the_siginfo(unixipc: Command, fork: Fork, value: int) -> None:
    child = fork(receive)
    child.says("ready")
    assert unixipc("kill", "-s", "RTMIN+3", "--value", value, child.pid).returncode == 0
    assert child.result() == (RT, libc.SI_QUEUE, os.getuid(), value)


def test_all_processes_get_the_signal(unixipc: Command, fork: Fork) -> None:
    children = [fork(receive) for _ in range(3)]
    for child in children:
        child.says("ready")
    assert unixipc("kill", *(child.pid for child in children)).returncode == 0
    assert [child.result()[0] for child in children] == [libc.SIGTERM] * 3


def test_who_ends_in_time_gets_no_sigkill(unixipc: Command, fork: Fork) -> None:
    child = fork(signal.pause)
    done = unixipc("kill", "--timeout", DEADLINE, child.pid)
    assert (done.returncode, done.stderr) == (0, "")
    assert child.wait().signal == libc.SIGTERM


def test_who_does_not_end_in_time_gets_sigkill_and_it_is_said(unixipc: Command, fork: Fork) -> None:
    stubborn, obedient = fork(ignore), fork(signal.pause)
    stubborn.says("ready")
    done = unixipc("kill", "--timeout", "2", stubborn.pid, obedient.pid)  # in which the other has ended
    assert done.returncode == 0
    assert done.stderr == f"unixipc kill: process {stubborn.pid} has not ended within 2 seconds: it gets SIGKILL\n"
    assert stubborn.wait().signal == libc.SIGKILL
    assert obedient.wait().signal == libc.SIGTERM


def test_a_pid_that_was_used_again_meanwhile_is_not_hit(fork: Fork, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends after its pidfd was opened: the signal finds nobody, whoever has the number then."""
    child, bystander = fork(signal.pause), fork(receive)
    bystander.says("ready")
    target = killing._Target(child.pid)
    child.kill()
    child.wait()
    target.pid = bystander.pid  # as if the number had come to it
    assert not killing._send(target, libc.SIGTERM, None)
    assert not killing._send(target, libc.SIGTERM, 5)
    target.close()
    libc.kill(bystander.pid, libc.SIGUSR1)
    assert bystander.result()[0] == libc.SIGUSR1, "it got nothing before"


def test_the_exit_status_tells_whether_all_or_some_or_none_were_reached(unixipc: Command, fork: Fork) -> None:
    child = fork(receive)
    child.says("ready")
    some = unixipc("kill", child.pid, NOBODY)
    assert some.returncode == 64
    assert re.fullmatch(rf"unixipc kill: process {NOBODY}: .*No such process.*\n", some.stderr)
    assert child.result()[0] == libc.SIGTERM
    assert unixipc("kill", NOBODY).returncode == 1


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_missing_rights_are_told_and_nothing_is_sent(fork: Fork, capfd: pytest.CaptureFixture[str]) -> None:
    child = fork(receive)
    child.says("ready")

    def kill_as_nobody() -> int:
        os.setuid(65534)
        return killing._kill([child.pid], libc.SIGTERM, None, None)

    assert fork(kill_as_nobody).result() == 0
    assert re.fullmatch(rf"unixipc kill: process {child.pid}: .*Operation not permitted.*\n", capfd.readouterr().err)
    libc.kill(child.pid, libc.SIGUSR1)
    assert child.result()[0] == libc.SIGUSR1, "it got nothing before"


def test_signal_0_asks_only_whether_the_process_is_there(unixipc: Command) -> None:
    assert unixipc("kill", "-s", "0", os.getpid()).returncode == 0
    assert unixipc("kill", "-0", NOBODY).returncode == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["-9"],
        ["0"],
        ["--", "-5"],
        ["1x"],
        ["٣"],
        [str(2**31)],
        ["9" * 5000],
        ["-s", "NOTHING", "1"],
        ["-s", "65", "1"],
        ["--value", str(2**31), "1"],
        ["--timeout", "-1", "1"],
        ["--timeout", "nan", "1"],
    ],
)
def test_what_makes_no_sense_is_an_error_of_usage_and_nothing_is_sent(invoke: Invoke, arguments: list[str]) -> None:
    done = invoke("kill", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr


# -- the list --


def test_the_list_has_every_signal(unixipc: Command) -> None:
    heading, *lines = unixipc("kill", "-l").stdout.splitlines()
    assert heading.split() == ["number", "name", "default", "action", "meaning"]
    found = {int(line.split()[0]): line.split()[1] for line in lines}
    assert found == {int(signum): libc.signal_name(signum) for signum in libc.SignalSet.full()}


def test_names_numbers_and_exit_statuses_are_translated_as_by_the_shell(unixipc: Command) -> None:
    if shutil.which("bash") is None:
        pytest.skip("there is no bash to compare with")
    wanted = ["TERM", "sigkill", "15", "143", "137", str(RT), str(128 + RT), "RTMIN+3"]
    done = unixipc("kill", "--list", *wanted)
    assert (done.returncode, done.stderr) == (0, "")
    shell = subprocess.run(
        ["bash", "-c", 'for one in "$@"; do kill -l "$one"; done', "-", *wanted],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == shell.stdout


def test_the_list_is_json_for_programs(unixipc: Command) -> None:
    assert json.loads(unixipc("kill", "-l", "--json", "ABRT").stdout) == [
        {
            "number": 6,
            "name": "SIGABRT",
            "aliases": ["SIGIOT"],
            "default_action": "Core",
            "meaning": "Abort signal from abort(3)",
        }
    ]
    assert len(json.loads(unixipc("kill", "-l", "--json").stdout)) == len(libc.SignalSet.full())


@pytest.mark.parametrize("text", ["NOTHING", "0", "32", "65", "128", "160", "999", "9" * 5000])
def test_what_is_no_signal_is_not_translated(invoke: Invoke, text: str) -> None:
    done = invoke("kill", "-l", text)
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr.startswith("unixipc kill: ")
    assert done.stderr.count("\n") == 1
