"""unixipc signals: what a process does with each signal."""

from collections.abc import Iterator
from typing import Annotated

import typer

from unixipc import libc
from unixipc.cli.output import Column, complain, show, show_json
from unixipc.signals import Description, SignalSet, SignalState, descriptions, name, state

_COLUMNS = (
    Column("number", right=True),
    Column("name"),
    Column("pending"),
    Column("blocked"),
    Column("ignored"),
    Column("caught"),
    Column("default action"),
    Column("meaning", minor=True),
)
_THREADS = (Column("thread", right=True), Column("name"), Column("pending"), Column("blocked"))


def signals(
    pid: Annotated[int, typer.Argument(metavar="PID", help="The process.", min=1, max=2**31 - 1, show_default=False)],
    *,
    threads: Annotated[bool, typer.Option("--threads", "-t", help="Show what each thread blocks, too.")] = False,
    every: Annotated[bool, typer.Option("--all", "-a", help="Show also the real-time signals without use.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")] = False,
) -> None:
    """Show for each signal whether it is pending, blocked, ignored or caught in a process, and its default action.

    Threads block signals one by one, and a signal can wait for one of them alone: `1 of 3` are so many threads.
    What is neither ignored nor caught has its default action (signal(7)). The exit status is 1 when there is no such
    process, or /proc hides it.

    Example: `unixipc signals --threads $$`
    """
    try:
        found = state(pid)
    except OSError as error:
        complain("signals", error)
        raise typer.Exit(1) from None
    if json:
        show_json(_document(found))
        return
    limit = "any number" if found.queue_limit is None else found.queue_limit
    title = f"{found.name} ({found.pid}); signals of its user that wait: {found.queued} of {limit}"
    show(_COLUMNS, _rows(found, every=every), title)
    if threads:
        print()
        rows = [(str(one.tid), one.name, " ".join(_names(one.pending)), _blocked(one.blocked)) for one in found.threads]
        show(_THREADS, rows)


def _rows(found: SignalState, *, every: bool) -> Iterator[tuple[str, ...]]:
    for item in descriptions():
        cells = (
            "yes" if item.number in found.pending else _some([thread.pending for thread in found.threads], item),
            _some([thread.blocked for thread in found.threads], item),
            "yes" * (item.number in found.ignored),
            "yes" * (item.number in found.caught),
        )
        if every or item.number < libc.SIGRTMIN or any(cells):
            yield str(item.number), item.name, *cells, item.default_action, item.description


def _some(sets: list[SignalSet], item: Description) -> str:
    count = sum(item.number in one for one in sets)
    return "" if count == 0 else "yes" if count == len(sets) else f"{count} of {len(sets)}"


def _names(signals: SignalSet) -> list[str]:
    return [name(signum) for signum in signals]


def _blocked(signals: SignalSet) -> str:
    """Tell them in few words: what blocks nearly all is described by what it does not block."""
    possible = SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}
    missing = possible - signals
    if len(missing) > len(possible) // 2:
        return " ".join(_names(signals))
    return " ".join(["all but", *_names(missing)]) if missing else "all"


def _document(found: SignalState) -> dict[str, object]:
    """Mirror the record, and add the table: there a signal is pending or blocked when it is for any thread."""
    threads = [
        {"tid": one.tid, "name": one.name, "pending": _names(one.pending), "blocked": _names(one.blocked)}
        for one in found.threads
    ]
    table = [
        {
            "number": item.number,
            "name": item.name,
            "pending": item.number in found.pending or any(item.number in one.pending for one in found.threads),
            "blocked": any(item.number in one.blocked for one in found.threads),
            "ignored": item.number in found.ignored,
            "caught": item.number in found.caught,
            "default_action": item.default_action,
        }
        for item in descriptions()
    ]
    return {
        "pid": found.pid,
        "name": found.name,
        "pending": _names(found.pending),
        "ignored": _names(found.ignored),
        "caught": _names(found.caught),
        "queued": found.queued,
        "queue_limit": found.queue_limit,
        "signals": table,
        "threads": threads,
    }
