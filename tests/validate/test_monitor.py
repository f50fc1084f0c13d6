"""The monitor against brute force on small frames, and its manners."""

from __future__ import annotations

import threading
from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.errors import BadInput, ClauseRefused, UsageError
from comity.validate.isolation import RowSpace, random_prime
from comity.validate.monitor import Monitor


def reduced(rows: list[list[int]]) -> list[list[Fraction]]:
    """Row echelon form over the rationals."""
    work = [[Fraction(value) for value in row] for row in rows]
    basis: list[list[Fraction]] = []
    for row in work:
        for kept in basis:
            lead = next(at for at, value in enumerate(kept) if value)
            if row[lead]:
                factor = row[lead] / kept[lead]
                row = [a - factor * b for a, b in zip(row, kept, strict=True)]
        if any(row):
            basis.append(row)
    return basis


def spans(basis: list[list[Fraction]], target: list[int]) -> bool:
    return len(reduced([*basis, [Fraction(value) for value in target]])) == len(basis)  # type: ignore[list-item]


def indicators(groupings: list[np.ndarray]) -> list[list[int]]:
    return [
        (grouping == group).astype(int).tolist()
        for grouping in groupings
        for group in np.unique(grouping[grouping >= 0])
    ]


def determined_set(groupings: list[np.ndarray], records: int, below: int) -> bool:
    """Whether any set of fewer than `below` records has its sum determined: all subsets, rational algebra."""
    basis = reduced(indicators(groupings))
    return any(
        spans(basis, [int(at in chosen) for at in range(records)])
        for size in range(1, below)
        for chosen in combinations(range(records), size)
    )


def some_groupings(records: int) -> st.SearchStrategy[list[np.ndarray]]:
    one = st.lists(st.integers(-1, 3), min_size=records, max_size=records).map(np.array)
    return st.lists(one, min_size=1, max_size=4)


@settings(max_examples=150, deadline=None)
@given(st.integers(4, 7).flatmap(lambda n: st.tuples(st.just(n), some_groupings(n))), st.integers(2, 3))
def test_refuses_exactly_what_brute_force_finds(case: tuple[int, list[np.ndarray]], minimum: int) -> None:
    """Up to minimum 3 a small set is one kind of records or two: the monitor and brute force agree."""
    records, groupings = case
    monitor = Monitor(range(records), minimum=minimum)
    answered: list[np.ndarray] = []
    for grouping in groupings:
        expected = determined_set([*answered, grouping], records, minimum)
        try:
            monitor.admit(np.where(grouping < 0, np.nan, grouping).tolist())
        except ClauseRefused:
            assert expected
        else:
            assert not expected
            answered.append(grouping)
    assert len(monitor.admitted) <= len(answered)


@settings(max_examples=60, deadline=None)
@given(st.integers(8, 12).flatmap(lambda n: st.tuples(st.just(n), some_groupings(n))))
def test_a_refusal_is_never_a_false_alarm(case: tuple[int, list[np.ndarray]]) -> None:
    records, groupings = case
    monitor = Monitor(range(records), minimum=4)
    answered: list[np.ndarray] = []
    for grouping in groupings:
        try:
            monitor.admit_all([grouping])
            answered.append(grouping)
        except ClauseRefused:
            assert determined_set([*answered, grouping], records, 4)


@settings(max_examples=60, deadline=None)
@given(st.integers(3, 9).flatmap(lambda n: st.tuples(st.just(n), some_groupings(n))))
def test_row_space_has_the_rational_rank(case: tuple[int, list[np.ndarray]]) -> None:
    records, groupings = case
    assert RowSpace(records).extended(groupings).rank == len(reduced(indicators(groupings)))


def test_a_grouping_has_its_rank_modulo_a_small_prime() -> None:
    """Groups of three records modulo 3: no group's size stands in the way."""
    space = RowSpace(9, prime=3).extended([np.array([0, 0, 0, 1, 1, 1, 2, 2, 2])])
    assert space.rank == 3


def test_primes_are_drawn_afresh() -> None:
    primes = {random_prime() for _ in range(20)}
    assert len(primes) > 15
    assert all(2**29 < prime < 2**30 for prime in primes)


def test_differencing_is_refused() -> None:
    """Everybody, then everybody but one."""
    ids = [f"r{at}" for at in range(100)]
    monitor = Monitor(ids, minimum=10)
    assert monitor.admit([ids]).smallest == 100
    with pytest.raises(ClauseRefused, match="minimum_group"):
        monitor.admit([ids[1:]])
    with pytest.raises(ClauseRefused):
        monitor.admit([ids[5:]])
    assert monitor.admit([ids[:50]]).groups == 1


def test_a_difference_hidden_in_a_partition_is_refused() -> None:
    """The groups of a second grouping inside the first one's leave three records, each of its own kind."""
    ids = list(range(60))
    monitor = Monitor(ids, minimum=5)
    monitor.admit(np.array(ids) % 12)
    monitor.admit({"a": ids[:33], "b": ids[33:]})
    with pytest.raises(ClauseRefused, match="difference"):
        monitor.admit([ids[:15], ids[15:30], ids[30:]])


def test_answers_that_isolate_only_together_are_refused() -> None:
    """A = 0..19, B = 10..29 and C = 0..9 with 20..29: (A + C - B) / 2 tells of 0..9, which nobody asked."""
    monitor = Monitor(range(40), minimum=5)
    for group in (range(20), range(10, 30), [*range(10), *range(20, 30)]):
        monitor.admit([list(group)])
    with pytest.raises(ClauseRefused, match="singles out"):
        monitor.admit([list(range(1, 10))])
    assert monitor.admit([list(range(5))]).smallest == 5


def test_groups_below_the_minimum_are_refused() -> None:
    monitor = Monitor(range(50), minimum=10)
    with pytest.raises(ClauseRefused, match="fewer than 10"):
        monitor.admit(set(range(9)))
    assert not monitor.admitted
    assert monitor.admit(set(range(10))).smallest == 10


def test_small_kinds_of_records_are_no_ground_for_refusing() -> None:
    """Columns of a learner: thousands of records that nobody resembles, none of them determined."""
    rng = np.random.default_rng(3)
    columns = [rng.integers(0, 12, 3000) for _ in range(8)]
    monitor = Monitor(range(3000), minimum=10)
    assert monitor.admit_all(columns).groups == 96
    with pytest.raises(ClauseRefused):
        monitor.admit(columns[0] * 144 + columns[1] * 12 + columns[2])


def test_repeats_change_nothing() -> None:
    monitor = Monitor(range(40), minimum=10)
    groups = np.repeat([0, 1], 20)
    for _ in range(3):
        monitor.admit(groups)
        monitor.admit(1 - groups)
    assert len(monitor.admitted) == 1


def test_state_survives_by_replay() -> None:
    ids = list(range(100))
    first = Monitor(ids, minimum=10)
    first.admit([ids])
    second = Monitor(ids, minimum=10, admitted=first.admitted)
    with pytest.raises(ClauseRefused):
        second.admit([ids[1:]])


def test_a_refused_set_of_groupings_leaves_no_trace() -> None:
    monitor = Monitor(range(40), minimum=10)
    with pytest.raises(ClauseRefused):
        monitor.admit_all([np.repeat([0, 1], 20), np.repeat([0, 1], [5, 35])])
    assert not monitor.admitted


@pytest.mark.parametrize(
    "groups",
    [
        {"a": range(20), "b": range(20, 40)},
        [list(range(20)), list(range(20, 40))],
        [np.arange(20), np.arange(20, 40)],
        np.repeat([7, 3], 20),
        ["low"] * 20 + ["high"] * 20,
        [1.0] * 20 + [2.0] * 20,
    ],
)
def test_one_grouping_in_every_form(groups: object) -> None:
    monitor = Monitor(range(40), minimum=10)
    assert monitor.admit(groups).groups == 2
    assert monitor.admitted[0].tolist() == [0] * 20 + [1] * 20


def test_masks_and_missing_groups() -> None:
    monitor = Monitor(range(40), minimum=10)
    assert monitor.admit(np.arange(40) < 15).groups == 1
    assert Monitor(range(40), minimum=10).admit([None] * 20 + ["x"] * 20).groups == 1


@pytest.mark.parametrize("groups", [[[1, 2], [2, 3]], [[1, 99]], {"a": [1, 1]}, [1, 2, 3], np.zeros((2, 3))])
def test_groups_that_do_not_fit_the_frame(groups: object) -> None:
    with pytest.raises(BadInput):
        Monitor(range(40), minimum=1).admit(groups)


def test_minimum_out_of_range() -> None:
    with pytest.raises(UsageError):
        Monitor(range(3), minimum=0)


def test_threads_cannot_difference_between_them() -> None:
    """Of two questions that together single out a record exactly one passes, whichever comes first."""
    ids = list(range(200))
    for _ in range(10):
        monitor, outcomes = Monitor(ids, minimum=10), []

        def ask(group: list[int], monitor: Monitor = monitor, outcomes: list[bool] = outcomes) -> None:
            try:
                monitor.admit([group])
                outcomes.append(True)
            except ClauseRefused:
                outcomes.append(False)

        threads = [threading.Thread(target=ask, args=(group,)) for group in (ids, ids[1:])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [False, True]


def test_a_monitor_that_starts_with_admitted_groupings_goes_on_from_there() -> None:
    first = Monitor(range(60), minimum=10)
    halves, thirds = np.arange(60) // 30, np.arange(60) // 20
    first.admit(halves)
    second = Monitor(range(60), minimum=10, admitted=first.admitted)
    assert second.admit(thirds) == first.admit(thirds)
    assert all(np.array_equal(a, b) for a, b in zip(first.admitted, second.admitted, strict=True))
