"""Comparisons and the Ladder: is this model better, for a fraction of what a measured answer costs?

`Comparisons` answers "is B better than A by m?" from an opened sparse vector. `Ladder` is a leaderboard that
many adaptive submissions cannot overfit (Blum and Hardt 2015): it tells a submission's loss only if that is
better by a step than the best one told so far, and the best one otherwise. Both are charged when opened.

The loss is the share of wrong predictions. Unit label, relation change-one: one label moves the number of
wrong predictions of a model by at most 1, and a difference of two models' by at most 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity import noise
from comity.errors import ClauseRefused, UsageError
from comity.validate.arguments import finite_scores
from comity.validate.frame import Frame
from comity.validate.parameters import a_count, a_number, an_epsilon
from comity.validate.sparse import AboveThreshold

if TYPE_CHECKING:
    from comity.ledger import Cost

MoreRight = Callable[["NDArray[np.int64]", "NDArray[np.bool_]", "NDArray[np.bool_] | None"], int]


class Comparisons:
    """Questions of the kind "is B better than A by m?" about one validator's labels.

    Args:
        frame: the records that may be asked about.
        more_right: how many more labels the first predictions get right than the second; exact, and private.
        epsilon: the price of all questions together (pure); it has been charged.
        yeses: how many may be answered with yes; any number with no.
        minimum: least number of records that two predictions differ in, unless in none.

    Made by `LocalValidator.comparisons`, which charges.
    """

    def __init__(
        self, frame: Frame, more_right: MoreRight, epsilon: float, *, yeses: int, cost: Cost, minimum: int = 1
    ) -> None:
        self._frame = frame
        self._minimum = minimum
        self._more_right = more_right
        self.cost = cost
        self._vector = AboveThreshold(epsilon, sensitivity=2, yeses=yeses)

    def __repr__(self) -> str:
        return f"Comparisons: {self.left} more may be answered with yes, any number with no"

    @property
    def left(self) -> int:
        """How many more questions may be answered with yes."""
        return self._vector.left

    def better(
        self,
        ids: Iterable[Any],
        scores: Iterable[Any],
        than: Iterable[Any],
        *,
        by: float = 0.0,
        threshold: float = 0.5,
    ) -> bool:
        """Whether `scores` predict more labels right than `than` does, by at least the share `by` of them.

        It may err by a few times `noise(records)`; a no says no more than that noise allows.

        Args:
            ids: of the records scored, as in `LocalValidator.feedback`.
            scores, than: one number each for both models; at or above `threshold` predicts 1.
            by: a share of the records, from -1 to 1.

        Raises:
            ClauseRefused: if all yeses have been given, or the models differ in too few of the predictions.
            BadInput: as `LocalValidator.feedback`.
            UsageError: for a threshold that is no finite number, or `by` out of range.
        """
        by, threshold = a_number(by, "by", least=-1, most=1), a_number(threshold, "threshold")
        places = self._frame.places(ids)
        if not len(places):
            raise UsageError("there is no record to compare on")
        mine = finite_scores(scores, len(places)) >= threshold
        theirs = finite_scores(than, len(places), "than") >= threshold
        self._require_difference(int(np.count_nonzero(mine != theirs)))
        return self._vector.reaches(self._more_right(places, mine, theirs), math.ceil(by * len(places)))

    def noise(self, records: int) -> float:
        """Standard deviation of the noise in a comparison over this many records, as a share of them."""
        return self._vector.deviation / a_count(records, "the number of records")

    def _require_difference(self, differing: int) -> None:
        """What is told is about the records that the models predict apart: public facts only."""
        if 0 < differing < self._minimum:
            raise ClauseRefused(
                f"the two models predict fewer than {self._minimum} records apart",
                clause="architectures.validation.minimum_group",
                asked=f"a difference in {differing}",
                would_pass=f"models that differ in the predictions for {self._minimum} records or more",
            )


@dataclass(frozen=True)
class Rung:
    """What the Ladder says of a submission.

    Attributes:
        loss: the best share of wrong predictions told so far.
        improved: whether this submission is the one that it is told of.
    """

    loss: float
    improved: bool


class Ladder:
    """A leaderboard over one validator's labels.

    Args:
        records: in the frame.
        more_right: how many labels predictions get right; exact, and private.
        epsilon: the price of all submissions together (pure); it has been charged.
        step: a submission is told only if it beats the best loss by this much; None: by as much as the noise
            of a comparison asks for, so that it errs about once in a thousand submissions.
        climbs: how many submissions may be told; afterwards the best one is told without looking.

    Made by `LocalValidator.ladder`, which charges.
    """

    def __init__(
        self,
        records: int,
        more_right: MoreRight,
        epsilon: float,
        *,
        step: float | None,
        climbs: int,
        cost: Cost,
    ) -> None:
        records, climbs = a_count(records, "the number of records"), a_count(climbs, "climbs")
        epsilon = an_epsilon(epsilon)
        if step is not None:
            step = a_number(step, "step, a share of the records,", above=0, most=1)
        self._more_right = more_right
        self.cost = cost
        # a climb's measurement is one number; the search for it takes the larger part
        self._vector = AboveThreshold(epsilon * _SEARCH_SHARE, sensitivity=1, yeses=climbs)
        self._scale = climbs / (epsilon * (1 - _SEARCH_SHARE))
        least = _CERTAIN * self._vector.deviation / math.sqrt(2) / records
        self.step = least if step is None else step
        self._records = records
        self._best = 0.5

    def __repr__(self) -> str:
        return f"Ladder: best loss told {self._best:.4g}, the next has to be better by {self.step:.4g}"

    @property
    def loss(self) -> float:
        """The best share of wrong predictions told so far; 0.5, that of guessing, before the first."""
        return self._best

    def submit(self, scores: Iterable[Any], *, threshold: float = 0.5) -> Rung:
        """One model's scores of all records of the frame, in the frame's order.

        Raises:
            BadInput: for another number of scores, NaN or infinities.
            UsageError: for a threshold that is no finite number.
        """
        threshold = a_number(threshold, "threshold")
        predicted = finite_scores(scores, self._records) >= threshold
        if self._vector.left < 1:
            return Rung(self._best, False)
        places = np.arange(self._records)
        right = self._more_right(places, predicted, None)
        wanted = math.ceil((1 - self._best + self.step) * self._records)
        if not self._vector.reaches(right, wanted):
            return Rung(self._best, False)
        told = right + _laplace(self._scale)
        loss = max(0.0, 1 - told / self._records)
        # the search may have been wrong: what is measured has to beat the best by the step as well
        if loss > self._best - self.step:
            return Rung(self._best, False)
        self._best = loss
        return Rung(loss, True)


_SEARCH_SHARE = 0.8
_CERTAIN = 9.0
"""Deviations of Laplace noise, nearly: two sides pass it with probability about e^-9."""


def _laplace(scale: float) -> float:
    fine = 1 << 10
    drawn = noise.add_discrete_laplace(np.zeros(1, dtype=np.int64), scale * fine * (1 + 2.0**-40))
    return float(drawn[0]) / fine
