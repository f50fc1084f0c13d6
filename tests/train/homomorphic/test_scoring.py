"""Encrypted scoring end to end: exact to the stated error, and nothing read unchecked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LinearRegression, LogisticRegression

from comity.crypto.ckks_parameters import PARAMETERS, PLACES
from comity.errors import BadInput, ClauseRefused
from comity.train.homomorphic import (
    CustomerKey,
    EncryptedRows,
    EncryptedScores,
    LinearScorer,
    Precision,
    encrypt_rows,
    open_scores,
    score_encrypted,
    unit_for,
)
from comity.train.homomorphic.model import ModelKind, probability
from comity.train.homomorphic.scoring import blocks_of, measured_error, require_answer

ROWS = np.random.default_rng(7).uniform(-1, 1, (60, 3))


@pytest.fixture(scope="module")
def key() -> CustomerKey:
    return CustomerKey()


def there_and_back(key: CustomerKey, scorer: LinearScorer, rows: np.ndarray, **how: Any) -> Any:
    """Both ends, over messages."""
    sent = encrypt_rows(key, rows)
    body, parts = sent.to_message()
    received = EncryptedRows.from_message(body, parts, columns=len(scorer.weights))
    answer = score_encrypted(scorer, received, **how)
    return open_scores(key, EncryptedScores.from_message(*answer.to_message()))


numbers = st.floats(-100, 100)


@given(
    weights=st.lists(numbers, min_size=1, max_size=4),
    intercept=numbers,
    rows=st.integers(1, 40),
    seed=st.integers(0, 99),
)
@settings(max_examples=15, deadline=None)
def test_scores_are_off_by_no_more_than_is_stated(
    weights: list[float], intercept: float, rows: int, seed: int
) -> None:
    scorer = LinearScorer(tuple(weights), intercept, ModelKind.linear)
    plain = np.random.default_rng(seed).uniform(-1, 1, (rows, len(weights)))
    opened = there_and_back(CustomerKey(), scorer, plain)
    assert opened.linear.shape == (rows,)
    assert np.abs(opened.linear - scorer.plain(plain)).max() <= opened.error < 2e-5


def test_a_logistic_model_gives_its_probabilities(key: CustomerKey) -> None:
    labels = (ROWS @ [3, -1, 0.2] + np.random.default_rng(1).normal(size=60) > 0).astype(int)
    model = LogisticRegression().fit(ROWS, labels)
    opened = there_and_back(key, LinearScorer.of(model), ROWS)
    assert np.allclose(opened.probabilities, model.predict_proba(ROWS)[:, 1], atol=1e-5)


def test_a_linear_model_predicts_in_its_own_unit(key: CustomerKey) -> None:
    model = LinearRegression().fit(ROWS, 40_000 + ROWS @ [9_000, -20_000, 50])
    with pytest.raises(BadInput, match="larger `unit`"):
        LinearScorer.of(model)
    unit = unit_for(np.ravel(model.coef_).tolist(), float(model.intercept_))
    assert unit == 128.0
    opened = there_and_back(key, LinearScorer.of(model, unit=unit), ROWS)
    assert np.abs(opened.linear - model.predict(ROWS)).max() <= opened.error < 0.01
    with pytest.raises(BadInput, match="no probabilities"):
        _ = opened.probabilities


def test_rows_beyond_one_block_come_back_in_their_order(key: CustomerKey) -> None:
    rows = np.linspace(-1, 1, PLACES + 5)[:, None]
    opened = there_and_back(key, LinearScorer((100.0,), 1.0), rows)
    assert blocks_of(len(rows)) == 2
    assert np.abs(opened.linear - (100 * rows[:, 0] + 1)).max() <= opened.error


@pytest.mark.parametrize(("error", "flooding"), [(0.5, 40), (3.0, 40), (None, 60), (None, 78), (512.0, 40)])
def test_a_larger_error_is_stated_and_kept_to(key: CustomerKey, error: float | None, flooding: int) -> None:
    """Of 60 uniform errors the largest is below half of the bound with probability 2^-60."""
    precision = Precision.of(error=error, flooding_bits=flooding)
    assert precision.flooding_bits >= flooding
    opened = there_and_back(key, LinearScorer((1.0, 0.0, 2.0), 0.5), ROWS, precision=precision)
    off = np.abs(opened.linear - (ROWS @ [1.0, 0.0, 2.0] + 0.5)).max()
    assert precision.flood_error / 2 < off <= opened.error
    if error is not None:
        assert error <= precision.flood_error < 2 * error
    assert precision.bits_per_score == 120 - precision.flood_bits - 1


@pytest.mark.parametrize(
    "wish",
    [{"error": 513.0}, {"error": 0.0}, {"error": math.nan}, {"error": math.inf}, {"flooding_bits": 79}],
)
def test_what_does_not_fit_is_refused(wish: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        Precision.of(**wish)


def test_more_rows_than_are_allowed_are_refused(key: CustomerKey) -> None:
    sent = encrypt_rows(key, ROWS)
    scorer = LinearScorer((1.0, 2.0, 3.0), 0.0)
    assert score_encrypted(scorer, sent, allowed=60).rows == 60
    with pytest.raises(ClauseRefused, match="more rows"):
        score_encrypted(scorer, sent, allowed=59)


def test_rows_that_were_smuggled_in_come_back_as_nothing(key: CustomerKey) -> None:
    """60 rows that say they are 10: one of 50 uniform numbers is as near to its score with chance 2.4e-8."""
    sent = encrypt_rows(key, ROWS)
    scorer = LinearScorer((1.0, 2.0, 3.0), 0.0)
    answer = score_encrypted(scorer, EncryptedRows(10, sent.columns, sent.public))
    opened = key.pair.decrypt(answer.sums[0])[:60] / 2**24
    assert np.abs(opened[:10] - scorer.plain(ROWS)[:10]).max() < 1e-3
    assert np.abs(opened[10:] - scorer.plain(ROWS)[10:]).min() > 1e-6


def test_the_round_trip_tells_its_own_error() -> None:
    found = measured_error(LinearScorer((5.0, -2.0, 1.0), 0.3), ROWS)
    assert 0 < found["rms"] < found["max"] <= found["bound"]
    assert found["rows"] == 60


@pytest.mark.parametrize(
    "rows",
    [
        np.ones((0, 3)),
        np.ones((3, 0)),
        np.ones(3),
        np.full((2, 2), 1.1),
        np.full((2, 2), np.nan),
        np.full((1, 1), -np.inf),
    ],
)
def test_rows_that_cannot_be_encrypted_are_refused(key: CustomerKey, rows: np.ndarray) -> None:
    with pytest.raises(BadInput):
        encrypt_rows(key, rows)


@pytest.mark.parametrize(
    ("weights", "intercept", "unit"),
    [
        ((), 0.0, 1.0),
        ((math.nan,), 0.0, 1.0),
        ((1.0,), math.inf, 1.0),
        ((1.0,), 0.0, 0.0),
        ((1000.0,), 24.0, 1.0),
    ],
)
def test_models_that_do_not_fit_are_refused(
    weights: tuple[float, ...], intercept: float, unit: float
) -> None:
    with pytest.raises(BadInput):
        LinearScorer(weights, intercept, unit=unit)


def test_models_of_another_kind_are_refused() -> None:
    three = LogisticRegression().fit(ROWS, np.arange(60) % 3)
    for model in (three, object(), LinearRegression().fit(ROWS, ROWS)):
        with pytest.raises(BadInput):
            LinearScorer.of(model)


@given(size=st.floats(1e-3, 1e9))
def test_a_unit_is_as_small_as_it_can_be(size: float) -> None:
    unit = unit_for([size, -size], size)
    LinearScorer((size, -size), size, unit=unit)
    if unit > 1:
        with pytest.raises(BadInput):
            LinearScorer((size, -size), size, unit=unit / 2)


SOUND = {"parameters": PARAMETERS.to_dict(), "rows": 60, "columns": 3}


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"rows": 2**20 + 1},
        {"rows": True},
        {"rows": 60.0},
        {"rows": 9000},
        {"columns": 4},
        {"more": 1},
        {"parameters": {}},
    ],
)
def test_messages_about_rows_are_checked(key: CustomerKey, change: dict[str, Any]) -> None:
    parts = encrypt_rows(key, ROWS).to_message()[1]
    EncryptedRows.from_message(SOUND, parts, columns=3)
    with pytest.raises(BadInput):
        EncryptedRows.from_message(SOUND | change, parts, columns=3)


def test_parts_that_are_missing_or_too_many_are_refused(key: CustomerKey) -> None:
    parts = encrypt_rows(key, ROWS).to_message()[1]
    for name in ("public", "0-1"):
        with pytest.raises(BadInput, match="one part for each"):
            EncryptedRows.from_message(SOUND, {n: data for n, data in parts.items() if n != name}, columns=3)
    with pytest.raises(BadInput, match="one part for each"):
        EncryptedRows.from_message(SOUND, parts | {"secret": b""}, columns=3)
    sent = EncryptedRows.from_message(SOUND, parts | {"0-1": b"?"}, columns=3)
    with pytest.raises(BadInput, match="no column"):
        score_encrypted(LinearScorer((1.0, 2.0, 3.0), 0.0), sent)


@pytest.mark.parametrize(
    "change",
    [
        {"rows": 0},
        {"columns": "3"},
        {"flood": 10},
        {"flood": 91.0},
        {"kind": "tree"},
        {"kind": []},
        {"unit": 0},
        {"unit": True},
        {"unit": "1"},
        {"more": 1},
        {"parameters": None},
    ],
)
def test_messages_about_scores_are_checked(key: CustomerKey, change: dict[str, Any]) -> None:
    answer = score_encrypted(LinearScorer((1.0, 2.0, 3.0), 0.0), encrypt_rows(key, ROWS))
    body, parts = answer.to_message()
    assert EncryptedScores.from_message(body, parts) == answer
    with pytest.raises(BadInput):
        EncryptedScores.from_message(body | change, parts)
    with pytest.raises(BadInput, match="one part for each block"):
        EncryptedScores.from_message(body, parts | {"1": b""})


def test_an_answer_about_other_rows_or_of_another_precision_is_refused(key: CustomerKey) -> None:
    sent = encrypt_rows(key, ROWS)
    answer = score_encrypted(LinearScorer((1.0, 2.0, 3.0), 0.0), sent)
    require_answer(answer, sent, Precision())
    with pytest.raises(BadInput, match="came back for"):
        require_answer(answer, encrypt_rows(key, ROWS[:5]), Precision())
    with pytest.raises(BadInput, match="agreement says"):
        require_answer(answer, sent, Precision.of(error=1.0))


def test_ciphertext_bytes_are_counted(key: CustomerKey) -> None:
    sent = encrypt_rows(key, ROWS)
    assert sent.ciphertext_bytes == sum(len(data) for data in sent.columns[0]) > 3 * 2 * PLACES * 8
    answer = score_encrypted(LinearScorer((1.0, 2.0, 3.0), 0.0), sent)
    assert answer.ciphertext_bytes == len(answer.sums[0]) > 4 * PLACES * 8


def test_probabilities_do_not_overflow() -> None:
    assert probability(np.array([-1e9, 0.0, 1e9])).tolist() == [0.0, 0.5, 1.0]
