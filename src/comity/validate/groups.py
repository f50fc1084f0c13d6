"""By group: any metric in each group of a partition of the records that the ML party made itself.

A record is in one group, so that one changed label moves the statistics of one group only: all groups
together cost what the largest of them costs (parallel composition). Every group's statistics get the same
length, so that small groups are told as exactly as large ones, in records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.errors import BadInput
from comity.validate.arguments import as_array, missing
from comity.validate.estimate import Part, Question, common_length
from comity.validate.mechanism import NoisySums
from comity.validate.numbering import highest, numbered_by_first
from comity.validate.queries import Groups, Integers, Joined, Labels, Query, Words, ceil_root

Parts = tuple[list[Part], tuple[str, ...], dict[str, Any]]
PartsOf = Callable[[NDArray[np.int64]], Parts]
"""The base statistics of some of the records, given by their places in the question."""
Assemble = Callable[[Sequence[Part], tuple[str, ...], Mapping[str, Any], int | None], Question]


@dataclass(frozen=True, eq=False)
class Partitioned(Query):
    """One query per group of a partition, answered together.

    Attributes:
        records: for each group, the (sorted) places of its records.
        parts: for each group, its query.
        count: how many records there are; those in no group do not enter.
    """

    records: tuple[Integers, ...]
    parts: tuple[Query, ...]
    count: int

    def __post_init__(self) -> None:
        if not self.parts or len(self.parts) != len(self.records):
            raise BadInput("a partition has one query per group")
        for places, part in zip(self.records, self.parts, strict=True):
            if part.rows != len(places):
                raise BadInput("a group's query is about another number of records than it has")
        if len({part.levels for part in self.parts}) != 1:
            raise BadInput("the groups' queries are about labels of one kind")
        every = np.concatenate([np.asarray(places) for places in self.records])
        if every.dtype.kind not in "iu" or (len(every) and (every.min() < 0 or every.max() >= self.count)):
            raise BadInput(f"a group's records are places 0 .. {self.count - 1}")
        # a record that stood in a group twice would count twice
        if len(every) and np.bincount(every, minlength=self.count).max() > 1:
            raise BadInput("groups of a partition share no records, and name each once")

    @property
    def rows(self) -> int:
        return self.count

    @property
    def dimensions(self) -> int:
        return sum(part.dimensions for part in self.parts)

    @property
    def l2(self) -> int:
        return ceil_root(self.l2_squared)

    @property
    def l2_squared(self) -> int:
        return max(part.l2_squared for part in self.parts)

    @property
    def l1(self) -> int:
        return max(part.l1 for part in self.parts)

    @property
    def largest_sum(self) -> int:
        return max(part.largest_sum for part in self.parts)

    @property
    def levels(self) -> int:
        return self.parts[0].levels

    def sums(self, labels: Labels) -> Integers:
        return np.concatenate(
            [part.sums(labels[at]) for at, part in zip(self.records, self.parts, strict=True)]
        )

    def padded_sums(self, words: Words) -> Words:
        return np.concatenate(
            [part.padded_sums(words[at]) for at, part in zip(self.records, self.parts, strict=True)]
        )

    def row(self, record: int) -> Integers:
        rows = []
        for places, part in zip(self.records, self.parts, strict=True):
            at = np.flatnonzero(places == record)
            rows.append(part.row(int(at[0])) if len(at) else np.zeros(part.dimensions, dtype=np.int64))
        return np.concatenate(rows)

    def groupings(self) -> tuple[Groups, ...]:
        """The groups; and the groups' own groupings, as many as the largest number that any has."""
        inner = [part.groupings() for part in self.parts]
        made = [self._laid_out([np.zeros(len(places), dtype=np.int64) for places in self.records])]
        for depth in range(max(len(one) for one in inner)):
            made.append(
                self._laid_out(
                    [
                        one[depth] if depth < len(one) else np.zeros(len(places), dtype=np.int64)
                        for one, places in zip(inner, self.records, strict=True)
                    ]
                )
            )
        return tuple(made)

    def split(self, answer: NoisySums) -> list[NoisySums]:
        """The answer, taken apart by group."""
        ends = np.cumsum([part.dimensions for part in self.parts])[:-1]
        return [NoisySums(values, answer.calibration) for values in np.split(answer.values, ends)]

    def _laid_out(self, numbers: Sequence[Integers]) -> Integers:
        """Group numbers of all records, those of different groups apart; -1 for records in none."""
        total, start = np.full(self.count, -1, dtype=np.int64), 0
        for places, own in zip(self.records, numbers, strict=True):
            total[places] = own + start
            start += highest(own) + 1
        return total


@dataclass(frozen=True, eq=False)
class GroupedQuestion:
    """A question per group, asked as one.

    Attributes:
        query: what the validator is asked.
        names: the groups, in the order of their first record.
        questions: one per group.
    """

    query: Partitioned
    names: tuple[Any, ...]
    questions: tuple[Question, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        return self.questions[0].metrics

    @property
    def facts(self) -> dict[Any, Mapping[str, Any]]:
        return {name: one.facts for name, one in zip(self.names, self.questions, strict=True)}

    def read(self, answer: NoisySums) -> tuple[dict[str, Any], dict[str, Any]]:
        """Estimates and intervals by metric, then by group."""
        read = [one.read(sums) for one, sums in zip(self.questions, self.query.split(answer), strict=True)]
        estimates, intervals = (
            {
                metric: {name: told[at][metric] for name, told in zip(self.names, read, strict=True)}
                for metric in self.metrics
            }
            for at in range(2)
        )
        return estimates, intervals


def group_question(
    names: tuple[Any, ...], numbers: NDArray[np.int64], parts_of: PartsOf, assemble: Assemble
) -> GroupedQuestion:
    """One question out of one per group.

    Args:
        names: of the groups.
        numbers: (n,) the group of each record, -1 for none.
        parts_of, assemble: make the base statistics, and the question, of one group.
    """
    records = _members(numbers, len(names))
    made = [parts_of(places) for places in records]
    length = max(common_length(parts) for parts, _, _ in made)
    if all(len(parts) == 1 and parts[0].query.l2_squared == 1 for parts, _, _ in made):
        length = 1
    questions = tuple(assemble(*one, length) for one in made)
    queries: tuple[Joined, ...] = tuple(one.query for one in questions)
    return GroupedQuestion(Partitioned(tuple(records), queries, len(numbers)), names, questions)


def numbered_groups(groups: Any, count: int) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """Group names per record, as possible names and (n,) numbers of them; None and NaN are in no group.

    Raises:
        BadInput: for another number of entries than records, or no group at all.
    """
    values = as_array(groups, "groups")
    if values.shape != (count,):
        raise BadInput(f"{count} ids came with groups of shape {values.shape}: one group each is needed")
    if values.dtype.kind in "iub" and count:
        names, numbers = _of_integers(values)
    else:
        listed: dict[Any, int] = {}
        try:
            numbers = np.array(
                [
                    -1 if missing(value) else listed.setdefault(value, len(listed))
                    for value in values.tolist()
                ],
                dtype=np.int64,
            )
        except TypeError:
            raise BadInput("a group's name is a word or a number, not a list or another container") from None
        names = tuple(listed)
    if not names:
        raise BadInput("no record is in any group")
    return names, numbers


def without_gaps(
    names: tuple[Any, ...], numbers: NDArray[np.int64]
) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """The same groups in the same order, without the names that no record has."""
    used = np.unique(numbers[numbers >= 0])
    places = np.full(len(names) + 1, -1, dtype=np.int64)  # the last one is for records in no group
    places[used] = np.arange(len(used))
    return tuple(names[at] for at in used.tolist()), places[numbers]


def in_order_of_appearance(
    names: tuple[Any, ...], numbers: NDArray[np.int64]
) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    """The same groups, numbered as their first records stand, so that a question's order does not matter."""
    renumbered, sizes = numbered_by_first(numbers)
    order = np.zeros(len(sizes), dtype=np.int64)
    # any record of a group tells which name it has; the first of each is found soonest
    rest = np.arange(len(sizes))
    start, size = 0, 4096
    while len(rest):
        part = renumbered[start : start + size]
        found, at = np.unique(part, return_index=True)
        inside = found >= 0
        order[found[inside]] = numbers[start + at[inside]]
        rest = rest[~np.isin(rest, found)]
        start, size = start + size, 2 * size
    return tuple(names[at] for at in order.tolist()), renumbered


def _of_integers(values: NDArray[Any]) -> tuple[tuple[Any, ...], NDArray[np.int64]]:
    low, high = int(values.min()), int(values.max())
    if high - low < 1 << 16:
        small = np.min_scalar_type(high - low)
        # modulo the small type's range, which is more than the differences need
        shifted = values.astype(small)
        shifted -= small.type(low % (1 << 8 * small.itemsize))
        return tuple(range(low, high + 1)), shifted
    found, numbers = np.unique(values, return_inverse=True)
    return tuple(found.tolist()), numbers.astype(np.int64)


def _members(numbers: NDArray[np.int64], count: int) -> list[NDArray[np.int64]]:
    """The places of every group's records, in order."""
    if count <= 32:
        return [np.flatnonzero(numbers == at) for at in range(count)]
    order = np.argsort(numbers, kind="stable")
    starts = np.searchsorted(numbers[order], np.arange(count + 1))
    return [order[starts[at] : starts[at + 1]] for at in range(count)]
