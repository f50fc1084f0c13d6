"""A frame without a schema: types as its columns are stored, and every value read by itself.

Nothing here is decided by values, since one record more could decide otherwise. What kind a column is stored
as (whole numbers, numbers, dates) is public. A column that has no such kind, objects and nulls, holds
categories, whatever is in it, each value written as text by itself (`comity.data.declared`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from comity.data.arrays import to_arrow
from comity.data.column import floats
from comity.data.declared import collected, column_names, declared_column, declared_table
from comity.data.table import Table
from comity.data.typed import MISSING
from comity.errors import BadTable, UsageError
from comity.schema import Column, ColumnType, Role, Schema

if TYPE_CHECKING:
    import pyarrow as pa

_DATES = ("Date", "Datetime", "Duration", "Time")
_NESTED = ("Array", "List", "Map", "Struct")


def stored_types(frame: Any) -> Schema:
    """The types that a frame's columns are stored as: whole numbers, numbers, and categories for all else.

    Raises:
        BadTable: if a column is stored as dates or lists, or two have one name (public).
        UsageError: for what is no frame.
    """
    refuse_dates(frame)
    columns: dict[str, Column] = {}
    for name, stored in _stored(frame).items():
        kind = ColumnType.category
        if stored.is_integer():
            kind = ColumnType.integer
        elif stored.is_float() or stored.is_decimal():
            kind = ColumnType.number
        elif type(stored).__name__ in _NESTED:
            raise BadTable(
                f"the column '{name}' is stored as {stored}, which is not one plain value per row; split it "
                "into columns of numbers or text, or leave it out",
                private=False,
            )
        columns[name] = Column(role=Role.insensitive, type=kind)
    return Schema(columns=columns)


def refuse_dates(frame: Any, known: Schema | None = None) -> None:
    """Refuse columns that are stored as dates or times: as categories they would come back empty.

    Args:
        known: columns with public values in it may be dates; those that it does not name are not asked for.

    Raises:
        BadTable: naming the column (public).
    """
    for name, stored in _stored(frame).items():
        if known is not None and (
            name not in known or known[name].values is not None or known[name].role is Role.identifier
        ):
            continue
        if type(stored).__name__ in _DATES:
            raise BadTable(
                f"the column '{name}' holds dates or times, hardly any of which recurs often enough to come "
                "through the noise; make it a year or a number of days, name its values in a schema, or "
                "leave it out",
                private=False,
            )


def rows_by_type(frame: Any, types: Schema) -> Table:
    """The rows, each value read by itself: numbers, missing where not finite; else texts.

    Texts are stripped of blanks around them; empty ones, `?` and `NA` are missing, as in every table.

    Args:
        types: of `stored_types`.
    """
    import pyarrow as pa

    frame = collected(frame)
    texts = [name for name in types if not types[name].type.is_numeric]
    words = declared_table(frame, dict.fromkeys(texts, False))
    columns: dict[str, Any] = {}
    for name in types:
        if name in words:
            columns[name] = _stripped(words.column(name))
            continue
        numbers = floats(declared_column(frame, name), f"the column '{name}' is")
        missing = ~np.isfinite(numbers)
        columns[name] = to_arrow(np.where(missing, 0.0, numbers), missing)
    return Table(pa.table(columns), words.source)


def _stripped(words: pa.ChunkedArray) -> pa.ChunkedArray:
    import pyarrow as pa
    import pyarrow.compute

    pc: Any = pyarrow.compute  # its functions are made when it is imported, which type checkers do not see
    bare = pc.utf8_trim_whitespace(words.cast(pa.string()))
    return pc.if_else(pc.is_in(bare, pa.array(MISSING)), pa.scalar(None, pa.string()), bare)


def _stored(frame: Any) -> dict[str, Any]:
    """narwhals' type of each column; no value of one is read but for words in objects, which are no type."""
    import narwhals as nw
    import pyarrow as pa

    from comity.data.frames import KINDS

    if isinstance(frame, Table):
        frame = frame.arrow
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    try:
        column_names(frame)  # doubled names are refused there
        return dict(nw.from_native(frame).collect_schema())
    except TypeError:
        raise UsageError(f"a table is {KINDS}; got {type(frame).__name__}") from None
