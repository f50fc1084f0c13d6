"""Which records do the answered groupings single out? A test on their row space, modulo a secret prime.

After Chin and Ozsoyoglu (1982): the sums over all answered groups together determine every sum whose
indicator is a combination of the groups' indicators. Let A be the (records x groups) 0/1 matrix. For a
random vector x over a prime field let r = x - A c be its part that is orthogonal to every group. If the
answers determine the sum over a set S of records, the entries of r over S add up to 0; if they do not, that
happens with probability 1/p. So one number per record answers for all records at once.

Records that no grouping tells apart are of one kind, and only the sum of r over a kind matters: a uniform
number too. So all but the pass that finds the kinds of a new grouping works on kinds: with k of them and g
groups answered before, a further grouping of h groups costs (records + k (answered groupings) + g^2 h) steps
and memory for one number per record and k per grouping. When a kind is split, its number is split at random.

Two vectors x make a false alarm rarer than 2^-58 per set. A determined set is missed only if the prime
divides a denominator of the combination; the prime has 30 bits and comes from the operating system's
randomness, and nothing computed with it leaves, so that nobody can prepare groupings for it (there are
2.6e7 such primes, of which a few hundred at most can be bad for 200 groups: below 1e-5).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from comity.validate.numbering import counted, highest

Integers = NDArray[np.int64]

_LOW: Final = 1 << 29
_HIGH: Final = 1 << 30
_HALF: Final = 15


class UnluckyPrime(Exception):
    """The prime divides a determinant that is not 0; the computation starts again with another one."""


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
        self._widths: tuple[int, ...] = ()
        self._kept: Integers = np.zeros(0, dtype=np.int64)
        self._inverse: Integers = np.zeros((0, 0), dtype=np.int64)
        self._left = _uniform(len(self.sizes), self._prime)

    @property
    def rank(self) -> int:
        """Dimension of the row space."""
        return len(self._kept)

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
        more._prime = self._prime
        more.kinds, more.sizes = kinds, sizes
        more.groupings = (*(old[parents] for old in self.groupings), numbers)
        more._widths, more._kept, more._inverse = self._widths, self._kept, self._inverse
        more._left = _split(self._left, parents, self._prime)
        return more, parents

    def answering(self, added: Sequence[int]) -> RowSpace:
        """The same groupings, the last of them, which `refined` brought, answered too."""
        space = self
        for at in added:
            try:
                space = space._with(space.groupings[at])
            except UnluckyPrime:
                return space._afresh()
        return space

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
        return _sums(sets, self._left, count, self._prime)

    def _afresh(self) -> RowSpace:
        """The same groupings with another prime."""
        again = object.__new__(type(self))
        again._prime = random_prime()
        again.kinds, again.sizes, again.groupings = self.kinds, self.sizes, self.groupings
        again._widths = ()
        again._kept, again._inverse = np.zeros(0, dtype=np.int64), np.zeros((0, 0), dtype=np.int64)
        again._left = _uniform(len(self.sizes), again._prime)
        try:
            for grouping in self.groupings:
                again = again._with(grouping)
        except UnluckyPrime:
            return self._afresh()
        return again

    def _with(self, grouping: Integers) -> Self:
        """One more of its groupings answered.

        With B its indicators, V = (A'A)^-1 A'B and S = B'B - (A'B)'V, the part of B orthogonal to A is
        B - A V, and S its Gram matrix.
        """
        prime = self._prime
        size = _width(grouping)
        more = object.__new__(type(self))
        more.__dict__.update(self.__dict__)
        more._widths = (*self._widths, size)
        if size == 0:
            return more
        shared = self._shared(grouping, size)
        ahead = _product(self._inverse, shared, prime)
        inside = grouping >= 0
        gram = np.diag(_counted(grouping[inside], self.sizes[inside], size))
        gram = (gram - _product(shared.T, ahead, prime)) % prime
        independent = _independent(gram, prime)
        ahead = ahead[:, independent]
        block = _inverted(gram[np.ix_(independent, independent)], prime)
        weights = _product(block, _sums(grouping, self._left, size, prime)[independent], prime)
        more._kept = np.concatenate([self._kept, sum(self._widths) + independent])
        corner = _product(ahead, block, prime)
        more._inverse = (
            np.block(
                [
                    [self._inverse + _product(corner, ahead.T, prime), prime - corner],
                    [prime - corner.T, block],
                ]
            )
            % prime
        )
        coefficients = np.zeros((sum(more._widths), 2), dtype=np.int64)
        coefficients[self._kept] = (prime - _product(ahead, weights, prime)) % prime
        coefficients[sum(self._widths) + independent] = weights
        answered = self.groupings[: len(more._widths)]
        taken = _combination(answered, more._widths, coefficients, len(self.sizes)) % prime
        more._left = (self._left - taken * (self.sizes % prime)[:, None]) % prime
        if _sums(grouping, more._left, size, prime).any():
            raise UnluckyPrime
        return more

    def _shared(self, grouping: Integers, size: int) -> Integers:
        """(kept, size) how many records each kept group shares with each new one."""
        counts = [np.zeros((0, size), dtype=np.int64)]
        for old, width in zip(self.groupings, self._widths, strict=False):
            counts.append(shared_counts(old, grouping, width, size, self.sizes))
        return np.concatenate(counts)[self._kept]


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


def _split(left: Integers, parents: Integers, prime: int) -> Integers:
    """(kinds, 2) numbers for kinds that are parts of others: uniform, and adding up to their parent's."""
    if len(parents) == len(left):
        return left[parents]
    drawn = _uniform(len(parents), prime)
    last = np.zeros(len(left), dtype=np.int64)
    last[parents] = np.arange(len(parents))
    drawn[last] = 0
    rest = (left - _sums(parents, drawn, len(left), prime)) % prime
    drawn[last] = rest
    return drawn


def _combination(
    groupings: Sequence[Integers], sizes: Sequence[int], coefficients: Integers, records: int
) -> Integers:
    """(records, 2) the combination of all groups' indicators with these coefficients."""
    total = np.zeros((records, 2), dtype=np.int64)
    start = 0
    for grouping, size in zip(groupings, sizes, strict=True):
        # -1 finds the row of zeros at the end
        table = np.concatenate([coefficients[start : start + size], np.zeros((1, 2), dtype=np.int64)])
        total += table[grouping]
        start += size
    return total


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


def _independent(gram: Integers, prime: int) -> Integers:
    """Indices of a largest set of independent columns of a symmetric matrix, modulo the prime."""
    work, chosen = gram.copy(), []
    for column in range(len(work)):
        pivot = int(work[column, column])
        if pivot == 0:
            continue
        chosen.append(column)
        row = work[column] * pow(pivot, -1, prime) % prime
        work = (work - work[:, column : column + 1] * row) % prime
    return np.array(chosen, dtype=np.int64)


def _inverted(matrix: Integers, prime: int) -> Integers:
    """The inverse of a symmetric matrix whose leading minors are not 0 modulo the prime."""
    size = len(matrix)
    work = np.concatenate([matrix % prime, np.eye(size, dtype=np.int64)], axis=1)
    for at in range(size):
        pivot = int(work[at, at])
        if pivot == 0:
            raise UnluckyPrime
        work[at] = work[at] * pow(pivot, -1, prime) % prime
        others = np.arange(size) != at
        work[others] = (work[others] - work[others, at : at + 1] * work[at]) % prime
    return work[:, size:]


def _product(one: Integers, two: Integers, prime: int) -> Integers:
    """Matrix product modulo the prime; halves of 15 bits keep sums of 2^23 products exact in floats."""
    if 0 in (*one.shape, *two.shape):
        return np.zeros((one.shape[0], two.shape[1]), dtype=np.int64)
    mask = (1 << _HALF) - 1
    halves = [
        ((m >> _HALF).astype(np.float64), (m & mask).astype(np.float64)) for m in (one % prime, two % prime)
    ]
    (high, low), (right_high, right_low) = halves
    top = (high @ right_high).astype(np.int64) % prime
    middle = (high @ right_low + low @ right_high).astype(np.int64) % prime
    bottom = (low @ right_low).astype(np.int64) % prime
    return (((top << _HALF) + middle) % prime * (1 << _HALF) + bottom) % prime


def _sums(groups: Integers, values: Integers, size: int, prime: int) -> Integers:
    """(size, columns) sums of residues per group, modulo the prime; exact for 2^38 records."""
    shifted = groups + 1  # group 0 collects the records in no group
    sums = np.empty((size, values.shape[1]), dtype=np.int64)
    for at in range(values.shape[1]):
        column = np.ascontiguousarray(values[:, at])
        low = np.bincount(shifted, weights=column & 0x7FFF, minlength=size + 1)[1:].astype(np.int64)
        high = np.bincount(shifted, weights=column >> _HALF, minlength=size + 1)[1:].astype(np.int64)
        sums[:, at] = (low + (high % prime << _HALF)) % prime
    return sums


def _uniform(count: int, prime: int) -> Integers:
    """(count, 2) numbers below the prime."""
    words = np.frombuffer(secrets.token_bytes(16 * count), dtype=np.uint64)
    return (words % np.uint64(prime)).astype(np.int64).reshape(count, 2)


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
