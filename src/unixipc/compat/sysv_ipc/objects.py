"""What the three classes have in common: keys, and attributes that the kernel is asked for each time."""

from __future__ import annotations

import secrets
from contextlib import suppress
from operator import attrgetter
from typing import TYPE_CHECKING, Generic, Never, NoReturn, Self, TypeGuard, TypeVar, overload

from unixipc import libc
from unixipc.compat.sysv_ipc.errors import translating

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Buffer

_T = TypeVar("_T")

IPC_CREAT = int(libc.IPC_CREAT)
IPC_EXCL = int(libc.IPC_EXCL)
IPC_CREX = IPC_CREAT | IPC_EXCL
KEY_MIN, KEY_MAX = -(2**31), 2**32 - 1  # what C takes for a key_t


class Attribute(Generic[_T]):
    """What `path` leads to from the object on; not a property, whose refusals have other words than the peer's."""

    _REFUSAL = "attribute '{name}' of '{owner.__module__}.{owner.__qualname__}' objects is not writable"

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
        raise AttributeError(self._REFUSAL.format(name=self._name, owner=type(thing)))


class ReadOnly(Attribute[_T]):
    """One that cannot be set."""

    def __set__(self, thing: object, value: Never) -> NoReturn:
        self.__delete__(thing)


class Id(ReadOnly[int]):
    """One of which the peer says so in other words."""

    _REFUSAL = "readonly attribute"


class Writable(Attribute[int]):
    """One that IPC_SET sets."""

    def __set__(self, thing: IpcObject, value: int) -> None:
        if not isinstance(value, int):
            raise TypeError(f"attribute '{self._name}' must be an integer")
        with translating():
            thing._set(self._name, value)


class IpcObject:
    """A handle: to close it there is nothing to do, and what it is a handle to stays until somebody removes it."""

    __slots__ = ("_id", "_key")

    _id: int
    _key: int

    id = Id("_id", "What the kernel calls the object.")
    key = ReadOnly[int]("_key", "The key that the constructor was given or found, as a C int.")
    uid = Writable("_perm.uid", "The owner.")
    gid = Writable("_perm.gid", "The owner's group.")
    mode = Writable("_perm.mode", "The permissions.")
    cuid = ReadOnly[int]("_perm.cuid", "The creator.")
    cgid = ReadOnly[int]("_perm.cgid", "The creator's group.")

    def __str__(self) -> str:
        return f"Key={self._key}, id={self._id}"

    def __repr__(self) -> str:
        return f"sysv_ipc.{type(self).__name__}({self._key})"

    def __reduce__(self) -> NoReturn:
        raise TypeError(f"cannot pickle {self!r}: hand over its key or its id")

    @property
    def _perm(self) -> libc.IpcPerm:
        raise NotImplementedError

    def _set(self, name: str, value: int) -> None:
        raise NotImplementedError


def is_long(value: object) -> TypeGuard[int]:
    """Tell whether it is an int that fits a C long: the peer takes all others for no numbers."""
    return isinstance(value, int) and -(2**63) <= value < 2**63


def bytes_of(data: str | Buffer) -> bytes | memoryview:
    """Take what the peer takes for bytes: any contiguous buffer, or a str, as UTF-8."""
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, bytes):
        return data
    view = memoryview(data)
    if not view.c_contiguous:
        raise BufferError("the buffer is not contiguous: make bytes() of it first")
    return view.cast("B") if view.nbytes else b""


def find(key: int | None, flags: int, get: Callable[[int], int]) -> tuple[int, int]:
    """Get the id of a key, or of a random one that is free where it is None, and return both."""
    if flags & IPC_EXCL and not flags & IPC_CREAT:
        raise ValueError("IPC_EXCL must be combined with IPC_CREAT")
    if key is None:
        if not flags & IPC_EXCL:
            raise ValueError("Key can only be None if IPC_EXCL is set")
        while True:
            key = 1 + secrets.randbelow(2**15 - 1)
            with suppress(FileExistsError):
                return key, get(key)
    if not is_long(key):
        raise TypeError("Key must be an integer or None")
    if not KEY_MIN <= key <= KEY_MAX:
        raise ValueError(f"Key must be between {KEY_MIN} (KEY_MIN) and {KEY_MAX} (KEY_MAX)")
    key = key if key < 2**31 else key - 2**32
    return key, get(key)
