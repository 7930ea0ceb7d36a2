"""A plugin for pytest: tests in children of their own, and fixtures for tests that fork.

It is there when unixipc is installed, and changes nothing until a test uses it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, TypeVarTuple, cast

import pytest

from unixipc import testing  # which imports what it is made of, and with it the calls, when that is used

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc import processes

_T = TypeVar("_T")
_Arguments = TypeVarTuple("_Arguments")

_lacking = pytest.StashKey[tuple[str, ...]]()
"""What of IPC objects the run has not got for itself, and why."""

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
    parser.addini("unixipc_deadline", "Seconds that a child forked by or for a test may take.", "float", None)
    parser.addini("unixipc_leak_check", "Let each test fail that leaves something behind.", "bool", default=False)
    parser.addini(
        "unixipc_ipc_namespace",
        "Whether the `run`, or each `test`, has System V objects, POSIX queues and /dev/shm of its own, where it may.",
        default="",
    )


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
    whose = config.getini("unixipc_ipc_namespace")
    if whose not in {"", "run", "test"}:
        raise pytest.UsageError(f"unixipc_ipc_namespace is {whose!r}: it can be 'run' or 'test'")
    if whose == "run":
        private = ExitStack()
        config.add_cleanup(private.close)
        config.stash[_lacking] = private.enter_context(testing.private_ipc(required=False)).lacking


def pytest_report_header(config: pytest.Config) -> str | None:
    """Tell what is not as it would be without this plugin."""
    about = []
    if config.getoption("fork_tests"):
        about.append(f"each test in a child of its own, for {_usual_deadline(config):g} seconds at most")
    if config.getini("unixipc_leak_check"):
        about.append("leak check")
    if whose := config.getini("unixipc_ipc_namespace"):
        lacking: tuple[str, ...] = config.stash.get(_lacking, ())
        about.append("".join([f"IPC objects of its own for each {whose}", *(f", but not {what}" for what in lacking)]))
    return f"unixipc: {', '.join(about)}" if about else None


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item, nextitem: pytest.Item | None) -> bool | None:
    """Run the test in a child, if that is asked for."""
    ignored = _ignored(item)
    if not _is_forked(item) or item.config.getoption("setuponly", default=False):
        return None
    from unixipc.testing import forked_items  # noqa: PLC0415 - most runs of pytest need it not

    mark = item.get_closest_marker("forked")
    settings = {} if mark is None else mark.kwargs
    if unknown := ", ".join(settings.keys() - {"deadline", "allow_threads"}):
        raise pytest.UsageError(f"{item.nodeid}: the mark forked takes deadline and allow_threads, not {unknown}")
    terms = forked_items.Terms(_deadline(item), settings.get("allow_threads", False), _begin, ignored)
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    forked_items.run(item, nextitem, terms)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Prepare what belongs to the test alone, if that is asked for; for a test in a child this is done there."""
    asked = _ignored(item) is not None or item.config.getini("unixipc_ipc_namespace") == "test"
    if _is_forked(item) or not asked:
        return (yield)
    from unixipc.testing import pytest_private  # noqa: PLC0415 - most runs of pytest need it not

    with pytest_private.setup_cut(item, _begin):
        return (yield)


def _begin(item: pytest.Item) -> None:
    """Prepare what belongs to the test alone, for its teardown to undo, and to fail where something is left."""
    from unixipc.testing import pytest_private  # noqa: PLC0415 - most runs of pytest need it not

    ignored = _ignored(item)
    with ExitStack() as entered:
        if item.config.getini("unixipc_ipc_namespace") == "test":
            _enter(entered)
        before = None if ignored is None else testing.Snapshot.take(ignored)
        private = entered.pop_all()

    def end() -> None:
        with private:
            if leaks := () if before is None else before.leaks():
                pytest.fail("left behind: " + "\n  ".join(map(str, leaks)), pytrace=False)

    pytest_private.finally_call(item, end)


def _enter(stack: ExitStack) -> testing.PrivateIpc:
    """Have IPC objects of one's own until the stack is closed; skip the test where that is not allowed."""
    try:
        return stack.enter_context(testing.private_ipc())
    except (OSError, RuntimeError) as error:
        pytest.skip(f"no IPC objects of its own: {error}")


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
    return _usual_deadline(item.config)


def _usual_deadline(config: pytest.Config) -> float:
    seconds = config.getini("unixipc_deadline")
    return testing.DEADLINE if seconds is None else float(seconds)


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


@pytest.fixture
def ipc_namespace() -> Iterator[processes.IpcLimits]:
    """Have System V objects, POSIX queues and /dev/shm of one's own, and limits that can be set, or skip the test."""
    with ExitStack() as stack:
        yield cast("processes.IpcLimits", _enter(stack).limits)  # as they are required


@pytest.fixture
def gate() -> Iterator[Callable[[], testing.Gate]]:
    """Make gates, before the fork; they are closed with the test."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(testing.Gate())


@pytest.fixture
def barrier() -> Iterator[Callable[[int], testing.Barrier]]:
    """Make barriers for so many parties, before the fork; they are closed with the test."""
    with ExitStack() as stack:
        yield lambda parties: stack.enter_context(testing.Barrier(parties))
