"""unixipc ls: a hundred objects in an IPC namespace, as ipcs(1) and /proc have them."""

from __future__ import annotations

import json
import os
import pwd
import re
import shutil
import subprocess
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from unixipc import inventory, libc, memory, posix, processes
from unixipc.cli import listing, objects

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cli_room.commands import Command, Invoke, OnTerminal

    from unixipc.testing.plugin import Fork

FEW = 3
HUNDREDTH = f"the hundredth of {os.getpid()}"  # memfds belong to no namespace
"""How many of each kind of POSIX objects there are; of each System V kind there are ten times as many."""

COLUMNS = {
    "sysv-shm": {
        "key": "key", "id": "shmid", "size": "size", "creator": "cpid", "last_user": "lpid", "attached": "nattch",
        "uid": "uid", "gid": "gid", "cuid": "cuid", "cgid": "cgid", "atime": "atime", "dtime": "dtime",
        "ctime": "ctime", "resident": "rss", "swapped": "swap",
    },
    "sysv-msg": {
        "key": "key", "id": "msqid", "bytes": "cbytes", "messages": "qnum", "last_sender": "lspid",
        "last_receiver": "lrpid", "uid": "uid", "gid": "gid", "cuid": "cuid", "cgid": "cgid", "stime": "stime",
        "rtime": "rtime", "ctime": "ctime",
    },
    "sysv-sem": {
        "key": "key", "id": "semid", "semaphores": "nsems", "uid": "uid", "gid": "gid", "cuid": "cuid", "cgid": "cgid",
        "otime": "otime", "ctime": "ctime",
    },
}  # fmt: skip


@pytest.fixture
def populated(ipc_namespace: processes.IpcLimits) -> Iterator[None]:
    """Make a hundred objects of all kinds, no two of them alike."""
    with ExitStack() as stack:
        for i in range(10 * FEW):
            flags = libc.IPC_CREAT | libc.IPC_EXCL | (0o600 + i % 8)
            segment = libc.shmget(libc.IPC_PRIVATE if i % 3 else 0x51000 + i, 1000 + i, flags)
            for _ in range(i % 4):
                stack.callback(libc.shmdt, libc.shmat(segment))
            if i % 4 == 3:
                libc.shmctl(segment, libc.IPC_RMID)  # it stays while it is attached
            else:
                stack.callback(libc.shmctl, segment, libc.IPC_RMID)
            if i % 4 == 2:
                libc.shmctl(segment, libc.SHM_LOCK)
            queue = libc.msgget(libc.IPC_PRIVATE if i % 3 else 0x52000 + i, flags)
            stack.callback(libc.msgctl, queue, libc.IPC_RMID)
            for j in range(i % 5):
                libc.msgsnd(queue, 1 + j, bytes(i))
            if i % 5 > 2:
                libc.msgrcv(queue, 100)
            semaphores = libc.semget(libc.IPC_PRIVATE if i % 3 else -i - 1, 1 + i, flags)
            stack.callback(libc.semctl, semaphores, 0, libc.IPC_RMID)
            if i % 2:
                libc.semop(semaphores, [libc.Sembuf(0, 1)])
        for i in range(FEW):
            shared = stack.enter_context(posix.SharedMemory.create(f"/memory {i}", 4096 + i))
            stack.callback(shared.unlink)
            semaphore = stack.enter_context(posix.Semaphore.create(f"/semaphore{i}", i))
            stack.callback(semaphore.unlink)
            messages = stack.enter_context(posix.MessageQueue.create(f"/queue{i}", max_messages=5 + i, max_size=64))
            stack.callback(messages.unlink)
            for _ in range(i):
                messages.send(b"hello")
        file = stack.enter_context(memory.MemoryFile.create(5000, name=HUNDREDTH))
        assert 10 * FEW * 3 + FEW * 3 + 1 == 100
        assert file.fileno() >= 0
        yield


def listed(unixipc: Command, *arguments: str) -> list[dict[str, Any]]:
    done = unixipc("ls", "--json", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert isinstance(found, list)
    return found


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [row for row in found if row["kind"] == kind]


def test_json_agrees_with_proc_for_a_hundred_objects(unixipc: Command, populated: None) -> None:
    found = listed(unixipc)
    for kind, name in (("sysv-shm", "shm"), ("sysv-msg", "msg"), ("sysv-sem", "sem")):
        head, *lines = Path(f"/proc/sysvipc/{name}").read_text().splitlines()
        rows = [dict(zip(head.split(), line.split(), strict=True)) for line in lines]
        expected = [{ours: int(row[theirs]) for ours, theirs in COLUMNS[kind].items()} for row in rows]
        shown = [{ours: row[ours] for ours in COLUMNS[kind]} for row in of_kind(found, kind)]
        assert len(rows) == 10 * FEW
        assert shown == expected
        perms = [int(row["perms"], 8) for row in rows]
        assert [row["mode"] for row in of_kind(found, kind)] == [f"{number & 0o777:04o}" for number in perms]
        if kind == "sysv-shm":
            expected = [
                {"removed": bool(number & libc.SHM_DEST), "locked": bool(number & libc.SHM_LOCKED)} for number in perms
            ]
            assert [{"removed": row["removed"], "locked": row["locked"]} for row in of_kind(found, kind)] == expected
            assert {"removed": True, "locked": False} in expected
    for kind, prefix in (("posix-shm", "/dev/shm/"), ("posix-sem", "/dev/shm/sem.")):  # noqa: S108
        assert len(of_kind(found, kind)) == FEW
        for row in of_kind(found, kind):
            status = Path(prefix + row["name"][1:]).stat()
            assert (row["size"], row["uid"], row["gid"], row["inode"], row["device"], row["mtime"]) == (
                status.st_size, status.st_uid, status.st_gid, status.st_ino, status.st_dev, int(status.st_mtime),
            )  # fmt: skip
            assert row["mode"] == f"{status.st_mode & 0o7777:04o}"
    for row in of_kind(found, "posix-mq"):
        with posix.MessageQueue.open(row["name"]) as queue:
            inside = row["status"]
            assert (inside["max_messages"], inside["max_size"]) == (queue.status().max_messages, queue.max_size)
            assert (inside["messages"], row["size"]) == (int(row["name"][-1]), 5 * int(row["name"][-1]))
    (memfd,) = (row for row in of_kind(found, "memfd") if row["name"] == HUNDREDTH)
    assert memfd["size"] == 5000


def test_json_agrees_with_ipcs_for_a_hundred_objects(unixipc: Command, populated: None) -> None:
    if shutil.which("ipcs") is None:
        pytest.skip("there is no ipcs (util-linux) to compare with")
    found = listed(unixipc)
    output = subprocess.run(["ipcs", "-a"], capture_output=True, text=True, check=True).stdout
    sections = [section for section in re.split("^---.*\n", output, flags=re.MULTILINE) if section.startswith("key")]
    theirs = [[line.split() for line in section.splitlines()[1:] if line] for section in sections]
    common = ("key", "id", "owner", "mode")

    def ours(kind: str, *fields: str) -> list[list[str]]:
        shown = []
        for row in of_kind(found, kind):
            row |= {"key": f"0x{row['key'] & 0xFFFFFFFF:08x}", "mode": row["mode"].lstrip("0")}
            status = [word for word, name in (("dest", "removed"), ("locked", "locked")) if row.get(name)]
            shown.append([*(str(row[field]) for field in (*common, *fields)), *status])
        return shown

    assert [
        ours("sysv-msg", "bytes", "messages"),
        ours("sysv-shm", "size", "attached"),
        ours("sysv-sem", "semaphores"),
    ] == theirs


def has_open(folder: Path, place: tuple[int, int]) -> bool:
    """Whether a process has a file open, as far as it is there and one may look."""
    with suppress(OSError):
        for link in (folder / "fd").iterdir():
            with suppress(OSError):
                if (link.stat().st_dev, link.stat().st_ino) == place:
                    return True
    return False


def test_holders_are_those_of_proc(unixipc: Command, populated: None) -> None:
    (row,) = (row for row in listed(unixipc) if row.get("name") == "/memory 1")
    processes_of_proc = [folder for folder in Path("/proc").iterdir() if folder.name.isdecimal()]
    assert [int(folder.name) for folder in processes_of_proc if has_open(folder, (row["device"], row["inode"]))] == [
        os.getpid()
    ]
    assert [holder["pid"] for holder in row["holders"]] == [os.getpid()]
    assert re.fullmatch(r"open as fd \d+, mapped", row["holders"][0]["how"])
    assert row["holders_complete"] == (not inventory.look().unseen)


def test_filters_choose_by_kind_owner_and_age(unixipc: Command, populated: None) -> None:
    assert {row["kind"] for row in listed(unixipc, "--kind", "sysv-msg", "-k", "posix-mq")} == {"sysv-msg", "posix-mq"}
    me = pwd.getpwuid(os.getuid()).pw_name
    mine = listed(unixipc, "--owner", me, "--kind", "sysv-sem")
    assert len(mine) == 10 * FEW
    assert len(listed(unixipc, "--owner", str(os.getuid()), "--kind", "sysv-sem")) == len(mine)
    assert listed(unixipc, "--owner", str(os.getuid() + 1), "--kind", "sysv-sem") == []
    assert listed(unixipc, "--older", "1h", "--kind", "posix-shm") == []
    assert len(listed(unixipc, "--older", "0", "--kind", "posix-shm")) == FEW


def test_orphans_are_what_ended_processes_left(
    unixipc: Command, fork: Fork, ipc_namespace: processes.IpcLimits
) -> None:
    mine = libc.shmget(libc.IPC_PRIVATE, 4096, libc.IPC_CREAT | 0o600)
    left = fork(lambda: libc.shmget(libc.IPC_PRIVATE, 4096, libc.IPC_CREAT | 0o600)).result()
    rows = listed(unixipc, "--orphans", "--kind", "sysv-shm")
    assert [(row["id"], row["orphaned"]) for row in rows] == [(left, "yes")]
    for segment in (mine, left):
        libc.shmctl(segment, libc.IPC_RMID)


def test_a_pipe_gets_aligned_text_with_a_line_for_each(unixipc: Command, populated: None) -> None:
    done = unixipc("ls", "--kind", "sysv-msg", "--kind", "posix-shm")
    assert (done.returncode, done.stderr) == (0, "")
    heading, *lines = done.stdout.splitlines()
    assert len(lines) == 10 * FEW + FEW
    assert all(line.isprintable() for line in lines)
    place = heading.index("owner")
    assert {line[place - 1] for line in lines} == {" "}
    assert {line[place:].split()[0] for line in lines} == {pwd.getpwuid(os.getuid()).pw_name}
    assert len([line for line in lines if "/memory " in line]) == FEW


@pytest.mark.parametrize("columns", [80, 140])
def test_a_terminal_gets_a_table_that_fits(on_terminal: OnTerminal, populated: None, columns: int) -> None:
    status, lines = on_terminal(columns, "ls")
    assert status == 0
    assert max(map(len, lines)) <= columns
    assert any("─" * 50 in line for line in lines)
    assert len([line for line in lines if line.startswith("sysv-sem")]) == 10 * FEW
    assert all(any(f"/queue{i}" in line for line in lines) for i in range(FEW))


def test_a_name_cannot_command_the_terminal(unixipc: Command) -> None:
    with posix.SharedMemory.create("/\x1b[31mred\n", 1) as shared:
        shown = unixipc("ls", "--kind", "posix-shm").stdout
        shared.unlink()
    assert "/\\x1b[31mred\\n" in shown
    assert "\x1b" not in shown


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_what_may_not_be_listed_is_told_and_the_rest_is_listed(
    fork: Fork, populated: None, capfd: pytest.CaptureFixture[str]
) -> None:
    if os.path.ismount("/dev/mqueue"):
        pytest.skip("/dev/mqueue is mounted, and shows the queues to everybody")

    def list_as_nobody() -> None:
        os.setuid(65534)
        listing.ls(json=True)

    fork(list_as_nobody).result()
    shown, told = capfd.readouterr()
    assert re.fullmatch(r"unixipc ls: .*Operation not permitted: it needs CAP_SYS_ADMIN.*\n", told)
    rows = json.loads(shown)
    assert {row["kind"] for row in rows} >= {"sysv-shm", "sysv-msg", "sysv-sem", "posix-shm", "posix-sem"}
    assert not any(row["holders_complete"] for row in of_kind(rows, "posix-shm"))


@pytest.mark.parametrize(
    "arguments", [["--kind", "other"], ["--older", "old"], ["--older", "-1"], ["--owner", "nobody at all"]]
)
def test_what_makes_no_sense_is_an_error_of_usage(invoke: Invoke, arguments: list[str]) -> None:
    done = invoke("ls", *arguments)
    assert (done.exit_code, done.stdout) == (2, "")


@pytest.mark.parametrize(
    ("seconds", "words"), [(None, ""), (0, "0s"), (59, "59s"), (60, "1m"), (7199, "1h"), (86400 * 3, "3d")]
)
def test_ages_are_said_in_their_largest_unit(seconds: int | None, words: str) -> None:
    assert objects.in_words(seconds) == words
