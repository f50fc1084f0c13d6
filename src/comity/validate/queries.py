"""Queries: what the ML party asks of a validator, as sums over records of whole numbers.

Every query is a sum over the records of a public function of record and label, so that one changed label
moves the answer by what one record contributes. In this module labels are 0 or 1 and the sums are `Z^T y`
with a public integer matrix Z (one row per record, never materialised where it is large);
`class_queries` has labels of several classes, `number_queries` numeric ones. The norm bounds are computed
from public facts by whoever holds the labels: nobody takes the asker's word for them.

Queries are frozen and refuse what does not fit; they hold public facts only.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, UsageError
from comity.validate.numbering import counted
from comity.validate.ranking import doubled_centred_ranks

Integers = NDArray[np.int64]
Labels = NDArray[np.signedinteger[Any]]
"""0 or 1; or codes of classes; or whole numbers on a grid."""
Groups = NDArray[Any]
"""Group numbers, in whole numbers of any size."""
MOST_WEIGHT = 1 << 52
"""The largest magnitude of a record's weight."""
Words = NDArray[np.uint64]
"""Whole numbers modulo 2^64; a negative one is written as its complement."""


class Query(ABC):
    """Sums of labels over public integers. Unit: label, relation: change-one."""

    @property
    @abstractmethod
    def rows(self) -> int:
        """How many records it is about."""

    @property
    @abstractmethod
    def dimensions(self) -> int:
        """How many sums it asks for."""

    @property
    @abstractmethod
    def l2(self) -> int:
        """Bound on the L2 norm of what one changed label moves, in whole numbers."""

    @property
    def l2_squared(self) -> int:
        """Bound on the square of that norm; below `l2` squared where the norm itself is no whole number."""
        return self.l2**2

    @property
    @abstractmethod
    def l1(self) -> int:
        """Bound on the L1 norm of the same."""

    @property
    @abstractmethod
    def largest_sum(self) -> int:
        """Bound on the magnitude of any sum, whatever the labels."""

    @property
    def levels(self) -> int:
        """The labels that its bounds hold for: whole numbers 0 .. levels - 1."""
        return 2

    @abstractmethod
    def sums(self, labels: Labels) -> Integers:
        """(dimensions,) exact sums for (rows,) labels. They never leave; noise is added first.

        The work is the same whatever the labels are.
        """

    def padded_sums(self, words: Words) -> Words:
        """(dimensions,) what `sums` is for labels, for any (rows,) words, modulo 2^64.

        Linear: the answer for padded labels is that for the labels plus that for the pads.

        Raises:
            UsageError: for a query that is not linear in labels 0/1.
        """
        raise UsageError(f"{type(self).__name__} is not linear in the labels: it cannot be counted blindly")

    @abstractmethod
    def row(self, record: int) -> Integers:
        """(dimensions,) what the answer gains when this record's label goes from 0 to 1."""

    def groupings(self) -> tuple[Groups, ...]:
        """The partitions of the records, (rows,) group numbers each, whose counts the answer tells of."""
        return ()


def frozen(values: Any, dtype: Any) -> NDArray[Any]:
    """The values as an array of that type that cannot be written to; whole numbers as small as they came.

    What anybody else could still write to is copied: bounds computed from it have to hold when it is counted.

    Raises:
        BadInput: for values that are no whole numbers.
    """
    array = np.asarray(values)
    if array.dtype.kind not in "iub":
        raise BadInput(f"a query's numbers are whole ones, not {array.dtype}")
    made = array if dtype is np.integer and array.dtype.kind in "iu" else array.astype(
        np.int64 if dtype is np.integer else dtype, copy=False
    )  # fmt: skip
    if made is array and _writable(array):
        made = array.copy(order="K")
    return owned(made)


def owned(array: NDArray[Any]) -> NDArray[Any]:
    """An array that nobody else holds, made read-only: `frozen` need not copy it."""
    array.setflags(write=False)
    return array


def _writable(array: Any) -> bool:
    """Whether an array, or one that it is a view of, can be written to."""
    while isinstance(array, np.ndarray):
        if array.flags.writeable:
            return True
        array = array.base
    return not (array is None or isinstance(array, bytes))


def require_magnitude(weights: Integers) -> None:
    """Weights whose magnitudes, differences and sums whole numbers of 64 bits hold.

    Raises:
        BadInput: for one beyond 2^52, which -2^63, the one number without a magnitude, is too.
    """
    if weights.size and (weights.min() < -MOST_WEIGHT or weights.max() > MOST_WEIGHT):
        raise BadInput("a weight lies between -2^52 and 2^52")


def small(groups: Groups, size: int) -> Groups:
    """Group numbers below `size`, in one byte where they fit: what is counted and kept is the same."""
    if groups.dtype.itemsize == 1 or size > 1 << 7:
        return groups
    return owned(groups.astype(np.int8))


class CountPerGroup(Query):
    """One sum per group of a partition; a label that changes moves its own group's by one."""

    size: int

    @property
    def dimensions(self) -> int:
        return self.size

    @property
    def l2(self) -> int:
        return 1

    @property
    def l1(self) -> int:
        return 1

    @property
    def largest_sum(self) -> int:
        return max(1, self.rows)


@dataclass(frozen=True, eq=False)
class GroupCounts(CountPerGroup):
    """How many labels are 1 in each group of a partition.

    Attributes:
        groups: (rows,) group numbers 0 .. size - 1.
        size: number of groups; some may be empty.
    """

    groups: Groups
    size: int

    def __post_init__(self) -> None:
        groups = frozen(self.groups, np.integer)
        object.__setattr__(self, "groups", groups)
        if groups.ndim != 1 or self.size < 1:
            raise BadInput("groups are one number per record, in at least one group")
        if len(groups) and (groups.min() < 0 or groups.max() >= self.size):
            raise BadInput(f"group numbers lie between 0 and {self.size - 1}")
        object.__setattr__(self, "groups", small(groups, self.size))

    @property
    def rows(self) -> int:
        return len(self.groups)

    def sums(self, labels: Labels) -> Integers:
        # both labels are counted, so that the time does not tell how many there are of each
        return counted(self.groups, self.size, labels, 2)[1::2]

    def padded_sums(self, words: Words) -> Words:
        return grouped(self.groups, words, self.size)

    def row(self, record: int) -> Integers:
        row = np.zeros(self.size, dtype=np.int64)
        row[self.groups[record]] = 1
        return row

    def groupings(self) -> tuple[Groups, ...]:
        return (self.groups,)


@dataclass(frozen=True, eq=False)
class WeightedSum(Query):
    """The sum of labels times whole numbers, one per record.

    Attributes:
        weights: (rows,) int64.
    """

    weights: Integers

    def __post_init__(self) -> None:
        object.__setattr__(self, "weights", frozen(self.weights, np.int64))
        if self.weights.ndim != 1:
            raise BadInput("weights are one whole number per record")
        require_magnitude(self.weights)

    @classmethod
    def ranks(cls, scores: NDArray[np.float64]) -> WeightedSum:
        """Twice the centred midranks of scores: 2 rank - n - 1, between 1 - n and n - 1, adding up to 0."""
        return cls(owned(doubled_centred_ranks(scores)))

    @property
    def rows(self) -> int:
        return len(self.weights)

    @property
    def dimensions(self) -> int:
        return 1

    @cached_property
    def _largest(self) -> int:
        return max(1, int(np.abs(self.weights).max())) if len(self.weights) else 1

    @property
    def l2(self) -> int:
        return self._largest

    @property
    def l1(self) -> int:
        return self._largest

    @property
    def largest_sum(self) -> int:
        return self._largest * max(1, self.rows)

    def sums(self, labels: Labels) -> Integers:
        return np.array([self.weights @ labels.astype(np.int64)], dtype=np.int64)

    def padded_sums(self, words: Words) -> Words:
        return np.array([(self.weights.view(np.uint64) * words).sum(dtype=np.uint64)], dtype=np.uint64)

    def row(self, record: int) -> Integers:
        return self.weights[record : record + 1].astype(np.int64)


@dataclass(frozen=True, eq=False)
class Joined(Query):
    """Several queries about the same records, answered together with one noise.

    Each part is multiplied by a whole number first: the larger it is, the smaller that part's noise.

    Attributes:
        parts: the queries.
        factors: their multipliers, 1 or more.
    """

    parts: tuple[Query, ...]
    factors: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.parts or len(self.parts) != len(self.factors) or min(self.factors) < 1:
            raise BadInput("joined queries need a whole multiplier of 1 or more each")
        if len({part.rows for part in self.parts}) != 1:
            raise BadInput("joined queries are about the same records")
        if len({part.levels for part in self.parts}) != 1:
            raise BadInput("joined queries are about labels of one kind")

    @property
    def rows(self) -> int:
        return self.parts[0].rows

    @property
    def dimensions(self) -> int:
        return sum(part.dimensions for part in self.parts)

    @property
    def l2(self) -> int:
        return ceil_root(self.l2_squared)

    @property
    def l2_squared(self) -> int:
        return sum(f**2 * part.l2_squared for f, part in zip(self.factors, self.parts, strict=True))

    @property
    def l1(self) -> int:
        return sum(f * part.l1 for f, part in zip(self.factors, self.parts, strict=True))

    @property
    def largest_sum(self) -> int:
        return max(f * part.largest_sum for f, part in zip(self.factors, self.parts, strict=True))

    @property
    def levels(self) -> int:
        return self.parts[0].levels

    def sums(self, labels: Labels) -> Integers:
        return np.concatenate(
            [f * part.sums(labels) for f, part in zip(self.factors, self.parts, strict=True)]
        )

    def padded_sums(self, words: Words) -> Words:
        return np.concatenate(
            [np.uint64(f) * part.padded_sums(words) for f, part in zip(self.factors, self.parts, strict=True)]
        )

    def row(self, record: int) -> Integers:
        return np.concatenate(
            [f * part.row(record) for f, part in zip(self.factors, self.parts, strict=True)]
        )

    def groupings(self) -> tuple[Groups, ...]:
        return tuple(grouping for part in self.parts for grouping in part.groupings())

    def split(self, values: NDArray[Any]) -> list[NDArray[np.float64]]:
        """An answer, taken apart and divided by the multipliers again."""
        taken: list[NDArray[np.float64]] = []
        start = 0
        for factor, part in zip(self.factors, self.parts, strict=True):
            taken.append(np.asarray(values[start : start + part.dimensions], dtype=np.float64) / factor)
            start += part.dimensions
        return taken


def grouped(groups: Integers, words: Words, size: int) -> Words:
    """(size,) the sum of words per group, modulo 2^64."""
    sums = np.zeros(size, dtype=np.uint64)
    np.add.at(sums, groups, words)
    return sums


def ceil_root(square: int) -> int:
    """The square root of a whole number, rounded up."""
    root = math.isqrt(square)
    return root if root * root == square else root + 1
