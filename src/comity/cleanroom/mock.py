"""A mock table: schema-true rows from public facts alone, for whoever writes a job.

Every level and both bounds of every column are in it, each column has missing values, and columns are
independent: nothing of any real row is in it, and nothing that holds between columns.
"""

from __future__ import annotations

from math import ceil, floor, gcd
from typing import TYPE_CHECKING, Final

from comity.cleanroom.columns import Columns, lacks
from comity.data.table import Table
from comity.errors import BadSchema, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from comity.schema import Column, Schema

LEAST_ROWS: Final = 8
_MISSING_EVERY: Final = 17
_APART: Final = 5
"""Columns' first missing values are up to so many rows after their bounds or levels."""


def mock_table(schema: Schema, rows: int = 1_000, names: Sequence[str] | None = None) -> Table:
    """Made-up rows of these columns (by default all that have public bounds or levels).

    The same call gives the same rows. There are a few more than a column has levels, at least.

    Raises:
        BadSchema: naming columns that lack bounds or levels; if no column has any.
        UsageError: for fewer than 8 rows.
    """
    import pyarrow as pa

    if rows < LEAST_ROWS:
        raise UsageError(f"a mock table has at least {LEAST_ROWS} rows, not {rows}")
    left = left_out(schema)
    chosen = Columns.of(schema, [name for name in schema if name not in left] if names is None else names)
    if not chosen.names:
        raise BadSchema(
            "no column of the schema has public bounds or levels, so there is nothing to make up rows of: "
            "give numbers min and max, and other columns their values"
        )
    most = max(len(schema[name].values or ()) for name in chosen.names)
    rows = max(rows, most + _APART)
    filled = {name: _values(schema[name], rows, step=2 * at + 3) for at, name in enumerate(chosen.names)}
    kinds = {"integer": pa.int64(), "number": pa.float64()}
    arrays = {
        name: pa.array(values, type=kinds.get(str(schema[name].type), pa.string()))
        for name, values in filled.items()
    }
    return Table(pa.table(arrays), "a mock table")


def left_out(schema: Schema) -> dict[str, str]:
    """The columns that no job is given, and so no mock table has: what the schema lacks of each."""
    return {name: lack for name in schema if (lack := lacks(schema[name])) is not None}


def _values(column: Column, rows: int, *, step: int) -> list[int | float | str | None]:
    """First the bounds or every level, then the same in another order for each column, some missing."""
    wheel = _wheel(column, step)
    first = len(column.values or ()) or 2
    # a step that shares no factor with the wheel reaches all of it
    while gcd(step, len(wheel)) != 1:
        step += 1
    turned: list[int | float | str | None] = [
        wheel[at if at < len(wheel) else at * step % len(wheel)] for at in range(rows)
    ]
    for at in range(first + step % _APART, rows, _MISSING_EVERY):
        turned[at] = None
    return turned


def _wheel(column: Column, step: int) -> list[int | float | str]:
    """The levels; of a number the bounds, then what lies between them."""
    if column.values is not None:
        return list(column.values)
    low, high = float(column.min or 0.0), float(column.max or 0.0)
    spread = [low, high, *(low + (high - low) * (at * step % 97) / 97 for at in range(97))]
    if str(column.type) == "integer":
        # whole numbers within the bounds, which need not be whole themselves
        return [max(ceil(low), min(floor(high), round(value))) for value in spread]
    return [*spread]
