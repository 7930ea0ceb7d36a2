"""Names of fsopen(2), fsconfig(2) and fsmount(2)."""

from enum import IntEnum, IntFlag
from typing import Final

from unixipc import _native


class FsopenFlag(IntFlag):
    """How fsopen(2) opens."""

    FSOPEN_CLOEXEC = _native.lib.FSOPEN_CLOEXEC


class FsconfigCommand(IntEnum):
    """What fsconfig(2) does."""

    FSCONFIG_SET_FLAG = _native.lib.FSCONFIG_SET_FLAG
    FSCONFIG_SET_STRING = _native.lib.FSCONFIG_SET_STRING
    FSCONFIG_SET_PATH = _native.lib.FSCONFIG_SET_PATH
    FSCONFIG_SET_FD = _native.lib.FSCONFIG_SET_FD
    FSCONFIG_CMD_CREATE = _native.lib.FSCONFIG_CMD_CREATE
    FSCONFIG_CMD_RECONFIGURE = _native.lib.FSCONFIG_CMD_RECONFIGURE


class FsmountFlag(IntFlag):
    """How fsmount(2) opens."""

    FSMOUNT_CLOEXEC = _native.lib.FSMOUNT_CLOEXEC


class MountAttribute(IntFlag):
    """How to mount (fsmount(2))."""

    MOUNT_ATTR_RDONLY = _native.lib.MOUNT_ATTR_RDONLY
    MOUNT_ATTR_NOSUID = _native.lib.MOUNT_ATTR_NOSUID
    MOUNT_ATTR_NODEV = _native.lib.MOUNT_ATTR_NODEV
    MOUNT_ATTR_NOEXEC = _native.lib.MOUNT_ATTR_NOEXEC
    MOUNT_ATTR_NOATIME = _native.lib.MOUNT_ATTR_NOATIME
    MOUNT_ATTR_STRICTATIME = _native.lib.MOUNT_ATTR_STRICTATIME
    MOUNT_ATTR_NODIRATIME = _native.lib.MOUNT_ATTR_NODIRATIME
    MOUNT_ATTR_NOSYMFOLLOW = _native.lib.MOUNT_ATTR_NOSYMFOLLOW


FSOPEN_CLOEXEC: Final = FsopenFlag.FSOPEN_CLOEXEC
FSCONFIG_SET_FLAG: Final = FsconfigCommand.FSCONFIG_SET_FLAG
FSCONFIG_SET_STRING: Final = FsconfigCommand.FSCONFIG_SET_STRING
FSCONFIG_SET_PATH: Final = FsconfigCommand.FSCONFIG_SET_PATH
FSCONFIG_SET_FD: Final = FsconfigCommand.FSCONFIG_SET_FD
FSCONFIG_CMD_CREATE: Final = FsconfigCommand.FSCONFIG_CMD_CREATE
FSCONFIG_CMD_RECONFIGURE: Final = FsconfigCommand.FSCONFIG_CMD_RECONFIGURE
FSMOUNT_CLOEXEC: Final = FsmountFlag.FSMOUNT_CLOEXEC
MOUNT_ATTR_RDONLY: Final = MountAttribute.MOUNT_ATTR_RDONLY
MOUNT_ATTR_NOSUID: Final = MountAttribute.MOUNT_ATTR_NOSUID
MOUNT_ATTR_NODEV: Final = MountAttribute.MOUNT_ATTR_NODEV
MOUNT_ATTR_NOEXEC: Final = MountAttribute.MOUNT_ATTR_NOEXEC
MOUNT_ATTR_NOATIME: Final = MountAttribute.MOUNT_ATTR_NOATIME
MOUNT_ATTR_STRICTATIME: Final = MountAttribute.MOUNT_ATTR_STRICTATIME
MOUNT_ATTR_NODIRATIME: Final = MountAttribute.MOUNT_ATTR_NODIRATIME
MOUNT_ATTR_NOSYMFOLLOW: Final = MountAttribute.MOUNT_ATTR_NOSYMFOLLOW
