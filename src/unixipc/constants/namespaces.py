"""Names of unshare(2), setns(2), mount(2) and umount2(2)."""

from enum import IntFlag
from typing import Final

from unixipc import _native


class CloneFlag(IntFlag):
    """What a process can have for itself (unshare(2))."""

    CLONE_FILES = _native.lib.CLONE_FILES
    CLONE_FS = _native.lib.CLONE_FS
    CLONE_NEWCGROUP = _native.lib.CLONE_NEWCGROUP
    CLONE_NEWIPC = _native.lib.CLONE_NEWIPC
    CLONE_NEWNET = _native.lib.CLONE_NEWNET
    CLONE_NEWNS = _native.lib.CLONE_NEWNS
    CLONE_NEWPID = _native.lib.CLONE_NEWPID
    CLONE_NEWTIME = _native.lib.CLONE_NEWTIME
    CLONE_NEWUSER = _native.lib.CLONE_NEWUSER
    CLONE_NEWUTS = _native.lib.CLONE_NEWUTS
    CLONE_SYSVSEM = _native.lib.CLONE_SYSVSEM


class MountFlag(IntFlag):
    """How to mount, or what to do with a mount (mount(2))."""

    MS_RDONLY = _native.lib.MS_RDONLY
    MS_NOSUID = _native.lib.MS_NOSUID
    MS_NODEV = _native.lib.MS_NODEV
    MS_NOEXEC = _native.lib.MS_NOEXEC
    MS_SYNCHRONOUS = _native.lib.MS_SYNCHRONOUS
    MS_REMOUNT = _native.lib.MS_REMOUNT
    MS_MANDLOCK = _native.lib.MS_MANDLOCK
    MS_DIRSYNC = _native.lib.MS_DIRSYNC
    MS_NOSYMFOLLOW = _native.lib.MS_NOSYMFOLLOW
    MS_NOATIME = _native.lib.MS_NOATIME
    MS_NODIRATIME = _native.lib.MS_NODIRATIME
    MS_BIND = _native.lib.MS_BIND
    MS_MOVE = _native.lib.MS_MOVE
    MS_REC = _native.lib.MS_REC
    MS_SILENT = _native.lib.MS_SILENT
    MS_POSIXACL = _native.lib.MS_POSIXACL
    MS_UNBINDABLE = _native.lib.MS_UNBINDABLE
    MS_PRIVATE = _native.lib.MS_PRIVATE
    MS_SLAVE = _native.lib.MS_SLAVE
    MS_SHARED = _native.lib.MS_SHARED
    MS_RELATIME = _native.lib.MS_RELATIME
    MS_STRICTATIME = _native.lib.MS_STRICTATIME
    MS_LAZYTIME = _native.lib.MS_LAZYTIME


class UmountFlag(IntFlag):
    """How to unmount (umount2(2))."""

    MNT_FORCE = _native.lib.MNT_FORCE
    MNT_DETACH = _native.lib.MNT_DETACH
    MNT_EXPIRE = _native.lib.MNT_EXPIRE
    UMOUNT_NOFOLLOW = _native.lib.UMOUNT_NOFOLLOW


CLONE_FILES: Final = CloneFlag.CLONE_FILES
CLONE_FS: Final = CloneFlag.CLONE_FS
CLONE_NEWCGROUP: Final = CloneFlag.CLONE_NEWCGROUP
CLONE_NEWIPC: Final = CloneFlag.CLONE_NEWIPC
CLONE_NEWNET: Final = CloneFlag.CLONE_NEWNET
CLONE_NEWNS: Final = CloneFlag.CLONE_NEWNS
CLONE_NEWPID: Final = CloneFlag.CLONE_NEWPID
CLONE_NEWTIME: Final = CloneFlag.CLONE_NEWTIME
CLONE_NEWUSER: Final = CloneFlag.CLONE_NEWUSER
CLONE_NEWUTS: Final = CloneFlag.CLONE_NEWUTS
CLONE_SYSVSEM: Final = CloneFlag.CLONE_SYSVSEM
MS_RDONLY: Final = MountFlag.MS_RDONLY
MS_NOSUID: Final = MountFlag.MS_NOSUID
MS_NODEV: Final = MountFlag.MS_NODEV
MS_NOEXEC: Final = MountFlag.MS_NOEXEC
MS_SYNCHRONOUS: Final = MountFlag.MS_SYNCHRONOUS
MS_REMOUNT: Final = MountFlag.MS_REMOUNT
MS_MANDLOCK: Final = MountFlag.MS_MANDLOCK
MS_DIRSYNC: Final = MountFlag.MS_DIRSYNC
MS_NOSYMFOLLOW: Final = MountFlag.MS_NOSYMFOLLOW
MS_NOATIME: Final = MountFlag.MS_NOATIME
MS_NODIRATIME: Final = MountFlag.MS_NODIRATIME
MS_BIND: Final = MountFlag.MS_BIND
MS_MOVE: Final = MountFlag.MS_MOVE
MS_REC: Final = MountFlag.MS_REC
MS_SILENT: Final = MountFlag.MS_SILENT
MS_POSIXACL: Final = MountFlag.MS_POSIXACL
MS_UNBINDABLE: Final = MountFlag.MS_UNBINDABLE
MS_PRIVATE: Final = MountFlag.MS_PRIVATE
MS_SLAVE: Final = MountFlag.MS_SLAVE
MS_SHARED: Final = MountFlag.MS_SHARED
MS_RELATIME: Final = MountFlag.MS_RELATIME
MS_STRICTATIME: Final = MountFlag.MS_STRICTATIME
MS_LAZYTIME: Final = MountFlag.MS_LAZYTIME
MNT_FORCE: Final = UmountFlag.MNT_FORCE
MNT_DETACH: Final = UmountFlag.MNT_DETACH
MNT_EXPIRE: Final = UmountFlag.MNT_EXPIRE
UMOUNT_NOFOLLOW: Final = UmountFlag.UMOUNT_NOFOLLOW
