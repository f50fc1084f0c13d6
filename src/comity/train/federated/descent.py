"""Logistic regression with differential privacy from sums that many members add up: DP per record or person.

The descent of `comity.train.private.descent`, over members: each works out the same exact sums of its own
records and adds its part of the noise; the server gets the noisy sum over all of them and learns from nothing
else. Every round is a message to and from each member, so it takes fewer and longer steps (`STEPS`,
`DAMPING`) than where all records are in one place. The server may have a start model without the members
(from its seed rows), which the effects correct.

Unit: record or person; relation: add-remove. A member sees the effects of every round and the start model;
the server sees noisy sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.data.encode import Encoder
from comity.errors import BadInput
from comity.train.federated.fixed_point import MOST_WEIGHT, require_numbers
from comity.train.federated.shared_noise import SharedNoise
from comity.train.private.additive import Additive
from comity.train.private.columns import Codes, Columns
from comity.train.private.descent import Course, Learner, count_sums, gradient_sums

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

STEPS: Final = 8
DAMPING: Final = 1.0
"""9 rounds in place of 81, for about .001 of AUC on Adult (docs/federated.md)."""

ROUNDS: Final = 1 + STEPS
EFFECTS, START = "effects", "start"


def course_of(encoder: Encoder) -> Course:
    """Counts and gradients of columns that are cut by public facts."""
    return Course(Columns(encoder), STEPS, DAMPING)


class Holder:
    """A member's end: its own exact sums, with its part of the noise. To be made after the charge.

    Args:
        course, noise: of the session.
        codes: (n, columns) fine codes of its records.
        positive: (n,) whether the label is the positive value.
        odds: the log odds of its records by a start model that the server sends, checked; (n,).
    """

    def __init__(
        self,
        course: Course,
        noise: SharedNoise,
        codes: Codes,
        positive: NDArray[np.bool_],
        odds: Callable[[NDArray[Any]], Floats],
    ) -> None:
        self._course, self._noise, self._odds = course, noise, odds
        self._codes, self._positive = codes, positive
        self._rows = course.columns.rows(codes)
        self._start: Floats | None = None

    def sums(self, number: int, arrays: Mapping[str, NDArray[Any]]) -> Integers:
        """A round's noisy whole numbers.

        Args:
            number: of the round: 0 are the counts.
            arrays: what the server asks with.

        Raises:
            BadInput: for other arrays than the round takes, and effects that are no bounded numbers.
        """
        columns = self._course.columns
        due: set[str] = set() if number == 0 else {EFFECTS, START} if number == 1 else {EFFECTS}
        if set(arrays) != due:
            raise BadInput("gradients are asked for with effects; the first one brings a start model too")
        if number == 0:
            return self._noise.add_part(number, count_sums(columns, self._codes))
        effects = require_numbers(
            arrays[EFFECTS], columns.blocks.dimensions, what="the effects that a gradient is asked with"
        )
        if number == 1:
            self._start = self._odds(arrays[START])
        exact = gradient_sums(columns, self._rows, self._positive, effects, self._start)
        return self._noise.add_part(number, exact)


class Talk:
    """The server's end: what to ask in each round, and what the noisy sums say.

    Args:
        course, noise: of the session.
        start: weights of the model that the effects correct, as the members' `odds` read them.
    """

    def __init__(self, course: Course, noise: SharedNoise, start: NDArray[Any]) -> None:
        # what survivors carry is more than is needed, and the ridge is as strong as what is there
        rows = noise.release(0).l2 / course.releases()[0].l2
        felt = course.noise(noise.multiplier) * rows * noise.excess**0.5
        self._learner, self._noise, self._start = Learner(course, noise=felt), noise, start

    @property
    def model(self) -> Additive:
        return self._learner.model

    def question(self, number: int) -> tuple[Mapping[str, NDArray[Any]], Mapping[str, Any]]:
        if number == 0:
            return {}, {}
        effects = np.clip(self._learner.effects, -MOST_WEIGHT, MOST_WEIGHT)
        return {EFFECTS: effects, **({START: self._start} if number == 1 else {})}, {}

    def answer(self, number: int, sums: Integers, survivors: int) -> None:
        noisy = self._noise.read(number, sums)
        if number == 0:
            self._learner.take_counts(noisy)
        else:
            self._learner.step(noisy, self._noise.carried(number, survivors))
