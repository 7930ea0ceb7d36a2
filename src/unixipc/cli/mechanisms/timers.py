"""timer_create(2), setitimer(2) and sigaltstack(2): what the kernel does for one process at its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.cli.exchange import Exchange, MismatchError, UnavailableError, expect, median_time, store
from unixipc.cli.mechanisms.signals import DONE, NEWS, queue, sender_of
from unixipc.cli.tour import Family

if TYPE_CHECKING:
    from collections.abc import Callable

family = Family()

_FEW_ROUNDS = 20
_SOON = 0.001


def _ticks(exchange: Exchange, prepare: Callable[[], Callable[[int], object]]) -> float:
    """Have one child wait for its timers, and tell another of each."""

    def waits() -> float:
        tick = prepare()

        def wait(number: int) -> None:
            tick(number)
            queue(listening.pid, NEWS, number)

        return median_time(wait, _FEW_ROUNDS)

    def listens() -> list[tuple[int, int | None]]:
        infos = [libc.sigwaitinfo({NEWS}) for _ in range(_FEW_ROUNDS)]
        return [(sender_of(info), info.si_value) for info in infos]

    listening = exchange.fork(listens)
    waiting = exchange.fork(waits)
    exchange.object = exchange.object or f"pid {waiting.pid}"
    exchange.finish(waiting, listening)
    expect(listening.result(), [(waiting.pid, number) for number in range(_FEW_ROUNDS)], "what was told")
    return waiting.result()


@family.mechanism(
    "interval timer", calls="setitimer getitimer sigwaitinfo", travels=f"{_FEW_ROUNDS} signals, 1 ms apart"
)
def interval_timer(exchange: Exchange) -> float:
    """Let the one timer of a process tick; its signal does not say whose it is."""

    def prepare() -> Callable[[int], object]:
        libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(60, 60))
        before = libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(_SOON, _SOON))
        expect(before.it_interval, 60, "interval of the timer before")
        expect(libc.getitimer(libc.ITIMER_REAL).it_interval, _SOON, "interval")

        def tick(_: int) -> None:
            info = libc.sigwaitinfo({libc.SIGALRM})
            expect(info.si_code, libc.SI_KERNEL, "si_code")

        return tick

    return _ticks(exchange, prepare)


@family.mechanism(
    "POSIX timer",
    calls="timer_create timer_settime timer_gettime timer_getoverrun timer_delete sigwaitinfo",
    travels=f"{_FEW_ROUNDS} signals with their timer",
)
def posix_timer(exchange: Exchange) -> float:
    """Make a timer for each tick; its signal tells which it is, with a value."""

    def tick(number: int) -> None:
        try:
            timer = libc.timer_create(libc.CLOCK_MONOTONIC, libc.Sigevent(libc.SIGEV_SIGNAL, DONE, number))
        except BlockingIOError as error:
            raise UnavailableError(error.strerror) from error
        libc.timer_settime(timer, 0, libc.Itimerspec(0, 60))
        if not 0 < libc.timer_gettime(timer).it_value <= 60:
            raise MismatchError("the timer does not say what is left of it")
        libc.timer_settime(timer, 0, libc.Itimerspec(0, _SOON))
        info = libc.sigwaitinfo({DONE})
        received = info.si_code, info.si_timerid, info.si_value, info.si_overrun
        expect(received, (libc.SI_TIMER, timer, number, libc.timer_getoverrun(timer)), "what the timer's signal told")
        libc.timer_delete(timer)

    return _ticks(exchange, lambda: tick)


@family.mechanism("signal stack", calls="sigaltstack sigaction raise_ mmap", travels=f"{_FEW_ROUNDS} signals")
def signal_stack(exchange: Exchange) -> float:
    """Have signals caught on a stack of their own, which shows it afterwards."""

    def prepare() -> Callable[[int], object]:
        memory = libc.mmap(
            None, 4 * libc.SIGSTKSZ, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS
        )
        caught: list[int] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(caught.append, flags=libc.SA_ONSTACK))
        libc.sigprocmask(libc.SIG_UNBLOCK, {libc.SIGUSR1})

        def tick(_: int) -> None:
            store(memory, 0, bytes(len(memory)))
            before = libc.sigaltstack(libc.Stack(memory))
            libc.raise_(libc.SIGUSR1)
            expect(libc.sigaltstack(before).ss_sp, memory, "stack")
            expect(caught, [libc.SIGUSR1], "what was caught")
            caught.clear()
            with memoryview(memory) as view:
                if not any(view):
                    raise MismatchError("the signal left no trace on the stack")

        return tick

    return _ticks(exchange, prepare)
