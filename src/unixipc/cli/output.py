"""What commands print: a table on a terminal, aligned text elsewhere, JSON for programs, and errors in one line."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_WIDE = 120
"""From so many columns on, a terminal gets what is minor, too."""


_UNITS = "KMGTPE"

Cell: TypeAlias = str | int | None
"""A number is one of bytes, which a terminal gets in short, as by `ls -h`."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; a narrow terminal goes without the `minor` ones."""

    heading: str
    right: bool = False
    minor: bool = False


def show(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], title: str = "") -> None:
    """Print a table; where no terminal reads it, each line is a row, and there is no title."""
    console = Console(highlight=False)
    if console.is_terminal:
        made = table(columns, rows, console.width)
        made.title = Text(printable(title)) if title else None
        console.print(made)
    else:
        show_plain(columns, rows)


def show_plain(columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> None:
    """Print aligned text, a line for each row."""
    lines = [[column.heading for column in columns], *([_exact(cell) for cell in row] for row in rows)]
    widths = [max(map(len, texts)) for texts in zip(*lines, strict=True)]
    for line in lines:
        places = zip(line, widths, columns, strict=True)
        padded = (text.rjust(width) if column.right else text.ljust(width) for text, width, column in places)
        print("  ".join(padded).rstrip())


def table(columns: Sequence[Column], rows: Iterable[Sequence[Cell]], width: int, *, cut: bool = False) -> Table:
    """Make a table for a terminal of this width; with `cut` each row is one line, and too long a text loses its end."""
    shown = [i for i, column in enumerate(columns) if width >= _WIDE or not column.minor]
    made = Table(
        box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0), title_justify="left", title_style="bold"
    )
    for column in (columns[i] for i in shown):
        justify: Literal["left", "right"] = "right" if column.right else "left"
        made.add_column(column.heading, overflow="ellipsis" if cut else "fold", no_wrap=cut, justify=justify)
    for row in rows:
        made.add_row(*(Text(_shortened(row[i])) for i in shown))
    return made


def show_json(document: object) -> None:
    """Print one document, for programs."""
    print(json.dumps(document, indent=2))


def complain(command: str, error: OSError | str) -> None:
    """Print one line about what went wrong, on standard error."""
    text = error if isinstance(error, str) else error.strerror or str(error)
    print(f"unixipc {command}: {printable(text)}", file=sys.stderr)


def printable(text: str) -> str:
    """Escape what would not show, or would command the terminal: anybody may name an object so."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)


def _exact(cell: Cell) -> str:
    return printable(cell) if isinstance(cell, str) else "" if cell is None else str(cell)


def _shortened(cell: Cell) -> str:
    if not isinstance(cell, int) or cell < 1024:
        return _exact(cell)
    power = min((cell.bit_length() - 1) // 10, len(_UNITS))
    number = cell / 1024**power
    return f"{number:.1f}".removesuffix(".0") + _UNITS[power - 1] if number < 10 else f"{number:.0f}{_UNITS[power - 1]}"
