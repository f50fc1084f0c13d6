"""Feedback about a hosted model: the provider holds features, ids and labels, so scores are private too.

One question for all metrics: how many records of each label have a score in each of a fixed list of bins,
by the levels of a declared column if wanted. Bins and levels are public, so nothing is refused by size and no
answer's form depends on the data. A record that comes or goes changes one count by one: L2 and L1
sensitivity are 1 (for persons, the most rows that one may have). The counts are noised once; every metric is
derived from them. Unit: record or person; relation: add-remove.

Intervals: first-order error propagation of the noise, at 95%, widened by what bins hide (where in its bin a
score lies), so that they speak of the metric of the scores themselves.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.data import people as people_of
from comity.errors import BadInput, UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate, gaussian_noise_multiplier
from comity.mechanism import Noise
from comity.schema import Column, Schema, Unit
from comity.validate.hosted_estimate import Estimate, rank_pairs, ratio
from comity.validate.hosted_groups import HostedGroups
from comity.validate.mechanism import NoisySums, Price, Sizes, calibrate, noised

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_ROWS: Final = 1 << 31
"""More rows than a provider may have: how many it has is private, and the room for sums must not tell."""
MOST_ROWS_OF_ONE: Final = 1_000
_FINE: Final = 2.0**22 * (1 - 2.0**-20)
_LARGEST_EPSILON: Final = 8.0  # beyond it the grid's share of delta would not fit; more noise is no harm
LEAST_SCORE: Final = 0.01
"""Chances below it count as it where a logarithm is taken: no record's log-loss is above -log of it."""
_MOST_BINS: Final = 1000


@dataclass(frozen=True)
class HostedUnit:
    """Whose coming or going is hidden.

    Attributes:
        unit: `record`, or `person` where several rows may be one person's.
        rows: the most rows of one person, 1 for records; those beyond, and rows of nobody, are left out.
        column: the column that says whose row it is; None where each row is a record of its own.
    """

    unit: PrivacyUnit = PrivacyUnit.record
    rows: int = 1
    column: str | None = None

    @classmethod
    def of(cls, unit: Unit, columns: Mapping[str, Column] | None = None) -> Self:
        """As a schema or an agreement says; its columns say whether a unit is a record (`people.Unit`).

        Raises:
            UsageError: if a person may have more rows than sums have room for.
        """
        whose = people_of.Unit.of(unit, columns or {})
        if whose.column is None or whose.of_records:
            return cls(PrivacyUnit.record, 1, whose.column)
        if unit.max_rows > MOST_ROWS_OF_ONE:
            raise UsageError(
                f"unit.max_rows is {unit.max_rows:,}; hosted validation takes at most {MOST_ROWS_OF_ONE:,} "
                "rows of one person: lower it, and the rows beyond are left out"
            )
        return cls(PrivacyUnit.person, unit.max_rows, unit.column)

    def sizes(self, row: Sizes) -> Sizes:
        """Of one unit, given those of one row: norms add up over a person's rows."""
        return replace(row, l1=row.l1 * self.rows, l2=row.l2 * self.rows)

    def kept(self, people: Sequence[Any]) -> Integers:
        """Places of the rows that count: the first `rows` of each person. `people` is one name per row.

        Which rows of a person count depends on that person's rows alone, so that nobody else's coming or
        going moves them. A row with no name could be anybody's: it does not count.
        """
        return np.flatnonzero(people_of.Unit(self.column, self.rows).numbers(people) >= 0)


@dataclass(frozen=True)
class HostedPrice:
    """What a whole conversation costs a provider, fixed before its first answer.

    One Gaussian composition: a share s of the budget gives noise 1 / sqrt(s) times that of an answer that has
    it all, and shares add up to 1 (Dong, Roth and Su 2022: Gaussian mechanisms compose to a Gaussian one,
    also where a question is chosen after earlier answers). The grid's delta for all sums together is taken
    out first.

    Attributes:
        epsilon, delta: of all answers together.
        unit: whose coming or going it is about.
        dimensions: of all answers together.
    """

    epsilon: float
    delta: float
    unit: HostedUnit
    dimensions: int

    @property
    def cost(self) -> Cost:
        """What the account is charged. Relation add-remove."""
        return approximate(self.epsilon, self.delta, unit=self.unit.unit, relation=Relation.add_remove)

    @property
    def multiplier(self) -> float:
        """Noise over sensitivity of an answer that has the whole budget."""
        epsilon = min(self.epsilon, _LARGEST_EPSILON)
        grid = noise.discretisation_delta(_FINE, self.dimensions, epsilon)
        if not grid <= self.delta / 2:
            raise UsageError(
                f"delta {self.delta:g} is too small for {self.dimensions} sums on the integer grid; "
                f"it must be at least {2 * grid:.2g}"
            )
        return gaussian_noise_multiplier(epsilon, self.delta - grid)

    def calibration(self, sizes: Sizes, share: float) -> Noise:
        """The noise of one answer that has this share of the budget; `sizes` are for one row."""
        return calibrate(
            self.unit.sizes(sizes),
            Price(self.epsilon, self.delta, self.multiplier / math.sqrt(share) * (1 + 2.0**-40)),
        )

    def answer(self, exact: Integers, sizes: Sizes, share: float) -> NoisySums:
        """(dimensions,) sums with the noise of that share. To be called after the charge is durable."""
        return noised(exact, self.calibration(sizes, share))


@dataclass(frozen=True)
class HostedQuestion:
    """Counts of records per score bin and label, by the levels of a column if wanted.

    Attributes:
        edges: (bins - 1,) inner edges, ascending in (0, 1); bin i holds edges[i-1] <= score < edges[i].
        column: group by this column of the schema; None: all records together.
        levels: the column's public levels, in order; any other value and missing ones make one more group.
    """

    edges: tuple[float, ...]
    column: str | None = None
    levels: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        ends = (0.0, *self.edges, 1.0)
        if len(ends) > _MOST_BINS or not all(a < b for a, b in pairwise(ends)):
            raise BadInput(f"score bins are cut at ascending edges between 0 and 1, at most {_MOST_BINS - 2}")

    @classmethod
    def equal_width(cls, bins: int = 20, *, schema: Schema | None = None, by: str | None = None) -> Self:
        """`bins` bins of equal width, by the declared levels of a column.

        Raises:
            BadInput: if the column declares no levels: groups must not be read off the data.
        """
        edges = tuple(at / bins for at in range(1, bins))
        if schema is None:
            return cls(edges)
        groups = HostedGroups.of(schema, by)
        return cls(edges, groups.column, groups.levels)

    @property
    def _grouped(self) -> HostedGroups:
        return HostedGroups(self.column, self.levels)

    @property
    def bins(self) -> int:
        return len(self.edges) + 1

    @property
    def groups(self) -> int:
        return self._grouped.count

    @property
    def dimensions(self) -> int:
        return self.groups * self.bins * 2

    @property
    def sizes(self) -> Sizes:
        """Of one row: one count moves by one."""
        return Sizes(dimensions=self.dimensions, l1=1, l2=1, largest_sum=MOST_ROWS)

    def counts(
        self, scores: Floats, labels: NDArray[Any], values: Sequence[str | None] | None = None
    ) -> Integers:
        """(dimensions,) exact counts, groups outermost, labels innermost. They never leave.

        Args:
            scores: (rows,) in [0, 1].
            labels: (rows,) 0 or 1.
            values: (rows,) of the column, where there is one.
        """
        bins = np.searchsorted(np.array(self.edges), scores, side="right")
        groups = self._grouped.places(len(scores), values)
        cells = (groups * self.bins + bins) * 2 + np.asarray(labels, dtype=np.int64)
        return np.bincount(cells, minlength=self.dimensions).astype(np.int64)

    def read(self, answer: NoisySums, *, threshold: float = 0.5) -> HostedFeedback:
        """Everything that follows from the noisy counts; the threshold moves to the nearest edge."""
        counts = answer.values.reshape(self.groups, self.bins, 2)
        names = self._grouped.names or ("all",)
        edges = np.array([0.0, *self.edges, 1.0])
        cut = int(np.abs(edges - threshold).argmin())
        by_group = {
            name: _metrics(table, edges, cut, answer.deviation)
            for name, table in zip(names, counts, strict=True)
        }
        together = counts.sum(axis=0)
        total = _metrics(together, edges, cut, answer.deviation * math.sqrt(self.groups))
        return HostedFeedback(total, {} if self.column is None else by_group, float(edges[cut]))


@dataclass(frozen=True)
class HostedFeedback:
    """What the counts say.

    Attributes:
        metrics: `records`, `prevalence`, `accuracy`, `precision`, `recall`, `specificity`, `f1`, `auc`,
            `brier`, `log_loss` (scores clipped to [0.01, 0.99]), `tp`, `fp`, `fn`, `tn`, `calibration-<bin>`.
        by_group: the same for each group.
        threshold: scores at or above it count as positive.
    """

    metrics: Mapping[str, Estimate]
    by_group: Mapping[str, Mapping[str, Estimate]]
    threshold: float


def _metrics(counts: Floats, edges: Floats, cut: int, deviation: float) -> dict[str, Estimate]:
    """All metrics of one (bins, 2) table of noisy counts, whose noise has this standard deviation."""
    negatives, positives = counts[:, 0], counts[:, 1]
    rows = positives.sum() + negatives.sum()
    above = np.arange(len(counts)) >= cut

    def of(
        values: Callable[[Floats], tuple[float, float]], slack: float = 0.0, most: float = 1.0
    ) -> Estimate:
        return ratio(counts, values, deviation, slack=slack, most=most)

    def weigh(negative: Any, positive: Any) -> Callable[[Floats], float]:
        return lambda table: float((table[:, 0] * negative + table[:, 1] * positive).sum())

    tp, fp = weigh(0.0, above), weigh(above, 0.0)
    fn, tn = weigh(0.0, ~above), weigh(~above, 0.0)
    everybody, hit, missed = weigh(1.0, 1.0), weigh(~above, above), weigh(above, ~above)
    plain = {"tp": tp, "fp": fp, "fn": fn, "tn": tn, "records": everybody}
    found = {name: of(lambda t, c=count: (c(t), 1.0), most=math.inf) for name, count in plain.items()}
    found["prevalence"] = of(lambda t: (weigh(0.0, 1.0)(t), everybody(t)))
    found["accuracy"] = of(lambda t: (hit(t), everybody(t)))
    found["precision"] = of(lambda t: (tp(t), tp(t) + fp(t)))
    found["recall"] = of(lambda t: (tp(t), tp(t) + fn(t)))
    found["specificity"] = of(lambda t: (tn(t), tn(t) + fp(t)))
    found["f1"] = of(lambda t: (2 * tp(t), 2 * tp(t) + missed(t)))
    hidden = float(np.maximum(positives, 0) @ np.maximum(negatives, 0)) / 2
    pairs = max(float(positives.sum() * negatives.sum()), 1.0)
    found["auc"] = of(rank_pairs, slack=hidden / pairs)
    for name, (low, high) in _losses(edges).items():
        middle, spread = (low + high) / 2, float((np.abs(counts) * (high - low) / 2).sum())
        found[name] = of(
            lambda t, m=middle: (weigh(m[:, 0], m[:, 1])(t), everybody(t)),
            slack=spread / max(rows, 1.0),
            most=float(high.max()),
        )
    for at in range(len(counts)):
        found[f"calibration-{at}"] = of(lambda t, at=at: (float(t[at, 1]), float(t[at].sum())))
    return found


def _losses(edges: Floats) -> dict[str, tuple[Floats, Floats]]:
    """(bins, 2) the least and the greatest loss that a record of each bin and label can have."""
    low, high = edges[:-1], edges[1:]
    clipped_low, clipped_high = (np.clip(each, LEAST_SCORE, 1 - LEAST_SCORE) for each in (low, high))
    return {
        "brier": (np.stack([low**2, (1 - high) ** 2], 1), np.stack([high**2, (1 - low) ** 2], 1)),
        "log_loss": (
            np.stack([-np.log(1 - clipped_low), -np.log(clipped_high)], 1),
            np.stack([-np.log(1 - clipped_high), -np.log(clipped_low)], 1),
        ),
    }
