"""unixipc.testing.plugin: whatever happens to a test in a child of its own, it fails alone, and says what it was."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


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


BAD_ENDS = """
import ctypes, os, signal, sys, threading, time
import pytest

def test_before():
    pass

def test_segfault():
    print("written before the crash")
    os.write(2, b"and to the descriptor of stderr\\n")
    ctypes.string_at(0)

def test_between_1():
    pass

@pytest.mark.deadline(3)
def test_deadlock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()

def test_between_2():
    pass

def test_exit():
    os._exit(0)

def test_between_3():
    pass

def test_sys_exit():
    sys.exit("so long")

def test_between_4():
    pass

def test_unpicklable():
    class LocalError(Exception):
        def __reduce__(self):
            raise TypeError("cannot travel")
    raise LocalError("of this test")

def test_between_5():
    pass

def test_killed_from_outside():
    killer = os.fork()
    if killer == 0:
        os.kill(os.getppid(), signal.SIGKILL)
        os._exit(0)
    signal.pause()

def test_after():
    pass
"""


def test_bad_ends_fail_alone_and_the_run_goes_on(run: Callable[..., pytest.RunResult]) -> None:
    result = run(BAD_ENDS, "--fork-tests")
    result.assert_outcomes(passed=7, failed=6)
    result.stdout.fnmatch_lines(
        [
            "*_ test_segfault _*",
            "in its call: child * was killed by SIGSEGV (Segmentation fault) before its function returned",
            "*at the address 0x0*",
            '*test_it.py", line 10 in test_segfault',
            "*Captured stdout call*",
            "written before the crash",
            "*Captured stderr call*",
            "and to the descriptor of stderr",
            "*_ test_deadlock _*",
            "in its call: child * did not end within 3 seconds",
            "*line * in test_deadlock",
            "*_ test_exit _*",
            "in its call: child * exited with status 0 before its function returned",
            "*_ test_sys_exit _*",
            "E*SystemExit: so long",
            "*_ test_unpicklable _*",
            "E*LocalError: of this test",
            "*_ test_killed_from_outside _*",
            "in its call: child * was killed by SIGKILL (Killed)*",
            "FAILED *::test_segfault - CrashError: in its call: child * w*",
            "FAILED *::test_deadlock - DeadlineError: in its call: child * d*",
        ]
    )


def test_stacks_have_no_frames_of_pytest(run: Callable[..., pytest.RunResult]) -> None:
    result = run("def test_abort():\n    import os\n    os.abort()", "--fork-tests")
    result.stdout.fnmatch_lines(["*line 3 in test_abort"])
    result.stdout.no_fnmatch_line("*_pytest/*")
    result.stdout.no_fnmatch_line("*pluggy/*")


PHASES = """
import os
import pytest

@pytest.fixture(scope="module")
def wider():
    print("module set up")
    yield
    print("module torn down")

@pytest.fixture
def dies_at_setup(wider):
    print("setting up")
    os.kill(os.getpid(), 9)

@pytest.fixture
def dies_at_teardown(wider):
    yield
    print("tearing down")
    os.kill(os.getpid(), 9)

def test_setup(dies_at_setup):
    pass

def test_teardown(dies_at_teardown, record_property):
    print("called")
    record_property("kept", "yes")

def test_after(wider):
    print("still there")
    assert 0
"""


def test_a_crash_is_reported_in_its_phase_with_what_was_written_by_then(run: Callable[..., pytest.RunResult]) -> None:
    result = run(PHASES, "--fork-tests", "--junit-xml=junit.xml", "-o", "junit_family=xunit1")
    result.assert_outcomes(errors=2, passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ ERROR at setup of test_setup _*",
            "in its setup: child * was killed by SIGKILL*",
            "*Captured stdout setup*",
            "module set up",
            "setting up",
            "*_ ERROR at teardown of test_teardown _*",
            "in its teardown: child * was killed by SIGKILL*",
            "*Captured stdout call*",
            "called",
            "*Captured stdout teardown*",
            "tearing down",
            "*_ test_after _*",
            "still there",
            "module torn down",
        ]
    )


XFAILS = """
import os, pytest
from unixipc import testing

@pytest.mark.xfail(reason="crashes")
def test_expected():
    os.abort()

@pytest.mark.xfail(raises=testing.CrashError, strict=True)
def test_expected_as_such():
    os.abort()

@pytest.mark.xfail(raises=ValueError)
def test_another_error_was_expected():
    os.abort()

@pytest.mark.deadline(0.1)
@pytest.mark.xfail(raises=testing.DeadlineError)
def test_late():
    os.read(os.pipe()[0], 1)
"""


def test_a_crash_can_be_expected(run: Callable[..., pytest.RunResult]) -> None:
    run(XFAILS, "--fork-tests").assert_outcomes(xfailed=3, failed=1)


MARKED = """
import os, pytest

parent = os.getpid()

@pytest.mark.forked
def test_marked():
    assert os.getpid() != parent

def test_not_marked():
    assert os.getpid() == parent

@pytest.mark.forked(deadline=3)
@pytest.mark.deadline(100)
def test_own_deadline():
    os.read(os.pipe()[0], 1)

@pytest.mark.forked
class TestClass:
    def test_of_a_class(self):
        assert os.getpid() != parent
"""


def test_marked_tests_are_forked_and_others_are_not(run: Callable[..., pytest.RunResult]) -> None:
    result = run(MARKED, "--strict-markers")
    result.assert_outcomes(passed=3, failed=1)
    result.stdout.fnmatch_lines(["in its call: child * did not end within 3 seconds"])
    result.stdout.no_fnmatch_line("unixipc:*")


def test_a_mark_with_a_mistake_is_told(run: Callable[..., pytest.RunResult]) -> None:
    result = run("import pytest\n@pytest.mark.forked(dead_line=1)\ndef test():\n    pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*::test: the mark forked takes deadline and allow_threads, not dead_line"])


def test_the_deadline_of_the_settings_is_that_of_each_test(run: Callable[..., pytest.RunResult]) -> None:
    result = run("import os\ndef test():\n    os.read(os.pipe()[0], 1)", "--fork-tests", "-o", "unixipc_deadline=0.1")
    result.stdout.fnmatch_lines(
        ["unixipc: each test in a child of its own, for 0.1 seconds at most", "*did not end within 0.1 seconds"]
    )


def test_the_environment_says_what_deadlines_are_on_a_slow_machine(
    run: Callable[..., pytest.RunResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNIXIPC_DEADLINE", "0.25")
    source = "import os\nfrom unixipc import testing\ndef test():\n    os.read(os.pipe()[0], int(testing.DEADLINE * 4))"
    result = run(source, "--fork-tests")
    result.stdout.fnmatch_lines(
        ["unixipc: each test in a child of its own, for 0.25 seconds at most", "*did not end within 0.25 seconds"]
    )
    result = run(source, "--fork-tests", "-o", "unixipc_deadline=0.1")
    result.stdout.fnmatch_lines(["*did not end within 0.1 seconds"])


@pytest.mark.parametrize("told", ["soon", "0", "-1", "nan"])
def test_the_environment_says_a_number_of_seconds(told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNIXIPC_DEADLINE", told)
    code = "from unixipc import testing; testing.DEADLINE"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.endswith(f"UNIXIPC_DEADLINE in the environment is a number of seconds, not {told!r}\n")


THREADS = """
import threading, pytest

@pytest.fixture(scope="module", autouse=True)
def thread():
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="of the module")
    thread.start()
    yield
    end.set()
    thread.join()

@pytest.mark.forked
def test_refused():
    pass

@pytest.mark.forked(allow_threads=True)
def test_allowed():
    pass
"""


def test_a_test_is_not_forked_beside_threads_unless_it_says_so(run: Callable[..., pytest.RunResult]) -> None:
    result = run(THREADS)
    result.assert_outcomes(errors=1, passed=1)
    result.stdout.fnmatch_lines(["in its setup: fork() of a process with other threads (of the module)*"])


WIDER_IN_CHILD = """
import os, pathlib, pytest

HERE = pathlib.Path(__file__).parent

@pytest.fixture(scope="session")
def late():
    yield os.getpid()
    (HERE / f"late-{os.getpid()}").touch()

@pytest.fixture(scope="session")
def early():
    return os.getpid()

def test_one(request, early):
    assert request.getfixturevalue("late") == os.getpid() != early

def test_two(request, early):
    assert request.getfixturevalue("late") == os.getpid() != early
    assert len(list(HERE.glob("late-*"))) == 1

def test_three():
    assert len(list(HERE.glob("late-*"))) == 2
"""


def test_a_wider_fixture_that_a_child_makes_is_torn_down_by_it(run: Callable[..., pytest.RunResult]) -> None:
    run(WIDER_IN_CHILD, "--fork-tests").assert_outcomes(passed=3)


INTERRUPTIONS = """
import os, pathlib, pytest

HERE = pathlib.Path(__file__).parent

@pytest.fixture(scope="module")
def wider():
    yield
    (HERE / "wider").touch()

@pytest.fixture
def own(wider):
    yield
    (HERE / "own").touch()

def test_first():
    pass

def test_interrupts(own):
    {what}

def test_never_run():
    pass

def interrupt():
    stat = pathlib.Path(f"/proc/{{os.getppid()}}/stat")
    while stat.read_text().rpartition(")")[2].split()[0] != "S":  # it has not begun to wait for this child
        os.sched_yield()
    os.kill(os.getppid(), 2)
    os.read(os.pipe()[0], 1)
"""


@pytest.mark.parametrize(
    ("what", "status", "line"),
    [
        ("pytest.exit('enough', returncode=7)", 7, "*_pytest.outcomes.Exit: enough*"),
        (
            "raise KeyboardInterrupt",
            pytest.ExitCode.INTERRUPTED,
            "*KeyboardInterrupt: in a child, at *test_it.py:19: *",
        ),
        ("interrupt()", pytest.ExitCode.INTERRUPTED, "*KeyboardInterrupt*"),
    ],
    ids=["exit", "KeyboardInterrupt", "SIGINT"],
)
def test_the_run_can_be_interrupted_and_everything_is_torn_down(
    run: Callable[..., pytest.RunResult], pytester: pytest.Pytester, what: str, status: int, line: str
) -> None:
    result = run(INTERRUPTIONS.format(what=what), "--fork-tests")
    assert result.ret == status
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines([line])
    assert (pytester.path / "own").exists()
    assert (pytester.path / "wider").exists()


def test_a_process_that_comes_back_from_the_test_ends(run: Callable[..., pytest.RunResult]) -> None:
    result = run(
        """
        import os

        def test_forks():
            pid = os.fork()
            if pid:
                os.waitpid(pid, 0)

        def test_after():
            pass
        """,
        "--fork-tests",
        "-s",
    )
    result.assert_outcomes(passed=2)


def test_a_test_that_closes_all_descriptors_says_so(run: Callable[..., pytest.RunResult]) -> None:
    result = run(
        """
        import os

        def test_closes():
            os.closerange(3, 1000)
            open(__file__, "w")

        def test_after():
            pass
        """,
        "--fork-tests",
    )
    result.assert_outcomes(passed=1, failed=1)


def test_a_program_that_is_executed_fails_the_test(run: Callable[..., pytest.RunResult]) -> None:
    result = run("import os\ndef test_executes():\n    os.execvp('true', ['true'])", "--fork-tests")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["in its call: child * exited with status 0 before its function returned"])


RETENTION = """
def test_one(tmp_path):
    (tmp_path / "file").touch()

def test_two(tmp_path):
    (tmp_path / "file").touch()
    assert tmp_path.name == "test_two0"
    assert (tmp_path.parent / "test_one0").exists() == {kept}
"""


@pytest.mark.parametrize(("policy", "kept"), [("all", True), ("failed", False)])
def test_temporary_paths_are_kept_as_ever(run: Callable[..., pytest.RunResult], policy: str, kept: bool) -> None:
    result = run(RETENTION.format(kept=kept), "--fork-tests", "-o", f"tmp_path_retention_policy={policy}")
    result.assert_outcomes(passed=2)


def test_what_a_test_changes_is_gone_with_it(run: Callable[..., pytest.RunResult]) -> None:
    result = run(
        """
        import os, sys, signal, threading

        def test_changes():
            os.environ["CHANGED"] = "yes"
            os.chdir("/")
            sys.changed = True
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            threading.Thread(target=signal.pause, daemon=True).start()

        def test_sees_nothing_of_it():
            assert "CHANGED" not in os.environ
            assert os.getcwd() != "/"
            assert not hasattr(sys, "changed")
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
            assert threading.active_count() == 1
        """,
        "--fork-tests",
    )
    result.assert_outcomes(passed=2)
