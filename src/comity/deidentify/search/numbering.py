"""Numbers for keys that arrive in batches: memory follows distinct keys, however many rows there are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.search.tuples import ROOM, dense

_NUMBERS = 2**31
"""More distinct keys than this are not numbered."""


class Numbering:
    """Numbers 0, 1, 2, ... for the distinct keys met so far, in order of their batches."""

    def __init__(self) -> None:
        self._keys = np.zeros(0, dtype=np.int64)
        self._numbers = np.zeros(0, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._keys)

    @property
    def keys(self) -> NDArray[np.int64]:
        """The distinct keys, in order of their numbers."""
        found = np.empty_like(self._keys)
        found[self._numbers] = self._keys
        return found

    def find(self, keys: NDArray[np.int64], *, learn: bool) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The number of each key, -1 for one never met, and, per key met for the first time, a place in
        `keys` where it stands. With `learn` those get the next numbers."""
        ids, number = dense(keys)
        places = np.empty(number, dtype=np.int64)
        places[ids[::-1]] = np.arange(len(keys) - 1, -1, -1)
        distinct = keys[places]
        at = np.searchsorted(self._keys, distinct)
        met = np.zeros(number, dtype=bool)
        inside = at < len(self._keys)
        met[inside] = self._keys[at[inside]] == distinct[inside]
        found = np.full(number, -1, dtype=np.int64)
        found[met] = self._numbers[at[met]]
        fresh = np.flatnonzero(~met)
        if learn and len(fresh):
            found[fresh] = len(self._keys) + np.arange(len(fresh))
            order = np.argsort(distinct[fresh])
            self._keys = np.insert(self._keys, at[fresh][order], distinct[fresh][order])
            self._numbers = np.insert(self._numbers, at[fresh][order], found[fresh][order])
        return found[ids], places[fresh]


class TupleNumbering:
    """Numbers for rows of several coded columns. Columns whose codes do not fit one whole number together are
    numbered in turn, the number of the first ones standing for them."""

    def __init__(self, extents: Sequence[int]) -> None:
        self._groups: list[list[tuple[int, int]]] = [[]]
        size = 1
        for j, extent in enumerate(extents):
            if size > ROOM // max(1, extent):
                self._groups.append([])
                size = _NUMBERS
            self._groups[-1].append((j, max(1, extent)))
            size *= max(1, extent)
        self._stages = [Numbering() for _ in self._groups]

    def __len__(self) -> int:
        return len(self._stages[-1])

    def find(
        self, columns: Sequence[NDArray[np.integer]], *, learn: bool
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The number of each row, -1 for one never met; and where each new one stands. See `Numbering`."""
        keys = np.zeros(len(columns[0]), dtype=np.int64)
        fresh = np.zeros(0, dtype=np.int64)
        unknown = np.zeros(len(keys), dtype=bool)
        for group, stage in zip(self._groups, self._stages, strict=True):
            for j, extent in group:
                keys = keys * extent + columns[j]
            keys, fresh = stage.find(keys, learn=learn)
            unknown |= keys < 0
        keys[unknown] = -1
        return keys, fresh


class Tally:
    """Counts by number, growing with the numbers."""

    def __init__(self) -> None:
        self.counts = np.zeros(0, dtype=np.int64)

    def add(self, numbers: NDArray[np.int64], size: int) -> None:
        """Count each number once more; numbers are below `size`."""
        grown = np.bincount(numbers, minlength=size)
        grown[: len(self.counts)] += self.counts
        self.counts = grown
