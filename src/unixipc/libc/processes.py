"""prctl(2), as far as a forked child needs it."""

from operator import index

from unixipc._check import check
from unixipc._native import lib
from unixipc.constants.processes import PrctlOption


def prctl(option: PrctlOption, argument: int) -> None:
    """Set an attribute of the calling process (prctl(2)): PR_SET_PDEATHSIG or PR_SET_CHILD_SUBREAPER."""
    check(lib.uipc_prctl(PrctlOption(option), index(argument)), "prctl", PrctlOption(option), argument)
