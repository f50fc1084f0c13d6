"""Attacks on feedback: what an adversary gets from it, beside what exact answers would give.

Every limit is so far from what is expected that a false alarm is rarer than 1e-6; each test says how.
"""

from __future__ import annotations

import math
import os

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures

from comity.attack.label import infer_labels
from comity.crypto.exchange import SharedKey
from comity.errors import BudgetRefused, ClauseRefused
from comity.ledger import gaussian_noise_multiplier
from comity.validate import GroupCounts, Joined, LocalValidator, NoisySums, Price, answer, ask_for, calibrate
from comity.validate.blind import PadKeys, Pooled, TokenOrder, Upload, masked_answer
from comity.validate.blind_query import permuted
from comity.validate.class_queries import ChosenSum, ClassCounts, ClassSums
from comity.validate.metrics import CLIP, SignedCounts
from comity.validate.number_queries import MAGNITUDE, SQUARE, DifferenceSum
from comity.validate.queries import Query

DELTA = 1e-6


def right_at_most(epsilon: float) -> float:
    """How often a coin-flip label is guessed right at most."""
    return (math.exp(epsilon) + DELTA) / (1 + math.exp(epsilon))


@pytest.mark.parametrize("without", [1, 3, 9])
def test_differencing_is_refused_before_anything_is_spent(without: int) -> None:
    labels = np.random.default_rng(1).integers(0, 2, 500)
    validator = LocalValidator(range(500), labels, epsilon=1.0)
    scores = np.linspace(0, 1, 500)
    validator.feedback(range(500), scores, ["prevalence"], 0.1)
    left = validator.remaining()
    for metric in ("prevalence", "brier", "accuracy", "auc"):
        with pytest.raises(ClauseRefused):
            validator.feedback(range(500 - without), scores[: 500 - without], [metric], 0.1)
        with pytest.raises(ClauseRefused):
            validator.feedback(range(without), scores[:without], [metric], 0.1)
    assert validator.remaining() == left


def test_control_without_monitor_and_noise_a_difference_is_a_label() -> None:
    labels = np.random.default_rng(1).integers(0, 2, 500).astype(np.int8)
    every = int(GroupCounts(np.zeros(500, np.int64), 1).sums(labels)[0])
    for at in range(500):
        others = np.arange(500) != at
        rest = int(GroupCounts(np.zeros(499, np.int64), 1).sums(labels[others])[0])
        assert every - rest == labels[at]


def test_repeats_average_to_the_one_answer_and_fresh_noise_would_average_to_the_truth() -> None:
    """Fifty repeats give the stored bytes for one price. The control draws 100,000 fresh noises, whose mean
    lies within 0.5 of the exact count but once in 1e12 times (7 deviations)."""
    labels = np.random.default_rng(1).integers(0, 2, 500).astype(np.int8)
    validator = LocalValidator(range(500), labels, epsilon=1.0, delta=DELTA)
    query = GroupCounts(np.zeros(500, np.int64), 1)
    told = [validator.statistics(range(500), query, 0.2) for _ in range(50)]
    assert len({one.values.tobytes() for one in told}) == 1
    assert len(validator.ledger.events("charged")) == 1
    calibration, exact = told[0].calibration, query.sums(labels)
    assert calibration.deviation > 5
    assert round(float(calibration.answer(np.tile(exact, (100_000, 1))).mean())) == exact[0]


@pytest.mark.slow
def test_what_correlates_by_chance_stays_chance() -> None:
    """Thresholdout's null experiment (Dwork et al. 2015), n = d = 10,000, all answers together epsilon 0.1.

    The analyst hears every column's number of right answers, keeps the 500 that look best, and lets them
    vote. Expected 50.3%; the mean of 8 runs has a standard deviation of 0.18 points, that of 5 seeds 0.08, so
    52% and 51% are 9 of them away.
    """
    means, exact = [], []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        columns = rng.integers(0, 2, (10_000, 10_000), dtype=np.int8).view(np.bool_)
        labels = rng.integers(0, 2, 10_000, dtype=np.int8)
        query = Joined(tuple(SignedCounts.of(columns[at]) for at in range(10_000)), (1,) * 10_000)
        sums = query.sums(labels)
        calibration = calibrate(query, Price(0.1, DELTA))
        noisy = calibration.answer(np.tile(sums, (8, 1)))
        means.append(np.mean([vote(columns, labels, told) for told in noisy]))
        exact.append(vote(columns, labels, sums.astype(float)))
    assert np.mean(means) <= 0.51
    assert max(means) <= 0.52
    assert min(exact) >= 0.6


def vote(columns: np.ndarray, labels: np.ndarray, told: np.ndarray) -> float:
    """Accuracy of the 500 columns that look best, each with the sign that it seems to have."""
    best = np.argsort(-np.abs(told))[:500]
    votes = np.sign(told[best]) @ (2.0 * columns[best] - 1)
    return float(((votes > 0) == (labels == 1)).mean())


def test_the_log_loss_oracle_tells_no_label() -> None:
    """Whitehill (2016), Aggarwal et al. (2021): log odds that are powers of two spell out all labels.

    Of 2,000 runs the label with the largest weight is guessed right at most 73% (epsilon 1); 5.3 standard
    deviations on top. The exact loss spells out all twelve every time.
    """
    rng, count = np.random.default_rng(2), 12
    largest = math.log((1 - CLIP) / CLIP)
    weights = largest * 0.5 ** np.arange(count)
    scores = 1 / (1 + np.exp(-weights))
    question = ask_for(scores, ["log_loss"])
    public = question.facts["log_loss"]["public"]
    exact_right = noisy_right = 0
    for _ in range(2_000):
        labels = rng.integers(0, 2, count).astype(np.int8)
        told = answer(question.query, labels, Price(1.0, DELTA))
        gained = -told.values[0] / 2**16
        noisy_right += int(spelled(gained, weights)[0] == labels[0])
        gained = public - np.where(labels == 1, -np.log(scores), -np.log1p(-scores)).sum()
        exact_right += int((spelled(gained + 1e-9, weights) == labels).all())
    assert noisy_right / 2_000 <= right_at_most(1.0) + 5.3 * math.sqrt(0.25 / 2_000)
    assert exact_right == 2_000


def spelled(gained: float, weights: np.ndarray) -> np.ndarray:
    """Labels read off a loss, the largest weight first."""
    labels = np.zeros(len(weights), dtype=np.int8)
    for at, weight in enumerate(weights):
        if gained >= weight - weights[-1] / 2:
            labels[at] = 1
            gained -= weight
    return labels


def test_no_log_loss_is_unclipped() -> None:
    question = ask_for(np.array([0.0, 1.0] * 20), ["log_loss"])
    assert question.query.parts[0].l2 <= math.log((1 - CLIP) / CLIP) * 2**16


def test_least_squares_on_all_answers_reconstructs_no_table() -> None:
    """800 random sums over 400 labels (Dinur and Nissim 2003), 30 tables, all answers together epsilon 1.

    Expected 55% right; each label at most 73%. 12,000 guesses: 5.3 standard deviations are 2.4 points. Exact
    answers give every label.
    """
    rng, right, exact = np.random.default_rng(3), [], []
    columns = rng.integers(0, 2, (800, 400), dtype=np.int8).view(np.bool_)
    query = Joined(tuple(SignedCounts.of(column) for column in columns), (1,) * 800)
    solve = np.linalg.pinv(2.0 * columns - 1)
    for _ in range(30):
        labels = rng.integers(0, 2, 400).astype(np.int8)
        told = answer(query, labels, Price(1.0, DELTA)).values
        right.append((((solve @ told) > 0.5) == labels).mean())
        exact.append((((solve @ query.sums(labels)) > 0.5) == labels).mean())
    assert np.mean(right) <= right_at_most(1.0) + 0.024
    assert np.mean(exact) == 1.0


def test_many_small_answers_end_when_the_budget_does() -> None:
    """A reconstruction by way of the validator: random groups, small prices, until it refuses.

    What 300 labels are guessed right by then: 5.3 standard deviations are 15 points above the bound.
    """
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 300).astype(np.int8)
    validator = LocalValidator(range(300), labels, epsilon=1.0, delta=DELTA, minimum=5)
    rows, told = [], []
    for _ in range(1_000):
        member = rng.random(300) < 0.5
        try:
            told.append(validator.statistics(range(300), SignedCounts.of(member), 0.1).values[0])
        except BudgetRefused:
            break
        rows.append(2.0 * member - 1)
    guess = np.linalg.lstsq(np.array(rows), np.array(told), rcond=None)[0] > 0.5
    assert 20 < len(told) < 1_000
    assert (guess == labels).mean() <= right_at_most(1.0) + 0.15


@pytest.mark.parametrize("epsilon", [0.5, 2.0])
@pytest.mark.parametrize("kind", ["right", "classes", "ranks", "chosen", "magnitude", "square"])
def test_no_coin_flip_canary_is_guessed_better_than_the_bound(kind: str, epsilon: float) -> None:
    """The strongest record of every kind of query (4,000 runs; 5.5 standard deviations on top)."""
    rng = np.random.default_rng(5)
    rows = 50
    made: dict[str, Query] = {
        "right": SignedCounts.of(rng.random(rows) < 0.5),
        "classes": Joined((ClassCounts(rng.integers(0, 3, rows), 3, 4),), (1 << 12,)),
        "ranks": ClassSums(rng.integers(-40, 41, (rows, 2)), np.arange(2)),
        "chosen": ChosenSum(rng.integers(0, 1000, (rows, 2))),
        "magnitude": DifferenceSum(np.zeros(rows, np.int64), 1, MAGNITUDE),
        "square": DifferenceSum(np.zeros(rows, np.int64), 1, SQUARE),
    }
    query = made[kind]
    moves = np.stack([query.row(at) for at in range(rows)]).astype(float)
    canary = moves[np.argmax(np.linalg.norm(moves, axis=1))]
    calibration = calibrate(query, Price(epsilon, DELTA))

    def draw(runs: int) -> np.ndarray:
        return calibration.answer(np.zeros((runs, query.dimensions), np.int64))

    found = infer_labels(draw, canary, epsilon=epsilon, delta=DELTA, trials=4_000, seed=6)
    assert found.bound is not None
    assert found.advantage <= found.bound + 2 * 5.5 * math.sqrt(0.25 / 4_000)
    reach = 2 * norm.cdf(np.linalg.norm(canary) / calibration.deviation / 2) - 1
    assert found.advantage <= reach + 2 * 5.5 * math.sqrt(0.25 / 4_000)


def test_answers_and_refusals_of_neighbours_have_the_same_bytes() -> None:
    """Sizes of answers, words of refusals, and what the ledger notes of them depend on public facts alone."""
    rng = np.random.default_rng(9)
    labels = rng.integers(0, 2, 300).astype(np.int8)
    changed = labels.copy()
    changed[0] ^= 1
    scores, seen = rng.random(300), []
    for held in (labels, changed):
        validator = LocalValidator(range(300), held, epsilon=1.0, delta=DELTA)
        question = ask_for(scores, ["auc", "confusion"], minimum=10)
        sums = validator.statistics(range(300), question.query, 0.3)
        words = [len(sums.values.tobytes()), sums.calibration]
        for rows, metrics, epsilon in ((299, ["auc"], 0.1), (5, ["brier"], 0.1), (300, ["f1"], 3.0)):
            with pytest.raises((ClauseRefused, BudgetRefused)) as caught:
                validator.feedback(range(rows), scores[:rows], metrics, epsilon)
            words.append(str(caught.value))
        notes = [{**entry.body, "sums": ""} for entry in validator.ledger.events("note")]
        seen.append((words, notes, [len(entry.body.get("sums", "")) for entry in validator.ledger.events()]))
    assert seen[0] == seen[1]


def test_the_provider_can_steal_the_model_from_the_predictions_it_is_sent() -> None:
    """In 2.A the provider is sent every prediction; with features of its own it copies the model.

    A stated property, not a defect: `seen_by` says so. All of it is fixed by seeds; nothing here is drawn.
    """
    features, scores = a_model()
    copied = surrogate().fit(features[:3_000], scores[:3_000])
    assert r2_score(scores[3_000:], copied.predict(features[3_000:])) > 0.9


def test_blind_validation_sends_the_provider_nothing_to_copy() -> None:
    """The control, 2.B: what reaches a provider is one word per sum, uniform whatever the model is.

    A copy learned from those words, laid out over the records in the best order the provider can know of
    (none), explains nothing: R2 on the other records stays below 0.2, where the stolen model's copy is above
    0.9. R2 is 2 r q - q^2, q the copy's spread over the scores' (about 0.08, from 20 coefficients and 3,000
    rows) and r their chance correlation (deviation 0.22): 0.2 takes q of 0.13 and r of 0.84 at once, below
    1e-8. Bits: of 64,000, 5.3 deviations are 671.
    """
    features, scores = a_model()
    rows, bins = len(scores), 100
    keys = [
        PadKeys(SharedKey(os.urandom(32)), f"p{at}", "agreement", os.urandom(16).hex()) for at in range(2)
    ]
    order = TokenOrder.over(rows, os.urandom(32))
    owner, labels = np.arange(rows) % 2, (scores > 0.5).astype(np.int8)
    uploads = {
        key.provider: Upload.of((owner == at).astype(np.int8), labels, order, key)
        for at, key in enumerate(keys)
    }
    pooled = Pooled.over(uploads.items())
    query = GroupCounts(np.argsort(np.argsort(scores)) * bins // rows, bins)
    calibration, received = calibrate(query, Price(1.0, DELTA)), []
    for _ in range(10):
        words = masked_answer(pooled, permuted(query, order.places), "label", calibration, os.urandom(32), 2)
        assert len(words[0]) == bins < rows
        received.append(words[0])
    bits = int(np.unpackbits(np.concatenate(received).view(np.uint8)).sum())
    assert abs(bits - 32_000) < 5.3 * math.sqrt(64_000) / 2
    target = np.resize(received[0].astype(np.float64) / 2**64, rows)
    copied = surrogate().fit(features[:3_000], target[:3_000]).predict(features[3_000:])
    assert r2_score(scores[3_000:], copied) < 0.2


def surrogate() -> Pipeline:
    return make_pipeline(PolynomialFeatures(2), Ridge())


def a_model() -> tuple[np.ndarray, np.ndarray]:
    """The ML party's model: features, and its scores of them."""
    rng = np.random.default_rng(10)
    features = rng.normal(size=(4_000, 5))
    odds = features[:, 0] * 1.5 + features[:, 1] + features[:, 2] * features[:, 3]
    labels = rng.random(4_000) < 1 / (1 + np.exp(-odds))
    model = make_pipeline(PolynomialFeatures(2), LogisticRegression()).fit(features[:2_000], labels[:2_000])
    return features, model.decision_function(features) / 10 + 0.5


def test_a_hopeless_price_says_nothing() -> None:
    """At epsilon 0.001 twenty labels are told apart from their opposites no better than a coin would."""
    multiplier = gaussian_noise_multiplier(0.001, DELTA)
    told = answer(GroupCounts(np.zeros(20, np.int64), 1), np.ones(20, np.int8), Price(0.001, DELTA))
    assert isinstance(told, NoisySums)
    assert told.deviation >= multiplier * 0.99
    assert told.deviation > 20
