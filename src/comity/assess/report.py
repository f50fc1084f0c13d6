"""The assessment of a whole table, as `comity assess` prints it and writes it as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from comity.assess.columns import ColumnAssessment, assess_columns
from comity.assess.risk import Risk, reidentification_risk
from comity.data.classes import equivalence_classes, table_codes
from comity.data.read import read_table
from comity.schema import Role, Schema

if TYPE_CHECKING:
    from rich.console import Group

_TELLING = 0.05


@dataclass(frozen=True)
class Assessment:
    """What a table gives away. It describes private rows: for the holder of the table, not for other parties.

    Attributes:
        source: the table.
        rows: number of rows.
        complete_rows: share of the rows without a missing value.
        duplicate_rows: rows that equal an earlier one in every column.
        columns: one assessment each.
        quasi_identifiers: the columns that `risk` takes as known to an adversary.
        risk: None if the table has no quasi-identifier.
        advice: what to look at, one line each, the most pressing first.
    """

    source: str
    rows: int
    complete_rows: float
    duplicate_rows: int
    columns: tuple[ColumnAssessment, ...]
    quasi_identifiers: tuple[str, ...]
    risk: Risk | None
    advice: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "source": self.source,
            "rows": self.rows,
            "complete_rows": self.complete_rows,
            "duplicate_rows": self.duplicate_rows,
            "columns": [column.to_dict() for column in self.columns],
            "quasi_identifiers": list(self.quasi_identifiers),
            "risk": None if self.risk is None else self.risk.to_dict(),
            "advice": list(self.advice),
        }

    def to_rich(self) -> Group:
        """The assessment drawn for a terminal."""
        from rich.box import SIMPLE
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        columns = Table("column", "type", "role", "missing", "values", "why", title=self.source, box=SIMPLE)
        for column in columns.columns[:-1]:
            column.no_wrap = True
        for row in self.column_rows():
            columns.add_row(*(Text(cell) for cell in row))
        risk = Table("re-identification risk", "", title=f"{self.rows:,} rows", box=SIMPLE)
        for row in self.risk_rows():
            risk.add_row(*(Text(cell) for cell in row))
        return Group(columns, risk, *(Text(f"- {line}") for line in self.advice))

    def column_rows(self) -> tuple[tuple[str, str, str, str, str, str], ...]:
        """(name, type, role, missing, distinct, evidence or warning) per column, to print."""
        return tuple(
            (
                column.name,
                column.type,
                column.role,
                f"{column.missing:.1%}",
                f"{column.distinct:,}",
                column.warning or column.evidence,
            )
            for column in self.columns
        )

    def risk_rows(self) -> tuple[tuple[str, str], ...]:
        """(measure, value) per measure of risk, to print; empty without a quasi-identifier."""
        if self.risk is None:
            return ()
        risk = self.risk
        estimates = (
            (
                f"population uniques ({name})",
                "no estimate: " + risk.notes[name] if share is None else f"{share:.3%}",
            )
            for name, share in risk.population_uniques.items()
        )
        return (
            ("quasi-identifiers", ", ".join(self.quasi_identifiers)),
            ("rows", f"{risk.records:,}"),
            ("equivalence classes", f"{risk.classes:,}"),
            ("smallest class", f"{risk.smallest_class:,} rows"),
            ("unique rows", f"{risk.sample_uniques:.2%}"),
            ("rows in classes of fewer than 5", f"{risk.at_risk:.2%}"),
            ("prosecutor risk, highest", f"{risk.prosecutor_max:.4f}"),
            ("prosecutor risk, mean", f"{risk.prosecutor_mean:.4f}"),
            ("marketer risk", f"{risk.marketer:.4f}"),
            *estimates,
        )


def assess_table(
    source: Any, schema: Schema | None = None, *, target: str | None = None, population: int | None = None
) -> Assessment:
    """Assess a table.

    Args:
        source: anything `comity.data.read_table` reads.
        schema: types and roles that the steward has given; without one both are inferred.
        target: the column to learn, where no schema names it.
        population: how many people the rows were drawn from, for the estimates of population uniques.

    Raises:
        BadTable: if the table cannot be read or typed.
        UsageError: if the population is smaller than the table.
    """
    table = read_table(source, schema=schema)
    columns = assess_columns(table, schema, target=target)
    known = tuple(column.name for column in columns if column.role == Role.quasi_identifier)
    risk = reidentification_risk(table, known, population) if known else None
    complete = np.ones(table.rows, dtype=bool)
    for name in table.names:
        complete &= ~table.missing(name)
    _, sizes = equivalence_classes(table_codes(table, table.names))
    return Assessment(
        source=table.source,
        rows=table.rows,
        complete_rows=float(complete.mean()),
        duplicate_rows=table.rows - len(sizes),
        columns=columns,
        quasi_identifiers=known,
        risk=risk,
        advice=_advice(columns, risk),
    )


def _advice(columns: tuple[ColumnAssessment, ...], risk: Risk | None) -> tuple[str, ...]:
    """What the steward should look at."""
    lines = [f"{column.name}: {column.warning}" for column in columns if column.warning]
    lines += [
        f"{column.name} is {column.role}, but in {column.uniques:.0%} of the rows its value is one that "
        "no other row has: whoever knows it finds the row"
        for column in columns
        if column.role in (Role.sensitive, Role.insensitive) and column.uniques >= _TELLING
    ]
    if risk is not None and risk.sample_uniques > 0:
        lines.append(
            f"{risk.sample_uniques:.1%} of the rows are unique by their quasi-identifiers: "
            "generalise or suppress before a release"
        )
    return tuple(lines)
