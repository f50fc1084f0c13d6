"""Opaque labels: the release says nothing in words, and the key says it all again."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crypto.canonical import canonical_bytes
from comity.data import Table
from comity.deidentify import Hierarchy, KAnonymity, SoftEncoder, anonymize, flat
from comity.deidentify.hierarchies.builders import dates, intervals, ordered
from comity.deidentify.hierarchies.opaque import Opaque, OpaqueKey, make_opaque
from comity.deidentify.release.candidate import protect, reapply
from comity.errors import BadInput, BadTable, UsageError
from comity.schema import parse_schema

TREES = {"age": intervals(0, 99, widths=[5, 10, 20], top=90), "job": flat(["baker", "clerk", "smith"])}


def table(rows=300, seed=3):
    g = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "age": g.integers(0, 120, rows),
            "job": g.choice(["baker", "clerk", "smith"], rows),
            "ill": g.choice(["no", "yes"], rows),
        }
    )


@st.composite
def trees(draw):
    """A valid hierarchy of a few values with groups that nest; missing values and labels that recur."""
    leaves = draw(
        st.lists(st.sampled_from(["a", "b", "c", "d", "x", "y", "?", None]), min_size=1, unique=True)
    )
    rows = [[leaf] for leaf in leaves]
    for _ in range(draw(st.integers(0, 3))):
        below = list(dict.fromkeys(row[-1] for row in rows))
        parent = {label: draw(st.sampled_from(["a", "g", "h", "*"])) for label in below}
        parent |= {None: draw(st.sampled_from([None, "*"]))}
        rows = [[*row, parent[row[-1]]] for row in rows]
    return Hierarchy(tuple(tuple(row) for row in rows))


@given(trees(), st.booleans())
def test_letters_are_distinct_and_the_key_tells_what_they_are(tree, leaves):
    made, key = make_opaque({"q": tree}, leaves=leaves)
    opaque = made["q"]
    again = OpaqueKey.from_dict(json.loads(canonical_bytes(key.to_dict())))
    assert again == key
    assert again.hierarchies["q"] == opaque
    first = 0 if leaves else 1
    letters = [
        label for labels in opaque.labels[first:] for label in labels if label is not None and label != "*"
    ]
    assert len(set(letters)) == len(letters)
    if not leaves:
        assert not set(letters) & set(tree.leaves)
        assert opaque.leaves == tree.leaves
    for level in range(first, tree.levels):
        assert [len(labels) for labels in opaque.labels] == [len(labels) for labels in tree.labels]
        assert (opaque.codes[level] == tree.codes[level]).all()
        released = opaque.generalise(list(tree.leaves), level)
        opened = key.open(pa.table({"q": pa.array(released, pa.string())}))["q"].to_pylist()
        assert opened == tree.generalise(list(tree.leaves), level)


@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("method", ["global", "local"])
def test_the_search_finds_the_same_release_under_other_names(method, leaves):
    frame = table()
    made, key = make_opaque(TREES, leaves=leaves)
    options = {"require": [KAnonymity(5)], "suppression_limit": 0.05, "method": method}
    plain = anonymize(frame, quasi_identifiers=TREES, **options)
    hidden = anonymize(frame, quasi_identifiers=made, **options)
    assert (hidden.loss, hidden.levels, hidden.suppressed) == (plain.loss, plain.levels, plain.suppressed)
    pd.testing.assert_frame_equal(key.open(hidden.frame), plain.frame)
    pd.testing.assert_frame_equal(key.open(plain.frame.assign(age="*", job=None))[["ill"]], frame[["ill"]])
    if method == "global":
        new = table(50, 9)
        mapped = key.apply(new, hidden.levels)
        for name in TREES:
            assert list(key.open(mapped)[name]) == TREES[name].generalise(list(new[name]), plain.levels[name])


@pytest.mark.parametrize("kind", ["polars", "arrow", "table"])
def test_what_went_in_comes_out(kind):
    arrow = pa.Table.from_pandas(table(60))
    frame = {"polars": lambda: pl.from_arrow(arrow), "arrow": lambda: arrow, "table": lambda: Table(arrow)}[
        kind
    ]()
    _, key = make_opaque(TREES, leaves=True)
    mapped = key.apply(frame, {"age": 1, "job": 0})
    assert type(mapped) is type(frame)
    assert type(key.open(mapped)) is type(frame)


def test_the_manifest_tells_no_label_and_cannot_be_reapplied():
    schema = parse_schema(
        {
            "columns": {
                "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 120},
                "job": {
                    "role": "quasi_identifier",
                    "type": "category",
                    "values": ["baker", "clerk", "smith"],
                },
                "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
            }
        },
        where="a test",
    )
    rows = Table(pa.Table.from_pandas(table()))
    made, key = make_opaque(TREES, leaves=True)
    done = protect(rows, schema, k=5, hierarchies=made)
    written = canonical_bytes(done.manifest).decode()
    entry = done.manifest["quasi_identifiers"]
    for word in ("baker", "clerk", "0-4", ">= 90", 'rows":[['):
        assert word not in written
    assert set(entry["age"]["hierarchy"]) == {"opaque", "levels", "commitment"}
    assert entry["age"]["digest"] != entry["job"]["digest"]
    assert entry["age"]["hierarchy"]["commitment"] == key.columns["age"].commitment
    with pytest.raises(BadInput, match=r"opaque.*ask the provider"):
        reapply(rows, done.manifest)
    with pytest.raises(UsageError, match="'age' are opaque"):
        SoftEncoder.from_manifests([done.manifest], schema)
    opened = key.open(done.table)
    assert set(opened.strings("age")) <= {label for labels in TREES["age"].labels for label in labels}


def test_letters_are_dealt_anew_each_time():
    """Two deals of 100 leaves agree with probability 1/100!, far below 1e-6."""
    first, _ = make_opaque(TREES, leaves=True)
    second, _ = make_opaque(TREES, leaves=True)
    assert first["age"].rows != second["age"].rows
    assert first["age"].commitment != second["age"].commitment
    assert sorted(first["age"].leaves) == sorted(set(first["age"].leaves))


def test_missing_values_and_new_kinds_are_hidden_too():
    days = dates("2020-01-01", "2020-03-31", levels=("day", "month"))
    made, key = make_opaque({"day": days, "size": ordered(["s", "m", "l"])}, leaves=True)
    whole = made["day"].with_missing()
    assert isinstance(whole, Opaque)
    assert whole.with_missing() is whole
    assert whole.rows[-1] == (None, None, "*")
    letters = whole.generalise(["31/01/2020", "2020-01-02", "2020-02-01", None], 1)
    assert letters[0] == letters[1] != letters[2]
    assert letters[3] is None
    assert made["day"].absent(["2021-01-01", None]) == ["2021-01-01"]
    opened = key.open(pa.table({"day": pa.array(letters, pa.string())}))["day"].to_pylist()
    assert opened == ["2020-01", "2020-01", "2020-02", None]


def test_refusals(tmp_path):
    made, key = make_opaque(TREES)
    with pytest.raises(UsageError, match="at least one"):
        make_opaque({})
    with pytest.raises(UsageError, match="opaque already"):
        make_opaque(made)
    with pytest.raises(UsageError, match="not written"):
        made["age"].write_csv(tmp_path / "age.csv")
    with pytest.raises(BadInput, match="public form"):
        Opaque.from_dict(made["age"].to_dict())
    with pytest.raises(UsageError, match="made by make_opaque"):
        Opaque((("a", "*"),))
    with pytest.raises(BadTable, match="did not give out") as caught:
        key.open(pd.DataFrame({"age": ["nobody"]}))
    assert caught.value.private
    with pytest.raises(BadTable, match="no row for 1 value: '-4'"):
        key.apply(pd.DataFrame({"age": [-4]}), {"age": 1})
    with pytest.raises(UsageError, match="no column 'x'"):
        key.apply(pd.DataFrame({"x": [1]}), {"x": 1})
    assert "baker" not in repr(key)


@pytest.mark.parametrize(
    "change",
    [
        lambda document: None,
        lambda document: {**document, "more": 1},
        lambda document: {**document, "format": 9},
        lambda document: {**document, "opaque_key": []},
        lambda document: {**document, "opaque_key": {"job": {"hierarchy": {}}}},
        lambda document: altered(document, letters=[["a", "a", "b"], ["*"]]),
        lambda document: altered(document, letters=[["a", "b", "c"], ["d"]]),
        lambda document: altered(document, letters=[["a", "b"], ["*"]]),
        lambda document: altered(document, letters=[["a", "b", "c"], None]),
        lambda document: altered(document, letters=[["a", "b", 3], ["*"]]),
        lambda document: altered(document, letters="abc"),
        lambda document: altered(document, salt=5),
    ],
)
def test_a_key_is_read_back_only_if_it_is_one(change):
    _, key = make_opaque({"job": TREES["job"]}, leaves=True)
    with pytest.raises(BadInput):
        OpaqueKey.from_dict(change(key.to_dict()))


def altered(document, **changes):
    return {**document, "opaque_key": {"job": {**document["opaque_key"]["job"], **changes}}}
