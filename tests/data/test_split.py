"""Splits: a function of the seed, without overlap, with both classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import hold_out, parts, seed_rows
from comity.data.split import hold_out_people
from comity.errors import BadTable, UsageError

LABELS = st.lists(st.integers(0, 1), min_size=1, max_size=200).map(np.array)


@given(LABELS, st.integers(0, 9), st.floats(0.05, 0.95))
def test_hold_out_is_stratified_and_complete(labels: np.ndarray, seed: int, share: float) -> None:
    train, test = hold_out(labels, seed=seed, share=share)
    assert sorted([*train, *test]) == list(range(len(labels)))
    for level in np.unique(labels):
        rows = int((labels == level).sum())
        held = int((labels[test] == level).sum())
        assert abs(held - share * rows) <= 1
        if rows > 1:
            assert 0 < held < rows
    again = hold_out(labels, seed=seed, share=share)
    assert np.array_equal(train, again[0])
    assert np.array_equal(test, again[1])


@given(LABELS, st.integers(0, 9), st.integers(1, 30))
def test_people_are_held_out_whole_and_stratified(labels: np.ndarray, seed: int, most: int) -> None:
    people = [int(one) for one in np.random.default_rng(seed).integers(0, most, len(labels))]
    train, test = hold_out_people(labels, people, seed=seed)
    assert sorted([*train, *test]) == list(range(len(labels)))
    assert {people[row] for row in train}.isdisjoint(people[row] for row in test)
    ill = {person for person, label in zip(people, labels, strict=True) if label}
    for kind in (ill, set(people) - ill):
        held = len({people[row] for row in test} & kind)
        assert abs(held - 0.2 * len(kind)) <= 1
        if len(kind) > 1:
            assert 0 < held < len(kind)


@given(LABELS, st.integers(0, 9))
def test_people_of_one_row_each_are_drawn_as_rows(labels: np.ndarray, seed: int) -> None:
    drawn = hold_out_people(labels, [f"p{row}" for row in range(len(labels))], seed=seed, stream=2)
    for one, other in zip(drawn, hold_out(labels, seed=seed, stream=2), strict=True):
        assert np.array_equal(one, other)


def test_providers_and_seeds_do_not_share_draws() -> None:
    labels = np.arange(1000) % 2
    first = hold_out(labels, seed=1)[1]
    assert len(first) == 200
    assert not np.array_equal(first, hold_out(labels, seed=2)[1])
    assert not np.array_equal(first, hold_out(labels, seed=1, stream=1)[1])


def test_a_share_out_of_range_is_refused() -> None:
    for share in (0.0, 1.0):
        with pytest.raises(UsageError, match="between 0 and 1"):
            hold_out(np.array([0, 1]), seed=0, share=share)


@given(st.lists(LABELS, min_size=1, max_size=4), st.integers(2, 20), st.integers(0, 9))
def test_seed_rows_come_from_all_and_have_both_classes(
    labels: list[np.ndarray], count: int, seed: int
) -> None:
    together = np.concatenate(labels)
    if len(together) <= count or len(np.unique(together)) < 2:
        with pytest.raises(BadTable):
            seed_rows(labels, seed=seed, count=count)
        return
    chosen = seed_rows(labels, seed=seed, count=count)
    assert sum(len(rows) for rows in chosen) == count
    for rows, own in zip(chosen, labels, strict=True):
        assert len(np.unique(rows)) == len(rows)
        assert ((rows >= 0) & (rows < len(own))).all()
        assert (np.diff(rows) > 0).all()
    values = np.concatenate([own[rows] for own, rows in zip(labels, chosen, strict=True)])
    assert set(values.tolist()) == {0, 1}
    again = seed_rows(labels, seed=seed, count=count)
    assert all(np.array_equal(one, two) for one, two in zip(chosen, again, strict=True))


@given(st.lists(LABELS, min_size=1, max_size=4), st.integers(2, 20), st.integers(0, 9), st.integers(1, 5))
def test_seed_rows_are_of_as_few_people_as_can_be(
    labels: list[np.ndarray], count: int, seed: int, rows_each: int
) -> None:
    together = np.concatenate(labels)
    if len(together) <= count or len(np.unique(together)) < 2:
        return
    alone = [[(part, row) for row in range(len(own))] for part, own in enumerate(labels)]
    single = seed_rows(labels, seed=seed, count=count, people=alone)
    plain = seed_rows(labels, seed=seed, count=count)
    assert all(np.array_equal(one, two) for one, two in zip(single, plain, strict=True))
    people = [[(part, row // rows_each) for row in range(len(own))] for part, own in enumerate(labels)]
    chosen = seed_rows(labels, seed=seed, count=count, people=people)
    taken = [people[part][row] for part, rows in enumerate(chosen) for row in rows]
    sizes = {one: sum(each == one for own in people for each in own) for one in set(taken)}
    # all but two have every row of theirs chosen: the last one, and one brought in for its class
    assert sum(taken.count(one) < sizes[one] for one in sizes) <= 2


def test_a_single_rare_row_is_found() -> None:
    labels = np.zeros(5000, dtype=int)
    labels[4321] = 1
    chosen = seed_rows([labels], seed=0)[0]
    assert len(chosen) == 200
    assert 4321 in chosen


def test_too_few_seed_rows() -> None:
    with pytest.raises(UsageError, match="at least 2"):
        seed_rows([np.array([0, 1])], seed=0, count=1)


@given(st.integers(60, 300), st.lists(st.floats(0.5, 3), min_size=1, max_size=5), st.integers(0, 5))
def test_parts_are_disjoint_and_complete(rows: int, shares: list[float], seed: int) -> None:
    dealt = parts(rows, shares, seed=seed)
    assert sorted(np.concatenate(dealt).tolist()) == list(range(rows))
    for share, own in zip(shares, dealt, strict=True):
        assert abs(len(own) - rows * share / sum(shares)) <= 1
    assert all(
        np.array_equal(one, two) for one, two in zip(dealt, parts(rows, shares, seed=seed), strict=True)
    )


def test_parts_that_cannot_be() -> None:
    with pytest.raises(UsageError, match="positive share"):
        parts(10, [1, 0], seed=0)
    with pytest.raises(UsageError, match="too few"):
        parts(2, [1, 1, 1], seed=0)
