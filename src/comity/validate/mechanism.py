"""The mechanism: noise for a query's sums, and what it costs.

With delta > 0 the noise is discrete Gaussian, calibrated by the analytic Gaussian mechanism to the query's
L2 bound. Those sums are shifted to a finer grid first, so that the noise is at least 2^22 grid units wide and
its discreteness costs next to nothing (`noise.discretisation_delta`, taken out of delta before calibrating).
With delta = 0 the noise is discrete Laplace on the sums as they are, calibrated to the L1 bound, where
discreteness costs nothing at all. Everything but `answer` is a function of public facts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.errors import BadInput, UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate, gaussian, gaussian_noise_multiplier, pure
from comity.validate.queries import Labels, Query

_FINE_BITS: Final = 22

LARGEST_EPSILON: Final = 16.0
"""Gaussian noise is calibrated to at most this: beyond it the grid's share of delta, which grows as
e^epsilon, would not fit, and more noise than asked for is no harm."""


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


@dataclass(frozen=True)
class Calibration:
    """The noise for one query at one price.

    Attributes:
        law: `gaussian` or `laplace`.
        shift: sums are multiplied by 2^shift before noise is added.
        scale: the noise's scale on that grid (sigma, or Laplace scale).
    """

    law: str
    shift: int
    scale: float

    @property
    def deviation(self) -> float:
        """Standard deviation of one value's noise, in the query's own whole numbers."""
        if self.law == "gaussian":
            return math.ldexp(self.scale, -self.shift)
        # discrete Laplace: variance 2 q / (1 - q)^2 with q = e^(-1/scale)
        return math.ldexp(1 / (math.sqrt(2.0) * math.sinh(1 / (2 * self.scale))), -self.shift)


@dataclass(frozen=True, eq=False)
class NoisySums:
    """The answer to a query.

    Attributes:
        values: (dimensions,) sums with noise, in the query's whole numbers (the noise has a finer grid).
        calibration: the noise that was added.
    """

    values: NDArray[np.float64]
    calibration: Calibration

    @property
    def deviation(self) -> float:
        return self.calibration.deviation


def calibrate(query: Sized, price: Price) -> Calibration:
    """The noise that makes this query's answer cost no more than the price.

    Raises:
        UsageError: if sums and noise do not fit into 64-bit integers, or delta is too small to calibrate.
    """
    if price.delta == 0 and price.multiplier is None:
        # exact on whole numbers as they are: a finer grid would only add noise between them
        calibration = Calibration("laplace", 0, query.l1 / price.epsilon * (1 + 2.0**-50))
    else:
        multiplier = price.multiplier
        if multiplier is None:
            multiplier = _multiplier(query, price)
        # the grid is as fine as was assumed when its own delta was paid for: the final multiplier is a little
        # larger, and its shift could be one bit coarser
        whole = noise_multiplier(price)
        shift = _shift(whole * query.l2)
        calibration = Calibration(
            "gaussian", shift, math.ldexp(multiplier * query.l2, shift) * (1 + 2.0**-50)
        )
    noise.require_room(math.ldexp(float(query.largest_sum), calibration.shift), calibration.scale)
    return calibration


def answer(query: Query, labels: Labels, price: Price) -> NoisySums:
    """Read the labels and answer with noise. To be called after the charge is durable.

    Args:
        query: what is asked.
        labels: (rows,) what the query is about: 0 or 1, codes of classes, or whole numbers.
        price: what was charged.
    """
    calibration = calibrate(query, price)
    exact = query.sums(labels) * np.int64(1 << calibration.shift)
    return NoisySums(read_noisy(add_noise(exact, calibration), calibration), calibration)


def add_noise(sums: NDArray[np.int64], calibration: Calibration) -> NDArray[np.int64]:
    """Add the noise to sums on the calibrated grid; any shape."""
    if calibration.law == "gaussian":
        return noise.add_discrete_gaussian(sums, calibration.scale)
    return noise.add_discrete_laplace(sums, calibration.scale)


def read_noisy(values: NDArray[Any], calibration: Calibration) -> NDArray[np.float64]:
    """Noisy sums on the calibrated grid, in the query's whole numbers."""
    return np.ldexp(np.asarray(values, dtype=np.float64), -calibration.shift)


def noise_multiplier(price: Price) -> float:
    """Standard deviation of Gaussian noise over the L2 sensitivity, with nothing yet paid for the grid.

    Raises:
        UsageError: for a price of Laplace noise.
    """
    if price.multiplier is not None:
        return price.multiplier
    if price.delta == 0:
        raise UsageError("Gaussian noise takes a delta above 0, and there is none (left)")
    return gaussian_noise_multiplier(min(price.epsilon, LARGEST_EPSILON), price.delta)


def _multiplier(query: Sized, price: Price) -> float:
    """The analytic Gaussian's, with the price of the grid taken out of delta first."""
    epsilon, whole = min(price.epsilon, LARGEST_EPSILON), noise_multiplier(price)
    sigma = math.ldexp(whole * query.l2, _shift(whole * query.l2))
    grid = noise.discretisation_delta(sigma, query.dimensions, epsilon)
    if grid > price.delta / 2:
        raise UsageError(
            f"delta {price.delta:g} is too small for {query.dimensions} sums on the integer grid; "
            f"it must be at least {2 * grid:.2g}, or 0 for Laplace noise"
        )
    return gaussian_noise_multiplier(epsilon, price.delta - grid)


def _shift(scale: float) -> int:
    """By how many bits to refine the grid so that noise of this scale is wide enough."""
    return max(0, _FINE_BITS - math.frexp(scale)[1] + 1)
