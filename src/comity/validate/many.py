"""Many groups read at once: what `estimate` reads of one group, by the same formulas, for all of them.

The groups have the same base statistics with the same noise, so that only values and public facts differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.mechanism import Noise
from comity.validate.estimate import SHARE, Base, Interval, Question, Z, consistent, laplace_zs, middle
from comity.validate.mechanism import NoisySums

Floats = NDArray[np.float64]
Bounds = tuple[Any, Any]
"""Two numbers, or two arrays with one for each group."""


@dataclass(frozen=True, eq=False)
class Bases(Base):
    """Base statistics of many groups; `values` are (d, groups), and facts (groups,) arrays or one for all.

    Estimates are (groups,) arrays, intervals two of them; NaN where one group's would be None.
    """

    def linear(self, form: Floats, shift: Any, scale: Any, bounds: Bounds = SHARE) -> Any:
        centre = form @ self.values + shift
        below, above = self.reach(form)
        scale = np.where(np.asarray(scale) == 0, np.nan, scale)
        interval = _held((centre - below) / scale, bounds), _held((centre + above) / scale, bounds)
        return _held(centre / scale, bounds), interval

    def ratio(
        self, top: Floats, bottom: Floats, shift: Any = 0.0, bounds: Interval = SHARE, added: Any = 0.0
    ) -> Any:
        a, b = top @ self.values + added, bottom @ self.values + shift
        guess = np.full(len(b), middle(bounds))
        np.divide(a, b, out=guess, where=b > 0)
        guess = _held(guess, bounds)
        z = Z if self.law == "gaussian" else laplace_zs((top - guess[:, None] * bottom) @ self.mixing)
        return guess, fiellers(a, b, self.pieces(top, bottom), z, bounds)


def read_many(
    question: Question, values: Floats, calibration: Noise, facts: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """`Question.read` for many groups: by metric, arrays as `Bases` has them.

    Args:
        question: stands for each group's; its readers are about counts.
        values: (groups, dimensions) noisy sums.
        facts: of the groups, (groups,) arrays or one for all.
    """
    one = consistent(question, NoisySums(np.ascontiguousarray(values.T), calibration))
    every = Bases(one.values, one.covariance, one.places, one.mixing, one.law, facts, one.laplace)
    read = {metric: question.readers[metric](every) for metric in question.metrics}
    return {name: told[0] for name, told in read.items()}, {name: told[1] for name, told in read.items()}


def listed(told: Any) -> list[Any]:
    """What was told of many groups, group by group, as `Question.read` has it."""
    if isinstance(told, dict):
        rows = zip(*(listed(one) for one in told.values()), strict=True)
        return [dict(zip(told, row, strict=True)) for row in rows]
    if isinstance(told, tuple):
        pairs = zip(*(one.tolist() for one in told), strict=True)
        return [None if pair[0] != pair[0] else pair for pair in pairs]
    return [None if one != one else one for one in told.tolist()]


def _held(values: Floats, bounds: Bounds) -> Floats:
    return np.minimum(np.maximum(values, bounds[0]), bounds[1])


def fiellers(a: Floats, b: Floats, pieces: tuple[float, float, float], z: Any, bounds: Interval) -> Any:
    """`estimate.fieller` of each; low and high ends."""
    top, both, bottom = pieces
    square, linear, constant = b * b - z * z * bottom, a * b - z * z * both, a * a - z * z * top
    open_ = (square <= 0) | (b <= 0)
    safe = np.where(open_, 1.0, square)
    root = np.sqrt(np.maximum(linear * linear - square * constant, 0.0))
    low, high = _held((linear - root) / safe, bounds), _held((linear + root) / safe, bounds)
    return np.where(open_, bounds[0], low), np.where(open_, bounds[1], high)
