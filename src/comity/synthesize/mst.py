"""MST: a tree of pairs, chosen at once (McKenna, Miklau and Sheldon 2021, "Winning the NIST contest").

Columns first, then the pairs that depend most, as a spanning tree, each edge by the exponential mechanism.
With a target every feature is counted together with it, and the tree's edges are pairs of features within
each class of the target (Friedman, Geiger and Goldszmidt 1997, tree-augmented naive Bayes): the published MST
knows no target and spends half its edges where a model to predict it learns nothing. That marginals with the
target come first is a public choice.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from comity.synthesize.graph import Clique
from comity.synthesize.looks import MODEL_CELLS, Looks
from comity.synthesize.model import Model, fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

COLUMNS, CLASSES, CHOICE = 0.10, 0.35, 0.10
"""Parts of mu squared: single columns, features with the target, choosing edges; edges get the rest."""


def mst(looks: Looks, *, bins: int) -> Model:
    """Spend the purse on a tree, and fit the model."""
    whole = looks.purse.whole
    looks.bin_columns(COLUMNS * whole, bins=bins)
    total, sizes, target = looks.total(), looks.sizes, looks.usable_target
    features = [at for at in looks.usable if at != target]
    edges: list[Clique] = []
    if len(features) > 1:
        if target is not None:
            for columns in looks.base:
                looks.measure(columns, CLASSES * whole / len(features))
        base = fit(sizes, looks.measured, total=total)
        edges = _tree(looks, base, features, CHOICE * whole / (len(features) - 1))
    looks.measure_all(edges or looks.base)
    return fit(sizes, looks.measured, total=total)


def _with(at: int, *more: int | None) -> Clique:
    return tuple(sorted({at, *(one for one in more if one is not None)}))


def _tree(looks: Looks, base: Model, features: list[int], price: float) -> list[Clique]:
    """A spanning tree of the features, edge by edge, the worst-fitting ones most likely (Kruskal).

    An edge that would make the model larger than it may be is none, and the tree falls apart there.
    """
    target = looks.usable_target
    counts = {
        (one, two): math.prod(base.sizes[at] for at in _with(one, two, target))
        for place, one in enumerate(features)
        for two in features[place + 1 :]
    }
    room = MODEL_CELLS - base.tree.cells(base.sizes)
    fitted = {pair: _independent(base, *pair, target) for pair, size in counts.items() if size <= room}
    group = {at: at for at in features}
    chosen: list[Clique] = []
    while len(chosen) < len(features) - 1:
        open_edges = [pair for pair in fitted if group[pair[0]] != group[pair[1]] and counts[pair] <= room]
        if not open_edges:
            break
        candidates = [(_with(*pair, target), fitted[pair]) for pair in open_edges]
        one, two = open_edges[looks.worst(candidates, price)]
        chosen.append(_with(one, two, target))
        room -= counts[one, two]
        joined = group[two]
        group = {at: group[one] if root == joined else root for at, root in group.items()}
    return chosen


def _independent(base: Model, one: int, two: int, target: int | None) -> NDArray[np.float64]:
    """What the marginal of two features (and the target) would be if nothing else bound them."""
    columns = _with(one, two, target)
    if target is None:
        return np.multiply.outer(_known(base, (one,)), _known(base, (two,))) / base.total
    letters = dict(zip(columns, "abc", strict=True))
    pairs = [_with(at, target) for at in (one, two)]
    per_class = _known(base, (target,))
    inverse = np.divide(1.0, per_class, out=np.zeros_like(per_class), where=per_class > 0)
    inputs = ",".join("".join(letters[c] for c in pair) for pair in pairs)
    return np.einsum(
        f"{inputs},{letters[target]}->abc", _known(base, pairs[0]), _known(base, pairs[1]), inverse
    )


def _known(model: Model, columns: Clique) -> NDArray[np.float64]:
    found = model.marginal(columns)
    if found is None:
        raise KeyError(columns)
    return found
