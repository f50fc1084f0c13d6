"""What each column of a table is, holds and gives away."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from comity.assess.sparsity import ColumnSparsity
from comity.data.hints import (
    CONTACTS,
    DEMOGRAPHICS,
    PERSON_NAMES,
    PERSON_NUMBERS,
    RUNNING_NUMBERS,
    SENSITIVE,
    ends_in,
    hinted,
)
from comity.data.infer import InferredColumn, infer_schema
from comity.data.pii import Finding, Tells
from comity.data.table import Table, dictionary_codes, no_such_column
from comity.schema import Column, ColumnType, Role, Schema

_GUARDED = (Role.identifier, Role.quasi_identifier)
_NEARLY_UNIQUE = 0.9
LIKELY = 0.8
"""Confidence below which a proposed role is a guess."""

_SURE, _LIKELY, _GUESS = 0.9, 0.8, 0.5


@dataclass(frozen=True)
class ColumnAssessment:
    """One column.

    Attributes:
        type: how its values are read.
        role: the steward's role, from the schema or the call; without one, the proposed one.
        proposed_role: what its name and values suggest, for the steward to confirm.
        confidence: in [0, 1], how sure that proposal is. From 0.9 on the values or their number show it; at
            0.8 the column's name suggests it; at 0.5 it is the safe choice where nothing speaks.
        evidence: why, in words.
        why: the same in two to four words.
        missing: share of the rows without a value.
        distinct: number of different values.
        distinction: different values / rows with a value.
        separation: share of the pairs of rows that it tells apart.
        uniques: share of the rows whose value no other row has.
        sparsity: rare levels, and how common the most common value is.
        pii: personal data found in its values: what names or reaches a person.
        kinds: all kinds of values found in it (`comity.data.pii.KINDS`), personal or not.
        stated: whether the role was given, by a schema or the call.
        warning: where the role is weaker than what was found, or does not suit the values; "" otherwise.
    """

    name: str
    type: str
    role: str
    proposed_role: str
    confidence: float
    evidence: str
    why: str
    missing: float
    distinct: int
    distinction: float
    separation: float
    uniques: float
    sparsity: ColumnSparsity
    pii: tuple[Finding, ...] = ()
    kinds: tuple[Finding, ...] = ()
    warning: str = ""
    stated: bool = False

    @property
    def guess(self) -> bool:
        """Whether its role is a guess: nobody stated it, and little speaks for it."""
        return not self.stated and self.confidence < LIKELY

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes by name; a finding as kind, share, confidence and evidence."""
        body = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {
            **body,
            "sparsity": self.sparsity.to_dict(),
            "pii": [_finding(found) for found in self.pii],
            "kinds": [_finding(found) for found in self.kinds],
        }


def _finding(found: Finding) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "share": found.share,
        "confidence": found.confidence,
        "evidence": found.evidence,
    }


def assess_columns(
    table: Table,
    schema: Schema | None = None,
    *,
    target: str | None = None,
    quasi_identifiers: Sequence[str] | None = None,
) -> tuple[ColumnAssessment, ...]:
    """Assess every column, in the table's order.

    Args:
        table: the rows.
        schema: roles that the steward has given; columns it does not name get the proposed role.
        target: the column to learn; it stands above the schema's.
        quasi_identifiers: the columns that others may know, instead of those that the schema says or the
            values suggest; of these the ones left out count as `sensitive`: kept private.

    Raises:
        BadTable: if a named column is not in the table.
    """
    for name in (*(quasi_identifiers or ()), *([target] if target is not None else ())):
        if name not in table:
            raise no_such_column(name, table.names, table.source)
    named = target if target is not None or schema is None else schema.target
    inferred = infer_schema(table, target=named if named in table.names else None)
    return tuple(
        _assess(
            table,
            column,
            _given(column, schema, target, quasi_identifiers),
            _type(column, schema),
            _stated(column.name, schema, target, quasi_identifiers),
        )
        for column in inferred.columns
    )


def _given(
    column: InferredColumn, schema: Schema | None, target: str | None, known: Sequence[str] | None
) -> Role:
    """The role that counts: the call's, else the schema's, else the proposed one."""
    if column.name == target:
        return Role.target
    role = schema[column.name].role if schema is not None and column.name in schema.columns else None
    role = role or column.column.role
    if role is Role.target and target is not None:
        role = Role.sensitive  # another column is the target of this call
    if known is None:
        return role
    if column.name in known:
        return Role.quasi_identifier
    return Role.sensitive if role is Role.quasi_identifier else role


def _stated(name: str, schema: Schema | None, target: str | None, known: Sequence[str] | None) -> bool:
    """Whether the call or the schema gives the column's role."""
    return name == target or name in (known or ()) or (schema is not None and name in schema.columns)


def _type(column: InferredColumn, schema: Schema | None) -> ColumnType:
    given: Column | None = schema.columns.get(column.name) if schema is not None else None
    return given.type if given is not None else column.column.type


def _assess(
    table: Table, column: InferredColumn, role: Role, kind: ColumnType, stated: bool
) -> ColumnAssessment:
    codes, values = dictionary_codes(table.column(column.name))
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    known = float(counts.sum())
    pairs = known * (known - 1)
    distinction = float(column.distinct / known) if known else 0.0
    return ColumnAssessment(
        name=column.name,
        type=str(kind),
        role=str(role),
        proposed_role=str(column.column.role),
        confidence=_confidence(column, distinction),
        evidence=column.evidence,
        why=_why(column),
        missing=column.missing / table.rows if table.rows else 0.0,
        distinct=column.distinct,
        distinction=distinction,
        separation=float(1 - (counts * (counts - 1.0)).sum() / pairs) if pairs else 0.0,
        uniques=float((counts == 1).sum() / table.rows) if table.rows else 0.0,
        sparsity=ColumnSparsity.of(counts, table.rows),
        pii=column.pii,
        kinds=column.kinds,
        warning=_warning(role, column, distinction),
        stated=stated,
    )


def _hint(name: str) -> str | None:
    """The word in a column's name that speaks for a role."""
    for vocabulary in (PERSON_NAMES, CONTACTS, PERSON_NUMBERS, DEMOGRAPHICS, SENSITIVE):
        if word := hinted(name, vocabulary):
            return word
    return ends_in(name, RUNNING_NUMBERS)


def _confidence(column: InferredColumn, distinction: float) -> float:
    """How sure the proposed role is."""
    role = column.column.role
    if role is Role.target or not column.distinct:
        return 1.0
    if role is Role.identifier and column.pii:
        return max(found.confidence for found in column.pii)
    if role is Role.identifier and distinction >= _NEARLY_UNIQUE:
        return _SURE
    if role is Role.insensitive and column.distinct == 1:
        return _SURE
    if _hint(column.name):
        return _LIKELY
    known = _known_of_people(column)
    return known.confidence if known is not None else _GUESS


def _known_of_people(column: InferredColumn) -> Finding | None:
    """The kind of values that others may know of a person, where that is what was found first."""
    about = column.column.role is Role.quasi_identifier and column.kinds
    return column.kinds[0] if about and column.kinds[0].tells is Tells.about else None


def _why(column: InferredColumn) -> str:
    """The evidence for the proposed role in a few words."""
    role = column.column.role
    if role is Role.target:
        return "named as target"
    if role is Role.identifier and column.pii:
        shown = column.pii if column.pii[0].within else column.pii[:1]
        return ", ".join(f"{found.kind.replace('_', ' ')}, {found.share:.0%}" for found in shown)
    if not column.distinct:
        return "no value"
    if column.distinct == 1 and role is Role.insensitive:
        return "one value"
    if word := _hint(column.name):
        return f"name says {word}"
    if role is Role.identifier:
        return "free text" if _free_text(column) else "finds one row each"
    if (known := _known_of_people(column)) is not None:
        return f"{known.kind.replace('_', ' ')}, {known.share:.0%}"
    return "unclear: to be safe"


def _free_text(column: InferredColumn) -> bool:
    return any(found.kind == "free_text" for found in column.kinds)


def _warning(role: Role, column: InferredColumn, distinction: float) -> str:
    """A word where personal data stands in no identifier, or the role is weaker than the one proposed."""
    proposed = column.column.role
    if column.pii and role is not Role.identifier:
        return f"{column.pii[0]}: its role should be identifier, not {role}"
    if role not in _GUARDED and role is not Role.target and proposed in _GUARDED:
        return f"proposed as {proposed}, the steward says {role}: {column.evidence}"
    if role is Role.quasi_identifier and distinction >= _NEARLY_UNIQUE and column.distinct > 1:
        return (
            f"it has nearly one value per row ({distinction:.0%} distinct): too distinct to protect; make it "
            "identifier, or coarser"
        )
    return ""
