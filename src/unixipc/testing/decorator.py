"""Functions, and the tests of unittest, that run in a child of their own."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload
from unittest import TestCase

from unixipc.testing.children import DEADLINE, fork

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


@overload
def forked(function: Callable[_P, _T], /) -> Callable[_P, _T]: ...
@overload
def forked(
    *, deadline: float | None = DEADLINE, allow_threads: bool = False
) -> Callable[[Callable[_P, _T]], Callable[_P, _T]]: ...
def forked(
    function: Callable[..., object] | None = None, /, *, deadline: float | None = DEADLINE, allow_threads: bool = False
) -> object:
    """Run each call of a function in a forked child, and hand back what it returns or raises: `@testing.forked`.

    On a test of `unittest.TestCase`, between its `setUp` and `tearDown`, skips and failures are the test's own. What it
    changes of the test case stays in the child, where the cleanups run that it adds; a subtest that fails ends it, and
    with `--buffer` what it prints is lost.
    """
    if function is None:
        return functools.partial(_decorated, deadline=deadline, allow_threads=allow_threads)
    return _decorated(function, deadline=deadline, allow_threads=allow_threads)


def _decorated(
    function: Callable[..., object], *, deadline: float | None, allow_threads: bool
) -> Callable[..., object]:
    if not callable(function):
        raise TypeError(f"forked() decorates a function, not {function!r}")
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(f"{function!r} is asynchronous: its event loop runs in the parent, and does not fork")

    @functools.wraps(function)
    def runs(*args: object, **kwargs: object) -> object:
        call = functools.partial(function, *args, **kwargs)
        case = args[0] if args and isinstance(args[0], TestCase) else None
        with fork(_run, call, case, deadline=deadline, allow_threads=allow_threads) as child:
            return child.result()

    return runs


def _run(call: Callable[[], object], case: TestCase | None) -> object:
    if case is None:
        return call()
    inner: Any = case
    inner._cleanups = []  # noqa: SLF001 - those of `setUp` run in the parent
    if inner._outcome is not None:  # noqa: SLF001 - the parent would never hear of a subtest that failed
        inner._outcome.result_supports_subtests = False  # noqa: SLF001 - the same
    try:
        return call()
    finally:
        _clean_up(inner._cleanups)  # noqa: SLF001 - the same


def _clean_up(cleanups: list[tuple[Callable[..., object], tuple[object, ...], dict[str, object]]]) -> None:
    if cleanups:
        function, args, kwargs = cleanups.pop()
        try:
            function(*args, **kwargs)
        finally:
            _clean_up(cleanups)
