"""libc.SignalSet: sigsetops(3) as an immutable set."""

from __future__ import annotations

import copy
import errno
import itertools
import operator
import pickle
import signal
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unixipc import libc

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

SIGNALS = [signum for signum in range(1, libc.SIGRTMAX + 1) if not libc.SIGSYS < signum < libc.SIGRTMIN]
sets_of_signals = st.frozensets(st.sampled_from(SIGNALS))


def _same(*sets: object) -> bool:
    """Whether all are equal, whatever their types say about it."""
    return all(one == other for one, other in itertools.permutations(sets, 2))


def test_a_set_is_made_of_any_iterable_of_numbers() -> None:
    iterables: list[Iterable[int]] = [[1, 15, 1], (15, 1), {1, 15}, range(1, 16, 14), iter([1, 15]), {1: "", 15: ""}]
    iterables += [libc.SignalSet({1, 15}), (libc.SIGHUP, libc.SIGTERM), (signal.SIGHUP, signal.SIGTERM)]
    for iterable in iterables:
        assert _same(libc.SignalSet(iterable), frozenset({1, 15}))


def test_a_set_without_arguments_is_empty() -> None:
    assert _same(libc.SignalSet(), frozenset())
    assert not libc.SignalSet()
    assert len(libc.SignalSet()) == 0


def test_bits_of_the_mask_are_the_kernel_s() -> None:
    assert libc.SignalSet({libc.SIGHUP}).mask == 1
    assert libc.SignalSet({libc.SIGTERM, libc.SIGRTMAX}).mask == 1 << 14 | 1 << 63


def test_members_come_in_ascending_order_as_signals_where_they_have_names() -> None:
    members = list(libc.SignalSet([libc.SIGRTMIN + 1, libc.SIGTERM, libc.SIGHUP]))
    assert members == [libc.SIGHUP, libc.SIGTERM, libc.SIGRTMIN + 1]
    assert [type(member) for member in members] == [libc.Signal, libc.Signal, int]


def test_names_stand_in_the_repr() -> None:
    assert repr(libc.SignalSet()) == "SignalSet()"
    assert repr(libc.SignalSet({libc.SIGINT})) == "SignalSet({SIGINT})"
    real_time = {libc.SIGRTMIN, libc.SIGRTMIN + 3, libc.SIGRTMAX}
    assert (
        repr(libc.SignalSet(real_time | {2, 10})) == "SignalSet({SIGINT, SIGUSR1, SIGRTMIN, SIGRTMIN+3, SIGRTMIN+30})"
    )


@pytest.mark.parametrize("number", [32, 33, 0, 65, 128, -1, 2**31, 2**64, 10**30, -(10**30)])
def test_a_number_that_is_no_signal_of_ours_is_einval(number: int) -> None:
    with pytest.raises(OSError, match=r"sigaddset\(.*\): Invalid argument") as caught:
        libc.SignalSet({libc.SIGINT, number})
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("number", [32, 33])
def test_a_signal_of_the_c_library_s_is_refused_with_the_reason(number: int) -> None:
    with pytest.raises(OSError, match="the C library reserves this signal for itself"):
        libc.SignalSet({number})


@pytest.mark.parametrize("wrong", [1.0, "SIGINT", b"\x01", None, (), object()])
def test_a_member_that_is_no_integer_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        libc.SignalSet([wrong])


@pytest.mark.parametrize("wrong", [1, None, 2.5, object()])
def test_what_cannot_be_iterated_is_a_type_error(wrong: Any) -> None:
    with pytest.raises(TypeError):
        libc.SignalSet(wrong)


def test_full_has_every_signal_that_a_program_may_use() -> None:
    full = libc.SignalSet.full()
    assert _same(full, frozenset(SIGNALS), signal.valid_signals() - {32, 33})
    assert {libc.SIGKILL, libc.SIGSTOP, libc.SIGRTMIN, libc.SIGRTMAX} <= full
    assert {32, 33}.isdisjoint(full)


def test_from_mask_leaves_out_what_the_c_library_reserves() -> None:
    assert libc.SignalSet.from_mask(1 << 31 | 1 << 32 | 1 << 14) == libc.SignalSet({libc.SIGTERM})
    assert libc.SignalSet.from_mask(2**64 - 1) == libc.SignalSet.full()
    assert libc.SignalSet.from_mask(0) == libc.SignalSet()


def test_what_is_no_signal_is_not_in_the_set() -> None:
    strangers: list[object] = [0, -1, 32, 33, 65, 10**30, "SIGINT", None, 2.5]
    assert not [stranger for stranger in strangers if stranger in libc.SignalSet.full()]


def test_a_set_equals_a_frozenset_and_hashes_like_it() -> None:
    ours, theirs = libc.SignalSet({2, 64}), frozenset({2, 64})
    assert _same(ours, theirs, {2, 64})
    assert hash(ours) == hash(theirs)
    keys: set[object] = {ours, theirs}
    assert len(keys) == 1
    for other in (frozenset({2}), frozenset(), [2, 64], (2, 64), ours.mask, None):
        assert not _same(ours, other)


def test_operators_give_sets_of_signals_on_either_side() -> None:
    ours, theirs = libc.SignalSet({1, 2}), frozenset({2, 3})
    results: list[object] = [ours | theirs, ours & theirs, ours - theirs, ours ^ theirs]
    results += [theirs | ours, theirs & ours, theirs - ours, theirs ^ ours]
    assert results == [{1, 2, 3}, {2}, {1}, {1, 3}, {1, 2, 3}, {2}, {3}, {1, 3}]
    assert {type(result) for result in results} == {libc.SignalSet}


def test_an_operator_cannot_add_what_is_no_signal() -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        libc.SignalSet({1}) | {33}
    with pytest.raises(OSError, match="Invalid argument"):
        libc.SignalSet({1}) ^ {0}
    assert _same(libc.SignalSet({1}) & {1, 33}, libc.SignalSet({1}) - {33}, {1})


@pytest.mark.parametrize("operation", [operator.or_, operator.and_, operator.sub, operator.xor, operator.lt])
def test_an_operator_refuses_what_is_no_set(operation: Callable[[Any, Any], object]) -> None:
    with pytest.raises(TypeError):
        operation(libc.SignalSet({1}), 1)


def test_a_set_survives_copying_and_pickling() -> None:
    full = libc.SignalSet.full()
    assert pickle.loads(pickle.dumps(full)) == copy.deepcopy(full) == copy.copy(full) == full


@given(left=sets_of_signals, right=sets_of_signals, signum=st.integers(-70, 70))
def test_every_operation_agrees_with_frozenset(left: frozenset[int], right: frozenset[int], signum: int) -> None:
    ours, other = libc.SignalSet(left), libc.SignalSet(right)
    assert frozenset(ours) == left
    assert len(ours) == len(left)
    assert bool(ours) == bool(left)
    assert (signum in ours) == (signum in left)
    assert hash(ours) == hash(left)
    assert (ours == other) == (left == right)
    assert ours.isdisjoint(other) == left.isdisjoint(right)
    assert libc.SignalSet.from_mask(ours.mask) == ours
    operations: list[Callable[[Any, Any], object]] = [operator.or_, operator.and_, operator.sub, operator.xor]
    operations += [operator.lt, operator.le, operator.gt, operator.ge]
    for operation in operations:
        assert operation(ours, other) == operation(ours, right) == operation(left, other) == operation(left, right)
