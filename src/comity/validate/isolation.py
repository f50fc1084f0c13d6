"""Which records do the answered groupings single out? A test on their row space, modulo a secret prime.

After Chin and Ozsoyoglu (1982): the counts of all answered groups together determine every sum whose
indicator is a combination of the groups' indicators. Let A be the (records x groups) 0/1 matrix. For a
random vector x over a prime field let r = x - A c be its part that is orthogonal to every group. Then a set S
of records is determined only if the entries of r over S add up to 0; where S is not determined they do so
with probability 1/p. So one elimination (groups^3, whatever the number of records) and one pass over the
records answer for all records at once. The prime has 30 bits and is drawn afresh from the operating
system's randomness for every test, as is x, twice: nobody can prepare groupings that look independent modulo
it, and a false refusal has probability below 2^-40 for a million records.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]

_LOW, _HIGH: Final = 1 << 29, 1 << 30
_CHUNK: Final = 8
"""Products of two residues stay below 2^60, so that 8 of them add up in 63 bits."""


def residues(groupings: Sequence[Integers], records: int) -> Integers:
    """(records, 2) the orthogonal part of two random vectors, modulo a random prime; 0, 0 where isolated.

    Args:
        groupings: (records,) group numbers from 0 on of each answered grouping; negative: in no group.
        records: number of records in the frame.

    A set of records whose rows add up to 0 modulo the prime, in both columns, is determined by the answers.
    The prime is returned by no means: use `is_zero` on sums taken by `sums_over`.
    """
    prime = random_prime()
    return _orthogonal(groupings, records, prime) % prime


def isolated_sets(groupings: Sequence[Integers], sets: Integers, count: int) -> NDArray[np.bool_]:
    """(count,) whether the answered groupings determine each of some disjoint sets of records.

    Args:
        groupings: as in `residues`.
        sets: (records,) number of the set that each record belongs to.
        count: number of sets.
    """
    prime = random_prime()
    left = _orthogonal(groupings, len(sets), prime)
    determined = np.ones(count, dtype=np.bool_)
    for at in range(left.shape[1]):
        determined &= _sums(sets, left[:, at], count, prime) == 0
    return determined


def fingerprints(groupings: Sequence[Integers], sets: Integers, count: int) -> tuple[Integers, int]:
    """(count, 2) each set's residue and the prime: a union of sets is determined if its residues sum to 0."""
    prime = random_prime()
    left = _orthogonal(groupings, len(sets), prime)
    return np.stack([_sums(sets, left[:, at], count, prime) for at in range(2)], axis=1), prime


def random_prime() -> int:
    """A uniformly random prime between 2^29 and 2^30."""
    while True:
        candidate = _LOW + secrets.randbelow(_HIGH - _LOW) | 1
        if _is_prime(candidate):
            return candidate


def _orthogonal(groupings: Sequence[Integers], records: int, prime: int) -> Integers:
    left = np.empty((records, 2), dtype=np.int64)
    for at in range(2):
        left[:, at] = _uniform(records, prime)
    if not groupings:
        return left
    sizes = [int(grouping.max(initial=-1)) + 1 for grouping in groupings]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    gram = _gram(groupings, sizes, starts)
    right = np.concatenate(
        [
            np.stack([_sums(g, left[:, at], size, prime) for at in range(2)], axis=1)
            for g, size in zip(groupings, sizes, strict=True)
        ]
    )
    solved = solve_modulo(gram % prime, right, prime)
    for grouping, start in zip(groupings, starts[:-1], strict=True):
        inside = grouping >= 0
        left[inside] -= solved[start + grouping[inside]]
    return left % prime


def _gram(groupings: Sequence[Integers], sizes: Sequence[int], starts: Integers) -> Integers:
    """How many records any two groups share."""
    gram = np.zeros((int(starts[-1]), int(starts[-1])), dtype=np.int64)
    for one, first in enumerate(groupings):
        for two in range(one, len(groupings)):
            both = (first >= 0) & (groupings[two] >= 0)
            joint = first[both] * sizes[two] + groupings[two][both]
            shared = np.bincount(joint, minlength=sizes[one] * sizes[two]).reshape(sizes[one], sizes[two])
            gram[starts[one] : starts[one + 1], starts[two] : starts[two + 1]] = shared
            gram[starts[two] : starts[two + 1], starts[one] : starts[one + 1]] = shared.T
    return gram


def solve_modulo(gram: Integers, right: Integers, prime: int) -> Integers:
    """A solution of gram c = right modulo a prime below 2^30; `right` lies in the span of a symmetric gram.

    Where columns depend on others their coefficients are 0.
    """
    size = len(gram)
    work = np.concatenate([gram % prime, right % prime], axis=1).astype(np.int64)
    pivots: list[tuple[int, int]] = []
    row = 0
    for column in range(size):
        candidates = np.flatnonzero(work[row:, column])
        if not len(candidates):
            continue
        found = row + int(candidates[0])
        if found != row:
            work[[row, found]] = work[[found, row]]
        inverse = pow(int(work[row, column]), -1, prime)
        work[row, column:] = work[row, column:] * inverse % prime
        others = np.flatnonzero(work[:, column])
        others = others[others != row]
        factors = work[others, column]
        work[others, column:] = (work[others, column:] - factors[:, None] * work[row, column:]) % prime
        pivots.append((row, column))
        row += 1
        if row == size:
            break
    solution = np.zeros((size, right.shape[1]), dtype=np.int64)
    for at, column in pivots:
        solution[column] = work[at, size:]
    return solution


def _sums(groups: Integers, values: Integers, size: int, prime: int) -> Integers:
    """Sum of values (residues) per group, modulo the prime; exact for up to 2^22 records and beyond."""
    inside = groups >= 0
    low = np.bincount(groups[inside], weights=(values[inside] & 0x7FFF), minlength=size)
    high = np.bincount(groups[inside], weights=(values[inside] >> 15), minlength=size)
    return (low.astype(np.int64) + (high.astype(np.int64) % prime << 15)) % prime


def _uniform(count: int, prime: int) -> Integers:
    words = np.frombuffer(secrets.token_bytes(8 * count), dtype=np.uint64)
    return (words % np.uint64(prime)).astype(np.int64)


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
