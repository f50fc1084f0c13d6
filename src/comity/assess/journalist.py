"""The journalist's risk, estimated from the size of the population where its table is not at hand.

A row's risk is 1 / the people F of the population that look like it, and of those f are in the sample. In
Pitman's model (`comity.assess.uniqueness`) the next person drawn joins a class of f with probability (f -
alpha)/(n + theta), n the rows of the sample. Up to a population of N the class so gains a beta-binomial
number of people; for classes far smaller than the population that is a negative binomial number, with f -
alpha successes of probability p = (n + theta)/(N + theta). The risk is E[1/F] under it:

    E[1/F] = integral over t from 0 to 1 of t**(f-1) (p/(1 - (1-p) t))**(f - alpha)

With alpha = theta = 0 this is the individual risk of Benedetti and Franconi (1998), "Statistical and
technological solutions for controlled data dissemination", which mu-Argus and sdcMicro use. That one knows
nothing of how many classes are rare, and makes the risk far too low where the sample is a small part of the
population.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NODES = 256
_DEPTH = 45.0


def estimated_risks(
    sizes: NDArray[np.integer], population: int, fit: tuple[float, float]
) -> tuple[float, float]:
    """The highest and the mean risk over the rows of a sample.

    Args:
        sizes: (classes,) rows of the sample in each equivalence class, all at least 1.
        population: its size, at least the sample's.
        fit: Pitman's (theta, alpha), alpha below 1.

    Returns:
        Two chances in [0, 1]. The whole population as sample gives the prosecutor's.
    """
    size, count = np.unique(np.asarray(sizes, dtype=np.int64), return_counts=True)
    rows = int((size * count).sum())
    theta, alpha = fit
    risk = class_risk(size, (rows + theta) / (population + theta), alpha)
    return float(risk.max()), float((size * count * risk).sum() / rows)


def class_risk(size: NDArray[np.integer], chance: float, alpha: float = 0.0) -> NDArray[np.float64]:
    """E[1/F] for each class of f = `size` rows of the sample.

    Args:
        size: (sizes,) at least 1.
        chance: p above, in (0, 1].
        alpha: Pitman's, below 1.
    """
    f = np.asarray(size, dtype=np.float64)
    if chance >= 1:
        return 1 / f
    # 1 - (1-p) t = p e**y turns the peak at t = 1 into a smooth fall of rate f - alpha - 1 in y
    rate = f - alpha - 1
    depth = np.minimum(-np.log(chance), np.where(rate > 0, _DEPTH / np.maximum(rate, 1e-300), np.inf))
    node, weight = np.polynomial.legendre.leggauss(_NODES)
    y = depth[:, None] * (node + 1) / 2
    t = np.maximum(-np.expm1(np.log(chance) + y) / (1 - chance), 0.0)
    value = t ** (f[:, None] - 1) * np.exp(-rate[:, None] * y)
    integral = (value * weight).sum(axis=1) * depth / 2 * chance / (1 - chance)
    return np.clip(integral, 0.0, 1 / f)
