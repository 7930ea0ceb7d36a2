"""_closing: with-blocks close, whatever handlers raise meanwhile, and say what cannot be closed."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc, memory, processes, signals
from unixipc._closing import Closing

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Strike


@pytest.mark.parametrize(
    "made",
    [
        partial(memory.MemoryFile.create, 4096),
        partial(memory.Mapping.anonymous, 4096),
        partial(processes.fork, libc.pause),
        partial(signals.receiver, {libc.SIGUSR1}),
    ],
    ids=["MemoryFile", "Mapping", "Child", "Receiver"],
)
def test_a_handler_that_raises_just_when_a_block_is_left_does_not_keep_the_object_open(
    strike: Strike, made: Callable[[], Any]
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    action = libc.sigaction(libc.SIGUSR1)
    one = made()
    with signals.handling(libc.SIGINT, fail), pytest.raises(ZeroDivisionError), one:
        _ = strike.by_sigint
    if isinstance(one, processes.Child):
        assert one.status is not None
        with pytest.raises(ProcessLookupError):
            libc.kill(one.pid, 0)
    else:
        assert one.closed
    assert libc.sigaction(libc.SIGUSR1) == action


class _Failing(Closing):
    def __init__(self, *errors: BaseException) -> None:
        self.errors = list(errors)
        self.tries = 0

    def close(self) -> None:
        self.tries += 1
        if self.errors:
            raise self.errors.pop(0)


def test_what_cannot_be_closed_says_so_once() -> None:
    failing = _Failing(*(BufferError(f"there is a view, told {times} times") for times in (1, 2, 3, 4)))
    with pytest.raises(BufferError, match="told 1 times") as caught, failing:
        pass
    assert caught.value.__context__ is None
    assert failing.tries == 3


def test_two_exceptions_at_the_end_are_both_told() -> None:
    first, second = ZeroDivisionError(), KeyboardInterrupt()
    failing = _Failing(first, second)
    with pytest.raises(KeyboardInterrupt) as caught, failing:
        pass
    assert caught.value is second
    assert second.__context__ is first
    assert failing.tries == 3


def test_the_exception_of_the_block_passes_and_is_told_with_that_of_the_end() -> None:
    failing = _Failing()
    with pytest.raises(ZeroDivisionError), failing:
        raise ZeroDivisionError
    assert failing.tries == 1
    failing = _Failing(BufferError())
    with pytest.raises(BufferError) as caught, failing:
        raise ZeroDivisionError
    assert isinstance(caught.value.__context__, ZeroDivisionError)
