"""Reference tables: the rows of each key, whether they agree, and how many keys share attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from comity.data import Table


LONG: Final = 5
"""A key of fewer signs may stand in an attribute by chance."""

COPIED: Final = 0.05
"""An attribute that repeats more of the long keys than this, or half of the short ones, is a copy."""


def copied(
    keys: Sequence[str | None], values: Sequence[str | None], normalised: Callable[[str], str]
) -> float:
    """The share of rows in which an attribute repeats the key; 0 where no more than chance would.

    Keys and values are compared as `normalised` writes them, without leading zeros. A key of `LONG` signs or
    more is also repeated where the value only contains it ("https://register/0123456789").
    """
    long, short = [], []
    for key, value in zip(keys, values, strict=True):
        own, other = (key or "").lstrip("0"), normalised(value or "").lstrip("0")
        if not own or not other:
            continue
        if len(own) >= LONG:
            long.append(own in other)
        else:
            short.append(own == other)
    shares = [
        sum(found) / len(found)
        for found, most in ((long, COPIED), (short, 0.5))
        if found and (sum(found) > most * len(found) or all(found))
    ]
    return max(shares, default=0.0)


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
