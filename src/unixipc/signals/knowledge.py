"""What is known of each signal: its names, its number, what it means and what it does by default (signal(7))."""

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum

from unixipc.constants.signals import SIGRTMAX, SIGRTMIN, Signal, signal_name
from unixipc.libc.sigsetops import SignalSet, check_signal


class DefaultAction(StrEnum):
    """What a process does with a signal that it leaves at SIG_DFL, in the words of signal(7)."""

    TERM = "Term"
    """It ends."""
    IGN = "Ign"
    """It takes no notice."""
    CORE = "Core"
    """It ends, and leaves a core file where RLIMIT_CORE allows it (core(5))."""
    STOP = "Stop"
    """It stops."""
    CONT = "Cont"
    """It goes on if it is stopped."""


@dataclass(frozen=True, slots=True)
class Description:
    """What signal(7) tells about a signal; `aliases` are its other names, as `SIGIOT`, or `SIGRTMAX-1`."""

    name: str
    number: int
    aliases: tuple[str, ...]
    description: str
    default_action: DefaultAction


_STANDARD = {
    Signal.SIGHUP: (DefaultAction.TERM, "Hangup detected on controlling terminal or death of controlling process"),
    Signal.SIGINT: (DefaultAction.TERM, "Interrupt from keyboard"),
    Signal.SIGQUIT: (DefaultAction.CORE, "Quit from keyboard"),
    Signal.SIGILL: (DefaultAction.CORE, "Illegal instruction"),
    Signal.SIGTRAP: (DefaultAction.CORE, "Trace/breakpoint trap"),
    Signal.SIGABRT: (DefaultAction.CORE, "Abort signal from abort(3)"),
    Signal.SIGBUS: (DefaultAction.CORE, "Bus error (bad memory access)"),
    Signal.SIGFPE: (DefaultAction.CORE, "Floating-point exception"),
    Signal.SIGKILL: (DefaultAction.TERM, "Kill signal"),
    Signal.SIGUSR1: (DefaultAction.TERM, "User-defined signal 1"),
    Signal.SIGSEGV: (DefaultAction.CORE, "Invalid memory reference"),
    Signal.SIGUSR2: (DefaultAction.TERM, "User-defined signal 2"),
    Signal.SIGPIPE: (DefaultAction.TERM, "Broken pipe: write to pipe with no readers"),
    Signal.SIGALRM: (DefaultAction.TERM, "Timer signal from alarm(2)"),
    Signal.SIGTERM: (DefaultAction.TERM, "Termination signal"),
    Signal.SIGSTKFLT: (DefaultAction.TERM, "Stack fault on coprocessor (unused)"),
    Signal.SIGCHLD: (DefaultAction.IGN, "Child stopped or terminated"),
    Signal.SIGCONT: (DefaultAction.CONT, "Continue if stopped"),
    Signal.SIGSTOP: (DefaultAction.STOP, "Stop process"),
    Signal.SIGTSTP: (DefaultAction.STOP, "Stop typed at terminal"),
    Signal.SIGTTIN: (DefaultAction.STOP, "Terminal input for background process"),
    Signal.SIGTTOU: (DefaultAction.STOP, "Terminal output for background process"),
    Signal.SIGURG: (DefaultAction.IGN, "Urgent condition on socket"),
    Signal.SIGXCPU: (DefaultAction.CORE, "CPU time limit exceeded"),
    Signal.SIGXFSZ: (DefaultAction.CORE, "File size limit exceeded"),
    Signal.SIGVTALRM: (DefaultAction.TERM, "Virtual alarm clock"),
    Signal.SIGPROF: (DefaultAction.TERM, "Profiling timer expired"),
    Signal.SIGWINCH: (DefaultAction.IGN, "Window resize signal"),
    Signal.SIGIO: (DefaultAction.TERM, "I/O now possible"),
    Signal.SIGPWR: (DefaultAction.TERM, "Power failure"),
    Signal.SIGSYS: (DefaultAction.CORE, "Bad system call"),
}


def _describe(number: int) -> Description:
    name = signal_name(number)
    if number >= SIGRTMIN:
        other = "SIGRTMAX" if number == SIGRTMAX else f"SIGRTMAX-{SIGRTMAX - number}"
        return Description(name, number, (other,), f"Real-time signal {number - SIGRTMIN}", DefaultAction.TERM)
    signum = Signal(number)
    default_action, description = _STANDARD[signum]
    aliases = tuple(alias for alias, member in Signal.__members__.items() if member is signum and alias != name)
    return Description(name, signum, aliases, description, default_action)


_DESCRIPTIONS = {int(number): _describe(number) for number in SignalSet.full()}
_NUMBERS = {name: item.number for item in _DESCRIPTIONS.values() for name in (item.name, *item.aliases)}
_SPELLINGS = _NUMBERS | {"SIGRTMIN+0": SIGRTMIN, "SIGRTMAX-0": SIGRTMAX}
_SPELLINGS |= {str(number): item.number for number, item in _DESCRIPTIONS.items()}


def descriptions() -> tuple[Description, ...]:
    """Describe all signals that a program may use, lowest number first."""
    return tuple(_DESCRIPTIONS.values())


def describe(signum: int) -> Description:
    """Describe a signal; a number that is none, or that the C library reserves, is an OSError (EINVAL)."""
    return _DESCRIPTIONS[check_signal(signum, "describe")]


def name(signum: int) -> str:
    """Name a signal: `SIGTERM`, `SIGRTMIN+3`; a number that is none is an OSError (EINVAL)."""
    return _DESCRIPTIONS[check_signal(signum, "name")].name


def number(name: str) -> int:
    """Give the number of a signal: `SIGTERM`, `term`, `SIGRTMIN+3`, `RTMAX-1` and `15` all name one.

    ValueError for what names none.
    """
    if not isinstance(name, str):
        raise TypeError(f"the name of a signal is a str, not {name!r}")
    key = re.sub("[a-z]+", lambda letters: letters[0].upper(), name)  # str.upper makes S of more letters than s
    if not key.startswith("SIG") and not key.isdecimal():
        key = f"SIG{key}"
    try:
        return _SPELLINGS[key]
    except KeyError:
        pass
    close = difflib.get_close_matches(key, _NUMBERS, 1)
    meant = f" (did you mean {close[0]}?)" if close else ""
    raise ValueError(
        f"no signal is called {name!r}{meant}: give a name, SIGTERM or TERM; SIGRTMIN+n or SIGRTMAX-n, where n is at "
        f"most {SIGRTMAX - SIGRTMIN}; or a number"
    )
