"""The assessment of a whole table, as `comity assess` prints it and writes it as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.assess.advice import advise
from comity.assess.columns import ColumnAssessment, assess_columns
from comity.assess.contribution import Contribution, contributions
from comity.assess.hipaa import SafeHarborElement, safe_harbor
from comity.assess.risk import THRESHOLD, Risk, released_records, risk_of_classes
from comity.assess.separation import Separation, column_sets
from comity.assess.sparsity import JointSparsity
from comity.assess.tuples import Tuples
from comity.data.read import read_table
from comity.data.table import Table
from comity.errors import BadTable
from comity.schema import Role, Schema

if TYPE_CHECKING:
    from comity.assess.drawing import Drawing


@dataclass(frozen=True)
class Assessment:
    """What a table gives away. It describes private rows: for the holder of the table, not for other parties.

    Attributes:
        source: the table.
        rows: number of rows.
        complete_rows: share of the rows without a missing value.
        missing_cells: share of all cells without a value.
        duplicate_rows: rows that equal an earlier one in every column.
        columns: one assessment each.
        quasi_identifiers: the columns that `risk` takes as known to an adversary.
        risk: None if the table has no quasi-identifier; so are `sparsity` and `separation`.
        contributions: what each quasi-identifier adds to the risk, the one that adds most first.
        sparsity: how much of the space of joint tuples is filled.
        separation: how well sets of quasi-identifiers tell rows apart, and the smallest near-keys.
        safe_harbor: HIPAA's eighteen identifiers, A to R.
        advice: what to do next, one line each, the most pressing first.
    """

    source: str
    rows: int
    complete_rows: float
    missing_cells: float
    duplicate_rows: int
    columns: tuple[ColumnAssessment, ...]
    quasi_identifiers: tuple[str, ...]
    risk: Risk | None
    contributions: tuple[Contribution, ...]
    sparsity: JointSparsity | None
    separation: Separation | None
    safe_harbor: tuple[SafeHarborElement, ...]
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form: the attributes by name, each in its own JSON form; no key is ever left out."""
        return {
            "source": self.source,
            "rows": self.rows,
            "complete_rows": self.complete_rows,
            "missing_cells": self.missing_cells,
            "duplicate_rows": self.duplicate_rows,
            "columns": [column.to_dict() for column in self.columns],
            "quasi_identifiers": list(self.quasi_identifiers),
            "risk": None if self.risk is None else self.risk.to_dict(),
            "contributions": [each.to_dict() for each in self.contributions],
            "sparsity": None if self.sparsity is None else self.sparsity.to_dict(),
            "separation": None if self.separation is None else self.separation.to_dict(),
            "safe_harbor": [element.to_dict() for element in self.safe_harbor],
            "advice": list(self.advice),
        }

    def to_rich(self) -> Drawing:
        """The assessment drawn for a terminal."""
        from comity.assess.drawing import Drawing

        return Drawing(self)


def assess_table(
    source: Any,
    schema: Schema | None = None,
    *,
    target: str | None = None,
    population: int | None = None,
    quasi_identifiers: Sequence[str] | None = None,
    threshold: float = THRESHOLD,
) -> Assessment:
    """Assess a table.

    Args:
        source: anything `comity.data.read_table` reads.
        schema: types and roles that the steward has given; without one both are inferred.
        target: the column to learn, where no schema names it.
        population: how many people the rows were drawn from, for the estimates of population uniques.
        quasi_identifiers: the columns that others may know, instead of those of the schema or proposed.
        threshold: the risk above which a row counts as at risk, in (0, 1].

    Raises:
        BadTable: if the table cannot be read or typed, has no row, or lacks a column that is named.
        UsageError: if the population is smaller than the table, or the threshold out of range.
    """
    table = read_table(source, schema=schema)
    if table.rows == 0:
        raise BadTable(f"{table.source} has no row: there is nothing to assess", private=False)
    columns = assess_columns(table, schema, target=target, quasi_identifiers=quasi_identifiers)
    known = tuple(column.name for column in columns if column.role == Role.quasi_identifier)
    records, risk = None, None
    if known:
        records, suppressed = released_records(table, known)
        risk = risk_of_classes(records.counts, population, suppressed=suppressed, threshold=threshold)
    elements = safe_harbor(table, columns)
    added = contributions(records) if records is not None else ()
    sets = column_sets(records) if records is not None else None
    complete, missing = _filled(table)
    return Assessment(
        source=table.source,
        rows=table.rows,
        complete_rows=complete,
        missing_cells=missing,
        duplicate_rows=_duplicates(table, columns),
        columns=columns,
        quasi_identifiers=known,
        risk=risk,
        contributions=added,
        sparsity=JointSparsity.of(records) if records is not None else None,
        separation=sets,
        safe_harbor=elements,
        advice=advise(columns, risk, added, sets, elements),
    )


def _filled(table: Table) -> tuple[float, float]:
    """Share of the rows without a missing value, and share of the cells that are missing."""
    complete = np.ones(table.rows, dtype=bool)
    cells = 0
    for name in table.names:
        missing = table.missing(name)
        cells += int(missing.sum())
        complete &= ~missing
    return float(complete.mean()), cells / (table.rows * len(table.names))


def _duplicates(table: Table, columns: Sequence[ColumnAssessment]) -> int:
    """Rows that equal an earlier one in every column."""
    if any(column.distinct == table.rows for column in columns):
        return 0  # that column alone is a key
    return table.rows - len(Tuples.of(table, table.names))
