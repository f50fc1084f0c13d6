"""What the results say of each column: one row of words, whether the schema was given or inferred."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from comity.data.infer import InferredSchema
    from comity.schema import Column, Schema

KEYS = ("column", "type", "role", "range", "evidence")
GIVEN = "as given"

Rows = tuple[Mapping[str, str], ...]


def inferred_rows(found: InferredSchema) -> Rows:
    """With the evidence for each column, for the steward to correct."""
    return tuple(dict(zip(KEYS, row, strict=True)) for row in found.rows())


def given_rows(schema: Schema) -> Rows:
    """As the schema's file has them: nothing of it comes from the tables."""
    return tuple(
        dict(zip(KEYS, (name, str(column.type), str(column.role), _range(column), GIVEN), strict=True))
        for name, column in schema.columns.items()
    )


def _range(column: Column) -> str:
    """Bounds or levels in short; "" where the schema states none, so that they were read off the data."""
    if column.min is not None and column.max is not None:
        return f"{column.min:g} to {column.max:g}"
    if column.values is not None:
        return f"{len(column.values)} {'value' if len(column.values) == 1 else 'values'}"
    return ""
