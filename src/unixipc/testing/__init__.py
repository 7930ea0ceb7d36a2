"""Testing code that forks: children with a deadline and crash reports, handshakes, and a check for leaks.

Nothing here needs pytest; `unixipc.testing.plugin` makes fixtures of it. What a name stands for is imported when it is
used: every run of pytest, where unixipc is installed, imports this module.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from unixipc.testing.children import DEADLINE as DEADLINE
    from unixipc.testing.children import Child as Child
    from unixipc.testing.children import fork as fork
    from unixipc.testing.crashes import CrashError as CrashError
    from unixipc.testing.crashes import CrashReport as CrashReport
    from unixipc.testing.crashes import DeadlineError as DeadlineError
    from unixipc.testing.decorator import forked as forked
    from unixipc.testing.evidence import ThreadEvidence as ThreadEvidence
    from unixipc.testing.gates import Barrier as Barrier
    from unixipc.testing.gates import Gate as Gate
    from unixipc.testing.handshakes import HandshakeError as HandshakeError
    from unixipc.testing.handshakes import Parent as Parent
    from unixipc.testing.handshakes import parent as parent
    from unixipc.testing.leaks import Leak as Leak
    from unixipc.testing.leaks import LeakError as LeakError
    from unixipc.testing.leaks import Snapshot as Snapshot
    from unixipc.testing.leaks import no_leaks as no_leaks
    from unixipc.testing.looks import LeakKind as LeakKind
    from unixipc.testing.private import PrivateIpc as PrivateIpc
    from unixipc.testing.private import private_ipc as private_ipc

_HOMES = {
    "children": ("DEADLINE", "Child", "fork"),
    "crashes": ("CrashError", "CrashReport", "DeadlineError"),
    "decorator": ("forked",),
    "evidence": ("ThreadEvidence",),
    "gates": ("Barrier", "Gate"),
    "handshakes": ("HandshakeError", "Parent", "parent"),
    "leaks": ("Leak", "LeakError", "Snapshot", "no_leaks"),
    "looks": ("LeakKind",),
    "private": ("PrivateIpc", "private_ipc"),
}


def __getattr__(name: str) -> object:
    for home, names in _HOMES.items():
        if name in names:
            globals()[name] = value = getattr(import_module(f"unixipc.testing.{home}"), name)
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *(name for names in _HOMES.values() for name in names)]
