"""How each kind of thing that can be left behind is looked at, and told."""

from __future__ import annotations

import os
import re
import resource
import signal
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from unixipc import inventory, libc, signals
from unixipc.testing import owners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class LeakKind(StrEnum):
    """What can be left behind."""

    DESCRIPTOR = "descriptor"
    CHILD = "child"
    THREAD = "thread"
    MASK = "signal mask"
    DISPOSITION = "disposition"
    WAKEUP_FD = "wakeup fd"
    SIGNAL_STACK = "signal stack"
    UMASK = "umask"
    FOLDER = "working directory"
    INTERVAL_TIMER = "interval timer"
    POSIX_TIMER = "POSIX timer"
    SHARED_MEMORY = "POSIX shared memory"
    POSIX_QUEUE = "POSIX message queue"
    SEGMENT = "System V segment"
    MESSAGE_QUEUE = "System V message queue"
    SEMAPHORE_SET = "System V semaphore set"


Things: TypeAlias = Mapping[object, object]
"""By what a thing is called: what must be equal for it to be the same."""


class UnseenError(Exception):
    """A kind cannot be looked at here; the text says why."""


@dataclass(frozen=True, slots=True)
class Look:
    """One kind: `look` takes the text of /proc/self/status; `tell` gives None for what is none of our business."""

    look: Callable[[str], Things]
    tell: Callable[[Any, Any, Any], str | None]
    also_gone: bool = False
    """Whether it counts as well when something is no longer there."""


@dataclass(frozen=True, slots=True)
class _File:
    identity: object
    target: str = field(compare=False)


_TIMER = re.compile(r"^ID: (\d+)\nsignal: (\d+)/.*\nnotify: (\S+)\n", re.MULTILINE)
_POKES = {libc.SIGURG, libc.SIGRTMAX}  # what the timer of the delivery sends to the main thread (docs/delivery.md)
_ITIMERS = {
    "ITIMER_REAL": signal.ITIMER_REAL,
    "ITIMER_VIRTUAL": signal.ITIMER_VIRTUAL,
    "ITIMER_PROF": signal.ITIMER_PROF,
}
_CHUNK = 65536
_SEARCHED = 65536
_ITSELF = ""  # what the one thing of a kind is called


def read(path: str) -> str:
    """Read a file of /proc, in less time than an object for it takes."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        chunks = []
        while chunk := os.read(fd, _CHUNK):
            chunks.append(chunk)
        return b"".join(chunks).decode(errors="replace")
    finally:
        os.close(fd)


# -- of the process --


def _descriptors(_status: str) -> Things:
    folder = os.open("/proc/self/fd", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        numbers = map(int, os.listdir(folder))  # noqa: PTH208 - of a descriptor
        return _files(number for number in numbers if number != folder)
    finally:
        os.close(folder)


def descriptors_by_number() -> Things:
    """Look at descriptors when none is free to do so with."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _files(range(max(soft, min(hard, _SEARCHED))))  # those opened under a higher limit lie above this one


def _files(numbers: Iterable[int]) -> Things:
    found = dict[object, object]()
    for number in numbers:
        with suppress(OSError):  # closed by another thread
            target = os.readlink(f"/proc/self/fd/{number}")  # noqa: PTH115 - quicker
            status = os.fstat(number)
            # All descriptors of no file may share one inode.
            identity = target if target.startswith("anon_inode:") else (status.st_dev, status.st_ino)
            found[number] = _File(identity, target)
    return found


def _tell_descriptor(number: int, before: _File | None, now: _File | None) -> str:
    if now is None:
        return f"{number} ({before and before.target}) was closed"
    text = f"{number} ({owners.file(number, now.target)})"
    return text if before is None else f"{text} in place of {before.target}"


def _children(_status: str) -> Things:
    found = dict[object, object]()
    for task in os.listdir("/proc/self/task"):  # noqa: PTH208 - quicker
        try:
            pids = read(f"/proc/self/task/{task}/children").split()
        except FileNotFoundError as error:
            if os.path.exists(f"/proc/self/task/{task}"):  # noqa: PTH110 - quicker
                raise UnseenError("the kernel needs CONFIG_PROC_CHILDREN") from error
        except ProcessLookupError:
            pass
        else:
            found |= dict.fromkeys(map(int, pids))
    return found


def _tell_child(pid: int, _before: object, _now: object) -> str | None:
    return owners.process(pid)


def _threads(_status: str) -> Things:
    return dict.fromkeys(map(int, os.listdir("/proc/self/task")))  # noqa: PTH208 - quicker


def _tell_thread(tid: int, _before: object, _now: object) -> str | None:
    for thread in threading.enumerate():
        if thread.native_id == tid:
            target = getattr(thread, "_target", None)
            does = "" if target is None else f", which runs {owners.function(target)}"
            return f"{thread.name!r}{does}{', a daemon' if thread.daemon else ''}"
    try:
        name = Path(f"/proc/self/task/{tid}/comm").read_text().strip()
    except OSError:
        return None
    return f"{tid} ({name}), which Python knows nothing of"


def _umask(status: str) -> Things:
    return {_ITSELF: int(_field(status, "Umask"), 8)}


def _tell_umask(_name: str, before: int, now: int) -> str:
    return f"{before:03o} became {now:03o}"


def _folder(_status: str) -> Things:
    status = os.stat(".")  # noqa: PTH116 - quicker
    return {_ITSELF: _File((status.st_dev, status.st_ino), os.readlink("/proc/self/cwd"))}  # noqa: PTH115


def _tell_folder(_name: str, before: _File, now: _File) -> str:
    return f"{before.target} became {now.target}"


def _field(status: str, name: str) -> str:
    _, found, rest = status.partition(f"\n{name}:\t")
    if not found:
        raise UnseenError(f"the kernel does not tell {name} in /proc/self/status")
    return rest.partition("\n")[0]


# -- of its signals --


def _mask(_status: str) -> Things:
    return {_ITSELF: libc.sigprocmask(libc.SIG_BLOCK)}


def _tell_mask(_name: str, before: libc.SignalSet, now: libc.SignalSet) -> str:
    changes = [
        f"{_names(signums)} {what}"
        for signums, what in ((now - before, "blocked"), (before - now, "unblocked"))
        if signums
    ]
    return ", ".join(changes)


def _names(signums: Iterable[int]) -> str:
    return " ".join(map(signals.name, signums))


def _dispositions(status: str) -> Things:
    """Look only at those that are not the default: a call for each of 62 signals takes its time."""
    known = int(_field(status, "SigIgn"), 16) | int(_field(status, "SigCgt"), 16)
    actions = {signum: libc.sigaction(signum) for signum in libc.SignalSet.from_mask(known)}
    return {signum: action for signum, action in actions.items() if action.handler != libc.SIG_DFL}


def _tell_disposition(signum: int, before: libc.Sigaction | None, now: libc.Sigaction | None) -> str:
    return f"{signals.name(signum)}: {_action(before)} became {_action(now)}"


def _action(action: libc.Sigaction | None) -> str:
    if action is None:
        return "SIG_DFL"
    handler = action.handler
    if isinstance(handler, libc.NativeHandler) and handler.python is not None:
        return owners.function(handler.python)
    text = handler.name if isinstance(handler, libc.Disposition) else owners.function(handler)
    mask = f", mask {_names(action.mask)}" if action.mask else ""
    flags = f", {action.flags!r}" if action.flags else ""
    return f"{text}{mask}{flags}"


def _wakeup_fd(_status: str) -> Things:
    if threading.current_thread() is not threading.main_thread():
        raise UnseenError("only the main thread can be told the wakeup fd")
    mask = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())
    try:
        number = signal.set_wakeup_fd(-1)
        if number != -1:
            signal.set_wakeup_fd(number, warn_on_full_buffer=False)  # as event loops mostly want it; nobody can ask
    finally:
        libc.sigprocmask(libc.SIG_SETMASK, mask)
    return {_ITSELF: number}


def _signal_stack(_status: str) -> Things:
    return {_ITSELF: libc.sigaltstack()}


def _tell_change(_name: str, before: object, now: object) -> str:
    return f"{before} became {now}"


# -- of its time --


def _interval_timers(_status: str) -> Things:
    return {name: None for name, number in _ITIMERS.items() if signal.getitimer(number)[0] > 0}


def _tell_interval_timer(name: str, _before: object, _now: object) -> str:
    left, interval = signal.getitimer(_ITIMERS[name])
    return f"{name} rings in {left:g} seconds{f' and then every {interval:g}' if interval else ''}"


def _posix_timers(_status: str) -> Things:
    try:
        text = read("/proc/self/timers")
    except FileNotFoundError as error:
        raise UnseenError("the kernel needs CONFIG_CHECKPOINT_RESTORE") from error
    timers = [(int(number), int(signum), notify) for number, signum, notify in _TIMER.findall(text)]
    return {
        number: signum
        for number, signum, notify in timers
        if signum not in _POKES or not notify.startswith("signal/tid")
    }


def _tell_posix_timer(number: int, _before: int | None, now: int) -> str:
    return f"timer {number}, which sends {signals.name(now) if now else 'nothing'}"


# -- of the system --


def _memory(_status: str) -> Things:
    return dict.fromkeys(inventory.memory_names())


def _tell_memory(name: str, _before: object, _now: object) -> str | None:
    return _posix(thing for thing in inventory.posix_memory() if thing.path == name)


def _queues(_status: str) -> Things:
    return dict.fromkeys(inventory.queue_names())


def _tell_queue(name: str, _before: object, _now: object) -> str | None:
    return _posix(thing for thing in inventory.posix_queues() if thing.name == name)


def _posix(found: Iterable[inventory.PosixObject]) -> str | None:
    for thing in found:
        if thing.uid == os.geteuid():
            size = "" if thing.size is None else f" with {thing.size} bytes"
            what = "semaphore " if thing.kind == "semaphore" else ""
            return f"{what}{thing.name!r}{size}, {_held(thing)}"
    return None


def _held(thing: inventory.PosixObject | inventory.Segment) -> str:
    pids = inventory.holders(thing).pids
    if not pids:
        return "which nobody holds"
    return f"held by {', '.join(owners.which(pid) for pid in pids)}"


def _own(things: Iterable[inventory.SysvObject]) -> Things:
    user = os.geteuid()
    return {thing.id: None for thing in things if user in (thing.uid, thing.cuid)}


def _segments(_status: str) -> Things:
    return _own(inventory.segments())


def _tell_segment(number: int, _before: object, _now: object) -> str | None:
    for thing in inventory.segments():
        if thing.id == number:
            return f"{_sysv(thing)} with {thing.size} bytes, made by {owners.which(thing.creator)}, {_held(thing)}"
    return None


def _message_queues(_status: str) -> Things:
    return _own(inventory.message_queues())


def _tell_message_queue(number: int, _before: object, _now: object) -> str | None:
    for thing in inventory.message_queues():
        if thing.id == number:
            users = {pid for pid in (thing.last_sender, thing.last_receiver) if pid}
            used = f"last used by {', '.join(map(owners.which, users))}" if users else "never used"
            return f"{_sysv(thing)} with {thing.messages} messages, {used}"
    return None


def _semaphore_sets(_status: str) -> Things:
    return _own(inventory.semaphore_sets())


def _tell_semaphore_set(number: int, _before: object, _now: object) -> str | None:
    for thing in inventory.semaphore_sets():
        if thing.id == number:
            return f"{_sysv(thing)} of {thing.semaphores} semaphores"
    return None


def _sysv(thing: inventory.SysvObject) -> str:
    return f"id {thing.id} ({f'key {thing.key & 0xFFFFFFFF:#010x}' if thing.key else 'IPC_PRIVATE'})"


LOOKS = {
    LeakKind.DESCRIPTOR: Look(_descriptors, _tell_descriptor, also_gone=True),
    LeakKind.CHILD: Look(_children, _tell_child),
    LeakKind.THREAD: Look(_threads, _tell_thread),
    LeakKind.MASK: Look(_mask, _tell_mask),
    LeakKind.DISPOSITION: Look(_dispositions, _tell_disposition, also_gone=True),
    LeakKind.WAKEUP_FD: Look(_wakeup_fd, _tell_change),
    LeakKind.SIGNAL_STACK: Look(_signal_stack, _tell_change),
    LeakKind.UMASK: Look(_umask, _tell_umask),
    LeakKind.FOLDER: Look(_folder, _tell_folder),
    LeakKind.INTERVAL_TIMER: Look(_interval_timers, _tell_interval_timer),
    LeakKind.POSIX_TIMER: Look(_posix_timers, _tell_posix_timer),
    LeakKind.SHARED_MEMORY: Look(_memory, _tell_memory),
    LeakKind.POSIX_QUEUE: Look(_queues, _tell_queue),
    LeakKind.SEGMENT: Look(_segments, _tell_segment),
    LeakKind.MESSAGE_QUEUE: Look(_message_queues, _tell_message_queue),
    LeakKind.SEMAPHORE_SET: Look(_semaphore_sets, _tell_semaphore_set),
}
