"""Forked children that hand back what their function returned, and outlive neither their parent nor a with-block."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from unixipc.processes.child import Child as Child
from unixipc.processes.status import ExitStatus as ExitStatus
from unixipc.processes.status import Usage as Usage

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")


def fork(function: Callable[[*_Arguments], _T], /, *args: *_Arguments, allow_threads: bool = False) -> Child[_T]:
    """Run a function in a forked child (fork(2)).

    The child is killed when the parent ends (PR_SET_PDEATHSIG: when the thread ends that forked it), and leaves by
    `os._exit`: no cleanup of the parent's runs in it. What the function returns or raises must pickle to come back;
    `sys.exit` ends the child. A process with several threads is not forked (RuntimeError) unless that is allowed: the
    child would have their locks, but not them.
    """
    return Child.start(function, *args, allow_threads=allow_threads)
