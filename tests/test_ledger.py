"""docs/ledger.md: every call that is bound has its row, and every row tells the truth."""

import importlib
import inspect
import keyword
import re
from pathlib import Path

import pytest

from unixipc import libc

LEDGER = Path(__file__).parent.parent / "docs" / "ledger.md"
ROW = re.compile(r"\| `(\w+)` \| (\w[\w ]*) \| ?(.*?) ?\|")
OURS = {
    "mq_notify_fd": "mq_notify, by a descriptor",
    "mq_receive_many": "mq_receive, many times in one call",
    "mq_send_many": "mq_send, many times in one call",
    "msgrcv_into": "msgrcv, into memory of one's own",
    "msgrcv_many": "msgrcv, many times in one call",
    "msgsnd_many": "msgsnd, many times in one call",
    "signals_lost": "tells what the delivery could not keep",
}


def _rows() -> dict[str, tuple[str, str]]:
    return {match[1]: (match[2], match[3]) for match in ROW.finditer(LEDGER.read_text())}


STDLIB = {call for call, (state, _) in _rows().items() if state == "stdlib"}


def _name(call: str) -> str:
    return f"{call}_" if keyword.iskeyword(call) else call


def test_every_call_of_libc_has_a_row_that_says_bound() -> None:
    functions = {name for name, value in vars(libc).items() if inspect.isroutine(value) and name != "signal_name"}
    bound = {_name(call) for call, (state, _) in _rows().items() if state == "bound"}
    assert functions - OURS.keys() == bound


@pytest.mark.parametrize("call", [call for call, (state, _) in _rows().items() if state == "stdlib"])
def test_what_is_left_to_the_standard_library_is_there(call: str) -> None:
    match = re.match(r"`(\w+)\.(\w+)`", _rows()[call][1])
    assert match is not None
    assert callable(getattr(importlib.import_module(match[1]), match[2]))
    assert not hasattr(libc, call)


def test_what_is_not_bound_says_why() -> None:
    rows = _rows()
    assert {state for state, _ in rows.values()} == {"bound", "stdlib", "not bound"}
    for call, (state, note) in rows.items():
        if state == "not bound":
            assert note, call
            assert not hasattr(libc, call), call
