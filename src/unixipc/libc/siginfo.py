"""What the kernel tells about a delivered signal: siginfo_t (sigaction(2))."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Self, TypeVar, overload

from unixipc._cpython import RawSiginfo, deliver_as
from unixipc._native import ffi, lib
from unixipc.constants.signals import SI_CODES, PollCode, SiCode, signal_name

if TYPE_CHECKING:
    from unixipc._native import _Siginfo

_T = TypeVar("_T", bound=int)


class _Member(Generic[_T]):
    """A member of siginfo_t: None where the si_code says that the kernel did not write it."""

    def __init__(self, field: str, applies: int, doc: str) -> None:
        self.field = field
        self.applies = applies
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, info: None, owner: type) -> Self: ...
    @overload
    def __get__(self, info: Siginfo, owner: type) -> _T | None: ...
    def __get__(self, info: Siginfo | None, owner: type) -> Self | _T | None:
        if info is None:
            return self
        decoded = info._decode()
        if not decoded.members & self.applies:
            return None
        value: _T = getattr(decoded, self.field)
        return value


class Siginfo(RawSiginfo):
    """One delivered signal, its members under their man-page names, decoded by si_code (sigaction(2)).

    A member that does not apply is None. `raw` holds the 128 bytes as the kernel wrote them; two are equal when these
    are. Addresses are ints, and times are clock ticks (`os.sysconf("SC_CLK_TCK")` of them make a second).
    """

    __slots__ = ("_decoded",)

    _decoded: _Siginfo

    def _decode(self) -> _Siginfo:
        try:
            return self._decoded
        except AttributeError:
            self._decoded = ffi.new("struct uipc_siginfo *")
            lib.uipc_siginfo(self.raw, self._decoded)
            return self._decoded

    @property
    def si_signo(self) -> int:
        """The signal's number."""
        return self._decode().signo

    @property
    def si_errno(self) -> int:
        """An errno, which Linux hardly ever sets."""
        return self._decode().error

    @property
    def si_code(self) -> int:
        """Where the signal came from: a SiCode, or for faults, children and I/O a code of that signal's own."""
        code = self._decode().code
        codes = SI_CODES.get(self.si_signo, PollCode) if 0 < code < SiCode.SI_KERNEL else SiCode
        try:
            return codes(code)
        except ValueError:
            return code

    si_pid = _Member[int]("pid", lib.UIPC_SI_SENDER, "The process that sent it, or the child that it is about.")
    si_uid = _Member[int]("uid", lib.UIPC_SI_SENDER, "The real user of that process.")
    si_status = _Member[int](
        "status", lib.UIPC_SI_CHILD, "The child's exit status, or the signal that changed its state."
    )
    si_utime = _Member[int]("utime", lib.UIPC_SI_CHILD, "The child's user time, in clock ticks.")
    si_stime = _Member[int]("stime", lib.UIPC_SI_CHILD, "The child's system time, in clock ticks.")
    si_value = _Member[int]("value_int", lib.UIPC_SI_VALUE, "The value that came along, as the C int sival_int.")
    si_int = _Member[int]("value_int", lib.UIPC_SI_VALUE, "The same.")
    si_ptr = _Member[int]("value_ptr", lib.UIPC_SI_VALUE, "The whole value as the address sival_ptr.")
    si_timerid = _Member[int]("timerid", lib.UIPC_SI_TIMER_ID, "The kernel's number of the timer.")
    si_overrun = _Member[int]("overrun", lib.UIPC_SI_TIMER_ID, "How often the timer expired again before delivery.")
    si_addr = _Member[int]("addr", lib.UIPC_SI_ADDR, "The address of the fault.")
    si_addr_lsb = _Member[int](
        "addr_lsb", lib.UIPC_SI_ADDR_LSB, "The least significant bit of a hardware memory error."
    )
    si_lower = _Member[int]("lower", lib.UIPC_SI_BOUNDS, "The lower bound that was violated.")
    si_upper = _Member[int]("upper", lib.UIPC_SI_BOUNDS, "The upper bound that was violated.")
    si_pkey = _Member[int]("pkey", lib.UIPC_SI_PKEY, "The protection key of the page.")
    si_band = _Member[int]("band", lib.UIPC_SI_POLL, "The poll(2) events.")
    si_fd = _Member[int]("fd", lib.UIPC_SI_POLL, "The descriptor that is ready.")
    si_call_addr = _Member[int]("call_addr", lib.UIPC_SI_SYS, "The address of the system call's instruction.")
    si_syscall = _Member[int]("syscall", lib.UIPC_SI_SYS, "The number of the system call.")
    si_arch = _Member[int]("arch", lib.UIPC_SI_SYS, "The AUDIT_ARCH_* of the system call.")

    def __eq__(self, other: object) -> bool:
        return self.raw == other.raw if isinstance(other, Siginfo) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.raw)

    def __reduce__(self) -> tuple[type[Siginfo], tuple[bytes]]:
        return type(self), (self.raw,)

    def __repr__(self) -> str:
        code = self.si_code
        said = [f"si_signo={signal_name(self.si_signo)}", f"si_code={getattr(code, 'name', code)}"]
        for name, member in vars(type(self)).items():
            if isinstance(member, _Member) and name != "si_int" and getattr(self, name) is not None:
                said.append(f"{name}={getattr(self, name)}")
        return f"Siginfo({', '.join(said)})"


deliver_as(Siginfo)
