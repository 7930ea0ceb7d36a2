"""What the kernel tells about a delivered signal: siginfo_t (sigaction(2))."""

from __future__ import annotations

from unixipc._cpython import RawSiginfo, use
from unixipc.constants.signals import SI_CODES, PollCode, SiCode, signal_name

_ALWAYS = {"si_signo", "si_errno", "si_code", "si_int"}
_MEMBERS = [name for name in vars(RawSiginfo) if name.startswith("si_") and name not in _ALWAYS]


class Siginfo(RawSiginfo):
    """One delivered signal, its members under their man-page names, decoded by si_code (sigaction(2)).

    A member that does not apply is None. `raw` holds the 128 bytes as the kernel wrote them; two are equal when these
    are. Addresses are ints, and times are clock ticks (`os.sysconf("SC_CLK_TCK")` of them make a second).
    """

    __slots__ = ()

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
