"""prctl(2), as far as a forked child needs it."""

from __future__ import annotations

from operator import index

from unixipc._check import check
from unixipc._native import ffi, lib
from unixipc.constants.processes import PR_GET_CHILD_SUBREAPER, PR_GET_PDEATHSIG, PrctlOption

_GETTERS = (PR_GET_PDEATHSIG, PR_GET_CHILD_SUBREAPER)


def prctl(option: int, argument: int = 0) -> int:
    """Set or get an attribute of the calling process (prctl(2)): PDEATHSIG or CHILD_SUBREAPER.

    Returns what a PR_GET_ tells, else 0.
    """
    option = option if isinstance(option, PrctlOption) else PrctlOption(option)
    if option in _GETTERS:
        value = ffi.new("int *")
        check(lib.uipc_prctl_get(option, value), "prctl", option)
        return value[0]
    return check(lib.uipc_prctl(option, index(argument)), "prctl", option, argument)
