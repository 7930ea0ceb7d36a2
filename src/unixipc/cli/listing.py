"""unixipc ls: the IPC objects that exist, and who holds them."""

import pwd
from typing import Annotated

import typer

from unixipc.cli import objects
from unixipc.cli.objects import Kind
from unixipc.cli.output import Cell, Column, complain, show, show_json
from unixipc.inventory import Orphaned, Thing, UnixSocket, look

_COLUMNS = (
    Column("kind"),
    Column("id or name"),
    Column("key", minor=True),
    Column("owner"),
    Column("mode", minor=True),
    Column("size", right=True),
    Column("content"),
    Column("age", right=True),
    Column("orphan"),
    Column("held by"),
)


def _owner(text: str) -> int:
    """Give the number of a user who is named or numbered."""
    if text.isascii() and text.isdecimal():
        return int(text)
    try:
        return pwd.getpwnam(text).pw_uid
    except (KeyError, ValueError):
        raise typer.BadParameter(f"there is no user {text!r}") from None


def _duration(text: str) -> float:
    try:
        return objects.duration(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


def ls(
    *,
    kinds: Annotated[
        list[Kind] | None, typer.Option("--kind", "-k", help="Only this kind; it can be given several times.")
    ] = None,
    owner: Annotated[
        int | None, typer.Option("--owner", "-u", metavar="USER", help="Only what is this user's.", parser=_owner)
    ] = None,
    older: Annotated[
        float | None,
        typer.Option(metavar="TIME", help="Only what was not used for so long: 90, 5m, 2h, 3d.", parser=_duration),
    ] = None,
    orphans: Annotated[bool, typer.Option("--orphans", help="Only what was left behind, or likely was.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document, for programs.")] = False,
) -> None:
    """List the IPC objects of these namespaces: System V, POSIX, memfds, FIFOs and Unix sockets, and who holds each.

    The age is the time since an object was made, changed or used last, as far as the kernel takes note. An orphan is
    what nobody holds and whose maker is gone; `likely` is one whose maker the kernel does not record. Sockets without a
    name are listed with `--kind socket` only. `…?` stands for processes that you may not look at.

    Example: `unixipc ls --kind sysv-shm --kind posix-shm --older 1d`
    """
    census = look()
    for text in census.lacking if not kinds or Kind.POSIX_MQ in kinds else ():
        complain("ls", text)
    found = []
    for thing in census:
        kind = objects.kind_of(thing)
        if kind in kinds if kinds else not (isinstance(thing, UnixSocket) and thing.name is None):
            verdict = census.verdict(thing)
            if _is_wanted(thing, owner, older) and not (
                orphans and verdict.orphaned not in (Orphaned.YES, Orphaned.LIKELY)
            ):
                found.append((thing, census.holders(thing), verdict))
    if json:
        show_json([objects.document(*one) for one in found])
        return
    rows = []
    for thing, holders, verdict in found:
        orphan = verdict.orphaned if verdict.orphaned in (Orphaned.YES, Orphaned.LIKELY) else ""
        rows.append((*_cells(thing), orphan, objects.held_by(holders)))
    show(_COLUMNS, rows)


def _is_wanted(thing: Thing, owner: int | None, older: float | None) -> bool:
    if owner is not None and thing.uid != owner:
        return False
    age = objects.age(thing)
    return older is None or (age is not None and age >= older)


def _cells(thing: Thing) -> tuple[Cell, ...]:
    mode = getattr(thing, "mode", None)
    return (
        objects.kind_of(thing),
        objects.label(thing),
        objects.key(thing),
        objects.owner(thing),
        "" if mode is None else f"{mode:04o}",
        objects.size(thing),
        objects.content(thing),
        objects.in_words(objects.age(thing)),
    )
