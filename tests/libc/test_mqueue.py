"""unixipc.libc: POSIX message queues, as mq_overview(7) promises them."""

from __future__ import annotations

import errno
import os
import resource
import select
import time
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from nobody import become_nobody
from until import until_blocked

from unixipc import libc
from unixipc.testing import DEADLINE, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.usefixtures("way")

NAME = f"/unixipc-test-{os.getpid()}"
MAXMSG, MSGSIZE = 3, 32
ATTR = libc.MqAttr(mq_maxmsg=MAXMSG, mq_msgsize=MSGSIZE)
NEW = libc.O_CREAT | libc.O_EXCL | libc.O_RDWR
NEWS = libc.SIGRTMIN
LONG_AGO = 0
CALLS = ["mq_send", "mq_receive", "mq_timedsend", "mq_timedreceive", "mq_send_many", "mq_receive_many"]
MESSAGES = [(b"three", 3), (b"", 1), (b"again", 3)]


@pytest.fixture
def name() -> Iterator[str]:
    """A name whose queue is removed with the test."""
    yield NAME
    with suppress(FileNotFoundError):  # the test may have removed it
        libc.mq_unlink(NAME)


@pytest.fixture
def queue(name: str) -> Iterator[int]:
    mqdes = libc.mq_open(name, NEW, 0o600, ATTR)
    yield mqdes
    with suppress(OSError):  # the test may have closed it
        libc.mq_close(mqdes)


def fill(mqdes: int) -> None:
    for _ in range(MAXMSG):
        libc.mq_send(mqdes, b"filler")


def drain(mqdes: int) -> list[tuple[bytes, int]]:
    messages = []
    with suppress(TimeoutError):
        while True:
            messages.append(libc.mq_timedreceive(mqdes, MSGSIZE, LONG_AGO))
    return messages


def block(mqdes: int, call: str) -> tuple[bytes, int] | None:
    """Wait in a call, on a queue that is full for sending and empty for receiving."""
    if call == "mq_send":
        libc.mq_send(mqdes, b"sent at last")
        return None
    if call == "mq_timedsend":
        libc.mq_timedsend(mqdes, b"sent at last", 0, time.time() + DEADLINE)
        return None
    if call == "mq_receive":
        return libc.mq_receive(mqdes, MSGSIZE)
    if call == "mq_send_many":
        assert libc.mq_send_many(mqdes, [(b"sent at last", 0)]) == 1
        return None
    if call == "mq_receive_many":
        return libc.mq_receive_many(mqdes, MSGSIZE, 5)[0]
    return libc.mq_timedreceive(mqdes, MSGSIZE, time.time() + DEADLINE)


def prepare(mqdes: int, call: str) -> None:
    if "send" in call:
        fill(mqdes)


def release(mqdes: int, call: str) -> None:
    """Let the waiting call return."""
    if "send" in call:
        libc.mq_receive(mqdes, MSGSIZE)
    else:
        libc.mq_send(mqdes, b"received at last", 7)


@contextmanager
def refused(code: int, text: str) -> Iterator[None]:
    with pytest.raises(OSError, match=text, check=lambda error: error.errno == code):
        yield


# -- mq_open(3), mq_unlink(3) --


def test_a_new_queue_has_the_limits_asked_for_and_no_message(queue: int) -> None:
    assert libc.mq_getattr(queue) == libc.MqAttr(0, MAXMSG, MSGSIZE, 0)


def test_without_limits_a_new_queue_has_the_kernel_s_defaults(name: str) -> None:
    mqdes = libc.mq_open(name, NEW)
    attr = libc.mq_getattr(mqdes)
    libc.mq_close(mqdes)
    defaults = (int(Path(f"/proc/sys/fs/mqueue/{limit}_default").read_text()) for limit in ("msg", "msgsize"))
    assert (attr.mq_maxmsg, attr.mq_msgsize) == tuple(defaults)


def test_another_descriptor_of_the_name_is_the_same_queue(queue: int, name: str) -> None:
    other = libc.mq_open(name.encode(), libc.O_RDONLY)
    libc.mq_send(queue, b"hello", 3)
    assert libc.mq_receive(other, MSGSIZE) == (b"hello", 3)
    libc.mq_close(other)


def test_the_limits_of_a_queue_that_exists_stay(queue: int, name: str) -> None:
    other = libc.mq_open(name, libc.O_CREAT | libc.O_RDWR, 0o600, libc.MqAttr(0, 1, 1))
    assert libc.mq_getattr(other) == libc.MqAttr(0, MAXMSG, MSGSIZE, 0)
    libc.mq_close(other)


def test_a_queue_descriptor_is_close_on_exec(queue: int) -> None:
    assert not os.get_inheritable(queue)


@pytest.mark.parametrize("mode", [0o600, 0o666, 0o000, 0o640])
def test_a_queue_has_the_mode_asked_for_less_the_umask(name: str, mode: int) -> None:
    before = os.umask(0o026)
    try:
        mqdes = libc.mq_open(name, NEW, mode, ATTR)
    finally:
        os.umask(before)
    assert os.fstat(mqdes).st_mode & 0o777 == mode & ~0o026
    libc.mq_close(mqdes)


def test_exclusive_means_that_there_was_none(queue: int, name: str) -> None:
    with pytest.raises(FileExistsError, match=rf"mq_open\('{name}'\): .*O_EXCL was given"):
        libc.mq_open(name, NEW)


def test_a_queue_that_is_not_there_is_not_made_without_o_creat(name: str) -> None:
    with pytest.raises(FileNotFoundError, match="no queue has this name, and O_CREAT was not given"):
        libc.mq_open(name, libc.O_RDWR)


@pytest.mark.parametrize("wrong", ["no-slash", "", "//two", "/"])
def test_a_name_is_one_slash_and_more(wrong: str) -> None:
    with pytest.raises(OSError, match="slash") as caught:
        libc.mq_open(wrong, NEW, 0o600, ATTR)
    assert caught.value.errno in {errno.EINVAL, errno.EACCES, errno.ENOENT}


def test_a_name_has_at_most_255_bytes_behind_the_slash() -> None:
    longest = "/" + "x" * 255
    libc.mq_close(libc.mq_open(longest, NEW, 0o600, ATTR))
    libc.mq_unlink(longest)
    with refused(errno.ENAMETOOLONG, "a name is a slash and up to 255 bytes"):
        libc.mq_open(longest + "x", NEW, 0o600, ATTR)


@pytest.mark.parametrize("attr", [libc.MqAttr(0, 0, 1), libc.MqAttr(0, 1, -1), libc.MqAttr(0, 10**6, 10**6)])
def test_limits_that_cannot_be_name_those_of_the_system(attr: libc.MqAttr, name: str) -> None:
    with pytest.raises(OSError, match=r"fs\.mqueue\.msg_max is \d+, fs\.mqueue\.msgsize_max is \d+"):
        libc.mq_open(name, NEW, 0o600, attr)


def test_too_many_bytes_of_queues_name_their_limit_and_not_the_descriptors(fork: Fork, name: str) -> None:
    def child() -> str:
        resource.setrlimit(resource.RLIMIT_MSGQUEUE, (100, 100))
        with pytest.raises(OSError, match="RLIMIT_MSGQUEUE") as caught:
            libc.mq_open(name, NEW, 0o600, ATTR)
        assert caught.value.errno == errno.EMFILE
        return str(caught.value)

    assert "100 bytes" in fork(child).result()


def test_too_many_descriptors_name_theirs(fork: Fork, name: str) -> None:
    def child() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
        with refused(errno.EMFILE, "RLIMIT_NOFILE"):
            libc.mq_open(name, NEW, 0o600, ATTR)

    fork(child).result()


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_another_user_is_refused_by_the_mode(queue: int, name: str, fork: Fork) -> None:
    def child() -> None:
        become_nobody()
        with pytest.raises(PermissionError, match="its mode refuses this access"):
            libc.mq_open(name, libc.O_RDONLY)
        with pytest.raises(PermissionError, match="only its owner"):
            libc.mq_unlink(name)

    fork(child).result()


def test_a_queue_without_a_name_works_until_it_is_closed(queue: int, name: str) -> None:
    libc.mq_unlink(name)
    libc.mq_send(queue, b"still here")
    assert libc.mq_receive(queue, MSGSIZE) == (b"still here", 0)
    with pytest.raises(FileNotFoundError, match="no queue has this name"):
        libc.mq_unlink(name)


def test_a_name_with_a_nul_names_nothing() -> None:
    for call in (libc.mq_unlink, partial(libc.mq_open, oflag=NEW)):
        for wrong in ("/a\0b", b"/a\0b"):
            with pytest.raises(ValueError, match="contains a NUL"):
                call(wrong)


# -- mq_send(3), mq_receive(3) --


def test_the_highest_priority_comes_first_and_then_the_oldest(queue: int) -> None:
    for message, priority in ((b"low", 0), (b"first high", 9), (b"second high", 9)):
        libc.mq_send(queue, message, priority)
    assert drain(queue) == [(b"first high", 9), (b"second high", 9), (b"low", 0)]


@pytest.mark.parametrize("message", [b"", b"x", b"\0" * MSGSIZE, bytearray(b"array"), memoryview(b"view")])
def test_a_message_is_any_bytes_up_to_the_limit(queue: int, message: bytes | bytearray | memoryview) -> None:
    libc.mq_send(queue, message, libc.MQ_PRIO_MAX - 1)
    assert libc.mq_receive(queue, 10 * MSGSIZE) == (bytes(message), libc.MQ_PRIO_MAX - 1)


def test_a_message_is_received_into_a_buffer(queue: int) -> None:
    libc.mq_send(queue, b"hello", 3)
    libc.mq_send(queue, b"world", 2)
    room = bytearray(b"." * (MSGSIZE + 4))
    assert libc.mq_receive(queue, memoryview(room)[4:]) == (5, 3)
    assert room[:12] == b"....hello..."
    assert libc.mq_timedreceive(queue, room, LONG_AGO) == (5, 2)
    assert room[:12] == b"worldello..."


def test_there_must_be_room_for_the_longest_message(queue: int) -> None:
    libc.mq_send(queue, b"x")
    for room in (MSGSIZE - 1, 0, bytearray(MSGSIZE - 1)):
        with refused(errno.EMSGSIZE, "room for the queue's mq_msgsize"):
            libc.mq_receive(queue, room)
    assert drain(queue) == [(b"x", 0)]


def test_a_buffer_that_cannot_be_written_is_refused(queue: int) -> None:
    libc.mq_send(queue, b"x")
    for room in (bytes(MSGSIZE), memoryview(bytearray(2 * MSGSIZE))[::2]):
        with pytest.raises(BufferError, match=r"not writable|not contiguous"):
            libc.mq_receive(queue, room)
    assert drain(queue) == [(b"x", 0)]


def test_a_message_that_is_too_long_is_not_sent(queue: int) -> None:
    with refused(errno.EMSGSIZE, f"mq_send.*{MSGSIZE + 1} bytes.*longer than the queue's mq_msgsize"):
        libc.mq_send(queue, bytes(MSGSIZE + 1))
    assert drain(queue) == []


def test_a_priority_is_below_the_maximum(queue: int) -> None:
    with refused(errno.EINVAL, "below MQ_PRIO_MAX"):
        libc.mq_send(queue, b"", libc.MQ_PRIO_MAX)


def test_a_descriptor_does_what_it_was_opened_for(queue: int, name: str) -> None:
    reader, writer = libc.mq_open(name, libc.O_RDONLY), libc.mq_open(name, libc.O_WRONLY)
    with refused(errno.EBADF, "was not opened for this"):
        libc.mq_send(reader, b"")
    with refused(errno.EBADF, "was not opened for this"):
        libc.mq_receive(writer, MSGSIZE)
    libc.mq_close(reader)
    libc.mq_close(writer)


def test_what_is_no_queue_is_ebadf(tmp_path: Path) -> None:
    with (tmp_path / "file").open("w") as file:
        calls: list[Callable[[int], object]] = [
            lambda fd: libc.mq_send(fd, b""),
            lambda fd: libc.mq_receive(fd, MSGSIZE),
            libc.mq_getattr,
            lambda fd: libc.mq_setattr(fd, libc.MqAttr()),
            libc.mq_notify,
            libc.mq_notify_fd,
        ]
        for call in calls:
            for wrong in (file.fileno(), -1):
                with refused(errno.EBADF, "no descriptor of an open queue"):
                    call(wrong)


def test_times_are_of_the_real_time_clock(queue: int) -> None:
    for when in (LONG_AGO, 1.5, time.time() + 0.01):
        with pytest.raises(TimeoutError, match="the queue was empty until then"):
            libc.mq_timedreceive(queue, MSGSIZE, when)
        assert time.time() >= when
    fill(queue)
    for when in (LONG_AGO, 1.5, time.time() + 0.01):
        with pytest.raises(TimeoutError, match="the queue was full until then"):
            libc.mq_timedsend(queue, b"", 0, when)
        assert time.time() >= when
    assert len(drain(queue)) == MAXMSG


@pytest.mark.parametrize("call", CALLS)
def test_a_call_waits_until_it_can_go_on(queue: int, call: str, fork: Fork, gate: Callable[[], Gate]) -> None:
    ready = gate()
    prepare(queue, call)

    def wait() -> object:
        ready.open()
        return block(queue, call)

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    release(queue, call)
    assert child.result() == (None if "send" in call else (b"received at last", 7))


@pytest.mark.parametrize("call", CALLS)
def test_a_handler_without_sa_restart_interrupts_the_wait_once_it_has_run(
    queue: int, call: str, fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready = gate()
    prepare(queue, call)

    def wait() -> list[str]:
        story: list[str] = []
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: story.append("handler")))
        ready.open()
        with pytest.raises(InterruptedError, match=call.removesuffix("_many")) as caught:
            block(queue, call)
        assert caught.value.errno == errno.EINTR
        return [*story, "interrupted"]

    child = fork(wait)
    ready.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    assert child.result() == ["handler", "interrupted"]


@pytest.mark.parametrize("call", CALLS)
def test_with_sa_restart_the_wait_goes_on_after_the_handlers(
    queue: int, call: str, fork: Fork, gate: Callable[[], Gate]
) -> None:
    ready, handled = gate(), gate()
    prepare(queue, call)

    def wait() -> object:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: handled.open(), flags=libc.SA_RESTART))
        ready.open()
        return block(queue, call)

    child = fork(wait)
    ready.wait()
    for _ in range(3):
        until_blocked(child)
        child.kill(libc.SIGUSR1)
        handled.wait()
    until_blocked(child)
    release(queue, call)
    assert child.result() == (None if "send" in call else (b"received at last", 7))


# -- several messages --


def test_many_messages_go_in_order_and_come_by_priority(queue: int) -> None:
    assert libc.mq_send_many(queue, MESSAGES) == 3
    assert libc.mq_receive_many(queue, MSGSIZE, 10) == [MESSAGES[0], MESSAGES[2], MESSAGES[1]]
    assert libc.mq_send_many(queue, iter([(bytearray(b"any"), 1)])) == 1
    assert libc.mq_send_many(queue, [(memoryview(b"bytes"), 1)]) == 1
    assert libc.mq_receive_many(queue, MSGSIZE, 1, LONG_AGO) == [(b"any", 1)]
    assert libc.mq_receive_many(queue, MSGSIZE, 0) == []
    assert libc.mq_receive_many(queue, MSGSIZE, 2**70, time.time() + DEADLINE) == [(b"bytes", 1)]
    assert libc.mq_send_many(queue, []) == 0


def test_how_many_went_before_the_queue_was_full_or_one_was_wrong(queue: int) -> None:
    for until in (LONG_AGO, time.time() + 0.01):
        assert libc.mq_send_many(queue, [(b"x", 0)] * 5, until) == MAXMSG
        with pytest.raises(TimeoutError, match=r"mq_send.*was full until then"):
            libc.mq_send_many(queue, [(b"x", 0)], until)
        assert len(libc.mq_receive_many(queue, MSGSIZE, 5, until)) == MAXMSG
        with pytest.raises(TimeoutError, match=r"mq_receive.*was empty until then"):
            libc.mq_receive_many(queue, MSGSIZE, 5, until)
    assert libc.mq_send_many(queue, [(b"x", 0), (bytes(MSGSIZE + 1), 0), (b"y", 0)]) == 1
    assert libc.mq_send_many(queue, [(b"y", 5), (b"y", 32768)]) == 1
    with refused(errno.EMSGSIZE, "longer than the queue's mq_msgsize"):
        libc.mq_send_many(queue, [(bytes(MSGSIZE + 1), 0)])
    with refused(errno.EINVAL, "below MQ_PRIO_MAX"):
        libc.mq_send_many(queue, [(b"", 2**32 - 1)])
    assert drain(queue) == [(b"y", 5), (b"x", 0)]


def test_many_of_a_queue_that_may_not_block_are_those_that_can(queue: int) -> None:
    libc.mq_setattr(queue, libc.MqAttr(libc.O_NONBLOCK))
    assert libc.mq_send_many(queue, [(b"x", 0)] * 5) == MAXMSG
    assert len(libc.mq_receive_many(queue, MSGSIZE, 5)) == MAXMSG
    with pytest.raises(BlockingIOError):
        libc.mq_receive_many(queue, MSGSIZE, 5)


def test_a_signal_takes_nothing_of_what_came_with_many(
    queue: int, fork: Fork, gate: Callable[[], Gate], block: Callable[..., object]
) -> None:
    """A handler runs after the call, which returns what it has, and the next one waits again."""
    full, handled = gate(), gate()

    def send() -> int:
        libc.sigaction(libc.SIGUSR1, libc.Sigaction(lambda _: handled.open()))
        full.open()
        return libc.mq_send_many(queue, [(b"%d" % number, 0) for number in range(MAXMSG + 2)])

    child = fork(send)
    full.wait()
    until_blocked(child)
    child.kill(libc.SIGUSR1)
    handled.wait()
    assert child.result() == MAXMSG
    assert drain(queue) == [(b"%d" % number, 0) for number in range(MAXMSG)]


@pytest.mark.parametrize(
    ("messages", "error"),
    [
        (None, TypeError),
        ([1], TypeError),
        ([(b"",)], ValueError),
        ([(b"", 0, 0)], ValueError),
        ([(5, 0)], TypeError),
        ([(b"", "1")], TypeError),
        ([(b"", -1)], OverflowError),
        ([(b"", 2**32)], OverflowError),
        ([(b"", 2**70)], OverflowError),
        ([(b"fits", 0), (b"", None)], TypeError),
    ],
    ids=repr,
)
def test_what_are_no_messages_is_refused_and_none_goes(queue: int, messages: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        libc.mq_send_many(queue, messages)
    assert libc.mq_getattr(queue).mq_curmsgs == 0


def test_impossible_sizes_counts_and_times_of_many_are_refused(queue: int) -> None:
    libc.mq_send(queue, b"stays")
    for size, count in ((-1, 1), (MSGSIZE, -1), (2**70, 1), (-(2**70), 1)):
        with pytest.raises((ValueError, OverflowError, MemoryError)):
            libc.mq_receive_many(queue, size, count)
    for until, error in (("1", TypeError), (float("nan"), ValueError), (-1, OSError)):
        with pytest.raises(error):
            libc.mq_receive_many(queue, MSGSIZE, 1, until)  # type: ignore[arg-type]
    with refused(errno.EMSGSIZE, "room for the queue's mq_msgsize"):
        libc.mq_receive_many(queue, MSGSIZE - 1, 1)
    assert drain(queue) == [(b"stays", 0)]


def test_a_queue_is_readable_for_select_while_a_message_waits(queue: int) -> None:
    assert select.select([queue], [queue], [], 0) == ([], [queue], [])
    fill(queue)
    assert select.select([queue], [queue], [], 0) == ([queue], [], [])
    drain(queue)


# -- mq_setattr(3) --


def test_a_queue_that_may_not_block_says_so_at_once(queue: int) -> None:
    assert libc.mq_setattr(queue, libc.MqAttr(libc.O_NONBLOCK)) == libc.MqAttr(0, MAXMSG, MSGSIZE, 0)
    with pytest.raises(BlockingIOError, match="the queue is empty, and O_NONBLOCK"):
        libc.mq_receive(queue, MSGSIZE)
    fill(queue)
    with pytest.raises(BlockingIOError, match="the queue is full, and O_NONBLOCK"):
        libc.mq_send(queue, b"")
    assert libc.mq_setattr(queue, libc.MqAttr()) == libc.MqAttr(libc.O_NONBLOCK, MAXMSG, MSGSIZE, MAXMSG)
    assert libc.mq_getattr(queue).mq_flags == 0


def test_only_the_flag_is_set_and_only_this_one(queue: int) -> None:
    libc.mq_setattr(queue, libc.MqAttr(0, 1000, 1000, 1000))
    assert libc.mq_getattr(queue) == libc.MqAttr(0, MAXMSG, MSGSIZE, 0)
    with refused(errno.EINVAL, "the only flag of a queue is O_NONBLOCK"):
        libc.mq_setattr(queue, libc.MqAttr(libc.O_CREAT))


# -- mq_notify(3) --


def test_a_message_to_the_empty_queue_is_told_once_with_value_and_sender(
    queue: int, fork: Fork, block: Callable[..., object]
) -> None:
    block(NEWS)
    libc.mq_notify(queue, libc.Sigevent(libc.SIGEV_SIGNAL, NEWS, -77))

    def send() -> None:
        libc.mq_send(queue, b"news")
        libc.mq_send(queue, b"more")

    child = fork(send)
    info = libc.sigtimedwait({NEWS}, DEADLINE)
    assert (info.si_signo, info.si_code, info.si_value) == (NEWS, libc.SI_MESGQ, -77)
    assert (info.si_pid, info.si_uid) == (child.pid, os.getuid())
    child.result()
    drain(queue)
    libc.mq_send(queue, b"told already")
    assert NEWS not in libc.sigpending()


def test_a_notification_can_bear_a_pointer(queue: int, block: Callable[..., object]) -> None:
    block(NEWS)
    libc.mq_notify(queue, libc.Sigevent(libc.SIGEV_SIGNAL, NEWS, pointer=2**64 - 1))
    libc.mq_send(queue, b"news")
    assert libc.sigtimedwait({NEWS}, DEADLINE).si_ptr == 2**64 - 1


def test_who_is_registered_keeps_others_out_until_it_withdraws(queue: int, block: Callable[..., object]) -> None:
    block(NEWS)
    libc.mq_notify(queue, libc.Sigevent(libc.SIGEV_NONE))
    with refused(errno.EBUSY, "a process is registered already"):
        libc.mq_notify(queue, libc.Sigevent(libc.SIGEV_SIGNAL, NEWS))
    libc.mq_notify(queue)
    libc.mq_notify(queue)  # not registered is fine
    libc.mq_notify(queue, libc.Sigevent(libc.SIGEV_SIGNAL, NEWS))
    libc.mq_notify(queue, None)
    libc.mq_send(queue, b"nobody is told")
    assert NEWS not in libc.sigpending()


def test_a_process_that_waits_gets_the_message_and_nobody_is_told(
    queue: int, fork: Fork, gate: Callable[[], Gate], block: Callable[..., object]
) -> None:
    block(NEWS)
    ready = gate()

    def receive() -> tuple[bytes, int]:
        ready.open()
        return libc.mq_receive(queue, MSGSIZE)

    child = fork(receive)
    ready.wait()
    until_blocked(child)
    libc.mq_notify(queue, libc.Sigevent(libc.SIGEV_SIGNAL, NEWS))
    libc.mq_send(queue, b"for the child")
    assert child.result() == (b"for the child", 0)
    assert NEWS not in libc.sigpending()


def test_a_queue_does_not_notify_a_thread(queue: int) -> None:
    with refused(errno.EINVAL, "SIGEV_SIGNAL or SIGEV_NONE"):
        libc.mq_notify(queue, libc.Sigevent(libc.SIGEV_THREAD_ID, NEWS, 0, os.getpid()))
    with pytest.raises(ValueError, match="SIGEV_THREAD is not the kernel's"):
        libc.mq_notify(queue, libc.Sigevent(libc.SIGEV_THREAD, NEWS))


def test_a_descriptor_is_told_of_a_message_or_that_the_registration_is_gone(queue: int) -> None:
    ends: list[tuple[Callable[[], None], int]] = [
        (lambda: libc.mq_send(queue, b"news"), libc.NOTIFY_WOKENUP),
        (lambda: libc.mq_notify(queue), libc.NOTIFY_REMOVED),
        (lambda: libc.mq_close(queue), libc.NOTIFY_REMOVED),
    ]
    for end, code in ends:
        told = libc.mq_notify_fd(queue)
        assert not os.get_inheritable(told)
        with refused(errno.EBUSY, "a process is registered already"):
            libc.mq_notify_fd(queue)
        assert libc.ppoll([(told, select.POLLIN)], 0) == []
        end()
        cookie = os.read(told, libc.NOTIFY_COOKIE_LEN)
        assert (len(cookie), cookie[-1]) == (libc.NOTIFY_COOKIE_LEN, code)
        os.close(told)
        if code == libc.NOTIFY_WOKENUP:
            drain(queue)


@pytest.mark.parametrize("wrong", ["x", None, 1.5, object()])
def test_only_a_descriptor_has_a_queue_to_tell_of(wrong: Any) -> None:
    with pytest.raises(TypeError):
        libc.mq_notify_fd(wrong)
    with pytest.raises(OverflowError):
        libc.mq_notify_fd(2**31)


@pytest.mark.parametrize("signum", [0, 32, 33, 65, -1])
def test_a_queue_sends_only_signals_of_a_program(queue: int, signum: int) -> None:
    with refused(errno.EINVAL, r"mq_notify\("):
        libc.mq_notify(queue, libc.Sigevent(libc.SIGEV_SIGNAL, signum))


@pytest.mark.parametrize("wrong", [0, "x", object()])
def test_only_a_sigevent_is_an_event(queue: int, wrong: Any) -> None:
    with pytest.raises(TypeError, match="sevp is a Sigevent"):
        libc.mq_notify(queue, wrong)
