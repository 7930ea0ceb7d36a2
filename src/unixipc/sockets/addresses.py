"""Names of Unix sockets (unix(7)), and errors that name them."""

from __future__ import annotations

import errno
import os
from typing import TypeAlias

from unixipc import libc
from unixipc._check import NO_ADVICE, Advice, failure

Address: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
"""A path, or what `abstract` made."""

_LONGEST = libc.UNIX_PATH_MAX - 1  # without the NUL at the end of a path, or the beginning of an abstract name


def abstract(name: str | bytes) -> bytes:
    """Make an address out of a name that has no file, and goes with its socket.

    It is known in the whole network namespace, and has no mode: whoever knows it may connect. See `peer_credentials`.
    """
    if not isinstance(name, str | bytes):
        raise TypeError(f"a name is a str or bytes, not {name!r}")
    if not name:
        raise ValueError("an abstract name has at least one byte; the kernel makes one up for the address None")
    return check_address(b"\0" + os.fsencode(name), "abstract", name)


def check_address(address: Address, call: str, shown: object = None) -> bytes:
    """Encode an address; what the kernel would cut short, or take for another one, is refused."""
    encoded = os.fsencode(address)
    shown = repr(address if shown is None else shown)
    if not encoded:
        raise ValueError(f"{call}({shown}): an address is a path, or what abstract() makes of a name")
    if not is_abstract(encoded) and b"\0" in encoded:
        raise ValueError(f"{call}({shown}): the path contains a NUL")
    name = encoded[1:] if is_abstract(encoded) else encoded
    if len(name) > _LONGEST:
        advice = f"the name of a socket has at most {_LONGEST} bytes, and this one has {len(name)}"
        if not is_abstract(encoded):
            advice += ": a path from the working directory may be shorter"
        raise failure(errno.ENAMETOOLONG, call, shown, advice=advice)
    return encoded


def is_abstract(address: bytes) -> bool:
    """Tell an abstract name from a path."""
    return address.startswith(b"\0")


def explained(error: OSError, call: str, *subject: object, advice: Advice = NO_ADVICE) -> OSError:
    """Let the error of a call of the standard library name it, its subject, and what to do."""
    if error.errno is None:  # the socket's own timeout, or a handler's exception
        return error
    return failure(error.errno, call, *subject, advice=advice.get(error.errno))
