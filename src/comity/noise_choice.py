"""The exponential mechanism: one of several candidates, by exact chances.

Scores are whole numbers, the rate is a fraction, and a candidate's chance is exactly proportional to
exp(rate * score): candidates are named at random and kept with the coins of `comity.noise`, whose chances
exp(-gamma) are exact (Canonne, Kamath and Steinke 2020). A floating-point softmax or Gumbel noise would not
be: the last bit of a float tells a value (Mironov 2012), and so it does here (Ilvento 2020).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from comity.errors import UsageError
from comity.noise import LARGEST, Integers, bernoulli_exp, uniform_below

_ROUNDS = 64
"""Names drawn at once, per candidate. The best one is always kept, so that none is kept with probability
below e^-64: how long a draw takes does not depend on the scores."""


def choose(scores: Integers, rate: Fraction) -> int:
    """The place of one candidate, drawn with probability exactly proportional to exp(rate * score).

    With rate = epsilon / (2 sensitivity) it is epsilon-private, and its log-probabilities move within a
    range of epsilon (`ledger.exponential`).

    Args:
        scores: (candidates,) int64, at least one, each below 2^61 in magnitude.
        rate: 0 or more.

    Raises:
        UsageError: for other scores or rates.
    """
    if scores.dtype != np.int64 or scores.ndim != 1 or len(scores) == 0:
        raise UsageError("a choice needs one whole-number score (int64) per candidate, and one candidate")
    if rate < 0:
        raise UsageError(f"the rate of a choice is 0 or more, not {rate}")
    if max(abs(int(scores.max())), abs(int(scores.min()))) >= LARGEST // 2:
        raise UsageError("a score does not fit; use a coarser grid", private=True)
    behind = scores.max() - scores
    gammas = behind.astype(np.float64) * float(rate)
    while True:
        named = uniform_below(len(scores), _ROUNDS * len(scores))
        low = gammas[named] * (1 - 2.0**-48)
        high = gammas[named] * (1 + 2.0**-48)

        def exact(at: int, named: Integers = named) -> Fraction:
            return rate * int(behind[named[at]])

        kept = np.flatnonzero(bernoulli_exp(low, high, exact))
        if len(kept):
            return int(named[kept[0]])
