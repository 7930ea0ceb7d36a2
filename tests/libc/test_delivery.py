"""libc.delivery: sigaction(2) with Python handlers, and everybody else's handlers beside them.

test_against_c.py holds order, nesting and masks against C.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import faulthandler
import gc
import operator
import os
import pickle
import resource
import select
import signal
import subprocess
import sys
import threading
import time
import warnings
import weakref
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import count_alone, install
from until import until, until_blocked, until_gone

from unixipc import _cpython, libc, processes
from unixipc._native import lib
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from conftest import Handle

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
INTERESTING = {HUP, INT, USR1, USR2, TERM, CHLD, *range(RT, RT + 5)}


def _unblock(*signals: int) -> None:
    libc.sigprocmask(libc.SIG_UNBLOCK, signals)


def _mask() -> set[int]:
    return set(libc.sigprocmask(libc.SIG_BLOCK)) & INTERESTING


def _queue(signum: int, values: Iterable[int], pid: int | None = None) -> None:
    for value in values:
        libc.sigqueue(os.getpid() if pid is None else pid, signum, value)


def _unseen(*steps: Callable[[], Any]) -> Any:
    """Take the steps, none of them Python code, in one call, during which the interpreter does not look for signals.

    Give the result of the last.
    """
    return list(map(operator.call, steps))[-1]


def _raise_unseen(signum: int) -> Callable[[], object]:
    return partial(lib.uipc_raise, signum)


def _values(infos: list[libc.Siginfo]) -> list[int | None]:
    return [info.si_value for info in infos]


# -- how a handler is called --


def test_a_handler_gets_the_number_and_nothing_else(handle: Handle) -> None:
    calls: list[tuple[object, ...]] = []
    handle(USR1, lambda *arguments: calls.append(arguments))
    libc.raise_(USR1)
    assert calls == [(USR1,)]
    assert type(calls[0][0]) is int


def test_with_sa_siginfo_it_gets_the_siginfo_too(handle: Handle) -> None:
    calls: list[tuple[int, libc.Siginfo]] = []
    handle(USR1, lambda *arguments: calls.append(arguments), flags=libc.SA_SIGINFO)
    libc.raise_(USR1)
    ((signum, info),) = calls
    assert signum == info.si_signo == USR1
    assert (info.si_code, info.si_pid, info.si_uid) == (libc.SI_TKILL, os.getpid(), os.getuid())


def test_handlers_have_run_when_the_sending_call_returns(handle: Handle) -> None:
    log: list[int] = []
    handle(USR1, log.append)
    libc.raise_(USR1)
    assert log == [USR1]
    libc.kill(os.getpid(), USR1)
    assert log == [USR1] * 2
    libc.tgkill(os.getpid(), threading.get_native_id(), USR1)
    assert log == [USR1] * 3


def test_any_callable_is_a_handler(handle: Handle) -> None:
    log: list[object] = []

    class Called:
        def __call__(self, signum: int) -> None:
            log.append(("instance", signum))

        def method(self, signum: int) -> None:
            log.append(("method", signum))

    callables: list[tuple[Callable[[int], object], object]] = [
        (log.append, USR1),
        (Called(), ("instance", USR1)),
        (Called().method, ("method", USR1)),
        (partial(lambda *arguments: log.append(arguments), "partial"), ("partial", USR1)),
        (lambda signum: log.append(str(signum)), "10"),
    ]
    for handler, expected in callables:
        handle(USR1, handler)
        assert libc.sigaction(USR1).handler == handler
        libc.raise_(USR1)
        assert log.pop() == expected


def test_what_a_handler_returns_is_of_no_account(handle: Handle) -> None:
    handle(USR1, lambda _: "ignored")
    libc.raise_(USR1)
    handle(USR1, lambda _: NotImplemented)
    libc.raise_(USR1)


def test_a_replaced_handler_is_let_go(handle: Handle) -> None:
    class Called:
        def __call__(self, signum: int) -> None:
            pass

    handler = Called()
    left = weakref.ref(handler)
    handle(USR1, libc.SIG_IGN)
    for following in (libc.SIG_DFL, libc.SIG_IGN, id):
        libc.sigaction(USR1, libc.Sigaction(handler))
        libc.raise_(USR1)
        libc.sigaction(USR1, libc.Sigaction(following))
    del handler
    gc.collect()
    assert left() is None


def test_a_handler_can_replace_itself(handle: Handle, block: Callable[..., object]) -> None:
    log: list[str] = []

    def first(signum: int) -> None:
        log.append("first")
        handle(signum, second)

    def second(signum: int) -> None:
        log.append("second")
        handle(signum, libc.SIG_IGN)

    handle(RT, first)
    block(RT)
    _queue(RT, range(4))
    _unblock(RT)
    assert log == ["first", "second"]
    assert libc.sigaction(RT).handler == libc.SIG_IGN


def test_signal_sets_a_handler_with_bsd_semantics(handle: Handle) -> None:
    log: list[int] = []
    handle(USR1, libc.SIG_IGN)
    assert libc.signal(USR1, log.append) == libc.SIG_IGN
    assert libc.sigaction(USR1) == libc.Sigaction(log.append, (), libc.SA_RESTART)
    libc.raise_(USR1)
    assert log == [USR1]
    assert libc.signal(USR1, libc.SIG_DFL) == log.append
    assert libc.sigaction(USR1).handler == libc.SIG_DFL


# -- nothing merges, nothing is lost --


def test_queued_signals_arrive_one_by_one_in_order_with_value_and_sender(
    handle: Handle, block: Callable[..., object], fork: Fork
) -> None:
    infos: list[libc.Siginfo] = []
    handle(RT, lambda _, info: infos.append(info), flags=libc.SA_SIGINFO)
    block(RT)
    child = fork(_queue, RT, range(500), os.getpid())
    child.result()
    assert infos == []
    _unblock(RT)
    assert _values(infos) == list(range(500))
    assert {(info.si_code, info.si_pid, info.si_uid) for info in infos} == {(libc.SI_QUEUE, child.pid, os.getuid())}
    assert _mask() == set()


def test_of_20000_signals_queued_while_the_receiver_is_busy_each_arrives_in_order(
    fork: Fork, gate: Callable[[], Gate]
) -> None:
    """The queue is made short, and the sender finds it full: it goes on when the receiver says that one was handled."""
    count, handled, full = 20000, gate(), gate()

    def send(target: int) -> None:
        for value in range(count):
            while True:
                try:
                    libc.sigqueue(target, RT, value)
                    break
                except BlockingIOError:
                    full.open()
                    handled.wait()

    def receive() -> None:
        infos: list[libc.Siginfo] = []

        def handler(_: int, info: libc.Siginfo) -> None:
            infos.append(info)
            handled.open()

        count_alone()
        queued = int(Path("/proc/self/status").read_text().split("SigQ:")[1].partition("/")[0])
        hard = resource.getrlimit(resource.RLIMIT_SIGPENDING)[1]
        soft = queued + 500 if hard < 0 else min(queued + 500, hard)
        resource.setrlimit(resource.RLIMIT_SIGPENDING, (soft, hard))
        install(RT, handler, {USR2}, libc.SA_SIGINFO)
        libc.sigprocmask(libc.SIG_SETMASK, {RT, HUP})
        with processes.fork(send, os.getpid()) as sender:
            full.wait()
            _unblock(RT)
            while len(infos) < count:
                assert sum(number * number for number in range(1000)) == 332833500
                assert sum(range(10**5)) == 4999950000
                time.sleep(0.0001)
            sender.result()
        assert _values(infos) == list(range(count))
        assert {(info.si_code, info.si_pid) for info in infos} == {(libc.SI_QUEUE, sender.pid)}
        assert libc.signals_lost() == 0
        assert RT not in libc.sigpending()
        assert _mask() == {HUP}

    fork(receive).result()


def test_each_sender_s_signals_keep_their_order(handle: Handle, fork: Fork) -> None:
    infos: list[libc.Siginfo] = []
    for signum in (RT, RT + 1):
        handle(signum, lambda _, info: infos.append(info), (RT, RT + 1), libc.SA_SIGINFO)
    children = [fork(_queue, signum, range(300), os.getpid()) for signum in (RT, RT, RT + 1)]
    until(lambda: len(infos) == 900)
    for child in children:
        assert _values([info for info in infos if info.si_pid == child.pid]) == list(range(300))
        child.result()


def test_signals_that_come_in_a_long_call_into_c_are_all_handled_after_it(
    handle: Handle, fork: Fork, gate: Callable[[], Gate]
) -> None:
    go, sender = gate(), os.getpid()
    values: list[int | None] = []

    def send() -> None:
        go.wait()
        _queue(RT, range(100), sender)

    handle(RT, lambda _, info: values.append(info.si_value), flags=libc.SA_SIGINFO)
    child = fork(send)
    go.open()
    assert sum(range(10**7)) == 10**7 * (10**7 - 1) // 2
    until(lambda: len(values) == 100)
    assert values == list(range(100))
    child.result()


def test_a_handler_can_take_further_instances_by_itself(handle: Handle, block: Callable[..., object]) -> None:
    calls: list[list[int | None]] = []

    def handler(signum: int, info: libc.Siginfo) -> None:
        taken = [info.si_value]
        while signum in libc.sigpending():
            taken.append(libc.sigwaitinfo({signum}).si_value)
        calls.append(taken)

    handle(RT, handler, flags=libc.SA_SIGINFO)
    block(RT)
    _queue(RT, range(10))
    _unblock(RT)
    assert calls == [list(range(10))]


# -- one at a time, nesting --


def test_a_signal_is_blocked_while_its_handler_runs_and_a_second_instance_waits(handle: Handle) -> None:
    log: list[object] = []

    def handler(signum: int) -> None:
        log.append("enter")
        if len(log) == 1:
            libc.raise_(signum)
            log.append(signum in libc.sigpending())
            log.append(_mask() == {signum})
        log.append("leave")

    handle(USR1, handler)
    libc.raise_(USR1)
    assert log == ["enter", True, True, "leave", "enter", "leave"]


def test_another_signal_interrupts_a_handler(handle: Handle) -> None:
    log: list[str] = []

    def outer(signum: int) -> None:
        log.append("outer")
        libc.raise_(USR2)
        log.append("outer ends")

    handle(USR1, outer)
    handle(USR2, lambda _: log.append("inner"))
    libc.raise_(USR1)
    assert log == ["outer", "inner", "outer ends"]


def test_a_signal_of_sa_mask_waits_until_the_handler_has_returned(handle: Handle) -> None:
    log: list[object] = []

    def outer(signum: int) -> None:
        log.append(_mask())
        libc.raise_(USR2)
        log.append("outer ends")

    handle(USR1, outer, {USR2, RT})
    handle(USR2, lambda _: log.append("inner"))
    libc.raise_(USR1)
    assert log == [{USR1, USR2, RT}, "outer ends", "inner"]
    assert _mask() == set()


def test_a_signal_of_sa_mask_waits_also_where_it_has_no_handler(fork: Fork, gate: Callable[[], Gate]) -> None:
    handled = gate()

    def die() -> None:
        install(USR1, lambda _: handled.open(), {TERM})
        libc.sigprocmask(libc.SIG_BLOCK, {USR1, TERM})
        libc.raise_(USR1)
        libc.raise_(TERM)
        _unblock(USR1, TERM)

    assert fork(die).wait().returncode == -TERM
    handled.wait()


def test_sa_nodefer_leaves_the_signal_open(handle: Handle) -> None:
    log: list[object] = []

    def handler(signum: int) -> None:
        log.append(_mask())
        if len(log) < 3:
            libc.raise_(signum)
        log.append("leave")

    handle(USR1, handler, flags=libc.SA_NODEFER)
    libc.raise_(USR1)
    assert log == [set(), set(), set(), "leave", "leave", "leave"]


def test_a_signal_in_its_own_sa_mask_is_blocked_in_spite_of_sa_nodefer(handle: Handle) -> None:
    masks: list[set[int]] = []
    handle(USR1, lambda _: masks.append(_mask()), {USR1}, libc.SA_NODEFER)
    libc.raise_(USR1)
    assert masks == [{USR1}]


@pytest.mark.parametrize("sent", ["before", "within"])
def test_a_flood_with_sa_nodefer_is_delivered_without_deep_recursion(
    handle: Handle, block: Callable[..., object], sent: str
) -> None:
    count, values = 2000, list[int]()
    depth = deepest = 0

    def handler(signum: int, info: libc.Siginfo) -> None:
        nonlocal depth, deepest
        assert info.si_value is not None
        depth += 1
        deepest = max(deepest, depth)
        values.append(info.si_value)
        if sent == "within" and len(values) < count:
            libc.sigqueue(os.getpid(), signum, len(values))
        depth -= 1

    handle(RT, handler, flags=libc.SA_NODEFER | libc.SA_SIGINFO)
    block(RT)
    _queue(RT, range(count if sent == "before" else 1))
    _unblock(RT)
    assert sorted(values) == list(range(count))
    assert deepest < sys.getrecursionlimit()
    assert _mask() == set()


# -- the mask afterwards --


def test_the_interrupted_mask_is_back_after_a_handler_that_raised(handle: Handle, block: Callable[..., object]) -> None:
    def fail(signum: int) -> None:
        raise ZeroDivisionError

    handle(USR1, fail, {USR2})
    block(HUP)
    with pytest.raises(ZeroDivisionError):
        libc.raise_(USR1)
    assert _mask() == {HUP}


def test_the_interrupted_mask_is_back_after_a_handler_that_changed_it(
    handle: Handle, block: Callable[..., object]
) -> None:
    def change(signum: int) -> None:
        libc.sigprocmask(libc.SIG_SETMASK, {TERM})
        signal.pthread_sigmask(signal.SIG_BLOCK, {USR2})

    handle(USR1, change)
    block(HUP)
    libc.raise_(USR1)
    assert _mask() == {HUP}


def test_signals_on_their_way_to_a_handler_never_show_in_the_mask(
    handle: Handle, fork: Fork, gate: Callable[[], Gate]
) -> None:
    calls = 0
    done = gate()

    def count(signum: int) -> None:
        nonlocal calls
        calls += 1

    def send(target: int) -> None:
        for _ in range(300):
            _queue(RT, [0], target)
            _queue(RT + 1, [0], target)
            libc.kill(target, USR1)
        done.open()

    for signum in (RT, RT + 1, USR1):
        handle(signum, count)
    child = fork(send, os.getpid())
    masks: set[frozenset[int]] = set()
    while not select.select([done], [], [], 0)[0]:
        masks.add(frozenset(_mask()))
    child.result()
    until(lambda: calls > 600)
    assert masks <= {frozenset()}
    assert _mask() == set()


# -- SA_RESETHAND, SA_NOCLDSTOP, SA_NOCLDWAIT --


def test_with_sa_resethand_the_action_is_the_default_from_delivery_on(handle: Handle) -> None:
    handlers: list[object] = []
    handle(CHLD, lambda signum: handlers.append(libc.sigaction(signum).handler), flags=libc.SA_RESETHAND)
    assert libc.sigaction(CHLD).flags == libc.SA_RESETHAND
    libc.raise_(CHLD)
    assert handlers == [libc.SIG_DFL]
    libc.raise_(CHLD)
    assert handlers == [libc.SIG_DFL]
    assert libc.sigaction(CHLD).handler == libc.SIG_DFL


def test_after_sa_resethand_mask_and_flags_are_reported_as_they_were_given(handle: Handle) -> None:
    handle(CHLD, lambda _: None, {USR1}, libc.SA_RESETHAND | libc.SA_RESTART)
    libc.raise_(CHLD)
    assert libc.sigaction(CHLD) == libc.Sigaction(libc.SIG_DFL, {USR1}, libc.SA_RESETHAND | libc.SA_RESTART)


def test_a_second_instance_meets_the_default_that_sa_resethand_left(fork: Fork, gate: Callable[[], Gate]) -> None:
    handled = gate()

    def die() -> None:
        install(USR1, lambda _: handled.open(), flags=libc.SA_RESETHAND)
        libc.raise_(USR1)
        handled.wait()
        libc.raise_(USR1)

    assert fork(die).wait().returncode == -USR1


def test_a_handler_with_sa_resethand_can_be_installed_again(handle: Handle) -> None:
    log: list[int] = []
    for _ in range(3):
        handle(USR1, log.append, flags=libc.SA_RESETHAND)
        libc.raise_(USR1)
    assert log == [USR1] * 3


def _life_of_a_child(flags: int) -> list[int]:
    """Tell what SIGCHLD says about a child that is stopped, continued and killed."""
    codes: list[int] = []
    install(CHLD, lambda _, info: codes.append(info.si_code), flags=flags | libc.SA_SIGINFO)
    with processes.fork(libc.pause) as child:
        for signum, change in ((libc.SIGSTOP, os.WSTOPPED), (libc.SIGCONT, os.WCONTINUED)):
            seen = len(codes)
            child.kill(signum)
            os.waitid(os.P_PID, child.pid, change)
            if not flags:
                until(lambda seen=seen: len(codes) > seen)  # type: ignore[misc]
    until(lambda: libc.CLD_KILLED in codes)
    return codes


def test_sigchld_tells_of_stops_unless_sa_nocldstop(fork: Fork) -> None:
    all_of_it = [libc.CLD_STOPPED, libc.CLD_CONTINUED, libc.CLD_KILLED]
    assert fork(_life_of_a_child, 0).result() == all_of_it
    assert fork(_life_of_a_child, libc.SA_NOCLDSTOP).result() == [libc.CLD_KILLED]


def test_with_sa_nocldwait_children_leave_no_zombies_and_the_handler_still_runs(fork: Fork) -> None:
    def childless() -> list[object]:
        log: list[object] = []
        install(CHLD, lambda _, info: log.append(info.si_status), flags=libc.SA_NOCLDWAIT | libc.SA_SIGINFO)
        if os.fork() == 0:
            os._exit(7)
        with pytest.raises(ChildProcessError):
            os.wait()  # returns only when the child has ended
        until(lambda: log)
        return log

    assert fork(childless).result() == [7]


# -- interrupted calls --


@pytest.mark.parametrize("flags", [0, libc.SA_RESTART])
def test_a_read_of_the_standard_library_s_goes_on_after_the_handler(
    fork: Fork, gate: Callable[[], Gate], pipe: Callable[..., tuple[int, int]], flags: int
) -> None:
    ready, handled = gate(), gate()
    read_end, write_end = pipe()

    def read() -> bytes:
        install(USR1, lambda _: handled.open(), flags=flags)
        ready.open()
        return os.read(read_end, 1)

    child = fork(read)
    ready.wait()
    for _ in range(3):
        until_blocked(child)
        libc.kill(child.pid, USR1)
        handled.wait()
    os.write(write_end, b"!")
    assert child.result() == b"!"


@pytest.mark.parametrize("flags", [0, libc.SA_RESTART])
def test_a_handler_s_exception_comes_out_of_the_interrupted_call(
    fork: Fork, gate: Callable[[], Gate], flags: int
) -> None:
    ready = gate()

    def fail(signum: int) -> None:
        raise ZeroDivisionError

    def read() -> None:
        install(USR1, fail, flags=flags)
        read_end, _ = os.pipe()
        ready.open()
        libc.read(read_end, 1)

    child = fork(read)
    ready.wait()
    until_blocked(child)
    libc.kill(child.pid, USR1)
    with pytest.raises(ZeroDivisionError):
        child.result()


def test_a_handler_of_the_standard_library_s_ends_a_read_of_ours(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    def read() -> list[object]:
        log: list[object] = []
        install(USR2, log.append, flags=libc.SA_RESTART)
        signal.signal(signal.SIGUSR1, lambda signum, _: log.append(signum))
        read_end, _ = os.pipe()
        ready.open()
        try:
            libc.read(read_end, 1)
        except InterruptedError as error:
            log.append(error.errno)
        return log

    child = fork(read)
    ready.wait()
    until_blocked(child)
    libc.kill(child.pid, USR1)
    assert child.result() == [USR1, errno.EINTR]


# -- exceptions --


def test_an_exception_loses_none_of_the_signals_behind_it(handle: Handle, block: Callable[..., object]) -> None:
    values: list[int | None] = []
    caught = 0

    def handler(signum: int, info: libc.Siginfo) -> None:
        values.append(info.si_value)
        if info.si_value in {3, 4, 9}:
            raise ZeroDivisionError

    def endure(levels: int) -> None:
        """Catch the exceptions, of which the next may come while one is being caught."""
        nonlocal caught
        try:
            if levels:
                endure(levels - 1)
            _unblock(RT)
            until(lambda: len(values) == 11)
        except ZeroDivisionError:
            caught += 1

    handle(RT, handler, flags=libc.SA_SIGINFO)
    block(RT)
    _queue(RT, range(10))
    libc.kill(os.getpid(), RT)
    endure(10)
    assert values == [*range(10), None]
    assert caught == 3
    assert _mask() == set()


def test_a_signal_whose_turn_another_s_exception_took_is_still_delivered(
    handle: Handle, block: Callable[..., object]
) -> None:
    log: list[str] = []

    def fail(signum: int) -> None:
        log.append("fails")
        raise ZeroDivisionError

    handle(RT, lambda _: log.append("first"))
    handle(RT + 1, fail)  # delivered in one go with RT, it runs first, on top
    block(RT, RT + 1)
    libc.raise_(RT)
    libc.raise_(RT + 1)
    with pytest.raises(ZeroDivisionError):
        _unblock(RT, RT + 1)
    until(lambda: len(log) == 2)
    assert log == ["fails", "first"]
    assert _mask() == set()


def test_a_missing_argument_of_a_handler_is_a_type_error_where_the_signal_came(handle: Handle) -> None:
    def without_info(signum: int) -> None:
        pass

    handle(USR1, without_info, flags=libc.SA_SIGINFO)
    with pytest.raises(TypeError):
        libc.raise_(USR1)
    assert _mask() == set()


def test_a_handler_can_exit(fork: Fork) -> None:
    _, status = os.waitpid(_spawn_exiting(), 0)
    assert os.waitstatus_to_exitcode(status) == 5


def _spawn_exiting() -> int:
    code = "import sys; from unixipc import libc; libc.signal(10, lambda _: sys.exit(5)); libc.raise_(10)"
    return os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)


# -- fork --


def test_fork_in_a_handler_gives_the_child_the_handler_s_mask_and_nothing_pending(fork: Fork) -> None:
    def parent() -> tuple[object, object]:
        values: list[int | None] = []
        read_end, write_end = os.pipe()
        found: list[object] = []
        pid = 0

        def handler(signum: int, info: libc.Siginfo) -> None:
            nonlocal pid
            values.append(info.si_value)
            if info.si_value == 1:
                pid = os.fork()
                if pid == 0:
                    found.extend([_mask(), set(libc.sigpending())])

        install(RT, handler, {USR2}, libc.SA_SIGINFO)
        libc.sigprocmask(libc.SIG_SETMASK, {RT, HUP})
        _queue(RT, range(4))
        _unblock(RT)
        if found:  # in the child, when the handler has returned there
            libc.raise_(RT)
            os.write(write_end, pickle.dumps([*found, _mask(), values]))
            os._exit(0)
        os.waitpid(pid, 0)
        return pickle.loads(os.read(read_end, 4096)), [values, _mask()]

    of_child, of_parent = fork(parent).result()
    assert of_child == [{RT, HUP, USR2}, set(), {HUP}, [0, 1, None]]
    assert of_parent == [[0, 1, 2, 3], {HUP}]


def test_a_fork_before_the_handler_has_run_leaves_the_signal_to_the_parent(fork: Fork) -> None:
    """`os.fork` lets Python code run first; a library's fork does not."""

    def parent() -> tuple[object, object]:
        log: list[int] = []
        read_end, write_end = os.pipe()
        install(USR1, log.append)
        install(RT, log.append)
        libc.sigprocmask(libc.SIG_SETMASK, {HUP})
        pid = _unseen(_raise_unseen(USR1), _raise_unseen(RT), ctypes.PyDLL(None).fork)
        if pid == 0:
            os.write(write_end, pickle.dumps([log, _mask()]))
            os._exit(0)
        os.waitpid(pid, 0)
        return pickle.loads(os.read(read_end, 4096)), [log, _mask()]

    of_child, of_parent = fork(parent).result()
    assert of_child == [[], {HUP}]
    assert of_parent == [[RT, USR1], {HUP}]


def test_a_child_forked_on_another_thread_handles_signals_on_its_only_one(fork: Fork) -> None:
    def parent() -> int:
        statuses: list[int] = []

        def work() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
                pid = os.fork()
            if pid == 0:
                install(USR1, log.append)
                libc.raise_(USR1)
                libc.raise_(USR2)
                # CPython 3.13 is not woken by signals here (nor by its own); sigprocmask() dispatches all the same
                os._exit(0 if _mask() == set() and set(log) == {USR1, USR2} else 1)
            statuses.append(os.waitpid(pid, 0)[1])

        log: list[int] = []
        install(USR2, log.append)
        thread = threading.Thread(target=work)
        thread.start()
        thread.join(DEADLINE)
        return statuses[0]

    assert fork(parent).result() == 0


# -- what was there before, and putting it back --


def _labs() -> libc.NativeHandler:
    """Give a handler in machine code that does no harm: labs(3)."""
    address = ctypes.cast(ctypes.CDLL(None).labs, ctypes.c_void_p).value
    assert address is not None
    return libc.NativeHandler(address)


@pytest.mark.parametrize(
    "handler", [libc.SIG_DFL, libc.SIG_IGN, id, _labs()], ids=["default", "ignore", "ours", "native"]
)
def test_an_action_is_reported_as_it_was_given_and_can_be_put_back(handle: Handle, handler: libc.Handler) -> None:
    flags = libc.SA_RESTART | libc.SA_NODEFER | libc.SA_ONSTACK | libc.SA_NOCLDSTOP | libc.SA_RESETHAND
    given = libc.Sigaction(handler, {USR2, RT}, flags)
    handle(USR1, libc.SIG_IGN)
    libc.sigaction(USR1, given)
    assert libc.sigaction(USR1) == given
    assert libc.sigaction(USR1, libc.Sigaction(print)) == given
    assert libc.sigaction(USR1, given).handler is print
    assert libc.sigaction(USR1) == given


def test_a_query_changes_nothing(handle: Handle) -> None:
    log: list[int] = []
    handle(USR1, log.append)
    assert libc.sigaction(USR1) == libc.sigaction(USR1) == libc.Sigaction(log.append)
    libc.raise_(USR1)
    assert log == [USR1]


def test_every_signal_can_be_queried() -> None:
    for signum in libc.SignalSet.full():
        assert isinstance(libc.sigaction(signum), libc.Sigaction)


def test_a_handler_of_the_standard_library_s_put_back_works_again(fork: Fork) -> None:
    def child() -> None:
        log: list[object] = []

        def theirs(signum: int, frame: object) -> None:
            log.append((signum, frame is not None))

        signal.signal(signal.SIGUSR1, theirs)
        before = libc.sigaction(USR1)
        assert isinstance(before.handler, libc.NativeHandler)
        assert before.handler.python is theirs
        assert install(USR1, log.append) == before
        libc.raise_(USR1)
        libc.sigaction(USR1, before)
        assert libc.sigaction(USR1) == before
        assert signal.getsignal(signal.SIGUSR1) is theirs
        libc.raise_(USR1)
        assert log == [USR1, (USR1, True)]

    fork(child).result()


def test_ctrl_c_put_back_works_again(fork: Fork) -> None:
    def child() -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        before = install(INT, lambda _: None)
        libc.raise_(INT)
        libc.sigaction(INT, before)
        with pytest.raises(KeyboardInterrupt):
            libc.raise_(INT)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler

    fork(child).result()


def test_a_foreign_handler_in_c_put_back_works_again(fork: Fork, tmp_path: Path) -> None:
    def child() -> None:
        log: list[int] = []
        written = tmp_path / "traceback"
        with written.open("w") as file:
            faulthandler.register(signal.SIGUSR2, file)
            before = libc.sigaction(USR2)
            assert isinstance(before.handler, libc.NativeHandler)
            assert before.handler.python is None
            for _ in range(2):
                assert install(USR2, log.append) == before
                libc.raise_(USR2)
                libc.sigaction(USR2, before)
                assert libc.sigaction(USR2) == before
            assert not written.read_text()
            libc.raise_(USR2)
            assert "most recent call first" in written.read_text()
            assert log == [USR2] * 2
            faulthandler.unregister(signal.SIGUSR2)

    fork(child).result()


def test_a_native_handler_runs_with_the_flags_that_it_was_given(
    fork: Fork, gate: Callable[[], Gate], pipe: Callable[..., tuple[int, int]]
) -> None:
    ready = gate()
    read_end, write_end = pipe()

    def read(flags: int) -> object:
        install(USR1, _labs(), flags=flags)
        ready.open()
        try:
            return libc.read(read_end, 1)
        except InterruptedError as error:
            return error.errno

    def interrupted(flags: int) -> object:
        child = fork(read, flags)
        ready.wait()
        until_blocked(child)
        libc.kill(child.pid, USR1)
        if flags:
            os.write(write_end, b"!")
        return child.result()

    assert interrupted(0) == errno.EINTR
    assert interrupted(libc.SA_RESTART) == b"!"


@pytest.mark.parametrize("signum", [libc.SIGSEGV, libc.SIGBUS, libc.SIGFPE, libc.SIGILL])
def test_a_fault_takes_anything_but_python_code(handle: Handle, signum: int) -> None:
    before = libc.sigaction(signum)
    with pytest.raises(OSError, match="no Python code can run on a fault") as caught:
        install(signum, print)
    assert caught.value.errno == errno.EINVAL
    assert libc.sigaction(signum) == before
    for handler in (_labs(), libc.SIG_IGN, libc.SIG_DFL):
        handle(signum, handler)
        assert libc.sigaction(signum).handler == handler


@pytest.mark.parametrize("new", [id, _labs()], ids=["ours", "native"])
@pytest.mark.parametrize("old", [libc.SIG_DFL, libc.SIG_IGN, id, _labs()], ids=["default", "ignore", "ours", "native"])
def test_a_new_handler_gets_what_is_pending(
    handle: Handle, block: Callable[..., object], old: libc.Handler, new: libc.Handler
) -> None:
    block(CHLD)
    handle(CHLD, old)
    libc.kill(os.getpid(), CHLD)
    assert CHLD in libc.sigpending()
    handle(CHLD, new)
    assert CHLD in libc.sigpending()


def test_ignoring_a_signal_drops_what_is_pending(handle: Handle, block: Callable[..., object]) -> None:
    log: list[int] = []
    handle(RT, log.append)
    block(RT)
    _queue(RT, range(3))
    handle(RT, libc.SIG_IGN)
    assert RT not in libc.sigpending()
    handle(RT, log.append)
    _unblock(RT)
    assert log == []


def test_a_signal_delivered_before_a_change_runs_the_handler_of_that_time(
    handle: Handle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal lands when sigaction() is on its way into C."""
    log: list[str] = []
    handle(USR1, lambda _, __: log.append("old"), flags=libc.SA_SIGINFO)
    install = _cpython.sigaction

    def late(*arguments: Any) -> int:
        return _unseen(_raise_unseen(USR1), partial(install, *arguments))  # type: ignore[no-any-return]

    monkeypatch.setattr(_cpython, "sigaction", late)
    handle(USR1, lambda _: log.append("new"))
    monkeypatch.undo()
    assert log == ["old"]
    libc.raise_(USR1)
    assert log == ["old", "new"]


# -- other code's use of the signal module --


def test_a_handler_that_other_code_saved_and_put_back_misses_no_signal(handle: Handle) -> None:
    infos: list[libc.Siginfo] = []
    given = libc.Sigaction(lambda _, info: infos.append(info), {USR2}, libc.SA_SIGINFO | libc.SA_RESTART)
    handle(USR1, libc.SIG_IGN)
    libc.sigaction(USR1, given)
    saved = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, saved)
    assert libc.sigaction(USR1) == given
    libc.raise_(USR1)
    assert [(info.si_signo, info.si_code, info.si_pid) for info in infos] == [(USR1, libc.SI_USER, 0)]
    assert libc.sigaction(USR1) == given
    libc.raise_(USR1)
    assert infos[1].si_code == libc.SI_TKILL
    assert len(infos) == 2


def test_a_displaced_handler_misses_no_signal_among_others(handle: Handle, block: Callable[..., object]) -> None:
    log: list[int] = []
    for signum in (HUP, USR1, RT):
        handle(signum, log.append)
    block(HUP, USR1, RT)
    for _ in range(3):
        log.clear()
        saved = signal.getsignal(signal.SIGUSR1)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        signal.signal(signal.SIGUSR1, saved)
        for signum in (HUP, USR1, RT):
            libc.raise_(signum)
        _unblock(HUP, USR1, RT)
        assert sorted(log) == [HUP, USR1, RT]
        assert _mask() == set()
        libc.sigprocmask(libc.SIG_BLOCK, {HUP, USR1, RT})


def test_a_displaced_handler_can_be_replaced_and_put_back(handle: Handle) -> None:
    log: list[int] = []
    handle(USR1, log.append)
    saved = signal.getsignal(signal.SIGUSR1)
    signal.signal(signal.SIGUSR1, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, saved)
    before = handle(USR1, libc.SIG_IGN)
    libc.raise_(USR1)
    libc.sigaction(USR1, before)
    libc.raise_(USR1)
    assert log == [USR1]


def test_a_displaced_handler_with_sa_resethand_still_runs_once(handle: Handle) -> None:
    log: list[int] = []
    handle(CHLD, log.append, flags=libc.SA_RESETHAND)
    saved = signal.getsignal(signal.SIGCHLD)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, saved)
    libc.raise_(CHLD)
    libc.raise_(CHLD)
    assert log == [CHLD]


def test_another_handler_set_by_the_signal_module_is_reported_and_works(fork: Fork) -> None:
    def child() -> None:
        log: list[object] = []
        install(USR1, lambda _: log.append("ours"))
        install(RT, lambda _: log.append("real-time"))
        signal.signal(signal.SIGUSR1, lambda *_: log.append("theirs"))
        assert isinstance(libc.sigaction(USR1).handler, libc.NativeHandler)
        libc.raise_(USR1)
        libc.raise_(RT)
        libc.raise_(USR1)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        assert libc.sigaction(USR1).handler == libc.SIG_IGN
        libc.raise_(USR1)
        assert log == ["theirs", "real-time", "theirs"]
        assert _mask() == set()

    fork(child).result()


@pytest.mark.parametrize("mask", [(), (INT,), (HUP, INT, USR1, RT, RT + 1)], ids=["empty", "interrupt", "full"])
def test_ctrl_c_and_our_signals_in_one_go_lose_nothing_and_leave_the_mask_true(
    fork: Fork, mask: tuple[int, ...]
) -> None:
    def child() -> None:
        log: list[object] = []
        interrupts, rounds, ours = 0, 300, {HUP, USR1, RT, RT + 1}
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for signum in ours:
            install(signum, log.append, mask)
        for done in range(1, rounds + 1):
            libc.sigprocmask(libc.SIG_BLOCK, ours | {INT})
            for signum in (HUP, INT, USR1, RT, RT, RT + 1):
                libc.raise_(signum)
            try:
                _unblock(*ours, INT)
            except KeyboardInterrupt:
                interrupts += 1
            assert _mask() == set()
            assert interrupts == done
            assert len(log) == 5 * done
        assert [log.count(signum) for signum in (HUP, USR1, RT, RT + 1)] == [rounds, rounds, 2 * rounds, rounds]
        assert libc.signals_lost() == 0

    fork(child).result()


@pytest.mark.parametrize("theirs", [HUP, RT + 4], ids=["before", "behind"])
def test_handlers_of_the_standard_library_s_run_beside_ours(fork: Fork, theirs: int) -> None:
    def child() -> None:
        log: list[int] = []
        ours = {USR1, RT, RT + 1}
        signal.signal(theirs, lambda signum, _: log.append(signum))
        for signum in ours:
            install(signum, log.append)
        for _ in range(100):
            log.clear()
            libc.sigprocmask(libc.SIG_BLOCK, ours | {theirs})
            for signum in (theirs, USR1, RT, RT, RT + 1):
                libc.raise_(signum)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ours | {theirs})
            assert sorted(log) == sorted([theirs, USR1, RT, RT, RT + 1])
            assert _mask() == set()

    fork(child).result()


def test_our_handlers_run_beside_asyncio_s(fork: Fork) -> None:
    async def child() -> None:
        ours: list[int | None] = []
        theirs = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(USR2, theirs.set)
        install(RT, lambda _, info: ours.append(info.si_value), flags=libc.SA_SIGINFO)
        install(USR1, lambda _: ours.append(None))
        for _ in range(100):
            ours.clear()
            theirs.clear()
            libc.sigprocmask(libc.SIG_BLOCK, {USR1, USR2, RT})
            _queue(RT, range(3))
            libc.raise_(USR1)
            libc.raise_(USR2)
            _unblock(USR1, USR2, RT)
            await asyncio.wait_for(theirs.wait(), DEADLINE)
            assert sorted(ours, key=str) == [0, 1, 2, None]
            assert _mask() == set()
        # while the loop sleeps
        theirs.clear()
        with processes.fork(_queue, RT, range(50), os.getpid()) as sender:
            while len(ours) < 54:
                await asyncio.sleep(0)
            sender.wait()
        assert ours[4:] == list(range(50))

    fork(lambda: asyncio.run(child())).result()


def test_our_signals_wake_an_event_loop_that_sleeps(fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()

    async def child() -> int:
        got: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().add_signal_handler(USR2, lambda: None)  # it listens to the wakeup fd from now on
        install(USR1, got.set_result)
        ready.open()
        return await got

    running = fork(lambda: asyncio.run(child()))
    ready.wait()
    until_blocked(running)
    libc.kill(running.pid, USR1)
    assert running.result() == USR1


def test_our_signals_are_written_to_the_wakeup_fd(fork: Fork) -> None:
    def child() -> bytes:
        read_end, write_end = os.pipe()
        os.set_blocking(write_end, False)
        signal.set_wakeup_fd(write_end)
        install(USR1, lambda _: None)
        install(RT, lambda _: None)
        libc.raise_(USR1)
        libc.raise_(RT)
        return os.read(read_end, 100)

    assert fork(child).result() == bytes([USR1, RT])


# -- what is refused --


@pytest.mark.parametrize("signum", [0, -1, 32, 33, 65, 2**31, 10**30])
def test_a_number_that_is_no_signal_of_ours_has_no_action(signum: int) -> None:
    for act in (None, libc.Sigaction(print), libc.Sigaction(libc.SIG_DFL)):
        with pytest.raises(OSError, match=r"sigaction\(.*\): Invalid argument") as caught:
            libc.sigaction(signum, act)
        assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("signum", [libc.SIGKILL, libc.SIGSTOP])
def test_kill_and_stop_can_only_be_queried(signum: int) -> None:
    assert libc.sigaction(signum) == libc.Sigaction(libc.SIG_DFL)
    for handler in (print, libc.SIG_IGN, libc.SIG_DFL, _labs()):
        with pytest.raises(OSError, match="this signal cannot be caught or ignored") as caught:
            install(signum, handler)
        assert caught.value.errno == errno.EINVAL


def test_what_is_no_handler_is_a_type_error() -> None:
    before = libc.sigaction(USR1)
    wrong: Any
    for wrong in (None, 5, -1, "SIG_IGN", object(), 1.0):
        with pytest.raises(TypeError, match="a handler is SIG_DFL, SIG_IGN, a callable or a NativeHandler"):
            install(USR1, wrong)
    for wrong in (print, libc.SIG_IGN, 0, (print, (), 0)):
        with pytest.raises(TypeError, match="act is a Sigaction"):
            libc.sigaction(USR1, wrong)
    for wrong in ("SIGUSR1", None, 10.0):
        with pytest.raises(TypeError):
            libc.sigaction(wrong)
    for wrong in ("address", None, 1.5):
        with pytest.raises(TypeError):
            install(USR1, libc.NativeHandler(wrong))
    assert libc.sigaction(USR1) == before


def test_what_is_no_mask_is_refused_when_the_action_is_made() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        libc.Sigaction(print, {33})
    wrong: Any
    for wrong in (None, 5, ["SIGUSR1"]):
        with pytest.raises(TypeError):
            libc.Sigaction(print, wrong)


def test_an_action_is_immutable_and_compares_by_value() -> None:
    action = libc.Sigaction(print, [USR2, USR1], libc.SA_RESTART)
    assert action == libc.Sigaction(print, {USR1, USR2}, libc.SA_RESTART)
    assert action != libc.Sigaction(print, {USR1}, libc.SA_RESTART)
    assert hash(action) == hash(libc.Sigaction(print, (USR1, USR2), libc.SA_RESTART))
    assert action.mask == libc.SignalSet({USR1, USR2})
    with pytest.raises(AttributeError):
        action.flags = 0  # type: ignore[misc]


# -- threads --


def test_handlers_are_changed_on_the_main_thread_only(handle: Handle) -> None:
    log: list[object] = []
    handle(USR1, print)

    def work() -> None:
        log.append(libc.sigaction(USR1).handler)
        for handler in (print, libc.SIG_DFL, _labs()):
            try:
                install(USR1, handler)
            except ValueError as error:
                log.append(str(error))

    thread = threading.Thread(target=work)
    thread.start()
    until_gone(thread)
    assert log == [print, *["sigaction() changes handlers on the main thread only"] * 3]
    assert libc.sigaction(USR1).handler is print


def test_a_signal_that_another_thread_got_runs_its_handler_on_the_main_thread(
    handle: Handle, block: Callable[..., object]
) -> None:
    calls: list[object] = []
    stop = threading.Event()

    def handler(signum: int, info: libc.Siginfo) -> None:
        calls.append((threading.current_thread() is threading.main_thread(), _mask(), info.si_pid))

    handle(USR1, handler, {USR2}, libc.SA_SIGINFO)
    thread = threading.Thread(target=stop.wait, args=(DEADLINE,))
    thread.start()
    block(USR1, HUP)  # here, but not there
    libc.kill(os.getpid(), USR1)
    until(lambda: calls)
    assert _mask() == {USR1, HUP}
    stop.set()
    until_gone(thread)
    assert calls == [(True, {USR1, USR2, HUP}, os.getpid())]


def test_what_another_thread_gets_beyond_all_room_is_counted(fork: Fork) -> None:
    def child() -> tuple[int, int]:
        count, calls = 3000, 0
        stop = threading.Event()

        def handler(signum: int) -> None:
            nonlocal calls
            calls += 1

        install(RT, handler)
        thread = threading.Thread(target=stop.wait, args=(DEADLINE,))
        thread.start()
        libc.sigprocmask(libc.SIG_BLOCK, {RT})
        assert thread.native_id is not None
        send = partial(lib.uipc_tgkill, os.getpid(), thread.native_id, RT)
        _unseen(*[send] * count)
        until(lambda: calls + libc.signals_lost() == count)
        stop.set()
        thread.join(DEADLINE)
        return calls, libc.signals_lost()

    calls, lost = fork(child).result()
    assert calls >= 1000
    assert calls + lost == 3000


def _pending(status: Path) -> libc.SignalSet:
    """Tell what waits for one thread alone."""
    (bits,) = (line.split()[1] for line in status.read_text().splitlines() if line.startswith("SigPnd:"))
    return libc.SignalSet(number for number in range(1, 65) if int(bits, 16) >> number - 1 & 1)


def test_a_flood_on_another_thread_is_delivered_without_deep_recursion(fork: Fork) -> None:
    def child() -> tuple[int, bool]:
        count, calls, depth, deepest = 2000, 0, 0, 0
        stop = threading.Event()

        def handler(signum: int) -> None:
            nonlocal calls, depth, deepest
            calls += 1
            depth += 1
            deepest = max(deepest, depth)
            if calls < count:
                send()
                while RT in pending():  # the thread has not taken it
                    os.sched_yield()
            depth -= 1

        install(RT, handler)
        thread = threading.Thread(target=stop.wait, args=(DEADLINE,))
        thread.start()
        libc.sigprocmask(libc.SIG_BLOCK, {RT})
        assert thread.native_id is not None
        send = partial(libc.tgkill, os.getpid(), thread.native_id, RT)
        pending = partial(_pending, Path(f"/proc/self/task/{thread.native_id}/status"))
        send()
        until(lambda: calls == count)
        stop.set()
        thread.join(DEADLINE)
        return calls, deepest < sys.getrecursionlimit()

    assert fork(child).result() == (2000, True)


def test_two_threads_that_get_signals_lose_none(fork: Fork) -> None:
    def child() -> None:
        infos: list[libc.Siginfo] = []
        stop = threading.Event()
        install(RT, lambda _, info: infos.append(info), flags=libc.SA_SIGINFO)
        threads = [threading.Thread(target=stop.wait, args=(DEADLINE,)) for _ in range(2)]
        for thread in threads:
            thread.start()
        libc.sigprocmask(libc.SIG_BLOCK, {RT})
        sent = 0
        for _ in range(20):
            for thread in threads:
                assert thread.native_id is not None
                for _ in range(20):
                    libc.tgkill(os.getpid(), thread.native_id, RT)
            _queue(RT, range(10))
            sent += 50
            until(lambda sent=sent: len(infos) == sent)  # type: ignore[misc]
        stop.set()
        for thread in threads:
            thread.join(DEADLINE)
        assert libc.signals_lost() == 0

    fork(child).result()


# -- the process as a whole --


def _run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=DEADLINE)
    assert done.stderr == ""
    return done.stdout


def test_importing_the_package_changes_no_disposition_and_no_mask() -> None:
    code = """
def state():
    with open("/proc/self/status") as lines:
        return [line for line in lines if line.startswith(("SigB", "SigI", "SigC", "SigP", "Shd"))]
before = state()
import signal
handlers = [signal.getsignal(signum) for signum in signal.valid_signals()]
import unixipc, unixipc.libc, unixipc.processes
unixipc.libc.sigaction(unixipc.libc.SIGUSR1)
unixipc.libc.sigprocmask(unixipc.libc.SIG_BLOCK)
assert len(before) == 5, before
assert state() == before, (before, state())
assert [signal.getsignal(signum) for signum in signal.valid_signals()] == handlers
print("unchanged")
"""
    assert _run(code) == "unchanged\n"


def test_a_program_with_handlers_ends_as_without(handle: Handle) -> None:
    code = """
import atexit
from unixipc import libc
for signum in (libc.SIGINT, libc.SIGTERM, libc.SIGRTMIN):
    libc.sigaction(signum, libc.Sigaction(lambda signum: print(int(signum)), (), libc.SA_RESETHAND))
@atexit.register
def late():
    libc.raise_(libc.SIGTERM)
libc.raise_(libc.SIGRTMIN)
"""
    assert _run(code) == "34\n15\n"


def test_a_program_started_in_a_handler_inherits_the_handler_s_mask(handle: Handle) -> None:
    found: list[str] = []

    def run(signum: int) -> None:
        done = subprocess.run(["/bin/cat", "/proc/self/status"], check=True, capture_output=True, text=True)
        found.extend(line for line in done.stdout.splitlines() if line.startswith("SigBlk"))

    handle(RT, run)
    handle(USR1, print)
    libc.raise_(RT)
    assert [int(line.split()[1], 16) for line in found] == [libc.SignalSet({RT}).mask]


def test_a_signal_of_another_thread_is_handled_while_the_main_thread_is_in_a_call(
    fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready, handled = gate(), gate()

    def child() -> list[int | None]:
        values: list[int | None] = []
        stop = threading.Event()

        def handler(_: int, info: libc.Siginfo) -> None:
            assert threading.current_thread() is threading.main_thread()
            values.append(info.si_value)
            handled.open()

        def receive() -> None:
            libc.sigprocmask(libc.SIG_UNBLOCK, {RT})
            ready.open()
            stop.wait()

        install(RT, handler, (), libc.SA_SIGINFO)
        libc.sigprocmask(libc.SIG_BLOCK, {RT})
        thread = threading.Thread(target=receive)
        thread.start()
        assert libc.msgrcv(queue, 10) == (1, b"end")
        stop.set()
        thread.join()
        assert libc.sigaction(libc.SIGURG).handler == libc.SIG_DFL
        return values

    queue = libc.msgget(libc.IPC_PRIVATE, libc.IPC_CREAT | 0o600)
    try:
        process = fork(child)
        ready.wait()
        for value in range(3):
            until_blocked(process)
            libc.sigqueue(process.pid, RT, value)
            handled.wait()  # though the call goes on
        libc.msgsnd(queue, 1, b"end")
        assert process.result() == [0, 1, 2]
    finally:
        libc.msgctl(queue, libc.IPC_RMID)
