"""Commands that are connected by pipes, as a shell connects them, with the exit status of each."""

from __future__ import annotations

import errno
import os
import select
import shlex
import subprocess
import sys
import threading
import warnings
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeAlias, cast

from unixipc import libc
from unixipc._check import Deadline
from unixipc._closing import Closing
from unixipc.pipes.ends import HasFileno, Reader, Writer, pipe
from unixipc.processes import ExitStatus, Usage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from typing_extensions import Buffer

Argument: TypeAlias = str | bytes | os.PathLike[str] | os.PathLike[bytes]
Command: TypeAlias = str | Sequence[Argument]
"""A command and its arguments; a string is split as a shell does (shlex), and expanded in no way."""
Stream: TypeAlias = int | IO[Any] | HasFileno | None
"""What `subprocess` takes: None for this process's own, PIPE, DEVNULL, a descriptor, a file, an end of a pipe."""

_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Result:
    """What a pipeline has written, and how each of its commands ended."""

    output: bytes
    statuses: tuple[ExitStatus, ...]
    errors: bytes = b""
    """What all of them wrote to stderr, if that was PIPE."""


class _Process:
    """One command: `subprocess` starts it; it is waited for here, for all that the kernel tells of its end."""

    def __init__(self, popen: subprocess.Popen[bytes], name: Argument) -> None:
        self.pid = popen.pid
        self.name = repr(name)
        self.pidfd = -1
        self.status: ExitStatus | None = None
        self._popen = popen
        self._reaping = threading.RLock()  # a signal handler may come in between, too
        try:
            self.pidfd = libc.pidfd_open(popen.pid)
        except ProcessLookupError:  # it has ended, and SIGCHLD is ignored: `reap` tells
            popen.returncode = 0
        except BaseException:
            popen.kill()
            popen.wait()
            raise

    def reap(self) -> ExitStatus:
        """Take the status of the process, which has ended."""
        with self._reaping:
            if self.running:
                self._take_status()
        if self.status is None:
            why = "somebody else waited for it, or SIGCHLD is ignored"
            raise ChildProcessError(errno.ECHILD, f"{self.name} ({self.pid}) has ended, and how is not known: {why}")
        return self.status

    def _take_status(self) -> None:
        try:
            pid, status, usage = os.wait4(self.pid, 0)
            self.status = ExitStatus(pid, status, Usage.of(usage))
        except ChildProcessError:
            pass
        finally:
            self._popen.returncode = 0 if self.status is None else self.status.returncode
            pidfd, self.pidfd = self.pidfd, -1
            os.close(pidfd)

    @property
    def running(self) -> bool:
        """Whether its end is still to be waited for."""
        return self.pidfd >= 0

    def kill(self, signum: int) -> None:
        """Send it a signal; nothing happens when it has ended."""
        with self._reaping, suppress(ProcessLookupError):
            if self.running:
                libc.pidfd_send_signal(self.pidfd, signum)


class Pipeline(Closing):
    """Commands that run, each reading what the one before it writes; made by `pipeline`.

    Leaving its with-block closes its ends, kills what still runs, and reaps it. In a process that is forked later it
    only closes the ends.
    """

    _owner = 0

    def __init__(
        self,
        *commands: Command,
        stdin: Stream = None,
        stdout: Stream = None,
        stderr: Stream = None,
        env: Mapping[str, str] | None = None,
        cwd: Argument | None = None,
    ) -> None:
        self.commands = tuple(_split(command) for command in commands)
        self.stdin: Writer | None = None
        """What the first command reads, if that was to be PIPE."""
        self.stdout: Reader | None = None
        """What the last command writes, if that was to be PIPE."""
        self.stderr: Reader | None = None
        """What all commands write to stderr, if that was to be PIPE."""
        self._processes: list[_Process] = []
        if not commands:
            raise ValueError("a pipeline has at least one command")
        self._owner = os.getpid()
        try:
            with ExitStack() as theirs:  # the ends that the commands have, and this process has no more
                self._start(theirs, stdin, stdout, stderr, env, cwd)
        except BaseException:
            self.close()
            raise

    def _start(
        self,
        theirs: ExitStack,
        stdin: Stream,
        stdout: Stream,
        stderr: Stream,
        env: Mapping[str, str] | None,
        cwd: Argument | None,
    ) -> None:
        if stdin == subprocess.PIPE:
            stdin, self.stdin = pipe()
            theirs.enter_context(stdin)
        if stderr == subprocess.PIPE:
            self.stderr, stderr = pipe()
            theirs.enter_context(stderr)
        for number, command in enumerate(self.commands, 1):
            follows, writes = None, stdout
            if number < len(self.commands):
                follows, writes = theirs.enter_context(pipe())
            elif stdout == subprocess.PIPE:
                self.stdout, writes = pipe()
                theirs.enter_context(writes)
            popen = subprocess.Popen(  # noqa: S603 - as the user says
                command,
                stdin=_as_file(stdin),
                stdout=_as_file(writes),
                stderr=_as_file(stderr),
                env=env,
                cwd=cwd,
            )
            self._processes.append(_Process(popen, command[0]))
            stdin = follows

    @property
    def pids(self) -> tuple[int, ...]:
        """The process ids, in the order of the commands."""
        return tuple(process.pid for process in self._processes)

    def wait(self, timeout: float | None = None) -> list[ExitStatus]:
        """Wait within so many seconds until all have ended, and tell how; TimeoutError names those that have not.

        Nothing is killed then. Nobody reads or writes meanwhile: with a PIPE, `communicate` does both.
        ChildProcessError where the kernel does not tell: somebody else waited for one, or SIGCHLD is ignored.
        """
        deadline = Deadline(timeout)
        for process in self._processes:
            pidfd = process.pidfd  # once: another thread may reap it
            if pidfd >= 0 and not _ready([(pidfd, select.POLLIN)], deadline):
                raise self._late(timeout)
            if process.running:
                process.reap()
        return [process.reap() for process in self._processes]

    def communicate(self, input: Buffer = b"", timeout: float | None = None) -> Result:  # noqa: A002 - subprocess's
        """Write the input, read the output meanwhile, and wait, within so many seconds; of what is no PIPE, nothing.

        A first command that reads only some of the input is no error. When the time is up, all are killed, and what
        came is gone: TimeoutError names those that still ran.
        """
        deadline = Deadline(timeout)
        try:
            output, errors = self._exchange(input, deadline)
            return Result(output, tuple(self.wait(deadline.left())), errors)
        except TimeoutError as error:
            late = self._late(timeout)
            self.close()
            raise (error if error.errno is None else late) from None

    def kill(self, signum: int = libc.SIGKILL) -> None:
        """Send a signal to all that still run."""
        if self._owner == os.getpid():
            for process in self._processes:
                process.kill(signum)

    def close(self) -> None:
        """Close the ends, kill what still runs, and reap it; twice is fine."""
        for end in (self.stdin, self.stdout, self.stderr):
            if end is not None:
                end.close()
        self.kill()
        for process in self._processes if self._owner == os.getpid() else ():
            pidfd = process.pidfd
            if pidfd >= 0:
                _ready([(pidfd, select.POLLIN)], Deadline(None))
                with suppress(ChildProcessError):
                    process.reap()

    def _exchange(self, data: Buffer, deadline: Deadline) -> tuple[bytes, bytes]:
        received = {end: bytearray() for end in (self.stdout, self.stderr) if end is not None}
        with memoryview(data) as view, view.cast("B") as rest:
            sent = 0
            if rest and (self.stdin is None or self.stdin.closed):
                raise ValueError("nobody reads the input: stdin was not to be PIPE, or it was closed")
            while True:
                if self.stdin is not None and sent == len(rest):
                    self.stdin.close()
                writing = [] if self.stdin is None or self.stdin.closed else [self.stdin]
                reading = {end.fileno(): end for end in received if not end.closed}
                if not writing and not reading:
                    break
                wanted = [(fd, select.POLLIN) for fd in reading] + [(end.fileno(), select.POLLOUT) for end in writing]
                ready = _ready(wanted, deadline)
                if not ready:
                    raise TimeoutError(errno.ETIMEDOUT, "the time is up")
                for fd in ready:
                    if fd not in reading:
                        sent += _write_some(fd, rest, sent)
                    elif piece := os.read(fd, _PIECE):
                        received[reading[fd]] += piece
                    else:
                        reading[fd].close()
        output, errors = (bytes(received[end]) if end is not None else b"" for end in (self.stdout, self.stderr))
        return output, errors

    def _late(self, timeout: float | None) -> TimeoutError:
        running = [process for process in self._processes if process.running and not _has_ended(process)]
        names = ", ".join(f"{process.name} ({process.pid})" for process in running)
        return TimeoutError(errno.ETIMEDOUT, f"not done within {timeout} seconds; these still run: {names or 'none'}")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {' | '.join(str(os.fspath(command[0])) for command in self.commands)}>"

    def __del__(self) -> None:
        if self._owner == os.getpid() and any(process.running for process in self._processes):
            try:
                warnings.warn(f"{self!r} was never waited for", ResourceWarning, source=self, stacklevel=1)
            finally:
                if not sys.is_finalizing():
                    self.close()


def pipeline(
    *commands: Command,
    stdin: Stream = None,
    stdout: Stream = None,
    stderr: Stream = None,
    env: Mapping[str, str] | None = None,
    cwd: Argument | None = None,
) -> Pipeline:
    """Start `cmd1 | cmd2 | … | cmdn`; FileNotFoundError names a command that does not exist, and the others are ended.

    What the first reads, the last writes, and all write to stderr, is as in `subprocess`: this process's own, unless
    told otherwise. SIGPIPE has its default action in them, as in a shell.
    """
    return Pipeline(*commands, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd)


def run(
    *commands: Command,
    input: Buffer = b"",  # noqa: A002 - subprocess's
    timeout: float | None = None,
    stderr: Stream = None,
    env: Mapping[str, str] | None = None,
    cwd: Argument | None = None,
) -> Result:
    """Run a pipeline to its end: give the first command this input, and return what the last has written.

    When so many seconds are up, all are killed: TimeoutError.
    """
    stdin = stdout = subprocess.PIPE
    with pipeline(*commands, stdin=stdin, stdout=stdout, stderr=stderr, env=env, cwd=cwd) as line:
        return line.communicate(input, timeout)


def _split(command: Command) -> tuple[Argument, ...]:
    if isinstance(command, str):
        words: tuple[Argument, ...] = tuple(shlex.split(command))
    else:
        words = tuple(command)
        if not all(isinstance(word, str | bytes | os.PathLike) for word in words):
            raise TypeError(f"a command is a str, or a sequence of its name and arguments, not {command!r}")
    if not words:
        raise ValueError(f"the command {command!r} is empty")
    return words


def _as_file(stream: Stream) -> int | IO[Any] | None:
    return stream.fileno() if isinstance(stream, Reader | Writer) else cast("int | IO[Any] | None", stream)


def _ready(wanted: list[tuple[int, int]], deadline: Deadline) -> list[int]:
    """Wait until some of the descriptors are ready: which, or none when the time is up."""
    while True:
        try:
            return [fd for fd, _ in libc.ppoll(wanted, deadline.left())]
        except InterruptedError as error:
            if error.errno is None:  # a handler raised it
                raise


def _has_ended(process: _Process) -> bool:
    return bool(_ready([(process.pidfd, select.POLLIN)], Deadline(0)))


def _write_some(fd: int, rest: memoryview, sent: int) -> int:
    """Write what there is room for; all counts as written when nobody reads any more."""
    try:
        with rest[sent:] as part:
            return libc.write(fd, part, timeout=0)
    except BrokenPipeError:
        return len(rest) - sent
    except (InterruptedError, TimeoutError) as error:
        if error.errno is None:
            raise
        return 0
