"""What a process and the system have before and after: what was left over, by name, and who made it."""

from __future__ import annotations

import errno
import gc
from collections import Counter
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from unixipc._check import moments
from unixipc.testing import owners
from unixipc.testing.looks import LOOKS, LeakKind, UnseenError, descriptors_by_number, read

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_IN_FULL = 20
_NONE_FREE = "no descriptor is free to look at it with"


_Change: TypeAlias = tuple[LeakKind, Any, object, object]


@dataclass(frozen=True, slots=True)
class Leak:
    """One thing that is not as it was. The text says what it is, and who made it, as far as that can be known."""

    kind: LeakKind
    subject: object
    """Its descriptor, pid, id or name."""
    text: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


class LeakError(AssertionError):
    """Something was left behind: `leaks` says what."""

    def __init__(self, leaks: Iterable[Leak]) -> None:
        self.leaks = tuple(leaks)
        super().__init__("\n  ".join(["left behind:", *map(str, self.leaks)]))

    def __reduce__(self) -> tuple[type[LeakError], tuple[tuple[Leak, ...]]]:
        return type(self), (self.leaks,)


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """What the calling thread, its process and the system have at one moment: `Snapshot.take()`.

    It costs less than a millisecond; who made a thing is found out only where it is new. Of what processes share, only
    what the effective user owns counts.
    """

    unseen: Mapping[LeakKind, str]
    """What could not be looked at, and why."""
    _things: Mapping[LeakKind, Mapping[object, object]] = field(repr=False)

    @classmethod
    def take(cls, ignore: Iterable[LeakKind] = ()) -> Snapshot:
        """Look at everything but what is to be ignored."""
        ignored = frozenset(ignore)
        kinds = [kind for kind in LeakKind if kind not in ignored]
        try:
            status = read("/proc/self/status")
        except OSError as error:
            if error.errno not in (errno.EMFILE, errno.ENFILE):
                raise
            return cls(dict.fromkeys(kinds, _NONE_FREE), {LeakKind.DESCRIPTOR: descriptors_by_number()})
        things, unseen = dict[LeakKind, Mapping[object, object]](), dict[LeakKind, str]()
        for kind in kinds:
            try:
                things[kind] = LOOKS[kind].look(status)
            except (UnseenError, PermissionError) as error:
                unseen[kind] = str(error)
        return cls(unseen, things)

    def leaks(self, ignore: Iterable[LeakKind] = ()) -> tuple[Leak, ...]:
        """Tell what is there now and was not then, or is not the same.

        Where there is any, garbage is collected first: what only that held is no leak. Of descriptors also those are
        told that were open then and are closed now.
        """
        others = set(LeakKind) - (self._things.keys() - set(ignore))
        if not self._changes(Snapshot.take(others)):
            return ()
        gc.collect()
        changes: list[_Change] = []
        for _ in moments():
            changes = self._changes(Snapshot.take(others))
            if {change[0] for change in changes} != {LeakKind.THREAD}:
                break
        return tuple(_told(changes))

    def _changes(self, now: Snapshot) -> list[_Change]:
        changes = []
        for kind, things in now._things.items():
            before = self._things.get(kind, {})
            subjects = before.keys() | things.keys() if LOOKS[kind].also_gone else things.keys()
            changes += [
                (kind, subject, before.get(subject), things.get(subject))
                for subject in subjects
                if subject not in before or subject not in things or before[subject] != things[subject]
            ]
        return changes


def _told(changes: Iterable[_Change]) -> Iterator[Leak]:
    """Tell what changed: of each kind so many in full, for each takes a search of all objects and processes."""
    having, counted = owners.of_descriptors(), Counter[LeakKind]()
    for kind, subject, before, now in changes:
        text = LOOKS[kind].tell(subject, before, now) if counted[kind] < _IN_FULL else str(subject)
        if text is not None:
            counted[kind] += 1
            if kind is LeakKind.DESCRIPTOR and now is not None and subject in having:
                text = f"{text} of {owners.made(having[subject])}"
            yield Leak(kind, subject, text)


@contextmanager
def no_leaks(ignore: Iterable[LeakKind] = ()) -> Iterator[Snapshot]:
    """Raise LeakError where the block has left something behind; an exception of its own goes before."""
    ignore = frozenset(ignore)
    before = Snapshot.take(ignore)
    yield before
    if leaks := before.leaks(ignore):
        raise LeakError(leaks)
