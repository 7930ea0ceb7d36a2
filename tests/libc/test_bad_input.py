"""unixipc.libc: no input, however wrong, crashes the interpreter or raises anything but the exceptions for wrong input.

Every attempt is made in a forked child, so that a crash is a failed test. Whatever could reach another process or
object if it were taken after all (a pid, an id) is never given a value that could be one.
"""

from __future__ import annotations

import gc
import os
import sys
from array import array
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from maps import access

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

PAGE = libc.PAGE_SIZE
BOTH = libc.PROT_READ | libc.PROT_WRITE
PRIVATE = libc.MAP_PRIVATE | libc.MAP_ANONYMOUS

untyped: Any = libc


class Things:
    """What the calls are given besides the wrong argument: made in the child, and harmless."""

    def __init__(self, queue: int, segment: int, folder: Path) -> None:
        self.queue = queue
        self.segment = segment
        self.folder = folder
        self.path = folder / "node"
        self.pid = os.getpid()
        os.setpgid(0, 0)  # a process group of its own
        self.pidfd = libc.pidfd_open(self.pid)
        self.reader, self.writer = libc.pipe(libc.O_NONBLOCK | libc.O_CLOEXEC)
        self.signalfd = libc.signalfd(-1, ())
        self.file = os.memfd_create("four pages")
        os.ftruncate(self.file, 4 * PAGE)
        self.closed_fd = os.dup(self.file)
        os.close(self.closed_fd)
        self.mapping = libc.mmap(None, 4 * PAGE, BOTH, PRIVATE)
        self.taken = self.mapping.address
        self.attachment = libc.shmat(segment)
        self.closed_mapping = libc.mmap(None, PAGE, BOTH, PRIVATE)
        libc.munmap(self.closed_mapping)
        self.closed_attachment = libc.shmat(segment)
        libc.shmdt(self.closed_attachment)
        self.closed_library = libc.dlopen("libm.so.6", libc.RTLD_NOW)
        libc.dlclose(self.closed_library)
        self.released_view = memoryview(b"released")
        self.released_view.release()

    @cached_property
    def mqdes(self) -> int:
        """Without a name, and as small as can be."""
        mqdes = _small_queue("/unixipc-wrong")
        libc.mq_unlink("/unixipc-wrong")
        return mqdes

    @cached_property
    def named(self) -> libc.Sem:
        semaphore = libc.sem_open("/unixipc-wrong", libc.O_CREAT | libc.O_EXCL, 0o600, 1)
        libc.sem_unlink("/unixipc-wrong")
        return semaphore

    @cached_property
    def unnamed(self) -> libc.Sem:
        """It lies in memory that holds what is no semaphore."""
        memory = libc.mmap(None, PAGE, BOTH, libc.MAP_SHARED | libc.MAP_ANONYMOUS)
        memoryview(memory)[:] = b"\xff" * PAGE
        return libc.Sem(memory)

    @cached_property
    def closed_semaphore(self) -> libc.Sem:
        semaphore = libc.Sem(libc.mmap(None, PAGE, BOTH, libc.MAP_SHARED | libc.MAP_ANONYMOUS))
        libc.sem_init(semaphore, 1, 1)
        libc.sem_destroy(semaphore)
        return semaphore

    @cached_property
    def timer(self) -> int:
        """Made when it is asked for: of timers, a user can have only so many."""
        return libc.timer_create(libc.CLOCK_MONOTONIC)


def _small_queue(
    name: str, oflag: int = libc.O_CREAT | libc.O_RDWR | libc.O_NONBLOCK, mode: int = 0o600, maxmsg: int = 1
) -> int:
    return libc.mq_open(name, oflag, mode, libc.MqAttr(0, maxmsg, 10))


class Thing(NamedTuple):
    """Stands in the tables below for one of the things that the child makes."""

    name: str


class Unhashable:
    __hash__ = None  # type: ignore[assignment]


Values = list[object]

NO_NUMBER: Values = [None, "1", b"1", "text", object(), [], {}, (1,), Unhashable(), 1j, float("nan"), 1e300]
NO_INT = [*NO_NUMBER, 2**31, 2**32, 2**63, 2**64, 2**100, -(2**31) - 1, -(2**63), -(2**64), -(2**100)]
NO_UNSIGNED = [*NO_NUMBER, -1, 2**32, 2**63, 2**64, 2**100, -(2**31), -(2**63), -(2**100)]
NO_ID = [*NO_INT, -1, -(2**31)]
NO_SIZE = [*NO_NUMBER, -1, -PAGE, 2**63, 2**64 - 1, 2**64, 2**100, -(2**63), -(2**100)]
NO_LONG = [*NO_NUMBER, 2**63, 2**64, 2**100, -(2**63) - 1, -(2**100)]
NO_LONG_UNSIGNED = [*NO_NUMBER, -1, 2**64, 2**100, -(2**63), -(2**100)]
NO_ADDRESS = [*NO_LONG_UNSIGNED[1:], "", b"", 0.0, 1.5]  # None is one
NO_KEY = [*NO_NUMBER, 2**32, 2**63, 2**64, 2**100, -(2**31) - 1, -(2**100)]
NO_SIGNAL = [*NO_INT, -1, 65, 127]
NO_SET: Values = [5, 1.5, object(), "ab", ["1"], [None], [1.5], [0], [-1], [32], [33], [65], [2**31], [2**100]]
NO_HANDLER: Values = [None, 5, -1, 1.5, "text", object(), 2**63, (), [], Unhashable()]
NO_PATH: Values = [None, 5, 1.5, object(), [], "", b"", "a\0b", b"a\0b", "\ud800", "x" * 10_000, b"/dev/null/x"]
NO_BUFFER: Values = [None, "text", 5, object(), [1], memoryview(b"every second")[::2], Thing("released_view")]
NO_FD = [*NO_INT, -1, -100, 2**20, Thing("closed_fd")]
NO_SIGNALFD = [number for number in NO_FD if number != -1]  # which makes one
NO_MEMORY = [*NO_NUMBER, 0, -1, 2**64, bytearray(PAGE), Thing("closed_mapping"), Thing("closed_attachment")]
NO_MAPPING = [*NO_MEMORY, Thing("attachment")]
NO_OFFSET = [*NO_NUMBER, -1, -PAGE, 4 * PAGE + 1, 2**31, 2**63, 2**64, 2**100, -(2**63), -(2**100)]
NO_LENGTH = NO_OFFSET[1:]  # None is one
NO_LIBRARY: Values = [*NO_NUMBER, 0, 1, -1, 2**63, libc.dlsym(libc.RTLD_DEFAULT, "labs"), Thing("closed_library")]
NO_FILE: Values = [path for path in NO_PATH if path not in (None, "", b"")]  # these name the program
NO_SYMBOL: Values = [None, 5, 1.5, object(), [], "", b"", "a\0b", b"a\0b", "\ud800", "x" * 10_000, b"\xff"]

MAPPING, SEGMENT, QUEUE, PID = Thing("mapping"), Thing("segment"), Thing("queue"), Thing("pid")
OFFSET: tuple[object, Values] = (0, NO_OFFSET)
LENGTH: tuple[object, Values] = (PAGE, NO_LENGTH)
MEMORY: tuple[object, Values] = (MAPPING, NO_MEMORY)

PERM = libc.IpcPerm(0, os.geteuid(), os.getegid(), 0, 0, 0o600, 0)
SHM = libc.ShmidDs(PERM, 0, 0, 0, 0, 0, 0, 0)
MSG = libc.MsqidDs(PERM, 0, 0, 0, 0, 0, 1000, 0, 0)
WRONG_PERMS: list[Any] = [
    *(value for value in NO_NUMBER if not isinstance(value, int)),
    *(replace(PERM, **{name: value}) for name in ("uid", "gid") for value in NO_UNSIGNED),  # type: ignore[arg-type]
    *(replace(PERM, mode=value) for value in NO_NUMBER),  # type: ignore[arg-type]
]
WRONG_SHM: Values = [*NO_NUMBER, MSG, *(replace(SHM, shm_perm=wrong) for wrong in WRONG_PERMS)]
WRONG_MSG: Values = [
    *NO_NUMBER,
    SHM,
    *(replace(MSG, msg_perm=wrong) for wrong in WRONG_PERMS),
    *(replace(MSG, msg_qbytes=wrong) for wrong in NO_LONG_UNSIGNED),  # type: ignore[arg-type]
]


def _made(get: Callable[..., int], control: Callable[..., object]) -> Callable[..., int]:
    """The call; what it makes although it should not is removed again."""

    def make(*args: object) -> int:
        number = get(*args)
        control(number, libc.IPC_RMID)
        return number

    return make


def _opened(open_it: Callable[..., Any], close: Callable[[Any], object], unlink: Callable[[Any], object]) -> Any:
    """The call; what it opens although it should not is closed and removed again."""

    def opened(name: object, *args: object) -> object:
        thing = open_it(name, *args)
        close(thing)
        unlink(name)
        return thing

    return opened


def _part_of(call: Callable[..., object], *more: object) -> Callable[..., object]:
    def part(memory: object, offset: object, length: object) -> object:
        return call(memory, *more, offset=offset, length=length)

    return part


INFO = libc.Siginfo.queued(libc.SIGUSR1)
NO_INFO: Values = [None, *NO_NUMBER[1:], 5, b"x" * 128, bytearray(128)]
TIMER = Thing("timer")
SPEC = libc.Itimerspec(0, 0)
NO_SPEC: Values = [None, *NO_NUMBER[1:], 5, 1.5, (0, 0)]
NO_SECONDS: Values = [*NO_NUMBER, -1, -0.5, float("inf"), float("-inf"), 2**63, 2**100, 10**400]

MQDES, NAMED, UNNAMED = Thing("mqdes"), Thing("named"), Thing("unnamed")
NO_MQDES = [*NO_INT, -1, -100, 2**20, Thing("reader"), Thing("file")]
NO_NAME: Values = [*NO_PATH, "/", "/a/b", "/" + "x" * 256, Path("/dev/null/x")]
NO_PRIO = [*NO_UNSIGNED, libc.MQ_PRIO_MAX]
NO_TIME: Values = [*NO_NUMBER, float("inf"), float("-inf"), 2**63, 2**100]
NO_ATTR: Values = [
    *NO_NUMBER[1:],
    5,
    libc.MqAttr(),
    *(libc.MqAttr(0, wrong, 10) for wrong in (-1, 0, 2**31, 2**62, 2**63, None)),  # type: ignore[arg-type]
    *(libc.MqAttr(0, 1, wrong) for wrong in (-1, 0, 2**31, 2**62, 2**63, None)),  # type: ignore[arg-type]
]
NO_SEM: Values = [*NO_NUMBER, 0, -1, 2**63, MAPPING, Thing("closed_semaphore")]
NO_SEM_VALUE = [*NO_UNSIGNED, 2**31, 2**32 - 1]

MREMAP_FIXED = libc.MREMAP_MAYMOVE | libc.MREMAP_FIXED
DONTUNMAP = libc.MREMAP_MAYMOVE | libc.MREMAP_DONTUNMAP

# For each call its arguments: a right one, and wrong ones that are tried in its place.
CASES: dict[str, tuple[Callable[..., object], list[tuple[object, Values]]]] = {
    "ftok": (untyped.ftok, [(Thing("folder"), NO_PATH), (1, NO_INT)]),
    "shmget": (
        _made(untyped.shmget, untyped.shmctl),
        [(libc.IPC_PRIVATE, NO_KEY), (1, [*NO_SIZE, 0]), (0o600, NO_INT)],
    ),
    "shmat": (untyped.shmat, [(SEGMENT, NO_ID), (None, [*NO_ADDRESS, 1, Thing("closed_mapping")]), (0, NO_INT)]),
    "shmdt": (untyped.shmdt, [(None, [*NO_MEMORY, MAPPING])]),
    "shmctl": (untyped.shmctl, [(SEGMENT, NO_ID), (libc.IPC_STAT, [*NO_INT, -1, 99])]),
    "shmctl IPC_RMID": (untyped.shmctl, [(SEGMENT, NO_ID), (libc.IPC_RMID, [])]),
    "shmctl SHM_STAT": (untyped.shmctl, [(0, NO_ID), (libc.SHM_STAT, [])]),
    "shmctl IPC_SET": (untyped.shmctl, [(SEGMENT, NO_ID), (libc.IPC_SET, []), (SHM, WRONG_SHM)]),
    "msgget": (_made(untyped.msgget, untyped.msgctl), [(libc.IPC_PRIVATE, NO_KEY), (0o600, NO_INT)]),
    "msgsnd": (untyped.msgsnd, [(QUEUE, NO_ID), (1, [*NO_LONG, 0, -1]), (b"", NO_BUFFER), (libc.IPC_NOWAIT, NO_INT)]),
    "msgrcv": (untyped.msgrcv, [(QUEUE, NO_ID), (10, NO_SIZE), (0, NO_LONG), (libc.IPC_NOWAIT, NO_INT)]),
    "msgctl": (untyped.msgctl, [(QUEUE, NO_ID), (libc.IPC_STAT, [*NO_INT, -1, 99])]),
    "msgctl IPC_RMID": (untyped.msgctl, [(QUEUE, NO_ID), (libc.IPC_RMID, [])]),
    "msgctl MSG_STAT": (untyped.msgctl, [(0, NO_ID), (libc.MSG_STAT, [])]),
    "msgctl IPC_SET": (untyped.msgctl, [(QUEUE, NO_ID), (libc.IPC_SET, []), (MSG, WRONG_MSG)]),
    "mmap": (
        untyped.mmap,
        [
            (None, [*NO_ADDRESS, Thing("closed_mapping"), Thing("closed_attachment")]),
            (PAGE, [*NO_SIZE, 0]),
            (libc.PROT_READ, NO_INT),
            (PRIVATE, [*NO_INT, 0, -1]),
        ],
    ),
    "mmap MAP_FIXED": (
        untyped.mmap,
        [
            (None, [*NO_ADDRESS, None, 0, 1, 2**63, Thing("taken")]),
            (PAGE, []),
            (libc.PROT_READ, []),
            (PRIVATE | libc.MAP_FIXED, []),
        ],
    ),
    "mmap of a file": (
        untyped.mmap,
        [
            (None, []),
            (PAGE, [*NO_SIZE, 0, 5 * PAGE]),
            (libc.PROT_READ, NO_INT),
            (libc.MAP_SHARED, NO_INT),
            (Thing("file"), [*NO_FD, Thing("reader"), Thing("pidfd")]),
            (0, [*NO_OFFSET, 1, 4 * PAGE]),
        ],
    ),
    "mmap in place": (
        untyped.mmap,
        [
            (MAPPING, [Thing("closed_mapping"), Thing("closed_attachment")]),
            (PAGE, [*NO_SIZE, 0, 5 * PAGE]),
            (libc.PROT_READ, NO_INT),
            (libc.MAP_SHARED, [*NO_INT, 0]),
            (Thing("file"), [*NO_FD, Thing("reader"), Thing("pidfd")]),
            (0, [*NO_OFFSET, 1]),
        ],
    ),
    "munmap": (_part_of(untyped.munmap), [(MAPPING, NO_MAPPING), OFFSET, LENGTH]),
    "mprotect": (untyped.mprotect, [MEMORY, (BOTH, NO_INT)]),
    "mprotect a part": (
        _part_of(lambda memory, **part: untyped.mprotect(memory, BOTH, **part)),
        [MEMORY, OFFSET, LENGTH],
    ),
    "msync": (untyped.msync, [MEMORY, (libc.MS_SYNC, [*NO_INT, -1, libc.MS_SYNC | libc.MS_ASYNC])]),
    "msync a part": (_part_of(untyped.msync), [MEMORY, OFFSET, LENGTH]),
    "mremap": (untyped.mremap, [(MAPPING, NO_MAPPING), (PAGE, [*NO_SIZE, 0]), (libc.MREMAP_MAYMOVE, NO_INT)]),
    "mremap MREMAP_FIXED": (
        untyped.mremap,
        [
            (MAPPING, NO_MAPPING),
            (PAGE, [*NO_SIZE, 0]),
            (MREMAP_FIXED, []),
            (None, [*NO_ADDRESS, None, 0, 1, 2**63, Thing("taken"), MAPPING]),
        ],
    ),
    "mremap MREMAP_DONTUNMAP": (
        untyped.mremap,
        [(MAPPING, NO_MAPPING), (4 * PAGE, [*NO_SIZE, 0, PAGE, 5 * PAGE]), (DONTUNMAP, [])],
    ),
    "madvise": (untyped.madvise, [MEMORY, (libc.MADV_NORMAL, [*NO_INT, -1, 5, 99])]),
    "madvise a part": (
        _part_of(lambda memory, **part: untyped.madvise(memory, libc.MADV_NORMAL, **part)),
        [MEMORY, OFFSET, LENGTH],
    ),
    "mlock": (_part_of(untyped.mlock), [MEMORY, OFFSET, LENGTH]),
    "munlock": (_part_of(untyped.munlock), [MEMORY, OFFSET, LENGTH]),
    "mincore": (_part_of(untyped.mincore), [MEMORY, (0, [*NO_OFFSET, 1]), LENGTH]),
    "Mapping": (untyped.Mapping, [(None, [None, 5, b"x"])]),
    "Attachment": (untyped.Attachment, [(None, [None, 5, b"x"])]),
    "pipe": (untyped.pipe, [(0, [*NO_INT, -1, 1])]),
    "mkfifo": (untyped.mkfifo, [(Thing("path"), NO_PATH), (0o600, NO_UNSIGNED)]),
    "mknod": (
        untyped.mknod,
        [(Thing("path"), NO_PATH), (libc.S_IFIFO | 0o600, NO_UNSIGNED), (0, NO_LONG_UNSIGNED)],
    ),
    "read": (untyped.read, [(Thing("reader"), NO_FD), (10, NO_SIZE)]),
    "write": (untyped.write, [(Thing("writer"), NO_FD), (b"x", NO_BUFFER)]),
    # wrong pids are such that no process can have them; wrong signals go to the child itself
    "kill": (untyped.kill, [(PID, NO_INT), (0, NO_SIGNAL)]),
    "killpg": (untyped.killpg, [(PID, NO_INT), (0, NO_SIGNAL)]),
    "tgkill": (untyped.tgkill, [(PID, NO_INT), (PID, NO_INT), (0, NO_SIGNAL)]),
    "raise_": (untyped.raise_, [(0, [*NO_SIGNAL, 0, 32, 33])]),
    "sigqueue": (untyped.sigqueue, [(PID, NO_INT), (0, NO_SIGNAL), (0, NO_INT)]),
    "sigqueue pointer": (lambda pointer: untyped.sigqueue(os.getpid(), 0, pointer=pointer), [(0, NO_ADDRESS)]),
    "pidfd_open": (untyped.pidfd_open, [(PID, [*NO_INT, -1, 0]), (0, [*NO_UNSIGNED, 1])]),
    "pidfd_send_signal": (
        untyped.pidfd_send_signal,
        [
            (Thing("pidfd"), [*NO_FD, Thing("reader")]),
            (0, NO_SIGNAL),
            (None, [*NO_NUMBER[1:], 5, b"x" * 128]),
            (0, [*NO_UNSIGNED, 2**30]),
        ],
    ),
    "sigprocmask": (untyped.sigprocmask, [(libc.SIG_BLOCK, [*NO_INT, -1, 3, 99]), ([], NO_SET)]),
    "sigsuspend": (untyped.sigsuspend, [([], [None, *NO_SET])]),
    "sigwait": (untyped.sigwait, [([], [None, *NO_SET])]),
    "sigwaitinfo": (untyped.sigwaitinfo, [([], [None, *NO_SET])]),
    "sigtimedwait": (
        untyped.sigtimedwait,
        [
            ([libc.SIGUSR1], [None, *NO_SET]),
            (0, [*NO_NUMBER, float("inf"), float("-inf"), -1, -0.5, 2**63, 2**100]),
        ],
    ),
    "alarm": (untyped.alarm, [(0, NO_UNSIGNED)]),
    "rt_sigqueueinfo": (untyped.rt_sigqueueinfo, [(PID, NO_INT), (0, NO_SIGNAL), (INFO, NO_INFO)]),
    "rt_tgsigqueueinfo": (
        untyped.rt_tgsigqueueinfo,
        [(PID, NO_INT), (PID, NO_INT), (0, NO_SIGNAL), (INFO, NO_INFO)],
    ),
    "Siginfo.queued": (untyped.Siginfo.queued, [(libc.SIGUSR1, [*NO_SIGNAL, 0, 32, 33]), (0, NO_INT)]),
    "Siginfo.queued pointer": (
        lambda pointer: untyped.Siginfo.queued(libc.SIGUSR1, pointer=pointer),
        [(0, NO_ADDRESS)],
    ),
    "Siginfo.queued code": (
        lambda code: untyped.Siginfo.queued(libc.SIGUSR1, code=code),
        [(libc.SI_QUEUE, [*NO_INT, 0, 1, libc.SI_TKILL])],
    ),
    "Siginfo.from_signalfd": (
        untyped.Siginfo.from_signalfd,
        [(bytes(128), [*NO_BUFFER, "x" * 128, b"", bytes(127), bytes(129), array("i", [0] * 128)])],
    ),
    "signalfd": (
        untyped.signalfd,
        [
            (Thing("signalfd"), [*NO_SIGNALFD, Thing("reader"), Thing("pidfd")]),
            ([], [None, *NO_SET]),
        ],
    ),
    "signalfd flags": (lambda flags: untyped.signalfd(-1, [], flags), [(0, [*NO_INT, -1, 1])]),
    "sigaltstack": (untyped.sigaltstack, [(None, [*NO_NUMBER[1:], 5, bytearray(PAGE), MAPPING])]),
    "Stack": (
        lambda *members: untyped.sigaltstack(untyped.Stack(*members)),
        [
            (
                None,
                [*NO_MEMORY[1:], 1, PAGE, 2**63, Thing("taken"), Thing("attachment")],
            ),
            (0, [*NO_NUMBER, 3, 4, -1, 2**32, 2**64]),
            (0, [*NO_NUMBER, -1, 2**64, 2**100]),
        ],
    ),
    "setitimer": (untyped.setitimer, [(libc.ITIMER_REAL, [*NO_INT, -1, 3, 99]), (SPEC, NO_SPEC)]),
    "getitimer": (untyped.getitimer, [(libc.ITIMER_REAL, [*NO_INT, -1, 3, 99])]),
    "timer_create": (
        untyped.timer_create,
        [(libc.CLOCK_MONOTONIC, [*NO_INT, 17, 99, -(2**31)]), (None, [*NO_NUMBER[1:], 5])],
    ),
    "timer_settime": (untyped.timer_settime, [(TIMER, [*NO_INT, -1]), (0, NO_INT), (SPEC, NO_SPEC)]),
    "timer_gettime": (untyped.timer_gettime, [(TIMER, [*NO_INT, -1])]),
    "timer_getoverrun": (untyped.timer_getoverrun, [(TIMER, [*NO_INT, -1])]),
    "timer_delete": (untyped.timer_delete, [(TIMER, [*NO_INT, -1])]),
    "Itimerspec": (untyped.Itimerspec, [(0, NO_SECONDS), (0, NO_SECONDS)]),
    "Sigevent": (
        lambda *members: untyped.timer_create(libc.CLOCK_MONOTONIC, untyped.Sigevent(*members)),
        [
            (libc.SIGEV_SIGNAL, [*NO_INT, libc.SIGEV_THREAD, 3, -1]),
            (libc.SIGUSR1, [*NO_SIGNAL, 0, 32, 33]),
            (0, NO_INT),
            (0, NO_INT),
            (None, NO_ADDRESS),
        ],
    ),
    "sigaction": (
        untyped.sigaction,
        [
            (libc.SIGUSR1, [*NO_SIGNAL, 0, 32, 33, libc.SIGKILL, libc.SIGSTOP]),
            (libc.Sigaction(libc.SIG_DFL), [*NO_NUMBER[1:], 5, print]),
        ],
    ),
    "sigaction of a fault": (
        untyped.sigaction,
        [
            (libc.SIGUSR1, [libc.SIGSEGV, libc.SIGBUS, libc.SIGFPE, libc.SIGILL]),
            (libc.Sigaction(print), []),
        ],
    ),
    "signal": (untyped.signal, [(libc.SIGUSR1, [*NO_SIGNAL, 0, 32, 33]), (libc.SIG_DFL, NO_HANDLER)]),
    "Sigaction": (
        lambda *members: untyped.sigaction(libc.SIGUSR1, untyped.Sigaction(*members)),
        [
            (libc.SIG_DFL, NO_HANDLER),
            ((), [None, *NO_SET]),
            (0, [*NO_NUMBER, 2**32, 2**63, 2**64, 2**100]),
        ],
    ),
    "NativeHandler": (
        lambda address: untyped.sigaction(libc.SIGUSR1, libc.Sigaction(untyped.NativeHandler(address))),
        [(0, NO_LONG_UNSIGNED)],
    ),
    "CountHandler": (
        untyped.CountHandler,
        [(MAPPING, [*NO_MEMORY[1:], b"x" * 8]), (0, [*NO_OFFSET, 1, 4, 4 * PAGE - 4, 4 * PAGE])],
    ),
    "FlagHandler": (untyped.FlagHandler, [(MAPPING, [*NO_MEMORY[1:], b"x" * 8]), (0, [*NO_OFFSET, 1, 4 * PAGE])]),
    "RecordHandler": (untyped.RecordHandler, [(Thing("writer"), [*NO_INT, -1])]),
    "CrashHandler": (untyped.CrashHandler, [(Thing("writer"), [*NO_INT, -1])]),
    "ExitHandler": (untyped.ExitHandler, [(0, [*NO_INT, -1, 256])]),
    "dlopen": (
        untyped.dlopen,
        [
            ("libm.so.6", NO_FILE),
            (libc.RTLD_NOW, [*NO_INT, 0, -1, 2**30 | 1, 2**31 + 1]),
        ],
    ),
    "dlsym": (untyped.dlsym, [(libc.RTLD_DEFAULT, NO_LIBRARY), ("labs", NO_SYMBOL)]),
    "dlvsym": (
        untyped.dlvsym,
        [(libc.RTLD_DEFAULT, NO_LIBRARY), ("labs", NO_SYMBOL), ("GLIBC_2.2.5", NO_SYMBOL)],
    ),
    "dlclose": (untyped.dlclose, [(None, [*NO_LIBRARY, libc.RTLD_DEFAULT])]),
    "dladdr": (untyped.dladdr, [(0, NO_LONG_UNSIGNED)]),
    "Library": (untyped.Library, [(None, [None, 5, b"x", libc.RTLD_DEFAULT])]),
    "Siginfo": (
        untyped.Siginfo,
        [(bytes(128), [*NO_BUFFER, "x" * 128, b"", bytes(127), bytes(129), array("i", [0] * 128)])],
    ),
    "SignalSet": (untyped.SignalSet, [((), [None, *NO_SET])]),
    "SignalSet.from_mask": (untyped.SignalSet.from_mask, [(0, NO_NUMBER)]),
    "mq_open": (
        _opened(untyped.mq_open, libc.mq_close, libc.mq_unlink),
        [
            ("/unixipc-wrong", NO_NAME),
            (libc.O_CREAT | libc.O_RDWR, [*NO_INT, 0]),
            (0o600, NO_UNSIGNED),
            (libc.MqAttr(0, 1, 10), NO_ATTR),
        ],
    ),
    "mq_close": (untyped.mq_close, [(-1, NO_FD)]),
    "mq_unlink": (untyped.mq_unlink, [("/unixipc-wrong", NO_NAME)]),
    "mq_send": (untyped.mq_send, [(MQDES, NO_MQDES), (b"", [*NO_BUFFER, bytes(11)]), (0, NO_PRIO)]),
    "mq_timedsend": (
        untyped.mq_timedsend,
        [(MQDES, NO_MQDES), (b"", [*NO_BUFFER, bytes(11)]), (0, NO_PRIO), (0, [*NO_TIME, -1, -1e-9])],
    ),
    "mq_receive": (untyped.mq_receive, [(MQDES, NO_MQDES), (10, [*NO_SIZE, 0, 9, bytearray(9), bytes(10)])]),
    "mq_timedreceive": (
        untyped.mq_timedreceive,
        [(MQDES, NO_MQDES), (10, [*NO_SIZE, 0, 9, bytearray(9), bytes(10)]), (0, [*NO_TIME, -1, -1e-9])],
    ),
    "mq_getattr": (untyped.mq_getattr, [(MQDES, NO_MQDES)]),
    "mq_setattr": (
        untyped.mq_setattr,
        [
            (MQDES, NO_MQDES),
            (libc.MqAttr(), [*NO_NUMBER, *(untyped.MqAttr(wrong) for wrong in (None, 1.5, 1, -1, 2**63))]),
        ],
    ),
    "mq_notify": (
        untyped.mq_notify,
        [(MQDES, NO_MQDES), (None, [*NO_NUMBER[1:], 5, libc.Sigevent(0, 0), libc.Sigevent(0, 33)])],
    ),
    "sem_open": (
        _opened(untyped.sem_open, libc.sem_close, libc.sem_unlink),
        [
            ("/unixipc-wrong", [*NO_NAME, "/" + "x" * 252]),
            (libc.O_CREAT, [*NO_INT, 0, -1, libc.O_CREAT | libc.O_TRUNC, libc.O_CREAT | os.O_PATH]),
            (0o600, NO_UNSIGNED),
            (1, NO_SEM_VALUE),
        ],
    ),
    "Sem": (
        lambda *args: untyped.sem_destroy(untyped.Sem(*args)),
        [(MAPPING, NO_MEMORY), (0, [*NO_OFFSET, 1, 4, 4 * PAGE, 4 * PAGE - 24])],
    ),
    "sem_close": (untyped.sem_close, [(None, [*NO_SEM, UNNAMED])]),
    "sem_unlink": (untyped.sem_unlink, [("/unixipc-wrong", NO_NAME)]),
    "sem_init": (untyped.sem_init, [(UNNAMED, [*NO_SEM, NAMED]), (1, NO_INT), (1, NO_SEM_VALUE)]),
    "sem_destroy": (untyped.sem_destroy, [(None, [*NO_SEM, NAMED])]),
    "sem_wait": (untyped.sem_wait, [(None, [*NO_SEM, UNNAMED])]),
    "sem_trywait": (untyped.sem_trywait, [(None, [*NO_SEM, UNNAMED])]),
    "sem_timedwait": (untyped.sem_timedwait, [(NAMED, [*NO_SEM, UNNAMED]), (0, NO_TIME)]),
    "sem_clockwait": (
        untyped.sem_clockwait,
        [(NAMED, [*NO_SEM, UNNAMED]), (libc.CLOCK_MONOTONIC, [*NO_INT, -1, 2, 99]), (0, NO_TIME)],
    ),
    "sem_post": (untyped.sem_post, [(None, [*NO_SEM, UNNAMED])]),
    "sem_getvalue": (untyped.sem_getvalue, [(None, [*NO_SEM, UNNAMED])]),
    "shm_open": (
        _opened(untyped.shm_open, os.close, libc.shm_unlink),
        [
            ("/unixipc-wrong", NO_NAME),
            (libc.O_CREAT | libc.O_RDWR, [*NO_INT, 0]),
            (0o600, NO_UNSIGNED),
        ],
    ),
    "shm_unlink": (untyped.shm_unlink, [("/unixipc-wrong", NO_NAME)]),
    "prctl": (
        untyped.prctl,
        [(libc.PR_SET_CHILD_SUBREAPER, [*NO_INT, 0, 99]), (0, NO_LONG_UNSIGNED)],
    ),
    "fsopen": (untyped.fsopen, [("mqueue", ["", "no such", "a\0b", None, 5]), (0, [*NO_INT, -1, 2])]),
    "fsconfig": (
        untyped.fsconfig,
        [
            (Thing("writer"), [*NO_INT, -1]),  # which is none of fsopen(2) either
            (libc.FSCONFIG_SET_STRING, [*NO_INT, -1, 2, 99]),
            ("mode", [None, "a\0b", 5]),
            ("0700", [None, "a\0b", 5]),
            (0, [*NO_INT, 5]),
        ],
    ),
    "fsmount": (untyped.fsmount, [(Thing("writer"), [*NO_INT, -1]), (0, [*NO_INT, -1, 2]), (0, [*NO_INT, -1, 4096])]),
}

REFUSALS = (TypeError, ValueError, OverflowError, BufferError, OSError, MemoryError)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."


def _descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def _complaint(call: Callable[..., object], args: list[object]) -> str | None:
    """What is wrong with the answer to wrong arguments; None when they are refused as they should be."""
    before = _descriptors()
    try:
        result = call(*args)
    except REFUSALS as error:
        # Python itself raises MemoryError without a text
        complaint = None if str(error) or isinstance(error, MemoryError) else f"{type(error).__name__} has no text"
    except BaseException as error:  # noqa: BLE001 - this is what must not happen
        complaint = f"raised {error!r}"
    else:
        complaint = f"returned {_short(result)}"
    if _descriptors() - before:
        return f"{complaint or 'refused'}, and left a descriptor open"
    return complaint


@pytest.fixture
def queue() -> Iterator[int]:
    msqid = libc.msgget(libc.IPC_PRIVATE, 0o600 | libc.IPC_CREAT)
    yield msqid
    with suppress(OSError):  # a wrong argument may have removed it
        libc.msgctl(msqid, libc.IPC_RMID)


@pytest.fixture
def segment() -> Iterator[int]:
    shmid = libc.shmget(libc.IPC_PRIVATE, 3 * PAGE, 0o600 | libc.IPC_CREAT)
    yield shmid
    with suppress(OSError):  # a wrong argument may have removed it
        libc.shmctl(shmid, libc.IPC_RMID)


@pytest.mark.parametrize("name", CASES)
def test_wrong_arguments_are_refused_with_an_exception_and_a_text(
    name: str, queue: int, segment: int, tmp_path: Path, fork: Fork
) -> None:
    def try_all() -> list[str]:
        things = Things(queue, segment, tmp_path)

        def real(value: object) -> object:
            return getattr(things, value.name) if isinstance(value, Thing) else value

        call, arguments = CASES[name]
        complaints = []
        for position, (_, wrongs) in enumerate(arguments):
            for wrong in wrongs:
                args = [real(right) for right, _ in arguments]
                args[position] = real(wrong)
                label = f"argument {position} = {_short(args[position])}"
                print(label, file=sys.stderr, flush=True)  # the last one is what it died of
                if complaint := _complaint(call, args):
                    complaints.append(f"{label}: {complaint}")
        return complaints

    assert fork(try_all).result() == []


USES: dict[str, Callable[[object], object]] = {
    "shmdt": untyped.shmdt,
    "munmap": untyped.munmap,
    "msync": untyped.msync,
    "mlock": untyped.mlock,
    "munlock": untyped.munlock,
    "mincore": untyped.mincore,
    "memoryview": lambda memory: memoryview(cast("libc.Mapping", memory)),
    "mprotect": lambda memory: untyped.mprotect(memory, BOTH),
    "madvise": lambda memory: untyped.madvise(memory, libc.MADV_NORMAL),
    "mremap": lambda memory: untyped.mremap(memory, PAGE, libc.MREMAP_MAYMOVE),
    "mmap": lambda memory: untyped.mmap(memory, PAGE, BOTH, PRIVATE),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("name", ["closed_mapping", "closed_attachment"])
def test_closed_memory_says_so(use: str, name: str, queue: int, segment: int, tmp_path: Path, fork: Fork) -> None:
    def try_it() -> str:
        memory = getattr(Things(queue, segment, tmp_path), name)
        assert (memory.closed, len(memory)) == (True, 0)
        with pytest.raises((ValueError, TypeError), match=r"closed|takes an? |do not fit") as caught:
            USES[use](memory)
        return str(caught.value)

    assert fork(try_it).result()


# -- numbers that are no int --


class Index:
    """An integer of somebody else's, as numpy has: it says its value when asked, and may change its mind."""

    def __init__(self, *values: int) -> None:
        self.values = [int(value) for value in values]

    def __index__(self) -> int:
        return self.values.pop(0) if len(self.values) > 1 else self.values[0]

    __int__ = __index__

    def __add__(self, other: int) -> int:
        return int(self) + other

    __radd__ = __add__

    def __and__(self, other: int) -> int:
        return int(self) & other

    __rand__ = __and__


def test_an_integer_of_another_library_is_an_integer(fork: Fork) -> None:
    def use() -> None:
        reader, writer = untyped.pipe(Index(libc.O_CLOEXEC | libc.O_NONBLOCK))
        assert untyped.write(Index(writer), b"0123456789") == 10
        assert untyped.read(reader, Index(5)) == b"01234"
        mapping = untyped.mmap(None, Index(PAGE), Index(BOTH), Index(PRIVATE), Index(-1), Index(0))
        assert bytes(mapping) == bytes(PAGE)
        untyped.mremap(mapping, Index(2 * PAGE), Index(libc.MREMAP_MAYMOVE))
        untyped.mprotect(mapping, Index(libc.PROT_READ), offset=Index(PAGE), length=Index(PAGE))
        assert mapping.readonly

    fork(use).result()


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("ftok", lambda number: untyped.ftok("/", number)),
        ("shmget", lambda number: _made(untyped.shmget, untyped.shmctl)(libc.IPC_PRIVATE, number, 0o600)),
        ("mkfifo", lambda number: untyped.mkfifo("/dev/null/never", number)),
        ("mknod", lambda number: untyped.mknod("/dev/null/never", libc.S_IFIFO, number)),
        ("prctl", lambda number: untyped.prctl(libc.PR_SET_CHILD_SUBREAPER, number)),
        ("sigqueue", lambda number: untyped.sigqueue(os.getpid(), 0, number)),
        ("sigqueue pointer", lambda number: untyped.sigqueue(os.getpid(), 0, pointer=number)),
        ("sigprocmask", lambda number: untyped.sigprocmask(number, ())),
        ("mremap", lambda number: untyped.mremap(libc.mmap(None, PAGE, BOTH, PRIVATE), PAGE, number)),
        ("msync", lambda number: untyped.msync(libc.mmap(None, PAGE, BOTH, PRIVATE), number)),
        ("mincore", lambda number: untyped.mincore(libc.mmap(None, PAGE, BOTH, PRIVATE), length=number)),
        ("SignalSet", lambda number: untyped.SignalSet([number])),
    ],
)
@pytest.mark.parametrize("number", [Fraction(3, 2), Decimal("1.5"), 1.5], ids=repr)
def test_a_number_that_is_not_whole_is_a_typeerror(
    name: str, call: Callable[[object], object], number: object, fork: Fork
) -> None:
    def use() -> None:
        with pytest.raises(TypeError, match=r"."):
            call(number)

    fork(use).result()


def test_an_id_that_is_not_whole_is_a_typeerror(queue: int, segment: int, fork: Fork) -> None:
    def use() -> None:
        fd = os.memfd_create("written by nobody")
        half = Fraction(1, 2)
        calls: list[Callable[[], object]] = [
            lambda: untyped.msgsnd(queue, 1 + half, b"", libc.IPC_NOWAIT),
            lambda: untyped.msgsnd(queue, 1, b"", libc.IPC_NOWAIT + half),
            lambda: untyped.msgctl(queue + half, libc.IPC_STAT),
            lambda: untyped.msgsnd(queue + half, 1, b"", libc.IPC_NOWAIT),
            lambda: untyped.shmctl(segment + half, libc.IPC_STAT),
            lambda: untyped.shmat(segment + half),
            lambda: untyped.write(fd + half, b"x"),
            lambda: untyped.read(fd + half, 1),
            lambda: untyped.kill(os.getpid() + half, 0),
            lambda: untyped.pidfd_open(os.getpid() + half),
        ]
        taken = []
        for number, call in enumerate(calls):
            with suppress(TypeError):
                taken.append(f"call {number} returned {call()!r}")
        assert taken == []

    fork(use).result()


def test_a_size_is_looked_at_once(queue: int, fork: Fork) -> None:
    def read() -> int:
        reader, writer = libc.pipe()
        libc.write(writer, b"x" * 65536)
        return len(untyped.read(reader, Index(1, 65536)))

    def receive() -> int:
        libc.msgsnd(queue, 1, b"x" * 4096)
        return len(untyped.msgrcv(queue, Index(1, 4096), 0, libc.MSG_NOERROR)[1])

    def map_it() -> int:
        mapping = untyped.mmap(None, Index(PAGE, 1 << 30), BOTH, PRIVATE)
        return sum(memoryview(mapping)) + memoryview(mapping).nbytes // PAGE

    def remap() -> int:
        mapping = libc.mmap(None, PAGE, BOTH, PRIVATE)
        moved = untyped.mremap(mapping, Index(PAGE, 1 << 30), libc.MREMAP_MAYMOVE | libc.MREMAP_DONTUNMAP)
        return sum(memoryview(moved)) + memoryview(moved).nbytes // PAGE

    for use in (read, receive, map_it, remap):
        assert fork(use).result() == 1


def test_a_size_is_no_list_that_claims_to_be_a_number(queue: int, fork: Fork) -> None:
    class Claims(list[int]):
        def __int__(self) -> int:
            return 65536

    def receive() -> None:
        with pytest.raises(TypeError, match="integer"):
            untyped.msgrcv(queue, Claims([1]), 0, libc.IPC_NOWAIT)

    def read() -> None:
        with pytest.raises(TypeError, match="integer"):
            untyped.read(os.memfd_create("empty"), Claims([1]))

    fork(receive).result()
    fork(read).result()


@pytest.mark.parametrize("values", [(0, 2 * PAGE), (0, 0, 2 * PAGE), (PAGE, 0), (0, PAGE, 8 * PAGE)])
def test_an_offset_is_looked_at_once(values: tuple[int, ...], fork: Fork) -> None:
    """A file of two pages is not left behind, whatever the offset says the next time."""

    def use() -> int:
        fd = os.memfd_create("two pages")
        os.ftruncate(fd, 2 * PAGE)
        mapping = untyped.mmap(None, PAGE, BOTH, libc.MAP_SHARED, fd, Index(*values))
        with suppress(BufferError):
            memoryview(mapping)[0] = 1
        private = libc.mmap(None, 2 * PAGE, BOTH, PRIVATE)
        with suppress(ValueError, OSError):
            untyped.mlock(private, offset=Index(*values), length=Index(PAGE, 64 * PAGE))
        with suppress(ValueError, OSError):
            untyped.munmap(private, offset=Index(*values), length=Index(PAGE, 64 * PAGE))
        return len(bytes(private)) if not private.closed else 0

    assert fork(use).result() in (0, PAGE, 2 * PAGE)


PARTS: dict[str, Callable[[libc.Mapping, Any, Any, Any], object]] = {
    "munmap": lambda m, offset, length, _: untyped.munmap(m, offset=offset, length=length),
    "mprotect": lambda m, offset, length, number: untyped.mprotect(m, number, offset=offset, length=length),
    "msync": lambda m, offset, length, number: untyped.msync(m, number, offset=offset, length=length),
    "madvise": lambda m, offset, length, _: untyped.madvise(m, libc.MADV_DONTNEED, offset=offset, length=length),
    "mlock": lambda m, offset, length, _: untyped.mlock(m, offset=offset, length=length),
    "munlock": lambda m, offset, length, _: untyped.munlock(m, offset=offset, length=length),
    "mincore": lambda m, offset, length, _: untyped.mincore(m, offset=offset, length=length),
    "mremap": lambda m, _, length, number: untyped.mremap(m, length, number),
    "mmap": lambda m, offset, length, number: untyped.mmap(m, length, number, PRIVATE, -1, offset),
}


@pytest.mark.parametrize("name", PARTS)
@pytest.mark.parametrize("position", [0, 1, 2], ids=["offset", "length", "number"])
def test_an_argument_that_unmaps_the_memory_while_it_is_asked_endangers_nobody_else(
    name: str, position: int, fork: Fork
) -> None:
    def use() -> tuple[int, str | None]:
        mapping = libc.mmap(None, 4 * PAGE, BOTH, PRIVATE)
        others: list[libc.Mapping] = []

        class Treacherous(Index):
            def __index__(self) -> int:
                if not others:
                    with suppress(BufferError):
                        libc.munmap(mapping, offset=PAGE)
                        others.append(libc.mmap(mapping.address + PAGE, 3 * PAGE, BOTH, PRIVATE | libc.MAP_FIXED))
                        memoryview(others[0])[0] = 5
                return self.values[0]

            __int__ = __index__

            def __and__(self, other: int) -> int:
                return 0

            __rand__ = __and__

        args: list[object] = [0, 4 * PAGE, 0]
        args[position] = Treacherous(0 if position != 1 else 4 * PAGE)
        with suppress(*REFUSALS):
            PARTS[name](mapping, *args)
        if not others:
            return 5, "rw-p"
        if (found := access(others[0].address)) != "rw-p":
            return 5, found  # looking at it would be fatal
        return memoryview(others[0])[0], found

    assert fork(use).result() == (5, "rw-p")


@pytest.mark.parametrize("name", ["kill", "killpg", "tgkill", "sigqueue", "pidfd_send_signal"])
@pytest.mark.parametrize("signum", [32, 33])
def test_signals_of_the_c_library_are_not_sent(name: str, signum: int, fork: Fork) -> None:
    def send() -> None:
        os.setpgid(0, 0)
        pid = os.getpid()
        target = {"tgkill": [pid, pid], "pidfd_send_signal": [libc.pidfd_open(pid)]}.get(name, [pid])
        with pytest.raises(OSError, match=name):
            getattr(untyped, name)(*target, signum)

    fork(send).result()


# -- other things that are not what they seem --


def test_a_path_that_gives_no_path_is_refused(fork: Fork) -> None:
    class Gives:
        def __init__(self, value: object) -> None:
            self.value = value

        def __fspath__(self) -> Any:
            return self.value

    for value in (None, 5, object(), "a\0b", b"a\0b", "\ud800"):
        for call in (lambda path: untyped.ftok(path, 1), lambda path: untyped.mkfifo(path, 0o600)):
            with pytest.raises((TypeError, ValueError), match=r"."):
                call(Gives(value))  # type: ignore[no-untyped-call]


def test_a_siginfo_is_128_bytes_and_no_claim_of_them(fork: Fork) -> None:
    class Claims:
        def __len__(self) -> int:
            return 128

        def __bytes__(self) -> bytes:
            return b""

    def make() -> None:
        for wrong in (Claims(), [0] * 128, range(128)):
            with pytest.raises((TypeError, ValueError), match=r"."):
                untyped.Siginfo(wrong)
        info: Any = libc.Siginfo(bytes(128))
        with pytest.raises(AttributeError):
            info.raw = b"short"

    fork(make).result()


def test_what_an_iterable_raises_comes_out(fork: Fork) -> None:
    def fail() -> Iterator[int]:
        yield libc.SIGUSR1
        raise KeyError("the user's own")

    before = libc.sigprocmask(libc.SIG_BLOCK)
    for call in (libc.SignalSet, lambda signals: libc.sigprocmask(libc.SIG_BLOCK, signals), libc.sigsuspend):
        with pytest.raises(KeyError, match="the user's own"):
            call(fail())
    assert libc.sigprocmask(libc.SIG_BLOCK) == before


def test_a_refused_call_maps_nothing(fork: Fork) -> None:
    """Whatever the kernel has done when an argument turns out to be wrong is undone."""

    class Contrary(Index):
        """Takes part in arithmetic, and is no int."""

        def __index__(self) -> int:
            raise TypeError("no integer")

        def __int__(self) -> int:
            return self.values[0]

    def count() -> list[str]:
        def maps() -> int:
            return sum(
                int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmSize" in line
            )

        size = 1 << 30
        right: list[object] = [None, size, libc.PROT_NONE, PRIVATE | libc.MAP_NORESERVE, -1, 0]
        leaks = []
        for position, value in enumerate(right):
            args = list(right)
            args[position] = Contrary(value if isinstance(value, int) else 0)
            before = maps()
            with suppress(*REFUSALS):
                untyped.munmap(untyped.mmap(*args))
            if maps() > before + size // 2048:
                leaks.append(f"argument {position}")
        return leaks

    assert fork(count).result() == []


BUFFERS: dict[str, Callable[[], bytes | bytearray | memoryview]] = {
    "bytes": lambda: b"0123456789",
    "bytearray": lambda: bytearray(b"0123456789"),
    "memoryview": lambda: memoryview(b"0123456789"),
}
SENDERS: dict[str, Callable[[Any], object]] = {
    "write": lambda data: libc.write(-1, data),
    "msgsnd": lambda data: libc.msgsnd(-1, 1, data),
    "mq_send": lambda data: libc.mq_send(-1, data),
}


# CPython before 3.12.7 and 3.13, which is all of 3.11, dereferences NULL when the collector meets a memoryview in a
# cycle with what holds its buffer (python/cpython#77894): no frame of a traceback may hold the two.
@pytest.mark.parametrize("kind", BUFFERS)
@pytest.mark.parametrize("name", SENDERS)
def test_the_exception_of_a_call_with_a_buffer_can_be_collected(name: str, kind: str, fork: Fork) -> None:
    def fail() -> None:
        try:
            SENDERS[name](BUFFERS[kind]())
        except OSError as error:
            kept = [error]  # a cycle: exception, traceback, frame, list, exception
            assert kept

    def collect() -> int:
        gc.disable()  # or it may have come to the last just before
        for _ in range(50):
            fail()
        return gc.collect()

    assert fork(collect).result() > 0


@pytest.mark.parametrize("name", SENDERS)
def test_a_buffer_is_free_again_when_the_call_has_failed(name: str) -> None:
    data = bytearray(b"0123456789")
    with pytest.raises(OSError, match=name) as caught:
        SENDERS[name](data)
    data += b" and more"  # a buffer that is lent cannot be resized
    assert caught.value.errno


# -- properties --

STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 5 * PAGE), st.binary(min_size=1, max_size=20)),
    st.tuples(st.just("fill"), st.integers(0, 5 * PAGE), st.integers(0, 255)),
    st.tuples(st.just("resize"), st.integers(1, 5 * PAGE), st.booleans()),
    st.tuples(st.just("cut head"), st.integers(1, 2 * PAGE), st.none()),
    st.tuples(st.just("cut tail"), st.integers(0, 4), st.none()),
    st.tuples(st.just("forget"), st.integers(0, 4), st.none()),
    st.tuples(st.just("protect"), st.sampled_from([libc.PROT_NONE, libc.PROT_READ, BOTH]), st.none()),
    st.tuples(st.just("copy"), st.none(), st.none()),
)


def _pages(length: int) -> int:
    return -(-length // PAGE)


def _step(mapping: libc.Mapping, model: bytearray, kind: str, number: Any, value: Any) -> libc.Mapping:
    """Do the same to a private anonymous mapping and to its model, whose length is the mapping's in whole pages."""
    length, writable = len(mapping), mapping.readable and not mapping.readonly
    if kind == "write" and writable:
        start = number % length
        data = value[: length - start]
        with memoryview(mapping) as view:
            view[start : start + len(data)] = data
        model[start : start + len(data)] = data
    elif kind == "fill" and writable:
        start = number % length
        with memoryview(mapping) as view:
            view[start:] = bytes([value]) * (length - start)
        model[start:length] = bytes([value]) * (length - start)
    elif kind == "resize":
        libc.mremap(mapping, number, libc.MREMAP_MAYMOVE)
        del model[_pages(number) * PAGE :]
        model.extend(bytes(_pages(number) * PAGE - len(model)))
    elif kind == "cut head" and _pages(number) < _pages(length):
        libc.munmap(mapping, length=number)
        del model[: _pages(number) * PAGE]
    elif kind == "cut tail" and 0 < number < _pages(length):
        libc.munmap(mapping, offset=number * PAGE)
        del model[number * PAGE :]
    elif kind == "forget" and number < _pages(length):
        libc.madvise(mapping, libc.MADV_DONTNEED, offset=number * PAGE, length=min(PAGE, length - number * PAGE))
        model[number * PAGE : (number + 1) * PAGE] = bytes(PAGE)
    elif kind == "protect":
        libc.mprotect(mapping, number)
        assert (mapping.readable, mapping.readonly) == (number != libc.PROT_NONE, number != BOTH)
    elif kind == "copy" and writable:
        other = libc.mmap(None, length, BOTH, PRIVATE)
        with memoryview(mapping) as source, memoryview(other) as target:
            target[:] = source
        libc.munmap(mapping)
        model[length:] = bytes(len(model) - length)  # what a page has behind the end does not come along
        return other
    return mapping


def test_a_mapping_behaves_as_a_bytearray(fork: Fork) -> None:
    @settings(max_examples=200, database=None)
    @given(st.integers(1, 4 * PAGE), st.lists(STEPS, max_size=30))
    def hold(length: int, steps: list[tuple[str, Any, Any]]) -> None:
        mapping = libc.mmap(None, length, BOTH, PRIVATE)
        model = bytearray(_pages(length) * PAGE)
        try:
            for kind, number, value in steps:
                mapping = _step(mapping, model, kind, number, value)
                assert _pages(len(mapping)) * PAGE == len(model)
                if mapping.readable:
                    assert bytes(mapping) == model[: len(mapping)]
        finally:
            libc.munmap(mapping)

    fork(hold).result()


def _wanted(model: list[tuple[int, bytes]], msgtyp: int, *, other: bool) -> int | None:
    """The position of the message that msgrcv(2) takes."""
    types = [mtype for mtype, _ in model]
    if msgtyp == 0:
        matching = list(range(len(types)))
    elif msgtyp > 0:
        matching = [position for position, mtype in enumerate(types) if (mtype != msgtyp) == other]
    else:
        lowest = min((mtype for mtype in types if mtype <= -msgtyp), default=None)
        matching = [position for position, mtype in enumerate(types) if mtype == lowest]
    return matching[0] if matching else None


SEND = st.tuples(st.just("send"), st.sampled_from([1, 2, 3, 4, 2**31, 2**63 - 1]), st.binary(max_size=20))
RECEIVE = st.tuples(st.just("receive"), st.sampled_from([0, 1, 2, 3, 4, 5, -1, -2, -3, -4, -(2**63)]), st.booleans())


def test_a_queue_behaves_as_a_list_of_messages(queue: int, fork: Fork) -> None:
    @settings(max_examples=300, database=None)
    @given(st.lists(st.one_of(SEND, RECEIVE), max_size=40))
    def hold(steps: list[tuple[str, int, Any]]) -> None:
        model: list[tuple[int, bytes]] = []
        for kind, mtype, value in steps:
            if kind == "send":
                libc.msgsnd(queue, mtype, value, libc.IPC_NOWAIT)
                model.append((mtype, value))
                continue
            flags = libc.IPC_NOWAIT | (libc.MSG_EXCEPT if value else 0)
            position = _wanted(model, mtype, other=value)
            if position is None:
                with pytest.raises(OSError, match="no such message"):
                    libc.msgrcv(queue, 20, mtype, flags)
            else:
                assert libc.msgrcv(queue, 20, mtype, flags) == model.pop(position)
        ds = libc.msgctl(queue, libc.IPC_STAT)
        assert (ds.msg_qnum, ds.msg_cbytes) == (len(model), sum(len(text) for _, text in model))
        assert [libc.msgrcv(queue, 20, 0, libc.IPC_NOWAIT) for _ in model] == model

    fork(hold).result()
