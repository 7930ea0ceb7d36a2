"""What a mechanism of the tour works with: children, data to check, and the removal of all that was made."""

from __future__ import annotations

import os
import reprlib
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from unixipc import libc, processes

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from typing_extensions import Buffer

    from unixipc.cli.interruption import Interruption

_P = ParamSpec("_P")
_T = TypeVar("_T")
_B = TypeVar("_B", bound="Buffer")

ROUNDS = 200
SIZE = 64


class MismatchError(Exception):
    """What arrived is not what was sent."""


class UnavailableError(Exception):
    """The machine does not have the mechanism, or not enough of it; the text says why."""


def expect(received: object, expected: object, what: str) -> None:
    """Hold what arrived against what was sent."""
    if received != expected:
        raise MismatchError(f"{what}: expected {reprlib.repr(expected)}, received {reprlib.repr(received)}")


def messages(kind: str, size: int = SIZE) -> list[bytes]:
    """Make a different message of `size` bytes for every round."""
    texts = [f"{kind} {number} ".encode() for number in range(ROUNDS)]
    return [(text * (size // len(text) + 1))[:size] for text in texts]


def median_time(round_trip: Callable[[int], object], rounds: int = ROUNDS) -> float:
    """Make so many round trips, and return the seconds that the middle one took."""
    times = []
    for number in range(rounds):
        start = time.perf_counter()
        round_trip(number)
        times.append(time.perf_counter() - start)
    return sorted(times)[rounds // 2]


def store(memory: Buffer, place: int, data: bytes) -> None:
    """Write bytes into memory."""
    with memoryview(memory) as view:
        view[place : place + len(data)] = data


def load(memory: Buffer, place: int, size: int) -> bytes:
    """Read bytes from memory."""
    with memoryview(memory) as view:
        return bytes(view[place : place + size])


@dataclass(frozen=True, slots=True)
class Side:
    """How one of two processes sends a message to the other and receives its answer."""

    send: Callable[[bytes], object]
    receive: Callable[[], bytes]
    close: Callable[[], object] = lambda: None


class Turn:
    """A handshake through a pipe: `take` returns once for every `give` of another process."""

    def __init__(self, ends: tuple[int, int]) -> None:
        self._takes, self._gives = ends

    def give(self) -> None:
        """Let one `take` return."""
        libc.write(self._gives, b"!")

    def take(self) -> None:
        """Wait for a `give`."""
        libc.read(self._takes, 1)


class Exchange:
    """One mechanism at work, within a with-block that removes what was made, the newest first.

    The process of the tour makes objects and forks children; only these use them, so that it can never block on one.
    """

    def __init__(self, interruption: Interruption, seconds: float) -> None:
        self.object = ""
        """The kernel object's id or name, for the table."""
        self._interruption = interruption
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds
        self._stack = ExitStack()

    def defer(self, function: Callable[_P, object], /, *args: _P.args, **kwargs: _P.kwargs) -> None:
        """Have a function called at the end, whatever happens."""
        self._stack.callback(function, *args, **kwargs)

    def fork(self, function: Callable[[], _T]) -> processes.Child[_T]:
        """Fork a child that is gone at the end.

        It starts with every signal blocked: none comes before it is ready.
        """
        mask = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())
        try:
            return self._stack.enter_context(processes.fork(function))
        except BlockingIOError as error:
            raise UnavailableError("no more processes: see RLIMIT_NPROC in getrlimit(2), or pids.max") from error
        finally:
            libc.sigprocmask(libc.SIG_SETMASK, mask)

    def finish(self, *children: processes.Child[Any]) -> None:
        """Wait until all children have returned, or raise what the first to fail raised.

        What they return must fit in a pipe.
        """
        running = list(children)
        while running:
            for child in [child for child in running if _has_ended(child)]:
                child.result()
                running.remove(child)
            if running:
                left = self._deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not done within {self._seconds:g} seconds")
                self._interruption.wait(left)

    def path(self, name: str) -> Path:
        """Give a path in a new temporary folder; what is made there is removed at the end."""
        try:
            folder = Path(tempfile.mkdtemp(prefix="unixipc-"))
        except OSError as error:
            raise UnavailableError(f"no temporary folder can be made: {error.strerror}") from error
        self.defer(folder.rmdir)  # not rmtree: it needs descriptors, and they may be what has run out
        path = folder / name
        self.defer(path.unlink, missing_ok=True)
        return path

    def pipe(self) -> tuple[int, int]:
        """Make a pipe for children that are forked later, and return its ends, `(read, write)`."""
        ends = libc.pipe()
        for end in ends:
            self.defer(os.close, end)
        return ends

    def turn(self) -> Turn:
        """Make a handshake for children that are forked later."""
        return Turn(self.pipe())

    def ping_pong(self, ping: Callable[[], Side], pong: Callable[[], Side], size: int = SIZE) -> float:
        """Have one child send messages, the other answer each; both make their side themselves, and check all."""

        def asks() -> float:
            questions, answers, side = messages("ping", size), messages("pong", size), ping()

            def ask(number: int) -> None:
                side.send(questions[number])
                expect(side.receive(), answers[number], f"answer {number}")

            seconds = median_time(ask)
            side.close()
            return seconds

        def answers() -> None:
            questions, answers, side = messages("ping", size), messages("pong", size), pong()
            for number in range(ROUNDS):
                expect(side.receive(), questions[number], f"question {number}")
                side.send(answers[number])
            side.close()

        asking, answering = self.fork(asks), self.fork(answers)
        self.finish(asking, answering)
        return asking.result()

    def through_memory(
        self,
        attach: Callable[[], _B],
        detach: Callable[[_B], object],
        size: int,
        *,
        store: Callable[[_B, int, bytes], object] = store,
        load: Callable[[_B, int, int], bytes] = load,
    ) -> float:
        """Play ping-pong through shared memory of twice the size; a pipe tells the other that it may look."""
        there, back = self.turn(), self.turn()

        def side(mine: Turn, my_place: int, theirs: Turn, their_place: int) -> Side:
            memory = attach()

            def send(data: bytes) -> None:
                store(memory, my_place, data)
                mine.give()

            def receive() -> bytes:
                theirs.take()
                return load(memory, their_place, size)

            return Side(send, receive, lambda: detach(memory))

        return self.ping_pong(lambda: side(there, 0, back, size), lambda: side(back, size, there, 0), size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, story: TracebackType | None
    ) -> None:
        try:
            self._stack.__exit__(kind, error, story)
        except Exception as failure:
            raise RuntimeError(f"not everything was removed: {failure}") from failure


def _has_ended(child: processes.Child[Any]) -> bool:
    try:
        child.wait(0)
    except TimeoutError:
        return False
    return True
