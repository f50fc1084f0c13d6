"""Confidence intervals for attack figures: shares, and differences of shares.

Sources: Wilson (1927) for a share; Newcombe (1998), method 10, for the difference of two independent shares.
"""

from __future__ import annotations

import math

from comity.errors import BadInput

NORMAL_95 = 1.959963984540054
"""Two-sided 95% quantile of the normal distribution."""


def wilson(hits: float, trials: int, *, quantile: float = NORMAL_95) -> tuple[float, float]:
    """95% interval of a share: hits out of trials.

    Raises:
        BadInput: if there are no trials, or hits lie outside them.
    """
    if trials < 1 or not 0 <= hits <= trials:
        raise BadInput(f"{hits} hits in {trials} trials is no share")
    share, square = hits / trials, quantile**2
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    spread = share * (1 - share) / trials + square / (4 * trials**2)
    half = quantile * math.sqrt(max(0.0, spread)) / (1 + square / trials)
    return max(0.0, middle - half), min(1.0, middle + half)


def newcombe(
    hits: float, trials: int, other_hits: float, other_trials: int, *, quantile: float = NORMAL_95
) -> tuple[float, float]:
    """95% interval of one share minus another."""
    first, second = hits / max(1, trials), other_hits / max(1, other_trials)
    low, high = wilson(hits, trials, quantile=quantile)
    other_low, other_high = wilson(other_hits, other_trials, quantile=quantile)
    difference = first - second
    return (
        max(-1.0, difference - math.hypot(first - low, other_high - second)),
        min(1.0, difference + math.hypot(high - first, second - other_low)),
    )
