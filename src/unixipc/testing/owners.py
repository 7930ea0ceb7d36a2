"""Who has a thing: which Python object, which process, in words."""

from __future__ import annotations

import functools
import gc
import inspect
import io
import os
import re
import socket
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

from unixipc import libc

_LONG = 100  # characters of a command

_PIDFD = re.compile(r"^Pid:\s+(-?\d+)$", re.MULTILINE)
_SIGNALFD = re.compile(r"^sigmask:\s+([0-9a-f]+)$", re.MULTILINE)
_ROOTS = {"_io", "io", "socket", "_socket", "select", "selectors", "multiprocessing", "unixipc", "tempfile", "asyncio"}
"""The modules whose objects are asked for their descriptor: others could do anything then."""

_RANK = (io.TextIOBase, io.BufferedIOBase)  # an open file is three objects: the outermost is what was opened


def file(number: int, target: str) -> str:
    """Tell what a descriptor is, in more words than its target where there are any."""
    with suppress(OSError):
        info = Path(f"/proc/self/fdinfo/{number}").read_text()
        if found := _PIDFD.search(info):
            return f"pidfd of process {found[1]}"
        if found := _SIGNALFD.search(info):
            return f"signalfd of {libc.SignalSet.from_mask(int(found[1], 16))!r}"
    if target.startswith("socket:"):
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as end:
            return _socket(end)
    return target


def made(owner: object) -> str:
    """Tell which object it is, and with tracemalloc where it was made."""
    where = tracemalloc.get_object_traceback(owner)
    return f"{_shown(owner)}, made at {where[-1]}" if where else _shown(owner)


def _socket(end: socket.socket) -> str:
    names = [getattr(end.family, "name", str(end.family)), getattr(end.type, "name", str(end.type))]
    here = end.getsockname()
    if here:
        names.append(f"at {here!r}")
    with suppress(OSError):
        if end.getpeername():
            names.append(f"with {end.getpeername()!r}")
    return f"socket {' '.join(names)}"


def of_descriptors() -> dict[int, object]:
    """Find the objects that have descriptors, by what they say themselves; of several the one that has the others."""
    found = dict[int, object]()
    for thing in gc.get_objects():
        number = _number(thing)
        if number is not None and (number not in found or _rank(thing) < _rank(found[number])):
            found[number] = thing
    return found


def _number(thing: object) -> int | None:
    kind = type(thing)
    root = getattr(kind, "__module__", None)
    if not isinstance(root, str) or root.partition(".")[0] not in _ROOTS or not hasattr(kind, "fileno"):
        return None
    asked: Any = thing
    try:
        number = asked.fileno()
    except Exception:  # noqa: BLE001 - it is closed, or has none after all
        return None
    return number if isinstance(number, int) else None


def _rank(thing: object) -> int:
    places = [place for place, kind in enumerate(_RANK) if isinstance(thing, kind)]
    if isinstance(thing, io.FileIO):
        return len(_RANK)
    return places[0] if places else -1


def _shown(thing: object) -> str:
    try:
        return repr(thing)
    except Exception:  # noqa: BLE001 - whatever its class does
        return object.__repr__(thing)


def function(thing: object) -> str:
    """Name what is called, and the line where it is written."""
    inner: Any = thing
    while isinstance(inner, functools.partial):
        inner = inner.func
    inner = getattr(inner, "__func__", inner)
    code = getattr(inner, "__code__", None)
    name = getattr(inner, "__qualname__", None)
    if not inspect.iscode(code) or not isinstance(name, str):
        return _shown(thing)
    return f"{name} ({code.co_filename}:{code.co_firstlineno})"


def process(pid: int) -> str | None:
    """Tell what a process is and does; None where there is none any more."""
    found = _process(pid)
    if found is None:
        return None
    command, state = found
    if state in _ENDED:
        return f"{pid} ({command}) has ended, and nobody has waited for it"
    return f"{pid} ({command}) is {_STATES.get(state, 'there')}"


def which(pid: int) -> str:
    """Tell which process a pid means."""
    if pid == os.getpid():
        return "this process"
    found = _process(pid)
    if found is None:
        return f"process {pid}, which is no more"
    command, state = found
    return f"process {pid} ({command}{', which has ended' if state in _ENDED else ''})"


_ENDED = ("Z", "X")
_STATES = {"R": "running", "S": "asleep", "D": "asleep", "T": "stopped", "t": "stopped"}


def _process(pid: int) -> tuple[str, str] | None:
    """Give the command and the state of a process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    name, _, rest = stat.partition("(")[2].rpartition(")")
    text = command or name
    return text if len(text) <= _LONG else f"{text[:_LONG]}...", rest.split()[0]
