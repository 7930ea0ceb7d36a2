"""The command line of the bench: `python -m bench`, and `python -m bench compare OLD NEW`."""

from __future__ import annotations

import io
import os
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Annotated, NoReturn, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import report, results
from bench.bars import judge
from bench.calls import calls
from bench.measuring import FULL, QUICK, measure
from bench.results import Results, UnreadableError
from bench.stints import STOPPING, describe
from unixipc import libc, signals

if TYPE_CHECKING:
    from bench.measuring import Plan
    from bench.records import Row

RESULTS, REPORT = "results.json", "report.md"

_IN_A_FILE = 140
"""The columns of what no terminal shows."""

app = typer.Typer(rich_markup_mode="markdown", pretty_exceptions_enable=False, add_completion=False)


@app.callback(invoke_without_command=True)
def bench(
    context: typer.Context,
    *,
    quick: Annotated[bool, typer.Option("--quick", help="Measure for two minutes, instead of twenty.")] = False,
    only: Annotated[
        str, typer.Option(metavar="TEXT", help="Measure the mechanisms with this text in their names.")
    ] = "",
    output: Annotated[
        Path, typer.Option(metavar="FOLDER", file_okay=False, help="Where results, report and charts go.")
    ] = Path("bench-results"),
) -> None:
    """Measure what every mechanism costs, beside a C program and the peers.

    FOLDER gets `results.json`, which `python -m pyperf` reads, too, `report.md`, and the charts. Nothing else is left
    behind, also after Ctrl-C.

    Example: `python -m bench --quick --only "message queue"`
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without µ shows a ? for it
    if context.invoked_subcommand is None:
        plan = QUICK if quick else FULL
        arguments = " ".join((["--quick"] if quick else []) + ([f"--only {only!r}"] if only else []))
        _run(replace(plan, only=only), output, arguments)


@app.command()
def compare(
    old: Annotated[Path, typer.Argument(help="The results.json of one run.")],
    new: Annotated[Path, typer.Argument(help="The results.json of a later one.")],
) -> None:
    """Say what has become slower or faster from one run to another; the exit status is 1 when something is slower.

    What counts is the ratio to C, which the machine's moods do not touch; where there is no C, it is the time. A change
    is one where the spreads of the two runs do not touch, and that is 5 % or more.
    """
    try:
        before, after = Results.load(old), Results.load(new)
    except UnreadableError as error:
        _fail(str(error))
    console = _console()
    for which, run in (("old", before), ("new", after)):
        console.print(f"{which}: {report.machine(run)}")
    compared = results.compare(before, after)
    slower, faster = sum(change.slower for change in compared), sum(change.faster for change in compared)
    if slower or faster:
        console.print(report.changes(compared).rich({}))
    console.print(f"of {len(compared)} rows in both runs {slower} have become slower, and {faster} faster")
    if not compared:
        _fail("the two runs have no row in common")
    raise typer.Exit(1 if slower else 0)


def _run(plan: Plan, output: Path, arguments: str) -> None:
    try:
        output.mkdir(parents=True, exist_ok=True)
        writable = os.access(output, os.W_OK)
    except OSError as error:
        _fail(f"{output}: {error.strerror}")
    if not writable:
        _fail(f"{output}: it cannot be written to")
    with _Shown() as shown:
        try:
            with signals.handling(STOPPING, _stop), calls() as rows:
                measured = measure(plan, rows, shown.reached, shown.failed)
        except _Stopped as stopped:
            shown.stop()
            print(f"stopped {shown.so_far}: nothing is written, and nothing left behind", file=sys.stderr)
            raise typer.Exit(128 + stopped.signum) from None
        except CalledProcessError:
            shown.stop()
            _fail("gcc could not compile the C side: see above")
    if not measured:
        if shown.failures:
            _fail("every row failed:\n" + "\n".join(shown.failures))
        raise typer.BadParameter(f"no mechanism has {plan.only!r} in its name", param_hint="--only")
    _write(Results(tuple(measured), results.machine(arguments)), output)
    if shown.failures:
        _fail(f"{len(shown.failures)} rows failed, and were left out:\n" + "\n".join(shown.failures))


class _Stopped(BaseException):
    """Somebody has asked to stop, by SIGINT or SIGTERM; it is caught nowhere on the way, as KeyboardInterrupt."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def _stop(signum: int, info: libc.Siginfo) -> NoReturn:
    raise _Stopped(signum)


def _write(done: Results, output: Path) -> None:
    from bench import charts  # noqa: PLC0415 - matplotlib brings numpy, whose threads would disturb what is measured

    done.save(output / RESULTS)
    written = charts.write(done, output)
    (output / REPORT).write_text(report.markdown(done, written), encoding="utf-8")
    console = _console()
    for table in report.tables(done, console.width):
        console.print(table, "")
    if judge(done):
        console.print(report.bars(done, console.width), "")
    console.print(f"{report.verdict(done)}; {output / REPORT} has the whole report", soft_wrap=True)


def _console() -> Console:
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = _IN_A_FILE
    return console


def _fail(text: str) -> NoReturn:
    print(f"bench: {text}", file=sys.stderr)
    raise typer.Exit(1)


class _Shown:
    """How far the bench is: a bar on a terminal, and nothing elsewhere."""

    def __init__(self) -> None:
        console = Console(stderr=True, highlight=False)
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        # Refreshed by hand: rich would start a thread for it, which would disturb what is measured, and every fork.
        self._progress = Progress(
            *columns, console=console, auto_refresh=False, transient=True, disable=not console.is_terminal
        )
        self._task = self._progress.add_task("compiling", total=None)
        self.so_far = "before anything was measured"
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the bar away."""
        self._progress.stop()

    def reached(self, done: int, of: int, what: str) -> None:
        """Show how much is done, and what is at work."""
        self.so_far = f"after {done} of {of} measurements, at {what}"
        self._progress.update(self._task, completed=done, total=of, description=what, refresh=True)

    def failed(self, row: Row, error: Exception) -> None:
        """Note a row that could not be measured."""
        self.failures.append(f"  {describe(row)}: {type(error).__name__}: {error}".splitlines()[0])


if __name__ == "__main__":
    app(prog_name="python -m bench")
