"""The private parts of pytest that running an item in two processes needs: nothing else here touches any.

pytest's public hooks take an item through its phases as a whole. Here the setup is cut in two: what is of a wider scope
than the test is set up, kept and torn down by the parent, the rest by the child. No public hook lies between the two.
Each function says what it takes from pytest; all of it is the same in pytest 9.0 to 9.2.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from _pytest._code.code import ReprFileLocation, TerminalRepr
from _pytest.logging import caplog_records_key
from _pytest.runner import check_interactive_exception, get_reraise_exceptions
from _pytest.subtests import SubtestReport, failed_subtests_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Literal

    from _pytest._io import TerminalWriter

_WRAPPERS = {"capturemanager", "logging-plugin", "threadexception", "unraisableexception"}
_STREAMS = ["stdout", "stderr", "log"]
_OWN_SETUP = "unixipc-own-setup"
_REPRESENTATION = "$unixipc_representation"


def run_phase(
    item: pytest.Item, when: Literal["setup", "call", "teardown"], hook: Callable[..., object], **arguments: object
) -> pytest.TestReport:
    """Run a hook of the item as a phase of its test, and make the report, which nobody hears of yet.

    `_pytest.runner.call_and_report` is the model; it knows only whole phases.
    """
    call = pytest.CallInfo.from_call(
        lambda: hook(item=item, **arguments), when, reraise=get_reraise_exceptions(item.config)
    )
    report: pytest.TestReport = item.ihook.pytest_runtest_makereport(item=item, call=call)
    if check_interactive_exception(call, report):
        item.ihook.pytest_exception_interact(node=item, call=call, report=report)
    return report


@contextmanager
def protocol(item: Any) -> Iterator[None]:
    """Give the item its request and its arguments for a run, and take them away afterwards.

    As `_pytest.runner.runtestprotocol`: an item that is run again has none any more.
    """
    has_request = hasattr(item, "_request")
    if has_request and not item._request:
        item._initrequest()
    try:
        yield
    finally:
        if has_request:
            item._request = False
            item.funcargs = None


@contextmanager
def setup_cut(item: pytest.Item, between: Callable[[pytest.Item], object] | None) -> Iterator[None]:
    """Let the setup of the item call a function between both parts; without one, leave out the second.

    `SetupState.setup` calls `item.setup()` when the collectors are set up. `item.teardown()` is for who has called it.
    """

    def setup() -> None:
        __tracebackhide__ = True
        if between is None:
            item.session._setupstate.stack[item][0].clear()
        _set_up_wider_scopes(item)
        if between is not None:
            between(item)
            type(item).setup(item)

    item.setup = setup  # type: ignore[method-assign]
    try:
        yield
    finally:
        del item.setup


def finally_call(item: pytest.Item, finalizer: Callable[[], object]) -> None:
    """Call a function when all that is set up of the item is torn down."""
    item.session._setupstate.stack[item][0].insert(0, finalizer)


def _set_up_wider_scopes(item: Any) -> None:
    """Set up the fixtures of the item that may outlive it, in pytest's own order, which has them first.

    As `TopRequest._fillfixtures`, which then finds them in `item.funcargs`.
    """
    __tracebackhide__ = True
    for name in getattr(item, "fixturenames", ()):
        if _is_wider(item, name):
            item.funcargs[name] = item._request.getfixturevalue(name)


def _is_wider(item: Any, name: str) -> bool:
    definitions = item._fixtureinfo.name2fixturedefs.get(name)
    if not definitions:  # "request", and what is not found: pytest says so
        return False
    parametrized: dict[str, Any] = getattr(getattr(item, "callspec", None), "_arg2scope", {})
    scope = parametrized[name].value if name in parametrized else definitions[-1].scope
    return scope != "function" and not (scope == "class" and item.getparent(pytest.Class) is None)


def own_setup(item: pytest.Item, between: Callable[[pytest.Item], object]) -> Callable[..., object]:
    """Give the hook call that sets up what is left of an item in the child, and see to it that it is torn down there.

    Whoever has set up a thing tears it down: of what `SetupState` holds, the child keeps nothing. What it makes of
    wider scopes nevertheless, by `getfixturevalue()`, goes after the item. Of the plugins, those see this that watch
    what is written, logged and lost; the others had their `pytest_runtest_setup` in the parent.
    """
    stack = item.session._setupstate.stack
    for finalizers, _ in stack.values():
        finalizers.clear()

    def tear_down_wider_scopes() -> None:
        with ExitStack() as last:
            for finalizers, _ in stack.values():
                for finalizer in finalizers:
                    last.callback(finalizer)
                finalizers.clear()

    stack[item][0].extend([tear_down_wider_scopes, item.teardown])
    manager = item.config.pluginmanager
    manager.register(_OwnSetup(between), _OWN_SETUP)
    others = [plugin for name, plugin in manager.list_name_plugin() if name not in {*_WRAPPERS, _OWN_SETUP}]
    hook = manager.subset_hook_caller("pytest_runtest_setup", others)

    logged = item.stash.get(caplog_records_key, {}).get("setup", [])

    def setup(item: pytest.Item) -> None:
        __tracebackhide__ = True
        try:
            hook(item=item)
        finally:
            _join_sections(item)
            if logged:
                item.stash[caplog_records_key]["setup"][:0] = logged

    return setup


class _OwnSetup:
    def __init__(self, between: Callable[[pytest.Item], object]) -> None:
        self._between = between

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        __tracebackhide__ = True
        self._between(item)
        item.setup()


def _join_sections(item: pytest.Item) -> None:
    """Make one section of what was written to a stream in both parts of the setup."""

    def place(section: tuple[str, str, str]) -> int:
        return _STREAMS.index(section[1]) if section[1] in _STREAMS else len(_STREAMS)

    sections = item._report_sections
    sections.sort(key=place)
    sections[:] = [
        (when, stream, join_texts(stream, [text for _, _, text in parts]))
        for (when, stream), parts in groupby(sections, key=lambda section: section[:2])
    ]


def join_texts(title: str, texts: list[str]) -> str:
    """Make one text of several parts of a section; that of a log does not end its last line."""
    return ("\n" if "log" in title else "").join(texts)


def tear_down_after_interruption(item: pytest.Item) -> None:
    """Tear down what the child has set up, as the end of a session does where an item was not torn down."""
    with suppress(Exception):
        item.session._setupstate.teardown_exact(None)


def listen_instead(config: pytest.Config, listener: object) -> None:
    """Let nobody hear of reports in this process any more but the session, which counts them, and this listener.

    `HookCaller._remove_plugin` is what pluggy itself removes one hook of a plugin with.
    """
    hook = config.hook.pytest_runtest_logreport
    session = config.pluginmanager.get_plugin("session")
    for implementation in hook.get_hookimpls():
        if implementation.plugin is not session:
            hook._remove_plugin(implementation.plugin)
    config.pluginmanager.register(listener, "unixipc-listener")


def serialized(config: pytest.Config, report: pytest.TestReport) -> dict[str, Any]:
    """Make plain data of a report, more or less, for `report_of`."""
    data: dict[str, Any] = config.hook.pytest_report_to_serializable(config=config, report=report)
    data[_REPRESENTATION] = isinstance(report.longrepr, TerminalRepr)
    return data


def report_of(config: pytest.Config, data: dict[str, Any]) -> pytest.TestReport:
    """Make the report again, and with it what pytest itself makes differ.

    A representation of any other kind than the usual becomes a text, of which the summary would show the first line.
    The arguments of a subtest are texts by then, of which pytest (since 9.1) would make texts a second time.
    """
    represented = data.pop(_REPRESENTATION)
    report: pytest.TestReport = config.hook.pytest_report_from_serializable(config=config, data=data)
    if represented and isinstance(report.longrepr, str):
        report.longrepr = _Representation(report.longrepr)
    if isinstance(report, SubtestReport):
        object.__setattr__(report.context, "kwargs", data["_subtest.context"]["kwargs"])
    return report


class _Representation(TerminalRepr):
    def __init__(self, text: str) -> None:
        self._text = text

    def toterminal(self, tw: TerminalWriter) -> None:
        tw.line(self._text)


class Announcement(_Representation):
    """How a test came to its end, shown as an exception would be that was raised where the test begins."""

    def __init__(self, item: pytest.Item, kind: type[BaseException], text: str) -> None:
        super().__init__(text)
        path, line, _ = item.reportinfo()
        self.reprcrash = ReprFileLocation(str(path), (line or 0) + 1, f"{kind.__name__}: {text}")


def captured_so_far(config: pytest.Config) -> list[tuple[str, str]]:
    """Take what was captured and not yet made a section of: what a child wrote in the phase that was its last.

    The file that output is captured in (--capture=fd) belongs to both processes.
    """
    manager = config.pluginmanager.get_plugin("capturemanager")
    if manager is None or not manager.is_globally_capturing():
        return []
    return [(stream, text) for stream, text in zip(_STREAMS, manager.read_global_capture(), strict=False) if text]


def failed_subtests(item: pytest.Item) -> int:
    """Tell how many subtests of the item have failed: the test fails with them, when its report is shown."""
    return item.config.stash.get(failed_subtests_key, {}).get(_key(item), 0)


def add_failed_subtests(item: pytest.Item, number: int) -> None:
    """Let the test fail with so many of its subtests, which failed in another process."""
    if number:
        item.config.stash[failed_subtests_key][_key(item)] += number


def _key(item: pytest.Item) -> Any:
    return getattr(item, "id", item.nodeid)  # the text before pytest 9.2
