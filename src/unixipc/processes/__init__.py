"""Forked children that hand back what their function returned, and outlive neither their parent nor a with-block.

And what processes have besides: programs that start with a chosen signal mask, orphans, and namespaces of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, TypeVarTuple

from unixipc.processes.child import Child as Child
from unixipc.processes.execution import execute as execute
from unixipc.processes.namespaces import IpcLimits as IpcLimits
from unixipc.processes.namespaces import Mounts as Mounts
from unixipc.processes.namespaces import enter_user_namespace as enter_user_namespace
from unixipc.processes.namespaces import ipc_namespace as ipc_namespace
from unixipc.processes.namespaces import mount_namespace as mount_namespace
from unixipc.processes.reaping import Orphans as Orphans
from unixipc.processes.reaping import die_with_parent as die_with_parent
from unixipc.processes.reaping import subreaper as subreaper
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
