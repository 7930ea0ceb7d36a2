"""Run a peer's own tests: `python suite.py NAME`, in the folder of its source.

What came of them, and what NAME was, goes to the standard output as JSON.
"""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path
from typing import Any, cast


class Result(unittest.TextTestResult):
    passed = 0  # `testsRun` counts those that are skipped on some versions of Python, and on others not

    def addSuccess(self, test: unittest.TestCase) -> None:  # noqa: N802
        super().addSuccess(test)
        self.passed += 1


def passes(test: unittest.TestCase) -> bool:
    """Run a test that has failed again, by itself: some measure times, in which this process may have stood still."""
    for _ in range(3):
        type(test)(test._testMethodName)(result := unittest.TestResult())
        if result.wasSuccessful():
            return True
    return False


name = sys.argv[1]
tests = unittest.defaultTestLoader.discover("tests", top_level_dir=".")
result = unittest.TextTestRunner(stream=sys.stderr, resultclass=cast("Any", Result)).run(tests)
assert isinstance(result, Result)
failed = [test for test, _ in result.failures + result.errors]
again = [test for test in failed if hasattr(test, "_testMethodName") and passes(test)]
mapped = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines() if "/" in line}
json.dump(
    {
        "passed": result.passed + len(again),
        "failed": [str(test) for test in failed if test not in again] + list(map(str, result.unexpectedSuccesses)),
        "skipped": [str(test) for test, _ in result.skipped],
        "file": sys.modules[name].__file__,
        "extensions": [path for path in mapped if Path(path).name.startswith(f"{name}.")],
    },
    sys.stdout,
)
