"""All objects and who holds each, from one look at every process; what was left behind; what several have mapped."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from enum import StrEnum
from operator import index
from typing import TYPE_CHECKING, TypeAlias

from unixipc.inventory import scan
from unixipc.inventory.files import Fifo, MemoryFile, fifos, memory_files
from unixipc.inventory.holding import Holder, Holders
from unixipc.inventory.posix import PosixObject, PosixQueue, posix_memory, posix_queues
from unixipc.inventory.sockets import UnixSocket, sockets
from unixipc.inventory.sysv import (
    MessageQueue,
    Segment,
    SemaphoreSet,
    SysvObject,
    message_queues,
    segments,
    semaphore_sets,
    semaphore_states,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from unixipc.inventory.scan import Descriptor, Mapping, Process

Thing: TypeAlias = Segment | MessageQueue | SemaphoreSet | PosixObject | MemoryFile | Fifo | UnixSocket
"""Any object; its `kind` is a word for it."""

_Key: TypeAlias = tuple[object, ...]


class Orphaned(StrEnum):
    """Whether an object was left behind."""

    YES = "yes"
    """Who made it is gone, and nobody holds it."""
    LIKELY = "likely"
    """Nobody holds it and who is known to have used it is gone; who made it the kernel does not tell."""
    UNKNOWN = "unknown"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an object was left behind, and what tells so, in words."""

    orphaned: Orphaned
    why: str


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A file that several processes have in their memory; which of them have it where, `holders` tells."""

    path: str
    device: int
    inode: int
    holders: Holders

    @property
    def is_code(self) -> bool:
        """Whether some of it is mapped to be executed, as that of a shared library or a program is."""
        return any("x" in mapping.permissions for holder in self.holders.known for mapping in holder.mappings)

    @property
    def is_shared(self) -> bool:
        """Whether what one of them writes there another can see."""
        return sum(any(mapping.shared for mapping in holder.mappings) for holder in self.holders.known) > 1


@dataclass(frozen=True, slots=True)
class Census:
    """What `look` found; the parts were read one after the other, and need not be of the same moment."""

    segments: tuple[Segment, ...]
    message_queues: tuple[MessageQueue, ...]
    semaphore_sets: tuple[SemaphoreSet, ...]
    posix_memory: tuple[PosixObject, ...]
    posix_queues: tuple[PosixQueue, ...]
    memory_files: tuple[MemoryFile, ...]
    fifos: tuple[Fifo, ...]
    sockets: tuple[UnixSocket, ...]
    lacking: tuple[str, ...]
    """What could not be listed, and why."""
    unseen: tuple[int, ...]
    """The processes that this one may not look at; pid 1 stands for those that /proc hides (hidepid)."""
    _holdings: _Holdings = field(repr=False, compare=False)

    def __iter__(self) -> Iterator[Thing]:
        yield from self.segments
        yield from self.message_queues
        yield from self.semaphore_sets
        yield from self.posix_memory
        yield from self.posix_queues
        yield from self.memory_files
        yield from self.fifos
        yield from self.sockets

    def holders(self, thing: Thing) -> Holders:
        """Tell which processes have an object open, mapped or attached; for a System V queue or set, which wait."""
        return self._holdings.of(thing)

    def verdict(self, thing: Thing) -> Verdict:
        """Tell whether an object was left behind, as far as the kernel knows; whether a pid is in use, as of now.

        A pid that was given to another process since looks as if who had it before were still there.
        """
        match thing:
            case Segment():
                return _verdict_of_segment(thing)
            case MessageQueue():
                return _verdict_of_queue(thing, self.holders(thing))
            case SemaphoreSet():
                return _verdict_of_set(thing, self.holders(thing))
            case PosixObject():
                return _verdict_of_name(self.holders(thing))
        return Verdict(Orphaned.NO, "it goes with the last process that holds it")

    def orphans(self, *, likely: bool = False) -> tuple[Thing, ...]:
        """List what was left behind; what likely was, too, if that is asked for."""
        wanted = (Orphaned.YES, Orphaned.LIKELY) if likely else (Orphaned.YES,)
        return tuple(thing for thing in self if self.verdict(thing).orphaned in wanted)


def look() -> Census:
    """List all objects of the present namespaces, and look at every process once for who holds them.

    What this process may not look at is no error: `lacking`, `unseen` and `Holders.complete` tell what is missing.
    """
    lacking, memory, queues = list[str](), tuple[PosixObject, ...](), tuple[PosixQueue, ...]()
    try:
        memory = posix_memory()
        queues = posix_queues()
    except PermissionError as error:
        lacking.append(str(error))
    sysv, unix = (segments(), message_queues(), semaphore_sets()), sockets()
    holdings = _Holdings.find((*sysv[0], *sysv[1], *sysv[2], *memory, *queues), descriptors=True)
    return Census(
        *sysv,
        memory,
        queues,
        memory_files(holdings.processes),
        fifos(holdings.processes),
        unix,
        tuple(lacking),
        holdings.unseen,
        holdings,
    )


def holders(thing: Thing) -> Holders:
    """Find the processes that hold one object; for several, `look` costs less."""
    return _Holdings.find([thing], descriptors=not isinstance(thing, SysvObject)).of(thing)


def shared_mappings(pids: Iterable[int] | None = None) -> tuple[MappedFile, ...]:
    """List the files that two or more processes have mapped, of all processes or of those given.

    Among them are the shared libraries, whose pages they share, memory of System V and POSIX, and shared memory without
    a name. A process that has ended has nothing mapped; one that may not be looked at makes all `holders` incomplete.
    """
    if pids is None:
        return tuple(_Holdings.find((), descriptors=False).mapped_by_several())
    return tuple(_Holdings(tuple(scan.look_at(sorted(set(map(index, pids))), files=None))).mapped_by_several())


class _Holdings:
    """What processes hold, by the object."""

    def __init__(self, processes: tuple[Process, ...], hidden: tuple[int, ...] = ()) -> None:
        self.processes = processes
        self.unseen = (*hidden, *(process.pid for process in processes if not process.seen))
        self._waits_seen = all(process.waits_seen for process in processes)
        self._own = scan.own_namespace()
        self._held = defaultdict[_Key, list[Holder]](list)
        for process in processes:
            for key, (descriptors, mappings, waiting) in _held_by(process).items():
                holder = Holder(process.pid, process.name, tuple(descriptors), tuple(mappings), tuple(waiting))
                self._held[key].append(holder)

    @classmethod
    def find(cls, things: Iterable[Thing], *, descriptors: bool) -> _Holdings:
        """Look at every process for things that were listed before: whoever made one of them is older than the look."""
        things, pids = tuple(things), scan.pids()
        places = {(thing.device, thing.inode) for thing in things if isinstance(thing, PosixObject)}
        waits = any(isinstance(thing, MessageQueue | SemaphoreSet) for thing in things)
        processes = tuple(scan.look_at(pids, files=places if descriptors else None, waits=waits))
        return cls(processes, () if 1 in pids else (1,))

    def of(self, thing: Thing) -> Holders:
        known = tuple(self._held.get(self._key(thing), ()))
        if isinstance(thing, Segment):
            complete = sum(len(holder.mappings) for holder in known) >= thing.attached
        elif isinstance(thing, MessageQueue | SemaphoreSet):
            complete = not self.unseen and self._waits_seen
        else:
            complete = not self.unseen
        return Holders(known, complete)

    def _key(self, thing: Thing) -> _Key:
        match thing:
            case Segment() | MessageQueue() | SemaphoreSet():
                return thing.kind, self._own, thing.id
            case UnixSocket():
                return thing.kind, thing.inode
            case PosixObject() | MemoryFile() | Fifo():
                return thing.device, thing.inode
        raise TypeError(f"holders are those of a thing that the inventory listed, not of {thing!r}")

    def mapped_by_several(self) -> Iterator[MappedFile]:
        for known in self._held.values():
            if len(known) > 1:
                first = known[0].mappings[0]
                yield MappedFile(first.path, first.device, first.inode, Holders(tuple(known), not self.unseen))


def _held_by(process: Process) -> dict[_Key, tuple[list[Descriptor], list[Mapping], list[int]]]:
    held = defaultdict[_Key, tuple[list["Descriptor"], list["Mapping"], list[int]]](lambda: ([], [], []))
    for place, file in process.files.items():
        held[place][0].extend(file.descriptors)
    for inode, descriptors in process.sockets.items():
        held[UnixSocket.kind, inode][0].extend(descriptors)
    for mapping in process.mappings:  # a segment's number is one of its namespace; others can have it, too
        place = mapping.device, mapping.inode
        held[(Segment.kind, process.namespace, mapping.inode) if mapping.attached else place][1].append(mapping)
    for kind, number, thread in process.waits:
        held[kind, process.namespace, number][2].append(thread)
    return held


def _verdict_of_segment(segment: Segment) -> Verdict:
    if segment.attached:
        return Verdict(Orphaned.NO, f"it is attached {segment.attached} times")
    if not segment.creator:
        return Verdict(Orphaned.UNKNOWN, "a process of another pid namespace made it")
    if scan.lives(segment.creator):
        return Verdict(Orphaned.NO, f"process {segment.creator}, which made it, is there")
    return Verdict(Orphaned.YES, f"process {segment.creator}, which made it, is gone, and nobody has it attached")


def _verdict_of_queue(queue: MessageQueue, waiting: Holders) -> Verdict:
    if (queue.stime and not queue.last_sender) or (queue.rtime and not queue.last_receiver):
        return Verdict(Orphaned.UNKNOWN, "a process of another pid namespace has used it")
    return _verdict_by_use({queue.last_sender, queue.last_receiver}, waiting)


def _verdict_of_set(found: SemaphoreSet, waiting: Holders) -> Verdict:
    states = semaphore_states(found.id)
    if states is None:
        return Verdict(Orphaned.UNKNOWN, "it may not be read, or was removed")
    if any(state.waiting or state.waiting_for_zero for state in states):
        return Verdict(Orphaned.NO, "somebody waits for it")
    return _verdict_by_use({state.last_pid for state in states}, Holders(waiting.known, complete=True))


def _verdict_by_use(users: set[int], waiting: Holders) -> Verdict:
    """Judge what has no record of who made it."""
    users -= {0}
    if waiting.known:
        return Verdict(Orphaned.NO, f"process {waiting.pids[0]} waits for it")
    if not users:
        return Verdict(Orphaned.UNKNOWN, "nobody has used it, and who made it is not recorded")
    for pid in sorted(users):
        if scan.lives(pid):
            return Verdict(Orphaned.NO, f"process {pid}, which has used it, is there")
    gone = f"process {', '.join(map(str, sorted(users)))}, which used it last, is gone"
    if not waiting.complete:
        return Verdict(Orphaned.UNKNOWN, f"{gone}, but there are processes that may not be looked at")
    return Verdict(Orphaned.LIKELY, f"{gone}, and nobody waits for it; who made it is not recorded")


def _verdict_of_name(holders: Holders) -> Verdict:
    if holders.known:
        return Verdict(Orphaned.NO, f"process {holders.pids[0]} holds it")
    if not holders.complete:
        return Verdict(Orphaned.UNKNOWN, "none of the processes that may be looked at holds it")
    return Verdict(Orphaned.LIKELY, "nobody has it open or mapped; who made it is not recorded")
