"""unixipc.sysv with others: C programs, ipcs(1), ipcmk(1) and ipcrm(1), and the package sysv_ipc, each way."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sysv_room.helpers import kept, unused_key
from until import until_blocked

from unixipc.sysv import MessageQueue, Semaphore, SemaphoreSet, SharedMemory
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork


@pytest.fixture
def keep() -> Iterator[Callable[[Any], Any]]:
    yield from kept()


@pytest.fixture
def key() -> int:
    return unused_key()


def run(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


# -- C --


@pytest.fixture(scope="module")
def partner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("there is no gcc to compile the partner with")
    source, program = Path(__file__).parent / "c" / "partner.c", tmp_path_factory.mktemp("partner") / "partner"
    flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([gcc, *flags, "-o", program, source], check=True)
    return program


def test_a_c_program_uses_and_removes_our_queue(partner: Path, key: int, keep: Callable[[Any], Any]) -> None:
    queue = keep(MessageQueue.create(key))
    queue.send(b"from python", 3)
    assert run(partner, "receive", key, 3) == "3 from python"
    run(partner, "send", key, 7, "from c")
    assert queue.receive(7, timeout=0) == (7, b"from c")
    run(partner, "remove-queue", key)
    with pytest.raises(FileNotFoundError):
        MessageQueue.open(key)


def test_we_use_and_remove_a_c_program_s_queue(partner: Path, key: int) -> None:
    run(partner, "create-queue", key, 2, "hello")
    queue = MessageQueue.open(key)
    assert queue.receive(timeout=0) == (2, b"hello")
    queue.remove()
    assert "msgget" in refused(partner, "receive", key)


def refused(*command: object) -> str:
    done = subprocess.run(
        [str(word) for word in command], capture_output=True, text=True, check=False, timeout=DEADLINE
    )
    assert done.returncode == 1
    return done.stderr


def test_a_c_program_uses_and_removes_our_semaphores(partner: Path, key: int, keep: Callable[[Any], Any]) -> None:
    """It refuses a set whose sem_otime says that nobody gave it its values."""
    semaphores = keep(SemaphoreSet.create([0, 0, 4], key))
    assert run(partner, "operate", key, -3, 2) == "1"
    assert semaphores.values == [0, 0, 4]  # it has ended, and SEM_UNDO gave them back
    run(partner, "remove-set", key)
    with pytest.raises(FileNotFoundError):
        SemaphoreSet.open(key)


def test_we_use_and_remove_a_c_program_s_semaphore(partner: Path, key: int) -> None:
    run(partner, "create-set", key, 2)
    semaphore = Semaphore.open_or_create(key, 9)
    with semaphore.held(2, timeout=0):
        assert semaphore.value == 0
    assert semaphore.value == 2
    semaphore.remove()
    assert "semget" in refused(partner, "operate", key)


def test_a_c_program_that_waits_is_let_go(
    partner: Path, key: int, keep: Callable[[Any], Any], fork: Fork, gate: Callable[[], Gate]
) -> None:
    semaphore = keep(Semaphore.create(0, key))
    with subprocess.Popen([partner, "operate", str(key), "-1", "0"], stdout=subprocess.PIPE, text=True) as started:
        until_blocked(started)
        while semaphore.waiting_to_acquire == 0:
            assert started.poll() is None
        semaphore.release()
        assert started.communicate(timeout=DEADLINE)[0] == "0\n"


def test_a_c_program_uses_and_removes_our_segment(partner: Path, key: int, keep: Callable[[Any], Any]) -> None:
    memory = keep(SharedMemory.create(1000, key))
    memoryview(memory)[5:12] = b"python\0"
    assert run(partner, "read", key, 5) == "python"
    run(partner, "write", key, 500, "from c")
    assert bytes(memory)[500:507] == b"from c\0"
    run(partner, "remove-segment", key)
    assert memory.status().removed
    with pytest.raises(FileNotFoundError):
        SharedMemory.open(key)


def test_we_use_and_remove_a_c_program_s_segment(partner: Path, key: int) -> None:
    run(partner, "create-segment", key, 10, "hello")
    with SharedMemory.open(key) as memory:
        assert len(memory) == 4096
        assert bytes(memory)[10:16] == b"hello\0"
        memory.remove()
    assert "shmget" in refused(partner, "read", key)


# -- ipcs, ipcmk, ipcrm --


@pytest.fixture(scope="module", autouse=True)
def util_linux() -> None:
    for name in ("ipcs", "ipcmk", "ipcrm"):
        if shutil.which(name) is None:
            pytest.skip(f"{name}(1) of util-linux is not there")


@pytest.mark.parametrize(
    ("letter", "create"),
    [
        ("q", MessageQueue.create),
        ("s", lambda: SemaphoreSet.create([1, 2, 3])),
        ("m", lambda: SharedMemory.create(12345)),
    ],
)
def test_ipcs_shows_and_ipcrm_removes_what_we_make(
    letter: str, create: Callable[[], Any], keep: Callable[[Any], Any]
) -> None:
    made = keep(create())
    assert re.search(rf"^0x0+ +{made.id} +\S+ +600 ", run("ipcs", f"-{letter}"), re.MULTILINE)
    shown = run("ipcs", f"-{letter}", "-i", made.id)
    assert re.search({"q": r"qnum=0", "s": r"nsems = 3", "m": r"bytes=12345"}[letter], shown)
    made.close()
    run("ipcrm", f"-{letter}", made.id)
    with pytest.raises(OSError, match="no object has this id"):
        made.status()


@pytest.mark.parametrize(
    ("arguments", "take"),
    [
        (["-Q"], MessageQueue.from_id),
        (["-S", "4"], SemaphoreSet.from_id),
        (["-M", "5000"], SharedMemory.from_id),
    ],
)
def test_we_use_and_remove_what_ipcmk_makes(
    arguments: list[str], take: Callable[[int], Any], keep: Callable[[Any], Any]
) -> None:
    number = int(run("ipcmk", *arguments, "-p", "0600").split()[-1])
    taken = keep(take(number))
    assert taken.status().mode == 0o600
    if isinstance(taken, MessageQueue):
        taken.send(b"used")
        assert taken.receive() == (1, b"used")
    else:
        assert len(taken) in (4, 5000)
    taken.remove()
    taken.close()
    with pytest.raises(OSError, match="has this id"):
        taken.status()
    assert not re.search(rf"^0x0+ +{number} ", run("ipcs", arguments[0].lower()), re.MULTILINE)


# -- sysv_ipc --


@pytest.fixture
def sysv_ipc() -> Any:
    return pytest.importorskip("sysv_ipc", reason="the package sysv_ipc is not installed")


def test_sysv_ipc_and_we_use_each_other_s_queues(sysv_ipc: Any, keep: Callable[[Any], Any]) -> None:
    key, other = unused_key(), unused_key()
    ours, theirs = keep(MessageQueue.create(key)), sysv_ipc.MessageQueue(other, sysv_ipc.IPC_CREX)
    for our_end, their_end in ((ours, sysv_ipc.MessageQueue(key)), (MessageQueue.open(other), theirs)):
        their_end.send(b"theirs", type=3)
        our_end.send(b"ours", 5)
        assert our_end.receive(3) == (3, b"theirs")
        assert their_end.receive(type=5) == (b"ours", 5)
        assert our_end.status().key == their_end.key
    sysv_ipc.remove_message_queue(ours.id)
    MessageQueue.from_id(theirs.id).remove()
    for gone in (key, other):
        with pytest.raises(FileNotFoundError):
            MessageQueue.open(gone)
        with pytest.raises(sysv_ipc.ExistentialError):
            sysv_ipc.MessageQueue(gone)


def test_sysv_ipc_and_we_use_each_other_s_semaphores(sysv_ipc: Any, keep: Callable[[Any], Any]) -> None:
    key, other = unused_key(), unused_key()
    ours, theirs = keep(Semaphore.create(2, key)), sysv_ipc.Semaphore(other, sysv_ipc.IPC_CREX, initial_value=2)
    for our_end, their_end in ((ours, sysv_ipc.Semaphore(key)), (Semaphore.open_or_create(other, 9), theirs)):
        their_end.acquire()
        our_end.acquire()
        assert our_end.value == their_end.value == 0
        with pytest.raises(TimeoutError):
            our_end.acquire(timeout=0)
        their_end.release()
        our_end.acquire(timeout=0)
    sysv_ipc.remove_semaphore(ours.id)
    Semaphore.from_id(theirs.id).remove()
    for gone in (key, other):
        with pytest.raises(FileNotFoundError):
            Semaphore.open(gone)
        with pytest.raises(sysv_ipc.ExistentialError):
            sysv_ipc.Semaphore(gone)


def test_sysv_ipc_and_we_use_each_other_s_segments(sysv_ipc: Any, keep: Callable[[Any], Any]) -> None:
    key, other = unused_key(), unused_key()
    ours = keep(SharedMemory.create(5000, key))
    theirs = sysv_ipc.SharedMemory(other, sysv_ipc.IPC_CREX, size=5000)
    for our_end, their_end in ((ours, sysv_ipc.SharedMemory(key)), (keep(SharedMemory.open(other)), theirs)):
        their_end.write(b"theirs", 10)
        memoryview(our_end)[100:104] = b"ours"
        assert bytes(our_end)[10:16] == b"theirs"
        assert their_end.read(4, 100) == b"ours"
        assert our_end.status().attachments == their_end.number_attached >= 2
        their_end.detach()
    sysv_ipc.remove_shared_memory(ours.id)
    SharedMemory.from_id(theirs.id, readonly=True).close()
    keep(SharedMemory.from_id(theirs.id)).remove()
    for gone in (key, other):
        with pytest.raises(FileNotFoundError):
            SharedMemory.open(gone)
        with pytest.raises(sysv_ipc.ExistentialError):
            sysv_ipc.SharedMemory(gone)
