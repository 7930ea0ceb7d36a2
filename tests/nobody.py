"""Another user, without privileges: what a forked child can become."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, TypeVar

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

NOBODY = 65534

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")


def become_nobody() -> None:
    """Go on as another user: in a forked child only."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def as_nobody(function: Callable[[], _T]) -> _T:
    """Go on as another user with this function: in a forked child only."""
    become_nobody()
    return function()
