"""The loss that generalisation minimises, exact.

share(v, level) = leaves mapped to v at that level / rows of the hierarchy. L_j = sum over rows of the table
of (1 if suppressed else share). loss_j = floor to 10 decimals of max(0, (L_j - N/m_j) / (N - N/m_j)), m_j =
rows of the hierarchy, N = rows of the table. arithmetic: mean over attributes; geometric: prod(1 +
loss_j)^(1/n) - 1.

All of it is whole numbers here: L_j m_j is one, loss_j is kept in units of 1e-10, and two releases are
compared by the sum (arithmetic) or the product (geometric) of whole numbers, so that ties are ties.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.hierarchy import Hierarchy
from comity.errors import UsageError

UNIT = 10**10
"""loss_j is counted in units of 1 / UNIT."""

AGGREGATES = ("arithmetic", "geometric")


class Loss:
    """Loss of releases of one table of `rows` rows under fixed hierarchies."""

    def __init__(self, hierarchies: Sequence[Hierarchy], rows: int, aggregate: str) -> None:
        if aggregate not in AGGREGATES:
            raise UsageError(f"aggregate is {aggregate!r}: it is one of {', '.join(AGGREGATES)}")
        self.aggregate = aggregate
        self.rows = rows
        self.leaves = tuple(len(hierarchy.rows) for hierarchy in hierarchies)

    def attribute(self, j: int, mass: int) -> int:
        """loss_j in units, for mass = L_j m_j: leaves covered, summed over rows (m_j for a suppressed row).

        An attribute whose hierarchy has one row has nothing to lose: 0.
        """
        spread = self.rows * (self.leaves[j] - 1)
        return max(0, (mass - self.rows) * UNIT // spread) if spread else 0

    def score(self, losses: Sequence[int]) -> int:
        """What is compared: less is better, equal is a tie."""
        if self.aggregate == "arithmetic":
            return sum(losses)
        return math.prod(UNIT + loss for loss in losses)

    def value(self, losses: Sequence[int]) -> float:
        """The loss as a number in [0, 1]."""
        if self.aggregate == "arithmetic":
            return sum(losses) / (UNIT * len(losses))
        return math.prod(1 + loss / UNIT for loss in losses) ** (1 / len(losses)) - 1

    def term(self, losses: Sequence[int]) -> NDArray[np.float64]:
        """Per attribute, a number whose sum over attributes orders releases as `score` does.

        Exact for arithmetic; within 1e-12 for geometric.
        """
        units = np.array(losses, dtype=np.float64)
        return units if self.aggregate == "arithmetic" else np.log1p(units / UNIT)

    @property
    def slack(self) -> float:
        """How far rounding may push a sum of terms."""
        return 0.0 if self.aggregate == "arithmetic" else 1e-11
