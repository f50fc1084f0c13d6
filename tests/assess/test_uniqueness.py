"""The estimators of population uniqueness, against plain twins and a population that is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.assess.uniqueness import (
    _bisect,
    _fit,
    _Sample,
    _slopes,
    pitman_fit,
    pitman_share,
    pitman_uniques,
    zayatz_share,
)

SIZES = st.lists(st.integers(1, 12), min_size=2, max_size=60).map(np.array)


def zayatz_twin(sizes: np.ndarray, population: int) -> float:
    """The formula as Zayatz writes it, with scipy's hypergeometric distribution."""
    from scipy.stats import hypergeom

    rows, classes = int(sizes.sum()), len(sizes)
    values, counts = np.unique(sizes, return_counts=True)
    total = sum(
        count / classes * hypergeom.pmf(1, population, size, rows)
        for size, count in zip(values, counts, strict=True)
    )
    ones = int((sizes == 1).sum())
    if ones == 0:
        return 0.0
    stays = ones / classes * hypergeom.pmf(1, population, 1, rows) / total
    return ones * stays / (rows / population) / population


@given(SIZES, st.integers(1, 1000))
def test_zayatz_is_its_formula(sizes: np.ndarray, factor: int) -> None:
    population = int(sizes.sum()) * factor + 1
    assert zayatz_share(sizes, population) == pytest.approx(
        zayatz_twin(sizes, population), rel=1e-6, abs=1e-12
    )


def test_the_whole_population_as_sample() -> None:
    sizes = np.array([1, 1, 2, 3, 1])
    assert zayatz_share(sizes, 8) == pytest.approx(3 / 8)


def log_likelihood(theta: float, alpha: float, sizes: np.ndarray) -> float:
    """Pitman's sampling formula, term by term (Hoshino 2001, equation 3)."""
    value = sum(np.log(theta + step * alpha) for step in range(1, len(sizes)))
    value -= sum(np.log(theta + step) for step in range(1, int(sizes.sum())))
    return value + sum(np.log(step - alpha) for size in sizes.tolist() for step in range(1, size))


@given(SIZES, st.floats(0.1, 50), st.floats(0.05, 0.95))
def test_slopes_are_those_of_the_likelihood(sizes: np.ndarray, theta: float, alpha: float) -> None:
    size, count = np.unique(sizes, return_counts=True)
    sample = _Sample.of(size, count)
    (in_theta, in_alpha), curve = _slopes(theta, alpha, sample)
    step = 1e-5
    numeric_theta = (
        log_likelihood(theta + step, alpha, sizes) - log_likelihood(theta - step, alpha, sizes)
    ) / (2 * step)
    numeric_alpha = (
        log_likelihood(theta, alpha + step, sizes) - log_likelihood(theta, alpha - step, sizes)
    ) / (2 * step)
    assert in_theta == pytest.approx(numeric_theta, rel=1e-4, abs=1e-4)
    assert in_alpha == pytest.approx(numeric_alpha, rel=1e-4, abs=1e-3)
    up, down = _slopes(theta, alpha + step, sample)[0], _slopes(theta, alpha - step, sample)[0]
    assert curve[1] == pytest.approx((up[0] - down[0]) / (2 * step), rel=1e-3, abs=1e-3)
    assert curve[2] == pytest.approx((up[1] - down[1]) / (2 * step), rel=1e-3, abs=1e-2)


@given(SIZES)
def test_a_fit_is_a_maximum_and_no_fit_is_said(sizes: np.ndarray) -> None:
    share, why = pitman_share(sizes, 10_000)
    assert (share is None) == bool(why)
    if share is not None:
        assert 0 <= share <= 1
    size = np.unique(sizes)
    if share is None or size[0] != 1:
        return
    fit = pitman_fit(sizes)
    assert not isinstance(fit, str)
    theta, alpha = fit
    best = log_likelihood(theta, alpha, sizes)
    for other in (
        (theta * 1.01, alpha),
        (theta * 0.99, alpha),
        (theta, alpha + 0.002),
        (theta, alpha - 0.002),
    ):
        inside = other[1] < 1 and other[0] > 0 and other[0] + (len(sizes) - 1) * min(other[1], 0) > 0
        if inside:
            assert log_likelihood(*other, sizes) <= best + 1e-7


@given(SIZES)
def test_bisection_finds_what_newton_finds(sizes: np.ndarray) -> None:
    size, count = np.unique(sizes, return_counts=True)
    if size[0] != 1 or len(size) == 1:
        return
    sample = _Sample.of(size, count)
    newton, bisected = _fit(sample), _bisect(sample)
    if newton is None or isinstance(bisected, str) or not -1000 < newton[1] < 0.999:
        return
    assert log_likelihood(*bisected, sizes) == pytest.approx(log_likelihood(*newton, sizes), abs=1e-6)


def test_a_likelihood_that_grows_to_an_edge_is_said() -> None:
    generator = np.random.default_rng(1)
    people = 1 + generator.negative_binomial(1.0, 0.2, 200_000)
    sample = generator.binomial(people, 0.01)
    fit = pitman_fit(sample[sample > 0])
    assert isinstance(fit, str)
    assert "classes of equal size" in fit
    generator = np.random.default_rng(2)
    even = np.unique(generator.integers(0, 2000, 1500), return_counts=True)[1]
    fit = pitman_fit(even)
    assert isinstance(fit, tuple)
    assert fit[1] < 0


@given(st.integers(1, 6), st.floats(0.2, 20), st.floats(0.05, 0.9))
def test_uniques_of_the_model_by_its_own_recursion(population: int, theta: float, alpha: float) -> None:
    """The chance that the first stays alone is the product of the chances that each next one passes it by."""
    passes = 1.0
    for others in range(1, population):
        passes *= (theta + others - 1 + alpha) / (theta + others)
    exact = population * passes
    found = pitman_uniques(theta, alpha, population)
    assert 0 <= found <= population
    from scipy.special import gamma

    large = gamma(theta + 1) / gamma(theta + alpha) * population**alpha
    assert found == pytest.approx(large if large <= population else exact, rel=1e-9)


@pytest.mark.parametrize("shape", [(1.0, 0.2), (3.0, 0.5), (0.5, 0.02)])
@pytest.mark.parametrize("fraction", [0.2, 0.5])
def test_pitman_on_populations_of_negative_binomial_classes(
    shape: tuple[float, float], fraction: float
) -> None:
    """Within a factor of two of the truth, at a fixed seed."""
    generator = np.random.default_rng(1)
    people = 1 + generator.negative_binomial(*shape, 100_000)
    sample = generator.binomial(people, fraction)
    share, why = pitman_share(sample[sample > 0], int(people.sum()))
    assert share is not None, why
    truth = (people == 1).sum() / people.sum()
    assert truth / 2 < share < 2 * truth


def test_words_where_there_is_no_estimate() -> None:
    assert pitman_share(np.array([2, 3]), 100) == (0.0, "")
    assert (
        pitman_share(np.ones(50, dtype=int), 1000)[1]
        == "every row of the sample is unique: the model has no finite fit"
    )
    assert zayatz_share(np.array([2, 3]), 100) == 0.0
    assert pitman_share(np.array([], dtype=int), 100) == (0.0, "")


def test_estimates_of_a_population_that_is_known() -> None:
    """A 10% sample of 200,000 people in Zipf-like classes; Pitman's estimate lies within a factor of 1.6."""
    generator = np.random.default_rng(5)
    people = np.minimum(generator.zipf(1.4, 200_000), 10**7)
    truth = float((np.unique(people, return_counts=True)[1] == 1).sum() / len(people))
    sample = generator.choice(people, 20_000, replace=False)
    sizes = np.unique(sample, return_counts=True)[1]
    pitman, _ = pitman_share(sizes, len(people))
    assert pitman is not None
    assert truth / 1.6 < pitman < truth * 1.6
    assert zayatz_share(sizes, len(people)) > 0
