"""The guard of hosted learning: one more noisy answer says whether the corrected model ranks better.

Both models' scores become ranks among the seed rows, whose features the ML party holds, so that neither
gains by a bolder scale. If u is a record's rank by the start and v by the corrected model, the AUC's change
goes by the covariance of v - u with the label (Mann and Whitney 1947). A record adds (label - p) (v - u), p a
guess at the share of positives and v - u cut at a clip: that moves the one sum by at most the cap. The cut
is low, at the median: noise weighs more than what it takes away.

Beside it stand the answers that the lesson has had (`HostedLearner.trial`), which cost nothing. Either the
sum alone or both together must say more than noise and sampling make of no change in 19 cases of 20
(`_SURE`), or the start is kept. bench/validation_learning.py --guard counts how often that goes wrong.

Unit: record or person; relation: add-remove. The answer is one of the conversation's, paid by its share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
_CLIP_QUANTILE: Final = 0.5
_NUDGE: Final = 0.25
_SURE: Final = 1.88
"""1 in 20 times a standard normal number X, or (X + Y) / sqrt 2 with another one, is above it."""


@dataclass(frozen=True, eq=False)
class RankGain:
    """How much better the corrected model ranks positives than negatives.

    Attributes:
        scale, weights: the corrected model, as of `Gradient`.
        before, after: (places,) ascending log odds of the seed rows by the start and by the corrected model.
        clip: changes of rank beyond it are held at it, in (0, 1].
        positives: a guess at the share of positives, in (0, 1). A bad one costs precision.
    """

    scale: float
    weights: Floats
    before: Floats
    after: Floats
    clip: float
    positives: float

    def __post_init__(self) -> None:
        for places in (self.before, self.after):
            sound = places.ndim == 1 and 0 < len(places) <= MOST_PLACES and bool(np.isfinite(places).all())
            if not sound or (np.diff(places) < 0).any():
                raise BadInput(f"ranks are taken among 1 to {MOST_PLACES:,} ascending numbers")
        if not 0 < self.clip <= 1:
            raise BadInput("changes of rank are held at a clip above 0 and at most 1")
        if not 0 < self.positives < 1:
            raise BadInput("the share of positives is guessed between 0 and 1")

    @property
    def sizes(self) -> Sizes:
        """Of one row: it moves the sum by at most the cap."""
        return Sizes(dimensions=1, l1=_CAP, l2=_CAP, largest_sum=_CAP * MOST_ROWS)

    @property
    def longest(self) -> float:
        """The larger of p and 1 - p: what a label less the guess is at most."""
        return max(self.positives, 1 - self.positives)

    def changes(self, columns: Encoder, codes: NDArray[np.uint16], start: Floats) -> Floats:
        """(rows,) change of rank over the clip, in [-1, 1]."""
        odds = correction(self.scale, self.weights, columns, codes, start)
        moved = _ranks(odds, self.after) - _ranks(start, self.before)
        return np.clip(moved / self.clip, -1.0, 1.0)

    def sums(
        self, columns: Encoder, codes: NDArray[np.uint16], start: Floats, labels: NDArray[Any]
    ) -> Integers:
        """(1,) the exact sum. It never leaves."""
        weights = (np.asarray(labels, dtype=np.float64) - self.positives) / self.longest
        told = np.clip(weights * self.changes(columns, codes, start), -1.0, 1.0)
        return np.trunc(told * _CAP).astype(np.int64).sum(keepdims=True)

    def to_message(self) -> tuple[dict[str, Any], dict[str, bytes]]:
        names = ("weights", "before", "after")
        parts = {name: getattr(self, name).astype("<f8").tobytes() for name in names}
        return {"scale": self.scale, "clip": self.clip, "positives": self.positives}, parts

    @classmethod
    def from_message(cls, body: Mapping[str, Any], parts: Mapping[str, bytes], width: int) -> Self:
        """Read `to_message`'s form.

        Raises:
            BadInput: for anything else, or another width.
        """
        empty = np.zeros((width, width), dtype="<i4").tobytes()
        model = Gradient.from_message(body, {"weights": parts.get("weights", b""), "matrix": empty}, width)
        try:
            clip, positives = float(body["clip"]), float(body["positives"])
            before, after = (
                np.frombuffer(parts[name], dtype="<f8").astype(np.float64) for name in ("before", "after")
            )
        except (KeyError, TypeError, ValueError):
            raise BadInput("a gain was asked for in a form that cannot be read") from None
        return cls(model.scale, model.weights, before, after, clip, positives)


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
        self.positives = (float(np.sum(labels)) + 1) / (len(labels) + 2)

    def question(self, scale: float, weights: Floats) -> RankGain:
        """About this corrected model; the clip is what half of the seed rows stay below."""
        odds = correction(scale, weights, self._columns, self._codes, self._start)
        whole = RankGain(scale, weights, np.sort(self._start), np.sort(odds), 1.0, self.positives)
        moved = np.abs(whole.changes(self._columns, self._codes, self._start))
        clip = min(1.0, max(_LEAST_CLIP, float(np.quantile(moved, _CLIP_QUANTILE))))
        return replace(whole, clip=clip)

    def better(
        self,
        question: RankGain,
        sums: Floats,
        deviation: float,
        records: float,
        fitted: float,
        trial: float = -math.inf,
    ) -> bool:
        """Whether the corrected model is to be kept; arguments of `sureness`, and `HostedLearner.trial`."""
        sure = self.sureness(question, sums, deviation, records, fitted)
        return max(sure, (sure + trial) / math.sqrt(2)) > _SURE

    def sureness(
        self, question: RankGain, sums: Floats, deviation: float, records: float, fitted: float
    ) -> float:
        """By how many standard deviations of noise and sampling the corrected model ranks better.

        Args:
            question: what was asked.
            sums: (1,) the providers' noisy sums, added up.
            deviation: of the noise in it.
            records: how many records there are, about.
            fitted: the correction's effective degrees of freedom: it is judged on the rows that it was
                learned from, and what it gained there by following their chance is taken off (Efron 2004).
        """
        unit, share = question.longest / _CAP, self.positives
        gain = float(sums[0]) * unit - fitted * self._slope(question)
        noise = deviation * unit
        size = float(np.square(question.changes(self._columns, self._codes, self._start)).mean())
        sampling = max(records, 0.0) * share * (1 - share) * size
        return float(gain / math.sqrt(noise**2 + sampling))

    def _slope(self, question: RankGain) -> float:
        """How far a unit of log odds moves a seed row's rank, over the clip; those beyond it do not move.

        Where the correction stretches the start, ranks stay and yet follow chance: least squares of the
        changes on the correction was a tenth of what it should have been there.
        """
        odds = correction(question.scale, question.weights, self._columns, self._codes, self._start)
        nudge = _NUDGE * float(odds.std())
        if nudge <= 0:
            return 0.0
        slopes = (_ranks(odds + nudge, question.after) - _ranks(odds - nudge, question.after)) / (2 * nudge)
        within = np.abs(question.changes(self._columns, self._codes, self._start)) < 1
        return float((slopes * within).mean()) / question.clip


def _ranks(odds: Floats, places: Floats) -> Floats:
    """(rows,) in [0, 1]: the share of places below each, ties counted half."""
    below = np.searchsorted(places, odds, side="left") + np.searchsorted(places, odds, side="right")
    return below / (2.0 * len(places))
