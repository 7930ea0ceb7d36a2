"""unixipc signals: programs in C and in Python that block, ignore and catch known signals."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc
from unixipc.testing import DEADLINE, parent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli_room.commands import Command, Invoke, OnTerminal

    from unixipc.testing.plugin import Fork

HUP, INT, PIPE, USR1, USR2, TERM = libc.SIGHUP, libc.SIGINT, libc.SIGPIPE, libc.SIGUSR1, libc.SIGUSR2, libc.SIGTERM
RT = libc.SIGRTMIN
NOBODY = 2**22 + 1  # more than pid_max can be

PROGRAM = """
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void caught(int signum) { (void)signum; }

int main(void)
{
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGHUP);
    sigaddset(&blocked, SIGTERM);
    sigaddset(&blocked, SIGRTMIN + 2);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGRTMIN + 5, SIG_IGN);
    signal(SIGUSR1, caught);
    signal(SIGRTMAX, caught);
    raise(SIGHUP);
    puts("ready");
    fflush(stdout);
    getchar();
    return 0;
}
"""


def document(unixipc: Command, pid: int) -> dict[str, Any]:
    done = unixipc("signals", "--json", pid)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert isinstance(found, dict)
    return found


def numbers(found: dict[str, Any], what: str) -> set[int]:
    return {row["number"] for row in found["signals"] if row[what]}


def clean() -> None:
    """Let a program start with nothing blocked, ignored or caught, whatever the test runner does."""
    for signum in libc.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}:
        libc.sigaction(signum, libc.Sigaction(libc.SIG_DFL))
    libc.sigprocmask(libc.SIG_SETMASK, ())


@contextmanager
def running(command: list[Any]) -> Iterator[int]:
    """Run a program that says when it is ready, and ends with its input."""
    starting = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=clean)  # noqa: PLW1509
    with starting as program:
        assert program.stdin is not None
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        yield program.pid
        program.stdin.close()
        assert program.wait(DEADLINE) == 0


@pytest.fixture(scope="session")
def c_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("there is no gcc to compile the C program with")
    folder = tmp_path_factory.mktemp("program")
    (folder / "program.c").write_text(PROGRAM)
    subprocess.run(
        [gcc, "-D_GNU_SOURCE", "-Wall", "-Werror", "-o", folder / "program", folder / "program.c"], check=True
    )
    return folder / "program"


def test_a_c_program_shows_exactly_what_it_blocks_ignores_and_catches(unixipc: Command, c_program: Path) -> None:
    with running([c_program]) as pid:
        found = document(unixipc, pid)
        lines = unixipc("signals", pid).stdout.splitlines()
    assert (found["pid"], found["name"]) == (pid, "program")
    assert numbers(found, "blocked") == {HUP, TERM, RT + 2}
    assert numbers(found, "ignored") == {PIPE, RT + 5}
    assert numbers(found, "caught") == {USR1, libc.SIGRTMAX}
    assert numbers(found, "pending") == {HUP}
    assert (found["ignored"], found["caught"]) == (["SIGPIPE", "SIGRTMIN+5"], ["SIGUSR1", "SIGRTMIN+30"])
    (thread,) = found["threads"]
    assert thread["blocked"] == ["SIGHUP", "SIGTERM", "SIGRTMIN+2"]
    assert [row["name"] for row in found["signals"]] == [libc.signal_name(signum) for signum in libc.SignalSet.full()]
    (hangup,) = (line for line in lines if "SIGHUP" in line)
    assert hangup.startswith(
        "     1  SIGHUP       yes      yes                       Term            Hangup detected on"
    )
    assert [int(line.split()[0]) for line in lines[1:]] == [*range(1, 32), RT + 2, RT + 5, libc.SIGRTMAX]


def test_a_python_program_shows_exactly_what_it_blocks_ignores_and_catches(unixipc: Command) -> None:
    code = (
        "import signal, sys\n"
        "signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGUSR2, signal.SIGTERM})\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "signal.signal(signal.SIGUSR1, print)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    with running([sys.executable, "-c", code]) as pid:
        found = document(unixipc, pid)
    assert numbers(found, "blocked") == {USR2, TERM}
    assert numbers(found, "ignored") == {HUP, PIPE, libc.SIGXFSZ}  # the last two are ignored by every Python
    assert numbers(found, "caught") == {INT, USR1}
    assert numbers(found, "pending") == set()


def threaded() -> None:
    """Block a signal in one thread of two, and let another wait for that thread alone."""
    ready, done = threading.Event(), threading.Event()

    def block() -> None:
        libc.pthread_sigmask(libc.SIG_BLOCK, {USR1, USR2})
        libc.tgkill(os.getpid(), threading.get_native_id(), USR2)
        ready.set()
        done.wait()

    thread = threading.Thread(target=block)
    thread.start()
    ready.wait()
    parent().tell(str(thread.native_id))
    parent().says("enough")
    libc.sigaction(USR2, libc.Sigaction(libc.SIG_IGN))
    done.set()
    thread.join()


def test_each_thread_is_told_with_what_it_blocks_and_what_waits_for_it(unixipc: Command, fork: Fork) -> None:
    child = fork(threaded)
    tid = int(child.hear())
    lines = unixipc("signals", "--threads", child.pid).stdout.splitlines()
    found = document(unixipc, child.pid)
    child.tell("enough")
    child.result()
    rows = {line.split()[1]: line.split() for line in lines if "SIGUSR" in line}
    assert rows["SIGUSR1"][2:5] == ["1", "of", "2"]
    assert rows["SIGUSR2"][2:8] == ["1", "of", "2", "1", "of", "2"]
    assert lines[-3].split() == ["thread", "name", "pending", "blocked"]
    assert lines[-1].split()[0] == str(tid)
    assert lines[-1].split()[-3:] == ["SIGUSR2", "SIGUSR1", "SIGUSR2"]
    assert [(one["tid"], one["pending"]) for one in found["threads"]] == [(child.pid, []), (tid, ["SIGUSR2"])]


def test_what_blocks_nearly_all_is_told_by_what_it_lets_through(unixipc: Command, fork: Fork) -> None:
    def block() -> None:
        libc.sigprocmask(libc.SIG_SETMASK, libc.SignalSet.full() - {USR1})
        parent().tell("ready")
        parent().says("enough")

    child = fork(block)
    child.says("ready")
    last = unixipc("signals", "--threads", child.pid).stdout.splitlines()[-1]
    child.tell("enough")
    child.result()
    assert last.endswith("  all but SIGUSR1")


def test_all_signals_are_shown_on_demand(unixipc: Command) -> None:
    lines = unixipc("signals", "--all", os.getpid()).stdout.splitlines()
    assert [int(line.split()[0]) for line in lines[1:]] == list(libc.SignalSet.full())


def test_a_process_that_is_not_there_is_an_error_in_one_line(unixipc: Command) -> None:
    done = unixipc("signals", NOBODY)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"unixipc signals: state\(\d+\): No such process: .*\n", done.stderr)


@pytest.mark.parametrize("argument", ["0", "--", "four", str(2**31)])
def test_what_is_no_process_is_an_error_of_usage(invoke: Invoke, argument: str) -> None:
    assert invoke("signals", argument).exit_code == 2


def test_the_name_of_a_process_cannot_command_the_terminal(unixipc: Command, fork: Fork) -> None:
    def wait() -> None:
        with open("/proc/self/comm", "w") as comm:  # noqa: PTH123
            comm.write("\x1b[31mred\n")
        parent().tell("ready")
        parent().says("enough")

    child = fork(wait)
    child.says("ready")
    shown = unixipc("signals", "--threads", child.pid).stdout
    child.tell("enough")
    child.result()
    assert "\\x1b[31mred" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize("columns", [80, 140])
def test_a_terminal_gets_a_table_that_fits(on_terminal: OnTerminal, columns: int) -> None:
    status, lines = on_terminal(columns, "signals", "--threads", os.getpid())
    assert status == 0
    assert max(map(len, lines)) <= columns
    assert any(re.search("─{50,}", line) for line in lines)
    assert str(os.getpid()) in lines[0]
    assert ("Quit from keyboard" in "".join(lines)) == (columns == 140)
    assert sum(" SIG" in line for line in lines) >= 31


def test_what_is_neither_ignored_nor_caught_has_its_default_action(unixipc: Command, fork: Fork) -> None:
    def pause() -> None:
        parent().tell("ready")
        signal.pause()

    child = fork(pause)
    child.says("ready")
    found = document(unixipc, child.pid)
    (row,) = (row for row in found["signals"] if row["number"] == libc.SIGVTALRM)
    assert (row["caught"], row["ignored"], row["blocked"], row["default_action"]) == (False, False, False, "Term")
    child.kill(libc.SIGVTALRM)
    assert child.wait().signal == libc.SIGVTALRM
