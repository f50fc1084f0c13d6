"""The slide negative binomial model, against its own equations and populations drawn from it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.assess.snb import _roots, population_classes, snb_share


def expected(alpha: float, beta: float, classes: float, fraction: float) -> tuple[float, float]:
    """Expected sample classes of one and of two rows, as the paper's equations have it."""
    d = (1 - fraction) * (1 - beta)
    one = classes * fraction * (beta / (1 - d)) ** alpha * (1 + alpha * d / (1 - d))
    two = classes * fraction**2 / 2 * alpha * (1 - beta) * beta**alpha * (2 - (1 - alpha) * d)
    return one, two / (1 - d) ** (alpha + 2)


def test_the_equations_are_those_of_binomial_sampling() -> None:
    """Against the sum over population sizes, term by term."""
    from scipy.stats import binom, nbinom

    alpha, beta, fraction = 0.7, 0.15, 0.2
    size = np.arange(1, 3000)
    chance = nbinom.pmf(size - 1, alpha, beta)
    for rows, value in zip((1, 2), expected(alpha, beta, 1.0, fraction), strict=True):
        assert (chance * binom.pmf(rows, size, fraction)).sum() == pytest.approx(value, rel=1e-9)


@given(st.floats(0.02, 30), st.floats(0.01, 0.99), st.floats(0.001, 0.99), st.floats(10, 1e7))
def test_the_parameters_are_found_again(alpha: float, beta: float, fraction: float, classes: float) -> None:
    ones, twos = expected(alpha, beta, classes, fraction)
    found = _roots(classes, fraction, ones, twos)
    assert found
    for each in found:
        assert expected(*each, classes, fraction) == pytest.approx((ones, twos), rel=1e-6)
    nearest = min(found, key=lambda fit: abs(np.log(fit[1] / beta)))
    assert nearest[1] ** nearest[0] == pytest.approx(beta**alpha, rel=1e-3)


@pytest.mark.parametrize("shape", [(1.0, 0.2), (0.3, 0.1), (3.0, 0.5), (0.5, 0.02)])
def test_populations_drawn_from_the_model(shape: tuple[float, float]) -> None:
    """At half of the population the estimate lies within a tenth of the truth (fixed seed)."""
    generator = np.random.default_rng(1)
    people = 1 + generator.negative_binomial(*shape, 200_000)
    sample = generator.binomial(people, 0.5)
    share, why = snb_share(sample[sample > 0], int(people.sum()))
    assert share == pytest.approx((people == 1).sum() / people.sum(), rel=0.1), why


def test_the_number_of_classes_by_the_formula() -> None:
    """D_Sh3 of Haas and Stokes (1998), term by term, and where its powers overflow."""
    size, count, f = np.array([1, 2, 5]), np.array([7, 3, 1]), 0.25
    up = sum(i * f**2 * (1 - f**2) ** (i - 1) * n for i, n in zip(size, count, strict=True))
    down = sum((1 - f) ** i * ((1 + f) ** i - 1) * n for i, n in zip(size, count, strict=True))
    missed = sum((1 - f) ** i * n for i, n in zip(size, count, strict=True))
    once = sum(i * f * (1 - f) ** (i - 1) * n for i, n in zip(size, count, strict=True))
    assert population_classes(size, count, f) == pytest.approx(11 + 7 * up / down * (missed / once) ** 2)
    huge = population_classes(np.array([1, 2, 10**6]), np.array([5, 2, 1]), 0.4)
    assert np.isfinite(huge)
    assert huge > 8


def test_what_cannot_be_estimated_is_said() -> None:
    assert snb_share(np.array([], dtype=int), 10) == (0.0, "")
    assert snb_share(np.array([2, 3]), 10) == (0.0, "")
    assert snb_share(np.array([1, 1, 2]), 4) == (0.5, "")
    assert (
        snb_share(np.array([1, 1, 3]), 100)[1]
        == "no class of the sample has two rows, and the model needs some"
    )
    generator = np.random.default_rng(1)
    people = 1 + generator.negative_binomial(1.0, 0.2, 200_000)
    sample = generator.binomial(people, 0.01)
    share, why = snb_share(sample[sample > 0], int(people.sum()))
    assert share is None
    assert "does not fit" in why


@given(st.lists(st.integers(1, 12), min_size=1, max_size=60).map(np.array), st.integers(0, 10**6))
def test_it_is_a_share_or_has_a_reason(sizes: np.ndarray, more: int) -> None:
    share, why = snb_share(sizes, int(sizes.sum()) + more)
    assert (share is None) == bool(why)
    assert share is None or 0 <= share <= 1
