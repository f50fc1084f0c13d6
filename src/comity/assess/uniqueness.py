"""How many members of a population are unique, estimated from the equivalence classes of a sample.

Two estimators, with the definitions that the ARX anonymisation tool uses:

- Zayatz (1991), "Estimation of the number of unique population elements using a sample": sampling without
  replacement from classes as large as those of the sample;
- Pitman, after Hoshino (2001), "Applying Pitman's sampling formula to microdata disclosure risk assessment":
  the two-parameter Ewens-Pitman model, fitted by maximum likelihood.

Both take the sample as drawn at random from the population. They are estimates, not bounds.
Pitman's model is fitted by Newton's method from several starts; where that fails, by bisection: for each
alpha the one theta of highest likelihood, and among those the alpha.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, cast

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 100
_ACCURACY = 1e-9
_EDGE = 1e-6
_LARGEST = 1e12
_ALPHAS = (
    -1000.0,
    -300.0,
    -100.0,
    -30.0,
    -10.0,
    -3.0,
    -1.0,
    -0.3,
    -0.1,
    0.1,
    0.3,
    0.5,
    0.7,
    0.9,
    0.99,
    0.999,
)
_ALL_ALIKE = "the likelihood grows without end towards classes of equal size: the model has no finite fit"
_ALL_ALONE = "the likelihood grows without end towards a population of uniques: the model has no finite fit"


def zayatz_share(sizes: NDArray[np.integer], population: int) -> float:
    """Estimated share of the population that is unique.

    Args:
        sizes: (classes,) rows of the sample in each equivalence class, all at least 1.
        population: its size, at least the sample's.
    """
    size, count = np.unique(np.asarray(sizes, dtype=np.int64), return_counts=True)
    if len(size) == 0 or size[0] != 1:
        return 0.0
    rows = int((size * count).sum())
    alone = _chance_of_one(size, rows, population)
    stays_unique = count[0] * alone[0] / float((count * alone).sum())
    return float(count[0] * stays_unique / rows)


def pitman_share(sizes: NDArray[np.integer], population: int) -> tuple[float | None, str]:
    """Estimated share of the population that is unique, and a word on it where there is none.

    Args:
        sizes: (classes,) rows of the sample in each equivalence class, all at least 1.
        population: its size, at least the sample's.

    Returns:
        The share in [0, 1] and "", or None and why the model has no estimate.
    """
    if not (np.asarray(sizes) == 1).any():
        return 0.0, ""
    fit = pitman_fit(sizes)
    return (None, fit) if isinstance(fit, str) else (pitman_uniques(*fit, population) / population, "")


def pitman_fit(sizes: NDArray[np.integer]) -> tuple[float, float] | str:
    """Maximum likelihood (theta, alpha) of Pitman's model, or in words why there is none.

    Args:
        sizes: (classes,) rows of the sample in each equivalence class, all at least 1.
    """
    size, count = np.unique(np.asarray(sizes, dtype=np.int64), return_counts=True)
    if len(size) == 0 or size[0] != 1:
        return "no row of the sample is unique: the model is not fitted"
    if len(size) == 1:
        return "every row of the sample is unique: the model has no finite fit"
    sample = _Sample.of(size, count)
    return _fit(sample) or _bisect(sample)


def pitman_uniques(theta: float, alpha: float, population: int) -> float:
    """Expected number of uniques in a population of N, in [0, N].

    Hoshino's form for a large population, as ARX has it, where it is below N.

    That holds for N far above theta; where it exceeds N, the exact expectation stands in,
    N Gamma(theta+1) Gamma(theta+alpha+N-1) / (Gamma(theta+alpha) Gamma(theta+N)) (Pitman 2006,
    "Combinatorial stochastic processes", chapter 3), which never does.
    """
    from scipy.special import gammaln

    start = gammaln(theta + 1) - gammaln(theta + alpha)
    with np.errstate(over="ignore"):
        uniques = np.exp(start + alpha * np.log(population))
    if uniques <= population:
        return float(uniques)
    end = gammaln(theta + alpha + population - 1) - gammaln(theta + population)
    return float(population * np.exp(min(start + end, 0.0)))


def _chance_of_one(size: NDArray[np.int64], rows: int, population: int) -> NDArray[np.float64]:
    """For population classes of each size: the chance that exactly one of its members is in the sample.

    Hypergeometric, with N the population and n the rows: size * n/N * product over i < size - 1 of
    (N - n - i)/(N - 1 - i).
    """
    steps = np.arange(int(size[-1]) - 1, dtype=np.float64)
    outside = np.maximum(population - rows - steps, 0.0)
    with np.errstate(divide="ignore"):
        logs = np.log(outside) - np.log(np.maximum(population - 1 - steps, 1.0))
    total = np.concatenate([[0.0], np.cumsum(logs)])
    return size * (rows / population) * np.exp(total[size - 1])


@dataclass(frozen=True)
class _Sample:
    """What the model looks at: `count` classes of each `size`, and their totals."""

    size: NDArray[np.float64]
    count: NDArray[np.float64]
    classes: float
    rows: float

    @classmethod
    def of(cls, size: NDArray[np.integer], count: NDArray[np.integer]) -> Self:
        return cls(
            size.astype(np.float64), count.astype(np.float64), float(count.sum()), float((size * count).sum())
        )


def _fit(sample: _Sample) -> tuple[float, float] | None:
    """Maximum likelihood (theta, alpha): Newton from Hoshino's moment estimate, else from elsewhere."""
    starts = (
        _moment_estimate(sample),
        *((scale * sample.classes, alpha) for scale in (1.0, 0.1) for alpha in (0.0, 0.5)),
        (2 * sample.classes, -1.0),
        (20 * sample.classes, -10.0),
    )
    for start in starts:
        if _inside(*start, sample) and (found := _newton(start, sample)) is not None:
            return found
    return None


def _inside(theta: float, alpha: float, sample: _Sample) -> bool:
    """The model's domain: alpha < 1, theta > -alpha; below 0, alpha leaves room for -theta/alpha classes."""
    if not (np.isfinite(theta) and np.isfinite(alpha)) or alpha >= 1:
        return False
    return theta > -alpha if alpha > 0 else theta + (sample.classes - 1) * alpha > 0


def _moment_estimate(sample: _Sample) -> tuple[float, float]:
    """Hoshino's starting point, from the numbers of classes of one and of two rows."""
    classes, rows, ones = sample.classes, sample.rows, sample.count[0]
    twos = sample.count[1] if sample.size[1] == 2 else 1.0
    ratio = ones * (ones - 1) / twos
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = (rows * classes * ratio - ones * (rows - 1) * (2 * classes + ratio)) / (
            2 * ones * classes + ones * ratio - rows * ratio
        )
        alpha = (theta * (ones - rows) + (rows - 1) * ones) / (rows * classes)
    return float(theta), float(alpha)


def _newton(start: tuple[float, float], sample: _Sample) -> tuple[float, float] | None:
    """Newton-Raphson on the likelihood equations, steps cut to stay in the domain; None without a maximum."""
    theta, alpha = start
    with np.errstate(all="ignore"):  # whatever overflows ends as not finite, and that is checked
        for _ in range(_STEPS):
            slope, curve = _slopes(theta, alpha, sample)
            determinant = curve[0] * curve[2] - curve[1] ** 2
            down_theta = float((slope[0] * curve[2] - slope[1] * curve[1]) / determinant)
            down_alpha = float((slope[1] * curve[0] - slope[0] * curve[1]) / determinant)
            scale = _scale(theta, alpha, down_theta, down_alpha, sample)
            if scale is None:
                return None
            theta, alpha = theta - scale * down_theta, alpha - scale * down_alpha
            if abs(down_theta) <= _ACCURACY * max(abs(theta), 1) and abs(down_alpha) <= _ACCURACY:
                at_edge = alpha > 1 - _EDGE or theta > _LARGEST
                maximum = curve[0] < 0 and determinant > 0
                return (theta, alpha) if maximum and not at_edge else None
    return None


def _bisect(sample: _Sample) -> tuple[float, float] | str:
    """Maximum likelihood without a start: the alpha where the likelihood, at its best theta, stops growing.

    Returns:
        (theta, alpha), or in words why there is no finite fit.
    """
    from scipy.optimize import brentq

    def slope(alpha: float) -> float:
        return float(_slopes(_best_theta(alpha, sample), alpha, sample)[0][1])

    slopes = [slope(alpha) for alpha in _ALPHAS]
    if slopes[0] < 0:
        return _ALL_ALIKE
    falls = next((at for at, value in enumerate(slopes) if value <= 0), None)
    if falls is None:
        return _ALL_ALONE
    before = _ALPHAS[max(falls - 1, 0)]
    alpha = cast("float", brentq(slope, before, _ALPHAS[falls], xtol=1e-10)) if falls else before
    return _best_theta(alpha, sample), alpha


def _best_theta(alpha: float, sample: _Sample) -> float:
    """The theta of highest likelihood for an alpha: the slope in theta falls through 0 once."""
    from scipy.optimize import brentq
    from scipy.special import digamma

    least = max(-alpha, -(sample.classes - 1) * alpha)
    step = np.arange(1.0, sample.classes) * alpha + least

    def slope(log_rest: float) -> float:
        rest = np.exp(log_rest)
        theta = least + rest
        return float((1 / (step + rest)).sum() - (digamma(sample.rows + theta) - digamma(theta + 1)))

    low, high = np.log(1e-12), np.log(_LARGEST)
    if slope(low) <= 0 or slope(high) >= 0:
        return least + float(np.exp(low if slope(low) <= 0 else high))
    return least + float(np.exp(cast("float", brentq(slope, low, high, xtol=1e-13))))


def _scale(theta: float, alpha: float, down_theta: float, down_alpha: float, sample: _Sample) -> float | None:
    """The largest of 1, 1/2, 1/4, ... by which a step stays in the domain; None if there is none."""
    scale = 1.0
    while np.isfinite(down_theta) and np.isfinite(down_alpha) and scale >= _ACCURACY:
        if _inside(theta - scale * down_theta, alpha - scale * down_alpha, sample):
            return scale
        scale /= 2
    return None


def _slopes(
    theta: float, alpha: float, sample: _Sample
) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """First and second derivatives of the log-likelihood in theta and alpha.

    The terms of the classes are summed one by one: their closed form has no stable value for alpha <= 0.
    """
    from scipy.special import digamma, polygamma

    step = np.arange(1.0, sample.classes)
    share = 1 / (theta + step * alpha)
    first, weighted = share.sum(), (step * share).sum()
    second, cross, twice = (share**2).sum(), (step * share**2).sum(), ((step * share) ** 2).sum()
    inner = digamma(sample.size - alpha) - digamma(1 - alpha)
    inner_slope = polygamma(1, 1 - alpha) - polygamma(1, sample.size - alpha)
    in_theta = first - (digamma(sample.rows + theta) - digamma(theta + 1))
    in_alpha = weighted - (sample.count * inner).sum()
    theta_theta = polygamma(1, theta + 1) - polygamma(1, sample.rows + theta) - second
    alpha_alpha = -twice - (sample.count * inner_slope).sum()
    return (in_theta, in_alpha), (theta_theta, -cross, alpha_alpha)
