"""execve(2) with exactly the mask and the ignored signals that one asks for."""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from unixipc import libc
from unixipc._check import failure
from unixipc.processes.forking import flush, origin
from unixipc.processes.outcome import Kind, Outcome
from unixipc.processes.undisturbed import EVERY, undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

_Argument: TypeAlias = "str | bytes | os.PathLike[str] | os.PathLike[bytes]"

_OF_PYTHON = {libc.SIGPIPE, libc.SIGXFSZ}
"""What the interpreter ignores for itself, and programs do not expect to be ignored."""


def execute(
    program: _Argument,
    *arguments: _Argument,
    mask: Iterable[int] | None = None,
    ignored: Iterable[int] | None = None,
    environment: Mapping[str, str] | None = None,
) -> NoReturn:
    """Execute another program in this process, which is searched for in PATH (execve(2)).

    It starts with just this mask, and ignores just these signals; all others have their default action. None leaves
    them as they are, save SIGPIPE and SIGXFSZ, which Python ignores for itself: they get their default action. When it
    fails (OSError), all is as before, but a signal that arrives meanwhile may be gone where the program would have
    ignored it, by default or as asked. For the main thread alone, as is all that changes what signals do.
    """
    argv = [os.fspath(argument) for argument in (program, *arguments)]
    wanted_ignored = None if ignored is None else libc.SignalSet(ignored)
    wanted_mask = None if mask is None else libc.SignalSet(mask)
    flush()
    with _announced(argv[0]), undisturbed() as before:
        changed: dict[int, libc.Sigaction] = {}
        try:
            _set_actions(wanted_ignored, before if wanted_mask is None else wanted_mask, changed)
            libc.sigprocmask(libc.SIG_SETMASK, before if wanted_mask is None else wanted_mask)
            _exec(argv, os.environ if environment is None else environment)
        finally:
            libc.sigprocmask(libc.SIG_BLOCK, EVERY)
            for signum, action in changed.items():
                libc.sigaction(signum, action)


@contextmanager
def _announced(program: str | bytes) -> Iterator[None]:
    """Have the child's report say that it has become another program, unless it fails to."""
    here = origin()
    report = None if here is None else here.report
    try:
        if report is not None:
            with suppress(OSError):  # the child has closed it
                report.write(Outcome(Kind.EXECUTED, repr(program).encode(errors="backslashreplace")))
        yield
    finally:
        if report is not None:
            with suppress(OSError):
                report.clear()


def _exec(argv: list[str | bytes], environment: Mapping[str, str]) -> NoReturn:
    try:
        os.execvpe(argv[0], argv, environment)  # noqa: S606 - as the user says
    except OSError as error:
        raise failure(error.errno or 0, "execve", repr(argv[0])) from error


def _set_actions(ignored: libc.SignalSet | None, mask: libc.SignalSet, changed: dict[int, libc.Sigaction]) -> None:
    """Have only what shall be ignored be so, and nothing caught: a handler could change the mask at the last moment."""
    for signum in EVERY - {libc.SIGKILL, libc.SIGSTOP} | (ignored or libc.SignalSet()):
        action = libc.sigaction(signum)
        ignores = action.handler == libc.SIG_IGN
        shall_ignore = ignores and signum not in _OF_PYTHON if ignored is None else signum in ignored
        if shall_ignore:
            wanted: libc.Handler = libc.SIG_IGN
        elif ignores or (action.handler != libc.SIG_DFL and signum not in mask):
            wanted = libc.SIG_DFL
        else:
            continue
        if action.handler != wanted:
            libc.sigaction(signum, libc.Sigaction(wanted))
            changed[int(signum)] = action
