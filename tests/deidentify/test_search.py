"""The search against its slow twin, and against the figure that DESIGN.md records for Adult."""

from __future__ import annotations

import importlib.util
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
from comity.deidentify.checker import check
from comity.errors import BadTable

_spec = importlib.util.spec_from_file_location("reference", Path(__file__).with_name("reference.py"))
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

ADULT = Path(__file__).parents[3] / "shared" / "data" / "adult"
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


def solve(trees, rows, required, limit, aggregate):
    frame = pa.Table.from_pylist(rows)
    return anonymize(
        frame,
        quasi_identifiers=trees,
        require=required,
        suppression_limit=float(limit),
        aggregate=aggregate,
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
