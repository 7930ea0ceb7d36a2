"""unixipc tour: what it shows, what it says about the machine, and that nothing stays behind, also after Ctrl-C."""

import errno
import inspect
import json
import os
import re
import select
import subprocess
import sys
import tempfile
import termios
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from test_ledger import OURS, STDLIB

from unixipc import libc, sockets
from unixipc.cli import mechanisms
from unixipc.cli.exchange import Exchange, MismatchError, NamedTurn, Side, UnavailableError, expect
from unixipc.cli.mechanisms import MECHANISMS
from unixipc.cli.tour import Mechanism, Row, Verdict, run
from unixipc.testing import DEADLINE
from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.slow

TOUR = [sys.executable, "-m", "unixipc", "tour"]
WHOLE = 4 * DEADLINE
"""How long a tour may take: it starts a dozen interpreters one after the other."""
NAMES = [mechanism.name for mechanism in MECHANISMS]
KEYS = ["mechanism", "processes", "calls", "travelled", "object", "round_trip_us", "verdict", "reason"]
NOT_IN_A_ROW = {
    "abort": "it would leave a core file",
    "dlvsym": "which versions a symbol has depends on the processor",
}


class Recorder:
    """A report that keeps the rows."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def __enter__(self) -> None:
        pass

    def __exit__(self, *raised: object) -> None:
        pass

    def begins(self, mechanism: Mechanism) -> None:
        pass

    def ended(self, row: Row) -> None:
        self.rows.append(row)


def tour(
    *runs: Callable[[Exchange], float], seconds: float = DEADLINE, unrelated: bool = False
) -> tuple[int, list[Row]]:
    recorder = Recorder()
    fakes = [Mechanism(f"fake {i}", ("msgget",), "data", function, unrelated) for i, function in enumerate(runs)]
    return run(fakes, recorder, seconds), recorder.rows


def works(exchange: Exchange) -> float:
    exchange.object = "nothing"
    return 0.000_002_5


def children() -> set[int]:
    return {int(pid) for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()}


@pytest.fixture
def adopted() -> Iterator[None]:
    """Become the parent of whatever a child leaves running, and see that it ends by itself."""
    libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
        while orphans := children():
            for pid in orphans:
                pidfd = libc.pidfd_open(pid)
                ended, _, _ = select.select([pidfd], [], [], DEADLINE)
                os.close(pidfd)
                assert ended, f"process {pid} was left running"
                os.waitpid(pid, 0)
    finally:
        libc.prctl(libc.PR_SET_CHILD_SUBREAPER, 0)


# -- verdicts --


def test_a_mechanism_that_works_is_ok_with_its_time_in_microseconds() -> None:
    row = Row("fake 0", "related", ("msgget",), "data", "nothing", 2.5, Verdict.OK)
    assert tour(works) == (0, [row])


def lacks_a_call(exchange: Exchange) -> float:
    raise OSError(errno.ENOSYS, "msgrcv(): Function not implemented: the kernel needs CONFIG_THIS")


def lacks_a_call_in_a_child(exchange: Exchange) -> float:
    exchange.finish(exchange.fork(lambda: lacks_a_call(exchange)), exchange.fork(libc.pause))
    return 0.0


def says_what_it_lacks(exchange: Exchange) -> float:
    raise UnavailableError("the kernel needs CONFIG_THIS")


@pytest.mark.parametrize("lacking", [lacks_a_call, lacks_a_call_in_a_child, says_what_it_lacks])
def test_what_the_machine_lacks_is_unavailable_and_says_why_and_the_tour_goes_on(
    lacking: Callable[[Exchange], float],
) -> None:
    status, rows = tour(lacking, works)
    assert status == 0
    assert [row.verdict for row in rows] == [Verdict.UNAVAILABLE, Verdict.OK]
    assert rows[0].reason is not None
    assert rows[0].reason.endswith("the kernel needs CONFIG_THIS")
    assert "[Errno" not in rows[0].reason


def test_wrong_data_fails_and_so_does_the_tour() -> None:
    def garbles(exchange: Exchange) -> float:
        there, back = exchange.pipe(), exchange.pipe()

        def ping() -> Side:
            return Side(lambda data: os.write(there[1], data), lambda: os.read(back[0], 64))

        def pong() -> Side:
            return Side(lambda data: os.write(back[1], data.upper()), lambda: os.read(there[0], 64))

        return exchange.ping_pong(ping, pong)

    status, rows = tour(works, garbles, works)
    assert status == 1
    assert [row.verdict for row in rows] == [Verdict.OK, Verdict.FAILED, Verdict.OK]
    assert re.match(r"answer 0: expected b'pong 0 .*', received b'PONG 0 .*'$", str(rows[1].reason))
    assert rows[1].round_trip_us is None


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("division by zero"), "ZeroDivisionError: division by zero"),
        (BlockingIOError(errno.EAGAIN, "no signal came"), "BlockingIOError: [Errno 11] no signal came"),
    ],
)
def test_what_nobody_expects_fails(error: Exception, reason: str) -> None:
    def breaks(exchange: Exchange) -> float:
        raise error

    status, (row,) = tour(breaks)
    assert (status, row.verdict, row.reason) == (1, Verdict.FAILED, reason)


def test_a_child_that_dies_fails() -> None:
    def dies(exchange: Exchange) -> float:
        exchange.finish(exchange.fork(lambda: libc.raise_(libc.SIGKILL)), exchange.fork(libc.pause))
        return 0.0

    status, (row,) = tour(dies)
    assert (status, row.verdict) == (1, Verdict.FAILED)
    assert "was killed by SIGKILL" in str(row.reason)


def test_a_mechanism_that_does_not_end_fails_at_its_deadline() -> None:
    def hangs(exchange: Exchange) -> float:
        exchange.finish(exchange.fork(libc.pause))
        return 0.0

    status, (row,) = tour(hangs, seconds=0.05)
    assert (status, row.verdict, row.reason) == (1, Verdict.FAILED, "TimeoutError: not done within 0.05 seconds")


def test_what_cannot_be_removed_fails() -> None:
    def loses_its_queue(exchange: Exchange) -> float:
        queue = libc.msgget(libc.IPC_PRIVATE, libc.IPC_CREAT | 0o600)
        exchange.defer(libc.msgctl, queue, libc.IPC_RMID)
        libc.msgctl(queue, libc.IPC_RMID)
        return 0.0

    status, (row,) = tour(loses_its_queue)
    assert (status, row.verdict) == (1, Verdict.FAILED)
    assert str(row.reason).startswith("RuntimeError: not everything was removed: ")


def test_a_child_starts_with_every_signal_blocked() -> None:
    def looks(exchange: Exchange) -> float:
        child = exchange.fork(lambda: libc.sigprocmask(libc.SIG_BLOCK))
        exchange.finish(child)
        expect(child.result(), libc.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}, "mask")
        return 0.0

    assert tour(looks)[0] == 0


# -- unrelated processes --


class Known:
    """What a fork has of its parent, and a fresh interpreter has not."""

    here = False


def look(there: Path) -> None:
    """Write down what this process knows."""
    descriptors = sorted(int(link.name) for link in Path("/proc/self/fd").iterdir() if link.exists())
    there.write_text(json.dumps([os.getpid(), os.getppid(), Known.here, descriptors]))


@pytest.mark.parametrize("unrelated", [False, True])
def test_only_a_related_process_knows_what_it_was_not_told(unrelated: bool, tmp_path: Path) -> None:
    there = tmp_path / "known"

    def looks(exchange: Exchange) -> float:
        Known.here = True
        pipe = exchange.pipe()
        other = exchange.other(partial(look, there))
        exchange.finish(other)
        pid, ppid, known, descriptors = json.loads(there.read_text())
        assert (pid, ppid, known) == (other.pid, os.getpid(), not unrelated)
        assert descriptors == [0, 1, 2] if unrelated else set(pipe) <= set(descriptors)
        return 0.0

    assert tour(looks, unrelated=unrelated)[0] == 0


def complain(text: str) -> None:
    raise MismatchError(text)


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (partial(complain, "answer 7 is µ"), "in the unrelated process: answer 7 is µ"),
        (partial(os.rmdir, "/"), r"in the unrelated process: OSError: \[Errno 16\] .*: '/'"),
        (partial(sys.exit, 3), "ChildProcessError: child .* executed .*python.*, which exited with status 3"),
        (partial(libc.raise_, libc.SIGKILL), "ChildProcessError: child .* executed .*, which was killed by SIGKILL.*"),
        (lambda: None, "(PicklingError|AttributeError): .*lambda.*"),
    ],
)
def test_what_goes_wrong_in_an_unrelated_process_is_told_in_its_row(function: Callable[[], None], reason: str) -> None:
    def fails(exchange: Exchange) -> float:
        exchange.finish(exchange.fork(libc.pause), exchange.other(function))
        return 0.0

    status, (row,) = tour(fails, unrelated=True)
    assert (status, row.verdict, row.processes) == (1, Verdict.FAILED, "unrelated")
    assert re.fullmatch(reason, str(row.reason))


def nothing() -> None:
    pass


def interrupt(pid: int) -> None:
    libc.kill(pid, libc.SIGINT)
    libc.pause()


@pytest.mark.parametrize("moment", ["before it starts", "while it starts", "while it runs", "when it has ended"])
def test_an_interruption_ends_an_unrelated_process_at_every_moment(moment: str) -> None:
    def is_hit(exchange: Exchange) -> float:
        if moment == "before it starts":
            libc.raise_(libc.SIGINT)
        if moment == "while it runs":
            exchange.finish(exchange.other(partial(interrupt, os.getpid())))
        stranger = exchange.other(nothing if moment == "when it has ended" else libc.pause)
        if moment == "while it starts":
            libc.raise_(libc.SIGINT)
        if moment == "when it has ended":
            stranger.wait(DEADLINE)
            libc.raise_(libc.SIGINT)
        exchange.finish(stranger, exchange.fork(libc.pause))
        return 0.0

    assert tour(is_hit, unrelated=True)[0] == 130
    assert not children()


def say_and_wait(there: Path) -> None:
    NamedTurn(there).give()
    libc.pause()


def test_an_unrelated_process_ends_with_a_tour_that_is_killed(fork: Fork, adopted: None, tmp_path: Path) -> None:
    there = tmp_path / "running"
    libc.mkfifo(there, 0o600)

    def hangs(exchange: Exchange) -> float:
        exchange.finish(exchange.other(partial(say_and_wait, there)))
        return 0.0

    touring = fork(lambda: tour(hangs, unrelated=True))
    running = os.open(there, os.O_RDWR)
    assert select.select([running], [], [], DEADLINE)[0]
    os.close(running)
    touring.kill(libc.SIGKILL)
    touring.wait()  # and `adopted` sees that nobody is left


# -- interruption --


@pytest.mark.parametrize("signum", [libc.SIGHUP, libc.SIGINT, libc.SIGTERM])
def test_an_interruption_ends_a_mechanism_that_hangs_and_removes_what_it_made(
    signum: libc.Signal, capsys: pytest.CaptureFixture[str]
) -> None:
    def hangs(exchange: Exchange) -> float:
        def interrupts() -> None:
            libc.kill(os.getppid(), signum)
            libc.pause()

        queue = libc.msgget(libc.IPC_PRIVATE, libc.IPC_CREAT | 0o600)
        exchange.defer(libc.msgctl, queue, libc.IPC_RMID)
        exchange.path("fifo").touch()
        exchange.finish(exchange.fork(interrupts), exchange.fork(lambda: libc.msgrcv(queue, 1)))
        return 0.0

    status, rows = tour(works, hangs, works)
    assert (status, len(rows)) == (128 + signum, 1)
    assert capsys.readouterr().err == f"interrupted by {signum.name} after 1 of 3 mechanisms: nothing is left behind\n"
    assert not children()


def test_an_interruption_between_making_and_noting_waits_until_both_are_done() -> None:
    made = []

    def is_hit(exchange: Exchange) -> float:
        queue = libc.msgget(libc.IPC_PRIVATE, libc.IPC_CREAT | 0o600)
        libc.raise_(libc.SIGINT)
        exchange.defer(libc.msgctl, queue, libc.IPC_RMID)
        made.append(queue)
        exchange.finish(exchange.fork(libc.pause))
        return 0.0

    assert tour(is_hit)[0] == 130
    with pytest.raises(OSError, match="msgctl"):
        libc.msgctl(made[0], libc.IPC_STAT)


def test_an_interruption_between_two_mechanisms_stops_before_the_next() -> None:
    def is_hit(exchange: Exchange) -> float:
        libc.raise_(libc.SIGTERM)
        return 0.0

    status, rows = tour(is_hit, works)
    assert (status, len(rows)) == (143, 1)


def test_a_second_interruption_does_not_disturb_the_removal() -> None:
    removed: list[str] = []

    def is_hit_twice(exchange: Exchange) -> float:
        exchange.defer(removed.append, "the last")
        exchange.defer(libc.raise_, libc.SIGINT)
        exchange.defer(libc.raise_, libc.SIGTERM)
        libc.raise_(libc.SIGINT)
        exchange.finish(exchange.fork(libc.pause))
        return 0.0

    assert tour(is_hit_twice)[0] == 130
    assert removed == ["the last"]


def test_an_interruption_during_a_failing_removal_is_not_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    def fails_to_remove(exchange: Exchange) -> float:
        exchange.defer(lambda: 1 // 0)
        libc.raise_(libc.SIGINT)
        exchange.finish(exchange.fork(libc.pause))
        return 0.0

    status, rows = tour(fails_to_remove, works)
    assert (status, [row.verdict for row in rows]) == (130, [Verdict.FAILED])
    assert "nothing is left" not in capsys.readouterr().err


@pytest.mark.parametrize("mechanism", MECHANISMS, ids=NAMES)
def test_each_mechanism_removes_what_it_made_when_it_is_interrupted(
    mechanism: Mechanism, adopted: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupting(Recorder):
        def begins(self, mechanism: Mechanism) -> None:
            super().begins(mechanism)
            libc.raise_(libc.SIGINT)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert run([mechanism], Interrupting()) == 130
    assert not list(tmp_path.iterdir())


# -- the mechanisms --


def test_every_mechanism_has_a_name_of_its_own() -> None:
    assert len(set(NAMES)) == len(NAMES)


def test_the_calls_of_each_row_are_in_its_source() -> None:
    for mechanism in MECHANISMS:
        family = sys.modules[mechanism.run.__module__]
        homes = {sys.modules[value.__module__] for value in vars(family).values() if inspect.isfunction(value)}
        if sockets in vars(family).values():  # it calls the standard library for the row
            homes |= {sys.modules[value.__module__] for value in vars(sockets).values() if inspect.isroutine(value)}
            homes |= {sys.modules[value.__module__] for value in vars(sockets).values() if inspect.isclass(value)}
        source = "".join(inspect.getsource(home) for home in homes) + inspect.getsource(Exchange)
        ways = {call: rf"\b{call}\(" if call in STDLIB else rf"libc\.{call}\b" for call in mechanism.calls}
        missing = [call for call, way in ways.items() if not re.search(way, source)]
        assert not missing, mechanism.name


def test_every_bound_call_is_in_a_row() -> None:
    functions = {name for name, value in vars(libc).items() if inspect.isroutine(value) and name != "signal_name"}
    shown = {call for mechanism in MECHANISMS for call in mechanism.calls}
    assert functions - OURS.keys() - NOT_IN_A_ROW.keys() == shown - STDLIB


def test_what_has_a_key_or_a_name_is_shown_between_unrelated_processes_too() -> None:
    pairs = {name.removesuffix(", unrelated") for name in NAMES if name.endswith(", unrelated")}
    assert pairs == {
        name.removesuffix(", unrelated")
        for name, mechanism in zip(NAMES, MECHANISMS, strict=True)
        if mechanism.unrelated
    }
    assert pairs >= {
        "System V shared memory", "shared memory by key",
        "System V messages", "messages by key",
        "System V semaphores", "semaphores by key",
        "POSIX messages", "POSIX semaphores", "POSIX shared memory",
        "file-backed shared mapping", "memory file of a process", "FIFO",
    }  # fmt: skip
    assert pairs < set(NAMES)


def test_every_family_is_in_the_tour() -> None:
    folder = Path(mechanisms.__file__).parent
    families = {path.stem for path in folder.glob("[!_]*.py")}
    assert {mechanism.run.__module__.rpartition(".")[2] for mechanism in MECHANISMS} == families


# -- the command --


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """Temporary files go where the test sees them."""
    hidden = {"COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"}
    return {name: value for name, value in os.environ.items() if name not in hidden} | {"TMPDIR": str(tmp_path)}


def in_words(row: dict[str, object]) -> str:
    return f"{row['mechanism']}: {row['verdict']}, {row['reason']}"


def test_json_has_every_mechanism_and_each_worked_or_says_why_not(
    adopted: None, environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run([*TOUR, "--json"], capture_output=True, check=False, timeout=WHOLE, env=environment)
    assert (done.returncode, done.stderr) == (0, b"")
    rows = json.loads(done.stdout)
    assert [row["mechanism"] for row in rows] == NAMES
    for row, mechanism in zip(rows, MECHANISMS, strict=True):
        assert list(row) == KEYS
        assert row["processes"] == ("unrelated" if mechanism.unrelated else "related")
        assert row["calls"] == list(mechanism.calls)
        if row["verdict"] == "ok":
            assert (row["travelled"], row["reason"]) == (mechanism.travels, None), in_words(row)
            assert row["object"]
            assert row["round_trip_us"] > 0
        else:
            assert row["verdict"] == "unavailable", in_words(row)
            assert row["reason"]
    assert not list(tmp_path.iterdir())


def test_a_pipe_gets_aligned_text_without_escape_codes(adopted: None, environment: dict[str, str]) -> None:
    done = subprocess.run(TOUR, capture_output=True, text=True, check=False, timeout=WHOLE, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    heading, *lines = done.stdout.splitlines()
    assert all(line.isprintable() for line in (heading, *lines))
    assert len(lines) == len(MECHANISMS)
    places = [heading.index(word) for word in ("mechanism", "calls", "what travelled", "verdict", "object")]
    for line, mechanism in zip(lines, MECHANISMS, strict=True):
        cells = [line[start:end].rstrip() for start, end in zip(places, [*places[1:], None], strict=True)]
        assert cells[:2] == [mechanism.name, " ".join(mechanism.calls)]
        assert cells[2].startswith(mechanism.travels) or cells[3] == "unavailable"
        assert cells[3] in {"ok", "unavailable"}, line
        assert cells[4]


def test_a_limit_makes_its_mechanisms_unavailable_and_says_which(adopted: None, environment: dict[str, str]) -> None:
    code = (
        "import resource, sys; from unixipc.__main__ import main; sys.argv = ['unixipc', 'tour', '--json'];"
        "resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0)); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=WHOLE, env=environment
    )
    assert (done.returncode, done.stderr) == (0, b"")
    limited = [row for row in json.loads(done.stdout) if "RLIMIT_SIGPENDING" in str(row["reason"])]
    assert {row["verdict"] for row in limited} == {"unavailable"}
    assert "queued signals to a handler" in {row["mechanism"] for row in limited}


ALARM = NAMES.index("alarm")


@pytest.mark.parametrize("signum", [libc.SIGINT, libc.SIGTERM])
@pytest.mark.parametrize("rows", [0, 3, ALARM])  # from here to the alarm, which takes a second, there is time enough
def test_an_interruption_half_way_leaves_nothing_behind(
    signum: libc.Signal, rows: int, adopted: None, environment: dict[str, str], tmp_path: Path
) -> None:
    pipe = subprocess.PIPE
    with subprocess.Popen(  # without a buffer, which `communicate` would not see
        TOUR, bufsize=0, stdout=pipe, stderr=pipe, env=environment, start_new_session=True
    ) as started:
        assert started.stdout is not None
        seen = [started.stdout.readline() for _ in range(1 + rows)]
        libc.killpg(started.pid, signum)
        rest, errors = started.communicate(timeout=WHOLE)
    finished = rows + rest.count(b"\n")
    assert seen[0].startswith(b"mechanism")
    assert errors.decode() == (
        f"interrupted by {signum.name} after {finished} of {len(NAMES)} mechanisms: nothing is left behind\n"
    )
    assert started.returncode == 128 + signum
    assert not list(tmp_path.iterdir())


def test_an_ignored_signal_stays_ignored(adopted: None, environment: dict[str, str]) -> None:
    code = (
        "import signal, sys; from unixipc.__main__ import main; sys.argv = ['unixipc', 'tour'];"
        "signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGCHLD, signal.SIG_IGN); main()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], bufsize=0, stdout=subprocess.PIPE, env=environment, start_new_session=True
    ) as started:
        assert started.stdout is not None
        started.stdout.readline()
        libc.killpg(started.pid, libc.SIGINT)
        rest, _ = started.communicate(timeout=WHOLE)
    assert (started.returncode, rest.count(b"\n")) == (0, len(NAMES)), rest.decode()


def test_a_reader_that_goes_away_leaves_nothing_behind(
    adopted: None, environment: dict[str, str], tmp_path: Path
) -> None:
    with subprocess.Popen(TOUR, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as started:
        assert started.stdout is not None
        started.stdout.readline()
        started.stdout.close()
        _, errors = started.communicate(timeout=WHOLE)
    assert (started.returncode, errors) == (1, b"")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", ["typer", "rich"])
def test_without_the_extra_one_line_says_what_to_install(module: str) -> None:
    code = f"import sys; sys.modules[{module!r}] = None; from unixipc.__main__ import main; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "the command line needs the extra: pip install 'unixipc[cli]'\n"


# -- on a terminal --


class Terminal:
    """A terminal with a program in it: what the program writes, and what a user types."""

    def __init__(self, fork: Fork, columns: int, environment: dict[str, str]) -> None:
        self._master, slave = os.openpty()
        termios.tcsetwinsize(slave, (50, columns))

        def execute() -> None:
            os.login_tty(slave)
            os.execve(sys.executable, TOUR, environment | {"TERM": "xterm-256color"})  # noqa: S606 - as it is

        self.program = fork(execute)
        os.close(slave)
        self.written = b""

    def read(self) -> bool:
        assert select.select([self._master], [], [], DEADLINE)[0], "nothing more was written in time"
        try:
            self.written += os.read(self._master, 65536)
        except OSError:  # EIO: the program has ended
            return False
        return True

    def wait_for(self, text: bytes) -> None:
        while text not in self.written:
            assert self.read(), self.written

    def type(self, keys: bytes) -> None:
        os.write(self._master, keys)

    def end(self) -> tuple[int | None, str]:
        """Give the exit status, and what was written after the progress bar."""
        while self.read():
            pass
        os.close(self._master)
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.written.decode()).replace("\r\n", "\n")
        lines = text[text.rindex("\r") + 1 :].splitlines()
        return self.program.wait().returncode, "\n".join(line.rstrip() for line in lines)


@pytest.mark.deadline(WHOLE)
@pytest.mark.parametrize("columns", [80, 140])
def test_a_terminal_gets_a_progress_bar_and_then_a_table(fork: Fork, columns: int, environment: dict[str, str]) -> None:
    terminal = Terminal(fork, columns, environment | {"TMPDIR": "/tmp"})  # noqa: S108 - a path of the usual length
    terminal.wait_for(f"0/{len(NAMES)}".encode())
    terminal.wait_for(b"alarm")
    status, table = terminal.end()
    assert status == 0
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= columns
    assert table.split()[0] == ("round" if columns == 80 else "mechanism")
    assert re.search(r"^ *─{60,}", table, flags=re.MULTILINE)
    assert len(re.findall(r" (ok|unavailable)$", table, flags=re.MULTILINE)) == len(NAMES)
    assert all(name.split()[0] in table for name in NAMES)


@pytest.mark.deadline(WHOLE)
def test_ctrl_c_on_a_terminal_shows_what_was_done_and_leaves_nothing_behind(
    fork: Fork, adopted: None, environment: dict[str, str], tmp_path: Path
) -> None:
    terminal = Terminal(fork, 80, environment)
    terminal.wait_for(b"alarm")
    terminal.type(b"\x03")
    status, table = terminal.end()
    assert status == 130
    told = re.search(rf"interrupted by SIGINT after (\d+) of {len(NAMES)} mechanisms: nothing is left behind", table)
    assert told
    assert table.count(" ok\n") + table.count(" unavailable\n") == int(told[1])
    assert ALARM <= int(told[1]) < len(NAMES)
    assert b"\x1b[?25h" in terminal.written[terminal.written.rindex(b"\x1b[?25l") :], "the cursor is shown again"
    assert not list(tmp_path.iterdir())
