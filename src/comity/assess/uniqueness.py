"""How many members of a population are unique, estimated from the equivalence classes of a sample.

Two estimators, with the definitions that the ARX anonymisation tool uses:

- Zayatz (1991), "Estimation of the number of unique population elements using a sample": sampling without
  replacement from classes as large as those of the sample;
- Pitman, after Hoshino (2001), "Applying Pitman's sampling formula to microdata disclosure risk assessment":
  the two-parameter Ewens-Pitman model, fitted by maximum likelihood.

Both take the sample as drawn at random from the population. They are estimates, not bounds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 300
_ACCURACY = 1e-9
_EDGE = 1e-6
_LARGEST = 1e12
_SEARCH_STEPS = 300


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
    from scipy.special import gammaln

    size, count = np.unique(np.asarray(sizes, dtype=np.int64), return_counts=True)
    if len(size) == 0 or size[0] != 1:
        return 0.0, ""
    if len(size) == 1:
        return None, "every row of the sample is unique: the model has no finite fit"
    fit = _fit(size.astype(np.float64), count.astype(np.float64))
    if fit is None:
        return None, "the model's fit did not converge"
    theta, alpha = fit
    with np.errstate(over="ignore"):
        uniques = np.exp(gammaln(theta + 1) - gammaln(theta + alpha) + alpha * np.log(population))
    if not 0 <= uniques <= population:
        return None, "the model's estimate is larger than the population"
    return float(uniques / population), ""


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


def _fit(size: NDArray[np.float64], count: NDArray[np.float64]) -> tuple[float, float] | None:
    """Maximum likelihood (theta, alpha): Newton from Hoshino's moment estimate, else from a search."""
    classes, rows = float(count.sum()), float((size * count).sum())
    start = _moment_estimate(size, count, classes, rows)
    usable = _inside(*start, classes)
    found = _newton(start, size, count, classes, rows) if usable else None
    if found is None:
        start = _search(size, count, classes, rows)
        found = _newton(start, size, count, classes, rows)
    return found


def _inside(theta: float, alpha: float, classes: float) -> bool:
    """The model's domain: alpha < 1, theta > -alpha; below 0, alpha leaves room for -theta/alpha classes."""
    if not (np.isfinite(theta) and np.isfinite(alpha)) or alpha >= 1 or alpha == 0:
        return False
    return theta > -alpha if alpha > 0 else theta + (classes - 1) * alpha > 0


def _moment_estimate(
    size: NDArray[np.float64], count: NDArray[np.float64], classes: float, rows: float
) -> tuple[float, float]:
    """Hoshino's starting point, from the numbers of classes of one and of two rows."""
    ones = count[0]
    twos = count[1] if size[1] == 2 else 1.0
    ratio = ones * (ones - 1) / twos
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = (rows * classes * ratio - ones * (rows - 1) * (2 * classes + ratio)) / (
            2 * ones * classes + ones * ratio - rows * ratio
        )
        alpha = (theta * (ones - rows) + (rows - 1) * ones) / (rows * classes)
    return float(theta), float(alpha)


def _newton(
    start: tuple[float, float],
    size: NDArray[np.float64],
    count: NDArray[np.float64],
    classes: float,
    rows: float,
) -> tuple[float, float] | None:
    """Newton-Raphson on the likelihood equations, steps halved to stay in the domain; None if it goes on."""
    theta, alpha = np.float64(start[0]), np.float64(start[1])
    with np.errstate(all="ignore"):  # whatever overflows ends as not finite, and that is checked
        for _ in range(_STEPS):
            slope, curve = _slopes(theta, alpha, size, count, classes, rows)
            determinant = curve[0] * curve[2] - curve[1] ** 2
            down_theta = (slope[0] * curve[2] - slope[1] * curve[1]) / determinant
            down_alpha = (slope[1] * curve[0] - slope[0] * curve[1]) / determinant
            if not (np.isfinite(down_theta) and np.isfinite(down_alpha)):
                return None
            scale = 1.0
            while not _inside(theta - scale * down_theta, alpha - scale * down_alpha, classes):
                scale /= 2
                if scale < _ACCURACY:
                    return None
            theta, alpha = theta - scale * down_theta, alpha - scale * down_alpha
            if abs(down_theta) <= _ACCURACY * max(abs(theta), 1) and abs(down_alpha) <= _ACCURACY:
                at_edge = abs(alpha) < _EDGE or alpha > 1 - _EDGE or theta > _LARGEST
                maximum = curve[0] < 0 and determinant > 0
                return (float(theta), float(alpha)) if maximum and not at_edge else None
    return None


def _slopes(
    theta: float,
    alpha: float,
    size: NDArray[np.float64],
    count: NDArray[np.float64],
    classes: float,
    rows: float,
) -> tuple[tuple[float, float], tuple[float, float, float]]:
    """First and second derivatives of the log-likelihood in theta and alpha, in closed form."""
    from scipy.special import digamma, polygamma

    ratio = theta / alpha
    first = digamma(ratio + classes) - digamma(ratio + 1)
    second = polygamma(1, ratio + classes) - polygamma(1, ratio + 1)
    inner = digamma(size - alpha) - digamma(1 - alpha)
    inner_slope = polygamma(1, 1 - alpha) - polygamma(1, size - alpha)
    in_theta = first / alpha - (digamma(rows + theta) - digamma(theta + 1))
    in_alpha = (classes - 1 - ratio * first) / alpha - (count * inner).sum()
    theta_theta = second / alpha**2 - (polygamma(1, rows + theta) - polygamma(1, theta + 1))
    theta_alpha = -(first + ratio * second) / alpha**2
    alpha_alpha = (-(classes - 1) + 2 * ratio * first + ratio**2 * second) / alpha**2
    alpha_alpha = alpha_alpha - (count * inner_slope).sum()
    return (in_theta, in_alpha), (theta_theta, theta_alpha, alpha_alpha)


def _search(
    size: NDArray[np.float64], count: NDArray[np.float64], classes: float, rows: float
) -> tuple[float, float]:
    """A point near the maximum, by a search without derivatives where alpha is positive."""
    from scipy.optimize import minimize
    from scipy.special import expit, gammaln

    def loss(point: NDArray[np.float64]) -> float:
        alpha = float(np.clip(expit(point[1]), 1e-12, 1 - 1e-12))
        theta = float(np.exp(np.clip(point[0], -30, 40))) - alpha
        ratio = theta / alpha
        value = (classes - 1) * np.log(alpha) + gammaln(ratio + classes) - gammaln(ratio + 1)
        value -= gammaln(theta + rows) - gammaln(theta + 1)
        value += (count * (gammaln(size - alpha) - gammaln(1 - alpha))).sum()
        return float(-value)

    starts = [np.array([np.log(scale), tilt]) for scale in (1.0, classes) for tilt in (-1.0, 1.0)]
    options = {"xatol": 1e-10, "fatol": 1e-9, "maxiter": 4000}
    best = min(
        (minimize(loss, s, method="Nelder-Mead", options=options) for s in starts), key=lambda r: r.fun
    )
    alpha = float(expit(best.x[1]))
    return float(np.exp(np.clip(best.x[0], -30, 40))) - alpha, alpha
