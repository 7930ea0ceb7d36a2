"""bench: what becomes of figures, once they are measured. None is measured here."""

import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

pytest.importorskip("pyperf", reason="results are written for pyperf, which is not installed (extra bench)")

from bench import bars, reasons, report, results
from bench.measuring import Call, Plan, measure
from bench.records import FLOOR, Kind, Measured, Row
from bench.results import Results, Spread, UnreadableError

from unixipc.testing import DEADLINE

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
QUEUE = "System V message queue"
SIZES = (1, 64, 1024)

times = st.floats(0.5, 1e9)
rounds = st.integers(1, 9)
names = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=9)


def measured(side: str, *values: float, size: int = 64, kind: Kind = Kind.CALL, mechanism: str = QUEUE) -> Measured:
    tails = tuple(2 * value for value in values) if kind is Kind.ROUND_TRIP else ()
    return Measured(Row(kind, mechanism, side, size, 1), values, tails)


def run(*rows: Measured) -> Results:
    return Results(rows, {"cpu_model_name": "a processor", "python_version": "3.11.7 (64-bit)"})


def noisy(side: str, typical: float, **where: object) -> Measured:
    """Give what a side takes when a machine is as restless as a shared one is."""
    return measured(side, *(typical * factor for factor in (1.0, 0.97, 1.04, 0.99, 1.09, 1.01, 0.98)), **where)  # type: ignore[arg-type]


@st.composite
def runs(draw: st.DrawFn) -> Results:
    count = draw(rounds)
    values = st.lists(times, min_size=count, max_size=count).map(tuple)
    rows = draw(
        st.lists(
            st.builds(Row, st.sampled_from(Kind), names, names, st.integers(0, 1 << 20), st.sampled_from([1, 2])),
            min_size=1,
            max_size=5,
            unique=True,
        )
    )
    return run(*(Measured(row, draw(values), draw(values) if row.kind is Kind.ROUND_TRIP else ()) for row in rows))


@given(runs())
def test_results_survive_their_file(tmp_path_factory: pytest.TempPathFactory, done: Results) -> None:
    path = tmp_path_factory.mktemp("bench") / "results.json"
    done.save(path)
    again = Results.load(path)
    assert [each.row for each in again.measured] == [each.row for each in done.measured]
    for before, after in zip(done.measured, again.measured, strict=True):
        assert after.values == pytest.approx(before.values)
        assert after.tails == pytest.approx(before.tails)
    assert again.machine == done.machine


def test_pyperf_reads_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    run(measured("unixipc", 1000, 1100, 1200), measured("C", 900, 900, 900)).save(path)
    done = subprocess.run(
        [sys.executable, "-m", "pyperf", "show", str(path)],
        capture_output=True,
        text=True,
        check=True,
        timeout=DEADLINE,
    )
    assert "unixipc" in done.stdout
    assert "1.10 us" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "No such file"),
        ("", "has no results of this bench"),
        ("[]", "has no results of this bench"),
        ("{}", "has no results of this bench"),
        ('{"version": "1.0", "benchmarks": []}', "has no results of this bench"),
        (
            '{"version": "1.0", "benchmarks": [{"runs": [{"values": [1.0], "metadata": {"name": "x"}}]}]}',
            "'kind' is missing",
        ),
    ],
)
def test_a_file_without_results_is_named(tmp_path: Path, text: str | None, said: str) -> None:
    path = tmp_path / "results.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UnreadableError, match=said) as raised:
        Results.load(path)
    assert str(path) in str(raised.value)


def test_a_ratio_is_the_median_of_the_ratios_of_the_same_rounds() -> None:
    # The machine was ten times slower in the last two rounds, for both.
    ours, theirs = measured("unixipc", 120, 120, 120, 1100, 1300), measured("C", 100, 100, 100, 1000, 1000)
    assert results.ratio(ours, theirs).median == pytest.approx(1.2)
    # The ratio of the medians would be 3; each round alone says 2.
    ours, theirs = measured("unixipc", 2, 20, 60), measured("C", 1, 10, 30)
    assert results.ratio(ours, theirs) == Spread(2, 2, 2)
    ours, theirs = measured("unixipc", 30, 10, 20), measured("C", 10, 10, 40)
    assert results.ratio(ours, theirs).median == 1


@given(st.lists(st.tuples(times, times), min_size=1, max_size=20))
def test_a_ratio_lies_within_its_spread_and_does_not_depend_on_the_order_of_rounds(
    pairs: list[tuple[float, float]],
) -> None:
    def spread(pairs: list[tuple[float, float]]) -> Spread:
        mine, others = zip(*pairs, strict=True)
        return results.ratio(measured("unixipc", *mine), measured("C", *others))

    said = spread(pairs)
    ratios = sorted(mine / other for mine, other in pairs)
    assert ratios[0] <= said.low * (1 + 1e-9)
    assert said.low <= said.median * (1 + 1e-9)
    assert said.median <= said.high * (1 + 1e-9)
    assert said.high <= ratios[-1] * (1 + 1e-9)
    assert spread(pairs[::-1]) == said


def test_a_batch_is_held_against_batches_and_a_message_against_messages() -> None:
    rows = {
        side: measured(side, value)
        for side, value in {
            "unixipc": 110.0,
            "unixipc, 64 at once": 84.0,
            "C": 100.0,
            "C, 64 in a row": 80.0,
            "sysv_ipc": 130.0,
            "sysv_ipc, 64 in a row": 120.0,
        }.items()
    }
    done = run(*rows.values())

    def sides(side: str) -> list[str]:
        return [rival.row.side for rival in done.rivals(rows[side].row)]

    assert sides("unixipc") == ["C", "sysv_ipc"]
    assert sides("unixipc, 64 at once") == ["C, 64 in a row", "sysv_ipc, 64 in a row"]
    assert done.to_c(rows["unixipc, 64 at once"].row) == Spread.of([84 / 80])
    assert done.to_c(rows["sysv_ipc"].row) == Spread.of([1.3])
    assert done.to_c(rows["C"].row) is None
    alone = run(rows["unixipc, 64 at once"], rows["C"])
    assert alone.to_c(rows["unixipc, 64 at once"].row) == Spread.of([84 / 100])


def test_what_is_slower_is_found_and_noise_is_not() -> None:
    before = run(noisy("unixipc", 120), noisy("sysv_ipc", 150), measured("C", *[100.0] * 7))
    after = run(noisy("unixipc", 160), noisy("sysv_ipc", 152), measured("C", *[100.0] * 7))
    found = {change.row.side: (change.slower, change.faster) for change in results.compare(before, after)}
    assert found == {"unixipc": (True, False), "sysv_ipc": (False, False)}
    found = {change.row.side: (change.slower, change.faster) for change in results.compare(after, before)}
    assert found == {"unixipc": (False, True), "sysv_ipc": (False, False)}


def test_a_machine_that_is_slower_makes_nothing_slower() -> None:
    before = run(noisy("unixipc", 120), measured("C", *[100.0] * 7))
    after = run(noisy("unixipc", 1200), measured("C", *[1000.0] * 7))
    assert [change.slower for change in results.compare(before, after)] == [False]


def test_where_there_is_no_c_times_are_compared() -> None:
    (change,) = results.compare(run(noisy("unixipc", 100)), run(noisy("unixipc", 200)))
    assert (change.to_c, change.slower, change.ratio) == (False, True, 2)


def test_a_sure_change_that_is_small_is_none() -> None:
    (change,) = results.compare(run(measured("unixipc", 100, 100)), run(measured("unixipc", 103, 103)))
    assert not change.slower


def test_rows_of_one_run_only_are_not_compared() -> None:
    before = run(measured("unixipc", 100, size=1), measured("unixipc", 100))
    after = run(measured("unixipc", 100), measured("unixipc", 100, size=1024))
    assert [change.row.size for change in results.compare(before, after)] == [64]


def test_the_report_names_every_row_where_somebody_is_ahead() -> None:
    done = run(
        measured("unixipc", 120, 120),
        measured("C", 100, 100),
        measured("sysv_ipc", 110, 110),
        measured("posix_ipc", 130, 130),
        measured("pyzmq", 100, 140),
        measured("unixipc", 90, 90, size=1024),
        measured("C", 100, 100, size=1024),
    )
    assert [(each.row.size, each.rival) for each in report.ahead(done)] == [(64, "C"), (64, "sysv_ipc"), (64, "pyzmq")]
    text = report.markdown(done, {})
    section = text[text.index("## Where others are ahead") : text.index("## All figures")]
    assert f"| call | {QUEUE} | C | 1.20 (1.20 to 1.20) |" in section
    assert f"| call | {QUEUE} | sysv_ipc | 1.09 (1.09 to 1.09) |" in section
    assert "posix_ipc" not in section
    assert "1 KiB" not in section
    # C is ahead for a known reason; why sysv_ipc is, nobody has found out.
    assert section.index("What a call from Python costs") < section.index("| C |")
    assert section.index("| C |") < section.index(reasons.UNEXPLAINED) < section.index("| sysv_ipc |")
    assert section.index("| sysv_ipc |") < section.index(reasons.UNSURE) < section.index("| pyzmq |")


def test_a_bar_that_is_not_met_is_said_so() -> None:
    done = run(measured("unixipc", 126, 126), measured("C", 100, 100), measured("sysv_ipc", 140, 140))
    known = [judgement for judgement in bars.judge(done) if judgement.met is not None]
    assert [(each.bar.against, each.met) for each in known] == [("C", False), ("sysv_ipc", True)]
    text = report.markdown(done, {})
    assert f"| call | {QUEUE} | C | 64 B | 1.25 | 1.26 | 1.26 to 1.26 |  | not met |" in text
    assert f"| call | {QUEUE} | sysv_ipc | 64 B | 1.00 | 0.90 | 0.90 to 0.90 |  | met |" in text
    assert report.verdict(done) == "of the 8 ratios that are wanted 1 are met, 1 are not, 6 were not measured"


@pytest.mark.parametrize(("least", "told"), [(126, " (1 of them out of reach here, as the least shows)"), (125, "")])
def test_a_bar_that_nothing_called_from_python_meets_is_said_so(least: int, told: str) -> None:
    done = run(measured("unixipc", 140, 140), measured("C", 100, 100), measured(FLOOR, least, least))
    assert f"| 1.25 | 1.40 | 1.40 to 1.40 | {least / 100:.2f} | not met |" in report.markdown(done, {})
    assert report.verdict(done) == f"of the 8 ratios that are wanted 0 are met, 1 are not{told}, 7 were not measured"


def test_no_bar_is_missed_of_what_nobody_asked_for() -> None:
    done = run(measured("unixipc", 126, 126, mechanism="eventfd"), measured("C", 100, 100, mechanism="eventfd"))
    assert bars.judge(done) == []
    assert report.verdict(done) == "no ratio is wanted of what was measured"
    assert "No ratio is wanted" in report.markdown(done, {})


@pytest.mark.parametrize("width", [80, 140])
def test_tables_fit_their_terminal(width: int) -> None:
    done = run(
        *(
            noisy(side, 12_345, size=size, kind=kind)
            for kind in Kind
            for side in ("unixipc", "C", "multiprocessing.SimpleQueue")
            for size in (64, 1 << 20)
        )
    )
    console = Console(width=width, file=io.StringIO())
    with console.capture() as captured:
        for table in (*report.tables(done, width), report.bars(done, width)):
            console.print(table)
    lines = captured.get().splitlines()
    assert max(map(len, lines)) <= width
    for cell in ("multiprocessing.SimpleQueue", "12.3 µs", "1 MiB", "84,939", "throughput, one core"):
        assert any(cell in line for line in lines), cell


DRAWING = """
import json, sys
from pathlib import Path
from bench import charts
from bench.results import Results

print(json.dumps(charts.write(Results.load(Path(sys.argv[1])), Path(sys.argv[2]))))
"""


def drawn(source: Path, folder: Path) -> dict[str, list[str]]:
    # A program of its own: matplotlib brings numpy, which starts threads, after which no test could fork.
    folder.mkdir()
    command = [sys.executable, "-c", DRAWING, str(source), str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=DEADLINE)
    return cast("dict[str, list[str]]", json.loads(done.stdout))


def test_charts_are_written_and_the_same_figures_give_the_same_files(tmp_path: Path) -> None:
    if importlib.util.find_spec("matplotlib") is None:
        pytest.skip("matplotlib is not installed (extra bench)")
    done = run(
        *(
            noisy(side, 1000 * factor + size, size=size, kind=kind, mechanism=mechanism)
            for mechanism in (QUEUE, "pipe")
            for kind in Kind
            for side, factor in (("unixipc", 2), ("C", 1), ("sysv_ipc", 3))
            for size in SIZES
        ),
        measured("unixipc", 500, size=0, mechanism="kill"),
    )
    source, first, second = (tmp_path / name for name in ("results.json", "first", "second"))
    done.save(source)
    written = drawn(source, first)
    assert written == drawn(source, second)
    assert written == {
        "": ["summary.svg"],
        QUEUE: ["system-v-message-queue-round-trip.svg", "system-v-message-queue-throughput.svg"],
        "pipe": ["pipe-round-trip.svg", "pipe-throughput.svg"],
    }
    text = report.markdown(done, written)
    for name in (name for files in written.values() for name in files):
        assert f"]({name})" in text
        content = (first / name).read_bytes()
        assert content == (second / name).read_bytes()
        assert b"<svg" in content
        assert b"unixipc" in content


def test_a_row_that_fails_is_told_and_left_out() -> None:
    def fails(turns: int) -> None:
        raise ValueError(turns)

    rows = [Call("a name of its own", "unixipc", 0, range), Call("a name of its own", "C", 0, fails)]
    plan = Plan(rounds=2, milliseconds=0.1, sizes=(64,), cores=(1,), only="a name of its own")
    told: list[tuple[str, type[Exception]]] = []
    done = measure(plan, rows, lambda *_: None, lambda row, error: told.append((row.side, type(error))))
    assert [(each.row.side, len(each.values)) for each in done] == [("unixipc", 2)]
    assert told == [("C", ValueError)]


def bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=2 * DEADLINE)


def test_two_files_are_compared_and_the_status_tells_what_is_slower(tmp_path: Path) -> None:
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    run(noisy("unixipc", 120), measured("C", *[100.0] * 7)).save(old)
    run(noisy("unixipc", 160), measured("C", *[100.0] * 7)).save(new)
    worse, better, same, unreadable = (
        bench("compare", str(first), str(second))
        for first, second in ((old, new), (new, old), (old, old), (old, tmp_path / "none"))
    )
    assert (worse.returncode, worse.stderr) == (1, "")
    assert re.search(rf"{QUEUE} +64 B +1.20 .* 1.60 .* 1.33 +slower", worse.stdout)
    assert "of 1 rows in both runs 1 have become slower, and 0 faster" in worse.stdout
    assert (better.returncode, same.returncode) == (0, 0)
    assert "faster" in better.stdout
    assert "0 have become slower, and 0 faster" in same.stdout
    assert (unreadable.returncode, unreadable.stdout) == (1, "")
    assert unreadable.stderr == f"bench: {tmp_path / 'none'}: No such file or directory\n"


@pytest.fixture
def needs() -> None:
    """Skip where the bench cannot run."""
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc to compile the C side with")
    for name in ("matplotlib", "rich", "typer"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed (extra bench)")


@pytest.mark.usefixtures("needs")
def test_a_run_writes_results_a_report_and_says_them_without_control_characters(tmp_path: Path) -> None:
    done = bench("--quick", "--only", "System V semaphore", "--output", str(tmp_path / "out"))
    assert (done.returncode, done.stderr) == (0, "")
    assert all(letter.isprintable() or letter == "\n" for letter in done.stdout)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"results.json", "report.md"}
    (mechanism,) = {each.row.mechanism for each in Results.load(tmp_path / "out" / "results.json").measured}
    assert mechanism == "System V semaphore"
    text = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "Made by `python -m bench --quick --only 'System V semaphore'` on " in text
    assert "System V semaphore" in done.stdout


@pytest.mark.usefixtures("needs")
def test_a_name_that_nothing_has_is_refused(tmp_path: Path) -> None:
    done = bench("--quick", "--only", "no such mechanism", "--output", str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no mechanism has 'no such mechanism' in its name" in re.sub(r"[^a-z']+", " ", done.stderr)


def test_a_folder_that_cannot_be_made_is_named_before_anything_is_measured(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = bench("--output", str(tmp_path / "file" / "folder"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"bench: {tmp_path / 'file' / 'folder'}: Not a directory\n"


@pytest.mark.usefixtures("needs")
@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_whoever_stops_it_is_told_how_far_it_came(tmp_path: Path, signum: signal.Signals) -> None:
    terminal, end = os.openpty()
    with open(terminal, "rb", buffering=0) as shown:  # noqa: PTH123 - of a descriptor
        command = [sys.executable, "-m", "bench", "--only", "message queue", "--output", str(tmp_path / "out")]
        environment = os.environ | {"COLUMNS": "200", "TERM": "xterm"}
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=end) as running:
            os.close(end)
            said = b""
            while b"message queue" not in said:
                said += shown.read(4096)
            running.send_signal(signum)
            with suppress(OSError):  # EIO: nobody has the other end any more
                while more := shown.read(4096):
                    said += more
            assert running.wait(DEADLINE) == 128 + signum
    assert re.search(rb"stopped after \d+ of \d+ measurements, .*: nothing is written", said.splitlines()[-1])
    assert list((tmp_path / "out").iterdir()) == []
