"""What the kernel tells about a delivered signal: siginfo_t (sigaction(2))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from unixipc._cpython import RawSiginfo, use
from unixipc._native import ffi, lib
from unixipc.constants.signals import SI_CODES, SI_QUEUE, PollCode, SiCode, signal_name
from unixipc.libc.arguments import int_argument, size_argument
from unixipc.libc.sigsetops import check_signal

if TYPE_CHECKING:
    from typing_extensions import Buffer

_ALWAYS = {"si_signo", "si_errno", "si_code", "si_int"}
_MEMBERS = [name for name in vars(RawSiginfo) if name.startswith("si_") and name not in _ALWAYS]


class Siginfo(RawSiginfo):
    """One delivered signal, its members under their man-page names, decoded by si_code (sigaction(2)).

    A member that does not apply is None. `raw` holds the 128 bytes as the kernel wrote them; two are equal when these
    are. Addresses are ints, and times are clock ticks (`os.sysconf("SC_CLK_TCK")` of them make a second).
    """

    __slots__ = ()

    @classmethod
    def queued(cls, signum: int, value: int = 0, *, pointer: int | None = None, code: int = SI_QUEUE) -> Self:
        """Make one to send (rt_sigqueueinfo(2)), with the calling process and its user as the sender.

        `value` is the C int `sival_int`; `pointer` sets the address `sival_ptr` instead. `code` is below 0 and tells
        of a sender and a value: not SI_TIMER, SI_SIGIO or SI_TKILL (ValueError).
        """
        signum, code = check_signal(signum, "Siginfo.queued"), int_argument(code, "code")
        raw = ffi.new("unsigned char[]", lib.UIPC_SIGINFO_SIZE)
        if pointer is None:
            lib.uipc_siginfo_queued(signum, code, int_argument(value, "value"), raw)
        else:
            lib.uipc_siginfo_queued_ptr(signum, code, size_argument(pointer, "pointer"), raw)
        self = cls(bytes(ffi.buffer(raw)))
        if self.si_pid is None or self.si_value is None:
            raise ValueError(f"a siginfo with the si_code {code} holds no sender and value")
        return self

    @classmethod
    def from_signalfd(cls, raw: Buffer) -> Self:
        """Make it of the `struct signalfd_siginfo` that was read from a signalfd(2): as sigwaitinfo(2) gives it."""
        given = bytes(memoryview(raw))
        if len(given) != lib.UIPC_SIGINFO_SIZE:
            raise ValueError(f"a struct signalfd_siginfo is {lib.UIPC_SIGINFO_SIZE} bytes, not {len(given)}")
        info = ffi.new("unsigned char[]", lib.UIPC_SIGINFO_SIZE)
        lib.uipc_siginfo_from_signalfd(given, info)
        return cls(bytes(ffi.buffer(info)))

    @property
    def si_code(self) -> int:
        """Where the signal came from: a SiCode, or for faults, children and I/O a code of that signal's own."""
        code = super().si_code
        codes = SI_CODES.get(self.si_signo, PollCode) if 0 < code < SiCode.SI_KERNEL else SiCode
        try:
            return codes(code)
        except ValueError:
            return code

    def __eq__(self, other: object) -> bool:
        return self.raw == other.raw if isinstance(other, Siginfo) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.raw)

    def __reduce__(self) -> tuple[type[Siginfo], tuple[bytes]]:
        return type(self), (self.raw,)

    def __repr__(self) -> str:
        code = self.si_code
        said = [f"si_signo={signal_name(self.si_signo)}", f"si_code={getattr(code, 'name', code)}"]
        said += [f"{name}={value}" for name in _MEMBERS if (value := getattr(self, name)) is not None]
        return f"Siginfo({', '.join(said)})"


use("Siginfo", Siginfo)
