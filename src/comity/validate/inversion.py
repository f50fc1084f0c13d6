"""Intervals by test inversion: a quadratic form of noisy numbers over their sum.

Such a share bends so much within the noise of few records that no straight line tells its interval. So every
value of the share is put to the test: were it the truth, would what was answered be an extreme draw? The
values that are not refuted at 2.5% on either side are the interval (Carpenter 1999). The numbers that stand
for a value lie on the path along which the answer tells least of it, held within their bounds. Draws are
simulated, the same ones in every process: they tell the width of noise that has been added elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TAIL: Final = 0.025
_HALVINGS: Final = 6
_FIRST: Final = 4.0
_FARTHEST: Final = 1024.0
"""Standard deviations along the path; by then all numbers are at their bounds."""


@dataclass(frozen=True, eq=False)
class QuadraticShare:
    """(slope h + h bend h / 2) / sum(h), a share between 0 and 1, of numbers h between 0 and `most`.

    Attributes:
        slope, most: (d,); bend: (d, d), symmetric.
    """

    slope: Floats
    bend: Floats
    most: Floats

    def top(self, held: Floats) -> float:
        return float(held @ self.slope + 0.5 * held @ self.bend @ held)

    def gain(self, held: Floats) -> Floats:
        """(d,) by how much the top grows with each number."""
        return self.slope + self.bend @ held

    def share(self, held: Floats) -> float:
        return min(max(self.top(held) / max(float(held.sum()), 1.0), 0.0), 1.0)


def inverted(
    form: QuadraticShare, told: Floats, covariance: Floats, draws: Floats, blur: float
) -> tuple[float, tuple[float, float]]:
    """Estimate and 95% interval of the share.

    Args:
        form: of the true numbers.
        told: (d,) the numbers with noise; covariance: (d, d) of the noise.
        draws: (n, d) of such noise.
        blur: variance that the top has beside the noise.
    """
    tested = _Tested(form, told, covariance, draws, blur)
    low, high = tested.end(-1), tested.end(1)
    guess = tested.top / tested.positives if tested.positives > 1 else 0.5
    return min(max(guess, low), high), (low, high)


class _Tested:
    """One answer, held against the points of the path."""

    def __init__(
        self, form: QuadraticShare, told: Floats, covariance: Floats, draws: Floats, blur: float
    ) -> None:
        self._form, self._covariance, self._draws, self._blur = form, covariance, draws, blur
        # products of two noisy numbers have the covariance of their noise too much
        surplus = 0.5 * float(np.sum(form.bend * covariance))
        self._curved = 0.5 * np.einsum("ij,ij->i", draws @ form.bend, draws) - surplus
        self._curved_variance = float(self._curved.var())
        self.top = form.top(told) - surplus
        self.positives = float(told.sum())
        self._start = np.clip(told, 0.0, form.most)
        straight = form.gain(self._start) - form.share(self._start)
        along = covariance @ straight
        length = math.sqrt(max(float(straight @ along), 0.0))
        self._along = along / length if length > 0 else along

    def end(self, side: int) -> float:
        """The share where the path leaves what is not refuted, downwards (-1) or upwards (1)."""
        near, far = 0.0, _FIRST
        kept, lost = self._chance(near, side), self._chance(far, side)
        if kept < _TAIL:  # what was answered lies off the path
            near, kept = -far, 1.0
        while lost >= _TAIL:
            near, kept, far = far, lost, 2 * far
            if far > _FARTHEST:
                return 0.0 if side < 0 else 1.0
            lost = self._chance(far, side)
        for _ in range(_HALVINGS):
            middle = 0.5 * (near + far)
            chance = self._chance(middle, side)
            if chance < _TAIL:
                far, lost = middle, chance
            else:
                near, kept = middle, chance
        step = near + (far - near) * (kept - _TAIL) / (kept - lost)
        return self._form.share(self._at(side * step))

    def _at(self, step: float) -> Floats:
        return np.clip(self._start + step * self._along, 0.0, self._form.most)

    def _chance(self, step: float, side: int) -> float:
        """How often a point of the path gives an answer as far on the other side as the one that was told."""
        held = self._at(side * step)
        share = self._form.share(held)
        straight = self._form.gain(held) - share
        drawn = self._draws @ straight + self._curved
        if self._blur > 0:
            variance = float(straight @ self._covariance @ straight) + self._curved_variance
            drawn *= math.sqrt(1 + self._blur / max(variance, 1e-12))
        below = float(np.count_nonzero(drawn <= self.top - share * self.positives)) / len(drawn)
        return 1 - below if side < 0 else below
