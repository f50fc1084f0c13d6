"""What the project wants of logistic regression on Adult; bench/private.py measures it over more splits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from comity.data.shipped import adult_schema
from comity.train.private import PrivateLogisticRegression

ADULT = Path(__file__).resolve().parents[4] / "shared" / "data" / "adult" / "adult.csv"
FEATURES = ["sex", "age", "race", "marital-status", "education", "native-country", "workclass", "occupation"]


@pytest.mark.skipif(not ADULT.is_file(), reason="the Adult of ARX's repository is not beside the project")
@pytest.mark.parametrize(("epsilon", "least"), [(0.1, 0.845), (1.0, 0.871)])
def test_adult(epsilon: float, least: float) -> None:
    """Means of two fixed splits: over 8 runs .868 (deviation .003) and .885 (.0003). Seven deviations or more
    lie between them and what is asked for: a false alarm is far below 1e-6."""
    table, schema = pd.read_csv(ADULT, sep=";"), adult_schema()
    labels = (table["salary-class"] == ">50K").to_numpy().astype(int)
    levels = {name: list(schema[name].values or ()) for name in FEATURES if name != "age"}
    aucs = []
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(len(labels))
        train, test = order[:24_000], order[24_000:]
        model = PrivateLogisticRegression(epsilon, 1e-5, bounds={"age": (17, 90)}, categories=levels)
        model.fit(table[FEATURES].iloc[train], labels[train])
        aucs.append(roc_auc_score(labels[test], model.decision_function(table[FEATURES].iloc[test])))
    assert np.mean(aucs) >= least
