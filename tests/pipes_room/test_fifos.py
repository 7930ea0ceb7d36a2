"""unixipc.pipes: FIFOs, that processes find by their path."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from nobody import become_nobody
from until import until_blocked

from unixipc import libc, pipes
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from unixipc.testing.plugin import Fork

SHORT = 0.01


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fifo"


def test_create_makes_a_new_one_open_finds_it_and_open_or_create_does_either(path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="fifo"):
        pipes.Fifo.open(path)
    with pipes.Fifo.open_or_create(path) as made:
        with pytest.raises(FileExistsError, match="fifo"):
            pipes.Fifo.create(path)
        with pipes.Fifo.open(str(path)) as opened, pipes.Fifo.open_or_create(os.fsencode(path)) as again:
            assert (made.path, opened.path, again.path) == (path, str(path), os.fsencode(path))
        assert path.stat().st_mode == libc.S_IFIFO | 0o600


def test_a_with_block_closes_and_never_unlinks(path: Path) -> None:
    with pipes.Fifo.create(path) as fifo:
        pass
    fifo.close()
    assert (fifo.closed, path.exists()) == (True, True)
    for use in (fifo.reader, fifo.writer, fifo.ends):
        with pytest.raises(ValueError, match=r"<Fifo .* closed> was closed"):
            use()
    fifo.unlink()
    assert not path.exists()
    with pytest.raises(FileNotFoundError):
        fifo.unlink()


def test_a_fifo_that_is_dropped_open_is_closed_with_a_warning(path: Path) -> None:
    with pytest.warns(ResourceWarning, match="unclosed <Fifo"):
        pipes.Fifo.create(path)


def test_what_is_no_fifo_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"a file")
    for make in (pipes.Fifo.open, pipes.Fifo.open_or_create):
        with pytest.raises(OSError, match="it is no FIFO") as refused:
            make(path)
        assert refused.value.errno == errno.EINVAL
    assert path.read_bytes() == b"a file"


def test_unlink_removes_nothing_that_has_taken_the_path(path: Path) -> None:
    with pipes.Fifo.create(path) as fifo:
        path.rename(path.with_name("moved"))
        path.write_bytes(b"another")
        with pytest.raises(FileNotFoundError, match="another file by now"):
            fifo.unlink()
        with fifo.ends() as (reader, writer):
            writer.write(b"the same FIFO, though it was moved")
            assert reader.read() == b"the same FIFO, though it was moved"
    assert path.read_bytes() == b"another"


@pytest.mark.parametrize("wrong", ["a\0b", None, 5, b"\0"])
def test_a_path_that_cannot_be_is_refused(wrong: Any) -> None:
    for make in (pipes.Fifo.create, pipes.Fifo.open, pipes.Fifo.open_or_create):
        with pytest.raises((ValueError, TypeError)):
            make(wrong)


def test_a_mode_is_permissions(path: Path) -> None:
    for mode in (-1, 0o1000, 2**70):
        with pytest.raises(ValueError, match="it must be permissions"):
            pipes.Fifo.create(path, mode)
    assert not path.exists()


@pytest.mark.parametrize("end", ["reader", "writer"])
@pytest.mark.parametrize("timeout", [0, SHORT])
def test_without_a_partner_the_time_runs_out(path: Path, end: str, timeout: float) -> None:
    with pipes.Fifo.create(path) as fifo, pytest.raises(TimeoutError, match="nobody opened the other side") as late:
        getattr(fifo, end)(timeout)
    assert late.value.errno == errno.ETIMEDOUT


@pytest.mark.parametrize("timeout", [None, DEADLINE])
@pytest.mark.parametrize("waits", ["reader", "writer"])
def test_who_comes_first_waits_for_the_other(
    path: Path, fork: Fork, gate: Callable[[], Gate], waits: str, timeout: float | None
) -> None:
    ready = gate()
    with pipes.Fifo.create(path) as fifo:

        def first() -> bytes | None:
            ready.open()
            with getattr(fifo, waits)(timeout) as end:
                if waits == "reader":
                    return b"".join(end)
                end.write(b"met")
                return None

        child = fork(first)
        ready.wait()
        until_blocked(child)
        if waits == "reader":
            with fifo.writer(0 if timeout else None) as writer:
                writer.write(b"met")
            assert child.result() == b"met"
        else:
            with fifo.reader(DEADLINE) as reader:
                assert reader.read() == b"met"
            child.result()


def test_the_wait_for_a_partner_goes_on_after_a_signal(path: Path, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready, handled = gate(), gate()
    with pipes.Fifo.create(path) as fifo:

        def read() -> bytes:
            libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: handled.open()))
            ready.open()
            with fifo.reader(DEADLINE) as reader:
                return reader.read()

        child = fork(read)
        ready.wait()
        for _ in range(3):
            until_blocked(child)
            child.kill(libc.SIGUSR1)
            handled.wait()
        with fifo.writer(DEADLINE) as writer:
            writer.write(b"after all")
        assert child.result() == b"after all"


def test_timeouts_hold_at_the_ends_of_a_fifo_too(path: Path) -> None:
    with pipes.Fifo.create(path) as fifo, fifo.ends() as (reader, writer):
        for timeout in (0, SHORT):
            with pytest.raises(TimeoutError):
                reader.read(1, timeout)
            with pytest.raises(TimeoutError):
                writer.write(bytes(1_000_000), timeout)
            while reader.available:
                reader.read()
        assert [os.get_blocking(end.fileno()) for end in (reader, writer)] == [True, True]


def test_whoever_has_a_writer_of_his_own_meets_no_end(path: Path) -> None:
    with pipes.Fifo.create(path) as fifo, fifo.ends() as (reader, own):
        with fifo.writer(0) as writer:
            writer.write(b"came and went")
        assert reader.read(timeout=0) == b"came and went"
        with pytest.raises(TimeoutError):
            reader.read(timeout=0)
        own.close()
        assert reader.read(timeout=0) == b""


def test_an_unrelated_process_finds_it_by_its_path(path: Path) -> None:
    code = (
        "import sys; from unixipc import pipes\n"
        "with pipes.Fifo.open(sys.argv[1]) as fifo, fifo.writer(60) as writer: writer.write(b'a stranger')"
    )
    with (
        pipes.Fifo.create(path) as fifo,
        subprocess.Popen([sys.executable, "-c", code, path]) as process,
        fifo.reader(DEADLINE) as reader,
    ):
        assert b"".join(reader) == b"a stranger"
    assert process.returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_is_refused(path: Path, tmp_path: Path, fork: Fork) -> None:
    with pipes.Fifo.create(path) as fifo:

        def child() -> None:
            become_nobody()
            for use in (fifo.reader, fifo.writer):
                with pytest.raises(PermissionError, match="its mode refuses this access"):
                    use(SHORT)
            with pytest.raises(PermissionError):
                fifo.ends()
            with pytest.raises(PermissionError):
                fifo.unlink()

        fork(child).result()


def test_many_fifos_leave_no_descriptor_behind(path: Path) -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208 - names are enough
    for _ in range(200):
        with pipes.Fifo.create(path) as fifo, fifo.ends() as (reader, writer):
            writer.write(b"x")
            assert reader.read() == b"x"
            fifo.unlink()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
