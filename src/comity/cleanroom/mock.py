"""A mock table: schema-true rows from public facts alone, for whoever writes a job.

Every level and both bounds of every column are in it, each column has missing values, and columns are
independent: nothing of any real row is in it, and nothing that holds between columns.
"""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING, Final

from comity.cleanroom.columns import Columns
from comity.data.table import Table
from comity.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from comity.schema import Column, Schema

LEAST_ROWS: Final = 8
_MISSING_EVERY: Final = 17


def mock_table(schema: Schema, rows: int = 1_000, names: Sequence[str] | None = None) -> Table:
    """Made-up rows of these columns (by default all that have public bounds or levels).

    The same call gives the same rows. There are at least as many as a column has levels, or more than asked.

    Raises:
        BadSchema: naming columns that lack bounds or levels.
        UsageError: for fewer than 8 rows.
    """
    import pyarrow as pa

    if rows < LEAST_ROWS:
        raise UsageError(f"a mock table has at least {LEAST_ROWS} rows, not {rows}")
    chosen = Columns.of(schema, _bounded(schema) if names is None else names)
    most = max((len(schema[name].values or ()) for name in chosen.names), default=0)
    rows = max(rows, most + 2)
    filled = {name: _values(schema[name], rows, step=2 * at + 3) for at, name in enumerate(chosen.names)}
    kinds = {"integer": pa.int64(), "number": pa.float64()}
    arrays = {
        name: pa.array(values, type=kinds.get(str(schema[name].type), pa.string()))
        for name, values in filled.items()
    }
    return Table(pa.table(arrays), "a mock table")


def _bounded(schema: Schema) -> list[str]:
    return [
        name
        for name in schema
        if (schema[name].values is not None)
        or (schema[name].min is not None and schema[name].max is not None)
    ]


def _values(column: Column, rows: int, *, step: int) -> list[int | float | str | None]:
    """First the bounds or every level, then the same in another order for each column, some missing."""
    if column.values is not None:
        wheel: list[int | float | str] = list(column.values)
    else:
        low, high = float(column.min or 0.0), float(column.max or 0.0)
        wheel = [low, high, *(low + (high - low) * (at * step % 97) / 97 for at in range(97))]
        if str(column.type) == "integer":
            wheel = [round(value) for value in wheel if isinstance(value, float)]
    # a step that shares no factor with the wheel reaches all of it
    while gcd(step, len(wheel)) != 1:
        step += 1
    turned: list[int | float | str | None] = [
        wheel[at if at < len(wheel) else at * step % len(wheel)] for at in range(rows)
    ]
    for at in range(len(wheel) + step % 5, rows, _MISSING_EVERY):
        turned[at] = None
    return turned
