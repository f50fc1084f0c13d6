"""Attacks on a synthetic table: who was among the rows that it was made from, and who can be singled out.

Membership after van Breugel et al. 2023 (DOMIAS): a person is called a member where the synthetic table lies
closer to them than the population does. How close the population lies is told by a reference sample that the
adversary has, so that a common kind of person, near to everything, is not taken for a member. Held-out rows
that are neither members nor reference are the control.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from comity.attack.membership import control, membership_bound, membership_inference
from comity.attack.result import AttackResult
from comity.attack.singling_out import singling_out_attack
from comity.errors import BadInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.data import Table

MOST_TARGETS = 1000
"""Records of each side that are judged: intervals are narrow enough."""
MOST_NEIGHBOURS = 20_000
LEAST_ROWS = 50
_BLOCK = 250_000
_FLOOR = 1e-3
"""A distance below it counts as none: a thousandth of one column's range."""


@dataclass(frozen=True)
class SyntheticRelease:
    """What an adversary of a synthetic table works with.

    Attributes:
        table: the synthetic rows.
        members: the private rows that it was made from; outsiders: held-out rows of the same kind.
        epsilon, delta: of the guarantee, for a record or a person that comes or goes; None without one.
        moved: how many units change where a member's row and another one change places (`membership_bound`).
    """

    table: Table
    members: Table
    outsiders: Table
    epsilon: float | None = None
    delta: float | None = None
    moved: int = 1

    def __post_init__(self) -> None:
        for side, table in (
            ("synthetic", self.table),
            ("members", self.members),
            ("held-out", self.outsiders),
        ):
            if table.rows < LEAST_ROWS:
                raise BadInput(
                    f"attacks on a synthetic table need at least {LEAST_ROWS} {side} rows, not {table.rows}"
                )


def attack_synthetic(release: SyntheticRelease, *, seed: int = 0) -> dict[str, AttackResult]:
    """All attacks of this module, by name: membership, rare-value, singling-out."""
    found = {"membership": synthetic_membership(release, seed=seed)}
    for kind in ("univariate", "multivariate"):
        one = singling_out_attack(
            release.table, release.members, outsiders=release.outsiders, kind=kind, seed=seed
        )
        found[one.name] = one
    return found


def synthetic_membership(release: SyntheticRelease, *, seed: int = 0) -> AttackResult:
    """Tell members from held-out people by how many times closer the synthetic table is than a reference.

    A density falls as a power of the distance to the nearest point, so that the logarithm of the ratio of
    distances is in proportion to that of densities.

    Raises:
        BadInput: if a side has fewer than 50 rows.
    """
    generator = np.random.default_rng([seed, 12])
    order = generator.permutation(release.outsiders.rows)
    half = len(order) // 2
    judged = release.outsiders.take(np.sort(order[: min(half, MOST_TARGETS)]))
    reference = release.outsiders.take(np.sort(order[half : half + MOST_NEIGHBOURS]))
    chosen = generator.permutation(release.members.rows)[:MOST_TARGETS]
    members = release.members.take(np.sort(chosen))
    made = release.table
    if made.rows > MOST_NEIGHBOURS:
        made = made.take(np.sort(generator.permutation(made.rows)[:MOST_NEIGHBOURS]))
    inside, outside, near, far = _alike([members, judged, made, reference])
    scores = [
        np.log(_nearest(side, far) + _FLOOR) - np.log(_nearest(side, near) + _FLOOR)
        for side in (inside, outside)
    ]
    found = membership_inference(scores[0], scores[1], seed=seed)
    return found.result(
        bound=membership_bound(release.epsilon, release.delta, moved=release.moved),
        control=control(scores[1], seed=seed).advantage,
    )


def _alike(tables: list[Table]) -> list[NDArray[np.float32]]:
    """The tables' common columns as rows of numbers whose distances add up: numbers by their range, and for a
    category a number that tells equal from different only (`_nearest`)."""
    from comity.data import concat_tables

    names = [name for name in tables[0].names if all(name in table for table in tables)]
    whole = concat_tables([table.select(names) for table in tables])
    columns: list[NDArray[np.float32]] = []
    for name in names:
        if whole.type(name).is_numeric:
            numbers = whole.numbers(name)
            ranks = np.searchsorted(np.sort(numbers[~np.isnan(numbers)]), numbers, side="left")
            values = np.where(np.isnan(numbers), -1.0, ranks / max(1, len(numbers)))
        else:
            values = whole.levels(name)[0].astype(np.float64) * 2.0
        columns.append(values.astype(np.float32))
    ends = np.cumsum([0, *(table.rows for table in tables)])
    stacked = np.stack(columns, axis=1)
    return [stacked[low:high] for low, high in pairwise(ends)]


def _nearest(rows: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """(rows,) the distance to the nearest other row: the sum over columns of the difference, 1 at most."""
    nearest = np.empty(len(rows))
    step = max(1, _BLOCK // max(1, len(others)))
    for low in range(0, len(rows), step):
        block = rows[low : low + step]
        apart = np.zeros((len(block), len(others)), dtype=np.float32)
        for column in range(rows.shape[1]):
            gap = np.abs(block[:, column, None] - others[None, :, column])
            apart += np.minimum(gap, 1.0, out=gap)
        nearest[low : low + step] = apart.min(axis=1)
    return nearest
