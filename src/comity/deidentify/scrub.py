"""Scrubbing: identifier columns go, vulnerable records go or are blanked (blueprint, Architecture 1)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from comity.data.arrays import to_arrow
from comity.errors import UsageError

if TYPE_CHECKING:
    from comity.data import Table

ACTIONS = ("drop", "blank")


@dataclass(frozen=True)
class Vulnerable:
    """Records to protect by leaving them out: those with one of `values` in `column`.

    Attributes:
        action: "drop" leaves the record out; "blank" keeps it with every column in `blanks` missing.
        blanks: the columns to blank; `column` itself by default.
    """

    column: str
    values: Collection[str]
    action: str = "drop"
    blanks: Sequence[str] = ()

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise UsageError(f"action is {self.action!r}: it is one of {', '.join(ACTIONS)}")
        if isinstance(self.values, str) or not self.values:
            raise UsageError(
                f"values of vulnerable records in '{self.column}' have to be a list with an entry"
            )


@dataclass(frozen=True)
class Scrubbed:
    """A scrubbed table; how many records were dropped and blanked is private to the steward."""

    table: Table
    columns: tuple[str, ...]
    dropped: int
    blanked: int


def scrub(table: Table, *, columns: Sequence[str] = (), vulnerable: Sequence[Vulnerable] = ()) -> Scrubbed:
    """Remove columns, and drop or blank vulnerable records.

    All rules look at the table as it came in, so their order does not matter.

    Raises:
        BadTable: if a column is not there.
    """
    for name in columns:
        table.column(name)
    gone = np.zeros(table.rows, dtype=bool)
    blank: dict[str, np.ndarray] = {}
    for rule in vulnerable:
        found = _matching(table, rule)
        if rule.action == "drop":
            gone |= found
            continue
        for name in rule.blanks or (rule.column,):
            table.column(name)
            blank[name] = blank.get(name, np.zeros(table.rows, dtype=bool)) | found
    touched = np.zeros(table.rows, dtype=bool)
    for name, rows in blank.items():
        touched |= rows
        table = table.with_column(name, _blanked(table, name, rows))
    kept = table.take(~gone).drop(columns)
    return Scrubbed(kept, tuple(columns), int(gone.sum()), int((touched & ~gone).sum()))


def _matching(table: Table, rule: Vulnerable) -> np.ndarray:
    codes, levels = table.levels(rule.column)
    hit = np.array([level in rule.values for level in levels] + [False])  # the last entry serves -1, missing
    return hit[codes]


def _blanked(table: Table, name: str, rows: np.ndarray):
    import pyarrow.compute as pc

    column = table.column(name).combine_chunks()
    return pc.call_function("if_else", [to_arrow(rows), None, column])
