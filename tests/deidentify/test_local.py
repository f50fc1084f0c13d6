"""Local recoding: every class satisfies, every label covers its row, never worse than common levels."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.deidentify import (
    DistinctLDiversity,
    EntropyLDiversity,
    Hierarchy,
    KAnonymity,
    RecursiveLDiversity,
    TCloseness,
    anonymize,
    intervals,
)
from comity.deidentify.checker import check
from comity.errors import BadTable

ADULT = Path(__file__).parents[3] / "shared" / "data" / "adult"
TREES = {
    "age": intervals(0, 9, widths=[2, 4]),
    "town": Hierarchy.from_rows([("a", "n", "*"), ("b", "n", "*"), ("c", "s", "*"), ("d", "s", "*")]),
    "sex": Hierarchy.from_rows([("f", "*"), ("m", "*")]),
}
rows = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.integers(0, 9),
            "town": st.sampled_from("abcd"),
            "sex": st.sampled_from("fm"),
            "ill": st.sampled_from("xyz"),
        }
    ),
    min_size=1,
    max_size=60,
)
extra = st.one_of(
    st.none(),
    st.builds(DistinctLDiversity, st.just("ill"), st.integers(1, 3)),
    st.builds(EntropyLDiversity, st.just("ill"), st.sampled_from([1.5, 2])),
    st.builds(RecursiveLDiversity, st.just("ill"), st.just(2), st.sampled_from([1, 2])),
    st.builds(TCloseness, st.just("ill"), st.sampled_from([0.1, 0.3]), st.sampled_from(["equal", "ordered"])),
)


@settings(max_examples=200, deadline=None)
@given(
    rows,
    st.integers(1, 6),
    extra,
    st.sampled_from([0, 0.1, 0.5]),
    st.sampled_from(["arithmetic", "geometric"]),
)
def test_satisfies_covers_and_is_never_worse_than_global(found, k, more, limit, aggregate):
    frame = pa.Table.from_pylist(found)
    require = [KAnonymity(k), *([more] if more else [])]
    common = {
        "quasi_identifiers": TREES,
        "require": require,
        "suppression_limit": limit,
        "aggregate": aggregate,
    }
    try:
        done = anonymize(frame, **common, method="local")
    except BadTable:
        with pytest.raises(BadTable):
            anonymize(frame, **common)
        return
    again = anonymize(frame, **common, method="local")
    assert again.frame == done.frame
    assert done.levels is None
    assert done.suppressed <= limit * len(found)
    with contextlib.suppress(BadTable):  # classes may keep to a limit that common levels cannot
        assert done.loss <= anonymize(frame, **common).loss
    checked = check(
        done.frame.filter(pa.array(done.kept)),
        list(TREES),
        require,
        reference={"ill": {x: sum(row["ill"] == x for row in found) for x in {row["ill"] for row in found}}},
    )
    assert checked.holds
    assert (checked.classes, checked.smallest, checked.rows) == (
        done.classes,
        done.smallest_class,
        len(found) - done.suppressed,
    )
    for name, tree in TREES.items():
        for raw, label, kept in zip(
            frame[name].to_pylist(), done.frame[name].to_pylist(), done.kept, strict=True
        ):
            assert label in tree.rows[tree.position[str(raw)]] if kept else label == "*"


@pytest.mark.skipif(not ADULT.is_dir(), reason="the folder shared/data is absent")
def test_adult_loses_less_than_arx_does():
    import pandas as pd

    frame = pd.read_csv(ADULT / "adult.csv", sep=";")
    names = [name for name in frame.columns if name != "salary-class"]
    trees = {name: Hierarchy.read_csv(ADULT / f"adult_hierarchy_{name}.csv") for name in names}
    done = anonymize(frame, quasi_identifiers=trees, require=[KAnonymity(5)], method="local")
    assert done.loss < 0.0563
    assert check(done.frame, names, [KAnonymity(5)], set_apart=True).holds
