"""Splits of rows: held-out rows and seed rows, both a function of the seed alone.

These choices protect nothing; they only have to be the same in every run with the same seed. Each kind of
split draws from its own stream, so that one more draw in one of them does not move the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from comity.errors import BadTable, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

HOLD_OUT_SHARE = 0.2
SEED_ROWS = 200

_HOLD_OUT_STREAM = 1
_SEED_ROWS_STREAM = 2
_PARTS_STREAM = 3


def hold_out(
    labels: NDArray[np.integer], *, seed: int, stream: int = 0, share: float = HOLD_OUT_SHARE
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split one provider's rows into training rows and held-out rows, stratified by label.

    Args:
        labels: (rows,) 0 or 1.
        seed: of the run.
        stream: the provider's place among the providers, so that they do not share draws.
        share: of each class that is held out, rounded to the nearest row, between 0 and 1 exclusive. A class
            of at least two rows has at least one on either side.

    Returns:
        Indices of the training rows and of the held-out rows, each ascending.

    Raises:
        UsageError: if `share` is out of range.
    """
    if not 0 < share < 1:
        raise UsageError(f"the share of rows to hold out lies between 0 and 1, not {share:g}")
    labels = np.asarray(labels)
    generator = np.random.default_rng([seed, _HOLD_OUT_STREAM, stream])
    held = np.zeros(len(labels), dtype=bool)
    for level in np.unique(labels):
        rows = np.flatnonzero(labels == level)
        count = round(share * len(rows))
        if len(rows) > 1:
            count = min(max(count, 1), len(rows) - 1)
        held[generator.permutation(rows)[:count]] = True
    return np.flatnonzero(~held), np.flatnonzero(held)


def hold_out_people(
    labels: NDArray[np.integer],
    people: Sequence[object],
    *,
    seed: int,
    stream: int = 0,
    share: float = HOLD_OUT_SHARE,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """As `hold_out`, with all rows of a person on the same side.

    People are drawn, not rows, stratified by whether any row of theirs has label 1. Where everybody has one
    row it is the same draw.

    Args:
        people: (rows,) whose row each one is.
    """
    known: dict[object, int] = {}
    codes = np.fromiter((known.setdefault(one, len(known)) for one in people), np.int64, len(people))
    any_positive = np.zeros(len(known), dtype=np.int64)
    np.maximum.at(any_positive, codes, np.asarray(labels, dtype=np.int64))
    held = np.isin(codes, hold_out(any_positive, seed=seed, stream=stream, share=share)[1])
    return np.flatnonzero(~held), np.flatnonzero(held)


def seed_rows(
    labels: Sequence[NDArray[np.integer]],
    *,
    seed: int,
    count: int = SEED_ROWS,
    people: Sequence[Sequence[object]] | None = None,
) -> list[NDArray[np.int64]]:
    """Choose the rows that the ML party may start with: at random from all providers' training rows.

    If chance leaves out a class, one of its rows takes the place of the last one drawn.

    Args:
        labels: per provider, (rows,) 0 or 1, of the training rows only.
        seed: of the run.
        count: rows in total, at least 2.
        people: per provider, (rows,) whose row each one is: people are drawn then, each with all rows, but
            for the last one of whom there may be more than `count` has room for. Where everybody has one row
            it is the same draw.

    Returns:
        Per provider, ascending indices into its training rows.

    Raises:
        UsageError: if `count` is below 2.
        BadTable: if there are not enough rows, or they have one class only.
    """
    if count < 2:
        raise UsageError(f"at least 2 seed rows are needed, one of each class; {count} were asked for")
    together = (
        np.concatenate([np.asarray(part) for part in labels]) if labels else np.zeros(0, dtype=np.int64)
    )
    if len(together) <= count:
        raise BadTable(
            f"{count} seed rows are asked for, but the providers have {len(together)} training rows "
            "together; lower --seed-rows or bring more rows"
        )
    order = np.random.default_rng([seed, _SEED_ROWS_STREAM]).permutation(len(together))
    if people is not None:
        order = _one_after_another(order, [one for part in people for one in part])
    chosen, rest = order[:count].copy(), order[count:]
    if len(np.unique(together)) < 2:
        raise BadTable("the providers' training rows have one class only; a model needs rows of two classes")
    if len(np.unique(together[chosen])) < 2:
        chosen[-1] = rest[np.argmax(together[rest] != together[chosen[0]])]
    ends = np.cumsum([0, *(len(part) for part in labels)])
    chosen.sort()
    return [chosen[(chosen >= start) & (chosen < end)] - start for start, end in pairwise(ends)]


def _one_after_another(order: NDArray[np.int64], people: Sequence[object]) -> NDArray[np.int64]:
    """Rows in order of the first row of whom they are, so that a person's rows stand together."""
    known: dict[object, int] = {}
    codes = np.fromiter((known.setdefault(one, len(known)) for one in people), np.int64, len(people))[order]
    first = np.full(len(known), len(order))
    np.minimum.at(first, codes, np.arange(len(order)))
    return order[np.argsort(first[codes], kind="stable")]


def parts(rows: int, shares: Sequence[float], *, seed: int) -> list[NDArray[np.int64]]:
    """Deal rows out at random to several holders, without overlap.

    Args:
        rows: how many there are.
        shares: of each holder, all positive; they are scaled to sum to 1.
        seed: of the run.

    Returns:
        Per holder, ascending row indices; together they are all rows.

    Raises:
        UsageError: if a share is not positive, or a holder would get no row.
    """
    if not shares or min(shares) <= 0:
        raise UsageError("every holder needs a positive share of the rows")
    ends = np.round(np.cumsum(shares) / np.sum(shares) * rows).astype(np.int64)
    starts = np.concatenate([[0], ends[:-1]])
    if (ends <= starts).any():
        raise UsageError(f"{rows} rows are too few for {len(shares)} holders with these shares")
    order = np.random.default_rng([seed, _PARTS_STREAM]).permutation(rows)
    return [np.sort(order[start:end]) for start, end in zip(starts, ends, strict=True)]
