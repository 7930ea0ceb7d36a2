"""posix_ipc 1.3.2, for programs that were written for it: change the import, and nothing else.

Names, arguments and semantics are those of its documentation, and docs/compat.md tells where its code had others.
Nothing is closed or unlinked by itself, and a wait ends with SignalError when a signal comes. `unixipc.posix` has the
same objects for new programs.
"""

from __future__ import annotations

import errno
import os
import secrets
import string
from contextlib import suppress
from operator import index
from os import O_CREAT, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_TRUNC, O_WRONLY
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeVar

from unixipc import libc, posix

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from typing_extensions import Buffer

__all__ = [
    "MESSAGE_QUEUES_SUPPORTED",
    "O_CREAT",
    "O_CREX",
    "O_EXCL",
    "O_NONBLOCK",
    "O_RDONLY",
    "O_RDWR",
    "O_TRUNC",
    "O_WRONLY",
    "PAGE_SIZE",
    "QUEUE_MESSAGES_MAX_DEFAULT",
    "QUEUE_MESSAGE_SIZE_MAX_DEFAULT",
    "QUEUE_PRIORITY_MAX",
    "SEMAPHORE_TIMEOUT_SUPPORTED",
    "SEMAPHORE_VALUE_MAX",
    "SEMAPHORE_VALUE_SUPPORTED",
    "USER_SIGNAL_MAX",
    "USER_SIGNAL_MIN",
    "VERSION",
    "BusyError",
    "Error",
    "ExistentialError",
    "MessageQueue",
    "PermissionsError",
    "Semaphore",
    "SharedMemory",
    "SignalError",
    "unlink_message_queue",
    "unlink_semaphore",
    "unlink_shared_memory",
]

T = TypeVar("T")

VERSION: Final = "1.3.2"
__version__ = VERSION
__author__ = "The unixipc developers"
__copyright__ = "Copyright (c) 2026 The unixipc developers"
__license__ = "MIT"


def _default_limits() -> tuple[int, int]:
    try:
        return posix.default_limit("msg"), posix.default_limit("msgsize")
    except OSError:  # a system without queues, or without /proc
        return 10, 8192


O_CREX: Final = O_CREAT | O_EXCL
PAGE_SIZE: Final = libc.PAGE_SIZE
SEMAPHORE_TIMEOUT_SUPPORTED: Final = True
SEMAPHORE_VALUE_SUPPORTED: Final = True
SEMAPHORE_VALUE_MAX: Final = libc.SEM_VALUE_MAX
MESSAGE_QUEUES_SUPPORTED: Final = True
QUEUE_MESSAGES_MAX_DEFAULT, QUEUE_MESSAGE_SIZE_MAX_DEFAULT = _default_limits()
QUEUE_PRIORITY_MAX: Final = libc.MQ_PRIO_MAX - 1
USER_SIGNAL_MIN: Final = int(libc.SIGRTMIN)
USER_SIGNAL_MAX: Final = int(libc.SIGRTMAX)


class Error(OSError):
    """What all errors of this module are."""


class SignalError(Error, InterruptedError):
    """A signal came while the call waited, and its handler has run."""


class PermissionsError(Error, PermissionError):
    """The mode of the object, or how it was opened, does not allow it."""


class ExistentialError(Error):
    """There is no such object, or there is one already, or it was closed."""


class MissingError(ExistentialError, FileNotFoundError):
    """No object has the name."""


class TakenError(ExistentialError, FileExistsError):
    """An object has the name already."""


class BusyError(Error):
    """The call would have to wait, or has waited for as long as it may; or another process has what it asks for."""


class TimedOutError(BusyError, TimeoutError):
    """The time is up."""


class WouldBlockError(BusyError, BlockingIOError):
    """It would have to wait, and `block` is False."""


class _Translation:
    """A with-block in which errors of the system become those of posix_ipc, by their errno.

    Inner loops catch them, and ask `of`: a with-block would take longer than all else.
    """

    __slots__ = ("_kinds",)

    def __init__(self, kinds: Mapping[int, type[Exception]]) -> None:
        self._kinds = kinds

    def of(self, error: OSError) -> Exception:
        kind = self._kinds.get(error.errno or 0)
        if kind is None:
            return error
        return kind(error.errno, error.strerror) if issubclass(kind, OSError) else kind(error.strerror)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, story: TracebackType | None
    ) -> None:
        if isinstance(error, OSError) and (theirs := self.of(error)) is not error:
            raise theirs from None


_EVERYWHERE: dict[int, type[Exception]] = {
    errno.EACCES: PermissionsError,
    errno.EPERM: PermissionsError,
    errno.EROFS: PermissionsError,
    errno.ENOENT: MissingError,
    errno.EEXIST: TakenError,
    errno.ENAMETOOLONG: ValueError,
}
_opening = _Translation(
    _EVERYWHERE | {errno.EINVAL: ValueError, errno.EFBIG: ValueError, errno.ENOMEM: MemoryError},
)
_unlinking = _Translation(_EVERYWHERE | {errno.EINVAL: ExistentialError})
_using = _Translation(
    {
        errno.EAGAIN: WouldBlockError,
        errno.EBADF: ExistentialError,
        errno.EINTR: SignalError,
        errno.EINVAL: ExistentialError,
        errno.EMSGSIZE: ValueError,
        errno.ETIMEDOUT: TimedOutError,
    }
)
_notifying = _Translation({errno.EBADF: ExistentialError, errno.EBUSY: BusyError})


class _Named:
    """What the three kinds of objects have in common."""

    __slots__ = ("_mode", "_name")

    _name: str
    _mode: int

    @property
    def name(self) -> str:
        """The name that it was opened by, or was given."""
        return self._name

    @property
    def mode(self) -> int:
        """The mode that was passed."""
        return self._mode

    def _open(self, name: str | bytes | None, flags: int, open_: Callable[[str], T]) -> T:
        """Open the object of a name, or a new one of a name that nobody has."""
        if not isinstance(name, str | bytes | None):
            raise TypeError(f"the name must be None or a string, not {name!r}")
        if flags & O_EXCL and not flags & O_CREAT:
            raise ValueError("O_EXCL must be combined with O_CREAT")
        if name is not None:
            self._name = os.fsdecode(name)
            with _opening:
                return open_(self._name)
        if not flags & O_EXCL:
            raise ValueError("the name can only be None if O_EXCL is set")
        while True:
            self._name = "/" + "".join(secrets.choice(string.ascii_lowercase) for _ in range(5 + secrets.randbelow(8)))
            with suppress(TakenError), _opening:
                return open_(self._name)

    def _refuse(self) -> NoReturn:
        raise ExistentialError(errno.EBADF, f"{self!r} was closed")

    def __str__(self) -> str:
        return self._name

    def __repr__(self) -> str:
        return f'posix_ipc.{type(self).__name__}("{self._name}", mode=0{self._mode:o})'

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {type(self).__name__!r} object")


class _Semaphore(posix.Semaphore):
    """A semaphore as this module has it: a signal ends a wait, and nothing is said of one that is dropped open."""

    resumes = False

    def __del__(self) -> None:
        self.close()  # nobody can tell: the semaphore and its value stay


class Semaphore(_Named):
    """A semaphore; the with-block acquires and releases it."""

    __slots__ = ("_semaphore",)

    _semaphore: _Semaphore | None

    def __init__(self, name: str | bytes | None, flags: int = 0, mode: int = 0o600, initial_value: int = 0) -> None:
        flags, self._mode, value = index(flags), index(mode), index(initial_value)
        if not 0 <= value < 2**32:  # C's unsigned int would make another value of it
            value = 2**32 - 1
        sem = self._open(name, flags, lambda chosen: libc.sem_open(chosen, flags, self._mode, value))
        self._semaphore = _Semaphore(self._name, sem)

    def acquire(self, timeout: float | None = None) -> None:
        """Take one off the value, when it is above 0; BusyError if that takes longer than the timeout."""
        seconds, semaphore = _check_timeout(timeout), self._semaphore or self._refuse()
        try:
            semaphore.acquire(timeout=seconds)
        except OSError as error:
            raise _using.of(error) from None

    def release(self) -> None:
        """Add one to the value, and wake one who waits."""
        semaphore = self._semaphore or self._refuse()
        try:
            semaphore.release()
        except OSError as error:
            raise _using.of(error) from None

    @property
    def value(self) -> int:
        """The value; it may have changed already."""
        semaphore = self._semaphore or self._refuse()
        with _using:
            return semaphore.value

    def close(self) -> None:
        """End the use of it by this process; only `name`, `mode` and `unlink` are left."""
        semaphore, self._semaphore = self._semaphore or self._refuse(), None
        with _using:
            semaphore.close()

    def unlink(self) -> None:
        """Remove the name; it goes when nobody has it open."""
        unlink_semaphore(self._name)

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(self, *raised: object) -> None:
        self.release()


class SharedMemory(_Named):
    """Shared memory; `mmap` takes its `fd`."""

    __slots__ = ("_fd",)

    _fd: int

    def __init__(
        self,
        name: str | bytes | None,
        flags: int = 0,
        mode: int = 0o600,
        size: int = 0,
        read_only: bool = False,
    ) -> None:
        self._fd = -1
        flags, self._mode, size = index(flags), index(mode), index(size)
        if not 0 <= size < 2**63:
            raise ValueError(f"the size is {size}: it must be 0 or above, and fit an off_t")
        if size and read_only:
            raise ValueError("memory that is opened to be read cannot be given a size")
        access = flags | (O_RDONLY if read_only else O_RDWR)
        self._fd, made = self._open(name, flags, lambda chosen: _open_memory(chosen, access, self._mode))
        if size:
            try:
                with _opening:
                    os.ftruncate(self._fd, size)
            except BaseException:
                self.close_fd()
                if made:  # and is not somebody else's
                    with suppress(FileNotFoundError):
                        libc.shm_unlink(self._name)
                raise

    @property
    def fd(self) -> int:
        """The descriptor; -1 when it was closed."""
        return self._fd

    def fileno(self) -> int:
        """Return the descriptor; -1 when it was closed."""
        return self._fd

    @property
    def size(self) -> int:
        """How many bytes it has."""
        with _using:
            return os.fstat(self._fd).st_size

    def close_fd(self) -> None:
        """Close the descriptor; twice is fine, and what was mapped stays mapped."""
        if self._fd == -1:
            return
        try:
            os.close(self._fd)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise ValueError(f"the descriptor {self._fd} of {self!r} was closed by somebody else") from None
            raise
        self._fd = -1

    def unlink(self) -> None:
        """Remove the name; it goes when nobody has it open or mapped."""
        unlink_shared_memory(self._name)


def _open_memory(name: str, flags: int, mode: int) -> tuple[int, bool]:
    """Return a descriptor, and whether the memory is new."""
    if flags & O_CREX != O_CREAT:
        return libc.shm_open(name, flags, mode), bool(flags & O_CREAT)
    while True:
        with suppress(FileExistsError):
            return libc.shm_open(name, flags | O_EXCL, mode), True
        with suppress(FileNotFoundError):  # it was unlinked just now
            return libc.shm_open(name, flags & ~O_CREAT, mode), False


class _Queue(posix.MessageQueue):
    """A queue as this module has it: a signal ends a wait, and its descriptor may be used though it was dropped."""

    resumes = False

    def __del__(self) -> None:
        pass


class MessageQueue(_Named):
    """A message queue; what has the highest priority comes first."""

    __slots__ = ("_max_message_size", "_max_messages", "_queue", "_read", "_write")

    _queue: _Queue | None

    def __init__(
        self,
        name: str | bytes | None,
        flags: int = 0,
        mode: int = 0o600,
        max_messages: int = QUEUE_MESSAGES_MAX_DEFAULT,
        max_message_size: int = QUEUE_MESSAGE_SIZE_MAX_DEFAULT,
        read: bool = True,
        write: bool = True,
    ) -> None:
        flags, self._mode, self._read, self._write = index(flags), index(mode), bool(read), bool(write)
        if not (self._read or self._write):
            raise ValueError("at least one of read and write must be True")
        access = flags | (O_RDWR if self._read and self._write else O_RDONLY if self._read else O_WRONLY)
        limits = libc.MqAttr(mq_maxmsg=index(max_messages), mq_msgsize=index(max_message_size))
        attr = limits if flags & O_CREAT else None
        mqdes = self._open(name, flags, lambda chosen: libc.mq_open(chosen, access, self._mode, attr))
        self._queue = _Queue(self._name, mqdes)
        self._max_messages = libc.mq_getattr(mqdes).mq_maxmsg
        self._max_message_size = self._queue.max_size

    def send(self, message: str | Buffer, timeout: float | None = None, priority: int = 0) -> None:
        """Send a message; BusyError if there is no room for it within the timeout."""
        text = message.encode() if isinstance(message, str) else message
        seconds, priority, queue = _check_timeout(timeout), index(priority), self._queue or self._refuse()
        if not self._write:
            raise PermissionsError(errno.EACCES, f"{self!r} is not open for writing")
        if not 0 <= priority <= QUEUE_PRIORITY_MAX:
            raise ValueError(
                f"the priority is {priority}: it must be from 0 to QUEUE_PRIORITY_MAX, {QUEUE_PRIORITY_MAX}"
            )
        try:
            queue.send(text, priority, seconds)
        except OSError as error:
            raise _using.of(error) from None

    def receive(self, timeout: float | None = None) -> tuple[bytes, int]:
        """Receive a message and its priority; BusyError if none comes within the timeout."""
        seconds, queue = _check_timeout(timeout), self._queue or self._refuse()
        if not self._read:
            raise PermissionsError(errno.EACCES, f"{self!r} is not open for reading")
        try:
            return queue.receive(seconds)
        except OSError as error:
            raise _using.of(error) from None

    def request_notification(self, notification: int | tuple[Callable[[Any], object], Any] | None = None) -> None:
        """Ask to be told once that a message has come to the empty queue; None withdraws that.

        By a signal, or by a call of a function, with a parameter, in a new thread. BusyError where another process is
        told already.
        """
        if notification is None:
            with suppress(OSError):
                (self._queue or self._refuse()).notify(None)
            return
        call = None if isinstance(notification, int) else _check_call(notification)
        queue = self._queue or self._refuse()
        with _notifying:
            queue.notify(None)
            if isinstance(notification, int):
                queue.notify(notification)
            elif call is not None:
                function, parameter = call
                queue.notify_call(function, parameter)

    @property
    def block(self) -> bool:
        """Whether `send` and `receive` wait, with all who share this opening of the queue, as forked children do."""
        queue = self._queue or self._refuse()
        with _using:
            return not libc.mq_getattr(queue.fileno()).mq_flags & O_NONBLOCK

    @block.setter
    def block(self, value: bool) -> None:
        queue = self._queue or self._refuse()
        with _using:
            libc.mq_setattr(queue.fileno(), libc.MqAttr(0 if value else O_NONBLOCK))

    @property
    def current_messages(self) -> int:
        """How many messages are there."""
        queue = self._queue or self._refuse()
        with _using:
            return libc.mq_getattr(queue.fileno()).mq_curmsgs

    @property
    def max_messages(self) -> int:
        """How many messages there may be."""
        return self._max_messages

    @property
    def max_message_size(self) -> int:
        """How many bytes a message may have."""
        return self._max_message_size

    @property
    def mqd(self) -> int:
        """The descriptor; -1 when it was closed."""
        return -1 if self._queue is None else self._queue.fileno()

    def fileno(self) -> int:
        """Return the descriptor; -1 when it was closed."""
        return self.mqd

    def close(self) -> None:
        """Close the descriptor; twice is an ExistentialError."""
        queue, self._queue = self._queue or self._refuse(), None
        with _using:
            queue.close()

    def unlink(self) -> None:
        """Remove the name; it goes when nobody has it open."""
        unlink_message_queue(self._name)

    def __repr__(self) -> str:
        limits = f"max_message_size={self._max_message_size}, max_messages={self._max_messages}"
        return f"{super().__repr__()[:-1]}, {limits}, read={self._read}, write={self._write})"


def _check_timeout(timeout: object) -> float | None:
    if timeout is None or (isinstance(timeout, int | float) and timeout >= 0):
        return timeout
    raise TypeError(f"the timeout must be None or a non-negative number, not {timeout!r}")


def _check_call(notification: object) -> tuple[Callable[[Any], object], Any]:
    if isinstance(notification, tuple) and len(notification) == 2 and callable(notification[0]):
        return notification
    raise ValueError("the notification must be None, an integer, or a tuple of (function, parameter)")


def _check_name(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError(f"the name must be a str, not {name!r}")
    return name


def unlink_semaphore(name: str, /) -> None:
    """Remove the name of a semaphore."""
    with _unlinking:
        libc.sem_unlink(_check_name(name))


def unlink_shared_memory(name: str, /) -> None:
    """Remove the name of shared memory."""
    with _unlinking:
        libc.shm_unlink(_check_name(name))


def unlink_message_queue(name: str, /) -> None:
    """Remove the name of a message queue."""
    with _unlinking:
        libc.mq_unlink(_check_name(name))
