"""The IPC objects that exist, who holds each of them, and how much of the kernel's limits they use.

What exists is what the present IPC, mount and network namespaces have. `look` lists everything, with one look at every
process; each kind can be listed alone, which costs less.
"""

from unixipc.inventory.census import Census as Census
from unixipc.inventory.census import MappedFile as MappedFile
from unixipc.inventory.census import Orphaned as Orphaned
from unixipc.inventory.census import Thing as Thing
from unixipc.inventory.census import Verdict as Verdict
from unixipc.inventory.census import holders as holders
from unixipc.inventory.census import look as look
from unixipc.inventory.census import shared_mappings as shared_mappings
from unixipc.inventory.files import Fifo as Fifo
from unixipc.inventory.files import MemoryFile as MemoryFile
from unixipc.inventory.holding import Holder as Holder
from unixipc.inventory.holding import Holders as Holders
from unixipc.inventory.limits import Limit as Limit
from unixipc.inventory.limits import limits as limits
from unixipc.inventory.posix import Notification as Notification
from unixipc.inventory.posix import PosixObject as PosixObject
from unixipc.inventory.posix import PosixQueue as PosixQueue
from unixipc.inventory.posix import QueueStatus as QueueStatus
from unixipc.inventory.posix import memory_names as memory_names
from unixipc.inventory.posix import posix_memory as posix_memory
from unixipc.inventory.posix import posix_queues as posix_queues
from unixipc.inventory.posix import queue_names as queue_names
from unixipc.inventory.posix import semaphore_value as semaphore_value
from unixipc.inventory.scan import Descriptor as Descriptor
from unixipc.inventory.scan import Mapping as Mapping
from unixipc.inventory.sockets import SocketState as SocketState
from unixipc.inventory.sockets import UnixSocket as UnixSocket
from unixipc.inventory.sockets import sockets as sockets
from unixipc.inventory.sysv import MessageQueue as MessageQueue
from unixipc.inventory.sysv import Segment as Segment
from unixipc.inventory.sysv import SemaphoreSet as SemaphoreSet
from unixipc.inventory.sysv import SemaphoreState as SemaphoreState
from unixipc.inventory.sysv import SysvObject as SysvObject
from unixipc.inventory.sysv import message_queues as message_queues
from unixipc.inventory.sysv import segments as segments
from unixipc.inventory.sysv import semaphore_sets as semaphore_sets
from unixipc.inventory.sysv import semaphore_states as semaphore_states
