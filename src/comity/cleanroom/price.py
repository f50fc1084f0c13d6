"""What a job of statistics costs, and the noise that pays for it.

Mechanism: sample and aggregate (Nissim, Raskhodnikova and Smith 2007; Mohan et al. 2012). The job runs on
blocks of units that learn nothing of each other; a block gives one vector per output, cut to that output's
norm C; the sum over blocks leaves with discrete Gaussian noise. Neighbouring tables: one unit's rows come or
go (add-remove). Where each unit is a block of its own, one vector comes or goes: L2 sensitivity C. Where
units share blocks one unit changes the vector of the block that it falls into by lot: at most 2 C.

A lot draws each unit with probability q (Poisson), independently. For vectors of sensitivity 1 and noise of
scale s the pair of neighbours that is hardest to hide is N(0, s^2) against (1 - q) N(0, s^2) + q N(1, s^2)
(Zhu, Dong and Wang 2022, theorem 11); delta as a function of epsilon has a closed form for it in both
directions, and `multiplier` finds the s whose delta is that of the budget. That holds for units that share
blocks as well: wherever the others fell, the one unit is drawn with probability q and falls into one of the
blocks, and of all these mixtures each is hidden by the noise for 2 C.

Where the number of units decides how many are drawn, it is private: a part of epsilon goes to a noisy count,
by which q, the number of places and how many units share one are set (`comity.cleanroom.places`). The two
compose by adding up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.cleanroom.job import Job
from comity.cleanroom.lot import Lot
from comity.errors import UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate
from comity.noise_grid import norm_bounds

Floats = NDArray[np.float64]

COUNT_SHARE: Final = 0.05
"""The part of epsilon that the count of units gets."""
_CROWDED: Final = 1e-9
"""The probability that places are too few for the units, or for those drawn; taken out of delta, twice."""
_LARGEST_EPSILON: Final = 8.0
_CAP: Final = 1 << 26
"""A vector at its norm, on the integer grid."""
_MOST_PLACES: Final = 1 << 31


@dataclass(frozen=True)
class RoomPrice:
    """The price of a job of statistics at one provider.

    Attributes:
        epsilon, delta: of everything that leaves; relation add-remove.
        unit: `record` or `person`.
        dimensions: how many numbers leave.
        counted: whether a count of units is paid for.
    """

    epsilon: float
    delta: float
    unit: PrivacyUnit
    dimensions: int
    counted: bool

    @classmethod
    def of(cls, job: Job, epsilon: float, delta: float, unit: PrivacyUnit) -> RoomPrice:
        """Of this job.

        Raises:
            UsageError: if delta is too small for so many numbers on the grid, or a share for its noise.
        """
        counted = job.blocks is not None and job.blocks.number is None
        dimensions = sum(output.length for output in job.outputs)
        price = cls(epsilon, delta, unit, dimensions, counted)
        total = sum(output.share for output in job.outputs)
        for output in job.outputs:
            # noise has room in 64 bits, whatever lot is drawn: found out before anything is charged
            sigma = price.deviation(1.0, output.share / total, Lot.of_all(1)) * _CAP
            noise.require_room(float(_CAP) * _MOST_PLACES, sigma)
        return price

    @property
    def cost(self) -> Cost:
        """What the account is charged."""
        return approximate(self.epsilon, self.delta, unit=self.unit, relation=Relation.add_remove)

    def multiplier(self, drawn: float) -> float:
        """Noise over sensitivity of the whole vector, where each unit is drawn with this probability.

        Raises:
            UsageError: if delta is too small for so many numbers on the grid.
        """
        epsilon = min(self.epsilon, _LARGEST_EPSILON) * (1 - COUNT_SHARE if self.counted else 1)
        # sampled noise is never below a tenth of the sensitivity: the grid is that fine at least
        grid = noise.discretisation_delta(_CAP / 16, self.dimensions, epsilon)
        left = self.delta - grid - (2 * _CROWDED if self.counted else 0.0)
        if not left > self.delta / 2:
            raise UsageError(
                f"delta {self.delta:g} is too small for {self.dimensions:,} numbers; it must be at least "
                f"{2 * (grid + 2 * _CROWDED):.2g}"
            )
        return max(multiplier(epsilon, left, drawn), 0.1)

    def count(self, units: int) -> int:
        """A noisy count. After the charge."""
        return int(noise.add_discrete_laplace(np.array([units], dtype=np.int64), self._scale)[0])

    def room(self, counted: int) -> int:
        """How many places hold all units but for a chance of 1e-9, by a noisy count of them."""
        return min(max(counted, 0) + self.margin, _MOST_PLACES)

    @property
    def margin(self) -> int:
        """So many places beyond a noisy count are there."""
        return min(math.ceil(self._scale * -math.log(_CROWDED)) + 1, _MOST_PLACES)

    @property
    def _scale(self) -> float:
        """Of the noise on the count."""
        return 1 / (min(self.epsilon, _LARGEST_EPSILON) * COUNT_SHARE)

    def noisy(self, vectors: Floats, norm: float, part: float, lot: Lot) -> Floats:
        """(length,) the sum of (blocks, length) vectors, each cut, with noise. After the charge.

        Args:
            norm: as declared; what a block's vector is cut to follows from it and the lot.
            part: of the privacy, the parts of all outputs adding up to 1.
        """
        cut = lot.cut(norm)
        whole = np.zeros(vectors.shape[1], dtype=np.int64)
        for first in range(0, len(vectors), 4096):
            whole += whole_vectors(vectors[first : first + 4096], cut).sum(axis=0)
        sigma = self._over_cut(part, lot) * _CAP
        noise.require_room(float(_CAP) * max(len(vectors), 1), sigma)
        return noise.add_discrete_gaussian(whole, sigma).astype(np.float64) * (cut / _CAP)

    def deviation(self, norm: float, part: float, lot: Lot) -> float:
        """Standard deviation of the noise on each number of an output."""
        return self._over_cut(part, lot) * lot.cut(norm)

    def _over_cut(self, part: float, lot: Lot) -> float:
        """That deviation over the length that a block's vector is cut to."""
        return self.multiplier(lot.drawn) * lot.moved / math.sqrt(part) * (1 + 2.0**-40)


def whole_vectors(vectors: Floats, norm: float) -> NDArray[np.int64]:
    """(blocks, length) vectors on the integer grid, each cut to the norm, which is 2^26 there; no noise.

    Each vector is divided by its own largest entry before it is squared, so that neither very small nor very
    large entries slip through the cut; one that is not finite counts as zeros. The last word is a bound on
    the integers themselves.
    """
    with np.errstate(over="ignore", invalid="ignore", divide="ignore", under="ignore"):
        largest = np.abs(vectors).max(axis=1, initial=0.0)
        fine = np.isfinite(largest) & (largest > 0)
        direction = np.where(fine[:, None], vectors, 0.0) / np.where(fine, largest, 1.0)[:, None]
        length = np.sqrt(np.square(direction).sum(axis=1))  # from 1 to the root of the number of entries
        # a little below the cap, by more than all roundings together
        factor = np.minimum(largest / norm, 1.0 / np.maximum(length, 1.0)) * (_CAP * (1 - 1e-9))
        whole = np.trunc(direction * np.where(fine, factor, 0.0)[:, None]).astype(np.int64)
    return np.where((norm_bounds(whole) <= _CAP)[:, None], whole, 0)


@lru_cache(maxsize=256)
def multiplier(epsilon: float, delta: float, drawn: float) -> float:
    """The least noise scale, sensitivity 1, that gives (epsilon, delta) where units are drawn by lot."""
    if not (epsilon > 0 and 0 < delta < 1 and 0 < drawn <= 1):
        raise UsageError(f"no noise gives epsilon {epsilon:g}, delta {delta:g} at a share of {drawn:g}")
    low, high = 1e-3, 1.0
    while _delta(high, epsilon, drawn) > delta:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if _delta(middle, epsilon, drawn) > delta else (low, middle)
    return high * (1 + 1e-6)


def _delta(scale: float, epsilon: float, drawn: float) -> float:
    """delta of the sampled Gaussian at this epsilon, the larger of the two directions."""
    grown = math.exp(epsilon)
    # where the ratio of densities, (1 - q) + q exp((2 x - 1) / (2 s^2)), passes e^epsilon
    above = 0.5 + scale**2 * math.log((grown - 1 + drawn) / drawn)
    gone = (1 - drawn) * _tail(above / scale) + drawn * _tail((above - 1) / scale)
    gone -= grown * _tail(above / scale)
    come = 0.0
    if 1 / grown > 1 - drawn:
        below = 0.5 + scale**2 * math.log((1 / grown - 1 + drawn) / drawn)
        mixed = (1 - drawn) * _tail(-below / scale) + drawn * _tail((1 - below) / scale)
        come = _tail(-below / scale) - grown * mixed
    return max(gone, come, 0.0)


def _tail(x: float) -> float:
    """The probability that a standard normal number is above x."""
    return 0.5 * math.erfc(x / math.sqrt(2))
