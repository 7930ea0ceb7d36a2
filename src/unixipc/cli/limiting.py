"""unixipc limits: how much IPC there may be, and how much there is."""

from dataclasses import asdict
from typing import Annotated

import typer

from unixipc.cli.output import Cell, Column, show, show_json
from unixipc.inventory import Limit
from unixipc.inventory import limits as all_limits

_COLUMNS = (
    Column("limit"),
    Column("used", right=True),
    Column("maximum", right=True),
    Column("share", right=True),
    Column("unit"),
    Column("of what", minor=True),
)


def limits(
    *,
    above: Annotated[
        float | None,
        typer.Option(metavar="PERCENT", help="Only what is used by so much, and exit with 1 if anything is."),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")] = False,
) -> None:
    """Show the limits of IPC, under their names in sysctl(8) and getrlimit(2), and how much of each is used.

    Of what bounds each object, it is the largest there is. What is empty the kernel does not tell, or not you; without
    a maximum there is no limit. What concerns a process is that of this command, which has it from your shell.

    Example: `unixipc limits --above 80 || echo "running short"`
    """
    found = [limit for limit in all_limits() if above is None or (_percent(limit) or 0) > above]
    if json:
        show_json([asdict(limit) for limit in found])
    elif found or above is None:
        show(_COLUMNS, [_cells(limit) for limit in found])
    if found and above is not None:
        raise typer.Exit(1)


def _percent(limit: Limit) -> float | None:
    return None if limit.used is None or not limit.maximum else 100 * limit.used / limit.maximum


def _cells(limit: Limit) -> tuple[Cell, ...]:
    percent = _percent(limit)
    numbers: list[Cell] = [limit.used, limit.maximum]
    if limit.unit != "bytes":
        numbers = ["" if number is None else str(number) for number in numbers]
    return (limit.name, *numbers, "" if percent is None else f"{percent:.0f}%", limit.unit, limit.what)
