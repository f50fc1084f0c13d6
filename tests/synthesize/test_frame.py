"""Frames without a schema: stored types, and every value by itself, whatever one more record holds."""

from __future__ import annotations

import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from comity.data import Table
from comity.errors import BadTable, UsageError
from comity.synthesize import synthesize
from comity.synthesize.frame import rows_by_type, stored_types

ODD = (
    None, 1, 1.5, 2**70, -1, float("nan"), float("inf"), "x", "1", "", "?", True, Decimal("1.50"), b"x", [1],
    datetime.date(2024, 1, 1), datetime.datetime(2024, 1, 1), "\ud800",
)  # fmt: skip


def kinds(frame: Any) -> dict[str, str]:
    types = stored_types(frame)
    return {name: str(types[name].type) for name in types}


def objects(values: list[Any]) -> pd.DataFrame:
    return pd.DataFrame({"a": pd.Series(values, dtype=object), "b": [1.0] * len(values)})


@given(st.lists(st.sampled_from(ODD), max_size=6), st.sampled_from(ODD))
def test_one_record_more_changes_no_others(values: list[Any], odd: Any) -> None:
    frame, more = objects(values), objects([*values, odd])
    assert kinds(frame) == kinds(more) == {"a": "category", "b": "number"}
    rows, after = (rows_by_type(each, stored_types(each)) for each in (frame, more))
    assert after.arrow.slice(0, len(values)).equals(rows.arrow)


@given(st.sampled_from(ODD))
def test_no_record_is_refused_whatever_it_holds(odd: Any) -> None:
    for frame in (objects([odd]), pl.DataFrame({"a": pl.Series([odd, 1], dtype=pl.Object), "b": [1.0, 2.0]})):
        made = synthesize(frame, epsilon=1.0, delta=1e-6, rows=3, method="mst")
        assert len(made) == 3


def test_types_are_those_that_columns_are_stored_as() -> None:
    frame = pd.DataFrame(
        {
            "whole": [1, 2],
            "nullable": pd.Series([1, None], dtype="Int64"),
            "number": [1.0, np.nan],
            "flag": [True, False],
            "word": ["a", "b"],
            "object": pd.Series([1, 2], dtype=object),
            "none": pd.Series([None, None], dtype=object),
            "group": pd.Categorical([1, 2]),
        }
    )
    wanted = {"whole": "integer", "nullable": "integer", "number": "number"}
    assert kinds(frame) == {name: wanted.get(name, "category") for name in frame.columns}
    arrow = pa.table({"n": pa.nulls(2), "d": pa.array([Decimal("1.5"), None]), "s": ["1", "2"]})
    assert kinds(arrow) == kinds(Table(arrow)) == {"n": "category", "d": "number", "s": "category"}
    assert kinds(pl.from_arrow(arrow).lazy()) == {"n": "category", "d": "number", "s": "category"}  # pyright: ignore[reportAttributeAccessIssue]


def test_what_is_no_value_is_missing() -> None:
    table = pa.table({"x": [1.0, np.inf, -np.inf, np.nan], "w": [" a", "?", "NA", ""]})
    rows = rows_by_type(table, stored_types(table))
    assert rows.arrow.to_pydict() == {"x": [1.0, None, None, None], "w": ["a", None, None, None]}


def test_an_empty_frame_is_one_record_away_from_one() -> None:
    empty = pd.DataFrame({"a": pd.Series([], dtype=float), "b": pd.Series([], dtype=object)})
    assert len(synthesize(empty, epsilon=1.0, delta=1e-6, rows=2)) == 2


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (pa.array([[1]]), "one plain value"),
        (pa.array([datetime.timedelta(1)]), "dates or times"),
        (pa.array([datetime.time(1)]), "dates or times"),
    ],
)
def test_columns_stored_as_lists_or_times_are_refused_by_name(values: pa.Array, words: str) -> None:
    with pytest.raises(BadTable, match=f"'a'.*{words}") as refused:
        stored_types(pa.table({"a": values}))
    assert not refused.value.private


def test_what_is_no_frame_is_refused() -> None:
    with pytest.raises(UsageError, match="a table is"):
        synthesize({"a": [1]}, epsilon=1.0, delta=1e-6)
    with pytest.raises(BadTable, match="two columns"):
        synthesize(pd.DataFrame([[1, 2]], columns=["a", "a"]), epsilon=1.0, delta=1e-6)
