"""The rows of the tour: a module for each family, a function for each mechanism."""

from unixipc.cli.mechanisms import handlers, mappings, pipes, signals, sysv

MECHANISMS = (*signals.family, *handlers.family, *sysv.family, *mappings.family, *pipes.family)
