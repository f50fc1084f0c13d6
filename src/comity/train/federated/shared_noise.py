"""Noise of which every member adds a part, so that the sum carries what the guarantee needs.

Each member adds discrete Gaussian noise of variance sigma^2 / (threshold - colluders) to its own vector,
before the masks. However many drop out, at least `threshold` stay; at most `colluders` of these tell their
noise to the server; so the rest is worth sigma^2 or more. If all n stay, the sum carries n / (threshold -
colluders) times the variance that was needed: that excess is the price of drop-outs and colluders
(`excess`).

What is charged. All rounds together are one Gaussian mechanism, calibrated by `comity.mechanism` as one list
of releases; the integer grid's share of delta, and that of a sum of several discrete Gaussians, are taken out
first. Neighbours: one record, person or member is there or not (add-remove); `releases` say how far each
moves a round's sum. Whoever opens a sum sees it with all survivors' noise; a colluding member knows its own
part.

Wrapping around modulo 2^64 is a function of the noisy sum: it costs no privacy, and sums have room so that it
does not happen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from comity.errors import UsageError
from comity.ledger import Cost, PrivacyUnit, Relation, approximate
from comity.mechanism import Calibrated, Noise, Parts, Sums, gaussian

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

CAP_BITS = 24
"""A member's update of length 1 is 2^24 whole numbers long, where a whole member is the unit."""


@dataclass(frozen=True)
class SharedNoise:
    """The noise of a whole session, fixed before its first round.

    Attributes:
        epsilon, delta: of all rounds together, relation add-remove.
        unit: whose coming or going it hides: a record, a person or a party.
        releases: the rounds' sums in order, each as often as it says; `l2` is how far one unit moves it.
        members, threshold, colluders: of the group.
    """

    epsilon: float
    delta: float
    unit: PrivacyUnit
    releases: tuple[Sums, ...]
    members: int
    threshold: int
    colluders: int

    def __post_init__(self) -> None:
        if not 0 <= self.colluders < self.threshold <= self.members:
            raise UsageError("the noise is drawn by more members than may collude with the server")
        if not (math.isfinite(self.epsilon) and self.epsilon > 0 and 0 < self.delta < 1):
            raise UsageError("noise is shared for an epsilon above 0 and a delta between 0 and 1")

    @property
    def cost(self) -> Cost:
        """What the account is charged when the session opens, for all of its rounds."""
        return approximate(self.epsilon, self.delta, unit=self.unit, relation=Relation.add_remove)

    @property
    def parts(self) -> Parts:
        """Who draws it. Members whose noise is there and unknown to the server are enough."""
        return Parts(self.members, self.threshold - self.colluders)

    @property
    def excess(self) -> float:
        """How many times the variance that the guarantee needs is in the sum if nobody drops out."""
        return self.parts.excess

    @cached_property
    def calibrated(self) -> Calibrated:
        """What the rounds' sums need.

        Raises:
            UsageError: if delta is too small for them, or they do not fit 64 bits with the noise.
        """
        return gaussian(
            self.releases, self.epsilon, self.delta, parts=self.parts, instead="ask for a smaller epsilon"
        )

    @property
    def multiplier(self) -> float:
        """Noise over sensitivity of all rounds together, as the guarantee needs it."""
        return self.calibrated.multiplier

    def release(self, number: int) -> Sums:
        """The sizes of a round's sum."""
        return self.releases[self._places[number]]

    def needed(self, number: int) -> Noise:
        """The noise that the sum of a round needs."""
        return self.calibrated.noises[self._places[number]]

    def part(self, number: int) -> Noise:
        """One member's part in a round."""
        return self.needed(number).part(self.parts)

    def carried(self, number: int, survivors: int) -> float:
        """Standard deviation of the noise in the sum over so many survivors, in the sums' whole numbers."""
        return self.part(number).deviation * math.sqrt(survivors)

    def add_part(self, number: int, sums: Integers) -> Integers:
        """A member's sums of a round with its part of the noise; to be called after the charge.

        Sums beyond a member's part of the room are cut to it: cutting moves neighbours no further apart, and
        only more records than `Sums.records` have such sums.
        """
        room = self.release(number).largest_sum // self.members
        return self.part(number).add(np.clip(sums, -room, room).astype(np.int64))

    def read(self, number: int, opened: Integers) -> Floats:
        """What a round's opened sum says, in the sums' whole numbers."""
        return self.needed(number).read(opened)

    @cached_property
    def _places(self) -> list[int]:
        return [at for at, one in enumerate(self.releases) for _ in range(one.times)]
