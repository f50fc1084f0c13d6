"""Which records do the answered groupings single out? A test on their row space, modulo a secret prime.

After Chin and Ozsoyoglu (1982): the sums over all answered groups together determine every sum whose
indicator is a combination of the groups' indicators. Take numbers, one per record, that add up to 0 over
every answered group, and are uniform over a prime field among all such. If the answers determine the sum over
a set S of records, the numbers of S add up to 0; if they do not, that happens with probability 1/p. So one
number per record answers for all records at once.

Records that no grouping tells apart are of one kind, and only the sum of the numbers over a kind matters: so
all but the pass that finds the kinds of a new grouping works on kinds. A grouping whose groups are unions of
another one's adds nothing and is left out. `orthogonal` draws the numbers: in (kinds) steps for up to two
groupings whose groups are not unions of each other's, whatever the number of groups; with more of them in
(kinds groupings) steps and an elimination of all groups but those of the two with the most. Memory is one
number per record, and one per kind and grouping. Nothing is drawn until it is asked for.

Two such vectors make a false alarm rarer than 2^-58 per set. A determined set is missed only if the
indicators have a smaller rank modulo the prime than in the rational numbers. With up to two such groupings
that never happens. Otherwise the prime has to divide a determinant below k^(g/2), for g groups in k
groupings. It has 30 bits and comes from the operating system's randomness, and nothing computed with it
leaves, so that nobody can prepare groupings for it: of 2.6e7 such primes at most g log2(k) / 58 are bad, 70
for 1,000 groups in 16 groupings, below 3e-6.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.validate.modular import group_sums
from comity.validate.numbering import counted, highest
from comity.validate.orthogonal import orthogonal

Integers = NDArray[np.int64]

_LOW: Final = 1 << 29
_HIGH: Final = 1 << 30
_GLANCE: Final = 1 << 10


class RowSpace:
    """The row space of the groupings answered so far. `extended` gives a new one; none ever changes.

    Args:
        records: number of records in the frame.
        prime: for tests; by default a random one.

    Attributes:
        kinds: (records,) the kind of each record: records of one kind are alike in all groupings.
        sizes: (kinds,) records of each.
        groupings: (kinds,) group numbers each, -1 for none.
    """

    def __init__(self, records: int, *, prime: int | None = None) -> None:
        self._prime = random_prime() if prime is None else prime
        self.kinds: NDArray[Any] = np.zeros(records, dtype=np.uint8)
        self.sizes: Integers = np.array([records] if records else [], dtype=np.int64)
        self.groupings: tuple[Integers, ...] = ()
        self._finest: tuple[int, ...] = ()

    @property
    def rank(self) -> int:
        """Dimension of the row space."""
        return self._drawn[1]

    @property
    def prime(self) -> int:
        return self._prime

    def extended(self, groupings: Sequence[NDArray[Any]]) -> RowSpace:
        """The row space with further groupings: (records,) group numbers from 0 on, negative for none."""
        space, added = self, len(self.groupings)
        for grouping in groupings:
            space, _ = space.refined(grouping)
        return space.answering(range(added, len(space.groupings)))

    def refined(self, grouping: NDArray[Any], known: Integers | None = None) -> tuple[Self, Integers]:
        """The same row space with the kinds told apart by a grouping too, which it does not yet answer.

        Args:
            known: sizes of the groups, if they have been counted and none is empty.

        Returns:
            The space, and (kinds,) which of the kinds before each kind was part of.
        """
        width = highest(grouping) + 2
        if len(self.sizes) == 1 and grouping.min(initial=0) >= 0:
            kinds, sizes, numbers = _dense(grouping, width, known)
            parents = np.zeros(len(numbers), dtype=np.int64)
        else:
            span = len(self.sizes) * width
            joint = self.kinds.astype(np.int32 if span < 1 << 31 else np.int64)
            joint *= width
            joint += grouping.astype(joint.dtype, copy=False)
            joint += 1
            kinds, sizes, codes = _dense(joint, span)
            parents, numbers = codes // width, codes % width - 1
        more = object.__new__(type(self))
        more._prime, more._finest = self._prime, self._finest
        more.kinds, more.sizes = kinds, sizes
        more.groupings = (*(old[parents] for old in self.groupings), numbers)
        return more, parents

    def answering(self, added: Sequence[int]) -> Self:
        """The same groupings, those of them that `refined` brought and that are named answered too."""
        more = object.__new__(type(self))
        more._prime, more.kinds, more.sizes = self._prime, self.kinds, self.sizes
        more.groupings = self.groupings
        finest = list(self._finest)
        for at in added:
            new = self.groupings[at]
            if any(_coarser(new, self.groupings[old]) for old in finest):
                continue
            finest = [old for old in finest if not _coarser(self.groupings[old], new)]
            finest.append(at)
        more._finest = tuple(finest)
        return more

    def counts(self, at: int) -> Integers:
        """How many records each group of a grouping has."""
        grouping = self.groupings[at]
        inside = grouping >= 0
        return _counted(grouping[inside], self.sizes[inside], _width(grouping))

    def shared(self, one: Integers, two: Integers) -> Integers:
        """How many records each group of one of the groupings shares with each of another (`groupings`)."""
        return shared_counts(one, two, _width(one), _width(two), self.sizes)

    def residues(self, sets: Integers, count: int) -> Integers:
        """(count, 2) residues of disjoint sets of kinds: 0, 0 where the answers determine a set's sum.

        The residues of a union of sets are the sums of theirs, modulo `prime`.

        Args:
            sets: (kinds,) number of the set that each kind belongs to; negative: in none.
            count: number of sets.
        """
        return group_sums(sets, self._drawn[0], count, self._prime)

    @cached_property
    def _drawn(self) -> tuple[Integers, int]:
        """(kinds, 2) numbers that add up to 0 over every answered group, and the rank."""
        answered = [self.groupings[at] for at in self._finest]
        return orthogonal(answered, len(self.sizes), self._prime, self._uniform)

    def _uniform(self, count: int) -> Integers:
        """(count, 2) numbers below the prime."""
        words = np.frombuffer(secrets.token_bytes(16 * count), dtype=np.uint64)
        return (words % np.uint64(self._prime)).astype(np.int64).reshape(count, 2)


def _coarser(one: Integers, two: Integers) -> bool:
    """Whether every group of a grouping is a union of another's groups: a glance first, then all of it."""
    parts = [slice(_GLANCE), slice(None)] if len(one) > _GLANCE else [slice(None)]
    if _width(one) > _width(two):
        return False
    for part in parts:
        coarse, fine = one[part], two[part]
        whole = np.full(_width(two) + 1, -1, dtype=np.int64)
        whole[fine] = coarse
        whole[-1] = -1  # what is in no finer group is in no coarser one
        if not np.array_equal(whole[fine], coarse):
            return False
    return True


def _width(grouping: Integers) -> int:
    return highest(grouping) + 1


def _dense(
    codes: NDArray[Any], span: int, known: Integers | None = None
) -> tuple[NDArray[Any], Integers, Integers]:
    """Codes below `span` numbered without gaps: (records,) numbers, their sizes, and the code of each."""
    if known is not None:
        return codes.astype(np.min_scalar_type(len(known))), known, np.arange(len(known))
    if span <= max(1 << 20, 4 * len(codes)):
        counts = counted(codes, span)
        found = np.flatnonzero(counts)
        small = np.min_scalar_type(len(found))
        if found[-1:].tolist() == [len(found) - 1]:
            return codes.astype(small), counts[found], found.astype(np.int64)
        rank = (np.cumsum(counts > 0) - 1).astype(small)
        return rank[codes], counts[found], found.astype(np.int64)
    found, index, counts = np.unique(codes, return_inverse=True, return_counts=True)
    return index.astype(np.min_scalar_type(len(found))), counts.astype(np.int64), found.astype(np.int64)


def shared_counts(
    one: Integers, two: Integers, width: int, size: int, sizes: Integers | None = None
) -> Integers:
    """(width, size) how many records each group of one grouping shares with each of another.

    Args:
        sizes: records of each kind, where groupings are of kinds.
    """
    # a record in no group of one of them falls into an extra row or column
    joint = _counted((one + 1) * (size + 1) + (two + 1), sizes, (width + 1) * (size + 1))
    return joint.reshape(width + 1, size + 1)[1:, 1:]


def _counted(codes: Integers, sizes: Integers | None, width: int) -> Integers:
    # float sums of whole numbers are exact below 2^53
    return np.bincount(codes, weights=sizes, minlength=width).astype(np.int64)


def random_prime() -> int:
    """A uniformly random prime between 2^29 and 2^30."""
    while True:
        candidate = (_LOW + secrets.randbelow(_HIGH - _LOW)) | 1
        if _is_prime(candidate):
            return candidate


def _is_prime(number: int) -> bool:
    """Miller and Rabin with bases that decide for all numbers below 3,215,031,751."""
    if any(number % small == 0 for small in (2, 3, 5, 7, 11, 13)):
        return False
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7):
        power = pow(base, odd, number)
        if power in (1, number - 1):
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
