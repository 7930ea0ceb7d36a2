"""unixipc kill: signals to processes, each by a pidfd."""

import math
import os
import re
import select
from contextlib import ExitStack
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from unixipc import libc
from unixipc._check import Deadline
from unixipc.cli.output import Column, complain, show, show_json
from unixipc.signals import describe, descriptions, name, number, queue, send

_PARTLY = 64
"""The exit status of kill(1) when some were sent, and some not."""

_ENDING = 5.0  # seconds that a process has at least to end by SIGKILL: it may have much memory to give back
_LONGEST_POLL = 1e6  # seconds: poll(2) counts milliseconds in an int
_COLUMNS = (Column("number", right=True), Column("name"), Column("default action"), Column("meaning"))


class KillCommand(TyperCommand):
    """Takes the signal also as kill(1) does, before all else: `-9`, `-TERM`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Make an option of a signal that stands first."""
        if args and args[0].startswith("-") and _is_signal(args[0][1:]):
            args = ["--signal", args[0][1:], *args[1:]]
        return super().parse_args(ctx, args)


class _Target:
    """A process by its pidfd, which never means another one, though the number be used again."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._fd = libc.pidfd_open(pid)

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        os.close(self._fd)


def _is_signal(text: str) -> bool:
    try:
        _number(text)
    except ValueError:
        return False
    return True


def _number(text: str) -> int:
    return 0 if text == "0" else number(text)  # which asks only whether the process is there


def _complete(incomplete: str) -> list[tuple[str, str]]:
    """Offer names as they were begun: with SIG or without, in capitals or not."""
    begun = incomplete.upper()
    names = [(item.name if begun.startswith("S") else item.name[3:], item.description) for item in descriptions()]
    shown = str.lower if incomplete.islower() else str
    return [(shown(text), meaning) for text, meaning in names if text.startswith(begun)]


def kill(
    targets: Annotated[
        list[str] | None,
        typer.Argument(metavar="PID", help="The processes; with --list, what to translate.", show_default=False),
    ] = None,
    *,
    signal: Annotated[
        str,
        typer.Option("--signal", "-s", metavar="SIGNAL", help="TERM, SIGTERM, 15, RTMIN+3.", autocompletion=_complete),
    ] = "TERM",
    value: Annotated[
        int | None,
        typer.Option(
            "--value",
            "-q",
            help="Queue the signal with this number, for siginfo (sigqueue(3)).",
            min=-(2**31),
            max=2**31 - 1,
            show_default=False,
        ),
    ] = None,
    timeout: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Wait so long for their end, and then send SIGKILL.", show_default=False),
    ] = None,
    listing: Annotated[
        bool,
        typer.Option("--list", "-l", help="List all signals, or translate names, numbers and exit statuses."),
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="With --list: print JSON, for programs.")] = False,
) -> None:
    """Send a signal to processes; the signal can also stand first, as in `kill -9 PID`.

    Each process is held by a pidfd before the first signal is sent: what comes later, SIGKILL too, goes to that process
    or to none. The exit status is that of kill(1): 0 when all were sent, 1 when none was, 64 when some were not; 2 for
    a command line that makes no sense. With --timeout, a process that is there still after SIGKILL counts as failed.

    Examples: `unixipc kill -s RTMIN+3 --value 42 1234`, `unixipc kill --timeout 5 1234 1235`, `unixipc kill -l 143`
    """
    if listing:
        _list(targets or [], json=json)
        return
    if not targets:
        raise typer.BadParameter("give at least one process", param_hint="PID")
    try:
        signum = _number(signal)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--signal") from None
    if timeout is not None and not timeout >= 0:
        raise typer.BadParameter("it is a number of seconds from 0 up", param_hint="--timeout")
    pids = [_pid(text) for text in targets]
    done = _kill(pids, signum, value, timeout)
    if done < len(pids):
        raise typer.Exit(_PARTLY if done else 1)


def _pid(text: str) -> int:
    if not re.fullmatch("[0-9]{1,10}", text) or not 0 < int(text) < 2**31:
        raise typer.BadParameter(f"{text!r} is not the number of a process", param_hint="PID")
    return int(text)


def _kill(pids: list[int], signum: int, value: int | None, timeout: float | None) -> int:
    """Do it, and tell for how many it went well."""
    with ExitStack() as stack:
        targets = []
        for pid in pids:
            try:
                targets.append(target := _Target(pid))
            except OSError as error:
                _complain(pid, error)
            else:
                stack.callback(target.close)
        reached = [target for target in targets if _send(target, signum, value)]
        return len(reached) - (0 if timeout is None else _end(reached, timeout))


def _end(targets: list[_Target], timeout: float) -> int:
    """Wait for their end, and then kill them; tell how many there are still."""
    left = _await_end(targets, timeout)
    for target in left:
        complain("kill", f"process {target.pid} has not ended within {timeout:g} seconds: it gets SIGKILL")
        try:
            send(target, libc.SIGKILL)
        except ProcessLookupError:
            pass  # it has ended meanwhile
        except OSError as error:
            _complain(target.pid, error)
    left = _await_end(left, max(timeout, _ENDING))
    for target in left:
        complain("kill", f"process {target.pid} has not ended")
    return len(left)


def _send(target: _Target, signum: int, value: int | None) -> bool:
    try:
        if value is None:
            send(target, signum)
        else:
            queue(target, signum, value)
    except OSError as error:
        _complain(target.pid, error)
        return False
    return True


def _complain(pid: int, error: OSError) -> None:
    complain("kill", f"process {pid}: {error.strerror}")


def _await_end(targets: list[_Target], timeout: float) -> list[_Target]:
    """Wait until all have ended, and give those that have not when the time is over."""
    deadline = Deadline(timeout)
    waiting = {target.fileno(): target for target in targets}
    poll = select.poll()
    for fd in waiting:
        poll.register(fd, select.POLLIN)
    while waiting:
        left = deadline.left()
        ready = poll.poll(math.ceil(1000 * min(_LONGEST_POLL if left is None else left, _LONGEST_POLL)))
        for fd, _ in ready:
            poll.unregister(fd)
            del waiting[fd]
        if not ready and left == 0:
            break
    return list(waiting.values())


def _list(wanted: list[str], *, json: bool) -> None:
    try:
        items = [describe(_translated(text)) for text in wanted] if wanted else list(descriptions())
    except (OSError, ValueError) as error:
        complain("kill", error if isinstance(error, OSError) else str(error))
        raise typer.Exit(1) from None
    if json:
        show_json(
            [
                {
                    "number": item.number,
                    "name": item.name,
                    "aliases": list(item.aliases),
                    "default_action": item.default_action,
                    "meaning": item.description,
                }
                for item in items
            ]
        )
    elif wanted:
        for text, item in zip(wanted, items, strict=True):
            print(item.name.removeprefix("SIG") if text.isdecimal() else item.number)
    else:
        show(_COLUMNS, [(str(item.number), name(item.number), item.default_action, item.description) for item in items])


def _translated(text: str) -> int:
    """Give the number of a signal that is named, numbered, or part of a shell's exit status (128 more)."""
    return int(text) - 128 if text.isdecimal() and int(text) > 128 else number(text)
