"""Distinct tuples, distinction, separation, near-keys, contributions, sparsity: against counting by hand."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.assess.contribution import contributions
from comity.assess.separation import LARGEST_NEAR_KEY, column_sets, measure_set
from comity.assess.sparsity import ColumnSparsity, JointSparsity
from comity.assess.tuples import Tuples, distinction, separation, unique_share
from comity.data import read_table

ROWS = st.lists(
    st.tuples(*(st.one_of(st.none(), st.integers(0, 2)) for _ in range(4))), min_size=1, max_size=25
)
NAMES = ("a", "b", "c", "d")


def tuples_of(rows: list[tuple[int | None, ...]]) -> Tuples:
    columns = {name: pa.array([row[at] for row in rows], pa.int64()) for at, name in enumerate(NAMES)}
    return Tuples.of(read_table(pa.table(columns)), NAMES)


def brute_force(rows: list[tuple[int | None, ...]], at: tuple[int, ...]) -> tuple[float, float, float]:
    """Distinction, separation and unique rows of some columns, by looking at every row and every pair."""
    cut = [tuple(row[index] for index in at) for row in rows]
    pairs = list(combinations(cut, 2))
    apart = sum(one != two for one, two in pairs) / len(pairs) if pairs else 1.0
    return len(set(cut)) / len(cut), apart, sum(cut.count(row) == 1 for row in cut) / len(cut)


@given(ROWS)
def test_all_small_sets_against_brute_force(rows: list[tuple[int | None, ...]]) -> None:
    found = column_sets(tuples_of(rows)).sets
    assert len(found) == 4 + 6 + 4
    for each in found:
        at = tuple(NAMES.index(name) for name in each.columns)
        assert (each.distinction, each.separation, each.uniques) == pytest.approx(brute_force(rows, at))


@given(ROWS, st.sampled_from([0.3, 0.6, 0.9, 1.0]))
def test_near_keys_are_all_minimal_sets_above_the_threshold(
    rows: list[tuple[int | None, ...]], threshold: float
) -> None:
    found = column_sets(tuples_of(rows), threshold=threshold)
    assert found.complete
    enough = [
        frozenset(at)
        for size in range(1, 5)
        for at in combinations(range(4), size)
        if brute_force(rows, at)[0] >= threshold
    ]
    minimal = {at for at in enough if not any(other < at for other in enough)}
    assert {frozenset(NAMES.index(name) for name in key.columns) for key in found.near_keys} == minimal


@given(ROWS)
def test_contributions_are_with_and_without(rows: list[tuple[int | None, ...]]) -> None:
    found = contributions(tuples_of(rows))
    whole = brute_force(rows, (0, 1, 2, 3))
    for each in found:
        at = NAMES.index(each.column)
        rest = brute_force(rows, tuple(index for index in range(4) if index != at))
        alone = brute_force(rows, (at,))
        assert (each.mean_risk_without, each.uniques_without) == pytest.approx((rest[0], rest[2]))
        assert (each.mean_risk_added, each.uniques_added) == pytest.approx(
            (whole[0] - rest[0], whole[2] - rest[2])
        )
        assert (each.mean_risk_alone, each.separation_alone, each.uniques_alone) == pytest.approx(alone)
    assert [each.uniques_added for each in found] == sorted(
        (each.uniques_added for each in found), reverse=True
    )


@given(ROWS)
def test_tuples_count_rows(rows: list[tuple[int | None, ...]]) -> None:
    tuples = tuples_of(rows)
    assert sorted(tuples.counts.tolist()) == sorted(Counter(rows).values())
    assert (tuples.rows, len(tuples)) == (len(rows), len(set(rows)))
    assert tuples.widths == tuple(len({row[at] for row in rows}) for at in range(4))


def test_the_example_of_the_paper() -> None:
    """Motwani and Xu, section 2: age, sex and state of five people."""
    rows = {
        "age": [20, 30, 40, 20, 40],
        "sex": ["Female", "Female", "Male", "Male", "Male"],
        "state": ["CA", "CA", "TX", "NY", "CA"],
    }
    tuples = Tuples.of(read_table(pa.table(rows)), list(rows))
    assert measure_set(tuples, ("age",)).distinction == pytest.approx(0.6)
    assert measure_set(tuples, ("age",)).separation == pytest.approx(0.8)
    assert measure_set(tuples, ("sex",)).distinction == pytest.approx(0.4)
    assert measure_set(tuples, ("sex",)).separation == pytest.approx(0.6)


def test_the_cap_on_work_is_said() -> None:
    generator = np.random.default_rng(0)
    table = pa.table({f"c{at}": generator.integers(0, 3, 500) for at in range(12)})
    tuples = Tuples.of(read_table(table), table.column_names)
    found = column_sets(tuples, most_visits=40 * len(tuples))
    assert not found.complete
    assert "name fewer quasi-identifiers" in found.note
    assert sum(len(each.columns) == 1 for each in found.sets) == 12
    whole = column_sets(tuples)
    assert whole.complete
    assert all(len(key.columns) <= LARGEST_NEAR_KEY for key in whole.near_keys)


def test_very_many_rows_do_not_wrap() -> None:
    sizes = np.array([3_000_000_000, 3_000_000_000])
    assert separation(sizes) == pytest.approx(0.5, rel=1e-8)
    assert separation(np.array([1])) == 1.0
    assert distinction(np.array([], dtype=np.int64)) == unique_share(np.array([], dtype=np.int64)) == 0.0


def test_sparsity_by_hand() -> None:
    column = ColumnSparsity.of(np.array([95, 4, 1]), 100)
    assert (column.rare_levels, column.rare_rows, column.top_share) == (2, 0.05, 0.95)
    assert not column.nearly_constant
    assert ColumnSparsity.of(np.array([99, 1]), 100).nearly_constant
    assert ColumnSparsity.of(np.array([], dtype=np.int64), 0) == ColumnSparsity(0, 0.0, 0.0, False)
    joint = JointSparsity.of(tuples_of([(0, 0, 0, 0)] * 6 + [(1, 0, 1, 2), (None, 1, 0, 0)]))
    assert (joint.cells, joint.occupied) == (3 * 2 * 2 * 2, 3)
    assert joint.occupied_share == pytest.approx(3 / 24)
    assert joint.rows_per_cell == pytest.approx(8 / 3)
    assert joint.rare_rows == pytest.approx(2 / 8)
