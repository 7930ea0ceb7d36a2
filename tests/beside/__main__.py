"""Run a part of CPython's own tests in a process that holds a handler of ours, which must work all the while.

Arguments: the name of the tests, which part of how many, and those to leave out. It says "ready" when signals may come.
"""

from __future__ import annotations

import os
import sys
import unittest
from typing import TYPE_CHECKING

import holding  # type: ignore[import-not-found]
from test import support  # type: ignore[import-not-found]
from test.support import script_helper  # type: ignore[import-not-found]

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Iterator


class Result(unittest.TextTestResult):
    """Looks after each test whether the handler is still installed, and works."""

    lost = False

    def startTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        # That test waits for its end; for others it is how long something may take.
        support.SHORT_TIMEOUT = 10.0 if test.id().endswith(".test_siginterrupt_off") else 30.0
        super().startTest(test)

    def stopTest(self, test: unittest.TestCase) -> None:  # noqa: N802 - unittest's name
        super().stopTest(test)
        before = len(holding.received)
        libc.sigqueue(os.getpid(), holding.SIGNAL, before)
        mine = [info.si_value for info in holding.received[before:] if info.si_pid == os.getpid()]
        if libc.sigaction(holding.SIGNAL) != holding.installed or mine != [before]:
            print(f"{test.id()}: our handler is gone, or does not work", file=sys.stderr)
            self.lost = True

    def wasSuccessful(self) -> bool:  # noqa: N802
        return super().wasSuccessful() and not self.lost


def every(suite: unittest.TestSuite) -> Iterator[unittest.TestCase]:
    """Give the tests of a suite and of the suites in it."""
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from every(test)
        else:
            yield test


def passes(suite: unittest.TestSuite, times: int = 3) -> bool:
    """Run tests, those that fail again by themselves: some measure times in which this process may have stood still."""
    result = unittest.TextTestRunner(resultclass=Result, verbosity=2).run(suite)  # type: ignore[arg-type]
    failed = {getattr(test, "test_case", test) for test, _ in result.failures + result.errors}
    if result.wasSuccessful() or getattr(result, "lost", True) or times == 1:
        return result.wasSuccessful()
    if result.unexpectedSuccesses or not failed or not all(isinstance(test, unittest.TestCase) for test in failed):
        return False
    return all(passes(unittest.TestSuite([type(test)(test._testMethodName)]), times - 1) for test in failed)


def from_the_parent() -> list[int | None]:
    """Give the values that came from the parent, in order."""
    # A thread of a test may have got one: across threads nothing keeps the order.
    return sorted(info.si_value or 0 for info in holding.received if info.si_pid == os.getppid())


def main(name: str, part: str, parts: str, *left_out: str) -> bool:
    """Run the tests, and tell whether all was well."""
    # The interpreters that the tests start shall have the environment of this one.
    vars(script_helper)["__cached_interp_requires_environment"] = True
    tests = list(every(unittest.defaultTestLoader.loadTestsFromName(name)))[int(part) :: int(parts)]
    tests = [test for test in tests if test.id().rpartition(".")[2] not in left_out]
    print("ready", flush=True)
    well = passes(unittest.TestSuite(tests))
    libc.sigprocmask(libc.SIG_BLOCK, {holding.SIGNAL})  # the interpreter gives its handlers up before it ends
    values = from_the_parent()
    print(f"{len(values)} signals came from the parent, {libc.signals_lost()} were lost", file=sys.stderr)
    return well and bool(tests) and not libc.signals_lost() and values == list(range(len(values)))


sys.exit(0 if main(*sys.argv[1:]) else 1)
