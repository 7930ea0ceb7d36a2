"""unixipc.testing.plugin: the fixtures, and what becomes of the children that a test forks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


CHILDREN = """
import ctypes, os, signal, sys, threading
import pytest
from unixipc import testing

def test_before(fork):
    assert fork(lambda: 6 * 7).result() == 42

def test_segfault(fork):
    fork(ctypes.string_at, 0).result()

def test_between_1(fork):
    assert fork(os.getpid).result() != os.getpid()

@pytest.mark.deadline(100)
def test_deadlock(fork):
    def lock_twice():
        lock = threading.Lock()
        lock.acquire()
        lock.acquire()
    fork(lock_twice, deadline=5).result()

def test_between_2(fork):
    pass

def test_exit(fork):
    fork(os._exit, 3).result()

def test_between_3():
    pass

def test_sys_exit(fork):
    fork(sys.exit, "so long").result()

def test_between_4():
    pass

def test_unpicklable(fork):
    def fail():
        class LocalError(Exception):
            pass
        raise LocalError("of this child")
    fork(fail).result()

def test_between_5():
    pass

def test_killed_from_outside(fork):
    child = fork(signal.pause)
    os.kill(child.pid, signal.SIGKILL)
    child.result()

def test_after(fork):
    child = fork(signal.pause)
    child.kill()
    with pytest.raises(testing.CrashError):
        child.result()
"""

EXPECTED = [
    "*_ test_segfault _*",
    "E*CrashError: child * was killed by SIGSEGV (Segmentation fault)*",
    "E*at the address 0x0*",
    "*_ test_deadlock _*",
    "E*DeadlineError: child * did not end within 5 seconds*",
    "E*line * in lock_twice",
    "*_ test_exit _*",
    "E*CrashError: child * exited with status 3*",
    "*_ test_sys_exit _*",
    "E*ChildProcessError: child * exited with status 1: SystemExit: so long",
    "*_ test_unpicklable _*",
    "E*ChildProcessError: LocalError: of this child",
    "*_ test_killed_from_outside _*",
    "E*CrashError: child * was killed by SIGKILL (Killed)*",
]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[..., pytest.RunResult]:
    """Run a test module with the plugin in a process of its own."""
    monkeypatch.setenv("COLUMNS", "200")

    def start(source: str, *arguments: str) -> pytest.RunResult:
        pytester.makepyfile(test_it=source)
        return pytester.runpytest_subprocess(
            "-p", "unixipc.testing.plugin", "-p", "no:cacheprovider", "-ra", *arguments
        )

    return start


@pytest.mark.parametrize("arguments", [[], ["--fork-tests"]], ids=["here", "in children"])
def test_bad_ends_of_children_fail_their_test_and_no_other(
    run: Callable[..., pytest.RunResult], arguments: list[str]
) -> None:
    result = run(CHILDREN, *arguments)
    result.assert_outcomes(passed=7, failed=6)
    result.stdout.fnmatch_lines(EXPECTED)


OVERLOOKED = """
import os, select, signal
import pytest

def ended(child):
    select.select([child], [], [])

def fail():
    assert not "asked for"

def test_crash(fork):
    ended(fork(os.abort))

def test_failure(fork):
    ended(fork(fail))

def test_several(fork):
    ended(fork(fail))
    ended(fork(os._exit, 1))

def test_of_a_test_that_fails(fork):
    ended(fork(fail))
    assert not "for another reason"

def test_killed(fork):
    child = fork(signal.pause)
    child.kill()
    ended(child)

def test_still_running(fork):
    fork(signal.pause)

def test_fine(fork):
    ended(fork(int))
"""


@pytest.mark.parametrize("arguments", [[], ["--fork-tests"]], ids=["here", "in children"])
def test_what_befell_a_child_is_told_though_nobody_asked(
    run: Callable[..., pytest.RunResult], arguments: list[str]
) -> None:
    result = run(OVERLOOKED, *arguments)
    result.assert_outcomes(passed=6, failed=1, errors=4)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_crash*",
            "E*CrashError: child * was killed by SIGABRT*",
            "*ERROR at teardown of test_failure*",
            "E*AssertionError: assert not 'asked for'",
            "*ERROR at teardown of test_several*",
            "*several children came to a bad end (2 sub-exceptions)",
            "*ERROR at teardown of test_of_a_test_that_fails*",
        ]
    )


LEFT = """
import os, signal
import pytest

def test_leaves_a_child(fork):
    child = fork(signal.pause)
    with open("pid", "w") as file:
        file.write(str(child.pid))

def test_finds_it_gone():
    with open("pid") as file:
        with pytest.raises(ProcessLookupError):
            os.kill(int(file.read()), 0)
"""


@pytest.mark.parametrize("arguments", [[], ["--fork-tests"]], ids=["here", "in children"])
def test_children_end_with_their_test(run: Callable[..., pytest.RunResult], arguments: list[str]) -> None:
    run(LEFT, *arguments).assert_outcomes(passed=2)


TOGETHER = """
import pytest

def test_gate(fork, gate):
    here, there = gate(), gate()
    def answer():
        here.wait()
        there.open()
    child = fork(answer)
    here.open()
    there.wait()
    child.result()

def test_barrier(fork, barrier):
    place = barrier(3)
    children = [fork(place.wait) for _ in range(2)]
    places = {place.wait(), *(child.result() for child in children)}
    assert places == {0, 1, 2}

def test_words(fork):
    from unixipc import testing
    def answer():
        testing.parent().says("go")
        testing.parent().tell("gone")
    child = fork(answer)
    child.tell("go")
    child.says("gone")
    child.result()
"""


@pytest.mark.parametrize("arguments", [[], ["--fork-tests"]], ids=["here", "in children"])
def test_processes_wait_for_each_other(run: Callable[..., pytest.RunResult], arguments: list[str]) -> None:
    run(TOGETHER, "-o", "unixipc_leak_check=true", *arguments).assert_outcomes(passed=3)


COVERED = """
import os
import covered

def test_forked(fork):
    assert fork(covered.in_a_child).result()

def test_here():
    assert covered.in_a_test()
"""


@pytest.mark.parametrize(
    ("arguments", "lines"), [([], "2, 5"), (["--fork-tests"], "2, 5")], ids=["here", "in children"]
)
@pytest.mark.slow  # where coverage is installed
def test_coverage_counts_lines_run_in_children(
    run: Callable[..., pytest.RunResult], pytester: pytest.Pytester, arguments: list[str], lines: str
) -> None:
    pytest.importorskip("coverage")
    pytester.makepyfile(
        covered="""
        def in_a_child():
            return 1

        def in_a_test():
            return 1

        def never():
            return 1
        """,
        test_it=COVERED,
    )
    pytester.makefile(".toml", pyproject='[tool.coverage.run]\nparallel = true\npatch = ["_exit"]\n')
    pytest_run = ["-m", "pytest", "-p", "unixipc.testing.plugin", "-p", "no:cacheprovider", *arguments]
    assert pytester.runpython_c("import coverage").ret == 0
    coverage = ["-m", "coverage"]
    assert pytester.run(sys.executable, *coverage, "run", *pytest_run).ret == 0
    pytester.run(sys.executable, *coverage, "combine")
    report = pytester.run(sys.executable, *coverage, "report", "--show-missing", "--include=covered.py")
    report.stdout.fnmatch_lines(["covered.py*83%*8"])
