"""Numbers on the integer grid: rounding grows no norm, and what does not fit is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from comity.errors import UsageError
from comity.noise_grid import Grid, norm_bounds


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.floats(-1e3, 1e3)),
    st.integers(-3, 30),
)
def test_quantising_never_grows_a_norm(rows: np.ndarray, bits: int) -> None:
    grid = Grid(bits)
    whole = grid.quantise(rows)
    assert (np.abs(grid.read(whole)) <= np.abs(rows)).all()
    bounds = norm_bounds(whole)
    for row, bound in zip(whole.tolist(), bounds, strict=True):
        squares = sum(value * value for value in row)
        assert Fraction(float(bound)) ** 2 >= squares
        assert bound <= math.sqrt(squares) * (1 + 1e-12)


@given(st.floats(1e-9, 1e9), st.integers(4, 40))
def test_grid_for_largest_fits_and_is_finest(largest: float, bits: int) -> None:
    grid = Grid.for_largest(largest, bits)
    assert largest * grid.unit <= 2**bits
    assert largest * grid.unit * 2 >= 2**bits


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e300])
def test_what_does_not_fit_a_grid_is_refused(bad: float) -> None:
    with pytest.raises(UsageError) as told:
        Grid(10).quantise(np.array([0.5, bad]))
    assert told.value.private  # it depends on the values
