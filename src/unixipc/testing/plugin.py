"""A plugin for pytest: tests in children of their own, and fixtures for tests that fork.

It is there when unixipc is installed, and changes nothing until a test uses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple

import pytest

from unixipc import testing  # which imports what it is made of, and with it the calls, when that is used

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")

_SHARE = 0.8
"""Of the time that a test in a child has, so much have its own children: what hangs first is told first."""


class Fork(Protocol):
    """The type of the fixture `fork`."""

    def __call__(
        self,
        function: Callable[[*_Arguments], _T],
        /,
        *args: *_Arguments,
        deadline: float | None = ...,
        allow_threads: bool = ...,
    ) -> testing.Child[_T]:
        """Do as `unixipc.testing.fork` does."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --fork-tests and the settings."""
    group = parser.getgroup("unixipc", "tests that fork (unixipc)")
    group.addoption("--fork-tests", action="store_true", help="Run each test in a forked child, as if it were marked.")
    parser.addini("unixipc_deadline", "Seconds that a child forked by or for a test may take.", "float", 30.0)
    parser.addini("unixipc_leak_check", "Let each test fail that leaves something behind.", "bool", default=False)


def pytest_configure(config: pytest.Config) -> None:
    """Describe the marks."""
    marks = {
        "forked(deadline=None, allow_threads=False)": "run the test in a forked child: whatever happens to it, the run "
        "goes on",
        "deadline(seconds)": "how long a child forked by or for the test may take",
        "may_leak(*kinds)": "what the test may leave behind; anything, where no kind is given",
    }
    for mark, meaning in marks.items():
        config.addinivalue_line("markers", f"{mark}: {meaning} (unixipc).")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Tell what is not as it would be without this plugin."""
    about = []
    if config.getoption("fork_tests"):
        about.append(f"each test in a child of its own, for {config.getini('unixipc_deadline'):g} seconds at most")
    if config.getini("unixipc_leak_check"):
        about.append("leak check")
    return f"unixipc: {', '.join(about)}" if about else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run the test in a child, if that is asked for."""
    if not _is_forked(item) or item.config.getoption("setuponly", default=False):
        return None
    from unixipc.testing import forked_items  # noqa: PLC0415 - most runs of pytest need it not

    mark = item.get_closest_marker("forked")
    settings = {} if mark is None else mark.kwargs
    if unknown := ", ".join(settings.keys() - {"deadline", "allow_threads"}):
        raise pytest.UsageError(f"{item.nodeid}: the mark forked takes deadline and allow_threads, not {unknown}")
    terms = forked_items.Terms(_deadline(item), settings.get("allow_threads", False), _watch, _ignored(item))
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    forked_items.run(item, nextitem, terms)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Check for leaks, if that is asked for, of what belongs to the test alone; a test in a child does so there."""
    if _is_forked(item) or _ignored(item) is None:
        return (yield)
    from unixipc.testing import pytest_private  # noqa: PLC0415 - most runs of pytest need it not

    with pytest_private.setup_cut(item, _watch):
        return (yield)


def _watch(item: pytest.Item) -> None:
    """Let the teardown of the test fail where something is then that is not there now."""
    ignored = _ignored(item)
    if ignored is None:
        return
    from unixipc.testing import pytest_private  # noqa: PLC0415 - most runs of pytest need it not

    before = testing.Snapshot.take(ignored)

    def check() -> None:
        if leaks := before.leaks():
            pytest.fail(str(testing.LeakError(leaks)), pytrace=False)

    pytest_private.finally_call(item, check)


def _ignored(item: pytest.Item) -> frozenset[testing.LeakKind] | None:
    """Give the kinds of things that the test may leave behind; None where it is not checked."""
    mark = item.get_closest_marker("may_leak")
    asked = item.config.getini("unixipc_leak_check") or "no_leaks" in getattr(item, "fixturenames", ())
    if not asked or (mark is not None and not mark.args):
        return None
    try:
        return frozenset(testing.LeakKind(kind) for kind in (() if mark is None else mark.args))
    except ValueError as error:
        kinds = ", ".join(testing.LeakKind)
        raise pytest.UsageError(f"{item.nodeid}: {error}; the mark may_leak takes {kinds}") from error


def _is_forked(item: pytest.Item) -> bool:
    """Whether the test is to run in a child. To pytest-forked, where that is there, its marks mean what they did."""
    if item.config.getoption("fork_tests"):
        return True
    return item.get_closest_marker("forked") is not None and not item.config.pluginmanager.has_plugin("pytest_forked")


def _deadline(item: pytest.Item) -> float | None:
    """Give the seconds that a test in a child may take; None while somebody looks at it with a debugger."""
    if item.config.getoption("usepdb", default=False) or item.config.getoption("trace", default=False):
        return None
    if (mark := item.get_closest_marker("forked")) and mark.kwargs.get("deadline") is not None:
        return float(mark.kwargs["deadline"])
    if mark := item.get_closest_marker("deadline"):
        return _seconds(item, *mark.args, **mark.kwargs)
    return float(item.config.getini("unixipc_deadline"))


def _seconds(item: pytest.Item, seconds: float | None = None, **others: object) -> float:
    if seconds is None or others:
        raise pytest.UsageError(f"{item.nodeid}: the mark deadline takes a number of seconds")
    return float(seconds)


@pytest.fixture
def fork(request: pytest.FixtureRequest) -> Iterator[Fork]:
    """Fork children as `unixipc.testing.fork` does, with the deadline of the test; they are killed and reaped with it.

    A child that has crashed or raised by then, and that nobody has waited for, is an error.
    """
    limit = _deadline(request.node)
    if limit is not None and _is_forked(request.node):
        limit *= _SHARE
    children: list[testing.Child[Any]] = []

    def start(
        function: Callable[[*_Arguments], _T],
        /,
        *args: *_Arguments,
        deadline: float | None = limit,
        allow_threads: bool = False,
    ) -> testing.Child[_T]:
        child = testing.fork(function, *args, deadline=deadline, allow_threads=allow_threads)
        children.append(child)
        return child

    try:
        yield start
        overlooked = [error for child in children if (error := child.overlooked()) is not None]
    finally:
        for child in children:
            child.close()
    if len(overlooked) == 1:
        raise overlooked[0]
    if overlooked:
        raise BaseExceptionGroup("several children came to a bad end", overlooked)


@pytest.fixture
def no_leaks() -> None:
    """Let the test fail that leaves something behind: what `unixipc.testing.LeakKind` lists."""
