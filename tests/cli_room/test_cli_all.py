"""What all commands have: help with an example, and completion in the shell."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from unixipc.cli import output
from unixipc.cli.app import app
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from cli_room.commands import Command

COMMANDS = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
MAIN = "import sys; from unixipc.__main__ import main; sys.argv = ['unixipc']; main()"


def complete(line: str) -> list[str]:
    """Give what bash would offer for the last word."""
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1), "_UNIXIPC_COMPLETE": "complete_bash"}
    done = subprocess.run(
        [sys.executable, "-c", MAIN],
        env=os.environ | words, capture_output=True, text=True, check=False, timeout=DEADLINE,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("number", "text"),
    [(None, ""), (0, "0"), (1023, "1023"), (1024, "1K"), (1536, "1.5K"), (65535, "64K"), (2**20, "1M"), (2**64, "16E")],
)
def test_a_terminal_gets_bytes_in_short(number: int | None, text: str) -> None:
    assert output._shortened(number) == text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example_and_fits(unixipc: Command, command: str) -> None:
    done = unixipc(command, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"Examples?: unixipc {command} ", done.stdout)
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


def test_the_shell_completes_commands_and_options_and_signals() -> None:
    assert set(COMMANDS) <= set(complete("unixipc "))
    assert complete("unixipc sig") == ["signals"]
    assert complete("unixipc signals --th") == ["--threads"]
    assert complete("unixipc top -k posix-m") == ["posix-mq"]
    assert complete("unixipc plot --o") == ["--output"]
    assert complete("unixipc kill -s US") == ["USR1", "USR2"]
    assert complete("unixipc kill -s sigk") == ["sigkill"]
    assert complete("unixipc kill -s SIGK") == ["SIGKILL"]
    assert "RTMIN+3" in complete("unixipc kill --signal RT")
