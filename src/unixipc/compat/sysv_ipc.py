"""The interface of sysv_ipc 1.2.0, whose documentation describes it; docs/compat.md lists what is different here."""

from __future__ import annotations

import errno
import secrets
import warnings
from contextlib import contextmanager, suppress
from dataclasses import replace
from operator import attrgetter, index
from typing import TYPE_CHECKING, Generic, NoReturn, Self, TypeVar, overload

from unixipc import libc
from unixipc.libc.arguments import int_argument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Buffer, Never

__all__ = [
    "IPC_CREAT",
    "IPC_CREX",
    "IPC_EXCL",
    "IPC_PRIVATE",
    "KEY_MAX",
    "KEY_MIN",
    "PAGE_SIZE",
    "SEMAPHORE_TIMEOUT_SUPPORTED",
    "SEMAPHORE_VALUE_MAX",
    "SHM_HUGETLB",
    "SHM_NORESERVE",
    "SHM_RDONLY",
    "SHM_REMAP",
    "SHM_RND",
    "VERSION",
    "BusyError",
    "Error",
    "ExistentialError",
    "InternalError",
    "MessageQueue",
    "NotAttachedError",
    "PermissionsError",
    "Semaphore",
    "SharedMemory",
    "attach",
    "ftok",
    "remove_message_queue",
    "remove_semaphore",
    "remove_shared_memory",
]

VERSION = __version__ = "1.2.0"  # of the interface
__author__ = __copyright__ = "The unixipc developers"
__license__ = "MIT"

IPC_CREAT = int(libc.IPC_CREAT)
IPC_EXCL = int(libc.IPC_EXCL)
IPC_CREX = IPC_CREAT | IPC_EXCL
IPC_PRIVATE = libc.IPC_PRIVATE
KEY_MIN, KEY_MAX = -(2**31), 2**32 - 1
PAGE_SIZE = libc.PAGE_SIZE
SEMAPHORE_TIMEOUT_SUPPORTED = True
SEMAPHORE_VALUE_MAX = 32767  # SEMVMX
SHM_HUGETLB = int(libc.SHM_HUGETLB)
SHM_NORESERVE = int(libc.SHM_NORESERVE)
SHM_RDONLY = int(libc.SHM_RDONLY)
SHM_REMAP = int(libc.SHM_REMAP)
SHM_RND = int(libc.SHM_RND)

_FOR_EVER = 1e9  # seconds, more than the kernel will count
_LONGEST_MESSAGE = 2**31 - 1  # bytes: kernel.msgmax is an int
_FILLED_AT_ONCE = 2**20  # bytes

_T = TypeVar("_T")


# -- errors: each is the peer's, and the builtin one of its errno --


class Error(OSError):
    """The base of the module's errors; raised itself when a signal ends a wait."""


class InternalError(Error):
    """Never raised: it is there for programs that catch it."""


class PermissionsError(Error, PermissionError):
    """The object's mode, owner or creator forbids it."""


class ExistentialError(Error):
    """The object does not exist, or exists already."""


class BusyError(Error):
    """It would have to wait, or has waited for long enough."""


class NotAttachedError(Error):
    """The segment is not attached here."""


class MissingError(ExistentialError, FileNotFoundError):
    """No object has the key."""


class TakenError(ExistentialError, FileExistsError):
    """An object has the key already."""


class RemovedError(ExistentialError, libc.IdentifierRemovedError):
    """The object was removed."""


class TimedOutError(BusyError, TimeoutError):
    """The time is up."""


class WouldBlockError(BusyError, BlockingIOError):
    """It would have to wait, and may not."""


class SignalError(Error, InterruptedError):
    """A signal came during the wait, and its handler has run."""


_USING: Mapping[int, type[Exception]] = {
    errno.EACCES: PermissionsError,
    errno.EAGAIN: WouldBlockError,
    errno.EEXIST: TakenError,
    errno.EIDRM: RemovedError,
    errno.EINTR: SignalError,
    errno.EINVAL: ExistentialError,
    errno.ENOENT: MissingError,
    errno.ENOMEM: MemoryError,
    errno.ENOMSG: WouldBlockError,
    errno.EPERM: PermissionsError,
    errno.ERANGE: ValueError,
}
_WITH_SIZE = {**_USING, errno.EINVAL: ValueError}  # where a size or an address can be wrong, too
_SENDING = {**_USING, errno.EINVAL: OSError, errno.ENOMEM: OSError}
_DETACHING = {errno.EINVAL: NotAttachedError}

_OUT_OF_RANGE = "The semaphore's value must remain between 0 and SEMVMX"


def _translated(error: OSError, kinds: Mapping[int, type[Exception]]) -> Exception:
    kind = kinds.get(error.errno or 0, OSError)
    if issubclass(kind, OSError):
        return kind(error.errno, error.strerror)
    return kind(_OUT_OF_RANGE if error.errno == errno.ERANGE else error.strerror)


@contextmanager
def _translating(kinds: Mapping[int, type[Exception]] = _USING) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _translated(error, kinds) from None


# -- attributes: those that cannot be set say so in the peer's words, which a property does not --


class _Attribute(Generic[_T]):
    def __init__(self, path: str, doc: str) -> None:
        self._get: Callable[[object], _T] = attrgetter(path)
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, thing: None, owner: type) -> Self: ...
    @overload
    def __get__(self, thing: object, owner: type) -> _T: ...
    def __get__(self, thing: object, owner: type) -> Self | _T:
        return self if thing is None else self._get(thing)

    def __delete__(self, thing: object) -> NoReturn:
        self._refuse(thing)

    def _refuse(self, thing: object) -> NoReturn:
        kind = type(thing)
        raise AttributeError(
            f"attribute '{self._name}' of '{kind.__module__}.{kind.__qualname__}' objects is not writable"
        )


class _ReadOnly(_Attribute[_T]):
    def __set__(self, thing: object, value: Never) -> NoReturn:
        self._refuse(thing)


class _Id(_ReadOnly[int]):
    def _refuse(self, thing: object) -> NoReturn:
        raise AttributeError("readonly attribute")


class _Writable(_Attribute[int]):
    def __set__(self, thing: _Object, value: int) -> None:
        if not isinstance(value, int):
            raise TypeError(f"Attribute '{self._name}' must be an integer")
        with _translating():
            thing._set(self._name, value)


# -- what the three classes have in common --


class _Object:
    __slots__ = ("_id", "_key")

    _id: int
    _key: int

    id = _Id("_id", "The id that the system gave the object.")
    key = _ReadOnly[int]("_key", "The key given to the constructor, or found by it.")
    uid = _Writable("_perm.uid", "Whose the object is.")
    gid = _Writable("_perm.gid", "Of which group the object is.")
    mode = _Writable("_perm.mode", "The permissions.")
    cuid = _ReadOnly[int]("_perm.cuid", "Who created the object.")
    cgid = _ReadOnly[int]("_perm.cgid", "Of which group its creator was.")

    def __str__(self) -> str:
        return f"Key={self._key}, id={self._id}"

    def __repr__(self) -> str:
        return f"sysv_ipc.{type(self).__name__}({self._key})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} objects: pass the key or the id on")

    @property
    def _perm(self) -> libc.IpcPerm:
        raise NotImplementedError

    def _set(self, name: str, value: int) -> None:
        raise NotImplementedError


def _find(key: int | None, flags: int, get: Callable[[int], int]) -> tuple[int, int]:
    """Get the id for a key, or for a random one where it is None, and return both."""
    if flags & IPC_EXCL and not flags & IPC_CREAT:
        raise ValueError("IPC_EXCL must be combined with IPC_CREAT")
    if key is None:
        if not flags & IPC_EXCL:
            raise ValueError("Key can only be None if IPC_EXCL is set")
        while True:
            key = 1 + secrets.randbelow(2**15 - 2)
            with suppress(FileExistsError):
                return key, get(key)
    if not isinstance(key, int):
        raise TypeError("Key must be an integer or None")
    if not KEY_MIN <= key <= KEY_MAX:
        raise ValueError(f"Key must be between {KEY_MIN} (KEY_MIN) and {KEY_MAX} (KEY_MAX)")
    key = key if key < 2**31 else key - 2**32
    return key, get(key)


# -- semaphores --


def _create_semaphore(key: int, mode: int, value: int) -> int:
    semid = libc.semget(key, 1, IPC_CREX | mode)
    if mode & 0o200:
        try:
            libc.semctl(semid, 0, libc.SETVAL, value)
        except BaseException:
            libc.semctl(semid, 0, libc.IPC_RMID)
            raise
    return semid


def _get_semaphore(key: int, flags: int, mode: int, value: int) -> int:
    """Get the id of a semaphore; only a new one is given its value."""
    if flags == IPC_CREX:
        return _create_semaphore(key, mode, value)
    if flags == 0:
        return libc.semget(key, 1, mode)
    while True:
        with suppress(FileExistsError):
            return _create_semaphore(key, mode, value)
        with suppress(FileNotFoundError):  # it was removed just now
            return libc.semget(key, 1, mode)


def _check_timeout(timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if not isinstance(timeout, int | float) or not 0 <= timeout:
        raise TypeError("The timeout must be None or a non-negative number")
    return timeout if timeout < _FOR_EVER else None


def _check_delta(delta: int) -> int:
    number = index(delta)
    if not -(2**15) <= number < 2**15:
        raise OverflowError(f"delta is {number}: it must fit a C short")
    if number == 0:
        raise ValueError("The delta must be non-zero")
    return abs(number)


class Semaphore(_Object):
    """A semaphore: the only one, or the first, of its set."""

    __slots__ = ("_flags",)

    last_pid = _ReadOnly[int]("_last_pid", "The process that operated on it last.")
    waiting_for_nonzero = _ReadOnly[int]("_waiting_for_nonzero", "How many wait in acquire().")
    waiting_for_zero = _ReadOnly[int]("_waiting_for_zero", "How many wait in Z().")
    o_time = _ReadOnly[int]("_status.sem_otime", "When it was last operated on; 0 for never.")

    def __init__(self, key: int | None, flags: int = 0, mode: int = 0o600, initial_value: int = 0) -> None:
        flags, mode = int_argument(flags, "flags") & IPC_CREX, int_argument(mode, "mode") & 0o777
        value = int_argument(initial_value, "initial_value")
        with _translating():
            self._key, self._id = _find(key, flags, lambda key: _get_semaphore(key, flags, mode, value))
        self._flags = 0

    def _operate(self, change: int, timeout: float | None) -> None:
        sops, left = ((0, change, self._flags),), _check_timeout(timeout)
        try:
            if left is None:
                libc.semop(self._id, sops)
            else:
                libc.semtimedop(self._id, sops, left)
        except OSError as error:
            if left and error.errno == errno.EAGAIN and self.block:
                raise TimedOutError(errno.ETIMEDOUT, f"{self!r} was busy for all of {timeout} s") from None
            raise _translated(error, _USING) from None

    def acquire(self, timeout: float | None = None, delta: int = 1) -> None:
        """Take `abs(delta)` from the value, waiting until there is as much, for `timeout` seconds at most."""
        self._operate(-_check_delta(delta), timeout)

    def release(self, delta: int = 1) -> None:
        """Add `abs(delta)` to the value."""
        change = _check_delta(delta)
        if change > SEMAPHORE_VALUE_MAX:
            raise ValueError(_OUT_OF_RANGE)
        self._operate(change, None)

    P = acquire
    V = release

    def Z(self, timeout: float | None = None) -> None:
        """Wait until the value is 0, for `timeout` seconds at most."""
        self._operate(0, timeout)

    def remove(self) -> None:
        """Remove the semaphore from the system."""
        remove_semaphore(self._id)

    def __enter__(self) -> Self:
        self._operate(-1, None)
        return self

    def __exit__(self, *_: object) -> None:
        self._operate(1, None)

    @property
    def value(self) -> int:
        """The value."""
        with _translating():
            return libc.semctl(self._id, 0, libc.GETVAL)

    @value.setter
    def value(self, value: int) -> None:
        if not isinstance(value, int):
            raise TypeError("Attribute 'value' must be an integer")
        if not 0 <= value <= SEMAPHORE_VALUE_MAX:
            raise ValueError(_OUT_OF_RANGE)
        with _translating():
            libc.semctl(self._id, 0, libc.SETVAL, value)

    @property
    def block(self) -> bool:
        """Whether acquire(), release() and Z() wait; if not, they raise BusyError, whatever the timeout."""
        return not self._flags & libc.IPC_NOWAIT

    @block.setter
    def block(self, block: object) -> None:
        self._flags = self._flags & ~libc.IPC_NOWAIT if block else self._flags | libc.IPC_NOWAIT

    @property
    def undo(self) -> bool:
        """Whether what this process does is undone when it ends."""
        return bool(self._flags & libc.SEM_UNDO)

    @undo.setter
    def undo(self, undo: object) -> None:
        self._flags = self._flags | libc.SEM_UNDO if undo else self._flags & ~libc.SEM_UNDO

    @property
    def _last_pid(self) -> int:
        with _translating():
            return libc.semctl(self._id, 0, libc.GETPID)

    @property
    def _waiting_for_nonzero(self) -> int:
        with _translating():
            return libc.semctl(self._id, 0, libc.GETNCNT)

    @property
    def _waiting_for_zero(self) -> int:
        with _translating():
            return libc.semctl(self._id, 0, libc.GETZCNT)

    @property
    def _status(self) -> libc.SemidDs:
        with _translating():
            return libc.semctl(self._id, 0, libc.IPC_STAT)

    @property
    def _perm(self) -> libc.IpcPerm:
        return self._status.sem_perm

    def _set(self, name: str, value: int) -> None:
        ds = self._status
        libc.semctl(self._id, 0, libc.IPC_SET, replace(ds, sem_perm=replace(ds.sem_perm, **{name: value})))


def remove_semaphore(id: int, /) -> None:
    """Remove the semaphore of an id from the system."""
    with _translating():
        libc.semctl(int_argument(id, "id"), 0, libc.IPC_RMID)


# -- shared memory --


class _Attachment(libc.Attachment):
    """An attachment that may be dropped without a warning, as programs for the peer do."""

    __slots__ = ()

    def __del__(self) -> None: ...


class SharedMemory(libc.Exporter, _Object):
    """A segment of shared memory, attached by the constructor."""

    __slots__ = ("_attachments",)

    _attachments: list[tuple[_Attachment, memoryview]]  # the last is in use

    size = _ReadOnly[int]("_status.shm_segsz", "How many bytes it has.")
    address = _ReadOnly[int]("_address", "Where it is attached; 0 for nowhere.")
    attached = _ReadOnly[bool]("_attached", "Whether it is attached by this object.")
    last_attach_time = _ReadOnly[int]("_status.shm_atime", "When it was last attached; 0 for never.")
    last_detach_time = _ReadOnly[int]("_status.shm_dtime", "When it was last detached; 0 for never.")
    last_change_time = _ReadOnly[int]("_status.shm_ctime", "When it was created, or uid, gid or mode changed.")
    creator_pid = _ReadOnly[int]("_status.shm_cpid", "The process that created it.")
    last_pid = _ReadOnly[int]("_status.shm_lpid", "The process that attached or detached it last.")
    number_attached = _ReadOnly[int]("_status.shm_nattch", "How often it is attached, by all processes.")

    def __init__(
        self, key: int | None, flags: int = 0, mode: int = 0o600, size: int = 0, init_character: bytes = b" "
    ) -> None:
        flags, mode = int_argument(flags, "flags") & ~0o777, int_argument(mode, "mode") & 0o777
        size, is_new, writable = index(size), flags & IPC_CREX == IPC_CREX, bool(mode & 0o200)
        if not isinstance(init_character, bytes | bytearray) or len(init_character) != 1:
            raise TypeError("init_character must be a byte string of length 1")
        if size < 0:
            raise ValueError("The size is invalid")
        size = PAGE_SIZE if is_new and size == 0 else size
        with _translating(_WITH_SIZE):
            self._key, self._id = _find(key, flags, lambda key: libc.shmget(key, size, flags | mode))
        self._attachments = []
        try:
            self._attach(None, 0 if writable else SHM_RDONLY)
            if is_new and writable:
                self._fill(init_character)
        except BaseException:
            self._attachments = []
            if is_new:
                libc.shmctl(self._id, libc.IPC_RMID)
            raise

    @classmethod
    def _of_id(cls, id: int, address: int | None, flags: int) -> Self:
        made = cls.__new__(cls)
        made._key, made._id, made._attachments = -1, int_argument(id, "id"), []
        made._attach(address, flags)
        return made

    def _attach(self, address: int | None, flags: int) -> None:
        if address is not None and not isinstance(address, int):
            raise TypeError("address must be an integer or None")
        with _translating(_WITH_SIZE):
            attachment = libc.shmat(self._id, address, int_argument(flags, "flags"), kind=_Attachment)
        self._attachments.append((attachment, memoryview(attachment)))

    def _fill(self, character: bytes) -> None:
        view = self._view()
        some = character * min(len(view), _FILLED_AT_ONCE)
        for start in range(0, len(view), len(some)):
            part = view[start : start + len(some)]
            part[:] = some[: len(part)]

    def _view(self) -> memoryview:
        if not self._attachments:
            raise NotAttachedError(errno.EINVAL, f"{self!r} is not attached: attach() it first")
        return self._attachments[-1][1]

    def attach(self, address: int | None = None, flags: int = 0) -> None:
        """Attach the segment, at an address or anywhere; each attach() wants a detach() of its own."""
        self._attach(address, flags)

    def detach(self) -> None:
        """Detach the segment; views that are still held stay valid, and keep the kernel's attachment."""
        self._view()
        with _translating(_DETACHING):
            libc.shmdt(self._attachments.pop()[0])

    def read(self, byte_count: int = 0, offset: int = 0) -> bytes:
        """Return `byte_count` bytes, or those that there are, from `offset` on; 0 stands for all."""
        view, count, start = self._view(), index(byte_count), index(offset)
        if not 0 <= start < len(view):
            raise ValueError("The offset must be less than the segment size")
        if count < 0:
            raise ValueError("The byte_count cannot be negative")
        return view[start : start + count if count else None].tobytes()

    def write(self, s: str | Buffer | None = None, offset: int = 0, *, some_bytes: str | Buffer | None = None) -> None:
        """Write bytes from `offset` on, given as `s` or as `some_bytes`, which is what the peer's documentation says."""
        data, view, start = s if some_bytes is None else some_bytes, self._view(), index(offset)
        if data is None or (s is not None and some_bytes is not None):
            raise TypeError("write() takes the bytes as s or as some_bytes")
        if isinstance(data, str):
            data = data.encode()
        if not isinstance(data, bytes):
            data = memoryview(data).cast("B")
        if view.readonly:
            raise PermissionError(errno.EACCES, f"{self!r} is attached read-only")
        if not 0 <= start <= len(view) - len(data):
            raise ValueError("Attempt to write past end of memory segment")
        view[start : start + len(data)] = data

    def remove(self) -> None:
        """Remove the segment from the system; it goes with its last attachment."""
        remove_shared_memory(self._id)

    @property
    def _exported(self) -> _Attachment:
        self._view()
        return self._attachments[-1][0]

    @property
    def _attached(self) -> bool:
        return bool(self._attachments)

    @property
    def _address(self) -> int:
        return self._attachments[-1][0].address if self._attachments else 0

    @property
    def _status(self) -> libc.ShmidDs:
        with _translating():
            return libc.shmctl(self._id, libc.IPC_STAT)

    @property
    def _perm(self) -> libc.IpcPerm:
        return self._status.shm_perm

    def _set(self, name: str, value: int) -> None:
        ds = self._status
        libc.shmctl(self._id, libc.IPC_SET, replace(ds, shm_perm=replace(ds.shm_perm, **{name: value})))


def attach(id: int, address: int | None = None, flags: int = 0) -> SharedMemory:
    """Attach the segment of an id; the key of what is returned is -1."""
    return SharedMemory._of_id(id, address, flags)


def remove_shared_memory(id: int, /) -> None:
    """Remove the segment of an id from the system; it goes with its last attachment."""
    with _translating():
        libc.shmctl(int_argument(id, "id"), libc.IPC_RMID)


# -- message queues --


class MessageQueue(_Object):
    """A queue of messages, each with a type above 0."""

    __slots__ = ("_max_message_size",)

    last_send_time = _ReadOnly[int]("_status.msg_stime", "When a message was last sent; 0 for never.")
    last_receive_time = _ReadOnly[int]("_status.msg_rtime", "When a message was last received; 0 for never.")
    last_change_time = _ReadOnly[int]("_status.msg_ctime", "When it was created, or its attributes changed.")
    last_send_pid = _ReadOnly[int]("_status.msg_lspid", "The process that sent last.")
    last_receive_pid = _ReadOnly[int]("_status.msg_lrpid", "The process that received last.")
    current_messages = _ReadOnly[int]("_status.msg_qnum", "How many messages it holds.")
    max_size = _Writable("_status.msg_qbytes", "How many bytes it may hold.")

    def __init__(self, key: int | None, flags: int = 0, mode: int = 0o600, max_message_size: int = 2048) -> None:
        flags, mode = int_argument(flags, "flags") & IPC_CREX, int_argument(mode, "mode") & 0o777
        size = index(max_message_size)
        if not 0 <= size < 2**63:
            raise ValueError(f"The message length must be from 0 to {2**63 - 1}")
        with _translating():
            self._key, self._id = _find(key, flags, lambda key: libc.msgget(key, flags | mode))
        self._max_message_size = min(size, _LONGEST_MESSAGE)

    def send(self, message: str | Buffer, block: bool = True, type: int = 1) -> None:
        """Send a message of a type above 0; without `block`, BusyError if the queue is full."""
        number = int_argument(type, "type")
        if number <= 0:
            raise ValueError("The type must be > 0")
        text = memoryview(message.encode() if isinstance(message, str) else message)
        if text.nbytes > self._max_message_size:
            raise ValueError(f"The message length exceeds queue's max_message_size ({self._max_message_size})")
        try:
            libc.msgsnd(self._id, number, text, 0 if block else libc.IPC_NOWAIT)
        except OSError as error:
            raise _translated(error, _SENDING) from None

    def receive(self, block: bool = True, type: int = 0) -> tuple[bytes, int]:
        """Receive a message, and return it with its type; without `block`, BusyError if there is none.

        `type`: 0 the first message, above 0 the first of this type, below 0 the first of the lowest type up to its
        absolute value.
        """
        number, flags = int_argument(type, "type"), 0 if block else libc.IPC_NOWAIT
        try:
            received, text = libc.msgrcv(self._id, self._max_message_size, number, flags)
        except OSError as error:
            raise _translated(error, _USING) from None
        return text, received

    def remove(self) -> None:
        """Remove the queue from the system, with its messages."""
        remove_message_queue(self._id)

    @property
    def _status(self) -> libc.MsqidDs:
        with _translating():
            return libc.msgctl(self._id, libc.IPC_STAT)

    @property
    def _perm(self) -> libc.IpcPerm:
        return self._status.msg_perm

    def _set(self, name: str, value: int) -> None:
        ds = self._status
        if name == "max_size":
            libc.msgctl(self._id, libc.IPC_SET, replace(ds, msg_qbytes=value))
        else:
            libc.msgctl(self._id, libc.IPC_SET, replace(ds, msg_perm=replace(ds.msg_perm, **{name: value})))


def remove_message_queue(id: int, /) -> None:
    """Remove the message queue of an id from the system."""
    with _translating():
        libc.msgctl(int_argument(id, "id"), libc.IPC_RMID)


# -- keys --


def ftok(path: str, id: int, silence_warning: bool = False) -> int:
    """Make a key of an existing file and the low 8 bits of `id`; warns, since two files can have the same key."""
    if not silence_warning:
        warnings.warn("Use of ftok() is not recommended; see sysv_ipc documentation", Warning, stacklevel=2)
    return libc.ftok(path, int_argument(id, "id"))
