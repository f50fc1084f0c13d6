"""Microaggregation: groups of at least k similar rows, each value replaced by its group's mean or the like.

Groups are k-anonymous with respect to the columns that were aggregated together. The table is k-anonymous
only if those are all its quasi-identifiers: another one beside them tells rows of a group apart, and columns
aggregated in separate calls form separate groups. Like k-anonymity it does not hide what a group shares.

Sources: Domingo-Ferrer and Mateo-Sanz 2002 (MDAV); Domingo-Ferrer and Torra 2005 (MDAV-generic, ordinal and
nominal columns); Hansen and Mukherjee 2003 (the optimum for one column, a shortest path).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.columns.aggregate import means_of, medians_of, modes_of
from comity.deidentify.columns.grouping import mdav, optimal_groups
from comity.errors import BadTable, UsageError

if TYPE_CHECKING:
    from comity.data import Table

Floats = NDArray[np.float64]

METHODS: Final = ("mdav", "optimal")


@dataclass(frozen=True)
class Microaggregated:
    """A microaggregated table.

    Attributes:
        groups: (rows,) the group of each row.
        number, smallest, largest: of groups, and rows in one; between k and 2k - 1.
        within, total: sums of squares, within groups and in all, on scaled columns.
        loss: within / total: 0 loses nothing, 1 leaves one value per column.
        column_loss: the same by column.
        description: JSON for the manifest; it holds settings and the guarantee in words.
    """

    table: Table
    groups: NDArray[np.int64]
    number: int
    smallest: int
    largest: int
    within: float
    total: float
    loss: float
    column_loss: Mapping[str, float]
    description: Mapping[str, Any]


def microaggregate(
    table: Table,
    columns: Sequence[str],
    *,
    k: int,
    orders: Mapping[str, Sequence[str]] | None = None,
    how: str = "mean",
    method: str = "mdav",
) -> Microaggregated:
    """Replace columns by what groups of k to 2k - 1 similar rows have in common.

    Numbers become the group's mean (or median, by `how`), columns of whole numbers rounded to whole ones;
    texts with an order the (lower) median level; other texts the most frequent one, the first by code point
    if several are. Distances are Euclidean, numbers divided by their standard deviation, levels of an order
    spaced equally and divided likewise, other texts 0 or 1. The result is the same in every run.

    Args:
        columns: all quasi-identifiers, for the table to be k-anonymous.
        k: rows per group, 2 or more.
        orders: per ordinal column, its levels from first to last.
        method: "mdav", or "optimal" for the least sum of squares of one numeric or ordinal column.

    Raises:
        BadTable: private; for fewer than k rows, missing numbers, values that an order does not hold, whole
            numbers beyond 2^53, whose means would lose digits, or numbers too large to be added up.
        UsageError: for other arguments.
    """
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 2:
        raise UsageError(f"microaggregation takes a whole number k of 2 or more, not {k!r}")
    k = int(k)
    if method not in METHODS or how not in ("mean", "median") or not columns:
        raise UsageError(
            f"microaggregation takes columns, how 'mean' or 'median' and a method of "
            f"{', '.join(METHODS)}; it was given how={how!r}, method={method!r}"
        )
    if table.rows < k:
        raise BadTable(f"{table.source} has {table.rows} rows, and groups need {k}; lower k or add rows")
    known = orders or {}
    spaces = {name: _space(table, name, known.get(name)) for name in columns}
    points = np.concatenate(list(spaces.values()), axis=1)
    if method == "optimal" and points.shape[1] != 1:
        raise UsageError("the optimum is known for one numeric or ordinal column; use method='mdav'")
    groups = optimal_groups(points[:, 0], k) if method == "optimal" else mdav(points, k)
    column_within: dict[str, float] = {}
    changed = table
    for name in columns:
        changed = _replaced(changed, name, groups, known.get(name), how)
        column_within[name] = float(
            ((_space(table, name, known.get(name), changed) - spaces[name]) ** 2).sum()
        )
    totals = {name: float(((space - space.mean(axis=0)) ** 2).sum()) for name, space in spaces.items()}
    sizes = np.bincount(groups)
    within, total = sum(column_within.values()), sum(totals.values())
    description = {
        "kind": "microaggregation",
        "columns": list(columns),
        "k": k,
        "how": how,
        "method": method,
        "orders": {name: list(levels) for name, levels in known.items() if name in columns},
        "guarantee": (
            f"Every combination of {', '.join(columns)} occurs at least {k} times. That is k-anonymity only "
            "if no other column helps to identify; it does not hide what a group's rows share."
        ),
    }
    return Microaggregated(
        table=changed,
        groups=groups,
        number=len(sizes),
        smallest=int(sizes.min()),
        largest=int(sizes.max()),
        within=within,
        total=total,
        loss=within / total if total else 0.0,
        column_loss={name: column_within[name] / totals[name] if totals[name] else 0.0 for name in columns},
        description=description,
    )


def _space(table: Table, name: str, order: Sequence[str] | None, changed: Table | None = None) -> Floats:
    """(rows, d) coordinates of a column of `changed` (or `table`), scaled as `table` is."""
    looked_at = changed or table
    if order is not None:
        place = {level: float(rank) for rank, level in enumerate(order)}
        rank = _ranks(table, name, place)
        now = rank if changed is None else _ranks(changed, name, place)
        return (now / (rank.std() or 1.0))[:, None]
    if table.type(name).is_numeric:
        numbers = table.numbers(name)
        if np.isnan(numbers).any():
            raise BadTable(
                f"'{name}' misses {int(np.isnan(numbers).sum())} numbers, which no mean replaces; "
                "fill them in, drop those rows, or generalise the column instead"
            )
        _require_exact(table, name, numbers)
        return (looked_at.numbers(name) / (numbers.std() or 1.0))[:, None]
    _, levels = table.levels(name)
    codes, values = looked_at.levels(name)
    place_of = {level: at for at, level in enumerate(levels)}
    translated = np.array([place_of[value] for value in values] + [len(levels)], dtype=np.int64)[codes]
    # two different texts lie at distance 1; a missing one is a text of its own
    return np.eye(len(levels) + 1)[translated] / np.sqrt(2)


def _require_exact(table: Table, name: str, numbers: Floats) -> None:
    """Refuse numbers with which means and distances would be wrong without a word."""
    largest = float(np.abs(numbers).max(initial=0.0))
    if table.type(name) == "integer" and largest >= 2**53:
        raise BadTable(
            f"'{name}' holds whole numbers beyond 2^53, whose means would lose digits; leave an "
            "identifier out, divide anything else"
        )
    if largest > 1e150 / max(1, len(numbers)):
        raise BadTable(f"'{name}' holds numbers too large to be added up and squared; scale them")


def _ranks(table: Table, name: str, place: Mapping[str, float]) -> Floats:
    codes, levels = table.levels(name)
    odd = [level for level in levels if level not in place]
    if odd or bool((codes < 0).any()):
        raise BadTable(
            f"the order of '{name}' does not hold {', '.join(map(repr, odd[:5])) or 'missing values'}; "
            "add them to the order, or leave the order out"
        )
    return np.array([place[level] for level in levels])[codes]


def _replaced(
    table: Table, name: str, groups: NDArray[np.int64], order: Sequence[str] | None, how: str
) -> Table:
    import pyarrow as pa

    from comity.data.arrays import to_arrow

    sizes = np.bincount(groups)
    if order is not None:
        ranks = _ranks(table, name, {level: float(rank) for rank, level in enumerate(order)})
        middle = medians_of(groups, ranks, sizes, lower=True).astype(np.int64)
        return table.with_column(name, pa.chunked_array([pa.array([order[at] for at in middle[groups]])]))
    if not table.type(name).is_numeric:
        texts = modes_of(groups, np.array(table.strings(name), dtype=object))
        return table.with_column(name, pa.chunked_array([pa.array(texts.tolist(), pa.string())]))
    numbers = table.numbers(name)
    means = means_of(groups, numbers, sizes) if how == "mean" else medians_of(groups, numbers, sizes)
    new = means[groups]
    whole = table.type(name) == "integer"
    return table.with_column(
        name, pa.chunked_array([to_arrow(np.rint(new).astype(np.int64) if whole else new)])
    )
