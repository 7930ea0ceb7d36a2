"""POSIX signals and System V / POSIX IPC for Python, as C programmers have them. Start at `unixipc.libc`."""
