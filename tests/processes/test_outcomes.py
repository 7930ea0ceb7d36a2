"""What a child hands back, however badly it behaves: values, exceptions, exit codes, output."""

from __future__ import annotations

import io
import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from unixipc import libc, processes
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from unixipc.testing.plugin import Fork


class NeedsArgumentsError(Exception):
    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


class SilentError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    __repr__ = __str__


class EvilReduceError(Exception):
    def __reduce__(self) -> NoReturn:
        raise RuntimeError("no pickle")


class ExitingReduceError(Exception):
    def __reduce__(self) -> NoReturn:
        sys.exit(7)


class ExitsInParent:
    def __reduce__(self) -> tuple[Callable[[int], NoReturn], tuple[int]]:
        return sys.exit, (7,)


class RaisesInParent:
    def __reduce__(self) -> tuple[Callable[..., Any], tuple[int, int]]:
        return divmod, (1, 0)


class EvilReduce:
    def __reduce__(self) -> NoReturn:
        raise RuntimeError("no pickle")


class ExitingReduce:
    def __reduce__(self) -> NoReturn:
        sys.exit(7)


class NotOneError(Exception):
    def __reduce__(self) -> tuple[type[int], tuple[()]]:
        return int, ()


def deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


def throw(error: BaseException) -> NoReturn:
    raise error


# -- exceptions --


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (NeedsArgumentsError(1, 2), "NeedsArgumentsError: 1 and 2"),
        (SilentError(), "SilentError"),
        (EvilReduceError("evil"), "EvilReduceError: evil"),
        (ExitingReduceError("evil"), "ExitingReduceError: evil"),
        (NotOneError("evil"), "NotOneError: evil"),
    ],
)
def test_an_exception_whose_class_does_wrong_comes_back_as_itself_or_as_text(
    fork: Fork, error: Exception, text: str
) -> None:
    with pytest.raises((ChildProcessError, type(error))) as caught:
        fork(throw, error).result()
    assert text in caught.value.__notes__[0]
    assert "in throw" in caught.value.__notes__[0]


def test_an_exception_that_holds_what_does_not_pickle_comes_back_as_text(fork: Fork) -> None:
    with pytest.raises(ChildProcessError, match="ValueError: <function"):
        fork(throw, ValueError(lambda: 0)).result()


def test_causes_groups_and_oserrors_come_back(fork: Fork) -> None:
    def fails() -> None:
        try:
            Path("/not there").stat()
        except OSError as error:
            raise ExceptionGroup("two", [error, ValueError("2")]) from error

    with pytest.raises(ExceptionGroup) as caught:
        fork(fails).result()
    first = caught.value.exceptions[0]
    assert isinstance(first, FileNotFoundError)
    assert first.filename == "/not there"
    assert "direct cause" in caught.value.__notes__[0]


def test_an_exception_too_deep_to_be_pickled_comes_back_as_text(fork: Fork) -> None:
    def recurses() -> None:
        recurses()

    with pytest.raises(RecursionError):
        fork(recurses).result()


def test_result_can_be_asked_for_again(fork: Fork) -> None:
    returning, raising = fork(int, "5"), fork(int, "x")
    assert returning.result() == returning.result() == 5
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal") as caught:
            raising.result()
        assert len(caught.value.__notes__) == 1


# -- results --


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (lambda: 0, "function"),
        (threading.Lock(), "lock"),
        (EvilReduce(), "EvilReduce"),
        (deep(), "list"),
    ],
    ids=["lambda", "lock", "evil", "deep"],
)
def test_a_result_that_does_not_pickle_is_an_error_that_names_its_type(fork: Fork, value: object, name: str) -> None:
    child = fork(lambda: value)
    with pytest.raises(TypeError, match=f"a {name}, cannot be handed to its parent"):
        child.result()


def test_a_result_whose_reduce_exits_is_the_child_s_own_exit(fork: Fork) -> None:
    child = fork(ExitingReduce)
    with pytest.raises(ChildProcessError):
        child.result()
    assert child.returncode == 7


@pytest.mark.parametrize("made", [RaisesInParent, ExitsInParent])
def test_a_result_that_does_not_unpickle_is_an_error_in_the_parent(fork: Fork, made: type) -> None:
    with pytest.raises(ChildProcessError, match=r"returned what does not unpickle: (ZeroDivisionError|SystemExit)"):
        fork(made).result()


def test_a_child_killed_while_it_writes_its_result_has_none(fork: Fork, monkeypatch: pytest.MonkeyPatch) -> None:
    parent, pwritev = os.getpid(), os.pwritev

    def dies(fd: int, parts: Any, offset: int) -> int:
        if os.getpid() != parent:
            head, content = parts
            pwritev(fd, (head, content[: len(content) // 2]), offset)
            libc.raise_(libc.SIGKILL)
        return pwritev(fd, parts, offset)

    monkeypatch.setattr(os, "pwritev", dies)
    child = fork(bytes, 1_000_000)
    with pytest.raises(ChildProcessError, match=r"was killed by SIGKILL .* before its function returned"):
        child.result()


def test_a_result_comes_while_a_grandchild_lives_on(fork: Fork) -> None:
    def leaves() -> int:
        grandchild = os.fork()
        if grandchild == 0:
            os.read(held, 1)
            os._exit(0)
        return grandchild

    held, release = os.pipe()
    try:
        with processes.subreaper() as orphans:
            grandchild = fork(leaves).result()
            assert orphans.pids() == {grandchild}
            os.write(release, b"!")
            assert [status.pid for status in orphans.reap(DEADLINE)] == [grandchild]
    finally:
        os.close(held)
        os.close(release)


# -- ends --


@pytest.mark.parametrize(
    ("code", "status", "said"),
    [
        (None, 0, ""),
        (0, 0, ""),
        (3, 3, ""),
        (True, 1, ""),
        (-1, 255, ""),
        (256, 0, ""),
        ("it is over", 1, "it is over\n"),
        ((1, 2), 1, "(1, 2)\n"),
        (SilentError(), 1, ""),
    ],
)
def test_sys_exit_ends_the_child_as_it_ends_a_program(
    fork: Fork, capfd: pytest.CaptureFixture[str], code: object, status: int, said: str
) -> None:
    child = fork(sys.exit, code)  # type: ignore[arg-type]
    with pytest.raises(ChildProcessError, match=f"exited with status {status}: SystemExit"):
        child.result()
    assert child.returncode == status
    assert capfd.readouterr().err.endswith(said)


def test_a_keyboard_interrupt_kills_the_child_as_it_kills_a_program(fork: Fork) -> None:
    child = fork(throw, KeyboardInterrupt())
    with pytest.raises(ChildProcessError, match=r"was killed by SIGINT.*KeyboardInterrupt") as caught:
        child.result()
    assert child.returncode == -libc.SIGINT
    assert "in throw" in caught.value.__notes__[0]


@pytest.mark.parametrize("error", [GeneratorExit("bye"), BaseException("base")])
def test_other_exceptions_that_end_things_come_back_as_they_are(fork: Fork, error: BaseException) -> None:
    with pytest.raises(type(error), match=str(error)):
        fork(throw, error).result()


def test_a_child_that_leaves_by_the_back_door_says_so(fork: Fork) -> None:
    with pytest.raises(ChildProcessError, match="exited with status 0 before its function returned"):
        fork(os._exit, 0).result()


def test_a_handler_that_raises_at_the_very_end_does_not_spoil_the_result(fork: Fork) -> None:
    def child() -> str:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda signum: throw(ZeroDivisionError(signum))))
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
        libc.raise_(libc.SIGUSR1)
        return "returned"

    assert fork(child).result() == "returned"


# -- output --


def test_output_is_neither_lost_nor_doubled(fork: Fork) -> None:
    def parent() -> None:
        os.dup2(writes, 1)
        sys.stdout = io.TextIOWrapper(open(1, "wb", closefd=False))  # noqa: SIM115 - as the interpreter's own
        print("before")
        with processes.fork(print, "within") as child:
            child.wait()
        print("after")

    reads, writes = os.pipe()
    try:
        fork(parent).result()
        assert os.read(reads, 100) == b"before\nwithin\nafter\n"
    finally:
        os.close(reads)
        os.close(writes)


def _closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


class Broken(io.StringIO):
    def flush(self) -> None:
        raise BrokenPipeError("nobody reads")


class Odd(io.StringIO):
    def flush(self) -> None:
        raise RuntimeError("odd")


@pytest.mark.parametrize("stream", [None, _closed(), Broken(), Odd(), object()], ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_that_cannot_be_flushed_costs_no_result(
    fork: Fork, monkeypatch: pytest.MonkeyPatch, name: str, stream: object
) -> None:
    monkeypatch.setattr(sys, name, stream)
    assert fork(int, "5").result() == 5
    with pytest.raises(ChildProcessError, match="SystemExit: words"):
        fork(sys.exit, "words").result()


def test_a_child_whose_output_goes_nowhere_returns_nevertheless_and_exits_as_a_program_would(fork: Fork) -> None:
    def prints() -> str:
        sys.stdout = os.fdopen(os.dup(writes), "w")
        print("lost")
        return "returned"

    reads, writes = os.pipe()
    os.close(reads)
    try:
        child = fork(prints)
        assert child.result() == "returned"
        assert child.returncode == 120
    finally:
        os.close(writes)


# -- levels --


def test_children_fork_children_several_levels_deep(fork: Fork) -> None:
    def descend(level: int) -> list[int]:
        if level == 0:
            return []
        with processes.fork(descend, level - 1) as child:
            return [os.getppid(), *child.result()]

    line = fork(descend, 6).result()
    assert line[0] == os.getpid()
    assert len(set(line)) == 6


def test_an_exception_of_a_grandchild_carries_the_notes_of_all_generations(fork: Fork) -> None:
    def child() -> None:
        with processes.fork(int, "x") as grandchild:
            grandchild.result()

    with pytest.raises(ValueError, match="invalid literal") as caught:
        fork(child).result()
    assert [note.partition(" ")[0] for note in caught.value.__notes__] == ["In", "In"]
