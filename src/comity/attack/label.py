"""Label inference by a colluding ML party, against canaries whose labels are fair coins.

The adversary knows everything but one record's label: all features, all other labels, the question and the
noise's scale. It sees the answer and guesses which of two means it came from, by the likelihood ratio, which
no other guess can beat. The record is the one that moves the answer most. Where the answer is
(epsilon, delta)-differentially private a guess is right at most (e^epsilon + delta) / (1 + e^epsilon) of the
time, so the advantage 2 P(right) - 1 is at most (e^epsilon - 1 + 2 delta) / (e^epsilon + 1) (docs/privacy.md,
"Validation").
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from comity.attack.interval import wilson
from comity.attack.result import AttackResult
from comity.errors import BadInput

Floats = NDArray[np.float64]
Draw = Callable[[int], Floats]
"""Makes n fresh noises of the real mechanism: (n, dimensions)."""


def label_bound(epsilon: float, delta: float) -> float:
    """The most that any adversary's advantage can be against a coin-flip label."""
    if not (epsilon >= 0 and 0 <= delta <= 1):
        raise BadInput(f"epsilon is 0 or more and delta between 0 and 1, not {epsilon} and {delta}")
    return min(1.0, math.tanh(epsilon / 2) + 2 * delta / (math.exp(min(epsilon, 700.0)) + 1))


def infer_labels(
    draw: Draw, canary: Floats, *, epsilon: float, delta: float, trials: int, seed: int
) -> AttackResult:
    """Run the attack against fresh runs of a mechanism that adds independent noise to sums.

    Args:
        draw: the mechanism's own noise; never a stand-in for it.
        canary: (dimensions,) what the answer gains when the canary's label is 1, in the noise's units.
        epsilon, delta: what one answer was charged.
        trials: fresh answers to guess from.
        seed: of the coins.

    Returns:
        `control` is the same adversary against answers that the canary's label does not enter.
    """
    if trials < 1 or canary.ndim != 1:
        raise BadInput("a label attack needs at least one trial and one canary row")
    coins = np.random.default_rng([seed, 6]).integers(0, 2, size=(2, trials))
    noise = draw(trials)
    answers = noise + coins[0][:, None] * canary
    right = int((_guess(answers, canary) == coins[0]).sum())
    blind = int((_guess(noise, canary) == coins[1]).sum())
    low, high = wilson(right, trials)
    return AttackResult(
        name="label",
        advantage=2 * right / trials - 1,
        low=2 * low - 1,
        high=2 * high - 1,
        bound=label_bound(epsilon, delta),
        control=2 * blind / trials - 1,
        trials=trials,
    )


def _guess(answers: Floats, canary: Floats) -> NDArray[np.int64]:
    """The likelier label: symmetric noise of one scale makes it the nearer of the two means."""
    return (answers @ canary > canary @ canary / 2).astype(np.int64)
