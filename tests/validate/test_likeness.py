"""Likeness: a process over all columns at once, from codes."""

from __future__ import annotations

import numpy as np
import pytest

from comity.validate.bins import Columns
from comity.validate.likeness import REACHES, Likeness, covariance, distances, places_of, roots


def coded(rows: int, seed: int = 0) -> Columns:
    """A number with missing values, and a category of three levels."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, 9, rows), rng.integers(0, 3, rows)], axis=1).astype(np.uint16)
    return Columns(codes, (9, 3), (True, False))


def test_places_lie_as_documented() -> None:
    columns = Columns(np.array([[1, 0], [8, 1], [0, 1]], dtype=np.uint16), (9, 3), (True, False))
    places = places_of(columns)
    assert places[:, 0] == pytest.approx([-1.5, 1.5, 0.0])
    assert distances(places, places)[0, 1] == pytest.approx(9 + 2 * 0.7**2)
    assert distances(places, places)[1, 2] == pytest.approx(1.5**2)


@pytest.mark.parametrize("reach", REACHES)
def test_the_root_and_the_weights_are_of_one_covariance(reach: float) -> None:
    columns = coded(60)
    places = places_of(columns)
    root, turned = roots(places, 2, reach)
    whole = covariance(distances(places, places) / 2, reach)
    assert root @ root.T == pytest.approx(whole, abs=1e-3)
    values = np.random.default_rng(1).normal(size=root.shape[1])
    assert whole @ (turned @ values) == pytest.approx(root @ values, abs=1e-6)


def test_scores_are_sums_over_rows_whatever_the_block() -> None:
    rows, records = coded(7, 2), coded(20_000, 3)
    weights = np.random.default_rng(4).normal(size=(len(REACHES), 7))
    told = Likeness(places_of(rows), weights).scores(records)
    apart = distances(places_of(records), places_of(rows)) / 2
    whole = sum(covariance(apart, reach) @ own for reach, own in zip(REACHES, weights, strict=True))
    assert told == pytest.approx(whole)
    assert told.shape == (20_000,)
