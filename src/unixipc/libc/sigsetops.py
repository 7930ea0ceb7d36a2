"""Sets of signals (sigsetops(3))."""

import errno
import operator
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Self

from unixipc._check import failure
from unixipc._cpython import use
from unixipc.constants.signals import SIGRTMAX, SIGRTMIN, Signal, signal_name

_RESERVED = range(Signal.SIGSYS + 1, SIGRTMIN)


def check_signal(signum: int, call: str) -> int:
    """Give back the number of a signal that a program may use, or raise OSError (EINVAL) in the name of the call."""
    number = operator.index(signum)
    if number in _RESERVED:
        raise failure(errno.EINVAL, call, number, advice="the C library reserves this signal for itself")
    if not 1 <= number <= SIGRTMAX:
        raise failure(errno.EINVAL, call, number, advice=f"signals are numbered from 1 to {SIGRTMAX}")
    return number


def _member(bit: int) -> int:
    try:
        return Signal(bit)
    except ValueError:
        return bit


def _common(other: AbstractSet[object]) -> int:
    """Give the mask of those members that are signals."""
    if isinstance(other, SignalSet):
        return other.mask
    return sum(1 << (member - 1) for member in other if isinstance(member, int) and 1 <= member <= SIGRTMAX)


class SignalSet(AbstractSet[int]):
    """An immutable set of signals that prints their names: `SignalSet({SIGINT, SIGRTMIN+3})` (sigsetops(3)).

    It takes any iterable of numbers, compares equal to a frozenset of them, and has all operators of sets. A number
    that is no signal, or one that the C library reserves, is an OSError (EINVAL).
    """

    __slots__ = ("mask",)

    mask: int
    """The set as the kernel has it: bit n - 1 is signal n."""

    def __init__(self, signals: Iterable[int] = ()) -> None:
        if isinstance(signals, SignalSet):
            self.mask = signals.mask
            return
        self.mask = 0
        for signum in signals:
            self.mask |= 1 << (check_signal(signum, "sigaddset") - 1)

    @classmethod
    def from_mask(cls, mask: int) -> Self:
        """Make the set of a kernel mask, without the signals that the C library reserves."""
        self = cls.__new__(cls)
        self.mask = mask & _EVERY
        return self

    @classmethod
    def full(cls) -> Self:
        """Make the set of all signals (sigfillset(3)); SIGKILL and SIGSTOP are in it, though nothing can block them."""
        return cls.from_mask(_EVERY)

    def __contains__(self, signum: object) -> bool:
        return isinstance(signum, int) and 1 <= signum <= SIGRTMAX and bool(self.mask >> (signum - 1) & 1)

    def __iter__(self) -> Iterator[int]:
        return (_member(signum) for signum in range(1, SIGRTMAX + 1) if self.mask >> (signum - 1) & 1)

    def __len__(self) -> int:
        return self.mask.bit_count()

    # The mixin would go through all 64 numbers for each of these, and not say that a SignalSet comes out.

    def __and__(self, other: object) -> Self:
        return self.from_mask(self.mask & _common(other)) if isinstance(other, AbstractSet) else NotImplemented

    def __sub__(self, other: object) -> Self:
        return self.from_mask(self.mask & ~_common(other)) if isinstance(other, AbstractSet) else NotImplemented

    def __or__(self, other: object) -> Self:
        return self.from_mask(self.mask | SignalSet(other).mask) if isinstance(other, AbstractSet) else NotImplemented

    def __xor__(self, other: object) -> Self:
        return self.from_mask(self.mask ^ SignalSet(other).mask) if isinstance(other, AbstractSet) else NotImplemented

    def __hash__(self) -> int:
        return self._hash()

    def __repr__(self) -> str:
        names = ", ".join(signal_name(signum) for signum in self)
        return f"{type(self).__name__}({{{names}}})" if names else f"{type(self).__name__}()"


_EVERY = sum(1 << (signum - 1) for signum in range(1, SIGRTMAX + 1) if signum not in _RESERVED)

use("SignalSet", SignalSet)
use("from_mask", SignalSet.from_mask)
