"""libc.ppoll, which no signal can slip past, and the two historical meanings of signal(2)."""

from __future__ import annotations

import errno
import operator
import os
import resource
import select
import signal
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from until import until_blocked

from unixipc import libc, processes
from unixipc._native import ffi, lib
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

HUP, USR1, USR2, TERM = libc.SIGHUP, libc.SIGUSR1, libc.SIGUSR2, libc.SIGTERM
IN, OUT = select.POLLIN, select.POLLOUT
LONGER_THAN_PATIENCE = 0.1


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def handle() -> Iterator[Callable[..., object]]:
    """Install handlers, and block signals, until the test ends."""
    before: list[tuple[int, libc.Sigaction]] = []
    mask = libc.sigprocmask(libc.SIG_BLOCK)

    def install(signum: int, handler: libc.Handler, mask: set[int] | None = None) -> None:
        before.append((signum, libc.sigaction(signum, libc.Sigaction(handler, mask or ()))))

    yield install
    for signum, action in reversed(before):
        libc.sigaction(signum, action)
    libc.sigprocmask(libc.SIG_SETMASK, mask)


@pytest.fixture
def put_back() -> Iterator[None]:
    """Put the actions of SIGUSR1 and SIGALRM back, with their flags."""
    before = {signum: libc.sigaction(signum) for signum in (USR1, libc.SIGALRM)}
    yield
    for signum, action in before.items():
        libc.sigaction(signum, action)


def _mask() -> libc.SignalSet:
    return libc.sigprocmask(libc.SIG_BLOCK)


def _block(*signals: int) -> None:
    libc.sigprocmask(libc.SIG_BLOCK, signals)


def test_those_that_are_ready_come_out_with_their_events(pipe: tuple[int, int]) -> None:
    read_end, write_end = pipe
    assert libc.ppoll([(read_end, IN), (write_end, OUT)]) == [(write_end, OUT)]
    os.write(write_end, b"!")
    assert libc.ppoll([(read_end, IN), (write_end, OUT)], 0) == [(read_end, IN), (write_end, OUT)]
    assert libc.ppoll(((read_end, IN), (write_end, 0)), DEADLINE) == [(read_end, IN)]


@pytest.mark.parametrize("timeout", [0, 0.0, 1e-12, 0.01])
def test_when_time_is_up_none_comes_out(pipe: tuple[int, int], timeout: float) -> None:
    assert libc.ppoll([(pipe[0], IN)], timeout) == []
    assert libc.ppoll([], timeout) == []


def test_an_end_that_is_closed_hangs_up() -> None:
    read_end, write_end = os.pipe()
    os.close(write_end)
    assert libc.ppoll([(read_end, IN)]) == [(read_end, select.POLLHUP)]
    os.close(read_end)
    assert libc.ppoll([(read_end, IN)]) == [(read_end, select.POLLNVAL)]


def test_negative_descriptors_are_passed_over_and_one_may_come_twice(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"!")
    assert libc.ppoll([(-1, IN), (pipe[0], IN), (pipe[0], IN)], DEADLINE) == [(pipe[0], IN)] * 2
    assert libc.ppoll([(-1, IN)], 0) == []


def test_many_descriptors_come_out_in_order(pipe: tuple[int, int]) -> None:
    os.write(pipe[1], b"!")
    fds = [os.dup(pipe[index % 2]) for index in range(200)]
    try:
        wanted = [(fd, IN if index % 2 == 0 else OUT) for index, fd in enumerate(fds)]
        assert libc.ppoll(wanted) == wanted
    finally:
        for fd in fds:
            os.close(fd)


def test_more_than_a_process_may_have_is_einval(fork: Fork) -> None:
    def child() -> int | None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        with pytest.raises(OSError, match="Invalid argument") as caught:
            libc.ppoll([(-1, IN)] * 65, 0)
        return caught.value.errno

    assert fork(child).result() == errno.EINVAL


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((None,), TypeError),
        ((3,), TypeError),
        (([3],), TypeError),
        (([(3,)],), ValueError),
        (([(3, 1, 0)],), ValueError),
        (([("3", 1)],), TypeError),
        (([(3, None)],), TypeError),
        (([(3, 1.0)],), TypeError),
        (([(2**31, 1)],), OverflowError),
        (([(3, 2**15)],), OverflowError),
        (([(3, -(2**15) - 1)],), OverflowError),
        (([], "1"), TypeError),
        (([], -1), OSError),
        (([], float("nan")), ValueError),
        (([], float("inf")), OverflowError),
        (([], 1e30), OverflowError),
        (([], 0, USR1), TypeError),
        (([], 0, [None]), TypeError),
        (([], 0, {0}), OSError),
        (([], 0, {32}), OSError),
    ],
)
def test_wrong_input_is_refused_and_changes_nothing(arguments: Any, error: type[Exception]) -> None:
    before = _mask()
    with pytest.raises(error):
        libc.ppoll(*arguments)
    assert _mask() == before


def test_input_that_changes_while_it_is_read_is_read_once(pipe: tuple[int, int]) -> None:
    pairs: list[tuple[Any, int]] = []

    class Growing:
        def __index__(self) -> int:
            if len(pairs) < 50:
                pairs.append((Growing(), IN))
            return pipe[0]

    pairs.append((Growing(), IN))
    assert libc.ppoll(pairs, 0) == []


def test_the_handler_runs_under_the_temporary_mask_and_before_it_returns(handle: Callable[..., object]) -> None:
    log: list[libc.SignalSet] = []
    handle(USR1, lambda _: log.append(_mask()), {USR2})
    _block(HUP, USR1)
    before = _mask()
    libc.raise_(USR1)
    with pytest.raises(InterruptedError, match=r"ppoll\(.*Interrupted system call") as caught:
        libc.ppoll([], None, {TERM})
    assert caught.value.errno == errno.EINTR
    assert log == [libc.SignalSet({TERM, USR1, USR2})]
    assert _mask() == before


@pytest.fixture
def alarmed(fork: Fork, gate: Callable[[], Gate]) -> Iterator[Callable[[], None]]:
    """Have another process send SIGALRM, once this one sleeps."""
    go, me = gate(), os.getpid()

    def send() -> None:
        go.wait()
        until_blocked(me)
        libc.kill(me, libc.SIGALRM)

    sending = fork(send)
    yield go.open
    sending.result()


def test_without_a_mask_the_present_one_stays(handle: Callable[..., object], alarmed: Callable[[], None]) -> None:
    log: list[libc.SignalSet] = []
    handle(libc.SIGALRM, lambda _: log.append(_mask()))
    _block(HUP)
    before = _mask()
    alarmed()
    with pytest.raises(InterruptedError):
        libc.ppoll([])
    assert (log, _mask()) == ([before | {libc.SIGALRM}], before)


def test_what_the_mask_blocks_does_not_end_it(handle: Callable[..., object]) -> None:
    log: list[int] = []
    handle(USR1, log.append)
    _block(USR1)
    libc.raise_(USR1)
    assert libc.ppoll([], 0.01, {USR1}) == []
    assert USR1 in libc.sigpending()
    assert not log
    with pytest.raises(InterruptedError):
        libc.ppoll([], None, ())
    assert log == [USR1]


def test_a_pending_signal_goes_before_a_timeout_of_0(handle: Callable[..., object]) -> None:
    log: list[int] = []
    handle(USR1, log.append)
    _block(USR1)
    libc.raise_(USR1)
    with pytest.raises(InterruptedError):
        libc.ppoll([], 0, ())
    assert log == [USR1]


def test_where_a_descriptor_is_ready_too_the_signal_waits_as_in_c(
    handle: Callable[..., object], pipe: tuple[int, int]
) -> None:
    log: list[int] = []
    handle(USR1, log.append)
    _block(USR1)
    libc.raise_(USR1)
    assert libc.ppoll([(pipe[1], OUT)], None, ()) == [(pipe[1], OUT)]
    assert not log
    assert USR1 in libc.sigpending()
    with pytest.raises(InterruptedError):
        libc.ppoll([], 0, ())
    assert log == [USR1]


def test_several_that_the_mask_lets_through_are_all_handled(handle: Callable[..., object]) -> None:
    log: list[int] = []
    for signum in (USR1, USR2, HUP):
        handle(signum, log.append, {USR1, USR2, HUP})
        _block(signum)
        libc.raise_(signum)
    before = _mask()
    while len(log) < 3:
        with suppress(InterruptedError):
            libc.ppoll([], DEADLINE, ())
    assert sorted(log) == [HUP, USR1, USR2]
    assert _mask() == before


def test_a_handler_s_exception_comes_out_and_the_old_mask_is_back(handle: Callable[..., object]) -> None:
    def fail(_: int) -> None:
        raise ZeroDivisionError

    handle(USR1, fail)
    _block(USR1, HUP)
    before = _mask()
    libc.raise_(USR1)
    with pytest.raises(ZeroDivisionError):
        libc.ppoll([], None, {TERM})
    assert _mask() == before


def test_a_handler_of_the_standard_library_s_ends_it_too(handle: Callable[..., object]) -> None:
    log: list[int] = []
    handle(USR1, libc.SIG_DFL)
    signal.signal(signal.SIGUSR1, lambda signum, _: log.append(signum))
    _block(USR1)
    before = _mask()
    libc.raise_(USR1)
    with pytest.raises(InterruptedError):
        libc.ppoll([], None, ())
    assert (log, _mask()) == ([USR1], before)


@pytest.mark.parametrize("flags", [0, libc.SA_RESTART])
def test_a_signal_that_was_recorded_before_the_call_is_handled_before_it_waits(
    fork: Fork, pipe: tuple[int, int], flags: int
) -> None:
    """It is called from C, with no look of the interpreter's between the signal and the call."""

    def child() -> tuple[int, list[int]]:
        log: list[int] = []
        libc.sigaction(USR1, libc.Sigaction(log.append, flags=flags))
        fds = ffi.new("struct uipc_pollfd[]", [(pipe[0], IN, 0)])
        steps = (partial(lib.uipc_raise, USR1), partial(lib.uipc_ppoll, fds, 1, ffi.NULL, ffi.NULL))
        return list(map(operator.call, steps))[-1], log

    assert fork(child).result() == (-errno.ERESTART, [USR1])


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
@pytest.mark.parametrize("timeout", [None, DEADLINE])
def test_no_signal_slips_by_between_the_check_and_the_wait(
    fork: Fork, gate: Callable[[], Gate], timeout: float | None
) -> None:
    rounds, go = 4000, gate()

    def send(target: int) -> None:
        for _ in range(rounds):
            go.wait()
            libc.kill(target, USR1)

    def race() -> int:
        caught = 0

        def count(_: int) -> None:
            nonlocal caught
            caught += 1

        _block(USR1)
        libc.sigaction(USR1, libc.Sigaction(count))
        with processes.fork(send, os.getpid()) as sender:
            for expected in range(1, rounds + 1):
                go.open()
                while caught < expected:
                    with suppress(InterruptedError):
                        libc.ppoll([], timeout, ())
            sender.result()
        return caught

    assert fork(race).result() == rounds


@pytest.mark.parametrize("sigmask", [None, ()])
def test_the_poke_does_not_end_it(
    fork: Fork, gate: Callable[[], Gate], pipe: tuple[int, int], sigmask: tuple[()] | None
) -> None:
    """The look that follows a signal comes while it waits, and finds nothing."""
    waits = gate()

    def child() -> list[tuple[int, int]]:
        libc.sigaction(USR1, libc.Sigaction(lambda _: None))
        libc.raise_(USR1)
        waits.open()
        return libc.ppoll([(pipe[0], IN)], DEADLINE, sigmask)

    polling = fork(child)
    waits.wait()
    time.sleep(LONGER_THAN_PATIENCE)  # not for the child: for the look to come
    os.write(pipe[1], b"!")
    assert polling.result() == [(pipe[0], IN)]


def test_a_signal_that_another_thread_gets_ends_it_after_the_handler(fork: Fork) -> None:
    def child() -> list[int]:
        log: list[int] = []
        libc.sigaction(USR1, libc.Sigaction(log.append))
        stop = threading.Event()
        thread = threading.Thread(target=stop.wait)
        thread.start()
        main = os.getpid()

        def send() -> None:
            until_blocked(main)
            assert thread.native_id is not None
            libc.tgkill(main, thread.native_id, USR1)

        sender = threading.Thread(target=send)
        sender.start()
        while not log:
            with suppress(InterruptedError):
                libc.ppoll([], DEADLINE)
        stop.set()
        sender.join(DEADLINE)
        thread.join(DEADLINE)
        return log

    assert fork(child).result() == [USR1]


def test_on_another_thread_it_minds_that_thread_s_signals_and_mask() -> None:
    found: list[object] = []

    def work() -> None:
        libc.sigprocmask(libc.SIG_SETMASK, {USR1})
        libc.tgkill(os.getpid(), threading.get_native_id(), USR1)
        assert libc.ppoll([], 0.01) == []
        try:
            libc.ppoll([], DEADLINE, ())
        except InterruptedError:
            found.append(_mask())

    before = libc.sigaction(USR1, libc.Sigaction(found.append))
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(DEADLINE)
    assert USR1 in found
    libc.sigaction(USR1, before)
    assert sorted(found, key=repr) == sorted([USR1, libc.SignalSet({USR1})], key=repr)


# -- bsd_signal and sysv_signal --


def test_bsd_signal_stays_and_restarts(put_back: None, pipe: tuple[int, int]) -> None:
    log: list[int] = []

    def handler(signum: int) -> None:
        log.append(signum)
        os.write(pipe[1], b"!")

    before = libc.bsd_signal(libc.SIGALRM, handler)
    try:
        assert libc.sigaction(libc.SIGALRM) == libc.Sigaction(handler, (), libc.SA_RESTART)
        for _ in range(2):
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            assert libc.read(pipe[0], 1) == b"!"
        assert log == [libc.SIGALRM] * 2
    finally:
        assert libc.bsd_signal(libc.SIGALRM, before) is handler


def test_sysv_signal_is_for_one_signal_and_interrupts(
    put_back: None, pipe: tuple[int, int], alarmed: Callable[[], None]
) -> None:
    log: list[object] = []

    def handler(signum: int) -> None:
        log.append((signum, signum in _mask(), libc.sigaction(signum).handler))

    before = libc.sysv_signal(libc.SIGALRM, handler)
    assert libc.sigaction(libc.SIGALRM) == libc.Sigaction(handler, (), libc.SA_RESETHAND | libc.SA_NODEFER)
    alarmed()
    with pytest.raises(InterruptedError):
        libc.read(pipe[0], 1)
    assert log == [(libc.SIGALRM, False, libc.SIG_DFL)]
    assert libc.sysv_signal(libc.SIGALRM, before) == libc.SIG_DFL


def test_a_second_signal_meets_the_default(fork: Fork) -> None:
    def child() -> None:
        libc.sysv_signal(USR1, lambda _: None)
        libc.raise_(USR1)
        libc.raise_(USR1)

    assert fork(child).wait().returncode == -USR1


@pytest.mark.parametrize("call", [libc.bsd_signal, libc.sysv_signal])
def test_both_take_dispositions_and_refuse_what_sigaction_refuses(
    put_back: None,
    call: Callable[[Any, Any], libc.Handler],
) -> None:
    assert call(USR1, libc.SIG_IGN) == libc.SIG_DFL
    libc.raise_(USR1)
    assert call(USR1, libc.SIG_DFL) == libc.SIG_IGN
    for wrong in (0, 33, 65, libc.SIGKILL, libc.SIGSEGV):
        with pytest.raises(OSError, match="Invalid argument"):
            call(wrong, print)
    for handler in (None, "handler", 7):
        with pytest.raises(TypeError):
            call(USR1, handler)
