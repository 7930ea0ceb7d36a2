"""Why others are ahead where they are, as far as it is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.bars import POLLING, POSIX_SEMAPHORE, VIEW
from bench.records import Kind
from bench.results import is_c

if TYPE_CHECKING:
    from bench.records import Row
    from bench.results import Spread

UNEXPLAINED = "Not explained."
UNSURE = "In some rounds ahead and in others behind: what is left after the machine's own moods may be nothing."

_LARGE = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a rival is ahead; what is None or empty fits everything."""

    text: str
    rival: str = ""
    side: str = ""
    kind: Kind | None = None
    mechanism: str = ""
    """How the mechanism's name begins."""
    cores: int = 0
    at_least: int = 0

    def fits(self, row: Row, rival: str) -> bool:
        """Tell whether it is about this row and this rival of it."""
        return (
            (not self.rival or self.rival == rival or (self.rival == "C" and is_c(rival)))
            and self.side in ("", row.side)
            and self.kind in (None, row.kind)
            and row.mechanism.startswith(self.mechanism)
            and self.cores in (0, row.cores)
            and row.size >= self.at_least
        )


REASONS = (
    Reason("The disk takes nearly all of the time, and as long as it likes.", mechanism="file, to the disk"),
    Reason(
        "A `UnixSocket` is a `socket.socket`, and sends and receives by its methods: what is between them is chance.",
        rival="socket",
    ),
    Reason(
        "Two processors wake each other for most messages, and that takes longer than all else, or much less where the "
        "slower side never lets the faster one sleep: which of the two happens is chance, and such ratios say "
        "little of the sides.",
        cores=2,
        kind=Kind.THROUGHPUT,
    ),
    Reason(
        "Two processors wake each other for every message, which takes longer than all that the sides do. What is left "
        "between them is the rest of what calls cost, and noise.",
        cores=2,
        kind=Kind.ROUND_TRIP,
    ),
    Reason(
        "A semaphore that is free takes two atomic instructions and no system call. Two calls from Python are then "
        "all of the time, whoever makes them.",
        rival="C",
        mechanism=POSIX_SEMAPHORE,
    ),
    Reason(
        "A lock of one process: it cannot be shared with another, and is in the interpreter itself.",
        rival="threading.Lock",
    ),
    Reason(
        "From Python 3.12 on, a call of its methods takes less time, and one of ours as much as before. Why ours "
        "gained nothing is not known.",
        rival="multiprocessing.Lock",
    ),
    Reason(
        "The handler in C runs at once. One in Python waits until the interpreter looks, between two of its "
        "instructions, and is a call of its own.",
        rival="C",
        mechanism="kill to a handler",
    ),
    Reason(
        "Ours makes a record of every signal, with its siginfo, and runs the handler under the mask that it asked for: "
        "two more system calls, and no signal lost. The standard library tells only that there was one, or several.",
        rival="signal.signal",
    ),
    Reason(
        "To look for a message before sleeping is a call that finds nothing while the other has not answered. With one "
        "processor for both, the other cannot answer before this side yields.",
        side=POLLING,
        cores=1,
    ),
    Reason(
        "A memoryview knows shapes and formats, and compares them with what it is given before it copies. Slices of "
        "the memory itself know nothing but bytes.",
        side=VIEW,
    ),
    Reason(
        "The copy is nearly all of it, and the same for all: what is left is which pages lie in which cache.",
        kind=Kind.CALL,
        at_least=_LARGE,
    ),
    Reason(
        "A background thread gathers messages and writes many at a time: few system calls for each, and the message is "
        "late by as much.",
        rival="pyzmq",
        kind=Kind.THROUGHPUT,
    ),
    Reason(
        "What a call from Python costs: to run the loop and the call, to read the arguments, and to make the object "
        "that comes back. That is 50 to 200 ns for each, much of a quick system call and nothing of a slow one. The "
        "rows of the least from Python, where there are any, have nothing else.",
        rival="C",
        kind=Kind.CALL,
    ),
    Reason(
        "What a call from Python costs, four times in a round trip; between them the other process runs, and leaves "
        "the caches full of its own.",
        rival="C",
        kind=Kind.ROUND_TRIP,
    ),
    Reason(
        "What a call from Python costs, for every message; `send_many` and `receive_many`, where there are any, move "
        "many in one call.",
        rival="C",
        kind=Kind.THROUGHPUT,
    ),
)
"""In this order: the first that fits is it."""


def reason(row: Row, rival: str, ratio: Spread) -> str:
    """Say why a rival is ahead of a row, which takes so many times as long."""
    if ratio.low <= 1:
        return UNSURE
    return next((each.text for each in REASONS if each.fits(row, rival)), UNEXPLAINED)
