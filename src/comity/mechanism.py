"""Noise for a fixed list of integer sums that cost one (epsilon, delta) together, calibrated exactly.

What several techniques need of `noise`: private and federated training release many noisy gradients, a
statistic one noisy histogram, a validator one answer. Gaussian mechanisms compose into a Gaussian mechanism
also when each is chosen after the answers before it (Dong, Roth and Su 2022, corollary 3.3): noise
multipliers m_1, m_2, ... cost what one of (sum of m_i^-2)^(-1/2) costs, so a list needs one calibration
(Balle and Wang 2018), not a bound on a sum. The grid's share of delta (`noise.discretisation_delta`, which
adds up over the list) is taken out first. With a delta of 0 it is discrete Laplace noise on the sums as they
are, where discreteness costs nothing at all.

Noise may be drawn in parts by several holders (`Parts`). A sum of m discrete Gaussians is not one: by
Kairouz, Liu and Steinke 2021 every probability differs from that of the discrete Gaussian of the sum's
variance by a factor between exp(-tau) and exp(tau), tau = 10 sum_{k=1}^{m-1} exp(-2 pi^2 s^2 k / (k + 1)) for
parts of scale s, hence at most tau in total variation per number; delta pays for that too.

Everything but `Noise.add` is a function of public facts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.errors import UsageError
from comity.ledger import epsilon_of, gaussian_noise_multiplier

MOST_RECORDS: Final = 1 << 31
"""Sums are kept below what this many records can add up to; more are not read at once."""

LARGEST_EPSILON: Final = 16.0
"""Gaussian noise is calibrated to at most this: more noise than asked for is no harm, and no smaller noise
protects anybody."""

FINE_BITS: Final = 22
"""Gaussian noise is at least 2^22 steps of its grid wide, so that its discreteness costs next to nothing."""

FINEST_BITS: Final = 40
"""The grid of a list of sums is refined up to this while its share of delta still counts."""


@dataclass(frozen=True)
class Sums:
    """One release of the list: the sizes of a vector of integer sums. Public facts.

    Attributes:
        dimensions: how many integers.
        l2: how far one unit moves the vector, in L2; a whole number, rounded up.
        most: the largest magnitude that one record adds to one of them.
        share: of the privacy (of rho, or 1/multiplier^2) that it gets, relative to the others'.
        times: how many releases of this size there are.
        records: that many add up to a sum, at most. A private number is not told here: it shows in the noise.
    """

    dimensions: int
    l2: int
    most: int
    share: float = 1.0
    times: int = 1
    records: int = MOST_RECORDS

    @property
    def largest_sum(self) -> int:
        """Bound on the magnitude of every sum."""
        return self.most * self.records

    def __post_init__(self) -> None:
        sizes = (self.dimensions, self.l2, self.most, self.times, self.records)
        if not all(type(size) is int and size >= 1 for size in sizes) or not self.share > 0:
            raise UsageError("sizes of sums are whole numbers of 1 or more, their share is above 0")


@dataclass(frozen=True)
class Parts:
    """Who draws a sum's noise: `drawn` holders a part each, of which `enough` carry all that is needed.

    Attributes:
        drawn: parts in the sum, at most.
        enough: parts that are there for certain and unknown to who sees the sum; a part has the variance that
            is needed, over this number.
    """

    drawn: int = 1
    enough: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.enough <= self.drawn:
            raise UsageError("noise is drawn by as many as are needed, or more, and at least one is needed")

    @property
    def excess(self) -> float:
        """How many times the needed variance is in the sum if every part is there."""
        return self.drawn / self.enough

    def error(self, scale: float) -> float:
        """tau: how far the sum of all parts is from one discrete Gaussian of scale `scale` or more."""
        return sum_error(scale / math.sqrt(self.enough), self.drawn)


def sum_error(scale: float, parts: int) -> float:
    """tau: how far a sum of `parts` discrete Gaussians of this scale is from one, per coordinate.

    Source: Kairouz, Liu and Steinke 2021, for scales of 1/2 or more.
    """
    if not scale >= 0.5:
        raise UsageError("the noise's parts are narrower than half a grid unit; use a finer grid")
    terms = (math.exp(-2 * math.pi**2 * scale**2 * k / (k + 1)) for k in range(1, parts))
    return 10 * sum(terms) * (1 + 1e-12)


@dataclass(frozen=True)
class Noise:
    """The noise of one release.

    Attributes:
        law: `gaussian` or `laplace`.
        shift: sums are multiplied by 2^shift before noise is added, so that the grid is fine against it.
        scale: the noise's scale on that grid.
    """

    law: str
    shift: int
    scale: float

    @classmethod
    def of_multiplier(cls, multiplier: float, l2: int, shift: int) -> Self:
        """Gaussian noise of standard deviation `multiplier` times an L2 sensitivity, on that grid."""
        return cls("gaussian", shift, math.ldexp(multiplier * l2, shift) * (1 + 2.0**-50))

    @property
    def deviation(self) -> float:
        """Standard deviation of one value's noise, in the sums' own whole numbers."""
        if self.law == "gaussian":
            return math.ldexp(self.scale, -self.shift)
        # discrete Laplace: variance 2 q / (1 - q)^2 with q = e^(-1/scale)
        half = 1 / (2 * self.scale)
        return math.ldexp(math.sqrt(2.0) * math.exp(-half) / -math.expm1(-2 * half), -self.shift)

    def within(self, probability: float) -> float:
        """How far one value's noise goes at most with that probability, either way, in whole numbers."""
        if self.law == "gaussian":
            return NormalDist().inv_cdf((1 + probability) / 2) * self.deviation
        # P(|x| > t) = 2 q^(t + 1) / (1 + q) for whole t, with log q = -1/scale
        outside = (1 + math.exp(-1 / self.scale)) * (1 - probability)
        steps = math.ceil(self.scale * math.log(2 / outside) - 1)
        return math.ldexp(float(max(0, steps)), -self.shift)

    def part(self, parts: Parts) -> Noise:
        """What one of the holders draws, if this is what the sum needs."""
        return Noise(self.law, self.shift, self.scale / math.sqrt(parts.enough) * (1 + 2.0**-40))

    def add(self, sums: NDArray[np.int64]) -> NDArray[np.int64]:
        """Sums with noise, on the shifted grid; any shape. To be called after the charge is durable.

        Raises:
            UsageError: private, if a sum is so large that it would wrap around on the grid.
        """
        whole = np.asarray(sums, dtype=np.int64)
        if max(-int(whole.min(initial=0)), int(whole.max(initial=0))) >= noise.LARGEST >> self.shift:
            raise UsageError("a sum does not fit into 64-bit integers on the grid of its noise", private=True)
        shifted = whole * np.int64(1 << self.shift)
        if self.law == "gaussian":
            return noise.add_discrete_gaussian(shifted, self.scale)
        return noise.add_discrete_laplace(shifted, self.scale)

    def read(self, noisy: NDArray[Any]) -> NDArray[np.float64]:
        """What `add` gives, in the sums' own whole numbers."""
        return np.ldexp(np.asarray(noisy, dtype=np.float64), -self.shift)

    def answer(self, sums: NDArray[np.int64]) -> NDArray[np.float64]:
        """Noisy sums in their own whole numbers."""
        return self.read(self.add(sums))


@dataclass(frozen=True)
class Calibrated:
    """The noise of a list of releases.

    Attributes:
        noises: one for each entry of the list (used `times` times).
        multiplier: noise over sensitivity of all of them together, with the grid's delta taken out.
        epsilon: that the noise was calibrated to.
        grid_delta: what the grid, and noise drawn in parts, take of delta, at this epsilon.
        parts: who draws it.
    """

    noises: tuple[Noise, ...]
    multiplier: float
    epsilon: float
    grid_delta: float
    parts: Parts = Parts()

    def epsilon_of_replacing(self, delta: float) -> float:
        """What the same noise gives, at this delta, for one record that is replaced by another.

        Replacing is removing and adding: every sum moves by at most twice as much. The grid's part of delta
        grows with the epsilon that is stated (`noise.discretisation_delta`). The discrete Gaussian's own
        bound, concentrated differential privacy (Canonne, Kamath and Steinke 2020), has no such part; the
        smaller of the two holds. It does not hold for a sum of several holders' parts.

        Returns:
            Infinity where nothing is left of delta.
        """
        half = self.multiplier / 2
        rho = 0.5 / half**2
        alone = self.parts.drawn == 1
        concentrated = rho + 2 * math.sqrt(rho * math.log(1 / delta)) if alone else math.inf
        distance = self.grid_delta / (1 + math.exp(self.epsilon))
        stated = epsilon_of(half, delta)
        while stated < concentrated:
            left = delta - distance * (1 + math.exp(stated))
            if left <= 0:
                return concentrated
            needed = epsilon_of(half, left)
            if needed <= stated:
                return stated
            stated = needed * (1 + 1e-6)
        return concentrated


def gaussian(
    releases: Sequence[Sums],
    epsilon: float,
    delta: float,
    *,
    parts: Parts = Parts(),
    finest: int = FINEST_BITS,
    instead: str = "ask for less: a smaller epsilon, fewer steps or fewer bins",
) -> Calibrated:
    """Discrete Gaussian noise with which all releases together are (epsilon, delta)-private.

    Args:
        releases: what is released, for neighbours that move each by its `l2` at most.
        parts: who draws it; the noises that come back are what a sum needs (`Noise.part`: what one draws).
        finest: how far the grid may be refined, in bits of the noise's width.
        instead: what to do where delta is too small, in words.

    Raises:
        UsageError: for a delta of 0 or one that the grid uses up, and for sums that do not fit 64 bits.
    """
    if not releases:
        raise UsageError("noise is calibrated to one release or more, and there is none")
    at = min(epsilon, LARGEST_EPSILON)
    whole = gaussian_noise_multiplier(at, delta)
    total = math.fsum(one.share * one.times for one in releases)
    # a multiplier's root of shares sums to 1 up to roundings, which the last factor covers
    slack = 1 + 2.0**-40 if len(releases) > 1 or releases[0].times > 1 else 1.0
    spread = [math.sqrt(total / one.share) * slack for one in releases]
    shifts, scales, grid = _grid(releases, spread, whole, at, FINE_BITS, parts)
    for fine in range(FINE_BITS + 2, finest + 1, 2):
        if grid <= delta / 1024:
            break
        finer = _grid(releases, spread, whole, at, fine, parts)
        widest = 2 * whole * math.sqrt(parts.excess)
        if not all(
            _fits(one, by, widest * scale) for one, by, scale in zip(releases, *finer[:2], strict=True)
        ):
            break
        shifts, scales, grid = finer
    if grid > delta / 2:
        raise UsageError(
            f"delta {delta:g} is too small for {sum(one.dimensions * one.times for one in releases)} sums on "
            f"the integer grid; it must be at least {2 * grid:.2g}, or {instead}"
        )
    multiplier = gaussian_noise_multiplier(at, delta - grid)
    noises = tuple(
        Noise("gaussian", by, multiplier * scale * (1 + 2.0**-50))
        for by, scale in zip(shifts, scales, strict=True)
    )
    for one, made in zip(releases, noises, strict=True):
        require_room(one, replace(made, scale=made.scale * math.sqrt(parts.excess)))
    return Calibrated(noises, multiplier, at, grid, parts)


def laplace(l1: int, most: int, epsilon: float, *, records: int = MOST_RECORDS) -> Noise:
    """Discrete Laplace noise that makes integer sums of that L1 sensitivity epsilon-private, with no delta.

    Args:
        l1: how far one unit moves all sums together, a whole number.
        most: the largest magnitude that one record adds to one of them.
        epsilon: in nats.
        records: as of `Sums`.

    Raises:
        UsageError: for sums that do not fit 64 bits.
    """
    if not (type(l1) is int and l1 >= 1 and epsilon > 0):
        raise UsageError("Laplace noise takes a whole sensitivity of 1 or more and an epsilon above 0")
    scale = l1 / epsilon * (1 + 2.0**-50)
    # below 1 a float's last bits are finer than the sampler takes: rounded up, which is more noise
    made = Noise("laplace", 0, scale if scale >= 1 else math.ldexp(math.ceil(math.ldexp(scale, 40)), -40))
    noise.require_room(float(most) * records, made.scale)
    return made


def require_room(sums: Sums, made: Noise) -> None:
    """Refuse noise with which one of the sums could leave the range of 64-bit integers.

    Raises:
        UsageError: if it could.
    """
    noise.require_room(math.ldexp(float(sums.largest_sum), made.shift), made.scale)


def grid_shift(scale: float, fine: int = FINE_BITS) -> int:
    """By how many bits to refine the grid so that noise of this scale is 2^fine of its steps wide or more."""
    return max(0, fine - math.frexp(scale)[1] + 1)


def _grid(
    releases: Sequence[Sums],
    spread: list[float],
    multiplier: float,
    epsilon: float,
    fine: int,
    parts: Parts,
) -> tuple[list[int], list[float], float]:
    """Shifts, scales of noise of multiplier 1, and the delta of noise of at least 2^fine grid units.

    Per number, a move by v in total variation moves delta by (1 + e^epsilon) v.
    """
    shifts = [
        grid_shift(multiplier * one.l2 * wide, fine) for one, wide in zip(releases, spread, strict=True)
    ]
    scales = [math.ldexp(one.l2 * wide, by) for one, wide, by in zip(releases, spread, shifts, strict=True)]
    grid = math.fsum(
        noise.discretisation_delta(multiplier * scale, one.dimensions * one.times, epsilon)
        + one.dimensions * one.times * (1 + math.exp(epsilon)) * parts.error(multiplier * scale)
        for one, scale in zip(releases, scales, strict=True)
    )
    return shifts, scales, grid


def _fits(one: Sums, shift: int, scale: float) -> bool:
    try:
        require_room(one, Noise("gaussian", shift, scale))
    except UsageError:
        return False
    return True
