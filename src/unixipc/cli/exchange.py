"""What a mechanism of the tour works with: children, data to check, and the removal of all that was made."""

from __future__ import annotations

import os
import pickle
import reprlib
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from functools import partial
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
_C = TypeVar("_C", bound="processes.Child[Any]")

ROUNDS = 200
SIZE = 64

# All of what a fresh interpreter executes: it has nothing of ours but this text, and the function's names and numbers.
_STRANGER = "import pickle, sys; pickle.loads(sys.argv[1].encode('latin-1'))()"


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


class NamedTurn(Turn):
    """The same through a FIFO, for processes that only know its path."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._end = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # for both, so that nobody waits for another to open it
        super().__init__((self._end, self._end))

    def close(self) -> None:
        """Close the FIFO in this process."""
        os.close(self._end)

    def __reduce__(self) -> tuple[Callable[[Path], Self], tuple[Path]]:
        return type(self), (self._path,)


class Stranger(processes.Child[None]):
    """A child that has become a fresh interpreter; `complaints` is the pipe that it has as its standard error."""

    complaints: int

    def result(self, timeout: float | None = None) -> None:
        """Raise MismatchError with the last that it said, unless it ended well."""
        if self.wait(timeout).returncode == 0:
            return
        os.set_blocking(self.complaints, False)
        said = b""
        with suppress(BlockingIOError):
            said = libc.read(self.complaints, 65536).strip()
        if not said:  # it was killed, or could not be executed
            super().result()
        last = said.decode(errors="replace").splitlines()[-1]
        known = f"{MismatchError.__module__}.{MismatchError.__qualname__}: "
        raise MismatchError(f"in the unrelated process: {last.removeprefix(known)}")


class Exchange:
    """One mechanism at work, within a with-block that removes what was made, the newest first.

    The process of the tour makes objects and forks children; only these use them, so that it can never block on one.
    Where the mechanism shall be `unrelated`, the second of two is no fork, but a fresh interpreter.
    """

    def __init__(self, interruption: Interruption, seconds: float, *, unrelated: bool = False) -> None:
        self.object = ""
        """The kernel object's id or name, for the table."""
        self._unrelated = unrelated
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
        return self._start(lambda: processes.fork(function))

    def _start(self, start: Callable[[], _C]) -> _C:
        mask = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())
        try:
            self._stack.enter_context(child := start())
        except BlockingIOError as error:
            raise UnavailableError("no more processes: see RLIMIT_NPROC in getrlimit(2), or pids.max") from error
        else:
            return child
        finally:
            libc.sigprocmask(libc.SIG_SETMASK, mask)

    def other(self, function: Callable[[], None]) -> processes.Child[None]:
        """Start the second of two processes: a forked one, or an unrelated one, as the row has it."""
        return self.execute(function) if self._unrelated else self.fork(function)

    def execute(self, function: Callable[[], None]) -> Stranger:
        """Have a fresh interpreter call a function that pickles, such as `partial(answer, name)`; it, too, ends here.

        It learns nothing else: no descriptor is open in it besides the standard ones.
        """
        told = pickle.dumps(function, protocol=0).decode("latin-1")
        reads, writes = self.pipe()

        def become_stranger() -> None:
            os.dup2(writes, 2)
            for fd in set(map(int, os.listdir("/proc/self/fd"))) - {0, 1, 2}:  # noqa: PTH208 - quicker
                with suppress(OSError):  # it was the one that lists them
                    os.set_inheritable(fd, False)  # noqa: FBT003 - its only argument
            modules = os.pathsep.join(path or os.curdir for path in sys.path)  # it finds what we find, and no others
            environment = os.environ | {"PYTHONPATH": modules}
            processes.execute(sys.executable, "-P", "-c", _STRANGER, told, environment=environment)

        stranger = self._start(lambda: Stranger.start(become_stranger))
        stranger.complaints = reads
        return stranger

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
        """Make a handshake for children that are started later."""
        if not self._unrelated:
            return Turn(self.pipe())
        path = self.path("turn")
        libc.mkfifo(path, 0o600)
        turn = NamedTurn(path)
        self.defer(turn.close)
        return turn

    def ping_pong(self, ping: Callable[[], Side], pong: Callable[[], Side], size: int = SIZE) -> float:
        """Have one child send messages, the other answer each; both make their side themselves, and check all.

        In an unrelated row `pong` must pickle.
        """

        def asks() -> float:
            questions, answers, side = messages("ping", size), messages("pong", size), ping()

            def ask(number: int) -> None:
                side.send(questions[number])
                expect(side.receive(), answers[number], f"answer {number}")

            seconds = median_time(ask)
            side.close()
            return seconds

        asking, answering = self.fork(asks), self.other(partial(_answer, pong, size))
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
        """Play ping-pong through shared memory of twice the size; a pipe or FIFO tells the other that it may look.

        In an unrelated row all the functions must pickle.
        """
        there, back = self.turn(), self.turn()
        side = partial(_side_in_memory, attach, detach, size, store, load)
        return self.ping_pong(partial(side, there, 0, back, size), partial(side, back, size, there, 0), size)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, story: TracebackType | None
    ) -> None:
        try:
            self._stack.__exit__(kind, error, story)
        except Exception as failure:
            raise RuntimeError(f"not everything was removed: {failure}") from failure


def _answer(pong: Callable[[], Side], size: int) -> None:
    questions, answers, side = messages("ping", size), messages("pong", size), pong()
    for number in range(ROUNDS):
        expect(side.receive(), questions[number], f"question {number}")
        side.send(answers[number])
    side.close()


def _side_in_memory(
    attach: Callable[[], _B],
    detach: Callable[[_B], object],
    size: int,
    store: Callable[[_B, int, bytes], object],
    load: Callable[[_B, int, int], bytes],
    mine: Turn,
    my_place: int,
    theirs: Turn,
    their_place: int,
) -> Side:
    memory = attach()

    def send(data: bytes) -> None:
        store(memory, my_place, data)
        mine.give()

    def receive() -> bytes:
        theirs.take()
        return load(memory, their_place, size)

    return Side(send, receive, lambda: detach(memory))


def _has_ended(child: processes.Child[Any]) -> bool:
    try:
        child.wait(0)
    except TimeoutError:
        return False
    return True
