"""Channels: a value is replaced by one drawn with known probabilities (PRAM, randomised response).

The matrix is public, so whoever receives the values can correct for it: `Channel.estimate` gives unbiased
counts of the true values with standard errors. Probabilities are whole numbers over 2^62, and epsilon is
read off those very numbers: the largest ratio, over answers, of the probabilities that two true values give
the same answer. So what is claimed is what is drawn, with no rounding in between.

Sources: Warner 1965; Gouweleeuw, Kooiman, Willenborg and de Wolf 1998 (PRAM); Kairouz, Bonawitz and Ramage
2016 (k-ary randomised response); Li, Wang, Lopuhaä-Zwakenberg, Li and Škorić 2020 (square wave); Holohan,
Antonatos, Braghin and Mac Aonghusa 2018 (bounded Laplace).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.errors import UsageError
from comity.ledger import Cost, pure, randomized_response, without_dp
from comity.ledger.currency import NANO, decimal, evaluated

WHOLE: Final = noise.LARGEST
"""What a row of weights sums to."""

MOST_LEVELS: Final = 1025
LEAST_EPSILON: Final = 1e-6
LARGEST_EPSILON: Final = 30.0


@dataclass(frozen=True)
class Estimate:
    """True counts as they are estimated from answers; (k,) each, in the channel's order of levels.

    Attributes:
        counts: unbiased, so an estimate may lie below 0.
        standard_errors: of the random answers alone; the table itself is taken as it is.
    """

    counts: NDArray[np.float64]
    standard_errors: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Channel:
    """Which answer each true value gets, and how often.

    Attributes:
        levels: the k values, which are the possible answers too; None stands for a missing value.
        weights: (k, k) int64; the probability of answer y to x is weights[x, y] / 2^62.
    """

    levels: tuple[Any, ...]
    weights: NDArray[np.int64]

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(k, k) probabilities as floats, rows summing to 1."""
        return self.weights / WHOLE

    @property
    def ratio(self) -> Fraction | None:
        """The largest ratio of the probabilities of one answer under two true values; None if unbounded."""
        largest, least = self.weights.max(axis=0), self.weights.min(axis=0)
        possible = largest > 0
        if bool((least[possible] == 0).any()):
            return None
        pairs = zip(largest[possible].tolist(), least[possible].tolist(), strict=True)
        return max(Fraction(top, bottom) for top, bottom in pairs)

    @property
    def epsilon(self) -> float:
        """Of local differential privacy for one value, in nats, rounded up; infinity if unbounded."""
        nanos = self._nanos()
        return math.inf if nanos is None else nanos / NANO

    @property
    def cost(self) -> Cost:
        """Per record, change-one: what one record's value in this one column may be. No other is covered."""
        nanos = self._nanos()
        if nanos is None:
            return without_dp(unit="record", relation="change-one")
        off = self.weights[~np.eye(len(self.weights), dtype=bool)]
        answers_alike = len(self.weights) > 1 and bool((off == off[0]).all())
        if answers_alike and bool((self.weights.diagonal() >= off[0]).all()):
            levels = len(self.weights)
            return randomized_response(Fraction(nanos, NANO), levels, unit="record", relation="change-one")
        return pure(Fraction(nanos, NANO), unit="record", relation="change-one")

    def epsilon_within(self, steps: int) -> float:
        """Epsilon between two values that lie at most so many levels apart, in nats; infinity if unbounded.

        What noise of moderate size gives besides the epsilon between any two values: it says how well close
        values are hidden from each other, and no account is kept of it.
        """
        worst = 0.0
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(self.matrix)
            for distance in range(1, min(steps, len(self.levels) - 1) + 1):
                moved = np.abs(logs[distance:] - logs[:-distance])
                both = np.isneginf(logs[distance:]) & np.isneginf(logs[:-distance])
                worst = max(worst, float(np.where(both, 0.0, moved).max()))
        return worst

    def answer(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """(n,) answers for (n,) codes, drawn independently by `comity.noise`."""
        return noise.answers(codes, self.weights)

    def estimate(self, counts: Sequence[float] | NDArray[Any]) -> Estimate:
        """True counts from counts of the answers: the inverse of the matrix, applied to them.

        Raises:
            UsageError: if there is not one count per level, or the matrix has no inverse.
        """
        seen = np.asarray(counts, dtype=np.float64)
        if seen.shape != (len(self.levels),):
            raise UsageError(f"there are {len(self.levels)} levels, so give as many counts, not {seen.shape}")
        matrix = self.matrix
        if np.linalg.cond(matrix) > 1e12:
            raise UsageError("the matrix of this channel has no inverse: true counts cannot be told from it")
        back = np.linalg.inv(matrix.T)
        found = back @ seen
        truth = np.maximum(found, 0.0)
        spread = np.diag(truth @ matrix) - (matrix.T * truth) @ matrix
        variances = ((back @ spread) * back).sum(axis=1)
        return Estimate(found, np.sqrt(np.maximum(variances, 0.0)))

    def _nanos(self) -> int | None:
        ratio = self.ratio
        if ratio is None or ratio == 1:
            return None if ratio is None else 0
        return evaluated(lambda: decimal(ratio).ln(), up=True)


def response_channel(levels: Sequence[Any], epsilon: float) -> Channel:
    """k-ary randomised response: the true level with e^epsilon times the probability of any other one.

    The optimal channel for counts of k levels when epsilon is large (Kairouz et al. 2016). The probability of
    the others is rounded up, so epsilon is never above what is asked.

    Raises:
        UsageError: for fewer than 2 levels, equal levels, or epsilon outside 1e-6 to 30.
    """
    names = _levels(levels)
    rate = _epsilon(epsilon)
    k = len(names)
    other = evaluated(lambda: Decimal(WHOLE) / NANO / (decimal(rate).exp() + (k - 1)), up=True)
    weights = np.full((k, k), other, dtype=np.int64)
    np.fill_diagonal(weights, WHOLE - (k - 1) * other)
    return Channel(names, weights)


def matrix_channel(levels: Sequence[Any], matrix: Sequence[Sequence[float]] | NDArray[Any]) -> Channel:
    """PRAM with a matrix of one's own: row x holds the probabilities of the answers to x.

    Rows may miss 1 by rounding, 1e-9 at most; what is missing goes to the row's largest entry.

    Raises:
        UsageError: if it is not a (k, k) matrix of probabilities.
    """
    names = _levels(levels)
    given = np.asarray(matrix, dtype=np.float64)
    if given.shape != (len(names), len(names)):
        raise UsageError(f"{len(names)} levels need a square matrix of that size, not {given.shape}")
    if not bool((given >= 0).all() and (np.abs(given.sum(axis=1) - 1) <= 1e-9).all()):
        raise UsageError("every row of the matrix holds probabilities that sum to 1; correct the matrix")
    return Channel(names, whole_weights(given))


def distance_channel(levels: Sequence[Any], epsilon: float) -> Channel:
    """Bounded noise on equally spaced levels: probabilities fall as exp(-a |x - y|), renormalised per row.

    It is Laplace noise conditioned on staying within the bounds. Conditioning is not free in general, since
    the normalising constants C_x of two true values differ (Holohan et al. 2018). Here the two values may be
    any of the m + 1 levels, and a = epsilon / m suffices: the log-ratio of the probabilities of an answer
    under x < x' is at most a (x' - x) + log(C_x' / C_x), which grows with x' - since C_(t+1) >= e^-a C_t -
    and, mirrored, falls with x; so the worst pair is the two ends, where the constants are equal and the
    ratio is e^(a m). That proof is checked on the whole numbers that are drawn from: a is lowered until
    their largest ratio is at most e^epsilon.

    Raises:
        UsageError: as `response_channel`.
    """
    names = _levels(levels)
    asked = math.floor(_epsilon(epsilon) * NANO) / NANO
    distance = np.abs(np.subtract.outer(np.arange(len(names)), np.arange(len(names))))
    rate = asked
    for attempt in range(32):
        shape = np.exp(-rate / (len(names) - 1) * distance)
        channel = Channel(names, whole_weights(shape / shape.sum(axis=1, keepdims=True)))
        excess = channel.epsilon - asked
        if excess <= 0:
            return channel
        # whole numbers move in steps, which a small change of the rate may not reach
        rate = max(0.0, rate - max(1.5 * excess, 2.0**attempt / NANO))
    raise UsageError(f"no channel of epsilon {asked:g} was found for {len(names)} levels; use a coarser step")


def band_channel(levels: Sequence[Any], epsilon: float) -> Channel:
    """Bounded noise on equally spaced levels: near ones e^epsilon times as likely as all others.

    The band holds 2 b + 1 levels for every true value; near the ends it is moved inwards, so there are two
    probabilities in all, and epsilon is the log of their ratio: no constants differ. b is the one with the
    least mean distance between value and answer, averaged over all levels; it depends on k and epsilon alone.
    At every epsilon that distance is below `distance_channel`'s (for 111 levels and epsilon 4: 7.9 steps, not
    19.5). The square wave of Li et al. 2020, whose answers leave the range, kept within it.

    Raises:
        UsageError: as `response_channel`.
    """
    names = _levels(levels)
    rate = _epsilon(epsilon)
    k = len(names)
    places = np.arange(k)
    width = _best_width(k, float(rate))
    first = np.clip(places - width // 2, 0, k - width)
    other = evaluated(lambda: Decimal(WHOLE) / NANO / (width * decimal(rate).exp() + (k - width)), up=True)
    inside, rest = divmod(WHOLE - (k - width) * other, width)
    weights = np.full((k, k), other, dtype=np.int64)
    for row, start in zip(weights, first.tolist(), strict=True):
        row[start : start + width] = inside
        # what does not divide goes to a level outside, which lowers no ratio's bound
        row[0 if start else width] += rest
    return Channel(names, weights)


def _best_width(k: int, epsilon: float) -> int:
    """The odd width of the band, below k, that gives the least mean distance."""
    distance = np.abs(np.subtract.outer(np.arange(k), np.arange(k))).astype(np.float64)
    sums = np.concatenate([np.zeros((k, 1)), np.cumsum(distance, axis=1)], axis=1)
    rows = np.arange(k)
    errors: dict[int, float] = {}
    for width in range(1, k, 2):
        first = np.clip(rows - width // 2, 0, k - width)
        band = float((sums[rows, first + width] - sums[rows, first]).sum())
        outside = 1 / (width * math.exp(epsilon) + k - width)
        errors[width] = outside * (float(distance.sum()) + math.expm1(epsilon) * band)
    return min(errors, key=lambda width: (errors[width], width))


def whole_weights(matrix: NDArray[np.float64]) -> NDArray[np.int64]:
    """Probabilities as whole numbers over 2^62; what rounding leaves over goes to each row's largest."""
    weights = np.floor(matrix / matrix.sum(axis=1, keepdims=True) * float(WHOLE)).astype(np.int64)
    for row in weights:
        row[int(row.argmax())] += WHOLE - sum(row.tolist())
    return weights


def _levels(levels: Sequence[Any]) -> tuple[Any, ...]:
    names = tuple(levels)
    if not 2 <= len(names) <= MOST_LEVELS or len(set(names)) != len(names):
        raise UsageError(
            f"a channel has 2 to {MOST_LEVELS} levels, each once, and was given {len(names)}; "
            "group levels or use a coarser step"
        )
    return names


def _epsilon(epsilon: float) -> Fraction:
    if not LEAST_EPSILON <= epsilon <= LARGEST_EPSILON:
        raise UsageError(f"epsilon lies between {LEAST_EPSILON:g} and {LARGEST_EPSILON:g}, not at {epsilon}")
    return Fraction(repr(float(epsilon)))
