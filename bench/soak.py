"""Whether anything grows: `python -m bench.soak [--cycles N] [--seed N]`.

Each cycle makes a kernel object, uses it, closes it and removes it. All kinds take turns in random order, a batch of
each in every round, and what the process has before and after a batch is compared: so growth has a name. It is added
up after a quarter of the rounds, when all caches are filled. The exit status is 1 when it is beyond the LIMITS.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import shutil
import socket
import sys
import tempfile
import time
import warnings
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from unixipc import inventory, libc, memory, pipes, posix, processes, signals, sockets, sysv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from random import Random

SIGNAL = libc.SIGRTMIN
NAME = f"/unixipc-soak-{os.getpid()}"
FOLDER = Path(tempfile.gettempdir()) / NAME[1:]
READ_WRITE = libc.PROT_READ | libc.PROT_WRITE
COUNTED = libc.mmap(None, libc.PAGE_SIZE, READ_WRITE, libc.MAP_SHARED | libc.MAP_ANONYMOUS)

LIMITS = {
    "descriptors": 0,
    "mappings": 0,  # of files, and shared ones
    "objects": 0,  # System V and POSIX objects, timers, files of ours, children and threads
    "signals": 0,  # pending ones, blocked ones, and dispositions
    "virtual": 8 << 20,  # of the allocators' arenas a few: they come whole
    "private": 1 << 20,
    "resident": 2 << 20,
    # What malloc() has given away, less than a byte a cycle in a million. The interpreter rebuilds its table of
    # interned strings once, with twice the places, when strings that come and go have used them up: 532 KiB.
    "heap": 640 << 10,
    "blocks": 1000,  # of Python's allocator: what one kind leaves in a cache, another takes out of it
}

COLUMNS = tuple(LIMITS)
TOGETHER = "all together"


@dataclass(frozen=True, slots=True)
class Kind:
    """Objects of one kind, and how often they have their turn: less often what takes longer, most of all a fork."""

    name: str
    cycle: Callable[[Random], object]
    share: int = 100


KINDS: list[Kind] = []


def kind(name: str, share: int = 100) -> Callable[[Callable[[Random], object]], Callable[[Random], object]]:
    """Make a function the cycle of a kind: whatever it makes is to be gone when it returns."""

    def register(cycle: Callable[[Random], object]) -> Callable[[Random], object]:
        KINDS.append(Kind(name, cycle, share))
        return cycle

    return register


@contextmanager
def refused(*errors: type[BaseException]) -> Iterator[None]:
    """See that the block raises."""
    try:
        yield
    except errors:
        return
    raise AssertionError("it was not refused")


@contextmanager
def mapped(length: int, flags: int, fd: int = -1) -> Iterator[libc.Mapping]:
    """Map memory for a block."""
    memory = libc.mmap(None, length, READ_WRITE, flags, fd)
    try:
        yield memory
    finally:
        libc.munmap(memory)


# -- System V --


@kind("sysv.SharedMemory")
def _segment(chance: Random) -> None:
    size = chance.randrange(1, 65536)
    with sysv.SharedMemory.create(size) as memory:
        with memory.attach(readonly=True) as again, memoryview(memory) as view, memoryview(again) as other:
            view[-1] = 7
            assert other[size - 1] == 7
        memory.remove()


@kind("sysv.MessageQueue")
def _sysv_queue(chance: Random) -> None:
    with sysv.MessageQueue.create(chance.randrange(1, 2**31)) as queue:
        texts = [(mtype, bytes(chance.randrange(256))) for mtype in (3, 1, 2)]
        queue.send_many(texts)
        queue.receive(up_to=3)
        queue.receive_into(bytearray(256))
        queue.peek()
        queue.receive(timeout=1)
        with suppress(TimeoutError):
            queue.receive(timeout=0)
        queue.remove()


@kind("sysv.SemaphoreSet")
def _set(chance: Random) -> None:
    with sysv.SemaphoreSet.create([3, 2, 1], chance.randrange(1, 2**31)) as semaphores:
        semaphores.operate((0, -2), (2, 1), undo=True)
        with semaphores[1].held(timeout=1):
            assert semaphores.values == [1, 1, 2]
        semaphores.status()
        semaphores.remove()


@kind("sysv.Semaphore, opened")
def _sysv_semaphore(chance: Random) -> None:
    key = chance.randrange(1, 2**31)
    with sysv.Semaphore.create(1, key) as semaphore, sysv.Semaphore.open(key) as same:
        with same.held():
            assert semaphore.value == 0
        with suppress(TimeoutError):
            semaphore.acquire(2, timeout=0)
        same.remove()


@kind("libc, System V")
def _sysv_calls(chance: Random) -> None:
    segment = libc.shmget(libc.IPC_PRIVATE, 4096, libc.IPC_CREAT | 0o600)
    attachment = libc.shmat(segment)
    libc.shmctl(segment, libc.IPC_RMID)
    libc.shmdt(attachment)
    queue = libc.msgget(libc.IPC_PRIVATE, libc.IPC_CREAT | 0o600)
    libc.msgsnd(queue, 1, b"data")
    libc.msgrcv(queue, 4)
    libc.msgctl(queue, libc.IPC_RMID)
    semaphores = libc.semget(libc.IPC_PRIVATE, 2, libc.IPC_CREAT | 0o600)
    libc.semctl(semaphores, 0, libc.SETALL, [1, 1])
    libc.semop(semaphores, [(0, -1, libc.SEM_UNDO), (1, 1)])
    libc.semctl(semaphores, 0, libc.IPC_RMID)


# -- POSIX --


@kind("posix.SharedMemory", share=50)
def _memory(chance: Random) -> None:
    size = chance.randrange(1, 65536)
    with posix.SharedMemory.create(NAME, size) as memory, posix.SharedMemory.open(NAME) as same:
        memory.resize(size + 8192)
        with memoryview(memory) as view, memoryview(same) as other:
            view[0] = 7
            assert other[0] == 7
        memory.unlink()


@kind("posix.MessageQueue", share=50)
def _posix_queue(chance: Random) -> None:
    with posix.MessageQueue.create(NAME, max_messages=4, max_size=64) as queue:
        queue.notify(SIGNAL, 5)
        queue.send(bytes(chance.randrange(64)), priority=3)
        signals.wait({SIGNAL}, 1)
        queue.receive(timeout=1)
        queue.send_many([(b"one", 1), (b"two", 2)])
        queue.receive_into(bytearray(64))
        queue.receive_many(4, timeout=0)
        with suppress(TimeoutError):
            queue.receive(timeout=0)
        queue.unlink()


@kind("posix.Semaphore")
def _posix_semaphore(chance: Random) -> None:
    with posix.Semaphore.create(NAME) as semaphore, posix.Semaphore.open(NAME) as same:
        with semaphore.held(timeout=1), suppress(TimeoutError):
            same.acquire(timeout=0)
        semaphore.unlink()


@kind("posix.UnnamedSemaphore")
def _unnamed(chance: Random) -> None:
    with mapped(4096, libc.MAP_SHARED | libc.MAP_ANONYMOUS) as memory:
        semaphore = posix.UnnamedSemaphore.create(memory, 0, offset=64)
        semaphore.release()
        semaphore.acquire()
        semaphore.destroy()


@kind("libc, POSIX")
def _posix_calls(chance: Random) -> None:
    sem = libc.sem_open(NAME, libc.O_CREAT | libc.O_EXCL, 0o600, 1)
    libc.sem_wait(sem)
    libc.sem_close(sem)
    libc.sem_unlink(NAME)
    mqdes = libc.mq_open(NAME, libc.O_CREAT | libc.O_EXCL | libc.O_RDWR, 0o600, libc.MqAttr(mq_maxmsg=2, mq_msgsize=8))
    libc.mq_send(mqdes, b"data")
    libc.mq_receive(mqdes, 8)
    libc.mq_close(mqdes)
    libc.mq_unlink(NAME)


@kind("dropped without close()", share=20)
def _dropped(chance: Random) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        memory: object = posix.SharedMemory.create(NAME, 4096)
        libc.shm_unlink(NAME)
        queue: object = posix.MessageQueue.create(NAME, max_messages=1, max_size=8)
        libc.mq_unlink(NAME)
        semaphore: object = posix.Semaphore.create(NAME)
        libc.sem_unlink(NAME)
        segment = sysv.SharedMemory.create(4096)
        segment.remove()
        mapping: object = libc.mmap(None, 4096, READ_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS)
        timer: object = signals.Timer(SIGNAL)
        file: object = signals.SignalFile({SIGNAL})
        del memory, queue, semaphore, segment, mapping, timer, file


@kind("errors", share=20)
def _errors(chance: Random) -> None:
    with posix.SharedMemory.create(NAME, 1) as memory, refused(FileExistsError):
        posix.SharedMemory.create(NAME, 1)
    memory.unlink()
    with refused(OSError):
        posix.SharedMemory.create(NAME, 1 << 60)
    with refused(FileNotFoundError):
        posix.SharedMemory.open(NAME)
    with refused(FileNotFoundError):
        posix.Semaphore.open(NAME)
    with refused(OSError):
        posix.MessageQueue.create(NAME, max_messages=1, max_size=1 << 40)
    with refused(OSError):
        sysv.SharedMemory.create(1 << 62)
    with refused(OSError):
        sysv.MessageQueue.from_id(0x7FFFFFF0).send(b"")
    with refused(FileNotFoundError):
        sysv.SemaphoreSet.open(0x7FFFFFF1)
    with refused(OSError):
        libc.mmap(None, 1 << 60, READ_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS)
    with refused(OSError):
        signals.Timer(1000)


# -- mappings --


@kind("anonymous mapping")
def _anonymous(chance: Random) -> None:
    flags = chance.choice((libc.MAP_SHARED, libc.MAP_PRIVATE)) | libc.MAP_ANONYMOUS
    with mapped(libc.PAGE_SIZE * 4, flags) as memory:
        with memoryview(memory) as view:
            view[libc.PAGE_SIZE] = 7
        libc.mprotect(memory, libc.PROT_READ, offset=libc.PAGE_SIZE, length=libc.PAGE_SIZE)
        libc.mprotect(memory, READ_WRITE)
        libc.madvise(memory, libc.MADV_DONTNEED)
        libc.mincore(memory)
        libc.mremap(memory, libc.PAGE_SIZE * chance.randrange(1, 9), libc.MREMAP_MAYMOVE)


@kind("mapping of a file")
def _mapped_file(chance: Random) -> None:
    path = FOLDER / "mapped"
    path.write_bytes(bytes(8192))
    with path.open("r+b") as file, mapped(8192, libc.MAP_SHARED, file.fileno()) as memory:
        with memoryview(memory) as view:
            view[:4] = b"data"
        libc.msync(memory, libc.MS_ASYNC)
    path.unlink()


@kind("mapping of a memfd")
def _memfd(chance: Random) -> None:
    fd = os.memfd_create("soak")
    os.truncate(fd, 8192)
    with mapped(8192, libc.MAP_SHARED, fd) as memory:
        os.close(fd)
        libc.mlock(memory)
        libc.munlock(memory)


# -- pipes --


@kind("pipe")
def _pipe(chance: Random) -> None:
    reads, writes = libc.pipe(libc.O_CLOEXEC)
    libc.write(writes, b"data")
    libc.read(reads, 4)
    os.close(reads)
    os.close(writes)


@kind("FIFO")
def _fifo(chance: Random) -> None:
    path = FOLDER / "fifo"
    libc.mkfifo(path, 0o600)
    end = os.open(path, os.O_RDWR)
    libc.write(end, b"data")
    libc.read(end, 4)
    os.close(end)
    path.unlink()


# -- signals --


@kind("signals.Timer")
def _timer(chance: Random) -> None:
    with signals.Timer(SIGNAL, chance.randrange(100)) as timer:
        timer.start(0)
        assert signals.wait({SIGNAL}, 1).si_timerid == timer.id
        timer.start(60)


@kind("signals.SignalFile", share=50)
def _signal_file(chance: Random) -> None:
    with signals.SignalFile({SIGNAL}) as file:
        signals.queue(os.getpid(), SIGNAL, 7)
        assert file.receive(timeout=1).si_value == 7


@kind("handlers in Python")
def _handler(chance: Random) -> None:
    came: list[object] = []

    def handler(signum: int, info: libc.Siginfo) -> None:
        came.append(info.si_value)

    with signals.handling({SIGNAL}, handler):
        signals.queue(os.getpid(), SIGNAL, 7)
        libc.sigprocmask(libc.SIG_UNBLOCK, {SIGNAL})
        libc.sigprocmask(libc.SIG_BLOCK, {SIGNAL})
    assert came == [7]


@kind("handlers in C")
def _native(chance: Random) -> None:
    count = libc.CountHandler(COUNTED)  # the memory of a counter stays for good: `counting` takes another each time
    with signals.handling({SIGNAL}, count):
        before = count.value
        signals.queue(os.getpid(), SIGNAL, 1)
        libc.sigprocmask(libc.SIG_UNBLOCK, {SIGNAL})
        libc.sigprocmask(libc.SIG_BLOCK, {SIGNAL})
        assert count.value == before + 1


@kind("signals.receiver", share=50)
def _receiver(chance: Random) -> None:
    with signals.receiver({SIGNAL}) as received:
        signals.queue(os.getpid(), SIGNAL, 7)
        libc.sigprocmask(libc.SIG_UNBLOCK, {SIGNAL})
        assert received.receive(timeout=1).si_value == 7
        libc.sigprocmask(libc.SIG_BLOCK, {SIGNAL})


# -- memory, pipes, sockets --


@kind("memory.Mapping", share=50)
def _mapping(chance: Random) -> None:
    data, size = chance.randbytes(50), libc.PAGE_SIZE * chance.randrange(1, 5)
    with memory.Mapping.anonymous(size, shared=chance.random() < 0.5, guarded=chance.random() < 0.5) as mapping:
        memoryview(mapping)[:50] = data
        mapping.protect(libc.PROT_READ, slice(0, libc.PAGE_SIZE))
        assert bytes(memoryview(mapping)[:50]) == data


@kind("memory.MemoryFile", share=50)
def _memory_file(chance: Random) -> None:
    data = chance.randbytes(50)
    with memory.MemoryFile.create(libc.PAGE_SIZE) as file:
        with file.map(access="write") as mapping:
            memoryview(mapping)[:50] = data
        file.seal(libc.F_SEAL_WRITE)
        with file.map() as mapping:
            assert bytes(memoryview(mapping)[:50]) == data


@kind("pipes.pipe")
def _pipe_ends(chance: Random) -> None:
    data = chance.randbytes(chance.randrange(1, 1000))
    with pipes.pipe(packets=chance.random() < 0.5) as (reader, writer):
        writer.write(data, timeout=1)
        assert reader.read(timeout=1) == data


@kind("pipes.Fifo", share=50)
def _fifo_object(chance: Random) -> None:
    data = chance.randbytes(50)
    with pipes.Fifo.create(FOLDER / "fifo object") as fifo, fifo.ends() as (reader, writer):
        writer.write(data)
        assert reader.read_exactly(50) == data
        fifo.unlink()


@kind("pipes.pipeline", share=1)
def _pipeline(chance: Random) -> None:
    assert pipes.run("cat", input=b"x", timeout=10).output == b"x"


@kind("sockets.pair", share=50)
def _sockets(chance: Random) -> None:
    data = chance.randbytes(50)
    kind = chance.choice([socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET])
    ours, theirs = sockets.pair(kind)
    with ours, theirs:
        theirs.send_message(data, descriptors=[ours.fileno(), theirs.fileno()])
        with ours.receive_message(100, max_descriptors=2) as message:
            assert message.data == data


@kind("sockets.listen", share=50)
def _listen(chance: Random) -> None:
    address = sockets.abstract(NAME) if chance.random() < 0.5 else FOLDER / "socket"
    with sockets.listen(address) as listening, sockets.connect(address) as ours, listening.accept()[0] as theirs:
        ours.send_message(b"x")
        assert theirs.receive_message(1).data == b"x"
        assert ours.peer_credentials().pid == os.getpid()
        if isinstance(address, Path):
            listening.unlink()


# -- processes --


def _use_and_return(queue: sysv.MessageQueue, data: bytes) -> bytes:
    queue.send(data)
    return data


@kind("processes.fork", share=1)
def _child(chance: Random) -> None:
    data = chance.randbytes(chance.randrange(1000))
    with sysv.MessageQueue.create() as queue, processes.fork(_use_and_return, queue, data) as child:
        assert queue.receive(timeout=10) == (1, data)
        assert child.result() == data
        queue.remove()


@kind("children that are killed", share=1)
def _killed(chance: Random) -> None:
    with processes.fork(libc.pause):
        pass


# -- what the process has --


class _Mallinfo(ctypes.Structure):
    """Struct mallinfo2 of mallinfo(3)."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "top",
        )
    ]


def _heap() -> Callable[[], int]:
    call = getattr(ctypes.CDLL(None), "mallinfo2", None)  # glibc 2.33
    if call is None:
        return lambda: 0
    call.restype = _Mallinfo
    return lambda: int((told := call()).uordblks + told.hblkhd)


heap_in_use = _heap()


def _memory_of_process() -> dict[str, int]:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    sizes = {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":") for line in lines)}
    virtual = int(Path("/proc/self/statm").read_text().split()[0]) * libc.PAGE_SIZE
    # What is clean becomes private and shared again with every program that has the same libraries.
    return {"virtual": virtual, "private": sizes["Private_Dirty"], "resident": sizes["Rss"]}


def _mappings() -> int:
    """Count those of files and the shared ones: of the others several can be one line, and `virtual` has them."""
    lines = [line.split(None, 5) for line in Path("/proc/self/maps").read_text().splitlines()]
    return sum(permissions[3] == "s" or inode != "0" for _, permissions, _, _, inode, *_ in lines)


def _objects() -> int:
    """Count the System V objects of this IPC namespace, and whatever else is this process's."""
    there = len(inventory.segments()) + len(inventory.message_queues()) + len(inventory.semaphore_sets())
    there += sum(NAME[1:] in name for name in inventory.memory_names()) + len(list(FOLDER.iterdir()))
    with suppress(FileNotFoundError):  # quicker than a list of all queues, and there is but this name
        libc.mq_close(libc.mq_open(NAME, libc.O_RDONLY))
        there += 1
    there += Path("/proc/self/timers").read_text().count("ID:")
    tasks = list(Path("/proc/self/task").iterdir())
    return there + len(tasks) + sum(len((task / "children").read_text().split()) for task in tasks)


def _signals() -> int:
    caught = [libc.sigaction(signum).handler for signum in libc.SignalSet.full() - {libc.SIGKILL, libc.SIGSTOP}]
    return len(libc.sigpending()) + len(libc.sigprocmask(libc.SIG_BLOCK)) + sum(map(callable, caught))


def sample() -> Counter[str]:
    """Tell what the process has now, by the names of LIMITS."""
    gc.collect()
    blocks, heap = sys.getallocatedblocks(), heap_in_use()
    there = Counter(_memory_of_process())
    descriptors = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - with the one that lists
    there.update(descriptors=descriptors, mappings=_mappings(), objects=_objects(), signals=_signals())
    there.update(blocks=blocks, heap=heap)
    return there


# -- the run --


@dataclass(slots=True)
class Growth:
    """What became of a kind: its cycles, their time, and by how much all grew after the warm-up."""

    cycles: int = 0
    seconds: float = 0
    by: Counter[str] = field(default_factory=Counter)

    def beyond(self) -> list[str]:
        """Name what grew beyond its limit."""
        return [f"{column} +{self.by[column]:,}" for column in COLUMNS if self.by[column] > LIMITS[column]]


def _grown(before: Counter[str], after: Counter[str]) -> dict[str, int]:
    return {column: after[column] - before[column] for column in COLUMNS}


def run(kinds: Sequence[Kind], cycles: int, rounds: int, seed: int) -> dict[str, Growth]:
    """Have the kinds take turns for so many cycles in all, and tell by how much each made the process grow."""
    chance = random.Random(seed)  # noqa: S311 - it has to be repeatable
    share = cycles / sum(kind.share for kind in kinds)
    growths = {kind.name: Growth() for kind in kinds}
    before = start = sample()
    for turn in range(rounds):
        if turn == rounds // 4:
            start = before
        for kind in chance.sample(list(kinds), len(kinds)):
            growth = growths[kind.name]
            batch = round(share * kind.share * (turn + 1) / rounds) - growth.cycles
            began = time.perf_counter()
            for _ in range(batch):
                kind.cycle(chance)
            growth.seconds += time.perf_counter() - began
            growth.cycles += batch
            after = sample()
            if turn >= rounds // 4:
                growth.by.update(_grown(before, after))
            before = after
        if sys.stderr.isatty():
            print(
                f"\r{turn + 1} of {rounds} rounds", end="" if turn + 1 < rounds else "\n", file=sys.stderr, flush=True
            )
    total = Growth(
        sum(growth.cycles for growth in growths.values()), sum(growth.seconds for growth in growths.values())
    )
    total.by.update(_grown(start, before))
    return growths | {TOGETHER: total}


@contextmanager
def surroundings() -> Iterator[None]:
    """Have the signal blocked, a folder for files, and where that is allowed objects that nobody else counts."""
    FOLDER.mkdir(mode=0o700)
    mask = libc.sigprocmask(libc.SIG_BLOCK, {SIGNAL})
    try:
        yield
    finally:
        libc.sigprocmask(libc.SIG_SETMASK, mask)
        shutil.rmtree(FOLDER)


def show(growths: dict[str, Growth]) -> None:
    """Print the table."""
    print(f"{'growth after warm-up':25} {'cycles':>9} {'us each':>8}", *(f"{column:>11}" for column in COLUMNS))
    for name, growth in growths.items():
        each = growth.seconds / max(growth.cycles, 1) * 1_000_000
        cells = (f"{growth.by[column]:>+11,}" for column in COLUMNS)
        print(f"{name:25} {growth.cycles:>9,} {each:>8.1f}", *cells, flush=True)


def main() -> int:
    """Run it, and give the exit status."""
    parser = argparse.ArgumentParser(description="Make and remove objects, and see whether anything grows.")
    parser.add_argument("--cycles", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with suppress(PermissionError):
        libc.unshare(libc.CLONE_NEWIPC)
    with surroundings():
        growths = run(KINDS, arguments.cycles, arguments.rounds, arguments.seed)
    show(growths)
    culprits = {name: beyond for name, growth in growths.items() if (beyond := growth.beyond())}
    for name, beyond in culprits.items():
        print(f"{name}: {', '.join(beyond)}", file=sys.stderr)
    return 1 if culprits else 0


if __name__ == "__main__":
    sys.exit(main())
