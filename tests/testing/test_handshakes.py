"""unixipc.testing: words between parent and child, gates and barriers."""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from threading import BrokenBarrierError
from typing import TYPE_CHECKING, Any

import pytest
from until import until

from unixipc import libc, processes, testing
from unixipc.testing import DEADLINE, gates

if TYPE_CHECKING:
    from collections.abc import Callable

SHORT = 0.1
untyped: Any = testing


# -- words --


def test_parent_and_child_take_turns() -> None:
    def child() -> list[str]:
        parent = testing.parent()
        parent.tell("ready")
        parent.says("go")
        parent.tell("done")
        return [parent.hear(), parent.hear()]

    with testing.fork(child) as started:
        started.says("ready")
        started.tell("go")
        started.says("done")
        started.tell("one")
        started.tell("two")
        assert started.result() == ["one", "two"]


@pytest.mark.parametrize(
    "word",
    ["", " ", "\0", "a\nb\0c", "\udcff", "ready", "\N{SNOWMAN}" * 1000, "x" * (1 << 16)],
    ids=["empty", "space", "NUL", "lines", "surrogate", "plain", "not ASCII", "longest"],
)
def test_a_word_of_any_content_arrives_as_it_was(word: str) -> None:
    def echoes() -> None:
        testing.parent().tell(testing.parent().hear())

    with testing.fork(echoes) as child:
        child.tell(word)
        child.says(word)
        child.result()


def test_what_is_no_word_is_refused_on_both_sides() -> None:
    def refuses(end: Any) -> None:
        for call in (end.tell, end.says):
            with pytest.raises(ValueError, match="a word has at most 65536 bytes, not 65537"):
                call("x" * ((1 << 16) + 1))
            for wrong in (b"ready", None, 5):
                with pytest.raises(TypeError, match="a word is a str"):
                    call(wrong)

    with testing.fork(lambda: refuses(testing.parent())) as child:
        refuses(child)
        child.result()


def test_no_word_is_lost_however_many_and_whenever_the_child_ends() -> None:
    def says() -> None:
        for number in range(2000):
            testing.parent().tell(f"{number}")

    with testing.fork(says) as child:
        for number in range(2000):
            child.says(f"{number}")
        child.result()

    with testing.fork(lambda: testing.parent().tell("last words")) as child:
        child.wait()
        child.says("last words")
        with pytest.raises(testing.HandshakeError, match=r"child \d+ came to its end before it had said 'more'"):
            child.says("more")


def test_another_word_is_an_error_that_quotes_both() -> None:
    with testing.fork(lambda: testing.parent().tell("steady")) as child:
        with pytest.raises(testing.HandshakeError, match=r"child \d+ was to say 'ready', but it said 'steady'"):
            child.says("ready")
        child.result()

    with testing.fork(lambda: testing.parent().says("go")) as child:
        child.tell("stop")
        with pytest.raises(testing.HandshakeError, match="the parent was to say 'go', but it said 'stop'"):
            child.result()


def test_a_long_word_is_quoted_in_part() -> None:
    with testing.fork(lambda: testing.parent().tell("x" * 5000)) as child:
        with pytest.raises(testing.HandshakeError, match=r"it said 'x{200}'\.\.\. \(5000 characters\)$"):
            child.says("ready")
        child.result()


def raises_key_error() -> None:
    raise KeyError("not this time")


def test_a_child_that_ends_instead_of_speaking_says_how() -> None:
    with testing.fork(raises_key_error) as child, pytest.raises(KeyError, match="not this time") as raised:
        child.says("ready")
    assert "In child" in raised.value.__notes__[0]
    with testing.fork(os.abort) as child, pytest.raises(testing.CrashError, match="SIGABRT"):
        child.says("ready")
    with testing.fork(os.getpid) as child, pytest.raises(testing.HandshakeError, match="before it had said 'ready'"):
        child.says("ready")


def test_a_child_that_ended_cannot_be_told_anything() -> None:
    with testing.fork(os.getpid) as child:
        child.wait()
        with pytest.raises(testing.HandshakeError, match="before it could be told 'go'"):
            child.tell("go")
    with testing.fork(os.abort) as child:
        libc.ppoll([(child.pidfd, 1)], DEADLINE)
        with pytest.raises(testing.CrashError, match="SIGABRT"):
            child.tell("go")


def fills(end: testing.Child[Any] | testing.Parent, timeout: float | None) -> None:
    while True:
        end.tell("x" * 60_000, timeout)


def test_a_child_that_does_not_listen_is_not_waited_for_for_ever() -> None:
    with testing.fork(signal.pause) as child:
        with pytest.raises(TimeoutError, match="has not taken") as raised:
            fills(child, SHORT)
        assert not isinstance(raised.value, testing.DeadlineError)
    with testing.fork(signal.pause, deadline=0.5) as child, pytest.raises(testing.DeadlineError):
        fills(child, None)


def test_a_child_that_closes_its_descriptors_is_said_to_have_closed_the_line() -> None:
    def closes() -> None:
        os.closerange(3, 1000)
        signal.pause()

    with testing.fork(closes) as child, pytest.raises(testing.HandshakeError, match="has closed the line"):
        child.says("ready")


def test_a_grandchild_that_holds_the_line_does_not_hide_the_end_of_the_child() -> None:
    def forks() -> None:
        if not os.fork():
            signal.pause()  # until it is killed with us
        testing.parent().tell("forked")
        os._exit(5)

    with processes.subreaper() as orphans:
        with testing.fork(forks) as child:
            child.says("forked")
            with pytest.raises(testing.CrashError, match="exited with status 5"):
                child.says("ready")
        orphans.kill()
        orphans.reap(DEADLINE)


def test_siblings_do_not_hold_each_other_s_lines() -> None:
    def waits() -> str:
        with pytest.raises(testing.HandshakeError, match="closed the line"):
            testing.parent().hear()
        return "seen"

    # The first one's line must come to its end though the second one, forked later, lives on.
    def parent_of_both() -> None:
        first = testing.fork(waits)
        with testing.fork(signal.pause):
            assert first._equipment is not None
            first._equipment.line.close()
            assert first._report is not None
            assert libc.ppoll([(first.pidfd, 1)], DEADLINE)
            first.close()

    with testing.fork(parent_of_both) as outer:
        outer.result()


def test_a_parent_that_dies_in_the_middle_takes_its_child_along() -> None:
    reads, writes = libc.pipe(libc.O_CLOEXEC)

    def parent() -> None:
        def child() -> None:
            testing.parent().tell("ready")
            testing.parent().says("never")

        inner = testing.fork(child)
        inner.says("ready")
        os.write(writes, f"{inner.pid}".encode())
        os.kill(os.getpid(), libc.SIGKILL)

    with processes.subreaper() as orphans:
        with testing.fork(parent) as outer, pytest.raises(testing.CrashError, match="SIGKILL"):
            outer.result()
        assert os.read(reads, 20)
        orphans.reap(DEADLINE)
    os.close(reads)
    os.close(writes)


def test_only_a_child_of_testing_fork_has_a_parent_to_speak_to() -> None:
    with pytest.raises(RuntimeError, match=r"is no child of testing\.fork"):
        testing.parent()

    def forks() -> int:
        pid = os.fork()
        if not pid:
            try:
                testing.parent()
            except RuntimeError:
                os._exit(7)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    with testing.fork(forks) as child:
        assert child.result() == 7


def test_the_child_of_another_process_can_be_neither_told_nor_heard() -> None:
    with testing.fork(signal.pause) as child:

        def meddles() -> None:
            calls: list[Callable[[], object]] = [
                lambda: child.tell("x"),
                lambda: child.says("x"),
                child.wait,
                child.result,
            ]
            for call in calls:
                with pytest.raises(ChildProcessError, match="can neither wait for it nor end it"):
                    call()
            assert child.overlooked() is None

        with testing.fork(meddles) as other:
            other.result()


def test_a_wait_of_the_child_has_a_timeout_if_it_wants_one() -> None:
    def waits() -> None:
        with pytest.raises(TimeoutError, match="the parent has not said a word within 0 seconds"):
            testing.parent().says("go", timeout=0)
        with pytest.raises(TimeoutError, match="the parent has not taken"):
            fills(testing.parent(), 0)

    with testing.fork(waits) as child:
        child.result()


def test_a_signal_does_not_end_a_wait_for_a_word(request: pytest.FixtureRequest) -> None:
    def child() -> None:
        os.kill(os.getppid(), libc.SIGUSR1)
        testing.parent().says("handled")
        testing.parent().tell("ready")

    started: testing.Child[None]
    before = libc.sigaction(libc.SIGUSR1)
    libc.signal(libc.SIGUSR1, lambda _: started.tell("handled"))
    request.addfinalizer(lambda: libc.sigaction(libc.SIGUSR1, before))
    mask = libc.sigprocmask(libc.SIG_BLOCK, {libc.SIGUSR1})
    with testing.fork(child) as started:
        libc.sigprocmask(libc.SIG_SETMASK, mask)
        started.says("ready")
        started.result()


# -- gates --


def test_a_gate_lets_as_many_through_as_it_was_opened_for() -> None:
    with testing.Gate() as gate, testing.Gate() as passed, ExitStack() as stack:

        def waits() -> None:
            gate.wait()
            passed.open()

        children = [stack.enter_context(testing.fork(waits)) for _ in range(5)]
        gate.open(3)
        for _ in range(3):
            passed.wait()
        with pytest.raises(TimeoutError, match=r"nobody opened the gate within 0\.1 seconds"):
            passed.wait(SHORT)
        gate.open()
        gate.open()
        for child in children:
            child.result()
        with pytest.raises(TimeoutError):
            gate.wait(0)


def test_a_gate_that_is_open_lets_through_at_once() -> None:
    with testing.Gate() as gate:
        gate.open()
        gate.wait(0)


def test_a_gate_refuses_what_is_no_count_and_what_comes_after_its_end() -> None:
    with testing.Gate() as gate:
        for wrong in (-1, 2**32, 2**64):
            with pytest.raises(ValueError, match="a gate lets"):
                gate.open(wrong)
        with pytest.raises(TypeError):
            untyped.Gate.open(gate, "1")
    gate.close()
    for call in (gate.open, gate.wait):
        with pytest.raises(ValueError, match="the gate is closed"):
            call()


def test_a_gate_that_is_dropped_open_is_told() -> None:
    with pytest.warns(ResourceWarning, match="was never closed"):
        testing.Gate()
    with pytest.warns(ResourceWarning, match="was never closed"):
        testing.Barrier(1)


# -- barriers --


def test_nobody_passes_a_barrier_before_all_have_come_again_and_again() -> None:
    rounds, parties = 50, 4
    with testing.Barrier(parties) as barrier, ExitStack() as stack:
        counter = libc.mmap(None, 4096, libc.PROT_READ | libc.PROT_WRITE, libc.MAP_SHARED | libc.MAP_ANONYMOUS)

        def comes(mine: int) -> list[int]:
            places = []
            with memoryview(counter) as seen:
                for number in range(rounds):
                    seen[mine] = number
                    places.append(barrier.wait())
                    assert all(seen[other] >= number for other in range(parties))
            return places

        children = [stack.enter_context(testing.fork(comes, mine)) for mine in range(parties)]
        all_places = [child.result() for child in children]
        for number in range(rounds):
            assert sorted(places[number] for places in all_places) == list(range(parties))
        libc.munmap(counter)


def test_threads_meet_at_a_barrier_too() -> None:
    def child() -> list[int]:
        with testing.Barrier(3) as barrier:
            places = list[int]()
            threads = [threading.Thread(target=lambda: places.append(barrier.wait())) for _ in range(2)]
            for thread in threads:
                thread.start()
            places.append(barrier.wait())
            for thread in threads:
                thread.join()
            return sorted(places)

    with testing.fork(child) as started:
        assert started.result() == [0, 1, 2]


def test_a_barrier_where_somebody_is_missing_times_out_breaks_and_names_who_came() -> None:
    with testing.Barrier(3) as barrier, testing.fork(barrier.wait) as child:
        with pytest.raises(
            TimeoutError, match=r"of 3 parties came to the barrier within 0\.3 seconds: processes"
        ) as raised:
            barrier.wait(0.3)
        assert str(os.getpid()) in str(raised.value)
        with pytest.raises(BrokenBarrierError, match=f"process {os.getpid()} went away: TimeoutError"):
            child.result()
        with pytest.raises(BrokenBarrierError):
            barrier.wait()


def test_a_party_that_died_while_it_waited_breaks_the_barrier() -> None:
    with testing.Barrier(2) as barrier:

        def has_come(pid: int) -> bool:
            with barrier._state() as state:
                return pid in state.get()[2]

        with testing.fork(barrier.wait) as child:
            until(lambda: has_come(child.pid))
            child.kill()
            child.wait()
        with pytest.raises(BrokenBarrierError, match=f"process {child.pid} ended while it waited"):
            barrier.wait()


def test_an_exception_of_a_handler_breaks_the_barrier_for_the_others() -> None:
    class InterruptingError(Exception):
        pass

    def raises(_: int) -> None:
        raise InterruptingError

    with testing.Barrier(3) as barrier, testing.Barrier(2) as both:

        def comes() -> None:
            both.wait()
            with pytest.raises(BrokenBarrierError, match="went away: InterruptingError"):
                barrier.wait()

        def is_interrupted() -> None:
            libc.signal(libc.SIGALRM, raises)
            both.wait()
            with pytest.raises(InterruptingError):
                interrupted_soon()

        def interrupted_soon() -> None:
            libc.setitimer(libc.ITIMER_REAL, libc.Itimerspec(0.0, 0.2))
            barrier.wait()

        with testing.fork(comes) as first, testing.fork(is_interrupted) as second:
            second.result()
            first.result()


def test_an_exception_of_a_handler_as_a_party_comes_breaks_the_barrier(monkeypatch: pytest.MonkeyPatch) -> None:
    class InterruptingError(Exception):
        pass

    def has_come(state: gates._State, *content: Any) -> None:
        monkeypatch.undo()
        state.set(*content)
        raise InterruptingError

    with testing.Barrier(2) as barrier:
        monkeypatch.setattr(gates._State, "set", has_come)
        with pytest.raises(InterruptingError):
            barrier.wait()
        with pytest.raises(BrokenBarrierError, match="went away: InterruptingError"):
            barrier.wait()


def test_too_many_parties_wait_for_a_round_of_their_own() -> None:
    with testing.Barrier(2) as barrier, ExitStack() as stack:
        children = [stack.enter_context(testing.fork(barrier.wait)) for _ in range(3)]
        pidfds = [child.pidfd for child in children]
        until(lambda: len(select.select(pidfds, [], [], DEADLINE)[0]) == 2)
        with pytest.raises(TimeoutError):
            next(child for child in children if not select.select([child.pidfd], [], [], 0)[0]).wait(SHORT)
        assert barrier.wait() == 1
        assert sorted(child.result() for child in children) == [0, 0, 1]


def test_a_barrier_refuses_what_is_no_number_of_parties() -> None:
    for wrong in (0, -1, 2**17, 2**64):
        with pytest.raises(ValueError, match="a barrier is for 1 to"):
            testing.Barrier(wrong)
    with pytest.raises(TypeError):
        untyped.Barrier("2")
    with testing.Barrier(1) as alone:
        assert [alone.wait(0) for _ in range(3)] == [0, 0, 0]
    with pytest.raises(ValueError, match="the barrier is closed"):
        alone.wait()


def test_500_children_leave_no_descriptor_and_no_zombie() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for number in range(500):
        with testing.fork(str, number) as child:
            assert child.result() == str(number)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
