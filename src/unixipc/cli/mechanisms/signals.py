"""signal(7): from one process to another, without handlers."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from unixipc import libc, signals
from unixipc.cli.exchange import ROUNDS, Exchange, UnavailableError, expect, median_time
from unixipc.cli.interruption import STOPPING
from unixipc.cli.tour import Family

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

family = Family()

NEWS = libc.SIGRTMIN + 1
READY = libc.SIGRTMIN + 2
DONE = libc.SIGRTMIN + 3


def sender_of(info: libc.Siginfo) -> int:
    """Tell which process sent a signal."""
    if not info.si_pid:  # what the kernel writes when it has no memory to keep the siginfo in
        raise UnavailableError("a signal came without its siginfo: see RLIMIT_SIGPENDING in getrlimit(2)")
    return info.si_pid


@contextmanager
def _limited() -> Iterator[None]:
    try:
        yield
    except BlockingIOError as error:
        raise UnavailableError(error.strerror) from error


def queue(pid: int, signum: int, value: int = 0) -> None:
    """Queue a signal; a full queue is a limit of the machine."""
    with _limited():
        libc.sigqueue(pid, signum, value)


def _volley(
    exchange: Exchange,
    send: Callable[[int, int, int], object],
    accept: Callable[[Iterable[int]], libc.Siginfo],
    si_code: int,
) -> float:
    """Have one child send signals to the other, which answers each: `send` takes a pid, a signal and a value."""
    with_values = si_code == libc.SI_QUEUE
    question, reply = (NEWS, DONE) if with_values else (libc.SIGUSR1, libc.SIGUSR2)

    def asks() -> float:
        def ask(number: int) -> None:
            send(answering.pid, question, number)
            info = accept({reply})
            expect((sender_of(info), info.si_code), (answering.pid, si_code), "si_pid and si_code of the answer")
            expect(info.si_value, -number if with_values else None, "si_value of the answer")

        return median_time(ask)

    def answers() -> set[int]:
        senders = set()
        for number in range(ROUNDS):
            info = accept({question})
            senders.add(sender_of(info))
            expect(info.si_code, si_code, "si_code")
            expect(info.si_value, number if with_values else None, "si_value")
            send(sender_of(info), reply, -number)
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


@family.mechanism(
    "signal by pidfd", calls="pidfd_open pidfd_send_signal sigwaitinfo", travels=f"{ROUNDS} signals and answers"
)
def signal_by_pidfd(exchange: Exchange) -> float:
    """Name the process by a descriptor, which cannot mean another one as a reused pid can."""
    pidfd = cache(libc.pidfd_open)
    return _volley(
        exchange, lambda pid, signum, _: libc.pidfd_send_signal(pidfd(pid), signum), libc.sigwaitinfo, libc.SI_USER
    )


@family.mechanism("signal to a group", calls="killpg sigwaitinfo sigqueue", travels=f"{ROUNDS} signals, 2 answers each")
def signal_to_a_group(exchange: Exchange) -> float:
    """Reach both members of a group with one call."""

    def member() -> set[int]:
        senders = set()
        for number in range(ROUNDS):
            info = libc.sigwaitinfo({libc.SIGUSR1})
            senders.add(sender_of(info))
            queue(sender_of(info), DONE, number)
        return senders

    first, second = exchange.fork(member), exchange.fork(member)
    for child in (first, second):
        os.setpgid(child.pid, first.pid)
    exchange.object = f"pgid {first.pid}"

    def asks() -> float:
        def ask(number: int) -> None:
            libc.killpg(first.pid, libc.SIGUSR1)
            infos = [libc.sigwaitinfo({DONE}) for _ in range(2)]
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
        expect({sender_of(info) for info in received}, {asking.pid}, "senders")
        expect([info.si_code for info in received], [libc.SI_TKILL] * ROUNDS, "si_code of each signal")

    answering = exchange.fork(answers)
    exchange.object = f"tgid {answering.pid}"
    exchange.finish(asking, answering)
    return asking.result()


@family.mechanism("wait with a timeout", calls="sigtimedwait sigqueue", travels=f"{ROUNDS} values and answers")
def wait_with_a_timeout(exchange: Exchange) -> float:
    """Look for a value, and where none is there yet, wait for it."""

    def accept(signals: Iterable[int]) -> libc.Siginfo:
        try:
            return libc.sigtimedwait(signals, 0)
        except BlockingIOError:
            return libc.sigtimedwait(signals, 60)

    return _volley(exchange, queue, accept, libc.SI_QUEUE)


@family.mechanism(
    "siginfo of one's own",
    calls="rt_sigqueueinfo rt_tgsigqueueinfo sigwaitinfo",
    travels=f"{ROUNDS} addresses and answers",
)
def siginfo_of_ones_own(exchange: Exchange) -> float:
    """Make up the siginfo: a question goes to the process, the answer to its one thread."""
    mark = 1 << 40

    def asks() -> float:
        def ask(number: int) -> None:
            question = libc.Siginfo.queued(NEWS, pointer=mark + number, code=libc.SI_MESGQ)
            with _limited():
                libc.rt_sigqueueinfo(answering.pid, NEWS, question)
            info = libc.sigwaitinfo({DONE})
            expect(
                (sender_of(info), info.si_code), (answering.pid, libc.SI_ASYNCIO), "si_pid and si_code of the answer"
            )
            expect(info.si_value, -number, "si_value of the answer")

        return median_time(ask)

    def answers() -> set[int]:
        senders = set()
        for number in range(ROUNDS):
            info = libc.sigwaitinfo({NEWS})
            senders.add(sender_of(info))
            expect((info.si_code, info.si_ptr), (libc.SI_MESGQ, mark + number), "si_code and si_ptr")
            answer = libc.Siginfo.queued(DONE, -number, code=libc.SI_ASYNCIO)
            with _limited():
                libc.rt_tgsigqueueinfo(sender_of(info), sender_of(info), DONE, answer)
        return senders

    answering = exchange.fork(answers)
    asking = exchange.fork(asks)
    exchange.object = f"pid {answering.pid}"
    exchange.finish(asking, answering)
    expect(answering.result(), {asking.pid}, "senders")
    return asking.result()


@family.mechanism("signals as a file", calls="signalfd read sigqueue", travels=f"{ROUNDS} values and answers")
def signals_as_a_file(exchange: Exchange) -> float:
    """Read signals from descriptors."""
    descriptor = cache(libc.signalfd)

    def accept(signals: Iterable[int]) -> libc.Siginfo:
        return libc.Siginfo.from_signalfd(libc.read(descriptor(-1, tuple(signals)), libc.SIGNALFD_SIGINFO_SIZE))

    return _volley(exchange, queue, accept, libc.SI_QUEUE)


@family.mechanism(
    "state of a process", calls="kill tgkill sigqueue sigwaitinfo", travels=f"{ROUNDS} x 3 signals, seen waiting"
)
def state_of_a_process(exchange: Exchange) -> float:
    """Read from /proc what waits for another process, and for its thread alone."""

    def takes() -> None:
        for number in range(ROUNDS):
            sender = sender_of(libc.sigwaitinfo({READY}))
            taken = [libc.sigwaitinfo({signum}) for signum in (libc.SIGUSR1, libc.SIGUSR2, NEWS)]
            expect({sender_of(info) for info in taken}, {sender}, "senders of what was waiting")
            queue(sender, DONE, number)

    taking = exchange.fork(takes)
    exchange.object = f"pid {taking.pid}"

    def looks() -> float:
        def look(number: int) -> None:
            libc.kill(taking.pid, libc.SIGUSR1)
            libc.tgkill(taking.pid, taking.pid, libc.SIGUSR2)
            queue(taking.pid, NEWS, number)
            found = signals.state(taking.pid)
            (thread,) = found.threads
            waits = found.pending - set(STOPPING)  # all is blocked here: Ctrl-C waits, too, also where it is ignored
            expect((waits, thread.pending), ({libc.SIGUSR1, NEWS}, {libc.SIGUSR2}), "what waits")
            expect((found.pending | thread.pending) - thread.blocked, set(), "what of it is not blocked")
            queue(taking.pid, READY)
            expect(libc.sigwaitinfo({DONE}).si_value, number, "answer")

        return median_time(look)

    looking = exchange.fork(looks)
    exchange.finish(looking, taking)
    return looking.result()
