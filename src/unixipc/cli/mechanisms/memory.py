"""memfd_create(2), its seals, and guard pages: memory as the objects of `unixipc.memory` have it."""

from __future__ import annotations

import ctypes
import os
import resource
import socket
import subprocess
import sys
import time

from unixipc import libc
from unixipc.cli.exchange import ROUNDS, SIZE, Exchange, MismatchError, expect, load, median_time, messages, store
from unixipc.cli.tour import Family
from unixipc.memory import Mapping, MemoryFile

family = Family()

_BLOCK = 4096
_SEALS = libc.F_SEAL_SEAL | libc.F_SEAL_SHRINK | libc.F_SEAL_GROW | libc.F_SEAL_WRITE
_READ_WRITE = libc.PROT_READ | libc.PROT_WRITE
_ROUNDS = 50


@family.mechanism("sealed memory files", calls="mmap munmap", travels=f"{_ROUNDS} descriptors of {_BLOCK} bytes")
def sealed_memory_files(exchange: Exchange) -> float:
    """Send files in memory to the other child, which sees by the seals that nobody can change them any more."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    exchange.defer(ours.close)
    exchange.defer(theirs.close)
    exchange.object = "memfd:tour"
    contents = messages("sealed", _BLOCK)

    def sends() -> float:
        def send(number: int) -> None:
            with MemoryFile.create(_BLOCK, name="tour") as file:
                memory = libc.mmap(None, _BLOCK, _READ_WRITE, libc.MAP_SHARED, file.fileno())
                store(memory, 0, contents[number])
                libc.munmap(memory)
                file.seal(_SEALS)
                socket.send_fds(ours, [b"a file"], [file.fileno()])
            ours.recv(1)

        return median_time(send, _ROUNDS)

    def receives() -> None:
        for number in range(_ROUNDS):
            _, descriptors, _, _ = socket.recv_fds(theirs, SIZE, 1)
            with MemoryFile.from_fd(*descriptors) as file, file.map() as mapping:
                expect(file.seals, _SEALS, "seals")
                expect(bytes(mapping), contents[number], f"content of file {number}")
                try:
                    file.map(access="write")
                except PermissionError:
                    theirs.send(b"!")
                else:
                    raise MismatchError("a sealed file was mapped to be written")

    sending, receiving = exchange.fork(sends), exchange.fork(receives)
    exchange.finish(sending, receiving)
    return sending.result()


@family.mechanism("a stranger's memory file", calls="mmap mkfifo munmap", travels=f"{ROUNDS} x {SIZE} bytes each way")
def strange_memory_file(exchange: Exchange) -> float:
    """Share a file in memory with an interpreter of its own, which finds it under /proc by its descriptor."""
    file = MemoryFile.create(2 * _BLOCK, name="tour")
    exchange.defer(file.close)
    exchange.object = path = f"/proc/{os.getpid()}/fd/{file.fileno()}"
    there, back = (str(exchange.path(name)) for name in ("there", "back"))
    libc.mkfifo(there, 0o600)
    libc.mkfifo(back, 0o600)

    def asks() -> float:
        questions, answers = messages("ping"), messages("pong")
        asked, answered = os.open(there, os.O_WRONLY), os.open(back, os.O_RDONLY)
        memory = libc.mmap(None, file.size, _READ_WRITE, libc.MAP_SHARED, file.fileno())

        def ask(number: int) -> None:
            store(memory, 0, questions[number])
            libc.write(asked, b"!")
            libc.read(answered, 1)
            expect(load(memory, _BLOCK, SIZE), answers[number], f"answer {number}")

        seconds = median_time(ask)
        libc.munmap(memory)
        return seconds

    def executes() -> None:
        code = f"import sys, {__name__} as here; here.answer(*sys.argv[1:])"
        command = [sys.executable, "-c", code, path, there, back]
        subprocess.run(command, check=True, preexec_fn=_end_with_parent)  # noqa: S603 - ourselves

    asking, executing = exchange.fork(asks), exchange.fork(executes)
    exchange.finish(asking, executing)
    return asking.result()


def answer(path: str, there: str, back: str) -> None:
    """Answer through the memory of this path, told by one FIFO and telling by another."""
    asked, answered = os.open(there, os.O_RDONLY), os.open(back, os.O_WRONLY)
    with Mapping.of(path, access="write") as memory:
        for number, (question, reply) in enumerate(zip(messages("ping"), messages("pong"), strict=True)):
            libc.read(asked, 1)
            expect(load(memory, 0, SIZE), question, f"question {number}")
            store(memory, _BLOCK, reply)
            libc.write(answered, b"!")


def _end_with_parent() -> None:
    libc.prctl(libc.PR_SET_PDEATHSIG, libc.SIGKILL)


@family.mechanism("guard pages", calls="mprotect munmap", travels="1 byte too many, and SIGSEGV")
def guard_pages(exchange: Exchange) -> float:
    """Let one child fill the memory to its last byte; who writes one more dies, or any when it is for reading only."""
    memory = Mapping.anonymous(_BLOCK, guarded=True)
    exchange.defer(libc.munmap, memory)
    exchange.object = f"{memory.address:#x}"

    def writes(length: int) -> None:
        _, hard = resource.getrlimit(resource.RLIMIT_CORE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, hard))
        ctypes.memset(memory.address, ord("x"), length)

    def dies(length: int) -> float:
        start = time.perf_counter()
        status = exchange.fork(lambda: writes(length)).wait()
        expect(status.signal, libc.SIGSEGV, f"signal that ended the writer of {length} bytes")
        return time.perf_counter() - start

    exchange.finish(exchange.fork(lambda: writes(_BLOCK)))
    expect(bytes(memory), b"x" * _BLOCK, "memory that is full")
    seconds = dies(_BLOCK + 1)
    libc.mprotect(memory, libc.PROT_READ)
    dies(1)
    return seconds
