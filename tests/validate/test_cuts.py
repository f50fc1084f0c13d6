"""Cuts: the same as by sorting, in one byte per record, whatever the scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.data.bins import quantile_edges
from comity.validate.answers import query_digest
from comity.validate.cuts import Bins, binned, calibration_bins, curve_bins, spread_edges
from comity.validate.queries import GroupCounts

scores = st.one_of(
    st.lists(st.integers(0, 12).map(lambda tenth: tenth / 10), min_size=1, max_size=200),
    st.lists(st.floats(-5, 5, allow_nan=False), min_size=1, max_size=200),
    st.builds(
        lambda seed, rows, digits: np.random.default_rng(seed).normal(size=rows).round(digits).tolist(),
        st.integers(0, 1000),
        st.integers(1, 400),
        st.integers(1, 6),
    ),
)


@given(scores, st.integers(1, 12), st.integers(0, 20))
@settings(max_examples=400, deadline=None)
def test_edges_are_those_that_sorting_finds(given: list[float], bins: int, minimum: int) -> None:
    values = np.array(given)
    assert spread_edges(values, bins, minimum) == quantile_edges(values, bins, minimum)


@pytest.mark.parametrize("rows", [10, 99, 1000, 1001, 1007, 65_537])
def test_edges_of_distinct_scores_and_of_a_frequent_one(rows: int) -> None:
    rng = np.random.default_rng(rows)
    for values in (rng.random(rows), np.where(rng.random(rows) < 0.1, 0.5, rng.random(rows))):
        assert spread_edges(values, 10, 10) == quantile_edges(values, 10, 10)


@given(scores, st.lists(st.floats(-5, 5), max_size=80, unique=True))
@settings(max_examples=150, deadline=None)
def test_scores_are_put_into_bins_as_searching_does(given: list[float], cut: list[float]) -> None:
    values, edges = np.array(given), np.sort(np.array(cut, dtype=np.float64))
    found = binned(values, edges)
    assert found.dtype == np.int8
    assert (found == np.searchsorted(edges, values, side="right")).all()


@given(scores, st.floats(-1, 1), st.integers(1, 20))
@settings(max_examples=150, deadline=None)
def test_bins_say_what_their_edges_say_and_hold_the_minimum(
    given: list[float], threshold: float, minimum: int
) -> None:
    values = np.array(given)
    calibration = calibration_bins(values, threshold, minimum)
    curve = curve_bins(values, threshold, minimum)
    known = curve_bins(values, threshold, minimum, calibration.edges.tolist())
    assert (known.numbers == curve.numbers).all()
    for bins in (calibration, curve):
        anew = Bins.of(values, bins.edges)
        assert (bins.numbers == anew.numbers).all()
        assert (bins.sizes == anew.sizes).all()
        assert bins.sizes.sum() == len(values)
        means = [values[bins.numbers == at].mean() if size else 0.0 for at, size in enumerate(bins.sizes)]
        assert bins.mean_scores(values) == pytest.approx(means, abs=1e-12)
        assert len(bins.edges) == 0 or bins.sizes.min() >= minimum


def test_many_edges_and_many_scores() -> None:
    """More edges than are compared one by one, more than fit one byte, and more scores than one block."""
    values = np.random.default_rng(1).random(40_000)
    for count, kind in ((9, np.int8), (64, np.int8), (100, np.int8), (300, np.int16)):
        edges = np.linspace(0.01, 0.99, count)
        bins = Bins.of(values, edges)
        assert bins.numbers.dtype == kind
        assert (bins.numbers == np.searchsorted(edges, values, side="right")).all()
        fewer = bins.joined(edges[::3].tolist())
        assert (fewer.numbers == Bins.of(values, edges[::3]).numbers).all()
        assert (fewer.sizes == Bins.of(values, edges[::3]).sizes).all()


def test_the_width_of_bin_numbers_is_not_part_of_a_question() -> None:
    """An answer that was kept when numbers took eight bytes is found again."""
    bins = calibration_bins(np.random.default_rng(2).random(500), 0.5, 10)
    narrow, wide = (
        GroupCounts(numbers, len(bins.sizes)) for numbers in (bins.numbers, bins.numbers.astype(np.int64))
    )
    assert query_digest(narrow, None, 1.0) == query_digest(wide, None, 1.0)
