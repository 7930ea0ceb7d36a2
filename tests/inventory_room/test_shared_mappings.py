"""unixipc.inventory: files that several processes have in their memory."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unixipc import _native, inventory, libc, memory, testing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from unixipc.testing.plugin import Fork


def wait_there() -> None:
    testing.parent().tell("ready")
    signal.pause()


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[memory.Mapping]:
    path = tmp_path / f"a file\n with a line end of {os.getpid()}"
    path.write_bytes(bytes(3 * libc.PAGE_SIZE))
    with memory.Mapping.of(path, access="write") as mapping:
        yield mapping


def test_a_file_that_two_have_mapped_is_listed_with_its_addresses(shared: memory.Mapping, fork: Fork) -> None:
    child = fork(wait_there)
    child.says("ready")
    (found,) = (file for file in inventory.shared_mappings([os.getpid(), child.pid]) if "a file" in file.path)
    assert found.path.endswith(f"/a file\n with a line end of {os.getpid()}")
    assert found.is_shared
    assert not found.is_code
    assert found.holders.complete
    assert set(found.holders.pids) == {os.getpid(), child.pid}
    for holder in found.holders.known:
        (mapping,) = holder.mappings
        assert (mapping.end - mapping.start, mapping.offset) == (3 * libc.PAGE_SIZE, 0)
        assert mapping.permissions == "rw-s"
        extent = f"{mapping.start:x}-{mapping.end:x} "
        assert extent in Path(f"/proc/{holder.pid}/maps").read_text()
    child.kill(signal.SIGKILL)


def test_shared_libraries_are_among_them_as_code(fork: Fork) -> None:
    child = fork(wait_there)
    child.says("ready")
    found = {file.path: file for file in inventory.shared_mappings([os.getpid(), child.pid])}
    library = found[str(Path(_native.__file__).resolve())]
    assert library.is_code
    assert not library.is_shared, "each has its own copy of what it writes"
    for holder in library.holders.known:
        assert len(holder.mappings) >= 4
        assert {mapping.permissions for mapping in holder.mappings} >= {"r--p", "r-xp", "rw-p"}
    child.kill(signal.SIGKILL)


def test_memory_without_a_name_and_segments_are_among_them(fork: Fork) -> None:
    segment = libc.shmget(libc.IPC_PRIVATE, 100, 0o600)
    attached = libc.shmat(segment)
    libc.shmctl(segment, libc.IPC_RMID)
    try:
        with memory.Mapping.anonymous(100, shared=True):
            child = fork(wait_there)
            child.says("ready")
            both = [file for file in inventory.shared_mappings([os.getpid(), child.pid]) if file.is_shared]
            assert {"/SYSV00000000 (deleted)", "/dev/zero (deleted)"} <= {file.path for file in both}
            child.kill(signal.SIGKILL)
    finally:
        libc.shmdt(attached)


def test_segments_of_two_namespaces_with_one_number_are_not_taken_for_shared(fork: Fork) -> None:
    if os.geteuid():
        pytest.skip("namespaces of one's own need CAP_SYS_ADMIN")

    def attach_there() -> None:
        from unixipc import processes

        with processes.ipc_namespace():
            attached = libc.shmat(libc.shmget(libc.IPC_PRIVATE, 100, 0o600))
            testing.parent().tell("ready")
            testing.parent().says("looked")
            libc.shmdt(attached)

    children = fork(attach_there), fork(attach_there)
    for child in children:
        child.says("ready")
    found = inventory.shared_mappings(child.pid for child in children)
    assert not [file for file in found if "SYSV" in file.path]
    for child in children:
        child.tell("looked")
        child.result()


def test_all_processes_are_looked_at_unless_some_are_given(shared: memory.Mapping, fork: Fork) -> None:
    child = fork(wait_there)
    child.says("ready")
    (found,) = (file for file in inventory.shared_mappings() if f"a line end of {os.getpid()}" in file.path)
    assert set(found.holders.pids) == {os.getpid(), child.pid}
    assert not [file for file in inventory.shared_mappings([os.getpid()]) if "a file" in file.path]
    child.kill(signal.SIGKILL)
