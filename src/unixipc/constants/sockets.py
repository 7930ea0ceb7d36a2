"""Names of socket(7) and unix(7) that the module `socket` lacks."""

from enum import IntEnum
from typing import Final

from unixipc import _native


class SocketOption(IntEnum):
    """What is set and got of a Unix socket, at the level SOL_SOCKET (unix(7))."""

    SO_PEERGROUPS = _native.lib.SO_PEERGROUPS
    SO_PASSPIDFD = _native.lib.SO_PASSPIDFD
    SO_PEERPIDFD = _native.lib.SO_PEERPIDFD


class ControlMessage(IntEnum):
    """What travels beside the data of a Unix socket, at the level SOL_SOCKET (unix(7))."""

    SCM_PIDFD = _native.lib.SCM_PIDFD


SO_PEERGROUPS: Final = SocketOption.SO_PEERGROUPS
SO_PASSPIDFD: Final = SocketOption.SO_PASSPIDFD
SO_PEERPIDFD: Final = SocketOption.SO_PEERPIDFD
SCM_PIDFD: Final = ControlMessage.SCM_PIDFD
UNIX_PATH_MAX: Final = _native.lib.UNIX_PATH_MAX
