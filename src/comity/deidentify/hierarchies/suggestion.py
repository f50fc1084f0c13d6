"""A hierarchy proposed for each quasi-identifier, from its schema or its values, with the reason in words.

A hierarchy is public: it goes with the release. What a proposal reads off the data (bounds, cuts, lists of
values) therefore becomes public with it, and says so (`reads_data`); a steward confirms it or puts public
facts in its place. Nothing is drawn: the same rows, in any order, give the same proposal.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np

from comity.deidentify.hierarchies.hierarchy import Hierarchy, is_missing
from comity.deidentify.hierarchies.reading import number_of
from comity.deidentify.hierarchies.suggest_numbers import Proposal, from_numbers, within_bounds
from comity.deidentify.hierarchies.suggest_texts import (
    FEW,
    from_categories,
    from_codes,
    from_dates,
    from_order,
    from_postcodes,
    from_years,
)
from comity.errors import UsageError
from comity.schema import Column, ColumnType, Role, Schema

_WHOLE = re.compile(r"0|-?[1-9]\d{0,14}", re.ASCII)
_DECIMAL = re.compile(r"-?(0|[1-9]\d{0,14})(\.\d{1,15})?", re.ASCII)
_READ = (
    "Bounds or values in it were read off the data: with the hierarchy they become public. Confirm that, or "
    "state public ones in the schema"
)


@dataclass(frozen=True)
class Suggestion:
    """A proposed hierarchy.

    Attributes:
        column: its name.
        hierarchy: to use as it is, or to write with `write_csv` and change by hand.
        reason: why this one, in words for the steward. It may name values: it is private where `reads_data`.
        reads_data: bounds, cuts or values in the hierarchy were read off the data, and become public with it.
    """

    column: str
    hierarchy: Hierarchy
    reason: str
    reads_data: bool


def suggest(
    frame: Any,
    schema: Schema | None = None,
    *,
    columns: Sequence[str] | None = None,
    day_first: bool = True,
) -> dict[str, Suggestion]:
    """Propose a hierarchy per quasi-identifier.

    Where the schema states bounds or levels, these alone are used and the column is not looked at. Otherwise
    its values decide: dates, postcodes, numbers (round widths; cuts at quantiles and coded ends where they
    are skewed), words with an order, bands, codes by prefix, categories by how often they occur.

    Args:
        frame: a `Table`, or any frame that narwhals reads.
        schema: the public schema; without one, roles are inferred from the table.
        columns: which columns; by default the quasi-identifiers.
        day_first: how 03/04/2024 is meant where the column itself does not tell.

    Returns:
        By column. `{name: each.hierarchy for name, each in suggest(...).items()}` is what `anonymize` takes.

    Raises:
        UsageError: if there is no column to propose for.
        BadTable: if the table lacks a column.
    """
    from comity.deidentify.search.frames import Frame

    names = _names(frame, schema, columns)
    table = Frame(frame)
    return {
        name: _of_column(table, name, None if schema is None else schema.columns.get(name), day_first)
        for name in names
    }


def _names(frame: Any, schema: Schema | None, columns: Sequence[str] | None) -> Sequence[str]:
    if columns is not None:
        names: Sequence[str] = list(dict.fromkeys(columns))
    elif schema is not None:
        names = schema.named(Role.quasi_identifier)
    else:
        from comity.data import Table, infer_schema, read_table

        table = frame if isinstance(frame, Table) else read_table(frame)
        names = infer_schema(table).schema.named(Role.quasi_identifier)
    if not names:
        raise UsageError("no column is a quasi-identifier; name those to propose hierarchies for in columns")
    return names


def _of_column(table: Any, name: str, column: Column | None, day_first: bool) -> Suggestion:
    proposal = None if column is None else _from_schema(name, column)
    if proposal is None:
        coded = table.coded(name)
        times = np.bincount(coded.codes, minlength=len(coded.values))
        counts: Counter[Any] = Counter()
        for value, count in zip(coded.values, times, strict=True):
            if count and not is_missing(value):
                counts[value] += int(count)
        ordered = sorted(counts.items(), key=lambda item: (type(item[0]).__name__, str(item[0])))
        proposal = _from_values(name, dict(ordered), day_first)
    reason = f"{proposal.reason}. {_READ}" if proposal.reads_data else proposal.reason
    return Suggestion(name, proposal.hierarchy, reason, proposal.reads_data)


def _from_schema(name: str, column: Column) -> Proposal | None:
    """From public bounds or levels; None if the schema states none."""
    if column.type.is_numeric and column.min is not None and column.max is not None:
        return within_bounds(column.min, column.max, column.type is ColumnType.integer)
    if column.values:
        return _from_texts(name, dict.fromkeys(column.values, 1), public=True)
    return None


def _from_values(name: str, counts: dict[Any, int], day_first: bool) -> Proposal:
    values = list(counts)
    if not values:
        return Proposal(Hierarchy(((None, "*"),)), "no row has a value", False)
    if all(isinstance(value, date) for value in values):
        found = from_dates(values, day_first=day_first)
        if found is not None:
            return found
    early = from_years(name, values) or from_postcodes(name, values, public=False)
    if early is not None:
        return early
    if not any(isinstance(value, (str, bool)) for value in values):
        numbers = [number_of(value) for value in values]
        if None not in numbers:
            return from_numbers([number for number in numbers if number is not None], list(counts.values()))
    texts: Counter[str] = Counter()
    for value, count in counts.items():
        texts[str(value)] += count
    found = from_dates(list(texts), day_first=day_first)
    return found if found is not None else _from_texts(name, dict(texts), public=False)


def _from_texts(name: str, counts: dict[str, int], *, public: bool) -> Proposal:
    values = list(counts)
    return (
        from_postcodes(name, values, public=public)
        or from_order(values, public=public)
        or _plain_numbers(counts, public)
        or from_codes(values, public=public)
        or from_categories(counts, public=public)
    )


def _plain_numbers(counts: dict[str, int], public: bool) -> Proposal | None:
    """Texts that are all numbers without leading zeros, as numbers; whole ones only in one way of writing."""
    if public or not all(_DECIMAL.fullmatch(text) for text in counts):
        return None
    numbers = [float(text) for text in counts]
    bins = len(set(numbers)) > FEW and not all(number.is_integer() for number in numbers)
    if not bins and not all(_WHOLE.fullmatch(text) for text in counts):
        return None
    return from_numbers(numbers, list(counts.values()))
