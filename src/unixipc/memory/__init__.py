"""Memory without a name: mappings of anonymous memory and of files, and files that lie in memory.

`memoryview(mapping)` shows the bytes without a copy, and whatever takes a buffer takes the mapping. A view pins the
memory: after `close` it is still valid, and the pages go with the last one. Processes share memory by fork, by a file
that both map, or by a `MemoryFile` whose descriptor one sends the other over a socket.
"""

from unixipc.memory.files import MemoryFile as MemoryFile
from unixipc.memory.mappings import Access as Access
from unixipc.memory.mappings import Mapping as Mapping
