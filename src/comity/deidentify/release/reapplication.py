"""Generalise new rows as a release was: by its common levels, or by the classes that it shows.

With levels that differ by row there is no rule per column. The rules are then the released classes
themselves: each distinct combination of released labels is one, and nothing else of the table is needed, so
exporting them says no more than the release. A new row takes the class that covers it with the least loss; a
row that none covers is suppressed. The original rows need not get the class they were given: several may
cover a row, and which of them it was in depended on the other rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from comity.data.table import Table
from comity.deidentify.hierarchies.hierarchy import Hierarchy, Label
from comity.deidentify.release.manifest import entries_of
from comity.deidentify.search.frames import code_column, label_column
from comity.deidentify.search.tuples import SUPPRESSED, combine, leaves_of
from comity.errors import BadTable, UsageError

if TYPE_CHECKING:
    import pyarrow as pa


def reapply(table: Table, manifest: Mapping[str, Any], *, release: Table | None = None) -> Table:
    """Generalise new rows as a release was.

    Args:
        table: rows with raw quasi-identifiers; other columns stay as they are.
        release: the released table; needed, and used, only where levels differ by row (method "local").

    Raises:
        BadTable: naming values that a hierarchy does not hold, or labels of the release that it does not.
        BadInput: if it is no manifest, or labels are opaque.
        UsageError: if levels differ by row and no release is given.
    """
    entries = entries_of(manifest)
    trees, leaves = {}, {}
    for name, entry in entries.items():
        found, tree = leaves_of(
            code_column(table.column(name)), Hierarchy.from_dict(entry["hierarchy"]), name
        )
        trees[name], leaves[name] = tree, found
    if all(entry["level"] is not None for entry in entries.values()):
        for name, entry in entries.items():
            table = table.with_column(name, _at(trees[name], leaves[name], entry["level"]))
        return table
    if release is None:
        raise UsageError(
            "this release has levels that differ by row: give the released table as release=, whose classes "
            "are the rules, or train on soft features instead"
        )
    shown = _by_classes(trees, leaves, _Classes.of(release, trees))
    for name, (codes, labels) in shown.items():
        table = table.with_column(name, label_column(codes, labels))
    return table


def _at(tree: Hierarchy, leaves: NDArray[np.int32], level: int) -> pa.ChunkedArray:
    return label_column(tree.codes[level][leaves], tree.labels[level])


class _Classes:
    """The distinct label combinations of a release: per level vector, codes of labels at these levels."""

    def __init__(self, levels: NDArray[np.int64], codes: NDArray[np.int64]) -> None:
        self.levels = levels
        self.codes = codes

    @classmethod
    def of(cls, release: Table, trees: Mapping[str, Hierarchy]) -> _Classes:
        found = [_places(release, name, tree) for name, tree in trees.items()]
        levels = np.stack([level for level, _ in found], axis=1)
        codes = np.stack([code for _, code in found], axis=1)
        both = np.unique(np.concatenate([levels, codes], axis=1), axis=0)
        return cls(both[:, : len(trees)], both[:, len(trees) :])


def _places(release: Table, name: str, tree: Hierarchy) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Per released row, the lowest level that has its label, and the label's place there."""
    known: dict[Label, tuple[int, int]] = {}
    for level, labels in enumerate(tree.labels):
        for code, label in enumerate(labels):
            known.setdefault(label, (level, code))
    codes, texts = release.levels(name)
    values: list[Label] = [*texts, None]
    odd = [value for value in values if value not in known and (value is not None or (codes < 0).any())]
    if odd:
        raise BadTable(f"the release holds {odd[0]!r} in '{name}', which is no label of its hierarchy")
    places = np.array([known.get(value, (-1, -1)) for value in values], dtype=np.int64)
    return places[codes, 0], places[codes, 1]


def _by_classes(
    trees: Mapping[str, Hierarchy], leaves: Mapping[str, NDArray[np.int32]], classes: _Classes
) -> dict[str, tuple[NDArray[np.int64], Sequence[Label]]]:
    """For each column the labels of the least costly class that covers each row, else suppressed."""
    names = list(trees)
    rows = len(leaves[names[0]])
    extents = [max(len(labels) for labels in trees[name].labels) for name in names]
    best = np.full(rows, np.inf)
    chosen = np.full((rows, len(names)), -1, dtype=np.int64)
    for node in np.unique(classes.levels, axis=0):
        mine = classes.codes[(classes.levels == node).all(axis=1)]
        at = np.stack(
            [
                trees[name].codes[level][leaves[name]].astype(np.int64)
                for name, level in zip(names, node, strict=True)
            ],
            axis=1,
        )
        keys, _ = combine([*np.concatenate([mine, at]).T], extents)
        cost = sum(
            (trees[name].covered[level][leaves[name]] - 1) / max(1, len(trees[name].rows) - 1)
            for name, level in zip(names, node, strict=True)
        )
        better = np.isin(keys[len(mine) :], keys[: len(mine)]) & (cost < best)
        best[better] = np.asarray(cost)[better]
        chosen[better] = node
    shown: dict[str, tuple[NDArray[np.int64], Sequence[Label]]] = {}
    for j, name in enumerate(names):
        tree = trees[name]
        labels = [label for of_level in tree.labels for label in of_level]
        starts = np.cumsum([0, *(len(of_level) for of_level in tree.labels)])
        codes = np.full(rows, len(labels), dtype=np.int64)
        there = chosen[:, j] >= 0
        level = chosen[there, j]
        codes[there] = starts[level] + np.stack(tree.codes)[level, leaves[name][there]]
        shown[name] = (codes, [*labels, SUPPRESSED])
    return shown
