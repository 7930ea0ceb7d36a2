"""unixipc.testing.plugin: the check for leaks, and IPC objects of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from unixipc import testing

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow


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


IN_BOTH = pytest.mark.parametrize("where", [[], ["--fork-tests"]], ids=["here", "in children"])

LEAKS = """
import os, signal
import pytest
from unixipc import libc

made = []

@pytest.fixture(scope="module", autouse=True)
def wider():
    fd = os.open("/dev/null", os.O_RDONLY)
    yield
    os.close(fd)
    for queue in made:
        libc.msgctl(queue, libc.IPC_RMID)

@pytest.fixture
def queue():
    queue = libc.msgget(libc.IPC_PRIVATE, 0o600)
    yield queue
    libc.msgctl(queue, libc.IPC_RMID)

def test_before(queue, capfd, caplog, tmp_path, monkeypatch, fork):
    fork(int).result()

def test_queue():
    made.append(libc.msgget(libc.IPC_PRIVATE, 0o600))

def test_between():
    pass

def test_descriptor():
    os.open("/dev/zero", os.O_RDONLY)

@pytest.fixture
def keeps_open():
    return os.open("/dev/zero", os.O_RDONLY)

def test_descriptor_of_a_fixture(keeps_open):
    pass

def test_mask_and_failure():
    libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
    assert not "fine"

@pytest.mark.may_leak("descriptor")
def test_may():
    os.open("/dev/zero", os.O_RDONLY)

@pytest.mark.may_leak
def test_may_anything():
    os.open("/dev/zero", os.O_RDONLY)
    libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR2})

def test_after(queue):
    pass
"""


@IN_BOTH
def test_a_test_that_leaves_something_behind_fails_alone(
    run: Callable[..., pytest.RunResult], where: list[str]
) -> None:
    with testing.private_ipc():
        result = run(LEAKS, "-o", "unixipc_leak_check=true", *where)
    result.assert_outcomes(passed=8, failed=1, errors=4)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_queue*",
            "left behind: System V message queue: id *",
            "*ERROR at teardown of test_descriptor _*",
            "left behind: descriptor: * (/dev/zero)",
            "*ERROR at teardown of test_descriptor_of_a_fixture*",
            "left behind: descriptor: * (/dev/zero)",
            "*ERROR at teardown of test_mask_and_failure*",
            "left behind: signal mask: *SIGUSR1*",
            "ERROR *::test_queue - Failed: left behind: System V message queue: *",
        ]
    )


@IN_BOTH
def test_one_test_can_ask_for_the_check(run: Callable[..., pytest.RunResult], where: list[str]) -> None:
    result = run(
        """
        import os

        def test_checked(no_leaks):
            os.open("/dev/zero", os.O_RDONLY)

        def test_not_checked():
            os.open("/dev/zero", os.O_RDONLY)
        """,
        *where,
    )
    result.assert_outcomes(passed=2, errors=1)


def test_what_a_crashed_test_leaves_in_the_system_is_told(run: Callable[..., pytest.RunResult]) -> None:
    source = """
        import os
        from unixipc import libc

        def test_crashes():
            libc.msgget(libc.IPC_PRIVATE, 0o600)
            os.abort()
        """
    with testing.private_ipc():
        result = run(source, "--fork-tests", "-o", "unixipc_leak_check=true")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*Left behind*", "System V message queue: id *"])


def test_a_mark_that_names_no_kind_is_told(run: Callable[..., pytest.RunResult]) -> None:
    result = run("import pytest\n@pytest.mark.may_leak('socks')\ndef test(no_leaks):\n    pass")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*::test: 'socks' is not a valid LeakKind; the mark may_leak takes descriptor, *"])


OBJECTS = """
import os, pathlib, pytest
from unixipc import inventory, libc

def objects():
    return len(pathlib.Path("/proc/sysvipc/msg").read_text().splitlines()) - 1, len(os.listdir("/dev/shm"))

def test_one():
    libc.msgget(libc.IPC_PRIVATE, 0o600)
    open("/dev/shm/unixipc-test-of-its-own", "x").close()
    assert objects() == (1, 1)

def test_two():
    assert objects() == {second}
"""


@IN_BOTH
@pytest.mark.parametrize(("whose", "second"), [("run", (1, 1)), ("test", (0, 0))])
def test_ipc_objects_belong_to_the_run_or_to_each_test(
    run: Callable[..., pytest.RunResult], where: list[str], whose: str, second: tuple[int, int]
) -> None:
    result = run(OBJECTS.format(second=second), "-o", f"unixipc_ipc_namespace={whose}", *where)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines([f"unixipc: *IPC objects of its own for each {whose}"])


@IN_BOTH
def test_a_leak_is_found_in_a_namespace_of_its_own(run: Callable[..., pytest.RunResult], where: list[str]) -> None:
    source = "from unixipc import libc\ndef test():\n    libc.msgget(libc.IPC_PRIVATE, 0o600)"
    result = run(source, "-o", "unixipc_ipc_namespace=test", "-o", "unixipc_leak_check=true", *where)
    result.assert_outcomes(passed=1, errors=1)


@IN_BOTH
def test_a_test_can_have_limits_of_its_own(run: Callable[..., pytest.RunResult], where: list[str]) -> None:
    result = run(
        """
        from unixipc import libc

        def test_limits(ipc_namespace, no_leaks):
            ipc_namespace.msgmax = 100
            queue = libc.msgget(libc.IPC_PRIVATE, 0o600)
            try:
                libc.msgsnd(queue, 1, bytes(101))
            except OSError:
                return
            assert not "sent"
        """,
        *where,
    )
    result.assert_outcomes(passed=1)


def test_a_namespace_that_is_not_allowed_skips_the_test(run: Callable[..., pytest.RunResult]) -> None:
    result = run(
        """
        import pytest
        from unixipc import testing

        @pytest.fixture(autouse=True)
        def refuse(monkeypatch):
            def refused():
                raise PermissionError("not allowed here")
            monkeypatch.setattr(testing, "private_ipc", refused)

        def test(ipc_namespace):
            pass
        """
    )
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["SKIPPED*: no IPC objects of its own: not allowed here"])


def test_a_setting_that_means_nothing_is_told(run: Callable[..., pytest.RunResult]) -> None:
    result = run("", "-o", "unixipc_ipc_namespace=mine")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*unixipc_ipc_namespace is 'mine': it can be 'run' or 'test'"])
