"""Exact sums: as the slow twin has them, and moved by one row or one person by no more than stated."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from comity.errors import UsageError
from comity.statistics.ranks import distances, ranks, snapped
from comity.statistics.sums import Bounded, bin_codes, bounded_sum, counts_by_code, sums_by_code
from comity.statistics.terms import kept_rows

values = st.lists(st.one_of(st.floats(), st.just(float("nan"))), max_size=8)
bounds = st.sampled_from([(0.0, 1.0), (-3.0, 5.5), (17.0, 90.0), (-1e-3, 1e-3), (0.0, 1e9)])


@given(values, bounds, st.sampled_from([None, 0.0]))
def test_one_row_moves_the_sum_by_no_more_than_stated(
    rows: list[float], ends: tuple[float, float], origin: float | None
) -> None:
    bounded = Bounded.around(ends, origin)
    everyone = np.ones(len(rows), dtype=np.bool_)
    total, number = bounded_sum(np.array(rows), everyone, bounded)
    for at in range(len(rows)):
        fewer = np.delete(np.array(rows), at)
        other, others = bounded_sum(fewer, everyone[1:], bounded)
        assert abs(total - other) <= bounded.per_row
        assert 0 <= number - others <= 1


@given(values, bounds)
def test_the_sum_is_that_of_the_slow_twin(rows: list[float], ends: tuple[float, float]) -> None:
    """Within one grid step per value, which is what rounding may take."""
    bounded = Bounded.around(ends, 0.0)
    total, number = bounded_sum(np.array(rows), np.ones(len(rows), dtype=np.bool_), bounded)
    known = [Fraction(min(max(one, ends[0]), ends[1])) for one in rows if one == one]
    assert number == len(known)
    assert abs(total - sum(known, Fraction(0)) * Fraction(bounded.grid.unit)) <= len(known)


@given(st.lists(st.integers(0, 4), max_size=12), st.integers(1, 3))
def test_rows_of_a_person_count_up_to_the_cap(ids: list[int], most: int) -> None:
    kept = kept_rows(ids, len(ids), most)
    seen: dict[int, int] = {}
    for person, counts in zip(ids, kept.tolist(), strict=True):
        seen[person] = seen.get(person, 0) + 1
        assert counts == (seen[person] <= most)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 2), st.integers(-9, 9)), max_size=12),
    st.integers(1, 3),
)
def test_a_person_moves_groups_by_no_more_than_the_cap(rows: list[tuple[int, int, int]], most: int) -> None:
    """In L1, and so in L2; every other person's rows count as before."""
    ids, codes, units = (np.array([row[at] for row in rows], dtype=np.int64) for at in range(3))

    def exact(held: Any) -> tuple[Any, Any]:
        kept = kept_rows(ids[held], int(held.sum()), most)
        return counts_by_code(codes[held], kept, 3), sums_by_code(codes[held], units[held], kept, 3)

    together = exact(np.ones(len(rows), dtype=np.bool_))
    for person in range(4):
        without = exact(ids != person)
        assert np.abs(together[0] - without[0]).sum() <= most
        assert np.abs(together[1] - without[1]).sum() <= 9 * most


@given(st.lists(st.floats(-2, 12), max_size=9), st.integers(1, 999), st.integers(-5000, 5000))
def test_ranks_and_distances_are_those_of_the_slow_twin(numbers: list[float], part: int, off: int) -> None:
    grid = np.linspace(0, 10, 6)
    held = snapped(np.clip(np.array(numbers), 0, 10), grid)
    below, at_most = ranks(held, grid)
    away = distances(below, at_most, part, off)
    for place, candidate in enumerate(grid.tolist()):
        low = sum(one < candidate for one in held.tolist())
        upto = sum(one <= candidate for one in held.tolist())
        aim = Fraction(part * len(numbers) + off, 1000)
        assert away[place] == 1000 * max(Fraction(0), low - aim, aim - upto)


@given(st.lists(st.floats(-2, 12), min_size=1, max_size=9), st.integers(1, 999), st.integers(-5000, 5000))
def test_one_record_moves_a_score_by_no_more_than_stated(numbers: list[float], part: int, off: int) -> None:
    grid = np.linspace(0, 10, 6)

    def away(own: list[float]) -> Any:
        return distances(*ranks(snapped(np.clip(np.array(own), 0, 10), grid), grid), part, off)

    assert np.abs(away(numbers) - away(numbers[1:])).max() <= max(part, 1000 - part)


@given(arrays(np.float64, st.integers(0, 9), elements=st.floats(allow_nan=True)))
def test_bins_hold_every_value_there_is(numbers: Any) -> None:
    edges = np.array([0.0, 1.0, 4.0])
    codes = bin_codes(numbers, edges)
    for value, code in zip(numbers.tolist(), codes.tolist(), strict=True):
        assert code == (-1 if value != value else 0 if value < 1 else 1)


def test_without_bounds_it_is_refused_and_why() -> None:
    with pytest.raises(UsageError, match="would be told"):
        Bounded.around(None)
    for wrong in ((1, 0), (0, float("inf")), (0, "1"), 3, (1e30, 1e30 + 1e14)):
        with pytest.raises(UsageError):
            Bounded.around(wrong)
