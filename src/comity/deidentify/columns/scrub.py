"""Scrubbing: identifier columns go, vulnerable records go or are blanked, free text is masked (blueprint,
Architecture 1)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from comity.data.arrays import to_arrow
from comity.deidentify.columns.freetext import FreeText, mask_free_text
from comity.deidentify.hierarchies.hierarchy import is_missing, shown, texts_of
from comity.deidentify.hierarchies.reading import exact_number_of
from comity.errors import UsageError

if TYPE_CHECKING:
    from comity.data import Table

ACTIONS = ("drop", "blank")


@dataclass(frozen=True)
class Vulnerable:
    """Records to protect by leaving them out: those with one of `values` in `column`.

    A value is found however either side writes it: as one of the texts that hierarchies look up (5.0 is "5.0"
    and "5"), and, where one side is a number and not a text, as the same number (5, "5" and "5.0"). None and
    whatever else stands for a missing value finds missing values.

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
        unmatched: per column of vulnerable records, the values that no record has, as texts; private too.
            That all are found is no condition: one list may serve many tables. But a value written
            differently from the table protects nobody, so the steward has to look at what is here (`told`).
        masked: per column of free text, how many places were masked by kind; private too.
        note: what masking free text does not do; None where none was masked.
    """

    table: Table
    columns: tuple[str, ...]
    dropped: int
    blanked: int
    masked: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    note: str | None = None
    unmatched: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def told(self) -> tuple[str, ...]:
        """For the steward, in words: which values of vulnerable records matched nothing."""
        return tuple(
            f"No record has {shown(values)} in '{column}', though vulnerable records are listed by it: check "
            "how they are written, or no such record is left out."
            for column, values in self.unmatched.items()
        )


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
    unmatched: dict[str, tuple[str, ...]] = {}
    for rule in vulnerable:
        found, odd = _matching(table, rule)
        if odd:
            unmatched[rule.column] = tuple(dict.fromkeys((*unmatched.get(rule.column, ()), *odd)))
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
        unmatched=unmatched,
    )


def _matching(table: Table, rule: Vulnerable) -> tuple[np.ndarray, list[str]]:
    """(rows,) whether a record has one of the values; and the values that no record has."""
    codes, levels = table.levels(rule.column)
    numeric = table.type(rule.column).is_numeric
    by_text: dict[str, list[int]] = {}
    by_number: dict[float, list[int]] = {}
    for code, level in enumerate(levels):
        number = exact_number_of(level)
        for text in texts_of(float(level)) if table.type(rule.column) == "number" else (level,):
            by_text.setdefault(text, []).append(code)
        if number is not None:
            by_number.setdefault(number, []).append(code)
    hit = np.zeros(len(levels) + 1, dtype=bool)  # the last entry serves -1, missing
    lacking = bool((codes < 0).any())
    odd = []
    for value in rule.values:
        found = [code for text in texts_of(value) for code in by_text.get(text, ())]
        number = exact_number_of(value)
        if number is not None and (numeric or not isinstance(value, str)):
            found += by_number.get(number, ())
        if is_missing(value) and lacking:
            found.append(len(levels))
        hit[found] = True
        if not found:
            odd.append(str(value))
    return hit[codes], odd


def _blanked(table: Table, name: str, rows: np.ndarray):
    import pyarrow.compute as pc

    column = table.column(name).combine_chunks()
    return pc.call_function("if_else", [to_arrow(rows), None, column])
