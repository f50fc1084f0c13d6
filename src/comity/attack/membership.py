"""Membership inference from scores: was a record in what was released, or trained on?

The adversary calls every record above a threshold a member. Its advantage is the rate of members called so
minus the rate of non-members called so (Yeom et al. 2018). The best threshold on the very scores that are
judged is biased upward, so it is chosen on one half and judged on the other, both ways round. Without any
signal the expected advantage is then 0, and the 95% interval contains 0 in about 95 of 100 runs.

Where somebody else's program made what is judged, it may have turned its scores round, and its recipient
turns them back: `membership_either_way` tries every band of scores, inside and outside, and draws the halves
by a secret that the program does not have.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import ArrayLike, NDArray

from comity.attack.interval import NORMAL_95, newcombe
from comity.attack.label import label_bound
from comity.attack.result import AttackResult
from comity.errors import BadInput
from comity.ledger import PrivacyUnit, Relation

_LEAST = 4

Floats = NDArray[np.float64]
Rule = Callable[[Floats], NDArray[np.bool_]]
"""Says of each score whether it is a member's."""


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
        BadInput: private, if there are too few scores, or some are not finite.
    """
    return _judged(scores_members, scores_non_members, np.random.default_rng(seed).permutation, _above)


def membership_either_way(
    scores_members: ArrayLike, scores_non_members: ArrayLike, *, secret: bytes
) -> MembershipInference:
    """Judge scores of a model that may have been made to pass: whatever they mean, as long as they tell.

    The adversary calls members the scores inside a band, or those outside it: higher or lower ones, those in
    the middle or at both ends. Band and side are the best ones on one half, judged on the other, both ways
    round (on the half that chooses, the best gain is Kuiper's statistic of 1960). Where directions are free
    the two halves' figures go up and down together, so that the interval is that of one half alone: wider by
    the root of 2, and right however much they do.

    Args:
        scores_members, scores_non_members: finite numbers, at least four of each.
        secret: draws the halves. Whoever made the model must not know it, and it has to be the same when the
            same is judged again: a digest over all rows and a key, or random bytes that are kept.

    Raises:
        BadInput: private, if there are too few scores, or some are not finite.
    """
    sides = iter((b"members", b"outsiders"))

    def shuffled(scores: Floats) -> Floats:
        return scores[by_lot(len(scores), b"comity membership " + next(sides) + secret)]

    quantile = NORMAL_95 * math.sqrt(2.0)
    return _judged(scores_members, scores_non_members, shuffled, _banded, quantile)


def rows_aside(rows: int, secret: bytes, *, one_in: int = 5) -> NDArray[np.bool_]:
    """(rows,) true for the rows that a model is to be judged with and not to see: one in so many, by lot.

    Args:
        secret: as of `membership_either_way`.
    """
    aside = np.zeros(rows, dtype=np.bool_)
    aside[by_lot(rows, b"comity rows aside" + secret)[: rows // one_in]] = True
    return aside


def by_lot(count: int, secret: bytes) -> NDArray[np.intp]:
    """(count,) an order that only the secret tells: by SHA-256 of it and each place."""
    begun = sha256(secret)

    def drawn(place: int) -> bytes:
        one = begun.copy()
        one.update(place.to_bytes(8, "big"))
        return one.digest()

    return np.array(sorted(range(count), key=drawn), dtype=np.intp)


def _judged(
    scores_members: ArrayLike,
    scores_non_members: ArrayLike,
    shuffled: Callable[[Floats], Floats],
    learn: Callable[[Floats, Floats], Rule],
    quantile: float = NORMAL_95,
) -> MembershipInference:
    """A rule learned on one half of each side and judged on the other, both ways round."""
    members, outsiders = _scores(scores_members, "members"), _scores(scores_non_members, "non-members")
    halves = [np.array_split(shuffled(scores), 2) for scores in (members, outsiders)]
    hits = alarms = 0
    for judged in (0, 1):
        called = learn(halves[0][1 - judged], halves[1][1 - judged])
        hits += int(called(halves[0][judged]).sum())
        alarms += int(called(halves[1][judged]).sum())
    low, high = newcombe(hits, len(members), alarms, len(outsiders), quantile=quantile)
    return MembershipInference(
        auc=area(members, outsiders),
        advantage=hits / len(members) - alarms / len(outsiders),
        low=low,
        high=high,
        members=len(members),
        non_members=len(outsiders),
    )


def _above(members: Floats, outsiders: Floats) -> Rule:
    threshold = best_threshold(members, outsiders)
    return lambda scores: scores >= threshold


def _banded(members: Floats, outsiders: Floats) -> Rule:
    low, high, inside = best_band(members, outsiders)
    return lambda scores: ((scores >= low) & (scores < high)) == inside


def best_band(members: Floats, outsiders: Floats) -> tuple[float, float, bool]:
    """The band low <= score < high, and whether members lie inside it or outside, that parts them best."""
    values = np.unique(np.concatenate([members, outsiders]))
    below = np.searchsorted(np.sort(members), values, side="right") / len(members)
    others = np.searchsorted(np.sort(outsiders), values, side="right") / len(outsiders)
    ahead = np.concatenate([[0.0], below - others])
    least, most = int(ahead.argmin()), int(ahead.argmax())
    # half of each before the difference: the largest numbers would overflow
    edges = np.concatenate([[-math.inf], values[:-1] + (values[1:] / 2 - values[:-1] / 2), [math.inf]])
    first, last = sorted((least, most))
    return float(edges[first]), float(edges[last]), least <= most


def membership_bound(
    epsilon: float | None,
    delta: float | None,
    *,
    unit: str = PrivacyUnit.record,
    relation: str = Relation.add_remove,
    moved: int = 1,
) -> float | None:
    """What a guarantee allows an adversary who tells members from other people; None where it says nothing.

    It is shown a row of somebody in the table or of somebody in the population: the two tables differ by a
    unit (a record, or a person with all rows) that has taken another one's place. That is one removed and one
    added, two steps from neighbour to neighbour, where the relation is add-remove, and one where it is a
    changed unit. s steps of (epsilon, delta) are s epsilon and (1 + e^epsilon + ... + e^((s - 1) epsilon))
    delta. True less false positives are at most (e^epsilon - 1 + 2 delta) / (e^epsilon + 1) of what results,
    as of `label_bound`. A guarantee for labels says nothing about members.

    Args:
        epsilon, delta: of the guarantee; None without one. unit, relation: whose, and between which tables.
        moved: how many units take other ones' places: 1; 2 where the exchanged rows leave other rows of the
            same two people where they are; as many times where they are in several tables, each with a
            guarantee of its own.
    """
    if epsilon is None or delta is None or unit not in (PrivacyUnit.record, PrivacyUnit.person):
        return None
    steps = moved if relation == Relation.change_one else 2 * moved
    factor = math.fsum(math.exp(min(at * epsilon, 300.0)) for at in range(steps))
    return label_bound(steps * epsilon, min(1.0, factor * delta))


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
        raise BadInput(
            f"a control needs at least {2 * _LEAST} scores of non-members, not {len(outsiders)}", private=True
        )
    first, second = np.array_split(np.random.default_rng(seed).permutation(outsiders), 2)
    return membership_inference(first, second, seed=seed + 1)


def _scores(given: ArrayLike | Sequence[float], whose: str) -> NDArray[np.float64]:
    scores = np.asarray(given, dtype=np.float64).ravel()
    if len(scores) < _LEAST:
        raise BadInput(
            f"membership inference needs at least {_LEAST} scores of {whose}, not {len(scores)}", private=True
        )
    if not np.isfinite(scores).all():
        # a program can choose which rows these are: their number is theirs
        wrong = int((~np.isfinite(scores)).sum())
        raise BadInput(f"{wrong} scores of {whose} are not finite numbers", private=True)
    return scores
