"""RawEncoder: the matrices that baselines learn from."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from comity.data import RawEncoder, adult_schema, binary_labels, hold_out, load_adult, read_table
from comity.data.rawmatrix import MOST_LEVELS
from comity.errors import BadInput
from comity.schema import parse_schema

SCHEMA = parse_schema(
    {
        "columns": {
            "x": {"role": "sensitive", "type": "number"},
            "w": {"role": "sensitive", "type": "category"},
        }
    },
    where="here",
)
TABLE = read_table(pa.table({"x": [1.5, 3.5, None], "w": ["a", None, "b"]}))


def test_ordinal_keeps_numbers_and_marks_categories() -> None:
    encoder = RawEncoder.from_features(TABLE, SCHEMA)
    assert encoder.categorical.tolist() == [False, True]
    np.testing.assert_array_equal(encoder.ordinal(TABLE), [[1.5, 0], [3.5, np.nan], [np.nan, 1]])
    unseen = read_table(pa.table({"x": [0.5], "w": ["z"]}))
    np.testing.assert_array_equal(encoder.ordinal(unseen), [[0.5, 2]])


def test_linear_standardises_and_marks_missing() -> None:
    encoder = RawEncoder.from_features(TABLE, SCHEMA)
    assert encoder.labels == ("x", "x: missing", "w: missing", "w: a", "w: b", "w: other")
    np.testing.assert_allclose(
        encoder.linear(TABLE).toarray(), [[-1, 0, 0, 1, 0, 0], [1, 0, 1, 0, 0, 0], [0, 1, 0, 0, 1, 0]]
    )


@pytest.mark.parametrize("values", [[5.0, 5.0], [None, None], [1e308, -1e308], [1e-320, 2e-320], [0.0, 0.0]])
def test_columns_that_do_not_vary_or_are_extreme(values: list) -> None:
    table = read_table(pa.table({"x": pa.array(values, pa.float64()), "w": ["a", "b"]}), schema=SCHEMA)
    matrix = RawEncoder.from_features(table, SCHEMA).linear(table).toarray()
    assert np.isfinite(matrix).all()


def test_categories_are_capped_for_trees() -> None:
    words = [f"w{level:04d}" for level in range(400)] + ["w0399"] * 5
    table = read_table(pa.table({"x": [1.5] * len(words), "w": words}))
    encoder = RawEncoder.from_features(table, SCHEMA)
    codes = encoder.ordinal(table)[:, 1]
    assert np.nanmax(codes) == MOST_LEVELS
    assert codes[399] == MOST_LEVELS - 1


def test_the_json_form_reads_back() -> None:
    encoder = RawEncoder.from_features(TABLE, SCHEMA)
    assert RawEncoder.from_dict(json.loads(json.dumps(encoder.to_dict()))) == encoder
    for document in (
        {},
        {"format": 1, "columns": [{"name": "x", "mean": 0}]},
        {"format": 1, "columns": [{"name": "x", "mean": 0, "scale": 0}]},
        {"format": 1, "columns": [{"name": "x", "mean": "a", "scale": 1}]},
        {"format": 1, "columns": ["x"]},
    ):
        with pytest.raises(BadInput):
            RawEncoder.from_dict(document)


def test_baselines_learn_adult() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score

    table, schema = load_adult(), adult_schema()
    labels = binary_labels(table, "income", ">50K").values
    train, test = hold_out(labels, seed=0, share=0.9)
    encoder = RawEncoder.from_features(table.take(train), schema)
    rows, probe = table.take(train), table.take(test)
    linear = LogisticRegression(max_iter=200).fit(encoder.linear(rows), labels[train])
    assert roc_auc_score(labels[test], linear.predict_proba(encoder.linear(probe))[:, 1]) > 0.88
    trees = HistGradientBoostingClassifier(categorical_features=encoder.categorical, max_iter=30)
    trees.fit(encoder.ordinal(rows), labels[train])
    assert roc_auc_score(labels[test], trees.predict_proba(encoder.ordinal(probe))[:, 1]) > 0.89
