"""unixipc.testing: what is left behind is named, each kind of it, and who made it."""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import gc
import os
import pickle
import resource
import select
import signal
import socket
import tempfile
import threading
import time
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unixipc import inventory, libc, processes, testing
from unixipc.testing import DEADLINE, LeakKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

USR1, USR2 = libc.SIGUSR1, libc.SIGUSR2
C = ctypes.CDLL(None, use_errno=True)
NAME = f"/unixipc-leak-{os.getpid()}"
WHERE = Path(__file__).name


@pytest.fixture
def mend() -> Iterator[Callable[..., None]]:
    """Undo what a test leaks on purpose."""
    undo: list[tuple[Callable[..., object], tuple[object, ...]]] = []
    yield lambda function, *args: undo.append((function, args))
    for function, args in reversed(undo):
        function(*args)


def only(before: testing.Snapshot) -> testing.Leak:
    (leak,) = before.leaks()
    return leak


def test_where_nothing_is_left_nothing_is_said() -> None:
    with testing.no_leaks() as before:
        with tempfile.TemporaryFile(), testing.fork(os.getpid) as child:
            child.result()
        thread = threading.Thread(target=int)
        thread.start()
        thread.join()
    assert before.leaks() == ()
    assert before.unseen == {}, "this machine does not show all there is"


def test_a_leak_is_an_error_that_says_all_of_it(mend: Callable[..., None]) -> None:
    with pytest.raises(testing.LeakError) as raised, testing.no_leaks():
        fds = os.pipe()
    for fd in fds:
        mend(os.close, fd)
    assert isinstance(raised.value, AssertionError)
    assert [leak.kind for leak in raised.value.leaks] == [LeakKind.DESCRIPTOR] * 2
    assert sorted(leak.subject for leak in raised.value.leaks) == sorted(fds)  # type: ignore[type-var]
    lines = str(raised.value).splitlines()
    assert lines[0] == "left behind:"
    assert lines[1].startswith("  descriptor: ")
    again = pickle.loads(pickle.dumps(raised.value))
    assert (again.leaks, str(again)) == (raised.value.leaks, str(raised.value))


def test_an_exception_of_the_block_goes_before(mend: Callable[..., None]) -> None:
    def leaks_and_fails() -> None:
        with testing.no_leaks():
            mend(os.close, os.dup(0))
            raise KeyError

    with pytest.raises(KeyError):
        leaks_and_fails()


def test_a_kind_that_is_ignored_is_not_looked_at(mend: Callable[..., None]) -> None:
    with testing.no_leaks(ignore=[LeakKind.DESCRIPTOR]):
        mend(os.close, os.dup(0))
    before = testing.Snapshot.take()
    mend(os.close, os.dup(0))
    assert before.leaks(ignore=[LeakKind.DESCRIPTOR]) == ()
    assert only(before).kind is LeakKind.DESCRIPTOR


# -- descriptors --


def test_a_file_is_named_with_the_object_that_has_it(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    file = Path(__file__).open()  # noqa: SIM115
    mend(file.close)
    leak = only(before)
    assert leak.subject == file.fileno()
    assert leak.text.startswith(f"{file.fileno()} ({__file__}) of <_io.TextIOWrapper name='{__file__}'")


def test_where_memory_is_traced_the_line_is_named_that_made_it(mend: Callable[..., None]) -> None:
    tracemalloc.start()
    mend(tracemalloc.stop)
    before = testing.Snapshot.take()
    file = Path(__file__).open()  # noqa: SIM115
    mend(file.close)
    assert ", made at " in only(before).text


def test_sockets_pidfds_and_signalfds_say_what_they_are_for(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    listens = socket.create_server(("127.0.0.1", 0))
    mend(listens.close)
    assert f"socket AF_INET SOCK_STREAM at {listens.getsockname()!r}) of <socket.socket fd=" in only(before).text
    before = testing.Snapshot.take()
    mend(os.close, os.pidfd_open(os.getpid()))
    assert f"pidfd of process {os.getpid()}" in only(before).text
    before = testing.Snapshot.take()
    mend(os.close, libc.signalfd(-1, {USR1, USR2}, libc.SFD_CLOEXEC))
    assert "signalfd of SignalSet({SIGUSR1, SIGUSR2})" in only(before).text


def test_a_descriptor_that_was_closed_or_replaced_is_told(mend: Callable[..., None]) -> None:
    one, other = os.memfd_create("one"), os.memfd_create("other")
    mend(os.close, one)
    mend(os.close, other)
    before = testing.Snapshot.take()
    kept = os.dup(one)
    os.dup2(other, one)
    (leak, copy) = sorted(before.leaks(), key=lambda leak: leak.subject != one)
    assert leak.text == f"{one} (/memfd:other (deleted)) in place of /memfd:one (deleted)"
    assert copy.subject == kept
    os.dup2(kept, one)
    os.close(kept)
    assert before.leaks() == ()
    os.close(other)
    assert only(before).text == f"{other} (/memfd:other (deleted)) was closed"
    os.dup2(one, other)


def test_a_descriptor_of_another_kind_without_a_file_is_another(mend: Callable[..., None]) -> None:
    fd = os.eventfd(0)
    mend(os.close, fd)
    before = testing.Snapshot.take()
    with select.epoll() as polls:
        os.dup2(polls.fileno(), fd)
    assert "in place of anon_inode:[eventfd]" in only(before).text


def test_a_file_that_is_unlinked_while_it_is_open_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with path.open("w"):
        before = testing.Snapshot.take()
        path.unlink()
        assert before.leaks() == ()


def test_what_only_garbage_holds_is_no_leak() -> None:
    class Cycle:
        def __init__(self) -> None:
            self.me = self
            self.fd = os.dup(0)

        def __del__(self) -> None:
            os.close(self.fd)

    gc.disable()
    try:
        with testing.no_leaks():
            Cycle()
    finally:
        gc.enable()


def test_with_all_descriptors_in_use_they_are_what_is_told() -> None:
    def child() -> tuple[set[LeakKind], int]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
        before = testing.Snapshot.take()
        fds = []
        with suppress(OSError):
            while True:
                fds.append(os.dup(0))
        leaks = before.leaks()
        for fd in fds:
            os.close(fd)
        return {leak.kind for leak in leaks}, len(leaks) - len(fds)

    with testing.fork(child) as started:
        assert started.result() == ({LeakKind.DESCRIPTOR}, 0)


def test_a_thousand_leaks_are_told_in_no_time_and_all_of_them() -> None:
    def child() -> int:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(limit, 4096), limit))
        before = testing.Snapshot.take()
        count = min(limit, 2048) // 2
        for _ in range(count):
            os.dup(0)
        return count - len(before.leaks())

    with testing.fork(child) as started:
        assert started.result() == 0


def test_objects_that_do_anything_when_asked_are_not_asked(mend: Callable[..., None]) -> None:
    class Dangerous:
        def fileno(self) -> int:
            raise SystemExit

        def __repr__(self) -> str:
            raise SystemExit

    keeps = Dangerous()
    before = testing.Snapshot.take()
    mend(os.close, os.dup(0))
    assert only(before).kind is LeakKind.DESCRIPTOR
    del keeps


# -- processes and threads --


def test_a_child_is_named_with_its_command_and_state(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take([LeakKind.DESCRIPTOR])
    child = testing.fork(signal.pause)
    mend(child.close)
    leak = only(before)
    assert (leak.kind, leak.subject) == (LeakKind.CHILD, child.pid)
    assert leak.text.startswith(f"{child.pid} (")


def test_a_zombie_is_said_to_be_one(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    pid = os.fork()
    if not pid:
        os._exit(0)
    mend(os.waitpid, pid, 0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert only(before).text.endswith(") has ended, and nobody has waited for it")


def test_a_thread_is_named_with_what_it_runs(mend: Callable[..., None]) -> None:
    stop = threading.Event()

    def lingers() -> None:
        stop.wait(DEADLINE)

    before = testing.Snapshot.take()
    thread = threading.Thread(target=lingers, name="lingering", daemon=True)
    thread.start()
    mend(thread.join)
    mend(stop.set)
    leak = only(before)
    assert leak.subject == thread.native_id
    assert leak.text.startswith("'lingering', which runs ")
    assert f"lingers ({__file__}:" in leak.text
    assert leak.text.endswith(", a daemon")


# -- signals, times, and the rest of a process --


def test_signals_left_blocked_or_unblocked_are_named(mend: Callable[..., None]) -> None:
    mend(libc.sigprocmask, libc.SIG_SETMASK, libc.sigprocmask(libc.SIG_BLOCK, {USR1}))
    before = testing.Snapshot.take()
    libc.sigprocmask(libc.SIG_SETMASK, {USR2, libc.SIGRTMIN + 1})
    assert str(only(before)) == "signal mask: SIGUSR2 SIGRTMIN+1 blocked, SIGUSR1 unblocked"


def handles(*_: object) -> None:
    pass


@pytest.mark.parametrize("install", [libc.signal, signal.signal], ids=["libc", "signal"])
def test_a_handler_left_installed_is_named_with_its_line(
    install: Callable[..., object], mend: Callable[..., None]
) -> None:
    mend(libc.sigaction, USR1, libc.sigaction(USR1))
    before = testing.Snapshot.take()
    install(USR1, handles)
    leak = only(before)
    assert (leak.kind, leak.subject) == (LeakKind.DISPOSITION, USR1)
    assert leak.text.startswith(f"SIGUSR1: SIG_DFL became handles ({__file__}:")


def test_a_disposition_that_is_gone_or_has_other_flags_is_told(mend: Callable[..., None]) -> None:
    mend(libc.sigaction, USR1, libc.sigaction(USR1))
    libc.sigaction(USR1, libc.Sigaction(libc.SIG_IGN))
    before = testing.Snapshot.take()
    libc.sigaction(USR1, libc.Sigaction(libc.SIG_DFL))
    assert only(before).text == "SIGUSR1: SIG_IGN became SIG_DFL"
    libc.sigaction(USR1, libc.Sigaction(libc.CountHandler(), {USR2}, libc.SA_RESTART))
    before = testing.Snapshot.take()
    libc.sigaction(USR1, libc.Sigaction(libc.sigaction(USR1).handler, {USR2, libc.SIGHUP}))
    assert "mask SIGUSR2, <SaFlag.SA_RESTART" in only(before).text
    assert "mask SIGHUP SIGUSR2" in only(before).text


def test_the_wakeup_fd_the_signal_stack_the_umask_and_the_folder_are_told(
    mend: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = socket.socketpair()
    here.setblocking(False)
    mend(there.close)
    mend(here.close)
    before = testing.Snapshot.take()
    mend(signal.set_wakeup_fd, signal.set_wakeup_fd(here.fileno()))
    assert str(only(before)) == f"wakeup fd: -1 became {here.fileno()}"
    before = testing.Snapshot.take()
    assert before.leaks() == (), "looking at it leaves it in place"

    access, kind = libc.PROT_READ | libc.PROT_WRITE, libc.MAP_PRIVATE | libc.MAP_ANONYMOUS
    stack = libc.mmap(None, 1 << 16, access, kind)
    mend(libc.munmap, stack)
    mend(libc.sigaltstack, libc.sigaltstack(libc.Stack(stack)))
    assert only(before).kind is LeakKind.SIGNAL_STACK

    before = testing.Snapshot.take()
    mend(os.umask, os.umask(0o077))
    assert only(before).text.endswith(" became 077")

    before = testing.Snapshot.take()
    folder = Path.cwd()
    monkeypatch.chdir(tmp_path)
    assert str(only(before)) == f"working directory: {folder} became {tmp_path}"


def test_on_another_thread_the_wakeup_fd_is_not_looked_at() -> None:
    found: list[testing.Snapshot] = []
    thread = threading.Thread(target=lambda: found.append(testing.Snapshot.take()))
    thread.start()
    thread.join()
    assert found[0].unseen == {LeakKind.WAKEUP_FD: "only the main thread can be told the wakeup fd"}
    assert {leak.kind for leak in found[0].leaks()} <= {LeakKind.MASK, LeakKind.SIGNAL_STACK}, "each thread has its own"


def test_an_event_loop_leaves_nothing() -> None:
    with testing.no_leaks():
        asyncio.run(asyncio.sleep(0))


def test_timers_are_named_with_what_they_send(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    signal.setitimer(signal.ITIMER_VIRTUAL, 1000, 5)
    mend(signal.setitimer, signal.ITIMER_VIRTUAL, 0)
    assert only(before).text.startswith("ITIMER_VIRTUAL rings in ")
    assert only(before).text.endswith(" and then every 5")
    before = testing.Snapshot.take()
    timer = libc.timer_create(libc.CLOCK_MONOTONIC, libc.Sigevent(libc.SIGEV_SIGNAL, USR1))
    mend(libc.timer_delete, timer)
    assert str(only(before)) == f"POSIX timer: timer {timer}, which sends SIGUSR1"


def test_the_timer_of_the_delivery_itself_is_no_leak(mend: Callable[..., None]) -> None:
    def child() -> tuple[testing.Leak, ...]:
        libc.signal(USR1, handles)
        before = testing.Snapshot.take()
        for _ in range(3):
            libc.raise_(USR1)
        return before.leaks()

    with testing.fork(child) as started:
        assert started.result() == ()


# -- the system --


def test_a_segment_says_its_key_its_size_and_who_made_it(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    mine = libc.shmget(libc.IPC_PRIVATE, 100, 0o1600)
    mend(libc.shmctl, mine, libc.IPC_RMID)
    leak = only(before)
    assert leak.subject == mine
    assert leak.text == f"id {mine} (IPC_PRIVATE) with 100 bytes, made by this process, which nobody holds"

    before = testing.Snapshot.take()
    with testing.fork(libc.shmget, 0x4242, 100, 0o1600) as child:
        made = child.result()
    mend(libc.shmctl, made, libc.IPC_RMID)
    attached = libc.shmat(made)
    mend(libc.shmdt, attached)
    text = only(before).text
    assert text.startswith(f"id {made} (key 0x00004242) with 100 bytes, made by process {child.pid}, which is no more")
    assert text.endswith("held by this process")


def test_a_message_queue_says_who_used_it(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    queue = libc.msgget(libc.IPC_PRIVATE, 0o1600)
    mend(libc.msgctl, queue, libc.IPC_RMID)
    assert only(before).text == f"id {queue} (IPC_PRIVATE) with 0 messages, never used"
    with testing.fork(libc.msgsnd, queue, 1, b"text", 0) as child:
        child.result()
    used = f"last used by process {child.pid}, which is no more"
    assert str(only(before)) == f"System V message queue: id {queue} (IPC_PRIVATE) with 1 messages, {used}"


def test_a_semaphore_set_is_named(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    made = C.semget(libc.IPC_PRIVATE, 3, 0o1600)
    mend(C.semctl, made, 0, libc.IPC_RMID)
    assert str(only(before)) == f"System V semaphore set: id {made} (IPC_PRIVATE) of 3 semaphores"


def test_a_posix_queue_is_named_though_no_folder_of_queues_is_mounted(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    if LeakKind.POSIX_QUEUE in before.unseen:
        pytest.skip(before.unseen[LeakKind.POSIX_QUEUE])
    fd = C.mq_open(NAME.encode(), os.O_CREAT | os.O_RDWR, 0o600, None)
    assert fd >= 0, os.strerror(ctypes.get_errno())
    mend(C.mq_unlink, NAME.encode())
    assert C.mq_send(fd, b"abc", 3, 0) == 0
    (held,) = before.leaks([LeakKind.DESCRIPTOR])
    assert held.text == f"{NAME!r} with 3 bytes, held by this process"
    os.close(fd)
    assert only(before).text == f"{NAME!r} with 3 bytes, which nobody holds"


def test_what_lies_in_dev_shm_is_named_with_who_holds_it(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    path = Path("/dev/shm" + NAME)  # noqa: S108
    path.write_bytes(b"12345")
    mend(path.unlink)
    assert str(only(before)) == f"POSIX shared memory: {NAME!r} with 5 bytes, which nobody holds"

    def holds() -> None:
        file = path.open()
        testing.parent().tell("open")
        signal.pause()
        file.close()

    with testing.fork(holds) as child:
        child.says("open")
        (leak,) = before.leaks([LeakKind.DESCRIPTOR, LeakKind.CHILD])
        assert f", held by process {child.pid} (" in leak.text


def test_a_posix_semaphore_is_said_to_be_one(mend: Callable[..., None]) -> None:
    before = testing.Snapshot.take()
    C.sem_open.restype = ctypes.c_void_p
    semaphore = C.sem_open(NAME.encode(), os.O_CREAT, 0o600, 1)
    mend(C.sem_unlink, NAME.encode())
    mend(C.sem_close, ctypes.c_void_p(semaphore))
    assert f"semaphore {NAME!r}" in only(before).text


def test_a_full_dev_shm_does_not_disturb_the_check() -> None:
    def child() -> None:
        with testing.private_ipc(shm_size=1 << 16):
            before = testing.Snapshot.take()
            with pytest.raises(OSError, match="No space left"):
                Path("/dev/shm/full").write_bytes(bytes(1 << 20))  # noqa: S108
            with testing.fork(os.abort) as inner, pytest.raises(testing.CrashError, match="SIGABRT"):
                inner.result()
            assert "'/full'" in only(before).text

    require_namespaces()
    with testing.fork(child) as started:
        started.result()


def test_what_other_users_make_is_none_of_our_business() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")

    def other() -> tuple[int, int]:
        os.setuid(12345)
        Path("/dev/shm" + NAME).touch()  # noqa: S108
        return libc.shmget(libc.IPC_PRIVATE, 1, 0o1666), libc.msgget(libc.IPC_PRIVATE, 0o1666)

    with testing.no_leaks():
        with testing.fork(other) as child:
            segment, queue = child.result()
        try:
            assert {thing.id for thing in inventory.segments()} >= {segment}
        finally:
            before = testing.Snapshot.take()
            libc.shmctl(segment, libc.IPC_RMID)
            libc.msgctl(queue, libc.IPC_RMID)
            Path("/dev/shm" + NAME).unlink()  # noqa: S108
            assert before.leaks() == (), "what is gone is no leak"


def require_namespaces() -> None:
    try:
        with processes.ipc_namespace(), processes.mount_namespace():
            pass
    except OSError as error:
        pytest.skip(f"no namespaces of one's own: {error}")


def test_what_cannot_be_looked_at_says_why() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can take its rights away")

    def child() -> dict[LeakKind, str]:
        os.setuid(12345)
        return dict(testing.Snapshot.take().unseen)

    with testing.fork(child) as started:
        unseen = started.result()
    if os.path.ismount("/dev/mqueue"):
        assert unseen == {}
    else:
        assert list(unseen) == [LeakKind.POSIX_QUEUE]
        assert "it needs CAP_SYS_ADMIN, or /dev/mqueue to be mounted" in unseen[LeakKind.POSIX_QUEUE]


def test_locks_and_times_of_files_are_not_state_of_the_process() -> None:
    with tempfile.TemporaryFile() as file, testing.no_leaks():
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(b"text")
        time.sleep(0)
