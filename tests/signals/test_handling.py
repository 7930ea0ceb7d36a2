"""signals.handling: what a with-block changes is back at its end, exactly, whatever happened in it."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import libc, processes, signals
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from conftest import Strike

    from unixipc.testing.plugin import Fork

HUP, INT, USR1, USR2, TERM = libc.SIGHUP, libc.SIGINT, libc.SIGUSR1, libc.SIGUSR2, libc.SIGTERM
RT = libc.SIGRTMIN
SOME = {HUP, USR1, USR2, RT}
DESCRIPTORS = Path("/proc/self/fd")


def _mask() -> libc.SignalSet:
    return libc.sigprocmask(libc.SIG_BLOCK)


def _actions() -> dict[int, libc.Sigaction]:
    return {signum: libc.sigaction(signum) for signum in SOME}


@pytest.fixture
def foreign() -> Iterator[dict[int, libc.Sigaction]]:
    """Have an action of every kind in place, and give them as they are reported."""
    given = {
        HUP: libc.Sigaction(libc.SIG_IGN, {USR1}, libc.SA_NODEFER),
        USR1: libc.Sigaction(id, {TERM}, libc.SA_RESTART | libc.SA_NODEFER),
        RT: libc.Sigaction(libc.SIG_DFL, {USR1, RT + 1}, libc.SA_RESTART),
    }
    before = _actions()
    for signum, act in given.items():
        libc.sigaction(signum, act)
    signal.signal(signal.SIGUSR2, lambda *_: None)
    signal.siginterrupt(signal.SIGUSR2, False)
    yield _actions()
    for signum, act in before.items():
        libc.sigaction(signum, act)


# -- blocked --


def test_blocked_blocks_and_gives_the_mask_from_before() -> None:
    before = _mask()
    with signals.blocked({USR1, RT}) as given:
        assert given == before
        assert _mask() == before | {USR1, RT}
    assert _mask() == before


def test_blocked_takes_one_signal_or_all() -> None:
    before = _mask()
    with signals.blocked(USR1):
        assert _mask() == before | {USR1}
        with signals.blocked():
            assert _mask() == signals.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}
        assert _mask() == before | {USR1}
    with signals.blocked(()):
        assert _mask() == before


def test_what_was_blocked_before_stays_blocked() -> None:
    with signals.blocked(USR1):
        with signals.blocked({USR1, USR2}):
            pass
        assert USR1 in _mask()
        assert USR2 not in _mask()


def test_what_the_block_did_to_the_mask_is_undone() -> None:
    before = _mask()
    with signals.blocked(USR1):
        libc.sigprocmask(libc.SIG_SETMASK, {USR2, RT})
    assert _mask() == before


def test_what_arrived_meanwhile_is_handled_at_the_end() -> None:
    log: list[object] = []
    with signals.handling({USR1, RT}, lambda signum, info: log.append((signum, info.si_value))):
        with signals.blocked({USR1, RT}):
            for value in range(3):
                signals.queue(os.getpid(), RT, value)
            signals.queue(os.getpid(), USR1, 7)
            log.append("end of the block")
        log.append("after the block")
    handled = [(USR1, 7), (RT, 0), (RT, 1), (RT, 2)]
    assert log[0] == "end of the block"
    assert sorted(log[1:-1], key=handled.index) == handled  # type: ignore[arg-type]
    assert log[-1] == "after the block"


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration])
def test_an_exception_of_the_block_passes_and_the_mask_is_back(error: type[BaseException]) -> None:
    before = _mask()
    with pytest.raises(error), signals.blocked():
        raise error
    assert _mask() == before


def test_what_a_handler_raises_at_the_end_comes_out_and_the_mask_is_back() -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    before = _mask()
    with signals.handling(USR1, fail):
        with pytest.raises(ZeroDivisionError), signals.blocked():
            libc.raise_(USR1)
        assert _mask() == before


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
@pytest.mark.parametrize("handle", ["signal.signal", "handling"])
def test_a_handler_that_raises_at_any_moment_leaves_the_mask_and_the_actions_alone(
    fork: Fork, gate: Callable[[], Gate], handle: str
) -> None:
    """The signal comes once a round, somewhere around the beginnings and ends of the with-blocks."""
    rounds, go = 2000, gate()

    class RaisedError(Exception):
        """What the handler raises."""

    def fail(*_: object) -> None:
        raise RaisedError

    def send(target: int) -> None:
        for round_ in range(rounds):
            go.wait()
            for _ in range(round_ * 7919 % 500):
                pass
            libc.kill(target, INT)

    def child() -> list[int]:
        if handle == "handling":
            libc.sigaction(INT, libc.Sigaction(fail))
        else:
            signal.signal(signal.SIGINT, fail)
        before = _actions(), _mask()
        wrong = []
        with processes.fork(send, os.getpid()) as sender:
            for round_ in range(rounds):
                with suppress(RaisedError):
                    go.open()
                    while True:
                        with signals.handling({USR1, RT}, id), signals.blocked({USR2}), signals.blocked():
                            pass
                if (_actions(), _mask()) != before:
                    wrong.append(round_)
                    for signum, act in before[0].items():
                        libc.sigaction(signum, act)
                    libc.sigprocmask(libc.SIG_SETMASK, before[1])
            sender.result()
        return wrong

    assert fork(child).result() == []


@pytest.mark.parametrize(
    "block",
    [
        partial(signals.blocked, {USR2}),
        partial(signals.handling, {USR1, RT}, id),
        partial(signals.counting, {USR1, RT}),
        partial(signals.stopping, {USR1, RT}),
        partial(signals.terminating, {USR1, RT}),
    ],
    ids=["blocked", "handling", "counting", "stopping", "terminating"],
)
def test_a_handler_that_raises_just_when_a_block_is_left_leaves_nothing_of_it(
    strike: Strike, block: Callable[[], AbstractContextManager[object]], foreign: dict[int, libc.Sigaction]
) -> None:
    """That a method of the block's would begin is the moment; the exception is kept, and so is what it refers to."""

    class RaisedError(Exception):
        """What the handler raises."""

    def fail(*_: object) -> None:
        raise RaisedError

    descriptors = sorted(DESCRIPTORS.iterdir())
    with signals.handling(INT, fail):
        before = _mask()
        raised = []
        for _ in range(3):
            with pytest.raises(RaisedError) as caught, block(), block():
                _ = strike.by_sigint
            raised.append(caught)
            assert (_actions(), _mask()) == (foreign, before)
            assert sorted(DESCRIPTORS.iterdir()) == descriptors


@pytest.mark.parametrize("block", [signals.blocked, partial(signals.handling, USR1, id), signals.stopping])
def test_a_block_can_be_entered_again_but_not_within_itself(
    block: Callable[[], AbstractContextManager[object]], foreign: dict[int, libc.Sigaction]
) -> None:
    one, before = block(), (_actions(), _mask())
    for _ in range(2):
        with one:
            within = _actions(), _mask()
            with pytest.raises(RuntimeError, match="already: make another"), one:
                pytest.fail("it was entered")
            assert (_actions(), _mask()) == within
        assert (_actions(), _mask()) == before


def test_blocked_is_of_the_calling_thread_alone() -> None:
    masks: list[libc.SignalSet] = []

    def work() -> None:
        with signals.blocked({USR1, USR2}):
            inside.set()
            outside.wait(DEADLINE)
        masks.append(_mask())

    before = _mask()
    inside, outside = threading.Event(), threading.Event()
    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(DEADLINE)
    masks.append(_mask())
    outside.set()
    thread.join(DEADLINE)
    assert masks == [before, before]


@pytest.mark.parametrize("wrong", [0, -1, 32, 33, 65, 2**70, [USR1, 0], {USR1, 65}])
def test_blocked_refuses_what_is_no_signal_and_changes_nothing(wrong: Any) -> None:
    before = _mask()
    with pytest.raises(OSError, match="Invalid argument"), signals.blocked(wrong):
        pytest.fail("the block was entered")
    assert _mask() == before


@pytest.mark.parametrize("wrong", [None, 1.5, "SIGUSR1", [None], object()])
def test_blocked_refuses_what_is_no_number_and_changes_nothing(wrong: Any) -> None:
    before = _mask()
    with pytest.raises(TypeError), signals.blocked(wrong):
        pytest.fail("the block was entered")
    assert _mask() == before


def test_blocked_decorates_a_function_too() -> None:
    @signals.blocked({USR1})
    def masked() -> bool:
        return USR1 in _mask()

    assert masked()
    assert masked()
    assert USR1 not in _mask()


def test_a_wait_within_blocked_leaves_no_poke_to_be_seen() -> None:
    """The signal that wakes the main thread is under way when it is blocked; it must not show as pending."""
    with signals.handling(USR1, lambda *_: None):
        libc.raise_(USR1)
        with signals.blocked():
            with pytest.raises(TimeoutError):
                signals.wait(USR2, 0.05)
            assert not libc.sigpending()


# -- handling --


def test_the_handler_gets_signal_and_siginfo() -> None:
    log: list[tuple[int, libc.Siginfo]] = []
    with signals.handling({USR1, RT}, lambda signum, info: log.append((signum, info))):
        libc.raise_(USR1)
        signals.queue(os.getpid(), RT, -5)
    assert [(signum, info.si_signo, info.si_pid) for signum, info in log] == [
        (USR1, USR1, os.getpid()),
        (RT, RT, os.getpid()),
    ]
    assert log[1][1].si_value == -5


def test_flags_and_mask_are_those_given() -> None:
    log: list[object] = []
    with signals.handling(USR1, log.append, mask={USR2}, flags=libc.SA_NODEFER):
        assert libc.sigaction(USR1) == libc.Sigaction(log.append, {USR2}, libc.SA_NODEFER)
        libc.raise_(USR1)
    assert log == [USR1]


def test_the_block_gets_the_actions_from_before_and_they_come_back_exactly(
    foreign: dict[int, libc.Sigaction],
) -> None:
    with signals.handling(SOME, lambda *_: None) as before:
        assert before == foreign
        assert _actions() != foreign
    assert _actions() == foreign
    assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    assert callable(signal.getsignal(signal.SIGUSR2))


@pytest.mark.parametrize("handler", [libc.SIG_IGN, libc.SIG_DFL])
def test_a_disposition_is_a_handler_too(foreign: dict[int, libc.Sigaction], handler: libc.Handler) -> None:
    with signals.handling(SOME, handler):
        assert {action.handler for action in _actions().values()} == {handler}
    assert _actions() == foreign


def test_a_native_handler_is_put_in_place_and_put_back() -> None:
    with signals.handling(USR2, libc.SIG_DFL):
        signal.signal(signal.SIGUSR2, lambda *_: None)
        native = libc.sigaction(USR2).handler
        assert isinstance(native, libc.NativeHandler)
        with signals.handling({USR1}, native, flags=0):
            assert libc.sigaction(USR1).handler == native
            with signals.handling({USR1}, id):
                pass
            assert libc.sigaction(USR1).handler == native


def test_a_handler_of_the_standard_library_s_works_again(foreign: dict[int, libc.Sigaction]) -> None:
    log: list[int] = []
    signal.signal(signal.SIGUSR2, lambda signum, _: log.append(signum))
    with signals.handling(USR2, lambda *_: None):
        libc.raise_(USR2)
    libc.raise_(USR2)
    assert log == [USR2]


def test_a_spent_handler_comes_back_spent() -> None:
    with signals.handling(USR1, id, flags=libc.SA_RESETHAND):
        libc.raise_(USR1)
        spent = libc.sigaction(USR1)
        assert spent.handler == libc.SIG_DFL
        with signals.handling(USR1, lambda *_: None):
            libc.raise_(USR1)
        assert libc.sigaction(USR1) == spent


def test_one_that_is_spent_within_the_block_gives_way_to_the_one_before() -> None:
    log: list[object] = []
    with signals.handling(USR1, lambda *_: log.append("outer")):
        flags = libc.SA_SIGINFO | libc.SA_RESETHAND
        with signals.handling(USR1, lambda *_: log.append("inner"), flags=flags):
            libc.raise_(USR1)
            assert libc.sigaction(USR1).handler == libc.SIG_DFL
        libc.raise_(USR1)
    assert log == ["inner", "outer"]


def test_nested_blocks_come_back_one_by_one() -> None:
    log: list[str] = []

    def handler(name: str) -> Callable[[int, libc.Siginfo], None]:
        return lambda *_: log.append(name)

    with signals.handling({USR1, USR2}, handler("a")):
        with signals.handling({USR2, RT}, handler("b")):
            with signals.handling({USR1, RT}, handler("c")):
                for signum in (USR1, USR2, RT):
                    libc.raise_(signum)
            for signum in (USR1, USR2, RT):
                libc.raise_(signum)
        for signum in (USR1, USR2):
            libc.raise_(signum)
    assert "".join(log) == "cbcabbaa"


def test_what_the_block_installed_itself_is_gone_at_the_end(foreign: dict[int, libc.Sigaction]) -> None:
    with signals.handling(SOME, id):
        libc.signal(USR1, libc.SIG_IGN)
        signal.signal(signal.SIGHUP, lambda *_: None)
    assert _actions() == foreign


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, SystemExit, GeneratorExit, StopIteration])
def test_an_exception_of_the_block_passes_and_the_actions_are_back(
    foreign: dict[int, libc.Sigaction], error: type[BaseException]
) -> None:
    with pytest.raises(error), signals.handling(SOME, id):
        raise error
    assert _actions() == foreign


def test_what_a_handler_raises_comes_out_of_the_block_and_the_actions_are_back(
    foreign: dict[int, libc.Sigaction],
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    before = _mask()
    with pytest.raises(ZeroDivisionError), signals.handling(SOME, fail):
        libc.raise_(USR1)
    assert (_actions(), _mask()) == (foreign, before)


@pytest.mark.parametrize(
    "impossible", [libc.SIGKILL, libc.SIGSTOP, libc.SIGSEGV, libc.SIGBUS, libc.SIGFPE, libc.SIGILL]
)
def test_where_one_cannot_be_handled_none_is(foreign: dict[int, libc.Sigaction], impossible: int) -> None:
    before, fault = _mask(), libc.sigaction(impossible)
    with (
        pytest.raises(OSError, match=rf"sigaction\({impossible}\): Invalid argument"),
        signals.handling([*SOME, impossible], id),
    ):
        pytest.fail("the block was entered")
    assert (_actions(), _mask(), libc.sigaction(impossible)) == (foreign, before, fault)


@pytest.mark.parametrize("wrong", [0, -1, 32, 33, 65, 2**70, [USR1, 0]])
def test_handling_refuses_what_is_no_signal(foreign: dict[int, libc.Sigaction], wrong: Any) -> None:
    with pytest.raises(OSError, match="Invalid argument"), signals.handling(wrong, id):
        pytest.fail("the block was entered")
    assert _actions() == foreign


@pytest.mark.parametrize(
    ("arguments", "keywords", "error"),
    [
        ((USR1, None), {}, TypeError),
        ((USR1, 7), {}, TypeError),
        ((USR1, "handler"), {}, TypeError),
        ((None, id), {}, TypeError),
        (("SIGUSR1", id), {}, TypeError),
        ((1.0, id), {}, TypeError),
        ((USR1, id), {"mask": USR2}, TypeError),
        ((USR1, id), {"mask": {0}}, OSError),
        ((USR1, id), {"flags": "0"}, TypeError),
        ((USR1, id), {"flags": -1}, OverflowError),
        ((USR1, id), {"flags": 2**32}, OverflowError),
    ],
)
def test_handling_refuses_wrong_input_and_changes_nothing(
    foreign: dict[int, libc.Sigaction], arguments: Any, keywords: Any, error: type[Exception]
) -> None:
    before = _mask()
    with pytest.raises(error), signals.handling(*arguments, **keywords):
        pytest.fail("the block was entered")
    assert (_actions(), _mask()) == (foreign, before)


def test_handling_is_for_the_main_thread(foreign: dict[int, libc.Sigaction]) -> None:
    found: list[object] = []

    def work() -> None:
        before = _mask()
        try:
            with signals.handling(SOME, id):
                found.append("entered")
        except ValueError as error:
            found.append(str(error))
        found.append(_mask() == before)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(DEADLINE)
    assert found == ["sigaction() changes handlers on the main thread only", True]
    assert _actions() == foreign


def test_all_signals_are_handled_from_one_moment_on() -> None:
    """What was pending meets the new handlers only when all are in place."""
    log: list[dict[int, bool]] = []

    def handler(signum: int, _: libc.Siginfo) -> None:
        log.append({other: libc.sigaction(other).handler == handler for other in SOME})

    with signals.handling(SOME, libc.SIG_DFL), signals.blocked(SOME):
        for signum in SOME:
            libc.raise_(signum)
        libc.sigprocmask(libc.SIG_BLOCK)
        with signals.handling(SOME, handler):
            libc.sigprocmask(libc.SIG_UNBLOCK, SOME)
            libc.sigprocmask(libc.SIG_BLOCK, SOME)
    assert log == [dict.fromkeys(SOME, True)] * len(SOME)


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
def test_a_signal_that_comes_while_handlers_change_meets_one_of_them_and_is_not_lost(
    fork: Fork, gate: Callable[[], Gate]
) -> None:
    count, go = 3000, gate()

    def send(target: int) -> None:
        go.wait()
        for value in range(count):
            signals.queue(target, RT, value)
            if value % 100 == 99:
                go.wait()

    def child() -> list[int | None]:
        values: list[int | None] = []

        def handler(_: int, info: libc.Siginfo) -> None:
            values.append(info.si_value)
            if len(values) % 100 == 0:
                go.open()

        with signals.handling(RT, handler), processes.fork(send, os.getpid()) as sender:
            go.open()
            while len(values) < count:
                with signals.handling(RT, partial(handler)):
                    pass
            sender.result()
        return values

    assert fork(child).result() == list(range(count))


def test_a_fork_within_the_block_has_handlers_of_its_own(fork: Fork) -> None:
    log: list[int] = []
    with signals.handling(USR1, lambda signum, _: log.append(signum)):

        def child() -> list[int]:
            libc.raise_(USR1)
            libc.signal(USR1, libc.SIG_DFL)
            return log

        assert fork(child).result() == [USR1]
        libc.raise_(USR1)
    assert log == [USR1]


def test_handling_can_be_entered_within_a_handler() -> None:
    log: list[str] = []

    def outer(*_: object) -> None:
        with signals.handling(USR2, lambda *_: log.append("inner")):
            libc.raise_(USR2)
        log.append("outer")

    with signals.handling(USR2, libc.SIG_IGN), signals.handling(USR1, outer):
        libc.raise_(USR1)
        libc.raise_(USR2)
    assert log == ["inner", "outer"]
