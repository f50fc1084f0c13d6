"""Scrubbing: identifier columns go, vulnerable records go or are blanked, free text is masked (blueprint,
Architecture 1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from comity.data.arrays import to_arrow
from comity.deidentify.columns.freetext import FreeText, mask_free_text
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
    """A scrubbed table; how many records were dropped and blanked is private to the steward.

    Attributes:
        masked: per column of free text, how many places were masked by kind; private too.
        note: what masking free text does not do; None where none was masked.
    """

    table: Table
    columns: tuple[str, ...]
    dropped: int
    blanked: int
    masked: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    note: str | None = None


def scrub(
    table: Table,
    *,
    columns: Sequence[str] = (),
    vulnerable: Sequence[Vulnerable] = (),
    texts: Sequence[FreeText] = (),
) -> Scrubbed:
    """Remove columns, drop or blank vulnerable records, and mask free text.

    All rules look at the table as it came in, so their order does not matter: a column that is removed can
    still be one whose values are masked in texts.

    Raises:
        BadTable: if a column is not there.
    """
    for name in columns:
        table.column(name)
    masked = [mask_free_text(table, rule) for rule in texts]
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
    for done in masked:
        table = table.with_column(done.column, done.table.column(done.column))
    touched = np.zeros(table.rows, dtype=bool)
    for name, rows in blank.items():
        touched |= rows
        table = table.with_column(name, _blanked(table, name, rows))
    kept = table.take(~gone).drop(columns)
    return Scrubbed(
        table=kept,
        columns=tuple(columns),
        dropped=int(gone.sum()),
        blanked=int((touched & ~gone).sum()),
        masked={done.column: done.counts for done in masked},
        note=masked[0].note if masked else None,
    )


def _matching(table: Table, rule: Vulnerable) -> np.ndarray:
    codes, levels = table.levels(rule.column)
    hit = np.array([level in rule.values for level in levels] + [False])  # the last entry serves -1, missing
    return hit[codes]


def _blanked(table: Table, name: str, rows: np.ndarray):
    import pyarrow.compute as pc

    column = table.column(name).combine_chunks()
    return pc.call_function("if_else", [to_arrow(rows), None, column])
