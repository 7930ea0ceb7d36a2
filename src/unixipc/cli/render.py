"""The tour as a table on a terminal, as plain text elsewhere, and as JSON for programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Self

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.padding import Padding
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from unixipc.cli.tour import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console, RenderableType

    from unixipc.cli.tour import Mechanism, Row

_WIDE = 120
"""From so many columns on, the table has a column for everything."""

_COLORS = {Verdict.OK: "", Verdict.UNAVAILABLE: "magenta", Verdict.FAILED: "bold red"}
"""Of the terminal's own colours, only red and magenta are legible on white as on black."""


def _time(row: Row) -> str:
    if row.round_trip_us is None:
        return ""
    return f"{row.round_trip_us:,.1f}" if row.round_trip_us < 1000 else f"{row.round_trip_us:,.0f}"


class Json:
    """One document at the end: the rows as objects."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        print(json.dumps([asdict(row) for row in self._rows], indent=2), flush=True)

    def begins(self, mechanism: Mechanism) -> None:
        """Show nothing: the document comes in one piece."""

    def ended(self, row: Row) -> None:
        """Keep the row."""
        self._rows.append(row)


class Plain:
    """A line for each mechanism, as soon as it has ended; only its last column is not known beforehand."""

    def __init__(self, mechanisms: Iterable[Mechanism]) -> None:
        known = [("mechanism", "calls", "what travelled")]
        known += [(mechanism.name, " ".join(mechanism.calls), mechanism.travels) for mechanism in mechanisms]
        self._widths = [max(map(len, column)) for column in zip(*known, strict=True)]

    def __enter__(self) -> Self:
        self._print("mechanism", "calls", "what travelled", "round trip µs", "verdict", "object")
        return self

    def __exit__(self, *raised: object) -> None:
        pass

    def _print(self, name: str, calls: str, travelled: str, time: str, verdict: str, last: str) -> None:
        known = [text.ljust(width) for text, width in zip((name, calls, travelled), self._widths, strict=True)]
        print(*known, time.rjust(13), verdict.ljust(11), last, sep="  ", flush=True)

    def begins(self, mechanism: Mechanism) -> None:
        """Show nothing: the line comes when all of it is known."""

    def ended(self, row: Row) -> None:
        """Print the row."""
        last = ": ".join(text for text in (row.object, row.reason) if text)
        self._print(row.mechanism, " ".join(row.calls), row.travelled or "", _time(row), row.verdict, last)


class Rich:
    """A progress bar while it runs, and a table at the end."""

    def __init__(self, console: Console, count: int) -> None:
        self._console = console
        bar = BarColumn(style="dim", complete_style="bold", finished_style="bold")
        columns = (TextColumn("{task.description}"), bar, TextColumn("{task.completed}/{task.total}"))
        # Refreshed by hand: rich would start a thread for it, and a process with threads cannot be forked safely.
        self._progress = Progress(
            *columns, console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
        )
        self._task = self._progress.add_task("", total=count)
        self._rows: list[Row] = []

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._progress.stop()
        self._console.print(_table(self._rows, self._console.width))
        for row in self._rows:
            if row.reason:
                self._console.print(Text.assemble((row.mechanism, _COLORS[row.verdict]), f": {row.reason}"))

    def begins(self, mechanism: Mechanism) -> None:
        """Show its name beside the bar."""
        self._progress.update(self._task, description=mechanism.name, refresh=True)

    def ended(self, row: Row) -> None:
        """Advance the bar."""
        self._rows.append(row)
        self._progress.update(self._task, advance=1, refresh=True)


def _table(rows: Iterable[Row], width: int) -> Table:
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    wide = width >= _WIDE
    for heading in ("mechanism", "calls", "what travelled", "object") if wide else ("mechanism", "what travelled"):
        table.add_column(heading, overflow="fold")
    table.add_column("round trip µs" if wide else "round\ntrip µs", justify="right")
    table.add_column("verdict", no_wrap=True)
    for row in rows:
        name, calls = Text(row.mechanism), Text(" ".join(row.calls), "dim")
        travelled, thing = Text(row.travelled or ""), Text(row.object or "", "dim")
        if wide:
            cells: list[RenderableType] = [name, calls, travelled, thing]
        else:
            cells = [Group(name, _indented(calls)), Group(travelled, _indented(thing))]
        table.add_row(*cells, _time(row), Text(row.verdict, _COLORS[row.verdict]))
    return table


def _indented(text: Text) -> Padding:
    return Padding(text, (0, 0, 0, 2))
