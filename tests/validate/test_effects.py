"""Effects: sums per bin, pairs of bins, the prior, against obvious twins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.errors import UsageError
from comity.validate.effects import Effects, Prior


def random_codes(seed: int, rows: int, widths: tuple[int, ...]) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.stack([draw.integers(0, width, rows) for width in widths], axis=1).astype(np.uint16)


def one_hot(codes: np.ndarray, effects: Effects) -> np.ndarray:
    """(rows, width) indicators, the slow obvious way."""
    dense = np.zeros((len(codes), effects.width))
    for row, record in enumerate(codes):
        for column, bin_ in enumerate(record):
            dense[row, effects.offsets[column] + bin_] = 1.0
    return dense


@given(
    seed=st.integers(0, 1000),
    rows=st.integers(1, 40),
    widths=st.lists(st.integers(1, 6), min_size=1, max_size=4).map(tuple),
)
def test_sums_and_pairs_are_those_of_the_indicators(seed: int, rows: int, widths: tuple[int, ...]) -> None:
    effects = Effects(widths, (False,) * len(widths))
    codes = random_codes(seed, rows, widths)
    weights = np.random.default_rng(seed + 1).normal(size=rows)
    values = np.random.default_rng(seed + 2).normal(size=(effects.width, 3))
    dense = one_hot(codes, effects)
    np.testing.assert_allclose(effects.sums(codes, weights), dense.T @ weights, atol=1e-9)
    np.testing.assert_allclose(
        effects.pair_sums(codes, weights), dense.T @ (dense * weights[:, None]), atol=1e-9
    )
    np.testing.assert_allclose(effects.at(codes, values), dense @ values, atol=1e-9)


@given(seed=st.integers(0, 1000), ordered=st.booleans())
def test_every_columns_effects_average_to_nothing_with_mean_variance_as_stated(
    seed: int, ordered: bool
) -> None:
    effects = Effects((6, 4), (ordered, False))
    counts = np.random.default_rng(seed).integers(1, 50, effects.width).astype(float)
    prior = Prior.of(effects, counts, 0.3)
    for column, block in enumerate(prior.blocks):
        own = counts[effects.offsets[column] : effects.offsets[column + 1]]
        shares = own / own.sum()
        assert shares @ block @ shares == pytest.approx(0.0, abs=1e-9)
        assert shares @ np.diag(block) == pytest.approx(1.0)
    covariance = prior.root @ prior.root.T
    assert np.linalg.eigvalsh(covariance).min() > -1e-9


def test_neighbours_resemble_each_other_and_the_missing_bin_resembles_none() -> None:
    effects = Effects((8,), (True,))
    block = Prior.of(effects, np.array([0.0, *[10.0] * 7]), 1.0).blocks[0]
    assert block[3, 4] > block[3, 7]
    assert abs(block[0, 4]) < block[3, 4]


def test_a_column_of_one_bin_has_no_effect() -> None:
    effects = Effects((1, 3), (False, False))
    prior = Prior.of(effects, np.array([9.0, 3.0, 3.0, 3.0]), 1.0)
    assert not prior.blocks[0].any()
    refined = prior.refined(np.zeros(4), np.eye(4), believed=prior.variances, strength=4.0)
    assert np.isfinite(refined.variances).all()


@pytest.mark.parametrize(("widths", "ordered"), [((), ()), ((3,), ()), ((0,), (True,))])
def test_effects_without_bins_are_refused(widths: tuple[int, ...], ordered: tuple[bool, ...]) -> None:
    with pytest.raises(UsageError):
        Effects(widths, ordered)
