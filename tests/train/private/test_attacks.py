"""Attacks on the mechanism, with canaries whose membership is a fair coin: no guess beats the bound.

The adversary knows everything but the coin: the other records, the canary, all noisy sums, and so the model
at every step and what the canary would add there. It guesses by the likelihood ratio, which no test beats. A
guess is right at most with (e^eps + delta) / (1 + e^eps). Over N guesses the binomial tail at that chance
says from how many right ones on the test fails: its false-alarm rate is below 1e-6.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom

from comity.mechanism import Noise
from comity.train.private import boosting, descent, moments
from comity.train.private.boosting import Boosting
from comity.train.private.columns import Columns
from comity.train.private.descent import Descent
from comity.train.private.gradients import RESIDUAL_BITS, clipped_gradient_sum, summed_by_code
from comity.train.private.moments import Moments

TRIALS = 250
DELTA = 1e-5
COLUMNS = Columns.declared(["a", "b"], {}, {"a": ["canary", "x"], "b": ["canary", "y"]}, 1)
OTHERS = np.array([[2, 2]] * 20, dtype=np.uint16)
LABELS = np.arange(20) % 2 == 0

SCHEDULES: dict[str, Callable[[float], Any]] = {
    "descent": lambda epsilon: Descent.drawn_up(COLUMNS, epsilon, DELTA, 4),
    "boosting": lambda epsilon: Boosting.drawn_up(COLUMNS, (), 2, epsilon, DELTA),
    "moments": lambda epsilon: Moments.drawn_up(COLUMNS, epsilon, DELTA),
}


def says_inside(schedule: Any, inside: bool, monkeypatch: pytest.MonkeyPatch) -> bool:
    """One fit, and the adversary's guess from all that was released.

    The canary is the last row; outside, its part is in no exact sum, which is what it is to be absent.
    """
    parts: list[tuple[Any, Any]] = []
    ratio: list[float] = []
    add = Noise.add

    def split(exact: Callable[..., Any], unit: int = 1) -> Callable[..., Any]:
        def summed(*given: Any) -> Any:
            others = exact(*(one[:-1] if isinstance(one, np.ndarray) else one for one in given))
            canary = exact(*(one[-1:] if isinstance(one, np.ndarray) else one for one in given))
            parts.append((others * unit, canary * unit))
            return others + canary if inside else others

        return summed

    def watched(self: Noise, sums: Any) -> Any:
        noisy = add(self, sums)
        others, canary = (np.ldexp(one.astype(float), self.shift) for one in parts[-1])
        ratio.append(float((noisy - others) @ canary - canary @ canary / 2) / self.scale**2)
        return noisy

    with monkeypatch.context() as patch:
        patch.setattr(Noise, "add", watched)
        for module in (descent, boosting, moments):
            patch.setattr(module, "clipped_gradient_sum", split(clipped_gradient_sum))
        patch.setattr(boosting, "summed_by_code", split(summed_by_code))
        patch.setattr(moments, "pair_counts", split(moments.pair_counts, 1 << RESIDUAL_BITS))
        schedule.fit(np.vstack([OTHERS, [[1, 1]]]).astype(np.uint16), np.append(LABELS, True))
    return sum(ratio) > 0


def right_guesses(name: str, epsilon: float, trials: int, monkeypatch: pytest.MonkeyPatch) -> int:
    schedule = SCHEDULES[name](epsilon)
    coins = np.random.default_rng(11).random(trials) < 0.5
    return sum(says_inside(schedule, bool(coin), monkeypatch) == coin for coin in coins)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("epsilon", [0.5, 1.5])
def test_no_guess_beats_the_bound(name: str, epsilon: float, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = (math.exp(epsilon) + DELTA) / (1 + math.exp(epsilon))
    most = int(binom.isf(1e-6, TRIALS, bound))
    assert right_guesses(name, epsilon, TRIALS, monkeypatch) <= most


@pytest.mark.parametrize("name", SCHEDULES)
def test_the_adversary_is_no_straw_man(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At epsilon 12 Gaussian noise lets .87 of guesses be right; .79 were, at least. Fewer than .65 of 300
    then has probability 2e-8."""
    assert right_guesses(name, 12.0, 300, monkeypatch) > 0.65 * 300
