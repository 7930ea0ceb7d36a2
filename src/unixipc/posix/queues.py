"""Message queues with a name: mq_overview(7)."""

from __future__ import annotations

import errno
import fcntl
import os
import select
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, ClassVar, Literal, Self, TypeVar, TypeVarTuple

from unixipc import libc
from unixipc._check import Deadline, failure
from unixipc._cpython import front
from unixipc._polling import Polling
from unixipc.posix.objects import PosixObject, check_mode, check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from typing_extensions import Buffer

_Arguments = TypeVarTuple("_Arguments")
_T = TypeVar("_T")

_LIMITS = Path("/proc/sys/fs/mqueue")
_NO_TIME = {select.POLLIN: "it was empty all the time", select.POLLOUT: "it was full all the time"}
_AT_ONCE = 0  # as a time of CLOCK_REALTIME it has long passed, so that a call does what it can, and does not wait
_STEP = 64  # messages that are tried at a time where they may have to wait for room


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """What is known of a queue: how many messages it holds and may hold, how long they may be, and whose it is."""

    messages: int
    max_messages: int
    max_size: int
    uid: int
    gid: int
    mode: int


class MessageQueue(Polling, PosixObject):
    """A queue of messages, each with a priority: the highest comes first, and within it the oldest.

    Waits take a `timeout` in seconds, None for ever and 0 not at all, and go on after signals; TimeoutError when it is
    up. By its `fileno` it goes into `select`, `selectors` and event loops. A forked child may use it, too.
    """

    resumes: ClassVar[bool] = True
    """Whether waits go on after signals; where a subclass says False, they end with InterruptedError."""

    def __init__(self, name: str, mqdes: int) -> None:
        self._name = name
        self._fd = mqdes
        self._size = libc.mq_getattr(mqdes).mq_msgsize

    @classmethod
    def create(
        cls, name: str, *, max_messages: int | None = None, max_size: int | None = None, mode: int = 0o600
    ) -> Self:
        """Make a queue for so many messages of so many bytes; FileExistsError if the name has one.

        What is None is the system's default (fs.mqueue.msg_default, fs.mqueue.msgsize_default). A queue counts as full
        in RLIMIT_MSGQUEUE from the beginning, so ask for no more than is needed.
        """
        return cls._open(name, libc.O_CREAT | libc.O_EXCL | libc.O_RDWR, mode, _limits(max_messages, max_size))

    @classmethod
    def open(cls, name: str, *, read: bool = True, write: bool = True) -> Self:
        """Open the queue of a name, for what its mode allows; FileNotFoundError if there is none."""
        if not (read or write):
            raise ValueError("a queue is opened to read, to write, or for both")
        access = libc.O_RDWR if read and write else libc.O_RDONLY if read else libc.O_WRONLY
        return cls._open(name, access)

    @classmethod
    def open_or_create(
        cls, name: str, *, max_messages: int | None = None, max_size: int | None = None, mode: int = 0o600
    ) -> Self:
        """Open the queue of a name, whose limits stay as they are, or make it with these."""
        return cls._open(name, libc.O_CREAT | libc.O_RDWR, mode, _limits(max_messages, max_size))

    @classmethod
    def _open(cls, name: str, oflag: int, mode: int = 0, attr: libc.MqAttr | None = None) -> Self:
        return cls(name, libc.mq_open(check_name(name), oflag, check_mode(mode), attr))

    @property
    def closed(self) -> bool:
        """Whether it was closed here; its name can still be unlinked."""
        return self._fd < 0

    def fileno(self) -> int:
        """Return the descriptor: readable while a message is there, writable while there is room for one."""
        if self._fd < 0:
            self._refuse()
        return self._fd

    def close(self) -> None:
        """Close the descriptor; twice is fine. The queue and its messages stay."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            libc.mq_close(fd)

    def unlink(self) -> None:
        """Remove the name: nobody can open it any more, and the queue goes with its last descriptor."""
        libc.mq_unlink(self._name)

    @property
    def max_size(self) -> int:
        """How many bytes a message may have."""
        return self._size

    def status(self) -> QueueStatus:
        """Ask the kernel for all that it knows of the queue."""
        attr, file = libc.mq_getattr(self.fileno()), os.fstat(self.fileno())
        limits = attr.mq_curmsgs, attr.mq_maxmsg, attr.mq_msgsize
        return QueueStatus(*limits, file.st_uid, file.st_gid, file.st_mode & 0o777)

    @front
    def send(self, text: Buffer, priority: int = 0, timeout: float | None = None) -> None:
        """Send a message; waits while the queue is full. Priorities are from 0 to 32,767."""
        deadline = None if timeout is None else Deadline(timeout)
        while True:
            fd = self.fileno()
            try:
                if deadline is None:
                    return libc.mq_send(fd, text, priority)
                return libc.mq_timedsend(fd, text, priority, _AT_ONCE)
            except (InterruptedError, TimeoutError) as error:
                self._wait(error, deadline, select.POLLOUT, "send", timeout)

    def send_many(self, messages: Iterable[tuple[Buffer, int]], timeout: float | None = None) -> int:
        """Send messages, pairs of text and priority, in one step into C; return how many went: all, if there was time.

        TimeoutError if there was no time for the first. Another error says in a note how many went before it.
        """
        pairs, sent, deadline = list(messages), 0, None if timeout is None else Deadline(timeout)
        until, step = (None, len(pairs)) if deadline is None else (_AT_ONCE, _STEP)
        while sent < len(pairs):
            try:
                sent += libc.mq_send_many(self.fileno(), pairs[sent : sent + step], until)
            except (InterruptedError, TimeoutError) as error:
                try:
                    self._wait(error, deadline, select.POLLOUT, "send_many", timeout)
                except TimeoutError as late:
                    if sent == 0 or late.errno is None:
                        raise
                    break
            except OSError as error:
                error.add_note(f"{sent} messages went before this one")
                raise
        return sent

    @front
    def receive(self, timeout: float | None = None) -> tuple[bytes, int]:
        """Receive a message, and return its text and priority; waits while there is none."""

        def receive(until: int | None) -> tuple[bytes, int]:
            fd = self.fileno()
            return libc.mq_receive(fd, self._size) if until is None else libc.mq_timedreceive(fd, self._size, until)

        return self._received(receive, "receive", timeout)

    def receive_into(self, buffer: Buffer, timeout: float | None = None) -> tuple[int, int]:
        """Receive a message into a writable buffer of at least `max_size` bytes, and return its length and priority."""

        def receive(until: int | None) -> tuple[int, int]:
            fd = self.fileno()
            return libc.mq_receive(fd, buffer) if until is None else libc.mq_timedreceive(fd, buffer, until)

        return self._received(receive, "receive_into", timeout)

    @front
    def receive_many(self, count: int, timeout: float | None = None) -> list[tuple[bytes, int]]:
        """Wait for a message, and receive it with those that are there already, in one step into C.

        They are at most `count`, which is above 0, and at most 1,024 or about 256 KiB at a time.
        """
        if count < 1:
            raise ValueError(f"at least one message can be received, not {count}")

        def receive(until: int | None) -> list[tuple[bytes, int]]:
            return libc.mq_receive_many(self.fileno(), self._size, count, until)

        return self._received(receive, "receive_many", timeout)

    def _received(self, receive: Callable[[int | None], _T], call: str, timeout: float | None) -> _T:
        """Receive, at once or without a limit of time, after as many looks as `polls` says."""
        deadline = None if timeout is None else Deadline(timeout)
        looks = 0 if timeout == 0 else self.polls
        while True:
            try:
                return receive(None if deadline is None and looks == 0 else _AT_ONCE)
            except (InterruptedError, TimeoutError) as error:
                if looks > 0 and error.errno == errno.ETIMEDOUT:
                    looks -= 1
                    os.sched_yield()
                else:
                    self._wait(error, deadline, select.POLLIN, call, timeout)

    def notify(self, signum: int | None, value: int = 0) -> None:
        """Have this process sent a signal once, when a message comes to the empty queue; with None not any more.

        It has the si_code SI_MESGQ, the `value` as si_value, and tells who sent the message. One process at a time can
        have this of a queue: OSError (EBUSY) for another. A message that somebody waits for in `receive`, without a
        timeout, is not told.
        """
        event = None if signum is None else libc.Sigevent(libc.SIGEV_SIGNAL, signum, value)
        libc.mq_notify(self.fileno(), event)

    def notify_call(self, function: Callable[[*_Arguments], object], *arguments: *_Arguments) -> None:
        """Have a function called once, in a new thread, when a message comes to the empty queue (SIGEV_THREAD).

        All else is as with `notify`, whose None also withdraws this. The thread is there from now on, blocks all
        signals, so that none that somebody else waits for comes to it, and does not keep the process from its end.
        """
        mask = libc.sigprocmask(libc.SIG_BLOCK, libc.SignalSet.full())  # the thread inherits it
        try:
            told = libc.mq_notify_fd(self.fileno())
            try:
                Thread(target=_call_when_told, args=(told, function, arguments), daemon=True).start()
            except BaseException:
                self.notify(None)
                os.close(told)
                raise
        finally:
            libc.sigprocmask(libc.SIG_SETMASK, mask)

    def __reduce__(self) -> tuple[Callable[..., Self], tuple[str, int]]:
        return type(self)._open, (self._name, fcntl.fcntl(self.fileno(), fcntl.F_GETFL) & os.O_ACCMODE)

    def _wait(self, error: OSError, deadline: Deadline | None, event: int, call: str, timeout: float | None) -> None:
        """Let a call be made again: at once after a signal (PEP 475), and otherwise when it may succeed."""
        interrupted = isinstance(error, InterruptedError)
        if error.errno is None or (interrupted and not self.resumes):  # without errno, a handler raised it
            raise error
        if deadline is None or interrupted:
            return
        left = deadline.left()
        if left == 0:
            raise failure(errno.ETIMEDOUT, call, self, timeout, advice=_NO_TIME[event]) from None
        try:
            libc.ppoll([(self.fileno(), event)], left)
        except InterruptedError as interruption:
            if interruption.errno is None or not self.resumes:
                raise


def default_limit(of: Literal["msg", "msgsize"]) -> int:
    """Tell how many messages, or how many bytes in one, a queue may have for which nothing else was asked."""
    return min(int((_LIMITS / f"{of}_{limit}").read_text()) for limit in ("default", "max"))


def _call_when_told(told: int, function: Callable[[*_Arguments], object], arguments: tuple[*_Arguments]) -> None:
    try:
        cookie = os.read(told, libc.NOTIFY_COOKIE_LEN)
    finally:
        os.close(told)
    if cookie[-1] == libc.NOTIFY_WOKENUP:  # and not NOTIFY_REMOVED
        function(*arguments)


def _limits(max_messages: int | None, max_size: int | None) -> libc.MqAttr | None:
    if max_messages is None and max_size is None:
        return None
    return libc.MqAttr(
        mq_maxmsg=default_limit("msg") if max_messages is None else max_messages,
        mq_msgsize=default_limit("msgsize") if max_size is None else max_size,
    )
