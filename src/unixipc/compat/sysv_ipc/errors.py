"""The errors of sysv_ipc, each with an errno and the builtin class of that, and how they are made of ours."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from typing import TYPE_CHECKING

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


class Error(OSError):
    """What all errors of this module are."""


class InternalError(Error):
    """Never raised: it is there for programs that catch it."""


class PermissionsError(Error, PermissionError):
    """The mode of the object, its owner or its creator does not allow it."""


class ExistentialError(Error):
    """There is no such object, or there is one already."""


class MissingError(ExistentialError, FileNotFoundError):
    """No object has the key."""


class TakenError(ExistentialError, FileExistsError):
    """An object has the key already."""


class RemovedError(ExistentialError, libc.IdentifierRemovedError):
    """The object was removed."""


class BusyError(Error):
    """The call would have to wait, or has waited for as long as it may."""


class TimedOutError(BusyError, TimeoutError):
    """The time is up."""


class WouldBlockError(BusyError, BlockingIOError):
    """It would have to wait, and `block` is False or the timeout 0."""


class NotAttachedError(Error):
    """The segment is not attached by this object."""


class SignalError(Error, InterruptedError):
    """A signal came while the call waited, and its handler has run."""


USING: dict[int, type[Exception]] = {
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

OUT_OF_RANGE = "The semaphore's value must remain between 0 and SEMVMX"


def translated(error: OSError, kinds: Mapping[int, type[Exception]] = USING) -> Exception:
    """Make the peer's error of one of ours."""
    kind = kinds.get(error.errno or 0, OSError)
    if issubclass(kind, OSError):
        return kind(error.errno, error.strerror)
    return kind(OUT_OF_RANGE if error.errno == errno.ERANGE else error.strerror)


@contextmanager
def translating(kinds: Mapping[int, type[Exception]] = USING) -> Iterator[None]:
    """Raise the peer's errors in place of ours."""
    try:
        yield
    except OSError as error:
        raise translated(error, kinds) from None
