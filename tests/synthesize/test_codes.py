"""Codes: cells that noise hides are merged, and come apart again by their noisy shares."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from comity.synthesize.cells import MISSING, LevelCells, NumberCells
from comity.synthesize.codes import SURELY, merge
from comity.synthesize.purse import Noisy

COUNTS = st.lists(st.floats(-200, 5000), min_size=3, max_size=41)


def levels(count: int) -> LevelCells:
    return LevelCells("job", tuple(f"l{at}" for at in range(count)))


@given(COUNTS, st.floats(1, 300), st.integers(1, 20), st.sampled_from(["numbers", "levels", "apart"]))
def test_every_cell_has_a_code_and_every_code_adds_up(
    counts: list[float], sigma: float, bins: int, kind: str
) -> None:
    cells = levels(len(counts) - 1)
    if kind == "numbers":
        cells = NumberCells.between("x", 0, len(counts) - 2, whole=True)
    made = merge(cells, Noisy(np.array(counts), sigma), bins=bins, most=64, apart=kind == "apart")
    assert set(made.of_cell.tolist()) == set(range(made.size))
    assert np.allclose(np.bincount(made.of_cell, weights=made.shares), 1.0)
    counted = counts[1:] if kind == "apart" else counts  # every row has a target: its missing cell is noise
    assert np.isclose(made.counts.sum(), sum(counted))
    assert np.isclose(np.square(made.deviations).sum(), sigma**2 * len(counted))
    if kind == "numbers":  # bins are neighbours
        assert (np.diff(made.of_cell[1:]) >= 0).all()
    for first in (0.0, 0.5, 1 - 2.0**-53):
        codes = np.arange(made.size)
        drawn = made.values(codes, np.full(made.size, first), np.zeros(made.size))
        missing = [at for at, value in enumerate(drawn.to_pylist()) if value is None]
        assert all(made.of_cell[MISSING] == at for at in missing)
        if counts[MISSING] < SURELY * sigma or kind == "apart":
            assert not missing


def test_cells_that_stand_out_stay_apart_and_rare_ones_share_a_code() -> None:
    made = merge(levels(4), Noisy(np.array([0.0, 900, 800, 3, -2]), 10.0), bins=16, most=64)
    assert made.of_cell.tolist()[1:] == [0, 1, 2, 2]
    assert made.shares.tolist()[3:] == [1.0, 0.0]


def test_a_heavy_cell_has_a_bin_of_its_own_and_leaves_bins_for_the_rest() -> None:
    counts = np.array([0.0, 9000, *([20.0] * 50)])
    made = merge(NumberCells.between("gain", 0, 50, whole=True), Noisy(counts, 4.0), bins=6, most=64)
    assert (made.of_cell[1:] == 0).sum() == 1
    assert 4 <= made.size <= 7


def test_the_target_keeps_its_levels_and_has_no_missing_value() -> None:
    made = merge(levels(3), Noisy(np.array([500.0, 1, 2, 900]), 50.0), bins=16, most=64, apart=True)
    assert made.of_cell.tolist() == [0, 0, 1, 2]
    assert made.counts.tolist() == [1, 2, 900]
    assert made.values(np.zeros(4), np.linspace(0, 0.99, 4), np.zeros(4)).to_pylist() == ["l0"] * 4


def test_nothing_but_noise_is_one_code() -> None:
    assert merge(levels(5), Noisy(np.full(6, -3.0), 10.0), bins=16, most=64).size == 1
    assert (
        merge(NumberCells.between("x", 0, 9, whole=True), Noisy(np.zeros(11), 10.0), bins=16, most=64).size
        == 1
    )


@given(COUNTS, st.floats(1, 300), st.integers(1, 20), st.integers(2, 9), st.booleans(), st.booleans())
def test_there_are_never_more_codes_than_asked_for(
    counts: list[float], sigma: float, bins: int, most: int, apart: bool, numbers: bool
) -> None:
    cells = NumberCells.between("x", 0, len(counts) - 2, whole=True) if numbers else levels(len(counts) - 1)
    made = merge(cells, Noisy(np.array(counts), sigma), bins=bins, most=most, apart=apart)
    assert made.size <= most
    assert set(made.of_cell.tolist()) == set(range(made.size))
    assert np.allclose(np.bincount(made.of_cell, weights=made.shares), 1.0)
    if numbers:
        assert (np.diff(made.of_cell[1:]) >= 0).all()
    if counts[MISSING] >= SURELY * sigma and not apart:  # a missing value that stands out stays what it is
        assert (made.of_cell[1:] != made.of_cell[MISSING]).all()


def test_beyond_the_limit_the_rarest_levels_share_a_code() -> None:
    noisy = Noisy(np.array([0.0, 30, 900, 40, 800, 20]), 1.0)
    for apart in (False, True):
        made = merge(levels(5), noisy, bins=16, most=3, apart=apart)
        assert made.of_cell.tolist()[1:] == [2, 0, 2, 1, 2]
        assert made.counts.tolist() == [900, 800, 90]
        # what shares a code comes apart again as often as its noisy count says
        drawn = made.values(np.full(9, 2), np.arange(9) / 9 + 0.01, np.zeros(9)).to_pylist()
        assert [drawn.count(level) for level in ("l0", "l2", "l4")] == [3, 4, 2]
