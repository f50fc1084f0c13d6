"""What an agreement may say, but what those who sign it should have thought about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from comity.agreement.text import Path
from comity.schema import Column, Dates, HierarchyRule, Role

if TYPE_CHECKING:
    from comity.agreement.terms import Agreement


def cautions(agreement: Agreement) -> Iterator[tuple[Path, str]]:
    """Places and what will come of them; nothing if there is nothing to think about."""
    yield from _two_releases(agreement)
    for place, reason in unusable_columns(agreement):
        yield place, f"comity node load refuses this column: it {reason}"


def _two_releases(agreement: Agreement) -> Iterator[tuple[Path, str]]:
    """One release without differential privacy per lineage: of two clauses one will be of use."""
    allowed = agreement.architectures
    if allowed.direct_release is None or allowed.mediated_release is None:
        return
    names = ", ".join(f"'{data.provider}'" for data in agreement.data)
    yield (
        ("architectures",),
        f"direct-release and mediated-release both release the data of {names} without differential privacy, "
        "and a lineage has one such release: whichever comes second is refused. Keep the one that you mean",
    )


def unusable_columns(agreement: Agreement) -> Iterator[tuple[Path, str]]:
    """Columns that no node can load, since their bounds or levels are not in the agreement."""
    for index, data in enumerate(agreement.data):
        for name, column in data.columns.items():
            missing = missing_bounds(column)
            if missing is not None:
                yield ("data", index, "columns", name), missing


def missing_bounds(column: Column) -> str | None:
    """What a column lacks to be loaded at a node, and what to do about it; None if nothing.

    Bounds and levels come from the schema: taken from the rows they would tell of them.
    """
    if column.role is Role.identifier:
        return None
    if column.type.is_numeric:
        if column.min is None or column.max is None:
            return "needs 'min' and 'max', the same for all parties"
        return None
    if column.values is not None:
        return None
    rule = column.hierarchy.dates if isinstance(column.hierarchy, HierarchyRule) else None
    if rule is not None:
        return _about_dates(rule)
    return "needs 'values', the same for all parties"


def _about_dates(rule: Dates) -> str:
    return (
        f"holds dates from {rule.first} to {rule.last} as text without 'values', which nodes do not compute "
        "with; turn it into a number with public bounds, such as the year or the days since a fixed day, or "
        "list its dates as 'values'"
    )
