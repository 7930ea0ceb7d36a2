"""The command line as a program of its own: into a pipe, and on a terminal."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Protocol

import pytest
from typer.testing import CliRunner

from unixipc.cli.app import app
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from typer.testing import Result

    from unixipc.testing.plugin import Fork

_DECIDING = {"COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}


class Command(Protocol):
    """The type of the fixture `unixipc`."""

    def __call__(self, *arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
        """Run it with these arguments, and this as its input."""


class Invoke(Protocol):
    """The type of the fixture `invoke`."""

    def __call__(self, *arguments: str) -> Result:
        """Run it with these arguments in this process, which takes less time."""


class OnTerminal(Protocol):
    """The type of the fixture `on_terminal`."""

    def __call__(self, columns: int, *arguments: object) -> tuple[int | None, list[str]]:
        """Run it on a terminal of so many columns, and give its exit status and the lines without escape codes."""


def environment() -> dict[str, str]:
    """Give the environment without what decides how a terminal is taken."""
    return {name: value for name, value in os.environ.items() if name not in _DECIDING}


def command(*arguments: object) -> list[str]:
    """Give the program with these arguments."""
    return [sys.executable, "-m", "unixipc", *map(str, arguments)]


@pytest.fixture
def unixipc() -> Command:
    def run(*arguments: object, typed: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(*arguments),
            env=environment(), input=typed, capture_output=True, text=True, check=False, timeout=DEADLINE,
        )  # fmt: skip

    return run


@pytest.fixture
def invoke() -> Invoke:
    return lambda *arguments: CliRunner().invoke(app, arguments)


@pytest.fixture
def on_terminal(fork: Fork) -> OnTerminal:
    def run(columns: int, *arguments: object) -> tuple[int | None, list[str]]:
        master, slave = os.openpty()
        termios.tcsetwinsize(slave, (60, columns))

        def execute() -> None:
            os.login_tty(slave)
            os.execve(sys.executable, command(*arguments), environment() | {"TERM": "xterm-256color"})  # noqa: S606

        child = fork(execute)
        os.close(slave)
        written = b""
        while True:
            try:
                written += os.read(master, 65536)
            except OSError:  # EIO: the program has ended
                break
        os.close(master)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written.decode())
        return child.wait().returncode, [line.rstrip() for line in text.splitlines()]

    return run
