"""What each column of a table is, holds and gives away."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from comity.data.infer import InferredColumn, infer_schema
from comity.data.table import Table
from comity.schema import Role, Schema

_GUARDED = (Role.identifier, Role.quasi_identifier)


@dataclass(frozen=True)
class ColumnAssessment:
    """One column.

    Attributes:
        type: how its values are read.
        role: the schema's role; without a schema, the proposed one.
        proposed_role: what its name and values suggest.
        evidence: why, in words.
        missing: share of the rows without a value.
        distinct: number of different values.
        distinction: different values / rows with a value.
        separation: share of the pairs of rows that it tells apart.
        uniques: share of the rows whose value no other row has.
        pii: kinds of personal data found in its values, with the share of the values of that kind.
        warning: where the schema's role is weaker than what was found; "" otherwise.
    """

    name: str
    type: str
    role: str
    proposed_role: str
    evidence: str
    missing: float
    distinct: int
    distinction: float
    separation: float
    uniques: float
    pii: tuple[tuple[str, float], ...] = ()
    warning: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**body, "pii": [{"kind": kind, "share": share} for kind, share in self.pii]}


def assess_columns(
    table: Table, schema: Schema | None = None, *, target: str | None = None
) -> tuple[ColumnAssessment, ...]:
    """Assess every column, in the table's order.

    Args:
        table: the rows.
        schema: roles that the steward has given; columns it does not name get the proposed role.
        target: the column to learn, where no schema names it.
    """
    named = schema.target if schema is not None else target
    inferred = infer_schema(table, target=named if named in table.names else None)
    return tuple(_assess(table, column, schema) for column in inferred.columns)


def _assess(table: Table, column: InferredColumn, schema: Schema | None) -> ColumnAssessment:
    codes, levels = table.levels(column.name)
    counts = np.bincount(codes[codes >= 0], minlength=len(levels)).astype(np.float64)
    known = counts.sum()
    pairs = known * (known - 1)
    given = schema[column.name] if schema is not None and column.name in schema.columns else None
    role = given.role if given is not None else column.column.role
    return ColumnAssessment(
        name=column.name,
        type=str(given.type if given is not None else column.column.type),
        role=str(role),
        proposed_role=str(column.column.role),
        evidence=column.evidence,
        missing=column.missing / table.rows,
        distinct=column.distinct,
        distinction=float(column.distinct / known) if known else 0.0,
        separation=float(1 - (counts * (counts - 1)).sum() / pairs) if pairs else 0.0,
        uniques=float((counts == 1).sum() / table.rows),
        pii=tuple((finding.kind, finding.share) for finding in column.pii),
        warning=_warning(role, column),
    )


def _warning(role: Role, column: InferredColumn) -> str:
    """A word where personal data stands in no identifier, or the role is weaker than the one proposed."""
    proposed = column.column.role
    if column.pii and role is not Role.identifier:
        return f"{column.pii[0]}: its role should be identifier, not {role}"
    if role is Role.insensitive and proposed in _GUARDED:
        return f"proposed as {proposed}, the schema says insensitive: {column.evidence}"
    return ""
