"""mmap(2) and what is done to mappings."""

from __future__ import annotations

import os
import time
from functools import partial
from pathlib import Path

from unixipc import libc
from unixipc.cli.exchange import ROUNDS, Exchange, UnavailableError, expect, load, median_time, store
from unixipc.cli.tour import Family

family = Family()

_BLOCK = 4096
_BLOCKS = f"{ROUNDS} x {_BLOCK} bytes each way"
_ROUNDS = 50
_PAGES = 8
_READ_WRITE = libc.PROT_READ | libc.PROT_WRITE


def _anonymous(exchange: Exchange, length: int, flags: int = libc.MAP_SHARED) -> libc.Mapping:
    memory = libc.mmap(None, length, _READ_WRITE, flags | libc.MAP_ANONYMOUS)
    exchange.defer(libc.munmap, memory)
    exchange.object = f"{memory.address:#x}"
    return memory


def _file(exchange: Exchange, content: bytes) -> Path:
    path = exchange.path("file")
    path.write_bytes(content)
    exchange.object = str(path)
    return path


def _map(path: Path, length: int, flags: int) -> libc.Mapping:
    with path.open("r+b") as file:
        return libc.mmap(None, length, _READ_WRITE, flags, file.fileno())


def _permissions(memory: libc.Mapping) -> str:
    for line in Path("/proc/self/maps").read_text().splitlines():
        addresses, permissions, *_ = line.split()
        if int(addresses.partition("-")[0], 16) == memory.address:
            return permissions
    return "not mapped"


@family.mechanism("anonymous shared mapping", calls="mmap munmap", travels=_BLOCKS)
def anonymous_shared_mapping(exchange: Exchange) -> float:
    """Share a mapping that both children inherit."""
    memory = _anonymous(exchange, 2 * _BLOCK)
    return exchange.through_memory(lambda: memory, libc.munmap, _BLOCK)


@family.mechanism("file-backed shared mapping", calls="mmap msync munmap", travels=_BLOCKS, unrelated=True)
def file_backed_shared_mapping(exchange: Exchange) -> float:
    """Share a file that each child maps by its name; in the end it holds the same bytes."""
    path = _file(exchange, bytes(2 * _BLOCK))
    attach = partial(_map, path, 2 * _BLOCK, libc.MAP_SHARED)
    return exchange.through_memory(attach, partial(_write_back, path), _BLOCK)


def _write_back(path: Path, memory: libc.Mapping) -> None:
    libc.msync(memory, libc.MS_SYNC)
    expect(path.read_bytes(), load(memory, 0, 2 * _BLOCK), "content of the file")
    libc.munmap(memory)


@family.mechanism("memory file of a process", calls="mmap munmap", travels=_BLOCKS, unrelated=True)
def memory_file_of_a_process(exchange: Exchange) -> float:
    """Share a file that is in no folder (memfd_create): who knows its process and descriptor finds it in /proc."""
    fd = os.memfd_create("unixipc")
    exchange.defer(os.close, fd)
    os.posix_fallocate(fd, 0, 2 * _BLOCK)
    path = Path(f"/proc/{os.getpid()}/fd/{fd}")
    exchange.object = str(path)
    return exchange.through_memory(partial(_map, path, 2 * _BLOCK, libc.MAP_SHARED), libc.munmap, _BLOCK)


@family.mechanism("private mapping", calls="mmap munmap", travels=f"{_ROUNDS} writes, unseen")
def private_mapping(exchange: Exchange) -> float:
    """Write what neither the other child nor the file gets to see."""
    original = b"original" * (_BLOCK // 8)
    path = _file(exchange, original)
    memory = _map(path, _BLOCK, libc.MAP_PRIVATE)
    exchange.defer(libc.munmap, memory)
    there, back = exchange.turn(), exchange.turn()

    def writes() -> float:
        def write(number: int) -> None:
            changed = f"changed {number}".encode()
            store(memory, 0, changed)
            there.give()
            back.take()
            expect(load(memory, 0, len(changed)), changed, "the writer's own bytes")

        return median_time(write, _ROUNDS)

    def looks() -> None:
        for _ in range(_ROUNDS):
            there.take()
            expect(load(memory, 0, _BLOCK), original, "the other child's bytes")
            expect(path.read_bytes(), original, "content of the file")
            back.give()

    writing, looking = exchange.fork(writes), exchange.fork(looks)
    exchange.finish(writing, looking)
    return writing.result()


@family.mechanism("growing mapping", calls="mmap mremap munmap", travels=f"{_ROUNDS} new pages, each way")
def growing_mapping(exchange: Exchange) -> float:
    """Make the file longer; both children map the new page too, and exchange data in it."""
    path = _file(exchange, bytes(libc.PAGE_SIZE))
    there, back = exchange.turn(), exchange.turn()

    def grow(memory: libc.Mapping, number: int) -> int:
        libc.mremap(memory, (number + 2) * libc.PAGE_SIZE, libc.MREMAP_MAYMOVE)
        return (number + 1) * libc.PAGE_SIZE

    def grows() -> float:
        memory = _map(path, libc.PAGE_SIZE, libc.MAP_SHARED)

        def ask(number: int) -> None:
            os.truncate(path, (number + 2) * libc.PAGE_SIZE)
            place = grow(memory, number)
            store(memory, place, b"question %4d" % number)
            there.give()
            back.take()
            expect(load(memory, place, 13), b"answer   %4d" % number, f"answer in page {number + 1}")

        seconds = median_time(ask, _ROUNDS)
        libc.munmap(memory)
        return seconds

    def follows() -> None:
        memory = _map(path, libc.PAGE_SIZE, libc.MAP_SHARED)
        for number in range(_ROUNDS):
            there.take()
            place = grow(memory, number)
            expect(load(memory, place, 13), b"question %4d" % number, f"question in page {number + 1}")
            store(memory, place, b"answer   %4d" % number)
            back.give()
        libc.munmap(memory)

    growing, following = exchange.fork(grows), exchange.fork(follows)
    exchange.finish(growing, following)
    return growing.result()


@family.mechanism("protected mapping", calls="mmap mprotect munmap", travels=_BLOCKS)
def protected_mapping(exchange: Exchange) -> float:
    """Share a mapping that each child can write to only while it sends."""
    memory = _anonymous(exchange, 2 * _BLOCK)

    def attach() -> libc.Mapping:
        libc.mprotect(memory, libc.PROT_READ)
        expect(_permissions(memory), "r--s", "permissions in /proc/self/maps")
        return memory

    def store_protected(memory: libc.Mapping, place: int, data: bytes) -> None:
        libc.mprotect(memory, _READ_WRITE)
        store(memory, place, data)
        libc.mprotect(memory, libc.PROT_READ)

    def load_protected(memory: libc.Mapping, place: int, size: int) -> bytes:
        with memoryview(memory) as view:
            expect(view.readonly, True, "readonly")  # noqa: FBT003 - it is the value
            return bytes(view[place : place + size])

    return exchange.through_memory(attach, libc.munmap, _BLOCK, store=store_protected, load=load_protected)


@family.mechanism("memory wiped on fork", calls="mmap madvise munmap", travels="1 page of 2, not the secret")
def memory_wiped_on_fork(exchange: Exchange) -> float:
    """Give a child the first page, and zeros instead of the secret in the second."""
    memory = _anonymous(exchange, 2 * libc.PAGE_SIZE, libc.MAP_PRIVATE)
    told, secret = b"told" * (libc.PAGE_SIZE // 4), b"secret!!" * (libc.PAGE_SIZE // 8)
    store(memory, 0, told + secret)
    libc.madvise(memory, libc.MADV_WIPEONFORK, offset=libc.PAGE_SIZE)

    def looks() -> None:
        expect(load(memory, 0, libc.PAGE_SIZE), told, "the first page")
        expect(load(memory, libc.PAGE_SIZE, libc.PAGE_SIZE), bytes(libc.PAGE_SIZE), "the secret page")

    start = time.perf_counter()
    exchange.finish(exchange.fork(looks))
    return time.perf_counter() - start


@family.mechanism(
    "resident and locked pages", calls="mmap mincore mlock munlock munmap", travels="which pages were written"
)
def resident_and_locked_pages(exchange: Exchange) -> float:
    """See which pages are in memory because the other child wrote to them; then lock all of them there."""
    memory = _anonymous(exchange, _PAGES * libc.PAGE_SIZE)
    written = {1, 4, 6}
    there, back = exchange.turn(), exchange.turn()

    def resident() -> set[int]:
        return {page for page, state in enumerate(libc.mincore(memory)) if state & 1}

    def writes() -> float:
        expect(resident(), set(), "resident pages of new memory")
        start = time.perf_counter()
        for page in written:
            store(memory, page * libc.PAGE_SIZE, b"here")
        there.give()
        back.take()
        return time.perf_counter() - start

    def looks() -> None:
        there.take()
        expect(resident() & written, written, "resident pages")  # large pages may have brought more
        back.give()
        libc.mlock(memory)
        expect(resident(), set(range(_PAGES)), "resident pages after mlock()")
        libc.munlock(memory)

    writing, looking = exchange.fork(writes), exchange.fork(looks)
    exchange.finish(writing, looking)
    return writing.result()


@family.mechanism(
    "pages locked when touched",
    calls="mmap mlock2 mincore munlock mlockall munlockall munmap",
    travels="which pages were written",
)
def pages_locked_when_touched(exchange: Exchange) -> float:
    """Lock each page once it is written, without bringing the others; then all that the process has."""

    def locks() -> float:
        memory = libc.mmap(None, _PAGES * libc.PAGE_SIZE, _READ_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS)
        start = time.perf_counter()
        libc.mlock2(memory, libc.MLOCK_ONFAULT)
        expect(sum(libc.mincore(memory)), 0, "resident pages before they are touched")
        store(memory, libc.PAGE_SIZE, b"here")
        expect(libc.mincore(memory)[1] & 1, 1, "residency of the page that was written")
        libc.munlock(memory)
        seconds = time.perf_counter() - start
        try:
            libc.mlockall(libc.MCL_CURRENT | libc.MCL_ONFAULT)
        except OSError as error:
            raise UnavailableError(str(error)) from error
        libc.munlockall()
        libc.munmap(memory)
        return seconds

    exchange.object = f"{_PAGES} pages"
    locking = exchange.fork(locks)
    exchange.finish(locking)
    return locking.result()
