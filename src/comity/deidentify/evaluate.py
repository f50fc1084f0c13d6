"""One node of the lattice: which classes it makes, which of them violate, what it loses."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.models import PrivacyModel
from comity.deidentify.partition import Partition
from comity.deidentify.tuples import Tuples, dense

Node = tuple[int, ...]
"""One level per quasi-identifier."""

_CACHE_BYTES = 128 * 2**20
_SLOTS = 65_536
_MIX = 0x9E3779B97F4A7C15
_NOWHERE = np.zeros(0, dtype=np.int64)


class Evaluation:
    """What a node does to the table: its classes, and which of them violate."""

    def __init__(
        self,
        node: Node,
        ids: NDArray[np.int64],
        sizes: NDArray[Any],
        violating: NDArray[np.bool_],
        doomed: NDArray[np.bool_],
    ) -> None:
        self.node = node
        self._ids = ids
        self._sizes = sizes
        self._violating = violating
        self._doomed = doomed

    @cached_property
    def suppressed(self) -> int:
        """Rows in classes that violate some model."""
        return int(self._sizes[self._violating].sum())

    @cached_property
    def surely(self) -> int:
        """Rows in classes that violate at every node below, too."""
        return int(self._sizes[self._doomed].sum())

    def violating(self) -> NDArray[np.int64]:
        """The tuples in violating classes, as positions."""
        return np.flatnonzero(self._violating[self._ids])

    def doomed(self) -> NDArray[np.int64]:
        """The tuples in classes that surely violate, as positions."""
        return np.flatnonzero(self._doomed[self._ids])

    def remaining(self) -> NDArray[np.int64]:
        """Rows of each class that is kept."""
        return self._sizes[(self._sizes > 0) & ~self._violating].astype(np.int64)


class Evaluator:
    """Evaluates nodes of one table. Keys of halves of the attributes are kept, since nodes share them."""

    def __init__(self, tuples: Tuples, models: Sequence[PrivacyModel]) -> None:
        self.tuples = tuples
        self._counting = [model for model in models if model.sensitive is None]
        self._looking = [model for model in models if model.sensitive is not None]
        self._counts = tuples.counts.astype(np.float64)
        widest = sorted(range(len(tuples.codes)), key=lambda j: -len(tuples.hierarchies[j].rows))
        self._halves = (tuple(widest[0::2]), tuple(widest[1::2]))
        self._keys: dict[tuple[int, Node], tuple[NDArray[np.int64], int]] = {}
        self._labels: dict[tuple[int, int], NDArray[np.int64]] = {}
        self._room = max(8, _CACHE_BYTES // (8 * max(1, len(tuples.counts))))
        self._fold_bits = max(16, len(tuples.counts).bit_length() + 2)

    def evaluate(self, node: Node, limit: int) -> Evaluation | None:
        """Test every class of a node against every model.

        None if more than `limit` rows would have to be suppressed at this node and at every node below, where
        that shows without telling the classes apart: classes thrown together at random violate a steady model
        only if each of them does.
        """
        ids, slots = self._slots(node)
        if slots > max(_SLOTS, 4 * len(ids)):
            folded = self._folded(ids)
            if int(folded[self._counted(folded)[1]].sum()) > limit:
                return None
            ids, slots = dense(ids)
        sizes = np.bincount(ids, weights=self._counts, minlength=slots)
        violating, doomed = self._counted(sizes)
        if self._looking and int(sizes[doomed].sum()) <= limit:
            self._look(ids, sizes, violating, doomed)
        return Evaluation(node, ids, sizes, violating, doomed)

    def group(self, node: Node, among: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Classes of some tuples alone: the class of each, and whether each class satisfies every model."""
        keys, _ = self._slots(node, among)
        ids, number = dense(keys)
        sizes = np.bincount(ids, weights=self._counts[among], minlength=number)
        violating, doomed = self._counted(sizes)
        if self._looking and not violating.all():
            everywhere = np.full(len(self._counts), -1, dtype=np.int64)
            everywhere[among] = ids
            self._look(everywhere, sizes, violating, doomed)
        return ids, ~violating

    def _folded(self, ids: NDArray[np.int64]) -> NDArray[Any]:
        """Sizes of the classes after throwing them together by a multiplicative hash."""
        mixed = ids.astype(np.uint64) * np.uint64(_MIX) >> np.uint64(64 - self._fold_bits)
        return np.bincount(mixed.astype(np.int64), weights=self._counts)

    def _counted(self, sizes: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which slots violate the models that only count rows, and which of them do so surely."""
        partition = Partition(_NOWHERE, _NOWHERE, len(sizes), {}, self.tuples.rows, sizes)
        violating = np.zeros(len(sizes), dtype=bool)
        doomed = np.zeros(len(sizes), dtype=bool)
        for model in self._counting:
            bad = model.violates(partition)
            violating |= bad
            doomed |= bad if model.steady else model.surely_violates(partition)
        there = sizes > 0
        return violating & there, doomed & there

    def _look(
        self,
        ids: NDArray[np.int64],
        sizes: NDArray[Any],
        violating: NDArray[np.bool_],
        doomed: NDArray[np.bool_],
    ) -> None:
        """Add what the models on sensitive columns say of the classes that still stand."""
        left = (sizes > 0) & ~violating
        whole = Partition(
            ids,
            self.tuples.counts,
            len(sizes),
            self.tuples.sensitive,
            self.tuples.rows,
            sizes.astype(np.int64),
        )
        partition, places = whole.only(left), np.flatnonzero(left)
        for model in self._looking:
            if not len(places):
                return
            bad = model.violates(partition)
            violating[places[bad]] = True
            doomed[places[bad if model.steady else model.surely_violates(partition)]] = True
            if bad.any():
                partition, places = partition.only(~bad), places[~bad]

    def _slots(self, node: Node, among: NDArray[np.int64] | None = None) -> tuple[NDArray[np.int64], int]:
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

    def _half(self, half: int, node: Node) -> tuple[NDArray[np.int64], int]:
        attributes = self._halves[half]
        name = (half, tuple(node[j] for j in attributes))
        if name not in self._keys:
            if len(self._keys) >= self._room:
                self._keys.clear()
            self._keys[name] = self._combined(attributes, node)
        return self._keys[name]

    def _combined(self, attributes: Sequence[int], node: Node) -> tuple[NDArray[np.int64], int]:
        keys, slots = None, 1
        for j in attributes:
            width = len(self.tuples.hierarchies[j].labels[node[j]])
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
        return (np.zeros(len(self._counts), dtype=np.int64) if keys is None else keys), slots

    def _label(self, j: int, level: int) -> NDArray[np.int64]:
        if (j, level) not in self._labels:
            codes = self.tuples.hierarchies[j].codes[level].astype(np.int64)
            self._labels[j, level] = codes[self.tuples.codes[j]]
        return self._labels[j, level]
