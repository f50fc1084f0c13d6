"""Public columns: the same at both ends, and a model folded onto them scores as it did."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression

from comity.data.rawmatrix import RawEncoder
from comity.data.table import Table
from comity.errors import BadInput, BadSchema
from comity.schema import Schema, parse_schema
from comity.train.homomorphic import PublicColumns

DOCUMENT: dict[str, Any] = {
    "columns": {
        "age": {"role": "quasi_identifier", "type": "integer", "min": 18, "max": 80},
        "job": {"role": "insensitive", "type": "category", "values": ["a", "b", "c", "never"]},
        "gain": {"role": "sensitive", "type": "number", "min": 0, "max": 100_000},
        "flat": {"role": "insensitive", "type": "number", "min": 3, "max": 3},
    }
}


def schema() -> Schema:
    return parse_schema(DOCUMENT, where="the test")


def table(seed: int, rows: int) -> Table:
    draw = np.random.default_rng(seed)
    missing = draw.random((3, rows)) < 0.1
    return Table(
        pa.table(
            {
                "age": pa.array(draw.integers(18, 81, rows), mask=missing[0]),
                "job": pa.array(draw.choice(["a", "b", "c"], rows), mask=missing[1]),
                "gain": pa.array(draw.pareto(2, rows) * 10, mask=missing[2]),
                "flat": pa.array(np.full(rows, 3.0)),
            }
        )
    )


def test_columns_are_places_between_bounds_and_marks() -> None:
    columns = PublicColumns.of(schema())
    rows = Table(
        pa.table(
            {"age": [18, None, 80], "job": ["b", "zzz", None], "gain": [5e4, 2e5, -1.0], "flat": [3.0] * 3}
        )
    )
    assert columns.labels == (
        "age", "age: missing",
        "job: missing", "job: a", "job: b", "job: c", "job: never",
        "gain", "gain: missing", "flat", "flat: missing",
    )  # fmt: skip
    assert columns.matrix(rows).tolist() == [
        [0, 0, 0, 0, 1, 0, 0, 0.5, 0, 0, 0],
        [0, 1, 0, 0, 0, 0, 0, 1.0, 0, 0, 0],
        [1, 0, 1, 0, 0, 0, 0, 0.0, 0, 0, 0],
    ]


@given(seed=st.integers(0, 10_000), rows=st.integers(20, 80))
@settings(max_examples=20, deadline=None)
def test_a_folded_model_scores_as_it_did(seed: int, rows: int) -> None:
    seen, fresh = table(seed, rows), table(seed + 1, 60)
    encoder = RawEncoder.from_features(seen, schema())
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, rows)
    labels[:2] = 0, 1
    model = LogisticRegression(max_iter=300).fit(encoder.linear(seen), labels)
    columns = PublicColumns.of(schema())
    weights, intercept = columns.folded(encoder, model.coef_[0], float(model.intercept_[0]))
    inside = Table(fresh.arrow)
    own = columns.matrix(inside) @ weights + intercept
    assert np.allclose(own, model.decision_function(encoder.linear(inside)), atol=1e-8)


def test_a_schema_without_bounds_is_refused_by_name() -> None:
    open_ended = {
        "columns": {
            "age": {"role": "insensitive", "type": "integer"},
            "job": {"role": "insensitive", "type": "category"},
        }
    }
    with pytest.raises(BadSchema, match=r"age \(min and max\), job \(values\)"):
        PublicColumns.of(parse_schema(open_ended, where="the test"))


def test_a_model_of_other_columns_is_refused() -> None:
    encoder = RawEncoder.from_features(table(1, 30), schema(), names=["age", "job"])
    with pytest.raises(BadInput, match="other columns"):
        PublicColumns.of(schema()).folded(encoder, np.zeros(9), 0.0)
    swapped = {
        "columns": {
            **DOCUMENT["columns"],
            "age": {"role": "insensitive", "type": "category", "values": ["1"]},
        }
    }
    encoder = RawEncoder.from_features(table(1, 30), schema())
    with pytest.raises(BadInput, match="'age' for another type"):
        PublicColumns.of(parse_schema(swapped, where="the test")).folded(encoder, np.zeros(13), 0.0)
