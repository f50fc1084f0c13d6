"""Enrichment: an identifier is replaced by attributes from a reference table, and does not survive.

A company number becomes sector, size class and region; a postcode becomes density and income class. The new
columns are quasi-identifiers unless said otherwise: whoever has the reference table too can look up which
keys share a row's attributes, and `Report.leads_back` says how often that is fewer than ten.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from comity.data.arrays import to_arrow
from comity.deidentify.columns.reference import copied, first_known, first_rows, keys_sharing, merged
from comity.errors import BadSchema, BadTable, UsageError
from comity.schema import Column, ColumnType, Role, Schema

if TYPE_CHECKING:
    from comity.data import Table

CONFLICTS: Final = ("refuse", "first", "missing")
"""What becomes of reference rows that share a key and differ: an error, the first row, or no value."""

FEW: Final = 10
"""Attributes that fewer keys than this share lead back to the identifier, or nearly."""

_SHOWN: Final = 10


@dataclass(frozen=True)
class Normalised:
    """How keys are written before they are compared.

    Letters lose case and accents stay; spaces and punctuation go, so "BE 0123.456.789" is "be0123456789".

    Attributes:
        leading_zeros: whether they count; False where one side was read as numbers ("0123" and "123").
        prefixes: beginnings that do not count, such as "BE" for one side's country code.
    """

    leading_zeros: bool = True
    prefixes: Sequence[str] = ()

    def __call__(self, value: str) -> str:
        """The key as it is compared; "" for a value without a letter or digit."""
        unified = unicodedata.normalize("NFKC", value).casefold()
        key = "".join(char for char in unified if char.isalnum())
        for prefix in self.prefixes:
            start = "".join(char for char in prefix.casefold() if char.isalnum())
            if key.startswith(start) and len(key) > len(start):
                key = key.removeprefix(start)
                break
        return key if self.leading_zeros else key.lstrip("0") or key[:1]


@dataclass(frozen=True)
class Report:
    """What enrichment found; private to the steward, since it counts and names values.

    Attributes:
        rows: of the table.
        without_identifier: rows whose identifier is missing or empty.
        matched: rows whose identifier the reference holds.
        unmatched: the others; `misses` are up to ten of their identifiers, most frequent first.
        merged: reference rows that only repeat another row of their key.
        conflicts: per attribute, how many keys have rows that differ; `conflicting` are up to ten such keys.
        leads_back: share of matched rows whose new attributes fewer than `FEW` keys of the reference share.
        warnings: in words.
    """

    rows: int
    without_identifier: int
    matched: int
    unmatched: int
    misses: tuple[str, ...]
    merged: int
    conflicts: Mapping[str, int]
    conflicting: tuple[str, ...]
    leads_back: float
    warnings: tuple[str, ...]

    @cached_property
    def match_rate(self) -> float:
        """Matched rows among those with an identifier; 1 if there is none."""
        asked = self.matched + self.unmatched
        return self.matched / asked if asked else 1.0

    def to_dict(self) -> dict[str, Any]:
        """The JSON form, for the steward."""
        return {
            "rows": self.rows,
            "without_identifier": self.without_identifier,
            "matched": self.matched,
            "unmatched": self.unmatched,
            "match_rate": self.match_rate,
            "misses": list(self.misses),
            "merged": self.merged,
            "conflicts": dict(self.conflicts),
            "conflicting": list(self.conflicting),
            "leads_back": self.leads_back,
            "warnings": list(self.warnings),
        }


@dataclass(frozen=True)
class Enriched:
    """A table with attributes in place of an identifier.

    Attributes:
        schema: the extended schema, if one was given; columns: the new columns' own.
        report: what was found; private.
        description: what was done, JSON for the manifest; nothing in it depends on values.
    """

    table: Table
    schema: Schema | None
    columns: Mapping[str, Column]
    report: Report
    description: Mapping[str, Any]


def enrich(
    table: Table,
    column: str,
    reference: Table,
    *,
    key: str,
    attributes: Sequence[str],
    schema: Schema | None = None,
    names: Mapping[str, str] | None = None,
    roles: Mapping[str, Role] | None = None,
    normalised: Normalised = Normalised(),  # frozen
    conflicts: str = "refuse",
    public_reference: bool = False,
) -> Enriched:
    """Replace an identifier column by attributes of a reference table (a left join).

    Args:
        column: the identifier; the result does not have it.
        reference: one row per key. Rows that repeat a key are merged if they agree, a missing value agreeing
            with any other.
        attributes: columns of the reference to take over, put where the identifier was.
        schema: of the table; the result's is extended by the new columns.
        names: new names of attributes, where the table has a column of that name already.
        roles: of new columns, quasi_identifier by default.
        conflicts: what to do with rows of one key that differ: "refuse", "first", "missing".
        public_reference: whether anybody can have the reference; then its levels and bounds are public facts
            and go into the schema.

    Raises:
        BadTable: private; for missing columns, name clashes, conflicts under "refuse", or an attribute that
            repeats the key, however it is written (`reference.copied`).
        BadSchema: if the identifier is the column of the schema's privacy unit.
        UsageError: for no attributes, or another word for `conflicts`.
    """
    new = {name: (names or {}).get(name, name) for name in attributes}
    _check(table, column, reference, key, new, schema, conflicts)
    wanted = [None if value is None else normalised(value) or None for value in table.strings(column)]
    keys = [None if value is None else normalised(value) or None for value in reference.strings(key)]
    for name in attributes:
        _refuse_copy(reference, key, name, keys, normalised)
    row_of, repeated = first_rows(keys)
    found = np.array([-1 if want is None else row_of.get(want, -1) for want in wanted], dtype=np.int64)
    firsts, conflicting, differing, agreeing = merged(reference, attributes, keys, row_of, repeated)
    if conflicting and conflicts == "refuse":
        words = ", ".join(f"{name} ({count} keys)" for name, count in differing.items() if count)
        raise BadTable(
            f"{reference.source} has rows that share a key and differ in {words}, among them "
            f"{', '.join(conflicting[:5])}; correct it, or choose conflicts='first' or 'missing'"
        )
    result = table
    columns: dict[str, Column] = {}
    for name, called in new.items():
        source = (
            firsts[name] if conflicts != "first" else first_known(firsts[name], repeated, reference, name)
        )
        picked = np.where(found >= 0, source[np.maximum(found, 0)], -1) if len(source) else found
        taken = reference.column(name).take(to_arrow(np.maximum(picked, 0), picked < 0))
        result = result.with_column(called, taken)
        role = (roles or {}).get(called, Role.quasi_identifier)
        columns[called] = _described(reference, name, role, public_reference)
    at = table.names.index(column)
    order = [*table.names[:at], *new.values(), *table.names[at + 1 :]]
    result = result.select(order)
    has = np.array([want is not None for want in wanted], dtype=bool)
    missed = [value for value, want, row in zip(table.strings(column), wanted, found, strict=True)
              if want is not None and row < 0 and value is not None]  # fmt: skip
    shared = keys_sharing(reference, attributes, row_of)
    few = shared[found[found >= 0]] < FEW
    report = Report(
        rows=table.rows,
        without_identifier=int((~has).sum()),
        matched=int((found >= 0).sum()),
        unmatched=len(missed),
        misses=_most_frequent(missed),
        merged=agreeing,
        conflicts={name: count for name, count in differing.items() if count},
        conflicting=tuple(conflicting[:_SHOWN]),
        leads_back=float(few.mean()) if len(few) else 0.0,
        warnings=(),
    )
    warnings = _warnings(report, reference, new, row_of, result, table.strings(column))
    extended = None if schema is None else _extended(schema, column, columns)
    description = {
        "kind": "enrichment",
        "column": column,
        "key": key,
        "attributes": dict(new),
        "leading_zeros": normalised.leading_zeros,
        "prefixes": list(normalised.prefixes),
        "conflicts": conflicts,
    }
    return Enriched(result, extended, columns, replace(report, warnings=warnings), description)


def _check(
    table: Table,
    column: str,
    reference: Table,
    key: str,
    new: Mapping[str, str],
    schema: Schema | None,
    conflicts: str,
) -> None:
    if conflicts not in CONFLICTS or not new or key in new:
        raise UsageError(
            f"enrichment needs attributes other than the key '{key}', and conflicts one of "
            f"{', '.join(CONFLICTS)}, not {conflicts!r}"
        )
    table.column(column)
    for name in (key, *new):
        reference.column(name)
    taken = [name for name in new.values() if name in table and name != column]
    if taken or len(set(new.values())) < len(new) or column in new.values():
        clash = taken[0] if taken else column
        raise BadTable(
            f"a new column would be called '{clash}', a name that is taken; give names={{'...': '...'}}",
            private=False,
        )
    if schema is not None and schema.unit.column == column:
        raise BadSchema(
            f"'{column}' is the column of the privacy unit and would be gone; copy it to a column of its "
            "own, to be pseudonymised, and enrich from the copy"
        )


def _refuse_copy(
    reference: Table, key: str, name: str, keys: Sequence[str | None], normalised: Normalised
) -> None:
    """Refuse an attribute that is the identifier over again: it would survive."""
    share = copied(keys, reference.strings(name), normalised)
    if share:
        raise BadTable(
            f"the attribute '{name}' repeats the key '{key}' in {share:.0%} of the reference's rows, so the "
            "identifier would stay in the table; leave it out, or generalise it in the reference first"
        )


def _warnings(
    report: Report,
    reference: Table,
    new: Mapping[str, str],
    row_of: Mapping[str, int],
    result: Table,
    identifiers: Sequence[str | None],
) -> tuple[str, ...]:
    words: list[str] = []
    rows = np.fromiter(row_of.values(), dtype=np.int64, count=len(row_of))
    for name, called in new.items():
        codes, _ = reference.levels(name)
        distinct = len(np.unique(codes[rows][codes[rows] >= 0]))
        if len(rows) >= FEW and distinct > len(rows) / 2:
            words.append(
                f"'{called}' nearly identifies: {distinct} values for {len(rows)} keys of the reference; "
                "generalise it or leave it out"
            )
    if report.leads_back > 0.05:
        words.append(
            f"{report.leads_back:.0%} of the matched rows have attributes that fewer than {FEW} keys share: "
            "with the reference they lead back to the identifier; take fewer or coarser attributes"
        )
    if report.match_rate < 0.9:
        words.append(
            f"only {report.match_rate:.0%} of the identifiers were found; look at the misses for how they "
            "are written (leading zeros, prefixes)"
        )
    words += _survivors(result, identifiers)
    return tuple(words)


def _survivors(result: Table, identifiers: Sequence[str | None]) -> list[str]:
    """Other text columns in which a row's identifier of five signs or more still stands."""
    found: list[str] = []
    for name in result.names:
        if result.type(name).is_numeric:
            continue
        count = sum(
            own is not None and text is not None and len(own) >= 5 and own.casefold() in text.casefold()
            for own, text in zip(identifiers, result.strings(name), strict=True)
        )
        if count:
            found.append(f"'{name}' still holds the identifier of its row in {count} rows; mask or drop it")
    return found


def _described(reference: Table, name: str, role: Role, public: bool) -> Column:
    """A new column's schema; levels and bounds only where the reference is public."""
    kind = reference.type(name)
    if kind.is_numeric:
        numbers = reference.numbers(name)
        known = numbers[~np.isnan(numbers)]
        if not public or not len(known):
            return Column(role=role, type=kind)
        return Column(role=role, type=kind, min=float(known.min()), max=float(known.max()))
    levels = reference.levels(name)[1]
    return Column(role=role, type=ColumnType.category, values=levels if public and levels else None)


def _extended(schema: Schema, column: str, columns: Mapping[str, Column]) -> Schema:
    """The schema with new columns in the identifier's place."""
    entries: dict[str, Column] = {}
    for name, entry in schema.columns.items():
        if name == column:
            entries |= columns
        else:
            entries[name] = entry
    for name, entry in columns.items():
        entries.setdefault(name, entry)
    return Schema(columns=entries, unit=schema.unit)


def _most_frequent(values: Sequence[str]) -> tuple[str, ...]:
    from collections import Counter

    ranked = sorted(Counter(values).items(), key=lambda pair: (-pair[1], pair[0]))
    return tuple(value for value, _ in ranked[:_SHOWN])
