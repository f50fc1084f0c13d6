"""Sums of 0/1 labels over groups of the frame, for a live conversation: registered once, asked many times.

A question weighs the groups of one registered grouping with whole numbers and asks for the weighted sum of
their positives (accuracy is one: predicted 1 counts +1, predicted 0 counts -1), or for every group's own sum.
A record is in one group at most, so a change of its label moves a weighted sum by the largest weight, and all
groups' own sums together by 1. Noise is discrete Laplace of that scale over epsilon (Ghosh, Roughgarden and
Sundararajan 2012), charged as pure epsilon per question. Unit: one label, change-one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.errors import BadInput
from comity.mechanism import Noise
from comity.validate.mechanism import Price, Sizes, calibrate

Integers = NDArray[np.int64]

MOST_WEIGHT: Final = 2**20
MOST_QUESTIONS: Final = 10_000
"""In one batch."""


@dataclass(frozen=True)
class GroupSum:
    """One question about a registered grouping; without group and weights: every group's own sum.

    Attributes:
        grouping: its name.
        group: the one group whose positives are asked for.
        weights: a whole number for each group: the weighted sum of their positives.
    """

    grouping: str
    group: int | None = None
    weights: tuple[int, ...] | None = None

    @property
    def sensitivity(self) -> int:
        """By how much one label can move the answer, in the L1 norm."""
        return 1 if self.weights is None else max(abs(weight) for weight in self.weights)

    def values(self, groups: int) -> int:
        """How many numbers answer it."""
        return groups if self.group is None and self.weights is None else 1

    def to_list(self) -> list[Any]:
        """The JSON form: [grouping, null], [grouping, group] or [grouping, [weights]]."""
        return [self.grouping, self.group if self.weights is None else list(self.weights)]

    @classmethod
    def from_list(cls, document: object, groups: Mapping[str, int]) -> Self:
        """Read `to_list`'s form.

        Args:
            groups: how many groups each registered grouping has.

        Raises:
            BadInput: if it is no question about one of them.
        """
        if not isinstance(document, list) or len(document) != 2 or not isinstance(document[0], str):
            raise BadInput("a question is a pair: a registered grouping, and a group, weights or null")
        name, asked = document
        count = groups.get(name)
        if count is None:
            raise BadInput(f"no grouping {name[:40]!r} is registered in this conversation")
        if asked is None:
            return cls(name)
        if type(asked) is int and 0 <= asked < count:
            return cls(name, asked)
        if not isinstance(asked, list) or len(asked) != count or not _are_weights(asked):
            raise BadInput(
                f"grouping {name[:40]!r} has {count} groups: name one, or give each a whole weight"
            )
        return cls(name, weights=tuple(asked))

    def exact(self, positives: Integers) -> Integers:
        """(values,) exact sums, out of every group's (groups,) positives. Private."""
        if self.group is not None:
            return positives[self.group : self.group + 1]
        if self.weights is None:
            return positives
        return np.array([int(np.dot(positives, np.array(self.weights, dtype=np.int64)))], dtype=np.int64)

    def scale(self, records: int, groups: int, epsilon: float) -> float:
        """Of the discrete Laplace noise at a price, in records; a function of public facts.

        Raises:
            UsageError: for an epsilon that is none, or noise that does not fit into 64-bit integers.
        """
        return _scale(records, self.values(groups), self.sensitivity, epsilon)


@lru_cache(maxsize=4096)
def _scale(records: int, values: int, sensitivity: int, epsilon: float) -> float:
    sizes = Sizes(values, sensitivity, sensitivity, max(1, records * sensitivity))
    return calibrate(sizes, Price(epsilon, 0.0)).scale


def _are_weights(values: list[Any]) -> bool:
    return all(type(weight) is int and abs(weight) <= MOST_WEIGHT for weight in values) and any(values)


class Draws:
    """Noise for several answers, drawn together for those of one scale when the first of them is made.

    Every draw is handed out once. Not for use by several threads.
    """

    def __init__(self) -> None:
        self._wanted: Counter[float] = Counter()
        self._drawn: dict[float, Integers] = {}

    def want(self, scale: float, count: int) -> None:
        """Announce an answer of `count` numbers."""
        self._wanted[scale] += count

    def take(self, scale: float, count: int) -> Integers:
        """(count,) draws of discrete Laplace noise."""
        left = self._drawn.get(scale)
        if left is None or len(left) < count:
            size = max(count, self._wanted[scale])
            left = noise.add_discrete_laplace(np.zeros(size, dtype=np.int64), scale)
        self._drawn[scale] = left[count:]
        return left[:count]


def margin(scale: float, level: float = 0.95) -> int:
    """The least t with |noise| <= t at this probability or more, for discrete Laplace noise."""
    return int(Noise("laplace", 0, scale).within(level))
