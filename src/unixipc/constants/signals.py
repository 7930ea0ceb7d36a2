"""Names of signal(7), sigaction(2) and their si_codes."""

from enum import IntEnum, IntFlag
from typing import Final

from unixipc import _native


class Signal(IntEnum):
    """A signal that has a fixed number; real-time signals are plain ints from SIGRTMIN up (signal(7))."""

    SIGHUP = _native.lib.SIGHUP
    SIGINT = _native.lib.SIGINT
    SIGQUIT = _native.lib.SIGQUIT
    SIGILL = _native.lib.SIGILL
    SIGTRAP = _native.lib.SIGTRAP
    SIGABRT = _native.lib.SIGABRT
    SIGBUS = _native.lib.SIGBUS
    SIGFPE = _native.lib.SIGFPE
    SIGKILL = _native.lib.SIGKILL
    SIGUSR1 = _native.lib.SIGUSR1
    SIGSEGV = _native.lib.SIGSEGV
    SIGUSR2 = _native.lib.SIGUSR2
    SIGPIPE = _native.lib.SIGPIPE
    SIGALRM = _native.lib.SIGALRM
    SIGTERM = _native.lib.SIGTERM
    SIGSTKFLT = _native.lib.SIGSTKFLT
    SIGCHLD = _native.lib.SIGCHLD
    SIGCONT = _native.lib.SIGCONT
    SIGSTOP = _native.lib.SIGSTOP
    SIGTSTP = _native.lib.SIGTSTP
    SIGTTIN = _native.lib.SIGTTIN
    SIGTTOU = _native.lib.SIGTTOU
    SIGURG = _native.lib.SIGURG
    SIGXCPU = _native.lib.SIGXCPU
    SIGXFSZ = _native.lib.SIGXFSZ
    SIGVTALRM = _native.lib.SIGVTALRM
    SIGPROF = _native.lib.SIGPROF
    SIGWINCH = _native.lib.SIGWINCH
    SIGIO = _native.lib.SIGIO
    SIGPWR = _native.lib.SIGPWR
    SIGSYS = _native.lib.SIGSYS
    SIGIOT = _native.lib.SIGIOT
    SIGCLD = _native.lib.SIGCLD
    SIGPOLL = _native.lib.SIGPOLL


class MaskHow(IntEnum):
    """How a set changes the mask (sigprocmask(2))."""

    SIG_BLOCK = _native.lib.SIG_BLOCK
    SIG_UNBLOCK = _native.lib.SIG_UNBLOCK
    SIG_SETMASK = _native.lib.SIG_SETMASK


class Disposition(IntEnum):
    """What the kernel does by itself with a signal (sigaction(2))."""

    SIG_DFL = _native.lib.uipc_sig_dfl()
    SIG_IGN = _native.lib.uipc_sig_ign()


class SaFlag(IntFlag):
    """How a handler is called and what its signal does (sigaction(2))."""

    SA_NOCLDSTOP = _native.lib.SA_NOCLDSTOP
    SA_NOCLDWAIT = _native.lib.SA_NOCLDWAIT
    SA_SIGINFO = _native.lib.SA_SIGINFO
    SA_ONSTACK = _native.lib.SA_ONSTACK
    SA_RESTART = _native.lib.SA_RESTART
    SA_NODEFER = _native.lib.SA_NODEFER
    SA_RESETHAND = _native.lib.SA_RESETHAND
    SA_INTERRUPT = _native.lib.SA_INTERRUPT
    SA_NOMASK = _native.lib.SA_NOMASK
    SA_ONESHOT = _native.lib.SA_ONESHOT
    SA_STACK = _native.lib.SA_STACK


class SiCode(IntEnum):
    """Where a signal came from, for any signal (sigaction(2), si_code)."""

    SI_USER = _native.lib.SI_USER
    SI_KERNEL = _native.lib.SI_KERNEL
    SI_QUEUE = _native.lib.SI_QUEUE
    SI_TIMER = _native.lib.SI_TIMER
    SI_MESGQ = _native.lib.SI_MESGQ
    SI_ASYNCIO = _native.lib.SI_ASYNCIO
    SI_SIGIO = _native.lib.SI_SIGIO
    SI_TKILL = _native.lib.SI_TKILL
    SI_DETHREAD = _native.lib.SI_DETHREAD
    SI_ASYNCNL = _native.lib.SI_ASYNCNL


class IllCode(IntEnum):
    """The si_code of SIGILL."""

    ILL_ILLOPC = _native.lib.ILL_ILLOPC
    ILL_ILLOPN = _native.lib.ILL_ILLOPN
    ILL_ILLADR = _native.lib.ILL_ILLADR
    ILL_ILLTRP = _native.lib.ILL_ILLTRP
    ILL_PRVOPC = _native.lib.ILL_PRVOPC
    ILL_PRVREG = _native.lib.ILL_PRVREG
    ILL_COPROC = _native.lib.ILL_COPROC
    ILL_BADSTK = _native.lib.ILL_BADSTK
    ILL_BADIADDR = _native.lib.ILL_BADIADDR


class FpeCode(IntEnum):
    """The si_code of SIGFPE."""

    FPE_INTDIV = _native.lib.FPE_INTDIV
    FPE_INTOVF = _native.lib.FPE_INTOVF
    FPE_FLTDIV = _native.lib.FPE_FLTDIV
    FPE_FLTOVF = _native.lib.FPE_FLTOVF
    FPE_FLTUND = _native.lib.FPE_FLTUND
    FPE_FLTRES = _native.lib.FPE_FLTRES
    FPE_FLTINV = _native.lib.FPE_FLTINV
    FPE_FLTSUB = _native.lib.FPE_FLTSUB
    FPE_FLTUNK = _native.lib.FPE_FLTUNK
    FPE_CONDTRAP = _native.lib.FPE_CONDTRAP


class SegvCode(IntEnum):
    """The si_code of SIGSEGV."""

    SEGV_MAPERR = _native.lib.SEGV_MAPERR
    SEGV_ACCERR = _native.lib.SEGV_ACCERR
    SEGV_BNDERR = _native.lib.SEGV_BNDERR
    SEGV_PKUERR = _native.lib.SEGV_PKUERR
    SEGV_ACCADI = _native.lib.SEGV_ACCADI
    SEGV_ADIDERR = _native.lib.SEGV_ADIDERR
    SEGV_ADIPERR = _native.lib.SEGV_ADIPERR
    SEGV_MTEAERR = _native.lib.SEGV_MTEAERR
    SEGV_MTESERR = _native.lib.SEGV_MTESERR


class BusCode(IntEnum):
    """The si_code of SIGBUS."""

    BUS_ADRALN = _native.lib.BUS_ADRALN
    BUS_ADRERR = _native.lib.BUS_ADRERR
    BUS_OBJERR = _native.lib.BUS_OBJERR
    BUS_MCEERR_AR = _native.lib.BUS_MCEERR_AR
    BUS_MCEERR_AO = _native.lib.BUS_MCEERR_AO


class TrapCode(IntEnum):
    """The si_code of SIGTRAP."""

    TRAP_BRKPT = _native.lib.TRAP_BRKPT
    TRAP_TRACE = _native.lib.TRAP_TRACE
    TRAP_BRANCH = _native.lib.TRAP_BRANCH
    TRAP_HWBKPT = _native.lib.TRAP_HWBKPT
    TRAP_UNK = _native.lib.TRAP_UNK


class CldCode(IntEnum):
    """The si_code of SIGCHLD."""

    CLD_EXITED = _native.lib.CLD_EXITED
    CLD_KILLED = _native.lib.CLD_KILLED
    CLD_DUMPED = _native.lib.CLD_DUMPED
    CLD_TRAPPED = _native.lib.CLD_TRAPPED
    CLD_STOPPED = _native.lib.CLD_STOPPED
    CLD_CONTINUED = _native.lib.CLD_CONTINUED


class SysCode(IntEnum):
    """si_code of a SIGSYS (sigaction(2))."""

    SYS_SECCOMP = _native.lib.SYS_SECCOMP
    SYS_USER_DISPATCH = _native.lib.SYS_USER_DISPATCH


class PollCode(IntEnum):
    """The si_code of SIGIO."""

    POLL_IN = _native.lib.POLL_IN
    POLL_OUT = _native.lib.POLL_OUT
    POLL_MSG = _native.lib.POLL_MSG
    POLL_ERR = _native.lib.POLL_ERR
    POLL_PRI = _native.lib.POLL_PRI
    POLL_HUP = _native.lib.POLL_HUP


class PidfdFlag(IntFlag):
    """What a pidfd refers to, and how it behaves (pidfd_open(2)); PIDFD_THREAD needs Linux 6.9."""

    PIDFD_NONBLOCK = _native.lib.PIDFD_NONBLOCK
    PIDFD_THREAD = _native.lib.PIDFD_THREAD


class PidfdSignalFlag(IntFlag):
    """Whom a signal that is sent to a pidfd reaches, whatever the pidfd refers to; they need Linux 6.9."""

    PIDFD_SIGNAL_THREAD = _native.lib.PIDFD_SIGNAL_THREAD
    PIDFD_SIGNAL_THREAD_GROUP = _native.lib.PIDFD_SIGNAL_THREAD_GROUP
    PIDFD_SIGNAL_PROCESS_GROUP = _native.lib.PIDFD_SIGNAL_PROCESS_GROUP


class SfdFlag(IntFlag):
    """How a descriptor of signals behaves (signalfd(2))."""

    SFD_CLOEXEC = _native.lib.SFD_CLOEXEC
    SFD_NONBLOCK = _native.lib.SFD_NONBLOCK


class SsFlag(IntFlag):
    """How a stack for signal handlers is used (sigaltstack(2))."""

    SS_ONSTACK = _native.lib.SS_ONSTACK
    SS_DISABLE = _native.lib.SS_DISABLE
    SS_AUTODISARM = _native.lib.SS_AUTODISARM


SIGHUP: Final = Signal.SIGHUP
SIGINT: Final = Signal.SIGINT
SIGQUIT: Final = Signal.SIGQUIT
SIGILL: Final = Signal.SIGILL
SIGTRAP: Final = Signal.SIGTRAP
SIGABRT: Final = Signal.SIGABRT
SIGBUS: Final = Signal.SIGBUS
SIGFPE: Final = Signal.SIGFPE
SIGKILL: Final = Signal.SIGKILL
SIGUSR1: Final = Signal.SIGUSR1
SIGSEGV: Final = Signal.SIGSEGV
SIGUSR2: Final = Signal.SIGUSR2
SIGPIPE: Final = Signal.SIGPIPE
SIGALRM: Final = Signal.SIGALRM
SIGTERM: Final = Signal.SIGTERM
SIGSTKFLT: Final = Signal.SIGSTKFLT
SIGCHLD: Final = Signal.SIGCHLD
SIGCONT: Final = Signal.SIGCONT
SIGSTOP: Final = Signal.SIGSTOP
SIGTSTP: Final = Signal.SIGTSTP
SIGTTIN: Final = Signal.SIGTTIN
SIGTTOU: Final = Signal.SIGTTOU
SIGURG: Final = Signal.SIGURG
SIGXCPU: Final = Signal.SIGXCPU
SIGXFSZ: Final = Signal.SIGXFSZ
SIGVTALRM: Final = Signal.SIGVTALRM
SIGPROF: Final = Signal.SIGPROF
SIGWINCH: Final = Signal.SIGWINCH
SIGIO: Final = Signal.SIGIO
SIGPWR: Final = Signal.SIGPWR
SIGSYS: Final = Signal.SIGSYS
SIGIOT: Final = Signal.SIGIOT
SIGCLD: Final = Signal.SIGCLD
SIGPOLL: Final = Signal.SIGPOLL
SIG_BLOCK: Final = MaskHow.SIG_BLOCK
SIG_UNBLOCK: Final = MaskHow.SIG_UNBLOCK
SIG_SETMASK: Final = MaskHow.SIG_SETMASK
SIG_DFL: Final = Disposition.SIG_DFL
SIG_IGN: Final = Disposition.SIG_IGN
SA_NOCLDSTOP: Final = SaFlag.SA_NOCLDSTOP
SA_NOCLDWAIT: Final = SaFlag.SA_NOCLDWAIT
SA_SIGINFO: Final = SaFlag.SA_SIGINFO
SA_ONSTACK: Final = SaFlag.SA_ONSTACK
SA_RESTART: Final = SaFlag.SA_RESTART
SA_NODEFER: Final = SaFlag.SA_NODEFER
SA_RESETHAND: Final = SaFlag.SA_RESETHAND
SA_INTERRUPT: Final = SaFlag.SA_INTERRUPT
SA_NOMASK: Final = SaFlag.SA_NOMASK
SA_ONESHOT: Final = SaFlag.SA_ONESHOT
SA_STACK: Final = SaFlag.SA_STACK
SI_USER: Final = SiCode.SI_USER
SI_KERNEL: Final = SiCode.SI_KERNEL
SI_QUEUE: Final = SiCode.SI_QUEUE
SI_TIMER: Final = SiCode.SI_TIMER
SI_MESGQ: Final = SiCode.SI_MESGQ
SI_ASYNCIO: Final = SiCode.SI_ASYNCIO
SI_SIGIO: Final = SiCode.SI_SIGIO
SI_TKILL: Final = SiCode.SI_TKILL
SI_DETHREAD: Final = SiCode.SI_DETHREAD
SI_ASYNCNL: Final = SiCode.SI_ASYNCNL
ILL_ILLOPC: Final = IllCode.ILL_ILLOPC
ILL_ILLOPN: Final = IllCode.ILL_ILLOPN
ILL_ILLADR: Final = IllCode.ILL_ILLADR
ILL_ILLTRP: Final = IllCode.ILL_ILLTRP
ILL_PRVOPC: Final = IllCode.ILL_PRVOPC
ILL_PRVREG: Final = IllCode.ILL_PRVREG
ILL_COPROC: Final = IllCode.ILL_COPROC
ILL_BADSTK: Final = IllCode.ILL_BADSTK
ILL_BADIADDR: Final = IllCode.ILL_BADIADDR
FPE_INTDIV: Final = FpeCode.FPE_INTDIV
FPE_INTOVF: Final = FpeCode.FPE_INTOVF
FPE_FLTDIV: Final = FpeCode.FPE_FLTDIV
FPE_FLTOVF: Final = FpeCode.FPE_FLTOVF
FPE_FLTUND: Final = FpeCode.FPE_FLTUND
FPE_FLTRES: Final = FpeCode.FPE_FLTRES
FPE_FLTINV: Final = FpeCode.FPE_FLTINV
FPE_FLTSUB: Final = FpeCode.FPE_FLTSUB
FPE_FLTUNK: Final = FpeCode.FPE_FLTUNK
FPE_CONDTRAP: Final = FpeCode.FPE_CONDTRAP
SEGV_MAPERR: Final = SegvCode.SEGV_MAPERR
SEGV_ACCERR: Final = SegvCode.SEGV_ACCERR
SEGV_BNDERR: Final = SegvCode.SEGV_BNDERR
SEGV_PKUERR: Final = SegvCode.SEGV_PKUERR
SEGV_ACCADI: Final = SegvCode.SEGV_ACCADI
SEGV_ADIDERR: Final = SegvCode.SEGV_ADIDERR
SEGV_ADIPERR: Final = SegvCode.SEGV_ADIPERR
SEGV_MTEAERR: Final = SegvCode.SEGV_MTEAERR
SEGV_MTESERR: Final = SegvCode.SEGV_MTESERR
BUS_ADRALN: Final = BusCode.BUS_ADRALN
BUS_ADRERR: Final = BusCode.BUS_ADRERR
BUS_OBJERR: Final = BusCode.BUS_OBJERR
BUS_MCEERR_AR: Final = BusCode.BUS_MCEERR_AR
BUS_MCEERR_AO: Final = BusCode.BUS_MCEERR_AO
TRAP_BRKPT: Final = TrapCode.TRAP_BRKPT
TRAP_TRACE: Final = TrapCode.TRAP_TRACE
TRAP_BRANCH: Final = TrapCode.TRAP_BRANCH
TRAP_HWBKPT: Final = TrapCode.TRAP_HWBKPT
TRAP_UNK: Final = TrapCode.TRAP_UNK
CLD_EXITED: Final = CldCode.CLD_EXITED
CLD_KILLED: Final = CldCode.CLD_KILLED
CLD_DUMPED: Final = CldCode.CLD_DUMPED
CLD_TRAPPED: Final = CldCode.CLD_TRAPPED
CLD_STOPPED: Final = CldCode.CLD_STOPPED
CLD_CONTINUED: Final = CldCode.CLD_CONTINUED
SYS_SECCOMP: Final = SysCode.SYS_SECCOMP
SYS_USER_DISPATCH: Final = SysCode.SYS_USER_DISPATCH
POLL_IN: Final = PollCode.POLL_IN
POLL_OUT: Final = PollCode.POLL_OUT
POLL_MSG: Final = PollCode.POLL_MSG
POLL_ERR: Final = PollCode.POLL_ERR
POLL_PRI: Final = PollCode.POLL_PRI
POLL_HUP: Final = PollCode.POLL_HUP
PIDFD_NONBLOCK: Final = PidfdFlag.PIDFD_NONBLOCK
PIDFD_THREAD: Final = PidfdFlag.PIDFD_THREAD
PIDFD_SIGNAL_THREAD: Final = PidfdSignalFlag.PIDFD_SIGNAL_THREAD
PIDFD_SIGNAL_THREAD_GROUP: Final = PidfdSignalFlag.PIDFD_SIGNAL_THREAD_GROUP
PIDFD_SIGNAL_PROCESS_GROUP: Final = PidfdSignalFlag.PIDFD_SIGNAL_PROCESS_GROUP
SFD_CLOEXEC: Final = SfdFlag.SFD_CLOEXEC
SFD_NONBLOCK: Final = SfdFlag.SFD_NONBLOCK
SS_ONSTACK: Final = SsFlag.SS_ONSTACK
SS_DISABLE: Final = SsFlag.SS_DISABLE
SS_AUTODISARM: Final = SsFlag.SS_AUTODISARM
SIGRTMIN: Final = _native.lib.uipc_sigrtmin()
SIGRTMAX: Final = _native.lib.uipc_sigrtmax()

# Below SI_KERNEL a positive si_code means something else for each of these; for all others it is a PollCode, since
# fcntl(F_SETSIG) can put any signal in place of SIGIO.
SI_CODES: dict[int, type[IntEnum]] = {
    Signal.SIGILL: IllCode,
    Signal.SIGFPE: FpeCode,
    Signal.SIGSEGV: SegvCode,
    Signal.SIGBUS: BusCode,
    Signal.SIGTRAP: TrapCode,
    Signal.SIGCHLD: CldCode,
    Signal.SIGIO: PollCode,
    Signal.SIGSYS: SysCode,
}


def signal_name(signum: int) -> str:
    """Name a signal as signal(7) does, real-time signals counted from SIGRTMIN; a number where it has no name."""
    try:
        return Signal(signum).name
    except ValueError:
        pass
    if SIGRTMIN <= signum <= SIGRTMAX:
        return "SIGRTMIN" if signum == SIGRTMIN else f"SIGRTMIN+{signum - SIGRTMIN}"
    return str(int(signum))
