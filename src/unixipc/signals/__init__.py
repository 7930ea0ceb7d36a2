"""Signals for everyday use: signal(7) with lifetimes, timeouts and with-blocks, over `unixipc.libc`."""
