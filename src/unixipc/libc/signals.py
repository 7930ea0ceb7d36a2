"""signal(7): sending signals, masks and waits. Handlers are in delivery.py."""

from __future__ import annotations

import errno
from operator import index
from typing import TYPE_CHECKING

from unixipc._check import check, restarting, timespec
from unixipc._cpython import RawSiginfo, front
from unixipc._native import ffi, lib
from unixipc.constants.signals import SIGABRT
from unixipc.libc.siginfo import Siginfo
from unixipc.libc.sigsetops import SignalSet, check_signal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from unixipc._native import _CBytes

_INT = range(-(2**31), 2**31)
_SENDING = {
    errno.EINVAL: "no signal has this number, or the C library keeps it for itself",
    errno.EPERM: "the target runs as another user; CAP_KILL is needed",
    errno.ESRCH: "there is no such process, group or thread",
}
_NO_THREADS = "a thread that does not lead its process needs PIDFD_THREAD, and that Linux 6.9"
_OPENING = _SENDING | {
    errno.EINVAL: f"pid must be above 0, and the kernel know the flags; {_NO_THREADS}",
    errno.ENOENT: _NO_THREADS,
}
_QUEUEING = _SENDING | {errno.EAGAIN: "too many signals are queued already: see RLIMIT_SIGPENDING in getrlimit(2)"}
_SENDING_BY_SCOPE = _QUEUEING | {
    errno.EINVAL: "no signal has this number, or the kernel does not take these flags: the scopes need Linux 6.9",
}
_QUEUEING_INFO = _QUEUEING | {
    errno.E2BIG: "this si_code has no room for all that the siginfo holds",
    errno.EPERM: "the target runs as another user, or may not get a siginfo whose si_code is SI_TKILL or not below 0",
}


@front
def kill(pid: int, sig: int) -> None:
    """Send a signal to a process, a group or everybody (kill(2)); signal 0 only checks."""
    check(lib.uipc_kill(index(pid), index(sig)), "kill", pid, sig, advice=_SENDING)


def killpg(pgrp: int, sig: int) -> None:
    """Send a signal to a process group (killpg(3))."""
    check(lib.uipc_killpg(index(pgrp), index(sig)), "killpg", pgrp, sig, advice=_SENDING)


def tgkill(tgid: int, tid: int, sig: int) -> None:
    """Send a signal to one thread of a process (tgkill(2))."""
    check(lib.uipc_tgkill(index(tgid), index(tid), index(sig)), "tgkill", tgid, tid, sig, advice=_SENDING)


def raise_(sig: int) -> None:
    """Send a signal to the calling thread (raise(3))."""
    check(lib.uipc_raise(check_signal(sig, "raise")), "raise", sig)


@front
def sigqueue(pid: int, sig: int, value: int = 0, *, pointer: int | None = None) -> None:
    """Queue a signal with a value (sigqueue(3)).

    `value` is the C int `sival_int`; OverflowError beyond it. `pointer` sets the address `sival_ptr` instead.
    """
    pid, sig, value = index(pid), index(sig), index(value)
    if pointer is not None:
        pointer = index(pointer)
        check(lib.uipc_sigqueue_ptr(pid, sig, pointer), "sigqueue", pid, sig, pointer, advice=_QUEUEING)
    elif value in _INT:
        check(lib.uipc_sigqueue(pid, sig, value), "sigqueue", pid, sig, value, advice=_QUEUEING)
    else:
        raise OverflowError(f"sigqueue(): the value {value} does not fit a C int; pass an address as pointer=")


def _check_info(info: Siginfo) -> bytes:
    if not isinstance(info, Siginfo):
        raise TypeError(f"info is a Siginfo, not {info!r}")
    raw: bytes = RawSiginfo.raw.__get__(info)  # 128 bytes, whatever a subclass says
    return raw


def rt_sigqueueinfo(tgid: int, sig: int, info: Siginfo) -> None:
    """Queue a signal with a siginfo of one's own, such as `Siginfo.queued` makes (rt_sigqueueinfo(2)).

    The kernel sets its si_signo to `sig`. To another process it takes no si_code from 0 up, nor SI_TKILL.
    """
    result = lib.uipc_rt_sigqueueinfo(index(tgid), index(sig), _check_info(info))
    check(result, "rt_sigqueueinfo", tgid, sig, advice=_QUEUEING_INFO)


def rt_tgsigqueueinfo(tgid: int, tid: int, sig: int, info: Siginfo) -> None:
    """Queue a signal with a siginfo of one's own for one thread of a process (rt_tgsigqueueinfo(2)).

    The kernel sets its si_signo to `sig`. To any thread but the calling one it takes no si_code from 0 up, nor
    SI_TKILL.
    """
    result = lib.uipc_rt_tgsigqueueinfo(index(tgid), index(tid), index(sig), _check_info(info))
    check(result, "rt_tgsigqueueinfo", tgid, tid, sig, advice=_QUEUEING_INFO)


def pidfd_open(pid: int, flags: int = 0) -> int:
    """Open a descriptor that refers to a process and to no other, ever (pidfd_open(2)); it is close-on-exec.

    With PIDFD_THREAD, from Linux 6.9 on, it refers to the thread `pid`.
    """
    return check(lib.uipc_pidfd_open(index(pid), index(flags)), "pidfd_open", pid, advice=_OPENING)


def pidfd_send_signal(pidfd: int, sig: int, info: Siginfo | None = None, flags: int = 0) -> None:
    """Send a signal to the process of a pidfd (pidfd_send_signal(2)).

    The kernel takes an `info` of one's own only for the calling process, or with an si_code below zero other than
    SI_TKILL; its si_signo must be `sig`. From Linux 6.9 on one of PIDFD_SIGNAL_* says whom the signal reaches.
    """
    raw = ffi.NULL if info is None else _check_info(info)
    flags = index(flags)
    check(
        lib.uipc_pidfd_send_signal(index(pidfd), index(sig), raw, flags),
        "pidfd_send_signal",
        pidfd,
        sig,
        advice=_SENDING_BY_SCOPE if flags else _QUEUEING,
    )


@front
def sigprocmask(how: int, set: Iterable[int] | None = None) -> SignalSet:  # noqa: A002 - the man page's name
    """Change the calling thread's mask of blocked signals, and return the one before (sigprocmask(2)).

    Handlers of signals that were delivered before the call run before it takes effect; those of signals that it
    unblocks have run when it returns, on the main thread.
    """
    old = ffi.new("uint64_t *")
    new = ffi.NULL if set is None else ffi.new("uint64_t *", SignalSet(set).mask)
    check(restarting(lib.uipc_sigprocmask, index(how), new, old), "sigprocmask", how)
    return SignalSet.from_mask(old[0])


pthread_sigmask = sigprocmask


def sigpending() -> SignalSet:
    """Tell which signals are blocked and wait for the calling thread or its process (sigpending(2))."""
    pending = ffi.new("uint64_t *")
    check(lib.uipc_sigpending(pending), "sigpending")
    return SignalSet.from_mask(pending[0])


def _caught(result: int, call: str) -> None:
    if result != -errno.EINTR:
        check(result, call)


def sigsuspend(mask: Iterable[int]) -> None:
    """Wait under a temporary mask until a signal was caught, and return after its handler (sigsuspend(2)).

    The handler runs under that mask, and the mask from before the call is back when it returns. A signal that was
    blocked before the call cannot slip by. C's constant result, -1 with EINTR, is None here.
    """
    _caught(restarting(lib.uipc_sigsuspend, SignalSet(mask).mask), "sigsuspend")


def pause() -> None:
    """Wait until a signal was caught, and return after its handler (pause(2)); C's constant EINTR is None here."""
    _caught(restarting(lib.uipc_pause), "pause")


def _siginfo(buffer: _CBytes) -> Siginfo:
    return Siginfo(bytes(ffi.buffer(buffer)))


def sigwait(set: Iterable[int]) -> int:  # noqa: A002 - the man page's name
    """Accept a signal of the set, which must be blocked, and return its number (sigwait(3)).

    Handlers of other signals run while it waits, and it goes on after them.
    """
    while True:
        try:
            return sigwaitinfo(set).si_signo
        except InterruptedError:
            continue


@front
def sigwaitinfo(set: Iterable[int]) -> Siginfo:  # noqa: A002 - the man page's name
    """Accept a signal of the set, which must be blocked (sigwaitinfo(2)).

    InterruptedError when a signal outside the set was handled.
    """
    wanted = SignalSet(set)
    info = ffi.new("unsigned char[]", lib.UIPC_SIGINFO_SIZE)
    check(restarting(lib.uipc_sigwaitinfo, wanted.mask, info), "sigwaitinfo", wanted)
    return _siginfo(info)


def sigtimedwait(set: Iterable[int], timeout: float) -> Siginfo:  # noqa: A002 - the man page's name
    """Accept a signal of the set within so many seconds (sigtimedwait(2)); 0 only looks.

    BlockingIOError (EAGAIN) when none came, InterruptedError when a signal outside the set was handled.
    """
    wanted = SignalSet(set)
    info = ffi.new("unsigned char[]", lib.UIPC_SIGINFO_SIZE)
    left = ffi.new("int64_t[2]", timespec(timeout))
    result = restarting(lib.uipc_sigtimedwait, wanted.mask, info, left)
    check(result, "sigtimedwait", wanted, timeout, advice={errno.EAGAIN: "no signal of the set came in time"})
    return _siginfo(info)


def ppoll(
    fds: Iterable[tuple[int, int]], timeout: float | None = None, sigmask: Iterable[int] | None = None
) -> list[tuple[int, int]]:
    """Wait under a temporary mask until a descriptor is ready, time is up or a signal was caught (ppoll(2)).

    `fds` are pairs of a descriptor and the wanted events (`select.POLLIN`, …), the result the pairs of those that are
    ready and their events: none of them when time is up. The timeout is in seconds, None waits for ever; the mask None
    is the present one. InterruptedError after the handler of a signal, which cannot slip by before the wait.
    """
    pairs = [(index(fd), index(events), 0) for fd, events in fds]
    polled = ffi.new("struct uipc_pollfd[]", pairs)
    left = ffi.NULL if timeout is None else ffi.new("int64_t[2]", timespec(timeout))
    mask = ffi.NULL if sigmask is None else ffi.new("uint64_t *", SignalSet(sigmask).mask)
    count = check(restarting(lib.uipc_ppoll, polled, len(pairs), left, mask), "ppoll", [fd for fd, _, _ in pairs])
    return [(polled[i].fd, polled[i].revents) for i in range(len(pairs)) if count and polled[i].revents]


def alarm(seconds: int) -> int:
    """Have SIGALRM sent in so many seconds, 0 for never, and return what was left of the alarm before (alarm(2))."""
    return lib.uipc_alarm(index(seconds))


def abort() -> None:
    """End the process with SIGABRT (abort(3)), after a Python handler of it, which can prevent that by raising."""
    sigprocmask(lib.SIG_UNBLOCK, {SIGABRT})
    raise_(SIGABRT)
    lib.uipc_abort()
