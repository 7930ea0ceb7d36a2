"""unixipc.testing: @forked, on functions and on the tests of unittest."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import unittest
from typing import Any

import pytest

from unixipc import processes, testing

untyped: Any = testing


@testing.forked
def pid_and(number: int, *, more: int = 0) -> tuple[int, int]:
    """Tell who runs this."""
    return os.getpid(), number + more


def test_each_call_runs_in_a_child_of_its_own() -> None:
    first, result = pid_and(1, more=2)
    second, _ = pid_and(3)
    assert result == 3
    assert len({first, second, os.getpid()}) == 3
    assert (pid_and.__name__, pid_and.__doc__) == ("pid_and", "Tell who runs this.")


def test_a_call_that_does_not_end_in_time_is_ended() -> None:
    @testing.forked(deadline=5)  # in which it gets there on a busy machine, too
    def hangs() -> None:
        signal.pause()

    with pytest.raises(testing.DeadlineError, match="in hangs"):
        hangs()


def test_what_cannot_run_in_a_child_is_refused() -> None:
    async def coroutine() -> None:
        await asyncio.sleep(0)

    with pytest.raises(TypeError, match="is asynchronous"):
        testing.forked(coroutine)
    with pytest.raises(TypeError, match="forked\\(\\) decorates a function"):
        untyped.forked(5)


class LocalError(Exception):
    def __init__(self, *, needed: object) -> None:
        super().__init__(needed)


class Case(unittest.TestCase):
    """Run by the tests below, and by nobody else."""

    __test__ = False
    done: list[tuple[int, str]]

    def setUp(self) -> None:
        self.parent = os.getpid()
        self.addCleanup(self.done.append, (os.getpid(), "cleanup of setUp"))

    def note(self, text: str) -> None:
        os.write(self.writes, f"{os.getpid() == self.parent} {text}\n".encode())

    writes: int

    @testing.forked
    def test_passes(self) -> None:
        assert os.getpid() != self.parent

    @testing.forked
    def test_fails(self) -> None:
        self.fail("1 != 2")

    @testing.forked
    def test_skips(self) -> None:
        self.skipTest("not here")

    @testing.forked
    def test_raises(self) -> None:
        raise KeyError("it raised")

    @testing.forked
    def test_raises_what_does_not_pickle(self) -> None:
        raise LocalError(needed=lambda: 0)

    @testing.forked
    def test_crashes(self) -> None:
        ctypes.string_at(0)

    @testing.forked
    def test_exits(self) -> None:
        os._exit(3)

    @testing.forked(deadline=0.1)
    def test_hangs(self) -> None:
        signal.pause()

    @unittest.expectedFailure
    @testing.forked
    def test_fails_as_expected(self) -> None:
        self.fail("as expected")

    @testing.forked
    def test_subtest_fails(self) -> None:
        with self.subTest(number=1):
            self.fail("1 != 2")

    @testing.forked
    def test_cleans_up(self) -> None:
        self.addCleanup(self.note, "first")
        self.addCleanup(self.note, "second")

    @testing.forked
    def test_cleanup_fails(self) -> None:
        self.addCleanup(self.note, "still runs")
        self.addCleanup(self.fail, "in the cleanup")


def run(name: str) -> tuple[unittest.TestResult, str]:
    Case.done = []
    reads, Case.writes = os.pipe()
    result = unittest.TestResult()
    Case(name).run(result)
    os.close(Case.writes)
    noted = os.read(reads, 1000).decode()
    os.close(reads)
    assert Case.done == [(os.getpid(), "cleanup of setUp")], "once, and in the parent"
    assert result.testsRun == 1
    return result, noted


def test_a_test_of_unittest_passes_fails_and_skips_as_it_would_by_itself() -> None:
    assert run("test_passes")[0].wasSuccessful()
    (failed,) = run("test_fails")[0].failures
    assert "1 != 2" in failed[1]
    assert run("test_skips")[0].skipped[0][1] == "not here"
    assert len(run("test_fails_as_expected")[0].expectedFailures) == 1
    (subtest,) = run("test_subtest_fails")[0].failures
    assert "1 != 2" in subtest[1]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("test_raises", "KeyError: 'it raised'"),
        ("test_raises_what_does_not_pickle", "LocalError"),
        ("test_crashes", "was killed by SIGSEGV"),
        ("test_exits", "exited with status 3 before its function returned"),
        ("test_hangs", "did not end within 0.1 seconds"),
    ],
)
def test_a_test_that_comes_to_a_bad_end_is_an_error_that_tells_how(name: str, told: str) -> None:
    (error,) = run(name)[0].errors
    assert told in error[1]


def test_cleanups_that_the_child_adds_run_there() -> None:
    result, noted = run("test_cleans_up")
    assert result.wasSuccessful()
    assert noted == "False second\nFalse first\n"
    result, noted = run("test_cleanup_fails")
    assert "in the cleanup" in result.failures[0][1]
    assert noted == "False still runs\n"


def test_the_child_of_a_test_is_gone_when_the_test_is_over() -> None:
    with processes.subreaper() as orphans:
        run("test_hangs")
        assert not orphans.pids()
