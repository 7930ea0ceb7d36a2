"""sigaction(2): handlers, and the calls that wait for them."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING

from unixipc import libc, processes, signals
from unixipc.cli.exchange import ROUNDS, Exchange, MismatchError, expect, median_time
from unixipc.cli.mechanisms.signals import DONE, NEWS, READY, queue, sender_of
from unixipc.cli.tour import Family

if TYPE_CHECKING:
    from collections.abc import Callable

family = Family()

_QUEUED = 100
_FEW_ROUNDS = 20
_EXIT_STATUS = 7


def _without(signum: int) -> libc.SignalSet:
    """Everything but one signal: the mask of a child that waits for it."""
    return libc.SignalSet(libc.SignalSet.full() - {signum})


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

        libc.sigaction(NEWS, libc.Sigaction(on_news, flags=libc.SA_SIGINFO))
        for _ in range(_FEW_ROUNDS):
            sender = sender_of(libc.sigwaitinfo({READY}))
            senders.add(sender)
            libc.sigprocmask(libc.SIG_UNBLOCK, {NEWS})
            libc.sigprocmask(libc.SIG_BLOCK, {NEWS})
            expect(received, [(libc.SI_QUEUE, sender, value) for value in range(_QUEUED)], "what the handler got")
            queue(sender, DONE, len(received))
            received.clear()
        return senders

    receiving = exchange.fork(receives)
    exchange.object = f"pid {receiving.pid}"

    def sends() -> float:
        def send(_: int) -> None:
            for value in range(_QUEUED):
                queue(receiving.pid, NEWS, value)
            queue(receiving.pid, READY)
            expect(libc.sigwaitinfo({DONE}).si_value, _QUEUED, "count of received values")

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
            sender = sender_of(libc.sigwaitinfo({READY}))
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
            queue(sender, DONE, number)

    receiving = exchange.fork(receives)
    exchange.object = f"pid {receiving.pid}"

    def sends() -> float:
        def send(number: int) -> None:
            libc.kill(receiving.pid, libc.SIGUSR1)
            queue(receiving.pid, READY)
            expect(libc.sigwaitinfo({DONE}).si_value, number, "answer")

        return median_time(send)

    sending = exchange.fork(sends)
    exchange.finish(sending, receiving)
    return sending.result()


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
            queue(sender, DONE, number)
        libc.sigwait({READY})
        return senders

    pausing = exchange.fork(pauses)
    exchange.object = f"pid {pausing.pid}"

    def answer() -> libc.Siginfo:
        while True:
            libc.kill(pausing.pid, libc.SIGUSR1)
            try:
                return libc.sigtimedwait({DONE}, 0.001)
            except BlockingIOError:
                continue

    def sends() -> float:
        seconds = median_time(lambda number: expect(answer().si_value, number, "answer"))
        queue(pausing.pid, READY)
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

    sleeping = exchange.fork(lambda: sender_of(libc.sigwaitinfo({libc.SIGUSR1})))
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
    "signal() of two worlds",
    calls="bsd_signal sysv_signal sigaction sigsuspend kill sigqueue",
    travels=f"{ROUNDS} signals and answers",
)
def signal_of_two_worlds(exchange: Exchange) -> float:
    """Handle with BSD semantics, where the handler stays, and with System V's, where it is good for one signal."""

    def receives() -> None:
        senders: list[int] = []
        left: list[libc.Handler] = []

        def handler(_: int) -> None:
            left.append(libc.sigaction(libc.SIGUSR1).handler)

        libc.sigaction(READY, libc.Sigaction(lambda _, info: senders.append(sender_of(info)), flags=libc.SA_SIGINFO))
        for number in range(ROUNDS):
            install, stays = ((libc.bsd_signal, handler), (libc.sysv_signal, libc.SIG_DFL))[number % 2]
            install(libc.SIGUSR1, handler)
            while not senders:
                libc.sigsuspend(_without(READY))
            libc.sigsuspend(_without(libc.SIGUSR1))
            expect(left, [stays], "the handler left by the signal")
            queue(senders.pop(), DONE, number)
            left.clear()

    receiving = exchange.fork(receives)
    exchange.object = f"pid {receiving.pid}"

    def sends() -> float:
        def send(number: int) -> None:
            libc.kill(receiving.pid, READY)
            libc.kill(receiving.pid, libc.SIGUSR1)
            expect(libc.sigwaitinfo({DONE}).si_value, number, "answer")

        return median_time(send)

    sending = exchange.fork(sends)
    exchange.finish(sending, receiving)
    return sending.result()


@family.mechanism(
    "signal or descriptor", calls="ppoll sigaction sigqueue read write", travels=f"{ROUNDS} news, by turns"
)
def signal_or_descriptor(exchange: Exchange) -> float:
    """Wait in one call for whichever comes first, bytes in a pipe or a signal, which cannot slip past it."""
    reads, writes = exchange.pipe()

    def waits() -> None:
        infos: list[libc.Siginfo] = []
        libc.sigaction(NEWS, libc.Sigaction(lambda _, info: infos.append(info), flags=libc.SA_SIGINFO))
        for number in range(ROUNDS):
            try:
                ready = libc.ppoll([(reads, select.POLLIN)], None, _without(NEWS))
            except InterruptedError:
                (info,) = infos
                expect((info.si_value, number % 2), (number, 1), "the signal's value")
                infos.clear()
            else:
                expect((ready, number % 2), ([(reads, select.POLLIN)], 0), "what is ready")
                expect(libc.read(reads, 4), number.to_bytes(4, "big"), "bytes")
            queue(sending.pid, DONE, number)

    def sends() -> float:
        waiting_pid = libc.sigwaitinfo({READY}).si_value or 0

        def send(number: int) -> None:
            if number % 2:
                queue(waiting_pid, NEWS, number)
            else:
                libc.write(writes, number.to_bytes(4, "big"))
            expect(libc.sigwaitinfo({DONE}).si_value, number, "answer")

        return median_time(send)

    sending = exchange.fork(sends)
    waiting = exchange.fork(waits)
    queue(sending.pid, READY, waiting.pid)
    exchange.object = f"pid {waiting.pid}"
    exchange.finish(sending, waiting)
    return sending.result()


@family.mechanism("a stream of signals", calls="sigqueue sigwaitinfo", travels=f"{ROUNDS} values, to two receivers")
def a_stream_of_signals(exchange: Exchange) -> float:
    """Subscribe twice to a signal; each receiver gets every value, in order."""

    def sends() -> float:
        receiving_pid = sender_of(libc.sigwaitinfo({READY}))

        def send(number: int) -> None:
            queue(receiving_pid, NEWS, number)
            expect(libc.sigwaitinfo({DONE}).si_value, number, "answer")

        return median_time(send)

    sending = exchange.fork(sends)

    def receives() -> None:
        with signals.receiver(NEWS) as first, signals.receiver({NEWS, libc.SIGUSR1}) as second:
            queue(sending.pid, READY)
            for number in range(ROUNDS):
                values = [receiver.receive().si_value for receiver in (first, second)]
                expect(values, [number, number], "values")
                queue(sending.pid, DONE, number)

    receiving = exchange.fork(receives)
    exchange.object = f"pid {receiving.pid}"
    exchange.finish(sending, receiving)
    return sending.result()
