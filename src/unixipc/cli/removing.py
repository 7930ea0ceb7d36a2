"""unixipc rm: IPC objects away, but not from under those that use them."""

import re
import sys
from collections.abc import Callable, Iterable
from typing import Annotated

import typer

from unixipc import libc
from unixipc.cli import objects
from unixipc.cli.objects import Kind
from unixipc.cli.output import complain, printable
from unixipc.inventory import (
    Census,
    MessageQueue,
    PosixObject,
    PosixQueue,
    Segment,
    SemaphoreSet,
    Thing,
    look,
    message_queues,
    posix_memory,
    posix_queues,
    segments,
    semaphore_sets,
)

_LISTS: dict[Kind, Callable[[], Iterable[Thing]]] = {
    Kind.SYSV_SHM: segments,
    Kind.SYSV_MSG: message_queues,
    Kind.SYSV_SEM: semaphore_sets,
    Kind.POSIX_SHM: posix_memory,
    Kind.POSIX_SEM: posix_memory,
    Kind.POSIX_MQ: posix_queues,
}
"""What can be removed; the rest goes with its last holder."""


def _complete(incomplete: str) -> list[str]:
    return [kind for kind in _LISTS if kind.startswith(incomplete)]


def _kind(text: str) -> Kind:
    if text not in set(_LISTS):
        raise typer.BadParameter(f"{text!r} is none of {', '.join(_LISTS)}")
    return Kind(text)


def rm(
    kind: Annotated[
        Kind | None,
        typer.Argument(
            metavar="KIND", parser=_kind, autocompletion=_complete, show_default=False, help=f"{', '.join(_LISTS)}."
        ),
    ] = None,
    which: Annotated[
        list[str] | None,
        typer.Argument(metavar="WHICH", show_default=False, help="Ids, keys (0x5ea), or names (/jobs)."),
    ] = None,
    *,
    orphans: Annotated[bool, typer.Option("--orphans", help="What was left behind, of this kind or of all.")] = False,
    likely: Annotated[
        bool, typer.Option("--likely", help="With --orphans: also where the kernel does not record who made it.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Tell what would be removed, and do nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before removing what is in use.")] = False,
) -> None:
    """Remove IPC objects: those named, or those that ended processes left behind.

    It asks before it removes what a process has open, mapped or attached, or waits for. A segment that is attached goes
    with its last attachment, what has a POSIX name with its last holder. The exit status is 0 when all were removed,
    1 when something was not found, or could or should not be removed; no orphans at all are no failure.

    Examples: `unixipc rm sysv-msg 3 0x5ea`, `unixipc rm posix-shm /jobs`, `unixipc rm --orphans --dry-run`
    """
    if orphans == bool(which) or (which and kind is None):
        raise typer.BadParameter("name a kind with ids, keys or names, or give --orphans", param_hint="KIND WHICH")
    if likely and not orphans:
        raise typer.BadParameter("it goes with --orphans", param_hint="--likely")
    census = look()
    lacking = census.lacking if kind in (None, Kind.POSIX_MQ) else ()
    for text in lacking:
        complain("rm", text)
    if orphans:
        found = [one for one in census.orphans(likely=likely) if kind in (None, objects.kind_of(one))]
        failed = bool(lacking)
        if likely and census.unseen:
            complain("rm", f"processes that may not be looked at: {len(census.unseen)}; what they may hold stays")
    else:
        found, failed = _named(census, kind, which)
    for thing in found:
        if not _remove(census, thing, dry_run=dry_run, yes=yes):
            failed = True
    if failed:
        raise typer.Exit(1)


def _named(census: Census, kind: Kind | None, which: list[str] | None) -> tuple[list[Thing], bool]:
    """Find what is meant, and tell whether something is missing."""
    found, failed = [], False
    candidates = [thing for thing in census if objects.kind_of(thing) == kind]
    for text in dict.fromkeys(which or ()):
        meant = [thing for thing in candidates if _is_meant(thing, text)]
        if not meant:
            complain("rm", f"{kind} {text} was not found")
            failed = True
        found += [thing for thing in meant if thing not in found]
    return found, failed


def _is_meant(thing: Thing, text: str) -> bool:
    match thing:
        case Segment() | MessageQueue() | SemaphoreSet():
            return text == str(thing.id) or (thing.key != 0 and _hexadecimal(text) == thing.key & 0xFFFFFFFF)
        case PosixObject():
            return thing.name in (text, f"/{text}")
    return False


def _hexadecimal(text: str) -> int | None:
    return int(text, 16) if re.fullmatch("0[xX][0-9a-fA-F]+", text) else None


def _remove(census: Census, thing: Thing, *, dry_run: bool, yes: bool) -> bool:
    """Remove one object, if nobody minds, and tell whether that is done."""
    what = printable(f"{objects.kind_of(thing)} {objects.label(thing)}")
    use = _use(census, thing)
    if dry_run:
        print(f"would remove {what}{f', which is in use: {use}' if use else ''}")
        return True
    if use and not yes and not _agrees(f"{what} is in use: {use}; remove it?"):
        complain("rm", f"{what} is in use: not removed")
        return False
    try:
        now = next((other for other in _LISTS[objects.kind_of(thing)]() if _identity(other) == _identity(thing)), None)
        if now is None:
            complain("rm", f"{what} is gone")
            return False
        if isinstance(now, Segment) and isinstance(thing, Segment) and now.attached > thing.attached:
            complain("rm", f"{what} was attached meanwhile: not removed")
            return False
        _call(thing)
    except OSError as error:
        complain("rm", f"{what}: {error.strerror}")
        return False
    print(f"removed {what}")
    return True


def _use(census: Census, thing: Thing) -> str:
    """Say who uses it, as far as that is known; nothing, if nobody does."""
    holders = census.holders(thing)
    if holders.known:
        return printable(objects.held_by(holders))
    return objects.attachments(thing) if isinstance(thing, Segment) else ""


def _agrees(question: str) -> bool:
    """Ask on standard error; typer.confirm would write to standard output, too."""
    print(question, "[y/N] ", end="", file=sys.stderr, flush=True)
    answer = b"" if sys.stdin is None else sys.stdin.buffer.readline()
    if not answer.endswith(b"\n"):  # there is nobody to answer
        print(file=sys.stderr)
    return answer.strip().lower() in (b"y", b"yes")


def _identity(thing: Thing) -> tuple[object, ...]:
    """Give what no later object has: the kernel counts the ids and inodes up."""
    return (
        (thing.kind, thing.device, thing.inode)
        if isinstance(thing, PosixObject)
        else (thing.kind, objects.label(thing))
    )


def _call(thing: Thing) -> None:
    match thing:
        case Segment():
            libc.shmctl(thing.id, libc.IPC_RMID)
        case MessageQueue():
            libc.msgctl(thing.id, libc.IPC_RMID)
        case SemaphoreSet():
            libc.semctl(thing.id, 0, libc.IPC_RMID)
        case PosixQueue():
            libc.mq_unlink(thing.name)
        case PosixObject() if objects.kind_of(thing) is Kind.POSIX_SEM:
            libc.sem_unlink(thing.name)
        case PosixObject():
            libc.shm_unlink(thing.name)
