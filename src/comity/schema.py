"""Schema: what each column of a table is.

A column has a role (what it means for privacy), a type, and bounds that are public. Bounds and category
levels are public facts by agreement; a mechanism that needs them never reads them off the data for free.

The file form (YAML)::

    columns:
      age: {role: quasi_identifier, type: integer, min: 0, max: 110, hierarchy: age.csv}
      diagnosis: {role: sensitive, type: category, values: [flu, asthma]}
      seen: {role: quasi_identifier, type: text, hierarchy: {dates: {first: 2020, last: 2025}}}
    unit: {column: person_id, max_rows: 1}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from comity.errors import BadSchema

_SHOWN_VALUES = 10


class Role(StrEnum):
    """What a column means for privacy."""

    identifier = "identifier"
    quasi_identifier = "quasi_identifier"
    sensitive = "sensitive"
    insensitive = "insensitive"
    target = "target"


class ColumnType(StrEnum):
    """How a column's values are read."""

    integer = "integer"
    number = "number"
    category = "category"
    text = "text"

    @property
    def is_numeric(self) -> bool:
        return self in (ColumnType.integer, ColumnType.number)


class _Rule(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Intervals(_Rule):
    """Intervals of a number between its public bounds: by widths, by cuts, or so many levels of them."""

    widths: tuple[float, ...] | None = None
    cuts: tuple[float, ...] | None = None
    levels: int | None = Field(default=None, ge=1)
    bottom: float | None = None
    top: float | None = None


class Dates(_Rule):
    """Dates of a public range, as years or whole dates, and the units that they become."""

    first: int | str
    last: int | str
    levels: tuple[str, ...] = ("day", "week", "month", "quarter", "year", "decade")
    day_first: bool = True


class Postcodes(_Rule):
    """Postcodes as a country writes them: its code, two letters."""

    country: str


class Ordered(_Rule):
    """The column's values in their order, neighbours put together two by two."""


class Prefix(_Rule):
    """The column's values as texts, masked from the right, one character a level."""

    steps: int | None = Field(default=None, ge=0)


class HierarchyRule(_Rule):
    """How a hierarchy is built from public facts; exactly one of the kinds."""

    intervals: Intervals | None = None
    dates: Dates | None = None
    postcodes: Postcodes | None = None
    ordered: Ordered | None = None
    prefix: Prefix | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            kinds = ", ".join(type(self).model_fields)
            raise ValueError(f"a hierarchy is a file, or exactly one of: {kinds}")
        return self


class Column(BaseModel):
    """One column. `min`/`max` are inclusive and public; `values` are the public levels of a category.

    `hierarchy` is the name of a file in the schema's folder, or a rule that builds one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    role: Role
    type: ColumnType
    min: float | None = None
    max: float | None = None
    values: tuple[str, ...] | None = None
    hierarchy: str | HierarchyRule | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        numeric = self.type.is_numeric
        if not numeric and (self.min is not None or self.max is not None):
            raise ValueError(f"min and max belong to numeric columns, this one is '{self.type}'")
        if numeric and self.values is not None:
            raise ValueError("values belong to category columns, this one is numeric")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"min {self.min:g} is above max {self.max:g}")
        if self.values is not None and len(set(self.values)) != len(self.values):
            raise ValueError("values holds a level twice")
        return self


class Unit(BaseModel):
    """The privacy unit: one row, or all rows that share a value of `column`, at most `max_rows` of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    column: str | None = None
    max_rows: int = Field(default=1, ge=1)


class Schema(BaseModel):
    """All columns of a table in order, and its privacy unit. At most one column is the target."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: Mapping[str, Column]
    unit: Unit = Unit()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.columns:
            raise ValueError("columns is empty: name at least one column")
        if len(self.named(Role.target)) > 1:
            raise ValueError(f"several columns have the role target: {', '.join(self.named(Role.target))}")
        if self.unit.column is not None and self.unit.column not in self.columns:
            raise ValueError(f"unit.column '{self.unit.column}' is not one of the columns")
        return self

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # iterating a schema gives column names
        return iter(self.columns)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def named(self, *roles: Role) -> tuple[str, ...]:
        """Names of the columns that have one of these roles, in the table's order."""
        return tuple(name for name, column in self.columns.items() if column.role in roles)

    @property
    def target(self) -> str | None:
        names = self.named(Role.target)
        return names[0] if names else None

    @property
    def features(self) -> tuple[str, ...]:
        """Columns a model may learn from: everything that is neither identifier nor target."""
        return self.named(Role.quasi_identifier, Role.sensitive, Role.insensitive)

    def to_dict(self) -> dict[str, Any]:
        """The file form, without empty fields; canonicalises to the same bytes on every machine."""
        return self.model_dump(mode="json", exclude_none=True)


def parse_schema(document: object, *, where: str) -> Schema:
    """Check a parsed schema document; `where` names it in errors.

    Raises:
        BadSchema: for unknown keys, wrong types and contradictions, naming each place.
    """
    try:
        return Schema.model_validate(document)
    except ValidationError as error:
        raise BadSchema(f"{where} is not a usable schema: {'; '.join(_faults(error, document))}") from None


def _faults(error: ValidationError, document: Any) -> list[str]:
    """Every fault behind its place; values of a column that are no texts are one fault together."""
    told: dict[str, None] = {}
    for fault in error.errors(include_url=False, include_input=False):
        place, words = fault["loc"], fault["msg"]
        if fault["type"] == "string_type" and len(place) == 4 and place[2] == "values":
            place = place[:3]
            words = _unquoted(document["columns"][place[1]]["values"])
        told[f"{'.'.join(str(step) for step in place) or 'the document'}: {words}"] = None
    return list(told)


def _unquoted(values: Sequence[Any]) -> str:
    """What to write instead of values that YAML reads as something else than texts."""
    odd = next(value for value in values if not isinstance(value, str))
    if odd is None:
        return "an entry is empty, and a missing value is none of a column's values; take it out"
    if isinstance(odd, bool):
        read_as, shown = "truth values (so are yes, no, on and off)", ["no", "yes"]
    elif isinstance(odd, int | float | date):
        read_as = "dates" if isinstance(odd, date) else "numbers"
        shown = [value if isinstance(value, str) else str(value) for value in values[:_SHOWN_VALUES]]
    else:
        return 'each entry is one text, in quotes where it has a colon or a bracket: values: ["a: b", "c"]'
    more = ", ..." if len(values) > len(shown) and not isinstance(odd, bool) else ""
    listed = ", ".join(json.dumps(value, ensure_ascii=False) for value in shown)
    return (
        f"the values of a category are texts, and without quotes YAML reads these as {read_as}: put each in "
        f"quotes, as the table writes it, values: [{listed}{more}]; for a number that a model calculates "
        "with, write type: integer or number with min and max, and no values"
    )


def read_schema(path: Path) -> Schema:
    """Read a schema file (YAML).

    Raises:
        BadSchema: if the file is missing, is not YAML, or fails `parse_schema`.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise BadSchema(f"the schema file {path} does not exist; check the path given to --schema") from None
    except (OSError, UnicodeDecodeError) as error:
        raise BadSchema(f"the schema file {path} cannot be read: {error}") from None
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadSchema(f"{path} is not YAML: {error}") from None
    return parse_schema(document, where=str(path))
