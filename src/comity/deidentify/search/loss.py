"""The loss that generalisation minimises, exact.

share(v, level) = leaves mapped to v at that level / rows of the hierarchy. L_j = sum over rows of the table
of (1 if suppressed else share). loss_j = floor to 10 decimals of max(0, (L_j - N/m_j) / (N - N/m_j)), m_j =
rows of the hierarchy, N = rows of the table. arithmetic: mean over attributes; geometric: prod(1 +
loss_j)^(1/n) - 1.

With weights w_j, what is minimised is the weighted mean instead: sum(w_j loss_j) / W, or prod(1 +
loss_j)^(w_j / W) - 1, W = sum(w_j); equal weights give the loss above. ARX's arithmetic mean, sum(w_j loss_j)
/ (n max w), puts releases in the same order. Its geometric mean multiplies each 1 + loss_j by w_j, so that
weights change no order there at all; here they are exponents, as a weighted geometric mean has them.

All of it is whole numbers here: L_j m_j is one, loss_j is kept in units of 1e-10, weights are brought to the
smallest whole numbers in the same ratio, and two releases are compared by the sum (arithmetic) or the product
(geometric) of whole numbers, so that ties are ties.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from numbers import Rational

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.errors import UsageError

UNIT = 10**10
"""loss_j is counted in units of 1 / UNIT."""

AGGREGATES = ("arithmetic", "geometric")

MOST_WEIGHT = 10_000
"""The greatest whole number that a weight may come to: sums of weighted losses stay exact in a float."""


class Loss:
    """Loss of releases of one table of `rows` rows under fixed hierarchies.

    Attributes:
        weights: per quasi-identifier, a whole number; all 1 by default.
    """

    def __init__(
        self,
        hierarchies: Sequence[Hierarchy],
        rows: int,
        aggregate: str,
        weights: Sequence[int] | None = None,
    ) -> None:
        if aggregate not in AGGREGATES:
            raise UsageError(f"aggregate is {aggregate!r}: it is one of {', '.join(AGGREGATES)}")
        self.aggregate = aggregate
        self.rows = rows
        self.leaves = tuple(len(hierarchy.rows) for hierarchy in hierarchies)
        self.weights = tuple(weights or (1,) * len(self.leaves))

    def attribute(self, j: int, mass: int) -> int:
        """loss_j in units, for mass = L_j m_j: leaves covered, summed over rows (m_j for a suppressed row).

        An attribute whose hierarchy has one row has nothing to lose: 0.
        """
        spread = self.rows * (self.leaves[j] - 1)
        return max(0, (mass - self.rows) * UNIT // spread) if spread else 0

    def score(self, losses: Sequence[int]) -> int:
        """What is compared: less is better, equal is a tie."""
        if self.aggregate == "arithmetic":
            return sum(weight * loss for weight, loss in zip(self.weights, losses, strict=True))
        return math.prod(
            (UNIT + loss) ** weight for weight, loss in zip(self.weights, losses, strict=True) if weight
        )

    def value(self, losses: Sequence[int]) -> float:
        """The loss as a number in [0, 1], whatever the weights."""
        if self.aggregate == "arithmetic":
            return sum(losses) / (UNIT * len(losses))
        return math.prod(1 + loss / UNIT for loss in losses) ** (1 / len(losses)) - 1

    def objective(self, losses: Sequence[int]) -> float:
        """What is minimised, as a number in [0, 1]: the loss with attributes weighted."""
        if len(set(self.weights)) == 1:
            return self.value(losses)
        if self.aggregate == "arithmetic":
            return self.score(losses) / (UNIT * sum(self.weights))
        logs = [w * math.log1p(loss / UNIT) for w, loss in zip(self.weights, losses, strict=True)]
        return min(1.0, math.expm1(math.fsum(logs) / sum(self.weights)))  # rounding may pass 1

    def term(self, j: int, losses: Sequence[int]) -> NDArray[np.float64]:
        """Attribute j's part of a sum that orders releases as `score` does, for each of its possible losses.

        Exact for arithmetic; within 1e-12 of the weight for geometric.
        """
        units = np.array(losses, dtype=np.float64)
        plain = units if self.aggregate == "arithmetic" else np.log1p(units / UNIT)
        return np.multiply(plain, self.weights[j], dtype=np.float64)

    def total(self, losses: Sequence[int]) -> float:
        """The sum of the terms of one loss per attribute."""
        return float(sum(self.term(j, [loss])[0] for j, loss in enumerate(losses)))

    def of_total(self, total: float) -> float:
        """The objective of a sum of terms, lowered by what rounding may have raised it."""
        share = max(0.0, total - self.slack) / sum(self.weights)
        return share / UNIT if self.aggregate == "arithmetic" else math.expm1(share)

    @property
    def slack(self) -> float:
        """How far rounding may push a sum of terms."""
        return 0.0 if self.aggregate == "arithmetic" else 1e-11 * max(self.weights)


def whole_weights(names: Sequence[str], weights: Mapping[str, float] | None) -> tuple[int, ...]:
    """Weights as the smallest whole numbers in the same ratio; 1 for a column that is not named.

    A weight is a decimal as written: 0.1 is 1/10, not the nearest binary fraction.

    Raises:
        UsageError: for a column that is no quasi-identifier, a weight that is negative or no number, weights
            that are all 0, or such as need whole numbers above `MOST_WEIGHT`.
    """
    given = dict(weights or {})
    unknown = [name for name in given if name not in names]
    if unknown:
        raise UsageError(f"weights names '{unknown[0]}', which is no quasi-identifier")
    exact = [_as_written(name, given.get(name, 1)) for name in names]
    if not any(exact):
        raise UsageError("all weights are 0: give at least one quasi-identifier a weight above 0")
    scale = math.lcm(*(weight.denominator for weight in exact))
    whole = [int(weight * scale) for weight in exact]
    common = math.gcd(*whole)
    whole = [weight // common for weight in whole]
    if max(whole) > MOST_WEIGHT:
        raise UsageError(
            f"the weights need whole numbers up to {max(whole)} to stand in their ratio; at most "
            f"{MOST_WEIGHT} are counted exactly. Round them, for example to 0.5, 1 and 2.5"
        )
    return tuple(whole)


def _as_written(name: str, weight: object) -> Fraction:
    if isinstance(weight, Rational) and not isinstance(weight, bool) and Fraction(weight) >= 0:
        return Fraction(weight)
    if isinstance(weight, float) and math.isfinite(weight) and weight >= 0:
        return Fraction(repr(float(weight)))
    raise UsageError(f"the weight of '{name}' is {weight!r}: it has to be a finite number of at least 0")
