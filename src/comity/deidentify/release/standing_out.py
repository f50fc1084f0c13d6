"""Columns that are released as they are and single out rows, for the steward to be warned of.

Models look at classes of the quasi-identifiers. An exact date or amount beside them, nearly unique, is
protected by none of this: whoever happens to know it finds the row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from comity.data.classes import equivalence_classes, table_codes

if TYPE_CHECKING:
    from comity.data import Table

MANY: Final = 0.5
"""A column is told of from this share of unique rows on."""


def standing_out(released: Table, names: Sequence[str], as_they_are: Sequence[str]) -> list[str]:
    """A warning for each column that makes at least half of the released rows unique.

    Args:
        names: the quasi-identifiers.
        as_they_are: columns that are released without a change.
    """
    return [
        f"{alone:,} of the {released.rows:,} released rows are unique by the quasi-identifiers together with "
        f"'{name}', which is released as it is: whoever knows it finds the row. Make it a quasi-identifier, "
        "or drop it."
        for name in as_they_are
        if released.rows and (alone := _unique(released, [*names, name])) >= MANY * released.rows
    ]


def unchanged(before: Table, after: Table) -> list[str]:
    """Columns of which no more than half of the values were changed by a tool, such as noise or masking."""
    kept = []
    for name in after.names:
        if name not in before:
            continue
        old, new = before.column(name).to_pylist(), after.column(name).to_pylist()
        same = sum(one == other for one, other in zip(old, new, strict=False))
        if len(old) == len(new) and 2 * same >= len(new):
            kept.append(name)
    return kept


def _unique(table: Table, names: Sequence[str]) -> int:
    _, sizes = equivalence_classes(table_codes(table, names))
    return int(np.count_nonzero(sizes == 1))
