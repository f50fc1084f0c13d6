"""A schema for a table that has none: types and roles, each with the evidence for it in words.

An inferred schema is a proposal to the steward, who confirms or corrects it before anything is agreed. The
rules err on the side of protection:

1. The target and the id that the caller names have those roles. The id is the privacy unit, one row each.
2. Values that name or reach a person (`pii`), names and contacts by their header, values that stand nearly
   once each, and free text are `identifier`: models never see them and releases never carry them.
3. Values that others may know of a person (a city, a date of birth, an occupation) are `quasi_identifier`,
   unless the header says that people keep them to themselves.
4. A header that suggests what others know about people (age, place, job, ...) makes a `quasi_identifier`;
   one that suggests what people keep to themselves (diagnosis, salary, ...) makes `sensitive`.
5. Otherwise categories, dates and numbers with few values are `quasi_identifier`, and numbers with many
   values (measurements) are `sensitive`. A column with one value is `insensitive` if neither its header nor
   its value speaks of people. Nothing else is.

Bounds and levels are read off the data, so they are not public: good for a pilot, to be confirmed or
replaced by the steward before an agreement. `InferredSchema.observed` names them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from comity.data.hints import (
    CERTAIN_NAMES,
    CODES,
    CONTACTS,
    DEMOGRAPHICS,
    PERSON_NAMES,
    PERSON_NUMBERS,
    RUNNING_NUMBERS,
    SENSITIVE,
    ends_in,
    hinted,
    is_exactly,
    measures,
)
from comity.data.pii import KINDS, SURE_ENOUGH, Finding, Tells, find_kinds, find_within
from comity.data.pii.shapes import HOLD_EMAILS
from comity.data.table import Table, concat_tables
from comity.schema import Column, ColumnType, Role, Schema, Unit

FEW_VALUES = 20
"""A number with at most this many distinct values counts as a category for its role."""

NEARLY_UNIQUE = 0.9
"""Share of distinct values from which on a column finds a row by itself."""

FEWEST_ROWS = 20
MOST_LEVELS = 1000
_FREE_TEXT_LENGTH = 40
_FEWEST_DIGITS = 4
_LEAST = 0.4
_COUNTRY = 10.0
_OBSERVED = "observed, not public: confirm"
_DECIMAL_COMMA = re.compile(r"[+-]?(?:\d+|\d{1,3}(?:[.'’ ]\d{3})+),\d+")
COMMA = "numbers written with a comma"
"""The evidence for numbers that are read as text because of their decimal comma."""

CONVERT = "write these numbers with a decimal point, so that they are read as numbers"


@dataclass(frozen=True)
class InferredColumn:
    """What one column was taken for, and why.

    Attributes:
        evidence: in words, for the steward.
        note: that bounds or levels were read off the data, and other things to confirm; "" if nothing is.
        missing: rows without a value.
        distinct: different values.
        kinds: what the values are (see `comity.data.pii.KINDS`), the surest first; empty for plain numbers,
            categories and text.
        pii: of those, the kinds that name or reach a person.
    """

    name: str
    column: Column
    evidence: str
    note: str
    missing: int
    distinct: int
    pii: tuple[Finding, ...] = ()
    kinds: tuple[Finding, ...] = ()

    @property
    def words(self) -> str:
        """Evidence and note in one."""
        return f"{self.evidence}; {self.note}" if self.note else self.evidence

    @property
    def range_words(self) -> str:
        """Bounds or levels in short, for a table."""
        if self.column.type.is_numeric and self.column.min is not None and self.column.max is not None:
            return f"{self.column.min:g} to {self.column.max:g}"
        return f"{self.distinct} {'value' if self.distinct == 1 else 'values'}"


@dataclass(frozen=True)
class InferredSchema:
    """A proposed schema with the evidence for each column."""

    schema: Schema
    columns: tuple[InferredColumn, ...]

    @property
    def observed(self) -> tuple[str, ...]:
        """Columns whose bounds or levels were read off the data: not public until the steward confirms."""
        return tuple(
            column.name
            for column in self.columns
            if column.column.values is not None or column.column.min is not None
        )

    def rows(self) -> tuple[tuple[str, str, str, str, str], ...]:
        """(name, type, role, range, evidence) per column, to print."""
        return tuple(
            (each.name, str(each.column.type), str(each.column.role), each.range_words, each.words)
            for each in self.columns
        )


def infer_schema(
    tables: Table | Sequence[Table], *, target: str | None = None, id: str | None = None
) -> InferredSchema:
    """Propose a schema for a table, or one for several tables with the same columns.

    Args:
        tables: in a pilot, all tables that will be checked against it, a test table included.
        target: the column to learn.
        id: the column that names the privacy unit.

    Raises:
        BadTable: if `target` or `id` is no column, or the tables differ in their columns.
    """
    table = tables if isinstance(tables, Table) else concat_tables(tables)
    for named in (target, id):
        if named is not None:
            table.column(named)
    facts = _beside([_facts(table, name) for name in table.names])
    columns = tuple(_infer_column(each, target, id) for each in facts)
    unit = Unit() if id is None else Unit(column=id, max_rows=1)
    schema = Schema(columns={each.name: each.column for each in columns}, unit=unit)
    return InferredSchema(schema, columns)


@dataclass(frozen=True)
class _Facts:
    """What the rules look at."""

    name: str
    type: ColumnType
    levels: tuple[str, ...]
    known: int
    missing: int
    low: float | None
    high: float | None
    kinds: tuple[Finding, ...]
    degrees: bool = False

    @property
    def narrow(self) -> bool:
        """Whether the numbers lie as close together as the degrees of one country."""
        return self.low is not None and self.high is not None and self.high - self.low <= _COUNTRY

    @property
    def pii(self) -> tuple[Finding, ...]:
        """Kinds that name or reach a person, if the surest kind is one."""
        surest = self.kinds[:1]
        who = tuple(found for found in self.kinds if found.tells is Tells.who)
        return who if who[:1] == surest else ()

    @property
    def unique_share(self) -> float:
        return len(self.levels) / self.known if self.known else 0.0

    @property
    def nearly_unique(self) -> bool:
        return self.known >= FEWEST_ROWS and self.unique_share >= NEARLY_UNIQUE


def _facts(table: Table, name: str) -> _Facts:
    codes, levels = table.levels(name)
    missing = int((codes < 0).sum())
    low = high = None
    if table.type(name).is_numeric and levels:
        numbers = table.numbers(name)
        low, high = float(np.nanmin(numbers)), float(np.nanmax(numbers))
    found = find_kinds(name, levels, least=_LEAST)
    kinds = tuple(each for each in found if each.confidence >= SURE_ENOUGH)
    if table.type(name) is ColumnType.text and levels and _may_be_texts(kinds):
        within = find_within(levels, np.bincount(codes[codes >= 0], minlength=len(levels)).tolist())
        told = {each.kind for each in within}
        weaker = (each for each in kinds if each.kind not in told)
        kinds = (*within, *(each for each in weaker if not within or each.tells is not Tells.who))
    degrees = not kinds and any(each.kind == "coordinates" for each in found)
    return _Facts(name, table.type(name), levels, table.rows - missing, missing, low, high, kinds, degrees)


def _may_be_texts(kinds: Sequence[Finding]) -> bool:
    """Whether the values are free text, no kind, or hold emails: not names, addresses, jobs and so on."""
    return not kinds or kinds[0].kind == "free_text" or kinds[0].words == HOLD_EMAILS


def _beside(facts: Sequence[_Facts]) -> list[_Facts]:
    """Numbers that may be degrees are, beside a column of degrees, or two narrow ones beside each other."""
    weak = [at for at, each in enumerate(facts) if each.degrees]
    pair = len(weak) == 2 and weak[1] - weak[0] == 1 and all(facts[at].narrow for at in weak)
    found = list(facts)
    for at in weak:
        next_to = (facts[other].kinds[:1] for other in (at - 1, at + 1) if 0 <= other < len(facts))
        if pair or any(kinds and kinds[0].kind == "coordinates" for kinds in next_to):
            told = Finding("coordinates", KINDS["coordinates"].words, 1.0, 0.6, "as the column beside it")
            found[at] = replace(facts[at], kinds=(told,))
    return found


def _infer_column(facts: _Facts, target: str | None, id: str | None) -> InferredColumn:
    name = facts.name
    if name == target:
        role, why = Role.target, "named as the target"
        kind = ColumnType.category
    elif name == id:
        role, why = Role.identifier, "named as the id: one row per privacy unit"
        kind = facts.type
    else:
        role, why = _role(facts)
        kind = _kind(facts, role)
    column, note = _column(facts, role, kind)
    return InferredColumn(name, column, why, note, facts.missing, len(facts.levels), facts.pii, facts.kinds)


def _role(facts: _Facts) -> tuple[Role, str]:
    """The role and its evidence, for a column that the caller has not named."""
    if not facts.levels:
        return Role.insensitive, "no row has a value"
    if facts.pii:
        within = facts.pii[0].within
        return Role.identifier, "; ".join(str(each) for each in facts.pii[: None if within else 1])
    if named := _named_identifier(facts):
        return Role.identifier, named
    if (known := _about_people(facts)) is not None:
        return known
    if facts.type is ColumnType.text and _with_comma(facts.levels):
        role, why = _role_by_meaning(replace(facts, type=ColumnType.number))
        return role, f"{COMMA}; {why}"
    if facts.type is ColumnType.text:
        if facts.nearly_unique and not _dated(facts):
            return Role.identifier, "nearly every row has a value of its own"
        if _is_free_text(facts.levels):
            return Role.identifier, "free text: it may name anybody"
    elif facts.type is ColumnType.integer and (counted := _running_number(facts)):
        return Role.identifier, counted
    if len(facts.levels) == 1 and not hinted(facts.name, DEMOGRAPHICS | SENSITIVE):
        return Role.insensitive, "one value in all rows"
    return _role_by_meaning(facts)


def _about_people(facts: _Facts) -> tuple[Role, str] | None:
    """Values that others may know of a person: a city, a date of birth, ..."""
    if not facts.kinds or facts.kinds[0].tells is not Tells.about:
        return None
    if hinted(facts.name, SENSITIVE):
        return None
    return Role.quasi_identifier, f"{facts.kinds[0]}: others may know them"


def _dated(facts: _Facts) -> bool:
    """Whether the values are dates, with or without a time."""
    return bool(facts.kinds) and facts.kinds[0].kind in ("date", "datetime", "time")


def _role_by_meaning(facts: _Facts) -> tuple[Role, str]:
    """Quasi-identifier or sensitive, by the header and by the number of values."""
    if word := hinted(facts.name, SENSITIVE):
        return Role.sensitive, f"'{word}' in its name: kept private"
    if word := hinted(facts.name, DEMOGRAPHICS):
        return Role.quasi_identifier, f"'{word}' in its name: known to others"
    if facts.type is ColumnType.text and _dated(facts):
        return Role.quasi_identifier, "dates: others may know them"
    if facts.type is ColumnType.text:
        return Role.quasi_identifier, "a category: others may know it"
    if len(facts.levels) <= FEW_VALUES:
        return Role.quasi_identifier, "a number with few values: others may know it"
    return (
        Role.sensitive,
        "a measured number; make it quasi_identifier if others may know it",
    )


def _named_identifier(facts: _Facts) -> str | None:
    """Evidence from the header that the column names or reaches people; None if there is none."""
    if measures(facts.name) or (facts.kinds and facts.kinds[0].kind == "boolean"):
        return None
    varied = (facts.unique_share >= 0.5 and len(facts.levels) > 1) or len(facts.levels) >= 100
    if facts.type is ColumnType.text:
        if is_exactly(facts.name, PERSON_NAMES) and (varied or is_exactly(facts.name, CERTAIN_NAMES)):
            return "names of people, by its name"
        if (varied or _numbered(facts.levels)) and (word := hinted(facts.name, CONTACTS)):
            return f"'{word}' in its name: it reaches people"
    shaped = varied or _numbered(facts.levels)
    if facts.type is not ColumnType.number and shaped and (word := hinted(facts.name, PERSON_NUMBERS)):
        return f"'{word}' in its name: it reaches people"
    once_each = facts.unique_share >= NEARLY_UNIQUE and len(facts.levels) > 2
    numbered = facts.type is not ColumnType.number and not hinted(facts.name, DEMOGRAPHICS)
    word = ends_in(facts.name, RUNNING_NUMBERS) if numbered else None
    return f"'{word}' in its name, and its values stand once each" if word and once_each else None


def _numbered(levels: Sequence[str]) -> bool:
    """Most values have four digits or more, as numbers of people have, however few people there are."""
    sample = levels[:: max(len(levels) // 200, 1)]
    long = sum(1 for value in sample if sum(map(str.isdigit, value)) >= _FEWEST_DIGITS)
    return 2 * long > len(sample)


def _running_number(facts: _Facts) -> str | None:
    """Evidence that whole numbers count rows or people: all different, and dense."""
    if facts.low is None or facts.high is None or not facts.nearly_unique:
        return None
    if len(facts.levels) == facts.known and facts.high - facts.low + 1 <= 1.2 * facts.known:
        return "whole numbers that count up, one per row"
    return None


def _is_free_text(levels: Sequence[str]) -> bool:
    """Long values of several words."""
    sample = levels[:: max(len(levels) // 200, 1)]
    lengths = sum(len(value) for value in sample) / len(sample)
    spaces = sum(value.count(" ") for value in sample) / len(sample)
    return lengths >= _FREE_TEXT_LENGTH and spaces >= 4


def _kind(facts: _Facts, role: Role) -> ColumnType:
    """The type: as stored, but codes are categories, and categories with too many levels are text."""
    if facts.type is ColumnType.integer and role is Role.quasi_identifier and ends_in(facts.name, CODES):
        return ColumnType.category
    if facts.type is ColumnType.text and role is not Role.identifier and len(facts.levels) <= MOST_LEVELS:
        return ColumnType.category
    return facts.type


def _column(facts: _Facts, role: Role, kind: ColumnType) -> tuple[Column, str]:
    """The schema's column with observed bounds or levels, and what to say about those."""
    if role is Role.identifier or not facts.levels:
        return Column(role=role, type=kind), ""
    if kind.is_numeric:
        column = Column(role=role, type=kind, min=facts.low, max=facts.high)
        return column, f"bounds {_OBSERVED}"
    if kind is ColumnType.category:
        note = f"levels {_OBSERVED}"
        if _with_comma(facts.levels):
            note += f"; {CONVERT}"
        return Column(role=role, type=kind, values=facts.levels), note
    return Column(role=role, type=kind), CONVERT if _with_comma(facts.levels) else ""


def _with_comma(levels: Sequence[str]) -> bool:
    """Whether most values are numbers with a decimal comma."""
    return 2 * sum(1 for value in levels if _DECIMAL_COMMA.fullmatch(value.strip())) > len(levels)
