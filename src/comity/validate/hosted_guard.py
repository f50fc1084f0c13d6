"""The guard of hosted learning: one more noisy answer says whether the corrected model ranks better.

Both models' scores become ranks among the seed rows, whose features the ML party holds, so that neither
gains by a bolder scale. If u is a record's rank by the start and v by the corrected model, the AUC's change
is about the mean of v - u over positives less that over negatives (Mann and Whitney 1947). A record adds
v - u, cut at a clip, to the sum of its label: one sum moves, by at most the cap. The correction is kept only
if the change exceeds what noise and sampling make of no change in 19 cases of 20; else the start is kept.
So a lesson ends worse than its start with probability 0.05 at most, up to what 200 ranks tell of a rank.

Unit: record or person; relation: add-remove. The answer is one of the conversation's, paid by its share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.data.encode import Encoder
from comity.errors import BadInput
from comity.validate.hosted import MOST_ROWS
from comity.validate.hosted_learner import Gradient, correction
from comity.validate.mechanism import Sizes

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_PLACES: Final = 1_000
_CAP: Final = 1 << 20
_LEAST_CLIP: Final = 0.01
_CLIP_QUANTILE: Final = 0.9
_SURE: Final = 1.6448536269514722
"""Of a standard normal law, 1 in 20 lies above it."""


@dataclass(frozen=True, eq=False)
class RankGain:
    """How much better the corrected model ranks positives, and how much better negatives.

    Attributes:
        scale, weights: the corrected model, as of `Gradient`.
        before, after: (places,) ascending log odds of the seed rows by the start and by the corrected model.
        clip: changes of rank beyond it are held at it, in (0, 1].
    """

    scale: float
    weights: Floats
    before: Floats
    after: Floats
    clip: float

    def __post_init__(self) -> None:
        for places in (self.before, self.after):
            sound = places.ndim == 1 and 0 < len(places) <= MOST_PLACES and bool(np.isfinite(places).all())
            if not sound or (np.diff(places) < 0).any():
                raise BadInput(f"ranks are taken among 1 to {MOST_PLACES:,} ascending numbers")
        if not 0 < self.clip <= 1:
            raise BadInput("changes of rank are held at a clip above 0 and at most 1")

    @property
    def sizes(self) -> Sizes:
        """Of one row: it moves one of the two sums, by at most the cap."""
        return Sizes(dimensions=2, l1=_CAP, l2=_CAP, largest_sum=_CAP * MOST_ROWS)

    def changes(self, columns: Encoder, codes: NDArray[np.uint16], start: Floats) -> Floats:
        """(rows,) change of rank over the clip, in [-1, 1]."""
        odds = correction(self.scale, self.weights, columns, codes, start)
        moved = _ranks(odds, self.after) - _ranks(start, self.before)
        return np.clip(moved / self.clip, -1.0, 1.0)

    def sums(
        self, columns: Encoder, codes: NDArray[np.uint16], start: Floats, labels: NDArray[Any]
    ) -> Integers:
        """(2,) exact sums over negatives and over positives. They never leave."""
        whole = np.trunc(self.changes(columns, codes, start) * _CAP).astype(np.int64)
        positive = np.asarray(labels) == 1
        return np.array([whole[~positive].sum(), whole[positive].sum()], dtype=np.int64)

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        names = ("weights", "before", "after")
        parts = {name: getattr(self, name).astype("<f8").tobytes() for name in names}
        return {"scale": float(self.scale), "clip": float(self.clip)}, parts

    @classmethod
    def from_message(cls, body: Mapping[str, Any], parts: Mapping[str, bytes], width: int) -> Self:
        """Read `to_message`'s form.

        Raises:
            BadInput: for anything else, or another width.
        """
        empty = np.zeros((width, width), dtype="<i4").tobytes()
        model = Gradient.from_message(body, {"weights": parts.get("weights", b""), "matrix": empty}, width)
        try:
            clip = float(body["clip"])
            before, after = (
                np.frombuffer(parts[name], dtype="<f8").astype(np.float64) for name in ("before", "after")
            )
        except (KeyError, TypeError, ValueError):
            raise BadInput("a gain was asked for in a form that cannot be read") from None
        return cls(model.scale, model.weights, before, after, clip)


class Guard:
    """The ML party's end: draws up the question from the seed rows, and decides by the answer.

    Args:
        columns: the bins.
        seeds: (seed rows, columns) codes; `start` their log odds by the start; `labels` theirs, 0 or 1.
    """

    def __init__(
        self, columns: Encoder, seeds: NDArray[np.uint16], start: Floats, labels: NDArray[Any]
    ) -> None:
        self._columns, self._codes, self._start = columns, seeds[:MOST_PLACES], start[:MOST_PLACES]
        # what share is positive is guessed from the seed rows; it weighs the two sums against each other
        self._share = (float(np.sum(labels)) + 1) / (len(labels) + 2)

    def question(self, scale: float, weights: Floats) -> RankGain:
        """About this corrected model; the clip is what nine in ten seed rows stay below."""
        odds = correction(scale, weights, self._columns, self._codes, self._start)
        whole = RankGain(scale, weights, np.sort(self._start), np.sort(odds), 1.0)
        moved = np.abs(whole.changes(self._columns, self._codes, self._start))
        clip = min(1.0, max(_LEAST_CLIP, float(np.quantile(moved, _CLIP_QUANTILE))))
        return RankGain(scale, weights, whole.before, whole.after, clip)

    def better(
        self, question: RankGain, sums: Floats, deviation: float, records: float, fitted: float
    ) -> bool:
        """Whether the corrected model is to be kept; arguments as of `sureness`."""
        return self.sureness(question, sums, deviation, records, fitted) > _SURE

    def sureness(
        self, question: RankGain, sums: Floats, deviation: float, records: float, fitted: float
    ) -> float:
        """By how many standard deviations of noise and sampling the corrected model ranks better.

        Args:
            question: what was asked.
            sums: (2,) the providers' noisy sums, added up.
            deviation: of the noise in each.
            records: how many records there are, about.
            fitted: the correction's effective degrees of freedom: it is judged on the rows that it was
                learned from, and what it gained there by following their chance is taken off (Efron 2004).
        """
        share = self._share
        gain = ((1 - share) * sums[1] - share * sums[0]) / _CAP - fitted * self._slope(question)
        noise = deviation / _CAP * math.hypot(share, 1 - share)
        size = float(np.square(question.changes(self._columns, self._codes, self._start)).mean())
        sampling = max(records, 0.0) * share * (1 - share) * size
        return float(gain / math.sqrt(noise**2 + sampling))

    def _slope(self, question: RankGain) -> float:
        """How far a unit of log odds moves a rank, over the clip, by least squares over the seed rows."""
        odds = correction(question.scale, question.weights, self._columns, self._codes, self._start)
        moved = odds - self._start
        moved = moved - moved.mean()
        power = float(np.square(moved).sum())
        if power <= 0:
            return 0.0
        changes = question.changes(self._columns, self._codes, self._start)
        return max(float(moved @ changes) / power, 0.0)


def _ranks(odds: Floats, places: Floats) -> Floats:
    """(rows,) in [0, 1]: the share of places below each, ties counted half."""
    below = np.searchsorted(places, odds, side="left") + np.searchsorted(places, odds, side="right")
    return below / (2.0 * len(places))
