"""Attacks on a generalised release: membership, inference of the target, linkage.

The adversary has the release, its manifest (hierarchies are public) and raw quasi-identifiers of people, some
in the table and some not. Held-out rows of the same population that were not released are the control: what
works on them is knowledge about the population, not a leak about a person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.attack.cover import Cover, Seen
from comity.attack.interval import newcombe, wilson
from comity.attack.membership import control, membership_inference
from comity.attack.result import AttackResult
from comity.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.data import Table

_NOWHERE = 1e9
"""Minus the score of somebody whom no class covers: under any logarithm of a part."""
_MOST_TARGETS = 20_000
"""Attacks look at this many records of each side, drawn by the seed: intervals are narrow enough."""


@dataclass(frozen=True)
class Adversary:
    """What the adversary works with.

    Attributes:
        release: the released table; manifest: what came with it.
        members: raw rows that were in the table before suppression; outsiders: raw rows of held-out people.
        target: the column whose value the adversary wants, or knows (membership).
    """

    release: Table
    manifest: Mapping[str, Any]
    members: Table
    outsiders: Table
    target: str

    def __post_init__(self) -> None:
        for side, table in (("members", self.members), ("held-out", self.outsiders)):
            if table.rows < 8:
                raise BadInput(f"an attack on a release needs at least 8 {side} rows, not {table.rows}")

    def drawn(self, seed: int) -> tuple[Table, Table]:
        """At most 20,000 records of each side."""
        generator = np.random.default_rng(seed)
        return tuple(  # type: ignore[return-value]  # two of them
            table
            if table.rows <= _MOST_TARGETS
            else table.take(np.sort(generator.choice(table.rows, _MOST_TARGETS, replace=False)))
            for table in (self.members, self.outsiders)
        )


def attack_release(adversary: Adversary, *, seed: int = 0) -> dict[str, AttackResult]:
    """All attacks of this module, by name."""
    members, outsiders = adversary.drawn(seed)
    cover = Cover(adversary.release, adversary.manifest, adversary.target)
    inside, outside = cover.look_up(members), cover.look_up(outsiders)
    return {
        "membership": _membership(inside, outside, seed),
        "attribute": _attribute(inside, outside, cover),
        "linkage": _linkage(inside, cover, adversary.manifest),
    }


def _membership(inside: Seen, outside: Seen, seed: int) -> AttackResult:
    """Whom a tight class covers, with the right target value and few rows besides, was likely in it."""
    scores = [
        np.where(seen.matching > 0, 1 / np.maximum(seen.matching, 1) - seen.tightest, -_NOWHERE)
        for seen in (inside, outside)
    ]
    judged = membership_inference(scores[0], scores[1], seed=seed)
    return judged.result(control=control(scores[1], seed=seed).advantage)


def _attribute(inside: Seen, outside: Seen, cover: Cover) -> AttackResult:
    """Guess the target as the commonest in the covering class, or in the release where no class covers.

    The advantage is success on members less success on held-out people: what being in the table gave away.
    The control is success on held-out people less that of always guessing the commonest value.
    """
    right = [np.asarray(seen.guess == seen.truth) for seen in (inside, outside)]
    hits, other = int(right[0].sum()), int(right[1].sum())
    low, high = newcombe(hits, len(right[0]), other, len(right[1]))
    blind = float((outside.truth == cover.commonest).mean())
    return AttackResult(
        name="attribute",
        advantage=hits / len(right[0]) - other / len(right[1]),
        low=low,
        high=high,
        control=other / len(right[1]) - blind,
        trials=len(right[0]) + len(right[1]),
    )


def _linkage(inside: Seen, cover: Cover, manifest: Mapping[str, Any]) -> AttackResult:
    """Point at one released row of the covering class: right with probability one over its rows (prosecutor).

    The bound, 1 / k, holds for every single record, so it holds for the mean. A member whose row was
    suppressed is
    never linked, though other rows may cover it: counted as linked all the same, so the figure is too high at
        most.
    """
    chance: NDArray[np.float64] = np.where(inside.covering > 0, 1 / np.maximum(inside.covering, 1), 0.0)
    trials = len(chance)
    low, high = wilson(min(float(chance.sum()), trials), trials)
    blind = 1 / max(1, cover.rows)
    settings = manifest["settings"]
    return AttackResult(
        name="linkage",
        advantage=float(chance.mean()) - blind,
        low=max(-1.0, low - blind),
        high=high - blind,
        bound=1 / int(settings["k"]),
        control=0.0,
        trials=trials,
    )
