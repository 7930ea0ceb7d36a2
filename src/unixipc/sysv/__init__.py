"""System V objects for everyday use: svipc(7) with timeouts and with-blocks, over `unixipc.libc`.

An object lives in the system until somebody removes it. `create` makes a new one, for a key or, with None, without;
`open` finds that of a key, `open_or_create` does either, and `from_id` takes any by its id, as a pickled object does in
another process. `close` ends the use of the object here, `remove` the object itself; a with-block only closes.
"""

from unixipc.libc import ftok as ftok
from unixipc.sysv.memory import SegmentStatus as SegmentStatus
from unixipc.sysv.memory import SharedMemory as SharedMemory
from unixipc.sysv.objects import Status as Status
from unixipc.sysv.queues import MessageQueue as MessageQueue
from unixipc.sysv.queues import QueueStatus as QueueStatus
from unixipc.sysv.semaphores import Semaphore as Semaphore
from unixipc.sysv.semaphores import SemaphoreSet as SemaphoreSet
from unixipc.sysv.semaphores import SetMember as SetMember
from unixipc.sysv.semaphores import SetStatus as SetStatus
