"""A validator's prices and sizes: what an answer costs, and what `comity.mechanism` calibrates its noise to.

Neighbours differ in one label (or one record: `Price.unit`), which changes: relation change-one. A query says
how far that moves its sums (`l1`, `l2`); with delta > 0 the noise is discrete Gaussian for the L2 bound, with
delta = 0 discrete Laplace for the L1 bound. Everything but `answer` and `noised` is a function of public
facts; the asker sees noisy sums and the noise's scale.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from comity import mechanism
from comity.errors import BadInput, UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate, gaussian, gaussian_noise_multiplier, pure
from comity.mechanism import FINE_BITS, LARGEST_EPSILON, Noise, Sums, grid_shift, laplace, require_room
from comity.validate.queries import Labels, Query


@dataclass(frozen=True)
class Price:
    """What an answer costs: (epsilon, delta) for a change of one label, and the noise that pays for it.

    Attributes:
        epsilon, delta: of this answer by itself; delta 0 means Laplace noise.
        multiplier: noise scale over sensitivity; None: calibrated to (epsilon, delta) when answering.
        adds_up: charged by its Renyi curve, which adds up well over many answers, instead of as a whole.
        unit: what changes: a label, or (where answers are about private columns too) a record.
    """

    epsilon: float
    delta: float
    multiplier: float | None = None
    adds_up: bool = False
    unit: PrivacyUnit = PrivacyUnit.label

    def __post_init__(self) -> None:
        if not (math.isfinite(self.epsilon) and self.epsilon > 0):
            raise UsageError(f"epsilon must be above 0 and finite, not {self.epsilon}")
        if not 0 <= self.delta < 1:
            raise UsageError(f"delta must lie in [0, 1), not {self.delta}")
        if self.adds_up and self.multiplier is None:
            raise UsageError("a price by its Renyi curve names its noise multiplier")

    @property
    def cost(self) -> Cost:
        """What the account is charged, in its unit, relation change-one."""
        unit, relation = self.unit, Relation.change_one
        if self.adds_up and self.multiplier is not None:
            return gaussian(self.multiplier, unit=unit, relation=relation)
        if self.delta == 0:
            return pure(self.epsilon, unit=unit, relation=relation)
        return approximate(self.epsilon, self.delta, unit=unit, relation=relation)


class Sized(Protocol):
    """What noise is calibrated to: a query, or what is told of one to who may not see it."""

    @property
    def dimensions(self) -> int: ...
    @property
    def l1(self) -> int: ...
    @property
    def l2(self) -> int: ...
    @property
    def largest_sum(self) -> int: ...


@dataclass(frozen=True)
class Sizes:
    """How large a query's answers and the moves of one label are, and nothing else of it.

    Attributes:
        dimensions, l1, l2, largest_sum: as of `Query`.
    """

    dimensions: int
    l1: int
    l2: int
    largest_sum: int

    @classmethod
    def of(cls, query: Sized) -> Self:
        return cls(query.dimensions, query.l1, query.l2, query.largest_sum)

    def to_dict(self) -> dict[str, int]:
        return {
            "dimensions": self.dimensions,
            "l1": self.l1,
            "l2": self.l2,
            "largest_sum": self.largest_sum,
        }

    @classmethod
    def from_dict(cls, document: object) -> Self:
        """Read `to_dict`'s form.

        Raises:
            BadInput: unless it holds four whole numbers of 1 or more, up to 2^62.
        """
        names = ("dimensions", "l1", "l2", "largest_sum")
        if not isinstance(document, Mapping) or set(document) != set(names):
            raise BadInput(f"the sizes of a query are {', '.join(names)}")
        values = [document[name] for name in names]
        if not all(type(value) is int and 1 <= value <= 2**62 for value in values):
            raise BadInput("the sizes of a query are whole numbers from 1 to 2^62")
        return cls(*values)


@dataclass(frozen=True, eq=False)
class NoisySums:
    """The answer to a query.

    Attributes:
        values: (dimensions,) sums with noise, in the query's whole numbers (the noise has a finer grid).
        calibration: the noise that was added.
    """

    values: NDArray[np.float64]
    calibration: Noise

    @property
    def deviation(self) -> float:
        return self.calibration.deviation


def calibrate(query: Sized, price: Price) -> Noise:
    """The noise that makes this query's answer cost no more than the price; a function of public facts.

    Raises:
        UsageError: if sums and noise do not fit into 64-bit integers, or delta is too small to calibrate.
    """
    if price.delta == 0 and price.multiplier is None:
        # exact on whole numbers as they are: a finer grid would only add noise between them
        return laplace(query.l1, query.largest_sum, price.epsilon, records=1)
    sums = Sums(query.dimensions, query.l2, query.largest_sum, records=1)
    if price.multiplier is None:
        # the grid stays at its usual width: every party reckons it from these sizes, and answers name it
        return mechanism.gaussian(
            [sums], price.epsilon, _gaussian_delta(price), finest=FINE_BITS, instead="0 for Laplace noise"
        ).noises[0]
    shift = grid_shift(price.multiplier * query.l2)
    made = Noise.of_multiplier(price.multiplier, query.l2, shift)
    require_room(sums, made)
    return made


def answer(query: Query, labels: Labels, price: Price) -> NoisySums:
    """Read the labels and answer with noise. To be called after the charge is durable.

    Args:
        query: what is asked.
        labels: (rows,) what the query is about: 0 or 1, codes of classes, or whole numbers.
        price: what was charged.
    """
    return noised(query.sums(labels), calibrate(query, price))


def noised(exact: NDArray[np.int64], calibration: Noise) -> NoisySums:
    """Exact sums with their noise. To be called after the charge is durable."""
    return NoisySums(calibration.answer(exact), calibration)


def noise_multiplier(price: Price) -> float:
    """Standard deviation of Gaussian noise over the L2 sensitivity, with nothing yet paid for the grid.

    Raises:
        UsageError: for a price of Laplace noise.
    """
    if price.multiplier is not None:
        return price.multiplier
    return gaussian_noise_multiplier(min(price.epsilon, LARGEST_EPSILON), _gaussian_delta(price))


def _gaussian_delta(price: Price) -> float:
    if price.delta == 0:
        raise UsageError("Gaussian noise takes a delta above 0, and there is none (left)")
    return price.delta
