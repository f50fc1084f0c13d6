"""Noise of which every member adds a part, so that the sum carries what the guarantee needs.

Each member adds discrete Gaussian noise of variance sigma^2 / (threshold - colluders) to its own vector,
before the masks. However many drop out, at least `threshold` stay; at most `colluders` of these tell their
noise to the server; so the rest is worth sigma^2 or more. If all n stay, the sum carries n / (threshold -
colluders) times the variance that was needed: that excess is the price of drop-outs and colluders
(`excess`).

What is charged. All rounds together are one Gaussian mechanism (Dong, Roth and Su 2022), calibrated by
Balle and Wang 2018. The grid's share of delta is taken out first, for two steps away from continuous noise:

* a sum of m discrete Gaussians is not one: by Kairouz, Liu and Steinke 2021 every probability differs from
  that
  of the discrete Gaussian of the sum's variance by a factor between exp(-tau) and exp(tau), tau =
  10 sum_{k=1}^{m-1} exp(-2 pi^2 s^2 k / (k + 1)) for parts of scale s, hence at most tau in total variation;
* that discrete Gaussian from a rounded continuous one: `noise.total_variation`.

Both are per coordinate, and a move by v in total variation moves delta by (1 + e^epsilon) v. Wrapping
around modulo 2^64 is a function of the noisy sum: it costs no privacy, and sums have room so that it does
not happen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.errors import UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate, gaussian_noise_multiplier

Integers = NDArray[np.int64]

CAP: Final = 1 << 24
"""The L2 norm, in grid units, up to which one row (or one member) can move a sum of a round."""

MOST_OF_ONE: Final = 1_000
"""Rows of one person: with the cap, sums and noise keep room below 2^63."""

_LARGEST_EPSILON: Final = 8.0  # beyond it the grid's share of delta would not fit; more noise is no harm
_ROOM: Final = 1 << 56


def sum_error(scale: float, parts: int) -> float:
    """tau: how far a sum of `parts` discrete Gaussians of this scale is from one, per coordinate.

    Source: Kairouz, Liu and Steinke 2021, for scales of 1/2 or more.
    """
    if not scale >= 0.5:
        raise UsageError("the noise's parts are narrower than half a grid unit; use a finer grid")
    terms = (math.exp(-2 * math.pi**2 * scale**2 * k / (k + 1)) for k in range(1, parts))
    return 10 * sum(terms) * (1 + 1e-12)


@dataclass(frozen=True)
class SharedNoise:
    """The noise of a whole session, fixed before its first round.

    Attributes:
        epsilon, delta: of all rounds together, relation add-remove.
        unit: whose coming or going it hides: a record, a person or a party.
        rows: the most rows of one person; 1 for records and parties.
        shares: of the budget, per round; they add up to 1.
        dimensions: numbers of all rounds together.
        members, threshold, colluders: of the group.
    """

    epsilon: float
    delta: float
    unit: PrivacyUnit
    rows: int
    shares: tuple[float, ...]
    dimensions: int
    members: int
    threshold: int
    colluders: int

    def __post_init__(self) -> None:
        if not 1 <= self.rows <= MOST_OF_ONE:
            raise UsageError(f"one person may have 1 to {MOST_OF_ONE:,} rows here, not {self.rows}")
        if not (self.shares and min(self.shares) > 0 and abs(sum(self.shares) - 1) < 1e-9):
            raise UsageError("the rounds' shares of the budget are positive and add up to 1")
        if not 0 <= self.colluders < self.threshold <= self.members:
            raise UsageError("the noise is drawn by more members than may collude with the server")
        if not (math.isfinite(self.epsilon) and self.epsilon > 0 and 0 < self.delta < 1):
            raise UsageError("noise is shared for an epsilon above 0 and a delta between 0 and 1")

    @property
    def cost(self) -> Cost:
        """What the account is charged when the session opens, for all of its rounds."""
        return approximate(self.epsilon, self.delta, unit=self.unit, relation=Relation.add_remove)

    @property
    def honest(self) -> int:
        """Members whose noise is there and unknown to the server, at least."""
        return self.threshold - self.colluders

    @property
    def excess(self) -> float:
        """How many times the variance that the guarantee needs is in the sum if nobody drops out."""
        return self.members / self.honest

    @property
    def grid_delta(self) -> float:
        """What the integer grid and the sum of parts take of delta."""
        epsilon = min(self.epsilon, _LARGEST_EPSILON)
        # all parts together are wider than that: less of delta is left for them, and a round has less of it
        least = gaussian_noise_multiplier(epsilon, self.delta) * CAP
        parts = self.dimensions * (1 + math.exp(epsilon))
        error = sum_error(least / math.sqrt(self.honest), self.members)
        return noise.discretisation_delta(least, self.dimensions, epsilon) + parts * error

    @property
    def multiplier(self) -> float:
        """Noise over sensitivity of a round that had the whole budget."""
        grid = self.grid_delta
        if not grid <= self.delta / 2:
            raise UsageError(
                f"delta {self.delta:g} is too small for {self.dimensions} sums on the integer grid; it must "
                f"be at least {2 * grid:.2g}"
            )
        return gaussian_noise_multiplier(min(self.epsilon, _LARGEST_EPSILON), self.delta - grid)

    def needed(self, number: int) -> float:
        """The scale, in grid units, that the sum of a round needs."""
        share = self.shares[number]
        return self.multiplier / math.sqrt(share) * CAP * self.rows * (1 + 2.0**-40)

    def part(self, number: int) -> float:
        """The scale, in grid units, of one member's part in a round."""
        return self.needed(number) / math.sqrt(self.honest) * (1 + 2.0**-40)

    def carried(self, number: int, survivors: int) -> float:
        """The scale, in grid units, of the noise that the sum over so many survivors has."""
        return self.part(number) * math.sqrt(survivors)

    def add_part(self, number: int, sums: Integers) -> Integers:
        """A member's sums of a round with its part of the noise; to be called after the charge.

        Sums beyond 2^56 are cut to it: cutting moves neighbours no further apart, and a member with as many
        rows has more than 2^32 of them.
        """
        cut = np.clip(sums, -_ROOM, _ROOM).astype(np.int64)
        return noise.add_discrete_gaussian(cut, self.part(number))
