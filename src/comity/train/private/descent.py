"""Full-batch private gradient descent, preconditioned by noisy counts, its last iterates averaged.

One release of counts per bin and level, then `STEPS` noisy gradients; all together one (epsilon, delta), by
`comity.mechanism`. From the counts comes the Hessian that there would be if columns were independent, which
costs no more than a vector of counts and takes most of the bad conditioning of one-hot rows away. The first
quarter of the steps gets a tenth of the privacy: it only has to come near. The last three quarters are
averaged, which averages their noise (Polyak and Juditsky 1992), so that many steps cost no more than few. A
ridge as strong as the noise shrinks what cannot be known.

Chosen beforehand, on records that the figures of bench/private.py are not measured on (the second file of
Adult, 16,281 rows that are in none of its splits), at twice the epsilon and half the records: steps, shares,
damping and ridge. Half or twice the ridge costs up to .004 of AUC at epsilon .1, 40 or 100 steps .001. Tried
and left: the whole noisy Hessian of the rows in place of the counts (as good at best, and quadratic in the
bins); plain and accelerated steps (up to .005 less at epsilon .1); p - y, the logistic residual, at the same
noise (.005 to .008 less at epsilon .1, .0005 more at 3).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from comity.mechanism import Calibrated, Sums, gaussian
from comity.train.private.additive import Additive, folded
from comity.train.private.columns import Codes, Columns
from comity.train.private.gradients import (
    RESIDUAL_BITS,
    Blocks,
    Floats,
    clipped_gradient_sum,
    residuals,
)

STEPS: Final = 80
_COUNTS_SHARE: Final = 0.04
_WARM: Final = 0.25
_WARM_SHARE: Final = 0.10
_DAMPING: Final = 0.5
_CURVATURE: Final = 0.25
"""Half the largest slope of a residual at the true log odds: steps of `_DAMPING` over it stay stable."""

_RIDGE: Final = 0.7
_LEAST_RIDGE: Final = 0.25
_BACK: Final = 0.4
"""A slope that points back by this share of the one before was overshot; half, forward, is expected."""


@dataclass(frozen=True)
class Descent:
    """What is released, and with how much noise: a function of public facts.

    Attributes:
        columns: as declared.
        steps: how many gradients.
        calibrated: noise of the counts, of a first gradient and of a later one.
    """

    columns: Columns
    steps: int
    calibrated: Calibrated

    @classmethod
    def drawn_up(cls, columns: Columns, epsilon: float, delta: float, steps: int = STEPS) -> Descent:
        """Calibrate counts and gradients together.

        Raises:
            UsageError: if delta is too small for them.
        """
        fine, blocks = columns.fine, columns.blocks
        warm = max(1, math.floor(steps * _WARM))
        later = max(1, steps - warm)
        rest = 1 - _COUNTS_SHARE
        releases = (
            Sums(fine.dimensions, fine.l2, fine.most, _COUNTS_SHARE),
            Sums(blocks.dimensions, blocks.l2, blocks.most, rest * _WARM_SHARE / warm, warm),
            Sums(blocks.dimensions, blocks.l2, blocks.most, rest * (1 - _WARM_SHARE) / later, later),
        )
        return cls(columns, warm + later, gaussian(releases, epsilon, delta))

    @property
    def warm(self) -> int:
        """How many of the steps come before the averaging."""
        return max(1, math.floor(self.steps * _WARM))

    def fit(self, codes: Codes, positive: NDArray[np.bool_]) -> Additive:
        """Read (n, columns) fine codes and (n,) labels, and descend."""
        return descend(self, codes, positive)

    @property
    def noise(self) -> float:
        """Deviation of all gradients' noise together, over the largest length of one record's."""
        return self.calibrated.multiplier / math.sqrt(1 - _COUNTS_SHARE)


def descend(schedule: Descent, codes: Codes, positive: NDArray[np.bool_]) -> Additive:
    """Read the records and fit. To be called after the charge.

    Args:
        schedule: of the same columns.
        codes: (n, columns) fine codes.
        positive: (n,) whether the label is the second class.
    """
    columns, blocks = schedule.columns, schedule.columns.blocks
    of_counts, of_first, of_later = schedule.calibrated.noises
    every = np.full(len(codes), 1 << RESIDUAL_BITS, dtype=np.int64)
    counts = of_counts.answer(clipped_gradient_sum(codes, columns.fine, every)) / (1 << RESIDUAL_BITS)
    shares, records = consistent(counts, columns.fine)
    rows = columns.rows(codes)
    unit = blocks.norm * (1 << RESIDUAL_BITS)
    scales = np.repeat(np.asarray(blocks.weights) / blocks.norm, blocks.widths)
    ridge = max(_RIDGE * schedule.noise, _LEAST_RIDGE)
    inverse = _inverse(columns, shares * records, records, ridge)
    weights, total = np.zeros(blocks.dimensions), np.zeros(blocks.dimensions)
    before: tuple[Floats, Floats] | None = None
    for at in range(schedule.steps):
        residual = residuals(_scores(rows, blocks, weights * scales), positive)
        noise = of_first if at < schedule.warm else of_later
        gradient = noise.answer(clipped_gradient_sum(rows, blocks, residual)) / unit
        slope = gradient + ridge * weights
        if before is not None:
            inverse = shortened(inverse, *before, slope, noise.deviation / unit)
        before = slope, inverse @ slope
        weights = weights - _DAMPING * before[1]
        if at >= schedule.warm:
            total += weights
    mean = total / (schedule.steps - schedule.warm) * scales
    return Additive(folded(mean, columns), records)


def shortened(inverse: Floats, slope: Floats, step: Floats, now: Floats, deviation: float) -> Floats:
    """The inverse Hessian, made smaller along a step that went too far.

    Columns that say the same are steeper together than if they were independent: a step along them
    overshoots, and the next slope points back. By how much says how much steeper; only what noise cannot
    have done counts.

    Args:
        inverse: (d, d), of which `step` = inverse @ slope was taken.
        slope, now: (d,) noisy gradients before and after it.
        deviation: of the noise in one of `now`.
    """
    length = float(step @ slope)
    if not length > 0:  # the slope was 0: there was no step
        return inverse
    back = -float(now @ step) / length
    if back < _BACK + 2 * deviation * float(np.linalg.norm(step)) / length:
        return inverse
    return inverse - back / (1 + back) / length * np.outer(step, step)


def _scores(rows: Codes, blocks: Blocks, effects: Floats) -> Floats:
    """(n,) log odds of records, the sum of their codes' effects.

    Args:
        rows: (n, blocks) codes.
        blocks: their shape.
        effects: (dimensions,) what each code adds.
    """
    total = np.zeros(len(rows))
    for at, start in enumerate(blocks.offsets[:-1].tolist()):
        total += effects[start : start + blocks.widths[at]][rows[:, at]]
    return total


def consistent(counts: Floats, fine: Blocks) -> tuple[Floats, float]:
    """Noisy counts as (dimensions,) shares that sum to 1 in every block, and the noisy number of records.

    Every block counts every record once, so the blocks' totals are as many readings of one number; each is as
    noisy as its block is wide, and they are averaged by that.
    """
    parts = np.split(counts, fine.offsets[1:-1])
    totals = np.array([part.sum() for part in parts])
    records = max(1.0, float(np.average(totals, weights=1 / np.asarray(fine.widths, dtype=np.float64))))
    shares: list[Floats] = []
    for part in parts:
        # a count below the others' noise may be negative: a little of everything keeps all shares above 0
        held = np.maximum(part, 0.0) + 1e-3 * records / len(part)
        shares.append(held / held.sum())
    return np.concatenate(shares), records


def _inverse(columns: Columns, counts: Floats, records: float, ridge: float) -> Floats:
    """Inverse of the Hessian that independent columns would have, in units of rows of length 1."""
    blocks, fine = columns.blocks, columns.fine
    weights = np.asarray(blocks.weights) / blocks.norm
    parts = np.split(counts, fine.offsets[1:-1])
    coarse = [np.bincount(to, weights=parts[at]) for at, to in columns.coarse]
    each = [*parts, *coarse]
    flat = np.concatenate([weight * part for weight, part in zip(weights, each, strict=True)])
    hessian = np.outer(flat, flat) / records
    starts = blocks.offsets[:-1]
    for start, part, weight in zip(starts, each, weights, strict=True):
        hessian[start : start + len(part), start : start + len(part)] = np.diag(weight**2 * part)
    for number, (at, to) in enumerate(columns.coarse):
        # a fine bin lies in one coarse bin: their joint counts are the fine ones
        below, above = starts[at] + np.arange(len(to)), starts[len(parts) + number] + to
        joint = np.zeros((len(to), int(to.max()) + 1))
        joint[np.arange(len(to)), to] = weights[at] * weights[len(parts) + number] * parts[at]
        rows = slice(int(below[0]), int(below[-1]) + 1)
        cols = slice(int(above.min()), int(above.max()) + 1)
        hessian[rows, cols], hessian[cols, rows] = joint, joint.T
    return np.linalg.inv(_CURVATURE * hessian + ridge * np.eye(len(hessian)))
