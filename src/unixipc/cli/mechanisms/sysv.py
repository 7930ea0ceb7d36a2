"""svipc(7): shared memory segments and message queues."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from unixipc import libc
from unixipc.cli.exchange import ROUNDS, SIZE, Exchange, MismatchError, Side, expect, median_time
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
