"""Names of mq_open(3), sem_open(3) and shm_open(3)."""

from enum import IntEnum, IntFlag
from typing import Final

from unixipc import _native


class OpenFlag(IntFlag):
    """How an object is opened or made (mq_open(3), sem_open(3), shm_open(3)); queues also take O_NONBLOCK."""

    O_RDONLY = _native.lib.O_RDONLY
    O_WRONLY = _native.lib.O_WRONLY
    O_RDWR = _native.lib.O_RDWR
    O_CREAT = _native.lib.O_CREAT
    O_EXCL = _native.lib.O_EXCL
    O_TRUNC = _native.lib.O_TRUNC


class Notify(IntEnum):
    """What the last byte says that comes to the descriptor of `mq_notify_fd` (linux/mqueue.h)."""

    NOTIFY_NONE = _native.lib.NOTIFY_NONE
    NOTIFY_WOKENUP = _native.lib.NOTIFY_WOKENUP
    NOTIFY_REMOVED = _native.lib.NOTIFY_REMOVED


O_RDONLY: Final = OpenFlag.O_RDONLY
O_WRONLY: Final = OpenFlag.O_WRONLY
O_RDWR: Final = OpenFlag.O_RDWR
O_CREAT: Final = OpenFlag.O_CREAT
O_EXCL: Final = OpenFlag.O_EXCL
O_TRUNC: Final = OpenFlag.O_TRUNC
MQ_PRIO_MAX: Final = _native.lib.MQ_PRIO_MAX
SEM_VALUE_MAX: Final = _native.lib.SEM_VALUE_MAX
NOTIFY_NONE: Final = Notify.NOTIFY_NONE
NOTIFY_WOKENUP: Final = Notify.NOTIFY_WOKENUP
NOTIFY_REMOVED: Final = Notify.NOTIFY_REMOVED
NOTIFY_COOKIE_LEN: Final = _native.lib.NOTIFY_COOKIE_LEN
