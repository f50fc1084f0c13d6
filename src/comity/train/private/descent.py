"""Full-batch private gradient descent, preconditioned by noisy counts, its last iterates averaged.

One release of counts per bin and level, then `STEPS` noisy gradients; all together one (epsilon, delta), by
`comity.mechanism`. `Course` says what is released, `count_sums` and `gradient_sums` are what a holder of
records works out (exact: it stays there), and a `Learner` makes a model of noisy sums, which are all that it
sees. Where one holder has all records the three run in one process (`descend`); where several add up under
masks, each runs the middle one (`comity.train.federated`).

Neighbours: one record is there or not (add-remove), or all records of one person, `rows` of them at most.
Either moves the counts by `rows` times `Blocks.l2` of the fine blocks, a gradient by `rows` times that of all
blocks.

From the counts comes the Hessian that there would be if columns were independent, which
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

from comity.errors import UsageError
from comity.mechanism import Calibrated, Sums, gaussian
from comity.train.private.additive import Additive, folded
from comity.train.private.columns import Codes, Columns
from comity.train.private.gradients import (
    RESIDUAL_BITS,
    Blocks,
    Floats,
    Integers,
    clipped_gradient_sum,
    clipped_gradients,
    residuals,
    summed_effects,
)

STEPS: Final = 80
_COUNTS_SHARE: Final = 0.04
_WARM: Final = 0.25
_WARM_SHARE: Final = 0.10
DAMPING: Final = 0.5
_CURVATURE: Final = 0.25
"""Half the largest slope of a residual at the true log odds: steps of `DAMPING` over it stay stable."""

_UNIT: Final = 1 << RESIDUAL_BITS

_RIDGE: Final = 0.7
_LEAST_RIDGE: Final = 0.25
_BACK: Final = 0.4
"""A slope that points back by this share of the one before was overshot; half, forward, is expected."""


@dataclass(frozen=True)
class Course:
    """The releases of a fit, one after the other: a function of public facts.

    Attributes:
        columns: as declared.
        steps: how many gradients, 2 or more.
        damping: how far a step goes, of what the counts' curvature says.
    """

    columns: Columns
    steps: int = STEPS
    damping: float = DAMPING

    def __post_init__(self) -> None:
        if self.steps < 2 or not 0 < self.damping <= 1:
            raise UsageError("a descent has 2 steps or more, each damped by a factor up to 1: this is a slip")

    @property
    def warm(self) -> int:
        """How many of the steps come before the averaging."""
        return max(1, math.floor(self.steps * _WARM))

    def releases(self, rows: int = 1) -> tuple[Sums, Sums, Sums]:
        """Counts, gradients before the averaging, and later ones, in this order.

        Args:
            rows: the most records of one person that a holder has; 1 where a record is the unit.
        """
        fine, blocks = self.columns.fine, self.columns.blocks
        later, rest = self.steps - self.warm, 1 - _COUNTS_SHARE
        first, last = rest * _WARM_SHARE / self.warm, rest * (1 - _WARM_SHARE) / later
        return (
            Sums(fine.dimensions, rows * fine.l2, fine.most, _COUNTS_SHARE),
            Sums(blocks.dimensions, rows * blocks.l2, blocks.most, first, self.warm),
            Sums(blocks.dimensions, rows * blocks.l2, blocks.most, last, later),
        )

    @staticmethod
    def noise(multiplier: float) -> float:
        """Deviation of all gradients' noise together, in lengths of a record's row, for that multiplier."""
        return multiplier / math.sqrt(1 - _COUNTS_SHARE)


@dataclass(frozen=True)
class Descent:
    """What one holder of all records releases, and with how much noise: a function of public facts.

    Attributes:
        course: counts and gradients.
        calibrated: noise of the counts, of a first gradient and of a later one.
    """

    course: Course
    calibrated: Calibrated

    @classmethod
    def drawn_up(cls, columns: Columns, epsilon: float, delta: float, steps: int = STEPS) -> Descent:
        """Calibrate counts and gradients together.

        Raises:
            UsageError: if delta is too small for them.
        """
        course = Course(columns, steps)
        return cls(course, gaussian(course.releases(), epsilon, delta))

    @property
    def columns(self) -> Columns:
        return self.course.columns

    def fit(self, codes: Codes, positive: NDArray[np.bool_]) -> Additive:
        """Read (n, columns) fine codes and (n,) labels, and descend."""
        return descend(self, codes, positive)


def descend(schedule: Descent, codes: Codes, positive: NDArray[np.bool_]) -> Additive:
    """Read the records and fit. To be called after the charge.

    Args:
        schedule: of the same columns.
        codes: (n, columns) fine codes.
        positive: (n,) whether the label is the second class.
    """
    course, columns = schedule.course, schedule.columns
    of_counts, of_first, of_later = schedule.calibrated.noises
    learner = Learner(course, noise=course.noise(schedule.calibrated.multiplier))
    learner.take_counts(of_counts.answer(count_sums(columns, codes)))
    rows = columns.rows(codes)
    for at in range(course.steps):
        noise = of_first if at < course.warm else of_later
        exact = gradient_sums(columns, rows, positive, learner.effects)
        learner.step(noise.answer(exact), noise.deviation)
    return learner.model


def count_sums(columns: Columns, codes: Codes) -> Integers:
    """(fine dimensions,) how many records have each fine code, in units of 2^-20. Never leaves as it is."""
    return clipped_gradient_sum(codes, columns.fine, np.full(len(codes), _UNIT, dtype=np.int64))


def gradient_sums(
    columns: Columns,
    rows: Codes,
    positive: NDArray[np.bool_],
    effects: Floats,
    start: Floats | None = None,
) -> Integers:
    """(dimensions,) the sum of all records' gradients, in units of 2^-20. It never leaves as it is.

    Whatever `effects` and `start` hold, NaN and infinities too, one record moves it by `Blocks.l2` at most.

    Args:
        rows: (n, blocks) codes of every block (`Columns.rows`).
        positive: (n,) whether the label is the second class.
        effects: (dimensions,) what each code adds to the log odds at present.
        start: (n,) log odds of a model that the effects correct; None: there is none.
    """
    return clipped_gradient_sum(rows, columns.blocks, _residuals(columns, rows, positive, effects, start))


def record_gradients(
    columns: Columns, rows: Codes, positive: NDArray[np.bool_], effects: Floats, start: Floats | None = None
) -> Integers:
    """(n, dimensions) what each record adds to `gradient_sums`: for who attacks the sums."""
    return clipped_gradients(rows, columns.blocks, _residuals(columns, rows, positive, effects, start))


def _residuals(
    columns: Columns, rows: Codes, positive: NDArray[np.bool_], effects: Floats, start: Floats | None
) -> Integers:
    scores = summed_effects(rows, columns.blocks, effects)
    return residuals(scores if start is None else start + scores, positive)


class Learner:
    """Makes a model of noisy sums, the only thing it sees of records.

    Args:
        course: what is released.
        noise: deviation of all gradients' noise together, in lengths of a record's row (`Course.noise`).
    """

    def __init__(self, course: Course, *, noise: float) -> None:
        blocks = course.columns.blocks
        self.course = course
        self.records = 1.0
        self._scales = np.repeat(np.asarray(blocks.weights) / blocks.norm, blocks.widths)
        self._unit = blocks.norm * _UNIT
        self._ridge = max(_RIDGE * noise, _LEAST_RIDGE)
        self._weights, self._total = np.zeros(blocks.dimensions), np.zeros(blocks.dimensions)
        self._inverse = np.eye(blocks.dimensions)
        self._before: tuple[Floats, Floats] | None = None
        self._taken = 0

    @property
    def effects(self) -> Floats:
        """(dimensions,) what each code adds to the log odds at present: the next gradient is asked there."""
        return self._weights * self._scales

    @property
    def model(self) -> Additive:
        """The mean of the steps after the first ones. Before them: the present weights."""
        averaged = self._taken - self.course.warm
        mean = self._total / averaged if averaged > 0 else self._weights
        return Additive(folded(mean * self._scales, self.course.columns), self.records)

    def take_counts(self, noisy: Floats) -> None:
        """Precondition by (fine dimensions,) noisy counts, in units of 2^-20."""
        columns = self.course.columns
        shares, self.records = consistent(noisy / _UNIT, columns.fine)
        self._inverse = _inverse(columns, shares * self.records, self.records, self._ridge)

    def step(self, noisy: Floats, deviation: float) -> None:
        """Move against a (dimensions,) noisy gradient; it and its noise's deviation in units of 2^-20."""
        slope = noisy / self._unit + self._ridge * self._weights
        if self._before is not None:
            self._inverse = shortened(self._inverse, *self._before, slope, deviation / self._unit)
        self._before = slope, self._inverse @ slope
        self._weights = self._weights - self.course.damping * self._before[1]
        if self._taken >= self.course.warm:
            self._total += self._weights
        self._taken += 1


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
