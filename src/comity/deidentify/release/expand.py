"""Soft features: a generalised cell is a distribution over the leaves that it covers.

For the ML party. Tables from several providers, generalised to different levels (or to levels that differ by
row), become one matrix over the same columns: each released label spreads its weight evenly over the leaves
it covers. A model trained on it predicts on raw rows, whose cells are single leaves. Everything here is
public: hierarchies come with the manifest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from comity.data.classes import equivalence_classes
from comity.data.encode import Encoder
from comity.deidentify.hierarchies.hierarchy import Hierarchy, Label, shown
from comity.errors import BadTable, UsageError
from comity.schema import Schema

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

    from comity.data import Table

MOST_ATOMS = 64
"""A hierarchy with more leaves is cut at the lowest level with at most this many labels."""
SUPPRESSED = "*"


@dataclass(frozen=True)
class SoftColumn:
    """One generalised column: atoms (leaves, or bins of them), and each label's weights over the atoms.

    Attributes:
        base: the hierarchy's level whose labels are the atoms; 0 where leaves are few enough.
    """

    name: str
    hierarchy: Hierarchy
    base: int

    @classmethod
    def of(cls, name: str, hierarchy: Hierarchy, most: int = MOST_ATOMS) -> Self:
        whole = hierarchy.with_missing()
        fitting = [level for level, labels in enumerate(whole.labels) if len(labels) <= most]
        return cls(name, whole, fitting[0] if fitting else whole.levels - 1)

    @property
    def width(self) -> int:
        return len(self.hierarchy.labels[self.base])

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """(codes, atoms) weights, rows sum to one: one row per leaf, per label of each level, and for "*"."""
        atoms = self.hierarchy.codes[self.base]
        leaves = np.zeros((len(atoms), self.width), dtype=np.float32)
        leaves[np.arange(len(atoms)), atoms] = 1.0
        rows = [leaves]
        for codes, labels in zip(self.hierarchy.codes, self.hierarchy.labels, strict=True):
            sums = np.zeros((len(labels), self.width))
            np.add.at(sums, codes, leaves)
            rows.append(sums / sums.sum(axis=1, keepdims=True))
        rows.append(leaves.mean(axis=0, keepdims=True))
        return np.concatenate(rows).astype(np.float32)

    @cached_property
    def _place(self) -> Mapping[Label, int]:
        """Label to row of `weights`; a text that is a leaf and a label reads as the leaf."""
        places: dict[Label, int] = {SUPPRESSED: len(self.weights) - 1}
        start = len(self.hierarchy.rows)
        for labels in self.hierarchy.labels:
            for number, label in enumerate(labels):
                places.setdefault(label, start + number)
            start += len(labels)
        return places

    def codes(self, table: Table) -> NDArray[np.int64]:
        """(rows,) rows of `weights`.

        Raises:
            BadTable: naming values that are neither a label of the hierarchy nor a value it holds.
        """
        found, levels = table.levels(self.name)
        values: list[Label] = [*levels, None]
        raw = self.hierarchy.locate(values)
        places = [self._place.get(value, leaf) for value, leaf in zip(values, raw, strict=True)]
        if min(places) < 0:
            odd = [str(value) for value, place in zip(values, places, strict=True) if place < 0]
            raise BadTable(f"the hierarchy of '{self.name}' has no label or value for {shown(odd)}")
        return np.array(places, dtype=np.int64)[found]


@dataclass(frozen=True)
class SoftEncoder:
    """Features of released and of raw rows, over the same columns.

    Attributes:
        soft: the generalised columns.
        plain: the columns that were released as they are, binned.
    """

    soft: tuple[SoftColumn, ...]
    plain: Encoder

    @classmethod
    def from_manifests(
        cls,
        manifests: Sequence[Mapping[str, Any]],
        schema: Schema,
        *,
        bins: int = 16,
        most_atoms: int = MOST_ATOMS,
    ) -> Self:
        """From the manifests of all releases that are to be trained on together, and the public schema.

        Columns released as they are need public bounds or levels in the schema.

        Raises:
            UsageError: if there is no manifest, labels are opaque, or hierarchies differ between releases in
                more than a leaf for missing values.
        """
        if not manifests:
            raise UsageError("give the manifest of at least one release")
        columns = []
        for name in manifests[0]["quasi_identifiers"]:
            entries = [m["quasi_identifiers"][name]["hierarchy"] for m in manifests]
            if any(entry.get("opaque") is True for entry in entries):
                raise UsageError(
                    f"the labels of '{name}' are opaque: which leaves a letter covers is the provider's "
                    "secret. Train on the letters as categories; the provider maps the rows to predict on"
                )
            trees = [Hierarchy.from_dict(entry).with_missing() for entry in entries]
            if any(tree != trees[0] for tree in trees):
                raise UsageError(f"the releases have different hierarchies for '{name}': agree on one")
            columns.append(SoftColumn.of(name, trees[0], most_atoms))
        generalised = {column.name for column in columns}
        plain = [
            name for name in schema.features if name not in generalised and name in manifests[0]["columns"]
        ]
        return cls(tuple(columns), Encoder.from_schema(schema, bins=bins, names=plain))

    @property
    def width(self) -> int:
        """Number of columns of the matrix."""
        return sum(column.width for column in self.soft) + self.plain.width

    @property
    def labels(self) -> tuple[str, ...]:
        """(width,) a word for each column of the matrix."""
        soft = tuple(
            f"{column.name}: {'missing' if label is None else label}"
            for column in self.soft
            for label in column.hierarchy.labels[column.base]
        )
        return soft + self.plain.labels

    def matrix(self, table: Table) -> csr_matrix:
        """(rows, width) float32 features; the weights of one column's cells sum to one."""
        distinct, index = self.distinct(table)
        return distinct[index]

    def distinct(self, table: Table) -> tuple[csr_matrix, NDArray[np.int64]]:
        """The distinct rows of the matrix, and for each row of the table which of them it is.

        A release has far fewer distinct rows than rows: train on these with counts as weights.
        """
        from scipy.sparse import csr_matrix, hstack

        codes = np.stack([column.codes(table) for column in self.soft], axis=1)
        coded = self.plain.codes(table)
        index, sizes = equivalence_classes(np.concatenate([codes, coded.astype(np.int64)], axis=1))
        first = np.empty(len(sizes), dtype=np.int64)
        first[index[::-1]] = np.arange(len(index) - 1, -1, -1)
        parts = [csr_matrix(column.weights)[codes[first, j]] for j, column in enumerate(self.soft)]
        return csr_matrix(
            hstack([*parts, self.plain.onehot(coded[first])], format="csr", dtype=np.float32)
        ), index
