"""Names of socket(7), unix(7) and sock_diag(7) that the module `socket` lacks."""

from enum import IntEnum, IntFlag
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


class UnixDiagShow(IntFlag):
    """What a listing of Unix sockets shall show: udiag_show of sock_diag(7)."""

    UDIAG_SHOW_NAME = _native.lib.UDIAG_SHOW_NAME
    UDIAG_SHOW_VFS = _native.lib.UDIAG_SHOW_VFS
    UDIAG_SHOW_PEER = _native.lib.UDIAG_SHOW_PEER
    UDIAG_SHOW_ICONS = _native.lib.UDIAG_SHOW_ICONS
    UDIAG_SHOW_RQLEN = _native.lib.UDIAG_SHOW_RQLEN
    UDIAG_SHOW_UID = _native.lib.UDIAG_SHOW_UID


class UnixDiag(IntEnum):
    """What a part of an answer of sock_diag(7) is."""

    UNIX_DIAG_NAME = _native.lib.UNIX_DIAG_NAME
    UNIX_DIAG_VFS = _native.lib.UNIX_DIAG_VFS
    UNIX_DIAG_PEER = _native.lib.UNIX_DIAG_PEER
    UNIX_DIAG_ICONS = _native.lib.UNIX_DIAG_ICONS
    UNIX_DIAG_RQLEN = _native.lib.UNIX_DIAG_RQLEN
    UNIX_DIAG_UID = _native.lib.UNIX_DIAG_UID


SO_PEERGROUPS: Final = SocketOption.SO_PEERGROUPS
SO_PASSPIDFD: Final = SocketOption.SO_PASSPIDFD
SO_PEERPIDFD: Final = SocketOption.SO_PEERPIDFD
SCM_PIDFD: Final = ControlMessage.SCM_PIDFD
UNIX_PATH_MAX: Final = _native.lib.UNIX_PATH_MAX
UDIAG_SHOW_NAME: Final = UnixDiagShow.UDIAG_SHOW_NAME
UDIAG_SHOW_VFS: Final = UnixDiagShow.UDIAG_SHOW_VFS
UDIAG_SHOW_PEER: Final = UnixDiagShow.UDIAG_SHOW_PEER
UDIAG_SHOW_ICONS: Final = UnixDiagShow.UDIAG_SHOW_ICONS
UDIAG_SHOW_RQLEN: Final = UnixDiagShow.UDIAG_SHOW_RQLEN
UDIAG_SHOW_UID: Final = UnixDiagShow.UDIAG_SHOW_UID
UNIX_DIAG_NAME: Final = UnixDiag.UNIX_DIAG_NAME
UNIX_DIAG_VFS: Final = UnixDiag.UNIX_DIAG_VFS
UNIX_DIAG_PEER: Final = UnixDiag.UNIX_DIAG_PEER
UNIX_DIAG_ICONS: Final = UnixDiag.UNIX_DIAG_ICONS
UNIX_DIAG_RQLEN: Final = UnixDiag.UNIX_DIAG_RQLEN
UNIX_DIAG_UID: Final = UnixDiag.UNIX_DIAG_UID
NETLINK_SOCK_DIAG: Final = _native.lib.NETLINK_SOCK_DIAG
SOCK_DIAG_BY_FAMILY: Final = _native.lib.SOCK_DIAG_BY_FAMILY
NLM_F_REQUEST: Final = _native.lib.NLM_F_REQUEST
NLM_F_DUMP: Final = _native.lib.NLM_F_DUMP
NLMSG_DONE: Final = _native.lib.NLMSG_DONE
NLMSG_ERROR: Final = _native.lib.NLMSG_ERROR
