"""signals.receiver: a stream of signals that loses none, and that leaves everything as it was."""

from __future__ import annotations

import asyncio
import os
import resource
import select
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import count_alone
from until import until_blocked, until_thread_blocked

from unixipc import libc, processes, signals
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from unixipc.testing.plugin import Fork

HUP, INT, USR1, USR2, TERM, CHLD = (
    libc.SIGHUP,
    libc.SIGINT,
    libc.SIGUSR1,
    libc.SIGUSR2,
    libc.SIGTERM,
    libc.SIGCHLD,
)
RT = libc.SIGRTMIN
FLOOD = 20_000


def _mask() -> libc.SignalSet:
    return libc.sigprocmask(libc.SIG_BLOCK)


def _queue(signum: int, *values: int) -> None:
    for value in values:
        signals.queue(os.getpid(), signum, value)


def _values(infos: Iterable[libc.Siginfo]) -> list[int | None]:
    return [info.si_value for info in infos]


def _unread(receiver: signals.Receiver) -> list[libc.Siginfo]:
    found = []
    with suppress(TimeoutError):
        while True:
            found.append(receiver.receive(0))
    return found


def _is_readable(receiver: signals.Receiver) -> bool:
    return bool(select.select([receiver], [], [], 0)[0])


def _join(*threads: threading.Thread) -> None:
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()


def _start(function: Callable[..., object], *args: object) -> threading.Thread:
    thread = threading.Thread(target=function, args=args)
    thread.start()
    return thread


def _flood(target: int, signum: int, count: int, go: Gate | None = None) -> None:
    """Queue the numbers up to the count; where the queue is full, go on when the receiver has made room."""
    for value in range(count):
        while True:
            try:
                signals.queue(target, signum, value)
                break
            except BlockingIOError:
                os.sched_yield()


# -- receiving --


def test_what_comes_is_received_in_order_with_its_siginfo() -> None:
    with signals.receiver({USR1, RT}) as received:
        _queue(RT, 1, 2)
        _queue(USR1, 3)
        _queue(RT, 4)
        infos = [received.receive(DEADLINE) for _ in range(4)]
    assert [(info.si_signo, info.si_value) for info in infos] == [(RT, 1), (RT, 2), (USR1, 3), (RT, 4)]
    assert {info.si_pid for info in infos} == {os.getpid()}


def test_one_signal_may_be_given_alone() -> None:
    with signals.receiver(USR1) as received:
        assert received.signals == libc.SignalSet({USR1})
        libc.raise_(USR1)
        assert received.receive(0).si_signo == USR1


def test_the_iteration_gives_them_as_they_come(fork: Fork) -> None:
    with signals.receiver(RT) as received:
        sender = fork(_flood, os.getpid(), RT, 5)
        found = []
        for info in received:
            found.append(info.si_value)
            if len(found) == 5:
                break
    assert found == list(range(5))
    sender.result()


def test_nothing_is_lost_in_a_flood_and_all_comes_in_order(fork: Fork) -> None:
    with signals.receiver(RT) as received:
        sender = fork(_flood, os.getpid(), RT, FLOOD)
        assert [received.receive(DEADLINE).si_value for _ in range(FLOOD)] == list(range(FLOOD))
        sender.result()
        assert not _unread(received)
        assert not _is_readable(received)


def test_nothing_is_lost_where_the_main_thread_works_and_others_read(fork: Fork) -> None:
    """Each signal comes to exactly one of the threads."""
    count = 5000
    found: list[list[int | None]] = [[] for _ in range(4)]

    def read(into: list[int | None]) -> None:
        into.extend(info.si_value for info in received)

    with signals.receiver(RT) as received:
        sender = fork(_flood, os.getpid(), RT, count)
        with signals.blocked(RT):  # for the threads: there is room for a thousand only that they get themselves
            threads = [_start(read, into) for into in found]
        deadline = time.monotonic() + DEADLINE
        while sum(map(len, found)) < count and time.monotonic() < deadline:
            sum(range(100))
        sender.result()
    _join(*threads)
    assert Counter(value for into in found for value in into) == Counter(range(count))
    for into in found:
        assert into == sorted(into)  # type: ignore[type-var]


def test_standard_signals_merge_in_the_kernel_only() -> None:
    with signals.receiver(USR1) as received:
        for value in range(5):
            _queue(USR1, value)
        assert _values(_unread(received)) == list(range(5))


def test_a_timeout_is_timeout_error_with_what_was_waited_for() -> None:
    with signals.receiver({USR1, USR2}) as received:
        for timeout in (0, 0.0, 0.01):
            with pytest.raises(TimeoutError, match=r"receive\(SignalSet\({SIGUSR1, SIGUSR2}\), .*none of them came"):
                received.receive(timeout)


@pytest.mark.parametrize("wrong", [-1, -0.001, float("nan"), float("-inf")])
def test_a_timeout_below_0_or_no_number_is_a_value_error(wrong: float) -> None:
    with signals.receiver(USR1) as received:
        libc.raise_(USR1)
        with pytest.raises(ValueError, match="a timeout is None or a number of seconds from 0 up"):
            received.receive(wrong)
        assert received.receive(0).si_signo == USR1


@pytest.mark.parametrize("wrong", ["1", [], {}])
def test_a_timeout_of_another_type_is_a_type_error(wrong: Any) -> None:
    with signals.receiver(USR1) as received, pytest.raises(TypeError):
        received.receive(wrong)


def test_receive_waits_through_other_signals_and_runs_their_handlers(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready, handled = gate(), gate()

    def child() -> int:
        with signals.handling(USR2, lambda *_: handled.open()), signals.receiver(USR1) as received:
            ready.open()
            return received.receive(DEADLINE).si_signo

    receiving = fork(child)
    ready.wait()
    for _ in range(5):
        until_blocked(receiving)
        signals.send(receiving, USR2)
        handled.wait()
    signals.send(receiving, USR1)
    assert receiving.result() == USR1


@pytest.mark.parametrize("error", [ZeroDivisionError, ValueError, TimeoutError, BlockingIOError, KeyboardInterrupt])
def test_what_another_signal_s_handler_raises_comes_out_of_the_iteration(error: type[BaseException]) -> None:
    def fail(*_: object) -> None:
        raise error("mine")

    def interrupted_soon(received: Iterator[libc.Siginfo]) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        next(received)

    with signals.receiver(USR1) as received, signals.handling(libc.SIGALRM, fail):
        with pytest.raises(error, match="mine"):
            interrupted_soon(received)
        libc.raise_(USR1)
        assert next(received).si_signo == USR1


def test_what_a_handler_raises_as_the_last_signal_is_taken_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.eventfd_read

    def fail(*_: object) -> None:
        raise BlockingIOError("mine")

    def read(fd: int) -> int:
        libc.raise_(USR2)
        return real(fd)

    with signals.receiver(USR1) as received, signals.handling(USR2, fail):
        libc.raise_(USR1)
        with monkeypatch.context() as patch:
            patch.setattr(os, "eventfd_read", read)
            with pytest.raises(BlockingIOError, match="mine"):
                received.receive(DEADLINE)
        assert received.receive(DEADLINE).si_signo == USR1


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
def test_ctrl_c_ends_the_wait_and_loses_nothing(fork: Fork, gate: Callable[[], Gate]) -> None:
    """The sender interrupts at any moment; every signal is received all the same."""
    rounds, go = 500, gate()

    def send(target: int) -> None:
        for value in range(rounds):
            go.wait()
            signals.queue(target, RT, value)
            libc.kill(target, INT)

    def child() -> tuple[int, list[int | None]]:
        interrupted, found = 0, []
        signal.signal(signal.SIGINT, signal.default_int_handler)
        with signals.receiver(RT) as received, processes.fork(send, os.getpid()) as sender:
            for _ in range(rounds):
                try:
                    go.open()
                    while True:
                        select.select([], [], [], 0)
                except KeyboardInterrupt:
                    interrupted += 1
                found.append(received.receive(DEADLINE).si_value)
            sender.result()
        return interrupted, found

    assert fork(child).result() == (rounds, list(range(rounds)))


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
def test_a_handler_that_raises_in_receive_leaves_the_receiver_usable(fork: Fork, gate: Callable[[], Gate]) -> None:
    rounds, go = 500, gate()

    class RaisedError(Exception):
        """What the handler raises."""

    def fail(*_: object) -> None:
        raise RaisedError

    def send(target: int) -> None:
        for round_ in range(rounds):
            go.wait()
            for _ in range(round_ * 7919 % 300):
                pass
            libc.kill(target, USR2)

    def child() -> None:
        with (
            signals.receiver(RT) as received,
            signals.handling(USR2, fail),
            processes.fork(send, os.getpid()) as sender,
        ):
            for round_ in range(rounds):
                with suppress(RaisedError):
                    go.open()
                    while True:
                        with suppress(TimeoutError):
                            received.receive(0)
                        with suppress(TimeoutError):
                            received.receive(0.0001)
                _queue(RT, round_)
                assert _is_readable(received)
                assert received.receive(0).si_value == round_
                assert not _is_readable(received)
            sender.result()

    fork(child).result()


# -- the descriptor --


def test_the_descriptor_is_readable_while_something_is_there() -> None:
    with signals.receiver(RT) as received:
        assert not _is_readable(received)
        _queue(RT, 1, 2, 3)
        for _ in range(3):
            assert _is_readable(received)
            received.receive(0)
        assert not _is_readable(received)
        assert not os.get_inheritable(received.fileno())
        assert not os.get_blocking(received.fileno())


def test_poll_and_epoll_see_it(fork: Fork) -> None:
    with signals.receiver(RT) as received, select.epoll() as epoll:
        poll = select.poll()
        poll.register(received, select.POLLIN)
        epoll.register(received, select.EPOLLIN)
        sender = fork(signals.queue, os.getpid(), RT, 9)
        assert poll.poll(DEADLINE * 1000) == [(received.fileno(), select.POLLIN)]
        assert epoll.poll(DEADLINE) == [(received.fileno(), select.EPOLLIN)]
        assert received.receive(0).si_value == 9
        assert not poll.poll(0)
        assert not epoll.poll(0)
        sender.result()


def test_an_event_loop_reads_it(fork: Fork) -> None:
    async def main() -> list[int | None]:
        found: list[int | None] = []
        done = asyncio.Event()

        def read() -> None:
            found.append(received.receive(0).si_value)
            if len(found) == 1000:
                done.set()

        asyncio.get_running_loop().add_reader(received, read)
        sender = fork(_flood, os.getpid(), RT, 1000)
        await asyncio.wait_for(done.wait(), DEADLINE)
        asyncio.get_running_loop().remove_reader(received)
        sender.result()
        return found

    with signals.receiver(RT) as received:
        assert asyncio.run(main()) == list(range(1000))


# -- what it leaves behind --


@pytest.mark.parametrize("was_blocked", [True, False])
@pytest.mark.parametrize("kind", ["default", "ignored", "python", "foreign", "spent"])
def test_actions_and_mask_come_back(kind: str, was_blocked: bool) -> None:
    actions: dict[str, libc.Sigaction] = {
        "default": libc.Sigaction(libc.SIG_DFL, {TERM}, libc.SA_NODEFER),
        "ignored": libc.Sigaction(libc.SIG_IGN),
        "python": libc.Sigaction(id, {TERM}, libc.SA_RESTART),
        "spent": libc.Sigaction(id, {TERM}, libc.SA_RESETHAND),
    }
    with signals.handling(USR1, libc.SIG_DFL):
        if kind == "foreign":
            signal.signal(signal.SIGUSR1, lambda *_: None)
        else:
            libc.sigaction(USR1, actions[kind])
        if kind == "spent":
            libc.raise_(USR1)
        with signals.blocked({USR1} if was_blocked else ()):
            before = libc.sigaction(USR1), _mask()
            with signals.receiver({USR1, RT}) as received:
                assert USR1 not in _mask()
                libc.raise_(USR1)
                assert received.receive(0).si_signo == USR1
            assert (libc.sigaction(USR1), _mask()) == before


def test_several_may_hold_the_same_signal_and_each_gets_all() -> None:
    with signals.receiver({USR1, RT}) as one, signals.receiver({USR2, RT}) as two, signals.receiver(RT) as three:
        _queue(RT, 1, 2)
        _queue(USR1, 3)
        _queue(USR2, 4)
        assert [_values(_unread(received)) for received in (one, two, three)] == [[1, 2, 3], [1, 2, 4], [1, 2]]


@pytest.mark.parametrize("order", ["abc", "acb", "bac", "bca", "cab", "cba"])
def test_they_close_in_any_order_and_the_last_puts_back_what_was_before_the_first(order: str) -> None:
    given = libc.Sigaction(id, {TERM}, libc.SA_RESTART)
    with signals.handling({USR1, USR2, RT}, libc.SIG_IGN), signals.blocked(RT):
        libc.sigaction(RT, given)
        before, mask = {signum: libc.sigaction(signum) for signum in (USR1, USR2, RT)}, _mask()
        sets: dict[str, set[int]] = {"a": {USR1, RT}, "b": {USR2, RT}, "c": {USR1, USR2}}
        received = {name: signals.receiver(wanted) for name, wanted in sets.items()}
        left = dict(sets)
        for name in order:
            received[name].close()
            del left[name]
            held = set[int]().union(*left.values())
            for signum in (USR1, USR2, RT):
                assert (libc.sigaction(signum) != before[signum]) == (signum in held)
                assert (signum in _mask()) == (signum in mask and signum not in held)
            for signum in held:
                libc.raise_(signum)
            for other, wanted in left.items():
                assert {info.si_signo for info in _unread(received[other])} == wanted
        assert ({signum: libc.sigaction(signum) for signum in before}, _mask()) == (before, mask)


def test_what_nobody_read_goes_to_the_handler_from_before_whole_and_in_order() -> None:
    log: list[libc.Siginfo] = []
    with signals.handling({USR1, RT}, lambda _, info: log.append(info)):
        with signals.receiver({USR1, RT}) as received:
            _queue(RT, 1, 2)
            _queue(USR1, 3, 4)
            _queue(RT, 5)
            sent = list(received._queue)
            assert not log
        assert log == sent
    assert _values(log) == [1, 2, 3, 4, 5]


def test_the_siginfo_of_a_kill_is_given_back_too() -> None:
    log: list[libc.Siginfo] = []
    with signals.handling(USR1, lambda _, info: log.append(info)), signals.receiver(USR1) as received:
        libc.kill(os.getpid(), USR1)
        libc.raise_(USR1)
        sent = list(received._queue)
        received.close()
        assert log == sent
    assert [info.si_code for info in log] == [libc.SI_USER, libc.SI_TKILL]


def test_what_one_that_is_not_the_last_has_not_read_is_not_sent_again() -> None:
    log: list[libc.Siginfo] = []
    with signals.handling(RT, lambda _, info: log.append(info)), signals.receiver(RT) as last:
        with signals.receiver(RT):
            _queue(RT, 1)
        assert not log
        assert _values(_unread(last)) == [1]
    assert not log


def test_what_nobody_read_ends_the_process_where_it_would_have(fork: Fork) -> None:
    def child() -> str:
        with signals.receiver(TERM) as received:
            libc.raise_(TERM)
            assert _is_readable(received)
        return "alive"

    assert fork(child).wait().returncode == -TERM


def test_what_nobody_read_vanishes_where_it_is_ignored() -> None:
    with signals.handling(USR1, libc.SIG_IGN), signals.receiver(USR1):
        libc.raise_(USR1)
    assert USR1 not in libc.sigpending()


def test_what_nobody_read_is_pending_again_where_it_was_blocked() -> None:
    with signals.blocked(RT):
        with signals.receiver(RT):
            _queue(RT, 1, 2, 3)
        assert [signals.wait(RT, 0).si_value for _ in range(3)] == [1, 2, 3]
        with pytest.raises(TimeoutError):
            signals.wait(RT, 0)


def test_what_was_pending_before_is_received() -> None:
    with signals.blocked({USR1, RT}):
        _queue(RT, 1, 2)
        _queue(USR1, 3)
        with signals.receiver({USR1, RT}) as received:
            assert sorted(info.si_value or 0 for info in _unread(received)) == [1, 2, 3]


def test_handlers_that_raise_at_the_end_get_all_that_was_not_read() -> None:
    log: list[int | None] = []

    def fail(_: int, info: libc.Siginfo) -> None:
        log.append(info.si_value)
        raise ZeroDivisionError(info.si_value)

    with signals.handling(RT, fail):
        before = libc.sigaction(RT), _mask()
        received = signals.receiver(RT)
        _queue(RT, 1)
        with pytest.raises(ZeroDivisionError):
            received.close()
        assert received.closed
        received = signals.receiver(RT)
        _queue(RT, 2, 3)
        with pytest.raises(ExceptionGroup) as caught:
            received.close()
        assert received.closed
        assert [error.args for error in caught.value.exceptions] == [(2,), (3,)]
        assert (libc.sigaction(RT), _mask()) == before
    assert log == [1, 2, 3]


def test_a_full_queue_at_the_end_is_told_and_leaves_nothing_behind(fork: Fork) -> None:
    def child() -> int:
        before = libc.sigaction(RT)
        with signals.blocked():
            received = signals.receiver(RT)
            _queue(RT, 1)
            resource.setrlimit(resource.RLIMIT_SIGPENDING, (0, 0))
            descriptors = len(list(Path("/proc/self/fd").iterdir()))
            with pytest.raises(BlockingIOError, match="RLIMIT_SIGPENDING"):
                received.close()
            assert received.closed
            assert libc.sigaction(RT) == before
            return descriptors - len(list(Path("/proc/self/fd").iterdir()))

    assert fork(child).result() == 1


def test_more_than_the_queue_holds_goes_back_to_a_handler(fork: Fork) -> None:
    """Each is handled before the next is sent."""

    def child() -> list[int | None]:
        log: list[int | None] = []
        count_alone()
        with signals.handling(RT, lambda _, info: log.append(info.si_value)), signals.receiver(RT):
            _queue(RT, *range(2000))
            used, limit = _queued_signals()
            resource.setrlimit(resource.RLIMIT_SIGPENDING, (used + 100, limit))
        return log

    assert fork(child).result() == list(range(2000))


def _queued_signals() -> tuple[int, int]:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("SigQ:")]
    used, limit = line.split()[1].split("/")
    return int(used), int(limit)


@pytest.mark.parametrize("impossible", [libc.SIGKILL, libc.SIGSTOP, libc.SIGSEGV])
def test_an_impossible_signal_leaves_nothing_behind(impossible: int) -> None:
    with signals.blocked({USR2}):
        wanted = {USR1, USR2, RT, impossible}
        before = {signum: libc.sigaction(signum) for signum in wanted}, _mask()
        with pytest.raises(OSError, match=rf"sigaction\({impossible}\): Invalid argument"):
            signals.receiver(wanted)
        assert ({signum: libc.sigaction(signum) for signum in wanted}, _mask()) == before
        with signals.receiver({USR1, USR2, RT}) as received:
            with pytest.raises(OSError, match="Invalid argument"):
                signals.receiver(wanted)
            libc.raise_(USR1)
            assert received.receive(0).si_signo == USR1
        assert ({signum: libc.sigaction(signum) for signum in wanted}, _mask()) == before


@pytest.mark.parametrize("wrong", [0, -1, 33, 65, 2**70, [0], {USR1, 65}])
def test_what_is_no_signal_is_refused(wrong: Any) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        signals.receiver(wrong)


@pytest.mark.parametrize("wrong", [None, 1.5, "SIGUSR1", [None]])
def test_what_is_no_number_is_refused(wrong: Any) -> None:
    with pytest.raises(TypeError):
        signals.receiver(wrong)


def test_a_receiver_of_nothing_only_waits() -> None:
    with signals.receiver(()) as received, pytest.raises(TimeoutError):
        received.receive(0.01)


@pytest.mark.parametrize("error", [ZeroDivisionError, KeyboardInterrupt, GeneratorExit])
def test_an_exception_of_the_block_passes_and_all_is_back(error: type[BaseException]) -> None:
    before = libc.sigaction(USR1), _mask()
    with pytest.raises(error), signals.receiver(USR1):
        raise error
    assert (libc.sigaction(USR1), _mask()) == before


def test_signals_that_come_while_receivers_come_and_go_are_received_or_handled(fork: Fork) -> None:
    """Every value goes to a receiver or to the handler below; none is lost, none comes twice."""
    count = 5000

    def child() -> Counter[int | None]:
        found: Counter[int | None] = Counter()
        with (
            signals.handling(RT, lambda _, info: found.update([info.si_value])),
            processes.fork(_flood, os.getpid(), RT, count) as sender,
        ):
            while found.total() < count:
                with signals.receiver(RT) as received, suppress(TimeoutError):
                    found.update([received.receive(0).si_value])
                    with signals.receiver(RT) as second, suppress(TimeoutError):
                        second.receive(0)
            sender.result()
        return found

    assert fork(child).result() == Counter(range(count))


@pytest.mark.deadline(600)  # so many rounds, in each of which another process must come
def test_closing_again_after_a_handler_raised_at_any_moment_puts_all_back(fork: Fork, gate: Callable[[], Gate]) -> None:
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
            libc.kill(target, USR2)

    def child() -> list[object]:
        wrong: list[object] = []
        libc.sigaction(USR2, libc.Sigaction(fail))
        with signals.blocked(RT), processes.fork(send, os.getpid()) as sender:
            before = libc.sigaction(USR1), libc.sigaction(RT), _mask()
            for round_ in range(rounds):
                received = signals.receiver({USR1, RT})
                with suppress(RaisedError):
                    go.open()
                    received.close()
                    while True:
                        pass
                received.close()
                after = libc.sigaction(USR1), libc.sigaction(RT), _mask()
                if after != before:
                    return [round_, before, after]
            sender.result()
        return wrong

    assert fork(child).result() == []


# -- closing, and threads --


def test_closing_twice_is_fine_and_says_so() -> None:
    received = signals.receiver({USR1, RT})
    _queue(RT, 1, 2)
    assert repr(received) == "<Receiver of SignalSet({SIGUSR1, SIGRTMIN}), 2 unread>"
    _unread(received)
    received.close()
    received.close()
    assert received.closed
    assert repr(received) == "<Receiver of SignalSet({SIGUSR1, SIGRTMIN}), closed>"


def test_use_after_close_is_a_value_error_and_an_ended_iteration() -> None:
    received = signals.receiver(USR1)
    received.close()
    for call in (received.receive, partial(received.receive, 0), received.fileno):
        with pytest.raises(ValueError, match="the receiver is closed"):
            call()
    assert list(received) == []


def test_it_is_made_and_closed_on_the_main_thread_only() -> None:
    found: list[str] = []

    def refused(call: Callable[[], object]) -> None:
        try:
            call()
        except ValueError as error:
            found.append(str(error))

    def work() -> None:
        libc.sigprocmask(libc.SIG_BLOCK, {USR1})
        refused(lambda: signals.receiver({USR1}))
        refused(received.close)
        found.append(str(USR1 in _mask()))

    with signals.receiver(USR1) as received:
        _join(_start(work))
        libc.raise_(USR1)
        assert received.receive(0).si_signo == USR1
    assert found == ["a receiver is made and closed on the main thread only"] * 2 + ["True"]


def test_threads_that_wait_end_when_it_is_closed() -> None:
    for _ in range(20):
        ended: list[str] = []

        def iterate(received: signals.Receiver, ended: list[str]) -> None:
            ended.extend("got" for _ in received)
            ended.append("end")

        def receive(received: signals.Receiver, ended: list[str]) -> None:
            try:
                received.receive(DEADLINE)
            except ValueError as error:
                ended.append(str(error))

        with signals.receiver(USR1) as received:
            threads = [_start(target, received, ended) for target in (iterate, receive, iterate, receive)]
            for thread in threads:
                until_thread_blocked(thread.native_id)
        _join(*threads)
        assert sorted(ended) == ["end", "end", "the receiver is closed", "the receiver is closed"]


def test_closing_while_threads_read_gives_every_signal_to_exactly_one(fork: Fork) -> None:
    """A thread, or at the end the handler from before; no descriptor of somebody else's is touched."""

    def child() -> list[Counter[int | None]]:
        wrong = []
        for _ in range(100):
            found: Counter[int | None] = Counter()
            handled: list[int | None] = []
            read: list[list[int | None]] = [[], [], []]

            def iterate(received: signals.Receiver, into: list[int | None]) -> None:
                into.extend(info.si_value for info in received)

            with signals.handling(RT, lambda _, info, handled=handled: handled.append(info.si_value)):
                with signals.receiver(RT) as received:
                    threads = [_start(iterate, received, into) for into in read]
                    _queue(RT, *range(50))
                others = [os.eventfd(7, os.EFD_NONBLOCK) for _ in range(3)]
                _join(*threads)
            for other in others:
                assert os.eventfd_read(other) == 7
                os.close(other)
            found.update(handled)
            for into in read:
                found.update(into)
            if found != Counter(range(50)):
                wrong.append(found)
        return wrong

    assert fork(child).result() == []


def test_a_handler_may_close_it_and_so_end_the_iteration() -> None:
    received = signals.receiver(USR1)
    with signals.handling(libc.SIGALRM, lambda *_: received.close()):
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert list(received) == []


def test_a_signal_that_another_thread_got_is_received_too(fork: Fork) -> None:
    def child() -> list[int | None]:
        ready, done = threading.Event(), threading.Event()

        def work() -> None:
            libc.sigprocmask(libc.SIG_UNBLOCK, {RT})
            ready.set()
            done.wait(DEADLINE)

        with signals.receiver(RT) as received:
            thread = _start(work)
            assert ready.wait(DEADLINE)
            for value in range(100):
                signals.queue(os.getpid(), RT, value, thread=thread.native_id)
            values = [received.receive(DEADLINE).si_value for _ in range(100)]
            done.set()
            _join(thread)
        return values

    assert fork(child).result() == list(range(100))


# -- fork --


def test_a_child_has_an_empty_receiver_of_its_own(fork: Fork, gate: Callable[[], Gate]) -> None:
    in_child, in_parent = gate(), gate()
    with signals.receiver({USR1, RT}) as received:
        _queue(RT, 1, 2)

        def child() -> tuple[bool, list[int | None], bool]:
            was_readable = _is_readable(received)
            with pytest.raises(TimeoutError):
                received.receive(0)
            _queue(RT, 3)
            values = [received.receive(0).si_value]
            in_child.open()
            in_parent.wait()
            _queue(RT, 4)
            values.append(received.receive(0).si_value)
            return was_readable, values, _is_readable(received)

        one = fork(child)
        in_child.wait()
        assert _is_readable(received)
        assert _values(_unread(received)) == [1, 2]
        assert not _is_readable(received)
        _queue(RT, 5)
        in_parent.open()
        assert one.result() == (False, [3, 4], False)
        assert _values(_unread(received)) == [5]
        assert not _is_readable(received)


def test_closing_in_a_child_sends_nothing_again_and_leaves_the_parent_alone(fork: Fork) -> None:
    log: list[int | None] = []
    with signals.handling(RT, lambda _, info: log.append(info.si_value)), signals.receiver(RT) as received:
        _queue(RT, 1)

        def child() -> list[int | None]:
            received.close()
            return log

        assert fork(child).result() == []
        assert _is_readable(received)
        assert _values(_unread(received)) == [1]


def test_a_signal_to_a_child_before_its_first_line_reaches_it_and_not_the_parent(fork: Fork) -> None:
    """Python's own hooks after a fork have not run yet when the handler does."""

    def parent() -> tuple[bool, bool]:
        """`os.fork` runs the hooks in the order of their registration: ours come after this one."""
        with signals.receiver(RT) as received, signals.stopping(USR1) as stop:
            pid = _fork_and_signal_before_hooks(RT, USR1)
            if pid == 0:
                ok = len(_unread(received)) == 1 and bool(stop) and bool(select.select([stop], [], [], 0)[0])
                os._exit(0 if ok else 1)
            child_is_right = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            return child_is_right, _is_readable(received) or bool(select.select([stop], [], [], 0)[0])

    assert fork(parent).result() == (True, False)


def _fork_and_signal_before_hooks(*received: int) -> int:
    """Fork as os.fork does, but with signals that strike before the hooks of the modules that have any."""
    from unixipc.signals import wakeup

    late = wakeup._alive
    wakeup._alive = type(late)()
    try:
        pid = os.fork()
        if pid == 0:
            for signum in received:
                libc.raise_(signum)
    finally:
        wakeup._alive = late
    if pid == 0:
        wakeup._after_fork()
    return pid


def test_a_closed_one_that_threads_of_the_parent_still_wait_for_leaves_no_descriptor_in_a_child(fork: Fork) -> None:
    def parent() -> int:
        with signals.receiver(USR1) as received:
            thread = _start(list, received)
            until_thread_blocked(thread.native_id)
        pid = os.fork()
        if pid == 0:
            os._exit(len(_eventfds()))
        _join(thread)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    assert fork(parent).result() == 0


def _eventfds() -> list[Path]:
    with os.scandir("/proc/self/fd") as listing:
        return [Path(entry.path) for entry in listing if "eventfd" in str(Path(entry.path).readlink())]


def test_where_other_code_put_our_handler_back_the_signal_is_received_all_the_same() -> None:
    with signals.receiver(USR1) as received:
        saved = signal.getsignal(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, saved)
        libc.raise_(USR1)
        assert received.receive(0).si_signo == USR1


def test_children_are_told_of_by_sigchld() -> None:
    with signals.receiver(CHLD) as received:
        pid = os.fork()
        if pid == 0:
            os._exit(3)
        info = received.receive(DEADLINE)
        assert (info.si_pid, info.si_status, info.si_code) == (pid, 3, libc.CLD_EXITED)
        os.waitpid(pid, 0)
