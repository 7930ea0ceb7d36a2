"""svipc(7): shared memory segments, message queues and semaphore sets."""

from __future__ import annotations

import os
import secrets
import sys
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.cli.exchange import ROUNDS, SIZE, Exchange, MismatchError, Side, UnavailableError, expect, median_time
from unixipc.cli.exchange import messages as data
from unixipc.cli.tour import Family

if TYPE_CHECKING:
    from collections.abc import Callable

family = Family()

_BLOCK = 4096

# Messages of several types, sent in this order.
_TYPED = ((3, b"three"), (1, b"one"), (5, b"five"), (2, b"two"), (4, b"four"))
_ALL_SENT, _ALL_RECEIVED = 100, 101
_TYPED_ROUNDS = 20


@family.mechanism(
    "System V shared memory", calls="shmget shmat shmdt shmctl", travels=f"{ROUNDS} x {_BLOCK} bytes each way"
)
def shared_memory(exchange: Exchange) -> float:
    """Share a segment that each child attaches by its id."""
    segment = libc.shmget(libc.IPC_PRIVATE, 2 * _BLOCK, libc.IPC_CREAT | 0o600)
    exchange.defer(libc.shmctl, segment, libc.IPC_RMID)
    exchange.object = f"shmid {segment}"
    seconds = exchange.through_memory(lambda: libc.shmat(segment), libc.shmdt, _BLOCK)
    status = libc.shmctl(segment, libc.IPC_STAT)
    expect((status.shm_nattch, status.shm_cpid), (0, os.getpid()), "shm_nattch and shm_cpid")
    return seconds


def _queue(exchange: Exchange) -> int:
    queue = libc.msgget(libc.IPC_PRIVATE, libc.IPC_CREAT | 0o600)
    exchange.defer(libc.msgctl, queue, libc.IPC_RMID)
    exchange.object = f"msqid {queue}"
    return queue


def _side(queue: int, sends: int, receives: int) -> Side:
    return Side(lambda data: libc.msgsnd(queue, sends, data), lambda: libc.msgrcv(queue, SIZE, receives)[1])


@family.mechanism("System V messages", calls="msgget msgsnd msgrcv msgctl", travels=f"{ROUNDS} x {SIZE} bytes each way")
def messages(exchange: Exchange) -> float:
    """Use one queue for both directions: the type says whom a message is for."""
    queue = _queue(exchange)
    seconds = exchange.ping_pong(lambda: _side(queue, 1, 2), lambda: _side(queue, 2, 1))
    expect(libc.msgctl(queue, libc.IPC_STAT).msg_qnum, 0, "msg_qnum")
    return seconds


def _typed(exchange: Exchange, receive_all: Callable[[int], None]) -> float:
    """Have one child send the typed messages, and the other receive them once all are there."""
    queue = _queue(exchange)

    def sends() -> float:
        def send_all(_: int) -> None:
            for mtype, text in _TYPED:
                libc.msgsnd(queue, mtype, text)
            libc.msgsnd(queue, _ALL_SENT, b"")
            libc.msgrcv(queue, 0, _ALL_RECEIVED)

        return median_time(send_all, _TYPED_ROUNDS)

    def receives() -> None:
        for _ in range(_TYPED_ROUNDS):
            libc.msgrcv(queue, 0, _ALL_SENT)
            receive_all(queue)
            libc.msgsnd(queue, _ALL_RECEIVED, b"")

    sending, receiving = exchange.fork(sends), exchange.fork(receives)
    exchange.finish(sending, receiving)
    return sending.result()


@family.mechanism(
    "messages by type",
    calls="msgget msgsnd msgrcv msgctl",
    travels=f"{_TYPED_ROUNDS} x {len(_TYPED)} messages, reordered",
)
def messages_by_type(exchange: Exchange) -> float:
    """Receive by type: a negative one means the lowest, MSG_EXCEPT any other, 0 the oldest."""

    def receive_all(queue: int) -> None:
        received = [
            libc.msgrcv(queue, SIZE, -3),
            libc.msgrcv(queue, SIZE, 3, libc.MSG_EXCEPT),
            libc.msgrcv(queue, SIZE, -3),
            libc.msgrcv(queue, SIZE, 4),
            libc.msgrcv(queue, SIZE, 0),
        ]
        expected = [(1, b"one"), (5, b"five"), (2, b"two"), (4, b"four"), (3, b"three")]
        expect(received, expected, "messages by type")

    return _typed(exchange, receive_all)


@family.mechanism(
    "MSG_COPY",
    calls="msgget msgsnd msgrcv msgctl",
    travels=f"{_TYPED_ROUNDS} x {len(_TYPED)} messages, twice",
)
def message_copies(exchange: Exchange) -> float:
    """Read messages by their position; they stay."""

    def receive_all(queue: int) -> None:
        positions = range(len(_TYPED))
        copies = [libc.msgrcv(queue, SIZE, position, libc.MSG_COPY | libc.IPC_NOWAIT) for position in positions]
        expect(copies, list(_TYPED), "copies")
        expect(libc.msgctl(queue, libc.IPC_STAT).msg_qnum, len(_TYPED), "msg_qnum after copying")
        expect([libc.msgrcv(queue, SIZE) for _ in positions], copies, "messages after copying")

    return _typed(exchange, receive_all)


@family.mechanism(
    "key from a file", calls="ftok msgget msgsnd msgrcv msgctl", travels=f"{ROUNDS} x {SIZE} bytes each way"
)
def key_from_a_file(exchange: Exchange) -> float:
    """Find the queue by the key of a file."""
    path = exchange.path("key")
    path.touch()

    def create() -> tuple[int, int]:
        for proj_id in range(1, 256):  # ftok(3) promises no unique key: it can be somebody else's
            try:
                return libc.msgget(libc.ftok(path, proj_id), libc.IPC_CREAT | libc.IPC_EXCL | 0o600), proj_id
            except FileExistsError:
                continue
        raise MismatchError(f"ftok({path}) gives no free key")

    queue, proj_id = create()
    exchange.defer(libc.msgctl, queue, libc.IPC_RMID)
    exchange.object = f"key {libc.ftok(path, proj_id):#x}"

    def side(sends: int, receives: int) -> Side:
        found = libc.msgget(libc.ftok(path, proj_id), 0)
        expect(found, queue, "msqid")
        return _side(found, sends, receives)

    return exchange.ping_pong(lambda: side(1, 2), lambda: side(2, 1))


# What a program does that was started on its own, and knows nothing but the key.
_ANSWERING = f"""
import sys
from unixipc import libc
queue = libc.msgget(int(sys.argv[1]), 0)
for _ in range({ROUNDS}):
    libc.msgsnd(queue, 2, libc.msgrcv(queue, {SIZE}, 1)[1].swapcase())
"""


@family.mechanism(
    "an unrelated program", calls="msgget msgsnd msgrcv msgctl", travels=f"{ROUNDS} x {SIZE} bytes each way"
)
def unrelated_program(exchange: Exchange) -> float:
    """Talk to a program that was not forked from this one: it finds the queue by its key."""
    key = secrets.randbits(30) + 1
    queue = libc.msgget(key, libc.IPC_CREAT | libc.IPC_EXCL | 0o600)
    exchange.defer(libc.msgctl, queue, libc.IPC_RMID)
    exchange.object = f"key {key:#x}"

    def asks() -> float:
        questions = data("ping")

        def ask(number: int) -> None:
            libc.msgsnd(queue, 1, questions[number])
            expect(libc.msgrcv(queue, SIZE, 2)[1], questions[number].swapcase(), f"answer {number}")

        return median_time(ask)

    def answers() -> None:
        os.execv(sys.executable, [sys.executable, "-c", _ANSWERING, str(key)])  # noqa: S606 - as it is

    exchange.fork(answers)
    asking = exchange.fork(asks)
    exchange.finish(asking)
    return asking.result()


@family.mechanism("messages in time", calls="msgget msgsnd msgrcv msgctl", travels="20 timeouts of 1 ms, 1 message")
def messages_in_time(exchange: Exchange) -> float:
    """Wait with a timeout, which the kernel does not have, in a process that blocks every signal."""
    queue = _queue(exchange)

    def waits() -> float:
        def wait(_: int) -> None:
            try:
                libc.msgrcv(queue, SIZE, timeout=0.001)
            except TimeoutError:
                return
            except BlockingIOError as error:
                raise UnavailableError(str(error.strerror)) from error
            raise MismatchError("there was a message, and none had been sent")

        seconds = median_time(wait, 20)
        libc.msgsnd(queue, 7, b"in time", timeout=1)
        expect(libc.msgrcv(queue, SIZE, timeout=1), (7, b"in time"), "message")
        return seconds

    waiting = exchange.fork(waits)
    exchange.finish(waiting)
    return waiting.result()


def _set(exchange: Exchange, *values: int) -> int:
    semaphores = libc.semget(libc.IPC_PRIVATE, len(values), libc.IPC_CREAT | 0o600)
    exchange.defer(libc.semctl, semaphores, 0, libc.IPC_RMID)
    exchange.object = f"semid {semaphores}"
    libc.semctl(semaphores, 0, libc.SETALL, values)
    return semaphores


@family.mechanism("System V semaphores", calls="semget semctl semop", travels=f"{ROUNDS} turns each way")
def semaphores(exchange: Exchange) -> float:
    """Take turns: each side acquires its semaphore, and releases the other's."""
    turns = _set(exchange, 0, 0)

    def asks() -> float:
        def ask(_: int) -> None:
            libc.semop(turns, [(0, 1)])
            libc.semop(turns, [(1, -1)])

        return median_time(ask)

    def answers() -> None:
        for _ in range(ROUNDS):
            libc.semop(turns, [(0, -1)])
            libc.semop(turns, [(1, 1)])

    asking, answering = exchange.fork(asks), exchange.fork(answers)
    exchange.finish(asking, answering)
    expect(libc.semctl(turns, 0, libc.GETALL), [0, 0], "values")
    return asking.result()


@family.mechanism(
    "atomic operations", calls="semget semctl semop semtimedop", travels=f"{ROUNDS} moves of 2 and 1, undone"
)
def atomic_operations(exchange: Exchange) -> float:
    """Move between semaphores in one step; what a process has not given back by its end is undone."""
    stock = _set(exchange, 7, 5, 0)
    undo = libc.SEM_UNDO

    def moves() -> float:
        def move(_: int) -> None:
            libc.semop(stock, [(0, -2, undo), (1, -1, undo), (2, 3, undo)])
            libc.semop(stock, [(2, -3, undo), (0, 2, undo), (1, 1, undo)])

        seconds = median_time(move)
        libc.semop(stock, [(0, -7, undo), (2, 7, undo)])
        try:
            libc.semtimedop(stock, [(0, -1), (1, -1)], 0.001)
        except BlockingIOError:
            return seconds
        raise MismatchError("an operation was done that had to wait")

    moving = exchange.fork(moves)
    exchange.finish(moving)
    expect(libc.semctl(stock, 0, libc.GETALL), [7, 5, 0], "values")
    return moving.result()
