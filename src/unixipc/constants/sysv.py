"""Names of svipc(7): flags and commands."""

from enum import IntEnum, IntFlag
from typing import Final

from unixipc import _native


class IpcFlag(IntFlag):
    """What all System V get calls and message operations take (svipc(7))."""

    IPC_CREAT = _native.lib.IPC_CREAT
    IPC_EXCL = _native.lib.IPC_EXCL
    IPC_NOWAIT = _native.lib.IPC_NOWAIT


class IpcCommand(IntEnum):
    """What all System V control calls take (shmctl(2), msgctl(2), semctl(2))."""

    IPC_RMID = _native.lib.IPC_RMID
    IPC_SET = _native.lib.IPC_SET
    IPC_STAT = _native.lib.IPC_STAT
    IPC_INFO = _native.lib.IPC_INFO


class ShmgetFlag(IntFlag):
    """How a segment is made (shmget(2))."""

    SHM_HUGETLB = _native.lib.SHM_HUGETLB
    SHM_HUGE_2MB = _native.lib.SHM_HUGE_2MB
    SHM_HUGE_1GB = _native.lib.SHM_HUGE_1GB
    SHM_NORESERVE = _native.lib.SHM_NORESERVE


class ShmatFlag(IntFlag):
    """How a segment is attached (shmat(2))."""

    SHM_RDONLY = _native.lib.SHM_RDONLY
    SHM_RND = _native.lib.SHM_RND
    SHM_REMAP = _native.lib.SHM_REMAP
    SHM_EXEC = _native.lib.SHM_EXEC


class ShmCommand(IntEnum):
    """What shmctl(2) takes besides IpcCommand."""

    SHM_LOCK = _native.lib.SHM_LOCK
    SHM_UNLOCK = _native.lib.SHM_UNLOCK
    SHM_STAT = _native.lib.SHM_STAT
    SHM_INFO = _native.lib.SHM_INFO
    SHM_STAT_ANY = _native.lib.SHM_STAT_ANY


class ShmMode(IntFlag):
    """What shmctl(2) shows in the mode of a segment, besides the permissions."""

    SHM_DEST = _native.lib.SHM_DEST
    SHM_LOCKED = _native.lib.SHM_LOCKED


class MsgFlag(IntFlag):
    """How a message is received (msgrcv(2))."""

    MSG_NOERROR = _native.lib.MSG_NOERROR
    MSG_EXCEPT = _native.lib.MSG_EXCEPT
    MSG_COPY = _native.lib.MSG_COPY


class MsgCommand(IntEnum):
    """What msgctl(2) takes besides IpcCommand."""

    MSG_STAT = _native.lib.MSG_STAT
    MSG_INFO = _native.lib.MSG_INFO
    MSG_STAT_ANY = _native.lib.MSG_STAT_ANY


class SemFlag(IntFlag):
    """How one operation on a semaphore is done, besides IPC_NOWAIT (semop(2))."""

    SEM_UNDO = _native.lib.SEM_UNDO


class SemCommand(IntEnum):
    """What semctl(2) takes besides IpcCommand."""

    GETVAL = _native.lib.GETVAL
    SETVAL = _native.lib.SETVAL
    GETALL = _native.lib.GETALL
    SETALL = _native.lib.SETALL
    GETPID = _native.lib.GETPID
    GETNCNT = _native.lib.GETNCNT
    GETZCNT = _native.lib.GETZCNT
    SEM_STAT = _native.lib.SEM_STAT
    SEM_INFO = _native.lib.SEM_INFO
    SEM_STAT_ANY = _native.lib.SEM_STAT_ANY


IPC_CREAT: Final = IpcFlag.IPC_CREAT
IPC_EXCL: Final = IpcFlag.IPC_EXCL
IPC_NOWAIT: Final = IpcFlag.IPC_NOWAIT
IPC_RMID: Final = IpcCommand.IPC_RMID
IPC_SET: Final = IpcCommand.IPC_SET
IPC_STAT: Final = IpcCommand.IPC_STAT
IPC_INFO: Final = IpcCommand.IPC_INFO
SHM_HUGETLB: Final = ShmgetFlag.SHM_HUGETLB
SHM_HUGE_2MB: Final = ShmgetFlag.SHM_HUGE_2MB
SHM_HUGE_1GB: Final = ShmgetFlag.SHM_HUGE_1GB
SHM_NORESERVE: Final = ShmgetFlag.SHM_NORESERVE
SHM_RDONLY: Final = ShmatFlag.SHM_RDONLY
SHM_RND: Final = ShmatFlag.SHM_RND
SHM_REMAP: Final = ShmatFlag.SHM_REMAP
SHM_EXEC: Final = ShmatFlag.SHM_EXEC
SHM_LOCK: Final = ShmCommand.SHM_LOCK
SHM_UNLOCK: Final = ShmCommand.SHM_UNLOCK
SHM_STAT: Final = ShmCommand.SHM_STAT
SHM_INFO: Final = ShmCommand.SHM_INFO
SHM_STAT_ANY: Final = ShmCommand.SHM_STAT_ANY
SHM_DEST: Final = ShmMode.SHM_DEST
SHM_LOCKED: Final = ShmMode.SHM_LOCKED
MSG_NOERROR: Final = MsgFlag.MSG_NOERROR
MSG_EXCEPT: Final = MsgFlag.MSG_EXCEPT
MSG_COPY: Final = MsgFlag.MSG_COPY
MSG_STAT: Final = MsgCommand.MSG_STAT
MSG_INFO: Final = MsgCommand.MSG_INFO
MSG_STAT_ANY: Final = MsgCommand.MSG_STAT_ANY
SEM_UNDO: Final = SemFlag.SEM_UNDO
GETVAL: Final = SemCommand.GETVAL
SETVAL: Final = SemCommand.SETVAL
GETALL: Final = SemCommand.GETALL
SETALL: Final = SemCommand.SETALL
GETPID: Final = SemCommand.GETPID
GETNCNT: Final = SemCommand.GETNCNT
GETZCNT: Final = SemCommand.GETZCNT
SEM_STAT: Final = SemCommand.SEM_STAT
SEM_INFO: Final = SemCommand.SEM_INFO
SEM_STAT_ANY: Final = SemCommand.SEM_STAT_ANY
IPC_PRIVATE: Final = _native.lib.IPC_PRIVATE
SHM_R: Final = _native.lib.SHM_R
SHM_W: Final = _native.lib.SHM_W
SHM_HUGE_SHIFT: Final = _native.lib.SHM_HUGE_SHIFT
SHM_HUGE_MASK: Final = _native.lib.SHM_HUGE_MASK
SYS_msgsnd: Final = _native.lib.SYS_msgsnd
SYS_msgrcv: Final = _native.lib.SYS_msgrcv
SYS_semop: Final = _native.lib.SYS_semop
SYS_semtimedop: Final = _native.lib.SYS_semtimedop
