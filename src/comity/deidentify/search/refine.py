"""Local recoding made better, move by move: classes dissolve into others, or into new ones of spare rows.

The dearest classes are taken first. A class dissolves when its tuples lose less elsewhere: each is either put
into another class, which widens to cover it, or starts a new class with the nearest tuples that other classes
can spare. A move is made only if the loss falls, and the moves are the same every time. For k-anonymity
alone: there a class can spare whatever it has above k rows.

The search for a place looks at every class at once: per attribute a table (leaf, class) holds what a row
loses if the class is widened to cover that leaf, so that a tuple's cost everywhere is a sum of a few rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.hierarchies.hierarchy import Hierarchy

WORK = 30_000_000
"""Table entries looked at, at most, all attributes together counted once: a count, not a time, so that the
result is the same on every machine. Adult at k = 5 takes a second for it."""

_MOST_CELLS = 10_000_000
_MOST_LEAVES = 2_000
_PATIENCE = 250
_AGAIN = 4
_RENEWED = 64
_FAR = np.float32(1e6)
_EPSILON = 1e-9


@dataclass(frozen=True)
class Costs:
    """What a row loses, per attribute.

    Attributes:
        at: (levels + 1, leaves) the loss of a leaf at a level, weighted; `_FAR` above the highest level
            allowed and where two leaves share no label.
        meet: (leaves, leaves) the lowest level allowed at which two leaves share a label; `levels` if none.
    """

    at: NDArray[np.float32]
    meet: NDArray[np.int8]

    @classmethod
    def of(cls, hierarchy: Hierarchy, weight: float, low: int, high: int) -> Costs:
        leaves = len(hierarchy.rows)
        covered = np.stack([*hierarchy.covered, hierarchy.covered[-1]]).astype(np.float64)
        at = weight * (covered - 1) / max(1, leaves - 1)
        at[high + 1 :] = _FAR
        meet = np.zeros((leaves, leaves), dtype=np.int8)
        for labels in hierarchy.codes:
            meet += labels[:, None] != labels[None, :]
        return cls(at.astype(np.float32), np.maximum(meet, low).astype(np.int8))

    @property
    def pair(self) -> NDArray[np.float32]:
        """(leaves, leaves): what each of two rows loses in a class of both."""
        leaves = np.arange(len(self.meet))
        return self.at[self.meet, leaves[:, None]]


class Refinement:
    """Tuples in classes, and the moves between them.

    Args:
        codes: per attribute, the leaf of each tuple.
        counts: rows of each tuple.
        of_tuple: the class of each tuple; -1 for those left out, which stay out.
        k: rows that every class keeps.
    """

    def __init__(
        self,
        codes: Sequence[NDArray[np.int32]],
        counts: NDArray[np.int64],
        costs: Sequence[Costs],
        of_tuple: NDArray[np.int64],
        k: int,
    ) -> None:
        self._codes = np.stack(codes, axis=1).astype(np.int64)
        self._counts = counts.tolist()
        self._counted = counts
        self._costs = costs
        self._pairs = [cost.pair for cost in costs]
        self._k = k
        self.of_tuple = of_tuple.copy()
        classes = int(of_tuple.max(initial=-1)) + 1
        self._room = classes + max(64, classes // 16)
        self._members: list[list[int]] = [[] for _ in range(self._room)]
        for place in np.flatnonzero(of_tuple >= 0).tolist():
            self._members[of_tuple[place]].append(place)
        self._made = classes
        self._size = np.zeros(self._room, dtype=np.float32)
        self._each = np.zeros(self._room, dtype=np.float32)
        self._joined = [np.full((len(cost.meet), self._room), _FAR, dtype=np.float32) for cost in costs]
        self._tables(classes)
        self._work = WORK

    def run(self) -> NDArray[np.int64]:
        """The class of each tuple after all moves that help, or as many as the work allows."""
        for _ in range(_AGAIN):
            order = np.argsort(-(self._each * self._size), kind="stable")
            moved = idle = 0
            self._renew()
            for number, name in enumerate(order.tolist()):
                if self._work <= 0 or idle > _PATIENCE:
                    return self.of_tuple
                if self._each[name] * self._size[name] <= _EPSILON:
                    break
                if number % _RENEWED == 0:
                    self._renew()
                if self._members[name]:
                    helped = self._improve(name)
                    moved += helped
                    idle = 0 if helped else idle + 1
            if not moved:
                break
        return self.of_tuple

    def _tables(self, classes: int) -> None:
        """Fill in all classes at once."""
        inside = np.flatnonzero(self.of_tuple >= 0)
        owners = self.of_tuple[inside]
        order = np.argsort(owners, kind="stable")
        members, owners = inside[order], owners[order]
        starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]])
        self._size[:classes] = np.bincount(owners, weights=self._counted[members], minlength=classes)
        for j, cost in enumerate(self._costs):
            leaves = self._codes[members, j]
            first = leaves[starts]
            level = np.maximum.reduceat(
                cost.meet[leaves, np.repeat(first, np.diff([*starts, len(leaves)]))], starts
            )
            self._each[:classes] += cost.at[level, first]
            self._joined[j][:, :classes] = cost.at[np.maximum(cost.meet[:, first], level), first]

    def _cover(self, members: Sequence[int]) -> tuple[list[int], float]:
        """The levels that cover some tuples, and what each of their rows then loses."""
        leaves = self._codes[members]
        levels, each = [], 0.0
        for j, cost in enumerate(self._costs):
            column = leaves[:, j]
            first = column[0]
            level = int(cost.meet[first, column].max())
            levels.append(level)
            each += float(cost.at[level, first])
        return levels, each

    def _set(self, name: int, members: list[int]) -> None:
        """Make a class of these tuples."""
        self._members[name] = members
        if not members:
            self._size[name] = self._each[name] = 0
            for table in self._joined:
                table[:, name] = _FAR
            return
        levels, each = self._cover(members)
        self._each[name] = each
        self._size[name] = sum(self._counts[t] for t in members)
        first = self._codes[members[0]]
        for j, (cost, level) in enumerate(zip(self._costs, levels, strict=True)):
            leaf = first[j]
            self._joined[j][:, name] = cost.at[np.maximum(cost.meet[:, leaf], level), leaf]
        self.of_tuple[members] = name

    def _renew(self) -> None:
        """Gather what classes can spare, so that looking for it is quick."""
        inside = self.of_tuple >= 0
        left = np.where(inside, self._size[self.of_tuple] - self._counted - self._k, -1)
        self._spare = np.flatnonzero(left >= 0)
        self._spare_codes = [
            np.ascontiguousarray(self._codes[self._spare, j]) for j in range(len(self._costs))
        ]
        self._spare_each = self._each[self.of_tuple[self._spare]]

    def _improve(self, name: int) -> bool:
        """Dissolve a class if that helps; else move out single tuples that it can spare."""
        members = self._members[name]
        held = float(self._each[name]) * float(self._size[name])
        plans, spent = [], 0.0
        taken: set[int] = set(members)
        used: dict[int, int] = {}
        for t in sorted(members, key=lambda t: -self._counts[t]):
            place, added = self._nearest(t, name)
            helpers, with_help = self._helped(t, name, taken, used)
            if with_help < added:
                taken.update(helpers)
                for u in helpers:
                    owner = int(self.of_tuple[u])
                    used[owner] = used.get(owner, 0) + self._counts[u]
                plans.append((t, -1, helpers))
                spent += with_help
            else:
                plans.append((t, place, []))
                spent += added
            if spent >= held - _EPSILON:
                return self._let_go(name, held, plans)
        self._dissolve(name, plans)
        return True

    def _let_go(self, name: int, held: float, plans: Sequence[tuple[int, int, list[int]]]) -> bool:
        """Move one tuple, of those looked at, to the class that is nearest to it, if that helps."""
        members = self._members[name]
        for t, place, _ in plans:
            left = float(self._size[name]) - self._counts[t]
            if place < 0 or left < self._k:
                continue
            rest = [u for u in members if u != t]
            _, each = self._cover(rest)
            widened = self._each_with(t, place)
            added = widened * float(self._size[place] + self._counts[t]) - float(
                self._each[place] * self._size[place]
            )
            if each * left + added < held - _EPSILON:
                self._set(name, rest)
                self._set(place, [*self._members[place], t])
                return True
        return False

    def _each_with(self, t: int, place: int) -> float:
        """What a row of a class loses if the class is widened to cover a tuple."""
        leaves = self._codes[t]
        return float(sum(table[leaf, place] for table, leaf in zip(self._joined, leaves, strict=True)))

    def _nearest(self, t: int, without: int) -> tuple[int, float]:
        """The class that a tuple joins at least added cost, and that cost."""
        codes, rows = self._codes[t], self._counts[t]
        total = self._joined[0][codes[0]].copy()
        for j in range(1, len(codes)):
            total += self._joined[j][codes[j]]
        self._work -= len(total)
        total *= self._size + np.float32(rows)
        total -= self._each * self._size
        total[without] = np.inf
        best = int(total.argmin())
        return best, float(total[best])

    def _helped(self, t: int, name: int, taken: set[int], used: dict[int, int]) -> tuple[list[int], float]:
        """Spare tuples that make a class of k rows with a tuple, and what that adds."""
        codes, need = self._codes[t], self._k - self._counts[t]
        if need <= 0:
            _, each = self._cover([t])
            return [], each * self._counts[t]
        if not len(self._spare):
            return [], np.inf
        far = self._pairs[0][codes[0]][self._spare_codes[0]]
        for j in range(1, len(codes)):
            far += self._pairs[j][codes[j]][self._spare_codes[j]]
        self._work -= len(far)
        wanted = min(len(far), 4 * self._k)
        judged = far - self._spare_each * np.float32(0.5)
        # by value, not by argpartition: that orders ties as the machine's instructions have it
        near = np.flatnonzero(judged <= np.partition(judged, wanted - 1)[wanted - 1])
        near = near[np.lexsort((near, far[near]))]
        chosen, rows, old = [], 0, 0.0
        lent: dict[int, int] = {}
        for i in near.tolist():
            u = int(self._spare[i])
            owner = int(self.of_tuple[u])
            count = self._counts[u]
            gone = used.get(owner, 0) + lent.get(owner, 0)
            if owner == name or u in taken or self._size[owner] - gone - count < self._k:
                continue
            chosen.append(u)
            lent[owner] = lent.get(owner, 0) + count
            rows += count
            old += count * float(self._each[owner])
            if rows >= need:
                _, each = self._cover([t, *chosen])
                return chosen, each * (rows + self._counts[t]) - old
        return [], np.inf

    def _dissolve(self, name: int, plans: Sequence[tuple[int, int, list[int]]]) -> None:
        """Carry out what was planned for each tuple of a class."""
        self._set(name, [])
        free = [name]
        for t, place, helpers in plans:
            if place >= 0:
                self._set(place, [*self._members[place], t])
                continue
            if not free:
                if self._made >= self._room:
                    place, _ = self._nearest(t, name)
                    self._set(place, [*self._members[place], t])
                    continue
                free.append(self._made)
                self._made += 1
            for owner in dict.fromkeys(int(self.of_tuple[u]) for u in helpers):
                self._set(owner, [u for u in self._members[owner] if u not in helpers])
            self._set(free.pop(), [t, *helpers])


def fits(hierarchies: Sequence[Hierarchy], classes: int) -> bool:
    """Whether the tables of a refinement are small enough to hold."""
    return sum(len(hierarchy.rows) for hierarchy in hierarchies) * classes <= _MOST_CELLS and all(
        len(hierarchy.rows) <= _MOST_LEAVES for hierarchy in hierarchies
    )
