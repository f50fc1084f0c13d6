"""Every model, alone and together with others: the search against trying everything."""

from __future__ import annotations

import importlib.util
import itertools
import math
from fractions import Fraction
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from comity.deidentify.generalise import anonymize
from comity.deidentify.hierarchies.hierarchy import Hierarchy
from comity.deidentify.models.checker import check
from comity.deidentify.models.class_models import (
    DistinctLDiversity,
    EntropyLDiversity,
    KAnonymity,
    RecursiveLDiversity,
    TCloseness,
)
from comity.deidentify.models.disclosure import BetaLikeness, DeltaDisclosure
from comity.deidentify.models.population import DeltaPresence, KMap, with_names
from comity.deidentify.models.table_models import AverageRisk, PopulationUniqueness
from comity.deidentify.search import evaluate
from comity.deidentify.search.evaluate import Evaluator
from comity.deidentify.search.frames import Frame
from comity.deidentify.search.tuples import distinct_tuples
from comity.errors import BadTable, UsageError

_spec = importlib.util.spec_from_file_location("reference", Path(__file__).parents[1] / "reference.py")
reference = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(reference)

TREE = Hierarchy.from_rows([("a", "ab", "*"), ("b", "ab", "*"), ("c", "cd", "*"), ("d", "cd", "*")])


@st.composite
def hierarchies(draw):
    """Nested groupings of 1 to 5 leaves over 1 to 3 levels; some end in several labels."""
    leaves = draw(st.integers(1, 5))
    columns = [[f"v{i}" for i in range(leaves)]]
    groups = list(range(leaves))
    for level in range(1, draw(st.integers(1, 3))):
        merged = draw(st.lists(st.integers(0, 2), min_size=max(groups) + 1, max_size=max(groups) + 1))
        names = {}
        groups = [names.setdefault(merged[group], len(names)) for group in groups]
        columns.append([f"g{level}-{group}" for group in groups])
    if draw(st.booleans()):
        columns.append(["*"] * leaves)
    return Hierarchy.from_rows(zip(*columns, strict=True))


@st.composite
def models(draw, population, rows):
    column = draw(st.sampled_from(["s", "r"]))
    t = draw(st.sampled_from([0.0, 0.1, 0.25, 0.5]))
    low = draw(st.sampled_from([0, 0, 0.1, 0.3]))
    return draw(
        st.sampled_from(
            [
                KAnonymity(draw(st.integers(1, 5))),
                DistinctLDiversity(column, draw(st.integers(1, 3))),
                EntropyLDiversity(column, draw(st.sampled_from([1.5, 2, 2.5]))),
                RecursiveLDiversity(column, draw(st.integers(1, 3)), draw(st.sampled_from([0.5, 1.0, 3]))),
                TCloseness(column, t),
                TCloseness(column, t, distance="ordered"),
                TCloseness(column, t, distance=TREE),
                BetaLikeness(column, draw(st.sampled_from([0.2, 1, 2])), draw(st.booleans())),
                DeltaDisclosure(column, draw(st.sampled_from([0.3, 1, 2]))),
                KMap(draw(st.integers(1, 8)), population),
                DeltaPresence(low, draw(st.sampled_from([0.4, 0.7, 1])), population),
                AverageRisk(draw(st.sampled_from([0.1, 0.25, 0.4, 0.8]))),
                PopulationUniqueness(
                    draw(st.sampled_from([0.0, 0.01, 0.05, 0.2])),
                    rows * draw(st.sampled_from([1, 3, 50])),
                    draw(st.sampled_from(["pitman", "zayatz"])),
                ),
            ]
        )
    )


@st.composite
def problems(draw):
    trees = {f"q{j}": draw(hierarchies()) for j in range(draw(st.integers(1, 3)))}
    person = {name: st.sampled_from(tree.leaves) for name, tree in trees.items()}
    row = st.fixed_dictionaries(person | {"s": st.sampled_from("abcd"), "r": st.sampled_from("abcd")})
    rows = draw(st.lists(row, min_size=1, max_size=20))
    others = draw(st.lists(st.fixed_dictionaries(person), max_size=20))
    everybody = pa.Table.from_pylist([{name: x[name] for name in trees} for x in [*rows, *others]])
    required = draw(st.lists(models(everybody, len(rows)), min_size=1, max_size=4))
    limit = draw(st.sampled_from(["0", "0.1", "0.3", "0.5", "0.9", "1"]))
    return trees, rows, required, limit, draw(st.sampled_from(["arithmetic", "geometric"]))


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_finds_the_optimum_that_trying_everything_finds(problem):
    trees, rows, required, limit, aggregate = problem
    expected = reference.exhaustive(rows, trees, required, limit, aggregate)
    asked = {
        "quasi_identifiers": trees,
        "require": required,
        "suppression_limit": float(limit),
        "aggregate": aggregate,
    }
    if expected is None:
        with pytest.raises(BadTable, match="no combination of levels"):
            anonymize(pa.Table.from_pylist(rows), **asked)
        return
    done = anonymize(pa.Table.from_pylist(rows), **asked)
    _, _, node, suppressed, classes = expected
    assert tuple(done.levels.values()) == node
    assert (done.suppressed, done.classes) == (suppressed, classes)
    checked = check(
        done.frame.filter(pa.array(done.kept)),
        list(trees),
        required,
        reference={
            name: {x: [row[name] for row in rows].count(x) for x in {row[name] for row in rows}}
            for name in "sr"
        },
        hierarchies=done.hierarchies,
        levels=done.levels,
    )
    assert checked.violations == ()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_levels_that_differ_by_row_satisfy_models_of_the_table_too(problem):
    trees, rows, required, limit, _ = problem
    asked = {"quasi_identifiers": trees, "require": required, "suppression_limit": float(limit)}
    frame = pa.Table.from_pylist(rows)
    if any(isinstance(model, (KMap, DeltaPresence)) for model in required):
        with pytest.raises(UsageError, match='method="global"'):
            anonymize(frame, method="local", **asked)
        return
    try:
        done = anonymize(frame, method="local", **asked)
    except BadTable:
        return
    whole = {name: {x: [row[name] for row in rows].count(x) for x in "abcd"} for name in "sr"}
    whole = {name: {x: n for x, n in counts.items() if n} for name, counts in whole.items()}
    assert check(done.frame.filter(pa.array(done.kept)), list(trees), required, reference=whole).holds


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems())
def test_merging_tuples_for_many_nodes_changes_nothing(problem):
    """The search merges tuples for nodes that share levels; here at every node, and not at all."""
    trees, rows, required, limit, _ = problem
    table = Frame(pa.Table.from_pylist(rows))
    tuples = distinct_tuples(table, trees, ["s", "r"])
    read = with_names(required, list(trees))
    rolling, plain = Evaluator(tuples, read), Evaluator(tuples, read)
    allowed = math.floor(Fraction(limit) * len(rows))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "_SHARED", 1)
        for node in itertools.product(*(range(tree.levels) for tree in tuples.hierarchies)):
            one = rolling.evaluate(node, allowed)
            patch.setattr(evaluate, "_SHARED", 10**9)
            two = plain.evaluate(node, allowed)
            patch.setattr(evaluate, "_SHARED", 1)
            assert (one is None) == (two is None)
            if one is None or two is None:
                continue
            assert (one.suppressed, one.least, one.lost) == (two.suppressed, two.least, two.lost)
            assert one.violating().tolist() == two.violating().tolist()
            assert sorted(one.remaining()) == sorted(two.remaining())
            assert one.lost_leaves() == two.lost_leaves()
            assert one.suppressed_leaves() == two.suppressed_leaves()
