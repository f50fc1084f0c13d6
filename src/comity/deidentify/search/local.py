"""Levels that differ by class (local recoding): a far lower loss than one level per column.

Nodes of the lattice are taken in order of what they cost a row on average, cheapest first. At each node the
rows still unplaced are grouped; every group that satisfies the models becomes a class with the labels that
just cover it. What remains in the end is suppressed, or, where that is over the limit, joined by the dearest
classes until all of it together satisfies. Where k-anonymity is all that is asked for, tuples then move
between classes as long as that helps (`refine.py`). The result is the same every time, and never loses more
than the global optimum, which is returned instead where it is better.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from comity.deidentify.models.class_models import KAnonymity, PrivacyModel
from comity.deidentify.search.evaluate import Evaluator, Node
from comity.deidentify.search.loss import Loss
from comity.deidentify.search.refine import Costs, Refinement, fits
from comity.deidentify.search.score import Found
from comity.deidentify.search.tuples import Tuples, added, combine, dense

_MOST_NODES = 10_000
"""A larger lattice is thinned: of its nodes, those that lower this many combinations of levels."""
_UNEVEN = 2


@dataclass(frozen=True)
class Placed:
    """Classes with levels of their own.

    Attributes:
        of_tuple: the class of each tuple; -1 if its rows are suppressed.
        levels: (classes, quasi-identifiers) level of each class's label.
        sizes: rows per class.
        suppressed: rows suppressed.
        losses: loss per attribute in units of 1e-10.
    """

    of_tuple: NDArray[np.int64]
    levels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    suppressed: int
    losses: tuple[int, ...]


def best_placed(
    tuples: Tuples,
    models: Sequence[PrivacyModel],
    limit: int,
    loss: Loss,
    found: Found | None,
    ranges: Sequence[tuple[int, int]],
) -> Placed | None:
    """The better of two placements: free, and within the classes of the global optimum.

    The second serves models of sensitive columns, where placing freely leaves rows that satisfy nothing
    together.

    Args:
        ranges: per quasi-identifier, the lowest and highest level allowed, of every class.
    """
    low, top = tuple(low for low, _ in ranges), tuple(high for _, high in ranges)
    everything = np.ones(len(tuples.counts), dtype=bool)
    options = [place(tuples, models, limit, loss, low, top, everything)]
    if found is not None and any(model.sensitive is not None for model in models):
        kept = everything.copy()
        kept[found.evaluation.violating()] = False
        options.append(place(tuples, models, limit, loss, low, found.evaluation.node, kept))
    made = [placed for placed in options if placed is not None]
    best = min(made, key=lambda placed: loss.score(placed.losses), default=None)
    return best if best is None else _refined(tuples, models, loss, ranges, best)


def _refined(
    tuples: Tuples,
    models: Sequence[PrivacyModel],
    loss: Loss,
    ranges: Sequence[tuple[int, int]],
    placed: Placed,
) -> Placed:
    """A placement after `Refinement`, where that knows the models and its tables fit in memory."""
    wanted = [model.k for model in models if isinstance(model, KAnonymity)]
    if len(wanted) < len(models) or len(placed.sizes) < 2 or not fits(tuples.hierarchies, len(placed.sizes)):
        return placed
    costs = [
        Costs.of(hierarchy, weight / max(loss.weights), low, high)
        for hierarchy, weight, (low, high) in zip(tuples.hierarchies, loss.weights, ranges, strict=True)
    ]
    moved = Refinement(tuples.codes, tuples.counts, costs, placed.of_tuple, max(wanted)).run()
    refined = summed(tuples, moved, loss, [low for low, _ in ranges])
    return min(placed, refined, key=lambda option: loss.score(option.losses))


def place(
    tuples: Tuples,
    models: Sequence[PrivacyModel],
    limit: int,
    loss: Loss,
    low: Node,
    top: Node,
    kept: NDArray[np.bool_],
) -> Placed | None:
    """Put tuples into classes with levels of their own, none below `low` or above `top`.

    Args:
        kept: the tuples to place; the others stay suppressed and count toward the limit.

    Returns:
        None if more than `limit` rows would have to be suppressed.
    """
    evaluator = Evaluator(tuples, models)
    of_tuple = np.full(len(tuples.counts), -1, dtype=np.int64)
    left = np.flatnonzero(kept)
    made = 0
    for node in nodes_by_cost(tuples, loss, low, top):
        if not len(left):
            break
        ids, good = evaluator.group(node, left)
        chosen = good[ids]
        if chosen.any():
            names = np.cumsum(good) - 1
            of_tuple[left[chosen]] = made + names[ids[chosen]]
            made += int(good.sum())
            left = left[~chosen]
    room = limit - int(tuples.counts[~kept].sum())
    if int(tuples.counts[left].sum()) > room:
        _join(tuples, evaluator, of_tuple, left, room, top)
    placed = summed(tuples, of_tuple, loss, low)
    return placed if placed.suppressed <= limit else None


def _join(
    tuples: Tuples,
    evaluator: Evaluator,
    of_tuple: NDArray[np.int64],
    left: NDArray[np.int64],
    room: int,
    top: Node,
) -> None:
    """Join what is left under each label of `top` with classes there, the last made and dearest first, until
    it satisfies the models or no class is left to join."""
    placed = np.flatnonzero(of_tuple >= 0)
    everything = np.concatenate([placed, left])
    heads, _ = evaluator.group(top, everything)
    head = np.full(len(of_tuple), -1, dtype=np.int64)
    head[everything] = heads
    rank = _ranks(of_tuple[placed], head[placed])
    opened = 0
    while len(left):
        ids, good = evaluator.group(top, left)
        bad = left[~good[ids]]
        last = opened > rank.max(initial=-1)
        if last or int(tuples.counts[bad].sum()) <= room:
            of_tuple[left] = np.where(good[ids], len(of_tuple) + head[left], -1)
            return
        step = 2 * opened + 1
        troubled = np.isin(head[placed], head[bad])
        opening = placed[troubled & (rank < step) & (of_tuple[placed] >= 0)]
        left = np.concatenate([left, opening])
        of_tuple[opening] = -1
        opened = step


def _ranks(classes: NDArray[np.int64], heads: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each tuple, how many classes under the same head were made after its own."""
    order = np.lexsort((-classes, heads))
    new_head = np.r_[True, heads[order][1:] != heads[order][:-1]]
    new_class = np.r_[True, classes[order][1:] != classes[order][:-1]] | new_head
    running = np.cumsum(new_class)
    first = np.maximum.accumulate(np.where(new_head, running, 0))
    ranks = np.empty(len(classes), dtype=np.int64)
    ranks[order] = running - first
    return ranks


def nodes_by_cost(tuples: Tuples, loss: Loss, low: Node, top: Node) -> list[Node]:
    """All nodes from `low` to `top`, by the sum of squares of what a row loses there on average, attribute by
    attribute; large lattices are thinned. Squares put nodes that lose a little everywhere before those that
    lose one attribute whole: on Adult that ends lower than the plain sum at every k tried (5 to 20)."""
    costs = []
    for codes, hierarchy, importance in zip(tuples.codes, tuples.hierarchies, loss.weights, strict=True):
        leaves = len(hierarchy.rows)
        weight = importance * tuples.counts / (tuples.rows * max(1, leaves - 1))
        costs.append([float(weight @ (covered[codes] - 1)) for covered in hierarchy.covered])
    kept = [list(range(first, last + 1)) for first, last in zip(low, top, strict=True)]
    while np.prod([float(len(levels)) for levels in kept]) > _MOST_NODES:
        longest = max(range(len(kept)), key=lambda j: len(kept[j]))
        kept[longest] = [*kept[longest][:-1][::2], kept[longest][-1]]
    nodes = list(itertools.product(*kept))
    total = np.zeros(len(nodes))
    grid = np.array(nodes)
    for j, levels in enumerate(costs):
        total += np.array(levels)[grid[:, j]] ** _UNEVEN
    return [nodes[i] for i in np.argsort(total, kind="stable")]


def summed(tuples: Tuples, of_tuple: NDArray[np.int64], loss: Loss, low: Sequence[int]) -> Placed:
    """Renumber classes, give each the lowest levels that cover it, none below `low`, and add up the loss."""
    inside = np.flatnonzero(of_tuple >= 0)
    _, numbers = np.unique(of_tuple[inside], return_inverse=True)
    classes = int(numbers.max(initial=-1)) + 1
    order = np.argsort(numbers, kind="stable")
    members, owners = inside[order], numbers[order]
    starts = np.flatnonzero(np.r_[True, owners[1:] != owners[:-1]]) if classes else np.zeros(0, np.int64)
    sizes = np.bincount(numbers, weights=tuples.counts[inside], minlength=classes).astype(np.int64)
    suppressed = tuples.rows - int(sizes.sum())
    levels = np.zeros((classes, len(tuples.codes)), dtype=np.int64)
    losses = []
    for j, (codes, hierarchy) in enumerate(zip(tuples.codes, tuples.hierarchies, strict=True)):
        leaves = codes[members]
        if classes:
            for labels in hierarchy.codes:
                found = labels[leaves]
                levels[:, j] += np.maximum.reduceat(found, starts) != np.minimum.reduceat(found, starts)
        np.maximum(levels[:, j], low[j], out=levels[:, j])
        covered = np.stack(hierarchy.covered)
        mass = int(sizes @ covered[levels[:, j], leaves[starts]]) if classes else 0
        losses.append(loss.attribute(j, mass + suppressed * loss.leaves[j]))
    of_class = np.full(len(of_tuple), -1, dtype=np.int64)
    of_class[inside] = numbers
    return Placed(of_class, levels, sizes, suppressed, tuple(losses))


def shown_sizes(tuples: Tuples, placed: Placed) -> NDArray[np.int64]:
    """Rows of the classes that a reader of the release can tell apart: those whose labels read the same are
    one, though the labels be of different levels. Merged, classes satisfy the models as they did apart."""
    owners = placed.of_tuple[placed.of_tuple >= 0]
    columns, widths = [], []
    for j, (codes, hierarchy) in enumerate(zip(tuples.codes, tuples.hierarchies, strict=True)):
        names: dict[str | None, int] = {}
        table = np.stack(
            [
                np.array([names.setdefault(label, len(names)) for label in labels], dtype=np.int64)[of_leaf]
                for labels, of_leaf in zip(hierarchy.labels, hierarchy.codes, strict=True)
            ]
        )
        columns.append(table[placed.levels[owners, j], codes[placed.of_tuple >= 0]])
        widths.append(len(names))
    places, number = dense(combine(columns, widths)[0])
    return added(places, tuples.counts[placed.of_tuple >= 0], number)
