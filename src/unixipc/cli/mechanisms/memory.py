"""memfd_create(2), its seals, and guard pages: memory as the objects of `unixipc.memory` have it."""

from __future__ import annotations

import ctypes
import resource
import socket
import time

from unixipc import libc
from unixipc.cli.exchange import SIZE, Exchange, MismatchError, expect, median_time, messages, store
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
