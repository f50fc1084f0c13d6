"""Looks: every answer is paid for, and what the model must hold is bounded before anything is counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import BudgetRefused
from comity.synthesize.cells import LevelCells
from comity.synthesize.looks import BASE_CELLS, MOST_CLASSES, MOST_COLUMNS, Looks, most_codes
from comity.synthesize.purse import Purse


def looks(
    sizes: tuple[int, ...], rows: int = 2000, target: int | None = None, epsilon: float = 16.0
) -> Looks:
    """Columns of so many levels, each as frequent as the others; every column follows the first."""
    cells = tuple(LevelCells(f"c{at}", tuple(map(str, range(size)))) for at, size in enumerate(sizes))
    order = np.arange(rows)
    coded = np.stack([1 + order % size for size in sizes], axis=1).astype(np.uint16)
    return Looks(Purse(epsilon, 1e-6), cells, coded, target)


@given(st.integers(1, MOST_COLUMNS), st.none() | st.integers(1, 4096))
def test_all_first_counts_fit_whatever_the_columns(columns: int, target: int | None) -> None:
    classes, others = most_codes(columns, target)
    assert others >= 2
    if target is None:
        assert others * columns <= BASE_CELLS
    else:
        assert 2 <= classes <= MOST_CLASSES
        assert classes * others * max(1, columns - 1) <= BASE_CELLS


def test_a_small_table_of_few_classes_is_not_touched() -> None:
    assert most_codes(13, 3) == (3, 555)
    assert most_codes(13, 42)[0] == 42


def test_counts_are_paid_for_and_near_the_truth() -> None:
    """3 columns of 2,000 rows at a noise of about 2 rows; 8 deviations of it, false alarm 1e-14."""
    seen = looks((2, 4, 5))
    whole = seen.purse.whole
    seen.bin_columns(whole / 2, bins=16)
    assert seen.purse.left == pytest.approx(whole / 2)
    assert seen.sizes == (2, 4, 5)
    assert seen.usable == (0, 1, 2)
    assert abs(seen.total() - 2000) < 8 * 3 * float(np.max(seen.codes[0].deviations))
    seen.measure((0, 1), whole / 4)
    last = seen.measured[-1]
    exact = np.zeros((2, 4))
    np.add.at(exact, (np.arange(2000) % 2, np.arange(2000) % 4), 1)
    assert np.abs(last.values - exact).max() < 8 * float(np.max(last.deviations))
    assert [one.what for one in seen.asked] == ["count"] * 4
    with pytest.raises(BudgetRefused) as caught:
        seen.measure((0, 1), whole)
    assert caught.value.private


def test_all_that_is_left_is_spent_in_equal_parts() -> None:
    seen = looks((2, 3, 4), target=0)
    seen.bin_columns(seen.purse.whole / 4, bins=16)
    assert seen.base == [(0, 1), (0, 2)]
    seen.measure_all(seen.base)
    assert seen.purse.left < 1e-6 * seen.purse.whole
    assert seen.asked[-1].share == pytest.approx(3 / 8)
    assert seen.asked[-1].sigma == pytest.approx(float(np.max(seen.measured[-2].deviations)))


@pytest.mark.parametrize(
    ("sizes", "target", "base"),
    [
        ((2, 3), None, [(0,), (1,)]),
        ((2, 1, 3), 2, [(0, 2)]),
        ((1, 3), 1, [(1,)]),
        ((3, 1), 1, [(0,)]),
        ((1, 1), None, [(0,), (1,)]),
    ],
)
def test_the_base_is_what_differs(
    sizes: tuple[int, ...], target: int | None, base: list[tuple[int, ...]]
) -> None:
    """A column of one level has one code, unless its missing value, which is not there, stands 5 standard
    deviations out of the noise: false alarm 6e-7."""
    seen = looks(sizes, target=target)
    seen.bin_columns(seen.purse.whole / 2, bins=16)
    assert seen.base == base


def test_the_worst_candidate_is_chosen() -> None:
    """One marginal is 1,000 rows off and the other right: the odds are e^200 and more."""
    seen = looks((2, 2))
    seen.bin_columns(seen.purse.whole / 4, bins=16)
    right, wrong = np.array([[1000.0, 0], [0, 1000.0]]), np.array([[500.0, 500], [500, 500]])
    for candidates, expected in (([right, wrong], 1), ([wrong, right], 0)):
        place = seen.worst([((0, 1), one) for one in candidates], seen.purse.whole / 8)
        assert place == expected
    assert [one.what for one in seen.asked][-2:] == ["choose", "choose"]


def test_a_target_of_many_levels_keeps_the_most_frequent_apart() -> None:
    seen = looks((3000, 2, 3000), rows=9000, target=0)
    seen.bin_columns(seen.purse.whole, bins=16)
    assert seen.sizes[0] == MOST_CLASSES
    assert seen.sizes[1] == 2
    assert sum(seen.sizes[0] * seen.sizes[at] for at in (1, 2)) <= BASE_CELLS
