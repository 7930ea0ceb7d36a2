"""The command `unixipc` and what it understands."""

import io
import sys
from typing import Annotated

import typer
from rich.console import Console

from unixipc import libc
from unixipc.cli import inspecting, killing, limiting, listing, plotting, removing, watching

app = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown", pretty_exceptions_enable=False)


@app.callback()
def unixipc() -> None:
    """POSIX signals and System V / POSIX IPC, as C programmers have them."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without µ shows a ? for it


@app.command()
def tour(
    *, json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")] = False
) -> None:
    """Let real processes exchange data through every mechanism, and check what arrives.

    Nothing is left behind, also after Ctrl-C. The exit status is 0 when every mechanism that this machine has worked,
    1 when one failed, and 128 and the signal's number after an interruption.

    Example: `unixipc tour --json > tour.json`
    """
    from unixipc.cli import render  # noqa: PLC0415 - these load every room, and no other command needs them
    from unixipc.cli.interruption import STOPPING  # noqa: PLC0415
    from unixipc.cli.mechanisms import MECHANISMS  # noqa: PLC0415
    from unixipc.cli.tour import Report, run  # noqa: PLC0415

    libc.sigprocmask(libc.SIG_BLOCK, STOPPING)  # for good: after the last row, nothing is to change the exit status
    console = Console(highlight=False)
    report: Report
    if json:
        report = render.Json()
    elif console.is_terminal:
        report = render.Rich(console, len(MECHANISMS))
    else:
        report = render.Plain(MECHANISMS)
    raise typer.Exit(run(MECHANISMS, report))


app.command()(listing.ls)
app.command()(removing.rm)
app.command()(limiting.limits)
app.command()(watching.top)
app.command()(plotting.plot)
app.command()(inspecting.signals)
app.command(cls=killing.KillCommand)(killing.kill)
