"""Table: a provider's data in memory, typed, with nothing but values and missing values in it.

Columns are Arrow arrays of three kinds: `int64` (whole numbers), `float64` (numbers, always finite) and
`string`. A missing value is a null. Strings are stored plainly, not dictionary-encoded: a dictionary would
carry the values of rows that a selection has left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from comity.data.arrays import fixed_width, to_arrow, valid
from comity.errors import BadTable
from comity.schema import ColumnType

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Rows and named, typed columns. Immutable: every change gives a new table.

    Attributes:
        arrow: the columns; `int64`, `float64` or `string`, nulls where a value is missing.
        source: where the table came from, in words, for messages to its holder.
        path: the CSV file behind it, if rows still stand where the file has them.
        notes: by column, what the holder should know of how it was read; of some columns only.
    """

    arrow: pa.Table
    source: str = "the table"
    path: Path | None = None
    notes: Mapping[str, str] = field(default_factory=dict[str, str])

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self.arrow.column_names)

    @property
    def rows(self) -> int:
        return self.arrow.num_rows

    def __len__(self) -> int:
        return self.arrow.num_rows

    def __contains__(self, name: object) -> bool:
        return name in self.arrow.column_names

    def __repr__(self) -> str:
        return f"Table({self.rows} rows, {len(self.names)} columns, from {self.source})"

    def equals(self, other: Table) -> bool:
        """Same names, types and values in the same order; the source does not count."""
        return self.arrow.equals(other.arrow)

    def column(self, name: str) -> pa.ChunkedArray:
        """One column.

        Raises:
            BadTable: if there is none of that name; near names are offered.
        """
        if name not in self.arrow.column_names:
            raise no_such_column(name, self.names, self.source)
        return self.arrow.column(name)

    def type(self, name: str) -> ColumnType:
        """`integer`, `number` or `text`, by how it is stored; what it means is the schema's to say."""
        import pyarrow.types as kinds

        stored = self.column(name).type
        if kinds.is_integer(stored):
            return ColumnType.integer
        return ColumnType.number if kinds.is_floating(stored) else ColumnType.text

    def missing(self, name: str) -> NDArray[np.bool_]:
        """(rows,) booleans: true where the column has no value."""
        return ~valid(self.column(name))

    def numbers(self, name: str) -> NDArray[np.float64]:
        """(rows,) floats of a numeric column, NaN where missing.

        Raises:
            BadTable: if the column is text.
        """
        if not self.type(name).is_numeric:
            raise BadTable(f"{self.source}: column {name} is text where numbers are needed")
        return fixed_width(self.column(name).cast("float64", safe=False), np.nan).astype(np.float64)

    def levels(self, name: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
        """The column as (rows,) codes into its distinct values, -1 where missing.

        The distinct values are strings ("39", "0.5", "Private"), sorted by number or by code point.
        """
        codes, distinct = dictionary_codes(self.column(name))
        values = distinct.to_pylist()
        order = sorted(range(len(values)), key=values.__getitem__)
        rank = np.empty(len(values) + 1, dtype=np.int32)
        rank[order] = np.arange(len(values), dtype=np.int32)
        rank[-1] = -1
        return rank[codes], tuple(as_text(values[at]) for at in order)

    def strings(self, name: str) -> list[str | None]:
        """The column as strings, `None` where missing."""
        values = self.column(name).to_pylist()
        if self.type(name).is_numeric:
            return [None if value is None else as_text(value) for value in values]
        return values

    def select(self, names: Sequence[str]) -> Self:
        """The named columns, in the given order."""
        for name in names:
            self.column(name)
        return self._with(self.arrow.select(list(names)))

    def drop(self, names: Sequence[str]) -> Self:
        """All columns but the named ones."""
        return self._with(self.arrow.select([name for name in self.names if name not in set(names)]))

    def take(self, rows: NDArray[Any]) -> Self:
        """Some rows: (m,) indices starting at 0, or (rows,) booleans. Nothing of the other rows is kept."""
        rows = np.asarray(rows)
        if rows.dtype == np.bool_:
            rows = np.flatnonzero(rows)
        taken = self.arrow.take(to_arrow(rows.astype(np.int64)))
        return type(self)(taken, self.source, notes=self.notes)

    def with_column(self, name: str, values: pa.Array | pa.ChunkedArray) -> Self:
        """The table with one column replaced, or added at the end."""
        if name in self:
            return self._with(self.arrow.set_column(self.names.index(name), name, values))
        return self._with(self.arrow.append_column(name, values))

    def to_native(self, like: Any) -> Any:
        """The table as the kind of frame that `like` is (pandas, Polars, Arrow, DuckDB, or a `Table`)."""
        from comity.data.frames import to_native

        return to_native(self, like)

    def _with(self, arrow: pa.Table) -> Self:
        return type(self)(arrow, self.source, self.path, self.notes)


def dictionary_codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int32], pa.Array]:
    """A column as (rows,) codes into its distinct values in order of first appearance, -1 where missing."""
    import pyarrow as pa

    coded = column.dictionary_encode().unify_dictionaries()
    if coded.num_chunks == 0:
        return np.empty(0, dtype=np.int32), pa.array([], type=column.type)
    codes = [fixed_width(part.indices, -1) for part in coded.chunks]
    return np.concatenate(codes).astype(np.int32, copy=False), coded.chunk(0).dictionary


def as_text(value: object) -> str:
    """The one way a value is written as text: 39 -> "39", 0.5 -> "0.5" (the shortest that reads back)."""
    return repr(value) if isinstance(value, float) else str(value)


def no_such_column(name: str, names: Sequence[str], source: str) -> BadTable:
    """The error for a column that is not there. Column names are public, so the message is too."""
    from difflib import get_close_matches

    near = get_close_matches(str(name), names, n=3)  # from Python anything may come for a name
    offer = f"did you mean {' or '.join(near)}?" if near else f"its columns are: {', '.join(names)}"
    return BadTable(f"{source} has no column {name!r}; {offer}")


def concat_tables(tables: Sequence[Table], *, source: str | None = None) -> Table:
    """Tables with the same columns below each other.

    A column that is `integer` in one table and `number` in another becomes `number`; one that is text
    in any of them becomes text; one with no value at all in a table takes the type it has in the others.

    Raises:
        BadTable: if there is no table, or the column names differ.
    """
    import pyarrow as pa

    if not tables:
        raise BadTable("there is no table to put together; give at least one")
    names = tables[0].names
    for table in tables[1:]:
        if set(table.names) != set(names):
            odd = sorted(set(table.names) ^ set(names))
            raise BadTable(
                f"{tables[0].source} and {table.source} do not have the same columns: "
                f"{', '.join(odd)} is in one of them only; rename or remove it"
            )
    columns = {name: _joined([table.column(name) for table in tables]) for name in names}
    return Table(pa.table(columns), source or " and ".join(table.source for table in tables))


def _joined(parts: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Arrays of one column below each other, as the widest of their types."""
    import pyarrow as pa

    known = [part.type for part in parts if part.null_count < len(part)] or [parts[0].type]
    wide = max(known, key=_width)
    cast = [_widened(part, wide) for part in parts]
    return pa.chunked_array([chunk for part in cast for chunk in part.chunks], type=wide)


def _width(stored: pa.DataType) -> int:
    return ("int64", "double", "string").index(str(stored))


def _widened(part: pa.ChunkedArray, wide: pa.DataType) -> pa.ChunkedArray:
    import pyarrow as pa

    from comity.data.typed import as_strings

    if part.type == wide:
        return part
    if part.null_count == len(part):
        return pa.chunked_array([pa.nulls(len(part), type=wide)])
    return as_strings(part) if str(wide) == "string" else part.cast(wide, safe=False)
