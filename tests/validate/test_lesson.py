"""One lesson: a question within its cap, an answer with real noise, a better model or nothing worse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from comity.errors import BadInput, BudgetRefused, UsageError
from comity.ledger import gaussian_noise_multiplier
from comity.validate import Design, FeedbackClassifier, LocalValidator
from comity.validate.bins import Columns
from comity.validate.mechanism import Price, answer

WIDTHS, ORDERED = (3, 10, 6), (False, True, False)


def world(seed: int, rows: int) -> tuple[Columns, np.ndarray, np.ndarray]:
    """Records, their labels and their true log-odds; the start model knows nothing."""
    draw = np.random.default_rng(seed)
    codes = np.stack([draw.integers(1, width, rows) for width in WIDTHS], axis=1).astype(np.uint16)
    truth = 0.8 * (codes[:, 0] == 1) + 0.35 * (codes[:, 1] - 5.0) + 0.6 * (codes[:, 2] == 2) - 0.5
    labels = (draw.random(rows) < 1 / (1 + np.exp(-truth))).astype(np.int8)
    return Columns(codes, WIDTHS, ORDERED), labels, truth


def lesson_auc(rows: int, providers: int, epsilon: float, seed: int = 1) -> float:
    columns, labels, _ = world(seed, rows)
    holders = np.arange(rows) % providers
    noise = gaussian_noise_multiplier(epsilon, 1e-6) * np.sqrt(providers)
    start = np.zeros(rows)
    design = Design.draw_up(columns, start, noise=float(noise), holders=holders)
    answers = []
    for at in range(providers):
        own = np.flatnonzero(holders == at)
        answers.append(answer(design.request.of(own), labels[own], Price(epsilon, 1e-6)))
    sums = np.sum([one.values for one in answers], axis=0)
    deviation = float(np.sqrt(sum(one.deviation**2 for one in answers)))
    correction = design.learn(sums, deviation)
    test, test_labels, _ = world(99, 20_000)
    return float(roc_auc_score(test_labels, correction.scores(test, np.zeros(20_000))))


@pytest.mark.parametrize("providers", [1, 3])
def test_it_learns_what_there_is_to_learn(providers: int) -> None:
    """At epsilon 1 and 8,000 records it comes within 0.01 of the truth's own AUC (0.06 is many sigma)."""
    _, labels, truth = world(99, 20_000)
    assert lesson_auc(8_000, providers, 1.0) > roc_auc_score(labels, truth) - 0.06


def test_a_hopeless_answer_changes_little() -> None:
    columns, labels, _ = world(3, 40)
    design = Design.draw_up(columns, np.zeros(40), noise=gaussian_noise_multiplier(0.01, 1e-6))
    noisy = answer(design.request, labels, Price(0.01, 1e-6))
    scores = design.learn(noisy.values, noisy.deviation).scores(columns, np.zeros(40))
    assert np.isfinite(scores).all()
    assert np.abs(scores).max() < 3.0


@settings(max_examples=25)
@given(seed=st.integers(0, 1000), rows=st.integers(20, 300), noise=st.floats(0.05, 500.0))
def test_no_label_moves_the_answer_by_more_than_its_cap(seed: int, rows: int, noise: float) -> None:
    columns, labels, _ = world(seed, rows)
    query = Design.draw_up(columns, np.zeros(rows), noise=noise, minimum=1).request
    changed = labels.copy()
    changed[seed % rows] = 1 - changed[seed % rows]
    moved = query.sums(changed) - query.sums(labels)
    assert float(np.sqrt((moved.astype(float) ** 2).sum())) <= query.l2
    assert np.array_equal(np.abs(moved), np.abs(query.row(seed % rows)))


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000))
def test_not_even_a_hostile_question_moves_it_further(seed: int) -> None:
    from comity.validate import ScoreStatistics

    draw = np.random.default_rng(seed)
    widths = tuple(int(width) for width in draw.integers(1, 5, 3))
    rows = 30
    codes = np.stack([draw.integers(0, width, rows) for width in widths], axis=1).astype(np.uint16)
    top = int(draw.choice([1, 1000, 2**19]))
    mix = draw.integers(-top, top + 1, size=(sum(widths), int(draw.integers(1, 6)))).astype(np.int32)
    query = ScoreStatistics(codes, widths, mix, int(draw.choice([1, 7, 2**18, 2**31 - 1])))
    for record in range(rows):
        assert (query.row(record).astype(object) ** 2).sum() <= query.l2**2


def test_the_question_does_not_depend_on_labels() -> None:
    columns, _, _ = world(4, 500)
    one, two = (Design.draw_up(columns, np.zeros(500), noise=5.0).request for _ in range(2))
    assert np.array_equal(one.mix, two.mix)
    assert one.cap == two.cap


def people(seed: int, rows: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    features = draw.normal(size=(rows, 4))
    chance = 1 / (1 + np.exp(-features[:, 0] - features[:, 1] ** 2 + 1))
    return features, (draw.random(rows) < chance).astype(int)


def test_the_classifier_beats_its_start_and_the_budget_is_spent_once() -> None:
    """A start on 200 rows misses the square; 8,000 records at epsilon 1 teach it (0.02 is many sigma)."""
    X, y = people(1, 8_200)
    ids = np.arange(8_200)
    start = LogisticRegression().fit(X[:200], y[:200])
    validator = LocalValidator(ids[200:], y[200:], epsilon=1.0, delta=1e-6)
    model = FeedbackClassifier(validator, start=start).fit(X[200:], ids[200:])
    tests, labels = people(2, 20_000)
    before = roc_auc_score(labels, start.predict_proba(tests)[:, 1])
    assert roc_auc_score(labels, model.predict_proba(tests)[:, 1]) > before + 0.02
    with pytest.raises((BudgetRefused, UsageError)):
        FeedbackClassifier(validator, start=start).fit(X[200:], ids[200:])


def test_feedback_is_near_the_truth_and_its_interval_is_honest_about_it() -> None:
    """The AUC's noise at n = 8,000 is about 0.0015: 0.02 is more than 10 of it."""
    X, y = people(3, 8_000)
    validator = LocalValidator(np.arange(8_000), y, epsilon=1.0, delta=1e-6)
    told = validator.feedback(np.arange(8_000), X[:, 0], metrics=["auc"])
    low, high = told.intervals["auc"]
    assert low < told.estimates["auc"] < high
    assert abs(told.estimates["auc"] - roc_auc_score(y, X[:, 0])) < 0.02


@pytest.mark.parametrize(
    ("ids", "labels"), [([1, 1, 2], [0, 1, 0]), ([1, 2, 3], [0, 1, 2]), ([1, 2, 3], [0, 1])]
)
def test_bad_labels_and_ids_are_refused(ids: list[int], labels: list[int]) -> None:
    with pytest.raises((BadInput, UsageError)):
        LocalValidator(ids, labels, epsilon=1.0, delta=1e-6)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0, 12.5])
@pytest.mark.parametrize("cap", [1, 7, 35, 1000, 2**18])
@pytest.mark.parametrize("dimensions", [1, 64, 4096])
def test_noise_and_grid_together_stay_within_the_charged_delta(
    epsilon: float, cap: int, dimensions: int
) -> None:
    from comity.ledger import gaussian_delta
    from comity.noise import discretisation_delta
    from comity.validate import ScoreStatistics
    from comity.validate.mechanism import calibrate

    mix = np.ones((1, dimensions), dtype=np.int32)
    query = ScoreStatistics(np.zeros((4, 1), dtype=np.uint16), (1,), mix, cap)
    price = Price(epsilon, 9e-7)
    try:
        calibration = calibrate(query, price)
    except UsageError:
        return  # too fine a demand for this grid: refused, not answered
    multiplier = calibration.scale / (query.l2 * 2.0**calibration.shift)
    spent = gaussian_delta(multiplier, epsilon)
    assert spent + discretisation_delta(calibration.scale, dimensions, epsilon) <= 9e-7 * (1 + 1e-9)
