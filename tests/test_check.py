"""unixipc._check: errno becomes the right exception, with a text that helps."""

import errno
import math

import pytest

from unixipc import _check, libc


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOENT, FileNotFoundError),
        (errno.EEXIST, FileExistsError),
        (errno.EACCES, PermissionError),
        (errno.EINTR, InterruptedError),
        (errno.EAGAIN, BlockingIOError),
        (errno.ETIMEDOUT, TimeoutError),
        (errno.ESRCH, ProcessLookupError),
        (errno.EOWNERDEAD, libc.OwnerDiedError),
        (errno.ENOTRECOVERABLE, libc.NotRecoverableError),
        (errno.EIDRM, libc.IdentifierRemovedError),
    ],
)
def test_an_errno_becomes_its_subclass_of_oserror(code: int, kind: type[OSError]) -> None:
    with pytest.raises(kind) as caught:
        _check.check(-code, "call")
    assert caught.value.errno == code


def test_the_text_names_the_call_its_subject_and_what_to_do() -> None:
    error = _check.failure(errno.EAGAIN, "sigqueue", 12, libc.SIGUSR1, advice="wait")
    assert str(error) == "[Errno 11] sigqueue(12, SIGUSR1): Resource temporarily unavailable: wait"


def test_a_result_passes_through() -> None:
    assert _check.check(7, "call") == 7


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0, (0, 0)), (1.5, (1, 500_000_000)), (1e-12, (0, 1)), (0.9999999999, (1, 0)), (10**9, (10**9, 0))],
)
def test_seconds_are_rounded_up(seconds: float, expected: tuple[int, int]) -> None:
    assert _check.timespec(seconds) == expected


def test_nan_is_no_timeout() -> None:
    with pytest.raises(ValueError, match="NaN"):
        _check.timespec(math.nan)
