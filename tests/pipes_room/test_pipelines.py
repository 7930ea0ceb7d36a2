"""unixipc.pipes: commands that are connected by pipes, and how each of them ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc, pipes, processes
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from unixipc.testing.plugin import Fork

SHORT = 0.05


def children() -> set[str]:
    return set(Path("/proc/thread-self/children").read_text().split())


def open_descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def test_what_one_command_writes_the_next_one_reads() -> None:
    result = pipes.run("sort", ["uniq", "-c"], "tr -d ' '", input=b"b\na\nb\n", timeout=DEADLINE)
    assert result.output == b"1a\n2b\n"
    assert [str(status) for status in result.statuses] == ["exited with status 0"] * 3


def test_threads_that_wait_for_the_same_pipeline_all_learn_how_it_ended() -> None:
    before = sys.getswitchinterval()
    learned: list[object] = []

    def wait(line: pipes.Pipeline) -> None:
        try:
            learned.extend(status.exit_code for status in line.wait())
        except OSError as error:
            learned.append(error)

    sys.setswitchinterval(1e-6)
    try:
        for _ in range(50):
            with pipes.pipeline("true") as line:
                threads = [threading.Thread(target=wait, args=(line,)) for _ in range(4)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join(DEADLINE)
    finally:
        sys.setswitchinterval(before)
    assert learned == [0] * 200


def test_every_command_tells_how_it_ended() -> None:
    commands = [shell("exit 3"), shell("kill -KILL $$"), shell("kill -TERM $$"), shell("cat; exit 7"), "true"]
    statuses = pipes.run(*commands, timeout=DEADLINE).statuses
    assert [status.exit_code for status in statuses] == [3, None, None, 7, 0]
    assert [status.signal for status in statuses] == [None, libc.SIGKILL, libc.SIGTERM, None, None]
    assert all(status.usage is not None for status in statuses)
    assert len({status.pid for status in statuses}) == 5


@pytest.mark.parametrize("stages", [1, 5])
def test_data_larger_than_all_pipes_goes_through_without_a_deadlock(stages: int) -> None:
    data = os.urandom(5_000_000)
    result = pipes.run(*["cat"] * stages, input=data, timeout=DEADLINE)
    assert result.output == data
    assert [status.success for status in result.statuses] == [True] * stages


def test_output_and_errors_are_read_together() -> None:
    script = shell("head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2")
    result = pipes.run(script, ["sh", "-c", "cat; echo done >&2"], stderr=PIPE, timeout=DEADLINE)
    assert (len(result.output), len(result.errors), b"done\n" in result.errors) == (1_000_000, 1_000_005, True)


def test_sigpipe_ends_commands_as_in_a_shell() -> None:
    result = pipes.run("yes", "head -n 1", timeout=DEADLINE)
    assert result.output == b"y\n"
    assert [status.signal for status in result.statuses] == [libc.SIGPIPE, None]


def test_a_command_that_reads_only_some_of_the_input_is_no_error() -> None:
    result = pipes.run("head -c 3", input=bytes(1_000_000), timeout=DEADLINE)
    assert (result.output, result.statuses[0].success) == (bytes(3), True)


def test_a_pipeline_inherits_what_it_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"from a file")
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as target, pipes.pipe() as (end, stderr):
        commands = (shell("cat; pwd >&2"), shell("cat; echo $GREETING >&2"))
        with pipes.pipeline(
            *commands, stdin=source, stdout=target, stderr=stderr, env=os.environ | {"GREETING": "hi"}, cwd=tmp_path
        ) as line:
            assert [status.success for status in line.wait(DEADLINE)] == [True, True]
            assert (line.stdin, line.stdout, line.stderr) == (None, None, None)
        stderr.close()
        assert sorted(b"".join(end).split()) == sorted([os.fsencode(tmp_path), b"hi"])
    assert (tmp_path / "out").read_bytes() == b"from a file"


def test_stderr_can_go_where_stdout_goes() -> None:
    result = pipes.run(shell("echo one >&2"), shell("cat; echo two >&2"), stderr=STDOUT, timeout=DEADLINE)
    assert result.output == b"one\ntwo\n"


def test_the_ends_can_be_used_one_by_one() -> None:
    with pipes.pipeline("cat", "cat", stdin=PIPE, stdout=PIPE) as line:
        assert line.stdin is not None
        assert line.stdout is not None
        for word in (b"there", b"back"):
            line.stdin.write(word)
            assert line.stdout.read_exactly(len(word), DEADLINE) == word
        assert {str(pid) for pid in line.pids} <= children()
        line.stdin.close()
        assert line.stdout.read(timeout=DEADLINE) == b""
        assert [status.success for status in line.wait(DEADLINE)] == [True, True]
        assert line.wait(0) == line.wait()


def test_a_command_that_does_not_exist_is_named_and_the_others_are_ended() -> None:
    before, fds = children(), open_descriptors()
    for stream in (None, PIPE):
        with pytest.raises(FileNotFoundError, match="no-such-command"):
            pipes.pipeline("sleep 1000", "no-such-command", "cat", stdin=stream, stdout=stream, stderr=stream)
    assert (children(), open_descriptors()) == (before, fds)


def test_a_timeout_of_wait_names_what_still_runs_and_kills_nothing() -> None:
    with pipes.pipeline("true", "sleep 1000", stdin=DEVNULL) as line:
        os.waitid(os.P_PID, line.pids[0], os.WEXITED | os.WNOWAIT)
        with pytest.raises(TimeoutError, match=r"these still run: 'sleep' \(\d+\)$"):
            line.wait(SHORT)
        line.kill(libc.SIGTERM)
        assert [status.signal for status in line.wait(DEADLINE)] == [None, libc.SIGTERM]


def test_a_timeout_of_run_kills_everything() -> None:
    before, fds = children(), open_descriptors()
    with pytest.raises(TimeoutError, match=r"these still run: 'sleep' \(\d+\), 'cat' \(\d+\)$"):
        pipes.run("sleep 1000", "cat", timeout=SHORT)
    assert (children(), open_descriptors()) == (before, fds)


def test_a_with_block_leaves_no_process_and_no_descriptor() -> None:
    before, fds = children(), open_descriptors()
    with pipes.pipeline("cat", "sleep 1000", "cat", stdin=PIPE, stdout=PIPE, stderr=PIPE) as line:
        assert len(children() - before) == 3
    line.close()
    assert (children(), open_descriptors()) == (before, fds)
    assert line.wait()[1].signal == libc.SIGKILL


def test_a_pipeline_that_is_dropped_is_ended_with_a_warning() -> None:
    before, fds = children(), open_descriptors()
    with pytest.warns(ResourceWarning, match=r"<Pipeline sleep \| cat> was never waited for"):
        pipes.pipeline("sleep 1000", "cat")
    assert (children(), open_descriptors()) == (before, fds)


def test_many_pipelines_leave_nothing_behind() -> None:
    before, fds = children(), open_descriptors()
    for _ in range(20):
        assert pipes.run("cat", "cat", input=b"x", timeout=DEADLINE).output == b"x"
    assert (children(), open_descriptors()) == (before, fds)


def test_a_forked_child_does_nothing_to_the_commands(fork: Fork) -> None:
    with pipes.pipeline("cat", stdin=PIPE, stdout=PIPE) as line:

        def child() -> None:
            line.kill()
            line.close()

        fork(child).result()
        assert line.communicate(b"still there", DEADLINE).output == b"still there"


def test_a_status_that_somebody_else_took_is_not_invented(fork: Fork) -> None:
    def child() -> None:
        with pipes.pipeline("true", "cat", stdin=DEVNULL, stdout=DEVNULL) as line:
            os.waitpid(line.pids[0], 0)
            with pytest.raises(ChildProcessError, match="somebody else waited for it, or SIGCHLD is ignored"):
                line.wait(DEADLINE)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        with pytest.raises(ChildProcessError, match="SIGCHLD is ignored"):
            pipes.run("true", timeout=DEADLINE)

    fork(child).result()


def test_statuses_are_those_of_the_room_of_processes() -> None:
    assert type(pipes.run("true").statuses[0]) is processes.ExitStatus


@pytest.mark.parametrize(
    ("commands", "error"),
    [
        ([], ValueError),
        ([""], ValueError),
        ([[]], ValueError),
        (["unbalanced '"], ValueError),
        ([["a\0b"]], ValueError),
        ([5], TypeError),
        ([None], TypeError),
        ([b"ls"], TypeError),
        ([["ls", 5]], TypeError),
    ],
    ids=str,
)
def test_what_is_no_command_is_refused(commands: list[Any], error: type[Exception]) -> None:
    before, fds = children(), open_descriptors()
    with pytest.raises(error):
        pipes.pipeline(*commands)
    assert (children(), open_descriptors()) == (before, fds)


def test_input_that_nobody_reads_is_refused() -> None:
    with pipes.pipeline("true", stdin=DEVNULL) as line, pytest.raises(ValueError, match="nobody reads the input"):
        line.communicate(b"x")
    for wrong in ("text", 5, None):
        with pytest.raises(TypeError):
            pipes.run("cat", input=wrong)  # type: ignore[arg-type]


def test_what_a_handler_raises_ends_everything(fork: Fork) -> None:
    def child() -> None:
        before = children()

        def fails(signum: int) -> None:
            raise ZeroDivisionError("of the handler")

        libc.sigaction(libc.SIGALRM, libc.Sigaction(fails))
        strikes = shell("read line; kill -ALRM $PPID; exec sleep 1000")  # once it has its input, for which all must run
        with pytest.raises(ZeroDivisionError, match="of the handler"):
            pipes.run(strikes, "cat", input=b"\n", timeout=DEADLINE)
        assert children() == before

    fork(child).result()


def test_an_interpreter_that_ends_with_a_pipeline_open_says_nothing_worse_than_a_warning() -> None:
    code = "from unixipc import pipes; line = pipes.pipeline('sleep 0.01')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False, timeout=DEADLINE)
    assert (done.returncode, done.stderr) == (0, b"")
