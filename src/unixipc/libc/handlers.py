"""Native handlers for sigaction(2): machine code that runs in the handler itself, on the thread that got the signal."""

from __future__ import annotations

import errno
import os
import struct
import sys
from dataclasses import dataclass, field
from operator import index
from typing import TYPE_CHECKING

from unixipc._check import check, failure
from unixipc._cpython import Memory
from unixipc._native import ffi, lib
from unixipc.constants.mapping import MAP_ANONYMOUS, MAP_SHARED, PROT_READ, PROT_WRITE
from unixipc.constants.signals import SA_SIGINFO
from unixipc.libc.arguments import size_argument
from unixipc.libc.dl import dladdr
from unixipc.libc.mapping import PAGE_SIZE, mmap
from unixipc.libc.siginfo import Siginfo
from unixipc.libc.sigsetops import SignalSet

if TYPE_CHECKING:
    from collections.abc import Iterable

_WATCHING = {
    errno.EBUSY: "a CrashHandler cannot put a Python handler back: set SIG_DFL first",
    errno.EINVAL: "SIGKILL and SIGSTOP cannot be caught",
}
_COUNTER = 8
_APART = 64  # a cache line: counters that different processors write to do not slow each other down


@dataclass(frozen=True, slots=True, repr=False)
class NativeHandler:
    """A handler in machine code, by its address: installed with exactly the flags and the mask that it is given with.

    The address must be that of a function which may run as a signal handler (signal-safety(7)); nothing can check this.
    `sigaction` reports the handlers of other code as one, to be put back exactly; where that code is the standard
    library's `signal`, `python` is what `signal.getsignal` gave.
    """

    address: int
    python: object = field(default=None, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", size_argument(self.address, "address"))

    def __repr__(self) -> str:
        found = dladdr(self.address)
        if found is None:
            return f"NativeHandler({self.address:#x})"
        name = f"{found.dli_sname} " if found.dli_saddr == self.address else ""
        return f"NativeHandler({self.address:#x}: {name}in {found.dli_fname})"


@dataclass(frozen=True, slots=True, init=False, repr=False, kw_only=True)
class ReadyHandler(NativeHandler):
    """A handler that comes with unixipc; what it works on is its argument, the same for all signals that it handles.

    It stays installed as any native handler does, also when nobody holds this object any more. Two are equal when they
    do the same to the same.
    """

    argument: int

    def _make(self, kind: int, argument: int) -> None:
        object.__setattr__(self, "address", lib.uipc_handler(kind))
        object.__setattr__(self, "python", None)
        object.__setattr__(self, "argument", argument)


@dataclass(frozen=True, slots=True, init=False, repr=False, kw_only=True)
class CounterHandler(ReadyHandler):
    """What the handlers have in common that write to memory: 8 bytes in the machine's own order, written atomically.

    The memory is one's own, shared with all children that are forked later, or 8 bytes of a `Mapping` or `Attachment`,
    at an offset that is a multiple of 8. Once the handler was installed this memory stays mapped for good, whatever
    is done to its object: on another thread a handler may still be running when it has long been replaced. A file
    must not be made shorter than that.
    """

    _memory: Memory = field(compare=False)
    _loan: object = field(compare=False)

    def _count_in(self, kind: int, memory: Memory | None, offset: int) -> None:
        if memory is None:
            memory, offset = _counters.take()
            loan = None
        else:
            offset = index(offset)  # once: another call might give another number
            loan = _borrowed(memory, offset)
        self._make(kind, memory.address + offset)
        object.__setattr__(self, "_memory", memory)
        object.__setattr__(self, "_loan", loan)


def _borrowed(memory: Memory, offset: int) -> object:
    """Pin memory that somebody gave for a counter."""
    if not isinstance(memory, Memory):
        raise TypeError(f"a handler counts in a Mapping or an Attachment, not in {memory!r}")
    loan = ffi.from_buffer(memory)
    if memory.readonly:
        raise ValueError(f"a handler cannot count in {memory!r}")
    if not 0 <= offset <= len(loan) - _COUNTER or offset % _COUNTER:
        raise ValueError(f"offset is {offset}: {_COUNTER} bytes from a multiple of {_COUNTER} on must be in {memory!r}")
    return loan


@dataclass(frozen=True, slots=True, init=False, repr=False, kw_only=True)
class CountHandler(CounterHandler):
    """A handler that adds one for each delivery, modulo 2**64."""

    def __init__(self, memory: Memory | None = None, offset: int = 0) -> None:
        self._count_in(lib.UIPC_ON_COUNT, memory, offset)

    @property
    def value(self) -> int:
        """How many deliveries there were since it was last taken."""
        return lib.uipc_counter_value(self.argument)

    def take(self) -> int:
        """Give the value, and begin again at 0, in one step: no delivery is lost between the two."""
        return lib.uipc_counter_take(self.argument)

    def __repr__(self) -> str:
        return f"CountHandler(value={self.value})"


@dataclass(frozen=True, slots=True, init=False, repr=False, kw_only=True)
class FlagHandler(CounterHandler):
    """A handler that notes the number of the signal that came last; false as long as none came."""

    def __init__(self, memory: Memory | None = None, offset: int = 0) -> None:
        self._count_in(lib.UIPC_ON_FLAG, memory, offset)

    @property
    def value(self) -> int:
        """The number of the last signal since it was cleared, or 0."""
        return lib.uipc_counter_value(self.argument)

    def clear(self) -> int:
        """Give the value, and set it to 0, in one step."""
        return lib.uipc_counter_take(self.argument)

    def __bool__(self) -> bool:
        return self.value != 0

    def __repr__(self) -> str:
        return f"FlagHandler(value={self.value})"


@dataclass(frozen=True, slots=True, init=False, repr=False, kw_only=True)
class RecordHandler(CounterHandler):
    """A handler that writes the siginfo_t of each delivery to a descriptor: `Siginfo(os.read(fd, 128))`.

    It needs SA_SIGINFO. To a pipe each record goes in one piece. A pipe that is full makes the handler wait, or with
    O_NONBLOCK counts the record as lost, as does any failure to write it. The descriptor must stay open: its number
    may mean another file later.
    """

    fd: int = field(compare=False)

    def __init__(self, fd: int) -> None:
        fd = index(fd)
        if fd < 0:
            raise failure(errno.EBADF, "RecordHandler", fd)
        self._count_in(lib.UIPC_ON_RECORD, None, 0)
        lib.uipc_counter_record(self.argument, fd)
        object.__setattr__(self, "fd", fd)

    @property
    def lost(self) -> int:
        """How many records could not be written."""
        return lib.uipc_counter_value(self.argument)

    def __repr__(self) -> str:
        return f"RecordHandler(fd={self.fd}, lost={self.lost})"


@dataclass(frozen=True, slots=True, init=False, repr=False, kw_only=True)
class CrashHandler(CounterHandler):
    """A handler that writes a CrashRecord of the delivery to a descriptor, and lets the signal strike again.

    Before that it puts the action back that it took the place of, which then meets the same siginfo_t: the default, or
    another native handler, like that of `faulthandler`. It cannot take the place of a Python handler, and needs
    SA_SIGINFO; with SA_ONSTACK an overflow of the stack is recorded as well. Where the record cannot be written, or the
    descriptor means another file by then, the signal has its default effect.
    """

    fd: int = field(compare=False)

    def __init__(self, fd: int) -> None:
        fd = index(fd)
        self._count_in(lib.UIPC_ON_CRASH, None, 0)
        check(lib.uipc_counter_crash(self.argument, fd), "CrashHandler", fd)
        object.__setattr__(self, "fd", fd)

    @property
    def lost(self) -> int:
        """How many records could not be written."""
        return lib.uipc_counter_value(self.argument)

    def __repr__(self) -> str:
        return f"CrashHandler(fd={self.fd}, lost={self.lost})"

    def watch(self, signals: Iterable[int]) -> None:
        """Install it for several signals at once, with SA_SIGINFO and SA_ONSTACK, and unknown to the `signal` module.

        A forked child can do so before it does anything else: it is one call of C, from any thread.
        """
        mask = SignalSet(signals).mask
        _keep(self)
        check(lib.uipc_crash_watch(mask, self.argument), "CrashHandler.watch", advice=_WATCHING)

    @staticmethod
    def unhandled(signals: Iterable[int], over: NativeHandler | None = None) -> SignalSet:
        """Tell which of the signals nobody handles: at SIG_DFL, or at a CrashHandler, or at the handler `over`."""
        unwatched = ffi.new("uint64_t *")
        address = 0 if over is None else over.address
        check(lib.uipc_crash_unwatched(SignalSet(signals).mask, address, unwatched), "CrashHandler.unhandled")
        return SignalSet.from_mask(unwatched[0])


@dataclass(frozen=True, slots=True)
class CrashRecord:
    """What a CrashHandler wrote of one delivery: the process and the thread that it struck, and its siginfo_t."""

    pid: int
    tid: int
    info: Siginfo

    @classmethod
    def split(cls, data: bytes) -> list[CrashRecord | bytes]:
        """Take what was written to the descriptor apart: records, and the text of others between them, in order."""
        parts: list[CrashRecord | bytes] = []
        mark, begin = _CRASH_MARK, 0
        while (found := data.find(mark, begin)) >= 0 and found + _CRASH.size <= len(data):
            _, pid, tid, info = _CRASH.unpack_from(data, found)
            parts += [data[begin:found], cls(pid, tid, Siginfo(info))]
            begin = found + _CRASH.size
        parts.append(data[begin:])
        return [part for part in parts if part]


@dataclass(frozen=True, slots=True, init=False, repr=False, kw_only=True)
class ExitHandler(ReadyHandler):
    """A handler that ends the process with a status by _exit(2): nothing is flushed, and no cleanup runs."""

    def __init__(self, status: int) -> None:
        status = index(status)
        if not 0 <= status <= 255:
            raise ValueError(f"status is {status}: a process ends with 0 to 255")
        self._make(lib.UIPC_ON_EXIT, status)

    @property
    def status(self) -> int:
        """The exit status."""
        return self.argument

    def __reduce__(self) -> tuple[type[ExitHandler], tuple[int]]:
        return ExitHandler, (self.status,)

    def __repr__(self) -> str:
        return f"ExitHandler(status={self.status})"


class _Counters:
    """Shared pages out of which counters are given, each to one handler for good."""

    def __init__(self) -> None:
        self._unused: list[tuple[Memory, int]] = []

    def take(self) -> tuple[Memory, int]:
        """Give a counter that is 0 and that nobody else has."""
        try:
            return self._unused.pop()
        except IndexError:
            page = mmap(None, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS)
            page._pin()
            counters: list[tuple[Memory, int]] = [(page, offset) for offset in range(0, PAGE_SIZE, _APART)]
            taken = counters.pop()
            self._unused = counters
            return taken

    def leave(self) -> None:
        """Leave what is unused to the parent: the page is shared with it, so both would give the same counters."""
        self._unused = []


_counters = _Counters()
os.register_at_fork(after_in_child=_counters.leave)

_CRASH = struct.Struct(f"8sii{lib.UIPC_SIGINFO_SIZE}s")
_CRASH_MARK = lib.uipc_crash_mark().to_bytes(8, sys.byteorder)
_installed: dict[tuple[int, int], ReadyHandler] = {}


def argument_of(handler: NativeHandler, signum: int, flags: int, previous: object) -> int:
    """Give the argument that C needs to install a handler, and keep for good what the handler will write to."""
    if not isinstance(handler, ReadyHandler):
        return 0
    if isinstance(handler, RecordHandler | CrashHandler) and not flags & SA_SIGINFO:
        raise failure(errno.EINVAL, "sigaction", signum, advice=f"a {type(handler).__name__} needs SA_SIGINFO")
    if isinstance(handler, CrashHandler):
        _displace(signum, previous)
    return _keep(handler)


def _keep(handler: ReadyHandler) -> int:
    key = handler.address, handler.argument
    if key not in _installed:
        if isinstance(handler, CounterHandler):
            handler._memory._pin()
        _installed[key] = handler
    return handler.argument


def _displace(signum: int, previous: object) -> None:
    """Note what a CrashHandler will put back, which is the kernel's part only."""
    if callable(previous) or getattr(previous, "python", None) is not None:
        raise failure(errno.EBUSY, "sigaction", signum, advice=_WATCHING[errno.EBUSY])
    check(lib.uipc_crash_displaces(signum), "sigaction", signum)


def handler_at(signum: int, address: int) -> NativeHandler | None:
    """Give the ready-made handler that is installed for a signal by its address, None where it is no such."""
    return _installed.get((address, lib.uipc_handler_argument(signum, address)))
