"""sysv_ipc, for a Python that has this folder on PYTHONPATH: the drop-in."""

import sys

from unixipc.compat import sysv_ipc

sys.modules[__name__] = sysv_ipc
