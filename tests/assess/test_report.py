"""The assessment of a table, as JSON and as rows to print."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from comity.assess import assess_table
from comity.data import adult_schema, load_adult
from comity.errors import BadTable


def test_adult() -> None:
    assessment = assess_table(load_adult(), adult_schema(), population=10**8)
    assert (assessment.rows, assessment.duplicate_rows) == (48842, 0)
    assert assessment.complete_rows == pytest.approx(45222 / 48842)
    assert len(assessment.quasi_identifiers) == 9
    assert assessment.risk is not None
    assert 0.4 < assessment.risk.sample_uniques < 0.6
    document = json.loads(json.dumps(assessment.to_dict(), allow_nan=False))
    assert set(document) == {
        "source",
        "rows",
        "complete_rows",
        "missing_cells",
        "duplicate_rows",
        "columns",
        "quasi_identifiers",
        "risk",
        "contributions",
        "sparsity",
        "separation",
        "safe_harbor",
        "advice",
    }
    assert assessment.contributions[0].column == "age"
    assert assessment.separation is not None
    assert assessment.separation.complete
    assert len(assessment.safe_harbor) == 18
    assert any("unique by their quasi-identifiers" in line for line in assessment.advice)


def test_a_table_without_quasi_identifiers_has_no_risk_to_measure() -> None:
    assessment = assess_table(pa.table({"x": [1.5, 2.5, 1.5] * 20, "k": [1] * 60}))
    assert assessment.quasi_identifiers == ("x",)
    assessment = assess_table(pa.table({"k": [1] * 60}))
    assert (assessment.risk, assessment.sparsity, assessment.separation) == (None, None, None)
    assert assessment.contributions == ()
    assert assessment.duplicate_rows == 59
    assert assessment.to_dict()["risk"] is None


def test_a_sensitive_column_that_finds_rows_is_advised_about() -> None:
    values = [float(value) + 0.5 for value in range(100)]
    assessment = assess_table(pa.table({"reading": values}))
    assert assessment.advice[:1] == (
        "reading is sensitive, but in 100% of the rows its value is one that no other row has: "
        "whoever knows it finds the row",
    )


def test_what_the_call_says_is_taken_as_known() -> None:
    assessment = assess_table(load_adult(), quasi_identifiers=["age", "sex"], target="income", threshold=0.5)
    assert assessment.quasi_identifiers == ("age", "sex")
    assert assessment.risk is not None
    assert assessment.risk.threshold == 0.5
    assert next(each.role for each in assessment.columns if each.name == "income") == "target"
    assert next(each.role for each in assessment.columns if each.name == "race") == "sensitive"


def test_bad_input_is_refused_before_anything_is_said(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n2\nx\n")
    with pytest.raises(BadTable, match="row 3"):
        assess_table(path)
