"""What a pilot makes of tables as read: roles, ids, and the levels and bounds that a schema leaves open."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from comity.architectures.definition import ROW_ID
from comity.compare.settings import Settings
from comity.data.read import read_table
from comity.data.table import Table, concat_tables
from comity.errors import BadTable
from comity.schema import Column, ColumnType, Role, Schema

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from comity.data.infer import InferredSchema

MOST_LEVELS = 2_000
MANY_LEVELS = 50
"""A column of more levels than this is noted: one-hot, it is as many columns."""


def with_roles(schema: Schema, settings: Settings) -> Schema:
    columns = dict(schema.columns)
    for name, role in ((settings.target, Role.target), (settings.id, Role.identifier)):
        if name is None:
            continue
        if name not in columns:
            raise BadTable(f"the schema does not name the column '{name}'; add it", private=False)
        columns[name] = columns[name].model_copy(update={"role": role})
    for name, column in columns.items():
        if column.role is Role.target and name != settings.target:
            columns[name] = column.model_copy(update={"role": Role.sensitive})
    return Schema(columns=columns, unit=schema.unit)


def read_providers(settings: Settings, schema: Schema | None) -> dict[str, Table]:
    """Each provider's table. Ids that one file has as texts are texts in all: `0042` is a number where
    another id of the file is longer, and a record that two providers hold would be two."""
    tables = {name: read_table(path, schema=schema) for name, path in settings.providers}
    id = settings.id
    if id is None or not any(id in table and _is_text(table, id) for table in tables.values()):
        return tables
    return {
        name: table if id not in table or _is_text(table, id) else read_table(path, schema=schema, texts=[id])
        for (name, path), table in zip(settings.providers, tables.values(), strict=True)
    }


def _is_text(table: Table, name: str) -> bool:
    import pyarrow as pa

    kind = table.arrow.column(name).type
    return not (pa.types.is_integer(kind) or pa.types.is_floating(kind))


def with_ids(table: Table, id: str | None, provider: str) -> Table:
    """The table with a column of unique ids: the named one, or row numbers if none was named.

    Raises:
        BadTable: of `require_unique_ids`.
    """
    import pyarrow as pa

    if id is None:
        return table.with_column(ROW_ID, pa.array([f"{provider}-{row}" for row in range(1, table.rows + 1)]))
    require_unique_ids(table, id)
    return table.with_column(id, pa.array(table.strings(id)))


def require_unique_ids(table: Table, id: str) -> None:
    """Hold the id column against what an id is.

    Raises:
        BadTable: if a row has none, or several rows have one.
    """
    codes, levels = table.levels(id)
    if (codes < 0).any():
        rows = int((codes < 0).sum())
        raise BadTable(
            f"{table.source}: {rows} rows have no value in the id column '{id}'; every row needs one"
        )
    if len(levels) != table.rows:
        import numpy as np

        counts = np.bincount(codes)
        raise BadTable(
            f"{table.source}: {int((counts > 1).sum())} values of the id column '{id}' stand in more than "
            f"one row, for example {levels[int(counts.argmax())]!r}; an id names one row. If rows of one "
            f"'{id}' are several visits of a person, leave --id out and state in the schema "
            f"unit: {{column: {id}, max_rows: {int(counts.max())}}}, or give --id a column that names each "
            "row; else remove the repeats"
        )


def comma_notes(found: InferredSchema, tables: Sequence[Table]) -> list[str]:
    """Columns of numbers with a decimal comma that were taken for texts, where no reading has told so."""
    from comity.data.infer import COMMA, CONVERT

    told = {name for table in tables for name in table.notes}
    return [
        f"column {each.name}: {COMMA}; {CONVERT}"
        for each in found.columns
        if each.evidence.startswith(COMMA) and each.name not in told
    ]


def with_observed_levels(schema: Schema, tables: Sequence[Table]) -> tuple[Schema, list[str]]:
    """Levels and bounds that the schema leaves open, from all tables: a pilot may look, a node may not.

    A text that is not an identifier is taken as a category. One with too many levels is left out, and a
    note says so: nothing can be learned from values that hardly recur; so is one without any value, which has
    no levels or bounds to see. One with many levels stays, and is noted too.
    """
    together = concat_tables([table.select(list(schema)) for table in tables])
    columns: dict[str, Column] = {}
    notes: list[str] = []
    for name, column in schema.columns.items():
        if column.role is Role.identifier:
            columns[name] = column
        elif _is_open(column) and together.missing(name).all():
            columns[name] = _left_out(column)
            notes.append(f"{name} is left out: it has no value in any row")
        elif column.type.is_numeric:
            columns[name] = _with_bounds(column, together, name)
        else:
            columns[name] = _with_levels(column, together, name)
            if columns[name].role is Role.identifier:
                notes.append(
                    f"{name} is left out: it has more than {MOST_LEVELS} different texts; models learn "
                    "from the values, not from a hierarchy: make numbers or groups of it in the table"
                )
            elif _is_wide(columns[name]):
                notes.append(
                    f"{name} has {len(columns[name].values or ())} different values, each a column of its "
                    "own to federated, homomorphic and the like, and to synthetic a group of few rows: "
                    "results may be poor for its sake. Give it the role identifier to leave it out, or have "
                    "in the table a coarser level of its hierarchy (the year of a date), or a number"
                )
    return Schema(columns=columns, unit=schema.unit), notes


def _is_open(column: Column) -> bool:
    """Whether bounds or levels are to be observed."""
    if column.type.is_numeric:
        return column.min is None or column.max is None
    return not column.values


def _left_out(column: Column) -> Column:
    """As an identifier, which is not learned from."""
    return column.model_copy(update={"role": Role.identifier, "hierarchy": None})


def _is_wide(column: Column) -> bool:
    """Whether a column to learn from has many levels."""
    return column.role is not Role.target and len(column.values or ()) > MANY_LEVELS


def _with_bounds(column: Column, together: Table, name: str) -> Column:
    if together.missing(name).all():
        return column
    low, high = _finite_ends(together.numbers(name))
    return column.model_copy(
        update={
            "min": low if column.min is None else column.min,
            "max": high if column.max is None else column.max,
        }
    )


def _with_levels(column: Column, together: Table, name: str) -> Column:
    """The column as a category with its levels, or as an identifier, which is not learned from."""
    if column.values is not None:
        return column
    levels = together.levels(name)[1]
    if len(levels) > MOST_LEVELS and column.role is not Role.target:
        return _left_out(column)
    return column.model_copy(update={"type": ColumnType.category, "values": levels})


def _finite_ends(numbers: NDArray[np.float64]) -> tuple[float, float]:
    import numpy as np

    return float(np.nanmin(numbers)), float(np.nanmax(numbers))
