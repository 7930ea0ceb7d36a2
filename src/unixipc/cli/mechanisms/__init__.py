"""The rows of the tour: a module for each family, a function for each mechanism."""

from unixipc.cli.mechanisms import mappings, pipes, signals, sysv

MECHANISMS = (*signals.family, *sysv.family, *mappings.family, *pipes.family)
