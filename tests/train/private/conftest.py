"""Tables with a known truth, for both private classifiers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from comity.train.private import PrivateBoostedTrees, PrivateLogisticRegression

CATEGORIES = {"job": ["clerk", "smith", "baker"]}
BOUNDS = {"age": (0, 100), "dose": (-3, 3)}


@pytest.fixture(params=[PrivateLogisticRegression, PrivateBoostedTrees], ids=["logistic", "boosted"])
def kind(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(scope="session")
def people() -> tuple[pd.DataFrame, np.ndarray]:
    """6,000 records; log odds rise with dose, peak at middle age, and are higher for smiths."""
    draw = np.random.default_rng(3)
    age, dose = draw.uniform(0, 100, 6000), draw.normal(size=6000)
    job = draw.choice(["clerk", "smith", "baker"], size=6000)
    odds = 1.5 * dose - np.abs(age - 50) / 15 + 1.0 + 1.5 * (job == "smith")
    labels = (draw.random(6000) < 1 / (1 + np.exp(-odds))).astype(int)
    return pd.DataFrame({"age": age, "dose": dose, "job": job}), labels


@pytest.fixture
def declared() -> dict[str, Any]:
    return {"bounds": BOUNDS, "categories": CATEGORIES}
