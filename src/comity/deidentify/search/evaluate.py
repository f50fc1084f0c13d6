"""One node of the lattice: its classes, which of them violate, and what is lost below it in any case.

What a node says of the nodes below it. A class there is a part of a class here. Of a class that violates a
model here, a release below keeps at most so many rows as the model's `most_kept` says; the others are lost at
every node below. Models of the whole table add a bound of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.models.class_models import PrivacyModel
from comity.deidentify.models.partition import Partition
from comity.deidentify.models.population import CountedPopulations, require_common_levels
from comity.deidentify.models.table_models import TableModel, to_suppress
from comity.deidentify.search.keys import Keys, Node
from comity.deidentify.search.rollup import merged, stages
from comity.deidentify.search.tuples import Tuples, dense

__all__ = ["Evaluation", "Evaluator", "Node"]

_SLOTS = 65_536
_FOLDED = 5
"""Where more than one row in so many may be suppressed, throwing classes together rules out little."""
_SHARED = 12
"""Tuples are merged for the nodes that share levels once so many of them have been evaluated."""
_MERGED_BYTES = 256 * 2**20
_MIX = 0x9E3779B97F4A7C15
_NOWHERE = np.zeros(0, dtype=np.int64)


class Evaluation:
    """What a node does to the table.

    Attributes:
        least: at this node and at every node below it, at least so many rows are lost.
        suppressed: rows in classes that violate some model, or that are suppressed for a model of the whole
            table. More than the table has rows, if the node cannot satisfy the models whatever is suppressed.
    """

    def __init__(
        self,
        keys: Keys,
        node: Node,
        ids: NDArray[np.int64],
        sizes: NDArray[Any],
        violating: NDArray[np.bool_],
        lost: NDArray[np.int64],
        *,
        least: int,
        broken: bool,
    ) -> None:
        self._names: NDArray[np.int64] | None = None
        self.node = node
        self.least = least
        self._keys = keys
        self._ids = ids
        self._sizes = sizes
        self._violating = violating
        self._lost = lost
        self._broken = broken

    @cached_property
    def suppressed(self) -> int:
        if self._broken:
            return int(self._sizes.sum()) + 1
        return max(self.least, int(self._sizes[self._violating].sum()))

    @cached_property
    def lost(self) -> int:
        """Rows lost at every node below, too, as far as single classes tell: those of `lost_leaves`."""
        return int(self._lost.sum())

    def violating(self) -> NDArray[np.int64]:
        """The tuples in suppressed classes, as positions."""
        gone = self._violating[self._ids]
        return np.flatnonzero(gone if self._names is None else gone[self._names])

    def named(self, names: NDArray[np.int64]) -> Evaluation:
        """The same, for tuples that were merged: `names` has the place of each among the merged ones."""
        self._names = names if self._names is None else self._names[names]
        return self

    def remaining(self) -> NDArray[np.int64]:
        """Rows of each class that is kept."""
        return self._sizes[(self._sizes > 0) & ~self._violating].astype(np.int64)

    def suppressed_leaves(self) -> list[int]:
        """Per attribute, how many leaves the labels of the suppressed rows cover, summed over those rows."""
        gone = np.flatnonzero(self._violating)
        return self._keys.covered_at(self._one_of_each[gone], self._sizes[gone], self.node)

    @cached_property
    def _one_of_each(self) -> NDArray[np.int64]:
        """A tuple of each class."""
        one = np.zeros(len(self._sizes), dtype=np.int64)
        one[self._ids] = np.arange(len(self._ids))
        return one

    def lost_leaves(self) -> list[list[int]]:
        """Per attribute and level up to the node's, how many leaves the labels of the lost rows cover at
        most, summed over those rows. Which rows of a class are lost is not known, where only some are."""
        whole = (self._lost == self._sizes) & (self._sizes > 0)
        part = np.flatnonzero((self._lost > 0) & ~whole)
        covered = self._keys.covered(whole[self._ids], self.node)
        if len(part):
            ones = self._one_of_each[part]
            for j, most in enumerate(self._keys.most_covered(ones, self._lost[part], self.node)):
                covered[j] = [a + b for a, b in zip(covered[j], most, strict=True)]
        return covered


class Evaluator:
    """Evaluates nodes of one table."""

    def __init__(
        self,
        tuples: Tuples,
        models: Sequence[PrivacyModel],
        *,
        weighed: Callable[[], NDArray[np.float64]] | None = None,
        together: Sequence[int] = (),
        ahead: tuple[tuple[int, ...], ...] | None = None,
        room: int = _MERGED_BYTES,
    ) -> None:
        """`weighed`: `Keys.weighed`, for tuples that are merged ones already (`rollup.py`); `together`: the
        attributes that they were merged in; `ahead`: those to merge in next; `room`: bytes for that."""
        self.tuples = tuples
        self._models = models
        self._visits: dict[Node, int] = {}
        self._coarser: dict[Node, tuple[Evaluator, NDArray[np.int64]]] = {}
        self._together = tuple(together)
        self._ahead = ahead
        self._room = room
        self._table = [model for model in models if isinstance(model, TableModel)]
        of_classes = [model for model in models if not isinstance(model, TableModel)]
        self._counting = [model for model in of_classes if model.sensitive is None]
        self._looking = [model for model in of_classes if model.sensitive is not None]
        self._stand_ins = [model.stricter() for model in self._table]
        self._populations = CountedPopulations.of(models, tuples)
        self._keys = Keys(tuples, self._populations, weighed, together)
        self._rolls = not self._populations and (len(tuples.codes) > 2 if ahead is None else bool(ahead))
        self._counts = tuples.counts.astype(np.float64)
        self._fold_bits = max(16, len(tuples.counts).bit_length() + 2)
        self._steady = not self._populations and any(model.steady for model in self._counting)
        self._everywhere = any(getattr(model, "everywhere", False) for model in models)

    def evaluate(self, node: Node, limit: int, *, bounds: bool = True) -> Evaluation | None:
        """Test every class of a node against every model.

        None if more than `limit` rows would have to be suppressed at this node and at every node below, where
        that shows from the sizes of classes alone, or without telling them apart: classes thrown together at
        random violate a steady model only if each of them does.

        Args:
            bounds: whether to work out what is lost at the nodes below; if not, nothing is said to be.
        """
        coarser = self._rolled_up(node)
        if coarser is not None:
            found = coarser[0].evaluate(node, limit, bounds=bounds)
            return None if found is None else found.named(coarser[1])
        ids, slots = self._keys.slots(node)
        if slots > max(_SLOTS, 4 * len(ids)):
            seldom = _FOLDED * limit > self.tuples.rows
            if self._steady and not seldom and self._folded_too_small(ids) > limit:
                return None
            ids, slots = dense(ids)
        populations = self._populations.counted(ids, slots)
        ids = ids[: len(self._counts)]
        sizes = np.bincount(ids, weights=self._counts, minlength=slots)
        there = np.flatnonzero(sizes) if not populations else _NOWHERE
        packed = 0 < len(there) < slots
        if packed:
            sizes = sizes[there]
        violating, lost = self._counted(sizes, populations)
        if int(lost.sum()) > limit:
            return None
        if packed:
            names = np.empty(slots, dtype=np.int64)
            names[there] = np.arange(len(there))
            ids = names[ids]
        if self._looking:
            self._look(ids, sizes, violating, lost, bounds=bounds)
        return self._whole(node, ids, sizes, violating, lost, populations, limit)

    def group(self, node: Node, among: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Classes of some tuples alone: the class of each, and whether each class satisfies every model.

        For levels that differ by class. A model of the whole table is replaced by a stricter one of classes.

        Raises:
            UsageError: if a model compares with a population, whose rows have no class then.
        """
        require_common_levels(self._populations)
        keys, _ = self._keys.slots(node, among)
        ids, number = dense(keys)
        sizes = np.bincount(ids, weights=self._counts[among], minlength=number)
        violating, lost = self._counted(sizes, {}, self._stand_ins)
        if self._looking and not violating.all():
            everywhere = np.full(len(self._counts), -1, dtype=np.int64)
            everywhere[among] = ids
            self._look(everywhere, sizes, violating, lost)
        return ids, ~violating

    def _rolled_up(self, node: Node) -> tuple[Evaluator, NDArray[np.int64]] | None:
        """Merged tuples to evaluate a node on, once enough nodes could share them; None otherwise."""
        if not self._rolls:
            return None
        done, enough = self._merging
        base = tuple(level if j in done else 0 for j, level in enumerate(node))
        if base not in self._coarser:
            self._visits[base] = self._visits.get(base, 0) + 1
            if self._visits[base] < min(_SHARED, enough) or self._room <= 0:
                return None
            coarse = merged(self.tuples, self._keys.slots(base)[0])
            levels = sum(hierarchy.levels for hierarchy in self.tuples.hierarchies)
            taken = 16 * (len(coarse.tuples.counts) * levels + len(coarse.names))
            self._room -= taken
            evaluator = Evaluator(
                coarse.tuples,
                self._models,
                weighed=lambda: coarse.added(self._keys.weighed),
                together=done,
                ahead=self._stages[1:],
                room=taken,
            )
            self._coarser[base] = evaluator, coarse.names
        return self._coarser[base]

    @cached_property
    def _stages(self) -> tuple[tuple[int, ...], ...]:
        return stages(self.tuples) if self._ahead is None else self._ahead

    @cached_property
    def _merging(self) -> tuple[tuple[int, ...], int]:
        """The attributes that the next merged tuples are merged in, and after how many visits that pays."""
        done = (*self._together, *self._stages[0])
        levels = [h.levels for j, h in enumerate(self.tuples.hierarchies) if j not in done]
        return done, max(1, math.prod(levels) // 3)

    def _folded_too_small(self, ids: NDArray[np.int64]) -> int:
        """Rows lost after throwing classes together by a multiplicative hash."""
        mixed = ids.astype(np.uint64) * np.uint64(_MIX) >> np.uint64(64 - self._fold_bits)
        mixed = mixed.view(np.int64)
        folded = np.bincount(mixed, weights=self._counts)
        if len(folded) > 2 * len(mixed) and all(model.steady for model in self._counting):
            # tuples stand for their classes: fewer than there are slots
            bad = self._counted(folded[mixed], {})[0]
            return int(self._counts[bad].sum())
        return int(self._counted(folded, {})[1].sum())

    def _counted(
        self,
        sizes: NDArray[Any],
        populations: Mapping[int, NDArray[np.int64]],
        more: Sequence[PrivacyModel] = (),
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which slots violate the models that only count rows, and how many of their rows are lost below."""
        partition = Partition(_NOWHERE, _NOWHERE, len(sizes), {}, self.tuples.rows, sizes, populations)
        models = (*self._counting, *more)
        if len(models) == 1 and models[0].steady:
            violating = models[0].violates(partition) & (sizes > 0)
            return violating, (sizes * violating).astype(np.int64)
        there = sizes > 0
        violating = np.zeros(len(sizes), dtype=bool)
        lost = np.zeros(len(sizes), dtype=np.int64)
        for model in models:
            bad = model.violates(partition) & there
            violating |= bad
            if model.steady:
                np.copyto(lost, sizes, where=bad, casting="unsafe")
            elif bad.any():
                gone = sizes[bad].astype(np.int64) - model.most_kept(partition.only(bad))
                lost[bad] = np.maximum(lost[bad], gone)
        return violating, lost

    def _look(
        self,
        ids: NDArray[np.int64],
        sizes: NDArray[Any],
        violating: NDArray[np.bool_],
        lost: NDArray[np.int64],
        *,
        bounds: bool = False,
    ) -> None:
        """Add what the models on sensitive columns say of the classes that still stand."""
        left = (sizes > 0) & ~violating
        places = np.flatnonzero(left)
        if not len(places):
            return
        whole = Partition(
            ids, self.tuples.counts, len(sizes), self.tuples.sensitive, self.tuples.rows,
            sizes.astype(np.int64),
        )  # fmt: skip
        partition = whole.only(left)
        for model in self._looking:
            bad = model.violates(partition)
            if not bad.any():
                continue
            violating[places[bad]] = True
            if bounds:
                worse = partition.only(bad)
                gone = worse.sizes if model.steady else worse.sizes - model.most_kept(worse)
                lost[places[bad]] = np.maximum(lost[places[bad]], gone)

    def _whole(
        self,
        node: Node,
        ids: NDArray[np.int64],
        sizes: NDArray[Any],
        violating: NDArray[np.bool_],
        lost: NDArray[np.int64],
        populations: Mapping[int, NDArray[np.int64]],
        limit: int,
    ) -> Evaluation:
        """Add what the models of the whole table say."""
        least, rows, stays = int(lost.sum()), self.tuples.rows, bool(violating.any())
        if self._table and least <= limit:
            there = sizes > 0
            kept = sizes[there].astype(np.int64) - lost[there]
            least = max([least, *(rows - model.most_rows(kept) for model in self._table)])
            if least <= limit:
                violating |= to_suppress(self._table, ids, sizes, there & ~violating)
        if stays and limit == 0:
            least = max(least, 1)  # classes that satisfy, merged, satisfy: some class below violates too
        missing = self._everywhere and self._populations.missing(sizes, populations)
        broken = missing or (self._everywhere and bool(violating.any()))
        if missing or (broken and stays):
            least = rows + 1  # for the same reason
        return Evaluation(self._keys, node, ids, sizes, violating, lost, least=least, broken=broken)
