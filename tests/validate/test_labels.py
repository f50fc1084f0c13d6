"""Feedback on labels of several classes and on numbers, by own groups and by a provider's column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
    r2_score,
    recall_score,
    roc_auc_score,
)

from comity.errors import BadInput, BadTable, ClauseRefused, UsageError
from comity.validate import Joined, LocalValidator
from comity.validate.class_queries import ChosenSum, ClassCounts, ClassSums
from comity.validate.groups import Partitioned
from comity.validate.number_queries import DIFFERENCE, MAGNITUDE, SQUARE, DifferenceSum
from comity.validate.queries import GroupCounts, Query, WeightedSum

RNG = np.random.default_rng(1)
ROWS = 3_000
LABELS = RNG.integers(0, 2, ROWS).astype(np.int8)
SCORES = 1 / (1 + np.exp(-(RNG.normal(size=ROWS) + 1.5 * LABELS - 1)))
GROUPS = RNG.integers(0, 4, ROWS)
THREE = RNG.integers(0, 3, ROWS)
ODDS = RNG.normal(size=(ROWS, 3)) + 1.5 * np.eye(3)[THREE]
CHANCES = np.exp(ODDS) / np.exp(ODDS).sum(axis=1, keepdims=True)
NUMBERS = RNG.normal(size=ROWS)
GUESSES = NUMBERS + 0.4 * RNG.normal(size=ROWS)


@st.composite
def queries(draw: st.DrawFn, rows: int = 10) -> tuple[Query, int]:
    """A query, and how many labels there are (or the grid's unit and one)."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(["counts", "chosen", "ranks", "shared", "difference", "magnitude", "square"]))
    if kind == "counts":
        return Joined((ClassCounts(rng.integers(0, 3, rows), 3, 4),), (int(rng.integers(1, 99)),)), 4
    if kind == "chosen":
        return ChosenSum(rng.integers(-99, 99, (rows, 4))), 4
    if kind == "ranks":
        return ClassSums(rng.integers(-99, 99, (rows, 4)), np.arange(4)), 4
    if kind == "shared":
        return ClassSums(rng.integers(0, 99, (rows, 4)), np.array([0, 0, 1, 1])), 4
    power = {"difference": DIFFERENCE, "magnitude": MAGNITUDE, "square": SQUARE}[kind]
    return DifferenceSum(rng.integers(0, 33, rows), 32, power), 33


@settings(max_examples=200, deadline=None)
@given(queries(), st.integers(0, 2**32 - 1), st.integers(0, 9))
def test_one_label_moves_the_sums_by_at_most_the_stated_norms(
    case: tuple[Query, int], seed: int, record: int
) -> None:
    query, kinds = case
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, kinds, query.rows)
    changed = labels.copy()
    changed[record] = rng.integers(0, kinds)
    moved = [int(value) for value in query.sums(changed) - query.sums(labels)]
    assert sum(value**2 for value in moved) <= query.l2_squared <= query.l2**2
    assert sum(map(abs, moved)) <= query.l1
    assert (np.abs(query.sums(labels)) <= query.largest_sum).all()
    zero, one = labels.copy(), labels.copy()
    zero[record], one[record] = 0, 1
    assert (query.sums(one) - query.sums(zero) == query.row(record)).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 11))
def test_a_partition_costs_what_its_largest_group_costs(seed: int, record: int) -> None:
    rng = np.random.default_rng(seed)
    groups = rng.integers(-1, 3, 12)
    members = [np.flatnonzero(groups == at) for at in range(3)]
    parts = tuple(
        Joined(
            (GroupCounts(rng.integers(0, 2, len(at)), 2), WeightedSum(rng.integers(-9, 9, len(at)))), (3, 1)
        )
        for at in members
    )
    query = Partitioned(tuple(members), parts, 12)
    labels = rng.integers(0, 2, 12).astype(np.int8)
    changed = labels.copy()
    changed[record] ^= 1
    moved = query.sums(changed) - query.sums(labels)
    assert (moved**2).sum() <= query.l2_squared == max(part.l2_squared for part in parts)
    assert np.abs(moved).sum() <= query.l1
    assert (moved == query.row(record) * (1 if changed[record] else -1)).all()


@pytest.mark.parametrize(
    "metrics", [["accuracy"], ["accuracy", "recall"], ["auc", "recall", "average_precision"]]
)
def test_own_groups(metrics: list[str]) -> None:
    validator = LocalValidator(range(ROWS), LABELS, epsilon=300.0, delta=1e-3)
    told = validator.feedback(range(ROWS), SCORES, metrics, groups=["abcd"[at] for at in GROUPS])
    for at in range(4):
        inside, name = at == GROUPS, "abcd"[at]
        labels, scores = LABELS[inside], SCORES[inside]
        exact = {
            "accuracy": accuracy_score(labels, scores >= 0.5),
            "recall": recall_score(labels, scores >= 0.5),
            "auc": roc_auc_score(labels, scores),
            "average_precision": average_precision_score(labels, scores),
        }
        for metric in metrics:
            low, high = told.intervals[metric][name]
            assert low <= told.estimates[metric][name] <= high
            # six deviations, and the bins' own error; a Gaussian passes them with probability 2e-9
            slack = 6 * (high - low) / 3.92 + 0.01
            assert told.estimates[metric][name] == pytest.approx(exact[metric], abs=slack)
        assert told.groups[name]["records"] == inside.sum()


def test_own_groups_below_the_minimum_are_refused_and_cost_nothing() -> None:
    validator = LocalValidator(range(ROWS), LABELS)
    groups = np.where(np.arange(ROWS) < 9, 1, 0)
    for metrics in (["accuracy"], ["auc"], ["brier"]):
        with pytest.raises(ClauseRefused, match="fewer than 10"):
            validator.feedback(range(ROWS), SCORES, metrics, groups=groups)
    assert validator.remaining().epsilon == 1.0


def test_groups_by_a_private_column_come_from_its_domain_whatever_their_size() -> None:
    column = np.where(np.arange(ROWS) < 3, "rare", np.where(np.arange(ROWS) % 2, "odd", "even"))
    validator = LocalValidator(
        range(ROWS),
        LABELS,
        epsilon=50.0,
        columns={"kind": column},
        domains={"kind": ["even", "odd", "rare", "none"]},
    )
    told = validator.feedback(range(ROWS), SCORES, ["accuracy", "size", "recall"], by="kind")
    assert (str(told.cost.unit), str(told.cost.relation)) == ("record", "change-one")
    assert list(told.estimates["accuracy"]) == ["even", "odd", "rare", "none"]
    odd = column == "odd"
    assert told.estimates["accuracy"]["odd"] == pytest.approx(
        accuracy_score(LABELS[odd], SCORES[odd] >= 0.5), abs=0.01
    )
    assert told.estimates["size"]["odd"] == pytest.approx(odd.sum(), abs=20)
    assert told.intervals["recall"]["none"] == (0.0, 1.0)
    assert "odd" not in str(told.groups["predicted"])
    for wrong in ({"by": "other"}, {"by": "kind", "groups": GROUPS}):
        with pytest.raises(UsageError):
            validator.feedback(range(ROWS), SCORES, ["accuracy"], **wrong)


def test_several_classes() -> None:
    names = ["low", "mid", "high"]
    labels = [names[at] for at in THREE]
    validator = LocalValidator(range(ROWS), labels, epsilon=200.0, delta=1e-3, classes=names)
    wanted = ["accuracy", "auc", "confusion", "f1", "macro_f1", "recall", "log_loss", "brier", "prevalence"]
    told = validator.feedback(range(ROWS), CHANCES, wanted).estimates
    guess = CHANCES.argmax(axis=1)
    assert told["accuracy"] == pytest.approx(accuracy_score(THREE, guess), abs=0.003)
    assert told["auc"] == pytest.approx(
        [roc_auc_score(at == THREE, CHANCES[:, at]) for at in range(3)], abs=0.005
    )
    assert np.array(told["confusion"]) == pytest.approx(confusion_matrix(THREE, guess), abs=8)
    assert told["f1"] == pytest.approx(f1_score(THREE, guess, average=None), abs=0.01)
    assert told["macro_f1"] == pytest.approx(f1_score(THREE, guess, average="macro"), abs=0.01)
    predictions = LocalValidator(range(ROWS), labels, epsilon=200.0, classes=names)
    by_name = predictions.feedback(range(ROWS), [names[at] for at in guess], ["accuracy"], groups=GROUPS)
    assert by_name.estimates["accuracy"][0] == pytest.approx(
        accuracy_score(THREE[GROUPS == 0], guess[GROUPS == 0]), abs=0.01
    )
    with pytest.raises(UsageError, match="score per class"):
        predictions.feedback(range(ROWS), [names[at] for at in guess], ["auc"])
    with pytest.raises(UsageError):
        predictions.ladder(0.1)


def test_numbers_within_bounds() -> None:
    validator = LocalValidator(range(ROWS), NUMBERS, epsilon=200.0, delta=1e-3, bounds=(-4, 4))
    told = validator.feedback(range(ROWS), GUESSES, ["bias", "mae", "mean", "mse", "r2", "rmse"])
    y, p = np.clip(NUMBERS, -4, 4), np.clip(GUESSES, -4, 4)
    exact = {
        "bias": (p - y).mean(), "mae": np.abs(p - y).mean(), "mean": y.mean(), "mse": np.square(p - y).mean(),
        "r2": r2_score(y, p), "rmse": np.sqrt(np.square(p - y).mean()),
    }  # fmt: skip
    for metric, value in exact.items():
        low, high = told.intervals[metric]
        slack = 6 * (high - low) / 3.92 + 0.01  # six deviations
        assert told.estimates[metric] == pytest.approx(value, abs=slack), metric
        assert slack < 0.15
        assert low <= told.estimates[metric] <= high


@pytest.mark.parametrize(
    ("labels", "declared", "error"),
    [
        ([1, 2, 4], {"classes": [1, 2, 3]}, BadTable),
        ([1, 2, 2], {"classes": [1, 1]}, UsageError),
        ([1.0, 2.0, np.nan], {"bounds": (0, 3)}, BadTable),
        ([1.0, 2.0, 2.0], {"bounds": (3, 0)}, UsageError),
        ([1, 0, 1], {"bounds": (0, 3), "classes": [0, 1]}, UsageError),
        ([1, 0, 1], {"columns": {"a": [1, 2, 3]}, "domains": {"a": [1, 2]}}, BadTable),
        ([1, 0, 1], {"columns": {"a": [1, 2, 2]}}, UsageError),
        ([1, 0, 1], {"columns": {"a": [1, 2]}, "domains": {"a": [1, 2]}}, BadTable),
    ],
)
def test_declarations_that_do_not_fit(labels: list[object], declared: dict[str, object], error: type) -> None:
    with pytest.raises(error):
        LocalValidator(["a", "b", "c"], labels, **declared)  # type: ignore[arg-type]


@pytest.mark.parametrize("groups", [[1, 2], [None] * ROWS, np.zeros((ROWS, 2))])
def test_groups_that_do_not_fit(groups: object) -> None:
    with pytest.raises(BadInput):
        LocalValidator(range(ROWS), LABELS).feedback(range(ROWS), SCORES, ["accuracy"], groups=groups)
