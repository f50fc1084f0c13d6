"""Encrypted scoring end to end: exact to the stated error, and nothing read unchecked."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    Perceptron,
    PoissonRegressor,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
    TweedieRegressor,
)
from sklearn.svm import SVC, LinearSVC, OneClassSVM

from comity.crypto.ckks_parameters import (
    LEAST_FLOOD_BITS,
    MOST_FLOOD_BITS,
    PARAMETERS,
    PLACES,
    places_against_any_key,
)
from comity.errors import BadInput, ClauseRefused, UsageError
from comity.train.homomorphic import (
    EncryptedRows,
    EncryptedScores,
    LinearModel,
    Precision,
    ProviderKey,
    encrypt_rows,
    open_scores,
    score_encrypted,
    unit_for,
)
from comity.train.homomorphic.model import ModelKind, probability
from comity.train.homomorphic.scoring import blocks_of, measured_error, parts_of, require_answer

ROWS = np.random.default_rng(7).uniform(-1, 1, (60, 3))


@pytest.fixture
def key() -> ProviderKey:
    return ProviderKey()


@pytest.fixture(scope="module")
def sent() -> EncryptedRows:
    return encrypt_rows(ProviderKey(), ROWS)


def there_and_back(key: ProviderKey, model: LinearModel, rows: np.ndarray, **how: Any) -> Any:
    """Both ends, over messages."""
    sent = encrypt_rows(key, rows)
    body, parts = sent.to_message()
    received = EncryptedRows.from_message(body, parts, columns=len(model.weights))
    answer = score_encrypted(model, received, **how)
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
    model = LinearModel(tuple(weights), intercept, ModelKind.linear)
    plain = np.random.default_rng(seed).uniform(-1, 1, (rows, len(weights)))
    opened = there_and_back(ProviderKey(), model, plain)
    assert opened.linear.shape == (rows,)
    assert np.abs(opened.linear - model.plain(plain)).max() <= opened.error < 2e-5


def test_a_logistic_model_gives_its_probabilities(key: ProviderKey) -> None:
    labels = (ROWS @ [3, -1, 0.2] + np.random.default_rng(1).normal(size=60) > 0).astype(int)
    model = LogisticRegression().fit(ROWS, labels)
    opened = there_and_back(key, LinearModel.of(model), ROWS)
    assert np.allclose(opened.probabilities, model.predict_proba(ROWS)[:, 1], atol=1e-5)


def test_a_linear_model_predicts_in_its_own_unit(key: ProviderKey) -> None:
    model = LinearRegression().fit(ROWS, 40_000 + ROWS @ [9_000, -20_000, 50])
    with pytest.raises(BadInput, match="larger `unit`"):
        LinearModel.of(model)
    unit = unit_for(np.ravel(model.coef_).tolist(), float(model.intercept_))
    assert unit == 128.0
    opened = there_and_back(key, LinearModel.of(model, unit=unit), ROWS)
    assert np.abs(opened.linear - model.predict(ROWS)).max() <= opened.error < 0.01
    with pytest.raises(BadInput, match="no probabilities"):
        _ = opened.probabilities


@pytest.mark.parametrize(("error", "flooding"), [(0.5, 40), (3.0, 40), (None, 60), (None, 78), (512.0, 40)])
def test_a_larger_error_is_stated_and_kept_to(key: ProviderKey, error: float | None, flooding: int) -> None:
    """Of 60 uniform errors the largest is below half of the bound with probability 2^-60."""
    precision = Precision.of(error=error, flooding_bits=flooding)
    assert precision.flooding_bits >= flooding
    opened = there_and_back(key, LinearModel((1.0, 0.0, 2.0), 0.5), ROWS, precision=precision)
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


def test_more_rows_than_are_allowed_are_refused(sent: EncryptedRows) -> None:
    model = LinearModel((1.0, 2.0, 3.0), 0.0)
    assert score_encrypted(model, sent, allowed=60).rows == 60
    with pytest.raises(ClauseRefused, match="more rows"):
        score_encrypted(model, sent, allowed=59)


def test_rows_that_were_smuggled_in_come_back_as_nothing(key: ProviderKey) -> None:
    """60 rows that say they are 10: one of 50 uniform numbers is as near to its score with chance 2.4e-8."""
    sent = encrypt_rows(key, ROWS)
    model = LinearModel((1.0, 2.0, 3.0), 0.0)
    answer = score_encrypted(model, EncryptedRows(10, sent.columns, sent.public))
    opened = key.pair.decrypt(answer.sums[0])[:60] / 2**24
    assert np.abs(opened[:10] - model.plain(ROWS)[:10]).max() < 1e-3
    assert np.abs(opened[10:] - model.plain(ROWS)[10:]).min() > 1e-6


def test_an_error_is_that_of_the_floods_the_columns_and_the_unit(key: ProviderKey) -> None:
    """The figures that docs/homomorphic.md states."""
    assert round(Precision().error(115), 5) == 2e-5
    assert round(Precision().error(4096), 5) == 14e-5
    opened = there_and_back(key, LinearModel((1.0, 0.0, 2.0), 0.5, unit=8.0), ROWS)
    assert opened.error == 8 * Precision().error(3)


def test_the_round_trip_tells_its_own_error() -> None:
    found = measured_error(LinearModel((5.0, -2.0, 1.0), 0.3), ROWS)
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
def test_rows_that_cannot_be_encrypted_are_refused(key: ProviderKey, rows: np.ndarray) -> None:
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
        LinearModel(weights, intercept, unit=unit)


def test_models_of_another_kind_are_refused() -> None:
    three = LogisticRegression().fit(ROWS, np.arange(60) % 3)
    for model in (three, object(), LinearRegression().fit(ROWS, ROWS)):
        with pytest.raises(BadInput):
            LinearModel.of(model)


LABELS = (ROWS @ [3, -1, 0.2] > 0).astype(int)
COUNTS = np.exp(ROWS @ [1, 0.5, 0])


@pytest.mark.parametrize(
    "model",
    [
        LinearSVC(),
        SVC(kernel="linear"),
        SGDClassifier(loss="hinge", random_state=0),
        SGDClassifier(loss="modified_huber", random_state=0),
        RidgeClassifier(),
        Perceptron(random_state=0),
        PoissonRegressor(),
        OneClassSVM(kernel="linear"),
    ],
    ids=lambda model: f"{type(model).__name__} {getattr(model, 'loss', '')}".strip(),
)
def test_models_that_use_their_weights_otherwise_are_refused_by_name(model: Any) -> None:
    """Their `coef_` would be scored, and the provider's probabilities or predictions would mean nothing."""
    fitted = model.fit(ROWS, COUNTS if isinstance(model, PoissonRegressor) else LABELS)
    with pytest.raises(BadInput, match=f"a {type(model).__name__} does not predict by"):
        LinearModel.of(fitted, unit=1e6)


@pytest.mark.parametrize(
    ("model", "kind"),
    [
        (LogisticRegression(), "logistic"),
        (LogisticRegression(C=1e6), "logistic"),
        (SGDClassifier(loss="log_loss", random_state=0), "logistic"),
        (LinearDiscriminantAnalysis(), "logistic"),
        (LinearRegression(), "linear"),
        (Ridge(), "linear"),
        (TweedieRegressor(power=0), "linear"),
    ],
    ids=lambda part: type(part).__name__,
)
def test_models_that_predict_by_their_weights_are_taken(model: Any, kind: str) -> None:
    fitted = model.fit(ROWS, LABELS if kind == "logistic" else 40_000 * COUNTS)
    taken = LinearModel.of(fitted, unit=1e6)
    assert taken.kind == kind
    plain = taken.plain(ROWS)
    if kind == "logistic":
        assert np.allclose(probability(plain), fitted.predict_proba(ROWS)[:, 1])
    else:
        assert np.allclose(plain, fitted.predict(ROWS))


def test_a_model_without_weights_that_matter_is_one() -> None:
    flat = LogisticRegression(C=1e-12).fit(ROWS, LABELS)
    flat.coef_[:] = 0.0
    assert LinearModel.of(flat).weights == (0.0, 0.0, 0.0)


def test_a_key_serves_one_batch_of_rows(key: ProviderKey) -> None:
    with pytest.raises(BadInput):
        encrypt_rows(key, 2 * ROWS)  # refused rows do not use it up
    encrypt_rows(key, ROWS)
    with pytest.raises(UsageError, match="new ProviderKey for each batch"):
        encrypt_rows(key, ROWS)


@given(
    rows=st.integers(1, 3 * PLACES),
    flood=st.sampled_from([LEAST_FLOOD_BITS, 100, MOST_FLOOD_BITS]),
    any_key=st.booleans(),
)
def test_every_row_is_told_once_and_few_in_each_ciphertext(rows: int, flood: int, any_key: bool) -> None:
    precision = Precision(flood)
    blocks = parts_of(rows, precision, any_key=any_key)
    most = places_against_any_key(flood) if any_key else PLACES
    told = [at * PLACES + place for at, block in enumerate(blocks) for part in block for place in part]
    assert told == list(range(rows))
    assert all(0 < len(part) <= most and part.stop <= PLACES for block in blocks for part in block)
    assert len(blocks) == blocks_of(rows)


def test_parts_come_back_in_their_order(key: ProviderKey) -> None:
    rows = np.linspace(-1, 1, PLACES + 300)[:, None]
    sent, model = encrypt_rows(key, rows), LinearModel((100.0,), 1.0)
    for any_key, count in ((True, 42 + 2), (False, 2)):
        answer = score_encrypted(model, sent, any_key=any_key)
        assert len(answer.sums) == count
        opened = open_scores(key, EncryptedScores.from_message(*answer.to_message()))
        assert np.abs(opened.linear - model.plain(rows)).max() <= opened.error


@given(size=st.floats(1e-3, 1e9))
def test_a_unit_is_as_small_as_it_can_be(size: float) -> None:
    unit = unit_for([size, -size], size)
    LinearModel((size, -size), size, unit=unit)
    if unit > 1:
        with pytest.raises(BadInput):
            LinearModel((size, -size), size, unit=unit / 2)


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
def test_messages_about_rows_are_checked(sent: EncryptedRows, change: dict[str, Any]) -> None:
    parts = sent.to_message()[1]
    EncryptedRows.from_message(SOUND, parts, columns=3)
    with pytest.raises(BadInput):
        EncryptedRows.from_message(SOUND | change, parts, columns=3)


def test_parts_that_are_missing_or_too_many_are_refused(sent: EncryptedRows) -> None:
    parts = sent.to_message()[1]
    for name in ("public", "0-1"):
        with pytest.raises(BadInput, match="one part for each"):
            EncryptedRows.from_message(SOUND, {n: data for n, data in parts.items() if n != name}, columns=3)
    with pytest.raises(BadInput, match="one part for each"):
        EncryptedRows.from_message(SOUND, parts | {"secret": b""}, columns=3)
    wrong = EncryptedRows.from_message(SOUND, parts | {"0-1": b"?"}, columns=3)
    with pytest.raises(BadInput, match="no column"):
        score_encrypted(LinearModel((1.0, 2.0, 3.0), 0.0), wrong)


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
        {"any_key": 1},
        {"more": 1},
        {"parameters": None},
    ],
)
def test_messages_about_scores_are_checked(sent: EncryptedRows, change: dict[str, Any]) -> None:
    answer = score_encrypted(LinearModel((1.0, 2.0, 3.0), 0.0), sent)
    body, parts = answer.to_message()
    assert EncryptedScores.from_message(body, parts) == answer
    with pytest.raises(BadInput):
        EncryptedScores.from_message(body | change, parts)
    with pytest.raises(BadInput, match="60 rows come in 1 ciphertexts"):
        EncryptedScores.from_message(body, parts | {"1": b""})


def test_an_answer_about_other_rows_or_of_another_precision_is_refused(sent: EncryptedRows) -> None:
    answer = score_encrypted(LinearModel((1.0, 2.0, 3.0), 0.0), sent)
    require_answer(answer, sent, Precision())
    with pytest.raises(BadInput, match="came back for"):
        require_answer(answer, encrypt_rows(ProviderKey(), ROWS[:5]), Precision())
    with pytest.raises(BadInput, match="agreement says"):
        require_answer(answer, sent, Precision.of(error=1.0))


def test_ciphertext_bytes_are_counted(sent: EncryptedRows) -> None:
    assert sent.ciphertext_bytes == sum(len(data) for data in sent.columns[0]) > 3 * 2 * PLACES * 8
    answer = score_encrypted(LinearModel((1.0, 2.0, 3.0), 0.0), sent)
    assert answer.ciphertext_bytes == len(answer.sums[0]) > 4 * PLACES * 8


def test_probabilities_do_not_overflow() -> None:
    assert probability(np.array([-1e9, 0.0, 1e9])).tolist() == [0.0, 0.5, 1.0]
