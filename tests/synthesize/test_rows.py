"""Rows follow the model: counts within rounding, columns independent given what their cliques share."""

from __future__ import annotations

import numpy as np

from comity.synthesize.graph import junction_tree
from comity.synthesize.model import Model, calibrate, project
from comity.synthesize.rows import rows_of

SIZES = (3, 4, 2, 3)


def model(seed: int = 1) -> Model:
    tree = junction_tree(SIZES, [(0, 1), (1, 2), (1, 3)])
    draw = np.random.default_rng(seed)
    potentials = [draw.normal(0, 1.5, [SIZES[c] for c in clique]) for clique in tree.cliques]
    return Model(SIZES, 1000.0, tree, tuple(potentials), tuple(calibrate(tree, potentials, 1000.0)))


def counted(rows: np.ndarray, columns: tuple[int, ...]) -> np.ndarray:
    shape = [SIZES[c] for c in columns]
    at = np.ravel_multi_index([rows[:, c].astype(int) for c in columns], shape)
    return np.bincount(at, minlength=int(np.prod(shape))).reshape(shape)


def test_counts_lie_within_roundings_of_the_model() -> None:
    """Spread evenly, a cell is off by a row at its two ends, and by what its separator is off."""
    made = model()
    rows = rows_of(made, 5000)
    assert rows.shape == (5000, 4)
    for clique, belief in zip(made.tree.cliques, made.beliefs, strict=True):
        assert np.abs(counted(rows, clique) - belief * 5).max() <= 2 * len(SIZES)


def test_columns_are_independent_given_what_their_cliques_share() -> None:
    """6 standard deviations of each cell's count, 24 cells: false alarm below 1e-7."""
    made = model()
    rows = rows_of(made, 40_000)
    seen = counted(rows, (0, 1, 2)).astype(float)
    one, two = (project(seen, (0, 1, 2), pair) for pair in ((0, 1), (1, 2)))
    expected = one[:, :, None] * two[None, :, :] / seen.sum(axis=(0, 2))[None, :, None]
    assert (np.abs(seen - expected) <= 6 * np.sqrt(expected) + 6).all()


def test_no_rows_and_groups_without_weight() -> None:
    made = model()
    assert rows_of(made, 0).shape == (0, 4)
    empty = tuple(belief * 0 for belief in made.beliefs)
    rows = rows_of(Model(SIZES, 1000.0, made.tree, made.potentials, empty), 300)
    assert (rows.max(axis=0) < np.array(SIZES)).all()
