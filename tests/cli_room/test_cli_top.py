"""unixipc top: frames for a pipe, a view on a terminal that is as before afterwards, and records that are read back."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import subprocess
import sys
import termios
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cli_room.commands import command, environment
from hypothesis import given, settings
from hypothesis import strategies as st

from unixipc import libc, posix, processes
from unixipc.cli import recording, sampling
from unixipc.cli.objects import Kind
from unixipc.cli.recording import HEAD, Recorder, RecordError
from unixipc.cli.sampling import Moment, Sample
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from cli_room.commands import Command, Invoke

    from unixipc.testing.plugin import Fork

CREATE = libc.IPC_CREAT | libc.IPC_EXCL | 0o600


@pytest.fixture
def populated(fork: Fork, ipc_namespace: processes.IpcLimits) -> Iterator[tuple[int, int]]:
    """Make a queue with two messages, a set that two wait for, and a POSIX queue and semaphore; give queue and set."""
    queue, semaphores = libc.msgget(0x5EA, CREATE), libc.semget(libc.IPC_PRIVATE, 2, CREATE)
    libc.msgsnd(queue, 1, b"hello")
    libc.msgsnd(queue, 1, b"world")
    libc.semop(semaphores, [(1, 3)])
    waiting = [fork(libc.semop, semaphores, [operation]) for operation in ((0, -1), (1, 0))]
    while not (libc.semctl(semaphores, 0, libc.GETNCNT) and libc.semctl(semaphores, 1, libc.GETZCNT)):
        pass
    with (
        posix.MessageQueue.create("/jobs", max_messages=5, max_size=64) as jobs,
        posix.Semaphore.create("/turn", 7) as turn,
        posix.SharedMemory.create("/frame", 4096) as frame,
    ):
        jobs.send(b"job")
        try:
            yield queue, semaphores
        finally:
            for thing in (jobs, turn, frame):
                thing.unlink()
    for child in waiting:
        child.kill(signal.SIGKILL)
        child.wait()


def sample(moment: Moment, kind: Kind) -> Sample:
    (found,) = (one for one in moment.samples if one.kind is kind)
    return found


def test_a_look_tells_what_is_in_each_object_and_who_waits(populated: tuple[int, int]) -> None:
    queue, semaphores = populated
    now, me = sampling.take(sampling.USUAL), os.getpid()
    assert now.lacking == ()
    messages = sample(now, Kind.SYSV_MSG)
    assert (messages.name, messages.depth, messages.bytes, messages.users) == (str(queue), 2, 10, (me,))
    assert messages.max_bytes == libc.msgctl(queue, libc.IPC_STAT).msg_qbytes
    found = sample(now, Kind.SYSV_SEM)
    assert (found.name, found.values, found.waiting, found.waiting_for_zero) == (
        str(semaphores),
        (0, 3),
        (1, 0),
        (0, 1),
    )
    assert (found.level, found.waiters) == (3, 2)
    jobs = sample(now, Kind.POSIX_MQ)
    assert (jobs.name, jobs.depth, jobs.max_depth, jobs.bytes) == ("/jobs", 1, 5, 3)
    assert sample(now, Kind.POSIX_SEM).values == (7,)
    assert sample(now, Kind.POSIX_SHM).bytes == 4096


def test_a_change_is_that_of_the_depth_in_a_second_and_the_greatest_is_first(populated: tuple[int, int]) -> None:
    queue, semaphores = populated
    before = replace(sampling.take(sampling.USUAL), time=1000.0)
    libc.msgrcv(queue, 100)
    libc.semop(semaphores, [(1, 3)])
    now = replace(sampling.take(sampling.USUAL), time=1002.0)
    changes = sampling.changes(before, now)
    first, second = changes[:2]
    assert (first.sample.kind, first.rate, first.active) == (Kind.SYSV_SEM, 1.5, True)
    assert (second.sample.kind, second.rate, second.active) == (Kind.SYSV_MSG, -0.5, True)
    assert {(one.rate, one.active) for one in changes[2:]} == {(0.0, False)}
    assert {one.rate for one in sampling.changes(None, now)} == {None}
    assert {one.rate for one in sampling.changes(now, before)} == {None}  # somebody has set the clock back


def test_what_is_new_is_active_and_has_no_rate(ipc_namespace: processes.IpcLimits) -> None:
    libc.msgget(libc.IPC_PRIVATE, CREATE)
    before = sampling.take({Kind.SYSV_MSG})
    made = libc.msgget(libc.IPC_PRIVATE, CREATE)
    first, second = sampling.changes(before, sampling.take({Kind.SYSV_MSG}))
    assert (first.sample.name, first.rate, first.active) == (str(made), None, True)
    assert not second.active


def test_a_pipe_gets_frames_of_plain_text(unixipc: Command, populated: tuple[int, int]) -> None:
    done = unixipc("top", "--count", 2, "--interval", "0.1")
    assert (done.returncode, done.stderr) == (0, "")
    frames = done.stdout.split("\n\n")
    assert (len(frames), frames.pop()) == (3, "")
    for frame in frames:
        moment, heading, *lines = frame.splitlines()
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}", moment)
        assert heading.startswith("kind ")
        assert all(line.isprintable() for line in lines)
        rows = {line.split()[0]: line for line in lines}
        assert rows.keys() == {"sysv-msg", "sysv-sem", "posix-mq", "posix-sem", "posix-shm"}
        assert "2 messages" in rows["sysv-msg"]
        assert "values 0 3" in rows["sysv-sem"]
        assert "1, 1 for 0" in rows["sysv-sem"]
        assert "1 of 5 messages" in rows["posix-mq"]
        assert "value 7" in rows["posix-sem"]


def test_kinds_choose_what_is_watched(unixipc: Command, populated: tuple[int, int]) -> None:
    done = unixipc("top", "--count", 1, "--kind", "posix-mq", "--kind", "memfd", "--json")
    head, line = done.stdout.splitlines()
    assert head == HEAD
    kinds = {row["kind"] for row in json.loads(line)["objects"]}
    assert "posix-mq" in kinds
    assert kinds <= {"posix-mq", "memfd"}


def test_a_reader_that_goes_ends_it_without_a_word() -> None:
    line = command("top", "--interval", "0.1")
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        assert program.stdout.readline()
        program.stdout.close()
        assert program.wait(DEADLINE) == 1
        assert program.stderr.read() == b""


def test_an_interrupt_ends_it_well_and_what_was_recorded_stays(tmp_path: Path) -> None:
    record = tmp_path / "load.jsonl"
    line = command("top", "--interval", "0.1", "--record", record)
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()) as program:
        assert program.stdout is not None
        assert program.stderr is not None
        seen = 0
        while seen < 3:
            seen += program.stdout.readline() == b"\n"
        program.send_signal(signal.SIGINT)
        assert program.wait(DEADLINE) == 0
        assert program.stderr.read() == b""
    (run,) = recording.read(str(record))
    assert len(run) >= 3
    assert record.read_bytes().endswith(b"\n")


class Terminal:
    """The program on a terminal, with what it has written so far."""

    def __init__(self, fork: Fork, *arguments: object) -> None:
        self.master, slave = os.openpty()
        termios.tcsetwinsize(slave, (12, 80))
        self.slave = os.dup(slave)
        self.before = termios.tcgetattr(slave)
        self.written = b""
        self.waited_for = 0

        def execute() -> None:
            os.login_tty(slave)
            os.execve(sys.executable, command(*arguments), environment() | {"TERM": "xterm-256color"})  # noqa: S606

        self.child = fork(execute)
        os.close(slave)

    def read_until(self, wanted: bytes) -> None:
        """Read on until this has come, after what was waited for before."""
        while (found := self.written.find(wanted, self.waited_for)) < 0:
            ready, _, _ = select.select([self.master], [], [], DEADLINE)
            assert ready, self.written[self.waited_for :]
            self.written += os.read(self.master, 65536)
        self.waited_for = found + len(wanted)

    def end(self) -> int | None:
        """Wait for its end, and see that the terminal is as before."""
        status = self.child.wait().returncode
        while select.select([self.master], [], [], 0)[0]:
            self.written += os.read(self.master, 65536)
        assert termios.tcgetattr(self.slave) == self.before
        assert self.written.count(b"\x1b[?1049h") == self.written.count(b"\x1b[?1049l") > 0  # the other screen
        assert self.written.rindex(b"\x1b[?25h") > self.written.rindex(b"\x1b[?25l")  # the cursor
        os.close(self.slave)
        os.close(self.master)
        return status


@pytest.mark.parametrize("key", [b"q", b"\x03"])
def test_a_key_leaves_and_the_terminal_is_as_before(fork: Fork, populated: tuple[int, int], key: bytes) -> None:
    terminal = Terminal(fork, "top", "--interval", "1h")
    terminal.read_until(b"values 0 3")
    assert termios.tcgetattr(terminal.slave) != terminal.before
    os.write(terminal.master, key)
    assert terminal.end() == 0


def test_a_signal_that_ends_it_leaves_the_terminal_as_before(fork: Fork) -> None:
    terminal = Terminal(fork, "top", "--interval", "1h")
    terminal.read_until(b"q leaves")
    terminal.child.kill(signal.SIGTERM)
    assert terminal.end() == 128 + signal.SIGTERM


def test_a_terminal_that_grows_or_shrinks_is_filled_anew(fork: Fork, populated: tuple[int, int]) -> None:
    terminal = Terminal(fork, "top", "--interval", "1h")
    terminal.read_until(b"values 0 3")
    assert b"last users" not in terminal.written
    termios.tcsetwinsize(terminal.slave, (12, 140))
    terminal.read_until(b"last users")
    termios.tcsetwinsize(terminal.slave, (6, 60))
    terminal.read_until("… and 3 more".encode())
    os.write(terminal.master, b"q")
    assert terminal.end() == 0


def test_by_ctrl_z_the_terminal_is_given_back_and_taken_again_afterwards(fork: Fork) -> None:
    """Its process group is one that nobody could continue: so the kernel does not stop it, and it goes on at once."""
    terminal = Terminal(fork, "top", "--interval", "1h")
    terminal.read_until(b"q leaves")
    terminal.child.kill(signal.SIGTSTP)
    terminal.read_until(b"\x1b[?1049l")
    terminal.read_until(b"q leaves")
    os.write(terminal.master, b"q")
    assert terminal.end() == 0


def test_the_last_frame_stays_after_a_count(fork: Fork, populated: tuple[int, int]) -> None:
    terminal = Terminal(fork, "top", "--count", 1)
    terminal.read_until(b"\x1b[?1049l")
    assert terminal.end() == 0
    assert b"values 0 3" in terminal.written.rpartition(b"\x1b[?1049l")[2]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_what_may_not_be_read_is_told_and_the_rest_is_watched(
    fork: Fork, populated: tuple[int, int], capfd: pytest.CaptureFixture[str]
) -> None:
    from unixipc.cli import watching

    def watch_as_nobody() -> None:
        os.setuid(65534)
        watching.top(count=2, interval="0.1")

    fork(watch_as_nobody).result()
    shown, told = capfd.readouterr()
    if not os.path.ismount("/dev/mqueue"):
        assert re.fullmatch(r"unixipc top: .*Operation not permitted: it needs CAP_SYS_ADMIN.*\n", told)
    for kind in ("sysv-sem", "posix-sem"):
        assert len(re.findall(rf"^{kind} .*may not be read", shown, re.MULTILINE)) == 2
    assert len(re.findall("^sysv-msg .*2 messages", shown, re.MULTILINE)) == 2


@pytest.mark.parametrize(
    "arguments",
    [["--interval", "0"], ["--interval", "nan"], ["--interval", "2d"], ["--count", "0"], ["--kind", "other"]],
)
def test_what_makes_no_sense_is_an_error_of_usage(invoke: Invoke, arguments: list[str]) -> None:
    done = invoke("top", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")


# Records

number = st.integers(0, 2**63)
numbers = st.none() | st.lists(number, min_size=1, max_size=4).map(tuple)
samples = st.builds(
    Sample,
    kind=st.sampled_from(Kind),
    name=st.text() | st.binary().map(os.fsdecode),
    inode=st.none() | number,
    owner=st.text(),
    depth=st.none() | number,
    max_depth=st.none() | number,
    bytes=st.none() | number,
    max_bytes=st.none() | number,
    attached=st.none() | number,
    values=numbers,
    waiting=numbers,
    waiting_for_zero=numbers,
    used=st.none() | number,
    users=st.lists(number, max_size=3).map(tuple),
)
moments = st.builds(
    Moment,
    time=st.floats(allow_nan=False, allow_infinity=False),
    samples=st.lists(samples, max_size=3).map(tuple),
    lacking=st.lists(st.text(), max_size=2).map(tuple),
)


@given(st.lists(st.lists(moments, max_size=3), max_size=3))
@settings(max_examples=50)
def test_what_was_recorded_is_read_back(runs: list[list[Moment]]) -> None:
    path = f"/proc/self/fd/{(file := os.memfd_create('record'))}"
    try:
        for run in runs:
            with Recorder(path) as recorder:
                for moment in run:
                    recorder.add(moment)
        if any(runs):
            assert recording.read(path) == [run for run in runs if run]
        else:
            with pytest.raises(RecordError, match=r"is empty|has no moments"):
                recording.read(path)
    finally:
        os.close(file)


MOMENT = Moment(1.5, (Sample(Kind.SYSV_MSG, "3", depth=2),))


def test_a_run_after_one_that_broke_off_can_be_read(tmp_path: Path) -> None:
    path = tmp_path / "record"
    with Recorder(str(path)) as recorder:
        recorder.add(MOMENT)
    os.truncate(path, path.stat().st_size - 7)
    assert path.read_bytes().count(b"\n") == 1
    with Recorder(str(path)) as recorder:
        recorder.add(MOMENT)
        recorder.add(MOMENT)
    assert recording.read(str(path)) == [[MOMENT, MOMENT]]


@pytest.mark.parametrize(
    "content", ["something else\n", "{}\n", "[1]\n", "3", "{", '{"record": "other"}\n', "\0" * 5000]
)
def test_what_is_no_record_is_left_alone(invoke: Invoke, tmp_path: Path, content: str) -> None:
    path = tmp_path / "precious"
    path.write_text(content)
    done = invoke("top", "--count", "1", "--record", str(path))
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == f"unixipc top: {path} is no record of `unixipc top`\n"
    assert path.read_text() == content


def test_a_file_that_cannot_be_written_is_an_error_in_one_line(unixipc: Command) -> None:
    for path, why in (("/nowhere/record", "No such file or directory"), ("/dev/full", "No space left on device")):
        done = unixipc("top", "--count", 1, "--record", path)
        assert (done.returncode, done.stdout, done.stderr) == (1, "", f"unixipc top: {path}: {why}\n")


def test_json_is_the_record(unixipc: Command, tmp_path: Path, populated: tuple[int, int]) -> None:
    path = tmp_path / "record"
    shown = unixipc("top", "--count", 2, "--interval", "0.1", "--json", "--record", path).stdout
    assert path.read_text() == shown
