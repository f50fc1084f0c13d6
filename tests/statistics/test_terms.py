"""Terms: what is refused is refused before the charge, and what was charged is answered."""

from __future__ import annotations

import math
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity import statistics
from comity.errors import UsageError
from comity.ledger import Cost
from comity.mechanism import Noise, laplace
from comity.statistics import RandomizedResponse, UnaryEncoding, local
from comity.statistics.terms import reach
from comity.validate.group_sums import margin

ENDS = (0.0, 10.0)
VALUES = np.array([1.0, 2.0, 7.0])
FRAME = pd.DataFrame({"g": ["a", "b", "a"], "x": VALUES, "who": [1, 1, 2]})
BY = {"g": ["a", "b"]}
ASKED: dict[str, Any] = {
    "count": lambda **terms: statistics.count(VALUES, **terms),
    "sum": lambda **terms: statistics.sum(VALUES, bounds=ENDS, **terms),
    "mean": lambda **terms: statistics.mean(VALUES, bounds=ENDS, **terms),
    "histogram": lambda **terms: statistics.histogram(VALUES, bounds=ENDS, bins=3, **terms),
    "group counts": lambda **terms: statistics.group_counts(FRAME, BY, **terms),
    "group sums": lambda **terms: statistics.group_sums(FRAME, BY, "x", bounds=ENDS, **terms),
    "group means": lambda **terms: statistics.group_means(FRAME, BY, "x", bounds=ENDS, **terms),
}


def powers(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(math.log(low), math.log(high)).map(math.exp).map(lambda one: min(max(one, low), high))


@pytest.mark.parametrize("name", [*ASKED, "quantiles"])
@given(
    epsilon=st.one_of(powers(1e-9, 1e6), st.sampled_from([1e-9, 1e6])),
    delta=st.one_of(st.just(0.0), powers(1e-15, 0.9)),
    rows=st.one_of(st.just(None), powers(1, 2**31).map(round)),
)
@settings(max_examples=40)
def test_nothing_fails_after_the_charge(name: str, epsilon: float, delta: float, rows: int | None) -> None:
    """Over everything that may be asked for: refused with words before it costs anything, or answered."""
    charged: list[Cost] = []
    terms: dict[str, Any] = {"epsilon": epsilon, "charge": charged.append}
    terms |= {} if rows is None else {"unit": [1, 1, 2], "max_rows": rows}
    try:
        if name == "quantiles":
            told: Any = statistics.quantiles(VALUES, [0.5], bounds=ENDS, grid=5, **terms)
        else:
            told = ASKED[name](delta=delta, **terms)
    except UsageError:
        assert charged == []
    else:
        figures = list(told.values()) if isinstance(told, statistics.Statistics) else [told]
        # a quantile and the ends of its interval are drawn each by itself
        assert name == "quantiles" or all(one.low <= one.value <= one.high for one in figures)
        assert all(math.isfinite(one.low) and math.isfinite(one.high) for one in figures)


def test_out_of_reach_is_what_it_says() -> None:
    """Against the law summed up, and for wide noise against the continuous one, ln 20 scales."""
    for scale in (0.05, 0.5, 3.0, 40.0):
        ratio = math.exp(-1 / scale)

        def outside(steps: int, ratio: float = ratio) -> float:
            return 2 * ratio ** (steps + 1) / (1 + ratio)

        steps = int(reach(Noise("laplace", 0, scale)))
        assert steps == margin(scale)
        assert outside(steps) <= 0.05 * (1 + 1e-9)
        assert steps == 0 or outside(steps - 1) > 0.05
    for bits in (30, 50, 53.5, 54.9):
        assert reach(Noise("laplace", 0, 2.0**bits)) == pytest.approx(2.0**bits * math.log(20), rel=1e-8)
    assert reach(Noise("gaussian", 4, 160.0)) == pytest.approx(19.6, abs=0.01)
    assert Noise("laplace", 0, 1e-6).deviation == 0
    with pytest.raises(UsageError):
        laplace(1, 1, 2.0**-55.5)


SLIPS: dict[str, Any] = {
    "unit by name without a frame's groups": lambda **more: statistics.count(FRAME, unit="who", **more),
    "unit of several columns": lambda **more: statistics.count(FRAME, unit=FRAME, **more),
    "unit is a mapping": lambda **more: statistics.sum(VALUES, bounds=ENDS, unit={"a": 1}, **more),
    "where by name": lambda **more: statistics.count(FRAME, where="g", **more),
    "mean of a frame": lambda **more: statistics.mean(FRAME, bounds=ENDS, **more),
    "mean of known of a frame": lambda **more: statistics.mean(FRAME, bounds=ENDS, records=3, **more),
    "sum of a matrix": lambda **more: statistics.sum(np.zeros((3, 2)), bounds=ENDS, **more),
    "sum of a word": lambda **more: statistics.sum("abc", bounds=ENDS, **more),
    "sum of lists": lambda **more: statistics.sum(pl.Series([[1], [2]]), bounds=ENDS, **more),
    "sum of bytes": lambda **more: statistics.sum(pl.Series([b"1"]), bounds=ENDS, **more),
    "quantiles of a lazy frame": lambda **more: statistics.quantiles(
        pl.LazyFrame({"a": [1], "b": [2]}), bounds=ENDS, **more
    ),
    "histogram of nothing": lambda **more: statistics.histogram(None, bounds=ENDS, **more),
    "histogram by bounds and edges": lambda **more: statistics.histogram(
        VALUES, bounds=ENDS, bins=[0, 1, 2], **more
    ),
    "histogram of a missing level": lambda **more: statistics.histogram(
        ["a"], categories=["a", None], **more
    ),
    "histogram of too narrow bins": lambda **more: statistics.histogram(
        VALUES, bounds=(2.0**39, 2.0**39 + 1), bins=100_000, **more
    ),
    "count of a mapping": lambda **more: statistics.count({"a": [1]}, **more),
    "count of one": lambda **more: statistics.count(np.array(3), **more),
    "count of an object": lambda **more: statistics.count(object(), **more),
    "records of no number": lambda **more: statistics.mean(VALUES, bounds=ENDS, records=0, **more),
    "more rows of a person than there are of all": lambda **more: statistics.count(
        VALUES, unit=[1, 1, 2], max_rows=2**32, **more
    ),
}


@pytest.mark.parametrize("name", SLIPS)
def test_a_public_slip_costs_nothing(name: str) -> None:
    charged: list[Cost] = []
    with pytest.raises(UsageError) as told:
        SLIPS[name](epsilon=0.5, charge=charged.append)
    assert not told.value.private
    assert charged == []


@pytest.mark.parametrize("kind", [RandomizedResponse, UnaryEncoding])
def test_a_public_slip_of_a_local_answer_costs_nothing(kind: Any) -> None:
    charged: list[Cost] = []
    for values in (np.array([1, 2]), pl.Series([True]), np.zeros((2, 2)), "a", FRAME):
        with pytest.raises(UsageError):
            kind(["a", "b"], 1.0).answer(values, charge=charged.append)
    for levels in (["a", None], [1.0, float("nan")], ["a"], ["a", "a"], [[1], [2]]):
        with pytest.raises(UsageError):
            kind(levels, 1.0)
    assert charged == []


def test_bits_are_drawn_in_blocks() -> None:
    """Of six bits at a time, which are two rows; here every level is answered as it is."""
    asked = UnaryEncoding(["a", "b", "c"], 30.0)
    with patch.object(local, "_CELLS", 6), patch.object(local, "answers", lambda codes, weights: codes):
        told = asked.answer(["a", "b", None, "c", "a"])
    assert told.tolist() == [
        [True, False, False], [False, True, False], [False, False, True], [False, False, True],
        [True, False, False],
    ]  # fmt: skip


@pytest.mark.parametrize("levels", [[1, 2], [True, False], [0.5, 2.5], [(1, 2), "a"]])
def test_results_are_looked_up_by_what_was_declared(levels: list[Any]) -> None:
    """At epsilon 50 each count is wrong with a probability below 1e-20."""
    values = pd.Series([levels[0]] * 3 + [levels[1]], dtype=object)
    frame = pd.DataFrame({"g": values})
    for told in (
        statistics.histogram(values, categories=levels, epsilon=50.0),
        statistics.group_counts(frame, {"g": levels}, epsilon=50.0),
    ):
        assert [round(told[level].value) for level in levels] == [3, 1]
        assert list(told) == levels
    both = statistics.group_counts(frame.assign(h=[1, 1, 2, 2]), {"g": levels, "h": [1, 2]}, epsilon=50.0)
    assert round(both[levels[0], 1].value) == 2
    assert set(RandomizedResponse(levels, 30.0).estimate(np.array([], dtype=object))) == set(levels)


def test_a_lazy_frame_is_read_once_and_after_the_charge() -> None:
    """Twice, its rows could come in another order."""
    order: list[str] = []

    def read(frame: pl.DataFrame) -> pl.DataFrame:
        order.append("read")
        return frame

    def lazy(*names: str) -> pl.LazyFrame:
        return (
            pl.from_pandas(FRAME).lazy().map_batches(read, schema=pl.from_pandas(FRAME).schema).select(*names)
        )

    terms: dict[str, Any] = {"epsilon": 1.0, "charge": lambda cost: order.append("charged")}
    whole = ("g", "x", "who")
    for ask in (
        lambda: statistics.count(lazy(*whole), **terms),
        lambda: statistics.group_counts(lazy(*whole), BY, unit="who", **terms),
        lambda: statistics.group_sums(lazy(*whole), BY, "x", bounds=ENDS, **terms),
        lambda: statistics.group_means(lazy(*whole), BY, "x", bounds=ENDS, unit="who", **terms),
        lambda: statistics.sum(lazy("x"), bounds=ENDS, **terms),
        lambda: statistics.mean(lazy("x"), bounds=ENDS, **terms),
        lambda: statistics.mean(lazy("x"), bounds=ENDS, records=3, **terms),
        lambda: statistics.histogram(lazy("g"), categories=["a", "b"], **terms),
        lambda: statistics.quantiles(lazy("x"), bounds=ENDS, **terms),
        lambda: RandomizedResponse(["a", "b"], 1.0).answer(lazy("g"), charge=terms["charge"]),
    ):
        order.clear()
        ask()
        assert order == ["charged", "read"]
