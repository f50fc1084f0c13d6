"""MST: a spanning tree of what depends, all of the budget spent, and a model of bounded size."""

from __future__ import annotations

import numpy as np
import pytest

from comity.synthesize.cells import LevelCells
from comity.synthesize.looks import MODEL_CELLS, Looks
from comity.synthesize.mst import mst
from comity.synthesize.purse import Purse


def behind(columns: list[np.ndarray], target: int | None = None, epsilon: float = 8.0) -> Looks:
    cells = tuple(
        LevelCells(f"c{at}", tuple(map(str, range(int(values.max()) + 1))))
        for at, values in enumerate(columns)
    )
    coded = np.stack([values + 1 for values in columns], axis=1).astype(np.uint16)
    return Looks(Purse(epsilon, 1e-6), cells, coded, target)


def chain(columns: int, rows: int = 3000) -> list[np.ndarray]:
    """Each column says mostly what the next one is."""
    draw = np.random.default_rng(2)
    made = [draw.integers(0, 3, rows)]
    for _ in range(columns - 1):
        made.append(np.where(draw.random(rows) < 0.85, made[-1], draw.integers(0, 3, rows)))
    return made


def edges(seen: Looks, size: int) -> list[tuple[str, ...]]:
    return [one.columns for one in seen.asked if one.what == "count" and len(one.columns) == size]


@pytest.mark.parametrize("target", [None, 0])
@pytest.mark.parametrize("columns", [1, 2, 3, 5])
@pytest.mark.parametrize("taken", [0.0, 0.1])
def test_nothing_is_left_in_the_purse(columns: int, target: int | None, taken: float) -> None:
    """Also where a part of it has gone into bounds and levels before."""
    seen = behind(chain(columns, 600), target)
    if taken:
        seen.purse.measure(np.zeros(1, dtype=np.int64), taken * seen.purse.whole)
    mst(seen, bins=16)
    assert seen.purse.left <= 1e-6 * seen.purse.whole


def test_the_tree_follows_what_depends() -> None:
    """A chain of 4 columns at a noise of a few rows: other pairs are hundreds of rows less off."""
    seen = behind(chain(4), epsilon=16.0)
    mst(seen, bins=16)
    assert sorted(edges(seen, 2)) == [("c0", "c1"), ("c1", "c2"), ("c2", "c3")]


def test_with_a_target_the_tree_is_of_features_within_its_classes() -> None:
    seen = behind(chain(4), target=0, epsilon=16.0)
    mst(seen, bins=16)
    assert len(edges(seen, 2)) == 3
    triples = edges(seen, 3)
    assert len(triples) == 2
    assert all("c0" in triple for triple in triples)


def test_edges_that_do_not_fit_the_model_are_none() -> None:
    """Four columns of 150 levels: an edge takes 22,500 numbers, and two of them are too many."""
    order = np.arange(60_000)
    seen = behind([(order // step) % 150 for step in (1, 3, 7, 11)], epsilon=16.0)
    model = mst(seen, bins=16)
    assert len(edges(seen, 2)) == 1
    assert model.tree.cells(model.sizes) <= MODEL_CELLS
    assert seen.purse.left <= 1e-6 * seen.purse.whole
