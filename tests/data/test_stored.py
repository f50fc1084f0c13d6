"""What a column is stored as is told by its type alone."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from comity.data.stored import Stored, columns_stored_as, require_levels, require_numbers, stored_as
from comity.errors import UsageError

KINDS: list[tuple[Any, Stored]] = [
    (pd.Series(["a"], dtype="string"), Stored.text),
    (pd.Series(["a"], dtype=pd.ArrowDtype(pa.string())), Stored.text),
    (pd.Series(pd.to_datetime(["2020-01-01"])), Stored.time),
    (pd.Series(pd.to_datetime(["2020-01-01"])).dt.tz_localize("UTC"), Stored.time),
    (pd.Series([1], dtype="Int64"), Stored.number),
    (pd.Series([True], dtype="boolean"), Stored.truth),
    (pl.Series(["a"]), Stored.text),
    (pl.Series(["a"], dtype=pl.Categorical), Stored.text),
    (pl.Series([date(2020, 1, 1)]), Stored.time),
    (pl.Series([1.0]), Stored.number),
    (np.array(["a"]), Stored.text),
    (np.array([1], dtype="datetime64[s]"), Stored.time),
    (pa.array(["a"]).dictionary_encode(), Stored.text),
    (pa.chunked_array([[1]]), Stored.number),
    # types that depend on values say nothing
    (pd.Series(["a", 1], dtype=object), Stored.other),
    (np.array(["a", 1], dtype=object), Stored.other),
    (["a"], Stored.other),
    (pl.Series([None]), Stored.other),
    (object(), Stored.other),
]


@pytest.mark.parametrize(("values", "kind"), KINDS)
def test_a_type_tells_the_kind(values: Any, kind: Stored) -> None:
    assert stored_as(values) is kind


def test_columns_of_frames() -> None:
    wanted = {"a": Stored.text, "b": Stored.number}
    frame = pl.DataFrame({"a": ["x"], "b": [1]})
    assert columns_stored_as(frame) == columns_stored_as(frame.lazy()) == wanted
    assert columns_stored_as(frame.to_arrow()) == wanted
    assert columns_stored_as(pd.DataFrame({"a": pd.Series(["x"], dtype="string"), "b": [1]})) == wanted
    assert columns_stored_as(np.zeros((2, 2))) == {"x0": Stored.number, "x1": Stored.number}
    objects = pd.DataFrame({"a": pd.Series(["x", "y"], dtype=object)})
    assert columns_stored_as(objects) == {"a": Stored.other}
    assert columns_stored_as([[1, 2]]) == columns_stored_as(object()) == {}


def test_refusals_name_the_column_and_what_to_do() -> None:
    with pytest.raises(UsageError, match=r"column age is stored as text .* convert to numbers first"):
        require_numbers(Stored.text, "column age is")
    with pytest.raises(UsageError, match=r"column born is stored as dates or times .*days since"):
        require_numbers(Stored.time, "column born is")
    require_numbers(Stored.other, "column age is")
    with pytest.raises(UsageError, match=r"labels are stored as numbers .* without quotes"):
        require_levels(np.array([0, 1]), ["0", "1"], "labels are")
    with pytest.raises(UsageError, match=r"labels are stored as text .* in quotes"):
        require_levels(np.array(["0", "1"]), [0, 1], "labels are")
    require_levels(pl.Series(["0", "1"]), [0, 1], "labels are")  # written numbers are found by their text
