"""unixipc top: IPC objects again and again, and what happens in them."""

import os
import select
import sys
import termios
import time
import tty
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated, Self

import typer
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from unixipc import libc
from unixipc._check import Deadline
from unixipc.cli import objects, recording, sampling
from unixipc.cli.interruption import STOPPING, Interrupted
from unixipc.cli.objects import Kind
from unixipc.cli.output import Cell, Column, complain, printable, show_plain, table
from unixipc.cli.sampling import Change, Moment, Sample
from unixipc.signals import SignalFile, blocked

_SHORTEST, _LONGEST = 0.1, 86400.0  # seconds between two looks
_ABOVE = 3  # lines of a frame that are no rows: the title, the headings, and the line below these
_COLUMNS = (
    Column("kind"),
    Column("id or name"),
    Column("size", right=True),
    Column("holds"),
    Column("change/s", right=True),
    Column("waiting", right=True),
    Column("used", right=True),
    Column("owner", minor=True),
    Column("last users", minor=True),
)


class _View:
    """Where frames go; its with-block ends when there will be no more."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def show(self, before: Moment | None, now: Moment) -> None:
        """Show a frame."""
        raise NotImplementedError

    def wait(self, seconds: float) -> None:
        """Let so many seconds pass; Interrupted or KeyboardInterrupt, if somebody wants no more."""
        time.sleep(seconds)


def _seconds(interval: str) -> float:
    try:
        seconds = objects.duration(interval)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--interval") from None
    if not _SHORTEST <= seconds <= _LONGEST:
        raise typer.BadParameter("it is from 0.1 seconds to a day", param_hint="--interval")
    return seconds


def top(
    *,
    kinds: Annotated[
        list[Kind] | None, typer.Option("--kind", "-k", help="Only this kind; it can be given several times.")
    ] = None,
    interval: Annotated[
        str, typer.Option("--interval", "-i", metavar="TIME", help="The time between two looks: 0.5, 10s, 5m.")
    ] = "2s",
    count: Annotated[
        int | None, typer.Option("--count", "-n", metavar="N", help="End after so many looks.", min=1)
    ] = None,
    record: Annotated[
        str | None, typer.Option(metavar="FILE", help="Append what was seen to this file, for `unixipc plot`.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print a line of JSON for each look, for programs.")] = False,
) -> None:
    """Watch what is in IPC objects, what changes and who waits; what changes most stands first.

    The change is that of the messages in a queue, of the values of semaphores, of attachments or of bytes, each second:
    the kernel does not count what was sent and received, and as many of both change nothing. What has changed since
    the look before is bold. Waiting are those that the kernel counts: for System V semaphores. Memfds, FIFOs and
    sockets are watched if asked for. On a terminal, q or Ctrl-C leaves; into a pipe go frames of plain text.

    Examples: `unixipc top --kind sysv-msg`, `unixipc top -i 10 --record load.jsonl`, `unixipc top --count 2 | cat`
    """
    seconds = _seconds(interval)
    watched = frozenset(kinds) if kinds else sampling.USUAL
    console = Console(highlight=False)
    view: _View
    if json:
        view = _Json()
    elif sys.stdout.isatty() and not console.is_dumb_terminal:
        view = _Screen(console, seconds)
    else:
        view = _Plain()
    try:
        with ExitStack() as stack:
            recorder = None if record is None else stack.enter_context(recording.Recorder(record))
            stack.enter_context(view)
            _watch(watched, seconds, count, view, recorder)
    except recording.RecordError as error:
        complain("top", str(error))
        raise typer.Exit(1) from None
    except Interrupted as stop:
        if stop.signum != libc.SIGINT:
            raise typer.Exit(128 + stop.signum) from None
    except KeyboardInterrupt:
        pass


def _watch(
    kinds: frozenset[Kind], interval: float, count: int | None, view: _View, recorder: recording.Recorder | None
) -> None:
    before: Moment | None = None
    seen, due = 0, time.monotonic()
    while True:
        now = sampling.take(kinds)
        if recorder is not None:
            recorder.add(now)
        view.show(before, now)
        before, seen = now, seen + 1
        due = max(due + interval, time.monotonic())  # what took too long is not made up for
        if seen == count:
            return
        view.wait(max(0.0, due - time.monotonic()))


class _Json(_View):
    """Lines of JSON, as of a record."""

    def __enter__(self) -> Self:
        print(recording.HEAD, flush=True)
        return self

    def show(self, before: Moment | None, now: Moment) -> None:  # noqa: ARG002 - readers compare for themselves
        print(recording.line(now), flush=True)


class _Plain(_View):
    """Frames of aligned text, with an empty line after each."""

    def __init__(self) -> None:
        self._told = set[str]()

    def show(self, before: Moment | None, now: Moment) -> None:
        for text in now.lacking:
            if text not in self._told:
                complain("top", text)
                self._told.add(text)
        print(_clock(now.time, "%Y-%m-%d %H:%M:%S %z"))
        show_plain(_COLUMNS, [_cells(change, now) for change in sampling.changes(before, now)])
        print(flush=True)


class _Screen(_View):
    """The whole terminal, which is as before when the with-block ends, whatever ends it.

    Signals wait until they are asked for, so that none strikes while the terminal is changed over. By Ctrl-Z the
    terminal is given back until the program is continued.
    """

    def __init__(self, console: Console, interval: float) -> None:
        self._console = console
        self._interval = interval
        self._keys = sys.stdin is not None and sys.stdin.isatty()
        self._leaving = "q leaves" if self._keys else "Ctrl-C leaves"
        # Refreshed by hand: rich would start a thread for it, from which signals would have to be kept.
        self._live = Live(
            console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._frame: tuple[list[Change], Moment] | None = None

    def __enter__(self) -> Self:
        asking = (*STOPPING, libc.SIGTSTP)  # unless they are ignored, as by nohup(1)
        wanted = {libc.SIGWINCH, *(signum for signum in asking if libc.sigaction(signum).handler != libc.SIG_IGN)}
        with ExitStack() as stack:
            stack.enter_context(blocked(wanted))
            self._signals = stack.enter_context(SignalFile(wanted))
            stack.callback(self._leave)
            self._begin()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stack.close()
        if raised[0] is None and self._frame is not None:
            self._console.print(self._drawn(*self._frame, len(self._frame[0])))

    def _begin(self) -> None:
        if self._keys:
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin, termios.TCSADRAIN)
        self._live.start()

    def _leave(self) -> None:
        with suppress(OSError, termios.error):  # the terminal may have gone
            self._live.stop()
            if self._keys:
                termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def show(self, before: Moment | None, now: Moment) -> None:
        self._frame = sampling.changes(before, now), now
        self._draw()

    def wait(self, seconds: float) -> None:
        deadline, signals = Deadline(seconds), self._signals.fileno()
        while True:
            sources = [signals, sys.stdin.fileno()] if self._keys else [signals]
            ready, _, _ = select.select(sources, [], [], deadline.left())
            if not ready:
                return
            if signals in ready:
                self._accept(self._signals.receive().si_signo)
            elif not (typed := os.read(sys.stdin.fileno(), 64)):  # the terminal has gone
                raise Interrupted(libc.SIGHUP)
            elif b"q" in typed.lower():
                raise Interrupted(libc.SIGINT)

    def _accept(self, signum: int) -> None:
        if signum == libc.SIGWINCH:
            self._draw()
        elif signum == libc.SIGTSTP:
            self._leave()
            os.kill(os.getpid(), libc.SIGTSTP)
            libc.sigprocmask(libc.SIG_UNBLOCK, {libc.SIGTSTP})  # here it stops, and here it goes on
            libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGTSTP})
            self._begin()
            self._draw()
        else:
            raise Interrupted(signum)

    def _draw(self) -> None:
        if self._frame is not None:
            self._live.update(self._drawn(*self._frame, self._console.height - _ABOVE), refresh=True)

    def _drawn(self, changes: list[Change], now: Moment, room: int) -> Group:
        """Make a frame of at most so many lines below the headings."""
        words = [_clock(now.time), f"every {self._interval:g}s", objects.counted(len(changes), "object"), self._leaving]
        notes = [Text(printable(text), no_wrap=True, overflow="ellipsis") for text in now.lacking]
        shown = changes[: max(1, room - len(notes))]
        if len(shown) < len(changes):
            shown = changes[: max(1, room - len(notes) - 1)]
            notes.insert(0, Text(f"… and {len(changes) - len(shown)} more"))
        made = table(_COLUMNS, [_cells(change, now) for change in shown], self._console.width, cut=True)
        for row, change in zip(made.rows, shown, strict=True):
            row.style = "bold" if change.active else ""
        return Group(Text("  ".join(words), "bold", no_wrap=True, overflow="ellipsis"), made, *notes)


def _clock(seconds: float, form: str = "%H:%M:%S") -> str:
    return time.strftime(form, time.localtime(seconds))


def _cells(change: Change, now: Moment) -> tuple[Cell, ...]:
    sample = change.sample
    return (
        sample.kind,
        sample.name,
        sample.bytes,
        _holds(sample),
        "" if change.rate is None else f"{change.rate:+.1f}" if change.rate else "0",
        _waiting(sample),
        objects.in_words(None if sample.used is None else max(0, int(now.time) - sample.used)),
        sample.owner,
        ", ".join(f"{_name(pid)} ({pid})" for pid in sample.users),
    )


def _holds(sample: Sample) -> str:
    words = ""
    match sample:
        case Sample(values=tuple(values)):
            words = f"value{'s' * (len(values) != 1)} {' '.join(map(str, values))}"
        case Sample(kind=Kind.SOCKET, depth=int(depth)):
            words = f"{objects.counted(depth, 'connection')} waiting"
        case Sample(depth=int(depth), max_depth=int(most)):
            words = f"{depth} of {objects.counted(most, 'message')}"
        case Sample(depth=int(depth), bytes=int(size), max_bytes=int(most)) if 100 * size >= most > 0:
            words = f"{objects.counted(depth, 'message')}, {100 * size // most}% full"
        case Sample(depth=int(depth)):
            words = objects.counted(depth, "message")
        case Sample(attached=int(attached)):
            words = objects.counted(attached, "attachment")
        case Sample(kind=Kind.SYSV_SEM | Kind.POSIX_SEM | Kind.POSIX_MQ):
            words = "may not be read"
    return words


def _waiting(sample: Sample) -> str:
    more, zero = sum(sample.waiting or ()), sum(sample.waiting_for_zero or ())
    return ", ".join([str(more)] * bool(more) + [f"{zero} for 0"] * bool(zero))


def _name(pid: int) -> str:
    try:
        return os.fsdecode(Path(f"/proc/{pid}/comm").read_bytes()).rstrip("\n")
    except OSError:
        return "gone"
