"""Proposed hierarchies hold every value they were read from, say what they read, and ignore row order."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.data import load_adult
from comity.deidentify import Hierarchy, KAnonymity, anonymize
from comity.deidentify.hierarchies.suggestion import suggest
from comity.errors import BadTable, UsageError
from comity.schema import parse_schema


def one(values, name="q", schema=None):
    found = suggest(pd.DataFrame({name: values}), schema, columns=[name])[name]
    assert found.column == name
    return found


def spread(count, low, high, seed=0):
    return np.random.default_rng(seed).integers(low, high, count)


columns = st.one_of(
    st.lists(st.integers(-1000, 100_000), min_size=1, max_size=60),
    st.lists(st.integers(0, 30), min_size=1, max_size=60),
    st.lists(st.floats(-1e9, 1e9, allow_nan=False), min_size=1, max_size=60),
    st.lists(st.floats(0, 1), min_size=1, max_size=60),
    st.lists(st.floats(0, 1).map(lambda x: float(f"{x:.2f}")), min_size=1, max_size=60),
    st.lists(st.dates(date(1985, 1, 1), date(2015, 1, 1)), min_size=1, max_size=20),
    st.lists(st.dates(date(1990, 1, 1), date(1999, 1, 1)).map(str), min_size=1, max_size=20),
    st.lists(st.text("ab1*-. ", max_size=5), min_size=1, max_size=60),
    st.lists(st.sampled_from(["low", "high", "medium"]), min_size=1, max_size=60),
    st.lists(st.sampled_from([None, "x", "?", "yy"]), min_size=1, max_size=20),
    st.lists(st.integers(0, 9999).map("{:04d}".format), min_size=1, max_size=60),
    st.lists(st.booleans(), min_size=1, max_size=20),
    st.lists(st.floats(-1e6, 1e6).map(lambda x: f"{x:.1f}"), min_size=1, max_size=60),
    st.lists(st.integers(-99, 5000).map(str), min_size=1, max_size=60),
    st.lists(st.sampled_from(["SW1A 1AA", "SW1A", "M1", "m11ae", "K1A", "k1a0b1"]), min_size=1, max_size=9),
)


@settings(deadline=None, max_examples=60)
@given(columns, st.sampled_from(["q", "postcode", "zip", "year_of_birth"]), st.randoms(use_true_random=False))
def test_every_value_has_a_leaf_and_the_order_of_rows_does_not_matter(values, name, shuffler):
    found = one(values, name)
    frame = pd.DataFrame({name: values})
    held = [None if value != value else value for value in frame[name]]
    if "have no row" not in found.reason:
        assert found.hierarchy.absent(held) == []
    assert Hierarchy.from_dict(found.hierarchy.to_dict()) == found.hierarchy
    assert found.hierarchy.labels[-1] == ("*",)
    assert found.reads_data == ("read off the data" in found.reason)
    shuffler.shuffle(values)
    assert one(values, name) == found


def test_even_numbers_get_round_bounds_and_widths():
    found = one(spread(2000, 17, 91))
    assert "5, 10, 20" in found.reason
    assert (found.hierarchy.leaves[0], found.hierarchy.leaves[-1]) == ("10", "99")
    assert found.reads_data


def test_skewed_numbers_get_cuts_at_quantiles_and_a_coded_top():
    g = np.random.default_rng(1)
    found = one(np.round(np.exp(g.normal(10, 1, 3000)), 2))
    assert "skewed" in found.reason
    assert any(label.startswith(">= ") for label in found.hierarchy.labels[0])
    assert found.hierarchy.absent([1e12]) == []
    zeros = one(np.where(g.random(3000) < 0.9, 0, g.integers(1, 5000, 3000)))
    assert "0" in zeros.hierarchy.labels[1]


def test_dates_are_read_in_the_order_that_fits():
    days = [date(1950, 1, 1) + timedelta(days=int(n)) for n in spread(300, 0, 15_000)]
    found = one([f"{day:%m/%d/%Y}" for day in days])
    assert "month and day: check that" in found.reason
    assert found.hierarchy.leaves[0] == "1950-01-01"
    assert found.hierarchy.generalise(["12/31/1985"], 1) == ["1985-12"]
    assert one(days).hierarchy.rows == found.hierarchy.rows
    assert one([day.year for day in days], "birth_year").hierarchy.labels[1][0] == "1950-1954"
    weeks = one([f"2024-03-{day:02d}" for day in range(1, 32)])
    assert "week" in weeks.reason
    odd = one([*[str(day) for day in days], "soon"])
    assert "1 of" in odd.reason
    assert "no dates" in odd.reason


@pytest.mark.parametrize(
    ("name", "values", "words", "row"),
    [
        ("postcode", [1000, 2018, 9000], "Belgian", ("1000", "100*", "10**", "1***", "*")),
        ("zip", ["02134", "90210"], "United States", ("02134", "021**", "0****", "*")),
        ("plz", ["01069", "80331"], "German", ("01069", "010**", "01***", "0****", "*")),
        (
            "where",
            ["1012 AB", "3011xy"],
            "Dutch",
            ("1012 AB", "1012 **", "101* **", "10** **", "1*** **", "*"),
        ),
        ("where", ["SW1A 1AA", "M1 1AE"], "British", ("M1 1AE", "M1 1*", "M1*", "M*", "*")),
        ("where", ["K1A 0B1", "v6b1a1"], "Canadian", ("K1A 0B1", "K1A ***", "K** ***", "*")),
    ],
)
def test_postcodes_by_header_and_form(name, values, words, row):
    found = one(values, name)
    assert words in found.reason
    assert found.hierarchy.rows[0] == row
    assert found.reads_data == (words != "Belgian")


def test_words_with_an_order_bands_codes_and_categories():
    sizes = one(["XL", "s", "M", "l"])
    assert sizes.hierarchy.leaves == ("s", "M", "l", "XL")
    bands = one(["65+", "18-24", "<18", "25-64"])
    assert bands.hierarchy.leaves == ("<18", "18-24", "25-64", "65+")
    codes = one(
        [f"{letter}{number:02d}.{digit}" for letter in "AB" for number in range(9) for digit in range(5)]
    )
    assert codes.hierarchy.rows[0] == ("A00.0", "A00**", "A****", "*")
    jobs = one(["clerk"] * 50 + ["baker"] * 30 + ["smith"] * 17 + ["potter"] * 2 + ["cooper"])
    assert jobs.hierarchy.generalise(["cooper", "potter", "clerk"], 1) == ["other", "other", "clerk"]
    names = one([f"town {chr(97 + n % 26)}{n}" for n in range(500)])
    assert "how they begin" in names.reason
    taken = one(["other"] * 50 + ["baker"] * 40 + ["x", "y", "z"])
    assert taken.hierarchy.generalise(["x"], 1) == ["all other"]


def test_public_facts_are_used_alone():
    schema = parse_schema(
        {
            "columns": {
                "age": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 120},
                "flag": {"role": "quasi_identifier", "type": "integer", "min": 0, "max": 1},
                "pain": {"role": "quasi_identifier", "type": "category", "values": ["high", "low", "medium"]},
                "job": {
                    "role": "quasi_identifier",
                    "type": "category",
                    "values": ["baker", "clerk", "smith"],
                },
                "town": {"role": "quasi_identifier", "type": "text"},
                "ill": {"role": "target", "type": "category", "values": ["no", "yes"]},
            }
        },
        where="a test",
    )
    frame = pd.DataFrame(
        {
            "age": [50, 51],
            "flag": [0, 0],
            "pain": ["low", "low"],
            "job": ["clerk", "clerk"],
            "town": ["x", "y"],
            "ill": ["no", "no"],
        }
    )
    found = suggest(frame, schema)
    assert list(found) == ["age", "flag", "pain", "job", "town"]
    assert {name for name, each in found.items() if each.reads_data} == {"town"}
    assert len(found["age"].hierarchy.rows) == 121
    assert found["pain"].hierarchy.leaves == ("low", "medium", "high")
    other = suggest(frame.assign(age=[1, 2], pain="high"), schema)
    assert all(other[name] == found[name] for name in found)


def test_adult_can_be_anonymised_with_what_is_proposed():
    table = load_adult()
    found = suggest(table)
    assert set(found) >= {"age", "education", "native-country"}
    assert found["education"].hierarchy.rows[0][:3] == (
        "Preschool",
        "Preschool to 1st-4th",
        "Preschool to 7th-8th",
    )
    names = ["age", "education", "sex"]
    done = anonymize(
        table, quasi_identifiers={name: found[name].hierarchy for name in names}, require=[KAnonymity(10)]
    )
    assert done.smallest_class >= 10


def test_engines_agree_and_nothing_to_propose_is_said():
    columns = {"age": spread(200, 18, 90).tolist(), "town": ["a", "b"] * 100}
    assert suggest(pd.DataFrame(columns), columns=list(columns)) == suggest(
        pl.DataFrame(columns), columns=list(columns)
    )
    with pytest.raises(UsageError, match="no column"):
        suggest(pd.DataFrame(columns), columns=[])
    assert one([None, None]).hierarchy.rows == ((None, "*"),)


@pytest.mark.parametrize("sentinel", [date(1, 1, 1), date(9999, 12, 31)])
def test_a_sentinel_date_is_a_date(sentinel):
    days = [sentinel, date(2020, 5, 5), date(2021, 6, 6)] * 5
    found = suggest(pa.table({"d": days}), columns=["d"])["d"].hierarchy
    assert found.absent(days) == []


def test_large_whole_numbers_stay_within_their_bounds():
    numbers = [10**15 + i for i in range(60)]
    assert suggest(pa.table({"n": numbers}), columns=["n"])["n"].hierarchy.absent(numbers) == []


def test_nested_columns_are_refused_by_name():
    with pytest.raises(BadTable, match="column 'n' holds values made of several"):
        suggest(pa.table({"n": [[1], [2]]}), columns=["n"])
