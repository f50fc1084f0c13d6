"""The release from which a model learns most: within the models, measured on rows that had no part in it."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from comity.deidentify import DistinctLDiversity, KAnonymity, anonymize, check, flat, intervals
from comity.deidentify.search.evaluate import Evaluator
from comity.deidentify.search.frames import Frame
from comity.deidentify.search.tuples import distinct_tuples
from comity.deidentify.utility.frontier import frontier
from comity.deidentify.utility.objective import best_for_target
from comity.errors import BadTable, UsageError

TREES = {
    "age": intervals(0, 63, widths=[4, 16]),
    "town": flat("abcdefgh"),
    "shoe": intervals(0, 31, widths=[2, 8]),
}
NAMES = list(TREES)


def made(rows, seed=0):
    """Pay depends on the town alone; age and shoe are noise with more to lose."""
    g = np.random.default_rng(seed)
    town = g.integers(0, 8, rows)
    pays = np.where(g.random(rows) < np.where(town < 4, 0.8, 0.2), "yes", "no")
    return pa.table(
        {
            "age": g.integers(0, 64, rows),
            "town": ["abcdefgh"[i] for i in town],
            "shoe": g.integers(0, 32, rows),
            "ill": [str(v) for v in g.choice(["x", "y", "z"], rows)],
            "pays": pays.tolist(),
        }
    )


def asked(k, limit=0.0, *more):
    return {"quasi_identifiers": TREES, "require": [KAnonymity(k), *more], "suppression_limit": limit}


@pytest.mark.parametrize("method", ["global", "local"])
def test_it_keeps_the_column_that_the_target_depends_on(method):
    table = made(1500)
    done, choice = best_for_target(table, target="pays", method=method, **asked(60))
    plain = anonymize(table, method=method, **asked(60))
    assert check(done.frame, NAMES, [KAnonymity(60)], set_apart=True).holds
    assert done.suppressed == 0
    assert done.loss >= plain.loss
    assert choice.plain.loss == pytest.approx(plain.loss)
    assert choice.chosen.loss == pytest.approx(done.loss)
    assert max(choice.importance, key=choice.importance.get) == "town"
    assert choice.chosen.quality.auc > 0.7
    assert choice.gain >= -0.01
    if method == "global":
        assert done.levels["town"] == 0
        assert plain.levels["town"] == 1
        assert choice.low > 0
    assert choice.to_dict()["chosen"]["levels"] == done.levels
    assert "town" in choice.to_lines()[1]


def test_the_same_seed_chooses_the_same():
    table = made(800)
    one, other = (best_for_target(table, target="pays", **asked(40, 0.05))[0] for _ in range(2))
    assert one.frame.equals(other.frame)


def test_models_of_sensitive_columns_hold_too():
    models = [KAnonymity(20), DistinctLDiversity("ill", 3)]
    done, _ = best_for_target(made(1000), target="pays", **asked(20, 0.1, models[1]))
    assert check(done.frame, NAMES, models, set_apart=True).holds
    assert done.suppressed <= 100


def test_level_limits_are_kept():
    limits = {"town": (1, 1), "age": (0, 1)}
    done, _ = best_for_target(made(1000), target="pays", level_limits=limits, **asked(3, 0.1))
    assert done.levels["town"] == 1
    assert done.levels["age"] <= 1


def test_columns_released_as_they_are_teach_the_model_too():
    table = made(1000)
    known = pa.chunked_array([table.column("pays").to_pylist()])
    table = table.append_column("told", known)
    _, choice = best_for_target(table, target="pays", features=["told"], **asked(40))
    assert choice.plain.quality.auc > 0.99
    assert choice.chosen.loss == choice.plain.loss  # nothing to gain: the least loss wins the tie


def test_the_frontier_is_what_exhaustive_search_finds():
    table = made(300, 3)
    tuples = distinct_tuples(Frame(table), TREES, [])
    evaluator = Evaluator(tuples, [KAnonymity(12)])
    ranges = [(0, tree.levels - 1) for tree in tuples.hierarchies]
    keeps = {}
    for node in itertools.product(*(range(high + 1) for _, high in ranges)):
        found = evaluator.evaluate(node, 30)
        keeps[node] = found is not None and found.suppressed <= 30
    lowest = {
        node
        for node, good in keeps.items()
        if good
        and not any(level and keeps[(*node[:j], level - 1, *node[j + 1 :])] for j, level in enumerate(node))
    }
    assert lowest
    assert set(frontier(evaluator, ranges, 30, sum)) == lowest
    few = frontier(evaluator, ranges, 30, sum, evaluations=8)
    assert few
    assert all(keeps[node] for node in few)


def test_refusals():
    table = made(200)
    with pytest.raises(BadTable, match="no combination of levels"):
        best_for_target(table, target="pays", **asked(500))
    with pytest.raises(UsageError, match="quasi-identifier"):
        best_for_target(table, target="town", **asked(5))
    with pytest.raises(BadTable, match="3 values"):
        best_for_target(table, target="ill", **asked(5))
    with pytest.raises(UsageError, match="weights names"):
        best_for_target(table, target="pays", weights={"wage": 2.0}, **asked(5))
