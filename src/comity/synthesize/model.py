"""The model: of all distributions, the one of most entropy whose marginals fit what was measured.

A Markov random field on a junction tree (McKenna, Sheldon and Miklau 2019, "private-PGM"), fitted by
accelerated mirror descent (Auslender and Teboulle 2006): step along the gradient of the squared error in the
tree's potentials, work out all marginals by passing messages, and mix them with the earlier ones. It is what
`mbi` does, in numpy: mbi compiles anew for every structure, 5 s of CPU each on Adult, and AIM asks for a new
structure in every round. Tests hold the two against each other. Everything here is post-processing of noisy
counts.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from comity.synthesize.graph import Clique, JunctionTree, junction_tree

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

STEPS = 300
CLOSENESS = 0.65
"""Of the squared error that noise alone would leave, the part at which a fit is close enough: a model that
follows the counts further follows their noise (Gull and Skilling 1984 stop at all of it, which is too early
where the model has many numbers)."""
_STILL = 1e-4
_LOOK_BACK = 20
_NEVER = -700.0
"""The logarithm that stands for a chance of 0."""
_TINY = 1e-200
"""A part of a message, relative to its largest, that counts as none."""


@dataclass(frozen=True, eq=False)
class Measured:
    """A noisy marginal.

    Attributes:
        columns: ascending.
        values: counts with noise, one axis per column.
        deviations: standard deviation of each one's noise, the same shape or one number.
    """

    columns: Clique
    values: Floats
    deviations: Floats | float


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted distribution, in rows.

    Attributes:
        sizes: codes of each column.
        total: rows that it stands for.
        tree: its junction tree.
        potentials: logarithms, one array per clique.
        beliefs: the marginal of each clique, summing to `total`.
    """

    sizes: tuple[int, ...]
    total: float
    tree: JunctionTree
    potentials: tuple[Floats, ...]
    beliefs: tuple[Floats, ...]

    def marginal(self, columns: Clique) -> Floats | None:
        """The marginal of columns that stand in one clique, else None."""
        home = self.tree.home(columns, self.sizes)
        if home is None:
            return None
        return project(self.beliefs[home], self.tree.cliques[home], columns)

    def marginals_with(self, fixed: Clique) -> dict[Clique, Floats]:
        """For columns of one clique: their joint marginal with every clique, axes (fixed, then the others).

        Worked out from clique to clique: P(fixed, next) = P(fixed, separator) P(next) / P(separator).
        """
        start = self.tree.home(fixed, self.sizes)
        if start is None:
            raise KeyError(fixed)
        around: list[list[int]] = [[] for _ in self.tree.cliques]
        for child, parent in enumerate(self.tree.parents):
            if parent >= 0:
                around[child].append(parent)
                around[parent].append(child)
        joint = {start: self.beliefs[start]}
        axes = {start: self.tree.cliques[start]}
        waiting = [start]
        while waiting:
            at = waiting.pop()
            for other in around[at]:
                if other not in joint:
                    joint[other], axes[other] = self._across(joint[at], axes[at], fixed, other)
                    waiting.append(other)
        for other in range(len(self.tree.cliques)):
            if other not in joint:  # another tree of the forest: independent
                joint[other], axes[other] = self._across(joint[start], axes[start], fixed, other)
        return {
            clique: project(joint[at], axes[at], tuple(sorted(set(fixed) | set(clique))))
            for at, clique in enumerate(self.tree.cliques)
        }

    def _across(self, known: Floats, axes: Clique, fixed: Clique, other: int) -> tuple[Floats, Clique]:
        clique = self.tree.cliques[other]
        shared = tuple(sorted((set(axes) | set(fixed)) & set(clique)))
        kept = tuple(sorted(set(fixed) | set(shared)))
        outer = project(known, axes, kept)
        belief = self.beliefs[other]
        inner = project(belief, clique, shared)
        every = tuple(sorted(set(kept) | set(clique)))
        ratio = _divided(outer, _spread(inner, shared, kept))
        return _spread(ratio, kept, every) * _spread(belief, clique, every), every


def project(belief: Floats, clique: Clique, columns: Clique) -> Floats:
    """The marginal of some of a clique's columns (ascending)."""
    return belief.sum(axis=tuple(at for at, column in enumerate(clique) if column not in columns))


def fit(
    sizes: Sequence[int],
    measured: Sequence[Measured],
    *,
    total: float,
    start: Model | None = None,
    steps: int = STEPS,
    closeness: float = CLOSENESS,
) -> Model:
    """Fit the model to what was measured.

    Args:
        sizes: codes of each column.
        measured: noisy marginals; cliques of the model are theirs and what the tree needs besides.
        total: rows it stands for, above 0.
        start: a model of fewer marginals to go on from.
        steps: most steps of the descent; it ends where 20 of them lower the error by less than 1 in 10^4.
        closeness: it ends as well where the error is this part of what noise alone would leave; 0: never.
    """
    given = tuple(int(size) for size in sizes)
    tree = junction_tree(given, [one.columns for one in measured])
    loss = _Loss(tree, given, measured)
    potentials = _carried(tree, given, start)
    mixed = ahead = calibrate(tree, potentials, total)
    error, _ = loss(mixed)
    errors = [error]
    pace = 1.0 / loss.steepest
    scaled = pace  # the method's weight times its pace: after a step it is the share's square
    enough = closeness * sum(one.values.size for one in measured) / 2
    for _ in range(steps):
        if error <= enough:
            break
        share = _share(scaled)
        _, gradient = loss(_between(mixed, ahead, share))
        step = pace / (share * total)
        tried = [p - step * g for p, g in zip(potentials, gradient, strict=True)]
        further = calibrate(tree, tried, total)
        nearer = _between(mixed, further, share)
        new_error, _ = loss(nearer)
        if not new_error <= error:  # too fast: begin again from here, more slowly
            potentials, ahead, pace = potentials_of(tree, mixed), mixed, pace / 2
            scaled = pace
            errors.append(error)
            continue
        potentials, ahead, mixed, error = tried, further, nearer, new_error
        scaled = share * share
        errors.append(error)
        if len(errors) > _LOOK_BACK and errors[-1 - _LOOK_BACK] - error < _STILL * error:
            break
    return Model(given, total, tree, tuple(potentials_of(tree, mixed)), tuple(mixed))


def _share(scaled: float) -> float:
    """The root of share^2 = scaled (1 - share), in (0, 1]: 1 where noise is so large that it rounds to that.

    Written without 1 - share, which is 0 then, and without a difference of large numbers.
    """
    return 2 / (1 + math.sqrt(1 + 4 / scaled))


def _between(one: Sequence[Floats], two: Sequence[Floats], share: float) -> list[Floats]:
    return [(1 - share) * a + share * b for a, b in zip(one, two, strict=True)]


def potentials_of(tree: JunctionTree, beliefs: Sequence[Floats]) -> list[Floats]:
    """Potentials of the field with these marginals: each clique's chances given what its parent shares.

    Marginals of one distribution stay that where they are mixed, so that this is exact.
    """
    found: list[Floats] = []
    for at, belief in enumerate(beliefs):
        shared = project(belief, tree.cliques[at], tree.separators[at])
        ratio = _divided(belief, _spread(shared, tree.separators[at], tree.cliques[at]))
        found.append(np.log(ratio, out=np.full(ratio.shape, _NEVER), where=ratio > 0))
    return found


class _Loss:
    """Half the squared error of the marginals over their noise, and its gradient in the beliefs."""

    def __init__(self, tree: JunctionTree, sizes: tuple[int, ...], measured: Sequence[Measured]) -> None:
        self._terms: list[tuple[int, Clique, Floats, Floats, tuple[int, ...]]] = []
        self._shapes = [tuple(sizes[c] for c in clique) for clique in tree.cliques]
        self._tree = tree
        curvature = np.zeros(len(tree.cliques))
        for one in measured:
            home = tree.home(one.columns, sizes)
            if home is None:
                continue
            clique = tree.cliques[home]
            weight = np.broadcast_to(1.0 / np.square(one.deviations), one.values.shape)
            shape = tuple(sizes[c] if c in one.columns else 1 for c in clique)
            self._terms.append((home, one.columns, one.values, weight, shape))
            curvature[home] += float(weight.max())
        self.steepest = max(float(curvature.max(initial=0.0)), 1e-300)

    def __call__(self, beliefs: Sequence[Floats]) -> tuple[float, list[Floats]]:
        error = 0.0
        gradient = [np.zeros(shape) for shape in self._shapes]
        for home, columns, values, weight, shape in self._terms:
            off = project(beliefs[home], self._tree.cliques[home], columns) - values
            pull = weight * off
            error += 0.5 * float(np.vdot(pull, off))
            gradient[home] += pull.reshape(shape)
        return error, gradient


def _carried(tree: JunctionTree, sizes: tuple[int, ...], start: Model | None) -> list[Floats]:
    """Potentials to start from: those of an earlier model where its cliques lie in this tree's."""
    potentials = [np.zeros(tuple(sizes[c] for c in clique)) for clique in tree.cliques]
    if start is None:
        return potentials
    for clique, known in zip(start.tree.cliques, start.potentials, strict=True):
        home = tree.home(clique, sizes)
        if home is not None:
            potentials[home] = potentials[home] + _spread(known, clique, tree.cliques[home])
    return potentials


def calibrate(tree: JunctionTree, potentials: Sequence[Floats], total: float) -> list[Floats]:
    """The marginal of every clique, by messages to the roots and back (Lauritzen and Spiegelhalter 1988)."""
    beliefs = [np.exp(p - p.max()) for p in potentials]
    up: list[Floats | None] = [None] * len(beliefs)
    for at in range(len(beliefs) - 1, -1, -1):
        parent = tree.parents[at]
        if parent >= 0:
            message = project(beliefs[at], tree.cliques[at], tree.separators[at])
            message = message / max(float(message.max()), 1e-300)
            message[message < _TINY] = 0.0  # dividing by it on the way back would overflow
            up[at] = message
            beliefs[parent] = beliefs[parent] * _spread(message, tree.separators[at], tree.cliques[parent])
            beliefs[parent] /= max(float(beliefs[parent].max()), 1e-300)
    for at in range(len(beliefs)):
        parent, sent = tree.parents[at], up[at]
        if parent >= 0 and sent is not None:
            message = _divided(project(beliefs[parent], tree.cliques[parent], tree.separators[at]), sent)
            beliefs[at] = beliefs[at] * _spread(message, tree.separators[at], tree.cliques[at])
        mass = float(beliefs[at].sum())
        beliefs[at] *= total / mass if mass > 0 else 0.0
    return beliefs


def _spread(array: Floats, columns: Clique, clique: Clique) -> Floats:
    """An array of some columns, shaped to be multiplied with one of more columns."""
    sizes = iter(array.shape)
    return array.reshape(tuple(next(sizes) if column in columns else 1 for column in clique))


def _divided(above: Floats, below: Floats) -> Floats:
    return np.divide(
        above, below, out=np.zeros(np.broadcast_shapes(above.shape, below.shape)), where=below > 0
    )
