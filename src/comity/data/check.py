"""Checking a table against its schema: every value fits its column, or is listed by row and column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from comity.data.faults import LISTED, Fault, Faults
from comity.data.people import first_rows
from comity.data.table import Table, dictionary_codes, no_such_column
from comity.errors import BadTable
from comity.schema import Column, ColumnType, Schema

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Checked:
    """A table that fits its schema: the schema's columns only, in its order, with its types.

    Attributes:
        table: the rows; those without a target value are left out.
        schema: what it was checked against.
        left_out: columns that the table has and the schema does not name.
        notes: what the holder of the table should know, one line each (private to the holder).
    """

    table: Table
    schema: Schema
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def check_table(table: Table, schema: Schema) -> Checked:
    """Check a table against a schema, and give it the schema's types.

    Raises:
        BadTable: if a column is missing, values do not fit (type, `min`, `max`, `values`), a privacy unit
            is unnamed or has more rows than `unit.max_rows`, or no row has a target value. Faulty values are
            listed by row and column, first ones then a count; the message is private to the holder.
    """
    absent = [name for name in schema if name not in table]
    if absent:
        raise no_such_column(absent[0], table.names, table.source)
    columns = {}
    faults: list[Faults] = []
    for name in schema:
        column, found = _checked_column(table, name, schema[name])
        columns[name] = column
        faults.extend(found)
    kept = _with_columns(table, columns)
    if schema.unit.column is not None:
        faults.append(_unit_faults(kept, schema.unit.column, schema.unit.max_rows))
    together = Faults.gather(faults)
    if together.total:
        raise located(together, table)
    left_out = tuple(name for name in table.names if name not in schema.columns)
    notes = (f"left out, because the schema does not name them: {', '.join(left_out)}",) if left_out else ()
    read = tuple(note for name, note in table.notes.items() if name in schema.columns)
    rows, more = _rows_with_target(kept, schema.target)
    return Checked(rows, schema, left_out, read + notes + more)


def located(faults: Faults, table: Table) -> BadTable:
    """The error for faults of a table, with lines of the file where it came from a CSV file."""
    from comity.data.csvfile import lines_of_rows

    return faults.error(table.source, lines_of_rows(table.path, faults.rows) if table.path else None)


def _checked_column(table: Table, name: str, column: Column):
    from comity.data.typed import type_column

    stored = table.type(name)
    if stored is column.type or (stored is ColumnType.text and not column.type.is_numeric):
        typed, faults = table.column(name), Faults()
    else:
        typed, faults = type_column(name, table.column(name), column.type)
    one = Table(table.arrow.select([]).append_column(name, typed), table.source)
    if column.type.is_numeric:
        return typed, [faults, _bound_faults(one, name, column)]
    return typed, [faults, _level_faults(one, name, column.values)]


def _with_columns(table: Table, columns: dict) -> Table:
    import pyarrow as pa

    return Table(pa.table(columns), table.source, table.path)


def _bound_faults(table: Table, name: str, column: Column) -> Faults:
    """Values below `min` or above `max`."""
    numbers = table.numbers(name)
    parts = []
    if column.min is not None:
        parts.append(_marked(table, name, numbers < column.min, f"is below the schema's min {column.min:g}"))
    if column.max is not None:
        parts.append(_marked(table, name, numbers > column.max, f"is above the schema's max {column.max:g}"))
    hint = "  correct the values, or widen min and max in the schema (they are public)"
    return _hinted(Faults.gather(parts), hint)


def _level_faults(table: Table, name: str, values: tuple[str, ...] | None) -> Faults:
    """Values that are none of the schema's levels."""
    if values is None:
        return Faults()
    codes, levels = table.levels(name)
    allowed = set(values)
    odd = np.array([level not in allowed for level in levels] + [False])
    found = _marked(table, name, odd[codes], "is none of the schema's values")
    return _hinted(found, f"  correct them, or add them to values of {name} in the schema (they are public)")


def _unit_faults(table: Table, name: str, max_rows: int) -> Faults:
    """Rows without a privacy unit, and rows beyond `max_rows` of one unit."""
    codes, _ = dictionary_codes(table.column(name))
    nameless = _marked(table, name, codes < 0, "is missing, but names the privacy unit")
    beyond = ~first_rows(codes, max_rows) & (codes >= 0)
    if max_rows == 1:
        why, hint = "stands in an earlier row too", f"  every value of {name} may stand in one row only"
    else:
        why = f"stands in more than {max_rows} rows"
        hint = f"  a value of {name} may stand in {max_rows} rows (unit.max_rows)"
    hint += "; remove the rows that are too many, or raise unit.max_rows in the schema"
    return Faults.gather([nameless, _hinted(_marked(table, name, beyond, why), hint)])


def _marked(table: Table, name: str, marked: NDArray[np.bool_], why: str) -> Faults:
    """Faults at the marked rows."""
    from comity.data.table import as_text

    rows = np.flatnonzero(marked)
    values = table.take(rows[:LISTED]).column(name).to_pylist() if len(rows) else []
    shown = ["" if value is None else as_text(value) for value in values]
    first = (Fault(int(row) + 1, name, value, why) for row, value in zip(rows, shown, strict=False))
    return Faults(len(rows), tuple(first))


def _hinted(faults: Faults, hint: str) -> Faults:
    return Faults(faults.total, faults.first, (hint,)) if faults.total else faults


def _rows_with_target(table: Table, target: str | None) -> tuple[Table, tuple[str, ...]]:
    """The rows that have a target value, and a note about those that have none."""
    if target is None:
        return table, ()
    without = table.missing(target)
    if not without.any():
        return table, ()
    if without.all():
        raise BadTable(f"{table.source}: column {target} has no value in any row, but is the target")
    note = f"{int(without.sum())} of {table.rows} rows have no value in {target} and are left out"
    return table.take(~without), (note,)
