"""mq_overview(7), sem_overview(7) and shm_overview(7): objects with names."""

from __future__ import annotations

import os
import secrets
import time
from functools import partial
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.cli.exchange import (
    ROUNDS,
    SIZE,
    Exchange,
    MismatchError,
    Side,
    expect,
    median_time,
)
from unixipc.cli.mechanisms.signals import NEWS, queue
from unixipc.cli.tour import Family

if TYPE_CHECKING:
    from collections.abc import Callable

family = Family()

_BLOCK = 4096
_NEW = libc.O_CREAT | libc.O_EXCL | libc.O_RDWR
_ATTR = libc.MqAttr(mq_maxmsg=4, mq_msgsize=SIZE)
_SOON, _LATER = 0.001, 60
_FEW_ROUNDS = 20

# Messages of several priorities, sent in this order, and the order in which they come.
_SENT = ((b"low", 0), (b"first high", 9), (b"middle", 5), (b"second high", 9))
_COMING = [(b"first high", 9), (b"second high", 9), (b"middle", 5), (b"low", 0)]


def _name(exchange: Exchange, unlink: Callable[[str], None], kind: str = "") -> str:
    """Make up a name, which is removed at the end."""
    name = f"/unixipc-{os.getpid()}-{secrets.token_hex(4)}{kind}"
    exchange.object = exchange.object or name
    exchange.defer(unlink, name)
    return name


def _queue(exchange: Exchange) -> str:
    name = _name(exchange, libc.mq_unlink)
    libc.mq_close(libc.mq_open(name, _NEW, 0o600, _ATTR))
    return name


def _semaphore(exchange: Exchange, kind: str) -> str:
    name = _name(exchange, libc.sem_unlink, kind)
    libc.sem_close(libc.sem_open(name, libc.O_CREAT | libc.O_EXCL, 0o600, 0))
    return name


@family.mechanism(
    "POSIX messages",
    calls="mq_open mq_send mq_receive mq_getattr mq_close mq_unlink",
    travels=f"{ROUNDS} x {SIZE} bytes each way",
    unrelated=True,
)
def posix_messages(exchange: Exchange) -> float:
    """Use a queue for each direction, found by its name."""
    there, back = _queue(exchange), _queue(exchange)
    return exchange.ping_pong(partial(_side, there, back), partial(_side, back, there))


def _side(sends: str, receives: str) -> Side:
    out, into = libc.mq_open(sends, libc.O_WRONLY), libc.mq_open(receives, libc.O_RDONLY)

    def close() -> None:
        expect(libc.mq_getattr(into).mq_curmsgs, 0, "mq_curmsgs")
        libc.mq_close(out)
        libc.mq_close(into)

    return Side(lambda data: libc.mq_send(out, data), lambda: libc.mq_receive(into, SIZE)[0], close)


@family.mechanism(
    "messages by priority",
    calls="mq_open mq_timedsend mq_timedreceive mq_setattr mq_close mq_unlink",
    travels=f"{_FEW_ROUNDS} x {len(_SENT)} messages, reordered",
)
def messages_by_priority(exchange: Exchange) -> float:
    """Send more and more urgent messages, and receive the most urgent first."""
    there, back = _queue(exchange), _queue(exchange)

    def sends() -> float:
        out, into = libc.mq_open(there, libc.O_WRONLY), libc.mq_open(back, libc.O_RDONLY)

        def send(_: int) -> None:
            libc.mq_setattr(out, libc.MqAttr(libc.O_NONBLOCK))  # there must be room for them all
            for text, priority in _SENT:
                libc.mq_send(out, text, priority)
            libc.mq_setattr(out, libc.MqAttr())
            expect(libc.mq_timedreceive(into, SIZE, time.time() + _LATER), (b"", 0), "answer")

        return median_time(send, _FEW_ROUNDS)

    def receives() -> None:
        into, out = libc.mq_open(there, libc.O_RDONLY), libc.mq_open(back, libc.O_WRONLY)
        for _ in range(_FEW_ROUNDS):
            while libc.mq_getattr(into).mq_curmsgs < len(_SENT):
                os.sched_yield()
            expect([libc.mq_receive(into, SIZE) for _ in _SENT], _COMING, "messages by priority")
            libc.mq_timedsend(out, b"", 0, time.time() + _LATER)

    sending, receiving = exchange.fork(sends), exchange.fork(receives)
    exchange.finish(sending, receiving)
    return sending.result()


@family.mechanism(
    "message notification",
    calls="mq_open mq_notify mq_send mq_receive sigwaitinfo mq_close mq_unlink",
    travels=f"{_FEW_ROUNDS} signals with their value and sender",
)
def message_notification(exchange: Exchange) -> float:
    """Be told by a signal that a message has come to the empty queue."""
    name = _queue(exchange)
    told = exchange.turn()

    def listens() -> None:
        queue(os.getpid(), NEWS, 0)  # where no signal can be queued, mq_notify() would be silent
        libc.sigwaitinfo({NEWS})
        mqdes = libc.mq_open(name, libc.O_RDONLY)
        for number in range(_FEW_ROUNDS):
            libc.mq_notify(mqdes, libc.Sigevent(libc.SIGEV_SIGNAL, NEWS, number))
            told.give()
            info = libc.sigwaitinfo({NEWS})
            text, _ = libc.mq_receive(mqdes, SIZE)
            expect((info.si_code, info.si_value, info.si_pid), (libc.SI_MESGQ, number, int(text)), "what was told")
        libc.mq_close(mqdes)
        told.give()

    def sends() -> float:
        mqdes = libc.mq_open(name, libc.O_WRONLY)

        def send(_: int) -> None:
            libc.mq_send(mqdes, str(os.getpid()).encode())
            told.take()

        told.take()
        seconds = median_time(send, _FEW_ROUNDS)
        libc.mq_close(mqdes)
        return seconds

    listening, sending = exchange.fork(listens), exchange.fork(sends)
    exchange.finish(listening, sending)
    return sending.result()


def _takes_turns(exchange: Exchange, ends: Callable[[], tuple[libc.Sem, libc.Sem]]) -> float:
    """Have each of two processes wait for its semaphore, and post the other's."""

    def asks() -> float:
        there, back = ends()

        def ask(_: int) -> None:
            libc.sem_post(there)
            libc.sem_wait(back)

        seconds = median_time(ask)
        _expect_none(there, back)
        return seconds

    asking, answering = exchange.fork(asks), exchange.other(partial(_answer_turns, ends))
    exchange.finish(asking, answering)
    return asking.result()


def _answer_turns(ends: Callable[[], tuple[libc.Sem, libc.Sem]]) -> None:
    there, back = ends()
    for number in range(ROUNDS):
        when = time.monotonic() + _LATER
        libc.sem_clockwait(there, libc.CLOCK_MONOTONIC, when) if number % 2 else libc.sem_wait(there)
        libc.sem_post(back)


def _expect_none(*semaphores: libc.Sem) -> None:
    """See that nothing is left: neither now nor soon."""
    for sem in semaphores:
        expect(libc.sem_getvalue(sem), 0, "value")
        try:
            libc.sem_trywait(sem)
        except BlockingIOError:
            pass
        else:
            raise MismatchError("a semaphore was posted once too often")
        try:
            libc.sem_timedwait(sem, time.time() + _SOON)
        except TimeoutError:
            continue
        raise MismatchError("a semaphore was posted once too often")


@family.mechanism(
    "POSIX semaphores",
    calls="sem_open sem_post sem_wait sem_clockwait sem_timedwait sem_trywait sem_getvalue sem_close sem_unlink",
    travels=f"{ROUNDS} turns each way",
    unrelated=True,
)
def posix_semaphores(exchange: Exchange) -> float:
    """Take turns by two semaphores, found by their names."""
    there, back = _semaphore(exchange, "-there"), _semaphore(exchange, "-back")
    return _takes_turns(exchange, partial(_open, there, back))


def _open(there: str, back: str) -> tuple[libc.Sem, libc.Sem]:
    return libc.sem_open(there), libc.sem_open(back)


@family.mechanism(
    "semaphores in memory",
    calls="sem_init sem_post sem_wait sem_clockwait sem_timedwait sem_trywait sem_getvalue sem_destroy mmap",
    travels=f"{ROUNDS} turns each way",
)
def semaphores_in_memory(exchange: Exchange) -> float:
    """Take turns by two semaphores in memory that the children share."""
    memory = libc.mmap(None, _BLOCK, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED | libc.MAP_ANONYMOUS)
    exchange.defer(libc.munmap, memory)
    places = libc.Sem(memory, 0), libc.Sem(memory, _BLOCK // 2)
    for place in places:
        libc.sem_init(place, 1, 0)
        exchange.defer(libc.sem_destroy, place)
    exchange.object = f"memory at {memory.address:#x}"
    return _takes_turns(exchange, lambda: places)


def _map(name: str) -> libc.Mapping:
    fd = libc.shm_open(name, libc.O_RDWR)
    memory = libc.mmap(None, 2 * _BLOCK, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED, fd)
    os.close(fd)
    return memory


def _memory(exchange: Exchange) -> str:
    name = _name(exchange, libc.shm_unlink)
    fd = libc.shm_open(name, _NEW)
    exchange.defer(os.close, fd)
    os.posix_fallocate(fd, 0, 2 * _BLOCK)
    return name


@family.mechanism(
    "POSIX shared memory",
    calls="shm_open mmap shm_unlink",
    travels=f"{ROUNDS} x {_BLOCK} bytes each way",
    unrelated=True,
)
def posix_memory(exchange: Exchange) -> float:
    """Share memory that each child finds by its name."""
    name = _memory(exchange)
    return exchange.through_memory(partial(_map, name), libc.munmap, _BLOCK)
