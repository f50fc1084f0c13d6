"""Do the 95% intervals of feedback cover? And how close are estimates? Over many repetitions of the noise.

Every metric of two classes at several numbers of records and epsilons, single metrics, several classes and
numbers, by own groups and by a provider's column; Gaussian (delta 1e-6) and Laplace noise (delta 0). With
12,000 repetitions the standard deviation of a coverage is 0.2 points. Labels stay as they are: an interval is
about the noise. Then the targets of single metrics, and average precision over tables that differ.

    python bench/validation_coverage.py [repetitions] [part]

Parts: `binary`, `single`, `tables`, `others`, `targets`; all of them without one.
"""

from __future__ import annotations

import sys
import time
from typing import Any

import numpy as np
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    r2_score,
    recall_score,
    roc_auc_score,
)

from comity.validate import Price, answer, ask_for
from comity.validate.attributes import attribute_question
from comity.validate.classes import class_parts, class_question
from comity.validate.labels import BinaryLabels
from comity.validate.mechanism import NoisySums, calibrate
from comity.validate.metrics import METRICS
from comity.validate.regression import grid_unit, number_parts, number_question, on_grid

DELTA = 1e-6


def flat(told: Any) -> list[Any]:
    """Estimates or intervals of any shape as a list; intervals are the pairs."""
    if isinstance(told, dict):
        return [one for value in told.values() for one in flat(value)]
    return [one for value in told for one in flat(value)] if isinstance(told, list) else [told]


def answers(question: Any, labels: Any, price: Price, runs: int) -> list[NoisySums]:
    """Answers to one question with fresh noise each; the sums are made once."""
    query = question.query
    calibration = calibrate(query, price)
    noisy = calibration.answer(np.tile(query.sums(labels), (runs, 1)))
    return [NoisySums(values, calibration) for values in noisy]


def covered(name: str, question: Any, labels: Any, truth: dict[str, Any], price: Price, runs: int) -> None:
    hits: dict[str, list[float]] = {metric: [] for metric in question.metrics}
    wide: dict[str, list[float]] = {metric: [] for metric in question.metrics}
    start = time.process_time()
    for answered in answers(question, labels, price, runs):
        _, intervals = question.read(answered)
        for metric in question.metrics:
            pairs = list(zip(flat(intervals[metric]), flat(truth[metric]), strict=True))
            hits[metric].append(float(np.mean([low <= value <= high for (low, high), value in pairs])))
            wide[metric].append(float(np.mean([high - low for (low, high), _ in pairs])))
    seconds = time.process_time() - start
    law = "Gaussian" if price.delta else "Laplace"
    print(f"{name}, {law}, epsilon {price.epsilon:g}, {runs} repetitions, {seconds:.0f} CPU seconds:")
    for metric, hit in hits.items():
        share = 100 * float(np.mean(hit))
        mark = "" if 94 <= share <= 96 else "  outside 94 to 96"
        print(f"  {metric:18} {share:5.1f}   mean width {np.mean(wide[metric]):.4g}{mark}", flush=True)


def scored(rows: int, seed: int = 1, positives: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    labels = (rng.permutation(rows) < positives * rows).astype(np.int8)
    return labels, 1 / (1 + np.exp(-(rng.normal(size=rows) + 1.5 * labels - 1.2)))


def binary_truth(labels: np.ndarray, scores: np.ndarray) -> dict[str, Any]:
    guess = scores >= 0.5
    tn, fp, fn, tp = confusion_matrix(labels, guess).ravel()
    return {
        "auc": roc_auc_score(labels, scores),
        "accuracy": accuracy_score(labels, guess),
        "average_precision": average_precision_score(labels, scores),
        "brier": brier_score_loss(labels, scores),
        "confusion": {"tp": tp, "fp": fp, "fn": fn, "tn": tn},
        "f1": f1_score(labels, guess),
        "log_loss": log_loss(labels, np.clip(scores, 0.01, 0.99)),
        "precision": precision_score(labels, guess),
        "prevalence": labels.mean(),
        "recall": recall_score(labels, guess),
        "specificity": tn / (tn + fp),
        "size": len(labels),
    }


def binary(runs: int) -> None:
    """Two classes, all metrics at once, at several sizes and prices."""
    for rows in (300, 1_000, 10_000):
        labels, scores = scored(rows)
        truth, question = binary_truth(labels, scores), ask_for(scores, METRICS, minimum=10)
        bins = np.searchsorted(question.facts["calibration"]["edges"], scores, side="right")
        truth["calibration"] = [labels[bins == at].mean() for at in range(bins.max() + 1)]
        for price in (Price(0.3, DELTA), Price(1.0, DELTA), Price(3.0, DELTA), Price(1.0, 0.0)):
            covered(f"two classes, all metrics at once, n={rows:,}", question, labels, truth, price, runs)


def single(runs: int) -> None:
    """Two classes, a question for one metric each."""
    for rows in (1_000, 10_000):
        labels, scores = scored(rows)
        truth = binary_truth(labels, scores)
        for metric in ("auc", "accuracy", "average_precision", "calibration", "f1", "recall"):
            question = ask_for(scores, [metric], minimum=10)
            if metric == "calibration":
                bins = np.searchsorted(question.facts["calibration"]["edges"], scores, side="right")
                truth["calibration"] = [labels[bins == at].mean() for at in range(bins.max() + 1)]
            for price in (Price(0.3, DELTA), Price(1.0, DELTA), Price(1.0, 0.0)):
                covered(f"two classes, one metric, n={rows:,}", question, labels, truth, price, runs)


def tables(runs: int) -> None:
    """Average precision where the order within bins counts as much as the noise: another table every time."""
    for rows, price in ((300, Price(3.0, DELTA)), (1_000, Price(3.0, 0.0)), (10_000, Price(8.0, 0.0))):
        hits = []
        for seed in range(runs):
            labels, scores = scored(rows, seed)
            question = ask_for(scores, ["average_precision"], minimum=10)
            _, intervals = question.read(answer(question.query, labels, price))
            low, high = intervals["average_precision"]
            hits.append(low <= average_precision_score(labels, scores) <= high)
        law = "Gaussian" if price.delta else "Laplace"
        print(
            f"average precision, {runs} tables, n={rows:,}, {law}, epsilon {price.epsilon:g}: "
            f"{100 * np.mean(hits):.1f}",
            flush=True,
        )


def others(runs: int) -> None:
    """By own groups, by a provider's column, several classes, numbers."""
    rows, gaussian = 2_000, Price(1.0, DELTA)
    labels, scores = scored(rows)
    groups = np.arange(rows) % 4
    names = (tuple(range(4)), groups)
    wanted = ["accuracy", "recall", "auc", "average_precision"]
    grouped = BinaryLabels(labels).question(scores, wanted, None, 10, names)
    each = [binary_truth(labels[groups == at], scores[groups == at]) for at in range(4)]
    by_group = {metric: {at: each[at][metric] for at in range(4)} for metric in wanted}
    covered("by own groups", grouped, labels, by_group, gaussian, runs)

    levels = np.random.default_rng(3).choice(3, rows, p=[0.6, 0.3, 0.1])
    asked = [
        "accuracy",
        "brier",
        "confusion",
        "f1",
        "log_loss",
        "precision",
        "prevalence",
        "recall",
        "size",
        "specificity",
    ]
    by_level = [binary_truth(labels[levels == at], scores[levels == at]) for at in range(3)]
    inside = {metric: {at: by_level[at][metric] for at in range(3)} for metric in asked}
    attribute = attribute_question(scores, range(3), asked, None)
    covered("by a provider's column", attribute, 2 * levels + labels, inside, gaussian, runs)

    rng = np.random.default_rng(4)
    three = rng.integers(0, 3, rows)
    odds = rng.normal(size=(rows, 3))
    odds[np.arange(rows), three] += 1.5
    chances = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
    guess = chances.argmax(axis=1)
    one_hot = np.eye(3)[three]
    several = {
        "accuracy": accuracy_score(three, guess),
        "auc": [roc_auc_score(three == at, chances[:, at]) for at in range(3)],
        "brier": float(np.square(chances - one_hot).sum(axis=1).mean()),
        "confusion": confusion_matrix(three, guess).tolist(),
        "f1": f1_score(three, guess, average=None).tolist(),
        "log_loss": float(-np.log(np.clip(chances[np.arange(rows), three], 0.01, 1)).mean()),
        "macro_f1": f1_score(three, guess, average="macro"),
        "precision": precision_score(three, guess, average=None).tolist(),
        "prevalence": (np.bincount(three) / rows).tolist(),
        "recall": recall_score(three, guess, average=None).tolist(),
    }
    covered(
        "three classes",
        class_question(*class_parts(guess, chances, 3, list(several))),
        three,
        several,
        gaussian,
        runs,
    )

    truth_values = rng.normal(size=rows)
    predicted = truth_values + rng.normal(size=rows) * 0.4
    bounds, unit = (-4.0, 4.0), grid_unit(rows)
    y, p = (np.clip(one, *bounds) for one in (truth_values, predicted))
    numbers = {
        "bias": (p - y).mean(),
        "mae": np.abs(p - y).mean(),
        "mean": y.mean(),
        "mse": np.square(p - y).mean(),
        "r2": r2_score(y, p),
        "rmse": np.sqrt(np.square(p - y).mean()),
    }
    asked_numbers = number_question(*number_parts(predicted, list(numbers), bounds, unit))
    covered("numbers", asked_numbers, on_grid(truth_values, bounds, unit), numbers, gaussian, runs)


def targets(runs: int) -> None:
    """The figures promised for single metrics."""
    labels, scores = scored(10_000)
    question = ask_for(scores, ["calibration"], minimum=10)
    bins = np.searchsorted(question.facts["calibration"]["edges"], scores, side="right")
    shares = np.array([labels[bins == at].mean() for at in range(10)])
    every = answers(question, labels, Price(1.0, 0.0), runs)
    error = np.abs(np.array([question.read(one)[0]["calibration"] for one in every]) - shares).mean()
    print(f"ten equal-count bins, n=10,000, pure epsilon 1: mean absolute error {error:.6f} (target 0.0009)")
    for rows, target in ((1_000, 0.018), (10_000, 0.0018), (450_000, 0.00006)):
        labels, scores = scored(rows)
        question, exact = ask_for(scores, ["auc"]), roc_auc_score(labels, scores)
        start = time.process_time()
        every = answers(question, labels, Price(1.0, DELTA), runs)
        errors = [question.read(one)[0]["auc"] - exact for one in every]
        error, seconds = np.sqrt(np.mean(np.square(errors))), time.process_time() - start
        print(
            f"AUC, n={rows:,}, 30% positives, epsilon 1, delta 1e-6, {runs} repetitions, {seconds:.0f} CPU "
            f"seconds: RMSE {error:.6f} (target {target})"
        )


PARTS = {"binary": binary, "single": single, "tables": tables, "others": others, "targets": targets}


def main(runs: int, names: list[str]) -> None:
    for name in names:
        PARTS[name](runs)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12_000, sys.argv[2:] or list(PARTS))
