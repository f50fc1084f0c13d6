"""The search against its slow twin, and against the figure that DESIGN.md records for Adult."""

from __future__ import annotations

import importlib.util
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.deidentify import (
    DistinctLDiversity,
    EntropyLDiversity,
    Hierarchy,
    KAnonymity,
    RecursiveLDiversity,
    TCloseness,
    anonymize,
)
from comity.deidentify.models.checker import check
from comity.deidentify.search.loss import whole_weights
from comity.errors import BadTable, UsageError

_spec = importlib.util.spec_from_file_location("reference", Path(__file__).parents[1] / "reference.py")
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

ADULT = Path(__file__).parents[4] / "shared" / "data" / "adult"
needs_adult = pytest.mark.skipif(not ADULT.is_dir(), reason="the folder shared/data is absent")


@st.composite
def hierarchies(draw):
    """Nested groupings of 1 to 6 leaves over 1 to 4 levels; some end in several labels."""
    leaves = draw(st.integers(1, 6))
    columns = [[f"v{i}" for i in range(leaves)]]
    groups = list(range(leaves))
    for level in range(1, draw(st.integers(1, 4))):
        merged = draw(st.lists(st.integers(0, 2), min_size=max(groups) + 1, max_size=max(groups) + 1))
        names = {}
        groups = [names.setdefault(merged[group], len(names)) for group in groups]
        columns.append([f"g{level}-{group}" for group in groups])
    if draw(st.booleans()):
        columns.append(["*"] * leaves)
    return Hierarchy.from_rows(zip(*columns, strict=True))


@st.composite
def models(draw, column):
    t = draw(st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.5, 0.9]))
    tree = Hierarchy.from_rows([("a", "ab", "*"), ("b", "ab", "*"), ("c", "cd", "*"), ("d", "cd", "*")])
    chosen = draw(
        st.sampled_from(
            [
                KAnonymity(draw(st.integers(1, 6))),
                DistinctLDiversity(column, draw(st.integers(1, 4))),
                EntropyLDiversity(column, draw(st.sampled_from([1, 1.5, 2, 3]))),
                RecursiveLDiversity(column, draw(st.integers(1, 3)), draw(st.sampled_from([0.5, 1.0, 2, 3]))),
                TCloseness(column, t),
                TCloseness(column, t, distance="ordered"),
                TCloseness(column, t, distance=tree),
            ]
        )
    )
    return chosen


@st.composite
def problems(draw):
    trees = {f"q{j}": draw(hierarchies()) for j in range(draw(st.integers(1, 3)))}
    row = st.fixed_dictionaries(
        {name: st.sampled_from(tree.leaves) for name, tree in trees.items()} | {"s": st.sampled_from("abcd")}
    )
    rows = draw(st.lists(row, min_size=1, max_size=24))
    required = draw(st.lists(models("s"), min_size=1, max_size=3))
    limit = draw(st.sampled_from(["0", "0.05", "0.1", "0.3", "0.5", "0.9", "1"]))
    return trees, rows, required, limit, draw(st.sampled_from(["arithmetic", "geometric"]))


def solve(trees, rows, required, limit, aggregate, **more):
    frame = pa.Table.from_pylist(rows)
    return anonymize(
        frame,
        quasi_identifiers=trees,
        require=required,
        suppression_limit=float(limit),
        aggregate=aggregate,
        **more,
    )


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_finds_the_optimum_that_trying_everything_finds(problem):
    trees, rows, required, limit, aggregate = problem
    expected = reference.exhaustive(rows, trees, required, limit, aggregate)
    if expected is None:
        with pytest.raises(BadTable, match="no combination of levels"):
            solve(*problem)
        return
    done = solve(*problem)
    _, _, node, suppressed, classes = expected
    assert tuple(done.levels.values()) == node
    assert (done.suppressed, done.classes) == (suppressed, classes)
    losses = [
        reference.attribute_loss(
            tree,
            [
                1 if not kept else reference.share(tree, value, level)
                for kept, value in zip(done.kept, done.frame[name].to_pylist(), strict=True)
            ],
        )
        for (name, tree), level in zip(trees.items(), node, strict=True)
    ]
    if aggregate == "arithmetic":
        assert done.loss == pytest.approx(float(sum(losses) / len(losses)), abs=1e-12)
    checked = check(
        done.frame.filter(pa.array(done.kept)),
        list(trees),
        required,
        reference={"s": {x: [row["s"] for row in rows].count(x) for x in {row["s"] for row in rows}}},
    )
    assert checked.holds
    assert (checked.classes, checked.smallest) == (done.classes, done.smallest_class)


@needs_adult
def test_adult_as_design_records_it():
    import pandas as pd

    frame = pd.read_csv(ADULT / "adult.csv", sep=";")
    names = [name for name in frame.columns if name != "salary-class"]
    done = anonymize(
        frame,
        quasi_identifiers={
            name: Hierarchy.read_csv(ADULT / f"adult_hierarchy_{name}.csv", separator=";") for name in names
        },
        require=[KAnonymity(5)],
        suppression_limit=0.05,
    )
    assert f"{done.loss:.6f}" == "0.261757"
    assert (done.suppressed, done.classes) == (1248, 384)
    assert done.smallest_class >= 5
    assert check(done.frame, names, [KAnonymity(5)], set_apart=True).holds
    assert (done.frame[names] == "*").all(axis=1).sum() == 1248
    assert (done.frame["salary-class"] == frame["salary-class"]).all()


WEIGHTS = st.sampled_from([0, 0.1, 0.5, 1, 1.5, 2, 7.25])


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(), st.data())
def test_finds_the_weighted_optimum(problem, data):
    trees, rows, required, limit, aggregate = problem
    weights = {name: data.draw(WEIGHTS) for name in trees}
    if not any(weights.values()):
        with pytest.raises(UsageError, match="all weights are 0"):
            solve(*problem, weights=weights)
        return
    expected = reference.exhaustive(rows, trees, required, limit, aggregate, weights)
    if expected is None:
        with pytest.raises(BadTable, match="no combination of levels"):
            solve(*problem, weights=weights)
        return
    done = solve(*problem, weights=weights)
    score, _, node, suppressed, classes = expected
    assert tuple(done.levels.values()) == node
    assert (done.suppressed, done.classes) == (suppressed, classes)
    assert done.bound == done.objective
    whole = sum(Fraction(str(weight)) for weight in weights.values())
    if aggregate == "arithmetic":
        assert done.objective == pytest.approx(float(score / whole), abs=1e-12)
    assert 0 <= done.objective <= 1


@given(problems(), st.sampled_from([0.25, 1, 3]))
@settings(max_examples=40, deadline=None)
def test_equal_weights_change_nothing(problem, weight):
    try:
        plain = solve(*problem)
    except BadTable:
        return
    weighted = solve(*problem, weights=dict.fromkeys(problem[0], weight))
    assert (plain.levels, plain.loss, plain.suppressed) == (
        weighted.levels,
        weighted.loss,
        weighted.suppressed,
    )
    assert plain.objective == plain.loss == weighted.objective


def test_weights_that_cannot_be_counted_exactly_are_refused():
    names = ["a", "b"]
    assert whole_weights(names, None) == (1, 1)
    assert whole_weights(names, {"a": 0.1, "b": 0.25}) == (2, 5)
    assert whole_weights(names, {"b": 0}) == (1, 0)
    assert whole_weights(names, {"a": Fraction(1, 3)}) == (1, 3)
    for weights, words in (
        ({"c": 1}, "'c', which is no quasi-identifier"),
        ({"a": -1}, "finite number of at least 0"),
        ({"a": float("nan")}, "finite number"),
        ({"a": float("inf")}, "finite number"),
        ({"a": True}, "finite number"),
        ({"a": "2"}, "finite number"),
        ({"a": 0, "b": 0}, "all weights are 0"),
        ({"a": 1.00001}, "Round them"),
    ):
        with pytest.raises(UsageError, match=words):
            whole_weights(names, weights)
