"""A process that has imported this holds a handler of ours."""

from unixipc import libc

SIGNAL = libc.SIGRTMIN + 5  # CPython's tests do not use it

received: list[libc.Siginfo] = []


def handler(signum: int, info: libc.Siginfo) -> None:
    received.append(info)


installed = libc.Sigaction(handler, {libc.SIGRTMIN + 6}, libc.SA_SIGINFO)
libc.sigaction(SIGNAL, installed)
