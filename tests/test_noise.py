"""Noise: the right distributions, exactly; every statistical test raises a false alarm below 1e-6."""

from __future__ import annotations

import math
import secrets
import threading
from fractions import Fraction

import numpy as np
import pytest
from scipy.stats import chi2, chi2_contingency, norm

from comity import noise
from comity.errors import UsageError
from comity.ledger import gaussian_delta

FALSE_ALARM = 1e-7


def gaussian_weights(sigma: float, reach: int) -> np.ndarray:
    x = np.arange(-reach, reach + 1)
    weights = np.exp(-(x**2) / (2 * sigma**2))
    return weights / weights.sum()


def laplace_weights(scale: float, reach: int) -> np.ndarray:
    weights = np.exp(-np.abs(np.arange(-reach, reach + 1)) / scale)
    return weights / weights.sum()


def counts_of(draws: np.ndarray, reach: int) -> np.ndarray:
    return np.bincount(np.clip(draws, -reach, reach) + reach, minlength=2 * reach + 1)


def assert_distributed(counts: np.ndarray, expected: np.ndarray) -> None:
    """Pearson's chi-square over cells that expect 20 or more."""
    total = counts.sum()
    big = expected * total >= 20
    seen = np.append(counts[big], counts[~big].sum())
    meant = np.append(expected[big], expected[~big].sum()) * total
    keep = meant > 5
    statistic = ((seen - meant)[keep] ** 2 / meant[keep]).sum()
    assert statistic < chi2.isf(FALSE_ALARM, keep.sum() - 1)


def coin_of_exp(gamma: Fraction) -> bool:
    """Canonne, Kamath and Steinke 2020, algorithm 1, word for word."""
    if gamma > 1:
        return all(coin_of_exp(Fraction(1)) for _ in range(math.floor(gamma))) and coin_of_exp(
            gamma - math.floor(gamma)
        )
    k = 1
    while secrets.randbelow(gamma.denominator * k) < gamma.numerator:
        k += 1
    return k % 2 == 1


def reference_laplace(top: int, bottom: int) -> int:
    while True:
        rest = secrets.randbelow(top)
        if not coin_of_exp(Fraction(rest, top)):
            continue
        whole = 0
        while coin_of_exp(Fraction(1)):
            whole += 1
        size = (rest + top * whole) // bottom
        negative = secrets.randbelow(2)
        if not (negative and size == 0):
            return -size if negative else size


def reference_gaussian(sigma: float) -> int:
    width, variance = math.floor(sigma) + 1, Fraction(sigma) ** 2
    while True:
        drawn = reference_laplace(width, 1)
        if coin_of_exp((abs(drawn) - variance / width) ** 2 / (2 * variance)):
            return drawn


@pytest.mark.parametrize("sigma", [0.3, 1.0, 2.7, 19.5])
def test_own_gaussian_has_the_exact_distribution(sigma: float) -> None:
    reach = math.ceil(8 * sigma) + 1
    draws = noise.discrete_gaussian(400_000, sigma)
    assert_distributed(counts_of(draws, reach), gaussian_weights(sigma, reach))


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.5, 7.25])
def test_own_laplace_has_the_exact_distribution(scale: float) -> None:
    reach = math.ceil(20 * scale)
    draws = noise.discrete_laplace(400_000, scale)
    assert_distributed(counts_of(draws, reach), laplace_weights(scale, reach))


def test_own_gaussian_at_fine_scale_follows_the_normal_law() -> None:
    sigma = 2.0**22 + 0.3
    draws = noise.discrete_gaussian(400_000, sigma)
    edges = norm.ppf(np.linspace(0, 1, 101)[1:-1]) * sigma
    assert_distributed(np.bincount(np.searchsorted(edges, draws), minlength=100), np.full(100, 0.01))
    assert len(np.unique(draws & 0xFF)) == 256  # the low bits move as well


@pytest.mark.parametrize(("law", "scale"), [("gaussian", 2.3), ("laplace", 1.7)])
def test_own_sampler_agrees_with_opendp(law: str, scale: float) -> None:
    reach = 16
    zeros = np.zeros(60_000, dtype=np.int64)
    add = noise.add_discrete_gaussian if law == "gaussian" else noise.add_discrete_laplace
    own = noise.discrete_gaussian if law == "gaussian" else noise.discrete_laplace
    table = np.stack([counts_of(add(zeros, scale), reach), counts_of(own(300_000, scale), reach)])
    table = table[:, table.sum(axis=0) >= 40]
    assert chi2_contingency(table).pvalue > FALSE_ALARM


def test_own_sampler_agrees_with_its_slow_twin() -> None:
    slow = np.array([reference_gaussian(3.5) for _ in range(6000)])
    table = np.stack([counts_of(slow, 20), counts_of(noise.discrete_gaussian(100_000, 3.5), 20)])
    table = table[:, table.sum(axis=0) >= 60]
    assert chi2_contingency(table).pvalue > FALSE_ALARM


def test_undecided_coins_are_settled_exactly() -> None:
    """The slow path alone must toss coins of the same probability as the fast one."""
    half = Fraction(math.log(2))
    # 0.5 lies at the middle of the uniform's range: prefixes far from it are decided at once
    assert noise._exact_coin((1 << 52) - 2, half)
    assert not noise._exact_coin((1 << 52) + 2, half)
    gamma = Fraction(1, 3)
    boundary = math.floor(math.exp(-1 / 3) * 2**53)
    assert noise._exact_coin(boundary - 4, gamma)
    assert not noise._exact_coin(boundary + 4, gamma)
    assert noise._exact_coin(0, Fraction(5))
    assert not noise._exact_coin(1, Fraction(10**6))


def test_many_draws_take_the_own_sampler_and_keep_the_shape() -> None:
    values = np.full((400, 300), 7, dtype=np.int64)
    noisy = noise.add_discrete_gaussian(values, 50.0)
    assert noisy.shape == values.shape
    assert abs(noisy.mean() - 7) < 6 * 50 / math.sqrt(values.size)
    assert noise.add_discrete_laplace(np.zeros(0, dtype=np.int64), 1.0).shape == (0,)


def test_noise_variance_is_what_it_says() -> None:
    draws = noise.add_discrete_gaussian(np.zeros(50_000, dtype=np.int64), 1234.5)
    ratio = np.mean((draws / 1234.5) ** 2)
    # chi-square with 50,000 degrees of freedom
    assert chi2.ppf(FALSE_ALARM, 50_000) < ratio * 50_000 < chi2.isf(FALSE_ALARM, 50_000)


def test_two_calls_differ() -> None:
    zeros = np.zeros(64, dtype=np.int64)
    assert (noise.add_discrete_gaussian(zeros, 1e6) != noise.add_discrete_gaussian(zeros, 1e6)).any()


def test_threads_share_the_sampler() -> None:
    faults: list[Exception] = []

    def draw() -> None:
        try:
            for _ in range(5):
                noise.add_discrete_gaussian(np.zeros(100, dtype=np.int64), 9.0)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults


@pytest.mark.parametrize("scale", [0.0, -1.0, math.nan, math.inf, 2.0**56])
def test_scales_out_of_range_are_refused(scale: float) -> None:
    with pytest.raises(UsageError):
        noise.add_discrete_gaussian(np.zeros(1, dtype=np.int64), scale)


def test_floats_and_overflow_are_refused() -> None:
    with pytest.raises(UsageError, match="int64"):
        noise.add_discrete_gaussian(np.zeros(1), 1.0)  # type: ignore[arg-type]
    with pytest.raises(UsageError) as caught:
        noise.add_discrete_gaussian(np.array([2**62]), 1.0)
    assert caught.value.private  # how large a sum is must not reach another party
    with pytest.raises(UsageError):
        noise.require_room(2.0**61, 2.0**57)
    noise.require_room(2.0**61, 2.0**50)


@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 40.0])
def test_total_variation_is_an_upper_bound(sigma: float) -> None:
    reach = math.ceil(12 * sigma)
    x = np.arange(-reach, reach + 1)
    rounded = norm.cdf((x + 0.5) / sigma) - norm.cdf((x - 0.5) / sigma)
    distance = np.abs(gaussian_weights(sigma, reach) - rounded).sum() / 2
    assert distance <= noise.total_variation(sigma) <= 4 * distance + 1e-12


@pytest.mark.parametrize(("sigma", "shift"), [(8.0, 3), (25.0, 11), (60.0, 60)])
@pytest.mark.parametrize("epsilon", [0.1, 0.5, 1.0])
def test_discretisation_delta_covers_the_difference(sigma: float, shift: int, epsilon: float) -> None:
    """The exact hockey-stick divergence of the discrete Gaussian stays below analytic delta + delta'."""
    reach = math.ceil(14 * sigma) + shift
    p = gaussian_weights(sigma, reach)
    q = np.roll(p, shift)
    exact = np.maximum(p - math.exp(epsilon) * q, 0).sum()
    allowed = gaussian_delta(sigma / shift, epsilon) + noise.discretisation_delta(sigma, 1, epsilon)
    assert exact <= allowed + 1e-12


def test_fine_grids_cost_next_to_nothing() -> None:
    assert noise.discretisation_delta(2.0**20, 1000, 1.0) < 1e-10
    assert noise.discretisation_delta(0.5, 1, 1.0) == 1.0


@pytest.mark.parametrize("probability", [0.5, 0.3, 1e-3, Fraction(1, 3), Fraction(999, 1000)])
def test_rows_are_kept_with_that_probability_and_independently(probability: float | Fraction) -> None:
    kept = noise.sample(1_000_000, probability)
    p = float(probability)
    assert kept.dtype == np.bool_
    assert_distributed(np.bincount(kept, minlength=2), np.array([1 - p, p]))
    pairs = np.bincount(2 * kept[:-1:2] + kept[1::2], minlength=4)
    assert_distributed(pairs, np.array([(1 - p) ** 2, p * (1 - p), p * (1 - p), p**2]))


def test_sampling_compares_bits_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    words = iter([[0, 2**63 - 1, 2**63, 2**63 + 1], [5], [6]])
    monkeypatch.setattr(noise, "_words", lambda count: np.array(next(words)[:count], dtype=np.uint64))
    kept = noise.sample(4, Fraction(1, 2) + Fraction(6, 2**128))
    assert kept.tolist() == [True, True, True, False]  # the third ties, and its next word lies below 6


def test_sampling_at_its_ends() -> None:
    assert noise.sample(50, 1).all()
    assert not noise.sample(50, 0.0).any()
    assert noise.sample(0, 0.5).shape == (0,)
    for n, probability in [(-1, 0.5), (5, 1.1), (5, -0.1), (5, math.nan)]:
        with pytest.raises(UsageError):
            noise.sample(n, probability)


def test_every_order_is_equally_likely() -> None:
    seen = np.zeros(256)
    for _ in range(12_000):
        order = noise.permutation(4)
        seen[order @ np.array([64, 16, 4, 1])] += 1
    assert np.count_nonzero(seen) == 24
    assert_distributed(seen[seen > 0].astype(int), np.full(24, 1 / 24))


def test_a_permutation_holds_every_place_once() -> None:
    order = noise.permutation(100_000)
    assert order.dtype == np.int64
    assert np.array_equal(np.sort(order), np.arange(100_000))
    assert noise.permutation(0).shape == (0,)
    assert noise.permutation(1).tolist() == [0]


def test_equal_words_are_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    words = iter([[3, 3, 1], [5, 2, 9]])
    monkeypatch.setattr(noise, "_words", lambda count: np.array(next(words), dtype=np.uint64))
    assert noise.permutation(3).tolist() == [1, 0, 2]


def test_answers_follow_the_weights_of_their_row() -> None:
    quarter = noise.LARGEST // 4
    weights = np.array([[quarter, 3 * quarter, 0], [quarter, quarter, 2 * quarter]])
    codes = np.repeat([0, 1], 200_000)
    drawn = noise.answers(codes, weights)
    for code in (0, 1):
        assert_distributed(np.bincount(drawn[codes == code], minlength=3), weights[code] / noise.LARGEST)
    for wrong in (weights * 2, -weights, weights[0]):
        with pytest.raises(UsageError):
            noise.answers(codes, wrong)
