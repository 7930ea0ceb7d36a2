"""unixipc limits: those of the namespace, and what is used of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import inventory, libc

if TYPE_CHECKING:
    from cli_room.commands import Command, OnTerminal

    from unixipc import processes


def listed(unixipc: Command, *arguments: object) -> tuple[int, dict[str, dict[str, Any]]]:
    done = unixipc("limits", "--json", *arguments)
    assert done.stderr == ""
    return done.returncode, {row["name"]: row for row in json.loads(done.stdout)}


def test_json_has_every_limit_as_the_room_has_it(unixipc: Command) -> None:
    status, found = listed(unixipc)
    assert status == 0
    ours = {limit.name: asdict(limit) for limit in inventory.limits()}
    assert found.keys() == ours.keys()
    assert {name: row["maximum"] for name, row in found.items()} == {name: row["maximum"] for name, row in ours.items()}
    assert all(list(row) == ["name", "used", "maximum", "unit", "what"] for row in found.values())


def test_what_is_used_up_is_told_by_the_exit_status(unixipc: Command, ipc_namespace: processes.IpcLimits) -> None:
    ipc_namespace.msgmni = 4
    assert listed(unixipc, "--above", 70)[1].keys().isdisjoint({"kernel.msgmni"})
    queues = [libc.msgget(libc.IPC_PRIVATE, 0o600) for _ in range(3)]
    status, found = listed(unixipc, "--above", 70)
    assert (status, found["kernel.msgmni"]["used"], found["kernel.msgmni"]["maximum"]) == (1, 3, 4)
    line = next(line for line in unixipc("limits").stdout.splitlines() if line.startswith("kernel.msgmni"))
    assert line.split()[:4] == ["kernel.msgmni", "3", "4", "75%"]
    for queue in queues:
        libc.msgctl(queue, libc.IPC_RMID)


def test_what_nothing_can_reach_is_no_limit(unixipc: Command, ipc_namespace: processes.IpcLimits) -> None:
    assert listed(unixipc)[1]["kernel.shmmax"]["maximum"] is None  # the kernel's default
    ipc_namespace.shmmax = 2**40
    assert listed(unixipc)[1]["kernel.shmmax"]["maximum"] == 2**40


@pytest.mark.parametrize("columns", [80, 140])
def test_a_terminal_gets_a_table_that_fits(on_terminal: OnTerminal, columns: int) -> None:
    status, lines = on_terminal(columns, "limits")
    assert status == 0
    assert max(map(len, lines)) <= columns
    assert any("─" * 50 in line for line in lines)
    assert any(line.startswith("kernel.shmmni") for line in lines)
