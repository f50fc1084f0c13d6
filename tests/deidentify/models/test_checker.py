from __future__ import annotations

import math
from fractions import Fraction

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.deidentify import (
    DistinctLDiversity,
    Hierarchy,
    KAnonymity,
    RecursiveLDiversity,
    TCloseness,
    anonymize,
    check,
)
from comity.deidentify.models.checker import _in_order
from comity.deidentify.models.distance import ordering
from comity.errors import BadTable, UsageError

TABLE = pa.table(
    {"a": ["1", "1", "1", "2", "2", "*"], "b": ["x", "x", "x", "y", "y", "*"], "s": [1, 2, 1, 3, 3, 1]}
)


def test_says_which_model_fails_and_where():
    found = check(TABLE, ["a", "b"], [KAnonymity(3), DistinctLDiversity("s", 2)])
    assert not found.holds
    assert (found.rows, found.classes, found.smallest) == (6, 3, 1)
    assert found.violations == (
        "k-anonymity, k = 3 does not hold in 2 classes with 3 rows together",
        "distinct l-diversity of 's', l = 2 does not hold in 2 classes with 3 rows together",
    )


def test_suppressed_rows_are_set_apart_only_when_asked():
    assert check(TABLE, ["a", "b"], [KAnonymity(2)], set_apart=True).holds
    assert check(TABLE, ["a", "b"], [KAnonymity(2)], set_apart=True).suppressed == 1
    assert not check(TABLE, ["a", "b"], [KAnonymity(2)]).holds


def test_t_closeness_compares_with_the_reference_where_one_is_given():
    table = TABLE.slice(0, 3)
    assert check(table, ["a"], [TCloseness("s", 0)]).holds
    assert not check(table, ["a"], [TCloseness("s", 0.3)], reference={"s": {1: 2, 2: 1, 3: 2}}).holds


def test_unknown_columns_and_models_are_refused():
    with pytest.raises(BadTable, match="no column 'c'"):
        check(TABLE, ["c"], [KAnonymity(2)])

    class Odd:
        sensitive = None

    with pytest.raises(UsageError, match="no independent check of Odd"):
        check(TABLE, ["a"], [Odd()])


ONE = Hierarchy.from_rows([("a",), ("b",)])


def search_holds(frame, model):
    """Whether the search finds that the table satisfies a model as it is."""
    try:
        anonymize(frame, quasi_identifiers={"q": ONE}, require=[model], suppression_limit=0)
    except BadTable:
        return False
    return True


@pytest.mark.parametrize(
    ("values", "order"),
    [
        ([1.0, 2.0], [1, 2]),
        ([1.0, 2.0], ["1.0", "2"]),
        ([True, False], ["false", "true"]),
        ([True, False], [False, True]),
        ([-0.0, 1.0], ["0.0", "1.0"]),
    ],
)
def test_an_order_names_values_as_the_search_reads_them(values, order):
    table = pa.table({"q": ["a", "a"], "s": values})
    model = TCloseness("s", 0.5, distance="ordered", order=order)
    assert check(table, ["q"], [model]).holds
    assert search_holds(table, model)


def test_a_value_without_a_place_is_said_to_the_holder_alone():
    table = pa.table({"q": ["a", "a"], "s": [1.0, 7.5]})
    tree = Hierarchy.from_rows([("1", "*"), ("2", "*")])
    for model, message in (
        (TCloseness("s", 0.5, distance="ordered", order=[1, 2]), "the order for t-closeness leaves out"),
        (TCloseness("s", 0.5, distance=tree), "the hierarchy for t-closeness has no row for"),
    ):
        with pytest.raises(BadTable, match=message) as caught:
            check(table, ["q"], [model])
        assert caught.value.private


def test_what_cannot_be_counted_is_no_stray_error():
    lists = pa.table({"q": ["a", "a"], "s": [[7.5], [8.5]]})
    fine = pa.table({"q": ["a", "a"], "s": [7.5, 8.5]})
    for table, names, model, reference in (
        (lists, ["q"], DistinctLDiversity("s", 2), None),
        (fine, ["q"], DistinctLDiversity("q", 2), None),
        (fine, ["q"], TCloseness("s", 0.5), {"t": {7.5: 1}}),
        (fine, ["q"], TCloseness("s", 0.5), {"s": {7.5: 0}}),
    ):
        with pytest.raises(BadTable, match="could not be checked") as caught:
            check(table, names, [model], reference=reference)
        assert caught.value.private
        assert "7.5" not in str(caught.value)


def test_columns_of_codes_and_lazy_tables_are_checked_too():
    import pandas as pd
    import polars as pl

    rows = {"q": ["a", "a", "b", "b"], "s": ["x", "y", "x", "y"]}
    for table in (
        pa.table({name: pa.array(values).dictionary_encode() for name, values in rows.items()}),
        pd.DataFrame(rows).astype("category"),
        pl.DataFrame(rows).cast(pl.Categorical),
        pl.DataFrame(rows).lazy(),
    ):
        assert check(table, ["q"], [KAnonymity(2), DistinctLDiversity("s", 2)]).holds
    with pytest.raises(BadTable, match="no column 'c'"):
        check(pl.DataFrame(rows).lazy(), ["c"], [KAnonymity(2)])


@pytest.mark.parametrize(
    "values", [[None, math.nan], [0.0, -0.0], [None, "?"], ["NA", ""], [None, None], [" ? ", None]]
)
@pytest.mark.parametrize("engine", ["arrow", "polars"])
def test_missing_values_are_one_value_and_so_is_zero(values, engine):
    import polars as pl

    table = pa.table({"q": ["a", "a"], "s": pa.array(values, from_pandas=False)})
    frame = pl.from_arrow(table) if engine == "polars" else table
    for model in (DistinctLDiversity("s", 2), RecursiveLDiversity("s", 2, 5.0)):
        assert not check(frame, ["q"], [model]).holds
        assert not search_holds(frame, model)
    # counts add up: nothing is lost where two ways of writing one value meet
    assert check(frame, ["q"], [TCloseness("s", 0)]).holds
    assert check(frame, ["q"], [TCloseness("s", 0)], reference={"s": {values[0]: 1, values[1]: 1}}).holds


def test_quasi_identifiers_that_read_differently_are_different_classes():
    table = pa.table({"q": [0.0, -0.0, math.nan, None, 0.0], "s": ["x", "y", "x", "y", "z"]})
    found = check(table, ["q"], [KAnonymity(2), DistinctLDiversity("s", 1)])
    assert (found.rows, found.classes, found.smallest) == (5, 4, 1)
    assert found.violations == ("k-anonymity, k = 2 does not hold in 3 classes with 3 rows together",)


raw = st.one_of(
    st.lists(st.sampled_from([None, math.nan, 0.0, -0.0, 1.0, 2.5]), min_size=1, max_size=8),
    st.lists(st.sampled_from([None, "?", "NA", "", "1", "1.0", "b", "nan"]), min_size=1, max_size=8),
    st.lists(st.sampled_from([None, "1", "1.0", "01", "2"]), min_size=1, max_size=8),
    st.lists(st.sampled_from([None, True, False]), min_size=1, max_size=8),
)


@settings(max_examples=100, deadline=None)
@given(raw, st.data())
def test_search_and_check_agree_on_raw_values(values, data):
    classes = data.draw(st.lists(st.sampled_from("ab"), min_size=len(values), max_size=len(values)))
    kind = next((type(x) for x in values if x is not None), str)
    arrow = {float: pa.float64(), str: pa.string(), bool: pa.bool_()}[kind]
    table = pa.table({"q": classes, "s": pa.array(values, arrow, from_pandas=False)})
    for model in (
        DistinctLDiversity("s", data.draw(st.integers(1, 3))),
        TCloseness("s", data.draw(st.sampled_from([0.0, 0.25, 0.5]))),
        TCloseness("s", data.draw(st.sampled_from([0.0, 0.25, 0.5])), distance="ordered"),
    ):
        assert check(table, ["q"], [model]).holds == search_holds(table, model)


@given(st.permutations(["1", "1.0", "01", "2", "10", None]), st.booleans())
def test_values_at_one_place_stand_in_one_order_whatever_row_comes_first(values, numbers):
    given_values = values if numbers else [value and f"v{value}" for value in values]
    by_search = [given_values[i] for i in ordering(given_values, None)]
    assert by_search == _in_order(given_values, None)
    assert by_search == sorted(
        given_values, key=lambda x: (x is None, Fraction(x) if numbers and x else 0, x or "")
    )
