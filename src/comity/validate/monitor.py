"""Monitor: refuses groupings that single out few records, before anything is spent. Public facts only.

It knows the frame of ids that both ends share and the groupings answered so far, never a label: a refusal
says nothing about data. It is defence in depth beside differential privacy, not the guarantee:

1. A group of the frame has at least `minimum` records.
2. The answered groupings together must not determine the sum over fewer than `minimum` records that look
   alike in all of them (`isolation`), nor over two such kinds of records together.
3. No answered group without another one (or without all the groups of another grouping that it contains)
   may leave fewer than `minimum` records.
4. Questions do not probe: a grouping that is an earlier question's but for fewer than `minimum` records, many
   nearly equal groupings, or the same record moved around between them is refused (`probing`).

That small kinds of records exist is no ground for refusing: 8 columns of a table leave thousands of
records that nobody resembles, and sums per column still determine none of them.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput, ClauseRefused
from comity.validate.frame import Frame
from comity.validate.isolation import RowSpace
from comity.validate.numbering import numbered_by_first
from comity.validate.parameters import a_count
from comity.validate.probing import Probing

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Admitted:
    """What a monitor says yes to.

    Attributes:
        groups: how many groups.
        smallest: records in the smallest of them.
    """

    groups: int
    smallest: int


class Monitor:
    """Watches the groupings of one frame, whoever asks.

    Args:
        frame_ids: the ids of the records that both ends know (or a `Frame`).
        minimum: the least number of records that an answer may be about.
        admitted: groupings admitted before, as `admitted` gave them: a restart replays them.
        clause: the clause that refusals name.
    """

    def __init__(
        self,
        frame_ids: Iterable[Any] | Frame,
        *,
        minimum: int = 10,
        admitted: Sequence[NDArray[Any]] = (),
        clause: str = "architectures.validation.minimum_group",
    ) -> None:
        self.minimum = minimum = a_count(minimum, "the minimum group, in records,")
        self.frame = frame_ids if isinstance(frame_ids, Frame) else Frame(frame_ids)
        self.clause = clause
        self._lock = threading.Lock()
        self._space = RowSpace(len(self.frame))
        self._probing = Probing(minimum, clause)
        with self._lock:
            self._space = self._space.extended([self._checked(grouping)[0] for grouping in admitted])
            self._probing = replace(self._probing, moves=np.zeros(len(self._space.sizes), dtype=np.int64))

    @property
    def admitted(self) -> tuple[Integers, ...]:
        """The groupings admitted so far, (records,) group numbers each, -1 for records in no group."""
        space = self._space
        return tuple(grouping[space.kinds] for grouping in space.groupings)

    @property
    def kinds(self) -> int:
        """How many kinds of records the admitted groupings tell apart."""
        return len(self._space.sizes)

    def admit(self, groups: Any) -> Admitted:
        """Take one grouping, or refuse it.

        Args:
            groups: one of
                a mapping from names to collections of ids;
                a list of collections of ids, one per group;
                a set of ids: one group;
                a boolean array over the frame: one group, the records that are true;
                an array or list of the frame's length: the group that each record belongs to, in the frame's
                order (None or NaN: in no group).

        Raises:
            ClauseRefused: if a group is too small or records would be singled out; nothing is remembered.
            BadInput: for ids that are not in the frame, and for groups that overlap.
        """
        return self.admit_all([self.grouping(groups)])

    def admit_all(self, groupings: Sequence[NDArray[Any]]) -> Admitted:
        """Take several groupings of one question, as group numbers over the frame, or refuse them all.

        Raises:
            ClauseRefused: as `admit`.
        """
        checked = [self._checked(grouping) for grouping in groupings]
        sizes = [counts for _, counts in checked]
        with self._lock:
            for counts in sizes:
                self._require_sizes(counts)
            space, moves, new = self._refined(checked)
            probing = self._probing.looked_at(space, new, moves)
            if new:
                self._space = self._required(space, new)
            self._probing = probing
        return Admitted(
            sum(len(one) for one in sizes), min((int(one.min()) for one in sizes if len(one)), default=0)
        )

    def replay(self, groupings: Sequence[NDArray[Any]]) -> None:
        """Take the groupings of a question that was answered before a restart, without judging them again."""
        checked = [self._checked(grouping) for grouping in groupings]
        with self._lock:
            space, moves, new = self._refined(checked)
            self._probing = self._probing.noted(space, new, moves)
            self._space = space.answering(new)

    def _refined(
        self, groupings: Sequence[tuple[NDArray[Any], Integers]]
    ) -> tuple[RowSpace, Integers, list[int]]:
        """The space with kinds told apart by these groupings, how often each kind was moved, what is new."""
        space, moves, known = self._space, self._probing.moves, len(self._space.groupings)
        new: list[int] = []
        for grouping, sizes in groupings:
            finer, parents = space.refined(grouping, sizes)
            asked = finer.groupings[-1]
            if any(np.array_equal(asked, old) for old in finer.groupings[:-1]):
                continue  # equal to another one: no kind is split by it
            space, moves = finer, moves[parents]
            new.append(len(space.groupings) - 1)
        return space, moves, [at for at in new if at >= known]

    def grouping(self, groups: Any) -> Integers:
        """Any of the forms that `admit` takes, as group numbers over the frame."""
        if isinstance(groups, Mapping):
            return self._of_collections(list(groups.values()))
        if isinstance(groups, set | frozenset):
            return self._of_collections([groups])
        values = groups if isinstance(groups, list | tuple) else np.asarray(groups)
        if isinstance(values, np.ndarray) and values.dtype == np.bool_ and values.shape == (len(self.frame),):
            return np.where(values, 0, -1).astype(np.int64)
        if len(values) and all(_is_collection(value) for value in values):
            return self._of_collections(list(values))
        if len(values) != len(self.frame):
            raise BadInput(
                f"a grouping names the group of each of the frame's {len(self.frame)} records, or lists the "
                f"ids of each group; this one has {len(values)} entries"
            )
        return _numbered(values)

    def _of_collections(self, groups: Sequence[Collection[Any]]) -> Integers:
        numbers = np.full(len(self.frame), -1, dtype=np.int64)
        for at, ids in enumerate(groups):
            places = self.frame.places(ids if isinstance(ids, np.ndarray) else list(ids), f"group {at}")
            if (numbers[places] >= 0).any():
                raise BadInput(
                    f"group {at} shares records with an earlier one; ask for overlapping groups apart"
                )
            numbers[places] = at
        return numbers

    def _checked(self, grouping: NDArray[Any]) -> tuple[NDArray[Any], Integers]:
        """Group numbers without gaps in the order of first appearance, and the groups' sizes."""
        numbers = np.asarray(grouping)
        if numbers.shape != (len(self.frame),) or numbers.dtype.kind not in "iu":
            raise BadInput(f"a grouping has one whole number for each of the {len(self.frame)} records")
        return numbered_by_first(numbers)

    def _required(self, space: RowSpace, new: Sequence[int]) -> RowSpace:
        """The space with new groupings answered, if nothing small follows from it."""
        answered = space.answering(new)
        if len(space.groupings) > 1:
            # a single grouping determines its own groups and no more
            self._require_cover(answered)
            self._require_differences(space, new)
        return answered

    def _require_sizes(self, sizes: Integers) -> None:
        small = np.flatnonzero(sizes < self.minimum)
        if len(small):
            raise self._refusal(
                f"{len(small)} of {len(sizes)} groups have fewer than {self.minimum} records",
                asked=f"a group of {sizes[small].min()}",
            )

    def _require_cover(self, space: RowSpace) -> None:
        """No sum over few records that look alike, or over two such kinds, follows from the groupings."""
        small = np.flatnonzero(space.sizes < self.minimum)
        number = np.full(len(space.sizes), -1, dtype=np.int64)
        number[small] = np.arange(len(small))
        residues = space.residues(number, len(small))
        if not residues.any(axis=1).all():
            raise self._refusal("together with what was answered before it singles out records")
        if _two_cancel(residues, space.prime, space.sizes[small], self.minimum):
            raise self._refusal("together with what was answered before it singles out a few records")

    def _require_differences(self, space: RowSpace, new: Sequence[int]) -> None:
        """No group without others that it holds leaves few records."""
        for one in new:
            for two in range(one):
                shared = space.shared(space.groupings[one], space.groupings[two])
                sizes = space.counts(one), space.counts(two)
                if self._leaves_few(shared, *sizes) or self._leaves_few(shared.T, *reversed(sizes)):
                    raise self._refusal("the difference of two answered groups is too small")

    def _leaves_few(self, shared: Integers, outer_sizes: Integers, inner_sizes: Integers) -> bool:
        """Whether taking inner groups out of an outer group that holds them leaves few records."""
        inside = np.where((shared == inner_sizes) & (shared > 0), shared, 0)
        # without all the groups it holds, and without any one of them
        left_of_all = outer_sizes - inside.sum(axis=1)
        left_of_one = np.where(inside > 0, outer_sizes[:, None] - inside, self.minimum)
        few_of_all = (left_of_all > 0) & (left_of_all < self.minimum) & inside.any(axis=1)
        few_of_one = (left_of_one > 0) & (left_of_one < self.minimum)
        return bool(few_of_all.any() or few_of_one.any())

    def _refusal(self, reason: str, asked: str | None = None) -> ClauseRefused:
        return ClauseRefused(
            reason,
            clause=self.clause,
            asked=asked,
            would_pass=f"groups that, with all answered before, tell of {self.minimum} records or more",
        )


def _two_cancel(residues: Integers, prime: int, sizes: Integers, minimum: int) -> bool:
    """Whether two kinds, together fewer than the minimum, have residues that add up to 0, 0."""
    if len(sizes) < 2:
        return False
    keys = residues[:, 0] * prime + residues[:, 1]
    opposite = (-residues[:, 0] % prime) * prime + -residues[:, 1] % prime
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    smallest = np.minimum.reduceat(sizes[order], starts)
    at = np.minimum(np.searchsorted(ordered[starts], opposite), len(starts) - 1)
    found = ordered[starts][at] == opposite
    return bool((found & (sizes + smallest[at] < minimum)).any())


def _is_collection(value: Any) -> bool:
    if isinstance(value, str | bytes):
        return False
    return isinstance(value, Collection) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _numbered(values: Any) -> Integers:
    """Group names of any kind as numbers from 0 on, -1 for None and NaN."""
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return np.unique(array, return_inverse=True)[1].astype(np.int64)
    numbers: dict[Any, int] = {}
    listed = array.tolist()
    return np.array(
        [-1 if v is None or v != v else numbers.setdefault(v, len(numbers)) for v in listed], dtype=np.int64
    )
