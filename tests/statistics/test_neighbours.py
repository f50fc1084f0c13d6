"""One record more moves every exact figure by what it can add, whatever the record holds, and is no error.

Without noise (`Noise.add` only moves sums to its grid): what is left is the exact figure that noise is added
to. Tables have columns that no type declares, whose reading could depend on what else they hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity import statistics
from comity.data.column import objects
from comity.mechanism import Noise

OWN = [Decimal("1.5"), "a", 1, 2.0, True, date(2020, 1, 1), None]
ODD = [Decimal("2.25"), b"\xff", "\ud800", 2**70, ["a"], [1, 2], datetime(2020, 1, 1, 5), float("inf"), pd.NA,
       Decimal("sNaN"), {"a": 1}, "1", False, 1j]  # fmt: skip
LEVELS = [Decimal("1.5"), "a", 1, 2, 0.25, date(2020, 1, 1), "True"]
ENDS = (-2.0, 6.0)

values = st.lists(st.sampled_from([*OWN, *ODD]), max_size=6)
records = st.sampled_from([*OWN, *ODD])


COLUMNS: dict[str, Callable[[list[Any]], Any]] = {
    "list": list,
    "numpy": objects,
    "pandas": lambda column: pd.Series(objects(column), dtype=object),
    "polars": lambda column: pl.Series("x", column, dtype=pl.Object),
}
FRAMES: dict[str, Callable[..., Any]] = {
    "list": lambda *columns: [list(row) for row in zip(*columns, strict=True)],
    "numpy": lambda *columns: np.column_stack([objects(column) for column in columns]),
    "pandas": lambda *columns: pd.DataFrame(
        {f"x{at}": objects(one) for at, one in enumerate(columns)}, dtype=object
    ),
    "polars": lambda *columns: pl.DataFrame(
        {f"x{at}": pl.Series(one, dtype=pl.Object) for at, one in enumerate(columns)}
    ),
}


@pytest.fixture(autouse=True, scope="module")
def _without_noise() -> Iterator[None]:
    with patch.object(Noise, "add", lambda self, sums: np.asarray(sums, dtype=np.int64) << self.shift):
        yield


def moved(asked: Callable[[list[Any]], Any], rows: list[Any], more: Any) -> float:
    """How far one record more moves all figures together, for a person or a record, in L1."""
    told = [asked(own) for own in (rows, [*rows, more])]
    figures = [
        one.values_ if isinstance(one, statistics.Statistics) else np.array([one.value]) for one in told
    ]
    return float(np.abs(figures[0] - figures[1]).sum())


@pytest.mark.parametrize("kind", COLUMNS)
@given(rows=values, more=records)
@settings(max_examples=60)
def test_of_a_column(kind: str, rows: list[Any], more: Any) -> None:
    made = COLUMNS[kind]
    price: dict[str, Any] = {"epsilon": 1.0}
    assert moved(lambda own: statistics.histogram(made(own), categories=LEVELS, **price), rows, more) <= 1
    assert moved(lambda own: statistics.histogram(made(own), bounds=ENDS, bins=3, **price), rows, more) <= 1
    assert moved(lambda own: statistics.sum(made(own), bounds=ENDS, **price), rows, more) <= 6 * (1 + 1e-6)
    # a person's rows: those of nobody else
    people = [*range(len(rows)), 0]
    counted = moved(
        lambda own: statistics.count(own, unit=made(people[: len(own)]), max_rows=1, **price), rows, more
    )
    assert counted <= 1
    whose = moved(lambda own: statistics.count(own, unit=made(own), max_rows=2, **price), rows, more)
    assert whose <= 1


@pytest.mark.parametrize("kind", FRAMES)
@given(rows=st.lists(st.tuples(records, records), min_size=1, max_size=5), more=st.tuples(records, records))
@settings(max_examples=60)
def test_of_a_frame(kind: str, rows: list[Any], more: Any) -> None:
    def made(own: list[Any]) -> Any:
        return FRAMES[kind](*([row[at] for row in own] for at in range(2)))

    by, price = {"x0": LEVELS}, {"epsilon": 1.0}
    assert moved(lambda own: statistics.group_counts(made(own), by, **price), rows, more) <= 1
    assert moved(
        lambda own: statistics.group_sums(made(own), by, "x1", bounds=ENDS, **price), rows, more
    ) <= 6 * (1 + 1e-6)
    statistics.group_means(made([*rows, more]), by, "x1", bounds=ENDS, epsilon=1.0)
    whose = moved(
        lambda own: statistics.group_counts(made(own), by, unit="x1", max_rows=1, **price), rows, more
    )
    assert whose <= 1


DECIMALS: dict[str, Callable[[list[Decimal]], Any]] = {
    "arrow": lambda own: pa.array(own, pa.decimal128(12, 3)),
    "polars": lambda own: pl.Series("x", own, dtype=pl.Decimal(12, 3)),
    "pandas": lambda own: pd.Series(own, dtype=pd.ArrowDtype(pa.decimal128(12, 3))),
    "pandas objects": lambda own: pd.Series(own, dtype=object),
    "list": list,
}


@pytest.mark.parametrize("kind", DECIMALS)
def test_money_is_counted_summed_and_ranked(kind: str) -> None:
    prices = [Decimal("1.5"), Decimal("2.25")] * 50
    column, price = DECIMALS[kind](prices), {"epsilon": 1.0}
    frame = pd.DataFrame({"x": column, "g": "a"}) if kind.startswith("pandas") else pl.DataFrame(
        {"x": column if kind != "arrow" else pl.from_arrow(column), "g": ["a"] * 100}
    )  # fmt: skip
    frame = pa.table({"x": column, "g": ["a"] * 100}) if kind == "arrow" else frame
    assert statistics.sum(column, bounds=(0, 10), **price).value == pytest.approx(187.5, abs=1e-4)
    assert statistics.mean(column, bounds=(0, 10), **price).value == pytest.approx(1.875, abs=1e-4)
    told = statistics.histogram(column, bounds=(0, 4), bins=2, **price)
    assert [one.value for one in told.values()] == [50, 50]
    ranked = statistics.quantiles(column, [0.3, 0.7], bounds=(0, 4), grid=16, epsilon=1e4)  # wrong: e^-1000
    assert [one.value for one in ranked.values()] == [1.5, 2.25]
    for levels in (prices[:2], [1.5, 2.25]):
        assert statistics.histogram(column, categories=levels, **price)[1.5].value == 50
        assert statistics.group_counts(frame, {"x": levels}, **price)[2.25].value == 50
    sums = statistics.group_sums(frame, {"g": ["a"]}, "x", bounds=(Decimal(0), Decimal(10)), **price)
    assert sums["a"].value == pytest.approx(187.5, abs=1e-4)
