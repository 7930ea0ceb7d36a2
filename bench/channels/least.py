"""The least that calls from Python cost: bench/c/called.c, which needs the header that extensions are compiled with."""

from __future__ import annotations

import ctypes
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.compiling import compiled

if TYPE_CHECKING:
    from collections.abc import Callable

_HEADER = Path(sysconfig.get_path("include"), "Python.h")


def called(name: str, number: int = 0) -> tuple[Callable[..., Any], ...]:
    """Give the functions of a name, which work on the kernel object of this number, where they need one."""
    handle = compiled("called", f"-I{_HEADER.parent}")._handle  # noqa: SLF001 - there is no other way to it
    function = ctypes.PyDLL("called", handle=handle)[f"called_{name}"]  # which keeps the GIL
    function.restype = ctypes.py_object
    functions: tuple[Callable[..., Any], ...] = function(number)
    return functions


def has_header() -> bool:
    """Tell whether there can be such functions."""
    return _HEADER.exists()
