"""Whether hierarchies hold every value of a table: all columns looked at before anything is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from comity.deidentify.hierarchies.hierarchy import Hierarchy, shown
from comity.errors import BadTable


def absent_values(hierarchies: Mapping[str, Hierarchy], table: Any) -> dict[str, list[str]]:
    """The values that hierarchies do not hold, by column; columns whose hierarchy is complete are left out.

    Args:
        hierarchies: by column.
        table: a `Table`, or any frame that narwhals reads.

    Returns:
        Per column its distinct values without a row, as texts in order of first appearance. Missing values
        are never among them: they get a leaf of their own.

    Raises:
        BadTable: if the table lacks one of the columns.
    """
    from comity.deidentify.search.frames import Frame

    frame = Frame(table, {name: hierarchy.texts for name, hierarchy in hierarchies.items()})
    lacking = [name for name in hierarchies if name not in frame.columns]
    if lacking:
        raise BadTable(
            f"the table has no column {', '.join(map(repr, lacking))}, for which there is a hierarchy; its "
            f"columns are {', '.join(map(str, frame.columns))}",
            private=False,
        )
    found = {name: hierarchy.absent(frame.coded(name).values) for name, hierarchy in hierarchies.items()}
    return {name: values for name, values in found.items() if values}


def require_complete(hierarchies: Mapping[str, Hierarchy], table: Any) -> None:
    """Refuse a table with values that a hierarchy does not hold, naming those of all columns at once.

    Raises:
        BadTable: private, since it names values; or if the table lacks a column.
    """
    absent = absent_values(hierarchies, table)
    if absent:
        lines = "; ".join(f"'{name}' has no row for {shown(values)}" for name, values in absent.items())
        raise BadTable(
            f"the hierarchies do not hold every value of the table: {lines}. Add rows for them, widen the "
            "bounds or code the ends (bottom, top), or correct the table"
        )
