"""Hosted feedback about models of several classes and of numbers, and the validator that gives it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, f1_score, log_loss, mean_absolute_error, r2_score, roc_auc_score

from comity.data.table import Table
from comity.errors import BadInput, BadSchema, BudgetRefused
from comity.mechanism import Noise
from comity.schema import parse_schema
from comity.validate.hosted_classes import HostedClasses
from comity.validate.hosted_convert import to_onnx
from comity.validate.hosted_errors import HostedErrors
from comity.validate.hosted_groups import HostedGroups
from comity.validate.hosted_target import HostedTarget
from comity.validate.hosted_validator import HostedValidator
from comity.validate.mechanism import NoisySums

COLUMNS = {
    "x": {"role": "quasi_identifier", "type": "number", "min": -3, "max": 3},
    "job": {"role": "quasi_identifier", "type": "category", "values": ["a", "b"]},
    "who": {"role": "identifier", "type": "text"},
    "kind": {"role": "sensitive", "type": "category", "values": ["low", "mid", "high"]},
    "pay": {"role": "insensitive", "type": "number", "min": 0, "max": 100},
}
GROUPS = HostedGroups("job", ("a", "b"))


def schema(target: str, **unit: Any) -> Any:
    other = {"kind": "pay", "pay": "kind"}[target]
    columns = {name: dict(column) for name, column in COLUMNS.items() if name != other}
    columns[target]["role"] = "target"
    return parse_schema({"columns": columns, **({"unit": unit} if unit else {})}, where="the test")


def rows(count: int, seed: int) -> Table:
    draw = np.random.default_rng(seed)
    x = np.clip(draw.normal(size=count), -3, 3)
    job = draw.choice(["a", "b"], count)
    noisy = x + draw.normal(size=count) * 0.7 + (job == "b")
    kind = np.array(["low", "mid", "high"])[np.searchsorted([-0.5, 1.0], noisy)]
    pay = np.clip(40 + 12 * noisy, 0, 100)
    return Table(
        pa.table(
            {"x": x, "job": job, "who": [f"p{at // 2}" for at in range(count)], "kind": kind, "pay": pay}
        )
    )


def exactly(question: Any, sums: NDArray[np.int64]) -> Any:
    return question.read(NoisySums(sums.astype(np.float64), Noise("gaussian", 0, 1e-9)))


def chances(draw: np.random.Generator, count: int, classes: int = 3) -> NDArray[np.float64]:
    return draw.dirichlet(np.ones(classes), count)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.booleans(), st.booleans(), st.booleans())
def test_no_record_moves_class_sums_by_more_than_they_say(
    seed: int, ranks: bool, losses: bool, grouped: bool
) -> None:
    draw = np.random.default_rng(seed)
    question = HostedClasses(("a", "b", "c"), ranks, losses, GROUPS if grouped else HostedGroups())
    given_scores, labels = chances(draw, 12), draw.integers(0, 3, 12)
    given_scores[0] = draw.random(3) * 1e-9  # what a model gives need not add up to 1
    given_scores[1] = 1.0
    values = draw.choice(["a", "b", "z"], 12).tolist()
    whole = question.sums(given_scores, labels, values)
    for at in range(12):
        keep = np.arange(12) != at
        without = question.sums(given_scores[keep], labels[keep], [values[n] for n in np.flatnonzero(keep)])
        moved = [int(value) for value in whole - without]
        assert sum(value * value for value in moved) <= question.sizes.l2**2
        assert sum(map(abs, moved)) <= question.sizes.l1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.booleans())
def test_no_record_moves_error_sums_by_more_than_they_say(seed: int, grouped: bool) -> None:
    draw = np.random.default_rng(seed)
    question = HostedErrors(-10.0, 30.0, GROUPS if grouped else HostedGroups())
    given_scores, labels = draw.choice([-10.0, 0.0, 7.3, 30.0], 12), draw.choice([-10.0, 30.0, 1.1], 12)
    values = draw.choice(["a", "b"], 12).tolist()
    whole = question.sums(given_scores, labels, values)
    for at in range(12):
        keep = np.arange(12) != at
        without = question.sums(given_scores[keep], labels[keep], [values[n] for n in np.flatnonzero(keep)])
        moved = [int(value) for value in whole - without]
        assert sum(value * value for value in moved) <= question.sizes.l2**2
        assert sum(map(abs, moved)) <= question.sizes.l1


def test_class_metrics_agree_with_sklearn() -> None:
    draw = np.random.default_rng(1)
    given_scores = chances(draw, 5000)
    labels = np.array([draw.choice(3, p=row) for row in given_scores])
    question = HostedClasses(("a", "b", "c"))
    metrics = exactly(question, question.sums(given_scores, labels))["all"]
    predicted = given_scores.argmax(axis=1)
    assert metrics["accuracy"].value == pytest.approx(accuracy_score(labels, predicted), abs=1e-6)
    assert metrics["macro_f1"].value == pytest.approx(f1_score(labels, predicted, average="macro"), abs=1e-3)
    assert metrics["log_loss"].value == pytest.approx(log_loss(labels, given_scores), rel=0.02)
    brier = np.square(given_scores - np.eye(3)[labels]).sum(axis=1).mean()
    assert metrics["brier"].value == pytest.approx(brier, rel=1e-3)
    assert metrics["confusion-a-b"].value == pytest.approx(((labels == 0) & (predicted == 1)).sum(), abs=0.1)
    for at, name in enumerate(question.classes):
        truth = roc_auc_score(labels == at, given_scores[:, at])
        assert metrics[f"auc-{name}"].low - 1e-6 <= truth <= metrics[f"auc-{name}"].high + 1e-6


def test_error_metrics_agree_with_sklearn_by_group_too() -> None:
    draw = np.random.default_rng(2)
    labels = draw.random(4000) * 40 - 10
    given_scores = np.clip(labels + draw.normal(size=4000) * 5, -10, 30)
    values = draw.choice(["a", "b"], 4000).tolist()
    question = HostedErrors(-10.0, 30.0, GROUPS)
    found = exactly(question, question.sums(given_scores, labels, values))
    assert set(found) == {"all", "a", "b", "other"}
    for name, here in (("all", np.ones(4000, dtype=bool)), ("b", np.array(values) == "b")):
        metrics = found[name]
        assert metrics["mae"].value == pytest.approx(
            mean_absolute_error(labels[here], given_scores[here]), abs=1e-3
        )
        assert metrics["r2"].value == pytest.approx(r2_score(labels[here], given_scores[here]), abs=1e-3)
        assert metrics["mean"].value == pytest.approx(labels[here].mean(), abs=1e-3)
        assert metrics["bias"].value == pytest.approx((given_scores - labels)[here].mean(), abs=1e-3)
    # a group that nobody is in is answered like any other
    assert found["other"]["mae"].value is None


def test_targets_are_declared_and_never_read_off_the_data() -> None:
    bare = parse_schema({"columns": {"y": {"role": "target", "type": "number"}}}, where="x")
    with pytest.raises(BadSchema, match="'min' and 'max'"):
        HostedTarget.of(bare["y"])
    with pytest.raises(BadSchema, match="'values'"):
        HostedTarget.of(parse_schema({"columns": {"y": {"role": "target", "type": "text"}}}, where="x")["y"])
    kind = HostedTarget.of(schema("kind")["kind"])
    table = Table(pa.table({"kind": ["mid", None, "unheard of", "low"]}))
    labels, known = kind.labels(table, "kind")
    assert labels[known].tolist() == [1, 0]
    assert known.tolist() == [True, False, False, True]


def matrix_of(validator: HostedValidator, table: Table) -> Any:
    return validator.features.matrix(table)


@pytest.mark.parametrize("model", [LogisticRegression(), HistGradientBoostingClassifier(max_iter=5)])
def test_feedback_about_several_classes(model: Any) -> None:
    table, held = rows(300, 3), rows(2000, 4)
    validator = HostedValidator(held.arrow, schema("kind"), "kind", epsilon=4.0)
    model.fit(matrix_of(validator, table), table.strings("kind"))
    data = to_onnx(model, validator.features, validator.kind)
    answer = validator.feedback(data, by="job")
    truth = accuracy_score(held.strings("kind"), model.predict(matrix_of(validator, held)))
    assert answer.metrics["accuracy"].low - 0.02 <= truth <= answer.metrics["accuracy"].high + 0.02
    assert set(answer.by_group) == {"a", "b", "other"}
    again = validator.feedback(data, by="job")
    assert again.metrics == answer.metrics
    assert again.cost is None
    with pytest.raises(BudgetRefused):
        validator.feedback(data)


def test_feedback_about_a_number_in_parts_of_the_budget() -> None:
    table, held = rows(300, 5), rows(2000, 6)
    validator = HostedValidator(held.arrow, schema("pay"), "pay", epsilon=4.0)
    model = Ridge().fit(matrix_of(validator, table), np.array(table.numbers("pay")))
    data = to_onnx(model, validator.features, validator.kind)
    first = validator.feedback(data, epsilon=1.0)
    truth = mean_absolute_error(
        held.numbers("pay"), np.clip(model.predict(matrix_of(validator, held)), 0, 100)
    )
    # 0.5 beyond the 95% interval is more than 5 standard deviations of the noise
    assert first.metrics["mae"].low - 0.5 <= truth <= first.metrics["mae"].high + 0.5
    rest = validator.feedback(data)
    assert rest.cost is not None
    width = first.metrics["mae"].high - first.metrics["mae"].low
    assert rest.metrics["mae"].high - rest.metrics["mae"].low < width
    assert validator.ledger.verify().ok


def test_persons_with_several_rows_cost_as_many_rows() -> None:
    held = rows(2000, 7)
    kinds = {"record": schema("pay"), "person": schema("pay", column="who", max_rows=2)}
    widths = {}
    for unit, given_schema in kinds.items():
        validator = HostedValidator(held.arrow, given_schema, "pay", epsilon=1.0)
        model = Ridge().fit(matrix_of(validator, held), np.array(held.numbers("pay")))
        answer = validator.feedback(to_onnx(model, validator.features, validator.kind))
        assert answer.cost is not None
        assert str(answer.cost.unit) == unit
        widths[unit] = answer.metrics["records"].high - answer.metrics["records"].low
    assert widths["person"] == pytest.approx(2 * widths["record"], rel=1e-3)


def test_a_model_of_another_kind_is_refused_before_a_charge() -> None:
    held = rows(200, 8)
    validator = HostedValidator(held.arrow, schema("kind"), "kind", epsilon=1.0)
    ridge = Ridge().fit(matrix_of(validator, held), np.array(held.numbers("pay")))
    with pytest.raises(BadInput, match="classifier"):
        to_onnx(ridge, validator.features, validator.kind)
    with pytest.raises(BadInput, match="each of 3 classes"):
        validator.feedback(to_onnx(ridge, validator.features, HostedTarget(0, 100, numeric=True)))
    assert validator.ledger.accounts() == {}
    with pytest.raises(BadInput, match="levels in the schema"):
        validator.feedback(b"", by="x")
