"""What all objects of POSIX have in common: names, with-blocks, and a warning for what is dropped open."""

from __future__ import annotations

from operator import index
from typing import NoReturn

from unixipc._closing import Holding


class PosixObject(Holding):
    """An object that processes know by its name."""

    __slots__ = ()

    _name: str

    @property
    def name(self) -> str:
        """The name that it was made or opened by."""
        return self._name

    @property
    def closed(self) -> bool:
        """Whether it was closed here; its name can still be unlinked."""
        raise NotImplementedError

    def close(self) -> None:
        """End the use of the object by this process; twice is fine. The object itself stays."""
        raise NotImplementedError

    def _refuse(self) -> NoReturn:
        raise ValueError(f"{self!r} was closed")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._name}{' closed' if self.closed else ''}>"


def check_name(name: str) -> str:
    """Refuse what is no name of an object; the C library would take some of it for another."""
    if not isinstance(name, str):
        raise TypeError(f"a name is a str, not {name!r}")
    if name[:1] != "/" or "/" in name[1:] or name in ("/", "/.", "/.."):
        raise ValueError(f"a name is a slash and more without another slash, such as '/jobs', and not {name!r}")
    return name


def check_mode(mode: int) -> int:
    """Refuse what is more than permissions."""
    number = index(mode)
    if not 0 <= number <= 0o777:
        raise ValueError(f"the mode is {number:#o}: it must be permissions, from 0 to 0o777")
    return number
