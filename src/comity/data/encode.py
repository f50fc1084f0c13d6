"""Encoder: columns as bin codes, from public facts only.

Every column becomes one small integer per row: 0 where the value is missing, then its bins or levels, then
(for categories) one code for every other level. What an encoder holds (edges, levels) goes into agreements
and models, so it is made from public facts: a schema's bounds and levels (`from_schema`), or features that
are public to the party that makes it (`from_features`). It never sees labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from comity.data.bins import equal_width_edges, kept_levels, quantile_edges
from comity.data.table import Table
from comity.errors import BadInput, BadSchema
from comity.schema import Schema

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from scipy.sparse import csr_matrix

MISSING_CODE = 0
FORMAT = 1


@dataclass(frozen=True)
class BinnedColumn:
    """A numeric column cut at `edges` (ascending, finite): bin i holds edges[i-1] <= value < edges[i].

    Codes: 0 missing, 1 below the first edge, ... len(edges) + 1 at or above the last.
    """

    name: str
    edges: tuple[float, ...]

    def __post_init__(self) -> None:
        finite = all(np.isfinite(edge) for edge in self.edges)
        if not finite or any(one >= two for one, two in pairwise(self.edges)):
            raise BadInput(f"the edges of {self.name} are finite numbers in ascending order")

    @property
    def width(self) -> int:
        """Number of codes, the missing one included."""
        return len(self.edges) + 2

    @property
    def labels(self) -> tuple[str, ...]:
        """A word for each code."""
        if not self.edges:
            return ("missing", "any")
        middle = (f"{low:g} to {high:g}" for low, high in pairwise(self.edges))
        return ("missing", f"below {self.edges[0]:g}", *middle, f"from {self.edges[-1]:g}")

    def codes(self, table: Table) -> NDArray[np.uint16]:
        numbers = table.numbers(self.name)
        codes = np.searchsorted(np.asarray(self.edges), numbers, side="right") + 1
        return np.where(np.isnan(numbers), MISSING_CODE, codes).astype(np.uint16)


@dataclass(frozen=True)
class LevelColumn:
    """A category: code 0 missing, then one for each of `levels`, then one for every other level."""

    name: str
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(set(self.levels)) != len(self.levels):
            raise BadInput(f"the levels of {self.name} hold one twice")

    @property
    def width(self) -> int:
        """Number of codes, the missing and the other one included."""
        return len(self.levels) + 2

    @property
    def labels(self) -> tuple[str, ...]:
        """A word for each code."""
        return ("missing", *self.levels, "other")

    def codes(self, table: Table) -> NDArray[np.uint16]:
        codes, found = table.levels(self.name)
        place = {level: at for at, level in enumerate(self.levels, start=1)}
        other = len(self.levels) + 1
        lookup = np.array([*(place.get(level, other) for level in found), MISSING_CODE], dtype=np.uint16)
        return lookup[codes]


@dataclass(frozen=True)
class Encoder:
    """The codes of several columns, in order. Immutable; `to_dict` is its JSON form."""

    columns: tuple[BinnedColumn | LevelColumn, ...]

    def __post_init__(self) -> None:
        for column in self.columns:
            if column.width > np.iinfo(np.uint16).max:
                raise BadInput(
                    f"column {column.name} has {column.width} codes, at most 65,535 fit: merge levels"
                )

    @classmethod
    def from_schema(cls, schema: Schema, *, bins: int = 16, names: Sequence[str] | None = None) -> Self:
        """Cut numeric columns into `bins` bins of equal width from `min` to `max`; take the schema's levels.

        Nothing but the schema is used, so this is the encoder for features that are private to a provider.

        Raises:
            BadSchema: naming the columns that lack `min` and `max`, or `values`.
        """
        made: list[BinnedColumn | LevelColumn] = []
        lacking = []
        for name in schema.features if names is None else names:
            column = schema[name]
            if column.type.is_numeric and column.min is not None and column.max is not None:
                made.append(BinnedColumn(name, equal_width_edges(column.min, column.max, bins)))
            elif not column.type.is_numeric and column.values is not None:
                made.append(LevelColumn(name, column.values))
            else:
                lacking.append(f"{name} ({'min and max' if column.type.is_numeric else 'values'})")
        if lacking:
            raise BadSchema(f"private features need public bounds; add to the schema: {', '.join(lacking)}")
        return cls(tuple(made))

    @classmethod
    def from_features(
        cls,
        table: Table,
        schema: Schema,
        *,
        bins: int = 16,
        method: Literal["quantile", "width"] = "quantile",
        minimum: int = 20,
        names: Sequence[str] | None = None,
    ) -> Self:
        """Cut at quantiles (or equal widths) of features, and take their levels.

        Only for features that are public to whoever makes the encoder and to whoever gets it.

        Args:
            table: the features.
            schema: types; its `values`, where given, are taken whole instead of the levels in the table.
            bins: at most this many per numeric column.
            method: `quantile` spreads rows evenly; a value that fills a bin by itself gets its own.
            minimum: rows; levels with fewer go to the other level, bins with fewer are not made.
            names: columns to encode; by default the schema's features.
        """
        made: list[BinnedColumn | LevelColumn] = []
        for name in schema.features if names is None else names:
            if schema[name].type.is_numeric:
                numbers = table.numbers(name)
                known = numbers[~np.isnan(numbers)]
                if method == "quantile" or not len(known):
                    edges = quantile_edges(known, bins, minimum)
                else:
                    edges = equal_width_edges(float(known.min()), float(known.max()), bins)
                made.append(BinnedColumn(name, edges))
            else:
                made.append(
                    LevelColumn(name, schema[name].values or kept_levels(*table.levels(name), minimum))
                )
        return cls(tuple(made))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @cached_property
    def widths(self) -> NDArray[np.int64]:
        """(d,) number of codes of each column."""
        return np.array([column.width for column in self.columns], dtype=np.int64)

    @cached_property
    def offsets(self) -> NDArray[np.int64]:
        """(d + 1,) where each column starts in the one-hot matrix; the last entry is its width."""
        return np.concatenate([[0], np.cumsum(self.widths)]).astype(np.int64)

    @property
    def width(self) -> int:
        """Number of columns of the one-hot matrix."""
        return int(self.offsets[-1])

    @property
    def labels(self) -> tuple[str, ...]:
        """(width,) a word for each column of the one-hot matrix: "age: 30 to 35"."""
        return tuple(f"{column.name}: {label}" for column in self.columns for label in column.labels)

    @property
    def ordered(self) -> tuple[bool, ...]:
        """(d,) whether a column's codes from 1 on are in the order of a number."""
        return tuple(isinstance(column, BinnedColumn) for column in self.columns)

    def codes(self, table: Table) -> NDArray[np.uint16]:
        """(rows, d) codes, column-major.

        Raises:
            BadTable: if a column is missing, or is text where the encoder expects numbers.
        """
        coded = np.empty((table.rows, len(self.columns)), dtype=np.uint16, order="F")
        for at, column in enumerate(self.columns):
            coded[:, at] = column.codes(table)
        return coded

    def onehot(self, codes: NDArray[np.uint16]) -> csr_matrix:
        """(rows, width) one-hot matrix of codes, float32, d ones per row."""
        from scipy.sparse import csr_matrix

        rows, columns = codes.shape
        at = (codes + self.offsets[:-1].astype(np.int32)).astype(np.int32)
        starts = np.arange(rows + 1, dtype=np.int64) * columns
        ones = np.ones(rows * columns, dtype=np.float32)
        return csr_matrix((ones, np.ascontiguousarray(at).ravel(), starts), shape=(rows, self.width))

    def dense(self, codes: NDArray[np.uint16]) -> NDArray[np.float32]:
        """(rows, width) one-hot matrix of codes as a dense float32 array."""
        return self.onehot(codes).toarray()

    def to_dict(self) -> dict[str, Any]:
        """The JSON form; canonicalises to the same bytes on every machine."""
        columns = [
            {"name": column.name, "edges": list(column.edges)}
            if isinstance(column, BinnedColumn)
            else {"name": column.name, "levels": list(column.levels)}
            for column in self.columns
        ]
        return {"format": FORMAT, "columns": columns}

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """Read the JSON form.

        Raises:
            BadInput: for anything that `to_dict` does not write.
        """
        try:
            if set(document) != {"format", "columns"} or document["format"] != FORMAT:
                raise BadInput(f"an encoder's document has format {FORMAT} and columns")
            return cls(tuple(_column_from_dict(column) for column in document["columns"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadInput(f"this is not an encoder's document: {error}") from None


def _column_from_dict(document: Mapping[str, Any]) -> BinnedColumn | LevelColumn:
    keys = set(document)
    if keys == {"name", "edges"} and isinstance(document["name"], str):
        return BinnedColumn(document["name"], tuple(float(edge) for edge in document["edges"]))
    if keys == {"name", "levels"} and isinstance(document["name"], str):
        if not all(isinstance(level, str) for level in document["levels"]):
            raise BadInput(f"the levels of {document['name']} are strings")
        return LevelColumn(document["name"], tuple(document["levels"]))
    raise BadInput("an encoder's column has a name and either edges or levels")
