"""Every builder gives a tree: each value of its range has a leaf, and labels say what leaves they cover."""

from __future__ import annotations

import json
import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.crypto.canonical import canonical_bytes
from comity.deidentify import Hierarchy
from comity.deidentify.hierarchies.builders import intervals, mask, ordered, postcodes, prefix
from comity.deidentify.hierarchies.postal import STYLES
from comity.errors import BadInput, UsageError


def round_trips(tree):
    again = Hierarchy.from_dict(json.loads(canonical_bytes(tree.to_dict())))
    assert again == tree
    assert again.digest == tree.digest


def holds(label, value):
    """Whether a label of an interval covers a whole number."""
    if label == "*":
        return True
    if found := re.fullmatch(r"(<=|>=) (-?\d+)", label):
        return value <= int(found[2]) if found[1] == "<=" else value >= int(found[2])
    if found := re.fullmatch(r"(-?\d+)-(-?\d+)", label):
        return int(found[1]) <= value <= int(found[2])
    return value == int(label)


def holds_real(label, value):
    if label == "*":
        return True
    if found := re.fullmatch(r"(<|>=) (\S+)", label):
        return value < float(found[2]) if found[1] == "<" else value >= float(found[2])
    low, high = label[1:-1].split(", ")
    assert label[0] == "["
    return float(low) <= value and (value < float(high) or (label[-1] == "]" and value <= float(high)))


@st.composite
def coded(draw):
    low = draw(st.integers(-40, 40))
    high = low + draw(st.integers(3, 120))
    ends = sorted(draw(st.lists(st.integers(low, high), min_size=2, max_size=2, unique=True)))
    options = {}
    if draw(st.booleans()):
        options["bottom"] = ends[0]
    if draw(st.booleans()):
        options["top"] = ends[1]
    if draw(st.booleans()):
        cuts = sorted(draw(st.sets(st.integers(low, high), min_size=1, max_size=8)))
        options["cuts"] = [cuts, cuts[::2]] if draw(st.booleans()) else cuts
    else:
        options["widths"] = draw(st.sampled_from([[2], [5, 10], [3, 6, 12], [7]]))
    if draw(st.booleans()):
        options["coded_from"] = draw(st.integers(0, 2))
    return low, high, options


@given(coded(), st.integers(-500, 500))
def test_whole_numbers_find_a_leaf_whose_labels_hold_them(built, value):
    low, high, options = built
    tree = intervals(low, high, **options)
    round_trips(tree)
    inside = (low <= value or "bottom" in options) and (value <= high or "top" in options)
    assert (tree.absent([value]) == []) == inside
    if inside:
        for level in range(tree.levels):
            (label,) = tree.generalise([value], level)
            assert holds(label, value), (label, value)
            assert tree.generalise([float(value), str(value)], level) == [label, label]
    assert tree.labels[-1] == ("*",)
    for each in range(low, high + 1):
        assert tree.absent([each]) == []


@given(coded(), st.floats(-500, 500))
def test_numbers_find_a_bin_whose_labels_hold_them(built, value):
    low, high, options = built
    bottom, top = options.get("bottom"), options.get("top")
    if options.get("coded_from") == 0 and bottom is None and top == low:
        return
    tree = intervals(low, high, **options, integer=False)
    round_trips(tree)
    inside = (low <= value or "bottom" in options) and (value <= high or "top" in options)
    assert (tree.absent([value]) == []) == inside
    if inside:
        for level in range(tree.levels):
            assert holds_real(tree.generalise([value], level)[0], value)


def test_ends_are_coded_from_a_level_on_and_hold_what_lies_outside():
    tree = intervals(0, 100, widths=[5, 10], bottom=18, top=90)
    assert tree.generalise([0, 18, 19, 45, 90, 130, -7], 0) == [
        "0",
        "18",
        "19",
        "45",
        "90",
        ">= 101",
        "<= -1",
    ]
    assert tree.generalise([0, 18, 19, 45, 90, 130, -7], 1) == [
        "<= 18", "<= 18", "19", "45-49", ">= 90", ">= 90", "<= 18",
    ]  # fmt: skip
    assert tree.absent([18.5, "x", True, float("inf")]) == ["18.5", "x", "True", "inf"]
    later = intervals(0, 100, widths=[5, 10], top=90, coded_from=2)
    assert later.generalise([95, 130], 1) == ["95-99", ">= 101"]
    assert later.generalise([95, 130], 2) == [">= 90", ">= 90"]
    now = intervals(0, 100, widths=[5], bottom=18, top=90, coded_from=0)
    assert now.leaves[0] == "<= 18"
    assert len(now.rows) == 71 + 2
    real = intervals(0, 1, widths=[0.1, 0.2], bottom=0.05, top=0.9)
    assert real.generalise([-3, 0.05, 0.3, 0.9, 7], 0) == [
        "< 0.05",
        "[0.05, 0.1)",
        "[0.3, 0.4)",
        ">= 0.9",
        ">= 0.9",
    ]
    assert real.generalise([None], 0) == [None]


def test_cuts_name_where_groups_begin():
    tree = intervals(0, 110, cuts=[0, 18, 30, 65])
    assert tree.labels[1] == ("0-17", "18-29", "30-64", "65-110")
    nested = intervals(0, 110, cuts=[[18, 30, 45, 65], [30, 65]], top=90)
    assert nested.labels[2] == ("0-29", "30-64", "65-89", ">= 90")
    assert intervals(0.0, 1.0, cuts=[0.25, 0.5]).labels[0] == ("[0, 0.25)", "[0.25, 0.5)", "[0.5, 1]")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cuts": [18, 200]}, "outside the bounds"),
        ({"cuts": [30, 18]}, "rising order"),
        ({"cuts": []}, "list of numbers"),
        ({"cuts": [[18, 30], [20]]}, "would not nest"),
        ({"cuts": [1, [2]]}, "list of numbers"),
        ({"cuts": [1.5], "integer": True}, "whole cuts"),
        ({"bottom": 120}, "between the bounds"),
        ({"bottom": 50, "top": 50}, "below top"),
        ({"top": 50.5, "integer": True}, "whole numbers"),
        ({"top": math.inf}, "between the bounds"),
        ({"top": 5, "coded_from": -1}, "count from 0"),
    ],
)
def test_contradictions_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        intervals(0, 100, **options)


texts = st.lists(st.text("0123AB*", min_size=1, max_size=6), min_size=1, max_size=20)


@given(texts, st.sampled_from(["left", "right"]), st.sampled_from("*#x"), st.data())
def test_masks_hide_one_more_character_a_level(values, side, char, data):
    longest = max(map(len, values))
    steps = data.draw(st.none() | st.integers(0, longest))
    tree = mask(values, side=side, char=char, steps=steps)
    round_trips(tree)
    assert tree.absent(values) == []
    assert tree.labels[-1] == ("*",)
    for row in tree.rows:
        for level, label in enumerate(row[1:-1], start=1):
            kept = min(longest - level, len(row[0]))
            part = row[0][:kept] if side == "right" else row[0][len(row[0]) - kept :]
            assert label == (part + char * (len(row[0]) - kept) if side == "right" else
                             char * (len(row[0]) - kept) + part)  # fmt: skip
    if side == "right" and char == "*":
        assert tree == prefix(values, steps=steps)


def test_masks_refuse_what_they_cannot_do():
    for wrong in ({"side": "top"}, {"char": "**"}, {"steps": 9}):
        with pytest.raises(UsageError):
            mask(["123"], **wrong)
    with pytest.raises(UsageError, match="at least one value"):
        mask([])
    assert mask(["12345", "12"], side="left").rows[1] == ("12", "12", "12", "12", "*2", "*")


@given(st.lists(st.text("abcdef", min_size=1, max_size=3), min_size=1, max_size=20, unique=True))
def test_ordered_values_are_grouped_with_their_neighbours(values):
    tree = ordered(values)
    round_trips(tree)
    assert tree.leaves == tuple(values)
    for level in range(1, tree.levels - 1):
        sizes = [list(tree.codes[level]).count(code) for code in range(len(tree.labels[level]))]
        assert all(size == 2**level for size in sizes[:-1])
        assert list(tree.codes[level]) == sorted(tree.codes[level])


def test_ordered_values_in_named_groups():
    steps = ["primary", "secondary", "bachelor", "master"]
    tree = ordered(steps, {"school": ["primary", "secondary"], "university": ["bachelor", "master"]})
    assert tree.rows[2] == ("bachelor", "university", "*")
    two = ordered([1, 2, 3], [{"low": [1], "high": [2, 3]}, {"any": ["low", "high"]}])
    assert two.rows[2] == ("3", "high", "any", "*")
    for groups, message in [
        ({"a": ["primary"]}, "no group holds 3 values"),
        ({"a": ["primary", "bachelor"], "b": ["secondary", "master"]}, "skips over"),
        ({"a": steps, "b": ["master"]}, "in two groups"),
        ({"a": [*steps, "phd"]}, "does not have"),
        ({"a": "primary"}, "not a text"),
        ({"master": steps}, "name of a value"),
    ]:
        with pytest.raises(UsageError, match=message):
            ordered(steps, groups)


@pytest.mark.parametrize(
    ("country", "ways", "row"),
    [
        (
            "nl",
            ["1012 AB", "1012ab", " 1012-AB "],
            ("1012 AB", "1012 **", "101* **", "10** **", "1*** **", "*"),
        ),
        ("gb", ["SW1A 1AA", "sw1a1aa"], ("SW1A 1AA", "SW1A 1*", "SW1A*", "SW*", "*")),
        ("uk", ["M1 1AE", "m11ae"], ("M1 1AE", "M1 1*", "M1*", "M*", "*")),
        ("us", ["02134-1000", "021341000"], ("02134-1000", "02134-****", "021**-****", "0****-****", "*")),
        ("us", ["02134", 2134, 2134.0, "2134"], ("02134", "021**", "0****", "*")),
        ("be", ["9000", 9000], ("9000", "900*", "90**", "9***", "*")),
        ("ca", ["K1A 0B1", "k1a0b1"], ("K1A 0B1", "K1A ***", "K** ***", "*")),
        ("de", ["01069", 1069], ("01069", "010**", "01***", "0****", "*")),
    ],
)
def test_postcodes_of_countries(country, ways, row):
    tree = postcodes(country, ways[:1])
    round_trips(tree)
    assert tree.rows == (row,)
    for level in range(tree.levels):
        assert set(tree.generalise(ways, level)) == {row[level]}
    listed = postcodes(country)
    round_trips(listed)
    assert listed.absent(ways) == []


@pytest.mark.parametrize("country", STYLES)
def test_public_lists_of_postcodes_are_trees(country):
    tree = postcodes(country)
    assert tree.labels[-1] == ("*",)
    assert len(tree.rows) == len(set(tree.leaves)) <= 10_000
    assert tree.absent(["no code", None]) == ["no code"]


def test_postcodes_refuse_what_they_do_not_know():
    with pytest.raises(UsageError, match="not known"):
        postcodes("zz")
    with pytest.raises(UsageError, match="1 value: 'x' are no Dutch"):
        postcodes("nl", ["1012 AB", "x"])
    with pytest.raises(UsageError, match="1 to 2 pieces"):
        postcodes("us", pieces=3)
    assert postcodes("us", ["02134-1000", "90210"], pieces=2).leaves == ("021", "902")
    mixed = postcodes("us", ["02134-1000", "02134"])
    assert mixed.generalise(["02134", "021341000"], 1) == ["02134-****", "02134-****"]


@pytest.mark.parametrize(
    "reading",
    [
        None,
        {},
        {"kind": "words"},
        {"kind": "dates", "unit": "day"},
        {"kind": "dates", "unit": "fortnight", "day_first": True},
        {"kind": "dates", "unit": 1, "day_first": True},
        {"kind": "postcodes", "country": "zz", "pieces": 1},
        {"kind": "postcodes", "country": "nl", "pieces": True},
        {"kind": "numbers", "below": "1", "above": None, "whole": True},
        {"kind": "numbers", "below": math.nan, "above": None, "whole": True},
        {"kind": "numbers", "below": 1, "above": None, "whole": True, "more": 1},
    ],
)
def test_a_rule_for_reading_comes_from_a_closed_list(reading):
    with pytest.raises(BadInput):
        Hierarchy.from_dict({"rows": [["a", "*"]], "reading": reading})
