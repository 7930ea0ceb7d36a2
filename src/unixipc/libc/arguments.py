"""What Python hands over, as C takes it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from operator import index
from typing import TYPE_CHECKING, TypeAlias

from unixipc._native import ffi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

    from unixipc._native import _CBytes

Path: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]


def path_argument(path: Path) -> bytes:
    """Encode a path as the file system does; a NUL, or what has no encoding, is a ValueError."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError(f"the path {path!r} contains a NUL")
    return encoded


def size_argument(value: int, name: str) -> int:
    """Read a size or an address, once: an int that C's size_t can hold."""
    number = index(value)
    if not 0 <= number < 2**64:
        raise OverflowError(f"{name} is {number}: it must fit a size_t")
    return number


def int_argument(value: int, name: str) -> int:
    """Read a number, once, that C's int can hold."""
    number = index(value)
    if not -(2**31) <= number < 2**31:
        raise OverflowError(f"{name} is {number}: it must fit a C int")
    return number


def unsigned_argument(value: int, name: str) -> int:
    """Read a number, once, that C's unsigned int can hold; IntFlag would take a negative one for all that it knows."""
    number = index(value)
    if not 0 <= number < 2**32:
        raise OverflowError(f"{name} is {number}: it must fit a C unsigned int")
    return number


@contextmanager
def bytes_argument(data: Buffer, *, writable: bool = False) -> Iterator[_CBytes]:
    """Lend C the bytes of any contiguous buffer, which cannot be resized meanwhile: `writable` if C writes there.

    The loan ends with the block: a traceback that outlives the call must not go on holding the buffer.
    """
    with memoryview(data) as view:
        if not view.c_contiguous:
            raise BufferError("the buffer is not contiguous: make bytes() of it first")
    with ffi.from_buffer(data, require_writable=writable) as buffer:
        yield buffer
