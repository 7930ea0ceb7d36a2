"""signal(7)."""

from __future__ import annotations

import os
import threading
import time
from functools import cache
from typing import TYPE_CHECKING

from unixipc import libc, processes
from unixipc.cli.exchange import ROUNDS, Exchange, MismatchError, UnavailableError, expect, median_time
from unixipc.cli.tour import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

family = Family()

_NEWS = libc.SIGRTMIN + 1
_READY = libc.SIGRTMIN + 2
_DONE = libc.SIGRTMIN + 3
_QUEUED = 100
_FEW_ROUNDS = 20
_EXIT_STATUS = 7


def _sender(info: libc.Siginfo) -> int:
    if not info.si_pid:  # what the kernel writes when it has no memory to keep the siginfo in
        raise UnavailableError("a signal came without its siginfo: see RLIMIT_SIGPENDING in getrlimit(2)")
    return info.si_pid


def _without(signum: int) -> libc.SignalSet:
    """Everything but one signal: the mask of a child that waits for it."""
    return libc.SignalSet(libc.SignalSet.full() - {signum})


def _queue(pid: int, signum: int, value: int = 0) -> None:
    try:
        libc.sigqueue(pid, signum, value)
    except BlockingIOError as error:
        raise UnavailableError(error.strerror) from error


def _volley(
    exchange: Exchange,
    send: Callable[[int, int, int], object],
    accept: Callable[[Iterable[int]], libc.Siginfo],
    si_code: int,
) -> float:
    """Have one child send signals to the other, which answers each: `send` takes a pid, a signal and a value."""
    with_values = si_code == libc.SI_QUEUE
    question, reply = (_NEWS, _DONE) if with_values else (libc.SIGUSR1, libc.SIGUSR2)

    def asks() -> float:
        def ask(number: int) -> None:
            send(answering.pid, question, number)
            info = accept({reply})
            expect((_sender(info), info.si_code), (answering.pid, si_code), "si_pid and si_code of the answer")
            expect(info.si_value, -number if with_values else None, "si_value of the answer")

        return median_time(ask)

    def answers() -> set[int]:
        senders = set()
        for number in range(ROUNDS):
            info = accept({question})
            senders.add(_sender(info))
            expect(info.si_code, si_code, "si_code")
            expect(info.si_value, number if with_values else None, "si_value")
            send(_sender(info), reply, -number)
        return senders

    answering = exchange.fork(answers)
    asking = exchange.fork(asks)
    exchange.object = f"pid {answering.pid}"
    exchange.finish(asking, answering)
    expect(answering.result(), {asking.pid}, "senders")
    return asking.result()


@family.mechanism("signal to a process", calls="kill sigwaitinfo", travels=f"{ROUNDS} signals and answers")
def signal_to_a_process(exchange: Exchange) -> float:
    """Signal a process, which learns from the siginfo whom to answer."""
    return _volley(exchange, lambda pid, signum, _: libc.kill(pid, signum), libc.sigwaitinfo, libc.SI_USER)


@family.mechanism("signal to a group", calls="killpg sigwaitinfo sigqueue", travels=f"{ROUNDS} signals, 2 answers each")
def signal_to_a_group(exchange: Exchange) -> float:
    """Reach both members of a group with one call."""

    def member() -> set[int]:
        senders = set()
        for number in range(ROUNDS):
            info = libc.sigwaitinfo({libc.SIGUSR1})
            senders.add(_sender(info))
            _queue(_sender(info), _DONE, number)
        return senders

    first, second = exchange.fork(member), exchange.fork(member)
    for child in (first, second):
        os.setpgid(child.pid, first.pid)
    exchange.object = f"pgid {first.pid}"

    def asks() -> float:
        def ask(number: int) -> None:
            libc.killpg(first.pid, libc.SIGUSR1)
            infos = [libc.sigwaitinfo({_DONE}) for _ in range(2)]
            expect({info.si_pid for info in infos}, {first.pid, second.pid}, "who answered")
            expect([info.si_value for info in infos], [number, number], "answers")

        return median_time(ask)

    asking = exchange.fork(asks)
    exchange.finish(asking, first, second)
    expect(first.result() | second.result(), {asking.pid}, "senders")
    return asking.result()


@family.mechanism(
    "signal to a thread", calls="tgkill pthread_sigmask sigwait sigwaitinfo", travels=f"{ROUNDS} signals and answers"
)
def signal_to_a_thread(exchange: Exchange) -> float:
    """Signal one of two threads that wait for the same signal."""
    told, tells = exchange.pipe()

    def asks() -> float:
        process, thread = map(int, libc.read(told, 40).split())

        def ask(_: int) -> None:
            libc.tgkill(process, thread, libc.SIGUSR1)
            expect(libc.sigwait({libc.SIGUSR2}), libc.SIGUSR2, "answer")

        seconds = median_time(ask)
        libc.tgkill(process, process, libc.SIGUSR1)
        return seconds

    asking = exchange.fork(asks)

    def answers() -> None:
        received: list[libc.Siginfo] = []

        def work() -> None:
            libc.pthread_sigmask(libc.SIG_BLOCK, {libc.SIGUSR1})
            libc.write(tells, b"%d %d" % (os.getpid(), threading.get_native_id()))
            for _ in range(ROUNDS):
                received.append(libc.sigwaitinfo({libc.SIGUSR1}))
                libc.tgkill(asking.pid, asking.pid, libc.SIGUSR2)

        worker = threading.Thread(target=work)
        worker.start()
        libc.sigwait({libc.SIGUSR1})
        worker.join()
        expect({_sender(info) for info in received}, {asking.pid}, "senders")
        expect([info.si_code for info in received], [libc.SI_TKILL] * ROUNDS, "si_code of each signal")

    answering = exchange.fork(answers)
    exchange.object = f"tgid {answering.pid}"
    exchange.finish(asking, answering)
    return asking.result()


@family.mechanism(
    "queued signals to a handler",
    calls="sigaction sigqueue sigprocmask sigwaitinfo",
    travels=f"{_FEW_ROUNDS} x {_QUEUED} values, in order",
)
def queued_signals_to_a_handler(exchange: Exchange) -> float:
    """Queue signals while they are blocked; the Python handler gets each of them, with its siginfo."""

    def receives() -> set[int]:
        received = []
        senders = set()

        def on_news(_: int, info: libc.Siginfo) -> None:
            received.append((info.si_code, info.si_pid, info.si_value))

        libc.sigaction(_NEWS, libc.Sigaction(on_news, flags=libc.SA_SIGINFO))
        for _ in range(_FEW_ROUNDS):
            sender = _sender(libc.sigwaitinfo({_READY}))
            senders.add(sender)
            libc.sigprocmask(libc.SIG_UNBLOCK, {_NEWS})
            libc.sigprocmask(libc.SIG_BLOCK, {_NEWS})
            expect(received, [(libc.SI_QUEUE, sender, value) for value in range(_QUEUED)], "what the handler got")
            _queue(sender, _DONE, len(received))
            received.clear()
        return senders

    receiving = exchange.fork(receives)
    exchange.object = f"pid {receiving.pid}"

    def sends() -> float:
        def send(_: int) -> None:
            for value in range(_QUEUED):
                _queue(receiving.pid, _NEWS, value)
            _queue(receiving.pid, _READY)
            expect(libc.sigwaitinfo({_DONE}).si_value, _QUEUED, "count of received values")

        return median_time(send, _FEW_ROUNDS)

    sending = exchange.fork(sends)
    exchange.finish(sending, receiving)
    expect(receiving.result(), {sending.pid}, "senders")
    return sending.result()


@family.mechanism(
    "blocked and pending signals",
    calls="signal sigprocmask sigpending sigsuspend kill sigqueue",
    travels=f"{ROUNDS} signals, held back",
)
def blocked_and_pending_signals(exchange: Exchange) -> float:
    """Hold a signal; its handler runs within sigsuspend, or once it is unblocked."""

    def receives() -> None:
        handled: list[int] = []
        libc.signal(libc.SIGUSR1, handled.append)
        for number in range(ROUNDS):
            sender = _sender(libc.sigwaitinfo({_READY}))
            held = libc.SIGUSR1 in libc.sigpending()
            expect((held, handled), (True, []), "pending, and what was handled before")
            if number % 2:
                libc.sigsuspend(_without(libc.SIGUSR1))
            else:
                libc.sigprocmask(libc.SIG_UNBLOCK, {libc.SIGUSR1})
            before = libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
            expect(libc.SIGUSR1 in before, bool(number % 2), "blocked again")
            expect(handled, [libc.SIGUSR1], "what was handled")
            handled.clear()
            _queue(sender, _DONE, number)

    receiving = exchange.fork(receives)
    exchange.object = f"pid {receiving.pid}"

    def sends() -> float:
        def send(number: int) -> None:
            libc.kill(receiving.pid, libc.SIGUSR1)
            _queue(receiving.pid, _READY)
            expect(libc.sigwaitinfo({_DONE}).si_value, number, "answer")

        return median_time(send)

    sending = exchange.fork(sends)
    exchange.finish(sending, receiving)
    return sending.result()


@family.mechanism("wait with a timeout", calls="sigtimedwait sigqueue", travels=f"{ROUNDS} values and answers")
def wait_with_a_timeout(exchange: Exchange) -> float:
    """Look for a value, and where none is there yet, wait for it."""

    def accept(signals: Iterable[int]) -> libc.Siginfo:
        try:
            return libc.sigtimedwait(signals, 0)
        except BlockingIOError:
            return libc.sigtimedwait(signals, 60)

    return _volley(exchange, _queue, accept, libc.SI_QUEUE)


@family.mechanism("pause", calls="pause sigaction kill sigtimedwait", travels=f"{ROUNDS} signals and answers")
def pause(exchange: Exchange) -> float:
    """End a pause by a handler.

    The sender repeats itself: no protocol can tell it that the other sleeps already (sigsuspend(2) is the cure).
    """

    def pauses() -> set[int | None]:
        senders = set()
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _, info: senders.add(info.si_pid), flags=libc.SA_SIGINFO))
        libc.sigprocmask(libc.SIG_UNBLOCK, {libc.SIGUSR1})
        for number in range(ROUNDS):
            libc.pause()
            (sender,) = senders
            _queue(sender, _DONE, number)
        libc.sigwait({_READY})
        return senders

    pausing = exchange.fork(pauses)
    exchange.object = f"pid {pausing.pid}"

    def answer() -> libc.Siginfo:
        while True:
            libc.kill(pausing.pid, libc.SIGUSR1)
            try:
                return libc.sigtimedwait({_DONE}, 0.001)
            except BlockingIOError:
                continue

    def sends() -> float:
        seconds = median_time(lambda number: expect(answer().si_value, number, "answer"))
        _queue(pausing.pid, _READY)
        return seconds

    sending = exchange.fork(sends)
    exchange.finish(sending, pausing)
    expect(pausing.result(), {sending.pid}, "senders")
    return sending.result()


@family.mechanism("alarm", calls="alarm sigaction sigsuspend kill", travels="a signal, 1 s later")
def alarm(exchange: Exchange) -> float:
    """Let an alarm end the wait of one child, which then wakes the other."""

    def wakes() -> float:
        infos = []
        libc.sigaction(libc.SIGALRM, libc.Sigaction(lambda _, info: infos.append(info), flags=libc.SA_SIGINFO))
        expect(libc.alarm(60), 0, "seconds left of no alarm")
        start = time.monotonic()
        if libc.alarm(1) < 59:
            raise MismatchError("the alarm in 60 seconds was not the one before")
        libc.sigsuspend(_without(libc.SIGALRM))
        seconds = time.monotonic() - start
        expect([(info.si_signo, info.si_code) for info in infos], [(libc.SIGALRM, libc.SI_KERNEL)], "the alarm")
        libc.kill(sleeping.pid, libc.SIGUSR1)
        return seconds

    sleeping = exchange.fork(lambda: _sender(libc.sigwaitinfo({libc.SIGUSR1})))
    waking = exchange.fork(wakes)
    exchange.object = f"pid {waking.pid}"
    exchange.finish(waking, sleeping)
    expect(sleeping.result(), waking.pid, "sender of the wake-up")
    return waking.result()


@family.mechanism("news of children", calls="sigaction sigsuspend raise_", travels=f"how {_FEW_ROUNDS} children ended")
def news_of_children(exchange: Exchange) -> float:
    """Learn in the handler of SIGCHLD which child ended, and how."""

    def watches() -> float:
        infos: list[libc.Siginfo] = []
        ends: list[tuple[Callable[[], object], int, int]] = [
            (lambda: os._exit(_EXIT_STATUS), libc.CldCode.CLD_EXITED, _EXIT_STATUS),
            (lambda: libc.raise_(libc.SIGKILL), libc.CldCode.CLD_KILLED, libc.SIGKILL),
        ]
        libc.sigaction(libc.SIGCHLD, libc.Sigaction(lambda _, info: infos.append(info), flags=libc.SA_SIGINFO))

        def watch(number: int) -> None:
            end, code, status = ends[number % 2]
            with processes.fork(end) as child:
                libc.sigsuspend(_without(libc.SIGCHLD))
                received = [(info.si_code, info.si_pid, info.si_status) for info in infos]
                expect(received, [(code, child.pid, status)], "si_code, si_pid and si_status")
                child.wait()
            infos.clear()

        return median_time(watch, _FEW_ROUNDS)

    watching = exchange.fork(watches)
    exchange.object = f"pid {watching.pid}"
    exchange.finish(watching)
    return watching.result()


@family.mechanism(
    "signal by pidfd", calls="pidfd_open pidfd_send_signal sigwaitinfo", travels=f"{ROUNDS} signals and answers"
)
def signal_by_pidfd(exchange: Exchange) -> float:
    """Name the process by a descriptor, which cannot mean another one as a reused pid can."""
    pidfd = cache(libc.pidfd_open)
    return _volley(
        exchange, lambda pid, signum, _: libc.pidfd_send_signal(pidfd(pid), signum), libc.sigwaitinfo, libc.SI_USER
    )
