"""signals.native: handlers of a library's own, and ready-made ones for the length of a with-block."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING

import pytest

from unixipc import libc
from unixipc.signals import counting, exiting, flagging, load_handler, recording

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from unixipc.testing.plugin import Fork

HUP, USR1, USR2, NEWS = libc.SIGHUP, libc.SIGUSR1, libc.SIGUSR2, libc.SIGRTMIN


class Noted(ctypes.Structure):
    """What a handler of tests/libc/c/library.c has noted."""

    _fields_ = tuple((name, ctypes.c_ulong) for name in ("calls", "signum", "mask", "value"))
    calls: int
    signum: int
    mask: int
    value: int


def _noted(library: Path) -> Noted:
    loaded = libc.dlopen(library, libc.RTLD_NOW | libc.RTLD_NOLOAD)
    address = libc.dlsym(loaded, "noted")
    libc.dlclose(loaded)
    return Noted.from_address(address)


# -- handlers of a library --


def test_a_handler_of_a_library_runs_with_its_mask(fork: Fork, c_library: Path) -> None:
    def child() -> tuple[int, int, libc.SignalSet]:
        libc.sigaction(USR1, libc.Sigaction(load_handler(c_library, "on_signal"), {HUP, NEWS}))
        libc.raise_(USR1)
        libc.raise_(USR1)
        noted = _noted(c_library)
        return noted.calls, noted.signum, libc.SignalSet.from_mask(noted.mask)

    assert fork(child).result() == (2, USR1, libc.SignalSet({USR1, HUP, NEWS}))


def test_a_handler_of_a_library_runs_with_its_flags(fork: Fork, c_library: Path) -> None:
    def child() -> tuple[int, libc.SignalSet, libc.Handler]:
        handler = load_handler(c_library, "on_signal_with_info")
        flags = libc.SA_SIGINFO | libc.SA_NODEFER | libc.SA_RESETHAND
        libc.sigaction(NEWS, libc.Sigaction(handler, (), flags))
        libc.sigqueue(os.getpid(), NEWS, 77)
        noted = _noted(c_library)
        return noted.value, libc.SignalSet.from_mask(noted.mask), libc.sigaction(NEWS).handler

    assert fork(child).result() == (77, libc.SignalSet(), libc.SIG_DFL)


def test_the_library_of_a_handler_is_never_unloaded(fork: Fork, c_library: Path) -> None:
    def child() -> int:
        libc.sigaction(USR1, libc.Sigaction(load_handler(c_library, "on_signal")))
        for _ in range(3):
            libc.dlclose(libc.dlopen(c_library, libc.RTLD_NOW))
        libc.raise_(USR1)
        return _noted(c_library).calls

    assert fork(child).result() == 1


def test_a_loaded_handler_says_its_name_and_is_reported(fork: Fork, c_library: Path) -> None:
    def child() -> str:
        handler = load_handler(c_library, "on_signal")
        libc.sigaction(USR1, libc.Sigaction(handler))
        assert libc.sigaction(USR1).handler == handler
        return repr(libc.sigaction(USR1).handler)

    assert fork(child).result().endswith(f": on_signal in {c_library})")


def test_a_handler_of_the_program_itself_can_be_loaded() -> None:
    assert load_handler(None, "labs").address == libc.dlsym(libc.RTLD_DEFAULT, "labs")


@pytest.mark.parametrize("symbol", ["number", "noted", "at_zero"])
def test_what_is_no_function_is_refused(fork: Fork, c_library: Path, symbol: str) -> None:
    def child() -> None:
        with pytest.raises(ValueError, match=f"'{symbol}' of .*own.so.* is no function"):
            load_handler(c_library, symbol)

    fork(child).result()


def test_what_is_not_there_is_refused(c_library: Path, fork: Fork) -> None:
    with pytest.raises(FileNotFoundError, match=r"absent\.so"):
        load_handler(c_library.parent / "absent.so", "on_signal")

    def child() -> None:
        with pytest.raises(OSError, match="undefined symbol: absent"):
            load_handler(c_library, "absent")

    fork(child).result()


# -- for the length of a with-block --


def _actions() -> list[libc.Sigaction]:
    return [libc.sigaction(signum) for signum in (HUP, USR1, USR2, NEWS)]


def test_counting_counts_what_another_process_sends(fork: Fork) -> None:
    before = _actions()

    def sends() -> None:
        for number in range(1000):
            libc.sigqueue(os.getppid(), NEWS, number)
        libc.kill(os.getppid(), USR1)

    with counting({NEWS, USR1}, mask={HUP}, flags=libc.SA_RESTART) as counter:
        assert libc.sigaction(NEWS) == libc.Sigaction(counter, {HUP}, libc.SA_RESTART)
        fork(sends).result()
        assert counter.value == 1001
    assert _actions() == before
    assert counter.value == 1001


def test_flagging_notes_the_last_signal() -> None:
    before = _actions()
    with flagging([USR1, USR2]) as flag:
        assert not flag
        libc.raise_(USR2)
        libc.raise_(USR1)
        assert flag.clear() == USR1
    assert _actions() == before


def test_recording_writes_what_came(fork: Fork) -> None:
    before = _actions()
    reader, writer = libc.pipe(libc.O_NONBLOCK)
    with recording(NEWS, writer, flags=libc.SA_RESTART) as recorder:
        child = fork(lambda: libc.sigqueue(os.getppid(), NEWS, 5))
        child.result()
        info = libc.Siginfo(os.read(reader, 128))
    assert (info.si_pid, info.si_value, recorder.lost) == (child.pid, 5, 0)
    assert _actions() == before
    os.close(reader)
    os.close(writer)


def test_exiting_ends_a_process_at_a_fault(fork: Fork) -> None:
    def child() -> None:
        with exiting({libc.SIGSEGV, libc.SIGBUS}, 9):
            ctypes.string_at(0)

    assert fork(child).wait().returncode == 9


BLOCKS: dict[str, Callable[[], AbstractContextManager[object]]] = {
    "counting": lambda: counting({USR1, USR2}),
    "flagging": lambda: flagging({USR1, USR2}),
    "recording": lambda: recording({USR1, USR2}, 2**31 - 1),
    "exiting": lambda: exiting({USR1, USR2}, 3),
}


@pytest.mark.parametrize("outer", BLOCKS)
@pytest.mark.parametrize("inner", BLOCKS)
def test_blocks_within_each_other_restore_exactly(outer: str, inner: str) -> None:
    before = _actions()

    def fail() -> None:
        with BLOCKS[inner]():
            assert (_actions() != between) == ({outer, inner} != {"exiting"})  # which are equal
            raise KeyError

    with BLOCKS[outer]():
        between = _actions()
        with pytest.raises(KeyError):
            fail()
        assert _actions() == between
    assert _actions() == before


def test_a_signal_that_cannot_be_caught_leaves_all_as_it_was() -> None:
    before = _actions()
    with pytest.raises(OSError, match="cannot be caught"), counting({USR1, libc.SIGKILL, NEWS}):
        pass
    assert _actions() == before
