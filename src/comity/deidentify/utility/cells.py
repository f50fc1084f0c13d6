"""Raw rows and released rows side by side, as a model sees them: soft features over the same columns.

Only at the provider: it holds both. A row's released cell spreads over the leaves that it covers, its raw
cell is a single leaf (see `expand`); columns that are released as they are stand in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from comity.data.classes import equivalence_classes
from comity.data.encode import Encoder
from comity.data.labels import binary_labels, positive_class
from comity.data.read import read_table
from comity.data.table import Table
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.release.expand import SoftColumn
from comity.deidentify.search.frames import Frame, label_column
from comity.deidentify.search.tuples import leaves_of
from comity.errors import UsageError
from comity.schema import Column, Role, Schema

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

PLAIN_BINS = 16
MOST_LEVELS = 1_000
_FEW_ATOMS = 16


@dataclass(frozen=True)
class Cells:
    """Rows of a source table as soft features, whatever is released of them.

    Attributes:
        columns: the quasi-identifiers.
        plain: the columns released as they are, binned.
        leaves: (rows, quasi-identifiers) rows of `SoftColumn.weights`: the raw leaf.
        coded: (rows, plain columns) codes.
        labels: (rows,) 0 or 1.
        target, positive: the column to learn, and its value that counts as 1.
    """

    columns: tuple[SoftColumn, ...]
    plain: Encoder
    leaves: NDArray[np.int64]
    coded: NDArray[np.uint16]
    labels: NDArray[np.uint8]
    target: str
    positive: str

    @classmethod
    def of(
        cls,
        frame: Any,
        hierarchies: Mapping[str, Hierarchy],
        target: str,
        *,
        features: Sequence[str] = (),
        positive: str | None = None,
    ) -> Self:
        """Code a source table.

        Args:
            hierarchies: of the quasi-identifiers, as applied.
            features: columns released as they are that the model may learn from. Text columns with more than
                1,000 values are left out: a model would learn them by heart.
            positive: the target's value that counts as 1; by default the rarer of two.

        Raises:
            UsageError: if the target is a quasi-identifier.
            BadTable: if the target has not two values, or is missing in a row.
        """
        if target in hierarchies:
            raise UsageError(
                f"'{target}' is a quasi-identifier, so it is generalised itself: nothing can be learned of "
                "it. Give it the role target in the schema, or name another column"
            )
        table = frame if isinstance(frame, Table) else read_table(frame)
        chosen = positive_class(table, target, positive)
        read = Frame(frame, {name: hierarchy.texts for name, hierarchy in hierarchies.items()})
        columns, leaves = [], []
        for name, hierarchy in hierarchies.items():
            found, whole = leaves_of(read.coded(name), hierarchy, name)
            columns.append(_soft(name, whole))
            leaves.append(found.astype(np.int64))
        plain = _plain(table, [name for name in features if name not in hierarchies and name != target])
        return cls(
            columns=tuple(columns),
            plain=plain,
            leaves=np.stack(leaves, axis=1) if leaves else np.zeros((table.rows, 0), np.int64),
            coded=plain.codes(table),
            labels=binary_labels(table, target, chosen).values,
            target=target,
            positive=chosen,
        )

    def under(self, hierarchies: Mapping[str, Hierarchy]) -> Self:
        """The same rows under other hierarchies with the same leaves in the same order."""
        columns = tuple(_soft(column.name, hierarchies[column.name]) for column in self.columns)
        return replace(self, columns=columns)

    @property
    def rows(self) -> int:
        return len(self.labels)

    def released(self, frame: Any) -> NDArray[np.int64]:
        """(rows, quasi-identifiers) rows of `SoftColumn.weights` that a released frame shows, row by row."""
        read = Frame(frame)
        return np.stack([shown_places(read, column) for column in self.columns], axis=1)

    def at_levels(self, levels: Sequence[int]) -> NDArray[np.int64]:
        """(rows, quasi-identifiers) rows of `SoftColumn.weights` with one level per quasi-identifier."""
        found = [
            place_at(column, level)[self.leaves[:, j]]
            for j, (column, level) in enumerate(zip(self.columns, levels, strict=True))
        ]
        return np.stack(found, axis=1)

    def distinct(
        self, shown: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> tuple[csr_matrix, NDArray[np.int64]]:
        """The distinct feature rows among `rows`, and for each of `rows` which of them it is.

        Args:
            shown: (rows of the table, quasi-identifiers), of `leaves`, `released` or `at_levels`.
        """
        from scipy.sparse import csr_matrix, hstack

        codes, coded = shown[rows], self.coded[rows]
        index, sizes = equivalence_classes(np.concatenate([codes, coded.astype(np.int64)], axis=1))
        first = np.empty(len(sizes), dtype=np.int64)
        first[index[::-1]] = np.arange(len(index) - 1, -1, -1)
        parts = [csr_matrix(column.weights)[codes[first, j]] for j, column in enumerate(self.columns)]
        whole = hstack([*parts, self.plain.onehot(coded[first])], format="csr", dtype=np.float64)
        return csr_matrix(whole), index


def _soft(name: str, hierarchy: Hierarchy) -> SoftColumn:
    """The column as a recipient sees it; finer where that would hide from the raw model what it knows."""
    column = SoftColumn.of(name, hierarchy)
    finer = [level for level in range(column.base) if len(column.hierarchy.labels[level]) <= MOST_LEVELS]
    if column.width < _FEW_ATOMS and finer:
        return SoftColumn(name, column.hierarchy, finer[-1])
    return column


def place_at(column: SoftColumn, level: int) -> NDArray[np.int64]:
    """For each leaf, the row of `SoftColumn.weights` that holds its label at a level."""
    # the last rows of `weights`: all labels of this level and of those above, then "*"
    after = 1 + sum(len(labels) for labels in column.hierarchy.labels[level:])
    return len(column.weights) - after + column.hierarchy.codes[level].astype(np.int64)


def shown_places(frame: Frame, column: SoftColumn) -> NDArray[np.int64]:
    """(rows,) rows of `SoftColumn.weights` that a released column shows."""
    import pyarrow as pa

    coded = frame.coded(column.name)
    texts = label_column(coded.codes, [None if value is None else str(value) for value in coded.values])
    return column.codes(Table(pa.table({column.name: texts})))


def _plain(table: Table, names: Sequence[str]) -> Encoder:
    """Bins and levels of the columns released as they are. They are the provider's own, and stay there."""
    kinds = {name: Column(role=Role.insensitive, type=table.type(name)) for name in names}
    used = [
        name for name in names if kinds[name].type.is_numeric or len(table.levels(name)[1]) <= MOST_LEVELS
    ]
    if not used:
        return Encoder(())
    schema = Schema(columns={name: kinds[name] for name in used})
    return Encoder.from_features(table, schema, bins=PLAIN_BINS)
