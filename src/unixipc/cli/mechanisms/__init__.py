"""The rows of the tour: a module for each family, a function for each mechanism."""

from unixipc.cli.mechanisms import (
    handlers,
    mappings,
    memory,
    native,
    pipes,
    posix,
    processes,
    signals,
    sockets,
    sysv,
    timers,
)

MECHANISMS = (
    *signals.family,
    *handlers.family,
    *native.family,
    *timers.family,
    *sysv.family,
    *posix.family,
    *mappings.family,
    *memory.family,
    *pipes.family,
    *sockets.family,
    *processes.family,
)
