"""Shared memory in which slots take turns, with semaphores that count those that are free and those that are full."""

from __future__ import annotations

import ctypes
import mmap
from typing import TYPE_CHECKING, Any

from bench.channels import libraries
from bench.channels.loops import C, ChannelInC
from bench.channels.mechanism import ANY, Mechanism, Side, peer
from bench.channels.ring import SLOTS, Ring, views
from unixipc import libc, posix, sysv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bench.channels.loops import Channel
    from bench.channels.workshop import Workshop


def mechanisms() -> Iterator[Mechanism]:
    """Give them; the semaphores are those of the same family."""
    sides = [Side("unixipc", _system_v), Side("C", _system_v_in_c, C)]
    if peer("sysv_ipc"):
        sides.append(Side("sysv_ipc", _sysv_ipc))
    yield Mechanism("System V shared memory + semaphore", ANY, tuple(sides))
    sides = [Side("unixipc", _posix), Side("C", _posix_in_c, C)]
    if peer("posix_ipc"):
        sides.append(Side("posix_ipc", _posix_ipc))
    yield Mechanism("POSIX shared memory + semaphore", ANY, (*sides, *libraries.of_memory()))


def _system_v_objects(shop: Workshop, size: int) -> tuple[sysv.SharedMemory, sysv.Semaphore, sysv.Semaphore]:
    memory = shop.keep(sysv.SharedMemory.create(SLOTS * size))
    free, full = (shop.keep(sysv.Semaphore.create(value)) for value in (SLOTS, 0))
    return memory, free, full


def _system_v(shop: Workshop, size: int) -> Channel:
    memory, free, full = _system_v_objects(shop, size)
    return Ring(free, full, *views(shop, memory, size))


def _system_v_in_c(shop: Workshop, size: int) -> Channel:
    memory, free, full = _system_v_objects(shop, size)
    return ChannelInC(shop, "system_v_ring", size, ctypes.c_void_p(memory.address), SLOTS, free.id, full.id)


def _sysv_ipc(shop: Workshop, size: int) -> Channel:
    library = peer("sysv_ipc")
    memory = library.SharedMemory(None, library.IPC_CREX, size=SLOTS * size)
    shop.callback(memory.remove)
    shop.callback(memory.detach)
    free, full = (shop.keep(library.Semaphore(None, library.IPC_CREX, initial_value=value)) for value in (SLOTS, 0))
    return Ring(
        free,
        full,
        lambda number, message: memory.write(message, number * size),
        lambda number: memory.read(size, number * size),
    )


def _posix_objects(
    shop: Workshop, size: int
) -> tuple[posix.SharedMemory, posix.UnnamedSemaphore, posix.UnnamedSemaphore]:
    """Give the memory with its semaphores, which lie behind the slots."""
    end = -(-SLOTS * size // libc.SEM_ALIGNMENT) * libc.SEM_ALIGNMENT
    memory = shop.keep(posix.SharedMemory.create(shop.name(), end + 2 * libc.SEM_SIZE))
    free = shop.keep(posix.UnnamedSemaphore.create(memory, SLOTS, offset=end))
    return memory, free, shop.keep(posix.UnnamedSemaphore.create(memory, 0, offset=end + libc.SEM_SIZE))


def _posix(shop: Workshop, size: int) -> Channel:
    memory, free, full = _posix_objects(shop, size)
    return Ring(free, full, *views(shop, memory, size))


def _posix_in_c(shop: Workshop, size: int) -> Channel:
    memory, _, _ = _posix_objects(shop, size)
    end = memory.address + len(memory) - 2 * libc.SEM_SIZE
    addresses = (ctypes.c_void_p(address) for address in (end, end + libc.SEM_SIZE))
    return ChannelInC(shop, "posix_ring", size, ctypes.c_void_p(memory.address), SLOTS, *addresses)


def _posix_ipc(shop: Workshop, size: int) -> Channel:
    library: Any = peer("posix_ipc")
    made = library.SharedMemory(shop.name(), library.O_CREX, size=SLOTS * size)
    shop.callback(made.unlink)
    memory = shop.keep(mmap.mmap(made.fd, made.size))
    made.close_fd()
    free, full = (
        shop.keep(library.Semaphore(shop.name(), library.O_CREX, initial_value=value)) for value in (SLOTS, 0)
    )

    def put(number: int, message: bytes) -> None:
        memory[number * size : (number + 1) * size] = message

    return Ring(free, full, put, lambda number: memory[number * size : (number + 1) * size])
