"""Rows out of a model: clique by clique, each row's columns given those it has already.

Numbers of rows are rounded rather than drawn: the rows that share a clique's separator are spread evenly over
its conditional distribution, so that a table's counts lie within about a row of the model's. Everything is
post-processing; chance comes from the operating system, since a seed would promise nothing (the noise that
the model was fitted to has none).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from comity.noise import permutation, uniform_below

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from comity.synthesize.model import Model


def uniform(count: int) -> NDArray[np.float64]:
    """(count,) numbers in [0, 1), 53 bits each."""
    return uniform_below(1 << 53, count).astype(np.float64) * 2.0**-53


def rows_of(model: Model, rows: int) -> NDArray[np.uint16]:
    """(rows, columns) codes drawn from the model, column-major."""
    made = np.zeros((rows, len(model.sizes)), dtype=np.uint16, order="F")
    if rows == 0:
        return made
    for at, clique in enumerate(model.tree.cliques):
        given = model.tree.separators[at]
        new = tuple(column for column in clique if column not in given)
        belief = np.moveaxis(
            model.beliefs[at], [clique.index(c) for c in (*given, *new)], range(len(clique))
        ).reshape(math.prod(model.sizes[c] for c in given), -1)
        drawn = _spread_out(belief, _ravelled(made, given, model.sizes))
        for column, values in zip(new, np.unravel_index(drawn, [model.sizes[c] for c in new]), strict=True):
            made[:, column] = values
    return made


def _ravelled(
    made: NDArray[np.uint16], columns: tuple[int, ...], sizes: tuple[int, ...]
) -> NDArray[np.int64]:
    at = np.zeros(len(made), dtype=np.int64)
    for column in columns:
        at = at * sizes[column] + made[:, column]
    return at


def _spread_out(weights: NDArray[np.float64], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """(rows,) a place in each row's group's distribution, rows of a group spread evenly over it.

    Args:
        weights: (groups, places), 0 or more; a group of zeros only is taken as even.
        groups: (rows,) the group of each row.
    """
    counts = np.bincount(groups, minlength=len(weights))
    # in a fresh order, so that columns of other cliques stay independent of these
    order = permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    first = np.cumsum(counts) - counts
    sorted_groups = groups[order]
    rank = np.arange(len(groups)) - first[sorted_groups]
    share = (rank + uniform(len(groups))) / counts[sorted_groups]
    empty = weights.sum(axis=1) <= 0
    filled = np.where(empty[:, None], 1.0, weights)
    steps = np.cumsum(filled, axis=1) / filled.sum(axis=1, keepdims=True)
    steps[:, -1] = 1.0
    flat = (steps + np.arange(len(weights))[:, None]).ravel()
    places = np.searchsorted(flat, sorted_groups + share, side="right") - sorted_groups * weights.shape[1]
    drawn = np.empty(len(groups), dtype=np.int64)
    drawn[order] = np.clip(places, 0, weights.shape[1] - 1)
    return drawn
