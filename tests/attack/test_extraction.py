"""Model extraction: solves for a model where it can be solved for, and not where there is nothing."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest

from comity.attack import (
    extract_model,
    extraction_attack,
    extraction_curve,
    rows_to_extract,
    telling_rows,
)
from comity.errors import BadInput

DRAW = np.random.default_rng(3)
ROWS = DRAW.uniform(-1, 1, (600, 12))
WEIGHTS = DRAW.normal(size=12)
SCORES = ROWS @ WEIGHTS - 0.7


def test_exact_scores_of_a_few_more_rows_than_columns_tell_the_model() -> None:
    copy = extract_model(ROWS[:13], SCORES[:13])
    assert np.allclose(copy.weights, WEIGHTS)
    assert copy.intercept == pytest.approx(-0.7)
    assert np.allclose(copy.scores(ROWS), SCORES)


def test_the_attack_says_so_and_its_control_does_not() -> None:
    found = extraction_attack(ROWS, SCORES, used=20, seed=1)
    assert found.advantage > 0.9
    assert found.low > 0.9
    assert found.control is not None
    assert abs(found.control) < 0.1
    assert found.trials == 580


@pytest.mark.parametrize("kind", ["logistic", "linear"])
def test_more_rows_tell_more(kind: Literal["logistic", "linear"]) -> None:
    curve = extraction_curve(ROWS, SCORES, seed=1, numbers=(4, 8, 16, 64, 590), kind=kind)
    assert [point.rows for point in curve] == [4, 8, 16, 64]
    assert curve[0].result.advantage < 0.5
    assert rows_to_extract(curve) == 16
    assert rows_to_extract(curve[:2]) is None


@pytest.mark.parametrize("seed", range(6))
def test_few_rows_of_a_model_that_says_the_same_of_most_tell_nothing(seed: int) -> None:
    """93 in 100 rows are scored below 0.1: a copy of 7 of them is far off where the middle score is near.

    Seeds are fixed, so nothing is left to chance; rows and scores have nothing to do with each other.
    """
    draw = np.random.default_rng(seed)
    rows = draw.uniform(-1, 1, (1500, 14))
    scores = np.where(draw.random(1500) < 0.93, draw.normal(-5.0, 1.0, 1500), draw.normal(1.0, 1.0, 1500))
    for used in (7, 15 + 30, 500):
        found = extraction_attack(rows, scores, used=used, seed=seed)
        assert found.advantage == pytest.approx(0.0, abs=0.02)
        assert found.low <= 0.0 <= found.high


def test_more_equations_than_unknowns_that_agree_are_the_model() -> None:
    """Columns that few rows have: a copy without such a row misses them, and one with all rows is exact."""
    rows = ROWS.copy()
    rows[:, :10] = np.random.default_rng(9).random((600, 10)) < 0.05
    scores = rows @ (3 * WEIGHTS) - 5.0
    for seed in range(4):
        found = extraction_attack(rows, scores, used=100, seed=seed)
        assert found.low > 0.2
        assert found.control == pytest.approx(0.0, abs=0.05)


def test_errors_of_scores_take_more_rows_and_no_more() -> None:
    noisy = SCORES + np.random.default_rng(5).uniform(-1, 1, 600)
    numbers = (16, 500)
    few, many = extraction_curve(ROWS, noisy, seed=1, numbers=numbers, tolerance=0.05, truth=SCORES)
    assert few.result.advantage < 0.5 < many.result.advantage


def test_one_scored_row_is_one_equation() -> None:
    copy = extract_model(ROWS[:1], SCORES[:1])
    assert copy.weights.tolist() == [0.0] * 12
    assert copy.intercept == SCORES[0]


@pytest.mark.parametrize(
    ("rows", "scores"),
    [(ROWS[:3], SCORES[:2]), (ROWS[:0], SCORES[:0]), (ROWS[0], SCORES[:1]), (ROWS[:1] * np.nan, SCORES[:1])],
)
def test_what_does_not_fit_is_refused(rows: np.ndarray, scores: np.ndarray) -> None:
    with pytest.raises(BadInput):
        extract_model(rows, scores)


def test_made_up_rows_tell_more_than_as_many_found_ones() -> None:
    """Rows that differ along few directions mostly: 5 made-up rows tell those, 5 found ones a mixture."""
    draw = np.random.default_rng(8)
    turn = np.linalg.qr(draw.normal(size=(12, 12)))[0]
    own = np.clip(draw.normal(size=(400, 12)) * 0.4 ** np.arange(12) @ turn / 4, -1, 1)
    made = telling_rows(own, 5)
    assert made.shape == (5, 12)
    assert np.abs(made).max() <= 1 + 1e-9
    right = own @ WEIGHTS
    by_made = extract_model(made, made @ WEIGHTS).scores(own)
    by_found = extract_model(own[:5], right[:5]).scores(own)
    assert np.abs(by_made - right).mean() < 0.5 * np.abs(by_found - right).mean()
    for number in (1, 14):
        with pytest.raises(BadInput, match="telling rows"):
            telling_rows(own, number)


@pytest.mark.parametrize("used", [1, 551])
def test_too_few_rows_tell_nothing(used: int) -> None:
    with pytest.raises(BadInput, match="50 to try"):
        extraction_attack(ROWS, SCORES, used=used, seed=0)
