"""Models that bound how far a class's shares of sensitive values are from the table's, value by value.

Sources: beta-likeness (Cao and Karras 2012, "Publishing microdata with a robust privacy guarantee"),
delta-disclosure privacy (Brickell and Shmatikov 2008, "The cost of privacy").
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.models.class_models import decided, exact, finite
from comity.deidentify.models.partition import Partition
from comity.deidentify.search.capacity import rounded_down, under_shares
from comity.errors import UsageError

_DIGITS = 50


@dataclass(frozen=True)
class BetaLikeness:
    """No value is much more frequent in a class than in the table: (q - p) / p <= beta for q its share of the
    class and p its share of the table; enhanced, (q - p) / p <= min(beta, -ln p).

    Args:
        column: the sensitive column.
        beta: above 0.
        enhanced: also bounds the gain of frequent values, whose p leaves beta without effect.
    """

    column: str
    beta: float
    enhanced: bool = True
    steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        finite(self.beta, "beta", above=0)

    @property
    def sensitive(self) -> str:
        return self.column

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        found = partition.histogram(self.column)
        most = self._shares(found.totals / found.rows)
        q = found.counts / partition.sizes[found.classes]
        room = np.minimum.reduceat((most[found.values] - q) / most[found.values], found.starts)
        totals = found.totals.tolist()
        return decided(room, lambda i: self._holds(found.of(i), totals))

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        found = partition.histogram(self.column)
        return under_shares(found, partition.sizes, self._shares(found.totals / found.rows), 1.0)

    def _shares(self, p: NDArray[np.float64]) -> NDArray[np.float64]:
        """The most that each value may have of a class."""
        if not self.enhanced:
            return p * (1 + self.beta)
        with np.errstate(divide="ignore"):
            return p * (1 + np.minimum(self.beta, -np.log(p)))

    def _holds(self, counts: dict[int, int], totals: list[int]) -> bool:
        size, rows = sum(counts.values()), sum(totals)
        for value, count in counts.items():
            gain = Fraction(count * rows - totals[value] * size, totals[value] * size)
            if gain > exact(self.beta) or (
                self.enhanced and gain > 0 and _exceeds_log(gain, rows, totals[value])
            ):
                return False
        return True

    def describe(self) -> str:
        kind = "enhanced" if self.enhanced else "basic"
        return f"{kind} beta-likeness of '{self.column}', beta = {self.beta:g}"


@dataclass(frozen=True)
class DeltaDisclosure:
    """|log(q / p)| < delta for every value of the table and every class, q its share of the class and p its
    share of the table. So every class has every value. (ARX does not test values that a class lacks.)

    Args:
        column: the sensitive column.
        delta: above 0.
        base: of the logarithm, above 1: e by default; ARX counts in bits, base 2.
    """

    column: str
    delta: float
    base: float = math.e
    steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        finite(self.delta, "delta", above=0)
        finite(self.base, "base", above=1)
        if self.delta * math.log(self.base) > 700:
            raise UsageError(f"delta is {self.delta}: so large a ratio bounds nothing")

    @property
    def sensitive(self) -> str:
        return self.column

    @property
    def _ratio(self) -> float:
        return math.exp(self.delta * math.log(self.base))

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        found = partition.histogram(self.column)
        logs = np.log(found.counts / partition.sizes[found.classes]) - np.log(
            found.totals[found.values] / found.rows
        )
        bound = self.delta * math.log(self.base)
        room = bound - np.maximum.reduceat(np.abs(logs), found.starts)
        totals = found.totals.tolist()
        lacking = found.distinct < int((found.totals > 0).sum())
        return lacking | decided(room, lambda i: self._holds(found.of(i), totals))

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        """Each value keeps below ratio times its share, and the rest below the value's rows over the share
        that it must have at least."""
        found = partition.histogram(self.column)
        p = found.totals / found.rows
        above = under_shares(found, partition.sizes, p * self._ratio, 1.0)
        scarce = np.minimum.reduceat(found.counts / p[found.values], found.starts) * self._ratio
        most = np.minimum(above, rounded_down(scarce, partition.sizes))
        return np.where(found.distinct < int((found.totals > 0).sum()), 0, most)

    def _holds(self, counts: dict[int, int], totals: list[int]) -> bool:
        size, rows = sum(counts.values()), sum(totals)
        with localcontext() as context:
            context.prec = _DIGITS
            if self.base == math.e:
                ratio = Decimal(repr(float(self.delta))).exp()
            else:
                ratio = Decimal(repr(float(self.base))) ** Decimal(repr(float(self.delta)))
            return all(
                Decimal(count * rows) < ratio * (totals[value] * size)
                and Decimal(totals[value] * size) < ratio * (count * rows)
                for value, count in counts.items()
            )

    def describe(self) -> str:
        base = "" if self.base == math.e else f", logarithms to base {self.base:g}"
        return f"delta-disclosure privacy of '{self.column}', delta = {self.delta:g}{base}"


def _exceeds_log(gain: Fraction, rows: int, total: int) -> bool:
    """gain > ln(rows / total), to fifty digits; the two are never equal."""
    with localcontext() as context:
        context.prec = _DIGITS
        bound = (Decimal(rows) / Decimal(total)).ln()
        return Decimal(gain.numerator) / Decimal(gain.denominator) > bound
