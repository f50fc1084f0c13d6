"""Membership inference from scores: was a record in what was released, or trained on?

The adversary calls every record above a threshold a member. Its advantage is the rate of members called so
minus the rate of non-members called so (Yeom et al. 2018). The best threshold on the very scores that are
judged is biased upward, so it is chosen on one half and judged on the other, both ways round. Without any
signal the expected advantage is then 0, and the 95% interval contains 0 in about 95 of 100 runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from comity.attack.interval import newcombe
from comity.attack.result import AttackResult
from comity.errors import BadInput

_LEAST = 4


@dataclass(frozen=True)
class MembershipInference:
    """How well scores tell members from non-members.

    Attributes:
        auc: probability that a member scores above a non-member, ties counted half; 0.5 is no signal.
        advantage: true minus false positive rate at thresholds chosen on the other half; in [-1, 1], may fall
            below 0 by chance.
        low, high: ends of the 95% interval of `advantage`.
        members, non_members: how many scores the figures rest on.
    """

    auc: float
    advantage: float
    low: float
    high: float
    members: int
    non_members: int

    def result(self, *, bound: float | None = None, control: float | None = None) -> AttackResult:
        """The same as an attack's result; `bound` must hold for the same unit and relation."""
        return AttackResult(
            name="membership",
            advantage=self.advantage,
            low=self.low,
            high=self.high,
            bound=bound,
            control=control,
            trials=self.members + self.non_members,
        )


def membership_inference(
    scores_members: ArrayLike, scores_non_members: ArrayLike, *, seed: int = 0
) -> MembershipInference:
    """Judge scores, higher meaning "more likely a member".

    Args:
        scores_members, scores_non_members: finite numbers, at least four of each.
        seed: fixes which half judges which.

    Raises:
        BadInput: if there are too few scores, or some are not finite.
    """
    members, outsiders = _scores(scores_members, "members"), _scores(scores_non_members, "non-members")
    generator = np.random.default_rng(seed)
    halves = [np.array_split(generator.permutation(scores), 2) for scores in (members, outsiders)]
    hits = alarms = 0
    for judged in (0, 1):
        threshold = best_threshold(halves[0][1 - judged], halves[1][1 - judged])
        hits += int((halves[0][judged] >= threshold).sum())
        alarms += int((halves[1][judged] >= threshold).sum())
    low, high = newcombe(hits, len(members), alarms, len(outsiders))
    return MembershipInference(
        auc=area(members, outsiders),
        advantage=hits / len(members) - alarms / len(outsiders),
        low=low,
        high=high,
        members=len(members),
        non_members=len(outsiders),
    )


def area(members: NDArray[np.float64], outsiders: NDArray[np.float64]) -> float:
    """Probability that a member's score is above a non-member's, ties counted half (Mann and Whitney)."""
    ordered = np.sort(outsiders)
    below = np.searchsorted(ordered, members, side="left")
    not_above = np.searchsorted(ordered, members, side="right")
    return float((below + not_above).sum() / (2 * len(members) * len(outsiders)))


def best_threshold(members: NDArray[np.float64], outsiders: NDArray[np.float64]) -> float:
    """The score from which on to call a record a member, midway between the two scores it parts.

    Infinity where calling nobody a member is best.
    """
    values = np.unique(np.concatenate([members, outsiders]))
    called = len(members) - np.searchsorted(np.sort(members), values, side="left")
    wrong = len(outsiders) - np.searchsorted(np.sort(outsiders), values, side="left")
    gain = called / len(members) - wrong / len(outsiders)
    best = int(gain.argmax())
    if gain[best] <= 0:
        return float("inf")
    below = values[best - 1] if best else values[best]
    return float(below + (values[best] - below) / 2) if below < values[best] else float(values[best])


def control(scores_non_members: ArrayLike, *, seed: int = 0) -> MembershipInference:
    """The same adversary where nothing can leak: half of the non-members are called members by lot."""
    outsiders = _scores(scores_non_members, "non-members")
    if len(outsiders) < 2 * _LEAST:
        raise BadInput(f"a control needs at least {2 * _LEAST} scores of non-members, not {len(outsiders)}")
    first, second = np.array_split(np.random.default_rng(seed).permutation(outsiders), 2)
    return membership_inference(first, second, seed=seed + 1)


def _scores(given: ArrayLike | Sequence[float], whose: str) -> NDArray[np.float64]:
    scores = np.asarray(given, dtype=np.float64).ravel()
    if len(scores) < _LEAST:
        raise BadInput(f"membership inference needs at least {_LEAST} scores of {whose}, not {len(scores)}")
    if not np.isfinite(scores).all():
        raise BadInput(f"{int((~np.isfinite(scores)).sum())} scores of {whose} are not finite numbers")
    return scores
