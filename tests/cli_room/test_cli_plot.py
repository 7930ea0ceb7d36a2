"""unixipc plot: figures of records, whole and broken ones."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest
from cli_room.commands import environment

from unixipc.cli import plotting, recording
from unixipc.cli.objects import Kind
from unixipc.cli.recording import HEAD, Recorder
from unixipc.cli.sampling import Moment, Sample
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from pathlib import Path

    from cli_room.commands import Command, Invoke

QUEUE = Sample(Kind.SYSV_MSG, "3", depth=2, bytes=10)
SET = Sample(Kind.SYSV_SEM, "4", values=(1, 0), waiting=(0, 2), waiting_for_zero=(1, 0))
DRAWS = pytest.mark.skipif(find_spec("matplotlib") is None, reason="matplotlib is not installed")
# Figures are drawn by programs of their own: numpy starts threads, after which no test could fork.
BEGINNINGS = {".png": b"\x89PNG\r\n", ".svg": b"<?xml", ".pdf": b"%PDF-"}


@pytest.fixture(scope="session")
def fonts() -> None:
    """Have matplotlib look for fonts: the first time it may take long, and tell so."""
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], capture_output=True, check=False)


@pytest.fixture
def record(tmp_path: Path) -> Path:
    """Record two runs: a queue that grows and goes, and then has been made anew, and a set."""
    path = tmp_path / "load.jsonl"
    for begin in (1000.0, 2000.0):
        with Recorder(str(path)) as recorder:
            for second in range(3):
                queue = replace(QUEUE, depth=2 + 3 * second)
                recorder.add(Moment(begin + 2 * second, (queue, SET) if second < 2 else (SET,)))
    return path


def test_curves_are_what_was_recorded_and_break_off_where_nothing_was(record: Path) -> None:
    parts = plotting._parts(str(record))
    assert list(parts) == [
        "messages", "change of messages per second", "value of semaphores", "waiting for semaphores"
    ]  # fmt: skip
    (depth,), (rate,) = parts["messages"], parts["change of messages per second"]
    assert depth.label == "sysv-msg 3"
    assert depth.times == [1000.0, 1002.0, 1004.0, 1004.0, 2000.0, 2002.0, 2004.0, 2004.0]
    assert str(depth.numbers) == "[2, 5, nan, nan, 2, 5, nan, nan]"
    assert str(rate.numbers) == "[nan, 1.5, nan, nan, nan, 1.5, nan, nan]"
    assert [curve.label for curve in parts["value of semaphores"]] == ["sysv-sem 4[0]", "sysv-sem 4[1]"]
    first, second = parts["waiting for semaphores"]
    assert {number for number in first.numbers if not math.isnan(number)} == {1}
    assert {number for number in second.numbers if not math.isnan(number)} == {2}


def test_another_of_the_same_name_has_a_curve_of_its_own(tmp_path: Path) -> None:
    with Recorder(str(tmp_path / "record")) as recorder:
        for inode in (7, 8):
            recorder.add(Moment(float(inode), (Sample(Kind.POSIX_MQ, "/jobs", inode, depth=1),)))
    curves = plotting._parts(str(tmp_path / "record"))["messages"]
    assert [str(curve.numbers) for curve in curves] == ["[1, nan, nan]", "[nan, 1, nan]"]


@DRAWS
@pytest.mark.usefixtures("fonts")
@pytest.mark.parametrize("ending", [*BEGINNINGS, ".PNG"])
def test_the_image_has_the_format_of_its_name(unixipc: Command, record: Path, ending: str) -> None:
    image = record.with_name(f"image{ending}")
    done = unixipc("plot", record, "--output", image)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{image}\n", "")
    assert image.read_bytes().startswith(BEGINNINGS[ending.lower()])


@DRAWS
@pytest.mark.usefixtures("fonts")
def test_the_image_stands_beside_the_record_unless_told(unixipc: Command, record: Path) -> None:
    done = unixipc("plot", record)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{record.with_suffix('.png')}\n", "")
    assert record.with_suffix(".png").stat().st_size > 10000


@DRAWS
@pytest.mark.usefixtures("fonts")
def test_the_figure_names_what_it_shows_whatever_it_is_called(unixipc: Command, tmp_path: Path) -> None:
    names = ["/_first", "/$x_2$ \\frac{", "/\x1b[31m", "/" + "long" * 60, "/私"]
    record, image = tmp_path / "record", tmp_path / "image.svg"
    with Recorder(str(record)) as recorder:
        recorder.add(Moment(1.0, tuple(Sample(Kind.POSIX_MQ, name, depth=1) for name in names)))
    done = unixipc("plot", record, "--output", image)
    assert (done.returncode, done.stderr) == (0, "")
    drawn = image.read_text()  # whose comments have the texts
    for name in (r"/_first", r"/$x_2$ \frac{", r"/\x1b[31m", "/long", "/私"):
        assert f"posix-mq {name}" in drawn
    assert "long" * 20 not in drawn


@DRAWS
@pytest.mark.usefixtures("fonts")
def test_of_many_the_figure_shows_those_that_changed_most(unixipc: Command, tmp_path: Path) -> None:
    record, image = tmp_path / "record", tmp_path / "image.svg"
    with Recorder(str(record)) as recorder:
        for factor in (0, 1):
            queues = (Sample(Kind.SYSV_MSG, f"number{i:02}", depth=factor * i) for i in range(25))
            recorder.add(Moment(float(factor), tuple(queues)))
    assert unixipc("plot", record, "--output", image).returncode == 0
    drawn = image.read_text()
    assert {i for i in range(25) if f"number{i:02}" in drawn} == set(range(15, 25))
    assert "and 15 that changed less" in drawn


@DRAWS
@pytest.mark.usefixtures("fonts")
def test_a_last_line_that_is_not_whole_is_left_out(unixipc: Command, record: Path) -> None:
    text = record.read_text()
    whole = recording.read(str(record))
    for cut in (1, 2, 50):
        record.write_text(text[:-cut])
        kept = recording.read(str(record))
        assert kept == ([*whole[:-1], whole[-1][:-1]] if cut > 1 else whole)
    assert unixipc("plot", record).returncode == 0


LINE = recording.line(Moment(1.0, (QUEUE,)))
OTHER = json.dumps({"record": "unixipc top", "version": 2})
BROKEN = {
    "": "is empty",
    "\0" * 10000: "is no record of",
    "<html>\n": "is no record of",
    "[1, 2]\n": "is no record of",
    LINE: "is no record of",
    f"{OTHER}\n": "is a record of another version",
    f"{HEAD}\n": "has no moments in it",
    f"{HEAD}\n{LINE[:-1]}": "has no moments in it",
    f"{HEAD}\n{LINE[:-9]}\n{LINE}\n": "line 2 of",
    f"{HEAD}\n{LINE}\n{LINE[:-9]}\n": "line 3 of",
    f"{HEAD}\n{LINE}\n\n": "line 3 of",
    f'{HEAD}\n{{"time": NaN, "objects": []}}\n': "its time is nan",
    f'{HEAD}\n{{"time": 1{"0" * 400}, "objects": []}}\n': "OverflowError",
    f'{HEAD}\n{{"time": true, "objects": []}}\n': "its time is True",
    f'{HEAD}\n{{"time": 1, "objects": [{{"kind": "x", "name": ""}}]}}\n': "ValueError",
    f'{HEAD}\n{{"time": 1, "objects": [{{"kind": "fifo"}}]}}\n': "TypeError",
    f'{HEAD}\n{{"time": 1, "objects": [{{"kind": "fifo", "name": "", "depth": "9"}}]}}\n': "depth is '9'",
    f'{HEAD}\n{{"time": 1, "objects": [{{"kind": "fifo", "name": "", "values": 9}}]}}\n': "TypeError",
    f'{HEAD}\n{{"time": 1, "objects": 3}}\n': "TypeError",
    f"{HEAD}\n{'[' * 100000}\n": "RecursionError",
    f'{HEAD}\n{{"time": 1, "objects": []}}\n': "has no queue and no semaphore in it",
}


@pytest.mark.parametrize(("content", "why"), BROKEN.items(), ids=range(len(BROKEN)))
def test_what_is_no_record_or_a_broken_one_is_an_error_in_one_line(
    invoke: Invoke, tmp_path: Path, content: str, why: str
) -> None:
    path = tmp_path / "record"
    path.write_text(content)
    done = invoke("plot", str(path))
    assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert done.stderr.startswith("unixipc plot: ")
    assert str(path) in done.stderr
    assert why in done.stderr
    assert not path.with_suffix(".png").exists()


def test_what_cannot_be_read_is_an_error_in_one_line(invoke: Invoke, tmp_path: Path) -> None:
    done = invoke("plot", str(tmp_path))
    assert (done.exit_code, done.stderr) == (1, f"unixipc plot: {tmp_path}: Is a directory\n")
    done = invoke("plot", "/nowhere")
    assert (done.exit_code, done.stderr) == (1, "unixipc plot: /nowhere: No such file or directory\n")


@DRAWS
@pytest.mark.usefixtures("fonts")
def test_an_image_that_cannot_be_written_is_an_error_in_one_line(unixipc: Command, record: Path) -> None:
    done = unixipc("plot", record, "-o", "/nowhere/image.png")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "unixipc plot: /nowhere/image.png: No such file or directory\n"


@pytest.mark.parametrize("image", ["image", "image.gif", "image.png.txt"])
def test_another_format_is_an_error_of_usage_that_names_those_there_are(
    invoke: Invoke, record: Path, image: str
) -> None:
    done = invoke("plot", str(record), "--output", image)
    assert (done.exit_code, done.stdout) == (2, "")
    assert ".pdf, .png, .svg" in done.stderr


def test_a_record_is_never_overwritten_by_its_image(invoke: Invoke, record: Path) -> None:
    misnamed = record.rename(record.with_suffix(".png"))
    content = misnamed.read_bytes()
    assert invoke("plot", str(misnamed)).exit_code == 2
    assert misnamed.read_bytes() == content


def test_without_matplotlib_it_names_the_extra(record: Path) -> None:
    code = "import sys; sys.modules['matplotlib'] = None; from unixipc.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "plot", record],
        env=environment(), capture_output=True, text=True, check=False, timeout=DEADLINE,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "unixipc plot: it needs the extra: pip install 'unixipc[plot]'\n"


def test_only_a_plot_imports_matplotlib() -> None:
    code = "import sys; from unixipc.cli import app; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=DEADLINE)
