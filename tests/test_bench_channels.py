"""bench.channels and bench.measuring: every channel carries messages in all loops, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from bench import channels, compiling, stints
from bench.channels import Side, files, libraries, memory, pipes, queues, sockets, workshop
from bench.channels.loops import C, ChannelInC
from bench.channels.mechanism import Functions
from bench.measuring import QUICK, Call, Plan, measure
from bench.records import Kind, Row
from bench.stints import Stint, forked, here

import unixipc.pipes
import unixipc.sockets
from unixipc import libc, testing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.channels import Channel, Workshop

    from unixipc.testing.plugin import Fork

pytestmark = pytest.mark.slow

SIZES = 1, 64, 1024, 8192, 65536, 1 << 20
DISK = Path("/var/tmp")  # noqa: S108 - where workshops have their folders
PLAN = Plan(rounds=2, milliseconds=0.1, sizes=(64,), cores=(1, 2), only="FIFO")


def rows() -> dict[str, tuple[list[Row], Side]]:
    """All rows of one core, those of each side and kind together."""
    found: dict[str, tuple[list[Row], Side]] = {}
    with workshop():
        known = list(channels.mechanisms())
    for each in known:
        for side in each.sides:
            for kind in Kind:
                sizes = [size for size in (0, *SIZES) if size in each.sizes and side.carries(kind, size)]
                if sizes:
                    made = [Row(kind, each.name, side.name, size, 1) for size in sizes]
                    found[f"{kind}, {each.name}, {side.name}"] = made, side
    return found


ROWS = rows()
CALLS = {name: found for name, found in ROWS.items() if found[0][0].kind is Kind.CALL and found[0][-1].size}


def folders() -> list[Path]:
    return list(DISK.glob(f"unixipc-bench-{os.getpid()}-*"))


@pytest.fixture(autouse=True)
def _disk() -> Iterator[None]:
    """See that no file is left on the disk, which the leak check does not look at."""
    yield
    assert folders() == []


# -- the channels --


@pytest.mark.parametrize("name", ROWS)
def test_a_channel_does_a_few_turns_with_messages_of_every_size(name: str) -> None:
    made, side = ROWS[name]
    for row in made:
        each = row.kind is Kind.ROUND_TRIP
        step = 1 if each else side.loops.step
        taken = forked(row, side, Stint(0, turns=3 * step, step=step, each=each))
        assert taken.turns == 3 * step
        assert taken.nanoseconds > 0
        assert (taken.tail is not None) == each


def carries(sends: Channel, receives: Channel, size: int) -> None:
    message = os.urandom(size)
    sends.send(message)
    received = receives.receive()
    assert message in received if isinstance(received, tuple) else message == received


def exchange(channel: Any, size: int) -> None:
    if hasattr(channel, "enter"):
        channel.enter(os.getpid(), os.getpid())
    for _ in range(10):  # more than a ring has slots
        carries(channel, channel, size)


@pytest.mark.parametrize("name", CALLS)
def test_a_channel_gives_what_was_sent(name: str, fork: Fork) -> None:
    made, side = CALLS[name]
    for row in made:
        with workshop() as shop:
            fork(exchange, side.open(shop, row.size), row.size).result()


Pair: TypeAlias = "tuple[Channel, Channel]"


def queue(family: str, shop: Workshop, size: int, patch: pytest.MonkeyPatch) -> Pair:
    made = getattr(queues, f"_{family}")(shop, size)
    patch.setattr(queues, f"_{family}", lambda *_: made)
    return made, getattr(queues, f"_{family}_in_c")(shop, size)


def ring(family: str, shop: Workshop, size: int, patch: pytest.MonkeyPatch) -> Pair:
    objects = getattr(memory, f"_{family}_objects")(shop, size)
    patch.setattr(memory, f"_{family}_objects", lambda *_: objects)
    return getattr(memory, f"_{family}")(shop, size), getattr(memory, f"_{family}_in_c")(shop, size)


def pipe(family: str, shop: Workshop, size: int, patch: pytest.MonkeyPatch) -> Pair:
    made = unixipc.pipes.pipe()
    ours, in_c, _ = pipes._sides(lambda _: made, lambda _: (-1, -1))
    return ours.open(shop, size), in_c.open(shop, size)


def file(family: str, shop: Workshop, size: int, patch: pytest.MonkeyPatch) -> Pair:
    place = files.place(shop)
    return files.log(place, libc.write, libc.read, size), ChannelInC(shop, "written", size, *place)


def socket_pair(family: str, shop: Workshop, size: int, patch: pytest.MonkeyPatch) -> Pair:
    kind = getattr(socket, family)
    made = unixipc.sockets.pair(kind)
    patch.setattr(unixipc.sockets, "pair", lambda _: made)
    ours, in_c, _ = sockets._sides(kind)
    return ours.open(shop, size), in_c.open(shop, size)


@pytest.mark.parametrize(
    ("shared", "family"),
    [
        *((shared, family) for shared in (queue, ring) for family in ("system_v", "posix")),
        (pipe, ""),
        (file, ""),
        *((socket_pair, family) for family in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET")),
    ],
)
def test_c_and_ours_understand_each_other(
    shared: Callable[..., Pair], family: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = 1000
    with workshop() as shop:
        ours, in_c = shared(family, shop, size, monkeypatch)
        for _ in range(2):
            if shared is not ring:  # of which each end counts slots for itself
                carries(in_c, ours, size)
            carries(ours, in_c, size)


def test_the_sides_of_what_is_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    for family in (channels, queues, memory, libraries):
        monkeypatch.setattr(family, "peer", lambda _: None)
    assert channels.absent() == ["sysv_ipc", "posix_ipc", "pyzmq", "faster-fifo"]
    names = {side.name for each in channels.mechanisms() for side in each.sides}
    assert {"unixipc", "C", "multiprocessing.Queue"} < names
    assert not {"sysv_ipc", "posix_ipc", "pyzmq", "faster-fifo"} & names


def test_ours_come_first_and_then_c() -> None:
    for each in channels.mechanisms():
        names = [side.name.split(",")[0] for side in each.sides]
        assert names == sorted(names, key=lambda name: {"unixipc": 0, "C": 1}.get(name, 2))


def test_the_c_side_compiles_without_a_warning() -> None:
    gcc = shutil.which("gcc")
    assert gcc is not None
    flags = ["-std=c11", "-O2", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall", "-Wextra", "-Wconversion", "-Wshadow"]
    sources = list((compiling.SOURCES / "channels").glob("*.c"))
    assert sources
    assert subprocess.run([gcc, *flags, *sources], check=False, capture_output=True, text=True).stderr == ""


# -- a row in a round --


def side(receive: Callable[[], object]) -> Side:
    return Side("strange", lambda *_: Functions(lambda _: None, receive))


def row(kind: Kind) -> Row:
    return Row(kind, "nothing", "strange", 1, 1)


@pytest.mark.parametrize("kind", Kind)
def test_a_row_that_hangs_is_named(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stints, "DEADLINE", 0.2)
    with pytest.raises(TimeoutError, match="not done within") as raised:
        forked(row(kind), side(signal.pause), Stint(0))
    assert f"{kind}, nothing, strange, 1 bytes" in raised.value.__notes__[-1]


def test_a_call_that_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stints, "DEADLINE", 0.2)
    with pytest.raises(TimeoutError, match="not done within") as raised:
        here(row(Kind.CALL), lambda _: signal.pause(), Stint(0))
    assert "call, nothing, strange, 1 bytes" in raised.value.__notes__[-1]


@pytest.mark.parametrize("kind", Kind)
def test_what_a_process_raises_comes_out_and_names_the_row(kind: Kind) -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        forked(row(kind), side(lambda: 1 // 0), Stint(0))
    assert f"{kind}, nothing, strange, 1 bytes" in raised.value.__notes__[-1]


def test_an_error_in_c_is_an_oserror() -> None:
    with workshop() as shop:
        channel = ChannelInC(shop, "system_v_queue", 1, -1)
        with pytest.raises(OSError, match="the C side: Invalid argument"):
            C.produce(channel, None, 1)


def moments(turns: int, times: int = 1000) -> tuple[int, int]:
    return 0, turns * times


def test_the_turns_are_found_that_take_the_time_wanted() -> None:
    assert Stint(1_000_000).taken(moments).turns == 1000
    assert Stint(1_000_000, step=64).taken(moments).turns == 1000 // 64 * 64
    assert Stint(1_000_000, most=100).taken(moments).turns == 100
    assert Stint(1).taken(moments).turns == 1
    assert Stint(1_000_000, turns=7).taken(moments) == (7, 1000.0, None)


def test_one_disturbance_does_not_shorten_a_row() -> None:
    disturbances = iter([0, 0, 10_000_000])

    def run(turns: int) -> tuple[int, int]:
        start, end = moments(turns)
        return start, end + next(disturbances, 0)

    assert Stint(1_000_000).taken(run).turns == 1000


def test_of_round_trips_the_median_and_the_99th_percentile_are_told() -> None:
    def run(turns: int) -> list[int]:
        ends = [0]
        for turn in range(turns):
            ends.append(ends[-1] + (1000 if turn % 50 == 0 else 10))
        return ends

    assert Stint(0, turns=1000, each=True).taken(run) == (1000, 10, 1000)


# -- the whole --


def test_a_plan_is_measured_in_rounds_and_told() -> None:
    told: list[tuple[int, int, str]] = []
    ran: list[int] = []
    calls = [Call("FIFO", "a call", 0, ran.append), Call("other", "a call", 0, ran.append)]
    allowed = os.sched_getaffinity(0)
    measured = measure(PLAN, calls, lambda *said: told.append(said))
    cores = 2 if len(allowed) > 1 else 1
    assert os.sched_getaffinity(0) == allowed
    assert {each.row for each in measured} == {
        Row(Kind.CALL, "FIFO", "a call", 0, 1),
        *(Row(Kind.CALL, "FIFO", name, 64, 1) for name in ("unixipc", "C", "os")),
        *(
            Row(kind, "FIFO", name, 64, core + 1)
            for kind in (Kind.ROUND_TRIP, Kind.THROUGHPUT)
            for name in ("unixipc", "C", "os")
            for core in range(cores)
        ),
    }
    for each in measured:
        assert len(each.values) == PLAN.rounds
        assert len(each.tails) == (PLAN.rounds if each.row.kind is Kind.ROUND_TRIP else 0)
    of = PLAN.rounds * len(measured)
    assert [done for done, _, _ in told] == list(range(of + 1))
    assert {of for _, of, _ in told} == {of}
    assert ran


def test_the_sides_of_one_job_are_neighbours() -> None:
    told: list[str] = []
    measure(replace(PLAN, only="pipe", cores=(1,)), [], lambda *said: told.append(said[2]))
    jobs = [what.split(", ")[:2] for what in told[:-1]]
    changes = sum(before != after for before, after in pairwise(jobs))
    assert changes <= PLAN.rounds * len(Kind) - 1


def interrupted() -> tuple[str, int, list[Path]]:
    parent = testing.parent()

    def progress(done: int, of: int, what: str) -> None:
        if done == 5:
            parent.tell("measuring")

    try:
        measure(replace(QUICK, rounds=100), [], progress)
    except KeyboardInterrupt:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text()
        return children, threading.active_count(), folders()
    return "not interrupted", 0, []


def test_ctrl_c_ends_it_and_leaves_nothing(fork: Fork) -> None:
    child = fork(interrupted)
    child.says("measuring")
    child.kill(signal.SIGINT)
    assert child.result() == ("", 1, [])
