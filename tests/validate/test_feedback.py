"""Feedback as it is read: a table that says what it cost and what is left."""

from __future__ import annotations

import numpy as np
import pytest

from comity.validate import Feedback, LocalValidator

ROWS = 200
LABELS = np.arange(ROWS) % 2
SCORES = np.linspace(0, 1, ROWS) * 0.8 + 0.1 * LABELS


@pytest.fixture
def validator() -> LocalValidator:
    return LocalValidator(range(ROWS), LABELS, epsilon=1.0)


def test_it_prints_as_a_table_with_its_price_and_what_is_left(validator: LocalValidator) -> None:
    told = validator.feedback(range(ROWS), SCORES, ["auc", "accuracy"], 0.25)
    lines = str(told).splitlines()
    assert lines[0].split() == ["metric", "estimate", "95%", "interval"]
    assert lines[1].split()[:2] == ["auc", f"{told.estimates['auc']:.4f}"]
    assert " to ".join(f"{end:.4f}" for end in told.intervals["accuracy"]) in lines[2]
    assert lines[3] == "cost: epsilon 0.25, delta 1e-06 (unit label, change-one)"
    assert lines[4] == f"left: {validator.remaining().words()}"
    assert repr(told) == str(told)
    assert all(line == line.rstrip() for line in lines)
    assert (told.epsilon, told.delta) == (0.25, 1e-6)


def test_an_answer_given_again_says_that_it_cost_nothing(validator: LocalValidator) -> None:
    validator.feedback(range(ROWS), SCORES, ["auc"], 0.25)
    again = validator.feedback(range(ROWS), SCORES, ["auc"], 0.25)
    assert again.repeated
    assert "cost: nothing: an earlier answer of epsilon 0.25, given again" in str(again)


def test_all_that_is_left_is_told_as_an_epsilon(validator: LocalValidator) -> None:
    told = validator.feedback(range(ROWS), SCORES, ["auc"])
    assert (told.epsilon, told.delta) == (1.0, 1e-6)
    again = validator.feedback(range(ROWS), SCORES, ["auc"])
    assert "nothing: an earlier answer, given again" in str(again)


def test_groups_bins_and_cells_have_rows_of_their_own(validator: LocalValidator) -> None:
    told = validator.feedback(range(ROWS), SCORES, ["accuracy", "confusion"], 0.2, groups=["a", "<b>"] * 100)
    names = [row[0] for row in told.rows]
    assert names[:3] == ["accuracy a", "accuracy <b>", "confusion a tp"]
    assert len(names) == 2 + 2 * 4
    html = told._repr_html_()
    assert html.count("<tr>") == 1 + len(names)
    assert "accuracy &lt;b&gt;" in html
    assert "<b>" not in html
    assert "epsilon 0.2, delta" in html
    bins = validator.feedback(range(ROWS), SCORES, ["calibration"], 0.2)
    assert [row[0] for row in bins.rows] == [f"calibration {at}" for at in range(len(bins.rows))]


def test_what_is_not_defined_and_what_is_long_is_said(validator: LocalValidator) -> None:
    none = validator.feedback(range(ROWS), SCORES, ["precision"], 0.2, threshold=2.0)
    assert none.rows == [("precision", "not defined", "")]
    many = Feedback({"positives": {at: at * 1000.0 for at in range(100)}}, {}, none.cost, none.left, {})
    assert "... and 40 more, in .estimates and .intervals" in str(many)
    assert many.rows[99] == ("positives 99", "99000", "")
    assert "cost: " + none.cost.words() in str(many)
    assert "40 more" in many._repr_html_()
