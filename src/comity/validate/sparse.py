"""Sparse vector: many yes-or-no questions for the price of few yeses.

AboveThreshold on integers (Dwork and Roth 2014, section 3.6, in the form that Lyu, Su and Li 2017 prove,
algorithm 7): the threshold gets one noise for its lifetime, every question its own; all that is answered is
whether the noisy number reaches the noisy threshold. After `yeses` positive answers it is closed. The whole
price is charged when it is opened, whatever is asked of it afterwards.

Unit label, relation change-one. Neighbouring labels move each question's exact number by at most
`sensitivity`. Numbers and noise are whole, on a grid of 2^-10, so the proof holds as written for discrete
Laplace noise: shifting it by a whole number d changes probabilities by at most a factor e^(d / scale).
"""

from __future__ import annotations

import math
import threading
from typing import Final

import numpy as np

from comity import noise
from comity.errors import ClauseRefused, UsageError
from comity.validate.parameters import a_count, an_epsilon
from comity.validate.process import OwnProcess

_FINE_BITS: Final = 10
"""A grid of 2^-10 of the sensitivity: noise rounds by no more than that."""

_LARGEST_SCALE: Final = 2.0**40
"""Of noise in records: more of them than any table has."""


class AboveThreshold:
    """An opened sparse vector. It must have been charged `epsilon` (pure) before the first question.

    Args:
        epsilon: in nats, of everything it will ever answer.
        sensitivity: how far one changed label moves the number of any question; a whole number.
        yeses: positive answers until it closes.

    Attributes:
        left: positive answers that it may still give.
        deviation: standard deviation of the noise in one comparison, in the numbers' own units.

    Thread-safe.
    """

    def __init__(self, epsilon: float, *, sensitivity: int, yeses: int = 1) -> None:
        epsilon = an_epsilon(epsilon)
        sensitivity, yeses = a_count(sensitivity, "the sensitivity"), a_count(yeses, "the number of yeses")
        self.epsilon = epsilon
        self.sensitivity = sensitivity
        self.left = yeses
        # the split that makes the noise of a comparison least (Lyu, Su and Li 2017, section 4.2)
        for_threshold = epsilon / (1 + (2 * yeses) ** (2 / 3))
        scales = (sensitivity / for_threshold, 2 * yeses * sensitivity / (epsilon - for_threshold))
        self.deviation = float(np.sqrt(2 * np.square(scales).sum()))
        if max(scales) > _LARGEST_SCALE:
            raise UsageError(
                f"for epsilon {epsilon:g} and {yeses:g} yeses the noise would be larger than any table: "
                "take a larger epsilon, or fewer yeses"
            )
        self._own_scale = math.ldexp(scales[1], _FINE_BITS) * (1 + 2.0**-40)
        self._threshold_noise = _laplace(math.ldexp(scales[0], _FINE_BITS) * (1 + 2.0**-40))
        self._lock = threading.Lock()
        self._process = OwnProcess()

    def reaches(self, number: int, threshold: int) -> bool:
        """Whether the number reaches the threshold, noise considered. Reads private data: `number` is one.

        Raises:
            ClauseRefused: if all yeses have been given.
        """
        self._process.require()
        with self._lock:
            if self.left < 1:
                raise ClauseRefused(
                    "this sparse vector has given all its yeses and is closed",
                    clause="architectures.validation.epsilon",
                    would_pass="opening another one, at its whole price",
                )
            gap = (number - threshold) << _FINE_BITS
            said = gap + _laplace(self._own_scale) >= self._threshold_noise
            self.left -= said
            return said


def _laplace(scale: float) -> int:
    return int(noise.add_discrete_laplace(np.zeros(1, dtype=np.int64), scale)[0])
