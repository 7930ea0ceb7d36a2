"""Names of prctl(2), as far as it is bound."""

from enum import IntEnum
from typing import Final

from unixipc import _native


class PrctlOption(IntEnum):
    """What prctl(2) can set and get here."""

    PR_SET_PDEATHSIG = _native.lib.PR_SET_PDEATHSIG
    PR_SET_CHILD_SUBREAPER = _native.lib.PR_SET_CHILD_SUBREAPER
    PR_GET_PDEATHSIG = _native.lib.PR_GET_PDEATHSIG
    PR_GET_CHILD_SUBREAPER = _native.lib.PR_GET_CHILD_SUBREAPER


PR_SET_PDEATHSIG: Final = PrctlOption.PR_SET_PDEATHSIG
PR_SET_CHILD_SUBREAPER: Final = PrctlOption.PR_SET_CHILD_SUBREAPER
PR_GET_PDEATHSIG: Final = PrctlOption.PR_GET_PDEATHSIG
PR_GET_CHILD_SUBREAPER: Final = PrctlOption.PR_GET_CHILD_SUBREAPER
