"""Reference tables: the rows of each key, whether they agree, and how many keys share attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from comity.data import Table


def first_rows(keys: Sequence[str | None]) -> tuple[dict[str, int], dict[int, list[int]]]:
    """The first row of each key, and per first row all rows of keys that occur more than once."""
    row_of: dict[str, int] = {}
    repeated: dict[int, list[int]] = {}
    for row, key in enumerate(keys):
        if key is None:
            continue
        first = row_of.setdefault(key, row)
        if first != row:
            repeated.setdefault(first, [first]).append(row)
    return row_of, repeated


def merged(
    reference: Table,
    attributes: Sequence[str],
    keys: Sequence[str | None],
    row_of: Mapping[str, int],
    repeated: Mapping[int, Sequence[int]],
) -> tuple[dict[str, NDArray[np.int64]], list[str], dict[str, int], int]:
    """Per attribute the row to take each first row's value from (-1: they differ), and what differs."""
    sources: dict[str, NDArray[np.int64]] = {}
    differing: dict[str, int] = {}
    odd: set[int] = set()
    for name in attributes:
        source = np.arange(reference.rows)
        codes, _ = reference.levels(name)
        differing[name] = 0
        for first, rows in repeated.items():
            known = [row for row in rows if codes[row] >= 0]
            values = {int(codes[row]) for row in known}
            if len(values) > 1:
                source[first] = -1
                differing[name] += 1
                odd.add(first)
            elif known:
                source[first] = known[0]
        sources[name] = source
    agreeing = sum(len(rows) - 1 for first, rows in repeated.items() if first not in odd)
    return sources, [keys[first] or "" for first in sorted(odd)], differing, agreeing


def first_known(
    source: NDArray[np.int64], repeated: Mapping[int, Sequence[int]], reference: Table, name: str
) -> NDArray[np.int64]:
    """Sources with conflicts resolved to the first row that has a value."""
    gone = reference.missing(name)
    resolved = source.copy()
    for first, rows in repeated.items():
        if resolved[first] < 0:
            resolved[first] = next(row for row in rows if not gone[row])
    return resolved


def keys_sharing(reference: Table, attributes: Sequence[str], row_of: Mapping[str, int]) -> NDArray[np.int64]:
    """(reference rows,) how many keys have the same attributes; 0 in rows that are no key's first."""
    rows = np.fromiter(row_of.values(), dtype=np.int64, count=len(row_of))
    combined = np.zeros(len(rows), dtype=np.int64)
    for name in attributes:
        codes, levels = reference.levels(name)
        _, combined = np.unique(combined * (len(levels) + 1) + codes[rows] + 1, return_inverse=True)
    sharing = np.zeros(reference.rows, dtype=np.int64)
    if len(rows):
        sharing[rows] = np.bincount(combined)[combined]
    return sharing
