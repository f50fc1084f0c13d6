"""Which tuples fall together at a node of the lattice, and how many leaves their labels cover."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.search.tuples import Tuples, dense

if TYPE_CHECKING:
    from comity.deidentify.models.population import CountedPopulations

Node = tuple[int, ...]
"""One level per quasi-identifier."""

_CACHE_BYTES = 128 * 2**20


class Keys:
    """Class numbers of a table's tuples, and after them those of population tables.

    Keys of halves of the attributes are kept, since nodes share them.
    """

    def __init__(
        self,
        tuples: Tuples,
        populations: CountedPopulations,
        weighed: Callable[[], NDArray[np.float64]] | None = None,
        together: Sequence[int] = (),
    ) -> None:
        """`together`: attributes whose levels stay the same, so that their keys are worth numbering."""
        self._given = weighed
        self._numbered = bool(together)
        self._tuples = tuples
        self._hierarchies = populations.hierarchies(tuples)
        self._codes = populations.codes(tuples)
        self._number = len(self._codes[0])
        widest = sorted(range(len(self._codes)), key=lambda j: -len(tuples.hierarchies[j].rows))
        self._halves = (tuple(widest[0::2]), tuple(widest[1::2]))
        if together:
            self._halves = (tuple(together), tuple(j for j in widest if j not in together))
        self._keys: dict[tuple[int, Node], tuple[NDArray[np.int64], int]] = {}
        self._labels: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._most: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._room = max(8, _CACHE_BYTES // (8 * max(1, self._number)))

    def slots(self, node: Node, among: NDArray[np.int64] | None = None) -> tuple[NDArray[np.int64], int]:
        """A slot number per tuple (of some, or all), equal within a class; slots may be empty."""
        ids, slots = self._half(0, node)
        if among is not None:
            ids = ids[among]
        if self._halves[1]:
            second, width = self._half(1, node)
            if among is not None:
                second = second[among]
            if slots > 2**62 // width:
                ids, slots = dense(ids)
            ids = ids * width + second
            slots *= width
        return ids, slots

    def covered(self, chosen: NDArray[np.bool_], node: Node) -> list[list[int]]:
        """Per attribute and level up to the node's, leaves covered by the labels of chosen tuples' rows."""
        total = np.einsum("i,ij->j", chosen.astype(np.float64), self.weighed)
        places = np.cumsum([0, *(hierarchy.levels for hierarchy in self._tuples.hierarchies)])
        return [
            [int(x) for x in total[start : start + level + 1]]
            for start, level in zip(places[:-1].tolist(), node, strict=True)
        ]

    def covered_at(self, ones: NDArray[np.int64], rows: NDArray[np.float64], node: Node) -> list[int]:
        """Per attribute, leaves covered by the node's labels of some classes' rows. `ones`: a tuple of
        each class."""
        found, everybody = [], int(rows.sum())
        for codes, hierarchy, level in zip(self._tuples.codes, self._tuples.hierarchies, node, strict=True):
            covered = hierarchy.covered[level]
            least, most = int(covered.min()), int(covered.max())
            found.append(
                least * everybody if least == most else int(rows @ covered.astype(np.float64)[codes[ones]])
            )
        return found

    @cached_property
    def weighed(self) -> NDArray[np.float64]:
        """(tuples, levels of all attributes): leaves that the tuple's label covers, times its rows. In
        floats, whose sums are exact below 2^53."""
        if self._given is not None:
            return self._given()
        columns = [
            covered[codes] * self._tuples.counts
            for codes, hierarchy in zip(self._tuples.codes, self._tuples.hierarchies, strict=True)
            for covered in hierarchy.covered
        ]
        return np.stack(columns, axis=1).astype(np.float64)

    def most_covered(self, ones: NDArray[np.int64], rows: NDArray[np.int64], node: Node) -> list[list[int]]:
        """As `covered`, for some rows of each class, whichever cover most. `ones`: a tuple of each class."""
        found = []
        for j, level in enumerate(node):
            labels = self._label(j, level)[ones]
            weights = np.bincount(labels, weights=rows, minlength=self._most_at(j, level).shape[1])
            found.append([int(x) for x in self._most_at(j, level) @ weights.astype(np.int64)])
        return found

    def _most_at(self, j: int, level: int) -> NDArray[np.int64]:
        """(levels up to this, labels at this level): leaves that a label under it covers at most."""
        if (j, level) not in self._most:
            hierarchy = self._hierarchies[j]
            table = np.zeros((level + 1, len(hierarchy.labels[level])), dtype=np.int64)
            for lower in range(level + 1):
                np.maximum.at(table[lower], hierarchy.codes[level], hierarchy.covered[lower])
            self._most[j, level] = table
        return self._most[j, level]

    def _half(self, half: int, node: Node) -> tuple[NDArray[np.int64], int]:
        attributes = self._halves[half]
        name = (half, tuple(node[j] for j in attributes))
        if name not in self._keys:
            if len(self._keys) >= self._room:
                self._keys.clear()
            found = self._combined(attributes, node)
            self._keys[name] = dense(found[0]) if self._numbered and half == 0 else found
        return self._keys[name]

    def _combined(self, attributes: Sequence[int], node: Node) -> tuple[NDArray[np.int64], int]:
        keys, slots = None, 1
        for j in attributes:
            width = len(self._hierarchies[j].labels[node[j]])
            if width == 1:
                continue
            labels = self._label(j, node[j])
            if keys is None:
                keys, slots = labels, width
                continue
            if slots > 2**62 // width:
                keys, slots = dense(keys)
            keys = keys * width + labels
            slots *= width
        return (np.zeros(self._number, dtype=np.int64) if keys is None else keys), slots

    def _label(self, j: int, level: int) -> NDArray[np.int64]:
        if (j, level) not in self._labels:
            codes = self._hierarchies[j].codes[level].astype(np.int64)
            self._labels[j, level] = codes[self._codes[j]]
        return self._labels[j, level]
