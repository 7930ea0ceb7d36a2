"""svipc(7): shared memory segments, message queues and semaphore sets."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.cli.exchange import ROUNDS, SIZE, Exchange, MismatchError, Side, UnavailableError, expect, median_time
from unixipc.cli.tour import Family

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

family = Family()

_BLOCK = 4096
_NEW = libc.IPC_CREAT | libc.IPC_EXCL | 0o600

# Messages of several types, sent in this order.
_TYPED = ((3, b"three"), (1, b"one"), (5, b"five"), (2, b"two"), (4, b"four"))
_ALL_SENT, _ALL_RECEIVED = 100, 101
_TYPED_ROUNDS = 20


@family.mechanism(
    "System V shared memory",
    calls="shmget shmat shmdt shmctl",
    travels=f"{ROUNDS} x {_BLOCK} bytes each way",
    unrelated=True,
)
def shared_memory(exchange: Exchange) -> float:
    """Share a segment that each child attaches by its id."""
    segment = libc.shmget(libc.IPC_PRIVATE, 2 * _BLOCK, libc.IPC_CREAT | 0o600)
    exchange.defer(libc.shmctl, segment, libc.IPC_RMID)
    exchange.object = f"shmid {segment}"
    seconds = exchange.through_memory(partial(libc.shmat, segment), libc.shmdt, _BLOCK)
    status = libc.shmctl(segment, libc.IPC_STAT)
    expect((status.shm_nattch, status.shm_cpid), (0, os.getpid()), "shm_nattch and shm_cpid")
    return seconds


@family.mechanism(
    "shared memory by key",
    calls="ftok shmget shmat shmdt shmctl",
    travels=f"{ROUNDS} x {_BLOCK} bytes each way",
    unrelated=True,
)
def shared_memory_by_key(exchange: Exchange) -> float:
    """Find the segment by the key of a file."""
    file, segment = _with_key(exchange, lambda key: libc.shmget(key, 2 * _BLOCK, _NEW))
    exchange.defer(libc.shmctl, segment, libc.IPC_RMID)
    return exchange.through_memory(partial(_attach, *file), libc.shmdt, _BLOCK)


def _attach(path: Path, proj_id: int) -> libc.Attachment:
    return libc.shmat(libc.shmget(libc.ftok(path, proj_id), 0, 0))


def _with_key(exchange: Exchange, create: Callable[[int], int]) -> tuple[tuple[Path, int], int]:
    """Make a file, and an object that has its key: give what ftok() wants to know, and the object's id."""
    path = exchange.path("key")
    path.touch()
    for proj_id in range(1, 256):  # ftok(3) promises no unique key: it can be somebody else's
        key = libc.ftok(path, proj_id)
        try:
            made = create(key)
        except FileExistsError:
            continue
        exchange.object = f"key {key:#x}"
        return (path, proj_id), made
    raise MismatchError(f"ftok({path}) gives no free key")


def _queue(exchange: Exchange) -> int:
    queue = libc.msgget(libc.IPC_PRIVATE, libc.IPC_CREAT | 0o600)
    exchange.defer(libc.msgctl, queue, libc.IPC_RMID)
    exchange.object = f"msqid {queue}"
    return queue


def _side(queue: int, sends: int, receives: int) -> Side:
    return Side(lambda data: libc.msgsnd(queue, sends, data), lambda: libc.msgrcv(queue, SIZE, receives)[1])


@family.mechanism(
    "System V messages",
    calls="msgget msgsnd msgrcv msgctl",
    travels=f"{ROUNDS} x {SIZE} bytes each way",
    unrelated=True,
)
def messages(exchange: Exchange) -> float:
    """Use one queue for both directions: the type says whom a message is for."""
    queue = _queue(exchange)
    seconds = exchange.ping_pong(partial(_side, queue, 1, 2), partial(_side, queue, 2, 1))
    expect(libc.msgctl(queue, libc.IPC_STAT).msg_qnum, 0, "msg_qnum")
    return seconds


@family.mechanism(
    "messages by key",
    calls="ftok msgget msgsnd msgrcv msgctl",
    travels=f"{ROUNDS} x {SIZE} bytes each way",
    unrelated=True,
)
def messages_by_key(exchange: Exchange) -> float:
    """Find the queue by the key of a file."""
    file, queue = _with_key(exchange, lambda key: libc.msgget(key, _NEW))
    exchange.defer(libc.msgctl, queue, libc.IPC_RMID)
    return exchange.ping_pong(partial(_side_by_key, *file, 1, 2), partial(_side_by_key, *file, 2, 1))


def _side_by_key(path: Path, proj_id: int, sends: int, receives: int) -> Side:
    return _side(libc.msgget(libc.ftok(path, proj_id), 0), sends, receives)


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


def _takes_turns(exchange: Exchange, turns: int, find: Callable[[], int]) -> float:
    """Have each of two processes acquire its semaphore, and release the other's."""

    def asks() -> float:
        found = find()

        def ask(_: int) -> None:
            libc.semop(found, [(0, 1)])
            libc.semop(found, [(1, -1)])

        return median_time(ask)

    asking, answering = exchange.fork(asks), exchange.other(partial(_answer_turns, find))
    exchange.finish(asking, answering)
    expect(libc.semctl(turns, 0, libc.GETALL), [0, 0], "values")
    return asking.result()


def _answer_turns(find: Callable[[], int]) -> None:
    found = find()
    for _ in range(ROUNDS):
        libc.semop(found, [(0, -1)])
        libc.semop(found, [(1, 1)])


@family.mechanism(
    "System V semaphores", calls="semget semctl semop", travels=f"{ROUNDS} turns each way", unrelated=True
)
def semaphores(exchange: Exchange) -> float:
    """Take turns by a set that each child knows by its id."""
    turns = _set(exchange, 0, 0)
    return _takes_turns(exchange, turns, partial(int, turns))


@family.mechanism(
    "semaphores by key", calls="ftok semget semctl semop", travels=f"{ROUNDS} turns each way", unrelated=True
)
def semaphores_by_key(exchange: Exchange) -> float:
    """Find the set by the key of a file."""
    file, turns = _with_key(exchange, lambda key: libc.semget(key, 2, _NEW))
    exchange.defer(libc.semctl, turns, 0, libc.IPC_RMID)
    libc.semctl(turns, 0, libc.SETALL, [0, 0])
    return _takes_turns(exchange, turns, partial(_set_of_key, *file))


def _set_of_key(path: Path, proj_id: int) -> int:
    return libc.semget(libc.ftok(path, proj_id), 0, 0)


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
