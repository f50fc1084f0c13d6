"""Models that a release satisfies as a whole, not class by class.

They are enforced after the models of classes, as ARX does: the classes that are left are suppressed one by
one, the smallest first, until the model holds; how many of them is found by bisection. Among classes of one
size, those whose values come first in the hierarchies, first quasi-identifier first, go first. (ARX takes the
one first met in the table there, which depends on the order of rows.) Only released rows count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.models.class_models import KAnonymity, PrivacyModel, exact, whole
from comity.deidentify.models.partition import Partition
from comity.errors import BadTable, UsageError

ESTIMATES = ("pitman", "zayatz", "dankar")


@runtime_checkable
class TableModel(PrivacyModel, Protocol):
    """A privacy model of the whole table."""

    def holds(self, sizes: NDArray[np.int64]) -> bool:
        """Whether a release with classes of these sizes satisfies it; one without rows does."""
        ...

    def most_rows(self, kept: NDArray[np.int64]) -> int:
        """The most rows that a release with the same or finer classes can have, if it can have at most so
        many rows of each class."""
        ...

    def stricter(self) -> PrivacyModel:
        """A model of classes that implies it."""
        ...


class _OfNoClass:
    """What a model of the whole table says of single classes: nothing."""

    steady: ClassVar[bool] = True

    @property
    def sensitive(self) -> None:
        return None

    def violates(self, partition: Partition) -> NDArray[np.bool_]:
        return np.zeros(partition.number, dtype=bool)

    def most_kept(self, partition: Partition) -> NDArray[np.int64]:
        return partition.sizes.astype(np.int64)


@dataclass(frozen=True)
class AverageRisk(_OfNoClass):
    """The mean over released rows of 1 / class size, which is classes / rows, is at most `most`: the share of
    rows that an attacker would re-identify by guessing in each class (the marketer's risk).

    Args:
        most: in (0, 1].
    """

    most: float

    def __post_init__(self) -> None:
        _share(self.most, above_0=True)

    def holds(self, sizes: NDArray[np.int64]) -> bool:
        most = exact(self.most)
        return len(sizes) * most.denominator <= most.numerator * int(sizes.sum())

    def most_rows(self, kept: NDArray[np.int64]) -> int:
        """The parts kept of m classes make m classes or more: the largest are best."""
        falling = np.sort(kept[kept > 0])[::-1]
        total = np.cumsum(falling)
        enough = np.arange(1, len(falling) + 1) <= self.most * total * (1 + 1e-9)
        return int(total[enough].max(initial=0))

    def stricter(self) -> PrivacyModel:
        most = exact(self.most)
        return KAnonymity(-(-most.denominator // most.numerator))

    def describe(self) -> str:
        return f"average risk, at most {self.most:g}"


@dataclass(frozen=True)
class PopulationUniqueness(_OfNoClass):
    """The estimated share of the population that is unique in the released columns is at most `most`.

    The rows are taken for a random sample of the population. It is an estimate, not a bound. Where an
    estimate does not exist the model does not hold, unless no class has a single row.

    Args:
        most: in [0, 1].
        population: how many members, at least the rows of the table.
        model: "pitman", "zayatz", or "dankar", the rule that chooses among them (`assess`).
    """

    most: float
    population: int
    model: str = "pitman"

    def __post_init__(self) -> None:
        _share(self.most, above_0=False)
        whole(self.population, "population", at_least=1)
        if self.model not in ESTIMATES:
            raise UsageError(f"model is {self.model!r}: it is one of {', '.join(ESTIMATES)}")

    def holds(self, sizes: NDArray[np.int64]) -> bool:
        if self.population < int(sizes.sum()):
            raise BadTable(
                f"the table has more rows than the population of {self.population} that "
                "PopulationUniqueness was given. Give the size of the population that the rows come from"
            )
        if not (sizes == 1).any():
            return True
        share = estimated_share(sizes, self.population, self.model)
        return share is not None and 0 < share <= self.most

    def most_rows(self, kept: NDArray[np.int64]) -> int:
        """Nothing is known: an estimate may fall where classes are finer."""
        return int(kept.sum())

    def stricter(self) -> PrivacyModel:
        return KAnonymity(2)

    def describe(self) -> str:
        return f"population uniqueness, at most {self.most:g} of {self.population} ({self.model}'s estimate)"


def estimated_share(sizes: NDArray[np.int64], population: int, model: str) -> float | None:
    """The estimated share of unique members; None if the model has no estimate."""
    from comity.assess.uniqueness import pitman_share, zayatz_share

    if model == "pitman":
        return pitman_share(sizes, population)[0]
    if model == "zayatz":
        return zayatz_share(sizes, population)
    from comity.assess.population import population_uniques

    return population_uniques(sizes, population).shares["dankar"]


def to_suppress(
    models: Sequence[TableModel], ids: NDArray[np.int64], sizes: NDArray[Any], standing: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Which of the classes that stand are suppressed so that every model holds.

    Args:
        ids: the class of each tuple, tuples in order of their leaves.
    """
    first = np.empty(len(sizes), dtype=np.int64)
    first[ids[::-1]] = np.arange(len(ids) - 1, -1, -1)  # the last write wins: the first tuple of each class
    places = np.flatnonzero(standing)
    order = places[np.lexsort((first[places], sizes[places]))]
    rising = sizes[order].astype(np.int64)
    gone, settled = 0, False
    while not settled:
        settled = True
        for model in models:
            if not model.holds(rising[gone:]):
                gone, settled = _fewest(model, rising, gone), len(models) == 1
    chosen = np.zeros(len(sizes), dtype=bool)
    chosen[order[:gone]] = True
    return chosen


def _fewest(model: TableModel, rising: NDArray[np.int64], gone: int) -> int:
    """How many of the smallest classes have to go, by bisection; with none left every model holds."""
    low, high = gone + 1, len(rising)
    while low < high:
        middle = (low + high) // 2
        if model.holds(rising[middle:]):
            high = middle
        else:
            low = middle + 1
    return high


def _share(value: float, *, above_0: bool) -> None:
    right = not isinstance(value, bool) and isinstance(value, (int, float)) and 0 <= value <= 1
    if not right or (above_0 and value == 0):
        raise UsageError(f"most is {value!r}: it is a share, {'above 0 and ' if above_0 else ''}at most 1")
