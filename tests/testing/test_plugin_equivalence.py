"""unixipc.testing.plugin: a test in a child of its own is reported exactly as one that is not."""

from __future__ import annotations

import re
from difflib import unified_diff
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path


pytestmark = pytest.mark.slow

LISTENER = """
import json, os, pathlib
import pytest

HERE = pathlib.Path(__file__).parent
EVENTS = HERE / "events.txt"
REPORTS = HERE / "reports.txt"

def event(text):
    with EVENTS.open("a") as file:
        print(text, file=file)

@pytest.fixture(scope="session", autouse=True)
def run():
    event("run begins")
    yield
    event("run ends")

def pytest_runtest_setup(item):
    if "needs_network" in item.keywords:
        pytest.skip("there is no network")

def pytest_configure(config):
    config.addinivalue_line("markers", "needs_network: skipped by a hook")

def told(**record):
    with REPORTS.open("a") as file:
        print(json.dumps(record, default=str, indent=1, sort_keys=True), file=file)

def pytest_runtest_logreport(report):
    told(nodeid=report.nodeid, when=report.when, outcome=report.outcome, kind=type(report).__name__,
         text="" if "NOTRUN" in getattr(report, "wasxfail", "") else report.longreprtext,
         xfail=getattr(report, "wasxfail", None), sections=report.sections,
         properties=report.user_properties, keywords=sorted(report.keywords), location=report.location,
         teststatus=getattr(report, "context", None))

def pytest_warning_recorded(warning_message, when, nodeid, location):
    told(warning=str(warning_message.message), category=warning_message.category.__name__, when=when, nodeid=nodeid,
         location=location, lineno=warning_message.lineno, filename=warning_message.filename)
"""

SCOPES = """
import logging, os, sys
import pytest
from conftest import event

def scoped(scope):
    @pytest.fixture(scope=scope, name=scope + "_thing")
    def make(request):
        print(f"{scope} is set up")
        logging.warning("%s is logged", scope)
        if scope != "function":
            event(f"{scope} set up for {request.node.nodeid}")
        yield scope
        print(f"{scope} is torn down")
        logging.warning("%s is logged at its end", scope)
        if scope != "function":
            event(f"{scope} torn down for {request.node.nodeid}")
    return make

session_thing, package_thing, module_thing, class_thing, function_thing = map(
    scoped, ["session", "package", "module", "class", "function"]
)

@pytest.fixture(scope="module", params=["one", "two"])
def parametrized(request, session_thing):
    event(f"parametrized {request.param} set up")
    yield request.param
    event(f"parametrized {request.param} torn down")

@pytest.fixture(scope="module")
def depends(parametrized, module_thing):
    event(f"depends on {parametrized} set up")
    yield parametrized * 2
    event(f"depends on {parametrized} torn down")

@pytest.fixture(scope="module")
def fails_at_setup(session_thing):
    event("fails_at_setup tried")
    raise RuntimeError("cannot be set up")

@pytest.fixture
def fails_at_setup_here(session_thing):
    print("tried")
    raise RuntimeError("cannot be set up")

@pytest.fixture(scope="module")
def skips(session_thing):
    event("skips tried")
    pytest.skip("the fixture skips")

@pytest.fixture
def skips_here():
    pytest.skip("the fixture skips here")

@pytest.fixture(scope="class")
def fails_at_teardown():
    yield
    event("fails_at_teardown torn down")
    raise RuntimeError("cannot be torn down")

@pytest.fixture
def fails_at_teardown_here(function_thing):
    yield
    raise RuntimeError("cannot be torn down here")

def setup_module():
    event("setup_module")

def teardown_module():
    event("teardown_module")

def test_all_scopes(function_thing, class_thing, module_thing, package_thing, session_thing):
    print("in the test")
    print("to stderr", file=sys.stderr)
    os.write(1, b"to the descriptor\\n")
    logging.warning("from the test")
    assert function_thing == "session"

def test_parametrized(parametrized, function_thing):
    assert parametrized == "one"

def test_depends(depends):
    assert depends == "oneone"

@pytest.mark.parametrize("argument", [1, [2], object], ids=str)
def test_arguments(argument, module_thing):
    assert argument == 1

@pytest.mark.parametrize("scoped_argument", ["a", "b"], scope="module")
def test_scoped_argument(scoped_argument):
    assert scoped_argument

@pytest.mark.parametrize("scoped_argument", ["a", "b"], scope="module")
def test_scoped_argument_again(scoped_argument):
    assert scoped_argument == "a"

@pytest.fixture
def indirect(request):
    return request.param

@pytest.mark.parametrize("indirect", ["a", "b"], indirect=True, scope="module")
def test_indirect(indirect, function_thing):
    assert indirect == "a"

def test_setup_fails(fails_at_setup):
    pass

def test_setup_fails_again(fails_at_setup, function_thing):
    pass

def test_setup_fails_here(module_thing, fails_at_setup_here):
    pass

def test_fixture_skips(skips, function_thing):
    pass

def test_fixture_skips_here(module_thing, skips_here):
    pass

def test_missing_fixture(nowhere):
    pass

def test_wrong_scope(wrong_scope):
    pass

@pytest.fixture(scope="module")
def wrong_scope(function_thing):
    pass

def test_dynamic(request):
    assert request.getfixturevalue("session_thing") == request.getfixturevalue("function_thing")

class TestClass:
    @classmethod
    def setup_class(cls):
        event("setup_class")
        cls.made = True

    @classmethod
    def teardown_class(cls):
        event("teardown_class")

    def setup_method(self):
        print("setup_method")
        self.value = 1

    def teardown_method(self):
        print("teardown_method")

    def test_state(self, class_thing):
        assert self.made
        assert self.value == 2

    def test_teardown_fails_here(self, fails_at_teardown_here):
        print("fine")

    def test_teardown_fails(self, fails_at_teardown, class_thing, function_thing):
        print("fine")

def test_call_and_teardown_fail(fails_at_teardown_here):
    assert not "both"

def test_class_scope_without_class(class_thing):
    pass

def test_last(capsys):
    print("captured")
    assert capsys.readouterr().out == ""
"""

OUTCOMES = '''
import logging, os, sys, unittest, warnings
import pytest

pytestmark = pytest.mark.filterwarnings("default")
logging.getLogger("asyncio").setLevel(logging.ERROR)  # in its debug mode it tells what took long

@pytest.fixture(scope="module", autouse=True)
def expensive():
    from conftest import event
    event("expensive set up")
    warnings.warn("expensive")
    yield
    event("expensive torn down")
    warnings.warn("end of expensive")

@pytest.mark.skip(reason="marked")
def test_skipped_first():
    pass

@pytest.mark.skipif("sys.version_info > (3,)", reason="conditional")
def test_skipif():
    pass

@pytest.mark.skipif("nonsense ==", reason="broken")
def test_broken_condition():
    pass

@pytest.mark.needs_network
def test_skipped_by_hook():
    pass

def test_skips_itself():
    pytest.skip("in the test")

def test_importorskip():
    pytest.importorskip("there_is_no_such_module")

@pytest.mark.xfail
def test_xfails():
    print("written")
    assert 0

@pytest.mark.xfail(reason="passes")
def test_xpasses():
    pass

@pytest.mark.xfail(strict=True, reason="passes strictly")
def test_xpasses_strictly():
    pass

@pytest.mark.xfail(raises=ValueError)
def test_xfails_of_another_error():
    raise KeyError("another")

@pytest.mark.xfail(raises=ValueError)
def test_xfails_of_this_error():
    raise ValueError("this")

@pytest.mark.xfail(run=False, reason="never run")
def test_xfails_unrun():
    assert 0

def test_xfails_itself():
    pytest.xfail("in the test")

def test_xfail_added(request):
    request.applymarker(pytest.mark.xfail(reason="added"))
    assert 0

def test_fails():
    values = {"a": [1, 2, 3], "b": "text" * 20}
    assert values == {"a": [1, 2, 4], "b": "text" * 21}

def test_fails_without_story():
    pytest.fail("in short", pytrace=False)

def test_group():
    raise ExceptionGroup("several", [ValueError("one"), KeyError("two")])

def test_chained():
    try:
        1 / 0
    except ZeroDivisionError as error:
        raise LookupError("after it") from error

def test_local_error():
    class LocalError(Exception):
        def __reduce__(self):
            raise TypeError("does not pickle")
    error = LocalError("cannot travel")
    error.add_note("with a note")
    raise error

def test_system_exit():
    sys.exit(3)

def test_raises_wrongly():
    with pytest.raises(ValueError, match="this"):
        raise ValueError("that")

def test_warns():
    warnings.warn("from a test")
    warnings.warn("from a test, old", DeprecationWarning)

class OwnWarning(UserWarning):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")

def test_warns_of_its_own(recwarn):
    warnings.warn(OwnWarning(1, 2))
    assert len(recwarn) == 1
    warnings.warn(OwnWarning(3, 4))

def test_own_warning():
    warnings.warn(OwnWarning(3, 4))

@pytest.mark.filterwarnings("error")
def test_warning_is_error():
    warnings.warn("turned into an error")

def test_unraisable():
    class Bad:
        def __del__(self):
            raise ValueError("in __del__")
    Bad()

def test_resource_warning():
    import socket
    socket.socket()

def test_logs(caplog):
    logging.error("one")
    caplog.set_level(logging.DEBUG)
    logging.debug("two")
    assert caplog.messages == ["one", "two", "three"]

@pytest.fixture
def logs():
    logging.warning("at setup")

def test_log_of_setup(logs, expensive_log, caplog):
    assert [record.message for record in caplog.get_records("setup")] == ["of the module", "at setup"]

@pytest.fixture(scope="module")
def expensive_log():
    logging.warning("of the module")

def test_capfd(capfd):
    os.write(1, b"written")
    assert capfd.readouterr().out == "written"
    print("left over")
    assert 0

def test_capsys_disabled(capsys):
    with capsys.disabled():
        print("straight to the terminal")

def test_properties(record_property):
    record_property("key", 1)
    record_property("other", "value")
    assert 0

def test_subtests(subtests):
    for number in range(4):
        with subtests.test("message", number=number):
            print("in", number)
            if number == 2:
                pytest.skip("even")
            if number == 3:
                pytest.xfail("odd")
            assert number != 1

def test_subtests_pass(subtests):
    for number in range(4):
        with subtests.test(number=number):
            pass

def test_monkeypatch(monkeypatch, tmp_path):
    monkeypatch.setenv("SOMETHING", "1")
    monkeypatch.chdir(tmp_path)
    assert os.environ["PYTEST_CURRENT_TEST"] == "test_outcomes.py::test_monkeypatch (call)"
    assert not "here"

def test_deep():
    def down(depth):
        return down(depth - 1) if depth else 1 / 0
    down(5)

def test_property_of_any_class(record_property, tmp_path):
    record_property("path", tmp_path)

def doc():
    """
    >>> 1 + 1
    3
    """

def good():
    """
    >>> getfixture("tmp_path").is_dir()
    True
    """

class TestUnit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        from conftest import event
        event("setUpClass")
        cls.shared = 1

    @classmethod
    def tearDownClass(cls):
        from conftest import event
        event("tearDownClass")
        raise RuntimeError("in tearDownClass")

    def setUp(self):
        print("setUp")
        self.value = 1

    def tearDown(self):
        print("tearDown")

    def test_passes(self):
        assert self.value == self.shared

    def test_fails(self):
        self.assertEqual(self.value, 2)

    def test_errs_twice(self):
        self.addCleanup(lambda: 1 / 0)
        raise ValueError("first")

    @unittest.skip("skipped by unittest")
    def test_skipped(self):
        pass

    def test_skips(self):
        self.skipTest("in the test")

    @unittest.expectedFailure
    def test_expected(self):
        self.fail("expected")

    @unittest.expectedFailure
    def test_unexpected(self):
        pass

    def test_subtests(self):
        for number in range(3):
            with self.subTest("message", number=number):
                self.assertEqual(self.value, 1)

class TestBroken(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise RuntimeError("in setUpClass")

    def test_one(self):
        pass

    def test_two(self):
        pass

@unittest.skip("the whole class")
class TestSkipped(unittest.TestCase):
    def test_one(self):
        pass

class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def test_async(self):
        import asyncio
        await asyncio.sleep(0)
        self.assertEqual(1, 2)
'''

TEXT = """
>>> 1 / 0
1
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    monkeypatch.setenv("PYTHONHASHSEED", "0")  # pytest shows sets of differences in their order
    pytester.makeconftest(LISTENER)
    pytester.makepyfile(test_scopes=SCOPES, test_outcomes=OUTCOMES)
    package = pytester.mkpydir("package")
    (package / "test_one.py").write_text("from test_scopes import *\n")
    things = "session_thing, package_thing, module_thing, class_thing, function_thing"
    (package / "test_two.py").write_text(f"from test_scopes import test_all_scopes, {things}\n")
    pytester.maketxtfile(test_text=TEXT)
    return pytester


def normalized(text: str) -> str:
    for pattern, replacement in [
        (r"0x[0-9a-f]{6,}", "0xADDRESS"),
        (r"=* (.*) in \d+\.\d+s(?: \(\S+\))? =*", r"\1 in TIME"),  # a longer time takes away from the line
        (r" in \d+\.\d+s", " in TIME"),
        (r"\d+\.\d+s (setup|call|teardown)", r"TIME \1"),
        (r"(time|timestamp|hostname)=\"[^\"]*\"", r'\1=""'),
        (r"fd=\d+", "fd=N"),
    ]:
        text = re.sub(pattern, replacement, text)
    return text


def observe(suite: pytest.Pytester, *arguments: str) -> dict[str, str]:
    """Run the suite, and give all that was heard of it."""
    files = [suite.path / name for name in ("events.txt", "reports.txt", "junit.xml")]
    for path in files:
        path.unlink(missing_ok=True)
    result = suite.runpytest_subprocess(
        *("-p", "unixipc.testing.plugin", "-p", "no:cacheprovider", f"--basetemp={suite.path / 'base'}"),
        *("--doctest-modules", "--junit-xml=junit.xml", "-ra", *arguments),
    )

    def content(path: Path) -> str:
        return normalized(path.read_text())

    return {path.name: content(path) for path in files if path.exists()} | {
        "exit status": str(result.ret),
        "stdout": "\n".join(line for line in normalized(str(result.stdout)).splitlines() if "unixipc:" not in line),
    }


@pytest.mark.parametrize(
    "arguments",
    [[], ["--capture=sys", "-vv"], ["-s", "--tb=short"], ["-x"], ["--maxfail=3", "-q"], ["--runxfail", "--tb=line"]],
    ids=" ".join,
)
def test_a_forked_run_is_reported_as_any_other(suite: pytest.Pytester, arguments: list[str]) -> None:
    expected = observe(suite, *arguments)
    seen = observe(suite, *arguments, "--fork-tests")
    if "-s" in arguments:
        del expected["stdout"]  # what the test writes stands between what pytest writes, which comes later
    for what, text in expected.items():
        differences = "\n".join(unified_diff(text.splitlines(), seen[what].splitlines(), lineterm="", n=8))
        assert not differences, f"{what}:\n{differences}"
