"""Tests that run in a child of their own: whatever happens to it, the run goes on, and the report says what it was.

The parent sets up what outlives the test (fixtures of the scopes class, module, package and session), and tears it down
when no test needs it any more, as if nothing were forked. The child sets up the rest, runs the test and tears down what
it has set up. It writes its reports into a journal, which the parent reads and passes on when the child has ended.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import warnings
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NoReturn, TypeAlias
from warnings import WarningMessage

import pytest

from unixipc import processes, testing
from unixipc.testing import pytest_private
from unixipc.testing.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Phase: TypeAlias = Literal["setup", "call", "teardown"]

_NOT_OF_THE_TEST = re.compile(r'  File ".*/(_pytest|pluggy|unixipc/testing)/')
_GRACE = testing.DEADLINE / 10
"""Seconds that an interrupted child has to tear down what it has set up."""


@dataclass
class Told:
    """What a child has told of its test."""

    reports: list[pytest.TestReport] = field(default_factory=list)
    """On the setup, on subtests, on the call: what comes before the teardown, in order."""
    teardown: pytest.TestReport | None = None
    """What the child has set up was torn down; what is of wider scopes was not."""
    unfinished: Phase | None = "setup"
    """The phase that the child was in last, unless it has reported on it."""
    warnings: list[WarningMessage] = field(default_factory=list)
    interruption: BaseException | None = None
    """What ends the whole run: pytest.exit() or KeyboardInterrupt."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a test runs in a child."""

    deadline: float | None
    """Seconds from the fork to the end."""
    allow_threads: bool
    between: Callable[[pytest.Item], object]
    """Called in the child before it sets up what is the test's own."""
    ignored: frozenset[testing.LeakKind] | None
    """What a test may leave behind that has not come to its own check; None where nothing is checked."""


def run(item: pytest.Item, nextitem: pytest.Item | None, terms: Terms) -> None:
    """Take the item through its phases, as `_pytest.runner.runtestprotocol` does, the test's own part in a child."""
    with pytest_private.protocol(item):
        with pytest_private.setup_cut(item, None):
            setup = pytest_private.run_phase(item, "setup", item.ihook.pytest_runtest_setup)
        told = Told(reports=[setup])
        if setup.passed:
            told = _fork(item, setup, nextitem, terms)
        for report in told.reports:
            item.ihook.pytest_runtest_logreport(report=report)
        if told.interruption is not None:
            raise told.interruption
        if item.session.shouldfail or item.session.shouldstop:
            nextitem = None  # as in runtestprotocol: everything is torn down while errors can still be reported
        wider = pytest_private.run_phase(item, "teardown", item.ihook.pytest_runtest_teardown, nextitem=nextitem)
        item.ihook.pytest_runtest_logreport(report=_join_teardowns(told, wider))
    for warning in told.warnings:
        about = {"warning_message": warning, "nodeid": item.nodeid, "when": "runtest", "location": None}
        item.ihook.pytest_warning_recorded.call_historic(kwargs=about)


def _fork(item: pytest.Item, wider: pytest.TestReport, nextitem: pytest.Item | None, terms: Terms) -> Told:
    _make_base_of_temporary_paths(item)
    for stream in (sys.__stdout__, sys.__stderr__):  # the terminal's; sys.stdout may be the capture's
        if stream is not None:
            stream.flush()
    before = None if terms.ignored is None else testing.Snapshot.take(terms.ignored)
    failure, interruption = None, None
    with Journal() as journal:
        try:
            with (
                _no_orphans(terms),
                testing.fork(
                    _run_here,
                    item,
                    wider,
                    nextitem,
                    terms,
                    journal,
                    deadline=terms.deadline,
                    allow_threads=terms.allow_threads,
                ) as child,
            ):
                _wait_for(child)
        except KeyboardInterrupt as error:
            interruption = error
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - one test fails, the run goes on
            failure = error
        told = _read(item, journal)
    told.interruption = interruption or told.interruption
    if failure is not None:
        _add_failure(item, wider, told, failure, () if before is None else before.leaks())
    return told


@contextmanager
def _no_orphans(terms: Terms) -> Iterator[None]:
    """End the descendants of the child after it; but beside other threads, whose children they might be."""
    if terms.allow_threads:
        yield
        return
    with processes.subreaper() as orphans:
        try:
            yield
        finally:
            while orphans.pids():
                orphans.kill()
                with suppress(TimeoutError):
                    orphans.reap(_GRACE)


def _wait_for(child: testing.Child[None]) -> None:
    """Wait for the end of the child; when the run is interrupted, for that of its teardown, but not for long."""
    try:
        child.result()
    except KeyboardInterrupt:
        child.kill(signal.SIGINT)
        with suppress(TimeoutError):
            child.wait(_GRACE)
        raise


def _make_base_of_temporary_paths(item: pytest.Item) -> None:
    """Make the folder of all tmp_paths now: each child would make another one."""
    factory = getattr(item, "funcargs", {}).get("tmp_path_factory")
    if isinstance(factory, pytest.TempPathFactory):
        factory.getbasetemp()


def _run_here(
    item: pytest.Item, wider: pytest.TestReport, nextitem: pytest.Item | None, terms: Terms, journal: Journal
) -> None:
    """Go through the rest of the setup, the call and the teardown of the item, in the child."""
    teller = _Teller(item.config, journal)
    pytest_private.listen_instead(item.config, teller)
    with warnings.catch_warnings(record=item.config.pluginmanager.has_plugin("warnings")) as caught:
        try:
            setup = pytest_private.run_phase(item, "setup", pytest_private.own_setup(item, terms.between))
            setup.start = wider.start
            setup.duration += wider.duration
            teller.tell(setup)
            if setup.passed:
                teller.begin("call")
                teller.tell(pytest_private.run_phase(item, "call", item.ihook.pytest_runtest_call))
                teller.write("failed subtests", pytest_private.failed_subtests(item))
            teller.begin("teardown")
            hook = item.ihook.pytest_runtest_teardown
            teller.tell(pytest_private.run_phase(item, "teardown", hook, nextitem=nextitem))
        except (pytest.exit.Exception, KeyboardInterrupt) as error:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent passes on what the terminal may have sent already
            teller.interrupt(error)
            pytest_private.tear_down_after_interruption(item)
    for warning in caught or ():
        teller.warn(warning)


class _Teller:
    """Writes down what the parent is to hear; a plugin in the child, where it hears of the reports on subtests."""

    def __init__(self, config: pytest.Config, journal: Journal) -> None:
        self._config = config
        self._journal = journal
        self._pid = os.getpid()

    def write(self, *record: object) -> None:
        if os.getpid() != self._pid:
            os.write(2, b"a process that the test has forked came back from the test, and was ended\n")
            os._exit(1)
        self._journal.write(*record)

    def begin(self, phase: Phase) -> None:
        self.write("phase", phase)

    def tell(self, report: pytest.TestReport, kind: str = "report") -> None:
        self.write(kind, pytest_private.serialized(self._config, report))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.tell(report, "part")

    def warn(self, warning: WarningMessage) -> None:
        about = (str(warning.message), warning.category.__module__, warning.category.__qualname__)
        where = (warning.filename, warning.lineno, warning.line)
        self.write("warning", warning.source is not None, *about, *where)

    def interrupt(self, error: BaseException) -> None:
        if isinstance(error, pytest.exit.Exception):
            self.write("exit", error.msg, error.returncode)
        else:
            self.write("interrupt", str(pytest.ExceptionInfo.from_exception(error).getrepr(style="short").reprcrash))


def _read(item: pytest.Item, journal: Journal) -> Told:
    told = Told()

    for kind, *rest in journal.read():
        match kind, rest:
            case "phase", [phase]:
                told.unfinished = phase
            case "part", [serialized]:
                told.reports.append(pytest_private.report_of(item.config, serialized))
            case "report", [serialized]:
                told.unfinished = None
                if (made := pytest_private.report_of(item.config, serialized)).when == "teardown":
                    told.teardown = made
                else:
                    told.reports.append(made)
            case "failed subtests", [number]:
                pytest_private.add_failed_subtests(item, number)
            case "warning", [has_source, *about]:
                told.warnings.append(warning := _warning(*about))
                warning.source = Warning if has_source else None  # to be told how to find it; it is in the child
            case "exit", [message, returncode]:
                told.interruption = pytest.exit.Exception(message, returncode)
            case "interrupt", [where]:
                told.interruption = KeyboardInterrupt(f"in a child, at {where}")
    return told


def _warning(text: str, module: str, name: str, filename: str, lineno: int, line: str | None) -> WarningMessage:
    """Make the warning again, of its class where this process has it."""
    category: Any = getattr(sys.modules.get(module), name, None)
    if not (isinstance(category, type) and issubclass(category, Warning)):
        category = type(name, (Warning,), {"__module__": module})
    message: Warning = category.__new__(category, text)
    return WarningMessage(message, category, filename, lineno, line=line)


def _add_failure(
    item: pytest.Item, wider: pytest.TestReport, told: Told, failure: BaseException, leaks: tuple[testing.Leak, ...]
) -> None:
    """Report the end of the child as a failure of the phase that it was in, with what it had written by then."""

    def fail() -> NoReturn:
        raise failure

    call = pytest.CallInfo.from_call(fail, told.unfinished or "teardown")
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    report.longrepr = pytest_private.Announcement(item, type(failure), f"in its {call.when}: {_text(failure)}")
    last = told.reports[-1] if told.reports else wider
    written = [(f"Captured {stream} {call.when}", text) for stream, text in pytest_private.captured_so_far(item.config)]
    if leaks:
        written.append(("Left behind", "\n".join(map(str, leaks))))
    report.sections = _join_sections(last.sections, written)
    report.user_properties = last.user_properties
    if call.when == "teardown":
        told.teardown = report
    else:
        told.reports.append(report)


def _text(failure: BaseException) -> str:
    """Tell how the child ended, with no more of its stack than is the test's."""
    if isinstance(failure, testing.CrashError | testing.DeadlineError):
        lines = failure.report.stack.splitlines()
        stack = "\n".join(line for line in lines if not _NOT_OF_THE_TEST.match(line))
        return str(replace(failure.report, stack=stack))
    return "\n".join([str(failure), *getattr(failure, "__notes__", ())])


def _join_teardowns(told: Told, wider: pytest.TestReport) -> pytest.TestReport:
    """Make one report of those on both parts of the teardown."""
    own, last = told.teardown, told.teardown or told.reports[-1]
    wider.user_properties = last.user_properties
    wider.sections = _join_sections(last.sections, [part for part in wider.sections if part[0].endswith(" teardown")])
    if own is None:
        return wider
    own.sections = wider.sections
    own.duration += wider.duration
    own.stop = wider.stop
    if own.passed:
        own.outcome, own.longrepr = wider.outcome, wider.longrepr
    elif wider.failed:
        own.sections.append(("Errors of wider scopes at teardown", wider.longreprtext))
    return own


def _join_sections(first: list[tuple[str, str]], second: list[tuple[str, str]]) -> list[tuple[str, str]]:
    joined = dict(first)
    for title, text in second:
        joined[title] = pytest_private.join_texts(title, [joined[title], text]) if title in joined else text
    return list(joined.items())
