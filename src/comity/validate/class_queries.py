"""Queries about labels of several classes, coded 0 .. classes - 1.

A label that changes leaves one cell and enters another, so that counts move by an L2 norm of sqrt(2). The
sums over all classes are public (the sizes of the groups); an estimate that is moved to the nearest point
with those sums has the noise of the smallest release (a simplex in one dimension less).

With a provider's own column the class is the pair of its level and the label: `level * labels + label`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from comity.errors import BadInput
from comity.validate.numbering import counted
from comity.validate.queries import (
    Groups,
    Integers,
    Labels,
    Query,
    ceil_root,
    frozen,
    require_magnitude,
    small,
)


@dataclass(frozen=True, eq=False)
class ClassCounts(Query):
    """How many records of each group have each class: (size * classes,) counts, group by group.

    Attributes:
        groups: (rows,) group numbers 0 .. size - 1, public.
        size: number of groups.
        classes: number of classes.
    """

    groups: Groups
    size: int
    classes: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "groups", frozen(self.groups, np.integer))
        if self.groups.ndim != 1 or self.size < 1 or self.classes < 2:
            raise BadInput("class counts are about one group per record and two classes or more")
        if len(self.groups) and (self.groups.min() < 0 or self.groups.max() >= self.size):
            raise BadInput(f"group numbers lie between 0 and {self.size - 1}")
        object.__setattr__(self, "groups", small(self.groups, self.size))

    @property
    def rows(self) -> int:
        return len(self.groups)

    @property
    def dimensions(self) -> int:
        return self.size * self.classes

    @property
    def l2(self) -> int:
        return 2

    @property
    def l2_squared(self) -> int:
        return 2

    @property
    def l1(self) -> int:
        return 2

    @property
    def largest_sum(self) -> int:
        return max(1, self.rows)

    @property
    def levels(self) -> int:
        return self.classes

    def sums(self, labels: Labels) -> Integers:
        return counted(self.groups, self.size, labels, self.classes)

    def row(self, record: int) -> Integers:
        row = np.zeros(self.dimensions, dtype=np.int64)
        row[self.groups[record] * self.classes : self.groups[record] * self.classes + 2] = (-1, 1)
        return row

    def groupings(self) -> tuple[Groups, ...]:
        return (self.groups,)


@dataclass(frozen=True, eq=False)
class ChosenSum(Query):
    """The sum over records of the weight that the record's class has for it: one number.

    Attributes:
        weights: (rows, classes) int64.
        groups: (rows,) the partition that the weights follow, if they follow one.
    """

    weights: Integers
    groups: Groups | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen(self.weights, np.int64))
        if self.weights.ndim != 2 or self.weights.shape[1] < 2:
            raise BadInput("weights are one whole number per record and class")
        require_magnitude(self.weights)

    @property
    def levels(self) -> int:
        return self.weights.shape[1]

    @property
    def rows(self) -> int:
        return len(self.weights)

    @property
    def dimensions(self) -> int:
        return 1

    @cached_property
    def _spread(self) -> int:
        if not self.rows:
            return 1
        return max(1, int((self.weights.max(axis=1) - self.weights.min(axis=1)).max()))

    @property
    def l2(self) -> int:
        return self._spread

    @property
    def l1(self) -> int:
        return self._spread

    @property
    def largest_sum(self) -> int:
        return max(1, self.rows * int(np.abs(self.weights).max(initial=1)))

    def sums(self, labels: Labels) -> Integers:
        chosen = np.take_along_axis(self.weights, labels.astype(np.int64)[:, None], axis=1)
        return chosen.sum(axis=0, dtype=np.int64)

    def row(self, record: int) -> Integers:
        return np.array([self.weights[record, 1] - self.weights[record, 0]], dtype=np.int64)

    def groupings(self) -> tuple[Groups, ...]:
        return () if self.groups is None else (self.groups,)


@dataclass(frozen=True, eq=False)
class ClassSums(Query):
    """For each target, the sum of the weights of the records whose class belongs to it.

    Attributes:
        weights: (rows, classes) int64, what a record contributes if it has that class.
        targets: (classes,) to which sum each class contributes, 0 .. sums - 1.
    """

    weights: Integers
    targets: Integers

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen(self.weights, np.int64))
        object.__setattr__(self, "targets", frozen(self.targets, np.int64))
        if self.weights.ndim != 2 or self.targets.shape != (self.weights.shape[1],):
            raise BadInput("weights are one whole number per record and class, targets one number per class")
        require_magnitude(self.weights)
        if not len(self.targets) or not 0 <= self.targets.min() <= self.targets.max() < len(self.targets):
            raise BadInput("targets are numbers from 0 on, below the number of classes")
        if len(set(self.targets.tolist())) < len(self.targets) and self.weights.min(initial=0) < 0:
            # between two classes of one target the sum moves by a difference, no longer than either
            raise BadInput("classes that share a target have no weight below 0")

    @property
    def levels(self) -> int:
        return self.weights.shape[1]

    @property
    def rows(self) -> int:
        return len(self.weights)

    @property
    def dimensions(self) -> int:
        return int(self.targets.max()) + 1

    @cached_property
    def _two_largest(self) -> tuple[int, int]:
        """The largest magnitude of any weight, and the largest that is second in its record."""
        size = np.sort(np.abs(self.weights), axis=1)[:, -2:]
        return max(1, int(size[:, -1].max(initial=1))), int(size[:, 0].max(initial=0))

    @property
    def l2(self) -> int:
        return ceil_root(self.l2_squared)

    @property
    def l2_squared(self) -> int:
        one, two = self._two_largest
        return one**2 + two**2

    @property
    def l1(self) -> int:
        return sum(self._two_largest)

    @property
    def largest_sum(self) -> int:
        return max(1, self.rows * int(np.abs(self.weights).max(initial=1)))

    def sums(self, labels: Labels) -> Integers:
        codes = labels.astype(np.int64)
        chosen = np.take_along_axis(self.weights, codes[:, None], axis=1)[:, 0]
        sums = np.zeros(self.dimensions, dtype=np.int64)
        np.add.at(sums, self.targets[codes], chosen)
        return sums

    def row(self, record: int) -> Integers:
        row = np.zeros(self.dimensions, dtype=np.int64)
        row[self.targets[1]] += self.weights[record, 1]
        row[self.targets[0]] -= self.weights[record, 0]
        return row
