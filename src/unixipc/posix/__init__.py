"""POSIX objects for everyday use: queues, semaphores and shared memory with timeouts and with-blocks.

An object has a name, a slash and more, by which every process finds it, and lives in the system until somebody unlinks
it: nothing does that by itself. `create` makes a new one, `open` finds that of a name, `open_or_create` does either.
`close` ends the use of the object here, `unlink` removes its name; a with-block only closes. A pickled object is opened
by its name where it is loaded. What is made has the mode asked for less the umask, as a file has.
"""

from unixipc.posix.memory import SharedMemory as SharedMemory
from unixipc.posix.queues import MessageQueue as MessageQueue
from unixipc.posix.queues import QueueStatus as QueueStatus
from unixipc.posix.queues import default_limit as default_limit
from unixipc.posix.semaphores import Semaphore as Semaphore
from unixipc.posix.semaphores import UnnamedSemaphore as UnnamedSemaphore
