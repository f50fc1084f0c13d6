from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.deidentify import Hierarchy, flat, from_schema, intervals, prefix
from comity.errors import BadInput, BadSchema, UsageError
from comity.schema import parse_schema

ROWS = [("1", "low", "*"), ("2", "low", "*"), ("3", "high", "*")]


def test_reads_arx_layout_and_writes_it_back(tmp_path):
    path = tmp_path / "age.csv"
    path.write_text("﻿1;low;*\n2;low;*\n\n3;high;*\n", encoding="utf-8")
    tree = Hierarchy.read_csv(path, separator=";")
    assert tree == Hierarchy.from_rows(ROWS)
    tree.write_csv(tmp_path / "again.csv")
    assert Hierarchy.read_csv(tmp_path / "again.csv") == tree


def test_share_is_leaves_over_rows():
    tree = Hierarchy.from_rows(ROWS)
    assert (tree.share("low", 1), tree.share("*", 2), tree.share("1", 0)) == (2 / 3, 1.0, 1 / 3)
    with pytest.raises(BadInput, match="no label of level 1"):
        tree.share("1", 1)
    with pytest.raises(BadInput, match="levels 0 to 2"):
        tree.share("*", 3)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "at least one row"),
        ([("a", "x"), ("b",)], "row 2 .* has 1 columns"),
        ([("a", "x"), ("a", "y")], "repeats the value 'a'"),
        ([("a", "g", "p"), ("b", "g", "q")], "a label has one parent"),
    ],
)
def test_refuses_what_is_no_hierarchy(rows, message):
    with pytest.raises(BadInput, match=message):
        Hierarchy.from_rows(rows)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(BadInput, match="does not exist"):
        Hierarchy.read_csv(tmp_path / "no.csv")
    (tmp_path / "latin.csv").write_bytes(b"caf\xe9;*\n")
    with pytest.raises(BadInput, match="UTF-8"):
        Hierarchy.read_csv(tmp_path / "latin.csv")


def test_missing_values_are_a_leaf_of_their_own_unless_the_hierarchy_has_it():
    own = Hierarchy.from_rows(ROWS).with_missing()
    assert own.rows[-1] == (None, None, "*")
    assert own.with_missing() is own
    assert own.share(None, 1) == 1 / 4
    given_leaf = Hierarchy.from_rows([*ROWS, ("?", "unknown", "*")])
    assert given_leaf.with_missing() is given_leaf
    assert given_leaf.generalise([None, "?", float("nan"), 1], 1) == ["unknown", "unknown", "unknown", "low"]
    several = Hierarchy.from_rows([("a", "x"), ("b", "y")]).with_missing()
    assert several.rows[-1] == (None, None)


def test_values_are_found_by_text_number_or_bin():
    tree = Hierarchy.from_rows(ROWS)
    assert tree.generalise([1, 2.0, "3", None], 1) == ["low", "low", "high", None]
    assert tree.absent([1, 4, "x", 4, None, 2.5]) == ["4", "x", "2.5"]
    with pytest.raises(BadInput, match="no row for 2 values: '4', 'x'"):
        tree.generalise([4, "x", 4], 1)
    bins = intervals(0, 1, widths=[0.25, 0.5])
    assert bins.generalise([0, 0.25, 0.499, 1.0], 0) == [
        "[0, 0.25)",
        "[0.25, 0.5)",
        "[0.25, 0.5)",
        "[0.75, 1]",
    ]
    assert bins.generalise([0, 0.25, 0.75], 1) == ["[0, 0.5)", "[0, 0.5)", "[0.5, 1]"]
    assert bins.absent([1.01, -0.1, "x"]) == ["1.01", "-0.1", "x"]


@given(st.integers(-50, 50), st.integers(1, 200), st.integers(1, 6))
def test_integer_intervals_hold_every_value_and_nest(low, span, levels):
    tree = intervals(low, low + span, levels=levels)
    assert tree.leaves == tuple(str(value) for value in range(low, low + span + 1))
    assert tree.labels[-1] == ("*",)
    for column in range(1, tree.levels):
        assert len(tree.labels[column]) <= len(tree.labels[column - 1])
    assert Hierarchy.from_dict(tree.to_dict()) == tree


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.integers(1, 6), st.data())
def test_float_intervals_hold_every_value_within_bounds(low, span, levels, data):
    tree = intervals(low, low + span, levels=levels, integer=False)
    value = data.draw(st.floats(low, low + span))
    assert tree.absent([value]) == []
    assert Hierarchy.from_dict(tree.to_dict()) == tree


def test_intervals_refuse_contradictions():
    for wrong in (
        {"widths": [2, 3]},
        {"widths": [2], "levels": 1},
        {"levels": 0},
        {"widths": []},
        {"widths": [-1]},
    ):
        with pytest.raises(UsageError):
            intervals(0, 10, **wrong)
    with pytest.raises(UsageError, match="low < high"):
        intervals(1, 1)
    with pytest.raises(UsageError, match="finite"):
        intervals(0, math.inf)
    assert intervals(0, 9, widths=[5]).rows[4] == ("4", "0-4", "*")


@given(st.lists(st.text("0123456789", min_size=1, max_size=5), min_size=1, max_size=20))
def test_prefixes_mask_from_the_right_and_nest(codes):
    tree = prefix(codes)
    assert set(tree.leaves) == set(codes)
    assert tree.labels[-1] == ("*",)


def test_prefix_and_flat_examples():
    assert prefix(["1234", "1299"]).rows[0] == ("1234", "123*", "12**", "1***", "*")
    assert flat(["a", "b", "a"]).rows == (("a", "*"), ("b", "*"))
    with pytest.raises(UsageError):
        prefix(["12"], steps=3)


def test_hierarchies_from_public_bounds_and_levels():
    schema = parse_schema(
        {
            "columns": {
                "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 99},
                "bmi": {"role": "quasi_identifier", "type": "number", "min": 10, "max": 60},
                "sex": {"role": "quasi_identifier", "type": "category", "values": ["f", "m"]},
                "town": {"role": "quasi_identifier", "type": "text"},
            }
        },
        where="a test",
    )
    found = from_schema(schema, ["age", "bmi", "sex"])
    assert len(found["age"].rows) == 100
    assert found["bmi"].edges[0] == 10
    assert found["sex"].levels == 2
    with pytest.raises(BadSchema, match=r"town \(values\)"):
        from_schema(schema, ["age", "town"])


def test_from_dict_refuses_anything_else():
    for wrong in (
        None,
        {"rows": [["a"]], "more": 1},
        {"rows": "a"},
        {"rows": [[1]]},
        {"rows": [["a"]], "edges": ["x"]},
    ):
        with pytest.raises(BadInput):
            Hierarchy.from_dict(wrong)
    assert Hierarchy.from_rows(ROWS).digest == Hierarchy.from_dict(Hierarchy.from_rows(ROWS).to_dict()).digest


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;x;*\n\nb;x\n", r"line 3 has 2 columns, the first has 3"),
        ("a;x\nb;x\na;y\n", r"line 3, column 1 repeats the value 'a' of line 1"),
        ("a;x;p\nb;x;q\n", r"line 2, column 3 puts 'x' \(level 1\) under 'q', line 1 under 'p'"),
        ("a,x\nb,x,y\n", r"line 2 has 3 columns"),
        ("a\nb\n", "no line has"),
        ("", "no line has"),
    ],
)
def test_a_file_that_is_no_hierarchy_is_named_by_line_and_column(tmp_path, text, message):
    path = tmp_path / "tree.csv"
    path.write_text(text)
    with pytest.raises(BadInput, match=message):
        Hierarchy.read_csv(path, separator=None)


@pytest.mark.parametrize("mark", [";", ",", "\t"])
def test_the_separator_is_found_out(tmp_path, mark):
    path = tmp_path / "tree.csv"
    Hierarchy.from_rows([("a;1", "x,y", "*"), ("b", "x,y", "*")]).write_csv(path, separator=mark)
    assert Hierarchy.read_csv(path, separator=None).rows[0] == ("a;1", "x,y", "*")
    path.write_text("1,5;low, or none;*\n2,5;low, or none;*\n")
    assert Hierarchy.read_csv(path, separator=None).labels[1] == ("low, or none",)


def test_the_written_form_without_a_rule_is_as_before():
    assert Hierarchy.from_rows(ROWS).to_dict() == {"rows": [list(row) for row in ROWS]}
    assert set(intervals(0, 1, widths=[0.5]).to_dict()) == {"rows", "edges"}
    with pytest.raises(BadInput, match="opaque"):
        Hierarchy.from_dict({"opaque": True, "levels": 2, "commitment": "x"})


def test_values_without_a_row_are_for_the_holder_only():
    with pytest.raises(BadInput, match="secret") as found:
        Hierarchy.from_rows([("a", "*")]).generalise(["secret"], 1)
    assert found.value.private
    with pytest.raises(BadInput, match="levels 0 to 1") as found:
        Hierarchy.from_rows([("a", "*")]).generalise(["secret"], 2)
    assert not found.value.private
