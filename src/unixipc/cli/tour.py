"""The tour: every mechanism once, a row with a verdict for each, and nothing left behind."""

from __future__ import annotations

import errno
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

from unixipc.cli.exchange import Exchange, MismatchError, UnavailableError
from unixipc.cli.interruption import Interrupted, Interruption

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SECONDS = 60.0

# What a kernel without the call, a missing privilege, a limit or a lesser file system say. EAGAIN and ENOENT are not
# here: they have other meanings too, so a mechanism for which they mean a limit raises UnavailableError itself.
_LACKING = {
    errno.EACCES,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.EDQUOT,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.ENETUNREACH,
    errno.ENFILE,
    errno.ENODEV,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.ENOSYS,
    errno.EOPNOTSUPP,
    errno.EPERM,
    errno.EROFS,
}


class Verdict(StrEnum):
    """How a mechanism did: only `failed` makes the tour fail."""

    OK = "ok"
    UNAVAILABLE = "unavailable"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Mechanism:
    """A row of the tour: `run` makes the exchange, and returns the seconds of a round trip."""

    name: str
    calls: tuple[str, ...]
    travels: str
    run: Callable[[Exchange], float]
    unrelated: bool = False
    """One of its processes is a fresh interpreter, and knows only the key or the name."""

    @property
    def processes(self) -> str:
        """Say what its processes are to each other."""
        return "unrelated" if self.unrelated else "related"


class Family:
    """The mechanisms of one module, in the order of the tour."""

    def __init__(self) -> None:
        self._mechanisms: list[Mechanism] = []

    def __iter__(self) -> Iterator[Mechanism]:
        return iter(self._mechanisms)

    def mechanism(
        self, name: str, *, calls: str, travels: str, unrelated: bool = False
    ) -> Callable[[Callable[[Exchange], float]], Callable[[Exchange], float]]:
        """Make a function a row of the tour: its name, the calls in it as the ledger has them, and what they carry.

        What works between `unrelated` processes, too, gets a second row for them.
        """

        def register(run: Callable[[Exchange], float]) -> Callable[[Exchange], float]:
            mechanism = Mechanism(name, tuple(calls.split()), travels, run)
            self._mechanisms.append(mechanism)
            if unrelated:
                self._mechanisms.append(replace(mechanism, name=f"{name}, unrelated", unrelated=True))
            return run

        return register


@dataclass(frozen=True, slots=True)
class Row:
    """What became of a mechanism; the names are those of the JSON document."""

    mechanism: str
    processes: str
    calls: tuple[str, ...]
    travelled: str | None
    object: str | None
    round_trip_us: float | None
    verdict: Verdict
    reason: str | None = None


class Report(Protocol):
    """Shows the tour while it runs. Its with-block ends when all rows that there will be have ended."""

    def __enter__(self) -> object: ...
    def __exit__(self, *raised: object) -> None: ...
    def begins(self, mechanism: Mechanism) -> None:
        """Tell that a mechanism is at work."""

    def ended(self, row: Row) -> None:
        """Tell what became of it."""


def _missing(error: OSError) -> str:
    text = error.strerror or str(error)
    return text if error.filename is None else f"{text}: {error.filename}"


def _exchange(mechanism: Mechanism, interruption: Interruption, seconds: float) -> Row:
    exchange = Exchange(interruption, seconds, unrelated=mechanism.unrelated)
    known = mechanism.name, mechanism.processes, mechanism.calls

    def without(verdict: Verdict, reason: str) -> Row:
        return Row(*known, None, exchange.object or None, None, verdict, reason)

    try:
        with exchange:
            round_trip = mechanism.run(exchange)
    except Interrupted:
        raise
    except UnavailableError as error:
        return without(Verdict.UNAVAILABLE, str(error))
    except MismatchError as error:
        return without(Verdict.FAILED, str(error))
    except Exception as error:  # noqa: BLE001 - whatever it is, it belongs to this row and not to the others
        if isinstance(error, OSError) and error.errno in _LACKING:
            return without(Verdict.UNAVAILABLE, _missing(error))
        return without(Verdict.FAILED, f"{type(error).__name__}: {error}")
    microseconds = round(round_trip * 1_000_000, 1)
    return Row(*known, mechanism.travels, exchange.object, microseconds, Verdict.OK)


def run(mechanisms: Sequence[Mechanism], report: Report, seconds: float = SECONDS) -> int:
    """Run the mechanisms one after the other, each at most so many seconds, and return the exit status."""
    verdicts = []
    try:
        with Interruption() as interruption, report:
            for mechanism in mechanisms:
                report.begins(mechanism)
                row = _exchange(mechanism, interruption, seconds)
                verdicts.append(row.verdict)
                report.ended(row)
                interruption.check()
    except Interrupted as stop:
        removed = "" if Verdict.FAILED in verdicts else ": nothing is left behind"
        print(f"{stop} after {len(verdicts)} of {len(mechanisms)} mechanisms{removed}", file=sys.stderr)
        return 128 + stop.signum
    return 1 if Verdict.FAILED in verdicts else 0
