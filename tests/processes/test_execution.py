"""processes.execute: the new program's mask and ignored signals are those asked for; a failure changes nothing."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from unixipc import libc, processes
from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unixipc.testing.plugin import Fork

CATCHABLE = sorted(libc.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP})
SETS = some.none() | some.sets(some.sampled_from(CATCHABLE))
FAULTS = {libc.SIGSEGV, libc.SIGBUS, libc.SIGFPE, libc.SIGILL}  # they have no handlers in Python
OF_PYTHON = {libc.SIGPIPE, libc.SIGXFSZ}


def status_of_program(prepare: Callable[[], object], **options: Any) -> dict[str, libc.SignalSet]:
    """Give the lines SigBlk, SigIgn, SigCgt and SigPnd of a program's /proc/self/status."""

    def child() -> None:
        os.dup2(writes, 1)
        prepare()
        processes.execute("cat", "/proc/self/status", **options)

    reads, writes = os.pipe()
    try:
        with processes.fork(child) as made:
            os.close(writes)
            writes = -1
            text = b""
            while part := os.read(reads, 65536):
                text += part
            status = made.wait(DEADLINE)
        assert status.success, status
    finally:
        os.close(reads)
        if writes >= 0:
            os.close(writes)
    lines = (line.split(":") for line in text.decode().splitlines() if line.startswith(("Sig", "ShdPnd")))
    masks = {name: int(value, 16) for name, value in lines if name != "SigQ"}
    return {
        name: libc.SignalSet(number for number in range(1, 65) if mask >> (number - 1) & 1)
        for name, mask in masks.items()
    }


@settings(max_examples=25)
@given(mask=SETS, ignored=SETS, before_mask=some.sets(some.sampled_from(CATCHABLE)), before=SETS)
def test_the_program_starts_with_just_the_mask_and_the_ignored_signals_asked_for(
    mask: set[int] | None, ignored: set[int] | None, before_mask: set[int], before: set[int] | None
) -> None:
    def prepare() -> None:
        for number, signum in enumerate(sorted(before or ())):
            if number % 3 == 0 or signum in FAULTS:
                libc.sigaction(signum, libc.Sigaction(libc.SIG_IGN))
            elif number % 3 == 1:
                libc.sigaction(signum, libc.Sigaction(lambda _: None))
            elif signum < 32:
                signal.signal(signum, lambda _, __: None)
        libc.sigprocmask(libc.SIG_SETMASK, before_mask)

    ignored_before = set(sorted(before or ())[::3]) | FAULTS & (before or set())
    found = status_of_program(prepare, mask=mask, ignored=ignored)
    assert found["SigBlk"] == libc.SignalSet(before_mask if mask is None else mask)
    inherited = {
        signum for signum in CATCHABLE if signal.getsignal(signum) == signal.SIG_IGN and signum not in (before or ())
    }
    expected = (ignored_before | inherited) - OF_PYTHON if ignored is None else ignored
    assert found["SigIgn"] == libc.SignalSet(expected)
    assert found["SigCgt"] == libc.SignalSet()


def test_a_pending_signal_stays_pending_in_the_program(fork: Fork) -> None:
    def prepare() -> None:
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1, libc.SIGRTMIN})
        libc.kill(os.getpid(), libc.SIGUSR1)
        libc.sigqueue(os.getpid(), libc.SIGRTMIN, 5)

    assert status_of_program(prepare)["ShdPnd"] == libc.SignalSet({libc.SIGUSR1, libc.SIGRTMIN})


def test_a_pending_signal_kills_the_program_that_does_not_block_it(fork: Fork) -> None:
    def child() -> None:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: None))
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
        libc.kill(os.getpid(), libc.SIGUSR1)
        processes.execute("cat", "/proc/self/status", mask=())

    assert fork(child).wait().signal == libc.SIGUSR1


def _too_big() -> str:
    return "x" * 200_000  # MAX_ARG_STRLEN is 32 pages


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    (tmp_path / "text").write_text("neither ELF nor #!")
    (tmp_path / "text").chmod(0o700)
    (tmp_path / "folder").mkdir()
    (tmp_path / "ordinary").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "arguments", "code"),
    [
        ("missing", (), errno.ENOENT),
        ("folder", (), errno.EACCES),
        ("ordinary", (), errno.EACCES),
        ("text", (), errno.ENOEXEC),
        ("text", (_too_big(),), errno.E2BIG),
    ],
)
def test_a_program_that_cannot_be_executed_is_named_and_nothing_has_changed(
    fork: Fork, odd: Path, name: str, arguments: tuple[str, ...], code: int
) -> None:
    def child() -> tuple[list[bool], int | None, str]:
        def handler(signum: int) -> None:
            pass

        def of_python(signum: int, frame: object) -> None:
            pass

        def look() -> list[object]:
            actions = {signum: libc.sigaction(signum) for signum in CATCHABLE}
            mask = libc.sigprocmask(libc.SIG_BLOCK)
            theirs = [signal.getsignal(signum) for signum in (signal.SIGUSR2, signal.SIGINT, signal.SIGPIPE)]
            return [actions, mask, theirs, libc.sigpending()]

        libc.sigaction(libc.SIGUSR1, libc.Sigaction(handler, mask={libc.SIGHUP}, flags=libc.SA_RESTART))
        signal.signal(signal.SIGUSR2, of_python)
        libc.sigaction(libc.SIGHUP, libc.Sigaction(libc.SIG_IGN))
        libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGWINCH, libc.SIGTERM, libc.SIGRTMIN})
        libc.raise_(libc.SIGTERM)
        before = look()
        try:
            processes.execute(odd / name, *arguments, mask={libc.SIGINT, libc.SIGTERM}, ignored={libc.SIGUSR1})
        except OSError as error:
            after = look()
            same = [was == is_ for was, is_ in zip(before, after, strict=True)]
            return same, error.errno, str(error)

    same, found, text = fork(child).result()
    assert same == [True] * 4
    assert found == code
    assert name in text


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ((5,), {}, TypeError),
        (("cat", 5), {}, TypeError),
        (("cat", None), {}, TypeError),
        (("c\0at",), {}, ValueError),
        (("cat", "a\0b"), {}, ValueError),
        (("",), {}, (OSError, ValueError)),
        (("cat",), {"mask": 5}, TypeError),
        (("cat",), {"mask": {0}}, (OSError, ValueError)),
        (("cat",), {"mask": {65}}, (OSError, ValueError)),
        (("cat",), {"ignored": {libc.SIGKILL}}, (OSError, ValueError)),
        (("cat",), {"ignored": {"SIGHUP"}}, TypeError),
        (("cat",), {"environment": {"A": 5}}, TypeError),
        (("cat",), {"environment": {"A=B": "C"}}, ValueError),
        (("cat",), {"environment": {"A": "B\0"}}, ValueError),
        (("cat",), {"environment": 5}, (TypeError, AttributeError)),
    ],
)
def test_nonsense_is_refused_and_the_child_can_still_report(
    fork: Fork, arguments: tuple[Any, ...], options: dict[str, Any], error: Any
) -> None:
    def child() -> str:
        before = libc.sigprocmask(libc.SIG_BLOCK), [libc.sigaction(signum) for signum in CATCHABLE]
        with pytest.raises(error):
            processes.execute(*arguments, **options)
        after = libc.sigprocmask(libc.SIG_BLOCK), [libc.sigaction(signum) for signum in CATCHABLE]
        assert before == after
        return "here"

    assert fork(child).result() == "here"


def test_the_status_of_a_program_is_the_child_s_and_its_result_a_clear_error(fork: Fork) -> None:
    child = fork(processes.execute, sys.executable, "-c", "raise SystemExit(3)")
    assert child.wait().exit_code == 3
    with pytest.raises(ChildProcessError, match=r"executed .*python.*, which exited with status 3"):
        child.result()


def test_a_program_that_is_not_there_comes_back_as_the_exception(fork: Fork) -> None:
    with pytest.raises(FileNotFoundError, match=r"execve\('no such program'\)"):
        fork(processes.execute, "no such program").result()


@pytest.mark.parametrize("given_", [None, {"ONLY": "this"}, {}])
def test_the_environment_is_the_one_given(fork: Fork, given_: dict[str, str] | None) -> None:
    def child() -> None:
        os.dup2(writes, 1)
        os.environ["ADDED"] = "now"
        processes.execute("/usr/bin/env", environment=given_)

    reads, writes = os.pipe()
    try:
        assert fork(child).wait().success
        found = (
            dict(line.split("=", 1) for line in os.read(reads, 65536).decode().splitlines() if "=" in line)
            if (given_ != {})
            else {}
        )
    finally:
        os.close(reads)
        os.close(writes)
    if given_ is None:
        assert found["ADDED"] == "now"
    else:
        assert found == given_


def test_what_was_printed_before_is_not_lost(fork: Fork) -> None:
    def child() -> None:
        os.dup2(writes, 1)
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115 - as the interpreter's own
        print("before")
        processes.execute("echo", "after")

    reads, writes = os.pipe()
    try:
        assert fork(child).wait().success
        assert os.read(reads, 100) == b"before\nafter\n"
    finally:
        os.close(reads)
        os.close(writes)
