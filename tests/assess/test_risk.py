"""Re-identification risk of small tables that can be counted by hand, of Adult, and of released tables."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from comity.assess import reidentification_risk
from comity.data import load_adult
from comity.errors import BadTable, UsageError

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data" / "adult"
FRAME = pd.DataFrame({"a": [1, 1, 2, 2, 2, 3], "b": ["x", "x", "y", "y", "y", None]})


def test_by_hand() -> None:
    risk = reidentification_risk(FRAME, ["a", "b"])
    assert (risk.records, risk.suppressed, risk.classes, risk.smallest_class) == (6, 0, 3, 1)
    assert risk.prosecutor_max == 1.0
    assert risk.prosecutor_mean == pytest.approx(3 / 6)
    assert risk.sample_uniques == pytest.approx(1 / 6)
    assert risk.at_risk == 1.0
    assert (risk.journalist_max, risk.marketer) == (1.0, pytest.approx(0.5))
    assert (risk.prosecutor_min, risk.largest_class, risk.highest_share) == (1 / 3, 3, pytest.approx(1 / 6))
    assert risk.population_uniques == dict.fromkeys(("pitman", "zayatz", "snb", "dankar"))
    assert set(risk.notes) == {"pitman", "zayatz", "snb", "dankar", "journalist"}
    assert (risk.journalist_estimated_max, risk.journalist_estimated_mean) == (None, None)
    assert json.loads(json.dumps(risk.to_dict()))["sample_uniques"] == pytest.approx(1 / 6)


@pytest.mark.parametrize("kind", [pl.from_pandas, pa.Table.from_pandas, lambda frame: frame])
def test_every_frame_gives_the_same_risk(kind) -> None:
    assert reidentification_risk(kind(FRAME), ["a", "b"], population=100) == reidentification_risk(
        FRAME, ["a", "b"], population=100
    )


def test_suppressed_rows_are_left_out_unless_all_are() -> None:
    frame = pd.DataFrame({"age": ["30-39", "*", "30-39", "41", "42"], "sex": ["*", "*", "*", "*", "f"]})
    risk = reidentification_risk(frame, ["age", "sex"])
    assert (risk.records, risk.suppressed, risk.classes) == (4, 1, 3)
    every = reidentification_risk(pd.DataFrame({"age": ["*"] * 4}), ["age"])
    assert (every.records, every.prosecutor_max) == (4, 0.25)


def test_a_population_table_lowers_the_journalists_chance() -> None:
    population = pd.concat([FRAME, FRAME.iloc[[5, 5, 0]]])
    risk = reidentification_risk(FRAME, ["a", "b"], population=population, threshold=0.4)
    assert (risk.at_risk, risk.journalist_at_risk) == (pytest.approx(3 / 6), 0.0)
    assert "journalist" not in risk.notes
    assert risk.prosecutor_max == 1.0
    assert risk.journalist_max == pytest.approx(1 / 3)
    assert risk.marketer == pytest.approx((2 / 3 + 3 / 3 + 1 / 3) / 6)
    assert risk.journalist_mean == pytest.approx(max(3 / 9, risk.marketer))
    with pytest.raises(BadTable, match="does not hold every row"):
        reidentification_risk(FRAME, ["a", "b"], population=pd.concat([FRAME.iloc[:5], FRAME.iloc[:2]]))


def test_wrong_calls() -> None:
    with pytest.raises(UsageError, match="at least one quasi-identifier"):
        reidentification_risk(FRAME, [])
    with pytest.raises(BadTable, match="no column 'z'"):
        reidentification_risk(FRAME, ["z"])
    with pytest.raises(UsageError, match="fewer than the table's 6 rows"):
        reidentification_risk(FRAME, ["a"], population=5)
    for threshold in (0, 1.5, -1):
        with pytest.raises(UsageError, match="threshold"):
            reidentification_risk(FRAME, ["a"], threshold=threshold)
    with pytest.raises(BadTable, match="no row"):
        reidentification_risk(pd.DataFrame({"a": []}), ["a"])


@pytest.mark.parametrize(
    ("threshold", "at_risk"), [(1.0, 0.0), (0.5, 1 / 6), (0.4, 3 / 6), (1 / 3, 3 / 6), (0.33, 1.0)]
)
def test_rows_above_a_threshold(threshold: float, at_risk: float) -> None:
    risk = reidentification_risk(FRAME, ["a", "b"], threshold=threshold)
    assert (risk.threshold, risk.at_risk) == (threshold, pytest.approx(at_risk))
    assert risk.journalist_at_risk == risk.at_risk


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=40), st.integers(40, 10**9)
)
def test_measures_are_what_their_names_say(rows: list[tuple[int, int]], population: int) -> None:
    frame = pa.table({"a": [row[0] for row in rows], "b": [row[1] for row in rows]})
    risk = reidentification_risk(frame, ["b", "a", "b"], population=population)
    sizes = [rows.count(row) for row in rows]
    assert risk.prosecutor_max == pytest.approx(max(1 / size for size in sizes))
    assert risk.prosecutor_mean == pytest.approx(sum(1 / size for size in sizes) / len(rows))
    assert risk.sample_uniques == pytest.approx(sizes.count(1) / len(rows))
    assert risk.at_risk == pytest.approx(sum(size < 5 for size in sizes) / len(rows))
    zayatz = risk.population_uniques["zayatz"]
    assert zayatz is not None
    assert 0 <= zayatz <= 1


def test_a_population_in_another_order_with_suppressed_rows() -> None:
    frame = pd.DataFrame({"a": ["c", "*", "a", "b", "b"]})
    everybody = pd.DataFrame({"a": ["a", "b", "b", "b", "c", "c", "c", "c", "d"]})
    risk = reidentification_risk(frame, ["a"], population=everybody)
    assert (risk.records, risk.suppressed, risk.population) == (4, 1, 9)
    assert risk.journalist_max == 1.0
    assert risk.marketer == pytest.approx((1 / 1 + 2 / 3 + 1 / 4) / 4)


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_figures_that_arx_publishes() -> None:
    """ARX's own tests (TestRiskMetrics) state these for Adult with all nine columns as quasi-identifiers."""
    path = str(SHARED / "adult.csv")
    with (SHARED / "adult.csv").open(encoding="utf-8") as file:
        names = file.readline().strip().split(";")
    risk = reidentification_risk(path, names)
    assert risk.prosecutor_mean == pytest.approx(0.6465751607983555, abs=1e-15)
    assert risk.prosecutor_max == 1.0
    figures = {0.01: ("pitman", 0.1446083531167384), 0.1: ("pitman", 0.27684993883653597)}
    for fraction, (model, figure) in figures.items():
        risk = reidentification_risk(path, names, population=round(30162 / fraction))
        assert risk.population_uniques[model] == pytest.approx(figure, rel=1e-6)
        assert risk.population_uniques["dankar"] == risk.population_uniques[model]
    for fraction, figure in {0.1: 0.3207402393466189, 0.2: 0.3577099234829125, 1: 0.5142895033485844}.items():
        risk = reidentification_risk(path, names, population=round(30162 / fraction))
        assert risk.population_uniques["zayatz"] == pytest.approx(figure, rel=1e-9)


def test_shipped_adult() -> None:
    quasi = ["age", "sex", "race", "marital-status", "education", "native-country", "workclass", "occupation"]
    risk = reidentification_risk(load_adult(), quasi, population=317_238_626)
    assert risk.records == 48842
    assert risk.prosecutor_max == 1.0
    assert 0.3 < risk.sample_uniques < 0.6
    assert risk.population_uniques["pitman"] is not None


@pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
def test_the_complete_rows_of_adult() -> None:
    """Counted with a dictionary; the estimates lie where the two models' formulas put them."""
    import csv
    from collections import Counter

    names = ["sex", "age", "race", "marital-status", "education", "native-country", "workclass", "occupation"]
    with (SHARED / "adult.csv").open(encoding="utf-8", newline="") as file:
        rows = Counter(tuple(row[name] for name in names) for row in csv.DictReader(file, delimiter=";"))
    risk = reidentification_risk(str(SHARED / "adult.csv"), names, population=317_238_626)
    assert (risk.records, risk.classes) == (30162, len(rows))
    assert risk.sample_uniques == pytest.approx(sum(size == 1 for size in rows.values()) / 30162)
    assert risk.population_model == "pitman"
    assert risk.journalist_estimated_mean is not None
    assert 0.03 < risk.journalist_estimated_mean < 0.06
    assert risk.population_uniques["pitman"] == pytest.approx(0.0296639, rel=1e-4)
    assert risk.population_uniques["zayatz"] == pytest.approx(0.2161648, rel=1e-4)


def test_more_people_than_ever_lived_are_refused() -> None:
    with pytest.raises(UsageError, match="people"):
        reidentification_risk(pa.table({"a": [1, 2, 2]}), ["a"], 10**22)
    assert reidentification_risk(pa.table({"a": [1, 2, 2]}), ["a"], 10**12).population == 10**12
