"""Small problems on which a lesson could do harm, for bench/validation_learning.py."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

KINDS = ("useless features", "optimal start", "weak signal", "strong signal", "rare label", "many columns",
         "no start", "bad start", "seeds read", "line read")  # fmt: skip
SIZES = (30, 100, 300, 1_000, 4_000)
EPSILONS = (0.1, 1.0, 3.0)
TESTS = 20_000
SEEDS = 200


class Given:
    """A start whose score is a fixed line in the features."""

    def __init__(self, line: np.ndarray, constant: float) -> None:
        self.line, self.constant, self.classes_ = line, constant, np.array([0, 1])

    def decision_function(self, X: np.ndarray) -> np.ndarray:
        return X[:, : len(self.line)] @ self.line + self.constant


def problem(kind: str, records: int, seed: int) -> dict[str, Any]:
    """Features, labels and a start; the test records are fresh ones of the same law.

    `seeds read` and `line read` start at a logistic regression on 200 rows, which the lesson reads once more;
    the truth of the second is a line, so that there is nothing to be read but chance.
    """
    rng = np.random.default_rng([seed, records, KINDS.index(kind)])
    columns = 40 if kind == "many columns" else 6
    X = rng.normal(size=(SEEDS + records + TESTS, columns))
    X[:, -1] = rng.integers(0, 4, len(X))
    line = np.zeros(columns)
    line[:3] = (1.0, -0.6, 0.3)
    odds = X @ line - (3.5 if kind == "rare label" else 0.5)
    if kind in ("weak signal", "strong signal", "rare label", "many columns", "seeds read"):
        size = 0.15 if kind == "weak signal" else 1.0
        odds = odds + size * (np.abs(X[:, 3]) + 0.5 * X[:, 1] + (X[:, -1] == 2))
    start: Any = Given(line, 0.0)
    if kind == "useless features":
        odds, start = np.full(len(X), -0.5), Given(rng.normal(size=columns) * 0.3, 0.0)
    if kind == "no start":
        start = None
    if kind == "bad start":
        start = Given(rng.normal(size=columns) * 0.5, 1.0)
    labels = (rng.random(len(X)) < 1 / (1 + np.exp(-odds))).astype(int)
    X, odds, seeds = X[SEEDS:], odds[SEEDS:], (X[:SEEDS], labels[:SEEDS])
    if kind in ("seeds read", "line read"):
        start = LogisticRegression().fit(*seeds)
    return {
        "X": X,
        "labels": labels[SEEDS:],
        "odds": odds,
        "start": start,
        "seeds": seeds if kind in ("seeds read", "line read") else None,
    }


def log_loss(scores: np.ndarray, odds: np.ndarray) -> float:
    """Expected log-loss, given the true log-odds: no noise of test labels."""
    truth = 1 / (1 + np.exp(-odds))
    return float(np.mean(np.logaddexp(0, scores) - truth * scores))


def rank_gain(after: np.ndarray, before: np.ndarray, odds: np.ndarray) -> float:
    """The AUC's change, with records weighted by their true chances instead of drawn labels."""
    from sklearn.metrics import roc_auc_score

    chance = 1 / (1 + np.exp(-odds))
    labels = np.repeat([1, 0], len(odds))
    weights = np.concatenate([chance, 1 - chance])
    aucs = [roc_auc_score(labels, np.tile(s, 2), sample_weight=weights) for s in (after, before)]
    return float(aucs[0] - aucs[1])


def lessons(seeds: int, first: int, kinds: tuple[str, ...] = KINDS) -> Iterator[dict[str, Any]]:
    """What one lesson did on each problem: changes of AUC and of log-loss on the test records."""
    from comity.validate import FeedbackClassifier, LocalValidator

    for kind, records, seed in itertools.product(kinds, SIZES, range(first, first + seeds)):
        case = problem(kind, records, seed)
        X, tests, odds = case["X"][:records], case["X"][records:], case["odds"][records:]
        before = np.zeros(TESTS) if case["start"] is None else case["start"].decision_function(tests)
        for epsilon in EPSILONS:
            validator = LocalValidator(range(records), case["labels"][:records], epsilon=epsilon)
            model = FeedbackClassifier(validator, start=case["start"]).fit(
                X, range(records), seeds=case["seeds"]
            )
            after = model.decision_function(tests)
            yield {
                "kind": kind,
                "records": records,
                "epsilon": epsilon,
                "auc": rank_gain(after, before, odds),
                "log_loss": log_loss(after, odds) - log_loss(before, odds),
            }


def failures(seeds: int, first: int) -> dict[str, Any]:
    """How often a lesson ended worse than its start, by kind of problem and together."""
    found = list(lessons(seeds, first))

    def rates(rows: list[dict[str, Any]]) -> dict[str, Any]:
        auc, loss = np.array([row["auc"] for row in rows]), np.array([row["log_loss"] for row in rows])
        return {
            "lessons": len(rows),
            "lower_auc": round(float((auc < -1e-6).mean()), 4),
            "lower_auc_by_001": round(float((auc < -0.001).mean()), 4),
            "worst_auc": round(float(auc.min()), 4),
            "mean_auc": round(float(auc.mean()), 4),
            "higher_log_loss": round(float((loss > 1e-6).mean()), 4),
        }

    by_kind = {kind: rates([row for row in found if row["kind"] == kind]) for kind in KINDS}
    return {"together": rates(found), **by_kind}
