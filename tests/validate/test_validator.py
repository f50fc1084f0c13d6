"""The validators as a caller meets them: wrong arguments are refused in words, and before any charge."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from comity.data.table import Table
from comity.errors import BadInput, BudgetRefused, ClauseRefused, ComityError, UsageError
from comity.schema import parse_schema
from comity.validate import (
    FeedbackClassifier,
    GroupCounts,
    HostedValidator,
    LocalValidator,
    Price,
    WeightedSum,
    answer,
    ask_for,
)
from comity.validate.classes import class_parts, class_question
from comity.validate.metrics import losses

ROWS = 120
LABELS = np.arange(ROWS) % 2
SCORES = np.linspace(0.05, 0.95, ROWS)
HALVES = GroupCounts(np.arange(ROWS) % 2, 2)

NO_NUMBER = ["x", "", b"1", True, [], [1], {}, 1j, object(), np.zeros((2, 2)), np.zeros(3), (0.1,)]
NOT_FINITE = [math.nan, math.inf, -math.inf, np.float64("nan"), 10**400, -(10**400)]
NO_EPSILON = [*NO_NUMBER, *NOT_FINITE, 0, -1, -0.5, 5e-324, 1e308]
NO_COUNT = [*NO_NUMBER, *NOT_FINITE, 0, -1, 2.5, 1e308]
NO_NAME = [3, math.nan, b"x", "", "x" * 300, "a\nb", [], ["a"], {}, object(), np.zeros(3)]
NO_COLUMN = [
    3,
    math.nan,
    "x" * ROWS,
    b"x",
    None,
    {},
    object(),
    [[1]],
    np.zeros((ROWS, 2)),
    np.zeros(ROWS - 1),
    np.array(1.0),
    [{}] * ROWS,
    [None] * ROWS,
    [math.nan] * ROWS,
    [[1]] * ROWS,
    [[1], *[[1, 2]] * (ROWS - 1)],
    np.array(["NaT"] * ROWS, dtype="datetime64[s]"),
    np.array([1j] * ROWS),
    np.ma.masked_array(np.arange(ROWS), mask=np.arange(ROWS) == 3),
]
BELOW_AND_ABOVE = [*NO_NUMBER, *NOT_FINITE, 5, -0.1, 0]

CALLS: dict[str, tuple[Callable[[LocalValidator, Any], object], list[Any]]] = {
    "feedback epsilon": (lambda v, x: v.feedback(range(ROWS), SCORES, ["auc"], x), NO_EPSILON),
    "feedback threshold": (
        lambda v, x: v.feedback(range(ROWS), SCORES, ["accuracy"], 0.1, threshold=x),
        [*NO_NUMBER, *NOT_FINITE],
    ),
    "feedback metrics": (
        lambda v, x: v.feedback(range(ROWS), SCORES, x, 0.1),
        [3, math.nan, b"auc", "", "aucc", [], [3], [["auc"]], {}, {"auc": 1, "x": 2}, object(), [None]],
    ),
    "feedback groups": (
        lambda v, x: v.feedback(range(ROWS), SCORES, ["accuracy"], 0.1, groups=x),
        [one for one in NO_COLUMN if one is not None and getattr(one, "dtype", None) != np.complex128],
    ),
    "feedback by": (lambda v, x: v.feedback(range(ROWS), SCORES, ["accuracy"], 0.1, by=x), ["no", *NO_NAME]),
    "feedback asker": (lambda v, x: v.feedback(range(ROWS), SCORES, asker=x), [None, *NO_NAME]),
    "feedback ids": (lambda v, x: v.feedback(x, SCORES, ["accuracy"], 0.1), NO_COLUMN),
    "feedback scores": (lambda v, x: v.feedback(range(ROWS), x, ["accuracy"], 0.1), NO_COLUMN),
    "statistics epsilon": (lambda v, x: v.statistics(range(ROWS), HALVES, x), NO_EPSILON),
    "statistics ids": (lambda v, x: v.statistics(x, HALVES, 0.1), NO_COLUMN),
    "statistics query": (
        lambda v, x: v.statistics(range(ROWS), x, 0.1),
        [None, 3, "auc", [], SCORES, GroupCounts, GroupCounts(np.zeros(3, dtype=np.int64), 1)],
    ),
    "statistics_at_cost asker": (
        lambda v, x: v.statistics_at_cost(range(ROWS), HALVES, 0.1, asker=x),
        [None, *NO_NAME],
    ),
    "noise_multiplier epsilon": (lambda v, x: v.noise_multiplier(x), NO_EPSILON),
    "comparisons epsilon": (lambda v, x: v.comparisons(x), [None, *NO_EPSILON]),
    "comparisons yeses": (lambda v, x: v.comparisons(0.1, yeses=x), [None, *NO_COUNT]),
    "ladder epsilon": (lambda v, x: v.ladder(x), [None, *NO_EPSILON]),
    "ladder step": (lambda v, x: v.ladder(0.1, step=x), BELOW_AND_ABOVE),
    "ladder climbs": (lambda v, x: v.ladder(0.1, climbs=x), [None, *NO_COUNT]),
    "learner epsilon": (
        lambda v, x: FeedbackClassifier(v, epsilon=x).fit(SCORES[:, None], range(ROWS)),
        NO_EPSILON,
    ),
    "learner bins": (
        lambda v, x: FeedbackClassifier(v, bins=x).fit(SCORES[:, None], range(ROWS)),
        [None, *NO_COUNT],
    ),
    "learner ids": (lambda v, x: FeedbackClassifier(v).fit(SCORES[:, None], x), NO_COLUMN),
}


@pytest.mark.parametrize("call", list(CALLS))
def test_bad_arguments_are_refused_in_words_before_any_charge(call: str) -> None:
    ask, bad = CALLS[call]
    validator = LocalValidator(range(ROWS), LABELS)
    before = validator.remaining()
    for value in bad:
        with pytest.raises((UsageError, BadInput)) as caught:
            ask(validator, value)
        assert 15 <= len(str(caught.value)) <= 400, str(caught.value)
        assert validator.remaining() == before
    assert validator.ledger.events("charged") == []
    # what was refused stands in no one's way
    validator.feedback(range(ROWS), SCORES, ["accuracy"])


FOUNDED: dict[str, tuple[Callable[[Any], object], list[Any]]] = {
    "epsilon": (lambda x: LocalValidator(range(ROWS), LABELS, epsilon=x), [None, *NO_EPSILON]),
    "delta": (
        lambda x: LocalValidator(range(ROWS), LABELS, delta=x),
        [None, *NO_NUMBER, *NOT_FINITE, -1, 1, 2],
    ),
    "minimum": (lambda x: LocalValidator(range(ROWS), LABELS, minimum=x), [None, *NO_COUNT]),
    "per_day": (lambda x: LocalValidator(range(ROWS), LABELS, per_day=x), NO_COUNT),
    "store": (
        lambda x: LocalValidator(range(ROWS), LABELS, store=x),
        [3, math.nan, "", "a\0b", [], object()],
    ),
    "classes": (
        lambda x: LocalValidator(range(ROWS), LABELS, classes=x),
        [3, "01", b"01", [], [0], [0, 0, 1], [0, None], [0, math.nan], [[0], [1]], {0: 1, 1: 2}, range(2000)],
    ),
    "bounds": (
        lambda x: LocalValidator(range(ROWS), LABELS, bounds=x),
        [
            3,
            "01",
            [],
            (1,),
            (0, 1, 2),
            (1, 0),
            (1, 1),
            (math.nan, 1),
            (0, math.inf),
            (None, 1),
            ("a", "b"),
            (-1e308, 1e308),
            (0, 10**400),
            (0, 5e-324),
            (1e300, 1e300 * (1 + 1e-15)),
            {0: 1, 1: 2},
        ],
    ),
    "columns": (
        lambda x: LocalValidator(range(ROWS), LABELS, columns=x, domains=x),
        [3, "a", [1], [[1]], {1: [1]}, {"": [1]}, {"a": 3}, {"a": "ab"}, {"a": [[1]] * ROWS}, {"a": [1, 2]}],
    ),
    "ids": (lambda x: LocalValidator(x, LABELS), NO_COLUMN),
    "labels": (lambda x: LocalValidator(range(ROWS), x), NO_COLUMN),
    "labels of classes": (lambda x: LocalValidator(range(ROWS), x, classes=[0, 1]), NO_COLUMN),
    "labels within bounds": (lambda x: LocalValidator(range(ROWS), x, bounds=(0, 1)), NO_COLUMN),
}


@pytest.mark.parametrize("name", list(FOUNDED))
def test_a_validator_is_founded_on_what_fits(name: str) -> None:
    found, bad = FOUNDED[name]
    for value in bad:
        with pytest.raises((UsageError, BadInput)) as caught:
            found(value)
        assert 15 <= len(str(caught.value)) <= 400, str(caught.value)


def test_numbers_of_numpy_and_fractions_are_numbers() -> None:
    from fractions import Fraction

    validator = LocalValidator(range(ROWS), LABELS, np.float32(1.0), np.float64(1e-6), minimum=np.int64(10))
    validator.feedback(range(ROWS), SCORES, ("auc",), Fraction(1, 8), threshold=np.float32(0.25))
    assert validator.comparisons(np.float64(0.125), yeses=np.int8(2)).left == 2
    assert validator.ladder(np.array(0.125), climbs=3.0).loss == 0.5


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_more_than_the_whole_budget_is_refused_and_leaves_the_first_answer_all_of_it(delta: float) -> None:
    validator = LocalValidator(range(ROWS), LABELS, epsilon=0.5, delta=delta)
    before = validator.remaining()
    for ask in (
        lambda: validator.feedback(range(ROWS), SCORES, ["auc"], 0.6),
        lambda: validator.statistics(range(ROWS), HALVES, 0.6),
        lambda: validator.comparisons(0.6),
        lambda: validator.ladder(0.6),
        lambda: validator.noise_multiplier(0.6),
    ):
        with pytest.raises(BudgetRefused, match="whole budget"):
            ask()
        assert validator.remaining() == before
    # neither is its grouping remembered
    assert validator.monitor.kinds == 1


COMPARED: dict[str, tuple[Callable[[Any, Any], object], list[Any]]] = {
    "by": (
        lambda c, x: c.better(range(ROWS), SCORES, 1 - SCORES, by=x),
        [None, *NO_NUMBER, *NOT_FINITE, 1.5, -2],
    ),
    "threshold": (
        lambda c, x: c.better(range(ROWS), SCORES, 1 - SCORES, threshold=x),
        [None, *NO_NUMBER, *NOT_FINITE],
    ),
    "ids": (lambda c, x: c.better(x, SCORES, 1 - SCORES), NO_COLUMN),
    "scores": (lambda c, x: c.better(range(ROWS), x, SCORES), NO_COLUMN),
    "than": (lambda c, x: c.better(range(ROWS), SCORES, x), NO_COLUMN),
    "noise": (lambda c, x: c.noise(x), [None, *NO_COUNT]),
}


@pytest.mark.parametrize("name", list(COMPARED))
def test_comparisons_refuse_what_does_not_fit_and_give_no_yes_for_it(name: str) -> None:
    ask, bad = COMPARED[name]
    opened = LocalValidator(range(ROWS), LABELS).comparisons(0.5)
    for value in bad:
        with pytest.raises((UsageError, BadInput)):
            ask(opened, value)
    assert opened.left == 1


@pytest.mark.parametrize("bad", [None, *NO_NUMBER, *NOT_FINITE])
def test_a_submission_needs_a_threshold_that_is_a_number(bad: Any) -> None:
    ladder = LocalValidator(range(ROWS), LABELS).ladder(0.5)
    with pytest.raises(UsageError, match="threshold"):
        ladder.submit(SCORES, threshold=bad)


def test_models_that_differ_in_few_predictions_are_not_compared() -> None:
    validator = LocalValidator(range(ROWS), LABELS)
    opened = validator.comparisons(0.5)
    other = SCORES.copy()
    other[:9] = 0.99
    with pytest.raises(ClauseRefused, match="fewer than 10 records apart"):
        opened.better(range(ROWS), SCORES, other)
    other[9] = 0.99
    opened.better(range(ROWS), SCORES, other)
    validator.comparisons(0.5).better(range(ROWS), SCORES, SCORES)  # the first may have said yes: closed


def test_a_weighted_sum_that_tells_of_few_records_is_refused_before_a_charge() -> None:
    """An indicator of one record is a group of one; a weight far beyond all others is nearly that."""
    validator = LocalValidator(range(ROWS), LABELS)
    before = validator.remaining()
    one, five, mostly = (np.zeros(ROWS, dtype=np.int64) for _ in range(3))
    one[7], five[:5], mostly[:] = 1, 1000, 1
    mostly[7] = 1000
    odd = np.full(ROWS, 0.5)
    odd[7] = 0.9
    for weights in (one, five, mostly):
        with pytest.raises(ClauseRefused, match="few records"):
            validator.statistics(range(ROWS), WeightedSum(weights), 0.1)
    for metric in ("auc", "brier", "log_loss"):
        with pytest.raises(ClauseRefused, match="few records"):
            validator.feedback(range(ROWS), odd, [metric], 0.1)
    assert validator.remaining() == before
    for count in (10, 11, 30):  # ranks of as many records as the minimum pass, also with a middle one
        told = LocalValidator(range(count), LABELS[:count])
        told.feedback(range(count), SCORES[:count], ["auc", "brier", "log_loss"], 0.1)


def test_sums_over_several_classes_that_tell_of_few_records_are_refused() -> None:
    validator = LocalValidator(range(ROWS), np.arange(ROWS) % 3, classes=[0, 1, 2])
    scores = np.full((ROWS, 3), 1 / 3)
    scores[7] = 0.9, 0.1, 0.0
    for metric in ("auc", "brier", "log_loss"):
        with pytest.raises(ClauseRefused, match="few records"):
            validator.feedback(range(ROWS), scores, [metric], 0.1)


@pytest.mark.parametrize("metric", ["brier", "log_loss"])
def test_a_mean_loss_lies_between_the_least_and_the_most_that_labels_can_make_it(metric: str) -> None:
    """Noise far beyond the range, which is public and holds the truth for any labels: coverage stays."""
    most = 1.0 if metric == "brier" else -math.log(0.01)
    for at in range(100):
        scores = np.random.default_rng(at).random(40)
        question = ask_for(scores, [metric])
        least, highest = question.facts[metric]["range"]
        sums = answer(question.query, LABELS[:40], Price(0.05, 1e-6))
        estimates, intervals = question.read(sums)
        low, high = intervals[metric]
        assert 0 <= least <= low <= estimates[metric] <= high <= highest <= most
        zero, one = losses(scores, metric)
        assert least <= np.where(LABELS[:40] == 1, one, zero).mean() <= highest


@pytest.mark.parametrize("metric", ["brier", "log_loss"])
def test_so_does_a_mean_loss_of_several_classes(metric: str) -> None:
    for at in range(50):
        draw = np.random.default_rng(at)
        chances, labels = draw.dirichlet(np.ones(3), 40), draw.integers(0, 3, 40)
        question = class_question(*class_parts(chances.argmax(axis=1), chances, 3, [metric]))
        estimates, intervals = question.read(answer(question.query, labels, Price(0.05, 1e-6)))
        (low, high), (least, most) = intervals[metric], question.facts[metric]["range"]
        assert 0 <= least <= low <= estimates[metric] <= high <= most <= 5
        own = chances[np.arange(40), labels]
        exact = np.square(chances).sum(axis=1) - 2 * own + 1
        if metric == "log_loss":
            exact = -np.log(np.clip(own, 0.01, 1))
        assert least <= exact.mean() <= most


def test_a_validator_is_not_pickled_and_says_what_to_do_instead() -> None:
    with pytest.raises(UsageError, match="store="):
        LocalValidator(range(ROWS), LABELS).__reduce__()


def test_a_store_is_not_made_for_arguments_that_do_not_fit(tmp_path: Path) -> None:
    place = tmp_path / "labels.db"
    for wrong in (
        {"per_day": 0},
        {"epsilon": -1},
        {"minimum": 0},
        {"bounds": (1, 0)},
        {"labels": [2] * ROWS},
    ):
        with pytest.raises(ComityError):
            LocalValidator(**({"ids": range(ROWS), "labels": LABELS, "store": place} | wrong))  # pyright: ignore
    assert not place.exists()


def hosted() -> HostedValidator:
    columns = {
        "x": {"role": "quasi_identifier", "type": "number", "min": -3, "max": 3},
        "job": {"role": "quasi_identifier", "type": "category", "values": ["a", "b"]},
        "pay": {"role": "target", "type": "number", "min": 0, "max": 100},
    }
    schema = parse_schema({"columns": columns}, where="the test")
    table = Table(pa.table({"x": SCORES, "job": ["a", "b"] * (ROWS // 2), "pay": SCORES * 90}))
    return HostedValidator(table, schema, "pay", epsilon=1.0)


HOSTED: dict[str, tuple[Callable[[HostedValidator, Any], object], list[Any]]] = {
    "epsilon": (lambda v, x: v.feedback(b"", epsilon=x), [*NO_EPSILON]),
    "by": (lambda v, x: v.feedback(b"", by=x), ["no", "x", *NO_NAME]),
    "model": (lambda v, x: v.feedback(x), [None, 3, "model.onnx", b"", b"nonsense", [], object(), SCORES]),
    "new epsilon": (lambda v, x: HostedValidator(v._table, v.schema, "pay", epsilon=x), [None, *NO_EPSILON]),
    "new delta": (
        lambda v, x: HostedValidator(v._table, v.schema, "pay", epsilon=1.0, delta=x),
        [None, *NO_NUMBER, *NOT_FINITE, -1, 0, 1],
    ),
    "new target": (lambda v, x: HostedValidator(v._table, v.schema, x, epsilon=1.0), ["no", None, *NO_NAME]),
    "new schema": (lambda v, x: HostedValidator(v._table, x, "pay", epsilon=1.0), [None, {}, "schema.yaml"]),
    "new positive": (
        lambda v, x: HostedValidator(v._table, v.schema, "pay", positive=x, epsilon=1.0),
        NO_NAME,
    ),
}


@pytest.mark.parametrize("name", list(HOSTED))
def test_a_hosted_validator_refuses_bad_arguments_before_any_charge(name: str) -> None:
    ask, bad = HOSTED[name]
    validator = hosted()
    for value in bad:
        with pytest.raises((UsageError, BadInput)) as caught:
            ask(validator, value)
        assert 15 <= len(str(caught.value)) <= 400, str(caught.value)
    assert validator.ledger.accounts() == {}
    with pytest.raises(BudgetRefused, match="whole budget"):
        validator.feedback(b"", epsilon=2.0)
    assert validator.ledger.accounts() == {}
