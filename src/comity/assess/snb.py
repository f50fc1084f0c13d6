"""The slide negative binomial model of how many members of a population are unique.

Chen and Keller-McNulty (1998), "Estimation of identification disclosure risk in microdata", Journal of
Official Statistics 14(1): the size of a population class is 1 plus a negative binomial number, P(1) =
beta**alpha, and each member is in the sample with probability f. With d = (1 - f)(1 - beta) the expected
numbers of classes of one and of two rows in the sample are

    E1 = K f (beta/(1-d))**alpha (1 + alpha d/(1-d))
    E2 = K f**2/2 alpha (1-beta) beta**alpha (2 - (1-alpha) d) / (1-d)**(alpha+2)

and alpha and beta solve E1 = c1, E2 = c2. K, the classes of the population, is Shlosser's estimator as
modified by Haas and Stokes (1998), "Estimating the number of classes in a finite population", JASA 93. The
estimate is K beta**alpha.

E2/E1 does not hold K or the power, and for each beta one alpha > 0 gives it the value c2/c1: the root of a
quadratic. That leaves one equation in beta, whose roots are bracketed on a grid and found by bisection: no
start has to be guessed, and that there is no root is known, not feared. K is rough where the sample is a
small part of the population; a fit whose K classes would hold less than half or more than twice the people
there are is refused as no estimate. The ARX anonymisation tool solves both equations by Newton's method from
a fixed start, and multiplies where E2 divides by (1-d)**(alpha+2), so its figure, where it has one, may
differ.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GRID = 2001
_WIDEST = 40.0
_HALVINGS = 200
_FARTHEST = 2.0


def snb_share(sizes: NDArray[np.integer], population: int) -> tuple[float | None, str]:
    """Estimated share of the population that is unique, and a word on it where there is none.

    Args:
        sizes: (classes,) rows of the sample in each equivalence class, all at least 1.
        population: its size, at least the sample's.

    Returns:
        The share in [0, 1] and "", or None and why the model has no estimate.
    """
    size, count = np.unique(np.asarray(sizes, dtype=np.int64), return_counts=True)
    if len(size) == 0 or size[0] != 1:
        return 0.0, ""
    rows, ones = int((size * count).sum()), float(count[0])
    if rows >= population:
        return ones / population, ""
    if len(size) == 1 or size[1] != 2:
        return None, "no class of the sample has two rows, and the model needs some"
    fraction = rows / population
    classes = population_classes(size, count, fraction)
    found = _roots(classes, fraction, ones, float(count[1]))
    if not found:
        return None, "no parameters of the model give the sample's numbers of classes of one and of two rows"
    # several pairs may fit; the one whose classes hold the people there are is taken
    people, (alpha, beta) = min(
        ((_mean_size(*fit) * classes, fit) for fit in found),
        key=lambda each: abs(np.log(each[0] / population)),
    )
    if not population / _FARTHEST <= people <= population * _FARTHEST:
        return (
            None,
            f"the model does not fit: its classes would hold {people:,.0f} people, not {population:,}",
        )
    uniques = classes * beta**alpha
    if not 0 <= uniques <= population:
        return None, "the model's estimate is larger than the population"
    return float(uniques / population), ""


def population_classes(size: NDArray[np.int64], count: NDArray[np.int64], fraction: float) -> float:
    """Shlosser's modified estimate of the number of classes in the population (Haas and Stokes 1998, D_Sh3).

    Args:
        size: sizes of the sample's classes, ascending from 1.
        count: how many classes have each size.
        fraction: rows of the sample / people of the population, in (0, 1).
    """
    i, n = size.astype(np.float64), count.astype(np.float64)
    missed = np.exp(i * np.log1p(-fraction))  # (1 - f)**i
    # (1 - f)**i ((1 + f)**i - 1) as missed (e**x - 1); above x = 50 the - 1 is lost, and e**x may overflow
    grown = i * np.log1p(fraction)
    squared = np.exp(i * np.log1p(-(fraction**2)))
    both = np.where(grown < 50, missed * np.expm1(np.minimum(grown, 50)), squared)
    twice = fraction**2 * np.exp((i - 1) * np.log1p(-(fraction**2)))
    once = fraction * np.exp((i - 1) * np.log1p(-fraction))
    spread = float((i * twice * n).sum() / (both * n).sum())
    ratio = float((missed * n).sum() / (i * once * n).sum())
    return float(n.sum() + n[0] * spread * ratio**2)


def _roots(classes: float, fraction: float, ones: float, twos: float) -> list[tuple[float, float]]:
    """All (alpha, beta) that solve both equations, found between neighbours on a grid of logit(beta)."""

    def excess(logit: NDArray[np.float64]) -> NDArray[np.float64]:
        beta, rest = _logistic(logit)
        alpha = _alpha(beta, rest, fraction, twos / ones)
        inside, outside = (1 - fraction) * rest, beta + fraction * rest
        # log(beta/(1-d)) as it stands would be rounding noise near beta = 1, and alpha is large there
        power = alpha * np.log1p(-fraction * rest / outside)
        return np.log(classes * fraction / ones) + power + np.log1p(alpha * inside / outside)

    grid = np.linspace(-_WIDEST, _WIDEST, _GRID)
    with np.errstate(all="ignore"):  # what is not finite brackets nothing
        value = excess(grid)
        changes = np.flatnonzero(
            np.isfinite(value[:-1]) & np.isfinite(value[1:]) & (value[:-1] * value[1:] <= 0)
        )
        found = []
        for at in changes:
            low, high, sign = grid[at], grid[at + 1], value[at] > 0
            for _ in range(_HALVINGS):
                middle = (low + high) / 2
                if middle in (low, high):
                    break
                if (excess(np.asarray(middle)) > 0) == sign:
                    low = middle
                else:
                    high = middle
            beta, rest = _logistic(np.asarray(low))
            found.append((float(_alpha(beta, rest, fraction, twos / ones)), float(beta)))
    return found


def _logistic(logit: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """beta and 1 - beta, both without cancellation."""
    return 1 / (1 + np.exp(-logit)), 1 / (1 + np.exp(logit))


def _alpha(
    beta: NDArray[np.float64], rest: NDArray[np.float64], fraction: float, ratio: float
) -> NDArray[np.float64]:
    """The one positive alpha for which E2/E1 is `ratio`.

    With q = 1 - beta: f q alpha (2 - d + alpha d)/2 = ratio (1 - d)(1 - d + alpha d).
    """
    inside = (1 - fraction) * rest
    outside = beta + fraction * rest  # 1 - d
    square = fraction * rest * inside / 2
    line = fraction * rest * (2 - inside) / 2 - ratio * outside * inside
    last = ratio * outside**2
    root = np.sqrt(line**2 + 4 * square * last)
    # two forms of the same root: each is free of cancellation on its side of line = 0
    return np.where(line > 0, 2 * last / (line + root), (root - line) / (2 * square))


def _mean_size(alpha: float, beta: float) -> float:
    """Mean size of a population class."""
    return 1 + alpha * (1 - beta) / beta
