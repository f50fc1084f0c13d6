"""Feedback: close to the exact metrics, with intervals that cover; budgets, refusals and manners."""

from __future__ import annotations

import copy
import threading

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    brier_score_loss,
    confusion_matrix,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from comity.errors import BadInput, BadTable, BudgetRefused, ClauseRefused, UsageError
from comity.validate import METRICS, LocalValidator, Price, answer, ask_for


def scored(rows: int, seed: int, positives: float = 0.3) -> tuple[np.ndarray, np.ndarray]:
    """Labels with a fixed number of positives, and chances that tell of them (AUC about 0.85)."""
    rng = np.random.default_rng(seed)
    labels = (rng.permutation(rows) < positives * rows).astype(np.int8)
    return labels, 1 / (1 + np.exp(-(rng.normal(size=rows) + 1.5 * labels - 1.2)))


def exact(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    guess = scores >= 0.5
    tn, fp, _, _ = confusion_matrix(labels, guess).ravel()
    return {
        "auc": roc_auc_score(labels, scores),
        "accuracy": accuracy_score(labels, guess),
        "average_precision": average_precision_score(labels, scores),
        "precision": precision_score(labels, guess),
        "recall": recall_score(labels, guess),
        "f1": f1_score(labels, guess),
        "specificity": tn / (tn + fp),
        "prevalence": labels.mean(),
        "brier": brier_score_loss(labels, scores),
        "log_loss": log_loss(labels, np.clip(scores, 0.01, 0.99)),
    }


def test_with_little_noise_every_metric_is_nearly_exact() -> None:
    labels, scores = scored(5000, 1)
    validator = LocalValidator(range(5000), labels, epsilon=200.0, delta=1e-3)
    told = validator.feedback(range(5000), scores, METRICS)
    for name, value in exact(labels, scores).items():
        assert told.estimates[name] == pytest.approx(
            value, abs=0.03 if name == "average_precision" else 4e-3
        ), name
    tn, fp, fn, tp = confusion_matrix(labels, scores >= 0.5).ravel()
    assert told.estimates["confusion"] == pytest.approx({"tp": tp, "fp": fp, "fn": fn, "tn": tn}, abs=15)
    shares, sizes = told.estimates["calibration"], told.groups["calibration"]["sizes"]
    assert np.dot(sizes, shares) == pytest.approx(labels.sum(), abs=15)


@pytest.mark.parametrize(("rows", "target", "runs"), [(1000, 0.018, 400), (10_000, 0.0018, 300)])
def test_auc_is_as_close_as_promised(rows: int, target: float, runs: int) -> None:
    """Expected 0.0129 and 0.0013, far enough below that a false alarm is rarer than 1e-6 (chi-square)."""
    labels, scores = scored(rows, 2)
    question, price = ask_for(scores, ["auc"]), Price(1.0, 1e-6)
    truth = roc_auc_score(labels, scores)
    errors = [question.read(answer(question.query, labels, price))[0]["auc"] - truth for _ in range(runs)]
    assert np.sqrt(np.mean(np.square(errors))) <= target


@pytest.mark.parametrize(("delta", "runs"), [(1e-6, 1500), (0.0, 400)])
def test_intervals_cover(delta: float, runs: int) -> None:
    """The limits are 5.2 standard deviations of the count away from 95%; for average precision, whose bins
    know little of the order within them, away from 94% and 97%."""
    labels, scores = scored(600, 3)
    names = [name for name in METRICS if name not in ("calibration", "confusion")]
    question, truth = ask_for(scores, [*names, "calibration"]), exact(labels, scores)
    hits = dict.fromkeys([*names, "calibration"], 0)
    bins = np.searchsorted(question.facts["calibration"]["edges"], scores, side="right")
    fifth = labels[bins == 4].mean()
    for _ in range(runs):
        _, intervals = question.read(answer(question.query, labels, Price(2.0, delta)))
        for name in names:
            low, high = intervals[name]
            hits[name] += low <= truth[name] <= high
        low, high = intervals["calibration"][4]
        hits["calibration"] += low <= fifth <= high
    slack = 5.2 * np.sqrt(0.95 * 0.05 / runs)
    for name, count in hits.items():
        least, most = 0.95 - slack, 0.95 + max(slack, 0.035)
        if name == "average_precision":
            least, most = 0.94 - slack, 0.97 + slack
        assert least <= count / runs <= most, (name, count)


def test_a_hopeless_answer_says_so() -> None:
    labels, scores = scored(60, 4)
    validator = LocalValidator(range(60), labels, epsilon=0.001)
    told = validator.feedback(range(60), scores, ["auc", "recall", "f1"])
    assert all(0 <= told.estimates[name] <= 1 for name in told.estimates)
    assert told.intervals["recall"] == (0.0, 1.0)


@pytest.mark.parametrize("labels", [np.zeros(100), np.ones(100)])
def test_one_class_only_gives_bounded_answers(labels: np.ndarray) -> None:
    told = LocalValidator(range(100), labels).feedback(range(100), np.linspace(0, 1, 100), METRICS)
    for name in ("auc", "recall", "specificity", "f1"):
        low, high = told.intervals[name]
        assert 0 <= low <= high <= 1


def test_nothing_predicted_positive_leaves_precision_undefined() -> None:
    labels, _ = scored(100, 5)
    told = LocalValidator(range(100), labels).feedback(
        range(100), np.full(100, 0.2), ["precision", "accuracy"]
    )
    assert told.estimates["precision"] is None
    assert told.intervals["precision"] is None


def test_the_budget_is_spent_once() -> None:
    labels, scores = scored(500, 6)
    validator = LocalValidator(range(500), labels, epsilon=1.0, delta=1e-6)
    told = validator.feedback(range(500), scores, ["auc"])
    assert told.cost.epsilon == 1.0
    assert told.left.epsilon == 0
    for epsilon in (None, 0.01):
        with pytest.raises(BudgetRefused):
            validator.feedback(range(500), scores, ["accuracy"], epsilon=epsilon)


def test_small_answers_add_up_and_averaging_them_is_bounded() -> None:
    """Nearly the same again and again: the average is no better than one answer for the whole budget."""
    labels, scores = scored(500, 7)
    validator = LocalValidator(range(500), labels, epsilon=1.0, delta=1e-6)
    variances: list[float] = []
    question = ask_for(scores, ["prevalence"])
    for asked in range(1000):  # a little more is asked for each time, or the stored answer would come back
        try:
            noisy = validator.statistics(range(500), question.query, epsilon=0.1 + asked * 1e-9)
        except BudgetRefused:
            break
        variances.append(noisy.deviation**2)
    assert len(variances) > 10  # better than adding epsilons
    averaged = 1 / sum(1 / variance for variance in variances)
    whole = LocalValidator(range(500), labels).statistics(range(500), question.query).deviation ** 2
    assert averaged >= whole


def test_part_and_rest() -> None:
    labels, scores = scored(500, 8)
    validator = LocalValidator(range(500), labels, epsilon=1.0)
    validator.feedback(range(500), scores, ["auc"], epsilon=0.3)
    rest = validator.feedback(range(500), scores, ["auc"])
    assert 0 <= rest.left.epsilon < 0.05
    with pytest.raises(BudgetRefused):
        validator.feedback(range(500), scores, ["auc"], epsilon=0.5)


def test_asking_for_more_than_there_is() -> None:
    labels, scores = scored(500, 9)
    with pytest.raises(BudgetRefused, match="epsilon"):
        LocalValidator(range(500), labels, epsilon=1.0).feedback(range(500), scores, ["auc"], epsilon=2.0)


def test_pure_epsilon() -> None:
    labels, scores = scored(500, 10)
    validator = LocalValidator(range(500), labels, epsilon=1.0, delta=0.0)
    told = validator.feedback(range(500), scores, ["accuracy"], epsilon=0.4)
    assert (told.cost.epsilon, told.cost.delta) == (0.4, 0)
    assert validator.feedback(range(500), scores, ["accuracy"]).cost.epsilon == pytest.approx(0.6)


def test_differencing_is_refused_and_costs_nothing() -> None:
    labels, scores = scored(200, 11)
    validator = LocalValidator(range(200), labels, epsilon=1.0)
    validator.feedback(range(200), scores, ["auc"], epsilon=0.2)
    left = validator.remaining().epsilon
    with pytest.raises(ClauseRefused):
        validator.feedback(range(199), scores[:199], ["auc"], epsilon=0.2)
    with pytest.raises(ClauseRefused):
        validator.feedback(range(5), scores[:5], ["auc"], epsilon=0.2)
    assert validator.remaining().epsilon == left


@pytest.mark.parametrize(
    ("ids", "scores", "metrics", "error"),
    [
        (range(50), np.full(50, np.nan), ["auc"], BadInput),
        (range(50), np.full(50, np.inf), ["auc"], BadInput),
        (range(50), np.zeros(49), ["auc"], BadInput),
        (range(50), np.zeros((50, 2)), ["auc"], BadInput),
        (range(50), ["a"] * 50, ["auc"], BadInput),
        (range(1, 51), np.zeros(50), ["auc"], BadInput),
        ([0] * 50, np.zeros(50), ["auc"], BadInput),
        (range(50), np.zeros(50), ["gini"], UsageError),
        (range(50), np.zeros(50), [], UsageError),
        (range(50), np.full(50, -3.0), ["brier"], UsageError),
        ([], [], ["auc"], UsageError),
    ],
)
def test_questions_that_cannot_be_answered(
    ids: list[int], scores: object, metrics: list[str], error: type[Exception]
) -> None:
    validator = LocalValidator(range(50), np.arange(50) % 2)
    with pytest.raises(error):
        validator.feedback(ids, scores, metrics)  # type: ignore[arg-type]
    assert validator.remaining().epsilon == 1.0


@pytest.mark.parametrize(
    "labels",
    [[0, 1, 2], ["yes", "no", "no"], [0.0, 1.0, np.nan], [0, 1], [[0], [1], [1]], [-1, 1, 1]],
)
def test_labels_other_than_0_and_1_are_refused_in_private(labels: list[object]) -> None:
    with pytest.raises(BadTable) as caught:
        LocalValidator(["a", "b", "c"], labels)
    assert "holder" in caught.value.public_message


@pytest.mark.parametrize(
    "ids", [["a", "a", "b"], [1, 1, 2], ["a", None, "b"], [1.5, 2.0, 3.0], [[1], [2], [3]]]
)
def test_ids_that_do_not_name_records(ids: list[object]) -> None:
    with pytest.raises(BadInput):
        LocalValidator(ids, [0, 1, 1])


def test_ids_in_any_order_and_kind() -> None:
    labels, scores = scored(300, 12)
    names = [f"r{at}" for at in range(300)]
    order = np.random.default_rng(0).permutation(300)
    for ids in (names, list(range(1000, 1300)), np.arange(300) * 7):
        validator = LocalValidator(ids, labels, epsilon=300.0, delta=1e-3)
        told = validator.feedback([ids[at] for at in order], scores[order], ["auc"])
        assert told.estimates["auc"] == pytest.approx(roc_auc_score(labels, scores), abs=0.02)


def test_labels_as_booleans_floats_and_objects() -> None:
    for labels in ([True, False], [1.0, 0.0], np.array([1, 0], dtype=object)):
        assert len(LocalValidator([1, 2], labels)) == 2


def test_copies_share_the_budget_and_none_leaves_the_process() -> None:
    validator = LocalValidator(range(40), np.arange(40) % 2)
    assert copy.deepcopy(validator) is validator
    assert copy.copy(validator) is validator
    with pytest.raises(UsageError):
        validator.__reduce__()
    assert repr(validator).startswith("LocalValidator(40 records")


def test_threads_never_overspend() -> None:
    labels, scores = scored(400, 13)
    validator = LocalValidator(range(400), labels, epsilon=1.0, delta=0.0)
    outcomes: list[object] = []

    def ask(at: int) -> None:
        try:
            outcomes.append(validator.feedback(range(400), np.roll(scores, 40 * at), "accuracy", 0.25))
        except BudgetRefused as refusal:
            outcomes.append(refusal)

    threads = [threading.Thread(target=ask, args=(at,)) for at in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(not isinstance(outcome, BudgetRefused) for outcome in outcomes) == 4
