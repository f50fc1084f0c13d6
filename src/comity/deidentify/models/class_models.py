"""Privacy models: what every equivalence class of a release has to satisfy.

Each model is a frozen object with a vectorised test over a partition. `checker.py` tests the same models
again, on another path, from the released table alone. Comparisons that a rounding error could turn are
decided in exact integers: a class is never released because a sum wrapped or a float came out low.

All models of classes are closed under merging: classes that satisfy one also satisfy it merged. The search
prunes with `most_kept`: of a class that violates, how many rows a finer release can keep at most
(`capacity.py`). Only `steady` models have the stronger property that merging a class that satisfies the model
with one that does not satisfies it too; of what violates them, nothing can be kept.

Here are k-anonymity (Sweeney 2002), l-diversity (Machanavajjhala et al. 2007) and t-closeness (Li et al.
2007); `disclosure.py`, `population.py`, `table_models.py` and `safepub.py` hold the others.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from numbers import Integral
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.distance import Ground, distance_of, distances, ground, within_distance
from comity.deidentify.models.partition import Partition
from comity.deidentify.search.capacity import below_tail, rounded_down, under_shares, with_entropy
from comity.errors import UsageError

_DOUBT = 1e-9
"""Two floats closer than this (relative) are compared exactly instead."""
_FEW = 8
"""Of so few values, logarithms of all are taken, those that a class lacks too."""
_EXACT_ENTROPY_ROWS = 100_000


@runtime_checkable
class PrivacyModel(Protocol):
    """What the search and the checker need of a model."""

    steady: ClassVar[bool]

    @property
    def sensitive(self) -> str | None:
        """The sensitive column that it looks at; None if it only counts rows."""
        ...

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        """For each class, whether it may not be released."""
        ...

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        """For each class, all of which violate, an upper bound on the rows that a release with finer classes
        can keep of it; 0 where it and all classes it could be split into violate."""
        ...

    def describe(self) -> str:
        """In a few words, for a manifest."""
        ...


@dataclass(frozen=True)
class KAnonymity:
    """Every class has at least k rows: a row's identity hides among k."""

    k: int
    steady: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole(self.k, "k", at_least=1)

    @property
    def sensitive(self) -> None:
        return None

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        return partition.sizes < self.k

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        return np.zeros(partition.number, dtype=np.int64)

    def describe(self) -> str:
        return f"k-anonymity, k = {self.k}"


@dataclass(frozen=True)
class DistinctLDiversity:
    """Every class holds at least l distinct values of the sensitive column."""

    column: str
    l: int  # noqa: E741  # the model's own name
    steady: ClassVar[bool] = True

    def __post_init__(self) -> None:
        whole(self.l, "l", at_least=1)

    @property
    def sensitive(self) -> str:
        return self.column

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        return partition.histogram(self.column).distinct < self.l

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        return np.zeros(partition.number, dtype=np.int64)

    def describe(self) -> str:
        return f"distinct l-diversity of '{self.column}', l = {self.l}"


@dataclass(frozen=True)
class EntropyLDiversity:
    """The entropy of the sensitive column within every class is at least log l. l may be fractional."""

    column: str
    l: float  # noqa: E741
    steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        finite(self.l, "l", above=0)
        if self.l < 1:
            raise UsageError(f"l is {self.l}: entropy l-diversity needs l of at least 1")

    @property
    def sensitive(self) -> str:
        return self.column

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        found = partition.histogram(self.column)
        if found.table is not None and len(found.table) <= _FEW:
            sums = (found.table * np.log(np.maximum(found.table, 1.0))).sum(axis=0)
        else:
            counts = found.counts.astype(np.float64)
            sums = found.summed(counts * np.log(counts))
        entropy = np.log(partition.sizes) - sums / partition.sizes
        return decided(
            entropy - math.log(self.l),
            lambda i: entropy_at_least(list(found.of(i).values()), self.l),
        )

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        return with_entropy(partition.histogram(self.column), partition.sizes, math.log(self.l))

    def describe(self) -> str:
        return f"entropy l-diversity of '{self.column}', l = {self.l:g}"


@dataclass(frozen=True)
class RecursiveLDiversity:
    """Recursive (c, l)-diversity: with counts r1 >= r2 >= ... in a class, r1 < c (r_l + r_(l+1) + ...)."""

    column: str
    l: int  # noqa: E741
    c: float
    steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        whole(self.l, "l", at_least=1)
        finite(self.c, "c", above=0)

    @property
    def sensitive(self) -> str:
        return self.column

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        largest, tail = self._largest_and_tail(partition)
        c = exact(self.c)
        return decided(
            self.c * tail / largest - 1.0,
            lambda i: int(largest[i]) * c.denominator < c.numerator * int(tail[i]),
        )

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        _, tail = self._largest_and_tail(partition)
        return below_tail(partition.histogram(self.column), partition.sizes, tail, exact(self.c))

    def _largest_and_tail(self, partition: Partition) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Per class, the largest count, and the sum of the counts from the l-th largest on."""
        found = partition.histogram(self.column)
        if found.table is not None:
            if self.l <= 2:
                highest = found.table.max(axis=0)
                rest = partition.sizes - (highest if self.l == 2 else 0)
            else:
                rising = np.sort(found.table, axis=0)
                highest, rest = rising[-1], rising[: max(0, len(rising) - self.l + 1)].sum(axis=0)
            return highest.astype(np.int64), rest.astype(np.int64)
        if self.l <= 2:
            largest = np.maximum.reduceat(found.counts, found.starts)
            return largest, partition.sizes - (largest if self.l == 2 else 0)
        order = np.lexsort((-found.counts, found.classes))
        counts = found.counts[order]
        rank = np.arange(len(counts)) - np.repeat(found.starts, found.distinct)
        tail = np.add.reduceat(np.where(rank < self.l - 1, 0, counts), found.starts)
        return counts[found.starts], tail

    def describe(self) -> str:
        return f"recursive (c, l)-diversity of '{self.column}', c = {self.c:g}, l = {self.l}"


@dataclass(frozen=True)
class TCloseness:
    """Within every class the sensitive column is distributed within distance t of the whole table's
    distribution.

    Args:
        t: in [0, 1]; the earth mover's distance allowed.
        distance: the ground distance. "equal": 1 between any two values (total variation). "ordered": how
            many ranks apart, over the number of values less one. "hierarchical", or the hierarchy itself: the
            height of the lowest common label over the height of the hierarchy.
        hierarchy: for "hierarchical".
        order: for "ordered", the values from least to most; by default numbers by size, texts alphabetically.
    """

    column: str
    t: float
    distance: str | Hierarchy = "equal"
    hierarchy: Hierarchy | None = None
    order: Sequence[object] | None = None
    steady: ClassVar[bool] = False

    def __post_init__(self) -> None:
        finite(self.t, "t", above=-1)
        if not 0 <= self.t <= 1:
            raise UsageError(f"t is {self.t}: a distance lies between 0 and 1")
        if isinstance(self.distance, Hierarchy):
            object.__setattr__(self, "hierarchy", self.distance)
            object.__setattr__(self, "distance", "hierarchical")
        if self.distance not in ("equal", "ordered", "hierarchical"):
            raise UsageError(
                f"distance is {self.distance!r}: it is 'equal', 'ordered', 'hierarchical' or a hierarchy"
            )
        if (self.distance == "hierarchical") != (self.hierarchy is not None):
            raise UsageError("a hierarchy is given with distance='hierarchical', and only then")
        if self.hierarchy is not None and (self.hierarchy.levels < 2 or len(self.hierarchy.labels[-1]) != 1):
            raise UsageError(f"the hierarchy for t-closeness of '{self.column}' has to end in one label")
        if self.order is not None:
            if self.distance != "ordered":
                raise UsageError("an order is given with distance='ordered', and only then")
            object.__setattr__(self, "order", tuple(self.order))

    @property
    def sensitive(self) -> str:
        return self.column

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        found, how = partition.histogram(self.column), self._ground(partition)
        totals, t = found.totals.tolist(), exact(self.t)
        return decided(
            self.t - distances(found, partition.sizes, how),
            lambda i: distance_of(found.of(i), totals, how) <= t,
        )

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        found, how = partition.histogram(self.column), self._ground(partition)
        if how is None:
            return under_shares(found, partition.sizes, found.totals / found.rows, 1 - self.t)
        return rounded_down(within_distance(found, partition.sizes, how, self.t), partition.sizes)

    def _ground(self, partition: Partition) -> Ground | None:
        """Kept for the column last seen: every node of a search asks."""
        labels = partition.histogram(self.column).labels
        held: tuple[object, Ground | None] | None = self.__dict__.get("_held")
        if held is None or held[0] is not labels:
            held = labels, ground(labels, str(self.distance), self.hierarchy, self.order)
            object.__setattr__(self, "_held", held)
        return held[1]

    def describe(self) -> str:
        return f"t-closeness of '{self.column}', t = {self.t:g}, {self.distance} distance"


def exact(number: float) -> Fraction:
    """The decimal that a person wrote: 0.2 is 1/5, not the nearest binary fraction."""
    return Fraction(repr(float(number))) if isinstance(number, float) else Fraction(number)


def entropy_at_least(counts: Sequence[int], l: float) -> bool:  # noqa: E741
    """Whether the entropy of counts is at least log l, decided in integers: n^n >= l^n prod c^c.

    Above 100,000 rows (after dividing by a common factor) powers grow too long; a tie then counts as a
    violation.
    """
    common = math.gcd(*counts)
    reduced = [count // common for count in counts]
    total = sum(reduced)
    if total > _EXACT_ENTROPY_ROWS:
        entropy = math.log(total) - math.fsum(c * math.log(c) for c in reduced) / total
        return entropy >= math.log(l) * (1 + _DOUBT)
    bound = exact(l)
    right = bound.numerator**total
    for count in reduced:
        right *= count**count
    return total**total * bound.denominator**total >= right


def decided(margin: NDArray[np.float64], holds: Callable[[int], bool]) -> NDArray[np.bool_]:
    """Violated where the margin is negative; where it is near zero, where the exact test does not hold."""
    violated = margin < 0
    for i in np.flatnonzero(np.abs(margin) < _DOUBT):
        violated[i] = not holds(int(i))
    return violated


def whole(value: int, name: str, *, at_least: int) -> None:
    """Refuse a parameter that is no whole number of at least `at_least`."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < at_least:
        raise UsageError(f"{name} is {value!r}: it has to be a whole number of at least {at_least}")


def finite(value: float, name: str, *, above: float) -> None:
    """Refuse a parameter that is no finite number above `above`."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, float))
        or not math.isfinite(value)
        or value <= above
    ):
        raise UsageError(f"{name} is {value!r}: it has to be a finite number above {above:g}")
